"""MultiTaskElasticNet and MultiTaskLasso: several targets that share their features."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from sklearn import linear_model
from sklearn.utils.validation import check_consistent_length, validate_data

from fasttrain._core.checks import check_flag, check_real
from fasttrain._core.types import ArrayLike, MatrixLike, RandomStateLike, Self
from fasttrain._estimators.blocks import restored_rows
from fasttrain._estimators.conversion import Convertible
from fasttrain._estimators.fitted import set_fitted
from fasttrain._estimators.parameters import keep_parameters
from fasttrain.linear_model._coordinate import NEEDS_COLUMNS
from fasttrain.linear_model import _coordinate as coordinate
from fasttrain.linear_model._elastic_net import (
    FLOATS, adopt, check_descent_parameters, descent_of, intercepts_of, weights_of,
)


def fit_tasks(estimator, X, y, weights, *, alpha, l1_ratio, start=None):
    """Fit all targets together and adopt what was found; returns what n times the gap had to be at most."""
    targets = y.astype(X.dtype, copy=False)
    problem = coordinate.problem_of(X, targets, weights, centred=bool(estimator.fit_intercept), narrow=False)
    path = coordinate.descend(problem, [alpha], l1_ratio, descent_of(estimator), start=start)
    path.warn()
    coef = np.asfortranarray(path.coefs[0].T)
    intercept = intercepts_of(estimator, problem, coef)
    adopt(estimator, coef, intercept, {"n_iter_": int(path.n_iters[0]), "dual_gap_": float(path.gaps[0])})
    return float(path.bounds[0])


class TakesSparseRows:
    """Mixin of estimators that take sparse X, which scikit-learn's classes of their names do not in every release."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class MultiTaskElasticNet(TakesSparseRows, Convertible, linear_model.MultiTaskElasticNet):
    """Linear regression of several targets that share their features, with an L2 penalty beside the norms of features.

    Minimizes, a row of W a feature,

        |Y - X W - b|^2 / (2 n) + alpha l1_ratio sum_j |W_j| + alpha (1 - l1_ratio) / 2 |W|^2

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty, >= 0.
    l1_ratio : float, default=0.5
        Share of the norms, in [0, 1].
    fit_intercept : bool, default=True
    copy_X : bool, default=True
        X is never written to, whatever this says.
    max_iter : int, default=1000
        Most sweeps over the features.
    tol : float, default=1e-4
        As in :class:`ElasticNet`.
    warm_start : bool, default=False
        Begin at the last solution.
    random_state : int, RandomState instance or None, default=None
    selection : {'cyclic', 'random'}, default='cyclic'

    Attributes
    ----------
    coef_ : ndarray of shape (n_targets, n_features)
    sparse_coef_ : sparse array of shape (n_targets, n_features)
    intercept_ : ndarray of shape (n_targets,)
    dual_gap_ : float
    eps_ : float
        What ``n dual_gap_`` had to be at most.
    n_iter_ : int
        Sweeps.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        When X had column names.

    Examples
    --------
    >>> from fasttrain.linear_model import MultiTaskElasticNet
    >>> model = MultiTaskElasticNet(alpha=0.1).fit([[0, 0], [1, 1], [2, 2]], [[0, 0], [1, 1], [2, 2]])
    >>> model.coef_.round(3)
    array([[0.457, 0.456],
           [0.457, 0.456]])
    """

    def __init__(self, alpha: float = 1.0, *, l1_ratio: float = 0.5, fit_intercept: bool = True, copy_X: bool = True,
                 max_iter: int = 1000, tol: float = 1e-4, warm_start: bool = False,
                 random_state: RandomStateLike = None, selection: Literal["cyclic", "random"] = "cyclic") -> None:
        keep_parameters(self, locals())

    def _check_parameters(self):
        check_real(self.alpha, "alpha", low=0)
        check_real(self.l1_ratio, "l1_ratio", low=0, high=1)
        check_descent_parameters(self)
        check_flag(self.warm_start, "warm_start")

    @restored_rows(NEEDS_COLUMNS)
    def fit(self, X: MatrixLike, y: ArrayLike, sample_weight: float | ArrayLike | None = None) -> Self:
        """Fit from scratch, or from the last solution under ``warm_start``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Not written to.
        y : array-like of shape (n_samples, n_targets)
        sample_weight : float or array-like of shape (n_samples,), default=None
            Scaled to the sum n_samples.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For a wrong parameter or wrong data, by the argument's name, and where the solution is not finite.

        Warns
        -----
        ConvergenceWarning
            When ``max_iter`` sweeps were not enough.
        """
        self._check_parameters()
        X, y = validate_data(self, X, y, validate_separately=(
            {"accept_sparse": "csc", "dtype": FLOATS, "accept_large_sparse": False},
            {"dtype": FLOATS, "ensure_2d": False}))
        check_consistent_length(X, y)
        if y.ndim == 1:
            raise ValueError("For mono-task outputs, use ElasticNet or Lasso")
        weights = weights_of(sample_weight, X.shape[0], X.dtype)
        start = None
        if self.warm_start and hasattr(self, "coef_"):
            start = np.asarray(self.coef_).T
            if start.shape != (X.shape[1], y.shape[1]):
                raise ValueError(
                    f"warm_start goes on from coefficients of shape {np.shape(self.coef_)}, which are not those of "
                    f"X of shape {X.shape} and y of shape {y.shape}; fit a clone")
        eps = fit_tasks(self, X, y, weights, alpha=float(self.alpha), l1_ratio=float(self.l1_ratio), start=start)
        set_fitted(self, {}, {"eps_": eps})
        return self


class MultiTaskLasso(MultiTaskElasticNet, linear_model.MultiTaskLasso):
    """Linear regression of several targets that share their features: scikit-learn's estimator, several times faster.

    Minimizes, a row of W a feature,

        |Y - X W - b|^2 / (2 n) + alpha sum_j |W_j|

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty, >= 0.
    fit_intercept : bool, default=True
    copy_X : bool, default=True
        X is never written to, whatever this says.
    max_iter : int, default=1000
        Most sweeps over the features.
    tol : float, default=1e-4
        As in :class:`ElasticNet`.
    warm_start : bool, default=False
        Begin at the last solution.
    random_state : int, RandomState instance or None, default=None
    selection : {'cyclic', 'random'}, default='cyclic'

    Attributes
    ----------
    coef_ : ndarray of shape (n_targets, n_features)
    sparse_coef_ : sparse array of shape (n_targets, n_features)
    intercept_ : ndarray of shape (n_targets,)
    dual_gap_ : float
    eps_ : float
        What ``n dual_gap_`` had to be at most.
    n_iter_ : int
        Sweeps.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        When X had column names.

    Examples
    --------
    >>> from fasttrain.linear_model import MultiTaskLasso
    >>> model = MultiTaskLasso(alpha=0.1).fit([[0, 1], [1, 2], [2, 4]], [[0, 0], [1, 1], [2, 3]])
    >>> model.coef_.round(3)
    array([[0.   , 0.608],
           [0.   , 0.946]])
    """

    def __init__(self, alpha: float = 1.0, *, fit_intercept: bool = True, copy_X: bool = True, max_iter: int = 1000,
                 tol: float = 1e-4, warm_start: bool = False, random_state: RandomStateLike = None,
                 selection: Literal["cyclic", "random"] = "cyclic") -> None:
        keep_parameters(self, locals())
        self.l1_ratio: float = 1.0
