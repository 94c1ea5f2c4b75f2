"""What every layer is, and what it gives before there are rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from fasttrain._core.checks import check_flag, check_integer, real_array
from fasttrain._core.types import Array, ArrayLike
from fasttrain.keras import utils
from fasttrain.keras._variables import LayerVariable


def automatic_name(kind):
    """Keras's way: dense, dense_1, dense_2 ... in the order in which the process makes them."""
    base = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind).lower()
    number = utils.next_number(base)
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
        self.name: str = automatic_name(type(self).__name__) if name is None else str(name)
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

    def _check(self, name, array):
        """ValueError for finite numbers that a weight may not hold."""

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
    own = [(layer, name) for layer in layers for name in layer.weight_names if name in layer._values]
    weights = list(weights)
    if len(weights) != len(own):
        raise ValueError(f"weights must hold {len(own)} arrays, got {len(weights)}")
    result = []
    for (layer, own_name), given in zip(own, weights):
        name, present = f"{layer.name}.{own_name}", layer.value(own_name)
        array = real_array(given, f"the array for {name}")
        if array.shape != present.shape:
            raise ValueError(f"the array for {name} must have shape {present.shape}, got {array.shape}")
        with np.errstate(over="ignore"):
            array = np.array(array, dtype=present.dtype, order="C")
        if not np.isfinite(array).all():
            raise ValueError(f"the array for {name} must hold finite numbers of {array.dtype}, got NaN or infinity")
        layer._check(own_name, array)
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
