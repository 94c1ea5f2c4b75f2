"""The update rules for C and Cython. Results are statuses of types.pxd; n may be 0, and then no array is looked at."""

from libc.math cimport INFINITY
from libc.string cimport memset

from fasttrain._kernels.primitives cimport ft_update
from fasttrain._kernels.types cimport real


cdef inline void update_init(ft_update* h, double learning_rate) noexcept nogil:
    """Neutral settings: no scale, no clipping, no penalty, no decay.

    Inline, so that the size is the one that the caller was compiled with.
    """
    memset(h, 0, sizeof(ft_update))
    h.size = sizeof(ft_update)
    h.gradient_scale = 1.0
    h.clip_value = INFINITY
    h.keep = 1.0
    h.learning_rate = learning_rate
    h.root_scale = 1.0


cdef inline update_constants(ft_update* h, dict settings):
    """Neutral settings but for the constants of a rule in a dict, as fasttrain.optimizers gives them."""
    update_init(h, 0.0)
    h.clip_value = settings.get("clip_value", INFINITY)
    h.momentum = settings.get("momentum", 0.0)
    h.beta1 = settings.get("beta1", 0.0)
    h.beta2 = settings.get("beta2", 0.0)
    h.epsilon = settings.get("epsilon", 0.0)
    h.epsilon_inside = settings.get("epsilon_inside", 0.0)
    h.power = settings.get("power", 0.0)
    h.leader_l1 = settings.get("leader_l1", 0.0)
    h.leader_l2 = settings.get("leader_l2", 0.0)
    h.shrinkage = settings.get("shrinkage", 0.0)


cdef int update_array(
        int kind, const ft_update* h, real* w_io, const real* g, real* s1_io, real* s2_io, real* s3_io, Py_ssize_t n,
        int n_threads) noexcept nogil
cdef void adam_moments(ft_update* h, double learning_rate, double beta1, double beta2, double t,
        bint corrected_root) noexcept nogil
cdef void lamb_moments(ft_update* h, double learning_rate, double beta1, double beta2, double t) noexcept nogil
cdef void trust(ft_update* h, double step, const double* squares) noexcept nogil
cdef void adamax_moments(ft_update* h, double learning_rate, double beta1, double beta2, double t) noexcept nogil
cdef void nadam_moments(ft_update* h, double learning_rate, double beta1, double beta2, double t, double decay,
                        double* carried_io) noexcept nogil
cdef void velocity_rate(
        ft_update* h, int kind, double learning_rate, double momentum, double* carried_io) noexcept nogil
cdef int adam_step(
        real* w_io, const real* g, real* m_io, real* v_io, Py_ssize_t n, double learning_rate, double beta1,
        double beta2, double epsilon, double t, double l1, double l2, int n_threads) noexcept nogil
