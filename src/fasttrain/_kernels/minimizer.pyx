"""L-BFGS for objectives that are evaluated in Python: told a value and a gradient, it says where it wants the next.

What it does with them is :mod:`fasttrain._kernels.lbfgs`'s.
"""

import numpy as np

from libc.string cimport memcpy, memset

from fasttrain._kernels.lbfgs cimport (
    LBFGS_EVALUATE, LBFGS_MEMORY, lbfgs_advance, lbfgs_init, lbfgs_room, lbfgs_start,
)

from fasttrain._kernels.lbfgs import REASONS

# Pairs of steps and gradient changes that are kept.
MEMORY = LBFGS_MEMORY


cdef class Minimizer:
    """One minimization, from ``start`` on.

    Write the gradient at :attr:`x` to :attr:`gradient`, tell :meth:`advance` the value there, until it names a reason.

    Parameters
    ----------
    start : float64 array of shape (n,)
    gtol : float
        Largest element of a gradient at rest.
    ftol : float
        Relative decrease of the objective from which it counts as moving.
    max_iter, max_evaluations, max_line_search : int
        Iterations; evaluations, in all and of one line search.

    Attributes
    ----------
    x : float64 array of shape (n,)
        Where the objective is wanted; once it has ended, where it is least. Not to be written to.
    gradient : float64 array of shape (n,)
        The caller's to write.
    """

    def __cinit__(self):
        memset(&self.state, 0, sizeof(lbfgs_state))

    def __init__(self, const double[::1] start, double gtol, double ftol, Py_ssize_t max_iter,
                 Py_ssize_t max_evaluations, int max_line_search):
        cdef Py_ssize_t n = start.shape[0]
        cdef double[::1] room
        rooms = room = np.empty(lbfgs_room(n))
        lbfgs_init(&self.state, n, &room[0])
        # as lbfgs_init shares them out
        self.x, self.gradient, self.x_before, self.gradient_before = rooms[:4 * n].reshape(4, n)
        self.state.gtol, self.state.ftol, self.state.max_iter = gtol, ftol, max_iter
        self.state.max_evaluations, self.state.max_line_search = max_evaluations, max_line_search
        memcpy(self.state.x, &start[0], n * sizeof(double))
        lbfgs_start(&self.state)

    @property
    def n_iter(self):
        """Iterations done."""
        return self.state.n_iter

    @property
    def iterate(self):
        """(x, value, gradient) after the last iteration; the arrays are this object's own and will change."""
        if self.state.searching and self.state.task == LBFGS_EVALUATE:
            return self.x_before, self.state.value_before, self.gradient_before
        return self.x, self.state.value, self.gradient

    def advance(self, double value):
        """Goes on from the objective's value and gradient at ``x``; the place in ``lbfgs.REASONS`` of why it has ended.

        0 while another evaluation is wanted.
        """
        self.state.value = value
        return lbfgs_advance(&self.state)


__all__ = ["MEMORY", "Minimizer", "REASONS"]
