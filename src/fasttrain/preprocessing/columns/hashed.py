"""Columns whose texts are counted at hashed places: whole values, or the words of free text."""

from dataclasses import dataclass

import numpy as np

from fasttrain._estimators.registry import enter_record
from fasttrain._tables.texts import hashed_cells, hashed_words

MOST_PLACES = 1 << 20


@dataclass
class HashedColumn:
    """Text as sparse columns.

    Parameters
    ----------
    reason : str
    words : bool
        Whether the words of each cell are counted, or the cell is one.
    n_places : int
    """

    reason: str
    words: bool
    n_places: int

    @property
    def kind(self):
        return "text" if self.words else "hashed"

    def names(self, name):
        return [f"{name}_hash{i}" for i in range(self.n_places)]

    def rows(self, view):
        """(indptr, indices, values) of the rows; one without a value is empty."""
        of_values = self._of_values(view)
        codes = view.distinct[1]
        lengths = np.append(np.diff(of_values[0]), 0)[codes]
        indptr = np.concatenate(([0], np.cumsum(lengths)))
        first = np.append(of_values[0][:-1], 0)[codes]
        at = np.arange(indptr[-1]) + np.repeat(first - indptr[:-1], lengths)
        return indptr, of_values[1][at], of_values[2][at]

    def entries(self, view):
        """How many entries all rows have."""
        return int((np.diff(self._of_values(view)[0]) * view.counts).sum())

    def _of_values(self, view):
        key = ("hashed", self.words, self.n_places)
        if key not in view.read:
            if self.words:
                view.read[key] = hashed_words(view.texts, self.n_places)
            else:
                n = len(view.texts)
                view.read[key] = np.arange(n + 1), hashed_cells(view.texts, self.n_places), np.ones(n)
        return view.read[key]

    def strays(self, view, seen=False):
        return [], 0

    def check(self, require):
        require(type(self.words) is bool, "say whether words are counted")
        require(type(self.n_places) is int and 1 <= self.n_places <= MOST_PLACES, f"have 1 to {MOST_PLACES} places")


enter_record(HashedColumn, "hashed column")
