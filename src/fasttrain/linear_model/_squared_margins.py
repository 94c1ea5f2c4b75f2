"""Newton's method for linear models with squared hinge or squared epsilon-insensitive loss and L2, several at once.

The objective of a model, by u = (coef, c) and c the intercept,

    1/2 sum_j p_j u_j^2 + C sum_i s_i max(0, t_i)^2,    t_i = 1 - y_i z_i  or  |y_i - z_i| - epsilon,    z = X coef + c

is quadratic between the points where a row begins or ceases to count, so a few Newton steps with the rows that count
now end at the minimum itself (Keerthi and DeCoste, "A Modified Finite Newton Method for Fast Solution of Large Scale
Linear SVMs", JMLR 6, 2005). From one step to the next few rows change, and only those change the Hessian.
"""

import numpy as np

from fasttrain import losses
from fasttrain._core.blas import serial_blas
from fasttrain.linear_model._row_sums import RowSums, weighted_products

# Up to so many features the Hessian is made; beyond them it is multiplied by, which reads X for each product.
HESSIAN_FEATURES = 512
# From so many rows on, the start is the minimum for every so many-th of them, to so much of the gradient at zeros.
FIRST_ROWS = 20_000
FIRST_STEP = 16
FIRST_TOLERANCE = 1e-3
# Of the line search: which share of the decrease that the slope promises is enough, and how often a step is halved.
SUFFICIENT = 1e-4
HALVINGS = 40
ROUNDING = 16 * np.finfo(np.float64).eps
# Of the conjugate gradients: the residual at which they end, as a share of the gradient, and their number at most.
RESIDUAL = 1e-2
PRODUCTS = 250


class SquaredMargins:
    """The problems of several models over the same rows.

    Parameters
    ----------
    X : array or CSR matrix, float64
    loss : SquaredHinge or SquaredEpsilonInsensitive
    targets : array of shape (n_models, n_samples), float64
    weights : array of shape (n_models, n_samples) or (n_samples,), float64, or None
        s.
    C : float
    penalties : array of shape (size,)
        p, of the coefficients and the intercept where there is one.
    n_threads : int
    """

    def __init__(self, X, loss, targets, weights, C, penalties, n_threads):
        self._X, self._loss, self._targets, self._weights, self._C = X, loss, targets, weights, C
        self._penalties, self._n_threads = penalties, n_threads
        self._fit_intercept = len(penalties) > X.shape[1]
        self._sums = RowSums(X, loss, targets, weights, self._fit_intercept, n_threads, keep_raw=True)
        self._products = None
        # of each model the rows that count in its Hessian, and that without the penalties
        self._counted = np.empty(targets.shape, dtype=bool)
        self._hessians = [None] * len(targets)

    def evaluate(self, w, models):
        """(values, gradients) of some models at unknowns ``w``, a row each."""
        values, gradients = self._sums.of_models(w, models)
        values = self._C * values + 0.5 * (self._penalties * w**2).sum(axis=1)
        return values, self._C * gradients + self._penalties * w

    def minimize(self, tolerances, max_iter):
        """All models, until the norm of each one's gradient is at most its ``tolerances`` of that at zeros.

        The gradient is by the unknowns times the roots of the penalties, which has them all 1.

        Returns
        -------
        w : array of shape (n_models, size)
        n_iter : array of shape (n_models,)
            Newton steps over all rows of each.
        converged : bool
            Whether none was ended by ``max_iter``.
        """
        with serial_blas():
            return self._minimize(tolerances, max_iter)

    def _minimize(self, tolerances, max_iter):
        n_models = len(self._targets)
        w, n_iter = np.zeros((n_models, len(self._penalties))), np.zeros(n_models, dtype=np.intp)
        models = np.arange(n_models, dtype=np.intp)
        values, gradients = self.evaluate(w, models)
        allowed = tolerances * self._norms(gradients)
        if max_iter and len(self._targets[0]) >= FIRST_ROWS and self._X.shape[1] <= HESSIAN_FEATURES:
            w = self._start(max_iter)
            values, gradients = self.evaluate(w, models)
        while len(models):
            models = models[self._norms(gradients[models]) > allowed[models]]
            left = models[n_iter[models] < max_iter]
            if not len(left):
                break
            steps = np.stack([self._step(k, gradients[k]) for k in left])
            moved = self._search(left, w, values, gradients, steps)
            n_iter[left] += 1
            # where no step leads further down, rounding is all that is left
            models = np.concatenate([left[moved], models[n_iter[models] >= max_iter]])
        return w, n_iter, not len(models)

    def _start(self, max_iter):
        """The minimum for every FIRST_STEP-th row, roughly: the rows that count there are nearly those that will."""
        few = slice(None, None, FIRST_STEP)
        weights = None if self._weights is None else np.ascontiguousarray(self._weights[..., few])
        targets = np.ascontiguousarray(self._targets[:, few])
        problem = SquaredMargins(
            self._X[few].copy(), self._loss, targets, weights, self._C * FIRST_STEP, self._penalties, self._n_threads)
        return problem.minimize(np.full(len(targets), FIRST_TOLERANCE), max_iter)[0]

    def _norms(self, gradients):
        return np.sqrt((gradients**2 / self._penalties).sum(axis=1))

    def _search(self, models, w, values, gradients, steps):
        """Take the steps, halved where that is too far; whether each led down. w, values and gradients are updated."""
        slopes = (steps * gradients[models]).sum(axis=1)
        moved, todo, share = np.zeros(len(models), dtype=bool), np.arange(len(models)), 1.0
        for _ in range(HALVINGS):
            here = models[todo]
            at = w[here] + share * steps[todo]
            new_values, new_gradients = self.evaluate(at, here)
            gains = new_values - values[here]
            good = gains <= SUFFICIENT * share * slopes[todo]
            # where the values are the same but for rounding, the gradients say which is better
            same = np.abs(gains) <= ROUNDING * np.abs(new_values)
            if same.any():
                good |= same & (self._norms(new_gradients) < self._norms(gradients[here]))
            done = here[good]
            w[done], values[done], gradients[done] = at[good], new_values[good], new_gradients[good]
            moved[todo[good]] = True
            todo = todo[~(good | same)]
            if not len(todo):
                break
            share /= 2
        return moved

    def _step(self, k, gradient):
        """The Newton step of model k at the unknowns of its last evaluation."""
        raw, y = self._sums.raw[k], self._targets[k]
        counts = y * raw < 1 if isinstance(self._loss, losses.SquaredHinge) else np.abs(raw - y) > self._loss.epsilon
        if self._X.shape[1] > HESSIAN_FEATURES:
            return self._conjugate_gradients(gradient, self._curvature(k) * counts)
        hessian = self._hessian(k, counts).copy()
        hessian.flat[::len(hessian) + 1] += self._penalties
        return np.linalg.solve(hessian, -gradient)

    def _curvature(self, k):
        """Second derivative of the loss of each row that counts."""
        if self._weights is None:
            return np.full(len(self._targets[k]), 2 * self._C)
        return 2 * self._C * (self._weights if self._weights.ndim == 1 else self._weights[k])

    def _hessian(self, k, counts):
        """The Hessian of model k without penalties: of the rows that count now, or what has changed since the last."""
        size, known = len(self._penalties), self._hessians[k]
        weights = self._curvature(k)
        changed = counts
        if known is not None:
            changed = counts ^ self._counted[k]
            if 2 * np.count_nonzero(changed) < np.count_nonzero(counts):
                weights *= np.where(counts, 1.0, -1.0)
            else:
                known, changed = None, counts
        rows = np.flatnonzero(changed)
        part = 0.0
        if len(rows):
            part = weighted_products(self._X, weights, self._n_threads, rows)[:size, :size]
        elif known is None:
            part = np.zeros((size, size))
        self._hessians[k] = part if known is None else known + part
        self._counted[k] = counts
        return self._hessians[k]

    def _conjugate_gradients(self, gradient, weights):
        """An approximate Newton step, of products with the Hessian, each from one reading of X (Hestenes, Stiefel)."""
        if self._products is None:
            self._product_weights = np.empty(len(weights))
            self._products = RowSums(
                self._X, losses.HalfSquaredError(), np.zeros((1, len(weights))), self._product_weights,
                self._fit_intercept, self._n_threads)
        self._product_weights[:] = weights
        step, residual = np.zeros_like(gradient), -gradient
        direction, size = residual / self._penalties, (residual**2 / self._penalties).sum()
        wanted = RESIDUAL**2 * size
        for _ in range(min(PRODUCTS, 2 * len(gradient))):
            if size <= wanted:
                break
            product = self._products(direction)[1] + self._penalties * direction
            length = size / (direction @ product)
            step += length * direction
            residual = residual - length * product
            before, size = size, (residual**2 / self._penalties).sum()
            direction = residual / self._penalties + size / before * direction
        return step
