"""Several per-sample descents over one reading of the rows, as a function of estimators."""

from numbers import Integral

import numpy as np
from sklearn.utils.multiclass import check_classification_targets

from fasttrain._core.checks import row_weights
from fasttrain.linear_model._sgd_base import SHARED, subset
from fasttrain.linear_model._sgd_classifier import fit_classifiers
from fasttrain.linear_model._sgd_regressor import SGDRegressor, fit_regressors



def fit_lockstep(estimators, X, y, rows=None, sample_weight=None):
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
        fit_regressors(estimators, X, y, weight, None, lead._fresh(y, X, None, None), 1.0, rows=rows)
    else:
        check_classification_targets(y)
        y_rows = subset(y, rows)
        classes = np.unique(y_rows)
        codes = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
        fit_classifiers(
            estimators,
            X,
            y_rows,
            classes,
            codes,
            weight,
            None,
            lead._fresh(classes, X, None, None),
            1.0,
            rows=rows,
        )
    for estimator in estimators:
        estimator.warn_at_end()
    return estimators
