"""What the estimators of least squares are to scikit-learn, batches, saved models, the patch and inspection."""

from functools import partial

import numpy as np
from sklearn.linear_model import (
    LinearRegression as StockLinearRegression, Ridge as StockRidge, RidgeClassifier as StockRidgeClassifier,
    RidgeClassifierCV as StockRidgeClassifierCV, RidgeCV as StockRidgeCV,
)
from sklearn.preprocessing import LabelBinarizer

from fasttrain._estimators.batching import FitRules
from fasttrain._estimators.conversion import by_attributes
from fasttrain._estimators.registry import enter
from fasttrain.linear_model._entry_parts import check_coefficients, identity, network, raw_predictions
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
        # a property of scikit-learn's class until 1.8
        new.classes_ = source.classes_.copy()
        new._multilabel = source._label_binarizer.y_type_.startswith("multilabel")
    return new


_fits = FitRules(predictions=raw_predictions, sums=SumsData)
_alone = FitRules(predictions=raw_predictions)

for _cls, _stock, _batch in (
    (LinearRegression, StockLinearRegression, _fits), (Ridge, StockRidge, _fits),
    (RidgeClassifier, StockRidgeClassifier, _fits), (RidgeCV, StockRidgeCV, _alone),
    (RidgeClassifierCV, StockRidgeClassifierCV, _alone),
):
    enter(
        _cls, stock=_stock, to_stock=partial(_to_stock, target_class=_stock), from_stock={_stock: _from_stock},
        replaces={}, batch=_batch, check=check_coefficients, network=partial(network, identity),
    )
