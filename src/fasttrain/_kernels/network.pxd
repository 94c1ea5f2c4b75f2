"""The dense engine from Python: the compiled steps that train a network's parameters."""

from fasttrain._kernels.layers cimport sparse_rows
from fasttrain._kernels.layout cimport Layout
from fasttrain._kernels.steps cimport ft_pace
from fasttrain._kernels.types cimport real


cdef class Network(Layout):
    cdef int n_threads
    cdef ft_pace pace
    cdef readonly object average
    cdef readonly tuple loss
    cdef readonly dict state
    cdef double steps_done
    cdef object caller
    cdef object raised

    cdef _predict(self, sparse_rows* rows, const real* x, Py_ssize_t ldx, Py_ssize_t n, int n_threads)
