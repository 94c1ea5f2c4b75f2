#include "coordinate.h"

#include "ops.h"

const ft_descent_kernels *ft_descent_kernels_for(int isa)
{
#if defined(__x86_64__)
    if (isa >= FT_ISA_AVX512)
        return &ft_descent_avx512;
    if (isa == FT_ISA_AVX2)
        return &ft_descent_avx2;
#endif
    (void)isa;
    return &ft_descent_baseline;
}
