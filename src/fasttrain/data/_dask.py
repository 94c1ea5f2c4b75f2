"""Sources of Dask collections: blocks stay in the workers of a cluster, and sums over them are taken there.

A block is a chunk of rows of an array or a partition of a data frame. All that is sent to workers are pure functions of
blocks and numbers; Dask decides where they run, and runs them again elsewhere when a worker dies. The client adds
nothing up but what :class:`SumTree` gives it, so that a sum hangs on the blocks alone.
"""

from __future__ import annotations

import sys
import time
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from fasttrain._core.checks import check_integer, check_real
from fasttrain._kernels.threads import num_threads
from fasttrain.data._arrays import require_length
from fasttrain.data._blocks import Block, Blocks, BlocksLost, Replicas
from fasttrain.data._shipped import Shipped
from fasttrain.data.sums import SumTree

# Sums that one task adds up, a power of two as the tree's pairs ask for it.
FAN_IN_LEVEL = 4
# Between two looks at how far a round is.
POLL_SECONDS = 1.0


def is_collection(X):
    """Whether X is a Dask array or data frame."""
    dask = sys.modules.get("dask")
    # of a class alone, since is_dask_collection asks objects for attributes
    return dask is not None and type(X).__module__.split(".")[0].startswith("dask") and dask.is_dask_collection(X)


def place_of(number, row=None):
    """Where a block of a collection lies, or a row of it, in words for messages."""
    return f"block {number} of the Dask collection" + ("" if row is None else f", row {row}")


def from_dask(X: Any, y: Any = None, sample_weight: Any = None, *, client: Any = None, timeout: float = 300.0,
              retries: int = 2, n_replicas: int | None = None, sync_rows: int | None = None, buffer_blocks: int = 4,
              shuffle: bool = True) -> Blocks:
    """A source of a Dask array or data frame, whose blocks stay in the workers' memory.

    The chunks of rows, or the partitions, are the blocks. They are computed once, here, and kept by the workers as long
    as the source is; what a dead worker had is computed again from the collection. Blocks without a row are left out.

    Parameters
    ----------
    X : dask.array.Array of shape (n_rows, n_features) or dask.dataframe.DataFrame
        Chunks may be NumPy arrays, SciPy matrices or arrays, or data frames. Their sizes may be unknown.
    y : Dask array or series, or array of shape (n_rows,) or (n_rows, n_outputs), default=None
        Chunked anew where its chunks differ from those of X.
    sample_weight : as y, of shape (n_rows,), default=None
    client : distributed.Client, default=None
        None is the one that was made last.
    timeout : float, default=300
        Seconds without one finished task after which :class:`BlocksLost` is raised.
    retries : int, default=2
        How often a task that raises an OSError, say, is tried again. That a worker dies counts apart: Dask gives a task
        up once it has seen four workers die of it.
    n_replicas : int, default=None
        None makes a training's steps one after the other in this process, to which the blocks travel. A number trains
        so many replicas in the workers by local stochastic gradient descent, which is another algorithm:
        :func:`fasttrain.dask.fit` tells of it.
    sync_rows : int, default=None
        Rows of a replica between two averages; None is all rows of ``buffer_blocks`` blocks.
    buffer_blocks, shuffle
        As for :class:`Blocks`.

    Returns
    -------
    Blocks

    Raises
    ------
    ImportError
        Without dask and distributed: ``pip install 'fasttrain[dask]'``.
    ValueError
        Without a client; when y or sample_weight have other rows than X; when a partition has other columns than its
        data frame says; when there is no row.
    BlocksLost
        When the blocks cannot be computed in time.

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> from fasttrain.data import from_dask
    >>> from fasttrain.linear_model import LinearRegressor
    >>> with Client(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0"):
    ...     X = da.arange(40.0, chunks=40).reshape(20, 2).rechunk((8, 2)) % 7
    ...     source = from_dask(X, X @ [1.0, 2.0] + 3.0)
    ...     model = LinearRegressor(penalty=None).fit(source)
    >>> source.n_blocks, model.predict([[0.0, 0.1]]).round(2)
    (3, array([3.2]))
    """
    columns = [_row_parts(X, "X")]
    client = client_of(client)
    timeout = check_real(timeout, "timeout", low=0, open_low=True)
    retries = check_integer(retries, "retries", low=0)
    for value, name in ((y, "y"), (sample_weight, "sample_weight")):
        columns.append([None] * len(columns[0]) if value is None else _beside(value, name, X, len(columns[0])))
    replicas = None
    if n_replicas is not None:
        sync_rows = check_integer(sync_rows, "sync_rows", low=1, optional=True) or sys.maxsize
        replicas = Replicas(check_integer(n_replicas, "n_replicas", low=1), sync_rows)
    elif sync_rows is not None:
        raise ValueError("sync_rows needs n_replicas, got None")
    source = DaskBlocks(client, timeout, retries, buffer_blocks=buffer_blocks, shuffle=shuffle, replicas=replicas)
    if hasattr(X, "columns"):
        source.names = [str(name) for name in X.columns]
    source._take(columns, X.shape[1])
    return source


def client_of(client):
    """The client, or for None the one that was made last."""
    try:
        import distributed
    except ImportError:
        raise ImportError("Dask collections need dask and distributed: pip install 'fasttrain[dask]'") from None
    if client is not None:
        if not isinstance(client, distributed.Client):
            raise TypeError(f"client must be a distributed.Client, got {type(client).__name__}")
        return client
    try:
        return distributed.get_client()
    except ValueError:
        raise ValueError(
            "a Dask collection is learned from on a cluster, and there is no client: make one first, "
            "client = distributed.Client()") from None


def _row_parts(X, name):
    """The blocks of rows of a collection, as delayed objects."""
    # a bag has no axes, and something delayed has any attribute
    if not (is_collection(X) and isinstance(getattr(X, "ndim", None), int)):
        remedy = ": an estimator's own fit takes it, or from_arrays" if name == "X" else ""
        raise TypeError(f"{name} must be a Dask array or data frame, got {type(X).__name__}{remedy}")
    if X.ndim not in ((2,) if name == "X" else (1, 2)):
        raise ValueError(f"{name} must have {'two axes' if name == 'X' else 'one axis or two'}, got {X.ndim}")
    if not hasattr(X, "numblocks"):
        parts = X.to_delayed()
        # Dask reads small files together, as many as the columns that are asked for allow: other ones for X than for y
        return parts if len(parts) == X.npartitions else X.to_delayed(optimize_graph=False)
    if X.ndim == 2 and X.numblocks[1] > 1:
        X = X.rechunk({1: -1})
    return list(X.to_delayed().ravel())


def _beside(value, name, X, n_blocks):
    """The blocks of what goes with X."""
    rows = X.chunks[0] if hasattr(X, "chunks") else None
    known = rows is not None and not np.isnan(rows).any()
    if not is_collection(value):
        import dask.array

        value = np.asarray(value)
        if not known:
            raise ValueError(
                f"{name} must be a Dask collection where the sizes of the blocks of X are not known, got "
                f"{type(value).__name__}: call X.compute_chunk_sizes() first, or pass {name} as a Dask array")
        require_length(value, name, sum(rows), "X")
        value = dask.array.from_array(value, chunks=(rows, *value.shape[1:]))
    elif hasattr(value, "chunks") and known and not np.isnan(value.chunks[0]).any():
        if sum(value.chunks[0]) != sum(rows):
            raise ValueError(f"{name} must have {sum(rows)} rows as X has, got {sum(value.chunks[0])}")
        value = value.rechunk({0: rows})
    parts = _row_parts(value, name)
    if len(parts) != n_blocks:
        raise ValueError(
            f"{name} must have the {n_blocks} blocks of X, got {len(parts)}, of which the rows are not known")
    return parts


class DaskBlocks(Blocks):
    """What :func:`from_dask` makes.

    Attributes
    ----------
    client : distributed.Client
    timeout : float
    retries : int
    """

    def __init__(self, client, timeout, retries, **options):
        super().__init__(**options)
        self.client = client
        self.timeout = timeout
        self.retries = retries
        self.numbers = []
        self._blocks = []
        self._rows = []
        self._loaded = WeakKeyDictionary()

    def _take(self, columns, width):
        """Have the blocks computed, and see how many rows each has; ``width`` is that of X, NaN where nobody knows."""
        from dask import delayed

        names = None if self.names is None else list(self.names)
        whole = [
            delayed(_block, pure=False)(*parts, names, width, number) for number, parts in enumerate(zip(*columns))]
        blocks = self.client.compute(whole, retries=self.retries)
        sizes = self.gathered(self.client.map(_n_rows, blocks, pure=False, retries=self.retries))
        for number, (block, (n_rows, others)) in enumerate(zip(blocks, sizes)):
            for name, count in zip(("y", "sample_weight"), others):
                if count is not None and count != n_rows:
                    raise ValueError(f"{name} must have the {n_rows} rows of X in block {number}, got {count}")
            if n_rows:
                self.numbers.append(number)
                self._blocks.append(block)
                self._rows.append(n_rows)
        if not self._blocks:
            raise ValueError("X must have at least one row, got none")

    @property
    def n_blocks(self):
        return len(self._rows)

    def rows(self, i):
        return self._rows[i]

    def where(self, i, row=None):
        return place_of(self.numbers[i], row)

    def block(self, i):
        return self.gathered([self._blocks[i]])[0]

    def loaded(self, loader):
        """Futures of what the loader prepares of each block, by number; they live as long as it does."""
        if loader not in self._loaded:
            # not a scattered object: what a dead worker had of those is lost
            prepare = self._sent(_Prepare(loader))
            self._loaded[loader] = self.client.map(
                _call, [prepare] * self.n_blocks, range(self.n_blocks), self._blocks, pure=False,
                retries=self.retries)
        return self._loaded[loader]

    def sum_of(self, loader, function, numbers=None, tell=None):
        numbers = range(self.n_blocks) if numbers is None else numbers
        loaded = self.loaded(loader)
        function = self._sent(function)
        parts = self.client.map(
            _call, [function] * len(numbers), [loaded[i] for i in numbers], pure=False, retries=self.retries)
        level = 0
        while len(parts) > 1 << FAN_IN_LEVEL:
            groups = [parts[first:first + (1 << FAN_IN_LEVEL)] for first in range(0, len(parts), 1 << FAN_IN_LEVEL)]
            parts = [self.client.submit(_added, group, level, pure=False, retries=self.retries) for group in groups]
            level += FAN_IN_LEVEL
        found = _added(self.gathered(parts), level)
        if tell is not None:
            for i in numbers:
                tell(i)
        return found

    def sum_of_targets(self, function):
        # where the blocks lie
        loader = _Targets()
        return self.sum_of(loader, lambda found: function(*found))

    def rounds(self, loader, step, join, start, rounds):
        loaded = self.loaded(loader)
        step, join = self._sent(_Held(step)), self._sent(_Held(join))
        start = self._sent(start)
        for pieces in rounds:
            found = [
                self.client.submit(_step, step, start, piece, *(loaded[i] for i in piece.blocks), pure=False,
                                   retries=self.retries) for piece in pieces]
            # the client is not waited for: only an epoch's end travels to it
            start = self.client.submit(_joined, join, start, found, pure=False, retries=self.retries)
        return self.gathered([start])[0]

    def _sent(self, value):
        """A future of a value of the client's."""
        return self.client.submit(unpacked, Shipped(value), pure=False)

    def gathered(self, futures):
        """Results of futures; :class:`BlocksLost` when none comes for ``timeout`` seconds, or none can come."""
        import distributed
        from distributed.client import FutureCancelledError
        from distributed.comm import CommClosedError

        done, last = -1, time.monotonic()
        try:
            while True:
                left = self.timeout - (time.monotonic() - last)
                try:
                    distributed.wait(futures, timeout=max(0.01, min(POLL_SECONDS, left)))
                    return self.client.gather(futures)
                except distributed.TimeoutError:  # asyncio's own in Python 3.10
                    now = self._finished()
                    if any(future.status in ("error", "cancelled") for future in futures):
                        # which raises; the others are not waited for
                        return self.client.gather(futures)
                    if now != done:
                        done, last = now, time.monotonic()
                    elif time.monotonic() - last >= self.timeout:
                        workers = len(self.client.scheduler_info()["workers"])
                        raise BlocksLost(
                            f"no task has finished for timeout={self.timeout:g} seconds; the cluster has {workers} "
                            f"worker{'' if workers == 1 else 's'}. Start workers, or raise timeout") from None
        except (distributed.scheduler.KilledWorker, FutureCancelledError, CommClosedError) as error:
            raise BlocksLost(f"the cluster has given a task up: {error}") from error

    def _finished(self):
        """Tasks of this client that are done: a number that moves while there is progress."""
        return sum(state.status == "finished" for state in list(self.client.futures.values()))

    def __reduce__(self):
        return _Elsewhere, (self.numbers, self.names)


class _Elsewhere(Blocks):
    """A source whose blocks are not here, to say where one lies."""

    def __init__(self, numbers, names):
        super().__init__()
        self.numbers = numbers
        self.names = names

    @property
    def n_blocks(self):
        return len(self.numbers)

    where = DaskBlocks.where

    def block(self, i):
        raise ValueError(f"{self.where(i)} is not at hand in this process")


# ---- what runs in the workers ----


class _Prepare:
    def __init__(self, loader):
        self.loader = loader

    def __call__(self, i, block):
        return self.loader.prepare(i, block)


class _Targets:
    def prepare(self, i, block):
        return i, block.y


class _Held:
    """A function as data: Dask would call it."""

    def __init__(self, function):
        self.function = function


def _step(held, start, piece, *blocks):
    with num_threads(threads_of_task()):
        return held.function(start, piece, *blocks)


def _joined(held, start, found):
    return held.function(start, found)


def unpacked(shipped):
    """What was sent."""
    return shipped()


def _block(X, y, sample_weight, names, width, number):
    if hasattr(X, "tocsr"):
        X = X.tocsr()
    if names is not None and hasattr(X, "columns") and (own := [str(name) for name in X.columns]) != names:
        if sorted(own) != sorted(names):
            raise ValueError(
                f"{place_of(number)} has the columns {own}, and the collection says {names}")
        X = X.iloc[:, [own.index(name) for name in names]]
    if X.shape[0] and X.shape[1] != width and not np.isnan(width):
        raise ValueError(f"{place_of(number)} has {X.shape[1]} columns, and the collection says {width}")
    return Block(X, *(getattr(value, "values", value) for value in (y, sample_weight)))


def _n_rows(block):
    return block.X.shape[0], [None if value is None else value.shape[0] for value in block[1:]]


def _added(parts, level):
    """The sum of the sums of 2^level blocks each, or of what is left at the end."""
    tree = SumTree()
    for part in parts:
        tree.add(part, level)
    return tree.total()


def _call(function, *args):
    """``function(*args)`` on a worker's share of its threads."""
    with num_threads(threads_of_task()):
        return function(*args)


def threads_of_task():
    """Threads of the worker that this task runs in, divided by the tasks that run there now."""
    from distributed import get_worker

    try:
        state = get_worker().state
    except ValueError:
        return 1
    return max(1, state.nthreads // max(1, state.executing_count))
