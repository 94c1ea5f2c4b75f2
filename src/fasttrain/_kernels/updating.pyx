"""What a step does to the parameters once their gradient is there: penalty, update, largest norms, average.

The parameters are worked on in groups, each contiguous and small enough for the cache; a thread has groups of every
layer.
"""

from libc.math cimport sqrt
from libc.string cimport memcpy

from fasttrain._kernels.layers cimport (
    GROUP, constrain_panel, group, group_at, groups_of_panel, is_constrained, layer, panel_count, transpose_group,
)
from fasttrain._kernels.passes cimport fit_task, share, task_group
from fasttrain._kernels.penalties cimport penalty_value
from fasttrain._kernels.primitives cimport (
    FT_UPDATE_adam, FT_UPDATE_adamax, FT_UPDATE_amsgrad, FT_UPDATE_lamb, FT_UPDATE_nadam, approach, ft_update,
    moments_and_squares, sum_squares, update_and_square, update_span, weight_squares,
)
from fasttrain._kernels.threads cimport ft_barrier_wait
from fasttrain._kernels.types cimport real
from fasttrain._kernels.updates cimport adam_moments, adamax_moments, lamb_moments, nadam_moments, trust, velocity_rate


cdef void refresh_transposes(fit_task* task, const real* like) noexcept nogil:
    """W^T of every layer above the first, from the parameters."""
    cdef Py_ssize_t number
    cdef group it
    for number in range(task.n_groups):
        it = task_group(task, number)
        if task.layers[it.number].back_width:
            transpose_group(&task.layers[it.number], &it, <const real*> task.w, <real*> task.transposed)


cdef void prepare_update(fit_task* task, Py_ssize_t due, ft_update* h, double* carried,
                         double scale) noexcept nogil:
    """Settings of the step for batch `due`: its rate, bias corrections and gradient scale."""
    cdef double rate = task.rates[due]
    cdef double t = update_number(task, due)
    h[0] = task.settings
    h.learning_rate = rate
    h.gradient_scale = scale
    if task.rule == FT_UPDATE_lamb:
        lamb_moments(h, rate, h.beta1, h.beta2, t)
    elif task.rule == FT_UPDATE_adam or task.rule == FT_UPDATE_amsgrad:
        adam_moments(h, rate, h.beta1, h.beta2, t, task.corrected_root)
    elif task.rule == FT_UPDATE_adamax:
        adamax_moments(h, rate, h.beta1, h.beta2, t)
    elif task.rule == FT_UPDATE_nadam:
        nadam_moments(h, rate, h.beta1, h.beta2, t, task.momentum_decay, carried)
    else:
        velocity_rate(h, task.rule, rate, h.momentum, carried)


cdef inline bint settle(fit_task* task, ft_update* h, double penalty_factor, const group* it) noexcept nogil:
    """Puts a group's penalty and decay into h; whether the group is trained."""
    cdef const layer* shape = &task.layers[it.number]
    h.l1 = h.l2 = 0.0
    h.keep = 1.0
    if it.first < shape.n_in:
        h.l1 = shape.l1 * penalty_factor
        h.l2 = shape.l2 * penalty_factor
    # biases, gains and shifts are not penalized, nor decayed unless that is asked for
    if it.first < shape.n_in or task.decay_biases:
        h.keep = 1.0 - h.learning_rate * task.weight_decay
    return it.first != shape.n_in or shape.has_bias


cdef void measure_move(fit_task* task, ft_update* h, double penalty_factor, const group* it, const real* g,
                       double* squares_out) noexcept nogil:
    """What a rule that is scaled by norms does with a group's gradient: its moments, and the squares of its decayed
    weights and of its moves."""
    squares_out[0] = squares_out[1] = 0.0
    if settle(task, h, penalty_factor, it):
        moments_and_squares(h, <const real*> task.w + it.offset, g, <real*> task.s1 + it.offset,
                            <real*> task.s2 + it.offset, it.size, squares_out)


cdef void apply_moves(fit_task* task, ft_update* h, double penalty_factor, int n_threads, Py_ssize_t group_first,
                      Py_ssize_t group_last, const double* move_squares, double* penalties_out, bint want_penalty,
                      const real* like) noexcept nogil:
    """Updates the groups of a thread once all threads have measured theirs; called by every thread.

    move_squares: two sums of each group; penalties_out: what :func:`apply_update` returns, by the groups' numbers.
    """
    cdef Py_ssize_t turn, number, other, before
    cdef double step = h.step
    cdef double[8] squares
    cdef int scaled = -1, i, part
    cdef const layer* shape
    cdef const group* it
    cdef group one
    ft_barrier_wait(&task.barrier, n_threads)
    for turn in range(group_first, group_last):
        number = task.turns[turn]
        it = &task.groups[number]
        shape = &task.layers[it.number]
        if it.number != scaled:
            scaled = it.number
            before = 0
            for i in range(scaled):
                before += task.layers[i].n_groups
            for i in range(8):
                squares[i] = 0.0
            for other in range(shape.n_groups):
                one = group_at(shape, other)
                part = part_of(shape, &one)
                squares[2 * part] += move_squares[2 * (before + other)]
                squares[2 * part + 1] += move_squares[2 * (before + other) + 1]
        trust(h, step, squares + 2 * part_of(shape, it))
        penalties_out[number] = apply_update(task, h, penalty_factor, it, like, want_penalty)


cdef double apply_update(fit_task* task, ft_update* h, double penalty_factor, const group* it,
                         const real* g, bint want_penalty) noexcept nogil:
    """Updates one group, with its layer's penalty. Returns :func:`group_penalty` if wanted, else 0."""
    cdef double penalty = 0.0
    cdef real* w = <real*> task.w + it.offset
    cdef real* s1 = <real*> task.s1
    cdef real* s2 = <real*> task.s2
    cdef real* s3 = <real*> task.s3
    cdef const layer* shape = &task.layers[it.number]
    if not settle(task, h, penalty_factor, it):
        return 0.0
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
    if shape.back_width:
        transpose_group(shape, it, <const real*> task.w, <real*> task.transposed)
    return penalty


cdef double group_penalty(fit_task* task, const group* it, const real* like) noexcept nogil:
    cdef const layer* shape = &task.layers[it.number]
    if it.first >= shape.n_in or (shape.l1 == 0.0 and shape.l2 == 0.0):
        return 0.0
    if shape.l1 == 0.0:
        return 0.5 * shape.l2 * weight_squares(<const real*> task.w + it.offset, it.size)
    return penalty_value(<const real*> task.w + it.offset, it.size, shape.l1, shape.l2)


cdef double trained_norm(fit_task* task, const group* it, const real* g) noexcept nogil:
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


cdef inline bint overwrites(const fit_task* task, Py_ssize_t due) noexcept nogil:
    """Whether the parameters become their average after the update of batch `due`."""
    cdef double periods
    if task.average == NULL or task.average_overwrite <= 0.0:
        return False
    periods = update_number(task, due) / task.average_overwrite
    return periods == <Py_ssize_t> periods


cdef void constrain_and_average(fit_task* task, int thread, int n_threads, Py_ssize_t group_first,
                                Py_ssize_t group_last, Py_ssize_t due, real* scratch) noexcept nogil:
    """What follows the update of batch `due`: the constraints, then the average of the parameters.

    A thread averages the groups that it has updated, and needs no barrier unless weights are constrained; scratch has
    room for three times a panel's columns.
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
                if not is_constrained(shape) or total % n_threads != thread:
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


cdef void take_turns(fit_task* task, int n_threads, Py_ssize_t* turns_out) noexcept nogil:
    """Which thread updates which group: of each layer an equal share, whole panels where they can be shared out.

    Groups of the same features in the panels of a strip come one after the other.
    """
    cdef Py_ssize_t at = 0, before, number, n, first, last, strip, part, per_panel, panel
    cdef int thread, i
    cdef const layer* shape
    for thread in range(n_threads):
        before = 0
        for i in range(task.n_layers):
            shape = &task.layers[i]
            n = shape.n_groups
            first = share(n, thread, n_threads)
            last = share(n, thread + 1, n_threads)
            per_panel = groups_of_panel(shape)
            strip = strip_of(task, i)
            while first < last:
                # the panels of a strip as far as the share goes; another thread may have begun the first of them
                panel = first // per_panel
                number = min(last, (panel + strip) * per_panel)
                if strip == 1 or shape.normalize or number - first <= per_panel:
                    for number in range(first, number):
                        turns_out[at] = before + number
                        at += 1
                    first = min(last, (panel + strip) * per_panel)
                    continue
                for part in range(per_panel):
                    for panel in range(first // per_panel, (number + per_panel - 1) // per_panel):
                        if first <= panel * per_panel + part < number:
                            turns_out[at] = before + panel * per_panel + part
                            at += 1
                first = number
            before += n
