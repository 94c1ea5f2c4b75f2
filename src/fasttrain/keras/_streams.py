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


def _batch(given):
    """The x, y and weights of a batch, as arrays of their own: who yields it may fill the same ones again."""
    x, *others = (None if part is None else _own(part) for part in unpack_x_y_sample_weight(given))
    if x is None or x.ndim == 0:
        raise ValueError(f"x of a batch must be an array of rows, got {str(x)[:80]}")
    for name, part in zip(("y", "sample_weight"), others):
        if part is not None and (part.ndim == 0 or len(part) != len(x)):
            raise ValueError(f"{name} of a batch must have {len(x)} rows as x has, got shape {part.shape}")
    return x, *others


def _own(part):
    if hasattr(part, "toarray"):
        return part.toarray()
    array = np.asarray(part)
    return array if isinstance(part, (list, tuple)) else array.copy()


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
                yield _batch(self.source[int(number)])
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
            yield _batch(batch)
        self.ran_out = self.steps is not None and found < self.steps

    def goes_on(self):
        """Whether another epoch has a batch, which of an iterator is taken here and given by that epoch."""
        if self.ran_out or self.indexed or not (self.steps is not None or hasattr(self.source, "__next__")):
            return not self.ran_out
        if hasattr(self.source, "__len__"):
            return True
        self._held = list(islice(self._left, 1))
        return bool(self._held)


def joined(batches):
    """Batches as one x, y and weights; y and weights None where all lack them."""
    batches = list(batches)
    if not batches:
        raise ValueError("x must yield a batch at least, got none")
    return [_stacked(name, parts) for name, parts in zip(("x", "y", "sample_weight"), zip(*batches))]


def _row_shape(part):
    return None if part is None else part.shape[1:]


def _stacked(name, parts):
    shape = _row_shape(parts[0])
    for part in parts:
        if _row_shape(part) != shape:
            raise ValueError(
                f"{name} must have rows of one shape in all batches, got {shape} and {_row_shape(part)} (None where a "
                "batch has none)")
    if shape is None or len(parts) == 1:
        return parts[0]
    return np.concatenate(parts)


def pieces(batches):
    """Batches of one size put together, the last of them perhaps smaller: yields (x, y, weights, batch size).

    Those of one piece have the same parts, of rows of the same shapes.
    """
    held, size, used, shapes = [], 0, 0, None

    def out():
        return (*joined(held), size)

    for batch in batches:
        rows = len(batch[0])
        if rows == 0:
            continue
        if held and (rows > size or [*map(_row_shape, batch)] != shapes):
            yield out()
            held, used = [], 0
        if not held:
            size, shapes = rows, [*map(_row_shape, batch)]
        held.append(batch)
        used += batch[0].nbytes
        if rows < size or len(held) >= MOST_BATCHES or used >= PIECE_BYTES:
            yield out()
            held, used = [], 0
    if held:
        yield out()
