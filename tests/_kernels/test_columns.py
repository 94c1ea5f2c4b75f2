import numpy as np
import pytest
import reference_columns as reference
from reference_columns import layouts

from fasttrain._kernels import columns

THREADS = (1, 2, 3, 8)


def table(rng, n, m, dtype, missing):
    X = (rng.standard_normal((n, m)) * 3 + rng.standard_normal(m) * 10).astype(dtype)
    if missing:
        X[rng.random(X.shape) < 0.2] = np.nan
        X[:, 0] = np.nan
        X[: min(n, 700), -1] = np.nan
    return X


def moments(X, weights=None, n_threads=1):
    out = np.full((3, X.shape[1]), -1.0)
    assert columns.moments(X, weights, *out, n_threads) == 0
    return out


def extremes(X, n_threads=1):
    out = np.empty((2, X.shape[1]), dtype=X.dtype)
    assert columns.extremes(X, *out, n_threads) == 0
    return out


SHAPES = [(1, 1), (2, 3), (63, 1), (1000, 7), (5000, 31), (3001, 33), (700, 130), (40, 5000)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_moments_against_long_double(shape, missing, dtype):
    rng = np.random.default_rng(0)
    X = table(rng, *shape, dtype, missing)
    weight, mean, squares = moments(X)
    expected = reference.moments(X)
    np.testing.assert_array_equal(weight, expected[0])
    np.testing.assert_allclose(mean, expected[1].astype(float), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(squares, expected[2].astype(float), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weighted_moments_against_long_double(dtype):
    rng = np.random.default_rng(1)
    X = table(rng, 3001, 9, dtype, True)
    weights = rng.random(3001)
    weights[::5] = 0
    weight, mean, squares = moments(X, weights)
    expected = reference.moments(X, weights).astype(float)
    np.testing.assert_allclose(weight, expected[0], rtol=1e-12)
    np.testing.assert_allclose(mean, expected[1], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(squares, expected[2], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("first", [None, np.nan, 0.0, 1e12])
def test_moments_keep_their_digits_far_from_zero(first):
    """Mean 1e8, std 1; also when the value that deviations are taken from is missing or an outlier itself."""
    rng = np.random.default_rng(2)
    X = 1e8 + rng.standard_normal((200_000, 3))
    if first is not None:
        X[0] = first
    _, mean, squares = moments(X)
    expected = reference.moments(X).astype(float)
    np.testing.assert_allclose(mean, expected[1], rtol=1e-12 if first == 1e12 else 1e-15)
    np.testing.assert_allclose(squares, expected[2], rtol=1e-12)
    weights = np.ones(len(X))
    weights[0] = 0
    np.testing.assert_allclose(
        moments(X, weights)[2], reference.moments(X, weights)[2].astype(float), rtol=1e-12
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("shape", [(20_011, 3), (9001, 50)])
def test_same_bytes_for_any_layout_and_thread_count(shape, missing, dtype):
    X = table(np.random.default_rng(3), *shape, dtype, missing)
    weights = np.random.default_rng(4).random(shape[0])
    plain, weighted, ends = moments(X), moments(X, weights), extremes(X)
    for name, view in layouts(X).items():
        before = view.copy()
        for n_threads in THREADS:
            for got, expected in (
                (moments(view, None, n_threads), plain),
                (moments(view, weights, n_threads), weighted),
                (extremes(view, n_threads), ends),
            ):
                assert got.tobytes() == expected.tobytes(), (name, n_threads)
        np.testing.assert_array_equal(view, before)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_extremes(shape, dtype):
    X = table(np.random.default_rng(5), *shape, dtype, True)
    np.testing.assert_array_equal(extremes(X), reference.extremes(X))


def test_infinity_shows_in_the_mean():
    for at in (0, 1, 4999):
        X = np.ones((5000, 2))
        X[at, 1] = -np.inf
        assert not np.isfinite(moments(X)[1, 1])
        assert moments(X)[1, 0] == 1


MAPS = {
    0: lambda X, a, b, low, high: (X - a) / b,
    1: lambda X, a, b, low, high: X * a + b,
    2: lambda X, a, b, low, high: np.clip(X * a + b, low, high),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", MAPS)
@pytest.mark.parametrize("shape", [(1, 1), (70, 3), (5003, 7), (3000, 50), (300, 64), (40, 777)])
def test_scale_rounds_as_numpy_does(shape, kind, dtype):
    rng = np.random.default_rng(6)
    X = table(rng, *shape, dtype, True)
    a, b = rng.uniform(0.5, 2, (2, shape[1])).astype(dtype)
    expected = MAPS[kind](X, a, b, dtype(-1), dtype(2))
    for name, view in layouts(X).items():
        for out_name in ("C", "F", "strided"):
            for n_threads in (1, 3):
                out = layouts(np.zeros_like(X))[out_name]
                assert columns.scale(view, a, b, -1, 2, kind, out, n_threads) == (0, False)
                np.testing.assert_array_equal(out, expected, err_msg=f"{name} {out_name}")
    columns.scale(X, a, b, -1, 2, kind, X, 2)
    np.testing.assert_array_equal(X, expected)


@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scale_reports_infinity_wherever_it_is(dtype, value):
    for shape in ((1, 1), (37, 3), (2000, 70)):
        for at in ((0, 0), (shape[0] - 1, shape[1] - 1), (shape[0] // 2, shape[1] // 2)):
            X = np.ones(shape, dtype=dtype)
            X[at] = value
            ones = np.ones(shape[1], dtype=dtype)
            for view in layouts(X).values():
                assert columns.scale(view, ones, ones, 0, 0, 0, np.empty_like(X), 2) == (0, True)
