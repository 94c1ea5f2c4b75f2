"""LogisticRegression: scikit-learn's estimator on the kernel of full-batch sums."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np
from sklearn import linear_model
from sklearn.utils import check_random_state, compute_class_weight
from sklearn.utils.validation import validate_data

from fasttrain._core.checks import (
    check_choice, check_flag, check_integer, check_real, check_rows, check_seed, check_weights, is_ready,
)
from fasttrain._core import warned
from fasttrain._core.types import Array, ArrayLike, MatrixLike, RandomStateLike, Self
from fasttrain._estimators.blocks import ClassifiesBlocks, restored_learns
from fasttrain._estimators.conversion import Convertible
from fasttrain._estimators.data import classes_of
from fasttrain._estimators.fitted import set_fitted
from fasttrain._estimators.following import and_one, followed, tasks_of
from fasttrain._estimators.parameters import keep_parameters
from fasttrain.data._use import predicts
from fasttrain.linear_model._logistic_blocks import fit_to_blocks
from fasttrain.linear_model._logistic_problem import NEWTON_UNKNOWNS, Problem, warn_unless_settled
from fasttrain.linear_model._logistic_sparse import minimize_sparse
from fasttrain.linear_model._proximal import OTHER_TOL
from fasttrain.linear_model._row_sums import finiteness_told
from fasttrain.training.results import DivergenceError

SOLVERS = ("lbfgs", "liblinear", "newton-cg", "newton-cholesky", "sag", "saga")
# From larger values liblinear does not move.
_FROZEN = 1e30
PENALTY_DEPRECATED = (
    "'penalty' was deprecated in version 1.8 and will be removed in 1.10. To avoid this warning, leave 'penalty' set "
    "to its default value and use {} instead."
)


def check_solver(solver, penalty, dual):
    """Refuse what scikit-learn's solver of this name does not do."""
    if solver not in ("liblinear", "saga") and penalty not in ("l2", None):
        raise ValueError(f"Solver {solver} supports only 'l2' or None penalties, got {penalty} penalty.")
    if solver != "liblinear" and dual:
        raise ValueError(f"Solver {solver} supports only dual=False, got dual={dual}")
    if penalty == "elasticnet" and solver != "saga":
        raise ValueError(f"Only 'saga' solver supports elasticnet penalty, got solver={solver}.")
    if solver == "liblinear" and penalty is None:
        raise ValueError("C=np.inf as well as penalty=None is not supported for the liblinear solver")
    if solver == "liblinear" and penalty == "l1" and dual:
        raise ValueError("dual must be False with the solver 'liblinear' and an l1 penalty, got True")


def check_strength(C):
    """C as a float in (0, inf]."""
    return np.inf if isinstance(C, (float, np.floating)) and np.inf == C else check_real(C, "C", low=0, open_low=True)


class LogisticBase(Convertible):
    """What the estimator with one C and the one that chooses it share: checks, and one fit."""

    # what scikit-learn before 1.8 asks of a model that predicts probabilities
    multi_class = "deprecated"

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.array_api_support = False
        return tags

    def _check_common(self):
        check_flag(self.dual, "dual")
        check_real(self.tol, "tol", low=0)
        check_flag(self.fit_intercept, "fit_intercept")
        check_real(self.intercept_scaling, "intercept_scaling", low=0, open_low=True)
        if not (self.class_weight is None or isinstance(self.class_weight, dict) or (
                isinstance(self.class_weight, str) and self.class_weight == "balanced")):
            raise ValueError(f"class_weight must be a dict, 'balanced' or None, got {self.class_weight!r}")
        check_choice(self.solver, "solver", SOLVERS)
        check_integer(self.max_iter, "max_iter", low=0)
        check_seed(self.random_state)
        if not isinstance(self.verbose, (bool, np.bool_)):
            check_integer(self.verbose, "verbose", low=0)
        if self.n_jobs is not None and (isinstance(self.n_jobs, bool) or not hasattr(self.n_jobs, "__index__")):
            raise TypeError(f"n_jobs must be an integer or None, got {self.n_jobs!r}")

    def _checked(self, X, y, dtypes, unread=False):
        """(X as the kernel takes it, y, classes, codes); with ``unread`` X may not have been looked through for NaN."""
        if not is_ready(self, X, y, True, dtypes, unread=unread):
            X, y = validate_data(
                self, X, y, accept_sparse="csr", dtype=dtypes, order="C",
                accept_large_sparse=self.solver not in ("liblinear", "sag", "saga"))
            if not isinstance(y, np.ndarray) or not (isinstance(X, np.ndarray) or hasattr(X, "indptr")):
                raise TypeError(f"X must be a NumPy array or a sparse matrix, got {type(X).__name__}")
        with finiteness_told(self, X, unread):
            classes, codes = classes_of(y)
        X = check_rows(X)
        if self.solver == "liblinear":
            if len(classes) > 2:
                raise ValueError(
                    f"solver='liblinear' separates two classes, got {len(classes)}; other solvers take more, and "
                    "OneVsRestClassifier does")
            if X.shape[0] and np.max(X) > _FROZEN:
                raise ValueError(f"X must not hold values above {_FROZEN:g} with solver='liblinear': scale it")
            # scikit-learn draws a seed for liblinear, which a generator that goes on from here must have given
            check_random_state(self.random_state).randint(np.iinfo("i").max)
        return X, y, classes, codes

    def _constant(self):
        """Of :class:`Problem`: liblinear's intercept is penalized."""
        return float(self.intercept_scaling) if self.solver == "liblinear" else None

    def _row_weights(self, sample_weight, X, y, classes, codes, class_weight):
        """Sample weights with class weights in them, in X's dtype; None when all are 1."""
        weight = None
        if sample_weight is not None:
            weight = check_weights(sample_weight, len(codes), X.dtype, number=True, negative=True)
        if class_weight is not None:
            by_class = compute_class_weight(class_weight, classes=classes, y=y, sample_weight=weight)
            by_class = by_class.astype(X.dtype)[codes]
            weight = by_class if weight is None else weight * by_class
            if not weight.sum(dtype=np.float64) > 0:
                raise ValueError(f"class_weight must leave rows of weight > 0, got {class_weight!r}")
        return weight

    def _solve(self, problem, Cs, start=None, fits=(0,), l1_ratio=0.0):
        """The :class:`Minimum` of fits, each along the same path of C; warns where it is none."""
        fits = np.asarray(fits)
        strength = problem.strengths(fits, np.tile(Cs, (len(fits), 1)))
        l1, l2 = l1_ratio * strength, (1.0 - l1_ratio) * strength
        options = {"tol": float(self.tol), "max_iter": int(self.max_iter), "start": start}
        if l1_ratio and np.isfinite(Cs).all():
            options["tol"] *= OTHER_TOL
            found = minimize_sparse(problem, fits, l1, l2, **options)
        elif self.solver == "liblinear" or (
                self.solver in ("newton-cholesky", "newton-cg") and problem.size <= NEWTON_UNKNOWNS):
            options["tol"] *= OTHER_TOL if self.solver == "liblinear" else 1.0
            found = problem.newton(fits, l2, **options)
        elif self.solver == "lbfgs" and tasks_of(self) is not None:
            found = problem.followed_lbfgs(float(l2[0, 0]), tasks_of(self), **options)
        elif self.solver == "lbfgs":
            found = problem.lbfgs(fits, l2, **options)
        else:
            if self.solver in ("sag", "saga"):
                options["tol"] *= OTHER_TOL
                if self.max_iter == 0:
                    return problem.at(start, l2)
            # there only the gradient ends it, so only it does here, or rounding
            found = problem.lbfgs(fits, l2, ftol=0.0, **options)
            found.reason[found.reason == "abnormal"] = "value"
            found = problem.polished(fits, l2, found, tol=options["tol"])
        if (found.reason == "not_finite").any() or not np.isfinite(found.x).all():
            raise DivergenceError(
                "the loss is not finite: scale the features (StandardScaler), or start from smaller coefficients")
        if self.verbose:
            print(f"{self.solver}: {found.n_iter.sum()} iterations, largest element of the gradient "
                  f"{found.gradient.max():.3g}")
        warn_unless_settled(self.solver, found, self.max_iter)
        return found

    def _parameters_of(self, x, dtype, problem):
        x = problem.intercept_in_place(x).astype(dtype)
        if self.fit_intercept:
            coef, intercept = x[:, :-1].copy(), x[:, -1].copy()
        else:
            coef, intercept = x, 0.0 if self.solver == "liblinear" else np.zeros(problem.n_outputs, dtype)
        return {"coef_": coef, "intercept_": intercept}

    def _adopt(self, x, dtype, n_iter, classes, problem):
        set_fitted(self, self._parameters_of(x, dtype, problem), {
            "classes_": classes, "n_iter_": np.array([n_iter], dtype=np.int32)})


class LogisticRegression(ClassifiesBlocks, LogisticBase, linear_model.LogisticRegression):
    """Logistic regression: scikit-learn's estimator, on a kernel that reads X once an evaluation.

    With row weights s_i (``sample_weight`` times class weights) it minimizes

        C sum_i s_i loss(y_i, x_i . w + b) + |w|^2 / 2

    where the loss is the binary cross-entropy for two classes and the softmax cross-entropy, with one w and b for each
    class, for more [1]_. The solver 'lbfgs' makes scikit-learn's own iterates, to rounding.

    Parameters
    ----------
    penalty : {'l1', 'l2', 'elasticnet', None}, default='deprecated'
        As in scikit-learn deprecated: ``C=np.inf`` is no penalty.
    C : float, default=1.0
        Inverse of the strength of the penalty, in (0, inf].
    l1_ratio : float, default=0.0
        In [0, 1]: with the solver 'saga' the penalty is ``l1_ratio |w|_1 + (1 - l1_ratio) |w|^2 / 2``. 'liblinear'
        takes 0 and 1.
    dual : bool, default=False
        True goes with the solver 'liblinear' and an l2 penalty only, as in scikit-learn; the solution is the same.
    tol : float, default=1e-4
        Largest element of the gradient of the objective over ``C sum_i s_i`` at rest; with an l1 part, largest
        violation of the conditions of the minimum.
    fit_intercept : bool, default=True
    intercept_scaling : float, default=1
        Of the solver 'liblinear' only.
    class_weight : dict, 'balanced' or None, default=None
        Factors of the losses, by class; 'balanced' is ``n_samples / (n_classes * count)``.
    random_state : int, RandomState instance or None, default=None
        Without effect, but for the draw that scikit-learn makes from it with the solver 'liblinear'.
    solver : {'lbfgs', 'newton-cg', 'newton-cholesky', 'sag', 'saga', 'liblinear'}, default='lbfgs'
        'newton-cg' and 'newton-cholesky' are Newton's method with a Hessian matrix up to 2000 unknowns, and L-BFGS
        beyond; 'sag' and 'saga' are L-BFGS to a hundredth of ``tol``. 'liblinear' is for two classes and penalizes the
        intercept as a coefficient of a column of ``intercept_scaling``; it is Newton's method, beyond 2000 unknowns by
        conjugate gradients [3]_, to a hundredth of ``tol``. With an l1 part in the penalty 'saga' and 'liblinear' are
        proximal Newton [2]_, where violations of the conditions of the minimum end no larger than ``10 tol`` of the
        penalty's strength either; with more than two classes and a hundred unknowns, L-BFGS-B on the two signs of each
        coefficient.
    max_iter : int, default=100
    verbose : int, default=0
        Above 0, prints how a fit ended.
    warm_start : bool, default=False
        :meth:`fit` begins at the last solution.
    n_jobs : int or None, default=None
        Without effect, as in scikit-learn: threads are those of the thread settings.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        In the dtype of X. Sparse after :meth:`sparsify`.
    intercept_ : ndarray of shape (1,) or (n_classes,)
    n_iter_ : ndarray of shape (1,), int32
        Iterations of the solver.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)

    Warns
    -----
    ConvergenceWarning
        When the gradient is above ``tol`` after ``max_iter`` iterations.
    FutureWarning
        For ``penalty``, ``l1_ratio=None`` and ``n_jobs``, as scikit-learn.

    Notes
    -----
    Coefficients, gradients and sums are float64; predictions and losses of a row are computed in the dtype of X.
    Results do not depend on the number of threads.

    References
    ----------
    .. [1] Hastie, Tibshirani, Friedman, "The Elements of Statistical Learning", 2nd ed., section 4.4, 2009.
    .. [2] Yuan, Ho, Lin, "An Improved GLMNET for L1-regularized Logistic Regression", JMLR 13, 2012.
    .. [3] Lin, Weng, Keerthi, "Trust Region Newton Method for Large-Scale Logistic Regression", JMLR 9, 2008.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fasttrain.linear_model import LogisticRegression
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LogisticRegression(max_iter=200).fit(X, y)
    >>> model.predict(X[:2])
    array([0, 0])
    >>> round(model.score(X, y), 2)
    0.97
    """

    def __init__(self, penalty: Literal["deprecated", "l1", "l2", "elasticnet"] | None = "deprecated", *,
                 C: float = 1.0, l1_ratio: float = 0.0, dual: bool = False, tol: float = 1e-4,
                 fit_intercept: bool = True, intercept_scaling: float = 1,
                 class_weight: dict[Any, float] | Literal["balanced"] | None = None,
                 random_state: RandomStateLike = None,
                 solver: Literal["lbfgs", "newton-cg", "newton-cholesky", "sag", "saga", "liblinear"] = "lbfgs",
                 max_iter: int = 100, verbose: int = 0, warm_start: bool = False, n_jobs: int | None = None) -> None:
        keep_parameters(self, locals())

    def _check_parameters(self, warn=True):
        """(C, l1_ratio) to fit with; warns of what is deprecated, as scikit-learn does, unless told not to."""
        if self.penalty != "deprecated":
            check_choice(self.penalty, "penalty", ("l1", "l2", "elasticnet", None))
        C = check_strength(self.C)
        check_real(self.l1_ratio, "l1_ratio", low=0, high=1, optional=True)
        check_flag(self.warm_start, "warm_start")
        self._check_common()
        with warnings.catch_warnings():
            if not warn:
                warnings.simplefilter("ignore")
            penalty = self._penalty_name()
            check_solver(self.solver, penalty, self.dual)
            self._warn_of_penalty(penalty)
            if self.penalty is None:
                if self.C != 1.0:
                    warned.warn("Setting penalty=None will ignore the C and l1_ratio parameters")
                C, penalty = np.inf, "l2"
            if self.n_jobs is not None:
                warned.warn(
                    "'n_jobs' has no effect since 1.8 and will be removed in 1.10. You provided "
                    f"'n_jobs={self.n_jobs}', please leave it unspecified.", FutureWarning)
        return C, {"l1": 1.0, "elasticnet": self.l1_ratio}.get(penalty, 0.0)

    def _penalty_name(self):
        if self.penalty == "deprecated":
            if self.l1_ratio is None:
                warned.warn(
                    "'l1_ratio=None' was deprecated in version 1.8 and will trigger an error in 1.10. Use "
                    "0<=l1_ratio<=1 instead.", FutureWarning)
            if np.inf == self.C:
                return None
            return "l2" if not self.l1_ratio else "l1" if self.l1_ratio == 1 else "elasticnet"
        warned.warn(PENALTY_DEPRECATED.format(
            "'l1_ratio' or 'C' instead. Use l1_ratio=0 instead of penalty='l2', l1_ratio=1 instead of penalty='l1', "
            "l1_ratio set to a float between 0 and 1 instead of penalty='elasticnet', and C=np.inf"), FutureWarning)
        return self.penalty

    def _warn_of_penalty(self, penalty):
        if penalty != "elasticnet" and self.l1_ratio is not None and 0 < self.l1_ratio < 1:
            warned.warn(
                f"l1_ratio parameter is only used when penalty is 'elasticnet'. Got (penalty={penalty})")
        if (self.penalty == "l2" and self.l1_ratio != 0) or (self.penalty == "l1" and self.l1_ratio != 1):
            warned.warn(
                f"Inconsistent values: penalty={self.penalty} with l1_ratio={self.l1_ratio}. penalty is deprecated. "
                "Please use l1_ratio only.")
        if penalty == "elasticnet" and self.l1_ratio is None:
            raise ValueError("l1_ratio must be specified when penalty is elasticnet.")

    @followed(epochs=and_one)
    @restored_learns
    def fit(self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | float | None = None) -> Self:
        """Fit from scratch, or from the last solution under ``warm_start``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or a source of blocks
            float32 and float64 are taken as they are, other dtypes as float64. Sparse formats other than CSR are
            converted. A source of :mod:`fasttrain.data` is read once an evaluation; there every solver but 'liblinear'
            is L-BFGS on sums over the blocks, to its ``tol``, and the penalty has no l1 part.
        y : array-like of shape (n_samples,)
            Class labels, at least two different ones.
        sample_weight : array-like of shape (n_samples,) or float, default=None
            Multiplied with the class weights.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For a wrong parameter or wrong data, by the argument's name, and for what this class does not have.
        DivergenceError
            When the loss is not finite.
        KeyboardInterrupt
            Within 100 ms of Ctrl-C; the estimator then is as it was.
        """
        C, l1_ratio = self._check_parameters()
        tasks = tasks_of(self)
        cold = tasks is None and not l1_ratio and self.solver in ("lbfgs", "newton-cholesky", "newton-cg") and not (
            self.warm_start and hasattr(self, "coef_"))
        X, y, classes, codes = self._checked(
            X, y, [np.float64] if self.solver == "liblinear" else [np.float64, np.float32], unread=cold)
        with finiteness_told(self, X, cold):
            if len(classes) < 2:
                raise ValueError(
                    "This solver needs samples of at least 2 classes in the data, but the data contains only one "
                    f"class: {classes[0]!r}")
            weight = self._row_weights(sample_weight, X, y, classes, codes, self.class_weight)
            problem = Problem(
                X, codes, len(classes), self.fit_intercept, [(weight, None)], constant=self._constant())
            if tasks is not None:
                tasks.of(lambda x: {"classes_": classes, **self._parameters_of(x, X.dtype, problem)})
            found = self._solve(problem, [C], self._start(problem), l1_ratio=float(l1_ratio))
        self._adopt(found.x[0, 0], X.dtype, found.n_iter[0, 0], classes, problem)
        return self

    def _fit_blocks(self, source, name):
        """Fit to a source of several blocks."""
        return fit_to_blocks(self, source)

    @predicts
    def predict_proba(self, X: MatrixLike) -> Array:
        """Probabilities of the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or a source of blocks

        Returns
        -------
        array of shape (n_samples, n_classes)
        """
        return super().predict_proba(X)

    @predicts
    def predict_log_proba(self, X: MatrixLike) -> Array:
        """Logarithms of :meth:`predict_proba`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or a source of blocks

        Returns
        -------
        array of shape (n_samples, n_classes)
        """
        return super().predict_log_proba(X)

    def _start(self, problem):
        """Unknowns at the last solution; None for zeros."""
        if not self.warm_start or self.solver == "liblinear" or getattr(self, "coef_", None) is None:
            return None
        coef = self.coef_ if isinstance(self.coef_, np.ndarray) else self.coef_.toarray()
        start = np.hstack([coef, self.intercept_[:, None]]) if self.fit_intercept else coef
        if start.shape != problem.shape:
            raise ValueError(
                f"coef_ of the last fit is of shape {coef.shape}, expected "
                f"{(problem.n_outputs, problem.X.shape[1])}: warm_start needs the same classes and features")
        return start
