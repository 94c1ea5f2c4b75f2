"""From a table to a saved, cross-validated model: what ``fasttrain fit`` does."""

import json
import platform
import re
import time
import warnings
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline

import fasttrain
from fasttrain import __version__, persistence
from fasttrain.callbacks import Callback
from fasttrain.cli import _evaluation as evaluation
from fasttrain.cli._columns import left_out
from fasttrain.cli._job import problem_of, test_rows
from fasttrain.cli._models import chosen_model, estimator_of, scales_target, with_scaled_target, without_wrapper
from fasttrain.model_selection import cross_validate
from fasttrain.preprocessing import ColumnLeftOutWarning


@dataclass
class Outcome:
    """What came of a job; ``summary`` is what results.json holds."""

    problem: object
    model: Pipeline
    summary: dict
    notes: dict
    messages: list
    held_out: object = None
    weights: list | None = None
    importances: list | None = None
    importances_of: str | None = None
    curves: dict = field(default_factory=dict)

    @property
    def job(self):
        """What was asked for."""
        return self.problem.job


class Watch(Callback):
    """Tells the terminal how far a training is, and passes Ctrl-C on when the training has swallowed it.

    All clones of an estimator share the one object.
    """

    def __init__(self, interrupts=None, update=None, n_fits=1):
        self.interrupts = interrupts
        self.update = update or (lambda done, total, text: None)
        self.n_fits = n_fits
        self.done = 0

    def __deepcopy__(self, memo):
        return self

    def on_train_begin(self, n_epochs):
        self._n_epochs = n_epochs

    def on_epoch_end(self, epoch, logs):
        share = min(epoch / self._n_epochs, 1.0)
        self.update(self.done + share, self.n_fits, f"pass {epoch} of {self._n_epochs}, loss {logs['loss']:.4g}")

    def on_train_end(self, history):
        self.advance()
        if self.interrupts is not None:
            self.interrupts.check()

    def advance(self):
        """One more fit is done."""
        self.done += 1
        self.update(self.done, self.n_fits, "")


def pipeline_of(problem, model, settings, callbacks=None):
    """The table's encoder and a model behind it, not fitted."""
    estimator = estimator_of(model, problem.task, settings, problem.job.seed, callbacks)
    if scales_target(model, problem.task, settings):
        estimator = with_scaled_target(estimator)
    return Pipeline([("table", problem.encoder), ("model", estimator)])


def run(job, interrupts=None, update=None, command=None, problem=None):
    """Do the job.

    Parameters
    ----------
    job : Job
    interrupts : object with ``check()``, optional
    update : callable, optional
        ``update(done, total, text)`` now and then; fractions count.
    command : str, optional
        What was typed, for the report.
    problem : Problem, optional
        When the job's table has been read already.

    Returns
    -------
    Outcome
    """
    problem = problem_of(job) if problem is None else problem
    X, y, task = problem.X, problem.y, problem.task
    splitter = problem.splitter()
    n_folds = 0 if splitter is None else splitter.get_n_splits(X, y)
    model = chosen_model(job.model, job.settings)
    watch = Watch(interrupts, update, n_folds + 1)
    pipeline = pipeline_of(problem, model, job.settings, [watch])
    with warnings.catch_warnings(record=True) as caught, problem.remedied():
        warnings.simplefilter("always")
        validation, held_out = _cross_validate(pipeline, problem, splitter, n_folds)
        before = len(caught)
        watch.done = n_folds
        start = time.perf_counter()
        pipeline.fit(X, y)
        fit_seconds = time.perf_counter() - start
        if interrupts is not None:
            interrupts.check()
        unfinished = [item for item in caught[before:] if issubclass(item.category, ConvergenceWarning)]
        pipeline = without_wrapper(pipeline)
        fitted = pipeline[-1]
        if hasattr(fitted, "callbacks"):
            fitted.set_params(callbacks=None)
        tested = None
        if job.test is not None:
            X_test, y_test = test_rows(problem, fitted)
            tested = evaluation.scores_on(pipeline, X_test, y_test, task)
            held_out = evaluation.HeldOut(
                f"{len(y_test)} rows of {job.test}", y_test, pipeline.predict(X_test),
                evaluation.probabilities_of(pipeline, X_test), getattr(fitted, "classes_", None),
            )  # fmt: skip
        weights = evaluation.top_weights(pipeline) if hasattr(fitted, "coef_") else None
        importances = None
        if weights is None:
            rows = (X, y) if tested is None else (X_test, y_test)
            importances = evaluation.importances(pipeline, *rows, task, job.seed)
    pipeline.set_params(table__handle_unknown="error")
    final = final_fit(fitted, fit_seconds, job, model, bool(unfinished))
    summary = {
        "fasttrain": __version__,
        "command": command,
        "data": str(job.data),
        "sha256": job.digest(),
        "rows": problem.counts,
        "target": job.target,
        "left_out": [*(f"{name!r}: left out as asked" for name in job.leave_out), *left_out(pipeline[0].columns_)],
        "columns": columns_of(problem, pipeline[0]),
        "numeric": [name for name, kind in pipeline[0].types_.items() if kind == "numeric"],
        "categorical": [name for name, kind in pipeline[0].types_.items() if kind == "categorical"],
        "task": task,
        "model": model,
        "estimator": repr(fitted),
        "target_scaled": scales_target(model, task, job.settings),
        "cross_validation": validation,
        "test": None if tested is None else {"data": str(job.test), "rows": len(y_test), "scores": tested},
        "final_fit": final,
        "weights": weights,
        "importances": importances,
        "versions": versions(),
    }
    notes = {
        "target": job.target, "task": task, "model": model,
        "categorical": problem.texts,
        "separator": job.separator, "encoding": job.encoding, "rows": problem.counts["left"], "command": command,
        "scores": {label: found["mean"] for label, found in validation["scores"].items()},
        "fasttrain": __version__,
    }  # fmt: skip
    messages = list(dict.fromkeys(
        " ".join(str(item.message).split()) for item in caught if not issubclass(item.category, ColumnLeftOutWarning)))
    curves = {"training": curve_of(fitted, "loss_curve_"), "validation": curve_of(fitted, "validation_loss_curve_")}
    return Outcome(
        problem, pipeline, summary, notes, messages, held_out, weights, importances,
        "training rows" if tested is None else "rows of the test file",
        {name: curve for name, curve in curves.items() if curve},
    )  # fmt: skip


def _cross_validate(pipeline, problem, splitter, n_folds):
    """(what results.json says of the cross-validation, the rows that were held out in turn)."""
    X, y, task, job = problem.X, problem.y, problem.task, problem.job
    method = "leave-one-out" if job.leave_one_out else "k-fold" if n_folds else "none"
    account = {"method": method, "folds": n_folds, "seconds_of_a_fit": None, "scores": {}, "baseline": {}}
    if splitter is None:
        return account, None
    found = cross_validate(
        pipeline, X, y, cv=splitter, scoring=list(evaluation.METRICS[task]), error_score="raise",
        return_estimator=True, return_indices=True,
    )  # fmt: skip
    pooled = job.leave_one_out
    account["seconds_of_a_fit"] = float(np.mean(found["fit_time"]))
    for key, scores in (
        ("scores", evaluation.signed(found, task)), ("baseline", evaluation.baseline_scores(y, task, splitter))
    ):
        account[key] = {label: evaluation.summarized(values, pooled) for label, values in scores.items()}
    where = f"{len(y)} rows, each predicted by the model of the fold that held it out"
    return account, evaluation.held_out_of(found, X, y, where)


def final_fit(fitted, seconds, job, model, unfinished):
    converged = bool(getattr(fitted, "converged_", not unfinished)) and not unfinished
    curve = curve_of(fitted, "loss_curve_")
    loss = curve[-1] if curve else None
    return {
        "seconds": seconds,
        "passes": int(fitted.n_iter_),
        "converged": converged,
        "why": getattr(fitted, "stop_reason_", None),
        "hint": None if converged else _hint(fitted, job, model),
        "loss": loss,
        "loss_curve": curve,
    }


def curve_of(fitted, name):
    """A loss by passes as a list of float; None where there is none.

    Of several, one for each class against the rest, the mean; those that ended early go on with their last value.
    """
    curve = getattr(fitted, name, None)
    if not curve or not isinstance(curve[0], list):
        return None if curve is None else [float(value) for value in curve]
    longest = max(map(len, curve))
    return np.mean([one + one[-1:] * (longest - len(one)) for one in curve], axis=0).tolist()


def in_options(advice):
    """An estimator's advice with the names of the command line's options."""
    names = "max_iter|tol|learning_rate|batch_size|early_stopping|schedule|optimizer"
    advice = re.sub(rf"\b({names})\b", lambda found: "--" + found[0].replace("_", "-"), advice)
    return advice.replace("=True", "").replace('="', " ").replace("='", " ").replace('"', "").replace("'", "")


def _hint(fitted, job, model):
    """What to change, in the words of the shell, where training ended before it had arrived."""
    if getattr(fitted, "advice_", None):
        return in_options(fitted.advice_)
    advice = [f"--max-iter {2 * int(fitted.max_iter)} or more"]
    if job.settings.get("optimizer") != "lbfgs":
        advice.append("another --learning-rate")
        if model == "linear":
            advice.append("--optimizer lbfgs")
    if job.scaling == "none":
        advice.append("--scaling standard")
    return f"pass {', '.join(advice[:-1])}{' or ' if len(advice) > 1 else ''}{advice[-1]}"


def columns_of(problem, encoder):
    """[{name, kind, reason, missing, distinct, example}] of the features, as they were before missing values were
    filled."""
    facts, found = {fact["name"]: fact for fact in encoder.columns_}, []
    for name in problem.X.columns:
        column = problem.X[name]
        values = column.dropna()
        if pd.api.types.is_numeric_dtype(column) and len(values):
            example = f"{float(values.min()):.6g} to {float(values.max()):.6g}"
        else:
            example = ", ".join(map(str, values.value_counts().index[:3]))
        found.append({
            "name": str(name), "kind": facts[name]["kind"], "reason": facts[name]["reason"],
            "missing": int(column.isna().sum()), "distinct": int(values.nunique()), "example": example,
        })  # fmt: skip
    return found


def versions():
    """What a result depends on beside the data and the options."""
    config = fasttrain.show_config("dicts")
    return {
        "fasttrain": __version__, "python": platform.python_version(), "numpy": np.__version__,
        "scikit-learn": sklearn.__version__, "pandas": pd.__version__, "instruction set": config["instruction_set"],
        "threads": config["threads"], "machine": platform.machine(), "system": platform.system(),
    }  # fmt: skip


def write(outcome, out):
    """Put the model, results.json and report.html into the folder ``out``; the names written."""
    from fasttrain.cli._report import report

    files = {
        "results.json": json.dumps(outcome.summary, indent=1, allow_nan=False).encode() + b"\n",
        "report.html": report(outcome).encode(),
    }
    persistence.save(outcome.model, out, notes=outcome.notes, files=files)
    return ["model.json", *files]
