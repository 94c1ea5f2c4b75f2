"""Scalers with scikit-learn's parameters, attributes and answers, over kernels that read a table once."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.sparsefuncs import incr_mean_variance_axis, mean_variance_axis

from fasttrain._core.checks import all_finite, row_weights
from fasttrain._core.types import Array, ArrayLike, Matrix, MatrixLike, Self
from fasttrain.data import Blocks
from fasttrain._estimators.blocks import learns_columns, transforms
from fasttrain._estimators.fitted import restored
from fasttrain._estimators.following import CallbackSupportMixin, managed
from fasttrain._estimators.parameters import keep_parameters
from fasttrain._tables.moments import column_moments, merge_moments
from fasttrain.preprocessing._scaler import (
    MULTIPLY_ADD, MULTIPLY_ADD_CLIP, SUBTRACT_DIVIDE, ExtremesScaler, Scaler, check_pair, near_constant,
    refuse_centering, refuse_infinity, refuse_overflow, without_zeros,
)


class StandardScaler(CallbackSupportMixin, Scaler):
    """Center columns to mean 0 and scale them to standard deviation 1.

    ``z = (x - mean) / std``, std dividing by n. Missing values are skipped in ``fit`` and kept in
    ``transform``; the variance of a constant column counts as 1. float32 and float64 stay what they are,
    statistics are float64.

    Parameters
    ----------
    copy : bool, default=True
        False scales in place where X is a writeable array of floats; X may be partly scaled when an infinity
        is refused.
    with_mean : bool, default=True
        Whether to center; must be False for sparse matrices.
    with_std : bool, default=True
        Whether to scale.

    Attributes
    ----------
    scale_ : ndarray of shape (n_features,) or None
        What columns are divided by.
    mean_, var_ : ndarray of shape (n_features,) or None
    n_samples_seen_ : float or ndarray of shape (n_features,)
        Values present (or their weights); one number when all columns have as many.
    n_features_in_, feature_names_in_
        As in every scikit-learn estimator.

    References
    ----------
    Chan, Golub and LeVeque, Algorithms for computing the sample variance, The American Statistician 37.3,
    1983.

    Examples
    --------
    >>> import numpy as np
    >>> from fasttrain.preprocessing import StandardScaler
    >>> StandardScaler().fit_transform(np.array([[0.0, 5.0], [2.0, 5.0]]))
    array([[-1.,  0.],
           [ 1.,  0.]])
    """

    copy: bool
    with_mean: bool
    with_std: bool
    scale_: Array | None
    mean_: Array | None
    var_: Array | None
    n_samples_seen_: float | Array
    n_features_in_: int
    feature_names_in_: Array

    _flags = ("copy", "with_mean", "with_std")
    _sparse_formats = "csr"

    def __init__(self, *, copy: bool = True, with_mean: bool = True, with_std: bool = True) -> None:
        keep_parameters(self, locals())

    @learns_columns
    @restored
    @managed
    def fit(self, X: MatrixLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Mean and standard deviation of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or a source of blocks
        y : ignored
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self
        """
        self._reset()
        return self._learn(X, y, sample_weight)

    @learns_columns
    @restored
    @managed
    def partial_fit(self, X: MatrixLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Update mean and standard deviation with more rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : ignored
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self
        """
        return self._learn(X, y, sample_weight)

    def _learn(self, X, y, sample_weight):
        self._check_flags()
        first = not hasattr(self, "n_samples_seen_")
        X = self._validated(X, first, ("csr", "csc"))
        context = self._init_callback_context() if "_skl_callbacks" in vars(self) else None
        told = {"estimator": self, "X": X, "y": y, "metadata": {"sample_weight": sample_weight}}
        if context is not None:
            context.call_on_fit_task_begin(**told)
        sample_weight = row_weights(sample_weight, X.shape[0], np.float64)
        if sparse.issparse(X):
            self._sparse_moments(X, first, self._seen(X.shape[1], first), sample_weight)
        else:
            wanted = self.with_mean or self.with_std
            weight, mean, squares = column_moments(X, sample_weight if wanted else None)
            if not all_finite(mean):
                refuse_infinity(X, self)
            with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
                if first:
                    moments = weight, mean, squares / weight
                else:
                    zeros = np.zeros(X.shape[1])
                    moments = merge_moments(
                        self._seen(X.shape[1], first),
                        zeros if self.mean_ is None else self.mean_,
                        zeros if self.var_ is None else self.var_,
                        weight,
                        mean,
                        squares,
                    )
            if self.with_std:
                refuse_overflow(self, "variance", moments[2])
            # counts of each column stay of the kind that they are
            floats = not first and np.ndim(self.n_samples_seen_) == 1 and self.n_samples_seen_.dtype.kind == "f"
            self._set_moments(*moments, weighted=floats or sample_weight is not None)
        self._set_scale()
        if context is not None:
            context.call_on_fit_task_end(**told, reconstruction_attributes={})
        return self

    def _seen(self, n_features, first):
        """How many rows each column has been learned from."""
        if first:
            return np.zeros(n_features)
        return np.broadcast_to(self.n_samples_seen_, n_features).astype(np.float64)

    def _merge(self, other):
        parts = []
        for scaler in (self, other):
            zeros = np.zeros(self.n_features_in_)
            weight = np.broadcast_to(scaler.n_samples_seen_, len(zeros)).astype(np.float64)
            parts.append((weight, *(
                zeros if value is None else value for value in (scaler.mean_, scaler.var_))))
        weight, mean, var = parts[1]
        with np.errstate(over="ignore", invalid="ignore"):
            moments = merge_moments(*parts[0], weight, mean, var * weight)
        if self.with_std:
            refuse_overflow(self, "variance", moments[2])
        kept = self.mean_ is not None
        self._set_moments(*moments, weighted=np.asarray(self.n_samples_seen_).dtype.kind == "f")
        if not kept:
            # of a sparse matrix without with_std there is none
            self.mean_ = None
        self._set_scale()

    def _set_moments(self, weight, mean, var, weighted=False):
        wanted = self.with_mean or self.with_std
        self.mean_ = mean if wanted else None
        self.var_ = var if self.with_std else None
        # Counts of values are integers only where no mean is kept and nothing is weighed, as in scikit-learn.
        self.n_samples_seen_ = weight if wanted or weighted else weight.astype(np.int64)

    def _set_scale(self):
        if (self.n_samples_seen_ == self.n_samples_seen_[0]).all():
            self.n_samples_seen_ = self.n_samples_seen_[0]
        if self.with_std:
            constant = near_constant(self.var_, self.mean_, self.n_samples_seen_)
            self.scale_ = without_zeros(np.sqrt(self.var_), constant)
        else:
            self.scale_ = None

    def _sparse_moments(self, X, first, seen, sample_weight):
        if self.with_mean:
            refuse_centering(X, "with_mean")
        if not self.with_std:
            weights = np.ones(X.shape[0]) if sample_weight is None else sample_weight
            absent = type(X)((np.isnan(X.data).astype(np.float64), X.indices, X.indptr), shape=X.shape)
            self.mean_ = self.var_ = None
            present = seen + (weights.sum() - absent.T @ weights)
            self.n_samples_seen_ = present if sample_weight is not None else present.astype(np.int64)
            return
        weights = None if sample_weight is None else sample_weight.astype(X.dtype)
        if first:
            mean, var, total = mean_variance_axis(X, axis=0, weights=weights, return_sum_weights=True)
        else:
            mean, var, total = incr_mean_variance_axis(
                X,
                axis=0,
                last_mean=self.mean_.astype(X.dtype),
                last_var=self.var_.astype(X.dtype),
                last_n=seen.astype(X.dtype),
                weights=weights,
            )
        self.mean_ = mean.astype(np.float64, copy=False)
        self.var_ = var.astype(np.float64, copy=False)
        self.n_samples_seen_ = np.broadcast_to(total, X.shape[1]).astype(np.float64)

    @transforms
    def transform(self, X: MatrixLike | Blocks, copy: bool | None = None) -> Matrix:
        """Center and scale X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        copy : bool, default=None
            In place of the estimator's ``copy``.

        Returns
        -------
        {ndarray, sparse matrix} of shape (n_samples, n_features)
        """
        return self._mapped(X, self.copy if copy is None else copy)

    def _used(self, X):
        if self.with_mean:
            refuse_centering(X, "with_mean")
        return self.mean_ if self.with_mean else None, self.scale_ if self.with_std else None

    @transforms
    def inverse_transform(self, X: MatrixLike | Blocks, copy: bool | None = None) -> Matrix:
        """Undo :meth:`transform`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        copy : bool, default=None
            In place of the estimator's ``copy``.

        Returns
        -------
        {ndarray, sparse matrix} of shape (n_samples, n_features)
        """
        return self._mapped(X, self.copy if copy is None else copy, back=True)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = not self.with_mean
        return tags


class MinMaxScaler(ExtremesScaler):
    """Scale columns to a range.

    ``x scale_ + min_`` with ``scale_ = (b - a) / (max - min)`` and ``min_ = a - min scale_`` for the range
    (a, b). Missing values are skipped in ``fit`` and kept in ``transform``; a constant column goes to a.

    Parameters
    ----------
    feature_range : tuple (a, b), default=(0, 1)
    copy : bool, default=True
        False scales in place where X is a writeable array of floats; X may be partly scaled when an infinity
        is refused.
    clip : bool, default=False
        Whether to clip new data to the range.

    Attributes
    ----------
    min_, scale_ : ndarray of shape (n_features,)
    data_min_, data_max_, data_range_ : ndarray of shape (n_features,)
    n_samples_seen_ : int
    n_features_in_, feature_names_in_
        As in every scikit-learn estimator.

    Examples
    --------
    >>> import numpy as np
    >>> from fasttrain.preprocessing import MinMaxScaler
    >>> MinMaxScaler().fit_transform(np.array([[1.0], [2.0], [5.0]])).ravel()
    array([0.  , 0.25, 1.  ])
    """

    feature_range: tuple[float, float]
    copy: bool
    clip: bool
    min_: Array
    scale_: Array
    data_min_: Array
    data_max_: Array
    data_range_: Array
    n_samples_seen_: int
    n_features_in_: int
    feature_names_in_: Array

    def __init__(self, feature_range: tuple[float, float] = (0, 1), *, copy: bool = True, clip: bool = False) -> None:
        keep_parameters(self, locals())

    def _fit_part(self, X, first):
        self._range()
        if sparse.issparse(X):
            raise TypeError(
                "MinMaxScaler does not support sparse input. Consider using MaxAbsScaler instead."
            )
        X = self._validated(X, first)
        data_min, data_max = self._finite_extremes(X)
        if not first:
            data_min = np.fmin(self.data_min_, data_min)
            data_max = np.fmax(self.data_max_, data_max)
        self._set_extremes(data_min, data_max)
        return X.shape[0]

    def _merge_extremes(self, other):
        self._set_extremes(np.fmin(self.data_min_, other.data_min_), np.fmax(self.data_max_, other.data_max_))

    def _set_extremes(self, data_min, data_max):
        low, high = self.feature_range
        with np.errstate(over="ignore"):
            data_range = data_max - data_min
        refuse_overflow(self, "range", data_range)
        self.data_min_, self.data_max_, self.data_range_ = data_min, data_max, data_range
        self.scale_ = (high - low) / without_zeros(self.data_range_)
        self.min_ = low - data_min * self.scale_

    def _range(self):
        check_pair(self.feature_range, "feature_range", "(low, high)")
        low, high = self.feature_range
        if low >= high:
            raise ValueError(
                f"Minimum of desired feature range must be smaller than maximum. Got {self.feature_range!r}."
            )
        return low, high

    def _line(self, X, back):
        if back:
            return SUBTRACT_DIVIDE, self.min_, self.scale_
        kind = MULTIPLY_ADD_CLIP if self.clip else MULTIPLY_ADD
        return kind, self.scale_, self.min_, *self.feature_range


__all__ = ["MinMaxScaler", "StandardScaler"]
