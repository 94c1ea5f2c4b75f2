"""The shape of a dense network, and its parameters in the engine's layout."""

from fasttrain._kernels.layers cimport group, layer
from fasttrain._kernels.passes cimport fit_task


cdef class Layout:
    cdef layer* layers
    cdef group* groups
    cdef fit_task task
    cdef bint is_double
    cdef readonly object dtype
    cdef readonly object fit_intercept
    cdef readonly object normalize
    cdef readonly tuple activations
    cdef readonly object parameters
    cdef readonly object moving_mean
    cdef readonly object moving_variance
    cdef object transposed
    cdef dict hold          # what must live as long as the addresses in task do

    cdef int _list_groups(self) except -1

cdef size_t address_of(array) except? 0
