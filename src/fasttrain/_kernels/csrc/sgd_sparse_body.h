/* Steps on CSR rows. */

/* Rows that are asked for ahead, into the second-level cache: the first is for weights. */
#define FT_SPARSE_ROWS_AHEAD 8
#define FT_INDEX(j) (wide ? (ft_size)i64[j] : (ft_size)i32[j])

/* Four partial sums, because one would wait four cycles for each product. */
FT_INLINE double FT(sparse_dot)(const FT_REAL *w, const FT_REAL *x, const int32_t *i32, const int64_t *i64, ft_size nnz,
                                const int wide)
{
    double sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;
    ft_size j = 0;
    for (; j + 4 <= nnz; j += 4) {
        sum0 += w[FT_INDEX(j)] * x[j];
        sum1 += w[FT_INDEX(j + 1)] * x[j + 1];
        sum2 += w[FT_INDEX(j + 2)] * x[j + 2];
        sum3 += w[FT_INDEX(j + 3)] * x[j + 3];
    }
    for (; j < nnz; j++)
        sum0 += w[FT_INDEX(j)] * x[j];
    return (sum0 + sum1) + (sum2 + sum3);
}

/* v += move x; the norms of the touched weights, a repeated index counted each time, as scikit-learn counts them. */
FT_INLINE void FT(sparse_move)(FT_REAL *w, FT_REAL *lanes, const FT_REAL *x, const int32_t *i32, const int64_t *i64,
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
                absolute[i] += v < 0 ? -v : v;
        }
    for (; j < nnz; j++) {
        FT_REAL *weight = w + FT_INDEX(j);
        const FT_REAL v = *weight + move * x[j];
        *weight = v;
        square[0] += v * v;
        if (l1)
            absolute[0] += v < 0 ? -v : v;
    }
    lanes[0] = (square[0] + square[1]) + (square[2] + square[3]);
    lanes[FT_LANE_BLOCK] = (absolute[0] + absolute[1]) + (absolute[2] + absolute[3]);
    /* The first fit's norm of initial weights was spread over the lanes. */
    for (ft_size i = 1; i < FT_LANE_BLOCK; i++)
        lanes[i] = lanes[FT_LANE_BLOCK + i] = 0;
}

/* Cuts the touched weights down to the L1 penalty that they could have had. Returns 0 when all of them are finite. */
FT_INLINE double FT(sparse_penalty)(FT_REAL *w, FT_REAL *q, const int32_t *i32, const int64_t *i64, ft_size nnz,
                                    const int wide, double u, double wscale)
{
    const double inverse = 1.0 / wscale;
    double check = 0;
    for (ft_size j = 0; j < nnz; j++) {
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

/* The row FT_ROWS_AHEAD after row i of the order: its target, its values and its indices. */
FT_INLINE void FT(prefetch_sparse)(const ft_sgd *s, ft_size i, const int wide)
{
    const ft_size row = s->training[i + FT_SPARSE_ROWS_AHEAD];
    const ft_size start = s->X.indptr[row], end = s->X.indptr[row + 1];
    const FT_REAL *values = (const FT_REAL *)s->X.values;
    __builtin_prefetch(s->X.indptr + s->training[i + 2 * FT_SPARSE_ROWS_AHEAD]);
    FT(prefetch_targets)(s, row);
    for (ft_size j = start; j < end; j += 64 / (ft_size)sizeof(FT_REAL))
        __builtin_prefetch(values + j, 0, 2);
    for (ft_size j = start; j < end; j += wide ? 8 : 16)
        __builtin_prefetch(wide ? (const void *)(s->X.indices64 + j) : (const void *)(s->X.indices32 + j), 0, 2);
}

/* Rows position .. end of the epoch's order, for one model. */
FT_INLINE void FT(sgd_sparse_loop)(ft_sgd *s, ft_size end, double *c, const int wide)
{
    const ft_size n = 1, k = 0;
    const int32_t *training = s->training;
    const int64_t *indptr = s->X.indptr;
    const FT_REAL *values = (const FT_REAL *)s->X.values;
    FT_REAL *weights = (FT_REAL *)s->weights, *lanes = (FT_REAL *)s->lanes;
    for (ft_size i = s->position; i < end; i++) {
        const ft_size row = training[i], start = indptr[row], nnz = indptr[row + 1] - start;
        const FT_REAL *x = values + start;
        const int32_t *i32 = wide ? NULL : s->X.indices32 + start;
        const int64_t *i64 = wide ? s->X.indices64 + start : NULL;
        FT(prefetch_sparse)(s, i, wide);
        FT_COLUMN(dot)[k] = FT(sparse_dot)(weights, x, i32, i64, nnz, wide);
        FT(sgd_add_norms)(lanes, FT_COLUMN(square_scale)[k], FT_COLUMN(abs_scale)[k], s->with_l1);
        if (!FT(sgd_scalars)(s, n, c, row, s->t, s->aggressive ? FT(sparse_square)(x, nnz) : 1))
            continue;
        if (__builtin_expect(FT_COLUMN(wscale)[k] < FT_RESET_WSCALE, 0))
            FT(sgd_reset_wscale)(s, n, c, k);
        const double wscale = FT_COLUMN(wscale)[k];
        if (FT_COLUMN(update)[k] != 0) {
            const FT_REAL move = (FT_REAL)(FT_COLUMN(update)[k] / wscale);
            if (s->with_l1)
                FT(sparse_move)(weights, lanes, x, i32, i64, nnz, wide, move, 1);
            else
                FT(sparse_move)(weights, lanes, x, i32, i64, nnz, wide, move, 0);
            FT_COLUMN(square_scale)[k] = wscale * wscale;
            FT_COLUMN(abs_scale)[k] = wscale;
            FT_COLUMN(check)[k] += lanes[0] * 0;
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
