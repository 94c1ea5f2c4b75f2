"""Conversions between fasttrain's estimators and scikit-learn's, class by class.

The doors are in :mod:`fasttrain.interop`. Each function takes an estimator and gives one of the other library with the
same parameters and, when it is fitted, the same predictions. Only attributes that are public in scikit-learn are
written; what is private there comes from a fit of scikit-learn's own on a few made-up rows.
"""

import copy
import inspect
import warnings
from types import SimpleNamespace

import numpy as np
import sklearn.linear_model
import sklearn.model_selection
import sklearn.multioutput
import sklearn.neural_network
import sklearn.preprocessing

from fasttrain import linear_model, losses, model_selection, neural_network, preprocessing
from fasttrain.neural_network._base import folded_layers
from fasttrain.neural_network._settings import hidden_layers

# scikit-learn's own classes, also when its packages are patched later.
stock_linear, stock_network, stock_preprocessing, multioutput = (
    SimpleNamespace(**vars(module)) for module in (
        sklearn.linear_model, sklearn.neural_network, sklearn.preprocessing, sklearn.multioutput)
)

_STOCK_ACTIVATIONS = ("identity", "logistic", "tanh", "relu")
# What set_output and the requests for metadata leave, which clones keep as well.
_OPTIONS = ("_sklearn_output_config", "_metadata_request")
_SHARED_STATE = ("n_features_in_", "feature_names_in_", "n_iter_", "t_")


def names_of(cls):
    """Parameters of a class, in the order of its constructor."""
    return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]


def added_parameters(estimator, stock):
    """Names of parameters that the stock class does not have and that are not at their defaults here."""
    fast = next(cls for cls in type(estimator).__mro__ if cls.__module__.startswith("fasttrain.")
                and not hasattr(cls, "_stock"))
    known = set(names_of(stock))
    return [
        name for name, parameter in inspect.signature(fast.__init__).parameters.items()
        if name != "self" and name not in known and getattr(estimator, name, parameter.default) is not parameter.default
        and getattr(estimator, name) != parameter.default
    ]


def with_parameters(cls, estimator, **changed):
    """A new ``cls`` with those parameters of ``estimator`` that it has; objects are shared, as a clone shares them."""
    given = {name: getattr(estimator, name) for name in names_of(cls) if hasattr(estimator, name)}
    return take(cls(**{**given, **changed}), estimator, _OPTIONS)


def take(new, old, names):
    """Copy attributes that are there."""
    for name in names:
        if name in vars(old):
            setattr(new, name, copy.deepcopy(vars(old)[name]))
    return new


def fitted_names(estimator):
    return [name for name in vars(estimator) if name.endswith("_") and not name.startswith("_")]


# ---- scalers and label encoders: all they know is public ----


def _by_attributes(source, target_class):
    return take(with_parameters(target_class, source), source, fitted_names(source))


# ---- encoders ----


def _encoder(source, target_class):
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


# ---- linear models ----


def _sgd_to_stock(model):
    """SGDRegressor's Poisson and quantile losses and its several outputs are other classes there."""
    classifier = isinstance(model, linear_model.SGDClassifier)
    stock = stock_linear.SGDClassifier if classifier else stock_linear.SGDRegressor
    if not classifier and model.loss == "poisson":
        return _poisson(model, model.coef_ if hasattr(model, "coef_") else None)
    if not classifier and model.loss == "quantile":
        return _coefficients(with_parameters(stock_linear.QuantileRegressor, model), model)
    if not classifier and np.ndim(getattr(model, "coef_", 0)) == 2:
        return _coefficients(stock_linear.LinearRegression(fit_intercept=model.fit_intercept), model)
    new = with_parameters(stock, model)
    names = ["coef_", "intercept_", "classes_", *_SHARED_STATE]
    if hasattr(model, "coef_") and model.average:
        names += [part + name for part in ("_standard_", "_average_") for name in ("coef", "intercept")]
    return take(new, model, names)


def _sgd_from_stock(model, target_class):
    names = ["coef_", "intercept_", "classes_", *_SHARED_STATE]
    names += [part + name for part in ("_standard_", "_average_") for name in ("coef", "intercept")]
    return take(with_parameters(target_class, model), model, names)


def _coefficients(new, model):
    return take(new, model, ["coef_", "intercept_", *_SHARED_STATE]) if hasattr(model, "coef_") else new


def _poisson(model, coef):
    if coef is None:
        return _poisson_with(model)
    if np.ndim(coef) == 1:
        return _poisson_with(model, coef, np.ravel(model.intercept_)[0])
    several = multioutput.MultiOutputRegressor(_poisson_with(model))
    several.estimators_ = [_poisson_with(model, *one) for one in zip(coef, model.intercept_)]
    return take(several, model, _SHARED_STATE[:2])


def _poisson_with(model, coef=None, intercept=None):
    new = stock_linear.PoissonRegressor(alpha=model.alpha, fit_intercept=model.fit_intercept)
    if coef is None:
        return new
    # it keeps its link from a fit; this one has nothing to find
    new.fit(np.zeros((2, len(coef))), np.ones(2))
    new.coef_, new.intercept_ = coef.copy(), intercept
    return take(new, model, _SHARED_STATE[:3])


def _linear_regressor_to_stock(model):
    loss = losses.get(model.loss)
    if loss.inverse_link == "exponential":
        return _poisson(model, getattr(model, "coef_", None))
    if isinstance(loss, losses.Quantile):
        new = stock_linear.QuantileRegressor(quantile=loss.quantile, fit_intercept=model.fit_intercept)
        if np.ndim(getattr(model, "coef_", 0)) < 2:
            return _coefficients(new, model)
    return _coefficients(stock_linear.LinearRegression(fit_intercept=model.fit_intercept), model)


def _linear_classifier_to_stock(model):
    """Logistic regression for the cross-entropies, a linear SGDClassifier for the margins, and for several labels a
    perceptron with no hidden layer."""
    loss = losses.get(model.loss)
    if getattr(model, "_multilabel", False):
        return _labels_to_stock(model, loss)
    if loss.targets == "margin":
        new = stock_linear.SGDClassifier(
            loss=loss.name, fit_intercept=model.fit_intercept, class_weight=model.class_weight,
            random_state=model.random_state,
        )
    else:
        new = stock_linear.LogisticRegression(
            fit_intercept=model.fit_intercept, class_weight=model.class_weight, random_state=model.random_state)
    if not hasattr(model, "coef_"):
        return new
    new = _coefficients(new, model)
    new.classes_ = model.classes_.copy()
    if loss.targets != "margin":
        new.n_iter_ = np.array([model.n_iter_], dtype=np.int32)
    return new


def _labels_to_stock(model, loss):
    if loss.targets == "margin" and hasattr(model, "coef_"):
        raise ValueError(
            f"to_sklearn of a LinearClassifier with several labels needs the loss 'log_loss', got {model.loss!r}")
    rows = np.eye(len(model.classes_), dtype=int)
    new = stock_network.MLPClassifier((), activation="identity", random_state=model.random_state)
    return _fitted_network(
        new, model, rows, [model.coef_.T.copy()], [model.intercept_.copy()], {"loss_": model.loss_})


def _linear_from_stock(model, target_class):
    link = isinstance(model, stock_linear.PoissonRegressor)
    settings = {"fit_intercept": model.fit_intercept}
    if target_class is linear_model.LinearClassifier:
        settings["class_weight"] = model.class_weight
        if isinstance(model, stock_linear.SGDClassifier):
            settings["loss"] = model.loss
    elif link:
        settings["loss"] = "poisson"
    elif isinstance(model, stock_linear.QuantileRegressor):
        settings["loss"] = losses.Quantile(model.quantile)
    elif isinstance(model, stock_linear.SGDRegressor):
        settings["loss"] = {
            "squared_error": "half_squared_error", "huber": losses.Huber(model.epsilon) if model.epsilon else "huber",
        }.get(model.loss, "half_squared_error")
    new = target_class(**settings)
    if not hasattr(model, "coef_"):
        return new
    take(new, model, _SHARED_STATE[:2])
    if target_class is linear_model.LinearClassifier:
        new.classes_, new._multilabel = model.classes_.copy(), False
        new.coef_, new.intercept_ = np.array(np.atleast_2d(model.coef_)), np.array(np.atleast_1d(model.intercept_))
        if new.intercept_.shape != (len(new.coef_),):
            new.intercept_ = np.broadcast_to(new.intercept_, len(new.coef_)).copy()
    else:
        coef, intercept = np.array(model.coef_), np.array(model.intercept_)
        if coef.ndim == 2 and len(coef) == 1:
            coef = coef[0]
        if coef.ndim == 1:
            new.coef_, new.intercept_ = coef, np.ravel(intercept)[0]
        else:
            new.coef_, new.intercept_ = coef, np.broadcast_to(intercept, len(coef)).copy()
    new.n_iter_, new.t_ = int(np.max(getattr(model, "n_iter_", None) or 0)), 0
    new.history_ = {"loss": []}
    new.loss_curve_, new.validation_loss_curve_ = [], None
    new.loss_ = new.best_loss_ = np.nan
    new.converged_ = True
    return new


# ---- perceptrons ----


def _network_to_stock(model):
    classifier = isinstance(model, neural_network.MLPClassifier)
    stock = stock_network.MLPClassifier if classifier else stock_network.MLPRegressor
    fitted = hasattr(model, "coefs_")
    # weights set by hand have none
    used = model._hidden if hasattr(model, "_hidden") else hidden_layers(model)[1]
    names = list(dict.fromkeys(name for name, _ in used))
    if len(names) > 1 or not set(names) <= set(_STOCK_ACTIVATIONS):
        raise ValueError(
            "to_sklearn needs one activation for all hidden layers, of "
            f"{', '.join(_STOCK_ACTIVATIONS)}, got {model.activation!r}"
        )
    given = model.activation if isinstance(model.activation, str) and model.activation in _STOCK_ACTIVATIONS else "relu"
    changed = {"activation": names[0] if names else given}
    if classifier:
        if model.loss != "log_loss":
            raise ValueError(f"to_sklearn of an MLPClassifier needs the loss 'log_loss', got {model.loss!r}")
    else:
        # the other losses predict what the squared error predicts: the outputs as they are
        changed["loss"] = "poisson" if losses.get(model.loss).inverse_link == "exponential" else "squared_error"
    new = with_parameters(stock, model, **changed)
    if not fitted:
        return new
    rows = None
    if classifier:
        rows = model.classes_ if not model._multilabel() else np.eye(len(model.classes_), dtype=int)
    state = {
        name: getattr(model, name)
        for name in ("loss_", "best_loss_", "loss_curve_", "validation_scores_", "best_validation_score_")
        if hasattr(model, name)
    }
    return _fitted_network(new, model, rows, *folded_layers(model), state)


def _fitted_network(new, model, targets, coefs, intercepts, state):
    """``new`` with these weights. A fit with no hidden layer on rows of zeros gives it what it keeps of ``targets``;
    L-BFGS leaves nothing else behind."""
    own = {name: getattr(new, name) for name in names_of(type(new))}
    if targets is None:
        targets = np.zeros((2, coefs[-1].shape[1])) if coefs[-1].shape[1] > 1 else np.zeros(2)
    new.set_params(
        hidden_layer_sizes=(), solver="lbfgs", max_iter=1, random_state=0, warm_start=False, verbose=False,
        early_stopping=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        new.fit(np.zeros((len(targets), coefs[0].shape[0])), targets)
    new.set_params(**own)
    new.coefs_, new.intercepts_ = coefs, intercepts
    new.n_layers_ = len(coefs) + 1
    take(new, model, _SHARED_STATE)
    vars(new).update(copy.deepcopy(state))
    return new


def _network_from_stock(model, target_class):
    new = with_parameters(target_class, model)
    if not hasattr(model, "coefs_"):
        return new
    take(new, model, fitted_names(model))
    new._hidden = hidden_layers(new)[1][:len(model.coefs_) - 1]
    new.validation_loss_curve_ = new.batch_norm_ = None
    new._no_improvement_count = 0
    if target_class is neural_network.MLPClassifier:
        several = model.out_activation_ == "logistic" and model.n_outputs_ > 1
        new._note_classes(np.eye(len(model.classes_), dtype=int) if several else model.classes_)
        new.classes_ = model.classes_.copy()
    return new


def fitted_network_of(new, coefs, intercepts, classes):
    """The perceptron ``new`` of fasttrain with these weights, as a fit of no epochs would leave it."""
    new._hidden = hidden_layers(new)[1][:len(coefs) - 1]
    new.batch_norm_ = None
    new.coefs_, new.intercepts_ = coefs, intercepts
    new.n_features_in_, new.n_outputs_, new.n_layers_ = coefs[0].shape[0], coefs[-1].shape[1], len(coefs) + 1
    if classes is None:
        new.out_activation_ = "exp" if new._loss_spec().inverse_link == "exponential" else "identity"
    else:
        new._note_classes(classes)
        new.out_activation_ = "softmax" if len(classes) > 2 else "logistic"
    new.n_iter_ = new.t_ = new._no_improvement_count = 0
    new.loss_, new.loss_curve_, new.validation_loss_curve_ = np.nan, [], None
    new.best_loss_ = None if new.early_stopping else np.inf
    new.validation_scores_ = new.best_validation_score_ = None
    return new


# ---- the tables ----

SAME_ATTRIBUTES = ("StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler", "LabelEncoder", "LabelBinarizer")
ENCODERS = ("OneHotEncoder", "OrdinalEncoder")

# From fasttrain's class to (scikit-learn's class of the same parameters, if there is one; the conversion).
TO_STOCK = {
    linear_model.SGDClassifier: (stock_linear.SGDClassifier, _sgd_to_stock),
    linear_model.SGDRegressor: (stock_linear.SGDRegressor, _sgd_to_stock),
    linear_model.LinearClassifier: (None, _linear_classifier_to_stock),
    linear_model.LinearRegressor: (None, _linear_regressor_to_stock),
    neural_network.MLPClassifier: (stock_network.MLPClassifier, _network_to_stock),
    neural_network.MLPRegressor: (stock_network.MLPRegressor, _network_to_stock),
}
# From scikit-learn's class to [(fasttrain's class, the conversion)], the first where none is asked for.
FROM_STOCK = {
    stock_linear.SGDClassifier: [
        (linear_model.SGDClassifier, _sgd_from_stock), (linear_model.LinearClassifier, _linear_from_stock)],
    stock_linear.SGDRegressor: [
        (linear_model.SGDRegressor, _sgd_from_stock), (linear_model.LinearRegressor, _linear_from_stock)],
    stock_network.MLPClassifier: [(neural_network.MLPClassifier, _network_from_stock)],
    stock_network.MLPRegressor: [(neural_network.MLPRegressor, _network_from_stock)],
    stock_linear.LogisticRegression: [(linear_model.LinearClassifier, _linear_from_stock)],
    **{
        getattr(stock_linear, name): [(linear_model.LinearRegressor, _linear_from_stock)]
        for name in ("LinearRegression", "Ridge", "Lasso", "ElasticNet", "HuberRegressor", "QuantileRegressor",
                     "PoissonRegressor")
    },
}


# Searches differ in how they run only.
SEARCHES = {
    getattr(model_selection, name): getattr(sklearn.model_selection, name)
    for name in ("GridSearchCV", "RandomizedSearchCV")
}


def _register(names, convert):
    for name in names:
        fast, stock = getattr(preprocessing, name), getattr(stock_preprocessing, name)
        TO_STOCK[fast] = (stock, lambda source, stock=stock: convert(source, stock))
        FROM_STOCK[stock] = [(fast, convert)]


_register(SAME_ATTRIBUTES, _by_attributes)
_register(ENCODERS, _encoder)
