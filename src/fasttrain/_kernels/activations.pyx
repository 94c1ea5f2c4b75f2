"""Activations over arrays, forward and backward; the formulas are in ``csrc/scalar_body.h``."""

from cython.parallel cimport prange

from fasttrain._kernels.primitives cimport (
    FT_N_ACTIVATIONS, activate, activate_backward, ft_activation_names, softmax as softmax_rows,
)
from fasttrain._kernels.threads cimport threads_for_work
from fasttrain._kernels.types cimport STATUS_BAD_KIND, STATUS_OK, real

NAMES = tuple(ft_activation_names[i].decode() for i in range(FT_N_ACTIVATIONS))

# Those whose derivative takes the input; the others' takes the output alone.
NEEDS_INPUT = frozenset({
    "leaky_relu", "elu", "selu", "gelu", "silu", "softplus", "hard_silu", "softsign", "mish", "celu", "log_sigmoid"})

cdef enum:
    BLOCK = 8192


cdef int activate_array(
        int kind, real parameter, const real* z, real* a_out, Py_ssize_t n,
        int n_threads) noexcept nogil:
    """a = f(z) over n elements; a_out may be z."""
    cdef Py_ssize_t b, start
    if not 0 <= kind < FT_N_ACTIVATIONS:
        return STATUS_BAD_KIND
    if n <= BLOCK:
        # a parallel region of one thread takes longer than few elements
        activate(kind, parameter, z, a_out, n)
        return STATUS_OK
    n_threads = threads_for_work(n_threads, <double> n, 4.0 * BLOCK)
    for b in prange((n + BLOCK - 1) // BLOCK, num_threads=n_threads, schedule="static"):
        start = b * BLOCK
        activate(kind, parameter, z + start, a_out + start, min(<Py_ssize_t> BLOCK, n - start))
    return STATUS_OK


cdef int activate_backward_array(
        int kind, real parameter, const real* z, const real* a, real* delta_io, Py_ssize_t n,
        int n_threads) noexcept nogil:
    """delta *= f'(z) over n elements, given z and a = f(z)."""
    cdef Py_ssize_t b, start
    if not 0 <= kind < FT_N_ACTIVATIONS:
        return STATUS_BAD_KIND
    n_threads = threads_for_work(n_threads, <double> n, 4.0 * BLOCK)
    for b in prange((n + BLOCK - 1) // BLOCK, num_threads=n_threads, schedule="static"):
        start = b * BLOCK
        activate_backward(kind, parameter, z + start, a + start, delta_io + start, min(<Py_ssize_t> BLOCK, n - start))
    return STATUS_OK


def _kind(name):
    if name not in NAMES:
        raise ValueError(f"activation must be one of {', '.join(NAMES)}, got {name!r}")
    return NAMES.index(name)


def forward(name, const real[::1] z, real[::1] a_out, double parameter=1.0, int n_threads=1):
    """Write ``f(z)`` into ``a_out`` (both of shape (n,)); ``a_out`` may be ``z``."""
    cdef int kind = _kind(name)
    if a_out.shape[0] != z.shape[0]:
        raise ValueError(f"a_out must have shape ({z.shape[0]},), got ({a_out.shape[0]},)")
    if z.shape[0]:
        with nogil:
            activate_array(kind, <real> parameter, &z[0], &a_out[0], z.shape[0], n_threads)


def backward(name, const real[::1] z, const real[::1] a, real[::1] delta_io, double parameter=1.0, int n_threads=1):
    """Multiply ``delta_io`` by ``f'(z)``, given ``z`` and ``a = f(z)`` (all of shape (n,))."""
    cdef int kind = _kind(name)
    if a.shape[0] != z.shape[0] or delta_io.shape[0] != z.shape[0]:
        raise ValueError(
            f"a and delta_io must have shape ({z.shape[0]},), got ({a.shape[0]},) and ({delta_io.shape[0]},)")
    if z.shape[0]:
        with nogil:
            activate_backward_array(kind, <real> parameter, &z[0], &a[0], &delta_io[0], z.shape[0], n_threads)


def softmax(const real[:, ::1] z, real[:, ::1] out):
    """Write the softmax of each row of ``z`` (n, k) into ``out`` (n, k); ``out`` may be ``z``."""
    if out.shape[0] != z.shape[0] or out.shape[1] != z.shape[1]:
        raise ValueError(f"out must have shape ({z.shape[0]}, {z.shape[1]}), got ({out.shape[0]}, {out.shape[1]})")
    if z.shape[0] and z.shape[1]:
        with nogil:
            softmax_rows(&z[0, 0], z.shape[1], z.shape[0], z.shape[1], &out[0, 0], z.shape[1])
