"""Perceptrons from the state dicts of PyTorch."""

from itertools import pairwise

import numpy as np
from sklearn.base import clone, is_classifier

from fasttrain._estimators.fitted import set_fitted
from fasttrain.neural_network._progress import Account
from fasttrain.neural_network._settings import hidden_layers


def _array(value):
    return np.array(value.detach().cpu().numpy() if hasattr(value, "detach") else value)


def layers_of(state_dict):
    """Weights (in, out) and biases of the Linear layers, in order."""
    coefs, intercepts = [], []
    for name, value in state_dict.items():
        if not name.endswith("weight"):
            if not name.endswith("bias"):
                raise ValueError(f"state_dict must hold the weights and biases of Linear layers only, got {name!r}")
            continue
        weight = _array(value)
        if weight.ndim != 2 or weight.dtype not in (np.float32, np.float64):
            raise ValueError(
                f"{name} must be the weight of a Linear layer, 2 axes of float32 or float64, got shape {weight.shape} "
                f"of {weight.dtype}")
        bias = state_dict.get(name.removesuffix("weight") + "bias")
        bias = np.zeros(len(weight), weight.dtype) if bias is None else _array(bias)
        if bias.shape != (len(weight),):
            raise ValueError(f"the bias beside {name} must have shape {(len(weight),)}, got {bias.shape}")
        coefs.append(np.ascontiguousarray(weight.T))
        intercepts.append(bias.astype(weight.dtype))
    if not coefs:
        raise ValueError("state_dict must hold at least one Linear layer, got none")
    for i, (a, b) in enumerate(pairwise(coefs)):
        if a.shape[1] != b.shape[0]:
            raise ValueError(
                f"the layers of state_dict must follow on each other, but layer {i} has {a.shape[1]} outputs and the "
                f"next {b.shape[0]} inputs")
    if len({coef.dtype for coef in coefs}) > 1:
        raise ValueError("the layers of state_dict must have one dtype, got float32 and float64")
    return coefs, intercepts


def _as_fitted(new, coefs, intercepts, classes):
    """The perceptron ``new`` with these weights, as a fit of no epochs would leave it."""
    new.n_features_in_, new.n_outputs_ = coefs[0].shape[0], coefs[-1].shape[1]
    if classes is None:
        new.out_activation_ = "exp" if new._loss_spec().inverse_link == "exponential" else "identity"
    else:
        new._note_classes(classes)
        new.out_activation_ = "softmax" if len(classes) > 2 else "logistic"
    account = Account(None, bool(new.early_stopping))
    account.loss_ = np.nan
    set_fitted(new, {
        "coefs_": coefs, "intercepts_": intercepts, "n_layers_": len(coefs) + 1, "batch_norm_": None,
        "_hidden": hidden_layers(new)[1][:len(coefs) - 1],
    }, account.attributes())
    return new


def fitted_network(state_dict, estimator, classes):
    coefs, intercepts = layers_of(state_dict)
    new = clone(estimator)
    new.set_params(hidden_layer_sizes=tuple(coef.shape[1] for coef in coefs[:-1]))
    n_outputs = coefs[-1].shape[1]
    if is_classifier(new):
        n_classes = 2 if n_outputs == 1 else n_outputs
        classes = np.arange(n_classes) if classes is None else np.unique(classes)
        if n_outputs == 2:
            # two logits of two classes are one: their difference
            coefs[-1] = coefs[-1][:, 1:] - coefs[-1][:, :1]
            intercepts[-1] = intercepts[-1][1:] - intercepts[-1][:1]
        if len(classes) != n_classes:
            raise ValueError(
                f"the network must have as many outputs as classes (for two also one), got {n_outputs} "
                f"for {len(classes)}")
    elif classes is not None:
        raise ValueError("classes is for classifiers only")
    return _as_fitted(new, coefs, intercepts, classes)
