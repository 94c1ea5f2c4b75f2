"""The learning-rate range test: train a little with rates that grow, and look where the loss falls fastest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone

from fasttrain._core.checks import check_integer, check_real
from fasttrain._core.public import publish
from fasttrain._core.types import ArrayLike, EstimatorLike, MatrixLike
from fasttrain._kernels.threads import thread_budget
from fasttrain.callbacks import Callback
from fasttrain.plotting import axes
from fasttrain.training.engine import network_state, restore_network

__all__ = ["LearningRateRange", "learning_rate_finder"]

# Steps of a test that is not told how many: an epoch, but within these.
_FEWEST, _MOST = 100, 1000


@dataclass(frozen=True)
class LearningRateRange:
    """What :func:`learning_rate_finder` found.

    Attributes
    ----------
    lrs : array of shape (n_steps,), float64
        Rates in their order, each a constant factor above the last; those up to where the loss blew up.
    losses : array of shape (n_steps,), float64
        Objective of the batch at each, before its update.
    smoothed_losses : array of shape (n_steps,), float64
        The losses without most of the noise of the batches: what each lies above its batch's loss before any training,
        plus the mean of these; a straight line is fitted around each rate, with weights that fall off over a third of
        a decade.
    suggestion : float or None
        The rate at which the smoothed loss falls fastest per factor of the rate, before it first rises by a
        twentieth of its whole fall; None when it never falls.
    """

    lrs: np.ndarray
    losses: np.ndarray
    smoothed_losses: np.ndarray
    suggestion: float | None

    def plot(self, ax: Any = None) -> Any:
        """Losses over rates on a logarithmic axis, with the suggestion; returns the matplotlib Axes.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            New ones when None.
        """
        ax = axes(ax)
        ax.plot(self.lrs, self.losses, color="C0", alpha=0.3, label="loss of the batch")
        ax.plot(self.lrs, self.smoothed_losses, color="C0", label="smoothed")
        if self.suggestion is not None:
            ax.axvline(self.suggestion, color="C1", linestyle="--", label=f"suggestion {self.suggestion:.2g}")
        ax.set(xscale="log", xlabel="Learning rate", ylabel="Loss")
        ax.legend()
        return ax


def learning_rate_finder(estimator: EstimatorLike, X: MatrixLike, y: ArrayLike, *,
                         sample_weight: ArrayLike | None = None, min_learning_rate: float = 1e-6,
                         max_learning_rate: float = 10.0, n_steps: int | None = None,
                         divergence: float = 3.0) -> LearningRateRange:
    """Try learning rates on a clone of ``estimator``: each step takes one that is a constant factor above the last.

    The range test of Smith ("Cyclical learning rates for training neural networks", 2017), with rates that grow
    exponentially. Twice the steps are made: once with rates of 0, to know each batch's loss without training.

    Parameters
    ----------
    estimator : LinearClassifier, LinearRegressor, MLPClassifier or MLPRegressor
        Untouched; need not be fitted. Any optimizer that makes steps; its schedule and stopping take no part.
    X, y, sample_weight
        As for its ``fit``.
    min_learning_rate, max_learning_rate : float, default=1e-6 and 10.0
        The first and the last rate.
    n_steps : int, default=None
        At least 10. None takes the batches of one epoch, but not fewer than 100 nor more than 1000.
    divergence : float, default=3.0
        Rates are left out from where the loss of a batch is above its loss without training by this many times the
        mean of the latter.

    Returns
    -------
    LearningRateRange

    Raises
    ------
    TypeError
        For an estimator that is not trained by the engine's steps, such as SGDClassifier.
    ValueError
        For bad data or parameters, for L-BFGS, and when the loss blows up at once.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fasttrain import MLPClassifier, learning_rate_finder
    >>> X, y = load_iris(return_X_y=True)
    >>> found = learning_rate_finder(MLPClassifier(batch_size=16, random_state=0), X, y)
    >>> 1e-4 < found.suggestion < 1.0
    True
    """
    low = check_real(min_learning_rate, "min_learning_rate", low=0, open_low=True)
    high = check_real(max_learning_rate, "max_learning_rate", low=low, open_low=True)
    check_integer(n_steps, "n_steps", low=10, optional=True)
    check_real(divergence, "divergence", low=0, open_low=True)
    takes_callbacks = not isinstance(estimator, type) and hasattr(estimator, "get_params") and (
        "callbacks" in estimator.get_params(deep=False))
    if not takes_callbacks:
        raise TypeError(
            "estimator must be a linear model or multi-layer perceptron of fasttrain with the parameter callbacks, got "
            f"{type(estimator).__name__}"
        )
    test = _RangeTest(low, high, n_steps, divergence)
    try:
        clone(estimator).set_params(callbacks=test).fit(X, y, sample_weight=sample_weight)
    except _Done:
        return test.result()
    raise AssertionError("the range test did not run")


class _Done(Exception):
    """Ends the fit that set the engine up for the test."""


def _batches(run, n_steps):
    """Rows of each of the next steps."""
    batches, size = [], run.batch_size
    while len(batches) < n_steps:
        order = np.arange(run.n_samples, dtype=np.intp) if run.draw_order is None else run.draw_order()
        batches += [order[first:first + size] for first in range(0, run.n_samples, size)]
    return batches[:n_steps]


def _losses(network, batches, rates, threads):
    """Objective of each batch before its update; those up to the last that is finite and leaves finite weights."""
    losses = np.empty(len(batches))
    for step, rows in enumerate(batches):
        network.start_epoch(rows, len(rows), rates[step:step + 1], threads)
        while not network.run():
            pass
        losses[step] = network.epoch_loss
        if network.diverged or not network.all_finite():
            return losses[:step]
    return losses


class _RangeTest(Callback):
    """Takes the place of the training for which an estimator has set the engine up."""

    needs_steps = True

    def __init__(self, low, high, n_steps, divergence):
        self.low = low
        self.high = high
        self.n_steps = n_steps
        self.divergence = divergence

    def __deepcopy__(self, memo):
        # set_params may copy parameters, and the caller reads the result here
        return self

    def on_train_begin(self, n_epochs):
        run = self.training
        run.require_steps("a learning-rate range test")
        n_steps = self.n_steps or min(max(run.steps_per_epoch, _FEWEST), _MOST)
        self.rates = np.geomspace(self.low, self.high, n_steps)
        batches = _batches(run, n_steps)
        with thread_budget(run.n_threads) as threads:
            # the same batches with rates of 0: what they differ by among themselves is no answer to the rate
            before = network_state(run.network)
            self.untrained = _losses(run.network, batches, np.zeros(n_steps), threads)
            restore_network(run.network, before)
            self.losses = _losses(run.network, batches, self.rates, threads)
        self._cut(min(len(self.untrained), len(self.losses)))
        raise _Done

    def _cut(self, n_steps):
        self.rates, self.losses, self.untrained = (
            values[:n_steps].copy() for values in (self.rates, self.losses, self.untrained))

    def _smoothed(self):
        value, slope = _smoothed(self.rates, self.losses - self.untrained)
        return value + self.untrained.mean(), slope

    def result(self):
        above = self.losses - self.untrained > self.divergence * abs(self.untrained.mean())
        if above.any():
            self._cut(int(np.argmax(above)))
        if len(self.losses) < 5:
            raise ValueError(
                f"the loss blows up within {len(self.losses)} steps of min_learning_rate={self.low:g}: lower it, or "
                "scale the features (StandardScaler)"
            )
        smoothed, slope = self._smoothed()
        # a fall back from a rise, at a rate that is too high, is steep as well: only the first descent counts
        risen = smoothed - np.minimum.accumulate(smoothed) > 0.05 * (smoothed[0] - smoothed.min())
        steepest = int(np.argmin(slope[:np.argmax(risen)] if risen[1:].any() else slope))
        suggestion = float(self.rates[steepest]) if slope[steepest] < 0 else None
        return LearningRateRange(self.rates, self.losses, smoothed, suggestion)


def _smoothed(rates, losses):
    """Values, and slopes per factor e of the rate, of straight lines fitted around each point with normal weights.

    The weights' standard deviation is a third of a decade of rates, but at least two steps. A line, unlike a mean,
    does not lean at the ends.
    """
    n = len(losses)
    spacing = np.log(rates[-1] / rates[0]) / (n - 1)
    width = max(2.0, np.log(10.0) / 3.0 / spacing)
    reach = min(n - 1, int(4 * width))
    distance = np.arange(-reach, reach + 1, dtype=np.float64)
    weight = np.exp(-0.5 * (distance / width) ** 2)

    def moment(power, values):
        # np.convolve turns its kernel around
        return np.convolve(values, (weight * distance**power)[::-1])[reach:reach + n]

    s0, s1, s2 = (moment(power, np.ones(n)) for power in range(3))
    t0, t1 = moment(0, losses), moment(1, losses)
    spread = s0 * s2 - s1**2
    return (s2 * t0 - s1 * t1) / spread, (s0 * t1 - s1 * t0) / spread / spacing

publish(globals())
