"""Keras's losses: the mean over a sample's outputs, averaged over the rows of the batch.

With sample weights the weighted sum is divided by the number of rows, as in Keras, not by the sum of the weights.
Each class tells how the engine computes it together with the activation of the last layer; each function takes
predictions and gives one number a row.

Examples
--------
>>> from fasttrain.keras.losses import MeanSquaredError, mean_squared_error
>>> mean_squared_error([[0.0, 1.0], [0.0, 0.0]], [[1.0, 1.0], [1.0, 0.0]])
array([0.5, 0.5])
>>> MeanSquaredError()([[0.0, 1.0], [0.0, 0.0]], [[1.0, 1.0], [1.0, 0.0]], sample_weight=[1.0, 0.0])
0.25
"""

import numpy as np

from fasttrain import losses as specs
from fasttrain._core.checks import check_flag, check_real, real_array
from fasttrain._kernels import losses as kernel
from fasttrain._kernels.threads import get_num_threads
from fasttrain.keras._config import Configured, registry

__all__ = [
    "BinaryCrossentropy", "CategoricalCrossentropy", "Hinge", "Huber", "Loss", "MeanAbsoluteError",
    "MeanSquaredError", "Poisson", "SparseCategoricalCrossentropy", "SquaredHinge", "binary_crossentropy",
    "categorical_crossentropy", "get", "hinge", "huber", "mean_absolute_error", "mean_squared_error", "poisson",
    "sparse_categorical_crossentropy", "squared_hinge",
]

# What Keras adds to the argument of a logarithm, or keeps probabilities away from 0 and 1 by.
EPSILON = 1e-7


def pair(y_true, y_pred):
    """Targets and predictions as (n, k) arrays of the predictions' dtype; a (n,) of either is one output."""
    y_pred = real_array(y_pred, "y_pred")
    y_true = real_array(y_true, "y_true").astype(y_pred.dtype, copy=False)
    y_pred = y_pred.reshape(len(y_pred), -1) if y_pred.ndim else y_pred.reshape(1, 1)
    if y_true.size != y_pred.size:
        raise ValueError(f"y_true must have as many elements as y_pred, {y_pred.shape}, got shape {y_true.shape}")
    return y_true.reshape(y_pred.shape), y_pred


def codes_and_predictions(y_true, y_pred):
    """Class codes (n,) and predictions (n, k)."""
    y_pred = real_array(y_pred, "y_pred")
    codes = real_array(y_true, "y_true").reshape(-1).astype(np.intp)
    if y_pred.ndim != 2 or len(codes) != len(y_pred):
        raise ValueError(f"y_true must have a class code for each row of y_pred {y_pred.shape}, got {len(codes)}")
    return codes, y_pred


def _compiled(name, y_true, y_pred, parameter=1.0):
    """Mean over outputs of a loss of the engine, one number a row."""
    values = np.empty(len(y_pred), dtype=y_pred.dtype)
    kernel.row_losses(name, y_true, y_pred, values, parameter, get_num_threads())
    return values / y_pred.shape[1]


def mean_squared_error(y_true, y_pred):
    """Mean over outputs of ``(y_true - y_pred)^2``; shape (n,)."""
    return _compiled("squared_error", *pair(y_true, y_pred))


def mean_absolute_error(y_true, y_pred):
    """Mean over outputs of ``|y_true - y_pred|``; shape (n,)."""
    return _compiled("absolute_error", *pair(y_true, y_pred))


def huber(y_true, y_pred, delta=1.0):
    """Mean over outputs of ``r^2 / 2`` for |r| <= delta, ``delta (|r| - delta / 2)`` past it; shape (n,)."""
    return _compiled("huber", *pair(y_true, y_pred), delta)


# The compiled losses of poisson and the cross-entropies take logarithms of what these take, or logits: they need no
# EPSILON, which Keras's values have.
def poisson(y_true, y_pred):
    """Mean over outputs of ``y_pred - y_true log(y_pred + 1e-7)``; shape (n,)."""
    y_true, y_pred = pair(y_true, y_pred)
    return (y_pred - y_true * np.log(y_pred + y_pred.dtype.type(EPSILON))).mean(axis=1)


def _logs(y_pred, from_logits):
    """log p and log(1 - p)."""
    if from_logits:
        return -np.logaddexp(0, -y_pred), -np.logaddexp(0, y_pred)
    p = np.clip(y_pred, EPSILON, 1 - EPSILON)
    return np.log(p), np.log1p(-p)


def binary_crossentropy(y_true, y_pred, from_logits=False, label_smoothing=0.0):
    """Mean over outputs of ``-y log p - (1 - y) log(1 - p)``; shape (n,)."""
    y_true, y_pred = pair(y_true, y_pred)
    y_true = _smoothed(y_true, label_smoothing, 2)
    log_p, log_q = _logs(y_pred, from_logits)
    return -(y_true * log_p + (1 - y_true) * log_q).mean(axis=1)


def _log_probabilities(y_pred, from_logits):
    if from_logits:
        top = y_pred.max(axis=1, keepdims=True)
        return y_pred - top - np.log(np.exp(y_pred - top).sum(axis=1, keepdims=True))
    return np.log(np.clip(y_pred / y_pred.sum(axis=1, keepdims=True), EPSILON, 1 - EPSILON))


def categorical_crossentropy(y_true, y_pred, from_logits=False, label_smoothing=0.0):
    """``-sum_c y_c log p_c`` of one-hot rows, or rows of probabilities; shape (n,)."""
    y_true, y_pred = pair(y_true, y_pred)
    return -(_smoothed(y_true, label_smoothing, y_true.shape[1]) * _log_probabilities(y_pred, from_logits)).sum(axis=1)


def sparse_categorical_crossentropy(y_true, y_pred, from_logits=False):
    """``-log p_y`` of class codes y; shape (n,)."""
    codes, y_pred = codes_and_predictions(y_true, y_pred)
    return -_log_probabilities(y_pred, from_logits)[np.arange(len(codes)), codes]


def _signs(y_true):
    return 2 * y_true - 1 if np.isin(y_true, (0, 1)).all() else y_true


def _margins(name, y_true, y_pred):
    y_true, y_pred = pair(y_true, y_pred)
    return _compiled(name, _signs(y_true), y_pred)


def hinge(y_true, y_pred):
    """Mean over outputs of ``max(0, 1 - y z)``, y -1 or 1 (0 counts as -1); shape (n,)."""
    return _margins("hinge", y_true, y_pred)


def squared_hinge(y_true, y_pred):
    """Mean over outputs of ``max(0, 1 - y z)^2``, y -1 or 1 (0 counts as -1); shape (n,)."""
    return _margins("squared_hinge", y_true, y_pred)


def _smoothed(y, label_smoothing, n_classes):
    return y * (1 - label_smoothing) + label_smoothing / n_classes if label_smoothing else y


def _check_held(y, good, accepted, loss):
    if not good.all():
        raise ValueError(f"y must hold {accepted} for loss {loss!r}, got {y[~good][0]}")


class Loss(Configured):
    """Base of the losses.

    Attributes
    ----------
    name : str
        Keras's name.
    fused : dict
        From the last layer's activation to the engine's loss that has it in it.
    """

    name = None
    fused = {}  # noqa: RUF012
    parameter = 1.0
    one_code = False
    mean_over_outputs = True

    def __init__(self, reduction="sum_over_batch_size", name=None, **config):
        if reduction not in ("sum_over_batch_size", "mean"):
            raise ValueError(f"reduction must be 'sum_over_batch_size', got {reduction!r}")
        self.name = type(self).name if name is None else str(name)
        self._config = config

    def __call__(self, y_true, y_pred, sample_weight=None):
        """The loss of predictions, a float.

        Parameters
        ----------
        y_true, y_pred : array of shape (n, k) or (n,)
        sample_weight : array of shape (n,), default=None
        """
        values = self.rows(y_true, y_pred).astype(np.float64)
        if sample_weight is not None:
            values *= real_array(sample_weight, "sample_weight").reshape(-1)
        return float(values.mean())

    def rows(self, y_true, y_pred):
        """The loss of each row, an array of shape (n,)."""
        return type(self).function(y_true, y_pred, **self._config)

    def engine(self, activation):
        """The engine's loss, and the activation that it is to apply to the last layer's outputs before it.

        Parameters
        ----------
        activation : Activation
            Of the last layer.

        Returns
        -------
        (str, Activation or None)
        """
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

    def encode(self, y, n, k, dtype):
        """y for the engine: an array of shape (n, k), or (n, 1) of class codes.

        Raises
        ------
        ValueError
            When y has another shape or holds what the loss does not accept.
        """
        y = real_array(y, "y")
        if y.shape != (n, k) and (k > 1 or y.shape != (n,)):
            raise ValueError(f"y must have shape ({n}, {k}), as the last layer has {k} outputs, got {y.shape}")
        if not np.isfinite(y).all():
            raise ValueError("y must hold finite numbers, got NaN or infinity")
        return np.ascontiguousarray(self._encoded(y.reshape(n, k)), dtype=dtype)

    def _encoded(self, y):
        return y


_registry = registry("loss", Loss)


@_registry.add("mean_squared_error", "mse")
class MeanSquaredError(Loss):
    """``(y - z)^2``, without a half."""

    name = "mean_squared_error"
    function = staticmethod(mean_squared_error)
    fused = {"identity": "squared_error"}  # noqa: RUF012


@_registry.add("mean_absolute_error", "mae")
class MeanAbsoluteError(Loss):
    """``|y - z|``."""

    name = "mean_absolute_error"
    function = staticmethod(mean_absolute_error)
    fused = {"identity": "absolute_error"}  # noqa: RUF012


@_registry.add("huber", "huber_loss")
class Huber(Loss):
    """``r^2 / 2`` for |r| <= delta, ``delta (|r| - delta / 2)`` past it.

    Parameters
    ----------
    delta : float, default=1.0
        Greater than 0.
    """

    name = "huber_loss"
    function = staticmethod(huber)
    fused = {"identity": "huber"}  # noqa: RUF012

    def __init__(self, delta=1.0, reduction="sum_over_batch_size", name=None):
        self.parameter = check_real(delta, "delta", low=0, open_low=True)
        super().__init__(reduction, name, delta=self.parameter)


@_registry.add("poisson")
class Poisson(Loss):
    """``p - y log p``, y >= 0, p the exponential of the last layer's outputs.

    Keras adds 1e-7 to the argument of the logarithm; the engine, which has the logarithm itself, does not.
    """

    name = "poisson"
    function = staticmethod(poisson)
    fused = {"exponential": "poisson"}  # noqa: RUF012

    def _encoded(self, y):
        _check_held(y, y >= 0, "numbers >= 0", type(self).name)
        return y


class _Crossentropy(Loss):
    """The cross-entropies: from probabilities, or with ``from_logits`` from what an activation is still to come to."""

    _activation = _kernel = None

    def __init__(self, from_logits, reduction, name, **config):
        check_flag(from_logits, "from_logits")
        if "label_smoothing" in config:
            config["label_smoothing"] = check_real(config["label_smoothing"], "label_smoothing", low=0, high=1)
        super().__init__(reduction, name, from_logits=bool(from_logits), **config)
        self.fused = {"identity" if from_logits else self._activation: self._kernel}


@_registry.add("binary_crossentropy", "bce")
class BinaryCrossentropy(_Crossentropy):
    """``-y log p - (1 - y) log(1 - p)``, y from 0 to 1.

    Parameters
    ----------
    from_logits : bool, default=False
        False wants a last layer with activation 'sigmoid', True a linear one.
    label_smoothing : float, default=0.0
        s moves y to ``y (1 - s) + s / 2``.
    """

    name = "binary_crossentropy"
    function = staticmethod(binary_crossentropy)
    _activation, _kernel = "logistic", "binary_crossentropy"

    def __init__(self, from_logits=False, label_smoothing=0.0, reduction="sum_over_batch_size", name=None):
        super().__init__(from_logits, reduction, name, label_smoothing=label_smoothing)

    def _encoded(self, y):
        _check_held(y, (y >= 0) & (y <= 1), "numbers from 0 to 1", type(self).name)
        return _smoothed(y, self._config["label_smoothing"], 2)


@_registry.add("categorical_crossentropy")
class CategoricalCrossentropy(_Crossentropy):
    """``-sum_c y_c log p_c``, y one-hot or probabilities.

    Parameters
    ----------
    from_logits : bool, default=False
        False wants a last layer with activation 'softmax', True a linear one.
    label_smoothing : float, default=0.0
        s moves y to ``y (1 - s) + s / k``.
    """

    name = "categorical_crossentropy"
    function = staticmethod(categorical_crossentropy)
    _activation, _kernel = "softmax", "softmax_crossentropy"
    mean_over_outputs = False

    def __init__(self, from_logits=False, label_smoothing=0.0, reduction="sum_over_batch_size", name=None):
        super().__init__(from_logits, reduction, name, label_smoothing=label_smoothing)

    def encode(self, y, n, k, dtype):
        """Rows of numbers >= 0 as (n, k), or when all are one-hot their codes as (n, 1)."""
        y = real_array(y, "y")
        if y.shape != (n, k) or k < 2:
            raise ValueError(
                f"y must be one-hot, of shape ({n}, {k}) with at least 2 columns, for loss 'categorical_crossentropy' "
                f"(class codes are for 'sparse_categorical_crossentropy'), got shape {y.shape}"
            )
        y = super().encode(y, n, k, dtype)
        # rows that are one-hot indeed go to the engine as codes, which it reads less of
        codes = y.argmax(axis=1)
        plain = (y[np.arange(n), codes] == 1).all() and np.count_nonzero(y) == n
        return np.ascontiguousarray(codes[:, None], dtype=dtype) if plain else y

    def _encoded(self, y):
        _check_held(y, y >= 0, "numbers >= 0", type(self).name)
        return _smoothed(y, self._config["label_smoothing"], y.shape[1])


@_registry.add("sparse_categorical_crossentropy")
class SparseCategoricalCrossentropy(_Crossentropy):
    """``-log p_y``, y class codes 0 .. k - 1.

    Parameters
    ----------
    from_logits : bool, default=False
        False wants a last layer with activation 'softmax', True a linear one.
    """

    name = "sparse_categorical_crossentropy"
    function = staticmethod(sparse_categorical_crossentropy)
    _activation, _kernel = "softmax", "softmax_crossentropy"
    one_code = True
    mean_over_outputs = False

    def __init__(self, from_logits=False, reduction="sum_over_batch_size", name=None):
        super().__init__(from_logits, reduction, name)

    def encode(self, y, n, k, dtype):
        """Class codes as (n, 1)."""
        y = real_array(y, "y")
        if y.shape not in ((n,), (n, 1)):
            raise ValueError(f"y must hold {n} class codes for loss {self.name!r}, got shape {y.shape}")
        if k < 2:
            raise ValueError(f"loss {self.name!r} needs at least 2 outputs, the last layer has {k}")
        good = (y >= 0) & (y < k) & (y == np.floor(y))
        _check_held(y, good, f"class codes from 0 to {k - 1}", self.name)
        return np.ascontiguousarray(y.reshape(n, 1), dtype=dtype)


class _Margin(Loss):
    def _encoded(self, y):
        signs = _signs(y)
        _check_held(y, np.abs(signs) == 1, "-1 and 1, or 0 and 1,", self.name)
        return signs


@_registry.add("hinge")
class Hinge(_Margin):
    """``max(0, 1 - y z)``, y -1 and 1, or 0 and 1."""

    name = "hinge"
    function = staticmethod(hinge)
    fused = {"identity": "hinge"}  # noqa: RUF012


@_registry.add("squared_hinge")
class SquaredHinge(_Margin):
    """``max(0, 1 - y z)^2``, y -1 and 1, or 0 and 1."""

    name = "squared_hinge"
    function = staticmethod(squared_hinge)
    fused = {"identity": "squared_hinge"}  # noqa: RUF012


class _Spec(Loss):
    """A loss of :mod:`fasttrain.losses`, averaged over outputs as all are here."""

    def __init__(self, given):
        super().__init__(name=given.name)
        self.given = given
        self.parameter = given.parameter
        self.fused = {given.inverse_link: given.name}
        self.one_code = given.targets == "classes"
        self.mean_over_outputs = not self.one_code
        self._config = {"spec": given}

    def rows(self, y_true, y_pred):
        raise TypeError(f"{self.given!r} takes raw predictions; use its own methods")

    def encode(self, y, n, k, dtype):
        if self.one_code:
            return SparseCategoricalCrossentropy(name=self.name).encode(y, n, k, dtype)
        return super().encode(y, n, k, dtype)

    def _encoded(self, y):
        self.given.check_targets(y)
        return y


_FUNCTIONS = {name: globals()[name] for name in __all__ if name[0].islower() and name != "get"}


def get(identifier):
    """The loss that ``identifier`` stands for.

    Parameters
    ----------
    identifier : str, Loss, class or function of this module, or loss of :mod:`fasttrain.losses`

    Raises
    ------
    ValueError, TypeError
        For anything else; the message lists the names.
    """
    if isinstance(identifier, specs.Loss):
        return _Spec(identifier)
    for name, function in _FUNCTIONS.items():
        if identifier is function:
            return _registry.get(name)
    return _registry.get(identifier)
