"""Scores against a parameter and against the number of training rows, all fits in one batch."""

from __future__ import annotations

import copy
from typing import Any, Literal

import numpy as np
from sklearn import model_selection
from sklearn.base import is_classifier
from sklearn.utils import check_random_state, indexable

from fasttrain._core.types import Array, ArrayLike, EstimatorLike, MatrixLike, RandomStateLike, Scoring, Splitter
from fasttrain.model_selection._progress import progress_bar
from fasttrain.model_selection.batch.answers import Answers, FoldNumbers, InOrder, Recorder, StandIn, look_ups
from fasttrain.model_selection.batch.folds import folds_of
from fasttrain.model_selection.batch.planner import batch_for, is_routed

__all__ = ["learning_curve", "validation_curve"]


def _batch(estimator, X, y, groups, cv, scoring, *, params, **options):
    """(batch, folds); the batch is None when the work is for scikit-learn's own function."""
    if is_routed(params, groups):
        return None, cv
    X, y, groups = indexable(X, y, groups)
    splitter = model_selection.check_cv(cv, y, classifier=is_classifier(estimator))
    folds = folds_of(splitter, X, y, groups)
    return batch_for(estimator, X, y, folds, scoring, params=params, return_train_score=True, **options), folds


def validation_curve(estimator: EstimatorLike, X: MatrixLike, y: ArrayLike, *, param_name: str, param_range: ArrayLike,
                     groups: ArrayLike | None = None, cv: Splitter = None, scoring: Scoring = None,
                     n_jobs: int | None = None, pre_dispatch: int | str = "all", verbose: int = 0,
                     error_score: Literal["raise"] | float = np.nan, params: dict[str, Any] | None = None,
                     progress: bool = False) -> tuple[Array, Array]:
    """Training and test scores for each value of one parameter.

    Parameters, results and errors are those of :func:`sklearn.model_selection.validation_curve`.

    Parameters
    ----------
    estimator : estimator
        Cloned for each fit.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    groups : array-like of shape (n_samples,), default=None
        For splitters that keep groups together.
    param_name : str
        Of the estimator, as of its ``set_params``.
    param_range : array-like of shape (n_values,)
        Its values.
    cv : int, splitter or iterable of (train, test), default=None
        None is 5 folds, stratified for classifiers.
    scoring : str, callable, or None, default=None
        Names of metrics or functions of (estimator, X, y); None is the estimator's own ``score``.
    n_jobs : int or None, default=None
        Threads where the fits run as a batch (see :class:`GridSearchCV`), None for all that the process may use.
    verbose : int, default=0
        Above 0, prints what is done.
    pre_dispatch : int or str, default='all'
        Only where the fits are scikit-learn's.
    error_score : 'raise' or number, default=numpy.nan
        Score of a fit that fails, with a warning; 'raise' raises its error.
    params : dict or None, default=None
        For ``fit`` and the scorer.
    progress : bool, default=False
        Show a bar where the fits run as a batch.

    Returns
    -------
    train_scores, test_scores : arrays of shape (n_values, n_folds), float64

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fasttrain.linear_model import SGDClassifier
    >>> from fasttrain.model_selection import validation_curve
    >>> X, y = load_iris(return_X_y=True)
    >>> model = SGDClassifier(random_state=0)
    >>> train, test = validation_curve(model, X, y, param_name="alpha", param_range=[1e-3, 1e-1], cv=3)
    >>> test.shape
    (2, 3)
    """
    common = {"param_name": param_name, "verbose": verbose, "error_score": error_score}
    batch, folds = _batch(
        estimator, X, y, groups, cv, scoring, n_jobs=n_jobs, error_score=error_score, params=params)
    if batch is None or isinstance(scoring, (list, tuple, set, dict)):
        return model_selection.validation_curve(
            estimator, X, y, param_range=param_range, groups=groups, cv=folds, scoring=scoring, n_jobs=n_jobs,
            pre_dispatch=pre_dispatch, params=params, **common,
        )
    values = list(param_range)
    answers = Answers()
    with progress_bar(progress, batch):
        answers.load(batch.run([{param_name: value} for value in values]))
    numbers = FoldNumbers(len(folds))
    return model_selection.validation_curve(
        StandIn(estimator, answers), numbers.X, None, param_range=values, cv=numbers, scoring=look_ups(batch.scoring),
        n_jobs=1, **common,
    )


def learning_curve(estimator: EstimatorLike, X: MatrixLike, y: ArrayLike, *, groups: ArrayLike | None = None,
                   train_sizes: ArrayLike = np.linspace(0.1, 1.0, 5),  # noqa: B008
                   cv: Splitter = None, scoring: Scoring = None,
                   exploit_incremental_learning: bool = False, n_jobs: int | None = None,
                   pre_dispatch: int | str = "all", verbose: int = 0, shuffle: bool = False,
                   random_state: RandomStateLike = None, error_score: Literal["raise"] | float = np.nan,
                   return_times: bool = False, params: dict[str, Any] | None = None,
                   progress: bool = False) -> tuple[Array, ...]:
    """Training and test scores for growing numbers of training rows.

    Parameters, results and errors are those of :func:`sklearn.model_selection.learning_curve`.

    Parameters
    ----------
    estimator : estimator
        Cloned for each fit.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    groups : array-like of shape (n_samples,), default=None
        For splitters that keep groups together.
    train_sizes : array-like of shape (n_sizes,), default=numpy.linspace(0.1, 1.0, 5)
        Shares of the largest training part, or numbers of rows.
    cv : int, splitter or iterable of (train, test), default=None
        None is 5 folds, stratified for classifiers.
    scoring : str, callable, or None, default=None
        Names of metrics or functions of (estimator, X, y); None is the estimator's own ``score``.
    exploit_incremental_learning : bool, default=False
        Grow the same model by ``partial_fit``; such curves are scikit-learn's own.
    n_jobs : int or None, default=None
        Threads where the fits run as a batch (see :class:`GridSearchCV`), None for all that the process may use.
    verbose : int, default=0
        Above 0, prints what is done.
    pre_dispatch : int or str, default='all'
        Only where the fits are scikit-learn's.
    shuffle : bool, default=False
        Shuffle the training rows before the first of them are taken.
    random_state : int, RandomState instance or None, default=None
        Draws that order.
    error_score : 'raise' or number, default=numpy.nan
        Score of a fit that fails, with a warning; 'raise' raises its error.
    return_times : bool, default=False
        Return the times as well.
    params : dict or None, default=None
        For ``fit`` and the scorer.
    progress : bool, default=False
        Show a bar where the fits run as a batch.

    Returns
    -------
    train_sizes_abs : array of shape (n_sizes,), int
    train_scores, test_scores : arrays of shape (n_sizes, n_folds), float64
    fit_times, score_times : arrays of shape (n_sizes, n_folds), float64
        With ``return_times``.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fasttrain.linear_model import SGDClassifier
    >>> from fasttrain.model_selection import learning_curve
    >>> X, y = load_iris(return_X_y=True)
    >>> model = SGDClassifier(random_state=0)
    >>> sizes, train, test = learning_curve(model, X, y, train_sizes=[50, 100], cv=3, shuffle=True, random_state=0)
    >>> sizes.tolist(), test.shape
    ([50, 100], (2, 3))
    """
    common = {"train_sizes": train_sizes, "shuffle": shuffle, "error_score": error_score}
    batch, folds = _batch(
        estimator, X, y, groups, cv, scoring, n_jobs=n_jobs, error_score=error_score, params=params)
    if batch is None or exploit_incremental_learning or isinstance(scoring, (list, tuple, set, dict)):
        return model_selection.learning_curve(
            estimator, X, y, groups=groups, cv=folds, scoring=scoring, n_jobs=n_jobs, pre_dispatch=pre_dispatch,
            exploit_incremental_learning=exploit_incremental_learning, verbose=verbose, random_state=random_state,
            return_times=return_times, params=params, **common,
        )
    random_state = check_random_state(random_state)
    numbers = np.arange(len(batch.rows_of_y)).reshape(-1, 1)
    recorded = []
    model_selection.learning_curve(
        Recorder(recorded), numbers, None, cv=folds, scoring=Recorder.record_test, n_jobs=1,
        random_state=copy.deepcopy(random_state), **common,
    )
    batch.set_folds([(job["train"], job["test"]) for job in recorded])
    answers = InOrder()
    with progress_bar(progress, batch):
        answers.load(batch.run([{}]))
    sizes, *scores = model_selection.learning_curve(
        StandIn(estimator, answers), numbers, None, cv=folds, scoring=look_ups(batch.scoring), n_jobs=1,
        random_state=random_state, verbose=verbose, **common,
    )
    if return_times:
        [outcomes] = answers.outcomes
        for name in ("fit_time", "score_time"):
            seconds = np.array([getattr(outcome, name) for outcome in outcomes])
            scores.append(seconds.reshape(-1, len(sizes)).T)
    return (sizes, *scores)
