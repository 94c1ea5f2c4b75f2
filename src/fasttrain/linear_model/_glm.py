"""Generalized linear models: PoissonRegressor, GammaRegressor, TweedieRegressor."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from fasttrain._core.checks import check_choice, check_flag, check_integer, check_real, check_rows, is_ready
from fasttrain._core.types import Array, ArrayLike, MatrixLike, Self
from fasttrain._core.warned import warn
from fasttrain._estimators.blocks import answers_and_targets, restored_learns
from fasttrain._estimators.conversion import Convertible
from fasttrain._estimators.data import plain_weights
from fasttrain._estimators.fitted import set_fitted
from fasttrain._estimators.following import CallbackSupportMixin, and_one, followed, tasks_of, told_iterations
from fasttrain._estimators.parameters import keep_parameters
from fasttrain._kernels.losses import loss_and_gradient
from fasttrain._kernels.threads import get_num_threads, thread_budget
from fasttrain.data._use import predicts
from fasttrain.linear_model._deviances import (
    inverse_linked, least_values, linked, loss_of, second_derivatives,
)
from fasttrain.linear_model._glm_blocks import fit_to_blocks
from fasttrain.linear_model._lbfgs_b import FTOL, minimize_lbfgs
from fasttrain.linear_model._newton import NoStep, newton, solved_step
from fasttrain.linear_model._row_sums import (
    RowSums, diverged, finiteness_told, iterations_told, weighted_products,
)
from fasttrain.linear_model._sgd_base import raw_predictions

# What an iteration of each solver is called where callbacks are told of it.
ITERATIONS = {"lbfgs": "lbfgs-iter", "newton-cholesky": "newton-iter"}


class MeanDeviance:
    """``sum_i s_i loss_i / sum_i s_i + alpha / 2 |coef|^2``, by the coefficients and, behind them, the intercept.

    What :func:`fasttrain.linear_model._newton.newton` and SciPy's minimizers ask of an objective.
    """

    def __init__(self, X, loss, y, weights, alpha, fit_intercept, n_threads, newton):
        self._rows, self._loss, self._y, self._weights = X, loss, y, weights
        self._alpha, self._fit_intercept, self._n_threads = alpha, fit_intercept, n_threads
        self._sums = RowSums(X, loss, y[np.newaxis], weights, fit_intercept, n_threads, keep_raw=newton)
        self._total = float(X.shape[0]) if weights is None else float(weights.sum(dtype=np.float64))
        self.eps = np.finfo(X.dtype).eps

    def __call__(self, w):
        value, gradient = self._sums(w)
        coef = w[:self._rows.shape[1]]
        value /= self._total
        gradient /= self._total
        gradient[:len(coef)] += self._alpha * coef
        return value + 0.5 * self._alpha * float(coef @ coef), gradient

    def minimize(self, start, max_iter, tol, verbose, tell=None):
        """(unknowns, iterations) of L-BFGS from ``start``; a ConvergenceWarning where it has not converged.

        ``tell``, of :func:`fasttrain._estimators.following.told_iterations`, hears of each.
        """
        if verbose or tell is not None:
            return self._minimize_told(start, max_iter, tol, verbose, tell)
        w, n_iter, failure = self._sums.minimize(
            start, 1.0 / self._total, self._alpha, max_iter=max_iter, tol=tol, ftol=FTOL)
        return w, iterations_told(n_iter, max_iter, failure)

    def _minimize_told(self, start, max_iter, tol, verbose, tell):
        found = minimize_lbfgs(self, start, start.shape, max_iter=max_iter, tol=tol, verbose=verbose, tell=tell)
        if found.reason == "not_finite":
            raise diverged(found.n_iter, found.value)
        return found.x, iterations_told(found.n_iter, max_iter, found.failure)

    def minimize_by_newton(self, start, max_iter, tol, verbose, tell=None):
        """As :meth:`minimize`, by Newton's method; where that is stuck, L-BFGS goes on."""
        found = newton(self, start, max_iter=max_iter, tol=tol, verbose=verbose, tell=tell)
        if found.reason == "stuck":
            # the step that was not made counts
            w, n_iter = self._minimize_told(found.w, max_iter - found.n_iter - 1, tol, verbose, tell)
            return w, found.n_iter + n_iter
        if found.reason == "iterations":
            warn(f"Newton solver did not converge after {found.n_iter} iterations. Raise max_iter={max_iter}, or scale "
                 "the features (StandardScaler).", ConvergenceWarning)
        return found.w, found.n_iter

    def newton_step(self, w, gradient):
        """(step, its product with the Hessian and itself); none where more than a quarter of the rows curve down."""
        curvature = second_derivatives(self._loss, self._y, self._sums.raw[0])
        curvature /= self._total
        if self._weights is not None:
            curvature *= self._weights
        if np.average(curvature <= 0, weights=self._weights) > 0.25:
            raise NoStep("the loss of more than a quarter of the rows curves downwards", ConvergenceWarning)
        hessian = weighted_products(self._rows, np.abs(curvature), self._n_threads)[:len(w), :len(w)]
        n_features = self._rows.shape[1]
        hessian[range(n_features), range(n_features)] += self._alpha
        return solved_step(hessian, gradient, "sym")


class GeneralizedLinear(RegressorMixin, Convertible, CallbackSupportMixin, BaseEstimator):
    """What the three regressors share: all but the loss."""

    alpha: float
    fit_intercept: bool
    solver: Literal["lbfgs", "newton-cholesky"]
    max_iter: int
    tol: float
    warm_start: bool
    verbose: int
    coef_: Any
    intercept_: Any
    n_iter_: Any
    n_features_in_: int
    feature_names_in_: Array

    def _loss(self):
        raise NotImplementedError

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        try:
            tags.target_tags.positive_only = self._loss().targets != "real"
        except (ValueError, TypeError):
            # a wrong parameter, of which fit says more
            pass
        return tags

    def _check_parameters(self):
        check_real(self.alpha, "alpha", low=0)
        check_flag(self.fit_intercept, "fit_intercept")
        check_choice(self.solver, "solver", tuple(ITERATIONS))
        check_integer(self.max_iter, "max_iter", low=1)
        check_real(self.tol, "tol", low=0, open_low=True)
        check_flag(self.warm_start, "warm_start")
        if not isinstance(self.verbose, (bool, np.bool_)):
            check_integer(self.verbose, "verbose", low=0)

    def _check_y(self, loss, y, dtype):
        y = np.ascontiguousarray(y, dtype=dtype)
        try:
            loss.check_targets(y)
        except ValueError as error:
            raise ValueError(
                f"Some value(s) of y are out of the valid range of the loss {loss.name!r}: {error}") from None
        return y

    @followed(epochs=and_one)
    @restored_learns
    def fit(self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or a source of blocks
            Finite; float32 and float64 in C order, and CSR, are not copied. A source of :mod:`fasttrain.data` is read
            once an evaluation; there either solver is L-BFGS on sums over the blocks.
        y : array-like of shape (n_samples,)
            In the range of the distribution.
        sample_weight : array-like of shape (n_samples,), default=None
            At least 0, not all 0.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For bad data or parameters; nothing is changed.
        DivergenceError
            When the objective is not a finite number; the model is as it was before.
        """
        self._check_parameters()
        loss = self._loss()
        cold = not (self.warm_start and hasattr(self, "coef_")) and not self.verbose and tasks_of(self) is None
        unread = is_ready(self, X, y, True, [np.float64, np.float32], unread=cold)
        if not unread:
            X, y = validate_data(
                self, X, y, accept_sparse="csr", dtype=[np.float64, np.float32], order="C", y_numeric=True)
        X = check_rows(X)
        with finiteness_told(self, X, unread):
            y = self._check_y(loss, y, X.dtype)
            weights = plain_weights(sample_weight, X.shape[0], X.dtype)
            start = self._start(loss, X, y, weights)
            w, n_iter = self._minimized(loss, X, y, weights, start)
        set_fitted(self, self._parameters_of(w, X.dtype), {"n_iter_": n_iter})
        return self

    def _minimized(self, loss, X, y, weights, start):
        """(unknowns, iterations) from ``start``."""
        with thread_budget() as n_threads:
            objective = MeanDeviance(
                X, loss, y, weights, float(self.alpha), bool(self.fit_intercept), n_threads,
                newton=self.solver == "newton-cholesky")
            minimize = objective.minimize if self.solver == "lbfgs" else objective.minimize_by_newton
            with told_iterations(
                    tasks_of(self), start, lambda w: self._parameters_of(w, X.dtype), ITERATIONS[self.solver]) as tell:
                return minimize(start, self.max_iter, self.tol, self.verbose, tell)

    def _parameters_of(self, w, dtype):
        w = np.ravel(w).astype(dtype)
        coef, intercept = (w[:-1].copy(), w[-1]) if self.fit_intercept else (w, 0.0)
        return {"coef_": coef, "intercept_": intercept}

    def _fit_blocks(self, source, name):
        """Fit to a source of several blocks."""
        return fit_to_blocks(self, source)

    def _start(self, loss, X, y, weights):
        return self._start_at(loss, X.shape[1], X.dtype, np.average(y, weights=weights))

    def _start_at(self, loss, n_features, dtype, mean):
        """Zeros with the intercept at the link of the mean of y, or the last fit."""
        if self.warm_start and hasattr(self, "coef_"):
            if np.shape(self.coef_) != (n_features,):
                raise ValueError(f"X must have {len(self.coef_)} features as in the last call, got {n_features}")
            parts = [self.coef_, [self.intercept_]] if self.fit_intercept else [self.coef_]
            return np.concatenate(parts).astype(dtype, copy=False)
        start = np.zeros(n_features + bool(self.fit_intercept), dtype=dtype)
        if self.fit_intercept:
            start[-1] = linked(loss, mean)
            if not np.isfinite(start[-1]):
                raise ValueError(
                    f"y must have a mean above 0 for the log link of the loss {loss.name!r}, got a mean of {mean}: the "
                    "intercept would be infinite"
                )
        return start

    def _raw_predict(self, X):
        check_is_fitted(self)
        X = validate_data(
            self, X, accept_sparse=["csr", "csc", "coo"], dtype=[np.float64, np.float32], order="C", reset=False)
        return raw_predictions(X.tocsr() if hasattr(X, "tocsr") else X, self.coef_, self.intercept_)

    @predicts
    def predict(self, X: MatrixLike) -> Array:
        """Predicted means.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or a source of blocks

        Returns
        -------
        array of shape (n_samples,)
        """
        return inverse_linked(self._loss(), self._raw_predict(X))

    def score(self, X: MatrixLike, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None) -> float:
        """D^2, the share of the deviance that is explained: 1 - D(y, prediction) / D(y, mean of y).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or a source of blocks
        y : array-like of shape (n_samples,)
            In the range of the distribution. None with a source, which has its own, and its weights.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        float
            At most 1; that of R^2 for squared error.
        """
        raw, y, sample_weight = answers_and_targets(self._raw_predict, X, y, sample_weight)
        loss = self._loss()
        y = self._check_y(loss, column_or_1d(y), raw.dtype)
        if len(y) != len(raw):
            raise ValueError(f"y must have as many rows as X: X has {len(raw)}, y has {len(y)}")
        weights = plain_weights(sample_weight, len(y), raw.dtype)

        def deviance(raw):
            total = loss_and_gradient(
                loss.name, y[:, np.newaxis], raw[:, np.newaxis], weights, loss.parameter, None, True,
                get_num_threads())
            return total / (len(y) if weights is None else weights.sum(dtype=np.float64))

        constant = np.average(least_values(loss, y), weights=weights)
        mean = linked(loss, np.average(y, weights=weights))
        null = deviance(np.full(len(y), mean, dtype=raw.dtype))
        return float(1 - (deviance(np.ascontiguousarray(raw)) + constant) / (null + constant))


_PARAMETERS = """alpha : float, default=1.0
        At least 0. With 0 the columns of X should be linearly independent.
    fit_intercept : bool, default=True
        The intercept is not penalized.
    solver : {'lbfgs', 'newton-cholesky'}, default='lbfgs'
        'newton-cholesky' takes Newton steps, for few features and many samples; it needs memory for a matrix of
        n_features squared, and goes over to L-BFGS where that is singular.
    max_iter : int, default=100
    tol : float, default=1e-4
        It ends where no element of the gradient is greater; with 'newton-cholesky' half the squared Newton decrement
        must not be either.
    warm_start : bool, default=False
        Start from the coefficients of the last fit.
    verbose : int, default=0
        Above 0 each iteration prints a line.
"""
_ATTRIBUTES = """coef_ : array of shape (n_features,), X's dtype
    intercept_ : float
    n_iter_ : int
        Iterations of the solver.
    n_features_in_ : int
    feature_names_in_ : array of str
        When X had column names.
"""


def documented(cls):
    """Class decorator: put what the regressors have in common into the docstring, which names the places."""
    cls.__doc__ = cls.__doc__.replace("{parameters}", _PARAMETERS).replace("{attributes}", _ATTRIBUTES)
    return cls


@documented
class PoissonRegressor(GeneralizedLinear):
    """Regression of counts and rates: a generalized linear model with Poisson distribution and log link.

    Minimizes, with m = exp(x . coef + intercept) and sample weights s,

        sum_i s_i (m_i - y_i log m_i) / sum_i s_i + alpha / 2 |coef|^2

    the first part being half the mean Poisson deviance but for terms of y alone [1]_. scikit-learn's estimator of this
    name, with its answers; X is read once for a value and its gradient.

    Parameters
    ----------
    {parameters}
    Attributes
    ----------
    {attributes}
    References
    ----------
    .. [1] McCullagh, Nelder. "Generalized Linear Models", 2nd edition, 1989.

    Examples
    --------
    >>> from fasttrain.linear_model import PoissonRegressor
    >>> model = PoissonRegressor().fit([[1, 2], [2, 3], [3, 4], [4, 3]], [12, 17, 22, 21])
    >>> model.coef_.round(3)
    array([0.121, 0.158])
    >>> model.predict([[1, 1], [3, 4]]).round(1)
    array([10.7, 21.9])
    """

    def __init__(self, *, alpha: float = 1.0, fit_intercept: bool = True,
                 solver: Literal["lbfgs", "newton-cholesky"] = "lbfgs", max_iter: int = 100, tol: float = 1e-4,
                 warm_start: bool = False, verbose: int = 0) -> None:
        keep_parameters(self, locals())

    def _loss(self):
        return loss_of(1, "log")


@documented
class GammaRegressor(GeneralizedLinear):
    """Regression of positive amounts: a generalized linear model with gamma distribution and log link.

    Minimizes, with m = exp(x . coef + intercept) and sample weights s,

        sum_i s_i (log m_i + y_i / m_i) / sum_i s_i + alpha / 2 |coef|^2

    the first part being half the mean gamma deviance but for terms of y alone [1]_. scikit-learn's estimator of this
    name, with its answers; X is read once for a value and its gradient.

    Parameters
    ----------
    {parameters}
    Attributes
    ----------
    {attributes}
    References
    ----------
    .. [1] McCullagh, Nelder. "Generalized Linear Models", 2nd edition, 1989.

    Examples
    --------
    >>> from fasttrain.linear_model import GammaRegressor
    >>> model = GammaRegressor().fit([[1, 2], [2, 3], [3, 4], [4, 3]], [19, 26, 33, 30])
    >>> model.coef_.round(3)
    array([0.073, 0.067])
    >>> model.predict([[1, 0], [2, 8]]).round(2)
    array([19.48, 35.8 ])
    """

    def __init__(self, *, alpha: float = 1.0, fit_intercept: bool = True,
                 solver: Literal["lbfgs", "newton-cholesky"] = "lbfgs", max_iter: int = 100, tol: float = 1e-4,
                 warm_start: bool = False, verbose: int = 0) -> None:
        keep_parameters(self, locals())

    def _loss(self):
        return loss_of(2, "log")


@documented
class TweedieRegressor(GeneralizedLinear):
    """A generalized linear model with a Tweedie distribution, whose variance is a power of its mean.

    Minimizes, with the mean m = exp(x . coef + intercept), or x . coef + intercept with ``link='identity'``, sample
    weights s and the power p [1]_

        sum_i s_i (m_i^(2 - p) / (2 - p) - y_i m_i^(1 - p) / (1 - p)) / sum_i s_i + alpha / 2 |coef|^2

    or its limits at p = 1 and 2: half the mean deviance but for terms of y alone. scikit-learn's estimator of this
    name, with its answers; X is read once for a value and its gradient.

    Parameters
    ----------
    power : float, default=0.0
        0: normal, y any number; 1: Poisson, y >= 0; between 1 and 2: compound Poisson and gamma, y >= 0; 2: gamma,
        y > 0; 3: inverse Gaussian, y > 0. Between 0 and 1 there is no distribution; y >= 0.
    link : {'auto', 'identity', 'log'}, default='auto'
        'auto' is 'identity' for ``power <= 0``, else 'log'.
    {parameters}
    Attributes
    ----------
    {attributes}
    References
    ----------
    .. [1] Jorgensen. "Exponential Dispersion Models", Journal of the Royal Statistical Society B 49.2, 1987.

    Examples
    --------
    >>> from fasttrain.linear_model import TweedieRegressor
    >>> model = TweedieRegressor().fit([[1, 2], [2, 3], [3, 4], [4, 3]], [2, 3.5, 5, 5.5])
    >>> model.coef_.round(3)
    array([0.6, 0.3])
    >>> model.predict([[1, 1], [3, 4]]).round(2)
    array([2.5, 4.6])
    """

    power: float
    link: Literal["auto", "identity", "log"]

    def __init__(self, *, power: float = 0.0, alpha: float = 1.0, fit_intercept: bool = True,
                 link: Literal["auto", "identity", "log"] = "auto",
                 solver: Literal["lbfgs", "newton-cholesky"] = "lbfgs", max_iter: int = 100, tol: float = 1e-4,
                 warm_start: bool = False, verbose: int = 0) -> None:
        keep_parameters(self, locals())

    def _loss(self):
        power = check_real(self.power, "power")
        link = check_choice(self.link, "link", ("auto", "identity", "log"))
        if link == "auto":
            link = "identity" if power <= 0 else "log"
        return loss_of(power, link)
