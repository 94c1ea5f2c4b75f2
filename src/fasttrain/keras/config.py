"""Keras's settings, as far as they say something here."""

from __future__ import annotations

from typing import Any

import numpy as np

from fasttrain._core.public import publish


__all__ = ["backend", "disable_interactive_logging", "epsilon", "floatx", "set_floatx"]


def backend() -> str:
    """``'fasttrain'``."""
    return "fasttrain"


def floatx() -> str:
    """``'float32'``: what layers compute in that are not told a dtype."""
    return "float32"


def set_floatx(value: Any) -> None:
    """Must be 'float32'; ``dtype`` of a layer says more."""
    if np.dtype(value) != np.float32:
        raise ValueError(f"value must be 'float32'; give the first layer dtype='float64' instead, got {value!r}")


def epsilon() -> float:
    """1e-7: what logarithms and quotients are kept away from 0 by."""
    return 1e-7


def disable_interactive_logging() -> None:
    """Nothing: ``verbose`` says what is printed."""

publish(globals())
