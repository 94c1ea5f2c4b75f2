"""Category codes and one-hot rows for C and Cython. A code below 0 stands for a value without a category."""

from libc.math cimport NAN
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy

ctypedef fused code:
    int32_t
    int64_t

cdef inline int64_t key_of_float(double value) noexcept nogil:
    """Equal exactly where numbers are: NaN has one, and -0.0 has that of 0.0."""
    cdef int64_t key
    value += 0.0
    if value != value:
        value = NAN
    memcpy(&key, &value, sizeof(double))
    return key

cdef int integer_codes(
    const int64_t* x, Py_ssize_t n, Py_ssize_t stride, int64_t low, Py_ssize_t span, const int64_t* table,
    code* code_out, Py_ssize_t code_stride, Py_ssize_t* unknown_out, int n_threads,
) noexcept nogil

cdef int one_hot_rows(
    const code* codes, Py_ssize_t n_rows, Py_ssize_t n_cols, const code* offsets, code* indices_out, code* indptr_out,
    int n_threads,
) noexcept nogil
