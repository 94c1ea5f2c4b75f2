"""Least squares over the blocks of a source, by the sums of their rows."""

from dataclasses import dataclass

import numpy as np

from fasttrain._estimators.blocks import CheckedBlocks, PreparedBlocks
from fasttrain.linear_model._sums import WORST_ORIGIN, WORST_SPARSE, NormalEquations, origin_of, sums_of


@dataclass
class BlockEquations:
    """What blocks leave to be solved.

    Attributes
    ----------
    equations : NormalEquations
    dtype : dtype
        Of X.
    flat : bool
        Whether y has one axis.
    n_rows : int
    """

    equations: NormalEquations
    dtype: np.dtype
    flat: bool
    n_rows: int


def blocks_of_numbers(estimator, source):
    """The blocks of a source whose targets are numbers, as they are."""
    checked = CheckedBlocks(
        estimator, source, [np.float64, np.float32], True, keep_column=True, y_numeric=True, accept_sparse="csr")
    return PreparedBlocks(checked, lambda y, weights: (y, weights))


def equations_of_blocks(estimator, blocks):
    """:class:`BlockEquations` of all rows, from one pass; from two where the first block's means are far from all."""
    checked = blocks.checked
    X, y, weights = blocks.load(checked.first)
    is_dense = isinstance(X, np.ndarray)
    p = X.shape[1]
    centred = estimator.fit_intercept
    origin = origin_of(X, weights) if centred and is_dense else np.zeros(p)
    targets = _targets(y, X.dtype)
    y_origin = targets.mean(axis=0) if centred else np.zeros(targets.shape[1])

    def summed(origin, y_origin):
        dtype = checked.dtype

        def sums(block):
            X, y, weights = block
            targets = _targets(y, dtype) - y_origin
            weights = None if weights is None else weights.astype(np.float64)
            return sums_of(X, targets, weights, origin, y_origin)

        total = blocks.sum_of(sums)
        if not np.isfinite(total.products).all():
            raise ValueError(
                "X and y must hold numbers whose squares can be summed: scale them, for instance with StandardScaler")
        if not total.products[p, p] > 0:
            raise ValueError("sample_weight must have at least one number > 0, got zeros only")
        return total

    total = summed(origin, y_origin)
    if not centred:
        equations = total.about_zero()
    else:
        equations, cost = total.about_mean()
        if is_dense and not cost <= WORST_ORIGIN:
            equations, _ = summed(equations.x_mean, equations.y_mean).about_mean()
        elif not is_dense and cost > WORST_SPARSE:
            raise ValueError(
                "X must have columns whose means are not far beyond their spread, in sparse blocks of a source, as "
                "they cannot be centred: pass dense blocks")
    return BlockEquations(equations, checked.dtype, y.ndim == 1, len(blocks))


def _targets(y, dtype):
    return y.reshape(len(y), -1).astype(dtype, copy=False).astype(np.float64, order="C")


__all__ = ["BlockEquations", "blocks_of_numbers", "equations_of_blocks"]
