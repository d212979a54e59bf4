/* Tiles of a kernel matrix: a block of TILE_THREADS threads has one, a thread every TILE_ROWS-th row of one column, BATCH
   of them at once. */

#define TILE 64
#define TILE_THREADS 256
#define BATCH 4
#define TILE_ROWS (TILE_THREADS / TILE)
#define STEPS (TILE / TILE_ROWS)
