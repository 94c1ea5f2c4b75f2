"""Keras's regularizers: ``l1 * sum|w| + l2 * sum w^2``, without the half, added to the loss of every batch.

L1 is applied by its proximal map, so weights that it removes are exactly zero; Keras follows a subgradient, under which
they hover around zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fasttrain import penalties
from fasttrain._core.checks import check_real
from fasttrain._core.public import publish
from fasttrain._core.types import ArrayLike
from fasttrain._kernels import penalties as kernel
from fasttrain.keras._absent import absent
from fasttrain.keras._config import Configured, deserializer, registry, serialized

__all__ = ["L1", "L1L2", "L2", "Regularizer", "deserialize", "get", "l1", "l1_l2", "l2", "serialize"]


class Regularizer(Configured):
    """Base of the regularizers; ``l1`` and ``l2`` are the factors of ``sum|w|`` and ``sum w^2``."""

    l1 = 0.0
    l2 = 0.0

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.__module__.startswith("fasttrain."):
            raise TypeError(
                f"{cls.__name__} is a regularizer of one's own; fasttrain adds penalties in compiled steps, L1, L2 or "
                "L1L2")

    def __call__(self, w: ArrayLike) -> Any:
        """The penalty of ``w``, an array of any shape, as a float."""
        w = np.require(w, dtype=np.float64, requirements="CA")
        return kernel.value(w.reshape(-1), self.l1, 2.0 * self.l2)

    def get_config(self) -> dict[str, Any]:
        """The factors by their names."""
        return {name: getattr(self, name) for name in self._names}


_registry = registry("regularizer", Regularizer)


@_registry.add("l1")
class L1(Regularizer):
    """``l1 * sum|w|``.

    Parameters
    ----------
    l1 : float, default=0.01
        At least 0.
    """

    _names = ("l1",)

    def __init__(self, l1: float = 0.01) -> None:
        self.l1 = check_real(l1, "l1", low=0)


@_registry.add("l2")
class L2(Regularizer):
    """``l2 * sum w^2``.

    Parameters
    ----------
    l2 : float, default=0.01
        At least 0.

    Examples
    --------
    >>> from fasttrain.keras.regularizers import L2
    >>> L2(0.5)([3.0, 4.0])
    12.5
    """

    _names = ("l2",)

    def __init__(self, l2: float = 0.01) -> None:
        self.l2 = check_real(l2, "l2", low=0)


@_registry.add("l1_l2", "l1l2")
class L1L2(Regularizer):
    """``l1 * sum|w| + l2 * sum w^2``.

    Parameters
    ----------
    l1, l2 : float, default=0.0
        At least 0.
    """

    _names = ("l1", "l2")

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1 = check_real(l1, "l1", low=0)
        self.l2 = check_real(l2, "l2", low=0)


l1, l2, l1_l2 = L1, L2, L1L2


def get(identifier: Any) -> Any:
    """The regularizer that a name, an object or a penalty of :mod:`fasttrain.penalties` stands for; None for None."""
    if identifier is None:
        return None
    if isinstance(identifier, penalties.Penalty):
        return L1L2(identifier.l1, identifier.l2 / 2)
    return _registry.get(identifier)


serialize = serialized
deserialize = deserializer(get)

__getattr__ = absent(__name__, __all__)

publish(globals())
