"""NumPy twin of the kernel of sums of products."""

import numpy as np


def products(X, y=None, weights=None, rows=None, shift=None, row_shift=None):
    """``sum_i w_i z_i (z_i, y_i)`` with z_i = (x_i - shift - row_shift_i, 1), in long double."""
    X = np.asarray(X, dtype=np.longdouble)
    rows = np.arange(len(X)) if rows is None else rows
    z = X if shift is None else X - shift
    z = z if row_shift is None else z - row_shift[:, None]
    z = np.c_[z, np.ones(len(X), dtype=np.longdouble)]
    right = z if y is None else np.c_[z, y]
    w = np.ones(len(X)) if weights is None else weights
    return (z[rows] * w[rows, None]).T @ right[rows]
