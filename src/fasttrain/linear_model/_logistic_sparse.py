"""Logistic regression with an l1 part in its penalty: proximal Newton for two classes, for more L-BFGS-B on the
two signs of each coefficient."""

import numpy as np
from scipy.optimize import minimize

from fasttrain._core.blas import serial_blas
from fasttrain._kernels.threads import thread_budget
from fasttrain.linear_model import _proximal
from fasttrain.linear_model._logistic_problem import FTOL, Minimum

# Unknowns of many classes up to which all steps are made with a Hessian matrix, and up to which the last ones are.
FEW_UNKNOWNS, MATRIX_UNKNOWNS = 100, 300


def minimize_sparse(problem, fits, l1, l2, *, tol, max_iter, start=None, stop=None):
    """As :meth:`Problem.lbfgs`, with ``l1 |w|_1 + l2 / 2 |w|^2`` over the coefficients; one fit after the other.

    ``stop``: a :class:`Stop` that ends those of two classes with :class:`Stopped`.
    """
    found = []
    with thread_budget(problem.n_threads) as n_threads:
        for j, fit in enumerate(fits):
            x = start
            for i in range(np.shape(l2)[1]):
                strength = float(l1[j, i] + l2[j, i])
                found.append(_minimize(
                    problem, int(fit), float(l1[j, i]), float(l2[j, i]),
                    tol * min(1.0, _proximal.OF_STRENGTH * strength), max_iter, x, n_threads, stop))
                x = found[-1][0]
    shape = np.shape(l2)
    x, n_iter, reason, gradient = (list(parts) for parts in zip(*found))
    return Minimum(
        np.reshape(x, (*shape, *problem.shape)), np.reshape(n_iter, shape), np.reshape(reason, shape),
        np.reshape(gradient, shape))


def _minimize(problem, fit, l1, l2, tol, max_iter, start, n_threads, stop):
    """(x, iterations, reason, largest violation)."""
    x = np.zeros(problem.shape) if start is None else np.array(start, dtype=np.float64).reshape(problem.shape)
    k = problem.columns.shape[1] if problem.is_binary else problem.X.shape[1]
    if problem.is_binary:
        # of an intercept that is penalized the unknown is the coefficient of a constant
        scale = 1.0 if problem.constant is None else problem.constant
        x[:, k:] *= scale
        model = _proximal.ByColumns(
            problem.columns, "binary_crossentropy", problem.codes.astype(np.float64), problem.row_weights(fit), l2,
            x.shape[1] > k, n_threads, 0.0 if problem.constant is None else l1 / scale)
        end = _proximal.minimize(model, *_parts(x, k), l1=l1, tol=tol, max_iter=max_iter, stop=stop)
        x, *account = _end(end, x.shape)
        x[:, k:] /= scale
        return x, *account
    n_iter, reason = 0, "value"
    if x.size > FEW_UNKNOWNS:
        x, n_iter, reason, worst = _by_signs(problem, fit, l1, l2, tol, max_iter, x, n_threads)
    if reason == "value" and x.size <= MATRIX_UNKNOWNS:
        model = _proximal.ByMatrix(problem, fit, l2, n_threads)
        x, more, reason, worst = _end(_proximal.minimize(
            model, *_parts(x, k), l1=l1, tol=tol, max_iter=max(max_iter - n_iter, 0)), x.shape)
        n_iter += more
    return x, n_iter, reason, worst


def _parts(x, k):
    return x[:, :k].ravel(), x[:, k:].ravel()


def _end(end, shape):
    x = np.hstack([end.w.reshape(shape[0], -1), end.b.reshape(shape[0], -1)])
    return x, end.n_iter, end.reason, end.worst


def _by_signs(problem, fit, l1, l2, tol, max_iter, x, n_threads):
    n_outputs, k1 = problem.shape
    k = problem.X.shape[1]
    size = n_outputs * k

    def whole(parts):
        x = np.empty(problem.shape)
        x[:, :k] = (parts[:size] - parts[size:2 * size]).reshape(n_outputs, k)
        x[:, k:] = parts[2 * size:].reshape(n_outputs, k1 - k)
        return x

    def function(parts):
        value, gradient = problem.value_and_gradient(whole(parts), fit, l2, n_threads)
        by_coef = gradient[:, :k].ravel()
        gradient = np.concatenate([by_coef + l1, l1 - by_coef, gradient[:, k:].ravel()])
        return value + l1 * parts[:2 * size].sum(), gradient

    n_iter, reason = 0, "iterations"
    if max_iter:
        coef = x[:, :k].ravel()
        parts = np.concatenate([np.maximum(coef, 0.0), np.maximum(-coef, 0.0), x[:, k:].ravel()])
        bounds = [(0.0, None)] * (2 * size) + [(None, None)] * (n_outputs * (k1 - k))
        with serial_blas():
            ended = minimize(function, parts, jac=True, method="L-BFGS-B", bounds=bounds, options={
                "maxiter": max_iter, "gtol": tol, "ftol": FTOL, "maxls": 50, "maxfun": 100 * max_iter})
        x, n_iter = whole(ended.x), min(int(ended.nit), max_iter)
        reason = "iterations" if ended.status == 1 else "gradient"
    gradient = problem.value_and_gradient(x, fit, l2, n_threads)[1]
    worst = max(
        _proximal.violations(x[:, :k], gradient[:, :k], l1).max(initial=0.0), abs(gradient[:, k:]).max(initial=0.0))
    return x, n_iter, "value" if reason == "gradient" and worst > tol else reason, float(worst)
