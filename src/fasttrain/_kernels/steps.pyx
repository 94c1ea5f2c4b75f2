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

from fasttrain._kernels.lanes cimport chunk_by_lanes
from fasttrain._kernels.layers cimport GROUP, forward_panels, forward_rows, group, layer, panel_count
from fasttrain._kernels.normalization cimport normalization_gradient, normalized_pass
from fasttrain._kernels.passes cimport (
    LOSS_ROWS, MAX_CHUNKS, OVER_NOTHING, OVER_ROWS, SMALL_BATCH, backward, buffers, buffers_of, change_input, forward,
    gradient_of, loss_block, loss_rows, output, point_rows, share, task_group,
)
from fasttrain._kernels.primitives cimport FT_UPDATE_lamb, axpy, columns_strip, ft_update, penalty_gradient
from fasttrain._kernels.threads cimport ft_barrier_init, ft_barrier_wait, ft_team_size
from fasttrain._kernels.types cimport STATUS_NOT_FINITE, STATUS_OK
from fasttrain._kernels.updating cimport (
    apply_moves, apply_update, completes_update, constrain_and_average, first_turn, follows, group_penalty,
    measure_move, part_of, part_scales, prepare_update, strip_of, take_turns, trained_norm,
)

cdef extern from "clock.h" nogil:
    double ft_seconds() noexcept
    Py_ssize_t ft_fetch_add(Py_ssize_t* counter) noexcept

cdef extern from *:
    void __builtin_prefetch(const void* address, int write, int locality) noexcept nogil

cdef enum:
    BLOCK_BYTES = 16384         # rows of a block together: stays in L1 between its two passes
    DEEP_BLOCK_BYTES = 196608   # the same with hidden layers: rows and outputs stay in L2
    PARTIAL_LIMIT = 1 << 23     # elements of all chunk gradients together
    FETCH_BYTES = 262144        # of a batch's rows up to which the next's are fetched: more would push out the weights
    CLOCK_WORK = 50000          # products of rows and weights, a few microseconds, between two looks at the clock
    PANELS_FROM = 32768         # weights of a first layer from which they had better stay in the core that updates them


cdef bint in_two_phases(const fit_task* task, Py_ssize_t batch) noexcept nogil:
    """Whether a step keeps all rows of its batch; normalization and a caller's loss need them together."""
    return (batch <= SMALL_BATCH and task.lanes == NULL) or task.n_statistics > 0 or task.caller != NULL


cdef inline bint keeps_panels(const fit_task* task, int n_threads) noexcept nogil:
    """Whether threads split a first layer's product by its panels rather than by rows.

    The weights that a thread has updated are then the ones it multiplies by, and never move to another core; it costs
    a barrier.
    """
    cdef const layer* shape = &task.layers[0]
    return (
        n_threads > 1 and task.n_layers > 1 and task.sparse.data == NULL and not task.copies_input
        and task.n_statistics == 0 and shape.n_in * shape.width >= PANELS_FROM and panel_count(shape) >= n_threads)


cdef void first_layer_by_panels(fit_task* task, buffers* at, int thread, int n_threads,
                                const real* like) noexcept nogil:
    cdef const layer* shape = &task.layers[0]
    cdef Py_ssize_t panels = panel_count(shape)
    point_rows(task, at.start, at.m, at.rows, like)
    forward_panels(shape, <const real*> task.w, <const real* const*> at.rows, at.m, share(panels, thread, n_threads),
                   share(panels, thread + 1, n_threads), <real*> at.base + at.capacity * shape.z)
    at.first_done = True
    ft_barrier_wait(&task.barrier, n_threads)


cdef inline double mean_scale(const fit_task* task, Py_ssize_t m, double weight) noexcept nogil:
    """What makes means of the sums over m rows of a batch."""
    if task.reduction == OVER_NOTHING:
        return task.loss_scale
    if task.reduction == OVER_ROWS:
        return task.loss_scale / m
    return task.loss_scale / weight if weight > 0.0 else 0.0


cdef void fetch_rows(const fit_task* task, Py_ssize_t first, Py_ssize_t last, const real* like) noexcept nogil:
    """Asks for rows [first, last) of the order and their targets, which a later step will read."""
    cdef const char* x = <const char*> task.x
    cdef const real* y = <const real*> task.y
    cdef Py_ssize_t i, row, at, stride = task.ldx * sizeof(real), size = task.layers[0].n_in * sizeof(real)
    for i in range(first, last):
        row = i if task.order == NULL else task.order[i]
        for at in range(0, size, 64):
            __builtin_prefetch(x + row * stride + at, 0, 2)
        __builtin_prefetch(y + row * task.y_width, 0, 2)


cdef void small_batches(fit_task* task, int thread, int n_threads, const real* like) noexcept nogil:
    """Runs batches whose rows are kept until the run ends or its time is over; called by every thread."""
    cdef Py_ssize_t n_groups = task.n_groups, start, m, first, last, position, b, n_sums, number, turn
    cdef Py_ssize_t fetched, to_fetch, ready, strip, block = loss_block(task)
    cdef Py_ssize_t look_every = 1 + CLOCK_WORK // (task.batch * task.n_parameters)
    cdef Py_ssize_t group_first = first_turn(task, thread, n_threads)
    cdef Py_ssize_t group_last = first_turn(task, thread + 1, n_threads)
    cdef Py_ssize_t due = task.next_batch, begun = due, n_batches = task.n_batches
    cdef layer* last_layer = output(task)
    cdef buffers at
    cdef real* d
    cdef double* loss_sums = task.sums
    cdef double* weight_sums = loss_sums + task.n_loss_sums
    cdef double* penalty_sums = weight_sums + task.n_loss_sums
    cdef double* norm_sums = penalty_sums + 2 * n_groups
    cdef double* move_squares = norm_sums + n_groups
    cdef real* gathered = <real*> task.gathered + thread * LOSS_ROWS * (task.gathered_width + 1)
    cdef real* scratch = <real*> task.scratch + thread * SCRATCH
    cdef bint accumulates = task.accumulated != NULL, updates, measures = task.rule == FT_UPDATE_lamb
    cdef real* whole_gradient = <real*> (task.accumulated if accumulates else task.partial)
    cdef real* g
    cdef bint clips_each = isfinite(task.clip_each_norm)
    cdef bint clips_norm = clips_each or isfinite(task.clip_norm), stop = False
    cdef bint by_panels = keeps_panels(task, n_threads)
    # what the update has made of the weights is not yet what they will be
    cdef bint changes = task.constrains or task.average_overwrite > 0.0 or accumulates
    cdef double[4] scales
    cdef int scaled
    cdef bint fetches = (task.sparse.data == NULL
                         and task.batch * task.layers[0].n_in * <Py_ssize_t> sizeof(real) <= FETCH_BYTES)
    cdef double total, weight, norm, carried = task.carried, scale, penalty_factor
    cdef const group* it
    cdef ft_update h
    # sparse cursors are the thread's own, whose rows in the second phase are all of the batch
    buffers_of(task, thread, &at)
    at.base = task.values
    at.pointers = task.pointers
    if not by_panels:
        at.rows = task.rows
    d = <real*> at.base + at.capacity * last_layer.d
    while due < n_batches and not stop:
        start = due * task.batch
        m = min(task.batch, task.n - start)
        at.due = due
        at.start = start
        at.m = m
        n_sums = (m + block - 1) // block
        first = share(n_sums, thread, n_threads) * block
        last = min(m, share(n_sums, thread + 1, n_threads) * block)
        if by_panels:
            first_layer_by_panels(task, &at, thread, n_threads, like)
        elif first < last:
            point_rows(task, start + first, last - first, at.rows + first, like)
            if task.copies_input:
                change_input(task, &at, first, last - first, like)
        if task.n_statistics:
            normalized_pass(task, &at, thread, n_threads, min(first, last), last, gathered, like)
        elif first < last:
            forward(task, &at, first, last - first, <const real* const*> NULL, like)
            for b in range(first // block, (last + block - 1) // block):
                position = b * block
                loss_rows(task, &at, position, min(block, last - position), gathered,
                          d + position * last_layer.width, &loss_sums[b], &weight_sums[b])
            backward(task, &at, first, last - first, like)
        # the update that made the weights has summed their penalty; other threads still read that of the step before
        if due == begun or changes:
            for turn in range(group_first, group_last):
                number = task.turns[turn]
                it = &task.groups[number]
                penalty_sums[due % 2 * n_groups + number] = group_penalty(task, it, like)
        if thread == 0 and (due - begun) % look_every == 0:
            task.stop = ft_seconds() > task.deadline
        ft_barrier_wait(&task.barrier, n_threads)

        # between the barriers every thread reads the same sums, so all take the same turn
        stop = task.stop
        total = 0.0
        weight = 0.0
        for b in range(n_sums):
            total += loss_sums[b]
            weight += weight_sums[b]
        scale = mean_scale(task, m, weight)
        penalty_factor = scale if task.penalty_over_batch else 1.0
        total *= scale * task.value_scale
        for number in range(n_groups):
            total += penalty_sums[due % 2 * n_groups + number] * penalty_factor
        if not isfinite(total):
            if thread == 0:
                task.status = STATUS_NOT_FINITE
            return
        updates = completes_update(task, due)
        if clips_norm or accumulates:
            for turn in range(group_first, group_last):
                number = task.turns[turn]
                it = &task.groups[number]
                g = scratch if accumulates else whole_gradient + it.offset
                group_gradient_of(task, &at, thread, it, m, follows(task, turn, group_first), g)
                if accumulates:
                    axpy(<real> scale, <const real*> g, whole_gradient + it.offset, it.size)
                norm_sums[number] = trained_norm(task, it, whole_gradient)
        if accumulates:
            scale = 1.0 / task.accumulate
        if clips_norm and updates:
            ft_barrier_wait(&task.barrier, n_threads)
            norm = 0.0
            for number in range(n_groups):
                norm += norm_sums[number]
            norm = sqrt(norm) * scale
            if norm > task.clip_norm:
                scale *= task.clip_norm / norm
        if updates:
            prepare_update(task, due, &h, &carried, scale)
        scaled = -1
        # memory would be idle while the weights are worked on: the next batch's rows are fetched bit by bit
        fetched = min(task.n, start + m + (0 if by_panels else first))
        to_fetch = min(task.n, start + m + (m if by_panels else last)) - fetched
        if due + 1 == n_batches or not fetches:
            to_fetch = 0
        ready = strip = group_first
        for turn in range(group_first, group_last if updates else group_first):
            number = task.turns[turn]
            it = &task.groups[number]
            position = share(to_fetch, <int> (turn - group_first), <int> (group_last - group_first))
            fetch_rows(task, fetched + position, fetched + share(
                to_fetch, <int> (turn + 1 - group_first), <int> (group_last - group_first)), like)
            g = whole_gradient + it.offset
            if not (clips_norm or accumulates):
                if turn == ready:
                    strip = ready
                    ready += strip_gradient_of(task, &at, thread, turn, group_first, group_last, m, scratch)
                g = scratch + (turn - strip) * GROUP
            if clips_each:
                if it.number != scaled:
                    scaled = it.number
                    part_scales(task, norm_sums, scaled, scale, scales)
                h.gradient_scale = scales[part_of(&task.layers[scaled], it)]
            if measures:
                measure_move(task, &h, penalty_factor, it, <const real*> g, move_squares + 2 * number)
            else:
                penalty_sums[(due + 1) % 2 * n_groups + number] = apply_update(
                    task, &h, penalty_factor, it, <const real*> g, not changes)
            if accumulates:
                memset(g, 0, it.size * sizeof(real))
        if measures and updates:
            apply_moves(task, &h, penalty_factor, n_threads, group_first, group_last, move_squares,
                        penalty_sums + (due + 1) % 2 * n_groups, not changes, like)
        if task.constrains or task.average != NULL:
            constrain_and_average(task, thread, n_threads, group_first, group_last, due, scratch)
        due += 1
        if thread == 0:
            task.loss_sum += total * m
            task.carried = carried
            task.next_batch = due
        ft_barrier_wait(&task.barrier, n_threads)


cdef inline void group_gradient_of(fit_task* task, buffers* at, int thread, const group* it, Py_ssize_t m, bint resume,
                                   real* g_out) noexcept nogil:
    """Gradient of one group over the whole of a batch that is kept."""
    if it.first > task.layers[it.number].n_in:
        normalization_gradient(task, thread, it, g_out)
    else:
        gradient_of(task, at, it, m, False, resume, g_out, <const real* const*> NULL)


cdef Py_ssize_t strip_gradient_of(fit_task* task, buffers* at, int thread, Py_ssize_t turn, Py_ssize_t group_first,
                                  Py_ssize_t group_last, Py_ssize_t m, real* g_out) noexcept nogil:
    """Gradients, each GROUP elements after the one before, of the groups from a turn on that can be taken together.

    Those are of the same features in full panels beside each other; returns how many there were.
    """
    cdef const group* it = &task.groups[task.turns[turn]]
    cdef const group* other
    cdef const layer* shape = &task.layers[it.number]
    cdef Py_ssize_t count = 1, strip = strip_of(task, it.number)
    cdef const real* const* rows = <const real* const*> at.rows
    if it.first < shape.n_in and it.columns == shape.panel:
        while turn + count < group_last and count < strip:
            other = &task.groups[task.turns[turn + count]]
            if (other.number != it.number or other.first != it.first or other.columns != shape.panel
                    or other.column != it.column + count * shape.panel):
                break
            count += 1
    if count == 1:
        group_gradient_of(task, at, thread, it, m, follows(task, turn, group_first), g_out)
        return 1
    if it.number:
        rows = <const real* const*> at.pointers + 2 * (it.number - 1) * at.capacity
    columns_strip(rows, m, it.first, it.last, <const real*> at.base + at.capacity * shape.d + it.column, shape.width,
                  shape.panel, count, g_out, GROUP)
    return count


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
    # this block's rows, and the next one's, which are being fetched meanwhile
    cdef buffers at
    cdef const void** rows
    cdef const void** next_rows
    cdef const real* const* ahead
    cdef real* d
    cdef real* gathered = <real*> task.gathered + thread * SMALL_BATCH * (task.gathered_width + 1)
    cdef real* g = <real*> task.partial + chunk * task.n_parameters
    cdef double total = 0.0, weight = 0.0, block_sum, block_weight
    cdef group it
    cdef bint fresh = True
    buffers_of(task, thread, &at)
    at.due = task.next_batch
    at.start = start
    at.m = m
    d = <real*> at.base + at.capacity * last_layer.d
    rows = at.rows
    next_rows = rows + at.capacity
    point_rows(task, first, min(block, last - first), rows, like)
    while position < last:
        count = min(block, last - position)
        ahead = NULL
        if position + block < last:
            point_rows(task, position + block, min(block, last - position - block), next_rows, like)
            if position + 2 * block <= last and task.sparse.data == NULL:
                ahead = <const real* const*> next_rows
        at.rows = rows
        at.origin = position - start
        if task.copies_input and task.training:
            change_input(task, &at, 0, count, like)
        forward(task, &at, 0, count, ahead, like)
        loss_rows(task, &at, at.origin, count, gathered, d, &block_sum, &block_weight)
        backward(task, &at, 0, count, like)
        total += block_sum
        weight += block_weight
        for number in range(n_groups):
            it = task_group(task, number)
            gradient_of(task, &at, &it, count, not fresh, True, g + it.offset, ahead)
        fresh = False
        position += count
        rows, next_rows = next_rows, rows
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
            if chunk == task.n_chunks:
                task.idle_since = ft_seconds()
            return
        if task.lanes != NULL:
            chunk_by_lanes(task, chunk, thread, like)
        else:
            chunk_gradient(task, chunk, thread, like)
        if chunk + 1 < task.n_chunks and ft_seconds() > task.deadline:
            return


cdef double mean_of_chunks(fit_task* task, Py_ssize_t m, double* scale_out) noexcept nogil:
    """Weighted mean of the losses of a batch of m rows; scale_out receives the factor that its sums are given."""
    cdef double total = 0.0, weight = 0.0
    cdef Py_ssize_t chunk
    for chunk in range(task.n_chunks):
        total += task.sums[chunk]
        weight += task.sums[MAX_CHUNKS + chunk]
    scale_out[0] = mean_scale(task, m, weight)
    return total * scale_out[0] * task.value_scale


cdef void large_batches(fit_task* task, int thread, int n_threads, const real* like) noexcept nogil:
    """Runs batches of more than SMALL_BATCH rows until the run ends or its time is over; called by every thread."""
    cdef Py_ssize_t n_groups = task.n_groups, number, turn
    cdef Py_ssize_t group_first = first_turn(task, thread, n_threads)
    cdef Py_ssize_t group_last = first_turn(task, thread + 1, n_threads)
    cdef Py_ssize_t begun = task.next_batch, due = begun, n_batches = task.n_batches
    cdef Py_ssize_t look_every = 1 + CLOCK_WORK // (task.batch * task.n_parameters)
    cdef double* penalty_sums = task.sums + 2 * MAX_CHUNKS
    cdef double* norm_sums = penalty_sums + n_groups
    cdef double* move_squares = norm_sums + n_groups
    cdef double total, norm, scale, penalty_factor, carried = task.carried
    cdef bint clips_each = isfinite(task.clip_each_norm)
    cdef bint clips_norm = clips_each or isfinite(task.clip_norm)
    cdef double[4] scales
    cdef int scaled
    cdef bint accumulates = task.accumulated != NULL, updates, measures = task.rule == FT_UPDATE_lamb
    cdef real* g = <real*> (task.accumulated if accumulates else task.partial)
    cdef real* scratch = <real*> task.scratch + thread * SCRATCH
    cdef const group* it
    cdef ft_update h
    while due < n_batches:
        sum_chunks(task, thread, like)
        ft_barrier_wait(&task.barrier, n_threads)
        if task.next_chunk < task.n_chunks:
            return
        total = mean_of_chunks(task, min(task.batch, task.n - due * task.batch), &scale)
        for turn in range(group_first, group_last):
            number = task.turns[turn]
            it = &task.groups[number]
            combine_chunks(task, it.offset, it.offset + it.size, like)
            if accumulates:
                axpy(<real> scale, <const real*> task.partial + it.offset, g + it.offset, it.size)
            penalty_sums[number] = group_penalty(task, it, like)
            if clips_norm:
                norm_sums[number] = trained_norm(task, it, g)
        ft_barrier_wait(&task.barrier, n_threads)
        penalty_factor = scale if task.penalty_over_batch else 1.0
        if accumulates:
            scale = 1.0 / task.accumulate
        for number in range(n_groups):
            total += penalty_sums[number] * penalty_factor
        if not isfinite(total):
            if thread == 0:
                task.status = STATUS_NOT_FINITE
            return
        if clips_norm:
            norm = 0.0
            for number in range(n_groups):
                norm += norm_sums[number]
            norm = sqrt(norm) * scale
            if norm > task.clip_norm:
                scale *= task.clip_norm / norm
        updates = completes_update(task, due)
        if updates:
            prepare_update(task, due, &h, &carried, scale)
        scaled = -1
        for turn in range(group_first, group_last if updates else group_first):
            number = task.turns[turn]
            it = &task.groups[number]
            if clips_each:
                if it.number != scaled:
                    scaled = it.number
                    part_scales(task, norm_sums, scaled, scale, scales)
                h.gradient_scale = scales[part_of(&task.layers[scaled], it)]
            if measures:
                measure_move(task, &h, penalty_factor, it, <const real*> g + it.offset, move_squares + 2 * number)
            else:
                apply_update(task, &h, penalty_factor, it, <const real*> g + it.offset, False)
            if accumulates:
                memset(g + it.offset, 0, it.size * sizeof(real))
        if measures and updates:
            apply_moves(task, &h, penalty_factor, n_threads, group_first, group_last, move_squares, penalty_sums, False,
                        like)
        if task.constrains or task.average != NULL:
            constrain_and_average(task, thread, n_threads, group_first, group_last, due, scratch)
        if thread == 0:
            task.loss_sum += total * min(task.batch, task.n - due * task.batch)
            task.carried = carried
            task.next_batch = due + 1
            task.next_chunk = 0
            # threads that take a chunk each, or the only one, are through with the batch before they know of the time
            if due + 1 < n_batches and (due - begun) % look_every == 0:
                task.stop = ft_seconds() > task.deadline
        due += 1
        ft_barrier_wait(&task.barrier, n_threads)
        if task.stop:
            return


cdef Py_ssize_t chunk_count(const fit_task* task, Py_ssize_t rows) noexcept nogil:
    """Chunks of a large batch: a matter of shapes only. Each has rows enough to be worth a gradient of its own."""
    cdef Py_ssize_t chunks = min(<Py_ssize_t> MAX_CHUNKS, rows // 256)
    return max(<Py_ssize_t> 1, min(chunks, PARTIAL_LIMIT // max(<Py_ssize_t> 1, task.n_parameters)))


cdef void fit_threads(fit_task* task, int n_threads, const real* like) noexcept nogil:
    """Runs the task's batches on n_threads threads until they are done or the deadline has passed."""
    cdef int thread
    ft_barrier_init(&task.barrier)
    if n_threads == 1:
        if in_two_phases(task, task.batch):
            small_batches(task, 0, 1, like)
        else:
            large_batches(task, 0, 1, like)
        return
    with parallel(num_threads=n_threads):
        thread = threadid()
        if in_two_phases(task, task.batch):
            small_batches(task, thread, ft_team_size(), like)
        else:
            large_batches(task, thread, ft_team_size(), like)


cdef void fit_for(fit_task* task, ft_pace* pace, double end, double* now_io, const real* like) noexcept nogil:
    """Runs the task's batches until about ``end``, on as many threads as have cores; `task.turns` is written to."""
    cdef double start, now = now_io[0], until
    cdef Py_ssize_t before
    cdef int threads
    while True:
        start = now
        threads = ft_pace_next(pace, now, &until)
        take_turns(task, threads, <Py_ssize_t*> task.turns)
        task.deadline = min(until, end)
        before = task.next_batch * task.n_chunks + task.next_chunk
        fit_threads(task, threads, like)
        now = ft_seconds()
        ft_pace_note(
            pace, <double> (task.next_batch * task.n_chunks + task.next_chunk - before) / task.n_chunks, now - start,
            task.barrier.long_waits, now)
        if task.next_batch >= task.n_batches or task.status != STATUS_OK or now >= end:
            now_io[0] = now
            return


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
    cdef double scale, total = mean_of_chunks(task, task.n, &scale)
    cdef double factor = scale if task.penalty_over_batch else 1.0
    cdef group it
    combine_chunks(task, 0, task.n_parameters, <const real*> g)
    for number in range(task.n_groups):
        it = task_group(task, number)
        shape = &task.layers[it.number]
        total += group_penalty(task, &it, <const real*> g) * factor
        memset(g_out + it.offset, 0, it.size * sizeof(real))
        if it.first < shape.n_in or shape.has_bias:
            axpy(<real> scale, <const real*> g + it.offset, g_out + it.offset, it.size)
        if it.first < shape.n_in:
            penalty_gradient(<real> (shape.l1 * factor), <real> (shape.l2 * factor),
                             <const real*> task.w + it.offset, g_out + it.offset, it.size)
    return total


cdef void finish_sums(fit_task* task, double* g_out, double* loss_out, double* weight_out,
                      const real* like) noexcept nogil:
    """Sums of loss, gradient and weights over the chunks, in their order and in float64, without the penalty."""
    cdef Py_ssize_t chunk, i
    cdef const real* g = <const real*> task.partial
    cdef const layer* shape
    cdef Py_ssize_t number
    cdef group it
    loss_out[0] = weight_out[0] = 0.0
    memset(g_out, 0, task.n_parameters * sizeof(double))
    for chunk in range(task.n_chunks):
        loss_out[0] += task.sums[chunk]
        weight_out[0] += task.sums[MAX_CHUNKS + chunk]
        for i in range(task.n_parameters):
            g_out[i] += g[chunk * task.n_parameters + i]
    for number in range(task.n_groups):
        it = task_group(task, number)
        shape = &task.layers[it.number]
        if it.first >= shape.n_in and not shape.has_bias:
            memset(g_out + it.offset, 0, it.size * sizeof(double))


cdef double objective_of_sums(fit_task* task, Py_ssize_t rows, double loss, double weight, double* g_io,
                              const real* like) noexcept nogil:
    """From sums over rows to mean loss plus penalty (returned) and its gradient."""
    cdef double scale = mean_scale(task, rows, weight), total = loss * scale * task.value_scale, l1, l2, w
    cdef double factor = scale if task.penalty_over_batch else 1.0
    cdef const layer* shape
    cdef const real* parameters = <const real*> task.w
    cdef Py_ssize_t number, i
    cdef group it
    for number in range(task.n_groups):
        it = task_group(task, number)
        shape = &task.layers[it.number]
        total += group_penalty(task, &it, like) * factor
        l1 = shape.l1 * factor if it.first < shape.n_in else 0.0
        l2 = shape.l2 * factor if it.first < shape.n_in else 0.0
        for i in range(it.offset, it.offset + it.size):
            w = parameters[i]
            g_io[i] = g_io[i] * scale + l2 * w + l1 * ((w > 0.0) - (w < 0.0))
    return total


cdef void step_of_sums(fit_task* task, double loss, double weight, const double* gradient,
                       const real* like) noexcept nogil:
    """One step on a batch whose sums are known, of task.n rows, by one thread; `task.turns` is written to."""
    cdef real* g = <real*> task.partial
    cdef Py_ssize_t i
    for i in range(task.n_parameters):
        g[i] = <real> gradient[i]
    task.n_chunks = task.next_chunk = 1
    task.sums[0] = loss
    task.sums[MAX_CHUNKS] = weight
    take_turns(task, 1, <Py_ssize_t*> task.turns)
    ft_barrier_init(&task.barrier)
    large_batches(task, 0, 1, like)


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
    cdef const real* d
    buffers_of(task, thread, &at)
    d = <const real*> at.base + at.capacity * last_layer.d
    for b in range(share(n_blocks, thread, n_threads), share(n_blocks, thread + 1, n_threads)):
        start = b * block
        m = min(block, n - start)
        for i in range(m):
            at.rows[i] = <const void*> (start + i) if task.sparse.data != NULL else x + (start + i) * ldx
        if task.n_layers == 1 and task.sparse.data == NULL:
            forward_rows(last_layer, <const real*> task.w, <const real* const*> at.rows, m,
                         z_out + start * last_layer.width, <const real* const*> NULL)
        else:
            forward(task, &at, 0, m, <const real* const*> NULL, x)
            memcpy(z_out + start * last_layer.width, d, m * last_layer.width * sizeof(real))
