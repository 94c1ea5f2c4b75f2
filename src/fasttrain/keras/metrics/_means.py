"""Metrics that are means over rows of a function's values, and the plain mean and sum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fasttrain._core.checks import check_integer, check_real, real_array
from fasttrain._core.types import Array, ArrayLike
from fasttrain.keras import losses
from fasttrain.keras.losses._functions import EPSILON, codes_and_predictions, pair
from fasttrain.keras.metrics._base import Metric, metrics_by_name, row_weights


def accuracy(y_true, y_pred):
    """Share of a row's outputs that equal its targets; shape (n,)."""
    y_true, y_pred = pair(y_true, y_pred)
    return (y_true == y_pred).mean(axis=1)


def binary_accuracy(y_true: ArrayLike, y_pred: ArrayLike, threshold: float = 0.5) -> Any:
    """Share of a row's outputs on the right side of the threshold; shape (n,)."""
    y_true, y_pred = pair(y_true, y_pred)
    return (y_true == (y_pred > threshold)).mean(axis=1)


def categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> Any:
    """Whether the greatest outputs of one-hot rows and predictions are the same; shape (n,)."""
    y_true, y_pred = pair(y_true, y_pred)
    return (y_true.argmax(axis=1) == y_pred.argmax(axis=1)).astype(np.float64)


def sparse_categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> Any:
    """Whether the greatest output is that of the class code; shape (n,)."""
    codes, y_pred = codes_and_predictions(y_true, y_pred)
    return (codes == y_pred.argmax(axis=1)).astype(np.float64)


def _among_first(codes, y_pred, k):
    own = y_pred[np.arange(len(codes)), codes]
    return ((y_pred > own[:, None]).sum(axis=1) < k).astype(np.float64)


def top_k_categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike, k: int = 5) -> Any:
    """Whether fewer than k outputs are greater than the right one's; shape (n,)."""
    y_true, y_pred = pair(y_true, y_pred)
    return _among_first(y_true.argmax(axis=1), y_pred, k)


def sparse_top_k_categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike, k: int = 5) -> Any:
    """Whether fewer than k outputs are greater than that of the class code; shape (n,)."""
    return _among_first(*codes_and_predictions(y_true, y_pred), k)


def _cosine(y_true, y_pred, axis=-1):
    """Cosine of the angle between a row's targets and predictions; shape (n,)."""
    return -losses.cosine_similarity(y_true, y_pred, axis)


def _moments(y_true, y_pred, axis):
    """Means, variances and covariance of a row's targets and predictions."""
    if axis not in (-1, 1):
        raise ValueError(f"axis must be -1, got {axis!r}")
    y, p = (a.astype(np.float64) for a in pair(y_true, y_pred))
    means = y.mean(axis=1), p.mean(axis=1)
    y, p = (a - mean[:, None] for a, mean in zip((y, p), means))
    return means, ((y * y).mean(axis=1), (p * p).mean(axis=1)), (y * p).mean(axis=1)


def pearson_correlation(y_true: ArrayLike, y_pred: ArrayLike, axis: Any = -1) -> Any:
    """Pearson's correlation of a row's targets and predictions; shape (n,), NaN where either does not vary."""
    _, variances, both = _moments(y_true, y_pred, axis)
    with np.errstate(invalid="ignore"):
        return both / np.sqrt(variances[0] * variances[1])


def concordance_correlation(y_true: ArrayLike, y_pred: ArrayLike, axis: Any = -1) -> Any:
    """Twice the covariance of a row's targets and predictions by the sum of their variances, the squared difference of
    their means and 1e-7 (Lin 1989); shape (n,)."""
    means, variances, both = _moments(y_true, y_pred, axis)
    return 2 * both / (variances[0] + variances[1] + (means[0] - means[1]) ** 2 + EPSILON)


class MeanMetricWrapper(Metric):
    """The weighted mean over rows of a function's values.

    Parameters
    ----------
    fn : callable
        From ``(y_true, y_pred)`` to one number a row, or one number.
    name : str, default=None
        The function's name when None.
    **kwargs
        Given to ``fn``.
    """

    def __init__(self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:
        self.fn = fn
        super().__init__(None, getattr(fn, "__name__", type(fn).__name__) if name is None else name, **kwargs)
        self.reset_state()

    def reset_state(self) -> None:
        self.total = self.count = 0.0

    def update_state(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> None:
        values = np.asarray(self.fn(y_true, y_pred, **self._config), dtype=np.float64)
        n = len(y_pred)
        values = np.full(n, values) if values.ndim == 0 else values.reshape(n, -1).mean(axis=1)
        weights = row_weights(sample_weight, n)
        self.total += float(values @ weights)
        self.count += float(weights.sum())

    def result(self) -> Any:
        return self.total / self.count if self.count else 0.0


class Sum(Metric):
    """The weighted sum of numbers.

    Parameters
    ----------
    name : str, default='sum'
    """

    def __init__(self, name: str = "sum", dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self.reset_state()

    def reset_state(self) -> None:
        self.total = self.count = 0.0

    def update_state(self, values: Any, sample_weight: ArrayLike | None = None) -> None:
        """Take in numbers, with weights of their shape, of their rows, or one."""
        values = real_array(values, "values").astype(np.float64)
        weights = np.asarray(1.0 if sample_weight is None else sample_weight, dtype=np.float64)
        weights = weights.reshape(weights.shape + (1,) * (values.ndim - weights.ndim))
        weights = np.broadcast_to(weights, values.shape)
        self.total += float((values * weights).sum())
        self.count += float(weights.sum())

    def result(self) -> Any:
        return self.total


class Mean(Sum):
    """The weighted mean of numbers; 0 of none.

    Parameters
    ----------
    name : str, default='mean'
    """

    def __init__(self, name: str = "mean", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def result(self) -> Any:
        return self.total / self.count if self.count else 0.0


def _mean_metric(class_name, name, function, aliases=(), **arguments):
    """The class of the mean of one of the functions here, its ``arguments`` those of the function."""
    defaults = arguments

    def __init__(self, name: str | None = None, dtype: Any = None, **given: Any) -> None:
        unknown = set(given) - set(defaults)
        if unknown:
            raise TypeError(f"{class_name} has no argument {min(unknown)!r}")
        arguments = {**defaults, **given}
        for key, value in arguments.items():
            if key == "k":
                check_integer(value, "k", low=1)
            elif key == "threshold":
                check_real(value, key)
        MeanMetricWrapper.__init__(self, function, type(self).name if name is None else name, None, **arguments)

    listed = "".join(f"\n    {key} : default={value!r}" for key, value in defaults.items())
    doc = f"""Mean over rows: {function.__doc__.split(";")[0].rstrip(".")}.

    Parameters
    ----------
    name : str, default={name!r}{listed}
    """
    members = {"__init__": __init__, "__doc__": doc, "__module__": __name__, "name": name}
    return metrics_by_name.add(name, *aliases)(type(class_name, (MeanMetricWrapper,), members))


Accuracy: type[MeanMetricWrapper] = _mean_metric("Accuracy", "accuracy", accuracy)
BinaryAccuracy: type[MeanMetricWrapper] = _mean_metric(
    "BinaryAccuracy", "binary_accuracy", binary_accuracy, threshold=0.5)
CategoricalAccuracy: type[MeanMetricWrapper] = _mean_metric(
    "CategoricalAccuracy", "categorical_accuracy", categorical_accuracy)
SparseCategoricalAccuracy: type[MeanMetricWrapper] = _mean_metric(
    "SparseCategoricalAccuracy", "sparse_categorical_accuracy", sparse_categorical_accuracy)
TopKCategoricalAccuracy: type[MeanMetricWrapper] = _mean_metric(
    "TopKCategoricalAccuracy", "top_k_categorical_accuracy", top_k_categorical_accuracy, k=5)
SparseTopKCategoricalAccuracy: type[MeanMetricWrapper] = _mean_metric(
    "SparseTopKCategoricalAccuracy", "sparse_top_k_categorical_accuracy", sparse_top_k_categorical_accuracy, k=5)
MeanSquaredError: type[MeanMetricWrapper] = _mean_metric(
    "MeanSquaredError", "mean_squared_error", losses.mean_squared_error, ("mse",))
MeanAbsoluteError: type[MeanMetricWrapper] = _mean_metric(
    "MeanAbsoluteError", "mean_absolute_error", losses.mean_absolute_error, ("mae",))
MeanAbsolutePercentageError: type[MeanMetricWrapper] = _mean_metric(
    "MeanAbsolutePercentageError", "mean_absolute_percentage_error", losses.mean_absolute_percentage_error,
    ("mape",))
MeanSquaredLogarithmicError: type[MeanMetricWrapper] = _mean_metric(
    "MeanSquaredLogarithmicError", "mean_squared_logarithmic_error", losses.mean_squared_logarithmic_error,
    ("msle",))
BinaryCrossentropy: type[MeanMetricWrapper] = _mean_metric(
    "BinaryCrossentropy", "binary_crossentropy", losses.binary_crossentropy, ("bce",), from_logits=False,
    label_smoothing=0.0)
CategoricalCrossentropy: type[MeanMetricWrapper] = _mean_metric(
    "CategoricalCrossentropy", "categorical_crossentropy", losses.categorical_crossentropy, from_logits=False,
    label_smoothing=0.0)
SparseCategoricalCrossentropy: type[MeanMetricWrapper] = _mean_metric(
    "SparseCategoricalCrossentropy", "sparse_categorical_crossentropy", losses.sparse_categorical_crossentropy,
    from_logits=False)
CategoricalHinge: type[MeanMetricWrapper] = _mean_metric(
    "CategoricalHinge", "categorical_hinge", losses.categorical_hinge)
CosineSimilarity: type[MeanMetricWrapper] = _mean_metric("CosineSimilarity", "cosine_similarity", _cosine, axis=-1)
KLDivergence: type[MeanMetricWrapper] = _mean_metric("KLDivergence", "kl_divergence", losses.kl_divergence, ("kld",))
PearsonCorrelation: type[MeanMetricWrapper] = _mean_metric(
    "PearsonCorrelation", "pearson_correlation", pearson_correlation, axis=-1)
ConcordanceCorrelation: type[MeanMetricWrapper] = _mean_metric(
    "ConcordanceCorrelation", "concordance_correlation", concordance_correlation, axis=-1)
LogCoshError: type[MeanMetricWrapper] = _mean_metric("LogCoshError", "logcosh", losses.log_cosh)
Hinge: type[MeanMetricWrapper] = _mean_metric("Hinge", "hinge", losses.hinge)
SquaredHinge: type[MeanMetricWrapper] = _mean_metric("SquaredHinge", "squared_hinge", losses.squared_hinge)
Poisson: type[MeanMetricWrapper] = _mean_metric("Poisson", "poisson", losses.poisson)


@metrics_by_name.add("root_mean_squared_error", "rmse")
class RootMeanSquaredError(MeanMetricWrapper):
    """Root of the mean over rows and outputs of ``(y - p)^2``.

    Parameters
    ----------
    name : str, default='root_mean_squared_error'
    """

    def __init__(self, name: str = "root_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(losses.mean_squared_error, name)

    def result(self) -> Any:
        return float(np.sqrt(super().result()))
