"""What a training leaves, and the error of one whose numbers left the finite ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fasttrain.data import BlocksLost


class DivergenceError(ValueError):
    """The loss or the weights left the finite numbers; the message names the epoch and a remedy."""


@dataclass
class FitResult:
    """What a training leaves besides the parameters.

    Attributes
    ----------
    history : dict of lists
        One entry an epoch: ``loss``, ``learning_rate`` and, with validation data, ``validation_loss``.
    n_iter : int
        Epochs begun and finished (iterations of L-BFGS).
    n_steps : int
        Updates made (evaluations of the objective for L-BFGS), those of an interrupted epoch and of all replicas
        included.
    converged : bool
        Whether a stopping rule ended the training before the last epoch.
    interrupted : bool
        Whether Ctrl-C did.
    message : str
        Why it ended.
    gradient : float or None
        For L-BFGS the largest element of the gradient at the end.
    schedule_state : dict or None
        What a schedule with a state remembers, for a training that goes on from this one.
    lost : BlocksLost or None
        What ended the training before its time; the network is as the last epoch left it.
    """

    history: dict[str, list[float]] = field(default_factory=lambda: {"loss": [], "learning_rate": []})
    n_iter: int = 0
    n_steps: int = 0
    converged: bool = False
    interrupted: bool = False
    message: str = ""
    gradient: float | None = None
    schedule_state: dict[str, Any] | None = None
    lost: BlocksLost | None = None


def largest_weight(parameters):
    """Text on the largest weight, for messages; the one nearest to infinity among finite ones."""
    weights = np.abs(parameters)
    finite = weights[np.isfinite(weights)]
    largest = f"{finite.max():.3g}" if len(finite) else "none finite"
    return largest if len(finite) == len(weights) else f"{largest}, {len(weights) - len(finite)} not finite"


def diverged(epoch, rate, parameters):
    """The error of a loss or weights that left the finite numbers in this epoch."""
    return DivergenceError(
        f"training diverged in epoch {epoch}: the loss is no longer finite (largest weight: "
        f"{largest_weight(parameters)}). Scale the features (StandardScaler), or lower the learning rate (now "
        f"{rate:g}), or clip gradients (clip_norm)."
    )
