"""One dense layer: how its parameters lie in memory, and the products of its rows."""

from fasttrain._kernels.types cimport real

cdef enum:
    GROUP = 4096                # weights of an update group


# A layer's parameters in the flat parameter array. A narrow layer (the last one, with few outputs) keeps one row of
# n_in weights and the bias for each output; a wide one keeps panels of panel_width columns, each n_in rows of weights
# and then the row of biases. Layers above the first also keep W^T, as panels of n_in columns, for the backward
# product.
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
    # places of its outputs, their values before the activation and their gradients, in elements a row of the batch
    Py_ssize_t a
    Py_ssize_t z                # the same as a where the derivative needs only the output
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
    Py_ssize_t first            # n_in is the bias
    Py_ssize_t last
    Py_ssize_t offset           # in the flat parameters
    Py_ssize_t size

cdef void layer_init(layer* shape, Py_ssize_t n_in, Py_ssize_t n_out, Py_ssize_t offset, bint has_bias, bint is_last,
                     const real* like) noexcept nogil
cdef Py_ssize_t group_count(const layer* shape) noexcept nogil
cdef group group_at(const layer* shape, Py_ssize_t number) noexcept nogil
cdef void forward_rows(const layer* shape, const real* w, const real* const* rows, Py_ssize_t m, real* z_out,
                       const real* const* ahead) noexcept nogil
cdef void group_gradient(const layer* shape, const group* it, const real* const* rows, Py_ssize_t m, const real* d,
                         bint accumulate, real* g_io, const real* const* ahead) noexcept nogil
cdef void backward_rows(const layer* shape, const real* transposed, const real* const* d_rows, Py_ssize_t m,
                        real* d_out) noexcept nogil
cdef void transpose_group(const layer* shape, const group* it, const real* w, real* transposed_out) noexcept nogil
