"""What the options ask for, and the rows, the target and the folds that follow from them."""

import hashlib
import shlex
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from fasttrain.cli._columns import code_columns, kinds_of, written_numbers
from fasttrain.cli._tables import STDIN, TableFile
from fasttrain.model_selection import KFold, LeaveOneOut, StratifiedKFold
from fasttrain.preprocessing import TablePreprocessor, drop_duplicates, drop_missing, drop_outliers
from fasttrain.preprocessing.columns.fitted import MissingValues

MOST_CLASSES = 20
# Where no other number is asked for.
FOLDS = 5
# For missing values.
REMEDIES = "--drop-missing to drop such rows", "--impute to fill them"


@dataclass
class Job:
    """What the options of the command line ask for.

    ``settings`` are the options of the model, by their names with underscores; ``folds`` is None where no number was
    given.
    """

    data: Path | str
    target: str
    separator: str | None = None
    encoding: str = "utf-8"
    leave_out: tuple = ()
    categorical: tuple = ()
    drop_missing: bool = False
    impute: bool = False
    drop_duplicates: bool = False
    outliers: str | None = None
    threshold: float | None = None
    scaling: str = "standard"
    model: str = "auto"
    task: str = "auto"
    folds: int | None = None
    leave_one_out: bool = False
    test: Path | None = None
    seed: int = 0
    settings: dict = field(default_factory=dict)
    columns: tuple = ()

    @property
    def n_folds(self):
        """The folds of a table in memory."""
        return FOLDS if self.folds is None else self.folds

    @cached_property
    def types(self):
        """``types`` of the TablePreprocessor."""
        return dict.fromkeys(self.categorical, "categorical") | kinds_of(self.columns)

    @cached_property
    def file(self):
        """The table's file; standard input is read once."""
        return TableFile(self.data, self.separator, self.encoding)

    def digest(self):
        """SHA-256 of the data as they lie on disk; None for standard input."""
        if str(self.data) == STDIN:
            return None
        digest = hashlib.sha256()
        with open(self.data, "rb") as file:
            for part in iter(lambda: file.read(1 << 20), b""):
                digest.update(part)
        return digest.hexdigest()


@dataclass
class Problem:
    """A table made ready: features, target, and the encoder to be fitted inside the folds.

    ``texts`` are the features that are read as text, ``written`` says whether the target is numbers written as text.
    """

    job: Job
    X: pd.DataFrame
    y: np.ndarray
    task: str
    encoder: TablePreprocessor
    counts: dict
    texts: list
    written: bool

    def splitter(self):
        """How the rows are held out in turn; None for not at all."""
        job = self.job
        if job.leave_one_out:
            return LeaveOneOut()
        if job.n_folds == 0:
            return None
        if not 2 <= job.n_folds <= len(self.y):
            raise ValueError(f"cv must be 0 or from 2 to the number of rows, {len(self.y)}, got {job.n_folds}")
        if self.task == "regression":
            return KFold(job.n_folds, shuffle=True, random_state=job.seed)
        classes, sizes = np.unique(self.y, return_counts=True)
        if sizes.max() < job.n_folds:
            remedy = f"pass --cv {sizes.max()}, or" if sizes.max() > 1 else "pass"
            raise ValueError(
                f"the target {job.target!r} has {len(classes)} classes in {len(self.y)} rows, none of them in as many "
                f"as the {job.n_folds} folds: {remedy} --cv 0 for no folds, or choose another target")
        return StratifiedKFold(job.n_folds, shuffle=True, random_state=job.seed)

    def remedied(self):
        """Within it, a refusal of missing values says what to do."""
        return remedied(self.job.file.name, *REMEDIES)


def problem_of(job):
    """Read and clean the job's table.

    Returns
    -------
    Problem

    Raises
    ------
    ValueError
        For a file or a column that cannot be used; the message says which and what to do.
    """
    table, counts = _read_and_clean(job)
    features = [name for name in table.columns if name != job.target]
    if not features:
        raise ValueError(f"{job.file.name} has no column but the target")
    _refuse_missing(job, table[features])
    y, task, written = _target_of(job, table[job.target])
    encoder = TablePreprocessor(
        types=job.types, missing="median" if job.impute else "error",
        scale=None if job.scaling == "none" else job.scaling,
    )  # fmt: skip
    texts = [name for name in features if is_text(table[name])]
    return Problem(job, table[features], y, task, encoder, counts, texts, written)


def _read_and_clean(job):
    """The rows that are left of the file, and how many went for which reason."""
    table = job.file.read(as_text={*job.types, *code_columns(job.file)} - {job.target})
    for name in (job.target, *job.leave_out, *job.types):
        if name not in table.columns:
            raise ValueError(lacking(job.file.name, [name], table.columns))
    for name in (*job.leave_out, *job.types):
        if name == job.target:
            raise ValueError(f"the column {name!r} is the target, it cannot be a feature or left out as well")
    table = table.drop(columns=list(job.leave_out))
    counts = {"read": len(table)}
    steps = {
        "without a target": job.impute and (lambda table: drop_missing(table, subset=[job.target])),
        "missing": job.drop_missing and _drop_missing_of(job),
        "duplicates": job.drop_duplicates and drop_duplicates,
        "outliers": job.outliers and _outliers_of(job),
    }
    for what, step in steps.items():
        if step:
            before = len(table)
            table = step(table)
            counts[f"dropped ({what})"] = before - len(table)
    counts["left"] = len(table)
    if not len(table):
        raise ValueError(f"no rows of {job.file.name} are left after cleaning")
    return table, counts


def lacking(name, absent, columns):
    """The message about columns that a table does not have."""
    shown = [repr(column) for column in list(columns)[:20]]
    more = f" and {len(columns) - 20} more" if len(columns) > 20 else ""
    what = f"the column {absent[0]!r}" if len(absent) == 1 else f"the columns {', '.join(map(repr, absent))}"
    return f"{name} lacks {what}; it has {', '.join(shown)}{more}"


def _drop_missing_of(job):
    def drop(table):
        table = drop_missing(table)
        features = table.drop(columns=job.target)
        if not len(features) or not any(is_text(features[name]) for name in features.columns):
            return table
        reader = TablePreprocessor(types=job.types, missing="median", scale=None, high_cardinality="hash")
        with warnings.catch_warnings():
            # what is told of columns is told when the model is fitted
            warnings.simplefilter("ignore")
            return table[~reader.fit(features).missing_rows(features)]

    return drop


def _outliers_of(job):
    if job.threshold is not None and job.threshold < 0:
        raise ValueError(f"threshold must be a number >= 0, got {job.threshold}")

    def drop(table):
        features = table.drop(columns=job.target)
        numeric = [name for name in features.columns if is_number(features[name])]
        if not numeric:
            raise ValueError("outliers can only be looked for in numeric columns, the table has none")
        _, mask = drop_outliers(
            features, method=job.outliers, threshold=job.threshold, subset=numeric, return_mask=True
        )
        return table[mask]

    return drop


def is_number(column):
    """Whether a column holds numbers; bool is none."""
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def is_text(column):
    """Whether a column holds neither numbers nor bool."""
    return not is_number(column) and column.dtype != bool


class Holes(ValueError):
    """A table has missing values, which no model of it will take."""


@contextmanager
def remedied(data, *remedies):
    """A refusal of missing values becomes :class:`Holes`, which name the table and what to do, in the shell's words."""
    try:
        yield
    except MissingValues as error:
        if error.strays:
            remedies += (f"--column {shlex.quote(f'{error.column}=categorical')} to take it as words",)
        *others, last = remedies
        ways = f"{', '.join(others)}{' or ' if others else ''}{last}"
        # a place has the file's name
        raise Holes(f"{error.place or data}: {error.what}: pass {ways}") from error


def _refuse_missing(job, features):
    if job.impute:
        return
    holes = features.isna().sum()
    if holes.any():
        holes = holes[holes > 0]
        listed = ", ".join(f"{name} {count}" for name, count in holes.head(10).items())
        more = f" and {len(holes) - 10} more columns" if len(holes) > 10 else ""
        raise ValueError(
            f"{job.file.name} has missing values ({listed}{more}): pass {' or '.join(REMEDIES)}")


def _target_of(job, column):
    """y, what is to be done with it, and whether it is numbers written as text."""
    numbers = None if is_number(column) else written_numbers(column)
    written = numbers is not None and (job.task == "regression" or numbers.nunique() > MOST_CLASSES)
    column = numbers if written else column
    missing = int(column.isna().sum())
    if missing:
        raise ValueError(f"the target {job.target!r} is missing in {missing} rows: pass --drop-missing to drop them")
    task, number, distinct = job.task, is_number(column), column.nunique()
    if task == "auto":
        whole = number and bool((column == column.round()).all())
        task = "regression" if number and not (whole and distinct <= MOST_CLASSES) else "classification"
    if task == "regression":
        if not number:
            example = column.iloc[0]
            raise ValueError(f"the target {job.target!r} must hold numbers for regression, got {str(example)!r}")
        y = column.to_numpy(dtype=np.float64)
        if not np.isfinite(y).all():
            raise ValueError(f"the target {job.target!r} must hold finite numbers")
        return y, task, written
    if distinct < 2:
        raise ValueError(
            f"the target {job.target!r} has one class only, {str(column.iloc[0])!r}; a classifier needs two or more"
        )
    return (column.to_numpy() if number else column.astype(str).to_numpy(dtype=object)), task, written


def test_rows(problem, model):
    """X and y of the job's test file, with the columns and classes of the training.

    Rows without a target go; holes are for the model to fill, or refused where the training had none.
    """
    job = problem.job
    file = TableFile(job.test, job.separator, job.encoding)
    features = list(problem.X.columns)
    table = file.read(as_text=problem.texts)
    absent = [name for name in (*features, job.target) if name not in table.columns]
    if absent:
        raise ValueError(lacking(file.name, absent, table.columns))
    table = drop_missing(table, subset=[job.target])
    if not len(table):
        raise ValueError(f"no row of {file.name} has a target")
    holes = table[features].isna().sum()
    if holes.any() and not job.impute:
        raise ValueError(f"{file.name} has missing values ({holes.idxmax()} {holes.max()}): pass --impute to fill them")
    column = table[job.target]
    if problem.task == "regression":
        if problem.written and not is_number(column):
            numbers = written_numbers(column)
            column = column if numbers is None else numbers
        if not is_number(column):
            raise ValueError(f"the target {job.target!r} of {file.name} must hold numbers, got {str(column.iloc[0])!r}")
        return table[features], column.to_numpy(dtype=np.float64)
    y = column.to_numpy() if is_number(column) else column.astype(str).to_numpy(dtype=object)
    unknown = sorted(set(map(str, y)) - set(map(str, model.classes_)))
    if unknown:
        raise ValueError(f"the target {job.target!r} of {file.name} holds {unknown[0]!r}, which the training has not")
    return table[features], y
