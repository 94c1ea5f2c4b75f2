"""One block of rows through a dense network and back: what every kind of training step is made of.

A hidden layer's values pass through these places: the product with its weights, a normalization of it, the activation,
a normalization of that, dropout. Places that a layer does without are one and the same.
"""

from libc.string cimport memcpy, memset

from fasttrain._kernels.layers cimport (
    NORMALIZE_AFTER, NORMALIZE_BEFORE, backward_rows, forward_rows, forward_sparse, group_at, group_gradient,
    group_gradient_sparse,
)
from fasttrain._kernels.primitives cimport (
    FT_LOSS_softmax_crossentropy, activate, activate_backward, add_noise, columns_panel, drop, lanes, loss_span, mix,
    normalize_rows, panel_width, softmax_loss, sum, transpose,
)
from fasttrain._kernels.noise cimport drop_threshold, place_key

cdef enum:
    # what random bits are for, besides the layers, which come after
    KEY_NOISE = 0
    KEY_INPUT_DROP = 1
    KEY_LAYERS = 2

cdef enum:
    TURNED = 4096           # elements of a gradient that is taken with its units along the vectors
    ROWS_TO_TURN = 64       # rows from which that has paid for turning it back


cdef void buffers_of(fit_task* task, int thread, buffers* at) noexcept nogil:
    cdef Py_ssize_t size = 8 if task.is_double else 4
    at.capacity = task.capacity
    at.base = <char*> task.values + thread * task.capacity * task.row_size * size
    at.rows = task.rows + thread * 2 * task.capacity
    at.pointers = task.pointers + thread * 2 * task.n_layers * task.capacity
    at.cursors = task.cursors + thread * task.capacity if task.cursors != NULL else NULL
    at.due = at.start = at.m = at.origin = 0
    at.first_done = False


cdef void point_layers(fit_task* task, int n_threads, const real* like) noexcept nogil:
    """Row pointers of every layer's outputs and gradients; they stay while the buffers do."""
    cdef buffers at
    cdef layer* shape
    cdef Py_ssize_t i
    cdef int thread, number
    for thread in range(n_threads):
        buffers_of(task, thread, &at)
        for number in range(task.n_layers):
            shape = &task.layers[number]
            for i in range(at.capacity):
                at.pointers[2 * number * at.capacity + i] = <real*> at.base + at.capacity * shape.o + i * shape.width
                at.pointers[(2 * number + 1) * at.capacity + i] = (
                    <real*> at.base + at.capacity * shape.d + i * shape.width)


cdef void point_rows(fit_task* task, Py_ssize_t start, Py_ssize_t m, const void** rows_out,
                     const real* like) noexcept nogil:
    """Addresses of rows [start, start + m) of the order; numbers of sparse rows."""
    cdef const real* x = <const real*> task.x
    cdef Py_ssize_t i
    if task.sparse.data != NULL:
        for i in range(m):
            rows_out[i] = <const void*> (start + i if task.order == NULL else task.order[start + i])
    elif task.order == NULL:
        for i in range(m):
            rows_out[i] = x + (start + i) * task.ldx
    else:
        for i in range(m):
            rows_out[i] = x + task.order[start + i] * task.ldx


cdef group task_group(fit_task* task, Py_ssize_t number) noexcept nogil:
    """Group of the whole network: layer after layer."""
    cdef group it
    cdef int i = 0
    if task.groups != NULL:
        return task.groups[number]
    while i < task.n_layers - 1 and number >= task.layers[i].n_groups:
        number -= task.layers[i].n_groups
        i += 1
    it = group_at(&task.layers[i], number)
    it.number = i
    return it


cdef inline Py_ssize_t mixed_with(fit_task* task, buffers* at, Py_ssize_t position) noexcept nogil:
    """Row that the one at `position` of the batch is mixed with."""
    position = at.start + (position + task.mix_shift[at.due]) % at.m
    return position if task.order == NULL else task.order[position]


cdef inline uint64_t key_of(fit_task* task, buffers* at, int what, Py_ssize_t place) noexcept nogil:
    return place_key(task.seed, <uint64_t> (task.step + at.due), what, <uint64_t> place >> 32)


cdef void change_input(fit_task* task, buffers* at, Py_ssize_t first, Py_ssize_t m, const real* like) noexcept nogil:
    """Puts mixed, noisy, dropped-out copies in the place of rows [first, first + m) of the block."""
    cdef Py_ssize_t n_in = task.layers[0].n_in, i, place
    cdef real* copies = <real*> at.base + at.capacity * task.input + first * n_in
    cdef const real* x = <const real*> task.x
    cdef const real* row
    for i in range(m):
        row = <const real*> at.rows[first + i]
        if task.mix_share != NULL:
            mix(<real> task.mix_share[at.due], row,
                x + mixed_with(task, at, at.origin + first + i) * task.ldx, copies + i * n_in, n_in)
        else:
            memcpy(copies + i * n_in, row, n_in * sizeof(real))
        at.rows[first + i] = copies + i * n_in
    place = (at.origin + first) * n_in
    if task.noise > 0.0:
        add_noise(<real> task.noise, key_of(task, at, KEY_NOISE, place), <unsigned int> place, copies, m * n_in)
    if task.input_drop_rate > 0.0:
        drop(drop_threshold(task.input_drop_rate), <real> (1.0 / (1.0 - task.input_drop_rate)),
             key_of(task, at, KEY_INPUT_DROP, place), <unsigned int> place, copies, copies, m * n_in)


cdef void linear(fit_task* task, buffers* at, int i, Py_ssize_t first, Py_ssize_t m, const real* const* ahead,
                 const real* like) noexcept nogil:
    """Layer i's products of rows [first, first + m), to where its next stage reads them; the last layer's to its d."""
    cdef layer* shape = &task.layers[i]
    cdef Py_ssize_t place = shape.z
    if i == task.n_layers - 1:
        place = shape.d
    elif shape.normalize == NORMALIZE_BEFORE:
        place = shape.s
    cdef real* z = <real*> at.base + at.capacity * place + first * shape.width
    if i:
        forward_rows(shape, <const real*> task.w,
                     <const real* const*> at.pointers + 2 * (i - 1) * at.capacity + first, m, z, NULL)
    elif task.sparse.data != NULL:
        forward_sparse(shape, <const real*> task.w, &task.sparse, at.rows + first, m, z)
    else:
        forward_rows(shape, <const real*> task.w, <const real* const*> at.rows + first, m, z, ahead)


cdef void drop_rows(fit_task* task, buffers* at, int i, Py_ssize_t first, Py_ssize_t m, const real* x,
                    real* out) noexcept nogil:
    """Dropout of layer i's outputs, or of their gradients, which lose the same places."""
    cdef layer* shape = &task.layers[i]
    cdef Py_ssize_t place = (at.origin + first) * shape.width
    drop(drop_threshold(shape.drop_rate), <real> (1.0 / (1.0 - shape.drop_rate)),
         key_of(task, at, KEY_LAYERS + i, place), <unsigned int> place, x, out, m * shape.width)


cdef void activate_rows(fit_task* task, buffers* at, int i, Py_ssize_t first, Py_ssize_t m,
                        const real* like) noexcept nogil:
    cdef layer* shape = &task.layers[i]
    cdef real* base = <real*> at.base + first * shape.width
    if shape.activation or shape.a != shape.z:
        activate(shape.activation, <real> shape.activation_parameter, <const real*> base + at.capacity * shape.z,
                 base + at.capacity * shape.a, m * shape.width)


cdef void fold_normalization(fit_task* task, const real* like) noexcept nogil:
    """What prediction does in place of a batch's statistics: shift and gain by the moving ones."""
    cdef Py_ssize_t i, c
    cdef layer* shape
    cdef double* mean
    cdef double* variance
    cdef real* affine
    for i in range(task.n_layers - 1):
        shape = &task.layers[i]
        if not shape.normalize:
            continue
        mean = <double*> task.moving_mean + shape.statistics
        variance = <double*> task.moving_variance + shape.statistics
        affine = <real*> task.affine + 2 * shape.statistics
        for c in range(shape.width):
            affine[c] = <real> mean[c]
            affine[shape.width + c] = <real> (1.0 / (variance[c] + task.statistics_epsilon) ** 0.5)


cdef void predict_normalization(fit_task* task, buffers* at, int i, Py_ssize_t first, Py_ssize_t m, Py_ssize_t source,
                                Py_ssize_t target, const real* like) noexcept nogil:
    cdef layer* shape = &task.layers[i]
    cdef real* base = <real*> at.base + first * shape.width
    cdef const real* affine = <const real*> task.affine + 2 * shape.statistics
    cdef const real* gain = <const real*> task.w + shape.offset + (shape.n_in + 1) * shape.width
    normalize_rows(<const real*> base + at.capacity * source, m, shape.width, affine, affine + shape.width, gain,
                   gain + shape.width, base + at.capacity * shape.s, base + at.capacity * target)


cdef void forward(fit_task* task, buffers* at, Py_ssize_t first, Py_ssize_t m, const real* const* ahead,
                  const real* like) noexcept nogil:
    """Takes rows [first, first + m) of the block through every layer; the last one's raw outputs go to its d.

    Normalized layers are shifted and scaled by what :func:`fold_normalization` prepared.
    """
    cdef layer* shape
    cdef real* base
    cdef int i
    for i in range(task.n_layers - 1):
        shape = &task.layers[i]
        if i or not at.first_done:
            linear(task, at, i, first, m, ahead, like)
        if shape.normalize == NORMALIZE_BEFORE:
            predict_normalization(task, at, i, first, m, shape.s, shape.z, like)
        activate_rows(task, at, i, first, m, like)
        if shape.normalize == NORMALIZE_AFTER:
            predict_normalization(task, at, i, first, m, shape.a, shape.o, like)
        if shape.drop_rate > 0.0:
            base = <real*> at.base + first * shape.width
            if task.training:
                drop_rows(task, at, i, first, m, <const real*> base + at.capacity * shape.a,
                          base + at.capacity * shape.o)
            elif shape.normalize != NORMALIZE_AFTER:
                memcpy(base + at.capacity * shape.o, base + at.capacity * shape.a, m * shape.width * sizeof(real))
    linear(task, at, task.n_layers - 1, first, m, ahead, like)


cdef void input_gradient(fit_task* task, buffers* at, int i, Py_ssize_t first, Py_ssize_t m,
                         const real* like) noexcept nogil:
    """Gradient of what layer i reads, from its own, into the d of the layer below; dropout's zeros included."""
    cdef layer* below = &task.layers[i - 1]
    cdef real* d = <real*> at.base + at.capacity * below.d + first * below.width
    backward_rows(&task.layers[i], <const real*> task.transposed,
                  <const real* const*> at.pointers + (2 * i + 1) * at.capacity + first, m, d)
    if below.drop_rate > 0.0 and task.training:
        drop_rows(task, at, i - 1, first, m, <const real*> d, d)


cdef void activate_rows_backward(fit_task* task, buffers* at, int i, Py_ssize_t first, Py_ssize_t m,
                                 const real* like) noexcept nogil:
    cdef layer* shape = &task.layers[i]
    cdef real* base = <real*> at.base + first * shape.width
    if shape.activation:
        activate_backward(shape.activation, <real> shape.activation_parameter,
                          <const real*> base + at.capacity * shape.z, <const real*> base + at.capacity * shape.a,
                          base + at.capacity * shape.d, m * shape.width)


cdef void backward(fit_task* task, buffers* at, Py_ssize_t first, Py_ssize_t m, const real* like) noexcept nogil:
    """Gradients of every hidden layer's products, from the last layer's d downwards; without normalization."""
    cdef int i
    for i in range(task.n_layers - 1, 0, -1):
        input_gradient(task, at, i, first, m, like)
        activate_rows_backward(task, at, i - 1, first, m, like)


cdef inline bint goes_by_units(const layer* shape, const layer* below, const group* it, Py_ssize_t m,
                               const real* like) noexcept nogil:
    """Whether vectors along the units that a group's weights come from do less than those along its outputs, of which a
    fifth or more would be padding."""
    cdef Py_ssize_t vector = lanes(like), padded = (it.last - it.first + vector - 1) // vector * vector
    return (
        vector <= shape.n_out and 5 * shape.n_out <= 4 * shape.width and shape.width <= shape.panel
        and m >= ROWS_TO_TURN and it.last <= shape.n_in and 5 * (it.last - it.first) >= 4 * padded
        and it.first + padded <= below.width and padded * shape.n_out <= TURNED)


cdef void gradient_by_units(const layer* shape, const layer* below, const group* it, const real* const* d_rows,
                            Py_ssize_t m, const real* outputs, real* g_out) noexcept nogil:
    """A group's gradient, each element summed as otherwise, as panels (outputs, units) that are then turned."""
    cdef real[TURNED] turned
    cdef Py_ssize_t n = it.last - it.first, vector = lanes(outputs), padded = (n + vector - 1) // vector * vector
    cdef Py_ssize_t panel = panel_width(outputs), first = 0, columns
    memset(g_out, 0, it.size * sizeof(real))
    while first < padded:
        columns = min(panel, padded - first)
        columns_panel(d_rows, m, 0, shape.n_out, outputs + it.first + first, below.width, columns, False, turned)
        transpose(<const real*> turned, columns, shape.n_out, min(columns, n - first), g_out + first * shape.width,
                  shape.width)
        first += columns


cdef void gradient_of(fit_task* task, buffers* at, const group* it, Py_ssize_t m, bint accumulate, bint resume,
                      real* g_io, const real* const* ahead) noexcept nogil:
    """Gradient of one group over the block's m rows; `resume` when the group before it has just been done."""
    cdef layer* shape = &task.layers[it.number]
    cdef const layer* below
    cdef const real* const* rows = <const real* const*> at.rows
    cdef const real* d = <const real*> at.base + at.capacity * shape.d
    if it.number:
        below = &task.layers[it.number - 1]
        rows = <const real* const*> at.pointers + 2 * (it.number - 1) * at.capacity
        ahead = NULL
        if not accumulate and goes_by_units(shape, below, it, m, d):
            gradient_by_units(shape, below, it, <const real* const*> at.pointers + (2 * it.number + 1) * at.capacity, m,
                              <const real*> at.base + at.capacity * below.o, g_io)
            return
    elif task.sparse.data != NULL and it.first < shape.n_in:
        group_gradient_sparse(shape, it, &task.sparse, at.rows, m, d, accumulate, g_io, resume and it.first > 0,
                              at.cursors)
        return
    group_gradient(shape, it, rows, m, d, accumulate, g_io, ahead)


cdef void gather(fit_task* task, buffers* at, Py_ssize_t first, Py_ssize_t m, real* gathered) noexcept nogil:
    """y, and then weights, of batch rows [first, first + m); mixed when the step mixes, class codes as shares."""
    cdef const real* y = <const real*> task.y
    cdef const real* weight = <const real*> task.weight
    cdef Py_ssize_t width = task.gathered_width, y_width = task.y_width, i, c, row, other
    cdef bint mixes = task.training and task.mix_share != NULL
    cdef real* gathered_weight = gathered + m * width
    cdef real* out
    cdef real a = 1, b = 0
    if mixes:
        a = <real> task.mix_share[at.due]
        b = 1 - a
    if y_width == 1 and weight == NULL and task.order != NULL and not mixes:
        for i in range(m):
            gathered[i] = y[task.order[at.start + first + i]]
        return
    for i in range(m):
        row = at.start + first + i
        if task.order != NULL:
            row = task.order[row]
        out = gathered + i * width
        if not mixes:
            for c in range(y_width):
                out[c] = y[row * y_width + c]
            if weight != NULL:
                gathered_weight[i] = weight[row]
            continue
        other = mixed_with(task, at, first + i)
        if width != y_width:
            memset(out, 0, width * sizeof(real))
            out[<Py_ssize_t> y[row]] = a
            out[<Py_ssize_t> y[other]] += b
        else:
            for c in range(y_width):
                out[c] = a * y[row * y_width + c] + b * y[other * y_width + c]
        if weight != NULL:
            gathered_weight[i] = a * weight[row] + b * weight[other]


cdef void loss_rows(fit_task* task, buffers* at, Py_ssize_t first, Py_ssize_t m, real* gathered, real* d_io,
                    double* sum_out, double* weight_out) noexcept nogil:
    """Loss and loss gradient of batch rows [first, first + m): d holds the predictions and receives the gradient."""
    cdef const real* y = <const real*> task.y
    cdef const real* weight = <const real*> task.weight
    cdef layer* shape = output(task)
    cdef Py_ssize_t width = shape.width, k = shape.n_out, i, c, position
    cdef Py_ssize_t y_width = task.y_width
    cdef real* z = d_io
    cdef real* a = d_io
    cdef double total
    cdef real scale
    if task.outputs != NULL and task.training:
        for i in range(m):
            memcpy(<real*> task.outputs + (at.start + first + i) * k, d_io + i * width, k * sizeof(real))
    if task.caller != NULL:
        weight_out[0] = <double> m
        sum_out[0] = task.caller(task.owner, at.start + first, m, width, d_io)
        return
    if shape.activation:
        z = d_io + at.capacity * (shape.z - shape.d)
        a = d_io + at.capacity * (shape.a - shape.d)
        memcpy(z, d_io, m * width * sizeof(real))
        activate(shape.activation, <real> shape.activation_parameter, z, a, m * width)
    if task.order != NULL or (task.training and task.mix_share != NULL):
        gather(task, at, first, m, gathered)
        y = gathered
        y_width = task.gathered_width
        if weight != NULL:
            weight = gathered + m * y_width
    else:
        y += (at.start + first) * y_width
        if weight != NULL:
            weight += at.start + first
    weight_out[0] = <double> m if weight == NULL else sum(weight, m)
    if task.loss == FT_LOSS_softmax_crossentropy:
        sum_out[0] = softmax_loss(y, y_width, a, width, weight, m, k, True, d_io, width)
    elif width == 1:
        sum_out[0] = loss_span(task.loss, <real> task.loss_parameter, y, a, weight, m, True, d_io)
    elif weight == NULL and width == k:
        sum_out[0] = loss_span(task.loss, <real> task.loss_parameter, y, a, <const real*> NULL, m * k, True, d_io)
    else:
        total = 0.0
        for i in range(m):
            position = i * width
            scale = weight[i] if weight != NULL else 1
            total = total + scale * loss_span(
                task.loss, <real> task.loss_parameter, y + i * k, a + position, <const real*> NULL, k, True,
                d_io + position)
            for c in range(k):
                d_io[position + c] *= scale
        sum_out[0] = total
    if shape.activation:
        activate_backward(shape.activation, <real> shape.activation_parameter, z, a, d_io, m * width)
