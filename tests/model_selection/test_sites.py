"""Statistics of folds from one pass, and the memory of a batch."""

import tracemalloc

import numpy as np
import pytest
from sklearn import model_selection as peer
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from fasttrain.linear_model import LinearClassifier, SGDClassifier
from fasttrain.model_selection import GridSearchCV
from fasttrain.model_selection.batch import lockstep
from fasttrain.model_selection.batch.folds import FoldMoments
from fasttrain.neural_network import MLPClassifier
from fasttrain.preprocessing import MinMaxScaler, StandardScaler

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.RandomState(0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "cv", [peer.KFold(4), peer.KFold(5, shuffle=True, random_state=0), peer.LeaveOneOut()], ids=str)
def test_moments_of_folds(cv, dtype):
    X = RNG.standard_normal((60, 5)).astype(dtype)
    # far from 0, where a difference of sums would have no digits left; constant; constant but for one row
    X[:, 1] += 1e6 if dtype == np.float64 else 1e3
    X[:, 2] = 3.5
    X[:, 3] = 0
    X[7, 3] = 1
    folds = list(cv.split(X))
    moments = FoldMoments(X, folds)
    for options in ({}, {"with_mean": False}, {"with_std": False}):
        for fold, (train, _) in enumerate(folds):
            found = moments.fitted(StandardScaler(**options), fold)
            expected = StandardScaler(**options).fit(X[train])
            assert set(vars(found)) == set(vars(expected))
            assert found.n_samples_seen_ == expected.n_samples_seen_
            for name in ("mean_", "var_", "scale_"):
                one, other = getattr(found, name), getattr(expected, name)
                if other is None:
                    assert one is None
                else:
                    np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12, err_msg=name)


def test_where_there_is_no_one_pass():
    X = RNG.standard_normal((20, 3))
    folds = list(peer.KFold(4).split(X))
    assert FoldMoments(X, folds).fitted(MinMaxScaler(), 0) is None
    assert FoldMoments(X.astype(int), folds).fitted(StandardScaler(), 0) is None
    assert FoldMoments(X, list(peer.ShuffleSplit(4).split(X))).fitted(StandardScaler(), 0) is None
    assert FoldMoments(X, list(peer.TimeSeriesSplit(4).split(X))).fitted(StandardScaler(), 0) is None
    repeated = [(np.r_[train[:-1], train[0]], test) for train, test in folds]
    assert FoldMoments(X, repeated).fitted(StandardScaler(), 0) is None
    X[3, 1] = np.nan
    assert FoldMoments(X, folds).fitted(StandardScaler(), 0) is not None


MODELS = {
    "sgd": (SGDClassifier(max_iter=3, tol=None, random_state=0), "alpha"),
    "scaled sgd": (make_pipeline(StandardScaler(), SGDClassifier(max_iter=3, tol=None)), "sgdclassifier__alpha"),
    "full batches": (LinearClassifier(max_iter=3, optimizer="adam", batch_size="full"), "alpha"),
    "network": (MLPClassifier((8,), max_iter=2, random_state=0), "alpha"),
}


def peak(call):
    call()
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("name", MODELS)
def test_memory(name, n_jobs, record_property):
    """A search's peak beyond X is at most 1.5 times that of one fold's fit and score, times the threads."""
    X = RNG.standard_normal((20_000, 40)).astype(np.float32)
    y = (X[:, 0] + RNG.standard_normal(len(X)) > 0).astype(int)
    model, parameter = MODELS[name]
    folds = list(peer.StratifiedKFold(5).split(X, y))

    def one():
        train, test = folds[0]
        clone(model).fit(X[train], y[train]).score(X[test], y[test])

    search = GridSearchCV(model, {parameter: [1e-4, 1e-3, 1e-2, 1e-1]}, cv=folds, n_jobs=n_jobs, refit=False)
    allowed, found = n_jobs * peak(one), peak(lambda: search.fit(X, y))
    record_property("peak_bytes", found)
    record_property("of_one_fit", allowed // n_jobs)
    assert found <= 1.5 * allowed, f"{found / allowed:.2f} times one fit's {allowed / 1e6:.1f} MB"


@pytest.mark.parametrize(("n_folds", "n_threads", "wanted"), [
    (5, 1, [1] * 5), (5, 2, [2, 3]), (4, 2, [2, 2]), (3, 2, [3]), (3, 4, [3]), (10, 4, [4, 6]), (5, 4, [5]),
])
@pytest.mark.parametrize("scaled", [False, True])
def test_no_thread_is_left_without_work(scaled, n_folds, n_threads, wanted, monkeypatch):
    """Folds that are trained at once, where memory holds one for each thread."""
    found, run = [], lockstep._run_wave

    def counted(batch, wave):
        found.append(len({site.fold for site, _, _ in wave}))
        run(batch, wave)

    monkeypatch.setattr(lockstep, "_run_wave", counted)
    monkeypatch.setattr(lockstep, "ORDER_BYTES", 1)
    X = RNG.standard_normal((200, 4))
    y = np.where(X[:, 0] + RNG.standard_normal(200) > 0, "b", "a")
    model, parameter = MODELS["sgd"]
    if scaled:
        model, parameter = make_pipeline(StandardScaler(), model), "sgdclassifier__alpha"
    search = GridSearchCV(model, {parameter: [1e-4, 1e-3, 1e-2, 1e-1]}, cv=n_folds, n_jobs=n_threads, refit=False)
    search.fit(X, y)
    assert found == wanted


def test_targets_are_looked_at_once(monkeypatch):
    """Not for each of the folds whose rows a scaler changes, nor for more of them than there are classes of models."""
    found = []
    monkeypatch.setattr(
        lockstep, "_data_of",
        lambda *args, made=lockstep._data_of: found.append(made(*args)) or found[-1])
    X = RNG.standard_normal((90, 4))
    y = np.where(X[:, 0] > 0, "b", "a")
    model, parameter = MODELS["scaled sgd"]
    GridSearchCV(model, {parameter: [1e-4, 1e-3, 1e-2]}, cv=3, n_jobs=1, refit=False).fit(X, y)
    assert len(found) == 3
    assert len({id(data.codes) for data in found}) == len({id(data.y) for data in found}) == 1
