/* The registry: adding a name here and its formulas to scalar_body.h gives the array kernels, the twin tests and the grids. */
#ifndef FASTTRAIN_KINDS_H
#define FASTTRAIN_KINDS_H

/* Losses of one target and one raw prediction. */
#define FT_LOSSES(X)                                                                                              \
    X(half_squared_error)                                                                                         \
    X(squared_error)                                                                                              \
    X(absolute_error)                                                                                             \
    X(huber)                                                                                                      \
    X(quantile)                                                                                                   \
    X(poisson)                                                                                                    \
    X(binary_crossentropy)                                                                                        \
    X(hinge)                                                                                                      \
    X(squared_hinge)                                                                                              \
    X(modified_huber)                                                                                             \
    X(epsilon_insensitive)                                                                                        \
    X(squared_epsilon_insensitive)                                                                                \
    X(gamma)                                                                                                      \
    X(tweedie)                                                                                                    \
    X(tweedie_identity)

#define FT_ACTIVATIONS(X)                                                                                         \
    X(identity)                                                                                                   \
    X(relu)                                                                                                       \
    X(leaky_relu)                                                                                                 \
    X(elu)                                                                                                        \
    X(selu)                                                                                                       \
    X(gelu)                                                                                                       \
    X(silu)                                                                                                       \
    X(tanh)                                                                                                       \
    X(logistic)                                                                                                   \
    X(softplus)                                                                                                   \
    X(exponential)                                                                                                \
    X(clipped_relu)                                                                                               \
    X(hard_sigmoid)                                                                                               \
    X(hard_silu)                                                                                                  \
    X(hard_tanh)                                                                                                  \
    X(softsign)                                                                                                   \
    X(mish)                                                                                                       \
    X(celu)                                                                                                       \
    X(log_sigmoid)

#define FT_UPDATES(X)                                                                                             \
    X(gradient_descent)                                                                                           \
    X(momentum)                                                                                                   \
    X(nesterov)                                                                                                   \
    X(adagrad)                                                                                                    \
    X(rmsprop)                                                                                                    \
    X(rmsprop_centered)                                                                                           \
    X(adadelta)                                                                                                   \
    X(adam)                                                                                                       \
    X(nadam)                                                                                                      \
    X(lion)                                                                                                       \
    X(amsgrad)                                                                                                    \
    X(adamax)                                                                                                     \
    X(ftrl)                                                                                                       \
    X(lamb)

#define FT_LOSS_NUMBER(name) FT_LOSS_##name,
#define FT_ACTIVATION_NUMBER(name) FT_ACTIVATION_##name,
#define FT_UPDATE_NUMBER(name) FT_UPDATE_##name,

/* softmax_crossentropy couples the outputs of a row, so it stands after the elementwise losses. */
enum { FT_LOSSES(FT_LOSS_NUMBER) FT_N_ELEMENTWISE_LOSSES, FT_LOSS_softmax_crossentropy = FT_N_ELEMENTWISE_LOSSES };
enum { FT_ACTIVATIONS(FT_ACTIVATION_NUMBER) FT_N_ACTIVATIONS };
enum { FT_UPDATES(FT_UPDATE_NUMBER) FT_N_UPDATES };

#define FT_NAME(name) #name,
static const char *const ft_loss_names[] __attribute__((unused)) = {FT_LOSSES(FT_NAME) "softmax_crossentropy", 0};
static const char *const ft_activation_names[] __attribute__((unused)) = {FT_ACTIVATIONS(FT_NAME) 0};
static const char *const ft_update_names[] __attribute__((unused)) = {FT_UPDATES(FT_NAME) 0};

#endif
