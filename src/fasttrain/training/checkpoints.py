"""Checkpoints: a training on disk, to go on from as if it had never been interrupted.

:class:`fasttrain.callbacks.ModelCheckpoint` writes them and ``fit(..., resume_from=path)`` goes on from them: the same
data and parameters then give the same bytes as a fit that ran through. A folder holds all that the training remembers,
as JSON and raw arrays in the format of :mod:`fasttrain.persistence`; nothing in it is code or a pickle.

Examples
--------
>>> import os, tempfile
>>> import numpy as np
>>> from fasttrain.callbacks import ModelCheckpoint
>>> from fasttrain.checkpoints import load_checkpoint
>>> from fasttrain.linear_model import LinearRegressor
>>> X = np.arange(20.0).reshape(10, 2) / 10
>>> y = X @ [1.0, 2.0] + 3.0
>>> with tempfile.TemporaryDirectory() as folder:
...     path = os.path.join(folder, "checkpoint")
...     half = LinearRegressor(optimizer="adam", max_iter=5, tol=None, random_state=0)
...     half = half.set_params(callbacks=ModelCheckpoint(path)).fit(X, y)
...     whole = LinearRegressor(optimizer="adam", max_iter=10, tol=None, random_state=0).fit(X, y, resume_from=path)
...     load_checkpoint(path).epoch
5
>>> straight = LinearRegressor(optimizer="adam", max_iter=10, tol=None, random_state=0).fit(X, y)
>>> bool((whole.coef_ == straight.coef_).all()), whole.loss_curve_ == straight.loss_curve_
(True, True)
"""

from __future__ import annotations

import os
import sys
from itertools import pairwise
from typing import Any

import numpy as np

from fasttrain._core.checks import is_number
from fasttrain._core.types import Array, PathLike
from fasttrain._files.archive import ArchiveKind
from fasttrain._files.plain import DECODING_ERRORS, Decoder, Encoder
from fasttrain.training.engine import STATISTICS, TRAINED, check_layers, check_memory

__all__ = ["Checkpoint", "load_checkpoint"]

_KIND = ArchiveKind("checkpoint", 1)
_GENERATORS = ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")


class Checkpoint:
    """A training as it was after one epoch.

    Attributes
    ----------
    path : str
        Where it was read from.
    epoch : int
        Epochs that had been run.
    history : dict of lists
        Of these epochs.
    coefs : list of arrays of shape (n_in, n_out)
        Weights of each layer.
    intercepts : list of arrays of shape (n_out,)
    facts : dict
        What a training must be like to go on from here.
    state : dict
        All that it remembers.
    """

    def __init__(self, path: PathLike, facts: dict[str, Any], state: dict[str, Any]) -> None:
        self.path: str = os.fspath(path)
        self.facts = facts
        self.state = state
        self.epoch: int = state["epoch"]
        self.history: dict[str, list[float]] = state["history"]
        parameters = state["network"]["trained"]["parameters"]
        self.coefs: list[Array] = parameters["coefs"]
        self.intercepts: list[Array] = parameters["intercepts"]

    def start_random_state(self) -> Any:
        """A RandomState as the fit found it, to draw initial weights and held-out rows from as it did."""
        return random_state_from(self.state["start_random_state"])

    def require(self, facts: dict[str, Any]) -> None:
        """ValueError unless a training of these :func:`facts_of` can go on from here."""
        for name, here in facts.items():
            there = self.facts.get(name)
            if there != here:
                what = "architecture" if name in _ARCHITECTURE else "dtype" if name == "dtype" else "training"
                raise ValueError(
                    f"{self.path} is a checkpoint of another {what}: {name.replace('_', ' ')} {_shown(there)} there, "
                    f"{_shown(here)} here"
                )


# Of the state of a training.
_PARTS = {
    "epoch", "n_steps", "history", "converged", "message", "network", "learning_rate", "stopping", "order",
    "random_state", "start_random_state", "callbacks",
}
_ARCHITECTURE = ("layers", "activations", "fit_intercept", "normalize", "normalization_epsilon")


def _shown(value):
    return "none" if value is None else value


def facts_of(network, batch_size, n_samples, schedule, stopping, feed=None):
    """What must be the same for a training to go on from a checkpoint, as JSON can hold it."""
    coefs, _ = network.unpack_layers(network.parameters)
    return {
        "layers": [len(coefs[0]), *(coef.shape[1] for coef in coefs)],
        "activations": [list(pair) for pair in network.activations],
        "fit_intercept": np.asarray(network.fit_intercept).tolist(),
        "normalize": list(network.normalize),
        "normalization_epsilon": network.normalization_epsilon,
        "dtype": network.dtype.name,
        "loss": list(network.loss),
        "optimizer": network.rule,
        "optimizer_slots": sorted(network.state),
        "averages": network.average is not None,
        # of a single batch nothing; the sum of some is of as many as make an update there
        "batches_of_an_update": network.accumulate if "accumulated" in network.state else None,
        "n_samples": int(n_samples),
        "batch_size": int(batch_size),
        "schedule": type(schedule).__name__,
        "stopping": None if stopping is None else type(stopping).__name__,
        # of rows at hand nothing, which is not what a checkpoint of a source says
        **dict.fromkeys(("blocks", "buffer_blocks", "replicas")),
        **({} if feed is None else feed.facts()),
    }


def random_state_to(generator):
    """State of a RandomState or Generator as plain values; None for None."""
    if generator is None:
        return None
    if isinstance(generator, np.random.Generator):
        return _plain_state(generator.bit_generator.state)
    return _plain_state(generator.get_state(legacy=False))


def _plain_state(state):
    if isinstance(state, dict):
        return {key: _plain_state(value) for key, value in state.items()}
    return state.copy() if isinstance(state, np.ndarray) else state.item() if isinstance(state, np.generic) else state


def set_random_state(generator, state):
    """Put a RandomState or Generator into a state that :func:`random_state_to` gave; ValueError for any other."""
    _check_random_state(generator, state)
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    else:
        generator.set_state(state)


def random_state_from(state):
    """A new RandomState in the state that :func:`random_state_to` gave; ValueError for any other."""
    if not isinstance(state, dict) or state.get("bit_generator") not in _GENERATORS:
        raise ValueError(f"{_kind_of(state)!r} is not a bit generator of NumPy")
    made = np.random.RandomState(getattr(np.random, state["bit_generator"])(0))
    set_random_state(made, state)
    return made


def _kind_of(state):
    return state.get("bit_generator") if isinstance(state, dict) else state


# Largest values of the counters that NumPy follows into its arrays without a look.
_LARGEST = {"pos": 624, "buffer_pos": 4, "has_uint32": 1, "has_gauss": 1, "uinteger": 2**32 - 1}


def _check_random_state(generator, state):
    """ValueError unless a state is of this generator's kind, and every part of it in range: NumPy takes it on trust."""
    own = random_state_to(generator)
    if _kind_of(state) != own["bit_generator"]:
        raise ValueError(f"the random state must be of {own['bit_generator']}, got {_kind_of(state)!r}")
    _check_part(own, state, "random state")


def _check_part(own, part, where):
    if isinstance(own, dict):
        if not isinstance(part, dict) or set(part) != set(own):
            raise ValueError(f"{where} must have the entries {', '.join(map(str, own))}")
        for name, value in own.items():
            _check_part(value, part[name], name)
    elif isinstance(own, np.ndarray):
        if not isinstance(part, np.ndarray) or part.dtype != own.dtype or part.shape != own.shape:
            raise ValueError(f"{where} must be an array of shape {own.shape} of {own.dtype}")
    elif isinstance(own, float):
        # not isfinite, which takes no integer past 64 bits
        if type(part) not in (float, int) or not abs(part) <= sys.float_info.max:
            raise ValueError(f"{where} must be a finite number, got {part!r}")
    elif isinstance(own, int):
        if type(part) is not int or not 0 <= part <= _LARGEST.get(where, 2**128 - 1):
            raise ValueError(f"{where} must be an integer from 0 to {_LARGEST.get(where, 2**128 - 1)}, got {part!r}")
    elif part != own:
        raise ValueError(f"{where} must be {own!r}, got {part!r}")


def save_checkpoint(path, facts, state):
    """Write a checkpoint; the folder changes only when all of it is on the disk."""
    encoder = Encoder()
    content = {"facts": facts, "state": encoder(state, "state")}
    _KIND.write(path, content, encoder.tensors)


def load_checkpoint(path: PathLike) -> Checkpoint:
    """The checkpoint in a folder that :class:`fasttrain.callbacks.ModelCheckpoint` wrote.

    Parameters
    ----------
    path : path

    Returns
    -------
    Checkpoint

    Raises
    ------
    ValueError
        When a file is missing, cut short, changed, of another format version, or does not fit the others; the message
        names the file and what is wrong with it.
    """
    index, tensors = _KIND.read(path)
    decoder = Decoder(tensors)
    try:
        checkpoint = Checkpoint(path, index["checkpoint"]["facts"], decoder(index["checkpoint"]["state"]))
        if decoder.unused:
            raise ValueError(f"no part of it uses array {min(decoder.unused)!r}")
        _check(checkpoint)
    except DECODING_ERRORS as error:
        raise ValueError(f"{os.path.join(path, _KIND.index)} does not describe a checkpoint: {error}") from error
    return checkpoint


def _are_of_epochs(values):
    """Whether there is a number, or an array of them, for each epoch."""
    return type(values) is list and all(
        value.dtype.kind == "f" if isinstance(value, np.ndarray) else is_number(value) for value in values)


def _check(checkpoint):
    """What the engine takes on trust."""
    state, widths = checkpoint.state, checkpoint.facts["layers"]
    missing = _PARTS - set(state)
    if missing:
        raise ValueError(f"the state lacks {', '.join(sorted(missing))}")
    if type(checkpoint.epoch) is not int or checkpoint.epoch < 1:
        raise ValueError(f"the epoch must be at least 1, got {checkpoint.epoch!r}")
    history = checkpoint.history
    if type(history) is not dict or not all(type(name) is str and _are_of_epochs(history[name]) for name in history):
        raise ValueError("the history must have a list of numbers for each name")
    if len(history.get("loss", ())) != checkpoint.epoch or max(map(len, history.values())) > checkpoint.epoch:
        raise ValueError(f"the history must have {checkpoint.epoch} losses, and no more of any other number")
    if type(state["n_steps"]) is not int or state["n_steps"] < checkpoint.epoch:
        raise ValueError(f"n_steps must be at least {checkpoint.epoch}, got {state['n_steps']!r}")
    if type(state["converged"]) is not bool or type(state["message"]) is not str:
        raise ValueError("converged and message must be a bool and text")
    if type(state["callbacks"]) is not dict or type(state["learning_rate"]) is not dict:
        raise ValueError("callbacks and learning_rate must be dicts")
    dtype = np.dtype(checkpoint.facts["dtype"])
    network = state["network"]
    trained = network["trained"]
    places = checkpoint.facts["normalize"]
    normalized = [(width,) for width, where in zip(widths[1:-1], places, strict=True) if where]
    wanted = {
        "coefs": list(pairwise(widths)), "intercepts": [(width,) for width in widths[1:]], "gains": normalized,
        "shifts": normalized,
    }
    if sorted(network["slots"]) != checkpoint.facts["optimizer_slots"]:
        raise ValueError(f"the slots must be {checkpoint.facts['optimizer_slots']}, got {sorted(network['slots'])}")
    # which may have overflowed where the parameters have not
    check_memory(checkpoint.facts["optimizer"], network, wanted, dtype)
    for name in TRAINED:
        if name in trained:
            check_layers(name, trained[name], wanted, dtype)
            if not all(np.isfinite(array).all() for part in wanted for array in trained[name][part]):
                raise ValueError(f"{name} must hold finite numbers")
    for name in STATISTICS:
        found = [array.shape for array in trained.get(name, [])]
        if found != normalized or not all(np.isfinite(array).all() for array in trained.get(name, [])):
            raise ValueError(f"{name} must be finite and fit the normalized layers, got arrays of shapes {found}")
    epsilon = checkpoint.facts["normalization_epsilon"]
    if normalized and not (is_number(epsilon) and epsilon > 0):
        raise ValueError(f"normalization_epsilon must be a number > 0, got {epsilon!r}")
    for variance in trained.get("moving_variance", []):
        if (variance <= -epsilon).any():
            raise ValueError(f"moving_variance must hold numbers > -epsilon, {-epsilon}, got {variance.min()}")
