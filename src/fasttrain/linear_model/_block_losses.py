"""Mean losses of linear predictors over the blocks of a source, minimized by SciPy's L-BFGS-B.

An evaluation reads every block once. What a block gives is a function of the unknowns and the block alone, so it may be
computed where the block lies; sums are added in pairs by the blocks' numbers.
"""

from dataclasses import dataclass

import numpy as np

from fasttrain._kernels.linear import LinearSums
from fasttrain._kernels.threads import get_num_threads
from fasttrain.linear_model._lbfgs_b import minimize_lbfgs
from fasttrain.linear_model._row_sums import rows_of_kernel


class SumsAt:
    """Of a block ``(X, target, weights or None)``: the sum of the weights, of the losses and of their gradients.

    Parameters
    ----------
    x : float64 array of shape (n_models, size)
        Unknowns of each model.
    loss : fasttrain.losses.Loss
    n_outputs : int
        Of a model.
    fit_intercept : bool
    """

    def __init__(self, x, loss, n_outputs, fit_intercept):
        self.x, self.loss, self.n_outputs, self.fit_intercept = x, loss, n_outputs, fit_intercept

    def __call__(self, block):
        X, target, weights = block
        if isinstance(X, np.ndarray):
            X = np.ascontiguousarray(X)
        n_models, size = self.x.shape
        shared = weights is None or weights.ndim == 1
        targets = target[np.newaxis] if target.ndim == 1 else target[:, np.newaxis]
        sums = LinearSums(
            rows_of_kernel(X), self.loss.name, self.loss.parameter, self.n_outputs, self.fit_intercept,
            [(y, weights if shared else weights[k], None) for k, y in enumerate(targets)])
        found = np.empty(1 + n_models * (1 + size))
        found[0] = X.shape[0] if weights is None else weights.sum(dtype=np.float64)
        gradients = np.empty((n_models, size))
        sums.evaluate(self.x, found[1:1 + n_models], gradients, None, get_num_threads())
        found[1 + n_models:] = gradients.ravel()
        return found


@dataclass
class BlockLosses:
    """``scale(total weight) sum_i s_i loss_i + sum_j p_j x_j^2 / 2`` of one model or several, added up, by unknowns x.

    Attributes
    ----------
    blocks : PreparedBlocks
        Whose targets are of shape (n_models, n_rows), C-contiguous, or numbers of classes of shape (n_rows,), of X's
        dtype; weights of shape (n_rows,) or (n_models, n_rows).
    loss : fasttrain.losses.Loss
    shape : tuple of int
        Of the unknowns, (n_models, n_outputs, n_features + fit_intercept).
    fit_intercept : bool
    penalties : float64 array
        p, which goes with :attr:`shape`.
    scale : callable, optional
        None is one over the total weight.
    """

    blocks: object
    loss: object
    shape: tuple
    fit_intercept: bool
    penalties: np.ndarray
    scale: object = None

    def __call__(self, x):
        """(value, gradient of shape (size,)) at the unknowns x of shape (size,)."""
        n_models, n_outputs, _ = self.shape
        found = self.blocks.sum_of(SumsAt(
            np.ascontiguousarray(x, dtype=np.float64).reshape(n_models, -1), self.loss, n_outputs, self.fit_intercept))
        total = found[0]
        if not total > 0:
            raise ValueError("sample_weight must have at least one number > 0, got zeros only")
        scale = 1.0 / total if self.scale is None else self.scale(total)
        x = x.reshape(self.shape)
        gradient = scale * found[1 + n_models:] + (self.penalties * x).ravel()
        return scale * found[1:1 + n_models].sum() + 0.5 * float((self.penalties * x * x).sum()), gradient

    def minimize(self, start, **options):
        """:func:`minimize_lbfgs` of this."""
        return minimize_lbfgs(self, start, self.shape, **options)


__all__ = ["BlockLosses"]
