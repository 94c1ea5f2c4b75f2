/* Included once by each isa_gram_*.c after its target pragma, with FT_ISA (its name) and FT_VECTOR_BYTES set. */
#include "gram.h"
#include "stamp.h"

#define FT_SUFFIX _gram
#define FT_LANES ((ptrdiff_t)(FT_VECTOR_BYTES / sizeof(double)))
/* A tile is FT_LANES features by so many vectors: 24 accumulators of 32 registers, 12 or 8 of 16. */
#define FT_GRAM_VECTORS (FT_VECTOR_BYTES == 16 ? 4 : 3)
#define FT_GRAM_WIDTH (FT_GRAM_VECTORS * FT_LANES)

typedef double FT(vector) __attribute__((vector_size(FT_VECTOR_BYTES)));
typedef double FT(loose) __attribute__((vector_size(FT_VECTOR_BYTES), aligned(sizeof(double)), may_alias));
#define FT_LOAD(p) ((FT(vector))(*(const FT(loose) *)(p)))
#define FT_STORE(p, v) (*(FT(loose) *)(p) = (FT(loose))(v))
/* Minus zero, not plus: x - 0 is x for every x, -0 included, so the compiler leaves only the broadcast. */
#define FT_SPLAT(x) ((x) - (FT(vector)){0})

/* FT_LANES features from `a` on by V vectors from `d` on, held in registers over m rows of the panels. */
FT_INLINE void FT(tile)(const double *a, const double *d, ptrdiff_t m, const int V, const char *next, ptrdiff_t step,
                        double *g_io, ptrdiff_t ldg)
{
    FT(vector) sum[FT_LANES][FT_GRAM_VECTORS];
#pragma GCC unroll 8
    for (int r = 0; r < FT_LANES; r++)
#pragma GCC unroll 4
        for (int v = 0; v < V; v++)
            sum[r][v] = FT_LOAD(g_io + r * ldg + v * FT_LANES);
    for (ptrdiff_t i = 0; i < m; i++) {
        FT(vector) b[FT_GRAM_VECTORS];
        __builtin_prefetch(next, 0, 2);
        next += step;
#pragma GCC unroll 4
        for (int v = 0; v < V; v++)
            b[v] = FT_LOAD(d + i * FT_GRAM_WIDTH + v * FT_LANES);
#pragma GCC unroll 8
        for (int r = 0; r < FT_LANES; r++) {
            const FT(vector) x = FT_SPLAT(a[i * FT_GRAM_WIDTH + r]);
#pragma GCC unroll 4
            for (int v = 0; v < V; v++)
                sum[r][v] += x * b[v];
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < FT_LANES; r++)
#pragma GCC unroll 4
        for (int v = 0; v < V; v++)
            FT_STORE(g_io + r * ldg + v * FT_LANES, sum[r][v]);
}

static void FT(panel)(const double *z, const double *d, ptrdiff_t m, ptrdiff_t stride, ptrdiff_t k, ptrdiff_t height,
                      ptrdiff_t n, const char *next, ptrdiff_t ahead, double *sums_io)
{
    const ptrdiff_t step = next ? (ahead + m - 1) / m : 0;
    d += k * stride;
    for (ptrdiff_t f = 0; f < height; f += FT_LANES) {
        const double *a = z + f / FT_GRAM_WIDTH * stride + f % FT_GRAM_WIDTH;
        /* vectors of the panel that lie left of the tile's square on the diagonal */
        const ptrdiff_t below = f > k * FT_GRAM_WIDTH ? f - k * FT_GRAM_WIDTH : 0;
        const char *ask = next ? next + f / FT_LANES * ahead : (const char *)a;
        double *g = sums_io + f * n + below;
        switch ((n - below) / FT_LANES) {
        case 1:
            FT(tile)(a, d + below, m, 1, ask, step, g, n);
            break;
        case 2:
            FT(tile)(a, d + below, m, 2, ask, step, g, n);
            break;
        case 3:
            FT(tile)(a, d + below, m, 3, ask, step, g, n);
            break;
#if FT_VECTOR_BYTES == 16
        case 4:
            FT(tile)(a, d + below, m, 4, ask, step, g, n);
            break;
#endif
        }
    }
}

#define FT_SPREAD(name, real)                                                                                     \
    static void FT(name)(const real *x, const ptrdiff_t *rows, ptrdiff_t row_stride, ptrdiff_t first, ptrdiff_t m,      \
                         ptrdiff_t n, const double *column_shift, const double *row_shift, double *z_out, ptrdiff_t stride) \
    {                                                                                                             \
        for (ptrdiff_t i = 0; i < m; i++) {                                                                       \
            const ptrdiff_t row = rows ? rows[first + i] : first + i;                                             \
            const real *source = x + row * row_stride;                                                            \
            const double shift = row_shift ? row_shift[row] : 0.0;                                                \
            double *out = z_out + i * FT_GRAM_WIDTH;                                                              \
            ptrdiff_t j = 0;                                                                                      \
            for (; j + FT_GRAM_WIDTH <= n; j += FT_GRAM_WIDTH, out += stride)                                     \
                for (ptrdiff_t c = 0; c < FT_GRAM_WIDTH; c++)                                                     \
                    out[c] = ((double)source[j + c] - column_shift[j + c]) - shift;                               \
            for (ptrdiff_t c = 0; c < n - j; c++)                                                                 \
                out[c] = ((double)source[j + c] - column_shift[j + c]) - shift;                                   \
        }                                                                                                         \
    }
FT_SPREAD(spread_f32, float)
FT_SPREAD(spread_f64, double)

static void FT(weigh)(const double *z, const double *weights, const ptrdiff_t *rows, ptrdiff_t first, ptrdiff_t m,
                      ptrdiff_t n_panels, ptrdiff_t stride, double *d_out)
{
    for (ptrdiff_t k = 0; k < n_panels; k++)
        for (ptrdiff_t i = 0; i < m; i++) {
            const double weight = weights[rows ? rows[first + i] : first + i];
            const ptrdiff_t begin = k * stride + i * FT_GRAM_WIDTH;
            for (ptrdiff_t c = 0; c < FT_GRAM_WIDTH; c++)
                d_out[begin + c] = weight * z[begin + c];
        }
}

const ft_gram_kernels FT_PASTE(ft_gram_, FT_ISA) = {
    .width = FT_GRAM_WIDTH,
    .tile = FT_LANES,
    .spread_f32 = FT(spread_f32),
    .spread_f64 = FT(spread_f64),
    .weigh = FT(weigh),
    .panel = FT(panel),
};
