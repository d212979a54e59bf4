/* The pairs of a kernel matrix: from the correlations of unit rows through every layer, each entry read once and
   written once. -DTANGENT=1: the NTK, else the NNGP; -DDEEP=1: more than one hidden layer; -DCLOSED=1: rows
   of any norms by the closed form; -DNORMS=1: by the tables for a range of norms; else by those for one.

   Every covariance is s_i s_j rho_ij; with (alpha_i, b) = s'_i (cos phi_i, sin phi_i) one layer is
       rho' = cos phi_i cos phi_j kappa(rho) / kappa(1) + sin phi_i sin phi_j
       1 - rho' = cos phi_i cos phi_j (kappa(1) - kappa(rho)) / kappa(1) + 2 sin((phi_i - phi_j) / 2)^2,
   and ratio = Theta / (s_i s_j). Where the tables are read at theta = arccos(rho), theta and 1 - |rho| are carried. */

#if CLOSED
/* NUM is what a pair is computed in: a closed form is one of doubles */
typedef double NUM;
#define NUM_FABS fabs
#define NUM_SIN sin
#else
typedef REAL NUM;
#define NUM_FABS FABS
#define NUM_SIN SIN
#endif
#if CLOSED || NORMS
#define UNIT 1.0
#define FACTOR 1.0
#else
#define UNIT AT_ONE
#define FACTOR GAIN
#endif
#define ANGULAR (CLOSED || NORMS || KAPPA_THETA || (TANGENT && SLOPE_THETA))
/* theta is folded into [0, pi/2] by kappa's parity where 1 - |rho| is carried on */
#define FOLDED (ANGULAR && DEEP && PARITY != 0)
#define SIGNED (FOLDED && PARITY == 1)

/* Blocks that the registers are to leave room for on a multiprocessor: enough reads in flight to fill the memory's time. */
#if CLOSED
#define BLOCKS_IN_FLIGHT 2
#elif NORMS || (DEEP && !SINGLE)
#define BLOCKS_IN_FLIGHT 3
#elif ANGULAR || DEEP || !SINGLE
#define BLOCKS_IN_FLIGHT 4
#else
#define BLOCKS_IN_FLIGHT 5
#endif

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
#if SINGLE && !CLOSED
/* arccos(1 - gap), gap in [0, 2], within two spacings: sqrt(gap) P(gap) up to 1, P economised from 40 Chebyshev
   coefficients of arccos(1 - gap) / sqrt(gap) computed to 40 digits (2.5e-8 left out). */
INLINE float angle_of(float gap) {
    const float rest = 2.0f - gap;
    const float g = gap < rest ? gap : rest;
    float value = 0.0012370049f;
    value = value * g - 0.0020781488f;
    value = value * g + 0.0034572624f;
    value = value * g + 0.0013990023f;
    value = value * g + 0.008244196f;
    value = value * g + 0.026470002f;
    value = value * g + 0.11785344f;
    value = value * g + 1.4142135f;
    value = value * sqrtf(g);
    return gap < rest ? value : (float)PI - value;
}

INLINE float angle_at(float rho, float gap) {
    return angle_of(gap);
}
#else
/* arccos(1 - gap), gap in [0, 2]. */
INLINE double angle_of(double gap) {
    return 2.0 * asin(sqrt(0.5 * gap));
}

/* The same where rho = 1 - gap is not near 1: arccos(rho). */
INLINE double angle_at(double rho, double gap) {
    return acos(rho);
}
#endif

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
#elif !NORMS
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
    return start(rho, angle_at(read, (NUM)1 - read), (NUM)1 - read);
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
INLINE Pair layer_step(Pair pair, NUM drop, NUM slope, NUM cosines, NUM turn_i, NUM turn_j) {
#if TANGENT
    pair.ratio = pair.ratio * (slope * cosines * (NUM)(FACTOR / UNIT));
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
    pair.theta = angle_of(gap > (NUM)0 ? gap : (NUM)0);
#if TANGENT
    pair.ratio = pair.ratio + pair.rho;
#endif
    return pair;
}
#elif DEEP
/* One hidden layer where kappa and kappa_dot are analytic in rho on [-1, 1]. */
INLINE Pair layer_step(Pair pair, NUM value, NUM slope, NUM cosines, NUM turn_i, NUM turn_j) {
#if TANGENT
    pair.ratio = pair.ratio * (slope * cosines * (NUM)(FACTOR / UNIT));
#endif
    pair.rho = value * (cosines / (NUM)UNIT) + turn_i * turn_j;
#if TANGENT
    pair.ratio = pair.ratio + pair.rho;
#endif
    return pair;
}
#endif

/* K_L or Theta_L over the last weights of row and column, without what the bias adds. */
INLINE NUM last_step(Pair pair, NUM value, NUM slope) {
#if SIGNED && (CLOSED || NORMS || KAPPA_THETA)
    value = value * pair.sign;
#endif
#if TANGENT
    value = value + slope * pair.ratio * (NUM)FACTOR;
#endif
    return value;
}

#if !NORMS
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

#if TANGENT
#define SLOPE_READ read_slope(pair, rows)
#else
#define SLOPE_READ (NUM)0
#endif

/* K_L or Theta_L of rows i and j, from the pair that they are at the inputs; `last`: the column's of the last layer. */
INLINE NUM entry(Pair pair, Side left, Side right, int i, int j, int layers, NUM last, NUM offset) {
    Rows rows = rows_at(left, right, i, j, layers, 0);
#if CLOSED
    rows.apart = pair.apart;
#endif
#if DEEP
    const NUM* down = left.paths + left.n + i;
    const NUM* across = right.paths + right.n + j;
    for (int l = 0; l < layers; ++l) {
        const NUM read = ANGULAR ? read_drop(pair, rows) : read_value(pair, rows);
        const NUM slope = SLOPE_READ;
        const NUM cosines = *down * *across;
        down += left.n;
        across += right.n;
        pair = layer_step(pair, read, slope, cosines, *down, *across);
        down += left.n;
        across += right.n;
        rows = rows_at(left, right, i, j, layers, l + 1);
    }
#endif
    return last_step(pair, read_value(pair, rows), SLOPE_READ) * left.paths[i] * last + offset;
}
#endif

/* One thread's part of a tile: column j from row `top` on, every TILE_ROWS-th. */
typedef struct {
    REAL* matrix;
    const double* moments;
    Side left, right;
    int symmetric, layers, top, j;
    NUM offset;
#if NORMS
    Norms norms;
#endif
} Column;

#if NORMS
/* The entries of BATCH pairs of the column, rows i, i + spacing, ..., from what they are at the inputs. */
INLINE void entries(Column column, Pair* pairs, int i, int spacing, NUM last, NUM* out) {
    NUM z[BATCH], value[BATCH], slope[BATCH];
    int row[BATCH];
    for (int k = 0; k < BATCH; ++k) {
        /* beyond the last row the entry is of no use */
        row[k] = i + k * spacing < column.left.n ? i + k * spacing : column.left.n - 1;
        slope[k] = (NUM)0;
    }
    for (int l = 0;; ++l) {
        for (int k = 0; k < BATCH; ++k) {
            z[k] = norm_angle(column.norms, pairs[k].theta);
        }
        norm_sum(column.norms, column.norms.value, l, i, spacing, column.j, z, value);
#if TANGENT
        norm_sum(column.norms, column.norms.slope, l, i, spacing, column.j, z, slope);
#endif
        if (l == column.layers) {
            break;
        }
#if DEEP
        const NUM* down = column.left.paths + (size_type)(2 * l + 1) * (size_type)column.left.n;
        const NUM* across = column.right.paths + (size_type)(2 * l + 1) * (size_type)column.right.n + column.j;
        for (int k = 0; k < BATCH; ++k) {
            NUM drop = (NUM)1 - value[k];
#if !SMOOTH && HAS_SLOPE
            if (drop < SMALL_GAP) {
                drop = norm_gap(column.norms, l, row[k], column.j, pairs[k].theta);
            }
#endif
            pairs[k] = layer_step(pairs[k], drop, slope[k], down[row[k]] * across[0], down[column.left.n + row[k]],
                                  across[column.right.n]);
        }
#endif
    }
    for (int k = 0; k < BATCH; ++k) {
        out[k] = last_step(pairs[k], value[k], slope[k]) * column.left.paths[row[k]] * last + column.offset;
    }
}
#endif

/* Its pairs but the close ones, whose bits are returned; `mirror`: where the transpose of the tile keeps them. `inside`,
   a constant where it is called: the tile lies whole within the matrix and off its diagonal. */
INLINE unsigned far_pairs(Column column, REAL* mirror, int inside) {
    const int rows = column.left.n, j = column.j;
    const size_type stride = (size_type)TILE_ROWS * (size_type)column.right.n;
    const NUM last = column.right.paths[j];
    REAL* place = column.matrix + ((size_type)column.top * (size_type)column.right.n + (size_type)j);
    unsigned close = 0u;
#pragma unroll 1
    for (int first = 0; first < STEPS; first += BATCH) {
        /* all reads of a batch before its writes, which a compiler could not exchange */
        REAL products[BATCH];
        unsigned found = 0u;
        const REAL* from = place;
#pragma unroll
        for (int k = 0; k < BATCH; ++k) {
            products[k] = inside || column.top + (first + k) * TILE_ROWS < rows ? *from : (REAL)0;
            from += stride;
        }
#if NORMS
        Pair pairs[BATCH];
        NUM values[BATCH];
        for (int k = 0; k < BATCH; ++k) {
            pairs[k] = far_pair(products[k]);
        }
        entries(column, pairs, column.top + first * TILE_ROWS, TILE_ROWS, last, values);
#endif
#pragma unroll
        for (int k = 0; k < BATCH; ++k) {
            const int i = column.top + (first + k) * TILE_ROWS;
            const int diagonal = !inside && column.symmetric && i == j;
            if (inside || (i < rows && !(column.symmetric && i > j))) {
                if (is_close(products[k]) && !diagonal) {
                    found |= 1u << k;
                } else {
#if NORMS
                    const REAL value = diagonal ? (REAL)column.moments[i] : values[k];
#else
                    const REAL value = diagonal ? (REAL)column.moments[i]
                                                : (REAL)entry(far_pair((NUM)products[k]), column.left, column.right, i, j,
                                                              column.layers, last, column.offset);
#endif
                    *place = value;
                    mirror[(first + k) * TILE_ROWS] = value;
                }
            }
            place += stride;
        }
        close |= found << first;
    }
    return close;
}

#if ANGULAR
/* What it left; apart, so that the registers of the rare pairs are not those of all. */
INLINE void close_pairs(Column column, REAL* mirror, unsigned close, Source x, Source y) {
    const int j = column.j;
    for (int step = 0; close != 0u; ++step, close >>= 1) {
        if (close & 1u) {
            const int i = column.top + step * TILE_ROWS;
            REAL* place = column.matrix + ((size_type)i * (size_type)column.right.n + (size_type)j);
            const Pair pair = close_pair((NUM)*place, x, y, i, j);
#if NORMS
            Pair pairs[BATCH];
            NUM values[BATCH];
            for (int k = 0; k < BATCH; ++k) {
                pairs[k] = pair;
            }
            entries(column, pairs, i, 0, column.right.paths[j], values);
            *place = values[0];
#else
            *place = (REAL)entry(pair, column.left, column.right, i, j, column.layers, column.right.paths[j],
                                 column.offset);
#endif
            mirror[step * TILE_ROWS] = *place;
        }
    }
}
#endif

/* In place, tile by tile: matrix (rows, columns) holds the products of unit rows and is left with the kernel.
   `symmetric`: the blocks are the tiles on and above the diagonal, numbered row by row from the end; what they write
   below it mirrors what they write above, and the diagonal is `moments`. */
KERNEL __launch_bounds__(TILE_THREADS, BLOCKS_IN_FLIGHT)
pairs(REAL* __restrict__ matrix, int symmetric, const double* __restrict__ moments, const REAL* __restrict__ x_rows,
      const REAL* __restrict__ y_rows, const double* __restrict__ x_scale, const double* __restrict__ y_scale, int d,
      double bias, const NUM* __restrict__ left_paths, const NUM* __restrict__ right_paths, int rows, int columns,
      int layers, NUM offset
#if NORMS
      ,
      const REAL* __restrict__ left_factors, const REAL* __restrict__ right_factors, const double* __restrict__ left_norms,
      const double* __restrict__ right_norms, const double* __restrict__ aligned, const int* __restrict__ ends, int terms,
      int parity, int terms_dot, int parity_dot, int left_padded, int right_padded,
      double width
#endif
) {
    __shared__ REAL mirror[TILE][TILE + 1];
    const Source x = {x_rows, x_scale, d, bias};
    const Source y = {y_rows, y_scale, d, bias};
    const Side left = {left_paths, rows};
    const Side right = {right_paths, columns};
#if NORMS
    const int ranks = ends[terms + terms_dot - 1];
    const NormTerms value = {ends, 0, terms, parity};
    const NormTerms slope = {ends + terms, ends[terms - 1], terms_dot, parity_dot};
    const Norms norms = {left_factors, right_factors, left_norms, right_norms, aligned, value, slope, left_padded,
                         right_padded, ranks, rows, columns, (REAL)width};
#endif
    const unsigned across = (unsigned)(columns + TILE - 1) / TILE;
    unsigned tile_row = blockIdx.x / across, tile_column = blockIdx.x % across;
    if (symmetric) {
        /* of a triangle with its short side first, row r starts at r (r + 1) / 2 */
        unsigned r = (unsigned)((sqrtf(8.0f * (float)blockIdx.x + 1.0f) - 1.0f) * 0.5f);
        while (r * (r + 1) / 2 > blockIdx.x) {
            --r;
        }
        while ((r + 1) * (r + 2) / 2 <= blockIdx.x) {
            ++r;
        }
        tile_row = across - 1 - r;
        tile_column = tile_row + (blockIdx.x - r * (r + 1) / 2);
    }
    const int top = (int)tile_row * TILE, first = (int)tile_column * TILE;
    const int inside = top + TILE <= rows && first + TILE <= columns && !(symmetric && top == first);
    EACH_THREAD {
        const int lane = (int)threadIdx.x % TILE;
        const int base = (int)threadIdx.x / TILE;
        const Column column = {matrix, moments, left, right, symmetric, layers, top + base, first + lane, offset
#if NORMS
                               ,
                               norms
#endif
        };
        unsigned close = 0u;
#if !CLOSED && !NORMS
        /* others cost so much more than these questions that they are written out once */
        if (inside) {
            close = far_pairs(column, &mirror[lane][base], 1);
        } else
#endif
        if (column.j < columns) {
            close = far_pairs(column, &mirror[lane][base], 0);
        }
#if ANGULAR
        close_pairs(column, &mirror[lane][base], close, x, y);
#endif
    }
    if (!symmetric) {
        return;
    }
    __syncthreads();
    EACH_THREAD {
        const int lane = (int)threadIdx.x % TILE;
        const int base = (int)threadIdx.x / TILE;
        const int j = top + lane;
        const size_type stride = (size_type)TILE_ROWS * (size_type)columns;
        REAL* place = matrix + ((size_type)(first + base) * (size_type)columns + (size_type)j);
        if (inside) {
#pragma unroll
            for (int step = 0; step < STEPS; ++step) {
                *place = mirror[base + step * TILE_ROWS][lane];
                place += stride;
            }
        } else {
            for (int step = 0; step < STEPS; ++step) {
                const int i = first + base + step * TILE_ROWS;
                if (j < rows && i < columns && i > j) {
                    *place = mirror[base + step * TILE_ROWS][lane];
                }
                place += stride;
            }
        }
    }
}
