"""Keras's settings, as far as they say something here."""

import numpy as np


__all__ = ["backend", "disable_interactive_logging", "epsilon", "floatx", "set_floatx"]


def backend():
    """``'fasttrain'``."""
    return "fasttrain"


def floatx():
    """``'float32'``: what layers compute in that are not told a dtype."""
    return "float32"


def set_floatx(value):
    """Must be 'float32'; ``dtype`` of a layer says more."""
    if np.dtype(value) != np.float32:
        raise ValueError(f"value must be 'float32'; give the first layer dtype='float64' instead, got {value!r}")


def epsilon():
    """1e-7: what logarithms and quotients are kept away from 0 by."""
    return 1e-7


def disable_interactive_logging():
    """Nothing: ``verbose`` says what is printed."""
