#if defined(__x86_64__)
#include "target_avx2.h"
#define FT_ISA avx2
#define FT_VECTOR_BYTES 32
#define FT_REGISTERS 16
#include "body.h"
#include "target_end.h"
#else
typedef int ft_no_avx2_here;
#endif
