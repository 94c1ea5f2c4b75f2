"""The dense engine from Python: the compiled steps that train a network's parameters."""

from fasttrain._kernels.trainable cimport Trainable
from fasttrain._kernels.steps cimport ft_pace


cdef class Network(Trainable):
    cdef int n_threads
    cdef ft_pace pace
    # Of the gradient that is summed: its threads, and when it was begun.
    cdef int gradient_team
    cdef double gradient_start
    cdef readonly object average
    cdef readonly dict state
    cdef double steps_done
    cdef object caller
    cdef object raised
    # Of the epoch that runs, before the rows that are bound, and with those of them that are done.
    cdef Py_ssize_t rows_before
    cdef Py_ssize_t rows_done
    # Passes that follow the one that runs, and what those before it came to.
    cdef Py_ssize_t epochs_left
    cdef readonly list losses

    cdef bint _run_epoch(self, double end, double* now_io) except -1
    cdef int _next_epoch(self) except -1
