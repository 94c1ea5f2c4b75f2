"""``fasttrain fit`` over blocks: what is held out, the fits, the scores, the folder with the report."""

import json
import os
import time
import warnings
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from sklearn import metrics
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from fasttrain import __version__, persistence
from fasttrain._estimators.blocks import Labels, Moments
from fasttrain._tables.frames import named
from fasttrain.cli import _evaluation as evaluation
from fasttrain.cli._columns import left_out
from fasttrain.cli._evaluation import HeldOut
from fasttrain.cli._fitting import Watch, curve_of, final_fit, versions
from fasttrain.cli._job import MOST_CLASSES, REMEDIES, lacking, remedied
from fasttrain.cli._models import chosen_model, estimator_of, scales_target, with_scaled_target, without_wrapper
from fasttrain.cli._screen import counted
from fasttrain.cli._stream_report import report
from fasttrain.cli._streaming import source_of
from fasttrain.data._options import feature_names
from fasttrain.data._use import at_block, blocks_with_rows, first_block, stream
from fasttrain.preprocessing import ColumnLeftOutWarning, TablePreprocessor
from fasttrain.training.sums import SumTree

# Of the rows of each block so many are held out, where no number of folds is given.
HELD_OUT = 0.1


@dataclass
class Outcome:
    """What came of a fit in blocks; ``summary`` is what results.json holds, ``job`` and ``encoder`` what was asked for.

    ``target`` is (mean, scale) where the model was trained on a scaled one.
    """

    job: object
    model: Pipeline
    encoder: TablePreprocessor
    summary: dict
    notes: dict
    messages: list
    target: tuple | None = None
    held_out: HeldOut | None = None
    weights: list | None = None
    importances: list | None = None
    importances_of: str | None = None
    curves: dict = field(default_factory=dict)


class _Target:
    """What a pass over y finds: labels as long as they are few, moments of numbers, rows."""

    def __init__(self, labels, moments, n_rows, whole):
        self.labels, self.moments, self.n_rows, self.whole = labels, moments, n_rows, whole

    @classmethod
    def of(cls, y):
        number = y.dtype.kind in "iufb"
        labels = Labels.of(y if number else y.astype(str))
        moments = Moments.of(y.astype(np.float64)[:, None], None) if number else None
        return cls(labels, moments, len(y), number and bool((y == np.round(y)).all()))._few()

    def _few(self):
        if self.moments is not None and self.labels is not None and len(self.labels.values) > MOST_CLASSES:
            self.labels = None
        return self

    def __add__(self, other):
        both = self.labels is not None and other.labels is not None
        return _Target(
            self.labels + other.labels if both else None,
            None if self.moments is None or other.moments is None else self.moments + other.moments,
            self.n_rows + other.n_rows, self.whole and other.whole)._few()

    def constant(self, without, task):
        """What a model that looks at no column would say: the most frequent class, or the mean, of all other rows."""
        if task == "classification":
            values, counts = self.labels.values, self.labels.counts
            return values[(counts - [(without == value).sum() for value in values]).argmax()]
        mean, n_rows = float(self.moments.mean[0]), self.n_rows
        return (mean * n_rows - without.sum(dtype=np.float64)) / (n_rows - len(without))


def _target_of(job, source):
    """(what a pass over y has found, the task)."""
    tree = SumTree()
    try:
        for i, (_, y, _) in enumerate(stream(source, source.block)):
            if len(y):
                y = np.asarray(y)
                if y.dtype.kind == "f" and not np.isfinite(y).all():
                    place = source.where_of("y", i, int(np.flatnonzero(~np.isfinite(y))[0]))
                    raise ValueError(f"{place}: the target {job.target!r} must hold finite numbers")
                tree.add(_Target.of(y))
    except ValueError as error:
        if f"the target {job.target!r} is missing" not in str(error):
            raise
        raise ValueError(f"{error}: pass --drop-missing to drop them") from None
    found = tree.total()
    if found is None:
        raise ValueError(f"{job.data} has no row in which nothing is missing")
    task = job.task
    if task == "auto":
        number = found.moments is not None
        task = "regression" if number and not (found.whole and found.labels is not None) else "classification"
    if task == "regression" and found.moments is None:
        raise ValueError(f"the target {job.target!r} must hold numbers for regression, got text")
    if task == "classification" and found.labels is None:
        raise ValueError(
            f"the target {job.target!r} has more than {MOST_CLASSES} distinct numbers: pass --task regression")
    if task == "classification" and len(found.labels.values) < 2:
        raise ValueError(
            f"the target {job.target!r} has one class only, {str(found.labels.values[0])!r}; a classifier needs two or "
            "more")
    return found, task


def _refuse_options(job):
    """Name the options that need the whole table."""
    asked = {
        "--drop-duplicates": job.drop_duplicates, "--outliers": job.outliers, "--leave-one-out": job.leave_one_out,
    }
    for option, value in asked.items():
        if value:
            raise ValueError(f"{option} needs the whole table at once, which is read in blocks here: leave it out")
    if job.folds is not None and (job.folds < 0 or job.folds == 1):
        raise ValueError(f"cv must be 0 or from 2 on, got {job.folds}")
    if job.test is not None and not os.path.exists(job.test):
        raise ValueError(f"{job.test} does not exist")


def run(job, interrupts=None, update=None, command=None):
    """Do the job over blocks: hold rows out, fit, score.

    Without ``--cv`` the model is fitted to nine tenths of each block and judged by the rest; with a number of folds
    it is fitted once for each, and then to all rows; with 0 to all rows.

    Parameters
    ----------
    job, interrupts, update, command
        As for :func:`fasttrain.cli._fitting.run`.

    Returns
    -------
    Outcome
    """
    _refuse_options(job)
    # rows can go for want of a target only where it is not taken for one as it is read
    drops = "any" if job.drop_missing else "target" if job.impute else None
    target = None if drops else job.target
    with source_of(job.data, job.separator, job.encoding, target=target, not_a_code=job.target) as source:
        names = source.names
        if drops:
            feature_names(None, job.target, None, names, os.fspath(job.data))
        if job.leave_out:
            absent = [name for name in job.leave_out if name not in names]
            if absent:
                raise ValueError(f"--leave-out names the column {absent[0]!r}, which {job.data} lacks")
            if job.target in job.leave_out:
                raise ValueError(
                    f"the column {job.target!r} is the target, it cannot be a feature or left out as well")
            source = source.map(lambda table: table.drop_columns(list(job.leave_out)))
        if drops:
            source = source.with_target(job.target, drop_missing=drops)
        return _Fitting(job, source, interrupts, update, command).outcome()


class _Fitting:
    """A job over a source that is ready."""

    def __init__(self, job, source, interrupts, update, command):
        self.job, self.source, self.interrupts, self.command = job, source, interrupts, command
        self.found, self.task = _target_of(job, source)
        self.model = chosen_model(job.model, job.settings)
        self.watch = Watch(interrupts, update, (job.folds or 0) + 1)
        # that of all rows, in the folds too: only the length of steps feels it
        self.target = None
        if scales_target(self.model, self.task, job.settings):
            moments = self.found.moments
            self.target = float(moments.mean[0]), float(np.sqrt(moments.variance[0])) or 1.0

    def outcome(self):
        """Hold out, fit, score."""
        job = self.job
        validation = {"method": "none", "folds": 0, "seconds_of_a_fit": None, "scores": {}, "baseline": {}}
        train, held, held_out, scores, tested = self.source, None, None, None, None
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            if job.folds is None:
                train, held = self.source.split(HELD_OUT, job.seed)
                self._require_rows([held], "--cv 0 to fit all of them without one")
            elif job.folds:
                held_out = self._cross_validate(validation)
            before = len(caught)
            self.watch.done = job.folds or 0
            pipeline, encoder, seconds = self._fit(train)
            unfinished = any(issubclass(item.category, ConvergenceWarning) for item in caught[before:])
        fitted = pipeline[-1]
        final = final_fit(fitted, seconds, job, self.model, unfinished)
        if job.folds is None:
            with remedied(job.data, *REMEDIES):
                held_out = self._answers(pipeline, held, "a tenth of each block, on which the model was not trained")
            scores = {"rows": len(held_out.y), **self._scores(held_out)}
        # the model of the folds' rows has seen them all
        shown, told = (held, "rows that were held out") if job.folds is None else (self.source, "training rows")
        if job.test is not None:
            held_out, shown = self._tested(pipeline, encoder)
            told = "rows of the test file"
            tested = {
                "data": str(job.test), "rows": len(held_out.y),
                "scores": _metrics(held_out.y, held_out.predicted, self.task)}
        weights = importances = None
        if hasattr(fitted, "coef_"):
            weights = evaluation.top_weights(pipeline)
        else:
            importances = self._importances(pipeline, encoder, shown)
        pipeline.set_params(table__handle_unknown="error")
        summary = {
            "fasttrain": __version__, "command": self.command, "data": str(job.data), "sha256": None,
            "rows": _counts(self.source, self.found.n_rows), "blocks": self.source.n_blocks, "target": job.target,
            "left_out": [*(f"{name!r}: left out as asked" for name in job.leave_out), *left_out(encoder.columns_)],
            "numeric": [name for name, kind in encoder.types_.items() if kind == "numeric"],
            "categorical": [name for name, kind in encoder.types_.items() if kind == "categorical"],
            "task": self.task, "model": self.model, "estimator": repr(fitted),
            "target_scaled": self.target is not None, "held_out": scores, "cross_validation": validation,
            "test": tested, "final_fit": final, "weights": weights, "importances": importances,
            "versions": versions(),
        }
        means = {label: found["mean"] for label, found in validation["scores"].items()}
        notes = {
            "target": job.target, "task": self.task, "model": self.model, "categorical": self._texts(),
            "separator": job.separator or ",", "encoding": job.encoding, "rows": self.found.n_rows,
            "command": self.command, "scores": means if scores is None else scores["scores"], "fasttrain": __version__,
        }
        messages = list(dict.fromkeys(
            " ".join(str(item.message).split()) for item in caught
            if not issubclass(item.category, ColumnLeftOutWarning)))
        curves = {
            "training": curve_of(fitted, "loss_curve_"), "validation": curve_of(fitted, "validation_loss_curve_")}
        return Outcome(
            job, pipeline, encoder, summary, notes, messages, self.target, held_out, weights, importances, told,
            {name: curve for name, curve in curves.items() if curve})

    def _require_rows(self, helds, remedy):
        """ValueError where rows that are held out are too few for a score; R2 takes two."""
        fewest = 2 if self.task == "regression" else 1
        # a pass over the source has counted its rows
        count = min(sum(map(held.rows, range(held.n_blocks))) for held in helds)
        if count < fewest:
            raise ValueError(
                f"{self.job.data} has {counted(self.found.n_rows, 'row')}, of which {count or 'none'} would be held "
                f"out, too few for a score: pass {remedy}")

    def _fit(self, train):
        """(a fitted pipeline that predicts in the target's unit, its encoder, seconds)."""
        job = self.job
        estimator = estimator_of(self.model, self.task, job.settings, job.seed, [self.watch])
        encoder = TablePreprocessor(
            types=job.types, missing="median" if job.impute else "error",
            scale=None if job.scaling == "none" else job.scaling, sparse_output=False)
        pipeline = Pipeline([("table", encoder), ("model", estimator)])
        if self.target is not None:
            mean, scale = self.target
            train = train.map(y=lambda y: (y - mean) / scale)
        began = time.perf_counter()
        with remedied(job.data, *REMEDIES):
            pipeline.fit(train)
        seconds = time.perf_counter() - began
        if self.interrupts is not None:
            self.interrupts.check()
        fitted = pipeline[-1]
        if hasattr(fitted, "callbacks"):
            fitted.set_params(callbacks=None)
        if self.target is not None:
            wrapper = with_scaled_target(fitted)
            wrapper.regressor_, wrapper.transformer_ = fitted, StandardScaler()
            wrapper.transformer_.mean_, wrapper.transformer_.scale_ = np.array([mean]), np.array([scale])
            pipeline = without_wrapper(Pipeline([("table", encoder), ("model", wrapper)]))
        return pipeline, encoder, seconds

    def _cross_validate(self, account):
        """Fit a model for each fold and add the scores to ``account``; what was said of the first fold's rows."""
        job, parts, seconds, first = self.job, {"scores": {}, "baseline": {}}, [], None
        pairs = self.source.folds(job.folds, job.seed)
        self._require_rows([held for _, held in pairs], "fewer folds, or --cv 0 for none")
        for k, (train, held) in enumerate(pairs):
            self.watch.done = k
            pipeline, _, took = self._fit(train)
            seconds.append(took)
            with remedied(job.data, *REMEDIES):
                said = self._answers(pipeline, held, "the first fold, by the model of the others")
            for what, scores in self._scores(said).items():
                for label, score in scores.items():
                    parts[what].setdefault(label, []).append(score)
            # all rows of a table that memory does not hold are too many to draw
            first = said if first is None else first
        account.update(
            {what: {label: evaluation.summarized(values, False) for label, values in found.items()}
             for what, found in parts.items()},
            method="k-fold", folds=job.folds, seconds_of_a_fit=float(np.mean(seconds)))
        return first

    def _answers(self, pipeline, held, where):
        """What a model says of rows that were held out, from one pass over them."""
        wanted, predicted, chances = [], [], []
        classes = pipeline[-1].classes_ if self.task == "classification" else None
        for i, block in blocks_with_rows(held):
            table = named(block.X)
            with at_block(held, i, table):
                chance = None if classes is None else evaluation.probabilities_of(pipeline, table)
                predicted.append(pipeline.predict(table) if chance is None else classes[chance.argmax(axis=1)])
            wanted.append(np.asarray(block.y))
            chances.append(chance)
        y = np.concatenate(wanted)
        if classes is not None and y.dtype.kind not in "iufb":
            y = y.astype(str)
        probabilities = None if chances[0] is None else np.concatenate(chances)
        return HeldOut(f"{counted(len(y), 'row')}, {where}", y, np.concatenate(predicted), probabilities, classes)

    def _scores(self, held):
        """Scores of rows that were held out, beside those of the most frequent class or the mean of the others."""
        constant = np.full(len(held.y), self.found.constant(held.y, self.task))
        return {"scores": _metrics(held.y, held.predicted, self.task),
                "baseline": _metrics(held.y, constant, self.task)}

    def _tested(self, pipeline, encoder):
        """(what the model says of the test file's rows, their source)."""
        job, features = self.job, list(encoder.feature_names_in_)
        types = dict.fromkeys(self._texts(), "string")
        with source_of(job.test, job.separator, job.encoding, not_a_code=job.target, types=types) as source:
            absent = [name for name in (*features, job.target) if name not in source.names]
            if absent:
                raise ValueError(lacking(job.test, absent, source.names))
            source = source.map(lambda table: table.select([*features, job.target]))
            source = source.with_target(job.target, drop_missing="target")
            if not any(block.X.num_rows for block in source):
                raise ValueError(f"no row of {job.test} has a target")
            with remedied(job.test, "--impute to fill them"):
                said = self._answers(pipeline, source, f"those of {job.test}")
        if self.task == "classification":
            unknown = sorted(set(map(str, np.unique(said.y))) - set(map(str, said.classes)))
            if unknown:
                raise ValueError(
                    f"the target {job.target!r} of {job.test} holds {unknown[0]!r}, which the training has not")
        return said, source

    def _importances(self, pipeline, encoder, source):
        """What a shuffled column costs, in the first rows of a source, as many as are shuffled at the most."""
        tables, wanted, missing = [], [], evaluation.ROWS_PERMUTED
        for _, block in blocks_with_rows(source):
            table = block.X.slice(0, missing)
            tables.append(named(table.select(list(encoder.feature_names_in_))))
            wanted.append(np.asarray(block.y)[:missing])
            missing -= table.num_rows
            if not missing:
                break
        y = np.concatenate(wanted)
        if self.task == "classification" and y.dtype.kind not in "iufb":
            y = y.astype(str)
        return evaluation.importances(pipeline, pd.concat(tables, ignore_index=True), y, self.task, self.job.seed)

    def _texts(self):
        """Features that are read as text."""
        types = named(first_block(self.source)[1].X.slice(0, 1)).dtypes
        return [str(name) for name, dtype in types.items() if str(dtype).startswith(("string", "large_string"))]


def _counts(source, left):
    """Rows that were read, that went for which reason, and that are left."""
    if not getattr(source, "drop_missing", None):
        return {"read": left, "left": left}
    gone = sum(source.dropped.values())
    what = "missing" if source.drop_missing == "any" else "without a target"
    return {"read": left + gone, f"dropped ({what})": gone, "left": left}


def _metrics(y, predicted, task):
    if task == "classification":
        with warnings.catch_warnings():
            # a class that nobody predicts, as the baseline has them
            warnings.simplefilter("ignore")
            found = {
                "accuracy": metrics.accuracy_score(y, predicted),
                "balanced accuracy": metrics.balanced_accuracy_score(y, predicted),
                "F1": metrics.f1_score(y, predicted, average="macro"),
            }
    else:
        found = {
            "R2": metrics.r2_score(y, predicted), "RMSE": metrics.root_mean_squared_error(y, predicted),
            "MAE": metrics.mean_absolute_error(y, predicted),
        }
    return {label: float(value) for label, value in found.items()}


def write(outcome, out):
    """Put the model, results.json and report.html into the folder ``out``; the names written."""
    files = {
        "results.json": json.dumps(outcome.summary, indent=1, allow_nan=False).encode() + b"\n",
        "report.html": report(outcome, HELD_OUT).encode(),
    }
    persistence.save(outcome.model, out, notes=outcome.notes, files=files)
    return ["model.json", *files]
