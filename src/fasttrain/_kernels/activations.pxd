from fasttrain._kernels.types cimport real

cdef void activate_array(
        int kind, real parameter, const real* z, real* a_out, Py_ssize_t n,
        int n_threads) noexcept nogil
cdef void activate_backward_array(
        int kind, real parameter, const real* z, const real* a, real* delta_io, Py_ssize_t n,
        int n_threads) noexcept nogil
