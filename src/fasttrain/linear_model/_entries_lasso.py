"""What the estimators by coordinate descent are to scikit-learn, to searches, to saved models and to the patch."""

from functools import partial

import numpy as np
from sklearn import linear_model
from sklearn.utils.validation import check_is_fitted

from fasttrain._estimators.batching import FitRules
from fasttrain._estimators.conversion import by_attributes
from fasttrain._estimators.networks import DenseNetwork
from fasttrain._estimators.registry import enter, enter_function, require
from fasttrain.linear_model._elastic_net import ElasticNet, Lasso
from fasttrain.linear_model._elastic_net_cv import ElasticNetCV, LassoCV, MultiTaskElasticNetCV, MultiTaskLassoCV
from fasttrain.linear_model._multi_task import MultiTaskElasticNet, MultiTaskLasso
from fasttrain.linear_model._paths import enet_path, lasso_path


def _check(model):
    coef, intercept = model.coef_, model.intercept_
    good = isinstance(coef, np.ndarray) and coef.dtype.kind == "f" and coef.ndim in (1, 2)
    require(good and coef.shape[-1] == model.n_features_in_, model, "coef_", f"have {model.n_features_in_} columns")
    outputs = len(coef) if coef.ndim == 2 else 1
    good = np.ndim(intercept) <= 1 and np.size(intercept) in (1, outputs)
    require(good, model, "intercept_", f"have {outputs} numbers")
    require(np.isfinite(coef).all() and np.isfinite(intercept).all(), model, "coef_ and intercept_", "be finite")


def _predictions(model):
    def predictions(X):
        return X @ model.coef_.T + model.intercept_

    return predictions


def _network(model):
    check_is_fitted(model)
    coef = np.atleast_2d(model.coef_)
    intercept = np.broadcast_to(np.asarray(model.intercept_, dtype=coef.dtype).ravel(), len(coef))
    return DenseNetwork([np.ascontiguousarray(coef.T)], [intercept], [], "identity")


def _enter(cls, stock):
    enter(
        cls, stock=stock, to_stock=partial(by_attributes, target_class=stock), from_stock={stock: by_attributes},
        replaces={}, batch=FitRules(predictions=_predictions), check=_check, network=_network)


def _ours_first(function, stock, args, kwargs):
    """What fasttrain's function refuses, scikit-learn's answers, or refuses in its words."""

    def call(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except (ValueError, TypeError):
            return stock(*args, **kwargs)

    return call, kwargs


# before the engine's LinearRegressor, which a Lasso and an ElasticNet of scikit-learn become where it is asked for
_enter(Lasso, linear_model.Lasso)
_enter(ElasticNet, linear_model.ElasticNet)
_enter(LassoCV, linear_model.LassoCV)
_enter(ElasticNetCV, linear_model.ElasticNetCV)
_enter(MultiTaskLasso, linear_model.MultiTaskLasso)
_enter(MultiTaskElasticNet, linear_model.MultiTaskElasticNet)
_enter(MultiTaskLassoCV, linear_model.MultiTaskLassoCV)
_enter(MultiTaskElasticNetCV, linear_model.MultiTaskElasticNetCV)
enter_function(lasso_path, linear_model.lasso_path, _ours_first)
enter_function(enet_path, linear_model.enet_path, _ours_first)
