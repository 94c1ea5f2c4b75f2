#if defined(__x86_64__)
#include <immintrin.h>

#include "target_avx2.h"
#define FT_ISA avx2
#define FT_VECTOR_BYTES 32
#include "sgd_isa.h"
#include "target_end.h"
#else
typedef int ft_sgd_no_avx2_here;
#endif
