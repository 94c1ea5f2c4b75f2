/* Coordinate descent on least squares with an elastic-net penalty. One struct is one problem and the state of its descent.
 *
 *     |Y - Z W'|^2 / 2 + l1 sum_j |W_j| + l2 / 2 |W|^2        with W_j the coefficients of column j, one a task
 *
 * Iterates are those of cyclic (or random) coordinate descent with gap-safe screening; what is saved is the reading of columns.
 * The product of column j with the residual at some time, and how far the residual has moved since, bound the product now
 * (Cauchy and Schwarz). A column whose bound already decides, that its coefficient stays 0, that it is not the largest, that it is
 * screened, is not read.
 */
#ifndef FASTTRAIN_COORDINATE_H
#define FASTTRAIN_COORDINATE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { FT_DESIGN_DENSE = 0, FT_DESIGN_SPARSE = 1, FT_DESIGN_GRAM = 2 };

typedef struct {
    /* The design. Dense: Z by columns. Sparse: Z = X - root mean', X in CSC. Gram: Z'Z, with Z'y as y (one task). */
    int design;
    ptrdiff_t n, p, n_tasks;
    const void *x;
    const float *narrow;     /* dense doubles rounded to float; NULL for none */
    const int32_t *indices;
    const int32_t *indptr;
    const void *mean;        /* sparse; NULL for zeros */
    const void *root;        /* sparse: square roots of the weights that X and y are multiplied by; NULL for ones */
    const void *y;           /* n by n_tasks, by columns */
    double y_squares;

    double l1, l2, tol;
    ptrdiff_t max_iter;
    uint32_t seed;
    int positive, random, screening;

    /* Asked every few milliseconds; not 0 ends the call. */
    int (*interrupted)(void *context);
    void *context;

    void *w;                 /* p by n_tasks, a column's coefficients together; in and out */
    double gap;              /* out: the duality gap, or |Z'r|^2 without a penalty */
    double bound;            /* out: what the gap had to come down to */
    ptrdiff_t n_iter;        /* out: sweeps */
    int converged;           /* out */

    /* Workspace, kept from one penalty to the next. */
    void *r;                 /* n by n_tasks: the residual (sparse: without its part along root); Gram: Z'(y - Z w) */
    void *anchor;            /* the residual that distance is told from */
    void *products;          /* p: z_j . r when it was last computed, or the norm of these over tasks; Gram: r */
    double *stamp;           /* p: travelled - distance then */
    double *squares;         /* p: |z_j|^2 */
    double *norm;            /* p: |z_j| */
    double *root_product;    /* sparse, p: x_j . root */
    double *along;           /* sparse, n_tasks: the residual's part along root */
    double *root_residual;   /* sparse, n_tasks: root . residual */
    double root_squares;
    int32_t *active;         /* p */
    ptrdiff_t n_active;
    void *task;              /* 2 n_tasks */
    double travelled;        /* how far anchors have moved, in all */
    double distance;         /* at least |r - anchor| */
    double r_norm;           /* at least |anchor| */
    int moved;               /* updates since distance was measured */
    ptrdiff_t work;          /* numbers read since the last question whether to go on */
} ft_descent;

enum { FT_DESCENT_OK = 0, FT_DESCENT_INTERRUPTED = 1 };

typedef struct {
    int (*begin_f32)(ft_descent *);
    int (*begin_f64)(ft_descent *);
    int (*solve_f32)(ft_descent *);
    int (*solve_f64)(ft_descent *);
} ft_descent_kernels;

extern const ft_descent_kernels ft_descent_baseline;
#if defined(__x86_64__)
extern const ft_descent_kernels ft_descent_avx2;
extern const ft_descent_kernels ft_descent_avx512;
#endif

/* The kernels for one of ops.h's instruction sets. */
const ft_descent_kernels *ft_descent_kernels_for(int isa);

#ifdef __cplusplus
}
#endif
#endif
