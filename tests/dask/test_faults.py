"""Workers that die, clusters that are gone, and what of a training is left then."""

import contextlib
import os
import signal
import threading

import numpy as np
import pytest
from cluster_data import LABELS, X, Y, arrays_of, dask_of, parts

import fasttrain.dask
from fasttrain.data import BlocksLost, from_arrays, from_dask
from fasttrain.linear_model import LinearClassifier, LinearRegressor, LogisticRegression
from fasttrain.linear_model._block_losses import BlockLosses
from fasttrain.neural_network import MLPRegressor


class Killer:
    """After some epochs, kill a worker a little later: while the next round runs."""

    def __init__(self, client, epochs, seconds):
        self.client, self.epochs, self.seconds = client, epochs, seconds
        self.killed = []

    def __call__(self, epoch, logs):
        if epoch in self.epochs:
            pids = sorted(self.client.run(os.getpid).values())
            pid = pids[len(self.killed) % len(pids)]
            self.killed.append(pid)
            threading.Timer(self.seconds, self.kill, (pid,)).start()

    def kill(self, pid):
        # one that went with its cluster before its time is dead enough
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def full_batches(**options):
    return LinearRegressor(optimizer="adam", batch_size="full", max_iter=5, tol=None, **options)


def killed_fit(client, epochs, seconds, model):
    killer = Killer(client, epochs, seconds)
    model.set_params(callbacks=killer).fit(dask_of(X), dask_of(Y))
    assert len(killer.killed) == len(epochs)
    return arrays_of(model)


@pytest.mark.parametrize("seconds", [0.0, 0.02])
def test_a_killed_worker_costs_time_alone(workers, client, seconds):
    workers(2)
    wanted = arrays_of(full_batches().fit(from_arrays(parts(X), parts(Y))))
    assert killed_fit(client, [2], seconds, full_batches()) == wanted


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(10))
def test_killed_workers(workers, client, seed):
    workers(2)
    wanted = arrays_of(full_batches().fit(from_arrays(parts(X), parts(Y))))
    seconds = float(np.random.default_rng(seed).uniform(0, 0.3))
    assert killed_fit(client, [1, 3], seconds, full_batches()) == wanted


def test_no_worker_is_left(workers, cluster, client):
    workers(1)
    source = from_dask(dask_of(X), dask_of(Y))
    model = full_batches(warm_start=True)
    told = []

    def stop(epoch, logs):
        told.append(logs["loss"])
        if epoch == 2:
            workers(0)
            source.timeout = 1.0

    model.set_params(callbacks=stop)
    with pytest.raises(BlocksLost, match=r"no task has finished for timeout=1 seconds; the cluster has 0 workers"):
        model.fit(source)
    assert model.loss_curve_ == told
    assert model.n_iter_ == 2
    assert model.stop_reason_.startswith("epoch 3 was lost")
    workers(1)
    model.set_params(callbacks=None).fit(dask_of(X), dask_of(Y))
    assert model.n_iter_ == 7
    assert model.loss_ < told[-1]


def test_lost_before_the_first_round(workers, cluster, client):
    workers(1)
    source = from_dask(dask_of(X), dask_of(Y))
    workers(0)
    source.timeout = 1.0
    model = LinearRegressor()
    with pytest.raises(BlocksLost):
        model.fit(source)
    assert not hasattr(model, "coef_")
    workers(1)
    source.timeout = 60.0
    # the source's blocks are computed again from the collection
    assert arrays_of(model.fit(source)) == arrays_of(LinearRegressor().fit(from_arrays(parts(X), parts(Y))))


def test_lbfgs_keeps_the_last_iteration(workers, client):
    workers(1)
    source = from_dask(dask_of(X), dask_of(Y))
    losses = []

    def stop(epoch, logs):
        losses.append(logs["loss"])
        if epoch == 2:
            workers(0)
            source.timeout = 1.0

    model = MLPRegressor(
        hidden_layer_sizes=(4,), solver="lbfgs", max_iter=9, random_state=0, warm_start=True, callbacks=stop)
    with pytest.raises(BlocksLost):
        model.fit(source)
    assert model.loss_curve_ == losses
    residual = model.predict(X) - Y
    penalty = model.alpha * sum((c ** 2).sum() for c in model.coefs_) / len(X)
    np.testing.assert_allclose((residual @ residual / len(X) + penalty) / 2, losses[-1], rtol=1e-9)
    workers(1)


def test_a_logistic_regression_keeps_the_last_iterate(workers, client, monkeypatch):
    workers(1)
    source = from_dask(dask_of(X), dask_of(LABELS))
    n_evaluations, evaluate = 0, BlockLosses.__call__

    def lost_after_five(self, x):
        nonlocal n_evaluations
        n_evaluations += 1
        if n_evaluations == 5:
            workers(0)
            source.timeout = 1.0
        return evaluate(self, x)

    monkeypatch.setattr(BlockLosses, "__call__", lost_after_five)
    model = LogisticRegression(tol=1e-8, max_iter=1000, warm_start=True)
    with pytest.raises(BlocksLost) as lost:
        model.fit(source)
    assert lost.value.kept
    assert 1 <= model.n_iter_[0] <= 4
    monkeypatch.undo()
    workers(1)
    model.fit(dask_of(X), dask_of(LABELS))
    np.testing.assert_allclose(
        model.coef_, LogisticRegression(tol=1e-8, max_iter=1000).fit(X, LABELS).coef_, atol=1e-4)


@pytest.mark.exhaustive
def test_a_task_that_kills_its_worker_is_given_up(workers, client):
    workers(1)
    deadly = dask_of(X, (300, 300)).map_blocks(lambda block: os._exit(1), dtype=float, meta=np.empty((0, 6)))
    with pytest.raises(BlocksLost, match="the cluster has given a task up"):
        LinearRegressor().fit(deadly, dask_of(Y))
    workers(1)


# ---- local stochastic gradient descent ----


def local_models():
    return [
        (LinearClassifier(optimizer="adam", max_iter=2, random_state=0, tol=None), LABELS),
        (MLPRegressor(hidden_layer_sizes=(4,), max_iter=2, random_state=0, dropout=0.1, batch_norm="after"), Y),
    ]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_replicas_depend_on_the_blocks_alone(workers, client):
    from fasttrain.data import Replicas

    wanted = []
    for model, y in local_models():
        source = from_arrays(parts(X), parts(y))
        source.replicas = Replicas(2, 90)
        wanted.append(arrays_of(model.fit(source)))
    for n in (1, 2, 3):
        workers(n)
        for (model, y), known in zip(local_models(), wanted):
            fasttrain.dask.fit(client, model, dask_of(X), dask_of(y), strategy="local", n_replicas=2, sync_rows=90)
            assert arrays_of(model) == known, n


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_replicas_on_labels_in_order(client):
    order = np.argsort(LABELS, kind="stable")
    rows = (50,) * 12
    model = LinearClassifier(optimizer="adam", learning_rate=0.05, max_iter=25, batch_size=20, random_state=0, tol=None)
    exact = model.fit(X, LABELS).score(X, LABELS)
    fasttrain.dask.fit(
        client, model, dask_of(X[order], rows), dask_of(LABELS[order], rows), strategy="local", n_replicas=3)
    assert model.score(X, LABELS) > exact - 0.005


def test_replicas_that_make_no_sense(client):
    model = LinearRegressor(optimizer="adam")
    for options, message in (
        ({"strategy": "hogwild"}, r"strategy must be .*'sequential'.*'local'"),
        ({"strategy": "local"}, r"n_replicas must be a number with strategy='local', got None"),
        ({"n_replicas": 2}, r"are for strategy='local', got strategy='sequential'"),
        ({"strategy": "local", "n_replicas": 6}, r"n_replicas must be at most the number of blocks, 5, got 6"),
    ):
        with pytest.raises(ValueError, match=message):
            fasttrain.dask.fit(client, model, dask_of(X), dask_of(Y), **options)
