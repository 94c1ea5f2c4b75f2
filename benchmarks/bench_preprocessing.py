"""Scaling, encoding and cleaning against scikit-learn, pandas and polars, in one run."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn.preprocessing as peer

from fasttrain import preprocessing as ours
from fasttrain._kernels.threads import get_num_threads

GROUP = "preprocessing"
SKLEARN = "scikit-learn"
THREADS = get_num_threads()
NAMES = list("abcdefgh")


@pytest.fixture(scope="module", params=["float64", "float32"])
def numbers(request):
    return np.random.default_rng(0).standard_normal((1_000_000, 50)).astype(request.param)


def against_sklearn(compare, name, mine, theirs, target):
    functions = {"fasttrain": mine, SKLEARN: theirs}
    compare(GROUP, name, functions, target=target, ratio_to=SKLEARN, threads=THREADS, rounds=7)


@pytest.mark.parametrize("step", ["fit", "transform"])
@pytest.mark.parametrize("scaler", ["StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler"])
def bench_scalers(compare, numbers, scaler, step):
    X = numbers if scaler != "RobustScaler" else numbers[:, :10].copy()
    mine, theirs = getattr(ours, scaler)().fit(X), getattr(peer, scaler)().fit(X)
    targets = {"StandardScaler": (10, 2.5), "MinMaxScaler": (5, 2.5)}.get(scaler, (None, None))
    against_sklearn(
        compare,
        f"{scaler} {step}, 1M x {X.shape[1]} {X.dtype}",
        lambda: getattr(mine, step)(X),
        lambda: getattr(theirs, step)(X),
        targets[step == "transform"],
    )


def bench_in_place(compare, numbers):
    mine, theirs = ours.StandardScaler().fit(numbers), peer.StandardScaler().fit(numbers)
    A, B = numbers.copy(), numbers.copy()
    against_sklearn(
        compare,
        f"StandardScaler transform in place, 1M x 50 {numbers.dtype}",
        lambda: mine.transform(A, copy=False),
        lambda: theirs.transform(B, copy=False),
        5,
    )


def categories(kind):
    """1M x 4 with 50 categories; "str objects" shares its strings, "str objects, read" has one for each cell."""
    at = np.random.default_rng(1).integers(0, 50, (1_000_000, 4))
    if kind == "int":
        return at
    if kind == "float":
        return at / 2
    words = np.array([f"category {i}" for i in range(50)], dtype=object)[at]
    if kind == "str fixed width":
        return words.astype("U11")
    if kind == "str objects":
        return words
    return np.array([(" " + word)[1:] for word in words.ravel()], dtype=object).reshape(words.shape)


KINDS = ["int", "str objects", "str objects, read", "str fixed width", "float"]


@pytest.mark.parametrize("step", ["fit", "transform"])
@pytest.mark.parametrize("kind", KINDS)
def bench_one_hot(compare, kind, step):
    X = categories(kind)
    mine, theirs = ours.OneHotEncoder().fit(X), peer.OneHotEncoder().fit(X)
    target = {"int": 10, "float": None}.get(kind, 2) if step == "transform" else None
    against_sklearn(
        compare,
        f"OneHotEncoder {step}, 1M x 4 {kind}",
        lambda: getattr(mine, step)(X),
        lambda: getattr(theirs, step)(X),
        target,
    )


@pytest.mark.parametrize("step", ["fit_transform", "transform"])
@pytest.mark.parametrize("kind", KINDS)
def bench_labels(compare, kind, step):
    y = categories(kind)[:, 0].copy()
    mine, theirs = ours.LabelEncoder().fit(y), peer.LabelEncoder().fit(y)
    against_sklearn(
        compare,
        f"LabelEncoder {step}, 1M {kind}",
        lambda: getattr(mine, step)(y),
        lambda: getattr(theirs, step)(y),
        {"int": 3, "float": None}.get(kind, 2),
    )


def cells():
    rng = np.random.default_rng(2)
    X = rng.standard_normal((1_000_000, 8))
    X[rng.integers(0, len(X), 100_000)] = X[rng.integers(0, len(X), 100_000)]
    return X


def bench_drop_duplicates(compare):
    X = cells()
    frame, lazy = pd.DataFrame(X, columns=NAMES), pl.DataFrame(X, schema=NAMES)
    functions = {
        "fasttrain": lambda: ours.drop_duplicates(X),
        "fasttrain on a DataFrame": lambda: ours.drop_duplicates(frame),
        "pandas": lambda: frame.drop_duplicates(),
        "polars": lambda: lazy.unique(keep="first", maintain_order=True),
    }
    compare(GROUP, "drop duplicates, 1M x 8", functions, target=4, ratio_to="pandas", threads=THREADS, rounds=7)


def bench_drop_missing(compare):
    X = cells()
    X[np.random.default_rng(3).random(X.shape) < 0.01] = np.nan
    frame, lazy = pd.DataFrame(X, columns=NAMES), pl.DataFrame(X, schema=NAMES)
    functions = {
        "fasttrain": lambda: ours.drop_missing(X),
        "fasttrain on a DataFrame": lambda: ours.drop_missing(frame),
        "pandas": lambda: frame.dropna(),
        "polars": lambda: lazy.drop_nans(),
        "NumPy": lambda: X[~np.isnan(X).any(axis=1)],
    }
    compare(GROUP, "drop missing, 1M x 8", functions, target=2, ratio_to="pandas", threads=THREADS, rounds=7)


def by_z_score(X):
    return X[(np.abs(X - X.mean(axis=0)) <= 3 * X.std(axis=0)).all(axis=1)]


def by_quartiles(X):
    low, high = np.percentile(X, [25, 75], axis=0)
    reach = 1.5 * (high - low)
    return X[((low - reach <= X) & (high + reach >= X)).all(axis=1)]


@pytest.mark.parametrize("method, by_numpy", [("zscore", by_z_score), ("iqr", by_quartiles)])
def bench_drop_outliers(compare, method, by_numpy):
    X = cells()
    functions = {"fasttrain": lambda: ours.drop_outliers(X, method=method), "NumPy": lambda: by_numpy(X)}
    compare(GROUP, f"drop outliers, {method}, 1M x 8", functions, ratio_to="NumPy", threads=THREADS, rounds=7)


@pytest.mark.parametrize("name", ["StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler"])
def bench_small_scalers(compare, name):
    X = np.random.default_rng(4).standard_normal((100, 5))
    mine, theirs = getattr(ours, name)(), getattr(peer, name)()
    functions = {"fasttrain": lambda: mine.fit(X).transform(X), SKLEARN: lambda: theirs.fit(X).transform(X)}
    compare(GROUP, f"{name} fit and transform, 100 x 5", functions, target=1, ratio_to=SKLEARN, seconds=0.5)


@pytest.mark.parametrize("name", ["OneHotEncoder", "OrdinalEncoder"])
@pytest.mark.parametrize("kind", ["int", "str objects"])
def bench_small_encoders(compare, name, kind):
    X = categories("int")[:100] % 5
    X = np.array(list("abcde"), dtype=object)[X] if kind != "int" else X
    mine, theirs = getattr(ours, name)(), getattr(peer, name)()
    functions = {"fasttrain": lambda: mine.fit(X).transform(X), SKLEARN: lambda: theirs.fit(X).transform(X)}
    compare(GROUP, f"{name} fit and transform, 100 x 4 {kind}", functions, target=1, ratio_to=SKLEARN, seconds=0.5)
