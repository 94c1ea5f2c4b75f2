"""Keras's metrics, computed from predictions.

A metric has ``reset_state``, ``update_state(y_true, y_pred, sample_weight=None)`` and ``result``; a model updates it
once an epoch with all rows. A function of (y_true, y_pred) that gives one number a row is a metric too: their mean.

Examples
--------
>>> from fasttrain.keras.metrics import BinaryAccuracy
>>> metric = BinaryAccuracy()
>>> metric.update_state([1, 1, 0, 0], [0.98, 1.0, 0.0, 0.6])
>>> metric.result()
0.75
"""

from __future__ import annotations

from typing import Any
from collections.abc import Callable

from fasttrain._core.public import publish
from fasttrain.keras import losses
from fasttrain.keras._absent import absent
from fasttrain.keras._config import deserializer, serialized
from fasttrain.keras._custom import named
from fasttrain.keras.losses import (
    binary_crossentropy, binary_focal_crossentropy, categorical_crossentropy, categorical_focal_crossentropy,
    categorical_hinge, hinge, huber, kl_divergence, log_cosh, mean_absolute_error, mean_absolute_percentage_error,
    mean_squared_error, mean_squared_logarithmic_error, poisson, sparse_categorical_crossentropy, squared_hinge,
)
from fasttrain.keras.metrics._base import Metric, metrics_by_name
from fasttrain.keras.metrics._confusion import (
    AUC, F1Score, FBetaScore, FalseNegatives, FalsePositives, Precision, PrecisionAtRecall, R2Score, Recall,
    RecallAtPrecision, SensitivityAtSpecificity, SpecificityAtSensitivity, TrueNegatives, TruePositives,
)
from fasttrain.keras.metrics._means import (
    Accuracy, BinaryAccuracy, BinaryCrossentropy, CategoricalAccuracy, CategoricalCrossentropy, CategoricalHinge,
    ConcordanceCorrelation, CosineSimilarity, Hinge, KLDivergence, LogCoshError, Mean, MeanAbsoluteError,
    MeanAbsolutePercentageError, MeanMetricWrapper, MeanSquaredError, MeanSquaredLogarithmicError, PearsonCorrelation,
    Poisson, RootMeanSquaredError, SparseCategoricalAccuracy, SparseCategoricalCrossentropy,
    SparseTopKCategoricalAccuracy, SquaredHinge, Sum, TopKCategoricalAccuracy, binary_accuracy, categorical_accuracy,
    concordance_correlation, pearson_correlation, sparse_categorical_accuracy, sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)

__all__ = [
    "AUC", "Accuracy", "BinaryAccuracy", "BinaryCrossentropy", "CategoricalAccuracy", "CategoricalCrossentropy",
    "CategoricalHinge", "ConcordanceCorrelation", "CosineSimilarity", "F1Score", "FBetaScore", "FalseNegatives",
    "FalsePositives", "Hinge", "KLDivergence", "LogCoshError", "Mean", "MeanAbsoluteError",
    "MeanAbsolutePercentageError", "MeanMetricWrapper", "MeanSquaredError", "MeanSquaredLogarithmicError", "Metric",
    "PearsonCorrelation", "Poisson", "Precision", "PrecisionAtRecall", "R2Score", "Recall", "RecallAtPrecision",
    "RootMeanSquaredError", "SensitivityAtSpecificity", "SparseCategoricalAccuracy", "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy", "SpecificityAtSensitivity", "SquaredHinge", "Sum", "TopKCategoricalAccuracy",
    "TrueNegatives", "TruePositives", "binary_accuracy", "binary_crossentropy", "binary_focal_crossentropy",
    "categorical_accuracy", "categorical_crossentropy", "categorical_focal_crossentropy", "categorical_hinge",
    "concordance_correlation", "deserialize", "get", "hinge", "huber", "kl_divergence", "log_cosh",
    "mean_absolute_error", "mean_absolute_percentage_error", "mean_squared_error", "mean_squared_logarithmic_error",
    "pearson_correlation", "poisson", "serialize", "sparse_categorical_accuracy", "sparse_categorical_crossentropy",
    "sparse_top_k_categorical_accuracy", "squared_hinge", "top_k_categorical_accuracy",
]

serialize: Callable[..., Any] = serialized


def get(identifier: Any, one_code: bool = False, n_outputs: int = 1) -> Any:
    """The metric that ``identifier`` stands for.

    Parameters
    ----------
    identifier : str, Metric, class of them, or callable
        'accuracy' and 'acc' are binary with one output, sparse with class codes, else categorical.
    one_code : bool
        Whether targets are class codes.
    n_outputs : int

    Raises
    ------
    ValueError, TypeError
        For anything else; the message lists the names.
    """
    identifier = named(identifier)
    if isinstance(identifier, str):
        if identifier.lower() in ("accuracy", "acc"):
            kind = BinaryAccuracy if n_outputs == 1 else SparseCategoricalAccuracy if one_code else CategoricalAccuracy
            return kind(name=identifier)
        metric = metrics_by_name.get(identifier)
        metric.name = identifier
        return metric
    if isinstance(identifier, losses.Loss):
        return MeanMetricWrapper(identifier.call, identifier.name)
    if callable(identifier) and not isinstance(identifier, (Metric, type)):
        return MeanMetricWrapper(identifier)
    return metrics_by_name.get(identifier)


deserialize: Any = deserializer(get)

__getattr__ = absent(__name__, __all__)

publish(globals())
