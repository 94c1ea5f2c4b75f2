/* Vectors of one real type, rows of a matrix, and their dot product. */

typedef FT_REAL FT(vector) __attribute__((vector_size(FT_VECTOR_BYTES)));
#if FT_IS_DOUBLE
typedef int64_t FT(lane_mask) __attribute__((vector_size(FT_VECTOR_BYTES)));
#define FT_RESET_WSCALE 1e-9
#else
typedef int32_t FT(lane_mask) __attribute__((vector_size(FT_VECTOR_BYTES)));
#define FT_RESET_WSCALE 1e-6
#endif
#if FT_VECTOR_BYTES == 64 && FT_IS_DOUBLE
#define FT_X86(name) _mm512_##name##_pd
#elif FT_VECTOR_BYTES == 64
#define FT_X86(name) _mm512_##name##_ps
#elif FT_VECTOR_BYTES == 32 && FT_IS_DOUBLE
#define FT_X86(name) _mm256_##name##_pd
#elif FT_VECTOR_BYTES == 32
#define FT_X86(name) _mm256_##name##_ps
#elif FT_IS_DOUBLE
#define FT_X86(name) _mm_##name##_pd
#else
#define FT_X86(name) _mm_##name##_ps
#endif
typedef FT_REAL FT(vector16) __attribute__((vector_size(16)));

#define FT_LANES ((ft_size)(FT_VECTOR_BYTES / sizeof(FT_REAL)))
#define FT_LANE_BLOCK ((ft_size)(64 / sizeof(FT_REAL)))
#define FT_ROWS_AHEAD 16

FT_INLINE FT(vector) FT(load)(const FT_REAL *p)
{
    FT(vector) v;
    memcpy(&v, p, sizeof v);
    return v;
}

FT_INLINE void FT(store)(FT_REAL *p, FT(vector) v) { memcpy(p, &v, sizeof v); }

FT_INLINE FT(vector) FT(select)(FT(lane_mask) m, FT(vector) a, FT(vector) b)
{
    return (FT(vector))(((FT(lane_mask))a & m) | ((FT(lane_mask))b & ~m));
}

/* NaN in `a` comes out as NaN. By name where they have one: of a comparison and a choice the compiler makes more than one
 * instruction. */
#if defined(__x86_64__)
FT_INLINE FT(vector) FT(larger)(FT(vector) a, FT(vector) b) { return (FT(vector))FT_X86(max)(b, a); }

FT_INLINE FT(vector) FT(smaller)(FT(vector) a, FT(vector) b) { return (FT(vector))FT_X86(min)(b, a); }
#else
FT_INLINE FT(vector) FT(larger)(FT(vector) a, FT(vector) b) { return FT(select)(a < b, b, a); }

FT_INLINE FT(vector) FT(smaller)(FT(vector) a, FT(vector) b) { return FT(select)(a > b, b, a); }
#endif

FT_INLINE FT(vector) FT(absolute)(FT(vector) v)
{
    const FT(vector) sign = -(FT(vector)){0};
    return (FT(vector))((FT(lane_mask))v & ~(FT(lane_mask))sign);
}

FT_INLINE FT(vector) FT(keep)(FT(vector) v, FT(lane_mask) m) { return (FT(vector))((FT(lane_mask))v & m); }

/* All ones in the first n lanes. */
FT_INLINE FT(lane_mask) FT(first_lanes)(ft_size n)
{
    FT(lane_mask) m;
    for (ft_size i = 0; i < FT_LANES; i++)
        m[i] = i < n ? -1 : 0;
    return m;
}

/* The last vector of a row, zeros after the row's end. A load that ends with the row is turned into place, because one that
 * begins at the last vector's place would wait for a cache line of another row. */
typedef struct {
    FT(lane_mask) keep;
    FT(lane_mask) turn;
    ft_size n;
} FT(tail);

FT_INLINE FT(tail) FT(tail_of)(ft_size n)
{
    FT(lane_mask) turn = {0};
    for (ft_size i = 0; i < FT_LANES; i++)
        turn[i] = (i + FT_LANES - n % FT_LANES) % FT_LANES;
    const FT(tail) tail = {FT(first_lanes)((n - 1) % FT_LANES + 1), turn, n};
    return tail;
}

FT_INLINE FT(vector) FT(load_tail)(const FT_REAL *row, const FT(tail) *tail)
{
#if FT_SGD_HAS_TURN
    if (tail->n >= FT_LANES)
        return FT(keep)(__builtin_shuffle(FT(load)(row + tail->n - FT_LANES), tail->turn), tail->keep);
#endif
    return FT(keep)(FT(load)(row + (tail->n - 1) / FT_LANES * FT_LANES), tail->keep);
}

/* Sum of the lanes, halves folded onto each other. */
#if FT_SGD_HAS_SHUFFLE
typedef FT_REAL FT(vector32) __attribute__((vector_size(32)));

FT_INLINE FT_REAL FT(sum16)(FT(vector16) v)
{
#if FT_IS_DOUBLE
    return v[0] + v[1];
#else
    const FT(vector16) pair = v + __builtin_shufflevector(v, v, 2, 3, 2, 3);
    return pair[0] + pair[1];
#endif
}

FT_INLINE FT_REAL FT(sum)(FT(vector) v)
{
#if FT_VECTOR_BYTES == 16
    return FT(sum16)(v);
#else
#if FT_VECTOR_BYTES == 64 && FT_IS_DOUBLE
    const FT(vector32) half = __builtin_shufflevector(v, v, 0, 1, 2, 3) + __builtin_shufflevector(v, v, 4, 5, 6, 7);
#elif FT_VECTOR_BYTES == 64
    const FT(vector32) half = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
                              __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
#else
    const FT(vector32) half = v;
#endif
#if FT_IS_DOUBLE
    return FT(sum16)(__builtin_shufflevector(half, half, 0, 1) + __builtin_shufflevector(half, half, 2, 3));
#else
    return FT(sum16)(__builtin_shufflevector(half, half, 0, 1, 2, 3) + __builtin_shufflevector(half, half, 4, 5, 6, 7));
#endif
#endif
}
#else
FT_INLINE FT_REAL FT(sum)(FT(vector) v)
{
    FT_REAL a[FT_VECTOR_BYTES / sizeof(FT_REAL)];
    memcpy(a, &v, sizeof v);
    for (ft_size half = FT_LANES / 2; half > 0; half /= 2)
        for (ft_size i = 0; i < half; i++)
            a[i] += a[i + half];
    return a[0];
}
#endif

FT_INLINE FT_REAL *FT(lanes_of)(const ft_sgd *s, ft_size candidate)
{
    return (FT_REAL *)s->lanes + candidate * 4 * FT_LANE_BLOCK;
}

/* Whether slots are lanes; where the weights of slot k begin, its average and penalties as well; and from one to the next. */
FT_INLINE int FT(sgd_interleaved)(const ft_sgd *s) { return s->line + s->rest > 0; }

#define FT_SGD_FIRST(k)                                                                                           \
    (!FT(sgd_interleaved)(s) ? FT_CANDIDATE(k) * s->stride                                                        \
     : (k) < s->line         ? (k)                                                                                \
                             : s->line * s->n_features + (k) - s->line)

FT_INLINE ft_size FT(sgd_spacing)(const ft_sgd *s, ft_size k)
{
    return !FT(sgd_interleaved)(s) ? 1 : k < s->line ? s->line : s->rest;
}

FT_INLINE const FT_REAL *FT(dense_row)(const ft_sgd_rows *rows, ft_size row, ft_size n_features, ft_size stride)
{
    if (row < rows->tail_start)
        return (const FT_REAL *)rows->values + row * n_features;
    return (const FT_REAL *)rows->tail + (row - rows->tail_start) * stride;
}

FT_INLINE FT_REAL FT(dense_dot)(const FT_REAL *w, const FT_REAL *x, ft_size n, const FT(tail) *tail)
{
    FT(vector) acc0 = {0}, acc1 = {0}, acc2 = {0}, acc3 = {0};
    ft_size j = 0;
    for (; j + 4 * FT_LANES <= n; j += 4 * FT_LANES) {
        acc0 += FT(load)(w + j) * FT(load)(x + j);
        acc1 += FT(load)(w + j + FT_LANES) * FT(load)(x + j + FT_LANES);
        acc2 += FT(load)(w + j + 2 * FT_LANES) * FT(load)(x + j + 2 * FT_LANES);
        acc3 += FT(load)(w + j + 3 * FT_LANES) * FT(load)(x + j + 3 * FT_LANES);
    }
    for (; j + FT_LANES <= n; j += FT_LANES)
        acc0 += FT(load)(w + j) * FT(load)(x + j);
    if (j < n)
        acc1 += FT(load)(w + j) * FT(load_tail)(x, tail);
    return FT(sum)((acc0 + acc1) + (acc2 + acc3));
}
