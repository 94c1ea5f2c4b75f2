"""From a CSV file to a saved, cross-validated model: what ``fasttrain fit`` does."""

import io
import json
import re
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from fasttrain import __version__, persistence
from fasttrain.callbacks import Callback
from fasttrain.cli._csv import read_table
from fasttrain.linear_model import LinearClassifier, LinearRegressor
from fasttrain.model_selection import KFold, LeaveOneOut, StratifiedKFold, cross_validate
from fasttrain.preprocessing import TablePreprocessor, drop_duplicates, drop_missing, drop_outliers

MOST_CLASSES = 20
# From scikit-learn's name to ours and the sign that makes it a quantity to read.
METRICS = {
    "classifier": {"accuracy": ("accuracy", 1), "balanced_accuracy": ("balanced accuracy", 1), "f1_macro": ("F1", 1)},
    "regressor": {
        "r2": ("R2", 1),
        "neg_root_mean_squared_error": ("RMSE", -1),
        "neg_mean_absolute_error": ("MAE", -1),
    },
}


@dataclass
class Job:
    """What the options of the command line ask for."""

    data: Path
    target: str
    separator: str = ","
    leave_out: tuple = ()
    categorical: tuple = ()
    drop_missing: bool = False
    impute: bool = False
    drop_duplicates: bool = False
    outliers: str | None = None
    threshold: float | None = None
    scaling: str = "standard"
    model: str = "auto"
    folds: int = 5
    leave_one_out: bool = False
    seed: int = 0
    settings: dict = field(default_factory=dict)


@dataclass
class Outcome:
    """What came of a job; ``summary`` is what results.json holds."""

    model: Pipeline
    summary: dict
    notes: dict
    messages: list

    @property
    def curves(self):
        fitted = self.model[-1]
        return {"training": fitted.loss_curve_, "validation": fitted.validation_loss_curve_ or []}


class Watch(Callback):
    """Tells the terminal how far a training is, and passes Ctrl-C on when the training has swallowed it.

    All clones of an estimator share the one object.
    """

    def __init__(self, interrupts, advance=None, tell=None, every=0.1):
        self.interrupts = interrupts
        self.advance = advance or (lambda: None)
        self.tell = tell or (lambda epoch, n_epochs, logs: None)
        self.every = every
        self._told = 0.0

    def __deepcopy__(self, memo):
        return self

    def on_train_begin(self, n_epochs):
        self._n_epochs = n_epochs

    def on_epoch_end(self, epoch, logs):
        now = time.monotonic()
        if now - self._told > self.every:
            self._told = now
            self.tell(epoch, self._n_epochs, logs)

    def on_train_end(self, history):
        self.advance()
        if self.interrupts is not None:
            self.interrupts.check()


def read_and_clean(job):
    """The rows that are left of the file, and how many went for which reason."""
    table = read_table(job.data, job.separator, as_text=job.categorical)
    for name in (job.target, *job.leave_out, *job.categorical):
        if name not in table.columns:
            raise ValueError(f"{job.data} lacks the column {name!r}; it has {', '.join(map(repr, table.columns))}")
    for name in (*job.leave_out, *job.categorical):
        if name == job.target:
            raise ValueError(f"the column {name!r} is the target, it cannot be a feature or left out as well")
    table = table.drop(columns=list(job.leave_out))
    counts = {"read": len(table)}
    steps = {
        "without a target": job.impute and (lambda table: drop_missing(table, subset=[job.target])),
        "missing": job.drop_missing and drop_missing,
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
        raise ValueError(f"no rows of {job.data} are left after cleaning")
    return table, counts


def _outliers_of(job):
    if job.threshold is not None and job.threshold < 0:
        raise ValueError(f"threshold must be a number >= 0, got {job.threshold}")

    def drop(table):
        features = table.drop(columns=job.target)
        numeric = [name for name in features.columns if _is_number(features[name])]
        if not numeric:
            raise ValueError("outliers can only be looked for in numeric columns, the table has none")
        _, mask = drop_outliers(
            features, method=job.outliers, threshold=job.threshold, subset=numeric, return_mask=True
        )
        return table[mask]

    return drop


def _is_number(column):
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def split_columns(job, table):
    """The table encoder for the features."""
    features = [name for name in table.columns if name != job.target]
    if not features:
        raise ValueError(f"{job.data} has no column but the target")
    numeric = [
        name for name in features
        if name not in job.categorical and (_is_number(table[name]) or table[name].dtype == bool)
    ]  # fmt: skip
    categorical = [name for name in features if name not in numeric]
    if not job.impute:
        holes = table[features].isna().sum()
        if holes.any():
            listed = ", ".join(f"{name} {count}" for name, count in holes[holes > 0].items())
            raise ValueError(
                f"{job.data} has missing values ({listed}): pass --drop-missing to drop such rows or --impute to "
                "fill them"
            )
    return numeric, categorical


def target_of(job, table):
    """y, and which model it is for."""
    column = table[job.target]
    missing = int(column.isna().sum())
    if missing:
        raise ValueError(f"the target {job.target!r} is missing in {missing} rows: pass --drop-missing to drop them")
    kind = job.model
    number = _is_number(column)
    distinct = column.nunique()
    if kind == "auto":
        whole = number and bool((column == column.round()).all())
        kind = "regressor" if number and not (whole and distinct <= MOST_CLASSES) else "classifier"
    if kind == "regressor":
        if not number:
            example = column.iloc[0]
            raise ValueError(f"the target {job.target!r} must hold numbers for regression, got {str(example)!r}")
        y = column.to_numpy(dtype=np.float64)
        if not np.isfinite(y).all():
            raise ValueError(f"the target {job.target!r} must hold finite numbers")
        return y, kind
    if distinct < 2:
        raise ValueError(
            f"the target {job.target!r} has one class only, {str(column.iloc[0])!r}; a classifier needs two or more"
        )
    return (column.to_numpy() if number else column.astype(str).to_numpy(dtype=object)), kind


def splitter_of(job, kind, n_rows):
    if job.leave_one_out:
        return LeaveOneOut()
    if job.folds == 0:
        return None
    if not 2 <= job.folds <= n_rows:
        raise ValueError(f"cv must be 0 or from 2 to the number of rows, {n_rows}, got {job.folds}")
    return (StratifiedKFold if kind == "classifier" else KFold)(job.folds, shuffle=True, random_state=job.seed)


def run(job, interrupts=None, begin=None, advance=None, tell=None):
    """Do the job.

    Parameters
    ----------
    job : Job
    interrupts : object with ``check()``, optional
    begin : callable, optional
        ``begin(n)`` before the first of n trainings.
    advance, tell : callable, optional
        After each training; ``tell(epoch, n_epochs, logs)`` now and then within one.

    Returns
    -------
    Outcome
    """
    table, counts = read_and_clean(job)
    numeric, categorical = split_columns(job, table)
    if set(categorical) - set(job.categorical):
        # Once more, so that categories keep their spelling: "1.0" and "1" are two of them.
        spelled = read_table(job.data, job.separator, as_text=categorical)
        table = table.assign(**{name: spelled.loc[table.index, name] for name in categorical})
    y, kind = target_of(job, table)
    X = table[[*numeric, *categorical]]
    estimator = (LinearClassifier if kind == "classifier" else LinearRegressor)(
        callbacks=[Watch(interrupts, advance, tell)], random_state=job.seed,
        **{name: value for name, value in job.settings.items() if value is not None},
    )  # fmt: skip
    encoder = TablePreprocessor(
        types=dict.fromkeys(numeric, "numeric") | dict.fromkeys(categorical, "categorical"),
        missing="median" if job.impute else "error",
        scale=None if job.scaling == "none" else job.scaling,
    )
    pipeline = Pipeline([("table", encoder), ("model", estimator)])
    splitter = splitter_of(job, kind, len(y))
    n_folds = 0 if splitter is None else splitter.get_n_splits(X, y)
    if begin is not None:
        begin(n_folds + 1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scores, seconds = {}, None
        if splitter is not None:
            found = cross_validate(
                pipeline, X, y, cv=splitter, scoring=list(METRICS[kind]), error_score="raise"
            )
            scores = {
                label: sign * found[f"test_{name}"] for name, (label, sign) in METRICS[kind].items()
            }
            seconds = float(np.mean(found["fit_time"]))
        start = time.perf_counter()
        pipeline.fit(X, y)
        fit_seconds = time.perf_counter() - start
    if interrupts is not None:
        interrupts.check()
    pipeline.set_params(table__handle_unknown="error")
    fitted = pipeline[-1]
    fitted.set_params(callbacks=None)
    summary = {
        "fasttrain": __version__,
        "data": str(job.data),
        "rows": counts,
        "target": job.target,
        "numeric": numeric,
        "categorical": categorical,
        "model": kind,
        "estimator": repr(fitted),
        "cross_validation": {
            "method": "leave-one-out" if job.leave_one_out else "k-fold" if n_folds else "none",
            "folds": n_folds,
            "seconds_of_a_fit": seconds,
            "scores": {label: _summary(values, job.leave_one_out) for label, values in scores.items()},
        },
        "final_fit": {
            "seconds": fit_seconds,
            "passes": fitted.n_iter_,
            "converged": bool(fitted.converged_),
            "stop_reason": fitted.stop_reason_,
            "to_change": fitted.advice_ and in_options(fitted.advice_),
            "loss": float(fitted.loss_),
            "loss_curve": [float(value) for value in fitted.loss_curve_],
        },
    }
    notes = {"target": job.target, "model": kind, "categorical": categorical, "separator": job.separator}
    messages = list(dict.fromkeys(" ".join(str(item.message).split()) for item in caught))
    return Outcome(pipeline, summary, notes, messages)


def in_options(advice):
    """What to change, in the names of the command line's options."""
    names = "max_iter|tol|learning_rate|batch_size|early_stopping|schedule|optimizer"
    advice = re.sub(rf"\b({names})\b", lambda found: "--" + found[0].replace("_", "-"), advice)
    return advice.replace("=True", "").replace('="', " ").replace("='", " ").replace('"', "").replace("'", "")


def _summary(values, pooled):
    """A metric over the folds; of one-row folds only the mean says something."""
    summary = {"mean": float(np.mean(values))}
    if not pooled:
        summary |= {"std": float(np.std(values)), "of_folds": [float(value) for value in values]}
    return summary


def loss_image(outcome):
    """The loss curves as the bytes of a PNG; None without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    figure = Figure(figsize=(6, 4), layout="constrained")
    axis = figure.subplots()
    for label, curve in outcome.curves.items():
        if curve:
            axis.plot(np.arange(1, len(curve) + 1), curve, label=label)
    axis.set(xlabel="pass over the data", ylabel="loss")
    axis.legend()
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=120)
    return image.getvalue()


def write(outcome, out):
    """Put the model, results.json and loss.png into the folder ``out``; the names written."""
    files = {"results.json": json.dumps(outcome.summary, indent=1, allow_nan=False).encode() + b"\n"}
    image = loss_image(outcome)
    if image is not None:
        files["loss.png"] = image
    persistence.save(outcome.model, out, notes=outcome.notes, files=files)
    return ["model.json", *files]


def predict(folder, data, unknown="error", probabilities=False):
    """Predictions of a saved model for a CSV file, as a data frame."""
    model, notes = persistence.load(folder, return_notes=True)
    if not isinstance(model, Pipeline) or not isinstance(model[0], TablePreprocessor) or "target" not in notes:
        raise ValueError(f"{folder} holds a {type(model).__name__}, not a model that 'fasttrain fit' has written")
    model.set_params(table__handle_unknown=unknown)
    table = read_table(data, notes["separator"], as_text=notes["categorical"])
    features = list(model[0].feature_names_in_)
    absent = [name for name in features if name not in table.columns]
    if absent:
        raise ValueError(
            f"the table lacks {', '.join(map(repr, absent))}; it has {', '.join(map(repr, table.columns))}"
        )
    table = table[features]
    predictions = pd.DataFrame({notes["target"]: model.predict(table)})
    if probabilities:
        if not hasattr(model[-1], "classes_"):
            raise ValueError("probabilities are for classifiers, this model is a regressor")
        try:
            chances = model.predict_proba(table)
        except AttributeError as error:
            raise ValueError(str(error)) from None
        for label, column in zip(model[-1].classes_, chances.T):
            predictions[f"P({label})"] = column
    return predictions
