"""Coordinate descent as its formula says it: no screening, no bounds, every column read."""

import numpy as np


def draws(seed, end, n):
    """Numbers in [0, end) of a 32-bit xorshift."""
    state, out = seed or 1, []
    for _ in range(n):
        state ^= (state << 13) & 0xFFFFFFFF
        state ^= state >> 17
        state ^= (state << 5) & 0xFFFFFFFF
        out.append((state & 0x7FFFFFFF) % end)
    return out


def sweeps(Z, Y, W, l1, l2, n_sweeps, *, positive=False, seed=None):
    """W (features by tasks) after so many sweeps; at random columns with a seed."""
    W = W.copy()
    n_features = Z.shape[1]
    order = list(range(n_features)) * n_sweeps if seed is None else draws(seed, n_features, n_features * n_sweeps)
    for j in order:
        curvature = Z[:, j] @ Z[:, j]
        if curvature == 0:
            continue
        whole = Z[:, j] @ (Y - Z @ W) + curvature * W[j]
        size = np.linalg.norm(whole)
        if positive and whole[0] < 0:
            size = 0.0
        W[j] = whole * (max(0.0, 1 - l1 / size) if size > 0 else 0.0) / (curvature + l2)
    return W


def objective(Z, Y, W, l1, l2):
    rest = Y - Z @ W
    return 0.5 * np.sum(rest**2) + l1 * np.linalg.norm(W, axis=1).sum() + 0.5 * l2 * np.sum(W**2)


def gap(Z, Y, W, l1, l2):
    """The duality gap, by the residual scaled into the dual's feasible set."""
    rest = Y - Z @ W
    largest = np.linalg.norm(Z.T @ rest - l2 * W, axis=1).max()
    scale = l1 / max(l1, largest)
    dual = scale * np.sum(rest * Y) - 0.5 * scale**2 * (np.sum(rest**2) + l2 * np.sum(W**2))
    return objective(Z, Y, W, l1, l2) - dual


def residual(Z, Y, W, l1, l2, *, positive=False):
    """How far W is from optimal: the largest distance of a column's gradient from the subdifferential."""
    gradient = Z.T @ (Y - Z @ W) - l2 * W
    sizes = np.linalg.norm(W, axis=1)
    out = np.empty(len(W))
    for j, size in enumerate(sizes):
        if size > 0:
            out[j] = np.linalg.norm(gradient[j] - l1 * W[j] / size)
        elif positive:
            out[j] = max(0.0, gradient[j].max() - l1)
        else:
            out[j] = max(0.0, np.linalg.norm(gradient[j]) - l1)
    return out.max()
