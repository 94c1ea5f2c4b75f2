"""What a metric is."""

from __future__ import annotations

from typing import Any

import numpy as np

from fasttrain._core.checks import real_array
from fasttrain._core.types import Array
from fasttrain.keras._config import Configured, registry
from fasttrain.keras._variables import Variable


def row_weights(sample_weight, n):
    """Weights of n rows as float64; ones for None."""
    if sample_weight is None:
        return np.ones(n)
    weights = real_array(sample_weight, "sample_weight").reshape(-1).astype(np.float64)
    if len(weights) != n:
        raise ValueError(f"sample_weight must have {n} numbers, got {len(weights)}")
    return weights


class Metric(Configured):
    """Base of the metrics; one of one's own has ``update_state`` and ``result``.

    Parameters
    ----------
    dtype : default=None
        Not used: sums are float64.
    name : str, default=None
        The key in logs and History; None takes the class's own.

    Attributes
    ----------
    variables : list of fasttrain.keras.Variable
        Those of :meth:`add_variable`.
    """

    name: Any = None

    def __init__(self, dtype: Any = None, name: str | None = None, **config: Any) -> None:
        if isinstance(dtype, str) and name is None and dtype not in ("float16", "bfloat16", "float32", "float64"):
            # once the name stood first
            dtype, name = None, dtype
        self.name = type(self).name or type(self).__name__.lower() if name is None else str(name)
        self._config = config
        self.variables: Any = []

    def add_variable(self, shape: Any = (), initializer: Any = "zeros", dtype: Any = None, name: str | None = None,
                     aggregation: Any = None) -> Any:
        """A variable that :meth:`reset_state` puts back to what it starts with; ``aggregation`` is not used."""
        variable = Variable(initializer, shape=shape, dtype=dtype or "float64", name=name)
        self.variables.append(variable)
        return variable

    def add_weight(self, shape: Any = (), initializer: Any = "zeros", dtype: Any = None,
                   name: str | None = None) -> Any:
        """:meth:`add_variable`."""
        if isinstance(shape, str):
            # once the name stood first
            shape, name = (), shape
        return self.add_variable(shape, initializer, dtype, name)

    def reset_state(self) -> None:
        """Forget all rows."""
        for variable in self.variables:
            variable.reset()

    def update_state(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> None:
        """Take in rows.

        Parameters
        ----------
        y_true, y_pred : array of shape (n, k) or (n,)
        sample_weight : array of shape (n,), default=None
        """
        raise NotImplementedError(f"{type(self).__name__} must have a method update_state")

    def result(self) -> None:
        """The metric of the rows taken in since the last reset: a number, or an array of them."""
        raise NotImplementedError(f"{type(self).__name__} must have a method result")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """:meth:`update_state`, then :meth:`result`."""
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same metric, by their names."""
        return {"name": self.name, **self._config}


metrics_by_name = registry("metric", Metric)


def number(value):
    """A float of an array without axes, else the array."""
    value = np.asarray(value, dtype=np.float64)
    return value if value.ndim else float(value)
