"""LogisticRegressionCV: all folds and strengths over one reading of X, scored with scikit-learn's scorers."""

from __future__ import annotations
from numbers import Integral, Number
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from scipy.special import expit, softmax
from sklearn import get_config, linear_model
from sklearn.metrics import get_scorer, get_scorer_names
from sklearn.utils import compute_class_weight
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.metadata_routing import process_routing

from fasttrain._core.blas import serial_blas
from fasttrain._core.checks import check_choice, check_flag, check_integer
from fasttrain._core.folds import check_fold_weights
from fasttrain._core.types import ArrayLike, MatrixLike, RandomStateLike, Self, Splitter
from fasttrain._core.warned import warn
from fasttrain._estimators.blocks import restored_rows
from fasttrain._estimators.data import folds_of
from fasttrain._estimators.fitted import set_fitted
from fasttrain._estimators.parameters import keep_parameters
from fasttrain.linear_model._logistic import (
    PENALTY_DEPRECATED, LogisticBase, LogisticRegression, check_solver, check_strength,
)
from fasttrain.linear_model._logistic_problem import Problem


class LogisticRegressionCV(LogisticBase, linear_model.LogisticRegressionCV):
    """Logistic regression that chooses C by cross-validation: scikit-learn's estimator, all folds in one reading of X.

    Each fold goes down the path of C, a fit begun where the one before it ended; a step of all folds is one reading
    of X.

    Parameters
    ----------
    Cs : int or array-like of float, default=10
        An int is that many values from 1e-4 to 1e4, each a factor from the next.
    l1_ratios : array-like of float or None, default='warn'
        To choose from, each in [0, 1], as in :class:`LogisticRegression`; others than 0 with the solver 'saga'.
    fit_intercept : bool, default=True
    cv : int, splitter, iterable or None, default=None
        None is 5 stratified folds.
    dual, penalty, tol, max_iter, class_weight, intercept_scaling, solver, verbose, random_state
        Those of :class:`LogisticRegression`. With ``class_weight='balanced'`` the weights are those of all rows.
    scoring : str, callable or None, default='warn'
        None is accuracy.
    n_jobs : int or None, default=None
        Without effect: threads are those of the thread settings.
    refit : bool, default=True
        Whether to fit all rows with the C of the best mean score. Else the mean of the folds' coefficients, each at
        its best C, is taken.
    use_legacy_attributes : bool, default='warn'
        Whether ``C_``, ``l1_ratio_``, ``scores_``, ``coefs_paths_`` and ``n_iter_`` are as in scikit-learn 1.7.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features), float64
    intercept_ : ndarray of shape (1,) or (n_classes,)
    Cs_ : ndarray of shape (n_cs,)
    l1_ratios_ : ndarray of shape (n_l1_ratios,)
    C_, l1_ratio_ : float; legacy: ndarray of shape (1,) or (n_classes,)
        The chosen ones.
    coefs_paths_ : ndarray of shape (n_folds, n_l1_ratios, n_cs, n_outputs, n_dof); legacy: dict by class
        Coefficients of each fit, the intercepts last.
    scores_ : ndarray of shape (n_folds, n_l1_ratios, n_cs); legacy: dict by class
    n_iter_ : ndarray of shape (n_folds, n_l1_ratios, n_cs); legacy: (1, n_folds, n_cs[, n_l1_ratios])
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fasttrain.linear_model import LogisticRegressionCV
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LogisticRegressionCV(
    ...     Cs=[0.1, 1.0], l1_ratios=(0,), scoring="neg_log_loss", use_legacy_attributes=False).fit(X, y)
    >>> model.C_, model.scores_.shape
    (1.0, (5, 1, 2))
    """

    def __init__(self, *, Cs: int | ArrayLike = 10, l1_ratios: Literal["warn"] | ArrayLike | None = "warn",
                 fit_intercept: bool = True, cv: Splitter = None, dual: bool = False,
                 penalty: Literal["l1", "l2", "elasticnet", "deprecated"] = "deprecated",
                 scoring: str | Callable[..., Any] | None = "warn",
                 solver: Literal["lbfgs", "newton-cg", "newton-cholesky", "sag", "saga", "liblinear"] = "lbfgs",
                 tol: float = 1e-4, max_iter: int = 100,
                 class_weight: dict[Any, float] | Literal["balanced"] | None = None, n_jobs: int | None = None,
                 verbose: int = 0, refit: bool = True, intercept_scaling: float = 1.0,
                 random_state: RandomStateLike = None, use_legacy_attributes: Literal["warn"] | bool = "warn") -> None:
        keep_parameters(self, locals())

    # ---- parameters ----

    def _check_parameters(self):
        """(Cs, l1_ratios or None, penalty, scoring, whether attributes are legacy), with scikit-learn's warnings."""
        self._check_common()
        check_flag(self.refit, "refit")
        if self.penalty != "deprecated":
            check_choice(self.penalty, "penalty", ("l1", "l2", "elasticnet"))
        if isinstance(self.scoring, str) and self.scoring != "warn":
            check_choice(self.scoring, "scoring", tuple(get_scorer_names()))
        if self.use_legacy_attributes != "warn":
            check_flag(self.use_legacy_attributes, "use_legacy_attributes")
        if isinstance(self.Cs, Integral) and not isinstance(self.Cs, bool):
            Cs = np.logspace(-4, 4, check_integer(self.Cs, "Cs", low=1))
        else:
            Cs = np.asarray([check_strength(C) for C in self.Cs])
        l1_ratios, penalty = self._penalty_name()
        scoring, legacy = self.scoring, self.use_legacy_attributes
        if isinstance(scoring, str) and scoring == "warn":
            _future(
                "The default value of the parameter 'scoring' will change from None, i.e. accuracy, to 'neg_log_loss' "
                "in version 1.11. To silence this warning, explicitly set the scoring parameter: "
                "scoring='neg_log_loss' for the new, scoring='accuracy' or scoring=None for the old default.")
            scoring = None
        if legacy == "warn":
            _future(
                f"The fitted attributes of {type(self).__name__} will be simplified in scikit-learn 1.10 to remove "
                "redundancy. Set `use_legacy_attributes=False` to enable the new behavior now, or set it to `True` to "
                "silence this warning during the transition period while keeping the deprecated behavior for the time "
                "being. The default value of use_legacy_attributes will change from True to False in scikit-learn "
                "1.10.")
            legacy = True
        check_solver(self.solver, penalty, self.dual)
        if penalty == "elasticnet":
            if l1_ratios is None or len(l1_ratios) == 0 or any(
                    not isinstance(ratio, Number) or ratio < 0 or ratio > 1 for ratio in l1_ratios):
                raise ValueError(
                    f"l1_ratios must be an array-like of numbers between 0 and 1; got (l1_ratios={l1_ratios!r})")
        elif l1_ratios is not None and self.penalty != "deprecated":
            warn(f"l1_ratios parameter is only used when penalty is 'elasticnet'. Got (penalty={penalty})")
        if self.solver == "liblinear" and self.refit and self.fit_intercept and self.intercept_scaling != 1:
            # scikit-learn's class takes it for the folds and 1 for the model
            raise ValueError(
                f"intercept_scaling must be 1 with solver='liblinear' and refit=True, got {self.intercept_scaling!r}")
        return Cs, l1_ratios, penalty, scoring, legacy

    def _penalty_name(self):
        l1_ratios = self.l1_ratios
        if isinstance(l1_ratios, str) and l1_ratios == "warn":
            l1_ratios = None
            _future(
                "The default value for l1_ratios will change from None to (0.0,) in version 1.10. From version 1.10 "
                "onwards, only array-like with values in [0, 1] will be allowed, None will be forbidden. To avoid this "
                "warning, explicitly set a value, e.g. l1_ratios=(0,).")
        if self.penalty != "deprecated":
            _future(PENALTY_DEPRECATED.format(
                "'l1_ratios' and 'Cs' instead. Use l1_ratios=(0,) instead of penalty='l2', l1_ratios=(1,) instead of "
                "penalty='l1', l1_ratios set to floats between 0 and 1 instead of penalty='elasticnet', and "
                "Cs=(np.inf,)"))
            return l1_ratios, self.penalty
        if self.l1_ratios is None:
            _future(
                "'l1_ratios=None' was deprecated in version 1.8 and will trigger an error in 1.10. Use an array-like "
                "with values in [0, 1] instead.")
        ratios = np.zeros(1) if l1_ratios is None else np.asarray(l1_ratios)
        return l1_ratios, "l2" if (ratios == 0).all() else "l1" if (ratios == 1).all() else "elasticnet"

    # ---- fitting ----

    @restored_rows("a search goes over rows of one array; LogisticRegression takes one")
    def fit(self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | float | None = None, **params: Any) -> Self:
        """Choose C and fit.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Taken as float64.
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,) or float, default=None
            Of the fits, and of the scores.
        **params : dict
            For splitter and scorer, where scikit-learn's metadata routing is enabled.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For a wrong parameter or wrong data, by the argument's name, and for what this class does not have.
        DivergenceError
            When a loss is not finite.
        KeyboardInterrupt
            Within 100 ms of Ctrl-C; the estimator then is as it was.
        """
        Cs, l1_ratios, penalty, scoring, legacy = self._check_parameters()
        X, y, classes, codes = self._checked(X, y, [np.float64])
        if len(classes) < 2:
            raise ValueError(
                "This solver needs samples of at least 2 classes in the data, but the data contains only one class: "
                f"{classes[0]}.")
        split, score = self._routed(sample_weight, params)
        folds = folds_of(X, y, self.cv, classifier=True, **split)
        held = [_held_out(train, len(codes)) for train, _ in folds]
        weight = self._row_weights(sample_weight, X, y, classes, codes, self._whole_class_weight(
            y, classes, sample_weight))
        if weight is not None:
            check_fold_weights(folds, weight, scored="sample_weight" in score)
        problem = Problem(
            X, codes, len(classes), self.fit_intercept, [(weight, h) for h in held] + [(weight, None)],
            constant=self._constant())
        given = [None] if l1_ratios is None else l1_ratios
        # what they are in the penalty: each is worked out once
        ratios = [{"l1": 1.0, "elasticnet": float(ratio or 0.0)}.get(penalty, 0.0) for ratio in given]
        scorer, tests = get_scorer(scoring), [test for _, test in folds]
        x, n_iter, scores = {}, {}, {}
        for ratio in dict.fromkeys(ratios):
            found = self._solve(problem, Cs, fits=range(len(folds)), l1_ratio=ratio)
            x[ratio], n_iter[ratio] = found.x, found.n_iter
            scores[ratio] = _scores(problem, y, classes, tests, found.x, scorer, scoring, score)
        x, n_iter, scores = (np.stack([of[ratio] for ratio in ratios], axis=1) for of in (x, n_iter, scores))
        self._choose(problem, x, n_iter, scores, Cs, l1_ratios, ratios, penalty, classes, legacy)
        return self

    def _routed(self, sample_weight, params):
        """Arguments of the splitter and of the scorer."""
        if get_config().get("enable_metadata_routing"):
            routed = process_routing(self, "fit", sample_weight=sample_weight, **params)
            return routed.splitter.split, routed.scorer.score
        if params:
            raise ValueError(f"fit takes further arguments with metadata routing only, got {sorted(params)}")
        return {}, {} if sample_weight is None else {"sample_weight": sample_weight}

    def _whole_class_weight(self, y, classes, sample_weight):
        """Class weights of all rows, which are those of each fold."""
        given = self.class_weight
        if isinstance(given, dict) and not set(given) <= set(classes):
            raise ValueError(
                "The given class_weight dict must have the class labels as keys; "
                f"classes={classes} but key={given.keys()}")
        if given == "balanced":
            weights = compute_class_weight(given, classes=classes, y=y, sample_weight=sample_weight)
            return dict(zip(classes, weights))
        return given

    def _choose(self, problem, x, n_iter, scores, Cs, l1_ratios, ratios, penalty, classes, legacy):
        """The chosen model and all attributes; x, n_iter and scores of shape (n_folds, n_l1_ratios, n_cs, ...)."""
        n_folds, n_ratios, n_cs = scores.shape
        given = [None] if l1_ratios is None else l1_ratios
        # by C first, as ties are decided
        by_C = scores.swapaxes(1, 2)
        if self.refit:
            c, r = np.unravel_index(np.argmax(by_C.sum(axis=0)), (n_cs, n_ratios))
            start = x[:, r, c].mean(axis=0)
            w = self._solve(problem, Cs[[c]], start, [n_folds], ratios[r]).x[0, 0]
            C, ratio = Cs[c], given[r]
        else:
            c, r = np.unravel_index(by_C.reshape(n_folds, -1).argmax(axis=1), (n_cs, n_ratios))
            w = x[np.arange(n_folds), r, c].mean(axis=0)
            C, ratio = Cs[c].mean(), np.mean(np.asarray(given)[r]) if penalty == "elasticnet" else 0.0
        x, w = problem.intercept_in_place(x), problem.intercept_in_place(w)
        n_features, n_outputs = self.n_features_in_, problem.n_outputs
        intercept = w[:, n_features].copy() if self.fit_intercept else np.zeros(n_outputs)
        account = {"classes_": classes, "Cs_": Cs, "l1_ratios_": np.asarray(given)}
        if legacy:
            names = classes[1:] if problem.is_binary else classes
            paths, tables = x.transpose(3, 0, 2, 1, 4), by_C
            n_iter = n_iter.swapaxes(1, 2)[None]
            if l1_ratios is None:
                paths, tables, n_iter = paths[:, :, :, 0], tables[:, :, 0], n_iter[..., 0]
            account |= {
                "C_": np.full(n_outputs, C), "l1_ratio_": np.asarray([ratio] * n_outputs),
                "coefs_paths_": {name: np.ascontiguousarray(path) for name, path in zip(names, paths)},
                "scores_": {name: tables.copy() for name in names}, "n_iter_": n_iter.astype(np.int32),
            }
        else:
            if l1_ratios is None:
                ratio = 1.0 if self.penalty == "l1" else 0.0
            account |= {
                "C_": float(C), "l1_ratio_": float(ratio), "coefs_paths_": x, "scores_": scores,
                "n_iter_": n_iter.astype(np.int32),
            }
        set_fitted(self, {"coef_": w[:, :n_features].copy(), "intercept_": intercept}, account)


def _future(text):
    warn(text, FutureWarning)


def _held_out(train, n_samples):
    """Rows that a fold does not train on, ascending."""
    train = np.asarray(train)
    train = np.flatnonzero(train) if train.dtype == bool else train
    counts = np.bincount(train, minlength=n_samples)
    if counts.max(initial=0) > 1:
        raise ValueError("cv must give each row to a fold's training once at most, got rows more than once")
    return np.flatnonzero(counts == 0).astype(np.int64)


# ---- scores ----

def _scores(problem, y, classes, tests, x, scorer, scoring, score_params):
    """Score of each fold's fits on its test rows, float64 of shape (n_folds, n_cs)."""
    scores = np.empty(x.shape[:2])
    quick = {None: _accuracies, "accuracy": _accuracies, "neg_log_loss": _log_losses}.get(
        scoring if isinstance(scoring, str) or scoring is None else "")
    weight = score_params.get("sample_weight")
    if quick is not None and set(score_params) <= {"sample_weight"}:
        weight = None if weight is None else np.broadcast_to(np.asarray(weight, dtype=np.float64), len(y))
        with serial_blas():
            for f, test in enumerate(tests):
                n_cs, n_outputs, n_dof = x[f].shape
                X, w = problem.X[test], x[f].reshape(n_cs * n_outputs, n_dof)
                raw = safe_sparse_dot(X, w[:, :X.shape[1]].T)
                raw = raw + w[:, -1] if problem.fit_intercept else raw
                raw = raw.reshape(len(raw), n_cs, n_outputs)
                scores[f] = quick(raw, problem.codes[test], None if weight is None else weight[test])
        return scores
    labels, rows_y = classes, y
    if isinstance(scoring, str):
        # scorers of two classes then know which is the positive one
        if problem.is_binary:
            labels, rows_y = np.arange(2), problem.codes
        for test in tests:
            if len(np.unique(problem.codes[test])) < len(classes):
                raise ValueError(
                    f"scoring={scoring!r} needs all classes among the test rows of each fold; 'accuracy' and "
                    "'neg_log_loss' do not")
    model = LogisticRegression()
    model.classes_ = labels
    for f, test in enumerate(tests):
        X = problem.X[test]
        params = {
            name: np.asarray(value)[test] if np.shape(value)[:1] == (len(y),) else value
            for name, value in score_params.items()
        }
        for i, w in enumerate(x[f]):
            intercept = w[:, -1] if problem.fit_intercept else np.zeros(len(w))
            set_fitted(model, {"coef_": w[:, :X.shape[1]], "intercept_": intercept}, {})
            scores[f, i] = scorer(model, X, rows_y[test], **params)
    return scores


def _accuracies(raw, codes, weight):
    found = (raw[:, :, 0] > 0) if raw.shape[2] == 1 else raw.argmax(axis=2)
    return np.average(found == codes[:, None], axis=0, weights=weight)


def _log_losses(raw, codes, weight):
    if raw.shape[2] == 1:
        p = np.where(codes[:, None] == 1, expit(raw[:, :, 0]), 1.0 - expit(raw[:, :, 0]))
    else:
        p = softmax(raw, axis=2)[np.arange(len(raw)), :, codes]
    # as scikit-learn's log_loss does, for which no row costs more than this
    eps = np.finfo(p.dtype).eps
    return np.average(np.log(np.clip(p, eps, 1 - eps)), axis=0, weights=weight)
