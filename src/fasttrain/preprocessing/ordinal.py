"""OrdinalEncoder: one number for each category."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from sklearn.base import OneToOneFeatureMixin
from sklearn.utils.validation import check_array, check_is_fitted

from fasttrain._core.checks import check_choice
from fasttrain._core.slices import slices
from fasttrain._core.types import Array, ArrayLike, Self, TableLike
from fasttrain.data import Blocks
from fasttrain._estimators.blocks import transforms
from fasttrain._estimators.fitted import restored
from fasttrain._estimators.parameters import keep_parameters
from fasttrain._tables.categories import is_nan
from fasttrain.preprocessing.categories import CategoryEncoder
from fasttrain.preprocessing.encoding import INFREQUENT, check_width


class OrdinalEncoder(OneToOneFeatureMixin, CategoryEncoder):
    """Codes 0 ... n_categories - 1 of each column's categories.

    Parameters
    ----------
    categories : "auto" or list of array-like, default="auto"
        Categories of each column; "auto" takes those of the training data, sorted.
    dtype : number type, default=numpy.float64
    handle_unknown : {"error", "use_encoded_value"}, default="error"
        Raise for categories that ``fit`` did not see, or give them ``unknown_value``.
    unknown_value : int or numpy.nan, default=None
    encoded_missing_value : int or numpy.nan, default=numpy.nan
        What NaN becomes.
    min_frequency, max_categories : default=None
        As in :class:`OneHotEncoder`: infrequent categories share the last code.

    Attributes
    ----------
    categories_ : list of ndarray
    infrequent_categories_ : list of ndarray or None
        Only with ``min_frequency`` or ``max_categories``.
    n_features_in_, feature_names_in_
        As in every scikit-learn estimator.

    Examples
    --------
    >>> from fasttrain.preprocessing import OrdinalEncoder
    >>> OrdinalEncoder().fit_transform([["low"], ["high"], ["low"]]).ravel()
    array([1., 0., 1.])
    """

    categories: Literal["auto"] | Sequence[ArrayLike]
    dtype: Any
    handle_unknown: Literal["error", "use_encoded_value"]
    unknown_value: float | None
    encoded_missing_value: float
    min_frequency: float | None
    max_categories: int | None
    categories_: list[Array]
    n_features_in_: int
    feature_names_in_: Array

    def __init__(self, *, categories: Literal["auto"] | Sequence[ArrayLike] = "auto", dtype: Any = np.float64,
                 handle_unknown: Literal["error", "use_encoded_value"] = "error", unknown_value: float | None = None,
                 encoded_missing_value: float = np.nan, min_frequency: float | None = None,
                 max_categories: int | None = None) -> None:
        keep_parameters(self, locals())

    @restored
    def fit(self, X: TableLike, y: Any = None) -> Self:
        """Categories of each column of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), DataFrame, or a source of blocks
        y : ignored

        Returns
        -------
        self
        """
        check_choice(self.handle_unknown, "handle_unknown", ("error", "use_encoded_value"))
        self._check_unknown_value()
        _, counts, n_samples = self._fit_categories(X)
        self._missing_indices = {
            i: len(categories) - 1 for i, categories in enumerate(self.categories_) if is_nan(categories[-1])
        }
        self._group_infrequent(counts, n_samples, self._missing_indices)
        self._set_values()
        return self

    def _check_unknown_value(self):
        if self.handle_unknown == "error":
            if self.unknown_value is not None:
                raise TypeError(
                    "unknown_value should only be set when handle_unknown is 'use_encoded_value', "
                    f"got {self.unknown_value}."
                )
        elif is_nan(self.unknown_value):
            if np.dtype(self.dtype).kind != "f":
                raise ValueError(
                    "When unknown_value is np.nan, the dtype parameter should be a float dtype. "
                    f"Got {self.dtype}."
                )
        elif not isinstance(self.unknown_value, numbers.Integral):
            raise TypeError(
                "unknown_value should be an integer or np.nan when handle_unknown is "
                f"'use_encoded_value', got {self.unknown_value}."
            )

    def _check_missing_value(self):
        if not (is_nan(self.encoded_missing_value) or isinstance(self.encoded_missing_value, numbers.Integral)):
            raise TypeError(f"encoded_missing_value must be an integer or np.nan, got {self.encoded_missing_value!r}")

    def _set_values(self):
        """The number of each category of each column; the last entry is for unknown ones."""
        self._check_missing_value()
        self._values = []
        taken = []
        for i, categories in enumerate(self.categories_):
            n_present = len(categories) - (i in self._missing_indices)
            mapping = self._grouped_codes[i]
            codes = np.arange(n_present) if mapping is None else mapping
            n_codes = int(codes.max()) + 1 if n_present else 0
            if self.handle_unknown == "use_encoded_value" and 0 <= self.unknown_value < n_codes:
                raise ValueError(
                    f"The used value for unknown_value {self.unknown_value} is one of the values already used "
                    "for encoding the seen categories."
                )
            if i in self._missing_indices and 0 <= self.encoded_missing_value < n_codes:
                taken.append(i)
            values = np.zeros(len(categories) + 1, dtype=self.dtype)
            values[:n_present] = codes
            self._values.append(values)
        if self._missing_indices and np.dtype(self.dtype).kind != "f" and is_nan(self.encoded_missing_value):
            raise ValueError(
                f"There are missing values in features {list(self._missing_indices)}. For OrdinalEncoder to "
                f"encode missing values with dtype: {self.dtype}, set encoded_missing_value to a non-nan "
                "value, or set dtype to a float"
            )
        if taken:
            names = self.feature_names_in_[taken] if hasattr(self, "feature_names_in_") else taken
            raise ValueError(
                f"encoded_missing_value ({self.encoded_missing_value}) is already used to encode a known "
                f"category in features: {names}"
            )
        for i, values in enumerate(self._values):
            if i in self._missing_indices:
                values[-2] = self.encoded_missing_value
            if self.handle_unknown == "use_encoded_value":
                values[-1] = self.unknown_value

    @transforms
    def transform(self, X: TableLike | Blocks) -> Array:
        """Codes of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or DataFrame

        Returns
        -------
        ndarray of shape (n_samples, n_features)
        """
        columns, n_samples = self._columns_of(X)
        out = np.empty((n_samples, len(columns)), dtype=self.dtype)
        for i, codes, _ in self._column_codes(columns, self.handle_unknown):
            for part in slices(*out.shape):
                out[part, i] = self._values[i][codes[part]]
        return out

    def inverse_transform(self, X: ArrayLike) -> Array:
        """Categories of codes; None for ``unknown_value``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_features)
        """
        check_is_fitted(self, "categories_")
        X = check_array(X, ensure_all_finite="allow-nan")
        check_width(X, len(self.categories_))
        grouped = any(indices is not None for indices in self._infrequent_indices)
        kind = np.result_type(*[categories.dtype for categories in self.categories_])
        if grouped or self.handle_unknown == "use_encoded_value":
            kind = object
        out = np.empty(X.shape, dtype=kind)
        lenient = self.handle_unknown == "use_encoded_value"
        for i, categories in enumerate(self.categories_):
            codes = X[:, i]
            if not lenient and i not in self._missing_indices and self._infrequent_indices[i] is None:
                out[:, i] = categories[codes.astype(np.int64)]
            else:
                self._invert_column(i, codes, lenient, out[:, i])
        return out

    def _invert_column(self, i, codes, lenient, out):
        categories, infrequent = self.categories_[i], self._infrequent_indices[i]
        missing = unknown = np.zeros(len(codes), dtype=bool)
        if i in self._missing_indices:
            missing = equal_or_nan(codes, self.encoded_missing_value)
        if lenient:
            unknown = equal_or_nan(codes, self.unknown_value) & ~missing
        at = np.where(missing | unknown, 0, codes).astype(np.int64)
        known = categories
        if infrequent is not None:
            known = np.delete(categories, infrequent)
            rare = (at == int(self._grouped_codes[i].max())) & ~missing & ~unknown
            at = np.where(rare, 0, at)
        out[:] = known[at] if len(known) else None
        if infrequent is not None:
            out[rare] = INFREQUENT
        if missing.any():
            out[missing] = categories[-1]
        if unknown.any():
            out[unknown] = None


def equal_or_nan(values, wanted):
    """Where ``values`` equal ``wanted``, NaN equal to NaN."""
    return np.isnan(values) if is_nan(wanted) else values == wanted


__all__ = ["OrdinalEncoder"]
