"""Fits on several threads, and from several Python threads at once: what the thread sanitizer is to look at.

    make tsan

The sizes are such that kernels do divide the work, which takes more rows than the other fault harnesses have.
"""

import ctypes
import sys
import threading
import warnings

import numpy as np

import fasttrain

from fasttrain.linear_model import LinearClassifier, LinearRegressor, SGDClassifier, SGDRegressor
from fasttrain.model_selection import GridSearchCV
from fasttrain.neural_network import MLPClassifier, MLPRegressor
from fasttrain.preprocessing import (
    MinMaxScaler, OneHotEncoder, OrdinalEncoder, RobustScaler, StandardScaler, drop_duplicates, drop_missing,
    drop_outliers,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3000, 40))
CODES = (X @ RNG.normal(size=(40, 4))).argmax(1)
TALL = np.tile(X[:, :10], (15, 1))
TIED = np.round(TALL[:, :3])
WORDS = np.array([f"word {i}" for i in range(60)], dtype=object)[RNG.integers(0, 60, (40_000, 2))]


def fits(n_threads=4):
    """Models whose steps are divided among threads."""
    once = {"max_iter": 1, "random_state": 0, "n_threads": n_threads}
    MLPClassifier((64, 32), batch_size=1000, dropout=0.1, batch_norm="before", **once).fit(X, CODES).predict_proba(X)
    MLPRegressor(hidden_layer_sizes=(64,), batch_size=3000, **once).fit(X, X[:, :3]).predict(X)
    LinearClassifier(batch_size="full", **once).fit(X, CODES)
    LinearRegressor(batch_size=1500, penalty="l1", **once).fit(X, X[:, 0])
    SGDClassifier(max_iter=1, tol=None, n_jobs=n_threads, random_state=0).fit(X, CODES).decision_function(X)
    SGDRegressor(max_iter=1, tol=None, random_state=0).fit(X, X[:, 0])


def preparation():
    for scaler in (StandardScaler(), MinMaxScaler(), RobustScaler()):
        scaler.fit_transform(TALL)
        scaler.fit(TALL.astype(np.float32))
    drop_duplicates(TIED)
    drop_missing(np.where(TALL > 3, np.nan, TALL))
    drop_outliers(TALL)
    OneHotEncoder().fit_transform(TIED)
    OrdinalEncoder().fit_transform(WORDS)


def searches():
    descent = SGDClassifier(max_iter=1, tol=None, random_state=0)
    network = MLPClassifier((32,), max_iter=1, random_state=0)
    linear = LinearClassifier(batch_size="full", max_iter=2)
    for estimator in (descent, network, linear):
        GridSearchCV(estimator, {"alpha": [1e-4, 1e-3, 1e-2]}, cv=2, n_jobs=2).fit(X, CODES)


def one_model_of_many_threads():
    model = MLPClassifier((32,), max_iter=1, random_state=0).fit(X, CODES)
    threads = [threading.Thread(target=fits, args=(1 + i % 2,)) for i in range(4)]
    threads += [threading.Thread(target=model.predict, args=(X,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main():
    if sys.argv[1:2] == ["race"]:
        ctypes.CDLL(sys.argv[2]).race(100_000)
        return
    warnings.simplefilter("ignore")
    assert "tsan" in fasttrain.__file__, fasttrain.__file__
    assert fasttrain.show_config("dicts")["openmp"]
    with fasttrain.num_threads(4):
        for work in (fits, preparation, searches, one_model_of_many_threads):
            work()
            print(f"{work.__name__.replace('_', ' ')}: done", flush=True)


if __name__ == "__main__":
    main()
