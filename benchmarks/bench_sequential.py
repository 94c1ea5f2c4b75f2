"""Sequential against Keras itself on the JAX backend: epochs with metrics, single batches, predictions of few rows."""

import os

import numpy as np
import pytest

from fasttrain import keras as ours

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
try:
    import keras
except ImportError:
    keras = None

NETS = {
    "20-16-1, batch 32": ((20, 16, 1), 32, 20_000, 7),
    "100-64-32-1, batch 32": ((100, 64, 32, 1), 32, 20_000, 3.5),
    "784-128-10, batch 200": ((784, 128, 10), 200, 20_000, 1.6),
}


def model_of(library, widths):
    rows = [library.layers.Dense(width, "relu") for width in widths[1:-1]]
    model = library.Sequential([library.Input((widths[0],)), *rows])
    model.add(library.layers.Dense(widths[-1], "sigmoid" if widths[-1] == 1 else "softmax"))
    loss = "binary_crossentropy" if widths[-1] == 1 else "sparse_categorical_crossentropy"
    model.compile("adam", loss, metrics=["accuracy"])
    return model


def models(widths):
    found = {"fasttrain": model_of(ours, widths)}
    if keras is not None:
        found["Keras (JAX)"] = model_of(keras, widths)
    return found


def data(widths, n):
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, widths[0])).astype("float32"), rng.integers(0, max(2, widths[-1]), n)


@pytest.mark.parametrize("net", NETS)
def bench_epoch(compare, net):
    widths, batch, n, target = NETS[net]
    X, y = data(widths, n)
    functions = {
        label: lambda model=model: model.fit(X, y, batch_size=batch, verbose=0)
        for label, model in models(widths).items()
    }
    compare("Sequential", f"an epoch of {n} rows with accuracy, {net}", functions, target=target,
            ratio_to="Keras (JAX)" if keras is not None else None, rounds=5)


def bench_train_on_batch(compare):
    widths, batch, n, _ = NETS["100-64-32-1, batch 32"]
    X, y = data(widths, batch)
    functions = {
        label: lambda model=model: [model.train_on_batch(X, y) for _ in range(100)]
        for label, model in models(widths).items()
    }
    compare("Sequential", "100 calls of train_on_batch, 100-64-32-1, 32 rows", functions, target=5,
            ratio_to="Keras (JAX)" if keras is not None else None, rounds=5)


def bench_predict_on_batch(compare):
    widths = NETS["100-64-32-1, batch 32"][0]
    X, _ = data(widths, 8)
    functions = {
        label: lambda model=model: [model.predict_on_batch(X) for _ in range(100)]
        for label, model in models(widths).items()
    }
    compare("Sequential", "100 calls of predict_on_batch, 100-64-32-1, 8 rows", functions, target=5,
            ratio_to="Keras (JAX)" if keras is not None else None, rounds=5)
