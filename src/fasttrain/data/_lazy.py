"""Functions of the rows of Dask collections, computed when they are asked for."""

from secrets import token_hex

import numpy as np


def lazy(function, X, name):
    """The Dask array, or data frame where ``function`` gives one, of a function of each block of rows of X.

    What it will be, dtype and width, is told by its answer for rows that are made up here: zeros of X's dtype, or
    Dask's own sample of a data frame's columns.

    Parameters
    ----------
    function : callable
        From a block of rows, with one at least, and its number, None of rows that are made up, to as many rows.
    X : dask.array.Array of shape (n_rows, n_features) or dask.dataframe.DataFrame
    name : str
        Of the tasks.

    Returns
    -------
    dask.array.Array or dask.dataframe.DataFrame
    """
    import dask.array

    if not hasattr(X, "chunks"):
        meta = function(X._meta_nonempty, None)[:0]
        if hasattr(meta, "iloc"):
            return X.map_partitions(_Rows(function, meta), meta=meta)
        rows = dask.delayed(_Rows(function, meta), pure=False)
        shape = (np.nan, *meta.shape[1:])
        return dask.array.concatenate(
            [dask.array.from_delayed(rows(part, (number,)), shape, meta=meta)
             for number, part in enumerate(X.to_delayed())])
    if X.ndim != 2:
        raise ValueError(f"X must have two axes, got {X.ndim}")
    if X.numblocks[1] > 1:
        X = X.rechunk({1: -1})
    rows = np.zeros((1, X.shape[1]), dtype=X.dtype)
    if hasattr(X._meta, "tocsr"):
        from scipy import sparse

        rows = sparse.csr_matrix(rows)
    meta = function(rows, None)[:0]
    whole = _Rows(function, meta)
    if meta.ndim == 1:
        return X.map_blocks(whole, dtype=meta.dtype, drop_axis=1, meta=meta, name=f"{name}-{token_hex(8)}")
    chunks = (X.chunks[0], (meta.shape[1],))
    return X.map_blocks(whole, dtype=meta.dtype, chunks=chunks, meta=meta, name=f"{name}-{token_hex(8)}")


class _Rows:
    """A function of blocks, which may be empty."""

    def __init__(self, function, empty):
        self.function = function
        self.empty = empty

    def __call__(self, block, block_id=None, partition_info=None):
        # by these names Dask tells which block of an array, or partition of a data frame, it is
        number = partition_info and partition_info["number"] if block_id is None else block_id[0]
        return self.function(block, number) if block.shape[0] else self.empty
