"""Long passes over rows in slices, between which Ctrl-C is heard."""

import numpy as np

# Cells that one call of a kernel or of NumPy walks: some 5 ms of reading and writing, ten times that where the system
# gives the memory only now and the machine is a guest on another.
SLICE_CELLS = 1 << 21
# Cells that several threads read: they wait for each other after each slice, which is long where others hold the cores.
READ_CELLS = 1 << 23


def slices(n_rows, n_columns=1, cells=None, at_least=1):
    """Slices of rows of so many cells (SLICE_CELLS), each of ``at_least`` so many rows but the last."""
    step = max(at_least, (SLICE_CELLS if cells is None else cells) // max(1, n_columns))
    return [slice(first, min(first + step, n_rows)) for first in range(0, n_rows, step)]


def by_slices(function, X, cells=None, at_least=1):
    """``function`` of each slice of the rows of X, put together; X has at least one row.

    Of a sparse matrix the cells are those that it holds.
    """
    held = getattr(X, "nnz", X.size)
    parts = slices(X.shape[0], -(-held // X.shape[0]), cells, at_least)
    if len(parts) == 1:
        return function(X)
    first = function(X[parts[0]])
    out = np.empty((X.shape[0], *first.shape[1:]), dtype=first.dtype)
    out[parts[0]] = first
    for part in parts[1:]:
        out[part] = function(X[part])
    return out


def copied(X, dtype):
    """X, of one or two axes, in C order and of another dtype."""
    out = np.empty(X.shape, dtype=dtype)
    for part in slices(*X.shape):
        out[part] = X[part]
    return out


def ones(n, dtype):
    """``np.ones``, which takes long where memory is touched for the first time."""
    out = np.empty(n, dtype=dtype)
    for part in slices(n):
        out[part] = 1
    return out


__all__ = ["READ_CELLS", "SLICE_CELLS", "by_slices", "copied", "ones", "slices"]
