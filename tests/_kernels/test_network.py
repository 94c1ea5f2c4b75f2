"""The dense engine against its twin, over threads, slices, layouts of batches and shapes."""

import itertools
import os
import subprocess
import sys
import weakref

import numpy as np
import pytest
import reference_network
import tolerances
from network_cases import OPTIMIZERS, Case, k_of

from fasttrain._kernels import prediction
from fasttrain import optimizers
from fasttrain._kernels import losses as loss_kernels
from fasttrain._kernels.network import Network

THREADS = (1, 2, 3, 8)
OUTPUTS = (1, 2, 3, 4, 5, 10, 17, 64, 70, 130)
FEATURES = (1, 3, 7, 15, 16, 17, 33, 100)
BATCHES = (1, 2, 7, 16, 17, 100, 1024, 1025)
CORNERS = ("absolute_error", "quantile", "hinge", "epsilon_insensitive")


@pytest.fixture(autouse=True)
def _every_thread_is_used():
    """Without it a step on little data runs on one thread, and the tests over threads would compare nothing."""
    before = prediction.set_step_per_thread(0.0)
    yield
    prediction.set_step_per_thread(before)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", loss_kernels.NAMES)
def test_every_loss_with_every_number_of_outputs(loss, dtype):
    rules = itertools.cycle(["gradient_descent", "adam", "momentum"])
    features = itertools.cycle(FEATURES)
    for i, k in enumerate(OUTPUTS):
        Case(
            loss, k_of(loss, k), next(features), 7 + i, next(rules), shuffled=i % 2 == 0, weighted=i % 3 == 0,
            dtype=dtype,
        ).check(threads=(2, 3, 8) if i == 5 else (3,))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rule", OPTIMIZERS)
def test_every_rule_with_every_extra(rule, dtype):
    for k, batch_size in ((1, 16), (17, 17), (3, 1025)):
        for extra in (
            {}, {"l1": 0.02, "l2": 0.1}, {"clip_norm": 0.2}, {"clip_value": 0.05, "weight_decay": 0.1},
            {"fit_intercept": False, "clip_norm": 0.3, "l2": 0.2},
        ):
            Case("half_squared_error", k, 9, batch_size, rule, dtype=dtype, **extra).check(threads=(3,))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", BATCHES)
def test_every_batch_size_and_feature_count(batch_size, dtype):
    outputs = itertools.cycle([1, 5, 4, 70])
    for i, p in enumerate(FEATURES):
        Case(
            "huber", next(outputs), p, batch_size, "adam", shuffled=i % 2 == 1, weighted=i % 3 == 1,
            clip_norm=0.3 if i % 4 == 2 else None, dtype=dtype, n_epochs=1, seed=1,
        ).check(threads=(2,))


@pytest.mark.parametrize("loss", ["softmax_crossentropy", "binary_crossentropy"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("batch_size", [64, 3000])
def test_orders_and_weights(loss, weighted, shuffled, batch_size):
    for k in (2, 10, 130):
        Case(loss, k, 33, batch_size, "adam", shuffled=shuffled, weighted=weighted, l1=0.003, l2=0.01, seed=2).check()


@pytest.mark.exhaustive
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", loss_kernels.NAMES)
@pytest.mark.parametrize("batch_size", BATCHES)
def test_the_whole_grid(loss, batch_size, dtype):
    rules = itertools.cycle(OPTIMIZERS)
    options = itertools.cycle([
        {}, {"weighted": True}, {"clip_norm": 0.3}, {"l1": 0.02}, {"l2": 0.1, "fit_intercept": False},
        {"clip_value": 0.05, "weight_decay": 0.1, "weighted": True}, {"shuffled": False},
    ])
    for k, p in itertools.product(OUTPUTS, FEATURES):
        case = Case(loss, k_of(loss, k), p, batch_size, next(rules), dtype=dtype, n_epochs=1, **next(options))
        case.check(threads=THREADS[1:], flips=int(dtype == "float32" and loss in CORNERS))


@pytest.mark.parametrize("k", [1, 4, 10, 130])
@pytest.mark.parametrize("batch_size", [5, 1500])
def test_tiny_slices_give_the_bytes_of_one_run(k, batch_size):
    case = Case("huber", k, 17, batch_size, "adam", l2=0.1, clip_norm=1.0)
    whole = case.bytes()
    for n_threads in (1, 3):
        assert case.bytes(n_threads, seconds=0.0) == whole
        assert case.bytes(n_threads, seconds=1e-7) == whole


@pytest.mark.parametrize("batch_size", [5, 1500])
def test_a_run_without_time_still_advances(batch_size):
    """A machine that is slower than the slice must not stand still."""
    case = Case(batch_size=batch_size)
    network = case.network()
    network.start_epoch(None, batch_size, case.rates[:case.per_epoch], 1)
    runs = 0
    while not network.run(-1.0):
        runs += 1
        assert runs <= case.per_epoch * 64


@pytest.mark.parametrize("n_threads", [1, 3])
def test_batches_of_one_chunk_are_left_when_the_time_is_over(n_threads):
    """Of more parameters than half of what all chunks' gradients may have, a batch is one chunk: none is ever left."""
    n, batch_size = 4000, 1200
    network = Network(9000, 1, "float32", True, (500,), [("relu", 1.0)])
    network.set_loss("half_squared_error")
    network.parameters[:] = network.pack_layers(
        [np.full((9000, 500), 0.01), np.full((500, 1), 0.01)], [np.zeros(500), np.zeros(1)])
    columns, starts = np.arange(n, dtype=np.int32), np.arange(n + 1, dtype=np.int32)
    network.bind_csr(np.ones(n, np.float32), columns, starts, np.ones((n, 1), np.float32))
    network.start_epoch(None, batch_size, np.full(4, 0.01), n_threads)
    for done in (1, 2, 3):
        assert not network.run(-1.0)
        assert network.batches_done == done
    assert network.run(-1.0)
    assert network.batches_done == 4


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("k", OUTPUTS)
def test_pack_and_unpack(k, dtype):
    rng = np.random.default_rng(k)
    for p in FEATURES:
        network = Network(p, k, dtype)
        coef, intercept = rng.normal(size=(k, p)).astype(dtype), rng.normal(size=k).astype(dtype)
        packed = network.pack(coef, intercept)
        assert packed.dtype == dtype
        assert packed.shape == network.parameters.shape
        got_coef, got_intercept = network.unpack(packed)
        np.testing.assert_array_equal(got_coef, coef)
        np.testing.assert_array_equal(got_intercept, intercept)
        assert not np.shares_memory(got_coef, packed)
        # what pads the panels stays zero
        assert np.count_nonzero(packed) == np.count_nonzero(coef) + np.count_nonzero(intercept)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("k", OUTPUTS)
def test_predictions(k, dtype):
    rng = np.random.default_rng(k)
    for p, n in itertools.product(FEATURES, (0, 1, 3, 50, 1200)):
        network = Network(p, k, dtype)
        X = rng.normal(size=(n, p)).astype(dtype)
        coef, intercept = rng.normal(size=(k, p)).astype(dtype), rng.normal(size=k).astype(dtype)
        network.parameters[:] = network.pack(coef, intercept)
        got = network.raw_predict(X, 1)
        assert got.shape == (n, k)
        assert got.dtype == dtype
        assert got.flags.c_contiguous
        expected = X.astype(float) @ coef.T.astype(float) + intercept
        size = abs(X.astype(float)) @ abs(coef.T.astype(float)) + abs(intercept)
        assert (abs(got - expected) <= tolerances.sum_bound(p + 1, size, dtype)).all()
        if n in (3, 1200):
            for n_threads in THREADS[1:]:
                assert network.raw_predict(X, n_threads).tobytes() == got.tobytes()


def test_predictions_between_epochs():
    """Of as many rows as before, the network having trained, or laid its rows' values out anew, since."""
    rng = np.random.default_rng(0)
    network = Network(7, 3, "float32", hidden=[20, 5], activations=[("gelu", 1.0), ("relu", 1.0)])
    fresh = Network(7, 3, "float32", hidden=[20, 5], activations=[("gelu", 1.0), ("relu", 1.0)])
    network.parameters[:] = rng.normal(size=network.parameters.size)
    X, y = rng.normal(size=(90, 7)).astype("float32"), rng.normal(size=(90, 3)).astype("float32")
    opt = optimizers.Adam()
    network.set_loss("half_squared_error")
    network.set_optimizer(opt.rule, opt.slots, opt.settings(), opt.initial_state)
    network.bind(X, y)
    changes = [
        lambda: None, lambda: network.start_epoch(None, 40, np.full(3, 0.01), 2), lambda: network.run(10.0),
        lambda: network.set_dropout([0.1, 0.5, 0.2]), lambda: network.set_noise(0.1),
        lambda: network.set_output_activation("tanh"), lambda: network.start_epoch(None, 40, np.full(3, 0.01), 1),
        lambda: network.run(10.0), network.release,
    ]
    for change in changes:
        change()
        fresh.parameters[:] = network.parameters
        for n_threads in (1, 2):
            for _ in range(2):
                fresh.release()
                assert network.raw_predict(X[:8], n_threads).tobytes() == fresh.raw_predict(X[:8], 1).tobytes()


def objective_and_gradient(network, n_threads=1, seconds=10.0):
    network.start_gradient(n_threads)
    while not network.run_gradient(seconds):
        pass
    gradient = np.empty_like(network.parameters)
    return network.finish_gradient(gradient), gradient


@pytest.mark.parametrize("loss", loss_kernels.NAMES)
@pytest.mark.parametrize("k", [1, 3, 17])
def test_objective_and_gradient(loss, k):
    for weighted, batch_size, fit_intercept in ((False, 50, True), (True, 1700, False), (True, 300, True)):
        case = Case(
            loss, k_of(loss, k), 6, batch_size, weighted=weighted, l1=0.01, l2=0.3, fit_intercept=fit_intercept, seed=3)
        value, gradient = objective_and_gradient(case.network())
        arrays = [a.astype(np.longdouble) for a in (case.coef, case.intercept, case.X, case.y)]
        weight = None if case.weight is None else case.weight.astype(np.longdouble)
        expected, g, g0 = reference_network.objective(*arrays, loss, case.parameter, weight, case.l1, case.l2)
        g = g + case.l1 * np.sign(case.coef) + case.l2 * case.coef
        got, got0 = case.network().unpack(gradient)
        np.testing.assert_allclose(value, float(expected), rtol=1e-13)
        np.testing.assert_allclose(got, g.astype(float), rtol=1e-11, atol=1e-14)
        np.testing.assert_allclose(got0, g0.astype(float) if fit_intercept else 0 * got0, rtol=1e-11, atol=1e-14)
        for n_threads in (2, 8):
            again, other = objective_and_gradient(case.network(), n_threads, seconds=0.0)
            assert again == value
            assert other.tobytes() == gradient.tobytes()


@pytest.mark.parametrize("k", [2, 7])
@pytest.mark.parametrize("loss", [
    "half_squared_error", "squared_error", "poisson", "gamma", "tweedie", "tweedie_identity", "binary_crossentropy",
    "softmax_crossentropy", "squared_hinge", "modified_huber", "huber", "squared_epsilon_insensitive",
])
def test_gradient_by_fourth_order_differences(loss, k):
    case = Case(loss, k, 5, 60, l2=0.3, weighted=True, seed=4)
    network = case.network()
    start = network.parameters.copy()
    rng = np.random.default_rng(0)
    gradient = objective_and_gradient(network)[1]
    smooth = loss not in ("squared_hinge", "modified_huber", "huber", "squared_epsilon_insensitive")
    h = 1e-3 if smooth else 1e-6
    for _ in range(5):
        direction = network.pack(rng.normal(size=case.coef.shape), rng.normal(size=k))
        values = {}
        for m in (-2, -1, 1, 2):
            network.parameters[:] = start + m * h * direction
            values[m] = objective_and_gradient(network)[0]
        slope = (values[-2] - 8 * values[-1] + 8 * values[1] - values[2]) / (12 * h)
        # a second derivative that jumps leaves an error of order h
        assert slope == pytest.approx(gradient @ direction, abs=1e-9 if smooth else 1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", [8, 1100])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_overflow_stops_before_the_step(batch_size, dtype, n_threads):
    case = Case("squared_error", 1, 3, batch_size, "gradient_descent", dtype=dtype, n_epochs=1)
    network = case.network()
    rates = np.full(case.per_epoch, 1e30)
    for _ in range(50):
        network.start_epoch(None, batch_size, rates, n_threads)
        while not network.run(1.0):
            pass
        if network.diverged:
            break
    assert network.diverged
    assert network.batches_done < case.per_epoch
    # run again: no step is made on what is not finite
    before = network.parameters.copy()
    assert network.run(1.0)
    np.testing.assert_array_equal(network.parameters, before)
    assert network.all_finite() == np.isfinite(before).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_parameters_that_are_not_finite(bad):
    for k in (1, 10):
        case = Case("half_squared_error", k, 7, 8, "gradient_descent")
        network = case.network()
        assert network.all_finite()
        case.coef[-1, -1] = bad
        network.parameters[:] = network.pack(case.coef, case.intercept)
        assert not network.all_finite()
        network.start_epoch(None, 8, case.rates[:case.per_epoch], 1)
        assert network.run(1.0)
        assert network.diverged
        assert network.batches_done == 0


def test_fewer_rates_than_batches_end_the_pass():
    case = Case("half_squared_error", 1, 7, 8, "adam", shuffled=False, n_epochs=1)
    network = case.network()
    network.start_epoch(None, 8, case.rates[:2], 1)
    assert network.run(10.0)
    assert network.batches_done == 2
    first = Case("half_squared_error", 1, 7, 8, "adam", shuffled=False, n_epochs=1)
    first.X, first.y, first.orders = first.X[:16].copy(), first.y[:16].copy(), [None]
    first.per_epoch = 2
    other, curve = first.train()
    np.testing.assert_array_equal(network.parameters, other.parameters)
    assert network.epoch_loss == curve[0]


def test_memory_is_kept_or_made_anew_with_the_rule():
    case = Case(n_epochs=1)
    network, _ = case.train()
    assert network.counters["t"] == case.per_epoch
    moments = network.state["s1"].copy()
    opt = case.optimizer
    network.set_optimizer(opt.rule, opt.slots, opt.settings(), opt.initial_state)
    np.testing.assert_array_equal(network.state["s1"], moments)
    other = optimizers.Momentum()
    network.set_optimizer(other.rule, other.slots, other.settings(), other.initial_state)
    assert network.counters["t"] == 0
    assert not network.state["s1"].any()


def test_release_lets_the_data_go():
    class Rows(np.ndarray):
        """An array that can be weakly referenced through a memoryview's owner."""

    network = Network(3, 1, "float64")
    X = np.ones((20, 3)).view(Rows)
    gone = weakref.ref(X)
    opt = optimizers.Adam()
    network.set_loss("half_squared_error")
    network.set_optimizer(opt.rule, opt.slots, opt.settings(), opt.initial_state)
    network.bind(X, np.ones((20, 1)))
    network.start_epoch(None, 5, np.full(4, 0.1), 1)
    network.run(1.0)
    del X
    assert gone() is not None
    network.release()
    assert gone() is None


def test_a_smaller_team_than_asked_for_does_not_wait_for_ever():
    program = (
        "import numpy as np\n"
        "from fasttrain.linear_model import LinearRegressor\n"
        "rng = np.random.default_rng(0)\n"
        "X = rng.normal(size=(20000, 100)); y = X[:, 0]\n"
        "for batch in (1000, 'full'):\n"
        "    model = LinearRegressor(batch_size=batch, max_iter=2, n_threads=4, tol=None).fit(X, y)\n"
        "    model.predict(X)\n"
        "print('done')\n"
    )
    environment = {**os.environ, "OMP_THREAD_LIMIT": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "done\n"
