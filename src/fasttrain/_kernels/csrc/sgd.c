#include "sgd.h"

#include <time.h>

#include "kinds.h"
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

/* Whether any two of the fits can go side by side. */
static int ft_sgd_are_alike(ft_sgd *const *fits, ft_size n_fits, ft_size most_features)
{
    const ft_sgd *first = fits[0];
    if (first->n_features > most_features || (first->loss != FT_LOSS_hinge && first->loss != FT_LOSS_binary_crossentropy))
        return 0;
    for (ft_size i = 0; i < n_fits; i++) {
        const ft_sgd *s = fits[i];
        if (s->n_padded != 1 || s->X.indptr || s->with_l1 || s->with_average || s->aggressive || s->loss != first->loss ||
            s->n_features != first->n_features)
            return 0;
    }
    return 1;
}

void ft_sgd_run_slice(const ft_sgd_kernels *kernels, int is_double, ft_sgd **fits, int *state, ft_size n_fits,
                      double seconds, int n_threads)
{
    const ft_sgd_run run = is_double ? kernels->run_f64 : kernels->run_f32;
    const ft_sgd_run_pair run_pair = is_double ? kernels->run_pair_f64 : kernels->run_pair_f32;
    const double deadline = seconds_now() + seconds;
    const ft_size real_bytes = is_double ? sizeof(double) : sizeof(float);
    /* a second fit of a thread is one that no other thread has to wait for */
    const int pairs = n_fits >= 2 * (ft_size)n_threads && ft_sgd_are_alike(fits, n_fits, kernels->pair_bytes / real_bytes);
    ft_size next = 0;
    /* A thread keeps the fits it has until they end or the time is up: their rows stay in that core's cache. */
#ifdef _OPENMP
#pragma omp parallel num_threads(n_threads) if (n_threads > 1)
#endif
    {
        ft_size held[2] = {0, 0};
        int n_held = 0;
        for (;;) {
            while (n_held < 1 + pairs) {
                const ft_size i = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED);
                if (i >= n_fits)
                    break;
                if (state[i] == FT_SGD_RUNNING)
                    held[n_held++] = i;
            }
            if (n_held == 0)
                break;
            if (n_held == 2) {
                ft_sgd *both[2] = {fits[held[0]], fits[held[1]]};
                int states[2] = {FT_SGD_RUNNING, FT_SGD_RUNNING};
                run_pair(both, states, FT_SGD_WORK);
                state[held[0]] = states[0];
                state[held[1]] = states[1];
            } else {
                state[held[0]] = run(fits[held[0]], FT_SGD_WORK);
            }
            if (n_held == 2 && state[held[1]] != FT_SGD_RUNNING)
                n_held = 1;
            if (state[held[0]] != FT_SGD_RUNNING) {
                held[0] = held[1];
                n_held -= 1;
            }
            if (seconds_now() >= deadline)
                break;
        }
    }
}
