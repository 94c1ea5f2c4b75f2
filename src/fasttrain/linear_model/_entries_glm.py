"""What generalized linear models, HuberRegressor and the linear SVMs are to the rest of the library."""

import warnings
from functools import partial

import numpy as np
from sklearn import linear_model, svm

from fasttrain._estimators.batching import FitRules
from fasttrain._estimators.conversion import by_attributes, with_attributes, with_parameters
from fasttrain._estimators.registry import enter, require
from fasttrain.linear_model._deviances import inverse_linked
from fasttrain.linear_model._entry_parts import (
    check_coefficients, classes_shape, identity, network, raw_predictions,
)
from fasttrain.linear_model._glm import GammaRegressor, PoissonRegressor, TweedieRegressor
from fasttrain.linear_model._huber import HuberRegressor
from fasttrain.linear_model._quantile import QuantileRegressor
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
    check_coefficients(model, (model.n_features_in_,))


def _check_huber(model):
    _check(model)
    scale = model.scale_
    require(np.ndim(scale) == 0 and np.isfinite(scale) and scale > 0, model, "scale_", "be a finite number > 0")


def _check_machine(model):
    check_coefficients(model, classes_shape(model) if isinstance(model, LinearSVC) else (model.n_features_in_,))


def _predictions_of_glm(model):
    loss, raw = model._loss(), raw_predictions(model)
    return lambda X: inverse_linked(loss, raw(X))


def _glm_output(model, n_outputs):
    return model._loss().inverse_link


def _machine_output(model, n_outputs):
    return None if isinstance(model, LinearSVC) else "identity"


# before the engine's LinearRegressor, which these of scikit-learn become where it is asked for
for _cls, _stock in (
    (PoissonRegressor, linear_model.PoissonRegressor), (GammaRegressor, linear_model.GammaRegressor),
    (TweedieRegressor, linear_model.TweedieRegressor),
):
    enter(
        _cls, stock=_stock, to_stock=partial(_glm_to_stock, stock=_stock), from_stock={_stock: _glm_from_stock},
        replaces={}, batch=FitRules(predictions=_predictions_of_glm), check=_check,
        network=partial(network, _glm_output),
    )
enter(
    HuberRegressor, stock=linear_model.HuberRegressor,
    to_stock=partial(by_attributes, target_class=linear_model.HuberRegressor),
    from_stock={linear_model.HuberRegressor: by_attributes}, replaces={},
    batch=FitRules(predictions=raw_predictions), check=_check_huber, network=partial(network, identity),
)
enter(
    QuantileRegressor, stock=linear_model.QuantileRegressor,
    to_stock=partial(by_attributes, target_class=linear_model.QuantileRegressor),
    from_stock={linear_model.QuantileRegressor: by_attributes}, replaces={},
    batch=FitRules(predictions=raw_predictions), check=_check, network=partial(network, identity),
)
for _cls, _stock in ((LinearSVC, svm.LinearSVC), (LinearSVR, svm.LinearSVR)):
    enter(
        _cls, stock=_stock, to_stock=partial(by_attributes, target_class=_stock), from_stock={_stock: by_attributes},
        replaces={}, batch=FitRules(predictions=raw_predictions), check=_check_machine,
        network=partial(network, _machine_output),
    )
