"""LinearSVC and LinearSVR with squared losses over the blocks of a source."""

from functools import partial

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fasttrain import losses
from fasttrain._core.warned import warn
from fasttrain._estimators.blocks import CheckedBlocks, PreparedBlocks
from fasttrain._estimators.fitted import raise_lost, set_fitted
from fasttrain._estimators.following import tasks_of, told_iterations
from fasttrain.linear_model._block_losses import BlockLosses
from fasttrain.linear_model._classes_of_blocks import ClassesOfBlocks
from fasttrain.training.results import DivergenceError

# Of the gradient at zeros over the total weight, beside tol: as far below it as the Newton steps of an array end.
WELL_BELOW = 1e-2


def fit_to_blocks(model, source):
    """Fit a LinearSVC to a source of several blocks: its classes' models together, by L-BFGS on sums over blocks."""
    model._check_parameters()
    if model.loss != "squared_hinge" or model.penalty != "l2":
        raise ValueError(
            "loss must be 'squared_hinge' and penalty 'l2' for a source of blocks, as the others go over all rows or "
            f"columns again and again, got {model.loss!r} and {model.penalty!r}: SGDClassifier(loss='hinge') and "
            "LinearClassifier(loss='hinge', penalty='l1') take a source")
    found = ClassesOfBlocks(model, source, np.float64)
    classes = found.classes
    binary = len(classes) == 2
    positive = np.arange(1 if binary else 0, len(classes))
    by_class = found.by_class

    def target(codes):
        return np.where(codes == positive[:, np.newaxis], 1.0, -1.0)

    def weigh(codes, weights):
        if by_class is None:
            return weights
        # of more classes than two, a class's own model alone has its factor, as liblinear's
        of_rows = by_class[codes] if binary else np.where(
            codes == positive[:, np.newaxis], by_class[:, np.newaxis], 1.0)
        return np.ascontiguousarray(of_rows if weights is None else of_rows * weights)

    blocks = found.prepared(target, weigh)
    shares = np.maximum(np.minimum(found.counts, len(blocks) - found.counts), 1)[positive] / len(blocks)
    return _fit(model, blocks, losses.SquaredHinge(), shares, {"classes_": classes})


def regress_on_blocks(model, source):
    """Fit a LinearSVR to a source of several blocks, by L-BFGS on sums over blocks."""
    model._check_parameters()
    if model.loss != "squared_epsilon_insensitive":
        raise ValueError(
            "loss must be 'squared_epsilon_insensitive' for a source of blocks, as the dual of the other has an "
            f"unknown for each row, got {model.loss!r}: SGDRegressor(loss='epsilon_insensitive') and "
            "LinearRegressor(loss='epsilon_insensitive') take a source")
    checked = CheckedBlocks(model, source, np.float64, True, one_output=True, y_numeric=True, accept_sparse="csr")
    loss = losses.SquaredEpsilonInsensitive(model.epsilon)
    return _fit(model, PreparedBlocks(checked, _numbers), loss, np.ones(1), {})


def _numbers(y, weights):
    return np.ascontiguousarray(y, dtype=np.float64).reshape(1, -1), weights


def _fit(model, blocks, loss, shares, facts):
    """Minimize the models of ``blocks``, which has a row of targets for each of the ``shares`` of ``tol``."""
    fit_intercept = bool(model.fit_intercept)
    shape = len(shares), 1, blocks.shape[1] + fit_intercept
    # over C times the number of rows, so that tol means the same for any number of them
    scale = 1.0 / len(blocks)
    penalties = np.full(shape, scale / float(model.C))
    if fit_intercept:
        penalties[..., -1] /= float(model.intercept_scaling)**2
    objective = BlockLosses(blocks, loss, shape, fit_intercept, penalties, lambda total: scale)
    start = np.zeros(shape)
    _, gradient = objective(start.ravel())
    largest = np.abs(gradient.reshape(len(shares), -1)).max(axis=1)
    fitted = partial(model._fitted_at, facts)
    with told_iterations(tasks_of(model), start, lambda x: fitted(x[:, 0])) as tell:
        minimum = objective.minimize(
            start, max_iter=int(model.max_iter), tol=WELL_BELOW * float((model.tol * shares * largest).min()),
            ftol=0.0, tell=tell)
    if minimum.reason == "not_finite":
        raise DivergenceError("training diverged: the objective is not finite. Scale the features (StandardScaler).")
    set_fitted(model, fitted(minimum.x[:, 0]), {"n_iter_": minimum.n_iter})
    raise_lost(minimum)
    if minimum.reason == "iterations":
        warn(
            f"Liblinear failed to converge, increase the number of iterations: {type(model).__name__} ended after "
            f"max_iter={model.max_iter}. Or scale the features (StandardScaler).", ConvergenceWarning)
    if model.verbose:
        print(f"{type(model).__name__}: {minimum.n_iter} iterations")
    return model


__all__ = ["fit_to_blocks", "regress_on_blocks"]
