/* Tiles of a kernel matrix: a block of TILE_THREADS threads has one, a thread every TILE_ROWS-th row of one column, BATCH
   of them at once. */

#define TILE 64
#define TILE_THREADS 256
#define BATCH 4
#define TILE_ROWS (TILE_THREADS / TILE)
#define STEPS (TILE / TILE_ROWS)

/* The first row and column of a block's tile. */
typedef struct {
    int top, first;
} Place;

INLINE Place in_rows(unsigned block, unsigned across) {
    const Place place = {(int)(block / across) * TILE, (int)(block % across) * TILE};
    return place;
}

/* On and above the diagonal, row by row from the end: of a triangle with its short side first, row r starts at
   r (r + 1) / 2. */
INLINE Place above_diagonal(unsigned block, unsigned across) {
    unsigned r = (unsigned)((sqrtf(8.0f * (float)block + 1.0f) - 1.0f) * 0.5f);
    while (r * (r + 1) / 2 > block) {
        --r;
    }
    while ((r + 1) * (r + 2) / 2 <= block) {
        ++r;
    }
    const unsigned row = across - 1 - r;
    const Place place = {(int)row * TILE, (int)(row + (block - r * (r + 1) / 2)) * TILE};
    return place;
}

/* The transpose of a tile above the diagonal, below it. */
INLINE void write_mirror(REAL* matrix, REAL (*mirror)[TILE + 1], Place tile, int rows, int columns, int inside) {
    EACH_THREAD {
        const int lane = (int)threadIdx.x % TILE;
        const int base = (int)threadIdx.x / TILE;
        const int j = tile.top + lane;
        const size_type stride = (size_type)TILE_ROWS * (size_type)columns;
        REAL* place = matrix + ((size_type)(tile.first + base) * (size_type)columns + (size_type)j);
        if (inside) {
#pragma unroll
            for (int step = 0; step < STEPS; ++step) {
                *place = mirror[base + step * TILE_ROWS][lane];
                place += stride;
            }
        } else {
            for (int step = 0; step < STEPS; ++step) {
                const int i = tile.first + base + step * TILE_ROWS;
                if (j < rows && i < columns && i > j) {
                    *place = mirror[base + step * TILE_ROWS][lane];
                }
                place += stride;
            }
        }
    }
}
