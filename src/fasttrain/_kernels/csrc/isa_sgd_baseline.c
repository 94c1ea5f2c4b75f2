#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define FT_ISA baseline
#define FT_VECTOR_BYTES 16
#include "sgd_isa.h"
