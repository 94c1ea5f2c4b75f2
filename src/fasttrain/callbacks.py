"""Callbacks: what a caller may do between epochs.

The names, defaults and rules are those of Keras 3; where they differ the docstring says so. Every face takes them: the
descent functions, the linear models, the multi-layer perceptrons and Sequential.

Examples
--------
>>> from fasttrain.callbacks import EarlyStopping, ReduceLROnPlateau
>>> from fasttrain.linear_model import LinearRegressor
>>> X, y = [[0.0], [1.0], [2.0], [3.0]], [1.0, 3.0, 5.0, 7.0]
>>> stop = EarlyStopping("loss", min_delta=1e-9, patience=20, restore_best_weights=True)
>>> slow_down = ReduceLROnPlateau("loss", factor=0.5, patience=10, min_delta=1e-9)
>>> model = LinearRegressor(optimizer="gradient_descent", learning_rate=0.2, max_iter=2000, tol=None)
>>> model = model.set_params(callbacks=[stop, slow_down]).fit(X, y)
>>> model.converged_, model.predict([[4.0]]).round(2).tolist()
(True, [9.0])
"""

import csv
import inspect
import numbers
import os
import re
import sys
import warnings

from fasttrain._core.checks import check_integer, check_real

__all__ = [
    "CSVLogger", "Callback", "EarlyStopping", "LearningRateScheduler", "ModelCheckpoint", "ProgressBar",
    "ReduceLROnPlateau", "StopTraining", "TerminateOnNaN", "as_callbacks",
]

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
    """

    training = None

    def on_train_begin(self, n_epochs):
        """Before the first epoch; ``n_epochs`` is the most that will run."""

    def on_epoch_begin(self, epoch):
        """Before epoch ``epoch`` (from 1); not called by L-BFGS."""

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
            True ends the training, as :class:`StopTraining` and ``training.stop = True`` do.
        """

    def on_divergence(self, epoch):
        """When the loss or a weight left the finite numbers in epoch ``epoch``.

        Returns
        -------
        bool or None
            True when the callback has put finite parameters back: the training then ends without an error.
        """

    def on_train_end(self, history):
        """After the last epoch, also when the training was interrupted; ``history`` is a dict of lists."""

    def state_dict(self):
        """What a checkpoint is to keep of the callback: plain numbers, strings, lists, dicts, arrays."""
        return {}

    def load_state_dict(self, state):
        """Take over what :meth:`state_dict` gave; called after :meth:`on_train_begin` of a resumed training."""


class _FunctionCallback(Callback):
    def __init__(self, function):
        self.function = function

    def on_epoch_end(self, epoch, logs):
        return self.function(epoch, logs)


class _Monitor(Callback):
    """What the callbacks that watch one number share."""

    def __init__(self, monitor, mode, min_delta):
        if not isinstance(monitor, str):
            raise TypeError(f"monitor must be the name of an entry of logs, got {monitor!r}")
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"mode must be 'auto', 'min' or 'max', got {mode!r}")
        self.monitor = monitor
        self.mode = mode
        self.min_delta = abs(check_real(min_delta, "min_delta"))

    def monitored(self, logs):
        """The watched number, by its own or its other name; None, with a warning, when it is absent."""
        names = [self.monitor]
        for short, long in (("val_", "validation_"), ("validation_", "val_")):
            if self.monitor.startswith(short):
                names.append(long + self.monitor[len(short):])
        for name in names:
            if name in logs:
                return float(logs[name])
        warnings.warn(
            f"{type(self).__name__} watches {self.monitor!r}, which this training does not report; it reports "
            f"{', '.join(logs)}",
            stacklevel=2,
        )
        return None

    def improves(self, value, reference):
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


class EarlyStopping(_Monitor):
    """End the training when a number has stopped getting better.

    Parameters
    ----------
    monitor : str, default='val_loss'
        Entry of the logs; 'val_loss' and 'validation_loss' are one. When it is absent a warning is given and the
        training goes on.
    min_delta : float, default=0
        A change of at most this is no improvement.
    patience : int, default=0
        Epochs without an improvement after which the training ends.
    verbose : int, default=0
        1 prints the epoch at which it ended.
    mode : {'auto', 'min', 'max'}, default='auto'
        'auto' takes 'max' for names that end in acc, accuracy, auc, score, precision, recall or r2.
    baseline : float, default=None
        The wait ends only with an improvement that is better than this too.
    restore_best_weights : bool, default=False
        Put the parameters of the best epoch back when the training ends.
    start_from_epoch : int, default=0
        Epochs that are not watched.

    Attributes
    ----------
    best : float or None
    best_epoch, stopped_epoch : int
        Counted from 1; 0 when there is none.
    wait : int
    """

    def __init__(self, monitor="val_loss", min_delta=0, patience=0, verbose=0, mode="auto", baseline=None,
                 restore_best_weights=False, start_from_epoch=0):
        super().__init__(monitor, mode, min_delta)
        self.patience = check_integer(patience, "patience", low=0)
        self.verbose = verbose
        self.baseline = check_real(baseline, "baseline", optional=True)
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = check_integer(start_from_epoch, "start_from_epoch", low=0)
        self._reset()

    def _reset(self):
        self.wait, self.stopped_epoch, self.best_epoch = 0, 0, 0
        self.best = self._best_parameters = None

    def on_train_begin(self, n_epochs):
        self._reset()

    def on_epoch_end(self, epoch, logs):
        current = self.monitored(logs)
        if current is None or epoch <= self.start_from_epoch:
            return False
        better = self.improves(current, self.best)
        if self.restore_best_weights and (better or self._best_parameters is None):
            self._best_parameters = self.training.get_parameters()
            self.best_epoch = epoch
        self.wait += 1
        if better:
            self.best, self.best_epoch = current, epoch
            if self.baseline is None or self.improves(current, self.baseline):
                self.wait = 0
            return False
        if self.wait < self.patience or epoch == 1:
            return False
        self.stopped_epoch = epoch
        return True

    def on_train_end(self, history):
        if self.verbose and self.stopped_epoch:
            print(f"Epoch {self.stopped_epoch}: early stopping")
        if self._best_parameters is not None:
            self.training.set_parameters(self._best_parameters)
            self._best_parameters = None

    def state_dict(self):
        names = ("wait", "stopped_epoch", "best_epoch", "best")
        parameters = None
        if self._best_parameters is not None:
            parameters = self.training.portable(self._best_parameters)
        return {**{name: getattr(self, name) for name in names}, "best_parameters": parameters}

    def load_state_dict(self, state):
        for name in ("wait", "stopped_epoch", "best_epoch", "best"):
            setattr(self, name, state[name])
        if state["best_parameters"] is not None:
            self._best_parameters = self.training.from_portable(state["best_parameters"])


class ReduceLROnPlateau(_Monitor):
    """Cut the learning rate when a number has stopped getting better.

    Parameters
    ----------
    monitor : str, default='val_loss'
    factor : float, default=0.1
        Factor of one cut, at least 0 and less than 1.
    patience : int, default=10
        Epochs without an improvement after which the rate is cut.
    verbose : int, default=0
    mode : {'auto', 'min', 'max'}, default='auto'
    min_delta : float, default=1e-4
    cooldown : int, default=0
        Epochs after a cut in which none is counted.
    min_lr : float, default=0.0
        No cut goes below this.

    Notes
    -----
    The rate that is cut is that of the step to come: with a schedule, all its later rates are cut by the same factor.
    """

    def __init__(self, monitor="val_loss", factor=0.1, patience=10, verbose=0, mode="auto", min_delta=1e-4, cooldown=0,
                 min_lr=0.0):
        super().__init__(monitor, mode, min_delta)
        self.factor = check_real(factor, "factor", low=0, high=1, open_high=True)
        self.patience = check_integer(patience, "patience", low=0)
        self.verbose = verbose
        self.cooldown = check_integer(cooldown, "cooldown", low=0)
        self.min_lr = check_real(min_lr, "min_lr", low=0)
        self._reset()

    def _reset(self):
        self.best, self.wait, self.cooldown_counter = None, 0, 0

    def on_train_begin(self, n_epochs):
        self._reset()

    def on_epoch_end(self, epoch, logs):
        current = self.monitored(logs)
        if current is None:
            return
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.wait = 0
        if self.improves(current, self.best):
            self.best, self.wait = current, 0
        elif self.cooldown_counter == 0:
            self.wait += 1
            rate = self.training.learning_rate
            if self.wait >= self.patience and rate > self.min_lr:
                self.training.learning_rate = rate = max(rate * self.factor, self.min_lr)
                if self.verbose:
                    print(f"Epoch {epoch}: the learning rate is reduced to {rate:g}")
                self.cooldown_counter, self.wait = self.cooldown, 0

    def state_dict(self):
        return {"best": self.best, "wait": self.wait, "cooldown_counter": self.cooldown_counter}

    def load_state_dict(self, state):
        self.best, self.wait, self.cooldown_counter = state["best"], state["wait"], state["cooldown_counter"]


class LearningRateScheduler(Callback):
    """Ask a function for the learning rate before each epoch.

    Parameters
    ----------
    schedule : callable
        ``schedule(epoch, lr)``, or ``schedule(epoch)``, to a number of at least 0. ``epoch`` is counted from 0, as in
        Keras; ``lr`` is the rate so far.
    verbose : int, default=0

    Notes
    -----
    When the training has a schedule as well, that one's later rates all gain the factor that makes the epoch's first
    rate the one that was asked for.
    """

    def __init__(self, schedule, verbose=0):
        if not callable(schedule):
            raise TypeError(f"schedule must be a function of (epoch, lr), got {schedule!r}")
        self.schedule = schedule
        self.verbose = verbose
        try:
            inspect.signature(schedule).bind(0, 0.1)
            self._takes_rate = True
        except TypeError:
            self._takes_rate = False
        except ValueError:
            # a compiled function that does not tell its signature
            self._takes_rate = True

    def on_epoch_begin(self, epoch):
        given = (epoch - 1, self.training.learning_rate) if self._takes_rate else (epoch - 1,)
        rate = check_real(self.schedule(*given), "the learning rate that schedule returned", low=0)
        self.training.learning_rate = rate
        if self.verbose:
            print(f"Epoch {epoch}: the learning rate is set to {rate:g}")


class ModelCheckpoint(_Monitor):
    """Write a checkpoint from which a training goes on, to the byte, as if it had never been interrupted.

    ``fit(..., resume_from=path)`` goes on from it; see :mod:`fasttrain.checkpoints`.

    Parameters
    ----------
    filepath : path
        Folder of the checkpoint; replaced, in one moment, each time. It may hold fields such as ``{epoch:02d}`` and
        ``{val_loss:.2f}``, filled from the logs.
    monitor : str, default='val_loss'
        For ``save_best_only``; when it is absent a warning is given and every epoch saved.
    verbose : int, default=0
    save_best_only : bool, default=False
        Only when the watched number is better than at the last saving.
    mode : {'auto', 'min', 'max'}, default='auto'
    save_freq : int or 'epoch', default='epoch'
        Epochs between two savings (Keras counts batches).
    initial_value_threshold : float, default=None
        The watched number must be better than this.

    Raises
    ------
    OSError
        Out of fit, when the disk is full, say; the last checkpoint is there still.
    """

    def __init__(self, filepath, monitor="val_loss", verbose=0, save_best_only=False, mode="auto", save_freq="epoch",
                 initial_value_threshold=None):
        super().__init__(monitor, mode, 0.0)
        self.filepath = os.fspath(filepath)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_freq = save_freq if save_freq == "epoch" else check_integer(save_freq, "save_freq", low=1)
        self.initial_value_threshold = check_real(initial_value_threshold, "initial_value_threshold", optional=True)
        self.best = self.initial_value_threshold

    def on_train_begin(self, n_epochs):
        self.best = self.initial_value_threshold
        self.training.require_steps("a checkpoint")

    def on_epoch_end(self, epoch, logs):
        if self.save_freq != "epoch" and epoch % self.save_freq:
            return
        if self.save_best_only:
            current = self.monitored(logs)
            if current is not None:
                if not self.improves(current, self.best):
                    return
                self.best = current
        path = self._path(epoch, logs)
        self.training.save_checkpoint(path)
        if self.verbose:
            print(f"Epoch {epoch}: saving {path}")

    def _path(self, epoch, logs):
        values = {}
        for name, value in logs.items():
            values[name] = value
            if name.startswith("validation_"):
                values["val_" + name.removeprefix("validation_")] = value
        try:
            return self.filepath.format(**{**values, "epoch": epoch})
        except KeyError as error:
            raise ValueError(
                f"filepath must have fields of the logs only, epoch and {', '.join(values)}, got {error} in "
                f"{self.filepath!r}"
            ) from None

    def state_dict(self):
        return {"best": self.best}

    def load_state_dict(self, state):
        self.best = state["best"]


class CSVLogger(Callback):
    """Write one row of numbers an epoch to a file.

    The first column is the epoch, from 0 as in Keras; the others are the logs of the first epoch, by name. What an
    epoch lacks is written as NA. A resumed training cuts the file back to where it was when its checkpoint was written.

    Parameters
    ----------
    filename : path
    separator : str, default=','
    append : bool, default=False
        Whether to go on with the file that is there, which has its own head.
    """

    def __init__(self, filename, separator=",", append=False):
        self.filename = os.fspath(filename)
        if not isinstance(separator, str) or len(separator) != 1:
            raise ValueError(f"separator must be one character, got {separator!r}")
        self.separator = separator
        self.append = append
        self._file = self._columns = self._end = None

    def __getstate__(self):
        return {**vars(self), "_file": None}

    def on_train_begin(self, n_epochs):
        self._columns = self._end = None

    def _open(self, logs):
        """Opened with the first row: only then is it known whether a checkpoint tells where to go on."""
        there = os.path.exists(self.filename)
        if self._end is not None and there and os.path.getsize(self.filename) >= self._end:
            os.truncate(self.filename, self._end)
        elif not self.append and self._end is None:
            there = False
        self._file = open(self.filename, "a" if there else "w", newline="", encoding="utf-8")  # noqa: SIM115
        if self._columns is None:
            self._columns = sorted(logs)
        if not there or os.path.getsize(self.filename) == 0:
            self._row(["epoch", *self._columns])

    def _row(self, values):
        csv.writer(self._file, delimiter=self.separator, lineterminator="\n").writerow(values)

    def on_epoch_end(self, epoch, logs):
        if self._file is None:
            self._open(logs)
        self._row([epoch - 1, *(logs.get(name, "NA") for name in self._columns)])
        self._file.flush()
        self._end = os.fstat(self._file.fileno()).st_size

    def on_train_end(self, history):
        if self._file is not None:
            self._file.close()
            self._file = None

    def state_dict(self):
        return {"columns": self._columns, "end": self._end}

    def load_state_dict(self, state):
        self._columns, self._end = state["columns"], state["end"]


class TerminateOnNaN(Callback):
    """End a training that diverges, in place of the error, with the parameters after the last epoch that was finite.

    A RuntimeWarning names the epoch. Without this callback divergence raises
    :class:`fasttrain.training.DivergenceError`. (In Keras the model is left holding NaN.)
    """

    def __init__(self):
        self._kept = None

    def on_epoch_begin(self, epoch):
        self._kept = self.training.get_parameters()

    def on_divergence(self, epoch):
        if self._kept is None:
            return False
        self.training.set_parameters(self._kept)
        warnings.warn(
            f"the loss stopped being finite in epoch {epoch}: the training ends with the parameters from before it",
            RuntimeWarning, stacklevel=2,
        )
        return True

    def on_train_end(self, history):
        self._kept = None


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
