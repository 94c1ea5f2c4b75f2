"""TablePreprocessor: from a table of mixed columns to one float matrix."""

import warnings

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from fasttrain._core.checks import check_choice
from fasttrain._estimators.fitted import restored
from fasttrain._estimators.parameters import keep_parameters
from fasttrain._tables.categories import encode, unique, unknown_values
from fasttrain._tables.frames import Table, refuse_empty, take_rows
from fasttrain._tables.kinds import as_array, is_framed, is_pandas, is_polars
from fasttrain.preprocessing.encoding import OneHotEncoder, names_in
from fasttrain.preprocessing.labels import LabelEncoder
from fasttrain.preprocessing.ordinal import OrdinalEncoder
from fasttrain.preprocessing.robust import MaxAbsScaler, RobustScaler, column_quantiles
from fasttrain.preprocessing.scaling import MinMaxScaler, StandardScaler, column_moments

SCALERS = {
    "standard": StandardScaler,
    "minmax": MinMaxScaler,
    "maxabs": MaxAbsScaler,
    "robust": RobustScaler,
}


class TablePreprocessor(TransformerMixin, BaseEstimator):
    """Clean, encode and scale a table of mixed columns in one fitted object.

    Columns of numbers and of bool become one output column each, scaled; every other column is a category and
    becomes one column of zeros and ones for each of its values. Numbers come first, in the table's order,
    then categories.

    Parameters
    ----------
    target : str, default=None
        Column of a data frame that is y: it takes no part in the matrix, may be absent in ``transform``, and
        :meth:`split` returns it.
    types : dict, default=None
        Column name (position for arrays) to "numeric", "categorical" or "drop", where the detected type is
        not wanted.
    missing : {"mean", "median", "most_frequent", "drop", "error"}, default="median"
        What stands in for a missing number; missing categories become the most frequent one. "drop" drops the
        rows in :meth:`split`; ``transform``, which must keep rows, then refuses missing values. "error" refuses
        them everywhere.
    scale : {"standard", "minmax", "maxabs", "robust"} or None, default="standard"
    encode : {"onehot", "ordinal"}, default="onehot"
    handle_unknown : {"ignore", "error"}, default="ignore"
        Categories that ``fit`` did not see become zeros, or -1 with ``encode="ordinal"``; or they are refused.
    min_frequency, max_categories : default=None
        As in :class:`OneHotEncoder`: infrequent categories share a column.
    dtype : {numpy.float32, numpy.float64}, default=numpy.float64

    Attributes
    ----------
    types_ : dict
        Column to "numeric", "categorical" or "drop".
    fill_ : dict
        Column to what stands in for a missing value.
    scaler_, encoder_ : estimator or None
    classes_ : ndarray of shape (n_classes,) or None
        Labels of a target that is not numeric; :meth:`split` returns their codes.
    n_features_in_, feature_names_in_
        As in every scikit-learn estimator; the target is not among them.

    Examples
    --------
    >>> import pandas as pd
    >>> from fasttrain.preprocessing import TablePreprocessor
    >>> frame = pd.DataFrame({"size": [1.0, None, 3.0], "kind": ["a", "b", "a"], "label": ["yes", "no", "yes"]})
    >>> preprocessor = TablePreprocessor(target="label", scale=None).fit(frame)
    >>> X, y = preprocessor.split(frame)
    >>> X
    array([[1., 1., 0.],
           [2., 0., 1.],
           [3., 1., 0.]])
    >>> y
    array([1, 0, 1])
    >>> preprocessor.get_feature_names_out()
    array(['size', 'kind_a', 'kind_b'], dtype=object)
    """

    def __init__(
        self,
        *,
        target=None,
        types=None,
        missing="median",
        scale="standard",
        encode="onehot",
        handle_unknown="ignore",
        min_frequency=None,
        max_categories=None,
        dtype=np.float64,
    ):
        keep_parameters(self, locals())

    @restored
    def fit(self, X, y=None):
        """Types of the columns, what stands in for missing values, categories and scales.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
        y : ignored; a target is named by ``target``

        Returns
        -------
        self
        """
        check_choice(self.missing, "missing", ("mean", "median", "most_frequent", "drop", "error"))
        check_choice(self.handle_unknown, "handle_unknown", ("ignore", "error"))
        check_choice(self.scale, "scale", (*SCALERS, None))
        check_choice(self.encode, "encode", ("onehot", "ordinal"))
        if np.dtype(self.dtype) not in (np.float32, np.float64):
            raise ValueError(f"dtype must be numpy.float32 or numpy.float64; got {self.dtype!r}")
        X, target = self._without_target(X, self.target is not None)
        X = self._checked(X, True)
        table = Table(X)
        self._names = list(table.names)
        self._set_types(table)
        self.classes_ = None
        if target is not None and not numeric_target(target):
            labels = LabelEncoder().fit(known_labels(target))
            self.classes_ = labels.classes_
        if self.missing == "drop":
            kept = ~self._missing_rows(table)
            if not kept.any():
                raise ValueError("every row has a missing value, so missing='drop' leaves nothing to fit")
            table = Table(take_rows(X, kept))
        self._refuse_missing(table)
        self.fill_ = {}
        self._numeric = [i for i, name in enumerate(self._names) if self.types_[name] == "numeric"]
        self._categorical = [i for i, name in enumerate(self._names) if self.types_[name] == "categorical"]
        if not self._numeric and not self._categorical:
            raise ValueError(f"no column is left to make features of: {self.types_}")
        self._fit_numbers(table)
        self._fit_categories(table)
        return self

    def fit_transform(self, X, y=None, **fit_params):
        """``fit(X).transform(X)``.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
        y : ignored

        Returns
        -------
        ndarray of shape (n_samples, n_features_out)
        """
        return self.fit(X, y).transform(X)

    def _without_target(self, X, needed):
        """(X without the target's column, the column or None)."""
        if self.target is None:
            return X, None
        if not is_framed(X):
            if needed:
                raise TypeError(
                    f"target={self.target!r} names a column, so X must be a DataFrame; got {type(X).__name__}"
                )
            return X, None
        if self.target not in list(X.columns):
            if needed:
                raise ValueError(
                    f"X has no column {self.target!r} (target); its columns are {list(X.columns)}"
                )
            return X, None
        if is_polars(X):
            return X.drop(self.target), X[self.target]
        return X.drop(columns=self.target), X[self.target]

    def _checked(self, X, reset):
        if is_framed(X):
            refuse_empty(X)
        else:
            X = check_array(X, dtype=None, ensure_all_finite=False, estimator=self, input_name="X")
        validate_data(self, X, reset=reset, skip_check_array=True)
        return X

    def _set_types(self, table):
        wanted = self.types or {}
        unknown = [name for name in wanted if name not in self._names]
        if unknown:
            raise ValueError(f"types names columns that X lacks: {unknown}; its columns are {self._names}")
        self.types_ = {}
        for position, name in enumerate(self._names):
            kind = wanted.get(name) or detected_type(table, position)
            check_choice(kind, f"types[{name!r}]", ("numeric", "categorical", "drop"))
            if kind != "drop" and table.missing(position).all():
                warnings.warn(
                    f"column {name!r} holds no value at all and is dropped", UserWarning, stacklevel=3
                )
                kind = "drop"
            self.types_[name] = kind

    def _used(self):
        return [i for i, name in enumerate(self._names) if self.types_[name] != "drop"]

    def _missing_rows(self, table):
        mask = np.zeros(table.n_rows, dtype=bool)
        for position in self._used():
            mask |= table.missing(position)
        return mask

    def _refuse_missing(self, table):
        if self.missing != "error":
            return
        for position in self._used():
            count = int(np.count_nonzero(table.missing(position)))
            if count:
                raise ValueError(
                    f"column {self._names[position]!r} has {count} missing values, which missing='error' refuses"
                )

    def _refuse_unknown(self, name, values, known):
        codes = encode(values, known)
        if codes.size and codes.min() < 0:
            raise ValueError(
                f"column {name!r} holds {listed(unknown_values(values, codes))}, which the model has not seen; "
                f"it knows {listed(known.tolist())}"
            )

    def _fit_numbers(self, table):
        self.scaler_ = None
        if not self._numeric:
            return
        block = self._numbers(table)
        if self.missing == "mean":
            fill = column_moments(block)[1]
        elif self.missing == "most_frequent":
            fill = np.array([most_frequent(column[~np.isnan(column)]) for column in block.T])
        else:
            fill = column_quantiles(block, [0.5])[0]
        self._fill_numbers = fill
        if self.missing not in ("drop", "error"):
            self.fill_.update({self._names[i]: value for i, value in zip(self._numeric, fill.tolist())})
        fill_missing(block, fill)
        if self.scale is not None:
            self.scaler_ = SCALERS[self.scale](copy=False).fit(block)

    def _fit_categories(self, table):
        self.encoder_ = None
        if not self._categorical:
            return
        block = self._categories(table, learn=self.missing not in ("drop", "error"))
        options = {
            "min_frequency": self.min_frequency,
            "max_categories": self.max_categories,
            "dtype": self.dtype,
        }
        if self.encode == "onehot":
            grouped = self.min_frequency is not None or self.max_categories is not None
            unknown = "infrequent_if_exist" if grouped else "ignore"
            self.encoder_ = OneHotEncoder(sparse_output=False, handle_unknown=unknown, **options)
        else:
            self.encoder_ = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, **options)
        self.encoder_.fit(block)

    def _categories(self, table, learn=False):
        """The categorical columns as a matrix of objects, missing ones filled; with ``learn``, by this table."""
        block = np.empty((table.n_rows, len(self._categorical)), dtype=object)
        for k, position in enumerate(self._categorical):
            values, mask = category_objects(table, position)
            if learn:
                self.fill_[self._names[position]] = most_frequent(values[~mask])
            values[mask] = self.fill_.get(self._names[position])
            block[:, k] = values
        return block

    def _numbers(self, table):
        """The numeric columns as a float matrix of this object's type."""
        block = np.empty((table.n_rows, len(self._numeric)), dtype=self.dtype)
        for k, position in enumerate(self._numeric):
            block[:, k] = numbers_of(table, position)
        if np.isinf(block).any():
            at = np.flatnonzero(np.isinf(block).any(axis=0))[0]
            raise ValueError(
                f"column {self._names[self._numeric[at]]!r} must hold finite numbers: Input X contains infinity or a "
                f"value too large for {np.dtype(self.dtype)}"
            )
        return block

    def transform(self, X):
        """The matrix of a table; rows are kept.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            With the columns that ``fit`` saw; the target may be there or not.

        Returns
        -------
        ndarray of shape (n_samples, n_features_out), of ``dtype``

        Raises
        ------
        ValueError
            For infinities, text where numbers are expected, with ``missing="drop"`` or "error" for missing values,
            and with ``handle_unknown="error"`` for categories that ``fit`` did not see.
        """
        check_is_fitted(self, "types_")
        X, _ = self._without_target(X, False)
        X = self._checked(X, False)
        table = Table(X)
        if self.missing == "drop":
            absent = [self._names[i] for i in self._used() if table.missing(i).any()]
            if absent:
                raise ValueError(
                    f"columns {absent} have missing values and missing='drop': transform must keep rows, so drop them "
                    "first (split does, or drop_missing), or choose 'mean', 'median' or 'most_frequent'"
                )
        self._refuse_missing(table)
        parts = []
        if self._numeric:
            block = self._numbers(table)
            fill_missing(block, self._fill_numbers)
            parts.append(block if self.scaler_ is None else self.scaler_.transform(block))
        if self._categorical:
            block = self._categories(table)
            if self.handle_unknown == "error":
                for k, position in enumerate(self._categorical):
                    self._refuse_unknown(self._names[position], block[:, k], self.encoder_.categories_[k])
            parts.append(self.encoder_.transform(block))
        return parts[0] if len(parts) == 1 else np.hstack(parts)

    def split(self, X):
        """X and y of a table that has the target's column.

        Rows whose target is missing go, and with ``missing="drop"`` so do rows with any missing value.

        Parameters
        ----------
        X : DataFrame

        Returns
        -------
        X : ndarray of shape (n_kept, n_features_out)
        y : ndarray of shape (n_kept,)
            float64 for a numeric target, else int64 codes of ``classes_``.

        Raises
        ------
        ValueError
            Without ``target``, and for labels that ``fit`` did not see.
        """
        check_is_fitted(self, "types_")
        if self.target is None:
            raise ValueError("split needs target: the name of the column that is y")
        features, target = self._without_target(X, True)
        kept = ~Table(target, name="y").missing(0)
        if self.missing == "drop":
            kept &= ~self._missing_rows(Table(self._checked(features, False)))
        if not kept.any():
            raise ValueError("no row is left: every one has a missing value")
        if not kept.all():
            features, target = take_rows(features, kept), take_rows(target, kept)
        if self.classes_ is None:
            y = Table(target, name="y").numbers(0).astype(np.float64)
        else:
            encoder = LabelEncoder()
            encoder.classes_ = self.classes_
            y = encoder.transform(known_labels(target))
        return np.asarray(self.transform(features)), y

    def fit_split(self, X):
        """``fit(X).split(X)``.

        Parameters
        ----------
        X : DataFrame

        Returns
        -------
        X, y : ndarray
        """
        return self.fit(X).split(X)

    def get_feature_names_out(self, input_features=None):
        """Names of the matrix's columns.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the input columns; None takes ``feature_names_in_``, else x0, x1, ...

        Returns
        -------
        ndarray of str objects
        """
        check_is_fitted(self, "types_")
        names = names_in(self, input_features)
        out = [names[i] for i in self._numeric]
        if self._categorical:
            out += list(self.encoder_.get_feature_names_out([names[i] for i in self._categorical]))
        return np.array(out, dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags


def detected_type(table, position):
    """ "numeric" for numbers and bool, "categorical" for the rest; objects that are all numbers are
    numbers.
    """
    column = table.column(position)
    if table.is_numeric(position):
        return "numeric"
    if is_polars(column):
        name = str(column.dtype)
        if name.startswith(("Date", "Time", "Duration")):
            raise TypeError(times_message(table.names[position], name))
        return "numeric" if name == "Boolean" else "categorical"
    if getattr(column.dtype, "kind", "O") in "mM":
        raise TypeError(times_message(table.names[position], column.dtype))
    if getattr(column.dtype, "kind", "O") == "b" or getattr(column.dtype, "name", "") == "boolean":
        return "numeric"
    if not is_pandas(column) and column.dtype.kind == "c":
        raise ValueError("Complex data not supported: pass real numbers, strings or objects")
    if column.dtype == object:
        values = np.asarray(column, dtype=object)[~table.missing(position)]
        kinds = {type(value) for value in values}
        if kinds and all(issubclass(kind, (int, float, np.number, np.bool_)) for kind in kinds):
            return "numeric"
        odd = [kind.__name__ for kind in kinds if not issubclass(kind, (str, bytes, int, float, np.generic))]
        if odd:
            raise TypeError(
                f"column {table.names[position]!r} holds objects of type {sorted(odd)}; argument must be a string or a "
                "number in every cell"
            )
    return "categorical"


def listed(values, most=8):
    """A few of some values for a message."""
    more = f" and {len(values) - most} more" if len(values) > most else ""
    return ", ".join(repr(value) for value in values[:most]) + more


def times_message(name, dtype):
    return (
        f"column {name!r} holds times ({dtype}), which are neither numbers nor categories: convert it, or pass "
        f"types={{{name!r}: 'drop'}}"
    )


def numbers_of(table, position):
    """A column as float64 with NaN for missing values, whatever it is made of."""
    column = table.column(position)
    if table.is_numeric(position):
        return table.numbers(position)
    values = np.array(column.to_numpy() if is_polars(column) else column, dtype=object)
    values[table.missing(position)] = np.nan
    try:
        return values.astype(np.float64)
    except ValueError as error:
        raise ValueError(f"column {table.names[position]!r} must hold numbers: {error}") from None


def category_objects(table, position):
    """(a column as an object vector of its own, where it is missing)."""
    column = table.column(position)
    values = np.array(as_array(column), dtype=object)
    mask = table.missing(position)
    if not mask.all() and not all(isinstance(value, str) for value in values[~mask]):
        kinds = {type(value) for value in values[~mask]}
        if any(issubclass(kind, str) for kind in kinds):
            # Labels of several types have no order; as text they do.
            values[~mask] = [str(value) for value in values[~mask]]
    return values, mask


def most_frequent(values):
    """The value seen most often, the smallest of those."""
    uniques, counts = unique(values, counts=True)
    return uniques[counts.argmax()]


def fill_missing(block, fill):
    rows, columns = np.nonzero(np.isnan(block))
    block[rows, columns] = fill[columns]


def numeric_target(target):
    """Whether a target is to be predicted as a number: integers and floats are, bool and the rest are
    labels.
    """
    return Table(target, name="y").is_numeric(0)


def known_labels(target):
    """Labels of a target as NumPy has them, missing ones left out."""
    values = as_array(target)
    mask = Table(target, name="y").missing(0)
    values = values[~mask] if mask.any() else values
    return values.astype(object) if values.dtype.kind in "OUST" else values


__all__ = ["TablePreprocessor"]
