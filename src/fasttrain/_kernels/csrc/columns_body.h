/* Statistics and scaling of m rows of a table, columns innermost so that every loop is vector code. Statistics are in double
 * whatever the table is. Included after spans_body.h, which has the vector types. */

#define FT_ROWS_AT_ONCE 4

/* Four short rows side by side are streams that the hardware follows no farther than a page: the lines of the rows that come
 * after so many bytes are asked for. Long rows it follows by itself. */
#define FT_ROWS_AHEAD_BYTES 8192
FT_INLINE void FT(fetch_rows)(const FT_REAL *x, ptrdiff_t ldx, ptrdiff_t width)
{
    const ptrdiff_t ahead = FT_ROWS_AHEAD_BYTES / (ptrdiff_t)sizeof(FT_REAL) / (ldx > 0 ? ldx : 1);
    if (ahead < FT_ROWS_AT_ONCE)
        return;
    for (ptrdiff_t r = ahead; r < ahead + FT_ROWS_AT_ONCE; r++)
        for (ptrdiff_t j = 0; j < width; j += 64 / (ptrdiff_t)sizeof(FT_REAL))
            __builtin_prefetch(x + r * ldx + j);
}

static void FT(deviation_sums)(const FT_REAL *restrict x, ptrdiff_t ldx, ptrdiff_t m, ptrdiff_t width,
                               const double *restrict shift, double *restrict s1_io, double *restrict s2_io)
{
    ptrdiff_t i = 0;
    for (; i + FT_ROWS_AT_ONCE <= m; i += FT_ROWS_AT_ONCE) {
        const FT_REAL *restrict r0 = x + i * ldx, *restrict r1 = r0 + ldx;
        const FT_REAL *restrict r2 = r1 + ldx, *restrict r3 = r2 + ldx;
        FT(fetch_rows)(r0, ldx, width);
        for (ptrdiff_t j = 0; j < width; j++) {
            const double c = shift[j];
            const double d0 = r0[j] - c, d1 = r1[j] - c, d2 = r2[j] - c, d3 = r3[j] - c;
            s1_io[j] += (d0 + d1) + (d2 + d3);
            s2_io[j] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3);
        }
    }
    for (; i < m; i++) {
        const FT_REAL *restrict row = x + i * ldx;
        for (ptrdiff_t j = 0; j < width; j++) {
            const double d = row[j] - shift[j];
            s1_io[j] += d;
            s2_io[j] += d * d;
        }
    }
}

static void FT(present_sums)(const FT_REAL *restrict x, ptrdiff_t ldx, ptrdiff_t m, ptrdiff_t width,
                             const double *restrict weight, const double *restrict shift, double *restrict s0_io,
                             double *restrict s1_io, double *restrict s2_io)
{
    for (ptrdiff_t i = 0; i < m; i++) {
        const FT_REAL *restrict row = x + i * ldx;
        const double w = weight ? weight[i] : 1.0;
        for (ptrdiff_t j = 0; j < width; j++) {
            const int present = row[j] == row[j];
            const double d = present ? row[j] - shift[j] : 0.0;
            const double wd = w * d;
            s0_io[j] += present ? w : 0.0;
            s1_io[j] += wd;
            s2_io[j] += wd * d;
        }
    }
}

/* A comparison with NaN is false, which is how missing values are skipped. */
static void FT(extremes)(const FT_REAL *restrict x, ptrdiff_t ldx, ptrdiff_t m, ptrdiff_t width,
                         FT_REAL *restrict min_io, FT_REAL *restrict max_io)
{
    ptrdiff_t i = 0;
    for (; i + FT_ROWS_AT_ONCE <= m; i += FT_ROWS_AT_ONCE) {
        const FT_REAL *restrict r0 = x + i * ldx, *restrict r1 = r0 + ldx;
        const FT_REAL *restrict r2 = r1 + ldx, *restrict r3 = r2 + ldx;
        FT(fetch_rows)(r0, ldx, width);
        for (ptrdiff_t j = 0; j < width; j++) {
            FT_REAL low = min_io[j], high = max_io[j];
            low = r0[j] < low ? r0[j] : low;
            high = r0[j] > high ? r0[j] : high;
            low = r1[j] < low ? r1[j] : low;
            high = r1[j] > high ? r1[j] : high;
            low = r2[j] < low ? r2[j] : low;
            high = r2[j] > high ? r2[j] : high;
            low = r3[j] < low ? r3[j] : low;
            high = r3[j] > high ? r3[j] : high;
            min_io[j] = low;
            max_io[j] = high;
        }
    }
    for (; i < m; i++) {
        const FT_REAL *restrict row = x + i * ldx;
        for (ptrdiff_t j = 0; j < width; j++) {
            min_io[j] = row[j] < min_io[j] ? row[j] : min_io[j];
            max_io[j] = row[j] > max_io[j] ? row[j] : max_io[j];
        }
    }
}

/* A multiply-add in one rounding would differ from scikit-learn's two. The empty statement hides that a product is one. */
#if defined(__x86_64__)
#define FT_ROUND(v) __asm__("" : "+v"(v))
#else
#define FT_ROUND(v) __asm__("" : "+w"(v))
#endif

typedef FT_BITS FT(vector_bits) __attribute__((vector_size(FT_VECTOR_BYTES)));

FT_INLINE int FT(any_lane)(const FT(vector_bits) *mask)
{
    FT_BITS any = 0;
    for (ptrdiff_t l = 0; l < FT_LANES; l++)
        any |= (*mask)[l];
    return any != 0;
}

#define FT_SELECT(mask, yes, no) ((FT(vector))(((mask) & (FT(vector_bits))(yes)) | (~(mask) & (FT(vector_bits))(no))))

/* kind 0: (x - a) / b; 1: x a + b; 2: the same, clipped. Whole vectors, then the last one padded with zeros. */
FT_INLINE FT(vector) FT(scale_vector)(int kind, FT(vector) v, FT(vector) a, FT(vector) b, FT(vector) low, FT(vector) high)
{
    if (kind == 0)
        return (v - a) / b;
    FT(vector) scaled = v * a;
    FT_ROUND(scaled);
    scaled += b;
    if (kind == 2) {
        const FT(vector_bits) below = scaled < low, above = scaled > high;
        scaled = FT_SELECT(below, low, scaled);
        scaled = FT_SELECT(above, high, scaled);
    }
    return scaled;
}

FT_INLINE int FT(scale_kind)(int kind, const FT_REAL *x, ptrdiff_t ldx, ptrdiff_t m, ptrdiff_t width, const FT_REAL *a,
                             const FT_REAL *b, FT_REAL low_bound, FT_REAL high_bound, FT_REAL *out, ptrdiff_t ldo)
{
    const FT(vector) low = FT_SPLAT(low_bound), high = FT_SPLAT(high_bound), largest = FT_SPLAT(sizeof(FT_REAL) == sizeof(float) ? (FT_REAL)FLT_MAX : (FT_REAL)DBL_MAX);
    FT(vector_bits) infinite = {0};
    for (ptrdiff_t i = 0; i < m; i++) {
        const FT_REAL *from = x + i * ldx;
        FT_REAL *to = out + i * ldo;
        ptrdiff_t j = 0;
        for (; j + FT_LANES <= width; j += FT_LANES) {
            const FT(vector) v = FT_LOAD(from + j);
            infinite |= (v > largest) | (v < -largest);
            FT_STORE(to + j, FT(scale_vector)(kind, v, FT_LOAD(a + j), FT_LOAD(b + j), low, high));
        }
        if (j < width) {
            FT_REAL v_last[FT_LANES], a_last[FT_LANES], b_last[FT_LANES];
            for (ptrdiff_t l = 0; l < FT_LANES; l++) {
                v_last[l] = j + l < width ? from[j + l] : 0;
                a_last[l] = j + l < width ? a[j + l] : 0;
                b_last[l] = j + l < width ? b[j + l] : 1;
            }
            const FT(vector) v = FT_LOAD(v_last);
            infinite |= (v > largest) | (v < -largest);
            FT_STORE(v_last, FT(scale_vector)(kind, v, FT_LOAD(a_last), FT_LOAD(b_last), low, high));
            for (ptrdiff_t l = 0; j + l < width; l++)
                to[j + l] = v_last[l];
        }
    }
    return FT(any_lane)(&infinite);
}

static int FT(scale_rows)(int kind, const FT_REAL *x, ptrdiff_t ldx, ptrdiff_t m, ptrdiff_t width, const FT_REAL *a,
                          const FT_REAL *b, FT_REAL low, FT_REAL high, FT_REAL *out, ptrdiff_t ldo)
{
    if (kind == 0)
        return FT(scale_kind)(0, x, ldx, m, width, a, b, low, high, out, ldo);
    if (kind == 1)
        return FT(scale_kind)(1, x, ldx, m, width, a, b, low, high, out, ldo);
    return FT(scale_kind)(2, x, ldx, m, width, a, b, low, high, out, ldo);
}

#undef FT_SELECT
#undef FT_ROUND
#undef FT_ROWS_AT_ONCE
