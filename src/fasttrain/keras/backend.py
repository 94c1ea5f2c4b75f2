"""Keras's settings where they were once: see :mod:`fasttrain.keras.config`."""

from fasttrain._core.public import publish
from fasttrain.keras.config import backend, epsilon, floatx, set_floatx
from fasttrain.keras.utils import clear_session

__all__ = ["backend", "clear_session", "epsilon", "floatx", "set_floatx"]

publish(globals())
