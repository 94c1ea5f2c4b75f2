"""Sums of loss, gradient and weights over blocks of rows: what a full-batch step and L-BFGS need of data in parts.

Each block's sums are a function of the parameters and the block alone, so they may be taken anywhere and in any order;
:class:`SumTree` adds them in an order that hangs on the blocks' numbers only.
"""

from dataclasses import dataclass

import numpy as np

from fasttrain.training.engine import SLICE_SECONDS


@dataclass
class BlockSums:
    """Sums over rows, neither divided by anything nor with a penalty.

    Attributes
    ----------
    loss : float
        Of the weighted losses.
    gradient : float64 array of shape (n_parameters,)
        Of their gradients, in the layout of the network's parameters.
    weight : float
        Of the weights; the number of rows without any.
    n_rows : int
    """

    loss: float
    gradient: np.ndarray
    weight: float
    n_rows: int

    def __add__(self, other):
        return BlockSums(
            self.loss + other.loss, self.gradient + other.gradient, self.weight + other.weight,
            self.n_rows + other.n_rows)


class SumTree:
    """Adds things up, given one after the other, in pairs: the tree hangs on how many there are and on nothing else.

    Thing 0 and 1 are added, 2 and 3, then these two sums, and so on; what is left over at the end is added from the
    last to the first. So 2^k things that begin at a multiple of 2^k may be added elsewhere, in the same pairs, and
    given as one by ``level``. At most log2(n) + 1 things are kept.
    """

    def __init__(self):
        self._kept = []

    def add(self, thing, level=0):
        """Take the next thing; with ``level`` the sum of the next 2^level things."""
        while self._kept and self._kept[-1][0] == level:
            _, before = self._kept.pop()
            thing, level = before + thing, level + 1
        self._kept.append((level, thing))

    def total(self):
        """The sum of all of them; None of none."""
        kept = [thing for _, thing in self._kept]
        if not kept:
            return None
        total = kept.pop()
        while kept:
            total = kept.pop() + total
        return total


def sums_of_bound(network, threads):
    """:class:`BlockSums` of the network's bound rows at its parameters."""
    network.start_gradient(threads)
    while not network.run_gradient(SLICE_SECONDS):
        pass
    gradient = np.empty(network.parameters.size, dtype=np.float64)
    loss, weight = network.finish_sums(gradient)
    return BlockSums(loss, gradient, weight, network.n_rows)


def objective_of(network, sums):
    """(mean loss plus penalty, its float64 gradient) of all rows from their sums, at the network's parameters.

    The total weight is divided by once, and the penalty is added once.
    """
    gradient = sums.gradient.copy()
    return network.objective_of_sums(sums.n_rows, sums.loss, sums.weight, gradient), gradient
