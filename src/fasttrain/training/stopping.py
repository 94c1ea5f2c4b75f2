"""When to stop before the last epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from fasttrain._core.checks import is_number
from fasttrain.training.engine import from_layers, restore, snapshot, to_layers


@dataclass
class Stopping:
    """When to stop before the last epoch: what ``tol`` and ``n_iter_no_change`` of an estimator mean.

    A plan takes any object with these methods as its ``stopping``. The perceptrons have one of their own, for
    scikit-learn's rule is another: an epoch is an improvement when it is at least ``tol`` better, the wait ends one
    epoch later, and it may slow down instead of stopping. :class:`fasttrain.callbacks.EarlyStopping` is Keras's rule
    and no such object but a callback: it watches any entry of the logs, of which a training can have several.

    Parameters
    ----------
    tol : float or None
        An epoch counts as no improvement unless the monitored loss is below the best by more than this.
        None or -inf never stops.
    patience : int
        Epochs in a row without improvement that end the training.
    restore_best : bool
        With a validation loss: put back the parameters of the best epoch.
    """

    tol: float | None = 1e-4
    patience: int = 10
    restore_best: bool = False

    def start(self, network: Any) -> None:
        """Before the first epoch."""
        self._best, self._best_parameters, self._waited = math.inf, None, 0

    def epoch_end(self, network: Any, loss: float, validation_loss: float | None) -> Any:
        """Take note of an epoch; a message when the training is to end with it, else None.

        ``validation_loss`` is None without validation data.
        """
        watched = loss if validation_loss is None else validation_loss
        if self.tol is not None:
            # the best moves with every improvement, the wait only ends with a large one
            self._waited = 0 if watched < self._best - self.tol else self._waited + 1
        if watched < self._best:
            self._best = watched
            if self.restore_best:
                self._best_parameters = snapshot(network)
        if self.tol is None or self._waited < self.patience:
            return None
        return self.message(validation_loss is not None)

    def epochs_ahead(self) -> float:
        """How many epochs may be made without asking after each: of so many only the last may end the training."""
        if self.restore_best:
            return 1
        return math.inf if self.tol is None else max(1, self.patience - self._waited)

    def message(self, validated: bool) -> str:
        """Why it ends the training."""
        what = "validation loss" if validated else "training loss"
        return f"{what} did not improve by more than tol={self.tol:g} for {self.patience} epochs"

    def state_dict(self, network: Any) -> dict[str, Any]:
        """What the rule remembers, as plain values for a checkpoint."""
        best = self._best_parameters
        return {
            "best": self._best, "waited": self._waited,
            "best_parameters": None if best is None else to_layers(network, best),
        }

    def load_state_dict(self, network: Any, state: dict[str, Any]) -> None:
        """Take over what :meth:`state_dict` gave."""
        self._best, self._waited, best = state["best"], state["waited"], state["best_parameters"]
        if not is_number(self._best) or type(self._waited) is not int:
            raise ValueError(f"best and waited must be numbers, got {self._best!r} and {self._waited!r}")
        self._best_parameters = None if best is None else from_layers(network, best)

    def finish(self, network: Any) -> None:
        """After the last epoch, also when Ctrl-C ended it."""
        if self._best_parameters is not None:
            restore(network, self._best_parameters)
