"""Quantiles of columns by selection: nothing is sorted, and no copy of the values is made but of a few at the end.

Values become integers of the same order. A pass over the rows counts them by their leading bits, which tells in which
bucket each wanted rank lies; the next pass counts the values of those buckets by the bits below, until so few are left
that they are put together and looked through in memory. Quantiles lie between two neighbours by linear interpolation,
rounded as NumPy rounds it (method 7 of Hyndman and Fan, The American Statistician 50.4, 1996).
"""

from cython.parallel cimport prange
from libc.math cimport NAN, floor
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memmove, memset

from fasttrain._kernels.signals cimport SLICE_VALUES, PyErr_CheckSignals
from fasttrain._kernels.threads cimport threads_for_work
from fasttrain._kernels.types cimport STATUS_NO_MEMORY, STATUS_OK, real

cdef extern from *:
    """
    static inline Py_ssize_t ft_next_place(Py_ssize_t* count) { return __atomic_fetch_add(count, 1, __ATOMIC_RELAXED); }
    """
    Py_ssize_t ft_next_place(Py_ssize_t* count) noexcept nogil

cdef enum:
    DIGIT_BITS = 11
    N_BUCKETS = 2048
    SMALL = 32
    COLUMNS_AT_ONCE = 8   # a cache line of doubles: neighbours in a row are fetched together anyway
    FEW = 1 << 19         # values of a bucket that are put together rather than counted once more
    SHORT = 1 << 18       # rows of which a group of columns is put together at once, as one thread's work
    BLOCK_ROWS = 256

cdef double VALUES_PER_THREAD = 20_000.0


cdef inline Py_ssize_t minimum(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    return a if a < b else b


cdef inline Py_ssize_t group_width(Py_ssize_t row_stride) noexcept nogil:
    return 1 if row_stride == 1 else COLUMNS_AT_ONCE


cdef inline Py_ssize_t slice_rows(Py_ssize_t n_cols) noexcept nogil:
    return SLICE_VALUES // n_cols


cdef inline int threads_within(Py_ssize_t n_rows, int n_threads) noexcept nogil:
    """Threads for the passes over one group."""
    return threads_for_work(n_threads, <double> n_rows, VALUES_PER_THREAD)


cdef inline uint64_t key_of(real value) noexcept nogil:
    """An integer that orders as the value does: of 32 bits for float."""
    cdef uint64_t bits
    cdef uint32_t half
    if real is float:
        memcpy(&half, &value, sizeof(half))
        return <uint32_t> ~half if half >> 31 else half | (<uint32_t> 1 << 31)
    else:
        memcpy(&bits, &value, sizeof(bits))
        return ~bits if bits >> 63 else bits | (<uint64_t> 1 << 63)


cdef inline double value_of(uint64_t key, bint single) noexcept nogil:
    cdef uint64_t bits
    cdef uint32_t half
    cdef float narrow
    cdef double value
    if single:
        half = <uint32_t> key
        half = half & ~(<uint32_t> 1 << 31) if half >> 31 else ~half
        memcpy(&narrow, &half, sizeof(narrow))
        return narrow
    bits = key & ~(<uint64_t> 1 << 63) if key >> 63 else ~key
    memcpy(&value, &bits, sizeof(value))
    return value


cdef void sort_few(uint64_t* keys, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef uint64_t key
    for i in range(1, n):
        key = keys[i]
        j = i
        while j > 0 and keys[j - 1] > key:
            keys[j] = keys[j - 1]
            j -= 1
        keys[j] = key


cdef int select_ranks(
    uint64_t* keys, Py_ssize_t n, int shift, const Py_ssize_t* ranks, Py_ssize_t n_ranks, uint64_t* out
) noexcept nogil:
    """out[r] = the key of rank ranks[r] (ascending) among n keys that agree in all bits above shift + DIGIT_BITS."""
    cdef Py_ssize_t* counts
    cdef Py_ssize_t i, r, first, below, size, fill, start
    cdef int status, below_shift
    cdef uint64_t digit
    cdef uint64_t* bucket
    cdef Py_ssize_t* inner
    if n <= SMALL:
        sort_few(keys, n)
        for r in range(n_ranks):
            out[r] = keys[ranks[r]]
        return STATUS_OK
    counts = <Py_ssize_t*> malloc((N_BUCKETS + n_ranks) * sizeof(Py_ssize_t))
    if counts == NULL:
        return STATUS_NO_MEMORY
    inner = counts + N_BUCKETS
    memset(counts, 0, N_BUCKETS * sizeof(Py_ssize_t))
    for i in range(n):
        counts[(keys[i] >> shift) & (N_BUCKETS - 1)] += 1
    below_shift = shift - DIGIT_BITS if shift > DIGIT_BITS else 0
    below = 0
    digit = 0
    r = 0
    status = STATUS_OK
    while r < n_ranks and status == STATUS_OK:
        while below + counts[digit] <= ranks[r]:
            below += counts[digit]
            digit += 1
        first = r
        while r < n_ranks and ranks[r] < below + counts[digit]:
            inner[r] = ranks[r] - below
            r += 1
        size = counts[digit]
        if size == n:
            if shift == 0:
                for start in range(first, r):
                    out[start] = keys[0]
            else:
                status = select_ranks(keys, n, below_shift, inner + first, r - first, out + first)
            continue
        bucket = <uint64_t*> malloc((size + 1) * sizeof(uint64_t))
        if bucket == NULL:
            status = STATUS_NO_MEMORY
            continue
        fill = 0
        for i in range(n):
            # Written always, kept only if it belongs: the place behind the last one is spare.
            bucket[fill] = keys[i]
            fill += ((keys[i] >> shift) & (N_BUCKETS - 1)) == digit
        if shift == 0:
            for start in range(first, r):
                out[start] = bucket[0]
        else:
            status = select_ranks(bucket, size, below_shift, inner + first, r - first, out + first)
        free(bucket)
    free(counts)
    return status


# Ranks of one column whose values agree in all bits looked at so far.
cdef struct bucket:
    uint64_t prefix
    Py_ssize_t size         # values of the column in it
    Py_ssize_t first_rank   # places among the column's ranks, in ascending order
    Py_ssize_t last_rank
    uint64_t* values        # where they are put together; NULL while they are counted
    Py_ssize_t fill


# A few neighbouring columns and what is known of their ranks. Every bucket has N_BUCKETS counters for each thread.
cdef struct selection:
    Py_ssize_t n_cols
    Py_ssize_t n_ranks
    Py_ssize_t most         # buckets that a column can have
    int n_threads
    bint single
    bint counted            # whether the values present have been counted
    bint counts_made        # whether there is anything to count: not where all values are put together at once
    int above               # bits below those that all of a bucket agree in
    int shift               # lowest bit of the digit that this pass counts
    Py_ssize_t* present     # by thread and column
    Py_ssize_t* n_buckets   # by column
    bucket* buckets         # by column and place
    Py_ssize_t* ranks       # by column; within the bucket
    Py_ssize_t* wanted      # by column: the ranks as they were at first
    uint64_t* found         # by column: the key of each rank
    uint32_t* counts        # by thread, column, bucket and digit; of one slice
    Py_ssize_t* totals      # by column, bucket and digit


cdef void end_selection(selection* s) noexcept nogil:
    cdef Py_ssize_t i
    if s.buckets != NULL:
        for i in range(s.n_cols * s.most):
            free(s.buckets[i].values)
    free(s.present)
    free(s.n_buckets)
    free(s.buckets)
    free(s.ranks)
    free(s.wanted)
    free(s.found)
    free(s.counts)
    free(s.totals)
    memset(s, 0, sizeof(selection))


cdef int begin_selection(
    selection* s, Py_ssize_t n_rows, Py_ssize_t n_cols, Py_ssize_t n_fractions, bint single, int n_threads
) noexcept nogil:
    """One bucket a column, which has all rows: put together at once where they are few."""
    cdef Py_ssize_t j, n_counts
    memset(s, 0, sizeof(selection))
    s.n_cols = n_cols
    s.n_ranks = 2 * n_fractions
    s.most = s.n_ranks
    s.n_threads = n_threads
    s.single = single
    s.above = 32 if single else 64
    s.shift = s.above - DIGIT_BITS
    s.counts_made = n_rows > SHORT
    n_counts = n_cols * s.most * N_BUCKETS if s.counts_made else 0
    s.present = <Py_ssize_t*> calloc(n_threads * n_cols, sizeof(Py_ssize_t))
    s.n_buckets = <Py_ssize_t*> malloc(n_cols * sizeof(Py_ssize_t))
    s.buckets = <bucket*> calloc(n_cols * s.most, sizeof(bucket))
    s.ranks = <Py_ssize_t*> malloc(n_cols * s.n_ranks * sizeof(Py_ssize_t))
    s.wanted = <Py_ssize_t*> malloc(n_cols * s.n_ranks * sizeof(Py_ssize_t))
    s.found = <uint64_t*> malloc(n_cols * s.n_ranks * sizeof(uint64_t))
    s.counts = <uint32_t*> calloc(n_threads * n_counts + 1, sizeof(uint32_t))
    s.totals = <Py_ssize_t*> calloc(n_counts + 1, sizeof(Py_ssize_t))
    if (s.present == NULL or s.n_buckets == NULL or s.buckets == NULL or s.ranks == NULL or s.wanted == NULL
            or s.found == NULL or s.counts == NULL or s.totals == NULL):
        end_selection(s)
        return STATUS_NO_MEMORY
    for j in range(n_cols):
        s.n_buckets[j] = 1
        s.buckets[j * s.most].last_rank = s.n_ranks
        if not s.counts_made:
            s.buckets[j * s.most].values = <uint64_t*> malloc((n_rows + 1) * sizeof(uint64_t))
            if s.buckets[j * s.most].values == NULL:
                end_selection(s)
                return STATUS_NO_MEMORY
    return STATUS_OK


cdef void count_all(
    const real* x, Py_ssize_t rows, Py_ssize_t stride, selection* s, Py_ssize_t j, int thread
) noexcept nogil:
    """The first pass over rows of one column."""
    cdef Py_ssize_t i, n = 0
    cdef uint32_t* counts = s.counts + (thread * s.n_cols + j) * s.most * N_BUCKETS
    cdef int shift = s.shift
    cdef real value
    for i in range(rows):
        value = x[i * stride]
        if value == value:
            counts[key_of(<real> (value + 0)) >> shift] += 1
            n += 1
    s.present[thread * s.n_cols + j] += n


cdef void count_buckets(
    const real* x, Py_ssize_t rows, Py_ssize_t stride, selection* s, Py_ssize_t j, int thread
) noexcept nogil:
    """A later pass over rows of one column: the values of a bucket are counted, or put together in any order.

    The bucket is found without a branch, which none could foresee; that few values are put together can be foreseen.
    """
    cdef Py_ssize_t i, b, at, n_buckets = s.n_buckets[j]
    cdef uint32_t* counts = s.counts + (thread * s.n_cols + j) * (s.most * N_BUCKETS)
    cdef bucket* buckets = s.buckets + j * s.most
    cdef int shift = s.shift, above = s.above
    cdef uint64_t key, mask = (<uint64_t> 1 << (above - shift)) - 1
    cdef uint32_t[2] elsewhere
    cdef uint32_t* counter
    cdef real value
    for i in range(rows):
        value = x[i * stride]
        key = key_of(<real> (value + 0))
        # NaN takes the place of a number past all prefixes.
        key = key if value == value else <uint64_t> -1
        counter = elsewhere + (i & 1)
        at = -1
        for b in range(n_buckets):
            counter = counts + b * N_BUCKETS + (key >> shift & mask) if key >> above == buckets[b].prefix else counter
            at = b if key >> above == buckets[b].prefix else at
        counter[0] += 1
        if at >= 0 and buckets[at].values != NULL:
            buckets[at].values[ft_next_place(&buckets[at].fill)] = key


cdef void gather_all(
    const real* x, Py_ssize_t rows, Py_ssize_t stride, selection* s, Py_ssize_t j
) noexcept nogil:
    """All rows of one column, where they are few."""
    cdef Py_ssize_t i
    cdef bucket* whole = s.buckets + j * s.most
    cdef uint64_t* values = whole.values
    cdef Py_ssize_t n = whole.fill
    cdef real value
    for i in range(rows):
        value = x[i * stride]
        values[n] = key_of(<real> (value + 0))
        n += value == value
    whole.fill = n
    s.present[j] = n


cdef void pass_part(
    const real* x, Py_ssize_t rows, Py_ssize_t row_stride, Py_ssize_t col_stride, selection* s, int thread
) noexcept nogil:
    """One thread's rows of a pass, in blocks whose cache lines stay for the next column."""
    cdef Py_ssize_t block, first, n, j
    for block in range((rows + BLOCK_ROWS - 1) // BLOCK_ROWS):
        first = block * BLOCK_ROWS
        n = minimum(BLOCK_ROWS, rows - first)
        for j in range(s.n_cols):
            if not s.counts_made:
                gather_all(x + first * row_stride + j * col_stride, n, row_stride, s, j)
            elif s.counted:
                count_buckets(x + first * row_stride + j * col_stride, n, row_stride, s, j, thread)
            else:
                count_all(x + first * row_stride + j * col_stride, n, row_stride, s, j, thread)


cdef void pass_over(
    const real* x, Py_ssize_t rows, Py_ssize_t row_stride, Py_ssize_t col_stride, selection* s
) noexcept nogil:
    """A slice of a pass."""
    cdef Py_ssize_t part = (rows + s.n_threads - 1) // s.n_threads, j, k, size = s.most * N_BUCKETS
    cdef int t
    cdef uint32_t* counts
    if s.n_threads == 1:
        pass_part(x, rows, row_stride, col_stride, s, 0)
    else:
        for t in prange(s.n_threads, schedule="static", chunksize=1, num_threads=s.n_threads):
            pass_part(x + minimum(rows, t * part) * row_stride, minimum(rows, (t + 1) * part) - minimum(rows, t * part),
                      row_stride, col_stride, s, t)
    if not s.counts_made:
        return
    for t in range(s.n_threads):
        for j in range(s.n_cols):
            counts = s.counts + (t * s.n_cols + j) * size
            for k in range(s.n_buckets[j] * <Py_ssize_t> N_BUCKETS):
                s.totals[j * size + k] += counts[k]
            memset(counts, 0, s.n_buckets[j] * N_BUCKETS * sizeof(uint32_t))


cdef void rank_fractions(selection* s, Py_ssize_t j, const double* fractions, Py_ssize_t n) noexcept nogil:
    """The ranks among n values that quantiles of ``fractions`` lie between, ascending and each once."""
    cdef Py_ssize_t f, r, n_ranks = 0, rank
    cdef Py_ssize_t* ranks = s.ranks + j * s.n_ranks
    for f in range(s.n_ranks):
        rank = minimum(<Py_ssize_t> floor(fractions[f // 2] * <double> (n - 1)) + f % 2, n - 1)
        r = n_ranks
        while r > 0 and ranks[r - 1] > rank:
            r -= 1
        if r > 0 and ranks[r - 1] == rank:
            continue
        memmove(ranks + r + 1, ranks + r, (n_ranks - r) * sizeof(Py_ssize_t))
        ranks[r] = rank
        n_ranks += 1
    s.buckets[j * s.most].last_rank = n_ranks
    memcpy(s.wanted + j * s.n_ranks, ranks, n_ranks * sizeof(Py_ssize_t))


cdef int split_bucket(selection* s, Py_ssize_t j, const bucket* whole, const Py_ssize_t* totals, bucket* parts,
                      Py_ssize_t* n_parts) noexcept nogil:
    """The buckets one digit further that a counted bucket's ranks lie in; a rank whose key is known has none."""
    cdef Py_ssize_t below = 0, r = whole.first_rank, first
    cdef Py_ssize_t* ranks = s.ranks + j * s.n_ranks
    cdef uint64_t digit = 0, prefix
    cdef bucket* part
    while r < whole.last_rank:
        while below + totals[digit] <= ranks[r]:
            below += totals[digit]
            digit += 1
        prefix = whole.prefix << (s.above - s.shift) | digit
        first = r
        while r < whole.last_rank and ranks[r] < below + totals[digit]:
            ranks[r] -= below
            s.found[j * s.n_ranks + r] = prefix
            r += 1
        if s.shift == 0:
            continue
        part = parts + n_parts[0]
        memset(part, 0, sizeof(bucket))
        part.prefix = prefix
        part.size = totals[digit]
        part.first_rank = first
        part.last_rank = r
        n_parts[0] += 1
        if part.size <= FEW:
            part.values = <uint64_t*> malloc((part.size + 1) * sizeof(uint64_t))
            if part.values == NULL:
                return STATUS_NO_MEMORY
    return STATUS_OK


cdef int advance_column(selection* s, Py_ssize_t j, const double* fractions) noexcept nogil:
    cdef Py_ssize_t b, t, n = 0, n_parts = 0
    cdef int status = STATUS_OK
    cdef bucket* buckets = s.buckets + j * s.most
    cdef bucket* parts
    if not s.counted:
        for t in range(s.n_threads):
            n += s.present[t * s.n_cols + j]
        s.present[j] = n
        buckets[0].size = n
        if n == 0:
            s.n_buckets[j] = 0
            return STATUS_OK
        rank_fractions(s, j, fractions, n)
    parts = <bucket*> malloc(s.most * sizeof(bucket))
    if parts == NULL:
        return STATUS_NO_MEMORY
    for b in range(s.n_buckets[j]):
        if status != STATUS_OK:
            continue
        if buckets[b].values != NULL:
            status = select_ranks(
                buckets[b].values, buckets[b].fill, s.shift, s.ranks + j * s.n_ranks + buckets[b].first_rank,
                buckets[b].last_rank - buckets[b].first_rank, s.found + j * s.n_ranks + buckets[b].first_rank)
        else:
            status = split_bucket(s, j, buckets + b, s.totals + (j * s.most + b) * N_BUCKETS, parts, &n_parts)
    for b in range(s.n_buckets[j]):
        free(buckets[b].values)
        buckets[b].values = NULL
    if s.counts_made:
        memset(s.totals + j * s.most * N_BUCKETS, 0, s.n_buckets[j] * N_BUCKETS * sizeof(Py_ssize_t))
    memcpy(buckets, parts, n_parts * sizeof(bucket))
    s.n_buckets[j] = n_parts
    free(parts)
    return status


cdef int advance(selection* s, const double* fractions, bint* unfinished_out) noexcept nogil:
    """What a whole pass has found out."""
    cdef Py_ssize_t j, n_cols = s.n_cols
    cdef int failed = 0
    unfinished_out[0] = False
    if s.n_threads == 1:
        for j in range(n_cols):
            failed += advance_column(s, j, fractions)
    else:
        for j in prange(n_cols, schedule="dynamic", num_threads=s.n_threads):
            failed += advance_column(s, j, fractions)
    s.counted = True
    s.above = s.shift
    s.shift = s.shift - DIGIT_BITS if s.shift > DIGIT_BITS else 0
    for j in range(s.n_cols):
        unfinished_out[0] |= s.n_buckets[j] > 0
    return STATUS_NO_MEMORY if failed else STATUS_OK


cdef void write_quantiles(
    const selection* s, const double* fractions, Py_ssize_t n_fractions, double* out, Py_ssize_t out_stride
) noexcept nogil:
    """Between the values of two neighbouring ranks."""
    cdef Py_ssize_t j, f, r, n
    cdef const Py_ssize_t* wanted
    cdef double at, t, low, high, step
    for j in range(s.n_cols):
        n = s.present[j]
        wanted = s.wanted + j * s.n_ranks
        for f in range(n_fractions):
            if n == 0:
                out[f * out_stride + j] = NAN
                continue
            at = fractions[f] * <double> (n - 1)
            t = at - floor(at)
            r = 0
            while wanted[r] < <Py_ssize_t> floor(at):
                r += 1
            low = value_of(s.found[j * s.n_ranks + r], s.single)
            if t == 0:
                out[f * out_stride + j] = low
                continue
            high = value_of(s.found[j * s.n_ranks + r + 1], s.single)
            step = high - low
            out[f * out_stride + j] = high - step * (1 - t) if t >= 0.5 else low + step * t


cdef int group_quantiles(
    const real* x, Py_ssize_t n_rows, Py_ssize_t n_cols, Py_ssize_t row_stride, Py_ssize_t col_stride,
    const double* fractions, Py_ssize_t n_fractions, double* out, Py_ssize_t out_stride, int n_threads,
) noexcept nogil:
    """A few neighbouring columns; out[f, j] lies at f * out_stride + j."""
    cdef selection s
    cdef bint unfinished = True
    cdef Py_ssize_t first, k, step = slice_rows(n_cols)
    cdef int status = begin_selection(&s, n_rows, n_cols, n_fractions, real is float, n_threads)
    while unfinished and status == STATUS_OK:
        for k in range((n_rows + step - 1) // step):
            first = k * step
            pass_over(x + first * row_stride, minimum(step, n_rows - first), row_stride, col_stride, &s)
        status = advance(&s, fractions, &unfinished)
    if status == STATUS_OK:
        write_quantiles(&s, fractions, n_fractions, out, out_stride)
    end_selection(&s)
    return status


cdef int short_columns(
    const real* x, Py_ssize_t n_rows, Py_ssize_t n_cols, Py_ssize_t row_stride, Py_ssize_t col_stride,
    const double* fractions, Py_ssize_t n_fractions, double* out, Py_ssize_t out_stride, int n_threads,
) noexcept nogil:
    """Columns of so few rows that a group of them is one thread's work."""
    cdef Py_ssize_t group, width = group_width(row_stride), n_groups = (n_cols + width - 1) // width
    cdef int failed = 0
    n_threads = <int> minimum(threads_for_work(n_threads, <double> n_rows * n_cols, VALUES_PER_THREAD), n_groups)
    if n_threads <= 1:
        for group in range(n_groups):
            failed += group_quantiles(
                x + group * width * col_stride, n_rows, minimum(width, n_cols - group * width), row_stride, col_stride,
                fractions, n_fractions, out + group * width, out_stride, 1)
    else:
        for group in prange(n_groups, schedule="dynamic", num_threads=n_threads):
            failed += group_quantiles(
                x + group * width * col_stride, n_rows, minimum(width, n_cols - group * width), row_stride, col_stride,
                fractions, n_fractions, out + group * width, out_stride, 1)
    return STATUS_NO_MEMORY if failed else STATUS_OK


cdef int column_quantiles(
    const real* x, Py_ssize_t n_rows, Py_ssize_t n_cols, Py_ssize_t row_stride, Py_ssize_t col_stride,
    const double* fractions, Py_ssize_t n_fractions, double* out, int n_threads,
) noexcept nogil:
    """out[f, j] = quantile fractions[f] (in [0, 1]) of the values present in column j; NaN where nothing is."""
    cdef Py_ssize_t j, k, width = group_width(row_stride)
    cdef int status = STATUS_OK
    if n_rows <= SHORT:
        return short_columns(
            x, n_rows, n_cols, row_stride, col_stride, fractions, n_fractions, out, n_cols, n_threads)
    for k in range((n_cols + width - 1) // width):
        j = k * width
        if status == STATUS_OK:
            status = group_quantiles(x + j * col_stride, n_rows, minimum(width, n_cols - j), row_stride, col_stride,
                                     fractions, n_fractions, out + j, n_cols, threads_within(n_rows, n_threads))
    return status


def quantiles(const real[:, :] X, const double[::1] fractions, double[:, ::1] out, int n_threads):
    """:c:func:`column_quantiles` for Python, with looks for signals; strides must be whole elements. Returns the
    status.
    """
    cdef int status = STATUS_OK
    cdef Py_ssize_t n_rows = X.shape[0], n_cols = X.shape[1], n_fractions = fractions.shape[0], j, first, step, width, n
    cdef Py_ssize_t row_stride = X.strides[0] // <Py_ssize_t> sizeof(real)
    cdef Py_ssize_t col_stride = X.strides[1] // <Py_ssize_t> sizeof(real)
    cdef selection s
    cdef bint unfinished
    if n_rows == 0:
        out[:, :] = NAN
        return STATUS_OK
    if n_cols == 0 or n_fractions == 0:
        return STATUS_OK
    width = group_width(row_stride)
    if n_rows <= SHORT:
        step = max(width, SLICE_VALUES // n_rows // width * width)
        for j in range(0, n_cols, step):
            with nogil:
                status = short_columns(
                    &X[0, j], n_rows, minimum(step, n_cols - j), row_stride, col_stride, &fractions[0], n_fractions,
                    &out[0, j], n_cols, n_threads)
            if status != STATUS_OK:
                return status
            PyErr_CheckSignals()
        return status
    n_threads = threads_within(n_rows, n_threads)
    for j in range(0, n_cols, width):
        n = minimum(width, n_cols - j)
        step = slice_rows(n)
        status = begin_selection(&s, n_rows, n, n_fractions, real is float, n_threads)
        unfinished = True
        try:
            while unfinished and status == STATUS_OK:
                for first in range(0, n_rows, step):
                    with nogil:
                        pass_over(&X[first, j], minimum(step, n_rows - first), row_stride, col_stride, &s)
                    PyErr_CheckSignals()
                with nogil:
                    status = advance(&s, &fractions[0], &unfinished)
            if status != STATUS_OK:
                return status
            write_quantiles(&s, &fractions[0], n_fractions, &out[0, j], n_cols)
        finally:
            end_selection(&s)
    return status
