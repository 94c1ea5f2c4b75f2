"""Which instruction set runs: chosen once, at import.

``FASTTRAIN_ISA=baseline|avx2|avx512`` forces a lower level than the processor has; a higher one is refused.
"""

import os
import time

from cython.parallel cimport prange

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


def sum_of_squares(const real[::1] x):
    """``sum x^2``, added up in double."""
    return sum_squares(&x[0], x.shape[0]) if x.shape[0] else 0.0


def finite(const real[::1] x, int n_threads=1):
    """Whether no element of x is infinite or NaN; one read of x."""
    cdef Py_ssize_t n = x.shape[0], block = 65536, b
    cdef int good = 1
    if n == 0:
        return True
    for b in prange((n + block - 1) // block, num_threads=n_threads, schedule="static", nogil=True):
        good &= all_finite(&x[b * block], min(block, n - b * block))
    return bool(good)


def touch(const real[::1] g, real[::1] w_io, real[::1] s1_io=None, real[::1] s2_io=None, real[::1] s3_io=None,
          int n_threads=1):
    """Add g to each other array: the memory traffic of an update with nothing to compute, for measuring bandwidth."""
    cdef Py_ssize_t n = g.shape[0], block = 4096, b, i
    cdef real* s1 = &s1_io[0] if s1_io is not None else NULL
    cdef real* s2 = &s2_io[0] if s2_io is not None else NULL
    cdef real* s3 = &s3_io[0] if s3_io is not None else NULL
    for b in prange((n + block - 1) // block, num_threads=n_threads, schedule="static", nogil=True):
        i = b * block
        traffic(&g[i], &w_io[i], s1 + i if s1 != NULL else NULL, s2 + i if s2 != NULL else NULL,
                s3 + i if s3 != NULL else NULL, min(block, n - i))
