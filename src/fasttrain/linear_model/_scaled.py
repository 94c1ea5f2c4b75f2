"""L-BFGS for linear models, in units in which each column has the standard deviation 1, and the target too.

With m and s of a column, and o and d of an output's target, the unknowns are u and c of

    coef = d u / s,    intercept = o + d c - coef . m

and what is minimized is the documented objective over a constant. So the minimum is the same, but the way there, and
what a gradient of ``tol`` means, do not depend on the units that X and y came in. X is read as it stands.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.utils.sparsefuncs import mean_variance_axis, min_max_axis

from fasttrain._tables.moments import column_extremes, column_moments
from fasttrain.training.lbfgs import Objective

# Of a column's standard deviation to its largest number: below, it is rounding.
_CONSTANT = 8 * np.finfo(np.float64).eps


def moments_of(X, weights):
    """(mean, variance) of each column, float64; what a CSR matrix does not hold is 0."""
    if sparse.issparse(X):
        with np.errstate(over="ignore", invalid="ignore"):
            return mean_variance_axis(X.astype(np.float64), 0, None if weights is None else weights.astype(np.float64))
    given = None if weights is None else np.ascontiguousarray(weights, dtype=np.float64)
    weight, mean, squares = column_moments(X, given)
    with np.errstate(over="ignore", invalid="ignore"):
        return mean, squares / weight


def columns_of(X, weights, fit_intercept):
    """(centre, spread, unit) of each column, each float64 of shape (n_features,).

    The spread is the standard deviation, 0 of a constant column, or without an intercept, where nothing is centred,
    the root mean square. The unit is what the automatic penalty counts a coefficient in: the standard deviation, but
    of a column that holds 0 and one other number that number, since the standard deviation of a rare category says
    nothing of how far it may shift a prediction.
    """
    present = X if weights is None or weights.all() else X[weights > 0]
    extremes = min_max_axis(present, axis=0) if sparse.issparse(X) else column_extremes(present)
    return units_of(*moments_of(X, weights), *extremes, fit_intercept)


def units_of(mean, variance, low, high, fit_intercept):
    """:func:`columns_of` columns of which mean, variance and extremes are known."""
    variance = variance.copy()
    with np.errstate(over="ignore", invalid="ignore"):
        low, high = low.astype(np.float64), high.astype(np.float64)
        constant = variance <= (_CONSTANT * np.maximum(abs(low), abs(high))) ** 2
        variance[constant] = 0.0
        # no column has a larger variance between its extremes than one that holds nothing else
        two_values = variance >= (1 - 1e-6) * (high - mean) * (mean - low)
        unit = np.where(two_values & (low * high == 0), high - low, np.sqrt(variance))
        spread = np.sqrt(variance if fit_intercept else variance + mean**2)
    # columns whose squares overflow are left to the loss, which says so
    unit = np.where(np.isfinite(unit) & (unit > 0), unit, 1.0)
    spread = np.where(np.isfinite(spread), spread, 1.0)
    return (mean if fit_intercept else np.zeros_like(mean)), spread, unit


@dataclass
class TargetUnits:
    """In what the target of each output is counted, arrays of shape (n_outputs,).

    Attributes
    ----------
    offset, spread
        Of the raw predictions: o and d.
    scale
        Size of the losses; the objective is divided by it.
    bound : array of shape (n_samples, n_outputs) or None
        The target in units of its own, where it is at hand and :attr:`rescales`.
    rescales : bool
        Whether the loss can be had of a target in units of its own; outputs then are on a par.
    """

    offset: np.ndarray
    spread: np.ndarray
    scale: np.ndarray
    bound: np.ndarray | None = None
    rescales: bool = False

    def rescaled(self, target):
        """Targets in these units, in the dtype that they have."""
        return np.ascontiguousarray((target.astype(np.float64) - self.offset) / self.spread, dtype=target.dtype)

    @classmethod
    def of(cls, loss, target, weights, n_outputs, fit_intercept):
        if not loss.is_regression:
            return cls._made(loss, n_outputs, fit_intercept, None, None)
        y = target.astype(np.float64)

        def spread_about(centre):
            return np.sqrt(np.average((y - centre) ** 2, axis=0, weights=weights))

        with np.errstate(over="ignore", invalid="ignore"):
            mean = np.average(y, axis=0, weights=weights)
        units = cls._made(loss, n_outputs, fit_intercept, mean, spread_about)
        if units.rescales:
            units.bound = units.rescaled(target)
        return units

    @classmethod
    def of_moments(cls, loss, mean, variance, fit_intercept):
        """The units where mean and variance of each output's target are known; :attr:`bound` is None."""
        def spread_about(centre):
            return np.sqrt(variance + (mean - centre) ** 2)

        return cls._made(loss, len(mean), fit_intercept, mean, spread_about)

    @classmethod
    def _made(cls, loss, n_outputs, fit_intercept, mean, spread_about):
        zeros, ones = np.zeros(n_outputs), np.ones(n_outputs)
        if not loss.is_regression:
            return cls(zeros, ones, ones)
        with np.errstate(over="ignore", invalid="ignore"):
            if loss.inverse_link == "exponential":
                size = mean.mean() if np.isfinite(mean).all() and mean.mean() > 0 else 1.0
                offset = np.log(np.maximum(mean, 1e-8 * size)) if fit_intercept else zeros
                power = {"poisson": 1.0, "gamma": 2.0}.get(loss.name, loss.parameter)
                return cls(offset, ones, np.full(n_outputs, size ** (2.0 - power)))
            centre = mean if fit_intercept else zeros
            spread = spread_about(centre)
        usable = np.isfinite(spread) & (spread > 0)
        centre, spread = np.where(np.isfinite(centre), centre, 0.0), np.where(usable, spread, 1.0)
        if loss.name in ("half_squared_error", "squared_error"):
            return cls(centre, spread, (1.0 if loss.name.startswith("half") else 2.0) * spread**2, rescales=True)
        # one unit for all outputs, since these losses have thresholds in it, or would not add up to the same minimum
        spread = np.full(n_outputs, np.sqrt(np.mean(spread**2)))
        sizes = {"huber": spread * np.minimum(spread, loss.parameter), "squared_epsilon_insensitive": 2 * spread**2}
        return cls(centre, spread, sizes.get(loss.name, spread))


class ScaledObjective(Objective):
    """Mean loss plus penalty of a linear model, by unknowns without units.

    Parameters
    ----------
    network : Network
        Told its loss, but no penalty; bound to X, to the weights and to :attr:`target`.
    loss : fasttrain.losses.Loss
    penalty : fasttrain.penalties.Penalty or None
        None is the automatic one: that of Ridge() and LogisticRegression(), half the sum of squared coefficients over
        the sum of weights, the coefficients counted in units of their columns (:func:`columns_of`).
    units : TargetUnits
    columns : tuple of arrays
        What :func:`units_of` gives.
    total : float
        Sum of the weights.
    evaluate : callable
        From the network's parameters and threads to its mean loss and gradient, with the target in its units where
        ``units.rescales``.
    mean_loss : callable
        The network's mean loss, in the units that y came in.
    """

    def __init__(self, network, loss, penalty, units, columns, total, evaluate, mean_loss):
        super().__init__(network)
        coef, intercept = network.unpack(network.parameters)
        self._shape, self._fit_intercept = coef.shape, bool(network.fit_intercept)
        self._evaluate, self._mean_loss, self._units = evaluate, mean_loss, units
        self._centre, spread, unit = columns
        d, scale = self._units.spread[:, None], self._units.scale[:, None]
        if penalty is None:
            self._l1, self._l2 = 0.0, unit**2 * scale / (d**2 * total)
        else:
            self._l1, self._l2 = penalty.l1, np.full(self._shape, float(penalty.l2))
        # what makes the second derivative of a squared loss 1, its penalty included
        width = np.sqrt(spread**2 + self._l2 * d**2 / scale)
        # a constant column is the intercept's; without one, the column is all zeros
        self._factor = np.divide(d, width, out=np.zeros_like(width), where=spread > 0)
        self._initial = coef.astype(np.float64), intercept.astype(np.float64)
        if self._l1:
            n_coef = 2 * coef.size
            n_free = len(coef) if self._fit_intercept else 0
            self.bounds = [(0.0, None)] * n_coef + [(None, None)] * n_free

    def start(self):
        coef, intercept = self._initial
        u = np.divide(coef, self._factor, out=np.zeros_like(self._factor), where=self._factor > 0)
        parts = [np.maximum(u, 0), np.maximum(-u, 0)] if self._l1 else [u]
        if self._fit_intercept:
            # from zero coefficients the best constant is nearer than 0
            at_mean = not coef.any() and not intercept.any()
            shift = intercept + coef @ self._centre - self._units.offset
            parts.append(np.zeros_like(intercept) if at_mean else shift / self._units.spread)
        return np.concatenate([part.ravel() for part in parts])

    def _parts(self, x):
        """(u, c) of unknowns."""
        size = self._factor.size
        u = (x[:size] - x[size:2 * size] if self._l1 else x[:size]).reshape(self._shape)
        return u, x[-len(u):] if self._fit_intercept else np.zeros(len(u))

    def put(self, x):
        u, c = self._parts(x)
        coef = u * self._factor
        intercept = np.zeros(len(u))
        if self._fit_intercept:
            intercept = self._units.offset + self._units.spread * c - coef @ self._centre
        self.network.parameters[:] = self.network.pack(coef, intercept)

    def value_and_gradient(self, x, threads):
        units, network = self._units, self.network
        u, c = self._parts(x)
        coef = u * self._factor
        # the network's outputs are in units of the target it is bound to
        if not units.rescales:
            offset, spread, divisor = units.offset, units.spread, units.scale
        else:
            offset, spread, divisor = 0.0, 1.0, units.scale / units.spread**2
            coef = coef / units.spread[:, None]
        intercept = offset + spread * c - coef @ self._centre if self._fit_intercept else c
        value, packed = self._evaluate(network.pack(coef, intercept), threads)
        by_coef, by_intercept = (part.astype(np.float64) for part in network.unpack(packed))
        value /= divisor[0]
        factor = self._factor if not units.rescales else self._factor / units.spread[:, None]
        by_u = (by_coef - np.outer(by_intercept, self._centre)) * factor / divisor[:, None]
        by_c = by_intercept * spread / divisor
        weighed, scale = u * self._factor, units.scale[:, None]
        value += float((self._l2 * weighed**2 / scale).sum()) / 2
        by_u += self._l2 * weighed * self._factor / scale
        parts = [by_u]
        if self._l1:
            slope = self._l1 * self._factor / scale
            value += float(x[:2 * slope.size] @ np.concatenate([slope.ravel()] * 2))
            parts = [slope + by_u, slope - by_u]
        if self._fit_intercept:
            parts.append(by_c)
        return float(value), np.concatenate([part.ravel() for part in parts])

    def loss(self, x, value):
        scale = self._units.scale
        if not self._units.rescales or len(scale) == 1:
            return float(value * scale[0])
        coef = self._parts(x)[0] * self._factor
        penalty = self._l1 * abs(coef).sum() + (self._l2 * coef**2).sum() / 2
        return float(self._mean_loss() + penalty)


def measured_steps(network, loss, units, mean, variance, fresh):
    """(learning rate as a multiple, size of the losses) for steps on this data, from an intercept at the target's mean.

    A step of Adam is as long as its rate in every coefficient, so the rate is in the units of the target over those of
    the columns; over 1 for narrow ones, since the intercept takes as long steps. ``mean`` and ``variance`` are the
    columns'.
    """
    if fresh and network.fit_intercept and loss.is_regression:
        coef, intercept = network.unpack(network.parameters)
        network.parameters[:] = network.pack(coef, units.offset[:len(intercept)])
    widest = float(np.sqrt(np.max(variance if network.fit_intercept else variance + mean**2)))
    return float(units.spread.max()) / (max(widest, 1.0) if np.isfinite(widest) else 1.0), float(units.scale.sum())
