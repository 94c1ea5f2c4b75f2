"""The losses as functions: predictions to one number a row."""

from __future__ import annotations

from typing import Any

import numpy as np

from fasttrain._core.checks import real_array
from fasttrain._core.types import ArrayLike
from fasttrain._kernels import losses as kernel
from fasttrain._kernels.threads import get_num_threads
from fasttrain.keras import ops

# What Keras adds to the argument of a logarithm, or keeps probabilities away from 0 and 1 by.
EPSILON = 1e-7


def pair(y_true, y_pred):
    """Targets and predictions as (n, k) arrays of the predictions' dtype; a (n,) of either is one output."""
    y_pred = real_array(y_pred, "y_pred")
    y_true = real_array(y_true, "y_true").astype(y_pred.dtype, copy=False)
    own, other = y_true.shape, y_pred.shape
    # one of them may lack an axis of length 1, as labels mostly do
    if own != other and own != (*other, 1) and other != (*own, 1):
        raise ValueError(f"y_true must have the shape of y_pred, {other}, got {own}")
    y_pred = y_pred.reshape(len(y_pred), -1) if y_pred.ndim else y_pred.reshape(1, 1)
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


def mean_squared_error(y_true: ArrayLike, y_pred: ArrayLike) -> Any:
    """Mean over outputs of ``(y_true - y_pred)^2``; shape (n,)."""
    return _compiled("squared_error", *pair(y_true, y_pred))


def mean_absolute_error(y_true: ArrayLike, y_pred: ArrayLike) -> Any:
    """Mean over outputs of ``|y_true - y_pred|``; shape (n,)."""
    return _compiled("absolute_error", *pair(y_true, y_pred))


def huber(y_true: ArrayLike, y_pred: ArrayLike, delta: float = 1.0) -> Any:
    """Mean over outputs of ``r^2 / 2`` for |r| <= delta, ``delta (|r| - delta / 2)`` past it; shape (n,)."""
    return _compiled("huber", *pair(y_true, y_pred), delta)


# The compiled losses of poisson and the cross-entropies take logarithms of what these take, or logits: they need no
# EPSILON, which Keras's values have.
def poisson(y_true: ArrayLike, y_pred: ArrayLike) -> Any:
    """Mean over outputs of ``y_pred - y_true log(y_pred + 1e-7)``; shape (n,)."""
    y_true, y_pred = pair(y_true, y_pred)
    return (y_pred - y_true * np.log(y_pred + y_pred.dtype.type(EPSILON))).mean(axis=1)


def _logs(y_pred, from_logits):
    """log p and log(1 - p)."""
    if from_logits:
        return -np.logaddexp(0, -y_pred), -np.logaddexp(0, y_pred)
    p = np.clip(y_pred, EPSILON, 1 - EPSILON)
    return np.log(p), np.log1p(-p)


def binary_crossentropy(y_true: ArrayLike, y_pred: ArrayLike, from_logits: bool = False,
                        label_smoothing: float = 0.0) -> Any:
    """Mean over outputs of ``-y log p - (1 - y) log(1 - p)``; shape (n,)."""
    y_true, y_pred = pair(y_true, y_pred)
    y_true = smoothed(y_true, label_smoothing, 2)
    log_p, log_q = _logs(y_pred, from_logits)
    return -(y_true * log_p + (1 - y_true) * log_q).mean(axis=1)


def _log_probabilities(y_pred, from_logits):
    if from_logits:
        top = y_pred.max(axis=1, keepdims=True)
        return y_pred - top - np.log(np.exp(y_pred - top).sum(axis=1, keepdims=True))
    return np.log(np.clip(y_pred / y_pred.sum(axis=1, keepdims=True), EPSILON, 1 - EPSILON))


def categorical_crossentropy(y_true: ArrayLike, y_pred: ArrayLike, from_logits: bool = False,
                             label_smoothing: float = 0.0) -> Any:
    """``-sum_c y_c log p_c`` of one-hot rows, or rows of probabilities; shape (n,)."""
    y_true, y_pred = pair(y_true, y_pred)
    return -(smoothed(y_true, label_smoothing, y_true.shape[1]) * _log_probabilities(y_pred, from_logits)).sum(axis=1)


def sparse_categorical_crossentropy(y_true: ArrayLike, y_pred: ArrayLike, from_logits: bool = False) -> Any:
    """``-log p_y`` of class codes y; shape (n,)."""
    codes, y_pred = codes_and_predictions(y_true, y_pred)
    return -_log_probabilities(y_pred, from_logits)[np.arange(len(codes)), codes]


def signs(y_true):
    return 2 * y_true - 1 if np.isin(y_true, (0, 1)).all() else y_true


def _margins(name, y_true, y_pred):
    y_true, y_pred = pair(y_true, y_pred)
    return _compiled(name, signs(y_true), y_pred)


def hinge(y_true: ArrayLike, y_pred: ArrayLike) -> Any:
    """Mean over outputs of ``max(0, 1 - y z)``, y -1 or 1 (0 counts as -1); shape (n,)."""
    return _margins("hinge", y_true, y_pred)


def squared_hinge(y_true: ArrayLike, y_pred: ArrayLike) -> Any:
    """Mean over outputs of ``max(0, 1 - y z)^2``, y -1 or 1 (0 counts as -1); shape (n,)."""
    return _margins("squared_hinge", y_true, y_pred)


def smoothed(y, label_smoothing, n_classes):
    return y * (1 - label_smoothing) + label_smoothing / n_classes if label_smoothing else y


# ---- those that the engine does not have: formulas, whose derivatives are taken from them ----


def _pair(y_true, y_pred):
    """Targets and predictions as arrays of one dtype; the predictions may be traced."""
    if isinstance(y_pred, ops.Traced):
        return np.asarray(y_true, dtype=y_pred.dtype).reshape(y_pred.shape), y_pred
    return pair(y_true, y_pred)


def _between(y_pred, low=EPSILON, high=1 - EPSILON):
    return ops.clip(y_pred, low, high)


def mean_absolute_percentage_error(y_true: ArrayLike, y_pred: ArrayLike) -> Any:
    """100 times the mean over outputs of ``|y - p| / max(|y|, 1e-7)``; shape (n,)."""
    y_true, y_pred = _pair(y_true, y_pred)
    return 100 * ops.mean(ops.abs(y_true - y_pred) / np.maximum(np.abs(y_true), EPSILON), axis=-1)


def mean_squared_logarithmic_error(y_true: ArrayLike, y_pred: ArrayLike) -> Any:
    """Mean over outputs of the squared difference of ``log(1 + max(., 1e-7))``; shape (n,)."""
    y_true, y_pred = _pair(y_true, y_pred)
    logs = [ops.log1p(ops.maximum(a, EPSILON)) for a in (y_true, y_pred)]
    return ops.mean(ops.square(logs[0] - logs[1]), axis=-1)


def log_cosh(y_true: ArrayLike, y_pred: ArrayLike) -> Any:
    """Mean over outputs of ``log(cosh(p - y))``; shape (n,)."""
    y_true, y_pred = _pair(y_true, y_pred)
    difference = y_pred - y_true
    return ops.mean(difference + ops.softplus(-2 * difference) - np.log(2).astype(y_true.dtype), axis=-1)


def kl_divergence(y_true: ArrayLike, y_pred: ArrayLike) -> Any:
    """Sum over outputs of ``y log(y / p)``, both held from 1e-7 to 1; shape (n,)."""
    y_true, y_pred = (_between(a, high=1) for a in _pair(y_true, y_pred))
    return ops.sum(y_true * (ops.log(y_true) - ops.log(y_pred)), axis=-1)


def _unit(x):
    length = ops.sqrt(ops.maximum(ops.sum(ops.square(x), axis=-1, keepdims=True), EPSILON**2))
    return x / length


def cosine_similarity(y_true: ArrayLike, y_pred: ArrayLike, axis: Any = -1) -> Any:
    """Minus the cosine of the angle between a row's targets and predictions; shape (n,)."""
    if axis not in (-1, 1):
        raise ValueError(f"axis must be -1, got {axis!r}")
    y_true, y_pred = _pair(y_true, y_pred)
    return -ops.sum(_unit(y_true) * _unit(y_pred), axis=-1)


def categorical_hinge(y_true: ArrayLike, y_pred: ArrayLike) -> Any:
    """``max(0, 1 + max of the wrong outputs - the right one's)`` of one-hot rows; shape (n,)."""
    y_true, y_pred = _pair(y_true, y_pred)
    right, wrong = ops.sum(y_true * y_pred, axis=-1), ops.max((1 - y_true) * y_pred, axis=-1)
    return ops.maximum(wrong - right + 1, 0)


def binary_focal_crossentropy(y_true: ArrayLike, y_pred: ArrayLike, apply_class_balancing: bool = False,
                              alpha: float = 0.25, gamma: float = 2.0, from_logits: bool = False,
                              label_smoothing: float = 0.0, axis: Any = -1) -> Any:
    """Mean over outputs of ``-(1 - q)^gamma log q``, q the probability of what is right (Lin et al. 2017); (n,)."""
    y_true, y_pred = _pair(y_true, y_pred)
    y_true = smoothed(y_true, label_smoothing, 2)
    p = _between(ops.sigmoid(y_pred) if from_logits else y_pred)
    values = -(y_true * ops.log(p) + (1 - y_true) * ops.log(1 - p))
    q = y_true * p + (1 - y_true) * (1 - p)
    values = ops.power(1 - q, gamma) * values
    if apply_class_balancing:
        values = (y_true * alpha + (1 - y_true) * (1 - alpha)) * values
    return ops.mean(values, axis=-1)


def categorical_focal_crossentropy(y_true: ArrayLike, y_pred: ArrayLike, alpha: float = 0.25, gamma: float = 2.0,
                                   from_logits: bool = False, label_smoothing: float = 0.0, axis: Any = -1) -> Any:
    """``-alpha sum_c y_c (1 - p_c)^gamma log p_c`` of one-hot rows (Lin et al. 2017); shape (n,)."""
    y_true, y_pred = _pair(y_true, y_pred)
    y_true = smoothed(y_true, label_smoothing, y_true.shape[-1])
    p = ops.softmax(y_pred) if from_logits else y_pred / ops.sum(y_pred, axis=-1, keepdims=True)
    p = _between(p)
    return -ops.sum(alpha * ops.power(1 - p, gamma) * y_true * ops.log(p), axis=-1)


def dice(y_true: ArrayLike, y_pred: ArrayLike, axis: Any = None) -> Any:
    """One minus twice what targets and predictions share over both (Milletari et al. 2016); one number of a batch."""
    y_true, y_pred = _pair(y_true, y_pred)
    shared = ops.sum(y_true * y_pred, axis=axis)
    return 1 - (2 * shared) / (ops.sum(y_true, axis=axis) + ops.sum(y_pred, axis=axis) + EPSILON)


def tversky(y_true: ArrayLike, y_pred: ArrayLike, alpha: float = 0.5, beta: float = 0.5, axis: Any = None) -> Any:
    """:func:`dice` with weights of what is missed, alpha, and of what is wrong, beta (Salehi et al. 2017, with the two
    the other way round, as in Keras); one number of a batch."""
    y_true, y_pred = _pair(y_true, y_pred)
    shared = ops.sum(y_true * y_pred, axis=axis)
    missed, wrong = ops.sum(y_true * (1 - y_pred), axis=axis), ops.sum((1 - y_true) * y_pred, axis=axis)
    return 1 - shared / (shared + alpha * missed + beta * wrong + EPSILON)


def categorical_generalized_cross_entropy(y_true: ArrayLike, y_pred: ArrayLike, q: float) -> Any:
    """``(1 - p_y^q) / q`` of class codes y and rows of probabilities p (Zhang and Sabuncu 2018); shape (n,)."""
    if not isinstance(y_pred, ops.Traced):
        y_pred = real_array(y_pred, "y_pred")
    codes = real_array(y_true, "y_true").reshape(-1)
    if y_pred.ndim != 2 or len(codes) != len(y_pred):
        raise ValueError(f"y_true must have a class code for each row of y_pred {y_pred.shape}, got {len(codes)}")
    p = ops.sum(ops.one_hot(codes, y_pred.shape[1], dtype=y_pred.dtype) * y_pred, axis=-1)
    return (1 - ops.power(p, q)) / q
