"""Keras's activations, which are those of :mod:`fasttrain.activations` under Keras's names and with its defaults.

Examples
--------
>>> from fasttrain.keras import activations
>>> activations.relu([-1.0, 2.0])
array([0., 2.])
>>> activations.get("leaky_relu")
LeakyRelu(negative_slope=0.2)
"""

from __future__ import annotations

from typing import Any
from collections.abc import Callable

from fasttrain import activations as specs
from fasttrain._core.public import publish
from fasttrain.keras._absent import absent
from fasttrain.keras._config import deserializer

__all__ = [
    "celu", "deserialize", "elu", "exponential", "gelu", "get", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh",
    "leaky_relu", "linear", "log_sigmoid", "mish", "relu", "relu6", "selu", "serialize", "sigmoid", "silu", "softmax",
    "softplus", "softsign", "swish", "tanh",
]

celu: Any = specs.Celu()
elu: Any = specs.Elu()
exponential: Any = specs.Exponential()
gelu: Any = specs.Gelu()
hard_sigmoid: Any = specs.HardSigmoid()
hard_silu = hard_swish = specs.HardSilu()
hard_tanh: Any = specs.HardTanh()
leaky_relu: Any = specs.LeakyRelu(negative_slope=0.2)
linear: Any = specs.Identity()
log_sigmoid: Any = specs.LogSigmoid()
mish: Any = specs.Mish()
relu: Any = specs.Relu()
relu6: Any = specs.ClippedRelu(6.0)
selu: Any = specs.Selu()
sigmoid: Any = specs.Logistic()
silu = swish = specs.Silu()
softmax: Any = specs.Softmax()
softplus: Any = specs.Softplus()
softsign: Any = specs.Softsign()
tanh: Any = specs.Tanh()


def get(identifier: Any) -> Any:
    """The activation that ``identifier`` stands for: None is linear, a name Keras's, a spec itself.

    Raises
    ------
    ValueError, TypeError
        For anything else; the message lists the names.
    """
    if identifier is None:
        return linear
    if isinstance(identifier, str) and identifier in ("leaky_relu", "leakyrelu"):
        return leaky_relu
    return specs.get(identifier)


def name_of(spec: Any) -> Any:
    """Keras's name of an activation, for summaries; the class's where Keras has none."""
    return next((name for name in __all__ if globals()[name] == spec), type(spec).__name__)


serialize: Callable[..., Any] = name_of
deserialize: Callable[..., Any] = deserializer(get)

__getattr__ = absent(__name__, __all__)

publish(globals())
