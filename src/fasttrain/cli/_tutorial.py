"""The tutorial's algorithms in plain NumPy, put right: what the demo measures against.

The gradient of the mean loss over the b rows of a batch is ``X.T @ (prediction - y) / b`` (twice that for the
squared error) and is subtracted; so is a penalty's. L1 ends a step with the soft threshold, which reaches exact
zeros. One step of Python for every step of descent, as in the tutorial.
"""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

__all__ = ["RULES", "NumpyClassifier", "NumpyRegressor", "descend"]


def _gradient_descent(gradient, state, rate):
    return rate * gradient, rate


def _momentum(gradient, state, rate, mu=0.9):
    state["v"] = mu * state.get("v", 0.0) - rate * gradient
    # A steady gradient moves a weight by this much now; with the bare rate L1's minimum would be another one.
    state["steady"] = mu * state.get("steady", 0.0) + rate
    return -state["v"], state["steady"]


def _adagrad(gradient, state, rate):
    state["s"] = state.get("s", 0.0) + np.square(gradient)
    eta = rate / (np.sqrt(state["s"]) + 1e-7)
    return eta * gradient, eta


def _rmsprop(gradient, state, rate, decay=0.9):
    state["s"] = decay * state.get("s", 0.0) + (1 - decay) * np.square(gradient)
    eta = rate / (np.sqrt(state["s"]) + 1e-7)
    return eta * gradient, eta


def _adam(gradient, state, rate, beta_1=0.9, beta_2=0.999):
    t = state["t"] = state.get("t", 0) + 1
    state["m"] = beta_1 * state.get("m", 0.0) + (1 - beta_1) * gradient
    state["v"] = beta_2 * state.get("v", 0.0) + (1 - beta_2) * np.square(gradient)
    eta = rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t) / (np.sqrt(state["v"]) + 1e-8)
    return eta * state["m"], eta


# Each returns what to subtract, and the rate of each weight, by which L1's threshold is scaled.
RULES = {
    "gradient_descent": _gradient_descent,
    "momentum": _momentum,
    "adagrad": _adagrad,
    "rmsprop": _rmsprop,
    "adam": _adam,
}


def _squared_error(raw, y):
    return 2 * (raw - y)


def _logistic(raw, y):
    return 0.5 * (1 + np.tanh(0.5 * raw)) - y


def _softmax(raw, y):
    raw = np.exp(raw - raw.max(axis=1, keepdims=True))
    return raw / raw.sum(axis=1, keepdims=True) - y


def descend(X, y, error, rule, learning_rate, n_passes, batch_size=None, l1=0.0, l2=0.0, seed=0):
    """Weights of shape (n_features, n_outputs) and an intercept, which no penalty touches.

    ``error(raw, y)`` is the derivative of the loss of one row by its raw prediction. ``batch_size`` None takes all
    rows in each step; else each pass is over a new order of the rows.
    """
    rng = np.random.RandomState(seed)
    weights = np.zeros((X.shape[1], y.shape[1]))
    intercept = np.zeros(y.shape[1])
    weight_state, intercept_state = {}, {}
    for _ in range(n_passes):
        rows = slice(None) if batch_size is None else rng.permutation(len(X))
        step = len(X) if batch_size is None else batch_size
        for start in range(0, len(X), step):
            batch = rows if batch_size is None else rows[start : start + step]
            xb, yb = X[batch], y[batch]
            difference = error(xb @ weights + intercept, yb)
            move, eta = RULES[rule](xb.T @ difference / len(xb) + l2 * weights, weight_state, learning_rate)
            weights = weights - move
            if l1:
                weights = np.sign(weights) * np.maximum(np.abs(weights) - eta * l1, 0.0)
            intercept = intercept - RULES[rule](difference.mean(axis=0), intercept_state, learning_rate)[0]
    return weights, intercept


class _NumpyModel(BaseEstimator):
    def __init__(
        self, rule="gradient_descent", learning_rate=0.1, n_passes=100, batch_size=None, l1=0.0, l2=0.0, seed=0
    ):
        self.rule = rule
        self.learning_rate = learning_rate
        self.n_passes = n_passes
        self.batch_size = batch_size
        self.l1 = l1
        self.l2 = l2
        self.seed = seed

    def _descend(self, X, y, error):
        weights, self.intercept_ = descend(X, y, error, **self.get_params())
        self.coef_ = weights.T

    def _raw(self, X):
        return X @ self.coef_.T + self.intercept_


class NumpyRegressor(RegressorMixin, _NumpyModel):
    """Least squares by the tutorial's descent."""

    def fit(self, X, y):
        self._descend(X, np.asarray(y, dtype=np.float64).reshape(-1, 1), _squared_error)
        return self

    def predict(self, X):
        return self._raw(X)[:, 0]


class NumpyClassifier(ClassifierMixin, _NumpyModel):
    """Logistic or softmax regression by the tutorial's descent, from logits."""

    def fit(self, X, y):
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) == 2:
            self._descend(X, codes.reshape(-1, 1).astype(np.float64), _logistic)
        else:
            self._descend(X, np.eye(len(self.classes_))[codes], _softmax)
        return self

    def predict(self, X):
        raw = self._raw(X)
        codes = (raw[:, 0] > 0).astype(int) if raw.shape[1] == 1 else raw.argmax(axis=1)
        return self.classes_[codes]
