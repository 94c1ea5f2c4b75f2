"""What a source of blocks is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, NamedTuple

import numpy as np

from fasttrain._core.checks import check_flag, check_integer, check_real
from fasttrain._kernels.threads import get_num_threads
from fasttrain.data._ahead import ahead, loads
from fasttrain.data.sums import SumTree


# Each has a block in memory as it is read, decoded and as rows.
MOST_READERS = 4


class BlocksLost(RuntimeError):
    """Blocks cannot be had any more, for want of workers or because tasks were killed.

    A training that had finished a round keeps what it has come to: with ``warm_start=True`` the next ``fit`` goes on
    from there.

    Attributes
    ----------
    kept : bool
        Whether the estimator holds the last finished round.
    """

    kept = False


class Replicas(NamedTuple):
    """Training in steps by local stochastic gradient descent, :mod:`fasttrain.training.replicas`.

    Attributes
    ----------
    n : int
        Logical replicas, which make their steps without waiting for each other.
    sync_rows : int
        Rows of a replica between two averages.
    """

    n: int
    sync_rows: int


class Block(NamedTuple):
    """Some rows of a source.

    Attributes
    ----------
    X : array, CSR matrix or table of shape (n_rows, n_features)
    y : array of shape (n_rows,) or (n_rows, n_outputs), or None
    sample_weight : array of shape (n_rows,) or None
    """

    X: Any
    y: Any = None
    sample_weight: Any = None


class Blocks:
    """A source of rows in blocks, which may be read as often as need be, in any order.

    A subclass has :attr:`n_blocks` and :meth:`block`, and where it can :meth:`rows`, :meth:`where` and :attr:`names`;
    its ``__init__`` calls this one.
    The same number gives the same block each time; a subclass raises where it cannot.

    Parameters
    ----------
    buffer_blocks : int, default=4
        Training in steps or by sample shuffles the order of the blocks and then the rows of so many blocks together
        (CorgiPile; Xu et al., "In-database machine learning with CorgiPile", SIGMOD 2022, arXiv 2206.05830). Twice as
        many blocks are in memory: those that are trained on, and those that are read meanwhile; of Parquet files about
        three more for each thread that decodes, of which there are as many as threads, four at most.
    shuffle : bool, default=True
        False takes the rows as they stand, whatever the estimator says.
    read_ahead : bool, default=True
        Whether a thread reads and decodes the next blocks while the present ones are worked on. No result hangs on it.

    replicas : Replicas, default=None
        None makes a training's steps one after the other; else see :class:`Replicas`.

    Attributes
    ----------
    n_blocks : int
    names : list of str or None
        Of the columns of X, where they have names.
    random_access : bool
        Whether any block may be had first; where not, blocks are taken in their order.
    concurrent : bool
        Whether several threads may ask for blocks at once, as they then do while others are worked on.
    facts : dict
        What a first pass has found, kept for the next fit; see :mod:`fasttrain._estimators.blocks`.
    """

    n_blocks: int
    names: list[str] | None = None
    random_access: bool = True
    concurrent: bool = False
    buffer_blocks: int
    shuffle: bool
    read_ahead: bool
    replicas: Replicas | None
    facts: dict[Any, Any]

    def __init__(self, *, buffer_blocks: int = 4, shuffle: bool = True, read_ahead: bool = True,
                 replicas: Replicas | None = None) -> None:
        self.buffer_blocks = check_integer(buffer_blocks, "buffer_blocks", low=1)
        self.shuffle = check_flag(shuffle, "shuffle")
        self.read_ahead = check_flag(read_ahead, "read_ahead")
        self.replicas = replicas
        self.facts = {}

    def block(self, i: int) -> Block:
        """Block number ``i``, from 0."""
        raise NotImplementedError(
            f"{type(self).__name__} must have block(i), which returns block number i as a Block(X, y, sample_weight), "
            "and n_blocks")

    def rows(self, i: int) -> int | None:
        """Rows of block ``i``; None as long as that is not known without reading it."""
        return None

    def where(self, i: int, row: int | None = None) -> str:
        """Where block ``i`` lies, or a row of it, counted from 0, in words for messages."""
        return f"block {i}" if row is None else f"block {i}, row {row}"

    @property
    def n_rows(self) -> int | None:
        """Rows of all blocks; None as long as they are not known."""
        counts = [self.rows(i) for i in range(self.n_blocks)]
        return None if None in counts else sum(counts)

    def applied(self, i: int, block: Block) -> Block:
        """Block ``i`` of this source from that of the source it was mapped from; the same where it was not."""
        return block

    def sum_of(self, loader: Any, function: Callable[[Any], Any], numbers: Any = None,
               tell: Callable[[int], None] | None = None) -> Any:
        """The sum over blocks of ``function(loader.prepare(i, block))``, added up by :class:`SumTree`.

        It may be computed where the blocks lie, so both are pickled there and no answer may hang on anything else; what
        ``prepare`` gives is not written to and may be kept as long as the loader.

        Parameters
        ----------
        loader : object
            With ``prepare(i, block)``, where the block is that of the source before any :meth:`map`.
        function : callable
            To something with ``+``.
        numbers : list of int, default=None
            Blocks to take, in this order; None for all that have a row.
        tell : callable, default=None
            Called with the number of each block that is done.

        Returns
        -------
        object
            None of no blocks.
        """
        numbers = numbers_with_rows(self) if numbers is None else numbers
        tree = SumTree()
        blocks = loads(lambda i: (i, self.block(i)), numbers, n_readers(self))
        # of some sources it is known only now how many rows a block has
        prepared = ((i, loader.prepare(i, block)) for i, block in blocks if block.X.shape[0])
        with closing(ahead(prepared, depth=1 if self.read_ahead else 0)) as loaded:
            for i, block in loaded:
                tree.add(function(block))
                if tell is not None:
                    tell(i)
        return tree.total()

    def rounds(self, loader: Any, step: Callable[..., Any], join: Callable[..., Any], start: Any,
               rounds: list[Any]) -> Any:
        """What is left of ``start`` after rounds of steps that do not wait for each other.

        A round has ``start = join(start, [step(start, piece, *blocks) for piece in pieces])``, where the blocks are
        those that ``piece.blocks`` numbers, as the loader prepares them. All of it may be computed where the blocks
        lie, as :meth:`sum_of` is.

        Parameters
        ----------
        loader : object
        step, join : callable
        start : object
        rounds : list of lists of pieces

        Returns
        -------
        object
        """
        for pieces in rounds:
            start = join(start, [
                step(start, piece, *(loader.prepare(i, self.block(i)) for i in piece.blocks)) for piece in pieces])
        return start

    def map(self, function: Callable[[Any], Any]) -> Blocks:
        """The same rows with ``function`` of X in the place of X, computed whenever a block is asked for."""
        return MappedBlocks(self, function)

    def split(self, share: float, seed: int = 0) -> tuple[Blocks, Blocks]:
        """Two sources: the rows that are left, and a share of the rows of each block, drawn by the seed."""
        share = check_real(share, "share", low=0, high=1, open_low=True, open_high=True)
        seed = check_integer(seed, "seed", low=0)
        return PartBlocks(self, share, seed, False), PartBlocks(self, share, seed, True)

    def __getitem__(self, i: int) -> Block:
        if not 0 <= i < self.n_blocks:
            raise IndexError(f"block must be from 0 to {self.n_blocks - 1}, got {i}")
        return self.block(i)

    def __iter__(self) -> Iterator[Block]:
        return (self.block(i) for i in range(self.n_blocks))

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(
            "X must be an array here, got a source of blocks. Linear*, LogisticRegression, Ridge, SGD*, MLP*, "
            "Sequential, scalers, encoders and TablePreprocessor take a source; others need all rows at once: "
            "numpy.concatenate([b.X for b in source])")

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "facts": {}}

    def __repr__(self) -> str:
        n_rows = self.n_rows
        return f"<{type(self).__name__}: {self.n_blocks} blocks, {'?' if n_rows is None else n_rows} rows>"


class MappedBlocks(Blocks):
    """A source whose X is a function of another's; y and weights are the other's.

    Parameters
    ----------
    source : Blocks
    function : callable
        From the X of a block to another X of as many rows.
    """

    source: Blocks
    function: Callable[[Any], Any]

    def __init__(self, source: Blocks, function: Callable[[Any], Any]) -> None:
        super().__init__(
            buffer_blocks=source.buffer_blocks, shuffle=source.shuffle, read_ahead=source.read_ahead,
            replicas=source.replicas)
        self.source = source
        self.function = function
        self.random_access = source.random_access

    @property
    def n_blocks(self) -> int:
        return self.source.n_blocks

    def rows(self, i: int) -> int | None:
        return self.source.rows(i)

    def where(self, i: int, row: int | None = None) -> str:
        return self.source.where(i, row)

    def block(self, i: int) -> Block:
        return self._mapped(i, self.source.block(i))

    def applied(self, i: int, block: Any) -> Any:
        return self._mapped(i, self.source.applied(i, block))

    def sum_of(self, loader: Any, function: Callable[[Any], Any], numbers: Any = None,
               tell: Callable[[int], None] | None = None) -> Any:
        return self.source.sum_of(loader, function, numbers, tell)

    def rounds(self, loader: Any, step: Any, join: Any, start: Any, rounds: Any) -> Any:
        return self.source.rounds(loader, step, join, start, rounds)

    def _mapped(self, i: int, block: Any) -> Block:
        X, y, sample_weight = block
        try:
            return Block(self.function(X), y, sample_weight)
        except (TypeError, ValueError) as error:
            raise placed(error, self.where(i)) from error


class PartBlocks(Blocks):
    """Some of the rows of each block of another source: what :meth:`Blocks.split` gives.

    Parameters
    ----------
    source : Blocks
    share : float
    seed : int
    held : bool
        Whether these rows are the share, or the others.
    """

    whole: Blocks
    part: tuple[float, int, bool]

    def __init__(self, source: Blocks, share: float, seed: int, held: bool) -> None:
        super().__init__(
            buffer_blocks=source.buffer_blocks, shuffle=source.shuffle, read_ahead=source.read_ahead,
            replicas=source.replicas)
        self.whole = source
        self.part = share, seed, held
        self.names, self.random_access = source.names, source.random_access
        self.concurrent = source.concurrent

    @property
    def n_blocks(self) -> int:
        return self.whole.n_blocks

    def rows(self, i: int) -> int | None:
        n_rows = self.whole.rows(i)
        return None if n_rows is None else len(part_rows(n_rows, i, *self.part))

    def where(self, i: int, row: int | None = None) -> str:
        n_rows = self.whole.rows(i)
        if row is None or n_rows is None:
            return self.whole.where(i)
        return self.whole.where(i, int(part_rows(n_rows, i, *self.part)[row]))

    def block(self, i: int) -> Block:
        return self._taken(i, self.whole.block(i))

    def applied(self, i: int, block: Any) -> Any:
        return self._taken(i, self.whole.applied(i, block))

    def sum_of(self, loader: Any, function: Callable[[Any], Any], numbers: Any = None,
               tell: Callable[[int], None] | None = None) -> Any:
        return self.whole.sum_of(loader, function, numbers_with_rows(self) if numbers is None else numbers, tell)

    def rounds(self, loader: Any, step: Any, join: Any, start: Any, rounds: Any) -> Any:
        return self.whole.rounds(loader, step, join, start, rounds)

    def _taken(self, i: int, block: Any) -> Block:
        taken = part_rows(block.X.shape[0], i, *self.part)
        return Block(*(None if value is None else _rows_of(value, taken) for value in block))


def placed(error, place):
    """A TypeError or ValueError with the place of what is wrong before its message.

    Of the same class, unless that is made of more than a message, as JSONDecodeError and UnicodeDecodeError are.
    """
    message = f"{place}: {error}"
    try:
        return type(error)(message)
    except TypeError:
        return TypeError(message) if isinstance(error, TypeError) else ValueError(message)


def _rows_of(value, taken):
    if hasattr(value, "iloc"):
        return value.iloc[taken]
    return value.take(taken) if hasattr(value, "column_names") else value[taken]


def part_rows(n_rows, i, share, seed, held):
    """Numbers of the rows of block ``i`` that are held out, or of the others; a matter of the seed and the block."""
    order = np.random.default_rng([seed, i]).permutation(n_rows)
    n_held = int(share * n_rows + 0.5)
    return np.sort(order[:n_held] if held else order[n_held:])


def n_readers(source):
    """Threads that load blocks of a source at once, ahead of those that are worked on."""
    return min(MOST_READERS, get_num_threads()) if source.concurrent and source.read_ahead else 1


def numbers_with_rows(source):
    """Numbers of the blocks that have a row, as far as that is known without reading them."""
    return [i for i in range(source.n_blocks) if source.rows(i) != 0]


def row_starts(rows, block_rows):
    """(first, last) rows of blocks of ``block_rows`` rows each but the last, which is no shorter than half of one."""
    count = max(1, math.floor(rows / block_rows + 0.5))
    return [(i * block_rows, rows if i == count - 1 else (i + 1) * block_rows) for i in range(count)]
