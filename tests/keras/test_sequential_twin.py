"""Sequential against a naive twin in NumPy with Keras's formulas, in float64: optimizers, losses, reductions.

tests/parity/test_keras_parity.py compares with Keras itself where that is installed.
"""

import numpy as np
import pytest

from fasttrain import keras
from fasttrain._kernels.losses import loss_and_gradient


def sgd(g, s, t, lr=0.01, momentum=0.0, nesterov=False):
    if momentum == 0:
        return -lr * g
    s["m"] = momentum * s.get("m", 0) - lr * g
    return momentum * s["m"] - lr * g if nesterov else s["m"]


def rmsprop(g, s, t, lr=0.001, rho=0.9, momentum=0.0, epsilon=1e-7, centered=False):
    s["v"] = rho * s.get("v", 0) + (1 - rho) * g**2
    s["a"] = rho * s.get("a", 0) + (1 - rho) * g
    step = lr * g / np.sqrt(s["v"] - (s["a"] ** 2 if centered else 0) + epsilon)
    s["m"] = momentum * s.get("m", 0) + step
    return -(s["m"] if momentum else step)


def adagrad(g, s, t, lr=0.001, initial_accumulator_value=0.1, epsilon=1e-7):
    s["a"] = s.get("a", initial_accumulator_value) + g**2
    return -lr * g / np.sqrt(s["a"] + epsilon)


def adadelta(g, s, t, lr=0.001, rho=0.95, epsilon=1e-7):
    s["g"] = rho * s.get("g", 0) + (1 - rho) * g**2
    step = -np.sqrt(s.get("d", 0) + epsilon) * g / np.sqrt(s["g"] + epsilon)
    s["d"] = rho * s.get("d", 0) + (1 - rho) * step**2
    return lr * step


def _moments(g, s, beta_1, beta_2):
    s["m"] = s.get("m", 0) + (g - s.get("m", 0)) * (1 - beta_1)
    s["v"] = s.get("v", 0) + (g**2 - s.get("v", 0)) * (1 - beta_2)
    return s["m"], s["v"]


def adam(g, s, t, lr=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m, v = _moments(g, s, beta_1, beta_2)
    return -lr * np.sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (np.sqrt(v) + epsilon)


def nadam(g, s, t, lr=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    u, u_next = (beta_1 * (1 - 0.5 * 0.96 ** (t + i)) for i in (0, 1))
    product = s["u"] = s.get("u", 1.0) * u
    m, v = _moments(g, s, beta_1, beta_2)
    m = u_next * m / (1 - product * u_next) + (1 - u) * g / (1 - product)
    return -lr * m / (np.sqrt(v / (1 - beta_2**t)) + epsilon)


def lion(g, s, t, lr=0.001, beta_1=0.9, beta_2=0.99):
    step = -lr * np.sign(s.get("m", 0) * beta_1 + g * (1 - beta_1))
    s["m"] = s.get("m", 0) * beta_2 + g * (1 - beta_2)
    return step


def adamax(g, s, t, lr=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    s["m"] = s.get("m", 0) + (g - s.get("m", 0)) * (1 - beta_1)
    s["u"] = np.maximum(beta_2 * s.get("u", 0), abs(g))
    return -lr * s["m"] / ((1 - beta_1**t) * (s["u"] + epsilon))


def lamb(g, s, t, lr=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m, v = _moments(g, s, beta_1, beta_2)
    move = m / (1 - beta_1**t) / (np.sqrt(v / (1 - beta_2**t)) + epsilon)
    norms = np.linalg.norm(s["w"]), np.linalg.norm(move)
    return -lr * move * (norms[0] / norms[1] if min(norms) > 0 else 1)


def ftrl(g, s, t, lr=0.001, learning_rate_power=-0.5, initial_accumulator_value=0.1, l1_regularization_strength=0.0,
         l2_regularization_strength=0.0, l2_shrinkage_regularization_strength=0.0, beta=0.0):
    before, p = s.get("n", initial_accumulator_value), -learning_rate_power
    s["n"] = before + g**2
    shrunk = g + 2 * l2_shrinkage_regularization_strength * s["w"]
    s["z"] = s.get("z", 0) + shrunk - (s["n"] ** p - before**p) / lr * s["w"]
    quadratic = s["n"] ** p / lr + 2 * (l2_regularization_strength + beta / (2 * lr))
    return (np.clip(s["z"], -l1_regularization_strength, l1_regularization_strength) - s["z"]) / quadratic - s["w"]


RULES = {
    "SGD": (sgd, [{}, {"learning_rate": 0.1, "momentum": 0.9}, {"momentum": 0.7, "nesterov": True}]),
    "RMSprop": (rmsprop, [{}, {"rho": 0.7, "momentum": 0.6}, {"centered": True, "epsilon": 1e-2}]),
    "Adagrad": (adagrad, [{}, {"initial_accumulator_value": 0.01, "epsilon": 1e-2}]),
    "Adadelta": (adadelta, [{}, {"learning_rate": 1.0, "rho": 0.8}]),
    "Adam": (adam, [{}, {"learning_rate": 0.05, "beta_1": 0.5, "epsilon": 1e-3}, {"weight_decay": 0.7}]),
    "AdamW": (adam, [{}, {"weight_decay": 0.3}]),
    "Nadam": (nadam, [{}, {"learning_rate": 0.05, "beta_2": 0.9}]),
    "Lion": (lion, [{}, {"weight_decay": 0.1}]),
    "Adamax": (adamax, [{}, {"learning_rate": 0.05, "beta_1": 0.7, "beta_2": 0.9, "weight_decay": 0.2}]),
    "Lamb": (lamb, [{}, {"learning_rate": 0.05, "beta_2": 0.9, "epsilon": 1e-3, "weight_decay": 0.5}]),
    "Ftrl": (ftrl, [{}, {"learning_rate": 0.1, "weight_decay": 0.1}, {
        "learning_rate": 0.1, "learning_rate_power": -0.7, "initial_accumulator_value": 0.3,
        "l1_regularization_strength": 0.05, "l2_regularization_strength": 0.02,
        "l2_shrinkage_regularization_strength": 0.01, "beta": 0.2}]),
}
CASES = [(name, settings) for name, (_, several) in RULES.items() for settings in several]


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


# From targets and raw outputs to the losses of the rows and their gradients; outputs are averaged as Keras does.
LOSSES = {
    ("mse", "linear"): lambda y, z: (((z - y) ** 2).mean(1), 2 * (z - y) / z.shape[1]),
    ("mae", "linear"): lambda y, z: (abs(z - y).mean(1), np.sign(z - y) / z.shape[1]),
    ("mse", "sigmoid"): lambda y, z: (
        ((sigmoid(z) - y) ** 2).mean(1), 2 * (sigmoid(z) - y) * sigmoid(z) * sigmoid(-z) / z.shape[1]),
    ("binary_crossentropy", "sigmoid"): lambda y, z: (
        (-y * np.log(sigmoid(z)) - (1 - y) * np.log(sigmoid(-z))).mean(1), (sigmoid(z) - y) / z.shape[1]),
    ("categorical_crossentropy", "softmax"): lambda y, z: (
        -(y * np.log(softmax(z))).sum(1), softmax(z) * y.sum(1, keepdims=True) - y),
    ("poisson", "exponential"): lambda y, z: ((np.exp(z) - y * z).mean(1), (np.exp(z) - y) / z.shape[1]),
    ("squared_hinge", "linear"): lambda y, z: (
        (np.maximum(1 - (2 * y - 1) * z, 0) ** 2).mean(1),
        -2 * (2 * y - 1) * np.maximum(1 - (2 * y - 1) * z, 0) / z.shape[1]),
}


def targets(loss, rng, n, k):
    if loss == "categorical_crossentropy":
        return rng.dirichlet(np.ones(k), n)
    if loss in ("mse", "mae"):
        return rng.normal(size=(n, k))
    return rng.integers(0, 2, (n, k)).astype(float)


class Twin:
    """relu below, one layer on top."""

    def __init__(self, weights, rule, settings, loss, activation, l2=0.0):
        self.w = [w.copy() for w in weights]
        self.rule = rule
        self.settings = {{"learning_rate": "lr"}.get(key, key): value for key, value in settings.items()}
        self.decay = self.settings.pop("weight_decay", 0.0)
        self.steps = self.settings.pop("gradient_accumulation_steps", 1)
        self.clips = {name: self.settings.pop(name, None) for name in ("clipnorm", "global_clipnorm", "clipvalue")}
        self.average = self.settings.pop("use_ema", False) and [w.copy() for w in weights]
        self.momentum, self.overwrite = (
            self.settings.pop(name, 0) for name in ("ema_momentum", "ema_overwrite_frequency"))
        self.sums, self.batches = [0.0] * len(weights), 0
        self.loss = LOSSES[loss, activation]
        self.l2 = l2
        self.memory = [{} for _ in weights]
        self.t = 0

    def batch(self, x, y, weight):
        w0, b0, w1, b1 = self.w
        z0 = x @ w0 + b0
        h = np.maximum(z0, 0)
        values, d = self.loss(y, h @ w1 + b1)
        d = d * weight[:, None] / len(x)
        below = (d @ w1.T) * (z0 > 0)
        gradients = [x.T @ below + 2 * self.l2 * w0, below.sum(0), h.T @ d, d.sum(0)]
        value = (values * weight).sum() / len(x) + self.l2 * (w0**2).sum()
        self.sums = [held + g for held, g in zip(self.sums, gradients)]
        self.batches += 1
        first = self.t == 0
        if self.batches % self.steps == 0:
            self.update([held / self.steps for held in self.sums])
            self.sums = [0.0] * len(self.w)
        if self.average:
            for w, held in zip(self.w, self.average):
                held[:] = w if first else self.momentum * held + (1 - self.momentum) * w
                if self.overwrite and ((self.batches - 1) // self.steps + 1) % self.overwrite == 0:
                    w[:] = held
        return value

    def update(self, gradients):
        self.t += 1
        whole = np.sqrt(sum((g**2).sum() for g in gradients))
        lr = self.settings.get("lr", {sgd: 0.01}.get(self.rule, 0.001))
        for w, g, s in zip(self.w, gradients, self.memory):
            if self.clips["global_clipnorm"]:
                g = g * min(1, self.clips["global_clipnorm"] / whole)
            if self.clips["clipnorm"]:
                g = g * min(1, self.clips["clipnorm"] / np.sqrt((g**2).sum()))
            if self.clips["clipvalue"]:
                g = np.clip(g, -self.clips["clipvalue"], self.clips["clipvalue"])
            w *= 1 - lr * self.decay
            s["w"] = w
            w += self.rule(g, s, self.t, **self.settings)

    def fit(self, x, y, weight, batch_size, epochs):
        curve = []
        for _ in range(epochs):
            total = 0.0
            for start in range(0, len(x), batch_size):
                rows = slice(start, start + batch_size)
                total += self.batch(x[rows], y[rows], weight[rows]) * len(x[rows])
            curve.append(total / len(x))
        for w, held in zip(self.w, self.average or self.w):
            w[:] = held
        return curve


def compare(name, settings, loss="mse", activation="linear", k=3, l2=0.0, weighted=False, batch_size=8, n=45):
    rng = np.random.default_rng([k, n])
    x, y = rng.normal(size=(n, 5)), targets(loss, rng, n, k)
    weight = rng.uniform(0, 3, n) if weighted else np.ones(n)
    keras.utils.set_random_seed(3)
    model = keras.Sequential([
        keras.layers.Dense(7, "relu", input_dim=5, dtype="float64", kernel_regularizer=keras.regularizers.L2(l2)),
        keras.layers.Dense(k, activation),
    ])
    model.compile(getattr(keras.optimizers, name)(**settings), loss)
    own = dict(settings)
    if name == "AdamW":
        own.setdefault("weight_decay", 0.004)
    twin = Twin(model.get_weights(), RULES[name][0], own, loss, activation, l2)
    history = model.fit(
        x, y, batch_size=batch_size, epochs=4, shuffle=False, verbose=0, sample_weight=weight if weighted else None)
    expected = twin.fit(x, y, weight, batch_size, 4)
    np.testing.assert_allclose(history.history["loss"], expected, rtol=1e-9)
    for found, wanted in zip(model.get_weights(), twin.w):
        np.testing.assert_allclose(found, wanted, rtol=1e-7, atol=1e-10)
    assert model.optimizer.iterations == twin.t


@pytest.mark.parametrize("name, settings", CASES, ids=lambda value: str(value))
def test_optimizers(name, settings):
    compare(name, settings)


@pytest.mark.parametrize("k", [1, 4])
@pytest.mark.parametrize("loss, activation", LOSSES)
def test_losses(loss, activation, k):
    if loss == "categorical_crossentropy" and k == 1:
        k = 2
    compare("SGD", {"learning_rate": 0.05, "momentum": 0.5}, loss, activation, k)


@pytest.mark.parametrize("loss, activation", LOSSES)
def test_weighted_rows(loss, activation):
    compare("SGD", {"learning_rate": 0.05}, loss, activation, weighted=True)


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop"])
def test_l2(name):
    compare(name, {}, l2=0.03, weighted=True)


def test_one_batch_beyond_the_small_ones():
    compare("Adam", {}, "binary_crossentropy", "sigmoid", n=1500, batch_size=1200, weighted=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("loss, activation", [
    (keras.losses.MeanSquaredError(), "tanh"),
    (keras.losses.MeanAbsoluteError(), "linear"),
    (keras.losses.Huber(0.7), "linear"),
    (keras.losses.Poisson(), "exponential"),
    (keras.losses.Hinge(), "linear"),
    (keras.losses.SquaredHinge(), "linear"),
    (keras.losses.BinaryCrossentropy(label_smoothing=0.1), "sigmoid"),
    (keras.losses.BinaryCrossentropy(from_logits=True), "linear"),
    (keras.losses.CategoricalCrossentropy(), "softmax"),
    (keras.losses.SparseCategoricalCrossentropy(from_logits=True), "linear"),
], ids=lambda value: getattr(value, "name", value))
def test_rows_have_the_compiled_losses(loss, activation, dtype):
    rng = np.random.default_rng(0)
    n, k = 40, 3
    z = (2 * rng.normal(size=(n, k))).astype(dtype)
    codes = rng.integers(0, k, n)
    y = codes if loss.one_code else np.eye(k)[codes]
    activation = keras.activations.get(activation)
    kernel, before = loss.engine(activation)
    target = loss.encode(y, n, k, dtype)
    raw = z if before is None else before(z)
    scale = 1 / k if loss.mean_over_outputs else 1
    expected = [
        scale * loss_and_gradient(kernel, target[i:i + 1], raw[i:i + 1], None, loss.parameter) for i in range(n)
    ]
    found = loss.call(y, activation(z))
    assert found.shape == (n,)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


ACCUMULATED = [
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9}), ("Nadam", {"learning_rate": 0.02}),
    ("Adam", {"learning_rate": 0.02, "weight_decay": 0.5, "global_clipnorm": 0.05}),
    ("Adamax", {"learning_rate": 0.02, "clipnorm": 0.02}), ("Ftrl", {"learning_rate": 0.1, "clipvalue": 0.01}),
    ("Lamb", {"learning_rate": 0.05, "clipnorm": 0.02}), ("Lamb", {"learning_rate": 0.05, "global_clipnorm": 0.02}),
    ("RMSprop", {"use_ema": True, "ema_momentum": 0.6}),
    ("SGD", {"use_ema": True, "ema_momentum": 0.6, "ema_overwrite_frequency": 2}),
]


@pytest.mark.parametrize("name, settings", ACCUMULATED, ids=lambda value: str(value))
@pytest.mark.parametrize("steps", [2, 4])
def test_accumulated_gradients(name, settings, steps):
    """45 rows are 6 batches of 8 and one of 5 an epoch: an update may take batches of two epochs."""
    compare(name, {**settings, "gradient_accumulation_steps": steps})


@pytest.mark.parametrize("steps", [2, 3])
def test_accumulated_gradients_of_large_batches(steps):
    settings = {"learning_rate": 0.1, "momentum": 0.9, "gradient_accumulation_steps": steps}
    compare("SGD", settings, batch_size=1100, n=2500)
    compare("SGD", {**settings, "global_clipnorm": 0.05}, "binary_crossentropy", "sigmoid", batch_size=1100, n=2500)
