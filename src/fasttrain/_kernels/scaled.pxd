"""A linear model's objective by unknowns in other units than its coefficients."""


cdef class Scaling:
    cdef readonly Py_ssize_t n_outputs, n_features
    cdef readonly bint fit_intercept
    cdef const double[:, ::1] factor, ridge
    cdef const double[::1] centre, offset, spread
    cdef double divisor
