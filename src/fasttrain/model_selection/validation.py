"""Cross-validation with a fresh clone for every fold."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import numpy as np
from sklearn import model_selection
from sklearn.base import BaseEstimator, clone, is_classifier, is_regressor
from sklearn.metrics import get_scorer
from sklearn.utils import indexable

from fasttrain._core.types import Array, ArrayLike, EstimatorLike, MatrixLike, Scoring, Splitter
from fasttrain.model_selection._progress import progress_bar
from fasttrain.model_selection.batch.answers import Answers, FoldNumbers, InOrder, PredictionStandIn, StandIn, look_ups
from fasttrain.model_selection.batch.folds import folds_of, take_rows
from fasttrain.model_selection.batch.planner import batch_for, is_routed, require_batch

__all__ = ["cross_val_predict", "cross_val_score", "cross_validate"]

# Means over samples: a score of one row is defined, and the mean of the rows' scores is the score of all rows.
_OF_ONE_ROW = frozenset({
    "accuracy", "neg_mean_squared_error", "neg_mean_absolute_error", "neg_mean_absolute_percentage_error",
    "neg_mean_squared_log_error", "neg_mean_poisson_deviance", "neg_mean_gamma_deviance",
})

# What the folds that could be fitted score beside the caller's metrics.
_MARK = "_fitted"


class _PooledPredictions(BaseEstimator):
    """Answers for the rows of X, by their numbers, with the prediction of the model that did not see the row."""

    def __init__(self, estimators, rows, X):
        self.estimators = estimators
        self.rows = rows
        self.X = X

    def __sklearn_tags__(self):
        return self.estimators[0].__sklearn_tags__()

    @property
    def classes_(self):
        return self.estimators[0].classes_

    def _pool(self, method, numbers):
        parts = {}
        for estimator, rows in zip(self.estimators, self.rows):
            if method != "predict" and not np.array_equal(estimator.classes_, self.classes_):
                raise ValueError(f"a training part lacks a class, so {method} cannot be pooled over the folds")
            for row, value in zip(rows, getattr(estimator, method)(take_rows(self.X, rows))):
                parts[row] = value
        return np.asarray([parts[number] for number in np.asarray(numbers).ravel()])

    def predict(self, numbers):
        return self._pool("predict", numbers)

    def predict_proba(self, numbers):
        if not hasattr(self.estimators[0], "predict_proba"):
            raise AttributeError("predict_proba")
        return self._pool("predict_proba", numbers)

    def decision_function(self, numbers):
        if not hasattr(self.estimators[0], "decision_function"):
            raise AttributeError("decision_function")
        return self._pool("decision_function", numbers)


def _pooled_scorers(estimator, scoring):
    """The scorers that one row is not enough for, by their key in the results; all others as they were."""
    if scoring is None:
        # the estimator's own score: accuracy is a mean over rows, r2 is not
        return {"score": "r2"} if is_regressor(estimator) else {}
    if isinstance(scoring, str):
        return {} if scoring in _OF_ONE_ROW else {"score": scoring}
    if isinstance(scoring, (list, tuple, set)):
        return {name: name for name in scoring if name not in _OF_ONE_ROW}
    if isinstance(scoring, dict):
        return {key: name for key, name in scoring.items() if isinstance(name, str) and name not in _OF_ONE_ROW}
    return {}


def cross_validate(estimator: EstimatorLike, X: MatrixLike, y: ArrayLike | None = None, *,
                   groups: ArrayLike | None = None, scoring: Scoring = None, cv: Splitter = None,
                   n_jobs: int | None = None, verbose: int = 0, params: dict[str, Any] | None = None,
                   pre_dispatch: int | str = "2*n_jobs", return_train_score: bool = False,
                   return_estimator: bool = False, return_indices: bool = False,
                   error_score: Literal["raise"] | float = np.nan, progress: bool = False) -> dict[str, Any]:
    """Scores and times of an estimator over the folds of ``cv``, each fold with a fresh clone.

    Parameters, results and errors are those of :func:`sklearn.model_selection.cross_validate`, with one addition: where
    every test part is one row (leave-one-out) and a metric given by name is not a mean over rows (r2, roc_auc, f1
    ...), it is computed once on the pooled predictions of all folds, and every fold's entry holds that score:
    ``error_score`` if a fold could not be fitted.

    Parameters
    ----------
    estimator : estimator
        Cloned for each fit.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
    groups : array-like of shape (n_samples,), default=None
        For splitters that keep groups together.
    scoring : str, callable, list, tuple, dict or None, default=None
        Names of metrics or functions of (estimator, X, y); None is the estimator's own ``score``. Several are
        scored at once.
    cv : int, splitter or iterable of (train, test), default=None
        None is 5 folds, stratified for classifiers.
    n_jobs : int or None, default=None
        Threads where the fits run as a batch (see :class:`GridSearchCV`), None for all that the process may use.
    verbose : int, default=0
        Above 0, prints what is done.
    params : dict or None, default=None
        For ``fit``, the scorers and the splitter, by scikit-learn's metadata routing when it is enabled.
    pre_dispatch : int or str, default='2*n_jobs'
        Only where the fits are scikit-learn's.
    return_train_score : bool, default=False
        Score the training rows as well.
    return_estimator : bool, default=False
        Keep the fitted estimators.
    return_indices : bool, default=False
        Keep the rows of the folds.
    error_score : 'raise' or number, default=numpy.nan
        Score of a fit that fails, with a warning; 'raise' raises its error.
    progress : bool, default=False
        Show a bar where the fits run as a batch.

    Returns
    -------
    dict of arrays of shape (n_folds,)
        'test_score' (or 'test_' and the name of each metric), 'fit_time', 'score_time' and, as asked for,
        'train_score', 'estimator', 'indices'.

    Raises
    ------
    ValueError
        When every fit fails.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fasttrain.linear_model import LinearRegressor
    >>> from fasttrain.model_selection import LeaveOneOut, cross_validate
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = LinearRegressor(optimizer="lbfgs", tol=None)
    >>> round(float(cross_validate(model, X[:50], y[:50], cv=LeaveOneOut(), scoring="r2")["test_score"].mean()), 2)
    0.09
    """
    if is_routed(params, groups):
        require_batch()
        return model_selection.cross_validate(
            estimator, X, y, groups=groups, scoring=scoring, cv=cv, n_jobs=n_jobs, verbose=verbose, params=params,
            pre_dispatch=pre_dispatch, return_train_score=return_train_score, return_estimator=return_estimator,
            return_indices=return_indices, error_score=error_score,
        )
    X, y, groups = indexable(X, y, groups)
    options = {
        "groups": groups, "n_jobs": n_jobs, "verbose": verbose, "params": params, "pre_dispatch": pre_dispatch,
        "return_train_score": return_train_score, "error_score": error_score, "progress": progress,
    }
    splitter = model_selection.check_cv(cv, y, classifier=is_classifier(estimator))
    folds = folds_of(splitter, X, y, groups)
    pooled = _pooled_scorers(estimator, scoring) if all(len(test) == 1 for _, test in folds) else {}
    if not pooled:
        return _validate(
            estimator, X, y, scoring=scoring, cv=folds, return_estimator=return_estimator,
            return_indices=return_indices, **options,
        )
    scorers = {key: get_scorer(name) for key, name in pooled.items()}
    # a number that error_score is not tells the folds that could be fitted
    mark = 0.0 if error_score != 0.0 else 1.0
    results = _validate(
        estimator, X, y, scoring={**_without(scoring, pooled), _MARK: partial(_constant, mark)}, cv=folds,
        return_estimator=True, return_indices=return_indices, **options,
    )
    fitted = results.pop(f"test_{_MARK}") == mark
    results.pop(f"train_{_MARK}", None)
    X, y = (rows if hasattr(rows, "shape") else list(rows) for rows in (X, y))
    if fitted.all():
        pool = _PooledPredictions(results["estimator"], [test for _, test in folds], X)
        numbers = np.concatenate([test for _, test in folds])
    for key, scorer in scorers.items():
        score = scorer(pool, numbers.reshape(-1, 1), np.asarray(take_rows(y, numbers))) if fitted.all() else error_score
        results[f"test_{key}"] = np.full(len(folds), score)
        if return_train_score:
            results[f"train_{key}"] = np.array([
                scorer(model, take_rows(X, train), take_rows(y, train)) if good else error_score
                for model, (train, _), good in zip(results["estimator"], folds, fitted)
            ])
    if not return_estimator:
        del results["estimator"]
    return results


def _validate(estimator, X, y, *, scoring, cv, n_jobs, error_score, params, progress, verbose, return_train_score,
              return_estimator, return_indices, **options):
    """scikit-learn's function over materialized folds; over the outcomes of a batch where one can be made."""
    common = {"verbose": verbose, "return_train_score": return_train_score, "error_score": error_score}
    batch = batch_for(
        estimator, X, y, cv, scoring, n_jobs=n_jobs, error_score=error_score, params=params,
        return_train_score=return_train_score, keep_models=return_estimator,
    )
    if batch is None:
        require_batch()
        return model_selection.cross_validate(
            estimator, X, y, scoring=scoring, cv=cv, n_jobs=n_jobs, params=params, return_estimator=return_estimator,
            return_indices=return_indices, **common, **options,
        )
    answers = Answers()
    with progress_bar(progress, batch):
        answers.load(batch.run([{}]))
    [outcomes] = answers.outcomes
    if verbose or not all(outcome.is_plain for outcome in outcomes):
        # what becomes of errors is for scikit-learn to say
        folds = FoldNumbers(len(cv))
        results = model_selection.cross_validate(
            StandIn(estimator, answers), folds.X, scoring=look_ups(batch.scoring), cv=folds, n_jobs=1, **common)
    else:
        results = {}
        for key in batch.scoring.scorers:
            name = "score" if key is None else key
            results[f"test_{name}"] = np.array([outcome.test[key] for outcome in outcomes])
            if return_train_score:
                results[f"train_{name}"] = np.array([outcome.train[key] for outcome in outcomes])
    times = {name: np.array([getattr(outcome, name) for outcome in outcomes]) for name in ("fit_time", "score_time")}
    extra = {}
    if return_estimator:
        extra["estimator"] = [
            clone(estimator) if outcome.model is None else outcome.model for outcome in outcomes
        ]
    if return_indices:
        extra["indices"] = dict(zip(("train", "test"), zip(*cv)))
    return {**times, **extra, **{name: values for name, values in results.items() if name not in times}}


def _constant(value, estimator, X, y=None):
    return value


def _without(scoring, pooled):
    """The metrics that are scored fold by fold, by their key in the results."""
    if isinstance(scoring, dict):
        return {key: scorer for key, scorer in scoring.items() if key not in pooled}
    if isinstance(scoring, (list, tuple, set)):
        return {name: name for name in scoring if name not in pooled}
    return {}


def cross_val_score(estimator: EstimatorLike, X: MatrixLike, y: ArrayLike | None = None, *,
                    groups: ArrayLike | None = None, scoring: Scoring = None, cv: Splitter = None,
                    n_jobs: int | None = None, verbose: int = 0, params: dict[str, Any] | None = None,
                    pre_dispatch: int | str = "2*n_jobs", error_score: Literal["raise"] | float = np.nan) -> Array:
    """Scores of an estimator over the folds of ``cv``: ``test_score`` of :func:`cross_validate`.

    Parameters are those of :func:`sklearn.model_selection.cross_val_score`.

    Parameters
    ----------
    estimator : estimator
        Cloned for each fit.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
    groups : array-like of shape (n_samples,), default=None
        For splitters that keep groups together.
    scoring : str, callable or None, default=None
        Name of a metric or a function of (estimator, X, y); None is the estimator's own ``score``.
    cv : int, splitter or iterable of (train, test), default=None
        None is 5 folds, stratified for classifiers.
    n_jobs : int or None, default=None
        Threads where the fits run as a batch (see :class:`GridSearchCV`), None for all that the process may use.
    verbose : int, default=0
        Above 0, prints what is done.
    params : dict or None, default=None
        For ``fit``, the scorers and the splitter, by scikit-learn's metadata routing when it is enabled.
    pre_dispatch : int or str, default='2*n_jobs'
        Only where the fits are scikit-learn's.
    error_score : 'raise' or number, default=numpy.nan
        Score of a fit that fails, with a warning; 'raise' raises its error.

    Returns
    -------
    ndarray of shape (n_folds,), float64

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fasttrain.linear_model import LinearClassifier
    >>> from fasttrain.model_selection import cross_val_score
    >>> X, y = load_iris(return_X_y=True)
    >>> cross_val_score(LinearClassifier(), X, y, cv=3).shape
    (3,)
    """
    if isinstance(scoring, (list, tuple, set, dict)):
        raise ValueError(f"scoring must be one metric for cross_val_score, got {scoring!r}; use cross_validate")
    results = cross_validate(
        estimator, X, y, groups=groups, scoring=scoring, cv=cv, n_jobs=n_jobs, verbose=verbose, params=params,
        pre_dispatch=pre_dispatch, error_score=error_score,
    )
    if "test_score" not in results:
        raise ValueError(f"scoring must return one number for cross_val_score, got several from {scoring!r}")
    return results["test_score"]


def cross_val_predict(estimator: EstimatorLike, X: MatrixLike, y: Any = None, *, groups: ArrayLike | None = None,
                      cv: Splitter = None, n_jobs: int | None = None, verbose: int = 0,
                      params: dict[str, Any] | None = None, pre_dispatch: int | str = "2*n_jobs",
                      method: str = "predict", progress: bool = False) -> Any:
    """Prediction for each row from the model of the fold that held it out.

    Parameters, result and errors are those of :func:`sklearn.model_selection.cross_val_predict`.

    Parameters
    ----------
    estimator : estimator
        Cloned for each fit.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
    groups : array-like of shape (n_samples,), default=None
        For splitters that keep groups together.
    cv : int, splitter or iterable of (train, test), default=None
        None is 5 folds, stratified for classifiers.
    n_jobs : int or None, default=None
        Threads where the fits run as a batch (see :class:`GridSearchCV`), None for all that the process may use.
    verbose : int, default=0
        Above 0, prints what is done.
    params : dict or None, default=None
        For ``fit``, the scorers and the splitter, by scikit-learn's metadata routing when it is enabled.
    pre_dispatch : int or str, default='2*n_jobs'
        Only where the fits are scikit-learn's.
    method : str, default='predict'
        Which of the estimator's methods: 'predict_proba', 'decision_function' ...
    progress : bool, default=False
        Show a bar where the fits run as a batch.

    Returns
    -------
    ndarray of shape (n_samples,), (n_samples, n_outputs) or (n_samples, n_classes)
        Of a multilabel ``predict_proba`` a list of them.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fasttrain.linear_model import SGDClassifier
    >>> from fasttrain.model_selection import cross_val_predict
    >>> X, y = load_iris(return_X_y=True)
    >>> cross_val_predict(SGDClassifier(random_state=0), X, y, cv=3, method="decision_function").shape
    (150, 3)
    """
    X, y, groups = indexable(X, y, groups)
    batch = None
    if not is_routed(params, groups):
        splitter = model_selection.check_cv(cv, y, classifier=is_classifier(estimator))
        cv, groups = folds_of(splitter, X, y, groups), None
        # without a partition of the rows there is nothing to predict for, so nothing is fitted
        tests = np.concatenate([np.arange(_count(X))[test] for _, test in cv]) if cv else np.empty(0)
        if method in _METHODS and np.array_equal(np.sort(tests), np.arange(_count(X))):
            batch = batch_for(
                estimator, X, y, cv, partial(_predicted, method), n_jobs=n_jobs, error_score="raise", params=params)
    if batch is None:
        return model_selection.cross_val_predict(
            estimator, X, y, groups=groups, cv=cv, n_jobs=n_jobs, verbose=verbose, params=params,
            pre_dispatch=pre_dispatch, method=method,
        )
    answers = InOrder()
    with progress_bar(progress, batch):
        answers.load(batch.run([{}]))
    numbers = np.arange(_count(X)).reshape(-1, 1)
    if method != "predict" and is_classifier(estimator) and batch.rows_of_y.ndim == 1:
        # scikit-learn numbers the classes before it fits
        classes = np.unique(batch.rows_of_y)
        for outcome in answers.outcomes[0]:
            if outcome.error is None and not isinstance(outcome.test[None], Exception):
                prediction, own = outcome.test[None]
                outcome.test[None] = prediction, np.searchsorted(classes, own)
    return model_selection.cross_val_predict(
        PredictionStandIn(estimator, answers), numbers, y, cv=cv, n_jobs=1, verbose=verbose, method=method)


_METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function")


def _predicted(method, estimator, X, y=None):
    return getattr(estimator, method)(X), getattr(estimator, "classes_", None)


def _count(X):
    return X.shape[0] if hasattr(X, "shape") else len(X)
