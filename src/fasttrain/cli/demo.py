"""The whole way on real data: clean, encode, scale, train, cross-validate; against plain NumPy and scikit-learn."""

import io
import json
import time
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn import linear_model as peer, preprocessing as stock_preprocessing
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

from fasttrain import optimizers
from fasttrain._files.atomic import write_folder
from fasttrain._kernels.threads import num_threads
from fasttrain.cli import _screen
from fasttrain.cli._tutorial import NumpyClassifier, NumpyRegressor
from fasttrain.cli.commands.sample import sample_file
from fasttrain.linear_model import LinearClassifier, LinearRegressor
from fasttrain.model_selection import KFold, LeaveOneOut, StratifiedKFold, cross_val_predict, cross_validate
from fasttrain.preprocessing import StandardScaler, TablePreprocessor, drop_duplicates, drop_missing, drop_outliers

__all__ = ["Dataset", "Row", "penguins", "run"]

SEED = 0
N_FOLDS = 5
SGD_BATCH = 32
PENALTIES = ("none", "l1", "l2")
# Title, rule, learning rate for classes, for numbers; SGD is gradient descent on small batches.
METHODS = (
    ("GD", "gradient_descent", 0.5, 0.1),
    ("SGD", "gradient_descent", 0.05, 0.01),
    ("momentum", "momentum", 0.1, 0.02),
    ("AdaGrad", "adagrad", 0.2, 30.0),
    ("RMSprop", "rmsprop", 0.02, 3.0),
    ("Adam", "adam", 0.05, 3.0),
)
_SPECS = {
    "gradient_descent": optimizers.GradientDescent,
    "momentum": optimizers.Momentum,
    "adagrad": optimizers.AdaGrad,
    "rmsprop": optimizers.RMSprop,
    "adam": optimizers.Adam,
}


@dataclass
class Dataset:
    """A table ready for cross-validation: X still in its own units, ``encoder`` to be fitted inside the folds.

    ``stock_encoder`` makes the same matrix by scikit-learn's means, for the models that ours is compared with.
    """

    name: str
    X: object
    y: np.ndarray
    encoder: object
    n_passes: int
    l1: float
    l2: float
    cleaning: dict
    classes: bool = True
    stock_encoder: object = field(default_factory=stock_preprocessing.StandardScaler)

    @property
    def metric(self):
        return "accuracy" if self.classes else "r2"


@dataclass
class Row:
    """One line of the results; times are seconds of one fit, encoding and scaling included."""

    dataset: str
    library: str
    model: str
    penalty: str
    cv: str
    metric: str
    score: float
    spread: float
    seconds: float
    zero_weights: float | None = None
    numpy_score: float | None = None
    numpy_seconds: float | None = None
    largest_difference: float | None = None


def penguins():
    """The Palmer penguins as they are published, cleaned row by row: (features, species, what went)."""
    with sample_file().open(encoding="utf-8") as file:
        raw = pd.read_csv(file)
    table = drop_missing(raw)
    kept = drop_duplicates(table)
    measured = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
    near = drop_outliers(kept, method="mad", threshold=3.5, subset=measured)
    cleaning = {
        "missing": len(raw) - len(table), "duplicates": len(table) - len(kept), "outliers": len(kept) - len(near),
    }  # fmt: skip
    return near[[*measured, "island", "sex"]], near["species"].to_numpy(dtype=object), cleaning


def cleaned(X, y, **outliers):
    """Rows of a table of numbers that are complete, new, and (when asked for) near the others; and what went."""
    steps = {"missing": drop_missing, "duplicates": drop_duplicates}
    if outliers:
        steps["outliers"] = lambda X, y: drop_outliers(X, y, **outliers)
    counts = {}
    for what, step in steps.items():
        before = len(y)
        X, y = step(X, y)
        counts[what] = before - len(y)
    return X, y, counts


def datasets():
    """The four tables, cleaned; each is read when it is asked for."""
    X, y, went = penguins()
    numbers = X.select_dtypes("number").columns.tolist()
    words = X.columns.drop(numbers).tolist()
    stock = ColumnTransformer([
        ("numbers", stock_preprocessing.StandardScaler(), numbers),
        ("words", stock_preprocessing.OneHotEncoder(sparse_output=False, handle_unknown="ignore"), words),
    ])
    yield Dataset(
        "penguins", X, y, TablePreprocessor(), n_passes=100, l1=0.005, l2=0.01, cleaning=went, stock_encoder=stock)
    X, y, went = cleaned(*load_breast_cancer(return_X_y=True), method="zscore", threshold=8)
    yield Dataset("breast cancer", X, y, StandardScaler(), n_passes=100, l1=0.005, l2=0.01, cleaning=went)
    X, y, went = cleaned(*load_digits(return_X_y=True))
    yield Dataset("digits", X, y, StandardScaler(), n_passes=30, l1=0.001, l2=0.01, cleaning=went)
    X, y, went = cleaned(*load_diabetes(return_X_y=True), method="iqr", threshold=3)
    yield Dataset("diabetes", X, y, StandardScaler(), n_passes=100, l1=2.0, l2=0.05, cleaning=went, classes=False)


def ours(data, title, rule, rate, penalty):
    """The estimator of fasttrain that makes the same steps as :func:`theirs`."""
    kind, loss = (LinearClassifier, "log_loss") if data.classes else (LinearRegressor, "squared_error")
    return kind(
        loss, optimizer=_SPECS[rule](rate), penalty=None if penalty == "none" else penalty,
        alpha=data.l1 if penalty == "l1" else data.l2, batch_size=SGD_BATCH if title == "SGD" else "full",
        max_iter=data.n_passes, tol=None, random_state=SEED,
    )  # fmt: skip


def theirs(data, title, rule, rate, penalty):
    """The tutorial's steps in NumPy."""
    kind = NumpyClassifier if data.classes else NumpyRegressor
    return kind(
        rule, rate, data.n_passes, SGD_BATCH if title == "SGD" else None, l1=data.l1 if penalty == "l1" else 0.0,
        l2=data.l2 if penalty == "l2" else 0.0, seed=SEED,
    )  # fmt: skip


def peers(data, penalty):
    """scikit-learn's models of the same objective: (name, estimator)."""
    n = len(data.y) * (N_FOLDS - 1) // N_FOLDS
    alpha = {"none": 1e-12, "l1": data.l1, "l2": data.l2}[penalty]
    sgd = {
        "penalty": None if penalty == "none" else penalty, "alpha": alpha, "max_iter": data.n_passes, "tol": None,
        "random_state": SEED,
    }  # fmt: skip
    if data.classes:
        yield "SGDClassifier", peer.SGDClassifier(loss="log_loss", **sgd)
        if penalty != "l1":
            yield "LogisticRegression", peer.LogisticRegression(C=1 / (n * alpha), max_iter=1000)
    else:
        # The squared error here has no factor 1/2, so the same penalty is half as strong in scikit-learn's terms.
        yield "SGDRegressor", peer.SGDRegressor(**{**sgd, "alpha": alpha / 2})
        if penalty == "none":
            yield "LinearRegression", peer.LinearRegression()
        elif penalty == "l1":
            yield "Lasso", peer.Lasso(alpha=alpha / 2)
        else:
            yield "Ridge", peer.Ridge(alpha=n * alpha / 2)


def folds(data):
    kind = StratifiedKFold if data.classes else KFold
    return kind(N_FOLDS, shuffle=True, random_state=SEED)


def evaluate(data, model, penalty, name, library="fasttrain"):
    """Cross-validate the encoder of a library and a model together."""
    encoder = data.encoder if library == "fasttrain" else data.stock_encoder
    pipeline = make_pipeline(clone(encoder), model)
    found = cross_validate(
        pipeline, data.X, data.y, cv=folds(data), scoring=data.metric, return_estimator=True, error_score="raise"
    )
    scores = found["test_score"]
    fitted = [estimator[-1] for estimator in found["estimator"]]
    zeros = float(np.mean([np.mean(model.coef_ == 0) for model in fitted])) if penalty == "l1" else None
    row = Row(
        data.name, library, name, penalty, f"{N_FOLDS}-fold", data.metric, float(scores.mean()), float(scores.std()),
        float(np.median(found["fit_time"])), zeros,
    )  # fmt: skip
    return row, fitted


def compare(data, title, rule, rate, penalty):
    """One row: ours, with the same steps in NumPy beside it."""
    row, fitted = evaluate(data, ours(data, title, rule, rate, penalty), penalty, title)
    other, reference = evaluate(data, theirs(data, title, rule, rate, penalty), penalty, title, "NumPy")
    row.numpy_score, row.numpy_seconds = other.score, other.seconds
    row.largest_difference = max(
        float(np.max(np.abs(a.coef_ - b.coef_)) / np.max(np.abs(b.coef_))) for a, b in zip(fitted, reference)
    )
    return row, fitted[0].loss_curve_


def leave_one_out(data):
    """As many models as rows; the metric is taken once, of all the rows' predictions."""
    title, rule, rate, _ = METHODS[-1]
    models = [
        ("fasttrain", title, ours(data, title, rule, rate, "l2"), data.encoder),
        ("scikit-learn", "LogisticRegression", dict(peers(data, "l2"))["LogisticRegression"], data.stock_encoder),
    ]
    for library, name, model, encoder in models:
        start = time.perf_counter()
        predicted = cross_val_predict(make_pipeline(clone(encoder), model), data.X, data.y, cv=LeaveOneOut())
        seconds = (time.perf_counter() - start) / len(data.y)
        right = predicted == data.y
        yield Row(
            data.name, library, name, "l2", "leave-one-out", data.metric, float(right.mean()),
            float(right.std() / np.sqrt(len(right))), seconds,
        )  # fmt: skip


def show_all(data, rows):
    """Every comparison of a data set, the penalties side by side."""
    scores, times = [], []
    for library in ("fasttrain", "scikit-learn"):
        mine_all = [row for row in rows if row.library == library and row.cv != "leave-one-out"]
        for name in dict.fromkeys(row.model for row in mine_all):
            mine = {row.penalty: row for row in mine_all if row.model == name}
            cells = [f"{mine[p].score:.3f}±{mine[p].spread:.3f}" if p in mine else "" for p in PENALTIES]
            zeros = mine["l1"].zero_weights if "l1" in mine else None
            scores.append([name, *cells, "" if zeros is None else f"{zeros:.0%}"])
            seconds = float(np.mean([row.seconds for row in mine.values()]))
            cells = ["", "", ""]
            if all(row.numpy_seconds is not None for row in mine.values()):
                theirs = float(np.mean([row.numpy_seconds for row in mine.values()]))
                difference = max(row.largest_difference for row in mine.values())
                cells = [f"{1e3 * theirs:.2f}", f"{theirs / seconds:.1f}x", f"{difference:.0e}"]
            times.append([name, f"{1e3 * seconds:.2f}", *cells])
    print(f"\n{data.name}: {len(data.y)} rows, {data.n_passes} passes, {data.metric}")
    _screen.show_table(["", "no penalty", "L1", "L2", "L1 zeros"], scores)
    _screen.show_table(["", "ms a fit", "NumPy", "ratio", "difference"], times)


def line_of(data, rows):
    """A data set in one line: what was dropped, the best score of ours and of scikit-learn's, times."""
    ours = [row for row in rows if row.library == "fasttrain" and row.cv != "leave-one-out"]
    peers = [row for row in rows if row.library == "scikit-learn" and row.cv != "leave-one-out"]
    best, peer = (max(group, key=lambda row: row.score) for group in (ours, peers))
    seconds = float(np.median([row.seconds for row in ours]))
    numpy_seconds = float(np.median([row.numpy_seconds for row in ours]))
    # near a minimum RMSprop's steps have a fixed length and amplify rounding
    difference = max(row.largest_difference for row in ours if row.model != "RMSprop")
    return [
        data.name, str(len(data.y)), data.metric, f"{best.score:.3f}", f"{peer.score:.3f}", f"{1e3 * seconds:.2f}",
        f"{numpy_seconds / seconds:.0f}x", f"{difference:.0e}",
    ]


def plot(curves):
    """Loss curves of every data set and penalty as the bytes of a PNG; None without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    names = list(dict.fromkeys(name for name, _, _ in curves))
    figure = Figure(figsize=(3.4 * len(PENALTIES), 2.6 * len(names)), dpi=100)
    axes = figure.subplots(len(names), len(PENALTIES), squeeze=False)
    figure.subplots_adjust(0.08, 0.05, 0.98, 0.92, wspace=0.35, hspace=0.5)
    for (name, penalty, title), curve in curves.items():
        axis = axes[names.index(name)][PENALTIES.index(penalty)]
        axis.plot(np.arange(1, len(curve) + 1), curve, label=title)
        axis.set(title=f"{name}, penalty {penalty}", xlabel="pass", yscale="log")
    axes[0][0].legend(fontsize="small")
    figure.suptitle("Training loss, penalty included", x=0.01, ha="left")
    image = io.BytesIO()
    figure.savefig(image, format="png")
    return image.getvalue()


def run(out="demo-output", check=None, full=False):
    """Run the demo and write its results, all at the end.

    Parameters
    ----------
    out : path, default='demo-output'
        Folder for ``results.csv``, ``results.json`` and, with matplotlib, ``loss.png``; made when missing.
    check : callable, optional
        Called between the trainings; what it raises ends the demo. An estimator answers Ctrl-C by ending its own
        training only.
    full : bool, default=False
        Print every comparison as well.

    Returns
    -------
    list of Row
    """
    check = check or (lambda: None)
    out = Path(out)
    start = time.perf_counter()
    rows, curves, lines, cleaning = [], {}, [], []
    n_fits, done = 4 * len(METHODS) * len(PENALTIES), 0
    print(
        f"Four real tables, cleaned, encoded and scaled: {len(METHODS)} optimizers under {len(PENALTIES)} penalties\n"
        f"on {N_FOLDS} folds, each beside the same steps in NumPy, and scikit-learn's models.\n"
        "Under a minute on an idle machine, on one thread.",
        flush=True,
    )
    # The tables are small: a second thread has nothing to do in them but wait, in every library.
    with _screen.progress(0) as bar, num_threads(1), threadpool_limits(1), warnings.catch_warnings():
        # Some of the peers do not settle within as many passes; that is part of the comparison.
        warnings.simplefilter("ignore")
        for data in datasets():
            mine = []
            for title, rule, rate_of_classes, rate_of_numbers in METHODS:
                for penalty in PENALTIES:
                    rate = rate_of_classes if data.classes else rate_of_numbers
                    row, curves[data.name, penalty, title] = compare(data, title, rule, rate, penalty)
                    mine.append(row)
                    done += 1
                    bar.update(done, n_fits, f"{data.name}, {title}")
                    check()
            for penalty in PENALTIES:
                mine += [
                    evaluate(data, model, penalty, name, "scikit-learn")[0] for name, model in peers(data, penalty)
                ]
            if data.name == "penguins":
                mine += leave_one_out(data)
            check()
            lines.append(line_of(data, mine))
            cleaning += [f"{data.name} {n} {what}" for what, n in data.cleaning.items() if n]
            if full:
                show_all(data, mine)
            rows += mine
    seconds = time.perf_counter() - start
    document = {"seconds": seconds, "rows": [asdict(row) for row in rows]}
    files = {
        "results.csv": pd.DataFrame(document["rows"]).to_csv(index=False).encode(),
        "results.json": json.dumps(document, indent=1).encode() + b"\n",
    }
    image = plot(curves)
    if image is not None:
        files["loss.png"] = image
    write_folder(out, files, index="results.json")
    headings = ["table", "rows", "metric", "best", "sklearn", "ms a fit", "NumPy", "difference"]
    _screen.show_table(headings, lines)
    print("Rows dropped: " + "; ".join(cleaning))
    for row in rows:
        if row.cv == "leave-one-out":
            print(f"Leave-one-out on {row.dataset}: {row.library} {row.model} {row.score:.3f}, "
                  f"{1e3 * row.seconds:.2f} ms a model")
    print(
        "'ms a fit' includes encoding and scaling. 'NumPy': how many times as long the\n"
        "same steps take there, behind scikit-learn's encoders; 'difference': that of the\n"
        "weights, relative to the largest (RMSprop apart, which amplifies rounding)."
    )
    print(f"{len(rows)} comparisons in {seconds:.1f} s. All of them: --full, and", *(out / name for name in files))
    return rows
