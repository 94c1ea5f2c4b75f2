/* Thread plumbing: a barrier that does not burn a core it does not have, and fork safety. */
#ifndef FASTTRAIN_THREADS_H
#define FASTTRAIN_THREADS_H

#ifdef __cplusplus
extern "C" {
#endif

/* Sense-counting barrier. The generation lives on a cache line of its own: waiting threads read it only. */
typedef struct {
    int arrived;
    char pad[60];
    int generation;
    char pad_after[60];
} ft_barrier;

void ft_barrier_init(ft_barrier *barrier);
/* Waits until n_threads callers have arrived: spins for some microseconds, then gives the core away. */
void ft_barrier_wait(ft_barrier *barrier, int n_threads);

/* 1 when compiled with OpenMP. */
int ft_has_openmp(void);
/* Threads the OpenMP runtime would start here: OMP_NUM_THREADS and threadpool limits are in it. */
int ft_openmp_max_threads(void);
int ft_in_parallel(void);
/* Registers the handler that stops OpenMP's pool before a fork, so that a child can start its own. 0 on success. */
int ft_install_fork_handler(void);

#ifdef __cplusplus
}
#endif
#endif
