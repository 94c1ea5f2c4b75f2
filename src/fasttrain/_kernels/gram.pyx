"""The sums that least squares needs of a table, from one reading of it.

With the rows z_i = (x_i - shift, 1) and y_i, weighted by w_i,

    products = sum_i w_i z_i (z_i, y_i)

so the last row holds the sums of w (x - shift), w and w y; the matrix about the mean is what is left of the rest
without the outer product of that row over the sum of weights (Chan, Golub, LeVeque, The American Statistician 37.3,
1983), which cancels little where the shift is near the mean.

A block of rows is laid into panels of columns in double, so that the sums have double's digits whatever the table's
type is; ``csrc/gram_isa.h``, compiled once for each instruction set, forms the tiles of the upper half of their
products, and fetches the block to come meanwhile. Blocks are summed in chunks that the shape alone sets, and chunks in
order: the same bytes for every thread count and layout.
"""

from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

from fasttrain._kernels.columns cimport MAP_MULTIPLY_ADD
from fasttrain._kernels.primitives cimport active_isa, ops_f64
from fasttrain._kernels.signals cimport raise_signalled, signalled
from fasttrain._kernels.threads cimport threads_for_work
from fasttrain._kernels.types cimport STATUS_NO_MEMORY, STATUS_OK, real

cdef extern from "gram.h" nogil:
    ctypedef struct ft_gram_kernels:
        Py_ssize_t width
        Py_ssize_t tile
        void (*spread_f32)(
            const float* x, const Py_ssize_t* rows, Py_ssize_t row_stride, Py_ssize_t first, Py_ssize_t m, Py_ssize_t n,
            const double* column_shift, const double* row_shift, double* z_out, Py_ssize_t stride) noexcept nogil
        void (*spread_f64)(
            const double* x, const Py_ssize_t* rows, Py_ssize_t row_stride, Py_ssize_t first, Py_ssize_t m,
            Py_ssize_t n, const double* column_shift, const double* row_shift, double* z_out,
            Py_ssize_t stride) noexcept nogil
        void (*weigh)(
            const double* z, const double* weights, const Py_ssize_t* rows, Py_ssize_t first, Py_ssize_t m,
            Py_ssize_t n_panels, Py_ssize_t stride, double* d_out) noexcept nogil
        void (*panel)(
            const double* z, const double* d, Py_ssize_t m, Py_ssize_t stride, Py_ssize_t k, Py_ssize_t height,
            Py_ssize_t n, const char* next, Py_ssize_t ahead, double* sums_io) noexcept nogil
    const ft_gram_kernels* ft_gram_kernels_for(int isa) noexcept

cdef enum:
    MAX_CHUNKS = 64
    MANY_CHUNKS = 8           # enough tasks for any pool worth starting; with fewer a task is a group of columns
    GROUP_COLUMNS = 240
    BLOCK_ROWS = 96           # a panel of them and lines of another stay in the first-level cache
    WIDE_BLOCK_ROWS = 192     # where the sums are read from farther away: twice the products for each of them
    MIN_CHUNK_ROWS = 1536     # of which the sums of a chunk are a small part of the work
    LINE_BYTES = 64           # vectors of the block lie within a line each
    N_BANDS = 64              # of a sparse table's products: rows of them that one task adds up
    SIGNALLED = -1

cdef Py_ssize_t NEAR_BYTES = 1 << 20       # of sums
cdef Py_ssize_t AHEAD_BYTES = 1 << 18      # of a block that is fetched while the one before it is worked on
cdef Py_ssize_t PARTIAL_BYTES = 1 << 26
cdef double PRODUCTS_PER_THREAD = 200_000.0
cdef double PRODUCTS_PER_LOOK = 3e8


cdef struct gram_plan:
    const ft_gram_kernels* kernels
    Py_ssize_t n_rows
    Py_ssize_t n_cols
    Py_ssize_t n_targets
    Py_ssize_t n_left         # the table's columns and 1: rows of the products
    Py_ssize_t width          # the left ones and the targets, in whole tiles
    Py_ssize_t panel
    Py_ssize_t n_panels
    Py_ssize_t block_rows
    Py_ssize_t stride         # of a block's panels
    Py_ssize_t n_blocks
    Py_ssize_t n_chunks
    Py_ssize_t chunk_blocks
    Py_ssize_t n_groups       # tasks of a chunk
    Py_ssize_t group_panels
    Py_ssize_t n_cells        # numbers in the panels of all sums of a chunk
    double products           # multiply-adds of one row


cdef inline Py_ssize_t minimum(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    return a if a < b else b


cdef inline Py_ssize_t panel_height(const gram_plan* p, Py_ssize_t k) noexcept nogil:
    """Rows of the k-th panel of columns, in whole tiles: what is below the diagonal is left out."""
    cdef Py_ssize_t tile = p.kernels.tile
    return (minimum(p.n_left, (k + 1) * p.panel) + tile - 1) // tile * tile


cdef inline Py_ssize_t panel_columns(const gram_plan* p, Py_ssize_t k) noexcept nogil:
    return minimum(p.panel, p.width - k * p.panel)


cdef gram_plan plan(Py_ssize_t n_rows, Py_ssize_t n_cols, Py_ssize_t n_targets) noexcept nogil:
    cdef gram_plan p
    cdef Py_ssize_t k, tile
    p.kernels = ft_gram_kernels_for(active_isa)
    tile = p.kernels.tile
    p.n_rows = n_rows
    p.n_cols = n_cols
    p.n_targets = n_targets
    p.n_left = 1 + n_cols
    p.width = (p.n_left + n_targets + tile - 1) // tile * tile
    p.panel = p.kernels.width
    p.n_panels = (p.width + p.panel - 1) // p.panel
    p.n_cells = 0
    for k in range(p.n_panels):
        p.n_cells += panel_height(&p, k) * panel_columns(&p, k)
    p.products = <double> p.n_cells
    # of the shape alone, so that instruction sets differ by nothing but their multiply-adds
    p.block_rows = BLOCK_ROWS if p.n_left * p.n_left * <Py_ssize_t> sizeof(double) <= NEAR_BYTES else WIDE_BLOCK_ROWS
    p.stride = p.block_rows * p.panel
    p.n_blocks = (n_rows + p.block_rows - 1) // p.block_rows
    p.n_chunks = PARTIAL_BYTES // (<Py_ssize_t> sizeof(double) * p.n_cells)
    p.n_chunks = minimum(minimum(p.n_chunks, MAX_CHUNKS), n_rows // MIN_CHUNK_ROWS)
    p.n_chunks = max(<Py_ssize_t> 1, p.n_chunks)
    p.chunk_blocks = (p.n_blocks + p.n_chunks - 1) // p.n_chunks
    p.n_chunks = (p.n_blocks + p.chunk_blocks - 1) // p.chunk_blocks if p.n_blocks else 0
    p.group_panels = p.n_panels if p.n_chunks >= MANY_CHUNKS else GROUP_COLUMNS // p.panel
    p.n_groups = (p.n_panels + p.group_panels - 1) // p.group_panels
    return p


cdef void spread_strided(
    const real* x, const Py_ssize_t* rows, const double* minus_shift, const double* row_shift, const double* ones,
    const gram_plan* p, Py_ssize_t row_stride, Py_ssize_t col_stride, Py_ssize_t first, Py_ssize_t m, Py_ssize_t n,
    double* z_out,
) noexcept nogil:
    """The first n columns less both shifts of rows that do not lie together, into a block's panels."""
    cdef Py_ssize_t i, j, k, row, c, w, ld = p.panel
    cdef const real* source
    cdef double* z
    for k in range((n + ld - 1) // ld):
        c = k * ld
        w = minimum(ld, n - c)
        z = z_out + k * p.stride
        source = x + c * col_stride + (first * row_stride if rows == NULL else 0)
        if real is double and rows == NULL and row_stride == 1:
            ops_f64.transpose(source, col_stride, w, m, z, ld)
            ops_f64.scale_rows(MAP_MULTIPLY_ADD, z, ld, m, w, ones, minus_shift + c, 0, 0, z, ld)
        elif rows == NULL:
            for j in range(w):
                for i in range(m):
                    z[i * ld + j] = <double> source[i * row_stride + j * col_stride] + minus_shift[c + j]
        else:
            for i in range(m):
                for j in range(w):
                    z[i * ld + j] = <double> source[rows[first + i] * row_stride + j * col_stride] + minus_shift[c + j]
        if row_shift != NULL:
            for i in range(m):
                row = first + i if rows == NULL else rows[first + i]
                for j in range(w):
                    z[i * ld + j] -= row_shift[row]


cdef void lay_out(
    const real* x, const double* y, const Py_ssize_t* rows, const double* shift, const double* minus_shift,
    const double* row_shift, const double* ones, const gram_plan* p, Py_ssize_t row_stride, Py_ssize_t col_stride,
    Py_ssize_t y_stride, Py_ssize_t first, Py_ssize_t m, Py_ssize_t n_columns, double* z_out,
) noexcept nogil:
    """The first ``n_columns`` of (x - shift, 1, y) of rows [first, first + m); those behind all of them are zeros."""
    cdef Py_ssize_t i, j, row, n = minimum(n_columns, p.n_cols)
    cdef double* z
    if col_stride != 1:
        spread_strided(x, rows, minus_shift, row_shift, ones, p, row_stride, col_stride, first, m, n, z_out)
    elif real is double:
        p.kernels.spread_f64(x, rows, row_stride, first, m, n, shift, row_shift, z_out, p.stride)
    else:
        p.kernels.spread_f32(x, rows, row_stride, first, m, n, shift, row_shift, z_out, p.stride)
    for j in range(n, minimum(n_columns, p.n_left + p.n_targets)):
        z = z_out + j // p.panel * p.stride + j % p.panel
        for i in range(m):
            row = first + i if rows == NULL else rows[first + i]
            z[i * p.panel] = 1.0 if j == p.n_cols else y[row * y_stride + j - p.n_left]


cdef void add_blocks(
    const real* x, const double* y, const double* weights, const Py_ssize_t* rows, const double* shift,
    const double* minus_shift, const double* row_shift, const double* ones, const gram_plan* p, Py_ssize_t row_stride,
    Py_ssize_t col_stride, Py_ssize_t y_stride, Py_ssize_t chunk, Py_ssize_t group, Py_ssize_t first_block,
    Py_ssize_t last_block, double* partial, double* work,
) noexcept nogil:
    """Blocks of one chunk, counted from its first, into one group's panels of its sums."""
    cdef Py_ssize_t b, k, m, height, n, tiles = 0, ahead = 0, first_row, first_next, last_next
    cdef Py_ssize_t first_panel = group * p.group_panels, tile = p.kernels.tile
    cdef Py_ssize_t last_panel = minimum(first_panel + p.group_panels, p.n_panels)
    cdef Py_ssize_t last_column = minimum(last_panel * p.panel, p.width)
    cdef Py_ssize_t end = minimum((chunk + 1) * p.chunk_blocks, p.n_blocks)
    cdef double* z = work
    cdef double* d = work + p.n_panels * p.stride if weights != NULL else work
    cdef double* group_sums = partial + chunk * p.n_cells
    cdef double* sums
    cdef const char* next_rows
    for k in range(first_panel):
        group_sums += panel_height(p, k) * panel_columns(p, k)
    for k in range(first_panel, last_panel):
        tiles += panel_height(p, k) // tile
    for b in range(chunk * p.chunk_blocks + first_block, minimum(chunk * p.chunk_blocks + last_block, end)):
        first_row = b * p.block_rows
        m = minimum(p.block_rows, p.n_rows - first_row)
        lay_out(x, y, rows, shift, minus_shift, row_shift, ones, p, row_stride, col_stride, y_stride, first_row, m,
                last_column, z)
        if weights != NULL:
            p.kernels.weigh(z + first_panel * p.stride, weights, rows, first_row, m, last_panel - first_panel, p.stride,
                            d + first_panel * p.stride)
        next_rows = NULL
        if b + 1 < end and col_stride == 1 and row_stride > 0:
            first_next = first_row + p.block_rows
            last_next = minimum(first_next + p.block_rows, p.n_rows) - 1
            if rows != NULL:
                first_next = rows[first_next]
                last_next = rows[last_next]
            # rows that follow one another are a stretch of memory; so are, near enough, those of a part of a table
            ahead = ((last_next - first_next) * row_stride + minimum(last_column, p.n_cols)) * <Py_ssize_t> sizeof(real)
            if last_next - first_next < 2 * p.block_rows and 0 < ahead <= AHEAD_BYTES:
                next_rows = <const char*> (x + first_next * row_stride)
                ahead = (ahead + tiles - 1) // tiles
        sums = group_sums
        for k in range(first_panel, last_panel):
            height = panel_height(p, k)
            n = panel_columns(p, k)
            p.kernels.panel(z, d, m, p.stride, k, height, n, next_rows, ahead, sums)
            sums += height * n
            if next_rows != NULL:
                next_rows += height // tile * ahead


cdef void gather_sums(const gram_plan* p, double* partial, double* products_out, int n_threads) noexcept nogil:
    """Chunks added up in order, and both halves of the square part."""
    cdef Py_ssize_t c, k, r, j, offset = 0, height, w, n_out = p.n_left + p.n_targets
    for k in range(1, p.n_chunks):
        ops_f64.axpy(1.0, partial + k * p.n_cells, partial, p.n_cells)
    for k in range(p.n_panels):
        c = k * p.panel
        height = panel_height(p, k)
        w = panel_columns(p, k)
        for r in range(minimum(height, p.n_left)):
            for j in range(minimum(w, n_out - c)):
                if c + j >= r:
                    products_out[r * n_out + c + j] = partial[offset + r * w + j]
                    if c + j < p.n_left:
                        products_out[(c + j) * n_out + r] = partial[offset + r * w + j]
        offset += height * w


cdef int gram_products(
    const real* x, const double* y, const double* weights, const Py_ssize_t* rows, const double* shift,
    const double* row_shift, Py_ssize_t n_rows, Py_ssize_t n_cols, Py_ssize_t n_targets, Py_ssize_t row_stride,
    Py_ssize_t col_stride, Py_ssize_t y_stride, double* products_out, int n_threads,
) noexcept nogil:
    """``products`` of shape (n_cols + 1, n_cols + 1 + n_targets), as at the head of this module.

    ``rows`` are the numbers of the n_rows rows that count, NULL for the first n_rows. ``shift`` may be NULL (zero);
    ``row_shift``, by number of row, is subtracted from all of a row's values (NULL: nothing). ``weights`` may be NULL
    (ones). Takes the lock between slices to look for signals: SIGNALLED says that a handler has raised.
    """
    cdef gram_plan p = plan(n_rows, n_cols, n_targets)
    cdef Py_ssize_t n_out = p.n_left + n_targets, n_tasks = p.n_chunks * p.n_groups, j, t, own
    cdef Py_ssize_t first_task, last_task, first_block, blocks, tasks
    cdef void* memory
    cdef double* work
    cdef double* partial
    cdef double* plus_shift
    cdef double* minus_shift
    cdef double* ones
    cdef int status = STATUS_OK
    memset(products_out, 0, p.n_left * n_out * sizeof(double))
    if n_rows == 0:
        return STATUS_OK
    n_threads = <int> minimum(threads_for_work(n_threads, p.products * n_rows, PRODUCTS_PER_THREAD), n_tasks)
    own = p.n_panels * p.stride * (1 if weights == NULL else 2)
    memory = calloc(n_threads * own * sizeof(double) + LINE_BYTES, 1)
    partial = <double*> calloc(p.n_chunks * p.n_cells, sizeof(double))
    plus_shift = <double*> malloc((3 * n_cols + 1) * sizeof(double))
    if memory == NULL or partial == NULL or plus_shift == NULL:
        status = STATUS_NO_MEMORY
    else:
        work = <double*> (<char*> memory + LINE_BYTES - <size_t> memory % LINE_BYTES)
        minus_shift = plus_shift + n_cols
        ones = minus_shift + n_cols
        for j in range(n_cols):
            plus_shift[j] = 0.0 if shift == NULL else shift[j]
            minus_shift[j] = -plus_shift[j]
            ones[j] = 1.0
        tasks = n_tasks
        blocks = <Py_ssize_t> (PRODUCTS_PER_LOOK / (p.products * p.block_rows * p.n_chunks))
        if blocks < 1:
            blocks = 1
            tasks = max(<Py_ssize_t> n_threads, <Py_ssize_t> (
                PRODUCTS_PER_LOOK * p.n_groups / (p.products * p.block_rows)))
        first_block = 0
        while first_block < p.chunk_blocks and status == STATUS_OK:
            first_task = 0
            while first_task < n_tasks and status == STATUS_OK:
                last_task = minimum(first_task + tasks, n_tasks)
                if n_threads == 1:
                    for t in range(first_task, last_task):
                        add_blocks(x, y, weights, rows, plus_shift, minus_shift, row_shift, ones, &p, row_stride,
                                   col_stride, y_stride, t % p.n_chunks, t // p.n_chunks, first_block,
                                   first_block + blocks, partial, work)
                else:
                    for t in prange(first_task, last_task, schedule="dynamic", num_threads=n_threads):
                        add_blocks(x, y, weights, rows, plus_shift, minus_shift, row_shift, ones, &p, row_stride,
                                   col_stride, y_stride, t % p.n_chunks, t // p.n_chunks, first_block,
                                   first_block + blocks, partial, work + threadid() * own)
                first_task = last_task
                if signalled():
                    status = SIGNALLED
            first_block += blocks
        if status == STATUS_OK:
            gather_sums(&p, partial, products_out, n_threads)
    free(memory)
    free(partial)
    free(plus_shift)
    return status


# ---- sparse tables ----


cdef inline Py_ssize_t number_at(const void* numbers, bint wide, Py_ssize_t i) noexcept nogil:
    return <Py_ssize_t> (<const int64_t*> numbers)[i] if wide else <Py_ssize_t> (<const int32_t*> numbers)[i]


cdef inline Py_ssize_t first_from(
    const void* indices, bint wide, Py_ssize_t begin, Py_ssize_t end, Py_ssize_t column
) noexcept nogil:
    """The first of a row's entries [begin, end) in ``column`` or behind it."""
    cdef Py_ssize_t middle
    while begin < end:
        middle = begin + (end - begin) // 2
        if number_at(indices, wide, middle) < column:
            begin = middle + 1
        else:
            end = middle
    return begin


cdef void add_band(
    const real* data, const void* indices, const void* indptr, bint wide, const double* y, const double* weights,
    const Py_ssize_t* rows, Py_ssize_t first, Py_ssize_t last, Py_ssize_t low, Py_ssize_t high, Py_ssize_t n_cols,
    Py_ssize_t n_targets, double* out,
) noexcept nogil:
    """Products of the columns [low, high) with those behind them and the targets; with low 0 the last row too."""
    cdef Py_ssize_t i, row, begin, end, a, b, column, k, n_out = 1 + n_cols + n_targets
    cdef double w, value
    cdef double* own
    for i in range(first, last):
        row = i if rows == NULL else rows[i]
        w = 1.0 if weights == NULL else weights[row]
        begin = number_at(indptr, wide, row)
        end = number_at(indptr, wide, row + 1)
        if low == 0:
            own = out + n_cols * n_out
            own[n_cols] += w
            for a in range(begin, end):
                own[number_at(indices, wide, a)] += w * <double> data[a]
            for k in range(n_targets):
                own[1 + n_cols + k] += w * y[row * n_targets + k]
        for a in range(first_from(indices, wide, begin, end, low), end):
            column = number_at(indices, wide, a)
            if column >= high:
                break
            value = w * <double> data[a]
            own = out + column * n_out
            if wide:
                for b in range(a, end):
                    own[(<const int64_t*> indices)[b]] += value * <double> data[b]
            else:
                for b in range(a, end):
                    own[(<const int32_t*> indices)[b]] += value * <double> data[b]
            for k in range(n_targets):
                own[1 + n_cols + k] += value * y[row * n_targets + k]


cdef int gram_products_sparse(
    const real* data, const void* indices, const void* indptr, bint wide, const double* y, const double* weights,
    const Py_ssize_t* rows, Py_ssize_t n_rows, Py_ssize_t n_cols, Py_ssize_t n_targets, double* products_out,
    int n_threads,
) noexcept nogil:
    """:c:func:`gram_products` of a CSR table without a shift; its columns ascend within a row, without duplicates.

    ``wide``: indices and indptr are int64, else int32. A task is a band of columns over all rows, so no sum is split.
    """
    cdef Py_ssize_t n_out = 1 + n_cols + n_targets, i, j, row, first = 0, last, held, n_bands, band
    cdef double work = 0.0, products
    memset(products_out, 0, (1 + n_cols) * n_out * sizeof(double))
    for i in range(n_rows):
        row = i if rows == NULL else rows[i]
        held = number_at(indptr, wide, row + 1) - number_at(indptr, wide, row)
        work += <double> held * (held + n_targets)
    n_bands = <Py_ssize_t> (work / (8.0 * n_rows)) if n_rows else 1
    n_bands = max(<Py_ssize_t> 1, minimum(n_bands, minimum(N_BANDS, n_cols)))
    n_threads = <int> minimum(threads_for_work(n_threads, work, PRODUCTS_PER_THREAD), n_bands)
    while first < n_rows:
        products = 0.0
        last = first
        while last < n_rows and products < PRODUCTS_PER_LOOK / 8:
            row = last if rows == NULL else rows[last]
            held = number_at(indptr, wide, row + 1) - number_at(indptr, wide, row)
            products += <double> held * (held + n_targets) + n_bands
            last += 1
        if n_threads <= 1:
            for band in range(n_bands):
                add_band(data, indices, indptr, wide, y, weights, rows, first, last, n_cols * band // n_bands,
                         n_cols * (band + 1) // n_bands, n_cols, n_targets, products_out)
        else:
            for band in prange(n_bands, schedule="dynamic", num_threads=n_threads):
                add_band(data, indices, indptr, wide, y, weights, rows, first, last, n_cols * band // n_bands,
                         n_cols * (band + 1) // n_bands, n_cols, n_targets, products_out)
        first = last
        if signalled():
            return SIGNALLED
    for i in range(n_cols):
        products_out[i * n_out + n_cols] = products_out[n_cols * n_out + i]
        for j in range(i):
            products_out[i * n_out + j] = products_out[j * n_out + i]
    return STATUS_OK


# ---- for Python ----


def products(
    const real[:, :] X, const double[:, ::1] y, const double[::1] weights, const Py_ssize_t[::1] rows,
    const double[::1] shift, const double[::1] row_shift, double[:, ::1] products_out, int n_threads,
):
    """:c:func:`gram_products` for Python; strides must be whole elements, what is None is left out. Returns the
    status; Ctrl-C raises."""
    cdef Py_ssize_t n_rows = X.shape[0] if rows is None else rows.shape[0], n_targets = 0 if y is None else y.shape[1]
    cdef int status
    with nogil:
        status = gram_products(
            &X[0, 0], &y[0, 0] if n_targets else NULL, &weights[0] if weights is not None else NULL,
            &rows[0] if rows is not None and n_rows else NULL, &shift[0] if shift is not None else NULL,
            &row_shift[0] if row_shift is not None else NULL, n_rows, X.shape[1], n_targets,
            X.strides[0] // <Py_ssize_t> sizeof(real), X.strides[1] // <Py_ssize_t> sizeof(real), n_targets,
            &products_out[0, 0], n_threads)
    if status == SIGNALLED:
        raise_signalled()
    return status


def products_sparse(
    const real[::1] data, indices, indptr, const double[:, ::1] y, const double[::1] weights,
    const Py_ssize_t[::1] rows, Py_ssize_t n_cols, double[:, ::1] products_out, int n_threads,
):
    """:c:func:`gram_products_sparse` for Python; indices and indptr are both int32 or both int64. Returns the status;
    Ctrl-C raises."""
    cdef Py_ssize_t n_rows = indptr.shape[0] - 1 if rows is None else rows.shape[0]
    cdef Py_ssize_t n_targets = 0 if y is None else y.shape[1]
    cdef bint wide = indices.itemsize == 8
    cdef const void* columns
    cdef const void* starts
    cdef const int32_t[::1] columns_narrow, starts_narrow
    cdef const int64_t[::1] columns_wide, starts_wide
    cdef int status
    if wide:
        columns_wide = indices
        starts_wide = indptr
        columns = &columns_wide[0] if columns_wide.shape[0] else NULL
        starts = &starts_wide[0]
    else:
        columns_narrow = indices
        starts_narrow = indptr
        columns = &columns_narrow[0] if columns_narrow.shape[0] else NULL
        starts = &starts_narrow[0]
    with nogil:
        status = gram_products_sparse(
            &data[0] if data.shape[0] else NULL, columns, starts, wide, &y[0, 0] if n_targets else NULL,
            &weights[0] if weights is not None else NULL, &rows[0] if rows is not None and n_rows else NULL, n_rows,
            n_cols, n_targets, &products_out[0, 0], n_threads)
    if status == SIGNALLED:
        raise_signalled()
    return status
