"""Successive halving over epochs, without training anything anew."""

from __future__ import annotations

import math
import threading
import time
from numbers import Integral
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from sklearn import model_selection
from sklearn.model_selection import ParameterGrid
from sklearn.utils import compute_class_weight

from fasttrain._core.checks import check_integer, check_real
from fasttrain._core.types import ArrayLike, EstimatorLike, Scoring, Self, Splitter
from fasttrain._estimators.registry import fit_rules
from fasttrain._kernels.threads import num_threads
from fasttrain.model_selection.batch.folds import gathered, sites_of, take_rows, transformed
from fasttrain.model_selection.batch.planner import Batch, Outcome, parts_of, require_batch
from fasttrain.model_selection.search import BatchSearch
from fasttrain.training.engine import SLICE_SECONDS

__all__ = ["Race", "RacingSearchCV"]


class Race(Batch):
    """A batch whose models go on where they stopped."""

    def enter(self, candidates):
        """Make the models, a fold's each, of all candidates."""
        self.lanes = [list(self._jobs_of(number, params)) for number, params in enumerate(candidates)]
        for jobs in self.lanes:
            for job in jobs:
                if isinstance(job.model.random_state, Integral):
                    # an int would give every epoch the same order of rows
                    job.model.random_state = np.random.RandomState(job.model.random_state)
                if isinstance(getattr(job.model, "class_weight", None), str):
                    self._balance(job)

    def _balance(self, job):
        """'balanced' as numbers: an epoch does not see all classes at once, but the fold does."""
        y = self.rows_of_y[self.folds[job.fold][0]]
        try:
            classes = np.unique(y)
            weights = compute_class_weight(job.model.class_weight, classes=classes, y=y)
            job.model.class_weight = dict(zip(classes.tolist(), weights.tolist()))
        except ValueError as error:
            job.outcome.error = error

    def advance(self, numbers, epochs):
        """Train some candidates for more epochs and score them; their outcomes."""
        self.begin(numbers)
        with self.telling():
            plain, changed = sites_of(self.jobs)
            rows = {}
            for site in [*plain, *changed]:
                site.jobs.sort(key=self.size, reverse=True)
                jobs = [job for job in site.jobs if job.outcome.error is None]
                rows |= dict.fromkeys(jobs, _SiteRows(self, site, len(jobs)))
            for job in self.jobs:
                job.done = job not in rows
            # fold after fold, without a wait between them: threads that a fold has no more work for begin the next one
            self._run_pool(list(rows), lambda job: self._advance(job, rows[job], epochs))
        return self.outcomes_of(numbers)

    def begin(self, numbers):
        """Make the models of some candidates the jobs that are under way."""
        self.jobs = [job for number in numbers for job in self.lanes[number]]
        for job in self.jobs:
            job.done = False
            job.outcome = Outcome(error=job.outcome.error, fit_time=job.outcome.fit_time)

    def outcomes_of(self, numbers):
        """One a fold of each of some candidates."""
        return [[job.outcome for job in self.lanes[number]] for number in numbers]

    def _advance(self, job, rows, epochs):
        """In a thread of the pool: so many epochs of one model."""
        try:
            X, y, classes, data = rows.made()
            start = time.perf_counter()
            options = {}
            if classes is not None and not hasattr(job.model, "n_features_in_"):
                options["classes"] = classes
            try:
                with num_threads(1):
                    self._train(job, X, y, epochs, options)
            finally:
                job.outcome.fit_time += time.perf_counter() - start
            job.steps, job.data = rows.site.fitted, data
        except Exception as error:
            job.outcome.error = error
        finally:
            rows.leave()

    def _train(self, job, X, y, epochs, options):
        """So many epochs, as many together as take a moment; between them the search may be called off."""
        model, seconds = job.model, job.epoch_seconds
        several = getattr(fit_rules(model), "partial_epochs", None)
        while epochs and not self.cancel.is_set():
            start = time.perf_counter()
            if several is None or seconds is None:
                together = 1
                model.partial_fit(X, y, **options)
                options = {}
            else:
                together = max(1, min(epochs, int(SLICE_SECONDS / max(seconds, 1e-9))))
                several(model, X, y, together)
            epochs -= together
            seconds = (time.perf_counter() - start) / together
        job.epoch_seconds = seconds

    def _release(self, job):
        # it may be told to go on
        job.data = None


class _SiteRows:
    """The rows that a site's jobs train on: made for the first of these, let go after the last."""

    def __init__(self, race, site, n_jobs):
        self.race, self.site, self.n_left = race, site, n_jobs
        self._lock, self._rows, self._error = threading.Lock(), None, None

    def made(self):
        """(X, y, classes of a classifier, a function to rows of X where steps have changed it); what is wrong with them
        is raised for every job."""
        with self._lock:
            if self._rows is None and self._error is None:
                try:
                    self._rows = self._make()
                except Exception as error:
                    self._error = error
            if self._error is not None:
                raise self._error
            return self._rows

    def _make(self):
        race, site = self.race, self.site
        train = race.folds[site.fold][0]
        X = transformed(race, site) if site.steps else race.X
        y = take_rows(race.y, train)
        classes = np.unique(np.asarray(y)) if race.is_classifier else None
        return take_rows(X, train), y, classes, gathered(X) if site.steps else None

    def leave(self):
        """One of the jobs is done with them."""
        with self._lock:
            self.n_left -= 1
            if self.n_left == 0:
                self._rows = None


class RacingSearchCV(BatchSearch, model_selection.GridSearchCV):
    """Search by successive halving over epochs: all candidates begin, the best share goes on, none begins anew.

    Every candidate trains a model a fold for a few epochs; the better ``1 / factor`` of them go on to ``factor`` times
    as many, and so on, until at most ``factor`` candidates have reached ``max_epochs``, of which the best wins [1]_.
    What a candidate has trained is kept: a rung costs only the epochs that it adds, by ``partial_fit``, whose optimizer
    goes on where it stopped.

    Parameters
    ----------
    estimator : estimator
        SGDClassifier, SGDRegressor, MLPClassifier, MLPRegressor, LinearClassifier or LinearRegressor of fasttrain with
        an optimizer that makes steps, alone or behind fasttrain's scalers and encoders in a Pipeline.
    param_grid : dict or list of dicts
        Candidates; ``max_iter`` is not among them.
    factor : float, default=3
        Above 1.
    max_epochs : int or None, default=None
        Epochs of the last rung; None takes the estimator's ``max_iter``.
    min_epochs : int or None, default=None
        Epochs of the first rung at least; None leaves it to ``factor``, ``max_epochs`` and the number of candidates.
    scoring : str, callable, list, tuple, set, dict or None, default=None
        With several metrics, ``refit`` has to name the one to race on.
    n_jobs : int or None, default=None
        Threads.
    refit : bool, str or callable, default=True
        The winner is fitted on all rows by its own ``fit``.
    cv : int, splitter or iterable, default=None
    verbose : int, default=0
    error_score : 'raise' or number, default=nan
    return_train_score : bool, default=False
    progress : bool, default=False

    Attributes
    ----------
    cv_results_ : dict of arrays
        As in scikit-learn, with an entry for each candidate of each rung; ``rung`` and ``n_epochs`` tell which.
    n_candidates_, n_epochs_ : lists of int
        Candidates of each rung, and how many epochs they had by its end.
    total_epochs_ : int
        Epochs trained by all candidates, on each fold; a full search trains ``max_epochs`` for every candidate.
    best_estimator_, best_score_, best_params_, best_index_, scorer_, n_splits_, refit_time_, multimetric_
        Of the last rung.

    References
    ----------
    .. [1] Jamieson, Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization", AISTATS 2016.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from fasttrain.model_selection import RacingSearchCV
    >>> from fasttrain.neural_network import MLPClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> model = MLPClassifier((32,), random_state=0)
    >>> rates = {"learning_rate_init": [1e-5, 1e-4, 1e-3, 1e-2]}
    >>> race = RacingSearchCV(model, rates, max_epochs=9, cv=3, refit=False).fit(X, y)
    >>> race.n_candidates_, race.n_epochs_, race.total_epochs_
    ([4, 2], [3, 9], 24)
    >>> race.best_params_
    {'learning_rate_init': 0.01}
    """

    factor: float
    max_epochs: int | None
    min_epochs: int | None
    progress: bool
    cv_results_: dict[str, Any]
    n_candidates_: list[int]
    n_epochs_: list[int]
    total_epochs_: int
    best_estimator_: Any
    best_score_: float
    scorer_: Any
    refit_time_: float

    _base = model_selection.GridSearchCV
    _batch_class = Race
    _batched_params = frozenset({"groups"})

    def __init__(self, estimator: EstimatorLike, param_grid: Mapping[str, Any] | Sequence[Mapping[str, Any]], *,
                 factor: float = 3, max_epochs: int | None = None, min_epochs: int | None = None,
                 scoring: Scoring = None, n_jobs: int | None = None, refit: bool | str | Callable[..., Any] = True,
                 cv: Splitter = None, verbose: int = 0, error_score: Literal["raise"] | float = np.nan,
                 return_train_score: bool = False, progress: bool = False) -> None:
        super().__init__(
            estimator, param_grid, scoring=scoring, n_jobs=n_jobs, refit=refit, cv=cv, verbose=verbose,
            error_score=error_score, return_train_score=return_train_score,
        )
        self.factor = factor
        self.max_epochs = max_epochs
        self.min_epochs = min_epochs
        self.progress = progress

    def fit(self, X: ArrayLike, y: ArrayLike | None = None, **params: Any) -> Self:
        """Race all candidates, then refit the winner on all of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        **params : dict
            ``groups`` for the splitter.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For an estimator that cannot go on where it stopped, or what scikit-learn's searches refuse.
        KeyboardInterrupt
            Within 100 ms of Ctrl-C. ``cv_results_`` then holds the rungs that were finished, and the finished
            candidates of the rung that was not.
        """
        check_real(self.factor, "factor", low=1, open_low=True)
        check_integer(self.max_epochs, "max_epochs", low=1, optional=True)
        check_integer(self.min_epochs, "min_epochs", low=1, optional=True)
        if parts_of(self.estimator) is None:
            raise TypeError(
                "estimator must be one of fasttrain that has partial_fit, alone or behind its scalers and encoders in "
                f"a Pipeline, got {self.estimator!r}"
            )
        return super().fit(X, y, **params)

    def _elsewhere(self, X, y, params):
        require_batch()
        raise ValueError(
            "RacingSearchCV takes y, groups, a metric of scikit-learn and threads of this machine; got "
            f"y={'None' if y is None else 'given'}, fit parameters {sorted(params)}, scoring={self.scoring!r}, "
            f"n_jobs={self.n_jobs!r}, error_score={self.error_score!r}"
        )

    def rungs(self, n_candidates: int) -> list[tuple[int, int]]:
        """The rungs of a race: how many candidates run, and to which epoch.

        Parameters
        ----------
        n_candidates : int
            With which it begins.

        Returns
        -------
        list of (int, int)
            Candidates and epochs in all, of each rung.
        """
        last = self.max_epochs
        if last is None:
            last = int(parts_of(self.estimator)[1].max_iter)
        n_rungs = max(1, math.ceil(math.log(max(1, n_candidates), self.factor) - 1e-9))
        lowest = 1 if self.min_epochs is None else min(self.min_epochs, last)
        n_rungs = min(n_rungs, 1 + math.floor(math.log(last / lowest, self.factor) + 1e-9))
        return [
            (max(1, math.ceil(n_candidates / self.factor**rung - 1e-9)),
             max(lowest, round(last / self.factor ** (n_rungs - 1 - rung))))
            for rung in range(n_rungs)
        ]

    def _schedule(self, peer, evaluate):
        candidates = list(ParameterGrid(self.param_grid))
        for params in candidates:
            if any(name.split("__")[-1] == "max_iter" for name in params):
                raise ValueError("param_grid must not hold max_iter: max_epochs says how far the race goes")
        race, metric = peer.batch, self._metric(peer.batch)
        if candidates:
            race.enter(candidates)
        alive, before, results = list(range(len(candidates))), 0, {}
        self.n_candidates_, self.n_epochs_, self.total_epochs_ = [], [], 0
        rungs = self.rungs(len(candidates))
        if race.tasks is not None:
            race.tasks.begin_rungs(len(rungs))
        for rung, (n_alive, epochs) in enumerate(rungs):
            if rung:
                scores = np.asarray(results[f"mean_test_{metric}"])[-len(alive):]
                order = np.argsort(-np.where(np.isnan(scores), -np.inf, scores), kind="stable")
                alive = sorted(alive[place] for place in order[:n_alive])
            more = {"rung": [rung] * len(alive), "n_epochs": [epochs] * len(alive)}
            results = evaluate(
                [candidates[number] for number in alive], more_results=more,
                run=lambda _, numbers=alive, epochs=epochs - before: race.advance(numbers, epochs),
            )
            self.n_candidates_.append(len(alive))
            self.n_epochs_.append(epochs)
            self.total_epochs_ += len(alive) * (epochs - before)
            before = epochs
        if race.tasks is not None:
            race.tasks.end_rungs()

    def _metric(self, batch):
        if batch.scoring.single:
            return "score"
        if isinstance(self.refit, str) and self.refit in batch.scoring.scorers:
            return self.refit
        raise ValueError(
            f"refit must name the metric to race on, one of {', '.join(batch.scoring.scorers)}, got {self.refit!r}"
        )

    def _settings(self, batch):
        settings = super()._settings(batch)
        if not callable(self.refit):
            metric = self._metric(batch)

            def best_of_last_rung(results):
                last = np.flatnonzero(results["rung"] == results["rung"].max())
                return int(last[np.argmin(results[f"rank_test_{metric}"][last])])

            settings["refit"] = best_of_last_rung
        return settings

    def _adopt(self, peer):
        if not callable(self.refit):
            self.best_score_ = self.cv_results_[f"mean_test_{self._metric(peer.batch)}"][self.best_index_]
