"""One block of rows through a dense network and back: what every kind of training step is made of."""

from libc.stdint cimport uint64_t

from fasttrain._kernels.layers cimport group, layer, sparse_rows
from fasttrain._kernels.primitives cimport ft_update
from fasttrain._kernels.threads cimport ft_barrier
from fasttrain._kernels.types cimport real

cdef enum:
    SMALL_BATCH = 1024      # rows up to which a batch takes the two-phase step
    LOSS_ROWS = 16          # rows whose losses are summed together
    MAX_CHUNKS = 64
    OVER_WEIGHTS = 0        # reductions of the losses of a batch
    OVER_ROWS = 1
    OVER_NOTHING = 2

# Of a batch whose first row is the start-th of the pass: d (m, width) holds its raw predictions and receives the
# gradient of the sum of its losses, which is returned; NaN ends the run.
ctypedef double (*loss_call)(void* owner, Py_ssize_t start, Py_ssize_t m, Py_ssize_t width, void* d_io) noexcept nogil

cdef struct fit_task:
    layer* layers
    int n_layers
    const group* groups     # all of them; NULL where they are to be worked out when asked for
    Py_ssize_t n_groups
    Py_ssize_t n_parameters # with padding
    bint is_double
    # data: n rows of x, C-contiguous with row stride ldx, or sparse; y_width values of y a row; order NULL or n row
    # numbers
    const void* x
    Py_ssize_t ldx
    sparse_rows sparse
    const void* y
    Py_ssize_t y_width
    const void* weight
    const Py_ssize_t* order
    Py_ssize_t n
    # loss and update
    int loss
    double loss_parameter
    int rule
    ft_update settings      # constants; rate, moments, scale and penalty are filled in for each step
    bint corrected_root
    double momentum_decay
    double clip_norm        # infinity for none
    double clip_each_norm   # of each layer's weights, biases, gains and shifts by itself; infinity for none
    double weight_decay
    double value_scale      # of the reported loss, not of its gradient
    double loss_scale       # of the loss and its gradient
    int reduction           # what sums over a batch are divided by: one of OVER_WEIGHTS, OVER_ROWS, OVER_NOTHING
    bint decay_biases
    loss_call caller        # computes the loss in place of `loss`, on one thread; NULL for none
    void* owner             # what it is called with
    void* outputs           # receives the raw predictions of the pass in its order, n_outputs a row; NULL for none
    bint penalty_over_batch # the penalty is divided by the batch's weight, as scikit-learn's MLP does
    void* w
    void* transposed        # W^T of the layers above the first
    void* s1
    void* s2
    void* s3
    void* accumulated       # mean gradients of the batches since the last update, added up; NULL where each makes one
    double accumulate       # batches of an update
    # what training adds to a step; prediction and the gradient of all rows leave it out
    bint training
    uint64_t seed
    double input_drop_rate
    double noise            # standard deviation of what is added to the input
    const double* mix_share # of a row itself, one for each batch of this run; NULL for none
    const Py_ssize_t* mix_shift     # distance in the batch of the row it is mixed with
    bint copies_input       # a step reads changed copies of the rows
    bint constrains         # some layer's weights
    void* average           # of the parameters over the steps; NULL for none
    bint average_equally    # all steps weigh the same, else they fade
    double average_decay
    double average_start    # updates before the first that counts
    double average_every    # updates from one that counts to the next
    double average_overwrite    # updates after which the parameters become the average; 0 for never
    # batch normalization: columns of all normalized layers, and what is kept for each
    Py_ssize_t n_statistics
    double statistics_momentum
    double statistics_epsilon
    void* moving_mean
    void* moving_variance
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
    double idle_since       # seconds of the clock when a thread first found no chunk left
    int status
    # workspace
    Py_ssize_t capacity     # rows of a block that the buffers hold
    Py_ssize_t row_size     # elements of all layers' outputs and gradients for one row
    Py_ssize_t input        # place of a row's changed copy
    void* values            # these outputs and gradients
    const void** rows       # of the data: three blocks a thread
    const void** pointers   # of the values, by layer
    Py_ssize_t* cursors     # into sparse rows, capacity for each thread
    void* gathered          # y and weight of a block in the batch's order
    Py_ssize_t gathered_width
    void* partial           # gradient sums of the chunks, or of the whole of a small batch
    void* scratch           # SCRATCH elements for each thread
    double* sums
    Py_ssize_t n_loss_sums  # of a batch
    const Py_ssize_t* turns # numbers of the groups that each thread updates, thread after thread
    double* column_sums     # of normalized layers: forward and backward, block after block
    double* statistics      # of a batch, for each thread
    void* affine            # factor and shift that normalize a prediction
    ft_barrier barrier
    double deadline
    bint stop
    bint wants_lanes        # steps on all rows may go by lanes
    # a linear model's rows, targets and weights with a row to a lane, as lanes.pxd says; NULL where rows are read as
    # they stand. Weights are NULL where all are 1 and no loss asks for them.
    const void* lanes
    const void* lane_targets
    const void* lane_weights
    void* lane_values       # workspace, lane_room elements for each thread
    Py_ssize_t lane_room

cdef struct buffers:
    # where one thread (or, in a small batch, all together) keeps the rows of a block
    void* base
    Py_ssize_t capacity         # rows
    const void** rows           # of the data
    const void** pointers       # of the layers' outputs and gradients, capacity each
    Py_ssize_t* cursors
    # the batch that the block belongs to: its number in the run, first row and rows; and the block's first row in it
    Py_ssize_t due
    Py_ssize_t start
    Py_ssize_t m
    Py_ssize_t origin
    bint first_done             # the first layer's products are there

cdef inline layer* output(fit_task* task) noexcept nogil:
    return &task.layers[task.n_layers - 1]

cdef inline Py_ssize_t share(Py_ssize_t n, int part, int parts) noexcept nogil:
    return n * part // parts

cdef inline Py_ssize_t loss_block(const fit_task* task) noexcept nogil:
    """Rows whose losses are computed together: a caller is asked once for a batch."""
    return LOSS_ROWS if task.caller == NULL else max(<Py_ssize_t> 1, task.batch)

cdef void buffers_of(fit_task* task, int thread, buffers* at) noexcept nogil
cdef void point_layers(fit_task* task, int n_threads, const real* like) noexcept nogil
cdef void point_rows(fit_task* task, Py_ssize_t start, Py_ssize_t m, const void** rows_out,
                     const real* like) noexcept nogil
cdef group task_group(fit_task* task, Py_ssize_t number) noexcept nogil
cdef void change_input(fit_task* task, buffers* at, Py_ssize_t first, Py_ssize_t m, const real* like) noexcept nogil
cdef void linear(fit_task* task, buffers* at, int i, Py_ssize_t first, Py_ssize_t m, const real* const* ahead,
                 const real* like) noexcept nogil
cdef void drop_rows(fit_task* task, buffers* at, int i, Py_ssize_t first, Py_ssize_t m, const real* x,
                    real* out) noexcept nogil
cdef void activate_rows(fit_task* task, buffers* at, int i, Py_ssize_t first, Py_ssize_t m,
                        const real* like) noexcept nogil
cdef void forward(fit_task* task, buffers* at, Py_ssize_t first, Py_ssize_t m, const real* const* ahead,
                  const real* like) noexcept nogil
cdef void input_gradient(fit_task* task, buffers* at, int i, Py_ssize_t first, Py_ssize_t m,
                         const real* like) noexcept nogil
cdef void activate_rows_backward(fit_task* task, buffers* at, int i, Py_ssize_t first, Py_ssize_t m,
                                 const real* like) noexcept nogil
cdef void backward(fit_task* task, buffers* at, Py_ssize_t first, Py_ssize_t m, const real* like) noexcept nogil
cdef void gradient_of(fit_task* task, buffers* at, const group* it, Py_ssize_t m, bint accumulate, bint resume,
                      real* g_io, const real* const* ahead) noexcept nogil
cdef void loss_rows(fit_task* task, buffers* at, Py_ssize_t first, Py_ssize_t m, real* gathered, real* d_io,
                    double* sum_out, double* weight_out) noexcept nogil
cdef void fold_normalization(fit_task* task, const real* like) noexcept nogil
