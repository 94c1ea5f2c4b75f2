"""A training while it runs: its learning rate, its callbacks, and what these may ask of it."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from fasttrain import schedules
from fasttrain._core.checks import check_integer, check_real
from fasttrain._core.types import Array, PathLike
from fasttrain.callbacks import StopTraining
from fasttrain.training.engine import from_layers, restore, snapshot, to_layers
from fasttrain.training.plan import Plan


class Training:
    """A training while it runs, as its callbacks see it in their attribute ``training``.

    Attributes
    ----------
    network : fasttrain._kernels.network.Network
    n_epochs : int
        The number of the last epoch that may run.
    epoch : int
        The epoch that runs or has just ended, from 1.
    stop : bool
        Set it to end the training after this epoch.
    n_samples, batch_size : int
    draw_order : callable or None
        The order of the next epoch's rows; None when rows are taken as they stand.
    n_threads : int or None
        Threads asked for.
    order : array of int or None
        The rows of the epoch that runs, in the order in which it takes them; None as they stand.
    plan : Plan
        What it is to do.
    failed : bool
        While it ends: whether an error, or Ctrl-C, ends it.
    """

    def __init__(self, network: Any, plan: Plan, n_threads: int | None = None) -> None:
        self.network = network
        self.plan = plan
        self.n_threads = n_threads
        self.epoch = 0
        self.order: Any = None
        self.stop = False
        self.steps: int = plan.first_step
        self.schedule: schedules.Schedule | None = plan.schedule
        self.steps_per_epoch: int = -(-plan.n_samples // plan.batch_size)
        n_epochs = plan.n_epochs if plan.schedule_epochs is None else plan.schedule_epochs
        self._total_steps = n_epochs * self.steps_per_epoch
        self._kept = None
        # who fits may be handling an error of his own
        self._handled = sys.exc_info()[1]
        # a quotient of two rates, so that a constant schedule gives exactly the rate that was asked for
        self._asked, self._scheduled = 1.0, 1.0
        self.pending: list[Any] = []
        self.plateau: schedules.PlateauState | None = None
        if isinstance(self.schedule, schedules.ReduceOnPlateau):
            self.plateau = self.schedule.start(plan.learning_rate)
            if plan.schedule_state is not None:
                self.plateau.load_state_dict(plan.schedule_state)

    @property
    def failed(self) -> bool:
        return sys.exc_info()[1] is not self._handled

    @property
    def n_epochs(self) -> int:
        """The number of the last epoch that may run."""
        return self.plan.epochs_before + self.plan.n_epochs

    @property
    def n_samples(self) -> int:
        """Rows of an epoch."""
        return self.plan.n_samples

    @property
    def batch_size(self) -> int:
        """Rows of a step."""
        return self.plan.batch_size

    @property
    def draw_order(self) -> Any:
        """What gives the order of the next epoch's rows; None when rows are taken as they stand."""
        return self.plan.draw_order

    # ---- callbacks ----

    def begin(self) -> None:
        """Before the first epoch."""
        for callback in self.plan.callbacks:
            callback.training = self
        for callback in self.plan.callbacks:
            callback.on_train_begin(self.n_epochs)

    def tell(self, epoch: int, logs: dict[str, float]) -> Any:
        """After an epoch: call every callback; whether one asked to stop."""
        asked = False
        for callback in self.plan.callbacks:
            try:
                asked = bool(callback.on_epoch_end(epoch, dict(logs))) or asked
            except StopTraining:
                asked = True
        return asked or self.stop

    def tell_rows(self, n_done: int) -> None:
        """Between blocks of rows: so many rows of the epoch are done."""
        for callback in self.plan.callbacks:
            callback.on_rows(n_done, self.n_samples)

    def end(self, history: Any) -> None:
        """After the last epoch, whatever ended the training."""
        try:
            for callback in self.plan.callbacks:
                callback.on_train_end(history)
        finally:
            for callback in self.plan.callbacks:
                callback.training = None

    # ---- learning rate ----

    def rates(self, count: int) -> Array:
        """Learning rates of the next steps.

        Parameters
        ----------
        count : int

        Returns
        -------
        ndarray of shape (count,), float64
        """
        # a constant rate is asked for once: on little data the schedule would cost more than the epoch
        kept = self._kept
        if kept is None or len(kept) != count or not isinstance(self.schedule, schedules.Constant):
            kept = self._scheduled_rates(count)
            if self._asked != self._scheduled:
                kept = kept / self._scheduled * self._asked
            self._kept = kept
        return kept

    def _scheduled_rates(self, count):
        base = self.plan.learning_rate
        if self.plateau is not None:
            base *= self.plateau.factor
        return self.schedule.rates(base, self.steps, count, self.steps_per_epoch, self._total_steps)

    def _scheduled_rate(self):
        """What the schedule alone gives the next step."""
        # asked for at every batch that callbacks are told of
        if isinstance(self.schedule, schedules.Constant):
            return float(self.plan.learning_rate)
        return float(self._scheduled_rates(1)[0])

    @property
    def learning_rate(self) -> float:
        """Rate of the next step: before an epoch its first, after an epoch the next one's first.

        Setting it multiplies all rates to come by the factor that makes the next step's rate the new one.
        NaN for L-BFGS, which has none.
        """
        if self.schedule is None:
            return math.nan
        return self._scheduled_rate() / self._scheduled * self._asked

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        rate = check_real(rate, "learning_rate", low=0)
        if self.schedule is None:
            raise ValueError("the optimizer LBFGS has no learning rate to set")
        scheduled = self._scheduled_rate()
        if scheduled == 0.0:
            if rate == 0.0:
                return
            raise ValueError(f"learning_rate cannot be set to {rate:g} where the schedule has come down to 0")
        self._asked, self._scheduled = rate, scheduled
        self._kept = None

    def state_dict(self) -> dict[str, Any]:
        """What the learning rate hangs on, for a checkpoint."""
        plateau = None if self.plateau is None else self.plateau.state_dict()
        return {"asked": self._asked, "scheduled": self._scheduled, "steps": self.steps, "plateau": plateau}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what :meth:`state_dict` gave."""
        self._asked = check_real(state["asked"], "the rate asked for", low=0)
        self._scheduled = check_real(state["scheduled"], "the rate scheduled", low=0)
        self.steps = check_integer(state["steps"], "steps", low=0)
        if self.plateau is not None:
            self.plateau.load_state_dict(state["plateau"])

    # ---- checkpoints ----

    def require_steps(self, what: str) -> None:
        """ValueError, saying that ``what`` needs them, when the training is not made of steps."""
        if self.schedule is None:
            raise ValueError(f"{what} needs an optimizer that makes steps, got LBFGS")

    def save_checkpoint(self, path: PathLike) -> None:
        """Write a checkpoint once this epoch is over: when every callback has been told of it.

        Parameters
        ----------
        path : path
            Of the file.
        """
        self.require_steps("a checkpoint")
        self.pending.append(path)

    # ---- parameters ----

    def get_parameters(self) -> Array:
        """A copy of all that the training changes and a prediction needs, for :meth:`set_parameters`."""
        return snapshot(self.network)

    def set_parameters(self, parameters: Array) -> None:
        """Put back what :meth:`get_parameters` gave; the optimizer's memory stays.

        Parameters
        ----------
        parameters : ndarray
        """
        restore(self.network, parameters)
        self.network.refresh()

    def get_layers(self) -> Any:
        """Lists of each layer's weights (n_in, n_out) and biases (n_out,), copied."""
        return self.network.unpack_layers(self.network.parameters)

    def set_layers(self, coefs: Sequence[Array], intercepts: Sequence[Array]) -> None:
        """Give the network weights and biases as :meth:`get_layers` lists them.

        Parameters
        ----------
        coefs : list of arrays of shape (n_in, n_out)
        intercepts : list of arrays of shape (n_out,)
        """
        now = self.get_layers()
        for name, given, known in (("coefs", coefs, now[0]), ("intercepts", intercepts, now[1])):
            shapes, wanted = [np.shape(a) for a in given], [a.shape for a in known]
            if shapes != wanted:
                raise ValueError(f"{name} must have the shapes {wanted}, got {shapes}")
        self.network.parameters[:] = self.network.pack_layers(coefs, intercepts)
        self.network.refresh()

    def portable(self, parameters: Any) -> Any:
        """What :meth:`get_parameters` gave in a form that may go into a file: a dict of lists of arrays."""
        return to_layers(self.network, parameters)

    def from_portable(self, layers: Any) -> Any:
        """The reverse of :meth:`portable`."""
        return from_layers(self.network, layers)
