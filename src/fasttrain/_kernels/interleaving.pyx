"""Columns of a table that lie apart, arrays of NumPy or a batch of Arrow, put together as rows."""

from cpython.pycapsule cimport PyCapsule_GetPointer
from cython.parallel cimport prange
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc

from fasttrain._kernels.primitives cimport transpose
from fasttrain._kernels.threads cimport threads_for_work
from fasttrain._kernels.types cimport real

cdef enum:
    ROW_BLOCK = 4096
    TILE_COLUMNS = 16      # a cache line of float32, and a square of the widest vectors
    TILE_BYTES = 1 << 14   # half of the smallest first-level cache; a column's part is read as a stream

cdef double CELLS_PER_THREAD = 100_000.0


cdef inline Py_ssize_t minimum(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    return a if a < b else b


cdef void interleave_rows(const void** columns, const number* like, const Py_ssize_t* places, Py_ssize_t n_columns,
                          Py_ssize_t first, Py_ssize_t last, real* out, Py_ssize_t stride) noexcept nogil:
    """Columns that go to neighbouring places are turned tile by tile: as they lie into a tile in the first-level cache,
    from there into the rows by squares of a vector's width."""
    cdef char room[TILE_BYTES]
    cdef real* tile = <real*> room
    cdef Py_ssize_t tile_rows = TILE_BYTES // sizeof(real) // TILE_COLUMNS
    cdef Py_ssize_t i, c, begin, width, rows, start = first
    cdef const number* column
    cdef real* line
    while start < last:
        rows = minimum(tile_rows, last - start)
        begin = 0
        while begin < n_columns:
            width = 1
            while width < TILE_COLUMNS and begin + width < n_columns and (
                    places[begin + width] == places[begin] + width):
                width += 1
            for c in range(width):
                column = <const number*> columns[begin + c] + start
                line = tile + c * tile_rows
                for i in range(rows):
                    line[i] = <real> column[i]
            transpose(tile, tile_rows, width, rows, out + start * stride + places[begin], stride)
            begin += width
        start += rows


def interleave(list columns, const number[::1] like, const Py_ssize_t[::1] places, real[:, ::1] out, int n_threads):
    """out[i, places[j]] = columns[j][i]: columns that lie apart become rows.

    Parameters
    ----------
    columns : list of arrays of shape (n_rows,)
        Contiguous, all of one type: float32, float64, int32 or int64.
    like : array of that type
        Any of them.
    places : intp array of shape (n_columns,)
    out : array of shape (n_rows, at least n_columns)
    n_threads : int
    """
    cdef Py_ssize_t n = out.shape[0], n_columns = len(columns), stride = out.shape[1], j, b
    cdef Py_ssize_t n_blocks = (n + ROW_BLOCK - 1) // ROW_BLOCK
    cdef const number[::1] column
    cdef const void** addresses
    if n == 0 or n_columns == 0:
        return
    n_threads = <int> minimum(threads_for_work(n_threads, <double> n * n_columns, CELLS_PER_THREAD), n_blocks)
    addresses = <const void**> malloc(n_columns * sizeof(void*))
    if addresses == NULL:
        raise MemoryError(f"no memory for {n_columns} addresses")
    try:
        for j in range(n_columns):
            column = columns[j]
            addresses[j] = <const void*> &column[0]
        with nogil:
            if n_threads <= 1:
                interleave_rows(addresses, &like[0], &places[0], n_columns, 0, n, &out[0, 0], stride)
            else:
                for b in prange(n_blocks, schedule="dynamic", num_threads=n_threads):
                    interleave_rows(addresses, &like[0], &places[0], n_columns, b * ROW_BLOCK,
                                    minimum(b * ROW_BLOCK + ROW_BLOCK, n), &out[0, 0], stride)
    finally:
        free(addresses)


# A column of Arrow, or several as the children of one: https://arrow.apache.org/docs/format/CDataInterface.html
cdef extern from *:
    """
    #ifndef ARROW_C_DATA_INTERFACE
    #define ARROW_C_DATA_INTERFACE
    struct ArrowArray {
        int64_t length;
        int64_t null_count;
        int64_t offset;
        int64_t n_buffers;
        int64_t n_children;
        const void **buffers;
        struct ArrowArray **children;
        struct ArrowArray *dictionary;
        void (*release)(struct ArrowArray *);
        void *private_data;
    };
    #endif
    """
    struct ArrowArray:
        int64_t length
        int64_t null_count
        int64_t offset
        int64_t n_children
        const void** buffers
        ArrowArray** children


def interleave_arrow(object batch, const number[::1] like, const Py_ssize_t[::1] columns, const Py_ssize_t[::1] places,
                     real[:, ::1] out):
    """out[i, places[k]] = column number columns[k] of a batch of Arrow, row i, unless that column may have nulls.

    The batch's own memory is read, where to take each column as an array of NumPy would cost as much as its rows. One
    thread: several batches are turned at once.

    Parameters
    ----------
    batch : PyCapsule
        What ``__arrow_c_array__`` of a record batch gives second.
    like : array of shape (0,)
        Of the type that all these columns have: float32, float64, int32 or int64.
    columns, places : intp arrays of shape (n_columns,)
    out : array of shape (rows of the batch, more than any place)

    Returns
    -------
    list of int
        Those k that are not written, for the nulls that their columns may have.
    """
    cdef const ArrowArray* whole = <const ArrowArray*> PyCapsule_GetPointer(batch, "arrow_array")
    cdef const ArrowArray* column
    cdef Py_ssize_t k, n_columns = columns.shape[0], n = 0, n_rows = out.shape[0]
    cdef const void** addresses
    cdef Py_ssize_t* written
    cdef list left = []
    if n_rows == 0 or n_columns == 0:
        return left
    for k in range(n_columns):
        if not 0 <= columns[k] < whole.n_children or whole.children[columns[k]].length < whole.offset + n_rows:
            raise ValueError(f"a batch of {whole.n_children} columns and {whole.length} rows has not {n_rows} rows of "
                             f"column {columns[k]}")
    addresses = <const void**> malloc(n_columns * sizeof(void*))
    written = <Py_ssize_t*> malloc(n_columns * sizeof(Py_ssize_t))
    try:
        if addresses == NULL or written == NULL:
            raise MemoryError(f"no memory for {n_columns} addresses")
        for k in range(n_columns):
            column = whole.children[columns[k]]
            if column.null_count != 0 and column.buffers[0] != NULL:
                left.append(k)
                continue
            addresses[n] = <const void*> (<const number*> column.buffers[1] + column.offset + whole.offset)
            written[n] = places[k]
            n += 1
        with nogil:
            interleave_rows(addresses, <const number*> NULL, written, n, 0, n_rows, &out[0, 0], out.shape[1])
    finally:
        free(addresses)
        free(written)
    return left
