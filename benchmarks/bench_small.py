"""Fits and calls that are over before a second thread has started: what is around the arithmetic counts.

    python benchmarks/bench_small.py [--only TEXT ...] [--seconds 1]

Ours and the peer in turn, in one process and on one thread; the table has the least of all times, since what a busy
machine adds is never negative. The rows of the demo are one fold each: encoder, scaler and model.
"""

import argparse
import importlib
import os
import time
import warnings

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
for held in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(held, None)
os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import numpy as np
import pandas as pd
from peers import blas
from sklearn import linear_model as peer, preprocessing as peer_preprocessing
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from fasttrain import keras, linear_model, preprocessing
from fasttrain._kernels import primitives
from fasttrain._kernels.threads import num_threads
from fasttrain.cli import demo


def least(functions, seconds):
    """The least time of each function, called in turn."""
    times = dict.fromkeys(functions, np.inf)
    end = time.perf_counter() + seconds
    done = 0
    while done < 5 or time.perf_counter() < end:
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            times[name] = min(times[name], time.perf_counter() - start)
        done += 1
    return times


def folds_of_the_demo():
    """One fold's fit of each data set and optimizer, beside the same steps in NumPy."""
    for data in demo.datasets():
        train, _ = next(iter(demo.folds(data).split(data.X, data.y)))
        X, y = data.X.iloc[train] if hasattr(data.X, "iloc") else data.X[train], data.y[train]
        if data.name == "penguins":
            yield "penguins, encoder alone", 500, {
                "ours": lambda X=X, y=y, data=data: clone(data.encoder).fit_transform(X, y),
                "scikit-learn": lambda X=X, y=y, data=data: clone(data.stock_encoder).fit_transform(X, y),
            }
        for title, rule, rate_of_classes, rate_of_numbers in demo.METHODS:
            given = data, title, rule, rate_of_classes if data.classes else rate_of_numbers, "l2"
            ours = make_pipeline(clone(data.encoder), demo.ours(*given))
            theirs = make_pipeline(clone(data.stock_encoder), demo.theirs(*given))
            yield f"{data.name}, {title}", 1000 if data.name == "penguins" else None, {
                "ours": lambda X=X, y=y, ours=ours: ours.fit(X, y),
                "NumPy": lambda X=X, y=y, theirs=theirs: theirs.fit(X, y),
            }


def works():
    """(name, microseconds to reach or None, functions)."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((150, 4)), rng.integers(0, 2, 150)
    steps = {"max_iter": 5, "tol": None, "random_state": 0}
    sgd = lambda: peer.SGDClassifier(loss="log_loss", **steps).fit(X, y)  # noqa: E731
    yield "LinearClassifier 150 x 4, 5 epochs", 150, {
        "ours": lambda: linear_model.LinearClassifier(optimizer="adam", **steps).fit(X, y), "SGDClassifier": sgd}
    yield "SGDClassifier 150 x 4, 5 epochs", None, {
        "ours": lambda: linear_model.SGDClassifier(loss="log_loss", **steps).fit(X, y), "scikit-learn": sgd}
    X_scaled = rng.standard_normal((100, 5))
    for name in ("StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler"):
        mine, theirs = getattr(preprocessing, name)(), getattr(peer_preprocessing, name)()
        yield f"{name} fit and transform, 100 x 5", 60 if name == "StandardScaler" else None, {
            "ours": lambda mine=mine: mine.fit(X_scaled).transform(X_scaled),
            "scikit-learn": lambda theirs=theirs: theirs.fit(X_scaled).transform(X_scaled)}
    words = pd.DataFrame(np.array(list("abcde"), dtype=object)[rng.integers(0, 5, (100, 4))])
    mine, theirs = preprocessing.OneHotEncoder(), peer_preprocessing.OneHotEncoder()
    yield "OneHotEncoder fit and transform, 100 x 4 text", None, {
        "ours": lambda: mine.fit(words).transform(words), "scikit-learn": lambda: theirs.fit(words).transform(words)}
    rows = rng.standard_normal((8, 100)).astype(np.float32)
    models = {"ours": keras}
    try:
        models["Keras (JAX)"] = importlib.import_module("keras")
    except ImportError:
        pass
    models = {name: dense_model(library) for name, library in models.items()}
    yield "Sequential.predict_on_batch, 100-64-32-1, 8 rows", None, {
        name: lambda model=model: model.predict_on_batch(rows) for name, model in models.items()}
    yield from folds_of_the_demo()


def dense_model(library):
    layers = [library.layers.Dense(width, "relu") for width in (64, 32)]
    model = library.Sequential([library.Input((100,)), *layers, library.layers.Dense(1, "sigmoid")])
    model.compile("adam", "binary_crossentropy")
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[], metavar="TEXT", help="rows whose name has one of these")
    parser.add_argument("--seconds", type=float, default=1.0, help="time for each row")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    print(f"{primitives.isa()}, {blas()}, one thread; microseconds, the least of all rounds\n")
    print(f"{'':50s} {'ours':>9s} {'peer':>9s} {'ratio':>6s}  target")
    with num_threads(1):
        for name, target, functions in works():
            if arguments.only and not any(text in name for text in arguments.only):
                continue
            for function in functions.values():
                function()
            times = {label: 1e6 * value for label, value in least(functions, arguments.seconds).items()}
            ours, *others = times.values()
            peers = "".join(f" {other:9.1f} {other / ours:5.1f}x" for other in others) or 17 * " "
            told = "" if target is None else f"  {target} us"
            print(f"{name:50s} {ours:9.1f}{peers}{told}  {', '.join(list(times)[1:])}", flush=True)


if __name__ == "__main__":
    main()
