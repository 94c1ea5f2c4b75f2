"""A network seen from Python: what it is told to do, its state in arrays of no special layout, what it predicts."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from fasttrain._core.checks import is_number
from fasttrain._core.slices import slices
from fasttrain._kernels.losses import loss_and_gradient
from fasttrain._kernels.network import Network
from fasttrain.optimizers._state import may_hold

# Longest stretch of compiled work between two looks for Ctrl-C.
SLICE_SECONDS = 0.05
# Predictions take as long for so many multiply-adds on the slowest core that matters; slices are whole numbers of rows.
SLICE_MULTIPLY_ADDS = 1 << 29
SLICE_ROWS = 4096


def configure(network: Network, loss: Any, optimizer: Any, penalty: Any) -> None:
    """Tell the engine what to minimize and how; the specs are those of losses, optimizers and penalties."""
    network.set_loss(loss.name, loss.parameter)
    network.set_penalty(penalty.l1, penalty.l2)
    if optimizer.rule != "lbfgs":
        settings = optimizer.settings()
        if optimizer.clip_norm is not None:
            settings["clip_norm"] = optimizer.clip_norm
        network.set_optimizer(optimizer.rule, optimizer.slots, settings, optimizer.initial_state)


def remembered(network, activations=()):
    """All that an optimizer remembers, in arrays that do not depend on the engine's layout; None without a network.

    ``activations`` are the (name, parameter) of the hidden layers.
    """
    if network is None:
        return None
    return {
        "rule": network.rule, "fit_intercept": network.fit_intercept, "normalize": network.normalize,
        "activations": list(activations), **network_state(network),
    }


def engine_of(memory):
    """The network that :func:`remembered` was made from."""
    coefs = memory["trained"]["parameters"]["coefs"]
    network = Network(
        coefs[0].shape[0], coefs[-1].shape[1], coefs[0].dtype, memory["fit_intercept"],
        hidden=[coef.shape[1] for coef in coefs[:-1]], activations=memory["activations"],
        normalize=memory["normalize"],
    )
    network.set_optimizer(memory["rule"], tuple(memory["slots"]), {})
    if "average" in memory["trained"]:
        network.set_averaging("ema")
    restore_network(network, memory)
    return network


class NetworkAt:
    """A network's architecture, loss and parameters, for a process elsewhere; without data, rule and penalty."""

    def __init__(self, network):
        self.layers = network.unpack_layers(network.parameters)
        self.options = {
            "dtype": network.dtype, "fit_intercept": network.fit_intercept, "activations": network.activations}
        self.loss = network.loss

    def made(self):
        """A new network of its own."""
        coefs, intercepts = self.layers
        network = Network(
            coefs[0].shape[0], coefs[-1].shape[1], hidden=[coef.shape[1] for coef in coefs[:-1]], **self.options)
        network.pack_layers(coefs, intercepts, network.parameters)
        network.set_loss(*self.loss)
        return network


def network_state(network):
    """All that a network remembers, in arrays that do not depend on the engine's layout."""
    return {
        "trained": to_layers(network, snapshot(network)),
        "slots": {slot: array_to_layers(network, array) for slot, array in network.state.items()},
        "counters": dict(network.counters),
        "seed": int(network.seed),
    }


def restore_network(network, state):
    """Give a network what :func:`network_state` told of one of the same architecture and rule."""
    restore(network, from_layers(network, state["trained"]))
    for slot, layers in state["slots"].items():
        network.state[slot][:] = array_from_layers(network, layers)
    network.counters = state["counters"]
    network.set_seed(state["seed"])


# Steps that a float64 tells from one more.
_MOST_STEPS = 2**53


def check_memory(rule, memory, wanted, dtype):
    """ValueError unless ``slots`` and ``counters`` from a file, as :func:`network_state` has them, are what a rule's
    memory may be; the engine takes them on trust.

    ``wanted``: from coefs, intercepts, gains and shifts to the shapes of their arrays.
    """
    t, carried = memory["counters"]["t"], memory["counters"]["carried"]
    whole = is_number(t) and 0 <= t <= _MOST_STEPS and t % 1 == 0
    if not (whole and is_number(carried) and 0 <= carried <= sys.float_info.max):
        raise ValueError(
            f"the optimizer's counters must be a number of steps and a number >= 0, got {t!r} and {carried!r}")
    for slot, layers in memory["slots"].items():
        check_layers(slot, layers, wanted, dtype)
        if not all(may_hold(rule, slot, array) for part in wanted for array in layers[part]):
            raise ValueError(f"{slot} of {rule} must hold numbers >= 0")


def check_layers(name, layers, wanted, dtype):
    """ValueError unless the parts of an array from a file, layer by layer, have the shapes ``wanted``."""
    for part, shapes in wanted.items():
        found = [array.shape for array in layers[part]]
        if found != shapes:
            raise ValueError(f"{part} of {name} must fit the layers, with arrays of shapes {shapes}, got {found}")
        for array in layers[part]:
            if array.dtype != dtype:
                raise ValueError(f"{part} of {name} must hold finite numbers of {dtype}, got {array.dtype}")


# What training changes and prediction needs, as attributes of a network that may be None or empty: arrays in the
# layout of the parameters, and statistics of normalized layers.
TRAINED = ("parameters", "average")
STATISTICS = ("moving_mean", "moving_variance")


def snapshot(network):
    """A copy of all that training changed and prediction needs, for :func:`restore`; in the engine's layout."""
    arrays = {name: getattr(network, name) for name in TRAINED + STATISTICS}
    return {name: array.copy() for name, array in arrays.items() if array is not None and len(array)}


def restore(network, taken):
    """Give the network what :func:`snapshot` copied."""
    for name, array in taken.items():
        getattr(network, name)[:] = array


def array_to_layers(network, packed):
    """Copies of the parts, layer by layer, of an array in the layout of the parameters."""
    coefs, intercepts = network.unpack_layers(packed)
    normalized = network.gains_and_shifts(packed)
    return {
        "coefs": coefs, "intercepts": intercepts,
        "gains": [gain.copy() for gain, _ in normalized], "shifts": [shift.copy() for _, shift in normalized],
    }


def array_from_layers(network, layers):
    """The reverse of :func:`array_to_layers`."""
    packed = network.pack_layers(layers["coefs"], layers["intercepts"])
    for (gain, shift), *new in zip(network.gains_and_shifts(packed), layers["gains"], layers["shifts"], strict=True):
        gain[:], shift[:] = new
    return packed


def to_layers(network, taken):
    """What :func:`snapshot` copied in a form that does not depend on the engine's layout, for files."""
    layers = {name: array_to_layers(network, taken[name]) for name in TRAINED if name in taken}
    if "moving_mean" in taken:
        moving = network.moving_statistics(taken["moving_mean"], taken["moving_variance"])
        layers["moving_mean"] = [mean.copy() for mean, _ in moving]
        layers["moving_variance"] = [variance.copy() for _, variance in moving]
    return layers


def from_layers(network, layers):
    """The reverse of :func:`to_layers`."""
    taken = {name: array_from_layers(network, layers[name]) for name in TRAINED if name in layers}
    if "moving_mean" in layers:
        taken["moving_mean"], taken["moving_variance"] = network.moving_mean.copy(), network.moving_variance.copy()
        moving = network.moving_statistics(taken["moving_mean"], taken["moving_variance"])
        for (mean, variance), *new in zip(moving, layers["moving_mean"], layers["moving_variance"], strict=True):
            mean[:], variance[:] = new
    return taken


def raw_predict(network, X, threads):
    """The network's raw predictions of X, dense or CSR, in slices between which Ctrl-C is heard."""
    step = max(SLICE_ROWS, SLICE_MULTIPLY_ADDS // network.parameters.size // SLICE_ROWS * SLICE_ROWS)
    if X.shape[0] <= step:
        return _raw_predict(network, X, threads)
    return np.concatenate([_raw_predict(network, X, threads, rows) for rows in slices(X.shape[0], cells=step)])


def _raw_predict(network, X, threads, rows=None):
    if isinstance(X, np.ndarray):
        return network.raw_predict(X if rows is None else X[rows], threads)
    if rows is None:
        return network.raw_predict_csr(X.data, X.indices, X.indptr, threads)
    indptr = X.indptr[rows.start:rows.stop + 1]
    values = slice(indptr[0], indptr[-1])
    return network.raw_predict_csr(X.data[values], X.indices[values], indptr - indptr[0], threads)


def mean_loss(network, loss, X, target, sample_weight, threads):
    """Weighted mean over rows of the network's loss on X, its outputs' losses added up."""
    raw, y, weight = raw_predict(network, X, threads), target, sample_weight
    total = float(X.shape[0]) if weight is None else float(weight.sum(dtype=np.float64))
    if weight is not None and loss.targets != "classes" and raw.shape[1] > 1:
        weight = np.repeat(weight, raw.shape[1])
        y, raw = y.reshape(-1, 1), raw.reshape(-1, 1)
    return loss_and_gradient(loss.name, y, raw, weight, loss.parameter, None, True, threads) / total
