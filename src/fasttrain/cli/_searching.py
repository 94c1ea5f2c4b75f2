"""A racing search over a sensible space within a budget: what ``fasttrain search`` does.

Brackets of random candidates race on one split of the rows (:class:`fasttrain.model_selection.RacingSearchCV`): the
first is small and tells what a pass costs, each later one is as large as the time that is left allows. The best of all
brackets are then cross-validated on all folds, beside the default linear model, and the winner of that is fitted.
"""

import time
import warnings
from dataclasses import dataclass, field

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit

from fasttrain.cli import _evaluation as evaluation
from fasttrain.cli._fitting import pipeline_of
from fasttrain.cli._job import Holes
from fasttrain.cli._models import estimator_of
from fasttrain.model_selection import RacingSearchCV, cross_validate

# Shares of the budget: the races end at the first, and no candidate's cross-validation begins after the second.
RACE_SHARE, JUDGE_SHARE = 0.6, 0.9
FINALISTS = 3
FACTOR = 3
# Candidates and passes of a race, the largest first.
SIZES = ((81, 81), (27, 81), (27, 27), (9, 27), (9, 9), (4, 6))


@dataclass
class Candidate:
    """A model with its settings, in the names of the options of ``fasttrain fit``."""

    model: str
    settings: dict
    race_score: float | None = None
    epochs: int | None = None
    scores: list | None = None
    error: str | None = None

    @property
    def options(self):
        """The options of ``fasttrain fit`` that make this model."""
        found = ["--model", self.model]
        for name, value in self.settings.items():
            found.append(f"--{name.replace('_', '-')}")
            if value is not True:
                found.append(",".join(map(str, value)) if isinstance(value, tuple) else str(value))
        return found

    @property
    def words(self):
        """The same in short."""
        own = self.settings
        if not own:
            return f"{self.model}, its defaults"
        said = [self.model, *([",".join(map(str, own["hidden"])), own["activation"]] if "hidden" in own else [])]
        said += [f"rate {own['learning_rate']:g}", f"batch {own['batch_size']}"]
        said += [f"dropout {own['dropout']:g}"] if own.get("dropout") else []
        said += [f"{own['penalty']} {own['alpha']:g}"] if "alpha" in own else []
        return ", ".join(said)

    @property
    def mean(self):
        """The mean score of the folds."""
        return float(np.mean(self.scores))


@dataclass
class Found:
    """What a search has found: ``ranking`` are the cross-validated candidates, the best first."""

    ranking: list
    n_candidates: int
    brackets: list = field(default_factory=list)
    seconds: float = 0.0
    best: Candidate | None = None


def _power(rng, low, high):
    """Ten to a power between these, with digits that can be typed again."""
    return float(f"{10 ** rng.uniform(low, high):.2g}")


def draw(model, task, rng, n_rows):
    """Settings of one candidate."""
    batch = int(rng.choice([size for size in (16, 32, 64, 128, 256) if size <= n_rows // 4] or [max(1, n_rows // 4)]))
    rate = _power(rng, -3.5, -1.3)
    if model == "linear":
        penalty = str(rng.choice(["none", "l2", "l1", "elasticnet"]))
        strength = {} if penalty == "none" else {"alpha": _power(rng, -6, -1)}
        return {"optimizer": "adam", "learning_rate": rate, "penalty": penalty, **strength, "batch_size": batch}
    width = int(rng.choice([16, 32, 64, 128, 256]))
    depth = int(rng.integers(1, 4))
    return {
        "optimizer": "adamw", "learning_rate": rate, "hidden": tuple(max(8, width >> k) for k in range(depth)),
        "activation": str(rng.choice(["relu", "tanh", "silu"])), "dropout": float(rng.choice([0.0, 0.0, 0.1, 0.3])),
        "penalty": "l2", "alpha": _power(rng, -6, -1), "batch_size": batch,
    }  # fmt: skip


def grid_of(estimator, model):
    """The parameters of one candidate as a grid of one."""
    given = estimator.get_params(deep=False)
    names = {
        "linear": ("optimizer", "learning_rate", "penalty", "alpha", "batch_size"),
        "mlp": ("optimizer", "hidden_layer_sizes", "activation", "dropout", "penalties", "batch_size"),
    }[model]
    return {name: [given[name]] for name in names}


class Search:
    """One search; :meth:`run` does it."""

    def __init__(self, problem, budget, models=("linear", "mlp"), interrupts=None, update=None):
        self.problem, self.budget, self.models = problem, budget, models
        self.interrupts = interrupts
        self.update = update or (lambda done, total, text: None)
        self.start = time.perf_counter()
        self.rng = np.random.default_rng(problem.job.seed)
        self.pass_seconds = dict.fromkeys(models)

    def spent(self):
        """Seconds since the beginning."""
        return time.perf_counter() - self.start

    def run(self):
        """Race, judge, and say what was best; the result is not fitted yet."""
        problem = self.problem
        if problem.splitter() is None:
            raise ValueError("search needs folds: pass --cv 2 or more")
        X, y, split = self._prepared()
        raced, brackets = [], []
        with warnings.catch_warnings():
            # passes that a race allots are not meant to arrive
            warnings.simplefilter("ignore")
            turn = 0
            while self.spent() < RACE_SHARE * self.budget:
                model = self.models[turn % len(self.models)]
                size = self._size(model)
                if size is None:
                    if all(self._size(other) is None for other in self.models):
                        break
                    turn += 1
                    continue
                raced += self._bracket(model, *size, X, y, split, brackets)
                turn += 1
                if self.interrupts is not None:
                    self.interrupts.check()
            finalists = self._finalists(raced)
            self._judge(finalists)
        judged = sorted((c for c in finalists if c.scores), key=lambda c: -c.mean)
        if not judged:
            raise ValueError(f"no candidate could be trained: {finalists[0].error}")
        return Found(judged, len(raced), brackets, self.spent(), judged[0])

    def _prepared(self):
        """The rows of one split as a matrix, encoded by its training part, the target scaled for regression."""
        problem = self.problem
        share = 0.25 if len(problem.y) < 20_000 else 0.1
        kind = StratifiedShuffleSplit if problem.task == "classification" else ShuffleSplit
        try:
            train, test = next(kind(1, test_size=share, random_state=problem.job.seed).split(problem.X, problem.y))
        except ValueError as error:
            raise ValueError(f"the rows cannot be split for a search: {error}") from None
        encoder = clone(problem.encoder)
        with problem.remedied():
            learnt = encoder.fit_transform(problem.X.iloc[train], problem.y[train])
            parts = [learnt, encoder.transform(problem.X.iloc[test])]
        X = sparse.vstack(parts, format="csr") if sparse.issparse(parts[0]) else np.vstack(parts)
        y = np.concatenate([problem.y[train], problem.y[test]])
        if problem.task == "regression":
            spread = float(np.std(problem.y[train])) or 1.0
            y = (y - float(np.mean(problem.y[train]))) / spread
        return X, y, [(np.arange(len(train)), np.arange(len(train), len(y)))]

    def _size(self, model):
        """(candidates, epochs) of the next bracket of a model; None where none fits into the time that is left."""
        seconds = self.pass_seconds[model]
        if seconds is None:
            return 4, 3
        left = (RACE_SHARE * self.budget - self.spent()) / max(1, len(self.models))
        for n_candidates, epochs in SIZES:
            passes = sum(alive * (now - before) for alive, now, before in _rungs(n_candidates, epochs))
            if passes * seconds * 1.2 <= left:
                return n_candidates, epochs
        return None

    def _bracket(self, model, n_candidates, epochs, X, y, split, brackets):
        task, seed = self.problem.task, self.problem.job.seed
        drawn = [Candidate(model, draw(model, task, self.rng, len(split[0][0]))) for _ in range(n_candidates)]
        estimators = [estimator_of(model, task, candidate.settings, seed) for candidate in drawn]
        grid = [grid_of(estimator, model) for estimator in estimators]
        done = min(self.spent() / self.budget, 1.0)
        self.update(done, 1.0, f"{n_candidates} {model} candidates over {epochs} passes")
        start = time.perf_counter()
        race = RacingSearchCV(
            estimators[0].set_params(tol=0.0), grid, factor=FACTOR, max_epochs=epochs, scoring=self._metric(),
            refit=False, cv=split, error_score=np.nan,
        ).fit(X, y)
        seconds = time.perf_counter() - start
        self.pass_seconds[model] = seconds / max(1, race.total_epochs_)
        scores, passes = race.cv_results_["mean_test_score"], race.cv_results_["n_epochs"]
        for params, score, n in zip(race.cv_results_["params"], scores, passes):
            at = next(i for i, one in enumerate(grid) if all(one[name][0] is params[name] for name in params))
            drawn[at].race_score, drawn[at].epochs = float(score), int(n)
        brackets.append({
            "model": model, "candidates": race.n_candidates_, "passes": race.n_epochs_, "seconds": seconds,
        })  # fmt: skip
        return drawn

    def _metric(self):
        return "neg_log_loss" if self.problem.task == "classification" else "r2"

    def _finalists(self, raced):
        """The best of each model, by their scores in the races, and the default linear model."""
        good = [c for c in raced if c.race_score is not None and np.isfinite(c.race_score)]
        chosen = []
        for model in self.models:
            mine = sorted((c for c in good if c.model == model), key=lambda c: (-c.race_score, -c.epochs))
            chosen += mine[:FINALISTS]
        chosen.sort(key=lambda c: -c.race_score)
        for candidate in chosen:
            # passes enough, ended by a look at held-out rows
            candidate.settings |= {"max_iter": max(100, 2 * candidate.epochs), "early_stopping": True}
        return [Candidate("linear", {}), *chosen]

    def _judge(self, finalists):
        problem = self.problem
        scorer = next(iter(evaluation.METRICS[problem.task]))
        folds = list(problem.splitter().split(problem.X, problem.y))
        for number, candidate in enumerate(finalists):
            if number > 1 and self.spent() > JUDGE_SHARE * self.budget:
                break
            done = max(RACE_SHARE, min(self.spent() / self.budget, 0.99))
            self.update(done, 1.0, f"cross-validating {candidate.words}")
            pipeline = pipeline_of(problem, candidate.model, dict(candidate.settings))
            try:
                with problem.remedied():
                    found = cross_validate(
                        pipeline, problem.X, problem.y, cv=folds, scoring=scorer, error_score="raise")
            except Holes:
                raise
            except ValueError as error:
                candidate.error = " ".join(str(error).split())
                continue
            candidate.scores = [float(score) for score in found["test_score"]]
            if self.interrupts is not None:
                self.interrupts.check()


def _rungs(n_candidates, epochs):
    """(candidates, epochs in all, epochs before) of the rungs of a race."""
    found, before = [], 0
    race = RacingSearchCV(None, {}, factor=FACTOR, max_epochs=epochs)
    for alive, now in race.rungs(n_candidates):
        found.append((alive, now, before))
        before = now
    return found
