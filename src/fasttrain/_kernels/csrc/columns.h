/* Column statistics and scaling over blocks of rows: ft_columns_<name>_f32 and ft_columns_<name>_f64. */
#ifndef FASTTRAIN_COLUMNS_H
#define FASTTRAIN_COLUMNS_H

#include <float.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FT_REAL float
#define FT_BITS int32_t
#define FT_LARGEST FLT_MAX
#define FT_COLUMNS(name) ft_columns_##name##_f32
#include "columns_body.h"
#undef FT_REAL
#undef FT_BITS
#undef FT_LARGEST
#undef FT_COLUMNS

#define FT_REAL double
#define FT_BITS int64_t
#define FT_LARGEST DBL_MAX
#define FT_COLUMNS(name) ft_columns_##name##_f64
#include "columns_body.h"
#undef FT_REAL
#undef FT_BITS
#undef FT_LARGEST
#undef FT_COLUMNS

#endif
