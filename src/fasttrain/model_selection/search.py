"""Grid and randomized search over whole batches of fits."""

from __future__ import annotations

import time
from contextlib import nullcontext
from functools import lru_cache
from inspect import signature
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from sklearn import model_selection
from sklearn.base import clone, is_classifier
from sklearn.dummy import DummyRegressor
from sklearn.model_selection import ParameterGrid, ParameterSampler
from sklearn.utils import indexable

from fasttrain._core.types import ArrayLike, EstimatorLike, RandomStateLike, Scoring, Self, Splitter
from fasttrain._estimators.fitted import all_or_nothing
from fasttrain._estimators.following import with_callbacks
from fasttrain.model_selection._following import SearchTasks, hears_of_epochs
from fasttrain.model_selection._progress import progress_bar
from fasttrain.model_selection.batch.answers import Answers, FoldNumbers, StandIn, look_ups
from fasttrain.model_selection.batch.folds import folds_of
from fasttrain.model_selection.batch.planner import (
    Batch, batch_for, is_followed, is_routed, parts_of, require_batch, runs_elsewhere,
)

__all__ = ["BatchSearch", "GridSearchCV", "RandomizedSearchCV"]

_FOUND = ("cv_results_", "best_index_", "best_score_", "best_params_", "multimetric_", "n_splits_")


class _Hook:
    """scikit-learn's search over answers: before it evaluates candidates, the batch has fitted them."""

    def _run_search(self, evaluate_candidates):
        self.search._schedule(self, self.evaluate(evaluate_candidates))

    def evaluate(self, evaluate_candidates):
        """What a search calls with its candidates, in place of scikit-learn's ``evaluate_candidates``."""
        past = []

        def evaluate(candidates, more_results=None, run=self.batch.run):
            candidates = list(candidates)
            try:
                outcomes = run(candidates)
            except KeyboardInterrupt:
                finished = self.batch.finished()
                if finished:
                    self.batch.answers.load(self.batch.outcomes(finished))
                    more = {key: [values[i] for i in finished] for key, values in (more_results or {}).items()}
                    self.partial = evaluate_candidates([candidates[i] for i in finished], more_results=more)
                    _set_times(self.partial, [*past, *self.batch.answers.outcomes])
                raise
            self.batch.answers.load(outcomes)
            results = evaluate_candidates(candidates, more_results=more_results)
            past.extend(outcomes)
            _set_times(results, past)
            self.partial = results
            return results

        return evaluate


def _set_times(results, outcomes):
    """scikit-learn has measured how long looking up took."""
    for name in ("fit_time", "score_time"):
        seconds = np.array([[getattr(outcome, name) for outcome in row] for row in outcomes])
        results[f"mean_{name}"] = seconds.mean(axis=1)
        results[f"std_{name}"] = seconds.std(axis=1)


@lru_cache
def _weights_reach_scorers():
    """Whether this scikit-learn's searches give ``sample_weight`` to scorers that take it, as releases differ in."""
    seen = []

    def scorer(estimator, X, y=None, sample_weight=None):
        seen.append(sample_weight is not None)
        return 0.0

    rows = np.arange(4.0).reshape(-1, 1)
    search = model_selection.GridSearchCV(DummyRegressor(), {}, scoring=scorer, cv=2, refit=False)
    search.fit(rows, rows[:, 0], sample_weight=np.ones(4))
    return all(seen)


class BatchSearch:
    """Mixed into a search of scikit-learn.

    ``_base`` is that search's class, ``_batch_class`` what fits and scores, ``_batched_params`` what ``fit`` may be
    given beside the data for a batch.
    """

    progress: bool
    cv_results_: dict[str, Any]
    best_estimator_: Any
    best_score_: float
    scorer_: Any
    refit_time_: float

    _batch_class = Batch
    _batched_params = frozenset({"groups", "sample_weight"})

    def fit(self, X: ArrayLike, y: ArrayLike | None = None, **params: Any) -> Self:
        """Fit and score all candidates, then refit the best one on all of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        **params : dict
            For the estimator's ``fit``, the scorer and the splitter (``groups``), as in scikit-learn.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            As scikit-learn's.
        KeyboardInterrupt
            Within 100 ms of Ctrl-C. ``cv_results_`` then holds the candidates that were through with all folds.
        """
        # an interrupted search keeps what is through
        with all_or_nothing(self, Exception):
            return self._fit(X, y, params)

    def _fit(self, X, y, params):
        batch, n_splits = self._batch(X, y, params)
        if batch is None:
            return self._elsewhere(X, y, params)
        if is_followed(self):
            self._fit_followed(batch, n_splits, X, y, params)
        else:
            self._fit_batch(batch, n_splits, X, y, params)
        return self

    @with_callbacks
    def _fit_followed(self, batch, n_splits, X, y, params):
        batch.tasks = SearchTasks(self, X, y, params.get("sample_weight"))
        self._fit_batch(batch, n_splits, X, y, params)
        batch.tasks.finish()

    def _fit_batch(self, batch, n_splits, X, y, params):
        peer = self._peer(batch, n_splits)
        try:
            with progress_bar(self.progress, batch):
                peer.fit(FoldNumbers(len(batch.folds)).X)
        except KeyboardInterrupt:
            if getattr(peer, "partial", None) is not None:
                self.cv_results_ = peer.partial
            raise
        for name in _FOUND:
            if hasattr(peer, name):
                setattr(self, name, getattr(peer, name))
            elif name in vars(self):
                delattr(self, name)
        self._adopt(peer)
        self.scorer_ = batch.scoring.scorers[None] if batch.scoring.single else dict(batch.scoring.scorers)
        if self.refit:
            weights = {} if batch.weights is None else {"sample_weight": params["sample_weight"]}
            self._refit(batch, X, y, **weights)

    def _elsewhere(self, X, y, params):
        """What becomes of a fit that no batch can be made for."""
        require_batch()
        return super().fit(X, y, **params)

    def _batch(self, X, y, params):
        """The batch for this fit and the splitter's own count of folds; None when scikit-learn's fit is to do it."""
        if set(params) - self._batched_params or is_routed(params):
            return None, None
        weights = {name: value for name, value in params.items() if name == "sample_weight" and value is not None}
        if y is None or parts_of(self.estimator) is None:
            return None, None
        if is_followed(self) and (hears_of_epochs(self) or runs_elsewhere()):
            # every fit tells of itself, which those of a batch do not
            return None, None
        try:
            splitter = model_selection.check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        except ValueError:
            return None, None
        X, y, groups = indexable(X, y, params.get("groups"))
        n_splits = splitter.get_n_splits(X, y, groups)
        batch = batch_for(
            self.estimator, X, y, folds_of(splitter, X, y, groups), self.scoring, n_jobs=self.n_jobs,
            error_score=self.error_score, return_train_score=self.return_train_score, batch_class=self._batch_class,
            params=weights, weighted_scores=bool(weights) and _weights_reach_scorers(),
        )
        if batch is not None and batch.weighted_scores and not batch.scoring.take_weights:
            # whose weights go where is for scikit-learn to say
            return None, None
        if batch is not None:
            batch.answers = Answers()
        return batch, n_splits

    def _peer(self, batch, n_splits):
        base = self._base
        peer_class = type(base.__name__, (_Hook, base), {})
        settings = self._settings(batch)
        settings.update(
            estimator=StandIn(self.estimator, batch.answers), scoring=look_ups(batch.scoring), n_jobs=1,
            cv=FoldNumbers(len(batch.folds), n_splits),
        )
        peer = peer_class(**settings)
        peer.search, peer.batch = self, batch
        return peer

    def _settings(self, batch):
        """Parameters of the search that runs over the answers, as far as they are this one's."""
        return {name: getattr(self, name) for name in signature(self._base).parameters}

    def _adopt(self, peer):
        """Attributes beyond those that every search has."""

    def _refit(self, batch, X, y, **params):
        self.best_estimator_ = clone(self.estimator).set_params(**clone(self.best_params_, safe=False))
        with nullcontext() if batch.tasks is None else batch.tasks.refitting(self.best_estimator_):
            start = time.time()
            self.best_estimator_.fit(X, y, **params)
            self.refit_time_ = time.time() - start
        if hasattr(self.best_estimator_, "feature_names_in_"):
            self.feature_names_in_: Any = self.best_estimator_.feature_names_in_
        else:
            vars(self).pop("feature_names_in_", None)


class GridSearchCV(BatchSearch, model_selection.GridSearchCV):
    """Exhaustive search over parameter values, all candidates and folds fitted as one batch.

    Parameters, attributes and results are those of :class:`sklearn.model_selection.GridSearchCV`. Estimators of
    fasttrain, alone or behind its scalers and encoders in a :class:`sklearn.pipeline.Pipeline`, run as a batch: SGD
    candidates of a fold walk its rows together, full-batch linear fits are columns of one matrix product, everything
    else is fitted one to a thread. Anything else goes to scikit-learn, unchanged; so do metadata routing, joblib
    backends beyond this machine (Dask, Ray), and fit parameters other than ``groups`` and ``sample_weight``; the latter
    also beside metrics that a batch does not compute itself.

    Parameters
    ----------
    estimator : estimator
    param_grid : dict or list of dicts
    scoring : str, callable, list, tuple, set, dict or None, default=None
    n_jobs : int or None, default=None
        Threads; None takes what :func:`fasttrain.set_num_threads` and the machine allow.
    refit : bool, str or callable, default=True
    cv : int, splitter or iterable of (train, test), default=None
    verbose : int, default=0
        The times it prints for fits of a batch are those of looking up.
    pre_dispatch : int or str, default='2*n_jobs'
        For scikit-learn's own path.
    error_score : 'raise' or number, default=nan
    return_train_score : bool, default=False
    progress : bool, default=False
        Show a bar of the fits.

    Attributes
    ----------
    cv_results_ : dict of arrays
        ``mean_fit_time`` is the share of a fit in the time of those it was trained together with. After Ctrl-C, the
        candidates that were through with all folds.
    best_estimator_, best_score_, best_params_, best_index_, scorer_, n_splits_, refit_time_, multimetric_, classes_, \
n_features_in_, feature_names_in_
        As in scikit-learn.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.pipeline import make_pipeline
    >>> from fasttrain.linear_model import SGDClassifier
    >>> from fasttrain.model_selection import GridSearchCV
    >>> from fasttrain.preprocessing import StandardScaler
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = make_pipeline(StandardScaler(), SGDClassifier(random_state=0))
    >>> search = GridSearchCV(model, {"sgdclassifier__alpha": [1e-3, 1e-1, 1e1]}).fit(X, y)
    >>> search.best_params_
    {'sgdclassifier__alpha': 0.1}
    """

    _base = model_selection.GridSearchCV

    def __init__(self, estimator: EstimatorLike, param_grid: Mapping[str, Any] | Sequence[Mapping[str, Any]], *,
                 scoring: Scoring = None, n_jobs: int | None = None, refit: bool | str | Callable[..., Any] = True,
                 cv: Splitter = None, verbose: int = 0, pre_dispatch: int | str = "2*n_jobs",
                 error_score: Literal["raise"] | float = np.nan, return_train_score: bool = False,
                 progress: bool = False) -> None:
        super().__init__(
            estimator, param_grid, scoring=scoring, n_jobs=n_jobs, refit=refit, cv=cv, verbose=verbose,
            pre_dispatch=pre_dispatch, error_score=error_score, return_train_score=return_train_score,
        )
        self.progress = progress

    def _schedule(self, peer, evaluate):
        evaluate(ParameterGrid(self.param_grid))


class RandomizedSearchCV(BatchSearch, model_selection.RandomizedSearchCV):
    """Search over drawn parameter values, all candidates and folds fitted as one batch.

    Parameters, attributes and results are those of :class:`sklearn.model_selection.RandomizedSearchCV`; what runs as a
    batch is told under :class:`GridSearchCV`.

    Parameters
    ----------
    estimator : estimator
    param_distributions : dict or list of dicts
    n_iter : int, default=10
    scoring, n_jobs, refit, cv, verbose, pre_dispatch, error_score, return_train_score, progress
        As for :class:`GridSearchCV`.
    random_state : int, RandomState instance or None, default=None

    Attributes
    ----------
    cv_results_, best_estimator_, best_score_, best_params_, best_index_, scorer_, n_splits_, refit_time_, \
multimetric_, classes_, n_features_in_, feature_names_in_
        As for :class:`GridSearchCV`.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import make_classification
    >>> from fasttrain.linear_model import SGDClassifier
    >>> from fasttrain.model_selection import RandomizedSearchCV
    >>> X, y = make_classification(random_state=0)
    >>> model = SGDClassifier(random_state=0)
    >>> search = RandomizedSearchCV(model, {"alpha": loguniform(1e-5, 1e1)}, random_state=0).fit(X, y)
    >>> len(search.cv_results_["params"])
    10
    """

    _base = model_selection.RandomizedSearchCV

    def __init__(self, estimator: EstimatorLike, param_distributions: Mapping[str, Any] | Sequence[Mapping[str, Any]],
                 *, n_iter: int = 10, scoring: Scoring = None, n_jobs: int | None = None, refit: bool = True,
                 cv: Splitter = None, verbose: int = 0, pre_dispatch: int | str = "2*n_jobs",
                 random_state: RandomStateLike = None, error_score: Literal["raise"] | float = np.nan,
                 return_train_score: bool = False, progress: bool = False) -> None:
        super().__init__(
            estimator, param_distributions, n_iter=n_iter, scoring=scoring, n_jobs=n_jobs, refit=refit, cv=cv,
            verbose=verbose, pre_dispatch=pre_dispatch, random_state=random_state, error_score=error_score,
            return_train_score=return_train_score,
        )
        self.progress = progress

    def _schedule(self, peer, evaluate):
        evaluate(ParameterSampler(self.param_distributions, self.n_iter, random_state=self.random_state))
