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
        FT_REAL top[FT_LANES], sum[FT_LANES], w[FT_LANES], own[FT_LANES];
        ptrdiff_t code[FT_LANES];
        if (rows == FT_LANES && ldz == padded)
            FT(transpose)(zi, ldz, FT_LANES, padded, column, FT_LANES);
        else
            for (ptrdiff_t l = 0; l < FT_LANES; l++)
                for (ptrdiff_t c = 0; c < k; c++)
                    column[c * FT_LANES + l] = zi[(l < rows ? l : rows - 1) * ldz + c];
        for (ptrdiff_t l = 0; l < FT_LANES; l++) {
            const ptrdiff_t i = start + (l < rows ? l : rows - 1);
            code[l] = (ptrdiff_t)y[i];
            w[l] = weight ? weight[i] : 1;
            own[l] = column[code[l] * FT_LANES + l];
        }
        for (ptrdiff_t l = 0; l < FT_LANES; l++) {
            top[l] = column[l];
            sum[l] = 0;
        }
        for (ptrdiff_t c = 1; c < k; c++)
            for (ptrdiff_t l = 0; l < FT_LANES; l++)
                top[l] = FT(max)(column[c * FT_LANES + l], top[l]);
        for (ptrdiff_t c = 0; c < k; c++)
            for (ptrdiff_t l = 0; l < FT_LANES; l++) {
                const FT_REAL e = FT(exp)(column[c * FT_LANES + l] - top[l]);
                column[c * FT_LANES + l] = e;
                sum[l] += e;
            }
        if (want_value) {
            FT_REAL log_sum[FT_LANES];
            /* a sum that is not finite stays so */
            for (ptrdiff_t l = 0; l < FT_LANES; l++)
                log_sum[l] = FT(log)(sum[l]) + (sum[l] - sum[l]);
            for (ptrdiff_t l = 0; l < rows; l++)
                total += (double)w[l] * (((double)top[l] - (double)own[l]) + (double)log_sum[l]);
        }
        if (gradient_out) {
            FT_REAL *g = gradient_out + start * ldg;
            for (ptrdiff_t l = 0; l < FT_LANES; l++)
                sum[l] = w[l] / sum[l];
            for (ptrdiff_t c = 0; c < k; c++)
                for (ptrdiff_t l = 0; l < FT_LANES; l++)
                    column[c * FT_LANES + l] *= sum[l];
            for (ptrdiff_t l = 0; l < FT_LANES; l++)
                column[code[l] * FT_LANES + l] -= w[l];
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

/* ---- updates ---- */

/* The gradient that a rule sees, and the decayed weight it starts from. */
#define FT_GRADIENT                                                                                               \
    (plain ? h->gradient_scale * g[i] : FT(clip)(h->gradient_scale * g[i], -h->clip_value, h->clip_value)) +       \
        h->l2 * w_io[i]
#define FT_WEIGHT (h->keep * w_io[i])

/* plain: nothing is clipped and there is no l1 */
#define FT_PROX(w, t) (plain ? (w) : FT(soft_threshold)(w, t))

FT_INLINE void FT(update_rule)(int kind, const int plain, const ft_update *hyper, FT_REAL *restrict w_io,
                               const FT_REAL *restrict g, FT_REAL *restrict s1_io, FT_REAL *restrict s2_io,
                               FT_REAL *restrict s3_io, ptrdiff_t n)
{
#define FT_FIELD(name) .name = (FT_REAL)hyper->name
    const struct {
        FT_REAL gradient_scale, clip_value, l2, l1, keep, step, step_gradient, root_scale, epsilon_inside, epsilon;
        FT_REAL learning_rate, l1_rate, momentum, beta1, beta2;
    } copy = {FT_FIELD(gradient_scale), FT_FIELD(clip_value), FT_FIELD(l2), FT_FIELD(l1), FT_FIELD(keep), FT_FIELD(step),
              FT_FIELD(step_gradient), FT_FIELD(root_scale), FT_FIELD(epsilon_inside), FT_FIELD(epsilon),
              FT_FIELD(learning_rate), FT_FIELD(l1_rate), FT_FIELD(momentum), FT_FIELD(beta1), FT_FIELD(beta2)}, *const h = &copy;
#undef FT_FIELD
    const FT_REAL rate = h->learning_rate, mu = h->momentum, b1 = h->beta1, b2 = h->beta2;
    switch (kind) {
    case FT_UPDATE_gradient_descent:
        for (ptrdiff_t i = 0; i < n; i++) {
            const FT_REAL d = FT_GRADIENT;
            w_io[i] = FT_PROX(FT_WEIGHT - rate * d, rate * h->l1);
        }
        break;
    case FT_UPDATE_momentum:
        for (ptrdiff_t i = 0; i < n; i++) {
            const FT_REAL d = FT_GRADIENT;
            const FT_REAL v = mu * s1_io[i] - rate * d;
            s1_io[i] = v;
            w_io[i] = FT_PROX(FT_WEIGHT + v, h->l1_rate * h->l1);
        }
        break;
    case FT_UPDATE_nesterov:
        for (ptrdiff_t i = 0; i < n; i++) {
            const FT_REAL d = FT_GRADIENT;
            const FT_REAL v = mu * s1_io[i] - rate * d;
            s1_io[i] = v;
            w_io[i] = FT_PROX(FT_WEIGHT + (mu * v - rate * d), h->l1_rate * h->l1);
        }
        break;
    case FT_UPDATE_adagrad:
        for (ptrdiff_t i = 0; i < n; i++) {
            const FT_REAL d = FT_GRADIENT;
            const FT_REAL s = s1_io[i] + d * d;
            s1_io[i] = s;
            const FT_REAL eta = rate / (FT_SQRT(s + h->epsilon_inside) + h->epsilon);
            w_io[i] = FT_PROX(FT_WEIGHT - eta * d, eta * h->l1);
        }
        break;
    case FT_UPDATE_rmsprop:
        if (s3_io) {
            for (ptrdiff_t i = 0; i < n; i++) {
                const FT_REAL d = FT_GRADIENT;
                const FT_REAL s = b2 * s1_io[i] + (1 - b2) * (d * d);
                s1_io[i] = s;
                const FT_REAL inverse = 1 / (FT_SQRT(s + h->epsilon_inside) + h->epsilon);
                const FT_REAL v = mu * s3_io[i] + rate * inverse * d;
                s3_io[i] = v;
                w_io[i] = FT_PROX(FT_WEIGHT - v, h->l1_rate * inverse * h->l1);
            }
        } else {
            for (ptrdiff_t i = 0; i < n; i++) {
                const FT_REAL d = FT_GRADIENT;
                const FT_REAL s = b2 * s1_io[i] + (1 - b2) * (d * d);
                s1_io[i] = s;
                const FT_REAL eta = rate / (FT_SQRT(s + h->epsilon_inside) + h->epsilon);
                w_io[i] = FT_PROX(FT_WEIGHT - eta * d, eta * h->l1);
            }
        }
        break;
    case FT_UPDATE_rmsprop_centered:
        for (ptrdiff_t i = 0; i < n; i++) {
            const FT_REAL d = FT_GRADIENT;
            const FT_REAL s = b2 * s1_io[i] + (1 - b2) * (d * d);
            const FT_REAL m = b2 * s2_io[i] + (1 - b2) * d;
            s1_io[i] = s;
            s2_io[i] = m;
            const FT_REAL inverse = 1 / (FT_SQRT(FT(max)(s - m * m, 0) + h->epsilon_inside) + h->epsilon);
            const FT_REAL v = mu * s3_io[i] + rate * inverse * d;
            s3_io[i] = v;
            w_io[i] = FT_PROX(FT_WEIGHT - v, h->l1_rate * inverse * h->l1);
        }
        break;
    case FT_UPDATE_adadelta:
        for (ptrdiff_t i = 0; i < n; i++) {
            const FT_REAL d = FT_GRADIENT;
            const FT_REAL s = b2 * s1_io[i] + (1 - b2) * (d * d);
            s1_io[i] = s;
            const FT_REAL ratio = FT_SQRT((s2_io[i] + h->epsilon) / (s + h->epsilon));
            const FT_REAL move = ratio * d;
            s2_io[i] = b2 * s2_io[i] + (1 - b2) * (move * move);
            w_io[i] = FT_PROX(FT_WEIGHT - rate * move, rate * ratio * h->l1);
        }
        break;
    case FT_UPDATE_adam:
        for (ptrdiff_t i = 0; i < n; i++) {
            const FT_REAL d = FT_GRADIENT;
            const FT_REAL m = b1 * s1_io[i] + (1 - b1) * d;
            const FT_REAL v = b2 * s2_io[i] + (1 - b2) * (d * d);
            s1_io[i] = m;
            s2_io[i] = v;
            const FT_REAL eta = h->step / (h->root_scale * FT_SQRT(v) + h->epsilon);
            w_io[i] = FT_PROX(FT_WEIGHT - eta * m, eta * h->l1);
        }
        break;
    case FT_UPDATE_nadam:
        for (ptrdiff_t i = 0; i < n; i++) {
            const FT_REAL d = FT_GRADIENT;
            const FT_REAL m = b1 * s1_io[i] + (1 - b1) * d;
            const FT_REAL v = b2 * s2_io[i] + (1 - b2) * (d * d);
            s1_io[i] = m;
            s2_io[i] = v;
            const FT_REAL inverse = 1 / (h->root_scale * FT_SQRT(v) + h->epsilon);
            const FT_REAL move = (h->step * m + h->step_gradient * d) * inverse;
            w_io[i] = FT_PROX(FT_WEIGHT - move, (h->step + h->step_gradient) * inverse * h->l1);
        }
        break;
    case FT_UPDATE_lion:
        if (h->l1 == 0) {
            for (ptrdiff_t i = 0; i < n; i++) {
                const FT_REAL d = FT_GRADIENT;
                const FT_REAL c = b1 * s1_io[i] + (1 - b1) * d;
                s1_io[i] = b2 * s1_io[i] + (1 - b2) * d;
                w_io[i] = FT_WEIGHT - rate * FT(sign)(c);
            }
            break;
        }
        for (ptrdiff_t i = 0; i < n; i++) {
            const FT_REAL d = FT_GRADIENT;
            const FT_REAL w = FT_WEIGHT;
            const FT_REAL c = b1 * s1_io[i] + (1 - b1) * d;
            s1_io[i] = b2 * s1_io[i] + (1 - b2) * d;
            /* A step of fixed length has no proximal map of its own: at zero a weight leaves only when the smooth part
             * outweighs l1, and a weight that would change sign stops at zero first. */
            const FT_REAL direction = w == 0 ? FT(soft_threshold)(c, h->l1) : c + h->l1 * FT(sign)(w);
            const FT_REAL moved = w - rate * FT(sign)(direction);
            w_io[i] = moved * w < 0 ? 0 : moved;
        }
        break;
    }
}

/* Adam without clipping and l1 is bound by the divider: a root and a quotient for each weight. One quotient serves several,
 * 1/a = b / (a b), as many as have a product in range: a divisor is at least epsilon, which must be at least FT_ADAM_LEAST, and
 * is taken for FT_ADAM_MOST when it is more, or NaN. A NaN is then in the first moment too, and the neighbours are spared. */
#define FT_QUOTIENTS (FT_IS_DOUBLE ? 4 : 2)
#define FT_ADAM_LEAST (FT_IS_DOUBLE ? 1e-70 : 1e-18)
#define FT_ADAM_MOST (FT_IS_DOUBLE ? 1e75 : 1.8e19)
#define FT_ADAM_BLOCK (FT_LANES < 8 ? 16 : FT_QUOTIENTS * FT_LANES)

#define FT_DOUBLES (FT_VECTOR_BYTES / (int)sizeof(double))
typedef double FT(doubles) __attribute__((vector_size(FT_VECTOR_BYTES)));

FT_INLINE FT(doubles) FT(as_doubles)(const FT_REAL *x)
{
    double lane[FT_DOUBLES];
    for (int l = 0; l < FT_DOUBLES; l++)
        lane[l] = (double)x[l];
    FT(doubles) v;
    memcpy(&v, lane, sizeof v);
    return v;
}

FT_INLINE FT(vector) FT(adam_divisors)(const FT(vector) *v, FT_REAL root_scale, FT_REAL epsilon)
{
    FT_REAL lane[FT_LANES];
    FT_STORE(lane, *v);
    for (ptrdiff_t l = 0; l < FT_LANES; l++) {
        const FT_REAL divisor = root_scale * FT_SQRT(lane[l]) + epsilon;
        lane[l] = divisor < (FT_REAL)FT_ADAM_MOST ? divisor : (FT_REAL)FT_ADAM_MOST;
    }
    return FT_LOAD(lane);
}

/* A whole number of blocks of the weights; how many it has done. With want_squares the squares of the new weights are added to
 * FT_STREAMS streams, in the order of sum_squares. */
FT_INLINE ptrdiff_t FT(adam_blocks)(const ft_update *h, const int want_squares, FT_REAL *restrict w_io, const FT_REAL *restrict g,
                                    FT_REAL *restrict s1_io, FT_REAL *restrict s2_io, ptrdiff_t n, double *stream_out)
{
    const FT(vector) scale = FT_SPLAT((FT_REAL)h->gradient_scale), l2 = FT_SPLAT((FT_REAL)h->l2);
    const FT(vector) c1 = FT_SPLAT(1 - (FT_REAL)h->beta1), c2 = FT_SPLAT(1 - (FT_REAL)h->beta2);
    const FT(vector) keep = FT_SPLAT((FT_REAL)h->keep), step = FT_SPLAT((FT_REAL)h->step);
    const FT_REAL root_scale = (FT_REAL)h->root_scale, epsilon = (FT_REAL)h->epsilon;
    FT(doubles) squares[FT_STREAMS / FT_DOUBLES] = {0};
    ptrdiff_t i = 0;
    for (; i + FT_ADAM_BLOCK <= n; i += FT_ADAM_BLOCK) {
#pragma GCC unroll 4
        for (ptrdiff_t part = 0; part < FT_ADAM_BLOCK; part += FT_QUOTIENTS * FT_LANES) {
            FT(vector) m[FT_QUOTIENTS], below[FT_QUOTIENTS];
#pragma GCC unroll 4
            for (int q = 0; q < FT_QUOTIENTS; q++) {
                const ptrdiff_t at = i + part + q * FT_LANES;
                const FT(vector) d = scale * FT_LOAD(g + at) + l2 * FT_LOAD(w_io + at);
                const FT(vector) v = FT_LOAD(s2_io + at) + c2 * (d * d - FT_LOAD(s2_io + at));
                m[q] = FT_LOAD(s1_io + at) + c1 * (d - FT_LOAD(s1_io + at));
                FT_STORE(s1_io + at, m[q]);
                FT_STORE(s2_io + at, v);
                below[q] = FT(adam_divisors)(&v, root_scale, epsilon);
            }
#if FT_IS_DOUBLE
            const FT(vector) first = below[0] * below[1], second = below[2] * below[3];
            const FT(vector) eta = step / (first * second);
            const FT(vector) eta_first = eta * second, eta_second = eta * first;
            m[0] *= eta_first * below[1];
            m[1] *= eta_first * below[0];
            m[2] *= eta_second * below[3];
            m[3] *= eta_second * below[2];
#else
            const FT(vector) eta = step / (below[0] * below[1]);
            m[0] *= eta * below[1];
            m[1] *= eta * below[0];
#endif
#pragma GCC unroll 4
            for (int q = 0; q < FT_QUOTIENTS; q++) {
                const ptrdiff_t at = i + part + q * FT_LANES;
                FT_STORE(w_io + at, keep * FT_LOAD(w_io + at) - m[q]);
            }
        }
        if (want_squares)
#pragma GCC unroll 4
            for (ptrdiff_t part = 0; part < FT_ADAM_BLOCK; part += FT_STREAMS)
#pragma GCC unroll 8
                for (int s = 0; s < FT_STREAMS; s += FT_DOUBLES) {
                    const FT(doubles) w = FT(as_doubles)(w_io + i + part + s);
                    squares[s / FT_DOUBLES] += w * w;
                }
    }
    memcpy(stream_out, squares, sizeof squares);
    return i;
}

FT_INLINE double FT(update_any)(int kind, const ft_update *hyper, const int want_squares, FT_REAL *restrict w_io,
                                const FT_REAL *restrict g, FT_REAL *restrict s1_io, FT_REAL *restrict s2_io,
                                FT_REAL *restrict s3_io, ptrdiff_t n)
{
    double stream[FT_STREAMS] = {0};
    ptrdiff_t done = 0;
    /* Without clipping and l1 the simple rules are bound by memory alone; with them they would not be. */
    if (hyper->l1 == 0 && hyper->clip_value > (FT_IS_DOUBLE ? 1.7e308 : 3.4e38)) {
        if (kind == FT_UPDATE_adam && hyper->epsilon >= FT_ADAM_LEAST)
            done = FT(adam_blocks)(hyper, want_squares, w_io, g, s1_io, s2_io, n, stream);
        if (done < n)
            FT(update_rule)(kind, 1, hyper, w_io + done, g + done, s1_io ? s1_io + done : NULL, s2_io ? s2_io + done : NULL,
                            s3_io ? s3_io + done : NULL, n - done);
    } else {
        FT(update_rule)(kind, 0, hyper, w_io, g, s1_io, s2_io, s3_io, n);
    }
    return want_squares ? FT(finish_squares)(stream, w_io + done, n - done) : 0;
}

static void FT(update_span)(int kind, const ft_update *hyper, FT_REAL *restrict w_io, const FT_REAL *restrict g,
                            FT_REAL *restrict s1_io, FT_REAL *restrict s2_io, FT_REAL *restrict s3_io, ptrdiff_t n)
{
    FT(update_any)(kind, hyper, 0, w_io, g, s1_io, s2_io, s3_io, n);
}

static double FT(update_and_square)(int kind, const ft_update *hyper, FT_REAL *restrict w_io, const FT_REAL *restrict g,
                                    FT_REAL *restrict s1_io, FT_REAL *restrict s2_io, FT_REAL *restrict s3_io, ptrdiff_t n)
{
    return FT(update_any)(kind, hyper, 1, w_io, g, s1_io, s2_io, s3_io, n);
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

#undef FT_STREAMS
#undef FT_QUOTIENTS
#undef FT_ADAM_LEAST
#undef FT_ADAM_MOST
#undef FT_ADAM_BLOCK
#undef FT_DOUBLES
#undef FT_GRADIENT
#undef FT_PROX
#undef FT_WEIGHT
#undef FT_BLOCK
