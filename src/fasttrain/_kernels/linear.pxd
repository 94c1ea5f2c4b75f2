"""Losses and gradients of many linear models over the same rows."""

from fasttrain._kernels.linear_blocks cimport linear_task
from fasttrain._kernels.steps cimport ft_pace


cdef class LinearSums:
    cdef linear_task task
    cdef ft_pace pace
    cdef readonly object dtype
    cdef readonly Py_ssize_t n_fits
    cdef object hold
    cdef dict rooms

    cdef int evaluate_fits(
        self, const double* const* w, const Py_ssize_t* active, Py_ssize_t n_active, double* values_out,
        double** gradients_out, int n_threads) except -1
    cdef int _need_columns(self) except -1
    cdef void* _room(self, name, Py_ssize_t size) except NULL
