"""Logistic regression with an l1 part in its penalty: L-BFGS-B on the two signs of each coefficient, then Newton's
method among the coefficients that are not zero."""

import numpy as np
from scipy import linalg
from scipy.optimize import minimize

from fasttrain._core.blas import serial_blas
from fasttrain._kernels.threads import thread_budget
from fasttrain.linear_model._logistic_problem import FTOL, POLISH_UNKNOWNS, Minimum

# Newton's steps at most, once the signs are found.
_STEPS = 5


def residual(x, gradient, l1, k):
    """Largest violation of the conditions of a minimum, of each unknown: ``gradient`` is of all but the l1 part."""
    coef, g = x[:, :k], gradient.copy()
    g[:, :k] = np.where(coef != 0, g[:, :k] + l1 * np.sign(coef), np.sign(g[:, :k]) * np.maximum(
        abs(g[:, :k]) - l1, 0.0))
    return g


def minimize_sparse(problem, fits, l1, l2, *, tol, max_iter, start=None):
    """As :meth:`Problem.lbfgs`, with ``l1 |w|_1 + l2 / 2 |w|^2`` over the coefficients; one fit after the other."""
    found = []
    with thread_budget(problem.n_threads) as n_threads, serial_blas():
        for j, fit in enumerate(fits):
            x = start
            for i in range(np.shape(l2)[1]):
                found.append(_minimize(
                    problem, int(fit), float(l1[j, i]), float(l2[j, i]), tol, max_iter, x, n_threads))
                x = found[-1][0]
    shape = np.shape(l2)
    x, n_iter, reason, gradient = (list(parts) for parts in zip(*found))
    return Minimum(
        np.reshape(x, (*shape, *problem.shape)), np.reshape(n_iter, shape), np.reshape(reason, shape),
        np.reshape(gradient, shape))


def _minimize(problem, fit, l1, l2, tol, max_iter, start, n_threads):
    """(x, iterations, reason, largest violation)."""
    n_outputs, k1 = problem.shape
    k = problem.X.shape[1]
    size = n_outputs * k
    x = np.zeros(problem.shape) if start is None else np.array(start, dtype=np.float64).reshape(problem.shape)

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
        ended = minimize(function, parts, jac=True, method="L-BFGS-B", bounds=bounds, options={
            "maxiter": max_iter, "gtol": tol, "ftol": FTOL, "maxls": 50, "maxfun": 100 * max_iter})
        x, n_iter = whole(ended.x), min(int(ended.nit), max_iter)
        reason = "iterations" if ended.status == 1 else "gradient"
    gradient = problem.value_and_gradient(x, fit, l2, n_threads)[1]
    worst = float(abs(residual(x, gradient, l1, k)).max())
    if reason == "gradient" and worst > tol:
        x, worst = _polished(problem, fit, l1, l2, tol, x, gradient, n_threads)
        reason = "value"
    return x, n_iter, reason, worst


def _polished(problem, fit, l1, l2, tol, x, gradient, n_threads):
    """(x, largest violation) after Newton's steps that keep all signs and lower the violation."""
    k = problem.X.shape[1]
    violated = residual(x, gradient, l1, k)
    for _ in range(_STEPS):
        free = x != 0
        free[:, k:] = True
        if abs(violated).max() <= tol or free.sum() > POLISH_UNKNOWNS or x.size > 2 * POLISH_UNKNOWNS:
            break
        H = problem.hessian(x, fit, l2)
        if not problem.is_binary and problem.fit_intercept:
            # intercepts moved together change nothing
            places = np.arange(k, x.size, x.shape[1])
            H[places[:, None], places] += np.trace(H) / len(H)
        at = np.flatnonzero(free.ravel())
        try:
            step = linalg.solve(H[np.ix_(at, at)], -violated.ravel()[at], check_finite=False, assume_a="pos")
        except (np.linalg.LinAlgError, linalg.LinAlgWarning):
            break
        new = x.copy()
        new.ravel()[at] += step
        if (np.sign(new[:, :k]) != np.sign(x[:, :k])).any():
            break
        new_violated = residual(new, problem.value_and_gradient(new, fit, l2, n_threads)[1], l1, k)
        if not abs(new_violated).max() < abs(violated).max():
            break
        x, violated = new, new_violated
    return x, float(abs(violated).max())
