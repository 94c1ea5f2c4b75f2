"""A network with two layers in plain NumPy, trained by ``opt.step``: the same as the engine's training, to rounding."""

import numpy as np
import pytest

from fasttrain import optimizers
from fasttrain._kernels.network import Network
from fasttrain.neural_network import MLPRegressor

SLACK = {"float32": {"rtol": 2e-3, "atol": 2e-4}, "float64": {"rtol": 1e-9, "atol": 1e-11}}

OPTIMIZERS = [
    optimizers.Adam(0.01), optimizers.AdamW(0.01, weight_decay=0.1), optimizers.NAdam(0.01),
    optimizers.GradientDescent(0.1), optimizers.Momentum(0.05, 0.9), optimizers.Nesterov(0.05, 0.9, clip_norm=0.5),
    optimizers.RMSprop(0.01, momentum=0.5), optimizers.RMSprop(0.01, centered=True), optimizers.AdaGrad(0.05),
    optimizers.AdaDelta(1.0), optimizers.Lion(0.003), optimizers.Adam(0.01, clip_value=0.02), optimizers.AdaMax(0.01),
    optimizers.LAMB(0.01),
    optimizers.FTRL(0.05, l1=0.01),
]  # fmt: skip


def data(dtype):
    rng = np.random.default_rng(4)
    X = rng.normal(size=(120, 5)).astype(dtype)
    y = (np.sin(X[:, :1]) + X[:, 1:2] * X[:, 2:3]).astype(dtype)
    params = [rng.normal(size=(5, 19)) / 2, rng.normal(size=19) / 4, rng.normal(size=(19, 1)) / 4, np.zeros(1)]
    return X, y, [each.astype(dtype) for each in params]


def gradients(params, X, y):
    W1, b1, W2, b2 = params
    hidden = np.tanh(X @ W1 + b1)
    error = (hidden @ W2 + b2 - y) / len(X)
    back = error @ W2.T * (1 - hidden**2)
    return [X.T @ back, back.sum(axis=0), hidden.T @ error, error.sum(axis=0)]


def in_numpy(opt, params, X, y, batch, epochs, container=list):
    names = ["W1", "b1", "W2", "b2"]
    params = [each.copy() for each in params]
    held = dict(zip(names, params)) if container is dict else container(params)
    state = opt.init(held)
    # weights decay and biases do not, as in the engine
    for _ in range(epochs):
        for start in range(0, len(X), batch):
            rows = slice(start, start + batch)
            grads = gradients(params, X[rows], y[rows])
            kept = params[1].copy(), params[3].copy()
            opt.step(held, dict(zip(names, grads)) if container is dict else container(grads), state)
            if opt.weight_decay:
                for bias, before in zip((params[1], params[3]), kept):
                    bias += opt.learning_rate * opt.weight_decay * before
    return params


def in_the_engine(opt, params, X, y, batch, epochs):
    net = Network(5, 1, X.dtype, hidden=(19,), activations=[("tanh", 1.0)])
    net.set_loss("half_squared_error")
    net.parameters[:] = net.pack_layers(params[0::2], params[1::2])
    net.set_optimizer(opt.rule, opt.slots, opt.settings(), opt.initial_state)
    net.bind(X, y)
    rates = np.full(-(-len(X) // batch), opt.learning_rate)
    for _ in range(epochs):
        net.start_epoch(None, batch, rates, 1)
        while not net.run():
            pass
    coefs, intercepts = net.unpack_layers(net.parameters)
    return [coefs[0], intercepts[0], coefs[1], intercepts[1]]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("opt", OPTIMIZERS, ids=repr)
def test_the_engine_trains_the_same(opt, dtype):
    X, y, params = data(dtype)
    if dtype == "float32" and opt.rule == "lion":
        # the sign of a sum that rounds to either side of 0 is a whole step: a few steps have none
        epochs = 2
    else:
        epochs = 8
    ours = in_numpy(opt, params, X, y, 32, epochs)
    engine = in_the_engine(opt, params, X, y, 32, epochs)
    for a, b, before in zip(ours, engine, params):
        np.testing.assert_allclose(a, b, **SLACK[dtype])
        assert not np.allclose(a, before, atol=1e-3)


def test_lists_tuples_and_dicts_are_one():
    X, y, params = data("float64")
    opt = optimizers.Adam(0.01)
    first, *others = (in_numpy(opt, params, X, y, 40, 3, container) for container in (list, tuple, dict))
    for other in others:
        assert all((a == b).all() for a, b in zip(first, other))


def test_the_estimator_trains_the_same():
    """MLPRegressor on full batches, from scikit-learn's initial weights (Glorot and Bengio 2010, eq. 16)."""
    X, y, _ = data("float64")
    draw = np.random.RandomState(0)
    start = []
    for shape in ((5, 19), (19, 1)):
        bound = np.sqrt(6 / sum(shape))
        start += [draw.uniform(-bound, bound, shape), draw.uniform(-bound, bound, shape[1])]
    model = MLPRegressor(
        hidden_layer_sizes=(19,), activation="tanh", alpha=0.0, batch_size=len(X), learning_rate_init=0.01,
        random_state=0, shuffle=False, n_iter_no_change=100, tol=0.0, max_iter=40)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        model.fit(X, y[:, 0])
    ours = in_numpy(optimizers.Adam(0.01), start, X, y, len(X), 40)
    for a, b in zip(ours, [model.coefs_[0], model.intercepts_[0], model.coefs_[1], model.intercepts_[1]]):
        np.testing.assert_allclose(a, b, **SLACK["float64"])
