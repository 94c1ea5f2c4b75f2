/* Products of a block of rows with weights.
 *
 * The left operand is always a list of row pointers: a gathered mini-batch needs no copy, and the weight gradient A^T D needs
 * no transposed copy of A. Every output element is one chain of multiply-adds over the inner index in ascending order, whatever
 * the tile it falls in, so splitting rows among threads cannot change a byte. */

/* ---- few outputs: the vectors run along the features ---- */

#define FT_ROWS_AT_ONCE 4
#define FT_LINE (64 / (ptrdiff_t)sizeof(FT_REAL))

/* Asks for the lines of [first, last) of a row that a later block will read: spread over both passes of the present block,
 * so that memory is never idle while the cache is worked on. */
#define FT_FIRST_HALF(k) ((k) / 2 / FT_LINE * FT_LINE)
FT_INLINE void FT(fetch)(const FT_REAL *row, ptrdiff_t first, ptrdiff_t last)
{
    for (ptrdiff_t f = first; f < last; f += FT_LINE)
        __builtin_prefetch(row + f, 0, 3);
}

#if defined(__clang__)
#define FT_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define FT_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (FT(index)){__VA_ARGS__})
typedef FT_BITS FT(index) __attribute__((vector_size(FT_VECTOR_BYTES)));
#endif

/* The lanes of four accumulators added up together: halves are folded pairwise, which is the order of add_lanes, so a row's
 * sum is the same whether it comes in a group of four or alone. */
FT_INLINE void FT(add_lanes_of_four)(const FT(vector) *v, FT_REAL *out)
{
#if FT_VECTOR_BYTES == 16 && FT_IS_DOUBLE
    for (int r = 0; r < 4; r++)
        out[r] = FT(add_lanes)(v + r);
#else
    FT_REAL lane[FT_LANES];
#if FT_VECTOR_BYTES / 4 == 16 && !FT_IS_DOUBLE
#define FT_HALF_LOW 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23
#define FT_HALF_HIGH 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31
#define FT_QUARTER_LOW 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27
#define FT_QUARTER_HIGH 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31
#elif FT_VECTOR_BYTES / 4 == 8 * (1 + FT_IS_DOUBLE)
#define FT_HALF_LOW 0, 1, 2, 3, 8, 9, 10, 11
#define FT_HALF_HIGH 4, 5, 6, 7, 12, 13, 14, 15
#define FT_QUARTER_LOW 0, 1, 4, 5, 8, 9, 12, 13
#define FT_QUARTER_HIGH 2, 3, 6, 7, 10, 11, 14, 15
#else
#define FT_HALF_LOW 0, 1, 4, 5
#define FT_HALF_HIGH 2, 3, 6, 7
#define FT_QUARTER_LOW 0, 2, 4, 6
#define FT_QUARTER_HIGH 1, 3, 5, 7
#endif
    const FT(vector) ab = FT_SHUFFLE(v[0], v[1], FT_HALF_LOW) + FT_SHUFFLE(v[0], v[1], FT_HALF_HIGH);
    const FT(vector) cd = FT_SHUFFLE(v[2], v[3], FT_HALF_LOW) + FT_SHUFFLE(v[2], v[3], FT_HALF_HIGH);
    const FT(vector) abcd = FT_SHUFFLE(ab, cd, FT_QUARTER_LOW) + FT_SHUFFLE(ab, cd, FT_QUARTER_HIGH);
    /* what is left of a row are its quarter's lanes, which the last shuffle brings to the front */
#if FT_VECTOR_BYTES / 4 == 16 && !FT_IS_DOUBLE
    const FT(vector) pair = abcd + FT_SHUFFLE(abcd, abcd, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
    const FT(vector) sum = pair + FT_SHUFFLE(pair, pair, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
    FT_STORE(lane, FT_SHUFFLE(sum, sum, 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
#elif FT_VECTOR_BYTES / 4 == 8 * (1 + FT_IS_DOUBLE)
    const FT(vector) sum = abcd + FT_SHUFFLE(abcd, abcd, 1, 0, 3, 2, 5, 4, 7, 6);
    FT_STORE(lane, FT_SHUFFLE(sum, sum, 0, 2, 4, 6, 1, 3, 5, 7));
#else
    FT_STORE(lane, abcd);
#endif
    memcpy(out, lane, 4 * sizeof(FT_REAL));
#undef FT_HALF_LOW
#undef FT_HALF_HIGH
#undef FT_QUARTER_LOW
#undef FT_QUARTER_HIGH
#endif
}

/* The last vector of a row reaches back over elements that the vectors before it have covered; `tail` holds the weights for
 * it with those lanes zero, so that nothing is read past a row's end and nothing counts twice. */
FT_INLINE void FT(dot_rows)(const FT_REAL *const *rows, const int n_rows, ptrdiff_t k, ptrdiff_t full, const FT_REAL *w,
                            const FT_REAL *tail, FT_REAL bias, FT_REAL *z_out, ptrdiff_t ldz)
{
    FT(vector) acc[FT_ROWS_AT_ONCE];
    for (int r = 0; r < n_rows; r++)
        acc[r] = (FT(vector)){0};
    for (ptrdiff_t f = 0; f < full; f += FT_LANES) {
        const FT(vector) wf = FT_LOAD(w + f);
#pragma GCC unroll 4
        for (int r = 0; r < n_rows; r++)
            acc[r] += FT_LOAD(rows[r] + f) * wf;
    }
    if (full < k) {
        const FT(vector) wt = FT_LOAD(tail);
#pragma GCC unroll 4
        for (int r = 0; r < n_rows; r++)
            acc[r] += FT_LOAD(rows[r] + k - FT_LANES) * wt;
    }
    if (n_rows == FT_ROWS_AT_ONCE) {
        FT_REAL sum[FT_ROWS_AT_ONCE];
        FT(add_lanes_of_four)(acc, sum);
        for (int r = 0; r < FT_ROWS_AT_ONCE; r++)
            z_out[r * ldz] = sum[r] + bias;
    } else {
        for (int r = 0; r < n_rows; r++)
            z_out[r * ldz] = FT(add_lanes)(&acc[r]) + bias;
    }
}

static void FT(rows_dot)(const FT_REAL *const *rows, ptrdiff_t m, ptrdiff_t k, const FT_REAL *w, ptrdiff_t ldw,
                         ptrdiff_t n_out, const FT_REAL *bias, ptrdiff_t bias_stride, FT_REAL *z_out, ptrdiff_t ldz,
                         const FT_REAL *const *ahead)
{
    for (ptrdiff_t o = 0; o < n_out; o++) {
        const FT_REAL *wo = w + o * ldw;
        const FT_REAL b = bias ? bias[o * bias_stride] : 0;
        if (k < FT_LANES) {
            for (ptrdiff_t i = 0; i < m; i++) {
                FT_REAL total = 0;
                for (ptrdiff_t f = 0; f < k; f++)
                    total += rows[i][f] * wo[f];
                z_out[i * ldz + o] = total + b;
            }
            continue;
        }
        const ptrdiff_t full = k / FT_LANES * FT_LANES;
        FT_REAL tail[FT_LANES];
        for (ptrdiff_t l = 0; l < FT_LANES; l++) {
            const ptrdiff_t f = k - FT_LANES + l;
            tail[l] = f >= full ? wo[f] : 0;
        }
        ptrdiff_t i = 0;
        for (; i + FT_ROWS_AT_ONCE <= m; i += FT_ROWS_AT_ONCE) {
            if (ahead && o == 0)
                for (int r = 0; r < FT_ROWS_AT_ONCE; r++)
                    FT(fetch)(ahead[i + r], 0, FT_FIRST_HALF(k));
            FT(dot_rows)(rows + i, FT_ROWS_AT_ONCE, k, full, wo, tail, b, z_out + i * ldz + o, ldz);
        }
        for (; i < m; i++)
            FT(dot_rows)(rows + i, 1, k, full, wo, tail, b, z_out + i * ldz + o, ldz);
    }
}

/* ---- many outputs: the vectors run along a packed panel's columns ---- */

/* Half a vector, for the last columns of a panel: where 512 bits are two operations it costs half. */
#define FT_HALF_LANES (FT_LANES / 2)
typedef FT_REAL FT(half) __attribute__((vector_size(FT_VECTOR_BYTES / 2)));
typedef FT_REAL FT(loose_half) __attribute__((vector_size(FT_VECTOR_BYTES / 2), aligned(sizeof(FT_REAL)), may_alias));
#define FT_LOAD_HALF(p) ((FT(half))(*(const FT(loose_half) *)(p)))
#define FT_STORE_HALF(p, v) (*(FT(loose_half) *)(p) = (FT(loose_half))(v))
#define FT_SPLAT_HALF(x) ((x) - (FT(half)){0})

/* R rows by V vectors, and with H half of one more, of z = rows @ panel, held in registers over all of k; next: NULL, or R rows
 * that are asked for line by line. */
FT_INLINE void FT(tile_rows)(const FT_REAL *const *rows, const FT_REAL *const *next, ptrdiff_t k, const FT_REAL *panel,
                             const int R, const int V, const int H, const FT_REAL *bias, FT_REAL *z_out, ptrdiff_t ldz)
{
    FT(vector) acc[16][4];
    FT(half) rest[16];
    const ptrdiff_t full = V * FT_LANES, width = full + H * FT_HALF_LANES;
#pragma GCC unroll 16
    for (int r = 0; r < R; r++) {
#pragma GCC unroll 4
        for (int v = 0; v < V; v++)
            acc[r][v] = bias ? FT_LOAD(bias + v * FT_LANES) : (FT(vector)){0};
        if (H)
            rest[r] = bias ? FT_LOAD_HALF(bias + full) : (FT(half)){0};
    }
    for (ptrdiff_t start = 0, end; start < k; start = end) {
        end = next && start + FT_LINE < k ? start + FT_LINE : k;
        for (int r = 0; next && r < R; r++)
            __builtin_prefetch(next[r] + start, 0, 2);
        for (ptrdiff_t i = start; i < end; i++) {
            FT(vector) b[4];
            FT(half) c;
#pragma GCC unroll 4
            for (int v = 0; v < V; v++)
                b[v] = FT_LOAD(panel + i * width + v * FT_LANES);
            if (H)
                c = FT_LOAD_HALF(panel + i * width + full);
#pragma GCC unroll 16
            for (int r = 0; r < R; r++) {
                const FT(vector) a = FT_SPLAT(rows[r][i]);
#pragma GCC unroll 4
                for (int v = 0; v < V; v++)
                    acc[r][v] += a * b[v];
                if (H)
                    rest[r] += FT_SPLAT_HALF(rows[r][i]) * c;
            }
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; r++) {
#pragma GCC unroll 4
        for (int v = 0; v < V; v++)
            FT_STORE(z_out + r * ldz + v * FT_LANES, acc[r][v]);
        if (H)
            FT_STORE_HALF(z_out + r * ldz + full, rest[r]);
    }
}

/* The same for one row and weights that are not packed: n columns, rows of w ldw apart. Eight vectors at a time, so that most
 * layers are read from front to back. */
FT_INLINE void FT(row_tile)(const FT_REAL *x, ptrdiff_t k, const FT_REAL *w, ptrdiff_t ldw, const int V, const FT_REAL *bias,
                            FT_REAL *z_out)
{
    FT(vector) acc[8];
#pragma GCC unroll 8
    for (int v = 0; v < V; v++)
        acc[v] = FT_LOAD(bias + v * FT_LANES);
    for (ptrdiff_t i = 0; i < k; i++) {
        const FT(vector) a = FT_SPLAT(x[i]);
#pragma GCC unroll 8
        for (int v = 0; v < V; v++)
            acc[v] += a * FT_LOAD(w + i * ldw + v * FT_LANES);
    }
#pragma GCC unroll 8
    for (int v = 0; v < V; v++)
        FT_STORE(z_out + v * FT_LANES, acc[v]);
}

static void FT(row_times)(const FT_REAL *x, ptrdiff_t k, const FT_REAL *w, ptrdiff_t ldw, ptrdiff_t n, const FT_REAL *bias,
                          FT_REAL *z_out)
{
    ptrdiff_t c = 0;
    for (; c + 8 * FT_LANES <= n; c += 8 * FT_LANES)
        FT(row_tile)(x, k, w + c, ldw, 8, bias + c, z_out + c);
    for (; c + 2 * FT_LANES <= n; c += 2 * FT_LANES)
        FT(row_tile)(x, k, w + c, ldw, 2, bias + c, z_out + c);
    for (; c + FT_LANES <= n; c += FT_LANES)
        FT(row_tile)(x, k, w + c, ldw, 1, bias + c, z_out + c);
    if (c == n)
        return;
    if (n >= FT_LANES) {
        /* the last vector reaches back over columns that are done, and does them again the same way */
        c = n - FT_LANES;
        FT(row_tile)(x, k, w + c, ldw, 1, bias + c, z_out + c);
        return;
    }
    FT_REAL acc[FT_LANES];
    memcpy(acc, bias, (size_t)n * sizeof(FT_REAL));
    for (ptrdiff_t i = 0; i < k; i++)
        for (c = 0; c < n; c++)
            acc[c] += x[i] * w[i * ldw + c];
    memcpy(z_out, acc, (size_t)n * sizeof(FT_REAL));
}

/* Rows of a full tile, by half vectors of its width: as many accumulators as the registers hold beside operands and broadcast,
 * and at most twelve pointers to rows. */
#if FT_REGISTERS >= 32
#define FT_TILE_1 12
#define FT_TILE_2 12
#define FT_TILE_3 12
#define FT_TILE_4 12
#define FT_TILE_5 8
#define FT_TILE_6 8
#define FT_TILE_7 6
#define FT_TILE_8 6
#else
#define FT_TILE_2 12
#define FT_TILE_4 6
#endif
/* The widths of panels that are not whole vectors. */
#if FT_VECTOR_BYTES == 64
#define FT_HALVES(CASE) CASE(0, 1, FT_TILE_1) CASE(1, 1, FT_TILE_3) CASE(2, 1, FT_TILE_5) CASE(3, 1, FT_TILE_7)
#else
#define FT_HALVES(CASE)
#endif
#if FT_PANEL_VECTORS == 4
#define FT_WIDTHS(CASE)                                                                                           \
    CASE(1, 0, FT_TILE_2) CASE(2, 0, FT_TILE_4) CASE(3, 0, FT_TILE_6) CASE(4, 0, FT_TILE_8) FT_HALVES(CASE)
#else
#define FT_WIDTHS(CASE) CASE(1, 0, FT_TILE_2) CASE(2, 0, FT_TILE_4) FT_HALVES(CASE)
#endif

/* Walks m rows (or features) in full tiles, then tiles of 8 of narrow panels, of 4, 2 and 1. A tile of few sums waits for their
 * latency: two tiles of 4 are faster than one of 6 and one of 2, and one of 8 rows of a narrow panel faster than twice 4. */
#define FT_TILES(V, H, FULL, TILE)                                                                                \
    {                                                                                                             \
        for (; i + FULL <= end && (FULL != 6 || end - i != 8); i += FULL)                                         \
            TILE(FULL, V, H);                                                                                     \
        for (; FULL > 8 && i + 8 <= end; i += 8)                                                                  \
            TILE(8, V, H);                                                                                        \
        for (; i + 4 <= end; i += 4)                                                                              \
            TILE(4, V, H);                                                                                        \
        for (; i + 2 <= end; i += 2)                                                                              \
            TILE(2, V, H);                                                                                        \
        for (; i < end; i++)                                                                                      \
            TILE(1, V, H);                                                                                        \
    }
#define FT_WALK(V, H, FULL, TILE)                                                                                 \
    case 2 * V + H:                                                                                               \
        FT_TILES(V, H, FULL, TILE)                                                                                \
        break;

/* Long rows are asked for while the tile before is multiplied: what fetches by itself begins anew with each row and at each
 * page. */
#define FT_LONG_ROW (1024 / (ptrdiff_t)sizeof(FT_REAL))
#define FT_ROWS_TILE(R, V, H)                                                                                     \
    FT(tile_rows)(rows + i, k >= FT_LONG_ROW && i + 2 * (R) <= end ? rows + i + (R) : NULL, k, panel, R, V, H, bias, \
                  z_out + i * ldz, ldz)
#define FT_WALK_ROWS(V, H, FULL) FT_WALK(V, H, FULL, FT_ROWS_TILE)

static void FT(rows_panel)(const FT_REAL *const *rows, ptrdiff_t m, ptrdiff_t k, const FT_REAL *panel, ptrdiff_t width,
                           const FT_REAL *bias, FT_REAL *z_out, ptrdiff_t ldz)
{
    ptrdiff_t i = 0;
    const ptrdiff_t end = m;
    switch (2 * width / FT_LANES) {
        FT_WIDTHS(FT_WALK_ROWS)
    }
}

/* Lane l of the two halves that a square of vectors swaps over its diagonal in blocks of h. */
#define FT_SWAP_LOW(l, h) ((l) & (h) ? FT_LANES + (l) - (h) : (l))
#define FT_SWAP_HIGH(l, h) ((l) & (h) ? FT_LANES + (l) : (l) + (h))
#if FT_VECTOR_BYTES == 64 && !FT_IS_DOUBLE
#define FT_EACH_LANE(p, h)                                                                                        \
    p(0, h), p(1, h), p(2, h), p(3, h), p(4, h), p(5, h), p(6, h), p(7, h), p(8, h), p(9, h), p(10, h), p(11, h),  \
        p(12, h), p(13, h), p(14, h), p(15, h)
#elif FT_VECTOR_BYTES == 32 * (1 + FT_IS_DOUBLE)
#define FT_EACH_LANE(p, h) p(0, h), p(1, h), p(2, h), p(3, h), p(4, h), p(5, h), p(6, h), p(7, h)
#elif FT_VECTOR_BYTES == 16 * (1 + FT_IS_DOUBLE)
#define FT_EACH_LANE(p, h) p(0, h), p(1, h), p(2, h), p(3, h)
#else
#define FT_EACH_LANE(p, h) p(0, h), p(1, h)
#endif
#define FT_SWAP(h)                                                                                                \
    if (FT_LANES > h) {                                                                                           \
        _Pragma("GCC unroll 16") for (int r = 0; r < FT_LANES; r++) if (!(r & h))                                 \
        {                                                                                                         \
            const FT(vector) low = FT_SHUFFLE(v[r], v[(r + h) % FT_LANES], FT_EACH_LANE(FT_SWAP_LOW, h % FT_LANES));   \
            v[(r + h) % FT_LANES] = FT_SHUFFLE(v[r], v[(r + h) % FT_LANES], FT_EACH_LANE(FT_SWAP_HIGH, h % FT_LANES)); \
            v[r] = low;                                                                                           \
        }                                                                                                         \
    }

FT_INLINE void FT(transpose_square)(const FT_REAL *x, ptrdiff_t ldx, FT_REAL *out, ptrdiff_t ldo)
{
    FT(vector) v[FT_LANES];
#pragma GCC unroll 16
    for (int r = 0; r < FT_LANES; r++)
        v[r] = FT_LOAD(x + r * ldx);
    FT_SWAP(8)
    FT_SWAP(4)
    FT_SWAP(2)
    FT_SWAP(1)
#pragma GCC unroll 16
    for (int r = 0; r < FT_LANES; r++)
        FT_STORE(out + r * ldo, v[r]);
}

/* The last squares reach back over what is done. */
static void FT(transpose)(const FT_REAL *x, ptrdiff_t ldx, ptrdiff_t m, ptrdiff_t n, FT_REAL *out, ptrdiff_t ldo)
{
    if (m >= FT_LANES && n < FT_LANES && ldx >= FT_LANES) {
        FT_REAL square[FT_LANES * FT_LANES];
        for (ptrdiff_t start = 0; start < m; start += FT_LANES) {
            const ptrdiff_t r = start < m - FT_LANES ? start : m - FT_LANES;
            FT(transpose_square)(x + r * ldx, ldx, square, FT_LANES);
            for (ptrdiff_t c = 0; c < n; c++)
                FT_STORE(out + c * ldo + r, FT_LOAD(square + c * FT_LANES));
        }
        return;
    }
    if (m < FT_LANES || n < FT_LANES) {
        for (ptrdiff_t c = 0; c < n; c++)
            for (ptrdiff_t r = 0; r < m; r++)
                out[c * ldo + r] = x[r * ldx + c];
        return;
    }
    for (ptrdiff_t start = 0; start < m; start += FT_LANES) {
        const ptrdiff_t r = start < m - FT_LANES ? start : m - FT_LANES;
        for (ptrdiff_t first = 0; first < n; first += FT_LANES) {
            const ptrdiff_t c = first < n - FT_LANES ? first : n - FT_LANES;
            FT(transpose_square)(x + r * ldx + c, ldx, out + c * ldo + r, ldo);
        }
    }
}

static void FT(prefetch_rows)(const FT_REAL *const *rows, ptrdiff_t m, ptrdiff_t k)
{
    for (ptrdiff_t i = 0; i < m; i++)
        for (ptrdiff_t f = 0; f < k; f += 64 / (ptrdiff_t)sizeof(FT_REAL))
            __builtin_prefetch(rows[i] + f, 0, 2);
}

