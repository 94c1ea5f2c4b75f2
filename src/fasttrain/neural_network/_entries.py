"""What the perceptrons are to scikit-learn, to batches, to saved models, to the patch and to inspection."""

from itertools import pairwise

import numpy as np
from sklearn.neural_network import MLPClassifier as StockClassifier, MLPRegressor as StockRegressor
from sklearn.utils.validation import check_is_fitted

from fasttrain import losses
from fasttrain._estimators.batching import FitRules
from fasttrain._estimators.conversion import fitted_names, fitted_stock_network, with_attributes, with_parameters
from fasttrain._estimators.fitted import set_fitted
from fasttrain._estimators.networks import DenseNetwork
from fasttrain._estimators.registry import enter, enter_record, require
from fasttrain._kernels.activations import NAMES as KERNEL_ACTIVATIONS
from fasttrain._kernels.updates import SLOTS
from fasttrain.neural_network._base import folded_layers, partial_epochs
from fasttrain.neural_network._classifier import MLPClassifier
from fasttrain.neural_network._regressor import MLPRegressor
from fasttrain.neural_network._settings import Solver, hidden_layers

_STOCK_ACTIVATIONS = ("identity", "logistic", "tanh", "relu")


def _to_stock(model):
    classifier = isinstance(model, MLPClassifier)
    stock = StockClassifier if classifier else StockRegressor
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
    return fitted_stock_network(new, model, rows, *folded_layers(model), state)


def _from_stock(model, target_class):
    new = with_parameters(target_class, model)
    if not hasattr(model, "coefs_"):
        return new
    with_attributes(new, model, fitted_names(model))
    set_fitted(
        new, {"_hidden": hidden_layers(new)[1][:len(model.coefs_) - 1], "batch_norm_": None},
        {"validation_loss_curve_": None, "_no_improvement_count": 0})
    if target_class is MLPClassifier:
        several = model.out_activation_ == "logistic" and model.n_outputs_ > 1
        new._note_classes(np.eye(len(model.classes_), dtype=int) if several else model.classes_)
        new.classes_ = model.classes_.copy()
    return new


def _check(model):
    coefs, intercepts = model.coefs_, model.intercepts_
    widths = [model.n_features_in_, *(len(intercept) for intercept in intercepts)]
    require(len(coefs) >= 1 and [c.shape for c in coefs] == list(pairwise(widths)), model, "coefs_", f"fit {widths}")
    kinds = {array.dtype for array in (*coefs, *intercepts)}
    good = len(kinds) == 1 and kinds <= {np.dtype(np.float32), np.dtype(np.float64)} and min(widths) > 0
    finite = good and all(np.isfinite(array).all() for array in (*coefs, *intercepts))
    require(finite, model, "coefs_ and intercepts_", "be finite numbers of one dtype")
    require(widths[-1] == model.n_outputs_, model, "n_outputs_", f"be {widths[-1]}")
    solver = getattr(model, "_solver", None)
    known = isinstance(solver, Solver) and solver.rule in SLOTS and solver.slots == SLOTS[solver.rule]
    require(solver is None or known, model, "_solver", "be a solver of this release")
    require(len(model._hidden) == len(coefs) - 1, model, "_hidden", f"have {len(coefs) - 1} activations")
    for name, parameter in model._hidden:
        require(name in KERNEL_ACTIVATIONS and np.isfinite(parameter), model, "_hidden", "name activations")
    layers = model.batch_norm_
    good = layers is None or (isinstance(layers, list) and len(layers) == len(coefs) - 1)
    require(good, model, "batch_norm_", f"be None or have {len(coefs) - 1} layers")
    for layer, width in zip(layers or [], widths[1:]):
        if layer is not None:
            parts = [layer.get(name) for name in ("scale", "shift", "mean", "variance")]
            good = layer.get("place") in ("before", "after") and all(np.shape(part) == (width,) for part in parts)
            good = good and np.isfinite(parts).all() and (parts[3] >= 0).all()
            require(good, model, "batch_norm_", f"have four finite arrays of {width} numbers")


def _network(model):
    check_is_fitted(model)
    # 'exp' is scikit-learn's word for it
    output = {"exp": "exponential"}.get(model.out_activation_, model.out_activation_)
    if isinstance(model, MLPClassifier) and output == "identity":
        output = None
    return DenseNetwork(*folded_layers(model), list(model._hidden), output)


enter_record(Solver, "perceptron solver")
for _cls, _stock in ((MLPClassifier, StockClassifier), (MLPRegressor, StockRegressor)):
    enter(
        _cls, stock=_stock, to_stock=_to_stock, from_stock={_stock: _from_stock}, replaces={},
        batch=FitRules(takes_rows=True, partial_epochs=partial_epochs), check=_check, not_saved=("callbacks",),
        remade=("_engine",), network=_network,
    )
