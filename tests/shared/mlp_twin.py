"""Naive twin of a perceptron's training: one batch after the other in plain NumPy, rows in the order they stand."""

from itertools import pairwise

import numpy as np
import reference


def initial(units, random_state, activation="relu"):
    """The uniform weights and biases that a fit draws first."""
    coefs, intercepts = [], []
    for fan_in, fan_out in pairwise(units):
        bound = np.sqrt((2.0 if activation == "logistic" else 6.0) / (fan_in + fan_out))
        coefs.append(random_state.uniform(-bound, bound, (fan_in, fan_out)))
        intercepts.append(random_state.uniform(-bound, bound, fan_out))
    return coefs, intercepts


def forward(coefs, intercepts, X, activations):
    """Values of all layers before and after their activations, the input first; the last z is the raw output."""
    a, zs = [X], []
    for i, (coef, intercept) in enumerate(zip(coefs, intercepts)):
        zs.append(a[-1] @ coef + intercept)
        if i < len(activations):
            name, parameter = activations[i]
            a.append(reference.ACTIVATIONS[name][0](zs[-1], parameter))
    return a, zs


def gradients(coefs, intercepts, X, y, loss, activations, weight=None):
    """Weighted mean of the rows' losses, and its gradients with respect to all weights and biases."""
    value, derivative = reference.LOSSES[loss[0]]
    a, zs = forward(coefs, intercepts, X, activations)
    w = np.ones(len(X)) if weight is None else weight
    mean = (w * value(y, zs[-1], loss[1]).reshape(len(X), -1).sum(axis=1)).sum() / w.sum()
    d = derivative(y, zs[-1], loss[1]) * w[:, None] / w.sum()
    of_coefs, of_intercepts = [], []
    for i in reversed(range(len(coefs))):
        of_coefs.insert(0, a[i].T @ d)
        of_intercepts.insert(0, d.sum(axis=0))
        if i:
            name, parameter = activations[i - 1]
            d = d @ coefs[i].T * reference.ACTIVATIONS[name][1](zs[i - 1], parameter)
    return mean, of_coefs, of_intercepts


def train(coefs, intercepts, X, y, *, loss, activations, settings, batch_size, rates, l1=None, l2=None, alpha=0.0,
          weight=None, max_norm=None, each=None):
    """One step for each of ``rates``; ``each(coefs, intercepts)`` is called after it. The last epoch's losses too."""
    none = [0.0] * len(coefs)
    l1, l2 = none if l1 is None else l1, none if l2 is None else l2
    memories = [{} for _ in coefs + intercepts]
    starts = range(0, len(X), batch_size)
    curve = []
    for step, rate in enumerate(rates):
        rows = slice(starts[step % len(starts)], starts[step % len(starts)] + batch_size)
        w = None if weight is None else weight[rows]
        total = len(X[rows]) if w is None else w.sum()
        mean, gc, gi = gradients(coefs, intercepts, X[rows], y[rows], loss, activations, w)
        here = [b + alpha / total for b in l2]
        mean += sum(reference.penalty_value(c, a, b) for c, a, b in zip(coefs, l1, here))
        curve.append((mean, len(X[rows])))
        norm = np.sqrt(sum((g**2).sum() for g in gc + gi))
        h = {**settings, "learning_rate": rate}
        h["gradient_scale"] = min(1.0, settings.get("clip_norm", np.inf) / norm)
        plain = {**h, "l1": 0.0, "l2": 0.0, "weight_decay": 0.0}
        n = len(coefs)
        coefs = [
            reference.update(c, g, memories[i], step + 1, {**h, "l1": l1[i], "l2": here[i]})
            for i, (c, g) in enumerate(zip(coefs, gc))
        ]
        intercepts = [
            reference.update(c, g, memories[n + i], step + 1, plain) for i, (c, g) in enumerate(zip(intercepts, gi))
        ]
        if max_norm is not None:
            norms = [np.sqrt((c**2).sum(axis=0)) for c in coefs]
            coefs = [c * np.minimum(1.0, m / np.maximum(q, 1e-300)) for c, m, q in zip(coefs, max_norm, norms)]
        if each is not None:
            each(coefs, intercepts)
    last = curve[-len(starts):]
    return coefs, intercepts, sum(m * n for m, n in last) / len(X)
