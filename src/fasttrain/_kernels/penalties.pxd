from fasttrain._kernels.types cimport real

cdef double penalty_value(const real* w, Py_ssize_t n, double l1, double l2) noexcept nogil
