"""Activations ``a = f(z)``; each is a value that can be called on an array.

Examples
--------
>>> from fasttrain.activations import LeakyRelu, get
>>> LeakyRelu(negative_slope=0.1)([-2.0, 3.0])
array([-0.2,  3. ])
>>> get("sigmoid")
Logistic()
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from fasttrain._core.checks import real_array
from fasttrain._core.public import publish
from fasttrain._core.registry import Registry
from fasttrain._core.specs import Spec, real, spec
from fasttrain._core.types import ActivationName, Array, ArrayLike
from fasttrain._kernels import activations as kernel
from fasttrain._kernels.threads import get_num_threads

__all__ = [
    "Activation", "Celu", "ClippedRelu", "Elu", "Exponential", "Gelu", "HardSigmoid", "HardSilu", "HardTanh",
    "Identity", "LeakyRelu", "LogSigmoid", "Logistic", "Mish", "Relu", "Selu", "Silu", "Softmax", "Softplus",
    "Softsign", "Tanh", "get", "names",
]


class Activation(Spec):
    """Base of the activations; ``name`` is the kernel's name and ``parameter`` the number it is given."""

    name: ClassVar[Any] = None
    parameter: ClassVar[Any] = 1.0

    def __call__(self, z: ArrayLike) -> Array:
        """``f(z)`` as a new array.

        Parameters
        ----------
        z : array of any shape
            float32 and float64 are kept, other real dtypes become float64.

        Returns
        -------
        array of ``z``'s shape
        """
        z = real_array(z, "z")
        out = np.empty_like(z)
        kernel.forward(self.name, z.reshape(-1), out.reshape(-1), self.parameter, get_num_threads())
        return out

    def derivative(self, z: ArrayLike) -> Array:
        """The derivative ``f'(z)``.

        Parameters
        ----------
        z : array of any shape, float32 or float64

        Returns
        -------
        ndarray of its shape
        """
        z = real_array(z, "z")
        out = np.ones_like(z)
        flat = z.reshape(-1)
        kernel.backward(self.name, flat, self(flat), out.reshape(-1), self.parameter, get_num_threads())
        return out


_registry = Registry("activation", Activation, "an activation of fasttrain")


@_registry.add("identity", "linear")
@spec
class Identity(Activation):
    """``f(z) = z``."""

    name = "identity"


@_registry.add("relu")
@spec
class Relu(Activation):
    """``f(z) = max(0, z)``; derivative 0 at 0."""

    name = "relu"


@_registry.add("leaky_relu", "leakyrelu")
@spec
class LeakyRelu(Activation):
    """``f(z) = z`` for z > 0, ``negative_slope * z`` below (Maas, Hannun, Ng 2013).

    Parameters
    ----------
    negative_slope : float, default=0.01
        At least 0 and less than 1.
    """

    name = "leaky_relu"
    negative_slope: float = real(default=0.01, low=0, high=1, open_high=True)

    @property
    def parameter(self) -> float:
        """``negative_slope``, as the kernels take it."""
        return self.negative_slope


@_registry.add("elu")
@spec
class Elu(Activation):
    """``f(z) = z`` for z > 0, ``alpha * (exp(z) - 1)`` below (Clevert, Unterthiner, Hochreiter 2016).

    Parameters
    ----------
    alpha : float, default=1.0
        Greater than 0.
    """

    name = "elu"
    alpha: float = real(default=1.0, low=0, open_low=True)

    @property
    def parameter(self) -> float:
        """``alpha``, as the kernels take it."""
        return self.alpha


@_registry.add("selu")
@spec
class Selu(Activation):
    """``scale * elu(z, alpha)`` with the self-normalizing constants of Klambauer et al. 2017."""

    name = "selu"


@_registry.add("gelu")
@spec
class Gelu(Activation):
    """``f(z) = z Phi(z)``, Phi the normal distribution function itself (Hendrycks and Gimpel 2016)."""

    name = "gelu"


@_registry.add("silu", "swish")
@spec
class Silu(Activation):
    """``f(z) = z / (1 + exp(-z))`` (Elfwing, Uchibe, Doya 2018)."""

    name = "silu"


@_registry.add("tanh")
@spec
class Tanh(Activation):
    """``f(z) = tanh(z)``."""

    name = "tanh"


@_registry.add("logistic", "sigmoid")
@spec
class Logistic(Activation):
    """``f(z) = 1 / (1 + exp(-z))``."""

    name = "logistic"


@_registry.add("softplus")
@spec
class Softplus(Activation):
    """``f(z) = log(1 + exp(z))`` (Dugas et al. 2001)."""

    name = "softplus"


@_registry.add("exponential", "exp")
@spec
class Exponential(Activation):
    """``f(z) = exp(z)``: the mean of a Poisson model with log link."""

    name = "exponential"


@_registry.add("clipped_relu", "relu6")
@spec
class ClippedRelu(Activation):
    """``f(z) = min(max(0, z), max_value)``; derivative 0 at both ends.

    Parameters
    ----------
    max_value : float, default=6.0
        Greater than 0.
    """

    name = "clipped_relu"
    max_value: float = real(default=6.0, low=0, open_low=True)

    @property
    def parameter(self) -> float:
        """``max_value``, as the kernels take it."""
        return self.max_value


@_registry.add("hard_sigmoid")
@spec
class HardSigmoid(Activation):
    """``f(z) = min(max(0, z / 6 + 1 / 2), 1)`` (Howard et al. 2019)."""

    name = "hard_sigmoid"


@_registry.add("hard_silu", "hard_swish")
@spec
class HardSilu(Activation):
    """``f(z) = z min(max(0, z / 6 + 1 / 2), 1)`` (Howard et al. 2019)."""

    name = "hard_silu"


@_registry.add("hard_tanh")
@spec
class HardTanh(Activation):
    """``f(z) = min(max(-1, z), 1)``; derivative 0 at both ends (Collobert 2004)."""

    name = "hard_tanh"


@_registry.add("softsign")
@spec
class Softsign(Activation):
    """``f(z) = z / (1 + |z|)`` (Bergstra et al. 2009)."""

    name = "softsign"


@_registry.add("mish")
@spec
class Mish(Activation):
    """``f(z) = z tanh(log(1 + exp(z)))`` (Misra 2019)."""

    name = "mish"


@_registry.add("celu")
@spec
class Celu(Activation):
    """``f(z) = z`` for z > 0, ``alpha * (exp(z / alpha) - 1)`` below (Barron 2017).

    Parameters
    ----------
    alpha : float, default=1.0
        Greater than 0.
    """

    name = "celu"
    alpha: float = real(default=1.0, low=0, open_low=True)

    @property
    def parameter(self) -> float:
        """``alpha``, as the kernels take it."""
        return self.alpha


@_registry.add("log_sigmoid")
@spec
class LogSigmoid(Activation):
    """``f(z) = -log(1 + exp(-z))``."""

    name = "log_sigmoid"


@_registry.add("softmax")
@spec
class Softmax(Activation):
    """``exp(z_c) / sum_j exp(z_j)`` along the last axis. For outputs: it couples the elements of a row.

    Examples
    --------
    >>> from fasttrain.activations import Softmax
    >>> Softmax()([[0.0, 0.0], [1000.0, 0.0]])
    array([[0.5, 0.5],
           [1. , 0. ]])
    """

    name = "softmax"

    def __call__(self, z: ArrayLike) -> Array:
        z = real_array(z, "z")
        if z.ndim == 0:
            raise ValueError("z must have at least one axis for softmax, got a single number")
        out = np.empty_like(z)
        if z.size:
            kernel.softmax(z.reshape(-1, z.shape[-1]), out.reshape(-1, z.shape[-1]))
        return out

    def derivative(self, z: ArrayLike) -> Array:
        """Not to be had elementwise: each output depends on every input of its row.

        Raises
        ------
        TypeError
            Always.
        """
        raise TypeError(
            "softmax couples the elements of a row, so it has no elementwise derivative; "
            "SoftmaxCrossentropy has the gradient of both together"
        )


def get(activation: ActivationName | Activation | type[Activation]) -> Activation:
    """The activation that ``activation`` stands for: a spec as it is, a class or a name its default.

    Parameters
    ----------
    activation : str, Activation or subclass of it
        Names are those of :func:`names`, and their aliases.

    Returns
    -------
    Activation

    Raises
    ------
    ValueError, TypeError
        For anything else; the message lists the names.

    Examples
    --------
    >>> from fasttrain import activations
    >>> activations.get("relu")
    Relu()
    """
    return _registry.get(activation)


def names() -> tuple[str, ...]:
    """Names that :func:`get` takes, aliases left out."""
    return _registry.names

publish(globals())
