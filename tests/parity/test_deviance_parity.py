"""Random configurations of the generalized linear models, HuberRegressor and the linear SVMs against scikit-learn's."""

import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn import linear_model, svm
from threadpoolctl import threadpool_limits

import fasttrain.linear_model as fast

N_CASES, N_ORDINARY = 300, 40
CASES = [
    pytest.param(seed, marks=pytest.mark.exhaustive) if seed >= N_ORDINARY else seed for seed in range(N_CASES)
]


@pytest.fixture(autouse=True)
def _threads_of_peers():
    """scikit-learn's threads, of OpenMP and BLAS, that wait for each other take more time than all tests."""
    with threadpool_limits(1):
        yield


def configuration(seed):
    """(name, options, X, y, weights) of a case."""
    rng = np.random.default_rng([seed, 7])
    n, d = int(rng.integers(10, 300)), int(rng.integers(1, 30))
    X = rng.normal(size=(n, d)) * rng.choice([0.3, 1.0, 3.0])
    if rng.uniform() < 0.3:
        X[rng.uniform(size=X.shape) < 0.6] = 0
    z = X @ rng.normal(size=d) / np.sqrt(d) / 2
    weight = rng.uniform(0, 2, n) * (rng.uniform(size=n) < 0.9) if rng.uniform() < 0.5 else None
    fit_intercept = bool(rng.uniform() < 0.8)
    name = rng.choice(["PoissonRegressor", "GammaRegressor", "TweedieRegressor", "HuberRegressor", "LinearSVC",
                       "LinearSVR"])  # fmt: skip
    options = {"fit_intercept": fit_intercept}
    if name in ("LinearSVC", "LinearSVR"):
        options |= {"C": 10.0 ** rng.uniform(-2, 0.5), "intercept_scaling": 10.0 ** rng.uniform(-0.5, 0.5),
                    "random_state": 0}  # fmt: skip
        if name == "LinearSVC":
            y = np.digitize(z + rng.normal(size=n) / 2, [-0.3, 0.3][:int(rng.integers(1, 3))])
            y[:3] = np.arange(3) % (y.max() + 1) if y.max() else [0, 1, 0]
            options["class_weight"] = rng.choice([None, "balanced"])
        else:
            y = z + rng.standard_t(2, n)
            options |= {"loss": "squared_epsilon_insensitive", "epsilon": rng.uniform(0, 0.5)}
        return name, options, X, y, weight
    if name == "HuberRegressor":
        options |= {"epsilon": rng.uniform(1, 3), "alpha": 10.0 ** rng.uniform(-4, 1), "max_iter": 2000}
        return name, options, X, z + 0.2 * rng.standard_t(1.5, n), weight
    options |= {"alpha": 10.0 ** rng.uniform(-2, 0.5), "solver": rng.choice(["lbfgs", "newton-cholesky"])}
    mean = np.exp(np.clip(z, -3, 3))
    y = rng.poisson(mean) if name == "PoissonRegressor" else rng.gamma(2.0, mean / 2) + 0.05
    if name == "TweedieRegressor":
        options["power"] = rng.choice([0.0, 1.0, 1.3, 1.7, 2.0, 2.5, 3.0])
    y[0] += y.sum() == 0
    if weight is not None:
        weight[0] = 1.0
    return name, options, X, y.astype(float), weight


def objective(name, model, X, y, weight):
    """The documented objective; of LinearSVC the sum over its problems."""
    s = np.ones(len(y)) if weight is None else weight
    coef, intercept = np.atleast_2d(model.coef_), np.ravel(model.intercept_)
    z = X @ coef.T + intercept
    if name == "HuberRegressor":
        r = abs(y - z[:, 0]) / model.scale_
        h = np.where(r <= model.epsilon, r**2, 2 * model.epsilon * r - model.epsilon**2)
        return s @ (model.scale_ + h * model.scale_) + model.alpha * (coef**2).sum()
    if name in ("LinearSVC", "LinearSVR"):
        scaling = model.intercept_scaling if model.fit_intercept else 1.0
        squares = ((coef**2).sum() + ((intercept / scaling) ** 2).sum()) / 2
        if name == "LinearSVR":
            return squares + model.C * s @ np.maximum(abs(z[:, 0] - y) - model.epsilon, 0) ** 2
        classes, total = model.classes_, squares
        balanced = [s.sum() / (len(classes) * s[y == c].sum()) for c in classes]
        for k in range(len(coef)):
            t = np.where(y == classes[k if len(coef) > 1 else 1], 1.0, -1.0)
            own = np.ones(len(y))
            if model.class_weight == "balanced":
                own = np.where(t > 0, balanced[k if len(coef) > 1 else 1], 1.0 if len(coef) > 1 else balanced[0])
            total += model.C * (s * own) @ np.maximum(1 - t * z[:, k], 0) ** 2
        return total
    loss = getattr(fast, name)(**({"power": model.power} if name == "TweedieRegressor" else {}))._loss()
    return loss.loss(y, z[:, 0], s) + model.alpha / 2 * (coef**2).sum()


@pytest.mark.parametrize("seed", CASES)
def test_no_worse_at_the_same_tol_and_the_same_at_last(seed):
    name, options, X, y, weight = configuration(seed)
    rows = sparse.csr_matrix(X) if seed % 3 == 0 else X
    theirs_class = getattr(svm if name.startswith("LinearSV") else linear_model, name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours = getattr(fast, name)(**options).fit(rows, y, weight)
        theirs = theirs_class(**options).fit(rows, y, weight)
        exact = {**options, "tol": 1e-12, "max_iter": 20_000}
        if name.startswith("LinearSV"):
            exact["dual"] = False
        at_last, their_last = (cls(**exact).fit(rows, y, weight) for cls in (getattr(fast, name), theirs_class))
    value, other = (objective(name, model, X, y, weight) for model in (ours, theirs))
    assert value <= other + (1e-6 if name == "HuberRegressor" else 1e-9) * (1 + abs(other))
    # the same iterates, until roundings have added up: a corner that one of two steps over ends Huber's otherwise
    if not name.startswith("LinearSV") and theirs.n_iter_ <= 60:
        assert ours.n_iter_ == theirs.n_iter_
        np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-6, atol=1e-8)
    if name == "HuberRegressor":
        # SciPy's second rule ends it where the objective no longer moves, which says little of flat directions
        value, other = (objective(name, model, X, y, weight) for model in (at_last, their_last))
        assert value <= other + 1e-6 * (1 + abs(other))
        return
    np.testing.assert_allclose(at_last.coef_, their_last.coef_, atol=1e-6)
    np.testing.assert_allclose(at_last.intercept_, their_last.intercept_, atol=1e-6)
