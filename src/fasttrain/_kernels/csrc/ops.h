/* The table of vector primitives. One table for each instruction set and real type; ft_ops() returns the one in use. */
#ifndef FASTTRAIN_OPS_H
#define FASTTRAIN_OPS_H

#include "kinds.h"
#include "ops_list.h"
#include "stamp.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What an update needs besides its arrays; a field that a rule does not use is not read. Neutral is a zeroed struct with its
 * size, gradient_scale, keep and root_scale 1 and clip_value infinity. */
typedef struct {
    size_t size;           /* sizeof(ft_update), as the caller was compiled */
    double gradient_scale; /* the gradient is multiplied by this first: 1/batch, or a clipping factor */
    double clip_value;     /* then clipped to [-clip_value, clip_value]; infinity for none */
    double l2;             /* then l2 * w is added */
    double l1;             /* after the step, a proximal step of the l1 norm in the step's own metric */
    double keep;           /* w is multiplied by this before the step: 1 - learning_rate * weight_decay */
    double learning_rate;
    double l1_rate;        /* rules with a velocity: the rate at which a steady gradient moves a weight now */
    double momentum;
    double beta1;
    double beta2;          /* rho of RMSprop and AdaDelta */
    double epsilon_inside; /* under the root */
    double epsilon;        /* beside the root; beta of FTRL */
    double step;           /* Adam, AdaMax, NAdam: factor of the first moment */
    double step_gradient;  /* NAdam: factor of the gradient */
    double root_scale;     /* Adam, NAdam: factor of the root of the second moment */
    double power;          /* FTRL: exponent of the sum of squares, 1/2 for its root */
    double leader_l1;      /* FTRL: l1 and l2 beside the sum of all gradients so far */
    double leader_l2;
    double shrinkage;      /* FTRL: shrinkage * w is added to the gradient, but not to its square */
} ft_update;

#define FT_REAL float
#define FT_SUFFIX _f32
#include "ops_body.h"
#undef FT_REAL
#undef FT_SUFFIX

#define FT_REAL double
#define FT_SUFFIX _f64
#include "ops_body.h"
#undef FT_REAL
#undef FT_SUFFIX

enum { FT_ISA_BASELINE = 0, FT_ISA_AVX2 = 1, FT_ISA_AVX512 = 2 };

/* The highest instruction set that this processor and this build have. */
int ft_isa_best(void);
const ft_ops_f32 *ft_ops_for_f32(int isa);
const ft_ops_f64 *ft_ops_for_f64(int isa);
/* Independent multiply-adds from registers, rounds times; returns the flops done. For measuring the peak of one core. */
double ft_fma_probe(int isa, int is_double, ptrdiff_t rounds);

#ifdef __cplusplus
}
#endif
#endif
