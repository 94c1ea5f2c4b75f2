"""Ordinary least squares."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import linalg, optimize, sparse
from scipy.linalg import lapack
from scipy.sparse import linalg as sparse_linalg
from sklearn.utils import assert_all_finite

from fasttrain._core.blas import serial_blas, serial_blas_for
from fasttrain._core.checks import check_flag, check_integer, check_real
from fasttrain._core.types import Array, ArrayLike, MatrixLike, Self
from fasttrain.data import Blocks
from fasttrain._estimators.blocks import restored_learns
from fasttrain._tables.moments import column_moments
from fasttrain.linear_model._block_equations import blocks_of_numbers, equations_of_blocks
from fasttrain.linear_model._factors import least_squares_factor, times_transposed, wide_factor
from fasttrain.linear_model._least_squares import (
    LeastSquaresRegressor, checked_data, checked_weights, roots_of, set_solution,
)
from fasttrain.linear_model._solvers import centred_operator
from fasttrain.linear_model._sums import normal_equations, sparse_mean, targets_of

# Smallest over largest eigenvalue of X^T X down to which it gives coefficients and singular values to ten digits.
WELL_CONDITIONED = 1e-6
# Columns of a sparse X up to which X^T X is formed.
SPARSE_GRAM_COLUMNS = 2048


def solution_of(equations, tol):
    """(coefficients, what else a fit tells) of well-conditioned equations; None where X itself has to be decomposed."""
    # LAPACK itself: NumPy's and SciPy's checks take longer than a small system
    values, _, failed = lapack.dsyevd(equations.gram, compute_v=0)
    if failed or not values[0] > max(WELL_CONDITIONED, tol**2) * values[-1]:
        return None
    _, solution, failed = lapack.dposv(equations.gram, equations.moments)
    return None if failed else (solution.T, {"rank_": len(values), "singular_": np.sqrt(values[::-1])})


class LinearRegression(LeastSquaresRegressor):
    """Ordinary least squares.

    The coefficients minimize ``sum_i s_i (y_i - x_i . w - b)^2``, with the smallest ``|w|`` where several do.

    One reading of X forms X^T X about the means, whose eigenvalues say how well X is conditioned: well, and they are
    the answer; else R of X = Q R is made without a copy of X and decomposed [1]_.

    Parameters
    ----------
    fit_intercept : bool, default=True
    copy_X : bool, default=True
        Without effect: X is never written.
    tol : float, default=1e-6
        Singular values up to ``tol`` times the largest are taken for 0; on a sparse X, where LSQR is what solves, its
        ``atol`` and ``btol``.
    n_jobs : int, default=None
        Without effect: kernels use the threads that :func:`fasttrain.set_num_threads` allows.
    positive : bool, default=False
        Whether coefficients are >= 0; for a dense X.

    Attributes
    ----------
    coef_ : array of shape (n_features,) or (n_targets, n_features)
        In X's dtype, as all arrays here.
    intercept_ : float or array of shape (n_targets,)
    rank_ : int
        Of X about its means; for a dense X and ``positive=False``.
    singular_ : array of shape (min(n_samples, n_features),)
        Singular values of X about its means, in descending order; as ``rank_``.
    n_features_in_ : int
    feature_names_in_ : array of str
        When X had column names.

    References
    ----------
    .. [1] Golub, Van Loan, "Matrix Computations", 4th edition, 2013, section 5.3.

    Examples
    --------
    >>> import numpy as np
    >>> from fasttrain.linear_model import LinearRegression
    >>> X = np.array([[1.0, 1.0], [1.0, 2.0], [2.0, 2.0], [2.0, 3.0]])
    >>> model = LinearRegression().fit(X, X @ [1.0, 2.0] + 3.0)
    >>> model.coef_.round(10), round(float(model.intercept_), 10)
    (array([1., 2.]), 3.0)
    """

    fit_intercept: bool
    copy_X: bool
    tol: float
    n_jobs: int | None
    positive: bool
    coef_: Any
    intercept_: Any
    rank_: int
    singular_: Array
    n_features_in_: int
    feature_names_in_: Array

    def __init__(self, *, fit_intercept: bool = True, copy_X: bool = True, tol: float = 1e-6, n_jobs: int | None = None,
                 positive: bool = False) -> None:
        self.fit_intercept = fit_intercept
        self.copy_X = copy_X
        self.tol = tol
        self.n_jobs = n_jobs
        self.positive = positive

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = not self.positive
        return tags

    @restored_learns
    def fit(self, X: MatrixLike | Blocks, y: ArrayLike | None = None,
            sample_weight: ArrayLike | float | None = None) -> Self:
        """Fit the coefficients.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or a source of blocks
            float32 and float64 in any layout are read as they are; nothing is written. A source of
            :mod:`fasttrain.data` is read once; ``singular_`` is then known to half of the digits where columns are
            nearly dependent.
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
        for name in ("fit_intercept", "copy_X", "positive"):
            check_flag(getattr(self, name), name)
        tol = check_real(self.tol, "tol", low=0)
        if self.n_jobs is not None:
            check_integer(self.n_jobs, "n_jobs", low=-(2**31))
        X, y = checked_data(self, X, y, accept_sparse=False if self.positive else "csr")
        weights = checked_weights(sample_weight, X)
        targets, y_mean = targets_of(y, X.dtype, weights, self.fit_intercept)
        for name in ("rank_", "singular_"):
            vars(self).pop(name, None)
        if not sparse.issparse(X) and X.shape[0] >= X.shape[1]:
            coef, x_mean, account = self._fit_tall(X, targets, y_mean, weights, tol)
        else:
            with serial_blas():
                if sparse.issparse(X):
                    coef, x_mean, account = self._fit_sparse(X, targets, y_mean, weights, tol)
                else:
                    coef, x_mean, account = self._fit_wide(X, targets, weights, tol)
        if "singular_" in account:
            # in double where float32 ends before them
            fits = account["singular_"].max(initial=0.0) <= np.finfo(X.dtype).max
            account["singular_"] = account["singular_"].astype(X.dtype if fits else np.float64, copy=False)
        set_solution(self, coef, x_mean, y_mean, X.dtype, account, flat=y.ndim == 1, scalar=y.ndim == 1)
        return self

    def _fit_blocks(self, source, name):
        """Fit to a source of several blocks."""
        for flag in ("fit_intercept", "copy_X", "positive"):
            check_flag(getattr(self, flag), flag)
        tol = check_real(self.tol, "tol", low=0)
        if self.positive:
            raise ValueError("positive must be False for a source of blocks, got True")
        found = equations_of_blocks(self, blocks_of_numbers(self, source))
        equations = found.equations
        with serial_blas():
            solution = solution_of(equations, tol)
            if solution is None:
                # of the shortest solutions, as where all rows are at hand
                values, vectors = linalg.eigh(equations.gram)
                kept = values > values[-1] * len(values) * np.finfo(np.float64).eps
                coef = (vectors[:, kept] / values[kept]) @ (vectors[:, kept].T @ equations.moments)
                singular = np.sqrt(np.maximum(values[::-1], 0.0))
                solution = coef.T, {"rank_": int(kept.sum()), "singular_": singular}
        coef, account = solution
        account["singular_"] = account["singular_"].astype(found.dtype)
        set_solution(
            self, coef, equations.x_mean, equations.y_mean, found.dtype, account, flat=found.flat, scalar=found.flat)
        return self

    def _fit_tall(self, X, targets, y_mean, weights, tol):
        equations = normal_equations(X, targets, y_mean, weights, self.fit_intercept, self)
        if not self.positive:
            with serial_blas_for(*equations.moments.shape):
                found = solution_of(equations, tol)
            if found is not None:
                return found[0], equations.x_mean, found[1]
        with serial_blas():
            R, rotated = least_squares_factor(equations, X, targets, roots_of(weights))
            if self.positive:
                return np.stack([optimize.nnls(R, target)[0] for target in rotated.T]), equations.x_mean, {}
            coef, _, rank, singular = linalg.lstsq(R, rotated, cond=tol, check_finite=False)
        return coef.T, equations.x_mean, {"rank_": int(rank), "singular_": singular}

    def _fit_wide(self, X, targets, weights, tol):
        assert_all_finite(X, estimator_name=type(self).__name__, input_name="X")
        roots = roots_of(weights)
        x_mean = column_moments(X, weights)[1] if self.fit_intercept else np.zeros(X.shape[1])
        weighted = targets if roots is None else targets * roots[:, None]
        if self.positive:
            rows = X - x_mean if roots is None else (X - x_mean) * roots[:, None]
            return np.stack([optimize.nnls(rows, target)[0] for target in weighted.T]), x_mean, {}
        U, singular, _ = linalg.svd(wide_factor(X, x_mean, roots).T, check_finite=False)
        kept = singular > tol * singular[0]
        dual = (U[:, kept] / singular[kept] ** 2) @ (U[:, kept].T @ weighted)
        coef = times_transposed(X, x_mean, roots, dual)
        return coef.T, x_mean, {"rank_": int(kept.sum()), "singular_": singular}

    def _fit_sparse(self, X, targets, y_mean, weights, tol):
        n, p = X.shape
        roots = roots_of(weights)
        if p <= min(n, SPARSE_GRAM_COLUMNS):
            equations = normal_equations(X, targets, y_mean, weights, self.fit_intercept, self)
            found = None if equations is None else solution_of(equations, 0.0)
            if found is not None:
                return found[0], equations.x_mean, {}
        assert_all_finite(X.data, estimator_name=type(self).__name__, input_name="X")
        x_mean = sparse_mean(X, weights) if self.fit_intercept else np.zeros(p)
        weighted = targets if roots is None else targets * roots[:, None]
        operator = centred_operator(X, x_mean, roots)
        coef = np.stack([sparse_linalg.lsqr(operator, target, atol=tol, btol=tol)[0] for target in weighted.T])
        return coef, x_mean, {}
