"""The parts of proximal Newton as their formulas say them."""

import numpy as np


def rows_model(loss, y, weight, raw):
    """(sum of losses, derivatives, second derivatives), with the least curvature that rows are given."""
    if loss == "binary_crossentropy":
        p = 1 / (1 + np.exp(-raw))
        value, slopes, curvatures, most = np.logaddexp(0, raw) - y * raw, p - y, p * (1 - p), 1.0
    else:
        margin = np.maximum(0, 1 - y * raw)
        value, slopes, curvatures, most = margin**2, -2 * y * margin, 2.0 * (margin > 0), 2.0
    least = 1e-12 * most
    return (weight * value).sum(), weight * slopes, np.maximum(weight * curvatures, least * np.abs(weight))


def model_value(X, curvatures, slopes, bias_slope, w, new, e, l1, l2):
    """The model at coefficients ``new`` and a step ``e`` of the intercept; ``slopes`` have the l2 part in them."""
    d = new - w
    return (slopes @ d + bias_slope * e + 0.5 * (curvatures * (X @ d + e) ** 2).sum() + 0.5 * l2 * d @ d
            + l1 * np.abs(new).sum())


def violation(w, slopes, l1):
    """The largest violation of the conditions of a minimum of a smooth function of these slopes plus l1 |w|."""
    return max(
        (abs(g + l1 * np.sign(u)) if u != 0 else max(abs(g) - l1, 0.0) for u, g in zip(w, slopes)), default=0.0)
