"""Keras's layers for :class:`fasttrain.models.Sequential`.

Examples
--------
>>> from fasttrain.layers import Dense, Dropout, Input
>>> from fasttrain.models import Sequential
>>> model = Sequential([Input(shape=(4,)), Dense(8, activation="relu"), Dropout(0.2), Dense(3)])
>>> [layer.count_params() for layer in model.layers]
[40, 0, 27]
"""

from __future__ import annotations

import math
from dataclasses import fields
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from fasttrain import activations as activation_specs
from fasttrain._core.checks import check_flag, check_integer, check_real
from fasttrain._core.public import publish
from fasttrain._core.types import Array
from fasttrain.keras import activations, constraints, initializers, regularizers
from fasttrain.keras._absent import absent
from fasttrain.keras._affine_layers import Normalization, Rescaling
from fasttrain.keras._config import is_of, serialized
from fasttrain.keras._layer import InputLayer, KerasTensor, Layer

__all__ = [
    "ELU", "Activation", "BatchNormalization", "Dense", "Dropout", "Flatten", "GaussianNoise", "Identity", "Input",
    "InputLayer", "KerasTensor", "Layer", "LeakyReLU", "Normalization", "ReLU", "Rescaling", "Softmax", "deserialize",
    "serialize",
]


def Input(shape: tuple[int, ...] | None = None, batch_size: int | None = None,
          dtype: Literal["float32", "float64"] | None = None, name: str | None = None, *,
          batch_shape: tuple[Any, ...] | None = None) -> Any:
    """The shape of a model's rows.

    Parameters
    ----------
    shape : tuple of int
        Without the rows' axis: ``(n_features,)``.
    batch_size : int, default=None
        Not used.
    dtype : {'float32', 'float64'}, default=None
    name : str, default=None
    batch_shape : tuple, default=None
        In place of ``shape``, with the rows' axis first.
    """
    if (shape is None) == (batch_shape is None):
        raise ValueError(f"one of shape and batch_shape must be given, got {shape!r} and {batch_shape!r}")
    if shape is None:
        shape = tuple(batch_shape)[1:]
    return InputLayer(name=name, dtype=dtype, input_shape=shape)


def _activation_config(spec):
    """An activation as a name and its fields, plain data."""
    return {"class_name": type(spec).__name__, "config": {f.name: getattr(spec, f.name) for f in fields(spec)}}


def _activation(given):
    if isinstance(given, dict) and set(given) == {"class_name", "config"}:
        kind = getattr(activation_specs, str(given["class_name"]), None)
        if not isinstance(kind, type) or not issubclass(kind, activation_specs.Activation):
            raise ValueError(f"{given['class_name']!r} is not an activation")
        return kind(**given["config"])
    return activations.get(given)


class Dense(Layer):
    """``activation(x @ kernel + bias)``.

    Parameters
    ----------
    units : int
        At least 1.
    activation : str or activation, default=None
        A name of :mod:`fasttrain.keras.activations`, or a spec of :mod:`fasttrain.activations`; None is linear.
    use_bias : bool, default=True
    kernel_initializer : str, initializer or callable, default='glorot_uniform'
        See :mod:`fasttrain.keras.initializers`.
    bias_initializer : str, initializer or callable, default='zeros'
    kernel_regularizer : str or regularizer, default=None
        See :mod:`fasttrain.keras.regularizers`.
    kernel_constraint : str or constraint, default=None
        See :mod:`fasttrain.keras.constraints`.
    bias_regularizer, activity_regularizer, bias_constraint : None
        Others raise ValueError.
    name, dtype, trainable, input_shape, input_dim
        As for :class:`Layer`.

    Attributes
    ----------
    kernel : fasttrain.keras.Variable of shape (n_features, units)
    bias : fasttrain.keras.Variable of shape (units,), or None
    """

    weight_names: Any = ("kernel", "bias")

    def __init__(self, units: int, activation: str | Callable[..., Any] | None = None, use_bias: bool = True,
                 kernel_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros",
                 kernel_regularizer: Any = None, bias_regularizer: None = None, activity_regularizer: None = None,
                 kernel_constraint: Any = None, bias_constraint: None = None, **common: Any) -> None:
        for argument, value in (
            ("bias_regularizer", bias_regularizer), ("activity_regularizer", activity_regularizer),
            ("bias_constraint", bias_constraint),
        ):
            if value is not None:
                raise ValueError(f"{argument} of Dense must be None, as the engine has none, got {value!r}")
        super().__init__(**common)
        self.units: int | None = check_integer(units, "units", low=1)
        self.activation: Any = _activation(activation)
        check_flag(use_bias, "use_bias")
        self.use_bias: bool = bool(use_bias)
        self.kernel_initializer: Any = initializers.get(kernel_initializer)
        self.bias_initializer: Any = initializers.get(bias_initializer)
        self.kernel_regularizer: Any = regularizers.get(kernel_regularizer)
        self.kernel_constraint: Any = constraints.get(kernel_constraint)

    @property
    def kernel(self) -> Array:
        return self._variables(["kernel"])[0] if self.built else None

    @property
    def bias(self) -> Array:
        return self._variables(["bias"])[0] if self.built and self.use_bias else None

    def call(self, inputs: Any) -> Any:
        z = inputs @ self.value("kernel")
        if self.use_bias:
            z += self.value("bias")
        return self.activation(z)

    def _build(self, shape, dtype):
        if len(shape) != 1:
            raise ValueError(f"Dense must have rows of one axis, got rows of shape {shape}; put Flatten before it")
        self.set_value("kernel", self.kernel_initializer((shape[0], self.units), dtype))
        if self.use_bias:
            self.set_value("bias", self.bias_initializer((self.units,), dtype))
        return (self.units,)

    def _config(self):
        return {
            "units": self.units, "activation": _activation_config(self.activation), "use_bias": self.use_bias,
            "kernel_initializer": _initializer_config(self.kernel_initializer),
            "bias_initializer": _initializer_config(self.bias_initializer),
            "kernel_regularizer": serialized(self.kernel_regularizer),
            "kernel_constraint": serialized(self.kernel_constraint),
        }


def _initializer_config(initializer):
    """A caller's function or class is no plain data; the weights that it gave are saved with the model."""
    return serialized(initializer) if is_of(initializers, initializer) else "zeros"


class Activation(Layer):
    """An activation as a layer of its own, after a linear :class:`Dense`.

    Parameters
    ----------
    activation : str or activation
    name, dtype
        As for :class:`Layer`.
    """

    def __init__(self, activation: str | Callable[..., Any] | None, **common: Any) -> None:
        super().__init__(**common)
        self.activation: Any = _activation(activation)

    def call(self, inputs: Any) -> Any:
        return self.activation(inputs)

    def _config(self):
        return {"activation": _activation_config(self.activation)}


class _NamedActivation(Activation):
    """An activation that is a class of its own in Keras."""

    def __init__(self, spec: Any, config: dict[str, Any], **common: Any) -> None:
        super().__init__(spec, **common)
        self._arguments = config

    def _config(self):
        return self._arguments


class ReLU(_NamedActivation):
    """``max(0, z)``, or ``min(max(0, z), max_value)``.

    Parameters
    ----------
    max_value : float, default=None
        Greater than 0; only with a ``negative_slope`` of 0.
    negative_slope : float, default=0.0
        At least 0 and less than 1: the slope below 0.
    threshold : float, default=0.0
        Others raise ValueError.
    name, dtype
        As for :class:`Layer`.
    """

    def __init__(self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0,
                 **common: Any) -> None:
        if threshold != 0:
            raise ValueError(f"threshold of ReLU must be 0, got {threshold!r}")
        if max_value is not None and negative_slope:
            raise ValueError(
                f"only one of max_value and negative_slope may be given, got {max_value!r} and {negative_slope!r}")
        spec = activation_specs.LeakyRelu(negative_slope) if negative_slope else activation_specs.Relu()
        if max_value is not None:
            spec = activation_specs.ClippedRelu(max_value)
        super().__init__(spec, {"max_value": max_value, "negative_slope": negative_slope}, **common)


class LeakyReLU(_NamedActivation):
    """``z`` for z > 0, ``negative_slope * z`` (default=0.3) below."""

    def __init__(self, negative_slope: float = 0.3, **common: Any) -> None:
        super().__init__(activation_specs.LeakyRelu(negative_slope), {"negative_slope": negative_slope}, **common)


class ELU(_NamedActivation):
    """``z`` for z > 0, ``alpha * (exp(z) - 1)`` (default=1.0) below."""

    def __init__(self, alpha: float = 1.0, **common: Any) -> None:
        super().__init__(activation_specs.Elu(alpha), {"alpha": alpha}, **common)


class Softmax(_NamedActivation):
    """``exp(z_c) / sum_j exp(z_j)``, for the last layer."""

    def __init__(self, axis: Any = -1, **common: Any) -> None:
        if axis not in (-1, 1):
            raise ValueError(f"axis of Softmax must be -1, got {axis!r}")
        super().__init__(activation_specs.Softmax(), {"axis": -1}, **common)


class Dropout(Layer):
    """While training, each element is zero with probability ``rate``, the others are divided by ``1 - rate``.

    Parameters
    ----------
    rate : float
        At least 0 and less than 1.
    seed : int, default=None
        Of the model's masks; None draws one from the global generator.
    name, dtype
        As for :class:`Layer`.
    """

    def __init__(self, rate: float, noise_shape: Any = None, seed: int | None = None, **common: Any) -> None:
        if noise_shape is not None:
            raise ValueError(f"noise_shape of Dropout must be None, got {noise_shape!r}")
        super().__init__(**common)
        self.rate: float | None = check_real(rate, "rate", low=0, high=1, open_high=True)
        self.seed: int | None = check_integer(seed, "seed", low=0, optional=True)

    def _config(self):
        return {"rate": self.rate, "seed": self.seed}


class GaussianNoise(Layer):
    """While training, normal noise is added to the rows; before the first Dense only.

    Parameters
    ----------
    stddev : float
        Standard deviation of the noise; in [0, 1].
    seed : int, default=None
        Of the model's noise; None draws one from the global generator.
    name, dtype
        As for :class:`Layer`.
    """

    def __init__(self, stddev: float, seed: int | None = None, **common: Any) -> None:
        super().__init__(**common)
        self.stddev: float | None = check_real(stddev, "stddev", low=0, high=1)
        self.seed: int | None = check_integer(seed, "seed", low=0, optional=True)

    def _config(self):
        return {"stddev": self.stddev, "seed": self.seed}


class Identity(Layer):
    """What comes in goes out.

    Parameters
    ----------
    name, dtype
        As for :class:`Layer`.
    """


class BatchNormalization(Layer):
    """Each unit minus its mean over the batch, by its standard deviation, times ``gamma`` plus ``beta``.

    Predictions use means and variances that moved with the batches: ``moving = momentum moving + (1 - momentum) batch``
    (Ioffe and Szegedy 2015).

    Parameters
    ----------
    axis : int, default=-1
        -1 or 1, the units.
    momentum : float, default=0.99
        At least 0 and less than 1.
    epsilon : float, default=1e-3
        Added to the variance; greater than 0.
    center, scale : bool, default=True
        Whether there is a beta, a gamma; False raises ValueError.
    beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer
        'zeros', 'ones', 'zeros' and 'ones'; see :mod:`fasttrain.keras.initializers`.
    name, dtype, trainable
        As for :class:`Layer`.
    """

    weight_names: Any = ("gamma", "beta", "moving_mean", "moving_variance")
    statistics: Any = ("moving_mean", "moving_variance")

    def __init__(self, axis: int = -1, momentum: float = 0.99, epsilon: float = 1e-3, center: bool = True,
                 scale: bool = True, beta_initializer: Any = "zeros", gamma_initializer: Any = "ones",
                 moving_mean_initializer: Any = "zeros", moving_variance_initializer: Any = "ones",
                 **common: Any) -> None:
        for argument, value, accepted in (
            ("axis", axis, (-1, 1)), ("center", center, (True,)), ("scale", scale, (True,)),
        ):
            if value not in accepted:
                raise ValueError(f"{argument} of BatchNormalization must be {accepted[0]}, got {value!r}")
        super().__init__(**common)
        self.momentum: float | None = check_real(momentum, "momentum", low=0, high=1, open_high=True)
        self.epsilon: float | None = check_real(epsilon, "epsilon", low=0, open_low=True)
        given = gamma_initializer, beta_initializer, moving_mean_initializer, moving_variance_initializer
        self.initializers: Any = {name: initializers.get(one) for name, one in zip(self.weight_names, given)}

    def call(self, inputs: Any) -> Any:
        gain, shift, mean, variance = (self.value(name) for name in self.weight_names)
        factor = gain / np.sqrt(variance + self.epsilon)
        return (inputs * factor + (shift - mean * factor)).astype(inputs.dtype)

    def _build(self, shape, dtype):
        for name, initializer in self.initializers.items():
            # the engine keeps what moves in float64, and so does a model that is saved
            array = initializer(shape, "float64" if name.startswith("moving") else dtype)
            self._check(name, array)
            self.set_value(name, array)
        return shape

    def _check(self, name, array):
        # Keras's own may be a little below zero: one of its backends takes E[z^2] - E[z]^2
        if name == "moving_variance" and (array <= -self.epsilon).any():
            raise ValueError(
                f"the array for {self.name}.{name} must hold numbers > -epsilon, {-self.epsilon}, got {array.min()}")

    def get_weights(self) -> list[Array]:
        """Copies of gamma, beta, moving_mean and moving_variance, in the model's dtype."""
        names = self.weight_names if self._values else ()
        return [self.value(name).astype(self.value("gamma").dtype) for name in names]

    def _config(self):
        made = {f"{name}_initializer": _initializer_config(one) for name, one in self.initializers.items()}
        return {"momentum": self.momentum, "epsilon": self.epsilon, **made}


class Flatten(Layer):
    """Rows of several axes as rows of one; before the first Dense."""

    def __init__(self, data_format: Any = None, **common: Any) -> None:
        super().__init__(**common)

    def call(self, inputs: Any) -> Any:
        return inputs.reshape(len(inputs), -1)

    def _build(self, shape, dtype):
        return (math.prod(shape),)


def deserialize(config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
    """The layer that :func:`serialize` described, without its weights; ``custom_objects`` must be None."""
    if custom_objects is not None:
        raise ValueError(f"custom_objects must be None, got {custom_objects!r}")
    kind = globals().get(str(config["class_name"]))
    if str(config["class_name"]) not in __all__ or not isinstance(kind, type):
        raise ValueError(f"class_name must be a layer of fasttrain, got {config['class_name']!r}")
    return kind.from_config(config["config"])


serialize: Callable[..., Any] = serialized

__getattr__ = absent(__name__, __all__)

publish(globals())
