"""Quantiles of columns in parts, from a summary of each part."""

import numpy as np

from fasttrain._core.checks import raise_for_status
from fasttrain._kernels import quantiles
from fasttrain._kernels.threads import get_num_threads
from fasttrain._tables.moments import kernel_view

# Points that stand for the values of a part, and parts whose points are kept before they are summed up in turn.
POINTS = 1024
PARTS = 32


class QuantileSketch:
    """Values of columns, of each part so many points of equal weight; with ``+`` those of both parts.

    A part of n values becomes its quantiles at (i + 1/2) / POINTS, so the rank of any value is told to n / (2 POINTS)
    and ranks over all parts to 1 / (2 POINTS) of all rows; the same again each time that PARTS of them are summed up.
    For up to PARTS parts that is 0.05 % of the rows, for up to PARTS^2 0.1 %. Parts of at most POINTS values are kept
    as they are. NaN is skipped.

    Parameters
    ----------
    points, weights : lists of arrays
        Of each column the points in order, and what each stands for.
    n_parts : int
    """

    def __init__(self, points, weights, n_parts=1):
        self.points = points
        self.weights = weights
        self.n_parts = n_parts

    @classmethod
    def of(cls, X):
        """The sketch of the columns of a float matrix."""
        present = np.count_nonzero(~np.isnan(X), axis=0)
        if len(X) <= POINTS:
            columns = [np.sort(column[~np.isnan(column)]).astype(np.float64) for column in X.T]
            return cls(columns, [np.ones(len(column)) for column in columns])
        fractions = (np.arange(POINTS) + 0.5) / POINTS
        out = np.empty((POINTS, X.shape[1]))
        raise_for_status(quantiles.quantiles(kernel_view(X), fractions, out, get_num_threads()))
        return cls(
            [column if n else np.empty(0) for column, n in zip(np.ascontiguousarray(out.T), present)],
            [np.full(POINTS, n / POINTS) if n else np.empty(0) for n in present])

    def __add__(self, other):
        points, weights = [], []
        for pair, weight in zip(zip(self.points, other.points), zip(self.weights, other.weights)):
            joined = np.concatenate(pair)
            order = np.argsort(joined, kind="stable")
            points.append(joined[order])
            weights.append(np.concatenate(weight)[order])
        found = QuantileSketch(points, weights, self.n_parts + other.n_parts)
        return found._summed_up() if found.n_parts > PARTS else found

    def _summed_up(self):
        fractions = (np.arange(POINTS) + 0.5) / POINTS
        points = [
            self._quantile(k, fractions) if len(self.points[k]) > POINTS else self.points[k]
            for k in range(len(self.points))
        ]
        weights = [
            np.full(POINTS, weight.sum() / POINTS) if len(weight) > POINTS else weight for weight in self.weights
        ]
        return QuantileSketch(points, weights)

    def _quantile(self, k, fractions):
        points, weights = self.points[k], self.weights[k]
        if not len(points):
            return np.full(len(fractions), np.nan)
        # where each point has as much weight before it as after, as the middle of its own
        ranks = np.cumsum(weights) - weights / 2
        if (weights == 1.0).all():
            # whole values: the linear rule, as of rows in one array
            return np.interp(fractions * (len(points) - 1), np.arange(len(points)), points)
        return np.interp(fractions * weights.sum(), ranks, points)

    def with_filled(self, counts, values):
        """The same with so many more cells of one value in each column."""
        return self + QuantileSketch(
            [np.array([value]) if n else np.empty(0) for n, value in zip(counts, values)],
            [np.array([float(n)]) if n else np.empty(0) for n in counts], 0)

    def quantiles(self, fractions):
        """Quantiles of each column, (n_fractions, n_columns) of float64; NaN where a column holds nothing."""
        fractions = np.asarray(fractions, dtype=np.float64)
        return np.stack([self._quantile(k, fractions) for k in range(len(self.points))], axis=1)
