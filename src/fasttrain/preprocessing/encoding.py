"""Encoders with scikit-learn's parameters, attributes and answers: categories to codes, codes to one-hot
rows.
"""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from scipy import sparse
from sklearn import get_config
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from fasttrain._core.checks import check_choice, check_flag
from fasttrain._core.slices import ones
from fasttrain._core.types import Array, ArrayLike, Matrix, MatrixLike, Self, TableLike
from fasttrain._estimators.conversion import Convertible
from fasttrain._estimators.fitted import restored
from fasttrain._estimators.parameters import keep_parameters
from fasttrain._kernels import categories as kernels
from fasttrain._kernels.threads import get_num_threads
from fasttrain._tables.categories import (
    SMALL_SPAN, coded_column, counts_of, encode, integers, is_nan, unique, unknown_values,
)
from fasttrain._tables.kinds import is_pandas, is_polars

INFREQUENT = "infrequent_sklearn"


def column_list(X):
    """(columns of a table as vectors of NumPy, number of rows)."""
    if isinstance(X, CodedColumns):
        return X.columns, X.shape[0]
    if is_polars(X):
        columns = [check_column(X.to_series(i)) for i in range(X.shape[1])]
    elif is_pandas(X) and X.ndim == 2:
        columns = [check_column(X.iloc[:, i]) for i in range(X.shape[1])]
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


def check_width(X, n_columns):
    """Raise unless ``inverse_transform`` is given as many columns as ``transform`` gives."""
    if X.shape[1] != n_columns:
        raise ValueError(f"Shape of the passed X data is not correct. Expected {n_columns} columns, got {X.shape[1]}.")


def names_in(estimator, input_features):
    """Names of the input columns of a fitted estimator, those given checked against those that ``fit`` saw."""
    known = getattr(estimator, "feature_names_in_", None)
    if input_features is None:
        if known is not None:
            return known
        return np.array([f"x{i}" for i in range(estimator.n_features_in_)], dtype=object)
    names = np.asarray(input_features, dtype=object)
    if known is not None and not np.array_equal(known, names):
        raise ValueError("input_features is not equal to feature_names_in_")
    if len(names) != estimator.n_features_in_:
        raise ValueError(
            f"input_features should have length equal to number of features ({estimator.n_features_in_}), "
            f"got {len(names)}"
        )
    return names


class CodedColumns:
    """Columns that are coded already, for an encoder inside another estimator.

    Parameters
    ----------
    columns : list of Coded
    n_rows : int
    """

    def __init__(self, columns, n_rows):
        self.columns = columns
        self.shape: Any = n_rows, len(columns)


class CategoryEncoder(Convertible, TransformerMixin, BaseEstimator):
    """Categories of each column, grouping of infrequent ones, codes."""

    def _fit_categories(self, X, need_counts=False):
        self._check_frequency_options()
        # before scikit-learn counts the columns, which it does by looking for a first row
        columns, n_samples = column_list(X)
        validate_data(self, X, reset=True, skip_check_array=True)
        self.n_features_in_: Any = len(columns)
        if not isinstance(self.categories, str) and len(self.categories) != len(columns):
            raise ValueError(
                "Shape mismatch: if categories is an array, it has to be of shape (n_features,)."
            )
        need_counts = need_counts or self._grouping
        self.categories_, counts = [], []
        for i, column in enumerate(columns):
            if isinstance(self.categories, str):
                found = unique(column, counts=need_counts)
            else:
                found = self._stated_categories(i, column, need_counts)
            self.categories_.append(found[0] if need_counts else found)
            counts.append(found[1] if need_counts else None)
        return columns, counts, n_samples

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
        check_is_fitted(self, "categories_")
        columns, n_samples = column_list(X)
        validate_data(self, X, reset=False, skip_check_array=True)
        return columns, n_samples

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        tags.input_tags.allow_nan = True
        return tags


class OneHotEncoder(CategoryEncoder):
    """One column of zeros and ones for each category.

    Parameters
    ----------
    categories : "auto" or list of array-like, default="auto"
        Categories of each column; "auto" takes those of the training data, sorted.
    drop : {"first", "if_binary"} or array-like of shape (n_features,), default=None
        Category of each column that gets no output: its first, its first where it has two, or the one stated.
    sparse_output : bool, default=True
        CSR matrix or dense array.
    dtype : number type, default=numpy.float64
    handle_unknown : {"error", "ignore", "infrequent_if_exist", "warn"}, default="error"
        What to do with categories that ``fit`` did not see: raise, all zeros, the infrequent column where
        there is one, or that with a warning.
    min_frequency : int or float, default=None
        Categories seen less often (than this count, or this share of rows) are infrequent and share a column.
    max_categories : int, default=None
        Upper limit of output columns for an input column, the infrequent one included.
    feature_name_combiner : "concat" or callable, default="concat"
        ``(input name, category) -> output name``.

    Attributes
    ----------
    categories_ : list of ndarray
    drop_idx_ : ndarray of shape (n_features,) or None
        Index in ``categories_[i]`` of the category dropped; None inside where nothing is.
    infrequent_categories_ : list of ndarray or None
        Only with ``min_frequency`` or ``max_categories``.
    n_features_in_, feature_names_in_
        As in every scikit-learn estimator.

    Examples
    --------
    >>> from fasttrain.preprocessing import OneHotEncoder
    >>> encoder = OneHotEncoder(sparse_output=False, handle_unknown="ignore").fit([["red"], ["blue"]])
    >>> encoder.transform([["blue"], ["green"]])
    array([[1., 0.],
           [0., 0.]])
    >>> encoder.get_feature_names_out()
    array(['x0_blue', 'x0_red'], dtype=object)
    """

    categories: Literal["auto"] | Sequence[ArrayLike]
    drop: Literal["first", "if_binary"] | ArrayLike | None
    sparse_output: bool
    dtype: Any
    handle_unknown: Literal["error", "ignore", "infrequent_if_exist", "warn"]
    min_frequency: int | float | None
    max_categories: int | None
    feature_name_combiner: Literal["concat"] | Callable[..., Any]
    categories_: list[Array]
    drop_idx_: Array | None
    n_features_in_: int
    feature_names_in_: Array

    def __init__(self, *, categories: Literal["auto"] | Sequence[ArrayLike] = "auto",
                 drop: Literal["first", "if_binary"] | ArrayLike | None = None, sparse_output: bool = True,
                 dtype: Any = np.float64,
                 handle_unknown: Literal["error", "ignore", "infrequent_if_exist", "warn"] = "error",
                 min_frequency: int | float | None = None, max_categories: int | None = None,
                 feature_name_combiner: Literal["concat"] | Callable[..., Any] = "concat") -> None:
        keep_parameters(self, locals())

    @restored
    def fit(self, X: TableLike, y: Any = None) -> Self:
        """Categories of each column of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or DataFrame
        y : ignored

        Returns
        -------
        self
        """
        check_choice(
            self.handle_unknown, "handle_unknown", ("error", "ignore", "infrequent_if_exist", "warn")
        )
        check_flag(self.sparse_output, "sparse_output")
        if isinstance(self.drop, str):
            check_choice(self.drop, "drop", ("first", "if_binary"))
        if not callable(self.feature_name_combiner):
            check_choice(self.feature_name_combiner, "feature_name_combiner", ("concat",))
        _, counts, n_samples = self._fit_categories(X)
        self._group_infrequent(counts, n_samples)
        self._set_dropped()
        self._lay_out()
        return self

    def _n_grouped(self, i):
        mapping = self._grouped_codes[i]
        return len(self.categories_[i]) if mapping is None else int(mapping.max()) + 1

    def _set_dropped(self):
        """``_dropped``: code after grouping that gets no column, None for none; ``drop_idx_``: the same
        before grouping.
        """
        n_features = len(self.categories_)
        if self.drop is None:
            self._dropped, self.drop_idx_ = [None] * n_features, None
            return
        if isinstance(self.drop, str):
            first = self.drop == "first"
            self._dropped = [0 if first or self._n_grouped(i) == 2 else None for i in range(n_features)]
        else:
            self._dropped = self._stated_drops()
        self.drop_idx_ = np.empty(n_features, dtype=object)
        for i, code in enumerate(self._dropped):
            mapping = self._grouped_codes[i]
            known = code is None or mapping is None
            self.drop_idx_[i] = code if known else np.flatnonzero(mapping == code)[0]

    def _stated_drops(self):
        drop = np.asarray(self.drop, dtype=object)
        if len(drop) != len(self.categories_):
            raise ValueError(
                f"`drop` should have length equal to the number of features "
                f"({len(self.categories_)}), got {len(drop)}"
            )
        dropped, absent = [], []
        for i, (value, categories) in enumerate(zip(drop, self.categories_)):
            if is_nan(value):
                at = [len(categories) - 1] if is_nan(categories[-1]) else []
            else:
                at = np.flatnonzero(categories == value)
            if len(at) == 0:
                absent.append(f"Category: {i}, Feature: {value}")
                continue
            mapping = self._grouped_codes[i]
            if mapping is not None and at[0] in self._infrequent_indices[i]:
                raise ValueError(
                    f"Unable to drop category {value!r} from feature {i} because it is infrequent"
                )
            dropped.append(at[0] if mapping is None else mapping[at[0]])
        if absent:
            raise ValueError(
                "The following categories were supposed to be dropped, but were not found in the "
                "training data.\n" + "\n".join(absent)
            )
        return dropped

    def _lay_out(self):
        """Output column of each category of each input column; the last entry is for unknown ones, -1 for
        none.
        """
        self._out_columns, self._n_features_outs = [], []
        start = 0
        for i, categories in enumerate(self.categories_):
            n_grouped, dropped, infrequent = self._n_grouped(i), self._dropped[i], self._infrequent_indices[i]
            place = np.arange(n_grouped + 1)
            if dropped is not None:
                place[dropped + 1 :] -= 1
                place[dropped] = -1
            n_out = n_grouped - (dropped is not None)
            mapping = self._grouped_codes[i]
            columns = np.empty(len(categories) + 1, dtype=np.int64)
            columns[:-1] = place[:n_grouped] if mapping is None else place[mapping]
            columns[-1] = -1
            if infrequent is not None and self.handle_unknown in ("infrequent_if_exist", "warn"):
                columns[-1] = columns[infrequent[0]]
            columns[columns >= 0] += start
            self._out_columns.append(columns)
            self._n_features_outs.append(n_out)
            start += n_out
        self._n_out = start

    def transform(self, X: TableLike) -> Matrix:
        """One-hot rows of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or DataFrame

        Returns
        -------
        {csr_matrix, csr_array, ndarray} of shape (n_samples, n_encoded_features)
        """
        columns, n_samples = self._columns_of(X)
        if self.sparse_output:
            self._refuse_frames()
        if self.sparse_output and columns[0].dtype == np.int64 and isinstance(X, np.ndarray):
            rows = self._integer_rows(X)
            if rows is not None:
                return rows
        codes = self._place_of_each(columns, n_samples)
        return self._sparse_rows(codes) if self.sparse_output else self._dense_rows(codes)

    def _place_of_each(self, columns, n_samples):
        """Output column of each cell; below 0 for none."""
        wide = self._n_out > np.iinfo(np.int32).max or n_samples * len(columns) > np.iinfo(np.int32).max
        codes = np.empty((n_samples, len(columns)), dtype=np.int64 if wide else np.int32)
        with_unknown = []
        for i, column_codes, n_unknown in self._column_codes(columns, self.handle_unknown):
            codes[:, i] = self._out_columns[i][column_codes]
            if n_unknown:
                with_unknown.append(i)
        self._warn_of_unknown(with_unknown)
        return codes

    def _write_dense(self, X, out, start):
        """:meth:`transform` into the columns of a matrix from ``start`` on."""
        columns, n_samples = self._columns_of(X)
        codes = self._place_of_each(columns, n_samples)
        out[:, start:start + self._n_out] = 0
        kernels.one_hot_dense(codes, np.full(len(columns), start, dtype=codes.dtype), out)

    def _refuse_frames(self):
        """Raise where ``set_output`` asks for data frames, which cannot hold a sparse matrix."""
        own = getattr(self, "_sklearn_output_config", {}).get("transform")
        wanted = get_config()["transform_output"] if own is None else own
        if wanted != "default":
            name = wanted.capitalize()
            raise ValueError(
                f"{name} output does not support sparse data. Set sparse_output=False to output {wanted} dataframes "
                f'or disable {name} output via `ohe.set_output(transform="default")`.'
            )

    def _integer_rows(self, X):
        """Rows of a matrix of integers that all have an output, in one pass; None where it takes more than that."""
        known = [integers(categories) for categories in self.categories_]
        if X.dtype != np.int64 or any(values is None for values in known) or not X.flags.aligned:
            return None
        low = np.array([values.min() for values in known])
        spans = [int(values.max()) - int(values.min()) + 1 for values in known]
        if sum(spans) > SMALL_SPAN or X.size > np.iinfo(np.int32).max or any(s % 8 for s in X.strides):
            return None
        start = np.concatenate(([0], np.cumsum(spans)))
        tables = np.full(start[-1], -2, dtype=np.int32)
        for i, values in enumerate(known):
            tables[start[i] + values - low[i]] = self._out_columns[i][:-1]
        indices = np.empty(X.shape, dtype=np.int32)
        if kernels.one_hot_columns(X, low, start, tables, indices, get_num_threads()):
            return None
        indptr = np.arange(0, X.size + 1, X.shape[1], dtype=np.int32)
        return self._csr(ones(X.size, self.dtype), indices.ravel(), indptr)

    def _csr(self, data, indices, indptr):
        interface = get_config().get("sparse_interface", "spmatrix")
        kind = sparse.csr_array if interface == "sparray" else sparse.csr_matrix
        return kind((data, indices, indptr), shape=(len(indptr) - 1, self._n_out))

    def _warn_of_unknown(self, columns):
        handled = self.handle_unknown
        if not columns or not (handled == "warn" or (self.drop is not None and handled != "error")):
            return
        fate = "the infrequent category." if handled in ("warn", "infrequent_if_exist") else "all zeros"
        warnings.warn(
            f"Found unknown categories in columns {columns} during transform. These unknown "
            f"categories will be encoded as {fate}",
            UserWarning,
            stacklevel=3,
        )

    def _sparse_rows(self, codes):
        indices = np.empty(codes.size, dtype=codes.dtype)
        indptr = np.empty(codes.shape[0] + 1, dtype=codes.dtype)
        offsets = np.zeros(codes.shape[1], dtype=codes.dtype)
        n = kernels.one_hot_sparse(codes, offsets, indices, indptr, get_num_threads())
        return self._csr(ones(n, self.dtype), indices[:n], indptr)

    def _dense_rows(self, codes):
        kind = np.dtype(self.dtype)
        work = kind if kind in (np.float32, np.float64) else np.dtype(np.float32)
        out = np.zeros((codes.shape[0], self._n_out), dtype=work)
        kernels.one_hot_dense(codes, np.zeros(codes.shape[1], dtype=codes.dtype), out)
        return out.astype(kind, copy=False)

    def inverse_transform(self, X: MatrixLike) -> Array:
        """Categories of one-hot rows.

        All zeros give the dropped category, else None where unknown categories are let through.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_encoded_features)

        Returns
        -------
        ndarray of shape (n_samples, n_features)

        Raises
        ------
        ValueError
            For another number of columns, and for rows of zeros that nothing explains.
        """
        check_is_fitted(self, "categories_")
        X = check_array(X, accept_sparse="csr")
        check_width(X, self._n_out)
        grouped = [self._grouped_categories(i) for i in range(len(self.categories_))]
        out = np.empty((X.shape[0], len(grouped)), dtype=np.result_type(*[c.dtype for c in grouped]))
        unexplained = {}
        start = 0
        for i, categories in enumerate(grouped):
            dropped = self._dropped[i]
            kept = categories if dropped is None else np.delete(categories, dropped)
            if kept.size == 0:
                out[:, i] = self.categories_[i][dropped]
                continue
            block = X[:, start : start + kept.size]
            start += kept.size
            out[:, i] = kept[np.asarray(block.argmax(axis=1)).ravel()]
            empty = np.asarray(block.sum(axis=1) == 0).ravel()
            if not empty.any():
                continue
            lenient = self.handle_unknown == "ignore" or (
                self.handle_unknown in ("infrequent_if_exist", "warn") and self._infrequent_indices[i] is None
            )
            if dropped is not None:
                # Where zeros may also mean unknown, scikit-learn answers with a category before grouping.
                out[empty, i] = (self.categories_[i] if lenient else categories)[dropped]
            elif lenient:
                unexplained[i] = empty
            elif self.drop is None:
                raise ValueError(
                    f"Samples {np.flatnonzero(empty)} can not be inverted when drop=None and "
                    "handle_unknown='error' "
                    "because they contain all zeros"
                )
        if unexplained:
            out = out.astype(object, copy=False)
            for i, empty in unexplained.items():
                out[empty, i] = None
        return out

    def _grouped_categories(self, i):
        """Categories of column i after grouping, the dropped one among them."""
        categories, mapping = self.categories_[i], self._grouped_codes[i]
        if mapping is None:
            return categories
        return np.concatenate((categories[mapping < mapping.max()], np.array([INFREQUENT], dtype=object)))

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> Array:
        """Names of the output columns.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the input columns; None takes ``feature_names_in_``, else x0, x1, ...

        Returns
        -------
        ndarray of str objects
        """
        check_is_fitted(self, "categories_")
        combine = self.feature_name_combiner
        if not callable(combine):

            def combine(name, category):
                return f"{name}_{category}"

        names = []
        for i, name in enumerate(names_in(self, input_features)):
            categories = self._grouped_categories(i)
            if self._dropped[i] is not None:
                categories = np.delete(categories, self._dropped[i])
            for category in categories:
                combined = combine(name, category)
                if not isinstance(combined, str):
                    raise TypeError(
                        "When `feature_name_combiner` is a callable, it should return a Python string. "
                        f"Got {type(combined)} instead."
                    )
                names.append(combined)
        return np.array(names, dtype=object)


__all__ = ["CategoryEncoder", "OneHotEncoder"]
