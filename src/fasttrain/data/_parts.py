"""Which rows of each block are held out, and which are left."""

from typing import NamedTuple

import numpy as np


class Share(NamedTuple):
    """A share of the rows of each block, drawn by a seed, or the others.

    Attributes
    ----------
    share : float
    seed : int
    held : bool
        Whether the share is meant, or the rows that are left.
    """

    share: float
    seed: int
    held: bool

    def rows(self, n_rows: int, i: int) -> np.ndarray:
        """Numbers of the rows of block ``i``, in their order; a matter of the seed and the block."""
        return _drawn(n_rows, i, self.seed, *_span(n_rows, 0.0, self.share), self.held)

    def count(self, n_rows: int, i: int) -> int:
        """How many rows of block ``i``."""
        return _count(n_rows, *_span(n_rows, 0.0, self.share), self.held)


class Fold(NamedTuple):
    """One of ``n`` folds of the rows of each block, drawn by a seed, or the others.

    Attributes
    ----------
    k, n : int
        Which fold, from 0, of how many.
    seed : int
    held : bool
        Whether the fold is meant, or the rows that are left.
    """

    k: int
    n: int
    seed: int
    held: bool

    def rows(self, n_rows: int, i: int) -> np.ndarray:
        """Numbers of the rows of block ``i``, in their order; a matter of the seed and the block."""
        return _drawn(n_rows, i, self.seed, *self._span(n_rows, i), self.held)

    def count(self, n_rows: int, i: int) -> int:
        """How many rows of block ``i``."""
        return _count(n_rows, *self._span(n_rows, i), self.held)

    def _span(self, n_rows, i):
        # blocks of few rows do not all give them to the same folds: of n blocks each turns the folds by another number
        group, number = divmod(i, self.n)
        place = (self.k + np.random.default_rng([self.seed, self.n, group]).permutation(self.n)[number]) % self.n
        return _span(n_rows, place / self.n, (place + 1) / self.n)


def _span(n_rows, first, last):
    return int(first * n_rows + 0.5), int(last * n_rows + 0.5)


def _count(n_rows, start, stop, held):
    return stop - start if held else n_rows - (stop - start)


def _drawn(n_rows, i, seed, start, stop, held):
    order = np.random.default_rng([seed, i]).permutation(n_rows)
    return np.sort(order[start:stop] if held else np.concatenate([order[:start], order[stop:]]))
