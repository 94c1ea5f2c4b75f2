"""The losses for C and Cython. Results are statuses of types.pxd; n and k may be 0: no array is looked at then."""

from fasttrain._kernels.types cimport real

cdef int loss_arrays(
        int kind, real parameter, const real* y, const real* raw, const real* weight, double* value_out,
        real* gradient_out, Py_ssize_t n, Py_ssize_t k, int n_threads) noexcept nogil

cdef int loss_of_rows(
        int kind, real parameter, const real* y, const real* raw, real* values_out, Py_ssize_t n, Py_ssize_t k,
        int n_threads) noexcept nogil

cdef int huber_parts(
        const real* y, const real* raw, const real* weight, double threshold, Py_ssize_t n, double* parts_out,
        int n_threads) noexcept nogil
