"""LinearRegression and what all of least squares share: optimality, condition, layouts, memory, bad input."""

import tracemalloc
import warnings

import numpy as np
import pytest
import sklearn.linear_model as theirs
from reference_columns import layouts
from scipy import sparse
from sklearn.utils.estimator_checks import check_estimator

from fasttrain.linear_model import (
    LinearRegression, Ridge, RidgeClassifier, RidgeClassifierCV, RidgeCV, _factors, _linear_regression,
)

REGRESSORS = [LinearRegression(), Ridge(), RidgeCV()]
# Checks that each passes, and what scikit-learn expects of its own as well.
N_ITER = {"check_non_transformer_estimators_n_iter": "n_iter_ is None where nothing iterates"}
CHECKED = [
    (LinearRegression(), 60, {}), (LinearRegression(positive=True), 59, {}), (Ridge(), 59, N_ITER),
    (Ridge(solver="svd"), 58, N_ITER), (RidgeClassifier(), 65, N_ITER), (RidgeCV(), 60, {}),
    (RidgeClassifierCV(), 66, {}),
]


def data(n=200, p=8, seed=0, targets=None):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * rng.uniform(0.5, 3, p) + rng.standard_normal(p) * 5
    y = X @ rng.standard_normal((p, targets or 1)) + rng.standard_normal((n, targets or 1))
    return X, y if targets else y[:, 0], rng.random(n)


def with_condition(n, p, condition, seed=0):
    rng = np.random.default_rng(seed)
    U, _ = np.linalg.qr(rng.standard_normal((n, p)))
    V, _ = np.linalg.qr(rng.standard_normal((p, p)))
    return U * np.geomspace(1, 1 / condition, p) @ V.T


@pytest.mark.parametrize("model, passed, expected", CHECKED, ids=[repr(case[0]) for case in CHECKED])
def test_scikit_learns_checks(model, passed, expected):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = check_estimator(model, expected_failed_checks=expected, on_skip=None)
    assert sum(check["status"] == "passed" for check in found) == passed


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("targets", [None, 3])
@pytest.mark.parametrize("shape", [(200, 8), (30, 30), (20, 50)])
def test_the_gradient_is_zero(shape, targets, weighted):
    X, y, weights = data(*shape, targets=targets)
    weights = weights if weighted else np.ones(len(X))
    for fit_intercept in (True, False):
        model = LinearRegression(fit_intercept=fit_intercept).fit(X, y, weights)
        residual = weights[:, None] * (y.reshape(len(y), -1) - model.predict(X).reshape(len(y), -1))
        scale = np.abs(X).max() * np.abs(y).max() * len(X)
        assert np.abs(X.T @ residual).max() < 1e-11 * scale
        if fit_intercept:
            assert np.abs(residual.sum(axis=0)).max() < 1e-11 * scale


# One for each way: X^T X, its Cholesky factor and a second pass, slices of rows.
@pytest.mark.parametrize("condition, tol, error", [(30, 1e-6, 1e-12), (1e5, 1e-9, 1e-9), (1e9, 1e-12, 1e-5)])
@pytest.mark.parametrize("weighted", [False, True])
def test_each_condition_has_scikit_learns_answer(condition, tol, error, weighted, monkeypatch):
    ways = []
    monkeypatch.setattr(_factors, "SLICE_VALUES", 500)
    for name in ("_orthogonalized", "_by_slices"):
        inner = getattr(_factors, name)
        monkeypatch.setattr(_factors, name, lambda *args, inner=inner, name=name: (ways.append(name), inner(*args))[1])
    X = with_condition(300, 6, condition)
    rng = np.random.default_rng(1)
    y = X @ rng.standard_normal(6) + 1e-3 * rng.standard_normal(300)
    weights = rng.random(300) + 0.1 if weighted else None
    ours = LinearRegression(tol=tol).fit(X, y, weights)
    peer = theirs.LinearRegression(tol=tol).fit(X, y, weights)
    assert ways == {30: [], 1e5: ["_orthogonalized"], 1e9: ["_by_slices"]}[condition]
    np.testing.assert_allclose(ours.coef_, peer.coef_, rtol=0, atol=error * np.abs(peer.coef_).max())
    np.testing.assert_allclose(ours.singular_, peer.singular_, rtol=0, atol=1e-14 * peer.singular_[0] * condition**0.5)
    assert ours.rank_ == peer.rank_ == 6


@pytest.mark.parametrize("shape", [(200, 8), (12, 30)])
def test_dependent_columns_have_the_shortest_solution(shape):
    X, y, _ = data(*shape)
    X = np.c_[X, X[:, :3] @ [[1.0], [2.0], [-1.0]], np.full(len(X), 7.3)]
    ours, peer = LinearRegression().fit(X, y), theirs.LinearRegression().fit(X, y)
    assert ours.rank_ == peer.rank_
    np.testing.assert_allclose(ours.coef_, peer.coef_, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(ours.predict(X), peer.predict(X), rtol=1e-9)


@pytest.mark.parametrize("solver", ["positive", "plain"])
def test_repeated_rows_are_weights(solver):
    X, y, _ = data()
    counts = np.random.default_rng(1).integers(0, 4, len(X))
    model = LinearRegression(positive=solver == "positive")
    weighted = model.fit(X, y, counts.astype(float)).coef_
    np.testing.assert_allclose(weighted, model.fit(np.repeat(X, counts, 0), np.repeat(y, counts)).coef_, rtol=1e-9)


@pytest.mark.parametrize("model", REGRESSORS, ids=repr)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_layouts_have_the_same_bytes_and_nothing_is_written(model, dtype):
    X, y, weights = data(700)
    X, y = X.astype(dtype), y.astype(dtype)
    expected = model.fit(X, y, weights).coef_.tobytes()
    for name, view in layouts(X).items():
        before, given = view.copy(), y.copy()
        fitted = model.fit(view, given, weights)
        assert fitted.coef_.tobytes() == expected, name
        assert fitted.coef_.dtype == np.asarray(fitted.intercept_).dtype == dtype
        np.testing.assert_array_equal(view, before)
        np.testing.assert_array_equal(given, y)


@pytest.mark.parametrize("model", [
    *REGRESSORS, Ridge(solver="svd"), Ridge(solver="lsqr"), RidgeCV(cv=3), LinearRegression(tol=1e-14),
], ids=repr)
@pytest.mark.parametrize("order", ["C", "F"])
def test_x_is_not_copied(model, order):
    X = np.asarray(np.random.default_rng(0).standard_normal((60_000, 40)), order=order)
    y = X @ np.arange(40.0) + 1
    model.fit(X[:1000], y[:1000])
    tracemalloc.start()
    try:
        model.fit(X, y)
        assert tracemalloc.get_traced_memory()[1] < X.nbytes / 2
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("make", [LinearRegression, lambda: Ridge(1e-3)], ids=["least squares", "ridge"])
def test_float32_is_nearer_to_the_truth_than_scikit_learns(make):
    X, y, _ = data(5000, 20)
    X, y = X.astype(np.float32), y.astype(np.float32)
    truth = make().fit(X.astype(float), y.astype(float)).coef_
    ours = np.abs(make().fit(X, y).coef_ - truth).max()
    peer = getattr(theirs, type(make()).__name__)(**make().get_params())
    assert ours <= np.spacing(np.abs(truth).max().astype(np.float32))
    assert ours <= np.abs(peer.fit(X, y).coef_ - truth).max()


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("model", REGRESSORS[:2], ids=repr)
def test_far_from_zero_and_at_any_scale(model, scale):
    """Columns of mean 1e6 and standard deviation 1 that rise with the rows' number."""
    rng = np.random.default_rng(0)
    X = (1e6 + rng.standard_normal((3000, 4)) + np.linspace(0, 100, 3000)[:, None]) * scale
    y = (X / scale - 1e6) @ [1.0, 2.0, 3.0, 4.0] + rng.standard_normal(3000)
    peer = getattr(theirs, type(model).__name__)().fit(X, y)
    np.testing.assert_allclose(model.fit(X, y).coef_, peer.coef_, rtol=1e-6, atol=0)


def test_an_outlier_where_rows_are_looked_at_first():
    X, y, _ = data(2000, 3)
    X[0] = 1e9
    weights = np.ones(2000)
    weights[0] = 0
    np.testing.assert_allclose(
        LinearRegression().fit(X, y, weights).coef_, LinearRegression().fit(X[1:], y[1:]).coef_, rtol=1e-9)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("shape", [(300, 20), (20, 40)])
def test_sparse_is_as_dense(shape, fit_intercept):
    X, y, weights = data(*shape)
    X = np.where(np.random.default_rng(1).random(X.shape) < 0.4, X, 0)
    S = sparse.csr_array(X)
    for model in (LinearRegression(tol=1e-14, fit_intercept=fit_intercept), RidgeCV(fit_intercept=fit_intercept),
                  Ridge(tol=1e-14, fit_intercept=fit_intercept)):
        dense = model.fit(X, y, weights).coef_
        for container in (S, S.tocsc(), S.tocoo(), sparse.csr_matrix(S)):
            np.testing.assert_allclose(model.fit(container, y, weights).coef_, dense, rtol=1e-6, atol=1e-8)
        assert not hasattr(model, "rank_")


@pytest.mark.parametrize("model", [*REGRESSORS, RidgeClassifier()], ids=repr)
def test_bad_input_leaves_the_model_as_it_was(model):
    X, y, _ = data()
    y = y if model is not None and not isinstance(model, RidgeClassifier) else (y > 0).astype(int)
    before = model.fit(X, y).coef_.copy()
    bad = X.copy()
    bad[3, 2] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN"):
        model.fit(bad, y)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        model.fit(sparse.csr_array(bad), y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fit(X, y[:-1])
    with pytest.raises(ValueError, match="squares can be summed"):
        model.fit(1e300 * X, y)
    for weights, words in (
        (np.zeros(200), "at least one number > 0"), (-np.ones(200), ">= 0"), (np.ones(3), "shape"),
        (np.full(200, np.nan), "finite"),
    ):
        with pytest.raises(ValueError, match=words):
            model.fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(model.coef_, before)


def test_bad_parameters():
    X, y, _ = data()
    for model, error, words in (
        (LinearRegression(fit_intercept=1), TypeError, "fit_intercept must be True or False"),
        (LinearRegression(tol=-1.0), ValueError, "tol must be a finite number >= 0"),
        (LinearRegression(n_jobs="two"), TypeError, "n_jobs must be an integer"),
        (Ridge(alpha=-1), ValueError, "alpha must be a finite number >= 0"),
        (Ridge(alpha=[1.0, 2.0]), ValueError, "Number of targets and number of penalties do not correspond: 2 != 1"),
        (Ridge(solver="cholesk"), ValueError, "solver must be one of 'auto', 'svd'"),
        (Ridge(solver="lbfgs"), ValueError, "can be used only when positive=True"),
        (Ridge(solver="svd", positive=True), ValueError, "does not support positive fitting"),
        (Ridge(max_iter=0), ValueError, "max_iter must be an integer >= 1"),
        (RidgeCV(alphas=[0.0]), ValueError, "alphas"), (RidgeCV(alphas=["a", 1]), TypeError, "alphas"),
        (RidgeCV(alphas=[]), ValueError, "at least one"), (RidgeCV(gcv_mode="gram"), ValueError, "gcv_mode must be"),
        (RidgeCV(cv=3, store_cv_results=True), ValueError, "incompatible"),
        (RidgeCV(cv=3, alpha_per_target=True), ValueError, "incompatible"),
    ):
        with pytest.raises(error, match=words):
            model.fit(X, y)


def test_gram_threshold_is_what_the_answer_needs():
    """Just above the threshold X^T X has to give ten digits."""
    X = with_condition(4000, 10, 0.95 * _linear_regression.WELL_CONDITIONED**-0.5)
    rng = np.random.default_rng(0)
    y = X @ rng.standard_normal(10) + 1e-3 * rng.standard_normal(4000)
    ours = LinearRegression(tol=1e-9, fit_intercept=False).fit(X, y)
    peer = theirs.LinearRegression(tol=1e-9, fit_intercept=False).fit(X, y)
    np.testing.assert_allclose(ours.coef_, peer.coef_, rtol=0, atol=1e-9 * np.abs(peer.coef_).max())
    np.testing.assert_allclose(ours.singular_, peer.singular_, rtol=1e-9)
