"""Scalers with scikit-learn's parameters, attributes and answers, over kernels that read a table once."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import assert_all_finite
from sklearn.utils.sparsefuncs import (
    incr_mean_variance_axis,
    inplace_column_scale,
    mean_variance_axis,
)
from sklearn.utils.validation import FLOAT_DTYPES, check_array, check_is_fitted, validate_data

from fasttrain._core.checks import check_flag, is_plain, raise_for_status, row_weights
from fasttrain._core.types import Array, ArrayLike, Matrix, MatrixLike, Self
from fasttrain.data import Blocks
from fasttrain._estimators.blocks import learns_columns, transforms
from fasttrain._estimators.conversion import Convertible
from fasttrain._estimators.fitted import restored
from fasttrain._estimators.following import CallbackSupportMixin, with_callbacks
from fasttrain._estimators.parameters import keep_parameters
from fasttrain._kernels import columns
from fasttrain._kernels.threads import get_num_threads
from fasttrain._tables.kinds import element_strided
from fasttrain._tables.frames import named
from fasttrain._tables.moments import column_extremes, column_moments, merge_moments
from fasttrain.data._use import RawBlocks, at_block, detached, first_block


SUBTRACT_DIVIDE, MULTIPLY_ADD, MULTIPLY_ADD_CLIP = range(3)
PLAIN_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
# Any number plus this is the number itself, its sign included.
ADDS_NOTHING = -0.0



def refuse_infinity(X, estimator):
    """scikit-learn's message when X holds an infinity; sums that merely overflow are let through."""
    assert_all_finite(X, allow_nan=True, estimator_name=type(estimator).__name__, input_name="X")


def refuse_overflow(estimator, what, values):
    """An error that names the first column whose statistic has left float64; NaN stands for columns without a value."""
    lost = np.flatnonzero(np.isinf(values))
    if lost.size:
        names = getattr(estimator, "feature_names_in_", None)
        column = lost[0] if names is None else repr(str(names[lost[0]]))
        raise ValueError(
            f"column {column} of X has values so far apart that their {what} is past the largest float64; divide it by "
            "a constant, or leave the outlier out"
        )


def scale_columns(estimator, X, given, copy, a, b, kind, low=0.0, high=0.0):
    """Map X column by column, in place when that is allowed or when X is already a copy of what was
    ``given``.
    """
    a = np.ascontiguousarray(a, dtype=X.dtype)
    b = np.ascontiguousarray(b, dtype=X.dtype)
    if X.dtype == np.float16:
        refuse_infinity(X, estimator)
        out = X - a if kind == SUBTRACT_DIVIDE else X * a
        out = out / b if kind == SUBTRACT_DIVIDE else out + b
        out = np.clip(out, low, high) if kind == MULTIPLY_ADD_CLIP else out
        if not copy and X.flags.writeable:
            X[...] = out
            return X
        return out
    view = element_strided(X)
    own = X is not given and isinstance(given, np.ndarray) and not np.may_share_memory(X, given)
    if view is X and X.flags.writeable and (own or not copy):
        out = X
    elif view is not X and copy:
        out = view
    else:
        out = np.empty_like(view, subok=False)
    status, infinite = columns.scale(view, a, b, low, high, kind, out, get_num_threads())
    raise_for_status(status)
    if infinite:
        refuse_infinity(X if out is not X else np.full((1, 1), np.inf, X.dtype), estimator)
    if out is not X and not copy and X.flags.writeable:
        X[...] = out
        return X
    return out


def near_constant(var, mean, n_samples):
    """Columns whose variance is within the rounding error of the two-pass algorithm (Chan, Golub and
    LeVeque).
    """
    eps = np.finfo(np.float64).eps
    with np.errstate(over="ignore", invalid="ignore"):
        return var <= n_samples * eps * var + (n_samples * mean * eps) ** 2


def without_zeros(scale, constant=None):
    """A copy of ``scale`` with 1 where the column is constant, so that nothing is divided by zero."""
    scale = np.array(scale)
    scale[scale < 10 * np.finfo(scale.dtype).eps if constant is None else constant] = 1.0
    return scale


def refuse_centering(X, name):
    """Raise for a sparse matrix; ``name`` is the parameter that asks for centering."""
    if sparse.issparse(X):
        raise ValueError(
            f"Cannot center sparse matrices: pass `{name}=False` instead, because centering would fill every zero"
        )


def check_pair(value, name, form):
    """Raise unless ``value`` is a tuple or list of two numbers; ``form`` is how messages write it."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise TypeError(f"{name} must be a tuple {form}; got {value!r}")
    if not all(isinstance(bound, numbers.Real) for bound in value):
        raise TypeError(f"{name} must hold two numbers; got {value!r}")


class _ScalerOf:
    """From a block to a scaler that has learned from it, where ``+`` merges."""

    def __init__(self, scaler, source):
        self.scaler = detached(scaler)
        # a new one: what it learns is added to what was known
        vars(self.scaler).pop("n_samples_seen_", None)
        self.source = source

    def __call__(self, block):
        scaler, (i, (X, *_)) = detached(self.scaler), block
        X = named(X)
        with at_block(self.source, i, X):
            validate_data(scaler, X, reset=False, skip_check_array=True)
            return _Learned(scaler.partial_fit(X))


class _Learned:
    def __init__(self, scaler):
        self.scaler = scaler

    def __add__(self, other):
        scaler = detached(self.scaler)
        scaler._merge(other.scaler)
        return _Learned(scaler)


class Scaler(Convertible, OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """``(x - center) / scale`` of each column, or another line through its values, there and back."""

    # Parameters that must be True or False.
    _flags = ("copy",)
    # Formats of sparse matrices that are mapped as they come.
    _sparse_formats = False

    @transforms
    def transform(self, X: MatrixLike | Blocks) -> Matrix:
        """Scale X.

        Parameters
        ----------
        X : array-like, or a sparse matrix where the scaler takes one, of shape (n_samples, n_features)
            Of a source of blocks the answer is one as well, whose blocks are scaled when they are asked for.

        Returns
        -------
        {ndarray, sparse matrix} of shape (n_samples, n_features)
        """
        return self._mapped(X, self.copy)

    @transforms
    def inverse_transform(self, X: MatrixLike | Blocks) -> Matrix:
        """Undo :meth:`transform`.

        Parameters
        ----------
        X : array-like, or a sparse matrix where the scaler takes one, of shape (n_samples, n_features)

        Returns
        -------
        {ndarray, sparse matrix} of shape (n_samples, n_features)
        """
        return self._mapped(X, self.copy, back=True)

    def _fit_blocks(self, source, name):
        """Learn from a source of several blocks, one after the other, by the method of this name."""
        if name == "fit":
            self._reset()
        first = not hasattr(self, "n_samples_seen_")
        i, block = first_block(source)
        with at_block(source, i):
            validate_data(self, named(block.X), reset=first, skip_check_array=True)
        found = source.sum_of(RawBlocks(source), _ScalerOf(self, source)).scaler
        if first:
            vars(self).update(vars(found), **self.get_params(deep=False))
        else:
            self._merge(found)
        return self

    def _merge(self, other):
        """Take in what another scaler of the same parameters has learned."""
        raise NotImplementedError

    def _mapped(self, X, copy, back=False):
        check_is_fitted(self, "scale_")
        given = X
        X = self._inverse_validated(X) if back else self._validated(X, False, self._sparse_formats)
        return self._map(X, given, copy, *self._line(X, back))

    def _line(self, X, back):
        """What :meth:`_map` takes after ``copy``."""
        center, scale = self._used(X)
        return (MULTIPLY_ADD, scale, center) if back else (SUBTRACT_DIVIDE, center, scale)

    def _used(self, X):
        """(center, scale) for X; None stands for what changes nothing."""
        raise NotImplementedError

    def _check_flags(self):
        for name in self._flags:
            check_flag(getattr(self, name), name)

    def _reset(self):
        for name in [name for name in vars(self) if name.endswith("_") and not name.startswith("_")]:
            if name not in ("n_features_in_", "feature_names_in_"):
                delattr(self, name)

    def _validated(self, X, reset, accept_sparse=False):
        if is_plain(self, X, reset, PLAIN_DTYPES):
            return X
        # The kernels find infinities on their own way through the table.
        return validate_data(
            self,
            X,
            reset=reset,
            accept_sparse=accept_sparse,
            dtype=FLOAT_DTYPES,
            ensure_all_finite="allow-nan" if sparse.issparse(X) else False,
        )

    def _inverse_validated(self, X):
        X = check_array(
            X,
            accept_sparse=self._sparse_formats,
            dtype=FLOAT_DTYPES,
            ensure_all_finite="allow-nan" if sparse.issparse(X) else False,
            estimator=self,
            input_name="X",
        )
        if X.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {X.shape[1]} features, but {type(self).__name__} was fitted with "
                f"{self.n_features_in_}"
            )
        return X

    def _map(self, X, given, copy, kind, a, b, low=0.0, high=0.0):
        """``(x - a) / b`` or ``x a + b``, where None stands for what changes nothing; sparse matrices are scaled
        only.
        """
        dividing = kind == SUBTRACT_DIVIDE
        if sparse.issparse(X):
            X = own_sparse(X, given, copy)
            factor = b if dividing else a
            if factor is not None:
                inplace_column_scale(X, 1.0 / factor if dividing else factor)
            return X
        neutral = (0.0, 1.0) if dividing else (1.0, ADDS_NOTHING)
        a, b = (np.full(X.shape[1], n) if v is None else v for v, n in zip((a, b), neutral))
        return scale_columns(self, X, given, copy, a, b, kind, low, high)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


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
    @with_callbacks
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
        return self.partial_fit(X, y, sample_weight)

    @learns_columns
    @restored
    @with_callbacks
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
        self._check_flags()
        first = not hasattr(self, "n_samples_seen_")
        X = self._validated(X, first, ("csr", "csc"))
        n_features = X.shape[1]
        context = self._init_callback_context()
        told = {"estimator": self, "X": X, "y": y, "metadata": {"sample_weight": sample_weight}}
        if context is not None:
            context.call_on_fit_task_begin(**told)
        sample_weight = row_weights(sample_weight, X.shape[0], np.float64)
        seen = (
            np.zeros(n_features)
            if first
            else np.broadcast_to(self.n_samples_seen_, n_features).astype(np.float64)
        )
        if sparse.issparse(X):
            self._sparse_moments(X, first, seen, sample_weight)
        else:
            wanted = self.with_mean or self.with_std
            weight, mean, squares = column_moments(X, sample_weight if wanted else None)
            if not np.isfinite(mean).all():
                refuse_infinity(X, self)
            with np.errstate(over="ignore", invalid="ignore"):
                moments = merge_moments(
                    seen,
                    np.zeros(n_features) if first or self.mean_ is None else self.mean_,
                    np.zeros(n_features) if first or self.var_ is None else self.var_,
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


def own_sparse(X, given, copy):
    """A sparse matrix that may be scaled in place."""
    shared = X is given or (sparse.issparse(given) and np.may_share_memory(X.data, given.data))
    return X.copy() if (copy and shared) or not X.data.flags.writeable else X


class ExtremesScaler(Scaler):
    """Scales by the smallest and largest value of each column, of which more rows can tell."""

    _flags = ("copy", "clip")

    @learns_columns
    @restored
    def fit(self, X: MatrixLike, y: Any = None) -> Self:
        """Extremes of each column.

        Parameters
        ----------
        X : array-like, or a sparse matrix where the scaler takes one, of shape (n_samples, n_features)
            A source of blocks is read once.
        y : ignored

        Returns
        -------
        self
        """
        self._reset()
        return self.partial_fit(X, y)

    @learns_columns
    @restored
    def partial_fit(self, X: MatrixLike, y: Any = None) -> Self:
        """Update the extremes with more rows.

        Parameters
        ----------
        X : array-like, or a sparse matrix where the scaler takes one, of shape (n_samples, n_features)
        y : ignored

        Returns
        -------
        self
        """
        self._check_flags()
        first = not hasattr(self, "n_samples_seen_")
        n_samples = self._fit_part(X, first)
        self.n_samples_seen_: Any = n_samples if first else self.n_samples_seen_ + n_samples
        return self

    def _fit_part(self, X, first):
        """Take in X; returns its number of rows."""
        raise NotImplementedError

    def _merge(self, other):
        self._merge_extremes(other)
        self.n_samples_seen_ += other.n_samples_seen_

    def _merge_extremes(self, other):
        """:meth:`_merge`, the count of rows apart."""
        raise NotImplementedError

    def _finite_extremes(self, X):
        low, high = column_extremes(X)
        if np.isinf(low).any() or np.isinf(high).any():
            refuse_infinity(X, self)
        return low, high


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
