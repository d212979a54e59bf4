/* T(q11, q12, q22) and Tdot elementwise, of doubles. One pass: values, and `bad` set where an argument is none.
   By the closed form where there is one (CLOSED_DUAL, CLOSED_SLOPE), else by homogeneity from the compiled variance. */

#define VARIANCE_SLACK 64
#define COVARIANCE_SLACK 8

/* rho = q12 / sqrt(q11 q22), clipped to [-1, 1]; 0 where a variance is 0. */
INLINE double correlation(double q11, double q12, double q22) {
    if (q11 == 0.0 || q22 == 0.0) {
        return 0.0;
    }
    const double rho = q12 / sqrt(q11) / sqrt(q22);
    return rho > 1.0 ? 1.0 : rho < -1.0 ? -1.0 : rho;
}

INLINE int outside(double q, double low, double high, int zero) {
    return (q < low || q > high) && !(zero && q == 0.0);
}

/* Variances at which nothing was compiled, `slope` for Tdot. */
INLINE int no_variance(double q, double eps, int slope) {
    if (slope ? CLOSED_SLOPE : CLOSED_DUAL) {
        const int zero = slope ? SLOPE_ZERO_AT_ORIGIN : DUAL_ZERO_AT_ORIGIN;
        if (q == 0.0 && !(slope ? SLOPE_AT_ORIGIN : DUAL_AT_ORIGIN)) {
            return 1;
        }
        return !HOMOGENEOUS && outside(q, slope ? SLOPE_LOW : DUAL_LOW, slope ? SLOPE_HIGH : DUAL_HIGH, zero);
    }
    if (!HOMOGENEOUS) {
        /* where there are tables for a range of norms, only the compiled variance itself is served here */
        return fabs(q - GAIN) > VARIANCE_SLACK * (HAS_NORMS ? 2.220446049250313e-16 : eps) * GAIN;
    }
    if (slope) {
        return DEGREE > 0.0 && DEGREE < 1.0 && q == 0.0;
    }
    return DEGREE == 0.0 && !CONSTANT_KAPPA && q == 0.0;
}

/* (q / variance)^(exponent / 2). */
INLINE double power_of(double q, double exponent) {
    return exponent == 0.0 ? 1.0 : exponent == 1.0 ? sqrt(q / GAIN) : pow(sqrt(q / GAIN), exponent);
}

/* The closed form at variances scaled into [1, 4) by powers of two, which is exact, where it is homogeneous. */
#define BY_CLOSED_FORM(form, power)                                                                          \
    if (HOMOGENEOUS) {                                                                                       \
        int first, second;                                                                                   \
        frexp(q11, &first);                                                                                  \
        frexp(q22, &second);                                                                                 \
        first = (first - 1) >> 1;                                                                            \
        second = (second - 1) >> 1;                                                                          \
        const double cross = ldexp(ldexp(q12, -first), -second);                                             \
        return ldexp(form(ldexp(q11, -2 * first), cross, ldexp(q22, -2 * second)), (power) * (first + second)); \
    }                                                                                                        \
    return form(q11, q12, q22);

INLINE double dual_of(double q11, double q12, double q22) {
#if CLOSED_DUAL
    BY_CLOSED_FORM(closed_dual, POWER)
#else
    const double rho = correlation(q11, q12, q22);
    const double value = (double)value_of((REAL)rho, 0);
    return HOMOGENEOUS ? value * power_of(q11, DEGREE) * power_of(q22, DEGREE) : value;
#endif
}

#if HAS_SLOPE
INLINE double dual_dot_of(double q11, double q12, double q22) {
#if CLOSED_SLOPE
    BY_CLOSED_FORM(closed_slope, POWER - 1)
#else
    const double rho = correlation(q11, q12, q22);
    const double value = (double)value_of((REAL)rho, 1);
    return HOMOGENEOUS && DEGREE != 0.0 ? value * power_of(q11, DEGREE - 1.0) * power_of(q22, DEGREE - 1.0) : value;
#endif
}
#endif

/* `slope`: Tdot; eps, largest: of the dtype that was passed and is returned. */
KERNEL duals(const double* __restrict__ q11, const double* __restrict__ q12, const double* __restrict__ q22,
             double* __restrict__ out, size_type n, int slope, double eps, double largest, int* __restrict__ bad) {
    EACH_THREAD {
        const size_type step = (size_type)gridDim.x * (size_type)blockDim.x;
        for (size_type k = (size_type)blockIdx.x * (size_type)blockDim.x + (size_type)threadIdx.x; k < n; k += step) {
            const double a = q11[k], b = q22[k];
            double c = q12[k];
            const double limit = sqrt(a) * sqrt(b);
            /* a NaN and an infinity fail these too: no product of finite variances is infinite */
            int wrong = !(a >= 0.0 && a <= largest && b >= 0.0 && b <= largest);
            wrong |= !(fabs(c) <= limit * (1.0 + COVARIANCE_SLACK * eps) + 2.2250738585072014e-308);
            wrong |= !(fabs(c) <= largest) || no_variance(a, eps, slope) || no_variance(b, eps, slope);
            /* within a rounding in float64 the form itself is exact on either side of the boundary */
            c = fabs(c) > limit * (1.0 + COVARIANCE_SLACK * 2.220446049250313e-16) ? copysign(limit, c) : c;
            double value = 0.0;
            if (!wrong) {
#if HAS_SLOPE
                value = slope ? dual_dot_of(a, c, b) : dual_of(a, c, b);
#else
                value = dual_of(a, c, b);
#endif
                wrong = !(fabs(value) <= largest);
            }
            if (wrong) {
                *bad = 1;
            }
            out[k] = value;
        }
    }
}
