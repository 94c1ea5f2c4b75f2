"""LinearSVC with the squared hinge over the blocks of a source."""

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fasttrain import losses
from fasttrain._core.warned import warn
from fasttrain._estimators.fitted import raise_lost, set_fitted
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
    n_features, fit_intercept = found.checked.shape[1], bool(model.fit_intercept)
    shape = len(positive), 1, n_features + fit_intercept
    C = float(model.C)
    # over C times the number of rows, so that tol means the same for any number of them
    scale = 1.0 / len(blocks)
    penalties = np.full(shape, scale / C)
    if fit_intercept:
        penalties[..., -1] /= float(model.intercept_scaling)**2
    shares = np.maximum(np.minimum(found.counts, len(blocks) - found.counts), 1)[positive] / len(blocks)
    objective = BlockLosses(
        blocks, losses.SquaredHinge(), shape, fit_intercept, penalties, lambda total: scale)
    start = np.zeros(shape)
    _, gradient = objective(start.ravel())
    largest = np.abs(gradient.reshape(len(positive), -1)).max(axis=1)
    minimum = objective.minimize(
        start, max_iter=int(model.max_iter), tol=WELL_BELOW * float((model.tol * shares * largest).min()), ftol=0.0)
    if minimum.reason == "not_finite":
        raise DivergenceError("training diverged: the objective is not finite. Scale the features (StandardScaler).")
    x = minimum.x[:, 0]
    coef, intercept = (x[:, :-1].copy(), x[:, -1].copy()) if fit_intercept else (x, 0.0)
    set_fitted(model, {"coef_": coef, "intercept_": intercept}, {"classes_": classes, "n_iter_": minimum.n_iter})
    raise_lost(minimum)
    if minimum.reason == "iterations":
        warn(
            f"Liblinear failed to converge, increase the number of iterations: {type(model).__name__} ended after "
            f"max_iter={model.max_iter}. Or scale the features (StandardScaler).", ConvergenceWarning)
    if model.verbose:
        print(f"{type(model).__name__}: {minimum.n_iter} iterations")
    return model


__all__ = ["fit_to_blocks"]
