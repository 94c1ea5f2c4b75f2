"""Quantiles of columns by selection: nothing is sorted but a handful of values at the end.

Values become integers of the same order; a histogram of their leading bits tells in which bucket each wanted rank
lies, and only that bucket is looked at again with the bits below. Quantiles lie between two neighbours by linear
interpolation, rounded as NumPy rounds it (method 7 of Hyndman and Fan, The American Statistician 50.4, 1996).
"""

from cython.parallel cimport prange
from libc.math cimport NAN, floor
from libc.stdint cimport uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from fasttrain._kernels.threads cimport threads_for_work
from fasttrain._kernels.types cimport STATUS_NO_MEMORY, STATUS_OK, real

cdef enum:
    DIGIT_BITS = 11
    N_BUCKETS = 2048
    SMALL = 32
    COLUMNS_AT_ONCE = 8   # a cache line of doubles: neighbours in a row are fetched together anyway

cdef double VALUES_PER_THREAD = 20_000.0


cdef inline uint64_t key_of(double value) noexcept nogil:
    """An integer that orders as the value does."""
    cdef uint64_t bits
    memcpy(&bits, &value, sizeof(bits))
    return ~bits if bits >> 63 else bits | (<uint64_t> 1 << 63)


cdef inline double value_of(uint64_t key) noexcept nogil:
    cdef uint64_t bits = key & ~(<uint64_t> 1 << 63) if key >> 63 else ~key
    cdef double value
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


cdef int quantiles_of(
    uint64_t* keys, Py_ssize_t n, const double* fractions, Py_ssize_t n_fractions, double* out, Py_ssize_t out_stride
) noexcept nogil:
    cdef Py_ssize_t* ranks = <Py_ssize_t*> malloc(2 * n_fractions * sizeof(Py_ssize_t))
    cdef uint64_t* found = <uint64_t*> malloc(2 * n_fractions * sizeof(uint64_t))
    cdef Py_ssize_t f
    cdef double at, t, low, high, step
    cdef int status
    if ranks == NULL or found == NULL:
        free(ranks)
        free(found)
        return STATUS_NO_MEMORY
    for f in range(n_fractions):
        at = fractions[f] * <double> (n - 1)
        ranks[2 * f] = <Py_ssize_t> floor(at)
        ranks[2 * f + 1] = ranks[2 * f] + 1 if ranks[2 * f] + 1 < n else n - 1
    # Ranks of ascending fractions ascend but for neighbours that share a gap: 0, 1, 0, 1.
    for f in range(1, 2 * n_fractions):
        if ranks[f] < ranks[f - 1]:
            break
    else:
        f = 2 * n_fractions
    status = STATUS_OK
    if f == 2 * n_fractions:
        status = select_ranks(keys, n, 53, ranks, 2 * n_fractions, found)
    else:
        for f in range(n_fractions):
            if status == STATUS_OK:
                status = select_ranks(keys, n, 53, ranks + 2 * f, 2, found + 2 * f)
    for f in range(n_fractions):
        at = fractions[f] * <double> (n - 1)
        t = at - floor(at)
        low = value_of(found[2 * f])
        high = value_of(found[2 * f + 1])
        step = high - low
        if t == 0:
            out[f * out_stride] = low
        else:
            out[f * out_stride] = high - step * (1 - t) if t >= 0.5 else low + step * t
    free(ranks)
    free(found)
    return status


cdef int group_quantiles(
    const real* x, Py_ssize_t n_rows, Py_ssize_t n_cols, Py_ssize_t row_stride, Py_ssize_t col_stride,
    const double* fractions, Py_ssize_t n_fractions, double* out, Py_ssize_t out_stride,
) noexcept nogil:
    """A few neighbouring columns, read row by row; out[f, j] lies at f * out_stride + j."""
    cdef uint64_t* keys = <uint64_t*> malloc(n_cols * (n_rows + 1) * sizeof(uint64_t))
    cdef Py_ssize_t[COLUMNS_AT_ONCE] n
    cdef Py_ssize_t i, j, f
    cdef real value
    cdef int status = STATUS_OK
    if keys == NULL:
        return STATUS_NO_MEMORY
    for j in range(n_cols):
        n[j] = 0
    if row_stride == 1:
        for j in range(n_cols):
            for i in range(n_rows):
                value = x[i + j * col_stride]
                keys[j * (n_rows + 1) + n[j]] = key_of(<double> value + 0.0)
                n[j] += value == value
    else:
        for i in range(n_rows):
            for j in range(n_cols):
                value = x[i * row_stride + j * col_stride]
                keys[j * (n_rows + 1) + n[j]] = key_of(<double> value + 0.0)
                n[j] += value == value
    for j in range(n_cols):
        if n[j] == 0:
            for f in range(n_fractions):
                out[f * out_stride + j] = NAN
        elif status == STATUS_OK:
            status = quantiles_of(keys + j * (n_rows + 1), n[j], fractions, n_fractions, out + j, out_stride)
    free(keys)
    return status


cdef int column_quantiles(
    const real* x, Py_ssize_t n_rows, Py_ssize_t n_cols, Py_ssize_t row_stride, Py_ssize_t col_stride,
    const double* fractions, Py_ssize_t n_fractions, double* out, int n_threads,
) noexcept nogil:
    """out[f, j] = quantile fractions[f] (in [0, 1]) of the values present in column j; NaN where nothing is."""
    cdef Py_ssize_t group, width = COLUMNS_AT_ONCE if row_stride != 1 else 1
    cdef Py_ssize_t n_groups = (n_cols + width - 1) // width
    cdef int failed = 0
    n_threads = threads_for_work(n_threads, <double> n_rows * n_cols, VALUES_PER_THREAD)
    if n_threads > n_groups:
        n_threads = <int> n_groups
    if n_threads <= 1:
        for group in range(n_groups):
            failed += group_quantiles(
                x + group * width * col_stride, n_rows,
                width if (group + 1) * width <= n_cols else n_cols - group * width,
                row_stride, col_stride, fractions, n_fractions, out + group * width, n_cols)
    else:
        for group in prange(n_groups, schedule="dynamic", num_threads=n_threads):
            failed += group_quantiles(
                x + group * width * col_stride, n_rows,
                width if (group + 1) * width <= n_cols else n_cols - group * width,
                row_stride, col_stride, fractions, n_fractions, out + group * width, n_cols)
    return STATUS_NO_MEMORY if failed else STATUS_OK


def quantiles(const real[:, :] X, const double[::1] fractions, double[:, ::1] out, int n_threads):
    """:c:func:`column_quantiles` for Python; strides must be whole elements. Returns the status."""
    cdef int status
    if X.shape[0] == 0:
        out[:, :] = NAN
        return STATUS_OK
    if X.shape[1] == 0 or fractions.shape[0] == 0:
        return STATUS_OK
    with nogil:
        status = column_quantiles(
            &X[0, 0], X.shape[0], X.shape[1], X.strides[0] // <Py_ssize_t> sizeof(real),
            X.strides[1] // <Py_ssize_t> sizeof(real), &fractions[0], fractions.shape[0], &out[0, 0], n_threads)
    return status
