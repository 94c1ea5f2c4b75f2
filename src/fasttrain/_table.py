"""From the named columns of a data frame to the matrix that a model takes."""

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from fasttrain.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

_SCALERS = {"standard": StandardScaler, "minmax": MinMaxScaler, "none": None}


class TableEncoder(TransformerMixin, BaseEstimator):
    """Scaled numeric columns, then one-hot columns, with missing values filled in when that is asked for.

    Columns are found by name, so their order does not matter and further columns are passed over.

    Parameters
    ----------
    numeric, categorical : sequence of str
        Names of the columns; at least one in all.
    scaling : {'standard', 'minmax', 'none'}, default='standard'
    impute : bool, default=False
        Fill missing numbers with the column's median and missing categories with its most frequent one, both
        those of the training data; False refuses missing values.
    handle_unknown : {'error', 'ignore'}, default='error'
        Whether a category that ``fit`` did not see is refused or becomes zeros.

    Attributes
    ----------
    fill_values_ : dict
        From column names to what missing values become; empty without ``impute``.
    scaler_ : StandardScaler, MinMaxScaler or None
    encoder_ : OneHotEncoder or None
    n_features_out_ : int
    """

    def __init__(self, numeric=(), categorical=(), *, scaling="standard", impute=False, handle_unknown="error"):
        self.numeric = numeric
        self.categorical = categorical
        self.scaling = scaling
        self.impute = impute
        self.handle_unknown = handle_unknown

    def fit(self, X, y=None):
        """Learn fill values, scales and categories from the data frame ``X``; ``y`` is ignored."""
        if self.scaling not in _SCALERS:
            raise ValueError(f"scaling must be one of {', '.join(_SCALERS)}, got {self.scaling!r}")
        if self.handle_unknown not in ("error", "ignore"):
            raise ValueError(f"handle_unknown must be 'error' or 'ignore', got {self.handle_unknown!r}")
        if not len(self.numeric) and not len(self.categorical):
            raise ValueError("numeric and categorical must name at least one column, both are empty")
        self._require_columns(X)
        self.fill_values_ = self._learn_fill_values(X) if self.impute else {}
        numbers, categories = self._numbers(X), self._categories(X)
        scaler = _SCALERS[self.scaling]
        self.scaler_ = scaler().fit(numbers) if scaler is not None and len(self.numeric) else None
        self.encoder_ = None
        if len(self.categorical):
            self.encoder_ = OneHotEncoder(sparse_output=False, handle_unknown="ignore").fit(categories)
        self.n_features_out_ = len(self.get_feature_names_out())
        return self

    def transform(self, X):
        """The columns of the data frame ``X`` as a float64 array of shape (n_rows, n_features_out_)."""
        check_is_fitted(self)
        self._require_columns(X)
        out = np.empty((len(X), self.n_features_out_))
        if len(self.numeric):
            numbers = self._numbers(X)
            out[:, : len(self.numeric)] = numbers if self.scaler_ is None else self.scaler_.transform(numbers)
        if self.encoder_ is not None:
            categories = self._categories(X)
            if self.handle_unknown == "error":
                self._refuse_unknown(categories)
            out[:, len(self.numeric) :] = self.encoder_.transform(categories)
        return out

    def get_feature_names_out(self, input_features=None):
        """Names of the columns of :meth:`transform`; ``input_features`` is ignored."""
        names = list(self.numeric)
        if self.encoder_ is not None:
            names += self.encoder_.get_feature_names_out(list(self.categorical)).tolist()
        return np.array(names, dtype=object)

    def _require_columns(self, X):
        absent = [name for name in (*self.numeric, *self.categorical) if name not in X.columns]
        if absent:
            raise ValueError(f"the table lacks {_listed(absent)}; it has {_listed(X.columns)}")

    def _learn_fill_values(self, X):
        values = {}
        for name in (*self.numeric, *self.categorical):
            column = X[name].dropna()
            if column.empty:
                raise ValueError(f"column {name!r} has no values to learn from")
            if name in self.numeric:
                values[name] = float(np.median(column.to_numpy(dtype=np.float64)))
            else:
                values[name] = str(column.mode().iloc[0])
        return values

    def _numbers(self, X):
        out = np.empty((len(X), len(self.numeric)))
        for j, name in enumerate(self.numeric):
            try:
                out[:, j] = X[name].to_numpy(dtype=np.float64, na_value=np.nan)
            except (TypeError, ValueError) as error:
                raise ValueError(f"column {name!r} must hold numbers: {error}") from None
            if np.isinf(out[:, j]).any():
                raise ValueError(f"column {name!r} must hold finite numbers, got an infinite one")
            missing = np.isnan(out[:, j])
            if missing.any():
                self._refuse_missing(name, missing)
                out[missing, j] = self.fill_values_[name]
        return out

    def _categories(self, X):
        out = np.empty((len(X), len(self.categorical)), dtype=object)
        for j, name in enumerate(self.categorical):
            column = X[name]
            missing = column.isna().to_numpy()
            values = column.to_numpy(dtype=object)
            out[:, j] = [value if type(value) is str else str(value) for value in values]
            if missing.any():
                self._refuse_missing(name, missing)
                out[missing, j] = self.fill_values_[name]
        return out

    def _refuse_missing(self, name, missing):
        if name not in self.fill_values_:
            raise ValueError(f"column {name!r} has {np.count_nonzero(missing)} missing values")

    def _refuse_unknown(self, categories):
        for name, column, known in zip(self.categorical, categories.T, self.encoder_.categories_):
            unknown = set(column.tolist()) - set(known.tolist())
            if unknown:
                raise ValueError(
                    f"column {name!r} holds {_listed(sorted(unknown))}, which the model has not seen; "
                    f"it knows {_listed(known)}"
                )


def _listed(names, most=8):
    names = [repr(str(name)) for name in names]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
