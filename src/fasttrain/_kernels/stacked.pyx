"""Many full-batch linear fits over the same rows, stacked into one product: folds and candidates of a cross-validation.

A fit (a *job*) sees all rows but those it holds out, which get the weight 0; its outputs are rows of one stacked
weight matrix ``W``. A step of all jobs goes over blocks of rows: ``Z = W X^T`` by tiles, each job's loss and loss
gradient on its rows of ``Z``, ``G += D X``; after the last block each job takes its own update. The block is laid out
both ways round once, for all jobs. Jobs do not exchange anything, so threads take different stacks and the result does
not depend on how jobs are spread over stacks.

Arguments are trusted, as everywhere in this package.
"""

import numpy as np

from cython.parallel cimport prange
from libc.math cimport INFINITY, isfinite, sqrt
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from fasttrain._kernels.penalties cimport penalty_value
from fasttrain._kernels.primitives cimport (
    FT_LOSS_softmax_crossentropy, FT_UPDATE_adam, FT_UPDATE_adamax, FT_UPDATE_amsgrad, FT_UPDATE_lamb, FT_UPDATE_nadam,
    all_finite, axpy, ft_update, lanes, loss_span, moments_and_squares, panel_width, rows_panel, softmax_loss,
    sum_squares, update_span,
)
from fasttrain._kernels.signals cimport PyErr_CheckSignals
from fasttrain._kernels.types cimport real
from fasttrain._kernels.updates cimport (
    adam_moments, adamax_moments, lamb_moments, nadam_moments, trust, update_constants, velocity_rate,
)

from fasttrain._kernels import losses as _losses
from fasttrain._kernels import updates as _updates

cdef extern from "clock.h" nogil:
    double ft_seconds() noexcept

cdef enum:
    BLOCK_ROWS = 256        # rows of a block: their predictions for all jobs stay in the second-level cache

cdef double SLICE_SECONDS = 0.04

# How a job ended; RUNNING until then.
RUNNING, SETTLED, ENDED, DIVERGED = range(4)

cdef enum:
    _RUNNING = 0
    _SETTLED = 1            # its loss did not improve any more
    _ENDED = 2              # its epochs are over
    _DIVERGED = 3           # its loss or its weights left the finite numbers


cdef inline Py_ssize_t up(Py_ssize_t n, Py_ssize_t multiple) noexcept nogil:
    return (n + multiple - 1) // multiple * multiple


cdef void pack_block(const stack_task* t, Py_ssize_t start, Py_ssize_t m, real* columns_out,
                     real* rows_out) noexcept nogil:
    """Rows [start, start + m) as panels of columns (features by rows) and of rows (rows by features)."""
    cdef const real* x = <const real*> t.x + start * t.k
    cdef Py_ssize_t panel = panel_width(<const real*> x), lane = lanes(<const real*> x)
    cdef Py_ssize_t first, width, count, i, f
    cdef real* out
    first = 0
    while first < m:
        count = min(panel, m - first)
        width = up(count, lane)
        out = columns_out + first * t.k1
        for f in range(t.k):
            for i in range(count):
                out[f * width + i] = x[(first + i) * t.k + f]
            for i in range(count, width):
                out[f * width + i] = 0
        if t.has_bias:
            for i in range(width):
                out[t.k * width + i] = 1
        first += panel
    first = 0
    while first < t.k1:
        width = min(panel, t.k1_padded - first)
        count = min(width, t.k - first)
        out = rows_out + first * m
        for i in range(m):
            if count > 0:
                memcpy(out + i * width, x + i * t.k + first, count * sizeof(real))
            for f in range(max(<Py_ssize_t> 0, count), width):
                out[i * width + f] = 1 if t.has_bias and first + f == t.k else 0
        first += panel


cdef const real* held_out(const stack_task* t, job_state* job, Py_ssize_t start, Py_ssize_t m,
                          real* weights_out) noexcept nogil:
    """Weights of a block's rows for a job, 0 where it holds a row out; NULL when all are 1."""
    cdef const real* shared = <const real*> t.weight
    cdef Py_ssize_t i
    if job.next_held >= job.n_held or job.held[job.next_held] >= start + m:
        return shared + start if shared != NULL else NULL
    if shared != NULL:
        memcpy(weights_out, shared + start, m * sizeof(real))
    else:
        for i in range(m):
            weights_out[i] = 1
    while job.next_held < job.n_held and job.held[job.next_held] < start + m:
        weights_out[job.held[job.next_held] - start] = 0
        job.next_held += 1
    return weights_out


cdef void job_loss(const stack_task* t, job_state* job, Py_ssize_t start, Py_ssize_t m, real* z_io) noexcept nogil:
    """Adds a job's loss on a block to its sum and turns its predictions (an output a row) into their gradient."""
    cdef const real* weight = held_out(t, job, start, m, <real*> t.weights)
    cdef const real* y = <const real*> t.y + start
    cdef real* logits = <real*> t.logits
    cdef Py_ssize_t n_outputs = t.n_outputs, i, c
    if t.loss == FT_LOSS_softmax_crossentropy:
        for c in range(n_outputs):
            for i in range(m):
                logits[i * n_outputs + c] = z_io[c * BLOCK_ROWS + i]
        job.loss_sum += softmax_loss(
            y, 1, <const real*> logits, n_outputs, weight, m, n_outputs, True, logits, n_outputs)
        for c in range(n_outputs):
            for i in range(m):
                z_io[c * BLOCK_ROWS + i] = logits[i * n_outputs + c]
        return
    for c in range(n_outputs):
        job.loss_sum += loss_span(
            t.loss, <real> t.loss_parameter, y + c * t.n, <const real*> z_io + c * BLOCK_ROWS, weight, m, True,
            z_io + c * BLOCK_ROWS)


cdef void block(stack_task* t, Py_ssize_t start, Py_ssize_t m, const real* like) noexcept nogil:
    """One block of rows for all active jobs: predictions, losses, and its part of the gradients."""
    cdef Py_ssize_t panel = panel_width(like), lane = lanes(like), first, count, j, c, width
    cdef Py_ssize_t n_outputs = t.n_outputs, n_rows = t.n_active * n_outputs, size = t.k1_padded
    cdef const real* columns
    cdef const real* rows
    cdef real* z = <real*> t.z
    cdef real* g = <real*> t.g
    cdef real* g_block = <real*> t.g_block
    cdef const real** w_rows = <const real**> t.w_rows
    cdef const real** d_rows = <const real**> t.d_rows
    if t.is_packed:
        columns = <const real*> t.packed_columns + (start // BLOCK_ROWS) * BLOCK_ROWS * t.k1
        rows = <const real*> t.packed_rows + (start // BLOCK_ROWS) * BLOCK_ROWS * t.k1_padded
    else:
        pack_block(t, start, m, <real*> t.columns, <real*> t.rows)
        columns = <const real*> t.columns
        rows = <const real*> t.rows
    for j in range(t.n_active):
        for c in range(n_outputs):
            w_rows[j * n_outputs + c] = <const real*> t.active[j].w + c * t.k1
            d_rows[j * n_outputs + c] = z + (j * n_outputs + c) * BLOCK_ROWS
    first = 0
    while first < m:
        count = min(panel, m - first)
        rows_panel(
            w_rows, n_rows, t.k1, columns + first * t.k1, up(count, lane), <const real*> NULL, z + first, BLOCK_ROWS)
        first += panel
    for j in range(t.n_active):
        job_loss(t, t.active[j], start, m, z + j * n_outputs * BLOCK_ROWS)
    first = 0
    while first < t.k1:
        width = min(panel, size - first)
        rows_panel(d_rows, n_rows, m, rows + first * m, width, <const real*> NULL, g_block + first, size)
        first += panel
    if start == 0:
        memcpy(g, g_block, n_rows * size * sizeof(real))
    else:
        axpy(<real> 1, <const real*> g_block, g, n_rows * size)


cdef void step(stack_task* t, job_state* job, real* g) noexcept nogil:
    """End of a job's epoch: its objective, its update, and whether it stops."""
    cdef Py_ssize_t c, size = t.k1_padded, epoch = job.n_iter
    cdef double rate = job.rates[epoch], objective, norm = 0.0
    cdef real* w = <real*> job.w
    cdef real* s1 = <real*> job.s1
    cdef real* s2 = <real*> job.s2
    cdef real* s3 = <real*> job.s3
    cdef real* row
    cdef ft_update h = job.settings, bias
    cdef double[4] squares
    objective = job.loss_sum * job.scale
    if h.l1 != 0.0 or h.l2 != 0.0:
        for c in range(t.n_outputs):
            objective += penalty_value(<const real*> w + c * t.k1, t.k, h.l1, h.l2)
    if not isfinite(objective):
        job.status = _DIVERGED
        return
    h.gradient_scale = job.scale
    if isfinite(job.clip_norm):
        for c in range(t.n_outputs):
            norm += sum_squares(<const real*> g + c * size, t.k1)
        norm = sqrt(norm) * job.scale
        if norm > job.clip_norm:
            h.gradient_scale *= job.clip_norm / norm
    h.learning_rate = rate
    h.keep = 1.0 - rate * job.weight_decay
    if job.rule == FT_UPDATE_adam or job.rule == FT_UPDATE_amsgrad:
        adam_moments(&h, rate, h.beta1, h.beta2, epoch + 1.0, job.corrected_root)
    elif job.rule == FT_UPDATE_lamb:
        lamb_moments(&h, rate, h.beta1, h.beta2, epoch + 1.0)
    elif job.rule == FT_UPDATE_adamax:
        adamax_moments(&h, rate, h.beta1, h.beta2, epoch + 1.0)
    elif job.rule == FT_UPDATE_nadam:
        nadam_moments(&h, rate, h.beta1, h.beta2, epoch + 1.0, job.momentum_decay, &job.carried)
    else:
        velocity_rate(&h, job.rule, rate, h.momentum, &job.carried)
    # biases are neither penalized nor decayed
    bias = h
    bias.l1 = 0.0
    bias.l2 = 0.0
    bias.keep = 1.0
    if job.rule == FT_UPDATE_lamb:
        squares[0] = squares[1] = squares[2] = squares[3] = 0.0
        for c in range(t.n_outputs):
            moments_and_squares(&h, <const real*> w + c * t.k1, <const real*> g + c * size, s1 + c * t.k1,
                                s2 + c * t.k1, t.k, squares)
            if t.has_bias:
                moments_and_squares(&bias, <const real*> w + c * t.k1 + t.k, <const real*> g + c * size + t.k,
                                    s1 + c * t.k1 + t.k, s2 + c * t.k1 + t.k, 1, squares + 2)
        trust(&bias, h.step, squares + 2)
        trust(&h, h.step, squares)
    for c in range(t.n_outputs):
        row = w + c * t.k1
        update_span(
            job.rule, &h, row, <const real*> g + c * size, s1 + c * t.k1 if s1 != NULL else NULL,
            s2 + c * t.k1 if s2 != NULL else NULL, s3 + c * t.k1 if s3 != NULL else NULL, t.k)
        if t.has_bias:
            update_span(
                job.rule, &bias, row + t.k, <const real*> g + c * size + t.k,
                s1 + c * t.k1 + t.k if s1 != NULL else NULL, s2 + c * t.k1 + t.k if s2 != NULL else NULL,
                s3 + c * t.k1 + t.k if s3 != NULL else NULL, 1)
    job.history[epoch] = objective
    job.n_iter = epoch + 1
    if not all_finite(<const real*> w, t.n_outputs * t.k1):
        job.status = _DIVERGED
        return
    job.waited = 0 if objective < job.best - job.tol else job.waited + 1
    job.best = min(job.best, objective)
    if job.waited >= job.patience:
        job.status = _SETTLED
    elif job.n_iter == job.max_iter:
        job.status = _ENDED


cdef void run_stack(stack_task* t, double deadline, const real* like) noexcept nogil:
    """Epochs until every job has ended, or until the deadline, which is looked at after each block."""
    cdef Py_ssize_t j, left, start
    while t.n_active:
        if t.next_block == 0:
            for j in range(t.n_active):
                t.active[j].loss_sum = 0.0
                t.active[j].next_held = 0
        start = t.next_block * BLOCK_ROWS
        block(t, start, min(<Py_ssize_t> BLOCK_ROWS, t.n - start), like)
        t.next_block += 1
        if t.next_block * BLOCK_ROWS >= t.n:
            t.next_block = 0
            for j in range(t.n_active):
                step(t, t.active[j], <real*> t.g + j * t.n_outputs * t.k1_padded)
            left = 0
            for j in range(t.n_active):
                if t.active[j].status == _RUNNING:
                    t.active[left] = t.active[j]
                    left += 1
            t.n_active = left
        if ft_seconds() > deadline:
            return


cdef void shape(stack_task* t, Py_ssize_t n, Py_ssize_t k, bint fit_intercept, const real* like) noexcept nogil:
    t.n = n
    t.k = k
    t.has_bias = fit_intercept
    t.k1 = k + fit_intercept
    t.k1_padded = up(t.k1, lanes(like))
    t.is_double = sizeof(real) == 8


def pack(const real[:, ::1] X, bint fit_intercept):
    """X (n rows of k) laid out both ways, for all stacks over it: (by columns, by rows), flat arrays."""
    cdef stack_task t
    cdef Py_ssize_t start = 0, n = X.shape[0]
    cdef real[::1] columns_view, rows_view
    memset(&t, 0, sizeof(stack_task))
    shape(&t, n, X.shape[1], fit_intercept, &X[0, 0])
    t.x = &X[0, 0]
    dtype = np.float64 if sizeof(real) == 8 else np.float32
    columns = np.empty(up(n, BLOCK_ROWS) * t.k1, dtype)
    rows = np.empty(up(n, BLOCK_ROWS) * t.k1_padded, dtype)
    columns_view, rows_view = columns, rows
    with nogil:
        while start < n:
            pack_block(&t, start, min(<Py_ssize_t> BLOCK_ROWS, n - start), &columns_view[start * t.k1],
                       &rows_view[start * t.k1_padded])
            start += BLOCK_ROWS
    return columns, rows


cdef class Stack:
    """Some jobs over the same rows.

    Parameters
    ----------
    X : float32 or float64 array of shape (n, k), C-contiguous
    y : array of X's dtype, shape (n_outputs, n), or (1, n) class codes for the softmax
    sample_weight : array of X's dtype, shape (n,), or None
    loss : str
        One of ``_kernels.losses.NAMES``.
    loss_parameter : float
    n_outputs : int
    fit_intercept : bool
    jobs : list of dict
        For each: ``rule``, ``slots``, ``settings`` and ``initial_state`` (as ``Network.set_optimizer`` takes them),
        ``l1``, ``l2``, ``rates`` (float64 array, one a step), ``tol``, ``patience``, ``held`` (int64 array, ascending:
        rows that it does not see), ``scale`` (one over the weight of the rows that it sees). It makes ``len(rates)``
        steps at most.
    packed : tuple or None
        What :func:`pack` has made of X; None lays out each block in each step.
    """

    def __cinit__(self):
        memset(&self.task, 0, sizeof(stack_task))

    def __init__(self, X, y, sample_weight, loss, double loss_parameter, Py_ssize_t n_outputs, bint fit_intercept,
                 list jobs, tuple packed=None):
        cdef stack_task* t = &self.task
        cdef Py_ssize_t i, n_rows, size, n = X.shape[0], k = X.shape[1]
        cdef job_state* job
        cdef const double[::1] rates
        cdef double[::1] history
        cdef const int64_t[::1] held
        self.dtype = X.dtype
        if self.dtype.itemsize == 8:
            shape(t, n, k, fit_intercept, <const double*> NULL)
        else:
            shape(t, n, k, fit_intercept, <const float*> NULL)
        t.x = self._address(X)
        t.y = self._address(y)
        t.weight = self._address(sample_weight)
        t.loss = _losses.NAMES.index(loss)
        t.loss_parameter = loss_parameter
        t.n_outputs = n_outputs
        t.n_jobs = t.n_active = len(jobs)
        t.jobs = <job_state*> calloc(t.n_jobs, sizeof(job_state))
        t.active = <job_state**> calloc(t.n_jobs, sizeof(void*))
        if t.jobs == NULL or t.active == NULL:
            raise MemoryError(f"no memory for {t.n_jobs} jobs")
        n_rows = t.n_jobs * n_outputs
        size = up(BLOCK_ROWS, 64)
        self.hold = [X, y, sample_weight, packed]
        if packed is not None:
            t.is_packed = True
            t.packed_columns = self._address(packed[0])
            t.packed_rows = self._address(packed[1])
        else:
            t.columns = self._room(size * t.k1, self.dtype)
            t.rows = self._room(size * t.k1_padded, self.dtype)
        t.z = self._room(n_rows * BLOCK_ROWS, self.dtype)
        t.g = self._room(n_rows * t.k1_padded, self.dtype)
        t.g_block = self._room(n_rows * t.k1_padded, self.dtype)
        t.w_rows = <const void**> self._room(n_rows, np.uintp)
        t.d_rows = <const void**> self._room(n_rows, np.uintp)
        t.weights = self._room(BLOCK_ROWS, self.dtype)
        t.logits = self._room(BLOCK_ROWS * n_outputs, self.dtype)
        self.weights, self.histories, self.states = [], [], []
        for i, given in enumerate(jobs):
            job = &t.jobs[i]
            t.active[i] = job
            rates, held = given["rates"], given["held"]
            self.hold.append((rates, held))
            job.rates = &rates[0]
            job.max_iter = rates.shape[0]
            job.held = &held[0] if held.shape[0] else NULL
            job.n_held = held.shape[0]
            history = np.empty(rates.shape[0])
            self.histories.append(np.asarray(history))
            job.history = &history[0]
            w = np.zeros((n_outputs, t.k1), self.dtype)
            self.weights.append(w)
            job.w = self._address(w)
            initial = given["initial_state"] or {}
            state = {
                slot: np.full((n_outputs, t.k1), initial.get(slot, 0.0), dtype=self.dtype) for slot in given["slots"]
            }
            self.states.append(state)
            job.s1 = self._address(state.get("s1"))
            job.s2 = self._address(state.get("s2"))
            job.s3 = self._address(state.get("s3"))
            self._set_job(job, given)

    cdef _set_job(self, job_state* job, dict given):
        settings = given["settings"]
        job.rule = _updates.NAMES.index(given["rule"])
        update_constants(&job.settings, settings)
        job.settings.l1 = given["l1"]
        job.settings.l2 = given["l2"]
        job.clip_norm = settings.get("clip_norm", INFINITY)
        job.weight_decay = settings.get("weight_decay", 0.0)
        job.corrected_root = settings.get("corrected_root", False)
        job.momentum_decay = settings.get("momentum_decay", 1.0)
        job.scale = given["scale"]
        job.tol = given["tol"]
        job.patience = given["patience"]
        job.best = INFINITY

    cdef void* _address(self, array) except? NULL:
        cdef size_t address
        if array is None:
            return NULL
        address = array.ctypes.data
        return <void*> address

    cdef void* _room(self, Py_ssize_t n, dtype) except NULL:
        array = np.zeros(max(1, n), dtype)
        self.hold.append(array)
        return self._address(array)

    def __dealloc__(self):
        free(self.task.jobs)
        free(self.task.active)

    def status(self, Py_ssize_t i):
        """RUNNING, SETTLED, ENDED or DIVERGED."""
        return self.task.jobs[i].status

    def n_iter(self, Py_ssize_t i):
        """Epochs of job i whose update was made."""
        return self.task.jobs[i].n_iter

    def carried(self, Py_ssize_t i):
        """The number that some update rules carry from step to step."""
        return self.task.jobs[i].carried


def run(list stacks, int n_threads, each_slice=None):
    """Carry stacks to their ends, one to a thread.

    Parameters
    ----------
    stacks : list of Stack
        All of one dtype.
    n_threads : int
    each_slice : callable, optional
        Called without arguments some 20 times a second.

    Raises
    ------
    KeyboardInterrupt
        Or what else a signal's handler raises, within about 50 ms of the signal; only in the main thread.
    """
    cdef Py_ssize_t n = len(stacks), i
    cdef bint unfinished = n > 0
    cdef double deadline
    cdef Stack stack
    cdef stack_task** tasks = <stack_task**> calloc(max(<Py_ssize_t> 1, n), sizeof(void*))
    if tasks == NULL:
        raise MemoryError(f"no memory for {n} stacks")
    try:
        for i in range(n):
            stack = stacks[i]
            tasks[i] = &stack.task
        while unfinished:
            deadline = ft_seconds() + SLICE_SECONDS
            for i in prange(n, nogil=True, num_threads=n_threads, schedule="dynamic", chunksize=1):
                if ft_seconds() < deadline:
                    if tasks[i].is_double:
                        run_stack(tasks[i], deadline, <const double*> NULL)
                    else:
                        run_stack(tasks[i], deadline, <const float*> NULL)
            PyErr_CheckSignals()
            if each_slice is not None:
                each_slice()
            unfinished = False
            for i in range(n):
                unfinished |= tasks[i].n_active > 0
    finally:
        free(tasks)
