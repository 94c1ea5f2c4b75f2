"""Variables: arrays with a name that can be assigned to."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from fasttrain._core.checks import real_array
from fasttrain._core.types import Array, Self
from fasttrain.keras import initializers


class Variable(NDArrayOperatorsMixin):
    """An array that can be assigned to, with a name.

    Parameters
    ----------
    initializer : str, initializer, function of (shape, dtype) or array-like
        What it starts with.
    shape : tuple of int, default=None
        Needed where the initializer is no array.
    dtype : {'float32', 'float64'}, default='float32'
    trainable : bool, default=True
    name : str, default='variable'

    Examples
    --------
    >>> from fasttrain.keras import Variable
    >>> total = Variable("zeros", shape=(2,), name="total")
    >>> _ = total.assign_add([1.0, 2.0])
    >>> total.numpy(), (total * 2).tolist()
    (array([1., 2.], dtype=float32), [2.0, 4.0])
    """

    def __init__(self, initializer: Any, shape: tuple[int, ...] | None = None,
                 dtype: Literal["float32", "float64"] | None = None, trainable: bool = True,
                 name: str | None = None) -> None:
        if isinstance(initializer, (np.ndarray, np.generic, int, float, list, tuple)):
            start = np.array(initializer, dtype=dtype or "float32")
            self._start = lambda: start.copy()
        else:
            maker = initializers.get(initializer)
            if shape is None:
                raise ValueError("shape must be given where the initializer is no array")
            size = tuple(shape) if hasattr(shape, "__iter__") else (shape,)
            self._start = lambda: np.array(maker(size, dtype or "float32")).reshape(size)
        self.trainable = trainable
        self.name = self.path = "variable" if name is None else str(name)
        self.reset()

    def reset(self) -> None:
        """Back to what it starts with."""
        self._set(self._start())

    def _get(self):
        return self._array

    def _set(self, array):
        self._array = array

    @property
    def value(self) -> Any:
        """The array; not a copy."""
        return self._get()

    @property
    def shape(self) -> Any:
        return self._get().shape

    @property
    def dtype(self) -> Any:
        return self._get().dtype.name

    @property
    def ndim(self) -> int:
        return self._get().ndim

    def numpy(self) -> Array:
        """A copy of the array."""
        return self._get().copy()

    def assign(self, value: Any) -> Self:
        """Take the elements of an array of the same shape; returns the variable."""
        present = self._get()
        value = real_array(value, f"the value of {self.name!r}")
        if value.shape != present.shape:
            raise ValueError(f"the value of {self.name!r} must have shape {present.shape}, got {value.shape}")
        self._set(np.array(value, dtype=present.dtype, order="C"))
        return self

    def assign_add(self, value: Any) -> Any:
        """Add; returns the variable."""
        return self.assign(self._get() + np.asarray(value))

    def assign_sub(self, value: Any) -> Any:
        """Subtract; returns the variable."""
        return self.assign(self._get() - np.asarray(value))

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.array(self._get(), dtype=dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        plain = [one._get() if isinstance(one, Variable) else one for one in inputs]
        return getattr(ufunc, method)(*plain, **kwargs)

    def __getattr__(self, name: str) -> Any:
        # what else an array can do: mean(), T, tolist() ...
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.numpy(), name)

    def __getitem__(self, key: Any) -> Any:
        return self.numpy()[key]

    def __len__(self) -> int:
        return len(self._get())

    def __float__(self) -> float:
        return float(self._get())

    def __int__(self) -> int:
        return int(self._get())

    def __bool__(self) -> bool:
        return bool(self._get())

    def __repr__(self) -> str:
        return f"<Variable path={self.path}, shape={self.shape}, dtype={self.dtype}, value={self._get()!r}>"

    # NDArrayOperatorsMixin compares elements
    __hash__ = object.__hash__


class LayerVariable(Variable):
    """A weight of a layer: what is assigned goes into the model.

    Parameters
    ----------
    layer : fasttrain.layers.Layer
    weight : str
        One of its ``weight_names``.
    dtype : numpy.dtype
        Of the model; the layer may keep more digits.
    trainable : bool
    """

    def __init__(self, layer, weight, dtype, trainable):
        self.layer = layer
        self.weight = weight
        self.name = weight
        self.path = f"{layer.name}/{weight}"
        self.trainable = trainable
        self._dtype = dtype

    def reset(self):
        raise TypeError(f"{self.path} is part of a layer; assign to it")

    def _get(self):
        return self.layer.value(self.weight).astype(self._dtype, copy=False)

    def _set(self, array):
        if not np.isfinite(array).all():
            raise ValueError(f"the value of {self.path!r} must hold finite numbers, got NaN or infinity")
        self.layer._check(self.weight, array)
        self.layer.set_value(self.weight, np.array(array, dtype=self.layer.value(self.weight).dtype))

    def __eq__(self, other):
        if isinstance(other, LayerVariable):
            return self.layer is other.layer and self.weight == other.weight
        return np.equal(self._get(), other)

    def __hash__(self):
        return hash((id(self.layer), self.weight))
