#if defined(__x86_64__)
#include "target_avx2.h"
#define FT_ISA avx2
#define FT_VECTOR_BYTES 32
#include "gram_isa.h"
#include "target_end.h"
#else
typedef int ft_gram_no_avx2_here;
#endif
