"""One dense layer: how its parameters lie in memory, and the products of its rows."""

from libc.math cimport INFINITY, sqrt
from libc.string cimport memset

from fasttrain._kernels.primitives cimport (
    column_sums, columns_panel, lanes, panel_width, prefetch_rows, rows_axpy, rows_dot, rows_panel, sparse_columns,
    sparse_row, sum_squares, transpose,
)
from fasttrain._kernels.types cimport real

cdef enum:
    NARROW = 4              # outputs up to which a dot product a row beats a padded panel


cdef void layer_init(layer* shape, Py_ssize_t n_in, Py_ssize_t n_out, Py_ssize_t offset, bint has_bias, bint is_last,
                     int normalize, const real* like) noexcept nogil:
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
    shape.normalize = normalize
    shape.size = (n_in + (3 if normalize else 1)) * shape.width
    shape.max_norm = INFINITY
    shape.norm_share = 1.0


cdef inline Py_ssize_t group_rows(const layer* shape) noexcept nogil:
    """Weight rows (features) of one update group."""
    if shape.panel == 0:
        return GROUP
    return max(<Py_ssize_t> 12, GROUP // shape.panel // 12 * 12)


cdef Py_ssize_t groups_of_panel(const layer* shape) noexcept nogil:
    """Groups of one panel (of one output when narrow): its weights', and the bias."""
    return (shape.n_in + group_rows(shape) - 1) // group_rows(shape) + 1


cdef Py_ssize_t panel_count(const layer* shape) noexcept nogil:
    if shape.panel == 0:
        return shape.n_out
    return (shape.width + shape.panel - 1) // shape.panel


cdef Py_ssize_t group_count(const layer* shape) noexcept nogil:
    return panel_count(shape) * groups_of_panel(shape) + (2 if shape.normalize else 0)


cdef group group_at(const layer* shape, Py_ssize_t number) noexcept nogil:
    """Groups run through the outputs (panels), and in each through the features, the bias last; each is contiguous.

    The gains and the shifts of a normalized layer are the last two.
    """
    cdef group it
    cdef Py_ssize_t rows = group_rows(shape)
    cdef Py_ssize_t per_column = groups_of_panel(shape)
    cdef Py_ssize_t panel = number // per_column
    cdef Py_ssize_t part = number - panel * per_column
    if shape.normalize and number >= panel_count(shape) * per_column:
        it.column = 0
        it.columns = it.size = shape.width
        it.first = shape.n_in + 1 + number - panel_count(shape) * per_column
        it.last = it.first + 1
        it.offset = shape.offset + it.first * shape.width
        return it
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
    cdef const real* weights = w + shape.offset
    if shape.panel == 0:
        rows_dot(rows, m, shape.n_in, weights, shape.n_in + 1, shape.n_out, weights + shape.n_in, shape.n_in + 1, z_out,
                 shape.width, ahead)
        return
    if ahead != NULL:
        prefetch_rows(ahead, m, shape.n_in)
    forward_panels(shape, w, rows, m, 0, panel_count(shape), z_out)


cdef void forward_panels(const layer* shape, const real* w, const real* const* rows, Py_ssize_t m, Py_ssize_t first,
                         Py_ssize_t last, real* z_out) noexcept nogil:
    """The columns of :func:`forward_rows` that panels [first, last) of a wide layer give."""
    cdef Py_ssize_t number, column, columns
    cdef const real* panel
    for number in range(first, last):
        column = number * shape.panel
        columns = min(shape.panel, shape.width - column)
        panel = w + shape.offset + column * (shape.n_in + 1)
        rows_panel(rows, m, shape.n_in, panel, columns, panel + shape.n_in * columns, z_out + column, shape.width)


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


cdef void forward_sparse(const layer* shape, const real* w, const sparse_rows* x, const void* const* rows, Py_ssize_t m,
                         real* z_out) noexcept nogil:
    """:func:`forward_rows` of sparse rows."""
    cdef Py_ssize_t column = 0, columns, i, row
    cdef const real* panel
    w += shape.offset
    while column < shape.width:
        columns = min(shape.panel, shape.width - column) if shape.panel else 1
        panel = w + column * (shape.n_in + 1)
        for i in range(m):
            row = <Py_ssize_t> rows[i]
            sparse_row(<const real*> x.data, x.indices, x.wide, x.indptr[row], x.indptr[row + 1], panel, columns,
                       panel + shape.n_in * columns, z_out + i * shape.width + column)
        column += columns


cdef void group_gradient_sparse(const layer* shape, const group* it, const sparse_rows* x, const void* const* rows,
                                Py_ssize_t m, const real* d, bint accumulate, real* g_io, bint resume,
                                Py_ssize_t* cursors_io) noexcept nogil:
    """:func:`group_gradient` of a group of weights over sparse rows.

    ``cursors_io`` holds each row's next entry: with ``resume`` those that the call for the group of features before
    this one left, else they are looked up.
    """
    cdef Py_ssize_t i, row, low, high, middle
    if not accumulate:
        memset(g_io, 0, it.size * sizeof(real))
    for i in range(m):
        row = <Py_ssize_t> rows[i]
        low = x.indptr[row]
        high = x.indptr[row + 1]
        if resume:
            low = cursors_io[i]
        elif it.first:
            while low < high:
                middle = (low + high) // 2
                if (((<const long long*> x.indices)[middle] if x.wide else (<const int*> x.indices)[middle])
                        < it.first):
                    low = middle + 1
                else:
                    high = middle
            high = x.indptr[row + 1]
        cursors_io[i] = sparse_columns(
            <const real*> x.data, x.indices, x.wide, low, high, it.first, it.last, d + i * shape.width + it.column,
            it.columns, g_io)


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
    cdef Py_ssize_t columns = min(it.columns, shape.n_out - it.column), f = it.first, end, panel, width
    if it.first >= shape.n_in:
        return
    w += it.offset
    transposed_out += shape.transposed
    while f < it.last:
        panel = f // shape.back_panel * shape.back_panel
        width = min(shape.back_panel, shape.back_width - panel)
        end = min(it.last, panel + shape.back_panel)
        transpose(w + (f - it.first) * it.columns, it.columns, end - f, columns,
                  transposed_out + panel * shape.n_out + it.column * width + (f - panel), width)
        f = end


cdef void constrain_panel(const layer* shape, Py_ssize_t panel, real* w_io, double* sums,
                          real* factors) noexcept nogil:
    """Makes the weights of a panel what the layer's constraints allow: none below zero, then every unit's norm between
    the least and the largest, or ``norm_share`` of the way to the nearer of them. A unit of zeros stays.

    ``sums`` and ``factors`` are workspace for a panel's columns.
    """
    cdef Py_ssize_t columns = 1, r, c, at
    cdef double norm, allowed
    cdef bint any_other = False
    w_io += shape.offset
    if shape.panel == 0:
        w_io += panel * (shape.n_in + 1)
    else:
        columns = min(shape.panel, shape.width - panel * shape.panel)
        w_io += panel * shape.panel * (shape.n_in + 1)
    if shape.non_negative:
        for at in range(shape.n_in * columns):
            w_io[at] = 0 if w_io[at] < 0 else w_io[at]
    if shape.max_norm == INFINITY and shape.min_norm == 0.0:
        return
    if shape.panel == 0:
        sums[0] = sum_squares(w_io, shape.n_in)
    else:
        memset(sums, 0, columns * sizeof(double))
        for r in range(shape.n_in):
            for c in range(columns):
                sums[c] += <double> w_io[r * columns + c] * w_io[r * columns + c]
    for c in range(columns):
        norm = sqrt(sums[c])
        allowed = min(norm, shape.max_norm) if norm > shape.min_norm else shape.min_norm
        factors[c] = 1
        if norm > 0.0 and allowed != norm:
            # the whole way without the rounding of a sum
            factors[c] = <real> (allowed / norm if shape.norm_share == 1.0 else
                                 1.0 + shape.norm_share * (allowed / norm - 1.0))
            any_other = True
    if any_other:
        for r in range(shape.n_in):
            for c in range(columns):
                w_io[r * columns + c] *= factors[c]
