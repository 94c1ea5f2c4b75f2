"""What a step does to the parameters once their gradient is there; fasttrain._kernels.steps calls it."""

from libc.math cimport floor, fmod

from fasttrain._kernels.layers cimport group, layer
from fasttrain._kernels.passes cimport fit_task, share
from fasttrain._kernels.primitives cimport FT_STRIP_PANELS, ft_update
from fasttrain._kernels.types cimport real

cdef enum:
    NARROW_BYTES = 64           # of a panel's rows: two vectors where there are 16 registers

cdef inline Py_ssize_t first_turn(const fit_task* task, int thread, int n_threads) noexcept nogil:
    cdef Py_ssize_t total = 0
    cdef int i
    for i in range(task.n_layers):
        total += share(task.layers[i].n_groups, thread, n_threads)
    return total

cdef inline bint follows(const fit_task* task, Py_ssize_t turn, Py_ssize_t first) noexcept nogil:
    """Whether the group of this turn comes right after the one before it."""
    return turn > first and task.turns[turn - 1] == task.turns[turn] - 1

cdef inline Py_ssize_t strip_of(const fit_task* task, int number) noexcept nogil:
    """Panels of a layer whose gradients are taken together: narrow ones do little work for a line of A that they read.

    Not over sparse rows, where the group of the next features goes on from the last.
    """
    cdef const layer* shape = &task.layers[number]
    cdef Py_ssize_t size = 8 if task.is_double else 4
    if shape.panel == 0 or shape.panel * size > NARROW_BYTES or (number == 0 and task.sparse.data != NULL):
        return 1
    return FT_STRIP_PANELS

cdef inline double update_number(const fit_task* task, Py_ssize_t due) noexcept nogil:
    """Of the update, from 1, that batch `due` belongs to."""
    cdef double batches = task.step + due
    return floor(batches / task.accumulate) + 1.0 if task.accumulated != NULL else batches + 1.0

cdef inline bint completes_update(const fit_task* task, Py_ssize_t due) noexcept nogil:
    """Whether the parameters move after batch `due`."""
    return task.accumulated == NULL or fmod(task.step + due + 1.0, task.accumulate) == 0.0

cdef inline int part_of(const layer* shape, const group* it) noexcept nogil:
    """0 for a group of weights, 1 for biases, 2 for gains, 3 for shifts."""
    return 0 if it.first < shape.n_in else <int> (1 + it.first - shape.n_in)

cdef void take_turns(fit_task* task, int n_threads, Py_ssize_t* turns_out) noexcept nogil
cdef void refresh_transposes(fit_task* task, const real* like) noexcept nogil
cdef void prepare_update(fit_task* task, Py_ssize_t due, ft_update* h, double* carried, double scale) noexcept nogil
cdef double apply_update(fit_task* task, ft_update* h, double penalty_factor, const group* it, const real* g,
                         bint want_penalty) noexcept nogil
cdef void measure_move(fit_task* task, ft_update* h, double penalty_factor, const group* it, const real* g,
                       double* squares_out) noexcept nogil
cdef void apply_moves(fit_task* task, ft_update* h, double penalty_factor, int n_threads, Py_ssize_t group_first,
                      Py_ssize_t group_last, const double* move_squares, double* penalties_out, bint want_penalty,
                      const real* like) noexcept nogil
cdef double group_penalty(fit_task* task, const group* it, const real* like) noexcept nogil
cdef double trained_norm(fit_task* task, const group* it, const real* g) noexcept nogil
cdef void part_scales(fit_task* task, const double* norm_sums, int i, double scale, double* scales_out) noexcept nogil
cdef void constrain_and_average(fit_task* task, int thread, int n_threads, Py_ssize_t group_first,
                                Py_ssize_t group_last, Py_ssize_t due, real* scratch) noexcept nogil
