"""Which instruction set runs: chosen once, at import.

``FASTTRAIN_ISA=baseline|avx2|avx512`` forces a lower level than the processor has; a higher one is refused.
"""

import os
import time

from cython.parallel cimport prange
from libc.stdlib cimport free, malloc

from fasttrain._kernels.threads cimport threads_for_work
from fasttrain._kernels.types cimport real

cdef double CELLS_PER_THREAD = 100_000.0

ISA_NAMES = ("baseline", "avx2", "avx512")


def _choose():
    best = ft_isa_best()
    name = os.environ.get("FASTTRAIN_ISA", "").strip().lower()
    if not name:
        return best
    if name not in ISA_NAMES:
        raise ImportError(f"FASTTRAIN_ISA must be one of {', '.join(ISA_NAMES)}, got {name!r}")
    if ISA_NAMES.index(name) > best:
        raise ImportError(f"FASTTRAIN_ISA={name} was asked for, but this processor's best is {ISA_NAMES[best]}")
    return ISA_NAMES.index(name)


active_isa = _choose()
ops_f32 = ft_ops_for_f32(active_isa)
ops_f64 = ft_ops_for_f64(active_isa)


_settled = False


def settle():
    """From now on the instruction set stays: weights lie in memory as its vectors want them."""
    global _settled
    _settled = True


def set_instruction_set(name):
    """Choose the instruction set of this process, before its first model is made.

    Models have equal bytes on all machines whose processes use the same instruction set. The environment variable
    ``FASTTRAIN_ISA`` does the same from outside.

    Parameters
    ----------
    name : {'baseline', 'avx2', 'avx512'} or None
        None takes the best that the processor has.

    Returns
    -------
    str
        The one that was in use.

    Raises
    ------
    ValueError
        When the name is unknown, or the processor lacks the instructions.
    RuntimeError
        When a model has been made already: its weights lie as the vectors in use want them.

    Examples
    --------
    >>> import fasttrain
    >>> fasttrain.set_instruction_set("avx2")  # doctest: +SKIP
    'avx512'
    """
    global active_isa, ops_f32, ops_f64
    best = ft_isa_best()
    if name is not None and name not in ISA_NAMES:
        raise ValueError(f"name must be one of {', '.join(ISA_NAMES)} or None, got {name!r}")
    chosen = best if name is None else ISA_NAMES.index(name)
    if chosen > best:
        raise ValueError(f"name is {name!r}, but this processor's best is {ISA_NAMES[best]!r}")
    before = ISA_NAMES[active_isa]
    if _settled and chosen != active_isa:
        raise RuntimeError(
            f"the instruction set is {before!r} since the first model of this process was made; call "
            "set_instruction_set before that, or set FASTTRAIN_ISA")
    active_isa = chosen
    ops_f32 = ft_ops_for_f32(active_isa)
    ops_f64 = ft_ops_for_f64(active_isa)
    return before


def isa():
    """Name of the instruction set in use: 'baseline', 'avx2' or 'avx512'."""
    return ISA_NAMES[active_isa]


def best_isa():
    """Name of the highest instruction set of this processor that the build has."""
    return ISA_NAMES[ft_isa_best()]


def vector_lanes(itemsize):
    """Elements of ``itemsize`` bytes (4 or 8) in one vector of the instruction set in use."""
    return ops_f32.lanes if itemsize == 4 else ops_f64.lanes


def fma_peak(itemsize, double seconds=0.05):
    """Multiply-add rate of one core, measured now.

    Parameters
    ----------
    itemsize : {4, 8}
        float32 or float64.
    seconds : float, default=0.05
        How long to measure.

    Returns
    -------
    float
        Floating-point operations a second (a multiply-add counts two), the best of the slices of the run.
    """
    cdef int is_double = itemsize == 8
    cdef double flops, best = 0.0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        with nogil:
            flops = ft_fma_probe(active_isa, is_double, 20000)
        best = max(best, flops / (time.perf_counter() - start))
    return best


# ---- the primitives for Python: plain arrays in, checks of shapes, one call ----


def sum_of_squares(const real[::1] x):
    """``sum x^2``, added up in double."""
    return sum_squares(&x[0], x.shape[0]) if x.shape[0] else 0.0


def finite(const real[::1] x, int n_threads=1):
    """Whether no element of x is infinite or NaN; one read of x."""
    cdef Py_ssize_t n = x.shape[0], block = 65536, b
    cdef int good = 1
    if n == 0:
        return True
    if n <= block:
        # a parallel region of one thread takes longer than few elements
        return bool(all_finite(&x[0], n))
    n_threads = threads_for_work(n_threads, <double> n, CELLS_PER_THREAD)
    for b in prange((n + block - 1) // block, num_threads=n_threads, schedule="dynamic", nogil=True):
        good &= all_finite(&x[b * block], min(block, n - b * block))
    return bool(good)


def touch(const real[::1] g, real[::1] w_io, real[::1] s1_io=None, real[::1] s2_io=None, real[::1] s3_io=None,
          int n_threads=1):
    """Add g to each other array: the memory traffic of an update with nothing to compute, for measuring bandwidth.

    All of g's size; s2 needs s1, and s3 needs s2.
    """
    cdef Py_ssize_t n = g.shape[0], block = 4096, b, i
    _check("w_io", (w_io.shape[0],), (n,))
    below = True
    for name, state in (("s1_io", s1_io), ("s2_io", s2_io), ("s3_io", s3_io)):
        if state is not None:
            if not below:
                raise ValueError(f"{name} was given without the state array before it")
            _check(name, (state.shape[0],), (n,))
        below = state is not None
    if n == 0:
        return
    cdef real* s1 = &s1_io[0] if s1_io is not None else NULL
    cdef real* s2 = &s2_io[0] if s2_io is not None else NULL
    cdef real* s3 = &s3_io[0] if s3_io is not None else NULL
    for b in prange((n + block - 1) // block, num_threads=n_threads, schedule="static", nogil=True):
        i = b * block
        traffic(&g[i], &w_io[i], s1 + i if s1 != NULL else NULL, s2 + i if s2 != NULL else NULL,
                s3 + i if s3 != NULL else NULL, min(block, n - i))


def vector_sums(const real[::1] x):
    """``(sum x, sum x^2, sum |x|, max |x|, whether all are finite)``."""
    cdef const real* p = &x[0] if x.shape[0] else NULL
    cdef Py_ssize_t n = x.shape[0]
    return sum(p, n), sum_squares(p, n), sum_abs(p, n), max_abs(p, n), bool(all_finite(p, n))


def vector_dot(const real[::1] x, const real[::1] y):
    """``sum x y``, added up in the arrays' own precision."""
    _check("y", (y.shape[0],), (x.shape[0],))
    return dot(&x[0], &y[0], x.shape[0]) if x.shape[0] else 0.0


def vector_axpy(double a, const real[::1] x, real[::1] y_io):
    """``y += a x``"""
    _check("y_io", (y_io.shape[0],), (x.shape[0],))
    if x.shape[0]:
        axpy(<real> a, &x[0], &y_io[0], x.shape[0])


def gathered_dot(const real[:, ::1] X, const Py_ssize_t[::1] index, const real[:, ::1] w, const real[::1] bias,
                 real[:, ::1] z_out, bint fetch=False):
    """``z = X[index] @ w.T + bias``; X (n, k), w (n_out, k), bias (n_out,) or None, z (m, at least n_out).

    With ``fetch`` the rows are also those that are fetched ahead, which must change nothing.
    """
    cdef const real** rows
    _check("w", (w.shape[1],), (X.shape[1],))
    _check_room("z_out", (z_out.shape[0], z_out.shape[1]), (index.shape[0], w.shape[0]))
    if bias is not None:
        _check("bias", (bias.shape[0],), (w.shape[0],))
    if index.shape[0] == 0 or w.shape[0] == 0:
        return
    rows = _row_pointers(X, index)
    rows_dot(rows, index.shape[0], X.shape[1], &w[0, 0] if X.shape[1] else NULL, w.shape[1], w.shape[0],
             &bias[0] if bias is not None else NULL, 1, &z_out[0, 0], z_out.shape[1],
             rows if fetch else NULL)
    free(rows)


def gathered_axpy(const real[:, ::1] X, const Py_ssize_t[::1] index, Py_ssize_t first, Py_ssize_t last,
                  const real[:, ::1] d, real[:, ::1] g_io, bint fetch=False):
    """``g[:, first:last] += d.T @ X[index][:, first:last]``; d (m, n_out), g (n_out, k)."""
    cdef const real** rows
    _check_range(first, last, X.shape[1])
    _check("d", (d.shape[0],), (index.shape[0],))
    _check("g_io", (g_io.shape[0], g_io.shape[1]), (d.shape[1], X.shape[1]))
    if index.shape[0] == 0 or d.shape[1] == 0 or first == last:
        return
    rows = _row_pointers(X, index)
    rows_axpy(rows, index.shape[0], first, last, &d[0, 0], d.shape[1], d.shape[1], &g_io[0, 0], g_io.shape[1],
              rows if fetch else NULL)
    free(rows)


def gathered_panel(const real[:, ::1] X, const Py_ssize_t[::1] index, const real[:, ::1] panel, const real[::1] bias,
                   real[:, ::1] z_out):
    """``z[:, :width] = X[index] @ panel + bias``; panel (k, width), bias (width,) or None, z (m, at least width)."""
    cdef const real** rows
    cdef Py_ssize_t width = panel.shape[1]
    _check("panel", (panel.shape[0],), (X.shape[1],))
    _check_width(width, panel_step(<const real*> NULL), panel_width(<const real*> NULL))
    _check_room("z_out", (z_out.shape[0], z_out.shape[1]), (index.shape[0], width))
    if bias is not None:
        _check("bias", (bias.shape[0],), (width,))
    if index.shape[0] == 0:
        return
    rows = _row_pointers(X, index)
    rows_panel(rows, index.shape[0], X.shape[1], &panel[0, 0] if X.shape[1] else NULL, width,
               &bias[0] if bias is not None else NULL, &z_out[0, 0], z_out.shape[1])
    free(rows)


def gathered_columns(const real[:, ::1] X, const Py_ssize_t[::1] index, Py_ssize_t first, Py_ssize_t last,
                     const real[:, ::1] d, bint accumulate, real[:, ::1] g_io):
    """``g (+)= X[index][:, first:last].T @ d[:, :width]``; d (m, at least width), g (last - first, width)."""
    cdef const real** rows
    cdef Py_ssize_t width = g_io.shape[1]
    _check_range(first, last, X.shape[1])
    _check_width(width, panel_step(<const real*> NULL), panel_width(<const real*> NULL))
    _check_room("d", (d.shape[0], d.shape[1]), (index.shape[0], width))
    _check("g_io", (g_io.shape[0],), (last - first,))
    if first == last:
        return
    rows = _row_pointers(X, index)
    columns_panel(rows, index.shape[0], first, last, &d[0, 0] if d.shape[0] else NULL, d.shape[1], width, accumulate,
                  &g_io[0, 0])
    free(rows)


def gathered_columns_strip(const real[:, ::1] X, const Py_ssize_t[::1] index, Py_ssize_t first, Py_ssize_t last,
                           const real[:, ::1] d, real[:, :, ::1] g_out):
    """:func:`gathered_columns` of full panels side by side; d (m, columns of all), g (panels, last - first, width)."""
    cdef const real** rows
    cdef Py_ssize_t width = panel_width(<const real*> NULL), count = g_out.shape[0]
    _check_range(first, last, X.shape[1])
    if not 1 <= count <= FT_STRIP_PANELS:
        raise ValueError(f"g_out must have 1 to {FT_STRIP_PANELS} panels, got {count}")
    _check_room("d", (d.shape[0], d.shape[1]), (index.shape[0], count * width))
    _check("g_out", (g_out.shape[1], g_out.shape[2]), (last - first, width))
    if first == last:
        return
    rows = _row_pointers(X, index)
    columns_strip(rows, index.shape[0], first, last, &d[0, 0] if d.shape[0] else NULL, d.shape[1], width, count,
                  &g_out[0, 0, 0], g_out.shape[1] * width)
    free(rows)


def column_totals(const real[:, ::1] d, bint accumulate, real[::1] s_io):
    """``s (+)= d.sum(axis=0)`` over the first columns of d, as many as s has."""
    _check_room("d", (d.shape[0], d.shape[1]), (d.shape[0], s_io.shape[0]))
    if s_io.shape[0]:
        column_sums(&d[0, 0] if d.shape[0] else NULL, d.shape[1], d.shape[0], s_io.shape[0], accumulate, &s_io[0])


def transposed_part(const real[:, ::1] x, Py_ssize_t m, Py_ssize_t n, real[:, ::1] out):
    """``out[:n, :m] = x[:m, :n].T``."""
    _check_room("x", (x.shape[0], x.shape[1]), (m, n))
    _check_room("out", (out.shape[0], out.shape[1]), (n, m))
    if m and n:
        transpose(&x[0, 0], x.shape[1], m, n, &out[0, 0], out.shape[1])


def softmax_loss_rows(const real[:, ::1] y, const real[:, ::1] z, const real[::1] weight=None,
                      real[:, ::1] gradient_out=None, bint want_value=True):
    """Softmax cross-entropy of rows of logits z (n, k) and class codes y (n, 1) or masses of the classes y (n, k).

    Returns the weighted sum; writes its gradient, which may go over z.
    """
    cdef Py_ssize_t n = z.shape[0], k = z.shape[1]
    if y.shape[0] != n or y.shape[1] not in (1, k):
        raise ValueError(f"y must have shape ({n}, 1) or ({n}, {k}), got ({y.shape[0]}, {y.shape[1]})")
    if weight is not None:
        _check("weight", (weight.shape[0],), (n,))
    if gradient_out is not None:
        _check("gradient_out", (gradient_out.shape[0], gradient_out.shape[1]), (n, k))
    if n == 0 or k == 0:
        return 0.0
    if y.shape[1] == 1:
        for i in range(n):
            if not 0 <= y[i, 0] < k:
                raise ValueError(f"y must hold class codes from 0 to {k - 1}, got {y[i, 0]} in row {i}")
    return softmax_loss(&y[0, 0], y.shape[1], &z[0, 0], k, &weight[0] if weight is not None else NULL, n, k, want_value,
                        &gradient_out[0, 0] if gradient_out is not None else NULL, k)


cdef const real** _row_pointers(const real[:, ::1] X, const Py_ssize_t[::1] index) except NULL:
    cdef Py_ssize_t i, m = index.shape[0]
    cdef const real** rows
    for i in range(m):
        if not 0 <= index[i] < X.shape[0]:
            raise ValueError(f"index must hold rows from 0 to {X.shape[0] - 1}, got {index[i]}")
    rows = <const real**> malloc(max(m, 1) * sizeof(real*))
    if rows == NULL:
        raise MemoryError("no memory for the row pointers")
    for i in range(m):
        rows[i] = &X[index[i], 0] if X.shape[1] else NULL
    return rows


def _check(name, got, expected):
    if got != expected:
        raise ValueError(f"{name} must have size {expected}, got {got}")


def _check_room(name, got, expected):
    if got[0] != expected[0] or got[1] < expected[1]:
        raise ValueError(f"{name} must have {expected[0]} rows of at least {expected[1]}, got shape {got}")


def _check_range(first, last, n):
    if not 0 <= first <= last <= n:
        raise ValueError(f"first and last must be in order within 0 and {n}, got {first} and {last}")


def _check_width(width, step, most):
    if width % step or not step <= width <= most:
        raise ValueError(f"width must be a multiple of {step} up to {most}, got {width}")


def multiply(const real[:, ::1] A, const real[::1] panels, const real[:, ::1] D, bint forward, real[:, ::1] z_out,
             real[::1] g_out, Py_ssize_t repeat=1):
    """``z = A @ W`` (forward) or ``g = A.T @ D``, done ``repeat`` times, for measuring.

    A is (m, k), D and z (m, n); panels and g hold k * n elements as panels of ``panel_columns`` columns, the last one
    narrower, each in C order; n is a multiple of the vector's lanes.
    """
    cdef Py_ssize_t m = A.shape[0], k = A.shape[1], n = D.shape[1], wide = panel_width(<const real*> NULL)
    cdef Py_ssize_t i, _r, c, width, count
    cdef const real** rows
    _check_width(min(n, wide), lanes(<const real*> NULL), wide)
    _check_width(n % wide or wide, lanes(<const real*> NULL), wide)
    for name, got, expected in (("panels", panels.shape[0], k * n), ("g_out", g_out.shape[0], k * n)):
        _check(name, got, expected)
    _check("D", (D.shape[0],), (m,))
    _check("z_out", (z_out.shape[0], z_out.shape[1]), (m, n))
    rows = <const real**> malloc(max(m, 1) * sizeof(real*))
    if rows == NULL:
        raise MemoryError("no memory for the row pointers")
    for i in range(m):
        rows[i] = &A[i, 0]
    with nogil:
        for _r in range(repeat):
            c = 0
            while c < n:
                width = min(wide, n - c)
                if forward:
                    rows_panel(rows, m, k, &panels[c * k], width, <const real*> NULL, &z_out[0, c], n)
                elif width == wide:
                    count = min(<Py_ssize_t> FT_STRIP_PANELS, (n - c) // wide)
                    columns_strip(rows, m, 0, k, &D[0, c], n, wide, count, &g_out[c * k], wide * k)
                    width *= count
                else:
                    columns_panel(rows, m, 0, k, &D[0, c], n, width, False, &g_out[c * k])
                c += width
    free(rows)


def panel_columns(itemsize):
    """Columns of a full weight panel for elements of ``itemsize`` bytes (4 or 8)."""
    return ops_f32.panel_width if itemsize == 4 else ops_f64.panel_width
