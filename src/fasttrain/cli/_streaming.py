"""Tables that memory does not hold: ``fasttrain fit`` and ``fasttrain predict`` over blocks of files."""

import gzip
import json
import os
import sys
import tempfile
import time
import warnings
import zlib
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from sklearn import metrics
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from fasttrain import __version__, data, persistence
from fasttrain._estimators.blocks import Labels, Moments
from fasttrain._files.atomic import file_at
from fasttrain._tables.frames import named
from fasttrain.cli import _evaluation as evaluation
from fasttrain.cli._columns import code_columns, left_out
from fasttrain.cli._complete import CompleteRows
from fasttrain.cli._evaluation import HeldOut
from fasttrain.cli._fitting import Watch, curve_of, final_fit, versions
from fasttrain.cli._job import MOST_CLASSES
from fasttrain.cli._models import chosen_model, estimator_of, scales_target, with_scaled_target, without_wrapper
from fasttrain.cli._predicting import predict_table, prepared_model, rows_of, without_formulas
from fasttrain.cli._screen import shortened
from fasttrain.cli._stream_report import report
from fasttrain.cli._tables import STDIN
from fasttrain.data._files import files_of
from fasttrain.data._options import feature_names
from fasttrain.data._use import blocks_with_rows, first_block, stream
from fasttrain.preprocessing import ColumnLeftOutWarning, TablePreprocessor
from fasttrain.training.sums import SumTree

# Bytes of memory that a byte of a file becomes on the way to a model, by what the file is.
_GROWTH = {"text": 6, "packed": 20, "parquet": 8}
# Of the rows of each block so many are held out, where rows are.
_HELD_OUT = 0.1
_HEAD_BYTES = 1 << 22
_PACKED = (".gz", ".bz2", ".xz")
_PARQUET = (".parquet", ".pq")


@dataclass
class Outcome:
    """What came of a fit in blocks; ``summary`` is what results.json holds."""

    model: Pipeline
    summary: dict
    notes: dict
    messages: list
    columns: list
    scaling: str
    held_out: HeldOut | None = None
    weights: list | None = None
    curves: dict = field(default_factory=dict)


def is_wanted(options):
    """Whether a table is read in blocks: by --stream, for a folder, and where memory would not hold it."""
    if options.stream:
        return True
    path = Path(options.data)
    if str(options.data) == STDIN or not path.exists():
        return False
    if path.is_dir():
        return True
    name = path.name.lower()
    kind = "packed" if name.endswith(_PACKED) else "parquet" if name.endswith(_PARQUET) else "text"
    return path.stat().st_size * _GROWTH[kind] > available_memory()


def available_memory():
    """Bytes that may be taken without swapping; endless where the system does not tell."""
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable"):
                return int(line.split()[1]) * 1024
    return float("inf")


@contextmanager
def source_of(path, separator, encoding, *, not_a_code=None, **options):
    """The source of a file, a folder or standard input, which is copied to a temporary file first."""
    copy = None
    try:
        if str(path) == STDIN:
            with tempfile.NamedTemporaryFile(prefix="fasttrain-", delete=False) as file:
                copy = file.name
                while part := sys.stdin.buffer.read(1 << 22):
                    file.write(part)
                size = file.tell()
            print(f"fasttrain: standard input was copied to a temporary file, {size / 1e6:.1f} MB", file=sys.stderr)
            path = copy
        elif not os.path.exists(path):
            raise ValueError(f"{path} does not exist")
        if _is_parquet(path):
            options.pop("types", None)
            yield data.from_parquet(path, dtype="table", **options)
        else:
            tabbed = str(path).removesuffix(".gz").endswith((".tsv", ".tab"))
            separator, encoding = separator or ("\t" if tabbed else ","), encoding or "utf-8"
            codes = [name for name in code_columns(_Head(path, separator, encoding)) if name != not_a_code]
            types = dict.fromkeys(codes, "string") | options.pop("types", {})
            yield data.from_csv(
                path, dtype="table", separator=separator, encoding="utf8" if encoding == "utf-8" else encoding,
                types=types, **options)
    except ImportError as error:
        raise ValueError(str(error)) from None
    finally:
        if copy is not None:
            os.unlink(copy)


class _Head:
    """The first megabytes of a text file, or of a folder's first, for :func:`code_columns`."""

    def __init__(self, path, separator, encoding):
        self.path = files_of(path, (".csv", ".csv.gz"))[0] if os.path.isdir(path) else path
        self.separator, self.encoding = separator, encoding

    def text_bytes(self):
        opener = gzip.open if str(self.path).endswith(".gz") else open
        with suppress(EOFError, OSError, zlib.error), opener(self.path, "rb") as file:
            text = file.read(_HEAD_BYTES)
            return text[:text.rfind(b"\n") + 1] or text
        return b""


def _is_parquet(path):
    if os.path.isdir(path):
        return any(name.endswith(_PARQUET) for _, _, names in os.walk(path) for name in names)
    with open(path, "rb") as file:
        return file.read(4) == b"PAR1"


class _ScaledTarget(data.Blocks):
    """A source whose y is told from a mean in units of a scale."""

    def __init__(self, source, mean, scale):
        super().__init__(buffer_blocks=source.buffer_blocks, shuffle=source.shuffle, read_ahead=source.read_ahead)
        self.inner, self.mean, self.scale = source, mean, scale
        self.random_access = source.random_access

    @property
    def n_blocks(self):
        return self.inner.n_blocks

    def rows(self, i):
        return self.inner.rows(i)

    def where(self, i, row=None):
        return self.inner.where(i, row)

    def block(self, i):
        block = self.inner.block(i)
        return block._replace(y=(block.y - self.mean) / self.scale)


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


def _target_of(job, source):
    """(what a pass over y has found, the task)."""
    tree = SumTree()
    for _, y, _ in stream(source, source.block):
        if len(y):
            tree.add(_Target.of(np.asarray(y)))
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
        "--test": job.test,
    }
    for option, value in asked.items():
        if value:
            raise ValueError(f"{option} needs the whole table at once, which is read in blocks here: leave it out")


def run(job, interrupts=None, update=None, command=None):
    """Do the job over blocks: hold rows out, unless ``--cv 0`` says not to, fit the others, score.

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
    drops = bool(job.impute or job.drop_missing)
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
            source = CompleteRows(source, job.target, every_cell=bool(job.drop_missing))
        return _fitted(job, source, interrupts, update, command)


def _fitted(job, source, interrupts, update, command):
    found, task = _target_of(job, source)
    train, held = source.split(_HELD_OUT, job.seed) if job.folds else (source, None)
    # a pass over the source has counted its rows; R2 takes two
    n_held = None if held is None else sum(map(held.rows, range(held.n_blocks)))
    if n_held is not None and n_held < (2 if task == "regression" else 1):
        raise ValueError(
            f"{job.data} has {rows_of(found.n_rows)}, of which {n_held or 'none'} would be held out, too few for a "
            "score: pass --cv 0 to fit all of them without one")
    model = chosen_model(job.model, job.settings)
    watch = Watch(interrupts, update, 1)
    estimator = estimator_of(model, task, job.settings, job.seed, [watch])
    encoder = TablePreprocessor(
        types=job.types, missing="median" if job.impute else "error",
        scale=None if job.scaling == "none" else job.scaling, sparse_output=False)
    scaled = scales_target(model, task, job.settings)
    if scaled:
        mean, scale = float(found.moments.mean[0]), float(np.sqrt(found.moments.variance[0])) or 1.0
        train = _ScaledTarget(train, mean, scale)
    pipeline = Pipeline([("table", encoder), ("model", estimator)])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        began = time.perf_counter()
        pipeline.fit(train)
        seconds = time.perf_counter() - began
    if interrupts is not None:
        interrupts.check()
    fitted = pipeline[-1]
    if hasattr(fitted, "callbacks"):
        fitted.set_params(callbacks=None)
    unfinished = any(issubclass(item.category, ConvergenceWarning) for item in caught)
    final = final_fit(fitted, seconds, job, model, unfinished)
    if scaled:
        wrapper = with_scaled_target(fitted)
        wrapper.regressor_, wrapper.transformer_ = fitted, StandardScaler()
        wrapper.transformer_.mean_, wrapper.transformer_.scale_ = np.array([mean]), np.array([scale])
        pipeline = without_wrapper(Pipeline([("table", encoder), ("model", wrapper)]))
    held_out = None if held is None else _held_out(pipeline, held, task)
    scores = None if held is None else _scores(held_out, found, task)
    pipeline.set_params(table__handle_unknown="error")
    first = named(first_block(source)[1].X)
    texts = [str(name) for name, dtype in first.dtypes.items() if str(dtype).startswith(("string", "large_string"))]
    summary = {
        "fasttrain": __version__, "command": command, "data": str(job.data), "sha256": None,
        "rows": _counts(source, found.n_rows), "blocks": source.n_blocks, "target": job.target,
        "left_out": [*(f"{name!r} as asked" for name in job.leave_out), *left_out(encoder.columns_)],
        "numeric": [name for name, kind in encoder.types_.items() if kind == "numeric"],
        "categorical": [name for name, kind in encoder.types_.items() if kind == "categorical"],
        "task": task, "model": model, "estimator": repr(fitted), "target_scaled": scaled, "held_out": scores,
        "final_fit": final, "versions": versions(),
    }
    notes = {
        "target": job.target, "task": task, "model": model, "categorical": texts, "separator": job.separator or ",",
        "encoding": job.encoding, "rows": found.n_rows, "command": command,
        "scores": {} if scores is None else scores["scores"], "fasttrain": __version__,
    }
    messages = list(dict.fromkeys(
        " ".join(str(item.message).split()) for item in caught if not issubclass(item.category, ColumnLeftOutWarning)))
    curves = {"training": curve_of(fitted, "loss_curve_"), "validation": curve_of(fitted, "validation_loss_curve_")}
    return Outcome(
        pipeline, summary, notes, messages, encoder.columns_, job.scaling, held_out,
        evaluation.top_weights(pipeline) if hasattr(fitted, "coef_") else None,
        {name: curve for name, curve in curves.items() if curve})


def _counts(source, left):
    """Rows that were read, that went for which reason, and that are left."""
    if not isinstance(source, CompleteRows):
        return {"read": left, "left": left}
    gone = sum(source.dropped.values())
    what = "missing" if source.every_cell else "without a target"
    return {"read": left + gone, f"dropped ({what})": gone, "left": left}


def _held_out(pipeline, held, task):
    """What the model says of the rows held out, from one pass over them."""
    wanted, predicted, chances = [], [], []
    classes = pipeline[-1].classes_ if task == "classification" else None
    for _, block in blocks_with_rows(held):
        table = named(block.X)
        chance = None if classes is None else evaluation.probabilities_of(pipeline, table)
        predicted.append(pipeline.predict(table) if chance is None else classes[chance.argmax(axis=1)])
        wanted.append(np.asarray(block.y))
        chances.append(chance)
    y = np.concatenate(wanted)
    if classes is not None and y.dtype.kind not in "iufb":
        y = y.astype(str)
    probabilities = None if chances[0] is None else np.concatenate(chances)
    where = f"{len(y)} rows, a tenth of each block, on which the model was not trained"
    return HeldOut(where, y, np.concatenate(predicted), probabilities, classes)


def _scores(held, found, task):
    """Scores of the rows held out, beside those of the most frequent class or the mean."""
    if task == "classification":
        constant = found.labels.values[found.labels.counts.argmax()]
    else:
        constant = found.moments.mean[0]
    return {
        "rows": len(held.y), "scores": _metrics(held.y, held.predicted, task),
        "baseline": _metrics(held.y, np.full(len(held.y), constant), task)}


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
        "report.html": report(outcome).encode(),
    }
    persistence.save(outcome.model, out, notes=outcome.notes, files=files)
    return ["model.json", *files]


def _output(path):
    return nullcontext(sys.stdout) if path is None else file_at(path, "x", encoding="utf-8", newline="")


def predict(options, interrupts):
    """Predictions of a saved model, block by block, on standard output or in a file that appears when it is whole."""
    model, notes = prepared_model(options.folder, options.unknown, options.proba)
    texts = dict.fromkeys(notes["categorical"], "string")
    separator = options.sep or (None if notes["separator"] == "," else notes["separator"])
    with source_of(options.data, separator, options.encoding or notes.get("encoding"), types=texts) as source, \
            _output(options.out) as file:
        for i, block in enumerate(stream(source, source.block)):
            interrupts.check()
            found = predict_table(
                model, notes, named(block.X), source.where(i), options.missing, options.proba,
                tell=lambda line, i=i: print(f"note: {source.where(i)}: {shortened(line, 2000)}", file=sys.stderr))
            found = without_formulas(found) if options.safe_csv else found
            file.write(found.to_csv(index=False, header=i == 0))
