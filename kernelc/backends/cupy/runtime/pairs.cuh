/* The pairs of a kernel matrix: from the correlations of unit rows through every layer, each entry read once and
   written once. -DTANGENT=1: the NTK, else the NNGP; -DDEEP=1: more than one hidden layer; -DCLOSED=1: rows
   of any norms by the closed form, else by the tables.

   Every covariance is s_i s_j rho_ij; with (alpha_i, b) = s'_i (cos phi_i, sin phi_i) one layer is
       rho' = cos phi_i cos phi_j kappa(rho) / kappa(1) + sin phi_i sin phi_j
       1 - rho' = cos phi_i cos phi_j (kappa(1) - kappa(rho)) / kappa(1) + 2 sin((phi_i - phi_j) / 2)^2,
   and ratio = Theta / (s_i s_j). Where the tables are read at theta = arccos(rho), theta and 1 - |rho| are carried. */

#ifndef CLOSED
#define CLOSED 0
#endif
#if CLOSED
/* NUM is what a pair is computed in: a closed form is one of doubles */
typedef double NUM;
#define NUM_ACOS acos
#define NUM_ASIN asin
#define NUM_FABS fabs
#define NUM_SIN sin
#define NUM_SQRT sqrt
#define UNIT 1.0
#define FACTOR 1.0
#else
typedef REAL NUM;
#define NUM_ACOS ACOS
#define NUM_ASIN ASIN
#define NUM_FABS FABS
#define NUM_SIN SIN
#define NUM_SQRT SQRT
#define UNIT AT_ONE
#define FACTOR GAIN
#endif
#define ANGULAR (CLOSED || KAPPA_THETA || (TANGENT && SLOPE_THETA))
/* theta is folded into [0, pi/2] by kappa's parity where 1 - |rho| is carried on */
#define FOLDED (ANGULAR && DEEP && PARITY != 0)
#define SIGNED (FOLDED && PARITY == 1)

/* Blocks that the registers are to leave room for on a multiprocessor: enough reads in flight to fill the memory's time. */
#if CLOSED
#define BLOCKS_IN_FLIGHT 2
#elif ANGULAR || DEEP
#define BLOCKS_IN_FLIGHT 4
#else
#define BLOCKS_IN_FLIGHT 5
#endif

#define TILE 64
#define TILE_THREADS 256
#define BATCH 4
/* rows of a tile that its threads work on at once */
#define TILE_ROWS (TILE_THREADS / TILE)

/* The inputs (n, d) of one side as they came: row i stands for 2^-e_i (x_i, bias), scale = 2^-e_i. */
typedef struct {
    const REAL* rows;
    const double* scale;
    int d;
    double bias;
} Source;

/* What the layers need of one side, each of n entries: w R / sqrt(unit) of the last layer, with R^2 = T(x, x), then
   cos phi and `turn` of each before it: phi / 2 where theta is carried, else sin phi. By the closed form then s and R
   of every layer. */
typedef struct {
    const NUM* paths;
    int n;
} Side;

typedef struct {
    NUM rho, theta, gap, sign, ratio;
#if CLOSED
    /* log(s / s') at the inputs, where it is known better than from both */
    double apart;
#endif
} Pair;

#if ANGULAR
/* The angle between x and sign * y, both of length near 1, with a small relative error; 0 for zero rows.
   With d = x - y and s = x + y the parallelogram's area is |x| |y| sin(theta) = |s| |d - s <d, s> / <s, s>| / 2,
   where d of nearly equal rows is exact. */
APART double close_angle(Source left, Source right, int i, int j, double sign) {
    const REAL* x = left.rows + (size_type)i * (size_type)left.d;
    const REAL* y = right.rows + (size_type)j * (size_type)right.d;
    const double a = left.scale[i];
    const double b = sign * right.scale[j];
    double xx = 0.0, yy = 0.0, total = 0.0, cross = 0.0, rest = 0.0;
    for (int k = 0; k <= left.d; ++k) {
        const double u = a * (k < left.d ? (double)x[k] : left.bias);
        const double v = b * (k < left.d ? (double)y[k] : right.bias);
        xx += u * u;
        yy += v * v;
        total += (u + v) * (u + v);
        cross += (u - v) * (u + v);
    }
    if (!(total > 0.0)) {
        return 0.0;
    }
    const double part = cross / total;
    for (int k = 0; k <= left.d; ++k) {
        const double u = a * (k < left.d ? (double)x[k] : left.bias);
        const double v = b * (k < left.d ? (double)y[k] : right.bias);
        const double across = (u - v) - (u + v) * part;
        rest += across * across;
    }
    const double sine = sqrt(total * rest) / (2.0 * sqrt(xx * yy));
    return asin(sine < 1.0 ? sine : 1.0);
}
#endif

#if CLOSED
/* log(s / s') at the inputs where it is small, from <x - y, x + y> = |x|^2 - |y|^2; one scale for both, so that the
   difference is exact. */
APART double close_apart(Source left, Source right, int i, int j) {
    const REAL* x = left.rows + (size_type)i * (size_type)left.d;
    const REAL* y = right.rows + (size_type)j * (size_type)right.d;
    const double scale = left.scale[i];
    double cross = 0.0, square = 0.0;
    for (int k = 0; k <= left.d; ++k) {
        const double u = scale * (k < left.d ? (double)x[k] : left.bias);
        const double v = scale * (k < left.d ? (double)y[k] : right.bias);
        cross += (u - v) * (u + v);
        square += v * v;
    }
    const double change = cross / square;
    return fabs(change) < 0.5 ? 0.5 * log1p(change) : APART_UNKNOWN;
}

/* The two rows of a pair before one layer; `apart`: log(one / other) where it is known better than from both. */
typedef struct {
    double one, other, scale, apart;
} Rows;

INLINE NUM read_value(Pair pair, Rows rows) {
    return tau_of(rows.one, rows.other, pair.theta, rows.scale);
}

INLINE NUM read_drop(Pair pair, Rows rows) {
    return gap_of(rows.one, rows.other, pair.theta, read_value(pair, rows), rows.apart);
}

#if TANGENT
INLINE NUM read_slope(Pair pair, Rows rows) {
    return slope_of(rows.one, rows.other, pair.theta, rows.scale);
}
#endif
#else
typedef int Rows;

INLINE NUM read_value(Pair pair, Rows rows) {
    return kappa_at(pair.rho, pair.theta);
}

/* kappa(1) - kappa(rho), |rho| where theta is folded, with a small relative error as rho -> 1. */
INLINE NUM read_drop(Pair pair, Rows rows) {
#if DROP_THETA
    return drop_at(pair.rho, pair.theta);
#else
    return drop_at((NUM)1 - pair.gap, pair.theta) * pair.gap;
#endif
}

#if TANGENT
INLINE NUM read_slope(Pair pair, Rows rows) {
    return slope_at(pair.rho, pair.theta);
}
#endif
#endif

/* Whether theta of a product of unit rows has lost more digits than the goal allows. */
INLINE int is_close(REAL product) {
    return ANGULAR && FABS(product) > (REAL)1 - CLOSE;
}

/* A pair at the inputs, from its correlation, and where it is carried theta and 1 - rho, |rho| where folded. */
INLINE Pair start(NUM rho, NUM theta, NUM gap) {
    Pair pair;
    pair.rho = rho;
    pair.theta = theta;
    pair.gap = gap;
    pair.sign = (NUM)1;
#if CLOSED
    pair.apart = APART_UNKNOWN;
#endif
#if FOLDED && PARITY == 2
    /* an even kappa, an odd kappa_dot: the two signs of kappa_dot(rho) * rho cancel */
    pair.rho = NUM_FABS(rho);
#elif SIGNED
    pair.sign = rho < (NUM)0 ? (NUM)-1 : (NUM)1;
#endif
    pair.ratio = pair.rho;
    return pair;
}

INLINE Pair far_pair(NUM rho) {
#if ANGULAR
    const NUM read = FOLDED ? NUM_FABS(rho) : rho;
    return start(rho, NUM_ACOS(read), (NUM)1 - read);
#else
    return start(rho, rho, rho);
#endif
}

#if ANGULAR
/* Nearly parallel and antiparallel rows, from their difference. */
INLINE Pair close_pair(NUM rho, Source left, Source right, int i, int j) {
    const double sign = rho < (NUM)0 ? -1.0 : 1.0;
    const double angle = close_angle(left, right, i, j, sign);
    const double half = sin(0.5 * angle);
    const double small = 2.0 * half * half;
    const int far = !FOLDED && sign < 0.0;
    Pair pair =
        start((NUM)(sign * (1.0 - small)), (NUM)(far ? PI - angle : angle), (NUM)(far ? 2.0 - small : small));
#if CLOSED && DEEP
    /* where sigma jumps, 1 - tau grows like the rows' distance */
    if (JUMPS) {
        pair.apart = close_apart(left, right, i, j);
    }
#endif
    return pair;
}
#endif

#if DEEP && ANGULAR
INLINE NUM twice_squared_sine(NUM angle) {
    const NUM sine = NUM_SIN(angle);
    return (NUM)2 * sine * sine;
}

/* One hidden layer where theta matters: 1 - |rho'| from kappa(1) - kappa(rho), theta' from it. */
INLINE Pair layer_step(Pair pair, Rows rows, NUM cosines, NUM turn_i, NUM turn_j) {
    const NUM drop = read_drop(pair, rows);
#if TANGENT
    pair.ratio = pair.ratio * (read_slope(pair, rows) * cosines * (NUM)(FACTOR / UNIT));
#endif
    NUM gap = drop * (cosines / (NUM)UNIT) + twice_squared_sine(turn_i - turn_j);
#if SIGNED
    /* with a bias the sign may turn: both 1 - rho' and 1 + rho' of the folded rho are formed */
    const NUM other = ((NUM)(2 * UNIT) - drop) * (cosines / (NUM)UNIT);
    const NUM own = drop * (cosines / (NUM)UNIT);
    const NUM upper = (pair.sign < (NUM)0 ? other : own) + twice_squared_sine(turn_i - turn_j);
    const NUM lower = (pair.sign < (NUM)0 ? own : other) + twice_squared_sine(turn_i + turn_j);
    pair.sign = upper > lower ? (NUM)-1 : (NUM)1;
    gap = upper < lower ? upper : lower;
#endif
    pair.gap = gap;
    pair.rho = ((NUM)1 - gap) * pair.sign;
    gap = gap * (NUM)0.5;
    pair.theta = (NUM)2 * NUM_ASIN(NUM_SQRT(gap > (NUM)0 ? gap : (NUM)0));
#if TANGENT
    pair.ratio = pair.ratio + pair.rho;
#endif
    return pair;
}
#elif DEEP
/* One hidden layer where kappa and kappa_dot are analytic in rho on [-1, 1]. */
INLINE Pair layer_step(Pair pair, Rows rows, NUM cosines, NUM turn_i, NUM turn_j) {
    const NUM value = read_value(pair, rows);
#if TANGENT
    pair.ratio = pair.ratio * (read_slope(pair, rows) * cosines * (NUM)(FACTOR / UNIT));
#endif
    pair.rho = value * (cosines / (NUM)UNIT) + turn_i * turn_j;
#if TANGENT
    pair.ratio = pair.ratio + pair.rho;
#endif
    return pair;
}
#endif

INLINE Rows rows_at(Side left, Side right, int i, int j, int layers, int layer) {
#if CLOSED
    const size_type row = (size_type)(1 + 2 * (layers + layer)) * (size_type)left.n + (size_type)i;
    const size_type column = (size_type)(1 + 2 * (layers + layer)) * (size_type)right.n + (size_type)j;
    Rows rows;
    rows.one = left.paths[row];
    rows.other = right.paths[column];
    rows.scale = left.paths[row + (size_type)left.n] * right.paths[column + (size_type)right.n];
    rows.apart = APART_UNKNOWN;
    return rows;
#else
    return 0;
#endif
}

/* K_L or Theta_L of rows i and j, from the pair that they are at the inputs. */
INLINE NUM entry(Pair pair, Side left, Side right, int i, int j, int layers, NUM offset) {
    Rows rows = rows_at(left, right, i, j, layers, 0);
#if CLOSED
    rows.apart = pair.apart;
#endif
#if DEEP
    for (int l = 0; l < layers; ++l) {
        const size_type row = (size_type)(2 * l + 1) * (size_type)left.n + (size_type)i;
        const size_type column = (size_type)(2 * l + 1) * (size_type)right.n + (size_type)j;
        pair = layer_step(pair, rows, left.paths[row] * right.paths[column], left.paths[row + (size_type)left.n],
                          right.paths[column + (size_type)right.n]);
        rows = rows_at(left, right, i, j, layers, l + 1);
    }
#endif
    NUM value = read_value(pair, rows);
#if SIGNED && (CLOSED || KAPPA_THETA)
    value = value * pair.sign;
#endif
#if TANGENT
    value = value + read_slope(pair, rows) * pair.ratio * (NUM)FACTOR;
#endif
    return value * left.paths[i] * right.paths[j] + offset;
}

/* In place, tile by tile: matrix (rows, columns) holds the products of unit rows and is left with the kernel.
   `symmetric`: the blocks are the tiles on and above the diagonal, numbered row by row from the end; what they write
   below it mirrors what they write above, and the diagonal is `moments`. */
KERNEL __launch_bounds__(TILE_THREADS, BLOCKS_IN_FLIGHT)
pairs(REAL* __restrict__ matrix, int symmetric, const double* __restrict__ moments, const REAL* __restrict__ x_rows,
      const REAL* __restrict__ y_rows, const double* __restrict__ x_scale, const double* __restrict__ y_scale, int d,
      double bias, const NUM* __restrict__ left_paths, const NUM* __restrict__ right_paths, int rows, int columns,
      int layers, double offset) {
    __shared__ REAL mirror[TILE][TILE + 1];
    const Source x = {x_rows, x_scale, d, bias};
    const Source y = {y_rows, y_scale, d, bias};
    const Side left = {left_paths, rows};
    const Side right = {right_paths, columns};
    const int across = (columns + TILE - 1) / TILE;
    int tile_row, tile_column;
    if (symmetric) {
        /* of a triangle with its short side first, row r starts at r (r + 1) / 2 */
        const long long block = (long long)blockIdx.x;
        long long r = (long long)((sqrt(8.0 * (double)block + 1.0) - 1.0) * 0.5);
        while (r * (r + 1) / 2 > block) {
            --r;
        }
        while ((r + 1) * (r + 2) / 2 <= block) {
            ++r;
        }
        tile_row = across - 1 - (int)r;
        tile_column = tile_row + (int)(block - r * (r + 1) / 2);
    } else {
        tile_row = (int)((long long)blockIdx.x / across);
        tile_column = (int)((long long)blockIdx.x % across);
    }
    EACH_THREAD {
        const int lane = (int)threadIdx.x % TILE;
        const int j = tile_column * TILE + lane;
        const int base = (int)threadIdx.x / TILE;
        unsigned close = 0u;
        for (int first = 0; j < columns && first < TILE / TILE_ROWS; first += BATCH) {
            /* all reads of a batch before its writes, which a compiler could not exchange */
            REAL products[BATCH];
#pragma unroll
            for (int k = 0; k < BATCH; ++k) {
                const int i = tile_row * TILE + base + (first + k) * TILE_ROWS;
                products[k] = i < rows ? matrix[(size_type)i * (size_type)columns + (size_type)j] : (REAL)0;
            }
#pragma unroll
            for (int k = 0; k < BATCH; ++k) {
                const int within = base + (first + k) * TILE_ROWS;
                const int i = tile_row * TILE + within;
                const int diagonal = symmetric && i == j;
                if (i >= rows || (symmetric && i > j)) {
                    continue;
                }
                if (is_close(products[k]) && !diagonal) {
                    close |= 1u << (first + k);
                    continue;
                }
                const REAL value =
                    diagonal ? (REAL)moments[i]
                             : (REAL)entry(far_pair((NUM)products[k]), left, right, i, j, layers, (NUM)offset);
                matrix[(size_type)i * (size_type)columns + (size_type)j] = value;
                mirror[lane][within] = value;
            }
        }
#if ANGULAR
        /* apart, so that the registers of the rare pairs are not those of all */
        for (int step = 0; close != 0u; ++step, close >>= 1) {
            if (close & 1u) {
                const int within = base + step * TILE_ROWS;
                const int i = tile_row * TILE + within;
                REAL* place = matrix + ((size_type)i * (size_type)columns + (size_type)j);
                const Pair pair = close_pair((NUM)*place, x, y, i, j);
                *place = (REAL)entry(pair, left, right, i, j, layers, (NUM)offset);
                mirror[lane][within] = *place;
            }
        }
#endif
    }
    if (!symmetric) {
        return;
    }
    __syncthreads();
    EACH_THREAD {
        const int lane = (int)threadIdx.x % TILE;
        const int j = tile_row * TILE + lane;
        for (int within = (int)threadIdx.x / TILE; within < TILE; within += TILE_ROWS) {
            const int i = tile_column * TILE + within;
            if (j < rows && i < columns && i > j) {
                matrix[(size_type)i * (size_type)columns + (size_type)j] = mirror[within][lane];
            }
        }
    }
}
