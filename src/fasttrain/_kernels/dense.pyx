"""A dense network for other compiled code: values and gradients from plain structs, without Python.

The network is z_1 = x W_1 + b_1, a_1 = f_1(z_1), ..., its raw predictions the last z; weights of a layer are
(n_in, n_out), C-contiguous, before they are packed. Each call sets the engine's task up in the caller's workspace.
"""

from libc.math cimport INFINITY, isfinite
from libc.string cimport memcpy, memset

from fasttrain._kernels.layers cimport group, group_count, layer, layer_init
from fasttrain._kernels.passes cimport MAX_CHUNKS, buffers, fit_task, output, point_layers, task_group
from fasttrain._kernels.primitives cimport (
    FT_LOSS_softmax_crossentropy, FT_N_ACTIVATIONS, ft_ops_f32, ft_ops_f64, ft_update,
)
from fasttrain._kernels.steps cimport block_rows, gradient_threads, predict_threads
from fasttrain._kernels.types cimport (
    STATUS_BAD_KIND, STATUS_BAD_STRUCT, STATUS_NOT_FINITE, STATUS_OK, STATUS_OUT_OF_RANGE, real,
)
from fasttrain._kernels.updating cimport refresh_transposes

cdef extern from "Python.h":
    const Py_ssize_t PY_SSIZE_T_MAX

cdef extern from "sgd.h" nogil:
    ctypedef struct ft_sgd:
        pass


def struct_sizes():
    """Bytes of every struct that functions of the kernels take, as this build has them."""
    return {
        "buffers": sizeof(buffers), "dense_shape": sizeof(dense_shape), "fit_task": sizeof(fit_task),
        "ft_ops_f32": sizeof(ft_ops_f32), "ft_ops_f64": sizeof(ft_ops_f64), "ft_sgd": sizeof(ft_sgd),
        "ft_update": sizeof(ft_update), "group": sizeof(group), "layer": sizeof(layer),
    }


cdef int check(const dense_shape* shape) noexcept nogil:
    cdef Py_ssize_t i
    if shape.size != sizeof(dense_shape):
        return STATUS_BAD_STRUCT
    if shape.n_layers < 1:
        return STATUS_OUT_OF_RANGE
    for i in range(shape.n_layers + 1):
        if shape.widths[i] < 1:
            return STATUS_OUT_OF_RANGE
    if not 0 <= shape.loss <= FT_LOSS_softmax_crossentropy:
        return STATUS_BAD_KIND
    for i in range(shape.n_layers - 1):
        if not 0 <= shape.activations[i] < FT_N_ACTIVATIONS:
            return STATUS_BAD_KIND
    return STATUS_OK


cdef inline char* carve(char** free_io, Py_ssize_t bytes) noexcept nogil:
    """The next bytes of a workspace, in whole cache lines."""
    cdef char* own = free_io[0]
    free_io[0] = own + (bytes + 63) // 64 * 64
    return own


cdef Py_ssize_t lay_out(const dense_shape* shape, fit_task* task, char* workspace, Py_ssize_t rows,
                        const real* like) noexcept nogil:
    """Puts layers and buffers for blocks of at most ``rows`` rows into a task and its workspace; returns their bytes.

    With a workspace of NULL nothing is written but the sizes in the task.
    """
    cdef char* free = workspace
    cdef layer* layers = <layer*> carve(&free, shape.n_layers * sizeof(layer))
    cdef layer first, one
    cdef layer* own = &one
    cdef Py_ssize_t i, offset = 0, transposed = 0, size = 0, below_width = 0, below_panel = 0
    memset(task, 0, sizeof(fit_task))
    for i in range(shape.n_layers):
        if workspace != NULL:
            own = &layers[i]
        layer_init(own, shape.widths[i], shape.widths[i + 1], offset, shape.fit_intercept != 0,
                   i == shape.n_layers - 1, 0, like)
        if i == 0:
            first = own[0]
        offset += own.size
        own.n_groups = group_count(own)
        task.n_groups += own.n_groups
        if i:
            own.back_width = below_width
            own.back_panel = below_panel
            own.transposed = transposed
            transposed += below_width * own.n_out
        below_width = own.width
        below_panel = own.panel
        own.d = size
        size += own.width
        if i < shape.n_layers - 1:
            own.activation = shape.activations[i]
            own.activation_parameter = 1.0
            if shape.activation_parameters != NULL:
                own.activation_parameter = shape.activation_parameters[i]
            own.z = size
            own.a = own.o = own.s = size + own.width
            size += 2 * own.width
    task.layers = &first
    task.n_layers = <int> shape.n_layers
    task.n_parameters = offset
    task.row_size = size
    task.is_double = sizeof(real) == sizeof(double)
    task.y_width = 1 if shape.loss == FT_LOSS_softmax_crossentropy else shape.widths[shape.n_layers]
    task.loss = shape.loss
    task.loss_parameter = shape.loss_parameter
    task.capacity = max(<Py_ssize_t> 1, min(rows, block_rows(task, like)))
    task.layers = layers
    task.transposed = carve(&free, transposed * sizeof(real))
    task.values = carve(&free, task.capacity * size * sizeof(real))
    task.rows = <const void**> carve(&free, 2 * task.capacity * sizeof(void*))
    task.pointers = <const void**> carve(&free, 2 * task.n_layers * task.capacity * sizeof(void*))
    task.sums = <double*> carve(&free, 2 * MAX_CHUNKS * sizeof(double))
    # raw predictions with the padding of a wide last layer
    task.outputs = carve(&free, task.capacity * below_width * sizeof(real))
    return free - workspace


cdef int set_up(const dense_shape* shape, fit_task* task, const real* w, void* workspace, Py_ssize_t n) noexcept nogil:
    cdef int status = check(shape)
    if status == STATUS_OK:
        lay_out(shape, task, <char*> workspace, n, w)
        task.w = <void*> w
        point_layers(task, 1, w)
    return status


cdef int dense_sizes(const dense_shape* shape, const real* like, Py_ssize_t* n_parameters_out,
                     Py_ssize_t* workspace_out) noexcept nogil:
    """How many parameters the engine's layout has, padding included, and how many bytes a workspace.

    Both depend on the instruction set in use; like is only looked at for its type and may be NULL.
    """
    cdef fit_task task
    cdef int status = check(shape)
    if status == STATUS_OK:
        workspace_out[0] = lay_out(shape, &task, <char*> NULL, PY_SSIZE_T_MAX, like)
        n_parameters_out[0] = task.n_parameters
    return status


cdef Py_ssize_t place(const layer* own, Py_ssize_t row, Py_ssize_t column) noexcept nogil:
    """Of a weight among the parameters; row n_in is the intercept."""
    cdef Py_ssize_t first
    if own.panel == 0:
        return own.offset + column * (own.n_in + 1) + row
    first = column // own.panel * own.panel
    return own.offset + first * (own.n_in + 1) + row * min(own.panel, own.width - first) + column - first


cdef int dense_pack(const dense_shape* shape, const real* const* coefs, const real* const* intercepts,
                    real* w_out) noexcept nogil:
    """Writes each layer's coef (n_in, n_out) and intercept (n_out) into the engine's layout, zeros into its padding.

    ``intercepts`` may be NULL, and each of its pointers, for zeros.
    """
    cdef int status = check(shape)
    cdef Py_ssize_t i, r, c, offset = 0
    cdef layer own
    if status != STATUS_OK:
        return status
    for i in range(shape.n_layers):
        layer_init(&own, shape.widths[i], shape.widths[i + 1], offset, True, i == shape.n_layers - 1, 0,
                   <const real*> w_out)
        memset(w_out + offset, 0, own.size * sizeof(real))
        for r in range(own.n_in):
            for c in range(own.n_out):
                w_out[place(&own, r, c)] = coefs[i][r * own.n_out + c]
        if intercepts != NULL and intercepts[i] != NULL:
            for c in range(own.n_out):
                w_out[place(&own, own.n_in, c)] = intercepts[i][c]
        offset += own.size
    return STATUS_OK


cdef int dense_unpack(const dense_shape* shape, const real* w, real* const* coefs_out,
                      real* const* intercepts_out) noexcept nogil:
    """The other way round, of parameters or their gradient; pointers that are NULL are left out."""
    cdef int status = check(shape)
    cdef Py_ssize_t i, r, c, offset = 0
    cdef layer own
    if status != STATUS_OK:
        return status
    for i in range(shape.n_layers):
        layer_init(&own, shape.widths[i], shape.widths[i + 1], offset, True, i == shape.n_layers - 1, 0, w)
        for r in range(own.n_in if coefs_out != NULL and coefs_out[i] != NULL else 0):
            for c in range(own.n_out):
                coefs_out[i][r * own.n_out + c] = w[place(&own, r, c)]
        for c in range(own.n_out if intercepts_out != NULL and intercepts_out[i] != NULL else 0):
            intercepts_out[i][c] = w[place(&own, own.n_in, c)]
        offset += own.size
    return STATUS_OK


cdef int dense_forward(const dense_shape* shape, const real* w, const real* x, real* raw_out, Py_ssize_t n,
                       void* workspace) noexcept nogil:
    """Raw predictions (n, n_outputs) of x (n, n_features), both C-contiguous."""
    cdef fit_task task
    cdef Py_ssize_t start = 0, count, i, k, width
    cdef const real* padded
    cdef int status = check(shape)
    if status != STATUS_OK or n <= 0:
        return status
    k = shape.widths[shape.n_layers]
    set_up(shape, &task, w, workspace, n)
    width = output(&task).width
    padded = <const real*> task.outputs
    task.outputs = NULL
    if width == k:
        predict_threads(&task, x, shape.widths[0], n, raw_out, 1)
        return STATUS_OK
    while start < n:
        count = min(task.capacity, n - start)
        predict_threads(&task, x + start * shape.widths[0], shape.widths[0], count, <real*> padded, 1)
        for i in range(count):
            memcpy(raw_out + (start + i) * k, padded + i * width, k * sizeof(real))
        start += count
    return STATUS_OK


cdef int dense_gradient(const dense_shape* shape, const real* w, const real* x, const real* y, const real* weight,
                        double* value_out, double* weight_out, real* gradient_out, Py_ssize_t n,
                        void* workspace) noexcept nogil:
    """Weighted sum of the loss over n rows, the sum of their weights, and the gradient of the first.

    Sums, so that those of parts of the rows can be added; the gradient is in the layout of the parameters. y has the
    raw predictions' shape, for softmax cross-entropy (n) class codes; weight (n) may be NULL for ones.
    """
    cdef fit_task task
    cdef Py_ssize_t i
    cdef group it
    cdef int status = check(shape)
    if status != STATUS_OK:
        return status
    if shape.loss == FT_LOSS_softmax_crossentropy:
        for i in range(n):
            if not 0 <= y[i] < shape.widths[shape.n_layers]:
                return STATUS_OUT_OF_RANGE
    value_out[0] = weight_out[0] = 0.0
    if n <= 0:
        # the parameters are counted from the shape alone
        lay_out(shape, &task, <char*> NULL, 1, w)
        memset(gradient_out, 0, task.n_parameters * sizeof(real))
        return STATUS_OK
    set_up(shape, &task, w, workspace, n)
    task.outputs = NULL
    task.x = x
    task.ldx = shape.widths[0]
    task.y = y
    task.weight = weight
    task.n = task.batch = n
    task.n_chunks = 1
    task.partial = gradient_out
    task.deadline = INFINITY
    # the padding of W^T is never written
    memset(task.transposed, 0, <char*> task.values - <char*> task.transposed)
    refresh_transposes(&task, w)
    gradient_threads(&task, 1, w)
    if not shape.fit_intercept:
        for i in range(task.n_groups):
            it = task_group(&task, i)
            if it.first == task.layers[it.number].n_in:
                memset(gradient_out + it.offset, 0, it.size * sizeof(real))
    value_out[0] = task.sums[0]
    weight_out[0] = task.sums[MAX_CHUNKS]
    return STATUS_OK if isfinite(value_out[0]) else STATUS_NOT_FINITE
