"""What outlives a fit, and what must not when it fails: the optimizer's memory, the attributes of before."""

from contextlib import contextmanager

import numpy as np

from fasttrain._kernels.losses import loss_and_gradient
from fasttrain._kernels.network import Network


@contextmanager
def all_or_nothing(estimator):
    """Put back the estimator's attributes, and what its optimizer remembers, when the block raises."""
    before = dict(vars(estimator))
    memory = remembered(before.get("_engine"), before.get("_hidden", ()))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        if memory is not None:
            estimator._engine = engine_of(memory)
        raise


def remembered(network, activations=()):
    """All that an optimizer remembers, in arrays that do not depend on the engine's layout; None without a network.

    ``activations`` are the (name, parameter) of the hidden layers.
    """
    if network is None:
        return None
    return {
        "rule": network.rule, "counters": network.counters, "fit_intercept": network.fit_intercept,
        "slots": {slot: network.unpack_layers(array) for slot, array in network.state.items()},
        "parameters": network.unpack_layers(network.parameters), "activations": list(activations),
    }


def engine_of(memory):
    """The network that :func:`remembered` was made from."""
    coefs, intercepts = memory["parameters"]
    network = Network(
        coefs[0].shape[0], coefs[-1].shape[1], coefs[0].dtype, memory["fit_intercept"],
        hidden=[coef.shape[1] for coef in coefs[:-1]], activations=memory["activations"],
    )
    network.parameters[:] = network.pack_layers(coefs, intercepts)
    network.set_optimizer(memory["rule"], tuple(memory["slots"]), {})
    for slot, (weights, biases) in memory["slots"].items():
        network.state[slot][:] = network.pack_layers(weights, biases)
    network.counters = memory["counters"]
    return network


# What training changes and prediction needs, as attributes of a network: arrays in the engine's layout, or None.
TRAINED = ("parameters", "averaged")


def take(network):
    """A copy of all that training changed and prediction needs, for :func:`put_back`; in the engine's layout."""
    arrays = {name: getattr(network, name, None) for name in TRAINED}
    return {name: array.copy() for name, array in arrays.items() if array is not None}


def put_back(network, taken):
    """Give the network what :func:`take` copied."""
    for name, array in taken.items():
        getattr(network, name)[:] = array


def to_layers(network, taken):
    """What :func:`take` copied in a form that does not depend on the engine's layout, for files."""
    return {name: network.unpack_layers(array) for name, array in taken.items()}


def from_layers(network, layers):
    """The reverse of :func:`to_layers`."""
    return {name: network.pack_layers(*parts) for name, parts in layers.items()}


def mean_loss(network, loss, X, target, sample_weight, threads):
    """Weighted mean over rows of the network's loss on X, its outputs' losses added up."""
    raw, y, weight = network.raw_predict(X, threads), target, sample_weight
    total = float(len(X)) if weight is None else float(weight.sum(dtype=np.float64))
    if weight is not None and loss.targets != "classes" and raw.shape[1] > 1:
        weight = np.repeat(weight, raw.shape[1])
        y, raw = y.reshape(-1, 1), raw.reshape(-1, 1)
    return loss_and_gradient(loss.name, y, raw, weight, loss.parameter, None, True, threads) / total
