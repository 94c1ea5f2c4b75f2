"""Keras's names on fasttrain's engine: ``from fasttrain import keras`` in place of ``import keras``.

Classes and strings here have Keras 3's names, defaults and conventions, which differ in places from the rest of
fasttrain's: mean squared error is the mean over outputs, Adam's epsilon is 1e-7, ``L2(l2)`` is ``l2 * sum w^2``. They
are made for :class:`fasttrain.models.Sequential`.

``models`` has Sequential, ``layers`` its layers, the other modules Keras's objects by its names (``_config``), ``ops``
what a loss of one's own is written in. Inside, ``_layered`` is a model before it is compiled, ``_chain`` what the
engine sees of its layers, ``_functional`` how layers that are called on one another become such a stack, ``_data`` and
``_streams`` its rows, ``_objective`` what it minimizes, ``_fit`` its training, ``_files`` and ``_keras_files`` how it
is saved, ``_absent`` what stays out.

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

from fasttrain.keras._absent import absent

# Where each name really lives; nothing is imported before it is used.
_MODULES = (
    "activations", "backend", "callbacks", "config", "constraints", "initializers", "layers", "losses", "metrics",
    "models", "ops", "optimizers", "regularizers", "saving", "utils",
)
_NAMES = {
    "Input": "layers", "KerasTensor": "layers", "Layer": "layers", "Loss": "losses", "Metric": "metrics",
    "Model": "models", "Optimizer": "optimizers", "Regularizer": "regularizers", "Initializer": "initializers",
    "Sequential": "models", "Variable": "_variables",
}

__all__ = [*_NAMES, *_MODULES]

_absent = absent(__name__, __all__)


def __getattr__(name):
    if name in _MODULES:
        return importlib.import_module(f"fasttrain.keras.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(f"fasttrain.keras.{_NAMES[name]}"), name)
    return _absent(name)


def __dir__():
    return sorted(__all__)
