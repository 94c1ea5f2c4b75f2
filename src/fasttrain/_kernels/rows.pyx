"""Which rows of a table have missing values, repeat another row, or lie outside bounds; rows moved.

Duplicates are found by hashing: rows are dealt into parts by the top bits of their hash, each part small enough for a
table in the second-level cache, and two rows count as equal only after their cells have been compared. NaN equals
NaN and -0.0 equals 0.0, because cells are compared by canonical bits.
"""

from cython.parallel cimport prange
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from fasttrain._kernels.primitives cimport ops_f32, ops_f64
from fasttrain._kernels.signals cimport SLICE_VALUES, PyErr_CheckSignals
from fasttrain._kernels.threads cimport threads_for_work
from fasttrain._kernels.types cimport STATUS_NO_MEMORY, STATUS_OK, real

cdef extern from *:
    """
    #if defined(__linux__)
    #include <sys/mman.h>
    #include <unistd.h>
    #ifndef MADV_POPULATE_WRITE
    #define MADV_POPULATE_WRITE 23
    #endif
    #endif
    #define FT_PAGES_AT_ONCE ((size_t)1 << 21)

    /* Has the system give the pages of some memory from the first huge one that begins in it, a huge one at a time,
     * until they are there or `done` is not 0; their bytes stay what they are. Other systems give them later. */
    static inline void ft_give_pages(char *memory, size_t size, const int *done)
    {
    #if defined(__linux__)
        const size_t page = (size_t)sysconf(_SC_PAGESIZE), end = (size_t)memory + size;
        size_t at = ((size_t)memory / FT_PAGES_AT_ONCE + 1) * FT_PAGES_AT_ONCE;
        for (; at + page <= end && !__atomic_load_n(done, __ATOMIC_ACQUIRE); at += FT_PAGES_AT_ONCE) {
            const size_t left = (end - at) / page * page;
            if (madvise((void *)at, left < FT_PAGES_AT_ONCE ? left : FT_PAGES_AT_ONCE, MADV_POPULATE_WRITE))
                return;
        }
    #else
        (void)memory, (void)size, (void)done;
    #endif
    }
    """
    void ft_give_pages(char* memory, size_t size, const int* done) noexcept nogil

cdef enum:
    ROW_BLOCK = 4096
    PART_ROWS = 8192   # a part's hashes, rows and slots take about 250 KB
    MAX_PART_BITS = 12

cdef double CELLS_PER_THREAD = 100_000.0


cdef inline Py_ssize_t minimum(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    return a if a < b else b


cdef void missing_block(
    const real* x, Py_ssize_t rows, Py_ssize_t n_cols, Py_ssize_t row_stride, Py_ssize_t col_stride, int* count_out
) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef int count
    cdef const real* row
    if row_stride == 1:
        if real is float:
            ops_f32.count_missing(x, col_stride, rows, n_cols, <int32_t*> count_out)
        else:
            ops_f64.count_missing(x, col_stride, rows, n_cols, <int32_t*> count_out)
        return
    for i in range(rows):
        row = x + i * row_stride
        count = 0
        for j in range(n_cols):
            count += row[j * col_stride] != row[j * col_stride]
        count_out[i] += count


cdef int count_missing(
    const real* x, Py_ssize_t n_rows, Py_ssize_t n_cols, Py_ssize_t row_stride, Py_ssize_t col_stride,
    int* count_out, int n_threads,
) noexcept nogil:
    """count_out[i] += how many NaN row i holds."""
    cdef Py_ssize_t b, n_blocks = (n_rows + ROW_BLOCK - 1) // ROW_BLOCK
    n_threads = <int> minimum(threads_for_work(n_threads, <double> n_rows * n_cols, CELLS_PER_THREAD), n_blocks)
    if n_threads <= 1:
        for b in range(n_blocks):
            missing_block(x + b * ROW_BLOCK * row_stride, minimum(ROW_BLOCK, n_rows - b * ROW_BLOCK), n_cols,
                          row_stride, col_stride, count_out + b * ROW_BLOCK)
    else:
        for b in prange(n_blocks, schedule="dynamic", num_threads=n_threads):
            missing_block(x + b * ROW_BLOCK * row_stride, minimum(ROW_BLOCK, n_rows - b * ROW_BLOCK), n_cols,
                          row_stride, col_stride, count_out + b * ROW_BLOCK)
    return STATUS_OK


cdef void outside_block(
    const real* x, Py_ssize_t rows, Py_ssize_t n_cols, Py_ssize_t row_stride, Py_ssize_t col_stride,
    const double* low, const double* high, int* count_out,
) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef int count
    cdef double value
    if row_stride == 1:
        for j in range(n_cols):
            for i in range(rows):
                value = x[j * col_stride + i]
                count_out[i] += (value < low[j]) | (value > high[j])
    else:
        for i in range(rows):
            count = 0
            for j in range(n_cols):
                value = x[i * row_stride + j * col_stride]
                count += (value < low[j]) | (value > high[j])
            count_out[i] += count


cdef int count_outside(
    const real* x, Py_ssize_t n_rows, Py_ssize_t n_cols, Py_ssize_t row_stride, Py_ssize_t col_stride,
    const double* low, const double* high, int* count_out, int n_threads,
) noexcept nogil:
    """count_out[i] += how many values of row i lie outside [low, high] of their column; NaN lies nowhere."""
    cdef Py_ssize_t b, n_blocks = (n_rows + ROW_BLOCK - 1) // ROW_BLOCK
    n_threads = <int> minimum(threads_for_work(n_threads, <double> n_rows * n_cols, CELLS_PER_THREAD), n_blocks)
    if n_threads <= 1:
        for b in range(n_blocks):
            outside_block(x + b * ROW_BLOCK * row_stride, minimum(ROW_BLOCK, n_rows - b * ROW_BLOCK), n_cols,
                          row_stride, col_stride, low, high, count_out + b * ROW_BLOCK)
    else:
        for b in prange(n_blocks, schedule="dynamic", num_threads=n_threads):
            outside_block(x + b * ROW_BLOCK * row_stride, minimum(ROW_BLOCK, n_rows - b * ROW_BLOCK), n_cols,
                          row_stride, col_stride, low, high, count_out + b * ROW_BLOCK)
    return STATUS_OK


cdef inline uint64_t canonical(cell value) noexcept nogil:
    """Bits that are equal exactly when two cells count as equal."""
    if cell is int64_t:
        return <uint64_t> value
    elif cell is float:
        if value != value:
            return 0x7FC00000U
        if value == 0:
            return 0
        return (<uint32_t*> &value)[0]
    else:
        if value != value:
            return 0x7FF8000000000000ULL
        if value == 0:
            return 0
        return (<uint64_t*> &value)[0]


cdef inline uint64_t mix(uint64_t h, uint64_t bits) noexcept nogil:
    h = (h ^ bits) * 0x9E3779B97F4A7C15ULL
    return h ^ (h >> 32)


cdef void hash_rows(
    const cell* x, Py_ssize_t rows, Py_ssize_t n_cols, Py_ssize_t row_stride, Py_ssize_t col_stride, uint64_t* hash_out
) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef uint64_t h
    if row_stride == 1:
        for i in range(rows):
            hash_out[i] = 0x2545F4914F6CDD1DULL
        for j in range(n_cols):
            for i in range(rows):
                hash_out[i] = mix(hash_out[i], canonical(x[j * col_stride + i]))
        for i in range(rows):
            hash_out[i] *= 0xD6E8FEB86659FD93ULL
    else:
        for i in range(rows):
            h = 0x2545F4914F6CDD1DULL
            for j in range(n_cols):
                h = mix(h, canonical(x[i * row_stride + j * col_stride]))
            # The last product carries every bit to the top, where the part is read.
            hash_out[i] = h * 0xD6E8FEB86659FD93ULL


cdef inline bint equal_rows(
    const cell* x, Py_ssize_t n_cols, Py_ssize_t row_stride, Py_ssize_t col_stride, Py_ssize_t i, Py_ssize_t k
) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n_cols):
        if canonical(x[i * row_stride + j * col_stride]) != canonical(x[k * row_stride + j * col_stride]):
            return False
    return True


cdef struct entry:
    uint64_t hash
    Py_ssize_t row


cdef int mark_part(
    const cell* x, Py_ssize_t n_cols, Py_ssize_t row_stride, Py_ssize_t col_stride, const entry* entries,
    Py_ssize_t size, int keep, uint8_t* mask_out,
) noexcept nogil:
    cdef Py_ssize_t n_slots = 16, k, e, row, step
    cdef uint64_t h, slot
    if size == 0:
        return STATUS_OK
    while n_slots < 2 * size:
        n_slots *= 2
    cdef Py_ssize_t* slots = <Py_ssize_t*> malloc(n_slots * sizeof(Py_ssize_t))
    if slots == NULL:
        return STATUS_NO_MEMORY
    memset(slots, 0xFF, n_slots * sizeof(Py_ssize_t))
    for k in range(size):
        e = size - 1 - k if keep == KEEP_LAST else k
        h = entries[e].hash
        row = entries[e].row
        slot = (h ^ (h >> 29)) & <uint64_t> (n_slots - 1)
        step = 1
        while slots[slot] >= 0:
            if entries[slots[slot]].hash == h and equal_rows(
                    x, n_cols, row_stride, col_stride, entries[slots[slot]].row, row):
                break
            slot = (slot + step) & <uint64_t> (n_slots - 1)
            step += 1
        if slots[slot] < 0:
            slots[slot] = e
            mask_out[row] = 0
        else:
            mask_out[row] = 1
            if keep == KEEP_NONE:
                mask_out[entries[slots[slot]].row] = 1
    free(slots)
    return STATUS_OK


# Rows dealt by the top bits of their hash into parts.
cdef struct deal:
    uint64_t* hashes
    entry* entries
    Py_ssize_t* starts      # of the parts among the entries, one place late until all rows are dealt
    Py_ssize_t n_parts
    int bits


cdef void end_deal(deal* d) noexcept nogil:
    free(d.hashes)
    free(d.entries)
    free(d.starts)


cdef int begin_deal(deal* d, Py_ssize_t n_rows) noexcept nogil:
    d.bits = 0
    while d.bits < MAX_PART_BITS and (n_rows >> d.bits) > PART_ROWS:
        d.bits += 1
    d.n_parts = <Py_ssize_t> 1 << d.bits
    d.hashes = <uint64_t*> malloc((n_rows + 1) * sizeof(uint64_t))
    d.entries = <entry*> malloc((n_rows + 1) * sizeof(entry))
    d.starts = <Py_ssize_t*> calloc(d.n_parts + 2, sizeof(Py_ssize_t))
    if d.hashes == NULL or d.entries == NULL or d.starts == NULL:
        end_deal(d)
        return STATUS_NO_MEMORY
    return STATUS_OK


cdef void count_parts(
    deal* d, const cell* x, Py_ssize_t first, Py_ssize_t rows, Py_ssize_t n_cols, Py_ssize_t row_stride,
    Py_ssize_t col_stride, int n_threads,
) noexcept nogil:
    """Hashes of some rows, and how many of them belong to each part."""
    cdef Py_ssize_t b, i, n_blocks = (rows + ROW_BLOCK - 1) // ROW_BLOCK
    n_threads = <int> minimum(n_threads, n_blocks)
    x += first * row_stride
    if n_threads <= 1:
        hash_rows(x, rows, n_cols, row_stride, col_stride, d.hashes + first)
    else:
        for b in prange(n_blocks, schedule="dynamic", num_threads=n_threads):
            hash_rows(x + b * ROW_BLOCK * row_stride, minimum(ROW_BLOCK, rows - b * ROW_BLOCK), n_cols, row_stride,
                      col_stride, d.hashes + first + b * ROW_BLOCK)
    for i in range(first, first + rows):
        d.starts[((d.hashes[i] >> 32) >> (32 - d.bits)) + 2] += 1


cdef void sum_parts(deal* d) noexcept nogil:
    cdef Py_ssize_t part
    for part in range(d.n_parts):
        d.starts[part + 2] += d.starts[part + 1]


cdef void deal_rows(deal* d, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    cdef Py_ssize_t i, part
    for i in range(first, last):
        part = <Py_ssize_t> ((d.hashes[i] >> 32) >> (32 - d.bits)) + 1
        d.entries[d.starts[part]].hash = d.hashes[i]
        d.entries[d.starts[part]].row = i
        d.starts[part] += 1


cdef int mark_parts(
    const deal* d, const cell* x, Py_ssize_t n_cols, Py_ssize_t row_stride, Py_ssize_t col_stride, Py_ssize_t first,
    Py_ssize_t last, int keep, uint8_t* mask_out, int n_threads,
) noexcept nogil:
    cdef Py_ssize_t part
    cdef int failed = 0
    n_threads = <int> minimum(n_threads, last - first)
    if n_threads <= 1:
        for part in range(first, last):
            failed += mark_part(x, n_cols, row_stride, col_stride, d.entries + d.starts[part],
                                d.starts[part + 1] - d.starts[part], keep, mask_out)
    else:
        for part in prange(first, last, schedule="dynamic", num_threads=n_threads):
            failed += mark_part(x, n_cols, row_stride, col_stride, d.entries + d.starts[part],
                                d.starts[part + 1] - d.starts[part], keep, mask_out)
    return STATUS_NO_MEMORY if failed else STATUS_OK


cdef int mark_duplicates(
    const cell* x, Py_ssize_t n_rows, Py_ssize_t n_cols, Py_ssize_t row_stride, Py_ssize_t col_stride,
    int keep, uint8_t* mask_out, int n_threads,
) noexcept nogil:
    """mask_out[i] = 1 where row i equals another row and is not the one to keep."""
    cdef deal d
    cdef int status = begin_deal(&d, n_rows)
    if status != STATUS_OK:
        return status
    n_threads = threads_for_work(n_threads, <double> n_rows * (n_cols + 8), CELLS_PER_THREAD)
    count_parts(&d, x, 0, n_rows, n_cols, row_stride, col_stride, n_threads)
    sum_parts(&d)
    deal_rows(&d, 0, n_rows)
    status = mark_parts(&d, x, n_cols, row_stride, col_stride, 0, d.n_parts, keep, mask_out, n_threads)
    end_deal(&d)
    return status


def missing(const real[:, :] X, int[::1] count_out, int n_threads):
    """Add the number of NaN in each row to ``count_out``. Returns the status."""
    cdef int status
    if X.shape[0] == 0 or X.shape[1] == 0:
        return STATUS_OK
    with nogil:
        status = count_missing(
            &X[0, 0], X.shape[0], X.shape[1], X.strides[0] // <Py_ssize_t> sizeof(real),
            X.strides[1] // <Py_ssize_t> sizeof(real), &count_out[0], n_threads)
    return status


def outside(const real[:, :] X, const double[::1] low, const double[::1] high, int[::1] count_out, int n_threads):
    """Add the number of values outside their column's bounds in each row to ``count_out``. Returns the status."""
    cdef int status
    if X.shape[0] == 0 or X.shape[1] == 0:
        return STATUS_OK
    with nogil:
        status = count_outside(
            &X[0, 0], X.shape[0], X.shape[1], X.strides[0] // <Py_ssize_t> sizeof(real),
            X.strides[1] // <Py_ssize_t> sizeof(real), &low[0], &high[0], &count_out[0], n_threads)
    return status


def duplicates(const cell[:, :] X, int keep, uint8_t[::1] mask_out, int n_threads):
    """Mark rows of ``X`` that repeat another one (``keep``: 0 first, 1 last, 2 none), with looks for signals. Returns
    the status."""
    cdef int status = STATUS_OK
    cdef Py_ssize_t n_rows = X.shape[0], n_cols = X.shape[1], first, step
    cdef Py_ssize_t row_stride = X.strides[0] // <Py_ssize_t> sizeof(cell)
    cdef Py_ssize_t col_stride = X.strides[1] // <Py_ssize_t> sizeof(cell)
    cdef deal d
    if n_rows == 0:
        return STATUS_OK
    if n_cols == 0:
        mask_out[:] = 0
        return STATUS_OK
    if begin_deal(&d, n_rows) != STATUS_OK:
        return STATUS_NO_MEMORY
    n_threads = threads_for_work(n_threads, <double> n_rows * (n_cols + 8), CELLS_PER_THREAD)
    try:
        step = max(<Py_ssize_t> 1, SLICE_VALUES // (n_cols + 8))
        for first in range(0, n_rows, step):
            with nogil:
                count_parts(&d, &X[0, 0], first, minimum(step, n_rows - first), n_cols, row_stride, col_stride,
                            n_threads)
            PyErr_CheckSignals()
        sum_parts(&d)
        # Where a row goes is a cache miss.
        step = SLICE_VALUES // 8
        for first in range(0, n_rows, step):
            with nogil:
                deal_rows(&d, first, minimum(first + step, n_rows))
            PyErr_CheckSignals()
        step = max(<Py_ssize_t> n_threads, SLICE_VALUES // 4 * d.n_parts // (n_rows * (n_cols + 8)))
        for first in range(0, d.n_parts, step):
            with nogil:
                status |= mark_parts(&d, &X[0, 0], n_cols, row_stride, col_stride, first,
                                     minimum(first + step, d.n_parts), keep, &mask_out[0], n_threads)
            PyErr_CheckSignals()
    finally:
        end_deal(&d)
    return status


def take_present(const real[:, :] X, Py_ssize_t most, uint8_t[::1] keep_io, real[:, ::1] out):
    """Move rows with at most ``most`` NaN, among those whose ``keep_io`` is 1, to the front of ``out``; ``keep_io``
    becomes the mask of the rows moved. The columns of ``X`` lie side by side. Returns how many rows were moved.

    One thread: where a row goes depends on those before it, and a pass to find out costs more than a second thread
    saves.
    """
    cdef Py_ssize_t stride = X.strides[0] // <Py_ssize_t> sizeof(real), kept
    if X.shape[0] == 0 or X.shape[1] == 0:
        return X.shape[0]
    with nogil:
        if real is float:
            kept = ops_f32.take_present(&X[0, 0], stride, X.shape[0], X.shape[1], most, &keep_io[0], &out[0, 0])
        else:
            kept = ops_f64.take_present(&X[0, 0], stride, X.shape[0], X.shape[1], most, &keep_io[0], &out[0, 0])
    return kept


def take_present_columns(const real[:, :] columns, Py_ssize_t most, uint8_t[::1] keep_io, real[:, :] out):
    """:func:`take_present` of a table that lies column by column: ``columns`` and ``out`` are (n_cols, n_rows).

    One thread: with several, those that wait for the places of their rows stand still wherever another process has a
    core.
    """
    cdef Py_ssize_t n_cols = columns.shape[0], n_rows = columns.shape[1], kept
    cdef Py_ssize_t ldx = columns.strides[0] // <Py_ssize_t> sizeof(real)
    cdef Py_ssize_t ldo = out.strides[0] // <Py_ssize_t> sizeof(real)
    if n_rows == 0 or n_cols == 0:
        return n_rows
    with nogil:
        if real is float:
            kept = ops_f32.take_present_columns(
                &columns[0, 0], ldx, n_rows, n_cols, most, &keep_io[0], &out[0, 0], ldo)
        else:
            kept = ops_f64.take_present_columns(
                &columns[0, 0], ldx, n_rows, n_cols, most, &keep_io[0], &out[0, 0], ldo)
    return kept


def give_pages(real[:, :] out, const int[::1] done):
    """Have the system give the memory of rows that lie side by side each, before somebody writes there: what is given
    as it is written takes two fifths of the time of moving rows. Ends when ``done`` is not 0; nothing is written.

    For a thread that nobody waits for.
    """
    cdef Py_ssize_t i, width = out.shape[1] * <Py_ssize_t> sizeof(real)
    if out.shape[0] == 0 or out.shape[1] == 0:
        return
    with nogil:
        if out.strides[0] == width:
            ft_give_pages(<char*> &out[0, 0], out.shape[0] * width, &done[0])
        else:
            for i in range(out.shape[0]):
                ft_give_pages(<char*> &out[i, 0], width, &done[0])


cdef void copy_rows(
    const char* x, Py_ssize_t row_bytes, const int64_t* at, Py_ssize_t n, char* out
) noexcept nogil:
    cdef Py_ssize_t i
    if row_bytes == 64:
        # A size known here becomes a few moves in place of a call.
        for i in range(n):
            memcpy(out + i * 64, x + at[i] * 64, 64)
        return
    for i in range(n):
        memcpy(out + i * row_bytes, x + at[i] * row_bytes, row_bytes)


# NumPy's int8. A plain char is unsigned on some processors, aarch64 among them, and would take no such array there.
def take(const int8_t[:, ::1] X, const int64_t[::1] at, int8_t[:, ::1] out, int n_threads):
    """out[i] = X[at[i]] for rows of bytes; every index lies in the table."""
    cdef Py_ssize_t b, n = at.shape[0], row_bytes = X.shape[1], n_blocks = (n + ROW_BLOCK - 1) // ROW_BLOCK
    if n == 0 or row_bytes == 0:
        return
    n_threads = <int> minimum(threads_for_work(n_threads, <double> n * row_bytes, 8 * CELLS_PER_THREAD), n_blocks)
    with nogil:
        if n_threads <= 1:
            copy_rows(<const char*> &X[0, 0], row_bytes, &at[0], n, <char*> &out[0, 0])
        else:
            for b in prange(n_blocks, schedule="dynamic", num_threads=n_threads):
                copy_rows(<const char*> &X[0, 0], row_bytes, &at[b * ROW_BLOCK], minimum(ROW_BLOCK, n - b * ROW_BLOCK),
                    <char*> &out[b * ROW_BLOCK, 0])


# What a column of a table may be moved as; the bits stay what they are.
ctypedef fused word:
    uint8_t
    uint32_t
    uint64_t


cdef void copy_cells(const word* column, const int64_t* at, Py_ssize_t n, word* out) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        out[i] = column[at[i]]


def take_columns(const word[:, ::1] columns, const int64_t[::1] at, word[:, ::1] out, int n_threads):
    """out[j, i] = columns[j, at[i]] for a table that lies column by column."""
    cdef Py_ssize_t j, n = at.shape[0], n_cols = columns.shape[0]
    if n == 0 or n_cols == 0:
        return
    n_threads = <int> minimum(threads_for_work(n_threads, <double> n * n_cols, CELLS_PER_THREAD), n_cols)
    with nogil:
        if n_threads <= 1:
            for j in range(n_cols):
                copy_cells(&columns[j, 0], &at[0], n, &out[j, 0])
        else:
            for j in prange(n_cols, schedule="dynamic", num_threads=n_threads):
                copy_cells(&columns[j, 0], &at[0], n, &out[j, 0])
