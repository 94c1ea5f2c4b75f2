/* Sums of products of columns over a block of rows that lies in panels of columns. Compiled for each instruction set.
 *
 * Panel k of a block of m rows holds its columns [k width, (k + 1) width), a row's together, from `stride` k on. Both operands of
 * a tile are then read line after line, whatever the table's width is: no two rows share a set of the first-level cache.
 */
#ifndef FASTTRAIN_GRAM_H
#define FASTTRAIN_GRAM_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    ptrdiff_t width; /* columns of a panel */
    ptrdiff_t tile;  /* of which so many are a tile's rows; also the numbers in a vector */

    /* Rows [first, first + m) of x, or of those that `rows` numbers, less column_shift and row_shift (by number of row; NULL:
     * nothing), into the panels from z_out on. A row's n numbers lie together, rows row_stride apart. */
    void (*spread_f32)(const float *x, const ptrdiff_t *rows, ptrdiff_t row_stride, ptrdiff_t first, ptrdiff_t m, ptrdiff_t n,
                       const double *column_shift, const double *row_shift, double *z_out, ptrdiff_t stride);
    void (*spread_f64)(const double *x, const ptrdiff_t *rows, ptrdiff_t row_stride, ptrdiff_t first, ptrdiff_t m, ptrdiff_t n,
                       const double *column_shift, const double *row_shift, double *z_out, ptrdiff_t stride);
    /* d = weight z of m rows in n_panels panels; weights by number of row */
    void (*weigh)(const double *z, const double *weights, const ptrdiff_t *rows, ptrdiff_t first, ptrdiff_t m,
                  ptrdiff_t n_panels, ptrdiff_t stride, double *d_out);
    /* sums[f, 0:n] += sum_i z[i, f] d[i, k width:k width + n] of panel k, for the features f below `height`, a multiple of
     * tile; n is one of tile. What lies below the diagonal by whole vectors is left as it is. Meanwhile `ahead` bytes from
     * `next` on for each tile are fetched, for the block to come. */
    void (*panel)(const double *z, const double *d, ptrdiff_t m, ptrdiff_t stride, ptrdiff_t k, ptrdiff_t height, ptrdiff_t n,
                  const char *next, ptrdiff_t ahead, double *sums_io);
} ft_gram_kernels;

extern const ft_gram_kernels ft_gram_baseline;
#if defined(__x86_64__)
extern const ft_gram_kernels ft_gram_avx2;
extern const ft_gram_kernels ft_gram_avx512;
#endif

/* The kernels for one of ops.h's instruction sets. */
const ft_gram_kernels *ft_gram_kernels_for(int isa);

#ifdef __cplusplus
}
#endif
#endif
