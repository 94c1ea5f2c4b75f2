"""Column statistics and scaling for C and Cython. Strides count elements, so any NumPy layout can be
passed; ``weights`` may be NULL."""

from fasttrain._kernels.types cimport real

cdef enum scale_map:
    MAP_SUBTRACT_DIVIDE = 0    # (x - a) / b
    MAP_MULTIPLY_ADD = 1       # x * a + b
    MAP_MULTIPLY_ADD_CLIP = 2  # min(max(x * a + b, low), high)

cdef int column_moments(
    const real* x, Py_ssize_t n_rows, Py_ssize_t n_cols, Py_ssize_t row_stride, Py_ssize_t col_stride,
    const double* weights, double* weight_out, double* mean_out, double* squares_out, int n_threads,
) noexcept nogil

cdef int column_extremes(
    const real* x, Py_ssize_t n_rows, Py_ssize_t n_cols, Py_ssize_t row_stride, Py_ssize_t col_stride,
    real* min_out, real* max_out, int n_threads,
) noexcept nogil

cdef int scale_columns(
    const real* x, Py_ssize_t n_rows, Py_ssize_t n_cols, Py_ssize_t row_stride, Py_ssize_t col_stride,
    const real* a, const real* b, real low, real high, int map,
    real* out, Py_ssize_t out_row_stride, Py_ssize_t out_col_stride, int* infinite_out, int n_threads,
) noexcept nogil
