"""One dense layer: how its parameters lie in memory, and the products of its rows."""

from libc.string cimport memset

from fasttrain._kernels.primitives cimport (
    column_sums, columns_panel, lanes, panel_width, prefetch_rows, rows_axpy, rows_dot, rows_panel,
)
from fasttrain._kernels.types cimport real

cdef enum:
    NARROW = 4              # outputs up to which a dot product a row beats a padded panel


cdef void layer_init(layer* shape, Py_ssize_t n_in, Py_ssize_t n_out, Py_ssize_t offset, bint has_bias, bint is_last,
                     const real* like) noexcept nogil:
    cdef Py_ssize_t vector = lanes(like)
    memset(shape, 0, sizeof(layer))
    shape.n_in = n_in
    shape.n_out = n_out
    shape.offset = offset
    shape.has_bias = has_bias
    if is_last and n_out <= NARROW:
        shape.panel = 0
        shape.width = n_out
    else:
        shape.panel = panel_width(like)
        shape.width = (n_out + vector - 1) // vector * vector
    shape.size = (n_in + 1) * shape.width


cdef inline Py_ssize_t group_rows(const layer* shape) noexcept nogil:
    """Weight rows (features) of one update group."""
    if shape.panel == 0:
        return GROUP
    return max(<Py_ssize_t> 12, GROUP // shape.panel // 12 * 12)


cdef Py_ssize_t group_count(const layer* shape) noexcept nogil:
    cdef Py_ssize_t per_column = (shape.n_in + group_rows(shape) - 1) // group_rows(shape) + 1
    if shape.panel == 0:
        return shape.n_out * per_column
    return (shape.width + shape.panel - 1) // shape.panel * per_column


cdef group group_at(const layer* shape, Py_ssize_t number) noexcept nogil:
    """Groups run through the outputs (panels), and in each through the features, the bias last; each is contiguous."""
    cdef group it
    cdef Py_ssize_t rows = group_rows(shape)
    cdef Py_ssize_t per_column = (shape.n_in + rows - 1) // rows + 1
    cdef Py_ssize_t panel = number // per_column
    cdef Py_ssize_t part = number - panel * per_column
    if shape.panel == 0:
        it.column = panel
        it.columns = 1
    else:
        it.column = panel * shape.panel
        it.columns = min(shape.panel, shape.width - it.column)
    if part == per_column - 1:
        it.first = shape.n_in
        it.last = shape.n_in + 1
    else:
        it.first = part * rows
        it.last = min(shape.n_in, it.first + rows)
    it.offset = shape.offset + it.column * (shape.n_in + 1) + it.first * it.columns
    it.size = (it.last - it.first) * it.columns
    return it


cdef void forward_rows(const layer* shape, const real* w, const real* const* rows, Py_ssize_t m, real* z_out,
                       const real* const* ahead) noexcept nogil:
    """z (m, width) = rows @ W + b; ahead: NULL, or m rows to fetch for later."""
    cdef Py_ssize_t column, columns
    cdef const real* panel
    w += shape.offset
    if shape.panel == 0:
        rows_dot(rows, m, shape.n_in, w, shape.n_in + 1, shape.n_out, w + shape.n_in, shape.n_in + 1, z_out,
                 shape.width, ahead)
        return
    if ahead != NULL:
        prefetch_rows(ahead, m, shape.n_in)
    column = 0
    while column < shape.width:
        columns = min(shape.panel, shape.width - column)
        panel = w + column * (shape.n_in + 1)
        rows_panel(rows, m, shape.n_in, panel, columns, panel + shape.n_in * columns, z_out + column, shape.width)
        column += columns


cdef void group_gradient(const layer* shape, const group* it, const real* const* rows, Py_ssize_t m, const real* d,
                         bint accumulate, real* g_io, const real* const* ahead) noexcept nogil:
    """Gradient of one group of weights: g (+)= rows[:, first:last]^T d[:, columns], or the column sums for the bias."""
    cdef Py_ssize_t i
    cdef real total
    if it.first == shape.n_in:
        if shape.panel == 0:
            total = g_io[0] if accumulate else 0
            for i in range(m):
                total = total + d[i * shape.width + it.column]
            g_io[0] = total
        else:
            column_sums(d + it.column, shape.width, m, it.columns, accumulate, g_io)
    elif shape.panel == 0:
        if not accumulate:
            memset(g_io, 0, it.size * sizeof(real))
        # rows_axpy addresses the gradient by feature number
        rows_axpy(rows, m, it.first, it.last, d + it.column, shape.width, 1, g_io - it.first, 0,
                  ahead if it.column == 0 and it.last == shape.n_in else NULL)
    else:
        columns_panel(rows, m, it.first, it.last, d + it.column, shape.width, it.columns, accumulate, g_io)


cdef void backward_rows(const layer* shape, const real* transposed, const real* const* d_rows, Py_ssize_t m,
                        real* d_out) noexcept nogil:
    """Gradient of a layer's inputs: d_out (m, back_width) = d_rows @ W^T."""
    cdef Py_ssize_t column = 0, columns
    transposed += shape.transposed
    while column < shape.back_width:
        columns = min(shape.back_panel, shape.back_width - column)
        rows_panel(d_rows, m, shape.n_out, transposed + column * shape.n_out, columns, <const real*> NULL,
                   d_out + column, shape.back_width)
        column += columns


cdef void transpose_group(const layer* shape, const group* it, const real* w, real* transposed_out) noexcept nogil:
    """Copies a group of weights to their place in W^T."""
    cdef Py_ssize_t columns = min(it.columns, shape.n_out - it.column), c, f, panel, width
    cdef real* out
    if it.first == shape.n_in:
        return
    w += it.offset
    transposed_out += shape.transposed
    f = it.first
    while f < it.last:
        panel = f // shape.back_panel * shape.back_panel
        width = min(shape.back_panel, shape.back_width - panel)
        for f in range(f, min(it.last, panel + shape.back_panel)):
            out = transposed_out + panel * shape.n_out + it.column * width + (f - panel)
            for c in range(columns):
                out[c * width] = w[(f - it.first) * it.columns + c]
        f += 1
