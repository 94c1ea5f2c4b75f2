"""Coordinate descent against its formula, in every design, dtype and number of tasks."""

import threading
import time

import numpy as np
import pytest
import reference_coordinate as reference
from scipy import sparse

from fasttrain._kernels import coordinate

DESIGNS = ["dense", "narrow", "gram", "sparse", "centred sparse", "weighted sparse"]


def data(n, p, n_tasks=1, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * (rng.random((n, p)) < 0.6) + rng.standard_normal((n, 1)) * 0.3
    X[:, p // 2] = 0
    Y = X @ (rng.standard_normal((p, n_tasks)) * (rng.random((p, 1)) < 0.3)) + 0.1 * rng.standard_normal((n, n_tasks))
    return X.astype(dtype), Y.astype(dtype)


def designed(X, Y, design):
    """(arguments of path, the columns that they stand for, the targets)."""
    if design in ("dense", "narrow"):
        columns = np.asfortranarray(X)
        return {"X": columns, "narrow": np.asfortranarray(X, np.float32) if design == "narrow" else None}, X, Y
    if design == "gram":
        return {"gram": np.ascontiguousarray(X.T @ X)}, X, Y
    matrix = sparse.csc_array(np.where(np.abs(X) < 0.5, 0, X))
    parts = {"data": matrix.data, "indices": matrix.indices.astype(np.int32), "indptr": matrix.indptr.astype(np.int32)}
    if design == "sparse":
        return parts, matrix.toarray(), Y
    weights = np.random.default_rng(1).random(len(X)) if design == "weighted sparse" else np.ones(len(X))
    root = np.sqrt(weights).astype(X.dtype)
    mean = np.average(matrix.toarray(), axis=0, weights=weights).astype(X.dtype)
    parts.update(data=matrix.data * root[matrix.indices], mean=mean)
    if design == "weighted sparse":
        parts["root"] = root
    return parts, root[:, None] * (matrix.toarray() - mean), root[:, None] * Y


def run(arguments, Z, Y, l1, l2, *, start=None, tol=0.0, max_iter=3, seeds=None, **options):
    w = np.zeros((Z.shape[1], Y.shape[1]), Z.dtype) if start is None else start.copy()
    l1, l2 = np.atleast_1d(np.asarray(l1, float)), np.atleast_1d(np.asarray(l2, float))
    coefs = np.empty((len(l1), *w.shape), Z.dtype)
    seeds = np.zeros(len(l1), np.uint32) if seeds is None else seeds
    y = Z.T @ Y if "gram" in arguments else Y
    gaps, bounds, n_iters, converged = coordinate.path(
        w, np.asfortranarray(y), l1, l2, seeds, coefs, **arguments, y_squares=float(np.sum(Y.astype(float) ** 2)),
        tol=tol, max_iter=max_iter, **options)
    return coefs, gaps, n_iters, converged


@pytest.mark.parametrize("n_tasks", [1, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("design", DESIGNS)
def test_sweeps_are_the_formulas(design, dtype, n_tasks):
    if n_tasks > 1 and design in ("gram", "narrow"):
        pytest.skip("for one task")
    if design == "narrow" and dtype == np.float32:
        pytest.skip("float32 is narrow")
    X, Y = data(37, 53 if design != "gram" else 20, n_tasks, dtype)
    arguments, Z, targets = designed(X, Y, design)
    top = np.linalg.norm(Z.T @ targets, axis=1).max()
    exact, Y64 = Z.astype(np.float64), targets.astype(np.float64)
    tolerance = {"rtol": 1e-9, "atol": 1e-10} if dtype == np.float64 else {"rtol": 2e-3, "atol": 2e-4}
    for share, l2, positive, seed in [(0.3, 0, False, None), (0.05, 2.0, False, 7), (0.1, 0.5, n_tasks == 1, None),
                                      (0.0, 1.0, False, 3)]:
        l1 = share * top
        coefs, *_ = run(
            arguments, Z, targets, l1, l2, screening=False, positive=positive, random=seed is not None,
            seeds=np.array([seed or 0], np.uint32))
        expected = reference.sweeps(
            exact, Y64, np.zeros(coefs[0].shape), l1, l2, 3, positive=positive, seed=seed)
        np.testing.assert_allclose(coefs[0], expected, **tolerance)


@pytest.mark.parametrize("design", DESIGNS)
def test_solutions_are_optimal_along_a_path(design):
    X, Y = data(40, 60 if design != "gram" else 25)
    arguments, Z, targets = designed(X, Y, design)
    top = np.abs(Z.T @ targets).max()
    l1 = top * np.geomspace(1.0, 1e-2, 12)
    for positive in (False, True):
        for l2 in (0.0, 0.3):
            coefs, gaps, n_iters, converged = run(
                arguments, Z, targets, l1, np.full(12, l2), tol=1e-12, max_iter=100_000, positive=positive)
            assert converged.all()
            for i in range(12):
                assert reference.residual(Z, targets, coefs[i], l1[i], l2, positive=positive) < 1e-5 * top
                if not positive:
                    true = reference.gap(Z, targets, coefs[i], l1[i], l2)
                    assert abs(gaps[i] - true) < 1e-10 * np.sum(targets**2)
            assert n_iters[0] <= 1
            assert not coefs[0].any() or positive


@pytest.mark.parametrize("screening", [False, True])
def test_a_path_goes_on_from_the_last_solution(screening):
    X, Y = data(30, 50)
    arguments, Z, targets = designed(X, Y, "dense")
    top = np.abs(Z.T @ targets).max()
    l1 = top * np.array([0.5, 0.2, 0.1])
    together, *_ = run(arguments, Z, targets, l1, np.zeros(3), tol=1e-6, max_iter=1000, screening=screening)
    start = None
    for i in range(3):
        alone, *_ = run(
            arguments, Z, targets, l1[i], 0.0, start=start, tol=1e-6, max_iter=1000, screening=screening)
        start = alone[0]
        np.testing.assert_allclose(alone[0], together[i], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", ["C", "F", "strided", "reversed"])
def test_columns_are_centred_and_weighted(layout, dtype):
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((41, 37)) + 1e3 * rng.standard_normal(37)).astype(dtype)
    X[:, 3] = 0.1
    view = {"C": X, "F": np.asfortranarray(X), "strided": np.repeat(X, 2, axis=1)[:, ::2], "reversed": X[::-1][::-1]}[
        layout]
    for rows in (None, np.sort(rng.permutation(41)[:30]).astype(np.intp)):
        for weights in (None, rng.random(41 if rows is None else 30).astype(dtype)):
            taken = X if rows is None else X[rows]
            out = np.empty(taken.shape, dtype, order="F")
            narrow = np.empty(taken.shape, np.float32, order="F")
            mean = np.empty(37, dtype)
            root = None if weights is None else np.sqrt(weights)
            coordinate.centred_columns(view, rows, weights, root, True, out, mean, narrow)
            wide = taken.astype(np.float64)
            expected = np.average(wide, axis=0, weights=weights)
            np.testing.assert_allclose(mean, expected, rtol=1e-6 if dtype == np.float32 else 1e-14)
            centred = wide - expected
            centred = centred if weights is None else centred * np.sqrt(weights.astype(np.float64))[:, None]
            np.testing.assert_allclose(out, centred, atol=2e-4 if dtype == np.float32 else 1e-11)
            np.testing.assert_array_equal(narrow, out.astype(np.float32))
            assert not out[:, 3].any()
            coordinate.centred_columns(view, rows, None, None, False, out, mean, None)
            np.testing.assert_array_equal(out, taken)


def test_what_is_given_is_not_written_to():
    X, Y = data(30, 20)
    for design in DESIGNS:
        arguments, Z, targets = designed(X, Y, design)
        for part in arguments.values():
            if part is not None:
                part.flags.writeable = False
        frozen = targets.copy()
        run(arguments, Z, targets, 1.0, 0.1)
        np.testing.assert_array_equal(targets, frozen)


def test_a_stop_ends_a_descent_in_another_thread():
    rng = np.random.default_rng(0)
    X = np.asfortranarray(rng.standard_normal((400, 3000)))
    y = rng.standard_normal((400, 1))
    stop, ended = coordinate.Stop(), []

    def work():
        try:
            run({"X": X}, X, y, 1e-6, 0.0, max_iter=10**9, stop=stop)
        except coordinate.Stopped:
            ended.append(time.monotonic())

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.2)
    begun = time.monotonic()
    stop.set()
    thread.join(5)
    assert ended
    assert ended[0] - begun < 0.5
