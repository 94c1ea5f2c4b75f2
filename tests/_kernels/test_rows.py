import mmap
import sys

import numpy as np
import pytest
import reference_columns as reference
from reference_columns import layouts

from fasttrain._kernels import rows

THREADS = (1, 2, 3, 8)


def repeating(rng, n, m, dtype):
    X = rng.integers(0, 4, (n, m)).astype(dtype)
    if np.dtype(dtype).kind == "f":
        X[X == 3] = np.nan
        X[rng.random(X.shape) < 0.3] *= -1.0
    return X


@pytest.mark.parametrize("keep", [0, 1, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("shape", [(1, 1), (50, 1), (3000, 4), (20_000, 6)])
def test_duplicates(shape, dtype, keep):
    X = repeating(np.random.default_rng(0), *shape, dtype)
    expected = reference.duplicates(X, keep)
    for name, view in layouts(X).items():
        for n_threads in THREADS:
            mask = np.full(shape[0], 7, dtype=np.uint8)
            assert rows.duplicates(view, keep, mask, n_threads) == 0
            np.testing.assert_array_equal(mask.astype(bool), expected, err_msg=f"{name} {n_threads}")


def test_no_false_duplicate_among_distinct_rows():
    X = np.random.default_rng(1).permutation(600_000).reshape(-1, 2).astype(np.float64)
    mask = np.empty(len(X), dtype=np.uint8)
    for n_threads in (1, 2):
        rows.duplicates(X, 0, mask, n_threads)
        assert not mask.any()


def test_all_rows_equal():
    mask = np.empty(100_000, dtype=np.uint8)
    rows.duplicates(np.full((100_000, 3), np.nan), 0, mask, 2)
    assert mask[0] == 0
    assert mask[1:].all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1), (5000, 3), (9001, 40)])
def test_missing_and_outside(shape, dtype):
    rng = np.random.default_rng(2)
    X = rng.standard_normal(shape).astype(dtype)
    X[rng.random(shape) < 0.1] = np.nan
    X[0, 0] = np.inf
    low, high = np.full(shape[1], -1.0), rng.uniform(0, 2, shape[1])
    with np.errstate(invalid="ignore"):
        expected = ((X.astype(float) < low) | (X.astype(float) > high)).sum(axis=1)
    for view in layouts(X).values():
        for n_threads in THREADS:
            counts = np.ones(shape[0], dtype=np.int32)
            assert rows.missing(view, counts, n_threads) == 0
            np.testing.assert_array_equal(counts, 1 + np.isnan(X).sum(axis=1))
            counts = np.zeros(shape[0], dtype=np.int32)
            assert rows.outside(view, low, high, counts, n_threads) == 0
            np.testing.assert_array_equal(counts, expected)


@pytest.mark.parametrize("n_threads", THREADS)
@pytest.mark.parametrize("dtype", [np.int8, np.float32, np.float64])
@pytest.mark.parametrize("n_cols", [1, 3, 8])
def test_take(n_cols, dtype, n_threads):
    rng = np.random.default_rng(5)
    X = (rng.standard_normal((30_000, n_cols)) * 50).astype(dtype)
    for at in (np.flatnonzero(rng.random(len(X)) < 0.7), np.array([29_999, 0]), np.array([], dtype=np.int64)):
        out = np.empty((len(at), n_cols), dtype=dtype)
        rows.take(X.view(np.int8), at, out.view(np.int8), n_threads)
        np.testing.assert_array_equal(out, X[at])
        word = {1: np.uint8, 4: np.uint32, 8: np.uint64}[X.itemsize]
        across = np.empty((n_cols, len(at)), dtype=dtype)
        rows.take_columns(np.ascontiguousarray(X.T).view(word), at, across.view(word), n_threads)
        np.testing.assert_array_equal(across.T, X[at])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_cols", [1, 3, 8, 20, 511, 513, 1100])
def test_take_present(n_cols, dtype):
    rng = np.random.default_rng(n_cols)
    n = 60_000 // n_cols + 3
    wide = rng.standard_normal((n, n_cols + 2)).astype(dtype)
    wide[rng.random(wide.shape) < 1 / (2 * n_cols)] = np.nan
    wide[0], wide[-1] = np.nan, np.inf
    allowed = rng.random(n) < 0.9
    for X in (wide[:, 1:-1], np.ascontiguousarray(wide[:, 1:-1])):
        for most in (-1, 0, 1, n_cols):
            expected = allowed & (np.isnan(X).sum(axis=1) <= most)
            keep = allowed.astype(np.uint8)
            out = np.empty((n, n_cols), dtype=dtype)
            moved = rows.take_present(X, most, keep, out)
            np.testing.assert_array_equal(keep.astype(bool), expected)
            assert moved == expected.sum()
            np.testing.assert_array_equal(out[:moved], X[expected])
            keep, across = allowed.astype(np.uint8), np.empty((n_cols, n), dtype=dtype)
            assert rows.take_present_columns(np.asfortranarray(X).T, most, keep, across) == moved
            np.testing.assert_array_equal(keep.astype(bool), expected)
            np.testing.assert_array_equal(across[:, :moved].T, X[expected])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pages_that_are_given_keep_what_is_in_them(dtype):
    out = np.arange(3_000_000, dtype=dtype).reshape(4, -1)
    for room in (out, out[:, 7:-9], out[:, :5], out[:0]):
        for done in (0, 1):
            rows.give_pages(room, np.full(1, done, dtype=np.intc))
    np.testing.assert_array_equal(out.ravel(), np.arange(3_000_000))


@pytest.mark.skipif(sys.platform != "linux", reason="what is resident is read from /proc")
def test_pages_are_given_before_they_are_written():
    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * mmap.PAGESIZE

    room = mmap.mmap(-1, 1 << 26)
    out = np.frombuffer(room, dtype=np.float64).reshape(8, -1)
    before = resident()
    rows.give_pages(out, np.ones(1, dtype=np.intc))
    assert resident() - before < 1 << 23
    rows.give_pages(out, np.zeros(1, dtype=np.intc))
    # the page that the first byte is in is that of who writes there
    assert resident() - before > 3 << 24
    assert not out.any()
