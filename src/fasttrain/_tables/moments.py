"""Means, variances and extremes of columns, NaN skipped, by the kernels that read a table once."""

import numpy as np

from fasttrain._core.checks import all_finite, raise_for_status
from fasttrain._kernels import columns
from fasttrain._kernels.threads import get_num_threads
from fasttrain._tables.kinds import element_strided

# In units of its inverse, any float64 has a square that float64 can hold.
SMALL_UNIT = 2.0**-540


def kernel_view(X):
    """X in a type and layout that the column kernels read; float16 is widened, which is exact."""
    return element_strided(X if X.dtype != np.float16 else X.astype(np.float32))


def column_moments(X, sample_weight=None):
    """(weight present, mean, sum of squared deviations) of each column, NaN skipped; NaN mean where nothing
    is present. A sum of squares that float64 cannot hold is infinite.
    """
    n_features = X.shape[1]
    weight, mean, squares = found = np.empty((3, n_features))
    view = kernel_view(X)
    raise_for_status(columns.moments(view, sample_weight, weight, mean, squares, get_num_threads()))
    if all_finite(found) and weight.all():
        return weight, mean, squares
    if not np.isfinite(weight).all():
        raise ValueError("sample_weight must have a sum that float64 can hold; divide the weights by a constant")
    lost = ~(np.isfinite(mean) & np.isfinite(squares))
    if lost.any() and view.dtype == np.float64:
        # Deviations whose squares overflow take the mean along; in smaller units the mean is there.
        again = np.empty((3, np.count_nonzero(lost)))
        raise_for_status(columns.moments(view[:, lost] * SMALL_UNIT, sample_weight, *again, get_num_threads()))
        mean[lost] = again[1] / SMALL_UNIT
        squares[lost] = np.inf
    empty = weight == 0
    if empty.any():
        mean[empty] = np.nan
        squares[empty] = np.nan
    return weight, mean, squares


def column_extremes(X):
    """(smallest, largest) of each column in X's type, NaN skipped; NaN where nothing is present."""
    view = kernel_view(X)
    low = np.empty(X.shape[1], dtype=view.dtype)
    high = np.empty_like(low)
    raise_for_status(columns.extremes(view, low, high, get_num_threads()))
    empty = low > high
    if empty.any():
        low[empty] = high[empty] = np.nan
    return low.astype(X.dtype, copy=False), high.astype(X.dtype, copy=False)


def merge_moments(weight, mean, var, new_weight, new_mean, new_squares):
    """Moments of two sets together (Chan, Golub and LeVeque, 1983); var divides by the weight."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if not weight.any():
            return new_weight, new_mean, new_squares / new_weight
        total = weight + new_weight
        delta = new_mean - mean
        merged_mean = mean + delta * (new_weight / total)
        merged_var = (var * weight + new_squares + delta**2 * (weight * (new_weight / total))) / total
        only_new = weight == 0
        only_old = new_weight == 0
        merged_mean = np.where(only_new, new_mean, np.where(only_old, mean, merged_mean))
        merged_var = np.where(only_new, new_squares / new_weight, np.where(only_old, var, merged_var))
    return total, merged_mean, merged_var


__all__ = ["SMALL_UNIT", "column_extremes", "column_moments", "kernel_view", "merge_moments"]
