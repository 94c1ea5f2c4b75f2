"""Orders of rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fasttrain._core.types import Array
from fasttrain._kernels import orders as _orders

# To fetch the state of a generator and put it back takes as long as the kernel saves on so many rows, to fetch it alone
# as long as on half of them.
_FEW = 10_000
_FEW_ALONE = 5_000
# Rows that a word of 32 bits does not choose among.
_TOO_MANY = 1 << 32


def shuffle(order, random_state):
    """Shuffle an intp array in place: the draws and the result of ``random_state.shuffle(order)``, sooner.

    Parameters
    ----------
    order : intp array of shape (n,), C-contiguous
    random_state : numpy.random.RandomState or Generator
        A RandomState on the Mersenne Twister, which is its default, is drawn from by the kernel.
    """
    if isinstance(random_state, np.random.RandomState) and _FEW < len(order) < _TOO_MANY:
        state = random_state.get_state(legacy=False)
        if state["bit_generator"] == "MT19937":
            twister = state["state"]
            twister["pos"] = _orders.shuffle(order, twister["key"], twister["pos"])
            random_state.set_state(state)
            return
    random_state.shuffle(order)


def _shuffler(random_state, alone):
    """:func:`shuffle` by this generator; ``alone`` says that nobody else draws from it or looks at it from now on.

    Its words are then fetched once, and it is left where it stood.
    """
    if not alone:
        return lambda order: shuffle(order, random_state)
    twister, n_rows = None, 0

    def shuffle_alone(order):
        nonlocal twister, n_rows
        n_rows += len(order)
        if twister is None and n_rows > _FEW_ALONE and len(order) < _TOO_MANY:
            twister = random_state.get_state(legacy=False)["state"]
        if twister is None:
            random_state.shuffle(order)
        else:
            twister["pos"] = _orders.shuffle(order, twister["key"], twister["pos"])

    return shuffle_alone


def permutations(rows: int | Array, random_state: np.random.RandomState | np.random.Generator,
                 alone: bool = False) -> Callable[[], Array]:
    """Orders of which each is new, of so many rows or of rows with these numbers.

    ``alone`` is that of :class:`Reshuffling`.
    """
    if not isinstance(random_state, np.random.RandomState):
        # a Generator draws a permutation otherwise than it shuffles
        if isinstance(rows, np.ndarray):
            return lambda: rows[random_state.permutation(len(rows))]
        return lambda: np.ascontiguousarray(random_state.permutation(rows), dtype=np.intp)

    shuffle_next = _shuffler(random_state, alone)

    def draw():
        order = rows.copy() if isinstance(rows, np.ndarray) else np.arange(rows, dtype=np.intp)
        shuffle_next(order)
        return order

    return draw


class Reshuffling:
    """Orders of rows of which each is a permutation of the last, as scikit-learn's networks take them.

    Parameters
    ----------
    rows : int or intp array
        How many, or their numbers.
    random_state : numpy.random.RandomState
    alone : bool
        Whether the generator, a Mersenne Twister, is drawn from and looked at by nobody else any more: it may then be
        left where it stands.
    """

    def __init__(self, rows: int | Array, random_state: np.random.RandomState, alone: bool = False) -> None:
        self.order: Array = (
            np.array(rows, dtype=np.intp) if isinstance(rows, np.ndarray) else np.arange(rows, dtype=np.intp))
        self._shuffle = _shuffler(random_state, alone)

    def __call__(self) -> Array:
        """The next order, in the place of the last one."""
        self._shuffle(self.order)
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
