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
        return _between(n_rows, i, self.seed, 0.0, self.share, self.held)


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
        # blocks of few rows do not all give them to the same folds: of n blocks each turns the folds by another number
        group, number = divmod(i, self.n)
        place = (self.k + np.random.default_rng([self.seed, self.n, group]).permutation(self.n)[number]) % self.n
        return _between(n_rows, i, self.seed, place / self.n, (place + 1) / self.n, self.held)


def _between(n_rows, i, seed, first, last, held):
    order = np.random.default_rng([seed, i]).permutation(n_rows)
    start, stop = int(first * n_rows + 0.5), int(last * n_rows + 0.5)
    return np.sort(order[start:stop] if held else np.concatenate([order[:start], order[stop:]]))
