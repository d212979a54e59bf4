/* Rows: their norms, and the unit rows whose products are the correlations. A block of LANES threads works on one row. */

#define LANES 64

/* norms[i] = the Euclidean norm of row i, without overflow or underflow inside; NaN where an entry is not finite. */
KERNEL row_norms(const REAL* __restrict__ x, int n, int d, double* __restrict__ norms) {
    __shared__ double part[LANES];
    __shared__ double peak;
    const size_type start = (size_type)blockIdx.x * (size_type)d;
    EACH_THREAD {
        double largest = 0.0;
        for (int k = (int)threadIdx.x; k < d; k += LANES) {
            const double size = fabs((double)x[start + k]);
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
            peak = largest;
        }
    }
    __syncthreads();
    EACH_THREAD {
        const double scale = peak == 0.0 || (peak > 1e-140 && peak < 1e140) ? 1.0 : peak;
        double sum = 0.0;
        for (int k = (int)threadIdx.x; k < d; k += LANES) {
            const double value = (double)x[start + k] / scale;
            sum += value * value;
        }
        part[threadIdx.x] = sum;
    }
    __syncthreads();
    EACH_THREAD {
        if (threadIdx.x == 0) {
            const double scale = peak == 0.0 || (peak > 1e-140 && peak < 1e140) ? 1.0 : peak;
            double sum = 0.0;
            for (int k = 0; k < LANES; ++k) {
                sum += part[k];
            }
            /* the sum is NaN where an entry is, and where one is infinite: then the scale is too */
            norms[blockIdx.x] = scale * sqrt(sum);
        }
    }
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
