"""Linear models with squared hinge or squared epsilon-insensitive loss and L2: where Newton's method starts and how."""

import numpy as np

from fasttrain._kernels.linear import LinearSums
from fasttrain._kernels.squared_margins import SquaredMargins
from fasttrain.linear_model._row_sums import rows_of_kernel
from fasttrain.linear_model._sums import csr_of_kernel

# Up to so many features the Hessian is made; beyond them it is multiplied by, which reads X for each product.
HESSIAN_FEATURES = 512
# From so many rows on, the start is the minimum for every so many-th of them, to so much of the gradient at zeros.
FIRST_ROWS = 20_000
FIRST_STEP = 16
FIRST_TOLERANCE = 1e-3


def minimize_squared_margins(X, loss, targets, weights, C, penalties, n_threads, tolerances, max_iter, tell=None):
    """All models, until the norm of each one's gradient is at most its ``tolerances`` of that at zeros.

    Parameters
    ----------
    X : array or CSR matrix, float64
    loss : SquaredHinge or SquaredEpsilonInsensitive
    targets : array of shape (n_models, n_samples), float64
    weights : array of shape (n_models, n_samples) or (n_samples,), float64, or None
    C : float
    penalties : array of shape (size,)
        Of the coefficients and the intercept where there is one. The gradient that is judged is by the unknowns times
        their roots, which has them all 1.
    n_threads : int
    tolerances : array of shape (n_models,)
    max_iter : int
    tell : callable, default=None
        Told of w after each step over all rows; where it is true, that is the end.

    Returns
    -------
    w : array of shape (n_models, size)
    n_iter : array of shape (n_models,)
        Newton steps over all rows of each.
    converged : bool
        Whether none was ended by ``max_iter``.
    """
    n_models, n_samples = targets.shape
    by_products = X.shape[1] > HESSIAN_FEATURES
    problem = _problem(X, loss, targets, weights, C, penalties, by_products, n_threads)
    w, n_iter = np.zeros((n_models, len(penalties))), np.zeros(n_models, dtype=np.intp)
    allowed = tolerances * problem.begin(w)
    if max_iter and n_samples >= FIRST_ROWS and not by_products:
        # the rows that count at the minimum for a few are nearly those that will
        few = slice(None, None, FIRST_STEP)
        some = None if weights is None else np.ascontiguousarray(weights[..., few])
        w = minimize_squared_margins(
            X[few].copy(), loss, np.ascontiguousarray(targets[:, few]), some, C * FIRST_STEP, penalties, n_threads,
            np.full(n_models, FIRST_TOLERANCE), max_iter)[0]
        problem.begin(w)
    converged = problem.minimize(w, allowed, max_iter, n_iter, tell)
    return w, n_iter, converged


def _problem(X, loss, targets, weights, C, penalties, by_products, n_threads):
    rows, n_samples, fit_intercept = rows_of_kernel(X), targets.shape[1], len(penalties) > X.shape[1]
    by_model = None if weights is None else np.ascontiguousarray(weights.reshape(-1, n_samples))
    sums = LinearSums(rows, loss.name, loss.parameter, 1, fit_intercept, [
        (y[np.newaxis], None if weights is None else by_model[k if len(by_model) > 1 else 0], None)
        for k, y in enumerate(targets)])
    products = csr = None
    if by_products:
        of_rows = np.empty(n_samples)
        products = LinearSums(
            rows, "half_squared_error", 1.0, 1, fit_intercept, [(np.zeros((1, n_samples)), of_rows, None)]), of_rows
    elif isinstance(rows, tuple):
        csr = csr_of_kernel(X)
    return SquaredMargins(sums, csr, targets, by_model, C, penalties, products, n_threads)


__all__ = ["HESSIAN_FEATURES", "minimize_squared_margins"]
