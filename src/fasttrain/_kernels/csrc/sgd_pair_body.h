/* Two ordinary dense fits side by side in one thread.
 *
 * From one prediction of a fit to the next there is a chain of steps that leaves most of the processor idle; two fits have two
 * of them. Each does what it does alone, block by block, so that its bytes do not say whether it had company. */

/* Steps on the rows up to the ends, or up to blocks of different lengths. n_vectors is a constant above 0. */
FT_INLINE void FT(sgd_pair_loop)(ft_sgd *s, ft_sgd *other, ft_size end, ft_size other_end, double *c, double *other_c,
                                 const int loss, const int n_vectors)
{
    const FT(sgd_road) road = FT(sgd_road_of)(s, c, n_vectors), other_road = FT(sgd_road_of)(other, other_c, n_vectors);
    FT(sgd_block) block, other_block;
    FT(sgd_block_start) start, other_start;
    FT(sgd_chain) chain, other_chain;
    ft_size first = s->position, other_first = other->position;
    memset(block.prediction, 0, sizeof block.prediction);
    memset(other_block.prediction, 0, sizeof other_block.prediction);
    FT(sgd_chain_begin)(&chain, s, c, &road, n_vectors);
    FT(sgd_chain_begin)(&other_chain, other, other_c, &other_road, n_vectors);
    while (first < end && other_first < other_end) {
        const int32_t *order = s->training + first, *other_order = other->training + other_first;
        FT(sgd_chain_plan)(&chain, s, c, &block, &start, first, end, n_vectors, 0);
        FT(sgd_chain_plan)(&other_chain, other, other_c, &other_block, &other_start, other_first, other_end, n_vectors,
                           0);
        if (block.length != other_block.length)
            break;
        for (ft_size i = 0; i < block.length; i++) {
            FT(sgd_chain_step)(&chain, s, c, &road, &block, order, i, loss, 0, n_vectors, 0, 2);
            FT(sgd_chain_step)(&other_chain, other, other_c, &other_road, &other_block, other_order, i, loss, 0, n_vectors,
                               0, 2);
        }
        FT(sgd_chain_note)(&chain, s, c, &road, &block, &start, first, n_vectors, 0);
        FT(sgd_chain_note)(&other_chain, other, other_c, &other_road, &other_block, &other_start, other_first, n_vectors,
                           0);
        first += block.length;
        other_first += block.length;
    }
    FT(sgd_chain_end)(&chain, s, c, &road, first, 0, n_vectors);
    FT(sgd_chain_end)(&other_chain, other, other_c, &other_road, other_first, 0, n_vectors);
}

#if FT_SGD_PAIR_VECTORS == 10
#define FT_SGD_PAIR_WIDTHS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10)
#else
#define FT_SGD_PAIR_WIDTHS(X) X(1) X(2) X(3) X(4)
#endif

/* A loop for each loss: the numbers that each step waits for stay in registers only where there is no choice between losses. */
#define FT_SGD_WIDTH(n_vectors)                                                                                   \
    static __attribute__((noinline)) void FT(sgd_pair_##n_vectors)(ft_sgd *s, ft_sgd *other, ft_size end,         \
                                                                   ft_size other_end)                             \
    {                                                                                                             \
        double c[FT_SGD_N_COLUMNS], other_c[FT_SGD_N_COLUMNS];                                                    \
        memcpy(c, s->columns, sizeof c);                                                                          \
        memcpy(other_c, other->columns, sizeof other_c);                                                          \
        if (s->loss == FT_LOSS_hinge)                                                                             \
            FT(sgd_pair_loop)(s, other, end, other_end, c, other_c, FT_LOSS_hinge, n_vectors);                    \
        else                                                                                                      \
            FT(sgd_pair_loop)(s, other, end, other_end, c, other_c, FT_LOSS_binary_crossentropy, n_vectors);      \
        memcpy(s->columns, c, sizeof c);                                                                          \
        memcpy(other->columns, other_c, sizeof other_c);                                                          \
    }
FT_SGD_PAIR_WIDTHS(FT_SGD_WIDTH)

/* Steps of both fits up to their ends. */
static void FT(sgd_pair)(ft_sgd *s, ft_sgd *other, ft_size end, ft_size other_end)
{
    switch ((s->n_features + FT_LANES - 1) / FT_LANES) {
#define FT_SGD_WIDTH_CASE(n_vectors)                                                                              \
    case n_vectors:                                                                                               \
        FT(sgd_pair_##n_vectors)(s, other, end, other_end);                                                       \
        break;
        FT_SGD_PAIR_WIDTHS(FT_SGD_WIDTH_CASE)
    default:
        break;
    }
    if (s->position < end)
        FT(sgd_single)(s, end);
    if (other->position < other_end)
        FT(sgd_single)(other, other_end);
}

#undef FT_SGD_WIDTH_CASE
#undef FT_SGD_WIDTH
#undef FT_SGD_PAIR_WIDTHS
#undef FT_SGD_WIDTHS
#undef FT_SGD_NOW_IN_REGISTERS
#undef FT_SGD_GRADIENT
#undef FT_SGD_LARGEST_PRODUCT
#undef FT_SGD_BLOCK_LOSS
