"""QuantileRegressor: the corner of the linear program, beside scikit-learn's."""

import pickle
import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn import linear_model as stock
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import check_estimator

import fasttrain
from fasttrain.linear_model import QuantileRegressor
from fasttrain.linear_model import _pinball as pinball

RNG = np.random.default_rng(0)
X = RNG.standard_normal((150, 6))
Y = X[:, :3] @ [1.0, -2.0, 0.5] + RNG.standard_t(2, 150) + 3.0
WEIGHT = RNG.uniform(0, 2, 150) * (RNG.uniform(size=150) > 0.2)


def objective(model, X, y, weight=None):
    s = np.ones(len(y)) if weight is None else weight
    r = y - X @ model.coef_ - model.intercept_
    q = model.quantile
    return (s * np.maximum(q * r, (q - 1) * r)).sum() / s.sum() + model.alpha * abs(model.coef_).sum()


def left_of_minimum(model, X, y, weight=None):
    """How much lower the objective gets along any of many directions, the coordinates among them."""
    at = objective(model, X, y, weight)
    p = X.shape[1]
    directions = np.vstack([np.eye(p + 1), RNG.standard_normal((100, p + 1))])
    coef, intercept, lowest = model.coef_, model.intercept_, at
    for d in np.vstack([directions, -directions]):
        if not model.fit_intercept:
            d = np.r_[d[:p], 0.0]
        for size in (1e-6, 1e-3, 0.1):
            model.coef_, model.intercept_ = coef + size * d[:p], intercept + size * d[p]
            lowest = min(lowest, objective(model, X, y, weight))
    model.coef_, model.intercept_ = coef, intercept
    return at - lowest


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize("layout", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("options", [
    {"alpha": 0.0}, {"alpha": 0.0, "quantile": 0.9}, {"alpha": 0.05, "quantile": 0.31}, {"alpha": 0.3},
    {"alpha": 10.0, "quantile": 0.73}, {"alpha": 0.0, "fit_intercept": False, "quantile": 0.05},
    {"alpha": 0.1, "fit_intercept": False},
], ids=str)
def test_the_corner_is_scikit_learns(options, layout, weight):
    # that of rows whose number times the quantile is whole may be one of several
    rows = slice(0, 149)
    weight = None if weight is None else weight[rows]
    ours = QuantileRegressor(**options).fit(layout(X[rows]), Y[rows], weight)
    theirs = stock.QuantileRegressor(**options).fit(layout(X[rows]), Y[rows], weight)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-9)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, atol=1e-9)
    np.testing.assert_array_equal(ours.coef_ == 0, theirs.coef_ == 0)
    assert objective(ours, X[rows], Y[rows], weight) <= objective(theirs, X[rows], Y[rows], weight) * (1 + 1e-12)
    assert left_of_minimum(ours, X[rows], Y[rows], weight) <= 1e-13
    assert 0 < ours.n_iter_ < 40


def random_case(seed):
    rng = np.random.default_rng(seed)
    n, p = int(rng.integers(3, 120)), int(rng.integers(1, 30))
    X = rng.standard_normal((n, p)) * 10.0 ** rng.uniform(-3, 3, p)
    if rng.random() < 0.3:
        X = np.round(X)
    if rng.random() < 0.3:
        X[:, 0] = 1.0
    if rng.random() < 0.3:
        X[:, -1] = X[:, 0]
    y = X @ rng.standard_normal(p) / (np.abs(X).max() or 1.0) + rng.standard_t(1.5, n)
    y = np.round(y) if rng.random() < 0.2 else y
    return X, y, {
        "quantile": float(rng.uniform(0.02, 0.98)), "alpha": float(rng.choice([0.0, 1e-3, 0.1, 1.0])),
        "fit_intercept": bool(rng.random() < 0.8)}


@pytest.mark.parametrize("seed", [
    pytest.param(seed, marks=[] if seed < 40 else pytest.mark.exhaustive) for seed in range(300)
])
def test_random_tables_end_no_higher_than_scikit_learns(seed):
    X, y, options = random_case(seed)
    ours = QuantileRegressor(**options).fit(X, y)
    theirs = stock.QuantileRegressor(**options).fit(X, y)
    scale = np.abs(y).mean()
    assert objective(ours, X, y) <= objective(theirs, X, y) + 1e-9 * scale


@pytest.mark.parametrize("case", ["constant", "twice", "wide", "small", "large", "exact", "zeros", "one row"])
@pytest.mark.parametrize("alpha", [0.0, 0.1])
def test_hard_tables(case, alpha):
    rng = np.random.default_rng(3)
    rows, y = {
        "constant": (np.c_[X, np.full(150, 7.0), np.zeros(150)], Y), "twice": (np.c_[X, X], Y),
        "wide": (rng.standard_normal((20, 50)), Y[:20]), "small": (X * 1e-6, Y * 1e-6), "large": (X * 1e6, Y * 1e6),
        "exact": (X, X.sum(axis=1)), "zeros": (X, np.zeros(150)), "one row": (X[:1], Y[:1]),
    }[case]
    ours = QuantileRegressor(alpha=alpha).fit(rows, y)
    theirs = stock.QuantileRegressor(alpha=alpha).fit(rows, y)
    assert np.isfinite(ours.coef_).all()
    assert objective(ours, rows, y) <= objective(theirs, rows, y) + 1e-9 * max(1e-12, np.abs(y).mean())


@pytest.mark.parametrize("layout", [np.asarray, np.asfortranarray])
@pytest.mark.parametrize("alpha", [0.0, 0.01])
@pytest.mark.parametrize("far", [1e3, -1e5, 1e7])
def test_columns_far_from_zero(far, alpha, layout):
    """Years and times, beside columns that are not far and one that is constant."""
    rows = layout(X + np.array([far, 0.0, far, 1.0, 0.0, far]))
    rows[:, 4] = 0.1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = QuantileRegressor(alpha=alpha).fit(rows, Y)
    theirs = stock.QuantileRegressor(alpha=alpha).fit(rows, Y)
    assert objective(ours, rows, Y) <= objective(theirs, rows, Y) * (1 + 1e-9)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=0, atol=1e-7)


def test_the_same_bytes_for_any_number_of_threads():
    rng = np.random.default_rng(4)
    rows = rng.standard_normal((20_000, 10))
    y, found = rows.sum(axis=1) + rng.standard_t(2, 20_000), []
    for n_threads in (1, 2, 3):
        before = fasttrain.set_num_threads(n_threads)
        try:
            found.append(QuantileRegressor(alpha=0.01).fit(rows, y).coef_.tobytes())
        finally:
            fasttrain.set_num_threads(before)
    assert len(set(found)) == 1


@pytest.mark.parametrize("options, words", [
    ({"quantile": 1.0}, "quantile must be"), ({"alpha": -1}, "alpha must be"),
    ({"solver": "simplex"}, "solver must be"),
    ({"solver_options": {"presolve": False}}, "solver_options must be None"), ({"fit_intercept": 2}, "fit_intercept"),
    ({"solver": "interior-point"}, "no longer has"),
])
def test_bad_parameters_are_named(options, words):
    with pytest.raises((ValueError, TypeError), match=words):
        QuantileRegressor(**options).fit(X, Y)


def test_too_many_features_go_to_scikit_learn_under_the_patch(caplog):
    rows = sparse.random(30, 1001, 0.01, "csr", random_state=0)
    with pytest.raises(ValueError, match="at most 1000 features, got 1001"):
        QuantileRegressor().fit(rows, Y[:30])
    with fasttrain.patched(), caplog.at_level("INFO", logger="fasttrain"):
        from sklearn.linear_model import QuantileRegressor as Patched

        model = Patched().fit(rows, Y[:30])
        assert "QuantileRegressor.fit is served by scikit-learn" in caplog.text
        assert not model.coef_.any()


def test_an_interior_point_that_is_cut_short(monkeypatch):
    monkeypatch.setattr(pinball, "MAX_STEPS", 1)
    with pytest.warns(ConvergenceWarning, match="did not succeed: the interior point ended after 1 steps"):
        QuantileRegressor(alpha=0.0).fit(X, Y)


def test_conversions():
    theirs = stock.QuantileRegressor(alpha=0.1).fit(X, Y)
    ours = fasttrain.interop.from_sklearn(theirs)
    assert type(ours) is QuantileRegressor
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    back = pickle.loads(pickle.dumps(ours.to_sklearn()))
    assert type(back) is type(theirs)
    np.testing.assert_array_equal(back.predict(X), theirs.predict(X))


def test_check_estimator():
    results = check_estimator(QuantileRegressor(alpha=0.01), on_skip=None)
    assert sum(result["status"] == "passed" for result in results) >= 50
    assert {result["check_name"] for result in results if result["status"] != "passed"} <= {"check_array_api_input"}
