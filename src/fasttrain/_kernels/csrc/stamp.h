/* One body, stamped for float and for double: names inside a body are written FT(name) and become ft_name_f32 / ft_name_f64. */
#ifndef FASTTRAIN_STAMP_H
#define FASTTRAIN_STAMP_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FT_PASTE_(a, b) a##b
#define FT_PASTE(a, b) FT_PASTE_(a, b)
#define FT(name) FT_PASTE(FT_PASTE(ft_, name), FT_SUFFIX)

#define FT_INLINE static inline __attribute__((always_inline, unused))

#endif
