#include "sgd.h"

#include <time.h>

#include "ops.h"

const ft_sgd_kernels *ft_sgd_kernels_for(int isa)
{
#if defined(__x86_64__)
    if (isa >= FT_ISA_AVX512)
        return &ft_sgd_avx512;
    if (isa == FT_ISA_AVX2)
        return &ft_sgd_avx2;
#endif
    (void)isa;
    return &ft_sgd_baseline;
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Multiply-adds between two looks at the clock: well under a millisecond. */
#define FT_SGD_WORK 1e6

void ft_sgd_run_slice(const ft_sgd_kernels *kernels, int is_double, ft_sgd **fits, int *state, ft_size n_fits,
                      double seconds, int n_threads)
{
    const ft_sgd_run run = is_double ? kernels->run_f64 : kernels->run_f32;
    const double deadline = seconds_now() + seconds;
    ft_size next = 0;
    (void)n_threads;
    /* A thread keeps the fit it has until the fit ends or the time is up: its rows stay in that core's cache. */
#ifdef _OPENMP
#pragma omp parallel num_threads(n_threads) if (n_threads > 1)
#endif
    {
        for (;;) {
            const ft_size i = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED);
            if (i >= n_fits)
                break;
            while (state[i] == FT_SGD_RUNNING) {
                state[i] = run(fits[i], FT_SGD_WORK);
                if (state[i] == FT_SGD_RUNNING && seconds_now() >= deadline)
                    break;
            }
            if (seconds_now() >= deadline)
                break;
        }
    }
}
