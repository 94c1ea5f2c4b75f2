"""Sums of products of columns, for C and Cython. Strides count elements, so any NumPy layout can be passed."""

from fasttrain._kernels.types cimport real

cdef int gram_products(
    const real* x, const double* y, const double* weights, const Py_ssize_t* rows, const double* shift,
    const double* row_shift, Py_ssize_t n_rows, Py_ssize_t n_cols, Py_ssize_t n_targets, Py_ssize_t row_stride,
    Py_ssize_t col_stride, Py_ssize_t y_stride, double* products_out, int n_threads,
) noexcept nogil

cdef int gram_products_sparse(
    const real* data, const void* indices, const void* indptr, bint wide, const double* y, const double* weights,
    const Py_ssize_t* rows, Py_ssize_t n_rows, Py_ssize_t n_cols, Py_ssize_t n_targets, double* products_out,
    int n_threads,
) noexcept nogil
