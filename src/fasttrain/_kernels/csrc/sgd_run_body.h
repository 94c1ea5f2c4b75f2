/* One slice of a fit: its phases, the end of an epoch, the end of a candidate. */

/* With an L1 term a step of a whole panel takes as long as those of half as many models one after the other. */
#define FT_SGD_DENSE_LOOP(name, l1, average)                                                                      \
    static __attribute__((noinline)) void FT(name)(ft_sgd *s, ft_size end)                                        \
    {                                                                                                             \
        if (s->n_padded == 1 && !(l1) && !s->aggressive)                                                          \
            average ? FT(sgd_single_average)(s, end) : FT(sgd_single)(s, end);                                    \
        else if (s->n_padded == 1)                                                                                \
            FT_SGD_SINGLE_SLOT(FT(sgd_dense_loop)(s, end, 1, 1, c, l1, average));                                 \
        else if (!s->aggressive && (!(l1) || 2 * s->n_candidates > FT_LANE_BLOCK))                                \
            FT(sgd_many_loop)(s, end);                                                                            \
        else                                                                                                      \
            FT(sgd_dense_loop)(s, end, s->n_slots, s->n_padded, s->columns, l1, average);                         \
    }
FT_SGD_DENSE_LOOP(sgd_dense, 0, 0)
FT_SGD_DENSE_LOOP(sgd_dense_l1, 1, 0)
FT_SGD_DENSE_LOOP(sgd_dense_average, 0, 1)
FT_SGD_DENSE_LOOP(sgd_dense_l1_average, 1, 1)

#define FT_SGD_SPARSE_LOOP(name, wide)                                                                            \
    static __attribute__((noinline)) void FT(name)(ft_sgd *s, ft_size end)                                        \
    {                                                                                                             \
        FT_SGD_SINGLE_SLOT(FT(sgd_sparse_loop)(s, end, c, wide));                                                 \
    }
FT_SGD_SPARSE_LOOP(sgd_sparse32, 0)
FT_SGD_SPARSE_LOOP(sgd_sparse64, 1)

static void FT(sgd_rows)(ft_sgd *s, ft_size end)
{
    if (s->X.indptr && s->n_padded > 1)
        FT(sgd_lines)(s, end);
    else if (s->X.indptr)
        s->X.indices64 ? FT(sgd_sparse64)(s, end) : FT(sgd_sparse32)(s, end);
    else if (s->with_l1 && s->with_average)
        FT(sgd_dense_l1_average)(s, end);
    else if (s->with_l1)
        FT(sgd_dense_l1)(s, end);
    else if (s->with_average)
        FT(sgd_dense_average)(s, end);
    else
        FT(sgd_dense)(s, end);
}

/* Scores of rows position .. end of the validation set, summed. */
static void FT(sgd_score)(ft_sgd *s, ft_size end)
{
    const ft_size n = s->n_padded, features = s->n_features;
    double *c = s->columns;
    const FT(tail) tail = FT(tail_of)(features);
    const ft_sgd_rows *rows = &s->X_score;
    for (ft_size row = s->position; row < end; row++) {
        const double weight = s->score_weight ? ((const FT_REAL *)s->score_weight)[row] : 1;
        if (FT(sgd_interleaved)(s))
            FT(lines_products)(s, rows, row);
        for (ft_size k = 0; k < s->n_slots; k++) {
            const ft_size candidate = FT_CANDIDATE(k);
            const FT_REAL *w = (const FT_REAL *)s->weights + candidate * s->stride;
            double dot;
            if (FT(sgd_interleaved)(s)) {
                dot = FT_COLUMN(prediction)[k];
            } else if (rows->indptr) {
                const ft_size start = rows->indptr[row], nnz = rows->indptr[row + 1] - start;
                const FT_REAL *x = (const FT_REAL *)rows->values + start;
                dot = rows->indices64 ? FT(sparse_dot)(w, x, NULL, rows->indices64 + start, nnz, 1)
                                      : FT(sparse_dot)(w, x, rows->indices32 + start, NULL, nnz, 0);
            } else {
                dot = FT(dense_dot)(w, FT(dense_row)(rows, row, features, s->stride), features, &tail);
            }
            double p = dot * (s->score_unscaled ? 1 : FT_COLUMN(wscale)[k]) + FT_COLUMN(intercept)[k];
            if (s->score_kind == FT_SGD_R2_EXPONENTIAL)
                p = exp(p);
            const double y = ((const FT_REAL *)s->y_score)[s->y_score_stride * candidate + row];
            if (s->score_kind == FT_SGD_ACCURACY)
                FT_COLUMN(score)[k] += (p > 0 ? 1 : -1) == y ? weight : 0;
            else
                FT_COLUMN(score)[k] += weight * (y - p) * (y - p);
        }
    }
    s->position = end;
}

static int FT(sgd_finite)(const ft_sgd *s, ft_size n, const double *c, ft_size k)
{
    const FT_REAL *w = (const FT_REAL *)s->weights + FT_SGD_FIRST(k);
    const ft_size spacing = FT(sgd_spacing)(s, k);
    FT_REAL zero = 0;
    /* Of CSR rows only the weights that moved can have left the finite numbers, and a sum of squares says when to look. */
    if (!s->X.indptr || FT_COLUMN(check)[k] != 0)
        for (ft_size j = 0; j < s->n_features; j++)
            zero += w[j * spacing] * 0;
    return isfinite(FT_COLUMN(intercept)[k]) && zero == 0;
}

/* Ends the epoch of slot k; 1 when its candidate has ended its training. */
static int FT(sgd_end_epoch)(ft_sgd *s, ft_size n, double *c, ft_size k)
{
    const ft_size candidate = FT_CANDIDATE(k);
    const double objective = (FT_COLUMN(sum_loss)[k] + FT_COLUMN(sum_penalty)[k]) / (double)s->n_train;
    const ft_size at = candidate * s->history_capacity + s->history_length;
    s->loss_history[at] = FT_COLUMN(sum_loss)[k] / (double)s->n_train;
    s->objective_history[at] = objective;
    double score = NAN;
    if (s->score_kind == FT_SGD_ACCURACY)
        score = FT_COLUMN(score)[k] / s->score_total[candidate];
    else if (s->score_kind)
        score = s->score_total[candidate] > 0 ? 1 - FT_COLUMN(score)[k] / s->score_total[candidate]
                                              : (FT_COLUMN(score)[k] == 0 ? 1 : 0);
    if (s->score_kind >= FT_SGD_R2 && s->n_score < 2)
        score = NAN;
    s->score_history[at] = score;
    FT_COLUMN(sum_loss)[k] = FT_COLUMN(sum_penalty)[k] = FT_COLUMN(score)[k] = 0;
    s->n_iter[candidate] = (int32_t)(s->epoch + 1);
    if (!FT(sgd_finite)(s, n, c, k)) {
        s->status[candidate] = FT_SGD_STATUS_NOT_FINITE;
        return 1;
    }
    const double tol = FT_COLUMN(tol)[k];
    int worse;
    if (s->stop_on_score) {
        worse = tol > -INFINITY && score < FT_COLUMN(best)[k] + tol;
        if (score > FT_COLUMN(best)[k])
            FT_COLUMN(best)[k] = score;
    } else {
        worse = tol > -INFINITY && objective > FT_COLUMN(best)[k] - tol;
        if (objective < FT_COLUMN(best)[k])
            FT_COLUMN(best)[k] = objective;
    }
    FT_COLUMN(no_improvement)[k] = worse ? FT_COLUMN(no_improvement)[k] + 1 : 0;
    if (FT_COLUMN(no_improvement)[k] >= FT_COLUMN(n_iter_no_change)[k]) {
        if (!(FT_COLUMN(adaptive)[k] > 0 && FT_COLUMN(eta)[k] > 1e-6)) {
            s->converged[candidate] = 1;
            return 1;
        }
        FT_COLUMN(eta)[k] /= 5;
        FT_COLUMN(no_improvement)[k] = 0;
    }
    return (double)(s->epoch + 1) >= FT_COLUMN(max_iter)[k];
}

/* Of arrays whose slots are lanes. */
static void FT(sgd_swap_lanes)(const ft_sgd *s, ft_size n, const double *c, FT_REAL *lanes, ft_size a, ft_size b)
{
    const ft_size a_spacing = FT(sgd_spacing)(s, a), b_spacing = FT(sgd_spacing)(s, b);
    FT_REAL *first = lanes + FT_SGD_FIRST(a), *second = lanes + FT_SGD_FIRST(b);
    if (a == b)
        return;
    for (ft_size j = 0; j < s->n_features; j++) {
        const FT_REAL held = first[j * a_spacing];
        first[j * a_spacing] = second[j * b_spacing];
        second[j * b_spacing] = held;
    }
}

/* Hands the candidate in slot k back and changes the slot with the last one in use. */
static void FT(sgd_retire)(ft_sgd *s, ft_size n, double *c, ft_size k)
{
    const ft_size candidate = FT_CANDIDATE(k);
    FT(sgd_write_scale)(s, FT_SGD_FIRST(k), FT(sgd_spacing)(s, k), FT_COLUMN(wscale)[k], FT_COLUMN(average_a)[k],
                        FT_COLUMN(average_b)[k]);
    s->intercepts[candidate] = FT_COLUMN(intercept)[k];
    s->average_intercepts[candidate] = FT_COLUMN(average_intercept)[k];
    s->n_slots -= 1;
    for (ft_size column = 0; column < FT_SGD_N_COLUMNS; column++) {
        const double held = c[column * n + k];
        c[column * n + k] = c[column * n + s->n_slots];
        c[column * n + s->n_slots] = held;
    }
    if (FT(sgd_interleaved)(s)) {
        FT(sgd_swap_lanes)(s, n, c, (FT_REAL *)s->weights, k, s->n_slots);
        if (s->with_average)
            FT(sgd_swap_lanes)(s, n, c, (FT_REAL *)s->averages, k, s->n_slots);
        if (s->with_l1)
            FT(sgd_swap_lanes)(s, n, c, (FT_REAL *)s->q, k, s->n_slots);
    }
}

/* Prepares the norms of the initial weights; those of one model are spread over its lanes. */
static void FT(sgd_begin)(ft_sgd *s)
{
    const ft_size n = s->n_padded;
    double *c = s->columns;
    if (!s->with_start)
        return;
    if (s->X.indptr) {
        for (ft_size k = 0; k < s->n_slots; k++)
            for (ft_size j = 0; j < s->n_features; j++) {
                const double v = ((const FT_REAL *)s->weights)[FT_SGD_FIRST(k) + j * FT(sgd_spacing)(s, k)];
                FT_COLUMN(square)[k] += v * v;
                FT_COLUMN(absolute)[k] += v < 0 ? -v : v;
            }
        return;
    }
    for (ft_size k = 0; k < s->n_slots; k++) {
        const FT_REAL *w = (const FT_REAL *)s->weights + FT_CANDIDATE(k) * s->stride;
        FT_REAL *lanes = FT(lanes_of)(s, FT_CANDIDATE(k));
        for (ft_size j = 0; j < s->n_features; j++) {
            lanes[j % FT_LANES] += w[j] * w[j];
            lanes[FT_LANE_BLOCK + j % FT_LANES] += w[j] < 0 ? -w[j] : w[j];
        }
    }
}

FT_INLINE ft_size FT(sgd_slice_end)(ft_size position, ft_size end, double *work, double work_per_row)
{
    ft_size rows = *work > 0 ? (ft_size)(*work / work_per_row) + 1 : 1;
    rows = (rows + FT_SGD_TOGETHER - 1) / FT_SGD_TOGETHER * FT_SGD_TOGETHER;
    if (rows > end - position)
        rows = end - position;
    *work -= (double)rows * work_per_row;
    return position + rows;
}

/* Where the next part of an epoch ends. A fit of one model has its parts at the same rows whatever came before, because each
 * begins with a prediction of its own rounding. */
FT_INLINE ft_size FT(sgd_part_end)(const ft_sgd *s, double *work)
{
    const double work_per_row = s->work_per_row * (double)s->n_slots;
    /* The flush after each part keeps sums of float lanes, and the product of the log loss, in range. */
    const ft_size part = (s->position / FT_SGD_FLUSH_ROWS + 1) * FT_SGD_FLUSH_ROWS;
    double whole = FT_SGD_WORK;
    return FT(sgd_slice_end)(s->position, part < s->n_train ? part : s->n_train, s->n_padded == 1 ? &whole : work,
                             work_per_row);
}

FT_INLINE void FT(sgd_end_part)(ft_sgd *s)
{
    FT(sgd_flush)(s, s->n_padded, s->columns);
    if (s->position == s->n_train) {
        s->phase = s->score_kind ? FT_SGD_SCORE : FT_SGD_END;
        s->position = 0;
    }
}

/* A phase, or as much of it as there is work for. */
static int FT(sgd_phase)(ft_sgd *s, double *work)
{
    const ft_size n = s->n_padded;
    double *c = s->columns;
    switch (s->phase) {
    case FT_SGD_BEGIN:
        FT(sgd_begin)(s);
        s->phase = s->shuffle ? FT_SGD_DRAW : FT_SGD_ORDER;
        s->position = 0;
        break;
    case FT_SGD_DRAW: {
        const ft_size end = FT(sgd_slice_end)(s->position, s->n_rows - 1, work, 8);
        ft_sgd_draw(s->shuffling, s->n_rows, s->position, end, &s->seed);
        s->position = end;
        if (end == s->n_rows - 1) {
            s->phase = FT_SGD_ORDER;
            s->position = s->n_training = 0;
        }
        break;
    }
    case FT_SGD_ORDER: {
        const ft_size end = FT(sgd_slice_end)(s->position, s->n_rows, work, 4);
        ft_sgd_next_order(s, s->position, end);
        s->position = end;
        if (end == s->n_rows) {
            if (s->shuffle) {
                int32_t *order = s->previous;
                s->previous = s->order;
                s->order = order;
            }
            if (!s->mask)
                s->training = s->order;
            s->phase = FT_SGD_ROWS;
            s->position = 0;
            s->has_dot = 0;
        }
        break;
    }
    case FT_SGD_ROWS: {
        const ft_size before = s->position, end = FT(sgd_part_end)(s, work);
        FT(sgd_rows)(s, end);
        if (n == 1)
            *work -= (double)(end - before) * s->work_per_row;
        FT(sgd_end_part)(s);
        break;
    }
    case FT_SGD_SCORE: {
        const ft_size end = FT(sgd_slice_end)(s->position, s->n_score, work, s->work_per_row * (double)s->n_slots);
        FT(sgd_score)(s, end);
        if (end == s->n_score)
            s->phase = FT_SGD_END;
        break;
    }
    case FT_SGD_END:
        for (ft_size k = s->n_slots - 1; k >= 0; k--)
            if (FT(sgd_end_epoch)(s, n, c, k))
                FT(sgd_retire)(s, n, c, k);
        s->history_length += 1;
        s->epoch += 1;
        s->phase = FT_SGD_ORDER;
        s->position = s->n_training = 0;
        if (s->n_slots == 0)
            return FT_SGD_FINISHED;
        if (s->pause_each_epoch || s->history_length == s->history_capacity)
            return FT_SGD_PAUSED;
        break;
    default:
        return FT_SGD_FINISHED;
    }
    return FT_SGD_RUNNING;
}

static int FT(sgd_run)(ft_sgd *s, double work)
{
    int state = FT_SGD_RUNNING;
    while (work > 0 && state == FT_SGD_RUNNING)
        state = FT(sgd_phase)(s, &work);
    return state;
}

static void FT(sgd_run_pair)(ft_sgd *const *fits, int *state_io, double work)
{
    double left[2] = {work, work};
    while (left[0] > 0 && left[1] > 0) {
        ft_size end[2];
        for (int k = 0; k < 2; k++)
            if (fits[k]->phase != FT_SGD_ROWS) {
                state_io[k] = FT(sgd_phase)(fits[k], &left[k]);
                if (state_io[k] != FT_SGD_RUNNING)
                    return;
            }
        if (fits[0]->phase != FT_SGD_ROWS || fits[1]->phase != FT_SGD_ROWS)
            continue;
        for (int k = 0; k < 2; k++) {
            end[k] = FT(sgd_part_end)(fits[k], &left[k]);
            left[k] -= (double)(end[k] - fits[k]->position) * fits[k]->work_per_row;
        }
        FT(sgd_pair)(fits[0], fits[1], end[0], end[1]);
        FT(sgd_end_part)(fits[0]);
        FT(sgd_end_part)(fits[1]);
    }
}
