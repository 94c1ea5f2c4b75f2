"""Least squares on many folds from one reading of X: what a batch gives, and what it takes from it."""

import numpy as np
from scipy import linalg
from sklearn.base import clone, is_classifier
from sklearn.utils import assert_all_finite

from fasttrain._core.blas import serial_blas
from fasttrain.linear_model._least_squares import checked_data, checked_weights, set_solution, signs_of
from fasttrain.linear_model._linear_regression import LinearRegression, solution_of
from fasttrain.linear_model._ridge import RidgeModel
from fasttrain.linear_model._solvers import by_cholesky
from fasttrain.linear_model._sums import FoldSums, targets_of

# What all sums of all folds may take together.
MOST_BYTES = 1 << 28
# What a fit notes of its features.
_NOTED = ("n_features_in_", "feature_names_in_")


class SumsData:
    """X and y, checked once for all folds, and the sums of each fold's rows.

    Parameters
    ----------
    model : LinearRegression, Ridge or RidgeClassifier
        Any of those to be fitted.
    X, y : array-likes
    weights : array of shape (n_samples,) or None
    folds : list of (train, test)
        Row numbers.

    Raises
    ------
    ValueError, TypeError
        Where the data are wrong, or not what sums are taken of: each fit has to see for itself.
    """

    # Whether what a fold's fits come to hangs on that fold alone.
    by_fold = False

    def __init__(self, model, X, y, weights, folds):
        self.lead, self.folds = clone(model), folds
        self.classifier = is_classifier(model)
        X, self.y = checked_data(self.lead, X, y, y_numeric=not self.classifier)
        if not isinstance(X, np.ndarray):
            raise TypeError("sums of folds are of a dense X")
        assert_all_finite(X)
        if len(folds) * (X.shape[1] + 1) ** 2 > MOST_BYTES // 32:
            raise ValueError("there are more sums than the folds are worth")
        weights = checked_weights(weights, X)
        values = self.y
        if self.classifier:
            if values.ndim != 1:
                raise ValueError("sums of folds are of one label")
            self.classes, self.codes = np.unique(values, return_inverse=True)
            values = signs_of(self.codes, len(self.classes))
        self.X, self.weights, self.one_axis = X, weights, values.ndim == 1
        targets, y_mean = targets_of(values, X.dtype, weights, model.fit_intercept)
        self.sums = FoldSums(X, targets, y_mean, weights, folds, model.fit_intercept)
        self._latest = None, None

    @staticmethod
    def is_able(job):
        """Whether a job's fit can come from sums."""
        model = job.model
        if getattr(model, "class_weight", None) is not None or model.positive is not False:
            return False
        if isinstance(model, LinearRegression):
            return True
        try:
            return job.spec("solver", lambda model: RidgeModel._checked_parameters(model, False)) == "cholesky"
        except (ValueError, TypeError):
            return False

    @staticmethod
    def data_of(model):
        """What models over the same sums have in common."""
        return type(model), bool(model.fit_intercept)

    def is_able_on(self, fold):
        """Whether the sums of a fold's rows say all that its fits need."""
        train = self.folds[fold][0]
        if len(train) < self.X.shape[1] or (self.weights is not None and not self.weights[train].any()):
            return False
        if self.classifier:
            return bool((np.bincount(self.codes[train], minlength=len(self.classes)) > 0).all())
        return True

    def prepare(self, fits):
        """What is done for all ``fits``, pairs of a model and a fold, before the first: nothing, sums serve any."""

    def fit(self, model, fold):
        """Make a model what its own fit on a fold's rows would make it; False where that has to be asked."""
        with serial_blas():
            if self._latest[0] != fold:
                self._latest = fold, self.sums.equations(fold)
            equations = self._latest[1]
            n_targets = equations.moments.shape[1]
            if isinstance(model, LinearRegression):
                found = solution_of(equations, model.tol)
                if found is None:
                    return False
                coef, account = found
                account["singular_"] = account["singular_"].astype(self.X.dtype, copy=False)
            else:
                try:
                    coef = by_cholesky(equations.gram, equations.moments, model._alphas(n_targets))
                except (ValueError, TypeError, linalg.LinAlgError):
                    return False
                account = {"n_iter_": None, "solver_": "cholesky"}
        for name in _NOTED:
            if hasattr(self.lead, name):
                setattr(model, name, getattr(self.lead, name))
        if self.classifier:
            model.classes_, model._multilabel = self.classes, False
        flat = len(coef) == 1 and (self.one_axis or not isinstance(model, LinearRegression))
        set_solution(model, coef, equations.x_mean, equations.y_mean, self.X.dtype, account, flat=flat,
                     scalar=self.one_axis)
        return True
