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

import numpy as np

from fasttrain._core.checks import check_integer, check_real, real_array
from fasttrain.keras import losses
from fasttrain.keras._config import Configured, registry
from fasttrain.keras.losses import codes_and_predictions, pair

__all__ = [
    "AUC", "BinaryAccuracy", "BinaryCrossentropy", "CategoricalAccuracy", "CategoricalCrossentropy", "F1Score",
    "Hinge", "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanMetricWrapper", "MeanSquaredError",
    "MeanSquaredLogarithmicError", "Metric", "Poisson", "Precision", "R2Score", "Recall", "RootMeanSquaredError",
    "SparseCategoricalAccuracy", "SparseCategoricalCrossentropy", "SparseTopKCategoricalAccuracy", "SquaredHinge",
    "TopKCategoricalAccuracy", "get",
]


def binary_accuracy(y_true, y_pred, threshold=0.5):
    """Share of a row's outputs on the right side of the threshold; shape (n,)."""
    y_true, y_pred = pair(y_true, y_pred)
    return (y_true == (y_pred > threshold)).mean(axis=1)


def categorical_accuracy(y_true, y_pred):
    """Whether the greatest outputs of one-hot rows and predictions are the same; shape (n,)."""
    y_true, y_pred = pair(y_true, y_pred)
    return (y_true.argmax(axis=1) == y_pred.argmax(axis=1)).astype(np.float64)


def sparse_categorical_accuracy(y_true, y_pred):
    """Whether the greatest output is that of the class code; shape (n,)."""
    codes, y_pred = codes_and_predictions(y_true, y_pred)
    return (codes == y_pred.argmax(axis=1)).astype(np.float64)


def _among_first(codes, y_pred, k):
    own = y_pred[np.arange(len(codes)), codes]
    return ((y_pred > own[:, None]).sum(axis=1) < k).astype(np.float64)


def top_k_categorical_accuracy(y_true, y_pred, k=5):
    """Whether fewer than k outputs are greater than the right one's; shape (n,)."""
    y_true, y_pred = pair(y_true, y_pred)
    return _among_first(y_true.argmax(axis=1), y_pred, k)


def sparse_top_k_categorical_accuracy(y_true, y_pred, k=5):
    """Whether fewer than k outputs are greater than that of the class code; shape (n,)."""
    return _among_first(*codes_and_predictions(y_true, y_pred), k)


def mean_absolute_percentage_error(y_true, y_pred):
    """100 times the mean over outputs of ``|y - p| / max(|y|, 1e-7)``; shape (n,)."""
    y_true, y_pred = pair(y_true, y_pred)
    return 100 * (np.abs(y_true - y_pred) / np.maximum(np.abs(y_true), losses.EPSILON)).mean(axis=1)


def mean_squared_logarithmic_error(y_true, y_pred):
    """Mean over outputs of the squared difference of ``log(1 + max(., 1e-7))``; shape (n,)."""
    y_true, y_pred = pair(y_true, y_pred)
    logs = [np.log1p(np.maximum(a, losses.EPSILON)) for a in (y_true, y_pred)]
    return np.square(logs[0] - logs[1]).mean(axis=1)


def _row_weights(sample_weight, n):
    if sample_weight is None:
        return np.ones(n)
    weights = real_array(sample_weight, "sample_weight").reshape(-1).astype(np.float64)
    if len(weights) != n:
        raise ValueError(f"sample_weight must have {n} numbers, got {len(weights)}")
    return weights


class Metric(Configured):
    """Base of the metrics.

    Parameters
    ----------
    name : str, default=None
        The key in logs and History; None takes the class's own.
    """

    name = None

    def __init__(self, name=None, **config):
        self.name = type(self).name or type(self).__name__.lower() if name is None else str(name)
        self._config = config
        self.reset_state()

    def reset_state(self):
        """Forget all rows."""
        raise NotImplementedError

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Take in rows.

        Parameters
        ----------
        y_true, y_pred : array of shape (n, k) or (n,)
        sample_weight : array of shape (n,), default=None
        """
        raise NotImplementedError

    def result(self):
        """The metric of the rows taken in since the last reset, a float."""
        raise NotImplementedError

    def __call__(self, y_true, y_pred, sample_weight=None):
        """:meth:`update_state`, then :meth:`result`."""
        self.update_state(y_true, y_pred, sample_weight)
        return self.result()

    def get_config(self):
        """The arguments that make the same metric, by their names."""
        return {"name": self.name, **self._config}


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

    def __init__(self, fn, name=None, **kwargs):
        self.fn = fn
        super().__init__(getattr(fn, "__name__", type(fn).__name__) if name is None else name, **kwargs)

    def reset_state(self):
        self.total = self.count = 0.0

    def update_state(self, y_true, y_pred, sample_weight=None):
        values = np.asarray(self.fn(y_true, y_pred, **self._config), dtype=np.float64)
        n = len(y_pred)
        values = np.full(n, values) if values.ndim == 0 else values.reshape(n, -1).mean(axis=1)
        weights = _row_weights(sample_weight, n)
        self.total += float(values @ weights)
        self.count += float(weights.sum())

    def result(self):
        return self.total / self.count if self.count else 0.0


_registry = registry("metric", Metric)


def _mean_metric(class_name, name, function, aliases=(), **arguments):
    """The class of the mean of one of the functions here, its ``arguments`` those of the function."""
    defaults = arguments

    def __init__(self, name=None, **given):
        unknown = set(given) - set(defaults)
        if unknown:
            raise TypeError(f"{class_name} has no argument {min(unknown)!r}")
        arguments = {**defaults, **given}
        for key, value in arguments.items():
            if key == "k":
                check_integer(value, "k", low=1)
            elif key != "from_logits":
                check_real(value, key)
        MeanMetricWrapper.__init__(self, function, type(self).name if name is None else name, **arguments)

    listed = "".join(f"\n    {key} : default={value!r}" for key, value in defaults.items())
    doc = f"""Mean over rows: {function.__doc__.split(";")[0].rstrip(".")}.

    Parameters
    ----------
    name : str, default={name!r}{listed}
    """
    members = {"__init__": __init__, "__doc__": doc, "__module__": __name__, "name": name}
    return _registry.add(name, *aliases)(type(class_name, (MeanMetricWrapper,), members))


BinaryAccuracy = _mean_metric("BinaryAccuracy", "binary_accuracy", binary_accuracy, threshold=0.5)
CategoricalAccuracy = _mean_metric("CategoricalAccuracy", "categorical_accuracy", categorical_accuracy)
SparseCategoricalAccuracy = _mean_metric(
    "SparseCategoricalAccuracy", "sparse_categorical_accuracy", sparse_categorical_accuracy)
TopKCategoricalAccuracy = _mean_metric(
    "TopKCategoricalAccuracy", "top_k_categorical_accuracy", top_k_categorical_accuracy, k=5)
SparseTopKCategoricalAccuracy = _mean_metric(
    "SparseTopKCategoricalAccuracy", "sparse_top_k_categorical_accuracy", sparse_top_k_categorical_accuracy, k=5)
MeanSquaredError = _mean_metric("MeanSquaredError", "mean_squared_error", losses.mean_squared_error, ("mse",))
MeanAbsoluteError = _mean_metric("MeanAbsoluteError", "mean_absolute_error", losses.mean_absolute_error, ("mae",))
MeanAbsolutePercentageError = _mean_metric(
    "MeanAbsolutePercentageError", "mean_absolute_percentage_error", mean_absolute_percentage_error, ("mape",))
MeanSquaredLogarithmicError = _mean_metric(
    "MeanSquaredLogarithmicError", "mean_squared_logarithmic_error", mean_squared_logarithmic_error, ("msle",))
BinaryCrossentropy = _mean_metric(
    "BinaryCrossentropy", "binary_crossentropy", losses.binary_crossentropy, ("bce",), from_logits=False,
    label_smoothing=0.0)
CategoricalCrossentropy = _mean_metric(
    "CategoricalCrossentropy", "categorical_crossentropy", losses.categorical_crossentropy, from_logits=False,
    label_smoothing=0.0)
SparseCategoricalCrossentropy = _mean_metric(
    "SparseCategoricalCrossentropy", "sparse_categorical_crossentropy", losses.sparse_categorical_crossentropy,
    from_logits=False)
Hinge = _mean_metric("Hinge", "hinge", losses.hinge)
SquaredHinge = _mean_metric("SquaredHinge", "squared_hinge", losses.squared_hinge)
Poisson = _mean_metric("Poisson", "poisson", losses.poisson)


@_registry.add("root_mean_squared_error", "rmse")
class RootMeanSquaredError(MeanMetricWrapper):
    """Root of the mean over rows and outputs of ``(y - p)^2``.

    Parameters
    ----------
    name : str, default='root_mean_squared_error'
    """

    def __init__(self, name="root_mean_squared_error"):
        super().__init__(losses.mean_squared_error, name)

    def result(self):
        return float(np.sqrt(super().result()))


class _Confusion(Metric):
    """Weights of true and false positives and negatives at some thresholds."""

    def reset_state(self):
        self.tp = self.fp = self.fn = self.tn = 0.0

    def _thresholds(self):
        return np.array([self._config["thresholds"]])

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true, y_pred = pair(y_true, y_pred)
        weights = np.repeat(_row_weights(sample_weight, len(y_pred)), y_pred.shape[1])
        thresholds = self._thresholds()
        order = np.argsort(thresholds)
        # a prediction is positive at the thresholds that are below it
        below = np.searchsorted(thresholds[order], y_pred.reshape(-1), side="left")
        positive = y_true.reshape(-1) > 0.5
        counts = [
            np.bincount(below[part], weights[part], len(thresholds) + 1) for part in (positive, ~positive)
        ]
        true, false = (count.sum() - np.cumsum(count)[:-1] for count in counts)
        tp, fp = np.empty_like(true), np.empty_like(false)
        tp[order], fp[order] = true, false
        self.tp, self.fp = self.tp + tp, self.fp + fp
        self.fn, self.tn = self.fn + counts[0].sum() - tp, self.tn + counts[1].sum() - fp


def _ratio(part, other):
    total = np.asarray(part + other, dtype=np.float64)
    return np.divide(part, total, out=np.zeros_like(total), where=total > 0)


@_registry.add("precision")
class Precision(_Confusion):
    """Share of right ones among the outputs greater than the threshold.

    Parameters
    ----------
    thresholds : float, default=0.5
    name : str, default='precision'
    """

    def __init__(self, thresholds=0.5, name=None):
        super().__init__(name, thresholds=check_real(0.5 if thresholds is None else thresholds, "thresholds"))

    def result(self):
        return float(np.max(_ratio(self.tp, self.fp)))


@_registry.add("recall")
class Recall(_Confusion):
    """Share of the positive targets whose outputs are greater than the threshold.

    Parameters
    ----------
    thresholds : float, default=0.5
    name : str, default='recall'
    """

    def __init__(self, thresholds=0.5, name=None):
        super().__init__(name, thresholds=check_real(0.5 if thresholds is None else thresholds, "thresholds"))

    def result(self):
        return float(np.max(_ratio(self.tp, self.fn)))


@_registry.add("auc")
class AUC(_Confusion):
    """Area under the ROC curve, by trapezoids between evenly spaced thresholds.

    Parameters
    ----------
    num_thresholds : int, default=200
        At least 2.
    name : str, default='auc'
    """

    def __init__(self, num_thresholds=200, name=None):
        super().__init__(name, num_thresholds=check_integer(num_thresholds, "num_thresholds", low=2))

    def _thresholds(self):
        n = self._config["num_thresholds"]
        inner = [(i + 1) / (n - 1) for i in range(n - 2)]
        return np.array([-losses.EPSILON, *inner, 1 + losses.EPSILON])

    def result(self):
        if np.ndim(self.tp) == 0:
            return 0.0
        hit, alarm = _ratio(self.tp, self.fn), _ratio(self.fp, self.tn)
        return float(((alarm[:-1] - alarm[1:]) * (hit[:-1] + hit[1:]) / 2).sum())


@_registry.add("f1_score")
class F1Score(Metric):
    """Mean over outputs of ``2 tp / (2 tp + fp + fn)``; the greatest output of a row is the predicted one.

    Parameters
    ----------
    threshold : float, default=None
        Outputs greater than it are predicted, in place of the greatest.
    name : str, default='f1_score'
    """

    name = "f1_score"

    def __init__(self, threshold=None, name=None):
        super().__init__(name, threshold=threshold)

    def reset_state(self):
        self.both = self.either = 0.0

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true, y_pred = pair(y_true, y_pred)
        weights = _row_weights(sample_weight, len(y_pred))[:, None]
        threshold = self._config["threshold"]
        if threshold is None:
            predicted = (y_pred == y_pred.max(axis=1, keepdims=True)) & (np.abs(y_pred) > 1e-9)
        else:
            predicted = y_pred > threshold
        self.both = self.both + (weights * (predicted * y_true)).sum(axis=0)
        self.either = self.either + (weights * (predicted + y_true)).sum(axis=0)

    def result(self):
        return float(np.mean(2 * self.both / (self.either + losses.EPSILON)))


@_registry.add("r2_score")
class R2Score(Metric):
    """Mean over outputs of one minus the squared errors over the squared deviations from the mean.

    Parameters
    ----------
    name : str, default='r2_score'
    """

    name = "r2_score"

    def reset_state(self):
        self.weight = 0.0
        self.sums = np.zeros(3)

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true, y_pred = (a.astype(np.float64) for a in pair(y_true, y_pred))
        weights = _row_weights(sample_weight, len(y_pred))[:, None]
        terms = y_true, np.square(y_true), np.square(y_true - y_pred)
        self.weight += float(weights.sum())
        if self.sums.ndim == 1:
            self.sums = np.zeros((3, y_pred.shape[1]))
        self.sums += np.array([(weights * term).sum(axis=0) for term in terms])

    def result(self):
        if not self.weight:
            return 0.0
        total, squares, errors = self.sums
        spread = squares - total * total / self.weight
        return float(np.mean(1 - np.divide(errors, spread, out=np.zeros_like(errors), where=spread > 0)))


def get(identifier, one_code=False, n_outputs=1):
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
    if isinstance(identifier, str):
        if identifier.lower() in ("accuracy", "acc"):
            kind = BinaryAccuracy if n_outputs == 1 else SparseCategoricalAccuracy if one_code else CategoricalAccuracy
            return kind(name=identifier)
        metric = _registry.get(identifier)
        metric.name = identifier
        return metric
    if isinstance(identifier, losses.Loss):
        return MeanMetricWrapper(identifier.rows, identifier.name)
    if callable(identifier) and not isinstance(identifier, (Metric, type)):
        return MeanMetricWrapper(identifier)
    return _registry.get(identifier)
