"""Sequential where Keras has it: see :mod:`fasttrain.models`."""

from fasttrain.models import *  # noqa: F403
from fasttrain.models import __all__  # noqa: F401
