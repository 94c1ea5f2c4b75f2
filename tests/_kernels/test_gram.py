"""Sums of products of columns against long double, in every layout, type and number of threads."""

import numpy as np
import pytest
import reference_gram as reference
from reference_columns import layouts
from scipy import sparse

from fasttrain._kernels import gram

THREADS = (1, 2, 3, 8)
# With one group of panels and several, one chunk and several, blocks that end early; no targets and some; at the edges
# of a panel and of its tiles.
SHAPES = [
    (1, 1, 1), (3, 2, 0), (700, 7, 3), (5000, 31, 1), (300, 300, 2), (70, 530, 1), (40_000, 3, 1), (400, 22, 1),
    (400, 23, 0), (400, 24, 9), (13_000, 47, 2),
]


def products(X, y=None, weights=None, rows=None, shift=None, row_shift=None, n_threads=1):
    p = X.shape[1]
    out = np.full((p + 1, p + 1 + (0 if y is None else y.shape[1])), np.nan)
    assert gram.products(X, y, weights, rows, shift, row_shift, out, n_threads) == 0
    return out


def data(n, p, k, dtype, seed=0):
    rng = np.random.default_rng(seed)
    X = (rng.standard_normal((n, p)) + 3).astype(dtype)
    rows = rng.integers(0, n, 2 * n // 3 + 1)
    return X, rng.standard_normal((n, k)) if k else None, rng.random(n), rows, rng.standard_normal(p), rng.random(n)


def close(found, expected):
    """To the rounding of chains of some thousand terms, and of the largest sum: others may have cancelled."""
    np.testing.assert_allclose(
        found, expected.astype(float), rtol=1e-12, atol=1e-15 * float(np.abs(expected).max()))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_against_long_double(shape, dtype):
    X, y, weights, rows, shift, row_shift = data(*shape, dtype)
    for options in (
        {}, {"weights": weights}, {"rows": rows}, {"shift": shift}, {"row_shift": row_shift},
        {"weights": weights, "rows": rows, "shift": shift, "row_shift": row_shift},
    ):
        expected = reference.products(X, y, **options)
        close(products(X, y, **options), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(5003, 13, 2), (200, 300, 1)])
def test_same_bytes_for_any_layout_and_thread_count(shape, dtype):
    X, y, weights, rows, shift, _ = data(*shape, dtype)
    options = [{}, {"weights": weights, "shift": shift}, {"rows": rows, "weights": weights, "shift": shift}]
    expected = [products(X, y, **one).tobytes() for one in options]
    for name, view in layouts(X).items():
        before = view.copy()
        for one, bytes_of in zip(options, expected):
            for n_threads in THREADS:
                assert products(view, y, n_threads=n_threads, **one).tobytes() == bytes_of, (name, n_threads)
        np.testing.assert_array_equal(view, before)


def test_symmetric_to_the_byte():
    X, y, weights, _, shift, _ = data(900, 45, 1, np.float64)
    found = products(X, y, weights, shift=shift)[:, :46]
    assert found.tobytes() == found.T.copy().tobytes()


def test_a_shift_keeps_digits_far_from_zero():
    """Mean 1e8, standard deviation 1: squares about a value near the mean, not about 0."""
    X = 1e8 + np.random.default_rng(0).standard_normal((20_000, 3))
    shift = X[0]
    expected = reference.products(X, shift=shift).astype(float)
    np.testing.assert_allclose(products(X, shift=shift), expected, rtol=1e-12, atol=1e-10)


def test_float32_is_added_up_in_double():
    X = np.full((100_001, 1), 0.1, dtype=np.float32)
    assert products(X)[0, 0] == pytest.approx(100_001 * float(X[0, 0]) ** 2, rel=1e-12)


def test_nan_and_infinity_reach_the_sums():
    for value in (np.nan, np.inf):
        X = np.ones((1000, 3))
        X[777, 1] = value
        assert not np.isfinite(products(X, weights=np.zeros(1000))).all()
        assert np.isfinite(products(X, rows=np.arange(777))).all()


def test_no_rows():
    X, y = np.ones((4, 2)), np.ones((4, 1))
    assert (products(X, y, rows=np.zeros(0, dtype=np.intp)) == 0).all()


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sparse(dtype, index):
    rng = np.random.default_rng(0)
    for n, p, k, density in ((1, 1, 1, 1.0), (500, 40, 2, 0.3), (300, 90, 0, 0.9), (40, 7, 1, 0.0)):
        X = np.where(rng.random((n, p)) < density, rng.standard_normal((n, p)), 0).astype(dtype)
        y, weights, rows = (rng.standard_normal((n, k)) if k else None), rng.random(n), rng.integers(0, n, n)
        S = sparse.csr_array(X)
        for w, r in ((None, None), (weights, None), (weights, rows)):
            found = []
            for n_threads in THREADS:
                out = np.full((p + 1, p + 1 + k), np.nan)
                status = gram.products_sparse(
                    S.data, S.indices.astype(index), S.indptr.astype(index), y, w, r, p, out, n_threads)
                assert status == 0
                found.append(out)
            close(found[0], reference.products(X, y, w, r))
            assert len({one.tobytes() for one in found}) == 1
