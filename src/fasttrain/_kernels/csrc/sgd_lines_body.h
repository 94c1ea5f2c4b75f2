/* Steps of many candidates on CSR rows.
 *
 * The weights are interleaved: a line of memory for each feature, whose lanes are slots. So the indices of a row are read once
 * for all candidates, and what one of them points at is a cache line or two. Lanes are summed as sparse_dot and sparse_move
 * sum one model's weights, float32 in float32. */

#define FT_MOST_LINE_VECTORS 2 /* of a line that are taken together */

typedef struct {
    const FT_REAL *values;
    const int32_t *i32; /* one of the two */
    const int64_t *i64;
    ft_size nnz;
} FT(sgd_sparse_row);

FT_INLINE FT(sgd_sparse_row) FT(sparse_row)(const ft_sgd_rows *rows, ft_size row, const int wide)
{
    const ft_size start = rows->indptr[row];
    const FT(sgd_sparse_row) found = {(const FT_REAL *)rows->values + start, wide ? NULL : rows->indices32 + start,
                                      wide ? rows->indices64 + start : NULL, rows->indptr[row + 1] - start};
    return found;
}

/* Calls pass(first slot, vectors) for all slots in use. */
#define FT_LINE_PASSES(s, pass)                                                                                   \
    do {                                                                                                          \
        ft_size first = 0;                                                                                        \
        for (; first + FT_LANES < (s)->n_slots; first += FT_MOST_LINE_VECTORS * FT_LANES)                         \
            pass(first, FT_MOST_LINE_VECTORS);                                                                    \
        if (first < (s)->n_slots)                                                                                 \
            pass(first, 1);                                                                                       \
    } while (0)

FT_INLINE FT(vector) FT(from_columns)(const double *column)
{
    FT_REAL lanes[FT_VECTOR_BYTES / sizeof(FT_REAL)];
    for (ft_size l = 0; l < FT_LANES; l++)
        lanes[l] = (FT_REAL)column[l];
    return FT(load)(lanes);
}

FT_INLINE void FT(to_columns)(double *column, FT(vector) v)
{
    FT_REAL lanes[FT_VECTOR_BYTES / sizeof(FT_REAL)];
    FT(store)(lanes, v);
    for (ft_size l = 0; l < FT_LANES; l++)
        column[l] = lanes[l];
}

/* The products of a row with the lanes of some vectors. */
FT_INLINE void FT(lines_dot)(const FT_REAL *lines, ft_size n, const FT(sgd_sparse_row) *row, const int wide,
                             const int vectors, double *dot_out)
{
    const int32_t *i32 = row->i32;
    const int64_t *i64 = row->i64;
    FT(vector) sum[4][FT_MOST_LINE_VECTORS] = {{{0}}};
    ft_size j = 0;
    for (; j + 4 <= row->nnz; j += 4)
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            const FT_REAL *line = lines + FT_INDEX(j + i) * n;
#pragma GCC unroll 2
            for (int u = 0; u < vectors; u++)
                sum[i][u] += FT(load)(line + u * FT_LANES) * row->values[j + i];
        }
    for (; j < row->nnz; j++)
#pragma GCC unroll 2
        for (int u = 0; u < vectors; u++)
            sum[0][u] += FT(load)(lines + FT_INDEX(j) * n + u * FT_LANES) * row->values[j];
#pragma GCC unroll 2
    for (int u = 0; u < vectors; u++)
        FT(to_columns)(dot_out + u * FT_LANES, (sum[0][u] + sum[1][u]) + (sum[2][u] + sum[3][u]));
}

/* Asks for the line of the j-th weight of a row that is to come, or of its last one. Into the second-level cache, as the lines
 * of the present row fill half of the first. */
FT_INLINE void FT(prefetch_line)(const FT_REAL *lines, ft_size n, const FT(sgd_sparse_row) *row, ft_size j, const int wide,
                                 const int vectors)
{
    const int32_t *i32 = row->i32;
    const int64_t *i64 = row->i64;
    const char *line = (const char *)(lines + FT_INDEX(j < row->nnz ? j : row->nnz - 1) * n);
    for (int at = 0; at < vectors * FT_VECTOR_BYTES; at += 64)
        __builtin_prefetch(line + at, 0, 2);
}

/* v += move x, and the norms of the touched weights of slots that move. */
FT_INLINE void FT(lines_move)(FT_REAL *lines, ft_size n, double *c, ft_size first, const FT(sgd_sparse_row) *row,
                              const FT(sgd_sparse_row) *ahead, const int wide, const int vectors, const int l1)
{
    const int32_t *i32 = row->i32;
    const int64_t *i64 = row->i64;
    FT(vector) square[4][FT_MOST_LINE_VECTORS] = {{{0}}}, absolute[4][FT_MOST_LINE_VECTORS] = {{{0}}};
    FT(vector) move[FT_MOST_LINE_VECTORS];
    const FT(vector) zero = {0};
#define FT_MOVE_LINE(at, i)                                                                                       \
    do {                                                                                                          \
        FT_REAL *line = lines + first + FT_INDEX(at) * n;                                                         \
        FT(prefetch_line)(lines + first, n, ahead, at, wide, vectors);                                            \
        _Pragma("GCC unroll 2") for (int u = 0; u < vectors; u++)                                                 \
        {                                                                                                         \
            const FT(vector) v = FT(load)(line + u * FT_LANES) + move[u] * row->values[at];                       \
            FT(store)(line + u * FT_LANES, v);                                                                    \
            square[i][u] += v * v;                                                                                \
            if (l1)                                                                                               \
                absolute[i][u] += FT(select)(v < zero, -v, v);                                                    \
        }                                                                                                         \
    } while (0)
#pragma GCC unroll 2
    for (int u = 0; u < vectors; u++)
        move[u] = FT(from_columns)(&FT_COLUMN(move)[first + u * FT_LANES]);
    ft_size j = 0;
    for (; j + 4 <= row->nnz; j += 4)
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
            FT_MOVE_LINE(j + i, i);
    for (; j < row->nnz; j++)
        FT_MOVE_LINE(j, 0);
#undef FT_MOVE_LINE
#pragma GCC unroll 2
    for (int u = 0; u < vectors; u++) {
        double squares[FT_VECTOR_BYTES / sizeof(FT_REAL)], absolutes[FT_VECTOR_BYTES / sizeof(FT_REAL)];
        FT(to_columns)(squares, (square[0][u] + square[1][u]) + (square[2][u] + square[3][u]));
        FT(to_columns)(absolutes, (absolute[0][u] + absolute[1][u]) + (absolute[2][u] + absolute[3][u]));
#pragma GCC ivdep
        for (ft_size l = 0; l < FT_LANES; l++) {
            const ft_size k = first + u * FT_LANES + l;
            const double wscale = FT_COLUMN(wscale)[k];
            const int moved = FT_COLUMN(move)[k] != 0;
            FT_COLUMN(square)[k] = ft_sgd_select(moved, squares[l], FT_COLUMN(square)[k]);
            FT_COLUMN(square_scale)[k] = ft_sgd_select(moved, wscale * wscale, FT_COLUMN(square_scale)[k]);
            FT_COLUMN(check)[k] += squares[l] * 0;
            if (l1) {
                FT_COLUMN(absolute)[k] = ft_sgd_select(moved, absolutes[l], FT_COLUMN(absolute)[k]);
                FT_COLUMN(abs_scale)[k] = ft_sgd_select(moved, wscale, FT_COLUMN(abs_scale)[k]);
            }
        }
    }
}

/* Cuts the touched weights down to the L1 penalty that they could have had; a slot without one has u = 0. */
FT_INLINE void FT(lines_penalty)(const ft_sgd *s, ft_size n, double *c, ft_size first,
                                 const FT(sgd_sparse_row) *row, const int wide, const int vectors)
{
    const int32_t *i32 = row->i32;
    const int64_t *i64 = row->i64;
    FT_REAL *lines = (FT_REAL *)s->weights, *q = (FT_REAL *)s->q;
    const FT(vector) zero = {0};
    FT(vector) could[FT_MOST_LINE_VECTORS], scale[FT_MOST_LINE_VECTORS], inverse[FT_MOST_LINE_VECTORS];
    FT(vector) check[FT_MOST_LINE_VECTORS] = {{0}};
#pragma GCC unroll 2
    for (int u = 0; u < vectors; u++) {
        const ft_size k = first + u * FT_LANES;
        double wscale[FT_VECTOR_BYTES / sizeof(FT_REAL)], inverses[FT_VECTOR_BYTES / sizeof(FT_REAL)];
        /* nothing may come to the weights of a candidate that has ended */
        for (ft_size l = 0; l < FT_LANES; l++) {
            wscale[l] = ft_sgd_select(k + l < s->n_slots, FT_COLUMN(wscale)[k + l], 0);
            inverses[l] = ft_sgd_select(k + l < s->n_slots, 1.0 / FT_COLUMN(wscale)[k + l], 0);
        }
        could[u] = FT(from_columns)(&FT_COLUMN(u)[k]);
        scale[u] = FT(from_columns)(wscale);
        inverse[u] = FT(from_columns)(inverses);
    }
    for (ft_size j = 0; j < row->nnz; j++) {
        const ft_size at = first + FT_INDEX(j) * n;
#pragma GCC unroll 2
        for (int u = 0; u < vectors; u++) {
            const FT(vector) v = FT(load)(lines + at + u * FT_LANES), have = FT(load)(q + at + u * FT_LANES);
            FT(vector) down = v - (could[u] + have) * inverse[u], up = v + (could[u] - have) * inverse[u];
            down = FT(keep)(down, down > zero);
            up = FT(keep)(up, up < zero);
            const FT(vector) cut = FT(select)(v > zero, down, FT(select)(v < zero, up, v));
            FT(store)(q + at + u * FT_LANES, have + scale[u] * (cut - v));
            FT(store)(lines + at + u * FT_LANES, cut);
            check[u] += cut * 0;
        }
    }
#pragma GCC unroll 2
    for (int u = 0; u < vectors; u++)
        for (ft_size l = 0; l < FT_LANES; l++)
            FT_COLUMN(check)[first + u * FT_LANES + l] += (double)check[u][l];
}

/* The averages of all slots in use; returns at once when none moves. */
FT_INLINE void FT(lines_average)(const ft_sgd *s, ft_size n, double *c, const FT(sgd_sparse_row) *row, const int wide)
{
    const int32_t *i32 = row->i32;
    const int64_t *i64 = row->i64;
    FT_REAL *averages = (FT_REAL *)s->averages;
    int moved = 0;
    for (ft_size k = s->n_slots; k < n; k++)
        FT_COLUMN(average_move)[k] = 0;
    for (ft_size k = 0; k < s->n_slots; k++) {
        FT_COLUMN(average_move)[k] = FT(sgd_average_step)(n, c, k, s->t);
        moved |= FT_COLUMN(average_move)[k] != 0;
    }
    if (!moved)
        return;
    for (ft_size first = 0; first < s->n_slots; first += FT_LANES) {
        const FT(vector) move = FT(from_columns)(&FT_COLUMN(average_move)[first]);
        for (ft_size j = 0; j < row->nnz; j++) {
            FT_REAL *line = averages + first + FT_INDEX(j) * n;
            FT(store)(line, FT(load)(line) + move * row->values[j]);
        }
    }
}

/* Adds the norms before this step to the sums of the objective. */
FT_INLINE void FT(lines_add_norms)(const ft_sgd *s, ft_size n, double *c)
{
#pragma GCC ivdep
    for (ft_size k = 0; k < n; k++)
        FT_COLUMN(sum_square)[k] += FT_COLUMN(square_scale)[k] * FT_COLUMN(square)[k];
    if (s->with_l1)
#pragma GCC ivdep
        for (ft_size k = 0; k < n; k++)
            FT_COLUMN(sum_absolute)[k] += FT_COLUMN(abs_scale)[k] * FT_COLUMN(absolute)[k];
}

/* From updates to moves; 0 when no slot in use moves. */
FT_INLINE int FT(lines_moves)(const ft_sgd *s, ft_size n, double *c)
{
    int small = 0, moved = 0;
#pragma GCC ivdep
    for (ft_size k = 0; k < n; k++)
        small |= (FT_COLUMN(wscale)[k] < FT_RESET_WSCALE) & (k < s->n_slots);
    if (__builtin_expect(small, 0))
        for (ft_size k = 0; k < s->n_slots; k++)
            if (FT_COLUMN(wscale)[k] < FT_RESET_WSCALE)
                FT(sgd_reset_wscale)(s, n, c, k);
    /* what a slot that is not in use has in its columns must not get into the weights */
#pragma GCC ivdep
    for (ft_size k = 0; k < n; k++)
        FT_COLUMN(move)[k] = ft_sgd_select(k < s->n_slots, FT_COLUMN(update)[k] / FT_COLUMN(wscale)[k], 0);
    for (ft_size k = 0; k < n; k++)
        moved |= FT_COLUMN(move)[k] != 0;
    return moved;
}

/* Rows position .. end of the epoch's order. The length of a line is a constant where there is a loop for it. */
FT_INLINE void FT(sgd_lines_loop)(ft_sgd *s, ft_size end, const ft_size n, const int wide)
{
    double *c = s->columns;
    FT_REAL *lines = (FT_REAL *)s->weights;
    for (ft_size i = s->position; i < end; i++) {
        const ft_size number = s->training[i];
        const FT(sgd_sparse_row) row = FT(sparse_row)(&s->X, number, wide);
        FT(sgd_sparse_row) ahead = FT(sparse_row)(&s->X, s->training[i + 2], wide);
        if (ahead.nnz == 0)
            ahead = row;
        FT(prefetch_sparse)(s, i, wide);
#define FT_DOT_PASS(first, vectors) \
    FT(lines_dot)(lines + (first), n, &row, wide, vectors, &FT_COLUMN(dot)[first])
        FT_LINE_PASSES(s, FT_DOT_PASS);
        FT(lines_add_norms)(s, n, c);
        const double row_square = s->aggressive ? FT(sparse_square)(row.values, row.nnz) : 1;
        if (!FT(sgd_scalars_many)(s, n, c, number, s->t, row_square))
            continue;
        if (FT(lines_moves)(s, n, c)) {
#define FT_MOVE_PASS(first, vectors) FT(lines_move)(lines, n, c, first, &row, &ahead, wide, vectors, 0)
#define FT_MOVE_L1_PASS(first, vectors) FT(lines_move)(lines, n, c, first, &row, &ahead, wide, vectors, 1)
            if (s->with_l1)
                FT_LINE_PASSES(s, FT_MOVE_L1_PASS);
            else
                FT_LINE_PASSES(s, FT_MOVE_PASS);
        }
        if (s->with_average)
            FT(lines_average)(s, n, c, &row, wide);
#define FT_PENALTY_PASS(first, vectors) FT(lines_penalty)(s, n, c, first, &row, wide, vectors)
        if (s->with_l1)
            FT_LINE_PASSES(s, FT_PENALTY_PASS);
        s->t += 1;
    }
    s->position = end;
}

#define FT_SGD_LINES(name, n, wide)                                                                               \
    static __attribute__((noinline)) void FT(name)(ft_sgd *s, ft_size end)                                        \
    {                                                                                                             \
        FT(sgd_lines_loop)(s, end, n, wide);                                                                      \
    }
FT_SGD_LINES(sgd_lines_of_one_block, FT_LANE_BLOCK, 0)
FT_SGD_LINES(sgd_lines_of_two_blocks, 2 * FT_LANE_BLOCK, 0)
FT_SGD_LINES(sgd_lines32, s->n_padded, 0)
FT_SGD_LINES(sgd_lines64, s->n_padded, 1)
#undef FT_SGD_LINES

static void FT(sgd_lines)(ft_sgd *s, ft_size end)
{
    if (s->X.indices64)
        FT(sgd_lines64)(s, end);
    else if (s->n_padded == FT_LANE_BLOCK)
        FT(sgd_lines_of_one_block)(s, end);
    else if (s->n_padded == 2 * FT_LANE_BLOCK)
        FT(sgd_lines_of_two_blocks)(s, end);
    else
        FT(sgd_lines32)(s, end);
}

/* The products of one row with the weights of all slots in use, into the column of predictions. */
static __attribute__((noinline)) void FT(lines_products)(const ft_sgd *s, const ft_sgd_rows *rows, ft_size number)
{
    const ft_size n = s->n_padded;
    double *c = s->columns;
    const FT_REAL *lines = (const FT_REAL *)s->weights;
#define FT_PRODUCT_PASS(first, vectors) \
    FT(lines_dot)(lines + (first), n, &row, wide, vectors, &FT_COLUMN(prediction)[first])
    if (rows->indices64) {
        const int wide = 1;
        const FT(sgd_sparse_row) row = FT(sparse_row)(rows, number, wide);
        FT_LINE_PASSES(s, FT_PRODUCT_PASS);
    } else {
        const int wide = 0;
        const FT(sgd_sparse_row) row = FT(sparse_row)(rows, number, wide);
        FT_LINE_PASSES(s, FT_PRODUCT_PASS);
    }
}

#undef FT_DOT_PASS
#undef FT_MOVE_PASS
#undef FT_MOVE_L1_PASS
#undef FT_PENALTY_PASS
#undef FT_PRODUCT_PASS
#undef FT_LINE_PASSES
#undef FT_MOST_LINE_VECTORS
