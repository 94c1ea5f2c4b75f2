"""The dense engine with hidden layers against the same training written out in NumPy."""

from itertools import pairwise

import numpy as np
import pytest

from fasttrain._kernels import prediction
from fasttrain._kernels.network import Network

LOGISTIC = (lambda z: 1 / (1 + np.exp(-z)), lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2)
TWINS = {
    "identity": (lambda z: z, np.ones_like),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0) * 1.0),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "logistic": LOGISTIC,
    "silu": (lambda z: z * LOGISTIC[0](z), lambda z: LOGISTIC[0](z) + z * LOGISTIC[1](z)),
}

# features, hidden widths, activations, outputs, loss, rows, batch
CASES = [
    (5, (7,), ("relu",), 1, "binary_crossentropy", 50, 16),
    (20, (16,), ("tanh",), 1, "half_squared_error", 200, 32),
    (13, (70, 33), ("relu", "logistic"), 10, "softmax_crossentropy", 300, 64),
    (30, (4, 3, 2), ("silu", "tanh", "identity"), 3, "half_squared_error", 100, 33),
    (20, (100,), ("silu",), 5, "half_squared_error", 3000, 1500),
    (20, (40, 10), ("relu", "tanh"), 12, "softmax_crossentropy", 3000, 3000),
    # wide enough for threads to split the first product by panels
    (260, (200, 20), ("silu", "tanh"), 3, "half_squared_error", 130, 50),
]


@pytest.fixture
def every_thread():
    before = prediction.set_step_per_thread(0)
    yield
    prediction.set_step_per_thread(before)


def outputs(coefs, intercepts, activations, X):
    inner, raw = [X], []
    for i, (W, b) in enumerate(zip(coefs, intercepts)):
        raw.append(inner[-1] @ W + b)
        if i < len(activations):
            inner.append(TWINS[activations[i]][0](raw[-1]))
    return inner, raw


def loss_of(loss, z, y):
    """Sum over rows, and gradient."""
    if loss == "softmax_crossentropy":
        p = np.exp(z - z.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        hot = np.eye(z.shape[1])[y[:, 0].astype(int)]
        return -(hot * np.log(p)).sum(), p - hot
    if loss == "binary_crossentropy":
        return (np.logaddexp(0, z) - y * z).sum(), LOGISTIC[0](z) - y
    return ((z - y) ** 2 / 2).sum(), z - y


def twin(case, X, y, coefs, intercepts, order, l2, rate, n_epochs):
    """Adam, epsilon beside the root, on the mean loss of each batch plus l2 / 2 |W|^2."""
    _, _, activations, _, loss, n, batch = case
    coefs, intercepts = [W.copy() for W in coefs], [b.copy() for b in intercepts]
    moments = [(np.zeros_like(p), np.zeros_like(p)) for p in coefs + intercepts]
    curve, t = [], 0
    for _ in range(n_epochs):
        total = 0.0
        for start in range(0, n, batch):
            rows = order[start:start + batch]
            inner, raw = outputs(coefs, intercepts, activations, X[rows])
            value, d = loss_of(loss, raw[-1], y[rows])
            total += value + len(rows) * l2 / 2 * sum((W**2).sum() for W in coefs)
            d = d / len(rows)
            gradients = [None] * (2 * len(coefs))
            for i in reversed(range(len(coefs))):
                gradients[i] = inner[i].T @ d + l2 * coefs[i]
                gradients[len(coefs) + i] = d.sum(axis=0)
                if i:
                    d = d @ coefs[i].T * TWINS[activations[i - 1]][1](raw[i - 1])
            t += 1
            step = rate * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
            for p, g, (m, v) in zip(coefs + intercepts, gradients, moments):
                m += 0.1 * (g - m)
                v += 0.001 * (g * g - v)
                p -= step * m / (np.sqrt(v) + 1e-8)
        curve.append(total / n)
    return coefs, intercepts, curve


def problem(case):
    n_features, hidden, _, n_outputs, loss, n, _ = case
    rng = np.random.RandomState(0)
    X = rng.randn(n, n_features)
    if loss == "softmax_crossentropy":
        y = rng.randint(0, n_outputs, (n, 1)).astype(float)
    elif loss == "binary_crossentropy":
        y = (rng.rand(n, n_outputs) > 0.5) * 1.0
    else:
        y = rng.randn(n, n_outputs)
    sizes = [n_features, *hidden, n_outputs]
    coefs = [rng.randn(a, b) / np.sqrt(a) for a, b in pairwise(sizes)]
    intercepts = [0.1 * rng.randn(b) for b in sizes[1:]]
    return X, y, coefs, intercepts, rng.permutation(n).astype(np.intp)


def make(case, dtype, coefs, intercepts):
    n_features, hidden, activations, n_outputs, loss, _, _ = case
    network = Network(n_features, n_outputs, dtype, True, hidden, [(name, 1.0) for name in activations])
    network.set_loss(loss)
    network.set_penalty(0.0, 0.01)
    network.set_optimizer("adam", ("s1", "s2"), {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8})
    network.parameters[:] = network.pack_layers(coefs, intercepts)
    return network


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1]}-{case[3]}-{case[6]}")
def test_training_is_the_twins_for_any_threads(case, dtype, every_thread):
    X, y, coefs, intercepts, order = problem(case)
    n, batch = case[5:]
    expected_coefs, expected_intercepts, expected_curve = twin(case, X, y, coefs, intercepts, order, 0.01, 0.01, 3)
    data, target = np.ascontiguousarray(X, dtype=dtype), np.ascontiguousarray(y, dtype=dtype)
    seen = set()
    for n_threads in (1, 2, 3, 8):
        network = make(case, dtype, coefs, intercepts)
        network.bind(data, target)
        curve = []
        for _ in range(3):
            network.start_epoch(order, batch, np.full(-(-n // batch), 0.01), n_threads)
            while not network.run(0.01):
                pass
            curve.append(network.epoch_loss)
        seen.add((network.parameters.tobytes(), tuple(curve)))
    assert len(seen) == 1
    # Adam makes a step of almost the rate of a gradient that is all rounding: one weight in some ten thousand has one
    rtol, atol = (1e-9, 1e-12) if dtype == "float64" else (1e-3, 2e-4 if X.shape[1] > 100 else 1e-5)
    np.testing.assert_allclose(curve, expected_curve, rtol=rtol)
    got_coefs, got_intercepts = network.unpack_layers(network.parameters)
    for got, expected in zip(got_coefs + got_intercepts, expected_coefs + expected_intercepts):
        np.testing.assert_allclose(got, expected, rtol=rtol, atol=atol)
    raw = outputs(expected_coefs, expected_intercepts, case[2], X)[1][-1]
    for n_threads in (1, 3):
        np.testing.assert_allclose(network.raw_predict(data, n_threads), raw, rtol=rtol, atol=10 * atol)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1]}-{case[3]}-{case[6]}")
def test_gradient_is_the_difference_quotient(case):
    # a kink within the difference would be no fault of the gradient
    case = (*case[:2], tuple("tanh" if name == "relu" else name for name in case[2]), *case[3:])
    X, y, coefs, intercepts, _ = problem(case)
    network = make(case, "float64", coefs, intercepts)
    network.bind(X, y)

    def objective(parameters):
        network.parameters[:] = parameters
        network.start_gradient(2)
        while not network.run_gradient():
            pass
        gradient = np.empty_like(network.parameters)
        return network.finish_gradient(gradient), gradient

    start = network.parameters.copy()
    gradient = objective(start)[1]
    rng = np.random.RandomState(1)
    for _ in range(5):
        # a direction within the layout: padding stays zero
        direction = network.pack_layers([rng.randn(*W.shape) for W in coefs], [rng.randn(*b.shape) for b in intercepts])
        h = 1e-4 / np.abs(direction).max()
        near = [objective(start + k * h * direction)[0] for k in (-2, -1, 1, 2)]
        quotient = (near[0] - 8 * near[1] + 8 * near[2] - near[3]) / (12 * h)
        np.testing.assert_allclose(gradient @ direction, quotient, rtol=1e-6, atol=1e-8)


def test_layers_survive_packing():
    case = CASES[2]
    _, _, coefs, intercepts, _ = problem(case)
    network = make(case, "float64", coefs, intercepts)
    got_coefs, got_intercepts = network.unpack_layers(network.parameters)
    for got, expected in zip(got_coefs + got_intercepts, coefs + intercepts):
        np.testing.assert_array_equal(got, expected)
