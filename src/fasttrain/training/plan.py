"""What a training is to do."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fasttrain._core.types import Array
from fasttrain.callbacks import Callback, as_callbacks
from fasttrain.schedules import Schedule
from fasttrain.training.checkpoints import Checkpoint


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a training is to do: epochs, batches, orders, rates, when to stop, whom to tell, what to go on from.

    Attributes
    ----------
    n_epochs : int
        Epochs at most.
    epochs_before : int
        Epochs of trainings before this one, which callbacks count on from.
    batch_size, n_samples : int
        Rows of a step and of an epoch; ``batch_size`` from 1 to ``n_samples``.
    draw_order : callable, optional
        Without arguments: the order of an epoch's rows, an intp array; None takes rows as they stand. One that
        remembers something has ``state_dict()`` and ``load_state_dict(state)``, as :class:`Reshuffling`.
    pieces : callable, optional
        Where an epoch's rows do not come at once: without arguments, an iterator over parts of the epoch. Each binds
        the engine to its rows and gives (their order or None, batch size, batches); ``draw_order`` is not asked then.
    learning_rate : float
        What the schedule starts from.
    schedule : fasttrain.schedules.Schedule or None
        None where there is no learning rate, as with L-BFGS.
    first_step : int
        Steps made before, for the schedule.
    schedule_epochs : int, optional
        Epochs that the schedule is laid out for; ``n_epochs`` when None.
    schedule_state : dict, optional
        ``schedule_state`` of the result of a training that this one goes on from.
    max_steps : int, optional
        Steps after which the training ends, in the middle of an epoch if need be.
    stopping : Stopping, optional
        Or any object with its methods.
    callbacks : list of Callback
        Made of anything that :func:`fasttrain.callbacks.as_callbacks` takes.
    random_state : numpy.random.RandomState or Generator, optional
        What ``draw_order`` draws from; its state goes into checkpoints.
    start_random_state : dict, optional
        What :func:`fasttrain.training.checkpoints.random_state_to` gave before the fit drew anything; goes into
        checkpoints.
    resume : fasttrain.training.checkpoints.Checkpoint, optional
        To go on from. Everything else must be as it was for the training that wrote it; ``random_state`` is put into
        the state that it had.
    """

    n_epochs: int
    epochs_before: int = 0
    batch_size: int = 1
    n_samples: int = 1
    draw_order: Callable[[], Array] | None = None
    pieces: Callable[..., Any] | None = None
    learning_rate: float = math.nan
    schedule: Schedule | None = None
    first_step: int = 0
    schedule_epochs: int | None = None
    schedule_state: dict[str, Any] | None = None
    max_steps: int | None = None
    stopping: object = None
    callbacks: Callback | Callable[..., Any] | Sequence[Callback | Callable[..., Any]] | None = None
    random_state: np.random.RandomState | np.random.Generator | None = None
    start_random_state: dict[str, Any] | None = None
    resume: Checkpoint | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "callbacks", as_callbacks(self.callbacks))
