"""Proximal Newton's parts against their formulas, in every layout and number of threads."""

import _thread
import threading
import time

import numpy as np
import pytest
import reference_proximal as reference
from scipy import sparse

from fasttrain._kernels import proximal

LOSSES = ["binary_crossentropy", "squared_hinge"]


def rows(n, loss, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n).astype(float)
    weight = rng.random(n) * (rng.random(n) < 0.8)
    return y if loss == "binary_crossentropy" else 2 * y - 1, weight, 4 * rng.standard_normal(n)


@pytest.mark.parametrize("n", [0, 1, 7, 4096, 10_000])
@pytest.mark.parametrize("loss", LOSSES)
def test_rows_are_the_formulas(loss, n):
    y, weight, raw = rows(n, loss)
    found = []
    for n_threads in (1, 2, 3, 8):
        slopes, curvatures = np.full(n, np.nan), np.full(n, np.nan)
        value = proximal.rows_model(loss, y, weight, raw, slopes, curvatures, n_threads)
        found.append((value, slopes.tobytes(), curvatures.tobytes()))
    assert len(set(found)) == 1
    wanted = reference.rows_model(loss, y, weight, raw)
    np.testing.assert_allclose(value, wanted[0], rtol=1e-13)
    np.testing.assert_allclose(slopes, wanted[1], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(curvatures, wanted[2], rtol=1e-11, atol=1e-15)
    alone = np.empty(n)
    assert proximal.rows_model(loss, y, weight, raw, alone) == value
    np.testing.assert_array_equal(alone, slopes)


@pytest.mark.parametrize("loss", LOSSES)
def test_curvatures_are_differences_of_slopes(loss):
    y, _, raw = rows(200, loss, seed=1)
    raw = np.where(np.abs(1 - y * raw) < 0.1, 0.0, raw)
    weight, h = np.full(200, 0.5), 1e-3

    def slopes(z):
        out = np.empty(200)
        proximal.rows_model(loss, y, weight, z, out)
        return out

    curvatures = np.empty(200)
    proximal.rows_model(loss, y, weight, raw, np.empty(200), curvatures)
    wanted = (8 * (slopes(raw + h) - slopes(raw - h)) - (slopes(raw + 2 * h) - slopes(raw - 2 * h))) / (12 * h)
    np.testing.assert_allclose(curvatures, wanted, atol=1e-9)


def test_rows_far_out_keep_a_curvature():
    y, weight = np.array([0.0, 1.0, 0.0, 1.0]), np.full(4, 0.25)
    for raw in ([1e4, -1e4, -1e4, 1e4], [800.0, -800.0, -40.0, 40.0]):
        slopes, curvatures = np.empty(4), np.empty(4)
        value = proximal.rows_model("binary_crossentropy", y, weight, np.array(raw), slopes, curvatures)
        assert np.isfinite(value)
        assert (curvatures >= 0.25e-12).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(0, 3), (5, 0), (1, 1), (40, 1000), (3000, 70)])
def test_correlations(shape, dtype):
    rng = np.random.default_rng(2)
    X = (rng.standard_normal(shape) * (rng.random(shape) < 0.3)).astype(dtype)
    v = rng.standard_normal(shape[0])
    C = sparse.csc_array(X)
    found = []
    for n_threads in (1, 2, 3, 8):
        out = np.full(shape[1], np.nan)
        proximal.correlations(C.data, C.indices.astype(np.int32), C.indptr.astype(np.intp), v, out, n_threads)
        found.append(out.tobytes())
    assert len(set(found)) == 1
    np.testing.assert_allclose(out, X.T.astype(float) @ v, rtol=1e-12, atol=1e-12)


def problem(layout, dtype, n=60, p=15, seed=3):
    """(arguments of X, X, curvatures, slopes of rows, coefficients)."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * (rng.random((n, p)) < 0.5)
    X[:, 2], X[:, 3], X[:, 4] = 1.0, 0.0, X[:, 5]
    X = X.astype(dtype)
    C = sparse.csc_array(X)
    arguments = (C.data, C.indices.astype(np.int32), C.indptr.astype(np.intp))
    if layout == "dense":
        arguments = (np.ascontiguousarray(X.T).reshape(-1), None, None)
    w = np.where(rng.random(p) < 0.5, 0.0, rng.standard_normal(p))
    return arguments, X.astype(float), rng.random(n) + 0.1, 0.5 * rng.standard_normal(n) + 0.2, w


@pytest.mark.parametrize("has_bias, bias_l1", [(True, 0.0), (False, 0.0), (True, 0.4), (True, 50.0)])
@pytest.mark.parametrize("l2", [0.0, 0.7])
@pytest.mark.parametrize("layout, dtype", [("sparse", np.float32), ("sparse", np.float64), ("dense", np.float64)])
def test_a_descent_ends_at_the_minimum_of_the_model(layout, dtype, l2, has_bias, bias_l1):
    arguments, X, D, of_rows, w = problem(layout, dtype)
    slopes, bias_slope = X.T @ of_rows + l2 * w, of_rows.sum()
    some, l1 = np.array([0, 1, 2, 3, 4, 5, 7, 8, 11, 14]), 1.2
    Z, w = X[:, some], w[some]
    new, raw_step = np.empty(len(some)), np.empty(len(D))
    e, worst, n_sweeps = proximal.descend_columns(
        *arguments, some, D, slopes[some], bias_slope, has_bias, w, 0.3, l1, l2, bias_l1, 1e-10, 10_000, new, raw_step)
    assert worst <= 1e-10
    assert 1 < n_sweeps < 10_000
    np.testing.assert_allclose(raw_step, Z @ (new - w) + e, atol=1e-12)
    assert has_bias or e == 0
    left = slopes[some] + l2 * (new - w) + Z.T @ (D * raw_step)
    assert reference.violation(new, left, l1) < 1e-9
    if has_bias:
        own = np.array([0.3 + e if abs(0.3 + e) > 1e-12 else 0.0])
        assert reference.violation(own, [bias_slope + (D * raw_step).sum()], bias_l1) < 1e-10
        assert bias_l1 < 50 or own == 0
    value = reference.model_value(Z, D, slopes[some], bias_slope, w, new, e, l1, l2) + bias_l1 * abs(0.3 + e)
    rng = np.random.default_rng(4)
    for size in (1e-4, 1e-2, 1.0):
        other = new + size * rng.standard_normal(len(some))
        step = e + has_bias * size * rng.standard_normal()
        assert value <= reference.model_value(
            Z, D, slopes[some], bias_slope, w, other, step, l1, l2) + bias_l1 * abs(0.3 + step)


def test_no_columns_and_no_sweeps():
    arguments, X, D, of_rows, w = problem("sparse", np.float64)
    slopes, bias_slope = X.T @ of_rows, of_rows.sum()
    raw_step, none = np.empty(len(D)), np.empty(0, np.intp)
    e, worst, n_sweeps = proximal.descend_columns(
        *arguments, none, D, slopes[none], bias_slope, True, w[none], 0.0, 1.0, 0.0, 0.0, 1e-8, 100, np.empty(0),
        raw_step)
    np.testing.assert_allclose(e, -bias_slope / D.sum())
    np.testing.assert_array_equal(raw_step, e)
    new = np.empty(len(w))
    _, worst, n_sweeps = proximal.descend_columns(
        *arguments, np.arange(len(w)), D, slopes, bias_slope, True, w, 0.0, 1.0, 0.0, 0.0, 1e-8, 0, new, raw_step)
    assert n_sweeps == 0
    np.testing.assert_array_equal(new, w)


def test_a_descent_on_a_matrix():
    rng = np.random.default_rng(5)
    A = rng.standard_normal((30, 12))
    H, start, l1 = A.T @ A, 5 * rng.standard_normal(12), 2.0
    w = np.where(rng.random(12) < 0.5, 0, rng.standard_normal(12))
    slopes, new = start.copy(), w.copy()
    worst, n_sweeps = proximal.descend_matrix(H, slopes, new, l1, 1e-11, 10_000)
    assert worst <= 1e-11
    assert n_sweeps < 10_000
    np.testing.assert_allclose(slopes, start + H @ (new - w), atol=1e-9)
    assert reference.violation(new, start + H @ (new - w), l1) < 1e-9
    assert proximal.descend_matrix(np.empty((0, 0)), np.empty(0), np.empty(0), l1, 1e-8, 10) == (0.0, 0)


def test_an_interrupt_ends_a_sweep_before_its_last_column():
    n, m = 2000, 10_000
    x, rows = np.random.default_rng(0).standard_normal(n), np.arange(n, dtype=np.int32)
    # the same column many times
    columns, starts = np.zeros(m, dtype=np.intp), np.array([0, n])
    moved = np.full(m, np.nan)
    curvatures, slopes, zeros, raw_step = np.ones(n), np.arange(1.0, m + 1), np.zeros(m), np.empty(n)

    def interrupt():
        # one that comes before the sweep has begun would end the tests
        while np.isnan(moved[0]):
            time.sleep(1e-3)
        _thread.interrupt_main()

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        proximal.descend_columns(
            x, rows, starts, columns, curvatures, slopes, 0.0, False, zeros, 0.0, 0.1, 1.0, 0.0, 1e-9, 1, moved,
            raw_step)
    assert moved[-1] == 0
