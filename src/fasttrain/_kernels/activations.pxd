"""C door to the activations. Results are statuses of types.pxd; n may be 0, and then no array is looked at."""

from fasttrain._kernels.types cimport real

cdef int activate_array(
        int kind, real parameter, const real* z, real* a_out, Py_ssize_t n,
        int n_threads) noexcept nogil
cdef int activate_backward_array(
        int kind, real parameter, const real* z, const real* a, real* delta_io, Py_ssize_t n,
        int n_threads) noexcept nogil
