"""What the estimators of least squares are to scikit-learn, batches, saved models, the patch and inspection."""

from functools import partial

import numpy as np
from sklearn.linear_model import (
    LinearRegression as StockLinearRegression, Ridge as StockRidge, RidgeClassifier as StockRidgeClassifier,
    RidgeClassifierCV as StockRidgeClassifierCV, RidgeCV as StockRidgeCV,
)
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.validation import check_is_fitted

from fasttrain._estimators.batching import FitRules
from fasttrain._estimators.conversion import by_attributes
from fasttrain._estimators.networks import DenseNetwork
from fasttrain._estimators.registry import enter, require
from fasttrain.linear_model._fold_fits import SumsData
from fasttrain.linear_model._linear_regression import LinearRegression
from fasttrain.linear_model._ridge import Ridge, RidgeClassifier
from fasttrain.linear_model._ridge_cv import RidgeClassifierCV, RidgeCV


def _to_stock(source, target_class):
    """scikit-learn's class of the same name; a classifier's binarizer comes from its classes."""
    new = by_attributes(source, target_class)
    if hasattr(source, "classes_"):
        seen = np.eye(len(source.classes_), dtype=int) if source._multilabel else source.classes_
        new._label_binarizer = LabelBinarizer(pos_label=1, neg_label=-1).fit(seen)
    return new


def _from_stock(source, target_class):
    new = by_attributes(source, target_class)
    if hasattr(source, "classes_"):
        new._multilabel = source._label_binarizer.y_type_.startswith("multilabel")
    return new


def _check(model):
    coef, intercept = model.coef_, model.intercept_
    good = isinstance(coef, np.ndarray) and coef.dtype in (np.float32, np.float64) and coef.ndim in (1, 2)
    require(good and coef.shape[-1] == model.n_features_in_, model, "coef_", f"have {model.n_features_in_} columns")
    outputs = len(coef) if coef.ndim == 2 else 1
    good = np.ndim(intercept) <= 1 and np.size(intercept) in (1, outputs)
    require(good, model, "intercept_", f"have {outputs} numbers")
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


_fits = FitRules(predictions=_predictions, sums=SumsData)
_alone = FitRules(predictions=_predictions)

for _cls, _stock, _batch in (
    (LinearRegression, StockLinearRegression, _fits), (Ridge, StockRidge, _fits),
    (RidgeClassifier, StockRidgeClassifier, _fits), (RidgeCV, StockRidgeCV, _alone),
    (RidgeClassifierCV, StockRidgeClassifierCV, _alone),
):
    enter(
        _cls, stock=_stock, to_stock=partial(_to_stock, target_class=_stock), from_stock={_stock: _from_stock},
        replaces={}, batch=_batch, check=_check, network=_network,
    )
