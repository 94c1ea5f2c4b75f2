"""What the linear models are to scikit-learn, to batches, to saved models, to the patch and to inspection."""

from functools import partial

import numpy as np
from sklearn.linear_model import (
    ElasticNet, HuberRegressor, Lasso, LinearRegression, LogisticRegression, PoissonRegressor, QuantileRegressor, Ridge,
    SGDClassifier as StockClassifier, SGDRegressor as StockRegressor,
)
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import LabelBinarizer

from fasttrain import losses
from fasttrain._estimators.batching import FitRules
from fasttrain._estimators.conversion import SHARED_STATE, fitted_stock_network, with_attributes, with_parameters
from fasttrain._estimators.fitted import set_fitted
from fasttrain._estimators.registry import enter, enter_part
from fasttrain.linear_model._closed_form import LinearRegressorCV
from fasttrain.linear_model._columns import ColumnsData
from fasttrain.linear_model._entries_glm import stock_glm
from fasttrain.linear_model._glm import PoissonRegressor as GLM
from fasttrain.linear_model._entry_parts import check_coefficients, identity, network, raw_predictions
from fasttrain.linear_model._linear import LinearClassifier, LinearRegressor
from fasttrain.linear_model._lockstep import LockstepData
from fasttrain.linear_model._sgd_classifier import SGDClassifier
from fasttrain.linear_model._sgd_regressor import SGDRegressor

# ---- to and from scikit-learn ----


def _descent_to_stock(model):
    """SGDRegressor's Poisson and quantile losses and its several outputs are other classes there."""
    classifier = isinstance(model, SGDClassifier)
    stock = StockClassifier if classifier else StockRegressor
    if not classifier and model.loss == "poisson":
        return _poisson(model, model.coef_ if hasattr(model, "coef_") else None)
    if not classifier and model.loss == "quantile":
        return _coefficients(with_parameters(QuantileRegressor, model), model)
    if not classifier and np.ndim(getattr(model, "coef_", 0)) == 2:
        return _coefficients(LinearRegression(fit_intercept=model.fit_intercept), model)
    new = with_parameters(stock, model)
    names = ["coef_", "intercept_", "classes_", *SHARED_STATE]
    if hasattr(model, "coef_") and model.average:
        names += [part + name for part in ("_standard_", "_average_") for name in ("coef", "intercept")]
    return with_attributes(new, model, names)


def _descent_from_stock(model, target_class):
    names = ["coef_", "intercept_", "classes_", *SHARED_STATE]
    names += [part + name for part in ("_standard_", "_average_") for name in ("coef", "intercept")]
    return with_attributes(with_parameters(target_class, model), model, names)


def _coefficients(new, model):
    return with_attributes(new, model, ["coef_", "intercept_", *SHARED_STATE]) if hasattr(model, "coef_") else new


def _poisson(model, coef):
    if coef is None:
        return _poisson_with(model)
    if np.ndim(coef) == 1:
        return _poisson_with(model, coef, np.ravel(model.intercept_)[0])
    several = MultiOutputRegressor(_poisson_with(model))
    set_fitted(several, {"estimators_": [_poisson_with(model, *one) for one in zip(coef, model.intercept_)]}, {})
    return with_attributes(several, model, SHARED_STATE[:2])


def _poisson_with(model, coef=None, intercept=None):
    mine = GLM(alpha=model.alpha, fit_intercept=model.fit_intercept)
    if coef is not None:
        set_fitted(mine, {"coef_": coef.copy(), "intercept_": intercept}, {})
    return with_attributes(stock_glm(PoissonRegressor, mine, ["coef_", "intercept_"]), model, SHARED_STATE[:3])


def _regressor_to_stock(model):
    loss = losses.get(model.loss)
    if loss.inverse_link == "exponential":
        return _poisson(model, getattr(model, "coef_", None))
    if isinstance(loss, losses.Quantile):
        new = QuantileRegressor(quantile=loss.quantile, fit_intercept=model.fit_intercept)
        if np.ndim(getattr(model, "coef_", 0)) < 2:
            return _coefficients(new, model)
    return _coefficients(LinearRegression(fit_intercept=model.fit_intercept), model)


def _classifier_to_stock(model):
    """Logistic regression for the cross-entropies, a linear SGDClassifier for the margins, and for several labels a
    perceptron with no hidden layer."""
    loss = losses.get(model.loss)
    if getattr(model, "_multilabel", False):
        return _labels_to_stock(model, loss)
    if loss.targets == "margin":
        new = StockClassifier(
            loss=loss.name, fit_intercept=model.fit_intercept, class_weight=model.class_weight,
            random_state=model.random_state,
        )
    else:
        new = LogisticRegression(
            fit_intercept=model.fit_intercept, class_weight=model.class_weight, random_state=model.random_state)
    if not hasattr(model, "coef_"):
        return new
    new = _coefficients(new, model)
    new.classes_ = model.classes_.copy()
    n_iter = {} if loss.targets == "margin" else {"n_iter_": np.array([model.n_iter_], dtype=np.int32)}
    set_fitted(new, {}, n_iter)
    return new


def _labels_to_stock(model, loss):
    if loss.targets == "margin" and hasattr(model, "coef_"):
        raise ValueError(
            f"to_sklearn of a LinearClassifier with several labels needs the loss 'log_loss', got {model.loss!r}")
    rows = np.eye(len(model.classes_), dtype=int)
    new = MLPClassifier((), activation="identity", random_state=model.random_state)
    return fitted_stock_network(
        new, model, rows, [model.coef_.T.copy()], [model.intercept_.copy()], {"loss_": model.loss_})


def _classifier_from_stock(model, target_class):
    settings = {"class_weight": model.class_weight}
    if isinstance(model, StockClassifier):
        settings["loss"] = model.loss
    new = target_class(fit_intercept=model.fit_intercept, **settings)
    if not hasattr(model, "coef_"):
        return new
    new.classes_, new._multilabel = model.classes_.copy(), False
    coef, intercept = np.array(np.atleast_2d(model.coef_)), np.array(np.atleast_1d(model.intercept_))
    if intercept.shape != (len(coef),):
        intercept = np.broadcast_to(intercept, len(coef)).copy()
    return _as_fitted(new, model, coef, intercept)


def _regressor_from_stock(model, target_class):
    loss = "half_squared_error"
    if isinstance(model, PoissonRegressor):
        loss = "poisson"
    elif isinstance(model, QuantileRegressor):
        loss = losses.Quantile(model.quantile)
    elif isinstance(model, StockRegressor) and model.loss == "huber":
        loss = losses.Huber(model.epsilon) if model.epsilon else "huber"
    new = target_class(loss=loss, fit_intercept=model.fit_intercept)
    if not hasattr(model, "coef_"):
        return new
    coef, intercept = np.array(model.coef_), np.array(model.intercept_)
    if coef.ndim == 2 and len(coef) == 1:
        coef = coef[0]
    if coef.ndim == 1:
        return _as_fitted(new, model, coef, np.ravel(intercept)[0])
    return _as_fitted(new, model, coef, np.broadcast_to(intercept, len(coef)).copy())


def _as_fitted(new, model, coef, intercept):
    """``new`` with these weights, as a fit of no epochs would leave it."""
    with_attributes(new, model, SHARED_STATE[:2])
    set_fitted(new, {"coef_": coef, "intercept_": intercept}, {
        "n_iter_": int(np.max(getattr(model, "n_iter_", None) or 0)), "t_": 0, "history_": {"loss": []},
        "loss_curve_": [], "validation_loss_curve_": None, "loss_": np.nan, "best_loss_": np.nan, "converged_": True,
        "stop_reason_": f"made from a {type(model).__name__}", "advice_": None,
    })
    return new


# ---- predictions without checks ----


def _predictions_of_descent(model):
    return None if model.loss == "poisson" else raw_predictions(model)


def _predictions_of_engine(model):
    def predictions(X):
        raw = model._engine.raw_predict(X, 1)
        if isinstance(model, LinearClassifier):
            return raw
        raw = losses.get(model.loss).predict(raw)
        return raw[:, 0] if np.ndim(model.coef_) == 1 else raw

    return predictions


# ---- networks without hidden layers ----


def _descent_classifier_output(model, n_outputs):
    return "logistic" if model.loss == "log_loss" and n_outputs == 1 else None


def _regressor_output(model, n_outputs):
    return losses.get(model.loss).inverse_link


def _classifier_output(model, n_outputs):
    if losses.get(model.loss).targets not in ("probability", "classes"):
        return None
    return "logistic" if n_outputs == 1 or model._multilabel else "softmax"


# ---- the entries ----


def _several_outputs(self, name, args, kwargs):
    """scikit-learn's SGDRegressor refuses what fasttrain's makes several models of."""
    y = kwargs.get("y", args[1] if len(args) > 1 else None)
    shape = y.shape if hasattr(y, "shape") else np.asarray(y).shape
    if name in ("fit", "partial_fit") and len(shape) > 1 and shape[1] > 1:
        return "y has several columns"
    return None


_descent = FitRules(predictions=_predictions_of_descent, lockstep=LockstepData)
_engine = FitRules(takes_rows=True, predictions=_predictions_of_engine, columns=ColumnsData)
_kept = {"check": check_coefficients, "not_saved": ("callbacks",), "remade": ("_engine",)}

# A stock SGD estimator becomes the one of its name where no class is asked for: these are entered first.
enter(
    SGDClassifier, stock=StockClassifier, to_stock=_descent_to_stock, from_stock={StockClassifier: _descent_from_stock},
    replaces={}, batch=_descent, check=check_coefficients, network=partial(network, _descent_classifier_output),
)
enter(
    SGDRegressor, stock=StockRegressor, to_stock=_descent_to_stock, from_stock={StockRegressor: _descent_from_stock},
    replaces={"refuse": _several_outputs}, batch=_descent, check=check_coefficients,
    network=partial(network, identity),
)
enter(
    LinearClassifier, to_stock=_classifier_to_stock,
    from_stock=dict.fromkeys((StockClassifier, LogisticRegression), _classifier_from_stock), batch=_engine,
    network=partial(network, _classifier_output), **_kept,
)
enter(
    LinearRegressor, to_stock=_regressor_to_stock,
    from_stock=dict.fromkeys(
        (StockRegressor, LinearRegression, Ridge, Lasso, ElasticNet, HuberRegressor, QuantileRegressor,
         PoissonRegressor), _regressor_from_stock),
    batch=_engine, network=partial(network, _regressor_output), **_kept,
)
enter(LinearRegressorCV, check=check_coefficients)
# What a classifier of several labels holds.
enter_part(LabelBinarizer, "sklearn.LabelBinarizer")
