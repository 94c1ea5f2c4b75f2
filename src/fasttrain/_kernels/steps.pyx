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
    GROUP, constrain_panel, forward_panels, forward_rows, group, group_at, groups_of_panel, layer, panel_count,
    transpose_group,
)
from fasttrain._kernels.normalization cimport normalization_gradient, normalized_pass
from fasttrain._kernels.passes cimport (
    LOSS_ROWS, MAX_CHUNKS, OVER_NOTHING, OVER_ROWS, SMALL_BATCH, backward, buffers, buffers_of, change_input, forward,
    gradient_of, loss_block, loss_rows, output, point_rows, share, task_group,
)
from fasttrain._kernels.penalties cimport penalty_value
from fasttrain._kernels.primitives cimport (
    FT_UPDATE_adam, FT_UPDATE_amsgrad, FT_UPDATE_nadam, approach, axpy, ft_update, penalty_gradient, prefetch_rows,
    sum_squares, update_and_square, update_span,
)
from fasttrain._kernels.threads cimport ft_barrier_init, ft_barrier_wait, ft_team_size
from fasttrain._kernels.types cimport STATUS_NOT_FINITE, STATUS_OK
from fasttrain._kernels.updates cimport adam_moments, nadam_moments, velocity_rate

cdef extern from "clock.h" nogil:
    double ft_seconds() noexcept
    Py_ssize_t ft_fetch_add(Py_ssize_t* counter) noexcept

cdef enum:
    BLOCK_BYTES = 16384         # rows of a block together: stays in L1 between its two passes
    DEEP_BLOCK_BYTES = 196608   # the same with hidden layers: rows and outputs stay in L2
    PARTIAL_LIMIT = 1 << 23     # elements of all chunk gradients together
    FETCH_BYTES = 262144        # of a batch's rows up to which the next's are fetched: more would push out the weights
    PANELS_FROM = 32768         # weights of a first layer from which they had better stay in the core that updates them


cdef void refresh_transposes(fit_task* task, const real* like) noexcept nogil:
    """W^T of every layer above the first, from the parameters."""
    cdef Py_ssize_t number
    cdef group it
    for number in range(task.n_groups):
        it = task_group(task, number)
        if task.layers[it.number].back_width:
            transpose_group(&task.layers[it.number], &it, <const real*> task.w, <real*> task.transposed)


cdef inline double mean_scale(const fit_task* task, Py_ssize_t m, double weight) noexcept nogil:
    """What makes means of the sums over m rows of a batch."""
    if task.reduction == OVER_NOTHING:
        return task.loss_scale
    if task.reduction == OVER_ROWS:
        return task.loss_scale / m
    return task.loss_scale / weight if weight > 0.0 else 0.0


cdef void prepare_update(fit_task* task, Py_ssize_t due, ft_update* h, double* carried,
                         double scale) noexcept nogil:
    """Settings of the step for batch `due`: its rate, bias corrections and gradient scale."""
    cdef double rate = task.rates[due]
    cdef double t = task.step + due + 1.0
    h[0] = task.settings
    h.learning_rate = rate
    h.gradient_scale = scale
    h.keep = 1.0 - rate * task.weight_decay
    if task.rule == FT_UPDATE_adam or task.rule == FT_UPDATE_amsgrad:
        adam_moments(h, rate, h.beta1, h.beta2, t, task.corrected_root)
    elif task.rule == FT_UPDATE_nadam:
        nadam_moments(h, rate, h.beta1, h.beta2, t, task.momentum_decay, carried)
    else:
        velocity_rate(h, task.rule, rate, h.momentum, carried)


cdef double apply_update(fit_task* task, ft_update* h, double penalty_factor, const group* it,
                         const real* g, bint want_penalty) noexcept nogil:
    """Updates one group; the penalty of its layer is put into h. Returns :func:`group_penalty` if wanted, else 0."""
    cdef double keep = h.keep, penalty = 0.0
    cdef real* w = <real*> task.w + it.offset
    cdef real* s1 = <real*> task.s1
    cdef real* s2 = <real*> task.s2
    cdef real* s3 = <real*> task.s3
    cdef const layer* shape = &task.layers[it.number]
    if it.first >= shape.n_in:
        if it.first == shape.n_in and not shape.has_bias:
            return 0.0
        # biases, gains and shifts are not penalized, nor decayed unless that is asked for
        h.l1 = h.l2 = 0.0
        if not task.decay_biases:
            h.keep = 1.0
    else:
        h.l1 = shape.l1 * penalty_factor
        h.l2 = shape.l2 * penalty_factor
    if want_penalty and it.first < shape.n_in and shape.l1 == 0.0 and shape.l2 != 0.0:
        penalty = 0.5 * shape.l2 * update_and_square(
            task.rule, h, w, g, s1 + it.offset if s1 != NULL else NULL, s2 + it.offset if s2 != NULL else NULL,
            s3 + it.offset if s3 != NULL else NULL, it.size)
    else:
        update_span(
            task.rule, h, w, g, s1 + it.offset if s1 != NULL else NULL, s2 + it.offset if s2 != NULL else NULL,
            s3 + it.offset if s3 != NULL else NULL, it.size)
        if want_penalty:
            penalty = group_penalty(task, it, g)
    h.keep = keep
    if shape.back_width:
        transpose_group(shape, it, <const real*> task.w, <real*> task.transposed)
    return penalty


cdef inline double group_penalty(fit_task* task, const group* it, const real* like) noexcept nogil:
    cdef const layer* shape = &task.layers[it.number]
    if it.first >= shape.n_in or (shape.l1 == 0.0 and shape.l2 == 0.0):
        return 0.0
    return penalty_value(<const real*> task.w + it.offset, it.size, shape.l1, shape.l2)


cdef inline double trained_norm(fit_task* task, const group* it, const real* g) noexcept nogil:
    """Sum of squares of a group's gradient; an intercept that is not trained does not count."""
    cdef const layer* shape = &task.layers[it.number]
    if it.first == shape.n_in and not shape.has_bias:
        return 0.0
    return sum_squares(g + it.offset, it.size)


cdef void part_scales(fit_task* task, const double* norm_sums, int i, double scale, double* scales_out) noexcept nogil:
    """Gradient scales of the weights, biases, gains and shifts of layer i, each held to a norm of its own.

    norm_sums: the squares of every group's gradient; scale: what makes means of sums.
    """
    cdef const layer* shape = &task.layers[i]
    cdef Py_ssize_t before = 0, number
    cdef double norm
    cdef group it
    cdef int part
    for part in range(i):
        before += task.layers[part].n_groups
    for part in range(4):
        scales_out[part] = 0.0
    for number in range(shape.n_groups):
        it = group_at(shape, number)
        scales_out[part_of(shape, &it)] += norm_sums[before + number]
    for part in range(4):
        norm = sqrt(scales_out[part]) * scale
        scales_out[part] = scale * task.clip_each_norm / norm if norm > task.clip_each_norm else scale


cdef inline int part_of(const layer* shape, const group* it) noexcept nogil:
    """0 for a group of weights, 1 for biases, 2 for gains, 3 for shifts."""
    return 0 if it.first < shape.n_in else <int> (1 + it.first - shape.n_in)


cdef inline bint overwrites(const fit_task* task, Py_ssize_t due) noexcept nogil:
    """Whether the parameters become their average after the update of batch `due`."""
    cdef double periods
    if task.average == NULL or task.average_overwrite <= 0.0:
        return False
    periods = (task.step + due + 1.0) / task.average_overwrite
    return periods == <Py_ssize_t> periods


cdef void constrain_and_average(fit_task* task, int thread, int n_threads, Py_ssize_t group_first,
                                Py_ssize_t group_last, Py_ssize_t due, real* scratch) noexcept nogil:
    """What follows the update of batch `due`: the largest norms, then the average of the parameters.

    A thread averages the groups that it has updated, and needs no barrier unless norms are held; scratch has room for
    three times a panel's columns.
    """
    cdef Py_ssize_t panel, turn, number, total = 0, part
    cdef double count, factor
    cdef layer* shape
    cdef group it
    cdef int i
    if task.constrains:
        ft_barrier_wait(&task.barrier, n_threads)
        for i in range(task.n_layers):
            shape = &task.layers[i]
            for panel in range(panel_count(shape)):
                total += 1
                if not isfinite(shape.max_norm) or total % n_threads != thread:
                    continue
                constrain_panel(shape, panel, <real*> task.w, <double*> scratch, scratch + 2 * GROUP)
                if shape.back_width:
                    for part in range(groups_of_panel(shape)):
                        it = group_at(shape, panel * groups_of_panel(shape) + part)
                        transpose_group(shape, &it, <const real*> task.w, <real*> task.transposed)
    if task.average == NULL:
        return
    count = task.step + due + 1.0 - task.average_start
    if count <= 0.0:
        factor = 1.0
    elif count / task.average_every != <Py_ssize_t> (count / task.average_every):
        return
    elif task.average_equally:
        factor = 1.0 / (count / task.average_every + 1.0)
    else:
        factor = 1.0 - task.average_decay
    if task.constrains:
        ft_barrier_wait(&task.barrier, n_threads)
    for turn in range(group_first, group_last):
        number = task.turns[turn]
        it = task_group(task, number)
        approach(<real> factor, <const real*> task.w + it.offset, <real*> task.average + it.offset, it.size)
        if overwrites(task, due):
            memcpy(<real*> task.w + it.offset, <const real*> task.average + it.offset, it.size * sizeof(real))
            shape = &task.layers[it.number]
            if shape.back_width:
                transpose_group(shape, &it, <const real*> task.w, <real*> task.transposed)


cdef bint in_two_phases(const fit_task* task, Py_ssize_t batch) noexcept nogil:
    """Whether a step keeps all rows of its batch; normalization and a caller's loss need them together."""
    return batch <= SMALL_BATCH or task.n_statistics > 0 or task.caller != NULL


cdef void take_turns(fit_task* task, int n_threads, Py_ssize_t* turns_out) noexcept nogil:
    """Which thread updates which group: of each layer an equal share, whole panels where they can be shared out."""
    cdef Py_ssize_t at = 0, before, number, n
    cdef int thread, i
    for thread in range(n_threads):
        before = 0
        for i in range(task.n_layers):
            n = task.layers[i].n_groups
            for number in range(share(n, thread, n_threads), share(n, thread + 1, n_threads)):
                turns_out[at] = before + number
                at += 1
            before += n


cdef inline Py_ssize_t first_turn(const fit_task* task, int thread, int n_threads) noexcept nogil:
    cdef Py_ssize_t total = 0
    cdef int i
    for i in range(task.n_layers):
        total += share(task.layers[i].n_groups, thread, n_threads)
    return total


cdef inline bint follows(const fit_task* task, Py_ssize_t turn, Py_ssize_t first) noexcept nogil:
    """Whether the group of this turn comes right after the one before it."""
    return turn > first and task.turns[turn - 1] == task.turns[turn] - 1


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


cdef void fetch_rows(const fit_task* task, Py_ssize_t first, Py_ssize_t last, const real* like) noexcept nogil:
    """Asks for rows [first, last) of the order, which a later step will read."""
    cdef const real* x = <const real*> task.x
    cdef const real* row
    cdef Py_ssize_t i
    for i in range(first, last):
        row = x + (i if task.order == NULL else task.order[i]) * task.ldx
        prefetch_rows(&row, 1, task.layers[0].n_in)


cdef void small_batches(fit_task* task, int thread, int n_threads, const real* like) noexcept nogil:
    """Runs batches whose rows are kept until the run ends or its time is over; called by every thread."""
    cdef Py_ssize_t n_groups = task.n_groups, start, m, first, last, position, b, n_sums, number, turn
    cdef Py_ssize_t fetched, to_fetch, block = loss_block(task)
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
    cdef real* gathered = <real*> task.gathered + thread * LOSS_ROWS * (task.gathered_width + 1)
    cdef real* scratch = <real*> task.scratch + thread * SCRATCH
    cdef real* whole_gradient = <real*> task.partial
    cdef real* g
    cdef bint clips_each = isfinite(task.clip_each_norm)
    cdef bint clips_norm = clips_each or isfinite(task.clip_norm), stop = False
    cdef bint by_panels = keeps_panels(task, n_threads)
    # what the update has made of the weights is not yet what they will be
    cdef bint changes = task.constrains or task.average_overwrite > 0.0
    cdef double[4] scales
    cdef int scaled
    cdef bint fetches = (task.sparse.data == NULL
                         and task.batch * task.layers[0].n_in * <Py_ssize_t> sizeof(real) <= FETCH_BYTES)
    cdef double total, weight, norm, carried = task.carried, scale, penalty_factor
    cdef group it
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
                it = task_group(task, number)
                penalty_sums[due % 2 * n_groups + number] = group_penalty(task, &it, like)
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
        scale = mean_scale(task, m, weight)
        penalty_factor = scale if task.penalty_over_batch else 1.0
        total *= scale * task.value_scale
        for number in range(n_groups):
            total += penalty_sums[due % 2 * n_groups + number] * penalty_factor
        if not isfinite(total):
            if thread == 0:
                task.status = STATUS_NOT_FINITE
            return
        if clips_norm:
            for turn in range(group_first, group_last):
                number = task.turns[turn]
                it = task_group(task, number)
                group_gradient_of(task, &at, thread, &it, m, follows(task, turn, group_first),
                                  whole_gradient + it.offset)
                norm_sums[number] = trained_norm(task, &it, whole_gradient)
            ft_barrier_wait(&task.barrier, n_threads)
            norm = 0.0
            for number in range(n_groups):
                norm += norm_sums[number]
            norm = sqrt(norm) * scale
            if norm > task.clip_norm:
                scale *= task.clip_norm / norm
        prepare_update(task, due, &h, &carried, scale)
        scaled = -1
        # memory would be idle while the weights are worked on: the next batch's rows are fetched bit by bit
        fetched = min(task.n, start + m + (0 if by_panels else first))
        to_fetch = min(task.n, start + m + (m if by_panels else last)) - fetched
        if due + 1 == n_batches or not fetches:
            to_fetch = 0
        for turn in range(group_first, group_last):
            number = task.turns[turn]
            it = task_group(task, number)
            position = share(to_fetch, <int> (turn - group_first), <int> (group_last - group_first))
            fetch_rows(task, fetched + position, fetched + share(
                to_fetch, <int> (turn + 1 - group_first), <int> (group_last - group_first)), like)
            g = whole_gradient + it.offset
            if not clips_norm:
                g = scratch
                group_gradient_of(task, &at, thread, &it, m, follows(task, turn, group_first), g)
            if clips_each:
                if it.number != scaled:
                    scaled = it.number
                    part_scales(task, norm_sums, scaled, scale, scales)
                h.gradient_scale = scales[part_of(&task.layers[scaled], &it)]
            penalty_sums[(due + 1) % 2 * n_groups + number] = apply_update(
                task, &h, penalty_factor, &it, <const real*> g, not changes)
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
    cdef const void** rows
    cdef const void** next_rows
    cdef const void** later_rows
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
    later_rows = next_rows + at.capacity
    point_rows(task, first, min(block, last - first), rows, like)
    if position + block < last:
        point_rows(task, position + block, min(block, last - position - block), next_rows, like)
    while position < last:
        count = min(block, last - position)
        ahead = NULL
        if position + 3 * block <= last:
            if task.sparse.data == NULL:
                ahead = <const real* const*> later_rows
            point_rows(task, position + 2 * block, block, later_rows, like)
        elif position + 2 * block < last:
            point_rows(task, position + 2 * block, last - position - 2 * block, later_rows, like)
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
    cdef Py_ssize_t due = task.next_batch, n_batches = task.n_batches
    cdef double* penalty_sums = task.sums + 2 * MAX_CHUNKS
    cdef double* norm_sums = penalty_sums + n_groups
    cdef double total, norm, scale, penalty_factor, carried = task.carried
    cdef bint clips_each = isfinite(task.clip_each_norm)
    cdef double[4] scales
    cdef int scaled
    cdef real* g = <real*> task.partial
    cdef real* scratch = <real*> task.scratch + thread * SCRATCH
    cdef group it
    cdef ft_update h
    while due < n_batches:
        sum_chunks(task, thread, like)
        ft_barrier_wait(&task.barrier, n_threads)
        if task.next_chunk < task.n_chunks:
            return
        for turn in range(group_first, group_last):
            number = task.turns[turn]
            it = task_group(task, number)
            combine_chunks(task, it.offset, it.offset + it.size, like)
            penalty_sums[number] = group_penalty(task, &it, like)
            norm_sums[number] = trained_norm(task, &it, g)
        ft_barrier_wait(&task.barrier, n_threads)
        total = mean_of_chunks(task, min(task.batch, task.n - due * task.batch), &scale)
        penalty_factor = scale if task.penalty_over_batch else 1.0
        norm = 0.0
        for number in range(n_groups):
            total += penalty_sums[number] * penalty_factor
            norm += norm_sums[number]
        if not isfinite(total):
            if thread == 0:
                task.status = STATUS_NOT_FINITE
            return
        norm = sqrt(norm) * scale
        if norm > task.clip_norm:
            scale *= task.clip_norm / norm
        prepare_update(task, due, &h, &carried, scale)
        scaled = -1
        for turn in range(group_first, group_last):
            number = task.turns[turn]
            it = task_group(task, number)
            if clips_each:
                if it.number != scaled:
                    scaled = it.number
                    part_scales(task, norm_sums, scaled, scale, scales)
                h.gradient_scale = scales[part_of(&task.layers[scaled], &it)]
            apply_update(task, &h, penalty_factor, &it, <const real*> g + it.offset, False)
        if task.constrains or task.average != NULL:
            constrain_and_average(task, thread, n_threads, group_first, group_last, due, scratch)
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


cdef void fit_for(fit_task* task, ft_pace* pace, double seconds, const real* like) noexcept nogil:
    """Runs the task's batches for about ``seconds``, on as many threads as have cores; `task.turns` is written to."""
    cdef double start, now = ft_seconds(), end = now + seconds, until
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
