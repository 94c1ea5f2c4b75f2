"""Keras's learning-rate schedules: functions of the number of steps made before.

Each is called with that number, or with an array of them, and gives the rate of the next step.

Examples
--------
>>> from fasttrain.keras.optimizers import SGD
>>> from fasttrain.keras.optimizers.schedules import ExponentialDecay
>>> decay = ExponentialDecay(0.1, decay_steps=100, decay_rate=0.5)
>>> decay(0), decay(200)
(0.1, 0.025)
>>> SGD(decay, momentum=0.9).learning_rate
0.1
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fasttrain._core.checks import check_flag, check_real
from fasttrain.keras._config import Configured, deserializer, registry, serialized

__all__ = [
    "CosineDecay", "CosineDecayRestarts", "ExponentialDecay", "InverseTimeDecay", "LearningRateSchedule",
    "PiecewiseConstantDecay", "PolynomialDecay", "deserialize", "serialize",
]


class LearningRateSchedule(Configured):
    """Base of the schedules; one of one's own has ``__call__(step)``."""

    def __call__(self, step: Any) -> Any:
        """The rate of the step after ``step`` ones, a float; an array of them for an array."""
        rates = self._rates(np.asarray(step, dtype=np.float64))
        return rates if np.ndim(rates) else float(rates)

    def _rates(self, step):
        raise NotImplementedError(f"{type(self).__name__} must have a method __call__(step)")

    def rates(self, first_step: int, count: int) -> Any:
        """The rates of ``count`` steps after ``first_step`` ones, a float64 array."""
        steps = np.arange(first_step, first_step + count)
        if type(self).__call__ is not LearningRateSchedule.__call__:
            return np.array([float(self(step)) for step in steps])
        return np.broadcast_to(self(steps), steps.shape)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same schedule, by their names."""
        if not hasattr(self, "_config"):
            raise NotImplementedError(f"{type(self).__name__} must have a method get_config() to be saved")
        return dict(self._config)


_registry = registry("schedule", LearningRateSchedule)


def _positive(value, name):
    return check_real(value, name, low=0, open_low=True)


def _steps_of(progress, staircase):
    return np.floor(progress) if staircase else progress


@_registry.add("exponential_decay")
class ExponentialDecay(LearningRateSchedule):
    """``initial * decay_rate^(step / decay_steps)``.

    Parameters
    ----------
    initial_learning_rate : float
        At least 0.
    decay_steps : float
        Greater than 0.
    decay_rate : float
        Greater than 0.
    staircase : bool, default=False
        Take the whole part of the power.
    """

    def __init__(self, initial_learning_rate: float, decay_steps: float, decay_rate: float, staircase: bool = False,
                 name: str = "ExponentialDecay") -> None:
        check_flag(staircase, "staircase")
        self._config = {
            "initial_learning_rate": check_real(initial_learning_rate, "initial_learning_rate", low=0),
            "decay_steps": _positive(decay_steps, "decay_steps"),
            "decay_rate": _positive(decay_rate, "decay_rate"), "staircase": bool(staircase), "name": name,
        }

    def _rates(self, step):
        c = self._config
        return c["initial_learning_rate"] * c["decay_rate"] ** _steps_of(step / c["decay_steps"], c["staircase"])


@_registry.add("inverse_time_decay")
class InverseTimeDecay(LearningRateSchedule):
    """``initial / (1 + decay_rate * step / decay_steps)``.

    Parameters
    ----------
    initial_learning_rate : float
        At least 0.
    decay_steps : float
        Greater than 0.
    decay_rate : float
        At least 0.
    staircase : bool, default=False
        Take the whole part of ``step / decay_steps``.
    """

    def __init__(self, initial_learning_rate: float, decay_steps: float, decay_rate: float, staircase: bool = False,
                 name: str = "InverseTimeDecay") -> None:
        check_flag(staircase, "staircase")
        self._config = {
            "initial_learning_rate": check_real(initial_learning_rate, "initial_learning_rate", low=0),
            "decay_steps": _positive(decay_steps, "decay_steps"),
            "decay_rate": check_real(decay_rate, "decay_rate", low=0), "staircase": bool(staircase), "name": name,
        }

    def _rates(self, step):
        c = self._config
        return c["initial_learning_rate"] / (
            1 + c["decay_rate"] * _steps_of(step / c["decay_steps"], c["staircase"]))


@_registry.add("piecewise_constant_decay")
class PiecewiseConstantDecay(LearningRateSchedule):
    """``values[i]`` up to and with step ``boundaries[i]``, the last value after them all.

    Parameters
    ----------
    boundaries : list of float
        Ascending.
    values : list of float
        One more than boundaries; at least 0.
    """

    def __init__(self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant") -> None:
        boundaries = [check_real(one, "boundaries") for one in boundaries]
        values = [check_real(one, "values", low=0) for one in values]
        if len(boundaries) != len(values) - 1:
            raise ValueError(f"values must be one more than boundaries, {len(boundaries) + 1}, got {len(values)}")
        if boundaries != sorted(boundaries):
            raise ValueError(f"boundaries must ascend, got {boundaries}")
        self._config = {"boundaries": boundaries, "values": values, "name": name}

    def _rates(self, step):
        return np.asarray(self._config["values"])[np.searchsorted(self._config["boundaries"], step, side="left")]


@_registry.add("polynomial_decay")
class PolynomialDecay(LearningRateSchedule):
    """From the initial rate to the last one: ``(initial - end) (1 - step / decay_steps)^power + end``.

    Parameters
    ----------
    initial_learning_rate : float
        At least 0.
    decay_steps : float
        Greater than 0.
    end_learning_rate : float, default=1e-4
        At least 0.
    power : float, default=1.0
        Greater than 0.
    cycle : bool, default=False
        Once it is down, go on with the least multiple of ``decay_steps`` that is not behind.
    """

    def __init__(self, initial_learning_rate: float, decay_steps: float, end_learning_rate: float = 0.0001,
                 power: float = 1.0, cycle: bool = False, name: str = "PolynomialDecay") -> None:
        check_flag(cycle, "cycle")
        self._config = {
            "initial_learning_rate": check_real(initial_learning_rate, "initial_learning_rate", low=0),
            "decay_steps": _positive(decay_steps, "decay_steps"),
            "end_learning_rate": check_real(end_learning_rate, "end_learning_rate", low=0),
            "power": _positive(power, "power"), "cycle": bool(cycle), "name": name,
        }

    def _rates(self, step):
        c = self._config
        total = c["decay_steps"]
        if c["cycle"]:
            total = total * np.maximum(np.ceil(step / total), 1)
        else:
            step = np.minimum(step, total)
        end = c["end_learning_rate"]
        return (c["initial_learning_rate"] - end) * (1 - step / total) ** c["power"] + end


def _half_cosine(progress, alpha, height=1.0):
    return (1 - alpha) * height * 0.5 * (1 + np.cos(np.pi * progress)) + alpha


@_registry.add("cosine_decay")
class CosineDecay(LearningRateSchedule):
    """Along half a cosine to ``alpha`` times the rate it starts from (Loshchilov and Hutter 2017, no restarts).

    Parameters
    ----------
    initial_learning_rate : float
        At least 0.
    decay_steps : float
        Greater than 0.
    alpha : float, default=0.0
        At least 0.
    warmup_target : float, default=None
        Given, the rate first goes along a line from the initial one to this in ``warmup_steps``, and down from it.
    warmup_steps : float, default=0
        At least 0.
    """

    def __init__(self, initial_learning_rate: float, decay_steps: float, alpha: float = 0.0, name: str = "CosineDecay",
                 warmup_target: float | None = None, warmup_steps: float = 0) -> None:
        self._config = {
            "initial_learning_rate": check_real(initial_learning_rate, "initial_learning_rate", low=0),
            "decay_steps": _positive(decay_steps, "decay_steps"), "alpha": check_real(alpha, "alpha", low=0),
            "name": name, "warmup_target": check_real(warmup_target, "warmup_target", low=0, optional=True),
            "warmup_steps": check_real(warmup_steps, "warmup_steps", low=0),
        }

    def _rates(self, step):
        c = self._config
        start, total, target = c["initial_learning_rate"], c["decay_steps"], c["warmup_target"]
        if target is None:
            return start * _half_cosine(np.minimum(step, total) / total, c["alpha"])
        first = c["warmup_steps"]
        falling = target * _half_cosine(np.clip(step - first, 0, total) / total, c["alpha"])
        return np.where(step < first, start + (target - start) * step / max(first, 1), falling)


@_registry.add("cosine_decay_restarts")
class CosineDecayRestarts(LearningRateSchedule):
    """Half a cosine after the other, each ``t_mul`` times as long and ``m_mul`` times as high as the one before.

    Loshchilov and Hutter 2017.

    Parameters
    ----------
    initial_learning_rate : float
        At least 0.
    first_decay_steps : float
        Greater than 0.
    t_mul : float, default=2.0
        At least 1.
    m_mul : float, default=1.0
        Greater than 0.
    alpha : float, default=0.0
        At least 0.
    """

    def __init__(self, initial_learning_rate: float, first_decay_steps: float, t_mul: float = 2.0, m_mul: float = 1.0,
                 alpha: float = 0.0, name: str = "SGDRDecay") -> None:
        self._config = {
            "initial_learning_rate": check_real(initial_learning_rate, "initial_learning_rate", low=0),
            "first_decay_steps": _positive(first_decay_steps, "first_decay_steps"),
            "t_mul": check_real(t_mul, "t_mul", low=1), "m_mul": _positive(m_mul, "m_mul"),
            "alpha": check_real(alpha, "alpha", low=0), "name": name,
        }

    def _rates(self, step):
        c = self._config
        progress, factor = step / c["first_decay_steps"], c["t_mul"]
        if factor == 1:
            number = np.floor(progress)
            progress = progress - number
        else:
            # the halves before the n-th take (1 - t^n) / (1 - t) of the first
            number = np.floor(np.log(1 - progress * (1 - factor)) / np.log(factor))
            progress = (progress - (1 - factor**number) / (1 - factor)) / factor**number
        # what is left at the end does not shrink with the heights
        return c["initial_learning_rate"] * _half_cosine(progress, c["alpha"], c["m_mul"] ** number)


serialize, deserialize = serialized, deserializer(_registry.get)
