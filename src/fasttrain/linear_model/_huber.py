"""HuberRegressor: a linear regression that outliers pull at with bounded force, and its scale."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from fasttrain._core.checks import check_flag, check_integer, check_real, check_rows, is_ready
from fasttrain._core.types import Array, ArrayLike, MatrixLike, Self
from fasttrain._estimators.blocks import ScoresBlocks, restored_learns
from fasttrain._estimators.conversion import Convertible
from fasttrain._estimators.data import plain_weights
from fasttrain._estimators.fitted import set_fitted
from fasttrain._estimators.following import CallbackSupportMixin, and_one, followed, tasks_of, told_iterations
from fasttrain._estimators.parameters import keep_parameters
from fasttrain._kernels.huber import ConcomitantHuber
from fasttrain._kernels.linear import LinearSums
from fasttrain._kernels.threads import thread_budget
from fasttrain.data import Blocks
from fasttrain.data._use import predicts
from fasttrain.linear_model._huber_blocks import (
    FTOL, SMALLEST_SCALE, TRIALS, fit_to_blocks, require_way_down,
)
from fasttrain.linear_model._row_sums import iterations_told, rows_of_kernel
from fasttrain.linear_model._sgd_base import raw_predictions


class HuberRegressor(ScoresBlocks, RegressorMixin, Convertible, CallbackSupportMixin, BaseEstimator):
    """Linear regression with L2 that is robust to outliers: squared loss near the line, absolute loss beyond it.

    Minimizes, over the coefficients w, the intercept c and the scale sigma > 0, with weights s and r = y - X w - c [1]_

        sum_i s_i (sigma + H(r_i / sigma) sigma) + alpha |w|^2

        H(z) = z^2 for |z| <= epsilon, else 2 epsilon |z| - epsilon^2

    so that what counts as an outlier does not depend on the units of y. scikit-learn's estimator of this name, with its
    answers; X is read once for a value and its gradient.

    Parameters
    ----------
    epsilon : float, default=1.35
        At least 1; the smaller, the more rows are outliers.
    max_iter : int, default=100
        Iterations of L-BFGS-B at most; 0 leaves the start.
    alpha : float, default=0.0001
        At least 0.
    warm_start : bool, default=False
        Start from the coefficients, intercept and scale of the last fit.
    fit_intercept : bool, default=True
    tol : float, default=1e-05
        It ends where no element of the projected gradient is greater.

    Attributes
    ----------
    coef_ : array of shape (n_features,), float64
    intercept_ : float
    scale_ : float
        sigma.
    n_iter_ : int
    outliers_ : bool array of shape (n_samples,)
        Rows with ``|r| > epsilon sigma``.
    n_features_in_ : int
    feature_names_in_ : array of str
        When X had column names.

    References
    ----------
    .. [1] Huber, Ronchetti. "Robust Statistics", 2nd edition, 2009: concomitant scale estimates.

    Examples
    --------
    >>> import numpy as np
    >>> from fasttrain.linear_model import HuberRegressor
    >>> X = np.arange(12.0)[:, np.newaxis]
    >>> y = 2 * X[:, 0] + np.where(np.arange(12) == 5, 100.0, 1.0)
    >>> model = HuberRegressor().fit(X, y)
    >>> model.coef_.round(3), np.flatnonzero(model.outliers_)
    (array([2.]), array([5]))
    """

    epsilon: float
    max_iter: int
    alpha: float
    warm_start: bool
    fit_intercept: bool
    tol: float
    coef_: Any
    intercept_: Any
    scale_: float
    n_iter_: Any
    outliers_: Array
    n_features_in_: int
    feature_names_in_: Array

    def __init__(self, *, epsilon: float = 1.35, max_iter: int = 100, alpha: float = 0.0001, warm_start: bool = False,
                 fit_intercept: bool = True, tol: float = 1e-05) -> None:
        keep_parameters(self, locals())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _check_parameters(self):
        check_real(self.epsilon, "epsilon", low=1)
        check_integer(self.max_iter, "max_iter", low=0)
        check_real(self.alpha, "alpha", low=0)
        check_flag(self.warm_start, "warm_start")
        check_flag(self.fit_intercept, "fit_intercept")
        check_real(self.tol, "tol", low=0)

    @followed(epochs=and_one)
    @restored_learns
    def fit(self, X: MatrixLike | Blocks, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or a source of blocks
            Finite; float64 in C order, and CSR, are not copied. A source of :mod:`fasttrain.data` is read once an
            evaluation, and once more for ``outliers_``, whose rows are in the order of the blocks.
        y : array-like of shape (n_samples,)
            None with a source, which has its own, and its weights.
        sample_weight : array-like of shape (n_samples,), default=None
            At least 0, not all 0.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For bad data or parameters, and where L-BFGS-B finds no way down; nothing is changed.
        DivergenceError
            When the objective is not a finite number; the model is as it was before.
        """
        self._check_parameters()
        if not is_ready(self, X, y, True, [np.float64]):
            X, y = validate_data(self, X, y, accept_sparse="csr", dtype=np.float64, order="C", y_numeric=True)
        X = check_rows(X)
        y = np.ascontiguousarray(y, dtype=np.float64)
        weights = plain_weights(sample_weight, X.shape[0], np.float64)
        fit_intercept = bool(self.fit_intercept)
        w = self._start(X)
        with thread_budget() as n_threads:
            sums = LinearSums(rows_of_kernel(X), "huber", 1.0, 1, fit_intercept, [(y[np.newaxis], weights, None)])
            objective = ConcomitantHuber(sums, y, weights, float(self.epsilon), float(self.alpha), n_threads)
            with told_iterations(tasks_of(self), w.copy(), self._parameters_of) as tell:
                value, n_iter, reason = objective.minimize(
                    w, SMALLEST_SCALE, self.tol, FTOL, self.max_iter, TRIALS, tell)
        require_way_down(reason, n_iter, value if np.isfinite(w).all() else np.nan)
        n_iter = iterations_told(min(n_iter, self.max_iter), self.max_iter, {
            "iterations": "the limit of iterations is reached", "evaluations": "the limit of evaluations is reached",
        }.get(reason))
        # those of the last evaluation, which was the last step's
        outliers = np.abs(y - objective.raw) > self.epsilon * w[-1]
        set_fitted(self, self._parameters_of(w), {"n_iter_": n_iter, "outliers_": outliers})
        return self

    def _parameters_of(self, w):
        n_features = len(w) - 1 - bool(self.fit_intercept)
        return {
            "coef_": w[:n_features].copy(), "intercept_": w[-2] if self.fit_intercept else 0.0, "scale_": w[-1]}

    def _fit_blocks(self, source, name):
        """Fit to a source of several blocks."""
        return fit_to_blocks(self, source)

    def _start(self, X):
        """Zeros with the scale 1, or the last fit."""
        if self.warm_start and hasattr(self, "coef_"):
            if np.shape(self.coef_) != (X.shape[1],):
                raise ValueError(f"X must have {len(self.coef_)} features as in the last call, got {X.shape[1]}")
            intercept = [self.intercept_] if self.fit_intercept else []
            return np.concatenate([self.coef_, intercept, [self.scale_]]).astype(np.float64)
        start = np.zeros(X.shape[1] + bool(self.fit_intercept) + 1)
        start[-1] = 1.0
        return start

    @predicts
    def predict(self, X: MatrixLike | Blocks) -> Array:
        """Predictions.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or a source of blocks

        Returns
        -------
        array of shape (n_samples,), float64
        """
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=["csr", "csc", "coo"], order="C", reset=False)
        return raw_predictions(X.tocsr() if hasattr(X, "tocsr") else X, self.coef_, self.intercept_)
