"""Tables that memory does not hold: ``fasttrain fit`` and ``fasttrain predict`` over blocks of files."""

import gzip
import json
import os
import sys
import tempfile
import time
import warnings
import zlib
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn import metrics
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from fasttrain import __version__, data, persistence
from fasttrain._estimators.blocks import Labels, Moments
from fasttrain._tables.frames import named
from fasttrain.data._use import stream
from fasttrain.cli._columns import code_columns, left_out
from fasttrain.cli._fitting import Watch, final_fit, versions
from fasttrain.cli._job import MOST_CLASSES
from fasttrain.cli._models import chosen_model, estimator_of, scales_target, with_scaled_target, without_wrapper
from fasttrain.cli._predicting import predict_table, prepared_model, rows_of, without_formulas
from fasttrain.cli._screen import shortened
from fasttrain.cli._tables import STDIN
from fasttrain.data._files import files_of
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
def source_of(path, separator, encoding, **options):
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
            codes = [name for name in code_columns(_Head(path, separator, encoding)) if name != options.get("target")]
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
        tree.add(_Target.of(np.asarray(y)))
    found = tree.total()
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
        "--drop-missing": job.drop_missing, "--drop-duplicates": job.drop_duplicates, "--outliers": job.outliers,
        "--leave-one-out": job.leave_one_out, "--test": job.test,
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
    with source_of(job.data, job.separator, job.encoding, target=job.target) as source:
        if job.leave_out:
            absent = [name for name in job.leave_out if name not in source.names]
            if absent:
                raise ValueError(f"--leave-out names the column {absent[0]!r}, which {job.data} lacks")
            source = source.map(lambda table: table.drop_columns(list(job.leave_out)))
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
    scores = None if held is None else _scores(pipeline, held, task)
    pipeline.set_params(table__handle_unknown="error")
    first = named(source.block(0).X)
    texts = [str(name) for name, dtype in first.dtypes.items() if str(dtype).startswith(("string", "large_string"))]
    summary = {
        "fasttrain": __version__, "command": command, "data": str(job.data), "sha256": None,
        "rows": {"read": found.n_rows, "left": found.n_rows}, "blocks": source.n_blocks, "target": job.target,
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
    return Outcome(pipeline, summary, notes, messages)


def _scores(pipeline, held, task):
    """Scores of the rows held out."""
    y = np.concatenate([np.asarray(block.y) for block in stream(held, held.block)])
    predicted = pipeline.predict(held)
    if task == "classification":
        y = y if y.dtype.kind in "iufb" else y.astype(str)
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
    return {"rows": len(y), "scores": {label: float(value) for label, value in found.items()}}


def write(outcome, out):
    """Put the model and results.json into the folder ``out``; the names written."""
    files = {"results.json": json.dumps(outcome.summary, indent=1, allow_nan=False).encode() + b"\n"}
    persistence.save(outcome.model, out, notes=outcome.notes, files=files)
    return ["model.json", *files]


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


@contextmanager
def _output(path):
    if path is None:
        yield sys.stdout
        return
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.absolute().parent)
    try:
        with open(handle, "w", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
