/* The dual kernel elementwise. One pass: values, and `bad` set where an argument is not a correlation. */

#if SINGLE
#define CORRELATION_LIMIT ((REAL)(1.0 + 4 * 1.1920928955078125e-7))
#else
#define CORRELATION_LIMIT ((REAL)(1.0 + 4 * 2.220446049250313e-16))
#endif

/* which: 0 kappa, 1 kappa_dot, by the best evaluation; 2, 3 the same by the truncated power series; 4 to 7 likewise
   the NNGP and NTK of a network of several layers. */
INLINE REAL value_of(REAL rho, int which) {
    const REAL theta = ACOS(rho);
    if (which == 0) {
        return rho == (REAL)1 ? (REAL)AT_ONE : rho == (REAL)-1 ? (REAL)AT_MINUS_ONE : kappa_at(rho, theta);
    }
    if (which == 2) {
        return kappa_series_at(rho);
    }
#if NETWORKS
    if (which == 4) {
        return rho == (REAL)1 ? (REAL)NNGP_AT_ONE : rho == (REAL)-1 ? (REAL)NNGP_AT_MINUS_ONE : nngp_at(rho, theta);
    }
    if (which == 6) {
        return nngp_series_at(rho);
    }
#endif
#if NETWORKS > 1
    if (which == 5) {
        return rho == (REAL)1 ? (REAL)NTK_AT_ONE : rho == (REAL)-1 ? (REAL)NTK_AT_MINUS_ONE : ntk_at(rho, theta);
    }
    if (which == 7) {
        return ntk_series_at(rho);
    }
#endif
#if HAS_SLOPE
    if (which == 1) {
        return rho == (REAL)1    ? (REAL)SLOPE_AT_ONE
               : rho == (REAL)-1 ? (REAL)SLOPE_AT_MINUS_ONE
                                 : slope_at(rho, theta);
    }
    return slope_series_at(rho);
#else
    return (REAL)0;
#endif
}

KERNEL values(const REAL* __restrict__ rho, REAL* __restrict__ out, size_type n, int which, int* __restrict__ bad) {
    EACH_THREAD {
        const size_type step = (size_type)gridDim.x * (size_type)blockDim.x;
        for (size_type k = (size_type)blockIdx.x * (size_type)blockDim.x + (size_type)threadIdx.x; k < n; k += step) {
            REAL r = rho[k];
            if (!(FABS(r) <= CORRELATION_LIMIT)) {
                *bad = 1;
                r = (REAL)0;
            }
            r = r > (REAL)1 ? (REAL)1 : r < (REAL)-1 ? (REAL)-1 : r;
            out[k] = value_of(r, which);
        }
    }
}
