"""The losses that the engine has."""

from __future__ import annotations

from typing import Any

import numpy as np

from fasttrain._core.checks import check_flag, check_real, real_array
from fasttrain._core.types import ArrayLike
from fasttrain.keras.losses import _functions as functions
from fasttrain.keras.losses._base import Loss, OfCodes, check_held, losses_by_name

@losses_by_name.add("mean_squared_error", "mse")
class MeanSquaredError(Loss):
    """``(y - z)^2``, without a half."""

    name = "mean_squared_error"
    function: Any = staticmethod(functions.mean_squared_error)
    fused: Any = {"identity": "squared_error"}  # noqa: RUF012


@losses_by_name.add("mean_absolute_error", "mae")
class MeanAbsoluteError(Loss):
    """``|y - z|``."""

    name = "mean_absolute_error"
    function: Any = staticmethod(functions.mean_absolute_error)
    fused: Any = {"identity": "absolute_error"}  # noqa: RUF012


@losses_by_name.add("huber", "huber_loss")
class Huber(Loss):
    """``r^2 / 2`` for |r| <= delta, ``delta (|r| - delta / 2)`` past it.

    Parameters
    ----------
    delta : float, default=1.0
        Greater than 0.
    """

    name = "huber_loss"
    function: Any = staticmethod(functions.huber)
    fused: Any = {"identity": "huber"}  # noqa: RUF012

    def __init__(self, delta: float = 1.0, reduction: str | None = "sum_over_batch_size", name: str | None = None,
                 dtype: Any = None) -> None:
        self.parameter: float | None = check_real(delta, "delta", low=0, open_low=True)
        super().__init__(reduction, name, delta=self.parameter)


@losses_by_name.add("poisson")
class Poisson(Loss):
    """``p - y log p``, y >= 0, p the exponential of the last layer's outputs.

    Keras adds 1e-7 to the argument of the logarithm; the engine, which has the logarithm itself, does not.
    """

    name = "poisson"
    function: Any = staticmethod(functions.poisson)
    fused: Any = {"exponential": "poisson"}  # noqa: RUF012

    def _encoded(self, y):
        check_held(y, y >= 0, "numbers >= 0", type(self).name)
        return y


class _Crossentropy(Loss):
    """The cross-entropies: from probabilities, or with ``from_logits`` from what an activation is still to come to."""

    _activation = _kernel = None

    def __init__(self, from_logits: bool, reduction: str | None, name: str, axis: int, **config: Any) -> None:
        check_flag(from_logits, "from_logits")
        if axis not in (-1, 1):
            raise ValueError(f"axis of {type(self).__name__} must be -1, got {axis!r}")
        if "label_smoothing" in config:
            config["label_smoothing"] = check_real(config["label_smoothing"], "label_smoothing", low=0, high=1)
        super().__init__(reduction, name, from_logits=bool(from_logits), **config)
        self.fused: Any = {"identity" if from_logits else self._activation: self._kernel}


@losses_by_name.add("binary_crossentropy", "bce")
class BinaryCrossentropy(_Crossentropy):
    """``-y log p - (1 - y) log(1 - p)``, y from 0 to 1.

    Parameters
    ----------
    from_logits : bool, default=False
        False wants a last layer with activation 'sigmoid', True a linear one.
    label_smoothing : float, default=0.0
        s moves y to ``y (1 - s) + s / 2``.
    axis : int, default=-1
        -1 or 1, the outputs.
    """

    name = "binary_crossentropy"
    function: Any = staticmethod(functions.binary_crossentropy)
    _activation, _kernel = "logistic", "binary_crossentropy"

    def __init__(self, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1,
                 reduction: str | None = "sum_over_batch_size", name: str | None = None, dtype: Any = None) -> None:
        super().__init__(from_logits, reduction, name, axis, label_smoothing=label_smoothing)

    def _encoded(self, y):
        check_held(y, (y >= 0) & (y <= 1), "numbers from 0 to 1", type(self).name)
        return functions.smoothed(y, self._config["label_smoothing"], 2)


@losses_by_name.add("categorical_crossentropy")
class CategoricalCrossentropy(_Crossentropy):
    """``-sum_c y_c log p_c``, y one-hot or probabilities.

    Parameters
    ----------
    from_logits : bool, default=False
        False wants a last layer with activation 'softmax', True a linear one.
    label_smoothing : float, default=0.0
        s moves y to ``y (1 - s) + s / k``.
    axis : int, default=-1
        -1 or 1, the outputs.
    """

    name = "categorical_crossentropy"
    function: Any = staticmethod(functions.categorical_crossentropy)
    _activation, _kernel = "softmax", "softmax_crossentropy"
    mean_over_outputs = False

    def __init__(self, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1,
                 reduction: str | None = "sum_over_batch_size", name: str | None = None, dtype: Any = None) -> None:
        super().__init__(from_logits, reduction, name, axis, label_smoothing=label_smoothing)

    def encode(self, y: ArrayLike, n: int, k: int, dtype: Any) -> Any:
        """Rows of numbers >= 0 as (n, k), or when all are one-hot their codes as (n, 1)."""
        y = real_array(y, "y")
        if y.shape != (n, k) or k < 2:
            raise ValueError(
                f"y must be one-hot, of shape ({n}, {k}) with at least 2 columns, for loss 'categorical_crossentropy' "
                f"(class codes are for 'sparse_categorical_crossentropy'), got shape {y.shape}"
            )
        y = super().encode(y, n, k, dtype)
        # rows that are one-hot indeed go to the engine as codes, which it reads less of
        codes = y.argmax(axis=1)
        plain = (y[np.arange(n), codes] == 1).all() and np.count_nonzero(y) == n
        return np.ascontiguousarray(codes[:, None], dtype=dtype) if plain else y

    def _encoded(self, y):
        check_held(y, y >= 0, "numbers >= 0", type(self).name)
        return functions.smoothed(y, self._config["label_smoothing"], y.shape[1])


@losses_by_name.add("sparse_categorical_crossentropy")
class SparseCategoricalCrossentropy(OfCodes, _Crossentropy):
    """``-log p_y``, y class codes 0 .. k - 1.

    Parameters
    ----------
    from_logits : bool, default=False
        False wants a last layer with activation 'softmax', True a linear one.
    ignore_class : None
        Others raise ValueError.
    axis : int, default=-1
        -1 or 1, the outputs.
    """

    name = "sparse_categorical_crossentropy"
    function: Any = staticmethod(functions.sparse_categorical_crossentropy)
    _activation, _kernel = "softmax", "softmax_crossentropy"
    mean_over_outputs = False

    def __init__(self, from_logits: bool = False, ignore_class: None = None,
                 reduction: str | None = "sum_over_batch_size", axis: int = -1, name: str | None = None,
                 dtype: Any = None) -> None:
        if ignore_class is not None:
            raise ValueError(
                f"ignore_class must be None, got {ignore_class!r}; weights of 0 leave rows out")
        super().__init__(from_logits, reduction, name, axis)


class _Margin(Loss):
    def _encoded(self, y):
        signs = functions.signs(y)
        check_held(y, np.abs(signs) == 1, "-1 and 1, or 0 and 1,", self.name)
        return signs


@losses_by_name.add("hinge")
class Hinge(_Margin):
    """``max(0, 1 - y z)``, y -1 and 1, or 0 and 1."""

    name = "hinge"
    function: Any = staticmethod(functions.hinge)
    fused: Any = {"identity": "hinge"}  # noqa: RUF012


@losses_by_name.add("squared_hinge")
class SquaredHinge(_Margin):
    """``max(0, 1 - y z)^2``, y -1 and 1, or 0 and 1."""

    name = "squared_hinge"
    function: Any = staticmethod(functions.squared_hinge)
    fused: Any = {"identity": "squared_hinge"}  # noqa: RUF012


class SpecLoss(Loss):
    """A loss of :mod:`fasttrain.losses`, averaged over outputs as all are here."""

    def __init__(self, given):
        super().__init__(name=given.name)
        self.given = given
        self.parameter = given.parameter
        self.fused = {given.inverse_link: given.name}
        self.one_code = given.targets == "classes"
        self.mean_over_outputs = not self.one_code
        self._config = {"spec": given}

    def call(self, y_true, y_pred):
        raise TypeError(f"{self.given!r} takes raw predictions; use its own methods")

    def encode(self, y, n, k, dtype):
        if self.one_code:
            return SparseCategoricalCrossentropy(name=self.name).encode(y, n, k, dtype)
        return super().encode(y, n, k, dtype)

    def _encoded(self, y):
        self.given.check_targets(y)
        return y
