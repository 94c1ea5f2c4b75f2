#include "threads.h"

#include <stddef.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#define FT_POSIX 1
#endif

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
