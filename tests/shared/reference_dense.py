"""Naive twin of a dense network's training with all that a step may add to it; Adam, one batch after the other."""

import numpy as np
from scipy.special import erfinv

MASK = (1 << 64) - 1


def logistic(z):
    return 1 / (1 + np.exp(-z))


ACTIVATIONS = {
    "identity": (lambda z: z, np.ones_like),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0) * 1.0),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "logistic": (logistic, lambda z: logistic(z) * (1 - logistic(z))),
    "silu": (lambda z: z * logistic(z), lambda z: logistic(z) * (1 + z * (1 - logistic(z)))),
}


def scramble(x):
    """SplitMix64's finalizer."""
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def random_bits(seed, step, what, shape):
    """32 bits for each place of a batch's array, a function of the seed, the step, the use and the place."""
    key = scramble(scramble(scramble(scramble(seed) ^ step) ^ what))
    place = np.arange(np.prod(shape), dtype=np.uint32).reshape(shape)
    h = place ^ np.uint32(key & 0xFFFFFFFF)
    h ^= h >> np.uint32(16)
    h *= np.uint32(0x7FEB352D)
    h ^= h >> np.uint32(15)
    h += np.uint32(key >> 32)
    h *= np.uint32(0x846CA68B)
    return h ^ (h >> np.uint32(16))


def dropout(rate, seed, step, what, shape, columns):
    """Factors of an array of ``columns`` columns whose rows the engine keeps ``shape[1]`` apart."""
    kept = random_bits(seed, step, what, shape) >= np.uint32(int(rate * 2**32))
    return kept[:, :columns] / (1 - rate)


def loss_and_gradient(loss, z, y, weight):
    """Sum over rows, and gradient; y of a softmax holds shares."""
    if loss == "softmax_crossentropy":
        p = np.exp(z - z.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        value, d = -(y * np.log(p)).sum(axis=1), y.sum(axis=1, keepdims=True) * p - y
    elif loss == "binary_crossentropy":
        value, d = (np.logaddexp(0, z) - y * z).sum(axis=1), logistic(z) - y
    else:
        value, d = ((z - y) ** 2 / 2).sum(axis=1), z - y
    return (weight * value).sum(), weight[:, None] * d


class Twin:
    """A network of layers ``widths`` with everything that training may add, as plain arrays.

    ``strides`` are the distances of the engine's rows, which the places of random bits follow.
    """

    def __init__(self, coefs, intercepts, activations, loss, *, l1=0.0, l2=0.0, dropout=None, noise=0.0,
                 mixup=0.0, max_norm=None, average=None, decay=0.9, start=0, every=1, overwrite=0, clip_each=np.inf,
                 normalize=None, momentum=0.9, epsilon=1e-3, seed=0, strides=()):
        n = len(coefs)
        self.coefs, self.intercepts = [W.copy() for W in coefs], [b.copy() for b in intercepts]
        self.activations, self.loss, self.seed, self.strides = activations, loss, seed, strides
        self.l1, self.l2 = np.broadcast_to(l1, n), np.broadcast_to(l2, n)
        self.dropout, self.noise, self.mixup, self.max_norm = dropout or [0.0] * n, noise, mixup, max_norm
        self.average, self.decay, self.start, self.every = average, decay, start, every
        self.overwrite, self.clip_each = overwrite, clip_each
        self.normalize = normalize or [None] * (n - 1)
        self.momentum, self.epsilon = momentum, epsilon
        self.gains = [np.ones(W.shape[1]) for W in coefs[:-1]]
        self.shifts = [np.zeros(W.shape[1]) for W in coefs[:-1]]
        self.means = [np.zeros(W.shape[1]) for W in coefs[:-1]]
        self.variances = [np.ones(W.shape[1]) for W in coefs[:-1]]
        self.averaged = [p.copy() for p in self.coefs + self.intercepts]
        self.step, self.moments = 0, {}
        # large enough that a gradient which is zero but for rounding (a bias below a normalization) moves nothing
        self.adam_epsilon = 1e-3

    def _normalize(self, x, i, training):
        mean, variance = x.mean(axis=0), x.var(axis=0)
        if training:
            self.means[i] = self.momentum * self.means[i] + (1 - self.momentum) * mean
            self.variances[i] = self.momentum * self.variances[i] + (1 - self.momentum) * variance
        else:
            mean, variance = self.means[i], self.variances[i]
        inverse = 1 / np.sqrt(variance + self.epsilon)
        s = (x - mean) * inverse
        return s * self.gains[i] + self.shifts[i], s, inverse

    def predict(self, X):
        a = X
        for i, (W, b) in enumerate(zip(self.coefs, self.intercepts)):
            a = a @ W + b
            if i == len(self.coefs) - 1:
                return a
            if self.normalize[i] == "before":
                a = self._normalize(a, i, False)[0]
            a = ACTIVATIONS[self.activations[i]][0](a)
            if self.normalize[i] == "after":
                a = self._normalize(a, i, False)[0]

    def _input(self, X, y, weight, mix):
        m = len(X)
        if mix is not None:
            share, shift = mix
            other = (np.arange(m) + shift) % m
            X = share * X + (1 - share) * X[other]
            y = share * y + (1 - share) * y[other]
            weight = share * weight + (1 - share) * weight[other]
        if self.noise:
            bits = random_bits(self.seed, self.step, 0, X.shape).view(np.int32)
            X = X + self.noise * normal((bits + 0.5) / 2**31)
        if self.dropout[0]:
            X = X * dropout(self.dropout[0], self.seed, self.step, 1, X.shape, X.shape[1])
        return X, y, weight

    def train(self, X, y, order, batch, rate, weight=None):
        """One epoch; returns its loss."""
        n, total = len(X), 0.0
        weight = np.ones(n) if weight is None else weight
        n_batches = -(-n // batch)
        mixing = [None] * n_batches
        if self.mixup:
            rng = np.random.default_rng([self.seed, self.step])
            shares = rng.beta(self.mixup, self.mixup, n_batches)
            mixing = list(zip(shares, rng.integers(1, max(2, batch), n_batches)))
        for b in range(n_batches):
            rows = order[b * batch:(b + 1) * batch]
            total += len(rows) * self._step(*self._input(X[rows], y[rows], weight[rows], mixing[b]), rate)
        return total / n

    def _step(self, X, y, weight, rate):
        inner, places, a = [], [], X
        for i, (W, b) in enumerate(zip(self.coefs, self.intercepts)):
            inner.append(a)
            z = a @ W + b
            if i == len(self.coefs) - 1:
                break
            s = inverse = mask = None
            if self.normalize[i] == "before":
                z, s, inverse = self._normalize(z, i, True)
            a = ACTIVATIONS[self.activations[i]][0](z)
            if self.normalize[i] == "after":
                a, s, inverse = self._normalize(a, i, True)
            if self.dropout[i + 1]:
                shape = (len(X), self.strides[i])
                mask = dropout(self.dropout[i + 1], self.seed, self.step, 2 + i, shape, W.shape[1])
                a = a * mask
            places.append((z, s, inverse, mask))
        value, d = loss_and_gradient(self.loss, z, y, weight)
        scale = 1 / weight.sum()
        value = value * scale + sum(
            l1 * abs(W).sum() + l2 / 2 * (W**2).sum() for l1, l2, W in zip(self.l1, self.l2, self.coefs))
        gradients = {}
        for i in reversed(range(len(self.coefs))):
            gradients["coef", i] = inner[i].T @ d * scale + self.l2[i] * self.coefs[i]
            gradients["intercept", i] = d.sum(axis=0) * scale
            if i == 0:
                break
            d = d @ self.coefs[i].T
            z, s, inverse, mask = places[i - 1]
            if mask is not None:
                d = d * mask
            if self.normalize[i - 1] == "after":
                d = self._normalize_backward(d, s, inverse, i - 1, gradients, scale)
            d = d * ACTIVATIONS[self.activations[i - 1]][1](z)
            if self.normalize[i - 1] == "before":
                d = self._normalize_backward(d, s, inverse, i - 1, gradients, scale)
        self._update(gradients, rate)
        return value

    def _normalize_backward(self, d, s, inverse, i, gradients, scale):
        gradients["gain", i] = (d * s).sum(axis=0) * scale
        gradients["shift", i] = d.sum(axis=0) * scale
        return self.gains[i] * inverse * (d - d.mean(axis=0) - s * (d * s).mean(axis=0))

    def _update(self, gradients, rate):
        self.step += 1
        places = {"coef": self.coefs, "intercept": self.intercepts, "gain": self.gains, "shift": self.shifts}
        for (kind, i), g in gradients.items():
            p = places[kind][i]
            g = g * min(1.0, self.clip_each / max(np.sqrt((g**2).sum()), 1e-300))
            m, v = self.moments.setdefault((kind, i), (np.zeros_like(p), np.zeros_like(p)))
            m += 0.1 * (g - m)
            v += 0.001 * (g * g - v)
            eta = rate * np.sqrt(1 - 0.999**self.step) / (1 - 0.9**self.step) / (np.sqrt(v) + self.adam_epsilon)
            p -= eta * m
            if kind == "coef":
                p[:] = np.sign(p) * np.maximum(abs(p) - eta * self.l1[i], 0)
        if self.max_norm is not None:
            for W, limit in zip(self.coefs, self.max_norm):
                norm = np.sqrt((W**2).sum(axis=0))
                W *= np.where(norm > limit, limit / norm, 1)
        count = self.step - self.start
        if self.average is None or (count > 0 and count % self.every):
            return
        if count <= 0:
            factor = 1.0
        else:
            factor = 1 - self.decay if self.average == "ema" else 1 / (count // self.every + 1)
        for mean, p in zip(self.averaged, self.coefs + self.intercepts):
            mean += factor * (p - mean)
            if self.overwrite and self.step % self.overwrite == 0:
                p[...] = mean


def normal(v):
    """Normal deviates of a v that is uniform in (-1, 1)."""
    return np.sqrt(2) * erfinv(v)
