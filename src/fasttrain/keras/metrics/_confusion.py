"""Metrics of true and false positives and negatives at thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from fasttrain._core.checks import check_flag, check_integer, check_real, real_array
from fasttrain._core.types import Array
from fasttrain.keras.losses._functions import EPSILON, pair
from fasttrain.keras.metrics._base import Metric, metrics_by_name, number, row_weights


class Confusion(Metric):
    """Weights of true and false positives and negatives at some thresholds.

    Parameters
    ----------
    thresholds : array of shape (t,)
    separate : bool
        Whether each output has counts of its own, else all are counted together.
    top_k : int or None
        Only a row's so many greatest outputs may be positive.
    class_id : int or None
        Only this output is looked at.
    """

    def __init__(self, name: str, thresholds: Sequence[float], separate: bool = False, top_k: int | None = None,
                 class_id: int | None = None) -> None:
        super().__init__(None, name)
        self.thresholds_: Any = np.asarray(thresholds, dtype=np.float64)
        self.separate = separate
        self.top_k: int | None = check_integer(top_k, "top_k", low=1, optional=True)
        self.class_id: int | None = check_integer(class_id, "class_id", low=0, optional=True)
        self.reset_state()

    def reset_state(self) -> None:
        self.tp = self.fp = self.fn = self.tn = np.zeros(len(self.thresholds_))

    def update_state(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> None:
        if self.class_id is not None and np.ndim(y_pred) < 2:
            raise ValueError(f"y_pred must have shape (n, k) for class_id, got {np.shape(y_pred)}")
        y_true, y_pred = pair(y_true, y_pred)
        weights = np.repeat(row_weights(sample_weight, len(y_pred))[:, None], y_pred.shape[1], axis=1)
        if self.top_k is not None:
            # of equal outputs the first ones come in
            rank = np.argsort(np.argsort(-y_pred, axis=1, kind="stable"), axis=1, kind="stable")
            y_pred = np.where(rank < self.top_k, y_pred, -1e10)
        if self.class_id is not None:
            if self.class_id >= y_pred.shape[1]:
                raise ValueError(f"class_id must be below the number of outputs {y_pred.shape[1]}, got {self.class_id}")
            column = slice(self.class_id, self.class_id + 1)
            y_true, y_pred, weights = y_true[:, column], y_pred[:, column], weights[:, column]
        weights = self._weighted(weights)
        if self.separate:
            parts = [self._counts(y_true[:, c], y_pred[:, c], weights[:, c]) for c in range(y_pred.shape[1])]
            counts = [np.stack(kind, axis=1) for kind in zip(*parts)]
            if self.tp.ndim == 1:
                self.tp = self.fp = self.fn = self.tn = np.zeros(counts[0].shape)
        else:
            counts = self._counts(y_true.reshape(-1), y_pred.reshape(-1), weights.reshape(-1))
        self.tp, self.fp, self.fn, self.tn = (
            old + new for old, new in zip((self.tp, self.fp, self.fn, self.tn), counts))

    def _weighted(self, weights):
        return weights

    def _counts(self, y_true, y_pred, weights):
        """Weights of true and false positives and negatives at every threshold."""
        thresholds = self.thresholds_.astype(y_pred.dtype)
        order = np.argsort(thresholds)
        # a prediction is positive at the thresholds that are below it
        below = np.searchsorted(thresholds[order], y_pred, side="left")
        positive = y_true != 0
        counts = [np.bincount(below[part], weights[part], len(thresholds) + 1) for part in (positive, ~positive)]
        true, false = (count.sum() - np.cumsum(count)[:-1] for count in counts)
        tp, fp = np.empty_like(true), np.empty_like(false)
        tp[order], fp[order] = true, false
        return tp, fp, counts[0].sum() - tp, counts[1].sum() - fp


def ratio(part, other):
    """``part / (part + other)``, 0 of nothing."""
    total = np.asarray(part + other, dtype=np.float64)
    return np.divide(part, total, out=np.zeros_like(total), where=total > 0)


def _checked_thresholds(thresholds, default=0.5):
    """One number or several, from 0 to 1, as a list."""
    if thresholds is None:
        return [default]
    several = thresholds if isinstance(thresholds, (list, tuple, np.ndarray)) else [thresholds]
    return [check_real(one, "thresholds", low=0, high=1) for one in several]


class _AtThresholds(Confusion):
    """What is one number at one threshold, and an array at several."""

    def __init__(self, thresholds: float | Sequence[float] | None = None, name: str | None = None,
                 dtype: Any = None) -> None:
        super().__init__(name, _checked_thresholds(thresholds))
        self._config = {"thresholds": thresholds}

    def result(self) -> Any:
        found = self._found()
        return float(found[0]) if len(found) == 1 else found


def _count(class_name, name, attribute, what):
    members = {
        "_found": lambda self: getattr(self, attribute), "name": name, "__module__": __name__,
        "__doc__": f"""Weight of the {what}.

    Parameters
    ----------
    thresholds : float or list of float, default=0.5
        From 0 to 1; a prediction is positive when it is greater. Several give as many numbers.
    name : str, default={name!r}
    """}
    return metrics_by_name.add(name)(type(class_name, (_AtThresholds,), members))


TruePositives: type[_AtThresholds] = _count(
    "TruePositives", "true_positives", "tp", "positive targets with positive predictions")
TrueNegatives: type[_AtThresholds] = _count(
    "TrueNegatives", "true_negatives", "tn", "negative targets with negative predictions")
FalsePositives: type[_AtThresholds] = _count(
    "FalsePositives", "false_positives", "fp", "negative targets with positive predictions")
FalseNegatives: type[_AtThresholds] = _count(
    "FalseNegatives", "false_negatives", "fn", "positive targets with negative predictions")


class _Ratio(_AtThresholds):
    def __init__(self, thresholds: float | Sequence[float] | None = None, top_k: int | None = None,
                 class_id: int | None = None, name: str | None = None, dtype: Any = None) -> None:
        # with top_k and no threshold all of a row's greatest are positive
        found = _checked_thresholds(thresholds) if top_k is None or thresholds is not None else [-1e10]
        Confusion.__init__(
            self, name, found, top_k=top_k, class_id=class_id)
        self._config = {"thresholds": thresholds, "top_k": top_k, "class_id": class_id}


@metrics_by_name.add("precision")
class Precision(_Ratio):
    """Share of right ones among the outputs greater than the threshold.

    Parameters
    ----------
    thresholds : float or list of float, default=None
        From 0 to 1; None is 0.5, or with ``top_k`` none. Several give as many numbers.
    top_k : int, default=None
        Only a row's so many greatest outputs count as positive.
    class_id : int, default=None
        Only this output is looked at.
    name : str, default='precision'
    """

    def _found(self):
        return ratio(self.tp, self.fp)


@metrics_by_name.add("recall")
class Recall(_Ratio):
    """Share of the positive targets whose outputs are greater than the threshold.

    Parameters
    ----------
    thresholds, top_k, class_id
        As for :class:`Precision`.
    name : str, default='recall'
    """

    def _found(self):
        return ratio(self.tp, self.fn)


def _spaced(n):
    """So many thresholds from just below 0 to just above 1."""
    n = check_integer(n, "num_thresholds", low=2)
    return [-EPSILON, *((i + 1) / (n - 1) for i in range(n - 2)), 1 + EPSILON]


def _constrained(class_name, name, argument, given, wanted, what):
    """A metric that is the best of one ratio where another is at least a number."""
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        names = (argument, "num_thresholds", "class_id", "name", "dtype")
        values = {"num_thresholds": 200, "class_id": None, "name": None, **dict(zip(names, args)), **kwargs}
        unknown = set(values) - set(names)
        if unknown or argument not in values:
            raise TypeError(f"{class_name} takes {', '.join(names)}, got {', '.join(map(repr, kwargs)) or 'nothing'}")
        self.value = check_real(values[argument], argument, low=0, high=1)
        n = check_integer(values["num_thresholds"], "num_thresholds", low=1)
        Confusion.__init__(
            self, values["name"], [0.5] if n == 1 else [i / (n - 1) for i in range(n)], class_id=values["class_id"])
        self._config = {argument: self.value, "num_thresholds": n, "class_id": values["class_id"]}

    def result(self) -> Any:
        """The metric of the rows taken in since the last reset, a float."""
        feasible = given(self) >= self.value
        return float(np.where(feasible, wanted(self), 0.0).max(initial=0.0))

    members = {
        "__init__": __init__, "result": result, "name": name, "__module__": __name__,
        "__doc__": f"""The greatest {what}, over evenly spaced thresholds.

    Parameters
    ----------
    {argument} : float
        From 0 to 1.
    num_thresholds : int, default=200
    class_id : int, default=None
        Only this output is looked at.
    name : str, default={name!r}
    """}
    return metrics_by_name.add(name)(type(class_name, (Confusion,), members))


def _sensitivity(metric):
    return ratio(metric.tp, metric.fn)


def _specificity(metric):
    return ratio(metric.tn, metric.fp)


def _precision(metric):
    return ratio(metric.tp, metric.fp)


SensitivityAtSpecificity: type[Confusion] = _constrained(
    "SensitivityAtSpecificity", "sensitivity_at_specificity", "specificity", _specificity, _sensitivity,
    "sensitivity where the specificity is at least a number")
SpecificityAtSensitivity: type[Confusion] = _constrained(
    "SpecificityAtSensitivity", "specificity_at_sensitivity", "sensitivity", _sensitivity, _specificity,
    "specificity where the sensitivity is at least a number")
PrecisionAtRecall: type[Confusion] = _constrained(
    "PrecisionAtRecall", "precision_at_recall", "recall", _sensitivity, _precision,
    "precision where the recall is at least a number")
RecallAtPrecision: type[Confusion] = _constrained(
    "RecallAtPrecision", "recall_at_precision", "precision", _precision, _sensitivity,
    "recall where the precision is at least a number")


@metrics_by_name.add("auc")
class AUC(Confusion):
    """Area under the curve of a classifier over thresholds.

    Parameters
    ----------
    num_thresholds : int, default=200
        At least 2, evenly spaced.
    curve : {'ROC', 'PR'}, default='ROC'
        Hits over false alarms, or precision over recall.
    summation_method : {'interpolation', 'minoring', 'majoring'}, default='interpolation'
        Trapezoids (of precision and recall the interpolation of Davis and Goadrich 2006), or the lesser or greater side
        of each.
    name : str, default='auc'
    thresholds : list of float, default=None
        In place of ``num_thresholds``; those of 0 and 1 are added.
    multi_label : bool, default=False
        The mean of the outputs' own areas, in place of the area of all counted together.
    num_labels : int, default=None
        With ``multi_label``: outputs there must be.
    label_weights : list of float, default=None
        Of the outputs.
    from_logits : bool, default=False
        Take predictions through the logistic function first.
    """

    def __init__(self, num_thresholds: int = 200, curve: Literal["ROC", "PR"] = "ROC",
                 summation_method: Literal["interpolation", "minoring", "majoring"] = "interpolation",
                 name: str | None = None, dtype: Any = None, thresholds: Sequence[float] | None = None,
                 multi_label: bool = False, num_labels: int | None = None, label_weights: Sequence[float] | None = None,
                 from_logits: bool = False) -> None:
        curve, method = str(curve).lower(), str(summation_method).lower()
        for value, argument, accepted in (
            (curve, "curve", ("roc", "pr")),
            (method, "summation_method", ("interpolation", "minoring", "majoring")),
        ):
            if value not in accepted:
                raise ValueError(f"{argument} must be one of {', '.join(map(repr, accepted))}, got {value!r}")
        check_flag(multi_label, "multi_label")
        check_flag(from_logits, "from_logits")
        if num_labels is not None and not multi_label:
            raise ValueError(f"num_labels must be None without multi_label, got {num_labels!r}")
        self.num_labels: int | None = check_integer(num_labels, "num_labels", low=1, optional=True)
        if label_weights is not None:
            label_weights = real_array(label_weights, "label_weights").reshape(-1).tolist()
        if thresholds is None:
            found = _spaced(num_thresholds)
        else:
            found = [-EPSILON, *sorted(_checked_thresholds(thresholds)), 1 + EPSILON]
        super().__init__(name, found, bool(multi_label))
        self._config = {
            "num_thresholds": len(found), "curve": curve.upper(), "summation_method": method,
            "thresholds": None if thresholds is None else found[1:-1], "multi_label": bool(multi_label),
            "num_labels": num_labels, "label_weights": label_weights, "from_logits": bool(from_logits),
        }

    @property
    def thresholds(self) -> Any:
        """Those that the areas are made of."""
        return self.thresholds_.tolist()

    @property
    def num_thresholds(self) -> int:
        return len(self.thresholds_)

    def update_state(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> None:
        if self._config["multi_label"]:
            shape = np.shape(y_pred)
            if len(shape) != 2 or self.num_labels not in (None, shape[1]):
                k = "k" if self.num_labels is None else self.num_labels
                raise ValueError(f"y_pred must have shape (n, {k}) with multi_label, got {shape}")
        if self._config["from_logits"]:
            y_pred = 0.5 * (1 + np.tanh(0.5 * real_array(y_pred, "y_pred")))
        super().update_state(y_true, y_pred, sample_weight)

    def _weighted(self, weights):
        factors = self._config["label_weights"]
        if factors is None or self.separate:
            return weights
        if len(factors) != weights.shape[1]:
            raise ValueError(f"label_weights must have {weights.shape[1]} numbers, got {len(factors)}")
        return weights * np.asarray(factors)

    def result(self) -> Any:
        method = self._config["summation_method"]
        if self._config["curve"] == "PR" and method == "interpolation":
            terms = self._interpolated()
        else:
            if self._config["curve"] == "ROC":
                x, y = ratio(self.fp, self.tn), ratio(self.tp, self.fn)
            else:
                x, y = ratio(self.tp, self.fn), ratio(self.tp, self.fp)
            heights = {
                "interpolation": (y[:-1] + y[1:]) / 2, "minoring": np.minimum(y[:-1], y[1:]),
                "majoring": np.maximum(y[:-1], y[1:]),
            }[method]
            terms = (x[:-1] - x[1:]) * heights
        areas = terms.sum(axis=0)
        factors = self._config["label_weights"]
        if self.separate and areas.ndim and factors is not None:
            total = float(np.sum(factors))
            return float(areas @ np.asarray(factors) / total) if total else 0.0
        return float(np.mean(areas))

    def _interpolated(self):
        """Areas between thresholds of precision over recall, true positives linear in the positives between two."""
        tp, positives = self.tp, np.maximum(self.tp + self.fp, 0)
        gained, more = tp[:-1] - tp[1:], positives[:-1] - positives[1:]
        slope = np.divide(gained, more, out=np.zeros_like(gained), where=more > 0)
        intercept = tp[1:] - slope * positives[1:]
        both = (positives[:-1] > 0) & (positives[1:] > 0)
        step = np.divide(positives[:-1], positives[1:], out=np.ones_like(gained), where=both)
        area = slope * (gained + intercept * np.log(step))
        total = np.maximum(self.tp[1:] + self.fn[1:], 0)
        return np.divide(area, total, out=np.zeros_like(area), where=total > 0)


@metrics_by_name.add("fbeta_score")
class FBetaScore(Metric):
    """``(1 + beta^2) precision recall / (beta^2 precision + recall)`` of each output.

    Parameters
    ----------
    average : {None, 'micro', 'macro', 'weighted'}, default=None
        None gives an array with one number an output; 'micro' counts all outputs together, 'macro' is their mean,
        'weighted' their mean by the number of their targets.
    beta : float, default=1.0
        Greater than 0.
    threshold : float, default=None
        Outputs greater than it are predicted, in place of the row's greatest.
    name : str, default='fbeta_score'
    """

    def __init__(self, average: Literal["micro", "macro", "weighted"] | None = None, beta: float = 1.0,
                 threshold: float | None = None, name: str = "fbeta_score", dtype: Any = None) -> None:
        if average not in (None, "micro", "macro", "weighted"):
            raise ValueError(f"average must be None, 'micro', 'macro' or 'weighted', got {average!r}")
        self.beta: float | None = check_real(beta, "beta", low=0, open_low=True)
        threshold = check_real(threshold, "threshold", low=0, high=1, open_low=True, optional=True)
        super().__init__(None, name, average=average, beta=self.beta, threshold=threshold)
        self.reset_state()

    def reset_state(self) -> None:
        self.tp = self.fp = self.fn = self.support = 0.0

    def update_state(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> None:
        if np.ndim(y_true) != 2 or np.ndim(y_pred) != 2:
            raise ValueError(
                f"y_true and y_pred must have shape (n, k), got {np.shape(y_true)} and {np.shape(y_pred)}")
        y_true, y_pred = pair(y_true, y_pred)
        weights = row_weights(sample_weight, len(y_pred))[:, None]
        threshold = self._config["threshold"]
        if threshold is None:
            # a row of zeros predicts nothing
            predicted = (y_pred == y_pred.max(axis=1, keepdims=True)) & (np.abs(y_pred) > 1e-9)
        else:
            predicted = y_pred > threshold
        axis = None if self._config["average"] == "micro" else 0
        self.tp: Any = self.tp + (weights * predicted * y_true).sum(axis=axis)
        self.fp: Any = self.fp + (weights * predicted * (1 - y_true)).sum(axis=axis)
        self.fn: Any = self.fn + (weights * ~predicted * y_true).sum(axis=axis)
        self.support: Any = self.support + (weights * y_true).sum(axis=axis)

    def result(self) -> Any:
        precision = self.tp / (self.tp + self.fp + EPSILON)
        recall = self.tp / (self.tp + self.fn + EPSILON)
        squared = self.beta**2
        score = (1 + squared) * precision * recall / (squared * precision + recall + EPSILON)
        average = self._config["average"]
        if average == "weighted":
            score = (score * (self.support / (np.sum(self.support) + EPSILON))).sum()
        elif average is not None:
            score = np.mean(score)
        return number(score)


@metrics_by_name.add("f1_score")
class F1Score(FBetaScore):
    """``2 precision recall / (precision + recall)`` of each output.

    Parameters
    ----------
    average : {None, 'micro', 'macro', 'weighted'}, default=None
        As for :class:`FBetaScore`: None gives an array with one number an output.
    threshold : float, default=None
        Outputs greater than it are predicted, in place of the row's greatest.
    name : str, default='f1_score'

    Examples
    --------
    >>> from fasttrain.keras.metrics import F1Score
    >>> y, p = [[1, 1, 1], [1, 0, 0], [1, 1, 0]], [[0.2, 0.6, 0.7], [0.2, 0.6, 0.6], [0.6, 0.8, 0.0]]
    >>> F1Score(threshold=0.5)(y, p).round(2)
    array([0.5 , 0.8 , 0.67])
    """

    def __init__(self, average: Literal["micro", "macro", "weighted"] | None = None, threshold: float | None = None,
                 name: str = "f1_score", dtype: Any = None) -> None:
        super().__init__(average, 1.0, threshold, name)
        del self._config["beta"]


@metrics_by_name.add("r2_score")
class R2Score(Metric):
    """One minus the squared errors over the squared deviations from the mean.

    Parameters
    ----------
    class_aggregation : {'uniform_average', 'variance_weighted_average', None}, default='uniform_average'
        Of several outputs: their mean, their mean by their deviations, or an array of all.
    num_regressors : int, default=0
        With more than 0, adjusted for so many features.
    name : str, default='r2_score'
    """

    def __init__(self,
                 class_aggregation: Literal["uniform_average", "variance_weighted_average"] | None = "uniform_average",
                 num_regressors: int = 0, name: str = "r2_score", dtype: Any = None) -> None:
        if class_aggregation not in ("uniform_average", "variance_weighted_average", None):
            raise ValueError(
                "class_aggregation must be 'uniform_average', 'variance_weighted_average' or None, got "
                f"{class_aggregation!r}")
        num_regressors = check_integer(num_regressors, "num_regressors", low=0)
        super().__init__(None, name, class_aggregation=class_aggregation, num_regressors=num_regressors)
        self.reset_state()

    def reset_state(self) -> None:
        self.weight, self.elements = 0.0, 0
        self.sums: Any = np.zeros(3)

    def update_state(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> None:
        y_true, y_pred = (a.astype(np.float64) for a in pair(y_true, y_pred))
        weights = row_weights(sample_weight, len(y_pred))[:, None]
        terms = y_true, np.square(y_true), np.square(y_true - y_pred)
        self.weight += float(weights.sum())
        self.elements += y_true.size
        if self.sums.ndim == 1:
            self.sums = np.zeros((3, y_pred.shape[1]))
        self.sums += np.array([(weights * term).sum(axis=0) for term in terms])

    def result(self) -> Any:
        if not self.weight:
            return 0.0
        total, squares, errors = self.sums
        spread = squares - total * total / self.weight
        scores = 1 - np.divide(errors, spread, out=np.ones_like(errors), where=spread > 0)
        aggregation = self._config["class_aggregation"]
        if aggregation == "uniform_average":
            scores = np.mean(scores)
        elif aggregation == "variance_weighted_average":
            scores = (spread * scores).sum() / spread.sum()
        p, n = self._config["num_regressors"], self.elements
        if p and p < n - 1:
            scores = 1 - (1 - scores) * (n - 1) / (n - p - 1)
        return number(scores)
