"""Loss values and gradients over arrays; the formulas are in ``csrc/scalar_body.h``."""

from cython.parallel cimport prange
from libc.math cimport fabs
from libc.stdlib cimport free, malloc

from fasttrain._kernels.primitives cimport (
    FT_LOSS_softmax_crossentropy, FT_N_ELEMENTWISE_LOSSES, ft_loss_names, loss_span, softmax_loss,
)
from fasttrain._kernels.threads cimport threads_for_work
from fasttrain._kernels.types cimport (
    STATUS_BAD_KIND, STATUS_NO_MEMORY, STATUS_OK, STATUS_OUT_OF_RANGE, real,
)

NAMES = tuple(ft_loss_names[i].decode() for i in range(FT_N_ELEMENTWISE_LOSSES + 1))

# Values of a block are added up by one thread, blocks in their order: the sum does not depend on the threads.
cdef enum:
    BLOCK = 16384


cdef int loss_arrays(
        int kind, real parameter, const real* y, const real* raw, const real* weight, double* value_out,
        real* gradient_out, Py_ssize_t n, Py_ssize_t k, int n_threads) noexcept nogil:
    """Weighted sum of the loss over n rows of k raw predictions, and its gradient with respect to them.

    y has the shape of raw (n, k), both C-contiguous; for softmax cross-entropy y holds n class codes. weight (n),
    value_out and gradient_out (n, k) may be NULL; weight asks for k == 1 unless the loss is softmax cross-entropy.
    """
    cdef Py_ssize_t rows = max(1, BLOCK // max(<Py_ssize_t> 1, k))
    cdef Py_ssize_t n_blocks = (n + rows - 1) // rows, b, start, count
    cdef bint want_value = value_out != NULL
    cdef double* sums
    cdef double total = 0.0
    if not 0 <= kind <= FT_LOSS_softmax_crossentropy:
        return STATUS_BAD_KIND
    if want_value:
        value_out[0] = 0.0
    if n <= 0 or k <= 0:
        return STATUS_OK
    if kind == FT_LOSS_softmax_crossentropy:
        for b in range(n):
            if not 0 <= y[b] < k:
                return STATUS_OUT_OF_RANGE
    n_threads = threads_for_work(n_threads, <double> n * k, 2.0 * BLOCK)
    sums = <double*> malloc(n_blocks * sizeof(double))
    if sums == NULL:
        return STATUS_NO_MEMORY
    for b in prange(n_blocks, num_threads=n_threads, schedule="static"):
        start = b * rows
        count = min(rows, n - start)
        if kind == FT_LOSS_softmax_crossentropy:
            sums[b] = softmax_loss(
                y + start, 1, raw + start * k, k, weight + start if weight != NULL else NULL, count, k, want_value,
                gradient_out + start * k if gradient_out != NULL else NULL, k)
        else:
            sums[b] = loss_span(
                kind, parameter, y + start * k, raw + start * k, weight + start if weight != NULL else NULL, count * k,
                want_value, gradient_out + start * k if gradient_out != NULL else NULL)
    for b in range(n_blocks):
        total += sums[b]
    free(sums)
    if want_value:
        value_out[0] = total
    return STATUS_OK


cdef int loss_of_rows(
        int kind, real parameter, const real* y, const real* raw, real* values_out, Py_ssize_t n, Py_ssize_t k,
        int n_threads) noexcept nogil:
    """The loss of each of n rows, summed over its k raw predictions: values_out (n). Of the element-wise losses only.

    y has the shape of raw (n, k), both C-contiguous.
    """
    cdef Py_ssize_t i
    if not 0 <= kind < FT_N_ELEMENTWISE_LOSSES:
        return STATUS_BAD_KIND
    n_threads = threads_for_work(n_threads, <double> n * k, 2.0 * BLOCK)
    for i in prange(n, num_threads=n_threads, schedule="static"):
        values_out[i] = <real> loss_span(kind, parameter, y + i * k, raw + i * k, NULL, k, True, NULL)
    return STATUS_OK


cdef int huber_parts(
        const real* y, const real* raw, const real* weight, double threshold, Py_ssize_t n, double* parts_out,
        int n_threads) noexcept nogil:
    """What a Huber loss with a scale is made of: of the residuals |y - raw| up to the threshold the weighted sum of
    squares, of those beyond it the weighted sum and the weights. weight (n) may be NULL; parts_out has 3 places."""
    cdef Py_ssize_t n_blocks = (n + BLOCK - 1) // BLOCK, b, i
    cdef double* sums
    cdef double r, s, squares, beyond, count
    parts_out[0] = parts_out[1] = parts_out[2] = 0.0
    if n <= 0:
        return STATUS_OK
    sums = <double*> malloc(3 * n_blocks * sizeof(double))
    if sums == NULL:
        return STATUS_NO_MEMORY
    n_threads = threads_for_work(n_threads, <double> n, 2.0 * BLOCK)
    for b in prange(n_blocks, num_threads=n_threads, schedule="static"):
        squares = 0.0
        beyond = 0.0
        count = 0.0
        for i in range(b * BLOCK, min((b + 1) * BLOCK, n)):
            r = fabs(<double> y[i] - <double> raw[i])
            s = <double> weight[i] if weight != NULL else 1.0
            # NaN is kept by the first sum
            if r > threshold:
                beyond = beyond + s * r
                count = count + s
            else:
                squares = squares + s * r * r
        sums[3 * b] = squares
        sums[3 * b + 1] = beyond
        sums[3 * b + 2] = count
    for b in range(n_blocks):
        for i in range(3):
            parts_out[i] += sums[3 * b + i]
    free(sums)
    return STATUS_OK


def _kind(name):
    if name not in NAMES:
        raise ValueError(f"loss must be one of {', '.join(NAMES)}, got {name!r}")
    return NAMES.index(name)


def loss_and_gradient(name, const real[:, ::1] y, const real[:, ::1] raw_prediction, const real[::1] sample_weight=None,
                      double parameter=1.0, real[:, ::1] gradient_out=None, bint want_value=True, int n_threads=1):
    """Sum of ``sample_weight * loss`` and, into ``gradient_out``, its gradient with respect to ``raw_prediction``.

    Parameters
    ----------
    name : str
        One of ``NAMES``.
    y : array of shape (n, k), or (n, 1) class codes for softmax_crossentropy
    raw_prediction : array of shape (n, k), same dtype
    sample_weight : array of shape (n,), optional
        Only with k == 1 or softmax_crossentropy.
    parameter : float
        delta of huber, q of quantile, threshold of the hinges, epsilon of the insensitive losses.
    gradient_out : array of shape (n, k), optional
        Overwritten.

    Returns
    -------
    float
        The sum; 0.0 when ``want_value`` is False.
    """
    cdef int kind = _kind(name)
    cdef Py_ssize_t n = raw_prediction.shape[0], k = raw_prediction.shape[1]
    cdef bint softmax = kind == FT_LOSS_softmax_crossentropy
    cdef double total = 0.0
    cdef int status
    if y.shape[0] != n or y.shape[1] != (1 if softmax else k):
        raise ValueError(f"y must have shape ({n}, {1 if softmax else k}), got ({y.shape[0]}, {y.shape[1]})")
    if sample_weight is not None and (sample_weight.shape[0] != n or not (softmax or k == 1)):
        raise ValueError(f"sample_weight must have shape ({n},) and a single output, got ({sample_weight.shape[0]},)")
    if gradient_out is not None and (gradient_out.shape[0] != n or gradient_out.shape[1] != k):
        raise ValueError(f"gradient_out must have shape ({n}, {k})")
    if n == 0 or k == 0:
        return 0.0
    if softmax:
        for i in range(n):
            if not 0 <= y[i, 0] < k:
                raise ValueError(f"y must hold class codes from 0 to {k - 1}, got {y[i, 0]} in row {i}")
    with nogil:
        status = loss_arrays(
            kind, <real> parameter, &y[0, 0], &raw_prediction[0, 0],
            &sample_weight[0] if sample_weight is not None else NULL, &total if want_value else NULL,
            &gradient_out[0, 0] if gradient_out is not None else NULL, n, k, n_threads)
    if status == STATUS_NO_MEMORY:
        raise MemoryError(f"no memory for the block sums of {n} rows")
    return total


def huber_sums(const real[::1] y, const real[::1] raw_prediction, const real[::1] sample_weight, double threshold,
               int n_threads=1):
    """(squares, beyond, count) of the residuals r = abs(y - raw_prediction), weighted.

    The sum of the squares of those that are not above ``threshold``, and of the others their sum and their number.
    ``sample_weight`` may be None.
    """
    cdef Py_ssize_t n = y.shape[0]
    cdef double parts[3]
    cdef int status
    if raw_prediction.shape[0] != n or (sample_weight is not None and sample_weight.shape[0] != n):
        raise ValueError(f"raw_prediction and sample_weight must have shape ({n},)")
    with nogil:
        status = huber_parts(
            &y[0] if n else NULL, &raw_prediction[0] if n else NULL,
            &sample_weight[0] if sample_weight is not None and n else NULL, threshold, n, parts, n_threads)
    if status == STATUS_NO_MEMORY:
        raise MemoryError(f"no memory for the block sums of {n} rows")
    return parts[0], parts[1], parts[2]


def row_losses(name, const real[:, ::1] y, const real[:, ::1] raw_prediction, real[::1] values_out,
               double parameter=1.0, int n_threads=1):
    """Into ``values_out``, of shape (n,): the loss of each row, summed over its outputs.

    The arguments are those of :func:`loss_and_gradient`; not for softmax_crossentropy.
    """
    cdef int kind = _kind(name)
    cdef Py_ssize_t n = raw_prediction.shape[0], k = raw_prediction.shape[1]
    if kind == FT_LOSS_softmax_crossentropy:
        raise ValueError("loss must work element by element, got 'softmax_crossentropy'")
    if y.shape[0] != n or y.shape[1] != k:
        raise ValueError(f"y must have shape ({n}, {k}), got ({y.shape[0]}, {y.shape[1]})")
    if values_out.shape[0] != n:
        raise ValueError(f"values_out must have shape ({n},), got ({values_out.shape[0]},)")
    if n == 0 or k == 0:
        return
    with nogil:
        loss_of_rows(kind, <real> parameter, &y[0, 0], &raw_prediction[0, 0], &values_out[0], n, k, n_threads)
