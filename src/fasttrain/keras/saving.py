"""Where Keras has the functions that load and save models; see :mod:`fasttrain.keras.models`."""

from fasttrain.keras._absent import absent
from fasttrain.keras.models import load_model, save_model

__all__ = ["load_model", "load_weights", "register_keras_serializable", "save_model", "save_weights"]


def save_weights(model, filepath, overwrite=True, **kwargs):
    """``model.save_weights(filepath, overwrite)``."""
    if kwargs:
        raise ValueError(f"only model, filepath and overwrite are taken, got {', '.join(kwargs)}")
    model.save_weights(filepath, overwrite)


def load_weights(model, filepath, **kwargs):
    """``model.load_weights(filepath)``."""
    if kwargs:
        raise ValueError(f"only model and filepath are taken, got {', '.join(kwargs)}")
    model.load_weights(filepath)


def register_keras_serializable(package="Custom", name=None):
    """A decorator that changes nothing: objects of one's own are not saved."""
    return lambda thing: thing


__getattr__ = absent(__name__, __all__)
