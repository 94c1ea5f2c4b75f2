"""Scalers by extremes and by quantiles, and quantiles of columns by selection."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from scipy.stats import norm
from sklearn.utils.sparsefuncs import min_max_axis
from sklearn.utils.validation import FLOAT_DTYPES, validate_data

from fasttrain._core.checks import all_finite, is_plain, raise_for_status
from fasttrain._core.types import Array, MatrixLike, Self
from fasttrain._estimators.blocks import learns_columns
from fasttrain._estimators.fitted import restored
from fasttrain._estimators.parameters import keep_parameters
from fasttrain._kernels import quantiles
from fasttrain._kernels.threads import get_num_threads
from fasttrain._tables.frames import named
from fasttrain._tables.moments import kernel_view
from fasttrain._tables.sketch import QuantileSketch
from fasttrain.data._use import RawBlocks, at_block, detached
from fasttrain.preprocessing._scaler import (
    PLAIN_DTYPES, ExtremesScaler, Scaler, check_pair, refuse_centering, refuse_overflow, without_zeros,
)


def column_quantiles(X, fractions):
    """Quantiles of each column, NaN skipped.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), float
    fractions : sequence of float in [0, 1]

    Returns
    -------
    ndarray of shape (len(fractions), n_features), float64
        NaN where a column holds nothing.
    """
    fractions = np.array(fractions, dtype=np.float64)
    out = np.empty((fractions.size, X.shape[1]))
    raise_for_status(quantiles.quantiles(kernel_view(X), fractions, out, get_num_threads()))
    return out


class MaxAbsScaler(ExtremesScaler):
    """Scale columns so that the largest absolute value is 1; zeros stay zeros.

    ``x / max |x|``. Missing values are skipped in ``fit`` and kept in ``transform``.

    Parameters
    ----------
    copy : bool, default=True
        False scales in place where X is a writeable array of floats.
    clip : bool, default=False
        Whether to clip new data to [-1, 1].

    Attributes
    ----------
    scale_, max_abs_ : ndarray of shape (n_features,)
        ``scale_`` has 1 where ``max_abs_`` is 0.
    n_samples_seen_ : int
    n_features_in_, feature_names_in_
        As in every scikit-learn estimator.

    Examples
    --------
    >>> import numpy as np
    >>> from fasttrain.preprocessing import MaxAbsScaler
    >>> MaxAbsScaler().fit_transform(np.array([[1.0], [-4.0]])).ravel()
    array([ 0.25, -1.  ])
    """

    copy: bool
    clip: bool
    scale_: Array
    max_abs_: Array
    n_samples_seen_: int
    n_features_in_: int
    feature_names_in_: Array

    _sparse_formats = ("csr", "csc")

    def __init__(self, *, copy: bool = True, clip: bool = False) -> None:
        keep_parameters(self, locals())

    def _fit_part(self, X, first):
        X = self._validated(X, first, self._sparse_formats)
        if sparse.issparse(X):
            low, high = min_max_axis(X, axis=0, ignore_nan=True)
        else:
            low, high = self._finite_extremes(X)
        max_abs = np.maximum(np.abs(low), np.abs(high))
        self.max_abs_ = max_abs if first else np.maximum(self.max_abs_, max_abs)
        self.scale_ = without_zeros(self.max_abs_)
        return X.shape[0]

    def _merge_extremes(self, other):
        self.max_abs_ = np.maximum(self.max_abs_, other.max_abs_)
        self.scale_ = without_zeros(self.max_abs_)

    def _mapped(self, X, copy, back=False):
        X = super()._mapped(X, copy, back)
        if self.clip and not back:
            values = X.data if sparse.issparse(X) else X
            np.clip(values, -1.0, 1.0, out=values)
        return X

    def _used(self, X):
        return None, self.scale_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class RobustScaler(Scaler):
    """Center columns at their median and scale them by the distance of two quantiles.

    ``(x - median) / (q_max - q_min)``; outliers move neither. Missing values are skipped in ``fit`` and kept
    in ``transform``. Quantiles are found by selection, without a sort.

    Parameters
    ----------
    with_centering : bool, default=True
        Must be False for sparse matrices.
    with_scaling : bool, default=True
    quantile_range : tuple (q_min, q_max), 0 <= q_min <= q_max <= 100, default=(25.0, 75.0)
    copy : bool, default=True
        False scales in place where X is a writeable array of floats.
    unit_variance : bool, default=False
        Whether to scale so that a normal column comes out with variance 1.

    Attributes
    ----------
    center_, scale_ : ndarray of shape (n_features,) or None
    n_features_in_, feature_names_in_
        As in every scikit-learn estimator.

    Examples
    --------
    >>> import numpy as np
    >>> from fasttrain.preprocessing import RobustScaler
    >>> RobustScaler().fit_transform(np.array([[1.0], [2.0], [3.0], [4.0], [500.0]])).ravel()
    array([ -1. ,  -0.5,   0. ,   0.5, 248.5])
    """

    with_centering: bool
    with_scaling: bool
    quantile_range: tuple[float, float]
    copy: bool
    unit_variance: bool
    center_: Array | None
    scale_: Array | None
    n_features_in_: int
    feature_names_in_: Array

    _flags = ("with_centering", "with_scaling", "copy", "unit_variance")
    _sparse_formats = ("csr", "csc")

    def __init__(self, *, with_centering: bool = True, with_scaling: bool = True,
                 quantile_range: tuple[float, float] = (25.0, 75.0), copy: bool = True,
                 unit_variance: bool = False) -> None:
        keep_parameters(self, locals())

    @learns_columns
    @restored
    def fit(self, X: MatrixLike, y: Any = None) -> Self:
        """Median and quantiles of each column.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Quantiles of a source of blocks are those of a sketch: at most 0.05 % of the rows away from where they
            should be for up to 32 blocks, 0.1 % for up to 1024.
        y : ignored

        Returns
        -------
        self
        """
        self._check_flags()
        q_min, q_max = self._range()
        if not (is_plain(self, X, True, PLAIN_DTYPES) and all_finite(X)):
            X = validate_data(self, X, accept_sparse="csc", dtype=FLOAT_DTYPES, ensure_all_finite="allow-nan")
        if self.with_centering:
            refuse_centering(X, "with_centering")
        fractions = np.array([q_min, 50.0, q_max]) / 100
        if sparse.issparse(X):
            found = np.column_stack(
                [column_quantiles(dense_column(X, j), fractions) for j in range(X.shape[1])]
            )
        else:
            found = column_quantiles(X, fractions)
        return self._set_quantiles(found, X.dtype)

    def _fit_blocks(self, source, name):
        self._check_flags()
        q_min, q_max = self._range()
        dtype = self._checked_block(source, 0, named(source.block(0).X), True).dtype
        scaler = detached(self)

        def sketch(block):
            i, (X, *_) = block
            return QuantileSketch.of(scaler._checked_block(source, i, named(X), False))

        found = source.sum_of(RawBlocks(source), sketch)
        return self._set_quantiles(found.quantiles(np.array([q_min, 50.0, q_max]) / 100), dtype)

    def _checked_block(self, source, i, X, reset):
        with at_block(source, i, X):
            X = validate_data(
                self, X, reset=reset, accept_sparse="csc", dtype=FLOAT_DTYPES, ensure_all_finite="allow-nan")
            if sparse.issparse(X):
                raise TypeError("RobustScaler takes dense blocks of a source only: scale by MaxAbsScaler instead")
        return X

    def _set_quantiles(self, found, dtype):
        q_min, q_max = self.quantile_range
        with np.errstate(over="ignore"):
            distance = found[2] - found[0]
        if self.with_scaling:
            refuse_overflow(self, "interquantile range", distance)
        self.center_ = found[1].astype(dtype) if self.with_centering else None
        self.scale_ = None
        if self.with_scaling:
            self.scale_ = without_zeros(distance)
            if self.unit_variance:
                self.scale_ = self.scale_ / (norm.ppf(q_max / 100.0) - norm.ppf(q_min / 100.0))
        return self

    def _range(self):
        bounds = self.quantile_range
        check_pair(bounds, "quantile_range", "(q_min, q_max)")
        if not 0 <= bounds[0] <= bounds[1] <= 100:
            raise ValueError(f"Invalid quantile range: {bounds!r}; 0 <= q_min <= q_max <= 100 is accepted")
        return bounds

    def _used(self, X):
        return self.center_ if self.with_centering else None, self.scale_ if self.with_scaling else None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = not self.with_centering
        return tags


def dense_column(X, j):
    """Column j of a CSC matrix with its zeros, of shape (n_samples, 1)."""
    column = np.zeros((X.shape[0], 1), dtype=X.dtype)
    values = X.data[X.indptr[j] : X.indptr[j + 1]]
    column[: values.size, 0] = values
    return column


__all__ = ["MaxAbsScaler", "RobustScaler", "column_quantiles"]
