"""Stacked full-batch fits against the twin of the dense engine, each job alone on the rows that it sees."""

import numpy as np
import pytest
import reference
import reference_network
import tolerances

from fasttrain._kernels import stacked
from fasttrain._kernels.updates import SLOTS

RULES = {
    "adam": {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}, "momentum": {"momentum": 0.9},
    "nadam": {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}, "rmsprop": {"beta2": 0.9, "epsilon": 1e-3},
    "gradient_descent": {}, "adagrad": {"epsilon": 1e-3}, "lion": {"beta1": 0.9, "beta2": 0.99},
    "adamax": {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
    "lamb": {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-6},
    "ftrl": {"power": 0.5, "epsilon": 1e-3, "leader_l1": 0.01, "leader_l2": 0.1, "shrinkage": 0.02},
}


def problem(n, k, n_outputs, loss, dtype, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, k)).astype(dtype)
    raw = X @ rng.standard_normal((k, n_outputs)).astype(dtype)
    if loss == "softmax_crossentropy":
        return X, raw.argmax(axis=1).astype(dtype).reshape(-1, 1)
    if loss == "binary_crossentropy":
        return X, (raw > 0).astype(dtype)
    if loss == "hinge":
        return X, np.where(raw > 0, 1, -1).astype(dtype)
    return X, raw + rng.standard_normal((n, n_outputs)).astype(dtype)


def job(rule, n_steps, held, scale, *, l1=0.0, l2=0.0, rate=0.05, tol=-np.inf, patience=10, **settings):
    return {
        "rule": rule, "slots": {"rmsprop": ("s1",)}.get(rule, SLOTS[rule]), "settings": {**RULES[rule], **settings},
        "initial_state": {}, "l1": l1, "l2": l2, "rates": np.linspace(rate, rate / 2, n_steps),
        "held": np.asarray(held, dtype=np.int64), "scale": scale, "tol": tol, "patience": patience,
    }


def stack(X, y, loss, jobs, weight=None, intercept=True, packed=False, parameter=1.0):
    n_outputs = int(y.max()) + 1 if loss == "softmax_crossentropy" else y.shape[1]
    return stacked.Stack(
        X, np.ascontiguousarray(y.T), weight, loss, parameter, n_outputs, intercept, jobs,
        stacked.pack(X, intercept) if packed else None)


def scale_of(n, held, weight):
    seen = np.delete(np.ones(n) if weight is None else weight.astype(float), held)
    return 1 / seen.sum()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(7, 1), (100, 5), (300, 33), (600, 70)], ids=str)
@pytest.mark.parametrize("loss, n_outputs", [
    ("binary_crossentropy", 1), ("half_squared_error", 2), ("hinge", 3), ("softmax_crossentropy", 3), ("huber", 1),
])
def test_against_the_twin(loss, n_outputs, shape, dtype):
    n, k = shape
    X, y = problem(n, k, n_outputs, loss, dtype)
    rng = np.random.default_rng(1)
    # Adam's steps magnify the rounding of gradients near 0
    rule = "adam" if dtype == np.float64 else "momentum"
    for intercept, weight in [(True, None), (False, rng.uniform(0.1, 2, n).astype(dtype))]:
        holds = [[], [0], [n - 1], np.arange(n // 3), np.arange(n // 3, n - 1), np.arange(0, n, 3)]
        jobs = [job(rule, 6, held, scale_of(n, held, weight), l1=0.01 * i, l2=0.02) for i, held in enumerate(holds)]
        found = stack(X, y, loss, jobs, weight, intercept)
        stacked.run([found], 1)
        width = found.weights[0].shape[0]
        for i, held in enumerate(holds):
            seen = np.delete(np.arange(n), held)
            coef, bias, curve = reference_network.train(
                np.zeros((width, k), dtype), np.zeros(width, dtype), X[seen], y[seen],
                {"rule": rule, **RULES[rule]}, loss=loss, batch_size=len(seen), orders=[None] * 6,
                rates=jobs[i]["rates"], weight=None if weight is None else weight[seen], l1=jobs[i]["l1"], l2=0.02,
                fit_intercept=intercept)
            bounds = tolerances.of(tolerances.STEPS, dtype)
            np.testing.assert_allclose(found.weights[i][:, :k], coef, **bounds)
            if intercept:
                np.testing.assert_allclose(found.weights[i][:, k], bias, **bounds)
            np.testing.assert_allclose(found.histories[i], curve, **bounds)
            assert found.status(i) == stacked.ENDED
            assert found.n_iter(i) == 6


@pytest.mark.parametrize("rule", RULES)
def test_rules_and_settings(rule):
    X, y = problem(90, 6, 1, "half_squared_error", np.float64)
    settings = [{}, {"clip_norm": 0.1}, {"weight_decay": 0.1}, {"clip_value": 0.05}]
    jobs = [job(rule, 8, [i], 1 / 89, **extra) for i, extra in enumerate(settings)]
    found = stack(X, y, "half_squared_error", jobs)
    stacked.run([found], 1)
    for i, extra in enumerate(settings):
        seen = np.delete(np.arange(90), i)
        given = {"rule": rule, **RULES[rule], **{name: value for name, value in extra.items() if name != "clip_norm"}}
        coef, bias, _ = reference_network.train(
            np.zeros((1, 6)), np.zeros(1), X[seen], y[seen], given, loss="half_squared_error", batch_size=89,
            orders=[None] * 8, rates=jobs[i]["rates"], clip_norm=extra.get("clip_norm", np.inf))
        np.testing.assert_allclose(found.weights[i], np.c_[coef, bias], **tolerances.of(tolerances.STEPS, np.float64))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_grouping_threads_and_layout_change_no_byte(dtype):
    X, y = problem(520, 17, 1, "binary_crossentropy", dtype)
    jobs = [job("adam", 5, [i, 300 + i], 1 / 518, l2=0.01 * i) for i in range(30)]
    expected = None
    for sizes, n_threads, packed in [((30,), 1, False), ((30,), 2, True), ((7, 23), 2, False), ((1,) * 30, 3, True)]:
        stacks, first = [], 0
        for size in sizes:
            stacks.append(stack(X, y, "binary_crossentropy", jobs[first:first + size], packed=packed))
            first += size
        stacked.run(stacks, n_threads)
        found = np.concatenate([np.concatenate(s.weights) for s in stacks]).tobytes()
        expected = found if expected is None else expected
        assert found == expected


def test_jobs_stop_by_themselves():
    X, y = problem(100, 4, 1, "half_squared_error", np.float64)
    jobs = [
        job("gradient_descent", 400, [i], 1 / 99, rate=0.2, tol=tol, patience=3)
        for i, tol in enumerate([1e-1, 1e-3, -np.inf, np.inf])]
    found = stack(X, y, "half_squared_error", jobs)
    stacked.run([found], 1)
    n_iter = [found.n_iter(i) for i in range(4)]
    assert n_iter[0] < n_iter[1] < n_iter[2] == 400
    assert n_iter[3] == 3
    assert [found.status(i) for i in range(4)] == [stacked.SETTLED, stacked.SETTLED, stacked.ENDED, stacked.SETTLED]
    for i in (0, 1):
        curve = found.histories[i][:n_iter[i]]
        better = curve[1:] < np.minimum.accumulate(curve)[:-1] - jobs[i]["tol"]
        assert not better[-3:].any()
        assert better[:-3].any()


def test_divergence_is_the_job_s_own():
    X, y = problem(60, 4, 1, "half_squared_error", np.float64)
    jobs = [job("gradient_descent", 2000, [0], 1 / 59, rate=rate) for rate in (0.05, 1e3, 0.05)]
    found = stack(X, y, "half_squared_error", jobs)
    stacked.run([found], 1)
    assert [found.status(i) for i in range(3)] == [stacked.ENDED, stacked.DIVERGED, stacked.ENDED]
    assert found.n_iter(1) < 2000
    assert found.weights[0].tobytes() == found.weights[2].tobytes()
    assert np.isfinite(found.weights[0]).all()


def test_read_only_rows():
    X, y = problem(50, 3, 1, "half_squared_error", np.float64)
    X.flags.writeable = y.flags.writeable = False
    before = X.copy()
    stacked.run([stack(X, y, "half_squared_error", [job("adam", 3, [], 1 / 50)], packed=True)], 1)
    np.testing.assert_array_equal(X, before)


def test_the_twin_knows_every_rule():
    assert set(RULES) <= set(SLOTS)
    assert {"binary_crossentropy", "half_squared_error", "hinge", "softmax_crossentropy"} <= set(reference.LOSSES)
