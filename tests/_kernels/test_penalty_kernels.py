"""Penalties: value, gradient and proximal step against their twins and against what defines them."""

import numpy as np
import pytest
import reference
import tolerances

from fasttrain._kernels import penalties as kernel

DTYPES = [np.float32, np.float64]
FACTORS = [(0.0, 0.0), (0.3, 0.0), (0.0, 0.7), (0.3, 0.7)]
SIZES = [0, 1, 2, 3, 5, 15, 16, 17, *range(31, 131, 11), 1000]


def weights(n, dtype):
    w = np.random.default_rng(n).normal(size=n).astype(dtype)
    w[::5] = 0
    w[2::7] = 0.3
    w[3::7] = -0.3
    return w


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("l1, l2", FACTORS)
def test_twins(l1, l2, dtype):
    for n in SIZES:
        w = weights(n, dtype)
        exact = w.astype(np.longdouble)
        value = reference.penalty_value(exact, l1, l2)
        assert abs(kernel.value(w, l1, l2) - value) <= tolerances.sum_bound(n, value, np.float64)
        g = np.random.default_rng(1).normal(size=n).astype(dtype)
        expected = g + reference.penalty_gradient(exact, l1, l2)
        kernel.gradient(w, g, l1, l2)
        assert (abs(g - expected) <= tolerances.formula(dtype, 1 + abs(exact))).all()
        moved = w.copy()
        kernel.prox(moved, l1, l2)
        expected = reference.penalty_prox(exact, float(dtype(l1)), l2)
        assert (abs(moved - expected) <= tolerances.formula(dtype, abs(exact))).all()
        np.testing.assert_array_equal(moved == 0, expected == 0)


@pytest.mark.parametrize("l1, l2", FACTORS)
def test_gradient_is_the_difference_of_values(l1, l2):
    h = 1e-3
    w = weights(40, np.float64)
    g = np.zeros(40)
    kernel.gradient(w, g, l1, l2)
    for i in np.flatnonzero(abs(w) > 3 * h):

        def at(step, i=i):
            moved = w.copy()
            moved[i] += step
            return kernel.value(moved, l1, l2)

        difference = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
        np.testing.assert_allclose(g[i], difference, **tolerances.DIFFERENCE)
    np.testing.assert_array_equal(g[w == 0], 0)


@pytest.mark.parametrize("l1, l2", FACTORS)
def test_prox_is_the_minimizer(l1, l2):
    w = weights(60, np.float64)
    u = w.copy()
    kernel.prox(u, l1, l2)
    grid = np.linspace(-4, 4, 4001)[:, None]
    objective = (grid - w) ** 2 / 2 + l1 * abs(grid) + l2 / 2 * grid**2
    at_u = (u - w) ** 2 / 2 + l1 * abs(u) + l2 / 2 * u**2
    assert (at_u <= objective.min(axis=0) + 1e-15).all()
    assert (u[abs(w) <= l1] == 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_and_layouts(dtype):
    w = weights(101, dtype)
    buffer = np.full(111, np.nan, dtype)
    for offset in (1, 3):
        view = buffer[offset : offset + 101]
        view[:] = w
        kernel.prox(view, 0.1, 0.2)
        aligned = w.copy()
        kernel.prox(aligned, 0.1, 0.2)
        np.testing.assert_array_equal(view, aligned)
        assert np.isnan(buffer[:offset]).all()
        assert np.isnan(buffer[offset + 101 :]).all()
        buffer[:] = np.nan
    w[50] = np.nan
    w.flags.writeable = False
    g = np.zeros_like(w)
    kernel.gradient(w, g, 0.1, 0.2)
    moved = w.copy()
    kernel.prox(moved, 0.1, 0.2)
    assert np.isnan(kernel.value(w, 0.1, 0.0))
    assert np.isnan(kernel.value(w, 0.0, 0.1))
    for result in (g, moved):
        np.testing.assert_array_equal(np.isnan(result), np.arange(101) == 50)


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"g_io must have shape \(3,\), got \(2,\)"):
        kernel.gradient(np.ones(3), np.ones(2), 0.1, 0.1)
