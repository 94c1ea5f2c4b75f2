"""One dense layer: how its parameters lie in memory, and the products of its rows."""

from libc.math cimport INFINITY

from fasttrain._kernels.types cimport real

cdef enum:
    GROUP = 4096                # weights of an update group


# A layer's parameters in the flat parameter array. A narrow layer (the last one, with few outputs) keeps one row of
# n_in weights and the bias for each output; a wide one keeps panels of panel_width columns, each n_in rows of weights
# and then the row of biases. Layers above the first also keep W^T, as panels of n_in columns, for the backward
# product. A normalized layer ends with a row of gains and one of shifts.
cdef enum:
    NORMALIZE_BEFORE = 1        # its activation
    NORMALIZE_AFTER = 2

cdef struct layer:
    Py_ssize_t n_in
    Py_ssize_t n_out
    Py_ssize_t width            # n_out, padded to whole vectors when wide: the row stride of its outputs
    Py_ssize_t panel            # columns of a full panel; 0 when narrow
    Py_ssize_t offset           # of its first parameter in the flat array
    Py_ssize_t size             # parameters with padding
    bint has_bias
    Py_ssize_t n_groups
    int activation              # of its outputs; the last layer's belongs to the loss
    double activation_parameter
    double l1                   # penalty of its weights
    double l2
    double max_norm             # of a unit's incoming weights; infinity for none
    double min_norm             # of the same; 0 for none
    double norm_share           # of the way to the nearest norm that is allowed, taken after each step
    bint non_negative           # its weights
    double drop_rate            # of its outputs; 0 for none
    int normalize               # 0 for none
    Py_ssize_t statistics       # its first column among those of all normalized layers
    # places in elements a row of the batch: of its values before the activation, after it, normalized (of a normalized
    # layer only), as the next layer reads them, and of their gradients
    Py_ssize_t z                # the same as a where the derivative needs only the output
    Py_ssize_t a
    Py_ssize_t s
    Py_ssize_t o                # the same as a without dropout and normalization after the activation
    Py_ssize_t d
    # W^T: its place in the array of transposes, its padded columns and panel width; 0 columns for the first layer
    Py_ssize_t transposed
    Py_ssize_t back_width
    Py_ssize_t back_panel

# A contiguous run of a layer's parameters: outputs [column, column + columns) of features [first, last).
cdef struct group:
    int number                  # of its layer
    Py_ssize_t column
    Py_ssize_t columns
    Py_ssize_t first            # n_in is the bias, n_in + 1 the gain, n_in + 2 the shift
    Py_ssize_t last
    Py_ssize_t offset           # in the flat parameters
    Py_ssize_t size

# CSR rows without duplicates, columns ascending; a row is addressed by its number, kept where a pointer would be.
cdef struct sparse_rows:
    const void* data            # NULL for a dense input
    const void* indices
    bint wide                   # int64 indices, else int32
    const Py_ssize_t* indptr

cdef void layer_init(layer* shape, Py_ssize_t n_in, Py_ssize_t n_out, Py_ssize_t offset, bint has_bias, bint is_last,
                     int normalize, const real* like) noexcept nogil
cdef Py_ssize_t panel_count(const layer* shape) noexcept nogil
cdef Py_ssize_t groups_of_panel(const layer* shape) noexcept nogil
cdef Py_ssize_t group_count(const layer* shape) noexcept nogil
cdef group group_at(const layer* shape, Py_ssize_t number) noexcept nogil
cdef void forward_rows(const layer* shape, const real* w, const real* const* rows, Py_ssize_t m, real* z_out,
                       const real* const* ahead) noexcept nogil
cdef void group_gradient(const layer* shape, const group* it, const real* const* rows, Py_ssize_t m, const real* d,
                         bint accumulate, real* g_io, const real* const* ahead) noexcept nogil
cdef void forward_panels(const layer* shape, const real* w, const real* const* rows, Py_ssize_t m, Py_ssize_t first,
                         Py_ssize_t last, real* z_out) noexcept nogil
cdef void forward_sparse(const layer* shape, const real* w, const sparse_rows* x, const void* const* rows, Py_ssize_t m,
                         real* z_out) noexcept nogil
cdef void group_gradient_sparse(const layer* shape, const group* it, const sparse_rows* x, const void* const* rows,
                                Py_ssize_t m, const real* d, bint accumulate, real* g_io, bint resume,
                                Py_ssize_t* cursors_io) noexcept nogil
cdef void backward_rows(const layer* shape, const real* transposed, const real* const* d_rows, Py_ssize_t m,
                        real* d_out) noexcept nogil
cdef void transpose_group(const layer* shape, const group* it, const real* w, real* transposed_out) noexcept nogil
cdef inline bint is_constrained(const layer* shape) noexcept nogil:
    return shape.max_norm < INFINITY or shape.min_norm > 0.0 or shape.non_negative


cdef void constrain_panel(const layer* shape, Py_ssize_t panel, real* w_io, double* sums, real* factors) noexcept nogil
