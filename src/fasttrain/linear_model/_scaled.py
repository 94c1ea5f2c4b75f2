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

from fasttrain._kernels.linear import LinearSums
from fasttrain._kernels.scaled import Scaling
from fasttrain._tables.moments import column_extremes, column_moments
from fasttrain.linear_model._row_sums import rows_of_kernel
from fasttrain.training.lbfgs import Objective

# Of a column's standard deviation to its largest number: below, it is rounding.
_CONSTANT = 8 * np.finfo(np.float64).eps
# From so many cells on a look at the first rows may save a reading of all.
_LARGE = 1_000_000
_FIRST_ROWS = 256


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
    mean, variance = moments_of(X, weights)
    if weights is None and not sparse.issparse(X) and X.size >= _LARGE and _hold_both_signs(X, mean, variance):
        return units_of(mean, variance, None, None, fit_intercept)
    present = X if weights is None or weights.all() else X[weights > 0]
    extremes = min_max_axis(present, axis=0) if sparse.issparse(X) else column_extremes(present)
    return units_of(mean, variance, *extremes, fit_intercept)


def _hold_both_signs(X, mean, variance):
    """Whether the first rows show numbers below and above 0 in each column, and none is constant to rounding."""
    first = X[:_FIRST_ROWS]
    with np.errstate(over="ignore", invalid="ignore"):
        # no number is farther from the mean than the second root; NaN is not above
        deviation, farthest = np.sqrt(variance), np.sqrt(len(X) * variance)
        varies = deviation > 2 * _CONSTANT * (abs(mean) + farthest)
        return bool((varies & (first.min(axis=0) < 0) & (first.max(axis=0) > 0)).all())


def units_of(mean, variance, low, high, fit_intercept):
    """:func:`columns_of` columns of which mean, variance and extremes are known.

    Extremes of None: no column is constant, and each holds numbers below and above 0.
    """
    variance = variance.copy()
    with np.errstate(over="ignore", invalid="ignore"):
        if low is None:
            unit = np.sqrt(variance)
        else:
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
        Holds the coefficients that :meth:`put` gives it.
    penalty : fasttrain.penalties.Penalty or None
        None is the automatic one: that of Ridge() and LogisticRegression(), half the sum of squared coefficients over
        the sum of weights, the coefficients counted in units of their columns (:func:`columns_of`).
    units : TargetUnits
    columns : tuple of arrays
        What :func:`units_of` gives.
    total : float
        Sum of the weights.
    losses
        The rows, such as :class:`LossesOfRows`: ``losses.evaluate(w, slopes_out, threads)`` is the mean loss of each
        output at coefficients and intercepts w, (n_outputs, n_features + fit_intercept), with the target in its units
        where ``units.rescales``; it may be of all outputs together, an array of one. ``slopes_out``, like w, receives
        the gradient of their sum.
    mean_loss : callable, optional
        The network's mean loss, in the units that y came in, for ``losses`` that have outputs together only.
    """

    def __init__(self, network, penalty, units, columns, total, losses, mean_loss=None):
        super().__init__(network)
        coef, intercept = network.unpack(network.parameters)
        fit_intercept = bool(network.fit_intercept)
        self._losses, self._mean_loss, self._units = losses, mean_loss, units
        centre, spread, unit = columns
        d, scale = units.spread[:, None], units.scale[:, None]
        if penalty is None:
            self._l1, self._l2 = 0.0, unit**2 * scale / (d**2 * total)
        else:
            self._l1, self._l2 = penalty.l1, np.full(coef.shape, float(penalty.l2))
        # what makes the second derivative of a squared loss 1, its penalty included
        width = np.sqrt(spread**2 + self._l2 * d**2 / scale)
        # a constant column is the intercept's; without one, the column is all zeros
        factor = np.divide(d, width, out=np.zeros_like(width), where=spread > 0)
        # what the rows' coefficients and intercepts are in units of
        if units.rescales:
            self._size, self._shift = units.spread, units.offset
            offset, spread_of_raw = np.zeros(len(coef)), np.ones(len(coef))
        else:
            self._size, self._shift = np.ones(len(coef)), np.zeros(len(coef))
            offset, spread_of_raw = units.offset, units.spread
        # one number for all outputs, whose losses are added up
        divisor = float((units.scale / self._size**2)[0])
        self._scaling = Scaling(
            factor / self._size[:, None], self._l2 / scale * factor * factor, np.ascontiguousarray(centre), offset,
            spread_of_raw, divisor, fit_intercept)
        self._w, self._slopes = np.empty((2, len(coef), coef.shape[1] + fit_intercept))
        self._start = self._start_at(coef.astype(np.float64), intercept.astype(np.float64), factor, centre)
        self._slope = (self._l1 * factor / scale).ravel()
        self._last, self._means = None, None
        if self._l1:
            self.bounds = [(0.0, None)] * (2 * coef.size) + [(None, None)] * (len(coef) if fit_intercept else 0)

    def _start_at(self, coef, intercept, factor, centre):
        u = np.divide(coef, factor, out=np.zeros_like(factor), where=factor > 0)
        parts = [np.maximum(u, 0), np.maximum(-u, 0)] if self._l1 else [u]
        if self._scaling.fit_intercept:
            # from zero coefficients the best constant is nearer than 0
            at_mean = not coef.any() and not intercept.any()
            shift = intercept + (coef * centre).sum(axis=1) - self._units.offset
            parts.append(np.zeros_like(intercept) if at_mean else shift / self._units.spread)
        return np.concatenate([part.ravel() for part in parts])

    def start(self):
        return self._start

    def _signed(self, x):
        """Unknowns of which those of coefficients are one number, not what is above 0 and what is below."""
        if not self._l1:
            return x
        n = len(self._slope)
        return np.concatenate((x[:n] - x[n:2 * n], x[2 * n:]))

    def _coefficients(self, x):
        """Coefficients and intercepts at unknowns, in the units that y came in."""
        self._scaling.coefficients(self._signed(x), self._w)
        n_features = self._scaling.n_features
        coef = self._w[:, :n_features] * self._size[:, None]
        if not self._scaling.fit_intercept:
            return coef, np.zeros(len(coef))
        return coef, self._w[:, n_features] * self._size + self._shift

    def put(self, x):
        self.network.parameters[:] = self.network.pack(*self._coefficients(x))

    def value_and_gradient(self, x, threads):
        signed = self._signed(x)
        self._scaling.coefficients(signed, self._w)
        means = self._losses.evaluate(self._w, self._slopes, threads)
        gradient = np.empty(len(signed))
        value = self._scaling.value_and_gradient(signed, float(means.sum()), self._slopes, gradient)
        self._last, self._means = x.copy(), means
        if not self._l1:
            return value, gradient
        n = len(self._slope)
        value += float((self._slope * (x[:n] + x[n:2 * n])).sum())
        return value, np.concatenate((self._slope + gradient[:n], self._slope - gradient[:n], gradient[n:]))

    def loss(self, x, value):
        units = self._units
        if not units.rescales or len(units.scale) == 1:
            return float(value * units.scale[0])
        # outputs, each in a unit of its own, are not added up as they were for the value
        coef = self._coefficients(x)[0]
        penalty = self._l1 * abs(coef).sum() + (self._l2 * coef**2).sum() / 2
        if len(self._means) == len(units.scale) and np.array_equal(x, self._last):
            return float((self._means * units.spread**2).sum() + penalty)
        self.put(x)
        return float(self._mean_loss() + penalty)


class LossesOfRows:
    """Mean losses of a linear model over rows of an array, as :class:`ScaledObjective` asks for them.

    Parameters
    ----------
    X : array or CSR matrix
        As :func:`fasttrain._core.checks.check_rows` leaves it.
    loss : fasttrain.losses.Loss
    target : array of shape (n_samples, n_columns)
    weights : array of shape (n_samples,) or None
    total : float
        Their sum.
    fit_intercept : bool
    n_outputs : int
    """

    def __init__(self, X, loss, target, weights, total, fit_intercept, n_outputs):
        self._total = total
        # outputs that are not coupled are fits of their own over one reading of X, so that each has its sum
        coupled = loss.targets == "classes"
        fits = [target[:, 0]] if coupled else [column[np.newaxis] for column in np.ascontiguousarray(target.T)]
        self._sums = LinearSums(
            rows_of_kernel(X), loss.name, loss.parameter, n_outputs if coupled else 1, fit_intercept,
            [(y, weights, None) for y in fits])

    def evaluate(self, w, slopes_out, threads):
        """The mean loss of each output, or of all where they are coupled; see :class:`ScaledObjective`."""
        n_fits = self._sums.n_fits
        values = np.empty(n_fits)
        self._sums.evaluate(w.reshape(n_fits, -1), values, slopes_out.reshape(n_fits, -1), n_threads=threads)
        slopes_out /= self._total
        return values / self._total


class LossesOfBlocks:
    """Mean losses of a network without hidden layers over blocks, as :class:`ScaledObjective` asks for them.

    Parameters
    ----------
    network : Network
    evaluate : callable
        From threads to the network's mean loss at its parameters, and the gradient, in its layout.
    """

    def __init__(self, network, evaluate):
        self._network, self._evaluate = network, evaluate

    def evaluate(self, w, slopes_out, threads):
        """The mean loss of all outputs together; see :class:`ScaledObjective`."""
        network = self._network
        n_features = w.shape[1] - bool(network.fit_intercept)
        network.parameters[:] = network.pack(
            w[:, :n_features], w[:, n_features] if network.fit_intercept else np.zeros(len(w)))
        value, packed = self._evaluate(threads)
        slopes_out[:, :n_features], by_intercept = network.unpack(packed)
        if network.fit_intercept:
            slopes_out[:, n_features] = by_intercept
        return np.array([value])


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
