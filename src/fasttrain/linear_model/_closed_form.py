"""Leave-one-out of squared loss with L2, without a single fit left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import FLOAT_DTYPES, check_is_fitted, validate_data

from fasttrain._core.blas import serial_blas
from fasttrain._core.checks import check_flag, check_real
from fasttrain._core.slices import by_slices, copied, slices
from fasttrain._core.types import Array, ArrayLike, MatrixLike, Self
from fasttrain._estimators.fitted import restored, set_fitted
from fasttrain._tables.moments import column_moments

# Values that LAPACK and products are given at once: Ctrl-C is heard between two slices.
SLICE_VALUES = 1 << 18


def row_slices(X):
    """Slices of rows, each at least as tall as X is wide."""
    return slices(*X.shape, SLICE_VALUES, X.shape[1])


def triangular_factor(X, mean):
    """R of ``X - mean = Q R`` of shape (min(n_samples, n_features), n_features), by slices of rows.

    The R of a slice stands for its rows in that of the whole (Demmel, Grigori, Hoemmen, Langou,
    "Communication-optimal Parallel and Sequential QR and LU Factorizations", SIAM J. Sci. Comput. 34.1, 2012).
    """
    R = np.empty((0, X.shape[1]))
    for rows in row_slices(X):
        R = np.linalg.qr(np.concatenate([R, X[rows] - mean]), mode="r")
    return R


def singular_values(X, mean):
    """s and V^T of ``X - mean = U diag(s) V^T``."""
    with np.errstate(over="ignore", invalid="ignore"):
        try:
            _, s, Vt = np.linalg.svd(triangular_factor(X, mean), full_matrices=False)
        except np.linalg.LinAlgError:
            s = np.array([np.inf])
        if not np.isfinite(s**2).all():
            raise ValueError(
                "X must hold numbers whose squares can be summed: scale the features, for instance with StandardScaler")
    return s, Vt


class LinearRegressorCV(RegressorMixin, BaseEstimator):
    """Linear regression with L2, its strength chosen by exact leave-one-out.

    The model is the minimum that ``LinearRegressor(penalty="l2", alpha=alpha)`` converges to, of

        sum_i (y_i - x_i . w - b)^2 / (2 n) + alpha / 2 |w|^2

    The prediction for a row by the model of the other n - 1 rows has a closed form [1]_: with the ridge
    ``lambda = (n - 1) alpha``, centred ``X = U S V^T`` and ``h_ii = 1 / n + sum_j U_ij^2 s_j^2 / (s_j^2 + lambda)``,

        y_i - prediction_i = (y_i - fitted_i) / (1 - h_ii)

    so one singular value decomposition, of the triangular factor of X, serves all rows and all strengths.

    Parameters
    ----------
    alphas : sequence of float, default=(1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
        Strengths to choose from, each above 0.
    fit_intercept : bool, default=True

    Attributes
    ----------
    alpha_ : float
        The strength of the smallest squared error.
    scores_ : array of shape (n_alphas,), float64
        Minus the mean squared error of leave-one-out for each strength.
    predictions_ : array of shape (n_samples,) or (n_samples, n_outputs), float64
        For each row by the model of the others, with ``alpha_``.
    coef_ : array of shape (n_features,) or (n_outputs, n_features), float64
    intercept_ : float or array of shape (n_outputs,)
    n_features_in_ : int
    feature_names_in_ : array of str
        When X had column names.

    References
    ----------
    .. [1] Golub, Heath, Wahba, "Generalized Cross-Validation as a Method for Choosing a Good Ridge Parameter",
       Technometrics 21.2, 1979.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fasttrain.model_selection import LinearRegressorCV
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = LinearRegressorCV(alphas=[1e-5, 1e-4, 1e-3]).fit(X, y)
    >>> model.alpha_, model.scores_.round()
    (1e-05, array([-3000., -3002., -3103.]))
    """

    alphas: Sequence[float] | Array
    fit_intercept: bool
    alpha_: float
    scores_: Array
    predictions_: Array
    coef_: Any
    intercept_: Any
    n_features_in_: int
    feature_names_in_: Array

    def __init__(self, alphas: Sequence[float] | Array = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0), *,
                 fit_intercept: bool = True) -> None:
        self.alphas = alphas
        self.fit_intercept = fit_intercept

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    @restored
    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Choose the strength and fit all rows with it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            At least 2 rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For bad data or strengths, and where the solution is not finite.
        """
        alphas = [check_real(alpha, "alphas", low=0, open_low=True) for alpha in np.atleast_1d(self.alphas).tolist()]
        if not alphas:
            raise ValueError("alphas must hold at least one number > 0, got none")
        check_flag(self.fit_intercept, "fit_intercept")
        X, y = validate_data(
            self, X, y, dtype=FLOAT_DTYPES[:2], multi_output=True, y_numeric=True, ensure_min_samples=2)
        if X.dtype != np.float64 or not X.flags.c_contiguous:
            X = copied(X, np.float64)
        with serial_blas():
            targets = y.reshape(len(y), -1).astype(np.float64)
            n = len(X)
            x_mean = column_moments(X)[1] if self.fit_intercept else np.zeros(X.shape[1])
            y_mean = targets.mean(axis=0) if self.fit_intercept else np.zeros(targets.shape[1])
            s, Vt = singular_values(X, x_mean)
            # U s: it is never divided by s, so columns that are nearly dependent do no harm.
            rotated = by_slices(lambda rows: (rows - x_mean) @ Vt.T, X, SLICE_VALUES, X.shape[1])
            moments = sum(rotated[rows].T @ (targets[rows] - y_mean) for rows in row_slices(X))
            leverage = 1.0 / n if self.fit_intercept else 0.0
            errors = []
            for alpha in alphas:
                ridge = 1.0 / (s**2 + (n - 1) * alpha)
                solution = ridge[:, None] * moments
                errors.append(np.concatenate([
                    (targets[rows] - rotated[rows] @ solution - y_mean)
                    / (1.0 - leverage - rotated[rows] ** 2 @ ridge)[:, None]
                    for rows in row_slices(X)
                ]))
            scores = np.array([-np.mean(error**2) for error in errors])
            best = int(np.argmax(scores))
            coef = (moments / (s**2 + n * alphas[best])[:, None]).T @ Vt
            intercept = y_mean - coef @ x_mean
            predictions = targets - errors[best]
        if y.ndim == 1:
            coef, intercept, predictions = coef[0], intercept[0], predictions[:, 0]
        set_fitted(self, {
            "coef_": coef, "intercept_": intercept, "scores_": scores, "predictions_": predictions,
        }, {"alpha_": alphas[best]})
        return self

    def predict(self, X: MatrixLike) -> Array:
        """Predictions ``X @ coef_.T + intercept_``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs), float64
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        return X @ self.coef_.T + self.intercept_
