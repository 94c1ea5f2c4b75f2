"""What training adds to a step of the dense engine, against its twin: dropout, noise, mixing, norms, averages, batch
normalization, penalties by layer, sparse rows; and the same bytes for any number of threads."""

import itertools

import numpy as np
import pytest
import reference_dense
from scipy import sparse, stats

from fasttrain._kernels import prediction
from fasttrain._kernels.network import Network
from fasttrain._kernels.primitives import vector_lanes

SHAPES = [
    # features, hidden widths, activations, outputs, loss, rows, batch
    (5, (7,), ("relu",), 1, "binary_crossentropy", 50, 16),
    (13, (70, 33), ("tanh", "silu"), 4, "softmax_crossentropy", 130, 50),
    (20, (40, 9), ("silu", "tanh"), 12, "softmax_crossentropy", 2600, 1300),
    # outputs that fill their vectors badly, under units in whole and in broken ones
    (11, (61, 70), ("tanh", "silu"), 10, "softmax_crossentropy", 250, 110),
    (6, (), (), 3, "half_squared_error", 60, 11),
    (7, (5,), ("tanh",), 6, "half_squared_error", 3000, 3000),
    # an odd number of parameters
    (6, (), (), 1, "half_squared_error", 1500, 1500),
]
EXTRAS = {
    "penalties": lambda n: {"l1": np.linspace(0.001, 0.01, n), "l2": np.linspace(0.1, 0.02, n)},
    "dropout": lambda n: {"dropout": [0.2, *[0.5, 0.1][:n - 1]]},
    "hidden dropout": lambda n: {"dropout": [0.0, *[0.3, 0.0][:n - 1]]},
    "noise": lambda n: {"noise": 0.3},
    "mixup": lambda n: {"mixup": 0.4},
    "max norm": lambda n: {"max_norm": [0.8, 0.7, np.inf][:n]},
    "ema": lambda n: {"average": "ema", "decay": 0.8, "start": 2, "every": 2},
    "swa": lambda n: {"average": "swa", "start": 1},
    "ema put back": lambda n: {"average": "ema", "decay": 0.7, "start": 1, "overwrite": 2, "l2": 0.05},
    "each norm": lambda n: {"clip_each": 0.05, "normalize": ["before"] * (n - 1)},
    "normalize before": lambda n: {"normalize": ["before"] * (n - 1)},
    "normalize after": lambda n: {"normalize": ["after", None][:n - 1]},
    "all": lambda n: {
        "l1": 0.001, "l2": 0.01, "dropout": [0.1, *[0.2, 0.3][:n - 1]], "noise": 0.1, "mixup": 1.0,
        "max_norm": [0.9] * n, "average": "swa", "normalize": ["before", "after"][:n - 1],
    },
}  # fmt: skip


@pytest.fixture(autouse=True)
def every_thread():
    before = prediction.set_step_per_thread(0)
    yield
    prediction.set_step_per_thread(before)


def problem(shape, weighted):
    n_features, hidden, _, k, loss, n, _ = shape
    rng = np.random.default_rng(n_features)
    X = rng.normal(size=(n, n_features))
    if loss == "softmax_crossentropy":
        y = rng.integers(0, k, (n, 1)).astype(float)
    elif loss == "binary_crossentropy":
        y = rng.integers(0, 2, (n, k)).astype(float)
    else:
        y = rng.normal(size=(n, k))
    sizes = [n_features, *hidden, k]
    coefs = [rng.normal(size=s) / np.sqrt(s[0]) for s in itertools.pairwise(sizes)]
    intercepts = [0.1 * rng.normal(size=s) for s in sizes[1:]]
    return X, y, rng.uniform(0.5, 2, n) if weighted else None, coefs, intercepts


def network_of(shape, dtype, coefs, intercepts, extras, seed):
    n_features, hidden, activations, k, loss, _, _ = shape
    n = len(hidden) + 1
    network = Network(
        n_features, k, dtype, True, hidden, [(a, 1.0) for a in activations], extras.get("normalize", ()))
    network.set_loss(loss)
    network.set_seed(seed)
    network.set_penalty(extras.get("l1", 0.0), extras.get("l2", 0.0))
    network.set_dropout(extras.get("dropout", [0.0] * n))
    network.set_noise(extras.get("noise", 0.0))
    network.set_mixup(extras.get("mixup", 0.0))
    network.set_max_norm(extras.get("max_norm", [np.inf] * n))
    network.set_normalization(0.9, 1e-3)
    network.set_optimizer("adam", ("s1", "s2"), {
        "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-3, "clip_each_norm": extras.get("clip_each", np.inf)})
    network.parameters[:] = network.pack_layers(coefs, intercepts)
    if "average" in extras:
        network.set_averaging(
            extras["average"], extras.get("decay", 0.0), extras.get("start", 0), extras.get("every", 1),
            extras.get("overwrite", 0))
    return network


def run(network, X, y, weight, batch, dtype, orders, n_threads, rate=0.01):
    weight = None if weight is None else weight.astype(dtype)
    network.bind(X.astype(dtype), y.astype(dtype), weight)
    curve = []
    for order in orders:
        network.start_epoch(order, batch, np.full(-(-len(X) // batch), rate), n_threads)
        while not network.run(10.0):
            pass
        curve.append(network.epoch_loss)
    return curve


def everything(network):
    arrays = [network.parameters, network.moving_mean, network.moving_variance, *network.state.values()]
    if network.average is not None:
        arrays.append(network.average)
    return [a.tobytes() for a in arrays]


@pytest.mark.parametrize("extra", EXTRAS)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: f"{s[0]}-{s[1]}-{s[3]}-{s[6]}")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_training_is_the_twins_for_any_threads(shape, extra, dtype):
    extras = EXTRAS[extra](len(shape[1]) + 1)
    weighted = shape[3] % 2 == 0
    X, y, weight, coefs, intercepts = problem(shape, weighted)
    order = np.random.default_rng(1).permutation(len(X))
    orders = [order, None]
    lanes = vector_lanes(np.dtype(dtype).itemsize)
    twin = reference_dense.Twin(
        coefs, intercepts, shape[2], shape[4], seed=77, strides=[-(-w // lanes) * lanes for w in shape[1]], **extras)
    target = np.eye(shape[3])[y[:, 0].astype(int)] if shape[4] == "softmax_crossentropy" else y
    expected = [twin.train(X, target, o if o is not None else np.arange(len(X)), shape[6], 0.01, weight)
                for o in orders]
    network = network_of(shape, dtype, coefs, intercepts, extras, seed=77)
    curve = run(network, X, y, weight, shape[6], dtype, orders, 1)
    # noise is good to seven digits
    close = {"rtol": 1e-8, "atol": 1e-10} if dtype == "float64" else {"rtol": 2e-3, "atol": 2e-4}
    if "noise" in extras and dtype == "float64":
        close = {"rtol": 1e-4, "atol": 1e-5}
    np.testing.assert_allclose(curve, expected, **close)
    got = network.unpack_layers(network.parameters)
    for mine, theirs in zip(got[0] + got[1], twin.coefs + twin.intercepts, strict=True):
        np.testing.assert_allclose(mine, theirs, **close)
    if "average" in extras:
        got = network.unpack_layers(network.average)
        for mine, theirs in zip(got[0] + got[1], twin.averaged, strict=True):
            np.testing.assert_allclose(mine, theirs, **close)
    if any(twin.normalize):
        on = [i for i, kind in enumerate(twin.normalize) if kind]
        for i, pair, moving in zip(
                on, network.gains_and_shifts(network.parameters), network.moving_statistics(), strict=True):
            expected = twin.gains[i], twin.shifts[i], twin.means[i], twin.variances[i]
            for mine, theirs in zip((*pair, *moving), expected, strict=True):
                np.testing.assert_allclose(mine, theirs, **close)
    np.testing.assert_allclose(network.raw_predict(X.astype(dtype), 2), twin.predict(X), **close)
    bytes_of_one = everything(network)
    for n_threads in (2, 3):
        other = network_of(shape, dtype, coefs, intercepts, extras, seed=77)
        assert run(other, X, y, weight, shape[6], dtype, orders, n_threads) == curve
        assert everything(other) == bytes_of_one


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: f"{s[0]}-{s[1]}-{s[3]}-{s[6]}")
def test_sparse_rows_train_as_dense_ones(shape, index, dtype):
    X, y, weight, coefs, intercepts = problem(shape, True)
    X[np.random.default_rng(3).random(X.shape) < 0.7] = 0
    X[5] = 0
    order = np.random.default_rng(1).permutation(len(X))
    extras = {"l2": 0.01, "dropout": [0.0, *[0.3] * len(shape[1])], "normalize": ["before"] * (shape[3] % 2)}
    extras["normalize"] *= len(shape[1])
    dense = network_of(shape, dtype, coefs, intercepts, extras, seed=5)
    expected = run(dense, X, y, weight, shape[6], dtype, [order], 2)
    rows = sparse.csr_array(X.astype(dtype))
    arrays = rows.data, rows.indices.astype(index), rows.indptr.astype(index)
    close = {"rtol": 1e-8, "atol": 1e-10} if dtype == "float64" else {"rtol": 1e-3, "atol": 1e-4}
    seen = []
    for n_threads in (1, 2, 3):
        network = network_of(shape, dtype, coefs, intercepts, extras, seed=5)
        network.bind_csr(*arrays, y.astype(dtype), weight.astype(dtype))
        network.start_epoch(order, shape[6], np.full(-(-len(X) // shape[6]), 0.01), n_threads)
        while not network.run(10.0):
            pass
        assert network.epoch_loss == pytest.approx(expected[0], rel=close["rtol"])
        np.testing.assert_allclose(network.parameters, dense.parameters, **close)
        raw = network.raw_predict_csr(*arrays, n_threads)
        np.testing.assert_allclose(raw, dense.raw_predict(X.astype(dtype)), **close)
        # a prediction of dense rows in between leaves the bound ones alone
        np.testing.assert_allclose(network.raw_predict(X.astype(dtype), n_threads), raw, **close)
        seen.append((network.parameters.tobytes(), raw.tobytes()))
    assert len(set(seen)) == 1


def test_sparse_gradient_of_all_rows_with_many_features():
    rng = np.random.default_rng(0)
    X = sparse.random_array((300, 9000), density=0.01, rng=rng, format="csr")
    y = rng.normal(size=(300, 1))
    values = []
    for rows in ("dense", "csr"):
        network = Network(9000, 1, "float64", True, (70,), [("tanh", 1.0)])
        network.set_loss("half_squared_error")
        network.parameters[:] = 0.1 * np.random.default_rng(1).normal(size=network.parameters.size)
        coefs = network.unpack_layers(network.parameters)
        network.parameters[:] = network.pack_layers(*coefs)
        if rows == "dense":
            network.bind(X.toarray(), y)
        else:
            network.bind_csr(X.data, X.indices, X.indptr, y)
        network.start_gradient(2)
        while not network.run_gradient(1.0):
            pass
        gradient = np.empty_like(network.parameters)
        values.append((network.finish_gradient(gradient), gradient))
    assert values[0][0] == pytest.approx(values[1][0], rel=1e-13)
    np.testing.assert_allclose(values[0][1], values[1][1], rtol=1e-10, atol=1e-14)


def test_empty_sparse_rows():
    network = Network(4, 2, "float64", True, (3,), [("relu", 1.0)])
    network.parameters[:] = network.pack_layers([np.ones((4, 3)), np.ones((3, 2))], [np.ones(3), np.zeros(2)])
    empty = np.zeros(0), np.zeros(0, np.int32), np.zeros(6, np.int32)
    np.testing.assert_array_equal(network.raw_predict_csr(*empty), np.full((5, 2), 3.0))


def test_changed_inputs_refuse_sparse_rows():
    network = Network(4, 1, "float64")
    network.set_noise(0.1)
    with pytest.raises(ValueError, match="dense rows, got CSR"):
        network.bind_csr(np.zeros(0), np.zeros(0, np.int32), np.zeros(3, np.int32), np.zeros((2, 1)))


def test_gradient_of_all_rows_refuses_normalization():
    network = Network(4, 1, "float64", True, (3,), [("relu", 1.0)], ["before"])
    network.bind(np.zeros((2, 4)), np.zeros((2, 1)))
    with pytest.raises(ValueError, match="batch normalization"):
        network.start_gradient(1)


def first_layer_inputs(noise=0.0, dropout=0.0, n=4000, p=50, seed=1, dtype="float64"):
    """What reaches the first layer in a step: the gradient of a linear model of one output that copies its rows."""
    network = Network(p, n, dtype)
    network.set_loss("half_squared_error")
    network.set_seed(seed)
    network.set_noise(noise)
    network.set_dropout([dropout])
    network.set_optimizer("gradient_descent", (), {})
    # targets one in their own column make the weights' gradient the rows themselves
    network.bind(np.ones((n, p), dtype), -np.eye(n, dtype=dtype))
    network.start_epoch(None, n, np.full(1, -float(n)), 2)
    while not network.run(10.0):
        pass
    return network.unpack(network.parameters)[0]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_noise_is_normal(dtype):
    drawn = (first_layer_inputs(noise=0.5, n=1000, dtype=dtype) - 1).ravel() / 0.5
    assert stats.kstest(drawn, "norm").pvalue > 0.01
    assert stats.kstest(drawn[np.arange(len(drawn)) % 50 == 7], "norm").pvalue > 0.01
    again = (first_layer_inputs(noise=0.5, n=1000, seed=2, dtype=dtype) - 1).ravel() / 0.5
    assert abs(np.corrcoef(drawn, again)[0, 1]) < 0.02
    assert abs(np.corrcoef(drawn[1:], drawn[:-1])[0, 1]) < 0.02


def test_dropout_drops_its_share_everywhere():
    kept = first_layer_inputs(dropout=0.3, n=1000)
    values = np.unique(kept)
    np.testing.assert_allclose(values, [0, 1 / 0.7], rtol=1e-12)
    dropped = kept == 0
    spread = np.sqrt(0.3 * 0.7)
    assert abs(dropped.mean() - 0.3) < 4 * spread / np.sqrt(dropped.size)
    assert (abs(dropped.mean(axis=0) - 0.3) < 5 * spread / np.sqrt(dropped.shape[0])).all()
    assert (abs(dropped.mean(axis=1) - 0.3) < 5.5 * spread / np.sqrt(dropped.shape[1])).all()
    other = first_layer_inputs(dropout=0.3, n=1000, seed=9) == 0
    assert abs(np.corrcoef(dropped.ravel(), other.ravel())[0, 1]) < 0.02


@pytest.mark.parametrize(
    "extra", ["penalties", "dropout", "noise", "mixup", "normalize before", "normalize after", "all"])
@pytest.mark.parametrize("shape", SHAPES[:3], ids=lambda s: f"{s[0]}-{s[1]}-{s[3]}-{s[6]}")
def test_gradient_by_fourth_order_differences(shape, extra):
    """The move of one step of gradient descent at rate 1, against the losses that steps at rate 0 report."""
    extras = {k: v for k, v in EXTRAS[extra](len(shape[1]) + 1).items() if k not in ("average", "max_norm", "l1")}
    shape = (*shape[:2], tuple("tanh" for _ in shape[1]), *shape[3:])
    X, y, weight, coefs, intercepts = problem(shape, True)
    network = network_of(shape, "float64", coefs, intercepts, extras, seed=3)
    network.set_optimizer("gradient_descent", (), {})
    network.bind(X, y, weight)
    start = network.parameters.copy()

    def step(parameters, rate):
        network.parameters[:] = parameters
        network.counters = {"t": 0.0, "carried": 0.0}
        network.start_epoch(None, len(X), np.full(1, rate), 2)
        while not network.run(10.0):
            pass
        return network.epoch_loss

    step(start, 1.0)
    gradient = start - network.parameters
    rng = np.random.default_rng(0)
    h = 3e-4
    for _ in range(4):
        direction = network.pack_layers(
            [rng.normal(size=W.shape) for W in coefs], [rng.normal(size=b.shape) for b in intercepts])
        for gain, shift in network.gains_and_shifts(direction):
            gain[:], shift[:] = rng.normal(size=(2, len(gain)))
        values = {m: step(start + m * h * direction, 0.0) for m in (-2, -1, 1, 2)}
        slope = (values[-2] - 8 * values[-1] + 8 * values[1] - values[2]) / (12 * h)
        assert slope == pytest.approx(gradient @ direction, rel=1e-6, abs=1e-7)


def test_a_prediction_drops_nothing_and_copies_what_overflows():
    network = Network(2, 1, "float64", True, (4,), [("relu", 1.0)])
    network.set_dropout([0.5, 0.5])
    network.parameters[:] = network.pack_layers([np.full((2, 4), 1e308), np.ones((4, 1))], [np.zeros(4), np.zeros(1)])
    np.testing.assert_array_equal(network.raw_predict(np.full((1, 2), 10.0)), [[np.inf]])


@pytest.mark.parametrize("shape", [SHAPES[1], SHAPES[2], SHAPES[4]], ids=lambda s: f"{s[0]}-{s[1]}-{s[3]}-{s[6]}")
@pytest.mark.parametrize("normalize", [False, True])
def test_a_callers_loss_trains_as_the_engines_own(shape, normalize):
    """The same loss, told by Python once a batch, in place of the compiled one."""
    X, y, _, coefs, intercepts = problem(shape, False)
    shape = (*shape[:4], "half_squared_error", *shape[5:])
    y = np.random.default_rng(2).normal(size=(len(X), shape[3]))
    order = np.random.default_rng(1).permutation(len(X))
    extras = {"l2": 0.01, "dropout": [0.1] * (len(shape[1]) + 1)}
    if normalize:
        extras["normalize"] = ["after"] * len(shape[1])
    own = network_of(shape, "float64", coefs, intercepts, extras, seed=3)
    # sums over outputs of half squares, by the rows of the batch
    expected = run(own, X, y, None, shape[6], "float64", [order, order], 2)

    asked = []

    def answer(start, raw):
        asked.append((start, len(raw)))
        difference = raw - y[order[start:start + len(raw)]]
        return 0.5 * (difference**2).sum() / len(raw), difference / len(raw)

    other = network_of(shape, "float64", coefs, intercepts, extras, seed=3)
    other.set_caller_loss(answer)
    other.set_reduction(1.0, "nothing")
    curve = run(other, X, np.zeros_like(y), None, shape[6], "float64", [order, order], 2)
    batches = [(start, min(shape[6], len(X) - start)) for start in range(0, len(X), shape[6])]
    assert asked == 2 * batches
    np.testing.assert_allclose(curve, expected, rtol=1e-9)
    np.testing.assert_allclose(other.parameters, own.parameters, rtol=1e-7, atol=1e-9)
    # and back
    for network in (own, other):
        network.set_caller_loss(None)
        network.set_reduction(1.0, "weights")
    again = [run(network, X, y, None, shape[6], "float64", [order], 2) for network in (own, other)]
    np.testing.assert_allclose(*again, rtol=1e-9)


def test_what_a_callers_loss_raises_comes_out_of_run():
    X, y, _, coefs, intercepts = problem(SHAPES[1], False)
    network = network_of(SHAPES[1], "float32", coefs, intercepts, {}, seed=3)
    before = network.parameters.copy()
    answers = (lambda start, raw: 1 / 0, ZeroDivisionError), (lambda start, raw: (0.0, raw[:3]), ValueError)
    for answer, kind in answers:
        network.set_caller_loss(answer)
        network.bind(X.astype("float32"), np.zeros((len(X), 4), "float32"))
        network.start_epoch(None, 50, np.full(3, 0.01), 2)
        with pytest.raises(kind):
            network.run(1.0)
        assert (network.parameters == before).all()


@pytest.mark.parametrize("batch", [16, 1300])
@pytest.mark.parametrize("over", ["weights", "rows", "nothing"])
def test_reductions_of_a_batch(over, batch):
    """With plain descent a factor of the loss is one of the rate."""
    rng = np.random.default_rng(0)
    X, y, weight = rng.normal(size=(2600, 5)), rng.normal(size=(2600, 1)), rng.uniform(0.5, 2, 2600)
    found = []
    for reduction in (over, "weights"):
        network = Network(5, 1, "float64", True)
        network.set_loss("squared_error")
        network.set_optimizer("gradient_descent", (), {})
        network.set_reduction(0.5, reduction)
        network.bind(X, y, weight)
        sizes = [min(batch, 2600 - start) for start in range(0, 2600, batch)]
        totals = np.array([weight[start:start + batch].sum() for start in range(0, 2600, batch)])
        factor = {"weights": 1.0, "rows": totals / sizes, "nothing": totals}[over]
        rates = np.full(len(sizes), 1e-5) * (1.0 if reduction == over else factor)
        network.start_epoch(None, batch, rates, 1)
        while not network.run(10.0):
            pass
        found.append(network.parameters.copy())
    np.testing.assert_allclose(*found, rtol=1e-9)


@pytest.mark.parametrize("batch", [16, 1300])
def test_batches_one_by_one_are_the_epoch(batch):
    X, y, weight, coefs, intercepts = problem(SHAPES[2], True)
    whole = network_of(SHAPES[2], "float32", coefs, intercepts, {"dropout": [0.1, 0.2, 0.0]}, seed=5)
    curve = run(whole, X, y, weight, batch, "float32", [None], 2)
    parts = network_of(SHAPES[2], "float32", coefs, intercepts, {"dropout": [0.1, 0.2, 0.0]}, seed=5)
    parts.bind(X.astype("float32"), y.astype("float32"), weight.astype("float32"))
    n_batches = -(-len(X) // batch)
    parts.start_epoch(None, batch, np.full(n_batches, 0.01), 2)
    for number in range(n_batches):
        while parts.batches_done == number:
            parts.run(-1.0)
        assert parts.batches_done == number + 1
    assert parts.epoch_loss == curve[0]
    assert everything(parts) == everything(whole)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_features, hidden, n_outputs", [(1, (3,), 1), (7, (17,), 2), (90, (70, 33), 5)])
def test_constraints_of_weights(n_features, hidden, n_outputs, dtype):
    """A step without a rate leaves what the constraints allow of the weights; of zeros nothing can be made."""
    rng = np.random.default_rng(n_features)
    bounds = [(0.0, np.inf, 1.0), (0.7, 0.7, 1.0), (0.5, 0.9, 0.25)][-len(hidden) - 1:]
    non_negative = [True, False, True][-len(hidden) - 1:]
    found = []
    for n_threads in (1, 2, 3, 8):
        network = Network(n_features, n_outputs, dtype, hidden=hidden, activations=[("tanh", 1.0)] * len(hidden))
        sizes = [n_features, *hidden, n_outputs]
        draw = np.random.default_rng(0)
        coefs = [draw.normal(size=shape).astype(dtype) for shape in itertools.pairwise(sizes)]
        coefs[0][:, 0] = 0
        network.parameters[:] = network.pack_layers(coefs, [np.ones(n, dtype) for n in sizes[1:]])
        network.set_loss("squared_error")
        network.set_optimizer("gradient_descent", (), {})
        network.set_constraints(bounds, non_negative)
        network.bind(rng.normal(size=(5, n_features)).astype(dtype), np.zeros((5, n_outputs), dtype))
        network.start_epoch(None, 5, np.zeros(1), n_threads)
        while not network.run(10.0):
            pass
        found.append(network.parameters.tobytes())
        made, biases = network.unpack_layers(network.parameters)
        for coef, got, (least, most, share), sign in zip(coefs, made, bounds, non_negative):
            wanted = np.maximum(coef, 0).astype(np.longdouble) if sign else coef.astype(np.longdouble)
            norm = np.sqrt((wanted**2).sum(axis=0))
            factor = 1 + share * (np.clip(norm, least, most) / np.where(norm > 0, norm, 1) - 1)
            wanted = wanted * np.where(norm > 0, factor, 1)
            np.testing.assert_allclose(got, wanted.astype(dtype), rtol=8 * np.finfo(dtype).eps)
            assert not sign or (got >= 0).all()
        assert all((bias == 1).all() for bias in biases)
    assert len(set(found)) == 1
