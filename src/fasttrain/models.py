"""Keras's Sequential: see :mod:`fasttrain.keras.models`."""

from fasttrain._core.public import publish
from fasttrain.keras.models import *  # noqa: F403
from fasttrain.keras.models import __all__  # noqa: F401

publish(globals())
