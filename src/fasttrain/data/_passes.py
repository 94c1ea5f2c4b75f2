"""The order of a pass over blocks: blocks in any order, the rows of several shuffled together, no batch cut short."""

from dataclasses import dataclass
from itertools import chain, islice
from queue import Queue

import numpy as np
from fasttrain.data._ahead import ahead, loads


@dataclass
class Rows:
    """Rows of several blocks that are trained on together.

    Attributes
    ----------
    arrays : tuple of arrays, CSR matrices or None
        What each block has, X first, each with as many rows; valid until the next rows are asked for.
    order : intp array or None
        Numbers of the rows to train on, in their order; None for all as they stand.
    n_rows : int
        Rows to train on.
    """

    arrays: tuple
    order: np.ndarray | None
    n_rows: int


def draw_pass(rows, shuffle, random_access, random_state):
    """(order of the blocks, seed of the orders of rows) of one pass; the seed is None where rows are not shuffled.

    ``rows`` are those of each block; blocks without one are left out.
    """
    rows = np.asarray(rows)
    order = random_state.permutation(len(rows)) if shuffle and random_access else np.arange(len(rows))
    order = order[rows[order] > 0]
    return order, int(random_state.randint(np.iinfo(np.int32).max)) if shuffle else None


def passes(load, rows, blocks, *, buffer_blocks, batch_size, seed, read_ahead, n_readers=1):
    """The rows of one pass, some blocks at a time.

    What does not fill a batch at the end of some blocks is put before the next ones, so that every batch but the
    pass's last has ``batch_size`` rows; without a seed the batches are those of all rows in one array.

    Parameters
    ----------
    load : callable
        From a block's number to its arrays, a tuple of arrays, CSR matrices and None.
    rows : sequence of int
        Rows of each block, by its number.
    blocks : sequence of int
        Numbers of the blocks, in their order.
    buffer_blocks : int
        Blocks whose rows are shuffled together.
    batch_size : int
    seed : int or None
        Of the orders of rows; None takes them as they stand.
    read_ahead : bool
    n_readers : int, default=1
        Threads that load blocks at once.

    Yields
    ------
    Rows
    """
    groups = [blocks[first:first + buffer_blocks] for first in range(0, len(blocks), buffer_blocks)]
    most = max(sum(rows[i] for i in group) for group in groups) + batch_size - 1
    # one is trained on while the other is filled
    spare = Queue()
    for _ in range(2 if read_ahead else 1):
        spare.put(_Buffer(min(most, sum(rows))))
    rng = None if seed is None else np.random.default_rng(seed)
    filled = _filled(groups, loads(load, chain(*groups), n_readers), spare, batch_size, rng)
    stream = ahead(filled, depth=1 if read_ahead else 0)
    try:
        for taken, buffer in stream:
            if taken.n_rows:
                yield taken
            spare.put(buffer)
    finally:
        # the thread may be waiting for it
        spare.put(None)
        stream.close()


def _filled(groups, loaded, spare, batch_size, rng):
    left = None
    for number, group in enumerate(groups):
        buffer = spare.get()
        if buffer is None:
            return
        arrays = buffer.filled(chain([] if left is None else [left], islice(loaded, len(group))))
        total = arrays[0].shape[0]
        order = None if rng is None else rng.permutation(total).astype(np.intp, copy=False)
        taken = total if number == len(groups) - 1 else total - total % batch_size
        left = None
        if taken < total:
            rest = slice(taken, total) if order is None else order[taken:]
            # of an array a slice is no copy, and the buffer is written to again
            left = tuple(None if array is None else array[rest].copy() for array in arrays)
        if order is None:
            arrays = tuple(None if array is None else array[:taken] for array in arrays)
        else:
            order = np.ascontiguousarray(order[:taken])
        yield Rows(arrays, order, taken), buffer


class _Buffer:
    """Memory for the rows of some blocks, kept from one filling to the next."""

    def __init__(self, capacity):
        self.capacity = capacity
        self.room = None

    def filled(self, blocks):
        """The arrays of all blocks, one below the other; a block is let go once it is copied."""
        at, parts = 0, []
        for block in blocks:
            if self.room is None:
                self.room = [
                    None if array is None or _is_sparse(array)
                    else np.empty((self.capacity, *array.shape[1:]), dtype=array.dtype) for array in block
                ]
            n_rows = block[0].shape[0]
            for room, array in zip(self.room, block, strict=True):
                if room is not None:
                    room[at:at + n_rows] = array
            parts.append(tuple(array if _is_sparse(array) else None for array in block))
            at += n_rows
        return tuple(
            room[:at] if room is not None else None if column[0] is None else _stacked(column)
            for room, column in zip(self.room, zip(*parts))
        )


def _is_sparse(array):
    return hasattr(array, "indptr")


def _stacked(parts):
    # SciPy is not there for those who train without it
    from scipy import sparse

    return sparse.vstack(parts, format="csr")
