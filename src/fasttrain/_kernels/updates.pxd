from fasttrain._kernels.primitives cimport ft_update
from fasttrain._kernels.types cimport real

cdef void update_init(ft_update* h, double learning_rate) noexcept nogil
cdef void update_array(
        int kind, const ft_update* h, real* w_io, const real* g, real* s1_io, real* s2_io, real* s3_io, Py_ssize_t n,
        int n_threads) noexcept nogil
cdef void adam_moments(ft_update* h, double learning_rate, double beta1, double beta2, double t,
        bint corrected_root) noexcept nogil
cdef void nadam_moments(ft_update* h, double learning_rate, double beta1, double beta2, double t, double decay,
                        double* carried_io) noexcept nogil
cdef void velocity_rate(
        ft_update* h, int kind, double learning_rate, double momentum, double* carried_io) noexcept nogil
cdef void adam_step(
        real* w_io, const real* g, real* m_io, real* v_io, Py_ssize_t n, double learning_rate, double beta1,
        double beta2, double epsilon, double t, double l1, double l2, int n_threads) noexcept nogil
