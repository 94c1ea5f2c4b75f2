/* Products of rows that lie in lanes: of every FT_LANES rows, a panel, a vector for each feature. A linear model's pass over
 * few rows, again and again the same, then has no sums across lanes, no padded outputs and no rests of rows. Included after
 * products_body.h. */

/* Outputs at a time, and the tiles of O of them: their sums stay in registers beside the operands. */
#if FT_REGISTERS >= 32
#define FT_LANE_OUTPUTS 6
#define FT_LANE_PANELS(O) ((O) <= 2 ? 8 : (O) <= 4 ? 6 : (O) == 5 ? 5 : 4)
#define FT_LANE_FEATURES(O) (24 / (O))
#define FT_LANE_CASES(CASE) CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6)
#else
#define FT_LANE_OUTPUTS 4
#define FT_LANE_PANELS(O) ((O) == 1 ? 6 : (O) <= 3 ? 3 : 2)
#define FT_LANE_FEATURES(O) (10 / (O))
#define FT_LANE_CASES(CASE) CASE(1) CASE(2) CASE(3) CASE(4)
#endif

static void FT(lanes_of_rows)(const FT_REAL *const *rows, ptrdiff_t m, ptrdiff_t k, FT_REAL *out)
{
    for (ptrdiff_t start = 0; start < m; start += FT_LANES, out += k * FT_LANES) {
        const ptrdiff_t count = m - start < FT_LANES ? m - start : FT_LANES;
        for (ptrdiff_t f = 0; f < k; f++)
            for (ptrdiff_t l = 0; l < FT_LANES; l++)
                out[f * FT_LANES + l] = l < count ? rows[start + l][f] : 0;
    }
}

/* P panels by O outputs of z = x w + bias. */
FT_INLINE void FT(lanes_dot_tile)(const FT_REAL *x, ptrdiff_t k, const FT_REAL *w, ptrdiff_t ldf, ptrdiff_t ldo, const int P,
                                  const int O, FT_REAL *z_out, ptrdiff_t ldz)
{
    FT(vector) acc[8][FT_LANE_OUTPUTS];
    const ptrdiff_t ldx = k * FT_LANES;
#pragma GCC unroll 8
    for (int p = 0; p < P; p++)
#pragma GCC unroll 6
        for (int o = 0; o < O; o++)
            acc[p][o] = FT_SPLAT(w[k * ldf + o * ldo]);
    for (ptrdiff_t f = 0; f < k; f++) {
        FT(vector) a[8];
#pragma GCC unroll 8
        for (int p = 0; p < P; p++)
            a[p] = FT_LOAD(x + p * ldx + f * FT_LANES);
#pragma GCC unroll 6
        for (int o = 0; o < O; o++) {
            const FT(vector) b = FT_SPLAT(w[f * ldf + o * ldo]);
#pragma GCC unroll 8
            for (int p = 0; p < P; p++)
                acc[p][o] += a[p] * b;
        }
    }
#pragma GCC unroll 8
    for (int p = 0; p < P; p++)
#pragma GCC unroll 6
        for (int o = 0; o < O; o++)
            FT_STORE(z_out + p * ldz + o * FT_LANES, acc[p][o]);
}

/* F features by O outputs of the sums of x d, in registers while the panels go by. */
FT_INLINE void FT(lanes_axpy_tile)(const FT_REAL *x, ptrdiff_t ldx, ptrdiff_t n_panels, const FT_REAL *d, ptrdiff_t ldd,
                                   const int F, const int O, int accumulate, FT_REAL *sums_io, ptrdiff_t lds)
{
    FT(vector) acc[24][FT_LANE_OUTPUTS];
#pragma GCC unroll 24
    for (int f = 0; f < F; f++)
#pragma GCC unroll 6
        for (int o = 0; o < O; o++)
            acc[f][o] = accumulate ? FT_LOAD(sums_io + f * lds + o * FT_LANES) : (FT(vector)){0};
    for (ptrdiff_t p = 0; p < n_panels; p++) {
        FT(vector) b[FT_LANE_OUTPUTS];
#pragma GCC unroll 6
        for (int o = 0; o < O; o++)
            b[o] = FT_LOAD(d + p * ldd + o * FT_LANES);
#pragma GCC unroll 24
        for (int f = 0; f < F; f++) {
            const FT(vector) a = FT_LOAD(x + p * ldx + f * FT_LANES);
#pragma GCC unroll 6
            for (int o = 0; o < O; o++)
                acc[f][o] += a * b[o];
        }
    }
#pragma GCC unroll 24
    for (int f = 0; f < F; f++)
#pragma GCC unroll 6
        for (int o = 0; o < O; o++)
            FT_STORE(sums_io + f * lds + o * FT_LANES, acc[f][o]);
}

FT_INLINE void FT(lanes_dot_of)(const FT_REAL *x, ptrdiff_t n_panels, ptrdiff_t k, const FT_REAL *w, ptrdiff_t ldf,
                                ptrdiff_t ldo, const int O, FT_REAL *z_out, ptrdiff_t ldz)
{
    ptrdiff_t p = 0;
#define FT_DOT_TILES(P)                                                                                           \
    for (; p + (P) <= n_panels; p += (P))                                                                         \
        FT(lanes_dot_tile)(x + p * k * FT_LANES, k, w, ldf, ldo, P, O, z_out + p * ldz, ldz);
    FT_DOT_TILES(FT_LANE_PANELS(O))
    if (FT_LANE_PANELS(O) > 4)
        FT_DOT_TILES(4)
    if (FT_LANE_PANELS(O) > 2)
        FT_DOT_TILES(2)
    FT_DOT_TILES(1)
#undef FT_DOT_TILES
}

FT_INLINE void FT(lanes_axpy_of)(const FT_REAL *x, ptrdiff_t n_panels, ptrdiff_t k, const FT_REAL *d, ptrdiff_t ldd,
                                 const int O, int accumulate, FT_REAL *sums_io, ptrdiff_t lds)
{
    ptrdiff_t f = 0;
#define FT_AXPY_TILES(F)                                                                                          \
    for (; f + (F) <= k; f += (F))                                                                                \
        FT(lanes_axpy_tile)(x + f * FT_LANES, k * FT_LANES, n_panels, d, ldd, F, O, accumulate, sums_io + f * lds, lds);
    FT_AXPY_TILES(FT_LANE_FEATURES(O))
    if (FT_LANE_FEATURES(O) > 8)
        FT_AXPY_TILES(8)
    if (FT_LANE_FEATURES(O) > 4)
        FT_AXPY_TILES(4)
    if (FT_LANE_FEATURES(O) > 2)
        FT_AXPY_TILES(2)
    FT_AXPY_TILES(1)
#undef FT_AXPY_TILES
    FT(vector) acc[FT_LANE_OUTPUTS];
#pragma GCC unroll 6
    for (int o = 0; o < O; o++)
        acc[o] = accumulate ? FT_LOAD(sums_io + k * lds + o * FT_LANES) : (FT(vector)){0};
    for (ptrdiff_t p = 0; p < n_panels; p++)
#pragma GCC unroll 6
        for (int o = 0; o < O; o++)
            acc[o] += FT_LOAD(d + p * ldd + o * FT_LANES);
#pragma GCC unroll 6
    for (int o = 0; o < O; o++)
        FT_STORE(sums_io + k * lds + o * FT_LANES, acc[o]);
}

/* Outputs in turns of one size, as nearly as can be. */
static void FT(lanes_dot)(const FT_REAL *x, ptrdiff_t n_panels, ptrdiff_t k, const FT_REAL *w, ptrdiff_t ldf, ptrdiff_t ldo,
                          ptrdiff_t n_out, FT_REAL *z_out, ptrdiff_t ldz)
{
    const ptrdiff_t turns = (n_out + FT_LANE_OUTPUTS - 1) / FT_LANE_OUTPUTS;
    for (ptrdiff_t turn = 0; turn < turns; turn++) {
        const ptrdiff_t o = n_out * turn / turns;
        switch (n_out * (turn + 1) / turns - o) {
#define FT_CASE(O)                                                                                                \
    case O:                                                                                                       \
        FT(lanes_dot_of)(x, n_panels, k, w + o * ldo, ldf, ldo, O, z_out + o * FT_LANES, ldz);                    \
        break;
            FT_LANE_CASES(FT_CASE)
#undef FT_CASE
        }
    }
}

static void FT(lanes_axpy)(const FT_REAL *x, ptrdiff_t n_panels, ptrdiff_t k, const FT_REAL *d, ptrdiff_t n_out,
                           int accumulate, FT_REAL *sums_io)
{
    const ptrdiff_t turns = (n_out + FT_LANE_OUTPUTS - 1) / FT_LANE_OUTPUTS, ld = n_out * FT_LANES;
    for (ptrdiff_t turn = 0; turn < turns; turn++) {
        const ptrdiff_t o = n_out * turn / turns;
        switch (n_out * (turn + 1) / turns - o) {
#define FT_CASE(O)                                                                                                \
    case O:                                                                                                       \
        FT(lanes_axpy_of)(x, n_panels, k, d + o * FT_LANES, ld, O, accumulate, sums_io + o * FT_LANES, ld);       \
        break;
            FT_LANE_CASES(FT_CASE)
#undef FT_CASE
        }
    }
}

static void FT(lanes_sum)(const FT_REAL *sums, ptrdiff_t n, FT_REAL *out)
{
    ptrdiff_t i = 0;
    for (; i + 4 <= n; i += 4) {
        FT(vector) v[4];
#pragma GCC unroll 4
        for (int r = 0; r < 4; r++)
            v[r] = FT_LOAD(sums + (i + r) * FT_LANES);
        FT(add_lanes_of_four)(v, out + i);
    }
    for (; i < n; i++) {
        const FT(vector) v = FT_LOAD(sums + i * FT_LANES);
        out[i] = FT(add_lanes)(&v);
    }
}

/* Softmax cross-entropy of class codes; z holds a vector for each class of every panel, and receives the gradient. Lanes behind
 * the last row have weight 0. */
static double FT(lanes_softmax)(const FT_REAL *y, const FT_REAL *weight, ptrdiff_t n_panels, ptrdiff_t k, FT_REAL *z_io)
{
    double sum[FT_LANES] = {0}, value[FT_SOFTMAX_PANELS * FT_LANES], total = 0;
    for (ptrdiff_t p = 0; p < n_panels; p += FT_SOFTMAX_PANELS) {
        const ptrdiff_t count = n_panels - p < FT_SOFTMAX_PANELS ? n_panels - p : FT_SOFTMAX_PANELS;
        FT(softmax_panels)(y + p * FT_LANES, weight + p * FT_LANES, count, k, 1, 1, z_io + p * k * FT_LANES, value);
        for (ptrdiff_t q = 0; q < count; q++)
            for (ptrdiff_t l = 0; l < FT_LANES; l++)
                sum[l] += value[q * FT_LANES + l];
    }
    for (ptrdiff_t l = 0; l < FT_LANES; l++)
        total += sum[l];
    return total;
}

#undef FT_LANE_OUTPUTS
#undef FT_LANE_PANELS
#undef FT_LANE_FEATURES
#undef FT_LANE_CASES
