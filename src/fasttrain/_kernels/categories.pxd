"""Category codes and one-hot rows for C and Cython. A code below 0 stands for a value without a category."""

from libc.stdint cimport int32_t, int64_t

ctypedef fused code:
    int32_t
    int64_t

cdef int integer_codes(
    const int64_t* x, Py_ssize_t n, Py_ssize_t stride, int64_t low, Py_ssize_t span, const int64_t* table,
    code* code_out, Py_ssize_t code_stride, Py_ssize_t* unknown_out, int n_threads,
) noexcept nogil

cdef int one_hot_rows(
    const code* codes, Py_ssize_t n_rows, Py_ssize_t n_cols, const code* offsets, code* indices_out, code* indptr_out,
    int n_threads,
) noexcept nogil
