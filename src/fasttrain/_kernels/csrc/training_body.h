/* What a training step may add to its products: dropout, noise, mixing of rows, averages of weights, batch normalization and
 * sparse rows. Included after columns_body.h. */

/* Bits of one place under a key: a multiply-and-shift finalizer (the constants are the lowbias32 pair of Wellons) with half
 * of the key before the first round and half between the rounds. The same for both real types. */
FT_INLINE uint32_t FT(random_bits)(uint32_t place, uint32_t before, uint32_t between)
{
    uint32_t h = place ^ before;
    h ^= h >> 16;
    h *= 0x7feb352dU;
    h ^= h >> 15;
    h += between;
    h *= 0x846ca68bU;
    h ^= h >> 16;
    return h;
}

static void FT(drop)(uint32_t threshold, FT_REAL scale, uint64_t key, uint32_t first, const FT_REAL *x, FT_REAL *out,
                     ptrdiff_t n)
{
    const uint32_t before = (uint32_t)key, between = (uint32_t)(key >> 32);
    for (ptrdiff_t i = 0; i < n; i++) {
        const uint32_t bits = FT(random_bits)(first + (uint32_t)i, before, between);
        out[i] = bits >= threshold ? x[i] * scale : 0;
    }
}

/* Normal deviate of a v that is uniform in (-1, 1): sqrt(2) erfinv(v), by Giles's single-precision polynomials (Approximating
 * the erfinv function, GPU Computing Gems, 2012), good to seven digits. */
FT_INLINE FT_REAL FT(normal_of)(FT_REAL v)
{
    const FT_REAL w = -FT(log)((1 - v) * (1 + v));
    const FT_REAL c = w - (FT_REAL)2.5, t = FT_SQRT(w) - 3;
    FT_REAL centre = (FT_REAL)2.81022636e-08, tail = (FT_REAL)-0.000200214257;
    centre = centre * c + (FT_REAL)3.43273939e-07;
    centre = centre * c + (FT_REAL)-3.5233877e-06;
    centre = centre * c + (FT_REAL)-4.39150654e-06;
    centre = centre * c + (FT_REAL)0.00021858087;
    centre = centre * c + (FT_REAL)-0.00125372503;
    centre = centre * c + (FT_REAL)-0.00417768164;
    centre = centre * c + (FT_REAL)0.246640727;
    centre = centre * c + (FT_REAL)1.50140941;
    tail = tail * t + (FT_REAL)0.000100950558;
    tail = tail * t + (FT_REAL)0.00134934322;
    tail = tail * t + (FT_REAL)-0.00367342844;
    tail = tail * t + (FT_REAL)0.00573950773;
    tail = tail * t + (FT_REAL)-0.0076224613;
    tail = tail * t + (FT_REAL)0.00943887047;
    tail = tail * t + (FT_REAL)1.00167406;
    tail = tail * t + (FT_REAL)2.83297682;
    return (FT_REAL)1.41421356237309504880 * v * (w < 5 ? centre : tail);
}

static void FT(add_noise)(FT_REAL deviation, uint64_t key, uint32_t first, FT_REAL *x_io, ptrdiff_t n)
{
    const uint32_t before = (uint32_t)key, between = (uint32_t)(key >> 32);
    /* the largest number below 1 whose square is below 1 too */
    const FT_REAL limit = (FT_REAL)0.99999988;
    for (ptrdiff_t i = 0; i < n; i++) {
        const int32_t bits = (int32_t)FT(random_bits)(first + (uint32_t)i, before, between);
        const FT_REAL v = ((FT_REAL)bits + (FT_REAL)0.5) * (FT_REAL)4.656612873077393e-10;
        x_io[i] += deviation * FT(normal_of)(FT(clip)(v, -limit, limit));
    }
}

static void FT(mix)(FT_REAL a, const FT_REAL *x, const FT_REAL *y, FT_REAL *restrict out, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i++)
        out[i] = a * x[i] + (1 - a) * y[i];
}

static void FT(approach)(FT_REAL factor, const FT_REAL *restrict w, FT_REAL *restrict average_io, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i++)
        average_io[i] += factor * (w[i] - average_io[i]);
}

/* ---- batch normalization ---- */

static void FT(normalize_rows)(const FT_REAL *x, ptrdiff_t m, ptrdiff_t width, const FT_REAL *restrict mean,
                               const FT_REAL *restrict inverse, const FT_REAL *restrict gain, const FT_REAL *restrict shift,
                               FT_REAL *normalized_out, FT_REAL *out)
{
    for (ptrdiff_t i = 0; i < m; i++) {
        const ptrdiff_t at = i * width;
        for (ptrdiff_t j = 0; j < width; j++) {
            const FT_REAL v = (x[at + j] - mean[j]) * inverse[j];
            normalized_out[at + j] = v;
            out[at + j] = v * gain[j] + shift[j];
        }
    }
}

static void FT(product_sums)(const FT_REAL *restrict d, const FT_REAL *restrict x, ptrdiff_t m, ptrdiff_t width,
                             double *restrict s1_io, double *restrict s2_io)
{
    for (ptrdiff_t i = 0; i < m; i++)
        for (ptrdiff_t j = 0; j < width; j++) {
            const double v = d[i * width + j];
            s1_io[j] += v;
            s2_io[j] += v * (double)x[i * width + j];
        }
}

static void FT(normalize_backward)(const FT_REAL *restrict normalized, ptrdiff_t m, ptrdiff_t width,
                                   const FT_REAL *restrict factor, const FT_REAL *restrict mean_d,
                                   const FT_REAL *restrict mean_dx, FT_REAL *restrict d_io)
{
    for (ptrdiff_t i = 0; i < m; i++)
        for (ptrdiff_t j = 0; j < width; j++) {
            const ptrdiff_t at = i * width + j;
            d_io[at] = factor[j] * (d_io[at] - mean_d[j] - normalized[at] * mean_dx[j]);
        }
}

/* ---- sparse rows ---- */

FT_INLINE ptrdiff_t FT(column_of)(const void *indices, const int wide, ptrdiff_t k)
{
    return wide ? (ptrdiff_t)((const int64_t *)indices)[k] : ((const int32_t *)indices)[k];
}

FT_INLINE void FT(sparse_tile)(const FT_REAL *x, const void *indices, const int wide, ptrdiff_t begin, ptrdiff_t end,
                               const FT_REAL *panel, const int n_vectors, const FT_REAL *bias, FT_REAL *z_out)
{
    const ptrdiff_t width = n_vectors * FT_LANES;
    FT(vector) acc[FT_PANEL_VECTORS];
    for (int v = 0; v < n_vectors; v++)
        acc[v] = bias ? FT_LOAD(bias + v * FT_LANES) : (FT(vector)){0};
    for (ptrdiff_t k = begin; k < end; k++) {
        const FT_REAL *w = panel + FT(column_of)(indices, wide, k) * width;
        const FT(vector) value = FT_SPLAT(x[k]);
        for (int v = 0; v < n_vectors; v++)
            acc[v] += value * FT_LOAD(w + v * FT_LANES);
    }
    for (int v = 0; v < n_vectors; v++)
        FT_STORE(z_out + v * FT_LANES, acc[v]);
}

FT_INLINE void FT(sparse_row_of)(const FT_REAL *x, const void *indices, const int wide, ptrdiff_t begin, ptrdiff_t end,
                                 const FT_REAL *panel, ptrdiff_t width, const FT_REAL *bias, FT_REAL *z_out)
{
    if (width == FT_LANES)
        FT(sparse_tile)(x, indices, wide, begin, end, panel, 1, bias, z_out);
    else if (width == 2 * FT_LANES)
        FT(sparse_tile)(x, indices, wide, begin, end, panel, 2, bias, z_out);
#if FT_PANEL_VECTORS > 2
    else if (width == 3 * FT_LANES)
        FT(sparse_tile)(x, indices, wide, begin, end, panel, 3, bias, z_out);
    else if (width == 4 * FT_LANES)
        FT(sparse_tile)(x, indices, wide, begin, end, panel, 4, bias, z_out);
#endif
    else {
        FT_REAL total = bias ? bias[0] : 0;
        for (ptrdiff_t k = begin; k < end; k++)
            total += x[k] * panel[FT(column_of)(indices, wide, k)];
        z_out[0] = total;
    }
}

static void FT(sparse_row)(const FT_REAL *x, const void *indices, int wide, ptrdiff_t begin, ptrdiff_t end,
                           const FT_REAL *panel, ptrdiff_t width, const FT_REAL *bias, FT_REAL *z_out)
{
    if (wide)
        FT(sparse_row_of)(x, indices, 1, begin, end, panel, width, bias, z_out);
    else
        FT(sparse_row_of)(x, indices, 0, begin, end, panel, width, bias, z_out);
}

FT_INLINE ptrdiff_t FT(sparse_columns_of)(const FT_REAL *x, const void *indices, const int wide, ptrdiff_t begin,
                                          ptrdiff_t end, ptrdiff_t first, ptrdiff_t last, const FT_REAL *restrict d,
                                          ptrdiff_t width, FT_REAL *restrict g_io)
{
    ptrdiff_t k = begin;
    for (; k < end; k++) {
        const ptrdiff_t column = FT(column_of)(indices, wide, k);
        if (column >= last)
            break;
        FT_REAL *g = g_io + (column - first) * width;
        const FT_REAL value = x[k];
        for (ptrdiff_t j = 0; j < width; j++)
            g[j] += value * d[j];
    }
    return k;
}

static ptrdiff_t FT(sparse_columns)(const FT_REAL *x, const void *indices, int wide, ptrdiff_t begin, ptrdiff_t end,
                                    ptrdiff_t first, ptrdiff_t last, const FT_REAL *d, ptrdiff_t width, FT_REAL *g_io)
{
    return wide ? FT(sparse_columns_of)(x, indices, 1, begin, end, first, last, d, width, g_io)
                : FT(sparse_columns_of)(x, indices, 0, begin, end, first, last, d, width, g_io);
}
