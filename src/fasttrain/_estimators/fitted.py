"""Fitted state: what a fit leaves on an estimator is put there here, all of it or nothing."""

from __future__ import annotations

from functools import wraps
from typing import Any

import numpy as np

from fasttrain._kernels.primitives import finite
from fasttrain.data import BlocksLost
from fasttrain.training.engine import engine_of, remembered
from fasttrain.training.results import DivergenceError


def set_fitted(estimator, parameters, account, engine=None):
    """Make an estimator a fitted one; nothing else assigns what a training has found.

    Parameters
    ----------
    estimator : estimator
    parameters : dict
        What it predicts with, by attribute: ``coef_`` and ``intercept_``, or ``coefs_``, ``intercepts_`` and what
        belongs to them.
    account : dict
        What the fit noted of its epochs, by attribute: ``n_iter_``, ``t_``, ``loss_curve_`` and more.
    engine : Network or None
        With the optimizer's memory, for a fit that goes on.

    Raises
    ------
    DivergenceError
        When a number in ``parameters`` is not finite; the estimator is as it was.
    """
    for name, value in parameters.items():
        if not _is_finite(value):
            raise DivergenceError(
                f"training diverged: {name} of {type(estimator).__name__} would hold numbers that are not finite. "
                "Scale the features and targets (StandardScaler), or lower the learning rate."
            )
    vars(estimator).update(parameters, **account)
    if engine is not None or "_engine" in vars(estimator):
        estimator._engine = engine


def _is_finite(value):
    """Whether all numbers in an attribute are, in arrays, lists and dicts of them."""
    if isinstance(value, np.ndarray):
        if value.dtype in (np.float32, np.float64) and value.flags.c_contiguous:
            return finite(value.reshape(-1))
        return value.dtype.kind != "f" or np.isfinite(value).all()
    if isinstance(value, (list, dict)):
        return all(map(_is_finite, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, (float, np.floating)) or np.isfinite(value)


class KeepsEngine:
    """Mixin of estimators that go on with the engine of the last fit, pickled by what its optimizer remembers."""

    def __getstate__(self) -> Any:
        # the engine holds addresses
        state = dict(super().__getstate__())
        if "_engine" in state:
            state["_memory"] = remembered(state.pop("_engine"), state.get("_hidden", ()))
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        memory = state.pop("_memory", None)
        super().__setstate__(state)
        if memory is not None:
            self._engine = engine_of(memory)


def raise_lost(result):
    """Raise what ended a training early, whose last round the estimator holds; nothing where nothing did."""
    if result.lost is not None:
        result.lost.kept = True
        raise result.lost


class all_or_nothing:
    """Put back the estimator's attributes, and what its optimizer remembers, when the block raises ``errors``.

    ``goes_on`` is whether the block may train the estimator's engine: one that makes its own has nothing to remember.
    A :class:`BlocksLost` after a finished round leaves that: see :func:`raise_lost`.
    """

    __slots__ = ("before", "errors", "estimator", "memory")

    def __init__(self, estimator, errors=BaseException, goes_on=True):
        self.estimator, self.errors = estimator, errors
        self.before = dict(vars(estimator))
        self.memory = remembered(self.before.get("_engine"), self.before.get("_hidden", ())) if goes_on else None

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if kind is None or not issubclass(kind, self.errors) or (isinstance(error, BlocksLost) and error.kept):
            return
        vars(self.estimator).clear()
        vars(self.estimator).update(self.before)
        if self.memory is not None:
            self.estimator._engine = engine_of(self.memory)


def restored(method):
    """Method decorator for ``fit`` and its like: what the method raises, Ctrl-C too, leaves the estimator as it was."""

    @wraps(method)
    def whole(self, *args, **kwargs):
        with all_or_nothing(self):
            return method(self, *args, **kwargs)

    return whole
