"""Dropping rows: missing values, duplicates and outliers, as functions.

Whole rows go, from X, y and sample_weight together; order is kept, and so is the index of a data frame.
Arrays of NumPy (numbers, strings, objects), data frames of pandas and of polars are accepted and come back as
what they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from fasttrain._core.checks import check_choice, check_flag, check_real, raise_for_status
from fasttrain._core.slices import slices
from fasttrain._core.types import ArrayLike, TableLike
from fasttrain._kernels import rows
from fasttrain._kernels.threads import get_num_threads
from fasttrain._tables.frames import (
    KEEP, Table, aligned, duplicate_mask, missing_counts, take_all, take_present,
)
from fasttrain._tables.moments import SMALL_UNIT, column_extremes, column_moments
from fasttrain.preprocessing.robust import column_quantiles

METHODS = ("absolute", "zscore", "iqr", "mad")
DEFAULT_THRESHOLDS = {"zscore": 3.0, "iqr": 1.5, "mad": 3.5}
# The median absolute deviation of a normal sample times this estimates its standard deviation: 1 /
# Phi^-1(3/4).
MAD_TO_STD = 1.4826022185056018


def answer(X, y, sample_weight, mask, return_mask, taken=None):
    """What the functions return: X alone, or a tuple of what was passed, with the mask last when asked
    for. ``taken`` is what is left of X where that is known already.
    """
    check_flag(return_mask, "return_mask")
    parts = take_all((X if taken is None else None, y, sample_weight), mask)
    if taken is not None:
        parts.insert(0, taken)
    if return_mask:
        parts.append(mask)
    return parts[0] if len(parts) == 1 else tuple(parts)


def sentinel_values(missing_values):
    """``missing_values`` as a tuple; a single value stands for itself."""
    if isinstance(missing_values, (str, bytes)) or not hasattr(missing_values, "__iter__"):
        return (missing_values,)
    return tuple(missing_values)


def most_missing(how, min_present, n_columns):
    """How many missing values a row may have and stay."""
    check_choice(how, "how", ("any", "all"))
    if min_present is None:
        return 0 if how == "any" or n_columns == 0 else n_columns - 1
    if isinstance(min_present, bool) or not isinstance(min_present, (int, np.integer)):
        raise TypeError(f"min_present must be an integer or None; got {min_present!r}")
    return n_columns - int(min_present)


def missing_targets(y, missing_values):
    """Where any part of a target is missing."""
    target = Table(y, name="y")
    absent = np.zeros(target.n_rows, dtype=bool)
    for position in target.positions:
        absent |= target.missing(position, missing_values)
    return absent


def _counted(block, counts):
    """The rows with a count, some at a time: Ctrl-C is heard between, and all of them may be most of the table."""
    at = np.flatnonzero(counts)
    for part in slices(len(at), block.shape[1]):
        yield block[at[part]]


def missing_rows(X, y, subset, how, min_present, missing_values, include_y, reported=False):
    """(mask of rows kept, reasons); reasons are counted only when they are reported."""
    missing_values = sentinel_values(missing_values)
    table = Table(X, subset)
    most = most_missing(how, min_present, len(table.positions))
    block = None if missing_values else table.float_block()
    reasons = {}
    if block is not None:
        counts = missing_counts(block)
        if reported and counts.any():
            for position, count in enumerate(sum(np.isnan(hit).sum(axis=0) for hit in _counted(block, counts))):
                reasons[table.names[position]] = int(count)
    else:
        counts = np.zeros(table.n_rows, dtype=np.int32)
        for position in table.positions:
            column = None if missing_values else table.float_column(position)
            if column is not None and not reported:
                missing_counts(column.reshape(-1, 1), counts)
                continue
            mask = table.missing(position, missing_values)
            counts += mask
            reasons[table.names[position]] = int(np.count_nonzero(mask))
    kept = counts <= most
    if y is not None and include_y:
        absent = missing_targets(y, missing_values)
        reasons["y"] = int(np.count_nonzero(absent))
        kept &= ~absent
    return kept, reasons


def duplicate_rows(X, y, subset, keep, include_y):
    """(mask of rows kept, reasons)."""
    check_choice(keep, "keep", tuple(KEEP))
    table = Table(X, subset)
    target = None if y is None or not include_y else Table(y, name="y")
    block = None
    if target is None:
        block = table.float_block()
        block = table.gathered_floats() if block is None else block
    if block is None:
        tables = (table,) if target is None else (table, target)
        cells = [part.codes(position) for part in tables for position in part.positions]
        block = np.stack(cells).T if cells else np.empty((table.n_rows, 0))
    if block.shape[1] == 0:
        # Rows without a cell have nothing to be equal in.
        return np.ones(table.n_rows, dtype=bool), {}
    kept = ~duplicate_mask(block, keep)
    return kept, {"duplicate": kept.shape[0] - int(np.count_nonzero(kept))}


def drop_missing(X: TableLike, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None, *,
                 subset: Sequence[Any] | None = None, how: Literal["any", "all"] = "any",
                 min_present: int | None = None, missing_values: Any | Sequence[Any] = (), include_y: bool = True,
                 return_mask: bool = False) -> Any:
    """Drop the rows that have missing values.

    NaN, None, NaT, ``pandas.NA`` and polars' null are missing, and so are ``missing_values``.

    Parameters
    ----------
    X : array-like of shape (n_samples,) or (n_samples, n_features), or DataFrame
        Left as it is; the answer is a copy of its rows.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
    sample_weight : array-like of shape (n_samples,), default=None
    subset : sequence of column names or positions, default=None
        Columns of X to look at; None is all.
    how : {"any", "all"}, default="any"
        Whether a row goes when any of those columns is missing, or only when all are.
    min_present : int, default=None
        Keep rows with at least this many present values; replaces ``how``.
    missing_values : scalar or sequence, default=()
        Further values that stand for missing ones, such as -999 or "?".
    include_y : bool, default=True
        Whether a row whose target is missing goes too.
    return_mask : bool, default=False
        Whether to return the mask of the rows kept as well.

    Returns
    -------
    X, y, sample_weight
        What was passed, without those rows; X alone when it came alone.
    mask : ndarray of shape (n_samples,), bool
        Only with ``return_mask``: true for rows kept.

    Raises
    ------
    ValueError, TypeError
        For unequal lengths, unknown columns or options.

    Examples
    --------
    >>> import numpy as np
    >>> from fasttrain.preprocessing import drop_missing
    >>> X, y = drop_missing(np.array([[1.0, 2.0], [np.nan, 3.0], [4.0, 5.0]]), np.array([0, 1, 1]))
    >>> X
    array([[1., 2.],
           [4., 5.]])
    >>> y
    array([0, 1])
    """
    X, y, sample_weight = aligned(X, y, sample_weight)
    found = None
    if subset is None and not sentinel_values(missing_values) and len(X.shape) == 2:
        most = most_missing(how, min_present, X.shape[1])
        absent = missing_targets(y, ()) if y is not None and include_y else None
        found = take_present(X, most, absent)
    if found is None:
        found = None, missing_rows(X, y, subset, how, min_present, missing_values, include_y)[0]
    taken, mask = found
    return answer(X, y, sample_weight, mask, return_mask, taken)


def drop_duplicates(X: TableLike, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None, *,
                    subset: Sequence[Any] | None = None, keep: Literal["first", "last", "none", False] = "first",
                    include_y: bool = True, return_mask: bool = False) -> Any:
    """Drop rows that repeat another row.

    Two cells are equal as in pandas: NaN equals NaN, -0.0 equals 0.0. Rows are hashed and then compared, so
    rows that only share a hash both stay.

    Parameters
    ----------
    X : array-like of shape (n_samples,) or (n_samples, n_features), or DataFrame
        Left as it is; the answer is a copy of its rows.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
    sample_weight : array-like of shape (n_samples,), default=None
        Goes along; it is no part of what is compared.
    subset : sequence of column names or positions, default=None
        Columns of X to compare; None is all.
    keep : {"first", "last", "none", False}, default="first"
        Which of equal rows stays; "none" (or False, as in pandas) drops all of them.
    include_y : bool, default=True
        Whether y is part of the row: equal features with different targets are then two observations, not one
        twice.
    return_mask : bool, default=False
        Whether to return the mask of the rows kept as well.

    Returns
    -------
    X, y, sample_weight
        What was passed, without those rows; X alone when it came alone.
    mask : ndarray of shape (n_samples,), bool
        Only with ``return_mask``: true for rows kept.

    Raises
    ------
    ValueError, TypeError
        For unequal lengths, unknown columns or options, and objects that cannot be hashed.

    Examples
    --------
    >>> import numpy as np
    >>> from fasttrain.preprocessing import drop_duplicates
    >>> drop_duplicates(np.array([[1.0, np.nan], [1.0, np.nan], [0.0, 2.0], [-0.0, 2.0]]))
    array([[ 1., nan],
           [ 0.,  2.]])
    """
    X, y, sample_weight = aligned(X, y, sample_weight)
    mask, _ = duplicate_rows(X, y, subset, keep, include_y)
    return answer(X, y, sample_weight, mask, return_mask)


def finite_moments(values):
    """Mean and standard deviation (dividing by n) of the finite values of a vector."""
    column = values.reshape(-1, 1)
    weight, mean, squares = column_moments(column)
    if not np.isfinite(mean[0]):
        column = np.where(np.isinf(column), np.nan, column)
        weight, mean, squares = column_moments(column)
    if np.isinf(squares[0]):
        squares = column_moments(column * SMALL_UNIT)[2]
        return mean[0], np.sqrt(squares[0] / weight[0]) / SMALL_UNIT
    return mean[0], np.sqrt(squares[0] / weight[0]) if weight[0] else 0.0


def bounds_about(low, high, threshold):
    """Tukey's bounds about two quartiles."""
    spread = high - low
    return (low - threshold * spread, high + threshold * spread) if spread > 0 else (-np.inf, np.inf)


def quartiles_together(table):
    """Quartiles of all columns of an array of floats, which threads share; None where cells are infinite or columns are
    of several types."""
    block = table.float_block() if len(table.positions) == len(table.names) else None
    if block is None or np.isinf(column_extremes(block)).any():
        return None
    return column_quantiles(block, (0.25, 0.75))


def column_bounds(values, method, threshold):
    """Lowest and highest value of a column that is no outlier."""
    if method == "absolute":
        return -threshold, threshold
    if method == "zscore":
        center, spread = finite_moments(values)
    else:
        present = np.where(np.isfinite(values), values, np.nan).astype(np.float64, copy=False).reshape(-1, 1)
        if method == "iqr":
            return bounds_about(*column_quantiles(present, (0.25, 0.75))[:, 0], threshold)
        center = column_quantiles(present, (0.5,))[0, 0]
        spread = MAD_TO_STD * column_quantiles(np.abs(present - center), (0.5,))[0, 0]
    if not spread > 0:
        return -np.inf, np.inf
    return center - threshold * spread, center + threshold * spread


def resolve_thresholds(method, threshold, table):
    """One number for each selected column."""
    check_choice(method, "method", METHODS)
    if threshold is None:
        if method == "absolute":
            raise ValueError(
                "threshold must be given for method='absolute': a number >= 0, or one for each column"
            )
        threshold = DEFAULT_THRESHOLDS[method]
    if isinstance(threshold, dict):
        unknown = [name for name in threshold if name not in table.names]
        if unknown:
            raise ValueError(
                f"threshold names columns that X lacks: {unknown}; its columns are {table.names}"
            )
        table.positions = [p for p in table.positions if table.names[p] in threshold]
        return [
            check_real(threshold[table.names[p]], f"threshold[{table.names[p]!r}]", low=0)
            for p in table.positions
        ]
    if np.ndim(threshold) == 0:
        return [check_real(threshold, "threshold", low=0)] * len(table.positions)
    if len(threshold) != len(table.positions):
        raise ValueError(
            f"threshold has {len(threshold)} values for {len(table.positions)} numeric columns; pass "
            "one number, "
            "one for each column, or a dict from column name to number"
        )
    return [check_real(value, f"threshold[{i}]", low=0) for i, value in enumerate(threshold)]


def number_objects(column):
    """Whether a vector of objects holds numbers; text is no error here, what is neither is."""
    try:
        column.astype(np.float64)
    except ValueError:
        return False
    return True


def numeric_table(X, subset):
    """The columns of X that outliers are looked for in."""
    table = Table(X, subset)
    numeric = [position for position in table.positions if table.is_numeric(position)]
    if not table.frame and X.dtype == object:
        numeric = [position for position in table.positions if number_objects(table.column(position))]
    if subset is not None and len(numeric) < len(table.positions):
        names = [table.names[p] for p in table.positions if p not in numeric]
        raise TypeError(f"outliers are looked for in columns of numbers; these are not: {names}")
    if not numeric and not table.frame:
        raise TypeError(f"X must hold numbers to look for outliers; its dtype is {X.dtype}")
    table.positions = numeric
    return table


def outlier_bounds(X, method, threshold, subset):
    """(positions, low, high) of the columns looked at."""
    table = numeric_table(X, subset)
    thresholds = resolve_thresholds(method, threshold, table)
    quartiles = quartiles_together(table) if method == "iqr" else None
    bounds = [
        column_bounds(table.numbers(position), method, value) if quartiles is None
        else bounds_about(*quartiles[:, position], value)
        for position, value in zip(table.positions, thresholds)
    ]
    low, high = np.array(bounds, dtype=np.float64).reshape(-1, 2).T
    return table.positions, np.ascontiguousarray(low), np.ascontiguousarray(high)


def inside_rows(X, positions, low, high, reported=False):
    """(mask of rows with no value outside its bounds, reasons); reasons are counted only when they are reported."""
    table = Table(X)
    counts = np.zeros(table.n_rows, dtype=np.int32)
    reasons = {}
    # An infinite value is an outlier whatever the bounds are.
    low = np.maximum(low, -np.finfo(np.float64).max)
    high = np.minimum(high, np.finfo(np.float64).max)
    block = table.float_block() if len(positions) == len(table.names) else None
    if block is not None:
        # all columns, in the order of a subset
        in_order = np.argsort(positions)
        low, high = low[in_order], high[in_order]
        raise_for_status(rows.outside(block, low, high, counts, get_num_threads()))
        if reported:
            found = np.zeros(block.shape[1], dtype=np.int64)
            for hit in _counted(block, counts):
                found += ((hit < low) | (hit > high)).sum(axis=0)
            reasons = {table.names[position]: int(found[position]) for position in positions}
    else:
        for k, position in enumerate(positions):
            before = counts.copy()
            values = table.numbers(position).reshape(-1, 1)
            raise_for_status(rows.outside(values, low[k : k + 1], high[k : k + 1], counts, get_num_threads()))
            reasons[table.names[position]] = int(np.count_nonzero(counts != before))
    return counts == 0, reasons


def drop_outliers(X: TableLike, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None, *,
                  method: Literal["absolute", "zscore", "iqr", "mad"] = "iqr",
                  threshold: float | Sequence[Any] | dict[Any, Any] | None = None, subset: Sequence[Any] | None = None,
                  return_mask: bool = False) -> Any:
    """Drop rows with a value far from its column's others.

    With t the threshold, a value x of a column is an outlier when

    - "absolute": ``|x| > t``
    - "zscore": ``|x - mean| > t std``, std dividing by n
    - "iqr": ``x < q1 - t (q3 - q1)`` or ``x > q3 + t (q3 - q1)`` (Tukey, Exploratory Data Analysis, 1977)
    - "mad": ``|x - median| > t MAD / Phi^-1(3/4)``, MAD the median of ``|x - median|`` (Iglewicz and Hoaglin,
      How to Detect and Handle Outliers, 1993)

    Missing values are no outliers, infinite ones always are, and statistics are those of the finite values. A
    column whose std, interquartile range or MAD is 0 has no scale to measure by and no outliers.

    Parameters
    ----------
    X : array-like of shape (n_samples,) or (n_samples, n_features), or DataFrame
        Numbers; in a DataFrame, columns of another type are passed over. Left as it is.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        Goes along; outliers are not looked for in it.
    sample_weight : array-like of shape (n_samples,), default=None
        Goes along.
    method : {"absolute", "zscore", "iqr", "mad"}, default="iqr"
    threshold : float, sequence or dict, default=None
        One number, one for each column looked at, or column name to number (other columns are then passed
        over). None is 3 for "zscore", 1.5 for "iqr", 3.5 for "mad"; "absolute" has no default.
    subset : sequence of column names or positions, default=None
        Columns to look at; None is all that hold numbers.
    return_mask : bool, default=False
        Whether to return the mask of the rows kept as well.

    Returns
    -------
    X, y, sample_weight
        What was passed, without those rows; X alone when it came alone.
    mask : ndarray of shape (n_samples,), bool
        Only with ``return_mask``: true for rows kept.

    Raises
    ------
    ValueError, TypeError
        For unequal lengths, unknown columns or options, thresholds that are not numbers >= 0, and arrays
        without numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from fasttrain.preprocessing import drop_outliers
    >>> X = np.array([[1.0], [2.0], [3.0], [2.0], [500.0]])
    >>> drop_outliers(X, method="absolute", threshold=100).ravel()
    array([1., 2., 3., 2.])
    >>> drop_outliers(X, method="mad", return_mask=True)[1]
    array([ True,  True,  True,  True, False])
    """
    X, y, sample_weight = aligned(X, y, sample_weight)
    positions, low, high = outlier_bounds(X, method, threshold, subset)
    mask, _ = inside_rows(X, positions, low, high)
    return answer(X, y, sample_weight, mask, return_mask)


__all__ = ["drop_duplicates", "drop_missing", "drop_outliers"]
