/* Steps on CSR rows. */

/* Rows that are asked for ahead, of one model and of lines. A row of one model that is no longer than so many bytes
 * goes into the first-level cache, where four of them leave most of it to the weights, all else into the second. */
#define FT_SPARSE_NEAR_ROWS_AHEAD 4
#define FT_SPARSE_ROWS_AHEAD 8
#define FT_SPARSE_NEAR_BYTES 4096
#define FT_INDEX(j) (wide ? (ft_size)i64[j] : (ft_size)i32[j])

#if FT_VECTOR_BYTES >= 32
/* Four values of a row beside four weights: the load of a real costs as much as that of a vector, and there are two a
 * cycle. */
typedef FT_REAL FT(four) __attribute__((vector_size(4 * sizeof(FT_REAL))));
typedef double FT(four_wide) __attribute__((vector_size(4 * sizeof(double))));

#define FT_FOUR(name) (FT(four_wide))_mm256_##name##_pd
#define FT_GATHERED(w, j)                                                                                         \
    ((FT(four)){(w)[FT_INDEX(j)], (w)[FT_INDEX((j) + 1)], (w)[FT_INDEX((j) + 2)], (w)[FT_INDEX((j) + 3)]})
#if FT_IS_DOUBLE
#define FT_WIDENED(v) (v)
#define FT_NARROWED(v) (v)
#else
#define FT_WIDENED(v) __builtin_convertvector(v, FT(four_wide))
#define FT_NARROWED(v) __builtin_convertvector(v, FT(four))
#endif
#endif

/* Four partial sums, because one would wait four cycles for each product. */
FT_INLINE double FT(sparse_dot)(const FT_REAL *w, const FT_REAL *x, const int32_t *i32, const int64_t *i64, ft_size nnz,
                                const int wide)
{
    ft_size j = 0;
#if FT_VECTOR_BYTES >= 32
    FT(four_wide) sums = {0};
    for (; j + 4 <= nnz; j += 4) {
        FT(four) values;
        memcpy(&values, x + j, sizeof values);
        const FT(four) products = FT_GATHERED(w, j) * values;
        sums += FT_WIDENED(products);
    }
#else
    double sums[4] = {0};
    for (; j + 4 <= nnz; j += 4)
        for (ft_size i = 0; i < 4; i++)
            sums[i] += w[FT_INDEX(j + i)] * x[j + i];
#endif
    double sum0 = sums[0];
    for (; j < nnz; j++)
        sum0 += w[FT_INDEX(j)] * x[j];
    return (sum0 + sums[1]) + (sums[2] + sums[3]);
}

typedef struct {
    FT_REAL square, absolute;
} FT(sgd_norms);

/* v += move x; the norms of the touched weights, a repeated index counted each time, as scikit-learn counts them. */
FT_INLINE FT(sgd_norms) FT(sparse_move)(FT_REAL *w, const FT_REAL *x, const int32_t *i32, const int64_t *i64,
                                        ft_size nnz, const int wide, FT_REAL move, const int l1)
{
    FT_REAL square[4] = {0}, absolute[4] = {0};
    ft_size j = 0;
    for (; j + 4 <= nnz; j += 4)
        for (ft_size i = 0; i < 4; i++) {
            FT_REAL *weight = w + FT_INDEX(j + i);
            const FT_REAL v = *weight + move * x[j + i];
            *weight = v;
            square[i] += v * v;
            if (l1)
                absolute[i] += (FT_REAL)__builtin_fabs(v);
        }
    for (; j < nnz; j++) {
        FT_REAL *weight = w + FT_INDEX(j);
        const FT_REAL v = *weight + move * x[j];
        *weight = v;
        square[0] += v * v;
        if (l1)
            absolute[0] += (FT_REAL)__builtin_fabs(v);
    }
    const FT(sgd_norms) norms = {(square[0] + square[1]) + (square[2] + square[3]),
                                 (absolute[0] + absolute[1]) + (absolute[2] + absolute[3])};
    return norms;
}

/* Cuts the touched weights down to the L1 penalty that they could have had. Returns 0 when all of them are finite.
 * Which side of 0 a weight is on is no branch: it would be guessed wrong as often as the weights are mixed. Fours are cut as
 * in sgd_cut. Four weights are read before the first is written, because a second cut of the same weight takes nothing more
 * away. */
FT_INLINE double FT(sparse_penalty)(FT_REAL *w, FT_REAL *q, const int32_t *i32, const int64_t *i64, ft_size nnz,
                                    const int wide, double u, double wscale)
{
    const double inverse = 1.0 / wscale;
    double check = 0;
    ft_size j = 0;
#if FT_VECTOR_BYTES >= 32
    const FT(four_wide) zero = {0};
    FT(four_wide) checks = {0};
    for (; j + 4 <= nnz; j += 4) {
        const FT(four) weights = FT_GATHERED(w, j), penalties = FT_GATHERED(q, j);
        const FT(four_wide) v = FT_WIDENED(weights), have = FT_WIDENED(penalties);
        const FT(four_wide) low = FT_FOUR(min)(zero, have - u) * inverse, high = FT_FOUR(max)(zero, have + u) * inverse;
        /* of NaN and a bound the second is taken: the weight */
        const FT(four) cut = FT_NARROWED(v - FT_FOUR(min)(high, FT_FOUR(max)(low, v)));
        const FT(four_wide) rounded = FT_WIDENED(cut), had = have + wscale * (rounded - v);
        const FT(four) had_rounded = FT_NARROWED(had);
        for (ft_size i = 0; i < 4; i++) {
            w[FT_INDEX(j + i)] = cut[i];
            q[FT_INDEX(j + i)] = had_rounded[i];
        }
        checks += rounded * 0;
    }
    check = (checks[0] + checks[1]) + (checks[2] + checks[3]);
#endif
    for (; j < nnz; j++) {
        const ft_size at = FT_INDEX(j);
        const double v = w[at], have = q[at];
        double cut = v;
        if (v > 0)
            cut = ft_max_f64(v - (u + have) * inverse, 0);
        else if (v < 0)
            cut = ft_min_f64(v + (u - have) * inverse, 0);
        w[at] = (FT_REAL)cut;
        q[at] = (FT_REAL)(have + wscale * (w[at] - v));
        check += w[at] * 0;
    }
    return check;
}

FT_INLINE double FT(sparse_square)(const FT_REAL *x, ft_size nnz)
{
    double sum = 0;
    for (ft_size j = 0; j < nnz; j++)
        sum += (double)x[j] * x[j];
    return sum;
}

FT_INLINE void FT(prefetch_cells)(const ft_sgd *s, ft_size start, ft_size end, const int wide, const int first_level)
{
    const FT_REAL *values = (const FT_REAL *)s->X.values;
    for (ft_size j = start; j < end; j += 64 / (ft_size)sizeof(FT_REAL))
        first_level ? __builtin_prefetch(values + j, 0, 3) : __builtin_prefetch(values + j, 0, 2);
    for (ft_size j = start; j < end; j += wide ? 8 : 16) {
        const void *indices = wide ? (const void *)(s->X.indices64 + j) : (const void *)(s->X.indices32 + j);
        first_level ? __builtin_prefetch(indices, 0, 3) : __builtin_prefetch(indices, 0, 2);
    }
}

/* The row `ahead` after row i of the order: its target, its values and its indices. */
FT_INLINE void FT(prefetch_sparse_ahead)(const ft_sgd *s, ft_size i, const int wide, const ft_size ahead,
                                         const int first_level)
{
    const ft_size row = s->training[i + ahead];
    const ft_size start = s->X.indptr[row], end = s->X.indptr[row + 1];
    __builtin_prefetch(s->X.indptr + s->training[i + 2 * ahead]);
    FT(prefetch_targets)(s, row);
    if (first_level && (end - start) * (ft_size)(sizeof(FT_REAL) + (wide ? 8 : 4)) <= FT_SPARSE_NEAR_BYTES)
        FT(prefetch_cells)(s, start, end, wide, 1);
    else
        FT(prefetch_cells)(s, start, end, wide, 0);
}

FT_INLINE void FT(prefetch_sparse)(const ft_sgd *s, ft_size i, const int wide)
{
    FT(prefetch_sparse_ahead)(s, i, wide, FT_SPARSE_ROWS_AHEAD, 0);
}

/* Rows position .. end of the epoch's order, for one model. */
FT_INLINE void FT(sgd_sparse_loop)(ft_sgd *s, ft_size end, double *c, const int wide)
{
    const ft_size n = 1, k = 0;
    const int32_t *training = s->training;
    const int64_t *indptr = s->X.indptr;
    const FT_REAL *values = (const FT_REAL *)s->X.values;
    FT_REAL *weights = (FT_REAL *)s->weights;
    for (ft_size i = s->position; i < end; i++) {
        const ft_size row = training[i], start = indptr[row], nnz = indptr[row + 1] - start;
        const FT_REAL *x = values + start;
        const int32_t *i32 = wide ? NULL : s->X.indices32 + start;
        const int64_t *i64 = wide ? s->X.indices64 + start : NULL;
        FT(prefetch_sparse_ahead)(s, i, wide, FT_SPARSE_NEAR_ROWS_AHEAD, 1);
        FT_COLUMN(dot)[k] = FT(sparse_dot)(weights, x, i32, i64, nnz, wide);
        FT_COLUMN(sum_square)[k] += FT_COLUMN(square_scale)[k] * FT_COLUMN(square)[k];
        if (s->with_l1)
            FT_COLUMN(sum_absolute)[k] += FT_COLUMN(abs_scale)[k] * FT_COLUMN(absolute)[k];
        if (!FT(sgd_scalars)(s, n, c, row, s->t, s->aggressive ? FT(sparse_square)(x, nnz) : 1))
            continue;
        if (__builtin_expect(FT_COLUMN(wscale)[k] < FT_RESET_WSCALE, 0))
            FT(sgd_reset_wscale)(s, n, c, k);
        const double wscale = FT_COLUMN(wscale)[k];
        if (FT_COLUMN(update)[k] != 0) {
            const FT_REAL move = (FT_REAL)(FT_COLUMN(update)[k] / wscale);
            const FT(sgd_norms) norms = s->with_l1 ? FT(sparse_move)(weights, x, i32, i64, nnz, wide, move, 1)
                                                   : FT(sparse_move)(weights, x, i32, i64, nnz, wide, move, 0);
            FT_COLUMN(square)[k] = norms.square;
            FT_COLUMN(absolute)[k] = norms.absolute;
            FT_COLUMN(square_scale)[k] = wscale * wscale;
            FT_COLUMN(abs_scale)[k] = wscale;
            FT_COLUMN(check)[k] += norms.square * 0;
        }
        if (s->with_average) {
            const FT_REAL move = FT(sgd_average_step)(n, c, k, s->t);
            FT_REAL *averages = (FT_REAL *)s->averages;
            if (move != 0)
                for (ft_size j = 0; j < nnz; j++)
                    averages[FT_INDEX(j)] += move * x[j];
        }
        if (s->with_l1)
            FT_COLUMN(check)[k] += FT(sparse_penalty)(weights, (FT_REAL *)s->q, i32, i64, nnz, wide, FT_COLUMN(u)[k],
                                                      wscale);
        s->t += 1;
    }
    s->position = end;
}
