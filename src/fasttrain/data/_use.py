"""What whoever reads a source of blocks needs: a pass over it, messages about a block, a method's answers for all."""

import re
from contextlib import contextmanager
from functools import wraps

import numpy as np

from fasttrain.data._ahead import ahead, beside, loads
from fasttrain.data._blocks import Blocks, numbers_with_rows
from fasttrain.data._dask import is_collection, place_of
from fasttrain.data._lazy import lazy
from fasttrain.data._places import placed
from fasttrain.data._room import stream_room


def stream(source, load, numbers=None):
    """``load`` of each block's number, a thread ahead where the source lets it."""
    numbers = range(source.n_blocks) if numbers is None else numbers
    n_readers, depth = stream_room(source)
    return ahead(loads(beside(load, n_readers, depth), numbers, n_readers), depth=depth)


def blocks_with_rows(source):
    """(number, block) of the blocks that have a row, as the part of a small one may not; ValueError if none has."""
    none = True
    numbers = numbers_with_rows(source)
    for i, block in zip(numbers, stream(source, source.block, numbers)):
        # of some sources it is known only now how many rows a block has
        if block.X.shape[0]:
            none = False
            yield i, block
    if none:
        raise ValueError("the source must have at least one row, got none")


def block_rows(source):
    """Rows of each block; blocks of which they are not known are read once."""
    counts = [source.rows(i) for i in range(source.n_blocks)]
    for i, count in enumerate(counts):
        if count is None:
            counts[i] = source.block(i).X.shape[0]
    if not sum(counts):
        raise ValueError("the source must have at least one row, got none")
    return counts


def first_block(source):
    """(number, block) of the first block that has a row."""
    for i in numbers_with_rows(source):
        block = source.block(i)
        if block.X.shape[0]:
            return i, block
    raise ValueError("the source must have at least one row, got none")


class BlockKind:
    """What all blocks of a source must have the same of, as the first one that has a row has it.

    A later block is checked as it was read: a buffer of NumPy would take a column for two, and no weights for NaN.
    """

    def __init__(self, source, number, block):
        self._place = source.where(number)
        self._parts = _parts_of(block)

    def require(self, block):
        """ValueError unless a block that has a row is like the first."""
        for found, wanted in zip(_parts_of(block), self._parts):
            if found != wanted:
                raise ValueError(f"every block must have {wanted} as {self._place} has, got {found}")


def _parts_of(block):
    X, y, sample_weight = block
    n_outputs = None if y is None else 1 if len(np.shape(y)) == 1 else np.shape(y)[1]
    return (
        "sparse X" if hasattr(X, "indptr") else "dense X",
        "no y" if y is None else f"y of {n_outputs} column{'' if n_outputs == 1 else 's'}",
        "no sample_weight" if sample_weight is None else "sample_weight")


@contextmanager
def at_block(source, i, X=None, y=None, sample_weight=None):
    """Say of a block what is wrong with it by where it lies, and of a cell that is no number for it by its row."""
    try:
        yield
    except (TypeError, ValueError) as error:
        place = source.where_of(_part_named(error), i, row_of(error, X, y, sample_weight))
        raise placed(error, place) from error


@contextmanager
def at_cell(source, i, X, y=None, sample_weight=None):
    """:func:`at_block` for a whole fit on a block: what is wrong with no cell may have nothing to do with the block."""
    try:
        yield
    except (TypeError, ValueError) as error:
        row = row_of(error, X, y, sample_weight)
        if row is None:
            raise
        raise placed(error, source.where_of(_part_named(error), i, row)) from error


def _part_named(error):
    """The part of a block of which an error speaks."""
    message = str(error)
    if message.startswith("sample_weight"):
        return "sample_weight"
    # scikit-learn's words of a target
    return "y" if re.match(r"(Input |Some value\(s\) of )?y\b", message) else "X"


def row_of(error, X, y=None, sample_weight=None):
    """The first row with a cell that is what the error is about: a missing number, infinity, a weight below 0, text
    that is no number; None where there is none."""
    cells = {"X": X, "y": y, "sample_weight": sample_weight}[_part_named(error)]
    if cells is None:
        return None
    column = getattr(error, "column", None)
    if column is not None and hasattr(cells, "columns") and column in cells.columns:
        cells = cells[[column]]
    message = str(error)
    if hasattr(cells, "indptr"):
        held = cells.tocoo()
        wrong = _wrong(held.data, message)
        rows = np.empty(0) if wrong is None else held.row[wrong]
    else:
        wrong = _wrong(cells, message)
        rows = np.empty(0) if wrong is None or not len(wrong) else np.flatnonzero(
            wrong.reshape(len(wrong), -1).any(axis=1))
    return int(rows.min()) if len(rows) else None


def _wrong(cells, message):
    """A mask of the cells that are what a message is about; None where they cannot be."""
    if hasattr(cells, "isna") and ("NaN" in message or "missing" in message):
        return np.asarray(cells.isna())
    # float's own message
    text = "convert" in message
    if hasattr(cells, "select_dtypes") and not text:
        cells = cells.select_dtypes("number").to_numpy(dtype=np.float64, na_value=np.nan)
    try:
        cells = np.asarray(cells)
    except (TypeError, ValueError):
        return None
    if text and cells.dtype.kind in "USO":
        return np.array([not _is_number(cell) for cell in cells.ravel()], dtype=bool).reshape(cells.shape)
    if cells.dtype.kind not in "iuf":
        return None
    wrong = np.zeros(cells.shape, dtype=bool)
    if "NaN" in message or "missing" in message:
        wrong |= np.isnan(cells)
    if re.search(r"infinity|finite", message):
        wrong |= np.isinf(cells)
    if message.startswith("sample_weight") and ">= 0" in message:
        wrong |= cells < 0
    return wrong


def _is_number(cell):
    try:
        float(cell)
    except (TypeError, ValueError):
        return False
    return True


def refuse_beside_source(name, y, sample_weight=None):
    """ValueError where y or weights are given beside a source, which has its own."""
    for argument, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None:
            raise ValueError(
                f"{argument} must be left out of {name} where X is a source of blocks, which has its own: say "
                f"{'target=' if argument == 'y' else 'sample_weight='} where the source is made")


class RawBlocks:
    """A source's blocks as they are, each with its number; a loader for :meth:`Blocks.sum_of`."""

    def __init__(self, source):
        self.source = source

    def prepare(self, i, block):
        return i, self.source.applied(i, block)


# How names begin of what of an estimator only the fit in this process needs: the engine of the last one, and who
# follows it.
_LOCAL = ("_engine", "_fit_tasks", "_skl_callbacks", "_callback")


def detached(estimator):
    """A shallow copy without what only the fit in this process needs."""
    new = object.__new__(type(estimator))
    vars(new).update((name, value) for name, value in vars(estimator).items() if not name.startswith(_LOCAL))
    if hasattr(new, "callbacks"):
        new.callbacks = None
    return new


def lazily(self, method, X, *args, **kwargs):
    """The method's answer for a Dask collection, itself one: computed block by block when it is asked for."""
    # which needs SciPy
    from fasttrain._tables.frames import named

    estimator = detached(self)

    def answer(block, number):
        rows = named(block)
        try:
            return method(estimator, rows, *args, **kwargs)
        except (TypeError, ValueError) as error:
            if number is None:
                raise
            raise placed(error, place_of(number, row_of(error, rows))) from error

    return lazy(answer, X, method.__name__)


def predicts(method):
    """Method decorator: of a source, the method's answers for all blocks, one below the other."""

    @wraps(method)
    def predicting(self, X, *args, **kwargs):
        if is_collection(X):
            return lazily(self, method, X, *args, **kwargs)
        if not isinstance(X, Blocks):
            return method(self, X, *args, **kwargs)

        parts = []
        for i, block in blocks_with_rows(X):
            with at_block(X, i, block.X):
                parts.append(method(self, block.X, *args, **kwargs))
        if not hasattr(parts[0], "indptr"):
            return np.concatenate(parts)
        from scipy import sparse

        return sparse.vstack(parts, format="csr")

    return predicting
