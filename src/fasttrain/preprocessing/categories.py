"""Categories of columns: found, stated or counted, their codes, and the grouping of infrequent ones."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_array

from fasttrain._core.checks import require_fitted
from fasttrain._estimators.conversion import Convertible
from fasttrain._estimators.data import take_names
from fasttrain._tables.categories import (
    coded_column, counts_of, encode, is_nan, unique, unique_of_columns, unknown_values,
)
from fasttrain._tables.frames import named
from fasttrain._tables.kinds import is_pandas, is_polars
from fasttrain.data import Blocks, from_dask
from fasttrain.data._dask import is_collection
from fasttrain.data._use import RawBlocks, at_block, detached


def column_list(X):
    """(columns of a table as vectors of NumPy, number of rows)."""
    if isinstance(X, CodedColumns):
        return X.columns, X.shape[0]
    if is_polars(X):
        columns = [check_column(X.to_series(i)) for i in range(X.shape[1])]
    elif is_pandas(X) and X.ndim == 2:
        columns = [check_column(series) for _, series in X.items()]
    else:
        if isinstance(X, np.ndarray) and X.dtype.kind == "T":
            # A cast to fixed width would need a look for strings that end in NUL, which makes it the slower way.
            X = X.astype(object)
        array = check_array(X, dtype=None, ensure_all_finite="allow-nan")
        if not hasattr(X, "dtype") and array.dtype.kind == "U":
            # A list of strings: objects keep strings of any length, fixed width would truncate.
            array = check_array(X, dtype=object, ensure_all_finite="allow-nan")
        return [array[:, i] for i in range(array.shape[1])], array.shape[0]
    if X.shape[0] == 0 or X.shape[1] == 0:
        raise ValueError(f"Found array with shape {X.shape}: at least one row and one column are required")
    return columns, X.shape[0]


def check_column(series):
    coded = coded_column(series)
    if coded is not None:
        return coded
    return check_array(series, ensure_2d=False, dtype=None, ensure_all_finite="allow-nan")


def is_float_matrix(X):
    """Whether X is an array whose columns' categories are found together."""
    return type(X) is np.ndarray and X.ndim == 2 and X.dtype in (np.float32, np.float64) and X.dtype.isnative


def categories_of_floats(X):
    """Sorted distinct numbers of each column of an array of floats; an infinity is among them if there is one."""
    check_array(X, dtype=None, ensure_all_finite=False)
    found = unique_of_columns(X)
    if any(np.isinf(categories).any() for categories in found):
        check_array(X, dtype=None, ensure_all_finite="allow-nan")
    return found


class CodedColumns:
    """Columns that are coded already, for an encoder inside another estimator.

    Parameters
    ----------
    columns : list of Coded
    n_rows : int
    """

    def __init__(self, columns, n_rows):
        self.columns = columns
        self.shape = n_rows, len(columns)


class CountedColumns:
    """Columns of which the categories and how many rows have each are known.

    Parameters
    ----------
    known : list of (categories, counts)
    n_rows : int
    """

    def __init__(self, known, n_rows):
        self.known = known
        self.shape = n_rows, len(known)

    def __add__(self, other):
        known = [joined_categories(a, b, n, m) for (a, n), (b, m) in zip(self.known, other.known, strict=True)]
        return CountedColumns(known, self.shape[0] + other.shape[0])


class CategoryEncoder(Convertible, TransformerMixin, BaseEstimator):
    """Categories of each column, grouping of infrequent ones, codes."""

    def _fit_categories(self, X, need_counts=False):
        """(columns of a table, None of a source; how many rows have each category, None where nobody asks; rows)."""
        self._check_frequency_options()
        need_counts = need_counts or self._grouping
        if is_collection(X):
            X = from_dask(X)
        if isinstance(X, Blocks):
            self.categories_, counts, n_samples = self._categories_of_blocks(X)
            return None, counts, n_samples
        if isinstance(X, CountedColumns):
            self.n_features_in_ = X.shape[1]
            self.categories_ = [categories for categories, _ in X.known]
            return None, [counts for _, counts in X.known], X.shape[0]
        if not need_counts and isinstance(self.categories, str) and is_float_matrix(X):
            self.categories_ = categories_of_floats(X)
            take_names(self, X, True)
            return None, [None] * X.shape[1], X.shape[0]
        # before scikit-learn counts the columns, which it does by looking for a first row
        columns, n_samples = column_list(X)
        self.categories_, counts = self._categories_of_table(X, columns, True, need_counts)
        return columns, counts, n_samples

    def _categories_of_table(self, X, columns, reset, need_counts):
        """Categories of each column of a table, and how many rows have each."""
        if not isinstance(X, CodedColumns):
            take_names(self, X, reset)
        self.n_features_in_ = len(columns)
        if not isinstance(self.categories, str) and len(self.categories) != len(columns):
            raise ValueError(
                "Shape mismatch: if categories is an array, it has to be of shape (n_features,)."
            )
        known, counts = [], []
        for i, column in enumerate(columns):
            if isinstance(self.categories, str):
                found = unique(column, counts=need_counts)
            else:
                found = self._stated_categories(i, column, need_counts)
            known.append(found[0] if need_counts else found)
            counts.append(found[1] if need_counts else None)
        return known, counts

    def _categories_of_blocks(self, source):
        """(categories of each column of all blocks, how many rows have each, rows), in one pass."""
        with at_block(source, 0):
            X = named(source.block(0).X)
            self._categories_of_table(X, column_list(X)[0], True, True)
        encoder = detached(self)

        def categories(block):
            i, (X, *_) = block
            with at_block(source, i):
                X = named(X)
                columns, n_rows = column_list(X)
                return CountedColumns(list(zip(*encoder._categories_of_table(X, columns, False, True))), n_rows)

        found = source.sum_of(RawBlocks(source), categories)
        return *map(list, zip(*found.known)), found.shape[0]

    def _check_frequency_options(self):
        if not (isinstance(self.categories, str) and self.categories == "auto") and not isinstance(
            self.categories, (list, tuple, np.ndarray)
        ):
            raise ValueError(
                f"categories must be 'auto' or a list with the categories of each column; got "
                f"{self.categories!r}"
            )
        most, least = self.max_categories, self.min_frequency
        if most is not None and (
            isinstance(most, bool) or not isinstance(most, numbers.Integral) or most < 1
        ):
            raise ValueError(f"max_categories must be an integer >= 1 or None; got {most!r}")
        if least is not None:
            whole = isinstance(least, numbers.Integral) and not isinstance(least, bool) and least >= 1
            part = (
                isinstance(least, numbers.Real) and not isinstance(least, numbers.Integral) and 0 < least < 1
            )
            if not (whole or part):
                raise ValueError(
                    f"min_frequency must be an integer >= 1, a float between 0 and 1, or None; got {least!r}"
                )
        self._grouping = most is not None or least is not None

    def _stated_categories(self, i, column, need_counts):
        known = np.array(self.categories[i], dtype=object if column.dtype.kind == "U" else column.dtype)
        if known.dtype == object and isinstance(known[0], bytes) and column.dtype.kind != "S":
            raise ValueError(
                f"In column {i}, the predefined categories have type 'bytes' which is incompatible "
                "with values of "
                f"type '{type(column[0]).__name__}'."
            )
        if any(is_nan(value) for value in known[:-1]):
            raise ValueError(
                f"Nan should be the last element in user provided categories, see categories {known} "
                f"in column #{i}"
            )
        if known.size != len(unique(known)):
            raise ValueError(f"In column {i}, the predefined categories contain duplicate elements.")
        if known.dtype.kind not in "OUS":
            present = known[:-1] if is_nan(known[-1]) else known
            if (np.sort(present) != present).any():
                raise ValueError("Unsorted categories are not supported for numerical categories")
        if self.handle_unknown == "error" or need_counts:
            codes = encode(column, known)
            if self.handle_unknown == "error" and codes.min() < 0:
                raise ValueError(
                    f"Found unknown categories {unknown_values(column, codes)} in column {i} during fit"
                )
            if need_counts:
                return known, counts_of(codes, known.size)
        return known

    def _group_infrequent(self, counts, n_samples, skip=None):
        """Which categories are infrequent, and the codes after they share one place at the end."""
        if not self._grouping:
            self._infrequent_indices = self._grouped_codes = [None] * len(self.categories_)
            return
        self._infrequent_indices, self._grouped_codes = [], []
        for i, count in enumerate(counts):
            kept = count
            if skip and i in skip:
                kept = np.delete(count, skip[i])
            infrequent = self._infrequent(kept, n_samples)
            self._infrequent_indices.append(infrequent)
            if infrequent is None:
                self._grouped_codes.append(None)
                continue
            n_frequent = kept.size - infrequent.size
            mapping = np.full(kept.size, n_frequent, dtype=np.int64)
            frequent = np.setdiff1d(np.arange(kept.size), infrequent)
            mapping[frequent] = np.arange(n_frequent)
            self._grouped_codes.append(mapping)

    def _infrequent(self, counts, n_samples):
        if self.min_frequency is None:
            mask = np.zeros(counts.size, dtype=bool)
        elif isinstance(self.min_frequency, numbers.Integral):
            mask = counts < self.min_frequency
        else:
            mask = counts < n_samples * self.min_frequency
        n_out = counts.size - np.count_nonzero(mask) + 1
        if self.max_categories is not None and self.max_categories < n_out:
            n_frequent = self.max_categories - 1
            # Among equal counts the later categories stay, as a stable sort leaves them.
            order = np.argsort(counts, kind="stable")
            mask[order[: counts.size - n_frequent]] = True
        return np.flatnonzero(mask) if mask.any() else None

    @property
    def infrequent_categories_(self) -> Any:
        """Infrequent categories of each column; None where there are none."""
        if self.min_frequency is None and self.max_categories is None:
            raise AttributeError(
                f"infrequent_categories_ of {type(self).__name__} needs min_frequency or max_categories, got neither")
        return [
            None if indices is None else categories[indices]
            for categories, indices in zip(self.categories_, self._infrequent_indices)
        ]

    def _column_codes(self, columns, handle_unknown):
        """Codes of each column, -1 for unknown; raises for unknown ones when they are an error."""
        for i, column in enumerate(columns):
            codes = encode(column, self.categories_[i])
            n_unknown = np.count_nonzero(codes < 0)
            if n_unknown and handle_unknown == "error":
                raise ValueError(
                    f"Found unknown categories {unknown_values(column, codes)} in column {i} during transform"
                )
            yield i, codes, n_unknown

    def _columns_of(self, X):
        """:func:`column_list` of a table with the columns that ``fit`` saw."""
        require_fitted(self, "categories_")
        columns, n_samples = column_list(X)
        if not isinstance(X, CodedColumns) or len(columns) != self.n_features_in_:
            take_names(self, X, False)
        return columns, n_samples

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        tags.input_tags.allow_nan = True
        return tags


def joined_categories(a, b, counts_a, counts_b):
    """Categories of two parts of a column, in order, and how many rows have each."""
    if a.dtype.kind != b.dtype.kind and not {a.dtype.kind, b.dtype.kind} <= set("iufb"):
        a, b = a.astype(object), b.astype(object)
    if len(a) == len(b) and not (encode(b, a) != np.arange(len(b))).any():
        return a, counts_a + counts_b
    known = unique(np.concatenate([a, b]))
    total = np.zeros(len(known), dtype=np.int64)
    for part, counts in ((a, counts_a), (b, counts_b)):
        total[encode(part, known)] += counts
    return known, total


__all__ = ["CategoryEncoder", "CodedColumns", "CountedColumns", "column_list", "joined_categories"]
