"""The dense engine from Python: the compiled steps that train a network's parameters."""

import numpy as np

from libc.math cimport INFINITY, NAN, isfinite

from fasttrain._kernels.lanes cimport fill_lanes, lane_panels, lane_room, suits_lanes
from fasttrain._kernels.layout cimport address_of
from fasttrain._kernels.passes cimport LOSS_ROWS, MAX_CHUNKS, SMALL_BATCH, fit_task
from fasttrain._kernels.prediction cimport STEP_PER_THREAD, point_sparse
from fasttrain._kernels.primitives cimport FT_LOSS_softmax_crossentropy, all_finite, ft_update, lanes
from fasttrain._kernels.steps cimport (
    SCRATCH, chunk_count, finish_gradient, finish_sums, fit_for, ft_pace_init, ft_pace_next, ft_pace_note_pass,
    gradient_threads, in_two_phases, objective_of_sums, step_of_sums,
)
from fasttrain._kernels.threads cimport threads_worth
from fasttrain._kernels.types cimport STATUS_NOT_FINITE, STATUS_OK, real
from fasttrain._kernels.updates cimport update_constants, update_init
from fasttrain._kernels.updating cimport refresh_transposes

from fasttrain._kernels import updates as _updates
from fasttrain._kernels.layout import aligned

cdef extern from "clock.h" nogil:
    double ft_seconds() noexcept


ROWS_AS_THEY_STAND = np.empty(0, dtype=np.intp)


cdef class Network(Trainable):
    """Parameters of a dense network, and the compiled steps that train them; with no hidden layer a linear model.

    Parameters
    ----------
    n_features, n_outputs : int
        At least 1.
    dtype : {'float32', 'float64'}
        Of the parameters, the data and the arithmetic.
    fit_intercept : bool or sequence of bool, default=True
        Without it the biases stay zero; a sequence has one for each layer.
    hidden : sequence of int, default=()
        Units of the hidden layers, from the input upwards.
    activations : sequence of (name, parameter), default=()
        One for each hidden layer; names are those of ``_kernels.activations.NAMES``.
    normalize : sequence of {None, 'before', 'after'}, default=()
        Batch normalization of each hidden layer's values before or after its activation; empty for none.

    Notes
    -----
    Arrays given to its methods are trusted: the right dtype, C-contiguous, finite, of matching shapes. A call
    sequence is ``set_loss``, ``set_optimizer``, ``bind``, then for each epoch ``start_epoch`` and ``run`` until it
    returns True. One instance is for one thread at a time.
    """

    def __cinit__(self, *args, **kwargs):
        self.state = {}
        self.n_threads = 1
        update_init(&self.task.settings, 0.0)
        self.task.clip_norm = INFINITY
        self.task.clip_each_norm = INFINITY
        self._point_parameters()

    def set_caller_loss(self, function):
        """Take losses from a Python function, asked once a batch, in place of :meth:`set_loss`; None for none.

        ``function(start, raw)`` gets the place of the batch's first row in the pass and its raw predictions (m, k), and
        returns the sum of its losses and the gradient of that sum by them (m, k). It may raise: the epoch then ends and
        :meth:`run` raises the same. Steps are made on one thread.
        """
        self.caller = function
        self.task.caller = NULL
        if function is not None:
            self.loss = ("caller", 1.0)
            self.task.caller = ask_float64 if self.is_double else ask_float32
        self.task.owner = <void*> self
        self.hold["workspace"] = None

    def set_averaging(self, kind, double decay=0.999, double start=0, double every=1, double overwrite=0):
        """Keep ``average``, an average of the parameters over the updates, in the layout of ``parameters``.

        Parameters
        ----------
        kind : {None, 'ema', 'swa'}
            ``average = decay average + (1 - decay) parameters`` after an update, or the mean of all that counted
            (stochastic weight averaging; Izmailov et al., 2018).
        start : int
            Updates before the first that counts; until then the average is the parameters.
        every : int
            Updates from one that counts to the next.
        overwrite : int
            Updates after which the parameters become the average, again and again; 0 for never.
        """
        self.task.average_equally = kind == "swa"
        self.task.average_decay = decay
        self.task.average_start = start
        self.task.average_every = every
        self.task.average_overwrite = overwrite
        if kind is None:
            self.average = None
        elif self.average is None:
            self.average = self.parameters.copy()
        self._point_parameters()

    def set_optimizer(self, rule, slots, dict settings, initial_state=None):
        """Choose the update rule; its state arrays start anew unless the rule and its slots stay the same.

        Parameters
        ----------
        rule : str
            One of ``_kernels.updates.NAMES``.
        slots : sequence of {'s1', 's2', 's3', 'accumulated'}
            State arrays to keep; with 'accumulated' an update is made of the mean gradient of ``accumulate`` batches.
        settings : dict
            momentum, beta1, beta2, epsilon, epsilon_inside, power, leader_l1, leader_l2, shrinkage, corrected_root,
            momentum_decay, clip_value, clip_norm, clip_each_norm, weight_decay, decay_biases,
            accumulate; what is absent is neutral.
        initial_state : dict, optional
            Slot to the value its array starts with; 0 where absent.
        """
        cdef ft_update* h = &self.task.settings
        number = _updates.NAMES.index(rule)
        if number != self.task.rule or set(self.state) != set(slots):
            initial = initial_state or {}
            self.state = {
                slot: aligned(self.task.n_parameters, self.dtype, 1024 * place) for place, slot in enumerate(slots, 1)
            }
            for slot, array in self.state.items():
                array[:] = initial.get(slot, 0.0)
            self.steps_done = 0.0
            self.task.carried = 0.0
            self._point_parameters()
        self.task.rule = number
        update_constants(h, settings)
        self.task.clip_norm = settings.get("clip_norm", INFINITY)
        self.task.clip_each_norm = settings.get("clip_each_norm", INFINITY)
        self.task.weight_decay = settings.get("weight_decay", 0.0)
        self.task.decay_biases = settings.get("decay_biases", False)
        self.task.corrected_root = settings.get("corrected_root", False)
        self.task.momentum_decay = settings.get("momentum_decay", 1.0)
        self.task.accumulate = settings.get("accumulate", 1.0)

    @property
    def rule(self):
        """Name of the update rule."""
        return _updates.NAMES[self.task.rule]

    @property
    def accumulate(self):
        """Batches of an update."""
        return int(self.task.accumulate)

    @property
    def counters(self):
        """Batches done and the number that some rules carry: with ``state``, all that a rule remembers."""
        return {"t": self.steps_done, "carried": self.task.carried}

    @counters.setter
    def counters(self, values):
        self.steps_done = values["t"]
        self.task.carried = values["carried"]

    # ---- training ----

    def bind(self, const real[:, ::1] X, const real[:, ::1] y, const real[::1] sample_weight=None):
        """Data of the fits that follow; nothing is copied. y: (n, n_outputs), or (n, 1) class codes for softmax."""
        self.hold["data"] = (X, y, sample_weight)
        self.hold["n_rows"] = X.shape[0]
        self.hold.pop("lane_order", None)
        self.task.x = &X[0, 0]
        self.task.ldx = X.shape[1]
        self.task.sparse.data = NULL
        self.task.n = X.shape[0]
        self.task.y = &y[0, 0]
        self.task.y_width = y.shape[1]
        self.task.weight = &sample_weight[0] if sample_weight is not None else NULL
        self.task.outputs = NULL

    def bind_csr(self, const real[::1] data, indices, indptr, const real[:, ::1] y,
                 const real[::1] sample_weight=None):
        """:meth:`bind` of CSR rows, whose columns ascend without duplicates.

        indices: int32 or int64; indptr: (n + 1,), copied when it is not intp. Not with noise, mixing or dropout of
        the input.
        """
        if self.task.copies_input:
            raise ValueError("noise, mixup and dropout of the input need dense rows, got CSR")
        self.hold["data"] = (data, y, sample_weight, *point_sparse(&self.task.sparse, data, indices, indptr))
        self.hold["n_rows"] = y.shape[0]
        self.task.x = NULL
        self.task.n = y.shape[0]
        self.task.y = &y[0, 0]
        self.task.y_width = y.shape[1]
        self.task.weight = &sample_weight[0] if sample_weight is not None else NULL
        self.task.outputs = NULL

    def keep_outputs(self, real[:, ::1] outputs_out):
        """Write each row's raw predictions, as they are before its batch's step, to an array (n, n_outputs).

        Rows stand in the order of the pass. Holds until the next ``bind`` or ``release``.
        """
        self.hold["outputs"] = outputs_out
        self.task.outputs = &outputs_out[0, 0]

    def release(self):
        """Let go of the bound data and of the workspaces; the parameters and the rule's memory stay."""
        self.hold = {name: self.hold[name] for name in ("seed", "mixup") if name in self.hold}
        self.task.n = 0
        self.task.outputs = NULL
        self.task.lanes = NULL

    def start_epoch(self, const Py_ssize_t[::1] order, Py_ssize_t batch_size, const double[::1] rates, int n_threads,
                    bint goes_on=False, Py_ssize_t n_epochs=1):
        """Set up one pass over the rows, or several that are the same.

        Parameters
        ----------
        order : intp array of shape (n,) or None
            Numbers of the rows to train on, in the order of the pass; None takes all rows as they stand.
        batch_size : int
            From 1 to n; the last batch may be smaller.
        rates : float64 array of shape (n_batches,)
            Learning rate of each step; with fewer rates than batches the pass ends after them.
        n_threads : int
            Threads allowed; fewer run when a step is too small for them.
        goes_on : bool
            Whether the rows belong to the epoch that runs: ``epoch_loss`` is then of all of them.
        n_epochs : int
            Passes to make; ``losses`` has the ``epoch_loss`` of each that is over and another has followed.
        """
        before = self.rows_done if goes_on else 0
        loss_sum = self.task.loss_sum if goes_on else 0.0
        self.task.order = &order[0] if order is not None else NULL
        self.task.n = order.shape[0] if order is not None else self.hold["n_rows"]
        self.task.batch = batch_size
        self.task.n_batches = rates.shape[0]
        self.task.rates = &rates[0]
        self.task.next_batch = 0
        self.task.next_chunk = 0
        self.task.loss_sum = loss_sum
        self.rows_before = self.rows_done = before
        self.task.status = STATUS_OK
        self.task.step = self.steps_done
        self.task.n_chunks = chunk_count(&self.task, batch_size)
        self.task.training = True
        self.epochs_left = n_epochs - 1
        self.losses = []
        self.hold["order"] = order
        self.hold["rates"] = rates
        self._draw_mixing()
        self.n_threads = threads_worth(n_threads, <double> batch_size * self.task.n_parameters, STEP_PER_THREAD)
        if self.task.caller != NULL:
            self.n_threads = 1
        self.task.lanes = NULL
        if suits_lanes(&self.task):
            if self.is_double:
                take_lanes(self, order, <const double*> NULL)
            else:
                take_lanes(self, order, <const float*> NULL)
        # what was learnt of the machine in one pass holds for the next
        if self.pace.budget != self.n_threads:
            ft_pace_init(&self.pace, self.n_threads)
        self._workspace(not in_two_phases(&self.task, batch_size))

    def _draw_mixing(self):
        """Shares and distances of the epoch's mixing, from the seed and the number of steps done."""
        cdef double[::1] share
        cdef Py_ssize_t[::1] shift
        alpha = self.hold.get("mixup")
        if alpha is None:
            self.task.mix_share = NULL
            return
        rng = np.random.default_rng([self.hold.get("seed", 0) & 0xFFFFFFFFFFFFFFFF, int(self.steps_done)])
        share = shares = rng.beta(alpha, alpha, self.task.n_batches)
        shift = shifts = rng.integers(1, max(2, self.task.batch), self.task.n_batches, dtype=np.intp)
        self.hold["mixing"] = shares, shifts
        self.task.mix_share = &share[0]
        self.task.mix_shift = &shift[0]

    def _workspace(self, bint large):
        """Arrays that a step writes to; kept between epochs while their sizes stay."""
        cdef Py_ssize_t threads = self.n_threads, loss_rows, sums
        cdef size_t address
        mixes = self.task.training and self.task.mix_share != NULL
        wanted = (
            large, threads, self.task.batch, self.task.n_chunks, self.task.y_width, self.task.clip_norm,
            self.task.clip_each_norm, self.task.sparse.data != NULL, mixes, self.task.lanes != NULL)
        if self.hold.get("workspace") != wanted:
            self.hold["workspace"] = wanted
            self.task.gathered_width = self.task.y_width
            if mixes and self.task.loss == FT_LOSS_softmax_crossentropy:
                self.task.gathered_width = self.layers[self.task.n_layers - 1].n_out
            if large:
                # rows in lanes have a workspace of their own
                loss_rows = SMALL_BATCH if self.task.lanes == NULL else 0
                self._buffers(self._block_rows() if self.task.lanes == NULL else 1, threads)
                partial = self.task.n_chunks * self.task.n_parameters
            else:
                loss_rows = LOSS_ROWS
                self._buffers(self.task.batch, 1, threads)
                clips = isfinite(self.task.clip_norm) or isfinite(self.task.clip_each_norm)
                partial = self.task.n_parameters if clips else 0
            self.task.n_loss_sums = (max(self.task.batch, SMALL_BATCH) + LOSS_ROWS - 1) // LOSS_ROWS
            sums = 2 * MAX_CHUNKS + 2 * self.task.n_loss_sums + 5 * self.task.n_groups
            address = self._array("gathered", threads * loss_rows * (self.task.gathered_width + 1), self.dtype)
            self.task.gathered = <void*> address
            address = self._array("partial", partial, self.dtype)
            self.task.partial = <void*> address
            address = self._array("scratch", threads * SCRATCH, self.dtype)
            self.task.scratch = <void*> address
            address = self._array("sums", sums, np.float64)
            self.task.sums = <double*> address
            address = self._array("turns", self.task.n_groups, np.intp)
            self.task.turns = <const Py_ssize_t*> address
            if self.task.sparse.data != NULL:
                address = self._array("cursors", threads * self.task.capacity, np.intp)
                self.task.cursors = <Py_ssize_t*> address
            if self.task.n_statistics:
                address = self._array("column_sums", 4 * self.task.n_loss_sums * self.task.n_statistics, np.float64)
                self.task.column_sums = <double*> address
                address = self._array("statistics", 7 * threads * self.task.n_statistics, np.float64)
                self.task.statistics = <double*> address
        self.refresh()

    def refresh(self):
        """Take note that the parameters have been changed in the middle of an epoch."""
        if self.task.n_layers == 1:
            return
        if self.is_double:
            refresh_transposes(&self.task, <const double*> NULL)
        else:
            refresh_transposes(&self.task, <const float*> NULL)

    def _point_parameters(self):
        """Addresses of the arrays that live as long as the network, or as its update rule."""
        cdef size_t address
        address = address_of(self.parameters)
        self.task.w = <void*> address
        address = address_of(self.state["s1"]) if "s1" in self.state else 0
        self.task.s1 = <void*> address
        address = address_of(self.state["s2"]) if "s2" in self.state else 0
        self.task.s2 = <void*> address
        address = address_of(self.state["s3"]) if "s3" in self.state else 0
        self.task.s3 = <void*> address
        address = address_of(self.state["accumulated"]) if "accumulated" in self.state else 0
        self.task.accumulated = <void*> address
        address = address_of(self.transposed)
        self.task.transposed = <void*> address
        address = address_of(self.average) if self.average is not None else 0
        self.task.average = <void*> address
        address = address_of(self.moving_mean)
        self.task.moving_mean = <void*> address
        address = address_of(self.moving_variance)
        self.task.moving_variance = <void*> address

    def run(self, double seconds=0.05):
        """Train for about ``seconds``; True when the epochs are done or the loss or a parameter is not finite.

        With ``seconds`` less than 0 it returns after a batch, or a part of one.
        """
        # an epoch of few rows takes no longer than a dozen looks at the clock, so that there is one for each
        cdef double now = ft_seconds(), end = now + seconds
        while self._run_epoch(end, &now):
            if self.task.status != STATUS_OK or self.epochs_left == 0 or not parameters_are_finite(self):
                return True
            self._next_epoch()
            if now >= end:
                break
        return False

    cdef bint _run_epoch(self, double end, double* now_io) except -1:
        cdef Py_ssize_t before = self.task.next_batch
        with nogil:
            if self.is_double:
                fit_for(&self.task, &self.pace, end, now_io, <const double*> NULL)
            else:
                fit_for(&self.task, &self.pace, end, now_io, <const float*> NULL)
        self.steps_done += self.task.next_batch - before
        self.rows_done = self.rows_before + min(self.task.next_batch * self.task.batch, self.task.n)
        if self.raised is not None:
            raised, self.raised = self.raised, None
            raise raised
        return self.task.next_batch >= self.task.n_batches or self.task.status != STATUS_OK

    cdef int _next_epoch(self) except -1:
        self.losses.append(mean_of_epoch(self))
        self.epochs_left -= 1
        self.task.next_batch = 0
        self.task.next_chunk = 0
        self.task.loss_sum = 0.0
        self.rows_before = self.rows_done = 0
        self.task.step = self.steps_done
        # looked up as methods these two would take as long as an epoch of few rows
        if self.task.mix_share != NULL:
            self._draw_mixing()
        if self.task.n_layers > 1:
            self.refresh()
        return 0

    @property
    def epoch_loss(self):
        """Mean over the epoch's rows so far of the batch objectives (mean loss plus penalty, each before its step)."""
        return mean_of_epoch(self)

    @property
    def batches_done(self):
        """Of the epoch that has been started."""
        return self.task.next_batch

    @property
    def batch_size(self):
        """Rows of a batch of the epoch that has been started."""
        return self.task.batch

    @property
    def n_rows(self):
        """Rows of the epoch that has been started."""
        return self.task.n

    @property
    def diverged(self):
        """Whether the last run met a loss that is not finite; the step that would have followed was not made."""
        return self.task.status == STATUS_NOT_FINITE

    def all_finite(self):
        """Whether every parameter is finite."""
        return parameters_are_finite(self)

    def start_gradient(self, int n_threads):
        """Set up one evaluation of the objective and its gradient at ``parameters``, without dropout and noise."""
        cdef double until
        if self.task.n_statistics:
            raise ValueError("the gradient of all rows is not defined with batch normalization")
        self.task.training = False
        self.task.lanes = NULL
        self.task.order = NULL
        self.task.n = self.hold["n_rows"]
        self.task.batch = self.task.n
        self.task.next_batch = 0
        self.task.next_chunk = 0
        self.task.n_chunks = chunk_count(&self.task, self.task.n)
        self.n_threads = threads_worth(n_threads, <double> self.task.n * self.task.n_parameters, STEP_PER_THREAD)
        self._workspace(True)
        self.gradient_start = ft_seconds()
        self.gradient_team = 1
        if self.n_threads > 1:
            if self.pace.budget != self.n_threads:
                ft_pace_init(&self.pace, self.n_threads)
            # a gradient is a stretch
            self.gradient_team = ft_pace_next(&self.pace, self.gradient_start, &until)

    def run_gradient(self, double seconds=0.05):
        """Go on for about ``seconds``; True when all rows have been summed."""
        cdef double now = ft_seconds()
        with nogil:
            self.task.deadline = now + seconds
            if self.is_double:
                gradient_threads(&self.task, self.gradient_team, <const double*> NULL)
            else:
                gradient_threads(&self.task, self.gradient_team, <const float*> NULL)
        if self.task.next_chunk < self.task.n_chunks:
            return False
        if self.n_threads > 1:
            now = ft_seconds()
            ft_pace_note_pass(
                &self.pace, self.task.n, now - self.gradient_start, now - self.task.idle_since, now)
        return True

    def finish_gradient(self, real[::1] gradient_out):
        """Mean loss plus penalty (returned) and its gradient, in the layout of ``parameters``."""
        return finish_gradient(&self.task, &gradient_out[0])

    # ---- rows in blocks ----

    def finish_sums(self, double[::1] gradient_out):
        """(sum of losses, sum of weights) of the rows that :meth:`run_gradient` has summed, without the penalty.

        ``gradient_out`` receives the sum of the gradients, in the layout of ``parameters`` and in float64; both are
        what several blocks add up to. They are neither divided nor scaled.
        """
        cdef double loss, weight
        with nogil:
            if self.is_double:
                finish_sums(&self.task, &gradient_out[0], &loss, &weight, <const double*> NULL)
            else:
                finish_sums(&self.task, &gradient_out[0], &loss, &weight, <const float*> NULL)
        return loss, weight

    def objective_of_sums(self, Py_ssize_t rows, double loss, double weight, double[::1] gradient_io):
        """Mean loss plus penalty (returned) of sums over ``rows`` rows at ``parameters``; the gradient likewise."""
        if self.is_double:
            return objective_of_sums(&self.task, rows, loss, weight, &gradient_io[0], <const double*> NULL)
        return objective_of_sums(&self.task, rows, loss, weight, &gradient_io[0], <const float*> NULL)

    def step_of_sums(self, Py_ssize_t rows, double loss, double weight, const double[::1] gradient,
                     const double[::1] rates):
        """One step of the rule on a batch of which the sums are known; an epoch of that step alone.

        Parameters
        ----------
        rows : int
        loss, weight, gradient
            Sums over the rows, as :meth:`finish_sums` gives them.
        rates : float64 array of shape (1,)
        """
        self.task.n = self.task.batch = rows
        self.task.n_batches = 1
        self.task.rates = &rates[0]
        self.hold["rates"] = rates
        self.task.next_batch = 0
        self.task.loss_sum = 0.0
        self.rows_before = self.rows_done = 0
        self.task.status = STATUS_OK
        self.task.step = self.steps_done
        self.task.n_chunks = 1
        self.task.training = True
        self.task.mix_share = NULL
        self.n_threads = 1
        self.hold["workspace"] = None
        self._workspace(True)
        with nogil:
            if self.is_double:
                step_of_sums(&self.task, loss, weight, &gradient[0], <const double*> NULL)
            else:
                step_of_sums(&self.task, loss, weight, &gradient[0], <const float*> NULL)
        self.steps_done += self.task.next_batch
        self.rows_done = rows


cdef inline double mean_of_epoch(Network network) noexcept:
    return network.task.loss_sum / network.rows_done if network.rows_done else NAN


cdef inline bint parameters_are_finite(Network network) noexcept:
    # asked for after every epoch: a view of the array would take longer than an epoch of few rows
    if network.is_double:
        return all_finite(<const double*> network.task.w, network.task.n_parameters)
    return all_finite(<const float*> network.task.w, network.task.n_parameters)


cdef int take_lanes(Network network, order, const real* like) except -1:
    """Copies the rows of an epoch into lanes, unless they were the last epoch's in the same order."""
    cdef fit_task* task = &network.task
    cdef Py_ssize_t padded = lane_panels(task, like) * lanes(like), i, row
    cdef bint weighted = task.weight != NULL or task.loss == FT_LOSS_softmax_crossentropy
    cdef size_t x, y, weight = 0, rows, values
    cdef const void** addresses
    x = network._array("lanes", padded * task.layers[0].n_in, network.dtype)
    y = network._array("lane_targets", padded * task.y_width, network.dtype)
    if weighted:
        weight = network._array("lane_weights", padded, network.dtype)
    task.lane_room = lane_room(task, like)
    values = network._array("lane_values", network.n_threads * task.lane_room, network.dtype)
    task.lane_values = <void*> values
    task.lanes = <const void*> x
    task.lane_targets = <const void*> y
    task.lane_weights = <const void*> weight
    last = network.hold.get("lane_order")
    if last is not None and (last is ROWS_AS_THEY_STAND if order is None else np.array_equal(last, order)):
        return 0
    network.hold["lane_order"] = ROWS_AS_THEY_STAND if order is None else np.array(order)
    rows = network._array("lane_rows", task.n, np.uintp)
    addresses = <const void**> rows
    for i in range(task.n):
        row = i if task.order == NULL else task.order[i]
        addresses[i] = <const real*> task.x + row * task.ldx
    fill_lanes(task, addresses, <real*> x, <real*> y, <real*> weight, like)
    return 0


cdef double ask(Network network, Py_ssize_t start, real[:, ::1] d):
    """The sum of a batch's losses as the network's caller tells it; NaN when it raised."""
    cdef real[:, ::1] gradient
    cdef Py_ssize_t i, c, n_out = network.layers[network.task.n_layers - 1].n_out
    try:
        value, given = network.caller(start, np.array(d[:, :n_out]))
        given = np.ascontiguousarray(given, dtype=network.dtype)
        if given.shape != (d.shape[0], n_out):
            raise ValueError(f"the gradient of the loss must have shape {(d.shape[0], n_out)}, got {given.shape}")
        gradient = given
        for i in range(d.shape[0]):
            for c in range(n_out):
                d[i, c] = gradient[i, c]
            for c in range(n_out, d.shape[1]):
                d[i, c] = 0
        return value
    except BaseException as error:
        network.raised = error
        return float("nan")


cdef double ask_float32(void* owner, Py_ssize_t start, Py_ssize_t m, Py_ssize_t width, void* d_io) noexcept with gil:
    return ask[float](<Network> owner, start, <float[:m, :width]> <float*> d_io)


cdef double ask_float64(void* owner, Py_ssize_t start, Py_ssize_t m, Py_ssize_t width, void* d_io) noexcept with gil:
    return ask[double](<Network> owner, start, <double[:m, :width]> <double*> d_io)
