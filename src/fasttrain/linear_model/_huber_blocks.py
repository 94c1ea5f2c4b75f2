"""HuberRegressor over the blocks of a source."""

import numpy as np

from fasttrain._estimators.blocks import CheckedBlocks, PreparedBlocks
from fasttrain._estimators.fitted import raise_lost, set_fitted
from fasttrain._estimators.following import tasks_of, told_iterations
from fasttrain._kernels.huber import ConcomitantHuber
from fasttrain._kernels.linear import LinearSums
from fasttrain._kernels.threads import get_num_threads
from fasttrain.linear_model._lbfgs_b import minimize_lbfgs
from fasttrain.linear_model._row_sums import iterations_told, rows_of_kernel
from fasttrain.training.results import DivergenceError

# The scale is divided by.
SMALLEST_SCALE = 10 * np.finfo(np.float64).eps
# scikit-learn's, SciPy's own: of the objective the relative decrease that counts as none, and a line search's trials.
FTOL, TRIALS = 1e7 * np.finfo(np.float64).eps, 20


class _AtBlock:
    """A function of a block ``(X, targets, weights or None)`` at the unknowns: coefficients, intercept, scale."""

    def __init__(self, w, epsilon, fit_intercept):
        self.w, self.epsilon, self.fit_intercept = np.array(w, dtype=np.float64), epsilon, fit_intercept

    def _objective(self, block):
        """The objective without its penalty, which is a sum over rows."""
        X, targets, weights = block
        if isinstance(X, np.ndarray):
            X = np.ascontiguousarray(X)
        sums = LinearSums(rows_of_kernel(X), "huber", 1.0, 1, self.fit_intercept, [(targets, weights, None)])
        return ConcomitantHuber(sums, targets[0], weights, self.epsilon, 0.0, get_num_threads())


class BlockSums(_AtBlock):
    """``(sum of the weights, value, gradient)``, in one array."""

    def __call__(self, block):
        found = np.empty(2 + len(self.w))
        found[1] = self._objective(block).evaluate(self.w, found[2:])
        found[0] = len(block[1][0]) if block[2] is None else block[2].sum(dtype=np.float64)
        return found


class BlockOutliers(_AtBlock):
    """Which rows lie beyond the threshold; with ``+`` those of both blocks, one after the other."""

    def __call__(self, block):
        objective = self._objective(block)
        objective.evaluate(self.w, np.empty(len(self.w)))
        return _Joined(np.abs(block[1][0] - objective.raw) > self.epsilon * self.w[-1])


class _Joined:
    def __init__(self, rows):
        self.rows = rows

    def __add__(self, other):
        return _Joined(np.concatenate([self.rows, other.rows]))


def fit_to_blocks(model, source):
    """Fit a HuberRegressor to a source of several blocks, by L-BFGS-B on sums over them."""
    model._check_parameters()
    checked = CheckedBlocks(model, source, np.float64, True, one_output=True, y_numeric=True, accept_sparse="csr")
    blocks = PreparedBlocks(checked, _code)
    n_features, fit_intercept = checked.shape[1], bool(model.fit_intercept)
    epsilon, alpha = float(model.epsilon), float(model.alpha)

    def objective(w):
        total, value, *gradient = blocks.sum_of(BlockSums(w, epsilon, fit_intercept))
        if not total > 0:
            raise ValueError("sample_weight must have at least one number > 0, got zeros only")
        coef, gradient = w[:n_features], np.array(gradient)
        gradient[:n_features] += 2.0 * alpha * coef
        return value + alpha * float(coef @ coef), gradient

    start = model._start(checked)
    with (np.errstate(over="ignore", invalid="ignore"),
          told_iterations(tasks_of(model), start, model._parameters_of) as tell):
        found = minimize_lbfgs(
            objective, start, start.shape, max_iter=int(model.max_iter), tol=float(model.tol), ftol=FTOL,
            maxls=TRIALS, bounds=[(None, None)] * (len(start) - 1) + [(SMALLEST_SCALE, None)], tell=tell)
    require_way_down(found.reason, found.n_iter, found.value)
    rows = {}
    if found.lost is None:
        rows["outliers_"] = blocks.sum_of(BlockOutliers(found.x, epsilon, fit_intercept)).rows
    set_fitted(model, model._parameters_of(found.x), {"n_iter_": found.n_iter, **rows})
    raise_lost(found)
    iterations_told(found.n_iter, model.max_iter, found.failure)
    return model


def require_way_down(reason, n_iter, value):
    """The error of a fit that ended after ``n_iter`` iterations at no minimum, nor on its way to one."""
    if reason == "not_finite" or not np.isfinite(value):
        raise DivergenceError(
            f"training diverged in iteration {n_iter + 1} of L-BFGS: the objective is {value}. Scale the features and "
            "the target (StandardScaler), or raise alpha.")
    if reason == "abnormal":
        raise ValueError(
            "HuberRegressor convergence failed: the line search of L-BFGS found no lower objective. Scale the features "
            "and the target (StandardScaler), or raise alpha.")


def _code(y, weights):
    return np.ascontiguousarray(y, dtype=np.float64).reshape(1, -1), weights


__all__ = ["fit_to_blocks", "require_way_down"]
