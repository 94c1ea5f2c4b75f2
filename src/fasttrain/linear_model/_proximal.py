"""Proximal Newton: linear models with an l1 part in their penalty, by columns of X or by a Hessian matrix.

Minimized is ``F(w, b) = sum_i s_i loss(y_i, x_i . w + b) + l1 |w|_1 + l2 / 2 |w|^2 + m |b|``; m is 0 but for
liblinear's problems. A step minimizes the second-order model of all but the l1 part, together with the l1 part, by
coordinate descent, and is halved until F comes down (Yuan, Ho, Lin, "An Improved GLMNET for L1-regularized Logistic
Regression", JMLR 13, 2012; Lee, Sun, Saunders, SIAM J. Optim. 24.3, 2014). Only columns take part whose coefficient is
not zero or is not to stay so.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from scipy import linalg, sparse

from fasttrain._core.blas import serial_blas
from fasttrain._kernels import proximal
from fasttrain._kernels.coordinate import Stopped

# A step's model is minimized until its violation is so much of that which it began with, or of the one at the end.
FORCING, OF_END = 0.3, 0.3
# Sweeps over columns that show whether they are too many; so few columns then get a Hessian matrix.
FIRST_SWEEPS, MATRIX_COLUMNS = 60, 1000
SWEEPS = 500
# Of a Hessian's descent, before the equations among the coefficients that are not zero are solved instead.
MATRIX_SWEEPS = 40
# Of the line search: which share of the decrease that the model promises is enough, and how often a step is halved.
SUFFICIENT = 1e-3
HALVINGS = 30
# scikit-learn's solvers of these problems have a tol of another kind; a violation of so many times tol meets it, and of
# so many times that share of the penalty's strength, however weak that is.
OTHER_TOL, OF_STRENGTH = 1e-2, 1e3
ROUNDING = 16 * np.finfo(np.float64).eps


class Columns:
    """X by columns, for fits over the same rows.

    Parameters
    ----------
    X : array or CSR matrix of shape (n_samples, n_features)
    """

    def __init__(self, X):
        self.shape = X.shape
        if isinstance(X, np.ndarray):
            self._matrix = np.array(X.T, dtype=np.float64, order="C")
            self.x, self.rows, self.starts = self._matrix.reshape(-1), None, None
            return
        by_columns = sparse.csc_array(X)
        self.x, self.rows = by_columns.data, by_columns.indices.astype(np.int32, copy=False)
        self.starts = by_columns.indptr.astype(np.intp, copy=False)

    def correlate(self, v, n_threads):
        """``X^T v``"""
        if self.rows is None:
            return self._matrix @ v
        out = np.empty(self.shape[1])
        proximal.correlations(self.x, self.rows, self.starts, v, out, n_threads)
        return out

    def some(self, at):
        """Columns of these numbers as rows of an array, float64, dense or sparse."""
        if self.rows is None:
            return self._matrix[at]
        return sparse.csc_array((self.x, self.rows, self.starts), shape=self.shape)[:, at].T.astype(np.float64).tocsr()

    def raw(self, w):
        """``X w``"""
        at = np.flatnonzero(w)
        return self.some(at).T @ w[at]


class ByColumns:
    """F and its model by columns of X, for one output.

    Parameters
    ----------
    columns : Columns
    loss : {'binary_crossentropy', 'squared_hinge'}
    y, weight : float64 arrays of shape (n_samples,)
        Targets as the loss has them; s.
    l2 : float
    fit_intercept : bool
    n_threads : int
    intercept_l1 : float
        m
    """

    def __init__(self, columns, loss, y, weight, l2, fit_intercept, n_threads, intercept_l1=0.0):
        n, self.intercept_l1 = columns.shape[0], intercept_l1
        self._columns, self._loss, self._y, self._weight, self._l2 = columns, loss, y, weight, l2
        self._fit_intercept, self._n_threads = fit_intercept, n_threads
        self._slopes, self._curvatures, self._raw_step = np.empty((3, n))
        self._sweeps = FIRST_SWEEPS

    def begin(self, w, b):
        """F without its l1 part."""
        self.w, self.b = w, b
        self._raw = np.zeros(len(self._y)) if not w.any() else self._columns.raw(w).astype(np.float64)
        if self._fit_intercept:
            self._raw += b[0]
        return self._value(w)

    def _value(self, w):
        value = proximal.rows_model(
            self._loss, self._y, self._weight, self._raw, self._slopes, self._curvatures, self._n_threads)
        return value + 0.5 * self._l2 * float(w @ w)

    def gradient(self):
        """Of F without its l1 part: by the coefficients, and by the intercepts."""
        slopes = self._columns.correlate(self._slopes, self._n_threads)
        if self._l2:
            slopes += self._l2 * self.w
        return slopes, self._slopes.sum(keepdims=True) if self._fit_intercept else np.empty(0)

    def step(self, by_coef, by_intercept, free, l1, tol):
        """(new coefficients of the ``free`` ones, step of the intercepts): the minimum of the model, to ``tol``."""
        c, new, slopes, at_start = self._columns, np.empty(len(free)), by_coef[free], self.w[free]
        bias_step, worst, n_sweeps = proximal.descend_columns(
            c.x, c.rows, c.starts, free, self._curvatures, slopes,
            float(by_intercept[0]) if self._fit_intercept else 0.0, self._fit_intercept, at_start,
            float(self.b[0]) if self._fit_intercept else 0.0, l1, self._l2, self.intercept_l1, tol, self._sweeps, new,
            self._raw_step)
        if worst > tol and self._sweeps < SWEEPS:
            # an intercept that is no further from 0 stays where it is
            follows = self._fit_intercept and (not self.intercept_l1 or self.b[0] * (self.b[0] + bias_step) > 0)
            at = np.flatnonzero((new != 0) | (at_start != 0))
            if len(at) <= MATRIX_COLUMNS:
                bias_step += self._step_by_matrix(free[at], at, slopes, at_start, new, l1, tol, follows)
                self._sweeps = FIRST_SWEEPS // 10
            else:
                self._sweeps = SWEEPS
        self._from = self._raw
        return new, np.full(len(by_intercept), bias_step)

    def _step_by_matrix(self, columns, at, slopes, at_start, new_io, l1, tol, follows):
        """Go on with the model by the Hessian of these columns; how far an intercept moves that follows."""
        rows = self._columns.some(columns)
        scaled = rows * np.sqrt(self._curvatures)
        hessian = scaled @ scaled.T
        hessian = hessian if isinstance(hessian, np.ndarray) else hessian.toarray()
        cross, total = rows @ self._curvatures, self._curvatures.sum()
        if follows:
            hessian -= np.outer(cross, cross) / total
        hessian.flat[::len(hessian) + 1] += self._l2
        slopes = slopes[at] + rows @ (self._curvatures * self._raw_step) + self._l2 * (new_io[at] - at_start[at])
        new = new_io[at]
        descend(np.ascontiguousarray(hessian), slopes, new, l1, tol)
        step = new - new_io[at]
        new_io[at] = new
        bias_step = -float(cross @ step) / total if follows else 0.0
        self._raw_step += rows.T @ step + bias_step
        return bias_step

    def move(self, w, b, share):
        """F without its l1 part at (w, b), which are a ``share`` of the last step away from where that began."""
        self.w, self.b = w, b
        self._raw = self._from + share * self._raw_step
        return self._value(w)


class ByMatrix:
    """F and its model by a Hessian matrix, for any number of outputs: of few unknowns.

    Parameters
    ----------
    problem : fasttrain.linear_model._logistic_problem.Problem
    fit : int
    l2 : float
    n_threads : int
    """

    intercept_l1 = 0.0

    def __init__(self, problem, fit, l2, n_threads):
        self._problem, self._fit, self._l2, self._n_threads = problem, fit, l2, n_threads
        self._n_outputs, k1 = problem.shape
        self._k = k1 - problem.fit_intercept
        places = np.arange(self._n_outputs * k1).reshape(problem.shape)
        self._coefs, self._intercepts = places[:, :self._k].ravel(), places[:, self._k:].ravel()

    def _unknowns(self, w, b):
        return np.hstack([w.reshape(self._n_outputs, self._k), b.reshape(self._n_outputs, -1)])

    def begin(self, w, b):
        """As :class:`ByColumns` has it, and so are the other methods."""
        self.w, self.b = w, b
        value, gradient = self._problem.value_and_gradient(
            self._unknowns(w, b), self._fit, self._l2, self._n_threads)
        self._gradient = gradient.ravel()
        return value

    def gradient(self):
        """Of F without its l1 part."""
        return self._gradient[self._coefs], self._gradient[self._intercepts]

    def step(self, by_coef, by_intercept, free, l1, tol):
        """(new coefficients of the ``free`` ones, step of the intercepts)"""
        H = self._problem.hessian(self._unknowns(self.w, self.b), self._fit, self._l2)
        own, others = self._coefs[free], self._intercepts
        hessian, slopes, new = H[np.ix_(own, own)], by_coef[free], self.w[free]
        bias_step = np.empty(0)
        if len(others):
            # the intercepts are at their best for given coefficients; those of a softmax moved together change nothing
            cross = H[np.ix_(own, others)]
            inverse = linalg.pinvh(H[np.ix_(others, others)])
            hessian = hessian - cross @ inverse @ cross.T
            slopes = slopes - cross @ (inverse @ by_intercept)
        hessian = np.ascontiguousarray(hessian)
        descend(hessian, slopes, new, l1, tol)
        if len(others):
            bias_step = -inverse @ (by_intercept + cross.T @ (new - self.w[free]))
        return new, bias_step

    def move(self, w, b, share):
        """F without its l1 part at (w, b)."""
        return self.begin(w, b)


def descend(hessian, slopes_io, w_io, l1, tol):
    """As :func:`proximal.descend_matrix`; where that is slow, by equations of the coefficients that are not zero."""
    n_sweeps = 0
    while n_sweeps < SWEEPS:
        worst, count = proximal.descend_matrix(hessian, slopes_io, w_io, l1, tol, MATRIX_SWEEPS)
        n_sweeps += count
        if worst <= tol:
            return
        at = np.flatnonzero(w_io)
        violated = slopes_io[at] + l1 * np.sign(w_io[at])
        step = _solved(hessian[np.ix_(at, at)], -violated)
        if step is None:
            continue
        # as far as all signs are kept
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = np.where(step * w_io[at] < 0, -w_io[at] / step, np.inf)
        step *= min(1.0, reach.min(initial=1.0))
        w_io[at] += step
        slopes_io += hessian[:, at] @ step


def _solved(H, right):
    """``H^-1 right``; of a singular H, which columns that are the same make, one with a little more on its diagonal."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", linalg.LinAlgWarning)
        for share in (0.0, 1e-10):
            try:
                return linalg.solve(H + np.diag(share * H.diagonal()), right, check_finite=False, assume_a="pos")
            except (np.linalg.LinAlgError, linalg.LinAlgWarning):
                pass
    return None


@dataclass
class End:
    """Where a fit ended.

    Attributes
    ----------
    w, b : arrays
        Coefficients and intercepts.
    n_iter : int
        Steps.
    reason : {'gradient', 'value', 'iterations', 'not_finite'}
        'value' where rounding ended it, 'not_finite' where F is no finite number at the start.
    worst : float
        Largest violation of the conditions of the minimum.
    """

    w: np.ndarray
    b: np.ndarray
    n_iter: int
    reason: str
    worst: float


def violations(w, slopes, l1):
    """How far each coefficient is from its condition of the minimum, ``slopes`` of all but the l1 part."""
    return np.where(w != 0, np.abs(slopes + l1 * np.sign(w)), np.maximum(np.abs(slopes) - l1, 0.0))


def minimize(model, w, b, *, l1, tol, max_iter, stop=None, tell=None):
    """Minimize F from (w, b) until no violation of the conditions of the minimum is above ``tol``; the :class:`End`.

    ``stop``: a :class:`~fasttrain._kernels.coordinate.Stop`, looked at before each step; :class:`Stopped` is raised.
    ``tell`` hears of (w, b), one array, after each step; where it is true, that is the end, with the reason 'value'.
    """
    with serial_blas():
        return _minimize(model, w, b, l1, tol, max_iter, stop, tell)


def _minimize(model, w, b, l1, tol, max_iter, stop, tell):
    def penalty(w, b):
        return l1 * float(np.abs(w).sum()) + model.intercept_l1 * float(np.abs(b).sum())

    value, n_iter, kept = model.begin(w, b) + penalty(w, b), 0, None
    if not np.isfinite(value):
        return End(w, b, 0, "not_finite", np.inf)
    while True:
        if stop is not None and stop.is_set():
            raise Stopped
        by_coef, by_intercept = model.gradient()
        violated = violations(w, by_coef, l1)
        of_coefs = float(violated.max(initial=0.0))
        worst = max(of_coefs, float(violations(b, by_intercept, model.intercept_l1).max(initial=0.0)))
        if worst <= tol:
            return End(w, b, n_iter, "gradient", worst)
        if kept is not None and worst >= 0.5 * kept.worst:
            # F no longer tells better from worse, and neither do its slopes
            return kept if kept.worst < worst else End(w, b, n_iter, "value", worst)
        if n_iter >= max_iter:
            return End(w, b, n_iter, "iterations", worst)
        free = np.flatnonzero((violated > 0) | (w != 0))
        at_start, before = w[free], (w, b, value)
        new, bias_step = model.step(by_coef, by_intercept, free, l1, max(FORCING * of_coefs, OF_END * tol))
        step = new - at_start
        promised = float(by_coef[free] @ step) + float(by_intercept @ bias_step)
        promised += penalty(new, b + bias_step) - penalty(at_start, b)
        share = 1.0
        for _ in range(HALVINGS):
            w, b = before[0].copy(), before[1] + share * bias_step
            w[free] = new if share == 1.0 else at_start + share * step
            value = model.move(w, b, share) + penalty(w, b)
            gain, same = value - before[2], ROUNDING * abs(before[2])
            if gain <= SUFFICIENT * share * promised or abs(gain) <= same:
                break
            share /= 2
        else:
            return End(*before[:2], n_iter, "value", worst)
        n_iter += 1
        if tell is not None and tell(np.append(w, b)):
            return End(w, b, n_iter, "value", worst)
        kept = End(*before[:2], n_iter, "value", worst) if abs(gain) <= same else None
