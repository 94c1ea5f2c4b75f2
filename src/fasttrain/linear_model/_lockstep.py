"""Several per-sample descents over one reading of the rows: for a list of estimators, and for a batch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from fasttrain._core.checks import row_weights
from fasttrain._core.types import ArrayLike, MatrixLike
from fasttrain.linear_model import _descents
from fasttrain.linear_model._sgd_base import SHARED, StochasticLinear, subset
from fasttrain.linear_model._sgd_classifier import SGDClassifier, classifier_problems, fit_classifiers, n_classifiers
from fasttrain.linear_model._sgd_regressor import SGDRegressor, fit_regressors, n_regressors, regressor_problem


def fit_lockstep(estimators: Sequence[SGDClassifier] | Sequence[SGDRegressor], X: MatrixLike, y: ArrayLike,
                 rows: ArrayLike | None = None, sample_weight: ArrayLike | float | None = None) -> list[Any]:
    """Fit many estimators over one reading of the rows; each ends as its ``fit`` on ``X[rows]`` would end it.

    Parameters
    ----------
    estimators : list of SGDClassifier or list of SGDRegressor
        Fitted in place. All of one class, with the same ``loss``, ``fit_intercept``, ``shuffle``,
        ``random_state``, ``early_stopping``, ``validation_fraction``, and either all or none of the same
        passive-aggressive schedule; anything else may differ.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    y : array-like of shape (n_samples,) or, for regressors, (n_samples, n_outputs)
    rows : array-like of int of shape (n_rows,), default=None
        Row numbers to train on, in this order. X is not copied for them.
    sample_weight : array-like of shape (n_samples,) or float, default=None

    Returns
    -------
    list
        ``estimators``.

    Raises
    ------
    ValueError
        When the estimators cannot walk together, or any of them meets what would stop its own fit.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from fasttrain.linear_model import SGDClassifier, fit_lockstep
    >>> X, y = make_classification(random_state=0)
    >>> models = [SGDClassifier(alpha=alpha, random_state=0) for alpha in (1e-4, 1e-3, 1e-2)]
    >>> [model.coef_.shape for model in fit_lockstep(models, X, y)]
    [(1, 20), (1, 20), (1, 20)]
    """
    estimators = list(estimators)
    if not estimators:
        return estimators
    lead = estimators[0]
    for estimator in estimators:
        if type(estimator) is not type(lead):
            raise TypeError(
                f"estimators must be of one class, got {type(lead).__name__} and {type(estimator).__name__}"
            )
        estimator._check_parameters()
        for name in SHARED:
            if getattr(estimator, name) is not getattr(lead, name) and getattr(estimator, name) != getattr(
                lead, name
            ):
                raise ValueError(
                    f"estimators that are fitted in lockstep must have the same {name}, got "
                    f"{getattr(lead, name)!r} and "
                    f"{getattr(estimator, name)!r}"
                )
    schedules = {e.learning_rate for e in estimators}
    if len(schedules) > 1 and schedules & {"pa1", "pa2"}:
        raise ValueError(
            f"a passive-aggressive learning_rate cannot be mixed with others, got {sorted(schedules)}"
        )
    if not isinstance(lead.random_state, Integral) and lead.shuffle and len(estimators) > 1:
        raise ValueError(f"random_state must be an int for fits in lockstep, got {lead.random_state!r}")
    regression = isinstance(lead, SGDRegressor)
    X, y = lead.check_rows(
        X, y, reset=True, **({"multi_output": True, "y_numeric": True} if regression else {})
    )
    if rows is not None:
        rows = np.asarray(rows)
        if rows.ndim != 1 or rows.dtype.kind not in "iu" or not len(rows):
            raise ValueError(f"rows must be row numbers in one axis, got shape {rows.shape} of {rows.dtype}")
        if rows.min() < 0 or rows.max() >= X.shape[0]:
            raise ValueError(f"rows must be in [0, {X.shape[0]}), got {rows.min()} to {rows.max()}")
        rows = np.ascontiguousarray(rows, dtype=np.int32)
    weight = row_weights(sample_weight, X.shape[0], X.dtype, all_zero_accepted=lead.early_stopping)
    for estimator in estimators[1:]:
        estimator.n_features_in_ = lead.n_features_in_
        if hasattr(lead, "feature_names_in_"):
            estimator.feature_names_in_ = lead.feature_names_in_
    if regression:
        y = lead._check_targets(y, X.dtype)
        fit_regressors(estimators, X, y, weight, None, lead._fresh(n_regressors(y), X), 1.0, rows=rows)
    else:
        check_classification_targets(y)
        y_rows = subset(y, rows)
        classes = np.unique(y_rows)
        codes = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
        start = lead._fresh(n_classifiers(classes), X)
        fit_classifiers(estimators, X, y_rows, classes, codes, weight, None, start, 1.0, rows=rows)
    for estimator in estimators:
        estimator.warn_at_end(estimator.n_iter_)
    return estimators


class LockstepTargets(NamedTuple):
    """A checked y; of a classifier also its classes and each row's number among them."""

    y: Any
    classes: Any = None
    codes: Any = None


class LockstepData:
    """X and y as the kernel takes them, checked once for all folds of a batch whose fits walk together.

    Parameters
    ----------
    model : SGDClassifier or SGDRegressor
        Any of those to be fitted.
    X, y, sample_weight : array-likes
        The weights of rows, or None.
    targets : LockstepTargets, default=None
        Those of other data with this y for models of this class, where there were such.
    """

    def __init__(self, model, X, y, sample_weight, targets=None):
        self.lead = clone(model)
        self.sample_weight = sample_weight
        self.classifier = isinstance(model, SGDClassifier)
        y = y if targets is None else targets.y
        if self.classifier:
            if targets is None:
                y = column_or_1d(y, warn=True)
                check_classification_targets(y)
            self.X, y = self.lead.check_rows(X, y, reset=True)
            if targets is None:
                targets = LockstepTargets(y, *np.unique(y, return_inverse=True))
            self.n_problems = 1 if len(targets.classes) == 2 else len(targets.classes)
        else:
            self.X, y = self.lead.check_rows(X, y, reset=True, multi_output=True, y_numeric=True)
            targets = LockstepTargets(y)
            self.n_problems = 1
        self.targets = targets
        self.y, self.classes, self.codes = targets
        self.rows = _descents.rows_of(self.X)
        self.plans = {}

    @staticmethod
    def is_able(job):
        """Whether a job's fit can be one of several."""
        if job.model.verbose:
            return False
        try:
            job.spec("parameters", StochasticLinear._check_parameters)
        except (ValueError, TypeError):
            return False
        return True

    @staticmethod
    def walk_of(model):
        """What models that walk together have in common."""
        shared = [repr(getattr(model, name)) for name in SHARED]
        return *shared, model.learning_rate if model.learning_rate in ("pa1", "pa2") else ""

    @staticmethod
    def draws_alone(model):
        """Whether a model's row order is drawn for it alone."""
        return not isinstance(model.random_state, Integral) and (model.shuffle or model.early_stopping)

    @staticmethod
    def _is_same_on_every_fold(models):
        """Whether nothing but the rows of their problems differs from fold to fold."""
        lead = models[0]
        return isinstance(lead.random_state, Integral) and not lead.early_stopping and not any(
            getattr(model, "class_weight", None) == "balanced" for model in models)

    @staticmethod
    def train(problems, n_threads):
        """For each problem its trained models, or the error of each."""
        return _descents.train(problems, n_threads, collect_errors=True)

    def problems(self, group, rows):
        """(problems, plan) of jobs whose models share a row order."""
        models = [job.model for job in group]
        self._check_weights(models[0], rows)
        present = self.classifier and np.bincount(self.codes[rows], minlength=len(self.classes)) > 0
        missing = None if present is False or present.all() else present
        if not self._is_same_on_every_fold(models):
            return self._planned(models, rows, missing)
        key = *(id(job.specs) for job in group), None if missing is None else missing.tobytes()
        if key not in self.plans:
            self.plans[key] = self._planned(models, rows, missing)
            return self.plans[key]
        problems, plan = self.plans[key]
        return [problem.on(rows) for problem in problems], plan

    def _check_weights(self, lead, rows):
        """What is wrong with the fold's own weights is the fold's own error."""
        if self.sample_weight is not None:
            row_weights(self.sample_weight[rows], len(rows), self.X.dtype,
                        all_zero_accepted=self.classifier and lead.early_stopping)

    @cached_property
    def weights(self):
        given = self.sample_weight
        return None if given is None else np.ascontiguousarray(given, dtype=self.X.dtype)

    def _planned(self, models, rows, present):
        lead, where = models[0], {"rows": rows, "X_rows": self.rows}
        if not self.classifier:
            y = lead._check_targets(self.y, self.X.dtype)
            start = lead._fresh(n_regressors(y), self.X)
            return [regressor_problem(models, self.X, y, self.weights, None, start, 1.0, **where)], LockstepPlan(self)
        classes, codes = self.classes, self.codes
        if present is not None:
            classes = classes[present]
            codes = np.minimum(np.cumsum(present) - 1, len(classes) - 1).clip(0)[codes]
        start = lead._fresh(n_classifiers(classes), self.X)
        problems = classifier_problems(
            models, self.X, self.y[rows], classes, codes, self.weights, None, start, 1.0, **where)
        return problems, LockstepPlan(self, classes)


@dataclass(eq=False)
class LockstepPlan:
    """How trained models become estimators' attributes; ``classes`` are those of a classifier's rows."""

    data: LockstepData
    classes: np.ndarray | None = None

    def adopt(self, estimator, models, n_rows):
        lead = self.data.lead
        estimator.n_features_in_ = lead.n_features_in_
        if hasattr(lead, "feature_names_in_"):
            estimator.feature_names_in_ = lead.feature_names_in_
        if self.classes is None:
            estimator._adopt(models, None, 1.0, n_rows)
        else:
            start = estimator._fresh(n_classifiers(self.classes), self.data.X)
            estimator._adopt(models, start, 1.0, n_rows, {"classes_": self.classes})

    def warn(self, estimator, models):
        """What an estimator's own fit would warn of."""
        estimator.warn_at_end(max(model.n_iter for model in models))

    @staticmethod
    def is_linear(estimator):
        """Whether predictions are products with the weights that were trained last."""
        return not estimator.average and estimator.loss != "poisson"
