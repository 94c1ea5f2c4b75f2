"""Pictures of a training, in scikit-learn's Display convention; matplotlib is asked for when one is drawn.

Examples
--------
>>> from fasttrain.plotting import LossCurveDisplay
>>> LossCurveDisplay([3.0, 2.0, 1.5], validation_curve=[3.1, 2.4, 2.2]).n_epochs
3
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fasttrain._core.public import publish
from fasttrain._core.types import ArrayLike, Self

__all__ = ["LossCurveDisplay"]


def axes(ax):
    """``ax``, or new axes in a figure of pyplot's when it is None."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("plotting needs matplotlib: pip install 'fasttrain[plot]'") from error
    return plt.subplots()[1] if ax is None else ax


def _curves(values, name):
    """One curve, or one for each of several models, as a list of arrays."""
    rows = list(values)
    several = bool(rows) and all(np.ndim(row) == 1 for row in rows)
    curves = [np.asarray(row, dtype=np.float64) for row in (rows if several else [rows])]
    for curve in curves:
        if curve.ndim != 1 or not len(curve):
            raise ValueError(f"{name} must be a number an epoch, or a list of such lists, got shape {curve.shape}")
    return curves


class LossCurveDisplay:
    """The loss of each epoch of a training.

    Parameters
    ----------
    loss_curve : array-like of shape (n_epochs,), or list of such
        Training loss; a list of curves has one for each of several models.
    validation_curve : array-like of shape (n_epochs,), or list of such, default=None
        Loss on validation data.
    validation_scores : array-like of shape (n_epochs,), or list of such, default=None
        Scores on validation data, drawn on an axis of their own at the right.
    estimator_name : str, default=None
        For the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    line_ : matplotlib Artist
        Of the training loss; the first one of several.
    lines_ : list of matplotlib Artists
        Of the training loss, one for each model.
    validation_lines_, score_lines_ : list of matplotlib Artists
        Empty without such curves.
    score_ax_ : matplotlib Axes or None
        The axis at the right.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fasttrain.linear_model import LinearRegressor
    >>> from fasttrain.plotting import LossCurveDisplay
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = LinearRegressor(max_iter=50, tol=None, random_state=0).fit(X, y)
    >>> display = LossCurveDisplay.from_estimator(model)  # doctest: +SKIP
    """

    ax_: Any
    figure_: Any
    score_ax_: Any
    line_: Any
    lines_: list[Any]
    validation_lines_: list[Any]
    score_lines_: list[Any]

    def __init__(self, loss_curve: ArrayLike | Sequence[ArrayLike],
                 validation_curve: ArrayLike | Sequence[ArrayLike] | None = None, *,
                 validation_scores: ArrayLike | Sequence[ArrayLike] | None = None,
                 estimator_name: str | None = None) -> None:
        self.loss_curve = loss_curve
        self.validation_curve = validation_curve
        self.validation_scores = validation_scores
        self.estimator_name = estimator_name

    @property
    def n_epochs(self) -> int:
        """Length of the longest training curve."""
        return max(len(curve) for curve in _curves(self.loss_curve, "loss_curve"))

    def plot(self, ax: Any = None, *, name: str | None = None, validation_kwargs: dict[str, Any] | None = None,
             score_kwargs: dict[str, Any] | None = None, **kwargs: Any) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            New ones when None.
        name : str, default=None
            For the legend, in place of ``estimator_name``.
        validation_kwargs, score_kwargs : dict, default=None
            For matplotlib's ``plot`` of these curves.
        **kwargs
            For matplotlib's ``plot`` of the training loss.

        Returns
        -------
        self
        """
        groups = [
            ("loss", _curves(self.loss_curve, "loss_curve"), kwargs),
            ("validation loss", self._optional("validation_curve"), {"linestyle": "--", **(validation_kwargs or {})}),
            ("validation score", self._optional("validation_scores"), {"linestyle": ":", **(score_kwargs or {})}),
        ]
        self.ax_ = axes(ax)
        self.figure_ = self.ax_.figure
        self.score_ax_ = self.ax_.twinx() if groups[2][1] else None
        name = self.estimator_name if name is None else name
        found = []
        for what, curves, options in groups:
            on = self.score_ax_ if what == "validation score" else self.ax_
            found.append([
                on.plot(
                    np.arange(1, len(curve) + 1), curve,
                    **{"label": self._label(name, what, i, len(curves)), "color": f"C{i}", **options},
                )[0]
                for i, curve in enumerate(curves)
            ])
        self.lines_, self.validation_lines_, self.score_lines_ = found
        self.line_ = self.lines_[0]
        self.ax_.set(xlabel="Epoch", ylabel="Loss")
        if self.score_ax_ is not None:
            self.score_ax_.set_ylabel("Validation score")
        self.ax_.legend(handles=[line for lines in found for line in lines])
        return self

    def _optional(self, name):
        values = getattr(self, name)
        return [] if values is None else _curves(values, name)

    @staticmethod
    def _label(name, what, number, count):
        parts = [name, f"model {number}" if count > 1 else None, what]
        return ", ".join(part for part in parts if part)

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, name: str | None = None,
                       **kwargs: Any) -> LossCurveDisplay:
        """Draw the curves that a fit has left.

        Parameters
        ----------
        estimator : fitted estimator, or the History of a Sequential
            With ``loss_curve_`` (and ``validation_loss_curve_``, ``validation_scores_``), or with a dict ``history``
            that has ``loss`` and perhaps ``val_loss``.
        ax : matplotlib Axes, default=None
        name : str, default=None
            For the legend; the class's name when None.
        **kwargs
            As for :meth:`plot`.

        Returns
        -------
        LossCurveDisplay

        Raises
        ------
        ValueError
            When there is no curve: the estimator is not fitted.
        """
        history = getattr(estimator, "history", None)
        # a Sequential keeps the History of its last fit, which keeps the dict
        history = getattr(history, "history", history)
        if isinstance(history, dict) and history.get("loss"):
            loss = history["loss"]
            validation, scores = history.get("val_loss", history.get("validation_loss")), None
        else:
            loss = getattr(estimator, "loss_curve_", None)
            validation = getattr(estimator, "validation_loss_curve_", None)
            scores = getattr(estimator, "validation_scores_", None)
        if loss is None or not len(loss):
            raise ValueError(f"{type(estimator).__name__} has no loss curve: it is not fitted, or fitted without one")
        display = cls(
            loss, None if validation is None or not len(validation) else validation,
            validation_scores=None if scores is None or not len(scores) else scores,
            estimator_name=type(estimator).__name__ if name is None else name,
        )
        return display.plot(ax=ax, **kwargs)

publish(globals())
