"""The distinct numbers of columns that have few of them, found in one reading of a table.

Each thread puts the keys of its rows in sets of its own, a small one for each column; what they hold together does not
hang on who has read which rows.
"""

from cython.parallel cimport prange, threadid
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from fasttrain._kernels.categories cimport key_of_float
from fasttrain._kernels.signals cimport SLICE_VALUES, PyErr_CheckSignals
from fasttrain._kernels.threads cimport threads_for_work
from fasttrain._kernels.types cimport real

cdef double VALUES_PER_THREAD = 100_000.0

cdef enum:
    FEW_KEYS = 256
    FEW_BITS = 10
    FEW_SLOTS = 1 << FEW_BITS  # 8 KB
    FEW_COLUMNS = 32           # whose sets are filled side by side
    FEW_CELLS = 4096           # of some rows, which stay in the first-level cache from one column to the next
    ROW_BLOCK = 8192

# The bits of a NaN that no key has.
cdef int64_t NO_KEY = -1

MOST_FEW = FEW_KEYS


cdef inline Py_ssize_t minimum(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    return a if a < b else b


cdef inline uint64_t few_place(int64_t key) noexcept nogil:
    # the product's top bits, which all of the folded key's bits reach
    return ((<uint64_t> key ^ (<uint64_t> key >> 32)) * 0x9E3779B97F4A7C15ULL) >> (64 - FEW_BITS)


cdef Py_ssize_t add_key(int64_t key, int64_t* slots, Py_ssize_t used) noexcept nogil:
    """How many keys a set holds with one more, or -1 when it does not fit."""
    cdef uint64_t place = few_place(key)
    while slots[place] != key:
        if slots[place] == NO_KEY:
            if used == FEW_KEYS:
                return -1
            slots[place] = key
            return used + 1
        place = (place + 1) & <uint64_t> (FEW_SLOTS - 1)
    return used


cdef Py_ssize_t add_few(
    const real* x, Py_ssize_t n, Py_ssize_t stride, int64_t* slots, Py_ssize_t used,
) noexcept nogil:
    """:func:`add_key` of numbers. Most lie at their place in their own bits, which are their key then."""
    cdef Py_ssize_t i
    cdef double value
    cdef int64_t bits
    for i in range(n):
        value = <double> x[i * stride]
        memcpy(&bits, &value, sizeof(double))
        # a NaN's bits may be those of an empty place
        if slots[few_place(bits)] != bits or bits == NO_KEY:
            used = add_key(key_of_float(value), slots, used)
            if used < 0:
                return -1
    return used


cdef void add_few_columns(
    const real* x, Py_ssize_t rows, Py_ssize_t n_cols, Py_ssize_t row_stride, Py_ssize_t col_stride, int64_t* slots,
    Py_ssize_t* used_io,
) noexcept nogil:
    cdef Py_ssize_t j, first = 0, step = max(<Py_ssize_t> 16, FEW_CELLS // n_cols)
    while first < rows:
        for j in range(n_cols):
            if used_io[j] >= 0:
                used_io[j] = add_few(x + first * row_stride + j * col_stride, minimum(step, rows - first), row_stride,
                                     slots + j * FEW_SLOTS, used_io[j])
        first += step


cdef Py_ssize_t few_of_all(
    const int64_t* slots, const Py_ssize_t* used, Py_ssize_t n_sets, Py_ssize_t stride, int64_t* merged,
    int64_t* unique_out,
) noexcept nogil:
    """The keys of a column's sets, one of each thread, together; -1 when they are more than a set holds."""
    cdef Py_ssize_t t, s, found = 0, with_it
    cdef int64_t key
    memset(merged, 0xFF, FEW_SLOTS * sizeof(int64_t))
    for t in range(n_sets):
        if used[t * stride] < 0:
            return -1
        for s in range(FEW_SLOTS):
            key = slots[t * stride * FEW_SLOTS + s]
            if key == NO_KEY:
                continue
            with_it = add_key(key, merged, found)
            if with_it < 0:
                return -1
            if with_it > found:
                unique_out[found] = key
            found = with_it
    return found


def few_floats(const real[:, :] X, int64_t[:, ::1] unique_out, int64_t[::1] count_out, int n_threads):
    """The distinct keys of each column, as :func:`keys_of_floats` makes them, in any order, and how many there are: -1
    where they are more than MOST_FEW, for which ``unique_out`` has places. The columns are read together, once."""
    cdef Py_ssize_t n_rows = X.shape[0], n_cols = X.shape[1], first_col, cols, first, rows, b, n_blocks, j, step
    cdef Py_ssize_t row_stride = X.strides[0] // <Py_ssize_t> sizeof(real)
    cdef Py_ssize_t col_stride = X.strides[1] // <Py_ssize_t> sizeof(real)
    cdef Py_ssize_t width = minimum(n_cols, FEW_COLUMNS), thread
    cdef int64_t* slots
    cdef Py_ssize_t* used
    if n_rows == 0 or n_cols == 0:
        count_out[:] = 0
        return
    n_threads = threads_for_work(n_threads, <double> n_rows * width, VALUES_PER_THREAD)
    # one more set, for those of a column together
    slots = <int64_t*> malloc((n_threads * width + 1) * FEW_SLOTS * sizeof(int64_t))
    used = <Py_ssize_t*> malloc(n_threads * width * sizeof(Py_ssize_t))
    if slots == NULL or used == NULL:
        free(slots)
        free(used)
        raise MemoryError("a kernel could not allocate its workspace")
    try:
        for first_col in range(0, n_cols, width):
            cols = minimum(width, n_cols - first_col)
            step = max(<Py_ssize_t> 1, SLICE_VALUES // (ROW_BLOCK * cols)) * ROW_BLOCK
            memset(slots, 0xFF, n_threads * width * FEW_SLOTS * sizeof(int64_t))
            memset(used, 0, n_threads * width * sizeof(Py_ssize_t))
            for first in range(0, n_rows, step):
                rows = minimum(step, n_rows - first)
                n_blocks = (rows + ROW_BLOCK - 1) // ROW_BLOCK
                with nogil:
                    if n_threads == 1:
                        add_few_columns(&X[first, first_col], rows, cols, row_stride, col_stride, slots, used)
                    else:
                        for b in prange(n_blocks, schedule="dynamic", num_threads=n_threads):
                            thread = threadid()
                            add_few_columns(
                                &X[first + b * ROW_BLOCK, first_col], minimum(ROW_BLOCK, rows - b * ROW_BLOCK), cols,
                                row_stride, col_stride, slots + thread * width * FEW_SLOTS, used + thread * width)
                PyErr_CheckSignals()
            for j in range(cols):
                count_out[first_col + j] = few_of_all(
                    slots + j * FEW_SLOTS, used + j, n_threads, width, slots + n_threads * width * FEW_SLOTS,
                    &unique_out[first_col + j, 0])
    finally:
        free(slots)
        free(used)
