"""What an optimizer remembers between its steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from fasttrain._core.checks import check_integer, check_real
from fasttrain._kernels.updates import NEVER_NEGATIVE
from fasttrain._core.types import Array


class OptimizerState:
    """What an optimizer remembers: made by :meth:`fasttrain.optimizers.StepOptimizer.init`, changed by each step.

    Attributes
    ----------
    t : int
        Steps made.
    carried : float
        The number that some rules carry: with a velocity the sum of its decayed rates, for NAdam one minus
        the product of its momentum coefficients.
    slots : dict
        From a slot's name to a list of arrays, one for each parameter, of its shape and dtype.
    """

    def __init__(self, rule: str, keys: tuple[str, ...], slots: dict[str, list[Array]]) -> None:
        self.rule = rule
        self.keys = keys
        self.slots = slots
        self.t: int = 0
        self.carried: float = 0.0

    def __repr__(self) -> str:
        slots = ", ".join(self.slots) or "none"
        return f"<OptimizerState of {self.rule}: t={self.t}, slots: {slots}, arrays: {len(self.keys)}>"

    def state_dict(self) -> dict[str, Any]:
        """A copy of the state in plain dicts, lists, numbers and arrays, for a checkpoint."""
        return {
            "rule": self.rule,
            "t": self.t,
            "carried": self.carried,
            "slots": {slot: [array.copy() for array in arrays] for slot, arrays in self.slots.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state that :meth:`state_dict` gave; nothing is changed when it does not fit.

        Raises
        ------
        ValueError, TypeError
            For another rule, other slots, other shapes or dtypes, a bad ``t``, or squares that are negative.
        """
        missing = {"rule", "t", "carried", "slots"} - set(state)
        if missing:
            raise ValueError(f"state lacks {', '.join(sorted(missing))}")
        if state["rule"] != self.rule:
            raise ValueError(f"state must be of rule {self.rule!r}, got {state['rule']!r}")
        t = check_integer(state["t"], "t of the state", low=0)
        carried = check_real(state["carried"], "carried of the state", low=0)
        if set(state["slots"]) != set(self.slots):
            raise ValueError(f"state must have the slots {tuple(self.slots)}, got {tuple(state['slots'])}")
        for slot, arrays in self.slots.items():
            given = state["slots"][slot]
            if len(given) != len(arrays):
                raise ValueError(f"slot {slot} of the state must hold {len(arrays)} arrays, got {len(given)}")
            for key, own, other in zip(self.keys, arrays, given):
                other = np.asarray(other)
                if other.shape != own.shape or other.dtype != own.dtype:
                    raise ValueError(
                        f"slot {slot} of {key} must have shape {own.shape} and dtype {own.dtype}, "
                        f"got {other.shape} and {other.dtype}"
                    )
                if not may_hold(self.rule, slot, other):
                    raise ValueError(f"slot {slot} of {key} must hold numbers >= 0, got {other.min()}")
        for slot, arrays in self.slots.items():
            for own, other in zip(arrays, state["slots"][slot]):
                own[...] = other
        self.t = t
        self.carried = carried


def may_hold(rule, slot, array):
    """Whether a slot may be this array: what a rule takes the root of is neither negative nor NaN."""
    return slot not in NEVER_NEGATIVE.get(rule, ()) or bool((array >= 0).all())
