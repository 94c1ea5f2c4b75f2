"""QuantileRegressor: a linear model of a quantile, by an interior point and the corner that it leads to."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn import linear_model
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import validate_data

from fasttrain._core.checks import check_choice, check_flag, check_real, check_rows, is_ready
from fasttrain._core.types import ArrayLike, MatrixLike, Self
from fasttrain._core.warned import warn
from fasttrain._estimators.conversion import Convertible
from fasttrain._estimators.data import plain_weights
from fasttrain._estimators.fitted import restored, set_fitted
from fasttrain._estimators.parameters import keep_parameters
from fasttrain._kernels.threads import thread_budget
from fasttrain.linear_model._pinball import minimize

SOLVERS = ("highs-ds", "highs-ipm", "highs", "interior-point", "revised simplex")
# A step solves a system of as many unknowns.
MAX_FEATURES = 1000
# Of a column's mean to its standard deviation: beyond, sums of squares lose digits that the interior point needs.
FAR = 100


def _centre_of(X):
    """(what to take off the columns of a dense X, or None where that is nothing; which of them are constant).

    The intercept makes up for it. A column that lies far from 0 loses its mean, a constant one all: it is the
    intercept's, and beside that its coefficient would be whatever rounding leaves.
    """
    if not isinstance(X, np.ndarray):
        return None, np.zeros(X.shape[1], dtype=bool)
    mean, constant = X.mean(axis=0), X.min(axis=0) == X.max(axis=0)
    far = (np.abs(mean) > FAR * X.std(axis=0)) & np.isfinite(mean)
    centre = np.where(constant, X[0], np.where(far, mean, 0.0))
    return centre if centre.any() else None, constant


class QuantileRegressor(Convertible, linear_model.QuantileRegressor):
    """Linear regression of a quantile, with L1.

    Minimizes, over the coefficients w and the intercept b, with weights s that sum to S [1]_

        sum_i s_i rho(y_i - x_i . w - b) / S + alpha |w|_1,    rho(r) = max(q r, (q - 1) r)

    scikit-learn's estimator of this name. The linear program is solved by an interior point, a step of which is one
    matrix of products of X [2]_, and then exactly at the corner that it leads to, for at most 1000 features; more, and
    ``solver_options``, are refused, and under :func:`fasttrain.patch_sklearn` go to scikit-learn's class.

    Parameters
    ----------
    quantile : float, default=0.5
        q, above 0 and below 1.
    alpha : float, default=1.0
        At least 0.
    fit_intercept : bool, default=True
    solver : {'highs-ds', 'highs-ipm', 'highs', 'interior-point', 'revised simplex'}, default='highs'
        Without effect.
    solver_options : None

    Attributes
    ----------
    coef_ : array of shape (n_features,), float64
    intercept_ : float
    n_iter_ : int
        Steps of the interior point.
    n_features_in_ : int
    feature_names_in_ : array of str
        When X had column names.

    Notes
    -----
    Where several models are as good, as for the median of an even number of targets without features, which of them is
    found is not scikit-learn's choice.

    References
    ----------
    .. [1] Koenker, Bassett. "Regression Quantiles", Econometrica 46.1, 1978.
    .. [2] Portnoy, Koenker. "The Gaussian Hare and the Laplacian Tortoise", Statistical Science 12.4, 1997.

    Examples
    --------
    >>> import numpy as np
    >>> from fasttrain.linear_model import QuantileRegressor
    >>> X = np.arange(11.0)[:, np.newaxis]
    >>> y = 2 * X[:, 0] + np.where(np.arange(11) == 5, 100.0, 1.0)
    >>> model = QuantileRegressor(alpha=0).fit(X, y)
    >>> model.coef_.round(6), round(float(model.intercept_), 6)
    (array([2.]), 1.0)
    """

    def __init__(self, *, quantile: float = 0.5, alpha: float = 1.0, fit_intercept: bool = True, solver: str = "highs",
                 solver_options: dict[str, Any] | None = None) -> None:
        keep_parameters(self, locals())

    def _check_parameters(self):
        check_real(self.quantile, "quantile", low=0, high=1, open_low=True, open_high=True)
        check_real(self.alpha, "alpha", low=0)
        check_flag(self.fit_intercept, "fit_intercept")
        check_choice(self.solver, "solver", SOLVERS)
        if self.solver == "interior-point":
            raise ValueError("solver must not be 'interior-point', which SciPy no longer has")
        if self.solver_options is not None:
            raise ValueError(f"solver_options must be None, got {self.solver_options!r}")

    @restored
    def fit(self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Finite; float64 in C order, and CSR, are not copied.
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            At least 0, not all 0.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For bad data or parameters, and for what this class does not have; nothing is changed.

        Warns
        -----
        ConvergenceWarning
            Where the interior point ended far from the minimum.
        """
        self._check_parameters()
        if not is_ready(self, X, y, True, [np.float64]):
            X, y = validate_data(self, X, y, accept_sparse="csr", dtype=np.float64, order="C", y_numeric=True)
        X = check_rows(X)
        if X.shape[1] > MAX_FEATURES:
            raise ValueError(f"X must have at most {MAX_FEATURES} features, got {X.shape[1]}")
        y = np.ascontiguousarray(y, dtype=np.float64)
        weights = plain_weights(sample_weight, X.shape[0], np.float64)
        weights = np.ones(len(y)) if weights is None else weights
        if not weights.all():
            X, y, weights = X[weights > 0], y[weights > 0], weights[weights > 0]
        with thread_budget() as n_threads, np.errstate(all="ignore"):
            centre, constant = _centre_of(X) if self.fit_intercept else (None, None)
            u, n_iter, converged = minimize(
                X if centre is None else X - centre, y, weights / weights.sum(), float(self.quantile),
                float(self.alpha), bool(self.fit_intercept), n_threads)
        if not converged:
            warn(
                f"Linear programming for QuantileRegressor did not succeed: the interior point ended after {n_iter} "
                "steps. Scale the features and the target (StandardScaler).", ConvergenceWarning)
        n_features = self.n_features_in_
        intercept = u[-1] if self.fit_intercept else 0.0
        if centre is not None:
            u[:n_features][constant] = 0.0
            intercept -= float(centre @ u[:n_features])
        set_fitted(self, {"coef_": u[:n_features].copy(), "intercept_": intercept}, {"n_iter_": n_iter})
        return self
