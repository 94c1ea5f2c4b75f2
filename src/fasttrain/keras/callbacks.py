"""The callbacks where Keras has them: see :mod:`fasttrain.callbacks`."""

from fasttrain.callbacks import *  # noqa: F403
from fasttrain.callbacks import __all__  # noqa: F401
