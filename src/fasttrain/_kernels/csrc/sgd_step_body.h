/* The scalar part of a step, for n slots at once; n is 1, as a constant, in an ordinary fit. Columns do not overlap, which
 * the compiler is told (ivdep), as it cannot see it. */

#define FT_COLUMN(name) (c + FT_SGD_##name * n)
/* A one-slot fit has one candidate. */
#define FT_CANDIDATE(k) (n == 1 ? 0 : (ft_size)FT_COLUMN(candidate)[k])

/* e^-a for a >= 0 as base + scale * series, whose last multiply-add can be the caller's: one sample waits for the last, so
 * the length of the chain is what counts. e^-a = 2^k (1 + r + r^2 (1/2 + r/6 + ...)), the series summed in pairs (Estrin),
 * for float32 up to 1e-8. Below the normal range 2^-1021 stands for everything smaller. */
typedef struct {
    double base, scale, series;
} FT(sgd_exponential);

FT_INLINE FT(sgd_exponential) FT(sgd_exp_minus)(double a)
{
    const double x = -ft_min_f64(a, 707.0), shift = 6755399441055744.0;
    const double shifted = x * 1.44269504088896340736 + shift;
    int64_t bits, shift_bits;
    memcpy(&bits, &shifted, sizeof bits);
    memcpy(&shift_bits, &shift, sizeof shift_bits);
    const double power = ft_exp2_int_f64(bits - shift_bits);
    /* Without a second part of ln 2 the error is 1e-17 for each halving of e^-a. */
    const double r = x - (shifted - shift) * 0.693147180559945309417;
    const double r2 = r * r, r4 = r2 * r2;
    const double c01 = 0.5 + r * (1.0 / 6.0);
    const double c23 = 1.0 / 24.0 + r * (1.0 / 120.0);
    const double c45 = 1.0 / 720.0 + r * (1.0 / 5040.0);
#if FT_IS_DOUBLE
    const double c67 = 1.0 / 40320.0 + r * (1.0 / 362880.0);
    const double c89 = 1.0 / 3628800.0 + r * (1.0 / 39916800.0);
    const double cab = 1.0 / 479001600.0 + r * (1.0 / 6227020800.0);
    const double series = ((c01 + r2 * c23) + r4 * (c45 + r2 * c67)) + (r4 * r4) * (c89 + r2 * cab);
#else
    const double series = (c01 + r2 * c23) + r4 * c45;
#endif
    const FT(sgd_exponential) e = {power + power * r, power * r2, series};
    return e;
}

/* The slope of log(1 + e^p) - y p, y in {0, 1}, and 1 + e^-|p|, whose logarithm is a part of the loss. Signs come as numbers: a
 * branch on the class, or on which side the prediction is, would be a coin toss. */
FT_INLINE double FT(sgd_log_gradient)(double y, double p, double *whole_out)
{
    const double sign = 1 - 2 * y;
    const FT(sgd_exponential) e = FT(sgd_exp_minus)(ft_abs_f64(p));
    const int outside = sign * p >= 0;
    const double base = sign * ft_sgd_select(outside, 1, e.base), scale = ft_sgd_select(outside, 0, sign * e.scale);
    *whole_out = (1 + e.base) + e.scale * e.series;
    return (base + scale * e.series) / *whole_out;
}

#define FT_SGD_LOSS(name, limit)                                                                                  \
    case FT_LOSS_##name:                                                                                          \
        _Pragma("GCC ivdep")                                                                                      \
        for (ft_size k = 0; k < n; k++) {                                                                         \
            const double y = FT_COLUMN(y)[k], p = FT_COLUMN(prediction)[k], a = FT_COLUMN(parameter)[k];          \
            const double g = ft_##name##_gradient_f64(y, p, a);                                                   \
            FT_COLUMN(loss)[k] = ft_##name##_f64(y, p, a);                                                        \
            FT_COLUMN(gradient)[k] = limit ? ft_clip_f64(g, -1e12, 1e12) : g;                                     \
        }                                                                                                         \
        break;

/* loss and gradient of every slot's prediction. The log loss leaves log(1 + e) to the flush, as a product of (1 + e). */
FT_INLINE void FT(sgd_losses)(int kind, ft_size n, double *c)
{
    switch (kind) {
    case FT_LOSS_binary_crossentropy:
#pragma GCC ivdep
        for (ft_size k = 0; k < n; k++) {
            const double p = FT_COLUMN(prediction)[k], sign = 1 - 2 * FT_COLUMN(y)[k], margin = sign * p;
            const FT(sgd_exponential) e = FT(sgd_exp_minus)(ft_abs_f64(p));
            const double whole = (1 + e.base) + e.scale * e.series;
            const double numerator = sign * ft_sgd_select(margin >= 0, 1, e.base) +
                                     ft_sgd_select(margin >= 0, 0, sign * e.scale) * e.series;
            FT_COLUMN(loss)[k] = ft_max_f64(margin, 0);
            FT_COLUMN(product)[k] *= whole;
            FT_COLUMN(gradient)[k] = numerator / whole;
        }
        break;
        FT_SGD_LOSS(hinge, 0)
        FT_SGD_LOSS(squared_hinge, 1)
        FT_SGD_LOSS(modified_huber, 1)
        FT_SGD_LOSS(half_squared_error, 1)
        FT_SGD_LOSS(huber, 1)
        FT_SGD_LOSS(epsilon_insensitive, 0)
        FT_SGD_LOSS(squared_epsilon_insensitive, 1)
        FT_SGD_LOSS(quantile, 0)
        FT_SGD_LOSS(poisson, 1)
    default:
        break;
    }
}

FT_INLINE double FT(sgd_power)(double t, double power)
{
    if (power == 0.25)
        return sqrt(sqrt(t));
    return power == 0.5 ? sqrt(t) : pow(t, power);
}

/* Targets of a row, and the losses of the predictions that stand in their column. */
FT_INLINE void FT(sgd_losses_of_row)(const ft_sgd *s, ft_size n, double *c, ft_size row)
{
    const FT_REAL *y = (const FT_REAL *)s->y + row;
    if (n == 1 || s->y_stride == 0) {
        const double target = y[0];
#pragma GCC ivdep
        for (ft_size k = 0; k < n; k++)
            FT_COLUMN(y)[k] = target;
    } else {
#pragma GCC ivdep
        for (ft_size k = 0; k < n; k++)
            FT_COLUMN(y)[k] = y[s->y_stride * (ft_size)FT_COLUMN(candidate)[k]];
    }
    FT(sgd_losses)(s->loss, n, c);
#pragma GCC ivdep
    for (ft_size k = 0; k < n; k++)
        FT_COLUMN(sum_loss)[k] += FT_COLUMN(loss)[k];
}

/* Step sizes, and the weights of the row. */
FT_INLINE void FT(sgd_steps)(const ft_sgd *s, ft_size n, double *c, ft_size row, double t)
{
    const FT_REAL sample_weight = s->sample_weight ? ((const FT_REAL *)s->sample_weight)[row] : 1;
    if (s->with_power) {
        double power = NAN, root = 1;
#pragma GCC ivdep
        for (ft_size k = 0; k < n; k++) {
            if (FT_COLUMN(power_t)[k] != FT_COLUMN(power_t)[k])
                continue;
            if (FT_COLUMN(power_t)[k] != power) {
                power = FT_COLUMN(power_t)[k];
                root = FT(sgd_power)(t, power);
            }
            FT_COLUMN(eta_floor)[k] = root;
        }
    }
#pragma GCC ivdep
    for (ft_size k = 0; k < n; k++)
        FT_COLUMN(step)[k] = FT_COLUMN(eta)[k] /
            (FT_COLUMN(eta_time)[k] * (FT_COLUMN(eta_shift)[k] + t - 1) + FT_COLUMN(eta_floor)[k]);
#pragma GCC ivdep
    for (ft_size k = 0; k < n; k++) {
        const FT_REAL class_weight = (FT_REAL)ft_sgd_select(FT_COLUMN(y)[k] > 0, FT_COLUMN(weight_positive)[k],
                                                            FT_COLUMN(weight_negative)[k]);
        FT_COLUMN(weight)[k] = (FT_REAL)(class_weight * sample_weight);
    }
}

/* The penalty's part of a step: the scale of the weights. */
FT_INLINE void FT(sgd_shrink)(ft_size n, double *c)
{
#pragma GCC ivdep
    for (ft_size k = 0; k < n; k++) {
        const FT_REAL shrink = (FT_REAL)ft_max_f64(
            1.0 - FT_COLUMN(l2_ratio)[k] * FT_COLUMN(step)[k] * FT_COLUMN(alpha)[k], 0);
        FT_COLUMN(wscale)[k] *= shrink;
        FT_COLUMN(square_scale)[k] *= (double)shrink * shrink;
        FT_COLUMN(abs_scale)[k] *= shrink;
        FT_COLUMN(u)[k] += FT_COLUMN(l1_ratio)[k] * FT_COLUMN(step)[k] * FT_COLUMN(alpha)[k];
    }
}

/* From dots to updates: predictions, losses, step sizes, updates, the scale of the weights; no weight is touched. 0 when the
 * row is no step at all: the passive-aggressive rule has no direction on a row of zeros. */
FT_INLINE int FT(sgd_scalars)(const ft_sgd *s, ft_size n, double *c, ft_size row, double t, double row_square)
{
#pragma GCC ivdep
    for (ft_size k = 0; k < n; k++)
        FT_COLUMN(prediction)[k] = (FT_REAL)(FT_COLUMN(dot)[k] * FT_COLUMN(wscale)[k]) + FT_COLUMN(intercept)[k];
    FT(sgd_losses_of_row)(s, n, c, row);
    if (s->aggressive == FT_SGD_PA1 && row_square == 0)
        return 0;
    FT(sgd_steps)(s, n, c, row, t);
    if (s->aggressive) {
#pragma GCC ivdep
        for (ft_size k = 0; k < n; k++) {
            const double loss = FT_COLUMN(loss)[k], limit = FT_COLUMN(aggressiveness)[k], y_k = FT_COLUMN(y)[k];
            double update = s->aggressive == FT_SGD_PA1 ? ft_min_f64(loss / row_square, limit)
                                                        : loss / (row_square + 0.5 / limit);
            if (s->loss == FT_LOSS_hinge)
                update *= y_k;
            else if (y_k - FT_COLUMN(prediction)[k] < 0)
                update = -update;
            FT_COLUMN(update)[k] = update * FT_COLUMN(weight)[k];
        }
    } else {
#pragma GCC ivdep
        for (ft_size k = 0; k < n; k++)
            FT_COLUMN(update)[k] = FT_COLUMN(gradient)[k] * (-FT_COLUMN(step)[k] * FT_COLUMN(weight)[k]);
    }
    FT(sgd_shrink)(n, c);
    if (s->fit_intercept) {
        /* Rounded before it is added, as scikit-learn rounds it: steps of one size must cancel to an exact 0, where the
         * perceptron's and the hinge's conditions are ties. */
#pragma GCC ivdep
        for (ft_size k = 0; k < n; k++)
            FT_COLUMN(intercept_move)[k] = ft_sgd_rounded(FT_COLUMN(update)[k] * s->intercept_decay, n == 1);
#pragma GCC ivdep
        for (ft_size k = 0; k < n; k++)
            FT_COLUMN(intercept)[k] += FT_COLUMN(intercept_move)[k];
    }
    return 1;
}

/* The same for many slots, where a call costs less than its share. */
static __attribute__((noinline)) int FT(sgd_scalars_many)(const ft_sgd *s, ft_size n, double *c, ft_size row, double t,
                                                          double row_square)
{
    return FT(sgd_scalars)(s, n, c, row, t, row_square);
}

/* The average's own scalars, after a step; returns what its vector moves by. */
FT_INLINE FT_REAL FT(sgd_average_step)(ft_size n, double *c, ft_size k, double t)
{
    const double start = FT_COLUMN(average)[k];
    if (!(start > 0 && start <= t))
        return 0;
    const double step_number = t - start + 1, count = (FT_REAL)step_number, mu = 1.0 / count;
    const double move = FT_COLUMN(average_a)[k] * (-(double)(FT_REAL)FT_COLUMN(update)[k] / FT_COLUMN(wscale)[k]);
    if (count > 1)
        FT_COLUMN(average_b)[k] /= 1.0 - mu;
    FT_COLUMN(average_a)[k] += mu * FT_COLUMN(average_b)[k] * FT_COLUMN(wscale)[k];
    FT_COLUMN(average_intercept)[k] += (FT_COLUMN(intercept)[k] - FT_COLUMN(average_intercept)[k]) / step_number;
    return (FT_REAL)move;
}

/* Writes wscale into the stored vector, and the average's two scalars into the average, both at `first`. */
FT_INLINE void FT(sgd_write_scale_spaced)(const ft_sgd *s, ft_size first, double wscale, double average_a,
                                          double average_b, const ft_size spacing)
{
    FT_REAL *w = (FT_REAL *)s->weights + first;
    if (s->with_average) {
        FT_REAL *aw = (FT_REAL *)s->averages + first;
        const FT_REAL a = (FT_REAL)average_a, inverse = (FT_REAL)(1.0 / average_b);
        for (ft_size j = 0; j < s->n_features; j++)
            aw[j * spacing] = (aw[j * spacing] + a * w[j * spacing]) * inverse;
    }
    const FT_REAL scale = (FT_REAL)wscale;
    for (ft_size j = 0; j < s->n_features; j++)
        w[j * spacing] *= scale;
}

static __attribute__((noinline)) void FT(sgd_write_scale)(const ft_sgd *s, ft_size first, ft_size spacing, double wscale,
                                                          double average_a, double average_b)
{
    if (spacing == 1)
        FT(sgd_write_scale_spaced)(s, first, wscale, average_a, average_b, 1);
    else
        FT(sgd_write_scale_spaced)(s, first, wscale, average_a, average_b, spacing);
}

FT_INLINE void FT(sgd_reset_wscale)(const ft_sgd *s, ft_size n, double *c, ft_size k)
{
    FT(sgd_write_scale)(s, FT_SGD_FIRST(k), FT(sgd_spacing)(s, k), FT_COLUMN(wscale)[k], FT_COLUMN(average_a)[k],
                        FT_COLUMN(average_b)[k]);
    FT_COLUMN(wscale)[k] = 1;
    FT_COLUMN(average_a)[k] = 0;
    FT_COLUMN(average_b)[k] = 1;
}

/* Adds the objective's terms gathered since the last flush. */
static void FT(sgd_flush)(const ft_sgd *s, ft_size n, double *c)
{
    for (ft_size k = 0; k < s->n_slots; k++) {
        FT_COLUMN(sum_loss)[k] += log(FT_COLUMN(product)[k]);
        FT_COLUMN(product)[k] = 1;
        FT_REAL *sums = FT(lanes_of)(s, FT_CANDIDATE(k)) + 2 * FT_LANE_BLOCK;
        double square = FT_COLUMN(sum_square)[k], absolute = FT_COLUMN(sum_absolute)[k];
        FT_COLUMN(sum_square)[k] = FT_COLUMN(sum_absolute)[k] = 0;
        for (ft_size i = 0; i < FT_LANE_BLOCK; i++) {
            square += sums[i];
            absolute += sums[FT_LANE_BLOCK + i];
            sums[i] = sums[FT_LANE_BLOCK + i] = 0;
        }
        /* The passive-aggressive objective is the loss alone. Guarded: an absent penalty must not add 0 * inf. */
        if (s->aggressive)
            continue;
        if (FT_COLUMN(l2_ratio)[k] > 0)
            FT_COLUMN(sum_penalty)[k] += FT_COLUMN(alpha)[k] * FT_COLUMN(l2_ratio)[k] * 0.5 * square;
        if (FT_COLUMN(l1_ratio)[k] > 0)
            FT_COLUMN(sum_penalty)[k] += FT_COLUMN(alpha)[k] * FT_COLUMN(l1_ratio)[k] * absolute;
    }
}

/* Adds the norms before this step to the sums of the objective. */
FT_INLINE void FT(sgd_add_norms)(FT_REAL *lanes, double square_scale, double abs_scale, const int l1)
{
    FT_REAL *sums = lanes + 2 * FT_LANE_BLOCK;
    FT(store)(sums, FT(load)(sums) + (FT_REAL)square_scale * FT(load)(lanes));
    if (l1)
        FT(store)(sums + FT_LANE_BLOCK,
                  FT(load)(sums + FT_LANE_BLOCK) + (FT_REAL)abs_scale * FT(load)(lanes + FT_LANE_BLOCK));
}
