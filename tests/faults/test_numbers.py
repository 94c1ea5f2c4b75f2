"""Hostile numbers: after fit every fitted number is finite, or an error says why; what save writes, load takes."""

import warnings
from numbers import Real

import every_estimator
import numpy as np
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator

from fasttrain.linear_model import SGDClassifier, SGDRegressor
from fasttrain.neural_network import MLPClassifier, MLPRegressor
from fasttrain.persistence import load, save

N = 60


def spread(scale, dtype=np.float64):
    with np.errstate(over="ignore"):
        return np.clip(np.random.default_rng(0).normal(size=(N, 4)) * scale, *np.finfo(dtype).max * np.array([-1, 1])
                       ).astype(dtype)


def with_one(value, dtype=np.float64):
    X = spread(1.0, dtype)
    X[3, 1] = value
    return X


TABLES = {
    "1e-310": spread(1e-310),
    "1e-200": spread(1e-200),
    "1e30, float32": spread(1e30, np.float32),
    "1e38, float32": spread(1e38, np.float32),
    "1e150": spread(1e150),
    "1e308": spread(1e308),
    "one 1e308": with_one(1e308),
    "one 3e38, float32": with_one(3e38, np.float32),
    "infinity": with_one(np.inf),
    "columns of all sizes": spread(1.0) * [1e-300, 1e-10, 1e10, 1e300],
    "constant": np.full((N, 4), 1e308),
}
MODELS = {name: make for name, (kind, make) in every_estimator.ESTIMATORS.items() if kind in ("classes", "numbers")}
ALL = [name for name in every_estimator.ESTIMATORS if "rows" not in name]


def infinite(value, path):
    """Places of the numbers in a fitted value that are not finite."""
    if isinstance(value, BaseEstimator):
        return [found for key, part in vars(value).items() if key.endswith("_") and not key.startswith("__")
                for found in infinite(part, f"{path}.{key}")]
    if sparse.issparse(value):
        value = value.data
    if isinstance(value, np.ndarray):
        return [] if value.dtype.kind not in "fc" or np.isfinite(value).all() else [path]
    if isinstance(value, dict):
        return [found for key, part in value.items() for found in infinite(part, f"{path}[{key!r}]")]
    if isinstance(value, (list, tuple)):
        return [found for i, part in enumerate(value) for found in infinite(part, f"{path}[{i}]")]
    return [] if not isinstance(value, (Real, np.number)) or np.isfinite(float(value)) else [path]


# What was seen on the way, not what was learnt: losses that overflow where scikit-learn goes on, the learning rate that
# L-BFGS does not have, a failed candidate's score.
ALLOWED = ("best_loss_", "best_validation_score_", "cv_results_", "loss_curve_", "history_['learning_rate']")


def check(model, folder):
    model = getattr(model, "best_estimator_", model)
    bad = [path for path in infinite(model, type(model).__name__) if not any(name in path for name in ALLOWED)]
    assert not bad
    save(model, folder)
    load(folder)


def fitted(name, X, y, **weights):
    """The fitted model, or None where it was refused in words."""
    kind, make = every_estimator.ESTIMATORS[name]
    model = make(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return model.fit(X[:, 0]) if kind == "labels" else model.fit(X) if kind == "columns" else model.fit(
                X, y, **weights)
        except ValueError as error:
            said = str(error)
    assert len(said) > 20
    return None


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("name", ALL)
def test_tables(name, table, tmp_path):
    X = TABLES[table]
    plain = spread(1.0)
    y = np.digitize(plain[:, 0], [-0.5, 0.5]) if every_estimator.ESTIMATORS[name][0] == "classes" else plain[:, 0]
    model = fitted(name, X, y)
    if model is not None:
        check(model, tmp_path / "m")


@pytest.mark.parametrize("target", ["1e308", "one 1e308", "1e-310", "infinity"])
@pytest.mark.parametrize("name", [name for name in MODELS if every_estimator.ESTIMATORS[name][0] == "numbers"])
def test_targets(name, target, tmp_path):
    model = fitted(name, spread(1.0), TABLES[target][:, 1])
    if model is not None:
        check(model, tmp_path / "m")


@pytest.mark.parametrize("weights", [
    np.full(N, 1e308), np.full(N, 1e-310), np.where(np.arange(N) == 3, 1e308, 1.0), np.zeros(N),
], ids=["1e308", "1e-310", "one 1e308", "zero"])
@pytest.mark.parametrize("model", [
    SGDClassifier(max_iter=3, tol=None, random_state=0), SGDRegressor(max_iter=3, tol=None, random_state=0),
    MLPClassifier((5,), max_iter=3, random_state=0), MLPRegressor(hidden_layer_sizes=(5,), max_iter=3, random_state=0),
    *(MODELS[name](1) for name in ("linear", "linear, L-BFGS", "linear regression", "linear regression, L-BFGS")),
], ids=lambda model: f"{type(model).__name__} {getattr(model, 'optimizer', None)}")
def test_weights(model, weights, tmp_path):
    X = spread(1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model.fit(X, (X[:, 0] > 0).astype(int), sample_weight=weights)
        except ValueError as error:
            model, said = None, str(error)
    if model is None:
        assert len(said) > 20
    else:
        check(model, tmp_path / "m")
