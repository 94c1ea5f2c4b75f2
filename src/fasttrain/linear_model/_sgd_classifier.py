"""SGDClassifier, and the training of several of them over one row order."""

from __future__ import annotations

from numbers import Integral
from typing import Any, Literal

import numpy as np
from sklearn import linear_model
from sklearn.utils import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from fasttrain._core.checks import row_weights
from fasttrain._core.random_states import check_random_state
from fasttrain._core.slices import by_slices
from fasttrain._core.types import Array, ArrayLike, MatrixLike, RandomStateLike, Self
from fasttrain.data import Blocks
from fasttrain._estimators.blocks import Labels, ScoresBlocks, class_weight_factors, labels_of, learns
from fasttrain._estimators.fitted import restored
from fasttrain._estimators.following import followed
from fasttrain._estimators.parameters import keep_parameters
from fasttrain._kernels.threads import get_num_threads
from fasttrain._tables.categories import distinct_labels, unique
from fasttrain.data._use import predicts
from fasttrain.linear_model import _descents
from fasttrain.linear_model._descents import Problem, candidate, rows_of, train
from fasttrain.linear_model._sgd_blocks import Model, checked_source, split_source, train_blocks
from fasttrain.linear_model._sgd_base import (
    CLASSIFIER_LOSSES, StochasticLinear, held_out, raw_predictions, start_of, subset,
)


class SGDClassifier(ScoresBlocks, StochasticLinear, linear_model.SGDClassifier):
    """Linear classifiers by per-sample stochastic descent: scikit-learn's estimator, several times faster.

    Two classes make one model, more classes one model each against the rest, trained on threads.

    Parameters
    ----------
    loss : {'hinge', 'log_loss', 'modified_huber', 'squared_hinge', 'perceptron', 'squared_error', 'huber', \
'epsilon_insensitive', 'squared_epsilon_insensitive'}, default='hinge'
        'hinge' is the linear support vector machine, 'log_loss' logistic regression. Probabilities come with
        'log_loss' and 'modified_huber'.
    penalty : {'l2', 'l1', 'elasticnet', None}, default='l2'
        ``alpha`` times ``w . w / 2``, ``|w|``, their mixture, or nothing. The L1 part is the cumulative
        truncated gradient [2]_: weights reach exact zeros.
    alpha : float, default=0.0001
        Strength of the penalty, >= 0; also in the 'optimal' schedule, where it must be > 0.
    l1_ratio : float or None, default=0.15
        Share of L1 in 'elasticnet', in [0, 1].
    fit_intercept : bool, default=True
    max_iter : int, default=1000
        Most epochs of :meth:`fit`.
    tol : float or None, default=1e-3
        Training ends when the objective (or under ``early_stopping`` the validation score) got no better
        than its best by ``tol`` in ``n_iter_no_change`` epochs running. None: always ``max_iter`` epochs.
    shuffle : bool, default=True
        A new order of the rows for each epoch.
    verbose : int, default=0
        Above 0, prints each epoch.
    epsilon : float, default=0.1
        Of the losses 'huber', 'epsilon_insensitive' and 'squared_epsilon_insensitive'.
    n_jobs : int or None, default=None
        Threads for the models of several classes. None and -1: as many as the thread settings allow.
    random_state : int, RandomState instance or None, default=None
        Seed of the shuffles and of the validation split, drawn as scikit-learn draws them.
    learning_rate : {'constant', 'optimal', 'invscaling', 'adaptive', 'pa1', 'pa2'}, default='optimal'
        Step size at step t: ``eta0``; ``1 / (alpha (t0 + t - 1))`` with Bottou's ``t0`` [1]_; ``eta0 /
        t**power_t``; ``eta0``, divided by 5 where 'constant' would stop; and the two passive-aggressive
        rules [3]_, for 'hinge' only.
    eta0 : float, default=0.01
        > 0. For 'pa1' the largest step, for 'pa2' the softness of the rule.
    power_t : float, default=0.5
    early_stopping : bool, default=False
        Hold out ``validation_fraction`` of the rows, stratified by class, and stop on their score.
    validation_fraction : float, default=0.1
    n_iter_no_change : int, default=5
    class_weight : dict, 'balanced' or None, default=None
        Factors of the steps, by class; 'balanced' is ``n_samples / (n_classes * count)``.
    warm_start : bool, default=False
        :meth:`fit` begins at the last solution.
    average : bool or int, default=False
        ``coef_`` is the mean of the weights of all steps, or of those from step ``average`` on.

    Attributes
    ----------
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        In the dtype of X.
    intercept_ : ndarray of shape (1,) or (n_classes,)
    classes_ : ndarray of shape (n_classes,)
    n_iter_ : int
        Epochs of the longest model.
    t_ : float
        ``1 + n_iter_ * n_samples``, and on from there in ``partial_fit``.
    loss_curve_ : list of float, or list of such lists
        The objective (mean loss plus penalty) of each epoch; one list a model when there are several.
    validation_scores_ : list of float, list of such lists, or None
        Accuracy of each model against its own class of each epoch, when there is validation data.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)

    Notes
    -----
    A step on row x with target y, with scikit-learn's arithmetic::

        w <- max(0, 1 - (1 - l1_ratio) eta alpha) w - eta weight loss'(y, w . x + b) x
        b <- b - eta weight loss'(y, w . x + b)

    On sparse rows b moves a hundredth as far, and the L1 cut is made to the weights of the row's values only.
    Deviations of scikit-learn's own that are kept, because its answers are the contract: under
    ``early_stopping`` the score is taken from weights without their scale,
    with 'log_loss' from predictions in {-1, 1} against targets in {0, 1}, and an averaged model's
    ``partial_fit`` begins its intercept where the first call did. Validation data of one's own is scored
    with the weights as they are. Results do not depend on the number of threads.

    References
    ----------
    .. [1] Bottou, "Stochastic Gradient Descent Tricks", Neural Networks: Tricks of the Trade, 2012.
    .. [2] Tsuruoka, Tsujii, Ananiadou, "Stochastic Gradient Descent Training for L1-regularized Log-linear
       Models with Cumulative Penalty", ACL 2009.
    .. [3] Crammer, Dekel, Keshet, Shalev-Shwartz, Singer, "Online Passive-Aggressive Algorithms", JMLR 7, 2006.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from fasttrain.linear_model import SGDClassifier
    >>> X, y = make_classification(n_samples=500, class_sep=2.0, random_state=0)
    >>> model = SGDClassifier("log_loss", random_state=0).fit(X, y)
    >>> model.coef_.shape
    (1, 20)
    >>> model.score(X, y) > 0.9
    True
    """

    loss_curve_: list[float]
    validation_scores_: Any

    _losses = CLASSIFIER_LOSSES
    _aggressive_loss = "hinge"

    def __init__(
            self,
            loss: Literal["hinge", "log_loss", "modified_huber", "squared_hinge", "perceptron", "squared_error",
                          "huber", "epsilon_insensitive", "squared_epsilon_insensitive"] = "hinge",
            *, penalty: Literal["l2", "l1", "elasticnet"] | None = "l2", alpha: float = 0.0001,
            l1_ratio: float | None = 0.15, fit_intercept: bool = True, max_iter: int = 1000, tol: float | None = 1e-3,
            shuffle: bool = True, verbose: int = 0, epsilon: float = 0.1, n_jobs: int | None = None,
            random_state: RandomStateLike = None,
            learning_rate: Literal["constant", "optimal", "invscaling", "adaptive", "pa1", "pa2"] = "optimal",
            eta0: float = 0.01, power_t: float = 0.5, early_stopping: bool = False, validation_fraction: float = 0.1,
            n_iter_no_change: int = 5, class_weight: dict[Any, float] | Literal["balanced"] | None = None,
            warm_start: bool = False, average: bool | int = False) -> None:
        keep_parameters(self, locals())

    def _check_parameters(self, for_partial_fit=False):
        super()._check_parameters(for_partial_fit)
        if self.n_jobs is not None and (
            isinstance(self.n_jobs, bool) or not isinstance(self.n_jobs, Integral)
        ):
            raise TypeError(f"n_jobs must be an integer or None, got {self.n_jobs!r}")
        if self.n_jobs == 0:
            raise ValueError("n_jobs must not be 0: -1 takes all cores, None what the thread settings allow")
        if not (
            self.class_weight is None
            or isinstance(self.class_weight, dict)
            or self.class_weight == "balanced"
        ):
            raise ValueError(f"class_weight must be a dict, 'balanced' or None, got {self.class_weight!r}")

    @followed(epochs=lambda self: None)
    @learns
    @restored
    def fit(self, X: MatrixLike | Blocks, y: ArrayLike | None = None, coef_init: ArrayLike | None = None,
            intercept_init: ArrayLike | None = None, sample_weight: ArrayLike | float | None = None, *,
            X_val: MatrixLike | None = None, y_val: MatrixLike | None = None) -> Self:
        """Fit from scratch, or from the last solution under ``warm_start``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or a source of blocks
            float32 and float64 are taken as they are, other dtypes as float64. Sparse formats other than
            CSR are converted. A source of :mod:`fasttrain.data` has y and the weights, which then are left out; its
            epochs are passes in orders of blocks and rows, each part of which is a call of :meth:`partial_fit`.
        y : array-like of shape (n_samples,)
            Class labels.
        coef_init : array-like of shape (n_classes, n_features) or (n_features,), default=None
            Where the weights begin. Not written to.
        intercept_init : array-like of shape (n_classes,) or (1,), default=None
        sample_weight : array-like of shape (n_samples,) or float, default=None
            Multiplied with the class weights.
        X_val, y_val : array-likes of shapes (n_val, n_features) and (n_val,), default=None
            Validation data of one's own; of a fit on a source X_val may be a source as well. Every epoch is
            scored on it (``validation_scores_``), and
            ``early_stopping`` looks at it instead of holding out a part of X.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For a wrong parameter or wrong data, by the argument's name.
        ValueError
            When the weights leave the finite numbers.
        KeyboardInterrupt
            Within 100 ms of Ctrl-C; the estimator then has the weights it had before.
        """
        self._check_parameters()
        # Integers are labels whatever they are; for anything else it takes a look at the values.
        if type(y) is not np.ndarray or y.ndim != 1 or y.dtype.kind not in "iub":
            y = column_or_1d(y, warn=True)
            check_classification_targets(y)
        X, y = self.check_rows(X, y, reset=True)
        classes, codes = unique(y, inverse=True)
        warm = self.warm_start and getattr(self, "coef_", None) is not None
        if warm:
            coef_init = self.coef_ if coef_init is None else coef_init
            intercept_init = self.intercept_ if intercept_init is None else intercept_init
        weight = row_weights(sample_weight, len(y), X.dtype, all_zero_accepted=self.early_stopping)
        validation = self._check_validation(X_val, y_val, X.dtype)
        if validation is not None:
            validation = validation[0], _codes_of(validation[1], classes, "y_val")
        start = self._fresh(n_classifiers(classes), X, coef_init, intercept_init)
        fit_classifiers([self], X, y, classes, codes, weight, self.max_iter, start, 1.0, validation=validation)
        self.warn_at_end(self.n_iter_)
        return self

    @followed(epochs=lambda self: None)
    @learns
    @restored
    def partial_fit(self, X: MatrixLike | Blocks, y: ArrayLike | None = None, classes: ArrayLike | None = None,
                    sample_weight: ArrayLike | float | None = None) -> Self:
        """Train one epoch on these samples, from where the last call ended.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        classes : array-like of shape (n_classes,), default=None
            All classes that any call will see; needed in the first call.
        sample_weight : array-like of shape (n_samples,) or float, default=None

        Returns
        -------
        self
        """
        first = self._begin_partial_fit(classes)
        trained = getattr(self, "coef_", None) is not None
        X, y = self.check_rows(X, y, reset=first, dtype=self.coef_.dtype if trained else None)
        classes = distinct_labels(classes) if first else self.classes_
        codes = _codes_among(y, classes)
        weight = row_weights(sample_weight, len(y), X.dtype)
        start = self._state() if trained else self._fresh(n_classifiers(classes), X)
        fit_classifiers([self], X, y, classes, codes, weight, 1, start, getattr(self, "t_", 1.0))
        return self

    def _begin_partial_fit(self, classes):
        """Whether this is the first call; ValueError for parameters and classes that it must not have."""
        first = getattr(self, "classes_", None) is None
        if first:
            self._check_parameters(for_partial_fit=True)
            if self.class_weight == "balanced":
                raise ValueError(
                    "class_weight 'balanced' is not supported for partial_fit. In order to use 'balanced' "
                    "weights, use "
                    "compute_class_weight('balanced', classes=classes, y=y). In place of y you can use a "
                    "large enough "
                    "sample of the full training set target to properly estimate the class frequency "
                    "distributions. Pass "
                    "the resulting weights as the class_weight parameter."
                )
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
        elif classes is not None and not np.array_equal(self.classes_, distinct_labels(classes)):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, was: "
                f"{self.classes_!r}"
            )
        return first

    def _fit_blocks(self, source, name, coef_init=None, intercept_init=None, X_val=None, y_val=None, classes=None):
        """Train on a source of several blocks, by the method of this name."""
        partial = name == "partial_fit"
        trained = getattr(self, "coef_", None) is not None
        if partial:
            first = self._begin_partial_fit(classes)
        else:
            self._check_parameters()
        checked = checked_source(self, source, reset=first if partial else True, y_numeric=False)
        labels = None
        if partial:
            classes = distinct_labels(classes) if first else self.classes_
        else:
            labels = labels_of(checked)
            classes = labels.values
        if len(classes) < 2:
            raise ValueError(f"The number of classes has to be greater than one; got {len(classes)} class")
        if partial and trained:
            start = self._state()
        else:
            if self.warm_start and trained:
                coef_init = self.coef_ if coef_init is None else coef_init
                intercept_init = self.intercept_ if intercept_init is None else intercept_init
            start = self._fresh(n_classifiers(classes), checked, coef_init, intercept_init)
        factors = np.ones(len(classes))
        if self.class_weight is not None:
            labels = Labels(classes, np.ones(len(classes))) if labels is None else labels
            factors = class_weight_factors(self.class_weight, labels)
        random_state = check_random_state(self.random_state)
        blocks, validation = split_source(
            self, checked, lambda y, weights: (_codes_among(y, classes), weights), X_val, y_val, random_state, partial)
        binary = len(classes) == 2
        models = [
            Model(self, start_of(start, 0 if binary else i),
                  lambda codes, i=i: _code(codes, i, self.loss, checked.dtype),
                  (factors[i], factors[0] if binary else 1.0))
            for i in ([1] if binary else range(len(classes)))
        ]
        t = getattr(self, "t_", 1.0) if partial else 1.0
        results = train_blocks(
            self, blocks, models, 1 if partial else self.max_iter, t, _threads(self.n_jobs), validation, _accuracies,
            random_state)
        self._adopt(results, start, t, len(blocks), {"classes_": classes})
        if not partial:
            self.warn_at_end(self.n_iter_)
        return self

    # ---- where it ends ----

    def _weights_of(self, models, coef, intercept, several):
        coefs, intercepts = super()._weights_of(models, coef, intercept, several)
        return coefs, intercepts.astype(coefs.dtype) if several or intercept == "average_intercept" else intercepts

    def _with_averages(self, coef, intercept, average_coef, average_intercept, averaged, start, several):
        # In later calls scikit-learn begins the intercept of an averaged model where it began before, and
        # with several classes takes the last intercept for their average. Its answers are the contract.
        before, kept = getattr(self, "_standard_intercept", None), start[1]
        # there it is the array that intercept_ and the average share; a copy of the estimator may have two
        overwritten = several and before is kept and self.average <= self.t_ - 1.0 and np.array_equal(
            self.intercept_, self._average_intercept)
        if overwritten:
            average_intercept = intercept
        if overwritten or (averaged and not several):
            intercept = kept
        return super()._with_averages(coef, intercept, average_coef, average_intercept, averaged, start, several)

    @predicts
    def decision_function(self, X: MatrixLike | Blocks) -> Array:
        """Signed distance to each model's hyperplane, up to the norm of its weights: w . x + b.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            For two classes one column: above 0 means ``classes_[1]``.

        Raises
        ------
        ValueError
            Also for a CSR matrix whose indices point outside its width.
        """
        _descents.check_prediction_rows(X)
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", reset=False)
        return raw_predictions(X, self.coef_, self.intercept_)

    @predicts
    def predict(self, X: MatrixLike | Blocks) -> Array:
        """Class of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        raw = self.decision_function(X)
        return by_slices(
            lambda rows: self.classes_[rows.argmax(axis=1) if rows.ndim == 2 else (rows > 0).astype(np.intp)], raw)


def _threads(n_jobs):
    """Threads that ``n_jobs`` asks for: None and -1 leave it to the thread settings, -2 all cores but one."""
    if n_jobs is None or n_jobs == -1:
        return None
    return int(n_jobs) if n_jobs > 0 else max(1, get_num_threads() + 1 + int(n_jobs))


def n_classifiers(classes):
    """One model for two classes, else one a class."""
    return 1 if len(classes) <= 2 else len(classes)


def _codes_of(y, classes, name):
    """Numbers of labels among the classes."""
    codes = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
    if not np.array_equal(classes[codes], y):
        raise ValueError(f"{name} must hold classes of y only, got {np.setdiff1d(y, classes)!r} besides")
    return codes


def _codes_among(y, classes):
    """Numbers of labels among the classes of partial_fit."""
    if len(classes) == 2 and classes.dtype.kind in "iub" and y.dtype.kind in "iub":
        # a third of a search's time
        codes = (y == classes[1]).astype(np.intp)
    else:
        codes = np.searchsorted(classes, y)
    if not np.array_equal(classes[np.minimum(codes, len(classes) - 1)], y):
        unknown = np.setdiff1d(y, classes)
        raise ValueError(f"y contains labels that are not in classes {classes!r}: {unknown!r}")
    return codes


def _accuracies(models, validation):
    """Share of the rows, counted once each, that each model has on the right side."""
    right, n_rows = np.zeros(len(models)), 0
    for X, codes, *_ in validation.stream():
        n_rows += len(codes)
        for k, model in enumerate(models):
            coef, intercept = model.start[:2]
            right[k] += np.count_nonzero((raw_predictions(X, coef[np.newaxis], intercept) > 0) == (
                model.target(codes) > 0))
    return right / n_rows


def _code(codes, positive, loss, dtype):
    """Targets of one binary model: 1 for its class, for the others 0 (log loss) or -1."""
    code = (codes == positive).astype(dtype)
    return code if loss == "log_loss" else 2 * code - 1


def fit_classifiers(group, X, y, classes, codes, weight, max_iter, start, t, validation=None, rows=None):
    """Train estimators that share SHARED on the same rows, one model a class, and hand each its own.

    ``rows`` are the row numbers to train on (None: all), ``y`` their labels and ``codes`` the codes of all
    rows.
    """
    problems = classifier_problems(group, X, y, classes, codes, weight, max_iter, start, t, validation, rows)
    tasks = group[0].tasks(X.dtype, {"classes_": classes})
    results = train(problems, _threads(group[0].n_jobs), group[0].verbose, tasks=tasks)
    if classes.dtype == object:
        # scikit-learn's labels, which words of any kind become text for
        classes = unique_labels(classes)
    for e, estimator in enumerate(group):
        estimator._adopt([models[e] for models in results], start, t, len(y), {"classes_": classes})


def classifier_problems(group, X, y, classes, codes, weight, max_iter, start, t, validation=None, rows=None,
                        X_rows=None):
    """The problem of each class of :func:`fit_classifiers`; ``X_rows`` are the kernel's rows of X, if made before."""
    lead, n_classes = group[0], len(classes)
    if n_classes < 2:
        raise ValueError(f"The number of classes has to be greater than one; got {n_classes} class")
    X_rows = rows_of(X) if X_rows is None else X_rows
    expanded = [
        np.ones(n_classes) if e.class_weight is None else compute_class_weight(e.class_weight, classes=classes, y=y)
        for e in group
    ]
    binary = n_classes == 2
    random_state = check_random_state(lead.random_state)
    if binary:
        # a generator that was passed is also what the validation rows are drawn with, between the two draws
        random_state.randint(1, _descents.LARGEST_SEED)

    held = mask = None
    if lead.early_stopping and validation is None:
        split_on = _code(subset(codes, rows), 1, lead.loss, X.dtype) if binary else y
        mask, held = held_out(lead, split_on, True, X, weight, rows)
        validation_rows, validation_codes = rows_of(X[held]), codes[held]
        validation_weight = None if weight is None else np.ascontiguousarray(weight[held])
    elif validation is not None:
        validation_rows, validation_codes = rows_of(validation[0], "X_val"), validation[1]
        validation_weight = None

    if binary:
        seeds = [int(random_state.randint(_descents.LARGEST_SEED))]
    else:
        seeds = _descents.class_seeds(random_state, n_classes)
    own_score = validation is not None
    has_score = own_score or held is not None
    problems = []
    for i, seed in zip([1] if binary else range(n_classes), seeds):
        score = None
        if has_score:
            # scikit-learn compares predictions in {-1, 1} with these codes, those of the log loss too.
            y_score = _code(validation_codes, i, "hinge" if own_score else lead.loss, X.dtype)
            totals = np.repeat(_descents.score_totals(y_score, validation_weight, "accuracy"), len(group))
            score = (validation_rows, y_score, validation_weight, totals, "accuracy")
        models = [
            candidate(e, max_iter or e.max_iter, w[i], w[0] if binary else 1.0) for e, w in zip(group, expanded)
        ]
        begin = start_of(start, 0 if binary else i)
        problems.append(Problem(
            X_rows, _code(codes, i, lead.loss, X.dtype), lead.loss, seed, models, [begin] * len(group), weight, mask,
            rows, score, lead.descent_options(X, t, has_score, own_score)))
    return problems
