/* Steps of many candidates on dense rows, without L1 terms and averages. */

/* Moves two candidates by row x, which is loaded once for both, and takes their products with the row `next`. */
FT_INLINE void FT(sgd_pair_pass)(FT_REAL *first, FT_REAL *second, const FT_REAL *x, const FT_REAL *next, ft_size n,
                                 const FT(tail) *tail, FT_REAL first_move, FT_REAL second_move, double *first_dot,
                                 double *second_dot)
{
    FT(vector) a0 = {0}, a1 = {0}, a2 = {0}, b0 = {0}, b1 = {0}, b2 = {0};
    ft_size j = 0;
#define FT_PAIR(at, here_, ahead_, a, b)                                                                          \
    do {                                                                                                          \
        const FT(vector) here = (here_), ahead = (ahead_);                                                        \
        const FT(vector) v = FT(load)(first + (at)) + first_move * here;                                          \
        const FT(vector) u = FT(load)(second + (at)) + second_move * here;                                        \
        FT(store)(first + (at), v);                                                                               \
        FT(store)(second + (at), u);                                                                              \
        a += v * ahead;                                                                                           \
        b += u * ahead;                                                                                           \
    } while (0)
    for (; j + 2 * FT_LANES <= n; j += 2 * FT_LANES) {
        FT_PAIR(j, FT(load)(x + j), FT(load)(next + j), a0, b0);
        FT_PAIR(j + FT_LANES, FT(load)(x + j + FT_LANES), FT(load)(next + j + FT_LANES), a1, b1);
    }
    if (j + FT_LANES <= n) {
        FT_PAIR(j, FT(load)(x + j), FT(load)(next + j), a0, b0);
        j += FT_LANES;
    }
    if (j < n)
        FT_PAIR(j, FT(load_tail)(x, tail), FT(load_tail)(next, tail), a2, b2);
#undef FT_PAIR
    *first_dot = FT(sum)((a0 + a1) + a2);
    *second_dot = FT(sum)((b0 + b1) + b2);
}

/* Weights in panels: slots are lanes. A panel is 64 bytes wide and has a line for each feature, so a row's element is one
 * broadcast for all its slots and no product is summed across lanes. The weights stand in panels from the first row of an
 * epoch to its last. */
FT_INLINE FT_REAL *FT(panel_of)(const ft_sgd *s, ft_size k)
{
    return (FT_REAL *)s->panels + k / FT_LANE_BLOCK * FT_LANE_BLOCK * s->n_features + k % FT_LANE_BLOCK;
}

static void FT(sgd_copy_panels)(const ft_sgd *s, ft_size n, const double *c, ft_size in_panels, int into_panels)
{
    for (ft_size k = 0; k < in_panels; k++) {
        FT_REAL *w = (FT_REAL *)s->weights + FT_CANDIDATE(k) * s->stride, *p = FT(panel_of)(s, k);
        for (ft_size j = 0; j < s->n_features; j++) {
            if (into_panels)
                p[j * FT_LANE_BLOCK] = w[j];
            else
                w[j] = p[j * FT_LANE_BLOCK];
        }
    }
}

#define FT_PANEL_VECTORS (64 / FT_VECTOR_BYTES)

/* Moves the slots of one panel by row x, and takes their products with the row `next`. */
FT_INLINE void FT(sgd_panel_pass)(FT_REAL *panel, const FT_REAL *x, const FT_REAL *next, ft_size n, const FT_REAL *move,
                                  FT_REAL *dot)
{
    FT(vector) m[FT_PANEL_VECTORS], acc[FT_PANEL_VECTORS][4];
    for (int u = 0; u < FT_PANEL_VECTORS; u++) {
        m[u] = FT(load)(move + u * FT_LANES);
        for (int r = 0; r < 4; r++)
            acc[u][r] = (FT(vector)){0};
    }
#define FT_PANEL_LINE(j, r)                                                                                       \
    for (int u = 0; u < FT_PANEL_VECTORS; u++) {                                                                  \
        FT_REAL *at = panel + (j) * FT_LANE_BLOCK + u * FT_LANES;                                                 \
        const FT(vector) v = FT(load)(at) + m[u] * x[j];                                                          \
        FT(store)(at, v);                                                                                         \
        acc[u][r] += v * next[j];                                                                                 \
    }
    ft_size j = 0;
    for (; j + 4 <= n; j += 4) {
        FT_PANEL_LINE(j, 0)
        FT_PANEL_LINE(j + 1, 1)
        FT_PANEL_LINE(j + 2, 2)
        FT_PANEL_LINE(j + 3, 3)
    }
    for (; j < n; j++)
        FT_PANEL_LINE(j, 0)
#undef FT_PANEL_LINE
    for (int u = 0; u < FT_PANEL_VECTORS; u++)
        FT(store)(dot + u * FT_LANES, (acc[u][0] + acc[u][1]) + (acc[u][2] + acc[u][3]));
}

/* The columns of a panel's slots as reals; 0 past the slots. */
FT_INLINE void FT(sgd_panel_moves)(const double *column, ft_size count, FT_REAL *out)
{
    if (count >= FT_LANE_BLOCK) {
        for (ft_size l = 0; l < FT_LANE_BLOCK; l++)
            out[l] = (FT_REAL)column[l];
    } else {
        for (ft_size l = 0; l < FT_LANE_BLOCK; l++)
            out[l] = l < count ? (FT_REAL)column[l] : 0;
    }
}

/* The loop of dense fits in lockstep without L1 terms and averages. The norms of the objective follow from the products that
 * are there, |v + move x|^2 = |v|^2 + move (2 v . x + move |x|^2), and are taken afresh in every call. Slots go in panels;
 * those that would fill less than two thirds of one go two by two, an odd one at the end with a spare vector. */
static __attribute__((noinline)) void FT(sgd_many_loop)(ft_sgd *s, ft_size end)
{
    const ft_size rest = s->n_slots % FT_LANE_BLOCK;
    const ft_size in_panels = 3 * rest > 2 * FT_LANE_BLOCK ? s->n_slots : s->n_slots - rest;
    const ft_size n = s->n_padded, slots = s->n_slots, features = s->n_features, stride = s->stride;
    double *c = s->columns;
    const FT(tail) tail = FT(tail_of)(features);
    const int32_t *training = s->training;
    FT_REAL *weights = (FT_REAL *)s->weights, *spare = weights + s->n_candidates * stride;
    const FT_REAL *x = FT(dense_row)(&s->X, training[s->position], features, stride);
    double t = s->t, unused;
    for (ft_size k = 0; k < slots; k++) {
        FT_REAL *w = weights + FT_CANDIDATE(k) * stride;
        if (k < in_panels && s->has_dot) {
            const FT_REAL *p = FT(panel_of)(s, k);
            for (ft_size j = 0; j < features; j++)
                w[j] = p[j * FT_LANE_BLOCK];
        }
        FT_COLUMN(square)[k] = FT(dense_dot)(w, w, features, &tail);
        FT_COLUMN(sum_square)[k] = 0;
        if (!s->has_dot)
            FT_COLUMN(dot)[k] = FT(dense_dot)(w, x, features, &tail);
    }
    if (!s->has_dot)
        FT(sgd_copy_panels)(s, n, c, in_panels, 1);
    for (ft_size i = s->position; i < end; i++) {
        const FT_REAL *next = FT(dense_row)(&s->X, training[i + 1 < s->n_train ? i + 1 : i], features, stride);
        FT(prefetch_dense)(s, training, i);
        const double row_square = FT(dense_dot)(x, x, features, &tail);
#pragma GCC ivdep
        for (ft_size k = 0; k < n; k++)
            FT_COLUMN(sum_square)[k] += FT_COLUMN(square)[k] * (FT_COLUMN(wscale)[k] * FT_COLUMN(wscale)[k]);
        FT(sgd_scalars_many)(s, n, c, training[i], t, 1);
        for (ft_size k = 0; k < slots; k++) {
            const double wscale = FT_COLUMN(wscale)[k];
            if (__builtin_expect(wscale < FT_RESET_WSCALE, 0)) {
                FT_COLUMN(square)[k] *= wscale * wscale;
                FT_COLUMN(dot)[k] *= wscale;
                if (k < in_panels) {
                    FT_REAL *p = FT(panel_of)(s, k);
                    for (ft_size j = 0; j < features; j++)
                        p[j * FT_LANE_BLOCK] *= (FT_REAL)wscale;
                    FT_COLUMN(wscale)[k] = 1;
                } else {
                    FT(sgd_reset_wscale)(s, n, c, k);
                }
            }
        }
#pragma GCC ivdep
        for (ft_size k = 0; k < n; k++) {
            const double move = (FT_REAL)(FT_COLUMN(update)[k] / FT_COLUMN(wscale)[k]);
            FT_COLUMN(move)[k] = move;
            FT_COLUMN(square)[k] += move * (2 * FT_COLUMN(dot)[k] + move * row_square);
        }
        for (ft_size k = 0; k < in_panels; k += FT_LANE_BLOCK) {
            FT_REAL moves[64 / sizeof(FT_REAL)] __attribute__((aligned(64))), dots[64 / sizeof(FT_REAL)];
            const ft_size count = in_panels - k < FT_LANE_BLOCK ? in_panels - k : FT_LANE_BLOCK;
            FT(sgd_panel_moves)(FT_COLUMN(move) + k, count, moves);
            FT(sgd_panel_pass)(FT(panel_of)(s, k), x, next, features, moves, dots);
            if (count == FT_LANE_BLOCK)
                for (ft_size l = 0; l < FT_LANE_BLOCK; l++)
                    FT_COLUMN(dot)[k + l] = dots[l];
            else
                for (ft_size l = 0; l < count; l++)
                    FT_COLUMN(dot)[k + l] = dots[l];
        }
        for (ft_size k = in_panels; k < slots; k += 2) {
            const int both = k + 1 < slots;
            FT(sgd_pair_pass)(weights + FT_CANDIDATE(k) * stride, both ? weights + FT_CANDIDATE(k + 1) * stride : spare, x,
                              next, features, &tail, (FT_REAL)FT_COLUMN(move)[k],
                              both ? (FT_REAL)FT_COLUMN(move)[k + 1] : 0, FT_COLUMN(dot) + k,
                              both ? FT_COLUMN(dot) + k + 1 : &unused);
        }
        t += 1;
        x = next;
    }
    for (ft_size k = 0; k < slots; k++)
        if (FT_COLUMN(l2_ratio)[k] > 0)
            FT_COLUMN(sum_penalty)[k] +=
                FT_COLUMN(alpha)[k] * FT_COLUMN(l2_ratio)[k] * 0.5 * FT_COLUMN(sum_square)[k];
    s->t = t;
    s->has_dot = end < s->n_train;
    if (!s->has_dot)
        FT(sgd_copy_panels)(s, n, c, in_panels, 0);
    s->position = end;
}
