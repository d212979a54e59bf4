/* Rows: their norms, and the unit rows whose products are the correlations. A block of LANES threads works on one row. */

#define LANES 64

/* The Euclidean norm of d entries into *norm, without overflow or underflow inside; NaN where one is not finite. For
   all threads of a block together; `part` (LANES) and `peak` are shared. */
INLINE void row_norm(const REAL* __restrict__ entries, int d, double* part, double* peak, double* norm) {
    EACH_THREAD {
        double largest = 0.0;
        for (int k = (int)threadIdx.x; k < d; k += LANES) {
            const double size = fabs((double)entries[k]);
            largest = size > largest ? size : largest;
        }
        part[threadIdx.x] = largest;
    }
    __syncthreads();
    EACH_THREAD {
        if (threadIdx.x == 0) {
            double largest = 0.0;
            for (int k = 0; k < LANES; ++k) {
                largest = part[k] > largest ? part[k] : largest;
            }
            *peak = largest;
        }
    }
    __syncthreads();
    EACH_THREAD {
        const double scale = *peak == 0.0 || (*peak > 1e-140 && *peak < 1e140) ? 1.0 : *peak;
        double sum = 0.0;
        for (int k = (int)threadIdx.x; k < d; k += LANES) {
            const double value = (double)entries[k] / scale;
            sum += value * value;
        }
        part[threadIdx.x] = sum;
    }
    __syncthreads();
    EACH_THREAD {
        if (threadIdx.x == 0) {
            const double scale = *peak == 0.0 || (*peak > 1e-140 && *peak < 1e140) ? 1.0 : *peak;
            double sum = 0.0;
            for (int k = 0; k < LANES; ++k) {
                sum += part[k];
            }
            /* the sum is NaN where an entry is, and where one is infinite: then the scale is too */
            *norm = scale * sqrt(sum);
        }
    }
}

/* norms[i] = the norm of row i. */
KERNEL row_norms(const REAL* __restrict__ x, int n, int d, double* __restrict__ norms) {
    __shared__ double part[LANES];
    __shared__ double peak;
    row_norm(x + (size_type)blockIdx.x * (size_type)d, d, part, &peak, norms + blockIdx.x);
}

/* unit (n, d + biased) = rows / peak * factor, the last column `tail`; columns of `paths`: peak, factor, tail, ... */
KERNEL unit_rows(const REAL* __restrict__ x, int n, int d, int biased, const double* __restrict__ paths,
                 REAL* __restrict__ unit) {
    const size_type start = (size_type)blockIdx.x * (size_type)d;
    const size_type target = (size_type)blockIdx.x * (size_type)(d + biased);
    const double peak = paths[blockIdx.x];
    const double factor = paths[(size_type)n + blockIdx.x];
    EACH_THREAD {
        for (int k = (int)threadIdx.x; k < d; k += LANES) {
            unit[target + k] = (REAL)((double)x[start + k] / peak * factor);
        }
        if (biased && threadIdx.x == 0) {
            unit[target + d] = (REAL)paths[2 * (size_type)n + blockIdx.x];
        }
    }
}
