"""Columns put together as rows, for C and Cython."""

from libc.stdint cimport int32_t, int64_t

from fasttrain._kernels.types cimport real

# What a column of a file may hold.
ctypedef fused number:
    float
    double
    int32_t
    int64_t

# out[i * stride + places[j]] = columns[j][i] for rows first <= i < last; `like` is only of the columns' type.
cdef void interleave_rows(
    const void** columns, const number* like, const Py_ssize_t* places, Py_ssize_t n_columns,
    Py_ssize_t first, Py_ssize_t last, real* out, Py_ssize_t stride,
) noexcept nogil
