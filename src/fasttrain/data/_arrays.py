"""Sources of arrays: in memory, or in .npy files that are read in parts."""

import math
import os
from tokenize import TokenError
from typing import Any

import numpy as np

from fasttrain._core.checks import check_integer
from fasttrain.data._blocks import Block, Blocks, row_starts
from fasttrain.data._files import FileStamp
from fasttrain.data._room import ROW_BYTES, BlockBytes, require_room

# Bytes of X to a block where nobody says how many rows it has.
BLOCK_BYTES = 1 << 25


def default_block_rows(n_bytes_of_row):
    """Rows of a block of some 32 MiB."""
    return max(1, BLOCK_BYTES // max(1, n_bytes_of_row))


class ArrayBlocks(Blocks):
    """What :func:`from_arrays` makes."""

    def __init__(self, parts, what, **options):
        super().__init__(**options)
        self._parts = parts
        self._what = what
        X = parts[0].X
        if hasattr(X, "columns"):
            self.names = [str(name) for name in X.columns]

    @property
    def n_blocks(self):
        return len(self._parts)

    def block(self, i):
        return self._parts[i]

    def rows(self, i):
        return self._parts[i].X.shape[0]

    def where(self, i, row=None):
        if row is None:
            return f"block {i} of the {self._what}"
        first = sum(self.rows(k) for k in range(i))
        return f"block {i} of the {self._what}, row {row} (row {first + row} of them)"


def from_arrays(
    X: Any, y: Any = None, sample_weight: Any = None, *, block_rows: int | None = None, buffer_blocks: int = 4,
    shuffle: bool = True, read_ahead: bool = True,
) -> Blocks:
    """A source of arrays that are in memory already.

    Parameters
    ----------
    X : array, CSR matrix or data frame of shape (n_rows, n_features), or list of them
        A list is one block an item.
    y : array of shape (n_rows,) or (n_rows, n_outputs), or list of them, default=None
    sample_weight : array of shape (n_rows,), or list of them, default=None
    block_rows : int, default=None
        Rows of a block of one array; None is as many as have 32 MiB. The last has from half to one and a half as many.
    buffer_blocks, shuffle, read_ahead
        As for :class:`Blocks`.

    Returns
    -------
    Blocks

    Raises
    ------
    TypeError
        For a generator, which can be read once only.
    ValueError
        When y or sample_weight have other numbers of rows or of blocks than X.

    Examples
    --------
    >>> import numpy as np
    >>> from fasttrain.data import from_arrays
    >>> source = from_arrays(np.arange(12.0).reshape(6, 2), np.arange(6), block_rows=2)
    >>> [len(block.X) for block in source]
    [2, 2, 2]
    """
    options = {"buffer_blocks": buffer_blocks, "shuffle": shuffle, "read_ahead": read_ahead}
    refuse_one_shot(X, "X")
    if isinstance(X, (list, tuple)):
        if block_rows is not None:
            raise ValueError("block_rows is for one array; a list has one block an item")
        others = [_as_list(value, name, len(X)) for name, value in (("y", y), ("sample_weight", sample_weight))]
        parts = [Block(X_part, *map(_as_array, rest)) for X_part, *rest in zip(X, *others)]
    else:
        _require_rows(X, "X")
        # of the matrices of SciPy some have no rows that could be taken
        X = X.tocsr() if hasattr(X, "tocsr") else X
        y, sample_weight = _as_array(y), _as_array(sample_weight)
        n_rows = X.shape[0]
        for name, value in (("y", y), ("sample_weight", sample_weight)):
            require_length(value, name, n_rows, "X")
        row_bytes = X.shape[1] * getattr(getattr(X, "dtype", None), "itemsize", 8) if len(X.shape) == 2 else 8
        block_rows = check_integer(block_rows, "block_rows", low=1, optional=True) or default_block_rows(row_bytes)
        parts = [
            Block(*(None if value is None else _part(value, first, last) for value in (X, y, sample_weight)))
            for first, last in row_starts(n_rows, block_rows)
        ]
    if not parts:
        raise ValueError("X must hold at least one block, got an empty list")
    for i, part in enumerate(parts):
        _require_rows(part.X, f"X[{i}]")
        for name, value in (("y", part.y), ("sample_weight", part.sample_weight)):
            require_length(value, f"{name}[{i}]", part.X.shape[0], f"X[{i}]")
    return ArrayBlocks(parts, "arrays", **options)


def refuse_one_shot(value, name):
    """TypeError, with the remedy, for what can be read once only."""
    if hasattr(value, "__next__"):
        raise TypeError(
            f"{name} is a {type(value).__name__}, which can be read once only, and a fit reads its rows several times: "
            "pass a function that makes a new one each time, from_callable(lambda: ...)"
        )


def _require_rows(value, name):
    if len(getattr(value, "shape", ())) != 2:
        raise ValueError(f"{name} must be an array, a matrix or a data frame of two axes, got {type(value).__name__}"
                         f"{' of shape ' + str(value.shape) if hasattr(value, 'shape') else ''}")


def require_length(value, name, n_rows, other):
    if value is None:
        return
    if not value.shape:
        raise ValueError(f"{name} must have a number for each of the {n_rows} rows of {other}, got a single one")
    if value.shape[0] != n_rows:
        raise ValueError(f"{name} must have {n_rows} rows as {other} has, got {value.shape[0]}")


def _as_array(value):
    """An array-like of a caller as something of which rows can be taken by their numbers."""
    return value if value is None or hasattr(value, "shape") else np.asarray(value)


def _part(value, first, last):
    return value.iloc[first:last] if hasattr(value, "iloc") else value[first:last]


def _as_list(value, name, n_blocks):
    if value is None:
        return [None] * n_blocks
    if not isinstance(value, (list, tuple)) or len(value) != n_blocks:
        found = f"{len(value)} of them" if isinstance(value, (list, tuple)) else type(value).__name__
        raise ValueError(f"{name} must be a list of {n_blocks} arrays as X is, got {found}")
    return list(value)


class _NpyFile:
    """An array in a .npy file, of which rows are read without a memory map: its pages would count as resident."""

    def __init__(self, path, name):
        self.path = os.fspath(path)
        self.stamp = FileStamp(self.path)
        with open(self.path, "rb") as file:
            try:
                version = np.lib.format.read_magic(file)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else (
                    np.lib.format.read_array_header_2_0)
                self.shape, by_columns, self.dtype = read(file)
            # NumPy repairs old headers, word by word
            except (ValueError, TypeError, TokenError) as error:
                raise ValueError(f"{self.path} is not a .npy file: {error}") from error
            self.offset = file.tell()
        if any(length < 0 for length in self.shape):
            raise ValueError(f"{self.path} is not a .npy file: its shape is {self.shape}")
        if self.dtype.hasobject or self.dtype.kind == "V":
            found = "objects" if self.dtype.hasobject else self.dtype
            raise ValueError(f"{name} must hold numbers or text of a fixed length, got {found} in {self.path}")
        if by_columns and len(self.shape) > 1:
            raise ValueError(
                f"{self.path} lies by columns (Fortran order), so that its rows cannot be read alone: write "
                "numpy.ascontiguousarray of it")
        wanted = self.offset + math.prod(self.shape) * self.dtype.itemsize
        if self.stamp.size < wanted:
            raise ValueError(f"{self.path} is cut short: {self.stamp.size} bytes of {wanted}")

    def __len__(self):
        return self.shape[0]

    def read(self, first, last, out=None):
        """Rows [first, last), in ``out`` where it has their shape and type."""
        shape = (last - first, *self.shape[1:])
        row = int(np.prod(self.shape[1:], dtype=np.int64))
        with self.stamp.opened() as file:
            file.seek(self.offset + first * row * self.dtype.itemsize)
            if out is None or out.shape != shape or out.dtype != self.dtype:
                return np.fromfile(file, dtype=self.dtype, count=(last - first) * row).reshape(shape)
            n_read = file.readinto(memoryview(out).cast("B"))
        if n_read != out.nbytes:
            raise ValueError(f"{self.path} ends after {n_read} of the {out.nbytes} bytes of rows {first} to {last - 1}")
        return out


class NpyBlocks(Blocks):
    """What :func:`from_npy` makes."""

    concurrent = True
    direct = True
    smaller_blocks = "take fewer buffer_blocks or block_rows"

    def __init__(self, X, y, sample_weight, block_rows, **options):
        super().__init__(**options)
        self._X = X
        self._others = y, sample_weight
        self._starts = row_starts(len(X), block_rows)

    @property
    def n_blocks(self):
        return len(self._starts)

    def block(self, i):
        return self.block_into(i, None)

    def block_into(self, i, out):
        first, last = self._starts[i]
        return Block(self._X.read(first, last, out), self._other(0, i), self._other(1, i))

    def block_target(self, i):
        return self._other(0, i)

    def _other(self, number, i):
        value, (first, last) = self._others[number], self._starts[i]
        if isinstance(value, _NpyFile):
            return value.read(first, last)
        return None if value is None else _part(value, first, last)

    def rows(self, i):
        first, last = self._starts[i]
        return last - first

    def block_bytes(self):
        # of arrays too there is a copy where they are trained on
        arrays = [value for value in (self._X, *self._others) if value is not None]
        # columns of tables may have a type that says nothing of its size
        a_row = sum(math.prod(array.shape[1:]) * getattr(array.dtype, "itemsize", 8) for array in arrays)
        return BlockBytes(max(map(self.rows, range(self.n_blocks))) * (a_row + ROW_BYTES), 0)

    def where(self, i, row=None):
        return self.where_of("X", i, row)

    def where_of(self, part, i, row=None):
        value = dict(zip(("X", "y", "sample_weight"), (self._X, *self._others)))[part]
        first, last = self._starts[i]
        place = value.path if isinstance(value, _NpyFile) else f"the array {part}"
        return f"{place}, " + (f"rows {first} to {last - 1}" if row is None else f"row {first + row}")


def from_npy(
    X: str | os.PathLike[str], y: Any = None, sample_weight: Any = None, *, block_rows: int | None = None,
    buffer_blocks: int = 4, shuffle: bool = True, read_ahead: bool = True, memory: int | None = None,
) -> Blocks:
    """A source of arrays in .npy files, of which one block at a time is read.

    Parameters
    ----------
    X : path
        Of an array of shape (n_rows, n_features) in C order.
    y, sample_weight : path or array of shape (n_rows,), default=None
    block_rows : int, default=None
        Rows of a block; None is as many as have 32 MiB. The last has from half to one and a half as many.
    buffer_blocks, shuffle, read_ahead, memory
        As for :class:`Blocks`.

    Returns
    -------
    Blocks

    Raises
    ------
    ValueError
        When a file is no .npy file, is cut short, lies by columns, or has another number of rows than X; when
        ``memory`` is less than one buffer of blocks.
    OSError
        When a file is not there; when it vanishes later, on reading.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from fasttrain.data import from_npy
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "X.npy")
    ...     np.save(path, np.ones((10, 3), np.float32))
    ...     source = from_npy(path, np.arange(10), block_rows=5)
    ...     source.block(1).y
    array([5, 6, 7, 8, 9])
    """
    X = _NpyFile(X, "X")
    if len(X.shape) != 2 or 0 in X.shape:
        raise ValueError(f"{X.path} must hold rows and columns, got shape {X.shape}")
    others = []
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        value = _NpyFile(value, name) if isinstance(value, (str, os.PathLike)) else _as_array(value)
        require_length(value, name, len(X), "X")
        others.append(value)
    block_rows = check_integer(block_rows, "block_rows", low=1, optional=True)
    block_rows = block_rows or default_block_rows(X.shape[1] * X.dtype.itemsize)
    source = NpyBlocks(X, *others, block_rows, buffer_blocks=buffer_blocks, shuffle=shuffle, read_ahead=read_ahead,
                       memory=memory)
    require_room(source)
    return source
