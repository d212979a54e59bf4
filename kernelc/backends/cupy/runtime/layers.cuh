/* The layers of one pair: every covariance is s_i s_j rho_ij; with (alpha_i, b) = s'_i (cos phi_i, sin phi_i) one is
       rho' = cos phi_i cos phi_j kappa(rho) / kappa(1) + sin phi_i sin phi_j
       1 - rho' = cos phi_i cos phi_j (kappa(1) - kappa(rho)) / kappa(1) + 2 sin((phi_i - phi_j) / 2)^2,
   and ratio = Theta / (s_i s_j). */

/* What the layers need of one side, each of n entries: w R / sqrt(unit) of the last layer, with R^2 = T(x, x), then
   cos phi and `turn` of each before it: phi / 2 where theta is carried, else sin phi. By the closed form then s and R
   of every layer. */
typedef struct {
    const NUM* paths;
    int n;
} Side;

#if CLOSED
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
