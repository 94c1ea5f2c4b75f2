"""The objective of a regression with Huber's loss and a scale of its own, and its minimum by L-BFGS.

Of a row with the residual r = y - x . w - c, its weight s, and sigma > 0 [1]_

    sum_i s_i (sigma + H(r_i / sigma) sigma) + alpha |w|^2

    H(z) = z^2 for |z| <= epsilon, else 2 epsilon |z| - epsilon^2

The derivative of a row by the raw prediction is 2 / sigma times that of the Huber loss with threshold epsilon sigma.

.. [1] Huber, Ronchetti. "Robust Statistics", 2nd edition, 2009: concomitant scale estimates.
"""

import numpy as np

from libc.string cimport memcpy, memset

from fasttrain._kernels.lbfgs cimport LBFGS_EVALUATE, lbfgs_advance, lbfgs_init, lbfgs_room, lbfgs_start, lbfgs_state
from fasttrain._kernels.linear cimport LinearSums
from fasttrain._kernels.losses cimport huber_parts
from fasttrain._kernels.primitives cimport axpy, dot

from fasttrain._kernels.lbfgs import REASONS


cdef class ConcomitantHuber:
    """The objective by u = (w, c where there is an intercept, sigma).

    Parameters
    ----------
    sums : LinearSums
        Of one fit with the loss huber and one output, in double.
    y : float64 array of shape (n,)
        Its targets.
    weight : float64 array of shape (n,) or None
        Its row weights.
    epsilon, alpha : float
    n_threads : int

    Attributes
    ----------
    raw : float64 array of shape (n,)
        Raw predictions of the last evaluation.
    """

    def __init__(self, LinearSums sums, const double[::1] y, const double[::1] weight, double epsilon, double alpha,
                 int n_threads):
        self.sums, self.y, self.weight = sums, y, weight
        self.epsilon, self.alpha, self.n_threads = epsilon, alpha, n_threads
        self.total = y.shape[0] if weight is None else np.sum(weight)
        self.raw = self.raw_rows = np.empty(y.shape[0])
        sums.keep_raw(self.raw)

    @property
    def size(self):
        """Unknowns: the coefficients, the intercept where there is one, the scale."""
        return self.sums.size + 1

    cdef int evaluate_at(self, const double* u, double* value_out, double* gradient_out) except -1:
        """Value and gradient at u; -1 with an exception."""
        cdef Py_ssize_t size = self.sums.size, fit = 0, n = self.y.shape[0], k = self.sums.task.k, i
        cdef double sigma = u[size], threshold = self.epsilon * sigma, squared = self.epsilon * self.epsilon, value
        cdef double parts[3]
        cdef int status
        self.sums.task.loss_parameter = threshold
        self.sums.evaluate_fits(&u, &fit, 1, &value, &gradient_out, self.n_threads)
        with nogil:
            status = huber_parts(
                &self.y[0] if n else NULL, &self.raw_rows[0] if n else NULL,
                &self.weight[0] if self.weight is not None and n else NULL, threshold, n, parts, self.n_threads)
        if status:
            raise MemoryError(f"no memory for the block sums of {n} rows")
        for i in range(size):
            gradient_out[i] *= 2.0 / sigma
        axpy(2.0 * self.alpha, u, gradient_out, k)
        gradient_out[size] = self.total - parts[2] * squared - parts[0] / (sigma * sigma)
        value_out[0] = (
            self.total * sigma + parts[0] / sigma + 2.0 * self.epsilon * parts[1] - sigma * parts[2] * squared
            + self.alpha * dot(u, u, k))
        return 0

    def evaluate(self, const double[::1] u, double[::1] gradient_out):
        """The value at u; the gradient into ``gradient_out``, both of shape (size,)."""
        cdef double value
        self.evaluate_at(&u[0], &value, &gradient_out[0])
        return value

    def minimize(self, double[::1] u, double lower, double gtol, double ftol, Py_ssize_t max_iter,
                 int max_line_search, tell=None):
        """Minimizes from ``u``, which becomes where it ended, with sigma at least ``lower``.

        ``tell`` hears of u after each iteration, in an array of its own; where it is true, that is the end, with the
        reason 'value'.

        Returns
        -------
        value : float
        n_iter : int
        reason : str
            One of ``fasttrain._kernels.lbfgs.REASONS``.
        """
        cdef lbfgs_state s
        cdef Py_ssize_t size = self.size, n_told = 0
        cdef double[::1] room = np.empty(lbfgs_room(size))
        memset(&s, 0, sizeof(lbfgs_state))
        lbfgs_init(&s, size, &room[0])
        s.gtol, s.ftol, s.max_iter, s.max_line_search = gtol, ftol, max_iter, max_line_search
        s.bounded, s.lower = size - 1, lower
        memcpy(s.x, &u[0], size * sizeof(double))
        s.x[size - 1] = max(lower, s.x[size - 1])
        lbfgs_start(&s)
        while s.task == LBFGS_EVALUATE:
            self.evaluate_at(s.x, &s.value, s.gradient)
            with nogil:
                lbfgs_advance(&s)
            if tell is not None and s.n_iter > n_told:
                n_told = s.n_iter
                # where the next trial is wanted, x is that by now
                memcpy(&u[0], s.x_before if s.task == LBFGS_EVALUATE else s.x, size * sizeof(double))
                if tell(np.array(u)) and s.task == LBFGS_EVALUATE:
                    return s.value_before, s.n_iter, "value"
        memcpy(&u[0], s.x, size * sizeof(double))
        return s.value, s.n_iter, REASONS[s.task]
