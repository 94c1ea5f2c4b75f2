"""Dropping rows in pipelines: samplers that learn on training data, report what went, and apply to new data."""

from __future__ import annotations

from dataclasses import dataclass, field
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from fasttrain._core.types import Array, ArrayLike, Self, TableLike
from fasttrain._estimators.fitted import restored
from fasttrain._estimators.parameters import keep_parameters
from fasttrain._tables.frames import Table, aligned, as_rows, refuse_empty
from fasttrain.preprocessing.cleaning import answer, duplicate_rows, inside_rows, missing_rows, outlier_bounds


@dataclass(frozen=True)
class RowReport:
    """How many rows went and why.

    Attributes
    ----------
    n_rows : int
        Rows that came.
    n_dropped : int
        Rows that went.
    reasons : dict
        Column name to the number of rows where that column was a reason; a row can count under several.
        Duplicates have one entry, "duplicate".
    """

    n_rows: int
    n_dropped: int
    reasons: dict[str, int] = field(default_factory=dict)

    @property
    def n_kept(self) -> int:
        """Rows that are left."""
        return self.n_rows - self.n_dropped

    def __str__(self) -> str:
        told = ", ".join(f"{name}: {count}" for name, count in self.reasons.items() if count)
        return f"{self.n_dropped} of {self.n_rows} rows dropped" + (f" ({told})" if told else "")


def report_of(mask, reasons):
    """The report of a mask of rows kept; columns that were no reason for any row are left out."""
    told = {name: count for name, count in reasons.items() if count}
    return RowReport(mask.shape[0], int(mask.shape[0] - np.count_nonzero(mask)), told)


def check_table(X):
    """What scikit-learn's estimators refuse: one dimension, no rows or columns, complex numbers."""
    if len(X.shape) != 2:
        raise ValueError(
            f"Expected 2D array, got 1D array instead: shape {X.shape}. Reshape your data using "
            "X.reshape(-1, 1) for one column or X.reshape(1, -1) for one row."
        )
    refuse_empty(X)
    if getattr(getattr(X, "dtype", None), "kind", "") == "c":
        raise ValueError("Complex data not supported: pass real numbers, strings or objects")


class _RowDropper(BaseEstimator):
    """Shared by the samplers. They have no ``transform``: pipelines would take a change of rows for one of
    columns.
    """

    report_: RowReport
    sample_indices_: Array

    @restored
    def fit(self, X: TableLike, y: Any = None) -> Self:
        """Learn what :meth:`mask` needs from X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or DataFrame
        y : ignored

        Returns
        -------
        self
        """
        X = as_rows(X, "X")
        check_table(X)
        validate_data(self, X, reset=True, skip_check_array=True)
        self._learn(X)
        return self

    def _learn(self, X):
        """Statistics of X that the mask depends on; most samplers have none."""

    def _rows(self, X, y):
        """(mask of rows kept, how many rows each column was a reason for)."""
        raise NotImplementedError

    def mask(self, X: TableLike, y: ArrayLike | None = None) -> Array:
        """Rows of X to keep.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or DataFrame
            New data with the columns that ``fit`` saw.
        y : array-like of shape (n_samples,), default=None

        Returns
        -------
        ndarray of shape (n_samples,), bool
        """
        check_is_fitted(self, "n_features_in_")
        X, y, _ = aligned(X, y, None)
        validate_data(self, X, reset=False, skip_check_array=True)
        mask, reasons = self._rows(X, y)
        self.report_ = report_of(mask, reasons)
        return mask

    def drop(self, X: TableLike, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None) -> Any:
        """Drop rows of new data by what ``fit`` learned.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or DataFrame
        y, sample_weight : array-like with n_samples rows, default=None

        Returns
        -------
        X, y, sample_weight
            What was passed, without those rows; X alone when it came alone.
        """
        X, y, sample_weight = aligned(X, y, sample_weight)
        return answer(X, y, sample_weight, self.mask(X, y), False)

    def fit_resample(self, X: TableLike, y: ArrayLike | None = None,
                     sample_weight: ArrayLike | None = None) -> Any:
        """``fit`` on X, then drop its rows; what a pipeline of samplers calls.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or DataFrame
        y, sample_weight : array-like with n_samples rows, default=None

        Returns
        -------
        X, y, sample_weight
            What was passed, without those rows; X alone when it came alone. ``sample_indices_`` has the rows
            kept, ``report_`` how many went and why.
        """
        X, y, sample_weight = aligned(X, y, sample_weight)
        mask = self.fit(X, y).mask(X, y)
        self.sample_indices_ = np.flatnonzero(mask)
        return answer(X, y, sample_weight, mask, False)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags


class DropMissing(_RowDropper):
    """Sampler that drops rows with missing values; see :func:`drop_missing` for the parameters.

    Attributes
    ----------
    report_ : RowReport
        Of the last ``mask``, ``drop`` or ``fit_resample``.
    sample_indices_ : ndarray of shape (n_kept,)
        Rows that ``fit_resample`` kept.
    n_features_in_, feature_names_in_
        As in every scikit-learn estimator.

    Examples
    --------
    >>> import numpy as np
    >>> from fasttrain.preprocessing import DropMissing
    >>> sampler = DropMissing()
    >>> X, y = sampler.fit_resample(np.array([[1.0], [np.nan]]), np.array([0, 1]))
    >>> print(sampler.report_)
    1 of 2 rows dropped (0: 1)
    """

    subset: Sequence[Any] | None
    how: Literal["any", "all"]
    min_present: int | None
    missing_values: Any
    include_y: bool
    report_: RowReport
    sample_indices_: Array
    n_features_in_: int
    feature_names_in_: Array

    def __init__(self, *, subset: Sequence[Any] | None = None, how: Literal["any", "all"] = "any",
                 min_present: int | None = None, missing_values: Any = (), include_y: bool = True) -> None:
        keep_parameters(self, locals())

    def _rows(self, X, y):
        return missing_rows(
            X, y, self.subset, self.how, self.min_present, self.missing_values, self.include_y, True
        )


class DropDuplicates(_RowDropper):
    """Sampler that drops rows repeating another one; see :func:`drop_duplicates` for the parameters.

    Attributes
    ----------
    report_ : RowReport
        Of the last ``mask``, ``drop`` or ``fit_resample``.
    sample_indices_ : ndarray of shape (n_kept,)
        Rows that ``fit_resample`` kept.
    n_features_in_, feature_names_in_
        As in every scikit-learn estimator.

    Examples
    --------
    >>> import numpy as np
    >>> from fasttrain.preprocessing import DropDuplicates
    >>> sampler = DropDuplicates(include_y=False)
    >>> X, y = sampler.fit_resample(np.array([[1.0], [1.0], [2.0]]), np.array([0, 1, 0]))
    >>> sampler.sample_indices_
    array([0, 2])
    """

    subset: Sequence[Any] | None
    keep: Literal["first", "last", "none", False]
    include_y: bool
    report_: RowReport
    sample_indices_: Array
    n_features_in_: int
    feature_names_in_: Array

    def __init__(self, *, subset: Sequence[Any] | None = None, keep: Literal["first", "last", "none", False] = "first",
                 include_y: bool = True) -> None:
        keep_parameters(self, locals())

    def _rows(self, X, y):
        return duplicate_rows(X, y, self.subset, self.keep, self.include_y)


class DropOutliers(_RowDropper):
    """Sampler that drops rows with outliers, by bounds learned in ``fit``; see :func:`drop_outliers` for the
    parameters.

    Attributes
    ----------
    lower_, upper_ : ndarray of shape (n_features,), float64
        Bounds of each column; infinite for columns not looked at.
    report_ : RowReport
        Of the last ``mask``, ``drop`` or ``fit_resample``.
    sample_indices_ : ndarray of shape (n_kept,)
        Rows that ``fit_resample`` kept.
    n_features_in_, feature_names_in_
        As in every scikit-learn estimator.

    Examples
    --------
    >>> import numpy as np
    >>> from fasttrain.preprocessing import DropOutliers
    >>> sampler = DropOutliers(method="zscore", threshold=1).fit(np.array([[-1.0], [1.0]]))
    >>> sampler.mask(np.array([[0.5], [7.0]]))
    array([ True, False])
    """

    method: Literal["absolute", "zscore", "iqr", "mad"]
    threshold: Any
    subset: Sequence[Any] | None
    lower_: Array
    upper_: Array
    report_: RowReport
    sample_indices_: Array
    n_features_in_: int
    feature_names_in_: Array

    def __init__(self, *, method: Literal["absolute", "zscore", "iqr", "mad"] = "iqr", threshold: Any = None,
                 subset: Sequence[Any] | None = None) -> None:
        keep_parameters(self, locals())

    def _learn(self, X):
        n_features = len(Table(X).names)
        self.lower_ = np.full(n_features, -np.inf)
        self.upper_ = np.full(n_features, np.inf)
        positions, low, high = outlier_bounds(X, self.method, self.threshold, self.subset)
        self.lower_[positions] = low
        self.upper_[positions] = high
        self._positions = positions

    def _rows(self, X, y):
        low, high = self.lower_[self._positions], self.upper_[self._positions]
        return inside_rows(X, self._positions, low, high, reported=True)


__all__ = ["DropDuplicates", "DropMissing", "DropOutliers", "RowReport"]
