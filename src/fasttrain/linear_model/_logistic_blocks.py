"""Logistic regression over the blocks of a source."""

import numpy as np

from fasttrain import losses
from fasttrain._estimators.fitted import raise_lost
from fasttrain._estimators.following import tasks_of, told_iterations
from fasttrain.linear_model._block_losses import BlockLosses
from fasttrain.linear_model._classes_of_blocks import ClassesOfBlocks
from fasttrain.linear_model._lbfgs_b import FTOL
from fasttrain.linear_model._logistic_problem import Minimum, warn_unless_settled
from fasttrain.linear_model._proximal import OTHER_TOL
from fasttrain.training.results import DivergenceError


class BlockProblem:
    """What a fit asks of its problem, where the rows come in blocks.

    Attributes
    ----------
    X : CheckedBlocks
    n_outputs : int
    shape : tuple of int
        Of the unknowns, the intercepts last.
    """

    def __init__(self, X, n_classes, fit_intercept):
        self.X = X
        self.n_outputs = 1 if n_classes == 2 else n_classes
        self.shape = self.n_outputs, X.shape[1] + bool(fit_intercept)

    def intercept_in_place(self, x):
        return x


def fit_to_blocks(model, source):
    """Fit a LogisticRegression to a source of several blocks, by L-BFGS on sums over them."""
    C, l1_ratio = model._check_parameters()
    if l1_ratio:
        raise ValueError(
            "l1_ratio must be 0 for a source of blocks, as descents with an l1 penalty go over columns again and "
            f"again, got {l1_ratio!r}: LinearClassifier(penalty='l1') and penalty='elasticnet' take a source")
    if model.solver == "liblinear":
        raise ValueError("solver must not be 'liblinear' for a source of blocks, got 'liblinear': take 'lbfgs'")
    found = ClassesOfBlocks(model, source, [np.float64, np.float32])
    dtype, binary = found.checked.dtype, len(found.classes) == 2
    problem = BlockProblem(found.checked, len(found.classes), model.fit_intercept)
    blocks = found.prepared(
        lambda codes: codes.astype(dtype).reshape(1, -1) if binary else codes.astype(dtype), found.weigh)
    total = float(blocks.sum_of(_total))
    if not total > 0:
        raise ValueError("sample_weight must have at least one number > 0, got zeros only")
    penalties = np.full(problem.shape, 1.0 / (C * total))
    if model.fit_intercept:
        penalties[:, -1] = 0.0
    loss = losses.BinaryCrossentropy() if binary else losses.SoftmaxCrossentropy()
    objective = BlockLosses(blocks, loss, (1, *problem.shape), bool(model.fit_intercept), penalties)
    stochastic = model.solver in ("sag", "saga")
    start = model._start(problem)
    start = np.zeros(problem.shape) if start is None else np.reshape(start, problem.shape)
    options = {"max_iter": int(model.max_iter), "tol": float(model.tol) * (OTHER_TOL if stochastic else 1.0),
               "ftol": 0.0 if stochastic else FTOL}

    def fitted(x):
        return {"classes_": found.classes, **model._parameters_of(x.reshape(problem.shape), dtype, problem)}

    with told_iterations(tasks_of(model), start, fitted) as tell:
        minimum = objective.minimize(start, tell=tell, **options)
    if minimum.reason == "not_finite":
        raise DivergenceError(
            "the loss is not finite: scale the features (StandardScaler), or start from smaller coefficients")
    if stochastic and minimum.reason == "abnormal":
        # there rounding is an end as good as any
        minimum.reason = "value"
    if model.verbose:
        print(f"{model.solver}: {minimum.n_iter} iterations, largest element of the gradient {minimum.gradient:.3g}")
    model._adopt(minimum.x[0], dtype, minimum.n_iter, found.classes, problem)
    raise_lost(minimum)
    warn_unless_settled(model.solver, Minimum(
        minimum.x, *(np.array([[value]]) for value in (minimum.n_iter, minimum.reason, minimum.gradient))),
        model.max_iter)
    return model


def _total(block):
    X, _, weights = block
    return float(X.shape[0]) if weights is None else float(weights.sum(dtype=np.float64))


__all__ = ["fit_to_blocks"]
