/* Thread plumbing: a barrier that does not burn a core it does not have, and fork safety. */
#ifndef FASTTRAIN_THREADS_H
#define FASTTRAIN_THREADS_H

#if defined(__unix__) || defined(__APPLE__)
#include <sched.h>
#endif
#ifdef _OPENMP
#include <omp.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Sense-counting barrier. The generation lives on a cache line of its own: waiting threads read it only. */
typedef struct {
    int arrived;
    int long_waits;     /* of callers that gave their core away */
    char pad[56];
    int generation;
    char pad_after[60];
} ft_barrier;

#if defined(__x86_64__) || defined(__i386__)
#define FT_RELAX() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define FT_RELAX() __asm__ volatile("yield")
#else
#define FT_RELAX() ((void)0)
#endif

/* About 20 microseconds: longer than two threads of one step ever drift apart on an idle machine. */
#define FT_SPINS 2000

static inline void ft_barrier_init(ft_barrier *barrier)
{
    __atomic_store_n(&barrier->arrived, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&barrier->long_waits, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&barrier->generation, 0, __ATOMIC_RELEASE);
}

/* Waits until n_threads callers have arrived: spins for some microseconds, then gives the core away. */
static inline void ft_barrier_wait(ft_barrier *barrier, int n_threads)
{
    if (n_threads <= 1)
        return;
    const int generation = __atomic_load_n(&barrier->generation, __ATOMIC_ACQUIRE);
    if (__atomic_add_fetch(&barrier->arrived, 1, __ATOMIC_ACQ_REL) == n_threads) {
        __atomic_store_n(&barrier->arrived, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&barrier->generation, generation + 1, __ATOMIC_RELEASE);
        return;
    }
    int spins = 0;
    while (__atomic_load_n(&barrier->generation, __ATOMIC_ACQUIRE) == generation) {
        if (++spins < FT_SPINS) {
            FT_RELAX();
        } else {
            if (spins == FT_SPINS)
                __atomic_add_fetch(&barrier->long_waits, 1, __ATOMIC_RELAXED);
#if defined(__unix__) || defined(__APPLE__)
            sched_yield();
#else
            FT_RELAX();
#endif
        }
    }
}

/* Threads of the team that the caller is in. It can be smaller than what was asked for (a nested region, OMP_THREAD_LIMIT, no
 * memory for another stack), and a barrier that counted the others would wait for ever. */
static inline int ft_team_size(void)
{
#ifdef _OPENMP
    return omp_get_num_threads();
#else
    return 1;
#endif
}

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
