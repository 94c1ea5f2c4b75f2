"""Every update rule in the kernel's registry: against its twin, over sizes, layouts, dtypes, threads and
settings."""

import numpy as np
import pytest
import reference
import tolerances

from fasttrain._kernels import updates as kernel

DTYPES = [np.float32, np.float64]
SIZES = [0, 1, 2, 3, 5, 15, 16, 17, 31, 33, 64, 130, 1000]

# What a rule needs beside its rate.
NEEDS = {
    "momentum": {"momentum": 0.8},
    "nesterov": {"momentum": 0.8},
    "adagrad": {"epsilon": 1e-3},
    "rmsprop": {"beta2": 0.9, "epsilon": 1e-3, "momentum": 0.5},
    "rmsprop_centered": {"beta2": 0.9, "epsilon": 1e-2, "momentum": 0.5},
    "adadelta": {"beta2": 0.9, "epsilon": 1e-3},
    "adam": {"beta1": 0.9, "beta2": 0.99, "epsilon": 1e-3},
    "nadam": {"beta1": 0.9, "beta2": 0.99, "epsilon": 1e-3},
    "lion": {"beta1": 0.9, "beta2": 0.99},
    "amsgrad": {"beta1": 0.9, "beta2": 0.8, "epsilon": 1e-3},
    "adamax": {"beta1": 0.9, "beta2": 0.99, "epsilon": 1e-3},
    "ftrl": {"power": 0.5, "epsilon": 1e-3},
    "lamb": {"beta1": 0.9, "beta2": 0.99, "epsilon": 1e-3},
}
EXTRAS = {
    "plain": {},
    "l1": {"l1": 0.2},
    "l2": {"l2": 0.5},
    "both": {"l1": 0.2, "l2": 0.5},
    "scaled": {"gradient_scale": 0.25},
    "clipped": {"clip_value": 0.4, "gradient_scale": 2.0},
    "decayed": {"weight_decay": 0.3},
}


def settings_of(rule, extra=None):
    return {"rule": rule, "learning_rate": 0.05, **NEEDS.get(rule, {}), **(extra or {})}


def run(settings, dtype, n, n_steps=5, offset=0, rates=None):
    """Weights and state after some steps of the kernel, and the twin's weights."""
    rng = np.random.default_rng(n)

    def place(a):
        buffer = np.full(n + 8, np.nan, dtype)
        buffer[offset : offset + n] = a
        return buffer

    buffers = {"w": place(rng.normal(size=n))}
    for slot in kernel.SLOTS[settings["rule"]]:
        buffers[f"{slot}_io"] = place(0)
    view = {key: buffer[offset : offset + n] for key, buffer in buffers.items()}
    w = view.pop("w")
    twin, memory, carried = w.astype(np.longdouble), {}, 0.0
    for t in range(1, n_steps + 1):
        g = place(rng.normal(size=n) + 0.3)[offset : offset + n]
        g.flags.writeable = False
        settings = {**settings, "t": t}
        if rates is not None:
            settings["learning_rate"] = rates[t - 1]
        carried = kernel.step(settings, w, g, **view, carried=carried)
        twin = reference.update(twin, g.astype(np.longdouble), memory, t, settings)
    for buffer in buffers.values():
        assert np.isnan(buffer[:offset]).all()
        assert np.isnan(buffer[offset + n :]).all()
    return w, view, twin.astype(np.float64)


def test_every_rule_has_a_twin_and_slots():
    assert set(reference.UPDATES) == set(kernel.NAMES) == set(kernel.SLOTS)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("extra", EXTRAS)
@pytest.mark.parametrize("rule", kernel.NAMES)
def test_steps_are_the_twins(rule, extra, dtype):
    for n in SIZES:
        w, _, twin = run(settings_of(rule, EXTRAS[extra]), dtype, n)
        np.testing.assert_allclose(w, twin, **tolerances.of(tolerances.STEPS, dtype))
        np.testing.assert_array_equal(w == 0, twin == 0)


@pytest.mark.parametrize("rule", kernel.NAMES)
def test_changing_rates(rule):
    rates = [0.1, 0.0, 0.05, 0.5, 0.01, 0.0]
    w, _, twin = run(settings_of(rule, {"l1": 0.3}), np.float64, 200, n_steps=6, rates=rates)
    np.testing.assert_allclose(w, twin, **tolerances.of(tolerances.STEPS, np.float64))
    assert (w == 0).any()


@pytest.mark.parametrize(
    "rule, extra",
    [
        ("adam", {"corrected_root": True}),
        ("nadam", {"momentum_decay": 0.004}),
        ("adagrad", {"epsilon": 0.0, "epsilon_inside": 1e-2}),
        ("rmsprop", {"epsilon": 0.0, "epsilon_inside": 1e-2}),
        ("rmsprop_centered", {"epsilon": 0.0, "epsilon_inside": 1e-2}),
        ("ftrl", {"power": 0.8}),
        ("ftrl", {"leader_l1": 0.4, "leader_l2": 0.3, "shrinkage": 0.2}),
    ],
)
def test_variants(rule, extra):
    w, _, twin = run(settings_of(rule, extra), np.float64, 50)
    plain, _, _ = run(settings_of(rule), np.float64, 50)
    np.testing.assert_allclose(w, twin, **tolerances.of(tolerances.STEPS, np.float64))
    assert abs(w - plain).max() > 1e-6


def test_rmsprop_without_momentum_needs_no_velocity():
    settings = {**settings_of("rmsprop"), "momentum": 0.0, "l1": 0.1}
    w, states, twin = run(settings, np.float64, 77)
    np.testing.assert_allclose(w, twin, **tolerances.of(tolerances.STEPS, np.float64))
    lean, s1 = np.random.default_rng(77).normal(size=77), np.zeros(77)
    rng = np.random.default_rng(77)
    rng.normal(size=77)
    for t in range(1, 6):
        kernel.step({**settings, "t": t}, lean, rng.normal(size=77) + 0.3, s1)
    np.testing.assert_allclose(lean, w, rtol=1e-14)
    np.testing.assert_array_equal(s1, states["s1_io"])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rule", kernel.NAMES)
def test_threads_do_not_change_a_byte(rule, dtype):
    start, g = np.random.default_rng(0).normal(size=(2, 70_001)).astype(dtype)
    results = []
    for n_threads in (1, 2, 3, 8):
        w = start.copy()
        states = {f"{slot}_io": np.zeros_like(w) for slot in kernel.SLOTS[rule]}
        for t in (1, 2):
            settings = {**settings_of(rule, {"l1": 0.1, "l2": 0.1}), "t": t}
            kernel.step(settings, w, g, **states, n_threads=n_threads)
        results.append([w.tobytes(), *(s.tobytes() for s in states.values())])
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rule", kernel.NAMES)
def test_offsets_and_guards(rule, dtype):
    w, states, _ = run(settings_of(rule, {"l1": 0.1}), dtype, 203)
    for offset in (1, 3):
        moved, moved_states, _ = run(settings_of(rule, {"l1": 0.1}), dtype, 203, offset=offset)
        np.testing.assert_array_equal(moved, w)
        for slot, state in states.items():
            np.testing.assert_array_equal(moved_states[slot], state)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("extra", ["l2", "both"])
@pytest.mark.parametrize("rule", ["adam", "nesterov"])
def test_squares_of_the_new_weights(rule, extra, dtype):
    for n in SIZES[1:]:
        w, g = np.random.default_rng(n).normal(size=(2, n)).astype(dtype)
        s1, s2 = np.zeros((2, n), dtype)
        settings = {**settings_of(rule, EXTRAS[extra]), "t": 1}
        alone, states = w.copy(), {f"{slot}_io": np.zeros(n, dtype) for slot in kernel.SLOTS[rule]}
        kernel.step(settings, alone, g, **states)
        squares = kernel.step_and_square(settings, w, g, s1, s2)
        assert w.tobytes() == alone.tobytes()
        # the same bytes: a run that is taken up again has only the weights to sum
        assert squares == kernel.squares_of_weights(w)
        exact = np.sum(w.astype(np.longdouble) ** 2)
        assert abs(squares - exact) <= 16 * np.finfo(dtype).eps * exact


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("power", [-30, -18, -12, 0, 12, 18, 25])
def test_adam_over_the_range_of_gradients(power, dtype):
    """Moves are of the rate's size whatever the gradients', one weight's beside another's."""
    n = 200
    g = np.random.default_rng(0).normal(size=n).astype(dtype)
    g[::3] *= dtype(10.0) ** power
    w, s1, s2 = np.zeros((3, n), dtype)
    settings = {"rule": "adam", "learning_rate": 0.5, "beta1": 0.9, "beta2": 0.99, "epsilon": 1e-17, "t": 1}
    kernel.step(settings, w, g, s1_io=s1, s2_io=s2)
    with np.errstate(over="ignore", under="ignore"):
        m, v = dtype(0.1) * g, dtype(0.01) * (g * g)
    expected = -0.5 * m.astype(np.longdouble) / (np.sqrt(v.astype(np.longdouble)) + 1e-17)
    keeps = np.isfinite(v) & (v > np.finfo(dtype).tiny)
    np.testing.assert_allclose(w[keeps], expected[keeps].astype(dtype), rtol=20 * np.finfo(dtype).eps)
    assert np.isfinite(w).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("where", ["gradient", "weight"])
@pytest.mark.parametrize("extra", ["plain", "both", "clipped"])
@pytest.mark.parametrize("rule", kernel.NAMES)
def test_nan_is_never_swallowed(rule, extra, where, dtype):
    w, g = np.random.default_rng(0).normal(size=(2, 60)).astype(dtype)
    w[::4] = 0
    (g if where == "gradient" else w)[[8, 13]] = np.nan
    states = {f"{slot}_io": np.zeros(60, dtype) for slot in kernel.SLOTS[rule]}
    kernel.step({**settings_of(rule, EXTRAS[extra]), "t": 1}, w, g, **states)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(w)), [8, 13])


def test_bad_arguments():
    w = np.ones(3)
    for call, words in [
        (
            lambda: kernel.step({"rule": "sgd", "learning_rate": 1.0}, w, w.copy()),
            "rule must be one of gradient_descent",
        ),
        (lambda: kernel.step(settings_of("adam"), w, w.copy(), w.copy()), "adam needs the state array s2_io"),
        (
            lambda: kernel.step(settings_of("momentum"), w, np.ones(2), w.copy()),
            "gradient must have shape (3,)",
        ),
        (
            lambda: kernel.step(settings_of("momentum"), w, w.copy(), np.ones(4)),
            "s1_io must have shape (3,), got (4,)",
        ),
    ]:
        with pytest.raises(ValueError) as caught:
            call()
        assert words in str(caught.value)
    np.testing.assert_array_equal(w, 1)
