"""The layers where Keras has them: see :mod:`fasttrain.layers`."""

from fasttrain.layers import *  # noqa: F403
from fasttrain.layers import __all__  # noqa: F401
