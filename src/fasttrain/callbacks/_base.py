"""What a callback is, what those that watch one number share, and how a training takes callbacks."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Literal

from fasttrain._core.checks import check_real
from fasttrain._core.warned import warn

# Ends of names of numbers that are better when they are higher.
_HIGHER = ("acc", "accuracy", "auc", "score", "precision", "recall", "r2")


class StopTraining(Exception):
    """Raised by a callback to end the training after the epoch that it was called for."""


class Callback:
    """Base of the callbacks; each method may be left as it is.

    A plain function ``f(epoch, logs)`` is taken too: it is called as :meth:`on_epoch_end`.

    Attributes
    ----------
    training : fasttrain.training.Training or None
        The training that runs, from before :meth:`on_train_begin` until after :meth:`on_train_end`.
    needs_steps : bool
        Whether it is of no use to L-BFGS, so that a linear model's ``optimizer="auto"`` is to be one that makes steps.
    wants_batches : bool
        Whether :meth:`on_batch_begin` and :meth:`on_batch_end` are called; true of a class that has them. An epoch is
        then no longer one compiled call but one for each batch, which costs some ten microseconds a batch and what the
        methods take. L-BFGS has no batches.
    """

    training = None
    needs_steps = False

    @property
    def wants_batches(self) -> bool:
        return any(
            getattr(type(self), name) is not getattr(Callback, name) for name in ("on_batch_begin", "on_batch_end"))

    def on_train_begin(self, n_epochs: int) -> None:
        """Before the first epoch; ``n_epochs`` is the number of the last one that may run."""

    def on_epoch_begin(self, epoch: int) -> None:
        """Before epoch ``epoch`` (from 1); not called by L-BFGS."""

    def on_rows(self, n_done: int, n_rows: int) -> None:
        """Where rows come in blocks, after each part of an epoch: rows done of it, and rows that it has."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> bool | None:
        """After epoch ``epoch`` (from 1).

        Parameters
        ----------
        epoch : int
        logs : dict
            ``loss``, ``learning_rate`` and, with validation data, ``validation_loss``.

        Returns
        -------
        bool or None
            True ends the training, as :class:`StopTraining` and ``training.stop = True`` do.
        """

    def on_batch_begin(self, batch: int) -> None:
        """Before batch ``batch`` of the epoch, from 1.

        The learning rate may be set for it, and the parameters.
        """

    def on_batch_end(self, batch: int, logs: dict[str, Any]) -> bool | None:
        """After batch ``batch`` of the epoch, from 1.

        Parameters
        ----------
        batch : int
        logs : dict
            ``loss``, the mean of the epoch's batches so far, and ``learning_rate``, that of the batch.

        Returns
        -------
        bool or None
            True ends the epoch with this batch, and the training with the epoch.
        """

    def on_divergence(self, epoch: int) -> bool | None:
        """When the loss or a weight left the finite numbers in epoch ``epoch``.

        Returns
        -------
        bool or None
            True when the callback has put finite parameters back: the training then ends without an error.
        """

    def on_train_end(self, history: Any) -> None:
        """After the last epoch, also when the training was interrupted; ``history`` is a dict of lists."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint is to keep of the callback: plain numbers, strings, lists, dicts, arrays."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what :meth:`state_dict` gave; called after :meth:`on_train_begin` of a resumed training."""


class _FunctionCallback(Callback):
    def __init__(self, function):
        self.function = function

    def on_epoch_end(self, epoch, logs):
        return self.function(epoch, logs)


class Monitor(Callback):
    """What the callbacks that watch one number share."""

    def __init__(self, monitor: str, mode: Literal["auto", "min", "max"], min_delta: float) -> None:
        if not isinstance(monitor, str):
            raise TypeError(f"monitor must be the name of an entry of logs, got {monitor!r}")
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"mode must be 'auto', 'min' or 'max', got {mode!r}")
        self.monitor = monitor
        self.mode = mode
        self.min_delta: float = abs(check_real(min_delta, "min_delta"))

    def monitored(self, logs: dict[str, float]) -> float | None:
        """The watched number, by its own or its other name; None, with a warning, when it is absent."""
        names = [self.monitor]
        for short, long in (("val_", "validation_"), ("validation_", "val_")):
            if self.monitor.startswith(short):
                names.append(long + self.monitor[len(short):])
        for name in names:
            if name in logs:
                return float(logs[name])
        warn(
            f"{type(self).__name__} watches {self.monitor!r}, which this training does not report; it reports "
            f"{', '.join(logs)}")
        return None

    def improves(self, value: Any, reference: float) -> bool:
        """Whether ``value`` is better than ``reference`` by more than ``min_delta``; any number is better than None."""
        if reference is None:
            return value == value
        if self._higher_is_better():
            return value - self.min_delta > reference
        return value + self.min_delta < reference

    def _higher_is_better(self):
        # the second metric of a kind has a number behind its name
        name = re.sub(r"_\d+$", "", self.monitor)
        return self.mode == "max" or (self.mode == "auto" and name.endswith(_HIGHER))


def as_callbacks(
        callbacks: Callback | Callable[..., Any] | Sequence[Callback | Callable[..., Any]] | None) -> list[Any]:
    """``callbacks`` (None, one, or a sequence of callbacks and functions) as a list of :class:`Callback`."""
    if callbacks is None:
        return []
    if isinstance(callbacks, Callback) or callable(callbacks):
        callbacks = [callbacks]
    if isinstance(callbacks, str) or not hasattr(callbacks, "__iter__"):
        raise _not_a_callback(callbacks)
    result = []
    for callback in callbacks:
        if isinstance(callback, Callback):
            result.append(callback)
        elif callable(callback) and not isinstance(callback, type):
            result.append(_FunctionCallback(callback))
        else:
            raise _not_a_callback(callback)
    return result


def _not_a_callback(value):
    got = f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
    return TypeError(f"callbacks must be Callback objects or functions of (epoch, logs), got {got}")
