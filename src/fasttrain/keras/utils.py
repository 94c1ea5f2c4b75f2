"""The few of Keras's utilities that scripts with dense networks use."""

import random

import numpy as np

from fasttrain._core.checks import check_integer, real_array

__all__ = ["set_random_seed", "to_categorical"]

_generator = np.random.default_rng()


def set_random_seed(seed):
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


def to_categorical(x, num_classes=None):
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
