"""Orders of rows are those that NumPy draws."""

import numpy as np
import pytest

from fasttrain.callbacks import Callback
from fasttrain.neural_network import MLPRegressor
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


@pytest.mark.parametrize("afresh", [False, True])
@pytest.mark.parametrize(("n", "count"), [(1, 3), (150, 60), (4_999, 3), (5_001, 3), (70_001, 2)])
def test_a_generator_of_ones_own_is_left_behind(n, count, afresh):
    """The same orders, whether its words are fetched at first, later or not at all."""
    random_state, peer = np.random.RandomState(5), np.random.RandomState(5)
    for state in (random_state, peer):
        state.uniform(size=3)
    draw = (permutations if afresh else Reshuffling)(n, random_state, alone=True)
    order = np.arange(n)
    for _ in range(count):
        order = peer.permutation(n) if afresh else order[peer.permutation(n)]
        np.testing.assert_array_equal(draw(), order)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_fits_leave_alone_what_others_may_see():
    """A generator of the caller's, and one that callbacks look at, stand where NumPy's own draws leave them."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((6_000, 2)), rng.standard_normal(6_000)
    shared, peer, seen = np.random.RandomState(7), np.random.RandomState(7), []

    def fitted(random_state, callbacks=None):
        model = MLPRegressor(
            hidden_layer_sizes=(3,), batch_size=3_000, max_iter=3, random_state=random_state, callbacks=callbacks)
        return [*model.fit(X, y).coefs_, model.loss_curve_]

    class Looks(Callback):
        def on_epoch_end(self, epoch, logs):
            seen.append(self.training.plan.random_state.get_state()[1:3])

    expected = fitted(7)
    for found in (fitted(shared), fitted(7, [Looks()])):
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    # the initial weights of two layers and their biases
    peer.uniform(size=2 * 3 + 3 + 3 + 1)
    for key, position in seen:
        peer.permutation(6_000)
        np.testing.assert_array_equal(key, peer.get_state()[1])
        assert position == peer.get_state()[2]
    np.testing.assert_array_equal(shared.get_state()[1], peer.get_state()[1])
