"""Quantiles of columns for C and Cython."""

from fasttrain._kernels.types cimport real

cdef int column_quantiles(
    const real* x, Py_ssize_t n_rows, Py_ssize_t n_cols, Py_ssize_t row_stride, Py_ssize_t col_stride,
    const double* fractions, Py_ssize_t n_fractions, double* out, int n_threads,
) noexcept nogil
