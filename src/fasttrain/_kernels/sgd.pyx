"""Per-sample stochastic descent, for one model or many in lockstep, on dense and CSR rows.

The arithmetic is ``csrc/sgd_body.h``'s, compiled once for each instruction set. Here stand the objects that
own its memory: :class:`Rows` (a matrix to read), :class:`Descent` (one row order and the candidates that walk
it) and :func:`run`, which carries a list of descents to their ends on threads and looks at signals each 40 ms.

Arguments are trusted, as everywhere in this package: dtypes, shapes, contiguity and index ranges are the
caller's to check (:func:`csr_in_range` is there for the last).
"""

from libc.math cimport INFINITY, NAN
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from fasttrain._kernels.primitives cimport (
    FT_LOSS_binary_crossentropy,
    FT_LOSS_epsilon_insensitive,
    FT_LOSS_half_squared_error,
    FT_LOSS_hinge,
    FT_LOSS_huber,
    FT_LOSS_modified_huber,
    FT_LOSS_poisson,
    FT_LOSS_quantile,
    FT_LOSS_squared_epsilon_insensitive,
    FT_LOSS_squared_hinge,
    active_isa,
)
from fasttrain._kernels.signals cimport PyErr_CheckSignals
from fasttrain._kernels.threads cimport threads_worth
from fasttrain._kernels.types cimport STATUS_OK

from fasttrain._kernels import primitives as _primitives

cdef extern from "stdlib.h" nogil:
    int posix_memalign(void** memory, size_t alignment, size_t size)

# SGD's names for the losses, and whether the loss is one of targets in {-1, 1}.
LOSSES = {
    "hinge": FT_LOSS_hinge,
    "perceptron": FT_LOSS_hinge,
    "squared_hinge": FT_LOSS_squared_hinge,
    "log_loss": FT_LOSS_binary_crossentropy,
    "modified_huber": FT_LOSS_modified_huber,
    "squared_error": FT_LOSS_half_squared_error,
    "huber": FT_LOSS_huber,
    "epsilon_insensitive": FT_LOSS_epsilon_insensitive,
    "squared_epsilon_insensitive": FT_LOSS_squared_epsilon_insensitive,
    "quantile": FT_LOSS_quantile,
    "poisson": FT_LOSS_poisson,
}
SCHEDULES = ("constant", "optimal", "invscaling", "adaptive", "pa1", "pa2")

cdef double SLICE_SECONDS = 0.04
# Multiply-adds that the scalar part of a step costs about as much as.
cdef double STEP_WORK = 100.0
cdef double WORK_PER_THREAD = 2e6


def csr_in_range(const int32_t[::1] indices32, const int64_t[::1] indices64, const int64_t[::1] indptr,
                 Py_ssize_t n_values, Py_ssize_t n_features):
    """Whether a CSR matrix's index arrays stay inside its values and its width.

    Parameters
    ----------
    indices32, indices64 : int32 and int64 arrays
        Column of each value; one of the two is None.
    indptr : int64 array of shape (n_rows + 1,)
    n_values, n_features : int

    Returns
    -------
    bool
    """
    cdef Py_ssize_t i, n = indptr.shape[0], end
    cdef uint32_t highest32 = 0
    cdef uint64_t highest64 = 0
    if n < 1 or indptr[0] != 0:
        return False
    for i in range(1, n):
        if indptr[i] < indptr[i - 1]:
            return False
    end = indptr[n - 1]
    if end > n_values or end > (indices64.shape[0] if indices32 is None else indices32.shape[0]):
        return False
    with nogil:
        if indices32 is None:
            for i in range(end):
                highest64 = max(highest64, <uint64_t> indices64[i])
        else:
            # a negative number is a large one without its sign, and one maximum is what the compiler makes a vector of
            for i in range(end):
                highest32 = max(highest32, <uint32_t> indices32[i])
    return end == 0 or max(highest64, <uint64_t> highest32) < <uint64_t> n_features


cdef Py_ssize_t padded_length(Py_ssize_t n, bint is_double) noexcept:
    """n reals rounded up to whole 64-byte blocks."""
    cdef Py_ssize_t block = 8 if is_double else 16
    return (n + block - 1) // block * block


cdef class Rows:
    """The rows of a matrix: C-contiguous dense, or CSR. Keeps the arrays alive; never writes to them."""

    def __dealloc__(self):
        free(self.tail)

    @staticmethod
    def dense(X):
        """float32 or float64 array of shape (n_rows, n_features), C-contiguous."""
        cdef Rows self = Rows.__new__(Rows)
        cdef const float[:, ::1] x32
        cdef const double[:, ::1] x64
        cdef const char* values
        self.owner = X
        self.is_double = X.dtype.itemsize == 8
        if self.is_double:
            x64 = X
            self.n_rows, self.n_features = x64.shape[0], x64.shape[1]
            values = <const char*> &x64[0, 0]
        else:
            x32 = X
            self.n_rows, self.n_features = x32.shape[0], x32.shape[1]
            values = <const char*> &x32[0, 0]
        cdef Py_ssize_t size = 8 if self.is_double else 4, i
        cdef Py_ssize_t stride = padded_length(self.n_features, self.is_double)
        # A vector load that begins inside a row reads at most 15 reals past its end.
        cdef Py_ssize_t n_tail = min(self.n_rows, (15 + self.n_features - 1) // self.n_features)
        if posix_memalign(&self.tail, 64, n_tail * stride * size) != 0:
            self.tail = NULL
            raise MemoryError
        memset(self.tail, 0, n_tail * stride * size)
        self.rows.tail_start = self.n_rows - n_tail
        for i in range(n_tail):
            memcpy(<char*> self.tail + i * stride * size,
                   values + (self.rows.tail_start + i) * self.n_features * size, self.n_features * size)
        self.rows.values = values
        self.rows.tail = self.tail
        self.mean_length = self.n_features
        return self

    @staticmethod
    def csr(values, indices, const int64_t[::1] indptr, Py_ssize_t n_features):
        """float32 or float64 values, int32 or int64 indices and int64 indptr, all contiguous and in range."""
        cdef Rows self = Rows.__new__(Rows)
        cdef const float[::1] x32
        cdef const double[::1] x64
        cdef const int32_t[::1] i32
        cdef const int64_t[::1] i64
        self.owner = (values, indices, indptr)
        self.is_sparse = True
        self.is_double = values.dtype.itemsize == 8
        self.n_rows, self.n_features = indptr.shape[0] - 1, n_features
        self.rows.indptr = &indptr[0]
        # An empty array has no first element to point at; no row reads it.
        if self.is_double:
            x64 = values
            self.rows.values = <const void*> &x64[0] if x64.shape[0] else NULL
        else:
            x32 = values
            self.rows.values = <const void*> &x32[0] if x32.shape[0] else NULL
        if indices.dtype.itemsize == 8:
            i64 = indices
            self.rows.indices64 = &i64[0] if i64.shape[0] else <const int64_t*> &indptr[0]
        else:
            i32 = indices
            self.rows.indices32 = &i32[0] if i32.shape[0] else NULL
        self.mean_length = indptr[self.n_rows] / <double> max(1, self.n_rows)
        return self


cdef const void* pointer(array, bint is_double) except? NULL:
    cdef const float[::1] x32
    cdef const double[::1] x64
    if is_double:
        x64 = array
        return &x64[0]
    x32 = array
    return &x32[0]


cdef void copy_spaced(void* out, Py_ssize_t out_spacing, const void* values, Py_ssize_t spacing, Py_ssize_t n,
                      Py_ssize_t size) noexcept nogil:
    """n reals of this size, spacing reals apart, to places out_spacing apart."""
    cdef Py_ssize_t i
    if spacing == out_spacing == 1:
        memcpy(out, values, n * size)
    elif size == 8:
        for i in range(n):
            (<double*> out)[i * out_spacing] = (<const double*> values)[i * spacing]
    else:
        for i in range(n):
            (<float*> out)[i * out_spacing] = (<const float*> values)[i * spacing]


cdef class Descent:
    """One row order and the candidates that are trained on it.

    Parameters
    ----------
    X : Rows
    y : array of X's dtype, shape (n_rows,), or (n_candidates, n_rows) for targets of each candidate's own
        In {-1, 1} for the margin losses, {0, 1} for the log loss.
    candidates : list of dict
        For each: ``alpha``, ``l1_ratio``, ``l2_ratio`` (both 0 without a penalty), ``schedule`` (one of
        SCHEDULES), ``eta0``, ``eta_shift`` (the optimal schedule's first time), ``power_t``, ``parameter``
        (the loss's),
        ``weight_positive``,
        ``weight_negative``, ``average``, ``tol`` (-inf for none), ``n_iter_no_change``, ``max_iter``.
        Candidates share the loss, and either all of them are of one passive-aggressive schedule or none is.
    loss : str
        One of LOSSES.
    seed : int
        Seed of the shuffle; 0 counts as 1.
    t : float
        Number of the first step.
    sample_weight : array of X's dtype, shape (n_rows,), or None
    mask : uint8 array of shape (n_rows,) or None
        1 for rows that are shuffled with the others but not trained on.
    rows : int32 array or None
        The rows that the order begins with, in this order; all by default. Not copies, but row numbers: a
        fold of a cross-validation trains from the whole X.
    score : tuple or None
        ``(X_score, y_score, weight or None, totals, kind)``: the candidates are scored after each epoch; kind
        is 'accuracy', 'r2' or 'r2_exponential' (of e^prediction), totals (float64, one a candidate) what a
        sum over rows is divided by.
    stop_on_score : bool
        Stop on the score instead of the training objective.
    score_unscaled : bool
        Score the stored vector without its scale.
    fit_intercept, shuffle, pause_each_epoch : bool
    intercept_decay : float
    """

    def __cinit__(self, Rows X, y, list candidates, str loss, seed=1, double t=1.0, sample_weight=None,
                  mask=None, rows=None, score=None, bint stop_on_score=False, bint score_unscaled=False,
                  bint fit_intercept=True, bint shuffle=True, bint pause_each_epoch=False,
                  double intercept_decay=1.0):
        _primitives.settle()
        cdef ft_sgd* s = &self.fit
        cdef Py_ssize_t n = len(candidates), k, size = 8 if X.is_double else 4, i
        cdef int32_t[::1] row_numbers
        cdef const uint8_t[::1] mask_view
        cdef const double[::1] totals
        cdef Rows X_score
        cdef double longest = 0
        self.X = X
        self.n_candidates = n
        self.held = (y, sample_weight, mask, score)
        self.losses = [[] for _ in candidates]
        self.objectives = [[] for _ in candidates]
        self.scores = [[] for _ in candidates]
        s.X = X.rows
        s.n_features = X.n_features
        s.stride = padded_length(X.n_features, X.is_double)
        s.n_rows = X.n_rows
        if rows is not None:
            row_numbers = rows
            s.n_rows = row_numbers.shape[0]
        s.n_candidates = s.n_slots = n
        s.loss = LOSSES[loss]
        s.fit_intercept = fit_intercept
        s.shuffle = shuffle
        s.pause_each_epoch = pause_each_epoch
        s.intercept_decay = intercept_decay
        s.t = t
        s.seed = seed
        s.work_per_row = X.mean_length + STEP_WORK
        if y.ndim == 2:
            y_flat = y.reshape(-1)
            s.y = pointer(y_flat, X.is_double)
            s.y_stride = X.n_rows
        else:
            s.y = pointer(y, X.is_double)
        if sample_weight is not None:
            s.sample_weight = pointer(sample_weight, X.is_double)
        s.n_train = s.n_rows
        if mask is not None:
            mask_view = mask
            s.mask = &mask_view[0]
            if rows is None:
                for i in range(s.n_rows):
                    s.n_train -= mask_view[i] != 0
            else:
                for i in range(s.n_rows):
                    s.n_train -= mask_view[row_numbers[i]] != 0
        if score is not None:
            X_score, y_score, score_weight, score_totals, kind = score
            s.X_score = X_score.rows
            s.n_score = X_score.n_rows
            s.y_score = pointer(y_score.reshape(-1), X.is_double)
            s.y_score_stride = s.n_score if y_score.ndim == 2 else 0
            if score_weight is not None:
                s.score_weight = pointer(score_weight, X.is_double)
            totals = score_totals
            s.score_total = &totals[0]
            s.score_kind = {"accuracy": 1, "r2": 2, "r2_exponential": 3}[kind]
            s.stop_on_score = stop_on_score
            s.score_unscaled = score_unscaled

        for candidate in candidates:
            s.with_l1 |= candidate["l1_ratio"] > 0
            s.with_average |= candidate["average"] > 0
            s.with_power |= candidate["schedule"] == "invscaling"
            longest = max(longest, <double> candidate["max_iter"])
            schedule = candidate["schedule"]
            s.aggressive = 1 if schedule == "pa1" else 2 if schedule == "pa2" else s.aggressive
        self.longest = longest
        s.history_capacity = <Py_ssize_t> min(longest, 256.0)
        s.n_padded = 1 if n == 1 else padded_length(n, X.is_double)

        if X.is_sparse and n > 1:
            self.divide_lanes(n, 64 // size)
        # The first pass measures the arena, the second carves it. It begins as zeros, which the system has ready: where
        # features are many, most of them may never be touched.
        cdef Py_ssize_t total = 0
        self.carve(s, n, size, &total)
        self.arena = calloc(total + 63, 1)
        if self.arena == NULL:
            raise MemoryError(f"{total} bytes for {n} models of {X.n_features} features")
        total = -<Py_ssize_t> self.arena & 63
        self.carve(s, n, size, &total)
        if rows is None:
            for i in range(s.n_rows):
                s.order[i] = <int32_t> i
        else:
            memcpy(s.order, &row_numbers[0], s.n_rows * sizeof(int32_t))
        if shuffle:
            for i in range(s.n_rows):
                s.shuffling[i] = <int32_t> i
        for k in range(n):
            self.set_candidate(k, candidates[k])

    cdef void* block(self, Py_ssize_t* offset, Py_ssize_t bytes) noexcept:
        cdef void* at = NULL if self.arena == NULL else <char*> self.arena + offset[0]
        offset[0] += (bytes + 63) // 64 * 64
        return at

    cdef carve(self, ft_sgd* s, Py_ssize_t n, Py_ssize_t size, Py_ssize_t* offset):
        cdef Py_ssize_t vectors = (s.line + s.rest) * s.n_features * size if s.line + s.rest else n * s.stride * size
        cdef Py_ssize_t order = (s.n_rows + FT_SGD_PADDING) * sizeof(int32_t)
        s.columns = <double*> self.block(offset, FT_SGD_N_COLUMNS * s.n_padded * sizeof(double))
        s.weights = self.block(offset, vectors)
        s.panels = self.block(offset, self.panel_bytes(n, size))
        s.averages = self.block(offset, vectors) if s.with_average else NULL
        s.q = self.block(offset, vectors) if s.with_l1 else NULL
        s.lanes = self.block(offset, n * 4 * 64)
        s.order = <int32_t*> self.block(offset, order)
        s.previous = <int32_t*> self.block(offset, order) if s.shuffle else NULL
        s.shuffling = <int32_t*> self.block(offset, order) if s.shuffle else NULL
        s.training = <int32_t*> self.block(offset, order) if s.mask != NULL else NULL
        s.loss_history = <double*> self.block(offset, n * s.history_capacity * sizeof(double))
        s.objective_history = <double*> self.block(offset, n * s.history_capacity * sizeof(double))
        s.score_history = <double*> self.block(offset, n * s.history_capacity * sizeof(double))
        s.n_iter = <int32_t*> self.block(offset, n * sizeof(int32_t))
        s.status = <int32_t*> self.block(offset, n * sizeof(int32_t))
        s.converged = <int32_t*> self.block(offset, n * sizeof(int32_t))
        s.intercepts = <double*> self.block(offset, n * sizeof(double))
        s.average_intercepts = <double*> self.block(offset, n * sizeof(double))

    cdef void divide_lanes(self, Py_ssize_t n, Py_ssize_t block) noexcept:
        """Slots of a line and of a rest: what fills half of 64 bytes or less is a rest, so that none crosses a line."""
        cdef Py_ssize_t left = n % block
        self.fit.line = n - left
        if left > block // 2:
            self.fit.line += block
        elif left > 0:
            self.fit.rest = block // 4 if left <= block // 4 else block // 2

    cdef Py_ssize_t panel_bytes(self, Py_ssize_t n, Py_ssize_t size) noexcept:
        """Of the panels of dense candidates, and each panel's workspace; of one without an L1 term, a copy."""
        cdef ft_sgd* s = &self.fit
        if self.X.is_sparse or s.aggressive:
            return 0
        if n == 1:
            return 0 if s.with_l1 else s.stride * size
        return padded_length(n, self.X.is_double) * (
            (1 + s.with_average + s.with_l1) * s.n_features * size
            + FT_SGD_TOGETHER * (3 * size + 5 * <Py_ssize_t> sizeof(double)))

    def __dealloc__(self):
        free(self.arena)

    cdef double* column(self, int number) noexcept:
        return self.fit.columns + number * self.fit.n_padded

    cdef Py_ssize_t slot_of(self, Py_ssize_t k) noexcept:
        """Where candidate k is; one that has ended is behind those in training."""
        cdef Py_ssize_t slot
        for slot in range(self.n_candidates):
            if self.column(FT_SGD_candidate)[slot] == k:
                return slot
        return 0

    cdef Py_ssize_t first_of(self, Py_ssize_t k) noexcept:
        """Where candidate k's weights begin, in reals."""
        cdef ft_sgd* s = &self.fit
        cdef Py_ssize_t slot
        if s.line + s.rest == 0:
            return k * s.stride
        slot = self.slot_of(k)
        return slot if slot < s.line else s.line * s.n_features + slot - s.line

    cdef Py_ssize_t spacing_of(self, Py_ssize_t k) noexcept:
        """From one of candidate k's weights to the next, in reals."""
        cdef ft_sgd* s = &self.fit
        if s.line + s.rest == 0:
            return 1
        return s.line if self.slot_of(k) < s.line else s.rest

    cdef set_candidate(self, Py_ssize_t k, dict candidate):
        cdef double eta0 = candidate["eta0"]
        schedule = candidate["schedule"]
        self.column(FT_SGD_alpha)[k] = candidate["alpha"]
        self.column(FT_SGD_l1_ratio)[k] = candidate["l1_ratio"]
        self.column(FT_SGD_l2_ratio)[k] = candidate["l2_ratio"]
        self.column(FT_SGD_eta)[k] = 1.0 if schedule == "optimal" else eta0
        if schedule == "optimal":
            self.column(FT_SGD_eta_time)[k] = candidate["alpha"]
            self.column(FT_SGD_eta_shift)[k] = candidate["eta_shift"]
        else:
            self.column(FT_SGD_eta_floor)[k] = 1.0
        self.column(FT_SGD_power_t)[k] = candidate["power_t"] if schedule == "invscaling" else NAN
        self.column(FT_SGD_adaptive)[k] = schedule == "adaptive"
        self.column(FT_SGD_aggressiveness)[k] = eta0
        self.column(FT_SGD_parameter)[k] = candidate["parameter"]
        self.column(FT_SGD_weight_positive)[k] = candidate["weight_positive"]
        self.column(FT_SGD_weight_negative)[k] = candidate["weight_negative"]
        self.column(FT_SGD_average)[k] = candidate["average"]
        self.column(FT_SGD_tol)[k] = candidate["tol"]
        self.column(FT_SGD_n_iter_no_change)[k] = candidate["n_iter_no_change"]
        self.column(FT_SGD_max_iter)[k] = candidate["max_iter"]
        self.column(FT_SGD_candidate)[k] = k
        self.column(FT_SGD_wscale)[k] = 1.0
        self.column(FT_SGD_average_b)[k] = 1.0
        self.column(FT_SGD_square_scale)[k] = 1.0
        self.column(FT_SGD_abs_scale)[k] = 1.0
        self.column(FT_SGD_product)[k] = 1.0
        self.column(FT_SGD_best)[k] = -INFINITY if self.fit.stop_on_score else INFINITY

    def begin_from(self, Py_ssize_t k, coef, double intercept, average_coef=None,
                   double average_intercept=0.0):
        """Start candidate k from these weights (arrays of X's dtype, contiguous; copied) instead of zeros."""
        cdef Py_ssize_t size = 8 if self.X.is_double else 4, offset = self.first_of(k) * size
        cdef Py_ssize_t spacing = self.spacing_of(k)
        copy_spaced(<char*> self.fit.weights + offset, spacing, pointer(coef, self.X.is_double), 1,
                    self.fit.n_features, size)
        self.fit.with_start = 1
        self.column(FT_SGD_intercept)[k] = intercept
        if average_coef is not None and self.fit.with_average:
            copy_spaced(<char*> self.fit.averages + offset, spacing,
                        pointer(average_coef, self.X.is_double), 1, self.fit.n_features, size)
            self.column(FT_SGD_average_intercept)[k] = average_intercept

    def write_coef(self, Py_ssize_t k, out, bint average=False):
        """Copy candidate k's weights, or their average, into ``out`` (contiguous, X's dtype)."""
        cdef Py_ssize_t size = 8 if self.X.is_double else 4
        cdef const void* source = self.fit.averages if average else self.fit.weights
        copy_spaced(<void*> pointer(out, self.X.is_double), 1, <const char*> source + self.first_of(k) * size,
                    self.spacing_of(k), self.fit.n_features, size)

    def intercept(self, Py_ssize_t k, bint average=False):
        return self.fit.average_intercepts[k] if average else self.fit.intercepts[k]

    def n_iter(self, Py_ssize_t k):
        return self.fit.n_iter[k]

    def converged(self, Py_ssize_t k):
        """Whether candidate k stopped before its max_iter."""
        return self.fit.converged[k] != 0

    def finite(self, Py_ssize_t k):
        """False when candidate k's weights left the finite numbers in its last epoch."""
        return self.fit.status[k] == STATUS_OK

    def snapshot(self, Py_ssize_t k, out):
        """Copy candidate k's weights as they are between two epochs into ``out``; returns the intercept."""
        cdef Py_ssize_t slot = self.slot_of(k)
        self.write_coef(k, out)
        if slot >= self.fit.n_slots:
            return self.fit.intercepts[k]
        out *= self.column(FT_SGD_wscale)[slot]
        return self.column(FT_SGD_intercept)[slot]

    @property
    def has_average(self):
        """Whether any candidate is averaged."""
        return self.fit.with_average != 0

    @property
    def n_train(self):
        """Rows of an epoch that are trained on."""
        return self.fit.n_train

    @property
    def t(self):
        """Number of the next step."""
        return self.fit.t

    cdef void drain(self):
        """Move the history of finished epochs to the lists."""
        cdef ft_sgd* s = &self.fit
        cdef Py_ssize_t k, i, first = s.epoch - s.history_length, length
        for k in range(self.n_candidates):
            # A candidate that ended wrote nothing in the epochs after.
            length = s.history_length
            if s.n_iter[k] < s.epoch:
                length = max(0, s.n_iter[k] - first)
            for i in range(length):
                self.losses[k].append(s.loss_history[k * s.history_capacity + i])
                self.objectives[k].append(s.objective_history[k * s.history_capacity + i])
                if s.score_kind:
                    self.scores[k].append(s.score_history[k * s.history_capacity + i])
        s.history_length = 0


def run(list descents, int n_threads, each_epoch=None):
    """Carry descents to their ends.

    Parameters
    ----------
    descents : list of Descent
        All of one dtype. One descent is one thread's work; several share ``n_threads``. No result depends on
        their number.
    n_threads : int
    each_epoch : callable or None
        Called with a descent's position in the list when it made its ``pause_each_epoch`` pause.

    Raises
    ------
    KeyboardInterrupt
        Or what else a signal's handler raises, within about 50 ms of the signal; only in the main thread.
    """
    cdef Py_ssize_t n = len(descents), i
    cdef Descent descent
    cdef ft_sgd** fits = NULL
    cdef int* state = NULL
    cdef void* memory = NULL
    cdef list turn = list(range(n))
    cdef bint is_double, unfinished = True
    cdef double work = 0
    cdef int team
    cdef const ft_sgd_kernels* kernels = ft_sgd_kernels_for(active_isa)
    if n == 0:
        return
    if posix_memalign(&memory, 64, n * (sizeof(void*) + sizeof(int))) != 0:
        raise MemoryError
    fits = <ft_sgd**> memory
    state = <int*> (fits + n)
    is_double = (<Descent> descents[0]).X.is_double
    for i in range(n):
        descent = descents[i]
        fits[i] = &descent.fit
        state[i] = FT_SGD_RUNNING
        work += descent.fit.n_rows * descent.fit.work_per_row * descent.n_candidates
    team = threads_worth(<int> min(n, n_threads), work, WORK_PER_THREAD)
    try:
        while unfinished:
            with nogil:
                ft_sgd_run_slice(kernels, is_double, fits, state, n, SLICE_SECONDS, team)
            PyErr_CheckSignals()
            unfinished = False
            for i in range(n):
                if fits[i].history_length and state[i] != FT_SGD_RUNNING:
                    (<Descent> descents[turn[i]]).drain()
                    if each_epoch is not None:
                        each_epoch(turn[i])
                if state[i] == FT_SGD_PAUSED:
                    state[i] = FT_SGD_RUNNING
                unfinished |= state[i] == FT_SGD_RUNNING
            if unfinished and n > team > 1:
                # the one with most to do goes first in each slice, so that no thread ends with a whole fit of its own
                turn = sorted((turn[i] for i in range(n) if state[i] == FT_SGD_RUNNING), key=_work_left(descents))
                n = len(turn)
                for i in range(n):
                    descent = descents[turn[i]]
                    fits[i] = &descent.fit
                    state[i] = FT_SGD_RUNNING
    finally:
        free(memory)


def _work_left(list descents):
    """Key that sorts numbers of descents by what they have to do, most first."""
    def key(number):
        cdef Descent descent = descents[number]
        cdef ft_sgd* s = &descent.fit
        cdef double epochs = descent.longest - s.epoch
        if s.phase == FT_SGD_ROWS:
            epochs -= s.position / <double> max(1, s.n_train)
        return -epochs * s.n_train * s.work_per_row * s.n_slots

    return key
