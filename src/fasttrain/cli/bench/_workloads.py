"""The pieces of work that are measured: fasttrain's way and scikit-learn's, and others' where they are installed."""

from dataclasses import dataclass

import numpy as np
from sklearn import linear_model as peer_linear
from sklearn import model_selection as peer_selection
from sklearn import neural_network as peer_networks
from sklearn import preprocessing as peer_preprocessing
from sklearn.datasets import load_digits

from fasttrain import linear_model, model_selection, neural_network, preprocessing
from fasttrain._kernels.threads import get_num_threads
from fasttrain.cli.bench import _peers as others

OURS, SKLEARN = "fasttrain", "scikit-learn"


@dataclass
class Work:
    """One piece of work.

    Attributes
    ----------
    name : str
    functions : dict
        From libraries to callables that do it.
    per : int or dict
        How many of what ``unit`` says a call does, or a dict of these by library.
    unit : str
    """

    name: str
    functions: dict
    per: int | dict = 1
    unit: str = "run"


def workloads(quick=False, with_peers=False):
    """All pieces of work, each made when it is asked for; the name first, for those who wait.

    Parameters
    ----------
    quick : bool, default=False
        A tenth of the rows.
    with_peers : bool, default=False
        Beside scikit-learn, PyTorch, JAX, pandas and polars where they are installed.

    Yields
    ------
    callable that returns a Work
    """
    scale = 10 if quick else 1
    for dtype in ("float32", "float64"):
        yield lambda dtype=dtype: _sgd(200_000 // scale, dtype, 1)
    yield lambda: _sgd(100_000 // scale, "float32", 10)
    nets = [((20, 16, 1), 32, 1000), ((100, 64, 32, 1), 32, 500), ((784, 128, 10), 32, 200), ((784, 128, 10), 200, 50)]
    if not quick:
        nets.append(((784, 512, 256, 10), 256, 20))
    for units, batch, steps in nets:
        yield lambda units=units, batch=batch, steps=steps: _network(units, batch, max(10, steps // scale), with_peers)
    yield _row
    yield lambda: _lbfgs(100_000 // scale)
    yield lambda: _grid_of_alphas(50_000 // scale)
    if not quick:
        yield _grid_of_networks
    yield lambda: _scaler(1_000_000 // scale)
    yield lambda: _encoder(1_000_000 // scale)
    if with_peers and (others.installed("pandas") or others.installed("polars")):
        yield lambda: _duplicates(1_000_000 // scale)


def _classes(n, n_features, dtype, n_classes=1):
    rng = np.random.RandomState(0)
    X = rng.standard_normal((n, n_features)).astype(dtype)
    scores = X @ rng.standard_normal((n_features, n_classes)) + 3 * rng.standard_normal((n, n_classes))
    return X, (scores[:, 0] > 0).astype(np.int64) if n_classes == 1 else scores.argmax(axis=1)


def _fits(mine, theirs, X, y):
    return {OURS: lambda: mine.fit(X, y), SKLEARN: lambda: theirs.fit(X, y)}


def _sgd(n, dtype, n_classes):
    X, y = _classes(n, 100, dtype, n_classes)
    settings = {"loss": "log_loss", "max_iter": 3, "tol": None, "random_state": 0}
    mine, theirs = linear_model.SGDClassifier(**settings), peer_linear.SGDClassifier(**settings)
    what = "" if n_classes == 1 else f", {n_classes} classes"
    return Work(
        f"SGDClassifier, log loss{what}, {n:,} x 100, {dtype}", _fits(mine, theirs, X, y), 3 * n, "sample"
    )


def _network(units, batch, n_steps, with_peers):
    X, y = _classes(batch * n_steps, units[0], "float32", max(units[-1], 1))
    y[: max(units[-1], 2)] = np.arange(max(units[-1], 2))
    settings = {
        "hidden_layer_sizes": units[1:-1], "batch_size": batch, "max_iter": 2, "n_iter_no_change": np.inf,
        "random_state": 0,
    }  # fmt: skip
    mine, theirs = neural_network.MLPClassifier(**settings), peer_networks.MLPClassifier(**settings)
    functions, per = _fits(mine, theirs, X, y), dict.fromkeys((OURS, SKLEARN), 2 * n_steps)
    for name, label, make in (("torch", "PyTorch", others.torch_epoch), ("jax", "JAX", others.jax_epoch)):
        if with_peers and others.installed(name):
            functions[label], per[label] = make(units, batch, X, y), n_steps
    return Work(f"MLP {'-'.join(map(str, units))}, batches of {batch}, Adam, float32", functions, per, "step")


def _row():
    X, y = _classes(1000, 784, "float32", 10)
    y[:10] = np.arange(10)
    settings = {"hidden_layer_sizes": (128,), "max_iter": 1, "random_state": 0}
    mine, theirs = (module.MLPClassifier(**settings).fit(X, y) for module in (neural_network, peer_networks))
    row, repeat = X[:1].copy(), 50

    def of(model):
        return lambda: [model.predict(row) for _ in range(repeat)]

    return Work("MLP 784-128-10, predict of one row, float32", {OURS: of(mine), SKLEARN: of(theirs)}, repeat, "row")


def _lbfgs(n):
    X, y = _classes(n, 30, "float64")
    mine = linear_model.LinearClassifier(optimizer="lbfgs", penalty="l2", alpha=1 / n, max_iter=100)
    theirs = peer_linear.LogisticRegression(C=1.0, max_iter=100)
    return Work(
        f"logistic regression by L-BFGS, {n:,} x 30, float64", _fits(mine, theirs, X, y), 1, "fit"
    )


def _grid_of_alphas(n):
    X, y = _classes(n, 100, "float32")
    settings = {"loss": "log_loss", "max_iter": 10, "tol": None, "random_state": 0}
    grid, jobs = {"alpha": np.logspace(-4, 0, 10)}, get_num_threads()
    mine = model_selection.GridSearchCV(linear_model.SGDClassifier(**settings), grid, cv=5, n_jobs=jobs)
    theirs = peer_selection.GridSearchCV(peer_linear.SGDClassifier(**settings), grid, cv=5, n_jobs=jobs)
    return Work(
        f"GridSearchCV, 10 alphas x 5 folds, SGDClassifier, {n:,} x 100", _fits(mine, theirs, X, y), 1, "search"
    )


def _grid_of_networks():
    X, y = load_digits(return_X_y=True)
    settings, jobs = {"max_iter": 20, "batch_size": 32, "random_state": 0}, get_num_threads()
    grid = {"alpha": [1e-4, 1e-2], "hidden_layer_sizes": [(32,), (64,)]}
    mine = model_selection.GridSearchCV(neural_network.MLPClassifier(**settings), grid, cv=3, n_jobs=jobs)
    theirs = peer_selection.GridSearchCV(peer_networks.MLPClassifier(**settings), grid, cv=3, n_jobs=jobs)
    return Work(
        "GridSearchCV, 4 MLPs x 3 folds, digits, 20 epochs", _fits(mine, theirs, X, y), 1, "search"
    )


def _scaler(n):
    X = np.random.default_rng(0).standard_normal((n, 50))
    mine, theirs = preprocessing.StandardScaler(), peer_preprocessing.StandardScaler()
    functions = {OURS: lambda: mine.fit(X), SKLEARN: lambda: theirs.fit(X)}
    return Work(f"StandardScaler.fit, {n:,} x 50, float64", functions, 1, "fit")


def _encoder(n):
    X = np.random.default_rng(1).integers(0, 50, (n, 4))
    mine, theirs = preprocessing.OneHotEncoder().fit(X), peer_preprocessing.OneHotEncoder().fit(X)
    functions = {OURS: lambda: mine.transform(X), SKLEARN: lambda: theirs.transform(X)}
    return Work(f"OneHotEncoder.transform, {n:,} x 4 integers", functions, 1, "table")


def _duplicates(n):
    X = np.random.default_rng(2).integers(0, 30, (n, 8)).astype(np.float64)
    functions = {OURS: lambda: preprocessing.drop_duplicates(X)}
    if others.installed("pandas"):
        import pandas as pd

        frame = pd.DataFrame(X)
        functions["pandas"] = frame.drop_duplicates
    if others.installed("polars"):
        import polars as pl

        table = pl.DataFrame(X)
        functions["polars"] = lambda: table.unique(maintain_order=True)
    return Work(f"drop_duplicates, {n:,} x 8, float64", functions, 1, "table")
