"""Mean losses of linear predictors over all rows, in the form that minimizers ask for."""

from contextlib import contextmanager

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import assert_all_finite

from fasttrain._core.warned import warn
from fasttrain._kernels.lbfgs import REASONS, minimize_fits
from fasttrain._kernels.linear import LinearSums
from fasttrain.linear_model._sums import sums_of
from fasttrain.training.results import DivergenceError


def rows_of_kernel(X):
    """X, checked, as :class:`LinearSums` takes it: C-contiguous, or CSR as a tuple."""
    return X if isinstance(X, np.ndarray) else (X.data, X.indices, X.indptr, X.shape[1])


@contextmanager
def finiteness_told(estimator, X, unread):
    """Context manager of a fit that begins with unknowns of 0, by which NaN and infinities in X make all sums NaN.

    With ``unread`` nothing has looked for them: what is raised within becomes scikit-learn's error where X has some.
    """
    try:
        yield
    except Exception:
        if unread:
            try:
                assert_all_finite(X, estimator_name=type(estimator).__name__, input_name="X")
            except ValueError as error:
                # what came of it says nothing more
                raise error from None
        raise


class RowSums:
    """``sum_i s_i loss(y_i, x_i . coef + intercept)`` and its gradient, of one model or several over the same rows.

    Parameters
    ----------
    X : array or CSR matrix
        As :func:`fasttrain._core.checks.check_rows` leaves it.
    loss : fasttrain.losses.Loss
    targets : array of shape (n_models, n_samples), C-contiguous, of X's dtype
    weights : array of shape (n_samples,) or (n_models, n_samples) of X's dtype, or None
    fit_intercept : bool
    n_threads : int
    keep_raw : bool
        Whether :attr:`raw` is written.

    Attributes
    ----------
    raw : array of shape (n_models, n_samples), X's dtype
        Raw predictions of the last evaluation, with ``keep_raw``.
    """

    def __init__(self, X, loss, targets, weights, fit_intercept, n_threads, keep_raw=False):
        shared = weights is None or weights.ndim == 1
        fits = [(y[np.newaxis], weights if shared else weights[k], None) for k, y in enumerate(targets)]
        self._sums = LinearSums(rows_of_kernel(X), loss.name, loss.parameter, 1, fit_intercept, fits)
        self._n_threads = n_threads
        self._values = np.empty(len(targets))
        self.raw = None
        if keep_raw:
            self.raw = np.empty(targets.shape, dtype=targets.dtype)
            self._sums.keep_raw(self.raw)

    @property
    def size(self):
        """Unknowns of a model: its coefficients, then the intercept where there is one."""
        return self._sums.size

    def set_loss_parameter(self, value):
        """The parameter of the loss in the evaluations to come."""
        self._sums.loss_parameter = value

    def minimize(self, start, scale, l2, *, max_iter, tol, ftol):
        """``scale value + l2 / 2 |coef|^2`` of the only model minimized from ``start`` by the compiled L-BFGS.

        Returns
        -------
        w : array of shape (size,)
        n_iter : int
        failure : str or None
            Why it ended before it had converged.

        Raises
        ------
        DivergenceError
            Where the objective left the finite numbers.
        """
        x, values, gradients = np.empty((1, 1, self.size)), np.empty((1, 1)), np.empty((1, 1))
        n_iter, reasons = np.empty((1, 1), dtype=np.intp), np.empty((1, 1), dtype=np.intp)
        minimize_fits(
            self._sums, np.zeros(1, dtype=np.intp), np.array(start, dtype=np.float64).reshape(1, -1),
            np.array([float(scale)]), np.array([[float(l2)]]), tol, ftol, max_iter, x, values, gradients, n_iter,
            reasons, self._n_threads)
        n_iter, reason = int(n_iter[0, 0]), REASONS[reasons[0, 0]]
        if reason == "not_finite" or not np.isfinite(values[0, 0]) or not np.isfinite(x).all():
            raise diverged(n_iter, values[0, 0])
        failure = {
            "iterations": "the limit of iterations is reached", "evaluations": "the limit of evaluations is reached",
            "abnormal": f"the line search found no lower objective where the gradient is {gradients[0, 0]:.2g}",
        }.get(reason)
        return x[0, 0], n_iter, failure

    def of_models(self, w, active=None):
        """(values (n_active,), gradients (n_active, size)) at the unknowns ``w`` (n_active, size) of some models."""
        w = np.ascontiguousarray(w, dtype=np.float64)
        values, gradients = self._values[:len(w)], np.empty_like(w)
        self._sums.evaluate(w, values, gradients, active, self._n_threads)
        return values, gradients

    def __call__(self, w):
        """(value, gradient (size,)) of the only model, at ``w`` (size,)."""
        values, gradients = self.of_models(w[np.newaxis])
        return float(values[0]), gradients[0]


def diverged(n_iter, value):
    """The error of a fit by L-BFGS whose objective left the finite numbers after so many iterations."""
    return DivergenceError(
        f"training diverged in iteration {n_iter + 1} of L-BFGS: the objective is {value}. Scale the features "
        "(StandardScaler), or raise alpha.")


def iterations_told(n_iter, max_iter, failure):
    """``n_iter``, with a ConvergenceWarning unless ``failure`` is None."""
    if failure is not None:
        remedy = f"Raise max_iter={max_iter}, or scale" if n_iter == max_iter else "Scale"
        warn(
            f"lbfgs failed to converge after {n_iter} iteration(s): {failure}. {remedy} the features "
            "(StandardScaler).", ConvergenceWarning)
    return n_iter


def weighted_products(X, weights, n_threads, rows=None):
    """``sum_i weights_i z_i z_i^T`` of the rows z = (x, 1), float64 of shape (n_features + 1, n_features + 1).

    ``weights``: float64 of shape (n_samples,); ``rows``: intp numbers of those that count, None for all.
    """
    return sums_of(X, None, weights, None, None, rows, n_threads).products
