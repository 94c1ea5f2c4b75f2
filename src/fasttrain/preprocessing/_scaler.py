"""What scalers of columns share: checks, the map of a table there and back, learning block by block."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import assert_all_finite
from sklearn.utils.sparsefuncs import inplace_column_scale
from sklearn.utils.validation import FLOAT_DTYPES, check_array, validate_data

from fasttrain._core.checks import check_flag, is_plain, raise_for_status, require_fitted
from fasttrain._core.types import Matrix, MatrixLike, Self
from fasttrain.data import Blocks
from fasttrain._estimators.blocks import learns_columns, transforms
from fasttrain._estimators.conversion import Convertible
from fasttrain._estimators.fitted import restored
from fasttrain._kernels import columns
from fasttrain._kernels.threads import get_num_threads
from fasttrain._tables.kinds import element_strided
from fasttrain._tables.frames import named
from fasttrain._tables.moments import column_extremes
from fasttrain.data._use import RawBlocks, at_block, detached, first_block

SUBTRACT_DIVIDE, MULTIPLY_ADD, MULTIPLY_ADD_CLIP = range(3)
PLAIN_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
EPS = np.finfo(np.float64).eps
# Any number plus this is the number itself, its sign included.
ADDS_NOTHING = -0.0


def refuse_infinity(X, estimator):
    """scikit-learn's message when X holds an infinity; sums that merely overflow are let through."""
    assert_all_finite(X, allow_nan=True, estimator_name=type(estimator).__name__, input_name="X")


def refuse_overflow(estimator, what, values):
    """An error that names the first column whose statistic has left float64; NaN stands for columns without a value."""
    infinite = np.isinf(values)
    if infinite.any():
        lost = np.flatnonzero(infinite)
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
    with np.errstate(over="ignore", invalid="ignore"):
        return var <= n_samples * EPS * var + (n_samples * mean * EPS) ** 2


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


def own_sparse(X, given, copy):
    """A sparse matrix that may be scaled in place."""
    shared = X is given or (sparse.issparse(given) and np.may_share_memory(X.data, given.data))
    return X.copy() if (copy and shared) or not X.data.flags.writeable else X


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
        require_fitted(self, "scale_")
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
        return self._learn(X)

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
        return self._learn(X)

    def _learn(self, X):
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
