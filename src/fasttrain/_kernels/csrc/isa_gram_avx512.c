#if defined(__x86_64__)
#include "target_avx512.h"
#define FT_ISA avx512
#define FT_VECTOR_BYTES 64
#include "gram_isa.h"
#include "target_end.h"
#else
typedef int ft_gram_no_avx512_here;
#endif
