"""Codes of categories, and codes laid out as one-hot rows (dense or compressed sparse rows).

Integers whose range is small are looked up in a table; the general case is an open-addressing map from 64-bit keys.
"""

from cython.parallel cimport prange
from libc.stdint cimport int8_t, int32_t, int64_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset

from fasttrain._kernels.signals cimport LOOK_EVERY, SLICE_VALUES, PyErr_CheckSignals, raise_signalled, signalled
from fasttrain._kernels.threads cimport threads_for_work
from fasttrain._kernels.types cimport STATUS_NO_MEMORY, STATUS_OK, real

# What a one-hot matrix may hold.
ctypedef fused mark:
    float
    double
    int32_t
    int64_t

cdef enum:
    ROW_BLOCK = 8192

cdef double VALUES_PER_THREAD = 100_000.0


cdef inline Py_ssize_t minimum(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    return a if a < b else b


cdef Py_ssize_t code_block(
    const int64_t* x, Py_ssize_t n, Py_ssize_t stride, int64_t low, Py_ssize_t span, const int64_t* table,
    code* code_out, Py_ssize_t code_stride,
) noexcept nogil:
    cdef Py_ssize_t i, unknown = 0
    cdef uint64_t at
    cdef code value
    for i in range(n):
        at = <uint64_t> x[i * stride] - <uint64_t> low
        value = <code> table[at] if at < <uint64_t> span else -1
        unknown += value < 0
        code_out[i * code_stride] = value
    return unknown


cdef int integer_codes(
    const int64_t* x, Py_ssize_t n, Py_ssize_t stride, int64_t low, Py_ssize_t span, const int64_t* table,
    code* code_out, Py_ssize_t code_stride, Py_ssize_t* unknown_out, int n_threads,
) noexcept nogil:
    """code_out[i] = table[x[i] - low], -1 outside the table; ``unknown_out``: how many codes are below 0."""
    cdef Py_ssize_t b, n_blocks = (n + ROW_BLOCK - 1) // ROW_BLOCK, unknown = 0
    n_threads = <int> minimum(threads_for_work(n_threads, <double> n, VALUES_PER_THREAD), n_blocks)
    if n_threads <= 1:
        unknown = code_block(x, n, stride, low, span, table, code_out, code_stride)
    else:
        for b in prange(n_blocks, schedule="dynamic", num_threads=n_threads):
            unknown += code_block(x + b * ROW_BLOCK * stride, minimum(ROW_BLOCK, n - b * ROW_BLOCK), stride, low, span,
                                  table, code_out + b * ROW_BLOCK * code_stride, code_stride)
    unknown_out[0] = unknown
    return STATUS_OK


cdef int one_hot_rows(
    const code* codes, Py_ssize_t n_rows, Py_ssize_t n_cols, const code* offsets, code* indices_out, code* indptr_out,
    int n_threads,
) noexcept nogil:
    """Compressed sparse rows of one-hot codes; codes below 0 leave no entry. indptr_out has n_rows + 1 places."""
    cdef Py_ssize_t i, j, at = 0
    indptr_out[0] = 0
    for i in range(n_rows):
        for j in range(n_cols):
            if codes[i * n_cols + j] >= 0:
                indices_out[at] = codes[i * n_cols + j] + offsets[j]
                at += 1
        indptr_out[i + 1] = <code> at
    return STATUS_OK


def integer_range(const int64_t[:] x):
    """(smallest, largest) of a vector that has at least one value."""
    cdef Py_ssize_t i
    cdef Py_ssize_t first, last
    cdef int64_t low = x[0], high = x[0]
    for first in range(0, x.shape[0], SLICE_VALUES):
        last = minimum(first + SLICE_VALUES, x.shape[0])
        with nogil:
            for i in range(first, last):
                low = x[i] if x[i] < low else low
                high = x[i] if x[i] > high else high
        PyErr_CheckSignals()
    return low, high


def count_integers(const int64_t[:] x, int64_t low, int64_t[::1] count_out):
    """Add how often each integer from ``low`` on occurs; every x lies within the counts."""
    cdef Py_ssize_t i, first, last
    for first in range(0, x.shape[0], SLICE_VALUES):
        last = minimum(first + SLICE_VALUES, x.shape[0])
        with nogil:
            for i in range(first, last):
                count_out[x[i] - low] += 1
        PyErr_CheckSignals()


def codes_of_integers(const int64_t[:] x, int64_t low, const int64_t[::1] table, code[:] code_out, int n_threads):
    """:c:func:`integer_codes` for Python. Returns how many values have no category."""
    cdef Py_ssize_t unknown = 0, among = 0, first
    for first in range(0, x.shape[0], SLICE_VALUES):
        with nogil:
            integer_codes(
                &x[first], minimum(SLICE_VALUES, x.shape[0] - first), x.strides[0] // <Py_ssize_t> sizeof(int64_t),
                low, table.shape[0], &table[0] if table.shape[0] else NULL, &code_out[first],
                code_out.strides[0] // <Py_ssize_t> sizeof(code), &among, n_threads)
        unknown += among
        PyErr_CheckSignals()
    return unknown


def one_hot_sparse(
    const code[:, ::1] codes, const code[::1] offsets, code[::1] indices_out, code[::1] indptr_out, int n_threads,
):
    """:c:func:`one_hot_rows` for Python. Returns how many entries were written."""
    if codes.shape[0] == 0 or codes.shape[1] == 0:
        indptr_out[:] = 0
        return 0
    cdef Py_ssize_t first, i, rows, step = max(<Py_ssize_t> 1, SLICE_VALUES // codes.shape[1])
    cdef code written = 0
    for first in range(0, codes.shape[0], step):
        rows = minimum(step, codes.shape[0] - first)
        with nogil:
            one_hot_rows(&codes[first, 0], rows, codes.shape[1], &offsets[0], &indices_out[0] + written,
                &indptr_out[first], n_threads)
            for i in range(rows + 1 if written else 0):
                indptr_out[first + i] += written
        written = indptr_out[first + rows]
        PyErr_CheckSignals()
    return written


def one_hot_dense(const code[:, ::1] codes, const code[::1] offsets, mark[:, ::1] out, double value=1):
    """Write ``value`` at the codes' places; ``out`` comes filled with what stands elsewhere."""
    cdef Py_ssize_t i, j, first, last, step = max(<Py_ssize_t> 1, SLICE_VALUES // max(<Py_ssize_t> 1, codes.shape[1]))
    for first in range(0, codes.shape[0], step):
        last = minimum(first + step, codes.shape[0])
        with nogil:
            for i in range(first, last):
                for j in range(codes.shape[1]):
                    if codes[i, j] >= 0:
                        out[i, offsets[j] + codes[i, j]] = <mark> value
        PyErr_CheckSignals()


def count_codes(const code[:] codes, int64_t[::1] count_out):
    """Add how often each code occurs; codes below 0 are skipped."""
    cdef Py_ssize_t i, first, last
    for first in range(0, codes.shape[0], SLICE_VALUES):
        last = minimum(first + SLICE_VALUES, codes.shape[0])
        with nogil:
            for i in range(first, last):
                if codes[i] >= 0:
                    count_out[codes[i]] += 1
        PyErr_CheckSignals()


cdef void one_hot_columns_block(
    const int64_t* x, Py_ssize_t rows, Py_ssize_t n_cols, Py_ssize_t row_stride, Py_ssize_t col_stride,
    const int64_t* low, const int64_t* start, const int32_t* tables, int32_t* out, Py_ssize_t* negative_out,
) noexcept nogil:
    cdef Py_ssize_t i, j, negative = 0
    cdef uint64_t at
    cdef int32_t value
    for i in range(rows):
        for j in range(n_cols):
            at = <uint64_t> x[i * row_stride + j * col_stride] - <uint64_t> low[j]
            value = tables[start[j] + <int64_t> at] if at < <uint64_t> (start[j + 1] - start[j]) else -2
            negative |= value >> 31
            out[i * n_cols + j] = value
    negative_out[0] = negative


def one_hot_columns(
    const int64_t[:, :] X, const int64_t[::1] low, const int64_t[::1] start, const int32_t[::1] tables,
    int32_t[:, ::1] out, int n_threads,
):
    """Output column of each cell of a matrix of integers, by the tables of its columns laid end to end; -2 for a value
    outside its table. Returns whether anything below 0 came out."""
    cdef Py_ssize_t b, first, start_row, rows, n_rows = X.shape[0], n_cols = X.shape[1], n_blocks
    cdef Py_ssize_t row_stride = X.strides[0] // <Py_ssize_t> sizeof(int64_t)
    cdef Py_ssize_t col_stride = X.strides[1] // <Py_ssize_t> sizeof(int64_t)
    cdef Py_ssize_t any_negative = 0, step
    if n_rows == 0 or n_cols == 0:
        return False
    n_threads = threads_for_work(n_threads, <double> n_rows * n_cols, VALUES_PER_THREAD)
    step = max(<Py_ssize_t> 1, SLICE_VALUES // (ROW_BLOCK * n_cols)) * n_threads * ROW_BLOCK
    n_blocks = (minimum(step, n_rows) + ROW_BLOCK - 1) // ROW_BLOCK
    cdef Py_ssize_t* negative = <Py_ssize_t*> malloc(n_blocks * sizeof(Py_ssize_t))
    if negative == NULL:
        raise MemoryError("a kernel could not allocate its workspace")
    try:
        for first in range(0, n_rows, step):
            rows = minimum(step, n_rows - first)
            n_blocks = (rows + ROW_BLOCK - 1) // ROW_BLOCK
            with nogil:
                for b in prange(n_blocks, schedule="dynamic", num_threads=<int> minimum(n_threads, n_blocks)):
                    start_row = first + b * ROW_BLOCK
                    one_hot_columns_block(
                        &X[0, 0] + start_row * row_stride, minimum(ROW_BLOCK, n_rows - start_row), n_cols, row_stride,
                        col_stride, &low[0], &start[0], &tables[0], &out[0, 0] + start_row * n_cols, negative + b)
                for b in range(n_blocks):
                    any_negative |= negative[b]
            PyErr_CheckSignals()
    finally:
        free(negative)
    return any_negative != 0


cdef inline uint64_t scatter(uint64_t key) noexcept nogil:
    # Round floats have all their bits at the top, and a product carries upwards only: they are brought down first.
    key = (key ^ (key >> 32)) * 0x9E3779B97F4A7C15ULL
    return key ^ (key >> 32)


cdef struct key_map:
    int64_t* keys
    int64_t* codes      # -1 in an empty place
    Py_ssize_t size     # a power of two
    Py_ssize_t used


cdef inline void map_free(key_map* m) noexcept nogil:
    free(m.keys)
    free(m.codes)
    m.keys = NULL
    m.codes = NULL


cdef int map_make(key_map* m, Py_ssize_t size) noexcept nogil:
    m.keys = <int64_t*> malloc(size * sizeof(int64_t))
    m.codes = <int64_t*> malloc(size * sizeof(int64_t))
    m.size = size
    m.used = 0
    if m.keys == NULL or m.codes == NULL:
        map_free(m)
        return STATUS_NO_MEMORY
    memset(m.codes, 0xFF, size * sizeof(int64_t))
    return STATUS_OK


cdef inline Py_ssize_t map_place(const key_map* m, int64_t key) noexcept nogil:
    """Where a key is, or the empty place where it would go."""
    cdef uint64_t place = scatter(<uint64_t> key) & <uint64_t> (m.size - 1)
    while m.codes[place] >= 0 and m.keys[place] != key:
        place = (place + 1) & <uint64_t> (m.size - 1)
    return <Py_ssize_t> place


cdef int map_grow(key_map* m) noexcept nogil:
    cdef key_map wider
    cdef Py_ssize_t i, place
    if map_make(&wider, 4 * m.size) != STATUS_OK:
        return STATUS_NO_MEMORY
    for i in range(m.size):
        if m.codes[i] >= 0:
            place = map_place(&wider, m.keys[i])
            wider.keys[place] = m.keys[i]
            wider.codes[place] = m.codes[i]
    wider.used = m.used
    map_free(m)
    m[0] = wider
    return STATUS_OK


def group_keys(const int64_t[:] keys, int64_t[::1] code_out, int64_t[::1] unique_out):
    """Codes of 64-bit keys in order of first appearance, and the distinct keys in that order. Returns how many there
    are, or -1 as soon as they are more than ``unique_out`` has places."""
    cdef Py_ssize_t i, place, n = keys.shape[0], limit = unique_out.shape[0]
    cdef key_map m
    cdef int status
    cdef bint full = False, interrupted = False
    with nogil:
        status = map_make(&m, 1024)
        for i in range(n if status == STATUS_OK else 0):
            if i % LOOK_EVERY == LOOK_EVERY - 1 and signalled():
                interrupted = True
                break
            place = map_place(&m, keys[i])
            if m.codes[place] < 0:
                if m.used == limit:
                    full = True
                    break
                m.keys[place] = keys[i]
                m.codes[place] = m.used
                unique_out[m.used] = keys[i]
                m.used += 1
                code_out[i] = m.used - 1
                if 2 * m.used > m.size:
                    status = map_grow(&m)
                    if status != STATUS_OK:
                        break
                continue
            code_out[i] = m.codes[place]
        map_free(&m)
    if status != STATUS_OK:
        raise MemoryError("a kernel could not allocate its workspace")
    if interrupted:
        raise_signalled()
    return -1 if full else m.used


def distinct_floats(const real[:] x, int64_t[::1] unique_out):
    """The distinct keys, as :func:`keys_of_floats` makes them, in order of first appearance. Returns how many there
    are, or -1 as soon as they are more than ``unique_out`` has places."""
    cdef Py_ssize_t i, place, n = x.shape[0], limit = unique_out.shape[0]
    cdef key_map m
    cdef int64_t key
    cdef int status
    cdef bint full = False, interrupted = False
    with nogil:
        status = map_make(&m, 1024)
        for i in range(n if status == STATUS_OK else 0):
            if i % LOOK_EVERY == LOOK_EVERY - 1 and signalled():
                interrupted = True
                break
            key = key_of_float(<double> x[i])
            place = map_place(&m, key)
            if m.codes[place] >= 0:
                continue
            if m.used == limit:
                full = True
                break
            m.keys[place] = key
            m.codes[place] = m.used
            unique_out[m.used] = key
            m.used += 1
            if 2 * m.used > m.size:
                status = map_grow(&m)
                if status != STATUS_OK:
                    break
        map_free(&m)
    if status != STATUS_OK:
        raise MemoryError("a kernel could not allocate its workspace")
    if interrupted:
        raise_signalled()
    return -1 if full else m.used


def look_up_keys(const int64_t[:] keys, const int64_t[::1] known, int64_t[::1] code_out):
    """Place of each key among ``known``, which are distinct; -1 for the others."""
    cdef Py_ssize_t i, place, size = 16
    cdef key_map m
    cdef int status
    cdef bint interrupted = False
    while size < 2 * known.shape[0]:
        size *= 2
    with nogil:
        status = map_make(&m, size)
        if status == STATUS_OK:
            for i in range(known.shape[0]):
                place = map_place(&m, known[i])
                m.keys[place] = known[i]
                m.codes[place] = i
            for i in range(keys.shape[0]):
                if i % LOOK_EVERY == LOOK_EVERY - 1 and signalled():
                    interrupted = True
                    break
                code_out[i] = m.codes[map_place(&m, keys[i])]
        map_free(&m)
    if status != STATUS_OK:
        raise MemoryError("a kernel could not allocate its workspace")
    if interrupted:
        raise_signalled()


def keys_of_floats(const real[:] x, int64_t[::1] key_out):
    """:func:`key_of_float` of each number."""
    cdef Py_ssize_t i, first, last
    for first in range(0, x.shape[0], SLICE_VALUES):
        last = minimum(first + SLICE_VALUES, x.shape[0])
        with nogil:
            for i in range(first, last):
                key_out[i] = key_of_float(<double> x[i])
        PyErr_CheckSignals()


cdef inline uint64_t word_at(const char* cell) noexcept nogil:
    cdef uint64_t word
    memcpy(&word, cell, 8)
    return word


cdef inline uint64_t hash_cell(const char* cell, Py_ssize_t size) noexcept nogil:
    """Of all bytes: the words' products do not wait for one another, and the last word overlaps the one before it."""
    cdef uint64_t h = <uint64_t> size, word = 0, factor = 0xC2B2AE3D27D4EB4FULL
    cdef Py_ssize_t k = 0
    if size < 8:
        memcpy(&word, cell, size)
        return scatter(h ^ scatter(word))
    while k + 8 < size:
        word = word_at(cell + k)
        h += (word ^ (word >> 32)) * factor
        factor += 0x3C6EF372FE94F82AULL
        k += 8
    word = word_at(cell + size - 8)
    return scatter(h + (word ^ (word >> 32)) * factor)


cdef inline bint same_cells(const char* a, const char* b, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t k = 0
    if size < 8:
        return memcmp(a, b, size) == 0
    while k + 8 < size:
        if word_at(a + k) != word_at(b + k):
            return False
        k += 8
    return word_at(a + size - 8) == word_at(b + size - 8)


cdef int group_fixed_cells(
    const char* cells, Py_ssize_t n, Py_ssize_t size, Py_ssize_t stride, int64_t* code_out, int64_t* first_out,
    Py_ssize_t* n_found_out, bint* interrupted_out,
) noexcept nogil:
    """Codes of cells of ``size`` bytes in order of first appearance; ``first_out``: the row where each came first.
    ``code_out`` may be NULL."""
    cdef Py_ssize_t i, k, n_slots = 1024, found = 0
    cdef uint64_t h, slot
    cdef int64_t* slots = <int64_t*> malloc(n_slots * sizeof(int64_t))
    # Hashes of what was found: they are compared before cells are, and a larger table is filled from them.
    cdef uint64_t* hashes = <uint64_t*> malloc(n_slots // 2 * sizeof(uint64_t))
    cdef uint64_t* more
    if slots == NULL or hashes == NULL:
        free(slots)
        free(hashes)
        return STATUS_NO_MEMORY
    memset(slots, 0xFF, n_slots * sizeof(int64_t))
    for i in range(n):
        if i % LOOK_EVERY == LOOK_EVERY - 1 and signalled():
            interrupted_out[0] = True
            break
        h = hash_cell(cells + i * stride, size)
        slot = h & <uint64_t> (n_slots - 1)
        while slots[slot] >= 0:
            k = slots[slot]
            if hashes[k] == h and same_cells(cells + first_out[k] * stride, cells + i * stride, size):
                break
            slot = (slot + 1) & <uint64_t> (n_slots - 1)
        if slots[slot] < 0:
            if 2 * found == n_slots:
                n_slots *= 4
                free(slots)
                slots = <int64_t*> malloc(n_slots * sizeof(int64_t))
                more = <uint64_t*> malloc(n_slots // 2 * sizeof(uint64_t))
                if slots == NULL or more == NULL:
                    free(slots)
                    free(more)
                    free(hashes)
                    return STATUS_NO_MEMORY
                memcpy(more, hashes, found * sizeof(uint64_t))
                free(hashes)
                hashes = more
                memset(slots, 0xFF, n_slots * sizeof(int64_t))
                for k in range(found):
                    slot = hashes[k] & <uint64_t> (n_slots - 1)
                    while slots[slot] >= 0:
                        slot = (slot + 1) & <uint64_t> (n_slots - 1)
                    slots[slot] = k
                slot = h & <uint64_t> (n_slots - 1)
                while slots[slot] >= 0:
                    slot = (slot + 1) & <uint64_t> (n_slots - 1)
            slots[slot] = found
            hashes[found] = h
            first_out[found] = i
            found += 1
        if code_out != NULL:
            code_out[i] = slots[slot]
    free(slots)
    free(hashes)
    n_found_out[0] = found
    return STATUS_OK


def group_cells(const int8_t[:, :] cells, int64_t[::1] code_out, int64_t[::1] first_out):
    """Codes of rows of bytes in order of first appearance, and the row where each came first. The bytes of a row lie
    side by side; ``code_out`` may be None. Returns how many there are, or -1 without memory."""
    cdef Py_ssize_t found = 0
    cdef int status
    cdef bint interrupted = False
    if cells.shape[0] == 0 or cells.shape[1] == 0:
        return 0
    with nogil:
        status = group_fixed_cells(
            <const char*> &cells[0, 0], cells.shape[0], cells.shape[1], cells.strides[0],
            &code_out[0] if code_out is not None else NULL, &first_out[0], &found, &interrupted)
    if interrupted:
        raise_signalled()
    return found if status == STATUS_OK else -1
