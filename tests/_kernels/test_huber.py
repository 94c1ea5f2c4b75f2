"""The objective of HuberRegressor and its minimum: the formula in NumPy, finite differences, SciPy's L-BFGS-B."""

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import minimize

from fasttrain._kernels.huber import ConcomitantHuber
from fasttrain._kernels.linear import LinearSums


def draws(seed, n=50, k=3, weighted=True):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, k)) * (rng.random((n, k)) < 0.7)
    y = X @ rng.normal(size=k) + rng.standard_t(2, size=n)
    return X, y, rng.random(n) + 0.1 if weighted else None


def kernel(X, y, weight, epsilon, alpha, intercept=True, n_threads=1, form="dense"):
    rows = X
    if form == "CSR":
        X = sparse.csr_matrix(X)
        rows = (X.data, X.indices, X.indptr, X.shape[1])
    sums = LinearSums(rows, "huber", 1.0, 1, intercept, [(y[np.newaxis], weight, None)])
    return ConcomitantHuber(sums, y, weight, epsilon, alpha, n_threads)


def formula(X, y, weight, epsilon, alpha, intercept):
    """The twin: a function from the unknowns to value and gradient."""
    weight = np.ones(len(y)) if weight is None else weight
    k = X.shape[1]

    def value_and_gradient(u):
        sigma = u[-1]
        r = y - X @ u[:k] - (u[k] if intercept else 0.0)
        far = np.abs(r) > epsilon * sigma
        rows = sigma + np.where(far, 2 * epsilon * np.abs(r) - epsilon**2 * sigma, r**2 / sigma)
        by_raw = -weight * np.where(far, 2 * epsilon * np.sign(r), 2 * r / sigma)
        by_sigma = weight @ np.where(far, 1 - epsilon**2, 1 - (r / sigma) ** 2)
        parts = [X.T @ by_raw + 2 * alpha * u[:k], [by_raw.sum()] if intercept else [], [by_sigma]]
        return weight @ rows + alpha * u[:k] @ u[:k], np.concatenate(parts)

    return value_and_gradient


def evaluated(objective, u):
    gradient = np.empty(objective.size)
    return objective.evaluate(u, gradient), gradient


@pytest.mark.parametrize("form", ["dense", "CSR"])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_value_and_gradient_are_the_formula(weighted, intercept, form):
    X, y, weight = draws(0, weighted=weighted)
    u = np.random.default_rng(1).normal(size=3 + intercept + 1)
    u[-1] = 0.7
    value, gradient = formula(X, y, weight, 1.2, 0.3, intercept)(u)
    objective = kernel(X, y, weight, 1.2, 0.3, intercept, form=form)
    found = evaluated(objective, u)
    np.testing.assert_allclose(found[0], value, rtol=1e-12)
    np.testing.assert_allclose(found[1], gradient, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(objective.raw, X @ u[:3] + (u[3] if intercept else 0.0), rtol=1e-12, atol=1e-12)


def test_the_gradient_is_the_derivative():
    X, y, weight = draws(2)
    objective = kernel(X, y, weight, 1.35, 0.1)
    u, h = np.array([0.3, -0.2, 0.5, 0.1, 1.1]), 1e-3
    _, gradient = evaluated(objective, u)
    for place, unit in enumerate(np.eye(len(u))):
        near, far = ([evaluated(objective, u + sign * m * h * unit)[0] for sign in (1, -1)] for m in (1, 2))
        slope = (8 * (near[0] - near[1]) - (far[0] - far[1])) / (12 * h)
        np.testing.assert_allclose(gradient[place], slope, rtol=1e-6, atol=1e-6)


# How far the scale may fall, of where it would end: the bound is reached at the first step, later, or never.
@pytest.mark.parametrize("lower", [1e-9, 0.5, 0.99, 1.0, 1.5, 4.0])
@pytest.mark.parametrize("seed", range(30))
def test_the_iterates_are_those_of_scipy(seed, lower):
    rng = np.random.default_rng(seed)
    size = 10.0 ** rng.uniform(-2, 2)
    X, y, weight = draws(seed, n=int(rng.integers(20, 120)), k=int(rng.integers(1, 8)), weighted=bool(seed % 2))
    y, X = y * size, X * 10.0 ** rng.uniform(-1, 1)
    epsilon, alpha, intercept = float(rng.choice([1.05, 1.35, 3.0])), float(rng.choice([0.0, 0.1])), bool(seed % 3)
    twin = formula(X, y, weight, epsilon, alpha, intercept)
    objective = kernel(X, y, weight, epsilon, alpha, intercept)
    start = np.zeros(objective.size)
    start[-1] = 5.0 * size
    free = minimize(twin, start, jac=True, method="L-BFGS-B", bounds=[(None, None)] * (len(start) - 1) + [(1e-9, None)])
    bound = lower * free.x[-1]
    options = {"gtol": 1e-6, "ftol": 1e-10, "maxiter": int(rng.choice([1, 3, 200])), "maxls": 20}
    theirs = minimize(
        twin, start, jac=True, method="L-BFGS-B", options=options,
        bounds=[(None, None)] * (len(start) - 1) + [(bound, None)])
    u = start.copy()
    value, n_iter, reason = objective.minimize(
        u, bound, options["gtol"], options["ftol"], options["maxiter"], options["maxls"])
    assert n_iter == theirs.nit, (n_iter, theirs.nit, reason, theirs.message)
    assert (reason == "iterations") == (theirs.status == 1)
    np.testing.assert_allclose(value, theirs.fun, rtol=1e-9)
    np.testing.assert_allclose(u, theirs.x, rtol=1e-5, atol=1e-6 * size)
    assert u[-1] >= bound


@pytest.mark.parametrize("seed", [35, 129, 157, 265])
def test_a_step_whose_projection_leads_up_is_cut_off(seed):
    """Of these draws the minimum of the model, put on the bound, would be uphill in one iteration."""
    rng = np.random.default_rng(seed)
    n, k = int(rng.integers(10, 60)), int(rng.integers(1, 5))
    X = rng.normal(size=(n, k)) @ rng.normal(size=(k, k)) + rng.normal() * 3
    y = X @ rng.normal(size=k) * 10 + rng.standard_t(1.5, size=n) * 10 ** rng.uniform(-2, 1)
    epsilon, alpha = float(rng.choice([1.01, 1.35, 2.0])), 0.1 * float(rng.integers(2))
    u = np.r_[rng.normal(size=k + 1) * 3, 10 ** rng.uniform(-1, 2)]
    bound = u[-1] * rng.uniform()
    theirs = minimize(
        formula(X, y, None, epsilon, alpha, True), u, jac=True, method="L-BFGS-B",
        options={"gtol": 1e-6, "ftol": 1e-10, "maxiter": 200}, bounds=[(None, None)] * (k + 1) + [(bound, None)])
    value, n_iter, _ = kernel(X, y, None, epsilon, alpha).minimize(u, bound, 1e-6, 1e-10, 200, 20)
    assert n_iter == theirs.nit
    np.testing.assert_allclose(value, theirs.fun, rtol=1e-9)
