"""What the logistic regressions are to scikit-learn, to batches, to saved models, to the patch and to inspection."""

from functools import partial

import numpy as np
from scipy import sparse
from sklearn.linear_model import LogisticRegression as Stock, LogisticRegressionCV as StockCV
from sklearn.utils.validation import check_is_fitted

from fasttrain._estimators.batching import FitRules
from fasttrain._estimators.conversion import by_attributes
from fasttrain._estimators.networks import DenseNetwork
from fasttrain._estimators.registry import enter, require
from fasttrain.linear_model._logistic import LogisticRegression
from fasttrain.linear_model._logistic_columns import LogisticColumns
from fasttrain.linear_model._logistic_cv import LogisticRegressionCV


def _check(model):
    coef, intercept = model.coef_, model.intercept_
    values = coef.data if sparse.issparse(coef) else coef
    good = (sparse.issparse(coef) or isinstance(coef, np.ndarray)) and len(coef.shape) == 2 and values.dtype.kind == "f"
    require(good and coef.shape[1] == model.n_features_in_, model, "coef_", f"have {model.n_features_in_} columns")
    n_classes = len(model.classes_)
    n_outputs = 1 if n_classes == 2 else n_classes
    require(coef.shape[0] == n_outputs, model, "coef_", f"have a row for each of {n_classes} classes, one for two")
    require(np.shape(intercept) == (n_outputs,), model, "intercept_", f"have shape {(n_outputs,)}")
    require(np.isfinite(values).all() and np.isfinite(intercept).all(), model, "coef_ and intercept_", "be finite")


def _predictions(model):
    def predictions(X):
        raw = X @ model.coef_.T + model.intercept_
        return raw.reshape(-1) if raw.shape[1] == 1 else raw

    return predictions


def _network(model):
    check_is_fitted(model)
    coef = model.coef_.toarray() if sparse.issparse(model.coef_) else model.coef_
    output = "logistic" if len(model.classes_) == 2 else "softmax"
    return DenseNetwork([np.ascontiguousarray(coef.T)], [np.asarray(model.intercept_, dtype=coef.dtype)], [], output)


enter(
    LogisticRegression, stock=Stock, to_stock=partial(by_attributes, target_class=Stock),
    from_stock={Stock: by_attributes}, replaces={}, check=_check, network=_network,
    batch=FitRules(predictions=_predictions, columns=LogisticColumns),
)
enter(
    LogisticRegressionCV, stock=StockCV, to_stock=partial(by_attributes, target_class=StockCV),
    from_stock={StockCV: by_attributes}, replaces={}, check=_check, network=_network,
)
