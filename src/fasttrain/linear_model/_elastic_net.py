"""ElasticNet and Lasso, for one penalty."""

from __future__ import annotations
from numbers import Real
from typing import Any, Literal

import numpy as np
from scipy import sparse
from sklearn import linear_model
from sklearn.utils import assert_all_finite
from sklearn.utils.validation import validate_data

from fasttrain._core.checks import (
    check_choice, check_flag, check_integer, check_real, check_weights, is_ready,
)
from fasttrain._core.types import ArrayLike, MatrixLike, RandomStateLike, Self
from fasttrain._core.warned import warn
from fasttrain._estimators.blocks import restored_rows
from fasttrain._estimators.conversion import Convertible
from fasttrain._estimators.fitted import set_fitted
from fasttrain._estimators.parameters import keep_parameters
from fasttrain.linear_model._coordinate import NEEDS_COLUMNS
from fasttrain.linear_model import _coordinate as coordinate
from fasttrain.linear_model._paths import enet_path

FLOATS = [np.float64, np.float32]
NOT_FINITE = (
    "Coordinate descent iterations resulted in non-finite parameter values: {name} of {cls} would hold them. Scale the "
    "features and targets, for instance with StandardScaler."
)


def check_descent_parameters(estimator):
    """Refuse parameters that all estimators by coordinate descent have, before any data is looked at."""
    check_flag(estimator.fit_intercept, "fit_intercept")
    check_integer(estimator.max_iter, "max_iter", low=1)
    check_flag(estimator.copy_X, "copy_X")
    check_real(estimator.tol, "tol", low=0)
    check_choice(estimator.selection, "selection", ("cyclic", "random"))


def descent_of(estimator):
    """How an estimator's parameters say to descend."""
    return coordinate.Descent(
        tol=float(estimator.tol), max_iter=int(estimator.max_iter),
        positive=bool(getattr(estimator, "positive", False)), selection=estimator.selection,
        random_state=estimator.random_state)


def weights_of(sample_weight, n_samples, dtype):
    """Sample weights of sum n, None where all are the same."""
    if sample_weight is None or isinstance(sample_weight, Real):
        return None
    return coordinate.rescaled(check_weights(sample_weight, n_samples, dtype))


def adopt(estimator, coef, intercept, account):
    """Make the estimator a fitted one, unless a number is not finite."""
    for name, value in (("coef_", coef), ("intercept_", intercept), ("dual_gap_", account["dual_gap_"])):
        if not np.isfinite(value).all():
            raise ValueError(NOT_FINITE.format(name=name, cls=type(estimator).__name__))
    set_fitted(estimator, {"coef_": coef, "intercept_": intercept}, account)


def intercepts_of(estimator, problem, coef):
    """The intercepts of coefficients of shape (n_targets, n_features)."""
    return problem.intercepts(coef).astype(problem.dtype, copy=False) if estimator.fit_intercept else 0.0


def solve(problem, alpha, l1_ratio, descent, starts=None):
    """Coefficients of each target on its own, their gaps and sweeps; warns of those that have not converged."""
    n_targets = len(problem.y_mean)
    coef = np.zeros((n_targets, problem.n_features), problem.dtype)
    gaps, n_iters, paths = np.zeros(n_targets, problem.dtype), [], []
    for k in range(n_targets):
        start = None if starts is None else starts[k][:, None]
        paths.append(coordinate.descend(problem, [alpha], l1_ratio, descent, target=k, start=start))
        coef[k], gaps[k] = paths[k].coefs[0, :, 0], paths[k].gaps[0]
        n_iters.append(int(paths[k].n_iters[0]))
    for path in paths:
        path.warn()
    return coef, gaps, n_iters


def problem_for(X, targets, weights, *, precompute, centred, tol, checked=True):
    """What the targets, each on its own, are descended on."""
    if not isinstance(precompute, (bool, np.bool_, str)) and not sparse.issparse(X):
        given = coordinate.given_gram_problem(X, targets, weights, precompute, centred=centred, checked=checked)
        if given is not None:
            return given
    by_gram = not sparse.issparse(X) and coordinate.prefers_gram(*X.shape, tol)
    # one penalty is not worth a second copy of the columns
    return coordinate.problem_of(X, targets, weights, centred=centred, by_gram=by_gram, narrow=False)


def is_told_by_sums(X, precompute, tol):
    """Whether a plain X is read for its Gram matrix alone, which shows NaN and infinities."""
    return (type(X) is np.ndarray and X.ndim == 2 and isinstance(precompute, (bool, np.bool_))
            and coordinate.prefers_gram(*X.shape, tol))


def fit_targets(estimator, X, y, weights, *, alpha, l1_ratio, precompute, checked=True, unread=False, starts=None):
    """Fit each target on its own and adopt what was found; ``unread``: :func:`is_told_by_sums` of an X that nothing has
    looked through.
    """
    targets = y.reshape(len(y), -1).astype(X.dtype, copy=False)
    with np.errstate(invalid="ignore" if unread else None):
        problem = problem_for(
            X, targets, weights, precompute=precompute, centred=bool(estimator.fit_intercept), tol=estimator.tol,
            checked=checked)
    if unread and not np.isfinite(problem.design["gram"]).all():
        assert_all_finite(X, estimator_name=type(estimator).__name__, input_name="X")
    coef, gaps, n_iters = solve(problem, alpha, l1_ratio, descent_of(estimator), starts)
    intercept = intercepts_of(estimator, problem, coef)
    if len(coef) > 1:
        return adopt(estimator, coef, intercept, {"n_iter_": n_iters, "dual_gap_": gaps})
    if y.ndim == 1 and estimator.fit_intercept:
        intercept = intercept[0]
    return adopt(estimator, coef[0], intercept, {"n_iter_": n_iters[0], "dual_gap_": gaps[0]})


class ElasticNet(Convertible, linear_model.ElasticNet):
    """Linear regression with L1 and L2 penalties by coordinate descent: scikit-learn's estimator, several times faster.

    Minimizes, with weights of sum n,

        sum_i weight_i (y_i - x_i . w - b)^2 / (2 n) + alpha l1_ratio |w|_1 + alpha (1 - l1_ratio) / 2 |w|^2

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty, >= 0. At 0 there is a warning: least squares have better solvers.
    l1_ratio : float, default=0.5
        Share of L1, in [0, 1].
    fit_intercept : bool, default=True
    precompute : bool or array-like of shape (n_features, n_features), default=False
        The Gram matrix of centred X, where the caller has it. Whether one is made is decided by the shape of X.
    max_iter : int, default=1000
        Most sweeps over the coefficients.
    copy_X : bool, default=True
        X is never written to, whatever this says.
    tol : float, default=1e-4
        The descent ends after a sweep that moved no coefficient by more than ``tol`` times the largest, if the duality
        gap is at most ``tol |y|^2 / n`` then.
    warm_start : bool, default=False
        Begin at the last solution.
    positive : bool, default=False
        No coefficient below 0.
    random_state : int, RandomState instance or None, default=None
        Of random columns, drawn as scikit-learn draws them.
    selection : {'cyclic', 'random'}, default='cyclic'
        The order of coefficients in a sweep.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
        In the dtype of X.
    sparse_coef_ : sparse array of shape (n_targets, n_features)
    intercept_ : float or ndarray of shape (n_targets,)
    dual_gap_ : float or ndarray of shape (n_targets,)
        In the scale of the objective.
    n_iter_ : int or list of int
        Sweeps.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        When X had column names.

    Notes
    -----
    The iterates are scikit-learn's: cyclic descent [1]_ over the columns that gap-safe spheres [2]_ leave. Columns are
    read only where a bound by the distance that the residual has moved does not already tell the answer. Where X has
    many more rows than columns, the descent is on its Gram matrix.

    References
    ----------
    .. [1] Friedman, Hastie, Tibshirani, "Regularization Paths for Generalized Linear Models via Coordinate Descent",
       J. Stat. Softw. 33.1, 2010.
    .. [2] Fercoq, Gramfort, Salmon, "Mind the duality gap: safer rules for the Lasso", ICML 2015.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from fasttrain.linear_model import ElasticNet
    >>> X, y = make_regression(n_features=2, random_state=0)
    >>> model = ElasticNet().fit(X, y)
    >>> model.coef_.round(4)
    array([18.8382, 64.5597])
    """

    path: Any = staticmethod(enet_path)

    def __init__(self, alpha: float = 1.0, *, l1_ratio: float = 0.5, fit_intercept: bool = True,
                 precompute: bool | ArrayLike = False, max_iter: int = 1000, copy_X: bool = True, tol: float = 1e-4,
                 warm_start: bool = False, positive: bool = False, random_state: RandomStateLike = None,
                 selection: Literal["cyclic", "random"] = "cyclic") -> None:
        keep_parameters(self, locals())

    def _check_parameters(self):
        check_real(self.alpha, "alpha", low=0)
        check_real(self.l1_ratio, "l1_ratio", low=0, high=1)
        check_descent_parameters(self)
        check_flag(self.warm_start, "warm_start")
        check_flag(self.positive, "positive")
        if not isinstance(self.precompute, (bool, np.bool_)) and np.ndim(self.precompute) != 2:
            raise ValueError(f"precompute must be True, False or a Gram matrix, got {self.precompute!r}")

    @restored_rows(NEEDS_COLUMNS)
    def fit(self, X: MatrixLike, y: ArrayLike, sample_weight: float | ArrayLike | None = None,
            check_input: bool = True) -> Self:
        """Fit from scratch, or from the last solution under ``warm_start``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            float32 and float64 are taken as they are, other dtypes as float64; sparse formats other than CSC are
            converted. Not written to.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            One model a target.
        sample_weight : float or array-like of shape (n_samples,), default=None
            Scaled to the sum n_samples.
        check_input : bool, default=True
            Whether X and y are checked; without, they must be arrays of one floating type.

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
        UserWarning
            For ``alpha=0``, and for a Gram matrix that is not that of centred X.
        """
        self._check_parameters()
        if self.alpha == 0:
            warn(
                "With alpha=0, this algorithm does not converge well. You are advised to use the LinearRegression "
                "estimator")
        unread = check_input and is_told_by_sums(X, self.precompute, self.tol)
        if check_input and not is_ready(self, X, y, True, FLOATS, unread=unread):
            unread = False
            X, y = validate_data(
                self, X, y, accept_sparse="csc", dtype=FLOATS, accept_large_sparse=False, multi_output=True,
                y_numeric=True)
        weights = weights_of(sample_weight, X.shape[0], X.dtype)
        starts = None
        if self.warm_start and hasattr(self, "coef_"):
            starts = np.atleast_2d(self.coef_)
            if starts.shape[1] != X.shape[1] or (starts.shape[0] != (y.shape[1] if y.ndim > 1 else 1)):
                raise ValueError(
                    f"warm_start goes on from coefficients of shape {np.shape(self.coef_)}, which are not those of "
                    f"X of shape {X.shape} and y of shape {y.shape}; fit a clone")
        fit_targets(
            self, X, y, weights, alpha=float(self.alpha), l1_ratio=float(self.l1_ratio), precompute=self.precompute,
            checked=check_input, unread=unread, starts=starts)
        return self


class Lasso(ElasticNet, linear_model.Lasso):
    """Linear regression with an L1 penalty, by coordinate descent: scikit-learn's estimator, several times faster.

    Minimizes, with weights of sum n,

        sum_i weight_i (y_i - x_i . w - b)^2 / (2 n) + alpha |w|_1

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty, >= 0. At 0 there is a warning: least squares have better solvers.
    fit_intercept : bool, default=True
    precompute : bool or array-like of shape (n_features, n_features), default=False
        The Gram matrix of centred X, where the caller has it. Whether one is made is decided by the shape of X.
    copy_X : bool, default=True
        X is never written to, whatever this says.
    max_iter : int, default=1000
        Most sweeps over the coefficients.
    tol : float, default=1e-4
        The descent ends after a sweep that moved no coefficient by more than ``tol`` times the largest, if the duality
        gap is at most ``tol |y|^2 / n`` then.
    warm_start : bool, default=False
        Begin at the last solution.
    positive : bool, default=False
        No coefficient below 0.
    random_state : int, RandomState instance or None, default=None
        Of random columns, drawn as scikit-learn draws them.
    selection : {'cyclic', 'random'}, default='cyclic'
        The order of coefficients in a sweep.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
        In the dtype of X.
    sparse_coef_ : sparse array of shape (n_targets, n_features)
    intercept_ : float or ndarray of shape (n_targets,)
    dual_gap_ : float or ndarray of shape (n_targets,)
        In the scale of the objective.
    n_iter_ : int or list of int
        Sweeps.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        When X had column names.

    See Also
    --------
    ElasticNet : With the notes on the method.

    Examples
    --------
    >>> from fasttrain.linear_model import Lasso
    >>> model = Lasso(alpha=0.1).fit([[0, 0], [1, 1], [2, 2]], [0, 1, 2])
    >>> model.coef_.round(2), round(float(model.intercept_), 2)
    (array([0.85, 0.  ]), 0.15)
    """

    path: Any = staticmethod(enet_path)

    def __init__(self, alpha: float = 1.0, *, fit_intercept: bool = True, precompute: bool | ArrayLike = False,
                 copy_X: bool = True, max_iter: int = 1000, tol: float = 1e-4, warm_start: bool = False,
                 positive: bool = False, random_state: RandomStateLike = None,
                 selection: Literal["cyclic", "random"] = "cyclic") -> None:
        keep_parameters(self, locals())
        self.l1_ratio: float = 1.0
