"""Sums of losses and gradients of many linear models against their definition in NumPy."""

import _thread
import threading
import time

import numpy as np
import pytest
import reference
from scipy import sparse

from fasttrain._kernels.linear import LinearSums
from fasttrain._kernels.losses import NAMES

DTYPES = [np.float32, np.float64]
N_OUTPUTS = {"softmax_crossentropy": 3}
STEPPED = ("absolute_error", "quantile", "hinge", "epsilon_insensitive")


def problem(n, k, loss, dtype, n_outputs, layout="dense", seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, k)).astype(dtype)
    if layout != "dense":
        X[rng.uniform(size=X.shape) < 0.7] = 0
    if loss == "softmax_crossentropy":
        y = rng.integers(0, n_outputs, n).astype(dtype)
    elif loss in ("binary_crossentropy", "poisson"):
        y = rng.integers(0, 2, (n_outputs, n)).astype(dtype)
    elif "hinge" in loss or loss == "modified_huber":
        y = rng.choice([-1, 1], (n_outputs, n)).astype(dtype)
    else:
        y = rng.standard_normal((n_outputs, n)).astype(dtype)
    return X, y


def given(X, layout):
    if layout == "dense":
        return X
    rows = sparse.csr_array(X)
    index = np.int64 if layout == "csr64" else np.int32
    return rows.data, rows.indices.astype(index), rows.indptr, X.shape[1]


def twin(X, y, weight, held, w, loss, parameter, n_outputs, fit_intercept):
    """(value, gradient) from the definition, in float64."""
    X, y = X.astype(np.longdouble), np.asarray(y, dtype=np.longdouble)
    s = np.ones(len(X)) if weight is None else weight.astype(float)
    s = s.copy()
    if held is not None:
        s[held] = 0
    w = w.reshape(n_outputs, -1)
    z = X @ w[:, :X.shape[1]].T + (w[:, -1] if fit_intercept else 0)
    value_of, gradient_of = reference.LOSSES[loss]
    if loss == "softmax_crossentropy":
        values, D = value_of(y[:, None], z, parameter), gradient_of(y[:, None], z, parameter)
    else:
        values, D = value_of(y.T, z, parameter).sum(axis=1), gradient_of(y.T, z, parameter)
    D = D * s[:, None]
    gradient = D.T @ X
    if fit_intercept:
        gradient = np.hstack([gradient, D.sum(axis=0)[:, None]])
    return float((s * values).sum()), gradient.ravel().astype(float)


def fits_of(y, n, n_fits, dtype, seed=1):
    """Fits with and without weights, with no row, some and whole blocks of rows held out."""
    rng = np.random.default_rng(seed)
    weight = rng.uniform(0, 2, n).astype(dtype)
    holds = [None, np.array([0]), np.array([n - 1]), np.arange(n // 3), np.arange(n // 3, n - 1), np.arange(0, n, 3)]
    return [
        (y, weight if j % 2 else None, None if holds[j % 6] is None else holds[j % 6].astype(np.int64))
        for j in range(n_fits)
    ]


def check(loss, shape, n_fits, layout, dtype, fit_intercept, n_outputs, parameter=0.5):
    n, k = shape
    # a mean of any sign has no other deviance
    parameter = 0.0 if loss == "tweedie_identity" else parameter
    X, y = problem(n, k, loss, dtype, n_outputs, layout)
    fits = fits_of(y, n, n_fits, dtype)
    sums = LinearSums(given(X, layout), loss, parameter, n_outputs, fit_intercept, fits)
    w = np.random.default_rng(2).standard_normal((n_fits, sums.size)) / np.sqrt(k)
    w = w.astype(dtype).astype(float)
    value, gradient = np.full(n_fits, np.nan), np.full(w.shape, np.nan)
    sums.evaluate(w, value, gradient)
    for j, (_, weight, held) in enumerate(fits):
        v, g = twin(X, y, weight, held, w[j], loss, parameter, n_outputs, fit_intercept)
        tolerance = 4e-5 if dtype == np.float32 else 1e-12
        np.testing.assert_allclose(value[j], v, rtol=tolerance, atol=tolerance * n)
        # float32 may see a row on the other side of a step of the derivative
        stepped = dtype == np.float32 and loss in STEPPED
        np.testing.assert_allclose(gradient[j], g, rtol=tolerance, atol=tolerance * n + (10 if stepped else 0))
    threaded = np.full(n_fits, np.nan), np.full(w.shape, np.nan)
    for n_threads in (2, 3):
        sums.evaluate(w, *threaded, None, n_threads)
        assert value.tobytes() == threaded[0].tobytes()
        assert gradient.tobytes() == threaded[1].tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", NAMES)
def test_against_the_definition(loss, dtype):
    for layout in ("dense", "csr"):
        for n_fits in (1, 5):
            check(loss, (531, 9), n_fits, layout, dtype, True, N_OUTPUTS.get(loss, 1 + (n_fits == 5)))


@pytest.mark.parametrize("layout", ["dense", "csr", "csr64"])
@pytest.mark.parametrize("n_fits", [1, 2, 4, 7, 40])
def test_shapes(n_fits, layout):
    for shape in [(1, 1), (5, 3), (300, 17), (70, 300), (9000, 5)]:
        for dtype in DTYPES:
            check("binary_crossentropy", shape, n_fits, layout, dtype, shape[1] % 2 == 1, 1)
            check("softmax_crossentropy", shape, n_fits, layout, dtype, True, 3)


@pytest.mark.parametrize("layout", ["csr", "csr64"])
@pytest.mark.parametrize("shape", [(6000, 40), (300, 1500), (7, 2)])
def test_sparse_rows_one_by_one(shape, layout):
    for dtype in DTYPES:
        check("binary_crossentropy", shape, 1, layout, dtype, True, 1)


@pytest.mark.exhaustive
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", ["dense", "csr", "csr64"])
@pytest.mark.parametrize("loss", NAMES)
def test_every_shape(loss, layout, dtype):
    for shape in [(1, 1), (2, 70), (63, 8), (300, 17), (5000, 33)]:
        for n_fits in (1, 2, 3, 5, 16, 33):
            for n_outputs in (2, 3, 8, 11) if loss == "softmax_crossentropy" else (1, 2, 5):
                for fit_intercept in (True, False):
                    check(loss, shape, n_fits, layout, dtype, fit_intercept, n_outputs)


@pytest.mark.parametrize("layout", ["dense", "csr"])
def test_the_gradient_is_that_of_the_value(layout):
    X, y = problem(200, 6, "binary_crossentropy", np.float64, 1, layout)
    sums = LinearSums(given(X, layout), "binary_crossentropy", 1.0, 1, True, fits_of(y, 200, 1, np.float64))
    w = np.random.default_rng(0).standard_normal(7)
    gradient, spare, found, h = np.empty((1, 7)), np.empty((1, 7)), np.zeros(7), 1e-3
    sums.evaluate(w[None], np.empty(1), gradient)
    for f in range(7):
        for step, factor in [(-2, 1 / 12), (-1, -2 / 3), (1, 2 / 3), (2, -1 / 12)]:
            moved, value = w.copy(), np.empty(1)
            moved[f] += step * h
            sums.evaluate(moved[None], value, spare)
            found[f] += factor * value[0] / h
    np.testing.assert_allclose(gradient[0], found, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("layout", ["dense", "csr"])
def test_some_of_the_fits(layout):
    X, y = problem(700, 6, "binary_crossentropy", np.float64, 1, layout)
    fits = fits_of(y, 700, 6, np.float64)
    sums = LinearSums(given(X, layout), "binary_crossentropy", 1.0, 1, True, fits)
    w = np.random.default_rng(0).standard_normal((6, 7))
    value, gradient = np.empty(6), np.empty((6, 7))
    sums.evaluate(w, value, gradient)
    # one, for which sparse rows are read as they are, before and after several
    for active in ([2], [4, 1, 5], [3]):
        active = np.array(active, dtype=np.intp)
        some = np.empty(len(active)), np.empty((len(active), 7))
        sums.evaluate(w[active], *some, active)
        np.testing.assert_allclose(some[0], value[active], rtol=1e-13)
        np.testing.assert_allclose(some[1], gradient[active], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", ["dense", "csr"])
@pytest.mark.parametrize("n_fits, n_outputs", [(1, 1), (2, 1), (5, 2)])
def test_raw_predictions_and_the_parameter_of_the_loss(n_fits, n_outputs, layout, dtype):
    X, y = problem(5000, 7, "huber", dtype, n_outputs, layout)
    fits = fits_of(y, 5000, n_fits, dtype)
    sums = LinearSums(given(X, layout), "huber", 1.0, n_outputs, True, fits)
    raw = np.full((n_fits, n_outputs, 5000), np.nan, dtype)
    sums.keep_raw(raw)
    w = np.random.default_rng(2).standard_normal((n_fits, sums.size))
    values, gradients = np.empty(n_fits), np.empty_like(w)
    for parameter in (1.0, 0.3):
        sums.loss_parameter = parameter
        assert sums.loss_parameter == parameter
        results = []
        for n_threads in (1, 2, 5):
            raw[:] = np.nan
            sums.evaluate(w, values, gradients, None, n_threads)
            results.append((values.tobytes(), gradients.tobytes(), raw.tobytes()))
        assert results[1:] == results[:1] * 2
        for j, (_, weight, held) in enumerate(fits):
            expected = twin(X, y, weight, held, w[j], "huber", parameter, n_outputs, True)
            assert values[j] == pytest.approx(expected[0], rel=1e-5 if dtype == np.float32 else 1e-12)
            by_output = w[j].reshape(n_outputs, -1)
            wanted = by_output[:, :-1] @ X.T + by_output[:, -1:]
            np.testing.assert_allclose(raw[j], wanted, rtol=0, atol=1e-5 if dtype == np.float32 else 1e-13)
    # only those that are asked
    raw[:] = np.nan
    sums.evaluate(w[-1:], values[:1], gradients[:1], np.array([n_fits - 1]), 2)
    assert np.isfinite(raw[-1]).all()
    assert np.isnan(raw[:-1]).all()
    sums.keep_raw(None)
    sums.evaluate(w, values, gradients, None, 2)
    assert np.isnan(raw[:-1]).all()
    softmax = LinearSums(X, "softmax_crossentropy", 1.0, 2, True, [(np.zeros(5000, dtype), None, None)])
    with pytest.raises(ValueError, match="elementwise losses only"):
        softmax.keep_raw(raw)


def test_arrays_that_cannot_be_written():
    X, y = problem(90, 4, "half_squared_error", np.float64, 2)
    fits = fits_of(y, 90, 2, np.float64)
    for array in [X, y, *(array for fit in fits for array in fit[1:] if array is not None)]:
        array.flags.writeable = False
    sums = LinearSums(X, "half_squared_error", 1.0, 2, True, fits)
    w = np.zeros((2, sums.size))
    w.flags.writeable = False
    sums.evaluate(w, np.empty(2), np.empty(w.shape))


def test_an_interrupt_is_heard_in_an_evaluation():
    n = 200_000
    X, y = np.ones((n, 100)), np.zeros((1, n))
    sums = LinearSums(X, "binary_crossentropy", 1.0, 1, True, [(y, None, None)] * 150)
    w = np.zeros((150, 101))
    sent = []

    def interrupt():
        sent.append(time.perf_counter())
        _thread.interrupt_main()

    timer = threading.Timer(0.1, interrupt)
    timer.start()

    def evaluate():
        for _ in range(100):
            sums.evaluate(w, np.empty(150), np.empty(w.shape), None, 1)

    with pytest.raises(KeyboardInterrupt):
        evaluate()
    assert time.perf_counter() - sent[0] < 0.5
