"""Keras's optimizers: its names, defaults and places of epsilon, mapped to :mod:`fasttrain.optimizers`.

Arguments that all have: ``weight_decay`` (each step first multiplies weights and biases by
``1 - learning_rate * weight_decay``), one of ``clipnorm`` (the gradient of each kernel and bias is scaled down to this
norm), ``global_clipnorm`` (that of all together) and ``clipvalue`` (its elements are clipped), ``use_ema`` with
``ema_momentum`` and ``ema_overwrite_frequency`` (the weights' moving average takes their place when a fit ends, and
every so many steps), ``gradient_accumulation_steps`` (at least 2: so many batches make one update, of their mean
gradient; what an epoch leaves over goes on in the next), ``name``. What is clipped is the gradient of the loss without
its regularization, and a penalty's own gradient is of the weights that the update finds. ``loss_scale_factor`` changes
nothing here.

Examples
--------
>>> from fasttrain.keras.optimizers import SGD, get
>>> SGD(momentum=0.9, nesterov=True).spec()
Nesterov(learning_rate=0.01, momentum=0.9)
>>> get("adam").spec()
Adam(learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-07)
"""

from __future__ import annotations

from typing import Any
from collections.abc import Callable

from fasttrain import optimizers as specs
from fasttrain._core.public import publish
from fasttrain.keras._absent import absent
from fasttrain.keras._config import deserializer, serialized
from fasttrain.keras.optimizers import schedules
from fasttrain.keras.optimizers._base import Optimizer, optimizers_by_name
from fasttrain.keras.optimizers._rules import (
    SGD, Adadelta, Adagrad, Adam, Adamax, AdamW, Ftrl, Lamb, Lion, Nadam, RMSprop, SpecOptimizer,
)

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lamb",
    "Lion",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]

serialize: Callable[..., Any] = serialized


def get(identifier: Any) -> Any:
    """The optimizer that ``identifier`` stands for.

    Parameters
    ----------
    identifier : str, Optimizer, class of them, or step optimizer of :mod:`fasttrain.optimizers`
        A name stands for Keras's defaults (``'adam'`` has epsilon 1e-7); a spec of fasttrain keeps its own.

    Raises
    ------
    ValueError, TypeError
        For anything else; the message lists the names.
    """
    if isinstance(identifier, specs.StepOptimizer):
        return SpecOptimizer(identifier)
    return optimizers_by_name.get(identifier)


deserialize: Any = deserializer(get)

__getattr__ = absent(__name__, __all__)

publish(globals())
