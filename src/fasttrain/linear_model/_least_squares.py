"""What the estimators of least squares share: checked data, parameters, what a fit leaves, predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, MultiOutputMixin, RegressorMixin
from sklearn.utils import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import FLOAT_DTYPES, check_is_fitted, column_or_1d, validate_data

from fasttrain._core.checks import check_rows, check_weights
from fasttrain._core.types import Array, MatrixLike
from fasttrain._estimators.blocks import ScoresBlocks
from fasttrain._estimators.conversion import Convertible
from fasttrain._estimators.data import dense
from fasttrain._estimators.fitted import set_fitted
from fasttrain.data._use import predicts

_DTYPES = FLOAT_DTYPES[:2]


def checked_data(model, X, y, **options):
    """(X, y): X a dense array of any layout or CSR, not looked through for NaN, which its sums show."""
    if _is_ready(model, X, y) and len(X) >= options.get("ensure_min_samples", 1):
        model.n_features_in_ = X.shape[1]
        return X, y
    X, y = validate_data(
        model, X, y, dtype=_DTYPES, multi_output=True, ensure_all_finite=False,
        **{"accept_sparse": "csr", "y_numeric": True, **options})
    if sparse.issparse(X):
        X = check_rows(X)
    return X, dense(y)


def _is_ready(model, X, y):
    """Whether X and y are plain arrays in which scikit-learn's validate_data would find nothing but NaN in X."""
    if type(X) is not np.ndarray or type(y) is not np.ndarray or X.ndim != 2 or y.ndim not in (1, 2):
        return False
    if X.dtype not in _DTYPES or not X.flags.aligned or 0 in X.shape or y.size == 0 or len(X) != len(y):
        return False
    return not hasattr(model, "feature_names_in_") and y.dtype.kind in "iubf" and bool(np.isfinite(y).all())


def checked_weights(sample_weight, X):
    """Weights as float64, None where there are none."""
    if sample_weight is None:
        return None
    return check_weights(sample_weight, X.shape[0], X.dtype, number=True).astype(np.float64)


def roots_of(weights):
    return None if weights is None else np.sqrt(weights)


def set_solution(model, coef, x_mean, y_mean, dtype, account, *, flat, scalar):
    """Make a model a fitted one.

    Parameters
    ----------
    coef : array of shape (n_targets, n_features), float64
    account : dict
        Attributes beside ``coef_`` and ``intercept_``.
    flat, scalar : bool
        Whether ``coef_`` has shape (n_features,), and ``intercept_`` is a number; for one target.
    """
    intercept = 0.0
    if model.fit_intercept:
        intercept = (y_mean - coef @ x_mean).astype(dtype)
        intercept = intercept[0] if scalar else intercept
    coef = np.ascontiguousarray(coef[0] if flat else coef, dtype=dtype)
    set_fitted(model, {"coef_": coef, "intercept_": intercept}, account)


def signs_of(codes, n_classes):
    """-1 and 1 of shape (n_samples, 1) for up to two classes, (n_samples, n_classes) for more."""
    if n_classes <= 2:
        return np.where(codes == 1, 1.0, -1.0)[:, None]
    targets = np.full((len(codes), n_classes), -1.0)
    targets[np.arange(len(codes)), codes] = 1.0
    return targets


def classes_of(raw, classes, multilabel):
    """What raw predictions say: a class, or 0 and 1 for each label."""
    if multilabel:
        return (raw > 0).astype(int).reshape(len(raw), -1)
    if len(classes) == 1:
        # without an intercept raw predictions may be above 0, where the other class would be
        return np.repeat(classes, len(raw))
    if raw.ndim == 2 and raw.shape[1] == 1:
        raw = raw[:, 0]
    return classes[(raw > 0).astype(np.intp) if raw.ndim == 1 else raw.argmax(axis=1)]


class LeastSquares(Convertible, BaseEstimator):
    """A model whose raw predictions are ``X @ coef_.T + intercept_``."""

    @predicts
    def _raw_predict(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=["csr", "csc", "coo"], reset=False)
        return X @ (self.coef_ if self.coef_.ndim == 1 else self.coef_.T) + self.intercept_


class LeastSquaresRegressor(ScoresBlocks, MultiOutputMixin, RegressorMixin, LeastSquares):
    def predict(self, X: MatrixLike) -> Array:
        """Predict targets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        array of shape (n_samples,) or (n_samples, n_targets)
        """
        return self._raw_predict(X)


class LeastSquaresClassifier(ScoresBlocks, ClassifierMixin, LeastSquares):
    """Classes as targets -1 and 1: one for two classes, one a class for more, one a label for several labels."""

    def _targets_and_weights(self, X, y, sample_weight):
        """(-1 and 1 of shape (n_samples, n_targets), y with one axis for one target, weights with those of the classes
        in them or None); sets what a fit knows of the classes.
        """
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        self._multilabel = y.ndim == 2
        if self._multilabel:
            if type_of_target(y) != "multilabel-indicator":
                raise ValueError(f"y with several columns must hold 0 and 1, got {type_of_target(y)} targets")
            self.classes_: Any = np.arange(y.shape[1])
            targets = np.where(y != 0, 1.0, -1.0)
        else:
            if y.dtype.kind not in "iubUS":
                check_classification_targets(y)
            self.classes_, codes = np.unique(y, return_inverse=True)
            if y.dtype == object:
                # scikit-learn's labels, which words of any kind become text for
                self.classes_ = unique_labels(self.classes_)
            targets = signs_of(codes, len(self.classes_))
        weights = checked_weights(sample_weight, X)
        if self.class_weight:
            by_class = compute_sample_weight(self.class_weight, y).astype(np.float64)
            weights = by_class if weights is None else weights * by_class
            if (by_class < 0).any() or not weights.any():
                raise ValueError(
                    f"class_weight must hold numbers >= 0 that leave a row of weight > 0, got {self.class_weight!r}")
        return targets, y, weights

    @predicts
    def decision_function(self, X: MatrixLike) -> Array:
        """Raw predictions: above 0 for the second of two classes, the largest for one of more.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or a source of blocks

        Returns
        -------
        array of shape (n_samples,) or (n_samples, n_classes)
        """
        raw = self._raw_predict(X)
        return raw.reshape(-1) if raw.ndim > 1 and raw.shape[1] == 1 else raw

    @predicts
    def predict(self, X: MatrixLike) -> Array:
        """Predict classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or a source of blocks

        Returns
        -------
        array of shape (n_samples,), or (n_samples, n_labels) after a fit to several labels
        """
        raw = self.decision_function(X)
        return classes_of(raw, self.classes_, self._multilabel)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
