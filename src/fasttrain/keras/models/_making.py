"""Models from files, descriptions and other models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fasttrain._core.types import PathLike
from fasttrain.keras import _files
from fasttrain.keras.layers import Layer, deserialize as layer_of
from fasttrain.keras.models._sequential import Sequential


def save_model(model: Any, filepath: PathLike, overwrite: bool = True) -> None:
    """``model.save(filepath, overwrite)``."""
    model.save(filepath, overwrite)


def load_model(filepath: PathLike, custom_objects: None = None, compile: bool = True, safe_mode: bool = True) -> Any:
    """The model of a folder or file that :meth:`Sequential.save`, or Keras 3, wrote.

    Parameters
    ----------
    filepath : path
    custom_objects : None
        Others raise ValueError: what is loaded is plain data only.
    compile : bool, default=True
        Whether to compile it as it was, the optimizer's memory included.
    safe_mode : bool, default=True
        Not used: nothing that is loaded is code.

    Raises
    ------
    ValueError
        When a file is missing, cut short, changed, or does not describe a model of the layers that there are; the
        message names it, and the place in it.
    """
    _files.no_custom_objects(custom_objects)
    return _files.load_model(filepath, compile, Sequential)


def model_from_json(json_string: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """A model of the layers that :meth:`Sequential.to_json`, or Keras's, described, with weights of its own."""
    _files.no_custom_objects(custom_objects)
    return _files.from_json(json_string, Sequential)


def clone_model(model: Sequential, input_tensors: None = None, clone_function: Callable[..., Any] | None = None) -> Any:
    """A model of the same layers and name, with weights of its own, not compiled.

    Parameters
    ----------
    model : Sequential
    input_tensors : None
        Others raise ValueError.
    clone_function : callable, default=None
        From a layer to the one that takes its place.
    """
    if input_tensors is not None:
        raise ValueError(f"input_tensors must be None, got {input_tensors!r}")
    if not isinstance(model, Sequential):
        raise TypeError(f"model must be a Sequential, got {type(model).__name__}")
    clone = Sequential(name=model.name)
    for layer in ([] if model._input is None else [model._input]):
        clone.add(_files.layer_from(
            {"class_name": "InputLayer", "config": layer.get_config(), "given_shape": layer.given_shape}))
    for layer in model.layers:
        made = layer_of({"class_name": type(layer).__name__, "config": layer.get_config()}) if (
            clone_function is None) else clone_function(layer)
        if not isinstance(made, Layer):
            raise TypeError(f"clone_function must give a layer, got {type(made).__name__}")
        if made.given_shape is None:
            made.given_shape = layer.given_shape
        clone.add(made)
    if model.built and not clone.built:
        clone.build(model.input_shape)
    return clone
