/* One pair of rows at the inputs: its correlation, and where the tables are read at theta = arccos(rho) also theta and
   1 - |rho|, which nearly parallel rows have from their difference.

   -DTANGENT=1: the NTK, else the NNGP; -DDEEP=1: more than one hidden layer; -DCLOSED=1: rows of any norms by the
   closed form; -DNORMS=1: by the tables for a range of norms; else by those for one. */

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

/* The inputs (n, d) of one side as they came: row i stands for 2^-e_i (x_i, bias), scale = 2^-e_i. */
typedef struct {
    const REAL* rows;
    const double* scale;
    int d;
    double bias;
} Source;

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
