/* Array kernels over one-sample formulas. The loops are plain: the formulas are branch-free, so they become vector code. */

#define FT_LANES ((ptrdiff_t)(FT_VECTOR_BYTES / sizeof(FT_REAL)))
typedef FT_REAL FT(vector) __attribute__((vector_size(FT_VECTOR_BYTES)));
typedef FT_REAL FT(loose) __attribute__((vector_size(FT_VECTOR_BYTES), aligned(sizeof(FT_REAL)), may_alias));
#define FT_LOAD(p) ((FT(vector))(*(const FT(loose) *)(p)))
#define FT_STORE(p, v) (*(FT(loose) *)(p) = (FT(loose))(v))
/* A scalar in every lane. Minus zero, not plus: x - 0 is x for every x, -0 included, so the compiler leaves only the broadcast. */
#define FT_SPLAT(x) ((x) - (FT(vector)){0})

#define FT_DECLARE(result, name, arguments) static result FT(name) arguments;
FT_OPS(FT_DECLARE)
#undef FT_DECLARE

typedef FT_BITS FT(mask) __attribute__((vector_size(FT_VECTOR_BYTES)));
FT_INLINE FT(vector) FT(select)(FT(mask) where, FT(vector) yes, FT(vector) no)
{
    return (FT(vector))((where & (FT(mask))yes) | (~where & (FT(mask))no));
}

FT_INLINE FT_REAL FT(add_lanes)(const FT(vector) *v)
{
    FT_REAL lane[FT_LANES];
    FT_STORE(lane, *v);
    for (ptrdiff_t half = FT_LANES / 2; half >= 1; half /= 2)
        for (ptrdiff_t l = 0; l < half; l++)
            lane[l] += lane[l + half];
    return lane[0];
}

static FT_REAL FT(dot)(const FT_REAL *x, const FT_REAL *y, ptrdiff_t n)
{
    FT(vector) a = {0}, b = {0}, c = {0}, d = {0};
    ptrdiff_t i = 0;
    for (; i + 4 * FT_LANES <= n; i += 4 * FT_LANES) {
        a += FT_LOAD(x + i) * FT_LOAD(y + i);
        b += FT_LOAD(x + i + FT_LANES) * FT_LOAD(y + i + FT_LANES);
        c += FT_LOAD(x + i + 2 * FT_LANES) * FT_LOAD(y + i + 2 * FT_LANES);
        d += FT_LOAD(x + i + 3 * FT_LANES) * FT_LOAD(y + i + 3 * FT_LANES);
    }
    for (; i + FT_LANES <= n; i += FT_LANES)
        a += FT_LOAD(x + i) * FT_LOAD(y + i);
    a = (a + b) + (c + d);
    FT_REAL total = FT(add_lanes)(&a);
    for (; i < n; i++)
        total += x[i] * y[i];
    return total;
}

static void FT(axpy)(FT_REAL a, const FT_REAL *restrict x, FT_REAL *restrict y_io, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i++)
        y_io[i] += a * x[i];
}

/* Sums in double over sixteen interleaved streams: the order is the same whatever the vector width. */
#define FT_STREAMS 16
#define FT_SUM(name, finish, term)                                                                                \
    FT_INLINE double FT(finish)(double *stream, const FT_REAL *x, ptrdiff_t n)                                    \
    {                                                                                                             \
        ptrdiff_t i = 0;                                                                                          \
        for (; i + FT_STREAMS <= n; i += FT_STREAMS)                                                              \
            for (int s = 0; s < FT_STREAMS; s++) {                                                                \
                const double v = (double)x[i + s];                                                                \
                stream[s] += term;                                                                                \
            }                                                                                                     \
        for (int s = 0; i < n; i++, s++) {                                                                        \
            const double v = (double)x[i];                                                                        \
            stream[s] += term;                                                                                    \
        }                                                                                                         \
        for (int half = FT_STREAMS / 2; half >= 1; half /= 2)                                                     \
            for (int s = 0; s < half; s++)                                                                        \
                stream[s] += stream[s + half];                                                                    \
        return stream[0];                                                                                         \
    }                                                                                                             \
    static double FT(name)(const FT_REAL *x, ptrdiff_t n)                                                         \
    {                                                                                                             \
        double stream[FT_STREAMS] = {0};                                                                          \
        return FT(finish)(stream, x, n);                                                                          \
    }
FT_SUM(sum, finish_sum, v)
FT_SUM(sum_squares, finish_squares, v *v)
FT_SUM(sum_abs, finish_abs, (v < 0 ? -v : v))
#undef FT_SUM

static double FT(max_abs)(const FT_REAL *x, ptrdiff_t n)
{
    FT_REAL largest = 0;
    int has_nan = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        const FT_REAL v = FT(abs)(x[i]);
        largest = v > largest ? v : largest;
        has_nan |= v != v;
    }
    return has_nan ? (double)NAN : (double)largest;
}

static int FT(all_finite)(const FT_REAL *x, ptrdiff_t n)
{
    /* x - x is 0 for a finite x and NaN else; the bits of 0 - 0 are 0. */
    FT_BITS seen = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        const FT_REAL zero = x[i] - x[i];
        FT_BITS bits;
        memcpy(&bits, &zero, sizeof bits);
        seen |= bits;
    }
    return seen == 0;
}

/* ---- losses ---- */

#define FT_BLOCK 256

#define FT_LOSS_CASE(name)                                                                                        \
    case FT_LOSS_##name:                                                                                          \
        if (value && gradient)                                                                                    \
            for (ptrdiff_t i = 0; i < n; i++) {                                                                   \
                value[i] = FT(name)(y[i], z[i], p);                                                               \
                gradient[i] = FT(name##_gradient)(y[i], z[i], p);                                                 \
            }                                                                                                     \
        else if (value)                                                                                           \
            for (ptrdiff_t i = 0; i < n; i++)                                                                     \
                value[i] = FT(name)(y[i], z[i], p);                                                               \
        else                                                                                                      \
            for (ptrdiff_t i = 0; i < n; i++)                                                                     \
                gradient[i] = FT(name##_gradient)(y[i], z[i], p);                                                 \
        break;

static void FT(loss_block)(int kind, FT_REAL p, const FT_REAL *y, const FT_REAL *z, ptrdiff_t n, FT_REAL *restrict value,
                           FT_REAL *restrict gradient)
{
    if (!value && !gradient)
        return;
    switch (kind) {
        FT_LOSSES(FT_LOSS_CASE)
    }
}
#undef FT_LOSS_CASE

static double FT(loss_span)(int kind, FT_REAL p, const FT_REAL *y, const FT_REAL *z, const FT_REAL *weight, ptrdiff_t n,
                            int want_value, FT_REAL *gradient_out)
{
    FT_REAL value[FT_BLOCK], gradient[FT_BLOCK];
    double total = 0;
    for (ptrdiff_t start = 0; start < n; start += FT_BLOCK) {
        const ptrdiff_t m = n - start < FT_BLOCK ? n - start : FT_BLOCK;
        FT(loss_block)(kind, p, y + start, z + start, m, want_value ? value : NULL, gradient_out ? gradient : NULL);
        if (want_value) {
            if (weight)
                for (ptrdiff_t i = 0; i < m; i++)
                    value[i] *= weight[start + i];
            total += FT(sum)(value, m);
        }
        if (gradient_out) {
            if (weight)
                for (ptrdiff_t i = 0; i < m; i++)
                    gradient_out[start + i] = gradient[i] * weight[start + i];
            else
                memcpy(gradient_out + start, gradient, (size_t)m * sizeof(FT_REAL));
        }
    }
    return total;
}

#define FT_PADDED 64

/* Writes e^(z - max z) of one row to e_out, which may be NULL or z; returns the sum, the maximum through top. A short row is padded to whole
 * vectors with -inf, which neither the maximum nor the sum sees. */
FT_INLINE FT_REAL FT(softmax_row)(const FT_REAL *z, ptrdiff_t k, FT_REAL *e_out, FT_REAL *top)
{
    FT_REAL total = 0, m = z[0];
    if (k <= FT_PADDED) {
        FT_REAL row[FT_PADDED], lane[FT_LANES];
        const ptrdiff_t padded = (k + FT_LANES - 1) / FT_LANES * FT_LANES;
        for (ptrdiff_t c = padded - FT_LANES; c < padded; c++)
            row[c] = -(FT_REAL)INFINITY;
        for (ptrdiff_t c = 0; c < k; c++)
            row[c] = z[c];
        for (ptrdiff_t l = 0; l < FT_LANES; l++)
            lane[l] = row[l];
        for (ptrdiff_t c = FT_LANES; c < padded; c += FT_LANES)
            for (ptrdiff_t l = 0; l < FT_LANES; l++)
                lane[l] = FT(max)(row[c + l], lane[l]);
        for (ptrdiff_t half = FT_LANES / 2; half >= 1; half /= 2)
            for (ptrdiff_t l = 0; l < half; l++)
                lane[l] = FT(max)(lane[l + half], lane[l]);
        m = lane[0];
        for (ptrdiff_t c = 0; c < padded; c += FT_LANES)
            for (ptrdiff_t l = 0; l < FT_LANES; l++)
                row[c + l] = FT(exp)(row[c + l] - m);
        FT(vector) sum = FT_LOAD(row);
        for (ptrdiff_t c = FT_LANES; c < padded; c += FT_LANES)
            sum += FT_LOAD(row + c);
        total = FT(add_lanes)(&sum);
        if (e_out)
            for (ptrdiff_t c = 0; c < k; c++)
                e_out[c] = row[c];
    } else {
        for (ptrdiff_t c = 1; c < k; c++)
            m = FT(max)(z[c], m);
        for (ptrdiff_t c = 0; c < k; c++) {
            const FT_REAL e = FT(exp)(z[c] - m);
            if (e_out)
                e_out[c] = e;
            total += e;
        }
    }
    *top = m;
    return total;
}

/* Softmax cross-entropy of panels of FT_LANES rows, a row to a lane: column holds a vector for each of k classes of every panel,
 * first the logits, then the gradient where that is wanted. The losses go to value_out. What takes long is done for all panels
 * in one loop. */
#define FT_SOFTMAX_PANELS 16
FT_INLINE void FT(softmax_panels)(const FT_REAL *code, const FT_REAL *w, ptrdiff_t n_panels, ptrdiff_t k, int want_value,
                                  int want_gradient, FT_REAL *column, double *value_out)
{
    FT_REAL top[FT_SOFTMAX_PANELS * FT_LANES], own[FT_SOFTMAX_PANELS * FT_LANES], sum[FT_SOFTMAX_PANELS * FT_LANES];
    const ptrdiff_t n = n_panels * FT_LANES;
    for (ptrdiff_t p = 0; p < n_panels; p++) {
        FT_REAL *z = column + p * k * FT_LANES;
        const FT(vector) codes = FT_LOAD(code + p * FT_LANES);
        FT(vector) largest = FT_LOAD(z), chosen = largest;
        for (ptrdiff_t c = 1; c < k; c++) {
            const FT(vector) v = FT_LOAD(z + c * FT_LANES);
            largest = FT(select)(v < largest, largest, v);
            chosen = FT(select)(codes == FT_SPLAT((FT_REAL)c), v, chosen);
        }
        for (ptrdiff_t c = 0; c < k; c++)
            FT_STORE(z + c * FT_LANES, FT_LOAD(z + c * FT_LANES) - largest);
        FT_STORE(top + p * FT_LANES, largest);
        FT_STORE(own + p * FT_LANES, chosen);
    }
    for (ptrdiff_t i = 0; i < k * n; i++)
        column[i] = FT(exp)(column[i]);
    for (ptrdiff_t p = 0; p < n_panels; p++) {
        FT(vector) total = {0};
        for (ptrdiff_t c = 0; c < k; c++)
            total += FT_LOAD(column + (p * k + c) * FT_LANES);
        FT_STORE(sum + p * FT_LANES, total);
    }
    if (want_gradient)
        for (ptrdiff_t p = 0; p < n_panels; p++) {
            FT_REAL *e = column + p * k * FT_LANES;
            const FT(vector) codes = FT_LOAD(code + p * FT_LANES), weight = FT_LOAD(w + p * FT_LANES), none = {0};
            const FT(vector) scale = weight / FT_LOAD(sum + p * FT_LANES);
            for (ptrdiff_t c = 0; c < k; c++)
                FT_STORE(e + c * FT_LANES, FT_LOAD(e + c * FT_LANES) * scale -
                                               FT(select)(codes == FT_SPLAT((FT_REAL)c), weight, none));
        }
    if (want_value) {
        /* a sum that is not finite stays so */
        for (ptrdiff_t i = 0; i < n; i++)
            sum[i] = FT(log)(sum[i]) + (sum[i] - sum[i]);
        for (ptrdiff_t i = 0; i < n; i++)
            value_out[i] = (double)w[i] * (((double)top[i] - (double)own[i]) + (double)sum[i]);
    }
}

/* softmax_loss of class codes, a row to a lane: nothing is summed across lanes and no lane is idle but in the last rows, which
 * repeat the last of them. */
static double FT(softmax_codes)(const FT_REAL *y, const FT_REAL *z, ptrdiff_t ldz, const FT_REAL *weight, ptrdiff_t n,
                                ptrdiff_t k, int want_value, FT_REAL *gradient_out, ptrdiff_t ldg)
{
    FT_REAL column[FT_PADDED * FT_LANES] __attribute__((aligned(64)));
    const ptrdiff_t padded = (k + FT_LANES - 1) / FT_LANES * FT_LANES;
    double total = 0;
    for (ptrdiff_t start = 0; start < n; start += FT_LANES) {
        const ptrdiff_t rows = n - start < FT_LANES ? n - start : FT_LANES;
        const FT_REAL *zi = z + start * ldz;
        FT_REAL w[FT_LANES], code[FT_LANES];
        double value[FT_LANES];
        if (rows == FT_LANES && ldz == padded)
            FT(transpose)(zi, ldz, FT_LANES, padded, column, FT_LANES);
        else
            for (ptrdiff_t l = 0; l < FT_LANES; l++)
                for (ptrdiff_t c = 0; c < k; c++)
                    column[c * FT_LANES + l] = zi[(l < rows ? l : rows - 1) * ldz + c];
        for (ptrdiff_t l = 0; l < FT_LANES; l++) {
            const ptrdiff_t i = start + (l < rows ? l : rows - 1);
            code[l] = y[i];
            w[l] = weight ? weight[i] : 1;
        }
        FT(softmax_panels)(code, w, 1, k, want_value, gradient_out != NULL, column, value);
        for (ptrdiff_t l = 0; want_value && l < rows; l++)
            total += value[l];
        if (gradient_out) {
            FT_REAL *g = gradient_out + start * ldg;
            if (rows == FT_LANES && ldg == padded) {
                memset(column + k * FT_LANES, 0, (size_t)((padded - k) * FT_LANES) * sizeof(FT_REAL));
                FT(transpose)(column, FT_LANES, padded, FT_LANES, g, ldg);
            } else {
                for (ptrdiff_t l = 0; l < rows; l++)
                    for (ptrdiff_t c = 0; c < k; c++)
                        g[l * ldg + c] = column[c * FT_LANES + l];
            }
        }
    }
    return total;
}

static double FT(softmax_loss)(const FT_REAL *y, ptrdiff_t y_width, const FT_REAL *z, ptrdiff_t ldz, const FT_REAL *weight,
                               ptrdiff_t n, ptrdiff_t k, int want_value, FT_REAL *gradient_out, ptrdiff_t ldg)
{
    if (y_width == 1 && k <= FT_PADDED)
        return FT(softmax_codes)(y, z, ldz, weight, n, k, want_value, gradient_out, ldg);
    double total = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        const FT_REAL *zi = z + i * ldz, *yi = y + i * y_width;
        const FT_REAL w = weight ? weight[i] : 1;
        FT_REAL *g = gradient_out ? gradient_out + i * ldg : NULL;
        /* y . z and the sum of y, before g is written, which may be z itself */
        double dot = 0, mass = 1;
        if (y_width == 1) {
            dot = (double)zi[(ptrdiff_t)yi[0]];
        } else {
            mass = 0;
            for (ptrdiff_t c = 0; c < k; c++) {
                mass += (double)yi[c];
                dot += (double)yi[c] * (double)zi[c];
            }
        }
        FT_REAL top;
        const FT_REAL sum = FT(softmax_row)(zi, k, g, &top);
        if (want_value)
            total += (double)w * ((mass * (double)top - dot) + mass * log((double)sum));
        if (g) {
            if (y_width == 1) {
                const FT_REAL scale = w / sum;
                for (ptrdiff_t c = 0; c < k; c++)
                    g[c] *= scale;
                g[(ptrdiff_t)yi[0]] -= w;
            } else {
                const FT_REAL scale = (FT_REAL)mass / sum;
                for (ptrdiff_t c = 0; c < k; c++)
                    g[c] = w * (g[c] * scale - yi[c]);
            }
        }
    }
    return total;
}

static void FT(softmax)(const FT_REAL *z, ptrdiff_t ldz, ptrdiff_t n, ptrdiff_t k, FT_REAL *out, ptrdiff_t ldo)
{
    for (ptrdiff_t i = 0; i < n; i++) {
        FT_REAL top;
        FT_REAL *row = out + i * ldo;
        const FT_REAL inverse = 1 / FT(softmax_row)(z + i * ldz, k, row, &top);
        for (ptrdiff_t c = 0; c < k; c++)
            row[c] *= inverse;
    }
}

/* ---- activations ---- */

#define FT_ACTIVATE_CASE(name)                                                                                    \
    case FT_ACTIVATION_##name:                                                                                    \
        for (ptrdiff_t i = 0; i < n; i++)                                                                         \
            a_out[i] = FT(name)(z[i], p);                                                                         \
        break;
static void FT(activate)(int kind, FT_REAL p, const FT_REAL *z, FT_REAL *a_out, ptrdiff_t n)
{
    switch (kind) {
        FT_ACTIVATIONS(FT_ACTIVATE_CASE)
    }
}
#undef FT_ACTIVATE_CASE

#define FT_BACKWARD_CASE(name)                                                                                    \
    case FT_ACTIVATION_##name:                                                                                    \
        for (ptrdiff_t i = 0; i < n; i++)                                                                         \
            delta_io[i] *= FT(name##_derivative)(z[i], a[i], p);                                                  \
        break;
static void FT(activate_backward)(int kind, FT_REAL p, const FT_REAL *z, const FT_REAL *a, FT_REAL *restrict delta_io,
                                  ptrdiff_t n)
{
    switch (kind) {
        FT_ACTIVATIONS(FT_BACKWARD_CASE)
    }
}
#undef FT_BACKWARD_CASE

/* ---- penalties ---- */

static void FT(penalty_gradient)(FT_REAL l1, FT_REAL l2, const FT_REAL *w, FT_REAL *restrict g_io, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i++)
        g_io[i] += l1 * FT(sign)(w[i]) + l2 * w[i];
}

static void FT(penalty_prox)(FT_REAL l1, FT_REAL l2, FT_REAL *w_io, ptrdiff_t n)
{
    const FT_REAL shrink = 1 / (1 + l2);
    for (ptrdiff_t i = 0; i < n; i++)
        w_io[i] = shrink * FT(soft_threshold)(w_io[i], l1);
}

static void FT(traffic)(const FT_REAL *restrict g, FT_REAL *restrict w_io, FT_REAL *restrict s1_io,
                        FT_REAL *restrict s2_io, FT_REAL *restrict s3_io, ptrdiff_t n)
{
    if (s3_io)
        for (ptrdiff_t i = 0; i < n; i++) {
            w_io[i] += g[i];
            s1_io[i] += g[i];
            s2_io[i] += g[i];
            s3_io[i] += g[i];
        }
    else if (s2_io)
        for (ptrdiff_t i = 0; i < n; i++) {
            w_io[i] += g[i];
            s1_io[i] += g[i];
            s2_io[i] += g[i];
        }
    else if (s1_io)
        for (ptrdiff_t i = 0; i < n; i++) {
            w_io[i] += g[i];
            s1_io[i] += g[i];
        }
    else
        FT(axpy)(1, g, w_io, n);
}

#undef FT_BLOCK
