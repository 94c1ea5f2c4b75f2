"""Random configurations of least squares against scikit-learn: objective, gradient and coefficients."""

import warnings

import numpy as np
import pytest
import sklearn.linear_model as theirs
from scipy import sparse

import fasttrain.linear_model as ours

# Some of them in every run, all of them before a release.
SEEDS = [*range(40), *(pytest.param(seed, marks=pytest.mark.exhaustive) for seed in range(40, 300))]


def drawn(seed):
    """(name, parameters, X, y, weights): a configuration that scikit-learn takes."""
    rng = np.random.default_rng(seed)
    n, p, k = int(rng.integers(2, 120)), int(rng.integers(1, 40)), int(rng.integers(0, 4))
    scale = 10.0 ** rng.uniform(-6, 6) if rng.random() < 0.3 else 1.0
    X = (rng.standard_normal((n, p)) * rng.uniform(0.3, 3, p) + rng.standard_normal(p) * rng.choice([0, 3])) * scale
    y = X @ rng.standard_normal((p, max(k, 1))) / scale + rng.standard_normal((n, max(k, 1)))
    y = y if k else y[:, 0]
    weights = None
    if rng.random() < 0.4:
        weights = rng.random(n)
        weights[rng.random(n) < 0.2] = 0
        weights[0] = 1
    name = str(rng.choice(["LinearRegression", "Ridge", "RidgeCV", "RidgeClassifier"]))
    options = {"fit_intercept": bool(rng.random() < 0.7)}
    is_sparse = rng.random() < 0.25
    if name == "LinearRegression":
        options["positive"] = bool(rng.random() < 0.2 and not is_sparse)
        options["tol"] = 1e-14 if is_sparse else 1e-6
    elif name == "RidgeCV":
        options |= {"alphas": 10.0 ** rng.uniform(-2, 3, 4) * scale**2, "alpha_per_target": bool(rng.random() < 0.3)}
        options["gcv_mode"] = None if is_sparse else str(rng.choice(["auto", "svd", "eigen"]))
    else:
        options |= {"alpha": float(10.0 ** rng.uniform(-2, 3)) * scale**2, "tol": 1e-12}
        solvers = ["auto", "sparse_cg", "lsqr"] if is_sparse else ["auto", "svd", "cholesky", "sparse_cg", "lsqr"]
        options["solver"] = str(rng.choice(solvers))
    if name == "RidgeClassifier":
        y = np.digitize(y if y.ndim == 1 else y[:, 0], [0.0, 1.0][: int(rng.integers(1, 3))])
        if len(np.unique(y)) < 2:
            y[:1] = y[0] + 1
    if is_sparse:
        X = sparse.csr_array(np.where(rng.random(X.shape) < 0.4, X, 0))
    elif rng.random() < 0.5:
        X = np.asfortranarray(X)
    return name, options, X, y, weights


def objective(model, X, y, weights):
    """(sum of weighted squares and penalty, largest element of its gradient) of a regressor's fit."""
    X = X.toarray() if sparse.issparse(X) else X
    w = np.ones(len(X)) if weights is None else weights
    coef = np.atleast_2d(model.coef_)
    targets = y.reshape(len(y), -1)
    residual = targets - X @ coef.T - model.intercept_
    alpha = getattr(model, "alpha_", getattr(model, "alpha", 0.0))
    value = np.sum(w[:, None] * residual**2) + np.sum(np.atleast_1d(alpha)[:, None] * coef**2)
    gradient = X.T @ (w[:, None] * residual) - (np.atleast_1d(alpha)[:, None] * coef).T
    return value, np.abs(gradient).max() / (np.abs(X).max() * max(np.abs(targets).max(), 1e-300) * len(X))


@pytest.mark.parametrize("seed", SEEDS)
def test_against_scikit_learn(seed):
    name, options, X, y, weights = drawn(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mine = getattr(ours, name)(**options).fit(X, y, sample_weight=weights)
        peer = getattr(theirs, name)(**options).fit(X, y, sample_weight=weights)
    for attribute in ("coef_", "intercept_", "best_score_", "alpha_", "n_iter_"):
        assert np.shape(getattr(mine, attribute, 0)) == np.shape(getattr(peer, attribute, 0)), attribute
    assert mine.coef_.dtype == peer.coef_.dtype
    if name == "RidgeClassifier":
        assert np.mean(mine.predict(X) == peer.predict(X)) > 0.98
    else:
        (value, gradient), (expected, expected_gradient) = (objective(one, X, y, weights) for one in (mine, peer))
        assert value <= expected * (1 + 1e-9) + 1e-18
        if not options.get("positive"):
            assert gradient <= max(1e-10, 1.01 * expected_gradient)
    if getattr(mine, "solver_", None) is not None:
        assert mine.solver_ == peer.solver_
    np.testing.assert_allclose(mine.coef_, peer.coef_, rtol=1e-6, atol=1e-6 * max(np.abs(peer.coef_).max(), 1e-12))
    np.testing.assert_allclose(mine.intercept_, peer.intercept_, rtol=1e-5, atol=1e-6)
    if name == "RidgeCV":
        np.testing.assert_array_equal(mine.alpha_, peer.alpha_)
        np.testing.assert_allclose(mine.best_score_, peer.best_score_, rtol=1e-6)
    if name == "LinearRegression" and hasattr(peer, "rank_"):
        assert mine.rank_ == peer.rank_
        np.testing.assert_allclose(mine.singular_, peer.singular_, rtol=1e-9, atol=1e-9 * peer.singular_[0])
