"""Errors of every row by the ridge model of the others, for all strengths, from one decomposition.

With z the rows times the roots of their weights about the weighted means, H = Z (Z^T Z + alpha I)^-1 Z^T and s_i the
share of row i in the weights (without an intercept: nothing),

    root_i (y_i - prediction_i) = (root_i y_i - (H root y)_i) / (1 - H_ii - s_i)

(Golub, Heath, Wahba, Technometrics 21.2, 1979; Rifkin, Lippert, "Notes on Regularized Least Squares", MIT, 2007).
"""

import numpy as np
from scipy import linalg, sparse
from sklearn.utils import assert_all_finite

from fasttrain._tables.moments import column_moments
from fasttrain.linear_model._closed_form import row_slices
from fasttrain.linear_model._factors import least_squares_factor, times_transposed, wide_factor
from fasttrain.linear_model._sums import centred_rows, normal_equations, products_of_rows, sparse_mean


class LeaveOneOut:
    """The decomposition of X, and what comes of it for strengths.

    Parameters
    ----------
    X : dense array or CSR matrix
    targets : array of shape (n_samples, n_targets), float64
        About ``y_mean``.
    weights : array of shape (n_samples,), float64, or None
    mode : {'svd', 'eigen'}
        What is decomposed: X, or X^T X or X X^T, whichever is smaller.

    Attributes
    ----------
    x_mean : array of shape (n_features,)
    roots : array of shape (n_samples,) or None
        Roots of the weights.
    """

    def __init__(self, X, targets, y_mean, weights, fit_intercept, mode, estimator):
        self.X, self.weights, self.fit_intercept = X, weights, fit_intercept
        self.roots = None if weights is None else np.sqrt(weights)
        self.weighted = targets if weights is None else targets * self.roots[:, None]
        self.shares = np.zeros(len(targets))
        if fit_intercept:
            self.shares[:] = 1.0 / len(targets) if weights is None else weights / weights.sum()
        self.is_wide = X.shape[0] <= X.shape[1]
        if self.is_wide:
            self._decompose_wide(mode, estimator)
        else:
            self._decompose_tall(targets, y_mean, mode, estimator)

    def _decompose_tall(self, targets, y_mean, mode, estimator):
        equations = normal_equations(
            self.X, targets, y_mean, self.weights, self.fit_intercept, estimator, worst=np.inf)
        self.x_mean = equations.x_mean
        if mode == "svd":
            R, rotated = least_squares_factor(equations, self.X, targets, self.roots)
            U, s, Vt = linalg.svd(R, full_matrices=False, check_finite=False)
            self.values, self.V, self.moments = s**2, Vt.T, s[:, None] * (U.T @ rotated)
        else:
            values, self.V = linalg.eigh(equations.gram, check_finite=False)
            # below 0 by rounding alone
            self.values, self.moments = np.maximum(values, 0.0), self.V.T @ equations.moments

    def _decompose_wide(self, mode, estimator):
        X, n = self.X, self.X.shape[0]
        is_sparse = sparse.issparse(X)
        assert_all_finite(
            X.data if is_sparse else X, estimator_name=type(estimator).__name__, input_name="X")
        self.x_mean = np.zeros(X.shape[1])
        if self.fit_intercept:
            self.x_mean = sparse_mean(X, self.weights) if is_sparse else column_moments(X, self.weights)[1]
        roots = np.ones(n) if self.roots is None else self.roots
        if mode == "svd":
            _, s, Vt = linalg.svd(wide_factor(X, self.x_mean, self.roots), check_finite=False)
            self.values, self.V = s**2, Vt.T
        else:
            products = _sparse_products(X, self.x_mean) if is_sparse else products_of_rows(X, self.x_mean)
            products = products * roots[:, None] * roots
            if self.fit_intercept:
                # the roots are a direction that X does not have; as the largest it stands apart from all others
                largest = 1.0 + 2.0 * np.abs(products).sum(axis=0).max()
                products += largest * (roots[:, None] * roots) / (roots @ roots)
            self.values, self.V = linalg.eigh(products, check_finite=False)
            self.values = np.maximum(self.values, 0.0)
            if self.fit_intercept:
                self.values, self.V = self.values[:-1], self.V[:, :-1]
        # what the direction of the roots adds to the diagonal of the inverse, times alpha
        self.surplus = self.shares if mode == "svd" else 0.0
        self.moments = self.V.T @ self.weighted

    def errors(self, alphas):
        """Slices of rows, and for each the errors times the roots of the weights: (n_alphas, n_rows, n_targets)."""
        if self.is_wide:
            yield slice(None), np.stack([self._wide_errors(alpha) for alpha in alphas])
            return
        inverse = 1.0 / (self.values[:, None] + alphas)
        # (n_features, n_alphas, n_targets)
        solutions = inverse[:, :, None] * self.moments[:, None, :]
        flat = solutions.reshape(len(solutions), -1)
        rows_of = centred_rows(self.X, self.x_mean, self.roots)
        for rows in row_slices(self.X):
            rotated = rows_of(rows) @ self.V
            fitted = (rotated @ flat).reshape(len(rotated), len(alphas), -1)
            residual = self.weighted[rows, None, :] - fitted
            rotated *= rotated
            residual /= (1.0 - self.shares[rows, None] - rotated @ inverse)[:, :, None]
            yield rows, residual.transpose(1, 0, 2)

    def _wide_errors(self, alpha):
        inverse = 1.0 / (self.values + alpha)
        return (self.V @ (inverse[:, None] * self.moments)) / (
            self.V**2 @ inverse - self.surplus / alpha)[:, None]

    def coefficients(self, alpha, targets=slice(None)):
        """Of shape (n_targets, n_features), for some of the targets."""
        inverse = 1.0 / (self.values + alpha)
        solution = self.V @ (inverse[:, None] * self.moments[:, targets])
        if not self.is_wide:
            return solution.T
        if sparse.issparse(self.X):
            dual = solution if self.roots is None else solution * self.roots[:, None]
            return (self.X.T @ dual).T - dual.sum(axis=0)[:, None] * self.x_mean
        return times_transposed(self.X, self.x_mean, self.roots, solution).T


def _sparse_products(X, x_mean):
    """(X - x_mean) (X - x_mean)^T, dense."""
    X = X.astype(np.float64)
    along = X @ x_mean
    return (X @ X.T).toarray() - along[:, None] - along + x_mean @ x_mean


