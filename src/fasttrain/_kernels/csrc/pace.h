/* How many threads a training goes on with, on a machine that others use too.
 *
 * Threads that meet at a barrier in every step wait for the one that has no core: beside other processes, several threads
 * can be many times slower than one. So a run is cut into stretches, and where threads waited longer than they ever do on
 * cores of their own, a stretch on one thread is timed and the better number goes on; from time to time the other is timed
 * again. Where more threads want cores than there are when a run begins, it begins on one thread: the first meeting of
 * several would already wait for a core, which is longer than many a fit takes. Results do not depend on the number of
 * threads, so neither do they depend on this. */
#ifndef FASTTRAIN_PACE_H
#define FASTTRAIN_PACE_H

#include "clock.h"
#include "crowd.h"

/* Seconds: a stretch that only compares; the longest between two looks at the waits; how long a choice stands, at first and
 * at most. */
#define FT_PACE_TRIAL 0.0005
#define FT_PACE_STRETCH 0.005
#define FT_PACE_HOLD 0.02
#define FT_PACE_LONGEST_HOLD 1.0
/* Seconds between two looks at whether a crowded machine has got cores to spare; how long a run that began on one thread for
 * the crowd goes on before it times several. */
#define FT_PACE_LOOK 0.01
#define FT_PACE_CROWDED_HOLD 0.2
/* A choice stands at least so many times as long as the trial that it won took: a single step may take many times a trial's
 * seconds where its threads have no cores. */
#define FT_PACE_TRIAL_SHARE 20
/* Of the steps, those with a long wait that make one thread worth a trial. */
#define FT_PACE_WAITS 0.05
/* A thread that waits so many seconds for the others at the end of a pass, and for so much of it, waits for one that has no
 * core. */
#define FT_PACE_LATE 1e-3
#define FT_PACE_LATE_SHARE 0.25
/* What the other number of threads must gain. */
#define FT_PACE_GAIN 0.95

typedef enum { FT_PACE_SEVERAL, FT_PACE_TRY_ONE, FT_PACE_ONE, FT_PACE_TRY_SEVERAL } ft_pace_state;

typedef struct {
    int budget;         /* threads that may run */
    ft_pace_state state;
    int crowded;        /* it began on one thread, since more threads wanted cores than there are */
    double stretch;     /* seconds of the next look at the waits of several threads */
    double hold;        /* seconds that the next choice stands */
    double next;        /* when the other number may be timed again */
    double cost[2];     /* seconds a step, of several threads and of one */
} ft_pace;

static inline void ft_pace_init(ft_pace *pace, int budget)
{
    pace->budget = budget;
    pace->crowded = budget > 1 && ft_is_crowded();
    pace->state = pace->crowded ? FT_PACE_ONE : FT_PACE_SEVERAL;
    pace->stretch = FT_PACE_TRIAL;
    pace->hold = pace->crowded ? FT_PACE_CROWDED_HOLD : FT_PACE_HOLD;
    pace->next = pace->crowded ? ft_seconds() + FT_PACE_CROWDED_HOLD : 0.0;
    pace->cost[0] = pace->cost[1] = 0.0;
}

/* Threads of the next stretch; until_out receives when it is to end. */
static inline int ft_pace_next(ft_pace *pace, double now, double *until_out)
{
    if (pace->state == FT_PACE_ONE && (now >= pace->next || (pace->crowded && !ft_is_crowded())))
        pace->state = FT_PACE_TRY_SEVERAL;
    switch (pace->state) {
    case FT_PACE_SEVERAL:
        *until_out = now + pace->stretch;
        return pace->budget;
    case FT_PACE_ONE:
        *until_out = pace->crowded && now + FT_PACE_LOOK < pace->next ? now + FT_PACE_LOOK : pace->next;
        return 1;
    case FT_PACE_TRY_ONE:
        *until_out = now + FT_PACE_TRIAL;
        return 1;
    default:
        *until_out = now + FT_PACE_TRIAL;
        return pace->budget;
    }
}

static inline void ft_pace_choose(ft_pace *pace, ft_pace_state state, double trial_seconds, double now)
{
    const double least = FT_PACE_TRIAL_SHARE * trial_seconds;
    pace->state = state;
    pace->crowded = 0;
    pace->next = now + (pace->hold > least ? pace->hold : least);
    pace->hold = pace->hold * 4 < FT_PACE_LONGEST_HOLD ? pace->hold * 4 : FT_PACE_LONGEST_HOLD;
    pace->stretch = FT_PACE_TRIAL;
}

/* Takes in what a stretch has cost: so many steps, in which threads waited long so many times. */
static inline void ft_pace_note(ft_pace *pace, double steps, double seconds, double waits, double now)
{
    if (steps <= 0)
        return;
    const double cost = seconds / steps;
    switch (pace->state) {
    case FT_PACE_SEVERAL:
        pace->cost[0] = cost;
        if (waits > FT_PACE_WAITS * steps && now >= pace->next)
            pace->state = FT_PACE_TRY_ONE;
        else if (pace->stretch < FT_PACE_STRETCH)
            pace->stretch *= 2;
        break;
    case FT_PACE_TRY_ONE:
        pace->cost[1] = cost;
        ft_pace_choose(pace, cost < FT_PACE_GAIN * pace->cost[0] ? FT_PACE_ONE : FT_PACE_SEVERAL, seconds, now);
        break;
    case FT_PACE_ONE:
        pace->cost[1] = cost;
        break;
    case FT_PACE_TRY_SEVERAL:
        pace->cost[0] = cost;
        if (cost < FT_PACE_GAIN * pace->cost[1]) {
            /* a stretch may have been lucky: the next look is soon, and what was learnt is not all forgotten */
            pace->hold = pace->hold / 4 > FT_PACE_HOLD ? pace->hold / 4 : FT_PACE_HOLD;
            pace->state = FT_PACE_SEVERAL;
            pace->stretch = FT_PACE_TRIAL;
            pace->next = 0.0;
        } else {
            ft_pace_choose(pace, FT_PACE_ONE, seconds, now);
        }
        break;
    }
}

/* The same of a whole pass over rows, which is a stretch, and at whose end the first thread waited so long for the last. */
static inline void ft_pace_note_pass(ft_pace *pace, double work, double seconds, double late, double now)
{
    const int is_late = late > FT_PACE_LATE && late > FT_PACE_LATE_SHARE * seconds;
    ft_pace_note(pace, work, seconds, is_late ? work : 0.0, now);
}

#endif
