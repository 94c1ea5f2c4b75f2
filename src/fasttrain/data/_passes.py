"""The order of a pass over blocks: blocks in any order, the rows of several shuffled together, no batch cut short."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from queue import Empty, Queue

import numpy as np

from fasttrain.data._ahead import ahead, beside


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


def passes(load, rows, blocks, *, buffer_blocks, batch_size, seed, read_ahead, n_readers=1, n_buffers=2, like=None):
    """The rows of one pass, some blocks at a time.

    What does not fill a batch at the end of some blocks is put before the next ones, so that every batch but the
    pass's last has ``batch_size`` rows; without a seed the batches are those of all rows in one array.

    Parameters
    ----------
    load : callable
        From a block's number, and where X may be written to or None, to its arrays, a tuple of arrays, CSR matrices and
        None. X may be elsewhere.
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
        Whether a thread runs ahead.
    n_readers : int, default=1
        Threads that load blocks at once.
    n_buffers : int, default=2
        Two with which one is filled while the other is trained on, or one.
    like : (int, dtype), default=None
        Columns and type of X where it is dense, so that there is a place for it before it is read.

    Yields
    ------
    Rows
    """
    groups = [[int(i) for i in blocks[first:first + buffer_blocks]] for first in range(0, len(blocks), buffer_blocks)]
    most = max(sum(rows[i] for i in group) for group in groups) + batch_size - 1
    spare = Queue()
    for _ in range(n_buffers if read_ahead else 1):
        spare.put(_Buffer(min(most, sum(rows)), like))
    rng = None if seed is None else np.random.default_rng(seed)
    depth = 1 if read_ahead else 0
    filled = _filled(groups, beside(load, n_readers, depth), rows, spare, batch_size, rng, n_readers)
    stream = ahead(filled, depth=depth)
    try:
        for taken, buffer in stream:
            if taken.n_rows:
                yield taken
            spare.put(buffer)
    finally:
        # the thread may be waiting for it
        spare.put(None)
        stream.close()


def _filled(groups, load, rows, spare, batch_size, rng, n_readers):
    left, n_left = None, 0
    with closing(_loaded(groups, load, rows, spare, batch_size, n_readers)) as blocks:
        for number, group in enumerate(groups):
            for _ in group:
                buffer, at, arrays = next(blocks, (None, 0, None))
                if buffer is None:
                    return
                if left is not None:
                    buffer.take(0, left)
                    left = None
                buffer.take(at, arrays)
            total = n_left + sum(rows[i] for i in group)
            arrays = buffer.arrays(total)
            order = None if rng is None else rng.permutation(total).astype(np.intp, copy=False)
            taken = total if number == len(groups) - 1 else total - total % batch_size
            n_left = total - taken
            if n_left:
                rest = slice(taken, total) if order is None else order[taken:]
                # of an array a slice is no copy, and the buffer is written to again
                left = tuple(None if array is None else array[rest].copy() for array in arrays)
            if order is None:
                arrays = tuple(None if array is None else array[:taken] for array in arrays)
            else:
                order = np.ascontiguousarray(order[:taken])
            yield Rows(arrays, order, taken), buffer


def _loaded(groups, load, rows, spare, batch_size, n_readers):
    """(buffer, first row in it, arrays) of each block in its order; ends early where a buffer is None.

    The blocks of the next group are begun when a buffer is there for them, which is not waited for as long as a block
    of this one is to come: whoever has the buffer may wait for that.
    """
    todo, n_left = deque(), 0
    for number, group in enumerate(groups):
        at = n_left
        for i in group:
            todo.append((number, i, at))
            at += rows[i]
        n_left = at % batch_size
    running, current, buffer = deque(), None, None
    pool = ThreadPoolExecutor(n_readers, thread_name_prefix="fasttrain-read") if n_readers > 1 else None
    try:
        while todo or running:
            while todo and len(running) < n_readers:
                number, i, at = todo[0]
                if number != current:
                    try:
                        buffer = spare.get(block=not running)
                    except Empty:
                        break
                    if buffer is None:
                        return
                    current = number
                todo.popleft()
                work = partial(load, i, buffer.place(at, rows[i]))
                running.append((i, buffer, at, work if pool is None else pool.submit(work).result))
            i, into, at, result = running.popleft()
            arrays = result()
            if arrays[0].shape[0] != rows[i]:
                raise ValueError(f"block {i} has {arrays[0].shape[0]} rows, and its source said {rows[i]}")
            yield into, at, arrays
            # the future would hold them too
            del arrays, result
    finally:
        if pool is not None:
            # a block that is being read is read to its end, which nobody waits for
            pool.shutdown(wait=False, cancel_futures=True)


class _Buffer:
    """Memory for the rows of some blocks, kept from one filling to the next.

    Parameters
    ----------
    capacity : int
        Rows.
    like : (int, dtype) or None
        Columns and type of X, where it may be written here before it is taken.
    """

    def __init__(self, capacity, like):
        self.capacity = capacity
        self._features = None if like is None else np.empty((capacity, like[0]), dtype=like[1])
        self._room = None
        self._sparse = []

    def place(self, at, n_rows):
        """Where the X of a block belongs; None where it is not known what it will be."""
        return None if self._features is None else self._features[at:at + n_rows]

    def take(self, at, block):
        """The arrays of a block as rows from ``at`` on, copied unless they are there already."""
        if self._room is None:
            self._room = [
                None if array is None or _is_sparse(array)
                else self._features if number == 0 and self._features is not None
                else np.empty((self.capacity, *array.shape[1:]), dtype=array.dtype)
                for number, array in enumerate(block)]
        n_rows = block[0].shape[0]
        for room, array in zip(self._room, block, strict=True):
            if room is not None and not _is_same(room[at:at + n_rows], array):
                room[at:at + n_rows] = array
        self._sparse.append((at, tuple(array if _is_sparse(array) else None for array in block)))

    def arrays(self, n_rows):
        """What was taken since the last call, as arrays of so many rows."""
        parts = [part for _, part in sorted(self._sparse, key=itemgetter(0))]
        self._sparse = []
        return tuple(
            room[:n_rows] if room is not None else None if column[0] is None else _stacked(column)
            for room, column in zip(self._room, zip(*parts)))


def _is_same(room, array):
    return (isinstance(array, np.ndarray) and array.dtype == room.dtype and array.shape == room.shape
            and array.strides == room.strides and array.ctypes.data == room.ctypes.data)


def _is_sparse(array):
    return hasattr(array, "indptr")


def _stacked(parts):
    # SciPy is not there for those who train without it
    from scipy import sparse

    return sparse.vstack(parts, format="csr")
