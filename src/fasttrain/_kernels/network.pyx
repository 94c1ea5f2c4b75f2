"""The dense engine: forward, loss gradient, weight gradient and fused update.

A step on a small batch has two phases with a barrier after each. In the first, threads split the batch's rows:
predictions, loss, loss gradient. In the second they split the weights: each takes the gradient of a group of weights,
summed over the batch in row order, and applies the update to that group while it is in cache. A large batch is cut into
chunks of rows that do not depend on the threads; each chunk goes through the cache in blocks and adds to a gradient of
its own, and the chunks are combined in order before the update. Either way the parameters are the same bytes for any
number of threads.
"""

import numpy as np

from cython.parallel cimport parallel, threadid
from libc.math cimport INFINITY, isfinite, sqrt
from libc.string cimport memset

from fasttrain._kernels.primitives cimport (
    FT_LOSS_softmax_crossentropy, FT_UPDATE_adam, FT_UPDATE_nadam, all_finite, axpy, column_sums, columns_panel,
    ft_update, lanes, loss_span, panel_width, penalty_gradient, prefetch_rows, rows_axpy, rows_dot, rows_panel,
    softmax_loss, sum, sum_squares, update_span,
)
from fasttrain._kernels.penalties cimport penalty_value
from fasttrain._kernels.threads cimport ft_barrier_init, ft_barrier_wait, ft_team_size, threads_for_work
from fasttrain._kernels.types cimport STATUS_NOT_FINITE, STATUS_OK, real
from fasttrain._kernels.updates cimport adam_moments, nadam_moments, update_init, velocity_rate

from fasttrain._kernels import losses as _losses
from fasttrain._kernels import updates as _updates

cdef extern from "clock.h" nogil:
    double ft_seconds() noexcept
    Py_ssize_t ft_fetch_add(Py_ssize_t* counter) noexcept

cdef enum:
    NARROW = 4              # outputs up to which a dot product a row beats a padded panel
    LOSS_ROWS = 16          # rows whose losses are summed together
    SMALL_BATCH = 1024      # rows up to which a batch takes the two-phase step
    MAX_CHUNKS = 64
    BLOCK_BYTES = 16384     # rows of a block together: stays in L1 between its two passes
    GROUP = 4096            # weights of an update group
    PARTIAL_LIMIT = 1 << 23 # elements of all chunk gradients together


cdef void layer_init(layer* shape, Py_ssize_t n_in, Py_ssize_t n_out, Py_ssize_t offset, bint has_bias,
                     const real* like) noexcept nogil:
    cdef Py_ssize_t vector = lanes(like)
    shape.n_in = n_in
    shape.n_out = n_out
    shape.offset = offset
    shape.has_bias = has_bias
    if n_out <= NARROW:
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


cdef inline Py_ssize_t group_count(const layer* shape) noexcept nogil:
    cdef Py_ssize_t per_column = (shape.n_in + group_rows(shape) - 1) // group_rows(shape) + 1
    if shape.panel == 0:
        return shape.n_out * per_column
    return (shape.width + shape.panel - 1) // shape.panel * per_column


cdef struct group:
    Py_ssize_t column       # first output
    Py_ssize_t columns      # outputs (a panel's width, or 1)
    Py_ssize_t first        # features [first, last); first == n_in is the bias
    Py_ssize_t last
    Py_ssize_t offset       # in the flat parameters
    Py_ssize_t size


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


cdef void loss_rows(fit_task* task, const Py_ssize_t start, Py_ssize_t m, real* gathered, real* d_io, double* sum_out,
                    double* weight_out) noexcept nogil:
    """Loss and loss gradient of batch rows [start, start + m): d holds the predictions and receives the gradient."""
    cdef const real* y = <const real*> task.y
    cdef const real* weight = <const real*> task.weight
    cdef Py_ssize_t width = task.shape.width, k = task.shape.n_out, i, c, row, position
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


cdef void prepare_update(fit_task* task, Py_ssize_t due, ft_update* h, double* carried, double scale) noexcept nogil:
    """Settings of the step for batch `due`: its rate, bias corrections and gradient scale."""
    cdef double rate = task.rates[due]
    cdef double t = task.step + due + 1.0
    h[0] = task.settings
    h.learning_rate = rate
    h.gradient_scale = scale
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
    if it.first == task.shape.n_in:
        if not task.shape.has_bias:
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


cdef inline double group_penalty(fit_task* task, const group* it, const real* like) noexcept nogil:
    if it.first == task.shape.n_in or (task.settings.l1 == 0.0 and task.settings.l2 == 0.0):
        return 0.0
    return penalty_value(<const real*> task.w + it.offset, it.size, task.settings.l1, task.settings.l2)


cdef inline double trained_norm(const layer* shape, const group* it, const real* g) noexcept nogil:
    """Sum of squares of a group's gradient; an intercept that is not trained does not count."""
    if it.first == shape.n_in and not shape.has_bias:
        return 0.0
    return sum_squares(g + it.offset, it.size)


cdef inline Py_ssize_t share(Py_ssize_t n, int part, int parts) noexcept nogil:
    return n * part // parts


cdef void small_batches(fit_task* task, int thread, int n_threads, const real* like) noexcept nogil:
    """Runs batches of at most SMALL_BATCH rows until the run ends or its time is over; called by every thread."""
    cdef layer* shape = &task.shape
    cdef Py_ssize_t n_groups = group_count(shape), start, m, first, last, b, n_sums, number
    cdef Py_ssize_t group_first = share(n_groups, thread, n_threads)
    cdef Py_ssize_t group_last = share(n_groups, thread + 1, n_threads)
    cdef Py_ssize_t due = task.next_batch, n_batches = task.n_batches
    cdef real* d = <real*> task.d
    cdef const real** rows = <const real**> task.rows
    cdef double* loss_sums = task.sums
    cdef double* weight_sums = loss_sums + SMALL_BATCH // LOSS_ROWS
    cdef double* penalty_sums = weight_sums + SMALL_BATCH // LOSS_ROWS
    cdef double* norm_sums = penalty_sums + n_groups
    cdef real* gathered = <real*> task.gathered + thread * LOSS_ROWS * (task.y_width + 1)
    cdef real* whole_gradient = <real*> task.partial
    cdef real* scratch = whole_gradient + thread * GROUP
    cdef bint clips_norm = isfinite(task.clip_norm), stop = False
    cdef double total, weight, norm, carried = task.carried, scale
    cdef group it
    cdef ft_update h
    while due < n_batches and not stop:
        start = due * task.batch
        m = min(task.batch, task.n - start)
        n_sums = (m + LOSS_ROWS - 1) // LOSS_ROWS
        first = share(n_sums, thread, n_threads) * LOSS_ROWS
        last = min(m, share(n_sums, thread + 1, n_threads) * LOSS_ROWS)
        if first < last:
            point_rows(task, start + first, last - first, rows + first)
            forward_rows(shape, <const real*> task.w, rows + first, last - first, d + first * shape.width, NULL)
            for b in range(first // LOSS_ROWS, (last + LOSS_ROWS - 1) // LOSS_ROWS):
                first = b * LOSS_ROWS
                loss_rows(task, start + first, min(<Py_ssize_t> LOSS_ROWS, last - first), gathered,
                          d + first * shape.width, &loss_sums[b], &weight_sums[b])
        for number in range(group_first, group_last):
            it = group_at(shape, number)
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
        total *= scale
        for number in range(n_groups):
            total += penalty_sums[number]
        if not isfinite(total):
            if thread == 0:
                task.status = STATUS_NOT_FINITE
            return
        if clips_norm:
            for number in range(group_first, group_last):
                it = group_at(shape, number)
                group_gradient(shape, &it, rows, m, d, False, whole_gradient + it.offset, NULL)
                norm_sums[number] = trained_norm(shape, &it, whole_gradient)
            ft_barrier_wait(&task.barrier, n_threads)
            norm = 0.0
            for number in range(n_groups):
                norm += norm_sums[number]
            norm = sqrt(norm) * scale
            if norm > task.clip_norm:
                scale *= task.clip_norm / norm
        prepare_update(task, due, &h, &carried, scale)
        for number in range(group_first, group_last):
            it = group_at(shape, number)
            if clips_norm:
                apply_update(task, &h, &it, <const real*> whole_gradient + it.offset)
            else:
                group_gradient(shape, &it, rows, m, d, False, scratch, NULL)
                apply_update(task, &h, &it, <const real*> scratch)
        due += 1
        if thread == 0:
            task.loss_sum += total * m
            task.carried = carried
            task.next_batch = due
        ft_barrier_wait(&task.barrier, n_threads)


cdef Py_ssize_t block_rows(const layer* shape, const real* like) noexcept nogil:
    cdef Py_ssize_t rows = BLOCK_BYTES // (max(<Py_ssize_t> 1, shape.n_in) * <Py_ssize_t> sizeof(real))
    return min(<Py_ssize_t> SMALL_BATCH, max(<Py_ssize_t> LOSS_ROWS, rows // LOSS_ROWS * LOSS_ROWS))


cdef void chunk_gradient(fit_task* task, Py_ssize_t chunk, int thread, const real* like) noexcept nogil:
    """Loss and gradient sums of one chunk of the batch, its rows taken through the cache in blocks."""
    cdef layer* shape = &task.shape
    cdef Py_ssize_t start = task.next_batch * task.batch
    cdef Py_ssize_t m = min(task.batch, task.n - start)
    cdef Py_ssize_t first = start + m * chunk // task.n_chunks, last = start + m * (chunk + 1) // task.n_chunks
    cdef Py_ssize_t block = block_rows(shape, like), n_groups = group_count(shape)
    cdef Py_ssize_t position = first, number, count
    cdef real* d = <real*> task.d + thread * SMALL_BATCH * shape.width
    # this block's rows, the next one's, and those of the block after it, which are being fetched meanwhile
    cdef const real** rows = <const real**> task.rows + thread * 3 * SMALL_BATCH
    cdef const real** next_rows = rows + SMALL_BATCH
    cdef const real** later_rows = next_rows + SMALL_BATCH
    cdef const real** ahead
    cdef real* gathered = <real*> task.gathered + thread * SMALL_BATCH * (task.y_width + 1)
    cdef real* g = <real*> task.partial + chunk * shape.size
    cdef double total = 0.0, weight = 0.0, block_sum, block_weight
    cdef group it
    cdef bint fresh = True
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
        forward_rows(shape, <const real*> task.w, rows, count, d, ahead)
        loss_rows(task, position, count, gathered, d, &block_sum, &block_weight)
        total += block_sum
        weight += block_weight
        for number in range(n_groups):
            it = group_at(shape, number)
            group_gradient(shape, &it, rows, count, d, not fresh, g + it.offset, ahead)
        fresh = False
        position += count
        rows, next_rows, later_rows = next_rows, later_rows, rows
    if fresh:
        memset(g, 0, shape.size * sizeof(real))
    task.sums[chunk] = total
    task.sums[MAX_CHUNKS + chunk] = weight


cdef void combine_chunks(fit_task* task, Py_ssize_t first, Py_ssize_t last, const real* like) noexcept nogil:
    """Adds the chunks' gradients for parameters [first, last) into the first chunk's, in the chunks' order."""
    cdef real* g = <real*> task.partial
    cdef Py_ssize_t chunk
    for chunk in range(1, task.n_chunks):
        axpy(<real> 1, <const real*> g + chunk * task.shape.size + first, g + first, last - first)


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
    return total * scale_out[0]


cdef void large_batches(fit_task* task, int thread, int n_threads, const real* like) noexcept nogil:
    """Runs batches of more than SMALL_BATCH rows until the run ends or its time is over; called by every thread."""
    cdef layer* shape = &task.shape
    cdef Py_ssize_t n_groups = group_count(shape), number
    cdef Py_ssize_t group_first = share(n_groups, thread, n_threads)
    cdef Py_ssize_t group_last = share(n_groups, thread + 1, n_threads)
    cdef Py_ssize_t due = task.next_batch, n_batches = task.n_batches
    cdef double* penalty_sums = task.sums + 2 * MAX_CHUNKS
    cdef double* norm_sums = penalty_sums + n_groups
    cdef double total, norm, scale, carried = task.carried
    cdef real* g = <real*> task.partial
    cdef group it
    cdef ft_update h
    while due < n_batches:
        sum_chunks(task, thread, like)
        ft_barrier_wait(&task.barrier, n_threads)
        if task.next_chunk < task.n_chunks:
            return
        for number in range(group_first, group_last):
            it = group_at(shape, number)
            combine_chunks(task, it.offset, it.offset + it.size, like)
            penalty_sums[number] = group_penalty(task, &it, like)
            norm_sums[number] = trained_norm(shape, &it, g)
        ft_barrier_wait(&task.barrier, n_threads)
        total = mean_of_chunks(task, &scale)
        norm = 0.0
        for number in range(n_groups):
            total += penalty_sums[number]
            norm += norm_sums[number]
        if not isfinite(total):
            if thread == 0:
                task.status = STATUS_NOT_FINITE
            return
        norm = sqrt(norm) * scale
        if norm > task.clip_norm:
            scale *= task.clip_norm / norm
        prepare_update(task, due, &h, &carried, scale)
        for number in range(group_first, group_last):
            it = group_at(shape, number)
            apply_update(task, &h, &it, <const real*> g + it.offset)
        if thread == 0:
            task.loss_sum += total * min(task.batch, task.n - due * task.batch)
            task.carried = carried
            task.next_batch = due + 1
            task.next_chunk = 0
        due += 1
        ft_barrier_wait(&task.barrier, n_threads)


cdef Py_ssize_t chunk_count(const layer* shape, Py_ssize_t rows) noexcept nogil:
    """Chunks of a large batch: a matter of shapes only. Each has rows enough to be worth a gradient of its own."""
    cdef Py_ssize_t chunks = min(<Py_ssize_t> MAX_CHUNKS, rows // 256)
    return max(<Py_ssize_t> 1, min(chunks, PARTIAL_LIMIT // max(<Py_ssize_t> 1, shape.size)))


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
    cdef layer* shape = &task.shape
    cdef Py_ssize_t number
    cdef real* g = <real*> task.partial
    cdef double scale, total = mean_of_chunks(task, &scale)
    cdef group it
    combine_chunks(task, 0, shape.size, <const real*> g)
    for number in range(group_count(shape)):
        it = group_at(shape, number)
        total += group_penalty(task, &it, <const real*> g)
        memset(g_out + it.offset, 0, it.size * sizeof(real))
        if it.first < shape.n_in or shape.has_bias:
            axpy(<real> scale, <const real*> g + it.offset, g_out + it.offset, it.size)
        if it.first < shape.n_in:
            penalty_gradient(<real> task.settings.l1, <real> task.settings.l2, <const real*> task.w + it.offset,
                             g_out + it.offset, it.size)
    return total


cdef void predict_threads(const layer* shape, const real* w, const real* x, Py_ssize_t ldx, Py_ssize_t n, real* z_out,
                          const real** rows, int n_threads) noexcept nogil:
    """z (n, width) = x @ W + b; rows holds SMALL_BATCH pointers a thread."""
    cdef Py_ssize_t block = block_rows(shape, w), n_blocks = (n + block - 1) // block, b, i, start, m
    cdef int thread, team
    cdef const real** own
    if n_threads == 1:
        for b in range(n_blocks):
            start = b * block
            m = min(block, n - start)
            for i in range(m):
                rows[i] = x + (start + i) * ldx
            forward_rows(shape, w, rows, m, z_out + start * shape.width, NULL)
        return
    with parallel(num_threads=n_threads):
        thread = threadid()
        team = ft_team_size()
        own = rows + thread * SMALL_BATCH
        for b in range(share(n_blocks, thread, team), share(n_blocks, thread + 1, team)):
            start = b * block
            m = min(block, n - start)
            for i in range(m):
                own[i] = x + (start + i) * ldx
            forward_rows(shape, w, own, m, z_out + start * shape.width, NULL)


# Multiply-adds that one more thread must have in a step, some 20 microseconds of them, to be worth its barriers.
cdef double STEP_PER_THREAD = 4e5


def set_step_per_thread(double multiply_adds):
    """Change what a step must hold for each thread, and return what it was; with 0 every thread allowed is used.

    For measurements, and for tests that must see several threads on little data.
    """
    global STEP_PER_THREAD
    before = STEP_PER_THREAD
    STEP_PER_THREAD = multiply_adds
    return before


cdef class Network:
    """Parameters of a linear model (a dense network with no hidden layer), and the compiled steps that train them.

    Parameters
    ----------
    n_features, n_outputs : int
        At least 1.
    dtype : {'float32', 'float64'}
        Of the parameters, the data and the arithmetic.
    fit_intercept : bool, default=True
        Without it the biases stay zero.

    Notes
    -----
    Arrays given to its methods are trusted: the right dtype, C-contiguous, finite, of matching shapes. A call
    sequence is
    ``set_loss``, ``set_optimizer``, ``bind``, then for each epoch ``start_epoch`` and ``run`` until it returns True.
    One
    instance is for one thread at a time.
    """

    cdef layer shape
    cdef fit_task task
    cdef bint is_double
    cdef int n_threads
    cdef readonly object dtype
    cdef readonly bint fit_intercept
    cdef readonly object parameters
    cdef readonly dict state
    cdef dict hold
    cdef double steps_done

    def __cinit__(self, Py_ssize_t n_features, Py_ssize_t n_outputs, dtype="float64", bint fit_intercept=True):
        self.dtype = np.dtype(dtype)
        self.fit_intercept = fit_intercept
        self.is_double = self.dtype.itemsize == 8
        if self.is_double:
            layer_init(&self.shape, n_features, n_outputs, 0, fit_intercept, <const double*> NULL)
        else:
            layer_init(&self.shape, n_features, n_outputs, 0, fit_intercept, <const float*> NULL)
        self.parameters = np.zeros(self.shape.size, dtype=self.dtype)
        self.state = {}
        self.hold = {}
        self.n_threads = 1
        memset(&self.task, 0, sizeof(fit_task))
        update_init(&self.task.settings, 0.0)
        self.task.shape = self.shape
        self.task.clip_norm = INFINITY
        self.task.carried = 0.0
        self.task.loss_parameter = 1.0

    # ---- parameters ----

    def pack(self, coef, intercept):
        """Array in the engine's layout of ``coef`` (n_outputs, n_features) and ``intercept`` (n_outputs,)."""
        packed = np.zeros(self.shape.size, dtype=self.dtype)
        for rows, first, last in self._panels(packed):
            rows[:-1, :last - first] = coef[first:last].T
            rows[-1, :last - first] = intercept[first:last]
        return packed

    def unpack(self, packed):
        """``coef`` (n_outputs, n_features) and ``intercept`` (n_outputs,), copied out of the engine's layout."""
        coef = np.empty((self.shape.n_out, self.shape.n_in), dtype=self.dtype)
        intercept = np.empty(self.shape.n_out, dtype=self.dtype)
        for rows, first, last in self._panels(packed):
            coef[first:last] = rows[:-1, :last - first].T
            intercept[first:last] = rows[-1, :last - first]
        return coef, intercept

    def _panels(self, packed):
        """Views (n_features + 1, columns) of each panel, with the outputs [first, last) that it holds."""
        n_in, n_out = self.shape.n_in, self.shape.n_out
        if self.shape.panel == 0:
            yield packed.reshape(n_out, n_in + 1).T, 0, n_out
            return
        for first in range(0, self.shape.width, self.shape.panel):
            columns = min(self.shape.panel, self.shape.width - first)
            start = first * (n_in + 1)
            rows = packed[start:start + (n_in + 1) * columns].reshape(n_in + 1, columns)
            yield rows, first, min(n_out, first + columns)

    # ---- what to minimize, and how ----

    def set_loss(self, name, double parameter=1.0):
        """Choose the loss by its kernel name."""
        self.task.loss = _losses.NAMES.index(name)
        self.task.loss_parameter = parameter

    def set_penalty(self, double l1, double l2):
        """``l1 * sum|w| + l2 / 2 * sum w^2`` over the weights, not the biases."""
        self.task.settings.l1 = l1
        self.task.settings.l2 = l2

    def set_optimizer(self, rule, slots, dict settings, initial_state=None):
        """Choose the update rule; its state arrays start anew unless the rule and its slots stay the same.

        Parameters
        ----------
        rule : str
            One of ``_kernels.updates.NAMES``.
        slots : sequence of {'s1', 's2', 's3'}
            State arrays to keep.
        settings : dict
            momentum, beta1, beta2, epsilon, epsilon_inside, corrected_root, momentum_decay, clip_value, clip_norm,
            weight_decay; what is absent is neutral.
        initial_state : dict, optional
            Slot to the value its array starts with; 0 where absent.
        """
        cdef ft_update* h = &self.task.settings
        cdef double l1 = h.l1, l2 = h.l2
        number = _updates.NAMES.index(rule)
        if number != self.task.rule or set(self.state) != set(slots):
            initial = initial_state or {}
            self.state = {
                slot: np.full(self.shape.size, initial.get(slot, 0.0), dtype=self.dtype) for slot in slots
            }
            self.steps_done = 0.0
            self.task.carried = 0.0
        self.task.rule = number
        update_init(h, 0.0)
        h.l1 = l1
        h.l2 = l2
        h.momentum = settings.get("momentum", 0.0)
        h.beta1 = settings.get("beta1", 0.0)
        h.beta2 = settings.get("beta2", 0.0)
        h.epsilon = settings.get("epsilon", 0.0)
        h.epsilon_inside = settings.get("epsilon_inside", 0.0)
        h.clip_value = settings.get("clip_value", INFINITY)
        self.task.clip_norm = settings.get("clip_norm", INFINITY)
        self.task.weight_decay = settings.get("weight_decay", 0.0)
        self.task.corrected_root = settings.get("corrected_root", False)
        self.task.momentum_decay = settings.get("momentum_decay", 1.0)

    @property
    def rule(self):
        """Name of the update rule."""
        return _updates.NAMES[self.task.rule]

    @property
    def counters(self):
        """Steps done and the number that some rules carry: with ``state``, all that a rule remembers."""
        return {"t": self.steps_done, "carried": self.task.carried}

    @counters.setter
    def counters(self, values):
        self.steps_done = values["t"]
        self.task.carried = values["carried"]

    # ---- training ----

    def bind(self, const real[:, ::1] X, const real[:, ::1] y, const real[::1] sample_weight=None):
        """Data of the fits that follow; nothing is copied. y: (n, n_outputs), or (n, 1) class codes for softmax."""
        self.hold = {"data": (X, y, sample_weight)}
        self.task.x = &X[0, 0]
        self.task.ldx = X.shape[1]
        self.task.n = X.shape[0]
        self.task.y = &y[0, 0]
        self.task.y_width = y.shape[1]
        self.task.weight = &sample_weight[0] if sample_weight is not None else NULL

    def release(self):
        """Let go of the bound data and of the workspaces; the parameters and the rule's memory stay."""
        self.hold = {}
        self.task.n = 0

    def start_epoch(self, const Py_ssize_t[::1] order, Py_ssize_t batch_size, const double[::1] rates, int n_threads):
        """Set up one pass over the rows.

        Parameters
        ----------
        order : intp array of shape (n_samples,) or None
            Row numbers in the order of the pass; None takes the rows as they stand.
        batch_size : int
            From 1 to n_samples; the last batch may be smaller.
        rates : float64 array of shape (n_batches,)
            Learning rate of each step; with fewer rates than batches the pass ends after them.
        n_threads : int
            Threads allowed; fewer run when a step is too small for them.
        """
        cdef double work
        self.task.order = &order[0] if order is not None else NULL
        self.task.batch = batch_size
        self.task.n_batches = rates.shape[0]
        self.task.rates = &rates[0]
        self.task.next_batch = 0
        self.task.next_chunk = 0
        self.task.loss_sum = 0.0
        self.task.status = STATUS_OK
        self.task.step = self.steps_done
        self.task.n_chunks = chunk_count(&self.shape, batch_size)
        self.hold["order"] = order
        self.hold["rates"] = rates
        work = <double> batch_size * (self.shape.n_in + 1) * self.shape.width
        self.n_threads = threads_for_work(n_threads, work, STEP_PER_THREAD)
        self._workspace(batch_size > SMALL_BATCH)

    def _workspace(self, bint large):
        """Arrays that a step writes to; kept between epochs when their sizes stay."""
        cdef Py_ssize_t groups = group_count(&self.shape), threads = self.n_threads, loss_rows
        loss_rows = SMALL_BATCH if large else LOSS_ROWS
        if large:
            partial = self.task.n_chunks * self.shape.size
        elif isfinite(self.task.clip_norm):
            partial = self.shape.size
        else:
            partial = threads * GROUP
        sizes = (
            ("rows", (3 * threads if large else 1) * SMALL_BATCH, np.uintp),
            ("d", (threads if large else 1) * SMALL_BATCH * self.shape.width, self.dtype),
            ("gathered", threads * loss_rows * (self.task.y_width + 1), self.dtype),
            ("partial", partial, self.dtype),
            ("sums", 2 * MAX_CHUNKS + 2 * (SMALL_BATCH // LOSS_ROWS) + 2 * groups, np.float64),
        )
        for name, size, dtype in sizes:
            if name not in self.hold or self.hold[name].size < size or self.hold[name].dtype != dtype:
                self.hold[name] = np.zeros(size, dtype=dtype)
        cdef size_t address
        address = self.hold["rows"].ctypes.data
        self.task.rows = <const void**> address
        address = self.hold["d"].ctypes.data
        self.task.d = <void*> address
        address = self.hold["gathered"].ctypes.data
        self.task.gathered = <void*> address
        address = self.hold["partial"].ctypes.data
        self.task.partial = <void*> address
        address = self.hold["sums"].ctypes.data
        self.task.sums = <double*> address
        address = self.parameters.ctypes.data
        self.task.w = <void*> address
        address = self.state["s1"].ctypes.data if "s1" in self.state else 0
        self.task.s1 = <void*> address
        address = self.state["s2"].ctypes.data if "s2" in self.state else 0
        self.task.s2 = <void*> address
        address = self.state["s3"].ctypes.data if "s3" in self.state else 0
        self.task.s3 = <void*> address

    def run(self, double seconds=0.05):
        """Train for about ``seconds``; True when the epoch is done or the loss is no longer finite."""
        cdef Py_ssize_t before = self.task.next_batch
        with nogil:
            self.task.deadline = ft_seconds() + seconds
            if self.is_double:
                fit_threads(&self.task, self.n_threads, <const double*> NULL)
            else:
                fit_threads(&self.task, self.n_threads, <const float*> NULL)
        self.steps_done += self.task.next_batch - before
        return self.task.next_batch >= self.task.n_batches or self.task.status != STATUS_OK

    @property
    def epoch_loss(self):
        """Mean over the epoch's rows so far of the batch objectives (mean loss plus penalty, each before its step)."""
        cdef Py_ssize_t rows = min(self.task.next_batch * self.task.batch, self.task.n)
        return self.task.loss_sum / rows if rows else float("nan")

    @property
    def batches_done(self):
        return self.task.next_batch

    @property
    def diverged(self):
        """Whether the last run met a loss that is not finite; the step that would have followed was not made."""
        return self.task.status == STATUS_NOT_FINITE

    def all_finite(self):
        """Whether every parameter is finite."""
        cdef float[::1] w32
        cdef double[::1] w64
        if self.is_double:
            w64 = self.parameters
            return bool(all_finite(<const double*> &w64[0], w64.shape[0]))
        w32 = self.parameters
        return bool(all_finite(<const float*> &w32[0], w32.shape[0]))

    def start_gradient(self, int n_threads):
        """Set up one evaluation of the objective and its gradient at ``parameters``."""
        self.task.order = NULL
        self.task.batch = self.task.n
        self.task.next_batch = 0
        self.task.next_chunk = 0
        self.task.n_chunks = chunk_count(&self.shape, self.task.n)
        self.n_threads = threads_for_work(
            n_threads, <double> self.task.n * (self.shape.n_in + 1) * self.shape.width, STEP_PER_THREAD)
        self._workspace(True)

    def run_gradient(self, double seconds=0.05):
        """Go on for about ``seconds``; True when all rows have been summed."""
        with nogil:
            self.task.deadline = ft_seconds() + seconds
            if self.is_double:
                gradient_threads(&self.task, self.n_threads, <const double*> NULL)
            else:
                gradient_threads(&self.task, self.n_threads, <const float*> NULL)
        return self.task.next_chunk >= self.task.n_chunks

    def finish_gradient(self, real[::1] gradient_out):
        """Mean loss plus penalty (returned) and its gradient, in the layout of ``parameters``."""
        return finish_gradient(&self.task, &gradient_out[0])

    # ---- prediction ----

    def raw_predict(self, const real[:, ::1] X, int n_threads=1):
        """``X @ coef.T + intercept`` of shape (n_samples, n_outputs)."""
        cdef Py_ssize_t n = X.shape[0], width = self.shape.width
        out = np.empty((n, width), dtype=self.dtype)
        if n == 0:
            return out[:, :self.shape.n_out]
        cdef real[:, ::1] z = out
        cdef real[::1] w = self.parameters
        n_threads = threads_for_work(n_threads, <double> n * (self.shape.n_in + 1) * width, STEP_PER_THREAD)
        cdef size_t[::1] rows = np.empty(n_threads * SMALL_BATCH, dtype=np.uintp)
        with nogil:
            predict_threads(&self.shape, <const real*> &w[0], &X[0, 0], X.shape[1], n, &z[0, 0],
                            <const real**> &rows[0], n_threads)
        return out if width == self.shape.n_out else np.ascontiguousarray(out[:, :self.shape.n_out])
