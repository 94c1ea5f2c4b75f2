"""Sums of loss, gradient and weights over blocks of rows: what a full-batch step and L-BFGS need of data in parts.

Each block's sums are a function of the parameters and the block alone, so they may be taken anywhere and in any order;
:class:`SumTree` adds them in an order that hangs on the blocks' numbers only.
"""

from dataclasses import dataclass

import numpy as np

from fasttrain._kernels.threads import get_num_threads
from fasttrain.data.sums import SumTree
from fasttrain.training.engine import SLICE_SECONDS, NetworkAt, mean_loss


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


def bind(network, X, target, sample_weight):
    """Give the engine its data: X dense, or CSR as :func:`fasttrain._core.checks.check_rows` leaves it."""
    if isinstance(X, np.ndarray):
        network.bind(X, target, sample_weight)
    else:
        network.bind_csr(X.data, X.indices, X.indptr, target, sample_weight)


class OfNetwork:
    """A function of a block, ``(X, target, weights or None, ...)``, and of a network at its parameters.

    Pickled, it is the same function of the same numbers: another process makes a network of its own for each call, so
    that several threads may call it, on as many threads as :func:`fasttrain.get_num_threads` says there.
    """

    def __init__(self, network, threads):
        self._network = network
        self._threads = threads

    def __getstate__(self):
        network = self._network
        return {
            **vars(self), "_threads": None,
            "_network": network if isinstance(network, NetworkAt) else NetworkAt(network)}

    def __call__(self, block):
        network, threads = self._network, self._threads
        if isinstance(network, NetworkAt):
            network, threads = network.made(), get_num_threads()
        return self.of(network, threads, *block[:3])

    def of(self, network, threads, X, target, weights):
        """The function's value."""
        raise NotImplementedError


class GradientSums(OfNetwork):
    """:class:`BlockSums` of a block."""

    def of(self, network, threads, X, target, weights):
        bind(network, X, target, weights)
        return sums_of_bound(network, threads)


class LossSums(OfNetwork):
    """(sum of the weighted losses, sum of the weights) of a block, the outputs' losses added up."""

    def __init__(self, network, threads, loss):
        super().__init__(network, threads)
        self.loss = loss

    def of(self, network, threads, X, target, weights):
        total = float(X.shape[0]) if weights is None else float(weights.sum(dtype=np.float64))
        value = mean_loss(network, self.loss, X, target, weights, threads) * total if total > 0 else 0.0
        return np.array([value, total])


__all__ = ["BlockSums", "GradientSums", "LossSums", "OfNetwork", "SumTree", "bind", "objective_of", "sums_of_bound"]
