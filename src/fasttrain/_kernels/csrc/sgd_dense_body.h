/* Steps on dense rows: every slot in turn, or one model with its loss and its vectors side by side. */

/* What one pass over the weights of one candidate does. */
typedef struct {
    FT_REAL move;         /* v += move * x */
    FT_REAL average_move; /* average += average_move * x */
    FT_REAL u, wscale, inverse;
    int moved;            /* the norms are those of the last real move, as scikit-learn's are */
} FT(sgd_move);

/* What the L1 penalty takes from weights: all that they could have had so far, u, and have not had yet, but no more than they
 * are. `had` has the sign of what it was added to, so weights above 0 lose no more than had + u, those below no less than
 * had - u. A rounding beyond u must not move a weight that is 0. */
FT_INLINE FT(vector) FT(sgd_cut)(FT(vector) v, FT(vector) had, FT(vector) u, FT(vector) inverse)
{
    const FT(vector) zero = {0};
    const FT(vector) low = FT(smaller)(had - u, zero) * inverse, high = FT(larger)(had + u, zero) * inverse;
    return FT(smaller)(FT(larger)(v, low), high);
}

FT_INLINE FT(vector) FT(sgd_move_vector)(FT_REAL *w, FT_REAL *aw, FT_REAL *q, FT(vector) x, const FT(sgd_move) *m,
                                         FT(vector) *squares, FT(vector) *absolutes, const int l1, const int average)
{
    FT(vector) v = FT(load)(w) + m->move * x;
    *squares += v * v;
    if (average)
        FT(store)(aw, FT(load)(aw) + m->average_move * x);
    if (l1) {
        const FT(vector) had = FT(load)(q), none = {0}, cut = FT(sgd_cut)(v, had, m->u - none, m->inverse - none);
        *absolutes += FT(absolute)(v);
        const FT(vector) left = v - cut;
        FT(store)(q, had + m->wscale * (left - v));
        v = left;
    }
    FT(store)(w, v);
    return v;
}

/* Moves one candidate by row x and returns its dot product with the row `next` (NULL: none). */
FT_INLINE FT_REAL FT(sgd_move_dense)(FT_REAL *w, FT_REAL *aw, FT_REAL *q, FT_REAL *lanes, const FT_REAL *x,
                                     const FT_REAL *next, ft_size n, const FT(tail) *tail, const FT(sgd_move) m,
                                     const int l1, const int average)
{
    FT(vector) acc0 = {0}, acc1 = {0}, acc2 = {0}, acc3 = {0};
    FT(vector) squares0 = {0}, squares1 = {0}, absolutes = {0};
    ft_size j = 0;
#define FT_MOVE(at, sq) FT(sgd_move_vector)(w + (at), aw + (at), q + (at), FT(load)(x + (at)), &m, &sq, &absolutes, l1, average)
    for (; j + 4 * FT_LANES <= n; j += 4 * FT_LANES) {
        acc0 += FT_MOVE(j, squares0) * FT(load)(next + j);
        acc1 += FT_MOVE(j + FT_LANES, squares1) * FT(load)(next + j + FT_LANES);
        acc2 += FT_MOVE(j + 2 * FT_LANES, squares0) * FT(load)(next + j + 2 * FT_LANES);
        acc3 += FT_MOVE(j + 3 * FT_LANES, squares1) * FT(load)(next + j + 3 * FT_LANES);
    }
    for (; j + FT_LANES <= n; j += FT_LANES)
        acc0 += FT_MOVE(j, squares0) * FT(load)(next + j);
    if (j < n)
        acc1 += FT(sgd_move_vector)(w + j, aw + j, q + j, FT(load_tail)(x, tail), &m, &squares1, &absolutes, l1,
                                    average) *
                FT(load_tail)(next, tail);
#undef FT_MOVE
    if (!l1 || m.moved) {
        FT(store)(lanes, squares0 + squares1);
        if (l1)
            FT(store)(lanes + FT_LANE_BLOCK, absolutes);
    }
    return FT(sum)((acc0 + acc1) + (acc2 + acc3));
}

FT_INLINE void FT(prefetch_targets)(const ft_sgd *s, ft_size row)
{
    __builtin_prefetch((const FT_REAL *)s->y + row);
    if (s->sample_weight)
        __builtin_prefetch((const FT_REAL *)s->sample_weight + row);
}

/* Where the rows are, and the cache lines that each of them has. */
typedef struct {
    uintptr_t values;
    ft_size bytes, lines;
} FT(sgd_row_lines);

FT_INLINE FT(sgd_row_lines) FT(row_lines)(const ft_sgd *s)
{
    const ft_size bytes = s->n_features * (ft_size)sizeof(FT_REAL);
    /* As many lines for every row as the one that lies worst has: where the number changed from row to row, the end of the
     * loop would be guessed wrong every other time. */
    const uintptr_t steps = (uintptr_t)bytes | (uintptr_t)s->X.values | 64;
    const FT(sgd_row_lines) rows = {(uintptr_t)s->X.values, bytes, (bytes + 64 - (ft_size)(steps & -steps) + 63) / 64};
    return rows;
}

/* `least` is a constant: lines that every row has. */
FT_INLINE void FT(prefetch_row)(const FT(sgd_row_lines) *rows, ft_size row, const ft_size least, const int first_level)
{
    const char *line = (const char *)((rows->values + (uintptr_t)(row * rows->bytes)) & ~(uintptr_t)63);
#define FT_PREFETCH(i)                                                                                            \
    do {                                                                                                          \
        if (first_level)                                                                                          \
            __builtin_prefetch(line + 64 * (i));                                                                  \
        else                                                                                                      \
            __builtin_prefetch(line + 64 * (i), 0, 2);                                                            \
    } while (0)
#pragma GCC unroll 16
    for (ft_size i = 0; i < least; i++)
        FT_PREFETCH(i);
    for (ft_size i = least; i < rows->lines; i++)
        FT_PREFETCH(i);
#undef FT_PREFETCH
}

/* The lines of the rows to come, `order` from the present one on, in stages: into the second-level cache, and from there, a
 * few rows ahead, into the first. Where one model's steps follow closely, a third stage between them is one more request for
 * each line than the processor has places for: at 200,000 x 100 the steps take 31 ns (float64) with two stages, 36 with three;
 * at 30,000 x 100 25 and 28. */
FT_INLINE void FT(prefetch_rows)(const FT(sgd_row_lines) *rows, const int32_t *order, const ft_size least)
{
    FT(prefetch_row)(rows, order[24], least, 0);
    FT(prefetch_row)(rows, order[6], least, 1);
}

/* With the third stage: rows that are asked for a few together are too many at once, and what the processor drops is asked for
 * again. */
FT_INLINE void FT(prefetch_dense)(const ft_sgd *s, const FT(sgd_row_lines) *rows, const int32_t *training, ft_size i)
{
    FT(prefetch_rows)(rows, training + i, 0);
    FT(prefetch_row)(rows, training[i + 12], 0, 0);
    FT(prefetch_targets)(s, training[i + FT_ROWS_AHEAD]);
}

/* Rows position .. end of the epoch's order, dense. An ordinary fit has slots = n = 1, as constants. */
FT_INLINE void FT(sgd_dense_loop)(ft_sgd *s, ft_size end, const ft_size slots, const ft_size n, double *c, const int l1,
                                  const int average)
{
    const ft_size features = s->n_features, stride = s->stride;
    const FT(tail) tail = FT(tail_of)(features);
    const FT(sgd_row_lines) lines = FT(row_lines)(s);
    const int32_t *training = s->training;
    FT_REAL *weights = (FT_REAL *)s->weights, *averages = weights, *penalties = weights;
    if (average)
        averages = (FT_REAL *)s->averages;
    if (l1)
        penalties = (FT_REAL *)s->q;
    const FT_REAL *x = FT(dense_row)(&s->X, training[s->position], features, stride);
    double t = s->t;
    if (!s->has_dot)
        for (ft_size k = 0; k < slots; k++)
            FT_COLUMN(dot)[k] = FT(dense_dot)(weights + FT_CANDIDATE(k) * stride, x, features, &tail);
    for (ft_size i = s->position; i < end; i++) {
        const ft_size row = training[i];
        /* After the last row the dot product is taken with that row itself, and not used. */
        const FT_REAL *next = FT(dense_row)(&s->X, training[i + 1 < s->n_train ? i + 1 : i], features, stride);
        FT(prefetch_dense)(s, &lines, training, i);
        const double row_square = s->aggressive ? FT(dense_dot)(x, x, features, &tail) : 1;
        for (ft_size k = 0; k < slots; k++)
            FT(sgd_add_norms)(FT(lanes_of)(s, FT_CANDIDATE(k)), FT_COLUMN(square_scale)[k], FT_COLUMN(abs_scale)[k], l1);
        if (!(n == 1 ? FT(sgd_scalars)(s, 1, c, row, t, row_square)
                     : FT(sgd_scalars_many)(s, n, c, row, t, row_square))) {
            for (ft_size k = 0; k < slots; k++)
                FT_COLUMN(dot)[k] = FT(dense_dot)(weights + FT_CANDIDATE(k) * stride, next, features, &tail);
            x = next;
            continue;
        }
        for (ft_size k = 0; k < slots; k++) {
            const ft_size offset = FT_CANDIDATE(k) * stride;
            if (__builtin_expect(FT_COLUMN(wscale)[k] < FT_RESET_WSCALE, 0))
                FT(sgd_reset_wscale)(s, n, c, k);
            const double wscale = FT_COLUMN(wscale)[k], inverse = 1.0 / wscale;
            FT(sgd_move) m;
            m.moved = FT_COLUMN(update)[k] != 0;
            m.move = (FT_REAL)(FT_COLUMN(update)[k] * inverse);
            m.average_move = average ? FT(sgd_average_step)(n, c, k, t) : 0;
            m.u = (FT_REAL)FT_COLUMN(u)[k];
            m.wscale = (FT_REAL)wscale;
            m.inverse = (FT_REAL)inverse;
            FT_COLUMN(dot)[k] =
                FT(sgd_move_dense)(weights + offset, averages + offset, penalties + offset,
                                   FT(lanes_of)(s, FT_CANDIDATE(k)), x, next, features, &tail, m, l1, average);
            if (!l1 || m.moved) {
                FT_COLUMN(square_scale)[k] = wscale * wscale;
                FT_COLUMN(abs_scale)[k] = wscale;
            }
        }
        t += 1;
        x = next;
    }
    s->t = t;
    s->has_dot = end < s->n_train;
    s->position = end;
}
