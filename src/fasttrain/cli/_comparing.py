"""Several models on the same folds: what ``fasttrain compare`` does."""

import time
import warnings
from dataclasses import asdict, dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_validate
from sklearn.pipeline import Pipeline

from fasttrain.cli import _evaluation as evaluation
from fasttrain.cli._fitting import pipeline_of, versions
from fasttrain.cli._job import Holes
from fasttrain.cli._models import MODELS, peers, with_scaled_target

# From the names of --metric to scikit-learn's; the first of a task is its default.
METRICS = {
    "classification": {
        "accuracy": ("accuracy", 1), "balanced-accuracy": ("balanced_accuracy", 1), "f1": ("f1_macro", 1),
        "log-loss": ("neg_log_loss", -1),
    },
    "regression": {
        "r2": ("r2", 1), "rmse": ("neg_root_mean_squared_error", -1), "mae": ("neg_mean_absolute_error", -1),
    },
}  # fmt: skip
ALL_METRICS = tuple(name for names in METRICS.values() for name in names)


@dataclass
class Line:
    """One model on all folds; ``seconds`` is the median fold's, encoding included, and ``error`` what it raised."""

    library: str
    model: str
    score: float | None = None
    spread: float | None = None
    seconds: float | None = None
    of_folds: list | None = None
    converged: bool = True
    error: str | None = None


def entrants(problem, wanted=None, with_peers=True):
    """[(library, name, pipeline)] of the models to compare, the baseline first.

    Parameters
    ----------
    problem : fasttrain.cli._job.Problem
    wanted : collection of str, optional
        Of "linear", "sgd", "mlp"; None is all.
    with_peers : bool, default=True
        Other libraries' as well, where they are installed.
    """
    task, seed = problem.task, problem.job.seed
    yield "", "baseline", Pipeline([("table", problem.encoder), ("model", evaluation.baseline(task))])
    for model in MODELS:
        if wanted is None or model in wanted:
            settings = {} if model == "sgd" else {"n_threads": problem.job.settings.get("n_threads")}
            yield "fasttrain", model, pipeline_of(problem, model, settings)
    if with_peers:
        for library, name, estimator, scaled in peers(task, seed):
            model = with_scaled_target(estimator) if scaled else estimator
            yield library, name, Pipeline([("table", problem.encoder), ("model", model)])


def compare(problem, metric=None, wanted=None, with_peers=True, interrupts=None, update=None):
    """Fit all models on the same folds.

    Parameters
    ----------
    problem : fasttrain.cli._job.Problem
    metric : str, optional
        A name of :data:`METRICS`; the task's first when left out.
    wanted, with_peers
        As for :func:`entrants`.
    interrupts : object with ``check()``, optional
    update : callable, optional
        ``update(done, total, text)`` before each fit.

    Returns
    -------
    (str, list of Line)
        The metric and the lines.
    """
    known = METRICS[problem.task]
    metric = metric or next(iter(known))
    if metric not in known:
        raise ValueError(f"--metric for {problem.task} must be one of {', '.join(known)}, got {metric!r}")
    splitter = problem.splitter()
    if splitter is None:
        raise ValueError("compare needs folds: pass --cv 2 or more")
    X, y = problem.X, problem.y
    folds = list(splitter.split(X, y))
    scorer, sign = known[metric]
    models = list(entrants(problem, wanted, with_peers))
    lines = []
    for number, (library, name, pipeline) in enumerate(models):
        scores, times = [], []
        line = Line(library, name)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for fold, (train, test) in enumerate(folds):
                if update is not None:
                    update(number + fold / len(folds), len(models), f"{library} {name}, fold {fold + 1}")
                try:
                    with problem.remedied():
                        found = cross_validate(pipeline, X, y, cv=[(train, test)], scoring=scorer, error_score="raise")
                except Holes:
                    raise
                except (ValueError, MemoryError) as error:
                    line.error = " ".join(str(error).split())
                    break
                scores.append(sign * float(found["test_score"][0]))
                times.append(float(found["fit_time"][0]))
                if interrupts is not None:
                    interrupts.check()
        if line.error is None:
            line.score, line.spread, line.of_folds = float(np.mean(scores)), float(np.std(scores)), scores
            line.seconds = float(np.median(times))
            line.converged = not any(issubclass(item.category, ConvergenceWarning) for item in caught)
        lines.append(line)
    return metric, lines


def summary_of(problem, metric, lines, command=None):
    """What goes into a JSON file."""
    return {
        "command": command, "data": str(problem.job.data), "sha256": problem.job.digest(), "rows": problem.counts,
        "target": problem.job.target, "task": problem.task, "metric": metric, "folds": problem.job.n_folds,
        "models": [asdict(line) for line in lines], "versions": versions(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }  # fmt: skip
