"""Triangular factors of a tall X, without a copy of it: R and Q^T y of X = Q R, to the accuracy of a QR decomposition.

Where X^T X says how well X is conditioned, its Cholesky factor is R (well), or makes an X of nearly orthogonal columns
whose X^T X gives what is missing (CholeskyQR2: Yamamoto, Nakatsukasa, Yanagisawa, Fukaya, "Roundoff error analysis of
the CholeskyQR2 algorithm", ETNA 44, 2015), and R is built up from slices of rows where both would lose too much.
"""

import numpy as np
from scipy import linalg
from scipy.linalg import lapack

from fasttrain.linear_model._closed_form import SLICE_VALUES, row_slices
from fasttrain.linear_model._sums import centred_rows

# Reciprocal condition of X^T X with columns of length 1 down to which its Cholesky factor is R to ten digits, ...
WELL_CONDITIONED = 1e-6
# ... and down to which it makes columns that are orthogonal enough.
CHOLESKY_WORKS = 1e-13


def least_squares_factor(equations, X, targets, roots):
    """(R, Q^T y) of X - x_mean and y - y_mean, both times ``roots``; X has at least as many rows as columns.

    Parameters
    ----------
    equations : NormalEquations
        Of X, the targets and the squares of ``roots``.
    X : dense array
    targets : array of shape (n_samples, n_targets), float64
        About ``equations.y_mean``.
    roots : array of shape (n_samples,), float64, or None
        Roots of the weights.
    """
    lengths = np.sqrt(equations.gram.diagonal())
    scale = np.where(lengths > 0, lengths, 1.0)
    upper, condition = _cholesky(equations.gram / scale[:, None] / scale)
    if condition > WELL_CONDITIONED:
        R = upper * scale
        return R, linalg.solve_triangular(R, equations.moments, trans="T", check_finite=False)
    rows_of = centred_rows(X, equations.x_mean, roots)
    if condition > CHOLESKY_WORKS:
        found = _orthogonalized(rows_of, X, targets, roots, upper * scale)
        if found is not None:
            return found
    return _by_slices(rows_of, X, targets, roots)


def _cholesky(matrix):
    """(upper factor, reciprocal condition in the 1-norm); 0 where there is none."""
    upper, info = lapack.dpotrf(matrix, lower=0, clean=1)
    if info:
        return upper, 0.0
    return upper, lapack.dpocon(upper, np.abs(matrix).sum(axis=0).max(), uplo="U")[0]


def _weighted(targets, rows, roots):
    return targets[rows] if roots is None else targets[rows] * roots[rows, None]


def _orthogonalized(rows_of, X, targets, roots, R):
    """The factors by a second pass over X R^-1; None where R has made no columns that are nearly orthogonal."""
    p = len(R)
    products, moments = np.zeros((p, p)), np.zeros((p, targets.shape[1]))
    for rows in row_slices(X):
        part = linalg.solve_triangular(R, rows_of(rows).T, trans="T", check_finite=False, overwrite_b=True)
        products += part @ part.T
        moments += part @ _weighted(targets, rows, roots)
    if not np.abs(products - np.eye(p)).sum(axis=0).max() < 0.5:
        return None
    upper, info = lapack.dpotrf(products, lower=0, clean=1)
    if info:
        return None
    return upper @ R, linalg.solve_triangular(upper, moments, trans="T", check_finite=False)


def _by_slices(rows_of, X, targets, roots):
    p = X.shape[1]
    R = np.empty((0, p + targets.shape[1]))
    for rows in row_slices(X):
        slice_of_both = np.concatenate([rows_of(rows), _weighted(targets, rows, roots)], axis=1)
        R = np.linalg.qr(np.concatenate([R, slice_of_both]), mode="r")
    return R[:p, :p], R[:p, p:]


def wide_factor(X, x_mean, roots):
    """R of the transposed X - x_mean, times ``roots``: (n_samples, n_samples) of an X with more columns than rows."""
    n, p = X.shape
    R = np.empty((0, n))
    step = max(n, SLICE_VALUES // n)
    for first in range(0, p, step):
        part = X[:, first:first + step].T.astype(np.float64)
        part -= x_mean[first:first + step, None]
        if roots is not None:
            part *= roots
        R = np.linalg.qr(np.concatenate([R, part]), mode="r")
    return R


def times_transposed(X, x_mean, roots, dual):
    """(X - x_mean)^T (roots dual), of shape (n_features, n_targets), for a dense X with more columns than rows."""
    n, p = X.shape
    if roots is not None:
        dual = dual * roots[:, None]
    out = np.empty((p, dual.shape[1]))
    step = max(1, SLICE_VALUES // n)
    for first in range(0, p, step):
        part = X[:, first:first + step].astype(np.float64)
        part -= x_mean[first:first + step]
        out[first:first + step] = part.T @ dual
    return out
