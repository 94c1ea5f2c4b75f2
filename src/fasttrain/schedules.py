"""Learning-rate schedules: how the rate of a step follows from the optimizer's own, the base.

A schedule is asked for the rates of a run of steps at once, counted from 0 over the whole training.

Examples
--------
>>> from fasttrain.schedules import CosineDecay, Warmup
>>> Warmup(n_steps=2, then=CosineDecay()).rates(1.0, first_step=0, count=6, steps_per_epoch=3, total_steps=6)
array([0.5       , 1.        , 1.        , 0.85355339, 0.5       ,
       0.14644661])
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fasttrain._core.checks import check_integer, check_real
from fasttrain._core.public import publish
from fasttrain._core.registry import Registry
from fasttrain._core.specs import Spec, boolean, choice, integer, real, spec
from fasttrain._core.types import Array, ScheduleName

__all__ = [
    "Constant", "CosineDecay", "ExponentialDecay", "InverseScaling", "OneCycle", "PlateauState",
    "ReduceOnPlateau", "Schedule", "StepDecay", "Warmup", "get", "names",
]


class Schedule(Spec):
    """Base of the schedules."""

    def rates(self, base: float, first_step: int, count: int, steps_per_epoch: int, total_steps: int) -> Array:
        """Learning rates of the steps ``first_step`` to ``first_step + count - 1``.

        Parameters
        ----------
        base : float
            The optimizer's learning rate, at least 0.
        first_step, count : int
            Steps are counted from 0 over the whole training; both at least 0.
        steps_per_epoch, total_steps : int
            At least 1. Steps past ``total_steps`` get the rate that the schedule ends with.

        Returns
        -------
        array of shape (count,), float64

        Raises
        ------
        ValueError, TypeError
            For a number out of its range or of another type.

        Examples
        --------
        >>> from fasttrain.schedules import StepDecay
        >>> StepDecay(step_size=1, gamma=0.5).rates(0.1, first_step=2, count=4, steps_per_epoch=3, total_steps=9)
        array([0.1 , 0.05, 0.05, 0.05])
        """
        base = check_real(base, "base", low=0)
        first_step = check_integer(first_step, "first_step", low=0)
        count = check_integer(count, "count", low=0)
        steps_per_epoch = check_integer(steps_per_epoch, "steps_per_epoch", low=1)
        total_steps = check_integer(total_steps, "total_steps", low=1)
        steps = np.arange(first_step, first_step + count, dtype=np.float64)
        return np.asarray(self._rates(base, steps, steps_per_epoch, total_steps), dtype=np.float64)

    def _rates(self, base, steps, steps_per_epoch, total_steps):
        raise NotImplementedError


_registry = Registry("schedule", Schedule, "a schedule of fasttrain", default="constant")


@_registry.add("constant")
@spec
class Constant(Schedule):
    """The base itself."""

    def _rates(self, base, steps, steps_per_epoch, total_steps):
        return np.full(steps.shape, base)


@_registry.add("step_decay", "step")
@spec
class StepDecay(Schedule):
    """``base * gamma^floor(epoch / step_size)``.

    Parameters
    ----------
    step_size : int, default=10
        Epochs between two drops, at least 1.
    gamma : float, default=0.1
        Greater than 0 and at most 1.
    """

    step_size: int = integer(default=10, low=1)
    gamma: float = real(default=0.1, low=0, high=1, open_low=True)

    def _rates(self, base, steps, steps_per_epoch, total_steps):
        epoch = np.floor(steps / steps_per_epoch)
        return base * self.gamma ** np.floor(epoch / self.step_size)


@_registry.add("exponential_decay", "exponential")
@spec
class ExponentialDecay(Schedule):
    """``base * gamma^epoch``, the epoch a real number that grows with every step.

    Parameters
    ----------
    gamma : float, default=0.95
        Factor of one epoch, greater than 0 and at most 1.
    staircase : bool, default=False
        Hold the rate within an epoch.
    """

    gamma: float = real(default=0.95, low=0, high=1, open_low=True)
    staircase: bool = boolean(default=False)

    def _rates(self, base, steps, steps_per_epoch, total_steps):
        epoch = steps / steps_per_epoch
        return base * self.gamma ** (np.floor(epoch) if self.staircase else epoch)


@_registry.add("inverse_scaling", "invscaling")
@spec
class InverseScaling(Schedule):
    """``base / (step + 1)^power_t``.

    Parameters
    ----------
    power_t : float, default=0.5
        At least 0.
    """

    power_t: float = real(default=0.5, low=0)

    def _rates(self, base, steps, steps_per_epoch, total_steps):
        return base / (steps + 1.0) ** self.power_t


def _cosine(start, end, progress):
    """From ``start`` at progress 0 to ``end`` at 1 along half a cosine."""
    return end + (start - end) * 0.5 * (1.0 + np.cos(math.pi * progress))


@_registry.add("cosine_decay", "cosine")
@spec
class CosineDecay(Schedule):
    """From the base to ``final * base`` along half a cosine (Loshchilov and Hutter 2017, no restarts).

    Parameters
    ----------
    final : float, default=0.0
        Fraction of the base, from 0 to 1, that step ``total_steps`` would have.
    """

    final: float = real(default=0.0, low=0, high=1)

    def _rates(self, base, steps, steps_per_epoch, total_steps):
        return base * _cosine(1.0, self.final, np.minimum(steps / total_steps, 1.0))


@_registry.add("one_cycle", "onecycle")
@spec
class OneCycle(Schedule):
    """Up to a peak and down to almost nothing, both along half a cosine (Smith and Topin 2019).

    Parameters
    ----------
    max_learning_rate : float, default=None
        The peak, greater than 0; None takes the base.
    pct_start : float, default=0.3
        Part of the steps spent going up, between 0 and 1.
    div_factor : float, default=25.0
        The first rate is the peak divided by this; at least 1.
    final_div_factor : float, default=1e4
        The last rate is the first divided by this; at least 1.
    """

    max_learning_rate: float | None = real(default=None, low=0, open_low=True, optional=True)
    pct_start: float = real(default=0.3, low=0, high=1, open_low=True, open_high=True)
    div_factor: float = real(default=25.0, low=1)
    final_div_factor: float = real(default=1e4, low=1)

    def _rates(self, base, steps, steps_per_epoch, total_steps):
        peak = base if self.max_learning_rate is None else self.max_learning_rate
        first = peak / self.div_factor
        last = first / self.final_div_factor
        top = max(self.pct_start * total_steps - 1.0, 0.0)
        end = max(total_steps - 1.0, top + 1e-12)
        rising = _cosine(first, peak, steps / top) if top > 0 else np.full(steps.shape, peak)
        falling = _cosine(peak, last, np.minimum((steps - top) / (end - top), 1.0))
        return np.where(steps <= top, rising, falling)


@_registry.add("warmup")
@spec
class Warmup(Schedule):
    """A straight line up to the base, then another schedule over the steps that are left (Goyal et al. 2017).

    Parameters
    ----------
    n_steps : int, default=None
        Steps of the line, at least 1; its last step has the base.
    n_epochs : float, default=None
        The same in epochs, greater than 0; not together with ``n_steps``. With neither, one epoch.
    then : schedule spec, class or name, default=Constant()
        What follows; its step 0 is the first after the line. ReduceOnPlateau is refused: it has a state.
    """

    n_steps: int | None = integer(default=None, low=1, optional=True)
    n_epochs: float | None = real(default=None, low=0, open_low=True, optional=True)
    then: Schedule = Constant()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_steps is not None and self.n_epochs is not None:
            raise ValueError(f"Warmup takes n_steps or n_epochs, got {self.n_steps} and {self.n_epochs}")
        then = _registry.get(self.then)
        if isinstance(then, ReduceOnPlateau):
            raise ValueError(f"then of Warmup must be a schedule without a state, got {then!r}")
        object.__setattr__(self, "then", then)

    def _rates(self, base, steps, steps_per_epoch, total_steps):
        if self.n_steps is not None:
            n = self.n_steps
        else:
            n = max(1, round((1.0 if self.n_epochs is None else self.n_epochs) * steps_per_epoch))
        rising = base * (steps + 1.0) / n
        after = self.then._rates(base, np.maximum(steps - n, 0.0), steps_per_epoch, max(total_steps - n, 1))
        return np.where(steps < n, rising, after)


class PlateauState:
    """What :class:`ReduceOnPlateau` remembers of one training.

    Attributes
    ----------
    factor : float
        The rates are to be multiplied by this.
    best : float or None
        Best metric so far.
    waited : int
        Epochs without an improvement since the last one, or since the last cut.
    """

    def __init__(self, schedule: ReduceOnPlateau, floor: float = 0.0) -> None:
        self.schedule = schedule
        self.floor = floor
        self.factor: float = 1.0
        self.best: float | None = None
        self.waited: int = 0

    def update(self, metric: float) -> float:
        """Take the metric of one more epoch; NaN is no improvement.

        Parameters
        ----------
        metric : float

        Returns
        -------
        float
            The factor of the learning rates from there on.
        """
        schedule = self.schedule
        metric = float(metric)
        if metric == metric and self._improves(metric):
            self.best = metric
            self.waited = 0
            return self.factor
        self.waited += 1
        if self.waited > schedule.patience:
            self.factor = max(self.factor * schedule.factor, self.floor)
            self.waited = 0
        return self.factor

    def _improves(self, metric):
        if self.best is None:
            return True
        if self.schedule.mode == "min":
            return metric < self.best - self.schedule.tol
        return metric > self.best + self.schedule.tol

    def state_dict(self) -> dict[str, Any]:
        """The state as plain numbers, for a checkpoint."""
        return {"factor": self.factor, "best": self.best, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what :meth:`state_dict` gave; nothing is changed when it does not fit.

        Parameters
        ----------
        state : dict

        Raises
        ------
        ValueError, TypeError, KeyError
            When it is not such a state.
        """
        missing = {"factor", "best", "waited"} - set(state)
        if missing:
            raise ValueError(f"state lacks {', '.join(sorted(missing))}")
        factor = check_real(state["factor"], "factor of the state", low=0, high=1)
        best = check_real(state["best"], "best of the state", optional=True)
        waited = check_integer(state["waited"], "waited of the state", low=0)
        self.factor, self.best, self.waited = factor, best, waited


@_registry.add("reduce_on_plateau", "plateau")
@spec
class ReduceOnPlateau(Schedule):
    """Cuts the rate when a metric stops getting better.

    The only schedule with a state: ``state = schedule.start(base)`` begins a training,
    ``state.update(metric)`` after each epoch returns the factor for the base from there on; :meth:`rates`
    itself is constant.

    Parameters
    ----------
    factor : float, default=0.1
        Factor of one cut, greater than 0 and less than 1.
    patience : int, default=10
        Epochs without an improvement that are let pass, at least 0; the one after them cuts.
    min_learning_rate : float, default=0.0
        No cut goes below this; at least 0.
    tol : float, default=1e-4
        A metric that is better by no more than this is not an improvement; at least 0.
    mode : {'min', 'max'}, default='min'
        Whether lower or higher is better; keyword only.

    Examples
    --------
    >>> from fasttrain.schedules import ReduceOnPlateau
    >>> state = ReduceOnPlateau(factor=0.5, patience=1).start()
    >>> [state.update(loss) for loss in (1.0, 0.8, 0.8, 0.8, 0.8)]
    [1.0, 1.0, 1.0, 0.5, 0.5]
    """

    factor: float = real(default=0.1, low=0, high=1, open_low=True, open_high=True)
    patience: int = integer(default=10, low=0)
    min_learning_rate: float = real(default=0.0, low=0)
    tol: float = real(default=1e-4, low=0)
    mode: str = choice(default="min", accepted=("min", "max"), kw_only=True)

    def start(self, base: float | None = None) -> PlateauState:
        """State of a new training.

        Parameters
        ----------
        base : float or None, default=None
            Its learning rate, of which ``min_learning_rate`` makes the smallest factor.

        Returns
        -------
        PlateauState
        """
        if base is None:
            return PlateauState(self)
        base = check_real(base, "base", low=0)
        return PlateauState(self, min(1.0, self.min_learning_rate / base) if base > 0 else 1.0)

    def _rates(self, base, steps, steps_per_epoch, total_steps):
        return np.full(steps.shape, max(base, self.min_learning_rate))


def get(schedule: ScheduleName | Schedule | type[Schedule] | None) -> Schedule:
    """The schedule that ``schedule`` stands for: a spec as it is, a class or name its default, None Constant.

    Parameters
    ----------
    schedule : str, Schedule or subclass of it, or None
        Names are those of :func:`names`, and their aliases.

    Returns
    -------
    Schedule

    Raises
    ------
    ValueError, TypeError
        For anything else; the message lists the names.

    Examples
    --------
    >>> from fasttrain import schedules
    >>> schedules.get("step_decay")
    StepDecay(step_size=10, gamma=0.1)
    """
    return _registry.get(schedule)


def names() -> tuple[str, ...]:
    """Names that :func:`get` takes, aliases left out."""
    return _registry.names

publish(globals())
