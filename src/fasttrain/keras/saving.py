"""Where Keras has the functions that load and save models; see :mod:`fasttrain.keras.models`."""

from __future__ import annotations

from typing import Any

from fasttrain._core.public import publish
from fasttrain._core.types import PathLike
from fasttrain.keras._absent import absent
from fasttrain.keras._custom import (
    CustomObjectScope, custom_object_scope, get_custom_objects, get_registered_name, get_registered_object,
    register_keras_serializable,
)
from fasttrain.keras.models import load_model, save_model

__all__ = [
    "CustomObjectScope", "custom_object_scope", "get_custom_objects", "get_registered_name", "get_registered_object",
    "load_model", "load_weights", "register_keras_serializable", "save_model", "save_weights",
]


def save_weights(model: Any, filepath: PathLike, overwrite: bool = True, **kwargs: Any) -> None:
    """``model.save_weights(filepath, overwrite)``."""
    if kwargs:
        raise ValueError(f"only model, filepath and overwrite are taken, got {', '.join(kwargs)}")
    model.save_weights(filepath, overwrite)


def load_weights(model: Any, filepath: PathLike, **kwargs: Any) -> None:
    """``model.load_weights(filepath)``."""
    if kwargs:
        raise ValueError(f"only model and filepath are taken, got {', '.join(kwargs)}")
    model.load_weights(filepath)


__getattr__ = absent(__name__, __all__)

publish(globals())
