"""What the estimators of least squares are to scikit-learn, to batches, to saved models, to the patch and to inspection."""

from functools import partial

import numpy as np
from sklearn.linear_model import (
    LinearRegression as StockLinearRegression, Ridge as StockRidge, RidgeClassifier as StockRidgeClassifier,
)
from sklearn.utils.validation import check_is_fitted

from fasttrain._estimators.batching import FitRules
from fasttrain._estimators.conversion import by_attributes, with_attributes
from fasttrain._estimators.networks import DenseNetwork
from fasttrain._estimators.registry import enter, require
from fasttrain.linear_model._linear_regression import LinearRegression
from fasttrain.linear_model._ridge import Ridge, RidgeClassifier


def _converted(source, target_class):
    """A classifier's binarizer is its only fitted state that is not public."""
    return with_attributes(by_attributes(source, target_class), source, ["_label_binarizer"])


def _check(model):
    coef, intercept = model.coef_, model.intercept_
    good = isinstance(coef, np.ndarray) and coef.dtype in (np.float32, np.float64) and coef.ndim in (1, 2)
    require(good and coef.shape[-1] == model.n_features_in_, model, "coef_", f"have {model.n_features_in_} columns")
    outputs = len(coef) if coef.ndim == 2 else 1
    require(np.ndim(intercept) <= 1 and np.size(intercept) in (1, outputs), model, "intercept_", f"have {outputs} numbers")
    finite = np.isfinite(coef).all() and np.isfinite(intercept).all()
    require(finite, model, "coef_ and intercept_", "be finite")


def _predictions(model):
    def predictions(X):
        return X @ model.coef_.T + model.intercept_

    return predictions


def _network(model):
    check_is_fitted(model)
    coef = np.atleast_2d(model.coef_)
    intercept = np.broadcast_to(np.asarray(model.intercept_, dtype=coef.dtype).ravel(), len(coef))
    return DenseNetwork([np.ascontiguousarray(coef.T)], [intercept], [], "identity")


for _cls, _stock in (
    (LinearRegression, StockLinearRegression), (Ridge, StockRidge), (RidgeClassifier, StockRidgeClassifier),
):
    enter(
        _cls, stock=_stock, to_stock=partial(_converted, target_class=_stock), from_stock={_stock: _converted},
        replaces={}, batch=FitRules(predictions=_predictions), check=_check, network=_network,
    )
