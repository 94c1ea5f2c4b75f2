#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma,prefer-vector-width=512")
#endif
#define FT_ISA avx512
#define FT_VECTOR_BYTES 64
#include "sgd_isa.h"
#if defined(__clang__)
#pragma clang attribute pop
#endif
#else
typedef int ft_sgd_no_avx512_here;
#endif
