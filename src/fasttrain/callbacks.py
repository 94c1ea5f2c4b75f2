"""Callbacks: what a caller may do between epochs."""

import numbers
import sys

__all__ = ["Callback", "ProgressBar", "StopTraining", "as_callbacks"]


class StopTraining(Exception):
    """Raised by a callback to end the training after the epoch that it was called for."""


class Callback:
    """Base of the callbacks; each method may be left as it is.

    A plain function ``f(epoch, logs)`` is taken too: it is called as :meth:`on_epoch_end`.
    """

    def on_train_begin(self, n_epochs):
        """Before the first epoch; ``n_epochs`` is the most that will run."""

    def on_epoch_end(self, epoch, logs):
        """After epoch ``epoch`` (from 1).

        Parameters
        ----------
        epoch : int
        logs : dict
            ``loss``, ``learning_rate`` and, with validation data, ``validation_loss``.

        Returns
        -------
        bool or None
            True ends the training, as :class:`StopTraining` does.
        """

    def on_train_end(self, history):
        """After the last epoch, also when the training was interrupted; ``history`` is a dict of lists."""


class _FunctionCallback(Callback):
    def __init__(self, function):
        self.function = function

    def on_epoch_end(self, epoch, logs):
        return self.function(epoch, logs)


class ProgressBar(Callback):
    """A bar of epochs with the latest loss: rich's when it is installed, else one line on standard error."""

    def __init__(self):
        self._progress = None

    def on_train_begin(self, n_epochs):
        self._n_epochs = n_epochs
        try:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
        except ImportError:
            return
        self._progress = Progress(
            TextColumn("epoch"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"),
            TimeElapsedColumn(),
        )
        self._progress.start()
        self._task = self._progress.add_task("", total=n_epochs)

    def on_epoch_end(self, epoch, logs):
        text = "  ".join(f"{name} {value:.4g}" for name, value in logs.items() if isinstance(value, numbers.Real))
        if self._progress is not None:
            self._progress.update(self._task, completed=epoch, description=text)
        else:
            print(f"\repoch {epoch}/{self._n_epochs}  {text}", end="", file=sys.stderr, flush=True)

    def on_train_end(self, history):
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
        else:
            print(file=sys.stderr)


def as_callbacks(callbacks):
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
