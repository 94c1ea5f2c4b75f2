/* Products and distances of columns. */

#define FT_LANES ((ptrdiff_t)(FT_VECTOR_BYTES / sizeof(FT_REAL)))
typedef FT_REAL FT(column_vector) __attribute__((vector_size(FT_VECTOR_BYTES)));

FT_INLINE FT(column_vector) FT(column_load)(const FT_REAL *p)
{
    FT(column_vector) v;
    memcpy(&v, p, sizeof v);
    return v;
}

FT_INLINE FT_REAL FT(column_lanes)(FT(column_vector) v)
{
    FT_REAL lane[FT_VECTOR_BYTES / sizeof(FT_REAL)];
    memcpy(lane, &v, sizeof v);
    for (ptrdiff_t half = FT_LANES / 2; half >= 1; half /= 2)
        for (ptrdiff_t l = 0; l < half; l++)
            lane[l] += lane[l + half];
    return lane[0];
}

/* The sum over i of term(i), a vector at a time; `vector` and `scalar` are the term of FT_LANES numbers from i on, and of one. */
#define FT_COLUMN_SUM(name, arguments, vector, scalar)                                                            \
    static FT_REAL FT(name) arguments                                                                             \
    {                                                                                                             \
        FT(column_vector) sum[4] = {{0}, {0}, {0}, {0}};                                                          \
        ptrdiff_t start = 0, i;                                                                                   \
        for (; start + 4 * FT_LANES <= n; start += 4 * FT_LANES)                                                  \
            for (int k = 0; k < 4; k++) {                                                                         \
                i = start + k * FT_LANES;                                                                         \
                const FT(column_vector) term = vector;                                                            \
                sum[k] += term;                                                                                   \
            }                                                                                                     \
        for (; start + FT_LANES <= n; start += FT_LANES) {                                                        \
            i = start;                                                                                            \
            const FT(column_vector) term = vector;                                                                \
            sum[0] += term;                                                                                       \
        }                                                                                                         \
        FT_REAL total = FT(column_lanes)((sum[0] + sum[1]) + (sum[2] + sum[3]));                                  \
        for (i = start; i < n; i++)                                                                               \
            total += scalar;                                                                                      \
        return total;                                                                                             \
    }

FT_COLUMN_SUM(column_dot, (const FT_REAL *x, const FT_REAL *y, ptrdiff_t n),
              FT(column_load)(x + i) * FT(column_load)(y + i), x[i] * y[i])

FT_COLUMN_SUM(column_distance, (const FT_REAL *x, const FT_REAL *y, ptrdiff_t n),
              (FT(column_load)(x + i) - FT(column_load)(y + i)) * (FT(column_load)(x + i) - FT(column_load)(y + i)),
              (x[i] - y[i]) * (x[i] - y[i]))

#if FT_IS_DOUBLE
/* Lane by lane: of __builtin_convertvector GCC makes two conversions of half the width and puts them together. */
FT_INLINE FT(column_vector) FT(column_widen)(const float *p)
{
    FT(column_vector) v;
    for (ptrdiff_t l = 0; l < FT_LANES; l++)
        v[l] = p[l];
    return v;
}

FT_COLUMN_SUM(column_dot_narrow, (const float *x, const FT_REAL *y, ptrdiff_t n),
              FT(column_widen)(x + i) * FT(column_load)(y + i), (FT_REAL)x[i] * y[i])
#endif
#undef FT_COLUMN_SUM

static void FT(column_axpy)(FT_REAL a, const FT_REAL *restrict x, FT_REAL *restrict y_io, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i++)
        y_io[i] += a * x[i];
}
