"""The weights of perceptrons as state dicts of PyTorch, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fasttrain._core.types import ArrayLike, EstimatorLike
from fasttrain.neural_network._torch import fitted_network


def to_torch_state_dict(model: EstimatorLike) -> dict[str, Any]:
    """The weights of a fitted perceptron for a ``torch.nn.Sequential`` of ``Linear`` and activation layers.

    Parameters
    ----------
    model : MLPClassifier or MLPRegressor, of fasttrain or scikit-learn, fitted

    Returns
    -------
    dict of str to torch.Tensor
        ``"0.weight"``, ``"0.bias"``, ``"2.weight"``, ...: a Linear at every even place, as in
        ``Sequential(Linear(4, 16), ReLU(), Linear(16, 3))``. Weights are (out, in), in the dtype of ``coefs_``. The
        network's outputs are the model's before its last activation: logits for a classifier.

    Raises
    ------
    ImportError
        Without PyTorch.
    """
    import torch

    state = {}
    for i, (coef, intercept) in enumerate(zip(model.coefs_, model.intercepts_)):
        state[f"{2 * i}.weight"] = torch.from_numpy(np.ascontiguousarray(coef.T).copy())
        state[f"{2 * i}.bias"] = torch.from_numpy(np.array(intercept))
    return state


def from_torch_state_dict(state_dict: Mapping[str, Any], estimator: Any,
                          classes: ArrayLike | None = None) -> EstimatorLike:
    """A fitted perceptron with the weights of a ``torch.nn.Sequential`` of ``Linear`` and activation layers.

    Parameters
    ----------
    state_dict : dict of str to tensor or array
        Weights (out, in) and biases in the order of the layers; a missing bias counts as zeros.
    estimator : MLPClassifier or MLPRegressor
        Gives the class and the parameters, ``activation`` above all; ``hidden_layer_sizes`` is taken from the weights.
        Not changed.
    classes : array-like of shape (n_classes,), default=None
        Labels of a classifier, sorted; None stands for 0, 1, ... One output is for two classes.

    Returns
    -------
    estimator
        A new one.

    Raises
    ------
    ValueError
        When the layers do not follow on each other, or the classes are not as many as the outputs.
    """
    return fitted_network(state_dict, estimator, classes)
