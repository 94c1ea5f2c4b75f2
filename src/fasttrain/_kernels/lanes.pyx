"""Full-batch steps of a linear model on few rows, which are copied once so that a row has a lane.

Each of the steps that follow has then no sums across lanes but one a weight at its end, no outputs that only fill up
vectors, and a loss for which the rows need not be turned.
"""

from libc.stdlib cimport free, malloc
from libc.string cimport memset

from fasttrain._kernels.layers cimport layer, panel_count
from fasttrain._kernels.passes cimport MAX_CHUNKS, fit_task, output
from fasttrain._kernels.primitives cimport (
    FT_LOSS_softmax_crossentropy, lanes, lanes_axpy, lanes_dot, lanes_of_rows, lanes_softmax, lanes_sum, loss_span, sum,
)
from fasttrain._kernels.types cimport real

cdef enum:
    COPY_BYTES = 1 << 20        # of rows at most: they stay in a second-level cache, and the copy costs half a step
    MOST_OUTPUTS = 16           # more have whole panels, where little is lost
    FEWEST_ROWS = 64            # below, a step is over before the copy has paid
    BLOCK_BYTES = 24576         # of rows that stay in the first-level cache between the two passes over them


cdef bint suits_lanes(const fit_task* task) noexcept nogil:
    """Whether steps on all rows go by lanes: a matter of shapes and of the kind of step, never of threads or of what
    was done before.
    """
    cdef const layer* shape = &task.layers[0]
    cdef Py_ssize_t size = 8 if task.is_double else 4
    return (
        task.wants_lanes and task.n_layers == 1 and task.batch == task.n and task.sparse.data == NULL
        and task.caller == NULL and task.outputs == NULL and task.mix_share == NULL and not task.copies_input
        and shape.activation == 0
        and FEWEST_ROWS <= task.n <= COPY_BYTES // (size * shape.n_in) and shape.n_out <= MOST_OUTPUTS
        and task.y_width == (1 if task.loss == FT_LOSS_softmax_crossentropy else shape.n_out))


cdef Py_ssize_t lane_panels(const fit_task* task, const real* like) noexcept nogil:
    """Panels of all rows."""
    return (task.n + lanes(like) - 1) // lanes(like)


cdef inline Py_ssize_t panels_of_block(const fit_task* task, const real* like) noexcept nogil:
    """Panels between whose two passes nothing else is read; with more outputs the sums are what moves more."""
    cdef const layer* shape = &task.layers[0]
    return max(<Py_ssize_t> 1, BLOCK_BYTES * shape.n_out // (shape.n_in * lanes(like) * <Py_ssize_t> sizeof(real)))


cdef Py_ssize_t lane_room(const fit_task* task, const real* like) noexcept nogil:
    """Elements of a thread's workspace: a block's predictions, the sums by lanes, and those added up."""
    cdef const layer* shape = &task.layers[0]
    cdef Py_ssize_t weights = (shape.n_in + 1) * shape.n_out
    cdef Py_ssize_t block = min(panels_of_block(task, like), lane_panels(task, like))
    return (block * shape.n_out + weights + weights // lanes(like) + 1) * lanes(like)


cdef void fill_lanes(const fit_task* task, const void** rows, real* x_out, real* y_out, real* weight_out,
                     const real* like) noexcept nogil:
    """Copies the rows at these addresses, their targets and, unless weight_out is NULL, their weights."""
    cdef Py_ssize_t vector = lanes(like), width = task.y_width, i, c, row, place
    cdef const real* y = <const real*> task.y
    cdef const real* weight = <const real*> task.weight
    cdef Py_ssize_t padded = lane_panels(task, like) * vector
    lanes_of_rows(<const real* const*> rows, task.n, task.layers[0].n_in, x_out)
    memset(y_out, 0, padded * width * sizeof(real))
    if weight_out != NULL:
        memset(weight_out, 0, padded * sizeof(real))
    for i in range(task.n):
        row = i if task.order == NULL else task.order[i]
        place = i // vector * width * vector + i % vector
        for c in range(width):
            y_out[place + c * vector] = y[row * width + c]
        if weight_out != NULL:
            weight_out[i] = weight[row] if weight != NULL else 1


cdef double block_loss(const fit_task* task, const real* y, const real* weight, Py_ssize_t rows, Py_ssize_t n_panels,
                       real* z_io) noexcept nogil:
    """Sum of the losses of a block, whose predictions z receive the gradient; zero in the lanes without a row."""
    cdef Py_ssize_t vector = lanes(y), n_out = task.layers[0].n_out, width = n_out * vector, p, o, l, count
    cdef real parameter = <real> task.loss_parameter
    cdef double total = 0.0
    if task.loss == FT_LOSS_softmax_crossentropy:
        return lanes_softmax(y, weight, n_panels, n_out, z_io)
    if n_out == 1:
        total = loss_span(task.loss, parameter, y, z_io, weight, rows, True, z_io)
        memset(z_io + rows, 0, (n_panels * vector - rows) * sizeof(real))
        return total
    for p in range(n_panels):
        count = min(vector, rows - p * vector)
        for o in range(n_out):
            l = p * width + o * vector
            total = total + loss_span(
                task.loss, parameter, y + l, z_io + l, weight + p * vector if weight != NULL else <const real*> NULL,
                count, True, z_io + l)
            memset(z_io + l + count, 0, (vector - count) * sizeof(real))
    return total


cdef void spread(const layer* shape, const real* sums, real* g_out) noexcept nogil:
    """From sums (n_in + 1, n_out) to the layout of the parameters, whose padding becomes zero."""
    cdef Py_ssize_t n_out = shape.n_out, f, o, panel, column, columns
    memset(g_out, 0, shape.size * sizeof(real))
    for panel in range(panel_count(shape)):
        column = panel * shape.panel if shape.panel else panel
        columns = min(shape.panel, shape.width - column) if shape.panel else 1
        for f in range(shape.n_in + 1):
            for o in range(min(columns, n_out - column)):
                g_out[f * columns + o] = sums[f * n_out + column + o]
        g_out += (shape.n_in + 1) * columns


cdef void chunk_by_lanes(fit_task* task, Py_ssize_t chunk, int thread, const real* like) noexcept nogil:
    """Loss and gradient sums of one chunk of the rows, block by block."""
    cdef const layer* shape = output(task)
    cdef Py_ssize_t vector = lanes(like), n_in = shape.n_in, n_out = shape.n_out, all_panels = lane_panels(task, like)
    cdef Py_ssize_t first = all_panels * chunk // task.n_chunks, last = all_panels * (chunk + 1) // task.n_chunks
    cdef Py_ssize_t block = panels_of_block(task, like), at = first, count, rows, panel, column, columns
    cdef real* z = <real*> task.lane_values + thread * task.lane_room
    cdef real* sums = z + min(block, all_panels) * n_out * vector
    cdef real* added = sums + (n_in + 1) * n_out * vector
    cdef const real* x = <const real*> task.lanes
    cdef const real* y = <const real*> task.lane_targets
    cdef const real* weight = <const real*> task.lane_weights
    cdef const real* w
    cdef double total = 0.0, total_weight = 0.0
    while at < last:
        count = min(block, last - at)
        rows = min(count * vector, task.n - at * vector)
        w = <const real*> task.w + shape.offset
        for panel in range(panel_count(shape)):
            column = panel * shape.panel if shape.panel else panel
            columns = min(shape.panel, shape.width - column) if shape.panel else 1
            if shape.panel:
                lanes_dot(x + at * n_in * vector, count, n_in, w, columns, 1, min(columns, n_out - column),
                          z + column * vector, n_out * vector)
            elif panel == 0:
                lanes_dot(x + at * n_in * vector, count, n_in, w, 1, n_in + 1, n_out, z, n_out * vector)
            w += (n_in + 1) * columns
        total += block_loss(task, y + at * task.y_width * vector, weight + at * vector if weight != NULL else weight,
                            rows, count, z)
        total_weight += <double> rows if weight == NULL else sum(weight + at * vector, rows)
        lanes_axpy(x + at * n_in * vector, count, n_in, z, n_out, at > first, sums)
        at += count
    lanes_sum(sums, (n_in + 1) * n_out, added)
    spread(shape, added, <real*> task.partial + chunk * task.n_parameters)
    task.sums[chunk] = total
    task.sums[MAX_CHUNKS + chunk] = total_weight


# ---- from Python, for the tests ----

def rows_in_lanes(const real[:, ::1] X, real[:, :, ::1] out):
    """Panels (n_panels, n_features, lanes) of the rows of X."""
    cdef const real** rows = <const real**> malloc(max(X.shape[0], 1) * sizeof(real*))
    cdef Py_ssize_t i
    if rows == NULL:
        raise MemoryError("no memory for the row pointers")
    if (out.shape[0] * out.shape[2] < X.shape[0] or out.shape[1] != X.shape[1]
            or out.shape[2] != lanes(<const real*> NULL)):
        free(rows)
        raise ValueError(f"out must hold {X.shape[0]} rows of {X.shape[1]} features by lanes")
    for i in range(X.shape[0]):
        rows[i] = &X[i, 0]
    lanes_of_rows(rows, X.shape[0], X.shape[1], &out[0, 0, 0])
    free(rows)


def dot_in_lanes(const real[:, :, ::1] x, const real[:, ::1] w, real[:, :, ::1] z_out, bint by_outputs=False):
    """``z = x w`` of weights (n_features + 1, n_outputs), the biases last; with ``by_outputs`` they lie transposed."""
    cdef Py_ssize_t k = x.shape[1], n_out = z_out.shape[1]
    if (w.shape[0], w.shape[1]) != ((n_out, k + 1) if by_outputs else (k + 1, n_out)) or z_out.shape[0] != x.shape[0]:
        raise ValueError(f"w and z_out must fit {k} features and {n_out} outputs")
    lanes_dot(&x[0, 0, 0], x.shape[0], k, &w[0, 0], 1 if by_outputs else n_out, k + 1 if by_outputs else 1, n_out,
              &z_out[0, 0, 0], n_out * x.shape[2])


def axpy_in_lanes(const real[:, :, ::1] x, const real[:, :, ::1] d, bint accumulate, real[:, :, ::1] sums_io):
    """Sums (n_features + 1, n_outputs, lanes) of ``x d`` over the panels, those of d alone last."""
    if sums_io.shape[0] != x.shape[1] + 1 or sums_io.shape[1] != d.shape[1] or d.shape[0] != x.shape[0]:
        raise ValueError("sums_io must fit the features of x and the outputs of d")
    lanes_axpy(&x[0, 0, 0], x.shape[0], x.shape[1], &d[0, 0, 0], d.shape[1], accumulate, &sums_io[0, 0, 0])


def sum_of_lanes(const real[:, ::1] sums, real[::1] out):
    """``out = sums.sum(axis=1)``."""
    if out.shape[0] != sums.shape[0] or sums.shape[1] != lanes(<const real*> NULL):
        raise ValueError("sums must have a row of lanes for each element of out")
    lanes_sum(&sums[0, 0], sums.shape[0], &out[0])


def softmax_in_lanes(const real[:, ::1] y, const real[:, ::1] weight, real[:, :, ::1] z_io):
    """Softmax cross-entropy of class codes y (n_panels, lanes), summed; z (n_panels, n_classes, lanes) receives the
    gradient.
    """
    if y.shape[0] != z_io.shape[0] or weight.shape[0] != z_io.shape[0] or y.shape[1] != z_io.shape[2]:
        raise ValueError("y and weight must have the panels of z_io")
    return lanes_softmax(&y[0, 0], &weight[0, 0], z_io.shape[0], z_io.shape[1], &z_io[0, 0, 0])
