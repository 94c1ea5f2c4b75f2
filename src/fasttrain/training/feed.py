"""Rows that come in blocks, as the fit loop takes them."""

import math
from contextlib import closing

import numpy as np

from fasttrain.data._passes import draw_pass, passes
from fasttrain.data._room import pass_room
from fasttrain.training.sums import GradientSums, bind


class Feed:
    """Epochs over rows that come in blocks; what a plan takes as its ``feed``.

    Parameters
    ----------
    blocks : fasttrain._estimators.blocks.PreparedBlocks
        Or any object with its ``load``, ``rows``, ``sum_of`` and ``source``.
    batch_size : int
    shuffle : bool
    random_state : numpy.random.RandomState
        An epoch draws the order of the blocks and the seed of the orders of rows from it, before its first step.
    full : bool
        Whether a step takes the sums over all blocks; batches of more rows than a buffer need it.
    loss_constant : callable, optional
        From the arrays of some rows and their order (or None) to the mean of what the reported loss gains.
    """

    # Whether the weights of all rows may be 0.
    all_zero = False

    def __init__(self, blocks, batch_size, shuffle, random_state, full=False, loss_constant=None):
        self.blocks = blocks
        self.batch_size = batch_size
        self.shuffle = shuffle and blocks.source.shuffle and not full
        self.random_state = random_state
        self.full = full
        self.loss_constant = loss_constant

    def facts(self):
        """What a training that goes on must have the same of."""
        rows = [int(n) for n in self.blocks.rows]
        return {"blocks": [len(rows), max(rows)], "buffer_blocks": self.blocks.source.buffer_blocks}

    def parts(self):
        """The :class:`fasttrain.data._passes.Rows` of a new epoch."""
        source = self.blocks.source
        order, seed = draw_pass(self.blocks.rows, self.shuffle, source.random_access, self.random_state)
        like = self.blocks.like
        n_readers, n_buffers = pass_room(source, like is not None and source.direct)
        weighed = False
        with closing(passes(
            self.blocks.load, self.blocks.rows, order, buffer_blocks=source.buffer_blocks, batch_size=self.batch_size,
            seed=seed, read_ahead=source.read_ahead, n_readers=n_readers, n_buffers=n_buffers,
            like=like)) as stream:
            for rows in stream:
                weights = rows.arrays[2]
                weighed = weighed or weights is None or bool(weights.any())
                yield rows
        # a block may have none, and all of them are known only now
        _require_weight(weighed or self.all_zero)

    def bind(self, network, rows):
        """Give the engine some rows of the epoch."""
        bind(network, *rows.arrays[:3])

    def taken(self, n_rows):
        """After the steps on so many of the rows that were bound."""

    def run_epoch(self, epoch):
        """Make the steps of a :class:`fasttrain.training.epoch.Epoch`; what its loss gains by ``loss_constant``."""
        network = epoch.network
        if self.full:
            epoch.add_sums(sums_over(self.blocks, network, epoch.threads, epoch.tell_rows))
            return 0.0
        done, constant = 0, 0.0
        stream = self.parts()
        try:
            for rows in stream:
                count = min(math.ceil(rows.n_rows / self.batch_size), epoch.n_steps - epoch.steps_made)
                if count == 0:
                    break
                self.bind(network, rows)
                goes_on = epoch.add(rows.order, min(self.batch_size, rows.n_rows), count)
                # fewer than all where a callback has ended the epoch
                n_rows = min(network.batches_done * self.batch_size, rows.n_rows)
                done += n_rows
                if network.diverged:
                    break
                self.taken(n_rows)
                if self.loss_constant is not None:
                    order = np.arange(n_rows) if rows.order is None else rows.order[:n_rows]
                    constant += self.loss_constant(rows.arrays, order) * n_rows
                epoch.tell_rows(done)
                if not goes_on:
                    break
        finally:
            stream.close()
        return constant / done if done else 0.0


def sums_over(blocks, network, threads, tell=None):
    """:class:`fasttrain.training.sums.BlockSums` over all blocks, at the network's parameters."""
    sums = blocks.sum_of(GradientSums(network, threads), tell)
    _require_weight(sums.weight > 0)
    return sums


def _require_weight(weighed):
    if not weighed:
        raise ValueError("sample_weight must have at least one number > 0, got zeros only")
