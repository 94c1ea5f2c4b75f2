"""Sizes past 2^31 elements, on pages of zeros that are never written and so take no memory."""

import mmap

import numpy as np
import pytest

from fasttrain._kernels import columns, quantiles, rows

N_ROWS = 2**28 + 5
N_COLUMNS = 9


@pytest.fixture(scope="module")
def zeros():
    size = N_ROWS * N_COLUMNS * 4
    pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=mmap.PROT_READ)
    X = np.frombuffer(pages, dtype=np.float32).reshape(N_ROWS, N_COLUMNS)
    assert X.size > 2**31
    assert not X.flags.writeable
    return X


@pytest.mark.exhaustive
@pytest.mark.parametrize("order", ["C", "F"])
def test_statistics(zeros, order):
    X = zeros if order == "C" else zeros.reshape(N_COLUMNS, N_ROWS).T
    weight, mean, squares = out = np.full((3, N_COLUMNS), -1.0)
    assert columns.moments(X, None, *out, 2) == 0
    assert (weight == N_ROWS).all()
    assert (mean == 0).all()
    assert (squares == 0).all()
    low, high = np.ones((2, N_COLUMNS), dtype=np.float32)
    assert columns.extremes(X, low, high, 2) == 0
    assert (low == 0).all()
    assert (high == 0).all()


@pytest.mark.exhaustive
def test_row_masks(zeros):
    counts = np.zeros(N_ROWS, dtype=np.int32)
    assert rows.missing(zeros, counts, 2) == 0
    assert not counts.any()
    low = np.full(N_COLUMNS, -1.0)
    assert rows.outside(zeros, low, low / 2, counts, 2) == 0
    assert (counts == N_COLUMNS).all()


def test_rows_further_than_2_to_the_31_elements_apart(zeros):
    """The default run looks at both ends only: few rows, far apart."""
    X = zeros[:: N_ROWS - 1]
    assert X.shape == (2, N_COLUMNS)
    weight, mean, squares = out = np.full((3, N_COLUMNS), -1.0)
    assert columns.moments(X, None, *out, 2) == 0
    assert (weight == 2).all()
    mask = np.empty(2, dtype=np.uint8)
    assert rows.duplicates(X, 0, mask, 1) == 0
    assert mask.tolist() == [0, 1]
    far = zeros.reshape(N_COLUMNS, N_ROWS).T[:3]
    found = np.ones((1, N_COLUMNS))
    assert quantiles.quantiles(far, np.array([0.5]), found, 1) == 0
    assert (found == 0).all()
    scaled = np.ones((2, N_COLUMNS), dtype=np.float32)
    ones = np.ones(N_COLUMNS, dtype=np.float32)
    assert columns.scale(X, ones, ones, 0, 0, 0, scaled, 1) == (0, False)
    assert (scaled == -1).all()
