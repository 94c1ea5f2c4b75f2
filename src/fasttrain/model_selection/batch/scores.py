"""Scores of a batch: the usual metrics without a scorer's overhead, any other through scikit-learn's scorer."""

import numpy as np
from scipy.special import xlogy
from sklearn.base import ClassifierMixin, RegressorMixin, is_classifier, is_regressor
from sklearn.metrics import check_scoring, get_scorer_names

from fasttrain._estimators.blocks import ScoresBlocks

_QUICK_OF_CLASSES = frozenset({"accuracy", "neg_log_loss"})
_QUICK_OF_NUMBERS = frozenset({
    "r2", "neg_mean_squared_error", "neg_root_mean_squared_error", "neg_mean_absolute_error",
})


class Scoring:
    """What ``scoring`` asks for.

    Parameters
    ----------
    estimator : estimator
    scoring : None, str, callable, list, tuple, set or dict
        As scikit-learn's functions take it; what they would refuse is refused with their error.

    Attributes
    ----------
    scorers : dict
        From the key of a metric to scikit-learn's scorer; the key is None for a single one.
    quick : dict
        Those keys whose metric is computed here, and its name.
    slow : list
        The other keys.
    take_weights : bool
        Whether every metric is known to have weights of rows.
    """

    def __init__(self, estimator, scoring):
        self.single = scoring is None or isinstance(scoring, str) or callable(scoring)
        if self.single:
            named = {None: scoring}
        elif isinstance(scoring, dict):
            named = scoring
        else:
            # refuses what is not a collection of different names
            check_scoring(estimator, scoring)
            named = {name: name for name in scoring}
        self.scorers = {
            key: scorer if callable(scorer) else check_scoring(estimator, scorer) for key, scorer in named.items()
        }
        self.quick = {}
        for key, name in named.items():
            name = _metric_of(estimator) if name is None else name
            if not isinstance(name, str):
                continue
            known = _QUICK_OF_CLASSES if is_classifier(estimator) else _QUICK_OF_NUMBERS
            if name in known:
                self.quick[key] = name
        self.take_weights = len(self.quick) == len(self.scorers)

    @property
    def slow(self):
        return [key for key in self.scorers if key not in self.quick]

    @property
    def is_of_predictions(self):
        """Whether every metric is computed here, from predictions."""
        return len(self.quick) == len(self.scorers) and "neg_log_loss" not in self.quick.values()

    @staticmethod
    def accepts(scoring):
        """Whether scikit-learn would take ``scoring`` at all; if not, it is left to raise its error."""
        if scoring is None or callable(scoring):
            return True
        if isinstance(scoring, str):
            return scoring in get_scorer_names()
        if isinstance(scoring, dict):
            values = list(scoring.values())
            return bool(values) and all(isinstance(key, str) for key in scoring) and all(
                callable(value) or (isinstance(value, str) and value in get_scorer_names()) for value in values
            )
        if isinstance(scoring, (list, tuple, set)):
            names = list(scoring)
            return bool(names) and len(set(map(str, names))) == len(names) and all(
                isinstance(name, str) and name in get_scorer_names() for name in names
            )
        return False


def _metric_of(estimator):
    """The metric that an estimator's ``score`` is; None where it is a method of its own, as D^2 of a deviance is."""
    while hasattr(estimator, "steps"):
        estimator = estimator.steps[-1][1]
    owner = next((cls for cls in type(estimator).__mro__ if "score" in vars(cls)), None)
    if owner not in (ClassifierMixin, RegressorMixin, ScoresBlocks):
        return None
    return "accuracy" if is_classifier(estimator) else "r2" if is_regressor(estimator) else None


def of_prediction(name, y, prediction):
    """The score ``name`` of predictions, by scikit-learn's formula; None where it has a special case for the data."""
    if name == "accuracy":
        return float(np.mean(y == prediction))
    if y.dtype.kind != "f" or y.dtype != prediction.dtype:
        dtype = np.float64 if np.float64 in (y.dtype, prediction.dtype) or y.dtype.kind != "f" else y.dtype
        y, prediction = y.astype(dtype, copy=False), prediction.astype(dtype, copy=False)
    if not np.isfinite(prediction).all():
        return None
    if name == "r2":
        if len(y) < 2:
            return None
        error = np.sum((y - prediction) ** 2)
        spread = np.sum((y - np.average(y)) ** 2)
        return float(1 - error / spread) if spread != 0 and error != 0 else None
    if name == "neg_mean_absolute_error":
        return -float(np.average(np.abs(y - prediction)))
    mean = float(np.average((y - prediction) ** 2))
    return -mean if name == "neg_mean_squared_error" else -float(np.sqrt(mean))


def of_predictions(name, y, prediction, starts, counts):
    """:func:`of_prediction` of each of several parts, which begin at ``starts``, as a list."""
    if name == "accuracy":
        return (np.add.reduceat((y == prediction).astype(np.intp), starts) / counts).tolist()
    parts = [slice(first, first + count) for first, count in zip(starts.tolist(), counts.tolist())]
    return [of_prediction(name, y[part], prediction[part]) for part in parts]


def of_probabilities(codes, probabilities):
    """Minus the log loss; ``codes`` are the columns of the true classes. None where scikit-learn would complain."""
    if len(np.unique(codes)) != probabilities.shape[1]:
        return None
    dtype = probabilities.dtype
    sums = probabilities.sum(axis=1)
    if not np.allclose(sums, 1, rtol=np.sqrt(np.finfo(dtype).eps)):
        return None
    chosen = probabilities[np.arange(len(codes)), codes]
    eps = np.finfo(dtype).eps
    return float(np.mean(xlogy(1.0, np.clip(chosen, eps, 1 - eps))))
