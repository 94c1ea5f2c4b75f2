"""Newton's method for squared hinges and squared epsilon-insensitive losses with L2."""

from fasttrain._kernels.linear cimport LinearSums


cdef class SquaredMargins:
    cdef LinearSums sums, products
    cdef object csr
    cdef const double[:, ::1] targets, weights
    cdef const double[::1] penalties
    cdef double[::1] product_weights, values, hessian, factor, row_weights
    cdef double[:, ::1] raw, gradients, steps, at, found, known
    cdef double[:, ::1] vectors
    cdef unsigned char[:, ::1] counted
    cdef unsigned char[::1] is_known
    cdef Py_ssize_t[::1] rows
    cdef double C
    cdef int n_threads

    cdef int evaluate_at(self, const double[:, ::1] w, const Py_ssize_t* models, Py_ssize_t n_models,
                         double* values_out, double[:, ::1] gradients_out) except -1
    cdef double norm(self, const double* gradient) noexcept nogil
    cdef bint counts(self, Py_ssize_t model, Py_ssize_t i) noexcept nogil
    cdef double curvature(self, Py_ssize_t model, Py_ssize_t i) noexcept nogil
    cdef int take_hessian(self, Py_ssize_t model) except -1
    cdef int find_step(self, Py_ssize_t model, double* step_out) except -1
    cdef int find_step_by_products(self, Py_ssize_t model, double* step_out) except -1
