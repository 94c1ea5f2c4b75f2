"""Local stochastic gradient descent: logical replicas make steps on rows of their own and are averaged now and then.

A *round*: from the weights ``w`` each replica r makes the steps of its next ``sync_rows`` rows, which leaves ``w_r``
after ``n_r`` rows, and the next round begins at

    w <- sum_r n_r w_r / sum_r n_r,

what the optimizer remembers of each weight likewise (Stich, "Local SGD converges fast and communicates little", ICLR
2019, arXiv 1805.09767). An epoch deals its blocks, in their drawn order, to the replicas in turn; a replica shuffles
the rows of ``buffer_blocks`` of them together. So it all hangs on the blocks and the parameters, not on where a
replica's steps are made. One replica is the training in steps, but that a batch does not reach over the end of a round.
"""

from dataclasses import dataclass

import numpy as np

from fasttrain._kernels.threads import get_num_threads
from fasttrain.data._passes import draw_pass
from fasttrain.data.sums import SumTree
from fasttrain.training.engine import SLICE_SECONDS, network_state, restore_network
from fasttrain.training.feed import Feed
from fasttrain.training.sums import bind


@dataclass(frozen=True)
class Piece:
    """What a replica trains on in a round: some of the shuffled rows of some blocks.

    Attributes
    ----------
    blocks : tuple of int
    seed : list of int or None
        Of the order of the blocks' rows; None takes them as they stand.
    first, last : int
        Rows [first, last) of that order.
    rates : float64 array
        One a step.
    """

    blocks: tuple
    seed: list | None
    first: int
    last: int
    rates: np.ndarray

    @property
    def n_rows(self):
        return self.last - self.first

    def rows(self, blocks):
        """(X, target, weights) of the piece, from those of its blocks."""
        sizes = [block[0].shape[0] for block in blocks]
        order = np.arange(sum(sizes)) if self.seed is None else np.random.default_rng(self.seed).permutation(sum(sizes))
        order = order[self.first:self.last]
        owner = np.searchsorted(np.cumsum(sizes), order, side="right")
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        columns = zip(*(block[:3] for block in blocks))
        return tuple(None if parts[0] is None else _gathered(parts, owner, order - starts[owner]) for parts in columns)


def _gathered(parts, owner, rows):
    """Row ``rows[k]`` of ``parts[owner[k]]`` for each k."""
    if hasattr(parts[0], "indptr"):
        from scipy import sparse

        places = np.argsort(owner, kind="stable")
        whole = sparse.vstack([part[rows[owner == k]] for k, part in enumerate(parts)], format="csr")
        return whole[np.argsort(places, kind="stable")]
    out = np.empty((len(rows), *parts[0].shape[1:]), dtype=parts[0].dtype)
    for k, part in enumerate(parts):
        mine = owner == k
        out[mine] = part[rows[mine]]
    return out


class Weighted:
    """Sums of all that networks remember, times rows; :meth:`mean` gives what one network is to remember."""

    def __init__(self, state, loss, n_rows):
        self.state = state
        self.loss = loss
        self.n_rows = n_rows

    @classmethod
    def of(cls, state, loss, n_rows):
        return cls(_mapped(lambda a: a.astype(np.float64) * n_rows, state), loss * n_rows, n_rows)

    def __add__(self, other):
        return Weighted(
            _mapped(np.add, self.state, other.state), self.loss + other.loss, self.n_rows + other.n_rows)

    def mean(self, like):
        """The state, in the dtypes of another."""
        return _mapped(lambda a, b: (a / self.n_rows).astype(b.dtype), self.state, like)


def _mapped(function, state, *others):
    """A state with a function of its arrays in their place; of numbers, counts of steps and seeds, the greatest."""
    if isinstance(state, dict):
        return {key: _mapped(function, value, *(other[key] for other in others)) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return [_mapped(function, *values) for values in zip(state, *others)]
    if isinstance(state, np.ndarray):
        return function(state, *others)
    return max([state, *(other for other in others if not isinstance(other, np.ndarray))])


class ReplicaSteps:
    """From what a network remembers, and a piece, to what it remembers after the steps, wherever these are made.

    Parameters
    ----------
    build : callable
        Without arguments, to a new network that is told everything but what it remembers.
    batch_size : int
    """

    def __init__(self, build, batch_size):
        self.build = build
        self.batch_size = batch_size

    def __call__(self, start, piece, *blocks):
        network = self.build()
        restore_network(network, start.state)
        bind(network, *piece.rows(blocks))
        network.start_epoch(None, min(self.batch_size, piece.n_rows), piece.rates, get_num_threads())
        while not network.run(SLICE_SECONDS):
            pass
        if network.diverged:
            # the mean then is not finite, and the fit loop sees it
            network.parameters[:] = np.nan
        return Weighted.of(network_state(network), network.epoch_loss, piece.n_rows)


@dataclass
class Start:
    """What the replicas of a round start from, and the sum of the losses and rows of the rounds before."""

    state: dict
    loss: float = 0.0
    n_rows: int = 0


def mean_of(start, found):
    """The :class:`Start` of the next round."""
    tree = SumTree()
    for part in found:
        tree.add(part)
    total = tree.total()
    return Start(total.mean(start.state), start.loss + total.loss, start.n_rows + total.n_rows)


class ReplicaFeed(Feed):
    """Epochs of local stochastic gradient descent; a plan's ``feed``.

    Parameters
    ----------
    blocks : fasttrain._estimators.blocks.PreparedBlocks
        Of a source with ``replicas``.
    batch_size, shuffle, random_state, loss_constant
        As for :class:`Feed`.
    build : callable
        As for :class:`ReplicaSteps`.
    """

    def __init__(self, blocks, batch_size, shuffle, random_state, build, loss_constant=None):
        super().__init__(blocks, batch_size, shuffle, random_state, loss_constant=loss_constant)
        self.build = build
        self.n_replicas, self.sync_rows = blocks.source.replicas
        if self.n_replicas > sum(n > 0 for n in blocks.rows):
            raise ValueError(
                f"n_replicas must be at most the number of blocks, {sum(n > 0 for n in blocks.rows)}, got "
                f"{self.n_replicas}")

    def facts(self):
        return super().facts() | {"replicas": [self.n_replicas, self.sync_rows]}

    def rounds(self, rates):
        """Pieces of each round of a new epoch, at most one a replica."""
        source, sizes = self.blocks.source, self.blocks.rows
        order, seed = draw_pass(sizes, self.shuffle, source.random_access, self.random_state)
        order = order.tolist()
        pieces = [[] for _ in range(self.n_replicas)]
        for r, own in enumerate(pieces):
            mine, step = order[r::self.n_replicas], 0
            for g, first in enumerate(range(0, len(mine), source.buffer_blocks)):
                group = tuple(mine[first:first + source.buffer_blocks])
                total = sum(sizes[i] for i in group)
                for start in range(0, total, self.sync_rows):
                    last = min(start + self.sync_rows, total)
                    count = -(-(last - start) // self.batch_size)
                    # the replicas go through the epoch's rates side by side
                    at = np.minimum((step + np.arange(count)) * self.n_replicas, len(rates) - 1)
                    own.append(Piece(group, None if seed is None else [seed, r, g], start, last, rates[at]))
                    step += count
        return [[own[k] for own in pieces if k < len(own)] for k in range(max(map(len, pieces)))]

    def run_epoch(self, epoch):
        network, steps = epoch.network, ReplicaSteps(self.build, self.batch_size)
        rounds = self.rounds(epoch.rates())
        end = self.blocks.source.rounds(self.blocks, steps, mean_of, Start(network_state(network)), rounds)
        restore_network(network, end.state)
        epoch.made(end.loss / end.n_rows)
        epoch.tell_rows(end.n_rows)
        if self.loss_constant is None:
            return 0.0
        total, n_rows = self.blocks.sum_of(_Constant(self.loss_constant))
        return total / n_rows


class _Constant:
    """Of a block: what the loss gains, times rows, and rows."""

    def __init__(self, constant):
        self.constant = constant

    def __call__(self, block):
        return np.array([self.constant(block, None) * block[0].shape[0], block[0].shape[0]])


__all__ = ["ReplicaFeed", "ReplicaSteps", "mean_of"]
