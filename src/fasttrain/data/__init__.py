"""Where rows come from when they are not one array: sources of blocks, for data larger than memory.

A source is a :class:`Blocks`: so many blocks, each of which gives ``(X, y, sample_weight)`` whenever it is asked for.
:func:`from_arrays`, :func:`from_npy`, :func:`from_parquet`, :func:`from_csv` and :func:`from_callable` make one; an
estimator takes it in the place of X. What an estimator learns depends on the blocks and its parameters, not on how
many threads there are or how far is read ahead.

Examples
--------
>>> import numpy as np
>>> from fasttrain.data import from_arrays
>>> from fasttrain.linear_model import LinearRegressor
>>> X = np.arange(40.0).reshape(20, 2) % 7
>>> source = from_arrays(X, X @ [1.0, 2.0] + 3.0, block_rows=8)
>>> source.n_blocks, source.n_rows, source.where(1, row=3)
(3, 20, 'block 1 of the arrays, row 3 (row 11 of them)')
>>> LinearRegressor(penalty=None).fit(source).predict([[0.0, 0.1]]).round(2)
array([3.2])
"""

from fasttrain._core.public import publish
from fasttrain.data._arrays import from_arrays, from_npy
from fasttrain.data._blocks import Block, Blocks, BlocksLost, MappedBlocks, PartBlocks, Replicas, TargetBlocks
from fasttrain.data._callable import from_callable
from fasttrain.data._csv import from_csv
from fasttrain.data._dask import from_dask
from fasttrain.data._parquet import from_parquet
from fasttrain.data._parts import Fold, Share

__all__ = [
    "Block", "Blocks", "BlocksLost", "Fold", "MappedBlocks", "PartBlocks", "Replicas", "Share", "TargetBlocks",
    "from_arrays", "from_callable", "from_csv", "from_dask", "from_npy", "from_parquet",
]

publish(globals())
