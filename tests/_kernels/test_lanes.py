"""Full-batch steps whose rows lie in lanes: the products against long doubles, the steps against the engine's twin."""

import itertools

import numpy as np
import pytest
import reference
import tolerances
from network_cases import OPTIMIZERS, Case, k_of

from fasttrain._kernels import lanes as kernel
from fasttrain._kernels import losses as loss_kernels
from fasttrain._kernels import prediction, primitives
from fasttrain._kernels.network import Network

DTYPES = ["float32", "float64"]
OUTPUTS = (1, 2, 3, 4, 5, 6, 7, 10, 13, 16)


@pytest.fixture(autouse=True)
def _every_thread_is_used():
    before = prediction.set_step_per_thread(0.0)
    yield
    prediction.set_step_per_thread(before)


def in_lanes(X):
    """The twin: panels of rows, a vector of lanes for each column, zeros behind the last row."""
    lanes = primitives.vector_lanes(X.dtype.itemsize)
    n_panels = -(-len(X) // lanes)
    padded = np.zeros((n_panels * lanes, X.shape[1]), X.dtype)
    padded[:len(X)] = X
    return np.ascontiguousarray(padded.reshape(n_panels, lanes, -1).transpose(0, 2, 1))


def from_lanes(x, n):
    return x.transpose(0, 2, 1).reshape(-1, x.shape[1])[:n]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 7, 8, 17, 64, 129])
def test_rows_in_lanes(n, dtype):
    for k in (1, 3, 30):
        X = np.random.default_rng(n).normal(size=(n, k)).astype(dtype)
        expected = in_lanes(X)
        out = np.full_like(expected, np.nan)
        kernel.rows_in_lanes(X, out)
        np.testing.assert_array_equal(out, expected)
    with pytest.raises(ValueError, match="out must hold"):
        kernel.rows_in_lanes(X, np.zeros((len(out), 2, out.shape[2]), dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_out", [*range(1, 17), 23])
def test_products(n_out, dtype):
    rng = np.random.default_rng(n_out)
    for n, k in itertools.product((1, 9, 64, 150), (1, 2, 5, 10, 30, 65)):
        X, w = rng.normal(size=(n, k)).astype(dtype), rng.normal(size=(k + 1, n_out)).astype(dtype)
        x = in_lanes(X)
        z = np.full((len(x), n_out, x.shape[2]), np.nan, dtype)
        kernel.dot_in_lanes(x, w, z)
        ones = np.column_stack([X.astype(np.longdouble), np.ones(n)])
        exact, size = ones @ w.astype(np.longdouble), abs(ones) @ abs(w)
        assert (abs(from_lanes(z, n) - exact) <= tolerances.sum_bound(k + 1, size, dtype)).all()
        other = np.full_like(z, np.nan)
        kernel.dot_in_lanes(x, np.ascontiguousarray(w.T), other, by_outputs=True)
        np.testing.assert_array_equal(other, z)

        D = rng.normal(size=(n, n_out)).astype(dtype)
        sums = np.full((k + 1, n_out, x.shape[2]), np.nan, dtype)
        kernel.axpy_in_lanes(x, in_lanes(D), False, sums)
        added = np.empty(((k + 1) * n_out), dtype)
        kernel.sum_of_lanes(sums.reshape(len(added), -1), added)
        exact, size = ones.T @ D.astype(np.longdouble), abs(ones.T) @ abs(D)
        assert (abs(added.reshape(k + 1, n_out) - exact) <= tolerances.sum_bound(n, size, dtype)).all()
        kernel.axpy_in_lanes(x, in_lanes(D), True, sums)
        twice = np.empty_like(added)
        kernel.sum_of_lanes(sums.reshape(len(added), -1), twice)
        assert (abs(twice.reshape(k + 1, n_out) - 2 * exact) <= tolerances.sum_bound(2 * n, 2 * size, dtype)).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("k", [2, 3, 10, 16])
def test_softmax(k, dtype):
    rng = np.random.default_rng(k)
    for n in (1, 8, 17, 64, 451):
        for scale in (1.0, 1e4):
            z, code = (scale * rng.normal(size=(n, k))).astype(dtype), rng.integers(0, k, n)
            weight = rng.integers(0, 3, n).astype(dtype)
            lanes = in_lanes(z)
            got = kernel.softmax_in_lanes(
                in_lanes(code.astype(dtype)[:, None])[:, 0], in_lanes(weight[:, None])[:, 0], lanes)
            exact = z.astype(np.longdouble)
            p = reference.softmax(exact)
            losses = np.log(np.exp(exact - exact.max(1, keepdims=True)).sum(1)) + exact.max(1) - exact[range(n), code]
            p[range(n), code] -= 1
            close = tolerances.of(tolerances.STEPS, np.dtype(dtype))
            np.testing.assert_allclose(got, float((weight * losses).sum()), **close)
            np.testing.assert_allclose(from_lanes(lanes, n), (p * weight[:, None]).astype(float), **close)
            # lanes without a row have no weight, and so no gradient
            assert (lanes == in_lanes(from_lanes(lanes, n))).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", loss_kernels.NAMES)
def test_steps_on_all_rows(loss, dtype):
    """As the twin, and the same bytes for any number of threads and any slices of time."""
    rules = itertools.cycle(["gradient_descent", "adam", "momentum"])
    features = itertools.cycle((1, 9, 30, 64))
    rows = itertools.cycle((64, 65, 127, 700))
    for i, k in enumerate(OUTPUTS):
        case = Case(
            loss, k_of(loss, k), next(features), next(rows), next(rules), shuffled=i % 4 == 3, weighted=i % 3 == 0,
            fit_intercept=i % 5 != 4, l2=0.01 * (i % 2), dtype=dtype, n_epochs=3, whole=True)
        case.check(threads=(2, 8))
        assert case.bytes(seconds=0.0) == case.bytes()


@pytest.mark.parametrize("rule", OPTIMIZERS)
def test_every_rule(rule):
    for extra in ({"clip_norm": 0.2, "l1": 0.02}, {"clip_value": 0.05, "weight_decay": 0.1}):
        Case("softmax_crossentropy", 5, 9, 130, rule, whole=True, n_epochs=4, **extra).check(threads=(3,))


def test_epochs_in_one_call_and_one_by_one():
    """What is copied once is what each epoch reads; other rows, another order and other targets are noticed."""
    case = Case("half_squared_error", 3, 9, 200, "adam", shuffled=False, whole=True, n_epochs=5)
    rates = case.rates[:1]
    together = case.network()
    together.start_epoch(None, 200, rates, 1, n_epochs=5)
    while not together.run(10.0):
        pass
    alone = case.network()
    for _ in range(5):
        alone.start_epoch(None, 200, rates, 1)
        while not alone.run(10.0):
            pass
    assert together.parameters.tobytes() == alone.parameters.tobytes()

    order = np.random.default_rng(0).permutation(200)
    one, other = case.network(), case.network()
    for network, turns in ((one, (None, order, order[::-1].copy())), (other, (None,))):
        for turn in turns:
            network.start_epoch(turn, 200, rates, 1)
            network.run(10.0)
    other.bind(case.X[order].copy(), case.y[order].copy(), None)
    other.start_epoch(None, 200, rates, 1)
    other.run(10.0)
    last = order[::-1]
    other.bind(case.X[last].copy(), case.y[last].copy(), None)
    other.start_epoch(None, 200, rates, 1)
    other.run(10.0)
    assert one.parameters.tobytes() == other.parameters.tobytes()


def test_an_order_that_changes_in_its_place_is_noticed():
    case = Case("half_squared_error", 1, 9, 100, "adam", shuffled=False, whole=True)
    order = np.arange(100)
    network, other = case.network(), case.network()
    for model, orders in ((network, (order, order)), (other, (order.copy(), order[::-1].copy()))):
        for i, given in enumerate(orders):
            if model is network and i:
                given[:] = given[::-1].copy()
            model.start_epoch(given, 100, case.rates[:1], 1)
            model.run(10.0)
    assert network.parameters.tobytes() == other.parameters.tobytes()


def test_a_loss_that_is_not_finite_is_told():
    network = Network(3, 2, "float64")
    network.set_lanes(True)
    network.set_loss("half_squared_error")
    network.set_optimizer("gradient_descent", (), {})
    X, y = np.full((100, 3), 1e200), np.ones((100, 2))
    network.parameters[:] = network.pack(np.full((2, 3), 1e200), np.zeros(2))
    network.bind(X, y)
    network.start_epoch(None, 100, np.array([0.1]), 1)
    assert network.run(10.0)
    assert network.diverged
