"""Fitted networks as plain arrays, and batch normalization as an attribute and as part of the weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fasttrain._core.types import Array


@dataclass(frozen=True)
class DenseNetwork:
    """A fitted network as plain arrays.

    Attributes
    ----------
    coefs : list of arrays of shape (n_in, n_out)
        Weights of each layer, from the input upwards.
    intercepts : list of arrays of shape (n_out,)
    activations : list of (name, parameter)
        One for each hidden layer, as in ``fasttrain._kernels.activations.NAMES``.
    output : str, fasttrain.activations.Activation or None
        From raw predictions to predictions; None when these are not a smooth function of the raw ones.

    Notes
    -----
    Batch normalization is part of the weights: before an activation of that layer's, after it of the next one's.
    """

    coefs: list[Array]
    intercepts: list[Array]
    activations: list[tuple[str, float]]
    output: str | None = "identity"


def fold_normalization(coefs, intercepts, batch_norm, epsilon):
    """New arrays of weights and biases that predict without batch normalization what these predict with it.

    ``batch_norm`` holds entries as of the attribute ``batch_norm_``.
    """
    dtype = coefs[0].dtype
    coefs, intercepts = [c.copy() for c in coefs], [b.copy() for b in intercepts]
    for i, layer in enumerate(batch_norm or []):
        if layer is None:
            continue
        scale = layer["scale"] / np.sqrt(layer["variance"] + epsilon)
        shift = layer["shift"] - layer["mean"] * scale
        if layer["place"] == "before":
            coefs[i], intercepts[i] = coefs[i] * scale, intercepts[i] * scale + shift
        else:
            intercepts[i + 1] = intercepts[i + 1] + shift @ coefs[i + 1]
            coefs[i + 1] = scale[:, None] * coefs[i + 1]
    return [c.astype(dtype) for c in coefs], [b.astype(dtype) for b in intercepts]


def normalizations(network, parameters):
    """Entries as of the attribute ``batch_norm_``, one for each hidden layer of an engine."""
    values = zip(network.gains_and_shifts(parameters), network.moving_statistics())
    return [place and _normalization(place, *next(values)) for place in network.normalize]


def _normalization(place, gain_and_shift, mean_and_variance):
    """A layer's entry of the attribute ``batch_norm_``."""
    names = ("scale", "shift", "mean", "variance")
    arrays = (*gain_and_shift, *mean_and_variance)
    return {"place": place, **{name: array.copy() for name, array in zip(names, arrays)}}
