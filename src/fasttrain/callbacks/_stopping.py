"""Callbacks that end a training."""

from __future__ import annotations
from typing import Any, Literal

from fasttrain._core.checks import check_integer, check_real
from fasttrain._core.warned import warn
from fasttrain.callbacks._base import Callback, Monitor


class EarlyStopping(Monitor):
    """End the training when a number has stopped getting better.

    Keras's rule, for any number that the training reports. An estimator's ``tol`` and ``n_iter_no_change`` are a rule
    of their own beside it (:class:`fasttrain.training.Stopping`): whichever ends the training first does.

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

    def __init__(self, monitor: str = "val_loss", min_delta: float = 0, patience: int = 0, verbose: int = 0,
                 mode: Literal["auto", "min", "max"] = "auto", baseline: float | None = None,
                 restore_best_weights: bool = False, start_from_epoch: int = 0) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience: int | None = check_integer(patience, "patience", low=0)
        self.verbose = verbose
        self.baseline: float | None = check_real(baseline, "baseline", optional=True)
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch: int | None = check_integer(start_from_epoch, "start_from_epoch", low=0)
        self._reset()

    def _reset(self):
        self.wait, self._stopped, self._best_epoch = 0, 0, 0
        self.best = self._best_parameters = None

    @property
    def stopped_epoch(self) -> int:
        return self._stopped

    @property
    def best_epoch(self) -> int:
        return self._best_epoch

    def on_train_begin(self, n_epochs: int) -> None:
        self._reset()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> bool | None:
        current = self.monitored(logs)
        if current is None or epoch <= self.start_from_epoch:
            return False
        better = self.improves(current, self.best)
        if self.restore_best_weights and (better or self._best_parameters is None):
            self._best_parameters = self.training.get_parameters()
            self._best_epoch = epoch
        self.wait += 1
        if better:
            self.best, self._best_epoch = current, epoch
            if self.baseline is None or self.improves(current, self.baseline):
                self.wait: Any = 0
            return False
        if self.wait < self.patience or epoch == 1:
            return False
        self._stopped = epoch
        return True

    def on_train_end(self, history: Any) -> None:
        if self.verbose and self._stopped:
            print(f"Epoch {self._stopped}: early stopping")
        if self._best_parameters is not None:
            self.training.set_parameters(self._best_parameters)
            self._best_parameters = None

    def state_dict(self) -> dict[str, Any]:
        parameters = None
        if self._best_parameters is not None:
            parameters = self.training.portable(self._best_parameters)
        return {
            "wait": self.wait, "stopped_epoch": self._stopped, "best_epoch": self._best_epoch, "best": self.best,
            "best_parameters": parameters,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.wait, self._stopped = state["wait"], state["stopped_epoch"]
        self._best_epoch, self.best = state["best_epoch"], state["best"]
        if state["best_parameters"] is not None:
            self._best_parameters = self.training.from_portable(state["best_parameters"])


class TerminateOnNaN(Callback):
    """End a training that diverges, in place of the error, with the parameters after the last epoch that was finite.

    A RuntimeWarning names the epoch. Without this callback divergence raises
    :class:`fasttrain.training.DivergenceError`. (In Keras the model is left holding NaN.)
    """

    def __init__(self) -> None:
        self._kept = None

    def on_epoch_begin(self, epoch: int) -> None:
        self._kept = self.training.get_parameters()

    def on_divergence(self, epoch: int) -> bool | None:
        if self._kept is None:
            return False
        self.training.set_parameters(self._kept)
        warn(
            f"the loss stopped being finite in epoch {epoch}: the training ends with the parameters from before it",
            RuntimeWarning
        )
        return True

    def on_train_end(self, history: Any) -> None:
        self._kept = None
