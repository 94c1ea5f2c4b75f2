"""ElasticNetCV, LassoCV and their multi-task kin: the penalty chosen by cross-validation, folds on threads."""

from __future__ import annotations
from numbers import Integral, Real
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from scipy import sparse
from sklearn import get_config, linear_model
from sklearn.utils.metadata_routing import process_routing
from sklearn.utils.validation import check_consistent_length, column_or_1d, validate_data

from fasttrain._core.checks import check_choice, check_flag, check_integer, check_real, check_weights
from fasttrain._core.folds import check_fold_weights
from fasttrain._core.slices import slices
from fasttrain._core.types import ArrayLike, MatrixLike, RandomStateLike, Self, Splitter
from fasttrain._estimators.blocks import restored_rows
from fasttrain._estimators.conversion import Convertible
from fasttrain._estimators.data import folds_of
from fasttrain._estimators.fitted import set_fitted
from fasttrain._estimators.parameters import keep_parameters
from fasttrain._kernels.coordinate import Stop
from fasttrain._kernels.threads import thread_budget
from fasttrain.linear_model._coordinate import NEEDS_COLUMNS
from fasttrain.linear_model import _coordinate as coordinate
from fasttrain.linear_model._elastic_net import (
    FLOATS, NOT_FINITE, check_descent_parameters, descent_of, fit_targets,
)
from fasttrain._core.pools import in_threads
from fasttrain.linear_model._multi_task import TakesSparseRows, fit_tasks
from fasttrain.linear_model._paths import NO_GRID, enet_path, lasso_path


class CrossValidated(Convertible):
    """What the estimators share: the grid, the folds, the choice, the last fit."""

    _multi_task = False

    def _check_parameters(self):
        check_real(self.eps, "eps", low=0, open_low=True)
        if not isinstance(self.verbose, (bool, np.bool_)):
            check_integer(self.verbose, "verbose", low=0)
        if isinstance(self.alphas, Integral):
            check_integer(self.alphas, "alphas", low=1)
        else:
            if isinstance(self.alphas, str) or np.ndim(self.alphas) != 1 or not len(self.alphas):
                raise ValueError(f"alphas must be an integer >= 1 or hold numbers >= 0, got {self.alphas!r}")
            for i, alpha in enumerate(self.alphas):
                if not isinstance(alpha, Real):
                    raise TypeError(f"alphas[{i}] must be an instance of float, a number >= 0, got {alpha!r}")
                if not alpha >= 0:
                    raise ValueError(f"alphas[{i}] == {alpha}, must be >= 0.0.")
        for ratio in self._l1_ratios():
            check_real(float(ratio), "l1_ratio", low=0, high=1)
            if ratio == 0 and isinstance(self.alphas, Integral):
                raise ValueError(NO_GRID)
        check_descent_parameters(self)
        check_flag(getattr(self, "positive", False), "positive")
        precompute = getattr(self, "precompute", "auto")
        if isinstance(precompute, str):
            check_choice(precompute, "precompute", ("auto",))
        elif not isinstance(precompute, (bool, np.bool_)) and np.ndim(precompute) != 2:
            raise ValueError(f"precompute must be 'auto', True, False or a Gram matrix, got {precompute!r}")
        if self.n_jobs is not None and (isinstance(self.n_jobs, bool) or not isinstance(self.n_jobs, Integral)):
            raise TypeError(f"n_jobs must be an integer or None, got {self.n_jobs!r}")

    def _l1_ratios(self):
        return np.atleast_1d(getattr(self, "l1_ratio", 1.0))

    @restored_rows(NEEDS_COLUMNS)
    def fit(self, X: MatrixLike, y: ArrayLike, sample_weight: float | ArrayLike | None = None, **params: Any) -> Self:
        """Find the penalty with the smallest mean squared error over the folds, and fit all rows with it.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Not written to.
        y : array-like of shape (n_samples,), for the multi-task estimators (n_samples, n_targets)
        sample_weight : float or array-like of shape (n_samples,), default=None
            For the fits and for the squared errors in each fold; folds count alike.
        **params
            For the splitter, with scikit-learn's metadata routing enabled.

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
            For each penalty and fold for which ``max_iter`` sweeps were not enough.
        """
        split = self._routed(sample_weight, params)
        self._check_parameters()
        X, y = self._checked(X, y)
        weights = None
        if sample_weight is not None and not isinstance(sample_weight, Real):
            weights = check_weights(sample_weight, X.shape[0], X.dtype)
        targets = y.reshape(len(y), -1).astype(X.dtype, copy=False)
        ratios = self._l1_ratios()
        grids = self._grids(X, targets, weights, ratios)
        folds = [tuple(_numbers(rows) for rows in fold) for fold in folds_of(X, y, self.cv, **split)]
        if weights is not None:
            check_fold_weights(folds, weights)
        scores, messages = self._scores(X, targets, weights, folds, ratios, grids)
        for path in messages:
            path.warn()
        if not np.isfinite(scores).all():
            raise ValueError(NOT_FINITE.format(name="mse_path_", cls=type(self).__name__))
        # (l1_ratio, fold, alpha)
        means = scores.mean(axis=1)
        best = min(range(len(ratios)), key=lambda i: means[i].min())
        chosen = int(np.argmin(means[best]))
        several = isinstance(self.alphas, Integral) and len(ratios) > 1
        alpha = grids[best][chosen]
        account = {"alpha_": alpha, "alphas_": np.asarray(grids) if several else grids[0]}
        if hasattr(self, "l1_ratio"):
            account["l1_ratio_"] = ratios[best]
        path = np.squeeze(np.moveaxis(scores, 2, 1)).astype(np.result_type(X.dtype, y.dtype), copy=False)
        set_fitted(self, {"mse_path_": path}, account)
        if weights is not None:
            weights = coordinate.rescaled(weights)
        settings = {"alpha": float(alpha), "l1_ratio": float(ratios[best])}
        if self._multi_task:
            fit_tasks(self, X, y, weights, **settings)
        else:
            fit_targets(self, X, y, weights, precompute=getattr(self, "precompute", "auto"), **settings)
        return self

    def _routed(self, sample_weight, params):
        """What of ``params`` goes to the splitter."""
        if get_config()["enable_metadata_routing"]:
            return process_routing(self, "fit", sample_weight=sample_weight, **params).splitter.split
        if params:
            raise ValueError(
                f"{', '.join(params)} given to fit of {type(self).__name__}: passing it on is only supported if "
                "enable_metadata_routing=True, which sklearn.set_config sets")
        return {}

    def _checked(self, X, y):
        X, y = validate_data(self, X, y, validate_separately=(
            {"accept_sparse": "csc", "dtype": FLOATS, "accept_large_sparse": False},
            {"dtype": FLOATS, "ensure_2d": False}))
        check_consistent_length(X, y)
        name = type(self).__name__
        if self._multi_task:
            if y.ndim == 1:
                raise ValueError(f"For mono-task outputs, use {name.removeprefix('MultiTask')}")
            return X, y
        if y.ndim > 1 and y.shape[1] > 1:
            raise ValueError(f"For multi-task outputs, use MultiTask{name}")
        return X, column_or_1d(y, warn=True)

    def _grids(self, X, targets, weights, ratios):
        """Descending alphas for each l1_ratio."""
        if not isinstance(self.alphas, Integral):
            return [np.sort(np.asarray(self.alphas, dtype=np.float64))[::-1]] * len(ratios)
        largest = coordinate.largest_alpha(
            X, targets, weights, l1_ratio=1.0, centred=bool(self.fit_intercept),
            positive=bool(getattr(self, "positive", False)))
        return [coordinate.alpha_grid(largest / ratio, self.eps, int(self.alphas)) for ratio in ratios]

    def _scores(self, X, targets, weights, folds, ratios, grids):
        """Mean squared errors (l1_ratio, fold, alpha), and the paths that have something to say."""
        stop = Stop()
        rows = X if not sparse.issparse(X) else X.tocsr()
        descent = descent_of(self)
        # drawn here, so that a generator gives each path what it would give it one after the other
        seeds = [[descent.seeds(len(grid)) for _ in folds] for grid in grids]
        centred = bool(self.fit_intercept)
        by_gram = _prefers_gram(self, X, folds)

        def score(number, problem=None):
            train, test = folds[number]
            if problem is None:
                weight = None if weights is None else coordinate.rescaled(weights[train])
                problem = coordinate.problem_of(
                    rows, targets[train], weight, rows=train, centred=centred, by_gram=by_gram,
                    narrow=not self._multi_task, stop=stop)
            found = []
            for ratio, grid, each in zip(ratios, grids, seeds):
                path = coordinate.descend(
                    problem, grid, float(ratio), descent, target=None if self._multi_task else 0, seeds=each[number],
                    stop=stop)
                found.append((_squared_errors(rows, targets, weights, test, path, problem, stop), path))
                path.coefs = None
            return found

        with thread_budget() as n_threads:
            if self.n_jobs is not None and self.n_jobs > 0:
                n_threads = min(n_threads, int(self.n_jobs))
            if by_gram and _are_parts(folds, len(targets)):
                shift = coordinate.shift_of(X, 0, centred)
                from_first = targets - targets[:1] if centred else targets
                sums = in_threads(
                    lambda number: coordinate.products(X, from_first, weights, folds[number][1], shift, stop=stop),
                    len(folds), n_threads, stop)
                whole = np.sum(sums, axis=0)

                def score_sums(number):
                    train = folds[number][0]
                    weight, left = None, whole - sums[number]
                    if weights is not None:
                        weight = coordinate.rescaled(weights[train])
                        left *= len(train) / np.sum(weights[train])
                    return score(number, coordinate.problem_of_sums(
                        left, X.dtype, targets[train], weight, shift, centred))

                results = in_threads(score_sums, len(folds), n_threads, stop)
            else:
                results = in_threads(score, len(folds), n_threads, stop)
        scores = np.array([[errors for errors, _ in of_fold] for of_fold in results]).swapaxes(0, 1)
        paths = [of_fold[i][1] for i in range(len(ratios)) for of_fold in results]
        return scores, [path for path in paths if path.messages]


def _numbers(rows):
    """Row numbers of a mask or of numbers."""
    rows = np.asarray(rows)
    return np.ascontiguousarray(np.flatnonzero(rows) if rows.dtype == bool else rows, dtype=np.intp)


def _prefers_gram(estimator, X, folds):
    """Whether folds are descended on their Gram matrices."""
    if estimator._multi_task or sparse.issparse(X):
        return False
    return coordinate.prefers_gram(min(len(train) for train, _ in folds), X.shape[1], estimator.tol)


def _are_parts(folds, n_samples):
    """Whether each row is tested once and is in all other folds: then the sums of a fold are those of all others."""
    tests = np.concatenate([test for _, test in folds])
    if len(tests) != n_samples or (np.bincount(tests, minlength=n_samples) != 1).any():
        return False
    for train, test in folds:
        seen = np.zeros(n_samples, dtype=np.intp)
        np.add.at(seen, train, 1)
        seen[test] += 1
        if (seen != 1).any():
            return False
    return True


def _squared_errors(X, targets, weights, test, path, problem, stop):
    """Of each alpha, the mean over test rows and targets; the same number where an alpha has moved nothing."""
    moved = path.n_iters > 0
    moved[0] = True
    coefs = path.coefs[moved]
    n_alphas, n_features, n_tasks = coefs.shape
    used = np.flatnonzero(coefs.any(axis=(0, 2)))
    kept = coefs[:, used].transpose(1, 0, 2).reshape(len(used), n_alphas * n_tasks)
    intercepts = problem.intercepts(coefs.transpose(0, 2, 1))
    total, sums = 0.0, np.zeros((n_alphas, n_tasks))
    for part in slices(len(test), n_features + n_alphas * n_tasks, coordinate.SLICE_VALUES):
        if stop.is_set():
            break
        rows = test[part]
        values = X[rows][:, used] if sparse.issparse(X) else np.ascontiguousarray(X[rows[:, None], used])
        residues = (values @ kept).reshape(len(rows), n_alphas, n_tasks)
        residues = residues + (intercepts - targets[rows][:, None, :])
        weight = np.ones(len(rows)) if weights is None else weights[rows]
        sums += np.einsum("i,iat,iat->at", weight, residues, residues)
        total += weight.sum()
    return (sums.mean(axis=1) / total)[np.cumsum(moved) - 1]


class ElasticNetCV(CrossValidated, linear_model.ElasticNetCV):
    """:class:`ElasticNet` with ``alpha`` and ``l1_ratio`` chosen by cross-validation, several times faster.

    Each fold descends along the whole grid in one compiled call; folds are on threads.

    Parameters
    ----------
    l1_ratio : float or list of float, default=0.5
        Share of L1, in (0, 1]; of a list the best is taken.
    eps : float, default=1e-3
        The smallest alpha of a grid over the largest.
    alphas : int or array-like, default=100
        How many, from the smallest that leaves no coefficient down to ``eps`` times it, or their values.
    fit_intercept : bool, default=True
    precompute : 'auto', bool or array-like of shape (n_features, n_features), default='auto'
        Whether Gram matrices are made is decided by the shape of X. A matrix is that of centred X, for the last fit.
    max_iter : int, default=1000
    tol : float, default=1e-4
        As in :class:`ElasticNet`.
    cv : int, splitter or iterable, default=None
        Folds, as scikit-learn's ``check_cv`` reads them; None is 5.
    copy_X : bool, default=True
        X is never written to, whatever this says.
    verbose : bool or int, default=0
        Nothing is printed.
    n_jobs : int or None, default=None
        Most threads; None and -1 take what :func:`fasttrain.get_num_threads` gives. The result is the same.
    positive : bool, default=False
        No coefficient below 0.
    random_state : int, RandomState instance or None, default=None
    selection : {'cyclic', 'random'}, default='cyclic'

    Attributes
    ----------
    alpha_, l1_ratio_ : float
        Those chosen.
    coef_ : ndarray of shape (n_features,)
    intercept_ : float
    mse_path_ : ndarray of shape (n_alphas, n_folds) or (n_l1_ratio, n_alphas, n_folds)
    alphas_ : ndarray of shape (n_alphas,) or (n_l1_ratio, n_alphas)
    dual_gap_ : float
    n_iter_ : int
        Sweeps of the last fit.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        When X had column names.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fasttrain.linear_model import ElasticNetCV
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = ElasticNetCV(l1_ratio=[0.5, 0.9], alphas=20).fit(X, y)
    >>> float(model.l1_ratio_), model.mse_path_.shape
    (0.9, (2, 20, 5))
    """

    path: Any = staticmethod(enet_path)

    def __init__(self, *, l1_ratio: float | Sequence[float] = 0.5, eps: float = 1e-3, alphas: int | ArrayLike = 100,
                 fit_intercept: bool = True, precompute: Literal["auto"] | bool | ArrayLike = "auto",
                 max_iter: int = 1000, tol: float = 1e-4, cv: Splitter = None, copy_X: bool = True,
                 verbose: bool | int = 0, n_jobs: int | None = None, positive: bool = False,
                 random_state: RandomStateLike = None, selection: Literal["cyclic", "random"] = "cyclic") -> None:
        keep_parameters(self, locals())


class LassoCV(CrossValidated, linear_model.LassoCV):
    """:class:`Lasso` with ``alpha`` chosen by cross-validation: scikit-learn's estimator, many times faster.

    Each fold descends along the whole grid in one compiled call; folds are on threads.

    Parameters
    ----------
    eps : float, default=1e-3
        The smallest alpha of a grid over the largest.
    alphas : int or array-like, default=100
        How many, from the smallest that leaves no coefficient down to ``eps`` times it, or their values.
    fit_intercept : bool, default=True
    precompute : 'auto', bool or array-like of shape (n_features, n_features), default='auto'
        Whether Gram matrices are made is decided by the shape of X. A matrix is that of centred X, for the last fit.
    max_iter : int, default=1000
    tol : float, default=1e-4
        As in :class:`Lasso`.
    copy_X : bool, default=True
        X is never written to, whatever this says.
    cv : int, splitter or iterable, default=None
        Folds, as scikit-learn's ``check_cv`` reads them; None is 5.
    verbose : bool or int, default=False
        Nothing is printed.
    n_jobs : int or None, default=None
        Most threads; None and -1 take what :func:`fasttrain.get_num_threads` gives. The result is the same.
    positive : bool, default=False
        No coefficient below 0.
    random_state : int, RandomState instance or None, default=None
    selection : {'cyclic', 'random'}, default='cyclic'

    Attributes
    ----------
    alpha_ : float
        The one chosen.
    coef_ : ndarray of shape (n_features,)
    intercept_ : float
    mse_path_ : ndarray of shape (n_alphas, n_folds)
    alphas_ : ndarray of shape (n_alphas,)
    dual_gap_ : float
    n_iter_ : int
        Sweeps of the last fit.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        When X had column names.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fasttrain.linear_model import LassoCV
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = LassoCV().fit(X, y)
    >>> round(float(model.alpha_), 4), model.mse_path_.shape
    (0.0038, (100, 5))
    """

    path: Any = staticmethod(lasso_path)

    def __init__(self, *, eps: float = 1e-3, alphas: int | ArrayLike = 100, fit_intercept: bool = True,
                 precompute: Literal["auto"] | bool | ArrayLike = "auto", max_iter: int = 1000, tol: float = 1e-4,
                 copy_X: bool = True, cv: Splitter = None, verbose: bool | int = False, n_jobs: int | None = None,
                 positive: bool = False, random_state: RandomStateLike = None,
                 selection: Literal["cyclic", "random"] = "cyclic") -> None:
        keep_parameters(self, locals())


class MultiTaskElasticNetCV(TakesSparseRows, CrossValidated, linear_model.MultiTaskElasticNetCV):
    """:class:`MultiTaskElasticNet` with ``alpha`` and ``l1_ratio`` chosen by cross-validation, folds on threads.

    Parameters
    ----------
    l1_ratio : float or list of float, default=0.5
        Share of the norms, in (0, 1]; of a list the best is taken.
    eps : float, default=1e-3
        The smallest alpha of a grid over the largest.
    alphas : int or array-like, default=100
        How many, from the smallest that leaves no coefficient down to ``eps`` times it, or their values.
    fit_intercept : bool, default=True
    max_iter : int, default=1000
    tol : float, default=1e-4
        As in :class:`ElasticNet`.
    cv : int, splitter or iterable, default=None
        Folds, as scikit-learn's ``check_cv`` reads them; None is 5.
    copy_X : bool, default=True
        X is never written to, whatever this says.
    verbose : bool or int, default=0
        Nothing is printed.
    n_jobs : int or None, default=None
        Most threads; None and -1 take what :func:`fasttrain.get_num_threads` gives. The result is the same.
    random_state : int, RandomState instance or None, default=None
    selection : {'cyclic', 'random'}, default='cyclic'

    Attributes
    ----------
    alpha_, l1_ratio_ : float
        Those chosen.
    coef_ : ndarray of shape (n_targets, n_features)
    intercept_ : ndarray of shape (n_targets,)
    mse_path_ : ndarray of shape (n_alphas, n_folds) or (n_l1_ratio, n_alphas, n_folds)
    alphas_ : ndarray of shape (n_alphas,) or (n_l1_ratio, n_alphas)
    dual_gap_ : float
    n_iter_ : int
        Sweeps of the last fit.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        When X had column names.

    Examples
    --------
    >>> from fasttrain.linear_model import MultiTaskElasticNetCV
    >>> model = MultiTaskElasticNetCV(cv=3).fit([[0, 0], [1, 1], [2, 2]], [[0, 0], [1, 1], [2, 2]])
    >>> model.coef_.round(2)
    array([[0.52, 0.48],
           [0.52, 0.48]])
    """

    path: Any = staticmethod(enet_path)
    _multi_task = True

    def __init__(self, *, l1_ratio: float | Sequence[float] = 0.5, eps: float = 1e-3, alphas: int | ArrayLike = 100,
                 fit_intercept: bool = True, max_iter: int = 1000, tol: float = 1e-4, cv: Splitter = None,
                 copy_X: bool = True, verbose: bool | int = 0, n_jobs: int | None = None,
                 random_state: RandomStateLike = None, selection: Literal["cyclic", "random"] = "cyclic") -> None:
        keep_parameters(self, locals())


class MultiTaskLassoCV(TakesSparseRows, CrossValidated, linear_model.MultiTaskLassoCV):
    """:class:`MultiTaskLasso` with ``alpha`` chosen by cross-validation, folds on threads.

    Parameters
    ----------
    eps : float, default=1e-3
        The smallest alpha of a grid over the largest.
    alphas : int or array-like, default=100
        How many, from the smallest that leaves no coefficient down to ``eps`` times it, or their values.
    fit_intercept : bool, default=True
    max_iter : int, default=1000
    tol : float, default=1e-4
        As in :class:`ElasticNet`.
    copy_X : bool, default=True
        X is never written to, whatever this says.
    cv : int, splitter or iterable, default=None
        Folds, as scikit-learn's ``check_cv`` reads them; None is 5.
    verbose : bool or int, default=False
        Nothing is printed.
    n_jobs : int or None, default=None
        Most threads; None and -1 take what :func:`fasttrain.get_num_threads` gives. The result is the same.
    random_state : int, RandomState instance or None, default=None
    selection : {'cyclic', 'random'}, default='cyclic'

    Attributes
    ----------
    alpha_ : float
        The one chosen.
    coef_ : ndarray of shape (n_targets, n_features)
    intercept_ : ndarray of shape (n_targets,)
    mse_path_ : ndarray of shape (n_alphas, n_folds)
    alphas_ : ndarray of shape (n_alphas,)
    dual_gap_ : float
    n_iter_ : int
        Sweeps of the last fit.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        When X had column names.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from fasttrain.linear_model import MultiTaskLassoCV
    >>> X, y = make_regression(n_targets=2, noise=4, random_state=0)
    >>> model = MultiTaskLassoCV(alphas=50).fit(X, y)
    >>> model.coef_.shape, model.mse_path_.shape
    ((2, 100), (50, 5))
    """

    path: Any = staticmethod(lasso_path)
    _multi_task = True

    def __init__(self, *, eps: float = 1e-3, alphas: int | ArrayLike = 100, fit_intercept: bool = True,
                 max_iter: int = 1000, tol: float = 1e-4, copy_X: bool = True, cv: Splitter = None,
                 verbose: bool | int = False, n_jobs: int | None = None, random_state: RandomStateLike = None,
                 selection: Literal["cyclic", "random"] = "cyclic") -> None:
        keep_parameters(self, locals())
