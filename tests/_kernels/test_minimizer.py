"""L-BFGS told of values and gradients, against SciPy's, iterate for iterate."""

import numpy as np
import pytest
from scipy.optimize import minimize, rosen, rosen_der

from fasttrain._kernels.minimizer import REASONS, Minimizer

FTOL = 64 * np.finfo(float).eps


def bowl(n):
    """Logistic regression on columns of unlike widths."""
    rng = np.random.default_rng(n)
    A = rng.standard_normal((3 * n, n)) * 3.0 ** np.linspace(-1, 1, n)
    b = rng.integers(0, 2, 3 * n)

    def function(x):
        z = A @ x
        return (
            float((np.logaddexp(0, z) - b * z).sum() + 0.05 * x @ x),
            A.T @ (0.5 * (1 + np.tanh(z / 2)) - b) + 0.1 * x)

    return function


OBJECTIVES = {
    "rosenbrock": (lambda x: (rosen(x), rosen_der(x)), np.array([-1.2, 1.0, 0.3])),
    "bowl of 1": (bowl(1), np.ones(1)),
    "bowl of 40": (bowl(40), np.zeros(40)),
}


def run(function, start, *, gtol=1e-8, ftol=FTOL, max_iter=200, max_evaluations=15000, max_line_search=20):
    """(iterates, their values, reason, evaluations)."""
    it = Minimizer(start, gtol, ftol, max_iter, max_evaluations, max_line_search)
    iterates, values, reason, n = [], [], 0, 0
    while not reason:
        value, it.gradient[:] = function(it.x.copy())
        reason, n = it.advance(value), n + 1
        if it.n_iter > len(iterates):
            x, value, gradient = it.iterate
            np.testing.assert_array_equal(gradient, function(x)[1])
            assert value == function(x)[0]
            iterates.append(x.copy())
            values.append(value)
    x, value, gradient = it.iterate
    assert x is it.x
    assert gradient is it.gradient
    return iterates, values, REASONS[reason], n


@pytest.mark.parametrize("name", OBJECTIVES)
def test_iterates_of_scipy(name):
    function, start = OBJECTIVES[name]
    expected = []
    options = {"gtol": 1e-8, "ftol": FTOL, "maxiter": 12}
    found = minimize(function, start, jac=True, method="L-BFGS-B", callback=lambda x: expected.append(x.copy()),
                     options=options)
    iterates, values, _, n = run(function, start, max_iter=12)
    assert (len(iterates), n) == (found.nit, found.nfev)
    np.testing.assert_allclose(iterates, expected, rtol=1e-6, atol=1e-8)
    assert (np.diff(values) < 0).all()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_minimum(name):
    function, start = OBJECTIVES[name]
    _, values, reason, _ = run(function, start, max_iter=2000)
    assert reason in ("gradient", "value")
    found = minimize(function, start, jac=True, method="BFGS", options={"gtol": 1e-9, "maxiter": 5000})
    assert values[-1] == pytest.approx(found.fun, rel=1e-9, abs=1e-12)


def test_reasons():
    function, start = OBJECTIVES["rosenbrock"]
    assert run(function, start, max_iter=3)[2] == "iterations"
    assert run(function, start, max_evaluations=4)[2] == "evaluations"
    assert run(function, np.ones(3))[::2] == ([], "gradient")
    assert run(function, start, ftol=0.5)[2] == "value"
    assert run(lambda x: (np.nan, x), start)[2] == "not_finite"
    # what its gradient says goes down goes up
    assert run(lambda x: (float(x @ x), -2 * x), start)[2] == "abnormal"


def test_the_start_is_not_written_to():
    function, start = OBJECTIVES["rosenbrock"]
    start = start.copy()
    start.flags.writeable = False
    run(function, start)
    np.testing.assert_array_equal(start, OBJECTIVES["rosenbrock"][1])
