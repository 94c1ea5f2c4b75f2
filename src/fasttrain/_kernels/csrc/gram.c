#include "gram.h"

#include "ops.h"

const ft_gram_kernels *ft_gram_kernels_for(int isa)
{
#if defined(__x86_64__)
    if (isa >= FT_ISA_AVX512)
        return &ft_gram_avx512;
    if (isa == FT_ISA_AVX2)
        return &ft_gram_avx2;
#endif
    (void)isa;
    return &ft_gram_baseline;
}
