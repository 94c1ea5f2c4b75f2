"""One-sample formulas, inline: losses, activations, proximal maps.

Equations and sources stand beside each formula in ``csrc/scalar_body.h``. ``y`` is the target, ``z`` the raw
prediction, ``p`` the
loss's or the activation's parameter (ignored where it has none), ``a`` an activation's output.
"""

from fasttrain._kernels.types cimport real

cdef extern from "scalar.h" nogil:
    float ft_half_squared_error_f32(float y, float z, float p) noexcept
    float ft_half_squared_error_gradient_f32(float y, float z, float p) noexcept
    float ft_squared_error_f32(float y, float z, float p) noexcept
    float ft_squared_error_gradient_f32(float y, float z, float p) noexcept
    float ft_absolute_error_f32(float y, float z, float p) noexcept
    float ft_absolute_error_gradient_f32(float y, float z, float p) noexcept
    float ft_huber_f32(float y, float z, float p) noexcept
    float ft_huber_gradient_f32(float y, float z, float p) noexcept
    float ft_quantile_f32(float y, float z, float p) noexcept
    float ft_quantile_gradient_f32(float y, float z, float p) noexcept
    float ft_poisson_f32(float y, float z, float p) noexcept
    float ft_poisson_gradient_f32(float y, float z, float p) noexcept
    float ft_binary_crossentropy_f32(float y, float z, float p) noexcept
    float ft_binary_crossentropy_gradient_f32(float y, float z, float p) noexcept
    float ft_hinge_f32(float y, float z, float p) noexcept
    float ft_hinge_gradient_f32(float y, float z, float p) noexcept
    float ft_squared_hinge_f32(float y, float z, float p) noexcept
    float ft_squared_hinge_gradient_f32(float y, float z, float p) noexcept
    float ft_modified_huber_f32(float y, float z, float p) noexcept
    float ft_modified_huber_gradient_f32(float y, float z, float p) noexcept
    float ft_epsilon_insensitive_f32(float y, float z, float p) noexcept
    float ft_epsilon_insensitive_gradient_f32(float y, float z, float p) noexcept
    float ft_squared_epsilon_insensitive_f32(float y, float z, float p) noexcept
    float ft_squared_epsilon_insensitive_gradient_f32(float y, float z, float p) noexcept
    float ft_gamma_f32(float y, float z, float p) noexcept
    float ft_gamma_gradient_f32(float y, float z, float p) noexcept
    float ft_tweedie_f32(float y, float z, float p) noexcept
    float ft_tweedie_gradient_f32(float y, float z, float p) noexcept
    float ft_tweedie_identity_f32(float y, float z, float p) noexcept
    float ft_tweedie_identity_gradient_f32(float y, float z, float p) noexcept
    float ft_identity_f32(float z, float p) noexcept
    float ft_identity_derivative_f32(float z, float a, float p) noexcept
    float ft_relu_f32(float z, float p) noexcept
    float ft_relu_derivative_f32(float z, float a, float p) noexcept
    float ft_leaky_relu_f32(float z, float p) noexcept
    float ft_leaky_relu_derivative_f32(float z, float a, float p) noexcept
    float ft_elu_f32(float z, float p) noexcept
    float ft_elu_derivative_f32(float z, float a, float p) noexcept
    float ft_selu_f32(float z, float p) noexcept
    float ft_selu_derivative_f32(float z, float a, float p) noexcept
    float ft_gelu_f32(float z, float p) noexcept
    float ft_gelu_derivative_f32(float z, float a, float p) noexcept
    float ft_silu_f32(float z, float p) noexcept
    float ft_silu_derivative_f32(float z, float a, float p) noexcept
    float ft_tanh_f32(float z, float p) noexcept
    float ft_tanh_derivative_f32(float z, float a, float p) noexcept
    float ft_logistic_f32(float z, float p) noexcept
    float ft_logistic_derivative_f32(float z, float a, float p) noexcept
    float ft_softplus_f32(float z, float p) noexcept
    float ft_softplus_derivative_f32(float z, float a, float p) noexcept
    float ft_exponential_f32(float z, float p) noexcept
    float ft_exponential_derivative_f32(float z, float a, float p) noexcept
    float ft_clipped_relu_f32(float z, float p) noexcept
    float ft_clipped_relu_derivative_f32(float z, float a, float p) noexcept
    float ft_hard_sigmoid_f32(float z, float p) noexcept
    float ft_hard_sigmoid_derivative_f32(float z, float a, float p) noexcept
    float ft_hard_silu_f32(float z, float p) noexcept
    float ft_hard_silu_derivative_f32(float z, float a, float p) noexcept
    float ft_hard_tanh_f32(float z, float p) noexcept
    float ft_hard_tanh_derivative_f32(float z, float a, float p) noexcept
    float ft_softsign_f32(float z, float p) noexcept
    float ft_softsign_derivative_f32(float z, float a, float p) noexcept
    float ft_mish_f32(float z, float p) noexcept
    float ft_mish_derivative_f32(float z, float a, float p) noexcept
    float ft_celu_f32(float z, float p) noexcept
    float ft_celu_derivative_f32(float z, float a, float p) noexcept
    float ft_log_sigmoid_f32(float z, float p) noexcept
    float ft_log_sigmoid_derivative_f32(float z, float a, float p) noexcept
    float ft_exp_f32(float x) noexcept
    float ft_soft_threshold_f32(float w, float t) noexcept
    double ft_half_squared_error_f64(double y, double z, double p) noexcept
    double ft_half_squared_error_gradient_f64(double y, double z, double p) noexcept
    double ft_squared_error_f64(double y, double z, double p) noexcept
    double ft_squared_error_gradient_f64(double y, double z, double p) noexcept
    double ft_absolute_error_f64(double y, double z, double p) noexcept
    double ft_absolute_error_gradient_f64(double y, double z, double p) noexcept
    double ft_huber_f64(double y, double z, double p) noexcept
    double ft_huber_gradient_f64(double y, double z, double p) noexcept
    double ft_quantile_f64(double y, double z, double p) noexcept
    double ft_quantile_gradient_f64(double y, double z, double p) noexcept
    double ft_poisson_f64(double y, double z, double p) noexcept
    double ft_poisson_gradient_f64(double y, double z, double p) noexcept
    double ft_binary_crossentropy_f64(double y, double z, double p) noexcept
    double ft_binary_crossentropy_gradient_f64(double y, double z, double p) noexcept
    double ft_hinge_f64(double y, double z, double p) noexcept
    double ft_hinge_gradient_f64(double y, double z, double p) noexcept
    double ft_squared_hinge_f64(double y, double z, double p) noexcept
    double ft_squared_hinge_gradient_f64(double y, double z, double p) noexcept
    double ft_modified_huber_f64(double y, double z, double p) noexcept
    double ft_modified_huber_gradient_f64(double y, double z, double p) noexcept
    double ft_epsilon_insensitive_f64(double y, double z, double p) noexcept
    double ft_epsilon_insensitive_gradient_f64(double y, double z, double p) noexcept
    double ft_squared_epsilon_insensitive_f64(double y, double z, double p) noexcept
    double ft_squared_epsilon_insensitive_gradient_f64(double y, double z, double p) noexcept
    double ft_gamma_f64(double y, double z, double p) noexcept
    double ft_gamma_gradient_f64(double y, double z, double p) noexcept
    double ft_tweedie_f64(double y, double z, double p) noexcept
    double ft_tweedie_gradient_f64(double y, double z, double p) noexcept
    double ft_tweedie_identity_f64(double y, double z, double p) noexcept
    double ft_tweedie_identity_gradient_f64(double y, double z, double p) noexcept
    double ft_identity_f64(double z, double p) noexcept
    double ft_identity_derivative_f64(double z, double a, double p) noexcept
    double ft_relu_f64(double z, double p) noexcept
    double ft_relu_derivative_f64(double z, double a, double p) noexcept
    double ft_leaky_relu_f64(double z, double p) noexcept
    double ft_leaky_relu_derivative_f64(double z, double a, double p) noexcept
    double ft_elu_f64(double z, double p) noexcept
    double ft_elu_derivative_f64(double z, double a, double p) noexcept
    double ft_selu_f64(double z, double p) noexcept
    double ft_selu_derivative_f64(double z, double a, double p) noexcept
    double ft_gelu_f64(double z, double p) noexcept
    double ft_gelu_derivative_f64(double z, double a, double p) noexcept
    double ft_silu_f64(double z, double p) noexcept
    double ft_silu_derivative_f64(double z, double a, double p) noexcept
    double ft_tanh_f64(double z, double p) noexcept
    double ft_tanh_derivative_f64(double z, double a, double p) noexcept
    double ft_logistic_f64(double z, double p) noexcept
    double ft_logistic_derivative_f64(double z, double a, double p) noexcept
    double ft_softplus_f64(double z, double p) noexcept
    double ft_softplus_derivative_f64(double z, double a, double p) noexcept
    double ft_exponential_f64(double z, double p) noexcept
    double ft_exponential_derivative_f64(double z, double a, double p) noexcept
    double ft_clipped_relu_f64(double z, double p) noexcept
    double ft_clipped_relu_derivative_f64(double z, double a, double p) noexcept
    double ft_hard_sigmoid_f64(double z, double p) noexcept
    double ft_hard_sigmoid_derivative_f64(double z, double a, double p) noexcept
    double ft_hard_silu_f64(double z, double p) noexcept
    double ft_hard_silu_derivative_f64(double z, double a, double p) noexcept
    double ft_hard_tanh_f64(double z, double p) noexcept
    double ft_hard_tanh_derivative_f64(double z, double a, double p) noexcept
    double ft_softsign_f64(double z, double p) noexcept
    double ft_softsign_derivative_f64(double z, double a, double p) noexcept
    double ft_mish_f64(double z, double p) noexcept
    double ft_mish_derivative_f64(double z, double a, double p) noexcept
    double ft_celu_f64(double z, double p) noexcept
    double ft_celu_derivative_f64(double z, double a, double p) noexcept
    double ft_log_sigmoid_f64(double z, double p) noexcept
    double ft_log_sigmoid_derivative_f64(double z, double a, double p) noexcept
    double ft_exp_f64(double x) noexcept
    double ft_soft_threshold_f64(double w, double t) noexcept


cdef inline real half_squared_error(real y, real z, real p) noexcept nogil:
    if real is float:
        return ft_half_squared_error_f32(y, z, p)
    else:
        return ft_half_squared_error_f64(y, z, p)


cdef inline real half_squared_error_gradient(real y, real z, real p) noexcept nogil:
    if real is float:
        return ft_half_squared_error_gradient_f32(y, z, p)
    else:
        return ft_half_squared_error_gradient_f64(y, z, p)


cdef inline real squared_error(real y, real z, real p) noexcept nogil:
    if real is float:
        return ft_squared_error_f32(y, z, p)
    else:
        return ft_squared_error_f64(y, z, p)


cdef inline real squared_error_gradient(real y, real z, real p) noexcept nogil:
    if real is float:
        return ft_squared_error_gradient_f32(y, z, p)
    else:
        return ft_squared_error_gradient_f64(y, z, p)


cdef inline real absolute_error(real y, real z, real p) noexcept nogil:
    if real is float:
        return ft_absolute_error_f32(y, z, p)
    else:
        return ft_absolute_error_f64(y, z, p)


cdef inline real absolute_error_gradient(real y, real z, real p) noexcept nogil:
    if real is float:
        return ft_absolute_error_gradient_f32(y, z, p)
    else:
        return ft_absolute_error_gradient_f64(y, z, p)


cdef inline real huber(real y, real z, real p) noexcept nogil:
    if real is float:
        return ft_huber_f32(y, z, p)
    else:
        return ft_huber_f64(y, z, p)


cdef inline real huber_gradient(real y, real z, real p) noexcept nogil:
    if real is float:
        return ft_huber_gradient_f32(y, z, p)
    else:
        return ft_huber_gradient_f64(y, z, p)


cdef inline real quantile(real y, real z, real p) noexcept nogil:
    if real is float:
        return ft_quantile_f32(y, z, p)
    else:
        return ft_quantile_f64(y, z, p)


cdef inline real quantile_gradient(real y, real z, real p) noexcept nogil:
    if real is float:
        return ft_quantile_gradient_f32(y, z, p)
    else:
        return ft_quantile_gradient_f64(y, z, p)


cdef inline real poisson(real y, real z, real p) noexcept nogil:
    if real is float:
        return ft_poisson_f32(y, z, p)
    else:
        return ft_poisson_f64(y, z, p)


cdef inline real poisson_gradient(real y, real z, real p) noexcept nogil:
    if real is float:
        return ft_poisson_gradient_f32(y, z, p)
    else:
        return ft_poisson_gradient_f64(y, z, p)


cdef inline real binary_crossentropy(real y, real z, real p) noexcept nogil:
    if real is float:
        return ft_binary_crossentropy_f32(y, z, p)
    else:
        return ft_binary_crossentropy_f64(y, z, p)


cdef inline real binary_crossentropy_gradient(real y, real z, real p) noexcept nogil:
    if real is float:
        return ft_binary_crossentropy_gradient_f32(y, z, p)
    else:
        return ft_binary_crossentropy_gradient_f64(y, z, p)


cdef inline real hinge(real y, real z, real p) noexcept nogil:
    if real is float:
        return ft_hinge_f32(y, z, p)
    else:
        return ft_hinge_f64(y, z, p)


cdef inline real hinge_gradient(real y, real z, real p) noexcept nogil:
    if real is float:
        return ft_hinge_gradient_f32(y, z, p)
    else:
        return ft_hinge_gradient_f64(y, z, p)


cdef inline real squared_hinge(real y, real z, real p) noexcept nogil:
    if real is float:
        return ft_squared_hinge_f32(y, z, p)
    else:
        return ft_squared_hinge_f64(y, z, p)


cdef inline real squared_hinge_gradient(real y, real z, real p) noexcept nogil:
    if real is float:
        return ft_squared_hinge_gradient_f32(y, z, p)
    else:
        return ft_squared_hinge_gradient_f64(y, z, p)


cdef inline real modified_huber(real y, real z, real p) noexcept nogil:
    if real is float:
        return ft_modified_huber_f32(y, z, p)
    else:
        return ft_modified_huber_f64(y, z, p)


cdef inline real modified_huber_gradient(real y, real z, real p) noexcept nogil:
    if real is float:
        return ft_modified_huber_gradient_f32(y, z, p)
    else:
        return ft_modified_huber_gradient_f64(y, z, p)


cdef inline real epsilon_insensitive(real y, real z, real p) noexcept nogil:
    if real is float:
        return ft_epsilon_insensitive_f32(y, z, p)
    else:
        return ft_epsilon_insensitive_f64(y, z, p)


cdef inline real epsilon_insensitive_gradient(real y, real z, real p) noexcept nogil:
    if real is float:
        return ft_epsilon_insensitive_gradient_f32(y, z, p)
    else:
        return ft_epsilon_insensitive_gradient_f64(y, z, p)


cdef inline real squared_epsilon_insensitive(real y, real z, real p) noexcept nogil:
    if real is float:
        return ft_squared_epsilon_insensitive_f32(y, z, p)
    else:
        return ft_squared_epsilon_insensitive_f64(y, z, p)


cdef inline real squared_epsilon_insensitive_gradient(real y, real z, real p) noexcept nogil:
    if real is float:
        return ft_squared_epsilon_insensitive_gradient_f32(y, z, p)
    else:
        return ft_squared_epsilon_insensitive_gradient_f64(y, z, p)


cdef inline real gamma(real y, real z, real p) noexcept nogil:
    if real is float:
        return ft_gamma_f32(y, z, p)
    else:
        return ft_gamma_f64(y, z, p)


cdef inline real gamma_gradient(real y, real z, real p) noexcept nogil:
    if real is float:
        return ft_gamma_gradient_f32(y, z, p)
    else:
        return ft_gamma_gradient_f64(y, z, p)


cdef inline real tweedie(real y, real z, real p) noexcept nogil:
    if real is float:
        return ft_tweedie_f32(y, z, p)
    else:
        return ft_tweedie_f64(y, z, p)


cdef inline real tweedie_gradient(real y, real z, real p) noexcept nogil:
    if real is float:
        return ft_tweedie_gradient_f32(y, z, p)
    else:
        return ft_tweedie_gradient_f64(y, z, p)


cdef inline real tweedie_identity(real y, real z, real p) noexcept nogil:
    if real is float:
        return ft_tweedie_identity_f32(y, z, p)
    else:
        return ft_tweedie_identity_f64(y, z, p)


cdef inline real tweedie_identity_gradient(real y, real z, real p) noexcept nogil:
    if real is float:
        return ft_tweedie_identity_gradient_f32(y, z, p)
    else:
        return ft_tweedie_identity_gradient_f64(y, z, p)


cdef inline real identity(real z, real p) noexcept nogil:
    if real is float:
        return ft_identity_f32(z, p)
    else:
        return ft_identity_f64(z, p)


cdef inline real identity_derivative(real z, real a, real p) noexcept nogil:
    if real is float:
        return ft_identity_derivative_f32(z, a, p)
    else:
        return ft_identity_derivative_f64(z, a, p)


cdef inline real relu(real z, real p) noexcept nogil:
    if real is float:
        return ft_relu_f32(z, p)
    else:
        return ft_relu_f64(z, p)


cdef inline real relu_derivative(real z, real a, real p) noexcept nogil:
    if real is float:
        return ft_relu_derivative_f32(z, a, p)
    else:
        return ft_relu_derivative_f64(z, a, p)


cdef inline real leaky_relu(real z, real p) noexcept nogil:
    if real is float:
        return ft_leaky_relu_f32(z, p)
    else:
        return ft_leaky_relu_f64(z, p)


cdef inline real leaky_relu_derivative(real z, real a, real p) noexcept nogil:
    if real is float:
        return ft_leaky_relu_derivative_f32(z, a, p)
    else:
        return ft_leaky_relu_derivative_f64(z, a, p)


cdef inline real elu(real z, real p) noexcept nogil:
    if real is float:
        return ft_elu_f32(z, p)
    else:
        return ft_elu_f64(z, p)


cdef inline real elu_derivative(real z, real a, real p) noexcept nogil:
    if real is float:
        return ft_elu_derivative_f32(z, a, p)
    else:
        return ft_elu_derivative_f64(z, a, p)


cdef inline real selu(real z, real p) noexcept nogil:
    if real is float:
        return ft_selu_f32(z, p)
    else:
        return ft_selu_f64(z, p)


cdef inline real selu_derivative(real z, real a, real p) noexcept nogil:
    if real is float:
        return ft_selu_derivative_f32(z, a, p)
    else:
        return ft_selu_derivative_f64(z, a, p)


cdef inline real gelu(real z, real p) noexcept nogil:
    if real is float:
        return ft_gelu_f32(z, p)
    else:
        return ft_gelu_f64(z, p)


cdef inline real gelu_derivative(real z, real a, real p) noexcept nogil:
    if real is float:
        return ft_gelu_derivative_f32(z, a, p)
    else:
        return ft_gelu_derivative_f64(z, a, p)


cdef inline real silu(real z, real p) noexcept nogil:
    if real is float:
        return ft_silu_f32(z, p)
    else:
        return ft_silu_f64(z, p)


cdef inline real silu_derivative(real z, real a, real p) noexcept nogil:
    if real is float:
        return ft_silu_derivative_f32(z, a, p)
    else:
        return ft_silu_derivative_f64(z, a, p)


cdef inline real tanh(real z, real p) noexcept nogil:
    if real is float:
        return ft_tanh_f32(z, p)
    else:
        return ft_tanh_f64(z, p)


cdef inline real tanh_derivative(real z, real a, real p) noexcept nogil:
    if real is float:
        return ft_tanh_derivative_f32(z, a, p)
    else:
        return ft_tanh_derivative_f64(z, a, p)


cdef inline real logistic(real z, real p) noexcept nogil:
    if real is float:
        return ft_logistic_f32(z, p)
    else:
        return ft_logistic_f64(z, p)


cdef inline real logistic_derivative(real z, real a, real p) noexcept nogil:
    if real is float:
        return ft_logistic_derivative_f32(z, a, p)
    else:
        return ft_logistic_derivative_f64(z, a, p)


cdef inline real softplus(real z, real p) noexcept nogil:
    if real is float:
        return ft_softplus_f32(z, p)
    else:
        return ft_softplus_f64(z, p)


cdef inline real softplus_derivative(real z, real a, real p) noexcept nogil:
    if real is float:
        return ft_softplus_derivative_f32(z, a, p)
    else:
        return ft_softplus_derivative_f64(z, a, p)


cdef inline real exponential(real z, real p) noexcept nogil:
    if real is float:
        return ft_exponential_f32(z, p)
    else:
        return ft_exponential_f64(z, p)


cdef inline real exponential_derivative(real z, real a, real p) noexcept nogil:
    if real is float:
        return ft_exponential_derivative_f32(z, a, p)
    else:
        return ft_exponential_derivative_f64(z, a, p)


cdef inline real clipped_relu(real z, real p) noexcept nogil:
    if real is float:
        return ft_clipped_relu_f32(z, p)
    else:
        return ft_clipped_relu_f64(z, p)


cdef inline real clipped_relu_derivative(real z, real a, real p) noexcept nogil:
    if real is float:
        return ft_clipped_relu_derivative_f32(z, a, p)
    else:
        return ft_clipped_relu_derivative_f64(z, a, p)


cdef inline real hard_sigmoid(real z, real p) noexcept nogil:
    if real is float:
        return ft_hard_sigmoid_f32(z, p)
    else:
        return ft_hard_sigmoid_f64(z, p)


cdef inline real hard_sigmoid_derivative(real z, real a, real p) noexcept nogil:
    if real is float:
        return ft_hard_sigmoid_derivative_f32(z, a, p)
    else:
        return ft_hard_sigmoid_derivative_f64(z, a, p)


cdef inline real hard_silu(real z, real p) noexcept nogil:
    if real is float:
        return ft_hard_silu_f32(z, p)
    else:
        return ft_hard_silu_f64(z, p)


cdef inline real hard_silu_derivative(real z, real a, real p) noexcept nogil:
    if real is float:
        return ft_hard_silu_derivative_f32(z, a, p)
    else:
        return ft_hard_silu_derivative_f64(z, a, p)


cdef inline real hard_tanh(real z, real p) noexcept nogil:
    if real is float:
        return ft_hard_tanh_f32(z, p)
    else:
        return ft_hard_tanh_f64(z, p)


cdef inline real hard_tanh_derivative(real z, real a, real p) noexcept nogil:
    if real is float:
        return ft_hard_tanh_derivative_f32(z, a, p)
    else:
        return ft_hard_tanh_derivative_f64(z, a, p)


cdef inline real softsign(real z, real p) noexcept nogil:
    if real is float:
        return ft_softsign_f32(z, p)
    else:
        return ft_softsign_f64(z, p)


cdef inline real softsign_derivative(real z, real a, real p) noexcept nogil:
    if real is float:
        return ft_softsign_derivative_f32(z, a, p)
    else:
        return ft_softsign_derivative_f64(z, a, p)


cdef inline real mish(real z, real p) noexcept nogil:
    if real is float:
        return ft_mish_f32(z, p)
    else:
        return ft_mish_f64(z, p)


cdef inline real mish_derivative(real z, real a, real p) noexcept nogil:
    if real is float:
        return ft_mish_derivative_f32(z, a, p)
    else:
        return ft_mish_derivative_f64(z, a, p)


cdef inline real celu(real z, real p) noexcept nogil:
    if real is float:
        return ft_celu_f32(z, p)
    else:
        return ft_celu_f64(z, p)


cdef inline real celu_derivative(real z, real a, real p) noexcept nogil:
    if real is float:
        return ft_celu_derivative_f32(z, a, p)
    else:
        return ft_celu_derivative_f64(z, a, p)


cdef inline real log_sigmoid(real z, real p) noexcept nogil:
    if real is float:
        return ft_log_sigmoid_f32(z, p)
    else:
        return ft_log_sigmoid_f64(z, p)


cdef inline real log_sigmoid_derivative(real z, real a, real p) noexcept nogil:
    if real is float:
        return ft_log_sigmoid_derivative_f32(z, a, p)
    else:
        return ft_log_sigmoid_derivative_f64(z, a, p)


cdef inline real exp(real x) noexcept nogil:
    if real is float:
        return ft_exp_f32(x)
    else:
        return ft_exp_f64(x)


cdef inline real soft_threshold(real w, real t) noexcept nogil:
    if real is float:
        return ft_soft_threshold_f32(w, t)
    else:
        return ft_soft_threshold_f64(w, t)
