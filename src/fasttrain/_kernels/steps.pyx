"""The dense engine: forward, loss gradient, weight gradient and fused update.

A step on a small batch has two phases with a barrier after each. In the first, threads split the batch's rows:
predictions, loss, loss gradient. In the second they split the weights: each takes the gradient of a group of weights,
summed over the batch in row order, and applies the update to that group while it is in cache. A large batch is cut into
chunks of rows that do not depend on the threads; each chunk goes through the cache in blocks and adds to a gradient of
its own, and the chunks are combined in order before the update. Either way the parameters are the same bytes for any
number of threads.
"""

from cython.parallel cimport parallel, threadid
from libc.math cimport isfinite, sqrt
from libc.string cimport memcpy, memset

from fasttrain._kernels.layers cimport (
    GROUP, backward_rows, forward_rows, group, group_at, group_gradient, layer, transpose_group,
)
from fasttrain._kernels.penalties cimport penalty_value
from fasttrain._kernels.primitives cimport (
    FT_LOSS_softmax_crossentropy, FT_UPDATE_adam, FT_UPDATE_nadam, activate, activate_backward, axpy, ft_update,
    loss_span, penalty_gradient, softmax_loss, sum, sum_squares, update_span,
)
from fasttrain._kernels.threads cimport ft_barrier_init, ft_barrier_wait, ft_team_size
from fasttrain._kernels.types cimport STATUS_NOT_FINITE, real
from fasttrain._kernels.updates cimport adam_moments, nadam_moments, velocity_rate

cdef extern from "clock.h" nogil:
    double ft_seconds() noexcept
    Py_ssize_t ft_fetch_add(Py_ssize_t* counter) noexcept

cdef enum:
    BLOCK_BYTES = 16384         # rows of a block together: stays in L1 between its two passes
    DEEP_BLOCK_BYTES = 196608   # the same with hidden layers: rows and outputs stay in L2
    PARTIAL_LIMIT = 1 << 23     # elements of all chunk gradients together


cdef struct buffers:
    # where one thread (or, in a small batch, all together) keeps the rows of a block
    void* base
    Py_ssize_t capacity         # rows
    const void** rows           # of the data
    const void** pointers       # of the layers' outputs and gradients, capacity each


cdef inline layer* output(fit_task* task) noexcept nogil:
    return &task.layers[task.n_layers - 1]


cdef void buffers_of(fit_task* task, int thread, buffers* at) noexcept nogil:
    cdef Py_ssize_t size = 8 if task.is_double else 4
    at.capacity = task.capacity
    at.base = <char*> task.values + thread * task.capacity * task.row_size * size
    at.rows = task.rows + thread * 3 * task.capacity
    at.pointers = task.pointers + thread * 2 * task.n_layers * task.capacity


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
                at.pointers[2 * number * at.capacity + i] = <real*> at.base + at.capacity * shape.a + i * shape.width
                at.pointers[(2 * number + 1) * at.capacity + i] = (
                    <real*> at.base + at.capacity * shape.d + i * shape.width)


cdef void refresh_transposes(fit_task* task, const real* like) noexcept nogil:
    """W^T of every layer above the first, from the parameters."""
    cdef Py_ssize_t number
    cdef group it
    for number in range(task.n_groups):
        it = task_group(task, number)
        if task.layers[it.number].back_width:
            transpose_group(&task.layers[it.number], &it, <const real*> task.w, <real*> task.transposed)


cdef group task_group(fit_task* task, Py_ssize_t number) noexcept nogil:
    """Group of the whole network: layer after layer."""
    cdef group it
    cdef int i = 0
    while i < task.n_layers - 1 and number >= task.layers[i].n_groups:
        number -= task.layers[i].n_groups
        i += 1
    it = group_at(&task.layers[i], number)
    it.number = i
    return it


cdef void forward(fit_task* task, buffers* at, Py_ssize_t first, Py_ssize_t m, const real* const* ahead) noexcept nogil:
    """Takes rows [first, first + m) of the block through every layer; the last one's raw outputs go to its d."""
    cdef const real* const* rows = <const real* const*> at.rows + first
    cdef real* base = <real*> at.base
    cdef layer* shape
    cdef Py_ssize_t begin
    cdef int i
    for i in range(task.n_layers - 1):
        shape = &task.layers[i]
        begin = first * shape.width
        forward_rows(shape, <const real*> task.w, rows, m, base + at.capacity * shape.z + begin,
                     ahead if i == 0 else <const real* const*> NULL)
        if shape.activation:
            activate(shape.activation, <real> shape.activation_parameter,
                     <const real*> base + at.capacity * shape.z + begin, base + at.capacity * shape.a + begin,
                     m * shape.width)
        rows = <const real* const*> at.pointers + 2 * i * at.capacity + first
    shape = output(task)
    forward_rows(shape, <const real*> task.w, rows, m, base + at.capacity * shape.d + first * shape.width,
                 ahead if task.n_layers == 1 else <const real* const*> NULL)


cdef void backward(fit_task* task, buffers* at, Py_ssize_t first, Py_ssize_t m, const real* like) noexcept nogil:
    """Gradients of every hidden layer's outputs before its activation, from the last layer's d downwards."""
    cdef real* base = <real*> at.base
    cdef layer* below
    cdef real* d
    cdef Py_ssize_t begin
    cdef int i
    for i in range(task.n_layers - 1, 0, -1):
        below = &task.layers[i - 1]
        begin = first * below.width
        d = base + at.capacity * below.d + begin
        backward_rows(&task.layers[i], <const real*> task.transposed,
                      <const real* const*> at.pointers + (2 * i + 1) * at.capacity + first, m, d)
        if below.activation:
            activate_backward(below.activation, <real> below.activation_parameter,
                              <const real*> base + at.capacity * below.z + begin,
                              <const real*> base + at.capacity * below.a + begin, d, m * below.width)


cdef inline void gradient_of(fit_task* task, buffers* at, const group* it, Py_ssize_t m, bint accumulate, real* g_io,
                             const real* const* ahead) noexcept nogil:
    """Gradient of one group over the block's m rows."""
    cdef layer* shape = &task.layers[it.number]
    cdef const real* const* rows = <const real* const*> at.rows
    if it.number:
        rows = <const real* const*> at.pointers + 2 * (it.number - 1) * at.capacity
        ahead = NULL
    group_gradient(shape, it, rows, m, <const real*> at.base + at.capacity * shape.d, accumulate, g_io, ahead)


cdef void loss_rows(fit_task* task, const Py_ssize_t start, Py_ssize_t m, real* gathered, real* d_io, double* sum_out,
                    double* weight_out) noexcept nogil:
    """Loss and loss gradient of batch rows [start, start + m): d holds the predictions and receives the gradient."""
    cdef const real* y = <const real*> task.y
    cdef const real* weight = <const real*> task.weight
    cdef Py_ssize_t width = output(task).width, k = output(task).n_out, i, c, row, position
    cdef Py_ssize_t y_width = task.y_width
    cdef real* gathered_weight = gathered + m * y_width
    cdef double total
    cdef real scale
    if task.order != NULL:
        for i in range(m):
            row = task.order[start + i]
            for c in range(y_width):
                gathered[i * y_width + c] = y[row * y_width + c]
            if weight != NULL:
                gathered_weight[i] = weight[row]
        y = gathered
        if weight != NULL:
            weight = gathered_weight
    else:
        y += start * y_width
        if weight != NULL:
            weight += start
    weight_out[0] = <double> m if weight == NULL else sum(weight, m)
    if task.loss == FT_LOSS_softmax_crossentropy:
        sum_out[0] = softmax_loss(y, y_width, d_io, width, weight, m, k, True, d_io, width)
    elif width == 1:
        sum_out[0] = loss_span(task.loss, <real> task.loss_parameter, y, d_io, weight, m, True, d_io)
    elif weight == NULL and width == k:
        sum_out[0] = loss_span(task.loss, <real> task.loss_parameter, y, d_io, <const real*> NULL, m * k, True, d_io)
    else:
        total = 0.0
        for i in range(m):
            position = i * width
            scale = weight[i] if weight != NULL else 1
            total = total + scale * loss_span(
                task.loss, <real> task.loss_parameter, y + i * k, d_io + position, <const real*> NULL, k, True,
                d_io + position)
            for c in range(k):
                d_io[position + c] *= scale
        sum_out[0] = total


cdef inline void point_rows(fit_task* task, Py_ssize_t start, Py_ssize_t m, const real** rows_out) noexcept nogil:
    cdef const real* x = <const real*> task.x
    cdef Py_ssize_t i
    if task.order == NULL:
        for i in range(m):
            rows_out[i] = x + (start + i) * task.ldx
    else:
        for i in range(m):
            rows_out[i] = x + task.order[start + i] * task.ldx


cdef void prepare_update(fit_task* task, Py_ssize_t due, ft_update* h, double* carried, double scale,
                         double mean_factor) noexcept nogil:
    """Settings of the step for batch `due`: its rate, bias corrections and gradient scale."""
    cdef double rate = task.rates[due]
    cdef double t = task.step + due + 1.0
    h[0] = task.settings
    h.learning_rate = rate
    h.gradient_scale = scale
    if task.penalty_over_batch:
        h.l1 *= mean_factor
        h.l2 *= mean_factor
    h.keep = 1.0 - rate * task.weight_decay
    if task.rule == FT_UPDATE_adam:
        adam_moments(h, rate, h.beta1, h.beta2, t, task.corrected_root)
    elif task.rule == FT_UPDATE_nadam:
        nadam_moments(h, rate, h.beta1, h.beta2, t, task.momentum_decay, carried)
    else:
        velocity_rate(h, task.rule, rate, h.momentum, carried)


cdef void apply_update(fit_task* task, const ft_update* h, const group* it, const real* g) noexcept nogil:
    cdef ft_update bias
    cdef const ft_update* use = h
    cdef real* w = <real*> task.w + it.offset
    cdef real* s1 = <real*> task.s1
    cdef real* s2 = <real*> task.s2
    cdef real* s3 = <real*> task.s3
    cdef const layer* shape = &task.layers[it.number]
    if it.first == shape.n_in:
        if not shape.has_bias:
            return
        # biases are neither penalized nor decayed
        bias = h[0]
        bias.l1 = 0.0
        bias.l2 = 0.0
        bias.keep = 1.0
        use = &bias
    update_span(
        task.rule, use, w, g, s1 + it.offset if s1 != NULL else NULL, s2 + it.offset if s2 != NULL else NULL,
        s3 + it.offset if s3 != NULL else NULL, it.size)
    if shape.back_width:
        transpose_group(shape, it, <const real*> task.w, <real*> task.transposed)


cdef inline double group_penalty(fit_task* task, const group* it, const real* like) noexcept nogil:
    if it.first == task.layers[it.number].n_in or (task.settings.l1 == 0.0 and task.settings.l2 == 0.0):
        return 0.0
    return penalty_value(<const real*> task.w + it.offset, it.size, task.settings.l1, task.settings.l2)


cdef inline double trained_norm(fit_task* task, const group* it, const real* g) noexcept nogil:
    """Sum of squares of a group's gradient; an intercept that is not trained does not count."""
    cdef const layer* shape = &task.layers[it.number]
    if it.first == shape.n_in and not shape.has_bias:
        return 0.0
    return sum_squares(g + it.offset, it.size)


cdef inline Py_ssize_t share(Py_ssize_t n, int part, int parts) noexcept nogil:
    return n * part // parts


cdef void small_batches(fit_task* task, int thread, int n_threads, const real* like) noexcept nogil:
    """Runs batches of at most SMALL_BATCH rows until the run ends or its time is over; called by every thread."""
    cdef Py_ssize_t n_groups = task.n_groups, start, m, first, last, position, b, n_sums, number
    cdef Py_ssize_t group_first = share(n_groups, thread, n_threads)
    cdef Py_ssize_t group_last = share(n_groups, thread + 1, n_threads)
    cdef Py_ssize_t due = task.next_batch, n_batches = task.n_batches
    cdef layer* last_layer = output(task)
    cdef buffers at
    cdef real* d
    cdef double* loss_sums = task.sums
    cdef double* weight_sums = loss_sums + SMALL_BATCH // LOSS_ROWS
    cdef double* penalty_sums = weight_sums + SMALL_BATCH // LOSS_ROWS
    cdef double* norm_sums = penalty_sums + n_groups
    cdef real* gathered = <real*> task.gathered + thread * LOSS_ROWS * (task.y_width + 1)
    cdef real* whole_gradient = <real*> task.partial
    cdef real* scratch = whole_gradient + thread * GROUP
    cdef bint clips_norm = isfinite(task.clip_norm), stop = False
    cdef double total, weight, norm, carried = task.carried, scale, mean_factor
    cdef group it
    cdef ft_update h
    buffers_of(task, 0, &at)
    d = <real*> at.base + at.capacity * last_layer.d
    while due < n_batches and not stop:
        start = due * task.batch
        m = min(task.batch, task.n - start)
        n_sums = (m + LOSS_ROWS - 1) // LOSS_ROWS
        first = share(n_sums, thread, n_threads) * LOSS_ROWS
        last = min(m, share(n_sums, thread + 1, n_threads) * LOSS_ROWS)
        if first < last:
            point_rows(task, start + first, last - first, <const real**> at.rows + first)
            forward(task, &at, first, last - first, <const real* const*> NULL)
            for b in range(first // LOSS_ROWS, (last + LOSS_ROWS - 1) // LOSS_ROWS):
                position = b * LOSS_ROWS
                loss_rows(task, start + position, min(<Py_ssize_t> LOSS_ROWS, last - position), gathered,
                          d + position * last_layer.width, &loss_sums[b], &weight_sums[b])
            backward(task, &at, first, last - first, <const real*> d)
        for number in range(group_first, group_last):
            it = task_group(task, number)
            penalty_sums[number] = group_penalty(task, &it, like)
        if thread == 0:
            task.stop = ft_seconds() > task.deadline
        ft_barrier_wait(&task.barrier, n_threads)

        # between the barriers every thread reads the same sums, so all take the same turn
        stop = task.stop
        total = 0.0
        weight = 0.0
        for b in range(n_sums):
            total += loss_sums[b]
            weight += weight_sums[b]
        scale = 1.0 / weight if weight > 0.0 else 0.0
        mean_factor = scale
        total *= scale * task.value_scale
        for number in range(n_groups):
            total += penalty_sums[number] * (scale if task.penalty_over_batch else 1.0)
        if not isfinite(total):
            if thread == 0:
                task.status = STATUS_NOT_FINITE
            return
        if clips_norm:
            for number in range(group_first, group_last):
                it = task_group(task, number)
                gradient_of(task, &at, &it, m, False, whole_gradient + it.offset, <const real* const*> NULL)
                norm_sums[number] = trained_norm(task, &it, whole_gradient)
            ft_barrier_wait(&task.barrier, n_threads)
            norm = 0.0
            for number in range(n_groups):
                norm += norm_sums[number]
            norm = sqrt(norm) * scale
            if norm > task.clip_norm:
                scale *= task.clip_norm / norm
        prepare_update(task, due, &h, &carried, scale, mean_factor)
        for number in range(group_first, group_last):
            it = task_group(task, number)
            if clips_norm:
                apply_update(task, &h, &it, <const real*> whole_gradient + it.offset)
            else:
                gradient_of(task, &at, &it, m, False, scratch, <const real* const*> NULL)
                apply_update(task, &h, &it, <const real*> scratch)
        due += 1
        if thread == 0:
            task.loss_sum += total * m
            task.carried = carried
            task.next_batch = due
        ft_barrier_wait(&task.barrier, n_threads)


cdef Py_ssize_t block_rows(const fit_task* task, const real* like) noexcept nogil:
    """Rows of a block of a large batch: with one layer those that the first-level cache holds, else the second's."""
    cdef Py_ssize_t width = max(<Py_ssize_t> 1, task.layers[0].n_in + (task.row_size if task.n_layers > 1 else 0))
    cdef Py_ssize_t size = DEEP_BLOCK_BYTES if task.n_layers > 1 else BLOCK_BYTES
    cdef Py_ssize_t rows = size // (width * <Py_ssize_t> sizeof(real))
    return min(<Py_ssize_t> SMALL_BATCH, max(<Py_ssize_t> LOSS_ROWS, rows // LOSS_ROWS * LOSS_ROWS))


cdef void chunk_gradient(fit_task* task, Py_ssize_t chunk, int thread, const real* like) noexcept nogil:
    """Loss and gradient sums of one chunk of the batch, its rows taken through the cache in blocks."""
    cdef layer* last_layer = output(task)
    cdef Py_ssize_t start = task.next_batch * task.batch
    cdef Py_ssize_t m = min(task.batch, task.n - start)
    cdef Py_ssize_t first = start + m * chunk // task.n_chunks, last = start + m * (chunk + 1) // task.n_chunks
    cdef Py_ssize_t block = block_rows(task, like), n_groups = task.n_groups
    cdef Py_ssize_t position = first, number, count
    # this block's rows, the next one's, and those of the block after it, which are being fetched meanwhile
    cdef buffers at
    cdef const real** rows
    cdef const real** next_rows
    cdef const real** later_rows
    cdef const real** ahead
    cdef real* d
    cdef real* gathered = <real*> task.gathered + thread * SMALL_BATCH * (task.y_width + 1)
    cdef real* g = <real*> task.partial + chunk * task.n_parameters
    cdef double total = 0.0, weight = 0.0, block_sum, block_weight
    cdef group it
    cdef bint fresh = True
    buffers_of(task, thread, &at)
    d = <real*> at.base + at.capacity * last_layer.d
    rows = <const real**> at.rows
    next_rows = rows + at.capacity
    later_rows = next_rows + at.capacity
    point_rows(task, first, min(block, last - first), rows)
    if position + block < last:
        point_rows(task, position + block, min(block, last - position - block), next_rows)
    while position < last:
        count = min(block, last - position)
        ahead = NULL
        if position + 3 * block <= last:
            ahead = later_rows
            point_rows(task, position + 2 * block, block, later_rows)
        elif position + 2 * block < last:
            point_rows(task, position + 2 * block, last - position - 2 * block, later_rows)
        at.rows = <const void**> rows
        forward(task, &at, 0, count, <const real* const*> ahead)
        loss_rows(task, position, count, gathered, d, &block_sum, &block_weight)
        backward(task, &at, 0, count, <const real*> d)
        total += block_sum
        weight += block_weight
        for number in range(n_groups):
            it = task_group(task, number)
            gradient_of(task, &at, &it, count, not fresh, g + it.offset, <const real* const*> ahead)
        fresh = False
        position += count
        rows, next_rows, later_rows = next_rows, later_rows, rows
    if fresh:
        memset(g, 0, task.n_parameters * sizeof(real))
    task.sums[chunk] = total
    task.sums[MAX_CHUNKS + chunk] = weight


cdef void combine_chunks(fit_task* task, Py_ssize_t first, Py_ssize_t last, const real* like) noexcept nogil:
    """Adds the chunks' gradients for parameters [first, last) into the first chunk's, in the chunks' order."""
    cdef real* g = <real*> task.partial
    cdef Py_ssize_t chunk
    for chunk in range(1, task.n_chunks):
        axpy(<real> 1, <const real*> g + chunk * task.n_parameters + first, g + first, last - first)


cdef void sum_chunks(fit_task* task, int thread, const real* like) noexcept nogil:
    """Takes chunks, one at least, until none is left or the run's time is over; called by every thread."""
    cdef Py_ssize_t chunk
    while True:
        chunk = ft_fetch_add(&task.next_chunk)
        if chunk >= task.n_chunks:
            return
        chunk_gradient(task, chunk, thread, like)
        if ft_seconds() > task.deadline:
            return


cdef double mean_of_chunks(fit_task* task, double* scale_out) noexcept nogil:
    """Weighted mean of the batch's losses; scale_out receives 1 over the batch's weight."""
    cdef double total = 0.0, weight = 0.0
    cdef Py_ssize_t chunk
    for chunk in range(task.n_chunks):
        total += task.sums[chunk]
        weight += task.sums[MAX_CHUNKS + chunk]
    scale_out[0] = 1.0 / weight if weight > 0.0 else 0.0
    return total * scale_out[0] * task.value_scale


cdef void large_batches(fit_task* task, int thread, int n_threads, const real* like) noexcept nogil:
    """Runs batches of more than SMALL_BATCH rows until the run ends or its time is over; called by every thread."""
    cdef Py_ssize_t n_groups = task.n_groups, number
    cdef Py_ssize_t group_first = share(n_groups, thread, n_threads)
    cdef Py_ssize_t group_last = share(n_groups, thread + 1, n_threads)
    cdef Py_ssize_t due = task.next_batch, n_batches = task.n_batches
    cdef double* penalty_sums = task.sums + 2 * MAX_CHUNKS
    cdef double* norm_sums = penalty_sums + n_groups
    cdef double total, norm, scale, mean_factor, carried = task.carried
    cdef real* g = <real*> task.partial
    cdef group it
    cdef ft_update h
    while due < n_batches:
        sum_chunks(task, thread, like)
        ft_barrier_wait(&task.barrier, n_threads)
        if task.next_chunk < task.n_chunks:
            return
        for number in range(group_first, group_last):
            it = task_group(task, number)
            combine_chunks(task, it.offset, it.offset + it.size, like)
            penalty_sums[number] = group_penalty(task, &it, like)
            norm_sums[number] = trained_norm(task, &it, g)
        ft_barrier_wait(&task.barrier, n_threads)
        total = mean_of_chunks(task, &scale)
        mean_factor = scale
        norm = 0.0
        for number in range(n_groups):
            total += penalty_sums[number] * (scale if task.penalty_over_batch else 1.0)
            norm += norm_sums[number]
        if not isfinite(total):
            if thread == 0:
                task.status = STATUS_NOT_FINITE
            return
        norm = sqrt(norm) * scale
        if norm > task.clip_norm:
            scale *= task.clip_norm / norm
        prepare_update(task, due, &h, &carried, scale, mean_factor)
        for number in range(group_first, group_last):
            it = task_group(task, number)
            apply_update(task, &h, &it, <const real*> g + it.offset)
        if thread == 0:
            task.loss_sum += total * min(task.batch, task.n - due * task.batch)
            task.carried = carried
            task.next_batch = due + 1
            task.next_chunk = 0
        due += 1
        ft_barrier_wait(&task.barrier, n_threads)


cdef Py_ssize_t chunk_count(const fit_task* task, Py_ssize_t rows) noexcept nogil:
    """Chunks of a large batch: a matter of shapes only. Each has rows enough to be worth a gradient of its own."""
    cdef Py_ssize_t chunks = min(<Py_ssize_t> MAX_CHUNKS, rows // 256)
    return max(<Py_ssize_t> 1, min(chunks, PARTIAL_LIMIT // max(<Py_ssize_t> 1, task.n_parameters)))


cdef void fit_threads(fit_task* task, int n_threads, const real* like) noexcept nogil:
    """Runs the task's batches on n_threads threads until they are done or the deadline has passed."""
    cdef int thread
    ft_barrier_init(&task.barrier)
    if n_threads == 1:
        if task.batch <= SMALL_BATCH:
            small_batches(task, 0, 1, like)
        else:
            large_batches(task, 0, 1, like)
        return
    with parallel(num_threads=n_threads):
        thread = threadid()
        if task.batch <= SMALL_BATCH:
            small_batches(task, thread, ft_team_size(), like)
        else:
            large_batches(task, thread, ft_team_size(), like)


cdef void gradient_threads(fit_task* task, int n_threads, const real* like) noexcept nogil:
    """Sums the chunks that are left of one batch of all rows."""
    cdef int thread
    if n_threads == 1:
        sum_chunks(task, 0, like)
        return
    with parallel(num_threads=n_threads):
        thread = threadid()
        sum_chunks(task, thread, like)


cdef double finish_gradient(fit_task* task, real* g_out) noexcept nogil:
    """Mean loss plus penalty, and its gradient in the layout of the parameters."""
    cdef const layer* shape
    cdef Py_ssize_t number
    cdef real* g = <real*> task.partial
    cdef double scale, total = mean_of_chunks(task, &scale)
    cdef double factor = scale if task.penalty_over_batch else 1.0
    cdef group it
    combine_chunks(task, 0, task.n_parameters, <const real*> g)
    for number in range(task.n_groups):
        it = task_group(task, number)
        shape = &task.layers[it.number]
        total += group_penalty(task, &it, <const real*> g) * (scale if task.penalty_over_batch else 1.0)
        memset(g_out + it.offset, 0, it.size * sizeof(real))
        if it.first < shape.n_in or shape.has_bias:
            axpy(<real> scale, <const real*> g + it.offset, g_out + it.offset, it.size)
        if it.first < shape.n_in:
            penalty_gradient(<real> (task.settings.l1 * factor), <real> (task.settings.l2 * factor),
                             <const real*> task.w + it.offset, g_out + it.offset, it.size)
    return total


cdef void predict_threads(fit_task* task, const real* x, Py_ssize_t ldx, Py_ssize_t n, real* z_out,
                          int n_threads) noexcept nogil:
    """Raw predictions z (n, width of the last layer) of x, in blocks; the buffers hold block_rows rows a thread."""
    cdef int thread
    if n_threads == 1:
        predict_part(task, 0, 1, x, ldx, n, z_out)
        return
    with parallel(num_threads=n_threads):
        thread = threadid()
        predict_part(task, thread, ft_team_size(), x, ldx, n, z_out)


cdef void predict_part(fit_task* task, int thread, int n_threads, const real* x, Py_ssize_t ldx, Py_ssize_t n,
                       real* z_out) noexcept nogil:
    cdef Py_ssize_t block = block_rows(task, x), n_blocks = (n + block - 1) // block, b, i, start, m
    cdef layer* last_layer = output(task)
    cdef buffers at
    cdef const real** rows
    cdef const real* d
    buffers_of(task, thread, &at)
    rows = <const real**> at.rows
    d = <const real*> at.base + at.capacity * last_layer.d
    for b in range(share(n_blocks, thread, n_threads), share(n_blocks, thread + 1, n_threads)):
        start = b * block
        m = min(block, n - start)
        for i in range(m):
            rows[i] = x + (start + i) * ldx
        if task.n_layers == 1:
            forward_rows(last_layer, <const real*> task.w, <const real* const*> rows, m,
                         z_out + start * last_layer.width, <const real* const*> NULL)
        else:
            forward(task, &at, 0, m, <const real* const*> NULL)
            memcpy(z_out + start * last_layer.width, d, m * last_layer.width * sizeof(real))
