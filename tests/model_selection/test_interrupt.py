"""Ctrl-C ends a search within moments and leaves the candidates that were through; the bar shows the fits."""

import os
import signal
import threading
import time

import numpy as np
import pytest
from sklearn.datasets import make_classification

from fasttrain.linear_model import LinearClassifier, SGDClassifier
from fasttrain.model_selection import GridSearchCV, RacingSearchCV, cross_validate
from fasttrain.model_selection.batch.planner import Batch
from fasttrain.neural_network import MLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore")

X, y = make_classification(2000, 20, random_state=0)
# hours of work each, but for the first candidate
ENDLESS = {
    "network": (MLPClassifier((20,), tol=0.0, n_iter_no_change=10**9, random_state=0), {"max_iter": [2, 10**7]}),
    "sgd": (SGDClassifier(tol=None, random_state=0), {"max_iter": [10**8], "alpha": [1e-3, 1e-2]}),
    "full batches": (LinearClassifier(optimizer="adam", batch_size="full", tol=None), {"max_iter": [10**6]}),
}


def interrupted_at(start, seconds=10.0):
    """A thread that sends Ctrl-C to this process once ``start`` is set and a moment has passed; and when it did."""
    sent = []

    def send():
        if start.wait(seconds):
            time.sleep(0.1)
            sent.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=send)
    thread.start()
    return thread, sent


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("case", ENDLESS)
def test_ctrl_c(case, n_jobs, monkeypatch):
    estimator, grid = ENDLESS[case]
    begun = threading.Event()
    tell = Batch.tell

    def watched(self):
        tell(self)
        # the first candidate of the networks is through with its folds
        if case != "network" or len(self.finished()) == 1:
            begun.set()

    monkeypatch.setattr(Batch, "tell", watched)
    search = GridSearchCV(estimator, grid, cv=2, n_jobs=n_jobs)
    if case == "network":
        monkeypatch.setattr(Batch, "size", lambda self, job: -job.model.max_iter)
    thread, sent = interrupted_at(begun)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, y)
    stopped = time.monotonic()
    thread.join()
    # generous: the machine may be busy; without a look for signals these fits would take hours
    assert stopped - sent[0] < 5
    assert not hasattr(search, "best_params_")
    if case == "network":
        assert search.cv_results_["params"] == [{"max_iter": 2}]
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    else:
        assert not hasattr(search, "cv_results_")


def test_ctrl_c_in_a_race(monkeypatch):
    begun = threading.Event()
    tell = Batch.tell

    def watched(self):
        tell(self)
        if self.jobs and self.jobs[0].outcome.fit_time > 0 and len(self.jobs) == 4:
            begun.set()

    monkeypatch.setattr(Batch, "tell", watched)
    race = RacingSearchCV(
        MLPClassifier((20,), random_state=0), {"alpha": [1e-4, 1e-3, 1e-2, 1e-1]}, factor=2, min_epochs=1,
        max_epochs=10**6, cv=2)
    monkeypatch.setattr(RacingSearchCV, "rungs", lambda self, n: [(4, 1), (2, 10**6)])
    thread, _ = interrupted_at(begun)
    with pytest.raises(KeyboardInterrupt):
        race.fit(X, y)
    thread.join()
    assert race.cv_results_["rung"].tolist() == [0, 0, 0, 0]
    assert np.isfinite(race.cv_results_["mean_test_score"]).all()


def test_threads_of_a_pool_end_after_ctrl_c(monkeypatch):
    begun = threading.Event()
    fit = MLPClassifier.fit

    def watched(self, *args):
        begun.set()
        return fit(self, *args)

    monkeypatch.setattr(MLPClassifier, "fit", watched)
    thread, _ = interrupted_at(begun)
    with pytest.raises(KeyboardInterrupt):
        cross_validate(MLPClassifier((20,), max_iter=10**7, n_iter_no_change=10**9, tol=0.0), X, y, cv=2, n_jobs=2)
    thread.join()
    end = time.monotonic() + 20
    while any(t.name.startswith("ThreadPoolExecutor") for t in threading.enumerate()) and time.monotonic() < end:
        time.sleep(0.05)
    assert not [t.name for t in threading.enumerate() if t.name.startswith("ThreadPoolExecutor")]


def test_progress(capsys):
    GridSearchCV(SGDClassifier(max_iter=3, tol=None), {"alpha": [1e-3, 1e-2]}, cv=3, progress=True).fit(X, y)
    assert "6/6" in capsys.readouterr().out


def test_progress_without_rich(capsys, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "rich.progress", None)
    cross_validate(MLPClassifier((3,), max_iter=2), X, y, cv=3, progress=True)
    assert "fit 3/3" in capsys.readouterr().err


def test_scoring_on_threads_ends_after_ctrl_c(monkeypatch):
    """Of folds that are being scored the models to come are left out."""
    begun, scored = threading.Event(), []

    def score(self, job, *args):
        scored.append(job)
        begun.set()
        time.sleep(0.2)

    monkeypatch.setattr(Batch, "score", score)
    monkeypatch.setattr("fasttrain.model_selection.batch.folds.WORK_FOR_THREADS", 0)
    search = GridSearchCV(
        SGDClassifier(max_iter=1, tol=None, random_state=0), {"alpha": np.logspace(-6, 0, 60).tolist()}, cv=2, n_jobs=2)
    thread, _ = interrupted_at(begun)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, y)
    thread.join()
    assert 0 < len(scored) < 60
