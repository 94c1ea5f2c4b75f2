/* The update rules. Included after spans_body.h. */

/* The gradient that a rule sees, and the decayed weight it starts from. */
#define FT_GRADIENT                                                                                               \
    (plain ? h->gradient_scale * g[i] : FT(clip)(h->gradient_scale * g[i], -h->clip_value, h->clip_value)) +       \
        h->l2 * w_io[i]
#define FT_WEIGHT (h->keep * w_io[i])

/* plain: nothing is clipped and there is no l1 */
#define FT_PROX(w, t) (plain ? (w) : FT(soft_threshold)(w, t))

/* A step of FTRL, power_of(x) being x to h->power. What l1 has pulled at a weight is remembered as of a gradient: as after any
 * other rule the weight rests where l1 and the gradient do. Without any gradient so far there is nothing to follow. */
#define FT_TO_POWER(x) FT_POW(x, h->power)
#define FT_FOLLOW(power_of)                                                                                       \
    for (ptrdiff_t i = 0; i < n; i++) {                                                                           \
        const FT_REAL d = FT_GRADIENT, w = FT_WEIGHT;                                                             \
        const FT_REAL s = s1_io[i] + d * d, before = power_of(s1_io[i]), after = power_of(s);                     \
        const FT_REAL z = s2_io[i] + (d + h->shrinkage * w - (after - before) / rate * w);                        \
        const FT_REAL hold = (after + h->epsilon) / rate + h->leader_l2;                                          \
        const FT_REAL led = hold == 0 ? w : (FT(clip)(z, -h->leader_l1, h->leader_l1) - z) / hold;                \
        const FT_REAL kept = FT_PROX(led, hold == 0 ? 0 : h->l1 / hold);                                          \
        s1_io[i] = s;                                                                                             \
        s2_io[i] = plain ? z : z + hold * (led - kept);                                                           \
        w_io[i] = kept;                                                                                           \
    }

FT_INLINE void FT(update_rule)(int kind, const int plain, const ft_update *hyper, FT_REAL *restrict w_io,
                               const FT_REAL *restrict g, FT_REAL *restrict s1_io, FT_REAL *restrict s2_io,
                               FT_REAL *restrict s3_io, ptrdiff_t n)
{
#define FT_FIELD(name) .name = (FT_REAL)hyper->name
    const struct {
        FT_REAL gradient_scale, clip_value, l2, l1, keep, step, step_gradient, root_scale, epsilon_inside, epsilon;
        FT_REAL learning_rate, l1_rate, momentum, beta1, beta2, power, leader_l1, leader_l2, shrinkage;
    } copy = {FT_FIELD(gradient_scale), FT_FIELD(clip_value), FT_FIELD(l2), FT_FIELD(l1), FT_FIELD(keep), FT_FIELD(step),
              FT_FIELD(step_gradient), FT_FIELD(root_scale), FT_FIELD(epsilon_inside), FT_FIELD(epsilon),
              FT_FIELD(learning_rate), FT_FIELD(l1_rate), FT_FIELD(momentum), FT_FIELD(beta1), FT_FIELD(beta2),
              FT_FIELD(power), FT_FIELD(leader_l1), FT_FIELD(leader_l2), FT_FIELD(shrinkage)}, *const h = &copy;
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
    case FT_UPDATE_amsgrad:
        for (ptrdiff_t i = 0; i < n; i++) {
            const FT_REAL d = FT_GRADIENT;
            const FT_REAL m = b1 * s1_io[i] + (1 - b1) * d;
            const FT_REAL v = b2 * s2_io[i] + (1 - b2) * (d * d);
            const FT_REAL most = FT(max)(s3_io[i], v);
            s1_io[i] = m;
            s2_io[i] = v;
            s3_io[i] = most;
            const FT_REAL eta = h->step / (h->root_scale * FT_SQRT(most) + h->epsilon);
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
    case FT_UPDATE_adamax:
        for (ptrdiff_t i = 0; i < n; i++) {
            const FT_REAL d = FT_GRADIENT;
            const FT_REAL m = b1 * s1_io[i] + (1 - b1) * d;
            const FT_REAL u = FT(max)(b2 * s2_io[i], FT(abs)(d));
            s1_io[i] = m;
            s2_io[i] = u;
            const FT_REAL eta = h->step / (u + h->epsilon);
            w_io[i] = FT_PROX(FT_WEIGHT - eta * m, eta * h->l1);
        }
        break;
    case FT_UPDATE_lamb:
        for (ptrdiff_t i = 0; i < n; i++) {
            const FT_REAL eta = h->step / (h->root_scale * FT_SQRT(s2_io[i]) + h->epsilon);
            w_io[i] = FT_PROX(FT_WEIGHT - eta * s1_io[i], eta * h->l1);
        }
        break;
    case FT_UPDATE_ftrl:
        if (rate == 0)
            for (ptrdiff_t i = 0; i < n; i++)
                w_io[i] = FT_WEIGHT - rate * (FT_GRADIENT);
        else if (h->power == (FT_REAL)0.5)
            FT_FOLLOW(FT_SQRT)
        else
            FT_FOLLOW(FT_TO_POWER)
        break;
    }
}

/* The moments of a step that is scaled by the norms of a whole array, for which update_span waits: adds the squares of the decayed
 * weights and those of the moves to squares_io. */
#define FT_MOVES 256
static void FT(moments_and_squares)(const ft_update *h, const FT_REAL *restrict w, const FT_REAL *restrict g,
                                    FT_REAL *restrict s1_io, FT_REAL *restrict s2_io, ptrdiff_t n, double *squares_io)
{
    const FT_REAL scale = (FT_REAL)h->gradient_scale, clip = (FT_REAL)h->clip_value, l2 = (FT_REAL)h->l2;
    const FT_REAL b1 = (FT_REAL)h->beta1, b2 = (FT_REAL)h->beta2, step = (FT_REAL)h->step;
    const FT_REAL root_scale = (FT_REAL)h->root_scale, epsilon = (FT_REAL)h->epsilon;
    FT_REAL move[FT_MOVES];
    for (ptrdiff_t begin = 0; begin < n; begin += FT_MOVES) {
        const ptrdiff_t count = n - begin < FT_MOVES ? n - begin : FT_MOVES;
        for (ptrdiff_t k = 0; k < count; k++) {
            const ptrdiff_t i = begin + k;
            const FT_REAL d = FT(clip)(scale * g[i], -clip, clip) + l2 * w[i];
            const FT_REAL m = b1 * s1_io[i] + (1 - b1) * d;
            const FT_REAL v = b2 * s2_io[i] + (1 - b2) * (d * d);
            s1_io[i] = m;
            s2_io[i] = v;
            move[k] = step * m / (root_scale * FT_SQRT(v) + epsilon);
        }
        squares_io[0] += h->keep * h->keep * FT(sum_squares)(w + begin, count);
        squares_io[1] += FT(sum_squares)(move, count);
    }
}
#undef FT_MOVES

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

/* Squares of weights, for the value of a penalty. To make doubles of all of them would take a quarter of an update's time: a lane
 * of single precision adds up those of FT_RUN blocks first, which is right to 1e-7 of what is a small part of a loss. */
#define FT_RUN 16

FT_INLINE void FT(add_run)(const FT(vector) *run, FT(doubles) *squares_io)
{
    FT_REAL lane[FT_ADAM_BLOCK];
#pragma GCC unroll 4
    for (int v = 0; v < FT_ADAM_BLOCK / FT_LANES; v++)
        FT_STORE(lane + v * FT_LANES, run[v]);
#pragma GCC unroll 8
    for (int s = 0; s < FT_ADAM_BLOCK; s += FT_DOUBLES)
        squares_io[s % FT_STREAMS / FT_DOUBLES] += FT(as_doubles)(lane + s);
}

static double FT(weight_squares)(const FT_REAL *x, ptrdiff_t n)
{
    if (FT_IS_DOUBLE)
        return FT(sum_squares)(x, n);
    FT(doubles) squares[FT_STREAMS / FT_DOUBLES] = {0};
    double stream[FT_STREAMS];
    ptrdiff_t i = 0;
    while (i + FT_ADAM_BLOCK <= n) {
        const ptrdiff_t end = n - i < FT_RUN * FT_ADAM_BLOCK ? n : i + FT_RUN * FT_ADAM_BLOCK;
        FT(vector) run[FT_ADAM_BLOCK / FT_LANES] = {0};
        for (; i + FT_ADAM_BLOCK <= end; i += FT_ADAM_BLOCK)
#pragma GCC unroll 4
            for (int v = 0; v < FT_ADAM_BLOCK / FT_LANES; v++) {
                const FT(vector) w = FT_LOAD(x + i + v * FT_LANES);
                run[v] += w * w;
            }
        FT(add_run)(run, squares);
    }
    memcpy(stream, squares, sizeof stream);
    return FT(finish_squares)(stream, x + i, n - i);
}

/* Whole blocks of the weights, then those that are left with a quotient each; how many were in blocks. With want_squares the
 * squares of the blocks' new weights are added to FT_STREAMS streams, in the order of weight_squares. */
FT_INLINE ptrdiff_t FT(adam_step)(const ft_update *h, const int want_squares, FT_REAL *restrict w_io, const FT_REAL *restrict g,
                                    FT_REAL *restrict s1_io, FT_REAL *restrict s2_io, ptrdiff_t n, double *stream_out)
{
    const FT(vector) scale = FT_SPLAT((FT_REAL)h->gradient_scale), l2 = FT_SPLAT((FT_REAL)h->l2);
    const FT(vector) c1 = FT_SPLAT(1 - (FT_REAL)h->beta1), c2 = FT_SPLAT(1 - (FT_REAL)h->beta2);
    const FT(vector) keep = FT_SPLAT((FT_REAL)h->keep), step = FT_SPLAT((FT_REAL)h->step);
    const FT_REAL root_scale = (FT_REAL)h->root_scale, epsilon = (FT_REAL)h->epsilon;
    FT(doubles) squares[FT_STREAMS / FT_DOUBLES] = {0};
    ptrdiff_t i = 0;
    while (i + FT_ADAM_BLOCK <= n) {
        const ptrdiff_t end = FT_IS_DOUBLE || !want_squares || n - i < FT_RUN * FT_ADAM_BLOCK ? n : i + FT_RUN * FT_ADAM_BLOCK;
        FT(vector) run[FT_ADAM_BLOCK / FT_LANES] = {0};
        for (; i + FT_ADAM_BLOCK <= end; i += FT_ADAM_BLOCK) {
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
                    const FT(vector) w = keep * FT_LOAD(w_io + at) - m[q];
                    FT_STORE(w_io + at, w);
                    if (want_squares && !FT_IS_DOUBLE)
                        run[part / FT_LANES + q] += w * w;
                }
            }
            if (want_squares && FT_IS_DOUBLE)
#pragma GCC unroll 4
                for (ptrdiff_t part = 0; part < FT_ADAM_BLOCK; part += FT_STREAMS)
#pragma GCC unroll 8
                    for (int s = 0; s < FT_STREAMS; s += FT_DOUBLES) {
                        const FT(doubles) w = FT(as_doubles)(w_io + i + part + s);
                        squares[s / FT_DOUBLES] += w * w;
                    }
        }
        if (want_squares && !FT_IS_DOUBLE)
            FT(add_run)(run, squares);
    }
    memcpy(stream_out, squares, sizeof squares);
    const FT_REAL one_scale = (FT_REAL)h->gradient_scale, one_l2 = (FT_REAL)h->l2, one_keep = (FT_REAL)h->keep;
    const FT_REAL one_c1 = 1 - (FT_REAL)h->beta1, one_c2 = 1 - (FT_REAL)h->beta2, one_step = (FT_REAL)h->step;
    for (ptrdiff_t k = i; k < n; k++) {
        const FT_REAL d = one_scale * g[k] + one_l2 * w_io[k];
        const FT_REAL m = s1_io[k] + one_c1 * (d - s1_io[k]), v = s2_io[k] + one_c2 * (d * d - s2_io[k]);
        s1_io[k] = m;
        s2_io[k] = v;
        w_io[k] = one_keep * w_io[k] - one_step / (root_scale * FT_SQRT(v) + epsilon) * m;
    }
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
            done = FT(adam_step)(hyper, want_squares, w_io, g, s1_io, s2_io, n, stream);
        else
            FT(update_rule)(kind, 1, hyper, w_io, g, s1_io, s2_io, s3_io, n);
    } else {
        FT(update_rule)(kind, 0, hyper, w_io, g, s1_io, s2_io, s3_io, n);
    }
    if (!want_squares)
        return 0;
    return done ? FT(finish_squares)(stream, w_io + done, n - done) : FT(weight_squares)(w_io, n);
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

#undef FT_STREAMS
#undef FT_QUOTIENTS
#undef FT_ADAM_LEAST
#undef FT_ADAM_MOST
#undef FT_ADAM_BLOCK
#undef FT_RUN
#undef FT_DOUBLES
#undef FT_FOLLOW
#undef FT_TO_POWER
#undef FT_GRADIENT
#undef FT_PROX
#undef FT_WEIGHT
