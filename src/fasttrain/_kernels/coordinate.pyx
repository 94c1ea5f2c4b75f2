"""Coordinate descent on least squares with an elastic-net penalty, along a list of penalties in one call.

The arithmetic is ``csrc/coordinate_body.h``'s, compiled once for each instruction set: sweeps, duality gap and gap-safe
screening for one target or a block of tasks, over dense columns, CSC or a Gram matrix. Here stand the memory of a
descent, :func:`path`, and :func:`centred_columns`, which lays rows of a table out by columns as the descent reads them.

Arguments are trusted, as everywhere in this package.
"""

import numpy as np

from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from fasttrain._kernels.primitives cimport active_isa
from fasttrain._kernels.signals cimport raise_signalled, signalled
from fasttrain._kernels.types cimport STATUS_NO_MEMORY, real

cdef enum:
    TOGETHER = 16           # columns gathered at a time: a cache line or two of each row
    LOOK_VALUES = 1 << 20   # values laid out between two looks at signals
    LOOK_BLOCKS = 4         # of columns that are shorter than that


class Stopped(Exception):
    """A descent ended because its :class:`Stop` was set."""


cdef class Stop:
    """What ends descents in other threads: they look at it every few milliseconds."""

    def set(self):
        """End them."""
        self.flag = 1

    def is_set(self):
        """Whether they are to end."""
        return bool(self.flag)


cdef int told_to_stop(void* context) noexcept nogil:
    """Whether the :class:`Stop` at ``context`` is set, or a signal has come."""
    if context != NULL and (<int*> context)[0]:
        return 1
    return signalled()


cdef int descent_path(
    ft_descent* s, bint is_double, const double* l1, const double* l2, const uint32_t* seeds, void* coefs_out,
    double* gaps_out, double* bounds_out, Py_ssize_t* n_iters_out, uint8_t* converged_out, Py_ssize_t n_penalties
) noexcept nogil:
    """Descend for each penalty from where the last one ended; coefficients of p by n_tasks each to ``coefs_out``."""
    cdef const ft_descent_kernels* kernels = ft_descent_kernels_for(active_isa)
    cdef size_t size = s.p * s.n_tasks * (sizeof(double) if is_double else sizeof(float))
    cdef Py_ssize_t i
    cdef int status = kernels.begin_f64(s) if is_double else kernels.begin_f32(s)
    if status != FT_DESCENT_OK:
        return status
    for i in range(n_penalties):
        s.l1 = l1[i]
        s.l2 = l2[i]
        s.seed = seeds[i]
        status = kernels.solve_f64(s) if is_double else kernels.solve_f32(s)
        if status != FT_DESCENT_OK:
            return status
        memcpy(<char*> coefs_out + i * size, s.w, size)
        gaps_out[i] = s.gap
        bounds_out[i] = s.bound
        n_iters_out[i] = s.n_iter
        converged_out[i] = s.converged
    return FT_DESCENT_OK


cdef size_t up(size_t size) noexcept nogil:
    return (size + 63) // 64 * 64


cdef void* taken(char** memory, size_t size) noexcept nogil:
    cdef void* part = memory[0]
    memory[0] += up(size)
    return part


cdef int run(
    ft_descent* s, real* w_io, const double* l1, const double* l2, const uint32_t* seeds, real* coefs_out,
    double* gaps_out, double* bounds_out, Py_ssize_t* n_iters_out, uint8_t* converged_out, Py_ssize_t n_penalties
) noexcept nogil:
    """:func:`descent_path` with a workspace of its own."""
    cdef size_t p = s.p, n_tasks = s.n_tasks
    cdef size_t r_size = up((p if s.design == FT_DESIGN_GRAM else s.n * n_tasks) * sizeof(real))
    cdef size_t total = 2 * r_size + up(p * sizeof(real)) + 4 * up(p * sizeof(double)) + up(p * sizeof(int32_t))
    total += 2 * up(n_tasks * sizeof(double)) + up(2 * n_tasks * sizeof(real)) + 64
    cdef char* memory = <char*> malloc(total)
    cdef char* rest = memory
    cdef int status
    if memory == NULL:
        return -STATUS_NO_MEMORY
    rest += (64 - (<size_t> memory) % 64) % 64
    s.r = taken(&rest, r_size)
    s.anchor = taken(&rest, r_size)
    s.products = s.r
    if s.design != FT_DESIGN_GRAM:
        s.products = taken(&rest, p * sizeof(real))
    s.stamp = <double*> taken(&rest, p * sizeof(double))
    s.squares = <double*> taken(&rest, p * sizeof(double))
    s.norm = <double*> taken(&rest, p * sizeof(double))
    s.root_product = <double*> taken(&rest, p * sizeof(double))
    s.active = <int32_t*> taken(&rest, p * sizeof(int32_t))
    s.along = <double*> taken(&rest, n_tasks * sizeof(double))
    s.root_residual = <double*> taken(&rest, n_tasks * sizeof(double))
    s.task = taken(&rest, 2 * n_tasks * sizeof(real))
    s.w = w_io
    status = descent_path(
        s, sizeof(real) == 8, l1, l2, seeds, coefs_out, gaps_out, bounds_out, n_iters_out, converged_out, n_penalties)
    free(memory)
    return status


def path(
    real[:, ::1] w_io, const real[::1, :] y, const double[::1] l1, const double[::1] l2, const uint32_t[::1] seeds,
    real[:, :, ::1] coefs_out, *, const real[::1, :] X=None, const float[::1, :] narrow=None,
    const real[::1] data=None, const int32_t[::1] indices=None, const int32_t[::1] indptr=None,
    const real[::1] mean=None, const real[::1] root=None, const real[:, ::1] gram=None, double y_squares, double tol,
    Py_ssize_t max_iter, bint positive=False, bint random=False, bint screening=True, Stop stop=None,
):
    """Minimize ``|y - Z w|^2 / 2 + l1 sum_j |w_j| + l2 / 2 |w|^2`` for one penalty after the other.

    ``Z`` is ``X``, or ``data - root mean'`` in CSC, or told by its Gram matrix, and then ``y`` is ``Z' y``.

    Parameters
    ----------
    w_io : array of shape (n_features, n_tasks)
        Where the first descent begins; where the last one ended.
    y : array of shape (n_samples, n_tasks), by columns
    l1, l2 : float64 arrays of shape (n_penalties,)
    seeds : uint32 array of shape (n_penalties,)
        For random columns.
    coefs_out : array of shape (n_penalties, n_features, n_tasks)
    X : array of shape (n_samples, n_features), by columns, optional
    narrow : float32 array, optional
        X rounded, for one task.
    data, indices, indptr : arrays, optional
        CSC.
    mean : array of shape (n_features,), optional
    root : array of shape (n_samples,), optional
        Square roots of weights, with which data and y have been multiplied.
    gram : array of shape (n_features, n_features), optional
    y_squares : float
        Sum of squares of the targets.
    tol : float
        Of ``y_squares`` for the duality gap, and of the largest coefficient for the largest change in a sweep.
    max_iter : int
        Most sweeps for one penalty.
    positive : bool
        No coefficient below 0; for one task.
    random : bool
        Columns are drawn, else taken in their order.
    screening : bool
    stop : Stop, optional

    Returns
    -------
    gaps, bounds : float64 arrays of shape (n_penalties,)
        The duality gap, and what it had to be at most.
    n_iters : intp array
        Sweeps.
    converged : uint8 array

    Raises
    ------
    Stopped
        When ``stop`` was set.
    """
    cdef ft_descent s
    cdef Py_ssize_t n_penalties = l1.shape[0]
    cdef int status = 0
    gaps, bounds = np.empty(n_penalties), np.empty(n_penalties)
    n_iters, converged = np.empty(n_penalties, np.intp), np.empty(n_penalties, np.uint8)
    cdef double[::1] gaps_view = gaps, bounds_view = bounds
    cdef Py_ssize_t[::1] n_iters_view = n_iters
    cdef uint8_t[::1] converged_view = converged
    memset(&s, 0, sizeof(ft_descent))
    s.n = y.shape[0]
    s.p = w_io.shape[0]
    s.n_tasks = w_io.shape[1]
    if X is not None:
        s.design = FT_DESIGN_DENSE
        s.x = &X[0, 0]
        if narrow is not None:
            s.narrow = &narrow[0, 0]
    elif gram is not None:
        s.design = FT_DESIGN_GRAM
        s.x = &gram[0, 0]
    else:
        s.design = FT_DESIGN_SPARSE
        if data.shape[0]:
            s.x = &data[0]
            s.indices = &indices[0]
        s.indptr = &indptr[0]
        if mean is not None:
            s.mean = &mean[0]
        if root is not None:
            s.root = &root[0]
    s.y = &y[0, 0]
    s.y_squares = y_squares
    s.tol = tol
    s.max_iter = max_iter
    s.positive = positive
    s.random = random
    s.screening = screening
    s.interrupted = told_to_stop
    s.context = &stop.flag if stop is not None else NULL
    if n_penalties:
        with nogil:
            status = run(
                &s, &w_io[0, 0], &l1[0], &l2[0], &seeds[0], &coefs_out[0, 0, 0], &gaps_view[0], &bounds_view[0],
                &n_iters_view[0], &converged_view[0], n_penalties)
    _check(status, stop)
    return gaps, bounds, n_iters, converged


cdef int _check(int status, Stop stop) except -1:
    """Raise what a descent or a layout ended with."""
    if status == -STATUS_NO_MEMORY:
        raise MemoryError("a kernel could not allocate its workspace")
    raise_signalled()
    if status:
        raise Stopped
    return 0


cdef double mean_of(const real* x, const real* weight, Py_ssize_t n, double about) noexcept nogil:
    """The weighted sum of x - about, in eight streams."""
    cdef double sums[8]
    cdef Py_ssize_t i, k
    for k in range(8):
        sums[k] = 0.0
    if weight == NULL:
        for i in range(n // 8):
            for k in range(8):
                sums[k] += <double> x[8 * i + k] - about
        for i in range(n // 8 * 8, n):
            sums[0] += <double> x[i] - about
    else:
        for i in range(n // 8):
            for k in range(8):
                sums[k] += <double> weight[8 * i + k] * (<double> x[8 * i + k] - about)
        for i in range(n // 8 * 8, n):
            sums[0] += <double> weight[i] * (<double> x[i] - about)
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]))


cdef void lay_out(
    real* column, const real* weight, const real* root, Py_ssize_t n, double total, bint centred, real* mean_out,
    float* narrow_out
) noexcept nogil:
    """Centre one column, multiply it by the roots of the weights, and round it."""
    cdef double mean = 0.0
    cdef Py_ssize_t i
    if centred:
        # the mean of the distances from the mean is what the first sum has lost
        mean = mean_of(column, weight, n, 0.0) / total
        mean += mean_of(column, weight, n, mean) / total
        for i in range(n):
            column[i] = <real> (column[i] - mean)
    mean_out[0] = <real> mean
    if root != NULL:
        for i in range(n):
            column[i] *= root[i]
    if narrow_out != NULL:
        for i in range(n):
            narrow_out[i] = <float> column[i]


def centred_columns(
    const real[:, :] X, const Py_ssize_t[::1] rows, const real[::1] weight, const real[::1] root, bint centred,
    real[::1, :] out, real[::1] mean_out, float[::1, :] narrow_out=None, Stop stop=None,
):
    """Rows of X by columns, less their mean, times the square roots of their weights.

    Parameters
    ----------
    X : array of shape (n, n_features)
        In any layout.
    rows : intp array of shape (n_samples,), or None for all
    weight, root : arrays of shape (n_samples,), or None
        Weights of these rows, and their square roots.
    centred : bool
        Whether the weighted mean is subtracted.
    out : array of shape (n_samples, n_features), by columns
    mean_out : array of shape (n_features,)
        What was subtracted.
    narrow_out : float32 array of the shape of out, optional
        ``out`` rounded.
    stop : Stop, optional
    """
    cdef Py_ssize_t n = out.shape[0], p = out.shape[1], block, first, count, start, stop_row, i, j, row
    cdef Py_ssize_t row_stride = X.strides[0] // <Py_ssize_t> sizeof(real)
    cdef Py_ssize_t col_stride = X.strides[1] // <Py_ssize_t> sizeof(real)
    cdef const real* x
    cdef const real* weights = &weight[0] if weight is not None else NULL
    cdef const real* roots = &root[0] if root is not None else NULL
    cdef void* context = &stop.flag if stop is not None else NULL
    cdef double total = n
    cdef int status = 0
    if n == 0 or p == 0:
        return
    if weights != NULL:
        total = mean_of(weights, <const real*> NULL, n, 0.0)
    with nogil:
        for block in range((p + TOGETHER - 1) // TOGETHER):
            first = block * TOGETHER
            count = min(<Py_ssize_t> TOGETHER, p - first)
            x = &X[0, first]
            start = 0
            while start < n and status == 0:
                stop_row = min(n, start + LOOK_VALUES // count)
                if row_stride == 1:
                    for j in range(count):
                        if rows is None:
                            memcpy(
                                &out[start, first + j], x + j * col_stride + start, (stop_row - start) * sizeof(real))
                        else:
                            for i in range(start, stop_row):
                                out[i, first + j] = x[j * col_stride + rows[i]]
                else:
                    for i in range(start, stop_row):
                        row = i if rows is None else rows[i]
                        for j in range(count):
                            out[i, first + j] = x[row * row_stride + j * col_stride]
                start = stop_row
                status = told_to_stop(context) if n * count > LOOK_VALUES or block % LOOK_BLOCKS == 0 else 0
            for j in range(first, first + count):
                if status == 0:
                    lay_out(&out[0, j], weights, roots, n, total, centred, &mean_out[j],
                            &narrow_out[0, j] if narrow_out is not None else NULL)
                    if n > LOOK_VALUES // 4:
                        status = told_to_stop(context)
            if status:
                break
    _check(status, stop)
