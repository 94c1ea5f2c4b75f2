"""Losses, a proximal step, Adam and a dense network of fasttrain, in nogil OpenMP loops of this package's own."""

import numpy as np

from cython.parallel cimport prange
from libc.stdlib cimport free, malloc

from fasttrain._kernels.dense cimport dense_forward, dense_gradient, dense_pack, dense_shape, dense_sizes, dense_unpack
from fasttrain._kernels.losses cimport loss_arrays
from fasttrain._kernels.penalties cimport penalty_prox_array
from fasttrain._kernels.primitives cimport (
    FT_ACTIVATION_relu, FT_LOSS_half_squared_error, FT_LOSS_huber, FT_UPDATE_adam, axpy, dot, ft_update,
)
from fasttrain._kernels.scalar cimport huber, huber_gradient
from fasttrain._kernels.types cimport STATUS_OK
from fasttrain._kernels.updates cimport adam_moments, adam_step, update_array, update_init


def huber_of_each(const double[::1] y, const double[::1] z, double delta, double[::1] value_out,
                  double[::1] slope_out, int n_threads):
    """Scalar formulas, inlined into this package's loop."""
    cdef Py_ssize_t i
    for i in prange(y.shape[0], num_threads=n_threads, nogil=True):
        value_out[i] = huber(y[i], z[i], delta)
        slope_out[i] = huber_gradient(y[i], z[i], delta)


def huber_sum(const float[::1] y, const float[::1] z, double delta, float[::1] slope_out):
    """The same over an array, in float32."""
    cdef double value
    cdef int status
    with nogil:
        status = loss_arrays(FT_LOSS_huber, <float> delta, &y[0], &z[0], <const float*> NULL, &value, &slope_out[0],
                             y.shape[0], 1, 1)
    if status != STATUS_OK:
        raise RuntimeError(f"status {status}")
    return value


def lasso(const double[:, ::1] X, const double[::1] y, double alpha, double rate, int n_iter):
    """Proximal gradient descent on ``|X w - y|^2 / (2 n) + alpha |w|_1``."""
    cdef Py_ssize_t n = X.shape[0], k = X.shape[1], i, step
    weights = np.zeros(k)
    work = np.empty(k)
    cdef double[::1] w = weights, g = work
    with nogil:
        for step in range(n_iter):
            g[:] = 0.0
            for i in range(n):
                axpy((dot(&X[i, 0], <const double*> &w[0], k) - y[i]) / n, &X[i, 0], &g[0], k)
            axpy(-rate, <const double*> &g[0], &w[0], k)
            penalty_prox_array(&w[0], k, rate * alpha, 0.0)
    return weights


def adam_of_each(double[:, ::1] w_io, const double[:, ::1] g, double[:, ::1] m_io, double[:, ::1] v_io, double rate,
                 double t, int n_threads):
    """One Adam step for each row, rows shared out to threads."""
    cdef Py_ssize_t i
    cdef int failed = 0
    for i in prange(w_io.shape[0], num_threads=n_threads, nogil=True):
        failed += adam_step(&w_io[i, 0], &g[i, 0], &m_io[i, 0], &v_io[i, 0], w_io.shape[1], rate, 0.9, 0.999, 1e-8, t,
                            0.0, 0.0, 1)
    return failed


def train(const double[:, ::1] X, const double[:, ::1] y, coefs, intercepts, double rate, int n_steps, int n_threads):
    """Full-batch Adam on a network with ReLU units: each thread takes some rows, and their gradients are added up."""
    cdef Py_ssize_t n = X.shape[0], n_layers = len(coefs), n_parameters, workspace, first, last
    cdef int step, part, status = STATUS_OK
    cdef Py_ssize_t[::1] widths = np.array([X.shape[1], *(len(b) for b in intercepts)], dtype=np.intp)
    cdef int[::1] kinds = np.full(n_layers, FT_ACTIVATION_relu, dtype=np.intc)
    cdef size_t[::1] coef_pointers = np.array([a.ctypes.data for a in coefs], dtype=np.uintp)
    cdef size_t[::1] intercept_pointers = np.array([a.ctypes.data for a in intercepts], dtype=np.uintp)
    cdef dense_shape shape
    shape.size = sizeof(dense_shape)
    shape.n_layers = n_layers
    shape.widths = &widths[0]
    shape.activations = &kinds[0]
    shape.activation_parameters = NULL
    shape.loss = FT_LOSS_half_squared_error
    shape.loss_parameter = 1.0
    shape.fit_intercept = True
    status = dense_sizes(&shape, <const double*> NULL, &n_parameters, &workspace)
    if status != STATUS_OK:
        raise RuntimeError(f"status {status}")
    parameters = np.zeros(n_parameters)
    predictions = np.empty((n, widths[n_layers]))
    history = np.empty(n_steps)
    cdef double[:, ::1] z = predictions
    cdef double[::1] w = parameters, losses = history
    cdef double[::1] m = np.zeros(n_parameters), v = np.zeros(n_parameters)
    cdef double[:, ::1] g = np.empty((n_threads, n_parameters))
    cdef double[::1] values = np.empty(n_threads), weights = np.empty(n_threads)
    cdef int[::1] statuses = np.zeros(n_threads, dtype=np.intc)
    cdef ft_update h
    dense_pack(&shape, <const double* const*> &coef_pointers[0], <const double* const*> &intercept_pointers[0], &w[0])
    cdef char* room = <char*> malloc(n_threads * workspace)
    if room == NULL:
        raise MemoryError
    with nogil:
        for step in range(n_steps):
            for part in prange(n_threads, num_threads=n_threads, schedule="static"):
                first = n * part // n_threads
                last = n * (part + 1) // n_threads
                statuses[part] = dense_gradient(
                    &shape, <const double*> &w[0], &X[first, 0], &y[first, 0], <const double*> NULL, &values[part],
                    &weights[part], &g[part, 0], last - first, room + part * workspace)
            losses[step] = values[0]
            for part in range(1, n_threads):
                axpy(1.0, <const double*> &g[part, 0], &g[0, 0], n_parameters)
                losses[step] += values[part]
            update_init(&h, rate)
            adam_moments(&h, rate, 0.9, 0.999, step + 1.0, False)
            h.gradient_scale = 1.0 / n
            h.epsilon = 1e-8
            statuses[0] |= update_array(FT_UPDATE_adam, &h, &w[0], <const double*> &g[0, 0], &m[0], &v[0],
                                        <double*> NULL, n_parameters, 1)
        statuses[0] |= dense_forward(&shape, <const double*> &w[0], &X[0, 0], &z[0, 0], n, room)
    free(room)
    if np.asarray(statuses).any():
        raise RuntimeError(f"statuses {list(statuses)}")
    dense_unpack(&shape, <const double*> &w[0], <double* const*> &coef_pointers[0],
                 <double* const*> &intercept_pointers[0])
    return predictions, history / n
