/* basis (count + with_mean, padded): weights[i] T_j(x[i]) in row j; then, `with_mean`, means[i]; 0 beyond the n rows. */
KERNEL norm_basis(const double* __restrict__ x, const double* __restrict__ weights, const double* __restrict__ means,
                  int n, int padded, int count, int with_mean, double* __restrict__ basis) {
    EACH_THREAD {
        const int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
        if (i < padded) {
            const double at = i < n ? x[i] : 0.0, weight = i < n ? weights[i] : 0.0;
            double newer = weight, older = weight * at;
            double* place = basis + i;
            for (int j = 0; j < count; ++j) {
                *place = newer;
                place += padded;
                /* T_(j+1) = 2 x T_j - T_(j-1), from T_(-1) = T_1 */
                const double next = 2.0 * at * newer - older;
                older = newer;
                newer = next;
            }
            if (with_mean) {
                *place = i < n ? means[i] : 0.0;
            }
        }
    }
}
