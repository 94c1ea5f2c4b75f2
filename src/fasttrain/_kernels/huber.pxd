"""The objective of a regression with Huber's loss and a scale of its own."""

from fasttrain._kernels.linear cimport LinearSums


cdef class ConcomitantHuber:
    cdef LinearSums sums
    cdef const double[::1] y
    cdef const double[::1] weight
    cdef readonly object raw
    cdef double[::1] raw_rows
    cdef double epsilon, alpha, total
    cdef int n_threads

    cdef int evaluate_at(self, const double* u, double* value_out, double* gradient_out) except -1
