"""Many full-batch linear fits over the same rows, on plain structs; fasttrain._kernels.stacked.Stack fills them."""

from libc.stdint cimport int64_t

from fasttrain._kernels.primitives cimport ft_update
from fasttrain._kernels.types cimport real


cdef struct job_state:
    int rule
    ft_update settings      # constants; rate, moments and scale are filled in for each step
    bint corrected_root
    double momentum_decay
    double weight_decay
    double clip_norm
    double scale            # one over the weight of its rows
    const double* rates     # of each step
    Py_ssize_t max_iter
    double tol
    Py_ssize_t patience
    const int64_t* held     # rows that it does not see, ascending
    Py_ssize_t n_held
    void* w                 # n_outputs rows of k1
    void* s1
    void* s2
    void* s3
    double* history         # the objective of each epoch
    # where it stands
    Py_ssize_t n_iter
    Py_ssize_t waited
    double best
    double carried
    Py_ssize_t next_held
    double loss_sum
    int status


cdef struct stack_task:
    const void* x           # n rows, C-contiguous
    Py_ssize_t n
    Py_ssize_t k
    Py_ssize_t k1           # with the column of ones of the intercept
    Py_ssize_t k1_padded
    bint has_bias
    bint is_double
    const void* y           # n targets of each output, one after the other; n class codes for the softmax
    const void* weight      # of rows; NULL for ones
    int loss
    double loss_parameter
    Py_ssize_t n_outputs
    job_state* jobs
    Py_ssize_t n_jobs
    job_state** active
    Py_ssize_t n_active
    # X laid out both ways, or room for one block of it
    const void* packed_columns
    const void* packed_rows
    bint is_packed
    # workspace
    void* columns
    void* rows
    void* z
    void* g
    void* g_block
    const void** w_rows
    const void** d_rows
    void* weights
    void* logits
    Py_ssize_t next_block


cdef class Stack:
    cdef stack_task task
    cdef readonly object dtype
    cdef readonly list weights
    cdef readonly list histories
    cdef readonly list states
    cdef object hold

    cdef _set_job(self, job_state* job, dict given)
    cdef void* _address(self, array) except? NULL
    cdef void* _room(self, Py_ssize_t n, dtype) except NULL

cdef void run_stack(stack_task* t, double deadline, const real* like) noexcept nogil
