"""The sums that least squares needs of a table, from one reading of it.

With the rows z_i = (x_i - shift, 1) and y_i, weighted by w_i,

    products = sum_i w_i z_i (z_i, y_i)

so the last row holds the sums of w (x - shift), w and w y; the matrix about the mean is what is left of the rest
without the outer product of that row over the sum of weights (Chan, Golub, LeVeque, The American Statistician 37.3,
1983), which cancels little where the shift is near the mean.

A block of rows is laid side by side in double, so that the sums have double's digits whatever the table's type is, and
goes through the engine's product A^T D for the upper half, one panel of columns after the other. Blocks are summed in
chunks that the shape alone sets, and chunks in order: the same bytes for every thread count and layout.
"""

from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from fasttrain._kernels.columns cimport MAP_MULTIPLY_ADD
from fasttrain._kernels.primitives cimport ops_f64
from fasttrain._kernels.signals cimport raise_signalled, signalled
from fasttrain._kernels.threads cimport threads_for_work
from fasttrain._kernels.types cimport STATUS_NO_MEMORY, STATUS_OK, real

cdef enum:
    MAX_CHUNKS = 64
    STRIP_COLUMNS = 120       # of a wide table that lie together: rows of 15 lines, spread over the sets of a cache
    GROUP_COLUMNS = 240       # columns of one task: a wide table has several for each chunk
    MIN_BLOCK_ROWS = 192      # fewer, and reading and writing the sums takes longer than the products
    MAX_BLOCK_ROWS = 512
    MIN_CHUNK_BLOCKS = 8      # of which the sums of a chunk are a small part of the work
    LINE_BYTES = 64           # vectors of the block lie within a line each
    N_BANDS = 64              # of a sparse table's products: rows of them that one task adds up
    SIGNALLED = -1

cdef Py_ssize_t BLOCK_BYTES = 1 << 17
cdef Py_ssize_t PARTIAL_BYTES = 1 << 26
cdef double PRODUCTS_PER_THREAD = 200_000.0
cdef double PRODUCTS_PER_LOOK = 3e8


cdef struct gram_plan:
    Py_ssize_t n_rows
    Py_ssize_t n_cols
    Py_ssize_t n_targets
    Py_ssize_t n_left         # the table's columns and 1: rows of the products
    Py_ssize_t width          # the left ones and the targets, in whole vectors
    Py_ssize_t strip          # columns that lie together in the block, whole panels of them
    Py_ssize_t n_strips
    Py_ssize_t panel
    Py_ssize_t n_panels
    Py_ssize_t block_rows
    Py_ssize_t n_blocks
    Py_ssize_t n_chunks
    Py_ssize_t chunk_blocks
    Py_ssize_t n_groups       # tasks of a chunk
    Py_ssize_t group_panels
    Py_ssize_t n_cells        # numbers in the panels of all sums of a chunk
    double products           # multiply-adds of one row


cdef inline Py_ssize_t minimum(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    return a if a < b else b


cdef inline Py_ssize_t panel_height(const gram_plan* p, Py_ssize_t c) noexcept nogil:
    """Rows of the panel of columns that begins at c: what is below the diagonal is left out."""
    return minimum(p.n_left, c + p.panel)


cdef gram_plan plan(Py_ssize_t n_rows, Py_ssize_t n_cols, Py_ssize_t n_targets) noexcept nogil:
    cdef gram_plan p
    cdef Py_ssize_t q, lanes = ops_f64.lanes
    p.n_rows = n_rows
    p.n_cols = n_cols
    p.n_targets = n_targets
    p.n_left = 1 + n_cols
    p.width = (p.n_left + n_targets + lanes - 1) // lanes * lanes
    # three vectors of eight rows each fill 32 registers and waste less on the diagonal than four of six
    p.panel = lanes * (3 if ops_f64.panel_width == 4 * lanes else 2)
    p.n_panels = (p.width + p.panel - 1) // p.panel
    p.strip = p.width if p.width <= 2 * STRIP_COLUMNS else STRIP_COLUMNS
    p.n_strips = (p.width + p.strip - 1) // p.strip
    p.n_cells = 0
    for q in range(p.n_panels):
        p.n_cells += panel_height(&p, q * p.panel) * minimum(p.panel, p.width - q * p.panel)
    p.products = <double> p.n_cells
    p.block_rows = BLOCK_BYTES // (<Py_ssize_t> sizeof(double) * p.width)
    p.block_rows = max(<Py_ssize_t> MIN_BLOCK_ROWS, minimum(p.block_rows, MAX_BLOCK_ROWS))
    p.n_blocks = (n_rows + p.block_rows - 1) // p.block_rows
    p.n_chunks = PARTIAL_BYTES // (<Py_ssize_t> sizeof(double) * p.n_cells)
    p.n_chunks = minimum(minimum(p.n_chunks, MAX_CHUNKS), p.n_blocks // MIN_CHUNK_BLOCKS)
    p.n_chunks = max(<Py_ssize_t> 1, p.n_chunks)
    p.chunk_blocks = (p.n_blocks + p.n_chunks - 1) // p.n_chunks
    p.n_chunks = (p.n_blocks + p.chunk_blocks - 1) // p.chunk_blocks if p.n_blocks else 0
    p.group_panels = GROUP_COLUMNS // p.panel
    p.n_groups = (p.n_panels + p.group_panels - 1) // p.group_panels
    return p


cdef inline double* place(const gram_plan* p, double* block, Py_ssize_t column) noexcept nogil:
    """Of a column in the first row of a block."""
    return block + column // p.strip * p.strip * p.block_rows + column % p.strip


cdef void lay_out_strip(
    const real* x, const Py_ssize_t* rows, const double* minus_shift, const double* ones, Py_ssize_t row_stride,
    Py_ssize_t col_stride, Py_ssize_t first, Py_ssize_t m, Py_ssize_t n, Py_ssize_t ld, double* out,
) noexcept nogil:
    """x - shift of rows [first, first + m), n columns."""
    cdef Py_ssize_t i, j
    cdef const real* source = x + first * row_stride
    if rows == NULL and col_stride != 1:
        if real is double:
            if row_stride == 1:
                ops_f64.transpose(source, col_stride, n, m, out, ld)
                ops_f64.scale_rows(MAP_MULTIPLY_ADD, out, ld, m, n, ones, minus_shift, 0, 0, out, ld)
                return
        for j in range(n):
            for i in range(m):
                out[i * ld + j] = <double> source[i * row_stride + j * col_stride] + minus_shift[j]
        return
    for i in range(m):
        source = x + (first + i if rows == NULL else rows[first + i]) * row_stride
        if col_stride == 1:
            for j in range(n):
                out[i * ld + j] = <double> source[j] + minus_shift[j]
        else:
            for j in range(n):
                out[i * ld + j] = <double> source[j * col_stride] + minus_shift[j]


cdef void lay_out(
    const real* x, const double* y, const double* weights, const Py_ssize_t* rows, const double* minus_shift,
    const double* row_shift, const double* ones, const gram_plan* p, Py_ssize_t row_stride, Py_ssize_t col_stride,
    Py_ssize_t y_stride, Py_ssize_t first, Py_ssize_t m, Py_ssize_t n_columns, double* z_out, double* d_out,
) noexcept nogil:
    """The first ``n_columns`` of (x - shift, 1, y) of rows [first, first + m), and the same weighted."""
    cdef Py_ssize_t i, j, k, row, begin, end, ld = p.strip, n_x = minimum(n_columns, p.n_cols)
    cdef double* z
    cdef double* d
    cdef double factor
    for k in range((n_x + ld - 1) // ld):
        begin = k * ld
        lay_out_strip(x + begin * col_stride, rows, minus_shift + begin, ones, row_stride, col_stride, first, m,
                      minimum(ld, n_x - begin), ld, place(p, z_out, begin))
    for j in range(n_x, n_columns):
        z = place(p, z_out, j)
        for i in range(m):
            if j == p.n_cols:
                z[i * ld] = 1.0
            elif j < p.n_left + p.n_targets:
                row = first + i if rows == NULL else rows[first + i]
                z[i * ld] = y[row * y_stride + j - p.n_left]
            else:
                z[i * ld] = 0.0
    if row_shift == NULL and weights == NULL:
        return
    for k in range((n_columns + ld - 1) // ld):
        begin = k * ld
        end = minimum(ld, n_columns - begin)
        z = place(p, z_out, begin)
        d = place(p, d_out, begin)
        for i in range(m):
            row = first + i if rows == NULL else rows[first + i]
            if row_shift != NULL:
                factor = row_shift[row]
                for j in range(minimum(end, n_x - begin)):
                    z[i * ld + j] = z[i * ld + j] - factor
            if weights != NULL:
                factor = weights[row]
                for j in range(end):
                    d[i * ld + j] = factor * z[i * ld + j]


cdef void add_blocks(
    const real* x, const double* y, const double* weights, const Py_ssize_t* rows, const double* minus_shift,
    const double* row_shift, const double* ones, const gram_plan* p, Py_ssize_t row_stride, Py_ssize_t col_stride,
    Py_ssize_t y_stride, Py_ssize_t chunk, Py_ssize_t group, Py_ssize_t first_block, Py_ssize_t last_block,
    double* partial, double* work, const double** row_pointers,
) noexcept nogil:
    """Blocks of one chunk, counted from its first, into one group's panels of its sums."""
    cdef Py_ssize_t b, c, i, k, m, q, offset, height, own = p.block_rows * p.strip * p.n_strips
    cdef Py_ssize_t first_panel = group * p.group_panels
    cdef Py_ssize_t last_panel = minimum(first_panel + p.group_panels, p.n_panels)
    cdef Py_ssize_t last_column = minimum(last_panel * p.panel, p.width), width
    cdef double* z = work
    cdef double* d = work + own if weights != NULL else work
    cdef double* sums = partial + chunk * p.n_cells
    for k in range(p.n_strips):
        for i in range(p.block_rows):
            row_pointers[k * p.block_rows + i] = z + (k * p.block_rows + i) * p.strip
    for q in range(first_panel):
        sums += panel_height(p, q * p.panel) * p.panel
    for b in range(chunk * p.chunk_blocks + first_block,
                   minimum(chunk * p.chunk_blocks + last_block, minimum((chunk + 1) * p.chunk_blocks, p.n_blocks))):
        m = minimum(p.block_rows, p.n_rows - b * p.block_rows)
        lay_out(x, y, weights, rows, minus_shift, row_shift, ones, p, row_stride, col_stride, y_stride,
                b * p.block_rows, m, last_column, z, d)
        offset = 0
        for q in range(first_panel, last_panel):
            c = q * p.panel
            height = panel_height(p, c)
            width = minimum(p.panel, p.width - c)
            for k in range((height + p.strip - 1) // p.strip):
                ops_f64.columns_panel(
                    row_pointers + k * p.block_rows, m, 0, minimum(p.strip, height - k * p.strip), place(p, d, c),
                    p.strip, width, b > chunk * p.chunk_blocks, sums + offset + k * p.strip * width)
            offset += height * width


cdef void gather_sums(const gram_plan* p, double* partial, double* products_out, int n_threads) noexcept nogil:
    """Chunks added up in order, and both halves of the square part."""
    cdef Py_ssize_t c, k, q, r, j, offset = 0, height, w, n_out = p.n_left + p.n_targets
    for k in range(1, p.n_chunks):
        ops_f64.axpy(1.0, partial + k * p.n_cells, partial, p.n_cells)
    for q in range(p.n_panels):
        c = q * p.panel
        height = panel_height(p, c)
        w = minimum(p.panel, p.width - c)
        for r in range(height):
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
    cdef Py_ssize_t first_task, last_task, first_block, blocks, tasks, n_pointers
    cdef void* memory
    cdef double* work
    cdef double* partial
    cdef double* minus_shift
    cdef double* ones
    cdef const double** row_pointers
    cdef int status = STATUS_OK
    memset(products_out, 0, p.n_left * n_out * sizeof(double))
    if n_rows == 0:
        return STATUS_OK
    n_threads = <int> minimum(threads_for_work(n_threads, p.products * n_rows, PRODUCTS_PER_THREAD), n_tasks)
    n_pointers = p.n_strips * p.block_rows
    own = n_pointers * p.strip * (1 if weights == NULL else 2)
    memory = malloc(n_threads * own * sizeof(double) + LINE_BYTES)
    partial = <double*> malloc(p.n_chunks * p.n_cells * sizeof(double))
    minus_shift = <double*> malloc((2 * n_cols + 1) * sizeof(double))
    row_pointers = <const double**> malloc(n_threads * n_pointers * sizeof(double*))
    if memory == NULL or partial == NULL or minus_shift == NULL or row_pointers == NULL:
        status = STATUS_NO_MEMORY
    else:
        work = <double*> (<char*> memory + LINE_BYTES - <size_t> memory % LINE_BYTES)
        ones = minus_shift + n_cols
        for j in range(n_cols):
            minus_shift[j] = 0.0 if shift == NULL else -shift[j]
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
                        add_blocks(x, y, weights, rows, minus_shift, row_shift, ones, &p, row_stride, col_stride,
                                   y_stride, t % p.n_chunks, t // p.n_chunks, first_block, first_block + blocks,
                                   partial, work, row_pointers)
                else:
                    for t in prange(first_task, last_task, schedule="dynamic", num_threads=n_threads):
                        add_blocks(x, y, weights, rows, minus_shift, row_shift, ones, &p, row_stride, col_stride,
                                   y_stride, t % p.n_chunks, t // p.n_chunks, first_block, first_block + blocks,
                                   partial, work + threadid() * own, row_pointers + threadid() * n_pointers)
                first_task = last_task
                if signalled():
                    status = SIGNALLED
            first_block += blocks
        if status == STATUS_OK:
            gather_sums(&p, partial, products_out, n_threads)
    free(memory)
    free(partial)
    free(minus_shift)
    free(row_pointers)
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
