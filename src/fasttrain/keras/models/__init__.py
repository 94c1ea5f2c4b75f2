"""Keras's Sequential on fasttrain's dense engine.

Examples
--------
>>> import numpy as np
>>> from fasttrain.keras.layers import Dense, Input
>>> from fasttrain.models import Sequential
>>> X = np.linspace(-1, 1, 64).reshape(-1, 1)
>>> model = Sequential([Input(shape=(1,)), Dense(16, activation="tanh"), Dense(1)])
>>> model.compile(optimizer="adam", loss="mse", metrics=["mae"])
>>> history = model.fit(X, X**2, epochs=3, batch_size=16, verbose=0)
>>> sorted(history.history)
['loss', 'mae']
>>> model.predict(X).shape
(64, 1)
"""

from fasttrain._core.public import publish
from fasttrain.keras._absent import absent
from fasttrain.keras.callbacks import History
from fasttrain.keras.models._making import clone_model, load_model, model_from_json, save_model
from fasttrain.keras.models._sequential import Model, Sequential

__all__ = ["History", "Model", "Sequential", "clone_model", "load_model", "model_from_json", "save_model"]

__getattr__ = absent(__name__, __all__)

publish(globals())
