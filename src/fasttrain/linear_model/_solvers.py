"""Least squares with a ridge: from sums, from factors, and by iterations.

All give coefficients of shape (n_targets, n_features), for each target those that minimize
|y - X w|^2 + alpha |w|^2 over data about their means.
"""

import inspect

import numpy as np
from scipy import linalg, optimize
from scipy.linalg import lapack
from scipy.sparse import linalg as sparse_linalg
from sklearn.exceptions import ConvergenceWarning

from fasttrain._core.warned import warn

# SciPy has renamed it.
_TOLERANCE = "rtol" if "rtol" in inspect.signature(sparse_linalg.cg).parameters else "tol"
# Singular values that scikit-learn takes for 0.
_NO_VALUE = 1e-15
_EPS = np.finfo(np.float64).eps


def by_cholesky(gram, moments, alpha):
    """(gram + alpha I) w = moments; LinAlgError where that is singular."""
    if (alpha == alpha[0]).all():
        return _positive_solve(gram, moments, alpha[0]).T
    return np.stack([_positive_solve(gram, moment, strength) for moment, strength in zip(moments.T, alpha)])


def _positive_solve(gram, moments, alpha):
    matrix = gram.copy()
    matrix.flat[:: len(gram) + 1] += alpha
    # LAPACK itself, as SciPy asks it: its checks take longer than a small system
    factor, failed = lapack.dpotrf(matrix)
    if not failed and lapack.dpocon(factor, np.abs(matrix).sum(axis=0).max())[0] >= _EPS:
        return lapack.dpotrs(factor, moments)[0]
    # it warns of the condition, or says that there is no factor
    return linalg.solve(matrix, moments, assume_a="pos", overwrite_a=True, check_finite=False)


def by_dual(products, targets, alpha):
    """Dual coefficients (n_samples, n_targets) from X X^T; least squares, with a warning, where it is singular."""
    try:
        return by_cholesky(products, targets, alpha).T
    except np.linalg.LinAlgError:
        if not (alpha == alpha[0]).all():
            raise
    warn(
        "Singular matrix in solving dual problem. Using least-squares solution instead.")
    matrix = products.copy()
    matrix.flat[:: len(products) + 1] += alpha[0]
    return linalg.lstsq(matrix, targets)[0]


def by_svd(R, rotated, alpha):
    """From X = Q R and ``rotated`` = Q^T y; directions that X does not have are left out."""
    U, s, Vt = linalg.svd(R, full_matrices=False, check_finite=False)
    kept = s > max(_NO_VALUE, np.finfo(float).eps * max(R.shape) * s[0])
    factors = np.zeros((len(s), len(alpha)))
    factors[kept] = s[kept, None] / (s[kept, None] ** 2 + alpha)
    return (Vt.T @ (factors * (U.T @ rotated))).T


def by_conjugate_gradients(operator, moments, alpha, tol, max_iter):
    """(operator + alpha I) w = moments; ``operator`` takes vectors."""
    size = len(moments)
    return np.stack([
        sparse_linalg.cg(
            sparse_linalg.LinearOperator((size, size), lambda w, a=strength: operator(w) + a * w, dtype=np.float64),
            moment, maxiter=max_iter, **{_TOLERANCE: tol})[0]
        for moment, strength in zip(moments.T, alpha)
    ])


def by_lsqr(matrix, targets, alpha, tol, max_iter):
    """(coefficients, iterations of each target) by LSQR on a matrix or operator."""
    coef, n_iter = np.empty((targets.shape[1], matrix.shape[1])), np.empty(targets.shape[1], dtype=np.int32)
    for i, (target, strength) in enumerate(zip(targets.T, alpha)):
        coef[i], _, n_iter[i] = sparse_linalg.lsqr(
            matrix, target, damp=np.sqrt(strength), atol=tol, btol=tol, iter_lim=max_iter)[:3]
    return coef, n_iter


def by_bounded_lbfgs(matrix, targets, alpha, tol, max_iter):
    """Coefficients >= 0, by L-BFGS-B."""
    coef = np.empty((targets.shape[1], matrix.shape[1]))
    options = {} if max_iter is None else {"maxiter": max_iter}
    for i, (target, strength) in enumerate(zip(targets.T, alpha)):

        def objective(w, target=target, strength=strength):
            residual = matrix @ w - target
            value = 0.5 * (residual @ residual) + 0.5 * strength * (w @ w)
            return value, matrix.T @ residual + strength * w

        found = optimize.minimize(
            objective, np.zeros(matrix.shape[1]), method="L-BFGS-B", tol=tol, jac=True, options=options,
            bounds=[(0, np.inf)] * matrix.shape[1])
        if not found.success:
            warn(
                "The lbfgs solver did not converge. Try increasing max_iter or tol. "
                f"Currently: max_iter={max_iter} and tol={tol}", ConvergenceWarning)
        coef[i] = found.x
    return coef


def with_residual(R, rotated, targets, roots):
    """R and Q^T y with a last row of what no w reaches, so that residuals keep their lengths."""
    weighted = targets if roots is None else targets * roots[:, None]
    rest = np.sqrt(np.maximum(np.einsum("ij,ij->j", weighted, weighted) - np.einsum("ij,ij->j", rotated, rotated), 0))
    # a residual that differs from target to target is one row for all, as each is solved on its own
    return np.concatenate([R, np.zeros((1, R.shape[1]))]), np.concatenate([rotated, rest[None]])


def centred_operator(X, x_mean, roots):
    """roots (X - x_mean) as a LinearOperator."""
    n, _ = X.shape
    ones = np.ones(n) if roots is None else roots

    def product(w):
        return ones * (X @ w - x_mean @ w)

    def transposed(residual):
        weighted = ones * residual
        return X.T @ weighted - x_mean * weighted.sum()

    return sparse_linalg.LinearOperator(X.shape, matvec=product, rmatvec=transposed, dtype=np.float64)
