"""The compiled L-BFGS against SciPy's, iterate for iterate, and many fits at once against each alone."""

import numpy as np
import pytest
from scipy.optimize import minimize

from fasttrain._kernels.coordinate import Stop, Stopped
from fasttrain._kernels.lbfgs import REASONS, minimize_fits
from fasttrain._kernels.linear import LinearSums

FTOL = 64 * np.finfo(float).eps


def problem(n, k, n_classes, seed=0, spread=1.0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, k)) * spread ** np.linspace(-1, 1, k)
    code = (X @ rng.standard_normal((k, n_classes)) + 2 * rng.standard_normal((n, n_classes))).argmax(axis=1)
    return X, code.astype(float)


def sums_of(X, code, n_classes, held=((),)):
    binary = n_classes == 2
    y = code.reshape(1, -1) if binary else code
    return LinearSums(
        X, "binary_crossentropy" if binary else "softmax_crossentropy", 1.0, 1 if binary else n_classes, True,
        [(y, None, np.asarray(h, dtype=np.int64)) for h in held])


def run(sums, fits, scale, l2, *, gtol=1e-4, ftol=FTOL, max_iter=100, start=None, n_threads=1, stop=None):
    """(x, values, gradients, n_iter, reasons) of each job and l2."""
    fits, l2 = np.asarray(fits, dtype=np.intp), np.asarray(l2, dtype=float)
    n_jobs, n_path = l2.shape
    start = np.zeros((n_jobs, sums.size)) if start is None else start
    x, numbers = np.empty((n_jobs, n_path, sums.size)), np.empty((2, n_jobs, n_path))
    counts = np.empty((2, n_jobs, n_path), dtype=np.intp)
    minimize_fits(sums, fits, start, np.asarray(scale, dtype=float), l2, gtol, ftol, max_iter, x, *numbers, *counts,
                  n_threads, stop)
    return x, *numbers, counts[0], np.array(REASONS)[counts[1]]


def objective(sums, fit, scale, l2):
    size = sums.size

    def function(x):
        value, gradient = np.empty(1), np.empty((1, size))
        sums.evaluate(np.ascontiguousarray(x[None]), value, gradient, np.array([fit], dtype=np.intp))
        w = x.reshape(sums.n_outputs, -1).copy()
        w[:, -1] = 0
        return scale * value[0] + l2 / 2 * (w**2).sum(), scale * gradient[0] + l2 * w.ravel()

    return function


@pytest.mark.parametrize("n_classes", [2, 3, 5])
@pytest.mark.parametrize("n, k, spread", [(60, 3, 1), (200, 20, 3), (90, 150, 1), (400, 8, 30)])
def test_iterates_of_scipy(n, k, spread, n_classes):
    X, code = problem(n, k, n_classes, spread=spread)
    sums = sums_of(X, code, n_classes)
    for C in (1e-3, 1.0, 1e4):
        for max_iter in (1, 2, 5, 12):
            l2 = 1 / (C * n)
            x, value, gradient, n_iter, reason = run(sums, [0], [1 / n], [[l2]], max_iter=max_iter)
            expected = minimize(
                objective(sums, 0, 1 / n, l2), np.zeros(sums.size), jac=True, method="L-BFGS-B",
                options={"maxiter": max_iter, "gtol": 1e-4, "ftol": FTOL, "maxls": 50})
            assert n_iter[0, 0] == expected.nit
            assert (reason[0, 0] == "iterations") == (expected.status == 1)
            np.testing.assert_allclose(x[0, 0], expected.x, rtol=1e-7, atol=1e-9)
            np.testing.assert_allclose(value[0, 0], expected.fun, rtol=1e-10)
            np.testing.assert_allclose(gradient[0, 0], abs(expected.jac).max(), rtol=1e-5, atol=1e-10)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_many_fits_are_each_alone(n_classes):
    X, code = problem(300, 7, n_classes)
    held = [(), np.arange(100), np.arange(100, 200), np.arange(200, 300)]
    sums = sums_of(X, code, n_classes, held)
    fits = np.repeat(np.arange(4), 3)
    scale = 1 / (300 - np.array([len(h) for h in held]))[fits]
    l2 = (np.tile([0.1, 1, 10], 4) * scale)[:, None]
    x, _, gradient, n_iter, reason = run(sums, fits, scale, l2, gtol=1e-8, ftol=0)
    assert (gradient <= 1e-8).all()
    assert (reason == "gradient").all()
    for j, fit in enumerate(fits):
        alone = run(sums, [fit], scale[[j]], l2[[j]], gtol=1e-8, ftol=0)
        np.testing.assert_allclose(x[j], alone[0][0], rtol=1e-5, atol=1e-6)
        assert abs(n_iter[j, 0] - alone[3][0, 0]) <= 2
    for n_threads in (2, 3):
        assert run(sums, fits, scale, l2, gtol=1e-8, ftol=0, n_threads=n_threads)[0].tobytes() == x.tobytes()


def test_a_path_begins_where_the_last_point_ended():
    X, code = problem(200, 6, 2)
    sums = sums_of(X, code, 2)
    l2 = np.array([[1.0, 0.1, 0.01]])
    x, _, _, n_iter, _ = run(sums, [0], [1 / 200], l2)
    start = np.zeros((1, sums.size))
    for i in range(3):
        one = run(sums, [0], [1 / 200], l2[:, [i]], start=start)
        np.testing.assert_array_equal(one[0][0, 0], x[0, i])
        assert one[3][0, 0] == n_iter[0, i]
        start = one[0][:, 0].copy()
    at_rest = run(sums, [0], [1 / 200], l2[:, [2]], start=start)
    assert at_rest[3][0, 0] == 0
    assert at_rest[4][0, 0] == "gradient"


def test_what_is_not_finite_is_told():
    X, code = problem(50, 3, 2)
    X[7, 1] = np.inf
    assert run(sums_of(X, code, 2), [0], [1 / 50], [[0.1]], start=np.ones((1, 4)))[4][0, 0] == "not_finite"


def test_another_thread_ends_them():
    X, code = problem(60, 3, 2)
    stop = Stop()
    expected = run(sums_of(X, code, 2), [0], [1 / 60], [[1.0]])
    np.testing.assert_array_equal(run(sums_of(X, code, 2), [0], [1 / 60], [[1.0]], stop=stop)[0], expected[0])
    stop.set()
    with pytest.raises(Stopped):
        run(sums_of(X, code, 2), [0], [1 / 60], [[1.0]], stop=stop)
