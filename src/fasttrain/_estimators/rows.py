"""Rows of a checked matrix that stays where it is, and how data reach the engine."""

import numpy as np

from fasttrain.training import feed


class RowsOf:
    """Some rows of a checked matrix, dense or CSR, that stays where it is: what a training reads instead of a copy.

    Parameters
    ----------
    matrix : array or CSR matrix
        As :func:`fasttrain._core.checks.check_rows` leaves it, finite.
    numbers : integer array of shape (n_rows,)
    """

    def __init__(self, matrix, numbers):
        self.matrix = matrix
        self.numbers = np.ascontiguousarray(numbers, dtype=np.intp)
        self.shape = (len(self.numbers), matrix.shape[1])
        self.dtype = matrix.dtype

    def __len__(self):
        return len(self.numbers)

    def among(self, positions):
        """Some of these rows."""
        return RowsOf(self.matrix, self.numbers[positions])

    def copied(self):
        """A matrix of these rows alone."""
        return self.matrix[self.numbers]

    def spread(self, values):
        """Values of these rows, one or several each, at their places among those of all rows of the matrix."""
        if values is None:
            return None
        out = np.zeros((self.matrix.shape[0], *values.shape[1:]), dtype=values.dtype)
        out[self.numbers] = values
        return out


def bind(network, X, target, sample_weight):
    """Give the engine its data: X dense, or CSR as :func:`fasttrain._core.checks.check_rows` leaves it, or rows of one.

    Rows of one are trained on in orders of their numbers.
    """
    if isinstance(X, RowsOf):
        X, target, sample_weight = X.matrix, X.spread(target), X.spread(sample_weight)
    feed.bind(network, X, target, sample_weight)
