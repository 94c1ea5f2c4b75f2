"""Sources of a function that makes the blocks."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fasttrain._core.checks import check_integer
from fasttrain.data._arrays import refuse_one_shot, require_length
from fasttrain.data._blocks import Block, Blocks


def _as_block(found, i):
    """What a caller's function gave as a Block of whole arrays; an X alone is a block without y."""
    parts = found if isinstance(found, (tuple, list)) else (found,)
    if not 1 <= len(parts) <= 3:
        raise ValueError(f"block {i} must be X, (X, y) or (X, y, sample_weight), got {len(parts)} items")
    X, *others = parts
    X = X if hasattr(X, "shape") else np.asarray(X)
    if len(X.shape) != 2:
        raise ValueError(f"X of block {i} must have two axes, got shape {X.shape}")
    others = [value if value is None or hasattr(value, "shape") else np.asarray(value) for value in others]
    for name, value in zip(("y", "sample_weight"), others):
        require_length(value, f"{name} of block {i}", X.shape[0], "X")
    return Block(X, *others)


class NumberedBlocks(Blocks):
    """What :func:`from_callable` makes of a function of the block's number."""

    def __init__(self, function, n_blocks, **options):
        super().__init__(**options)
        self._function = function
        self.n_blocks = n_blocks
        self._rows = {}

    def block(self, i):
        found = _as_block(self._function(i), i)
        n_rows = found.X.shape[0]
        if self._rows.setdefault(i, n_rows) != n_rows:
            raise ValueError(f"block {i} must be the same each time, got {n_rows} rows, and {self._rows[i]} before")
        return found

    def rows(self, i):
        return self._rows.get(i)


class IteratedBlocks(Blocks):
    """What :func:`from_callable` makes of a function that returns an iterator."""

    random_access = False

    def __init__(self, function, **options):
        super().__init__(**options)
        self._function = function
        self._iterator = self._last = None
        self._next = 0
        self._rows = []
        self._whole = False

    def __getstate__(self):
        return {**super().__getstate__(), "_iterator": None, "_last": None, "_next": 0}

    def _restart(self):
        made = self._function()
        if made is self._last:
            raise TypeError(
                f"function must return a new iterator each time, got the same {type(made).__name__} twice, which can "
                "be read once only: make it inside the function")
        self._last = made if hasattr(made, "__next__") else None
        self._iterator, self._next = iter(made), 0

    def _advance(self):
        """The next block; None after the last."""
        if self._iterator is None:
            self._restart()
        i = self._next
        try:
            found = next(self._iterator)
        except StopIteration:
            if self._whole and i < len(self._rows):
                raise ValueError(f"function must return the same blocks each time, got {i}, and {len(self._rows)} "
                                 "before") from None
            self._whole, self._iterator = True, None
            return None
        if self._whole and i >= len(self._rows):
            raise ValueError(f"function must return the same blocks each time, got more than the {i} of before")
        found = _as_block(found, i)
        n_rows = found.X.shape[0]
        if i == len(self._rows):
            self._rows.append(n_rows)
        elif self._rows[i] != n_rows:
            raise ValueError(f"block {i} must be the same each time, got {n_rows} rows, and {self._rows[i]} before")
        self._next = i + 1
        return found

    @property
    def n_blocks(self):
        if not self._whole:
            while self._advance() is not None:
                pass
        if not self._rows:
            raise ValueError("function must return an iterator of at least one block, got none")
        return len(self._rows)

    def block(self, i):
        if self._iterator is None or i < self._next:
            self._restart()
        while self._next < i:
            if self._advance() is None:
                raise IndexError(f"block must be from 0 to {len(self._rows) - 1}, got {i}")
        found = self._advance()
        if found is None:
            raise IndexError(f"block must be from 0 to {len(self._rows) - 1}, got {i}")
        return found

    def rows(self, i):
        return self._rows[i] if i < len(self._rows) else None


def from_callable(
    function: Callable[..., Any], *, n_blocks: int | None = None, buffer_blocks: int = 4, shuffle: bool = True,
    read_ahead: bool = True,
) -> Blocks:
    """A source of a function that makes the blocks.

    Parameters
    ----------
    function : callable
        Without arguments it returns a new iterator of blocks each time it is called; with ``n_blocks`` it is given the
        number of a block and returns it. A block is ``X``, ``(X, y)`` or ``(X, y, sample_weight)``, and the same each
        time. It is called in another thread when ``read_ahead``.
    n_blocks : int, default=None
        None counts the blocks of an iterator in a pass of its own, and takes them in their order: only the rows of
        ``buffer_blocks`` blocks are shuffled. With a number the order of the blocks is shuffled as well.
    buffer_blocks, shuffle, read_ahead
        As for :class:`Blocks`.

    Returns
    -------
    Blocks

    Raises
    ------
    TypeError
        For an iterator, which can be read once only.

    Examples
    --------
    >>> import numpy as np
    >>> from fasttrain.data import from_callable
    >>> def block(i):
    ...     X = np.random.default_rng(i).standard_normal((100, 3))
    ...     return X, X[:, 0] > 0
    >>> from_callable(block, n_blocks=5).block(4).X.shape
    (100, 3)
    >>> from_callable(lambda: map(block, range(3))).n_blocks
    3
    """
    refuse_one_shot(function, "function")
    if not callable(function):
        raise TypeError(f"function must be callable, got {type(function).__name__}")
    options = {"buffer_blocks": buffer_blocks, "shuffle": shuffle, "read_ahead": read_ahead}
    if n_blocks is None:
        return IteratedBlocks(function, **options)
    return NumberedBlocks(function, check_integer(n_blocks, "n_blocks", low=1), **options)
