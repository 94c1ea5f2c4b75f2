/* Per-sample stochastic descent: the state of one fit, and the functions that carry it forward.
 *
 * A fit holds one row order and n_slots candidates that walk it together ("lockstep"); an ordinary fit has one slot. All
 * memory belongs to the caller. A fit goes forward in slices, so that the caller can look at signals between them; where a
 * slice ends does not change the answer.
 */
#ifndef FASTTRAIN_SGD_H
#define FASTTRAIN_SGD_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef ptrdiff_t ft_size;

enum { FT_SGD_SINGLE = 0, FT_SGD_PA1 = 1, FT_SGD_PA2 = 2 };
/* The farthest look ahead of the present row. */
enum { FT_SGD_PADDING = 64 };
/* Rows that the candidates of a dense fit in lockstep take together. */
enum { FT_SGD_TOGETHER = 4 };
enum { FT_SGD_NO_SCORE = 0, FT_SGD_ACCURACY = 1, FT_SGD_R2 = 2, FT_SGD_R2_EXPONENTIAL = 3 };

/* The loss numbers are kinds.h's; the SGD log loss is binary_crossentropy, y in {0, 1}. */

/* Columns of the slot table: one double for each slot. The first block is set by the caller, the rest is the engine's. */
#define FT_SGD_COLUMNS(X)                                                                                         \
    X(alpha)            /* regularization strength; also in the optimal schedule */                               \
    X(l1_ratio)         /* share of alpha on |w|: 0 without an L1 term */                                         \
    X(l2_ratio)         /* share of alpha on w^2 / 2: 0 without an L2 term */                                     \
    X(eta)              /* numerator of the step size; the adaptive schedule divides it */                        \
    X(eta_time)         /* step size = eta / (eta_time (eta_shift + t - 1) + eta_floor) */                        \
    X(eta_shift)                                                                                                  \
    X(eta_floor)                                                                                                  \
    X(power_t)          /* not NaN: the denominator is t^power_t (invscaling) */                                  \
    X(adaptive)         /* 1: eta is divided by 5 where other schedules stop */                                   \
    X(aggressiveness)   /* eta0 of pa1 and pa2 */                                                                 \
    X(parameter)        /* the loss's parameter: threshold, epsilon, delta, quantile */                           \
    X(weight_positive)  /* class weight where y > 0 */                                                            \
    X(weight_negative)                                                                                            \
    X(average)          /* first step that is averaged, 0 for none */                                             \
    X(tol)              /* -inf: never stop early */                                                              \
    X(n_iter_no_change)                                                                                           \
    X(max_iter)                                                                                                   \
    X(intercept)                                                                                                  \
    X(average_intercept)                                                                                          \
    X(candidate)        /* the caller's number of the candidate in this slot */                                   \
    X(wscale)           /* weights = wscale * the stored vector */                                                \
    X(average_a)                                                                                                  \
    X(average_b)                                                                                                  \
    X(u)                /* L1 penalty a weight could have had so far */                                           \
    X(square_scale)     /* squared norm = square_scale * sum of the slot's square lanes */                        \
    X(abs_scale)                                                                                                  \
    X(sum_loss)                                                                                                   \
    X(sum_penalty)                                                                                                \
    X(product)          /* of 1 + e^-|p| since the last flush: its logarithm is part of the log loss */           \
    X(no_improvement)                                                                                             \
    X(best)                                                                                                       \
    X(score)                                                                                                      \
    X(dot)              /* stored vector . next row */                                                            \
    X(y)                                                                                                          \
    X(prediction)                                                                                                 \
    X(loss)                                                                                                       \
    X(gradient)                                                                                                   \
    X(weight)           /* class weight times sample weight */                                                    \
    X(move)             /* stored vector += move * x */                                                           \
    X(average_move)     /* average += average_move * x */                                                         \
    X(square)           /* squared norm of the stored vector, in lockstep */                                      \
    X(sum_square)                                                                                                 \
    X(absolute)         /* sum of absolutes of the stored vector, in lockstep */                                  \
    X(sum_absolute)                                                                                               \
    X(check)            /* of CSR rows: 0 while every weight that moved is finite */                              \
    X(intercept_move)                                                                                             \
    X(step)             /* step size of this row */                                                               \
    X(update)           /* weights += update * x */

#define FT_SGD_COLUMN_NUMBER(name) FT_SGD_##name,
enum { FT_SGD_COLUMNS(FT_SGD_COLUMN_NUMBER) FT_SGD_N_COLUMNS };

/* Dense rows (indptr NULL) or CSR rows. tail holds copies of the last rows, padded to whole vectors, so that a vector load
 * of any row stays inside memory that belongs to us. */
typedef struct {
    const void *values;
    const void *tail;
    ft_size tail_start;
    const int64_t *indptr;
    const int32_t *indices32; /* one of the two, for CSR */
    const int64_t *indices64;
} ft_sgd_rows;

typedef struct {
    ft_size n_features;
    ft_size stride; /* reals from a slot's weights to the next one's; a multiple of 64 bytes */
    ft_size n_rows; /* rows in the order, validation rows of mask included */
    ft_size n_train;
    ft_size n_candidates;
    ft_size n_slots; /* candidates that are still in training */
    ft_size n_padded; /* slots rounded up to whole 64 bytes of reals: the length of a column; 1 for one */
    /* Of CSR fits in lockstep, whose slots are lanes; 0 in other fits. */
    ft_size line; /* slots whose weights stand in a line of whole 64 bytes for each feature */
    ft_size rest; /* slots after them that are padded to 16 or 32 bytes; these stand behind all lines, packed */
    int loss;
    int aggressive; /* FT_SGD_SINGLE, FT_SGD_PA1, FT_SGD_PA2 */
    int with_l1;
    int with_average;
    int with_power; /* some slot has the invscaling schedule */
    int with_start; /* some slot begins from weights other than 0 */
    int fit_intercept;
    int shuffle;
    int stop_on_score;  /* early stopping looks at the score instead of the training objective */
    int score_kind;
    int score_unscaled; /* score the stored vector without its scale, as scikit-learn's early stopping does */
    int pause_each_epoch;
    double intercept_decay;
    double work_per_row; /* multiply-adds of one slot on one row, about */
    double t;

    ft_sgd_rows X;
    const void *y;
    ft_size y_stride; /* from a candidate's targets to the next one's; 0 when they share them */
    const void *sample_weight; /* NULL: all 1 */
    const uint8_t *mask;       /* by row number: 1 is left out of training; NULL: none */

    ft_sgd_rows X_score;
    ft_size n_score;
    const void *y_score;
    const void *score_weight; /* NULL: all 1 */
    ft_size y_score_stride;
    const double *score_total; /* by candidate: what the sum over rows is measured against */

    double *columns;
    void *weights; /* by candidate; where slots are lanes, by feature: lines, then rests */
    /* Of dense fits. In lockstep: by 64 bytes of slots, a line for each feature; averages; L1 penalties; then a workspace. Of
     * one model without an L1 term: its weights before the present block of rows. */
    void *panels;
    void *averages; /* like weights */
    void *q;       /* like weights: L1 penalty each weight did have */
    void *lanes;   /* by candidate: 4 x 64 bytes: squares, absolutes, and their sums over steps */

    /* each FT_SGD_PADDING longer than the rows, with valid row numbers after the last one */
    int32_t *order;     /* rows of this epoch, validation rows included */
    int32_t *previous;  /* order before the last shuffle */
    int32_t *shuffling; /* the permutation each shuffle applies */
    int32_t *training;  /* order without the masked rows; the same memory as order without a mask */

    /* by candidate x history_capacity, for the epochs since the caller last emptied it */
    double *loss_history;
    double *objective_history;
    double *score_history;
    ft_size history_capacity;
    ft_size history_length;

    int32_t *n_iter; /* by candidate */
    int32_t *status; /* by candidate: 0, or STATUS_NOT_FINITE */
    int32_t *converged; /* by candidate: 1 when it stopped before max_iter */
    double *intercepts; /* by candidate */
    double *average_intercepts;

    int phase;
    uint32_t seed;
    ft_size position;
    ft_size n_training; /* rows written to training so far */
    ft_size epoch;
    int has_dot;
} ft_sgd;

enum { FT_SGD_BEGIN, FT_SGD_DRAW, FT_SGD_ORDER, FT_SGD_ROWS, FT_SGD_SCORE, FT_SGD_END };
enum { FT_SGD_RUNNING = 0, FT_SGD_FINISHED = 1, FT_SGD_PAUSED = 2 };

/* Multiply-adds between two looks at the clock: well under a millisecond. */
#define FT_SGD_WORK 1e6

/* Carries the fit forward by about `work` multiply-adds. PAUSED: an epoch ended under pause_each_epoch, or the history is
 * full; the caller empties it and calls again. */
typedef int (*ft_sgd_run)(ft_sgd *fit, double work);

/* The same for two fits side by side, ft_sgd_are_alike. Returns when one of them no longer runs, which its state says, or has
 * had its work. */
typedef void (*ft_sgd_run_pair)(ft_sgd *const *fits, int *state_io, double work);

typedef struct {
    ft_sgd_run run_f32, run_f64;
    ft_sgd_run_pair run_pair_f32, run_pair_f64;
    ft_size pair_bytes; /* of the longest rows that fits have side by side */
} ft_sgd_kernels;

extern const ft_sgd_kernels ft_sgd_baseline;
extern const ft_sgd_kernels ft_sgd_avx2;
extern const ft_sgd_kernels ft_sgd_avx512;

/* isa: FT_ISA_* of ops.h. */
const ft_sgd_kernels *ft_sgd_kernels_for(int isa);

/* Runs fits, each to its end or pause, on n_threads threads until `seconds` have passed. state[i] is FT_SGD_*; only
 * RUNNING ones are touched. */
void ft_sgd_run_slice(const ft_sgd_kernels *kernels, int is_double, ft_sgd **fits, int *state, ft_size n_fits,
                      double seconds, int n_threads);

#ifdef __cplusplus
}
#endif
#endif
