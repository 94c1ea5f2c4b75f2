"""What the transformers are to scikit-learn, to batches, to saved models and to the patch."""

import numpy as np
from sklearn.base import clone
from sklearn import preprocessing as stock

from fasttrain._estimators.batching import StepRules
from fasttrain._estimators.conversion import by_attributes, with_parameters
from fasttrain._estimators.registry import enter, enter_record, require
from fasttrain.preprocessing.columns.fitted import SCALERS
from fasttrain.preprocessing.columns.hashed import HashedColumn
from fasttrain.preprocessing.columns.numbers import Dense
from fasttrain.preprocessing.columns.recognition import CategoryColumn, LeftOut
from fasttrain.preprocessing.encoding import OneHotEncoder
from fasttrain.preprocessing.labels import LabelBinarizer, LabelEncoder
from fasttrain.preprocessing.ordinal import OrdinalEncoder
from fasttrain.preprocessing.robust import MaxAbsScaler, RobustScaler
from fasttrain.preprocessing.samplers import DropDuplicates, DropMissing, DropOutliers, RowReport
from fasttrain.preprocessing.scaling import MinMaxScaler, StandardScaler
from fasttrain.preprocessing.table import TablePreprocessor

COLUMNS = (Dense, CategoryColumn, HashedColumn, LeftOut)


def _encoder(source, target_class):
    """An encoder of the other library; what it keeps beside its categories comes from a fit on made-up rows."""
    target = with_parameters(target_class, source)
    if not hasattr(source, "categories_"):
        return target
    own = {name: getattr(target, name) for name in ("categories", "min_frequency", "max_categories")}
    grouped = own["min_frequency"] is not None or own["max_categories"] is not None
    infrequent = source.infrequent_categories_ if grouped else [None] * len(source.categories_)
    table, threshold = _rows_with(source.categories_, infrequent)
    # bytes are refused as stated categories of a table of objects
    stated = not any(isinstance(value, bytes) for column in source.categories_ for value in column.tolist())
    target.set_params(
        categories=[column.astype(object) for column in source.categories_] if stated else "auto",
        min_frequency=threshold if grouped else None, max_categories=None,
    )
    target.fit(table)
    target.set_params(**own)
    target.categories_ = [column.copy() for column in source.categories_]
    if hasattr(source, "feature_names_in_"):
        target.feature_names_in_ = source.feature_names_in_.copy()
    return target


def _rows_with(categories, infrequent):
    """A table of objects in which the ``infrequent`` categories, and no others, are seen less often than a number of
    times, which is returned as well.
    """
    rare = [
        np.zeros(len(column), dtype=bool) if few is None else _is_in(column, few)
        for column, few in zip(categories, infrequent)
    ]
    n_common = max(int((~mask).sum()) for mask in rare)
    n_rare = max(int(mask.sum()) for mask in rare)
    threshold = 2
    if any(mask.all() for mask in rare) and n_common:
        # then its rows, as many as those of the others, must be few of each category
        threshold = n_rare + 2 * n_common + 3
    n_rows = max(n_common * threshold + n_rare, 1)
    if not n_common:
        threshold = n_rows + 1
    table = np.empty((n_rows, len(categories)), dtype=object)
    for i, (column, mask) in enumerate(zip(categories, rare)):
        codes = np.arange(len(column))
        if not mask.all():
            codes = np.concatenate([codes[mask], np.repeat(codes[~mask], threshold)])
        values = np.empty(len(column), dtype=object)
        values[:] = column.tolist()
        table[:, i] = values[np.resize(codes, n_rows) if mask.all() else np.concatenate(
            [codes, np.full(n_rows - len(codes), codes[-1])])]
    return table, threshold


def _is_in(column, few):
    """Which entries of a column of distinct categories are among ``few``, NaN and None included."""
    few = few.tolist()
    return np.array([any(a is b or a == b or (a != a and b != b) for b in few) for a in column.tolist()])


def _vectors(*names):
    """A check that these attributes are vectors of floats, one a column, or None."""

    def check(model):
        n = model.n_features_in_
        for name in names:
            vector = getattr(model, name)
            good = vector is None or (
                isinstance(vector, np.ndarray) and vector.dtype.kind == "f" and vector.shape == (n,))
            require(good, model, name, f"have shape ({n},)")

    return check


def _require_columns(model, outputs):
    """Refuse an encoder whose categories, or what it gives for them, are not those of its columns."""
    good = len(outputs) == len(model.categories_) == model.n_features_in_
    require(good, model, "categories_", f"be those of {model.n_features_in_} columns")


def _check_one_hot(model):
    places = model._out_columns
    _require_columns(model, places)
    for place, categories in zip(places, model.categories_):
        good = place.dtype == np.int64 and place.shape == (len(categories) + 1,)
        require(good, model, "_out_columns", "have a place for each category")
        good = place.min() >= -1 and place.max() < model._n_out
        require(good, model, "_out_columns", f"have places from -1 to {model._n_out - 1}")


def _check_ordinal(model):
    _require_columns(model, model._values)
    for values, categories in zip(model._values, model.categories_):
        require(values.shape == (len(categories) + 1,), model, "_values", "have a number for each category")


def _check_outliers(model):
    _vectors("lower_", "upper_")(model)
    good = all(type(i) is int and 0 <= i < model.n_features_in_ for i in model._positions)
    require(good, model, "_positions", "be numbers of columns")


def _check_table(model):
    n, columns = model.n_features_in_, model._columns
    good = type(columns) is list and len(columns) == n and all(isinstance(column, COLUMNS) for column in columns)
    require(good and type(model._names) is list and len(model._names) == n, model, "_columns", f"be those of {n} names")
    for name, column in zip(model._names, columns):
        def require_of(condition, what, name=name):
            require(condition, model, f"the column {name!r}", what)

        require_of(type(column.reason) is str, "have a reason")
        column.check(require_of)
    require(list(model.types_.values()) == [column.kind for column in columns], model, "types_", "be those of _columns")
    n_numbers = sum(len(column.names("")) for column in columns if isinstance(column, Dense))
    fill = model._fill_numbers
    good = isinstance(fill, np.ndarray) and fill.dtype.kind == "f" and fill.shape == (n_numbers,)
    require(good and bool(np.isfinite(fill).all()), model, "_fill_numbers", f"have {n_numbers} finite numbers")
    n_categories = sum(isinstance(column, CategoryColumn) for column in columns)
    for name, classes, n_columns in (
        ("scaler_", tuple(SCALERS.values()), n_numbers), ("encoder_", (OneHotEncoder, OrdinalEncoder), n_categories),
    ):
        part = getattr(model, name)
        absent = part is None and (n_columns == 0 or (name == "scaler_" and model.scale is None))
        good = absent or (isinstance(part, classes) and n_columns > 0 and part.n_features_in_ == n_columns)
        require(good, model, name, f"be for {n_columns} columns")
    require(model._layout == model._layout_of(), model, "_layout", "be the names and widths of the columns")
    require(type(model.sparse_output_) is bool, model, "sparse_output_", "be True or False")
    require(type(model.fill_) is dict, model, "fill_", "be a dict")
    classes = model.classes_
    good = classes is None or (isinstance(classes, np.ndarray) and classes.ndim == 1)
    require(good, model, "classes_", "be a vector")


def _scaler_from_moments(step, moments):
    """``step`` fitted by the moments of some rows, without a look at them; None where a look is needed."""
    if not (step.with_mean or step.with_std):
        return None
    weight, mean, var = moments()
    if not np.isfinite(mean).all():
        return None
    fitted = clone(step)
    fitted._check_flags()
    fitted.n_features_in_ = len(mean)
    fitted._set_moments(weight, mean, var)
    fitted._set_scale()
    return fitted


def _enter_as_stock(cls, convert, **known):
    """Enter a class that has scikit-learn's name and takes its place under the patch."""
    of_name = getattr(stock, cls.__name__)
    enter(
        cls, stock=of_name, to_stock=lambda source: convert(source, of_name), from_stock={of_name: convert},
        **{"replaces": {}, **known},
    )


_enter_as_stock(
    StandardScaler, by_attributes, batch=StepRules(from_moments=_scaler_from_moments),
    check=_vectors("mean_", "scale_", "var_"))
_enter_as_stock(
    MinMaxScaler, by_attributes, batch=StepRules(), check=_vectors("min_", "scale_", "data_min_", "data_max_"))
_enter_as_stock(MaxAbsScaler, by_attributes, batch=StepRules(), check=_vectors("max_abs_", "scale_"))
_enter_as_stock(RobustScaler, by_attributes, batch=StepRules(), check=_vectors("center_", "scale_"))
_enter_as_stock(OneHotEncoder, _encoder, batch=StepRules(), check=_check_one_hot)
_enter_as_stock(OrdinalEncoder, _encoder, batch=StepRules(), check=_check_ordinal)
for _cls in (LabelEncoder, LabelBinarizer):
    _enter_as_stock(_cls, by_attributes, replaces={"auto_wrap_output_keys": None})
enter(DropDuplicates)
enter(DropMissing)
enter(DropOutliers, check=_check_outliers)
enter(TablePreprocessor, check=_check_table)
enter_record(RowReport, "row report")
