/* Every primitive: result, name, arguments. FT_REAL and FT_SUFFIX are those of the place where the list is expanded.
 * Arrays that are written end in _out, arrays that are updated in _io. */
#ifndef FASTTRAIN_OPS_LIST_H
#define FASTTRAIN_OPS_LIST_H

#define FT_STRIP_PANELS 4

#define FT_OPS(OP)                                                                                                \
    /* sum x_i y_i */                                                                                             \
    OP(FT_REAL, dot, (const FT_REAL *x, const FT_REAL *y, ptrdiff_t n))                                           \
    /* y += a x */                                                                                                \
    OP(void, axpy, (FT_REAL a, const FT_REAL *x, FT_REAL *y_io, ptrdiff_t n))                                     \
    OP(double, sum, (const FT_REAL *x, ptrdiff_t n))                                                              \
    OP(double, sum_squares, (const FT_REAL *x, ptrdiff_t n))                                                      \
    OP(double, sum_abs, (const FT_REAL *x, ptrdiff_t n))                                                          \
    OP(double, max_abs, (const FT_REAL *x, ptrdiff_t n))                                                          \
    /* 1 when no element is infinite or NaN */                                                                    \
    OP(int, all_finite, (const FT_REAL *x, ptrdiff_t n))                                                          \
    /* Adds up weight_i loss(y_i, z_i) (returned; 0 when want_value is 0) and writes weight_i dloss/dz_i; weight  \
       and gradient_out may be NULL, gradient_out may be z. */                                                    \
    OP(double, loss_span, (int kind, FT_REAL p, const FT_REAL *y, const FT_REAL *z, const FT_REAL *weight,        \
                           ptrdiff_t n, int want_value, FT_REAL *gradient_out))                                   \
    /* The same for softmax cross-entropy on n rows of k logits, rows ldz apart; y holds one class code a row     \
       (y_width 1) or k probabilities (y_width k). Rows as far apart as k in whole vectors are read to their end, \
       and written with zeros behind the k. */                                                                    \
    OP(double, softmax_loss, (const FT_REAL *y, ptrdiff_t y_width, const FT_REAL *z, ptrdiff_t ldz,               \
                              const FT_REAL *weight, ptrdiff_t n, ptrdiff_t k, int want_value,                    \
                              FT_REAL *gradient_out, ptrdiff_t ldg))                                              \
    OP(void, softmax, (const FT_REAL *z, ptrdiff_t ldz, ptrdiff_t n, ptrdiff_t k, FT_REAL *out, ptrdiff_t ldo))   \
    /* a = f(z); a may be z */                                                                                    \
    OP(void, activate, (int kind, FT_REAL p, const FT_REAL *z, FT_REAL *a_out, ptrdiff_t n))                      \
    /* delta *= f'(z), given both z and a = f(z) */                                                               \
    OP(void, activate_backward, (int kind, FT_REAL p, const FT_REAL *z, const FT_REAL *a, FT_REAL *delta_io,      \
                                 ptrdiff_t n))                                                                    \
    /* g += l1 sign(w) + l2 w */                                                                                  \
    OP(void, penalty_gradient, (FT_REAL l1, FT_REAL l2, const FT_REAL *w, FT_REAL *g_io, ptrdiff_t n))            \
    /* w = argmin_u |u - w|^2 / 2 + l1 |u|_1 + l2 |u|^2 / 2 */                                                    \
    OP(void, penalty_prox, (FT_REAL l1, FT_REAL l2, FT_REAL *w_io, ptrdiff_t n))                                  \
    /* One step of an update rule; s1, s2, s3 are the rule's state, NULL where it has none. */                    \
    OP(void, update_span, (int kind, const ft_update *h, FT_REAL *w_io, const FT_REAL *g, FT_REAL *s1_io,        \
                           FT_REAL *s2_io, FT_REAL *s3_io, ptrdiff_t n))                                          \
    /* update_span; returns the sum of squares of the new weights, the bytes of weight_squares */                 \
    OP(double, update_and_square, (int kind, const ft_update *h, FT_REAL *w_io, const FT_REAL *g, FT_REAL *s1_io, \
                                   FT_REAL *s2_io, FT_REAL *s3_io, ptrdiff_t n))                                  \
    /* z[i, o] = rows[i] . w[o] + bias[o]; w[o] lies ldw apart. For few outputs. ahead: NULL, or m rows that will  \
       be read later; this call fetches their first halves, rows_axpy the rest. */                                \
    OP(void, rows_dot, (const FT_REAL *const *rows, ptrdiff_t m, ptrdiff_t k, const FT_REAL *w, ptrdiff_t ldw,    \
                        ptrdiff_t n_out, const FT_REAL *bias, ptrdiff_t bias_stride, FT_REAL *z_out,              \
                        ptrdiff_t ldz, const FT_REAL *const *ahead))                                                                           \
    /* g[o, f] += sum_i d[i, o] rows[i][f], f in [first, last). For few outputs. */                               \
    OP(void, rows_axpy, (const FT_REAL *const *rows, ptrdiff_t m, ptrdiff_t first, ptrdiff_t last,                \
                         const FT_REAL *d, ptrdiff_t ldd, ptrdiff_t n_out, FT_REAL *g_io, ptrdiff_t ldg,        \
                         const FT_REAL *const *ahead))         \
    /* z[i, 0:width] = rows[i] @ panel + bias; width a multiple of lanes, and where vectors have 64 bytes of half \
       of them, at most panel_width; bias may be NULL (zero). */                                                  \
    OP(void, rows_panel, (const FT_REAL *const *rows, ptrdiff_t m, ptrdiff_t k, const FT_REAL *panel,             \
                          ptrdiff_t width, const FT_REAL *bias, FT_REAL *z_out, ptrdiff_t ldz))                   \
    /* rows_panel for one row and n columns of weights that are not packed, their rows ldw apart */                \
    OP(void, row_times, (const FT_REAL *x, ptrdiff_t k, const FT_REAL *w, ptrdiff_t ldw, ptrdiff_t n,             \
                         const FT_REAL *bias, FT_REAL *z_out))                                                    \
    /* g[f - first, 0:width] (+)= sum_i rows[i][f] d[i, 0:width], f in [first, last); g is contiguous. Widths     \
       as those of rows_panel. */                                                                                 \
    OP(void, columns_panel, (const FT_REAL *const *rows, ptrdiff_t m, ptrdiff_t first, ptrdiff_t last,            \
                             const FT_REAL *d, ptrdiff_t ldd, ptrdiff_t width, int accumulate, FT_REAL *g_io))    \
    /* s[0:width] (+)= sum_i d[i, 0:width] */                                                                     \
    OP(void, column_sums, (const FT_REAL *d, ptrdiff_t ldd, ptrdiff_t m, ptrdiff_t width, int accumulate,         \
                           FT_REAL *s_io))                                                                        \
    /* out[c, r] = x[r, c], m by n of x; rows of x lie ldx apart and are read to their end, those of out ldo. */  \
    OP(void, transpose, (const FT_REAL *x, ptrdiff_t ldx, ptrdiff_t m, ptrdiff_t n, FT_REAL *out, ptrdiff_t ldo)) \
    /* s += g for each s that is not NULL: the memory traffic of an update and nothing else, for measuring. */     \
    OP(void, traffic, (const FT_REAL *g, FT_REAL *w_io, FT_REAL *s1_io, FT_REAL *s2_io, FT_REAL *s3_io,            \
                       ptrdiff_t n))                                                                              \
    /* Asks for the cache lines of m rows of k elements. */                                                       \
    OP(void, prefetch_rows, (const FT_REAL *const *rows, ptrdiff_t m, ptrdiff_t k))                               \
    /* s1 += sum_i (x[i] - shift), s2 += sum_i (x[i] - shift)^2 for each of width columns; NaN and infinity spread */ \
    OP(void, deviation_sums, (const FT_REAL *x, ptrdiff_t ldx, ptrdiff_t m, ptrdiff_t width, const double *shift, \
                              double *s1_io, double *s2_io))                                                      \
    /* The same without NaN, weighted (weight may be NULL: ones); s0 += weights of what is present. */            \
    OP(void, present_sums, (const FT_REAL *x, ptrdiff_t ldx, ptrdiff_t m, ptrdiff_t width, const double *weight,  \
                            const double *shift, double *s0_io, double *s1_io, double *s2_io))                    \
    /* Smallest and largest of each column without NaN. */                                                        \
    OP(void, extremes, (const FT_REAL *x, ptrdiff_t ldx, ptrdiff_t m, ptrdiff_t width, FT_REAL *min_io,           \
                        FT_REAL *max_io))                                                                         \
    /* out = (x - a) / b (kind 0), x a + b (1), the same clipped to [low, high] (2); out may be x. 1 when x holds \
       an infinity. */                                                                                            \
    OP(int, scale_rows, (int kind, const FT_REAL *x, ptrdiff_t ldx, ptrdiff_t m, ptrdiff_t width,                 \
                         const FT_REAL *a, const FT_REAL *b, FT_REAL low, FT_REAL high, FT_REAL *out,             \
                         ptrdiff_t ldo))                                                                          \
    /* out_i = x_i scale where the bits of place first + i under the key reach the threshold, else 0; out may be x */ \
    OP(void, drop, (uint32_t threshold, FT_REAL scale, uint64_t key, uint32_t first, const FT_REAL *x,            \
                    FT_REAL *out, ptrdiff_t n))                                                                   \
    /* x_i += deviation times a normal deviate of place first + i under the key */                                \
    OP(void, add_noise, (FT_REAL deviation, uint64_t key, uint32_t first, FT_REAL *x_io, ptrdiff_t n))            \
    /* out = a x + (1 - a) y */                                                                                   \
    OP(void, mix, (FT_REAL a, const FT_REAL *x, const FT_REAL *y, FT_REAL *out, ptrdiff_t n))                     \
    /* average += factor (w - average) */                                                                         \
    OP(void, approach, (FT_REAL factor, const FT_REAL *w, FT_REAL *average_io, ptrdiff_t n))                      \
    /* normalized = (x - mean) inverse, out = normalized gain + shift, each column its own; normalized and out    \
       may be x or each other */                                                                                  \
    OP(void, normalize_rows, (const FT_REAL *x, ptrdiff_t m, ptrdiff_t width, const FT_REAL *mean,                \
                              const FT_REAL *inverse, const FT_REAL *gain, const FT_REAL *shift,                  \
                              FT_REAL *normalized_out, FT_REAL *out))                                             \
    /* s1 += sum_i d[i], s2 += sum_i d[i] x[i] for each of width columns */                                       \
    OP(void, product_sums, (const FT_REAL *d, const FT_REAL *x, ptrdiff_t m, ptrdiff_t width, double *s1_io,      \
                            double *s2_io))                                                                       \
    /* d = factor (d - mean_d - normalized mean_dx) */                                                            \
    OP(void, normalize_backward, (const FT_REAL *normalized, ptrdiff_t m, ptrdiff_t width, const FT_REAL *factor, \
                                  const FT_REAL *mean_d, const FT_REAL *mean_dx, FT_REAL *d_io))                  \
    /* rows_panel for one sparse row, its entries [begin, end) of x at columns `indices` (int64 when wide, else   \
       int32); also of width 1 */                                                                                 \
    OP(void, sparse_row, (const FT_REAL *x, const void *indices, int wide, ptrdiff_t begin, ptrdiff_t end,        \
                          const FT_REAL *panel, ptrdiff_t width, const FT_REAL *bias, FT_REAL *z_out))            \
    /* g[column - first, 0:width] += x d for the entries from begin on whose column is below last; returns the    \
       first entry that is left. Columns ascend and the first is at least `first`. */                             \
    OP(ptrdiff_t, sparse_columns, (const FT_REAL *x, const void *indices, int wide, ptrdiff_t begin,              \
                                   ptrdiff_t end, ptrdiff_t first, ptrdiff_t last, const FT_REAL *d,              \
                                   ptrdiff_t width, FT_REAL *g_io))                                                \
    /* Moves the rows of width columns with at most `most` NaN, among those whose keep is 1, to the front of out, which \
       has room for m rows, and sets keep to 0 for the others. How many rows were moved. */                      \
    OP(ptrdiff_t, take_present, (const FT_REAL *x, ptrdiff_t ldx, ptrdiff_t m, ptrdiff_t width, ptrdiff_t most,   \
                                 uint8_t *keep_io, FT_REAL *out))                                                 \
    /* columns_panel, without accumulate, of n_panels full panels of g beside each other, at most FT_STRIP_PANELS;   \
       their gradients lie ldg apart */                                                                           \
    OP(void, columns_strip, (const FT_REAL *const *rows, ptrdiff_t m, ptrdiff_t first, ptrdiff_t last,            \
                             const FT_REAL *d, ptrdiff_t ldd, ptrdiff_t width, ptrdiff_t n_panels,                \
                             FT_REAL *g_out, ptrdiff_t ldg))                                                      \
    /* sum x_i^2 for the value of a penalty, in single precision to 1e-7 of it: update_and_square has it for little */ \
    OP(double, weight_squares, (const FT_REAL *x, ptrdiff_t n))                                                   \
    /* count[i] += how many NaN row i has, of m rows that lie side by side in each of width columns */            \
    OP(void, count_missing, (const FT_REAL *x, ptrdiff_t ldx, ptrdiff_t m, ptrdiff_t width, int32_t *count_io))   \
    /* take_present of a table by columns, ldx and in out ldo apart; each column of out has room for m rows */    \
    OP(ptrdiff_t, take_present_columns, (const FT_REAL *x, ptrdiff_t ldx, ptrdiff_t m, ptrdiff_t width,           \
                                         ptrdiff_t most, uint8_t *keep_io, FT_REAL *out, ptrdiff_t ldo))          \
    /* The moments of a step of lamb, which update_span makes once the norms of all of the array are known: squares_io += \
       sums of squares of the decayed weights and of the moves */                                                 \
    OP(void, moments_and_squares, (const ft_update *h, const FT_REAL *w, const FT_REAL *g, FT_REAL *s1_io,        \
                                   FT_REAL *s2_io, ptrdiff_t n, double *squares_io))                              \
    /* out[p, f, l] = rows[p lanes + l][f] of m rows, zeros behind the last: a panel of lanes rows after the other */ \
    OP(void, lanes_of_rows, (const FT_REAL *const *rows, ptrdiff_t m, ptrdiff_t k, FT_REAL *out))                 \
    /* z[p, o, l] = sum_f x[p, f, l] w[f ldf + o ldo], f up to the bias, w[k ldf + o ldo], whose x is 1; panels of \
       z lie ldz apart */                                                                                         \
    OP(void, lanes_dot, (const FT_REAL *x, ptrdiff_t n_panels, ptrdiff_t k, const FT_REAL *w, ptrdiff_t ldf,      \
                         ptrdiff_t ldo, ptrdiff_t n_out, FT_REAL *z_out, ptrdiff_t ldz))                          \
    /* sums[f, o, l] (+)= sum_p x[p, f, l] d[p, o, l], f up to k, whose x is 1 */                                 \
    OP(void, lanes_axpy, (const FT_REAL *x, ptrdiff_t n_panels, ptrdiff_t k, const FT_REAL *d, ptrdiff_t n_out,   \
                          int accumulate, FT_REAL *sums_io))                                                      \
    /* out[i] = sum_l sums[i, l] */                                                                               \
    OP(void, lanes_sum, (const FT_REAL *sums, ptrdiff_t n, FT_REAL *out))                                         \
    /* softmax_loss of class codes y[p, l] on k <= 64 logits z[p, c, l], which receive the gradient */            \
    OP(double, lanes_softmax, (const FT_REAL *y, const FT_REAL *weight, ptrdiff_t n_panels, ptrdiff_t k,          \
                               FT_REAL *z_io))

#endif
