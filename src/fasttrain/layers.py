"""Keras's layers: see :mod:`fasttrain.keras.layers`."""

from fasttrain.keras.layers import *  # noqa: F403
from fasttrain.keras.layers import __all__  # noqa: F401
