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

/* e^-a for a >= 0; below the normal range 2^-1021 stands for everything smaller. The same reduction as ft_exp_f64, but the
 * series is summed in pairs (Estrin): here one sample waits for the last, so the length of the chain is what counts. */
FT_INLINE double ft_sgd_exp_minus(double a)
{
    const double x = -ft_min_f64(a, 707.0);
    int64_t k;
    const double r = ft_exp_reduce_f64(x, &k);
    const double r2 = r * r, r4 = r2 * r2, r8 = r4 * r4;
    const double c01 = 0.5 + r * (1.0 / 6.0);
    const double c23 = 1.0 / 24.0 + r * (1.0 / 120.0);
    const double c45 = 1.0 / 720.0 + r * (1.0 / 5040.0);
    const double c67 = 1.0 / 40320.0 + r * (1.0 / 362880.0);
    const double c89 = 1.0 / 3628800.0 + r * (1.0 / 39916800.0);
    const double cab = 1.0 / 479001600.0 + r * (1.0 / 6227020800.0);
    const double low = (c01 + r2 * c23) + r4 * (c45 + r2 * c67);
    const double high = c89 + r2 * cab;
    return (1.0 + (r + r2 * (low + r8 * high))) * ft_exp2_int_f64(k);
}

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

#define FT_SGD_FLUSH_ROWS 256

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

const ft_sgd_kernels FT_PASTE(ft_sgd_, FT_ISA) = {ft_sgd_run_f32, ft_sgd_run_f64};
