"""The dense engine from Python: a network's parameters, and the compiled steps that train them."""

import numpy as np

from libc.math cimport INFINITY, isfinite
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from fasttrain._kernels.layers cimport GROUP, group_count, layer, layer_init
from fasttrain._kernels.primitives cimport all_finite, ft_update
from fasttrain._kernels.steps cimport (
    LOSS_ROWS, MAX_CHUNKS, SMALL_BATCH, block_rows, chunk_count, finish_gradient, fit_task, fit_threads,
    gradient_threads, point_layers, predict_threads, refresh_transposes,
)
from fasttrain._kernels.threads cimport threads_for_work
from fasttrain._kernels.types cimport STATUS_NOT_FINITE, STATUS_OK, real
from fasttrain._kernels.updates cimport update_init

from fasttrain._kernels import activations as _activations
from fasttrain._kernels import losses as _losses
from fasttrain._kernels import updates as _updates

cdef extern from "clock.h" nogil:
    double ft_seconds() noexcept

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
    """Parameters of a dense network, and the compiled steps that train them; with no hidden layer a linear model.

    Parameters
    ----------
    n_features, n_outputs : int
        At least 1.
    dtype : {'float32', 'float64'}
        Of the parameters, the data and the arithmetic.
    fit_intercept : bool, default=True
        Without it the biases stay zero.
    hidden : sequence of int, default=()
        Units of the hidden layers, from the input upwards.
    activations : sequence of (name, parameter), default=()
        One for each hidden layer; names are those of ``_kernels.activations.NAMES``.

    Notes
    -----
    Arrays given to its methods are trusted: the right dtype, C-contiguous, finite, of matching shapes. A call
    sequence is ``set_loss``, ``set_optimizer``, ``bind``, then for each epoch ``start_epoch`` and ``run`` until it
    returns True. One instance is for one thread at a time.
    """

    cdef layer* layers
    cdef fit_task task
    cdef bint is_double
    cdef int n_threads
    cdef readonly object dtype
    cdef readonly bint fit_intercept
    cdef readonly object parameters
    cdef readonly dict state
    cdef dict hold
    cdef object transposed
    cdef double steps_done

    def __cinit__(self, Py_ssize_t n_features, Py_ssize_t n_outputs, dtype="float64", bint fit_intercept=True,
                  hidden=(), activations=()):
        cdef Py_ssize_t offset = 0, row_size = 0, transposed = 0, n_in, n_out
        cdef int i, n_layers = len(hidden) + 1
        cdef layer* shape
        self.dtype = np.dtype(dtype)
        self.fit_intercept = fit_intercept
        self.is_double = self.dtype.itemsize == 8
        self.layers = <layer*> calloc(n_layers, sizeof(layer))
        if self.layers == NULL:
            raise MemoryError(f"no memory for {n_layers} layers")
        memset(&self.task, 0, sizeof(fit_task))
        widths = [n_features, *hidden, n_outputs]
        for i in range(n_layers):
            shape = &self.layers[i]
            n_in, n_out = widths[i], widths[i + 1]
            if self.is_double:
                layer_init(shape, n_in, n_out, offset, fit_intercept, i == n_layers - 1, <const double*> NULL)
            else:
                layer_init(shape, n_in, n_out, offset, fit_intercept, i == n_layers - 1, <const float*> NULL)
            offset += shape.size
            shape.n_groups = group_count(shape)
            self.task.n_groups += shape.n_groups
            shape.d = row_size
            row_size += shape.width
            if i < n_layers - 1:
                name, parameter = activations[i]
                shape.activation = _activations.NAMES.index(name)
                shape.activation_parameter = parameter
                shape.a = shape.z = row_size
                row_size += shape.width
                if name in _activations.NEEDS_INPUT:
                    shape.z = row_size
                    row_size += shape.width
            if i:
                shape.back_width = self.layers[i - 1].width
                shape.back_panel = self.layers[i - 1].panel
                shape.transposed = transposed
                transposed += shape.back_width * shape.n_out
        self.parameters = np.zeros(offset, dtype=self.dtype)
        self.transposed = np.zeros(transposed, dtype=self.dtype)
        self.state = {}
        self.hold = {}
        self.n_threads = 1
        update_init(&self.task.settings, 0.0)
        self.task.layers = self.layers
        self.task.n_layers = n_layers
        self.task.n_parameters = offset
        self.task.row_size = row_size
        self.task.is_double = self.is_double
        self.task.clip_norm = INFINITY
        self.task.loss_parameter = 1.0
        self.task.value_scale = 1.0
        self._point_parameters()

    def __dealloc__(self):
        free(self.layers)

    # ---- parameters ----

    def pack_layers(self, coefs, intercepts):
        """Array in the engine's layout of each layer's ``coef`` (n_in, n_out) and ``intercept`` (n_out,)."""
        packed = np.zeros(self.task.n_parameters, dtype=self.dtype)
        for i, (coef, intercept) in enumerate(zip(coefs, intercepts, strict=True)):
            for rows, first, last in self._panels(packed, i):
                rows[:-1, :last - first] = coef[:, first:last]
                rows[-1, :last - first] = intercept[first:last]
        return packed

    def unpack_layers(self, packed):
        """Lists of each layer's ``coef`` (n_in, n_out) and ``intercept`` (n_out,), copied."""
        coefs, intercepts = [], []
        for i in range(self.task.n_layers):
            coef = np.empty((self.layers[i].n_in, self.layers[i].n_out), dtype=self.dtype)
            intercept = np.empty(self.layers[i].n_out, dtype=self.dtype)
            for rows, first, last in self._panels(packed, i):
                coef[:, first:last] = rows[:-1, :last - first]
                intercept[first:last] = rows[-1, :last - first]
            coefs.append(coef)
            intercepts.append(intercept)
        return coefs, intercepts

    def pack(self, coef, intercept):
        """:meth:`pack_layers` of a linear model, ``coef`` of shape (n_outputs, n_features)."""
        return self.pack_layers([coef.T], [intercept])

    def unpack(self, packed):
        """``coef`` (n_outputs, n_features) and ``intercept`` (n_outputs,) of a linear model, copied."""
        coefs, intercepts = self.unpack_layers(packed)
        return np.ascontiguousarray(coefs[0].T), intercepts[0]

    def _panels(self, packed, int number):
        """Views (n_in + 1, columns) of each panel of a layer, with the outputs [first, last) that it holds."""
        cdef layer* shape = &self.layers[number]
        own = packed[shape.offset:shape.offset + shape.size]
        if shape.panel == 0:
            yield own.reshape(shape.n_out, shape.n_in + 1).T, 0, shape.n_out
            return
        for first in range(0, shape.width, shape.panel):
            columns = min(shape.panel, shape.width - first)
            start = first * (shape.n_in + 1)
            rows = own[start:start + (shape.n_in + 1) * columns].reshape(shape.n_in + 1, columns)
            yield rows, first, min(shape.n_out, first + columns)

    # ---- what to minimize, and how ----

    def set_loss(self, name, double parameter=1.0):
        """Choose the loss by its kernel name."""
        self.task.loss = _losses.NAMES.index(name)
        self.task.loss_parameter = parameter

    def set_value_scale(self, double scale):
        """Factor of the reported loss, the penalty apart; the gradient keeps its size."""
        self.task.value_scale = scale

    def set_penalty(self, double l1, double l2, bint over_batch=False):
        """``l1 * sum|w| + l2 / 2 * sum w^2`` over the weights, not the biases.

        With ``over_batch`` it is divided by the batch's weight, as scikit-learn's MLP does.
        """
        self.task.settings.l1 = l1
        self.task.settings.l2 = l2
        self.task.penalty_over_batch = over_batch

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
                slot: np.full(self.task.n_parameters, initial.get(slot, 0.0), dtype=self.dtype) for slot in slots
            }
            self.steps_done = 0.0
            self.task.carried = 0.0
            self._point_parameters()
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
        self.task.order = &order[0] if order is not None else NULL
        self.task.batch = batch_size
        self.task.n_batches = rates.shape[0]
        self.task.rates = &rates[0]
        self.task.next_batch = 0
        self.task.next_chunk = 0
        self.task.loss_sum = 0.0
        self.task.status = STATUS_OK
        self.task.step = self.steps_done
        self.task.n_chunks = chunk_count(&self.task, batch_size)
        self.hold["order"] = order
        self.hold["rates"] = rates
        self.n_threads = threads_for_work(n_threads, <double> batch_size * self.task.n_parameters, STEP_PER_THREAD)
        self._workspace(batch_size > SMALL_BATCH)

    def _workspace(self, bint large):
        """Arrays that a step writes to; kept between epochs while their sizes stay."""
        cdef Py_ssize_t threads = self.n_threads, loss_rows, sums
        cdef size_t address
        wanted = (large, threads, self.task.batch, self.task.n_chunks, self.task.y_width, self.task.clip_norm)
        if self.hold.get("workspace") != wanted:
            self.hold["workspace"] = wanted
            if large:
                loss_rows = SMALL_BATCH
                self._buffers(self._block_rows(), threads)
                partial = self.task.n_chunks * self.task.n_parameters
            else:
                loss_rows = LOSS_ROWS
                self._buffers(self.task.batch, 1)
                partial = self.task.n_parameters if isfinite(self.task.clip_norm) else threads * GROUP
            sums = 2 * MAX_CHUNKS + 2 * (SMALL_BATCH // LOSS_ROWS) + 2 * self.task.n_groups
            address = self._array("gathered", threads * loss_rows * (self.task.y_width + 1), self.dtype)
            self.task.gathered = <void*> address
            address = self._array("partial", partial, self.dtype)
            self.task.partial = <void*> address
            address = self._array("sums", sums, np.float64)
            self.task.sums = <double*> address
        if self.task.n_layers == 1:
            return
        if self.is_double:
            refresh_transposes(&self.task, <const double*> NULL)
        else:
            refresh_transposes(&self.task, <const float*> NULL)

    def _point_parameters(self):
        """Addresses of the arrays that live as long as the network, or as its update rule."""
        cdef size_t address
        address = self.parameters.ctypes.data
        self.task.w = <void*> address
        address = self.state["s1"].ctypes.data if "s1" in self.state else 0
        self.task.s1 = <void*> address
        address = self.state["s2"].ctypes.data if "s2" in self.state else 0
        self.task.s2 = <void*> address
        address = self.state["s3"].ctypes.data if "s3" in self.state else 0
        self.task.s3 = <void*> address
        address = self.transposed.ctypes.data
        self.task.transposed = <void*> address

    def _block_rows(self):
        if self.is_double:
            return block_rows(&self.task, <const double*> NULL)
        return block_rows(&self.task, <const float*> NULL)

    def _array(self, name, size, dtype):
        """Address of a workspace of at least ``size`` elements, zero when new."""
        if name not in self.hold or self.hold[name].size < size or self.hold[name].dtype != dtype:
            self.hold[name] = np.zeros(size, dtype=dtype)
        return self.hold[name].ctypes.data

    def _buffers(self, Py_ssize_t capacity, int threads):
        """Room for the layers' outputs and gradients of ``capacity`` rows for each of ``threads``."""
        cdef size_t address
        self.task.capacity = capacity
        address = self._array("values", threads * capacity * self.task.row_size, self.dtype)
        self.task.values = <void*> address
        address = self._array("rows", threads * 3 * capacity, np.uintp)
        self.task.rows = <const void**> address
        address = self._array("pointers", threads * 2 * self.task.n_layers * capacity, np.uintp)
        self.task.pointers = <const void**> address
        if self.is_double:
            point_layers(&self.task, threads, <const double*> NULL)
        else:
            point_layers(&self.task, threads, <const float*> NULL)

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
        self.task.n_chunks = chunk_count(&self.task, self.task.n)
        self.n_threads = threads_for_work(n_threads, <double> self.task.n * self.task.n_parameters, STEP_PER_THREAD)
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
        """Raw predictions of shape (n_samples, n_outputs): for a linear model ``X @ coef.T + intercept``."""
        cdef layer* last = &self.layers[self.task.n_layers - 1]
        cdef Py_ssize_t n = X.shape[0], width = last.width
        out = np.empty((n, width), dtype=self.dtype)
        if n == 0:
            return out[:, :last.n_out]
        cdef real[:, ::1] z = out
        n_threads = threads_for_work(n_threads, <double> n * self.task.n_parameters, STEP_PER_THREAD)
        self.hold["workspace"] = None
        self._buffers(min(n, <Py_ssize_t> self._block_rows()), n_threads)
        with nogil:
            predict_threads(&self.task, &X[0, 0], X.shape[1], n, &z[0, 0], n_threads)
        return out if width == last.n_out else np.ascontiguousarray(out[:, :last.n_out])
