"""The per-sample descent as plain NumPy: one sample after the other, weights not scaled, nothing fused."""

import numpy as np


def xorshift(seed):
    """The generator of 31-bit draws that shuffles."""
    while True:
        seed ^= (seed << 13) & 0xFFFFFFFF
        seed ^= seed >> 17
        seed ^= (seed << 5) & 0xFFFFFFFF
        yield seed & 0x7FFFFFFF


def shuffled(order, seed):
    order, draws = list(order), xorshift(seed or 1)
    for i in range(len(order) - 1):
        j = i + next(draws) % (len(order) - i)
        order[i], order[j] = order[j], order[i]
    return order


def log1pexp(z):
    return np.logaddexp(0, z)


LOSSES = {
    "hinge": (lambda y, p, a: max(a - y * p, 0), lambda y, p, a: -y if y * p <= a else 0),
    "squared_hinge": (lambda y, p, a: max(a - y * p, 0) ** 2, lambda y, p, a: -2 * y * max(a - y * p, 0)),
    "log_loss": (lambda y, p, a: log1pexp(p) - y * p, lambda y, p, a: 1 / (1 + np.exp(-p)) - y),
    "modified_huber": (
        lambda y, p, a: max(1 - y * p, 0) ** 2 if y * p >= -1 else -4 * y * p,
        lambda y, p, a: -2 * y * max(1 - y * p, 0) if y * p >= -1 else -4 * y,
    ),
    "squared_error": (lambda y, p, a: (p - y) ** 2 / 2, lambda y, p, a: p - y),
    "huber": (
        lambda y, p, a: (p - y) ** 2 / 2 if abs(p - y) <= a else a * (abs(p - y) - a / 2),
        lambda y, p, a: np.clip(p - y, -a, a),
    ),
    "epsilon_insensitive": (
        lambda y, p, a: max(abs(p - y) - a, 0),
        lambda y, p, a: np.sign(p - y) if abs(p - y) > a else 0,
    ),
    "squared_epsilon_insensitive": (
        lambda y, p, a: max(abs(p - y) - a, 0) ** 2,
        lambda y, p, a: 2 * np.sign(p - y) * max(abs(p - y) - a, 0),
    ),
    "quantile": (
        lambda y, p, a: a * (y - p) if y >= p else (a - 1) * (y - p),
        lambda y, p, a: -a if y > p else (1 - a if y < p else 0),
    ),
    "poisson": (lambda y, p, a: np.exp(p) - y * p, lambda y, p, a: np.exp(p) - y),
}


def descend(
    X,
    y,
    model,
    loss,
    seed,
    epochs,
    *,
    shuffle=True,
    sample_weight=None,
    rows=None,
    fit_intercept=True,
    intercept_decay=1.0,
    sparse=False,
):
    """Weights, intercept, their averages and the objective of each epoch, of one kernel candidate.

    On sparse rows the L1 cut is made to the touched weights only, and the norms in the objective are theirs.
    """
    X = np.asarray(X, dtype=np.float64)
    value, slope = LOSSES[loss]
    n_features = X.shape[1]
    w, b, t, u = np.zeros(n_features), 0.0, 1, 0.0
    average_w, average_b, q = np.zeros(n_features), 0.0, np.zeros(n_features)
    alpha, l1, l2 = model["alpha"], model["l1_ratio"], model["l2_ratio"]
    schedule, objectives = model["schedule"], []
    square = absolute = 0.0
    order = list(range(len(X))) if rows is None else list(rows)
    for _ in range(epochs):
        total = 0.0
        if shuffle:
            order = shuffled(order, seed)
        for row in order:
            x, target = X[row], float(y[row])
            touched = x != 0 if sparse else slice(None)
            p = w @ x + b
            step = model["eta0"]
            if schedule == "optimal":
                step = 1 / (alpha * (model["eta_shift"] + t - 1))
            elif schedule == "invscaling":
                step = model["eta0"] / t ** model["power_t"]
            total += value(target, p, model["parameter"])
            if schedule not in ("pa1", "pa2"):
                total += alpha * (l2 * square / 2 + l1 * absolute)
            weight = model["weight_positive"] if target > 0 else model["weight_negative"]
            weight *= 1 if sample_weight is None else sample_weight[row]
            if schedule in ("pa1", "pa2"):
                if schedule == "pa1" and x @ x == 0:
                    continue
                size = value(target, p, model["parameter"])
                size = (
                    min(model["eta0"], size / (x @ x))
                    if schedule == "pa1"
                    else size / (x @ x + 0.5 / model["eta0"])
                )
                update = weight * size * (target if loss == "hinge" else np.sign(target - p))
            else:
                update = -step * np.clip(slope(target, p, model["parameter"]), -1e12, 1e12) * weight
            shrink = max(0, 1 - l2 * step * alpha)
            w, square, absolute = w * shrink, square * shrink**2, absolute * shrink
            if update:
                w = w + update * x
                square, absolute = w[touched] @ w[touched], np.abs(w[touched]).sum()
                if fit_intercept:
                    b += update * intercept_decay
            if 0 < model["average"] <= t:
                count = t - model["average"] + 1
                # The average of weights without their L1 cuts, as the scaled sum that is kept gives it.
                average_w += (w - average_w) / count
                average_b += (b - average_b) / count
            if l1:
                u += l1 * step * alpha
                before = w.copy()
                cut = np.where(
                    w > 0, np.maximum(0, w - (u + q)), np.where(w < 0, np.minimum(0, w + (u - q)), w)
                )
                w[touched] = cut[touched]
                q = q + (w - before)
            t += 1
        objectives.append(total / len(order))
    return w, b, average_w, average_b, objectives
