"""From a stack of Keras layers to what the engine has: dense layers, what comes with each, and in which order."""

import math
from dataclasses import dataclass, field

import numpy as np

from fasttrain._core.checks import all_finite
from fasttrain._kernels.network import Network
from fasttrain.keras import _data as data
from fasttrain.keras.activations import linear
from fasttrain.keras.constraints import Constraint
from fasttrain.keras.layers import (
    Activation, BatchNormalization, Dense, Dropout, Flatten, GaussianNoise, Identity, InputLayer, Normalization,
    Rescaling,
)
from fasttrain.training.engine import raw_predict

_ORDER = "each Dense may be followed by Activation, BatchNormalization (before or after it) and Dropout, in this order"
_FIRST = "Flatten, Rescaling and Normalization come first, then GaussianNoise, then Dropout, then the first Dense"


@dataclass
class Unit:
    """A dense layer and what follows it: activation, normalization before or after it, dropout."""

    dense: Dense
    activation: object
    normalization: BatchNormalization | None = None
    before: bool = False
    rate: float = 0.0
    # how far the layers have come: 0 linear so far, 1 activated, 2 normalized after it, 3 dropped out
    stage: int = 0

    @property
    def weighted(self):
        """The layers that have weights."""
        return [self.dense] if self.normalization is None else [self.dense, self.normalization]


@dataclass
class Chain:
    """A model as the engine sees it.

    Attributes
    ----------
    units : list of Unit
        From the input upwards; the last one is the output.
    rate : float
        Dropout of the input.
    seeds : list of int
        Of the layers that draw.
    inputs : list of Layer
        Those that the rows go through before the engine sees them, once a call.
    noise : float
        Standard deviation of what is added to the input.
    untrainable : str or None
        Why the engine cannot train it.
    """

    units: list = field(default_factory=list)
    rate: float = 0.0
    seeds: list = field(default_factory=list)
    untrainable: str | None = None
    inputs: list = field(default_factory=list)
    noise: float = 0.0

    @property
    def activation(self):
        """Of the outputs."""
        return self.units[-1].activation

    @property
    def n_outputs(self):
        return self.units[-1].dense.units

    @property
    def widths(self):
        return [unit.dense.units for unit in self.units]

    @property
    def draws(self):
        """Whether training draws noise or what is dropped."""
        return bool(self.noise or self.drops)

    @property
    def drops(self):
        """Whether anything is dropped."""
        return bool(self.rate or any(unit.rate for unit in self.units))

    @property
    def normalizations(self):
        """The normalization layers of the hidden units, from the input upwards."""
        return [unit.normalization for unit in self.units[:-1] if unit.normalization is not None]

    @property
    def weighted(self):
        """The layers that have weights, from the input upwards."""
        return [layer for unit in self.units for layer in unit.weighted]


def _refuse(layer, why, order=_ORDER):
    raise ValueError(f"layer {layer.name!r} ({type(layer).__name__}) {why}: {order}")


def chain_of(layers):
    """The :class:`Chain` of a model's layers, its input left out.

    Raises
    ------
    ValueError
        When the layers stand in an order that the engine does not have; the message names the layer.
    """
    chain = Chain()
    for layer in layers:
        unit = chain.units[-1] if chain.units else None
        if isinstance(layer, InputLayer):
            _refuse(layer, "is an input after other layers")
        elif isinstance(layer, Dense):
            chain.units.append(Unit(layer, layer.activation, stage=int(layer.activation != linear)))
        elif isinstance(layer, Identity):
            continue
        elif isinstance(layer, (Flatten, Normalization, Rescaling)):
            if unit is not None or chain.noise or chain.rate:
                _refuse(layer, "must come before all layers that train or draw", _FIRST)
            chain.inputs.append(layer)
        elif isinstance(layer, GaussianNoise):
            if unit is not None or chain.rate:
                _refuse(layer, "must come before the first Dense and its Dropout", _FIRST)
            chain.noise = math.hypot(chain.noise, layer.stddev)
            if layer.seed is not None:
                chain.seeds.append(layer.seed)
        elif isinstance(layer, Dropout):
            if unit is None:
                chain.rate = _both(chain.rate, layer.rate)
            else:
                unit.rate = _both(unit.rate, layer.rate)
                unit.stage = 3
            if layer.seed is not None:
                chain.seeds.append(layer.seed)
        elif unit is None:
            what = "Normalization normalizes inputs" if isinstance(
                layer, BatchNormalization) else "the input has no activation"
            _refuse(layer, f"must come after a Dense ({what})")
        elif isinstance(layer, Activation):
            if layer.activation == linear:
                continue
            if unit.stage:
                _refuse(layer, f"comes after an activation or dropout of {unit.dense.name!r}")
            unit.activation, unit.stage = layer.activation, 1
        elif isinstance(layer, BatchNormalization):
            if unit.normalization is not None or unit.stage > 1:
                _refuse(layer, f"comes after a normalization or dropout of {unit.dense.name!r}")
            unit.normalization, unit.before = layer, unit.stage == 0
            unit.stage = 2 if unit.stage else 0
        else:
            _refuse(layer, "is not a layer that the engine has")
    if not chain.units:
        raise ValueError("a model must have a Dense layer at least")
    for unit in chain.units[:-1]:
        if unit.activation.name == "softmax":
            _refuse(unit.dense, "has activation 'softmax', which only the last Dense may have")
    last = chain.units[-1]
    if last.normalization is not None or last.rate:
        _refuse(last.dense, "is the last Dense, after which there is no BatchNormalization or Dropout")
    return chain


def frozen_and_trained(chain):
    """The units below the lowest trainable one as a :class:`Chain` of their own, None without any, and the others.

    Nothing reaches the trained units from below them but features, which are the same in every epoch: what Keras
    computes anew for every batch is computed once. Where a layer that is not trainable stands elsewhere, the whole
    chain comes back, its ``untrainable`` set.
    """
    trainable = [{layer.trainable for layer in unit.weighted} for unit in chain.units]
    if all(flags == {True} for flags in trainable):
        return None, chain
    n = next((i for i, flags in enumerate(trainable) if flags != {False}), len(trainable))
    for unit, flags in zip(chain.units[n:], trainable[n:]):
        if flags != {True}:
            layer = next(layer for layer in unit.weighted if not layer.trainable)
            chain.untrainable = (
                f"layer {layer.name!r} has trainable=False above or beside a layer that is trained; the engine holds "
                "the first layers only, each Dense together with its BatchNormalization")
            return None, chain
    if n == len(chain.units):
        chain.untrainable = "all layers have trainable=False, so there is nothing to train"
        return None, chain
    if chain.noise or chain.rate or any(unit.rate for unit in chain.units[:n - 1]):
        what = "GaussianNoise" if chain.noise else "Dropout"
        chain.untrainable = (
            f"a {what} comes before layer {chain.units[n - 1].dense.name!r}, which has trainable=False; what such "
            "layers put out is computed once, so it must be the same in every epoch")
        return None, chain
    return Chain(chain.units[:n]), Chain(chain.units[n:], chain.units[n - 1].rate, chain.seeds)


def before(layers, x):
    """What the first layers, which have nothing to train, make of rows.

    Raises
    ------
    ValueError
        When that is not finite in the dtype of the rows.
    """
    for layer in layers:
        with np.errstate(over="ignore"):
            x = layer.call(x)
    if layers and not all_finite(np.ascontiguousarray(x)):
        raise ValueError(
            f"x must be finite numbers of {x.dtype.name} behind layer {layers[-1].name!r}, got NaN or infinity")
    return x


def folded_into(layers, coef, intercept):
    """The first Dense's arrays for rows that have not gone through the layers of :func:`before`."""
    if not layers:
        return coef, intercept
    shape = layers[0].input_shape[1:]
    shift = before(layers, np.zeros((1, *shape))).reshape(-1)
    # not the difference of two rows, which cancels where the means are large
    factor = np.ones((1, *shape))
    for layer in layers:
        factor = layer.call(factor) if isinstance(layer, Flatten) else factor * layer.factor
    return (
        (coef * factor.reshape(-1)[:, None]).astype(coef.dtype),
        (intercept + shift @ coef).astype(intercept.dtype))


def features_of(chain, network, x, n_threads):
    """What frozen units, and the engine of their weights, make of rows: all that the trained ones see of them."""
    z = raw_predict(network, data.flat(x), n_threads)
    top = chain.units[-1]
    if top.normalization is None:
        return np.ascontiguousarray(data.activated(z, top.activation))
    gain, shift, mean, variance = (top.normalization.value(name) for name in top.normalization.weight_names)
    factor = gain / np.sqrt(variance + top.normalization.epsilon)
    if not top.before:
        z = data.activated(z, top.activation)
    z = (z * factor + (shift - mean * factor)).astype(network.dtype)
    return np.ascontiguousarray(data.activated(z, top.activation) if top.before else z)


def _both(rate, other):
    """Two dropouts in a row are one."""
    return 1 - (1 - rate) * (1 - other)


def network_of(chain, n_features, dtype):
    """A new engine for the chain; its weights are those of the layers once :func:`push` has been called."""
    hidden = chain.units[:-1]
    biases = [unit.dense.use_bias for unit in chain.units]
    options = {}
    if any(unit.normalization is not None for unit in hidden):
        options["normalize"] = [
            None if unit.normalization is None else "before" if unit.before else "after" for unit in hidden
        ]
    network = Network(
        n_features, chain.n_outputs, dtype, biases[0] if len(set(biases)) == 1 else biases,
        hidden=chain.widths[:-1],
        activations=[(unit.activation.name, float(unit.activation.parameter)) for unit in hidden], **options,
    )
    penalties = [unit.dense.kernel_regularizer for unit in chain.units]
    # the engine halves the squares, Keras does not
    l1 = [0.0 if one is None else one.l1 for one in penalties]
    l2 = [0.0 if one is None else 2.0 * one.l2 for one in penalties]
    if len(set(zip(l1, l2))) == 1:
        network.set_penalty(l1[0], l2[0])
    else:
        network.set_penalty(l1, l2)
    limits = [unit.dense.kernel_constraint or Constraint() for unit in chain.units]
    network.set_constraints([limit.bounds for limit in limits], [limit.non_negative for limit in limits])
    if chain.noise:
        network.set_noise(chain.noise)
    if chain.drops:
        network.set_dropout([chain.rate, *(unit.rate for unit in hidden)])
    if chain.normalizations:
        settings = {(layer.momentum, layer.epsilon) for layer in chain.normalizations}
        if len(settings) > 1:
            raise ValueError(
                "all BatchNormalization layers of a model must have one momentum and one epsilon, got "
                + " and ".join(f"momentum={momentum}, epsilon={epsilon}" for momentum, epsilon in sorted(settings))
            )
        network.set_normalization(*settings.pop())
    return network


def penalty_of(chain):
    """The regularization of all layers, a float."""
    return sum(
        unit.dense.kernel_regularizer(unit.dense.value("kernel"))
        for unit in chain.units if unit.dense.kernel_regularizer is not None
    )


def push(chain, network):
    """The layers' weights into the engine."""
    coefs = [unit.dense.value("kernel") for unit in chain.units]
    biases = [
        unit.dense.value("bias") if unit.dense.use_bias else np.zeros(unit.dense.units, dtype=coef.dtype)
        for unit, coef in zip(chain.units, coefs)
    ]
    network.parameters[:] = network.pack_layers(coefs, biases)
    normalized = zip(chain.normalizations, network.gains_and_shifts(network.parameters), network.moving_statistics())
    for layer, (gain, shift), (mean, variance) in normalized:
        for name, view in zip(layer.weight_names, (gain, shift, mean, variance)):
            view[:] = layer.value(name)


def pull(chain, network):
    """The engine's weights, from a layer to the array of each of its weights."""
    coefs, biases = network.unpack_layers(network.parameters)
    found = {}
    for unit, coef, bias in zip(chain.units, coefs, biases):
        found[unit.dense] = {"kernel": coef, "bias": bias} if unit.dense.use_bias else {"kernel": coef}
    normalized = zip(chain.normalizations, network.gains_and_shifts(network.parameters), network.moving_statistics())
    for layer, (gain, shift), (mean, variance) in normalized:
        found[layer] = {
            name: view.copy() for name, view in zip(layer.weight_names, (gain, shift, mean, variance))
        }
    return found
