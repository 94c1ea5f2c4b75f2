"""A process that trains with JAX, alone or under Keras, and says how long it took: threads are fixed when JAX starts.

Run as a script it reads lines of JSON: the arguments of :func:`trainer`, which it answers with a number when the
training is compiled, or such a number, for which it trains once and answers with the seconds.
"""

import json
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from itertools import pairwise

import numpy as np

INSTALLED = find_spec("jax") is not None
KERAS_INSTALLED = INSTALLED and find_spec("keras") is not None


class Worker:
    """The process as its parent sees it.

    Parameters
    ----------
    n_threads : int
        Cores that it may use.
    """

    def __init__(self, n_threads):
        cores = sorted(os.sched_getaffinity(0))[-n_threads:]
        self._process = subprocess.Popen(
            [sys.executable, __file__, ",".join(map(str, cores))], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        )

    def prepare(self, **what):
        """Compile ``what``, the arguments of :func:`trainer`; a function that trains once."""
        number = self._ask(what)
        return lambda: self._ask(number)

    def _ask(self, question):
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the JAX process ended with status {self._process.wait()}")
        return json.loads(answer)

    def close(self):
        self._process.stdin.close()
        self._process.wait()


def trainer(units, batch, n_steps, n_epochs, keras):
    """A function that trains ``n_epochs`` of ``n_steps`` with Adam in float32."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((batch * n_steps, units[0]), dtype=np.float32)
    y = rng.integers(max(units[-1], 2), size=len(X)).astype(np.int32)
    return (with_keras if keras else with_scan)(units, batch, n_epochs, X, y)


def with_keras(units, batch, n_epochs, X, y):
    import keras

    model = keras.Sequential([keras.layers.Input((units[0],))])
    for width in units[1:-1]:
        model.add(keras.layers.Dense(width, activation="relu"))
    model.add(keras.layers.Dense(units[-1]))
    if units[-1] == 1:
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
    else:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=loss)
    return lambda: model.fit(X, y, batch_size=batch, epochs=n_epochs, verbose=0)


def with_scan(units, batch, n_epochs, X, y):
    """One compiled call an epoch, the steps in a scan."""
    import jax
    import jax.numpy as jnp

    rng = np.random.default_rng(1)
    X, y = jnp.asarray(X), jnp.asarray(y)
    layers = [
        (jnp.asarray(rng.uniform(-0.1, 0.1, (a, b)), jnp.float32), jnp.zeros(b, jnp.float32))
        for a, b in pairwise(units)
    ]

    def loss(layers, x, t):
        for w, b in layers[:-1]:
            x = jax.nn.relu(x @ w + b)
        z = x @ layers[-1][0] + layers[-1][1]
        if units[-1] == 1:
            return jnp.mean(jnp.logaddexp(0.0, z[:, 0]) - t * z[:, 0])
        return jnp.mean(jax.nn.logsumexp(z, axis=1) - jnp.take_along_axis(z, t[:, None], 1)[:, 0])

    def step(state, rows):
        layers, m, v, t = state
        g = jax.grad(loss)(layers, X[rows], y[rows])
        t = t + 1
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        rate = 1e-3 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        layers = jax.tree.map(lambda w, m, v: w - rate * m / (jnp.sqrt(v) + 1e-8), layers, m, v)
        return (layers, m, v, t), None

    epoch = jax.jit(lambda state, order: jax.lax.scan(step, state, order)[0], donate_argnums=0)

    def train():
        zeros = jax.tree.map(jnp.zeros_like, layers)
        state = (jax.tree.map(jnp.copy, layers), zeros, jax.tree.map(jnp.copy, zeros), jnp.float32(0))
        for _ in range(n_epochs):
            state = epoch(state, jnp.asarray(rng.permutation(len(X)).reshape(-1, batch)))
        jax.block_until_ready(state)

    return train


def main():
    # before JAX is loaded, which counts the cores then
    os.sched_setaffinity(0, map(int, sys.argv[1].split(",")))
    answers, sys.stdout = sys.stdout, sys.stderr
    made = []
    for line in sys.stdin:
        question = json.loads(line)
        if isinstance(question, dict):
            made.append(trainer(**question))
            made[-1]()
            answer = len(made) - 1
        else:
            start = time.perf_counter()
            made[question]()
            answer = time.perf_counter() - start
        print(answer, file=answers, flush=True)


if __name__ == "__main__":
    main()
