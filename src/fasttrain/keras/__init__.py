"""Keras's names on fasttrain's engine: ``from fasttrain import keras`` in place of ``import keras``.

Classes and strings here have Keras 3's names, defaults and conventions, which differ in places from the rest of
fasttrain's: mean squared error is the mean over outputs, Adam's epsilon is 1e-7, ``L2(l2)`` is ``l2 * sum w^2``. They
are made for :class:`fasttrain.models.Sequential`.

``models`` has Sequential, ``layers`` its layers, the other modules Keras's objects by its names (``_config``).
Inside, ``_layered`` is a model before it is compiled, ``_chain`` what the engine sees of its layers, ``_data`` its
rows, ``_fit`` its training, ``_files`` the folder it is saved in.

Examples
--------
>>> from fasttrain import keras
>>> model = keras.models.Sequential()
>>> model.add(keras.layers.Dense(64, activation="relu", input_dim=100))
>>> model.add(keras.layers.Dense(1, activation="sigmoid"))
>>> model.compile(optimizer=keras.optimizers.SGD(momentum=0.9), loss="binary_crossentropy", metrics=["accuracy"])
>>> model.count_params()
6529
"""

import importlib

# Where each name really lives; nothing is imported before it is used.
_MODULES = (
    "activations", "callbacks", "constraints", "initializers", "layers", "losses", "metrics", "models", "optimizers",
    "regularizers", "utils",
)
_NAMES = {"Sequential": "fasttrain.keras.models", "Input": "fasttrain.keras.layers"}

__all__ = [*_NAMES, *_MODULES]


def __getattr__(name):
    if name in _MODULES:
        return importlib.import_module(f"fasttrain.keras.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'fasttrain.keras' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
