"""Data and models that the tests of Sequential share."""

import numpy as np

from fasttrain.keras import layers
from fasttrain.models import Sequential

rng = np.random.default_rng(0)
X = rng.normal(size=(120, 6)).astype("float32")
CODES = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)
BINARY = (X[:, 0] + X[:, 1] > 0).astype(int)
REAL = (X @ rng.normal(size=(6, 2))).astype("float32")


def classifier(**options):
    model = Sequential([layers.Input(shape=(6,)), layers.Dense(16, "relu"), layers.Dense(3, "softmax")])
    defaults = {"optimizer": "adam", "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
    model.compile(**{**defaults, **options})
    return model


def same(one, other):
    return all(a.tobytes() == b.tobytes() for a, b in zip(one.get_weights(), other.get_weights(), strict=True))
