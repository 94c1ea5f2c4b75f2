"""Losses and gradients of many linear models over the same rows, X read once for all of them.

A *fit* is one model: its coefficients, targets, row weights and held-out rows. One evaluation goes over blocks of rows
that stay in the cache: raw predictions ``Z = X W^T + b`` of all fits, each fit's losses and their derivatives ``D`` on
its columns of Z, then ``G += D^T X``. Gradients of chunks of rows, which do not depend on the threads, are added in
their order; ``linear_blocks`` has the work on a block.

Compiled minimizers call :meth:`LinearSums.evaluate_fits`; arguments are trusted, as everywhere in this package.
"""

import numpy as np

from cython.parallel cimport parallel, prange, threadid
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from fasttrain._kernels.linear_blocks cimport by_columns, chunk_sums, feature_sums, linear_fit, linear_task
from fasttrain._kernels.primitives cimport FT_LOSS_softmax_crossentropy, lanes, panel_step, panel_width
from fasttrain._kernels.signals cimport PyErr_CheckSignals
from fasttrain._kernels.steps cimport ft_pace_init, ft_pace_next, ft_pace_note_pass
from fasttrain._kernels.threads cimport threads_worth
from fasttrain._kernels.types cimport real

from fasttrain._kernels import losses as _losses

cdef extern from "clock.h" nogil:
    double ft_seconds() noexcept

cdef enum:
    FEW_COLUMNS = 5             # up to which vectors run along the features
    FEW_BYTES = 16384           # rows of a block together, with few columns: stays in L1 between its two passes
    BLOCK_BYTES = 131072        # the same in panels, whose gradient tiles pay for themselves over many rows: in L2
    Z_BYTES = 262144            # raw predictions of a block
    MAX_ROWS = 256
    SPARSE_ROWS = 64            # of a block of a CSR X by columns
    SPARSE_BYTES = 65536        # of a block of one row by row: in L2 between its two passes
    SPARSE_SHARE = 4            # non-zeros for each feature of a chunk's gradient, which is made and read for them
    SPARSE_CHUNKS = 4           # at least, however few non-zeros: the threads that can share them
    CHUNK_ENTRIES = 16384       # non-zeros of a chunk at least
    CHUNK_ROWS = 2048           # at least, where there is room for more chunks
    MAX_CHUNKS = 64
    PARTIAL_LIMIT = 1 << 23     # elements of all chunk gradients together
    FEATURES = 512              # of a CSR X that a thread sums at a time
    COMBINE = 8192              # elements of the gradients that a thread combines at a time

cdef double SLICE_SECONDS = 0.04
cdef double WORK_PER_THREAD = 4e5   # multiply-adds


cdef inline Py_ssize_t up(Py_ssize_t n, Py_ssize_t multiple) noexcept nogil:
    return (n + multiple - 1) // multiple * multiple

cdef inline Py_ssize_t clamp(Py_ssize_t n, Py_ssize_t low, Py_ssize_t high) noexcept nogil:
    return low if n < low else (high if n > high else n)


cdef void plan(linear_task* t, const real* like) noexcept nogil:
    """How an evaluation of ``t.n_active`` fits goes over the rows: by the sizes alone, never by the threads."""
    cdef Py_ssize_t lane = lanes(like), size = sizeof(real), elements, most, entries
    t.n_columns = t.n_active * t.n_outputs
    t.by_rows = t.is_sparse and t.n_columns == 1
    if t.is_sparse:
        t.in_panels = t.n_columns > 1
    else:
        t.in_panels = t.n_columns > FEW_COLUMNS
    t.ldz = up(t.n_columns, lane) if t.in_panels else t.n_columns
    t.padded = up(t.n_columns, panel_step(like)) if t.in_panels and not t.is_sparse else t.ldz
    if t.n_active > 1 and t.ldz == up(t.n_outputs, lane):
        # rows exactly as far apart as a fit's outputs in whole vectors would be written to their end by its softmax
        t.ldz += lane
    if t.by_rows:
        entries = t.indptr[t.n] - t.indptr[0]
        t.block_rows = clamp(SPARSE_BYTES // ((entries // max(t.n, 1) + 1) * (size + 4)), 8, MAX_ROWS)
    elif t.is_sparse:
        t.block_rows = SPARSE_ROWS
    else:
        t.block_rows = clamp((BLOCK_BYTES if t.in_panels else FEW_BYTES) // (max(t.k, 1) * size), 8, MAX_ROWS)
    t.block_rows = clamp(Z_BYTES // (t.ldz * size), 8, t.block_rows) // 8 * 8
    elements = max((1 if t.is_sparse and not t.by_rows else t.k) * t.padded, 1)
    most = clamp(PARTIAL_LIMIT // elements, 1, MAX_CHUNKS)
    if t.by_rows:
        most = min(most, clamp(entries // (SPARSE_SHARE * max(t.k, 1)), SPARSE_CHUNKS, MAX_CHUNKS))
        t.n_chunks = clamp(entries // CHUNK_ENTRIES, 1, most)
    else:
        t.n_chunks = clamp(t.n // CHUNK_ROWS, 1, most)
    t.chunk_rows = up((t.n + t.n_chunks - 1) // t.n_chunks, t.block_rows)
    t.n_chunks = max(<Py_ssize_t> 1, (t.n + t.chunk_rows - 1) // t.chunk_rows)
    # rows and the rows after them, raw predictions both ways round, weights
    t.scratch_size = up(
        2 * t.block_rows * sizeof(void*) + t.block_rows * (2 * t.ldz + 2 + 2 * lane) * size
        + 2 * lane * t.ldz * size + panel_width(like) * size, 64)


cdef void pack_coefficients(linear_task* t, const double* const* w, const real* like) noexcept nogil:
    """The coefficients of the active fits, their intercepts behind them, into ``t.w`` and ``t.bias``."""
    cdef Py_ssize_t k1 = t.k + t.has_bias, panel = panel_width(like), c, f, first, width
    cdef const double* column
    cdef real* out = <real*> t.w
    cdef real* bias = <real*> t.bias
    # what stands behind the last column is zero
    memset(out, 0, t.k * t.padded * sizeof(real))
    memset(bias, 0, t.padded * sizeof(real))
    for c in range(t.n_columns):
        column = w[c // t.n_outputs] + c % t.n_outputs * k1
        bias[c] = <real> column[t.k] if t.has_bias else 0
        if t.in_panels:
            first = c // panel * panel
            width = min(panel, t.padded - first)
            for f in range(t.k):
                out[first * t.k + f * width + c - first] = <real> column[f]
        else:
            for f in range(t.k):
                out[c * t.k + f] = <real> column[f]


cdef double run_chunks(linear_task* t, int n_threads, const real* like) noexcept nogil:
    """Goes on with the chunks until the time is over; the seconds that the first thread to end waited for the last."""
    cdef Py_ssize_t chunk
    cdef int thread
    cdef double first = ft_seconds()
    for thread in range(n_threads):
        t.finished[thread] = first
    with parallel(num_threads=n_threads):
        for chunk in prange(t.n_chunks, schedule="dynamic", chunksize=1):
            if t.next_row[chunk] < min((chunk + 1) * t.chunk_rows, t.n):
                chunk_sums(t, chunk, t.scratch + threadid() * t.scratch_size, like)
                t.finished[threadid()] = ft_seconds()
    first = t.finished[0]
    for thread in range(1, n_threads):
        first = min(first, t.finished[thread])
    return ft_seconds() - first


cdef void run_features(linear_task* t, double** out, int n_threads, const real* like) noexcept nogil:
    """The gradient by the coefficients of a CSR X, features after features until the time is over."""
    cdef Py_ssize_t n_parts = (t.k + FEATURES - 1) // FEATURES, count, part, first
    cdef Py_ssize_t work = 4 * t.padded * (t.indptr[t.n] // max(n_parts, 1) + 1)
    # parts between two looks at the clock
    count = clamp((1 << 23) // work, n_threads, n_parts)
    while t.next_part < n_parts:
        first = t.next_part
        count = min(count, n_parts - first)
        with parallel(num_threads=n_threads):
            for part in prange(first, first + count, schedule="dynamic", chunksize=1):
                feature_sums(t, part * FEATURES, min((part + 1) * FEATURES, t.k), out,
                             <real*> (t.scratch + threadid() * t.scratch_size))
        t.next_part += count
        if ft_seconds() > t.deadline:
            return


cdef void combine_part(const linear_task* t, Py_ssize_t begin, Py_ssize_t end, double** out,
                       const real* like) noexcept nogil:
    """Features [begin, end) of all chunk gradients, added in the order of the chunks."""
    cdef Py_ssize_t k1 = t.k + t.has_bias, panel = panel_width(like), size = t.k * t.padded
    cdef Py_ssize_t c, f, first, offset, stride, chunk
    cdef double* column
    cdef const double* total
    for c in range(t.n_columns):
        column = out[c // t.n_outputs] + c % t.n_outputs * k1
        if t.in_panels:
            first = c // panel * panel
            offset, stride = first * t.k + c - first, min(panel, t.padded - first)
        else:
            offset, stride = c * t.k, 1
        for f in range(begin, end):
            column[f] = 0.0
        for chunk in range(t.n_chunks):
            total = t.g_sum + chunk * size + offset
            for f in range(begin, end):
                column[f] += total[f * stride]


cdef void combine(const linear_task* t, double* values_out, double** out, int n_threads,
                  const real* like) noexcept nogil:
    cdef Py_ssize_t step = max(<Py_ssize_t> 1, COMBINE // t.n_columns), n_parts = (t.k + step - 1) // step
    cdef Py_ssize_t part, chunk, c, j
    cdef double total
    if t.by_rows or not t.is_sparse:
        for part in prange(n_parts, num_threads=n_threads, schedule="dynamic", chunksize=1):
            combine_part(t, part * step, min((part + 1) * step, t.k), out, like)
    if t.has_bias:
        for c in range(t.n_columns):
            total = 0.0
            for chunk in range(t.n_chunks):
                total += t.bias_sum[chunk * t.padded + c]
            out[c // t.n_outputs][c % t.n_outputs * (t.k + 1) + t.k] = total
    for j in range(t.n_active):
        total = 0.0
        for chunk in range(t.n_chunks):
            total += t.loss_sum[chunk * t.n_active + j]
        values_out[j] = total


cdef class LinearSums:
    """Sums of the losses of linear models over rows, and the gradients of these sums.

    Of fit j with coefficients w, intercept b, row weights s and rows H held out

        value = sum_{i not in H} s_i loss(y_i, x_i . w + b),    gradient = its derivative by w, then by b.

    Parameters
    ----------
    X : float32 or float64 array of shape (n, k), C-contiguous, or tuple (data, indices, indptr, k)
        The tuple is CSR, columns of a row ascending without duplicates; for several columns of coefficients it is
        copied by columns.
    loss : str
        One of ``_kernels.losses.NAMES``.
    loss_parameter : float
    n_outputs : int
        Of each fit.
    fit_intercept : bool
    fits : list of (y, weight, held)
        y: array of X's dtype and of shape (n_outputs, n), or (n,) class codes for the softmax; weight: array of
        X's dtype and of shape (n,), or None for ones; held: int64 array of row numbers that ascend, or None.

    Notes
    -----
    Coefficients are read as float64, an intercept behind the k of each output, and predictions, losses and
    derivatives computed in the dtype of X; sums are float64. The bytes do not depend on the number of threads, so an
    instance goes on with one where several have no cores of their own (``pace.h``). The arrays are kept alive, never
    written. One instance is for one thread at a time.
    """

    def __cinit__(self):
        memset(&self.task, 0, sizeof(linear_task))

    def __dealloc__(self):
        free(self.task.fits)

    def __init__(self, X, loss, double loss_parameter, Py_ssize_t n_outputs, bint fit_intercept, list fits):
        cdef linear_task* t = &self.task
        cdef Py_ssize_t j
        cdef const int64_t[::1] held_rows
        cdef const Py_ssize_t[::1] starts
        self.rooms = {}
        self.hold = [X, fits]
        self.dtype = (X[0] if isinstance(X, tuple) else X).dtype
        t.is_double = self.dtype.itemsize == 8
        if isinstance(X, tuple):
            data, indices, indptr, k = X
            starts = indptr = np.ascontiguousarray(indptr, dtype=np.intp)
            self.hold.append(indptr)
            t.is_sparse = True
            t.x = address(data)
            t.indices = address(indices)
            t.indptr = &starts[0]
            t.wide = indices.dtype.itemsize == 8
            t.n, t.k = len(indptr) - 1, k
        else:
            t.x = address(X)
            t.n, t.k = X.shape
        t.has_bias = fit_intercept
        t.loss = _losses.NAMES.index(loss)
        t.loss_parameter = loss_parameter
        t.n_outputs = n_outputs
        self.n_fits = len(fits)
        t.fits = <linear_fit*> calloc(max(<Py_ssize_t> 1, self.n_fits), sizeof(linear_fit))
        if t.fits == NULL:
            raise MemoryError(f"no memory for {self.n_fits} fits")
        for j, (y, weight, held) in enumerate(fits):
            t.fits[j].y = address(y)
            t.fits[j].weight = address(weight)
            if held is not None and len(held):
                held_rows = held
                t.fits[j].held = &held_rows[0]
                t.fits[j].n_held = held_rows.shape[0]

    @property
    def loss_parameter(self):
        """Parameter of the loss, for the evaluations to come."""
        return self.task.loss_parameter

    @loss_parameter.setter
    def loss_parameter(self, double value):
        self.task.loss_parameter = value

    def keep_raw(self, raw_out):
        """Have evaluations write the raw predictions of their fits to an array, or to none.

        raw_out: C-contiguous, of X's dtype and of shape (n_fits, n_outputs, n), or None. Not with the softmax.
        """
        if self.task.loss == FT_LOSS_softmax_crossentropy:
            raise ValueError("raw predictions are kept of elementwise losses only, got softmax_crossentropy")
        self.rooms["raw"] = raw_out
        self.task.raw = address(raw_out)

    @property
    def size(self):
        """Coefficients and intercepts of one fit."""
        return self.task.n_outputs * (self.task.k + self.task.has_bias)

    @property
    def n_outputs(self):
        """Outputs of each fit."""
        return self.task.n_outputs

    cdef int _need_columns(self) except -1:
        """Copies a CSR X by columns, if that is not done."""
        cdef linear_task* t = &self.task
        cdef const Py_ssize_t[::1] starts
        if t.column_starts != NULL:
            return 0
        t.column_wide = t.n > 0x7FFFFFFF
        data = self.hold[0][0]
        values, numbers = np.empty_like(data), np.empty(len(data), np.int64 if t.column_wide else np.int32)
        starts = columns = np.zeros(t.k + 2, np.intp)
        self.hold += [values, numbers, columns]
        t.column_values, t.column_rows = address(values), address(numbers)
        t.column_starts = &starts[0]
        with nogil:
            if t.is_double:
                by_columns(t, <const double*> NULL)
            else:
                by_columns(t, <const float*> NULL)
        return 0

    cdef void* _room(self, name, Py_ssize_t size) except NULL:
        """Address of a workspace of so many bytes, zero when new."""
        cdef size_t place
        room = self.rooms.get(name)
        if room is None or room[0].size < size + 64:
            array = np.zeros(size + 64, np.uint8)
            place = array.ctypes.data
            room = self.rooms[name] = array, (place + 63) // 64 * 64
        place = room[1]
        return <void*> place

    cdef int evaluate_fits(
            self, const double* const* w, const Py_ssize_t* active, Py_ssize_t n_active, double* values_out,
            double** gradients_out, int n_threads) except -1:
        """Values and gradients of some fits, whose numbers ``active`` holds; w and gradients_out are one for each.

        Returns 0; -1 with the exception that a signal's handler has raised.
        """
        cdef linear_task* t = &self.task
        cdef Py_ssize_t item = 8 if t.is_double else 4, chunk, size, j
        cdef bint unfinished = True
        cdef int budget
        cdef double started = ft_seconds(), now, until, late = 0.0
        t.active = active
        t.n_active = n_active
        if t.is_double:
            plan(t, <const double*> NULL)
        else:
            plan(t, <const float*> NULL)
        n_threads = threads_worth(
            n_threads,
            <double> t.n_columns * (4.0 * t.indptr[t.n] if t.is_sparse else <double> t.n * t.k), WORK_PER_THREAD)
        if t.by_rows or not t.is_sparse:
            n_threads = min(n_threads, <int> t.n_chunks)
        budget = n_threads
        if budget > 1:
            if self.pace.budget != budget:
                ft_pace_init(&self.pace, budget)
            # an evaluation is a stretch
            n_threads = ft_pace_next(&self.pace, started, &until)
        size = t.n_chunks * t.k * t.padded
        t.w = self._room("w", max(t.k, 1) * t.padded * item)
        t.bias = self._room("bias", t.padded * item)
        if t.by_rows:
            # a chunk begins with zeros; X without rows has none that would
            t.g_sum = <double*> self._room("g_sum", size * 8)
            if t.n == 0:
                memset(t.g_sum, 0, size * 8)
        elif t.is_sparse:
            self._need_columns()
            t.d = self._room("d", t.n * t.padded * item)
            t.next_part = 0
        else:
            t.g = self._room("g", size * item)
            memset(t.g, 0, size * item)
            t.g_sum = <double*> self._room("g_sum", size * 8)
            memset(t.g_sum, 0, size * 8)
        t.bias_sum = <double*> self._room("bias_sum", t.n_chunks * t.padded * 8)
        memset(t.bias_sum, 0, t.n_chunks * t.padded * 8)
        t.loss_sum = <double*> self._room("loss_sum", t.n_chunks * n_active * 8)
        memset(t.loss_sum, 0, t.n_chunks * n_active * 8)
        t.next_row = <Py_ssize_t*> self._room("next_row", t.n_chunks * sizeof(Py_ssize_t))
        for chunk in range(t.n_chunks):
            t.next_row[chunk] = chunk * t.chunk_rows
        t.scratch = <char*> self._room("scratch", n_threads * t.scratch_size)
        t.finished = <double*> self._room("finished", n_threads * sizeof(double))
        with nogil:
            if t.is_double:
                pack_coefficients(t, w, <const double*> NULL)
            else:
                pack_coefficients(t, w, <const float*> NULL)
        while unfinished:
            with nogil:
                t.deadline = ft_seconds() + SLICE_SECONDS
                if t.is_double:
                    late += run_chunks(t, n_threads, <const double*> NULL)
                else:
                    late += run_chunks(t, n_threads, <const float*> NULL)
                unfinished = False
                for j in range(t.n_chunks):
                    unfinished |= t.next_row[j] < min((j + 1) * t.chunk_rows, t.n)
            PyErr_CheckSignals()
        while t.is_sparse and not t.by_rows and t.next_part * FEATURES < t.k:
            with nogil:
                t.deadline = ft_seconds() + SLICE_SECONDS
                if t.is_double:
                    run_features(t, gradients_out, n_threads, <const double*> NULL)
                else:
                    run_features(t, gradients_out, n_threads, <const float*> NULL)
            PyErr_CheckSignals()
        with nogil:
            if t.is_double:
                combine(t, values_out, gradients_out, n_threads, <const double*> NULL)
            else:
                combine(t, values_out, gradients_out, n_threads, <const float*> NULL)
        if budget > 1:
            now = ft_seconds()
            ft_pace_note_pass(&self.pace, t.n_columns, now - started, late, now)
        return 0

    def evaluate(self, const double[:, ::1] w, double[::1] values_out, double[:, ::1] gradients_out,
                 const Py_ssize_t[::1] active=None, int n_threads=1):
        """Values and gradients of fits at coefficients ``w``, a row of :attr:`size` for each.

        Parameters
        ----------
        w, gradients_out : float64 arrays of shape (n_active, size)
            Of each output the k coefficients, then the intercept where there is one.
        values_out : float64 array of shape (n_active,)
        active : intp array of shape (n_active,) or None
            Numbers of the fits; None for all.
        n_threads : int
        """
        cdef Py_ssize_t j, n = w.shape[0]
        cdef const Py_ssize_t[::1] numbers = np.arange(n, dtype=np.intp) if active is None else active
        cdef const double** rows = <const double**> calloc(2 * max(<Py_ssize_t> 1, n), sizeof(void*))
        cdef double** out = <double**> (rows + n)
        if rows == NULL:
            raise MemoryError(f"no memory for {n} fits")
        for j in range(n):
            rows[j] = &w[j, 0]
            out[j] = &gradients_out[j, 0]
        try:
            if n:
                self.evaluate_fits(rows, &numbers[0], n, &values_out[0], out, n_threads)
        finally:
            free(rows)


cdef void* address(array) except? NULL:
    cdef size_t place
    if array is None:
        return NULL
    place = array.ctypes.data
    return <void*> place
