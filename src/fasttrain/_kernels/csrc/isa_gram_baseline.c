#define FT_ISA baseline
#define FT_VECTOR_BYTES 16
#include "gram_isa.h"
