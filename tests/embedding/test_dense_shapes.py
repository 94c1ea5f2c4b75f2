"""Dense networks through their C door, against NumPy and against the engine's own front."""

import ctypes
import threading
from itertools import pairwise

import numpy as np
import pytest

from fasttrain import embedding
from fasttrain._kernels import activations, losses
from fasttrain._kernels.network import Network

OK, BAD_KIND, NOT_FINITE, OUT_OF_RANGE, BAD_STRUCT = 0, 2, 3, 4, 5
SLACK = {"float32": 2e-4, "float64": 1e-11}


class Shape(ctypes.Structure):
    """dense_shape of dense.pxd."""

    _fields_ = [
        ("size", ctypes.c_size_t), ("n_layers", ctypes.c_ssize_t), ("widths", ctypes.c_void_p),
        ("activations", ctypes.c_void_p), ("activation_parameters", ctypes.c_void_p), ("loss", ctypes.c_int),
        ("loss_parameter", ctypes.c_double), ("fit_intercept", ctypes.c_int),
    ]  # fmt: skip


class Dense:
    """One network and its workspace, called by address."""

    def __init__(self, widths, hidden, loss, dtype, fit_intercept=True, changes=None):
        self.widths = np.array(widths, np.intp)
        self.kinds = np.array([activations.NAMES.index(name) for name in hidden], np.int32)
        self.shape = Shape(ctypes.sizeof(Shape), len(widths) - 1, self.widths.ctypes.data, self.kinds.ctypes.data, None,
                           losses.NAMES.index(loss), 1.0, fit_intercept)
        for name, value in (changes or {}).items():
            setattr(self.shape, name, value)
        self.dtype = dtype
        self.status, self.n_parameters, self.bytes = self.sizes()

    def call(self, name, *arguments):
        values = [each.ctypes.data if isinstance(each, np.ndarray) else each for each in arguments]
        return embedding.function("dense", name, self.dtype)(ctypes.addressof(self.shape), *values)

    def sizes(self):
        parameters, size = ctypes.c_ssize_t(), ctypes.c_ssize_t()
        status = self.call("dense_sizes", None, ctypes.addressof(parameters), ctypes.addressof(size))
        return status, parameters.value, size.value

    def workspace(self):
        """With guards around it, to be checked by `whole`; zeros are not promised, so there are none."""
        return np.full(self.bytes + 128, 0xA5, np.uint8)

    def whole(self, workspace):
        return (workspace[:64] == 0xA5).all() and (workspace[-64:] == 0xA5).all()

    def pack(self, coefs, intercepts):
        w = np.full(self.n_parameters, np.nan, self.dtype)
        pointers = [np.array([a.ctypes.data for a in arrays], np.uintp) for arrays in (coefs, intercepts)]
        assert self.call("dense_pack", *pointers, w) == OK
        return w

    def unpack(self, w):
        coefs = [np.empty((a, b), self.dtype) for a, b in pairwise(self.widths)]
        intercepts = [np.empty(b, self.dtype) for b in self.widths[1:]]
        pointers = [np.array([a.ctypes.data for a in arrays], np.uintp) for arrays in (coefs, intercepts)]
        assert self.call("dense_unpack", w, *pointers) == OK
        return coefs, intercepts

    def forward(self, w, X):
        out = np.full((len(X), self.widths[-1]), np.nan, self.dtype)
        workspace = self.workspace()
        status = self.call("dense_forward", w, X, out, len(X), workspace[64:])
        assert self.whole(workspace)
        return status, out

    def gradient(self, w, X, y, weight=None):
        value, total = ctypes.c_double(), ctypes.c_double()
        g = np.full(self.n_parameters, np.nan, self.dtype)
        workspace = self.workspace()
        status = self.call("dense_gradient", w, X, y, weight, ctypes.addressof(value), ctypes.addressof(total), g,
                           len(X), workspace[64:])
        assert self.whole(workspace)
        return status, value.value, total.value, g


def draw(widths, dtype, n, loss, seed=0):
    rng = np.random.default_rng(seed)
    coefs = [rng.normal(size=(a, b)).astype(dtype) / 3 for a, b in pairwise(widths)]
    intercepts = [rng.normal(size=b).astype(dtype) for b in widths[1:]]
    X = rng.normal(size=(n, widths[0])).astype(dtype)
    if loss == "softmax_crossentropy":
        y = rng.integers(0, widths[-1], (n, 1)).astype(dtype)
    elif loss == "binary_crossentropy":
        y = rng.integers(0, 2, (n, widths[-1])).astype(dtype)
    else:
        y = rng.normal(size=(n, widths[-1])).astype(dtype)
    return coefs, intercepts, X, y


def in_numpy(coefs, intercepts, X, y, weight):
    """A tanh network and half squared errors: raw predictions, weighted sum of losses, its gradients."""
    a = [X]
    for W, b in zip(coefs[:-1], intercepts[:-1]):
        a.append(np.tanh(a[-1] @ W + b))
    z = a[-1] @ coefs[-1] + intercepts[-1]
    d = (z - y) * weight[:, None]
    value = (weight[:, None] * (z - y) ** 2).sum() / 2
    by_coef, by_intercept = [], []
    for i in range(len(coefs) - 1, -1, -1):
        by_coef.insert(0, a[i].T @ d)
        by_intercept.insert(0, d.sum(axis=0))
        d = (d @ coefs[i].T) * (1 - a[i] ** 2)
    return z, value, by_coef, by_intercept


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("widths, n", [
    ((5, 1), 7), ((3, 9), 300), ((4, 3, 2), 1), ((20, 16, 1), 33), ((7, 70, 5, 3), 200), ((100, 65, 17), 1500),
])
def test_against_numpy(widths, n, dtype):
    net = Dense(widths, ["tanh"] * (len(widths) - 2), "half_squared_error", dtype)
    assert net.status == OK
    coefs, intercepts, X, y = draw(widths, dtype, n, "half_squared_error")
    weight = np.random.default_rng(1).uniform(0.5, 2, n).astype(dtype)
    w = net.pack(coefs, intercepts)
    for packed, plain in zip(net.unpack(w), (coefs, intercepts)):
        assert all((a == b).all() for a, b in zip(packed, plain))
    double = ([a.astype(float) for a in arrays] for arrays in (coefs, intercepts))
    z, value, by_coef, by_intercept = in_numpy(*double, X.astype(float), y, weight.astype(float))
    status, out = net.forward(w, X)
    assert status == OK
    np.testing.assert_allclose(out, z, rtol=SLACK[dtype], atol=SLACK[dtype] * np.abs(z).max())
    status, total, weights, g = net.gradient(w, X, y, weight)
    assert status == OK
    np.testing.assert_allclose([total, weights], [value, weight.sum(dtype=float)], rtol=SLACK[dtype])
    for found, expected in zip(net.unpack(g), (by_coef, by_intercept)):
        for a, b in zip(found, expected):
            np.testing.assert_allclose(a, b, rtol=SLACK[dtype], atol=SLACK[dtype] * np.abs(b).max())
    # what the layout adds stays zero, so an update of all parameters leaves it so
    assert net.pack(*net.unpack(g)).tobytes() == g.tobytes()


@pytest.mark.parametrize("loss, outputs", [("softmax_crossentropy", 10), ("binary_crossentropy", 1), ("huber", 6)])
@pytest.mark.parametrize("hidden", [(), ("relu",), ("gelu", "logistic"), ("leaky_relu", "identity")])
def test_equals_the_engine(loss, outputs, hidden):
    """The same packed parameters, and the gradient that the engine computes from them."""
    widths = (12, *(24, 11)[:len(hidden)], outputs)
    net = Dense(widths, hidden, loss, "float64")
    engine = Network(12, outputs, "float64", hidden=widths[1:-1], activations=[(name, 1.0) for name in hidden])
    engine.set_loss(loss)
    coefs, intercepts, X, y = draw(widths, "float64", 200, loss)
    w = net.pack(coefs, intercepts)
    assert w.tobytes() == engine.pack_layers(coefs, intercepts).tobytes()
    engine.parameters[:] = w
    assert net.forward(w, X)[1].tobytes() == np.ascontiguousarray(engine.raw_predict(X)).tobytes()
    engine.bind(X, y)
    engine.start_gradient(1)
    while not engine.run_gradient():
        pass
    expected = np.empty_like(w)
    mean = engine.finish_gradient(expected)
    _, value, weight, g = net.gradient(w, X, y)
    np.testing.assert_allclose(value / weight, mean, rtol=1e-13)
    np.testing.assert_allclose(g / weight, expected, rtol=1e-11, atol=1e-14)


def test_parts_add_up_on_threads_of_the_caller():
    widths, n = (30, 20, 3), 900
    net = Dense(widths, ["relu"], "softmax_crossentropy", "float64")
    coefs, intercepts, X, y = draw(widths, "float64", n, "softmax_crossentropy")
    w = net.pack(coefs, intercepts)
    _, value, weight, g = net.gradient(w, X, y)
    parts = [None] * 6
    start = threading.Barrier(6)

    def work(i):
        rows = slice(i * n // 6, (i + 1) * n // 6)
        start.wait()
        parts[i] = net.gradient(w, X[rows], y[rows])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {part[0] for part in parts} == {OK}
    np.testing.assert_allclose(sum(part[1] for part in parts), value, rtol=1e-13)
    assert sum(part[2] for part in parts) == weight == n
    np.testing.assert_allclose(sum(part[3] for part in parts), g, rtol=1e-11, atol=1e-12)


def test_training_with_adam_on_the_packed_parameters():
    widths = (2, 16, 1)
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (256, 2))
    y = (X[:, :1] * X[:, 1:] > 0).astype(float)
    net = Dense(widths, ["tanh"], "binary_crossentropy", "float64")
    coefs, intercepts, *_ = draw(widths, "float64", 1, "")
    w = net.pack(coefs, intercepts)
    m, v = np.zeros((2, w.size))
    step = embedding.function("updates", "adam_step", "float64")
    first = net.gradient(w, X, y)[1]
    for t in range(1, 601):
        _, value, _, g = net.gradient(w, X, y)
        g /= len(X)
        assert step(w.ctypes.data, g.ctypes.data, m.ctypes.data, v.ctypes.data, w.size, 0.02, 0.9, 0.999, 1e-8, t, 0.0,
                    0.0, 1) == OK
    assert value < first / 8


def test_no_intercepts():
    net = Dense((4, 5, 2), ["relu"], "half_squared_error", "float64", fit_intercept=0)
    coefs, _, X, y = draw((4, 5, 2), "float64", 30, "")
    w = net.pack(coefs, [np.zeros(5), np.zeros(2)])
    _, _, _, g = net.gradient(w, X, y)
    by_coef, by_intercept = net.unpack(g)
    assert all((b == 0).all() for b in by_intercept)
    assert all((c != 0).any() for c in by_coef)
    nulls = np.full(net.n_parameters, np.nan)
    assert net.call("dense_pack", np.array([c.ctypes.data for c in coefs], np.uintp), None, nulls) == OK
    assert nulls.tobytes() == w.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_rows(dtype):
    net = Dense((4, 5, 2), ["relu"], "half_squared_error", dtype)
    value, weight = ctypes.c_double(7), ctypes.c_double(7)
    g = np.full(net.n_parameters, np.nan, dtype)
    assert net.call("dense_forward", None, None, None, 0, None) == OK
    assert net.call("dense_gradient", None, None, None, None, ctypes.addressof(value), ctypes.addressof(weight), g, 0,
                    None) == OK
    assert value.value == weight.value == 0
    assert (g == 0).all()


def test_statuses():
    good = Dense((4, 5, 2), ["relu"], "softmax_crossentropy", "float64")
    coefs, intercepts, X, y = draw((4, 5, 2), "float64", 3, "softmax_crossentropy")
    w = good.pack(coefs, intercepts)
    for code in (2, -1, np.nan):
        assert good.gradient(w, X, np.array([[0.0], [code], [1.0]]))[0] == OUT_OF_RANGE
    X[1, 1] = np.nan
    assert good.gradient(w, X, y)[0] == NOT_FINITE
    for status, changes in (
        (BAD_STRUCT, {"size": 8}), (BAD_STRUCT, {"size": ctypes.sizeof(Shape) + 8}), (OUT_OF_RANGE, {"n_layers": 0}),
        (BAD_KIND, {"loss": 99}), (BAD_KIND, {"loss": -1}),
    ):
        bad = Dense((4, 5, 2), ["relu"], "softmax_crossentropy", "float64", changes=changes)
        assert bad.status == status
        assert bad.call("dense_forward", w, X, w, 3, None) == status
        assert bad.call("dense_gradient", w, X, y, None, None, None, w, 3, None) == status
        assert bad.call("dense_pack", None, None, w) == status
        assert bad.call("dense_unpack", w, None, None) == status
    assert Dense((4, 0, 2), ["relu"], "huber", "float64").status == OUT_OF_RANGE
    net = Dense((4, 5, 2), ["relu"], "huber", "float64")
    net.kinds[0] = 77
    assert net.sizes()[0] == BAD_KIND
