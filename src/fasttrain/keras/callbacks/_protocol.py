"""Keras's protocol."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fasttrain.callbacks._keras import KerasBridge


def _default(method):
    """Mark a hook that does nothing: it is not called where calling costs."""
    method._is_default = True
    return method


class Callback:
    """Base of the callbacks of Keras's protocol; each method may be left as it is.

    Attributes
    ----------
    model : fasttrain.models.Sequential
        May be told to ``stop_training``.
    params : dict
        ``epochs``, ``steps`` (batches an epoch) and ``verbose``.

    Notes
    -----
    A class with a batch hook makes ``fit`` run batch by batch, which costs some ten microseconds a batch, and some
    hundred when there are metrics; so do the hooks of ``evaluate`` and ``predict`` there. Without one an epoch is one
    compiled call.
    """

    def __init__(self) -> None:
        self.model = self.params = None

    def set_model(self, model: Any) -> None:
        """Called before the training with the model."""
        self.model: Any = model

    def set_params(self, params: dict[str, Any] | None) -> None:
        """Called before the training with its parameters."""
        self.params: Any = params

    @_default
    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Before the first epoch."""

    @_default
    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """After the last epoch, also when the training was interrupted; ``logs`` are those of that epoch."""

    @_default
    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Before epoch ``epoch``, from 0."""

    @_default
    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """After epoch ``epoch``, from 0; ``logs`` are the numbers of History."""

    @_default
    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Before batch ``batch`` of the epoch, from 0."""
        self.on_batch_begin(batch, logs)

    @_default
    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """After batch ``batch``, from 0; ``logs`` are the means so far."""
        self.on_batch_end(batch, logs)

    @_default
    def on_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """:meth:`on_train_batch_begin`."""

    @_default
    def on_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """:meth:`on_train_batch_end`."""

    @_default
    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        """Before an evaluation, that of the validation data among them."""

    @_default
    def on_test_end(self, logs: dict[str, float] | None = None) -> None:
        """After an evaluation, with its numbers."""

    @_default
    def on_test_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Before batch ``batch`` of an evaluation, from 0."""

    @_default
    def on_test_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """After batch ``batch`` of an evaluation, from 0; ``logs`` are the means so far."""

    @_default
    def on_predict_begin(self, logs: dict[str, float] | None = None) -> None:
        """Before a prediction."""

    @_default
    def on_predict_end(self, logs: dict[str, float] | None = None) -> None:
        """After a prediction."""

    @_default
    def on_predict_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Before batch ``batch`` of a prediction, from 0."""

    @_default
    def on_predict_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """After batch ``batch`` of a prediction, from 0; ``logs`` has its ``outputs``."""


class LambdaCallback(Callback):
    """A callback of functions.

    Parameters
    ----------
    on_epoch_begin, on_epoch_end : callable, default=None
        Of (epoch, logs).
    on_train_begin, on_train_end : callable, default=None
        Of logs.
    on_train_batch_begin, on_train_batch_end : callable, default=None
        Of (batch, logs).
    **kwargs
        Other hooks by their names.
    """

    def __init__(self, on_epoch_begin: Callable[..., Any] | None = None, on_epoch_end: Callable[..., Any] | None = None,
                 on_train_begin: Callable[..., Any] | None = None, on_train_end: Callable[..., Any] | None = None,
                 on_train_batch_begin: Callable[..., Any] | None = None,
                 on_train_batch_end: Callable[..., Any] | None = None, **kwargs: Any) -> None:
        super().__init__()
        hooks = {
            "on_epoch_begin": on_epoch_begin, "on_epoch_end": on_epoch_end, "on_train_begin": on_train_begin,
            "on_train_end": on_train_end, "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end, **kwargs,
        }
        for name, function in hooks.items():
            if function is not None:
                setattr(self, name, function)


class History(Callback):
    """The numbers of a training; what :meth:`fasttrain.models.Sequential.fit` returns, and a callback too.

    Attributes
    ----------
    history : dict of lists
        One number an epoch: ``loss``, each metric by its name, and the same with ``val_`` of validation data;
        ``learning_rate`` when a callback changes it.
    epoch : list of int
        Epochs run, from ``initial_epoch``.
    params : dict
        ``epochs``, ``steps`` (batches an epoch) and ``verbose``.
    model : Sequential
    """

    def __init__(self, model: Any = None, params: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.model, self.params = model, params
        self.history: Any = {}
        self.epoch: Any = []

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)


class CallbackList:
    """Several callbacks of Keras's protocol as one, for loops of one's own.

    Parameters
    ----------
    callbacks : list of callbacks, default=None
    model : default=None
        What :meth:`set_model` is called with.
    **params
        What :meth:`set_params` is called with.
    add_history, add_progbar : bool, default=False
        The first adds a History; the second is not used.
    """

    def __init__(self, callbacks: Sequence[Any] | None = None, add_history: bool = False, add_progbar: bool = False,
                 model: Any = None, **params: Any) -> None:
        self.callbacks: Any = list(callbacks or ())
        if add_history and not any(isinstance(one, History) for one in self.callbacks):
            self.callbacks.append(History())
        self._bridge = KerasBridge(self.callbacks, model, params)
        if model is not None:
            self.set_model(model)
        self.set_params(params)

    def append(self, callback: Any) -> None:
        """One more."""
        self.callbacks.append(callback)

    def set_model(self, model: Any) -> None:
        """Tell all the model."""
        self._bridge.model = model
        self._bridge.tell("set_model", model)

    def set_params(self, params: dict[str, Any] | None) -> None:
        """Tell all the parameters."""
        self._bridge.tell("set_params", params)

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("on_"):
            raise AttributeError(f"CallbackList has no attribute {name!r}")
        return lambda *args: self._bridge.tell(name, *args) and None
