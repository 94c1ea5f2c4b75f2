#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif
#define FT_ISA avx2
#define FT_VECTOR_BYTES 32
#include "sgd_isa.h"
#if defined(__clang__)
#pragma clang attribute pop
#endif
#else
typedef int ft_sgd_no_avx2_here;
#endif
