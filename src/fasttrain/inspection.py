"""What a fitted network makes of its input: gradients with respect to it, attributions, the layers' outputs.

Examples
--------
>>> import numpy as np
>>> from fasttrain.inspection import input_gradients
>>> from fasttrain.linear_model import LinearRegressor
>>> X = np.arange(20.0).reshape(10, 2) / 10
>>> model = LinearRegressor(optimizer="lbfgs", fit_intercept=False).fit(X, X @ [1.0, -2.0])
>>> input_gradients(model, X[:1]).round(3)
array([[ 1., -2.]])
"""

from __future__ import annotations


from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, validate_data

from fasttrain import activations as _activations
from fasttrain._core.checks import check_choice, check_integer, check_real
from fasttrain._core.public import publish
from fasttrain._core.types import Array, ArrayLike, EstimatorLike, MatrixLike
from fasttrain._estimators.networks import DenseNetwork
from fasttrain._estimators.registry import entry_of_class
from fasttrain._kernels import activations as kernel
from fasttrain._kernels.threads import get_num_threads

__all__ = ["DenseNetwork", "activations", "dense_network", "input_gradients", "integrated_gradients"]

# Elements of the widest intermediate array of one block of rows.
_BLOCK = 1 << 22


def dense_network(model: EstimatorLike) -> DenseNetwork:
    """The :class:`DenseNetwork` of a fitted model.

    Parameters
    ----------
    model : estimator
        A linear model, multi-layer perceptron or Sequential of fasttrain, or any object with a method
        ``dense_network()`` that returns one.

    Returns
    -------
    DenseNetwork

    Raises
    ------
    TypeError
        For any other object.
    NotFittedError
    """
    own = getattr(model, "dense_network", None)
    if callable(own):
        return own()
    for cls in type(model).__mro__:
        entry = entry_of_class(cls)
        if entry is not None and entry.network is not None:
            return entry.network(model)
    raise TypeError(
        "model must be a linear model, multi-layer perceptron or Sequential of fasttrain, or have a method "
        f"dense_network, got {type(model).__name__}"
    )


def _rows_of(model, X, network, name="X"):
    """X as a checked array in the dtype of the weights."""
    dtype = network.coefs[0].dtype
    if isinstance(model, BaseEstimator):
        return validate_data(model, X, reset=False, dtype=dtype, order="C")
    X = check_array(X, dtype=dtype, order="C", input_name=name, allow_nd=True)
    # images, which a Flatten takes first
    X = X.reshape(len(X), -1)
    if X.shape[1] != len(network.coefs[0]):
        raise ValueError(f"{name} must have {len(network.coefs[0])} features, got {X.shape[1]}")
    return X


def _forward(network, X):
    """Values before and after each hidden layer's activation, and the raw predictions."""
    before, after = [], []
    for i, (coef, intercept) in enumerate(zip(network.coefs, network.intercepts, strict=True)):
        z = np.ascontiguousarray(X @ coef + intercept)
        before.append(z)
        if i < len(network.activations):
            name, parameter = network.activations[i]
            X = np.empty_like(z)
            kernel.forward(name, z.reshape(-1), X.reshape(-1), parameter, get_num_threads())
            after.append(X)
    return before, after, z


def _link(network, raw):
    """Predictions of raw ones."""
    return _activations.get(network.output)(raw)


def _slopes(network, before, after):
    """The derivative of each hidden layer's activation at its values."""
    slopes = []
    for (name, parameter), z, a in zip(network.activations, before, after, strict=False):
        slope = np.ones_like(z)
        kernel.backward(name, z.reshape(-1), a.reshape(-1), slope.reshape(-1), parameter, get_num_threads())
        slopes.append(slope)
    return slopes


def _output_gradient(network, raw, target, output):
    """Derivative of the outputs asked for with respect to the raw predictions: (n_rows, n_asked, n_outputs)."""
    n_outputs = raw.shape[1]
    asked = np.arange(n_outputs) if target is None else np.array([target])
    unit = np.eye(n_outputs, dtype=raw.dtype)[asked]
    if output == "raw":
        return np.broadcast_to(unit, (len(raw), *unit.shape))
    link = _activations.get(network.output)
    if isinstance(link, _activations.Softmax):
        predicted = link(raw)
        return predicted[:, asked, None] * (unit - predicted[:, None, :])
    return link.derivative(raw)[:, None, :] * unit


def _gradients(network, X, target, output):
    """(n_rows, n_asked, n_features), in blocks of rows that bound the memory."""
    asked = network.coefs[-1].shape[1] if target is None else 1
    widest = asked * max(max(coef.shape) for coef in network.coefs)
    size = max(1, _BLOCK // widest)
    out = np.empty((len(X), asked, X.shape[1]), dtype=X.dtype)
    for first in range(0, len(X), size):
        rows = slice(first, first + size)
        before, after, raw = _forward(network, X[rows])
        gradient = _output_gradient(network, raw, target, output)
        for coef, slope in zip(network.coefs[:0:-1], _slopes(network, before, after)[::-1], strict=True):
            gradient = (gradient @ coef.T) * slope[:, None, :]
        np.matmul(gradient, network.coefs[0].T, out=out[rows])
    return out


def _check_asked(network, target, output):
    n_outputs = network.coefs[-1].shape[1]
    if target is not None and check_integer(target, "target", low=0) >= n_outputs:
        raise ValueError(f"target must be the number of an output, 0 to {n_outputs - 1}, got {target}")
    check_choice(output, "output", ("raw", "prediction"))
    if output == "prediction" and network.output is None:
        raise ValueError(
            "output must be 'raw' for this model, whose predictions are no smooth function of its outputs, got "
            "'prediction'"
        )


def _squeezed(gradients, target):
    return gradients[:, 0] if target is not None or gradients.shape[1] == 1 else gradients


def input_gradients(model: Any, X: ArrayLike, *, target: int | None = None,
                    output: Literal["raw", "prediction"] = "raw") -> Array:
    """Derivatives of a model's outputs with respect to its input.

    Parameters
    ----------
    model : fitted estimator
        As for :func:`dense_network`.
    X : array-like of shape (n_samples, n_features)
        Rows of images, for a Sequential that takes them, are flattened.
    target : int, default=None
        Number of the output; None takes all of them. A classifier of two classes has one, that of the second class.
    output : {'raw', 'prediction'}, default='raw'
        Raw predictions (logits, decision functions), or what the model makes of them: probabilities, and ``exp`` for
        the Poisson loss.

    Returns
    -------
    array of shape (n_samples, n_features), or (n_samples, n_outputs, n_features) for several outputs
        In the dtype of the weights.

    Raises
    ------
    ValueError, TypeError

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.preprocessing import scale
    >>> from fasttrain import MLPClassifier
    >>> from fasttrain.inspection import input_gradients
    >>> X, y = load_iris(return_X_y=True)
    >>> X = scale(X)
    >>> model = MLPClassifier((10,), solver="lbfgs", tol=1e-2, random_state=0).fit(X, y)
    >>> input_gradients(model, X).shape
    (150, 3, 4)
    >>> bool(abs(input_gradients(model, X, output="prediction").sum(axis=1)).max() < 1e-9)
    True
    """
    network = dense_network(model)
    _check_asked(network, target, output)
    return _squeezed(_gradients(network, _rows_of(model, X, network), target, output), target)


def integrated_gradients(model: Any, X: MatrixLike, baseline: float | ArrayLike | None = None, n_steps: int = 50, *,
                         target: int | None = None, output: Literal["raw", "prediction"] = "raw",
                         return_delta: bool = False) -> Array:
    """Shares of the features in what a model's output differs by between a baseline and X.

    ``(x_j - b_j) * integral_0^1 dF/dx_j(b + t (x - b)) dt`` (Sundararajan, Taly and Yan, "Axiomatic attribution for
    deep networks", 2017), the integral by Gauss and Legendre's rule. The shares of a row add up to ``F(x) - F(b)``, but
    for the rule's error.

    Parameters
    ----------
    model, X
        As for :func:`input_gradients`.
    baseline : float or array-like of shape (n_features,) or (n_samples, n_features), default=None
        None is 0.
    n_steps : int, default=50
        Points of the rule.
    target, output
        As for :func:`input_gradients`.
    return_delta : bool, default=False
        Whether to return the rule's error as well.

    Returns
    -------
    attributions : array of shape (n_samples, n_features), or (n_samples, n_outputs, n_features) for several outputs
    delta : array of shape (n_samples,) or (n_samples, n_outputs)
        Sum of the shares minus ``F(x) - F(b)``; only with ``return_delta``.

    Raises
    ------
    ValueError, TypeError

    Examples
    --------
    >>> import numpy as np
    >>> from fasttrain.inspection import integrated_gradients
    >>> from fasttrain.linear_model import LinearRegressor
    >>> X = np.arange(20.0).reshape(10, 2) / 10
    >>> model = LinearRegressor(optimizer="lbfgs", fit_intercept=False).fit(X, X @ [1.0, -2.0])
    >>> integrated_gradients(model, [[2.0, 1.0]], baseline=1.0).round(3) + 0.0
    array([[1., 0.]])
    """
    network = dense_network(model)
    _check_asked(network, target, output)
    check_integer(n_steps, "n_steps", low=1)
    X = _rows_of(model, X, network)
    start = _baseline(model, baseline, X, network)
    path = X - start
    points, weights = np.polynomial.legendre.leggauss(n_steps)
    total = 0.0
    for point, weight in zip((points + 1) / 2, weights / 2, strict=True):
        moved = np.ascontiguousarray(start + X.dtype.type(point) * path)
        total = total + X.dtype.type(weight) * _gradients(network, moved, target, output)
    attributions = _squeezed(total * path[:, None, :], target)
    if not return_delta:
        return attributions
    ends = [_outputs(network, rows, target, output) for rows in (X, np.ascontiguousarray(start))]
    return attributions, attributions.sum(axis=-1) - (ends[0] - ends[1])


def _baseline(model, baseline, X, network):
    if baseline is None:
        return np.zeros_like(X)
    if np.ndim(baseline) == 0:
        return np.full_like(X, check_real(baseline, "baseline"))
    rows = np.atleast_2d(np.asarray(baseline))
    if rows.shape not in (X.shape, (1, X.shape[1])):
        raise ValueError(
            f"baseline must be a number or have shape ({X.shape[1]},) or {X.shape}, got shape {np.shape(baseline)}"
        )
    if not np.isfinite(rows).all():
        raise ValueError("baseline must be finite")
    return np.broadcast_to(rows.astype(X.dtype), X.shape)


def _outputs(network, X, target, output):
    raw = _forward(network, X)[2]
    values = raw if output == "raw" else _link(network, raw)
    return values[:, 0 if target is None else target] if target is not None or values.shape[1] == 1 else values


def activations(model: Any, X: MatrixLike) -> list[Array]:
    """The outputs of every layer of a model.

    Parameters
    ----------
    model, X
        As for :func:`input_gradients`.

    Returns
    -------
    list of arrays of shape (n_samples, n_units)
        Of the hidden layers, after their activations and before a normalization that follows these, and last the
        predictions: probabilities for cross-entropies, raw predictions where there is no smooth link.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.preprocessing import scale
    >>> from fasttrain import MLPClassifier
    >>> from fasttrain.inspection import activations
    >>> X, y = load_iris(return_X_y=True)
    >>> X = scale(X)
    >>> model = MLPClassifier((10, 5), solver="lbfgs", tol=1e-2, random_state=0).fit(X, y)
    >>> first, second, probabilities = activations(model, X)
    >>> first.shape, second.shape, probabilities.shape
    ((150, 10), (150, 5), (150, 3))
    >>> bool(abs(probabilities - model.predict_proba(X)).max() < 1e-9)
    True
    """
    network = dense_network(model)
    _, after, raw = _forward(network, _rows_of(model, X, network))
    return [*after, raw if network.output is None else _link(network, raw)]


publish(globals())
