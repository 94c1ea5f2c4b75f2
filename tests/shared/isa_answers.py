"""What models of every kind say after a short training in float64, written to an .npz file."""

import sys
import warnings

import numpy as np
from scipy import sparse

from fasttrain.linear_model import (
    LinearClassifier, LinearRegression, LinearRegressor, LinearRegressorCV, Ridge, RidgeCV, SGDClassifier,
    SGDRegressor,
)
from fasttrain.neural_network import MLPClassifier, MLPRegressor
from fasttrain.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler


def models():
    """Name to (estimator, whether its target is classes)."""
    found = {}
    for loss in ("hinge", "log_loss", "modified_huber", "squared_hinge", "perceptron"):
        for penalty in ("l2", "l1", "elasticnet"):
            # Steps so long that they magnify rounding are not what is asked about.
            found[f"SGDClassifier {loss} {penalty}"] = SGDClassifier(
                loss=loss, penalty=penalty, max_iter=3, tol=None, random_state=0, learning_rate="constant", eta0=0.01,
            ), True
    for loss in ("squared_error", "huber", "epsilon_insensitive"):
        for average in (False, True):
            found[f"SGDRegressor {loss} {average}"] = SGDRegressor(
                loss=loss, average=average, max_iter=3, tol=None, random_state=0, eta0=0.001), False
    for activation in ("identity", "logistic", "tanh", "relu"):
        for solver in ("sgd", "adam"):
            options = {"activation": activation, "solver": solver, "max_iter": 3, "hidden_layer_sizes": (19, 7),
                       "random_state": 0, "batch_size": 25}
            found[f"MLPClassifier {activation} {solver}"] = MLPClassifier(**options), True
            found[f"MLPRegressor {activation} {solver}"] = MLPRegressor(**options), False
    for optimizer in ("sgd", "momentum", "adagrad", "rmsprop", "adam", "nadam"):
        for batch_size in (20, "full"):
            options = {"optimizer": optimizer, "batch_size": batch_size, "max_iter": 4, "random_state": 0}
            found[f"LinearClassifier {optimizer} {batch_size}"] = LinearClassifier(**options), True
            found[f"LinearRegressor {optimizer} {batch_size}"] = LinearRegressor(**options), False
    found["LinearRegressorCV"] = LinearRegressorCV(), False
    for model in (LinearRegression(), Ridge(), RidgeCV(), RidgeCV(cv=3)):
        found[repr(model)] = model, False
    return found


def main(path):
    """Train all, and write what they say."""
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(203, 13))
    classes, target = np.argmax(X[:, :3], axis=1), X @ rng.normal(size=13)
    rows, answers = sparse.csr_matrix(np.where(np.abs(X) > 0.7, X, 0.0)), {}
    for name, (model, classifies) in models().items():
        y = classes if classifies else target
        model.fit(X, y)
        answers[name] = model.decision_function(X) if name.startswith("SGDC") else (
            model.predict_proba(X) if classifies else model.predict(X))
        if name.startswith("SGD"):
            model.fit(rows, y)
            answers[name + " CSR"] = model.coef_
    for scaler in (StandardScaler(), MinMaxScaler(), MaxAbsScaler(), RobustScaler()):
        answers[type(scaler).__name__] = scaler.fit_transform(X)
    np.savez(path, **answers)


if __name__ == "__main__":
    main(sys.argv[1])
