"""Rows for sources of blocks, as arrays and as files."""

import os

import numpy as np
import pandas as pd

RNG = np.random.default_rng(0)
X = RNG.standard_normal((1000, 5))
Y = X @ np.arange(5.0) + 1
W = RNG.random(1000)
NAMES = ["a", "b", "c", "d", "e"]
FRAME = pd.DataFrame(X, columns=NAMES).assign(y=Y, w=W)


def put_together(source):
    """X, y and weights of all blocks."""
    parts = list(zip(*source))
    return [None if values[0] is None else np.concatenate(values) for values in parts]


def parquet(folder, frame=FRAME, name="part-0.parquet", rows=100):
    path = os.path.join(folder, name)
    frame.to_parquet(path, row_group_size=rows, index=False)
    return path
