"""Losses of targets y and raw predictions z, the model's output before its inverse link.

Cross-entropies take logits, so they are exact for any finite input; no probability is clipped.

Examples
--------
>>> import numpy as np
>>> from fasttrain.losses import BinaryCrossentropy
>>> loss = BinaryCrossentropy()
>>> value, gradient = loss.value_and_gradient(np.array([0.0, 1.0]), np.array([0.0, 1e4]))
>>> round(value, 6)
0.346574
>>> gradient
array([0.25, 0.  ])
>>> loss.predict(np.array([0.0, 1e4]))
array([0.5, 1. ])
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from fasttrain._core.checks import check_same_shape, check_weights, real_array
from fasttrain._core.public import publish
from fasttrain._core.registry import Registry
from fasttrain._core.slices import slices
from fasttrain._core.specs import Spec, real, spec
from fasttrain._core.types import Array, ArrayLike, LossName
from fasttrain._kernels import activations as activation_kernel, losses as kernel
from fasttrain._kernels.threads import get_num_threads

__all__ = [
    "AbsoluteError", "BinaryCrossentropy", "EpsilonInsensitive", "Gamma", "HalfSquaredError", "Hinge", "Huber", "Loss",
    "ModifiedHuber", "Poisson", "Quantile", "SoftmaxCrossentropy", "SquaredEpsilonInsensitive",
    "SquaredError", "SquaredHinge", "Tweedie", "TweedieIdentity", "get", "names",
]

# What y of each kind of target may hold.
_TARGETS = {
    "real": ("finite numbers", np.isfinite),
    "non_negative": ("finite numbers >= 0", lambda y: np.isfinite(y) & (y >= 0)),
    "positive": ("finite numbers > 0", lambda y: np.isfinite(y) & (y > 0)),
    "probability": ("numbers from 0 to 1", lambda y: (y >= 0) & (y <= 1)),
    "margin": ("-1 and 1 only", lambda y: abs(y) == 1),
    "classes": ("class codes 0, 1, 2 ...", lambda y: (y >= 0) & (y == np.floor(y)) & np.isfinite(y)),
}


class Loss(Spec):
    """Base of the losses.

    Attributes
    ----------
    name : str
        The kernel's name.
    parameter : float
        The number that the kernel is given; 1.0 when it has no use for one.
    inverse_link : {'identity', 'logistic', 'softmax', 'exponential'}
        What turns raw predictions into predictions.
    targets : {'real', 'non_negative', 'positive', 'probability', 'margin', 'classes'}
        What y holds: any number, numbers >= 0, numbers > 0, numbers in [0, 1], -1 or +1, codes 0 .. k - 1.
    is_regression : bool
    """

    name: ClassVar[Any] = None
    parameter: ClassVar[Any] = 1.0
    inverse_link: ClassVar[str] = "identity"
    targets: ClassVar[Any] = "real"
    is_regression: ClassVar[bool] = True

    def loss(self, y: Array, raw_prediction: Array, sample_weight: Array | None = None) -> float:
        """Mean loss over samples and outputs.

        Parameters
        ----------
        y : array of shape (n,) or (n, k)
            Targets, of ``raw_prediction``'s shape; for softmax cross-entropy n class codes.
        raw_prediction : array of shape (n,) or (n, k)
            float32 and float64 are kept, other real dtypes become float64.
        sample_weight : array of shape (n,), default=None
            Finite, at least 0, not all 0. The mean is then ``sum_i w_i loss_i / sum_i w_i``.

        Returns
        -------
        float
        """
        return self._evaluate(y, raw_prediction, sample_weight, want_value=True, want_gradient=False)[0]

    def gradient(self, y: ArrayLike, raw_prediction: ArrayLike, sample_weight: ArrayLike | None = None) -> Array:
        """Gradient of :meth:`loss` with respect to ``raw_prediction``.

        Parameters
        ----------
        y : array of shape (n,) or (n, k)
        raw_prediction : array of shape (n, k) or (n,)
            float32 or float64.
        sample_weight : array of shape (n,), default=None

        Returns
        -------
        ndarray of the shape and dtype of ``raw_prediction``
        """
        return self._evaluate(y, raw_prediction, sample_weight, want_value=False, want_gradient=True)[1]

    def value_and_gradient(self, y: ArrayLike, raw_prediction: ArrayLike,
                           sample_weight: ArrayLike | None = None) -> tuple[float, Array]:
        """:meth:`loss` and :meth:`gradient` in one pass.

        Parameters
        ----------
        y : array of shape (n,) or (n, k)
        raw_prediction : array of shape (n, k) or (n,)
            float32 or float64.
        sample_weight : array of shape (n,), default=None

        Returns
        -------
        value : float
            As :meth:`loss` returns it.
        gradient : ndarray
            As :meth:`gradient` returns it.
        """
        return self._evaluate(y, raw_prediction, sample_weight, want_value=True, want_gradient=True)

    def predict(self, raw_prediction: ArrayLike) -> Array:
        """The inverse link of raw predictions: what the model predicts.

        Parameters
        ----------
        raw_prediction : array of shape (n, k) or (n,)

        Returns
        -------
        ndarray of its shape
        """
        raw = real_array(raw_prediction, "raw_prediction")
        out = np.array(raw)
        if self.inverse_link != "identity":
            flat = out.reshape(-1)
            activation_kernel.forward(self.inverse_link, flat, flat, 1.0, get_num_threads())
        return out

    def check_targets(self, y: ArrayLike) -> None:
        """Raise unless y holds what ``targets`` says.

        Parameters
        ----------
        y : ndarray

        Raises
        ------
        ValueError
            With the smallest number that does not fit.
        """
        accepted, holds = _TARGETS[self.targets]
        good = holds(y)
        if not good.all():
            raise ValueError(f"y must hold {accepted} for {self.name}, got {y[~good][0]}")

    def _arrays(self, y, raw_prediction):
        """y and the raw prediction as (n, k) arrays of one dtype."""
        raw = real_array(raw_prediction, "raw_prediction")
        if raw.ndim not in (1, 2):
            raise ValueError(f"raw_prediction must have 1 or 2 axes, got an array of shape {raw.shape}")
        y = real_array(y, "y")
        check_same_shape(y, "y", raw.shape, "raw_prediction")
        self.check_targets(y)
        shape = (raw.shape[0], raw.shape[1] if raw.ndim == 2 else 1)
        return y.astype(raw.dtype, copy=False).reshape(shape), raw.reshape(shape), raw.shape

    def _evaluate(self, y, raw_prediction, sample_weight, want_value, want_gradient):
        y, raw, shape = self._arrays(y, raw_prediction)
        n = raw.shape[0]
        if raw.size == 0:
            raise ValueError(f"raw_prediction must have a sample and an output at least, got shape {shape}")
        total_weight = float(n)
        weights = None
        if sample_weight is not None:
            weights = check_weights(sample_weight, n, raw.dtype)
            total_weight = float(weights.sum(dtype=np.float64))
        if self.targets != "classes":
            total_weight *= raw.shape[1]
            if weights is not None and raw.shape[1] > 1:
                weights = np.repeat(weights, raw.shape[1])
                y, raw = y.reshape(-1, 1), raw.reshape(-1, 1)
        gradient = np.empty_like(raw) if want_gradient else None
        total = kernel.loss_and_gradient(
            self.name, y, raw, weights, self.parameter, gradient, want_value, get_num_threads()
        )
        if want_gradient:
            gradient /= raw.dtype.type(total_weight)
            gradient = gradient.reshape(shape)
        return total / total_weight, gradient


_registry = Registry("loss", Loss, "a loss of fasttrain")


@_registry.add("half_squared_error")
@spec
class HalfSquaredError(Loss):
    """``(z - y)^2 / 2``."""

    name = "half_squared_error"


@_registry.add("squared_error", "mse", "mean_squared_error")
@spec
class SquaredError(Loss):
    """``(z - y)^2``."""

    name = "squared_error"


@_registry.add("absolute_error", "mae", "mean_absolute_error")
@spec
class AbsoluteError(Loss):
    """``|z - y|``; subgradient 0 at 0."""

    name = "absolute_error"


@_registry.add("huber")
@spec
class Huber(Loss):
    """``r^2 / 2`` for |r| <= delta, ``delta (|r| - delta / 2)`` past it, r = z - y (Huber 1964).

    Parameters
    ----------
    delta : float, default=1.0
        Greater than 0.
    """

    name = "huber"
    delta: float = real(default=1.0, low=0, open_low=True)

    @property
    def parameter(self) -> float:
        """``delta``, as the kernels take it."""
        return self.delta


@_registry.add("quantile", "pinball")
@spec
class Quantile(Loss):
    """``q r`` for r >= 0, ``(q - 1) r`` below, r = y - z (Koenker and Bassett 1978).

    Parameters
    ----------
    quantile : float, default=0.5
        Between 0 and 1.
    """

    name = "quantile"
    quantile: float = real(default=0.5, low=0, high=1, open_low=True, open_high=True)

    @property
    def parameter(self) -> float:
        """``quantile``, as the kernels take it."""
        return self.quantile


@_registry.add("poisson")
@spec
class Poisson(Loss):
    """``exp(z) - y z``: half the Poisson deviance with log link, the terms of y alone left out; y >= 0."""

    name = "poisson"
    inverse_link = "exponential"
    targets = "non_negative"


@_registry.add("gamma")
@spec
class Gamma(Loss):
    """``z + y exp(-z)``: half the gamma deviance with log link, the terms of y alone left out; y > 0."""

    name = "gamma"
    inverse_link = "exponential"
    targets = "positive"


@spec
class _WithPower(Loss):
    power: float = real(default=1.5)

    @property
    def parameter(self) -> float:
        """``power``, as the kernels take it."""
        return self.power

    @property
    def targets(self) -> str:
        """What targets may be, which depends on the power."""
        if self.power <= 0:
            return "real"
        return "non_negative" if self.power < 2 else "positive"


@_registry.add("tweedie")
@spec
class Tweedie(_WithPower):
    """``exp((2 - p) z) / (2 - p) - y exp((1 - p) z) / (1 - p)``: half the Tweedie deviance of power p with log link.

    The terms of y alone are left out (Jorgensen 1987). Its limits at p = 1 and 2 are the losses :class:`Poisson` and
    :class:`Gamma`; at p = 0 it is ``(exp(z) - y)^2 / 2``.

    Parameters
    ----------
    power : float, default=1.5
        p; y is any number for p <= 0, at least 0 for p < 2, above 0 from there.
    """

    name = "tweedie"
    inverse_link = "exponential"


@_registry.add("tweedie_identity")
@spec
class TweedieIdentity(_WithPower):
    """``y^(2 - p) / ((1 - p) (2 - p)) - y z^(1 - p) / (1 - p) + z^(2 - p) / (2 - p)``: half the Tweedie deviance of
    power p with identity link.

    Of ``y <= 0`` the first term is 0. At p = 0, 1 and 2 it is its limit there: ``(z - y)^2 / 2``,
    ``y log(y / z) + z - y`` and ``log(z / y) + y / z - 1``.

    Parameters
    ----------
    power : float, default=0.0
        p; y is any number for p <= 0, at least 0 for p < 2, above 0 from there; z is above 0 unless p = 0.
    """

    name = "tweedie_identity"
    power: float = real(default=0.0)


@_registry.add("binary_crossentropy", "log_loss", "logistic", "bce")
@spec
class BinaryCrossentropy(Loss):
    """``log(1 + exp(z)) - y z``: cross-entropy of a label y in [0, 1] and a logit z."""

    name = "binary_crossentropy"
    inverse_link = "logistic"
    targets = "probability"
    is_regression = False


@_registry.add("softmax_crossentropy", "sparse_categorical_crossentropy", "multinomial")
@spec
class SoftmaxCrossentropy(Loss):
    """``log(sum_c exp(z_c)) - z_y``: cross-entropy of a class code y in 0 .. k - 1 and k logits a row.

    Examples
    --------
    >>> from fasttrain.losses import SoftmaxCrossentropy
    >>> round(SoftmaxCrossentropy().loss([2, 0], [[0.0, 0.0, 0.0], [5.0, 0.0, 0.0]]), 6)
    0.555999
    """

    name = "softmax_crossentropy"
    inverse_link = "softmax"
    targets = "classes"
    is_regression = False

    def predict(self, raw_prediction: ArrayLike) -> Array:
        """Probabilities ``exp(z_c) / sum_k exp(z_k)`` of raw predictions.

        Parameters
        ----------
        raw_prediction : array of shape (n, k)

        Returns
        -------
        ndarray of its shape
        """
        raw = real_array(raw_prediction, "raw_prediction")
        if raw.ndim != 2:
            raise ValueError(f"raw_prediction must have shape (n, k), got {raw.shape}")
        out = np.array(raw)
        for part in slices(*out.shape):
            activation_kernel.softmax(out[part], out[part])
        return out

    def _arrays(self, y, raw_prediction):
        raw = real_array(raw_prediction, "raw_prediction")
        if raw.ndim != 2:
            raise ValueError(f"raw_prediction must have shape (n, k), got {raw.shape}")
        y = real_array(y, "y")
        n, k = raw.shape
        if y.shape not in ((n,), (n, 1)):
            raise ValueError(f"y must have shape ({n},), a class code for each row of logits, got {y.shape}")
        good = (y >= 0) & (y < k) & (y == np.floor(y))
        if not good.all():
            raise ValueError(f"y must hold class codes from 0 to {k - 1}, got {y[~good][0]}")
        return y.astype(raw.dtype, copy=False).reshape(n, 1), raw, raw.shape


class _Margin(Loss):
    targets = "margin"
    is_regression = False


@spec
class _WithThreshold(_Margin):
    threshold: float = real(default=1.0, low=0)

    @property
    def parameter(self) -> float:
        """``threshold``, as the kernels take it."""
        return self.threshold


@_registry.add("hinge")
@spec
class Hinge(_WithThreshold):
    """``max(0, threshold - y z)``, y in {-1, +1}; the perceptron's loss when the threshold is 0.

    Parameters
    ----------
    threshold : float, default=1.0
        At least 0.
    """

    name = "hinge"


@_registry.add("squared_hinge")
@spec
class SquaredHinge(_WithThreshold):
    """``max(0, threshold - y z)^2``, y in {-1, +1}.

    Parameters
    ----------
    threshold : float, default=1.0
        At least 0.
    """

    name = "squared_hinge"


@_registry.add("modified_huber")
@spec
class ModifiedHuber(_Margin):
    """``max(0, 1 - y z)^2`` for y z >= -1, ``-4 y z`` below, y in {-1, +1} (Zhang 2004)."""

    name = "modified_huber"


@spec
class _Insensitive(Loss):
    epsilon: float = real(default=0.1, low=0)

    @property
    def parameter(self) -> float:
        """``epsilon``, as the kernels take it."""
        return self.epsilon


@_registry.add("epsilon_insensitive")
@spec
class EpsilonInsensitive(_Insensitive):
    """``max(0, |z - y| - epsilon)`` (Vapnik 1995).

    Parameters
    ----------
    epsilon : float, default=0.1
        At least 0.
    """

    name = "epsilon_insensitive"


@_registry.add("squared_epsilon_insensitive")
@spec
class SquaredEpsilonInsensitive(_Insensitive):
    """``max(0, |z - y| - epsilon)^2``.

    Parameters
    ----------
    epsilon : float, default=0.1
        At least 0.
    """

    name = "squared_epsilon_insensitive"


_registry.alias(lambda: Hinge(threshold=0.0), "perceptron")


def get(loss: LossName | Loss | type[Loss]) -> Loss:
    """The loss that ``loss`` stands for: a spec as it is, a class or a name its default.

    Parameters
    ----------
    loss : str, Loss or subclass of it
        Names are those of :func:`names`, and their aliases.

    Returns
    -------
    Loss

    Raises
    ------
    ValueError, TypeError
        For anything else; the message lists the names.

    Examples
    --------
    >>> from fasttrain import losses
    >>> losses.get("huber")
    Huber(delta=1.0)
    """
    return _registry.get(loss)


def names() -> tuple[str, ...]:
    """Names that :func:`get` takes, aliases left out."""
    return _registry.names

publish(globals())
