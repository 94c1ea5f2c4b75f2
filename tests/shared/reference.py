"""Naive twins of the kernels, written from the definitions in NumPy, in the precision of their arguments.

Tests hand them long doubles, so no form here is chosen for its rounding. Every name in a kernel's registry
has its twin here; tests walk the kernel's names, so a new one without a twin fails.
"""

import math

import numpy as np

# ---- losses: (value, gradient) of y, z, p, elementwise ----


def _huber(y, z, p):
    r = abs(z - y)
    return np.where(r <= p, r**2 / 2, p * (r - p / 2))


def _modified_huber(y, z, p):
    m = y * z
    return np.where(m >= -1, np.maximum(1 - m, 0) ** 2, -4 * m)


LOSSES = {
    "half_squared_error": (lambda y, z, p: (z - y) ** 2 / 2, lambda y, z, p: z - y),
    "squared_error": (lambda y, z, p: (z - y) ** 2, lambda y, z, p: 2 * (z - y)),
    "absolute_error": (lambda y, z, p: abs(z - y), lambda y, z, p: np.sign(z - y)),
    "huber": (_huber, lambda y, z, p: np.where(abs(z - y) <= p, z - y, p * np.sign(z - y))),
    "quantile": (
        lambda y, z, p: np.where(y >= z, p * (y - z), (1 - p) * (z - y)),
        lambda y, z, p: np.where(y > z, -p, np.where(y < z, 1 - p, 0 * z)),
    ),
    "poisson": (lambda y, z, p: np.exp(z) - y * z, lambda y, z, p: np.exp(z) - y),
    "binary_crossentropy": (
        lambda y, z, p: y * np.logaddexp(0, -z) + (1 - y) * np.logaddexp(0, z),
        lambda y, z, p: 1 / (1 + np.exp(-z)) - y,
    ),
    "hinge": (lambda y, z, p: np.maximum(p - y * z, 0), lambda y, z, p: np.where(y * z <= p, -y, 0 * z)),
    "squared_hinge": (
        lambda y, z, p: np.maximum(p - y * z, 0) ** 2,
        lambda y, z, p: -2 * y * np.maximum(p - y * z, 0),
    ),
    "modified_huber": (
        _modified_huber,
        lambda y, z, p: np.where(y * z >= -1, -2 * y * np.maximum(1 - y * z, 0), -4 * y),
    ),
    "epsilon_insensitive": (
        lambda y, z, p: np.maximum(abs(z - y) - p, 0),
        lambda y, z, p: np.where(abs(z - y) > p, np.sign(z - y), 0 * z),
    ),
    "squared_epsilon_insensitive": (
        lambda y, z, p: np.maximum(abs(z - y) - p, 0) ** 2,
        lambda y, z, p: 2 * np.sign(z - y) * np.maximum(abs(z - y) - p, 0),
    ),
}

LOSSES["gamma"] = (lambda y, z, p: z + y * np.exp(-z), lambda y, z, p: 1 - y * np.exp(-z))


def _tweedie(y, z, p):
    if p in (1, 2):
        return LOSSES["poisson" if p == 1 else "gamma"][0](y, z, p)
    value = np.exp((2 - p) * z) / (2 - p) - y * np.exp((1 - p) * z) / (1 - p)
    return value + y**2 / 2 if p == 0 else value


def _tweedie_identity(y, z, p):
    with np.errstate(divide="ignore", invalid="ignore"):
        if p == 1:
            return np.where(y == 0, z, y * np.log(y / z) + z - y)
        if p == 2:
            return np.log(z / y) + y / z - 1
        of_y = y**2 / 2 if p == 0 else np.maximum(y, 0) ** (2 - p) / ((1 - p) * (2 - p))
        return of_y - y * z ** (1 - p) / (1 - p) + z ** (2 - p) / (2 - p)


LOSSES["tweedie"] = (_tweedie, lambda y, z, p: np.exp((2 - p) * z) - y * np.exp((1 - p) * z))
LOSSES["tweedie_identity"] = (_tweedie_identity, lambda y, z, p: z ** (1 - p) - y * z**-p)


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def _softmax_value(y, z, p):
    top = z.max(axis=1)
    total = np.log(np.exp(z - top[:, None]).sum(axis=1)) + top
    return total - z[np.arange(len(z)), y[:, 0].astype(int)]


def _softmax_gradient(y, z, p):
    return softmax(z) - (np.arange(z.shape[1]) == y)


LOSSES["softmax_crossentropy"] = (_softmax_value, _softmax_gradient)

# ---- activations: (value, derivative) of z, p, elementwise ----

_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946


def _normal_cdf(z):
    return np.vectorize(lambda x: 0.5 * math.erfc(-float(x) / math.sqrt(2)), otypes=[float])(z)


def _normal_density(z):
    return np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)


def _logistic(z, p=1):
    return 1 / (1 + np.exp(-z))


ACTIVATIONS = {
    "identity": (lambda z, p: z, lambda z, p: np.ones_like(z)),
    "relu": (lambda z, p: np.maximum(z, 0), lambda z, p: np.where(z > 0, 1, 0 * z)),
    "leaky_relu": (lambda z, p: np.where(z > 0, z, p * z), lambda z, p: np.where(z > 0, 1, p + 0 * z)),
    "elu": (
        lambda z, p: np.where(z > 0, z, p * np.expm1(np.minimum(z, 0))),
        lambda z, p: np.where(z > 0, 1, p * np.exp(np.minimum(z, 0))),
    ),
    "selu": (
        lambda z, p: _SELU_SCALE * np.where(z > 0, z, _SELU_ALPHA * np.expm1(np.minimum(z, 0))),
        lambda z, p: _SELU_SCALE * np.where(z > 0, 1, _SELU_ALPHA * np.exp(np.minimum(z, 0))),
    ),
    "gelu": (lambda z, p: z * _normal_cdf(z), lambda z, p: _normal_cdf(z) + z * _normal_density(z)),
    "silu": (lambda z, p: z * _logistic(z), lambda z, p: _logistic(z) * (1 + z * (1 - _logistic(z)))),
    "tanh": (lambda z, p: np.tanh(z), lambda z, p: 1 - np.tanh(z) ** 2),
    "logistic": (_logistic, lambda z, p: _logistic(z) * _logistic(-z)),
    "softplus": (lambda z, p: np.logaddexp(0, z), lambda z, p: _logistic(z)),
    "exponential": (lambda z, p: np.exp(z), lambda z, p: np.exp(z)),
    "clipped_relu": (lambda z, p: np.clip(z, 0, p), lambda z, p: np.where((z > 0) & (z < p), 1, 0 * z)),
    "hard_sigmoid": (lambda z, p: np.clip(z / 6 + 0.5, 0, 1), lambda z, p: np.where(abs(z) < 3, 1 / 6, 0 * z)),
    "hard_silu": (
        lambda z, p: z * np.clip(z / 6 + 0.5, 0, 1),
        lambda z, p: np.where(z <= -3, 0, np.where(z >= 3, 1, z / 3 + 0.5)),
    ),
    "hard_tanh": (lambda z, p: np.clip(z, -1, 1), lambda z, p: np.where(abs(z) < 1, 1, 0 * z)),
    "softsign": (lambda z, p: z / (1 + abs(z)), lambda z, p: 1 / (1 + abs(z)) ** 2),
    "mish": (
        lambda z, p: z * np.tanh(np.logaddexp(0, z)),
        lambda z, p: np.tanh(np.logaddexp(0, z)) + z * _logistic(z) / np.cosh(np.logaddexp(0, z)) ** 2,
    ),
    "celu": (
        lambda z, p: np.where(z > 0, z, p * np.expm1(np.minimum(z, 0) / p)),
        lambda z, p: np.where(z > 0, 1, np.exp(np.minimum(z, 0) / p)),
    ),
    "log_sigmoid": (lambda z, p: -np.logaddexp(0, -z), lambda z, p: _logistic(-z)),
}

# ---- penalties: l1 sum|w| + l2 / 2 sum w^2 ----


def penalty_value(w, l1, l2):
    return l1 * abs(w).sum() + l2 / 2 * (w**2).sum()


def penalty_gradient(w, l1, l2):
    return l1 * np.sign(w) + l2 * w


def soft_threshold(w, t):
    return np.sign(w) * np.maximum(abs(w) - t, 0)


def penalty_prox(w, l1, l2):
    return soft_threshold(w, l1) / (1 + l2)


# ---- updates: the step and the rate of each weight, from a gradient with the l2 penalty in it ----
# Each takes the gradient, a dict that is its memory (empty at first), the step's number from 1 and the
# settings h.


def _mean(memory, name, value, decay):
    memory[name] = decay * memory.get(name, np.zeros_like(value)) + (1 - decay) * value
    return memory[name]


def _gradient_descent(g, memory, t, h):
    return h["learning_rate"] * g, h["learning_rate"]


def _velocity(g, memory, h):
    memory["v"] = h["momentum"] * memory.get("v", np.zeros_like(g)) - h["learning_rate"] * g
    return memory["v"]


def _decayed_rates(memory, h):
    """How far a steady gradient of 1 moves a weight in this step: the threshold of l1 is that times l1."""
    memory["rates"] = h.get("momentum", 0) * memory.get("rates", 0) + h["learning_rate"]
    return memory["rates"]


def _momentum(g, memory, t, h):
    return -_velocity(g, memory, h), _decayed_rates(memory, h)


def _nesterov(g, memory, t, h):
    v = _velocity(g, memory, h)
    return h["learning_rate"] * g - h["momentum"] * v, h["learning_rate"] + h["momentum"] * _decayed_rates(
        memory, h
    )


def _adagrad(g, memory, t, h):
    memory["s"] = memory.get("s", np.full_like(g, h.get("initial_accumulator", 0))) + g**2
    rate = h["learning_rate"] / (np.sqrt(memory["s"] + h.get("epsilon_inside", 0)) + h.get("epsilon", 0))
    return rate * g, rate


def _rmsprop(g, memory, t, h, centered=False):
    variance = _mean(memory, "s", g**2, h["beta2"])
    if centered:
        variance = np.maximum(variance - _mean(memory, "m", g, h["beta2"]) ** 2, 0)
    root = np.sqrt(variance + h.get("epsilon_inside", 0)) + h.get("epsilon", 0)
    memory["v"] = h.get("momentum", 0) * memory.get("v", np.zeros_like(g)) + h["learning_rate"] / root * g
    return memory["v"], _decayed_rates(memory, h) / root


def _rmsprop_centered(g, memory, t, h):
    return _rmsprop(g, memory, t, h, centered=True)


def _adadelta(g, memory, t, h):
    s = _mean(memory, "s", g**2, h["beta2"])
    ratio = np.sqrt(memory.get("u", np.zeros_like(g)) + h["epsilon"]) / np.sqrt(s + h["epsilon"])
    _mean(memory, "u", (ratio * g) ** 2, h["beta2"])
    return h["learning_rate"] * ratio * g, h["learning_rate"] * ratio


def _adam(g, memory, t, h, amsgrad=False):
    m = _mean(memory, "m", g, h["beta1"])
    v = _mean(memory, "v", g**2, h["beta2"])
    if amsgrad:
        v = memory["most"] = np.maximum(memory.get("most", 0), v)
    first, second = 1 - h["beta1"] ** t, 1 - h["beta2"] ** t
    if h.get("corrected_root", False):
        rate = h["learning_rate"] / (np.sqrt(v / second) + h["epsilon"]) / first
    else:
        rate = h["learning_rate"] * np.sqrt(second) / first / (np.sqrt(v) + h["epsilon"])
    return rate * m, rate


def _amsgrad(g, memory, t, h):
    return _adam(g, memory, t, h, amsgrad=True)


def _lamb(g, memory, t, h):
    m = _mean(memory, "m", g, h["beta1"]) / (1 - h["beta1"] ** t)
    root = np.sqrt(_mean(memory, "v", g**2, h["beta2"]) / (1 - h["beta2"] ** t)) + h["epsilon"]
    of_w, of_move = np.sqrt((memory["w"] ** 2).sum()), np.sqrt(((m / root) ** 2).sum())
    rate = h["learning_rate"] * (of_w / of_move if of_w > 0 and of_move > 0 else 1)
    return rate * m / root, rate / root / (1 - h["beta1"] ** t)


def _nadam(g, memory, t, h):
    def mu(t):
        return h["beta1"] * (1 - 0.5 * 0.96 ** (t * h.get("momentum_decay", 1)))

    m = _mean(memory, "m", g, h["beta1"])
    v = _mean(memory, "v", g**2, h["beta2"])
    product = memory["product"] = memory.get("product", 1) * mu(t)
    of_m, of_g = mu(t + 1) / (1 - product * mu(t + 1)), (1 - mu(t)) / (1 - product)
    rate = h["learning_rate"] / (np.sqrt(v / (1 - h["beta2"] ** t)) + h["epsilon"])
    return rate * (of_m * m + of_g * g), rate * (of_m + of_g)


def _adamax(g, memory, t, h):
    m = _mean(memory, "m", g, h["beta1"])
    u = memory["u"] = np.maximum(h["beta2"] * memory.get("u", 0), np.abs(g))
    rate = h["learning_rate"] / (1 - h["beta1"] ** t) / (u + h["epsilon"])
    return rate * m, rate


def _ftrl(g, memory, t, h):
    """The leader itself: the least of ``sum g w + l1 |w| + sum over steps of sigma / 2 (w - w_step)^2``.

    ``memory["w"]`` are the decayed weights; :func:`update` adds to z what l1 takes.
    """
    w, power, rate = memory["w"], h.get("power", 0), h["learning_rate"]
    if rate == 0:
        memory["hold"] = np.inf
        return 0 * g, 0
    before = memory.get("n", np.full_like(g, h.get("initial_accumulator", 0)))
    memory["n"] = before + g**2
    sigma = (memory["n"] ** power - before**power) / rate
    memory["z"] = memory.get("z", np.zeros_like(g)) + g + h.get("shrinkage", 0) * w - sigma * w
    memory["hold"] = (memory["n"] ** power + h.get("epsilon", 0)) / rate + h.get("leader_l2", 0)
    leader = -soft_threshold(memory["z"], h.get("leader_l1", 0)) / memory["hold"]
    return w - leader, 1 / memory["hold"]


def _lion(g, memory, t, h):
    """Lion's steps have one length: (direction before its sign, None)."""
    m = memory.get("m", np.zeros_like(g))
    direction = h["beta1"] * m + (1 - h["beta1"]) * g
    _mean(memory, "m", g, h["beta2"])
    return direction, None


UPDATES = {
    "gradient_descent": _gradient_descent,
    "momentum": _momentum,
    "nesterov": _nesterov,
    "adagrad": _adagrad,
    "rmsprop": _rmsprop,
    "rmsprop_centered": _rmsprop_centered,
    "adadelta": _adadelta,
    "adam": _adam,
    "nadam": _nadam,
    "lion": _lion,
    "amsgrad": _amsgrad,
    "adamax": _adamax,
    "ftrl": _ftrl,
    "lamb": _lamb,
}


def update(w, g, memory, t, h):
    """The weights after step t of rule ``h["rule"]`` with settings h; ``memory`` is changed."""
    clip, l1 = h.get("clip_value", np.inf), h.get("l1", 0)
    g = np.clip(h.get("gradient_scale", 1) * g, -clip, clip) + h.get("l2", 0) * w
    w = (1 - h["learning_rate"] * h.get("weight_decay", 0)) * w
    memory["w"] = w
    move, rate = UPDATES[h["rule"]](g, memory, t, h)
    if rate is not None:
        new = soft_threshold(w - move, rate * l1)
        if "z" in memory and h["learning_rate"]:
            memory["z"] += memory["hold"] * (w - move - new)
        return new
    # Lion: l1 pulls towards zero with the direction, at zero it holds what is weaker than it, and nothing
    # crosses zero.
    direction = np.where(w == 0, soft_threshold(move, l1), move + l1 * np.sign(w))
    moved = w - h["learning_rate"] * np.sign(direction)
    return np.where((l1 > 0) & (moved * w < 0), 0, moved)
