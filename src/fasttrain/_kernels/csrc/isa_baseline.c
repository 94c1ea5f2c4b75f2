/* The instruction set that every processor of this architecture has: SSE2 on x86-64, NEON on AArch64. */
#define FT_ISA baseline
#define FT_VECTOR_BYTES 16
#if defined(__aarch64__)
#define FT_REGISTERS 32
#else
#define FT_REGISTERS 16
#endif
#include "body.h"
