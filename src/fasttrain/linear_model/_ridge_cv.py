"""Ridge regression and classification that choose their own strength."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from scipy import sparse
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, is_classifier
from sklearn.metrics import check_scoring, get_scorer, r2_score
from sklearn.model_selection import GridSearchCV, check_cv
from sklearn.utils import Bunch, check_scalar
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing

from fasttrain._core.blas import serial_blas
from fasttrain._core.checks import check_choice, check_flag
from fasttrain._core.types import Array, ArrayLike, MatrixLike, Self, Splitter
from fasttrain._core.warned import warn
from fasttrain._estimators.blocks import restored_rows
from fasttrain._estimators.data import folds_of
from fasttrain.linear_model._least_squares import (
    LeastSquares, LeastSquaresClassifier, LeastSquaresRegressor, checked_data, checked_weights, classes_of,
    set_solution,
)
from fasttrain.linear_model._leave_one_out import LeaveOneOut
from fasttrain.linear_model._ridge import Ridge, RidgeClassifier
from fasttrain.linear_model._solvers import by_cholesky
from fasttrain.linear_model._sums import FoldSums, check_finite, targets_of

# Rows that are copied together to be predicted.
ROWS_AT_ONCE = 4096


class _PredictedNumbers(RegressorMixin, BaseEstimator):
    """Predicts what it is given, for scorers that ask an estimator."""

    def fit(self, X, y=None):
        return self

    def predict(self, X):
        return X


class _PredictedClasses(ClassifierMixin, BaseEstimator):
    """The same for raw predictions of classes."""

    def __init__(self, classes, multilabel):
        self.classes, self.multilabel = classes, multilabel

    @property
    def classes_(self):
        return self.classes

    def fit(self, X, y=None):
        return self

    def decision_function(self, X):
        return X[:, 0] if X.ndim == 2 and X.shape[1] == 1 else X

    def predict(self, X):
        return classes_of(X, self.classes, self.multilabel)


class RidgeSearch(LeastSquares):
    """What RidgeCV and RidgeClassifierCV share."""

    def _checked_alphas(self):
        include = "neither" if self.cv is None else "left"
        given = self.alphas
        if isinstance(given, (str, bytes)) or (np.ndim(given) == 0 and not isinstance(given, numbers.Real)):
            raise TypeError(f"alphas must be a number or an array of them, got {given!r}")
        alphas = [given] if np.ndim(given) == 0 else list(given)
        if not alphas:
            raise ValueError("alphas must hold at least one number, got none")
        for index, alpha in enumerate(alphas):
            name = "alphas" if len(alphas) == 1 else f"alphas[{index}]"
            check_scalar(alpha, name, numbers.Real, min_val=0.0, include_boundaries=include)
        alphas = np.array(alphas, dtype=np.float64)
        if not np.isfinite(alphas).all():
            raise ValueError(f"alphas must hold finite numbers, got {given!r}")
        return alphas

    def _checked_mode(self, X):
        """'svd' or 'eigen'."""
        mode = check_choice(getattr(self, "gcv_mode", None), "gcv_mode", ("auto", "svd", "eigen", None))
        if mode != "svd":
            return "eigen"
        if sparse.issparse(X):
            warn(
                "The 'svd' mode is not supported for sparse X, we fallback to `gcv_mode='eigen'`. Passing "
                "`gcv_mode='svd'` on sparse X will raise an error in 1.11, use the default or pass "
                "`gcv_mode='eigen'` to suppress this warning.", FutureWarning)
            return "eigen"
        return "svd"

    def _scorer(self):
        """The scorer, with weights where scikit-learn's metadata routing asks for them."""
        if _is_routed() and self.scoring is None:
            name = "accuracy" if is_classifier(self) else "r2"
            return get_scorer(name).set_score_request(sample_weight=True)
        return check_scoring(estimator=self, scoring=self.scoring, allow_none=True)

    def get_metadata_routing(self) -> Any:
        """Where scikit-learn's metadata routing sends what ``fit`` is given.

        Returns
        -------
        sklearn.utils.metadata_routing.MetadataRouter
        """
        return (
            MetadataRouter(owner=self)
            .add_self_request(self)
            .add(scorer=self._scorer(), method_mapping=MethodMapping().add(caller="fit", callee="score"))
            .add(splitter=self.cv, method_mapping=MethodMapping().add(caller="fit", callee="split"))
        )

    def _check_flags(self):
        check_flag(self.fit_intercept, "fit_intercept")
        check_flag(self.store_cv_results, "store_cv_results")
        check_flag(getattr(self, "alpha_per_target", False), "alpha_per_target")
        if self.cv is not None and self.store_cv_results:
            raise ValueError("cv!=None and store_cv_results=True are incompatible")
        if self.cv is not None and getattr(self, "alpha_per_target", False):
            raise ValueError("cv!=None and alpha_per_target=True are incompatible")

    def _routed(self, sample_weight, params):
        """Parameters for the scorer and the splitter."""
        if not _is_routed():
            if params:
                raise ValueError(
                    f"[{', '.join(map(repr, params))}] are passed but are not explicitly set as requested or not "
                    f"requested for {type(self).__name__}.fit: they need set_config(enable_metadata_routing=True)")
            score = {} if sample_weight is None else {"sample_weight": sample_weight}
            return Bunch(scorer=Bunch(score=score), splitter=Bunch(split={}))
        if sample_weight is not None:
            params = {**params, "sample_weight": sample_weight}
        return process_routing(self, "fit", **params)

    # ---- leave-one-out ----

    def _fit_leave_one_out(self, X, y, weights, alphas, score_params, dtype):
        """y: numbers of shape (n_samples,) or (n_samples, n_targets)."""
        per_target = getattr(self, "alpha_per_target", False) and y.ndim == 2 and y.shape[1] > 1
        targets, y_mean = targets_of(y, np.float64, weights, self.fit_intercept)
        n, n_targets = targets.shape
        scorer = None if self.scoring is None else self._scorer()
        kept = None
        if scorer is not None or self.store_cv_results:
            kept = np.empty((len(alphas), n, n_targets))
        squares = np.zeros((len(alphas), n_targets))
        with serial_blas():
            found = LeaveOneOut(X, targets, y_mean, weights, self.fit_intercept, self._checked_mode(X), self)
            for rows, errors in found.errors(alphas):
                if kept is not None:
                    kept[:, rows] = errors
                squares += np.einsum("ans,ans->as", errors, errors)
            if not np.isfinite(squares).all():
                check_finite(X, squares, self)
            if scorer is None:
                scores = -squares / n
                scores = scores if per_target else scores.mean(axis=1)
                if kept is not None:
                    kept *= kept
            else:
                for i in range(len(alphas)):
                    self._to_predictions(kept[i], found, y_mean)
                scores = np.array([
                    self._loo_score(scorer, prediction, y, per_target, score_params) for prediction in kept])
            best = scores.argmax(axis=0)
            if per_target:
                coef = np.concatenate([found.coefficients(alphas[k], [i]) for i, k in enumerate(best)])
                alpha, score = alphas[best], scores[best, np.arange(n_targets)]
            else:
                coef = found.coefficients(alphas[best])
                alpha, score = float(alphas[best]), scores[best]
                if getattr(self, "alpha_per_target", False) and y.ndim == 2:
                    score = np.array([score])
        account = {"alpha_": alpha, "best_score_": score}
        if self.store_cv_results:
            results = np.ascontiguousarray(kept.transpose(1, 2, 0), dtype=dtype)
            account["cv_results_"] = results[:, 0] if y.ndim == 1 else results
        set_solution(
            self, coef, found.x_mean, y_mean, dtype, account, flat=n_targets == 1, scalar=y.ndim == 1)

    @staticmethod
    def _to_predictions(errors_io, found, y_mean):
        np.subtract(found.weighted, errors_io, out=errors_io)
        if found.roots is not None:
            errors_io /= found.roots[:, None]
        errors_io += y_mean

    def _loo_score(self, scorer, prediction, y, per_target, score_params):
        if is_classifier(self):
            asked = _PredictedClasses(np.arange(max(2, y.shape[1])), self._multilabel)
            return scorer(asked, prediction, classes_of(y, asked.classes, self._multilabel), **score_params)
        if per_target:
            return [scorer(_PredictedNumbers(), prediction[:, j], y[:, j], **score_params) for j in range(y.shape[1])]
        return scorer(_PredictedNumbers(), prediction[:, 0] if y.ndim == 1 else prediction, y, **score_params)

    # ---- folds ----

    def _fit_folds(self, X, y, weights, alphas, params, sample_weight, numbers_of_y=None):
        """Choose by cross-validation: y as it was given, classes for a classifier, whose ``numbers_of_y`` are -1 and 1.
        """
        cv = check_cv(self.cv, y, classifier=is_classifier(self))
        # whose weights reach which scorers, and what a scorer asks of an estimator, is for scikit-learn to say
        quick = weights is None and (self.scoring is None or isinstance(self.scoring, str))
        if not quick or _is_routed() or sparse.issparse(X) or X.shape[0] < 2 * X.shape[1]:
            return self._search(X, y, alphas, cv, params, sample_weight)
        folds = [(np.asarray(train), np.asarray(test)) for train, test in folds_of(X, y, cv)]
        multilabel = is_classifier(self) and self._multilabel
        if is_classifier(self) and not multilabel and any(
                len(np.unique(y[train])) < len(self.classes_) for train, _ in folds):
            return self._search(X, y, alphas, folds, params, sample_weight)
        values = y if numbers_of_y is None else numbers_of_y
        targets, y_mean = targets_of(values, X.dtype, weights, self.fit_intercept)
        with serial_blas():
            sums = FoldSums(X, targets, y_mean, weights, folds, self.fit_intercept)
            whole = sums.whole()
            # before any system is solved: NaN among its numbers is not seen there
            for numbers in (whole.gram, whole.moments, whole.x_mean, whole.y_mean):
                check_finite(X, numbers, self)
            scores = np.array([
                self._fold_scores(X, y, alphas, sums.equations(fold), test) for fold, (_, test) in enumerate(folds)])
            means = scores.mean(axis=0)
            best = int(np.argmax(np.where(np.isnan(means), -np.inf, means)))
            coef = by_cholesky(whole.gram, whole.moments, np.full(targets.shape[1], alphas[best]))
        set_solution(
            self, coef, whole.x_mean, whole.y_mean, X.dtype,
            {"alpha_": alphas[best], "best_score_": means[best]}, flat=len(coef) == 1,
            scalar=values.ndim == 1)

    def _fold_scores(self, X, y, alphas, equations, test):
        """Of the models for each alpha, on the rows ``test``."""
        n_targets = equations.moments.shape[1]
        coef = np.concatenate([
            by_cholesky(equations.gram, equations.moments, np.full(n_targets, alpha)) for alpha in alphas])
        intercept = np.tile(equations.y_mean, len(alphas)) - coef @ equations.x_mean if self.fit_intercept else 0.0
        raw = np.concatenate([
            np.ascontiguousarray(X[test[first:first + ROWS_AT_ONCE]]) @ coef.T + intercept
            for first in range(0, len(test), ROWS_AT_ONCE)])
        check_finite(X, raw, self)
        raw = raw.reshape(len(test), len(alphas), n_targets)
        seen = y[test]
        if is_classifier(self):
            asked = _PredictedClasses(self.classes_, self._multilabel)
            scorer = get_scorer("accuracy" if self.scoring is None else self.scoring)
            return [scorer(asked, np.ascontiguousarray(raw[:, i]), seen) for i in range(len(alphas))]
        found = [raw[:, i, 0] if y.ndim == 1 else raw[:, i] for i in range(len(alphas))]
        if self.scoring is None:
            return [r2_score(seen, one) for one in found]
        scorer = get_scorer(self.scoring)
        return [scorer(_PredictedNumbers(), one, seen) for one in found]

    def _search(self, X, y, alphas, cv, params, sample_weight):
        """scikit-learn's search over fits: whatever the folds' sums are no help for."""
        model = RidgeClassifier if is_classifier(self) else Ridge
        model = model(fit_intercept=self.fit_intercept, solver="sparse_cg" if sparse.issparse(X) else "auto")
        if _is_routed():
            model.set_fit_request(sample_weight=True)
        if sample_weight is not None:
            params = {**params, "sample_weight": sample_weight}
        search = GridSearchCV(model, {"alpha": alphas}, cv=cv, scoring=self._scorer()).fit(X, y, **params)
        best = search.best_estimator_
        vars(self).update(
            coef_=best.coef_, intercept_=best.intercept_, alpha_=best.alpha, best_score_=search.best_score_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _is_routed():
    return bool(get_config().get("enable_metadata_routing"))


class RidgeCV(LeastSquaresRegressor, RidgeSearch):
    """:class:`Ridge` with its strength chosen by exact leave-one-out, or by cross-validation.

    Leave-one-out has a closed form: one decomposition of X^T X, or X X^T where that is smaller, serves all rows and
    strengths [1]_. Cross-validation reads X once for the sums of all folds.

    Parameters
    ----------
    alphas : float or array of shape (n_alphas,), default=(0.1, 1.0, 10.0)
        Strengths to choose from, above 0 for leave-one-out, else at least 0.
    fit_intercept : bool, default=True
    scoring : str, callable or None, default=None
        None is minus the mean squared error for leave-one-out, else R^2.
    cv : int, cross-validation generator, iterable or None, default=None
        None is leave-one-out.
    gcv_mode : {'auto', 'svd', 'eigen'} or None, default=None
        For leave-one-out: 'svd' decomposes X, which keeps small singular values, the others its products.
    store_cv_results : bool, default=False
        Whether leave-one-out keeps ``cv_results_``.
    alpha_per_target : bool, default=False
        Whether leave-one-out chooses for each target on its own.

    Attributes
    ----------
    alpha_ : float or array of shape (n_targets,)
    best_score_ : float or array of shape (n_targets,)
    coef_ : array of shape (n_features,) or (n_targets, n_features)
        In X's dtype.
    intercept_ : float or array of shape (n_targets,)
    cv_results_ : array of shape (n_samples, n_alphas) or (n_samples, n_targets, n_alphas)
        Squared errors of leave-one-out, or its predictions where ``scoring`` is given.
    n_features_in_ : int
    feature_names_in_ : array of str
        When X had column names.

    References
    ----------
    .. [1] Golub, Heath, Wahba, "Generalized Cross-Validation as a Method for Choosing a Good Ridge Parameter",
       Technometrics 21.2, 1979.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fasttrain.linear_model import RidgeCV
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = RidgeCV(alphas=[1e-3, 1e-2, 1e-1, 1.0]).fit(X, y)
    >>> model.alpha_, round(model.score(X, y), 3)
    (0.01, 0.517)
    """

    alphas: ArrayLike
    fit_intercept: bool
    scoring: str | Callable[..., Any] | None
    cv: Splitter
    gcv_mode: Literal["auto", "svd", "eigen"] | None
    store_cv_results: bool
    alpha_per_target: bool
    alpha_: float | Array
    best_score_: float
    coef_: Any
    intercept_: Any
    cv_results_: dict[str, Any]
    n_features_in_: int
    feature_names_in_: Array

    def __init__(self, alphas: ArrayLike = (0.1, 1.0, 10.0), *, fit_intercept: bool = True,
                 scoring: str | Callable[..., Any] | None = None, cv: Splitter = None,
                 gcv_mode: Literal["auto", "svd", "eigen"] | None = None, store_cv_results: bool = False,
                 alpha_per_target: bool = False) -> None:
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.scoring = scoring
        self.cv = cv
        self.gcv_mode = gcv_mode
        self.store_cv_results = store_cv_results
        self.alpha_per_target = alpha_per_target

    @restored_rows("leaving rows out needs all of them at once; Ridge takes one")
    def fit(self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | float | None = None, **params: Any) -> Self:
        """Choose the strength and fit all rows with it.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            float32 and float64 in any layout are read as they are; nothing is written.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
        sample_weight : array-like of shape (n_samples,) or float, default=None
            Of the rows in the fits, and in the scores of leave-one-out.
        **params : dict
            For the scorer and the splitter, where scikit-learn's metadata routing is on.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For bad data or parameters, and where the solution is not finite.
        """
        self._check_flags()
        alphas = self._checked_alphas()
        routed = self._routed(sample_weight, params)
        X, y = checked_data(self, X, y, ensure_min_samples=2 if self.fit_intercept else 1)
        weights = checked_weights(sample_weight, X)
        vars(self).pop("cv_results_", None)
        if self.cv is None:
            self._fit_leave_one_out(X, y, weights, alphas, routed.scorer.score, X.dtype)
        else:
            self._fit_folds(X, y, weights, alphas, params, sample_weight)
        return self


class RidgeClassifierCV(LeastSquaresClassifier, RidgeSearch):
    """:class:`RidgeClassifier` with its strength chosen by exact leave-one-out, or by cross-validation.

    As :class:`RidgeCV`, for classes as numbers -1 and 1.

    Parameters
    ----------
    alphas : float or array of shape (n_alphas,), default=(0.1, 1.0, 10.0)
        Strengths to choose from, above 0 for leave-one-out, else at least 0.
    fit_intercept : bool, default=True
    scoring : str, callable or None, default=None
        None is minus the mean squared error for leave-one-out, else the accuracy. In leave-one-out of two classes
        scikit-learn 1.9 hands scorers one class for all rows; here they get what is predicted.
    cv : int, cross-validation generator, iterable or None, default=None
        None is leave-one-out.
    class_weight : dict, 'balanced' or None, default=None
        Weights of classes, multiplied with those of the rows.
    store_cv_results : bool, default=False
        Whether leave-one-out keeps ``cv_results_``.

    Attributes
    ----------
    alpha_ : float
    best_score_ : float
    coef_ : array of shape (n_features,) or (n_classes, n_features)
        In X's dtype.
    intercept_ : float or array of shape (n_classes,)
    classes_ : array of shape (n_classes,)
    cv_results_ : array of shape (n_samples, n_targets, n_alphas)
        Squared errors of leave-one-out, or its raw predictions where ``scoring`` is given.
    n_features_in_ : int
    feature_names_in_ : array of str
        When X had column names.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from fasttrain.linear_model import RidgeClassifierCV
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = RidgeClassifierCV(alphas=[1e-3, 1e-2, 1e-1, 1.0]).fit(X, y)
    >>> round(model.score(X, y), 3)
    0.963
    """

    alphas: ArrayLike
    fit_intercept: bool
    scoring: str | Callable[..., Any] | None
    cv: Splitter
    class_weight: dict[Any, float] | Literal["balanced"] | None
    store_cv_results: bool
    alpha_: float
    best_score_: float
    coef_: Any
    intercept_: Any
    classes_: Any
    cv_results_: dict[str, Any]
    n_features_in_: int
    feature_names_in_: Array

    def __init__(self, alphas: ArrayLike = (0.1, 1.0, 10.0), *, fit_intercept: bool = True,
                 scoring: str | Callable[..., Any] | None = None, cv: Splitter = None,
                 class_weight: dict[Any, float] | Literal["balanced"] | None = None,
                 store_cv_results: bool = False) -> None:
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.scoring = scoring
        self.cv = cv
        self.class_weight = class_weight
        self.store_cv_results = store_cv_results

    @restored_rows("leaving rows out needs all of them at once; Ridge takes one")
    def fit(self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | float | None = None, **params: Any) -> Self:
        """Choose the strength and fit all rows with it.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            float32 and float64 in any layout are read as they are; nothing is written.
        y : array-like of shape (n_samples,), or (n_samples, n_labels) of 0 and 1
        sample_weight : array-like of shape (n_samples,) or float, default=None
            Of the rows in the fits, and in the scores of leave-one-out.
        **params : dict
            For the scorer and the splitter, where scikit-learn's metadata routing is on.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For bad data or parameters, and where the solution is not finite.
        """
        self._check_flags()
        alphas = self._checked_alphas()
        X, y = checked_data(self, X, y, y_numeric=False, ensure_min_samples=2 if self.fit_intercept else 1)
        targets, y, weights = self._targets_and_weights(X, y, sample_weight)
        vars(self).pop("cv_results_", None)
        routed = self._routed(weights, params)
        if self.cv is None:
            self._fit_leave_one_out(X, targets, weights, alphas, routed.scorer.score, X.dtype)
        else:
            self._fit_folds(X, y, weights, alphas, params, weights, targets)
        return self
