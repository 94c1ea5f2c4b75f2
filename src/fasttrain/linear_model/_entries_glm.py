"""What generalized linear models, HuberRegressor and the linear SVMs are to the rest of the library."""

import warnings
from functools import partial

import numpy as np
from scipy import sparse
from sklearn import linear_model, svm
from sklearn.utils.validation import check_is_fitted

from fasttrain._estimators.batching import FitRules
from fasttrain._estimators.conversion import by_attributes, with_attributes, with_parameters
from fasttrain._estimators.networks import DenseNetwork
from fasttrain._estimators.registry import enter, require
from fasttrain.linear_model._deviances import inverse_linked
from fasttrain.linear_model._glm import GammaRegressor, PoissonRegressor, TweedieRegressor
from fasttrain.linear_model._huber import HuberRegressor
from fasttrain.linear_model._svm import LinearSVC, LinearSVR


def stock_glm(stock, model, state):
    """A stock regressor with the parameters of ``model``, fitted if that is: ``state`` are names of attributes."""
    new = with_parameters(stock, model)
    if not hasattr(model, "coef_"):
        return new
    # it keeps its loss from a fit; this one has nothing to find
    own = new.get_params()
    new.set_params(solver="lbfgs", max_iter=1, fit_intercept=True, warm_start=False, verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        new.fit(np.zeros((2, model.coef_.shape[-1])), np.ones(2))
    new.set_params(**own)
    return with_attributes(new, model, state)


def _glm_to_stock(model, stock):
    return stock_glm(stock, model, ["coef_", "intercept_", "n_iter_", "n_features_in_", "feature_names_in_"])


def _glm_from_stock(model, target_class):
    names = ["coef_", "intercept_", "n_iter_", "n_features_in_", "feature_names_in_"]
    return with_attributes(with_parameters(target_class, model), model, names)


def _check(model):
    coef, intercept = model.coef_, model.intercept_
    good = isinstance(coef, np.ndarray) and coef.dtype in (np.float32, np.float64)
    require(good and coef.shape == (model.n_features_in_,), model, "coef_", f"hold {model.n_features_in_} numbers")
    require(np.ndim(intercept) == 0, model, "intercept_", "be a number")
    require(np.isfinite(coef).all() and np.isfinite(intercept), model, "coef_ and intercept_", "be finite")


def _check_huber(model):
    _check(model)
    scale = model.scale_
    require(np.ndim(scale) == 0 and np.isfinite(scale) and scale > 0, model, "scale_", "be a finite number > 0")


def _check_machine(model):
    coef, intercept = model.coef_, model.intercept_
    values = coef.data if sparse.issparse(coef) else coef
    good = (sparse.issparse(coef) or isinstance(coef, np.ndarray)) and values.dtype == np.float64
    outputs = 1
    if isinstance(model, LinearSVC):
        outputs = 1 if len(model.classes_) == 2 else len(model.classes_)
        shape = (outputs, model.n_features_in_)
    else:
        shape = (model.n_features_in_,)
    require(good and coef.shape == shape, model, "coef_", f"have shape {shape}")
    require(np.shape(intercept) in ((), (outputs,)), model, "intercept_", f"have {outputs} numbers")
    require(np.isfinite(values).all() and np.isfinite(intercept).all(), model, "coef_ and intercept_", "be finite")


def _predictions_of_machine(model):
    def predictions(X):
        raw = X @ model.coef_.T + model.intercept_
        return raw.reshape(-1) if raw.ndim > 1 and raw.shape[1] == 1 else raw

    return predictions


def _network_of_machine(model):
    check_is_fitted(model)
    coef = np.atleast_2d(model.coef_.toarray() if sparse.issparse(model.coef_) else model.coef_)
    intercept = np.broadcast_to(np.ravel(model.intercept_), len(coef)).astype(coef.dtype)
    output = None if isinstance(model, LinearSVC) else "identity"
    return DenseNetwork([np.ascontiguousarray(coef.T)], [intercept], [], output)


def _predictions_of_glm(model):
    loss = model._loss()

    def predictions(X):
        return inverse_linked(loss, X @ model.coef_ + model.intercept_)

    return predictions


def _predictions_of_huber(model):
    def predictions(X):
        return X @ model.coef_ + model.intercept_

    return predictions


def _network(output_of, model):
    check_is_fitted(model)
    coef = model.coef_
    return DenseNetwork(
        [np.ascontiguousarray(coef[:, np.newaxis])], [np.array([model.intercept_], dtype=coef.dtype)], [],
        output_of(model))


# before the engine's LinearRegressor, which these of scikit-learn become where it is asked for
for _cls, _stock in (
    (PoissonRegressor, linear_model.PoissonRegressor), (GammaRegressor, linear_model.GammaRegressor),
    (TweedieRegressor, linear_model.TweedieRegressor),
):
    enter(
        _cls, stock=_stock, to_stock=partial(_glm_to_stock, stock=_stock), from_stock={_stock: _glm_from_stock},
        replaces={}, batch=FitRules(predictions=_predictions_of_glm), check=_check,
        network=partial(_network, lambda model: model._loss().inverse_link),
    )
enter(
    HuberRegressor, stock=linear_model.HuberRegressor,
    to_stock=partial(by_attributes, target_class=linear_model.HuberRegressor),
    from_stock={linear_model.HuberRegressor: by_attributes}, replaces={},
    batch=FitRules(predictions=_predictions_of_huber), check=_check_huber,
    network=partial(_network, lambda model: "identity"),
)
for _cls, _stock in ((LinearSVC, svm.LinearSVC), (LinearSVR, svm.LinearSVR)):
    enter(
        _cls, stock=_stock, to_stock=partial(by_attributes, target_class=_stock), from_stock={_stock: by_attributes},
        replaces={}, batch=FitRules(predictions=_predictions_of_machine), check=_check_machine,
        network=_network_of_machine,
    )
