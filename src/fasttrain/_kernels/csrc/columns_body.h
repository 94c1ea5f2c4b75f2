/* Blocks of a C-order table, columns innermost so that every loop is vector code. Included by columns.h once for each real
 * type (FT_REAL) with FT_COLUMNS(name) giving the stamped name. Statistics are in double whatever the table is. */

#define ROWS_AT_ONCE 4

/* sum_out += sum of (x - shift), square_out += sum of (x - shift)^2; any missing value makes its column's sum NaN. */
static inline void FT_COLUMNS(shifted_sums)(const FT_REAL *restrict x, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t cols,
                                            const double *restrict shift, double *restrict sum_out,
                                            double *restrict square_out)
{
    ptrdiff_t i = 0;
    for (; i + ROWS_AT_ONCE <= rows; i += ROWS_AT_ONCE) {
        const FT_REAL *restrict r0 = x + i * stride, *restrict r1 = r0 + stride;
        const FT_REAL *restrict r2 = r1 + stride, *restrict r3 = r2 + stride;
        for (ptrdiff_t j = 0; j < cols; j++) {
            const double c = shift[j];
            const double d0 = r0[j] - c, d1 = r1[j] - c, d2 = r2[j] - c, d3 = r3[j] - c;
            sum_out[j] += (d0 + d1) + (d2 + d3);
            square_out[j] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3);
        }
    }
    for (; i < rows; i++) {
        const FT_REAL *restrict r0 = x + i * stride;
        for (ptrdiff_t j = 0; j < cols; j++) {
            const double d0 = r0[j] - shift[j];
            sum_out[j] += d0;
            square_out[j] += d0 * d0;
        }
    }
}

/* The same, skipping missing values and with a weight a row (NULL: 1); weight_out += weights of the values present. */
static inline void FT_COLUMNS(weighted_sums)(const FT_REAL *restrict x, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t cols,
                                             const double *restrict weights, const double *restrict shift,
                                             double *restrict weight_out, double *restrict sum_out,
                                             double *restrict square_out)
{
    for (ptrdiff_t i = 0; i < rows; i++) {
        const FT_REAL *restrict row = x + i * stride;
        const double w = weights ? weights[i] : 1.0;
        for (ptrdiff_t j = 0; j < cols; j++) {
            const int present = row[j] == row[j];
            const double d = present ? row[j] - shift[j] : 0.0;
            const double wd = w * d;
            weight_out[j] += present ? w : 0.0;
            sum_out[j] += wd;
            square_out[j] += wd * d;
        }
    }
}

/* Smallest and largest; a comparison with NaN is false, which is how missing values are skipped. */
static inline void FT_COLUMNS(extremes)(const FT_REAL *restrict x, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t cols,
                                        FT_REAL *restrict min_out, FT_REAL *restrict max_out)
{
    ptrdiff_t i = 0;
    for (; i + ROWS_AT_ONCE <= rows; i += ROWS_AT_ONCE) {
        const FT_REAL *restrict r0 = x + i * stride, *restrict r1 = r0 + stride;
        const FT_REAL *restrict r2 = r1 + stride, *restrict r3 = r2 + stride;
        for (ptrdiff_t j = 0; j < cols; j++) {
            FT_REAL low = min_out[j], high = max_out[j];
            low = r0[j] < low ? r0[j] : low;
            high = r0[j] > high ? r0[j] : high;
            low = r1[j] < low ? r1[j] : low;
            high = r1[j] > high ? r1[j] : high;
            low = r2[j] < low ? r2[j] : low;
            high = r2[j] > high ? r2[j] : high;
            low = r3[j] < low ? r3[j] : low;
            high = r3[j] > high ? r3[j] : high;
            min_out[j] = low;
            max_out[j] = high;
        }
    }
    for (; i < rows; i++) {
        const FT_REAL *restrict r0 = x + i * stride;
        for (ptrdiff_t j = 0; j < cols; j++) {
            min_out[j] = r0[j] < min_out[j] ? r0[j] : min_out[j];
            max_out[j] = r0[j] > max_out[j] ? r0[j] : max_out[j];
        }
    }
}

/* Three maps of a block, with two roundings each as scikit-learn has them; x and out may be the same block. They return
 * whether x holds an infinity: the caller has to refuse such a table, and here it is in registers anyway. */
typedef FT_REAL FT_COLUMNS(vector) __attribute__((vector_size(64), aligned(sizeof(FT_REAL)), may_alias));
typedef FT_BITS FT_COLUMNS(mask) __attribute__((vector_size(64)));
#define LANES ((ptrdiff_t)(64 / sizeof(FT_REAL)))
#define VECTOR FT_COLUMNS(vector)
#define MASK FT_COLUMNS(mask)

static inline __attribute__((always_inline)) VECTOR FT_COLUMNS(select)(MASK mask, VECTOR yes, VECTOR no)
{
    return (VECTOR)((mask & (MASK)yes) | (~mask & (MASK)no));
}

/* A comparison with NaN is false, so a missing value passes a clip. */
static inline __attribute__((always_inline)) VECTOR FT_COLUMNS(clip)(VECTOR v, VECTOR low, VECTOR high)
{
    v = FT_COLUMNS(select)(v < low, low, v);
    return FT_COLUMNS(select)(v > high, high, v);
}

#define FT_MAP(NAME, EXPRESSION)                                                                                      \
    static inline int FT_COLUMNS(NAME)(const FT_REAL *x, ptrdiff_t x_stride, FT_REAL *out, ptrdiff_t out_stride,      \
                                       ptrdiff_t rows, ptrdiff_t cols, const FT_REAL *a_row, const FT_REAL *b_row,    \
                                       FT_REAL low_bound, FT_REAL high_bound)                                         \
    {                                                                                                                 \
        const VECTOR low = low_bound - (VECTOR){0}, high = high_bound - (VECTOR){0};                                  \
        (void)low, (void)high;                                                                                        \
        MASK infinite = {0};                                                                                          \
        for (ptrdiff_t i = 0; i < rows; i++) {                                                                        \
            const FT_REAL *from = x + i * x_stride;                                                                   \
            FT_REAL *to = out + i * out_stride;                                                                       \
            for (ptrdiff_t j = 0; j < cols; j += LANES) {                                                             \
                VECTOR v = {0}, a = {0}, b = {0};                                                                     \
                if (j + LANES <= cols) {                                                                              \
                    v = *(const VECTOR *)(from + j);                                                                  \
                    a = *(const VECTOR *)(a_row + j);                                                                 \
                    b = *(const VECTOR *)(b_row + j);                                                                 \
                    infinite |= (v > FT_LARGEST) | (v < -FT_LARGEST);                                                 \
                    *(VECTOR *)(to + j) = (EXPRESSION);                                                               \
                } else {                                                                                              \
                    const size_t rest = (size_t)(cols - j) * sizeof(FT_REAL);                                         \
                    memcpy(&v, from + j, rest);                                                                       \
                    memcpy(&a, a_row + j, rest);                                                                      \
                    memcpy(&b, b_row + j, rest);                                                                      \
                    infinite |= (v > FT_LARGEST) | (v < -FT_LARGEST);                                                 \
                    v = (EXPRESSION);                                                                                 \
                    memcpy(to + j, &v, rest);                                                                         \
                }                                                                                                     \
            }                                                                                                         \
        }                                                                                                             \
        FT_BITS any = 0;                                                                                              \
        for (int l = 0; l < LANES; l++) any |= infinite[l];                                                           \
        return any != 0;                                                                                              \
    }

FT_MAP(subtract_divide, (v - a) / b)
FT_MAP(multiply_add, v *a + b)
FT_MAP(multiply_add_clip, FT_COLUMNS(clip)(v * a + b, low, high))

#undef FT_MAP
#undef LANES
#undef VECTOR
#undef MASK
#undef ROWS_AT_ONCE
