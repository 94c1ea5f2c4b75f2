"""Batch normalization in a training step: the layers one after the other, all threads together at each statistic.

Over the m rows of a batch, for each column (Ioffe and Szegedy, Batch Normalization, 2015):

    s = (x - mean) / sqrt(variance + epsilon),   out = gain s + shift
    dx = gain / sqrt(variance + epsilon) (d - mean of d - s mean of (d s))

Sums are taken over blocks of LOSS_ROWS rows, each by one thread, and every thread adds up the blocks in their order:
the bytes do not depend on the number of threads. The variance is that of the batch, with divisor m, and the moving
statistics follow ``moving = momentum moving + (1 - momentum) batch``.
"""

from libc.math cimport sqrt
from libc.string cimport memset

from fasttrain._kernels.layers cimport NORMALIZE_AFTER, NORMALIZE_BEFORE, layer
from fasttrain._kernels.passes cimport (
    LOSS_ROWS, activate_rows, activate_rows_backward, drop_rows, input_gradient, linear, loss_block, loss_rows, output,
)
from fasttrain._kernels.primitives cimport deviation_sums, normalize_backward, normalize_rows, product_sums
from fasttrain._kernels.threads cimport ft_barrier_wait

cdef enum:
    # columns of workspace for each statistic of a thread: mean, inverse deviation, factor, mean of d, mean of d s as
    # real numbers, then the sums of d and of d s
    N_REAL = 5
    N_STATISTICS = 7


cdef inline double* own_sums(fit_task* task, int thread, const layer* shape) noexcept nogil:
    """Sums of d, and of d s, over the whole batch, as this thread has added them up."""
    return task.statistics + (thread * N_STATISTICS + N_REAL) * task.n_statistics + 2 * shape.statistics


cdef inline real* own_columns(fit_task* task, int thread, const layer* shape, int which,
                              const real* like) noexcept nogil:
    # a double's room for each, whatever the real type
    return <real*> (task.statistics + (thread * N_STATISTICS + which) * task.n_statistics + shape.statistics)


cdef inline double* block_sums(fit_task* task, const layer* shape, bint is_backward, Py_ssize_t block) noexcept nogil:
    """Two sums for each column of a layer over one block of the batch; those of a layer's blocks lie together."""
    cdef Py_ssize_t blocks = task.n_loss_sums
    return task.column_sums + 2 * (is_backward * task.n_statistics * blocks + shape.statistics * blocks
                                   + block * shape.width)


cdef void add_blocks(fit_task* task, const layer* shape, bint is_backward, Py_ssize_t m, double* out) noexcept nogil:
    cdef Py_ssize_t block, c, width = 2 * shape.width
    cdef const double* sums
    memset(out, 0, width * sizeof(double))
    for block in range((m + LOSS_ROWS - 1) // LOSS_ROWS):
        sums = block_sums(task, shape, is_backward, block)
        for c in range(width):
            out[c] += sums[c]


cdef void normalize(fit_task* task, buffers* at, int thread, int n_threads, int i, Py_ssize_t source, Py_ssize_t target,
                    Py_ssize_t first, Py_ssize_t last, const real* like) noexcept nogil:
    """Own rows of layer i from `source` to `target` by the statistics of the whole batch."""
    cdef layer* shape = &task.layers[i]
    cdef Py_ssize_t width = shape.width, c, row, count
    cdef real* base = <real*> at.base
    cdef const real* x = base + at.capacity * source
    cdef double* moving_mean = <double*> task.moving_mean + shape.statistics
    cdef double* moving_variance = <double*> task.moving_variance + shape.statistics
    cdef double* sums
    cdef double* totals = own_sums(task, thread, shape)
    cdef real* mean = own_columns(task, thread, shape, 0, like)
    cdef real* inverse = own_columns(task, thread, shape, 1, like)
    cdef const real* gain = <const real*> task.w + shape.offset + (shape.n_in + 1) * width
    cdef double deviation, variance, momentum = task.statistics_momentum
    row = first
    while row < last:
        count = min(<Py_ssize_t> LOSS_ROWS, last - row)
        sums = block_sums(task, shape, False, row // LOSS_ROWS)
        memset(sums, 0, 2 * width * sizeof(double))
        # deviations from the moving mean: what is left to cancel is small once it has settled
        deviation_sums(x + row * width, width, count, width, moving_mean, sums, sums + width)
        row += count
    ft_barrier_wait(&task.barrier, n_threads)
    add_blocks(task, shape, False, at.m, totals)
    for c in range(width):
        deviation = totals[c] / at.m
        variance = totals[width + c] / at.m - deviation * deviation
        variance = variance if variance > 0.0 else 0.0
        mean[c] = <real> (moving_mean[c] + deviation)
        inverse[c] = <real> (1.0 / sqrt(variance + task.statistics_epsilon))
    ft_barrier_wait(&task.barrier, n_threads)
    if thread == 0:
        for c in range(width):
            deviation = totals[c] / at.m
            variance = totals[width + c] / at.m - deviation * deviation
            variance = variance if variance > 0.0 else 0.0
            # numbers of the parameters' kind, so that one who reads and writes them back changes nothing
            moving_mean[c] = <real> (moving_mean[c] + (1.0 - momentum) * deviation)
            moving_variance[c] = <real> (moving_variance[c] + (1.0 - momentum) * (variance - moving_variance[c]))
    if first < last:
        normalize_rows(x + first * width, last - first, width, mean, inverse, gain, gain + width,
                       base + at.capacity * shape.s + first * width, base + at.capacity * target + first * width)


cdef void unnormalize(fit_task* task, buffers* at, int thread, int n_threads, int i, Py_ssize_t first, Py_ssize_t last,
                      const real* like) noexcept nogil:
    """The d of own rows of layer i from that of its normalized values to that of what was normalized."""
    cdef layer* shape = &task.layers[i]
    cdef Py_ssize_t width = shape.width, c, row, count
    cdef real* base = <real*> at.base
    cdef real* d = base + at.capacity * shape.d
    cdef const real* s = base + at.capacity * shape.s
    cdef double* sums
    cdef double* totals = own_sums(task, thread, shape)
    cdef const real* inverse = own_columns(task, thread, shape, 1, like)
    cdef real* factor = own_columns(task, thread, shape, 2, like)
    cdef real* mean_d = own_columns(task, thread, shape, 3, like)
    cdef real* mean_ds = own_columns(task, thread, shape, 4, like)
    cdef const real* gain = <const real*> task.w + shape.offset + (shape.n_in + 1) * width
    row = first
    while row < last:
        count = min(<Py_ssize_t> LOSS_ROWS, last - row)
        sums = block_sums(task, shape, True, row // LOSS_ROWS)
        memset(sums, 0, 2 * width * sizeof(double))
        product_sums(<const real*> d + row * width, s + row * width, count, width, sums, sums + width)
        row += count
    ft_barrier_wait(&task.barrier, n_threads)
    add_blocks(task, shape, True, at.m, totals)
    for c in range(width):
        factor[c] = gain[c] * inverse[c]
        mean_d[c] = <real> (totals[c] / at.m)
        mean_ds[c] = <real> (totals[width + c] / at.m)
    if first < last:
        normalize_backward(s + first * width, last - first, width, factor, mean_d, mean_ds, d + first * width)


cdef void normalized_pass(fit_task* task, buffers* at, int thread, int n_threads, Py_ssize_t first, Py_ssize_t last,
                          real* gathered, const real* like) noexcept nogil:
    """Forward, loss and backward of a thread's rows [first, last) of a batch; called by every thread."""
    cdef Py_ssize_t m = last - first, position, b, block = loss_block(task)
    cdef layer* shape
    cdef real* base = <real*> at.base
    cdef real* own
    cdef real* d
    cdef double* loss_sums = task.sums
    cdef double* weight_sums = loss_sums + task.n_loss_sums
    cdef int i
    for i in range(task.n_layers - 1):
        shape = &task.layers[i]
        linear(task, at, i, first, m, NULL, like)
        if shape.normalize == NORMALIZE_BEFORE:
            normalize(task, at, thread, n_threads, i, shape.s, shape.z, first, last, like)
        activate_rows(task, at, i, first, m, like)
        if shape.normalize == NORMALIZE_AFTER:
            normalize(task, at, thread, n_threads, i, shape.a, shape.o, first, last, like)
        if shape.drop_rate > 0.0:
            own = base + first * shape.width
            drop_rows(task, at, i, first, m,
                      <const real*> own + at.capacity * (shape.o if shape.normalize == NORMALIZE_AFTER else shape.a),
                      own + at.capacity * shape.o)
    linear(task, at, task.n_layers - 1, first, m, NULL, like)
    d = base + at.capacity * output(task).d
    for b in range(first // block, (last + block - 1) // block):
        position = b * block
        loss_rows(task, at, position, min(block, last - position), gathered,
                  d + position * output(task).width, &loss_sums[b], &weight_sums[b])
    for i in range(task.n_layers - 1, 0, -1):
        shape = &task.layers[i - 1]
        input_gradient(task, at, i, first, m, like)
        if shape.normalize == NORMALIZE_AFTER:
            unnormalize(task, at, thread, n_threads, i - 1, first, last, like)
        activate_rows_backward(task, at, i - 1, first, m, like)
        if shape.normalize == NORMALIZE_BEFORE:
            unnormalize(task, at, thread, n_threads, i - 1, first, last, like)


cdef void normalization_gradient(fit_task* task, int thread, const group* it, real* g_out) noexcept nogil:
    """Gradient of a layer's gains or shifts, from the sums of the pass."""
    cdef layer* shape = &task.layers[it.number]
    cdef double* totals = own_sums(task, thread, shape)
    cdef Py_ssize_t c
    if it.first == shape.n_in + 1:
        totals += shape.width
    for c in range(shape.width):
        g_out[c] = <real> totals[c]
