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
    double whole[FT_SGD_BLOCK];   /* of the log loss: 1 + e^-|prediction| */
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

/* Sum of the losses of the block's predictions. The log loss leaves its logarithms to the flush, as one of a product. */
static __attribute__((noinline)) double FT(sgd_block_loss)(const FT(sgd_block) *block, int loss, double parameter,
                                                           double *product_io)
{
    double value[FT_SGD_BLOCK], product[8] = {1, 1, 1, 1, 1, 1, 1, 1}, sum = 0;
    switch (loss) {
    case FT_LOSS_binary_crossentropy:
        for (ft_size j = 0; j < block->length; j++)
            value[j] = ft_max_f64((1 - 2 * block->y[j]) * block->prediction[j], 0);
        for (ft_size j = 0; j < block->length; j += 8)
            for (ft_size i = 0; i < 8; i++)
                product[i] *= j + i < block->length ? block->whole[j + i] : 1;
        for (ft_size i = 0; i < 8; i++)
            *product_io *= product[i];
        break;
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

/* The same with the weights, and as far as there is room for it with so many fits side by side the row `now`, in registers:
 * n_vectors and company are constants. */
#define FT_SGD_NOW_IN_REGISTERS(n_vectors, company)                                                               \
    ((company) * (2 * (n_vectors) + 6) <= (FT_VECTOR_BYTES == 64 ? 32 : 12))

FT_INLINE FT(sgd_products) FT(sgd_register_pass)(FT(vector) *w, FT(vector) *held, FT(vector) *before_tail,
                                                 const FT_REAL *before, const FT_REAL *now, const FT_REAL *next,
                                                 const FT(tail) *tail, FT_REAL move, const int n_vectors,
                                                 const int company)
{
    FT(vector) dot[2] = {{0}, {0}}, cross[2] = {{0}, {0}}, squares[2] = {{0}, {0}};
#pragma GCC unroll 16
    for (int j = 0; j < n_vectors; j++) {
        const int last = j + 1 == n_vectors, in_register = last || FT_SGD_NOW_IN_REGISTERS(n_vectors, company);
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

/* A fit on its way: the dot product of the weights with the next row is
 *     (v + move x) . next = v . next + move (x . next),
 * whose two products do not wait for the loss: from one prediction to the next there is only the loss, not a sum over
 * the features. v itself moves one step late, in the pass that takes the products. */
typedef struct {
    FT(vector) v[FT_SGD_MOST_VECTORS], held[FT_SGD_MOST_VECTORS], before_tail, square_sums;
    const FT_REAL *before, *now;
    double dot, intercept, wscale, prediction;
    FT_REAL move, average_move;
} FT(sgd_chain);

/* What does not change on the way. n_vectors is a constant: the vectors of a row, when there are few enough to stay in
 * registers, and otherwise 0. */
typedef struct {
    FT(tail) tail;
    FT(sgd_row_lines) lines;
    ft_size least_lines;
    int far; /* rows are asked for before they are needed */
    double parameter, decay;
} FT(sgd_road);

FT_INLINE FT(sgd_road) FT(sgd_road_of)(const ft_sgd *s, const double *c, const int n_vectors)
{
    const ft_size n = 1;
    const FT(sgd_road) road = {
        FT(tail_of)(s->n_features),
        FT(row_lines)(s),
        n_vectors > 0 ? (n_vectors - 1) * FT_VECTOR_BYTES / 64 + 1 : 0,
        s->X.tail_start * s->n_features * (ft_size)sizeof(FT_REAL) > (1 << 19),
        FT_COLUMN(parameter)[0],
        s->fit_intercept ? s->intercept_decay : 0,
    };
    return road;
}

/* Stands before the row at `position`; dot, intercept and wscale are those of the columns. */
FT_INLINE void FT(sgd_chain_load)(FT(sgd_chain) *chain, const ft_sgd *s, const double *c, const FT(sgd_road) *road,
                                  ft_size position, const int n_vectors)
{
    const ft_size n = 1;
    const FT_REAL *w = (const FT_REAL *)s->weights;
    chain->now = chain->before = FT(dense_row)(&s->X, s->training[position], s->n_features, s->stride);
    chain->before_tail = FT(load_tail)(chain->now, &road->tail);
#pragma GCC unroll 16
    for (int j = 0; j < n_vectors; j++) {
        chain->v[j] = FT(load)(w + j * FT_LANES);
        chain->held[j] = j + 1 == n_vectors ? chain->before_tail : FT(load)(chain->now + j * FT_LANES);
    }
    chain->square_sums = FT(load)((const FT_REAL *)s->lanes + 2 * FT_LANE_BLOCK);
    chain->move = chain->average_move = 0;
    chain->dot = FT_COLUMN(dot)[0];
    chain->intercept = FT_COLUMN(intercept)[0];
    chain->wscale = FT_COLUMN(wscale)[0];
}

FT_INLINE void FT(sgd_chain_begin)(FT(sgd_chain) *chain, const ft_sgd *s, const double *c, const FT(sgd_road) *road,
                                   const int n_vectors)
{
    const FT_REAL *w = (const FT_REAL *)s->weights;
    FT(sgd_chain_load)(chain, s, c, road, s->position, n_vectors);
    if (!s->has_dot)
        chain->dot = FT(dense_dot)(w, chain->now, s->n_features, &road->tail);
    if (!(ft_abs_f64(chain->dot) <= FT_SGD_LARGEST_PRODUCT))
        chain->dot = FT(sgd_moved_dot)(w, chain->now, chain->now, s->n_features, 0);
}

/* Plans the rows from `first` on. A block begins alike wherever the chain was cut before it. */
FT_INLINE void FT(sgd_chain_plan)(FT(sgd_chain) *chain, const ft_sgd *s, const double *c, FT(sgd_block) *block,
                                  FT(sgd_block_start) *start, ft_size first, ft_size end, const int n_vectors,
                                  const int careful)
{
    FT(sgd_plan)(s, c, block, first, end - first < FT_SGD_BLOCK ? end - first : FT_SGD_BLOCK, s->t);
    chain->prediction = (FT_REAL)(chain->dot * chain->wscale) + chain->intercept;
    if (careful)
        return;
    start->w = (FT_REAL *)s->panels;
    if (n_vectors == 0)
        memcpy(start->w, s->weights, (size_t)s->n_features * sizeof(FT_REAL));
#pragma GCC unroll 16
    for (int j = 0; j < n_vectors; j++)
        FT(store)(start->w + j * FT_LANES, chain->v[j]);
    start->before = chain->before;
    start->move = chain->move;
    start->dot = chain->dot;
    start->intercept = chain->intercept;
    start->wscale = chain->wscale;
    start->square_sums = chain->square_sums;
}

/* The slope of the loss at the prediction for row i of the block that begins with order[0]. */
FT_INLINE double FT(sgd_chain_gradient)(const FT(sgd_chain) *chain, const FT(sgd_road) *road, FT(sgd_block) *block,
                                        const int32_t *order, ft_size i, const int loss)
{
    const double parameter = road->parameter, y = block->y[i], prediction = chain->prediction;
    double gradient = 0;
    if (road->far)
        FT(prefetch_rows)(&road->lines, order + i, road->least_lines);
    block->prediction[i] = prediction;
    switch (loss) {
    case FT_LOSS_binary_crossentropy:
        gradient = FT(sgd_log_gradient)(y, prediction, &block->whole[i]);
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
    return gradient;
}

/* The products of the row after row i, for which the weights make the move of the row before it. */
FT_INLINE FT(sgd_products) FT(sgd_chain_pass)(FT(sgd_chain) *chain, const ft_sgd *s, double *c, const FT(sgd_road) *road,
                                              const FT(sgd_block) *block, const FT_REAL *next, ft_size i,
                                              const int average, const int n_vectors, const int company)
{
    const ft_size n = 1;
    FT_REAL *w = (FT_REAL *)s->weights, *aw = average ? (FT_REAL *)s->averages : w;
    FT(sgd_products) products;
    if (n_vectors > 0)
        products = FT(sgd_register_pass)(chain->v, chain->held, &chain->before_tail, chain->before, chain->now, next,
                                         &road->tail, chain->move, n_vectors, company);
    else
        products = FT(sgd_single_pass)(w, aw, chain->before, chain->now, next, s->n_features, &road->tail, chain->move,
                                       chain->average_move, average);
    chain->square_sums += (FT_REAL)(chain->wscale * chain->wscale) * products.squares;
    if (__builtin_expect(i == block->reset, 0)) {
        products.dot *= block->reset_wscale;
        if (n_vectors > 0) {
#pragma GCC unroll 16
            for (int j = 0; j < n_vectors; j++)
                chain->v[j] *= (FT_REAL)block->reset_wscale;
        } else {
            FT_COLUMN(wscale)[0] = block->reset_wscale;
            FT(sgd_reset_wscale)(s, 1, c, 0);
        }
    }
    return products;
}

/* From row i to the prediction for the next one. */
FT_INLINE void FT(sgd_chain_go_on)(FT(sgd_chain) *chain, const ft_sgd *s, double *c, const FT(sgd_road) *road,
                                   const FT(sgd_block) *block, const FT_REAL *next, ft_size i, double gradient,
                                   FT(sgd_products) products, const int loss, const int average, const int careful)
{
    const ft_size n = 1;
    const double rate = block->rate[i];
    const FT_REAL move = (FT_REAL)(gradient * (rate * block->inverse[i]));
    /* the sum is not finite where either product is not */
    if (careful && !(ft_abs_f64(products.dot + products.cross) <= FT_SGD_LARGEST_PRODUCT)) {
        products.dot = FT(sgd_moved_dot)((const FT_REAL *)s->weights, chain->now, next, s->n_features, move);
        products.cross = 0;
    }
    const double intercept_rate = rate * road->decay, intercept_before = chain->intercept;
    chain->wscale = block->wscale[i];
    chain->move = move;
    chain->intercept = intercept_before + ft_sgd_rounded(gradient * intercept_rate, 1);
    if (average) {
        FT_COLUMN(wscale)[0] = chain->wscale;
        FT_COLUMN(intercept)[0] = chain->intercept;
        FT_COLUMN(update)[0] = gradient * rate;
        chain->average_move = FT(sgd_average_step)(1, c, 0, s->t + (double)i);
    }
    chain->dot = products.dot + (double)move * products.cross;
    /* Where a prediction close by gives a gradient close by, all but one multiply-add is done before the gradient
     * is known. A loss with a corner takes the path that scikit-learn takes: its predictions can be on it. */
    if (ft_sgd_is_smooth(loss))
        chain->prediction = (products.dot * chain->wscale + intercept_before) +
                            gradient * (rate * products.cross + intercept_rate);
    else
        chain->prediction = (FT_REAL)(chain->dot * chain->wscale) + chain->intercept;
    chain->before = chain->now;
    chain->now = next;
}

/* Row i of the block, in the company of so many fits. */
FT_INLINE void FT(sgd_chain_step)(FT(sgd_chain) *chain, const ft_sgd *s, double *c, const FT(sgd_road) *road,
                                  FT(sgd_block) *block, const int32_t *order, ft_size i, const int loss, const int average,
                                  const int n_vectors, const int careful, const int company)
{
    const FT_REAL *next = FT(dense_row)(&s->X, order[i + 1], s->n_features, s->stride);
    /* Before the pass, which has all it needs and fills the time that the loss takes; after it, the loss would
     * wait for a place in the processor's queue. */
    const double gradient = FT(sgd_chain_gradient)(chain, road, block, order, i, loss);
    const FT(sgd_products) products = FT(sgd_chain_pass)(chain, s, c, road, block, next, i, average, n_vectors, company);
    FT(sgd_chain_go_on)(chain, s, c, road, block, next, i, gradient, products, loss, average, careful);
}

/* The end of the block from `first` on, which is taken again where a product of it was not finite. */
FT_INLINE void FT(sgd_chain_note)(FT(sgd_chain) *chain, ft_sgd *s, double *c, const FT(sgd_road) *road,
                                  const FT(sgd_block) *block, const FT(sgd_block_start) *start, ft_size first,
                                  const int n_vectors, const int careful)
{
    const ft_size n = 1, behind = first + block->length;
    if (!careful && __builtin_expect(!FT(sgd_is_finite)(block, chain->dot, chain->prediction), 0)) {
        FT(sgd_block_again)(s, c, start, first, behind);
        FT(sgd_chain_load)(chain, s, c, road, behind, n_vectors);
        return;
    }
    FT_COLUMN(wscale)[0] = chain->wscale;
    FT_COLUMN(sum_loss)[0] += FT(sgd_block_loss)(block, s->loss, road->parameter, &FT_COLUMN(product)[0]);
    s->t += (double)block->length;
}

/* Leaves the fit before the row at `position`, with all that its steps have moved. */
FT_INLINE void FT(sgd_chain_end)(FT(sgd_chain) *chain, ft_sgd *s, double *c, const FT(sgd_road) *road, ft_size position,
                                 const int average, const int n_vectors)
{
    const ft_size n = 1;
    FT_REAL *w = (FT_REAL *)s->weights, *aw = average ? (FT_REAL *)s->averages : w;
    if (n_vectors > 0) {
        FT(sgd_register_pass)(chain->v, chain->held, &chain->before_tail, chain->before, chain->now, chain->now,
                              &road->tail, chain->move, n_vectors, 1);
#pragma GCC unroll 16
        for (int j = 0; j < n_vectors; j++)
            FT(store)(w + j * FT_LANES, chain->v[j]);
    } else {
        FT(sgd_single_pass)(w, aw, chain->before, chain->now, chain->now, s->n_features, &road->tail, chain->move,
                            chain->average_move, average);
    }
    FT(store)((FT_REAL *)s->lanes + 2 * FT_LANE_BLOCK, chain->square_sums);
    FT_COLUMN(dot)[0] = chain->dot;
    FT_COLUMN(intercept)[0] = chain->intercept;
    s->has_dot = position < s->n_train;
    s->position = position;
}

/* A block whose products are not all finite is taken again with `careful`, a constant as well, which looks at the products
 * of each row. */
FT_INLINE void FT(sgd_single_loop)(ft_sgd *s, ft_size end, double *c, const int average, const int n_vectors,
                                   const int careful)
{
    const FT(sgd_road) road = FT(sgd_road_of)(s, c, n_vectors);
    const int loss = s->loss;
    FT(sgd_block) block;
    FT(sgd_block_start) start;
    FT(sgd_chain) chain;
    memset(block.prediction, 0, sizeof block.prediction);
    FT(sgd_chain_begin)(&chain, s, c, &road, n_vectors);
    for (ft_size first = s->position; first < end; first += block.length) {
        const int32_t *order = s->training + first;
        FT(sgd_chain_plan)(&chain, s, c, &block, &start, first, end, n_vectors, careful);
        for (ft_size i = 0; i < block.length; i++)
            FT(sgd_chain_step)(&chain, s, c, &road, &block, order, i, loss, average, n_vectors, careful, 1);
        FT(sgd_chain_note)(&chain, s, c, &road, &block, &start, first, n_vectors, careful);
    }
    FT(sgd_chain_end)(&chain, s, c, &road, end, average, n_vectors);
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
