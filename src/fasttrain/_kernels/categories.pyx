"""Codes of categories, and codes laid out as one-hot rows (dense or compressed sparse rows).

Integers whose range is small are looked up in a table; the general case is an open-addressing map from 64-bit keys.
"""

from cython.parallel cimport prange
from libc.stdint cimport int32_t, int64_t, uint64_t

from fasttrain._kernels.threads cimport threads_for_work
from fasttrain._kernels.types cimport STATUS_OK

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
        for b in prange(n_blocks, schedule="static", num_threads=n_threads):
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
    cdef int64_t low = x[0], high = x[0]
    with nogil:
        for i in range(x.shape[0]):
            low = x[i] if x[i] < low else low
            high = x[i] if x[i] > high else high
    return low, high


def count_integers(const int64_t[:] x, int64_t low, int64_t[::1] count_out):
    """Add how often each integer from ``low`` on occurs; every x lies within the counts."""
    cdef Py_ssize_t i
    with nogil:
        for i in range(x.shape[0]):
            count_out[x[i] - low] += 1


def codes_of_integers(const int64_t[:] x, int64_t low, const int64_t[::1] table, code[:] code_out, int n_threads):
    """Python door to :c:func:`integer_codes`. Returns how many values have no category."""
    cdef Py_ssize_t unknown = 0
    if x.shape[0] == 0:
        return 0
    with nogil:
        integer_codes(
            &x[0], x.shape[0], x.strides[0] // <Py_ssize_t> sizeof(int64_t), low, table.shape[0],
            &table[0] if table.shape[0] else NULL, &code_out[0], code_out.strides[0] // <Py_ssize_t> sizeof(code),
            &unknown, n_threads)
    return unknown


def one_hot_sparse(
    const code[:, ::1] codes, const code[::1] offsets, code[::1] indices_out, code[::1] indptr_out, int n_threads,
):
    """Python door to :c:func:`one_hot_rows`. Returns how many entries were written."""
    if codes.shape[0] == 0 or codes.shape[1] == 0:
        indptr_out[:] = 0
        return 0
    with nogil:
        one_hot_rows(&codes[0, 0], codes.shape[0], codes.shape[1], &offsets[0], &indices_out[0],
            &indptr_out[0], n_threads)
    return indptr_out[codes.shape[0]]


def one_hot_dense(const code[:, ::1] codes, const code[::1] offsets, mark[:, ::1] out, double value=1):
    """Write ``value`` at the codes' places; ``out`` comes filled with what stands elsewhere."""
    cdef Py_ssize_t i, j
    with nogil:
        for i in range(codes.shape[0]):
            for j in range(codes.shape[1]):
                if codes[i, j] >= 0:
                    out[i, offsets[j] + codes[i, j]] = <mark> value


def count_codes(const code[:] codes, int64_t[::1] count_out):
    """Add how often each code occurs; codes below 0 are skipped."""
    cdef Py_ssize_t i
    with nogil:
        for i in range(codes.shape[0]):
            if codes[i] >= 0:
                count_out[codes[i]] += 1
