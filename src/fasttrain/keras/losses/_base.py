"""What a loss is: how it is computed from predictions, reduced to one number, and what the engine has of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from fasttrain._core.checks import real_array
from fasttrain._core.types import Array, ArrayLike
from fasttrain.keras import ops
from fasttrain.keras._config import Configured, registry

REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none", None)


def check_held(y, good, accepted, loss):
    if not good.all():
        raise ValueError(f"y must hold {accepted} for loss {loss!r}, got {y[~good][0]}")


def reduced(values, weights, reduction):
    """One number of the losses of a batch; 'none' leaves them.

    Parameters
    ----------
    values : array of shape (n, ...), or a number; may be traced
    weights : array of shape (n,) or None
    reduction : str
        See :class:`Loss`.
    """
    if not isinstance(values, ops.Traced):
        values = np.asarray(values)
    if weights is not None:
        if len(values.shape) and values.shape[0] != len(weights):
            raise ValueError(
                f"a loss that is weighted must give one number a row, or one of all, got shape {values.shape} of "
                f"{len(weights)} rows")
        # one number of a batch is weighted by each row's weight, as Keras has it
        values = values * np.reshape(weights, (len(weights), *[1] * (len(values.shape) - 1)))
    if reduction in ("none", None) or not len(values.shape):
        return values
    total = ops.sum(values)
    if reduction == "sum":
        return total
    if reduction == "mean_with_sample_weight" and weights is not None:
        sum_of_weights = float(np.sum(weights))
        return total / sum_of_weights if sum_of_weights else total * 0
    return total / int(np.prod(values.shape))


class Loss(Configured):
    """Base of the losses; one of one's own has a method ``call(y_true, y_pred)``.

    Such a method is made of operators and :mod:`fasttrain.keras.ops`, which give its gradient; it is called once a
    batch, so that training by it costs some hundred microseconds a batch more than by a loss of the engine.

    Parameters
    ----------
    reduction : str or None, default='sum_over_batch_size'
        What becomes of the losses of a batch's rows, times their weights: 'sum_over_batch_size' and 'mean' their sum by
        the number of rows, 'mean_with_sample_weight' by the sum of the weights, 'sum' their sum; 'none' and None leave
        them, and cannot be trained.
    name : str, default=None
        None takes the class's.
    dtype : default=None
        Not used: the predictions have one.

    Attributes
    ----------
    name : str
        Keras's name.
    fused : dict
        From the last layer's activation to the engine's loss that has it in it; empty for a loss that it does not have.
    """

    name: Any = None
    fused: Any = {}  # noqa: RUF012
    parameter: Any = 1.0
    one_code = False
    mean_over_outputs = True

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = None, dtype: Any = None,
                 **config: Any) -> None:
        if reduction not in REDUCTIONS:
            raise ValueError(f"reduction must be one of {', '.join(map(repr, REDUCTIONS))}, got {reduction!r}")
        self.reduction = reduction
        own = type(self).name
        self.name = (type(self).__name__.lower() if own is None else own) if name is None else str(name)
        self._config = config

    def __call__(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> Any:
        """The loss of predictions: a float, or an array when they are not reduced.

        Parameters
        ----------
        y_true, y_pred : array of shape (n, k) or (n,)
        sample_weight : array of shape (n,), default=None
        """
        values = np.asarray(self.call(y_true, y_pred)).astype(np.float64)
        weights = None if sample_weight is None else real_array(sample_weight, "sample_weight").reshape(-1)
        found = reduced(values, weights, self.reduction)
        return found if found.ndim else float(found)

    def call(self, y_true: ArrayLike, y_pred: ArrayLike) -> Any:
        """The loss of each row, an array of shape (n,)."""
        if not hasattr(type(self), "function"):
            raise NotImplementedError(f"{type(self).__name__} must have a method call(y_true, y_pred)")
        return type(self).function(y_true, y_pred, **self._config)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same loss, by their names."""
        return {"name": self.name, "reduction": self.reduction, **self._config}

    def engine(self, activation: Any) -> Any:
        """The engine's loss, and the activation that it is to apply to the last layer's outputs before it.

        Parameters
        ----------
        activation : Activation
            Of the last layer.

        Returns
        -------
        (str, Activation or None)
            None for the loss when the engine does not have it, but is to call :meth:`call`.
        """
        if self.reduction in ("none", None):
            raise ValueError(f"loss {self.name!r} must have a reduction to be trained, got {self.reduction!r}")
        if not self.fused:
            return None, activation
        if activation.name in self.fused:
            return self.fused[activation.name], None
        if "identity" in self.fused and activation.name != "softmax" and not self._config.get("from_logits"):
            return self.fused["identity"], activation
        wanted = " or ".join(self._keras_names())
        raise ValueError(
            f"loss {self.name!r}{self._logits()} must come after a last layer with activation {wanted}, "
            f"got {activation!r}"
        )

    def _keras_names(self):
        keras = {"logistic": "sigmoid", "identity": "linear"}
        return [repr(keras.get(name, name)) for name in self.fused]

    def _logits(self):
        if "from_logits" not in self._config:
            return ""
        return f" with from_logits={self._config['from_logits']}"

    def encode(self, y: ArrayLike, n: int, k: int, dtype: Any) -> Any:
        """y for the engine: an array of shape (n, k), or (n, 1) of class codes.

        Raises
        ------
        ValueError
            When y has another shape or holds what the loss does not accept.
        """
        y = real_array(y, "y")
        if type(self).call is not Loss.call:
            # a caller's own loss says what its targets are
            y = y.reshape(n, 1) if k == 1 and y.shape == (n,) else y
        elif y.shape != (n, k) and (k > 1 or y.shape != (n,)):
            raise ValueError(f"y must have shape ({n}, {k}), as the last layer has {k} outputs, got {y.shape}")
        else:
            y = self._encoded(y.reshape(n, k))
        if not np.isfinite(y).all():
            raise ValueError("y must hold finite numbers, got NaN or infinity")
        return np.ascontiguousarray(y, dtype=dtype)

    def _encoded(self, y):
        return y


class OfCodes(Loss):
    """Base of the losses whose targets are class codes."""

    one_code = True

    def encode(self, y: ArrayLike, n: int, k: int, dtype: Any) -> Any:
        """Class codes as (n, 1)."""
        y = real_array(y, "y")
        if y.shape not in ((n,), (n, 1)):
            raise ValueError(f"y must hold {n} class codes for loss {self.name!r}, got shape {y.shape}")
        if k < 2:
            raise ValueError(f"loss {self.name!r} needs at least 2 outputs, the last layer has {k}")
        good = (y >= 0) & (y < k) & (y == np.floor(y))
        check_held(y, good, f"class codes from 0 to {k - 1}", self.name)
        return np.ascontiguousarray(y.reshape(n, 1), dtype=dtype)


losses_by_name = registry("loss", Loss)


class FunctionLoss(Loss):
    """A function of (y_true, y_pred) as a loss.

    Parameters
    ----------
    fn : callable
        Made of operators and :mod:`fasttrain.keras.ops`; gives one number a row, or one.
    reduction, name
        As for :class:`Loss`; the name is the function's when None.
    **kwargs
        Given to ``fn``.
    """

    def __init__(self, fn, reduction="sum_over_batch_size", name=None, **kwargs):
        self.fn = fn
        super().__init__(reduction, getattr(fn, "__name__", type(fn).__name__) if name is None else name, **kwargs)

    def call(self, y_true, y_pred):
        return self.fn(y_true, y_pred, **self._config)
