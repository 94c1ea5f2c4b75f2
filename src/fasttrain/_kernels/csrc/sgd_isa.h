/* Included once by each sgd_<instruction set>.c after its target pragma, with FT_ISA (its name) and FT_VECTOR_BYTES set. */
#include <math.h>

#include "kinds.h"
#include "scalar.h"
#include "sgd.h"

#if defined(__has_builtin)
#define FT_SGD_HAS_SHUFFLE __has_builtin(__builtin_shufflevector)
#else
#define FT_SGD_HAS_SHUFFLE 0
#endif

#if defined(__GNUC__) && !defined(__clang__)
#define FT_SGD_HAS_TURN 1
#else
#define FT_SGD_HAS_TURN 0
#endif

#define FT_SGD_STATUS_NOT_FINITE 3 /* STATUS_NOT_FINITE of types.pxd */

/* condition ? a : b without a branch. */
FT_INLINE double ft_sgd_select(int condition, double a, double b)
{
    int64_t a_bits, b_bits;
    memcpy(&a_bits, &a, sizeof a);
    memcpy(&b_bits, &b, sizeof b);
    const int64_t mask = -(int64_t)(condition != 0);
    const int64_t bits = (a_bits & mask) | (b_bits & ~mask);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* a <= b ? value : 0 by a mask, and 0 for NaN, as in scikit-learn's slopes: a branch on which side of a loss's corner a row is
 * would be guessed wrong as often as the data are mixed. */
FT_INLINE double ft_sgd_where_up_to(double a, double b, double value)
{
    typedef double pair __attribute__((vector_size(16)));
    typedef int64_t mask __attribute__((vector_size(16)));
    const pair left = {a, 0}, right = {b, 0}, kept = {value, 0};
    return ((pair)((mask)kept & (left <= right)))[0];
}

/* A product that must not become part of a fused multiply-add. */
FT_INLINE double ft_sgd_rounded(double x, const int single)
{
#if defined(__x86_64__)
    if (single)
        __asm__("" : "+x"(x));
#elif defined(__aarch64__)
    if (single)
        __asm__("" : "+w"(x));
#else
    (void)single;
#endif
    return x;
}

/* Losses whose gradient has no step: a prediction that is off by a rounding changes little. */
FT_INLINE int ft_sgd_is_smooth(int loss)
{
    return loss != FT_LOSS_hinge && loss != FT_LOSS_epsilon_insensitive && loss != FT_LOSS_quantile;
}

#define FT_SGD_FLUSH_ROWS 256

/* Vectors of a row whose weights stay in registers for two fits. */
#if FT_VECTOR_BYTES == 64
#define FT_SGD_PAIR_VECTORS 10
#else
#define FT_SGD_PAIR_VECTORS 4
#endif

/* scikit-learn's Fisher-Yates draws (a 32-bit xorshift, Marsaglia 2003), steps begin .. end, on a permutation of 0 .. n-1. */
static void ft_sgd_draw(int32_t *permutation, ft_size n, ft_size begin, ft_size end, uint32_t *state)
{
    uint32_t seed = *state ? *state : 1;
    for (ft_size i = begin; i < end; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        const ft_size j = i + (ft_size)((seed & 0x7fffffffu) % (uint32_t)(n - i));
        const int32_t held = permutation[i];
        permutation[i] = permutation[j];
        permutation[j] = held;
    }
    *state = seed;
}

/* Rows begin .. end of the next epoch's order. Every epoch draws from the same seed, so each shuffle is the same permutation
 * of the order before it. */
static void ft_sgd_next_order(ft_sgd *s, ft_size begin, ft_size end)
{
    if (s->shuffle)
        for (ft_size i = begin; i < end; i++)
            s->previous[i] = s->order[s->shuffling[i]];
    if (s->mask) {
        const int32_t *order = s->shuffle ? s->previous : s->order;
        ft_size length = s->n_training;
        for (ft_size i = begin; i < end; i++) {
            s->training[length] = order[i];
            length += !s->mask[order[i]];
        }
        s->n_training = length;
    }
}

#define FT_REAL float
#define FT_SUFFIX _f32
#define FT_IS_DOUBLE 0
#include "sgd_body.h"
#undef FT_REAL
#undef FT_SUFFIX
#undef FT_IS_DOUBLE

#define FT_REAL double
#define FT_SUFFIX _f64
#define FT_IS_DOUBLE 1
#include "sgd_body.h"
#undef FT_REAL
#undef FT_SUFFIX
#undef FT_IS_DOUBLE

const ft_sgd_kernels FT_PASTE(ft_sgd_, FT_ISA) = {
    ft_sgd_run_f32, ft_sgd_run_f64, ft_sgd_run_pair_f32, ft_sgd_run_pair_f64, FT_SGD_PAIR_VECTORS * FT_VECTOR_BYTES};
