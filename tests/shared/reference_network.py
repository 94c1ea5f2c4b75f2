"""Naive twin of the dense engine: a whole training of a linear model in plain NumPy, one batch after the other."""

import numpy as np
import reference


def objective(coef, intercept, X, y, loss, parameter=1.0, weight=None, l1=0.0, l2=0.0):
    """Weighted mean over the rows of their outputs' losses, plus the penalty of the weights; and its gradients."""
    value, gradient = reference.LOSSES[loss]
    z = X @ coef.T + intercept
    w = np.ones(len(X), X.dtype) if weight is None else weight
    total = w.sum()
    scale = 1 / total if total > 0 else total
    losses = value(y, z, parameter).reshape(len(X), -1).sum(axis=1)
    d = gradient(y, z, parameter) * w[:, None]
    mean = (w * losses).sum() * scale + reference.penalty_value(coef, l1, l2)
    return mean, d.T @ X * scale, d.sum(axis=0) * scale


def train(coef, intercept, X, y, settings, *, loss, parameter=1.0, batch_size, orders, rates, weight=None, l1=0.0,
          l2=0.0, clip_norm=np.inf, fit_intercept=True):
    """Epochs of mini-batch training, one for each of ``orders`` (None or row numbers).

    ``rates`` holds the learning rate of every step of the whole training. Returns coef, intercept and the loss of each
    epoch; nothing is changed in place.
    """
    memories = {}, {}
    step = 0
    curve = []
    for order in orders:
        rows = np.arange(len(X)) if order is None else order
        total = 0.0
        for start in range(0, len(X), batch_size):
            batch = rows[start:start + batch_size]
            w = None if weight is None else weight[batch]
            value, g, g0 = objective(coef, intercept, X[batch], y[batch], loss, parameter, w, l1, l2)
            if not fit_intercept:
                g0 = np.zeros_like(g0)
            norm = np.sqrt((g**2).sum() + (g0**2).sum())
            if norm > clip_norm:
                g, g0 = g * (clip_norm / norm), g0 * (clip_norm / norm)
            h = {**settings, "learning_rate": rates[step]}
            step += 1
            new = reference.update(coef, g, memories[0], step, {**h, "l1": l1, "l2": l2})
            intercept = reference.update(intercept, g0, memories[1], step, {**h, "l1": 0, "l2": 0, "weight_decay": 0})
            coef = new
            total += value * len(batch)
        curve.append(total / len(X))
    return coef, intercept, np.array(curve)
