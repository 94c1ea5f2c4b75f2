"""Keras's constraints, as far as the engine has them: the largest norm of a unit's incoming weights."""

from __future__ import annotations

from typing import Any

from fasttrain._core.checks import check_real
from fasttrain._core.public import publish
from fasttrain.keras._absent import absent
from fasttrain.keras._config import Configured, deserializer, registry, serialized

__all__ = ["Constraint", "MaxNorm", "deserialize", "get", "max_norm", "serialize"]


class Constraint(Configured):
    """Base of the constraints."""


_registry = registry("constraint", Constraint)


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
        if axis != 0:
            raise ValueError(f"axis of MaxNorm must be 0, the incoming weights of each unit, got {axis!r}")
        self.max_value: float | None = check_real(max_value, "max_value", low=0, open_low=True)
        self._config = {"max_value": self.max_value, "axis": 0}


max_norm: type[MaxNorm] = MaxNorm


def get(identifier: Any) -> Any:
    """The constraint that a name or an object stands for; None for None."""
    return None if identifier is None else _registry.get(identifier)


serialize = serialized
deserialize = deserializer(get)

__getattr__ = absent(__name__, __all__)

publish(globals())
