"""What a source of blocks is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, NamedTuple

from fasttrain._core.checks import check_flag, check_integer, check_real
from fasttrain._core.types import Array
from fasttrain.data._ahead import ahead, beside, loads
from fasttrain.data._columns import present, target_of
from fasttrain.data._options import require_column
from fasttrain.data._parts import Fold, Share
from fasttrain.data._places import placed
from fasttrain.data._room import BlockBytes, stream_room
from fasttrain.data.sums import SumTree


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
        many blocks are in memory: those that are trained on, and those that are read meanwhile.
    shuffle : bool, default=True
        False takes the rows as they stand, whatever the estimator says.
    read_ahead : bool, default=True
        Whether threads read and decode the next blocks while the present ones are worked on. No result hangs on it.
    memory : int, default=None
        Bytes by which a fit on the source may make the process larger at most, to within 4 MB: rows, their order and
        targets, what reading takes, and what allocators keep of it; None is no bound. With less of it fewer threads
        read, then nothing is read while others are trained on; no result hangs on it. The bound does not count what
        stands before, the code and tables of libraries that the first fit of a process brings (some 10 MB), the
        model, and what transforms and parts of blocks take. For a source that knows :meth:`block_bytes`.
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
    direct : bool
        Whether :meth:`block_into` writes X where it is told to.
    facts : dict
        What a first pass has found, kept for the next fit; see :mod:`fasttrain._estimators.blocks`.
    """

    n_blocks: int
    names: list[str] | None = None
    random_access: bool = True
    concurrent: bool = False
    direct: bool = False
    buffer_blocks: int
    shuffle: bool
    read_ahead: bool
    memory: int | None
    replicas: Replicas | None
    facts: dict[Any, Any]
    # What to do where the blocks are too large, in words for messages.
    smaller_blocks: str = "take fewer buffer_blocks or smaller blocks"

    def __init__(self, *, buffer_blocks: int = 4, shuffle: bool = True, read_ahead: bool = True,
                 memory: int | None = None, replicas: Replicas | None = None) -> None:
        self.buffer_blocks = check_integer(buffer_blocks, "buffer_blocks", low=1)
        self.shuffle = check_flag(shuffle, "shuffle")
        self.read_ahead = check_flag(read_ahead, "read_ahead")
        self.memory = check_integer(memory, "memory", low=1, optional=True)
        self.replicas = replicas
        self.facts = {}

    def block(self, i: int) -> Block:
        """Block number ``i``, from 0."""
        raise NotImplementedError(
            f"{type(self).__name__} must have block(i), which returns block number i as a Block(X, y, sample_weight), "
            "and n_blocks")

    def block_into(self, i: int, out: Array) -> Block:
        """Block number ``i``, whose X is ``out`` where the source can write it there, and elsewhere where it cannot.

        Parameters
        ----------
        i : int
        out : float array of shape (n_rows, n_features), C-contiguous
            Rows and columns of that block's X. What it holds afterwards is of no matter where X is elsewhere.

        Returns
        -------
        Block
        """
        return self.block(i)

    def block_target(self, i: int) -> Any:
        """The y of block number ``i``, which some sources can read without X."""
        return self.block(i).y

    def rows(self, i: int) -> int | None:
        """Rows of block ``i``; None as long as that is not known without reading it."""
        return None

    def block_bytes(self) -> BlockBytes:
        """Bytes of memory of the largest block: of its rows, and beside them of reading it."""
        raise NotImplementedError(
            f"{type(self).__name__} has no block_bytes(), of which memory= is kept: BlockBytes(rows, reading)")

    def where(self, i: int, row: int | None = None) -> str:
        """Where block ``i`` lies, or a row of it, counted from 0, in words for messages."""
        return f"block {i}" if row is None else f"block {i}, row {row}"

    def where_of(self, part: str, i: int, row: int | None = None) -> str:
        """:meth:`where` of the ``part`` 'X', 'y' or 'sample_weight' of a block, which may lie in files of their own."""
        return self.where(i, row)

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
        n_readers, depth = stream_room(self)
        blocks = loads(beside(lambda i: (i, self.block(i)), n_readers, depth), numbers, n_readers)
        prepare = beside(loader.prepare, n_readers, depth)
        # of some sources it is known only now how many rows a block has
        prepared = ((i, prepare(i, block)) for i, block in blocks if block.X.shape[0])
        with closing(ahead(prepared, depth=depth)) as loaded:
            for i, block in loaded:
                tree.add(function(block))
                if tell is not None:
                    tell(i)
        return tree.total()

    def sum_of_targets(self, function: Callable[[int, Any], Any]) -> Any:
        """The sum over blocks of ``function(i, y)``, like :meth:`sum_of`; X is not read where y can be had alone.

        Of a part of the rows a y may be empty.
        """
        numbers, tree = numbers_with_rows(self), SumTree()
        n_readers, depth = stream_room(self)
        load = beside(self.block_target, n_readers, depth)
        with closing(ahead(loads(load, numbers, n_readers), depth=depth)) as targets:
            for i, y in zip(numbers, targets):
                # of some sources it is known only now how many rows a block has
                if self.rows(i) != 0 and (y is None or len(y)):
                    tree.add(function(i, y))
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

    def map(self, function: Callable[[Any], Any] | None = None, *,
            y: Callable[[Any], Any] | None = None) -> Blocks:
        """The same rows with ``function`` of X in the place of X, computed whenever a block is asked for.

        Parameters
        ----------
        function : callable, default=None
            From the X of a block to another X of as many rows; None leaves X as it is.
        y : callable, default=None
            From the y of a block to another of as many rows; None leaves it as it is.

        Returns
        -------
        Blocks

        Examples
        --------
        >>> import numpy as np
        >>> from fasttrain.data import from_arrays
        >>> source = from_arrays(np.array([[1.0], [2.0]]), [10.0, 30.0]).map(y=lambda y: (y - 20.0) / 10.0)
        >>> source.block(0).y.tolist()
        [-1.0, 1.0]
        """
        for name, value in (("function", function), ("y", y)):
            if value is not None and not callable(value):
                raise TypeError(f"{name} must be callable or None, got {type(value).__name__}")
        return MappedBlocks(self, function, y)

    def split(self, share: float, seed: int = 0) -> tuple[Blocks, Blocks]:
        """Two sources: the rows that are left, and a share of the rows of each block, drawn by the seed."""
        share = check_real(share, "share", low=0, high=1, open_low=True, open_high=True)
        seed = check_integer(seed, "seed", low=0)
        return PartBlocks(self, Share(share, seed, False)), PartBlocks(self, Share(share, seed, True))

    def folds(self, n: int, seed: int = 0) -> list[tuple[Blocks, Blocks]]:
        """Sources for cross-validation: ``n`` pairs of what to train on and what was held out of it.

        Each row is held out once. The rows of a block are drawn by the seed, and each fold takes about as many of each
        block.

        Parameters
        ----------
        n : int
            From 2 on.
        seed : int, default=0

        Returns
        -------
        list of (Blocks, Blocks)

        Examples
        --------
        >>> import numpy as np
        >>> from fasttrain.data import from_arrays
        >>> source = from_arrays(np.arange(10.0)[:, None], block_rows=5)
        >>> [(train.n_rows, held.n_rows) for train, held in source.folds(5)]
        [(8, 2), (8, 2), (8, 2), (8, 2), (8, 2)]
        """
        n = check_integer(n, "n", low=2)
        seed = check_integer(seed, "seed", low=0)
        return [(PartBlocks(self, Fold(k, n, seed, False)), PartBlocks(self, Fold(k, n, seed, True)))
                for k in range(n)]

    def with_target(self, target: str, *, drop_missing: str | None = None) -> Blocks:
        """The rows of Arrow tables with one of the columns as y, which is then none of X.

        Parameters
        ----------
        target : str
        drop_missing : {None, 'target', 'any'}, default=None
            Which rows go: those without a target, or those in which any cell is missing, NaN too. With None a missing
            target is an error.

        Returns
        -------
        Blocks
            With ``dropped``, a dict from the number of each block that was read to how many of its rows went.

        Examples
        --------
        >>> import pyarrow as pa
        >>> from fasttrain.data import from_callable
        >>> table = pa.table({"size": [1.0, 2.0, 3.0], "price": [10.0, None, 30.0]})
        >>> source = from_callable(lambda: iter([table])).with_target("price", drop_missing="target")
        >>> source.block(0).y.tolist(), source.dropped
        ([10.0, 30.0], {0: 1})
        """
        return TargetBlocks(self, target, drop_missing)

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
    """A source whose X, y or both are functions of another's; weights are the other's.

    Parameters
    ----------
    source : Blocks
    function : callable or None
        From the X of a block to another X of as many rows.
    y_function : callable, default=None
        From the y of a block to another.
    """

    source: Blocks
    function: Callable[[Any], Any] | None
    y_function: Callable[[Any], Any] | None

    def __init__(self, source: Blocks, function: Callable[[Any], Any] | None,
                 y_function: Callable[[Any], Any] | None = None) -> None:
        super().__init__(
            buffer_blocks=source.buffer_blocks, shuffle=source.shuffle, read_ahead=source.read_ahead,
            memory=source.memory, replicas=source.replicas)
        self.source = source
        self.function = function
        self.y_function = y_function
        self.random_access = source.random_access
        if function is None:
            self.names, self.concurrent = source.names, source.concurrent

    @property
    def n_blocks(self) -> int:
        return self.source.n_blocks

    def rows(self, i: int) -> int | None:
        return self.source.rows(i)

    def block_bytes(self) -> BlockBytes:
        return self.source.block_bytes()

    def where(self, i: int, row: int | None = None) -> str:
        return self.where_of("X", i, row)

    def where_of(self, part: str, i: int, row: int | None = None) -> str:
        return self.source.where_of(part, i, row)

    def block(self, i: int) -> Block:
        return self._mapped(i, self.source.block(i))

    def applied(self, i: int, block: Any) -> Any:
        return self._mapped(i, self.source.applied(i, block))

    def sum_of(self, loader: Any, function: Callable[[Any], Any], numbers: Any = None,
               tell: Callable[[int], None] | None = None) -> Any:
        return self.source.sum_of(loader, function, numbers, tell)

    def sum_of_targets(self, function: Callable[[int, Any], Any]) -> Any:
        return self.source.sum_of_targets(lambda i, y: function(i, self._of(self.y_function, i, y)))

    def rounds(self, loader: Any, step: Any, join: Any, start: Any, rounds: Any) -> Any:
        return self.source.rounds(loader, step, join, start, rounds)

    def _mapped(self, i: int, block: Any) -> Block:
        X, y, sample_weight = block
        return Block(self._of(self.function, i, X), self._of(self.y_function, i, y), sample_weight)

    def _of(self, function: Callable[[Any], Any] | None, i: int, value: Any) -> Any:
        if function is None:
            return value
        try:
            found = function(value)
        except (TypeError, ValueError) as error:
            raise placed(error, self.where(i)) from error
        if found is None:
            raise TypeError(f"{self.where(i)}: the function of map must return an array, got None")
        return found


class PartBlocks(Blocks):
    """Some of the rows of each block of another source: what :meth:`Blocks.split` and :meth:`Blocks.folds` give.

    Parameters
    ----------
    source : Blocks
    part : Share or Fold
    """

    whole: Blocks
    part: Share | Fold

    def __init__(self, source: Blocks, part: Share | Fold) -> None:
        super().__init__(
            buffer_blocks=source.buffer_blocks, shuffle=source.shuffle, read_ahead=source.read_ahead,
            memory=source.memory, replicas=source.replicas)
        self.whole = source
        self.part = part
        self.names, self.random_access = source.names, source.random_access
        self.concurrent = source.concurrent

    @property
    def n_blocks(self) -> int:
        return self.whole.n_blocks

    def rows(self, i: int) -> int | None:
        n_rows = self.whole.rows(i)
        return None if n_rows is None else self.part.count(n_rows, i)

    def block_bytes(self) -> BlockBytes:
        return self.whole.block_bytes()

    def where(self, i: int, row: int | None = None) -> str:
        return self.where_of("X", i, row)

    def where_of(self, part: str, i: int, row: int | None = None) -> str:
        n_rows = self.whole.rows(i)
        if row is None or n_rows is None:
            return self.whole.where_of(part, i)
        return self.whole.where_of(part, i, int(self.part.rows(n_rows, i)[row]))

    def block(self, i: int) -> Block:
        return self._taken(i, self.whole.block(i))

    def applied(self, i: int, block: Any) -> Any:
        return self._taken(i, self.whole.applied(i, block))

    def sum_of(self, loader: Any, function: Callable[[Any], Any], numbers: Any = None,
               tell: Callable[[int], None] | None = None) -> Any:
        return self.whole.sum_of(loader, function, numbers_with_rows(self) if numbers is None else numbers, tell)

    def sum_of_targets(self, function: Callable[[int, Any], Any]) -> Any:
        return self.whole.sum_of_targets(
            lambda i, y: function(i, None if y is None else _rows_of(y, self.part.rows(len(y), i))))

    def rounds(self, loader: Any, step: Any, join: Any, start: Any, rounds: Any) -> Any:
        return self.whole.rounds(loader, step, join, start, rounds)

    def _taken(self, i: int, block: Any) -> Block:
        taken = self.part.rows(block.X.shape[0], i)
        return Block(*(None if value is None else _rows_of(value, taken) for value in block))


class TargetBlocks(Blocks):
    """A source whose y is a column of another's tables: what :meth:`Blocks.with_target` gives.

    Parameters
    ----------
    tables : Blocks
        Of Arrow tables, the target among the columns.
    target : str
    drop_missing : {None, 'target', 'any'}

    Attributes
    ----------
    dropped : dict
        From the number of each block that was read to how many of its rows went.
    """

    tables: Blocks
    target: str
    drop_missing: str | None
    dropped: dict[int, int]

    def __init__(self, tables: Blocks, target: str, drop_missing: str | None) -> None:
        super().__init__(
            buffer_blocks=tables.buffer_blocks, shuffle=tables.shuffle, read_ahead=tables.read_ahead,
            memory=tables.memory, replicas=tables.replicas)
        if drop_missing not in (None, "target", "any"):
            raise ValueError(f"drop_missing must be None, 'target' or 'any', got {drop_missing!r}")
        if tables.names is not None:
            require_column(target, "target", tables.names, "the source")
            _require_others(tables.names, "the source")
            self.names = [name for name in tables.names if name != target]
        self.tables, self.target, self.drop_missing = tables, target, drop_missing
        self.random_access, self.concurrent = tables.random_access, tables.concurrent
        self.dropped, self._left = {}, {}

    @property
    def n_blocks(self) -> int:
        return self.tables.n_blocks

    def block_bytes(self) -> BlockBytes:
        return self.tables.block_bytes()

    def rows(self, i: int) -> int | None:
        return self.tables.rows(i) if self.drop_missing is None else self._left.get(i)

    def where(self, i: int, row: int | None = None) -> str:
        # which row of the file it was is not known once others went
        return self.tables.where(i, None if self.dropped.get(i) else row)

    def block(self, i: int) -> Block:
        table, _, sample_weight = self.tables.block(i)
        if not hasattr(table, "column_names"):
            raise TypeError(f"{self.where(i)}: with_target takes Arrow tables, got {type(table).__name__}: pass "
                            "dtype='table' to from_parquet or from_csv, or make it one with pyarrow.table")
        require_column(self.target, "target", table.column_names, self.where(i))
        _require_others(table.column_names, self.where(i))
        complete = None
        columns = {None: [], "target": [self.target], "any": table.column_names}[self.drop_missing]
        for name in columns:
            there = present(table.column(name))
            if there is not None:
                complete = there if complete is None else complete & there
        n_rows = table.num_rows
        if complete is not None:
            table = table.filter(complete)
            sample_weight = None if sample_weight is None else sample_weight[complete]
        self.dropped[i], self._left[i] = n_rows - table.num_rows, table.num_rows
        y = target_of(table, self.target, lambda row: self.where(i, row))
        return Block(table.drop_columns([self.target]), y, sample_weight)


def _require_others(names, place):
    if len(names) < 2:
        raise ValueError(f"{place} has no column but the target")


def _rows_of(value, taken):
    if hasattr(value, "iloc"):
        return value.iloc[taken]
    return value.take(taken) if hasattr(value, "column_names") else value[taken]


def numbers_with_rows(source):
    """Numbers of the blocks that have a row, as far as that is known without reading them."""
    return [i for i in range(source.n_blocks) if source.rows(i) != 0]


def row_starts(rows, block_rows):
    """(first, last) rows of blocks of ``block_rows`` rows each but the last, which is no shorter than half of one."""
    count = max(1, math.floor(rows / block_rows + 0.5))
    return [(i * block_rows, rows if i == count - 1 else (i + 1) * block_rows) for i in range(count)]
