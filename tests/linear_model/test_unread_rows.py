"""NaN and infinities in an X that the first evaluation is the first to read: scikit-learn's errors."""

import warnings

import numpy as np
import pytest
import sklearn.linear_model as theirs

import fasttrain.linear_model as ours

MODELS = [
    ("PoissonRegressor", {}, 0),
    ("PoissonRegressor", {"solver": "newton-cholesky"}, 0),
    ("GammaRegressor", {"fit_intercept": False}, 0),
    ("TweedieRegressor", {"power": 0}, 0),
    ("TweedieRegressor", {"power": 1.5}, 0),
    ("TweedieRegressor", {"power": 0, "alpha": 0.0, "solver": "newton-cholesky"}, 0),
    ("LogisticRegression", {}, 2),
    ("LogisticRegression", {"solver": "newton-cholesky"}, 2),
    ("LogisticRegression", {"fit_intercept": False}, 3),
    ("LogisticRegression", {}, 12),
    ("LogisticRegression", {"solver": "newton-cg"}, 3),
    ("LogisticRegression", {}, 70),
]


def data(n_classes, dtype, n=900, p=7):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p)).astype(dtype)
    y = rng.permutation(n) % n_classes if n_classes else rng.poisson(1.0, n) + 1.0
    return X, y


def raised(model, *args):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError) as told:
            model.fit(*args)
    assert told.value.__context__ is None or told.value.__suppress_context__
    return type(told.value), str(told.value)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("name", "parameters", "n_classes"), MODELS)
def test_the_same_error(name, parameters, n_classes, dtype):
    clean, y = data(n_classes, dtype)
    weights = np.ones(len(y))
    weights[[0, 5, 899]] = 0.0
    for value in (np.nan, np.inf, -np.inf):
        for place in ((0, 0), (5, 6), (417, 3), (899, 6)):
            X = clean.copy()
            X[place] = value
            for given in ((X, y), (X, y, weights)):
                mine = getattr(ours, name)(**parameters)
                assert raised(mine, *given) == raised(getattr(theirs, name)(**parameters), *given)
                assert not hasattr(mine, "coef_")


@pytest.mark.parametrize(("name", "y"), [
    ("PoissonRegressor", np.full(900, -1.0)), ("LogisticRegression", np.zeros(900)),
    ("LogisticRegression", np.linspace(0, 1, 900)),
])
def test_X_is_named_before_y(name, y):
    X, _ = data(0, np.float64)
    X[400, 2] = np.nan
    assert raised(getattr(ours, name)(), X, y) == raised(getattr(theirs, name)(), X, y)


@pytest.mark.parametrize("name", ["PoissonRegressor", "LogisticRegression"])
def test_a_warm_start(name):
    X, y = data(2 if name == "LogisticRegression" else 0, np.float64)
    model = getattr(ours, name)(warm_start=True).fit(X, y)
    coef = model.coef_.copy()
    X[3, 3] = np.inf
    assert "contains infinity" in raised(model, X, y)[1]
    np.testing.assert_array_equal(model.coef_, coef)
