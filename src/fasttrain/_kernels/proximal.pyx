"""The parts of a proximal Newton method for a sum of losses of a linear model with an elastic-net penalty.

    F(w, b) = sum_i s_i loss(y_i, x_i . w + b) + l1 |w|_1 + l2 / 2 |w|^2

About a point the losses are replaced by their second-order model, which coordinate descent minimizes with the l1 part
as it is (Friedman, Hastie, Tibshirani, "Regularization Paths for Generalized Linear Models via Coordinate Descent", JSS
33.1, 2010; Yuan, Ho, Lin, "An Improved GLMNET for L1-regularized Logistic Regression", JMLR 13, 2012). Here stand
losses, slopes and curvatures of rows (:func:`rows_model`), products with all columns (:func:`correlations`) and the
descent on a set of columns (:func:`descend_columns`) or on a Hessian matrix (:func:`descend_matrix`); the iteration
around them is Python's.

The intercept is not a coordinate: with D the curvatures of the rows, its best value for given coefficients is kept up
to date as these move, at one addition a move, so that columns need not be centred for the descent to be quick.

Arguments are trusted, as everywhere in this package.
"""

import numpy as np

from cython.parallel cimport prange
from libc.math cimport fabs
from libc.stdint cimport int32_t
from libc.string cimport memset

from fasttrain._kernels.primitives cimport (
    FT_LOSS_binary_crossentropy, axpy, dot, loss_span,
)
from fasttrain._kernels.signals cimport raise_signalled, signalled
from fasttrain._kernels.threads cimport threads_for_work
from fasttrain._kernels.types cimport STATUS_OK, real

from fasttrain._kernels import losses as _losses

cdef enum:
    BLOCK_ROWS = 4096           # whose losses are summed by one thread
    COLUMNS = 256               # that one thread multiplies at a time
    LOOK_WORK = 1 << 22         # numbers read between two looks at signals
    SIGNALLED = -1

cdef double WORK_PER_THREAD = 1e5
# Of the largest curvature that the loss has: what a row is given at least, so that no model is flat.
cdef double LEAST_CURVATURE = 1e-12


# ---- rows ----


cdef double block_model(
    int loss, const double* y, const double* weight, const double* raw, Py_ssize_t n, double* slope_out,
    double* curvature_out
) noexcept nogil:
    """Weighted losses of some rows, summed; their derivatives, and where asked their second derivatives."""
    cdef double value = loss_span(loss, <double> 1.0, y, raw, weight, n, True, slope_out), slope, share
    cdef Py_ssize_t i
    if curvature_out == NULL:
        return value
    if loss == FT_LOSS_binary_crossentropy:
        # p (1 - p), with p - y the slope of a row of weight 1
        for i in range(n):
            slope = fabs(slope_out[i])
            share = 1.0 - slope / weight[i] if weight[i] > 0 else 0.0
            curvature_out[i] = max(slope * share, LEAST_CURVATURE * fabs(weight[i]))
    else:
        for i in range(n):
            curvature_out[i] = max(2.0 * weight[i] if slope_out[i] != 0 else 0.0, 2 * LEAST_CURVATURE * fabs(weight[i]))
    return value


cdef double model_of_rows(
    int loss, const double* y, const double* weight, const double* raw, Py_ssize_t n, double* slopes_out,
    double* curvatures_out, double* values, int n_threads
) noexcept nogil:
    """:func:`rows_model`, with room for a number a block of BLOCK_ROWS rows in ``values``."""
    cdef Py_ssize_t n_blocks = (n + BLOCK_ROWS - 1) // BLOCK_ROWS, block
    cdef double total = 0.0
    n_threads = threads_for_work(n_threads, 40.0 * n, WORK_PER_THREAD)
    for block in prange(n_blocks, num_threads=n_threads, schedule="static"):
        values[block] = block_model(
            loss, y + block * BLOCK_ROWS, weight + block * BLOCK_ROWS, raw + block * BLOCK_ROWS,
            min(<Py_ssize_t> BLOCK_ROWS, n - block * BLOCK_ROWS), slopes_out + block * BLOCK_ROWS,
            curvatures_out + block * BLOCK_ROWS if curvatures_out != NULL else NULL)
    for block in range(n_blocks):
        total += values[block]
    return total


def rows_model(
    loss, const double[::1] y, const double[::1] weight, const double[::1] raw, double[::1] slopes_out,
    double[::1] curvatures_out=None, int n_threads=1,
):
    """``sum_i s_i loss(y_i, z_i)``; the derivatives of its terms by z_i, and their second derivatives.

    Parameters
    ----------
    loss : {'binary_crossentropy', 'squared_hinge'}
    y, weight, raw : float64 arrays of shape (n,)
        Targets 0 and 1, or -1 and 1; s; z.
    slopes_out : float64 array of shape (n,)
    curvatures_out : float64 array of shape (n,), optional
        At least 1e-12 of the largest that the loss has.
    n_threads : int
    """
    cdef int kind = _losses.NAMES.index(loss)
    cdef Py_ssize_t n = y.shape[0]
    cdef double[::1] values = np.empty((n + BLOCK_ROWS - 1) // BLOCK_ROWS)
    cdef double total = 0.0
    if n:
        with nogil:
            total = model_of_rows(
                kind, &y[0], &weight[0], &raw[0], n, &slopes_out[0],
                &curvatures_out[0] if curvatures_out is not None else NULL, &values[0], n_threads)
    return total


# ---- columns ----


cdef inline double gathered(const real* x, const int32_t* rows, Py_ssize_t n, const double* v) noexcept nogil:
    """The product of a sparse column with a vector."""
    cdef double a = 0.0, b = 0.0, c = 0.0, d = 0.0
    cdef Py_ssize_t i = 0
    while i + 4 <= n:
        a += x[i] * v[rows[i]]
        b += x[i + 1] * v[rows[i + 1]]
        c += x[i + 2] * v[rows[i + 2]]
        d += x[i + 3] * v[rows[i + 3]]
        i += 4
    while i < n:
        a += x[i] * v[rows[i]]
        i += 1
    return (a + b) + (c + d)


cdef void column_products(
    const real* x, const int32_t* rows, const Py_ssize_t* starts, const double* v, Py_ssize_t first, Py_ssize_t last,
    double* out
) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(first, last):
        out[j] = gathered(x + starts[j], rows + starts[j], starts[j + 1] - starts[j], v)


cdef int products_with(
    const real* x, const int32_t* rows, const Py_ssize_t* starts, const double* v, Py_ssize_t p, double* out,
    int n_threads
) noexcept nogil:
    cdef Py_ssize_t n_parts = (p + COLUMNS - 1) // COLUMNS, part
    n_threads = threads_for_work(n_threads, <double> (starts[p] + p), WORK_PER_THREAD)
    for part in prange(n_parts, num_threads=n_threads, schedule="dynamic", chunksize=1):
        column_products(x, rows, starts, v, part * COLUMNS, min((part + 1) * COLUMNS, p), out)
    return STATUS_OK


def correlations(
    const real[::1] x, const int32_t[::1] rows, const Py_ssize_t[::1] starts, const double[::1] v, double[::1] out,
    int n_threads=1,
):
    """``X^T v`` of a sparse X by columns.

    Parameters
    ----------
    x, rows, starts : arrays
        CSC.
    v : float64 array of shape (n,)
    out : float64 array of shape (n_features,)
    n_threads : int
        Each product is one thread's.
    """
    cdef Py_ssize_t p = out.shape[0]
    if p == 0:
        return
    if x.shape[0] == 0:
        out[:] = 0.0
        return
    with nogil:
        products_with(&x[0], &rows[0], &starts[0], &v[0], p, &out[0], n_threads)


# ---- descent on columns ----


cdef struct column_model:
    Py_ssize_t n
    Py_ssize_t m
    # a column's share of the model: sqrt(D) x_j, its square, and D . x_j; or a Hessian's row and its diagonal
    bint is_matrix
    const double* scaled        # one column after the other
    const int32_t* rows         # of all columns of X; NULL of a dense one
    const Py_ssize_t* first     # of each column of the model, in rows
    const Py_ssize_t* at        # of each column in scaled, and of the end
    double* squares
    double* cross
    double total                # of D
    bint has_bias
    double bias                 # the intercept, its slope at the start, and its own l1
    double bias_slope
    double bias_l1
    # where the descent stands
    double* r                   # sqrt(D) X (w - start); with a matrix the slopes
    double* w
    double pull                 # D . X (w - start)
    double bias_step
    const double* slopes        # of the smooth part, at the start
    const double* start
    double l1
    double l2
    Py_ssize_t* live            # numbers of columns that a sweep goes over
    Py_ssize_t n_live
    Py_ssize_t work             # numbers read since the last look at signals
    bint stopped


cdef inline double soft(double value, double threshold) noexcept nogil:
    """The proximal map of ``threshold |.|``."""
    if value > threshold:
        return value - threshold
    if value < -threshold:
        return value + threshold
    return 0.0


cdef inline double violation_of(double w, double slope, double l1) noexcept nogil:
    """How far a coefficient is from its condition of the minimum."""
    if w > 0:
        return fabs(slope + l1)
    if w < 0:
        return fabs(slope - l1)
    return max(fabs(slope) - l1, 0.0)


cdef inline double bias_at(const column_model* t, double pull) noexcept nogil:
    """The best intercept for given coefficients."""
    return soft(t.total * t.bias - t.bias_slope - pull, t.bias_l1) / t.total


cdef inline double slope_at(const column_model* t, Py_ssize_t k) noexcept nogil:
    """Derivative of the smooth part of the model by a coefficient."""
    cdef Py_ssize_t length = t.at[k + 1] - t.at[k]
    cdef double product
    if t.is_matrix:
        return t.r[k]
    if t.rows == NULL:
        product = dot(t.scaled + t.at[k], <const double*> t.r, length)
    else:
        product = gathered(t.scaled + t.at[k], t.rows + t.first[k], length, t.r)
    return t.slopes[k] + t.l2 * (t.w[k] - t.start[k]) + product + t.cross[k] * t.bias_step


cdef inline void move(column_model* t, Py_ssize_t k, double step) noexcept nogil:
    """Change a coefficient, and with it the intercept."""
    cdef Py_ssize_t length = t.at[k + 1] - t.at[k], i
    cdef const double* x = t.scaled + t.at[k]
    cdef const int32_t* rows
    t.w[k] += step
    if t.rows == NULL:
        axpy(step, x, t.r, length)
    else:
        rows = t.rows + t.first[k]
        for i in range(length):
            t.r[rows[i]] += step * x[i]
    if t.has_bias:
        t.pull += t.cross[k] * step
        t.bias_step = bias_at(t, t.pull) - t.bias
    t.work += length


cdef inline bint is_stopped(column_model* t) noexcept nogil:
    """Whether a signal ends the descent, looked for after so much work."""
    if t.work > LOOK_WORK:
        t.work = 0
        t.stopped = signalled() != 0
    return t.stopped


cdef double sweep(column_model* t) noexcept nogil:
    """Minimize over each of the live coefficients in turn; the largest violation that was met."""
    cdef double worst = 0.0, slope, curvature, target, bias
    cdef Py_ssize_t i, k
    for i in range(t.n_live):
        k = t.live[i]
        slope = slope_at(t, k)
        worst = max(worst, violation_of(t.w[k], slope, t.l1))
        t.work += t.at[k + 1] - t.at[k] + 1
        if is_stopped(t):
            break
        curvature = t.squares[k] + t.l2
        if t.w[k] == 0 and fabs(slope) <= t.l1:
            continue
        if curvature > 0:
            target = soft(curvature * t.w[k] - slope, t.l1) / curvature
        else:
            # a column of zeros
            target = 0.0
        if t.bias_l1 > 0 and t.cross[k] != 0:
            # an intercept that the move takes to 0, or past it, does not follow as far
            bias = bias_at(t, t.pull)
            if bias * bias_at(t, t.pull + t.cross[k] * (target - t.w[k])) <= 0:
                curvature += t.cross[k] * t.cross[k] / t.total
                target = soft(curvature * t.w[k] - slope, t.l1) / curvature
        if target != t.w[k]:
            move(t, k, target - t.w[k])
    return worst


cdef void rest(column_model* t, bint all_columns) noexcept nogil:
    """The live columns: all, or those whose coefficients are not zero."""
    cdef Py_ssize_t k
    t.n_live = 0
    for k in range(t.m):
        if all_columns or t.w[k] != 0:
            t.live[t.n_live] = k
            t.n_live += 1


cdef int settle(column_model* t, double tol, Py_ssize_t max_sweeps, double* worst_out,
                Py_ssize_t* n_sweeps_out) noexcept nogil:
    """Sweep until no violation of all columns is above ``tol``, over those that are not zero more often."""
    cdef Py_ssize_t n_sweeps = 0
    cdef bint of_all = True
    cdef double worst = 0.0
    while n_sweeps < max_sweeps:
        rest(t, of_all)
        worst = sweep(t)
        n_sweeps += 1
        if t.stopped:
            return SIGNALLED
        if of_all and worst <= tol:
            break
        of_all = not of_all and worst <= 0.3 * tol
    worst_out[0] = worst
    n_sweeps_out[0] = n_sweeps
    return STATUS_OK


cdef void scale_columns(
    column_model* t, const real* x, const Py_ssize_t* columns, const Py_ssize_t* starts, const double* roots,
    double* scaled_out
) noexcept nogil:
    """sqrt(D) x_j of the model's columns, their squares, and D . x_j less what the intercept takes."""
    cdef Py_ssize_t k, i, length, row
    cdef const real* column
    cdef double* out
    cdef double value, squares, cross
    for k in range(t.m):
        length = t.at[k + 1] - t.at[k]
        column = x + (starts[columns[k]] if t.rows != NULL else columns[k] * t.n)
        out = scaled_out + t.at[k]
        squares = cross = 0.0
        for i in range(length):
            row = t.rows[t.first[k] + i] if t.rows != NULL else i
            value = roots[row] * <double> column[i]
            out[i] = value
            squares += value * value
            cross += value * roots[row]
        t.cross[k] = cross if t.has_bias else 0.0
        # by the coefficient alone it would be the square; the intercept follows it
        t.squares[k] = max(squares - t.cross[k] * t.cross[k] / t.total, 1e-10 * squares) if t.has_bias else squares
        t.work += length
        if is_stopped(t):
            return


def descend_columns(
    const real[::1] x, const int32_t[::1] rows, const Py_ssize_t[::1] starts, const Py_ssize_t[::1] columns,
    const double[::1] curvatures, const double[::1] slopes, double bias_slope, bint has_bias, const double[::1] w,
    double bias, double l1, double l2, double bias_l1, double tol, Py_ssize_t max_sweeps, double[::1] w_out,
    double[::1] raw_step_out,
):
    """Minimize the model over some columns and the intercept: with d and e their steps

        slopes . d + bias_slope e + 1/2 sum_i D_i (x_i . d + e)^2 + l2 / 2 |d|^2 + l1 |w + d|_1 + bias_l1 |bias + e|

    Parameters
    ----------
    x, rows, starts : arrays
        X in CSC, or with ``rows=None`` X by columns, one after the other.
    columns : intp array of shape (m,)
        Numbers of the columns; the other coefficients stay.
    curvatures : float64 array of shape (n,)
        D, above 0.
    slopes : float64 array of shape (m,)
        Of losses and l2 part, by these coefficients.
    bias_slope : float
        Of the losses by the intercept, with ``has_bias``.
    w : float64 array of shape (m,)
    bias : float
        The intercept.
    l1, l2, bias_l1 : float
    tol : float
        Largest violation of the conditions of the model's minimum.
    max_sweeps : int
    w_out : float64 array of shape (m,)
        w + d
    raw_step_out : float64 array of shape (n,)
        X d + e

    Returns
    -------
    bias_step : float
        e
    worst : float
        Largest violation in the last sweep.
    n_sweeps : int
    """
    cdef column_model t
    cdef Py_ssize_t n = curvatures.shape[0], m = columns.shape[0], k, i, n_sweeps = 0
    cdef double worst = 0.0
    cdef double[::1] roots = np.sqrt(curvatures), r = np.zeros(n), scaled, sums = np.empty(2 * m + 1)
    cdef Py_ssize_t[::1] places = np.zeros(3 * m + 1, np.intp)
    for k in range(m):
        if rows is not None:
            places[m + 1 + k] = starts[columns[k]]
            places[k + 1] = places[k] + starts[columns[k] + 1] - starts[columns[k]]
        else:
            places[k + 1] = places[k] + n
    scaled = np.empty(places[m] + 1)
    w_out[:] = w
    memset(&t, 0, sizeof(column_model))
    t.n, t.m = n, m
    t.r = &r[0]
    t.has_bias = has_bias
    t.bias, t.bias_slope, t.bias_l1 = bias, bias_slope, bias_l1
    t.l1, t.l2 = l1, l2
    if m:
        t.scaled, t.at, t.live = &scaled[0], &places[0], &places[2 * m + 1]
        if rows is not None:
            t.rows, t.first = &rows[0], &places[m + 1]
        t.squares, t.cross = &sums[0], &sums[m]
        t.w, t.start, t.slopes = &w_out[0], &w[0], &slopes[0]
    with nogil:
        for i in range(n):
            t.total += curvatures[i]
        if has_bias:
            t.bias_step = bias_at(&t, 0.0) - bias
        if m:
            scale_columns(
                &t, &x[0], &columns[0], &starts[0] if starts is not None else NULL, &roots[0], &scaled[0])
            if not t.stopped:
                settle(&t, tol, max_sweeps, &worst, &n_sweeps)
        for i in range(n):
            raw_step_out[i] = (r[i] / roots[i] if roots[i] > 0 else 0.0) + t.bias_step
    raise_signalled()
    return t.bias_step, worst, n_sweeps


def descend_matrix(
    const double[:, ::1] hessian, double[::1] slopes_io, double[::1] w_io, double l1, double tol, Py_ssize_t max_sweeps,
):
    """Minimize ``slopes . d + 1/2 d . H d + l1 |w + d|_1``.

    Parameters
    ----------
    hessian : float64 array of shape (m, m)
    slopes_io, w_io : float64 arrays of shape (m,)
        Where the descent begins, and where it ended: ``slopes + H d`` and ``w + d``.
    l1, tol, max_sweeps
        As in :func:`descend_columns`.

    Returns
    -------
    worst : float
        Largest violation in the last sweep.
    n_sweeps : int
    """
    cdef column_model t
    cdef Py_ssize_t m = w_io.shape[0], k, n_sweeps = 0
    cdef double worst = 0.0
    cdef Py_ssize_t[::1] places = np.arange(0, (m + 1) * max(m, 1), max(m, 1), dtype=np.intp)
    cdef Py_ssize_t[::1] live = np.empty(max(m, 1), np.intp)
    cdef double[::1] sums = np.zeros(2 * max(m, 1))
    if m == 0:
        return 0.0, 0
    memset(&t, 0, sizeof(column_model))
    t.n = t.m = m
    t.is_matrix = True
    t.scaled, t.at, t.live = &hessian[0, 0], &places[0], &live[0]
    t.squares, t.cross = &sums[0], &sums[m]
    t.r, t.w, t.l1 = &slopes_io[0], &w_io[0], l1
    with nogil:
        for k in range(m):
            t.squares[k] = hessian[k, k]
        settle(&t, tol, max_sweeps, &worst, &n_sweeps)
    raise_signalled()
    return worst, n_sweeps
