"""Orders of rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from fasttrain._core.types import Array


def permutations(rows, random_state):
    """Orders of which each is new, of so many rows or of rows with these numbers."""
    if isinstance(rows, np.ndarray):
        return lambda: rows[random_state.permutation(len(rows))]
    return lambda: np.ascontiguousarray(random_state.permutation(rows), dtype=np.intp)


class Reshuffling:
    """Orders of rows of which each is a permutation of the last, as scikit-learn's networks take them.

    Parameters
    ----------
    rows : int or intp array
        How many, or their numbers.
    random_state : numpy.random.RandomState
    """

    def __init__(self, rows: int | Array, random_state: np.random.RandomState) -> None:
        self.order: Array = rows if isinstance(rows, np.ndarray) else np.arange(rows, dtype=np.intp)
        self.random_state = random_state

    def __call__(self) -> Array:
        self.order = np.ascontiguousarray(self.order[self.random_state.permutation(len(self.order))])
        return self.order

    def state_dict(self) -> dict[str, Any]:
        """The last order; the random state is not part of it."""
        return {"order": self.order.astype(np.int64)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what :meth:`state_dict` gave."""
        order = state["order"]
        if not np.array_equal(np.sort(order), np.sort(self.order)):
            raise ValueError(f"order must be a permutation of the {len(self.order)} rows of this training")
        self.order = order.astype(np.intp)
