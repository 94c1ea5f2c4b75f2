"""Keras's losses: the mean over a sample's outputs, averaged over the rows of the batch.

With sample weights the weighted sum is divided by the number of rows, as in Keras, not by the sum of the weights.
Each class tells how the engine computes it together with the activation of the last layer; each function takes
predictions and gives one number a row. For those that the engine does not have, and for functions and classes of one's
own, it asks once a batch: see :class:`Loss` and :mod:`fasttrain.keras.ops`.

Examples
--------
>>> from fasttrain.keras.losses import MeanSquaredError, mean_squared_error
>>> mean_squared_error([[0.0, 1.0], [0.0, 0.0]], [[1.0, 1.0], [1.0, 0.0]])
array([0.5, 0.5])
>>> MeanSquaredError()([[0.0, 1.0], [0.0, 0.0]], [[1.0, 1.0], [1.0, 0.0]], sample_weight=[1.0, 0.0])
0.25
"""

from __future__ import annotations

from typing import Any
from collections.abc import Callable

from fasttrain import losses as specs
from fasttrain._core.public import publish
from fasttrain.keras._absent import absent
from fasttrain.keras._config import deserializer, serialized
from fasttrain.keras._custom import named
from fasttrain.keras.losses._base import FunctionLoss, Loss, losses_by_name
from fasttrain.keras.losses._engine import (
    BinaryCrossentropy, CategoricalCrossentropy, Hinge, Huber, MeanAbsoluteError, MeanSquaredError, Poisson,
    SparseCategoricalCrossentropy, SquaredHinge, SpecLoss,
)
from fasttrain.keras.losses._formulas import (
    BinaryFocalCrossentropy, CategoricalFocalCrossentropy, CategoricalGeneralizedCrossEntropy, CategoricalHinge,
    CosineSimilarity, Dice, KLDivergence, LogCosh, MeanAbsolutePercentageError, MeanSquaredLogarithmicError, Tversky,
)
from fasttrain.keras.losses._functions import (
    binary_crossentropy, binary_focal_crossentropy, categorical_crossentropy, categorical_focal_crossentropy,
    categorical_generalized_cross_entropy, categorical_hinge, cosine_similarity, dice, hinge, huber, kl_divergence,
    log_cosh, mean_absolute_error, mean_absolute_percentage_error, mean_squared_error, mean_squared_logarithmic_error,
    poisson, sparse_categorical_crossentropy, squared_hinge, tversky,
)

__all__ = [
    "BinaryCrossentropy", "BinaryFocalCrossentropy", "CategoricalCrossentropy", "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy", "CategoricalHinge", "CosineSimilarity", "Dice", "Hinge", "Huber",
    "KLDivergence", "LogCosh", "Loss", "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanSquaredError",
    "MeanSquaredLogarithmicError", "Poisson", "SparseCategoricalCrossentropy", "SquaredHinge", "Tversky",
    "binary_crossentropy", "binary_focal_crossentropy", "categorical_crossentropy", "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy", "categorical_hinge", "cosine_similarity", "deserialize", "dice", "get",
    "hinge", "huber", "kl_divergence", "log_cosh", "mean_absolute_error", "mean_absolute_percentage_error",
    "mean_squared_error", "mean_squared_logarithmic_error", "poisson", "serialize", "sparse_categorical_crossentropy",
    "squared_hinge", "tversky",
]

_FUNCTIONS = {name: globals()[name] for name in __all__ if name in losses_by_name.names}

serialize: Callable[..., Any] = serialized


def get(identifier: Any) -> Any:
    """The loss that ``identifier`` stands for.

    Parameters
    ----------
    identifier : str, Loss, class or function of this module, function of one's own, or loss of :mod:`fasttrain.losses`
        A function of (y_true, y_pred) is made of operators and :mod:`fasttrain.keras.ops`.

    Raises
    ------
    ValueError, TypeError
        For anything else; the message lists the names.
    """
    identifier = named(identifier)
    if isinstance(identifier, specs.Loss):
        return SpecLoss(identifier)
    for name, function in _FUNCTIONS.items():
        if identifier is function:
            return losses_by_name.get(name)
    if callable(identifier) and not isinstance(identifier, (Loss, type)):
        return FunctionLoss(identifier)
    return losses_by_name.get(identifier)


deserialize: Any = deserializer(get)

__getattr__ = absent(__name__, __all__)

publish(globals())
