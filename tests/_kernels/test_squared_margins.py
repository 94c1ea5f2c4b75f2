"""Newton's method for squared hinges and squared epsilon-insensitive losses: conditions of the minimum, by NumPy."""

import numpy as np
import pytest
from scipy import sparse

from fasttrain import losses
from fasttrain.linear_model import _squared_margins
from fasttrain.linear_model._squared_margins import minimize_squared_margins

LOSSES = [losses.SquaredHinge(), losses.SquaredEpsilonInsensitive(0.3)]


def gradient(X, loss, y, weight, C, penalties, w):
    """The twin, of one model."""
    k = X.shape[1]
    raw = X @ w[:k] + (w[k] if len(w) > k else 0.0)
    if loss.name == "squared_hinge":
        by_raw = -2 * y * np.maximum(0, 1 - y * raw)
    else:
        by_raw = 2 * np.sign(raw - y) * np.maximum(0, np.abs(raw - y) - loss.epsilon)
    by_raw = C * weight * by_raw
    return np.r_[X.T @ by_raw, [by_raw.sum()] if len(w) > k else []] + penalties * w


def draws(loss, n=60, k=4, n_models=3):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, k)) * (rng.random((n, k)) < 0.6)
    targets = X @ rng.normal(size=(k, n_models)) + rng.normal(size=(n, n_models))
    targets = np.sign(targets) if loss.name == "squared_hinge" else targets
    return X, np.ascontiguousarray(targets.T), rng.random((n_models, n)) + 0.1


def found(X, loss, targets, weights, C, penalties, n_threads=1, max_iter=200):
    return minimize_squared_margins(
        X, loss, targets, weights, C, penalties, n_threads, np.full(len(targets), 1e-9), max_iter)


@pytest.mark.parametrize("by_products", [False, True], ids=["Hessian", "products"])
@pytest.mark.parametrize("form", ["dense", "CSR"])
@pytest.mark.parametrize("weighted", ["ones", "shared", "each"])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
def test_the_gradient_is_zero_at_the_end(loss, intercept, weighted, form, by_products, monkeypatch):
    if by_products:
        monkeypatch.setattr(_squared_margins, "HESSIAN_FEATURES", 0)
    X, targets, weights = draws(loss)
    weights = {"ones": None, "shared": weights[0], "each": weights}[weighted]
    penalties = np.ones(4 + intercept)
    if intercept:
        penalties[-1] = 0.01
    rows = X if form == "dense" else sparse.csr_matrix(X)
    w, n_iter, converged = found(rows, loss, targets, weights, 2.0, penalties)
    assert converged
    assert (n_iter > 0).all()
    for k, y in enumerate(targets):
        weight = np.ones(len(X)) if weights is None else np.atleast_2d(weights)[k if weighted == "each" else 0]
        start = np.abs(gradient(X, loss, y, weight, 2.0, penalties, np.zeros(len(penalties)))).max()
        np.testing.assert_allclose(gradient(X, loss, y, weight, 2.0, penalties, w[k]), 0.0, atol=1e-8 * start)
    for n_threads in (2, 3):
        again = found(rows, loss, targets, weights, 2.0, penalties, n_threads)
        assert again[0].tobytes() == w.tobytes()


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
def test_models_do_not_depend_on_each_other(loss):
    X, targets, weights = draws(loss)
    together = found(X, loss, targets, weights, 1.0, np.ones(5))
    for k in range(len(targets)):
        alone = found(X, loss, targets[k:k + 1].copy(), weights[k:k + 1].copy(), 1.0, np.ones(5))
        np.testing.assert_allclose(alone[0][0], together[0][k], rtol=1e-9, atol=1e-12)
        assert alone[1][0] == together[1][k]


def test_columns_that_others_determine_do_not_end_it():
    """Beside columns of 1e10 the penalty is lost in rounding: the Hessian has no factor there."""
    loss = LOSSES[0]
    X, targets, _ = draws(loss)
    rows = np.c_[X, X, X[:, :1] + X[:, 1:2]] * 1e10
    w, _, converged = found(rows, loss, targets, None, 1.0, np.ones(9))
    plain = found(X, loss, targets, None, 1.0, np.full(4, 1e-12), max_iter=100)[0]
    assert converged
    raw, expected = w @ rows.T, plain @ X.T
    np.testing.assert_allclose(raw, expected, rtol=1e-3, atol=1e-3)


def test_max_iter_ends_it_and_says_so():
    X, targets, _ = draws(LOSSES[0])
    w, n_iter, converged = found(X, LOSSES[0], targets, None, 10.0, np.ones(5), max_iter=1)
    assert not converged
    assert n_iter.tolist() == [1, 1, 1]
    w, n_iter, converged = found(X, LOSSES[0], targets, None, 10.0, np.ones(5), max_iter=0)
    assert not converged
    assert not w.any()
