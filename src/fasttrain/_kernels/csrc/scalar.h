/* One-sample formulas for float (ft_..._f32) and double (ft_..._f64): losses, activations, proximal maps.
 *
 * Branch-free where it can be, so that a plain loop over any of them becomes vector code in whatever instruction set the
 * including file is compiled for; exp, tanh and log1p are written out for the same reason.
 */
#ifndef FASTTRAIN_SCALAR_H
#define FASTTRAIN_SCALAR_H

#include <math.h>

#include "stamp.h"

#define FT_REAL float
#define FT_BITS int32_t
#define FT_SUFFIX _f32
#define FT_IS_DOUBLE 0
#include "scalar_body.h"
#undef FT_REAL
#undef FT_BITS
#undef FT_SUFFIX
#undef FT_IS_DOUBLE

#define FT_REAL double
#define FT_BITS int64_t
#define FT_SUFFIX _f64
#define FT_IS_DOUBLE 1
#include "scalar_body.h"
#undef FT_REAL
#undef FT_BITS
#undef FT_SUFFIX
#undef FT_IS_DOUBLE

#endif
