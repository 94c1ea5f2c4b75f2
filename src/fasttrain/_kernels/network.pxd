from fasttrain._kernels.primitives cimport ft_update
from fasttrain._kernels.threads cimport ft_barrier
from fasttrain._kernels.types cimport real

# A layer's parameters in the flat parameter array. A narrow layer (few outputs) keeps one row of n_in weights and
# the bias
# for each output; a wide one keeps panels of panel_width columns, each n_in rows of weights and then the row of biases.
cdef struct layer:
    Py_ssize_t n_in
    Py_ssize_t n_out
    Py_ssize_t width        # n_out, padded to whole vectors when wide: the row stride of its outputs
    Py_ssize_t panel        # columns of a full panel; 0 when narrow
    Py_ssize_t offset       # of its first parameter in the flat array
    Py_ssize_t size         # parameters with padding
    bint has_bias

cdef struct fit_task:
    # data: n rows of x, C-contiguous with row stride ldx; y_width values of y a row; order NULL or n row numbers
    layer shape
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
    void* w
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
    const void** rows
    void* d                 # row-major predictions, then their gradients
    void* gathered          # y and weight of a block in the batch's order
    void* partial           # gradient sums of the chunks, or of the tasks
    double* sums
    ft_barrier barrier
    double deadline
    bint stop
