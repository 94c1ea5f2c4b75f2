"""The elastic-net penalties for C and Cython; n may be 0, and then no array is looked at."""

from fasttrain._kernels.types cimport real

cdef double penalty_value(const real* w, Py_ssize_t n, double l1, double l2) noexcept nogil
cdef int penalty_gradient_array(const real* w, real* g_io, Py_ssize_t n, double l1, double l2) noexcept nogil
cdef int penalty_prox_array(real* w_io, Py_ssize_t n, double l1, double l2) noexcept nogil
