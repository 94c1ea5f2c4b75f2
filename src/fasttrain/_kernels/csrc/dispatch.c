/* Chooses the table of primitives that this processor can run. */
#include "ops.h"

#define FT_DECLARE(isa)                                                                                           \
    extern const ft_ops_f32 ft_ops_##isa##_f32;                                                                   \
    extern const ft_ops_f64 ft_ops_##isa##_f64;                                                                   \
    double ft_fma_probe_##isa##_f32(ptrdiff_t rounds);                                                            \
    double ft_fma_probe_##isa##_f64(ptrdiff_t rounds);

FT_DECLARE(baseline)
#if defined(__x86_64__)
FT_DECLARE(avx2)
FT_DECLARE(avx512)
#endif

int ft_isa_best(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")))
        return FT_ISA_BASELINE;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl"))
        return FT_ISA_AVX512;
    return FT_ISA_AVX2;
#else
    return FT_ISA_BASELINE;
#endif
}

#if defined(__x86_64__)
#define FT_PICK(isa, name, suffix)                                                                                \
    ((isa) >= FT_ISA_AVX512 ? name##_avx512##suffix : (isa) == FT_ISA_AVX2 ? name##_avx2##suffix : name##_baseline##suffix)
#else
#define FT_PICK(isa, name, suffix) ((void)(isa), name##_baseline##suffix)
#endif

const ft_ops_f32 *ft_ops_for_f32(int isa) { return FT_PICK(isa, &ft_ops, _f32); }
const ft_ops_f64 *ft_ops_for_f64(int isa) { return FT_PICK(isa, &ft_ops, _f64); }

double ft_fma_probe(int isa, int is_double, ptrdiff_t rounds)
{
    return is_double ? FT_PICK(isa, ft_fma_probe, _f64)(rounds) : FT_PICK(isa, ft_fma_probe, _f32)(rounds);
}
