"""Every loss in the kernel's registry: against its twin, against differences, over sizes, layouts, dtypes
and threads."""

import numpy as np
import pytest
import reference
import tolerances

from fasttrain import losses
from fasttrain._kernels import losses as kernel
from fasttrain._kernels import primitives

ELEMENTWISE = [name for name in kernel.NAMES if name != "softmax_crossentropy"]
DTYPES = [np.float32, np.float64]
PARAMETERS = {
    "huber": [1.0, 0.3],
    "quantile": [0.5, 0.9],
    "hinge": [1.0, 0.0],
    "squared_hinge": [1.0, 0.5],
    "epsilon_insensitive": [0.1, 0.0],
    "squared_epsilon_insensitive": [0.1, 0.0],
    "tweedie": [1.5, 0.0, 1.0, 2.0, 3.0, -0.5],
    "tweedie_identity": [0.0, 1.0, 1.5, 2.0, 3.0, -0.5],
}
CASES = [(name, parameter) for name in kernel.NAMES for parameter in PARAMETERS.get(name, [1.0])]
SIZES = [1, 2, 3, 5, 15, 16, 17, 31, 33, 64, 130, 255, 256, 257, 1000]

# Distance of a sample from the points where the gradient is not smooth; losses without an entry have none.
KINKS = {
    "absolute_error": lambda y, z, p: abs(z - y),
    "huber": lambda y, z, p: abs(abs(z - y) - p),
    "quantile": lambda y, z, p: abs(z - y),
    "hinge": lambda y, z, p: abs(y * z - p),
    "squared_hinge": lambda y, z, p: abs(y * z - p),
    "modified_huber": lambda y, z, p: np.minimum(abs(y * z - 1), abs(y * z + 1)),
    "epsilon_insensitive": lambda y, z, p: abs(abs(z - y) - p),
    "squared_epsilon_insensitive": lambda y, z, p: abs(abs(z - y) - p),
}


def data(name, n, k, dtype, seed=0):
    """Targets and raw predictions with samples on the kinks among them."""
    rng = np.random.default_rng(seed)
    raw = (3 * rng.normal(size=(n, k))).astype(dtype)
    y = {
        "real": lambda: rng.normal(size=(n, k)),
        "non_negative": lambda: rng.poisson(3.0, size=(n, k)),
        "positive": lambda: rng.gamma(2.0, size=(n, k)) + 0.01,
        "probability": lambda: rng.choice([0.0, 1.0, 0.25], size=(n, k)),
        "margin": lambda: rng.choice([-1.0, 1.0], size=(n, k)),
        "classes": lambda: rng.integers(0, k, size=(n, 1)),
    }["positive" if name.startswith("tweedie") else losses.get(name).targets]()
    y = y.astype(dtype)
    if name == "tweedie_identity":
        # a mean, above zero but for power 0
        raw = abs(raw) + dtype(1)
    if name in KINKS and n > 3:
        raw[1] = y[1]
        raw[2] = 0
    return y, raw


def evaluate(name, y, raw, p, weight=None, n_threads=1, want_gradient=True):
    gradient = np.full_like(raw, np.nan) if want_gradient else None
    total = kernel.loss_and_gradient(name, y, raw, weight, p, gradient, True, n_threads)
    return total, gradient


def exactly(name, y, raw, p):
    value, gradient = reference.LOSSES[name]
    y, raw = y.astype(np.longdouble), raw.astype(np.longdouble)
    # The kernel's parameter is rounded to the arrays' type first.
    return value(y, raw, p), gradient(y, raw, p)


def scale(name, y, raw, p):
    size = 1 + abs(raw) + abs(y) * (1 + abs(raw)) + (raw - y) ** 2
    if name == "poisson":
        size += np.exp(raw)
    elif name == "gamma":
        size += y * np.exp(-raw)
    elif name == "tweedie":
        # the argument of exp is rounded as well
        parts = np.exp((2 - p) * raw) + y * np.exp((1 - p) * raw)
        size += (1 + abs(raw)) * (parts + np.exp(2 * raw) if p == 0 else parts)
    elif name == "tweedie_identity":
        size += raw ** (1 - p) * (1 + raw) * (1 + y / raw) + y ** (2 - p)
    return size


def test_every_loss_has_a_twin_and_a_spec():
    assert set(reference.LOSSES) == set(kernel.NAMES) == set(losses.names())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name, p", CASES)
def test_value_and_gradient_are_the_twins(name, p, dtype):
    p = float(dtype(p))
    for n in SIZES:
        y, raw = data(name, n, 4 if name == "softmax_crossentropy" else 1, dtype, seed=n)
        weight = np.random.default_rng(n).random(n).astype(dtype)
        values, gradients = exactly(name, y, raw, p)
        values = values.reshape(n)
        size = scale(name, y.astype(np.longdouble), raw.astype(np.longdouble), p)
        allowed = tolerances.formula(dtype, size)
        total, gradient = evaluate(name, y, raw, p)
        assert abs(total - values.sum()) <= allowed.sum()
        assert (abs(gradient - gradients) <= allowed).all()
        weighted, weighted_gradient = evaluate(name, y, raw, p, weight)
        assert abs(weighted - (weight * values).sum()) <= allowed.sum()
        assert (abs(weighted_gradient - weight[:, None] * gradients) <= allowed).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name, p", [case for case in CASES if case[0] != "softmax_crossentropy"])
def test_values_of_rows_are_the_twins(name, p, dtype):
    p = float(dtype(p))
    for n in SIZES:
        for k in (1, 3):
            y, raw = (a.reshape(n, k) for a in data(name, n * k, 1, dtype, seed=n))
            values, _ = exactly(name, y, raw, p)
            allowed = tolerances.formula(dtype, scale(name, y.astype(np.longdouble), raw.astype(np.longdouble), p))
            found = [np.full(n, np.nan, dtype) for _ in (1, 2, 3, 8)]
            for out, n_threads in zip(found, (1, 2, 3, 8)):
                kernel.row_losses(name, y, raw, out, p, n_threads)
            assert (abs(found[0] - values.sum(axis=1)) <= allowed.sum(axis=1)).all()
            assert all(out.tobytes() == found[0].tobytes() for out in found)


def test_what_has_no_values_of_rows():
    y, raw, out = np.zeros((3, 1)), np.zeros((3, 2)), np.zeros(3)
    with pytest.raises(ValueError, match="loss must work element by element, got 'softmax_crossentropy'"):
        kernel.row_losses("softmax_crossentropy", y, raw, out)
    with pytest.raises(ValueError, match=r"y must have shape \(3, 2\), got \(3, 1\)"):
        kernel.row_losses("huber", y, raw, out)
    with pytest.raises(ValueError, match=r"values_out must have shape \(3,\), got \(2,\)"):
        kernel.row_losses("huber", raw, raw, out[:2])


@pytest.mark.parametrize("name, p", CASES)
def test_gradient_is_the_difference_of_values(name, p):
    h = 1e-3
    k = 4 if name == "softmax_crossentropy" else 1
    y, raw = data(name, 60, k, np.float64, seed=7)
    _, gradient = evaluate(name, y, raw, p)
    checked = 0
    for i in range(len(raw)):
        for c in range(k):
            if name in KINKS and KINKS[name](y[i, 0], raw[i, 0], p) < 3 * h:
                continue

            def at(step, i=i, c=c):
                moved = raw[i : i + 1].copy()
                moved[0, c] += step
                return evaluate(name, y[i : i + 1], moved, p, want_gradient=False)[0]

            difference = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
            np.testing.assert_allclose(gradient[i, c], difference, **tolerances.DIFFERENCE)
            checked += 1
    assert checked > 40


@pytest.mark.parametrize("k", [1, 3, 70, 200])
@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_over_many_widths(k, dtype):
    y, raw = data("softmax_crossentropy", 50, k, dtype)
    values, gradients = exactly("softmax_crossentropy", y, raw, 1.0)
    total, gradient = evaluate("softmax_crossentropy", y, raw, 1.0)
    allowed = tolerances.formula(dtype, 20 + k / 10)
    assert abs(total - values.sum()) <= 50 * allowed
    assert (abs(gradient - gradients) <= allowed).all()
    assert evaluate("softmax_crossentropy", y, raw, 1.0, want_gradient=False)[0] == pytest.approx(
        total, rel=1e-6
    )


@pytest.mark.parametrize("k", [2, 3, 65])
@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_of_class_masses(k, dtype):
    """Rows of masses, not all with sum 1: each class is the loss of its code, times its mass."""
    rng = np.random.default_rng(k)
    mass = rng.random((40, k)).astype(dtype)
    mass[:5] /= mass[:5].sum(axis=1, keepdims=True)
    weight = rng.random(40).astype(dtype)
    z = (3 * rng.normal(size=(40, k))).astype(dtype)
    z[7] = 1e4
    z[7, 0] = -1e4
    value, gradient = np.zeros(40, np.longdouble), np.zeros((40, k), np.longdouble)
    for c in range(k):
        values, gradients = exactly("softmax_crossentropy", np.full((40, 1), c, dtype), z, 1.0)
        value += weight * mass[:, c] * values
        gradient += (weight * mass[:, c])[:, None] * gradients
    got = np.full_like(z, np.nan)
    total = primitives.softmax_loss_rows(mass, z, weight, got)
    assert total == pytest.approx(float(value.sum()), rel=1e-6 if dtype == np.float32 else 1e-14)
    assert (abs(got - gradient) <= k * tolerances.formula(dtype, 1.0)).all()
    assert primitives.softmax_loss_rows(mass, z, weight) == pytest.approx(total, rel=1e-6)
    over = z.copy()
    assert primitives.softmax_loss_rows(mass, over, weight, over) == pytest.approx(total, rel=1e-15)
    np.testing.assert_array_equal(over, got)
    mass[3, 1] = np.nan
    assert np.isnan(primitives.softmax_loss_rows(mass, z, weight, got))
    assert np.isnan(got[3]).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_several_outputs_are_a_longer_vector(name, dtype):
    y, raw = data(name, 77, 5, dtype)
    total, gradient = evaluate(name, y, raw, 0.5)
    flat_total, flat_gradient = evaluate(name, y.reshape(-1, 1), raw.reshape(-1, 1), 0.5)
    assert total == pytest.approx(flat_total, rel=1e-12)
    np.testing.assert_array_equal(gradient.reshape(-1, 1), flat_gradient)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", kernel.NAMES)
def test_threads_do_not_change_a_byte(name, dtype):
    k = 3 if name == "softmax_crossentropy" else 1
    y, raw = data(name, 100_003, k, dtype)
    weight = np.random.default_rng(1).random(len(raw)).astype(dtype)
    results = [evaluate(name, y, raw, 0.7, weight, n_threads) for n_threads in (1, 2, 3, 8)]
    for total, gradient in results[1:]:
        assert total == results[0][0]
        assert gradient.tobytes() == results[0][1].tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", kernel.NAMES)
def test_layouts(name, dtype):
    """Offsets that no vector is aligned to, read-only memory, the gradient over the raw prediction, guards."""
    k = 3 if name == "softmax_crossentropy" else 1
    y, raw = data(name, 301, k, dtype)
    total, gradient = evaluate(name, y, raw, 0.7)
    for offset in (1, 3):
        buffers = [np.full(a.size + 8, np.nan, dtype) for a in (y, raw, raw)]
        shifted = [b[offset : offset + a.size].reshape(a.shape) for b, a in zip(buffers, (y, raw, raw))]
        shifted[0][...], shifted[1][...] = y, raw
        for a in shifted[:2]:
            a.flags.writeable = False
        assert kernel.loss_and_gradient(name, shifted[0], shifted[1], None, 0.7, shifted[2]) == total
        np.testing.assert_array_equal(shifted[2], gradient)
        assert np.isnan(buffers[2][:offset]).all()
        assert np.isnan(buffers[2][offset + raw.size :]).all()
    over = raw.copy()
    assert kernel.loss_and_gradient(name, y, over, None, 0.7, over) == pytest.approx(total, rel=1e-15)
    np.testing.assert_array_equal(over, gradient)
    without, untouched = kernel.loss_and_gradient(name, y, raw, None, 0.7, over, False), over
    assert without == 0.0
    np.testing.assert_array_equal(untouched, gradient)


@pytest.mark.parametrize("dtype", DTYPES)
def test_cross_entropies_of_huge_logits(dtype):
    z = np.array([-1e4, -1e4, -1e4, 1e4, 1e4, 1e4, -100, 100, 0], dtype)[:, None]
    y = np.array([0, 1, 0.25, 0, 1, 0.25, 1, 0, 1], dtype)[:, None]
    for i in range(len(z)):
        total, gradient = evaluate("binary_crossentropy", y[i : i + 1], z[i : i + 1], 1.0)
        value, slope = exactly("binary_crossentropy", y[i : i + 1], z[i : i + 1], 1.0)
        assert np.isfinite(total)
        assert total == pytest.approx(float(value[0, 0]), rel=1e-6)
        assert gradient[0, 0] == pytest.approx(float(slope[0, 0]), rel=1e-6)
    rows = np.array([[1e4, -1e4, 0], [-1e4, -1e4, -1e4], [1e4, 1e4, -1e4]], dtype)
    codes = np.array([[1], [0], [2]], dtype)
    for i in range(3):
        total, gradient = evaluate("softmax_crossentropy", codes[i : i + 1], rows[i : i + 1], 1.0)
        values, gradients = exactly("softmax_crossentropy", codes[i : i + 1], rows[i : i + 1], 1.0)
        assert total == pytest.approx(float(values[0]), rel=1e-6)
        np.testing.assert_allclose(gradient, gradients.astype(float), atol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("which", ["y", "raw"])
@pytest.mark.parametrize("name, p", CASES)
def test_nan_is_never_swallowed(name, p, which, dtype):
    if name == "softmax_crossentropy":
        k, bad = 3, slice(None)
    else:
        k, bad = 1, 0
    y, raw = data(name, 40, k, dtype)
    clean = evaluate(name, y, raw, p)[1]
    if which == "y":
        y[17, 0] = np.nan
        if name == "softmax_crossentropy":
            with pytest.raises(ValueError, match="class codes from 0 to 2, got nan in row 17"):
                evaluate(name, y, raw, p)
            return
    else:
        raw[17, 0] = np.nan
    total, gradient = evaluate(name, y, raw, p)
    assert np.isnan(total)
    assert np.isnan(gradient[17, bad]).all()
    others = np.arange(40) != 17
    np.testing.assert_array_equal(gradient[others], clean[others])


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("nothing", np.ones((3, 1)), np.ones((3, 1))), "loss must be one of half_squared_error"),
        (("hinge", np.ones((3, 1)), np.ones((4, 1))), "y must have shape (4, 1), got (3, 1)"),
        (("softmax_crossentropy", np.ones((3, 2)), np.ones((3, 2))), "y must have shape (3, 1), got (3, 2)"),
        (("softmax_crossentropy", np.full((3, 1), 2.0), np.ones((3, 2))), "from 0 to 1, got 2.0 in row 0"),
        (("softmax_crossentropy", np.full((3, 1), -1.0), np.ones((3, 2))), "from 0 to 1, got -1.0 in row 0"),
        (("hinge", np.ones((3, 1)), np.ones((3, 1)), np.ones(2)), "sample_weight must have shape (3,)"),
        (("hinge", np.ones((3, 2)), np.ones((3, 2)), np.ones(3)), "a single output"),
        (("hinge", np.ones((3, 1)), np.ones((3, 1)), None, 1.0, np.ones((2, 1))), "gradient_out must have"),
        (("hinge", np.ones((3, 2))[:, ::2], np.ones((3, 1))), "contiguous"),
        (("hinge", np.ones((3, 1), np.float32), np.ones((3, 1))), ""),
    ],
    ids=range(10),
)
def test_bad_arguments(arguments, words):
    with pytest.raises((ValueError, TypeError)) as caught:
        kernel.loss_and_gradient(*arguments)
    assert words in str(caught.value)


def test_no_rows():
    empty = np.empty((0, 1))
    assert kernel.loss_and_gradient("hinge", empty, empty, None, 1.0, empty) == 0.0
