"""Rows, their blocks as Dask collections, what of two models is compared by the byte, and what goes to workers.

Those find this module, and none of the tests' where the suite runs from elsewhere.
"""

import os
import signal
from itertools import pairwise

import dask.array as da
import numpy as np

import fasttrain

RNG = np.random.default_rng(0)
X = RNG.normal(size=(600, 6)) * [1, 2, 3, 1, 1, 10] + [0, 0, 5, 0, 0, 0]
RAW = X @ [1.0, -1.0, 0.5, 0.0, 2.0, 0.1] + RNG.normal(size=600)
Y = RAW - RAW.mean()
LABELS = np.select([Y < -1, Y < 1], ["low", "middle"], "high")
WEIGHTS = RNG.uniform(0.5, 2.0, 600)
ROWS = (130, 130, 130, 130, 80)
STARTS = np.cumsum((0, *ROWS))


def parts(array):
    return [array[first:last] for first, last in pairwise(STARTS)]


def dask_of(array, rows=ROWS):
    return da.from_array(array, chunks=(rows, *array.shape[1:]))


def arrays_of(model):
    """All fitted arrays of a model, by name."""
    found = {}
    for name, value in vars(model).items():
        if name.endswith("_") and not name.startswith("_"):
            values = value if isinstance(value, list) else [value]
            found[name] = [np.asarray(v).tobytes() for v in values if np.asarray(v).dtype.kind in "fiub"]
    return found


class Deadly:
    """A metric whose worker dies of one of its calls, which are counted by files."""

    def __init__(self, folder, call):
        self.folder, self.call = str(folder), call

    def __call__(self, estimator, X, y):
        for number in range(1000):
            try:
                os.close(os.open(os.path.join(self.folder, str(number)), os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                continue
            if number == self.call:
                os.kill(os.getpid(), signal.SIGKILL)
            break
        return float((estimator.predict(X) == y).mean())


def threads_here(_):
    """(the library's threads, the worker's)."""
    from distributed import get_worker

    return fasttrain.get_num_threads(), get_worker().state.nthreads
