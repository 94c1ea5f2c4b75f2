"""Generalized linear models over the blocks of a source."""

import numpy as np

from fasttrain._estimators.blocks import CheckedBlocks, PreparedBlocks
from fasttrain._estimators.fitted import raise_lost, set_fitted
from fasttrain._estimators.following import tasks_of, told_iterations
from fasttrain.data._use import detached
from fasttrain.linear_model._block_losses import BlockLosses
from fasttrain.linear_model._row_sums import diverged, iterations_told


def fit_to_blocks(model, source):
    """Fit a GeneralizedLinear to a source of several blocks, by L-BFGS on sums over them."""
    model._check_parameters()
    loss = model._loss()
    checked = CheckedBlocks(
        model, source, [np.float64, np.float32], True, one_output=True, y_numeric=True, accept_sparse="csr")
    dtype, detached_model = checked.dtype, detached(model)

    def code(y, weights):
        return detached_model._check_y(loss, y, dtype).reshape(1, -1), weights

    blocks = PreparedBlocks(checked, code)
    total, mean = blocks.sum_of(_total_and_sum)
    if not total > 0:
        raise ValueError("sample_weight must have at least one number > 0, got zeros only")
    mean /= total
    start = model._start_at(loss, checked.shape[1], dtype, mean)
    fit_intercept = bool(model.fit_intercept)
    penalties = np.full((1, checked.shape[1] + fit_intercept), float(model.alpha))
    if fit_intercept:
        penalties[:, -1] = 0.0
    objective = BlockLosses(blocks, loss, (1, *penalties.shape), fit_intercept, penalties)
    with told_iterations(tasks_of(model), start, lambda w: model._parameters_of(w, dtype)) as tell:
        found = objective.minimize(
            start, max_iter=int(model.max_iter), tol=float(model.tol), tell=tell)
    if found.reason == "not_finite":
        raise diverged(found.n_iter, found.value)
    if model.verbose:
        print(f"lbfgs: {found.n_iter} iterations, largest element of the gradient {found.gradient:.3g}")
    set_fitted(model, model._parameters_of(found.x, dtype), {"n_iter_": found.n_iter})
    raise_lost(found)
    iterations_told(found.n_iter, model.max_iter, found.failure)
    return model


def _total_and_sum(block):
    """Sum of the weights, and of the weighted targets."""
    _, targets, weights = block
    y = targets[0].astype(np.float64)
    return np.array([len(y), y.sum()] if weights is None else [weights.sum(dtype=np.float64), weights @ y])


__all__ = ["fit_to_blocks"]
