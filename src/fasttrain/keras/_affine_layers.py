"""The layers that scale the rows before the first Dense sees them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from fasttrain._core.checks import all_finite, check_flag, real_array
from fasttrain._core.types import Array, ArrayLike
from fasttrain.keras import utils
from fasttrain.keras._layer import Layer

# The least standard deviation that Normalization divides by.
_LEAST = 1e-7


def _numbers(value, name, layer):
    """A number, or an array of them, finite, float64."""
    array = real_array(value, name).astype(np.float64)
    if array.ndim > 1 or not all_finite(array):
        raise ValueError(f"{name} of {layer} must be a finite number, or one for each feature, got {value!r}")
    return array


def _plain(array):
    """An array as a number or a list."""
    return None if array is None else array.tolist()


def _check_width(array, shape, name, layer):
    if array.ndim and array.shape[0] not in (1, shape[-1]):
        raise ValueError(
            f"{name} of {layer.name!r} must be a number, or one for each of the {shape[-1]} features, got "
            f"{array.shape[0]}")


class Rescaling(Layer):
    """``x * scale + offset``, before the first Dense.

    Parameters
    ----------
    scale, offset : float, or array of shape (n_features,)
        The default of ``offset`` is 0.
    name, dtype
        As for :class:`Layer`.

    Examples
    --------
    >>> from fasttrain.keras.layers import Rescaling
    >>> Rescaling(1 / 255)([[0, 51, 255]])
    array([[0. , 0.2, 1. ]])
    """

    def __init__(self, scale: float | ArrayLike, offset: float | ArrayLike = 0.0, **common: Any) -> None:
        super().__init__(**common)
        self.scale: Array = _numbers(scale, "scale", "Rescaling")
        self.offset: Array = _numbers(offset, "offset", "Rescaling")

    @property
    def factor(self) -> Array:
        """What the rows are multiplied by."""
        return self.scale

    def call(self, inputs: Any) -> Any:
        dtype = inputs.dtype
        return inputs * self.scale.astype(dtype) + self.offset.astype(dtype)

    def _build(self, shape, dtype):
        _check_width(self.scale, shape, "scale", self)
        _check_width(self.offset, shape, "offset", self)
        return shape

    def _config(self):
        return {"scale": _plain(self.scale), "offset": _plain(self.offset)}


class Normalization(Layer):
    """``(x - mean) / max(sqrt(variance), 1e-7)``, before the first Dense.

    Parameters
    ----------
    axis : int or None, default=-1
        -1, the last one, has a mean and a variance for each feature; None one for all of them.
    mean, variance : float or array of shape (n_features,), default=None
        Both or none; without them :meth:`adapt` takes them from data, and until then they are 0 and 1.
    invert : bool, default=False
        ``x * max(sqrt(variance), 1e-7) + mean`` in its place.
    name, dtype
        As for :class:`Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> from fasttrain.keras.layers import Normalization
    >>> layer = Normalization()
    >>> layer.adapt(np.array([[0.0, 7.0], [2.0, 9.0], [0.0, 7.0], [2.0, 9.0]]))
    >>> layer(np.array([[0.0, 9.0]]))
    array([[-1.,  1.]])
    """

    def __init__(self, axis: int | None = -1, mean: float | ArrayLike | None = None,
                 variance: float | ArrayLike | None = None, invert: bool = False, **common: Any) -> None:
        axis = axis[0] if isinstance(axis, (list, tuple)) and len(axis) == 1 else axis
        if axis not in (-1, None) and axis != []:
            raise ValueError(f"axis of Normalization must be -1 or None, got {axis!r}")
        if (mean is None) != (variance is None):
            raise ValueError(f"mean and variance must be given both or not at all, got {mean!r} and {variance!r}")
        check_flag(invert, "invert")
        super().__init__(**common)
        self.axis: int | None = axis if axis == -1 else None
        self.invert: bool = bool(invert)
        self._given = None if mean is None else (
            _numbers(mean, "mean", "Normalization"), _numbers(variance, "variance", "Normalization"))
        if self._given is not None and (self._given[1] < 0).any():
            raise ValueError(f"variance of Normalization must be at least 0, got {variance!r}")
        # what is given is no weight, as in Keras
        self.weight_names: Any = ("mean", "variance", "count") if mean is None else ()
        self.statistics: Any = self.weight_names

    @property
    def mean(self) -> Array | None:
        """What is subtracted; None before the layer is built."""
        return self._parts()[0] if self.built else None

    @property
    def variance(self) -> Array | None:
        """Whose root is divided by; None before the layer is built."""
        return self._parts()[1] if self.built else None

    def _parts(self):
        return self._given or (self.value("mean"), self.value("variance"))

    def _deviation(self):
        return np.maximum(np.sqrt(self._parts()[1]), _LEAST)

    @property
    def factor(self) -> Array:
        """What the rows are multiplied by."""
        return self._deviation() if self.invert else 1.0 / self._deviation()

    def call(self, inputs: Any) -> Any:
        mean, deviation = self._parts()[0], self._deviation()
        mean, deviation = mean.astype(inputs.dtype), deviation.astype(inputs.dtype)
        return inputs * deviation + mean if self.invert else (inputs - mean) / deviation

    def _build(self, shape, dtype):
        if self._given is None:
            width = () if self.axis is None else shape[-1:]
            self.set_value("mean", np.zeros(width))
            self.set_value("variance", np.ones(width))
            self.set_value("count", np.zeros((), dtype=np.int32))
        else:
            for name, array in zip(("mean", "variance"), self._given):
                _check_width(array, shape, name, self)
        return shape

    def _check(self, name, array):
        if name != "mean" and (array < 0).any():
            raise ValueError(f"the array for {self.name}.{name} must hold numbers >= 0, got {array.min()}")

    def adapt(self, data: Any) -> None:
        """Take mean and variance from rows.

        Parameters
        ----------
        data : array of shape (n, n_features), or what yields batches of such, or (x, ...) tuples of them
            With axis=None, or an input_shape of (1,), also of shape (n,), for rows of one feature.
        """
        if self._given is not None:
            raise ValueError(f"layer {self.name!r} was given its mean and variance, so there is nothing to adapt")
        total, mean, squares = 0, 0.0, 0.0
        for batch in _batches(data):
            x = real_array(batch, "data").astype(np.float64)
            if x.ndim == 1 and (self.axis is None or self.given_shape == (1,)):
                x = x[:, None]
            if x.ndim < 2 or x.size == 0 or not all_finite(np.ascontiguousarray(x)):
                raise ValueError(f"data must be finite rows of at least one feature, got an array of shape {x.shape}")
            if not self.built:
                self.build(x.shape[1:], self.dtype or np.dtype(np.float32))
            if x.shape[1:] != self.input_shape[1:]:
                raise ValueError(f"layer {self.name!r} takes rows of shape {self.input_shape[1:]}, got {x.shape[1:]}")
            axes = None if self.axis is None else tuple(range(x.ndim - 1))
            n = x.size if axes is None else x.size // x.shape[-1]
            # Chan, Golub, LeVeque 1979: sums of squares about the mean of two parts
            own = x.mean(axis=axes)
            difference = own - mean
            squares = squares + ((x - own) ** 2).sum(axis=axes) + difference**2 * (total * n / (total + n))
            mean = mean + difference * (n / (total + n))
            total += n
        if not total:
            raise ValueError("data must yield a batch at least, got none")
        self.set_value("mean", np.asarray(mean))
        self.set_value("variance", np.asarray(squares / total))

    def _config(self):
        mean, variance = self._given or (None, None)
        return {"axis": self.axis, "mean": _plain(mean), "variance": _plain(variance), "invert": self.invert}


def _batches(data):
    """The rows of data, batch by batch; those of an array, or of rows as lists, are one."""
    batches = data
    if isinstance(data, utils.PyDataset):
        batches = map(data.__getitem__, range(len(data)))
    elif hasattr(data, "__array__") or not isinstance(data, Iterable) or (
            isinstance(data, (list, tuple)) and data and np.ndim(data[0]) < 2 and not isinstance(data[0], tuple)):
        return [data]
    return (utils.unpack_x_y_sample_weight(batch)[0] if isinstance(batch, tuple) else batch for batch in batches)
