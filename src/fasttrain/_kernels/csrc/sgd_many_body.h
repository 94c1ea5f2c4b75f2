/* Steps of many candidates on dense rows.
 *
 * Weights stand in panels whose lanes are slots: a panel is 64 bytes wide and has a line for each feature, so a row's element
 * is one broadcast for all its slots and no product is summed across lanes. Rows are taken a few together: with the weights v
 * before them, the products of row r are
 *     v_r . x_r = v . x_r + sum over j < r of move_j (x_j . x_r),
 * where the products of rows are the same for every slot. So a panel is read twice and written once for all of them, and a
 * step waits for the scalars of the one before, not for a pass over its weights. Averages, which move along the same rows, stand
 * in panels of their own behind those of the weights.
 *
 * With an L1 term each step cuts every weight before the next product is taken, so that there is a pass over the panels for
 * each row, which has the products of the next one. The penalties that weights did have stand in panels as well. */

#define FT_PANEL_VECTORS (64 / FT_VECTOR_BYTES)

typedef struct {
    const FT_REAL *x[FT_SGD_TOGETHER];
    FT_REAL product[FT_SGD_TOGETHER][FT_SGD_TOGETHER]; /* x[r] . x[j], j <= r; 0 with an L1 term */
} FT(sgd_rows_together);

/* What stands behind the panels for each of them: the products of its slots with the rows, what the rows' steps move them by,
 * and what of a step the weights do not decide. */
typedef struct {
    FT_REAL dot[FT_SGD_TOGETHER][64 / sizeof(FT_REAL)];
    FT_REAL move[FT_SGD_TOGETHER][64 / sizeof(FT_REAL)];
    FT_REAL average_move[FT_SGD_TOGETHER][64 / sizeof(FT_REAL)];
    double y[FT_SGD_TOGETHER][64 / sizeof(FT_REAL)];
    double rate[FT_SGD_TOGETHER][64 / sizeof(FT_REAL)];    /* update of the weights = rate * gradient */
    double wscale[FT_SGD_TOGETHER][64 / sizeof(FT_REAL)];  /* after the step's shrinking */
    double inverse[FT_SGD_TOGETHER][64 / sizeof(FT_REAL)]; /* 1 / wscale */
    double u[FT_SGD_TOGETHER][64 / sizeof(FT_REAL)];       /* L1 penalty a weight could have had after the step */
} FT(sgd_panel_steps);

FT_INLINE ft_size FT(panel_count)(const ft_sgd *s) { return (s->n_candidates + FT_LANE_BLOCK - 1) / FT_LANE_BLOCK; }

FT_INLINE FT_REAL *FT(panel)(const ft_sgd *s, ft_size p)
{
    return (FT_REAL *)s->panels + p * FT_LANE_BLOCK * s->n_features;
}

FT_INLINE FT(sgd_panel_steps) *FT(panel_steps)(const ft_sgd *s, ft_size p)
{
    return (FT(sgd_panel_steps) *)FT(panel)(s, (1 + s->with_average + s->with_l1) * FT(panel_count)(s)) + p;
}

FT_INLINE FT_REAL *FT(average_panel)(const ft_sgd *s, ft_size p) { return FT(panel)(s, FT(panel_count)(s) + p); }

FT_INLINE FT_REAL *FT(penalty_panel)(const ft_sgd *s, ft_size p)
{
    return FT(panel)(s, (1 + s->with_average) * FT(panel_count)(s) + p);
}

FT_INLINE FT_REAL *FT(panel_lane)(const ft_sgd *s, ft_size k)
{
    return FT(panel)(s, k / FT_LANE_BLOCK) + k % FT_LANE_BLOCK;
}

FT_INLINE FT_REAL *FT(average_lane)(const ft_sgd *s, ft_size k)
{
    return FT(average_panel)(s, k / FT_LANE_BLOCK) + k % FT_LANE_BLOCK;
}

FT_INLINE FT_REAL *FT(penalty_lane)(const ft_sgd *s, ft_size k)
{
    return FT(penalty_panel)(s, k / FT_LANE_BLOCK) + k % FT_LANE_BLOCK;
}

FT_INLINE void FT(sgd_copy_lane)(FT_REAL *lane, FT_REAL *w, ft_size n, int into_panels)
{
    for (ft_size j = 0; j < n; j++) {
        if (into_panels)
            lane[j * FT_LANE_BLOCK] = w[j];
        else
            w[j] = lane[j * FT_LANE_BLOCK];
    }
}

static void FT(sgd_copy_panels)(const ft_sgd *s, ft_size n, const double *c, int into_panels)
{
    for (ft_size k = 0; k < s->n_slots; k++) {
        const ft_size first = FT_CANDIDATE(k) * s->stride;
        FT(sgd_copy_lane)(FT(panel_lane)(s, k), (FT_REAL *)s->weights + first, s->n_features, into_panels);
        if (s->with_average)
            FT(sgd_copy_lane)(FT(average_lane)(s, k), (FT_REAL *)s->averages + first, s->n_features, into_panels);
        if (s->with_l1)
            FT(sgd_copy_lane)(FT(penalty_lane)(s, k), (FT_REAL *)s->q + first, s->n_features, into_panels);
    }
}

/* 0 when a product is not finite. */
FT_INLINE int FT(sgd_row_products)(FT(sgd_rows_together) *rows, ft_size n, const FT(tail) *tail)
{
    FT(vector) acc[FT_SGD_TOGETHER][FT_SGD_TOGETHER] = {{{0}}}, x[FT_SGD_TOGETHER];
#define FT_PRODUCTS(load)                                                                                         \
    _Pragma("GCC unroll 4") for (int r = 0; r < FT_SGD_TOGETHER; r++) x[r] = load;                                \
    _Pragma("GCC unroll 4") for (int r = 0; r < FT_SGD_TOGETHER; r++)                                             \
        _Pragma("GCC unroll 4") for (int q = 0; q <= r; q++) acc[r][q] += x[r] * x[q];
    ft_size j = 0;
    for (; j + FT_LANES <= n; j += FT_LANES) {
        FT_PRODUCTS(FT(load)(rows->x[r] + j))
    }
    if (j < n) {
        FT_PRODUCTS(FT(load_tail)(rows->x[r], tail))
    }
#undef FT_PRODUCTS
    FT_REAL zero = 0;
#pragma GCC unroll 4
    for (int r = 0; r < FT_SGD_TOGETHER; r++)
#pragma GCC unroll 4
        for (int q = 0; q <= r; q++) {
            rows->product[r][q] = FT(sum)(acc[r][q]);
            zero += rows->product[r][q] * 0;
        }
    return zero == 0;
}

FT_INLINE void FT(sgd_panel_products)(const FT_REAL *panel, const FT(sgd_rows_together) *rows, ft_size n,
                                      FT(sgd_panel_steps) *out)
{
    const FT_REAL *const *x = rows->x;
    for (int u = 0; u < FT_PANEL_VECTORS; u++) {
        FT(vector) even[FT_SGD_TOGETHER] = {{0}}, odd[FT_SGD_TOGETHER] = {{0}};
        const FT_REAL *line = panel + u * FT_LANES;
        ft_size j = 0;
        for (; j + 2 <= n; j += 2) {
            const FT(vector) v = FT(load)(line + j * FT_LANE_BLOCK), w = FT(load)(line + (j + 1) * FT_LANE_BLOCK);
#pragma GCC unroll 4
            for (int r = 0; r < FT_SGD_TOGETHER; r++) {
                even[r] += v * x[r][j];
                odd[r] += w * x[r][j + 1];
            }
        }
        if (j < n) {
            const FT(vector) v = FT(load)(line + j * FT_LANE_BLOCK);
#pragma GCC unroll 4
            for (int r = 0; r < FT_SGD_TOGETHER; r++)
                even[r] += v * x[r][j];
        }
#pragma GCC unroll 4
        for (int r = 0; r < FT_SGD_TOGETHER; r++)
            FT(store)(out->dot[r] + u * FT_LANES, even[r] + odd[r]);
    }
}

FT_INLINE void FT(sgd_panel_moves)(FT_REAL *panel, const FT(sgd_rows_together) *rows, ft_size n,
                                   const FT_REAL moves[][64 / sizeof(FT_REAL)])
{
    const FT_REAL *const *x = rows->x;
    for (int u = 0; u < FT_PANEL_VECTORS; u++) {
        FT(vector) move[FT_SGD_TOGETHER];
#pragma GCC unroll 4
        for (int r = 0; r < FT_SGD_TOGETHER; r++)
            move[r] = FT(load)(moves[r] + u * FT_LANES);
        for (ft_size j = 0; j < n; j++) {
            FT_REAL *line = panel + j * FT_LANE_BLOCK + u * FT_LANES;
            FT(vector) v = FT(load)(line);
#pragma GCC unroll 4
            for (int r = 0; r < FT_SGD_TOGETHER; r++)
                v += move[r] * x[r][j];
            FT(store)(line, v);
        }
    }
}

/* The columns' slots of a panel side by side; columns are padded to whole panels. */
#define FT_OF_PANEL(l) _Pragma("GCC ivdep") for (ft_size l = 0; l < FT_LANE_BLOCK; l++)

/* Plans the steps of panel p's slots on the rows; 0 when the scale of one must go into its weights meanwhile. */
FT_INLINE int FT(sgd_plan_together)(const ft_sgd *s, ft_size n, const double *c, ft_size p, const int32_t *numbers,
                                    int count, double t)
{
    FT(sgd_panel_steps) *steps = FT(panel_steps)(s, p);
    const ft_size k = p * FT_LANE_BLOCK, active = s->n_slots - k;
    double wscale[64 / sizeof(FT_REAL)], step[64 / sizeof(FT_REAL)], inverse[64 / sizeof(FT_REAL)];
    int safe = 1;
    memcpy(wscale, &FT_COLUMN(wscale)[k], sizeof wscale);
    for (int r = 0; r < count; r++) {
        const FT_REAL *y = (const FT_REAL *)s->y + numbers[r];
        const FT_REAL sample_weight = s->sample_weight ? ((const FT_REAL *)s->sample_weight)[numbers[r]] : 1;
        const double time = t + r;
        if (s->y_stride == 0) {
            const double target = y[0];
            FT_OF_PANEL(l) steps->y[r][l] = target;
        } else {
            FT_OF_PANEL(l) steps->y[r][l] = y[s->y_stride * (ft_size)FT_COLUMN(candidate)[k + l]];
        }
        memcpy(step, &FT_COLUMN(eta_floor)[k], sizeof step);
        if (s->with_power)
            for (ft_size l = 0; l < FT_LANE_BLOCK; l++)
                if (FT_COLUMN(power_t)[k + l] == FT_COLUMN(power_t)[k + l])
                    step[l] = FT(sgd_power)(time, FT_COLUMN(power_t)[k + l]);
        FT_OF_PANEL(l) {
            step[l] = FT_COLUMN(eta)[k + l] /
                (FT_COLUMN(eta_time)[k + l] * (FT_COLUMN(eta_shift)[k + l] + time - 1) + step[l]);
            const FT_REAL class_weight = (FT_REAL)ft_sgd_select(
                steps->y[r][l] > 0, FT_COLUMN(weight_positive)[k + l], FT_COLUMN(weight_negative)[k + l]);
            steps->rate[r][l] = -step[l] * (FT_REAL)(class_weight * sample_weight);
            const double shrink =
                (FT_REAL)ft_max_f64(1.0 - FT_COLUMN(l2_ratio)[k + l] * step[l] * FT_COLUMN(alpha)[k + l], 0);
            wscale[l] *= shrink;
            steps->wscale[r][l] = wscale[l];
            steps->inverse[r][l] = shrink;
        }
        if (s->with_l1)
            FT_OF_PANEL(l)
                steps->u[r][l] = (r > 0 ? steps->u[r - 1][l] : FT_COLUMN(u)[k + l]) +
                    FT_COLUMN(l1_ratio)[k + l] * step[l] * FT_COLUMN(alpha)[k + l];
    }
    /* one division for all rows: backwards, as 1 / wscale before a row's shrinking is shrink / wscale after it */
    FT_OF_PANEL(l) inverse[l] = 1 / wscale[l];
    for (int r = count - 1; r >= 0; r--)
        FT_OF_PANEL(l) {
            const double shrink = steps->inverse[r][l];
            steps->inverse[r][l] = inverse[l];
            inverse[l] *= shrink;
        }
    for (ft_size l = 0; l < FT_LANE_BLOCK; l++)
        safe &= l >= active || wscale[l] >= FT_RESET_WSCALE;
    return safe;
}

/* Writes the scales that have become too small into the weights, between the products of a single row and its moves. */
static __attribute__((noinline)) void FT(sgd_reset_lanes)(const ft_sgd *s, ft_size n, double *c)
{
    for (ft_size k = 0; k < s->n_slots; k++) {
        FT(sgd_panel_steps) *steps = FT(panel_steps)(s, k / FT_LANE_BLOCK);
        const ft_size at = k % FT_LANE_BLOCK;
        const double wscale = steps->wscale[0][at];
        if (wscale >= FT_RESET_WSCALE)
            continue;
        FT_REAL *lane = FT(panel_lane)(s, k);
        if (s->with_average) {
            FT_REAL *average = FT(average_lane)(s, k);
            const FT_REAL a = (FT_REAL)FT_COLUMN(average_a)[k], inverse = (FT_REAL)(1.0 / FT_COLUMN(average_b)[k]);
            for (ft_size j = 0; j < s->n_features; j++)
                average[j * FT_LANE_BLOCK] = (average[j * FT_LANE_BLOCK] + a * lane[j * FT_LANE_BLOCK]) * inverse;
            FT_COLUMN(average_a)[k] = 0;
            FT_COLUMN(average_b)[k] = 1;
        }
        for (ft_size j = 0; j < s->n_features; j++)
            lane[j * FT_LANE_BLOCK] *= (FT_REAL)wscale;
        steps->wscale[0][at] = steps->inverse[0][at] = 1;
        /* the objective's terms of this step are those of the weights as they were */
        const double before = FT_COLUMN(wscale)[k], square = FT_COLUMN(square)[k], absolute = FT_COLUMN(absolute)[k];
        FT_COLUMN(square)[k] = square * (wscale * wscale);
        FT_COLUMN(absolute)[k] = absolute * wscale;
        FT_COLUMN(sum_square)[k] += (square - FT_COLUMN(square)[k]) * (before * before);
        FT_COLUMN(sum_absolute)[k] += (absolute - FT_COLUMN(absolute)[k]) * before;
    }
}

static void FT(sgd_panel_norms)(const ft_sgd *s, ft_size n, double *c)
{
    for (ft_size k = 0; k < s->n_slots; k++) {
        const FT_REAL *lane = FT(panel_lane)(s, k);
        FT_REAL square = 0, absolute = 0;
        for (ft_size j = 0; j < s->n_features; j++) {
            square += lane[j * FT_LANE_BLOCK] * lane[j * FT_LANE_BLOCK];
            absolute += FT(abs)(lane[j * FT_LANE_BLOCK]);
        }
        FT_COLUMN(square)[k] = square;
        FT_COLUMN(absolute)[k] = absolute;
    }
}

#define FT_SGD_PANEL_LOSS(name, limit)                                                                            \
    case FT_LOSS_##name:                                                                                          \
        g = ft_##name##_gradient_f64(y, p, FT_COLUMN(parameter)[k + l]);                                          \
        loss = ft_##name##_f64(y, p, FT_COLUMN(parameter)[k + l]);                                                \
        if (limit)                                                                                                \
            g = ft_clip_f64(g, -1e12, 1e12);                                                                      \
        break;

/* Row r's step of panel p's slots, but for the weights. */
FT_INLINE void FT(sgd_step_of_panel)(const ft_sgd *s, ft_size n, double *c, ft_size p, int r,
                                     const FT(sgd_rows_together) *rows, const int kind, const double decay)
{
    FT(sgd_panel_steps) *steps = FT(panel_steps)(s, p);
    const ft_size k = p * FT_LANE_BLOCK;
    const double square = rows->product[r][r];
    FT_REAL dot[64 / sizeof(FT_REAL)];
    for (int u = 0; u < FT_PANEL_VECTORS; u++) {
        FT(vector) sum = FT(load)(steps->dot[r] + u * FT_LANES);
        for (int q = 0; q < r; q++)
            sum += FT(load)(steps->move[q] + u * FT_LANES) * rows->product[r][q];
        FT(store)(dot + u * FT_LANES, sum);
    }
    FT_OF_PANEL(l) {
        const double before = FT_COLUMN(wscale)[k + l], y = steps->y[r][l];
        /* the move of the row before is rounded before it is added, as scikit-learn rounds it */
        const double intercept = FT_COLUMN(intercept)[k + l] + FT_COLUMN(intercept_move)[k + l];
        const double p = dot[l] * before + intercept;
        double g = 0, loss = 0;
        FT_COLUMN(sum_square)[k + l] += FT_COLUMN(square)[k + l] * (before * before);
        switch (kind) {
        case FT_LOSS_binary_crossentropy: {
            /* log(1 + e) is left to the flush, as a product of (1 + e) */
            const double sign = 1 - 2 * y, margin = sign * p;
            const FT(sgd_exponential) e = FT(sgd_exp_minus)(ft_abs_f64(p));
            const double whole = (1 + e.base) + e.scale * e.series;
            g = (sign * ft_sgd_select(margin >= 0, 1, e.base) + ft_sgd_select(margin >= 0, 0, sign * e.scale) * e.series) /
                whole;
            loss = ft_max_f64(margin, 0);
            FT_COLUMN(product)[k + l] *= whole;
            break;
        }
            FT_SGD_PANEL_LOSS(hinge, 0)
            FT_SGD_PANEL_LOSS(squared_hinge, 1)
            FT_SGD_PANEL_LOSS(modified_huber, 1)
            FT_SGD_PANEL_LOSS(half_squared_error, 1)
            FT_SGD_PANEL_LOSS(huber, 1)
            FT_SGD_PANEL_LOSS(epsilon_insensitive, 0)
            FT_SGD_PANEL_LOSS(squared_epsilon_insensitive, 1)
            FT_SGD_PANEL_LOSS(quantile, 0)
            FT_SGD_PANEL_LOSS(poisson, 1)
        default:
            break;
        }
        const double update = g * steps->rate[r][l];
        const FT_REAL move = (FT_REAL)(update * steps->inverse[r][l]);
        FT_COLUMN(sum_loss)[k + l] += loss;
        FT_COLUMN(update)[k + l] = update;
        FT_COLUMN(wscale)[k + l] = steps->wscale[r][l];
        FT_COLUMN(intercept)[k + l] = intercept;
        FT_COLUMN(intercept_move)[k + l] = update * decay;
        FT_COLUMN(square)[k + l] += (double)move * (2 * (double)dot[l] + (double)move * square);
        steps->move[r][l] = move;
    }
}

/* sgd_average_step of panel p's slots at once, after their step at time t on row r. */
FT_INLINE void FT(sgd_average_of_panel)(const ft_sgd *s, ft_size n, double *c, ft_size p, int r, double t)
{
    FT(sgd_panel_steps) *steps = FT(panel_steps)(s, p);
    const ft_size k = p * FT_LANE_BLOCK;
    FT_OF_PANEL(l) {
        const double start = FT_COLUMN(average)[k + l], averaged = start > 0 && start <= t ? 1 : 0;
        const double number = averaged > 0 ? t - start + 1 : 1, count = (FT_REAL)number, mu = 1.0 / count;
        const double a = FT_COLUMN(average_a)[k + l], intercept = FT_COLUMN(average_intercept)[k + l];
        const double b = FT_COLUMN(average_b)[k + l] / (count > 1 ? 1.0 - mu : 1.0);
        const double now = FT_COLUMN(intercept)[k + l] + FT_COLUMN(intercept_move)[k + l];
        const double update = (FT_REAL)FT_COLUMN(update)[k + l];
        steps->average_move[r][l] = (FT_REAL)(averaged * a * (-update * steps->inverse[r][l]));
        FT_COLUMN(average_b)[k + l] = b;
        FT_COLUMN(average_a)[k + l] = a + averaged * mu * b * steps->wscale[r][l];
        FT_COLUMN(average_intercept)[k + l] = intercept + averaged * (now - intercept) / number;
    }
}

/* The steps of every slot on rows first .. count, but for the weights. */
static __attribute__((noinline)) void FT(sgd_steps_together)(const ft_sgd *s, ft_size n, double *c, int first, int count,
                                                             const FT(sgd_rows_together) *rows, double t)
{
    const double decay = s->fit_intercept ? s->intercept_decay : 0;
    const ft_size panels = (s->n_slots + FT_LANE_BLOCK - 1) / FT_LANE_BLOCK;
#define FT_SGD_PANEL_KIND(name)                                                                                   \
    case FT_LOSS_##name:                                                                                          \
        for (int r = first; r < count; r++)                                                                       \
            for (ft_size p = 0; p < panels; p++) {                                                                \
                FT(sgd_step_of_panel)(s, n, c, p, r, rows, FT_LOSS_##name, decay);                                \
                if (s->with_average)                                                                              \
                    FT(sgd_average_of_panel)(s, n, c, p, r, t + r);                                               \
            }                                                                                                     \
        break;
    switch (s->loss) {
        FT_SGD_PANEL_KIND(binary_crossentropy)
        FT_SGD_PANEL_KIND(hinge)
        FT_SGD_PANEL_KIND(squared_hinge)
        FT_SGD_PANEL_KIND(modified_huber)
        FT_SGD_PANEL_KIND(half_squared_error)
        FT_SGD_PANEL_KIND(huber)
        FT_SGD_PANEL_KIND(epsilon_insensitive)
        FT_SGD_PANEL_KIND(squared_epsilon_insensitive)
        FT_SGD_PANEL_KIND(quantile)
        FT_SGD_PANEL_KIND(poisson)
    default:
        break;
    }
#undef FT_SGD_PANEL_KIND
#undef FT_SGD_PANEL_LOSS
}

typedef struct {
    FT(vector) move, u, wscale, inverse;
} FT(sgd_lane_step);

/* A feature's weights in a panel, moved and cut; the norms are of those before the cut. */
FT_INLINE FT(vector) FT(sgd_cut_line)(FT_REAL *weights, FT_REAL *penalties, FT_REAL x, const FT(sgd_lane_step) *step,
                                      FT(vector) *squares, FT(vector) *absolutes)
{
    const FT(vector) v = FT(load)(weights) + step->move * x, had = FT(load)(penalties);
    const FT(vector) left = v - FT(sgd_cut)(v, had, step->u, step->inverse);
    *squares += v * v;
    *absolutes += FT(absolute)(v);
    /* what was taken is what is missing after the rounding */
    FT(store)(penalties, had + step->wscale * (left - v));
    FT(store)(weights, left);
    return left;
}

/* Moves panel p's weights by row r of those together, cuts them, and takes their products with the row after it. The norms of
 * the objective are those of the last real move, before its cut, as scikit-learn's are. */
static __attribute__((noinline)) void FT(sgd_panel_cut)(const ft_sgd *s, ft_size n, double *c, ft_size p, int r,
                                                        const FT_REAL *x, const FT_REAL *next, FT_REAL *dot_out)
{
    const FT(sgd_panel_steps) *steps = FT(panel_steps)(s, p);
    FT_REAL *panel = FT(panel)(s, p), *penalties = FT(penalty_panel)(s, p);
    const ft_size k = p * FT_LANE_BLOCK, features = s->n_features;
    FT_REAL scales[3][64 / sizeof(FT_REAL)], norms[2][64 / sizeof(FT_REAL)];
    FT_OF_PANEL(l) {
        scales[0][l] = (FT_REAL)steps->u[r][l];
        scales[1][l] = (FT_REAL)steps->wscale[r][l];
        scales[2][l] = (FT_REAL)steps->inverse[r][l];
    }
    for (int u = 0; u < FT_PANEL_VECTORS; u++) {
        const FT(sgd_lane_step) step = {FT(load)(steps->move[r] + u * FT_LANES), FT(load)(scales[0] + u * FT_LANES),
                                        FT(load)(scales[1] + u * FT_LANES), FT(load)(scales[2] + u * FT_LANES)};
        FT_REAL *line = panel + u * FT_LANES, *had = penalties + u * FT_LANES;
        FT(vector) even = {0}, odd = {0}, squares = {0}, absolutes = {0};
        ft_size j = 0;
#define FT_LINE_PRODUCT(j)                                                                                        \
    (next[j] * FT(sgd_cut_line)(line + (j) * FT_LANE_BLOCK, had + (j) * FT_LANE_BLOCK, x[j], &step, &squares, &absolutes))
        for (; j + 2 <= features; j += 2) {
            even += FT_LINE_PRODUCT(j);
            odd += FT_LINE_PRODUCT(j + 1);
        }
        if (j < features)
            even += FT_LINE_PRODUCT(j);
#undef FT_LINE_PRODUCT
        FT(store)(dot_out + u * FT_LANES, even + odd);
        FT(store)(norms[0] + u * FT_LANES, squares);
        FT(store)(norms[1] + u * FT_LANES, absolutes);
    }
    FT_OF_PANEL(l) {
        const int moved = FT_COLUMN(update)[k + l] != 0;
        FT_COLUMN(square)[k + l] = ft_sgd_select(moved, norms[0][l], FT_COLUMN(square)[k + l]);
        FT_COLUMN(absolute)[k + l] = ft_sgd_select(moved, norms[1][l], FT_COLUMN(absolute)[k + l]);
        FT_COLUMN(u)[k + l] = steps->u[r][l];
    }
}

/* The rows' steps one after the other, each with its pass over the panels; `next` is the row after them. */
static void FT(sgd_steps_cut)(const ft_sgd *s, ft_size n, double *c, int count, const FT(sgd_rows_together) *rows,
                              const FT_REAL *next, double t)
{
    for (int r = 0; r < count; r++) {
        const int last = r + 1 == count;
#pragma GCC ivdep
        for (ft_size k = 0; k < n; k++)
            FT_COLUMN(sum_absolute)[k] += FT_COLUMN(absolute)[k] * FT_COLUMN(wscale)[k];
        FT(sgd_steps_together)(s, n, c, r, r + 1, rows, t);
        for (ft_size p = 0; p * FT_LANE_BLOCK < s->n_slots; p++)
            FT(sgd_panel_cut)(s, n, c, p, r, rows->x[r], last ? next : rows->x[r + 1],
                              FT(panel_steps)(s, p)->dot[last ? 0 : r + 1]);
    }
}
#undef FT_OF_PANEL

/* Steps on up to FT_SGD_TOGETHER rows; behind their numbers stands that of the next row. */
static void FT(sgd_take_together)(const ft_sgd *s, ft_size n, double *c, const int32_t *numbers, int count, double t,
                                  const FT(tail) *tail)
{
    const ft_size features = s->n_features, slots = s->n_slots;
    FT(sgd_rows_together) rows;
    int safe = 1;
    for (int r = 0; r < FT_SGD_TOGETHER; r++)
        rows.x[r] = FT(dense_row)(&s->X, numbers[r < count ? r : 0], features, s->stride);
    for (ft_size p = 0; p * FT_LANE_BLOCK < slots; p++)
        safe &= FT(sgd_plan_together)(s, n, c, p, numbers, count, t);
    /* a slot that stands still must not take a product that is infinite times 0 */
    if (s->with_l1)
        memset(rows.product, 0, sizeof rows.product);
    else
        safe &= FT(sgd_row_products)(&rows, features, tail);
    if (!safe && count > 1) {
        for (int r = 0; r < count; r++)
            FT(sgd_take_together)(s, n, c, numbers + r, 1, t + r, tail);
        return;
    }
    if (!s->with_l1)
        for (ft_size p = 0; p * FT_LANE_BLOCK < slots; p++)
            FT(sgd_panel_products)(FT(panel)(s, p), &rows, features, FT(panel_steps)(s, p));
    if (!safe)
        FT(sgd_reset_lanes)(s, n, c);
    if (s->with_l1)
        FT(sgd_steps_cut)(s, n, c, count, &rows, FT(dense_row)(&s->X, numbers[count], features, s->stride), t);
    else
        FT(sgd_steps_together)(s, n, c, 0, count, &rows, t);
    for (ft_size p = 0; p * FT_LANE_BLOCK < slots; p++) {
        FT(sgd_panel_steps) *steps = FT(panel_steps)(s, p);
        for (int r = count; r < FT_SGD_TOGETHER; r++)
            memset(steps->move[r], 0, sizeof steps->move[r]);
        if (!s->with_l1)
            FT(sgd_panel_moves)(FT(panel)(s, p), &rows, features, steps->move);
        if (s->with_average) {
            for (int r = count; r < FT_SGD_TOGETHER; r++)
                memset(steps->average_move[r], 0, sizeof steps->average_move[r]);
            FT(sgd_panel_moves)(FT(average_panel)(s, p), &rows, features, steps->average_move);
        }
    }
    if (!safe && !s->with_l1)
        FT(sgd_panel_norms)(s, n, c);
}

/* The products of the weights with the row that an epoch begins with. */
static void FT(sgd_first_products)(const ft_sgd *s)
{
    FT(sgd_rows_together) rows;
    for (int r = 0; r < FT_SGD_TOGETHER; r++)
        rows.x[r] = FT(dense_row)(&s->X, s->training[s->position], s->n_features, s->stride);
    for (ft_size p = 0; p * FT_LANE_BLOCK < s->n_slots; p++)
        FT(sgd_panel_products)(FT(panel)(s, p), &rows, s->n_features, FT(panel_steps)(s, p));
}

/* The loop of dense fits in lockstep. Without L1 terms the norms of the objective follow from the products that
 * are there, |v + move x|^2 = |v|^2 + move (2 v . x + move |x|^2), and are taken afresh every FT_SGD_FLUSH_ROWS rows. A slice
 * begins at a multiple of FT_SGD_TOGETHER rows of the epoch, and ends at one or with the epoch. */
static __attribute__((noinline)) void FT(sgd_many_loop)(ft_sgd *s, ft_size end)
{
    const ft_size n = s->n_padded, features = s->n_features;
    double *c = s->columns;
    const FT(tail) tail = FT(tail_of)(features);
    const FT(sgd_row_lines) lines = FT(row_lines)(s);
    if (s->position == 0)
        FT(sgd_copy_panels)(s, n, c, 1);
    if (s->with_l1 ? s->epoch == 0 && s->position == 0 : s->position % FT_SGD_FLUSH_ROWS == 0)
        FT(sgd_panel_norms)(s, n, c);
    if (s->with_l1 && !s->has_dot)
        FT(sgd_first_products)(s);
    for (ft_size k = 0; k < n; k++)
        FT_COLUMN(intercept_move)[k] = 0;
    for (ft_size i = s->position; i < end; i += FT_SGD_TOGETHER) {
        const int count = end - i < FT_SGD_TOGETHER ? (int)(end - i) : FT_SGD_TOGETHER;
        for (int r = 0; r < FT_SGD_TOGETHER; r++)
            FT(prefetch_dense)(s, &lines, s->training, i + r);
        FT(sgd_take_together)(s, n, c, s->training + i, count, s->t, &tail);
        s->t += count;
    }
    for (ft_size k = 0; k < n; k++)
        FT_COLUMN(intercept)[k] += FT_COLUMN(intercept_move)[k];
    if (end == s->n_train)
        FT(sgd_copy_panels)(s, n, c, 0);
    s->has_dot = end < s->n_train;
    s->position = end;
}
