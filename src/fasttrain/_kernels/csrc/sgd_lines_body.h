/* Steps of many candidates on CSR rows.
 *
 * The weights are interleaved, slots as lanes: each feature has a line of whole 64 bytes, and slots that are too few to fill
 * another stand behind all lines, packed, 16 or 32 bytes for each feature (its "rest"). So the indices of a row are read once
 * for all candidates, and what one of them points at is a cache line or two; rests share cache lines, and there are few enough
 * of these to stay near. Lanes are summed as sparse_dot and sparse_move sum one model's weights, float32 in float32. */

#define FT_REST_LANES ((ft_size)(16 / sizeof(FT_REAL)))

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

/* The slots that a pass over a row takes together: some vectors of the line, at most two, from slot `first` on, and with the
 * last of them the rest, in vectors of 16 bytes. */
typedef struct {
    ft_size line, rest; /* slots of each in the fit: constants where there is a loop for them */
    ft_size behind;     /* from the lines to the rests, in reals */
    ft_size first;
} FT(sgd_places);

typedef struct {
    FT(vector) line[2];
    FT(vector16) rest[2];
} FT(sgd_pass);

/* Calls pass(places, vectors of the line, vectors of the rest), the numbers as constants, for all slots in use. */
#define FT_LINE_PASSES(s, line, rest, pass)                                                                       \
    do {                                                                                                          \
        FT(sgd_places) at = {line, rest, (line) * (s)->n_features, 0};                                            \
        const ft_size slots = (s)->n_slots;                                                                       \
        const ft_size rests = slots > (line) ? (rest) / FT_REST_LANES : 0;                                        \
        for (; at.first + FT_LANES < (line) && at.first + FT_LANES < slots; at.first += 2 * FT_LANES)             \
            pass(at, 2, 0);                                                                                       \
        const int one = at.first < (line) && at.first < slots;                                                    \
        if (one && rests == 0)                                                                                    \
            pass(at, 1, 0);                                                                                       \
        else if (one && rests == 1)                                                                               \
            pass(at, 1, 1);                                                                                       \
        else if (one)                                                                                             \
            pass(at, 1, 2);                                                                                       \
        else if (rests == 1)                                                                                      \
            pass(at, 0, 1);                                                                                       \
        else if (rests == 2)                                                                                      \
            pass(at, 0, 2);                                                                                       \
    } while (0)

/* step(line or rest, u, where that vector begins) for the vectors of a pass: in the weights of a feature, and in a column. */
#define FT_OF_FEATURE(step, feature)                                                                              \
    do {                                                                                                          \
        const ft_size in_line = at.first + (feature) * at.line, in_rest = at.behind + (feature) * at.rest;        \
        _Pragma("GCC unroll 2") for (int u = 0; u < vectors; u++) step(line, u, in_line + u * FT_LANES);          \
        _Pragma("GCC unroll 2") for (int u = 0; u < rests; u++) step(rest, u, in_rest + u * FT_REST_LANES);       \
    } while (0)
#define FT_OF_COLUMNS(step)                                                                                       \
    do {                                                                                                          \
        _Pragma("GCC unroll 2") for (int u = 0; u < vectors; u++) step(line, u, at.first + u * FT_LANES);         \
        _Pragma("GCC unroll 2") for (int u = 0; u < rests; u++) step(rest, u, at.line + u * FT_REST_LANES);       \
    } while (0)

/* A vector of either size, by the name of its part. */
#define FT_VECTOR_OF(part) __typeof__(((FT(sgd_pass) *)0)->part[0])
#define FT_SELECTED(m, a, b) ((__typeof__(a))(((__typeof__(m))(a) & (m)) | ((__typeof__(m))(b) & ~(m))))

#define FT_FROM_COLUMN(v, column)                                                                                 \
    do {                                                                                                          \
        FT_REAL lanes[sizeof(v) / sizeof(FT_REAL)];                                                               \
        for (size_t l = 0; l < sizeof(v) / sizeof(FT_REAL); l++)                                                  \
            lanes[l] = (FT_REAL)(column)[l];                                                                      \
        memcpy(&(v), lanes, sizeof(v));                                                                           \
    } while (0)

#define FT_TO_COLUMN(column, v)                                                                                   \
    do {                                                                                                          \
        FT_REAL lanes[sizeof(v) / sizeof(FT_REAL)];                                                               \
        memcpy(lanes, &(v), sizeof(v));                                                                           \
        for (size_t l = 0; l < sizeof(v) / sizeof(FT_REAL); l++)                                                  \
            (column)[l] = lanes[l];                                                                               \
    } while (0)

/* The products of a row with the weights of a pass. */
FT_INLINE void FT(lines_dot)(const FT_REAL *weights, const FT(sgd_places) at, const FT(sgd_sparse_row) *row,
                             const int wide, const int vectors, const int rests, double *dot_out)
{
    const int32_t *i32 = row->i32;
    const int64_t *i64 = row->i64;
    FT(sgd_pass) sum[4] = {{{{0}}, {{0}}}};
#define FT_ADD_PRODUCT(part, u, place)                                                                            \
    do {                                                                                                          \
        FT_VECTOR_OF(part) v;                                                                                     \
        memcpy(&v, weights + (place), sizeof v);                                                                  \
        sum[i].part[u] += v * x;                                                                                  \
    } while (0)
#define FT_DOT_OUT(part, u, slot)                                                                                 \
    do {                                                                                                          \
        const FT_VECTOR_OF(part) all = (sum[0].part[u] + sum[1].part[u]) + (sum[2].part[u] + sum[3].part[u]);     \
        FT_TO_COLUMN(dot_out + (slot), all);                                                                      \
    } while (0)
    ft_size j = 0;
    for (; j + 4 <= row->nnz; j += 4)
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            const FT_REAL x = row->values[j + i];
            FT_OF_FEATURE(FT_ADD_PRODUCT, FT_INDEX(j + i));
        }
    for (; j < row->nnz; j++) {
        const int i = 0;
        const FT_REAL x = row->values[j];
        FT_OF_FEATURE(FT_ADD_PRODUCT, FT_INDEX(j));
    }
    FT_OF_COLUMNS(FT_DOT_OUT);
#undef FT_ADD_PRODUCT
#undef FT_DOT_OUT
}

/* Asks for the places of the j-th weight of a row that is to come, or of its last one. Into the second-level cache, as the
 * lines of the present row fill half of the first. */
FT_INLINE void FT(prefetch_line)(const FT_REAL *weights, const FT(sgd_places) at, const FT(sgd_sparse_row) *row,
                                 ft_size j, const int wide, const int vectors, const int rests)
{
    const int32_t *i32 = row->i32;
    const int64_t *i64 = row->i64;
    const ft_size feature = FT_INDEX(j < row->nnz ? j : row->nnz - 1);
    const char *line = (const char *)(weights + at.first + feature * at.line);
    for (int byte = 0; byte < vectors * FT_VECTOR_BYTES; byte += 64)
        __builtin_prefetch(line + byte, 0, 2);
    if (rests)
        __builtin_prefetch(weights + at.behind + feature * at.rest, 0, 2);
}

/* The norms of the weights that a row has moved, for the slots that moved. */
FT_INLINE void FT(lines_norms)(ft_size n, double *c, ft_size first, const double *squares, const double *absolutes,
                               const ft_size slots, const int l1)
{
#pragma GCC ivdep
    for (ft_size l = 0; l < slots; l++) {
        const ft_size k = first + l;
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

/* v += move x, and the norms of the touched weights of slots that move. */
FT_INLINE void FT(lines_move)(FT_REAL *weights, ft_size n, double *c, const FT(sgd_places) at,
                              const FT(sgd_sparse_row) *row, const FT(sgd_sparse_row) *ahead, const int wide,
                              const int vectors, const int rests, const int l1)
{
    const int32_t *i32 = row->i32;
    const int64_t *i64 = row->i64;
    FT(sgd_pass) square[4] = {{{{0}}, {{0}}}}, absolute[4] = {{{{0}}, {{0}}}}, move;
#define FT_MOVE_IN(part, u, slot) FT_FROM_COLUMN(move.part[u], &FT_COLUMN(move)[slot])
#define FT_MOVE(part, u, place)                                                                                   \
    do {                                                                                                          \
        FT_VECTOR_OF(part) v;                                                                                     \
        memcpy(&v, weights + (place), sizeof v);                                                                  \
        v += move.part[u] * x;                                                                                    \
        memcpy(weights + (place), &v, sizeof v);                                                                  \
        square[i].part[u] += v * v;                                                                               \
        if (l1)                                                                                                   \
            absolute[i].part[u] += FT_SELECTED(v < 0, -v, v);                                                     \
    } while (0)
#define FT_NORMS_OUT(part, u, slot)                                                                               \
    do {                                                                                                          \
        double squares[FT_VECTOR_BYTES / sizeof(FT_REAL)], absolutes[FT_VECTOR_BYTES / sizeof(FT_REAL)];          \
        const FT_VECTOR_OF(part)                                                                                  \
            all = (square[0].part[u] + square[1].part[u]) + (square[2].part[u] + square[3].part[u]),              \
            all_absolute =                                                                                        \
                (absolute[0].part[u] + absolute[1].part[u]) + (absolute[2].part[u] + absolute[3].part[u]);        \
        FT_TO_COLUMN(squares, all);                                                                               \
        FT_TO_COLUMN(absolutes, all_absolute);                                                                    \
        FT(lines_norms)(n, c, slot, squares, absolutes, (ft_size)(sizeof all / sizeof(FT_REAL)), l1);             \
    } while (0)
    FT_OF_COLUMNS(FT_MOVE_IN);
    ft_size j = 0;
    for (; j + 4 <= row->nnz; j += 4)
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            const FT_REAL x = row->values[j + i];
            FT(prefetch_line)(weights, at, ahead, j + i, wide, vectors, rests);
            FT_OF_FEATURE(FT_MOVE, FT_INDEX(j + i));
        }
    for (; j < row->nnz; j++) {
        const int i = 0;
        const FT_REAL x = row->values[j];
        FT(prefetch_line)(weights, at, ahead, j, wide, vectors, rests);
        FT_OF_FEATURE(FT_MOVE, FT_INDEX(j));
    }
    FT_OF_COLUMNS(FT_NORMS_OUT);
#undef FT_MOVE_IN
#undef FT_MOVE
#undef FT_NORMS_OUT
}

/* Cuts the touched weights down to the L1 penalty that they could have had; a slot without one has u = 0. */
FT_INLINE void FT(lines_penalty)(const ft_sgd *s, ft_size n, double *c, const FT(sgd_places) at,
                                 const FT(sgd_sparse_row) *row, const int wide, const int vectors, const int rests)
{
    const int32_t *i32 = row->i32;
    const int64_t *i64 = row->i64;
    FT_REAL *weights = (FT_REAL *)s->weights, *penalties = (FT_REAL *)s->q;
    FT(sgd_pass) could, scale, inverse, check = {{{0}}, {{0}}};
    /* nothing may come to the weights of a candidate that has ended */
#define FT_PENALTY_IN(part, u, slot)                                                                              \
    do {                                                                                                          \
        double scales[sizeof(could.part[u]) / sizeof(FT_REAL)], inverses[sizeof(could.part[u]) / sizeof(FT_REAL)]; \
        for (ft_size l = 0; l < (ft_size)(sizeof(could.part[u]) / sizeof(FT_REAL)); l++) {                        \
            const ft_size k = (slot) + l;                                                                         \
            scales[l] = ft_sgd_select(k < s->n_slots, FT_COLUMN(wscale)[k], 0);                                   \
            inverses[l] = ft_sgd_select(k < s->n_slots, 1.0 / FT_COLUMN(wscale)[k], 0);                           \
        }                                                                                                         \
        FT_FROM_COLUMN(could.part[u], &FT_COLUMN(u)[slot]);                                                       \
        FT_FROM_COLUMN(scale.part[u], scales);                                                                    \
        FT_FROM_COLUMN(inverse.part[u], inverses);                                                                \
    } while (0)
#define FT_CUT(part, u, place)                                                                                    \
    do {                                                                                                          \
        const FT_VECTOR_OF(part) zero = {0};                                                                      \
        FT_VECTOR_OF(part) v, have;                                                                               \
        memcpy(&v, weights + (place), sizeof v);                                                                  \
        memcpy(&have, penalties + (place), sizeof have);                                                          \
        FT_VECTOR_OF(part) down = v - (could.part[u] + have) * inverse.part[u];                                   \
        FT_VECTOR_OF(part) up = v + (could.part[u] - have) * inverse.part[u];                                     \
        down = FT_SELECTED(down > zero, down, zero);                                                              \
        up = FT_SELECTED(up < zero, up, zero);                                                                    \
        const FT_VECTOR_OF(part) upward = FT_SELECTED(v < zero, up, v), cut = FT_SELECTED(v > zero, down, upward); \
        have += scale.part[u] * (cut - v);                                                                        \
        memcpy(penalties + (place), &have, sizeof have);                                                          \
        memcpy(weights + (place), &cut, sizeof cut);                                                              \
        check.part[u] += cut * 0;                                                                                 \
    } while (0)
#define FT_CHECK_OUT(part, u, slot)                                                                               \
    do {                                                                                                          \
        double checks[sizeof(check.part[u]) / sizeof(FT_REAL)];                                                   \
        FT_TO_COLUMN(checks, check.part[u]);                                                                      \
        for (ft_size l = 0; l < (ft_size)(sizeof(check.part[u]) / sizeof(FT_REAL)); l++)                          \
            FT_COLUMN(check)[(slot) + l] += checks[l];                                                            \
    } while (0)
    FT_OF_COLUMNS(FT_PENALTY_IN);
    for (ft_size j = 0; j < row->nnz; j++)
        FT_OF_FEATURE(FT_CUT, FT_INDEX(j));
    FT_OF_COLUMNS(FT_CHECK_OUT);
#undef FT_PENALTY_IN
#undef FT_CUT
#undef FT_CHECK_OUT
}

/* The averages of a pass. */
FT_INLINE void FT(lines_average)(const ft_sgd *s, ft_size n, double *c, const FT(sgd_places) at,
                                 const FT(sgd_sparse_row) *row, const int wide, const int vectors, const int rests)
{
    const int32_t *i32 = row->i32;
    const int64_t *i64 = row->i64;
    FT_REAL *averages = (FT_REAL *)s->averages;
    FT(sgd_pass) move;
#define FT_MOVE_IN(part, u, slot) FT_FROM_COLUMN(move.part[u], &FT_COLUMN(average_move)[slot])
#define FT_MOVE(part, u, place)                                                                                   \
    do {                                                                                                          \
        FT_VECTOR_OF(part) v;                                                                                     \
        memcpy(&v, averages + (place), sizeof v);                                                                 \
        v += move.part[u] * row->values[j];                                                                       \
        memcpy(averages + (place), &v, sizeof v);                                                                 \
    } while (0)
    FT_OF_COLUMNS(FT_MOVE_IN);
    for (ft_size j = 0; j < row->nnz; j++)
        FT_OF_FEATURE(FT_MOVE, FT_INDEX(j));
#undef FT_MOVE_IN
#undef FT_MOVE
}

/* What the averages of all slots move by; 0 when none moves. */
FT_INLINE int FT(lines_average_moves)(const ft_sgd *s, ft_size n, double *c)
{
    int moved = 0;
    for (ft_size k = s->n_slots; k < n; k++)
        FT_COLUMN(average_move)[k] = 0;
    for (ft_size k = 0; k < s->n_slots; k++) {
        FT_COLUMN(average_move)[k] = FT(sgd_average_step)(n, c, k, s->t);
        moved |= FT_COLUMN(average_move)[k] != 0;
    }
    return moved;
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

/* Rows position .. end of the epoch's order. The slots of a line and of a rest are constants where there is a loop for them. */
FT_INLINE void FT(sgd_lines_loop)(ft_sgd *s, ft_size end, const ft_size n, const ft_size line, const ft_size rest,
                                  const int wide)
{
    double *c = s->columns;
    FT_REAL *weights = (FT_REAL *)s->weights;
    for (ft_size i = s->position; i < end; i++) {
        const ft_size number = s->training[i];
        const FT(sgd_sparse_row) row = FT(sparse_row)(&s->X, number, wide);
        FT(sgd_sparse_row) ahead = FT(sparse_row)(&s->X, s->training[i + 2], wide);
        if (ahead.nnz == 0)
            ahead = row;
        FT(prefetch_sparse)(s, i, wide);
#define FT_DOT_PASS(at, vectors, rests) FT(lines_dot)(weights, at, &row, wide, vectors, rests, &FT_COLUMN(dot)[0])
        FT_LINE_PASSES(s, line, rest, FT_DOT_PASS);
        FT(lines_add_norms)(s, n, c);
        const double row_square = s->aggressive ? FT(sparse_square)(row.values, row.nnz) : 1;
        if (!FT(sgd_scalars_many)(s, n, c, number, s->t, row_square))
            continue;
        if (FT(lines_moves)(s, n, c)) {
#define FT_MOVE_PASS(at, vectors, rests) FT(lines_move)(weights, n, c, at, &row, &ahead, wide, vectors, rests, 0)
#define FT_MOVE_L1_PASS(at, vectors, rests) FT(lines_move)(weights, n, c, at, &row, &ahead, wide, vectors, rests, 1)
            if (s->with_l1)
                FT_LINE_PASSES(s, line, rest, FT_MOVE_L1_PASS);
            else
                FT_LINE_PASSES(s, line, rest, FT_MOVE_PASS);
        }
#define FT_AVERAGE_PASS(at, vectors, rests) FT(lines_average)(s, n, c, at, &row, wide, vectors, rests)
        if (s->with_average && FT(lines_average_moves)(s, n, c))
            FT_LINE_PASSES(s, line, rest, FT_AVERAGE_PASS);
#define FT_PENALTY_PASS(at, vectors, rests) FT(lines_penalty)(s, n, c, at, &row, wide, vectors, rests)
        if (s->with_l1)
            FT_LINE_PASSES(s, line, rest, FT_PENALTY_PASS);
        s->t += 1;
    }
    s->position = end;
}

#define FT_SGD_LINES(name, n, line, rest, wide)                                                                   \
    static __attribute__((noinline)) void FT(name)(ft_sgd *s, ft_size end)                                        \
    {                                                                                                             \
        FT(sgd_lines_loop)(s, end, n, line, rest, wide);                                                          \
    }
FT_SGD_LINES(sgd_lines_of_one_block, FT_LANE_BLOCK, FT_LANE_BLOCK, 0, 0)
FT_SGD_LINES(sgd_lines_and_a_quarter, 2 * FT_LANE_BLOCK, FT_LANE_BLOCK, FT_REST_LANES, 0)
FT_SGD_LINES(sgd_lines_and_a_half, 2 * FT_LANE_BLOCK, FT_LANE_BLOCK, 2 * FT_REST_LANES, 0)
FT_SGD_LINES(sgd_lines_of_two_blocks, 2 * FT_LANE_BLOCK, 2 * FT_LANE_BLOCK, 0, 0)
FT_SGD_LINES(sgd_lines32, s->n_padded, s->line, s->rest, 0)
FT_SGD_LINES(sgd_lines64, s->n_padded, s->line, s->rest, 1)
#undef FT_SGD_LINES

static void FT(sgd_lines)(ft_sgd *s, ft_size end)
{
    if (s->X.indices64)
        FT(sgd_lines64)(s, end);
    else if (s->line == FT_LANE_BLOCK && s->rest == 0)
        FT(sgd_lines_of_one_block)(s, end);
    else if (s->line == FT_LANE_BLOCK && s->rest == FT_REST_LANES)
        FT(sgd_lines_and_a_quarter)(s, end);
    else if (s->line == FT_LANE_BLOCK)
        FT(sgd_lines_and_a_half)(s, end);
    else if (s->line == 2 * FT_LANE_BLOCK && s->rest == 0)
        FT(sgd_lines_of_two_blocks)(s, end);
    else
        FT(sgd_lines32)(s, end);
}

/* The products of one row with the weights of all slots in use, into the column of predictions. */
static __attribute__((noinline)) void FT(lines_products)(const ft_sgd *s, const ft_sgd_rows *rows, ft_size number)
{
    const ft_size n = s->n_padded;
    double *c = s->columns;
    const FT_REAL *weights = (const FT_REAL *)s->weights;
#define FT_PRODUCT_PASS(at, vectors, rests)                                                                       \
    FT(lines_dot)(weights, at, &row, wide, vectors, rests, &FT_COLUMN(prediction)[0])
    if (rows->indices64) {
        const int wide = 1;
        const FT(sgd_sparse_row) row = FT(sparse_row)(rows, number, wide);
        FT_LINE_PASSES(s, s->line, s->rest, FT_PRODUCT_PASS);
    } else {
        const int wide = 0;
        const FT(sgd_sparse_row) row = FT(sparse_row)(rows, number, wide);
        FT_LINE_PASSES(s, s->line, s->rest, FT_PRODUCT_PASS);
    }
}

#undef FT_DOT_PASS
#undef FT_MOVE_PASS
#undef FT_MOVE_L1_PASS
#undef FT_AVERAGE_PASS
#undef FT_PENALTY_PASS
#undef FT_PRODUCT_PASS
#undef FT_LINE_PASSES
#undef FT_OF_FEATURE
#undef FT_OF_COLUMNS
#undef FT_VECTOR_OF
#undef FT_SELECTED
#undef FT_FROM_COLUMN
#undef FT_TO_COLUMN
#undef FT_REST_LANES
