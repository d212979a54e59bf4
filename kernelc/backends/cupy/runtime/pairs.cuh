/* The pairs of a kernel matrix: from the correlations of unit rows through every layer, each entry read once and
   written once. -DTANGENT=1: the NTK, else the NNGP; -DDEEP=1: more than one hidden layer.

   Every covariance is s_i s_j rho_ij; with (alpha_i, b) = s'_i (cos phi_i, sin phi_i) one layer is
       rho' = cos phi_i cos phi_j kappa(rho) / kappa(1) + sin phi_i sin phi_j
       1 - rho' = cos phi_i cos phi_j (kappa(1) - kappa(rho)) / kappa(1) + 2 sin((phi_i - phi_j) / 2)^2,
   and ratio = Theta / (s_i s_j). Where the tables are read at theta = arccos(rho), theta and 1 - |rho| are carried. */

#define ANGULAR (KAPPA_THETA || (TANGENT && SLOPE_THETA))
/* theta is folded into [0, pi/2] by kappa's parity where 1 - |rho| is carried on */
#define FOLDED (ANGULAR && DEEP && PARITY != 0)
#define SIGNED (FOLDED && PARITY == 1)

#define TILE 64
#define TILE_THREADS 256
#define BATCH 4

/* The inputs (n, d) of one side as they came: row i stands for 2^-e_i (x_i, bias), scale = 2^-e_i. */
typedef struct {
    const REAL* rows;
    const double* scale;
    int d;
    double bias;
} Source;

/* What the layers need of one side: w (s^2 / q)^(p/2) of the last layer, then cos phi and `turn` of each before it:
   phi / 2 where theta is carried, else sin phi. Each has n entries. */
typedef struct {
    const REAL* paths;
    int n;
} Side;

typedef struct {
    REAL rho, theta, gap, sign, ratio;
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

/* A pair at the inputs; nearly parallel and antiparallel ones from their differences. */
INLINE Pair first_pair(REAL rho, Source left, Source right, int i, int j) {
    Pair pair;
    pair.rho = rho;
    pair.theta = rho;
    pair.gap = rho;
    pair.sign = (REAL)1;
#if ANGULAR
    const REAL size = FABS(rho);
    if (size > (REAL)1 - CLOSE) {
        const double sign = rho < (REAL)0 ? -1.0 : 1.0;
        const double angle = close_angle(left, right, i, j, sign);
        const double half = sin(0.5 * angle);
        const double small = 2.0 * half * half;
        const int far = !FOLDED && sign < 0.0;
        pair.rho = (REAL)(sign * (1.0 - small));
        pair.theta = (REAL)(far ? PI - angle : angle);
        pair.gap = (REAL)(far ? 2.0 - small : small);
    } else {
        pair.theta = ACOS(FOLDED ? size : rho);
        pair.gap = (REAL)1 - (FOLDED ? size : rho);
    }
#if FOLDED && PARITY == 2
    /* an even kappa, an odd kappa_dot: the two signs of kappa_dot(rho) * rho cancel */
    pair.rho = FABS(pair.rho);
#elif SIGNED
    pair.sign = pair.rho < (REAL)0 ? (REAL)-1 : (REAL)1;
#endif
#endif
    pair.ratio = pair.rho;
    return pair;
}

#if DEEP && ANGULAR
/* kappa(1) - kappa(rho), |rho| where theta is folded, with a small relative error as rho -> 1. */
INLINE REAL drop_of(Pair pair) {
#if DROP_THETA
    return drop_at(pair.rho, pair.theta);
#else
    return drop_at((REAL)1 - pair.gap, pair.theta) * pair.gap;
#endif
}

INLINE REAL twice_squared_sine(REAL angle) {
    const REAL sine = SIN(angle);
    return (REAL)2 * sine * sine;
}

/* One hidden layer where theta matters: 1 - |rho'| from kappa(1) - kappa(rho), theta' from it. */
INLINE Pair layer_step(Pair pair, REAL cosines, REAL turn_i, REAL turn_j) {
    const REAL drop = drop_of(pair);
#if TANGENT
    pair.ratio = pair.ratio * (slope_at(pair.rho, pair.theta) * cosines * (REAL)(GAIN / AT_ONE));
#endif
    REAL gap = drop * (cosines / (REAL)AT_ONE) + twice_squared_sine(turn_i - turn_j);
#if SIGNED
    /* with a bias the sign may turn: both 1 - rho' and 1 + rho' of the folded rho are formed */
    const REAL other = ((REAL)(2 * AT_ONE) - drop) * (cosines / (REAL)AT_ONE);
    const REAL own = drop * (cosines / (REAL)AT_ONE);
    const REAL upper = (pair.sign < (REAL)0 ? other : own) + twice_squared_sine(turn_i - turn_j);
    const REAL lower = (pair.sign < (REAL)0 ? own : other) + twice_squared_sine(turn_i + turn_j);
    pair.sign = upper > lower ? (REAL)-1 : (REAL)1;
    gap = upper < lower ? upper : lower;
#endif
    pair.gap = gap;
    pair.rho = ((REAL)1 - gap) * pair.sign;
    gap = gap * (REAL)0.5;
    pair.theta = (REAL)2 * ASIN(SQRT(gap > (REAL)0 ? gap : (REAL)0));
#if TANGENT
    pair.ratio = pair.ratio + pair.rho;
#endif
    return pair;
}
#elif DEEP
/* One hidden layer where kappa and kappa_dot are analytic in rho on [-1, 1]. */
INLINE Pair layer_step(Pair pair, REAL cosines, REAL turn_i, REAL turn_j) {
    const REAL value = kappa_at(pair.rho, pair.theta);
#if TANGENT
    pair.ratio = pair.ratio * (slope_at(pair.rho, pair.theta) * cosines * (REAL)(GAIN / AT_ONE));
#endif
    pair.rho = value * (cosines / (REAL)AT_ONE) + turn_i * turn_j;
#if TANGENT
    pair.ratio = pair.ratio + pair.rho;
#endif
    return pair;
}
#endif

/* K_L or Theta_L of rows i and j, from their correlation as the product of unit rows. */
INLINE REAL entry(REAL rho, Source x, Source y, Side left, Side right, int i, int j, int layers, REAL offset) {
    Pair pair = first_pair(rho, x, y, i, j);
#if DEEP
    for (int l = 0; l < layers; ++l) {
        const size_type row = (size_type)(2 * l + 1) * (size_type)left.n + (size_type)i;
        const size_type column = (size_type)(2 * l + 1) * (size_type)right.n + (size_type)j;
        pair = layer_step(pair, left.paths[row] * right.paths[column], left.paths[row + (size_type)left.n],
                          right.paths[column + (size_type)right.n]);
    }
#endif
    REAL value = kappa_at(pair.rho, pair.theta);
#if SIGNED && KAPPA_THETA
    value = value * pair.sign;
#endif
#if TANGENT
    value = value + slope_at(pair.rho, pair.theta) * pair.ratio * (REAL)GAIN;
#endif
    return value * left.paths[i] * right.paths[j] + offset;
}

/* In place, tile by tile: matrix (rows, columns) holds the products of unit rows and is left with the kernel.
   `symmetric`: the blocks are the tiles on and above the diagonal, numbered row by row from the end; what they write
   below it mirrors what they write above, and the diagonal is `moments`. */
KERNEL pairs(REAL* __restrict__ matrix, int symmetric, const double* __restrict__ moments,
             const REAL* __restrict__ x_rows, const REAL* __restrict__ y_rows, const double* __restrict__ x_scale,
             const double* __restrict__ y_scale, int d, double bias, const REAL* __restrict__ left_paths,
             const REAL* __restrict__ right_paths, int rows, int columns, int layers, double offset) {
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
        for (int first = (int)threadIdx.x / TILE; j < columns && first < TILE; first += BATCH * (TILE_THREADS / TILE)) {
            REAL products[BATCH];
#pragma unroll
            for (int k = 0; k < BATCH; ++k) {
                const int i = tile_row * TILE + first + k * (TILE_THREADS / TILE);
                products[k] = i < rows ? matrix[(size_type)i * (size_type)columns + (size_type)j] : (REAL)0;
            }
#pragma unroll
            for (int k = 0; k < BATCH; ++k) {
                const int within = first + k * (TILE_THREADS / TILE);
                const int i = tile_row * TILE + within;
                if (i >= rows || (symmetric && i > j)) {
                    continue;
                }
                REAL value;
                if (symmetric && i == j) {
                    value = (REAL)moments[i];
                } else {
                    value = entry(products[k], x, y, left, right, i, j, layers, (REAL)offset);
                }
                matrix[(size_type)i * (size_type)columns + (size_type)j] = value;
                mirror[lane][within] = value;
            }
        }
    }
    if (!symmetric) {
        return;
    }
    __syncthreads();
    EACH_THREAD {
        const int lane = (int)threadIdx.x % TILE;
        const int j = tile_row * TILE + lane;
        for (int within = (int)threadIdx.x / TILE; within < TILE; within += TILE_THREADS / TILE) {
            const int i = tile_column * TILE + within;
            if (j < rows && i < columns && i > j) {
                matrix[(size_type)i * (size_type)columns + (size_type)j] = mirror[within][lane];
            }
        }
    }
}
