"""NumPy twins of the kernels for columns, rows and categories: plain loops over what the definitions say."""

import numpy as np


def layouts(X):
    """X as a plain copy first, then in every layout that a caller may have."""
    n, m = X.shape
    wide = np.empty((n, m + 3), dtype=X.dtype)
    wide[:, 1 : m + 1] = X
    spread = np.empty((2 * n, 3 * m), dtype=X.dtype)
    spread[::2, ::3] = X
    frozen = X.copy()
    frozen.flags.writeable = False
    return {
        "C": X.copy(),
        "F": np.asfortranarray(X),
        "slice": wide[:, 1 : m + 1],
        "strided": spread[::2, ::3],
        "reversed": X[::-1].copy()[::-1],
        "read-only": frozen,
    }


def moments(X, weights=None):
    """(weight present, mean, sum of squared deviations) of each column in long double, NaN skipped."""
    X = np.asarray(X, dtype=np.longdouble)
    weights = np.ones(X.shape[0]) if weights is None else np.asarray(weights)
    out = np.zeros((3, X.shape[1]), dtype=np.longdouble)
    for j in range(X.shape[1]):
        present = ~np.isnan(X[:, j])
        w = weights[present].astype(np.longdouble)
        x = X[present, j]
        if w.sum() != 0:
            mean = (w * x).sum() / w.sum()
            out[:, j] = w.sum(), mean, (w * (x - mean) ** 2).sum()
    return out


def extremes(X):
    """(smallest, largest) of each column, NaN skipped; infinities of the wrong sign where nothing is
    present.
    """
    low = np.full(X.shape[1], np.inf, dtype=X.dtype)
    high = np.full(X.shape[1], -np.inf, dtype=X.dtype)
    for j in range(X.shape[1]):
        x = X[~np.isnan(X[:, j]), j]
        if x.size:
            low[j], high[j] = x.min(), x.max()
    return low, high


def row_key(row):
    """What two equal rows share: NaN as a word, -0.0 as 0.0."""
    return tuple("nan" if value != value else value + 0 for value in row.tolist())


def duplicates(X, keep):
    """Mask of rows that go."""
    groups = {}
    for i, row in enumerate(X):
        groups.setdefault(row_key(row), []).append(i)
    mask = np.zeros(len(X), dtype=bool)
    for members in groups.values():
        if len(members) > 1:
            gone = {0: members[1:], 1: members[:-1], 2: members}[keep]
            mask[gone] = True
    return mask


def one_hot(codes, n_out):
    """Dense rows of codes that are columns already; codes below 0 leave nothing."""
    out = np.zeros((codes.shape[0], n_out))
    for i, row in enumerate(codes):
        for column in row:
            if column >= 0:
                out[i, column] = 1
    return out
