"""Least squares with an L2 penalty: regression and classification."""

from __future__ import annotations
from typing import Any, Literal

import numpy as np
from scipy import sparse
from sklearn.linear_model import ridge_regression
from sklearn.utils import assert_all_finite

from fasttrain._core.blas import serial_blas, serial_blas_for
from fasttrain._core.checks import check_choice, check_flag, check_integer, check_real, check_seed
from fasttrain._core.types import Array, ArrayLike, MatrixLike, RandomStateLike, Self
from fasttrain._core.warned import warn
from fasttrain.data import Blocks
from fasttrain._estimators.blocks import restored_learns
from fasttrain._tables.moments import column_moments
from fasttrain.linear_model._block_equations import blocks_of_numbers, equations_of_blocks
from fasttrain.linear_model._classes_of_blocks import ClassesOfBlocks
from fasttrain.linear_model._factors import least_squares_factor, times_transposed
from fasttrain.linear_model._least_squares import (
    LeastSquares, LeastSquaresClassifier, LeastSquaresRegressor, checked_data, checked_weights, roots_of, set_solution,
    signs_of,
)
from fasttrain.linear_model._solvers import (
    by_bounded_lbfgs, by_cholesky, by_conjugate_gradients, by_dual, by_lsqr, by_svd, centred_operator, with_residual,
)
from fasttrain.linear_model._sums import normal_equations, products_of_rows, sparse_mean, targets_of

SOLVERS = ("auto", "svd", "cholesky", "lsqr", "sparse_cg", "sag", "saga", "lbfgs")
# Columns of a sparse X up to which X^T X is formed.
SPARSE_GRAM_COLUMNS = 2048


class RidgeModel(LeastSquares):
    """What Ridge and RidgeClassifier share: all but the meaning of y."""

    def _checked_parameters(self, is_sparse):
        """The solver to be used; every parameter is checked here but alpha, which goes with the targets."""
        for name in ("fit_intercept", "copy_X", "positive"):
            check_flag(getattr(self, name), name)
        check_integer(self.max_iter, "max_iter", low=1, optional=True)
        check_seed(self.random_state)
        tol = check_real(self.tol, "tol", low=0)
        solver = check_choice(self.solver, "solver", SOLVERS)
        if solver == "lbfgs" and not self.positive:
            raise ValueError(
                "'lbfgs' solver can be used only when positive=True. Please use another solver.")
        if self.positive:
            if solver not in ("auto", "lbfgs"):
                raise ValueError(
                    f"solver='{solver}' does not support positive fitting. Please set the solver to 'auto' or 'lbfgs', "
                    "or set `positive=False`")
            return "lbfgs"
        if not is_sparse:
            return "cholesky" if solver == "auto" else solver
        if solver == "svd" or (self.fit_intercept and solver in ("cholesky", "saga")):
            raise ValueError(
                f"solver='{solver}' does not support fitting the intercept on sparse data. Please set the solver to "
                "'auto' or 'lsqr', 'sparse_cg', 'sag', 'lbfgs' or set `fit_intercept=False`"
                if solver != "svd" else "SVD solver does not support sparse inputs currently")
        if solver == "sag" and self.fit_intercept:
            if self.max_iter is None and tol > 1e-4:
                warn(
                    '"sag" solver requires many iterations to fit an intercept with sparse inputs. Either set the '
                    'solver to "auto" or "sparse_cg", or set a low "tol" and a high "max_iter" (especially if inputs '
                    "are not standardized).")
                return "sag"
            return "sparse_cg"
        return "sparse_cg" if solver == "auto" else solver

    def _alphas(self, n_targets):
        """alpha for each target."""
        if isinstance(self.alpha, (list, tuple, np.ndarray)) or hasattr(self.alpha, "__array__"):
            alpha = np.asarray(self.alpha, dtype=np.float64).ravel()
            if not (np.isfinite(alpha) & (alpha >= 0)).all():
                raise ValueError(f"alpha must hold finite numbers >= 0, got {self.alpha!r}")
        else:
            alpha = np.array([check_real(self.alpha, "alpha", low=0)])
        if len(alpha) not in (1, n_targets):
            raise ValueError(
                f"Number of targets and number of penalties do not correspond: {len(alpha)} != {n_targets}")
        return np.broadcast_to(alpha, n_targets)

    def _check_for_blocks(self):
        if self._checked_parameters(False) != "cholesky":
            raise ValueError(
                f"solver must be 'auto' or 'cholesky' and positive False for a source of blocks, got {self.solver!r} "
                f"and {self.positive!r}")

    def _fit_sums(self, blocks):
        """Fit to blocks of numbers y."""
        found = equations_of_blocks(self, blocks)
        equations = found.equations
        alpha = self._alphas(equations.moments.shape[1])
        with serial_blas():
            try:
                coef = by_cholesky(equations.gram, equations.moments, alpha)
            except np.linalg.LinAlgError:
                raise ValueError(
                    f"alpha={self.alpha!r} leaves equations that are singular in double precision: pass alpha > 0, or "
                    "scale the columns (StandardScaler)") from None
        set_solution(
            self, coef, equations.x_mean, equations.y_mean, found.dtype, {"n_iter_": None, "solver_": "cholesky"},
            flat=len(coef) == 1, scalar=found.flat)

    def _fit_targets(self, X, y, weights, solver):
        """Fit to numbers y of shape (n_samples,) or (n_samples, n_targets)."""
        alpha = self._alphas(1 if y.ndim == 1 else y.shape[1])
        targets, y_mean = targets_of(y, X.dtype, weights, self.fit_intercept)
        stochastic = solver in ("sag", "saga")
        if not stochastic and not sparse.issparse(X) and X.shape[0] >= X.shape[1]:
            coef, x_mean, n_iter, solver = self._solve_tall(X, targets, y_mean, weights, alpha, solver)
        else:
            with serial_blas():
                if stochastic:
                    coef, x_mean, n_iter, y_mean = self._by_stochastic_average(
                        X, targets.reshape(y.shape), y_mean, weights, alpha, solver)
                elif sparse.issparse(X):
                    coef, x_mean, n_iter = self._solve_sparse(X, targets, y_mean, weights, alpha, solver)
                else:
                    coef, x_mean, n_iter, solver = self._solve_wide(X, targets, weights, alpha, solver)
        set_solution(
            self, coef, x_mean, y_mean, X.dtype, {"n_iter_": n_iter, "solver_": solver}, flat=len(coef) == 1,
            scalar=y.ndim == 1)

    def _solve_tall(self, X, targets, y_mean, weights, alpha, solver):
        equations = normal_equations(X, targets, y_mean, weights, self.fit_intercept, self)
        if solver == "cholesky":
            try:
                with serial_blas_for(*equations.moments.shape):
                    return by_cholesky(equations.gram, equations.moments, alpha), equations.x_mean, None, solver
            except np.linalg.LinAlgError:
                solver = "svd"
        with serial_blas():
            coef, n_iter = self._solve_factor(equations, X, targets, roots_of(weights), alpha, solver)
        return coef, equations.x_mean, n_iter, solver

    def _solve_factor(self, equations, X, targets, roots, alpha, solver):
        """(coefficients, iterations or None) by a solver that works on R of X = Q R, or on X^T X step by step."""
        if solver == "sparse_cg":
            return by_conjugate_gradients(
                lambda w: equations.gram @ w, equations.moments, alpha, self.tol, self.max_iter), None
        R, rotated = least_squares_factor(equations, X, targets, roots)
        if solver == "svd":
            return by_svd(R, rotated, alpha), None
        if solver == "lsqr":
            return by_lsqr(*with_residual(R, rotated, targets, roots), alpha, self.tol, self.max_iter)
        return by_bounded_lbfgs(*with_residual(R, rotated, targets, roots), alpha, self.tol, self.max_iter), None

    def _solve_wide(self, X, targets, weights, alpha, solver):
        assert_all_finite(X, estimator_name=type(self).__name__, input_name="X")
        x_mean = column_moments(X, weights)[1] if self.fit_intercept else np.zeros(X.shape[1])
        roots, n_iter = roots_of(weights), None
        weighted = targets if roots is None else targets * roots[:, None]
        if solver in ("cholesky", "sparse_cg"):
            products = products_of_rows(X, x_mean)
            if roots is not None:
                products = products * roots[:, None] * roots
            if solver == "sparse_cg":
                dual = by_conjugate_gradients(lambda c: products @ c, weighted, alpha, self.tol, None).T
                return times_transposed(X, x_mean, roots, dual).T, x_mean, None, solver
            try:
                dual = by_dual(products, weighted, alpha)
                return times_transposed(X, x_mean, roots, dual).T, x_mean, None, solver
            except np.linalg.LinAlgError:
                solver = "svd"
        if solver == "svd":
            rows = X - x_mean if roots is None else (X - x_mean) * roots[:, None]
            return by_svd(rows, weighted, alpha), x_mean, None, solver
        coef, n_iter = self._by_operator(centred_operator(X, x_mean, roots), weighted, alpha, solver)
        return coef, x_mean, n_iter, solver

    def _solve_sparse(self, X, targets, y_mean, weights, alpha, solver):
        n, p = X.shape
        roots, x_mean = roots_of(weights), np.zeros(p)
        equations = None
        if solver in ("cholesky", "sparse_cg") and p <= min(n, SPARSE_GRAM_COLUMNS):
            equations = normal_equations(X, targets, y_mean, weights, self.fit_intercept, self)
        if equations is not None:
            if solver == "cholesky":
                return by_cholesky(equations.gram, equations.moments, alpha), x_mean, None
            coef = by_conjugate_gradients(
                lambda w: equations.gram @ w, equations.moments, alpha, self.tol, self.max_iter)
            return coef, equations.x_mean, None
        assert_all_finite(X.data, estimator_name=type(self).__name__, input_name="X")
        if self.fit_intercept:
            x_mean = sparse_mean(X, weights)
        weighted = targets if roots is None else targets * roots[:, None]
        if solver == "cholesky":
            rows = X.astype(np.float64) if roots is None else sparse.diags(roots) @ X
            if p <= n:
                return by_cholesky((rows.T @ rows).toarray(), rows.T @ weighted, alpha), x_mean, None
            return (rows.T @ by_dual((rows @ rows.T).toarray(), weighted, alpha)).T, x_mean, None
        coef, n_iter = self._by_operator(centred_operator(X, x_mean, roots), weighted, alpha, solver)
        return coef, x_mean, n_iter

    def _by_operator(self, operator, targets, alpha, solver):
        """(coefficients, iterations or None) for data that are only multiplied with."""
        if solver == "lsqr":
            return by_lsqr(operator, targets, alpha, self.tol, self.max_iter)
        if solver == "lbfgs":
            return by_bounded_lbfgs(operator, targets, alpha, self.tol, self.max_iter), None
        n, p = operator.shape
        if p > n:
            dual = by_conjugate_gradients(
                lambda c: operator.matvec(operator.rmatvec(c)), targets, alpha, self.tol, None)
            return np.stack([operator.rmatvec(c) for c in dual]), None
        moments = np.stack([operator.rmatvec(target) for target in targets.T], axis=1)
        return by_conjugate_gradients(
            lambda w: operator.rmatvec(operator.matvec(w)), moments, alpha, self.tol, self.max_iter), None

    def _by_stochastic_average(self, X, targets, y_mean, weights, alpha, solver):
        """scikit-learn's own function, which draws what its estimators draw; a dense X is copied to be centred."""
        assert_all_finite(
            X.data if sparse.issparse(X) else X, estimator_name=type(self).__name__, input_name="X")
        x_mean, with_intercept = np.zeros(X.shape[1]), False
        if self.fit_intercept:
            with_intercept = sparse.issparse(X)
            if not with_intercept:
                x_mean = column_moments(X, weights)[1]
                X = X - x_mean.astype(X.dtype)
        found = ridge_regression(
            X, targets.astype(X.dtype), alpha.astype(X.dtype),
            sample_weight=None if weights is None else weights.astype(X.dtype), solver=solver, max_iter=self.max_iter,
            tol=self.tol, random_state=self.random_state, return_n_iter=True, return_intercept=with_intercept)
        coef = np.atleast_2d(found[0]).astype(np.float64)
        if with_intercept:
            y_mean = y_mean + np.atleast_1d(found[2])
        return coef, x_mean, found[1], y_mean

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self.solver != "svd" and (self.solver != "cholesky" or not self.fit_intercept)
        return tags


class Ridge(LeastSquaresRegressor, RidgeModel):
    """Least squares with an L2 penalty.

    The coefficients minimize, for each target,

        sum_i s_i (y_i - x_i . w - b)^2 + alpha |w|^2

    by X^T X about the means, from one reading of X, or X X^T where X has more columns than rows [1]_.

    Parameters
    ----------
    alpha : float or array of shape (n_targets,), default=1.0
        Strength of the penalty, >= 0, one for all targets or one for each.
    fit_intercept : bool, default=True
    copy_X : bool, default=True
        Without effect: X is never written.
    max_iter : int, default=None
        Of the iterative solvers; None leaves it to SciPy, and is 1000 for 'sag' and 'saga'.
    tol : float, default=1e-4
        Of the iterative solvers: the residual's norm ('sparse_cg'), ``atol`` and ``btol`` ('lsqr'), the change of the
        coefficients ('sag', 'saga'), the projected gradient ('lbfgs').
    solver : {'auto', 'svd', 'cholesky', 'lsqr', 'sparse_cg', 'sag', 'saga', 'lbfgs'}, default='auto'
        'auto' is 'cholesky' for a dense X, 'sparse_cg' for a sparse one and 'lbfgs' for ``positive=True``. On a dense X
        of more rows than columns every solver but 'sag' and 'saga' reads X once (where X is badly conditioned, again)
        and works on X^T X or on R of X = Q R, in the steps that it would take on X itself. 'sag' and 'saga' are
        scikit-learn's.
    positive : bool, default=False
        Whether coefficients are >= 0; 'lbfgs' is the solver for it.
    random_state : int, RandomState instance or None, default=None
        Draws the order of rows in 'sag' and 'saga'.

    Attributes
    ----------
    coef_ : array of shape (n_features,) or (n_targets, n_features)
        In X's dtype.
    intercept_ : float or array of shape (n_targets,)
    n_iter_ : array of shape (n_targets,) or None
        Iterations of 'lsqr', 'sag' and 'saga'.
    solver_ : str
        The solver that was used.
    n_features_in_ : int
    feature_names_in_ : array of str
        When X had column names.

    References
    ----------
    .. [1] Hoerl, Kennard, "Ridge Regression: Biased Estimation for Nonorthogonal Problems", Technometrics 12.1, 1970.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fasttrain.linear_model import Ridge
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = Ridge(alpha=0.1).fit(X, y)
    >>> round(model.score(X, y), 3), model.solver_
    (0.513, 'cholesky')
    """

    alpha: ArrayLike
    fit_intercept: bool
    copy_X: bool
    max_iter: int | None
    tol: float
    solver: Literal["auto", "svd", "cholesky", "lsqr", "sparse_cg", "sag", "saga", "lbfgs"]
    positive: bool
    random_state: RandomStateLike
    coef_: Any
    intercept_: Any
    n_iter_: Any
    solver_: str
    n_features_in_: int
    feature_names_in_: Array

    def __init__(self, alpha: ArrayLike = 1.0, *, fit_intercept: bool = True, copy_X: bool = True,
                 max_iter: int | None = None, tol: float = 1e-4,
                 solver: Literal["auto", "svd", "cholesky", "lsqr", "sparse_cg", "sag", "saga", "lbfgs"] = "auto",
                 positive: bool = False, random_state: RandomStateLike = None) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.copy_X = copy_X
        self.max_iter = max_iter
        self.tol = tol
        self.solver = solver
        self.positive = positive
        self.random_state = random_state

    @restored_learns
    def fit(self, X: MatrixLike | Blocks, y: ArrayLike | None = None,
            sample_weight: ArrayLike | float | None = None) -> Self:
        """Fit the coefficients.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or a source of blocks
            float32 and float64 in any layout are read as they are; nothing is written. A source of
            :mod:`fasttrain.data` is read once, for the solvers 'auto' and 'cholesky'.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
        sample_weight : array-like of shape (n_samples,) or float, default=None
            Not negative.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For bad data or parameters, and where the solution is not finite.
        """
        solver = self._checked_parameters(sparse.issparse(X))
        X, y = checked_data(self, X, y)
        self._fit_targets(X, y, checked_weights(sample_weight, X), solver)
        return self

    def _fit_blocks(self, source, name):
        """Fit to a source of several blocks."""
        self._check_for_blocks()
        self._fit_sums(blocks_of_numbers(self, source))
        return self


class RidgeClassifier(LeastSquaresClassifier, RidgeModel):
    """Classification by :class:`Ridge` regression of classes as numbers -1 and 1.

    Two classes are one target, more of them one target each; several labels are one target each.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty, >= 0.
    fit_intercept : bool, default=True
    copy_X : bool, default=True
        Without effect: X is never written.
    max_iter : int, default=None
    tol : float, default=1e-4
        As :class:`Ridge` has them.
    class_weight : dict, 'balanced' or None, default=None
        Weights of classes, multiplied with those of the rows; 'balanced' is n_samples / (n_classes * count of the
        class).
    solver : {'auto', 'svd', 'cholesky', 'lsqr', 'sparse_cg', 'sag', 'saga', 'lbfgs'}, default='auto'
    positive : bool, default=False
    random_state : int, RandomState instance or None, default=None
        As :class:`Ridge` has them.

    Attributes
    ----------
    coef_ : array of shape (n_features,) or (n_classes, n_features)
        In X's dtype.
    intercept_ : float or array of shape (n_classes,)
    classes_ : array of shape (n_classes,)
    n_iter_ : array of shape (n_classes,) or None
        Iterations of 'lsqr', 'sag' and 'saga'.
    solver_ : str
        The solver that was used.
    n_features_in_ : int
    feature_names_in_ : array of str
        When X had column names.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from fasttrain.linear_model import RidgeClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> round(RidgeClassifier().fit(X, y).score(X, y), 3)
    0.96
    """

    alpha: float
    fit_intercept: bool
    copy_X: bool
    max_iter: int | None
    tol: float
    class_weight: dict[Any, float] | Literal["balanced"] | None
    solver: Literal["auto", "svd", "cholesky", "lsqr", "sparse_cg", "sag", "saga", "lbfgs"]
    positive: bool
    random_state: RandomStateLike
    coef_: Any
    intercept_: Any
    classes_: Any
    n_iter_: Any
    solver_: str
    n_features_in_: int
    feature_names_in_: Array

    def __init__(self, alpha: float = 1.0, *, fit_intercept: bool = True, copy_X: bool = True,
                 max_iter: int | None = None, tol: float = 1e-4,
                 class_weight: dict[Any, float] | Literal["balanced"] | None = None,
                 solver: Literal["auto", "svd", "cholesky", "lsqr", "sparse_cg", "sag", "saga", "lbfgs"] = "auto",
                 positive: bool = False, random_state: RandomStateLike = None) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.copy_X = copy_X
        self.max_iter = max_iter
        self.tol = tol
        self.class_weight = class_weight
        self.solver = solver
        self.positive = positive
        self.random_state = random_state

    @restored_learns
    def fit(self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | float | None = None) -> Self:
        """Fit the coefficients.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or a source of blocks
            float32 and float64 in any layout are read as they are; nothing is written. A source of
            :mod:`fasttrain.data` is read once, for the solvers 'auto' and 'cholesky'.
        y : array-like of shape (n_samples,), or (n_samples, n_labels) of 0 and 1
        sample_weight : array-like of shape (n_samples,) or float, default=None
            Not negative.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For bad data or parameters, and where the solution is not finite.
        """
        solver = self._checked_parameters(sparse.issparse(X))
        X, y = checked_data(self, X, y, y_numeric=False)
        targets, _, weights = self._targets_and_weights(X, y, sample_weight)
        self._fit_targets(X, targets, weights, solver)
        return self

    def _fit_blocks(self, source, name):
        """Fit to a source of several blocks."""
        self._check_for_blocks()
        found = ClassesOfBlocks(self, source, [np.float64, np.float32], weighted=False)
        n_classes = len(found.classes)
        self._fit_sums(found.prepared(lambda codes: signs_of(codes, n_classes), found.weigh))
        self.classes_, self._multilabel = found.classes, False
        return self
