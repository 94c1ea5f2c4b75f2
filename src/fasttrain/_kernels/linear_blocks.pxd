"""What ``linear`` evaluates, and its work on blocks of rows; fasttrain._kernels.linear.LinearSums fills the task."""

from libc.stdint cimport int64_t

from fasttrain._kernels.types cimport real


# One linear model: its targets, and which rows count how much.
cdef struct linear_fit:
    const void* y               # n targets of each output, one after the other; n class codes for the softmax
    const void* weight          # of rows; NULL for ones
    const int64_t* held         # rows that count nothing, ascending
    Py_ssize_t n_held


cdef struct linear_task:
    # X: n rows of k, dense or CSR
    const void* x
    const void* indices         # NULL of a dense X
    const Py_ssize_t* indptr
    bint wide                   # int64 indices, else int32
    # a CSR X again by columns, once that is needed
    const void* column_values
    const void* column_rows
    const Py_ssize_t* column_starts
    bint column_wide
    Py_ssize_t n
    Py_ssize_t k
    bint is_sparse
    bint is_double
    bint has_bias
    int loss
    double loss_parameter
    Py_ssize_t n_outputs
    linear_fit* fits
    void* raw                   # receives each fit's raw predictions, n of each output; NULL for none
    # one evaluation: those of its fits, and the columns of their coefficients together
    const Py_ssize_t* active
    Py_ssize_t n_active
    Py_ssize_t n_columns
    bint by_rows                # the gradient of a CSR X is summed row by row, else from the copy by columns
    bint in_panels              # coefficients packed in panels, else a row of k for each column
    Py_ssize_t padded           # columns up to the width of a panel
    Py_ssize_t ldz
    Py_ssize_t block_rows
    Py_ssize_t chunk_rows
    Py_ssize_t n_chunks
    double deadline
    # workspace
    void* w                     # k rows of padded columns by panels, or n_columns rows of k
    void* bias                  # of each column
    void* g                     # of each chunk of a dense X, in the layout of w
    double* g_sum               # the same, into which g is emptied
    void* d                     # derivatives of all rows of a CSR X, by panels
    Py_ssize_t next_part        # of a CSR X's columns
    double* bias_sum            # of each chunk: of each column
    double* loss_sum            # of each chunk: of each active fit
    Py_ssize_t* next_row        # of each chunk
    double* finished            # of each thread: when it had done its last chunk
    char* scratch               # of each thread
    Py_ssize_t scratch_size


cdef void chunk_sums(linear_task* t, Py_ssize_t chunk, char* scratch, const real* like) noexcept nogil
cdef void feature_sums(linear_task* t, Py_ssize_t begin, Py_ssize_t end, double** out, real* spare) noexcept nogil
cdef void by_columns(linear_task* t, const real* like) noexcept nogil
