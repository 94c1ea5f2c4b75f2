/* Wall-clock seconds for time slices, and the counter from which threads draw chunks of work. */
#ifndef FASTTRAIN_CLOCK_H
#define FASTTRAIN_CLOCK_H

#include <stddef.h>
#include <time.h>

static inline double ft_seconds(void)
{
    struct timespec now;
#if defined(CLOCK_MONOTONIC)
    clock_gettime(CLOCK_MONOTONIC, &now);
#else
    timespec_get(&now, TIME_UTC);
#endif
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static inline ptrdiff_t ft_fetch_add(ptrdiff_t *counter) { return __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED); }

#endif
