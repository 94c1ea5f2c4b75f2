"""Objectives by unknowns in other units, against NumPy and fourth-order differences."""

import numpy as np
import pytest

from fasttrain._kernels.scaled import Scaling


def coefficients(x, factor, centre, offset, spread, fit_intercept):
    """NumPy's twin: (coef, intercept)."""
    u = x[:factor.size].reshape(factor.shape)
    coef = factor * u
    return coef, (offset + spread * x[factor.size:] - coef @ centre if fit_intercept else np.zeros(len(coef)))


def objective(x, factor, ridge, centre, offset, spread, divisor, fit_intercept, loss):
    coef, intercept = coefficients(x, factor, centre, offset, spread, fit_intercept)
    u = x[:factor.size].reshape(factor.shape)
    return loss(coef, intercept) / divisor + (ridge * u**2).sum() / 2


def differences(function, x, h=1e-3):
    """Derivatives of fourth order."""
    found = np.empty_like(x)
    for i in range(len(x)):
        e = np.zeros_like(x)
        e[i] = h
        found[i] = (8 * (function(x + e) - function(x - e)) - (function(x + 2 * e) - function(x - 2 * e))) / (12 * h)
    return found


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("n_outputs, k", [(1, 1), (1, 7), (3, 5)])
def test_against_numpy_and_differences(n_outputs, k, fit_intercept):
    rng = np.random.default_rng(k + n_outputs)
    factor, ridge = rng.uniform(0.5, 2, (n_outputs, k)), rng.uniform(0, 1, (n_outputs, k))
    factor[0, 0] = 0.0
    centre, offset, spread = rng.standard_normal(k), rng.standard_normal(n_outputs), rng.uniform(1, 3, n_outputs)
    Q, q = rng.standard_normal((n_outputs, k)), rng.standard_normal(n_outputs)

    def loss(coef, intercept):
        return np.sin(coef * Q).sum() + (intercept * q).sum() ** 2

    given = (factor, ridge, centre, offset, spread, 1.7, fit_intercept)
    scaling = Scaling(*given)
    x = rng.standard_normal(n_outputs * (k + fit_intercept))
    w = np.full((n_outputs, k + fit_intercept), np.nan)
    scaling.coefficients(x, w)
    coef, intercept = coefficients(x, factor, centre, offset, spread, fit_intercept)
    np.testing.assert_allclose(w[:, :k], coef, rtol=1e-14)
    if fit_intercept:
        np.testing.assert_allclose(w[:, k], intercept, rtol=1e-13, atol=1e-14)
    slopes = Q * np.cos(coef * Q)
    if fit_intercept:
        slopes = np.column_stack((slopes, 2 * (intercept * q).sum() * q))
    gradient = np.full(len(x), np.nan)
    value = scaling.value_and_gradient(x, loss(coef, intercept), slopes, gradient)

    def whole(x):
        return objective(x, factor, ridge, centre, offset, spread, 1.7, fit_intercept, loss)

    np.testing.assert_allclose(value, whole(x), rtol=1e-13)
    np.testing.assert_allclose(gradient, differences(whole, x), rtol=1e-7, atol=1e-8)
