"""Row masks for C and Cython. Masks are one byte a row: 1 for a row that goes."""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from fasttrain._kernels.types cimport real

# Cells that rows are compared by: numbers, or exact codes that stand for anything else.
ctypedef fused cell:
    float
    double
    int64_t

cdef enum keep_kind:
    KEEP_FIRST = 0
    KEEP_LAST = 1
    KEEP_NONE = 2

cdef int count_missing(
    const real* x, Py_ssize_t n_rows, Py_ssize_t n_cols, Py_ssize_t row_stride, Py_ssize_t col_stride,
    int* count_out, int n_threads,
) noexcept nogil

cdef int count_outside(
    const real* x, Py_ssize_t n_rows, Py_ssize_t n_cols, Py_ssize_t row_stride, Py_ssize_t col_stride,
    const double* low, const double* high, int* count_out, int n_threads,
) noexcept nogil

cdef int mark_duplicates(
    const cell* x, Py_ssize_t n_rows, Py_ssize_t n_cols, Py_ssize_t row_stride, Py_ssize_t col_stride,
    int keep, uint8_t* mask_out, int n_threads,
) noexcept nogil
