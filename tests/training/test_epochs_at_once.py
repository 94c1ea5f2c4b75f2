"""Epochs that the engine makes in one call: to the byte those that it is called for one by one."""

import warnings

import numpy as np
import pytest

from fasttrain import losses, optimizers, penalties, schedules
from fasttrain._kernels.network import Network
from fasttrain.callbacks import Callback
from fasttrain.linear_model import LinearClassifier, LinearRegressor
from fasttrain.training import DivergenceError, Plan, Stopping, configure, epoch, train

RNG = np.random.default_rng(0)
X = RNG.standard_normal((120, 5))
Y = (X @ RNG.standard_normal((5, 3)) + RNG.standard_normal((120, 3))).argmax(axis=1)


class Watches(Callback):
    """Looks at every epoch, so that each is a call of its own."""


def calls_of(monkeypatch):
    """A list that gets the number of epochs of each call of the engine."""
    made, add = [], epoch.Epoch.add

    def counted(self, order, batch_size, count, n_epochs=1):
        made.append(n_epochs)
        return add(self, order, batch_size, count, n_epochs)

    monkeypatch.setattr(epoch.Epoch, "add", counted)
    return made


@pytest.mark.parametrize("options", [
    {"tol": None}, {"tol": 1e-4}, {"tol": 0.5, "n_iter_no_change": 3}, {"tol": 1e-3, "n_iter_no_change": 1},
    {"tol": None, "optimizer": optimizers.Nesterov(0.05, clip_norm=0.1)}, {"tol": None, "dtype": "float32"},
    {"tol": 1e-2, "fit_intercept": False, "penalty": "l1"}], ids=str)
@pytest.mark.parametrize("estimator", [LinearClassifier, LinearRegressor])
def test_the_same_bytes(estimator, options, monkeypatch):
    options = {"optimizer": "adam", "max_iter": 60, "random_state": 0, "batch_size": "full", **options}
    made = calls_of(monkeypatch)
    found = []
    for callbacks in (None, [Watches()]):
        made.clear()
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            model = estimator(callbacks=callbacks, **options).fit(X, Y)
        found.append((
            model.coef_.tobytes(), model.intercept_.tobytes(), model.history_, model.loss_curve_, model.n_iter_,
            model.t_, model.converged_, model.stop_reason_, model.advice_, [str(one.message) for one in told]))
        assert sum(made) == model.n_iter_
        if callbacks is not None:
            assert set(made) == {1}
        elif options.get("n_iter_no_change") != 1:
            assert len(made) < sum(made)
    assert found[0] == found[1]


@pytest.mark.parametrize("options", [
    {"batch_size": 16}, {"schedule": schedules.InverseScaling()}, {"early_stopping": True}, {"schedule": "plateau"}],
    ids=str)
def test_what_is_looked_at_between_epochs(options, monkeypatch):
    made = calls_of(monkeypatch)
    options = {"batch_size": "full", **options}
    LinearClassifier(optimizer="adam", max_iter=7, tol=None, random_state=0, **options).fit(X, Y)
    assert made == [1] * 7


def bound(rate):
    network = Network(X.shape[1], 3)
    optimizer = optimizers.GradientDescent(rate)
    configure(network, losses.get("softmax_crossentropy"), optimizer, penalties.NoPenalty())
    network.bind(X, Y.astype(np.float64).reshape(-1, 1))
    return network


def plan(**options):
    options = {"n_epochs": 40, "stopping": Stopping(None), **options}
    return Plan(batch_size=len(X), n_samples=len(X), learning_rate=0.1, schedule=schedules.Constant(), **options)


def test_interrupted_between_slices(monkeypatch):
    whole = train(bound(0.1), plan())
    monkeypatch.setattr(epoch, "SLICE_SECONDS", 0.0)
    slices, run = [], Network.run

    class Interrupted(Network):
        def run(self, seconds):
            if len(slices) == 11:
                raise KeyboardInterrupt
            slices.append(run(self, seconds))
            return slices[-1]

    monkeypatch.setitem(bound.__globals__, "Network", Interrupted)
    network = bound(0.1)
    result = train(network, plan(), catch_interrupt=True)
    assert result.interrupted
    assert 0 < result.n_iter < 40
    assert result.n_steps == network.counters["t"]
    assert result.n_steps - result.n_iter in (0, 1)
    assert result.history["loss"] == whole.history["loss"][:result.n_iter]
    assert result.history["learning_rate"] == [0.1] * result.n_iter
    assert result.message == f"interrupted in epoch {result.n_iter + 1}"


def test_steps_at_most():
    network = bound(0.1)
    result = train(network, plan(max_steps=13))
    assert (result.n_iter, result.n_steps, network.counters["t"]) == (13, 13, 13)


def test_divergence_names_the_epoch():
    messages, parameters = [], []
    for callbacks in (None, [Watches()]):
        network = Network(X.shape[1], 1)
        configure(network, losses.get("squared_error"), optimizers.GradientDescent(0.1), penalties.NoPenalty())
        network.bind(X * 1e10, Y.astype(np.float64).reshape(-1, 1))
        with pytest.raises(DivergenceError) as error:
            train(network, plan(callbacks=callbacks))
        messages.append(str(error.value))
        parameters.append(network.parameters.tobytes())
    assert messages[0] == messages[1]
    assert "diverged in epoch 1:" not in messages[0]
    assert parameters[0] == parameters[1]
