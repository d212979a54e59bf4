/* The pairs of a kernel matrix, tile by tile: from the correlations of unit rows through every layer, each entry read
   once and written once. */

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
   `symmetric`: the blocks are the tiles on and above the diagonal; what they write below it mirrors what they write
   above, and the diagonal is `moments`. */
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
    const Place tile = symmetric ? above_diagonal(blockIdx.x, across) : in_rows(blockIdx.x, across);
    const int top = tile.top, first = tile.first;
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
    write_mirror(matrix, mirror, tile, rows, columns, inside);
}
