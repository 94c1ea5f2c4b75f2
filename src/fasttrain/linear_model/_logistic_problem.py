"""What is minimized by logistic regression, and the two ways down: L-BFGS, for many fits at once, and Newton's.

Of a fit with row weights s_i and C,

    sum_i s_i loss(y_i, x_i . w + b) / sum_i s_i + |w|^2 / (2 C sum_i s_i)

with the binary cross-entropy for two classes and the softmax cross-entropy for more. The intercept is not penalized.
"""

import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.extmath import safe_sparse_dot

from fasttrain._core.slices import by_slices
from fasttrain._core.warned import warn
from fasttrain._kernels.lbfgs import REASONS, minimize_fits
from fasttrain._kernels.linear import LinearSums
from fasttrain._kernels.threads import get_num_threads, thread_budget
from fasttrain.linear_model._lbfgs_b import FTOL, minimize_lbfgs
from fasttrain.linear_model._newton import newton, solved_step
from fasttrain.linear_model._proximal import Columns
from fasttrain.linear_model._row_sums import rows_of_kernel, weighted_products

# Unknowns up to which Newton's steps are solved with a matrix.
NEWTON_UNKNOWNS = 2000
# A step of conjugate gradients ends where what is left of the gradient is so small a share of it.
CG_SHARE, CG_STEPS = 0.1, 1000
# The same after L-BFGS, and how many.
POLISH_UNKNOWNS, POLISH_STEPS = 300, 3
_SCALE_ADVICE = (
    "You might also want to scale the data as shown in:\n"
    "    https://scikit-learn.org/stable/modules/preprocessing.html\n"
    "Please also refer to the documentation for alternative solver options:\n"
    "    https://scikit-learn.org/stable/modules/linear_model.html#logistic-regression"
)


@dataclass
class Minimum:
    """Where fits ended, each along its path.

    Attributes
    ----------
    x : float64 array of shape (n_jobs, n_path, n_outputs, n_features + fit_intercept)
    n_iter : int array of shape (n_jobs, n_path)
    reason : str array of shape (n_jobs, n_path)
        'gradient' or 'value' where it is a minimum, else what stopped it.
    gradient : float64 array of shape (n_jobs, n_path)
        Largest element of the gradient.
    """

    x: np.ndarray
    n_iter: np.ndarray
    reason: np.ndarray
    gradient: np.ndarray


class Problem:
    """Rows, classes and weights of logistic regressions over the same X.

    Parameters
    ----------
    X : array or CSR matrix, as :func:`fasttrain._core.checks.check_rows` leaves it
    codes : int array of shape (n_samples,)
        Number of each row's class.
    n_classes : int
        At least 2.
    fit_intercept : bool
    fits : list of (weight, held)
        For each fit the weights of rows in X's dtype or None, and an int64 array of the rows that it does not see or
        None.
    n_threads : int or None
    constant : float, optional
        The intercept is so many times a coefficient that is penalized as the others are: that of one more column.
    """

    def __init__(self, X, codes, n_classes, fit_intercept, fits, n_threads=None, constant=None):
        self.constant = float(constant) if fit_intercept and constant is not None else None
        self._X = X
        self.codes, self.n_classes, self.fits, self.n_threads = codes, n_classes, fits, n_threads
        self.fit_intercept = bool(fit_intercept) and constant is None
        self.is_binary = n_classes == 2
        self.n_outputs = 1 if self.is_binary else n_classes
        self.totals = np.array([self._total(*fit) for fit in fits])

    @cached_property
    def X(self):
        """Rows as the unknowns multiply them, but for an intercept that is not penalized."""
        return self._X if self.constant is None else _with_constant(self._X, self.constant)

    def intercept_in_place(self, x):
        """The unknowns x, of any leading shape, with the intercept itself where a penalized one has its coefficient."""
        if self.constant is None:
            return x
        x = x.copy()
        x[..., -1] *= self.constant
        return x

    @cached_property
    def sums(self):
        """The kernel's sums over rows, of all fits."""
        y = self.codes.astype(self.X.dtype)
        y = y.reshape(1, -1) if self.is_binary else y
        return LinearSums(
            rows_of_kernel(self.X), "binary_crossentropy" if self.is_binary else "softmax_crossentropy", 1.0,
            self.n_outputs, self.fit_intercept, [(y, weight, held) for weight, held in self.fits])

    @cached_property
    def columns(self):
        """X by columns, without that of a constant."""
        return Columns(self._X)

    def row_weights(self, fit):
        """Weights of the rows of one fit over their sum, float64 of shape (n_samples,)."""
        weight, held = self.fits[fit]
        share = np.full(self._X.shape[0], 1.0 / self.totals[fit])
        if weight is not None:
            share *= weight
        if held is not None:
            share[held] = 0.0
        return share

    def _total(self, weight, held):
        n_held = 0 if held is None else len(held)
        if weight is None:
            return float(self._X.shape[0] - n_held)
        total = float(weight.sum(dtype=np.float64))
        return total - float(weight[held].sum(dtype=np.float64)) if n_held else total

    @property
    def shape(self):
        """Of the unknowns of one fit, the intercepts last."""
        return self.n_outputs, self._X.shape[1] + (self.fit_intercept or self.constant is not None)

    @property
    def size(self):
        """Unknowns of one fit."""
        n_outputs, n_dof = self.shape
        return n_outputs * n_dof

    def strengths(self, fits, Cs):
        """``1 / (C sum of weights)`` for each of some fits and each C of its path: an array like Cs."""
        return 1.0 / (np.asarray(Cs, dtype=np.float64) * self.totals[fits][:, None])

    def lbfgs(self, fits, l2, *, tol, max_iter, ftol=FTOL, start=None, stop=None):
        """The :class:`Minimum` of fits, ``l2`` of shape (n_jobs, n_path), each begun where the one before it ended.

        ``stop``: a :class:`~fasttrain._kernels.coordinate.Stop` that ends them with :class:`Stopped`.
        """
        fits = np.ascontiguousarray(fits, dtype=np.intp)
        l2 = np.ascontiguousarray(l2, dtype=np.float64)
        n_jobs, n_path = l2.shape
        if start is None:
            start = np.zeros((n_jobs, self.size))
        start = np.ascontiguousarray(start, dtype=np.float64).reshape(n_jobs, self.size)
        x, numbers = np.empty((n_jobs, n_path, self.size)), np.empty((2, n_jobs, n_path))
        counts = np.empty((2, n_jobs, n_path), dtype=np.intp)
        with thread_budget(self.n_threads) as n_threads:
            minimize_fits(
                self.sums, fits, start, 1.0 / self.totals[fits], l2, tol, ftol, max_iter, x, *numbers, *counts,
                n_threads, stop)
        return Minimum(
            x.reshape(n_jobs, n_path, *self.shape), np.minimum(counts[0], max_iter), np.array(REASONS)[counts[1]],
            numbers[1])

    def followed_lbfgs(self, l2, tasks, *, tol, max_iter, start=None):
        """As :meth:`lbfgs` for the first fit alone, by SciPy's minimizer, whose iterates are the same to rounding:
        ``tasks`` (``fasttrain._estimators.following.FitTasks``) are told of each, their ``training`` is its x.
        """
        start = np.zeros(self.shape) if start is None else np.reshape(start, self.shape)
        with thread_budget(self.n_threads) as n_threads, tasks.iterations(start, "lbfgs-iter") as tell:

            def function(x):
                value, gradient = self.value_and_gradient(x.reshape(self.shape), 0, l2, n_threads)
                return value, gradient.ravel()

            found = minimize_lbfgs(function, start, self.shape, max_iter=max_iter, tol=tol, ftol=FTOL, tell=tell)
        return _one(found.x, found.n_iter, found.reason, found.gradient)

    def polished(self, fits, l2, found, *, tol):
        """``found``, with a few steps of Newton's for fits whose last digits L-BFGS could not get."""
        if self.size > POLISH_UNKNOWNS:
            return found
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for j, i in zip(*np.nonzero(found.reason == "value")):
                better = self._newton(int(fits[j]), float(l2[j, i]), tol, POLISH_STEPS, found.x[j, i])
                if better.gradient[0, 0] < found.gradient[j, i]:
                    found.x[j, i], found.gradient[j, i] = better.x[0, 0], better.gradient[0, 0]
        return found

    def at(self, start, l2):
        """The :class:`Minimum` of fits that make no iteration."""
        x = np.zeros((*np.shape(l2), *self.shape))
        x[...] = 0.0 if start is None else np.reshape(start, self.shape)
        counts = np.zeros(np.shape(l2), dtype=np.intp)
        return Minimum(x, counts, np.full(counts.shape, "iterations"), np.full(counts.shape, np.nan))

    # ---- Newton's method ----

    def value_and_gradient(self, x, fit, l2, n_threads):
        """Objective of one fit at x, of :attr:`shape`, and its gradient."""
        value, gradient = np.empty(1), np.empty((1, x.size))
        self.sums.evaluate(
            np.ascontiguousarray(x.reshape(1, -1)), value, gradient, np.array([fit], dtype=np.intp), n_threads)
        k = self.X.shape[1]
        gradient = gradient.reshape(self.shape) / self.totals[fit]
        gradient[:, :k] += l2 * x[:, :k]
        return value[0] / self.totals[fit] + 0.5 * l2 * float((x[:, :k] ** 2).sum()), gradient

    def hessian(self, x, fit, l2, raw=None):
        """Second derivatives of the objective of one fit at x, outputs outermost.

        ``raw``: raw predictions at x, (n_samples, n_outputs), where they are known.
        """
        k, n_outputs = self.X.shape[1], self.n_outputs
        k1 = k + self.fit_intercept
        H = np.empty((n_outputs, k1, n_outputs, k1))
        if raw is None:
            raw = by_slices(lambda X: safe_sparse_dot(X, x[:, :k].T), self.X)
            raw = raw + (x[:, k] if self.fit_intercept else 0.0)
        raw = raw.astype(np.float64, copy=False)
        s = self.row_weights(fit)
        if self.is_binary:
            p = 0.5 * (1.0 + np.tanh(0.5 * raw))
        else:
            p = np.exp(raw - raw.max(axis=1, keepdims=True))
            p /= p.sum(axis=1, keepdims=True)
        threads = get_num_threads(self.n_threads)
        for c in range(n_outputs):
            for d in range(c + 1):
                h = s * p[:, c] * (float(c == d) - p[:, d])
                H[c, :, d, :] = weighted_products(self.X, h, threads)[:k1, :k1]
                H[d, :, c, :] = H[c, :, d, :].T
            H[c, np.arange(k), c, np.arange(k)] += l2
        return H.reshape(n_outputs * k1, n_outputs * k1)

    def newton(self, fits, l2, *, tol, max_iter, start=None):
        """As :meth:`lbfgs`, by Newton's method with a backtracking line search, one fit after the other.

        Steps are solved with the Hessian; beyond ``NEWTON_UNKNOWNS``, for two classes without an intercept that is not
        penalized, by conjugate gradients on products with it. Where the matrix is singular or the line search finds
        nothing, L-BFGS goes on from there, with a warning.
        """
        found = []
        for fit, path in zip(fits, l2):
            x = start
            for strength in path:
                found.append(self._newton(int(fit), float(strength), tol, max_iter, x))
                x = found[-1].x[0, 0]
        shape = np.shape(l2)
        return Minimum(
            np.reshape([one.x for one in found], (*shape, *self.shape)),
            *(np.reshape([getattr(one, name) for one in found], shape) for name in ("n_iter", "reason", "gradient")))

    def _newton(self, fit, l2, tol, max_iter, start):
        x = np.zeros(self.shape) if start is None else np.array(start, dtype=np.float64).reshape(self.shape)
        with thread_budget(self.n_threads) as n_threads:
            objective = PenalizedFit(self, fit, l2, n_threads)
            if self.is_binary:
                objective.raw = np.empty((len(self.fits), 1, self._X.shape[0]), dtype=self._X.dtype)
                self.sums.keep_raw(objective.raw)
            try:
                found = newton(objective, objective.centred(x).ravel(), max_iter=max_iter, tol=tol)
            finally:
                if self.is_binary:
                    self.sums.keep_raw(None)
        x = found.w.reshape(self.shape)
        if found.reason != "stuck":
            return _one(x, found.n_iter, found.reason, found.gradient)
        # the step that was not made counts
        rest = self.lbfgs([fit], [[l2]], tol=tol, max_iter=max(max_iter - found.n_iter - 1, 0), start=x)
        rest.n_iter += found.n_iter
        if rest.reason[0, 0] == "iterations":
            # of L-BFGS, which the warning is to name
            rest.reason = np.array([["limit"]])
        return rest

    def raw(self, x):
        """Raw predictions of all rows, (n_samples, n_outputs)."""
        k = self.X.shape[1]
        raw = safe_sparse_dot(self.X, x[:, :k].T)
        return raw + x[:, k] if self.fit_intercept else raw


class PenalizedFit:
    """The objective of one fit, as :func:`fasttrain.linear_model._newton.newton` asks for it."""

    def __init__(self, problem, fit, l2, n_threads):
        self._problem, self._fit, self._l2, self._n_threads = problem, fit, l2, n_threads
        # raw predictions of all fits, of this one those of the last evaluation; None where the kernel keeps none
        self.raw = None
        # the coefficients, or intercepts alone, that nothing penalizes
        self._free = slice(0 if l2 == 0 else problem.X.shape[1], None)
        self.eps = np.finfo(problem.X.dtype).eps

    def centred(self, x):
        """x, of the problem's shape, of equal predictions and least size: what all outputs share changes no softmax."""
        if not self._problem.is_binary:
            x[:, self._free] -= x[:, self._free].mean(axis=0)
        return x

    def __call__(self, w):
        value, gradient = self._problem.value_and_gradient(
            w.reshape(self._problem.shape), self._fit, self._l2, self._n_threads)
        return value, gradient.ravel()

    def newton_step(self, w, gradient):
        """(step, its product with the Hessian and itself)."""
        x = w.reshape(self._problem.shape)
        if len(w) > NEWTON_UNKNOWNS:
            return self._truncated_step(x[0], gradient)
        H = self._problem.hessian(x, self._fit, self._l2, None if self.raw is None else self.raw[self._fit].T)
        if not self._problem.is_binary:
            # all outputs moved together change nothing where nothing is penalized; there no step is made
            n_outputs, k1 = self._problem.shape
            together = H.reshape(n_outputs, k1, n_outputs, k1)
            size = max(float(np.trace(H)) / len(H), np.finfo(float).tiny)
            for f in range(k1)[self._free]:
                together[:, f, :, f] += size / n_outputs
        return solved_step(H, gradient, "pos")

    def _truncated_step(self, x, gradient):
        """As :meth:`newton_step`, by conjugate gradients with two products of X each [1]_.

        .. [1] Lin, Weng, Keerthi. "Trust Region Newton Method for Large-Scale Logistic Regression", JMLR 9, 2008.
        """
        X = self._problem.X
        p = 0.5 * (1.0 + np.tanh(0.5 * safe_sparse_dot(X, x)))
        h = self._problem.row_weights(self._fit) * p * (1.0 - p)
        left, step, product = -gradient, np.zeros_like(gradient), np.zeros_like(gradient)
        direction, size = left.copy(), float(left @ left)
        wanted = CG_SHARE**2 * size
        for _ in range(CG_STEPS):
            if size <= wanted:
                break
            by_hessian = safe_sparse_dot(X.T, h * safe_sparse_dot(X, direction)) + self._l2 * direction
            curvature = float(direction @ by_hessian)
            if not curvature > 0:
                # weights below 0 bend the objective down: as far as it was minimized, or down the gradient
                step = step if step.any() else direction
                break
            length = size / curvature
            step += length * direction
            product += length * by_hessian
            left -= length * by_hessian
            before, size = size, float(left @ left)
            direction = left + (size / before) * direction
        return step, float(step @ product)


def _with_constant(X, constant):
    column = np.full((X.shape[0], 1), constant, dtype=X.dtype)
    return np.hstack([X, column]) if isinstance(X, np.ndarray) else sparse.hstack([X, column], format="csr")


def _one(x, n_iter, reason, gradient):
    return Minimum(x[None, None], np.array([[n_iter]]), np.array([[reason]]), np.array([[gradient]]))


def warn_unless_settled(solver, found, max_iter):
    """scikit-learn's ConvergenceWarning for each fit that has not arrived."""
    for n_iter, reason, gradient in zip(found.n_iter.ravel(), found.reason.ravel(), found.gradient.ravel()):
        if reason in ("gradient", "value"):
            continue
        at_limit = n_iter >= max_iter
        if solver in ("sag", "saga"):
            text = "The max_iter was reached which means the coef_ did not converge"
        elif solver == "liblinear":
            text = f"Liblinear failed to converge, increase the number of iterations (max_iter={max_iter})."
        elif solver.startswith("newton") and reason == "iterations":
            text = (
                f"Newton solver did not converge after {n_iter} iterations (newton-cg failed to converge): the largest "
                f"element of the gradient is {gradient:.3g}. Increase the number of iterations.")
        else:
            text = (
                f"lbfgs failed to converge after {n_iter} iteration(s) (status={1 if at_limit else 2}):\n"
                f"the largest element of the gradient is {gradient:.3g}"
                f"{'' if at_limit else ', and the line search found no lower point'}\n")
            if at_limit:
                text += f"\nIncrease the number of iterations to improve the convergence (max_iter={max_iter})."
            text += f"\n{_SCALE_ADVICE}"
        warn(text, ConvergenceWarning)
