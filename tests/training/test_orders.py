"""Orders of rows are those that NumPy draws."""

import numpy as np
import pytest

from fasttrain.training import Reshuffling, permutations
from fasttrain.training.orders import shuffle


@pytest.mark.parametrize("n", [0, 1, 2, 3, 999, 10_001, 16_384, 16_385, 70_001])
@pytest.mark.parametrize("drawn", [0, 7, 623, 624])
def test_shuffle_is_that_of_numpy(n, drawn):
    """The same order, and the same state afterwards."""
    ours, theirs = np.random.RandomState(3), np.random.RandomState(3)
    for state in (ours, theirs):
        state.randint(0, 2**32, drawn, dtype=np.uint32)
        # a normal deviate that is kept for the next call
        state.standard_normal()
    for _ in range(3):
        order = np.arange(n, dtype=np.intp)
        shuffle(order, ours)
        np.testing.assert_array_equal(order, theirs.permutation(n))
    assert ours.standard_normal() == theirs.standard_normal()
    np.testing.assert_array_equal(ours.randint(0, 2**32, 700, np.uint32), theirs.randint(0, 2**32, 700, np.uint32))


@pytest.mark.parametrize("make", [
    np.random.RandomState, np.random.default_rng, lambda seed: np.random.RandomState(np.random.PCG64(seed)),
], ids=["RandomState", "Generator", "RandomState on PCG64"])
@pytest.mark.parametrize("rows", [12_345, np.arange(5, 20_005, dtype=np.intp)], ids=["all rows", "some rows"])
def test_permutations(make, rows):
    draw, peer = permutations(rows, make(0)), make(0)
    n = rows if isinstance(rows, int) else len(rows)
    for _ in range(2):
        expected = peer.permutation(n)
        np.testing.assert_array_equal(draw(), expected if isinstance(rows, int) else rows[expected])


def test_each_order_permutes_the_last():
    rows = np.arange(3, 15_003, dtype=np.intp)
    orders, peer, expected = Reshuffling(rows, np.random.RandomState(1)), np.random.RandomState(1), rows
    for _ in range(3):
        expected = expected[peer.permutation(len(rows))]
        np.testing.assert_array_equal(orders(), expected)
    np.testing.assert_array_equal(rows, np.arange(3, 15_003))
