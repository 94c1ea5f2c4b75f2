"""How the engine makes one number of the losses of a batch, outputs with an activation, kept predictions."""

import itertools

import numpy as np
import pytest
import reference
import reference_network

from fasttrain._kernels import prediction
from fasttrain import optimizers
from fasttrain._kernels.network import Network

# the second is beyond the rows of a step with two phases
BATCHES = (7, 1100)


@pytest.fixture(autouse=True)
def _every_thread_is_used():
    before = prediction.set_step_per_thread(0.0)
    yield
    prediction.set_step_per_thread(before)


class Training:
    def __init__(self, batch_size, dtype="float64", k=3, weighted=True):
        rng = np.random.default_rng([batch_size, k])
        self.n = 3 * batch_size // 2 + 5
        self.batch_size, self.dtype = batch_size, dtype
        self.X = rng.normal(size=(self.n, 5)).astype(dtype)
        self.y = rng.normal(size=(self.n, k)).astype(dtype)
        self.weight = rng.integers(0, 4, self.n).astype(dtype) if weighted else None
        self.coef, self.intercept = rng.normal(size=(k, 5)).astype(dtype), rng.normal(size=k).astype(dtype)
        self.orders = [rng.permutation(self.n), None]
        self.rates = np.full(-(-self.n // batch_size), 0.05)

    def run(self, scale, over_rows, n_threads=1, settings=None, rule="gradient_descent", outputs=None):
        network = Network(5, len(self.coef), self.dtype)
        network.parameters[:] = network.pack(self.coef, self.intercept)
        network.set_loss("squared_error")
        network.set_reduction(scale, "rows" if over_rows else "weights")
        network.set_optimizer(rule, (), settings or {})
        network.bind(self.X, self.y, self.weight)
        if outputs is not None:
            network.keep_outputs(outputs)
        curve = []
        for order in self.orders:
            network.start_epoch(order, self.batch_size, self.rates, n_threads)
            while not network.run(10.0):
                pass
            curve.append(network.epoch_loss)
        return network, np.array(curve)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("over_rows", [False, True])
@pytest.mark.parametrize("batch_size", BATCHES)
def test_losses_are_scaled_and_divided_by_rows_or_weights(batch_size, over_rows, weighted):
    """With gradient descent a factor of the loss is a factor of the step, batch by batch."""
    training = Training(batch_size, weighted=weighted)
    network, curve = training.run(0.25, over_rows)
    coef, intercept, expected = training.coef, training.intercept, []
    for order in training.orders:
        rows, total = np.arange(training.n) if order is None else order, 0.0
        for start in range(0, training.n, batch_size):
            batch = rows[start:start + batch_size]
            w = np.ones(len(batch)) if training.weight is None else training.weight[batch]
            factor = 0.25 * w.sum() / len(batch) if over_rows else 0.25
            value, g, g0 = reference_network.objective(
                coef, intercept, training.X[batch], training.y[batch], "squared_error", weight=w)
            coef, intercept = coef - 0.05 * factor * g, intercept - 0.05 * factor * g0
            total += factor * value * len(batch)
        expected.append(total / training.n)
    found = network.unpack(network.parameters)
    np.testing.assert_allclose(curve, expected, rtol=1e-11)
    np.testing.assert_allclose(found[0], coef, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found[1], intercept, rtol=1e-10, atol=1e-12)


def test_the_objective_of_all_rows_is_reduced_the_same_way():
    training = Training(7)
    network = training.run(0.5, True)[0]
    gradient = np.empty_like(network.parameters)
    network.start_gradient(1)
    while not network.run_gradient(10.0):
        pass
    value = network.finish_gradient(gradient)
    coef, intercept = network.unpack(network.parameters)
    expected, g, g0 = reference_network.objective(
        coef, intercept, training.X, training.y, "squared_error", weight=training.weight)
    factor = 0.5 * training.weight.mean()
    assert value == pytest.approx(factor * expected, rel=1e-12)
    found = network.unpack(gradient)
    np.testing.assert_allclose(found[0], factor * g, rtol=1e-10)
    np.testing.assert_allclose(found[1], factor * g0, rtol=1e-10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("k", [1, 3, 20])
@pytest.mark.parametrize("batch_size", BATCHES)
def test_outputs_are_those_before_each_step(batch_size, k, dtype):
    """A pass of one batch at a time, predicted before it is trained on, gives the same rows."""
    training = Training(batch_size, dtype, k)
    training.orders = training.orders[:1]
    kept = [np.full((training.n, k), np.nan, dtype=dtype) for _ in range(3)]
    for threads, outputs in zip((1, 2, 3), kept):
        network = training.run(1.0, False, threads, outputs=outputs)[0]
    assert kept[0].tobytes() == kept[1].tobytes() == kept[2].tobytes()
    rows = training.orders[0]
    network = Network(5, k, dtype)
    network.parameters[:] = network.pack(training.coef, training.intercept)
    network.set_loss("squared_error")
    network.set_optimizer("gradient_descent", (), {})
    for start in range(0, training.n, batch_size):
        batch = rows[start:start + batch_size]
        X, y, w = (np.ascontiguousarray(a[batch]) for a in (training.X, training.y, training.weight))
        expected = network.raw_predict(X)
        np.testing.assert_array_equal(kept[0][start:start + batch_size], expected)
        network.bind(X, y, w)
        network.start_epoch(None, len(batch), np.full(1, 0.05), 1)
        network.run(10.0)


def test_a_new_bind_forgets_the_array():
    training = Training(7)
    outputs = np.zeros((training.n, 3))
    network = training.run(1.0, False, outputs=outputs)[0]
    outputs[:] = 0
    network.bind(training.X, training.y, training.weight)
    network.start_epoch(None, 7, training.rates, 1)
    network.run(10.0)
    assert not outputs.any()


@pytest.mark.parametrize("decay_biases", [False, True])
def test_biases_decay_when_asked(decay_biases):
    training = Training(7)
    settings = {"weight_decay": 0.5, "decay_biases": decay_biases}
    training.orders = [None]
    training.rates = np.full(1, 0.05)
    network = training.run(1.0, False, settings=settings)[0]
    batch = slice(0, 7)
    _, g, g0 = reference_network.objective(
        training.coef, training.intercept, training.X[batch], training.y[batch], "squared_error",
        weight=training.weight[batch])
    h = {**optimizers.GradientDescent(0.05, weight_decay=0.5).settings(), "learning_rate": 0.05, "l1": 0, "l2": 0}
    found = network.unpack(network.parameters)
    np.testing.assert_allclose(found[0], reference.update(training.coef, g, {}, 1, h), rtol=1e-11)
    if not decay_biases:
        h["weight_decay"] = 0
    np.testing.assert_allclose(found[1], reference.update(training.intercept, g0, {}, 1, h), rtol=1e-11)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("hidden", [0, 9])
@pytest.mark.parametrize("k", [1, 3, 70])
@pytest.mark.parametrize("batch_size", BATCHES)
def test_outputs_with_an_activation(batch_size, k, hidden, weighted):
    """One step of gradient descent against the chain rule, for each activation; the same bytes for 1 and 3 threads."""
    rng = np.random.default_rng([batch_size, k])
    n = batch_size
    X, y = rng.normal(size=(n, 5)), rng.normal(size=(n, k))
    w = rng.integers(0, 3, n).astype(float) if weighted else None
    scale = 1 / n if w is None else 1 / w.sum()
    widths = [5, *([hidden] if hidden else []), k]
    coefs = [rng.normal(size=size) / 2 for size in itertools.pairwise(widths)]
    biases = [rng.normal(size=size) / 2 for size in widths[1:]]
    for name, (value, derivative) in reference.ACTIVATIONS.items():
        h = np.tanh(X @ coefs[0] + biases[0]) if hidden else X
        z = h @ coefs[-1] + biases[-1]
        loss, gradient = reference.LOSSES["huber"]
        a = value(z, 0.7)
        rows = np.ones(n) if w is None else w
        d = gradient(y, a, 0.5) * derivative(z, 0.7) * rows[:, None] * scale
        found = []
        for threads in (1, 3):
            network = Network(5, k, "float64", hidden=widths[1:-1], activations=[("tanh", 1.0)][:len(widths) - 2])
            network.parameters[:] = network.pack_layers(coefs, biases)
            network.set_loss("huber", 0.5)
            network.set_output_activation(name, 0.7)
            network.set_optimizer("gradient_descent", (), {})
            network.bind(X, y, w)
            network.start_epoch(None, n, np.full(1, 0.1), threads)
            while not network.run(10.0):
                pass
            found.append((network.parameters.tobytes(), network.epoch_loss))
        assert found[0] == found[1]
        assert found[0][1] == pytest.approx((loss(y, a, 0.5).sum(axis=1) * rows).sum() * scale, rel=1e-11)
        after, after_biases = network.unpack_layers(network.parameters)
        np.testing.assert_allclose(after[-1], coefs[-1] - 0.1 * h.T @ d, rtol=1e-9, atol=1e-12, err_msg=name)
        np.testing.assert_allclose(after_biases[-1], biases[-1] - 0.1 * d.sum(axis=0), rtol=1e-9, atol=1e-12)
        if hidden:
            below = d @ coefs[-1].T * (1 - h * h)
            np.testing.assert_allclose(after[0], coefs[0] - 0.1 * X.T @ below, rtol=1e-9, atol=1e-12, err_msg=name)
        # predictions are those before the activation, and a network may go back to plain outputs
        z = (np.tanh(X @ after[0] + after_biases[0]) if hidden else X) @ after[-1] + after_biases[-1]
        np.testing.assert_allclose(network.raw_predict(X), z, rtol=1e-9, atol=1e-12)
        network.set_output_activation("identity")
        network.start_epoch(None, n, np.zeros(1), 1)
        while not network.run(10.0):
            pass
        assert network.epoch_loss == pytest.approx((loss(y, z, 0.5).sum(axis=1) * rows).sum() * scale, rel=1e-11)
