/* Products of the transposed rows of a batch with the gradients of its outputs: the gradients of weights and biases. Included
 * after products_body.h, whose tiles these are with the batch as the inner index. */

/* ---- few outputs: the vectors run along the features ---- */

/* n_vectors vectors of features, the gradient in registers while the rows go by; with n_left > 0 one more that ends with
 * feature `last` and of which only the last n_left lanes count. */
FT_INLINE void FT(axpy_rows)(const FT_REAL *const *rows, ptrdiff_t m, ptrdiff_t f, const int n_vectors, const int has_tail,
                             ptrdiff_t last, ptrdiff_t n_left, const FT_REAL *d, ptrdiff_t ldd, FT_REAL *g_io,
                             const FT_REAL *const *ahead)
{
    FT(vector) acc[8], tail = {0};
#pragma GCC unroll 8
    for (int v = 0; v < n_vectors; v++)
        acc[v] = FT_LOAD(g_io + f + v * FT_LANES);
    for (ptrdiff_t i = 0; i < m; i++) {
        const FT(vector) di = FT_SPLAT(d[i * ldd]);
        const FT_REAL *row = rows[i] + f;
        if (ahead)
            FT(fetch)(ahead[i], FT_FIRST_HALF(last), last);
#pragma GCC unroll 8
        for (int v = 0; v < n_vectors; v++)
            acc[v] += FT_LOAD(row + v * FT_LANES) * di;
        if (has_tail)
            tail += FT_LOAD(rows[i] + last - FT_LANES) * di;
    }
#pragma GCC unroll 8
    for (int v = 0; v < n_vectors; v++)
        FT_STORE(g_io + f + v * FT_LANES, acc[v]);
    if (has_tail) {
        FT_REAL lanes[FT_LANES];
        FT_STORE(lanes, tail);
        for (ptrdiff_t l = FT_LANES - n_left; l < FT_LANES; l++)
            g_io[last - FT_LANES + l] += lanes[l];
    }
}

static void FT(rows_axpy)(const FT_REAL *const *rows, ptrdiff_t m, ptrdiff_t first, ptrdiff_t last, const FT_REAL *d,
                          ptrdiff_t ldd, ptrdiff_t n_out, FT_REAL *g_io, ptrdiff_t ldg, const FT_REAL *const *ahead)
{
    for (ptrdiff_t o = 0; o < n_out; o++) {
        FT_REAL *g = g_io + o * ldg;
        const FT_REAL *column = d + o;
        if (last - first < FT_LANES) {
            for (ptrdiff_t i = 0; i < m; i++) {
                const FT_REAL di = column[i * ldd];
                for (ptrdiff_t f = first; f < last; f++)
                    g[f] += di * rows[i][f];
            }
            continue;
        }
        const FT_REAL *const *fetch = o == 0 ? ahead : NULL;
        ptrdiff_t f = first;
        for (; f + 8 * FT_LANES <= last; f += 8 * FT_LANES) {
            FT(axpy_rows)(rows, m, f, 8, 0, last, 0, column, ldd, g, fetch);
            fetch = NULL;
        }
        const ptrdiff_t vectors = (last - f) / FT_LANES, left = (last - f) % FT_LANES;
        switch (2 * vectors + (left > 0)) {
#define FT_CASE(v, tail)                                                                                          \
    case 2 * v + tail:                                                                                            \
        FT(axpy_rows)(rows, m, f, v, tail, last, left, column, ldd, g, fetch);                                    \
        break;
            FT_CASE(0, 1) FT_CASE(1, 0) FT_CASE(1, 1) FT_CASE(2, 0) FT_CASE(2, 1) FT_CASE(3, 0) FT_CASE(3, 1)
            FT_CASE(4, 0) FT_CASE(4, 1) FT_CASE(5, 0) FT_CASE(5, 1) FT_CASE(6, 0) FT_CASE(6, 1) FT_CASE(7, 0)
            FT_CASE(7, 1)
#undef FT_CASE
        }
    }
}

/* ---- many outputs: the vectors run along the columns of D ---- */

/* Narrow panels do little work for what they read: D's part of a panel lies together, and so does A's of a strip of features,
 * for as many rows at a time as leave room for both in a first-level cache of 32 kilobytes. Rows of a power of two bytes would
 * all fall in a few of its sets, and those of wide layers each on a page of its own. */
#if FT_PANEL_VECTORS == 2
#define FT_NARROW_PANELS 1
#define FT_ROWS_PACKED 64
#define FT_STRIP_LINES 3
#define FT_STRIP_FEATURES (FT_STRIP_LINES * FT_LINE)
/* Bytes of D that stay in the first-level cache as they lie. */
#define FT_NEAR_BYTES 16384
#else
#define FT_NARROW_PANELS 0
#endif

/* Where a tile finds its features: in the rows, in the rows for the first time, which copies them, and in that copy, R of a row
 * and then those of the next. */
#define FT_FROM_ROWS 0
#define FT_COPYING 1
#define FT_FROM_COPY 2
/* What a tile fetches meanwhile: what follows its features in the rows, or the lines of the rows that begin with `line`. */
#define FT_FETCH_NOTHING 0
#define FT_FETCH_NEXT 1
#define FT_FETCH_LINE 2

/* R features by V vectors, and with H half of one more, of g = rows^T d, held in registers over the m rows of a batch. */
FT_INLINE void FT(tile_columns)(const FT_REAL *const *rows, const int source, FT_REAL *copy, const int fetches, ptrdiff_t line,
                                ptrdiff_t m, ptrdiff_t f, const FT_REAL *d, ptrdiff_t ldd, const int R, const int V,
                                const int H, int accumulate, FT_REAL *g_io)
{
    FT(vector) acc[16][4];
    FT(half) rest[16];
    const ptrdiff_t full = V * FT_LANES, width = full + H * FT_HALF_LANES;
#pragma GCC unroll 16
    for (int r = 0; r < R; r++) {
#pragma GCC unroll 4
        for (int v = 0; v < V; v++)
            acc[r][v] = accumulate ? FT_LOAD(g_io + r * width + v * FT_LANES) : (FT(vector)){0};
        if (H)
            rest[r] = accumulate ? FT_LOAD_HALF(g_io + r * width + full) : (FT(half)){0};
    }
    for (ptrdiff_t i = 0; i < m; i++) {
        const FT_REAL *x = source == FT_FROM_COPY ? copy + i * R : rows[i] + f;
        /* one address for all R: gcc would keep f + r in as many registers */
        __asm__("" : "+r"(x));
        FT(vector) b[4];
        FT(half) c;
        if (fetches)
            __builtin_prefetch(fetches == FT_FETCH_LINE ? rows[i] + line : x + FT_LINE);
        if (source == FT_COPYING) {
            /* as few loads as can be: the broadcasts leave room for two */
            const ptrdiff_t vectors = R / FT_LANES * FT_LANES;
#pragma GCC unroll 4
            for (ptrdiff_t r = 0; r < vectors; r += FT_LANES)
                FT_STORE(copy + i * R + r, FT_LOAD(x + r));
            memcpy(copy + i * R + vectors, x + vectors, (size_t)(R - vectors) * sizeof(FT_REAL));
        }
#pragma GCC unroll 4
        for (int v = 0; v < V; v++)
            b[v] = FT_LOAD(d + i * ldd + v * FT_LANES);
        if (H)
            c = FT_LOAD_HALF(d + i * ldd + full);
#pragma GCC unroll 16
        for (int r = 0; r < R; r++) {
            const FT(vector) a = FT_SPLAT(x[r]);
#pragma GCC unroll 4
            for (int v = 0; v < V; v++)
                acc[r][v] += a * b[v];
            if (H)
                rest[r] += FT_SPLAT_HALF(x[r]) * c;
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; r++) {
#pragma GCC unroll 4
        for (int v = 0; v < V; v++)
            FT_STORE(g_io + r * width + v * FT_LANES, acc[r][v]);
        if (H)
            FT_STORE_HALF(g_io + r * width + full, rest[r]);
    }
}

#define FT_COLUMNS_TILE(R, V, H)                                                                                  \
    FT(tile_columns)(rows, FT_FROM_ROWS, NULL, FT_NARROW_PANELS ? FT_FETCH_NEXT : FT_FETCH_NOTHING, 0, m, i, d, ldd, R, V, H, \
                     accumulate, g_io + (i - first) * width)
#define FT_WALK_COLUMNS(V, H, FULL) FT_WALK(V, H, FULL, FT_COLUMNS_TILE)

static void FT(columns_walk)(const FT_REAL *const *rows, ptrdiff_t m, ptrdiff_t first, ptrdiff_t last, const FT_REAL *d,
                             ptrdiff_t ldd, ptrdiff_t width, int accumulate, FT_REAL *g_io)
{
    ptrdiff_t i = first;
    const ptrdiff_t end = last;
    switch (2 * width / FT_LANES) {
        FT_WIDTHS(FT_WALK_COLUMNS)
    }
}

#if FT_NARROW_PANELS
/* Copies rows [begin, begin + part) of a panel of D. */
FT_INLINE void FT(pack_columns)(const FT_REAL *d, ptrdiff_t ldd, ptrdiff_t part, ptrdiff_t width, FT_REAL *out)
{
    for (ptrdiff_t i = 0; i < part; i++)
        for (ptrdiff_t c = 0; c < width; c += FT_LANES)
            FT_STORE(out + i * width + c, FT_LOAD(d + i * ldd + c));
}
#endif

static void FT(columns_panel)(const FT_REAL *const *rows, ptrdiff_t m, ptrdiff_t first, ptrdiff_t last, const FT_REAL *d,
                              ptrdiff_t ldd, ptrdiff_t width, int accumulate, FT_REAL *g_io)
{
#if FT_NARROW_PANELS
    if (m * ldd * (ptrdiff_t)sizeof(FT_REAL) > FT_NEAR_BYTES) {
        FT_REAL packed[FT_ROWS_PACKED * 2 * FT_LANES] __attribute__((aligned(64)));
        const ptrdiff_t n_parts = (m + FT_ROWS_PACKED - 1) / FT_ROWS_PACKED;
        /* where a panel is half of D its rows lie together already */
        const int packs = ldd > 4 * FT_LANES;
        for (ptrdiff_t q = 0; q < n_parts; q++) {
            const ptrdiff_t begin = m * q / n_parts, part = m * (q + 1) / n_parts - begin;
            if (packs)
                FT(pack_columns)(d + begin * ldd, ldd, part, width, packed);
            FT(columns_walk)(rows + begin, part, first, last, packs ? packed : d + begin * ldd, packs ? width : ldd, width,
                             accumulate || q, g_io);
        }
        return;
    }
#endif
    FT(columns_walk)(rows, m, first, last, d, ldd, width, accumulate, g_io);
}

#if FT_NARROW_PANELS
#define FT_STRIP_TILE(R, V, H, source, fetches, line)                                                              \
    FT(tile_columns)(rows, source, copy + (i - first) * m, fetches, line, m, i, d, width, R, V, H, accumulate,    \
                     g_io + (i - first) * width)
#define FT_COPYING_TILE(R, V, H) FT_STRIP_TILE(R, V, H, FT_COPYING, FT_FETCH_NOTHING, 0)
#define FT_COPY_TILE(R, V, H) FT_STRIP_TILE(R, V, H, FT_FROM_COPY, FT_FETCH_NOTHING, 0)

/* At most FT_STRIP_FEATURES features by full panel p of a strip, its part of D together. The first panel copies the features
 * for the others, whose first tiles fetch a line each of the features that come next. */
static void FT(columns_copied)(const FT_REAL *const *rows, FT_REAL *copy, ptrdiff_t p, ptrdiff_t n_panels, ptrdiff_t m,
                               ptrdiff_t first, ptrdiff_t end, const FT_REAL *d, int accumulate, FT_REAL *g_io)
{
    const ptrdiff_t width = 2 * FT_LANES;
    ptrdiff_t i = first;
    if (p == 0) {
        FT_TILES(2, 0, FT_TILE_4, FT_COPYING_TILE)
        return;
    }
    if (end - first == FT_STRIP_FEATURES)
        for (ptrdiff_t line = p - 1; line < FT_STRIP_LINES; line += n_panels - 1, i += FT_TILE_4)
            FT_STRIP_TILE(FT_TILE_4, 2, 0, FT_FROM_COPY, FT_FETCH_LINE, end + line * FT_LINE);
    FT_TILES(2, 0, FT_TILE_4, FT_COPY_TILE)
}
#endif

/* Several panels beside each other: what is copied of A serves all of them. */
static void FT(columns_strip)(const FT_REAL *const *rows, ptrdiff_t m, ptrdiff_t first, ptrdiff_t last, const FT_REAL *d,
                              ptrdiff_t ldd, ptrdiff_t width, ptrdiff_t n_panels, FT_REAL *g_out, ptrdiff_t ldg)
{
#if FT_NARROW_PANELS
    if (n_panels > 1 && width == 2 * FT_LANES && m * ldd * (ptrdiff_t)sizeof(FT_REAL) > FT_NEAR_BYTES) {
        FT_REAL packed[FT_STRIP_PANELS * FT_ROWS_PACKED * 2 * FT_LANES] __attribute__((aligned(64)));
        FT_REAL copy[FT_ROWS_PACKED * FT_STRIP_FEATURES] __attribute__((aligned(64)));
        const ptrdiff_t n_parts = (m + FT_ROWS_PACKED - 1) / FT_ROWS_PACKED;
        for (ptrdiff_t q = 0; q < n_parts; q++) {
            const ptrdiff_t begin = m * q / n_parts, part = m * (q + 1) / n_parts - begin;
            for (ptrdiff_t p = 0; p < n_panels; p++)
                FT(pack_columns)(d + begin * ldd + p * width, ldd, part, width, packed + p * FT_ROWS_PACKED * width);
            for (ptrdiff_t f = first; f < last; f += FT_STRIP_FEATURES) {
                const ptrdiff_t end = last - f < FT_STRIP_FEATURES ? last : f + FT_STRIP_FEATURES;
                for (ptrdiff_t p = 0; p < n_panels; p++)
                    FT(columns_copied)(rows + begin, copy, p, n_panels, part, f, end, packed + p * FT_ROWS_PACKED * width,
                                       q > 0, g_out + p * ldg + (f - first) * width);
            }
        }
        return;
    }
#endif
    for (ptrdiff_t p = 0; p < n_panels; p++)
        FT(columns_panel)(rows, m, first, last, d + p * width, ldd, width, 0, g_out + p * ldg);
}

/* n_vectors columns of vectors, their sums in registers while the rows go by. */
FT_INLINE void FT(sum_columns)(const FT_REAL *d, ptrdiff_t ldd, ptrdiff_t m, const int n_vectors, int accumulate, FT_REAL *s_io)
{
    FT(vector) acc[4];
#pragma GCC unroll 4
    for (int v = 0; v < n_vectors; v++)
        acc[v] = accumulate ? FT_LOAD(s_io + v * FT_LANES) : (FT(vector)){0};
    for (ptrdiff_t i = 0; i < m; i++)
#pragma GCC unroll 4
        for (int v = 0; v < n_vectors; v++)
            acc[v] += FT_LOAD(d + i * ldd + v * FT_LANES);
#pragma GCC unroll 4
    for (int v = 0; v < n_vectors; v++)
        FT_STORE(s_io + v * FT_LANES, acc[v]);
}

static void FT(column_sums)(const FT_REAL *d, ptrdiff_t ldd, ptrdiff_t m, ptrdiff_t width, int accumulate, FT_REAL *s_io)
{
    ptrdiff_t c = 0;
    for (; c + 4 * FT_LANES <= width; c += 4 * FT_LANES)
        FT(sum_columns)(d + c, ldd, m, 4, accumulate, s_io + c);
    for (; c + FT_LANES <= width; c += FT_LANES)
        FT(sum_columns)(d + c, ldd, m, 1, accumulate, s_io + c);
    for (; c < width; c++) {
        FT_REAL total = accumulate ? s_io[c] : 0;
        for (ptrdiff_t i = 0; i < m; i++)
            total += d[i * ldd + c];
        s_io[c] = total;
    }
}

#undef FT_ROWS_AT_ONCE
#undef FT_LINE
#undef FT_FIRST_HALF
#undef FT_SHUFFLE
#undef FT_SWAP_LOW
#undef FT_SWAP_HIGH
#undef FT_EACH_LANE
#undef FT_SWAP
#undef FT_TILE_1
#undef FT_TILE_2
#undef FT_TILE_3
#undef FT_TILE_4
#undef FT_TILE_5
#undef FT_TILE_6
#undef FT_TILE_7
#undef FT_TILE_8
#undef FT_HALVES
#undef FT_WIDTHS
#undef FT_WALK
#undef FT_WALK_ROWS
#undef FT_WALK_COLUMNS
#undef FT_HALF_LANES
#undef FT_LOAD_HALF
#undef FT_STORE_HALF
#undef FT_SPLAT_HALF
#undef FT_ROWS_PACKED
#undef FT_NEAR_BYTES
#undef FT_STRIP_FEATURES
#undef FT_ROWS_TILE
#undef FT_LONG_ROW
#undef FT_COLUMNS_TILE
#undef FT_NARROW_PANELS
#undef FT_FROM_ROWS
#undef FT_COPYING
#undef FT_FROM_COPY
#undef FT_STRIP_LINES
#undef FT_FETCH_NOTHING
#undef FT_FETCH_NEXT
#undef FT_FETCH_LINE
#undef FT_STRIP_TILE
#undef FT_COPYING_TILE
#undef FT_COPY_TILE
#undef FT_TILES
