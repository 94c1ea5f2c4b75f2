"""Every activation in the kernel's registry: against its twin, against differences, over sizes, layouts and
threads."""

import numpy as np
import pytest
import reference
import tolerances

from fasttrain import activations
from fasttrain._kernels import activations as kernel

DTYPES = [np.float32, np.float64]
CASES = [
    (name, p) for name in kernel.NAMES for p in {
        "leaky_relu": [0.1, 0.0], "elu": [1.0, 0.5], "clipped_relu": [6.0, 1.5], "celu": [1.0, 0.5]}.get(name, [1.0])
]
# Where they, or their first derivatives, have a corner.
KINKS = {
    **dict.fromkeys(("relu", "leaky_relu", "elu", "selu", "celu", "softsign"), lambda p: [0]),
    "clipped_relu": lambda p: [0, p], "hard_tanh": lambda p: [-1, 1],
    **dict.fromkeys(("hard_sigmoid", "hard_silu"), lambda p: [-3, 3]),
}
SIZES = [0, 1, 2, 3, 5, 15, 16, 17, *range(31, 131, 9), 1000]


def forward(name, z, p=1.0, n_threads=1):
    out = np.full_like(z, np.nan)
    kernel.forward(name, z, out, p, n_threads)
    return out


def derivative(name, z, p=1.0, n_threads=1):
    out = np.ones_like(z)
    kernel.backward(name, z, forward(name, z, p), out, p, n_threads)
    return out


def test_every_activation_has_a_twin_and_a_spec():
    assert set(reference.ACTIVATIONS) == set(kernel.NAMES)
    assert {*kernel.NAMES, "softmax"} == set(activations.names())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name, p", CASES)
def test_value_and_derivative_are_the_twins(name, p, dtype):
    p = float(dtype(p))
    value, slope = reference.ACTIVATIONS[name]
    for n in SIZES:
        z = (3 * np.random.default_rng(n).normal(size=n)).astype(dtype)
        exact = z.astype(np.longdouble)
        a = value(exact, p)
        assert (abs(forward(name, z, p) - a) <= tolerances.formula(dtype, abs(a) + (name == "gelu"))).all()
        d = slope(exact, p)
        assert (abs(derivative(name, z, p) - d) <= tolerances.formula(dtype, 1 + abs(d) + abs(exact))).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["logistic", "tanh", "softplus", "exponential", "elu", "selu", "silu"])
def test_own_series_keep_their_relative_accuracy(name, dtype):
    """Over all exponents: near zero, in the middle, and where results are about to under- or overflow."""
    limit = 87 if dtype == np.float32 else 708
    z = np.concatenate(
        [np.linspace(-limit, limit, 20001), np.linspace(-2, 2, 4001), np.geomspace(1e-30, 1, 500)]
    ).astype(dtype)
    z = np.concatenate([z, -z[-500:]])
    exact = reference.ACTIVATIONS[name][0](z.astype(np.longdouble), 1.0)
    got = forward(name, z)
    # Below the normal range a number has fewer digits.
    allowed = tolerances.formula(dtype, abs(exact)) + 4 * np.finfo(dtype).smallest_subnormal * (1 + abs(z))
    worst = np.argmax(abs(got - exact) - allowed)
    assert abs(got - exact)[worst] <= allowed[worst], (z[worst], got[worst], exact[worst])


@pytest.mark.parametrize("name, p", CASES)
def test_derivative_is_the_difference_of_values(name, p):
    h = 1e-3
    z = np.linspace(-6, 6, 241)
    for kink in KINKS.get(name, lambda p: [])(p):
        z = z[abs(z - kink) > 3 * h]
    difference = (
        8 * (forward(name, z + h, p) - forward(name, z - h, p))
        - (forward(name, z + 2 * h, p) - forward(name, z - 2 * h, p))
    ) / (12 * h)
    np.testing.assert_allclose(derivative(name, z, p), difference, **tolerances.DIFFERENCE)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name, p", CASES)
def test_ends_of_the_range(name, p, dtype):
    z = np.array([-1e4, -200.0, 0.0, 200.0, 1e4], dtype)
    with np.errstate(over="ignore"):
        a = reference.ACTIVATIONS[name][0](z.astype(np.longdouble), p).astype(dtype)
        d = reference.ACTIVATIONS[name][1](z.astype(np.longdouble), p).astype(dtype)
    tiny = np.finfo(dtype).smallest_subnormal
    rtol = tolerances.formula(dtype, 1.0)
    np.testing.assert_allclose(forward(name, z, p), a, rtol=rtol, atol=1e4 * tiny)
    got = derivative(name, z, p)
    np.testing.assert_allclose(got, d, rtol=rtol, atol=rtol)
    if name != "exponential":
        assert np.isfinite(got).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", kernel.NAMES)
def test_nan_is_never_swallowed(name, dtype):
    z = np.linspace(-2, 2, 37).astype(dtype)
    clean_a, clean_d = forward(name, z), derivative(name, z)
    z[20] = np.nan
    a, d = forward(name, z), derivative(name, z)
    assert np.isnan(a[20])
    # identity's derivative does not depend on where it is taken
    assert np.isnan(d[20]) or name == "identity"
    others = np.arange(37) != 20
    np.testing.assert_array_equal(a[others], clean_a[others])
    np.testing.assert_array_equal(d[others], clean_d[others])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", kernel.NAMES)
def test_threads_do_not_change_a_byte(name, dtype):
    z = np.random.default_rng(0).normal(size=150_001).astype(dtype)
    for f in (forward, derivative):
        results = [f(name, z, 0.5, n_threads).tobytes() for n_threads in (1, 2, 3, 8)]
        assert len(set(results)) == 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", kernel.NAMES)
def test_layouts(name, dtype):
    """In place, at offsets that no vector is aligned to, from read-only memory, with guards around."""
    z = np.random.default_rng(0).normal(size=203).astype(dtype)
    a = forward(name, z)
    over = z.copy()
    kernel.forward(name, over, over)
    np.testing.assert_array_equal(over, a)
    for offset in (1, 3):
        source, target = np.full((2, 211), np.nan, dtype)
        source[offset : offset + 203] = z
        source.flags.writeable = False
        kernel.forward(name, source[offset : offset + 203], target[offset : offset + 203])
        np.testing.assert_array_equal(target[offset : offset + 203], a)
        assert np.isnan(target[:offset]).all()
        assert np.isnan(target[offset + 203 :]).all()


@pytest.mark.parametrize("name", kernel.NAMES)
def test_backward_multiplies(name):
    z = np.linspace(-3, 3, 50)
    delta = np.random.default_rng(0).normal(size=50)
    expected = delta * derivative(name, z)
    kernel.backward(name, z, forward(name, z), delta)
    np.testing.assert_array_equal(delta, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("k", [1, 2, 3, 17, 64, 100])
def test_softmax(k, dtype):
    z = (5 * np.random.default_rng(k).normal(size=(33, k))).astype(dtype)
    z[0] = 1e4
    z[1, 0] = -1e4
    out = np.full_like(z, np.nan)
    kernel.softmax(z, out)
    exact = reference.softmax(z.astype(np.longdouble))
    assert (abs(out - exact) <= tolerances.formula(dtype, 1.0)).all()
    kernel.softmax(z, z)
    np.testing.assert_array_equal(z, out)
    z[5, k // 2] = np.nan
    kernel.softmax(z, out)
    assert np.isnan(out[5]).all()
    assert not np.isnan(np.delete(out, 5, axis=0)).any()


def test_bad_arguments():
    z = np.ones(3)
    for call, words in [
        (lambda: kernel.forward("nothing", z, z), "activation must be one of identity"),
        (lambda: kernel.backward("softmax", z, z, z), "activation must be one of identity"),
        (lambda: kernel.forward("relu", z, np.ones(2)), "a_out must have shape (3,), got (2,)"),
        (lambda: kernel.backward("relu", z, np.ones(2), z), "must have shape (3,), got (2,) and (3,)"),
        (lambda: kernel.softmax(np.ones((2, 2)), np.ones((2, 3))), "out must have shape (2, 2), got (2, 3)"),
        (lambda: kernel.forward("relu", np.ones(6)[::2], z), "contiguous"),
    ]:
        with pytest.raises(ValueError) as caught:
            call()
        assert words in str(caught.value)
