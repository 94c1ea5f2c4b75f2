"""Descent as a function: ``minimize`` and the classic names, on a design matrix and a target.

Each step goes along the gradient of the mean loss over its batch, b rows long:
``(1/b) * sum_i dloss/dz_i * x_i``, for the squared error ``(2/b) * X.T @ (X @ theta - y)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from collections.abc import Callable
from typing import Any

import numpy as np

from fasttrain import losses, optimizers, penalties, schedules
from fasttrain._core.checks import (
    check_batch_size, check_design, check_flag, check_integer, check_real, check_targets, check_weights, real_array,
)
from fasttrain._core.public import publish
from fasttrain._core.types import (
    Array, ArrayLike, LossName, MatrixLike, OptimizerName, PathLike, PenaltyName, ScheduleName,
)
from fasttrain._kernels.network import Network
from fasttrain.losses import Loss
from fasttrain.optimizers import Optimizer
from fasttrain.penalties import Penalty
from fasttrain.schedules import Schedule
from fasttrain.training import Plan, Stopping, configure, train, train_lbfgs
from fasttrain.training.checkpoints import load_checkpoint
from fasttrain.training.orders import permutations

__all__ = [
    "MinimizeResult", "adagrad", "adam", "gradient_descent", "minimize", "momentum", "nesterov", "rmsprop",
    "stochastic_gradient_descent",
]


@dataclass(frozen=True)
class MinimizeResult:
    """What :func:`minimize` found.

    Attributes
    ----------
    coef : array of shape (n_features,) or (n_features, n_outputs)
    intercept : float or array of shape (n_outputs,)
        0.0 without ``fit_intercept``.
    loss_curve : array of shape (n_iter,), float64
        Objective of each pass over the data, before its updates.
    n_iter : int
        Passes done.
    converged : bool
        Whether ``tol`` (or the callback) ended the descent before ``n_iter``.
    message : str
        Why it ended.
    """

    coef: np.ndarray
    intercept: object
    loss_curve: np.ndarray
    n_iter: int
    converged: bool
    message: str


def minimize(X: ArrayLike, y: ArrayLike, loss: LossName | Loss = "half_squared_error",
             optimizer: OptimizerName | Optimizer = "gradient_descent", penalty: PenaltyName | Penalty | None = None,
             n_iter: int = 1000, batch_size: int | None = None, sample_weight: ArrayLike | None = None,
             fit_intercept: bool = False, x0: ArrayLike | None = None, callback: Callable[..., Any] | None = None,
             random_state: int | np.random.Generator | None = None, *, learning_rate: float | None = None,
             schedule: ScheduleName | Schedule | None = None, tol: float | None = None, n_threads: int | None = None,
             resume_from: PathLike | None = None) -> MinimizeResult:
    """Minimize ``mean_i w_i loss(y_i, x_i . coef + intercept) + penalty(coef)`` by descent.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Finite real numbers; float32 stays float32, all else becomes float64. Never written to.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets of the loss: real numbers, probabilities, -1 and +1, or class codes 0 .. k-1 for softmax.
    loss : str or fasttrain.losses.Loss, default='half_squared_error'
    optimizer : str or fasttrain.optimizers.Optimizer, default='gradient_descent'
    penalty : str, fasttrain.penalties.Penalty or None, default=None
    n_iter : int, default=1000
        Passes over the data (iterations for L-BFGS).
    batch_size : int, default=None
        Rows of a step; None takes all of them. Smaller batches are drawn in a new order each pass.
    sample_weight : array-like of shape (n_samples,), default=None
    fit_intercept : bool, default=False
    x0 : array-like of shape (n_features,) or (n_features, n_outputs), default=None
        Coefficients to start from; zeros when None.
    callback : callable, default=None
        ``callback(epoch, logs)``; True ends the descent.
    random_state : int, numpy.random.Generator or None, default=None
        Draws the orders.
    learning_rate : float, default=None
        In place of the optimizer's own.
    schedule : str or fasttrain.schedules.Schedule, default=None
    tol : float, default=None
        Stop when the loss has not improved by more than this for 10 passes.
    n_threads : int, default=None
    resume_from : path, default=None
        A checkpoint of :class:`fasttrain.callbacks.ModelCheckpoint`: with the arguments of the descent that wrote it,
        the result is to the byte that of one that ran through.

    Returns
    -------
    MinimizeResult

    Raises
    ------
    ValueError, TypeError
        For bad input.
    DivergenceError
        When the loss stops being finite.

    Examples
    --------
    >>> import numpy as np
    >>> from fasttrain.descent import minimize
    >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> found = minimize(X, X @ [2.0, -1.0], learning_rate=0.5, n_iter=200)
    >>> found.coef.round(6)
    array([ 2., -1.])
    """
    return _solve(
        X, y, loss=loss, optimizer=optimizer, penalty=penalty, n_iter=n_iter, batch_size=batch_size,
        sample_weight=sample_weight, fit_intercept=fit_intercept, x0=x0, callback=callback, random_state=random_state,
        learning_rate=learning_rate, schedule=schedule, tol=tol, n_threads=n_threads, resume_from=resume_from,
    )


def _solve(X, y, *, loss="half_squared_error", optimizer="gradient_descent", penalty=None, n_iter=None, n_steps=None,
           batch_size=None, sample_weight=None, fit_intercept=False, x0=None, callback=None, random_state=None,
           learning_rate=None, schedule=None, tol=None, n_threads=None, resume_from=None):
    """:func:`minimize`, its length in passes (``n_iter``) or in steps (``n_steps``)."""
    X = check_design(X)
    loss = losses.get(loss)
    optimizer = optimizers.get(optimizer)
    penalty = penalties.get(penalty)
    check_flag(fit_intercept, "fit_intercept")
    check_real(learning_rate, "learning_rate", low=0, open_low=True, optional=True)
    check_real(tol, "tol", low=0, optional=True)
    check_integer(n_threads, "n_threads", low=1, optional=True)
    if optimizer.rule == "lbfgs" and penalty.l1:
        raise ValueError(f"penalty must have no l1 part for the optimizer LBFGS, got {penalty!r}")
    target, n_outputs, flat = check_targets(y, loss, X)
    weights = None if sample_weight is None else check_weights(sample_weight, len(X), X.dtype)
    batch_size = check_batch_size("full" if batch_size is None else batch_size, len(X))
    if n_steps is None:
        check_integer(n_iter, "n_iter", low=1)
    else:
        n_iter = -(-n_steps // -(-len(X) // batch_size))
    network = Network(X.shape[1], n_outputs, X.dtype, bool(fit_intercept))
    if x0 is not None:
        start = real_array(x0, "x0")
        wanted = (X.shape[1],) if flat else (X.shape[1], n_outputs)
        if start.shape != wanted or not np.isfinite(start).all():
            raise ValueError(f"x0 must be finite and have shape {wanted}, got shape {start.shape}")
        network.parameters[:] = network.pack(start.reshape(X.shape[1], -1).T, np.zeros(n_outputs))
    configure(network, loss, optimizer, penalty)
    network.set_lanes(True)
    network.bind(X, target, weights)
    if optimizer.rule == "lbfgs":
        if resume_from is not None:
            raise ValueError("resume_from needs an optimizer that makes steps, got LBFGS")
        result = train_lbfgs(network, optimizer, n_iter=n_iter, callbacks=callback, n_threads=n_threads)
    else:
        rng = np.random.default_rng(random_state)
        result = train(network, Plan(
            n_epochs=n_iter, batch_size=batch_size, n_samples=len(X),
            draw_order=permutations(len(X), rng) if batch_size < len(X) else None,
            learning_rate=optimizer.learning_rate if learning_rate is None else learning_rate,
            schedule=schedules.get(schedule), max_steps=n_steps, stopping=None if tol is None else Stopping(tol),
            callbacks=callback, random_state=rng,
            resume=None if resume_from is None else load_checkpoint(resume_from),
        ), n_threads=n_threads)
    coef, intercept = network.unpack(network.parameters)
    return MinimizeResult(
        coef[0] if flat else np.ascontiguousarray(coef.T), float(intercept[0]) if flat else intercept,
        np.asarray(result.history["loss"]), result.n_iter, result.converged, result.message,
    )


def _descend(X, y, optimizer, num_iterations, **options):
    check_integer(num_iterations, "num_iterations", low=1)
    return minimize(X, y, "squared_error", optimizer, n_iter=num_iterations, **options).coef


def gradient_descent(X: ArrayLike, y: ArrayLike, learning_rate: float, num_iterations: int, **options: Any) -> Array:
    """Least squares by gradient descent: ``theta -= learning_rate * (2/n) X.T @ (X @ theta - y)``.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
    y : array-like of shape (n_samples,)
    learning_rate : float
        Greater than 0. Above 1 over the largest eigenvalue of ``X.T @ X / n`` the descent diverges.
    num_iterations : int
        Steps.
    **options
        Any other argument of :func:`minimize`: ``penalty``, ``sample_weight``, ``x0``, ``tol`` ...

    Returns
    -------
    theta : array of shape (n_features,)

    Examples
    --------
    >>> import numpy as np
    >>> from fasttrain.descent import gradient_descent
    >>> gradient_descent(np.array([[1.0], [2.0]]), np.array([3.0, 6.0]), 0.1, 100).round(6)
    array([3.])
    """
    return _descend(X, y, optimizers.GradientDescent(learning_rate), num_iterations, **options)


def stochastic_gradient_descent(X: MatrixLike, y: ArrayLike, learning_rate: float, num_iterations: int,
                                sample_size: int, *, random_state: int | np.random.Generator | None = None,
                                **options: Any) -> Array:
    """Least squares on random samples of ``sample_size`` rows, the gradient divided by the sample's own size.

    Samples are drawn without replacement until the rows are used up, then anew, so that every row is seen equally
    often; the last sample of a pass may be smaller.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
    y : array-like of shape (n_samples,)
    learning_rate : float
        Greater than 0.
    num_iterations : int
        Steps, one for each sample.
    sample_size : int
        Rows of a sample, from 1 to n_samples.
    random_state : int, numpy.random.Generator or None, default=None
        Draws the samples.
    **options
        Any other argument of :func:`minimize`: ``penalty``, ``sample_weight``, ``x0``, ``tol`` ...

    Returns
    -------
    theta : array of shape (n_features,)

    Examples
    --------
    >>> import numpy as np
    >>> from fasttrain.descent import stochastic_gradient_descent
    >>> X, y = np.array([[1.0], [2.0]]), np.array([3.0, 6.0])
    >>> stochastic_gradient_descent(X, y, 0.1, 200, 1, random_state=0).round(2)
    array([3.])
    """
    check_integer(num_iterations, "num_iterations", low=1)
    check_integer(sample_size, "sample_size", low=1)
    return _solve(
        X, y, loss="squared_error", optimizer=optimizers.GradientDescent(learning_rate), n_steps=num_iterations,
        batch_size=sample_size, random_state=random_state, **options,
    ).coef


def momentum(X: MatrixLike, y: ArrayLike, learning_rate: float, momentum: float, num_iterations: int,
             **options: Any) -> Array:
    """Least squares with momentum: ``v = momentum * v - learning_rate * g; theta += v`` (Polyak 1964).

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
    y : array-like of shape (n_samples,)
    learning_rate : float
        Greater than 0.
    momentum : float
        From 0 up to, not including, 1.
    num_iterations : int
        Steps.
    **options
        Any other argument of :func:`minimize`: ``penalty``, ``sample_weight``, ``x0``, ``tol`` ...

    Returns
    -------
    theta : array of shape (n_features,)

    Examples
    --------
    >>> import numpy as np
    >>> from fasttrain.descent import momentum
    >>> X, y = np.array([[1.0], [2.0]]), np.array([3.0, 6.0])
    >>> momentum(X, y, 0.05, 0.5, 200).round(2)
    array([3.])
    """
    return _descend(X, y, optimizers.Momentum(learning_rate, momentum), num_iterations, **options)


def nesterov(X: MatrixLike, y: ArrayLike, learning_rate: float, momentum: float, num_iterations: int,
             **options: Any) -> Array:
    """Least squares with Nesterov's momentum.

    ``v = momentum * v - learning_rate * g; theta += momentum * v - learning_rate * g`` (Sutskever et al. 2013).

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
    y : array-like of shape (n_samples,)
    learning_rate : float
        Greater than 0.
    momentum : float
        From 0 up to, not including, 1.
    num_iterations : int
        Steps.
    **options
        Any other argument of :func:`minimize`: ``penalty``, ``sample_weight``, ``x0``, ``tol`` ...

    Returns
    -------
    theta : array of shape (n_features,)

    Examples
    --------
    >>> import numpy as np
    >>> from fasttrain.descent import nesterov
    >>> X, y = np.array([[1.0], [2.0]]), np.array([3.0, 6.0])
    >>> nesterov(X, y, 0.05, 0.5, 200).round(2)
    array([3.])
    """
    return _descend(X, y, optimizers.Nesterov(learning_rate, momentum), num_iterations, **options)


def adagrad(X: MatrixLike, y: ArrayLike, learning_rate: float, num_iterations: int, **options: Any) -> Array:
    """Least squares with AdaGrad: ``s += g^2; theta -= learning_rate * g / (sqrt(s) + 1e-7)`` (Duchi et al. 2011).

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
    y : array-like of shape (n_samples,)
    learning_rate : float
        Greater than 0.
    num_iterations : int
        Steps.
    **options
        Any other argument of :func:`minimize`: ``penalty``, ``sample_weight``, ``x0``, ``tol`` ...

    Returns
    -------
    theta : array of shape (n_features,)

    Examples
    --------
    >>> import numpy as np
    >>> from fasttrain.descent import adagrad
    >>> X, y = np.array([[1.0], [2.0]]), np.array([3.0, 6.0])
    >>> adagrad(X, y, 1.0, 500).round(2)
    array([3.])
    """
    return _descend(X, y, optimizers.AdaGrad(learning_rate), num_iterations, **options)


def rmsprop(X: MatrixLike, y: ArrayLike, learning_rate: float, decay: float, num_iterations: int,
            **options: Any) -> Array:
    """Least squares with RMSprop (Tieleman and Hinton 2012).

    ``s = decay * s + (1 - decay) * g^2; theta -= learning_rate * g / (sqrt(s) + 1e-7)``.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
    y : array-like of shape (n_samples,)
    learning_rate : float
        Greater than 0.
    decay : float
        Of the mean of squares ``s``, from 0 up to, not including, 1.
    num_iterations : int
        Steps.
    **options
        Any other argument of :func:`minimize`: ``penalty``, ``sample_weight``, ``x0``, ``tol`` ...

    Returns
    -------
    theta : array of shape (n_features,)

    Examples
    --------
    >>> import numpy as np
    >>> from fasttrain.descent import rmsprop
    >>> X, y = np.array([[1.0], [2.0]]), np.array([3.0, 6.0])
    >>> rmsprop(X, y, 0.001, 0.9, 5000).round(2)
    array([3.])
    """
    return _descend(X, y, optimizers.RMSprop(learning_rate, decay), num_iterations, **options)


def adam(X: MatrixLike, y: ArrayLike, learning_rate: float, num_iterations: int, beta_1: float = 0.9,
         beta_2: float = 0.999, **options: Any) -> Array:
    """Least squares with Adam (Kingma and Ba 2015).

    ``m = beta_1 m + (1 - beta_1) g;  v = beta_2 v + (1 - beta_2) g^2``;
    ``theta -= learning_rate * (m / (1 - beta_1^t)) / (sqrt(v / (1 - beta_2^t)) + 1e-8)``.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
    y : array-like of shape (n_samples,)
    learning_rate : float
        Greater than 0.
    num_iterations : int
        Steps.
    beta_1, beta_2 : float, default=0.9 and 0.999
        From 0 up to, not including, 1.
    **options
        Any other argument of :func:`minimize`: ``penalty``, ``sample_weight``, ``x0``, ``tol`` ...

    Returns
    -------
    theta : array of shape (n_features,)

    Examples
    --------
    >>> import numpy as np
    >>> from fasttrain.descent import adam
    >>> X, y = np.array([[1.0], [2.0]]), np.array([3.0, 6.0])
    >>> adam(X, y, 0.05, 1000).round(2)
    array([3.])
    """
    return _descend(X, y, optimizers.Adam(learning_rate, beta_1, beta_2), num_iterations, **options)

publish(globals())
