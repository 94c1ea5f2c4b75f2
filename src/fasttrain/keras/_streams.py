"""Data that come batch by batch: generators, Keras's PyDataset and Sequence, and anything else that yields (x, y)."""

from itertools import chain, islice

import numpy as np

from fasttrain._core.checks import check_integer
from fasttrain.keras.utils import unpack_x_y_sample_weight

# Batches are put together to pieces of at most so many, and about so many bytes of rows, that one compiled call takes.
MOST_BATCHES = 64
PIECE_BYTES = 1 << 23


def is_stream(x):
    """Whether x is no array-like but gives batches."""
    if x is None or isinstance(x, (str, bytes, dict, list, tuple)) or hasattr(x, "__array__") or hasattr(x, "toarray"):
        return False
    return hasattr(x, "__next__") or _is_indexed(x) or hasattr(x, "__iter__")


def _is_indexed(x):
    return hasattr(x, "__getitem__") and hasattr(x, "__len__") and not hasattr(x, "__next__")


class Stream:
    """Batches, epoch by epoch.

    Parameters
    ----------
    source : iterator, iterable, or object with ``__len__`` and ``__getitem__`` of batches
    steps : int or None
        Batches of an epoch; None takes all that there are.
    shuffle : numpy.random.Generator or None
        Draws an order of the batches each epoch, where they can be asked for by number.
    argument : str
        What messages call ``steps``.
    """

    def __init__(self, source, steps, shuffle=None, argument="steps_per_epoch"):
        self.source = source
        self.steps = check_integer(steps, argument, low=1, optional=True)
        self.shuffle = shuffle
        self.indexed = _is_indexed(source)
        if self.steps is None and hasattr(source, "__len__"):
            self.steps = len(source)
        self._left, self._held = None, []
        self.ran_out = False

    def first(self):
        """A batch, to see the shape of its rows; the first epoch gives it again."""
        if self.indexed:
            return unpack_x_y_sample_weight(self.source[0])
        for batch in self.source:
            if hasattr(self.source, "__next__"):
                self._held = [batch]
            return unpack_x_y_sample_weight(batch)
        raise ValueError("x must yield a batch at least, got none")

    def epoch(self):
        """The batches of the next epoch, each (x, y, weights)."""
        if self.indexed:
            count = len(self.source)
            order = np.arange(count) if self.shuffle is None else self.shuffle.permutation(count)
            for number in islice(order, self.steps):
                yield unpack_x_y_sample_weight(self.source[int(number)])
            if hasattr(self.source, "on_epoch_end"):
                self.source.on_epoch_end()
            return
        # an iterator goes on where it stopped; what can be iterated anew begins anew where no steps were asked for
        if self._left is None or self.steps is None or hasattr(self.source, "__len__"):
            self._left = iter(self.source)
        if self._held:
            self._left, self._held = chain(self._held, self._left), []
        found = 0
        for batch in islice(self._left, self.steps):
            found += 1
            yield unpack_x_y_sample_weight(batch)
        self.ran_out = self.steps is not None and found < self.steps


def joined(batches):
    """Batches as one x, y and weights; y and weights None where all lack them."""
    columns = list(zip(*batches))
    if not columns:
        raise ValueError("x must yield a batch at least, got none")
    return [None if column[0] is None else _stacked(column) for column in columns]


def _stacked(parts):
    return np.concatenate([part.toarray() if hasattr(part, "toarray") else np.asarray(part) for part in parts])


def pieces(batches):
    """Batches of one size put together, the last of them perhaps smaller: yields (x, y, weights, batch size)."""
    held, size, used = [], 0, 0

    def out():
        return (*joined(held), size)

    for batch in batches:
        rows = batch[0].shape[0] if hasattr(batch[0], "shape") else len(batch[0])
        if rows == 0:
            continue
        if held and rows > size:
            yield out()
            held, used = [], 0
        if not held:
            size = rows
        held.append(batch)
        used += getattr(batch[0], "nbytes", 0)
        if rows < size or len(held) >= MOST_BATCHES or used >= PIECE_BYTES:
            yield out()
            held, used = [], 0
    if held:
        yield out()
