"""Blocks of rows of ``linear``: raw predictions of many fits, their losses, and what a block adds to the gradients.

Chunks of rows have sums of their own. With few columns the vectors run along the features, else along the columns of
packed coefficients. Of one column of coefficients sparse rows are added to the chunk's gradient one by one, so that X
is read once; of more columns the derivatives are kept, and the gradients summed feature by feature from a copy of X by
columns: derivatives stay in the cache, where gradients of many features would not.
"""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy, memset

from fasttrain._kernels.primitives cimport (
    FT_LOSS_softmax_crossentropy, column_sums, columns_panel, lanes, loss_span, panel_width, prefetch_rows, rows_axpy,
    rows_dot, rows_panel, softmax_loss, sparse_row, sum as sum_of, transpose,
)
from fasttrain._kernels.types cimport real

cdef extern from "clock.h" nogil:
    double ft_seconds() noexcept

cdef extern from *:
    void prefetch "__builtin_prefetch" (const void* address) noexcept nogil

cdef enum:
    FLUSH_ROWS = 1024           # whose gradients are summed in the dtype of X before they go into a double
    PART_ROWS = 48              # between two requests for rows of the next block: no more lines than can be under way
    AHEAD = 128                 # non-zeros that are asked for early: two streams beside gathers lose the hardware's own

ctypedef fused number:
    int32_t
    int64_t


cdef const real* weights_of(const linear_task* t, const linear_fit* fit, Py_ssize_t start, Py_ssize_t m,
                            real* weights_out) noexcept nogil:
    """Weights of a block's rows for a fit, 0 where it holds a row out; NULL when all are 1."""
    cdef const real* given = <const real*> fit.weight
    cdef Py_ssize_t low = 0, high = fit.n_held, middle, i
    while low < high:
        middle = (low + high) // 2
        if fit.held[middle] < start:
            low = middle + 1
        else:
            high = middle
    if low == fit.n_held or fit.held[low] >= start + m:
        return given + start if given != NULL else NULL
    if given != NULL:
        memcpy(weights_out, given + start, m * sizeof(real))
    else:
        for i in range(m):
            weights_out[i] = 1
    while low < fit.n_held and fit.held[low] < start + m:
        weights_out[fit.held[low] - start] = 0
        low += 1
    return weights_out


cdef inline void sparse_rows_dot(const real* x, const number* columns, const Py_ssize_t* indptr, Py_ssize_t m,
                                 const real* w, real bias, real* z_out) noexcept nogil:
    """z = X w + bias of m sparse rows; four sums, as a multiply-add takes four cycles."""
    cdef Py_ssize_t i, at, end
    cdef real a, b, c, d
    for i in range(m):
        at, end = indptr[i], indptr[i + 1]
        a = bias
        b = c = d = 0
        while at + 4 <= end:
            prefetch(x + at + AHEAD)
            prefetch(columns + at + AHEAD)
            a += x[at] * w[columns[at]]
            b += x[at + 1] * w[columns[at + 1]]
            c += x[at + 2] * w[columns[at + 2]]
            d += x[at + 3] * w[columns[at + 3]]
            at += 4
        while at < end:
            a += x[at] * w[columns[at]]
            at += 1
        z_out[i] = (a + b) + (c + d)


cdef inline void sparse_rows_axpy(const real* x, const number* columns, const Py_ssize_t* indptr, Py_ssize_t m,
                                  const real* d, double* g_io) noexcept nogil:
    """g += X^T d of m sparse rows, whose columns are each different: four are read before the first is written."""
    cdef Py_ssize_t i, at, end
    cdef double slope, a, b, c, e
    for i in range(m):
        slope = d[i]
        if slope == 0.0:
            continue
        at, end = indptr[i], indptr[i + 1]
        while at + 4 <= end:
            a = g_io[columns[at]] + slope * x[at]
            b = g_io[columns[at + 1]] + slope * x[at + 1]
            c = g_io[columns[at + 2]] + slope * x[at + 2]
            e = g_io[columns[at + 3]] + slope * x[at + 3]
            g_io[columns[at]] = a
            g_io[columns[at + 1]] = b
            g_io[columns[at + 2]] = c
            g_io[columns[at + 3]] = e
            at += 4
        while at < end:
            g_io[columns[at]] += slope * x[at]
            at += 1


cdef inline void forward(const linear_task* t, Py_ssize_t start, Py_ssize_t m, const real** rows, const real** ahead,
                         real* z_out, const real* like) noexcept nogil:
    """Raw predictions of a block; points ``rows`` at it and ``ahead`` at what comes after it."""
    cdef Py_ssize_t k = t.k, panel = panel_width(like), i, first, width, part
    cdef const real* x = <const real*> t.x
    cdef const real* w = <const real*> t.w
    cdef const real* bias = <const real*> t.bias
    if t.by_rows:
        if t.wide:
            sparse_rows_dot(x, <const int64_t*> t.indices, t.indptr + start, m, w, bias[0], z_out)
        else:
            sparse_rows_dot(x, <const int32_t*> t.indices, t.indptr + start, m, w, bias[0], z_out)
        return
    if t.is_sparse:
        for i in range(m):
            first = 0
            while first < t.padded:
                width = min(panel, t.padded - first) if t.in_panels else 1
                sparse_row(x, t.indices, t.wide, t.indptr[start + i], t.indptr[start + i + 1], w + first * k, width,
                           bias + first, z_out + i * t.ldz + first)
                first += width
        return
    for i in range(m):
        rows[i] = x + (start + i) * k
        ahead[i] = x + min(start + m + i, t.n - 1) * k
    if not t.in_panels:
        rows_dot(rows, m, k, w, k, t.n_columns, bias, 1, z_out, t.ldz, ahead)
        return
    i = 0
    while i < m:
        part = min(<Py_ssize_t> PART_ROWS, m - i)
        prefetch_rows(ahead + i, part, k // 2)
        first = 0
        while first < t.padded:
            width = min(panel, t.padded - first)
            rows_panel(rows + i, part, k, w + first * k, width, bias + first, z_out + i * t.ldz + first, t.ldz)
            first += width
        i += part


cdef inline void backward(const linear_task* t, Py_ssize_t m, const real** rows, const real** ahead, const real* d,
                          real* g_io, const real* like) noexcept nogil:
    """Adds a block's part of the gradient by the coefficients; X is dense. ``ahead`` is moved."""
    cdef Py_ssize_t k = t.k, panel = panel_width(like), first, width, part, i
    if not t.in_panels:
        rows_axpy(rows, m, 0, k, d, t.ldz, t.n_columns, g_io, k, ahead)
        return
    for i in range(m):
        ahead[i] += k // 2
    i = 0
    while i < m:
        part = min(<Py_ssize_t> PART_ROWS, m - i)
        prefetch_rows(ahead + i, part, k - k // 2)
        first = 0
        while first < t.padded:
            width = min(panel, t.padded - first)
            columns_panel(rows + i, part, 0, k, d + i * t.ldz + first, t.ldz, width, True, g_io + first * k)
            first += width
        i += part


cdef inline void add_sparse(const linear_task* t, Py_ssize_t start, Py_ssize_t m, const real* d,
                            double* g_io) noexcept nogil:
    """Adds a block's part of the gradient by one column of coefficients; X is CSR."""
    if t.wide:
        sparse_rows_axpy(<const real*> t.x, <const int64_t*> t.indices, t.indptr + start, m, d, g_io)
    else:
        sparse_rows_axpy(<const real*> t.x, <const int32_t*> t.indices, t.indptr + start, m, d, g_io)


cdef inline void keep_derivatives(linear_task* t, Py_ssize_t start, Py_ssize_t m, const real* d) noexcept nogil:
    """A block's derivatives by panels; what is behind the last column is zero."""
    cdef Py_ssize_t panel = panel_width(d), first = 0, width, count, i, c
    cdef real* out
    while first < t.padded:
        width = min(panel, t.padded - first) if t.in_panels else 1
        count = min(width, t.n_columns - first)
        for i in range(m):
            out = <real*> t.d + first * t.n + (start + i) * width
            for c in range(count):
                out[c] = d[i * t.ldz + first + c]
            for c in range(count, width):
                out[c] = 0
        first += width


cdef void block_losses(const linear_task* t, Py_ssize_t start, Py_ssize_t m, double* loss_io, double* bias_io,
                       real* z_io, real* turned, real* weights) noexcept nogil:
    """Adds each fit's losses on a block to its sum and turns raw predictions into their derivatives."""
    cdef Py_ssize_t j, c, column
    cdef const linear_fit* fit
    cdef const real* weight
    cdef real* z
    if t.loss == FT_LOSS_softmax_crossentropy:
        for j in range(t.n_active):
            fit = &t.fits[t.active[j]]
            weight = weights_of(t, fit, start, m, weights)
            z = z_io + j * t.n_outputs
            loss_io[j] += softmax_loss(
                <const real*> fit.y + start, 1, <const real*> z, t.ldz, weight, m, t.n_outputs, True, z, t.ldz)
        memset(turned, 0, t.n_columns * sizeof(real))
        column_sums(<const real*> z_io, t.ldz, m, t.n_columns, False, turned)
        for c in range(t.n_columns):
            bias_io[c] += turned[c]
        return
    z = z_io
    if t.n_columns > 1:
        transpose(<const real*> z_io, t.ldz, m, t.n_columns, turned, m)
        z = turned
    for j in range(t.n_active):
        fit = &t.fits[t.active[j]]
        if t.raw != NULL:
            for c in range(t.n_outputs):
                memcpy(<real*> t.raw + (t.active[j] * t.n_outputs + c) * t.n + start,
                       <const real*> z + (j * t.n_outputs + c) * m, m * sizeof(real))
        weight = weights_of(t, fit, start, m, weights)
        for c in range(t.n_outputs):
            column = j * t.n_outputs + c
            loss_io[j] += loss_span(
                t.loss, <real> t.loss_parameter, <const real*> fit.y + c * t.n + start,
                <const real*> z + column * m, weight, m, True, z + column * m)
            bias_io[column] += sum_of(<const real*> z + column * m, m)
    if t.n_columns > 1:
        transpose(<const real*> turned, m, t.n_columns, m, z_io, t.ldz)


cdef void empty_gradient(linear_task* t, Py_ssize_t chunk, const real* like) noexcept nogil:
    """Moves what a chunk has summed in the dtype of X into its double sums."""
    cdef Py_ssize_t size = t.k * t.padded, i
    cdef real* g = <real*> t.g + chunk * size
    cdef double* total = t.g_sum + chunk * size
    for i in range(size):
        total[i] += g[i]
        g[i] = 0


cdef void chunk_sums(linear_task* t, Py_ssize_t chunk, char* scratch, const real* like) noexcept nogil:
    """Goes on with a chunk until it or the time is over; the clock is looked at after some blocks."""
    cdef Py_ssize_t k = t.k, ldz = t.ldz, lane = lanes(like), flush = FLUSH_ROWS // t.block_rows * t.block_rows
    cdef Py_ssize_t last = min((chunk + 1) * t.chunk_rows, t.n), start = t.next_row[chunk], m, work = 0
    cdef Py_ssize_t since = (start - chunk * t.chunk_rows) % flush
    cdef const real** rows = <const real**> scratch
    cdef const real** ahead = rows + t.block_rows
    cdef real* z = <real*> (ahead + t.block_rows)
    cdef real* turned = z + t.block_rows * ldz + lane * ldz
    cdef real* weights = turned + t.block_rows * (ldz + lane) + lane * ldz
    cdef real* g = <real*> t.g + chunk * k * t.padded
    if t.by_rows and start == chunk * t.chunk_rows:
        memset(t.g_sum + chunk * k, 0, k * sizeof(double))
    while start < last:
        m = min(t.block_rows, last - start)
        forward(t, start, m, rows, ahead, z, like)
        if t.is_sparse:
            work += (t.indptr[start + m] - t.indptr[start]) * t.padded * 4
        else:
            work += m * k * t.padded
        block_losses(t, start, m, t.loss_sum + chunk * t.n_active, t.bias_sum + chunk * t.padded, z, turned, weights)
        if t.by_rows:
            add_sparse(t, start, m, <const real*> z, t.g_sum + chunk * k)
        elif t.is_sparse:
            keep_derivatives(t, start, m, <const real*> z)
        else:
            backward(t, m, rows, ahead, <const real*> z, g, like)
        start += m
        since += m
        if not t.is_sparse and (since >= flush or start >= last):
            empty_gradient(t, chunk, like)
            since = 0
        if work > 1 << 20:
            work = 0
            if ft_seconds() > t.deadline:
                break
    t.next_row[chunk] = start


cdef void feature_sums(linear_task* t, Py_ssize_t begin, Py_ssize_t end, double** out, real* spare) noexcept nogil:
    """Gradient by the coefficients of features [begin, end) of a CSR X; spare has room for a panel's columns."""
    cdef Py_ssize_t panel = panel_width(<const real*> spare), k1 = t.k + t.has_bias
    cdef Py_ssize_t f, first, width, count, c, at, until
    cdef double* column
    for f in range(begin, end):
        first = 0
        while first < t.padded:
            width = min(panel, t.padded - first) if t.in_panels else 1
            count = min(width, t.n_columns - first)
            for c in range(count):
                out[(first + c) // t.n_outputs][(first + c) % t.n_outputs * k1 + f] = 0.0
            at = t.column_starts[f]
            while at < t.column_starts[f + 1]:
                until = min(at + FLUSH_ROWS, t.column_starts[f + 1])
                sparse_row(
                    <const real*> t.column_values, t.column_rows, t.column_wide, at, until,
                    <const real*> t.d + first * t.n, width, <const real*> NULL, spare)
                for c in range(count):
                    column = out[(first + c) // t.n_outputs] + (first + c) % t.n_outputs * k1
                    column[f] += spare[c]
                at = until
            first += width


cdef void by_columns(linear_task* t, const real* like) noexcept nogil:
    """Copies a CSR X by columns, the rows of each ascending; ``t.column_starts`` is k + 2 zeros before."""
    cdef Py_ssize_t* after = <Py_ssize_t*> t.column_starts + 1
    cdef Py_ssize_t i, at, column, place
    cdef real* values = <real*> t.column_values
    for at in range(t.indptr[0], t.indptr[t.n]):
        column = (<const int64_t*> t.indices)[at] if t.wide else (<const int32_t*> t.indices)[at]
        after[column + 1] += 1
    for column in range(t.k):
        after[column + 1] += after[column]
    # where the next value of a column goes: in the end each place holds where its column ends
    for i in range(t.n):
        for at in range(t.indptr[i], t.indptr[i + 1]):
            column = (<const int64_t*> t.indices)[at] if t.wide else (<const int32_t*> t.indices)[at]
            place = after[column]
            after[column] += 1
            values[place] = (<const real*> t.x)[at]
            if t.column_wide:
                (<int64_t*> t.column_rows)[place] = i
            else:
                (<int32_t*> t.column_rows)[place] = <int32_t> i
