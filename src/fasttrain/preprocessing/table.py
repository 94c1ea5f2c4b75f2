"""TablePreprocessor: from a table of mixed columns to one float matrix."""

from __future__ import annotations

import sys
from typing import Any, Literal

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_array

from fasttrain._estimators.blocks import learns_columns, transforms
from fasttrain._estimators.data import take_names
from fasttrain._estimators.fitted import restored
from fasttrain._core.checks import check_choice, check_integer, require_fitted
from fasttrain._core.types import Array, ArrayLike, EstimatorLike, Matrix, Self, TableLike
from fasttrain._estimators.parameters import KeepsParameters, keep_parameters
from fasttrain._tables.categories import encode
from fasttrain._tables.frames import Table, named, refuse_empty, take_rows
from fasttrain._tables.kinds import as_array, is_framed, is_polars
from fasttrain.data import Blocks
from fasttrain.preprocessing.columns import memory
from fasttrain.preprocessing.columns.blocks import BlockColumns
from fasttrain.preprocessing.columns.fitted import SCALERS, TableColumns, fill_missing
from fasttrain.preprocessing.columns.hashed import MOST_PLACES, HashedColumn
from fasttrain.preprocessing.columns.many import MeansOf, TargetColumn
from fasttrain.preprocessing.columns.numbers import Dense
from fasttrain.preprocessing.columns.recognition import CategoryColumn, LeftOut, Rules
from fasttrain.preprocessing.columns.view import ColumnView
from fasttrain.preprocessing.encoding import names_in
from fasttrain.preprocessing.labels import LabelEncoder


class TablePreprocessor(KeepsParameters, BlockColumns, TableColumns, TransformerMixin, BaseEstimator):
    """Recognise, clean, encode and scale the columns of a table in one fitted object.

    Every column is taken for one of these, by its cells:

    - "numeric": numbers and bool, and text that is numbers throughout: with a currency, thousands separators, a
      decimal comma, per cent, one unit for the column, negative in parentheses. What a comma means is decided by the
      column as a whole. Digits with leading zeros are codes, not numbers. One output column.
    - "boolean": yes and no in words. One output column of 1 and 0.
    - "date": dates and times, kept as such or written: ISO 8601, day, month and year in numbers or with the name of
      the month, a time of the day, or that alone. Whether the day stands before the month is decided by the column as
      a whole. Output columns are the days since 1970 and, where the column spans enough, sine and cosine of the place
      in the year, the week and the day.
    - "ordered": an ordered Categorical of pandas, or values that ``types`` lists from low to high. One output column.
    - "categorical": any other column of at most ``cardinality_threshold`` values. An output column of zeros and ones
      for each value.
    - "target": text of more values. One output column: the mean of the target where the value stands, drawn towards
      the mean of all; for a target of more than two classes one for each. ``fit_transform`` takes the mean for a row
      from other rows (five folds), as scikit-learn's TargetEncoder does, so ``fit(X, y).transform(X)`` is another
      matrix. Values seen less than five times count as one, as do those not seen.
    - "hashed": the same text without a target; an output column for each of ``hash_features`` places.
    - "text": free text, its words counted at ``hash_features`` places, each row divided by its Euclidean norm.
    - "drop": left out, with a :class:`ColumnLeftOutWarning`: columns without a value or with one only, ids (text that
      hardly repeats; whole numbers that hardly repeat in a column whose name is that of an id).

    Columns of numbers come first, in the table's order, then categories, then hashed ones. :meth:`describe` prints what
    each column was taken for and why.

    Parameters
    ----------
    target : str, default=None
        Column of a data frame that is y: it takes no part in the matrix, may be absent in ``transform``, and
        :meth:`split` returns it.
    types : dict, default=None
        Column name (position for arrays) to what it is, where that which is recognised is not wanted: one of the words
        above, a list of the values from low to high, or a dict with the word as "kind" and options:
        ``{"kind": "numeric", "decimal": ","}``, ``{"kind": "date", "day_first": True}``.
    missing : {"mean", "median", "most_frequent", "drop", "error"}, default="median"
        What stands in for a missing number, or part of a date; missing categories become the most frequent one,
        missing text of many values is a value of its own. "drop" drops the rows in :meth:`split`; ``transform``, which
        must keep rows, then refuses missing values. "error" refuses them everywhere.
    scale : {"standard", "minmax", "maxabs", "robust"} or None, default="standard"
        Of columns of numbers.
    encode : {"onehot", "ordinal"}, default="onehot"
        Of categories; with "ordinal" text of many values is one as well.
    handle_unknown : {"ignore", "error"}, default="ignore"
        Categories that ``fit`` did not see become zeros, or -1 with ``encode="ordinal"``, and cells that are no number
        or date count as missing, with a warning; or all of these are refused. :meth:`report` counts them.
    min_frequency, max_categories : default=None
        As in :class:`OneHotEncoder`: infrequent categories share a column. With one of them all text is categories.
    dtype : {numpy.float32, numpy.float64}, default=numpy.float64
    cardinality_threshold : int, default=40
        Most values of a column that becomes a column for each of them.
    high_cardinality : {"target", "hash", "onehot"}, default="target"
        What becomes of text of more values. Without a target, "target" gives a column for each of up to
        ``hash_features`` values, and hashes more.
    hash_features : int, default=256
        Output columns of a hashed column.
    sparse_output : {"auto", True, False}, default="auto"
        Whether the matrix is CSR. "auto": where the dense matrix of the training data takes more than 64 MiB and CSR at
        most half of that, and ``set_output`` asks for no data frame.
    memory_limit : int or str, default=None
        Bytes that the matrix may take, or text as "2GB"; None is half of the machine's memory. It is estimated before
        anything is allocated.

    Attributes
    ----------
    types_ : dict
        Column to the word for what it was taken for.
    fill_ : dict
        Column to what stands in for a missing value; the columns of a date are those of the output.
    scaler_, encoder_ : estimator or None
    sparse_output_ : bool
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

    Cells as people write them:

    >>> frame = pd.DataFrame({"price": ["$1,200.50", "$80", "($3.10)"], "day": ["31/12/2024", "1/2/2025", "2/2/2025"]})
    >>> preprocessor = TablePreprocessor(scale=None).fit(frame)
    >>> preprocessor.transform(frame)[:, :2]
    array([[ 1.2005e+03,  2.0088e+04],
           [ 8.0000e+01,  2.0120e+04],
           [-3.1000e+00,  2.0121e+04]])
    >>> preprocessor.get_feature_names_out()
    array(['price', 'day_days', 'day_week_sin', 'day_week_cos'], dtype=object)
    >>> preprocessor.describe()
    column  taken for  columns  why
    price   numeric          1  numbers written as text (currency $, comma between thousands, negative in parentheses)
    day     date             3  dates written as text (day before month)
    2 columns in, 4 out, dense
    """

    target: str | None
    types: dict[str, Any] | None
    missing: Literal["mean", "median", "most_frequent", "drop", "error"]
    scale: Literal["standard", "minmax", "maxabs", "robust"] | None
    encode: Literal["onehot", "ordinal"]
    handle_unknown: Literal["ignore", "error"]
    min_frequency: float | None
    max_categories: int | None
    dtype: Any
    cardinality_threshold: int
    high_cardinality: Literal["target", "hash", "onehot"]
    hash_features: int
    sparse_output: Literal["auto", True, False]
    memory_limit: int | str | None
    types_: dict[str, Any]
    fill_: dict[str, Any]
    scaler_: EstimatorLike | None
    encoder_: EstimatorLike | None
    sparse_output_: bool
    classes_: Any
    n_features_in_: int
    feature_names_in_: Array

    def __init__(self, *, target: str | None = None, types: dict[str, Any] | None = None,
                 missing: Literal["mean", "median", "most_frequent", "drop", "error"] = "median",
                 scale: Literal["standard", "minmax", "maxabs", "robust"] | None = "standard",
                 encode: Literal["onehot", "ordinal"] = "onehot", handle_unknown: Literal["ignore", "error"] = "ignore",
                 min_frequency: float | None = None, max_categories: int | None = None, dtype: Any = np.float64,
                 cardinality_threshold: int = 40, high_cardinality: Literal["target", "hash", "onehot"] = "target",
                 hash_features: int = 256, sparse_output: Literal["auto", True, False] = "auto",
                 memory_limit: int | str | None = None) -> None:
        keep_parameters(self, locals())

    @learns_columns
    def fit(self, X: TableLike | Blocks, y: ArrayLike | None = None) -> Self:
        """What the columns are, what stands in for missing values, categories and scales.

        Parameters
        ----------
        X : DataFrame, pyarrow.Table, structured array, array-like of shape (n_samples, n_features), or source of blocks
            Of a source what each column is is told from 50 000 rows of eight blocks, evenly apart; numbers, scales and
            categories are those of all rows. A median is that of a sketch: at most 0.05 % of the rows away from where
            it should be for up to 32 blocks, 0.1 % for up to 1024. No column becomes means of the target.
        y : array-like of shape (n_samples,), default=None
            Text of many values becomes means of it. With ``target`` it is that column.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For parameters and columns that are not accepted, numbers without a finite scale, and a matrix of more than
            ``memory_limit``; the message names the column.
        """
        self._learn(X, y)
        return self

    def fit_transform(self, X: TableLike, y: ArrayLike | None = None, **fit_params: Any) -> Matrix:
        """``fit(X, y)`` and the matrix of X, in which means of the target are taken from other rows.

        Parameters
        ----------
        X : DataFrame, pyarrow.Table, structured array, or array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), default=None

        Returns
        -------
        ndarray or CSR matrix of shape (n_samples, n_features_out), of ``dtype``
        """
        if isinstance(X, Blocks):
            return self.fit(X, y).transform(X)
        views, block, coded = self._learn(X, y)
        if self.missing == "drop" and (block is None or len(block) != views[0].n_rows):
            self._refuse_missing_rows(views)
        return self._matrix(views, block, coded)

    @restored
    def _learn(self, X, y):
        """Fit; (views of the columns, their numbers without missing ones, not scaled, their categories)."""
        self._check_parameters()
        X, target = self._without_target(named(X), self.target is not None)
        table = self._table(X, True)
        self._names = list(table.names)
        views = [ColumnView(table, i) for i in range(len(self._names))]
        means = MeansOf(y if target is None else target, table.n_rows)
        self._recognise(views, Rules(
            self.cardinality_threshold, "onehot" if self.encode == "ordinal" else self.high_cardinality,
            self.hash_features, means,
            self.min_frequency if isinstance(self.min_frequency, int) else None,
            self.min_frequency is not None or self.max_categories is not None,
        ))
        self.classes_ = None
        if target is not None and not numeric_target(target):
            self.classes_ = LabelEncoder().fit(known_labels(target)).classes_
        all_views = views
        if self.missing == "drop":
            kept = ~self._missing_rows(views)
            if not kept.any():
                raise ValueError("every row has a missing value, so missing='drop' leaves nothing to fit")
            if not kept.all():
                table = Table(take_rows(table.value, kept))
                views = [ColumnView(table, i) for i in range(len(self._names))]
                means = means.among(kept)
        self._refuse_missing(views)
        self.fill_ = {}
        block = self._fit_numbers(views, means)
        coded = self._fit_categories(views)
        self._settle(views)
        return all_views, block, coded

    def _check_parameters(self):
        check_choice(self.missing, "missing", ("mean", "median", "most_frequent", "drop", "error"))
        check_choice(self.handle_unknown, "handle_unknown", ("ignore", "error"))
        check_choice(self.scale, "scale", (*SCALERS, None))
        check_choice(self.encode, "encode", ("onehot", "ordinal"))
        check_choice(self.high_cardinality, "high_cardinality", ("target", "hash", "onehot"))
        check_choice(self.sparse_output, "sparse_output", ("auto", True, False))
        check_integer(self.cardinality_threshold, "cardinality_threshold", low=1)
        if check_integer(self.hash_features, "hash_features", low=1) > MOST_PLACES:
            raise ValueError(f"hash_features must be at most {MOST_PLACES}, got {self.hash_features}")
        if self.memory_limit is not None:
            memory.limit_of(self.memory_limit)
        if np.dtype(self.dtype) not in (np.float32, np.float64):
            raise ValueError(f"dtype must be numpy.float32 or numpy.float64; got {self.dtype!r}")

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

    def _table(self, X, reset):
        """The columns of a data frame or an array, checked."""
        if is_framed(X):
            refuse_empty(X)
        else:
            X = check_array(X, dtype=None, ensure_all_finite=False, estimator=self, input_name="X")
        return Table(X, names=take_names(self, X, reset))

    @transforms
    def transform(self, X: TableLike | Blocks) -> Matrix:
        """The matrix of a table; rows are kept. Of a source of blocks a source of matrices, made when asked for.

        Parameters
        ----------
        X : DataFrame, pyarrow.Table, structured array, or array-like of shape (n_samples, n_features)
            With the columns that ``fit`` saw; the target may be there or not.

        Returns
        -------
        ndarray or CSR matrix of shape (n_samples, n_features_out), of ``dtype``

        Raises
        ------
        ValueError
            For infinities, text where plain numbers are expected, with ``missing="drop"`` or "error" for missing
            values, with ``handle_unknown="error"`` for categories that ``fit`` did not see and cells that are no
            number or date, and where the matrix would take more than ``memory_limit``.
        """
        require_fitted(self, "types_")
        views = self._views(X)
        if self.missing == "drop":
            self._refuse_missing_rows(views)
        self._refuse_missing(views)
        self._refuse_large(views[0].n_rows, self._widths(views[0].n_rows, views))
        self._warn_of_strays(views)
        return self._matrix(views)

    def _views(self, X):
        X, _ = self._without_target(named(X), False)
        table = self._table(X, False)
        return [ColumnView(table, i) for i in range(len(self._names))]

    def missing_rows(self, X: TableLike) -> Array:
        """Which rows have no value in a column that is used; cells that cannot be read are none.

        Parameters
        ----------
        X : DataFrame, pyarrow.Table, structured array, or array-like of shape (n_samples, n_features)
            With the columns that ``fit`` saw; the target may be there or not.

        Returns
        -------
        ndarray of shape (n_samples,), of bool

        Raises
        ------
        ValueError
            Without a row, for columns that ``fit`` did not see, and for text where plain numbers are expected.

        Examples
        --------
        >>> import pandas as pd
        >>> from fasttrain.preprocessing import TablePreprocessor
        >>> table = pd.DataFrame({"size": [1.0, None, 4.0], "kind": ["a", "b", "a"]})
        >>> TablePreprocessor().fit(table).missing_rows(table)
        array([False,  True, False])
        """
        require_fitted(self, "types_")
        return self._missing_rows(self._views(X))

    def report(self, X: TableLike) -> dict[str, Any]:
        """What of a table ``fit`` has not seen, and what ``transform`` makes of it.

        Parameters
        ----------
        X : DataFrame, pyarrow.Table, structured array, or array-like of shape (n_samples, n_features)

        Returns
        -------
        dict
            Column to a dict with "missing" (rows without a value), "unseen" (rows whose cell ``fit`` has not seen or
            that cannot be read) and "examples" (some of those cells). Columns with neither are left out.

        Examples
        --------
        >>> import pandas as pd
        >>> from fasttrain.preprocessing import TablePreprocessor
        >>> preprocessor = TablePreprocessor().fit(pd.DataFrame({"size": [1.0, 2.0, 4.0], "kind": ["a", "b", "a"]}))
        >>> preprocessor.report(pd.DataFrame({"size": [None, 3.0], "kind": ["a", "c"]}))
        {'size': {'missing': 1, 'unseen': 0, 'examples': []}, 'kind': {'missing': 0, 'unseen': 1, 'examples': ['c']}}
        """
        require_fitted(self, "types_")
        views = self._views(X)
        known = dict(zip((i for i, _ in self._of(CategoryColumn)), getattr(self.encoder_, "categories_", ())))
        told = {}
        for position, (view, column) in enumerate(zip(views, self._columns)):
            if isinstance(column, LeftOut):
                continue
            if position in known:
                values, _ = view.distinct
                unseen = encode(values, known[position]) < 0
                cells, n_unseen = values[unseen].tolist(), int(view.counts[unseen].sum())
            else:
                cells, n_unseen = column.strays(view)
            n_missing = int(np.count_nonzero(view.missing))
            if n_missing or n_unseen:
                told[view.name] = {"missing": n_missing, "unseen": n_unseen, "examples": cells[:5]}
        return told

    @property
    def columns_(self) -> Any:
        """What each column was taken for: dicts with "name", "kind", "reason", "columns_out", and "keep": the kind that
        would keep a column that is left out."""
        require_fitted(self, "types_")
        widths = dict(map(tuple, self._layout))
        return [
            {
                "name": name, "kind": column.kind, "reason": column.reason, "columns_out": widths.get(name, 0),
                "keep": getattr(column, "keep", ""),
            }
            for name, column in zip(self._names, self._columns)
        ]

    def describe(self, file: Any = None) -> None:
        """Print what each column was taken for, how many columns it became and why.

        Parameters
        ----------
        file : text file, default=None
            None is standard output.
        """
        facts = self.columns_
        rows = [("column", "taken for", "columns", "why")]
        rows += [
            (str(fact["name"]), "left out" if fact["kind"] == "drop" else fact["kind"], str(fact["columns_out"]),
             fact["reason"]) for fact in facts
        ]
        widths = [max(len(row[k]) for row in rows) for k in range(3)]
        for name, kind, count, reason in rows:
            print(f"{name:<{widths[0]}}  {kind:<{widths[1]}}  {count:>{widths[2]}}  {reason}", file=file or sys.stdout)
        n_out = sum(fact["columns_out"] for fact in facts)
        kind = "CSR" if self.sparse_output_ else "dense"
        print(f"{len(facts)} columns in, {n_out} out, {kind}", file=file or sys.stdout)

    def split(self, X: TableLike) -> Matrix:
        """X and y of a table that has the target's column.

        Rows whose target is missing go, and with ``missing="drop"`` so do rows with any missing value.

        Parameters
        ----------
        X : DataFrame

        Returns
        -------
        X : ndarray or CSR matrix of shape (n_kept, n_features_out)
        y : ndarray of shape (n_kept,)
            float64 for a numeric target, else int64 codes of ``classes_``.

        Raises
        ------
        ValueError
            Without ``target``, and for labels that ``fit`` did not see.
        """
        require_fitted(self, "types_")
        features, target = self._kept(X, self._columns)
        return plain(self.transform(features)), self._coded_target(target)

    def _kept(self, X, columns):
        """Features and target of the rows that :meth:`split` keeps; ``columns`` may be None before a fit."""
        if self.target is None:
            raise ValueError("split needs target: the name of the column that is y")
        X = named(X)
        features, target = self._without_target(X, True)
        kept = ~Table(target, name="y").missing(0)
        if self.missing == "drop" and columns is not None:
            kept &= ~self._missing_rows(self._views(features))
        if not kept.any():
            raise ValueError("no row is left: every one has a missing value")
        if not kept.all():
            features, target = take_rows(features, kept), take_rows(target, kept)
        return features, target

    def _coded_target(self, target):
        if self.classes_ is None:
            return Table(target, name="y").numbers(0).astype(np.float64)
        encoder = LabelEncoder()
        encoder.classes_ = self.classes_
        return encoder.transform(known_labels(target))

    def fit_split(self, X: TableLike) -> Matrix:
        """``fit(X)`` and X and y of the table, means of the target taken from other rows.

        Parameters
        ----------
        X : DataFrame

        Returns
        -------
        X : ndarray or CSR matrix
        y : ndarray
        """
        self.fit(X)
        means = [column for _, column in self._of(TargetColumn)]
        if not means:
            return self.split(X)
        features, target = self._kept(X, self._columns)
        views = self._views(features)
        self._refuse_missing(views)
        block = self._numbers(views, means=MeansOf(target, views[0].n_rows))
        fill_missing(block, self._fill_numbers)
        return plain(self._matrix(views, block)), self._coded_target(target)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> Array:
        """Names of the matrix's columns.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the input columns; None takes ``feature_names_in_``, else x0, x1, ...

        Returns
        -------
        ndarray of str objects
        """
        require_fitted(self, "types_")
        names = names_in(self, input_features)
        out = [name for i, column in self._of(Dense) for name in column.names(names[i])]
        if self.encoder_ is not None:
            out += list(self.encoder_.get_feature_names_out([names[i] for i, _ in self._of(CategoryColumn)]))
        out += [name for i, column in self._of(HashedColumn) for name in column.names(names[i])]
        return np.array(out, dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags


def plain(X):
    """A matrix without the names that ``set_output`` gives."""
    return X if sparse.issparse(X) else np.asarray(X)


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
