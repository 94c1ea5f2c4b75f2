"""Searches on a cluster give what they give here; other libraries' tasks find one thread each."""

import importlib
import sys
import time

import joblib
import numpy as np
import pytest
from cluster_data import LABELS, X, Y, Deadly, dask_of, threads_here
from search_cases import same
from sklearn.linear_model import LogisticRegression as StockLogistic
from sklearn.pipeline import make_pipeline

import fasttrain
import fasttrain.dask
from fasttrain.data import BlocksLost, from_dask
from fasttrain.linear_model import (
    Lasso, LinearClassifier, LinearRegressor, LogisticRegression, Ridge, SGDClassifier,
)
from fasttrain.model_selection import (
    GridSearchCV, ParameterGrid, RacingSearchCV, RandomizedSearchCV, cross_validate,
)
from fasttrain.neural_network import MLPClassifier
from fasttrain.preprocessing import StandardScaler

SGD = SGDClassifier(max_iter=5, tol=None, random_state=0)
ALPHAS = np.logspace(-4, 0, 11)
SEARCHES = {
    "lockstep": (GridSearchCV(SGD, {"alpha": ALPHAS}, cv=3, return_train_score=True), LABELS),
    "lockstep, many": (GridSearchCV(SGD, {"alpha": np.logspace(-4, 0, 40)}, cv=2), LABELS),
    "pipeline": (GridSearchCV(
        make_pipeline(StandardScaler(), SGD),
        {"sgdclassifier__alpha": ALPHAS, "standardscaler__with_mean": [True, False]}, cv=3), LABELS),
    "logistic": (GridSearchCV(
        LogisticRegression(), {"C": [0.1, 1.0]}, cv=3, scoring=["accuracy", "neg_log_loss"], refit="accuracy"), LABELS),
    "logistic pipeline": (GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression()), {"logisticregression__C": [0.1, 1.0]}, cv=3), LABELS),
    "columns": (GridSearchCV(
        LinearClassifier(optimizer="adam", batch_size="full", max_iter=20, tol=None), {"alpha": ALPHAS}, cv=3), LABELS),
    "sums": (GridSearchCV(Ridge(), {"alpha": [0.1, 1.0, 10.0]}, cv=3), Y),
    "paths": (GridSearchCV(Lasso(), {"alpha": [0.01, 0.1, 1.0]}, cv=3), Y),
    "alone": (RandomizedSearchCV(LinearClassifier(), {"alpha": ALPHAS}, n_iter=9, cv=3, random_state=0), LABELS),
    "networks": (GridSearchCV(
        MLPClassifier((4,), solver="sgd", max_iter=2, random_state=0), {"alpha": [1e-3, 1.0]}, cv=2), LABELS),
}


def bytes_of(found):
    """Results without times."""
    return {
        name: value.tolist() if value.dtype.kind == "O" else value.tobytes()
        for name, value in found.items() if "time" not in name and name != "params"}


FOUND = {}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", SEARCHES)
@pytest.mark.parametrize("n_workers", [1, 2])
def test_as_here(workers, client, n_workers, name):
    workers(n_workers)
    search, y = SEARCHES[name]
    here = search.fit(X, y).cv_results_
    there = fasttrain.dask.fit(client, search, X, y).cv_results_
    if name == "logistic":
        # columns of other folds in the same product round its sums
        same(there, here)
    else:
        assert bytes_of(there) == bytes_of(here)
    assert FOUND.setdefault(name, bytes_of(there)) == bytes_of(there)
    assert search.best_estimator_.score(X, y) > 0.3


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_a_batch_trains_together_is_a_task(client):
    from fasttrain.model_selection.batch.groups import groups_of
    from fasttrain.model_selection.batch.planner import Batch

    def sizes(name, most_alone=4):
        search, y = SEARCHES[name]
        folds = [(np.arange(0, 400), np.arange(400, 600)), (np.arange(200, 600), np.arange(0, 200))]
        batch = Batch(search.estimator, X, y, folds, None)
        candidates = list(ParameterGrid(search.param_grid))
        jobs = batch.jobs_of(enumerate(candidates))
        groups = groups_of(batch, jobs, most_alone)
        assert sorted(map(id, jobs)) == sorted(id(job) for group in groups for job in group.jobs)
        return sorted(len(group.jobs) for group in groups)

    assert sizes("lockstep") == [11, 11]
    assert sizes("lockstep, many") == [8, 8, 32, 32]
    assert sizes("pipeline") == [11] * 4
    assert sizes("logistic") == [2, 2]
    assert sizes("columns") == [11, 11]
    assert sizes("sums") == [6]
    assert sizes("paths") == [3, 3]
    assert sizes("networks") == [1, 1, 1, 1]
    assert sizes("networks", most_alone=3) == [1, 1, 2]


RACES = [
    RacingSearchCV(SGD, {"alpha": ALPHAS}, max_epochs=9, cv=2),
    RacingSearchCV(
        make_pipeline(StandardScaler(), MLPClassifier((4,), random_state=0)),
        {"mlpclassifier__learning_rate_init": [1e-4, 1e-2, 1e-1]}, max_epochs=6, cv=2),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("race", RACES, ids=["alone", "pipeline"])
@pytest.mark.parametrize("n_workers", [1, 2])
def test_a_race_as_here(workers, client, n_workers, race):
    workers(n_workers)
    here = race.fit(X, LABELS)
    known = bytes_of(here.cv_results_), here.n_candidates_, here.total_epochs_
    there = fasttrain.dask.fit(client, race, X, LABELS)
    assert (bytes_of(there.cv_results_), there.n_candidates_, there.total_epochs_) == known


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("n_workers", "search", "call"), [
    # the data die with their only worker, and the models of the first rung
    (1, RacingSearchCV(SGD, {"alpha": [1e-4, 1e-3, 1e-2, 1e-1]}, max_epochs=9, cv=2, refit=False), 9),
    (2, GridSearchCV(SGD, {"alpha": ALPHAS}, cv=3, refit=False), 3),
], ids=["race", "grid"])
def test_a_killed_worker_costs_time_alone(workers, client, tmp_path, n_workers, search, call):
    workers(n_workers)
    here = bytes_of(search.fit(X, LABELS).cv_results_)
    n_calls = len(search.cv_results_["params"]) * search.n_splits_
    search.set_params(scoring=Deadly(tmp_path, call))
    there = fasttrain.dask.fit(client, search, X, LABELS)
    assert bytes_of(there.cv_results_) == here
    assert len(list(tmp_path.iterdir())) > n_calls


STRANGE = """
def score(estimator, X, y):
    return 1.0


def same(X):
    return X
"""


@pytest.fixture
def strange(workers, tmp_path, monkeypatch):
    """A module that is found here, and not in workers that were there before."""
    workers(1)
    (tmp_path / "strange.py").write_text(STRANGE)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("strange")
    del sys.modules["strange"]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("what", ["search", "race", "cross_validate", "fit"])
def test_what_a_worker_cannot_import_is_named(client, strange, what):
    before = list(client.scheduler_info()["workers"])
    calls = {
        "search": lambda: fasttrain.dask.fit(
            client, GridSearchCV(SGD, {"alpha": ALPHAS}, cv=2, scoring=strange.score), X, LABELS),
        "race": lambda: fasttrain.dask.fit(
            client, RacingSearchCV(SGD, {"alpha": ALPHAS}, max_epochs=3, cv=2, scoring=strange.score), X, LABELS),
        "cross_validate": lambda: fasttrain.dask.cross_validate(
            client, LinearClassifier(), X, LABELS, cv=2, scoring=strange.score),
        "fit": lambda: LinearClassifier().fit(from_dask(dask_of(X), dask_of(LABELS), client=client).map(strange.same)),
    }
    with pytest.raises(ImportError, match="cannot load what its task needs: No module named 'strange'"):
        calls[what]()
    # the worker lives, and so does what it holds
    assert list(client.scheduler_info()["workers"]) == before


def test_cross_validate_as_here(workers, client):
    workers(2)
    for options in ({"cv": 3}, {
            "cv": 3, "scoring": ["accuracy", "neg_log_loss"], "return_train_score": True, "return_estimator": True,
            "return_indices": True}):
        here = cross_validate(LinearClassifier(), X, LABELS, **options)
        there = fasttrain.dask.cross_validate(client, LinearClassifier(), X, LABELS, **options)
        assert list(there) == list(here)
        for name in here:
            if name == "estimator":
                assert [m.coef_.tobytes() for m in there[name]] == [m.coef_.tobytes() for m in here[name]]
            elif name == "indices":
                np.testing.assert_equal(there[name], here[name])
            elif "time" not in name:
                assert there[name].tobytes() == here[name].tobytes()
    weights = {"sample_weight": np.arange(600.0)}
    here = cross_validate(LinearRegressor(), X, Y, cv=3, params=weights)
    there = fasttrain.dask.cross_validate(client, LinearRegressor(), X, Y, cv=3, params=weights)
    assert there["test_score"].tobytes() == here["test_score"].tobytes()


def test_errors_of_fits_are_as_here(workers, client):
    workers(2)
    search = GridSearchCV(LogisticRegression(), {"C": [1.0, -1.0]}, cv=2, error_score="raise")
    with pytest.raises(ValueError) as here:
        search.fit(X, LABELS)
    with pytest.raises(ValueError) as there:
        fasttrain.dask.fit(client, search, X, LABELS)
    assert str(there.value) == str(here.value)
    search.set_params(error_score=-1.0)
    with pytest.warns(Warning, match="2 fits failed"):
        found = fasttrain.dask.fit(client, search, X, LABELS).cv_results_["mean_test_score"]
    assert (found < 0).tolist() == [False, True]


def test_what_is_refused(workers, client):
    search = SEARCHES["logistic"][0]
    for call in (fasttrain.dask.fit, fasttrain.dask.cross_validate):
        with pytest.raises(TypeError, match=r"X must be an array for a search.*X\.compute\(\)"):
            call(client, search if call is fasttrain.dask.fit else SGD, dask_of(X), dask_of(LABELS))
    with pytest.raises(TypeError, match="a cluster runs the fits of fasttrain's estimators"):
        fasttrain.dask.fit(client, GridSearchCV(StockLogistic(), {"C": [1.0]}), X, LABELS)
    with pytest.raises(TypeError, match="a cluster runs the fits of fasttrain's estimators"):
        fasttrain.dask.cross_validate(client, StockLogistic(), X, LABELS)
    # and afterwards batches are of this process again
    assert GridSearchCV(StockLogistic(), {"C": [1.0]}, cv=2).fit(X, LABELS).best_params_ == {"C": 1.0}


def test_no_worker(workers, client):
    workers(0)
    with pytest.raises(BlocksLost, match=r"within timeout=0\.5 seconds"):
        fasttrain.dask.cross_validate(client, SGD, X, LABELS, timeout=0.5)
    workers(1)


def test_nothing_is_left_at_the_workers(workers, client):
    workers(1)
    before = set(client.futures)
    fasttrain.dask.fit(client, RACES[0], X, LABELS)
    fasttrain.dask.cross_validate(client, SGD, X, LABELS)
    # a client lets go in its own thread
    deadline = time.monotonic() + 10
    while not set(client.futures) <= before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert set(client.futures) <= before


def test_joblib_on_dask_has_one_thread_a_task(workers, client):
    workers(2)
    with joblib.parallel_config("dask"):
        # tasks of workers that have gone would be waited for without end
        found = joblib.Parallel(timeout=60)(joblib.delayed(threads_here)(i) for i in range(4))
    assert found == [(1, 1)] * 4


def test_a_task_has_its_share_of_threads(workers, client):
    from fasttrain.data._dask import threads_of_task

    workers(2)
    assert client.gather(client.map(lambda i: threads_of_task(), range(3), pure=False)) == [1, 1, 1]
