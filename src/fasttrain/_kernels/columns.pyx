"""Column statistics and scaling of a table, blocked by rows.

A block of rows is small enough for the first-level cache; what is summed is the distance from a row of that block, so
the variance of a column with mean 1e8 and standard deviation 1 keeps its digits. Blocks are merged by

    n = n_a + n_b,  delta = mean_b - mean_a,
    mean = mean_a + delta n_b / n,  M2 = M2_a + M2_b + delta^2 n_a n_b / n

(Chan, Golub and LeVeque, The American Statistician 37.3, 1983). Blocks and the chunks of blocks that threads take are
set by the table's shape alone, so the result is the same bytes for every thread count and every layout.
"""

from cython.parallel cimport prange
from libc.math cimport INFINITY
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from fasttrain._kernels.primitives cimport ops_f32, ops_f64
from fasttrain._kernels.signals cimport SLICE_VALUES, PyErr_CheckSignals
from fasttrain._kernels.threads cimport threads_for_work
from fasttrain._kernels.types cimport STATUS_NO_MEMORY, STATUS_OK, real

cdef enum:
    MAX_CHUNKS = 64
    BLOCK_VALUES = 4096       # 32 KB of double: a block's second look finds it in cache
    MIN_BLOCK_ROWS = 16
    MAX_BLOCK_ROWS = 1024
    FOLDED_WIDTH = 64         # rows of a narrow table are laid end to end up to this width, so that vectors are full

cdef double VALUES_PER_THREAD = 100_000.0


cdef struct blocking:
    Py_ssize_t fold        # rows laid end to end
    Py_ssize_t block_rows  # a multiple of fold
    Py_ssize_t n_blocks
    Py_ssize_t n_chunks
    Py_ssize_t chunk_blocks
    bint packed            # the block has to be copied together first


cdef inline Py_ssize_t minimum(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    return a if a < b else b


cdef blocking plan(Py_ssize_t n_rows, Py_ssize_t n_cols, Py_ssize_t row_stride, Py_ssize_t col_stride) noexcept nogil:
    cdef blocking p
    n_cols = max(<Py_ssize_t> 1, n_cols)
    p.fold = 1 if n_cols >= FOLDED_WIDTH // 2 else FOLDED_WIDTH // n_cols
    p.block_rows = minimum(BLOCK_VALUES // n_cols, MAX_BLOCK_ROWS)
    if p.block_rows < MIN_BLOCK_ROWS:
        p.block_rows = MIN_BLOCK_ROWS
    p.block_rows = (p.block_rows + p.fold - 1) // p.fold * p.fold
    p.n_blocks = (n_rows + p.block_rows - 1) // p.block_rows
    p.chunk_blocks = (p.n_blocks + MAX_CHUNKS - 1) // MAX_CHUNKS
    p.n_chunks = (p.n_blocks + p.chunk_blocks - 1) // p.chunk_blocks if p.n_blocks else 0
    p.packed = not (col_stride == 1 and (row_stride == n_cols or p.fold == 1))
    return p


cdef inline void pack(
    const real* x, Py_ssize_t rows, Py_ssize_t n_cols, Py_ssize_t row_stride, Py_ssize_t col_stride, real* out
) noexcept nogil:
    cdef Py_ssize_t i, j
    if row_stride == 1:
        for j in range(n_cols):
            for i in range(rows):
                out[i * n_cols + j] = x[j * col_stride + i]
    else:
        for i in range(rows):
            for j in range(n_cols):
                out[i * n_cols + j] = x[i * row_stride + j * col_stride]


cdef inline void shifted_sums(
    const real* x, Py_ssize_t stride, Py_ssize_t rows, Py_ssize_t cols, const double* shift, double* s1, double* s2
) noexcept nogil:
    if real is float:
        ops_f32.deviation_sums(x, stride, rows, cols, shift, s1, s2)
    else:
        ops_f64.deviation_sums(x, stride, rows, cols, shift, s1, s2)


cdef bint block_moments(
    const real* x, Py_ssize_t stride, Py_ssize_t rows, Py_ssize_t n_cols, Py_ssize_t fold, const double* weights,
    double* shift, double* s0, double* s1, double* s2,
) noexcept nogil:
    """Sums of one block about ``shift``, which is chosen here: the first value present in each column. A
    deviation from an outlier costs no digits: the outlier is part of the sum. Returns whether every row counts 1 in
    every column."""
    cdef Py_ssize_t i, j, k, folded_rows = rows // fold, width = n_cols * fold
    cdef real value
    cdef bint missing = weights != NULL
    for j in range(n_cols):
        i = 0
        value = x[j]
        while (value != value or (weights != NULL and weights[i] == 0)) and i + 1 < rows:
            i += 1
            value = x[i * stride + j]
        shift[j] = value if value == value else 0.0
    if not missing:
        for k in range(1, fold):
            for j in range(n_cols):
                shift[k * n_cols + j] = shift[j]
        memset(s1, 0, width * sizeof(double))
        memset(s2, 0, width * sizeof(double))
        shifted_sums(x, stride * fold, folded_rows, width, shift, s1, s2)
        for k in range(1, fold):
            for j in range(n_cols):
                s1[j] += s1[k * n_cols + j]
                s2[j] += s2[k * n_cols + j]
        shifted_sums(x + folded_rows * fold * stride, stride, rows - folded_rows * fold, n_cols, shift, s1, s2)
        for j in range(n_cols):
            s0[j] = <double> rows
            if s1[j] != s1[j]:
                missing = True
    if missing:
        memset(s0, 0, n_cols * sizeof(double))
        memset(s1, 0, n_cols * sizeof(double))
        memset(s2, 0, n_cols * sizeof(double))
        if real is float:
            ops_f32.present_sums(x, stride, rows, n_cols, weights, shift, s0, s1, s2)
        else:
            ops_f64.present_sums(x, stride, rows, n_cols, weights, shift, s0, s1, s2)
    return not missing


cdef inline void merge(
    double n_b, double origin_b, double mean_b, double m2_b, double* n_a, double* origin_a, double* mean_a, double* m2_a
) noexcept nogil:
    """Moments of b into those of a. Means are told from an origin, a value of the set itself, so that their
    difference keeps digits that the means alone have lost."""
    cdef double n, delta
    if n_b == 0:
        return
    if n_a[0] == 0:
        n_a[0] = n_b
        origin_a[0] = origin_b
        mean_a[0] = mean_b
        m2_a[0] = m2_b
        return
    n = n_a[0] + n_b
    delta = (origin_b - origin_a[0]) + (mean_b - mean_a[0])
    mean_a[0] += delta * (n_b / n)
    m2_a[0] += m2_b + delta * delta * (n_a[0] * (n_b / n))
    n_a[0] = n


cdef void merge_whole(
    double n_b, double n_a, Py_ssize_t n_cols, const double* shift, const double* s1, const double* s2,
    double* weight_io, const double* origin, double* mean_io, double* squares_io,
) noexcept nogil:
    """:c:func:`merge` of a block's sums into all columns, where all rows count 1: divided once, in vectors."""
    cdef double n = n_a + n_b, share = n_b / n, both = n_a * (n_b / n), mean, squares, delta
    cdef Py_ssize_t j
    for j in range(n_cols):
        mean = s1[j] / n_b
        squares = s2[j] - s1[j] * mean
        squares = squares if not (squares < 0) else 0.0
        delta = (shift[j] - origin[j]) + (mean - mean_io[j])
        mean_io[j] += delta * share
        squares_io[j] += squares + delta * delta * both
        weight_io[j] = n


cdef int chunk_moments(
    const real* x, Py_ssize_t n_rows, Py_ssize_t n_cols, Py_ssize_t row_stride, Py_ssize_t col_stride,
    const double* weights, const blocking* p, Py_ssize_t chunk, double* weight_out, double* origin_out,
    double* mean_out, double* squares_out,
) noexcept nogil:
    cdef Py_ssize_t width = n_cols * p.fold, b, j, start, rows, stride
    cdef Py_ssize_t last = minimum((chunk + 1) * p.chunk_blocks, p.n_blocks)
    cdef const real* block
    cdef double m2
    cdef bint whole = True, block_is_whole
    cdef double* work = <double*> malloc(4 * width * sizeof(double))
    cdef real* packed = NULL
    if p.packed:
        packed = <real*> malloc(p.block_rows * n_cols * sizeof(real))
    if work == NULL or (p.packed and packed == NULL):
        free(work)
        free(packed)
        return STATUS_NO_MEMORY
    cdef double* shift = work
    cdef double* s0 = work + width
    cdef double* s1 = s0 + width
    cdef double* s2 = s1 + width
    memset(weight_out, 0, n_cols * sizeof(double))
    memset(mean_out, 0, n_cols * sizeof(double))
    memset(squares_out, 0, n_cols * sizeof(double))
    for b in range(chunk * p.chunk_blocks, last):
        start = b * p.block_rows
        rows = minimum(p.block_rows, n_rows - start)
        block = x + start * row_stride
        stride = row_stride
        if p.packed:
            pack(block, rows, n_cols, row_stride, col_stride, packed)
            block = packed
            stride = n_cols
        block_is_whole = block_moments(
            block, stride, rows, n_cols, p.fold, weights + start if weights != NULL else NULL, shift, s0, s1, s2)
        whole = whole and block_is_whole
        if whole and b > chunk * p.chunk_blocks:
            merge_whole(<double> rows, weight_out[0], n_cols, shift, s1, s2, weight_out, origin_out, mean_out,
                        squares_out)
            continue
        for j in range(n_cols):
            if s0[j] != 0:
                m2 = s2[j] - s1[j] * (s1[j] / s0[j])
                merge(s0[j], shift[j], s1[j] / s0[j], m2 if not (m2 < 0) else 0.0,
                      weight_out + j, origin_out + j, mean_out + j, squares_out + j)
    free(work)
    free(packed)
    return STATUS_OK


cdef int moments_of_chunks(
    const real* x, Py_ssize_t n_rows, Py_ssize_t n_cols, Py_ssize_t row_stride, Py_ssize_t col_stride,
    const double* weights, const blocking* p, Py_ssize_t first, Py_ssize_t last, double* partial, int n_threads,
) noexcept nogil:
    """Weights, origins, means and squares of chunks ``first`` to ``last``, at their places in ``partial``."""
    cdef Py_ssize_t c, size = p.n_chunks * n_cols
    cdef int failed = 0
    n_threads = <int> minimum(n_threads, last - first)
    if n_threads <= 1:
        for c in range(first, last):
            failed += chunk_moments(
                x, n_rows, n_cols, row_stride, col_stride, weights, p, c,
                partial + c * n_cols, partial + size + c * n_cols, partial + 2 * size + c * n_cols,
                partial + 3 * size + c * n_cols)
    else:
        for c in prange(first, last, schedule="dynamic", num_threads=n_threads):
            failed += chunk_moments(
                x, n_rows, n_cols, row_stride, col_stride, weights, p, c,
                partial + c * n_cols, partial + size + c * n_cols, partial + 2 * size + c * n_cols,
                partial + 3 * size + c * n_cols)
    return STATUS_NO_MEMORY if failed else STATUS_OK


cdef void merge_chunks(
    const double* partial, Py_ssize_t n_chunks, Py_ssize_t n_cols, double* origin, double* weight_out, double* mean_out,
    double* squares_out,
) noexcept nogil:
    cdef Py_ssize_t c, j, size = n_chunks * n_cols
    memset(weight_out, 0, n_cols * sizeof(double))
    memset(mean_out, 0, n_cols * sizeof(double))
    memset(squares_out, 0, n_cols * sizeof(double))
    for c in range(n_chunks):
        for j in range(n_cols):
            merge(partial[c * n_cols + j], partial[size + c * n_cols + j], partial[2 * size + c * n_cols + j],
                  partial[3 * size + c * n_cols + j], weight_out + j, origin + j, mean_out + j, squares_out + j)
    for j in range(n_cols):
        if weight_out[j] != 0:
            mean_out[j] += origin[j]


cdef int column_moments(
    const real* x, Py_ssize_t n_rows, Py_ssize_t n_cols, Py_ssize_t row_stride, Py_ssize_t col_stride,
    const double* weights, double* weight_out, double* mean_out, double* squares_out, int n_threads,
) noexcept nogil:
    """Sum of weights of the values present, their mean and sum of squared deviations, for each column.

    A column with nothing present gets weight 0 and mean 0. An infinity shows as a mean that is not finite.
    """
    cdef blocking p = plan(n_rows, n_cols, row_stride, col_stride)
    cdef int status
    if n_cols == 0:
        return STATUS_OK
    n_threads = threads_for_work(n_threads, <double> n_rows * n_cols, VALUES_PER_THREAD)
    cdef double* partial = <double*> malloc((4 * p.n_chunks + 1) * n_cols * sizeof(double))
    if partial == NULL:
        return STATUS_NO_MEMORY
    status = moments_of_chunks(
        x, n_rows, n_cols, row_stride, col_stride, weights, &p, 0, p.n_chunks, partial, n_threads)
    if status == STATUS_OK:
        merge_chunks(partial, p.n_chunks, n_cols, partial + 4 * p.n_chunks * n_cols, weight_out, mean_out, squares_out)
    free(partial)
    return status


cdef inline void block_extremes(
    const real* x, Py_ssize_t stride, Py_ssize_t rows, Py_ssize_t cols, real* low, real* high
) noexcept nogil:
    if real is float:
        ops_f32.extremes(x, stride, rows, cols, low, high)
    else:
        ops_f64.extremes(x, stride, rows, cols, low, high)


cdef int chunk_extremes(
    const real* x, Py_ssize_t n_rows, Py_ssize_t n_cols, Py_ssize_t row_stride, Py_ssize_t col_stride,
    const blocking* p, Py_ssize_t chunk, real* min_out, real* max_out,
) noexcept nogil:
    cdef Py_ssize_t width = n_cols * p.fold, b, j, k, start, rows, stride, folded
    cdef Py_ssize_t last = minimum((chunk + 1) * p.chunk_blocks, p.n_blocks)
    cdef const real* block
    cdef real* work = <real*> malloc(2 * width * sizeof(real))
    cdef real* packed = NULL
    if p.packed:
        packed = <real*> malloc(p.block_rows * n_cols * sizeof(real))
    if work == NULL or (p.packed and packed == NULL):
        free(work)
        free(packed)
        return STATUS_NO_MEMORY
    cdef real* low = work
    cdef real* high = work + width
    for j in range(width):
        low[j] = <real> INFINITY
        high[j] = <real> -INFINITY
    for b in range(chunk * p.chunk_blocks, last):
        start = b * p.block_rows
        rows = minimum(p.block_rows, n_rows - start)
        block = x + start * row_stride
        stride = row_stride
        if p.packed:
            pack(block, rows, n_cols, row_stride, col_stride, packed)
            block = packed
            stride = n_cols
        folded = rows // p.fold
        block_extremes(block, stride * p.fold, folded, width, low, high)
        block_extremes(block + folded * p.fold * stride, stride, rows - folded * p.fold, n_cols, low, high)
    for k in range(1, p.fold):
        for j in range(n_cols):
            low[j] = low[k * n_cols + j] if low[k * n_cols + j] < low[j] else low[j]
            high[j] = high[k * n_cols + j] if high[k * n_cols + j] > high[j] else high[j]
    for j in range(n_cols):
        min_out[j] = low[j]
        max_out[j] = high[j]
    free(work)
    free(packed)
    return STATUS_OK


cdef int column_extremes(
    const real* x, Py_ssize_t n_rows, Py_ssize_t n_cols, Py_ssize_t row_stride, Py_ssize_t col_stride,
    real* min_out, real* max_out, int n_threads,
) noexcept nogil:
    """Smallest and largest value present in each column; +infinity and -infinity where nothing is."""
    cdef blocking p = plan(n_rows, n_cols, row_stride, col_stride)
    cdef Py_ssize_t c, j, size = p.n_chunks * n_cols
    cdef int failed = 0
    for j in range(n_cols):
        min_out[j] = <real> INFINITY
        max_out[j] = <real> -INFINITY
    if n_rows == 0 or n_cols == 0:
        return STATUS_OK
    n_threads = <int> minimum(threads_for_work(n_threads, <double> n_rows * n_cols, VALUES_PER_THREAD), p.n_chunks)
    cdef real* partial = <real*> malloc(2 * size * sizeof(real))
    if partial == NULL:
        return STATUS_NO_MEMORY
    if n_threads == 1:
        for c in range(p.n_chunks):
            failed += chunk_extremes(
                x, n_rows, n_cols, row_stride, col_stride, &p, c, partial + c * n_cols, partial + size + c * n_cols)
    else:
        for c in prange(p.n_chunks, schedule="dynamic", num_threads=n_threads):
            failed += chunk_extremes(
                x, n_rows, n_cols, row_stride, col_stride, &p, c, partial + c * n_cols, partial + size + c * n_cols)
    if not failed:
        for c in range(p.n_chunks):
            for j in range(n_cols):
                if partial[c * n_cols + j] < min_out[j]:
                    min_out[j] = partial[c * n_cols + j]
                if partial[size + c * n_cols + j] > max_out[j]:
                    max_out[j] = partial[size + c * n_cols + j]
    free(partial)
    return STATUS_NO_MEMORY if failed else STATUS_OK


cdef inline int map_block(
    const real* x, Py_ssize_t stride, real* out, Py_ssize_t out_stride, Py_ssize_t rows, Py_ssize_t cols,
    const real* a, const real* b, real low, real high, int map,
) noexcept nogil:
    if real is float:
        return ops_f32.scale_rows(map, x, stride, rows, cols, a, b, low, high, out, out_stride)
    else:
        return ops_f64.scale_rows(map, x, stride, rows, cols, a, b, low, high, out, out_stride)


cdef int scale_chunk(
    const real* x, Py_ssize_t rows, Py_ssize_t n_cols, Py_ssize_t row_stride, Py_ssize_t col_stride,
    const real* a, const real* b, Py_ssize_t fold, real low, real high, int map,
    real* out, Py_ssize_t out_row_stride, Py_ssize_t out_col_stride,
) noexcept nogil:
    """Scale some rows; ``a`` and ``b`` hold ``fold`` copies of the columns' numbers."""
    cdef Py_ssize_t i, j, k, span, folded
    cdef int infinite = 0
    cdef real[256] a_tile
    cdef real[256] b_tile
    if col_stride == 1 and out_col_stride == 1:
        if row_stride != n_cols or out_row_stride != n_cols:
            fold = 1
        folded = rows // fold
        infinite = map_block(x, row_stride * fold, out, out_row_stride * fold, folded, n_cols * fold, a, b,
            low, high, map)
        folded *= fold
        return infinite | map_block(
            x + folded * row_stride, row_stride, out + folded * out_row_stride, out_row_stride, rows - folded, n_cols,
            a, b, low, high, map)
    if row_stride == 1 and out_row_stride == 1:
        for j in range(n_cols):
            for k in range(256):
                a_tile[k] = a[j]
                b_tile[k] = b[j]
            i = 0
            while i < rows:
                span = minimum(256, rows - i)
                infinite |= map_block(
                    x + j * col_stride + i, 0, out + j * out_col_stride + i, 0, 1, span, &a_tile[0],
                    &b_tile[0], low, high, map)
                i += span
        return infinite
    for i in range(rows):
        for j in range(n_cols):
            infinite |= map_block(
                x + i * row_stride + j * col_stride, 0, out + i * out_row_stride + j * out_col_stride, 0, 1, 1,
                a + j, b + j, low, high, map)
    return infinite


cdef inline Py_ssize_t whole_vectors(Py_ssize_t n_cols) noexcept nogil:
    """Rows to lay end to end so that they fill 64-byte vectors of either type, at least 64 values wide."""
    cdef Py_ssize_t fold = 1
    while n_cols * fold % 16 != 0:
        fold *= 2
    while n_cols * fold < FOLDED_WIDTH:
        fold *= 2
    return fold


cdef int scale_columns(
    const real* x, Py_ssize_t n_rows, Py_ssize_t n_cols, Py_ssize_t row_stride, Py_ssize_t col_stride,
    const real* a, const real* b, real low, real high, int map,
    real* out, Py_ssize_t out_row_stride, Py_ssize_t out_col_stride, int* infinite_out, int n_threads,
) noexcept nogil:
    """out = map(x) column by column; ``out`` may be ``x``. ``infinite_out``: whether x holds an infinity."""
    cdef blocking p = plan(n_rows, n_cols, row_stride, col_stride)
    cdef Py_ssize_t fold = whole_vectors(max(<Py_ssize_t> 1, n_cols))
    cdef Py_ssize_t c, j, k, start, width = n_cols * fold, chunk_rows = p.block_rows * p.chunk_blocks
    cdef int infinite = 0
    infinite_out[0] = 0
    if n_rows == 0 or n_cols == 0:
        return STATUS_OK
    n_threads = <int> minimum(threads_for_work(n_threads, <double> n_rows * n_cols, VALUES_PER_THREAD), p.n_chunks)
    cdef real* tiled = <real*> malloc(2 * width * sizeof(real))
    if tiled == NULL:
        return STATUS_NO_MEMORY
    for k in range(fold):
        for j in range(n_cols):
            tiled[k * n_cols + j] = a[j]
            tiled[width + k * n_cols + j] = b[j]
    if n_threads == 1:
        for c in range(p.n_chunks):
            start = c * chunk_rows
            infinite += scale_chunk(
                x + start * row_stride, minimum(chunk_rows, n_rows - start), n_cols, row_stride, col_stride,
                tiled, tiled + width, fold, low, high, map, out + start * out_row_stride, out_row_stride,
                out_col_stride)
    else:
        for c in prange(p.n_chunks, schedule="dynamic", num_threads=n_threads):
            start = c * chunk_rows
            infinite += scale_chunk(
                x + start * row_stride, minimum(chunk_rows, n_rows - start), n_cols, row_stride, col_stride,
                tiled, tiled + width, fold, low, high, map, out + start * out_row_stride, out_row_stride,
                out_col_stride)
    free(tiled)
    infinite_out[0] = infinite != 0
    return STATUS_OK


def moments(
    const real[:, :] X, const double[::1] weights, double[::1] weight_out, double[::1] mean_out,
    double[::1] squares_out, int n_threads,
):
    """:c:func:`column_moments` for Python, with looks for signals; strides must be whole elements. Returns the
    status."""
    cdef Py_ssize_t n_rows = X.shape[0], n_cols = X.shape[1], first, step
    cdef Py_ssize_t row_stride = X.strides[0] // <Py_ssize_t> sizeof(real)
    cdef Py_ssize_t col_stride = X.strides[1] // <Py_ssize_t> sizeof(real)
    cdef const double* w = NULL
    cdef double* partial
    cdef int status = STATUS_OK
    cdef blocking p
    if weights is not None and weights.shape[0] > 0:
        w = &weights[0]
    if n_rows == 0 or n_cols == 0:
        return STATUS_OK
    p = plan(n_rows, n_cols, row_stride, col_stride)
    n_threads = threads_for_work(n_threads, <double> n_rows * n_cols, VALUES_PER_THREAD)
    step = max(<Py_ssize_t> n_threads, 2 * SLICE_VALUES // max(<Py_ssize_t> 1, p.chunk_blocks * p.block_rows * n_cols))
    partial = <double*> malloc((4 * p.n_chunks + 1) * n_cols * sizeof(double))
    if partial == NULL:
        return STATUS_NO_MEMORY
    try:
        for first in range(0, p.n_chunks, step):
            with nogil:
                status |= moments_of_chunks(
                    &X[0, 0], n_rows, n_cols, row_stride, col_stride, w, &p, first, minimum(first + step, p.n_chunks),
                    partial, n_threads)
            PyErr_CheckSignals()
        if status == STATUS_OK:
            merge_chunks(partial, p.n_chunks, n_cols, partial + 4 * p.n_chunks * n_cols, &weight_out[0], &mean_out[0],
                         &squares_out[0])
    finally:
        free(partial)
    return status


def extremes(const real[:, :] X, real[::1] min_out, real[::1] max_out, int n_threads):
    """:c:func:`column_extremes` for Python, with looks for signals. Returns the status."""
    cdef Py_ssize_t n_rows = X.shape[0], n_cols = X.shape[1], first, j
    cdef int status = STATUS_OK
    cdef real* part
    if n_rows == 0 or n_cols == 0:
        return STATUS_OK
    cdef Py_ssize_t step = max(<Py_ssize_t> 1, 2 * SLICE_VALUES // n_cols)
    part = <real*> malloc(2 * n_cols * sizeof(real))
    if part == NULL:
        return STATUS_NO_MEMORY
    for j in range(n_cols):
        min_out[j] = <real> INFINITY
        max_out[j] = <real> -INFINITY
    try:
        for first in range(0, n_rows, step):
            with nogil:
                status |= column_extremes(
                    &X[first, 0], minimum(step, n_rows - first), n_cols, X.strides[0] // <Py_ssize_t> sizeof(real),
                    X.strides[1] // <Py_ssize_t> sizeof(real), part, part + n_cols, n_threads)
                for j in range(n_cols):
                    min_out[j] = part[j] if part[j] < min_out[j] else min_out[j]
                    max_out[j] = part[n_cols + j] if part[n_cols + j] > max_out[j] else max_out[j]
            PyErr_CheckSignals()
    finally:
        free(part)
    return status


def scale(
    const real[:, :] X, const real[::1] a, const real[::1] b, double low, double high, int map, real[:, :] out,
    int n_threads,
):
    """:c:func:`scale_columns` for Python, with looks for signals. Returns (status, whether X holds an infinity)."""
    cdef Py_ssize_t n_rows = X.shape[0], n_cols = X.shape[1], first
    cdef int status = STATUS_OK, among = 0, infinite = 0
    if n_rows == 0 or n_cols == 0:
        return STATUS_OK, False
    cdef Py_ssize_t step = max(<Py_ssize_t> 1, SLICE_VALUES // n_cols)
    for first in range(0, n_rows, step):
        with nogil:
            status |= scale_columns(
                &X[first, 0], minimum(step, n_rows - first), n_cols, X.strides[0] // <Py_ssize_t> sizeof(real),
                X.strides[1] // <Py_ssize_t> sizeof(real), &a[0], &b[0], <real> low, <real> high, map,
                &out[first, 0], out.strides[0] // <Py_ssize_t> sizeof(real),
                out.strides[1] // <Py_ssize_t> sizeof(real), &among, n_threads)
        infinite |= among
        PyErr_CheckSignals()
    return status, bool(infinite)
