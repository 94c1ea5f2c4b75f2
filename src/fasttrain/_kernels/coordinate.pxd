"""Coordinate descent for C and Cython: the struct of a problem, and its descent along a list of penalties."""

from libc.stdint cimport int32_t, uint8_t, uint32_t

cdef extern from "coordinate.h" nogil:
    enum:
        FT_DESIGN_DENSE
        FT_DESIGN_SPARSE
        FT_DESIGN_GRAM
        FT_DESCENT_OK
        FT_DESCENT_INTERRUPTED

    ctypedef struct ft_descent:
        int design
        Py_ssize_t n
        Py_ssize_t p
        Py_ssize_t n_tasks
        const void* x
        const float* narrow
        const int32_t* indices
        const int32_t* indptr
        const void* mean
        const void* root
        const void* y
        double y_squares
        double l1
        double l2
        double tol
        Py_ssize_t max_iter
        uint32_t seed
        int positive
        int random
        int screening
        int (*interrupted)(void* context) noexcept nogil
        void* context
        void* w
        double gap
        double bound
        Py_ssize_t n_iter
        int converged
        void* r
        void* anchor
        void* products
        double* stamp
        double* squares
        double* norm
        double* root_product
        double* along
        double* root_residual
        int32_t* active
        void* task

    ctypedef struct ft_descent_kernels:
        int (*begin_f32)(ft_descent* s) noexcept nogil
        int (*begin_f64)(ft_descent* s) noexcept nogil
        int (*solve_f32)(ft_descent* s) noexcept nogil
        int (*solve_f64)(ft_descent* s) noexcept nogil

    const ft_descent_kernels* ft_descent_kernels_for(int isa) noexcept

cdef int descent_path(
    ft_descent* s, bint is_double, const double* l1, const double* l2, const uint32_t* seeds, void* coefs_out,
    double* gaps_out, double* bounds_out, Py_ssize_t* n_iters_out, uint8_t* converged_out, Py_ssize_t n_penalties
) noexcept nogil

cdef class Stop:
    cdef int flag
