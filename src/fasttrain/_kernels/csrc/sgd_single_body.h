/* The loop of an ordinary dense fit without an L1 term: one model, rows in blocks.
 *
 * What a step needs and the weights do not decide (targets, step sizes, the scale of the weights) is worked out for a block
 * before its steps, and the values of the losses after them, both in vectors over the rows. */

#define FT_SGD_BLOCK 64
#define FT_SGD_MOST_VECTORS 16
/* Rows may have a product that is not finite where their products with the weights are, which are as small as the rows are
 * large. This is so far below the end of the numbers that a step size times the product is finite as well. */
#define FT_SGD_LARGEST_PRODUCT 1e200

/* The column table of a one-slot fit is walked as a local array, so that it can live in registers. */
#define FT_SGD_SINGLE_SLOT(call)                                                                                  \
    do {                                                                                                          \
        double local[FT_SGD_N_COLUMNS];                                                                           \
        double *c = local;                                                                                        \
        memcpy(local, s->columns, sizeof local);                                                                  \
        call;                                                                                                     \
        memcpy(s->columns, local, sizeof local);                                                                  \
    } while (0)

/* A block of steps, in order. */
typedef struct {
    double y[FT_SGD_BLOCK];
    double rate[FT_SGD_BLOCK];    /* update of the weights = rate * gradient */
    double wscale[FT_SGD_BLOCK];  /* after the step's shrinking */
    double inverse[FT_SGD_BLOCK]; /* 1 / wscale */
    double prediction[FT_SGD_BLOCK];
    ft_size length;
    ft_size reset;       /* the step whose wscale goes into the weights, which stands here as 1; -1 for none */
    double reset_wscale; /* what it would have been */
} FT(sgd_block);

/* Plans the steps on the `length` rows from position i on, or fewer: a reset ends the block. */
static __attribute__((noinline)) void FT(sgd_plan)(const ft_sgd *s, const double *c, FT(sgd_block) *block, ft_size i,
                                                   ft_size length, double t)
{
    const ft_size n = 1;
    const int32_t *rows = s->training + i;
    const FT_REAL *y = (const FT_REAL *)s->y, *sample_weight = (const FT_REAL *)s->sample_weight;
    const FT_REAL positive = (FT_REAL)FT_COLUMN(weight_positive)[0], negative = (FT_REAL)FT_COLUMN(weight_negative)[0];
    double step[FT_SGD_BLOCK], shrink[FT_SGD_BLOCK], wscale = FT_COLUMN(wscale)[0];
    for (ft_size j = 0; j < length; j++) {
        FT(prefetch_targets)(s, rows[FT_SGD_BLOCK + j]);
        block->y[j] = y[rows[j]];
    }
    for (ft_size j = 0; j < length; j++)
        block->rate[j] = ft_sgd_select(block->y[j] > 0, positive, negative);
    if (sample_weight)
        for (ft_size j = 0; j < length; j++)
            block->rate[j] = (FT_REAL)((FT_REAL)block->rate[j] * sample_weight[rows[j]]);
    const double eta = FT_COLUMN(eta)[0], eta_time = FT_COLUMN(eta_time)[0], eta_shift = FT_COLUMN(eta_shift)[0];
    const double eta_floor = FT_COLUMN(eta_floor)[0], power = FT_COLUMN(power_t)[0];
    if (power == power)
        for (ft_size j = 0; j < length; j++)
            step[j] = eta / FT(sgd_power)(t + (double)j, power);
    else
        for (ft_size j = 0; j < length; j++)
            step[j] = eta / (eta_time * (eta_shift + (t + (double)j) - 1) + eta_floor);
    const double l2_ratio = FT_COLUMN(l2_ratio)[0], alpha = FT_COLUMN(alpha)[0];
    for (ft_size j = 0; j < length; j++) {
        shrink[j] = (FT_REAL)ft_max_f64(1.0 - l2_ratio * step[j] * alpha, 0);
        block->rate[j] *= -step[j];
    }
    block->length = length;
    block->reset = -1;
    for (ft_size j = 0; j < length; j++) {
        wscale *= shrink[j];
        block->wscale[j] = wscale;
        if (__builtin_expect(wscale < FT_RESET_WSCALE, 0)) {
            block->reset = j;
            block->length = j + 1;
            block->reset_wscale = wscale;
            block->wscale[j] = 1;
            break;
        }
    }
    for (ft_size j = 0; j < length; j++)
        block->inverse[j] = 1 / block->wscale[j];
}

#define FT_SGD_BLOCK_LOSS(name)                                                                                   \
    case FT_LOSS_##name:                                                                                          \
        for (ft_size j = 0; j < block->length; j++)                                                               \
            value[j] = ft_##name##_f64(block->y[j], block->prediction[j], parameter);                             \
        break;

/* Sum of the losses of the block's predictions. */
static __attribute__((noinline)) double FT(sgd_block_loss)(const FT(sgd_block) *block, int loss, double parameter)
{
    double value[FT_SGD_BLOCK], sum = 0;
    switch (loss) {
        FT_SGD_BLOCK_LOSS(binary_crossentropy)
        FT_SGD_BLOCK_LOSS(hinge)
        FT_SGD_BLOCK_LOSS(squared_hinge)
        FT_SGD_BLOCK_LOSS(modified_huber)
        FT_SGD_BLOCK_LOSS(half_squared_error)
        FT_SGD_BLOCK_LOSS(huber)
        FT_SGD_BLOCK_LOSS(epsilon_insensitive)
        FT_SGD_BLOCK_LOSS(squared_epsilon_insensitive)
        FT_SGD_BLOCK_LOSS(quantile)
        FT_SGD_BLOCK_LOSS(poisson)
    default:
        return 0;
    }
    for (ft_size j = 0; j < block->length; j++)
        sum += value[j];
    return sum;
}

/* What a pass over the features finds. */
typedef struct {
    FT(vector) squares; /* of the weights, with the move of `before` */
    double dot;         /* weights . next, with the move of `before` */
    double cross;       /* now . next */
} FT(sgd_products);

/* w += move * before, and the products of the row `next` with the weights and with the row `now`. */
FT_INLINE FT(sgd_products) FT(sgd_single_pass)(FT_REAL *w, FT_REAL *aw, const FT_REAL *before, const FT_REAL *now,
                                               const FT_REAL *next, ft_size n, const FT(tail) *tail, FT_REAL move,
                                               FT_REAL average_move, const int average)
{
    FT(vector) dot0 = {0}, dot1 = {0}, cross0 = {0}, cross1 = {0}, squares0 = {0}, squares1 = {0};
    ft_size j = 0;
#define FT_PASS(at, behind, here, ahead, dot, cross, squares)                                                     \
    do {                                                                                                          \
        const FT(vector) before_ = (behind), next_ = (ahead);                                                     \
        const FT(vector) v_ = FT(load)(w + (at)) + move * before_;                                                \
        FT(store)(w + (at), v_);                                                                                  \
        dot += v_ * next_;                                                                                        \
        cross += (here) * next_;                                                                                  \
        squares += v_ * v_;                                                                                       \
        if (average)                                                                                              \
            FT(store)(aw + (at), FT(load)(aw + (at)) + average_move * before_);                                   \
    } while (0)
#define FT_PASS_AT(at, dot, cross, squares)                                                                       \
    FT_PASS(at, FT(load)(before + (at)), FT(load)(now + (at)), FT(load)(next + (at)), dot, cross, squares)
    for (; j + 4 * FT_LANES <= n; j += 4 * FT_LANES) {
        FT_PASS_AT(j, dot0, cross0, squares0);
        FT_PASS_AT(j + FT_LANES, dot1, cross1, squares1);
        FT_PASS_AT(j + 2 * FT_LANES, dot0, cross0, squares0);
        FT_PASS_AT(j + 3 * FT_LANES, dot1, cross1, squares1);
    }
    for (; j + FT_LANES <= n; j += FT_LANES)
        FT_PASS_AT(j, dot0, cross0, squares0);
    if (j < n)
        FT_PASS(j, FT(load_tail)(before, tail), FT(load_tail)(now, tail), FT(load_tail)(next, tail), dot1, cross1,
                squares1);
#undef FT_PASS_AT
#undef FT_PASS
    const FT(sgd_products) products = {squares0 + squares1, FT(sum)(dot0 + dot1), FT(sum)(cross0 + cross1)};
    return products;
}

/* The same with the weights, and as far as there is room the row `now`, in registers: n_vectors is a constant. */
#define FT_SGD_NOW_IN_REGISTERS(n_vectors) (2 * (n_vectors) + 6 <= (FT_VECTOR_BYTES == 64 ? 32 : 12))

FT_INLINE FT(sgd_products) FT(sgd_register_pass)(FT(vector) *w, FT(vector) *held, FT(vector) *before_tail,
                                                 const FT_REAL *before, const FT_REAL *now, const FT_REAL *next,
                                                 const FT(tail) *tail, FT_REAL move, const int n_vectors)
{
    FT(vector) dot[2] = {{0}, {0}}, cross[2] = {{0}, {0}}, squares[2] = {{0}, {0}};
#pragma GCC unroll 16
    for (int j = 0; j < n_vectors; j++) {
        const int last = j + 1 == n_vectors, in_register = last || FT_SGD_NOW_IN_REGISTERS(n_vectors);
        const FT(vector) ahead = last ? FT(load_tail)(next, tail) : FT(load)(next + j * FT_LANES);
        const FT(vector) here = in_register ? held[j] : FT(load)(now + j * FT_LANES);
        w[j] += move * (last ? *before_tail : FT(load)(before + j * FT_LANES));
        dot[j % 2] += w[j] * ahead;
        cross[j % 2] += here * ahead;
        squares[j % 2] += w[j] * w[j];
        if (last)
            *before_tail = here;
        if (in_register)
            held[j] = ahead;
    }
    const FT(sgd_products) products = {squares[0] + squares[1], FT(sum)(dot[0] + dot[1]), FT(sum)(cross[0] + cross[1])};
    return products;
}

/* (v + move x) . next, term by term as scikit-learn sums it: in double, whatever the weights are. */
static __attribute__((noinline, cold)) double FT(sgd_moved_dot)(const FT_REAL *v, const FT_REAL *x, const FT_REAL *next,
                                                                ft_size n, FT_REAL move)
{
    double sum = 0;
    for (ft_size j = 0; j < n; j++) {
        const FT_REAL moved = v[j] + move * x[j], term = moved * next[j];
        sum += ft_sgd_rounded(term, 1);
    }
    return sum;
}

/* What was before a block. */
typedef struct {
    FT_REAL *w;
    FT(vector) square_sums;
    const FT_REAL *before;
    double dot, intercept, wscale;
    FT_REAL move;
} FT(sgd_block_start);

/* Whether the predictions of a block, those of the last one behind them, and what follows them are. */
FT_INLINE int FT(sgd_is_finite)(const FT(sgd_block) *block, double dot, double prediction)
{
    typedef double doubles __attribute__((vector_size(FT_VECTOR_BYTES)));
    const ft_size lanes = FT_VECTOR_BYTES / (ft_size)sizeof(double);
    doubles zero[2] = {{0}, {0}};
#pragma GCC unroll 4
    for (ft_size j = 0; j < FT_SGD_BLOCK; j += 2 * lanes) {
        doubles p, q;
        memcpy(&p, block->prediction + j, sizeof p);
        memcpy(&q, block->prediction + j + lanes, sizeof q);
        zero[0] += p * 0;
        zero[1] += q * 0;
    }
    zero[0] += zero[1] + (dot + prediction) * 0;
    for (ft_size j = 1; j < lanes; j++)
        zero[0][0] += zero[0][j];
    return zero[0][0] == 0;
}

static void FT(sgd_single_careful)(ft_sgd *s, ft_size end);

/* The steps from `first` to `end`, which gave numbers that are not finite, from what was before them, with a look at each. */
static __attribute__((noinline, cold)) void FT(sgd_block_again)(ft_sgd *s, double *c, const FT(sgd_block_start) *start,
                                                               ft_size first, ft_size end)
{
    const ft_size n = 1;
    FT_REAL *w = (FT_REAL *)s->weights;
    for (ft_size j = 0; j < s->n_features; j++)
        w[j] = start->w[j] + start->move * start->before[j];
    FT(store)((FT_REAL *)s->lanes + 2 * FT_LANE_BLOCK, start->square_sums);
    FT_COLUMN(dot)[0] = start->dot;
    FT_COLUMN(intercept)[0] = start->intercept;
    FT_COLUMN(wscale)[0] = start->wscale;
    memcpy(s->columns, c, FT_SGD_N_COLUMNS * sizeof *c);
    s->position = first;
    s->has_dot = 1;
    FT(sgd_single_careful)(s, end);
    memcpy(c, s->columns, FT_SGD_N_COLUMNS * sizeof *c);
}

#define FT_SGD_GRADIENT(name, limit)                                                                              \
    case FT_LOSS_##name:                                                                                          \
        gradient = ft_##name##_gradient_f64(y, prediction, parameter);                                            \
        if (limit)                                                                                                \
            gradient = ft_clip_f64(gradient, -1e12, 1e12);                                                        \
        break;

/* The dot product of the weights with the next row is
 *     (v + move x) . next = v . next + move (x . next),
 * whose two products do not wait for the loss: from one prediction to the next there is only the loss, not a sum over
 * the features. v itself moves one step late, in the pass that takes the products. n_vectors is a constant: the vectors of
 * a row, when there are few enough to stay in registers, and otherwise 0. A block whose products are not all finite is taken
 * again with `careful`, a constant as well, which looks at the products of each row. */
FT_INLINE void FT(sgd_single_loop)(ft_sgd *s, ft_size end, double *c, const int average, const int n_vectors,
                                   const int careful)
{
    const ft_size n = 1, k = 0, features = s->n_features, stride = s->stride;
    const FT(tail) tail = FT(tail_of)(features);
    const int32_t *training = s->training;
    const int loss = s->loss, smooth = ft_sgd_is_smooth(loss);
    const int far = s->X.tail_start * features * (ft_size)sizeof(FT_REAL) > (1 << 19);
    const double parameter = FT_COLUMN(parameter)[k], decay = s->fit_intercept ? s->intercept_decay : 0;
    FT_REAL *w = (FT_REAL *)s->weights, *aw = average ? (FT_REAL *)s->averages : w, *lanes = (FT_REAL *)s->lanes;
    FT_REAL move = 0, average_move = 0;
    const FT_REAL *now = FT(dense_row)(&s->X, training[s->position], features, stride), *before = now;
    FT(vector) v[FT_SGD_MOST_VECTORS], held[FT_SGD_MOST_VECTORS], before_tail = FT(load_tail)(now, &tail);
#pragma GCC unroll 16
    for (int j = 0; j < n_vectors; j++) {
        v[j] = FT(load)(w + j * FT_LANES);
        held[j] = j + 1 == n_vectors ? before_tail : FT(load)(now + j * FT_LANES);
    }
    FT(vector) square_sums = FT(load)(lanes + 2 * FT_LANE_BLOCK);
    FT(sgd_block) block;
    FT(sgd_block_start) start;
    start.w = (FT_REAL *)s->panels;
    memset(block.prediction, 0, sizeof block.prediction);
    FT(sgd_products) products = {{0}, 0, 0};
    double dot = FT_COLUMN(dot)[k], intercept = FT_COLUMN(intercept)[k], wscale = FT_COLUMN(wscale)[k];
    if (!s->has_dot)
        dot = FT(dense_dot)(w, now, features, &tail);
    if (!(ft_abs_f64(dot) <= FT_SGD_LARGEST_PRODUCT))
        dot = FT(sgd_moved_dot)(w, now, now, features, 0);
    double prediction = (FT_REAL)(dot * wscale) + intercept;
    for (ft_size first = s->position; first < end; first += block.length) {
        FT(sgd_plan)(s, c, &block, first, end - first < FT_SGD_BLOCK ? end - first : FT_SGD_BLOCK, s->t);
        if (!careful) {
            if (n_vectors == 0)
                memcpy(start.w, w, (size_t)features * sizeof *w);
#pragma GCC unroll 16
            for (int j = 0; j < n_vectors; j++)
                FT(store)(start.w + j * FT_LANES, v[j]);
            start.before = before;
            start.move = move;
            start.dot = dot;
            start.intercept = intercept;
            start.wscale = wscale;
            start.square_sums = square_sums;
        }
        for (ft_size i = 0; i < block.length; i++) {
            const FT_REAL *next = FT(dense_row)(&s->X, training[first + i + 1], features, stride);
            const double y = block.y[i], rate = block.rate[i];
            double gradient = 0;
            if (far)
                FT(prefetch_rows)(s, training + first + i);
            block.prediction[i] = prediction;
            /* Before the pass, which has all it needs and fills the time that the loss takes; after it, the loss would
             * wait for a place in the processor's queue. */
            switch (loss) {
            case FT_LOSS_binary_crossentropy:
                gradient = FT(sgd_log_gradient)(y, prediction);
                break;
            case FT_LOSS_hinge:
                gradient = ft_sgd_where_up_to(y * prediction, parameter, -y);
                break;
            case FT_LOSS_squared_hinge: {
                const double inside = parameter - y * prediction;
                gradient = ft_clip_f64(-2 * y * ft_sgd_where_up_to(0, inside, inside), -1e12, 1e12);
                break;
            }
                FT_SGD_GRADIENT(modified_huber, 1)
                FT_SGD_GRADIENT(half_squared_error, 1)
                FT_SGD_GRADIENT(huber, 1)
                FT_SGD_GRADIENT(epsilon_insensitive, 0)
                FT_SGD_GRADIENT(squared_epsilon_insensitive, 1)
                FT_SGD_GRADIENT(quantile, 0)
                FT_SGD_GRADIENT(poisson, 1)
            default:
                break;
            }
            if (n_vectors > 0)
                products = FT(sgd_register_pass)(v, held, &before_tail, before, now, next, &tail, move, n_vectors);
            else
                products = FT(sgd_single_pass)(w, aw, before, now, next, features, &tail, move, average_move, average);
            square_sums += (FT_REAL)(wscale * wscale) * products.squares;
            if (__builtin_expect(i == block.reset, 0)) {
                products.dot *= block.reset_wscale;
                if (n_vectors > 0) {
#pragma GCC unroll 16
                    for (int j = 0; j < n_vectors; j++)
                        v[j] *= (FT_REAL)block.reset_wscale;
                } else {
                    FT_COLUMN(wscale)[k] = block.reset_wscale;
                    FT(sgd_reset_wscale)(s, 1, c, k);
                }
            }
            /* the sum is not finite where either product is not */
            if (careful && !(ft_abs_f64(products.dot + products.cross) <= FT_SGD_LARGEST_PRODUCT)) {
                products.dot = FT(sgd_moved_dot)(w, now, next, features, (FT_REAL)(gradient * (rate * block.inverse[i])));
                products.cross = 0;
            }
            wscale = block.wscale[i];
            const double intercept_rate = rate * decay, intercept_before = intercept;
            move = (FT_REAL)(gradient * (rate * block.inverse[i]));
            intercept = intercept_before + ft_sgd_rounded(gradient * intercept_rate, 1);
            if (average) {
                FT_COLUMN(wscale)[k] = wscale;
                FT_COLUMN(intercept)[k] = intercept;
                FT_COLUMN(update)[k] = gradient * rate;
                average_move = FT(sgd_average_step)(1, c, k, s->t + (double)i);
            }
            dot = products.dot + (double)move * products.cross;
            /* Where a prediction close by gives a gradient close by, all but one multiply-add is done before the gradient
             * is known. A loss with a corner takes the path that scikit-learn takes: its predictions can be on it. */
            if (smooth)
                prediction = (products.dot * wscale + intercept_before) + gradient * (rate * products.cross + intercept_rate);
            else
                prediction = (FT_REAL)(dot * wscale) + intercept;
            before = now;
            now = next;
        }
        if (!careful && __builtin_expect(!FT(sgd_is_finite)(&block, dot, prediction), 0)) {
            const ft_size behind = first + block.length;
            FT(sgd_block_again)(s, c, &start, first, behind);
            now = before = FT(dense_row)(&s->X, training[behind], features, stride);
            before_tail = FT(load_tail)(now, &tail);
#pragma GCC unroll 16
            for (int j = 0; j < n_vectors; j++) {
                v[j] = FT(load)(w + j * FT_LANES);
                held[j] = j + 1 == n_vectors ? before_tail : FT(load)(now + j * FT_LANES);
            }
            square_sums = FT(load)(lanes + 2 * FT_LANE_BLOCK);
            move = 0;
            dot = FT_COLUMN(dot)[k];
            intercept = FT_COLUMN(intercept)[k];
            wscale = FT_COLUMN(wscale)[k];
            prediction = (FT_REAL)(dot * wscale) + intercept;
            continue;
        }
        FT_COLUMN(wscale)[k] = wscale;
        FT_COLUMN(sum_loss)[k] += FT(sgd_block_loss)(&block, loss, parameter);
        s->t += (double)block.length;
    }
    if (n_vectors > 0) {
        products = FT(sgd_register_pass)(v, held, &before_tail, before, now, now, &tail, move, n_vectors);
#pragma GCC unroll 16
        for (int j = 0; j < n_vectors; j++)
            FT(store)(w + j * FT_LANES, v[j]);
    } else {
        FT(sgd_single_pass)(w, aw, before, now, now, features, &tail, move, average_move, average);
    }
    FT(store)(lanes + 2 * FT_LANE_BLOCK, square_sums);
    FT_COLUMN(dot)[k] = dot;
    FT_COLUMN(intercept)[k] = intercept;
    s->has_dot = end < s->n_train;
    s->position = end;
}

static __attribute__((noinline)) void FT(sgd_single_any)(ft_sgd *s, ft_size end)
{
    FT_SGD_SINGLE_SLOT(FT(sgd_single_loop)(s, end, c, 0, 0, 0));
}

static __attribute__((noinline, cold)) void FT(sgd_single_careful)(ft_sgd *s, ft_size end)
{
    FT_SGD_SINGLE_SLOT(FT(sgd_single_loop)(s, end, c, 0, 0, 1));
}

static __attribute__((noinline)) void FT(sgd_single_average)(ft_sgd *s, ft_size end)
{
    FT_SGD_SINGLE_SLOT(FT(sgd_single_loop)(s, end, c, 1, 0, 1));
}

/* The numbers of vectors that get a loop of their own. */
#if FT_VECTOR_BYTES == 64
#define FT_SGD_WIDTHS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15) X(16)
#else
#define FT_SGD_WIDTHS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)
#endif

#define FT_SGD_WIDTH(n_vectors)                                                                                   \
    static __attribute__((noinline)) void FT(sgd_single_##n_vectors)(ft_sgd *s, ft_size end)                      \
    {                                                                                                             \
        FT_SGD_SINGLE_SLOT(FT(sgd_single_loop)(s, end, c, 0, n_vectors, 0));                                         \
    }
FT_SGD_WIDTHS(FT_SGD_WIDTH)

static void FT(sgd_single)(ft_sgd *s, ft_size end)
{
    switch ((s->n_features + FT_LANES - 1) / FT_LANES) {
#define FT_SGD_WIDTH_CASE(n_vectors)                                                                              \
    case n_vectors:                                                                                               \
        FT(sgd_single_##n_vectors)(s, end);                                                                       \
        break;
        FT_SGD_WIDTHS(FT_SGD_WIDTH_CASE)
    default:
        FT(sgd_single_any)(s, end);
    }
}

#undef FT_SGD_WIDTH_CASE
#undef FT_SGD_WIDTH
#undef FT_SGD_WIDTHS
#undef FT_SGD_NOW_IN_REGISTERS
#undef FT_SGD_GRADIENT
#undef FT_SGD_LARGEST_PRODUCT
#undef FT_SGD_BLOCK_LOSS
