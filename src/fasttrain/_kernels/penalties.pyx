"""Elastic-net penalties over arrays: ``l1 * sum|w| + l2 / 2 * sum w^2``; either factor may be 0."""

from fasttrain._kernels.primitives cimport penalty_gradient, penalty_prox, sum_abs, sum_squares
from fasttrain._kernels.types cimport STATUS_OK, real


cdef double penalty_value(const real* w, Py_ssize_t n, double l1, double l2) noexcept nogil:
    """The penalty's value, summed in double."""
    cdef double total = 0.0
    if l1 != 0.0:
        total += l1 * sum_abs(w, n)
    if l2 != 0.0:
        total += 0.5 * l2 * sum_squares(w, n)
    return total


cdef int penalty_gradient_array(const real* w, real* g_io, Py_ssize_t n, double l1, double l2) noexcept nogil:
    """g += l1 sign(w) + l2 w; the subgradient 0 at 0."""
    penalty_gradient(<real> l1, <real> l2, w, g_io, n)
    return STATUS_OK


cdef int penalty_prox_array(real* w_io, Py_ssize_t n, double l1, double l2) noexcept nogil:
    """w = argmin_u |u - w|^2 / 2 + l1 sum|u| + l2 / 2 sum u^2."""
    penalty_prox(<real> l1, <real> l2, w_io, n)
    return STATUS_OK


def value(const real[::1] w, double l1=0.0, double l2=0.0):
    """``l1 * sum|w| + l2 / 2 * sum w^2``."""
    if w.shape[0] == 0:
        return 0.0
    return penalty_value(&w[0], w.shape[0], l1, l2)


def gradient(const real[::1] w, real[::1] g_io, double l1=0.0, double l2=0.0):
    """Add ``l1 * sign(w) + l2 * w`` to ``g_io``; the subgradient 0 at 0."""
    if g_io.shape[0] != w.shape[0]:
        raise ValueError(f"g_io must have shape ({w.shape[0]},), got ({g_io.shape[0]},)")
    if w.shape[0]:
        penalty_gradient_array(&w[0], &g_io[0], w.shape[0], l1, l2)


def prox(real[::1] w_io, double l1=0.0, double l2=0.0):
    """Replace ``w`` by ``argmin_u |u - w|^2 / 2 + l1 * sum|u| + l2 / 2 * sum u^2``: soft threshold, shrinkage.

    Weights within ``l1`` of zero become exactly zero (Parikh and Boyd, Proximal Algorithms, 2014, 6.5.2 and 6.5.3).
    """
    if w_io.shape[0]:
        penalty_prox_array(&w_io[0], w_io.shape[0], l1, l2)
