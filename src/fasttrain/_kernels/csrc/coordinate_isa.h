/* Included once by each isa_coordinate_*.c after its target pragma, with FT_ISA (its name) and FT_VECTOR_BYTES set. */
#include <math.h>

#include "coordinate.h"
#include "stamp.h"

/* Numbers read between two questions whether to go on: a few milliseconds. */
#define FT_DESCENT_WORK ((ptrdiff_t)1 << 22)
/* Updates after which the distance from the anchor is measured; until then it is bounded by the sum of their lengths. */
#define FT_DESCENT_MOVES 8

/* A draw in [0, end) of scikit-learn's: a 32-bit xorshift (Marsaglia 2003). */
FT_INLINE ptrdiff_t ft_descent_draw(uint32_t *seed, ptrdiff_t end)
{
    uint32_t s = *seed ? *seed : 1;
    s ^= s << 13;
    s ^= s >> 17;
    s ^= s << 5;
    *seed = s;
    return (ptrdiff_t)((s & 0x7fffffffu) % (uint32_t)end);
}

FT_INLINE int ft_descent_stop(ft_descent *s, ptrdiff_t read)
{
    s->work += read;
    if (s->work < FT_DESCENT_WORK)
        return 0;
    s->work = 0;
    return s->interrupted(s->context);
}

#define FT_REAL float
#define FT_SUFFIX _f32
#define FT_IS_DOUBLE 0
#define FT_SLACK 1e-4
#include "coordinate_vectors_body.h"
#include "coordinate_body.h"
#undef FT_REAL
#undef FT_SUFFIX
#undef FT_IS_DOUBLE
#undef FT_SLACK

#define FT_REAL double
#define FT_SUFFIX _f64
#define FT_IS_DOUBLE 1
#define FT_SLACK 1e-12
#include "coordinate_vectors_body.h"
#include "coordinate_body.h"
#undef FT_REAL
#undef FT_SUFFIX
#undef FT_IS_DOUBLE
#undef FT_SLACK

const ft_descent_kernels FT_PASTE(ft_descent_, FT_ISA) = {
    ft_descent_begin_f32, ft_descent_begin_f64, ft_descent_solve_f32, ft_descent_solve_f64};
