"""The few of Keras's utilities that scripts with dense networks use."""

from __future__ import annotations

import random
from typing import Any
from collections.abc import Callable

import numpy as np

from fasttrain._core.checks import check_integer, check_real, real_array
from fasttrain._core.locks import ModuleLock
from fasttrain._core.public import publish
from fasttrain._core.types import ArrayLike
from fasttrain.keras._absent import absent
from fasttrain.keras._custom import (
    CustomObjectScope, custom_object_scope, get_custom_objects, get_registered_name, get_registered_object,
    register_keras_serializable,
)

__all__ = [
    "CustomObjectScope", "PyDataset", "Sequence", "clear_session", "custom_object_scope",
    "disable_interactive_logging", "enable_interactive_logging", "get_custom_objects", "get_registered_name",
    "get_registered_object", "normalize", "pack_x_y_sample_weight", "register_keras_serializable", "set_random_seed",
    "split_dataset", "to_categorical", "unpack_x_y_sample_weight",
]

_generator = np.random.default_rng()


def set_random_seed(seed: int) -> None:
    """Seed Python's, NumPy's and fasttrain's global generators; the last draws initial weights, orders and masks.

    Parameters
    ----------
    seed : int
        At least 0.
    """
    global _generator
    seed = check_integer(seed, "seed", low=0)
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    _generator = np.random.default_rng(seed)


def generator():
    """The global generator of initial weights, orders of rows and masks."""
    return _generator


def to_categorical(x: ArrayLike, num_classes: int | None = None) -> Any:
    """One-hot rows of class codes.

    Parameters
    ----------
    x : array of integers from 0 on
    num_classes : int, default=None
        One more than the greatest code when None.

    Returns
    -------
    float64 array of shape (\\*x.shape, num_classes)
        Without the last axis of ``x`` when that has length 1.

    Examples
    --------
    >>> from fasttrain.keras.utils import to_categorical
    >>> to_categorical([0, 2])
    array([[1., 0., 0.],
           [0., 0., 1.]])
    """
    x = real_array(x, "x")
    if x.ndim > 1 and x.shape[-1] == 1:
        x = x.reshape(x.shape[:-1])
    codes = x.astype(np.int64)
    if x.size == 0 or (codes != x).any() or codes.min() < 0:
        raise ValueError("x must hold class codes 0, 1, 2 ..., at least one")
    k = int(codes.max()) + 1 if num_classes is None else check_integer(num_classes, "num_classes", low=1)
    if codes.max() >= k:
        raise ValueError(f"x must hold class codes below num_classes={k}, got {codes.max()}")
    return np.eye(k)[codes]


class PyDataset:
    """Base of data that come batch by batch, by number.

    A class of one's own has ``__len__``, the number of batches, and ``__getitem__(index)``, which gives (x, y) or
    (x, y, sample_weight); ``on_epoch_end`` is called after each epoch.

    Parameters
    ----------
    workers, use_multiprocessing, max_queue_size
        Not used: batches are asked for one after the other.
    """

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10) -> None:
        self.workers, self.use_multiprocessing, self.max_queue_size = workers, use_multiprocessing, max_queue_size

    @property
    def num_batches(self) -> int:
        return len(self)

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} must have __len__, the number of batches")

    def __getitem__(self, index: int | None) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must have __getitem__, which gives a batch")

    def on_epoch_end(self) -> None:
        """Called after each epoch."""


Sequence: type[PyDataset] = PyDataset


def unpack_x_y_sample_weight(data: Any) -> Any:
    """x, y and weights of a batch; None for what it lacks."""
    if not isinstance(data, (tuple, list)):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise ValueError(f"data must be x, (x, y) or (x, y, sample_weight), got {len(data)} parts")
    return (*data, None, None)[:3]


def pack_x_y_sample_weight(x: Any, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None) -> Any:
    """A batch of these, as :func:`unpack_x_y_sample_weight` takes it."""
    if y is None:
        return x
    return (x, y) if sample_weight is None else (x, y, sample_weight)


def normalize(x: Any, axis: Any = -1, order: int = 2) -> Any:
    """Rows of ``x`` by their norms of an order; rows of zeros stay."""
    x = real_array(x, "x")
    length = np.linalg.norm(x, order, axis, keepdims=True)
    return x / np.where(length == 0, 1, length)


def split_dataset(dataset: Any, left_size: int | float | None = None, right_size: int | float | None = None,
                  shuffle: bool = False, seed: int | None = None) -> Any:
    """Two parts of arrays.

    Parameters
    ----------
    dataset : array, or tuple of arrays of one length
    left_size, right_size : int or float, default=None
        Rows, or their share; one may be None, the rest.
    shuffle : bool, default=False
    seed : int, default=None

    Returns
    -------
    (array or tuple, array or tuple)
    """
    arrays = [np.asarray(one) for one in (dataset if isinstance(dataset, (tuple, list)) else (dataset,))]
    n = len(arrays[0])
    if left_size is None and right_size is None:
        raise ValueError("one of left_size and right_size must be given")

    def rows(size, argument):
        if isinstance(size, float):
            return round(check_real(size, argument, low=0, high=1) * n)
        return check_integer(size, argument, low=0)

    left = n - rows(right_size, "right_size") if left_size is None else rows(left_size, "left_size")
    right = n - left if right_size is None else rows(right_size, "right_size")
    if left < 0 or left + right > n:
        raise ValueError(f"left_size and right_size must fit into {n} rows, got {left_size!r} and {right_size!r}")
    order = np.arange(n) if not shuffle else np.random.default_rng(seed).permutation(n)
    parts = [tuple(a[rows] for a in arrays) for rows in (order[:left], order[left:left + right])]
    return tuple(parts) if isinstance(dataset, (tuple, list)) else (parts[0][0], parts[1][0])


def clear_session(free_memory: bool = True) -> None:
    """Nothing but that layers' automatic names begin anew: models hold no common state."""
    with _counters_lock():
        _counters.clear()


def disable_interactive_logging() -> None:
    """Nothing: ``verbose`` says what is printed."""


enable_interactive_logging: Callable[..., Any] = disable_interactive_logging

# of the layers' automatic names
_counters: Any = {}
_counters_lock = ModuleLock()


def next_number(kind):
    """How many layers of a kind have been named automatically before."""
    with _counters_lock():
        number = _counters.get(kind, 0)
        _counters[kind] = number + 1
    return number


__getattr__ = absent(__name__, __all__)

publish(globals())
