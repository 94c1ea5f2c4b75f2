"""Checkpoints of trainings: see :mod:`fasttrain.training.checkpoints`."""

from fasttrain._core.public import publish
from fasttrain.training.checkpoints import Checkpoint, load_checkpoint

__all__ = ["Checkpoint", "load_checkpoint"]

publish(globals())
