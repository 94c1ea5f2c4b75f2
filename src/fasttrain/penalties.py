"""Penalties on weights: ``l1 * sum|w| + l2 / 2 * sum w^2`` and its special cases.

Factors follow scikit-learn: ``alpha * (l1_ratio * sum|w| + (1 - l1_ratio) / 2 * sum w^2)``. L1 is applied by
its proximal map wherever fasttrain trains, so weights that it removes are exactly zero.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from fasttrain._core.checks import check_real, real_array
from fasttrain._core.public import publish
from fasttrain._core.registry import Registry
from fasttrain._core.specs import Spec, real, spec
from fasttrain._core.types import Array, ArrayLike, PenaltyName
from fasttrain._kernels import penalties as kernel

__all__ = ["L1", "L2", "ElasticNet", "NoPenalty", "Penalty", "get", "names"]


class Penalty(Spec):
    """Base of the penalties; ``l1`` and ``l2`` are the factors of ``sum|w|`` and ``sum w^2 / 2``."""

    l1: ClassVar[Any] = 0.0
    l2: ClassVar[Any] = 0.0

    def value(self, w: Array) -> float:
        """The penalty of ``w``.

        Parameters
        ----------
        w : array of any shape, float32 or float64

        Returns
        -------
        float
            ``l1 * sum|w| + l2 / 2 * sum w^2``, summed in float64.
        """
        return kernel.value(real_array(w, "w").reshape(-1), self.l1, self.l2)

    def gradient(self, w: ArrayLike) -> Array:
        """``l1 * sign(w) + l2 * w``; where a weight is 0, the subgradient 0 of its L1 part.

        Parameters
        ----------
        w : array of any shape, float32 or float64

        Returns
        -------
        ndarray of its shape
        """
        w = real_array(w, "w")
        out = np.zeros_like(w)
        kernel.gradient(w.reshape(-1), out.reshape(-1), self.l1, self.l2)
        return out

    def prox(self, w: Array, step: float = 1.0) -> Array:
        """Proximal map of ``step`` times the penalty.

        Parameters
        ----------
        w : array of any shape, float32 or float64
        step : float, default=1.0
            At least 0.

        Returns
        -------
        array of ``w``'s shape
            ``argmin_u |u - w|^2 / 2 + step * penalty(u)``, which is
            ``sign(w) * max(|w| - step * l1, 0) / (1 + step * l2)`` (Parikh and Boyd, Proximal Algorithms,
            2014, 6.5). ``w`` is not changed.

        Examples
        --------
        >>> from fasttrain.penalties import L1
        >>> L1(0.5).prox([2.0, -0.25, -1.0])
        array([ 1.5,  0. , -0.5])
        """
        step = check_real(step, "step", low=0)
        out = np.array(real_array(w, "w"))
        kernel.prox(out.reshape(-1), step * self.l1, step * self.l2)
        return out


_registry = Registry("penalty", Penalty, "a penalty of fasttrain", default="none")


@_registry.add("none")
@spec
class NoPenalty(Penalty):
    """No penalty."""


@spec
class _Mixture(Penalty):
    # alpha comes first, also where a mixture makes the ratio a field
    alpha: float = real(default=1e-4, low=0)
    l1_ratio: ClassVar[Any] = None

    @property
    def l1(self) -> float:
        """``alpha * l1_ratio``."""
        return self.alpha * self.l1_ratio

    @property
    def l2(self) -> float:
        """``alpha * (1 - l1_ratio)``."""
        return self.alpha * (1.0 - self.l1_ratio)


@_registry.add("l1", "lasso")
@spec
class L1(_Mixture):
    """``alpha * sum|w|`` (Tibshirani 1996).

    Parameters
    ----------
    alpha : float, default=1e-4
        At least 0.
    """

    l1_ratio: ClassVar[Any] = 1.0


@_registry.add("l2", "ridge")
@spec
class L2(_Mixture):
    """``alpha / 2 * sum w^2`` (Hoerl and Kennard 1970).

    Parameters
    ----------
    alpha : float, default=1e-4
        At least 0.
    """

    l1_ratio: ClassVar[Any] = 0.0


@_registry.add("elasticnet", "elastic_net", "l1_l2")
@spec
class ElasticNet(_Mixture):
    """``alpha * (l1_ratio * sum|w| + (1 - l1_ratio) / 2 * sum w^2)`` (Zou and Hastie 2005).

    Parameters
    ----------
    alpha : float, default=1e-4
        At least 0.
    l1_ratio : float, default=0.15
        From 0 (L2 only) to 1 (L1 only).

    Examples
    --------
    >>> from fasttrain.penalties import ElasticNet
    >>> penalty = ElasticNet(alpha=0.5, l1_ratio=0.5)
    >>> penalty.l1, penalty.l2
    (0.25, 0.25)
    >>> penalty.value([3.0, -4.0])
    4.875
    """

    l1_ratio: float = real(default=0.15, low=0, high=1)


def get(penalty: PenaltyName | Penalty | type[Penalty] | None) -> Penalty:
    """The penalty that ``penalty`` stands for: a spec as it is, a class or name its default, None no penalty.

    Parameters
    ----------
    penalty : str, Penalty or subclass of it, or None
        Names are those of :func:`names`, and their aliases.

    Returns
    -------
    Penalty

    Raises
    ------
    ValueError, TypeError
        For anything else; the message lists the names.

    Examples
    --------
    >>> from fasttrain import penalties
    >>> penalties.get("l1")
    L1(alpha=0.0001)
    """
    return _registry.get(penalty)


def names() -> tuple[str, ...]:
    """Names that :func:`get` takes, aliases left out."""
    return _registry.names

publish(globals())
