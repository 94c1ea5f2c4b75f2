"""Keras's constraints, as far as the engine has them: of the weights that come into a unit.

Examples
--------
>>> from fasttrain.keras.constraints import MinMaxNorm, get
>>> get("non_neg")
NonNeg()
>>> MinMaxNorm(0.5, 2.0).bounds
(0.5, 2.0, 1.0)
"""

from __future__ import annotations

import math
from typing import Any

from fasttrain._core.checks import check_real
from fasttrain._core.public import publish
from fasttrain.keras._absent import absent
from fasttrain.keras._config import Configured, deserializer, registry, serialized

__all__ = [
    "Constraint", "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm", "deserialize", "get", "max_norm", "min_max_norm",
    "non_neg", "serialize", "unit_norm",
]


class Constraint(Configured):
    """Base of the constraints."""

    # as the engine has them: least norm, largest norm, and how much of the way to the nearer one a step takes
    bounds: Any = (0.0, math.inf, 1.0)
    non_negative: bool = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.__module__.startswith("fasttrain."):
            raise TypeError(
                f"{cls.__name__} is a constraint of one's own; fasttrain holds weights in compiled steps, to MaxNorm, "
                "MinMaxNorm, UnitNorm or NonNeg")


_registry = registry("constraint", Constraint)


def _axis(value, kind):
    if value != 0:
        raise ValueError(f"axis of {kind} must be 0, the incoming weights of each unit, got {value!r}")
    return 0


@_registry.add("max_norm", "maxnorm")
class MaxNorm(Constraint):
    """After each step, a unit whose incoming weights have a greater Euclidean norm gets them scaled down to it.

    Parameters
    ----------
    max_value : float, default=2
        Greater than 0.
    axis : int, default=0
        0, a unit's incoming weights, is the only one there is.
    """

    def __init__(self, max_value: float = 2, axis: int = 0) -> None:
        self.max_value: float | None = check_real(max_value, "max_value", low=0, open_low=True)
        self.bounds: Any = (0.0, self.max_value, 1.0)
        self._config = {"max_value": self.max_value, "axis": _axis(axis, "MaxNorm")}


@_registry.add("min_max_norm", "minmaxnorm")
class MinMaxNorm(Constraint):
    """After each step, the norm of a unit's incoming weights goes ``rate`` of the way into ``[min_value, max_value]``.

    Weights that are all zero stay.

    Parameters
    ----------
    min_value : float, default=0.0
        At least 0.
    max_value : float, default=1.0
        Greater than 0 and at least ``min_value``.
    rate : float, default=1.0
        In [0, 1].
    axis : int, default=0
        0, a unit's incoming weights, is the only one there is.
    """

    def __init__(self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: int = 0) -> None:
        self.min_value: float | None = check_real(min_value, "min_value", low=0)
        self.max_value: float | None = check_real(max_value, "max_value", low=0, open_low=True)
        if self.min_value > self.max_value:
            raise ValueError(f"min_value must be at most max_value, {max_value}, got {min_value}")
        self.rate: float | None = check_real(rate, "rate", low=0, high=1)
        self.bounds: Any = (self.min_value, self.max_value, self.rate)
        self._config = {
            "min_value": self.min_value, "max_value": self.max_value, "rate": self.rate,
            "axis": _axis(axis, "MinMaxNorm"),
        }


@_registry.add("unit_norm", "unitnorm")
class UnitNorm(Constraint):
    """After each step, a unit's incoming weights are scaled to the Euclidean norm 1; weights that are all zero stay.

    Parameters
    ----------
    axis : int, default=0
        0, a unit's incoming weights, is the only one there is.
    """

    bounds: Any = (1.0, 1.0, 1.0)

    def __init__(self, axis: int = 0) -> None:
        self._config = {"axis": _axis(axis, "UnitNorm")}


@_registry.add("non_neg", "nonneg")
class NonNeg(Constraint):
    """After each step, weights below zero become zero."""

    non_negative: bool = True

    def __init__(self) -> None:
        self._config = {}


max_norm: type[MaxNorm] = MaxNorm
min_max_norm: type[MinMaxNorm] = MinMaxNorm
non_neg: type[NonNeg] = NonNeg
unit_norm: type[UnitNorm] = UnitNorm


def get(identifier: Any) -> Any:
    """The constraint that a name or an object stands for; None for None."""
    return None if identifier is None else _registry.get(identifier)


serialize = serialized
deserialize = deserializer(get)

__getattr__ = absent(__name__, __all__)

publish(globals())
