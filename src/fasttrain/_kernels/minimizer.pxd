"""L-BFGS for objectives that are evaluated in Python."""

from fasttrain._kernels.lbfgs cimport lbfgs_state


cdef class Minimizer:
    cdef lbfgs_state state
    cdef readonly object x, gradient
    cdef object x_before, gradient_before
