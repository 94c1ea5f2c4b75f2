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

import itertools
import math
import re
from dataclasses import fields
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from fasttrain import activations as activation_specs
from fasttrain._core.checks import check_flag, check_integer, check_real, real_array
from fasttrain._core.public import publish
from fasttrain._core.types import Array, ArrayLike
from fasttrain.keras import activations, constraints, initializers, regularizers, utils
from fasttrain.keras._absent import absent
from fasttrain.keras._config import serialized
from fasttrain.keras._variables import LayerVariable

__all__ = [
    "ELU", "Activation", "BatchNormalization", "Dense", "Dropout", "Flatten", "Input", "InputLayer", "KerasTensor",
    "Layer", "LeakyReLU", "ReLU", "Softmax", "deserialize", "serialize",
]


def _automatic_name(kind):
    """Keras's way: dense, dense_1, dense_2 ... in the order in which the process makes them."""
    base = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind).lower()
    number = next(utils.counters.setdefault(base, itertools.count()))
    return f"{base}_{number}" if number else base


def _shape(value, name):
    """A shape without the rows' axis, as a tuple of integers >= 1."""
    value = tuple(value) if hasattr(value, "__iter__") else (value,)
    return tuple(check_integer(size, name, low=1) for size in value)


class Layer:
    """Base of the layers.

    Parameters
    ----------
    name : str, default=None
        None takes the class's name, with a number from the second on.
    dtype : {'float32', 'float64'}, default=None
        What the model computes in; None leaves it to the other layers, float32 when none says more.
    trainable : bool, default=True
        Whether training changes the weights; may be set at any time, and a model's optimizer starts without memory
        when it is. The layers with False must be the first of a model: see :class:`fasttrain.models.Sequential`.
    input_shape, input_dim : tuple or int, default=None
        Of a row, for the first layer of a model.

    Attributes
    ----------
    weights, trainable_weights, non_trainable_weights : list of fasttrain.keras.Variable
        The layer's arrays, to read and to assign to.
    input_shape, output_shape : tuple
        (None, ...) once the layer is part of a built model, else None.
    """

    weight_names: Any = ()
    # those that are never trained
    statistics: Any = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.__module__.startswith("fasttrain."):
            raise TypeError(
                f"{cls.__name__} is a layer of one's own, with its own computation; fasttrain trains dense networks by "
                "compiled layers, so build it with Keras or PyTorch")

    def __init__(self, *, name: str | None = None, dtype: Literal["float32", "float64"] | None = None,
                 trainable: bool = True, input_shape: tuple[Any, ...] | int | None = None,
                 input_dim: tuple[Any, ...] | int | None = None) -> None:
        if input_dim is not None:
            if input_shape is not None:
                raise ValueError(f"only one of input_dim and input_shape may be given, got {input_dim}, {input_shape}")
            input_shape = (input_dim,)
        self.given_shape: Any = None if input_shape is None else _shape(input_shape, "input_shape")
        self.name: str = _automatic_name(type(self).__name__) if name is None else str(name)
        dtype = None if dtype is None else np.dtype(dtype)
        if dtype not in (None, np.float32, np.float64):
            raise ValueError(f"dtype must be 'float32', 'float64' or None, got {dtype}")
        self.dtype = dtype
        self.trainable = trainable
        self.input_shape = self.output_shape = None
        self._values = {}
        # the model whose engine holds newer values than these, and a number that changes with the values
        self._newer, self._version = None, 0

    @property
    def trainable(self) -> bool:
        return self._trainable

    @trainable.setter
    def trainable(self, value: Any) -> None:
        check_flag(value, "trainable")
        self._trainable = bool(value)

    @property
    def built(self) -> bool:
        """Whether the layer has its weights."""
        return self.output_shape is not None

    def build(self, input_shape: Any, dtype: Any) -> Any:
        """Make the weights of rows of ``input_shape`` (without the rows' axis); returns the shape of its output."""
        self.input_shape: Any = (None, *input_shape)
        self.output_shape: Any = (None, *self._build(tuple(input_shape), dtype))
        return self.output_shape[1:]

    def _build(self, shape, dtype):
        return shape

    def value(self, name: str) -> Any:
        """The present array of a weight; not a copy."""
        if self._newer is not None:
            self._newer.pull()
        return self._values[name]

    def set_value(self, name: str, array: ArrayLike) -> None:
        """Change a weight's array."""
        self._values[name] = array
        self._version += 1

    @property
    def weights(self) -> Any:
        return self._variables(self.weight_names)

    @property
    def trainable_weights(self) -> Any:
        return self._variables(name for name in self.weight_names if self.trainable and name not in self.statistics)

    @property
    def non_trainable_weights(self) -> Any:
        return self._variables(name for name in self.weight_names if not self.trainable or name in self.statistics)

    def _variables(self, names):
        return [
            LayerVariable(self, name, self._dtype_of_weights(), self.trainable and name not in self.statistics)
            for name in names if name in self._values
        ]

    variables = weights
    trainable_variables = trainable_weights
    non_trainable_variables = non_trainable_weights

    def _dtype_of_weights(self):
        return self._values[self.weight_names[0]].dtype

    def __call__(self, inputs: Any, training: bool = False) -> Any:
        """What the layer puts out: an array for an array, a :class:`KerasTensor` for another's or an input.

        Parameters
        ----------
        inputs : InputLayer, KerasTensor or array of shape (n, ...)
        training : bool, default=False
            Must be False: a model's fit trains.
        """
        if training:
            raise ValueError("training must be False: fit and train_on_batch of a model train")
        if isinstance(inputs, (list, tuple)) and any(isinstance(one, (InputLayer, KerasTensor)) for one in inputs):
            raise ValueError(
                f"layer {self.name!r} is called on {len(inputs)} inputs; fasttrain trains chains of dense layers, so "
                "build a model of several branches with Keras or PyTorch")
        if isinstance(inputs, (InputLayer, KerasTensor)):
            dtype = self.dtype or inputs.dtype or np.dtype(np.float32)
            if not self.built:
                self.build(inputs.shape[1:], dtype)
            elif self.input_shape != inputs.shape:
                raise ValueError(f"layer {self.name!r} takes rows of shape {self.input_shape}, got {inputs.shape}")
            return KerasTensor(self, inputs)
        x = real_array(inputs, "inputs")
        if x.ndim < 2:
            raise ValueError(f"inputs must have rows and features, got shape {x.shape}")
        if not self.built:
            self.build(x.shape[1:], self.dtype or np.dtype(np.float32))
        if x.shape[1:] != self.input_shape[1:]:
            raise ValueError(f"layer {self.name!r} takes rows of shape {self.input_shape[1:]}, got {x.shape[1:]}")
        return self.call(x)

    def call(self, inputs: Any) -> Any:
        """The output for rows that fit."""
        return inputs

    def get_weights(self) -> list[Array]:
        """Copies of the layer's arrays, in the order of ``weight_names``; those that it does not have left out."""
        return [self.value(name).copy() for name in self.weight_names if name in self._values]

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Change the layer's arrays to ``weights``, a list like that of :meth:`get_weights`."""
        names = [name for name in self.weight_names if name in self._values]
        for name, array in zip(names, checked_weights(weights, [self])):
            self.set_value(name, array)

    def count_params(self) -> int:
        """Number of elements of all weights."""
        return sum(array.size for array in self._values.values())

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same layer, by their names; plain data."""
        dtype = None if self.dtype is None else self.dtype.name
        return {"name": self.name, "dtype": dtype, "trainable": self.trainable, **self._config()}

    def _config(self):
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The layer that :meth:`get_config` described, without its weights."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


def checked_weights(weights, layers):
    """``weights`` as finite arrays of the shapes and dtypes that the layers' own have, in their order."""
    own = [
        (f"{layer.name}.{name}", layer.value(name))
        for layer in layers for name in layer.weight_names if name in layer._values
    ]
    weights = list(weights)
    if len(weights) != len(own):
        raise ValueError(f"weights must hold {len(own)} arrays, got {len(weights)}")
    result = []
    for (name, present), given in zip(own, weights):
        array = real_array(given, f"the array for {name}")
        if array.shape != present.shape:
            raise ValueError(f"the array for {name} must have shape {present.shape}, got {array.shape}")
        with np.errstate(over="ignore"):
            array = np.array(array, dtype=present.dtype, order="C")
        if not np.isfinite(array).all():
            raise ValueError(f"the array for {name} must hold finite numbers of {array.dtype}, got NaN or infinity")
        result.append(array)
    return result


class InputLayer(Layer):
    """What :func:`Input` gives: the shape of a row; layers may be called on it."""

    @property
    def shape(self) -> Any:
        """(None, ...), the rows' axis first."""
        return (None, *self.given_shape)

    def __call__(self, inputs: Any, training: bool = False) -> None:
        raise ValueError(f"layer {self.name!r} is an input, which is not called")

    def get_config(self) -> dict[str, Any]:
        """The arguments of :func:`Input` that give the same."""
        return {"name": self.name, "dtype": None if self.dtype is None else self.dtype.name}


class KerasTensor:
    """What a layer puts out, before there are rows: one step of a chain, for :class:`fasttrain.keras.Model`.

    Attributes
    ----------
    layer : Layer
    parent : KerasTensor or InputLayer
        What the layer was called on.
    shape : tuple
        (None, ...), the rows' axis first.
    dtype : numpy.dtype or None
    """

    def __init__(self, layer: Layer, parent: Any) -> None:
        self.layer = layer
        self.parent = parent
        self.shape: Any = layer.output_shape
        self.dtype: Any = layer.dtype or parent.dtype
        self.name: str = layer.name

    def __repr__(self) -> str:
        return f"<KerasTensor shape={self.shape}, layer={self.layer.name}>"

    def _join(self, *others: Any) -> None:
        raise TypeError(
            f"the output of layer {self.layer.name!r} goes into arithmetic; fasttrain trains chains of dense layers, "
            "so build this model with Keras or PyTorch")

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __getitem__ = __neg__ = _join


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
    """A caller's function is no plain data; the weights that it gave are saved with the model."""
    return "zeros" if isinstance(initializer, initializers._Function) else serialized(initializer)


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
    """``max(0, z)``.

    Parameters
    ----------
    max_value : None
        Others raise ValueError.
    negative_slope : float, default=0.0
        At least 0 and less than 1: the slope below 0.
    threshold : float, default=0.0
        Others raise ValueError.
    name, dtype
        As for :class:`Layer`.
    """

    def __init__(self, max_value: None = None, negative_slope: float = 0.0, threshold: float = 0.0,
                 **common: Any) -> None:
        if max_value is not None or threshold != 0:
            raise ValueError(f"max_value and threshold must be None and 0, got {max_value!r} and {threshold!r}")
        spec = activation_specs.LeakyRelu(negative_slope) if negative_slope else activation_specs.Relu()
        super().__init__(spec, {"negative_slope": negative_slope}, **common)


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
            self.set_value(name, initializer(shape, "float64" if name.startswith("moving") else dtype))
        return shape

    def get_weights(self) -> list[Array]:
        """Copies of gamma, beta, moving_mean and moving_variance, in the model's dtype."""
        names = self.weight_names if self._values else ()
        return [self.value(name).astype(self.value("gamma").dtype) for name in names]

    def _config(self):
        made = {f"{name}_initializer": _initializer_config(one) for name, one in self.initializers.items()}
        return {"momentum": self.momentum, "epsilon": self.epsilon, **made}


class Flatten(Layer):
    """Rows of several axes as rows of one; for the first layer of a model."""

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
