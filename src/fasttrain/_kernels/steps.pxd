"""Training steps of a dense network on plain structs; fasttrain._kernels.network fills them from Python."""

from fasttrain._kernels.layers cimport group, layer
from fasttrain._kernels.primitives cimport ft_update
from fasttrain._kernels.threads cimport ft_barrier
from fasttrain._kernels.types cimport real

cdef enum:
    SMALL_BATCH = 1024      # rows up to which a batch takes the two-phase step
    LOSS_ROWS = 16          # rows whose losses are summed together
    MAX_CHUNKS = 64

cdef struct fit_task:
    layer* layers
    int n_layers
    Py_ssize_t n_groups
    Py_ssize_t n_parameters # with padding
    bint is_double
    # data: n rows of x, C-contiguous with row stride ldx; y_width values of y a row; order NULL or n row numbers
    const void* x
    Py_ssize_t ldx
    const void* y
    Py_ssize_t y_width
    const void* weight
    const Py_ssize_t* order
    Py_ssize_t n
    # loss and update
    int loss
    double loss_parameter
    int rule
    ft_update settings      # constants; rate, moments and scale are filled in for each step
    bint corrected_root
    double momentum_decay
    double clip_norm        # infinity for none
    double weight_decay
    double value_scale      # of the reported loss, not of its gradient
    bint penalty_over_batch # the penalty is divided by the batch's weight, as scikit-learn's MLP does
    void* w
    void* transposed        # W^T of the layers above the first
    void* s1
    void* s2
    void* s3
    # where the run stands
    Py_ssize_t batch
    Py_ssize_t next_batch
    Py_ssize_t n_batches
    const double* rates     # one for each batch of this run
    double step             # updates done before this run
    double carried
    double loss_sum         # of batch objective times batch rows
    Py_ssize_t next_chunk
    Py_ssize_t n_chunks
    int status
    # workspace
    Py_ssize_t capacity     # rows of a block that the buffers hold
    Py_ssize_t row_size     # elements of all layers' outputs and gradients for one row
    void* values            # these outputs and gradients
    const void** rows       # of the data: three blocks a thread
    const void** pointers   # of the values, by layer
    void* gathered          # y and weight of a block in the batch's order
    void* partial           # gradient sums of the chunks, or of the tasks
    double* sums
    ft_barrier barrier
    double deadline
    bint stop

cdef void point_layers(fit_task* task, int n_threads, const real* like) noexcept nogil
cdef void refresh_transposes(fit_task* task, const real* like) noexcept nogil
cdef void fit_threads(fit_task* task, int n_threads, const real* like) noexcept nogil
cdef void gradient_threads(fit_task* task, int n_threads, const real* like) noexcept nogil
cdef double finish_gradient(fit_task* task, real* g_out) noexcept nogil
cdef void predict_threads(fit_task* task, const real* x, Py_ssize_t ldx, Py_ssize_t n, real* z_out,
                          int n_threads) noexcept nogil
cdef Py_ssize_t block_rows(const fit_task* task, const real* like) noexcept nogil
cdef Py_ssize_t chunk_count(const fit_task* task, Py_ssize_t rows) noexcept nogil
