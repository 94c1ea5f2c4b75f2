"""The training steps of a small network in other libraries, where they are installed."""

import importlib.util
from itertools import pairwise

import numpy as np


def installed(name):
    """Whether a package is there."""
    return importlib.util.find_spec(name) is not None


def torch_epoch(units, batch, X, y):
    """A function that trains an epoch in PyTorch, with its fused Adam, from new weights."""
    import torch

    inputs = torch.from_numpy(X)
    targets = torch.from_numpy(y.astype(X.dtype) if units[-1] == 1 else y)

    def fit():
        layers = []
        for a, b in pairwise(units):
            layers += [torch.nn.Linear(a, b, dtype=inputs.dtype), torch.nn.ReLU()]
        model = torch.nn.Sequential(*layers[:-1])
        optimizer = torch.optim.Adam(model.parameters(), fused=True)
        loss = torch.nn.BCEWithLogitsLoss() if units[-1] == 1 else torch.nn.CrossEntropyLoss()
        for rows in torch.randperm(len(inputs)).split(batch):
            optimizer.zero_grad()
            z = model(inputs[rows])
            loss(z[:, 0] if units[-1] == 1 else z, targets[rows]).backward()
            optimizer.step()

    return fit


def jax_epoch(units, batch, X, y):
    """A function that trains an epoch in JAX, compiled as one scan over the batches, with Adam, from given weights."""
    import jax
    import jax.numpy as jnp

    rng = np.random.default_rng(0)
    weights = [
        (jnp.asarray(rng.normal(0, (2 / a) ** 0.5, (a, b)), X.dtype), jnp.zeros(b, X.dtype)) for a, b in pairwise(units)
    ]
    n_steps = len(X) // batch
    inputs, targets = jnp.asarray(X), jnp.asarray(y)

    def objective(weights, x, t):
        for W, b in weights[:-1]:
            x = jax.nn.relu(x @ W + b)
        z = x @ weights[-1][0] + weights[-1][1]
        if units[-1] == 1:
            return jnp.mean(jnp.logaddexp(0, z[:, 0]) - t * z[:, 0])
        return jnp.mean(jax.nn.logsumexp(z, axis=1) - jnp.take_along_axis(z, t[:, None], 1)[:, 0])

    @jax.jit
    def epoch(weights, order):
        def step(state, rows):
            weights, m, v, count = state
            gradient = jax.grad(objective)(weights, inputs[rows], targets[rows])
            count = count + 1
            m = jax.tree.map(lambda a, g: 0.9 * a + 0.1 * g, m, gradient)
            v = jax.tree.map(lambda a, g: 0.999 * a + 0.001 * g * g, v, gradient)
            rate = 1e-3 * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
            weights = jax.tree.map(lambda w, a, b: w - rate * a / (jnp.sqrt(b) + 1e-8), weights, m, v)
            return (weights, m, v, count), None

        zeros = jax.tree.map(jnp.zeros_like, weights)
        count = jnp.zeros((), X.dtype)
        return jax.lax.scan(step, (weights, zeros, zeros, count), order)[0][0]

    def fit():
        order = jnp.asarray(rng.permutation(len(X))[: n_steps * batch].reshape(n_steps, batch))
        jax.block_until_ready(epoch(weights, order))

    return fit
