#include "threads.h"

#include <stddef.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#include <sched.h>
#define FT_POSIX 1
#endif

#if defined(__x86_64__) || defined(__i386__)
#define FT_RELAX() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define FT_RELAX() __asm__ volatile("yield")
#else
#define FT_RELAX() ((void)0)
#endif

/* About 20 microseconds: longer than two threads of one step ever drift apart on an idle machine. */
#define FT_SPINS 2000

void ft_barrier_init(ft_barrier *barrier)
{
    __atomic_store_n(&barrier->arrived, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&barrier->generation, 0, __ATOMIC_RELEASE);
}

void ft_barrier_wait(ft_barrier *barrier, int n_threads)
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
#ifdef FT_POSIX
            sched_yield();
#else
            FT_RELAX();
#endif
        }
    }
}

int ft_has_openmp(void)
{
#ifdef _OPENMP
    return 1;
#else
    return 0;
#endif
}

int ft_openmp_max_threads(void)
{
#ifdef _OPENMP
    return omp_get_max_threads();
#else
    return 1;
#endif
}

int ft_in_parallel(void)
{
#ifdef _OPENMP
    return omp_in_parallel();
#else
    return 0;
#endif
}

/* libgomp has the call since GCC 9, while its _OPENMP still names the 4.5 standard. */
#if defined(FT_POSIX) && defined(_OPENMP) && \
    (_OPENMP >= 201811 || (defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 9))
static void ft_release_pool(void)
{
    if (!omp_in_parallel())
        omp_pause_resource_all(omp_pause_soft);
}

int ft_install_fork_handler(void) { return pthread_atfork(ft_release_pool, NULL, NULL); }
#else
int ft_install_fork_handler(void) { return 0; }
#endif
