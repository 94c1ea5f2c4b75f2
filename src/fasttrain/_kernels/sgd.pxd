from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

cdef extern from "sgd.h" nogil:
    enum:
        FT_SGD_RUNNING
        FT_SGD_FINISHED
        FT_SGD_PAUSED
        FT_SGD_ROWS
        FT_SGD_N_COLUMNS
        FT_SGD_PADDING
        FT_SGD_TOGETHER
        FT_SGD_alpha
        FT_SGD_l1_ratio
        FT_SGD_l2_ratio
        FT_SGD_eta
        FT_SGD_eta_time
        FT_SGD_eta_shift
        FT_SGD_eta_floor
        FT_SGD_power_t
        FT_SGD_adaptive
        FT_SGD_aggressiveness
        FT_SGD_parameter
        FT_SGD_weight_positive
        FT_SGD_weight_negative
        FT_SGD_average
        FT_SGD_tol
        FT_SGD_n_iter_no_change
        FT_SGD_max_iter
        FT_SGD_intercept
        FT_SGD_average_intercept
        FT_SGD_candidate
        FT_SGD_wscale
        FT_SGD_average_b
        FT_SGD_square_scale
        FT_SGD_abs_scale
        FT_SGD_product
        FT_SGD_best

    ctypedef struct ft_sgd_rows:
        const void* values
        const void* tail
        Py_ssize_t tail_start
        const int64_t* indptr
        const int32_t* indices32
        const int64_t* indices64

    ctypedef struct ft_sgd:
        Py_ssize_t n_features
        Py_ssize_t stride
        Py_ssize_t n_rows
        Py_ssize_t n_train
        Py_ssize_t n_candidates
        Py_ssize_t n_slots
        Py_ssize_t n_padded
        Py_ssize_t line
        Py_ssize_t rest
        int loss
        int aggressive
        int with_l1
        int with_average
        int with_power
        int with_start
        int fit_intercept
        int shuffle
        int stop_on_score
        int score_kind
        int score_unscaled
        int pause_each_epoch
        double intercept_decay
        double work_per_row
        double t
        ft_sgd_rows X
        const void* y
        Py_ssize_t y_stride
        const void* sample_weight
        const uint8_t* mask
        ft_sgd_rows X_score
        Py_ssize_t n_score
        const void* y_score
        const void* score_weight
        Py_ssize_t y_score_stride
        const double* score_total
        double* columns
        void* weights
        void* panels
        void* averages
        void* q
        void* lanes
        int32_t* order
        int32_t* previous
        int32_t* shuffling
        int32_t* training
        double* loss_history
        double* objective_history
        double* score_history
        Py_ssize_t history_capacity
        Py_ssize_t history_length
        int32_t* n_iter
        int32_t* status
        int32_t* converged
        double* intercepts
        double* average_intercepts
        int phase
        uint32_t seed
        Py_ssize_t position
        Py_ssize_t n_training
        Py_ssize_t epoch
        int has_dot

    ctypedef struct ft_sgd_kernels:
        pass

    const ft_sgd_kernels* ft_sgd_kernels_for(int isa) noexcept
    void ft_sgd_run_slice(
        const ft_sgd_kernels* kernels, int is_double, ft_sgd** fits, int* state, Py_ssize_t n_fits, double seconds,
        int n_threads) noexcept


cdef class Rows:
    cdef readonly object owner
    cdef ft_sgd_rows rows
    cdef void* tail
    cdef readonly Py_ssize_t n_rows
    cdef readonly Py_ssize_t n_features
    cdef readonly bint is_double
    cdef readonly bint is_sparse
    cdef readonly double mean_length


cdef class Descent:
    cdef ft_sgd fit
    cdef void* arena
    cdef object held
    cdef readonly Rows X
    cdef readonly Py_ssize_t n_candidates
    cdef double longest
    cdef readonly list losses
    cdef readonly list objectives
    cdef readonly list scores
    cdef void drain(self)
    cdef double* column(self, int number) noexcept
    cdef Py_ssize_t slot_of(self, Py_ssize_t k) noexcept
    cdef Py_ssize_t first_of(self, Py_ssize_t k) noexcept
    cdef Py_ssize_t spacing_of(self, Py_ssize_t k) noexcept
    cdef void* block(self, Py_ssize_t* offset, Py_ssize_t bytes) noexcept
    cdef void divide_lanes(self, Py_ssize_t n, Py_ssize_t block) noexcept
    cdef Py_ssize_t panel_bytes(self, Py_ssize_t n, Py_ssize_t size) noexcept
    cdef carve(self, ft_sgd* s, Py_ssize_t n, Py_ssize_t size, Py_ssize_t* offset)
    cdef set_candidate(self, Py_ssize_t k, dict candidate)
