"""Keras's layers: see :mod:`fasttrain.keras.layers`."""

from fasttrain._core.public import publish
from fasttrain.keras.layers import *  # noqa: F403
from fasttrain.keras.layers import __all__  # noqa: F401

publish(globals())
