from fasttrain._kernels.types cimport real

cdef double loss_arrays(
        int kind, real parameter, const real* y, const real* raw, const real* weight, Py_ssize_t n, Py_ssize_t k,
        int want_value, real* gradient_out, int n_threads) noexcept nogil
