"""Callbacks that change the learning rate."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Literal

from fasttrain._core.checks import check_integer, check_real
from fasttrain.callbacks._base import Callback, Monitor


class ReduceLROnPlateau(Monitor):
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

    needs_steps = True

    def __init__(self, monitor: str = "val_loss", factor: float = 0.1, patience: int = 10, verbose: int = 0,
                 mode: Literal["auto", "min", "max"] = "auto", min_delta: float = 1e-4, cooldown: int = 0,
                 min_lr: float = 0.0) -> None:
        super().__init__(monitor, mode, min_delta)
        self.factor: float | None = check_real(factor, "factor", low=0, high=1, open_high=True)
        self.patience: int | None = check_integer(patience, "patience", low=0)
        self.verbose = verbose
        self.cooldown: int | None = check_integer(cooldown, "cooldown", low=0)
        self.min_lr: float | None = check_real(min_lr, "min_lr", low=0)
        self._reset()

    def _reset(self):
        self.best, self.wait, self.cooldown_counter = None, 0, 0

    def on_train_begin(self, n_epochs: int) -> None:
        self._reset()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> bool | None:
        current = self.monitored(logs)
        if current is None:
            return
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.wait: Any = 0
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

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "wait": self.wait, "cooldown_counter": self.cooldown_counter}

    def load_state_dict(self, state: dict[str, Any]) -> None:
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

    needs_steps = True

    def __init__(self, schedule: Callable[..., Any], verbose: int = 0) -> None:
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

    def on_epoch_begin(self, epoch: int) -> None:
        given = (epoch - 1, self.training.learning_rate) if self._takes_rate else (epoch - 1,)
        rate = check_real(self.schedule(*given), "the learning rate that schedule returned", low=0)
        self.training.learning_rate = rate
        if self.verbose:
            print(f"Epoch {epoch}: the learning rate is set to {rate:g}")
