"""What the estimators of least squares share: checked data, parameters, what a fit leaves, predictions."""

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, MultiOutputMixin, RegressorMixin
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import FLOAT_DTYPES, check_is_fitted, column_or_1d, validate_data

from fasttrain._core.checks import check_rows, check_weights
from fasttrain._estimators.conversion import Convertible
from fasttrain._estimators.data import dense
from fasttrain._estimators.fitted import set_fitted

_DTYPES = FLOAT_DTYPES[:2]


def checked_data(model, X, y, **options):
    """(X, y): X a dense array of any layout or CSR, not looked through for NaN, which its sums show."""
    if _is_ready(model, X, y):
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


class LeastSquares(Convertible, BaseEstimator):
    """A model whose raw predictions are ``X @ coef_.T + intercept_``."""

    def _raw_predict(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=["csr", "csc", "coo"], reset=False)
        return X @ (self.coef_ if self.coef_.ndim == 1 else self.coef_.T) + self.intercept_


class LeastSquaresRegressor(MultiOutputMixin, RegressorMixin, LeastSquares):
    def predict(self, X):
        """Predict targets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        array of shape (n_samples,) or (n_samples, n_targets)
        """
        return self._raw_predict(X)


class LeastSquaresClassifier(ClassifierMixin, LeastSquares):
    """Classes as targets -1 and 1: one for two classes, one a class for more, one a label for several labels."""

    def _targets_and_weights(self, X, y, sample_weight):
        """(-1 and 1 of shape (n_samples, n_targets), weights with those of the classes in them or None)."""
        check_classification_targets(y)
        self._label_binarizer = LabelBinarizer(pos_label=1, neg_label=-1)
        targets = self._label_binarizer.fit_transform(y)
        self.classes_ = self._label_binarizer.classes_
        if not self._is_multilabel():
            y = column_or_1d(y, warn=True)
        weights = checked_weights(sample_weight, X)
        if self.class_weight:
            by_class = compute_sample_weight(self.class_weight, y).astype(np.float64)
            weights = by_class if weights is None else weights * by_class
            if (by_class < 0).any() or not weights.any():
                raise ValueError(
                    f"class_weight must hold numbers >= 0 that leave a row of weight > 0, got {self.class_weight!r}")
        return targets, weights

    def _is_multilabel(self):
        return self._label_binarizer.y_type_.startswith("multilabel")

    def decision_function(self, X):
        """Raw predictions: above 0 for the second of two classes, the largest for one of more.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        array of shape (n_samples,) or (n_samples, n_classes)
        """
        raw = self._raw_predict(X)
        return raw.reshape(-1) if raw.ndim > 1 and raw.shape[1] == 1 else raw

    def predict(self, X):
        """Predict classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        array of shape (n_samples,), or (n_samples, n_labels) after a fit to several labels
        """
        raw = self.decision_function(X)
        if self._is_multilabel():
            return self._label_binarizer.inverse_transform(2.0 * (raw > 0) - 1.0)
        return self.classes_[(raw > 0).astype(np.intp) if raw.ndim == 1 else raw.argmax(axis=1)]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
