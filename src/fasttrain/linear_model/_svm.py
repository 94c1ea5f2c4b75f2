"""LinearSVC and LinearSVR: liblinear's objectives, minimized by Newton's method or an interior point over all rows."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import Any, Literal

import numpy as np
from sklearn import svm
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import check_is_fitted, validate_data

from fasttrain import losses
from fasttrain._core.checks import check_choice, check_flag, check_integer, check_real, check_rows, is_ready
from fasttrain._core.random_states import check_random_state
from fasttrain._core.types import Array, ArrayLike, MatrixLike, RandomStateLike, Self
from fasttrain._core.warned import warn
from fasttrain._estimators.blocks import ClassifiesBlocks, ScoresBlocks, restored_learns
from fasttrain._estimators.conversion import Convertible
from fasttrain._estimators.data import classes_of, plain_weights
from fasttrain._estimators.fitted import set_fitted
from fasttrain._estimators.following import CallbackSupportMixin, and_one, followed, tasks_of, told_iterations
from fasttrain._estimators.parameters import keep_parameters
from fasttrain._kernels.threads import thread_budget
from fasttrain.data import Blocks
from fasttrain.data._use import predicts
from fasttrain.linear_model._interior import minimize
from fasttrain.linear_model._proximal import OTHER_TOL, OF_STRENGTH, ByColumns, Columns, minimize as minimize_sparse
from fasttrain.linear_model._sgd_base import raw_predictions
from fasttrain.linear_model._svm_blocks import fit_to_blocks, regress_on_blocks
from fasttrain.linear_model._squared_margins import HESSIAN_FEATURES, minimize_squared_margins

# Of the gradient at which liblinear ends: as the last Newton step gains most, it is seldom one more.
WELL_BELOW = 1e-3


def _most_tasks(machine):
    """Tasks that a fit has at most; None where each class is one whose iterations are its own."""
    if getattr(machine, "penalty", "l2") == "l1" or machine.loss == "hinge":
        return None
    return and_one(machine)


class LinearMachine(Convertible, CallbackSupportMixin):
    """What the classifier and the regressor share."""

    def _check_common(self):
        check_real(self.tol, "tol", low=0, open_low=True)
        check_real(self.C, "C", low=0, open_low=True)
        check_flag(self.fit_intercept, "fit_intercept")
        check_real(self.intercept_scaling, "intercept_scaling", low=0, open_low=True)
        check_integer(self.max_iter, "max_iter", low=0)
        if not isinstance(self.dual, str):
            check_flag(self.dual, "dual")
        else:
            check_choice(self.dual, "dual", ("auto", True, False))
        if not isinstance(self.verbose, (bool, np.bool_)):
            check_integer(self.verbose, "verbose", low=0)

    def _checked(self, X, y):
        if not is_ready(self, X, y, True, [np.float64]):
            X, y = validate_data(
                self, X, y, accept_sparse="csr", dtype=np.float64, order="C", accept_large_sparse=False)
        # scikit-learn draws a seed for liblinear, which a generator that goes on from here must have given
        check_random_state(self.random_state).randint(np.iinfo("i").max)
        return check_rows(X), y

    def _interior(self, X, loss, targets, weights, penalties, n_threads, facts):
        if X.shape[1] > HESSIAN_FEATURES:
            raise ValueError(
                f"loss={self.loss!r} is minimized for at most {HESSIAN_FEATURES} features, got {X.shape[1]}")
        found = []
        for k, y in enumerate(targets):
            c = np.full(len(y), float(self.C))
            rows = X
            if weights is not None:
                c *= weights if weights.ndim == 1 else weights[k]
                if not c.all():
                    rows, y, c = X[c > 0], y[c > 0], c[c > 0]
            with self._told_of_model(k, len(targets), facts, "interior-point-iter") as tell:
                found.append(minimize(rows, loss, y, c, penalties, self.tol, self.max_iter, n_threads, tell))
        w, n_iter, converged = zip(*found)
        return np.stack(w), np.array(n_iter), all(converged)

    def _few_coefficients(self, X, loss, targets, weights, n_threads, facts):
        """As :meth:`_solve`, with an l1 penalty, which the intercept's coefficient has too."""
        columns, found = Columns(X), []
        for k, y in enumerate(targets):
            c = np.ones(len(y)) if weights is None else weights if weights.ndim == 1 else weights[k]
            # over C times the sum of weights, as tol is meant
            strength = 1.0 / (float(self.C) * c.sum())
            model = ByColumns(
                columns, loss.name, np.ascontiguousarray(y), c / c.sum(), 0.0, bool(self.fit_intercept), n_threads,
                strength / float(self.intercept_scaling))
            with self._told_of_model(k, len(targets), facts, "proximal-newton-iter") as tell:
                found.append(minimize_sparse(
                    model, np.zeros(X.shape[1]), np.zeros(int(self.fit_intercept)), l1=strength,
                    tol=OTHER_TOL * self.tol * min(1.0, OF_STRENGTH * strength), max_iter=self.max_iter, tell=tell))
        w = np.stack([np.append(end.w, end.b) for end in found])
        return w, np.array([end.n_iter for end in found]), all(end.reason != "iterations" for end in found)

    @contextmanager
    def _told_of_model(self, number, n_models, facts, task_name):
        """``tell`` of a minimizer of one of the models; of several each is a task of its own."""
        tasks, fitted = tasks_of(self), partial(self._fitted_at, facts)
        branch = None
        if tasks is not None and n_models > 1:
            # one model by itself predicts nothing
            tasks, fitted = branch = tasks.branch("model", number), None
        with told_iterations(tasks, None, fitted, task_name) as tell:
            yield tell
        if branch is not None:
            branch[0].finish()

    def _fitted_at(self, facts, w):
        """``facts`` and what it predicts with by the unknowns of each model."""
        w = np.atleast_2d(w)
        if not self.fit_intercept:
            return {**facts, "coef_": w, "intercept_": 0.0}
        return {**facts, "coef_": w[:, :-1].copy(), "intercept_": w[:, -1].copy()}

    def _solve(self, X, loss, targets, weights, tolerances, facts):
        """(what it predicts with, ``facts`` among it, n_iter) of a model for each row of ``targets``."""
        scaling = float(self.intercept_scaling)
        penalties = np.ones(X.shape[1] + bool(self.fit_intercept))
        if self.fit_intercept:
            # liblinear's intercept is scaling times a coefficient that is penalized as the others are
            penalties[-1] = scaling**-2
        with thread_budget() as n_threads, np.errstate(all="ignore"):
            if getattr(self, "penalty", "l2") == "l1":
                w, n_iter, converged = self._few_coefficients(X, loss, targets, weights, n_threads, facts)
            elif loss.name in ("hinge", "epsilon_insensitive"):
                w, n_iter, converged = self._interior(X, loss, targets, weights, penalties, n_threads, facts)
            else:
                start = np.zeros((len(targets), len(penalties)))
                with told_iterations(
                        tasks_of(self), start, partial(self._fitted_at, facts), "newton-iter") as tell:
                    w, n_iter, converged = minimize_squared_margins(
                        X, loss, targets, weights, float(self.C), penalties, n_threads, WELL_BELOW * tolerances,
                        self.max_iter, tell)
        n_iter = int(n_iter.max())
        # as liblinear is judged: by the steps
        if not converged or n_iter >= self.max_iter:
            warn(
                f"Liblinear failed to converge, increase the number of iterations: {type(self).__name__} ended after "
                f"max_iter={self.max_iter}. Or scale the features (StandardScaler).", ConvergenceWarning)
        if self.verbose:
            print(f"{type(self).__name__}: {n_iter} iterations")
        return self._fitted_at(facts, w), n_iter


class LinearSVC(ClassifiesBlocks, LinearMachine, svm.LinearSVC):
    """Linear classification by the largest margin, one class against the rest.

    Minimizes for each class, with y = 1 for its rows and -1 for the others, s the sample weights times class weights
    and B the ``intercept_scaling`` [1]_

        (|w|^2 + (b / B)^2) / 2 + C sum_i s_i max(0, 1 - y_i (w . x_i + b))^2

    or with ``loss='hinge'`` the same without the square; with two classes once, for the second. That is the objective
    of scikit-learn's estimator of this name, liblinear's, which shrinks the intercept too. Here nothing is random: the
    squared loss is minimized by Newton steps to well below ``tol`` [2]_, all classes over one reading of X, the hinge
    by an interior point for each class [3]_, for at most 512 features. With ``penalty='l1'`` the penalty is
    ``|w|_1 + |b| / B`` and the steps are proximal Newton's [4]_. ``multi_class='crammer_singer'`` is refused; under
    :func:`fasttrain.patch_sklearn` scikit-learn's class answers it.

    Parameters
    ----------
    penalty : {'l1', 'l2'}, default='l2'
        'l1' goes with the squared loss only, as in scikit-learn.
    loss : {'squared_hinge', 'hinge'}, default='squared_hinge'
    dual : bool or 'auto', default='auto'
        Both problems have the same solution; False goes with 'squared_hinge' only, as in scikit-learn.
    tol : float, default=1e-4
        It ends where the gradient's norm is at most ``tol`` times that at zero, times the share of the rows that the
        smaller side has, as liblinear's primal solver does; with 'hinge' where the objective and its dual are within
        1e-5 of ``tol`` of each other, as a share of the objective; with 'l1' where no violation of the conditions of
        the minimum, of the objective over C times the sum of weights, is above a hundredth of ``tol`` or ``10 tol``
        times the penalty's strength.
    C : float, default=1.0
        Above 0; the greater, the weaker the penalty.
    multi_class : {'ovr'}, default='ovr'
    fit_intercept : bool, default=True
    intercept_scaling : float, default=1
        B, above 0.
    class_weight : dict, 'balanced' or None, default=None
        As liblinear has it: with more than two classes, a class's weight holds for its rows in its own problem.
    verbose : int, default=0
    random_state : int, RandomState instance or None, default=None
        Without effect, but for the draw that scikit-learn's class makes from it.
    max_iter : int, default=1000
        Steps at most.

    Attributes
    ----------
    coef_ : array of shape (1, n_features) for two classes, else (n_classes, n_features), float64
    intercept_ : array of shape (1,) or (n_classes,), 0.0 without ``fit_intercept``
    classes_ : array of shape (n_classes,)
    n_iter_ : int
        Newton steps over all rows, or those of the interior point, the most of all classes.
    n_features_in_ : int
    feature_names_in_ : array of str
        When X had column names.

    References
    ----------
    .. [1] Fan, Chang, Hsieh, Wang, Lin. "LIBLINEAR: A Library for Large Linear Classification", JMLR 9, 2008.
    .. [2] Keerthi, DeCoste. "A Modified Finite Newton Method for Fast Solution of Large Scale Linear SVMs", JMLR 6,
       2005.
    .. [3] Ferris, Munson. "Interior-Point Methods for Massive Support Vector Machines", SIAM J. Optim. 13.3, 2002.
    .. [4] Yuan, Chang, Hsieh, Lin. "A Comparison of Optimization Methods and Software for Large-scale L1-regularized
       Linear Classification", JMLR 11, 2010.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fasttrain.linear_model import LinearSVC
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LinearSVC().fit(X, y)
    >>> model.coef_.shape, bool(model.score(X, y) > 0.95)
    ((3, 4), True)
    """

    def __init__(self, penalty: Literal["l1", "l2"] = "l2",
                 loss: Literal["squared_hinge", "hinge"] = "squared_hinge", *,
                 dual: Literal["auto"] | bool = "auto", tol: float = 1e-4, C: float = 1.0,
                 multi_class: Literal["ovr"] = "ovr", fit_intercept: bool = True, intercept_scaling: float = 1,
                 class_weight: dict[Any, float] | Literal["balanced"] | None = None, verbose: int = 0,
                 random_state: RandomStateLike = None, max_iter: int = 1000) -> None:
        keep_parameters(self, locals())

    def _check_parameters(self):
        check_choice(self.penalty, "penalty", ("l1", "l2"))
        check_choice(self.loss, "loss", ("hinge", "squared_hinge"))
        check_choice(self.multi_class, "multi_class", ("ovr", "crammer_singer"))
        self._check_common()
        if self.multi_class != "ovr":
            raise ValueError(f"LinearSVC of fasttrain has multi_class='ovr' only, got {self.multi_class!r}")
        if self.penalty == "l1" and (self.loss != "squared_hinge" or self.dual is True):
            raise ValueError(
                "penalty='l1' goes with loss='squared_hinge' and dual False or 'auto' only, got "
                f"loss={self.loss!r}, dual={self.dual!r}")
        if self.loss == "hinge" and self.dual is False:
            raise ValueError("dual must be True or 'auto' with loss='hinge', got False")

    @followed(epochs=_most_tasks)
    @restored_learns
    def fit(self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or a source of blocks
            Finite; float64 in C order, and CSR, are not copied. A source of :mod:`fasttrain.data` is read once an
            evaluation of L-BFGS, which goes with the squared hinge and an l2 penalty.
        y : array-like of shape (n_samples,)
            At least two classes.
        sample_weight : array-like of shape (n_samples,), default=None
            At least 0, not all 0.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For bad data or parameters, and for what this class does not have; nothing is changed.
        DivergenceError
            When the coefficients would not be finite; the model is as it was before.
        """
        self._check_parameters()
        X, y = self._checked(X, y)
        classes, codes = classes_of(y)
        if len(classes) < 2:
            raise ValueError(
                "This solver needs samples of at least 2 classes in the data, but the data contains only one class: "
                f"{classes[0]!r}"
            )
        weights = plain_weights(sample_weight, X.shape[0], np.float64)
        positive = np.arange(1 if len(classes) == 2 else 0, len(classes))
        targets = np.where(codes == positive[:, np.newaxis], 1.0, -1.0)
        if self.class_weight is not None:
            weights = self._with_class_weights(weights, classes, y, codes, targets)
        n_positive = (targets > 0).sum(axis=1)
        shares = np.maximum(np.minimum(n_positive, len(codes) - n_positive), 1) / len(codes)
        loss = losses.Hinge() if self.loss == "hinge" else losses.SquaredHinge()
        fitted, n_iter = self._solve(X, loss, targets, weights, self.tol * shares, {"classes_": classes})
        set_fitted(self, fitted, {"n_iter_": n_iter})
        return self

    def _fit_blocks(self, source, name):
        """Fit to a source of several blocks."""
        return fit_to_blocks(self, source)

    def _with_class_weights(self, weights, classes, y, codes, targets):
        """Row weights of each problem, or of the only one."""
        by_class = compute_class_weight(self.class_weight, classes=classes, y=y, sample_weight=weights)
        if (by_class < 0).any():
            raise ValueError(f"class_weight must hold numbers >= 0, got {self.class_weight!r}")
        if len(classes) == 2:
            of_rows = by_class[codes]
        else:
            of_rows = np.where(targets > 0, by_class[:, np.newaxis], 1.0)
        return of_rows if weights is None else of_rows * weights


class LinearSVR(ScoresBlocks, LinearMachine, svm.LinearSVR):
    """Linear regression that errors up to epsilon cost nothing.

    Minimizes, with sample weights s and B the ``intercept_scaling`` [1]_

        (|w|^2 + (b / B)^2) / 2 + C sum_i s_i max(0, |y_i - w . x_i - b| - epsilon)

    or with ``loss='squared_epsilon_insensitive'`` the same with squares. That is the objective of scikit-learn's
    estimator of this name, liblinear's, which shrinks the intercept too. Here nothing is random: the loss with corners
    is minimized by an interior point [2]_, for at most 512 features, the squared one by Newton steps to well below
    ``tol`` [3]_.

    Parameters
    ----------
    epsilon : float, default=0.0
        At least 0, in the units of y.
    tol : float, default=1e-4
        It ends where the objective and its dual are within 1e-5 of ``tol`` of each other, as a share of the objective;
        with the squared loss where the gradient's norm is at most ``tol`` times that at zero.
    C : float, default=1.0
        Above 0; the greater, the weaker the penalty.
    loss : {'epsilon_insensitive', 'squared_epsilon_insensitive'}, default='epsilon_insensitive'
    fit_intercept : bool, default=True
    intercept_scaling : float, default=1.0
        B, above 0.
    dual : bool or 'auto', default='auto'
        Both problems have the same solution; False goes with 'squared_epsilon_insensitive' only, as in scikit-learn.
    verbose : int, default=0
    random_state : int, RandomState instance or None, default=None
        Without effect, but for the draw that scikit-learn's class makes from it.
    max_iter : int, default=1000
        Steps at most.

    Attributes
    ----------
    coef_ : array of shape (n_features,), float64
    intercept_ : array of shape (1,), 0.0 without ``fit_intercept``
    n_iter_ : int
        Steps of the interior point, or Newton steps over all rows.
    n_features_in_ : int
    feature_names_in_ : array of str
        When X had column names.

    References
    ----------
    .. [1] Ho, Lin. "Large-scale Linear Support Vector Regression", JMLR 13, 2012.
    .. [2] Ferris, Munson. "Interior-Point Methods for Massive Support Vector Machines", SIAM J. Optim. 13.3, 2002.
    .. [3] Keerthi, DeCoste. "A Modified Finite Newton Method for Fast Solution of Large Scale Linear SVMs", JMLR 6,
       2005.

    Examples
    --------
    >>> import numpy as np
    >>> from fasttrain.linear_model import LinearSVR
    >>> X = np.arange(20.0).reshape(10, 2) / 10
    >>> y = X @ [1.0, 2.0] + 3.0
    >>> model = LinearSVR(loss="squared_epsilon_insensitive", C=1e4).fit(X, y)
    >>> model.predict(X[:2]).round(2)
    array([3.2, 3.8])
    """

    def __init__(self, *, epsilon: float = 0.0, tol: float = 1e-4, C: float = 1.0,
                 loss: Literal["epsilon_insensitive", "squared_epsilon_insensitive"] = "epsilon_insensitive",
                 fit_intercept: bool = True, intercept_scaling: float = 1.0, dual: Literal["auto"] | bool = "auto",
                 verbose: int = 0, random_state: RandomStateLike = None, max_iter: int = 1000) -> None:
        keep_parameters(self, locals())

    def _check_parameters(self):
        check_choice(self.loss, "loss", ("epsilon_insensitive", "squared_epsilon_insensitive"))
        check_real(self.epsilon, "epsilon", low=0)
        self._check_common()
        if self.loss == "epsilon_insensitive" and self.dual is False:
            raise ValueError("dual must be True or 'auto' with loss='epsilon_insensitive', got False")

    @followed(epochs=_most_tasks)
    @restored_learns
    def fit(self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or a source of blocks
            Finite; float64 in C order, and CSR, are not copied. A source of :mod:`fasttrain.data` is read once an
            evaluation of L-BFGS, which goes with the squared loss.
        y : array-like of shape (n_samples,)
            None with a source, which has its own, and its weights.
        sample_weight : array-like of shape (n_samples,), default=None
            At least 0, not all 0.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For bad data or parameters, and for what this class does not have; nothing is changed.
        DivergenceError
            When the coefficients would not be finite; the model is as it was before.
        """
        self._check_parameters()
        X, y = self._checked(X, y)
        y = np.ascontiguousarray(y, dtype=np.float64)
        weights = plain_weights(sample_weight, X.shape[0], np.float64)
        kind = losses.SquaredEpsilonInsensitive
        if self.loss == "epsilon_insensitive":
            kind = losses.EpsilonInsensitive
        loss = kind(self.epsilon)
        fitted, n_iter = self._solve(X, loss, y[np.newaxis], weights, np.array([self.tol]), {})
        set_fitted(self, fitted, {"n_iter_": n_iter})
        return self

    def _fit_blocks(self, source, name):
        """Fit to a source of several blocks."""
        return regress_on_blocks(self, source)

    @predicts
    def predict(self, X: MatrixLike | Blocks) -> Array:
        """Predictions.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or a source of blocks

        Returns
        -------
        array of shape (n_samples,)
        """
        check_is_fitted(self)
        # rows as they lie would be summed in an order that follows the layout
        X = validate_data(self, X, accept_sparse=["csr", "csc", "coo"], order="C", reset=False)
        return raw_predictions(X.tocsr() if hasattr(X, "tocsr") else X, self.coef_, self.intercept_)

    def _fitted_at(self, facts, w):
        fitted = super()._fitted_at(facts, w)
        return {**fitted, "coef_": fitted["coef_"][0]}
