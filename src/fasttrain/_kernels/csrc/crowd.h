/* Whether more threads want cores than there are, which is worth knowing before threads are to meet at a barrier. */
#ifndef FASTTRAIN_CROWD_H
#define FASTTRAIN_CROWD_H

#if defined(__linux__)
#include "clock.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* Seconds that an answer holds: reading it takes some microseconds. */
#define FT_CROWD_SECONDS 0.001

/* The fourth field of /proc/loadavg is "runnable/all". */
static inline int ft_count_crowd(void)
{
    char text[64];
    const int file = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
    ssize_t size;
    int runnable;
    if (file < 0)
        return 0;
    size = read(file, text, sizeof text - 1);
    close(file);
    text[size > 0 ? size : 0] = 0;
    return sscanf(text, "%*s %*s %*s %d/", &runnable) == 1 && runnable > sysconf(_SC_NPROCESSORS_ONLN);
}

/* 1 where more threads, of all processes, want cores at this moment than the machine has. */
static inline int ft_is_crowded(void)
{
    static double since;
    static int crowded;
    const double now = ft_seconds();
    double seen;
    __atomic_load(&since, &seen, __ATOMIC_RELAXED);
    if (now - seen >= FT_CROWD_SECONDS) {
        __atomic_store_n(&crowded, ft_count_crowd(), __ATOMIC_RELAXED);
        __atomic_store(&since, &now, __ATOMIC_RELAXED);
    }
    return __atomic_load_n(&crowded, __ATOMIC_RELAXED);
}
#else
/* No other system tells it at this price. */
static inline int ft_is_crowded(void) { return 0; }
#endif

#endif
