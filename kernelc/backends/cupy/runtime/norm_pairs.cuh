/* T / (R R') and Tdot s s' / (R R') of rows of any norms of a range, from the tables for it:
       sum_m T_p(m)(z) sum_r left[r][i] right[r][j],    z = log((theta + grade) / (pi + grade - theta)) / width,
   r over the factors of term m, p(m) as for the tables in `_normseries.py`. */

/* Gaps below this are the sum of what different norms and what the angle take away, where a kink needs their digits. */
#define SMALL_GAP ((REAL)1e-3)
#define GAP_NODES 4
#if GAP_NODES != BATCH
#error "the nodes of a small gap are summed as one batch"
#endif

/* One function's factors among the rows of a layer: `first` of them, and after which the terms end; parity as PARITY. */
typedef struct {
    const int* ends;
    int first, terms, parity;
} NormTerms;

/* `left` (layers, ranks, n1 padded), `right` (layers, ranks, n2 padded); s of the rows, (layers, n1) and (layers, n2);
   `aligned` (ALIGNED, ALIGNED): normalized T at theta = 0 in Chebyshev polynomials of both norms. */
typedef struct {
    const REAL* left;
    const REAL* right;
    const double* left_norms;
    const double* right_norms;
    const double* aligned;
    NormTerms value, slope;
    int left_padded, right_padded, ranks, rows, columns;
    REAL width;
} Norms;

INLINE REAL norm_angle(Norms norms, REAL theta) {
    return LOG((theta + (REAL)NORM_GRADE) / ((REAL)PI + (REAL)NORM_GRADE - theta)) / norms.width;
}

/* Clenshaw's recurrence for BATCH pairs of column j at a time: rows i, i + spacing, ... */
INLINE void norm_sum(Norms norms, NormTerms terms, int layer, int i, int spacing, int j, const REAL* z, REAL* out) {
    const size_type down = (size_type)norms.left_padded, across = (size_type)norms.right_padded;
    const REAL* left = norms.left + (size_type)layer * (size_type)norms.ranks * down + i;
    const REAL* right = norms.right + (size_type)layer * (size_type)norms.ranks * across + j;
    REAL newer[BATCH], older[BATCH], twice[BATCH];
#pragma unroll
    for (int k = 0; k < BATCH; ++k) {
        newer[k] = older[k] = (REAL)0;
        twice[k] = terms.parity ? (REAL)4 * z[k] * z[k] - (REAL)2 : (REAL)2 * z[k];
    }
    for (int m = terms.terms - 1; m >= 0; --m) {
        const int start = m > 0 ? terms.ends[m - 1] : terms.first;
        const int end = terms.ends[m];
        REAL sum[BATCH];
#pragma unroll
        for (int k = 0; k < BATCH; ++k) {
            sum[k] = twice[k] * newer[k] - older[k];
        }
        const REAL* one = left + (size_type)start * down;
        const REAL* other = right + (size_type)start * across;
        for (int r = start; r < end; ++r) {
            const REAL factor = *other;
#pragma unroll
            for (int k = 0; k < BATCH; ++k) {
                sum[k] = sum[k] + one[k * spacing] * factor;
            }
            one += down;
            other += across;
        }
#pragma unroll
        for (int k = 0; k < BATCH; ++k) {
            older[k] = newer[k];
            newer[k] = sum[k];
        }
    }
#pragma unroll
    for (int k = 0; k < BATCH; ++k) {
        out[k] = terms.parity == 1 ? (newer[k] - older[k]) * z[k] : newer[k] - (REAL)0.5 * twice[k] * older[k];
    }
}

#if !SMOOTH && HAS_SLOPE
/* x(s), as the tables have it. */
INLINE double norm_variable(double s) {
    const double x = NORM_STRETCH * log(s + NORM_SHIFT) - NORM_OFFSET;
    return x > 1.0 ? 1.0 : x < -1.0 ? -1.0 : x;
}

/* 1 - T / (R R') at theta = 0: half the form `aligned` of T_j(x) - T_j(x'), j = 0, 1, ..., in double precision. */
INLINE double apart_by_norms(const double* aligned, double s, double other) {
    double quotients[ALIGNED];
    const double x = norm_variable(s), y = norm_variable(other);
    /* x - x' without cancellation; the differences of T_j are divided by it and grow by the same recurrence */
    const double step = NORM_STRETCH * log1p((s - other) / (other + NORM_SHIFT));
    double older = 1.0, newer = y, total = 0.0;
    for (int j = 0; j < ALIGNED; ++j) {
        if (j < 2) {
            quotients[j] = (double)j;
            continue;
        }
        quotients[j] = 2.0 * (x * quotients[j - 1] + newer) - quotients[j - 2];
        const double next = 2.0 * y * newer - older;
        older = newer;
        newer = next;
    }
    for (int a = 0; a < ALIGNED; ++a) {
        double sum = 0.0;
        for (int b = 0; b < ALIGNED; ++b) {
            sum += aligned[a * ALIGNED + b] * quotients[b];
        }
        total += sum * quotients[a];
    }
    return 0.5 * step * step * total;
}

/* 1 - T / (R R') of a pair of small theta: with the integral of Tdot s s' sin(t) / (R R') over t in [0, theta]. */
APART REAL norm_gap(Norms norms, int layer, int i, int j, REAL theta) {
    const REAL nodes[GAP_NODES] = {(REAL)0.06943184420297371, (REAL)0.33000947820757187, (REAL)0.6699905217924281,
                                   (REAL)0.9305681557970262};
    const REAL weights[GAP_NODES] = {(REAL)0.17392742256872692, (REAL)0.32607257743127307, (REAL)0.32607257743127307,
                                     (REAL)0.17392742256872692};
    const double one = norms.left_norms[(size_type)layer * (size_type)norms.rows + i];
    const double other = norms.right_norms[(size_type)layer * (size_type)norms.columns + j];
    REAL z[BATCH], slope[BATCH], total = (REAL)0;
    for (int k = 0; k < GAP_NODES; ++k) {
        z[k] = norm_angle(norms, nodes[k] * theta);
    }
    norm_sum(norms, norms.slope, layer, i, 0, j, z, slope);
    for (int k = 0; k < GAP_NODES; ++k) {
        total = total + weights[k] * slope[k] * SIN(nodes[k] * theta);
    }
    const REAL gap = (REAL)apart_by_norms(norms.aligned, one, other) + theta * total;
    return gap > (REAL)0 ? gap : (REAL)0;
}
#endif
