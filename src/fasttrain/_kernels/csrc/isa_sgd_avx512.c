#if defined(__x86_64__)
#include <immintrin.h>

#include "target_avx512.h"
#define FT_ISA avx512
#define FT_VECTOR_BYTES 64
#include "sgd_isa.h"
#include "target_end.h"
#else
typedef int ft_sgd_no_avx512_here;
#endif
