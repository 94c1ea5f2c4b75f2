"""Proximal Newton steps for C and Cython: models of rows, products with sparse columns."""

from libc.stdint cimport int32_t

from fasttrain._kernels.types cimport real

cdef double model_of_rows(
    int loss, const double* y, const double* weight, const double* raw, Py_ssize_t n, double* slopes_out,
    double* curvatures_out, double* values, int n_threads
) noexcept nogil

cdef int products_with(
    const real* x, const int32_t* rows, const Py_ssize_t* starts, const double* v, Py_ssize_t p, double* out,
    int n_threads
) noexcept nogil
