"""LogisticRegression and LogisticRegressionCV beside scikit-learn's: optimality, iterates, parameters, bad input."""

import _thread
import contextlib
import copy
import threading
import time
import warnings

import numpy as np
import pytest
from scipy import sparse
from scipy.linalg import LinAlgWarning
from scipy.special import expit, softmax
from sklearn import config_context, linear_model as stock, model_selection as stock_selection
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GroupKFold, ShuffleSplit, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator
from sklearn_release import SKLEARN, peer

import fasttrain
from fasttrain.linear_model import LogisticRegression, LogisticRegressionCV
from fasttrain.linear_model._logistic_problem import Problem
from fasttrain.model_selection import GridSearchCV, cross_validate
from fasttrain.training import DivergenceError

SMOOTH = ("lbfgs", "newton-cholesky", "newton-cg", "sag")
RNG = np.random.default_rng(0)
X = RNG.standard_normal((120, 5))
CODES = np.digitize(X[:, 0] + RNG.standard_normal(120), [-0.5, 0.5])
WORDS = np.array(["ash", "elm", "oak"])[CODES]
Y = CODES > 0
NEW = {"l1_ratios": (0,), "scoring": "neg_log_loss", "use_legacy_attributes": False}

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def stock_one(**settings):
    return peer(LogisticRegression, stock.LogisticRegression, **settings)


def both_cv(ours=None, theirs=None, **settings):
    """Ours and scikit-learn's cross-validated one; the attributes of older releases are those of before."""
    if SKLEARN < (1, 8):
        single = settings["l1_ratios"] is not None and set(settings["l1_ratios"]) <= {0}
        settings |= {"use_legacy_attributes": True, "l1_ratios": None if single else settings["l1_ratios"]}
    return (LogisticRegressionCV(**{**settings, **(ours or {})}),
            peer(LogisticRegressionCV, stock.LogisticRegressionCV, **{**settings, **(theirs or {})}))


def objective(model, X, y, weight=None):
    """(value, largest element of the gradient) of what scikit-learn minimizes, over C times the sum of weights."""
    X = X.toarray() if sparse.issparse(X) else np.asarray(X, dtype=float)
    s = np.ones(len(y)) if weight is None else weight
    if model.class_weight is not None:
        s = s * np.array([model.class_weight[label] for label in y])
    coef, total = model.coef_.astype(float), s.sum()
    raw = X @ coef.T + model.intercept_
    target = y[:, None] == (model.classes_[1:] if len(coef) == 1 else model.classes_)
    if len(coef) == 1:
        p = expit(raw)
        losses = np.logaddexp(0, np.where(target, -raw, raw))[:, 0]
    else:
        p = softmax(raw, axis=1)
        losses = np.log(np.exp(raw - raw.max(axis=1, keepdims=True)).sum(axis=1)) + raw.max(axis=1) - raw[target]
    D = (p - target) * s[:, None] / total
    gradient = D.T @ X + coef / (model.C * total)
    largest = abs(gradient).max()
    if model.fit_intercept:
        largest = max(largest, abs(D.sum(axis=0)).max())
    return (s * losses).sum() / total + (coef**2).sum() / (2 * model.C * total), largest


def random_case(seed):
    rng = np.random.default_rng(seed)
    n, k, n_classes = int(rng.integers(8, 300)), int(rng.integers(1, 40)), int(rng.choice([2, 2, 3, 6]))
    X = rng.standard_normal((n, k)) * rng.choice([1, 1, 3], k)
    y = (X @ rng.standard_normal((k, n_classes)) + rng.uniform(0.5, 5) * rng.gumbel(size=(n, n_classes))).argmax(axis=1)
    y[:n_classes] = np.arange(n_classes)
    y = np.array(["b", "c", "d", "g", "k", "x"])[y] if rng.random() < 0.3 else y
    weight = rng.choice([0.0, 1.0, 2.5], n, p=[0.1, 0.5, 0.4]) if rng.random() < 0.4 else None
    if weight is not None:
        weight[:n_classes] = 1
    kind = rng.choice(["dense", "f32", "csr", "fortran"], p=[0.4, 0.2, 0.2, 0.2])
    if kind == "csr":
        X = sparse.csr_matrix(np.where(rng.random(X.shape) < 0.5, 0, X))
    X = X.astype(np.float32) if kind == "f32" else np.asfortranarray(X) if kind == "fortran" else X
    settings = {
        "C": float(10.0 ** rng.uniform(-3, 3)), "fit_intercept": bool(rng.random() < 0.8), "max_iter": 2000,
        "class_weight": {label: rng.uniform(0.5, 2) for label in np.unique(y)} if rng.random() < 0.3 else None,
        "solver": str(rng.choice(SMOOTH[:3])), "tol": float(rng.choice([1e-3, 1e-4, 1e-6])),
    }
    return X, y, weight, settings


@pytest.mark.parametrize("seed", [
    pytest.param(seed, marks=[] if seed < 40 else pytest.mark.exhaustive) for seed in range(300)
])
def test_random_configurations_beside_scikit_learn(seed):
    X, y, weight, settings = random_case(seed)
    ours = LogisticRegression(**settings).fit(X, y, weight)
    theirs = stock.LogisticRegression(**settings).fit(X, y, weight)
    value, largest = objective(ours, X, y, weight)
    their_value, their_largest = objective(theirs, X, y, weight)
    single = X.dtype == np.float32
    rounding = 2e-5 if single else 1e-13
    assert ours.coef_.dtype == theirs.coef_.dtype == X.dtype
    assert largest <= max(settings["tol"], their_largest) * 1.01 + rounding
    # where both are within tol of the minimum either may be the nearer one
    assert value <= their_value + max(settings["tol"] * abs(ours.coef_ - theirs.coef_).sum(), rounding * abs(value))
    assert ours.n_iter_.dtype == theirs.n_iter_.dtype
    assert ours.n_iter_.shape == theirs.n_iter_.shape
    if settings["solver"] != "newton-cg" and not single and theirs.n_iter_ < 40:
        assert ours.n_iter_ == theirs.n_iter_
    if not single:
        settings |= {"solver": "newton-cholesky", "tol": 1e-12, "max_iter": 100}
        theirs = stock.LogisticRegression(**settings).fit(X, y, weight)
        for solver in ("newton-cholesky", "newton-cg", "sag"):
            ours = LogisticRegression(**{**settings, "solver": solver, "max_iter": 20_000}).fit(X, y, weight)
            np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-6, atol=1e-6)
            np.testing.assert_allclose(
                ours.intercept_ - ours.intercept_.mean(), theirs.intercept_ - theirs.intercept_.mean(), rtol=1e-6,
                atol=1e-6)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_iterates_of_scikit_learn(n_classes):
    X, y = load_iris(return_X_y=True)
    X, y = X[y < n_classes], y[y < n_classes]
    for max_iter in (0, 1, 3, 10, 20):
        ours = LogisticRegression(max_iter=max_iter).fit(X, y)
        theirs = stock.LogisticRegression(max_iter=max_iter).fit(X, y)
        assert ours.n_iter_ == theirs.n_iter_
        np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-8)
        np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-7)
        np.testing.assert_allclose(ours.predict_log_proba(X), theirs.predict_log_proba(X), rtol=1e-7)
        np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))


@pytest.mark.parametrize("estimator, n_checks", [
    (LogisticRegression(), 65), (LogisticRegression(solver="newton-cholesky"), 65),
    (LogisticRegressionCV(Cs=2, cv=3, **NEW), 65),
], ids=["lbfgs", "newton-cholesky", "CV"])
def test_check_estimator(estimator, n_checks):
    results = check_estimator(estimator, on_skip=None)
    passed = sum(result["status"] == "passed" for result in results)
    assert passed >= (n_checks if SKLEARN >= (1, 9) else 0.85 * n_checks)
    assert {result["check_name"] for result in results if result["status"] != "passed"} <= {"check_array_api_input"}


def test_the_same_bytes_for_any_number_of_threads():
    X = np.random.default_rng(1).standard_normal((20_000, 20))
    y = (X[:, :3] + np.random.default_rng(2).standard_normal((20_000, 3))).argmax(axis=1)
    for target in (y, y > 0):
        found = []
        for n_threads in (1, 2, 3):
            before = fasttrain.set_num_threads(n_threads)
            try:
                found.append(LogisticRegression().fit(X, target).coef_.tobytes())
            finally:
                fasttrain.set_num_threads(before)
        assert len(set(found)) == 1


def test_a_warm_start_begins_at_the_last_solution():
    model = LogisticRegression(warm_start=True).fit(X, WORDS)
    first = model.n_iter_[0]
    model.fit(X, WORDS)
    assert model.n_iter_[0] == 0 < first
    coef = model.coef_.copy()
    with pytest.raises(ValueError, match="warm_start needs the same classes"):
        model.fit(X, Y)
    np.testing.assert_array_equal(model.coef_, coef)


def test_sparsify_and_densify():
    model = LogisticRegression().fit(X, WORDS)
    expected = model.predict_proba(X)
    np.testing.assert_allclose(model.sparsify().predict_proba(X), expected)
    assert sparse.issparse(model.coef_)
    assert isinstance(model.densify().coef_, np.ndarray)


def test_warnings_of_scikit_learn():
    for settings in (
        {"penalty": "l2"}, {"penalty": None}, {"penalty": None, "C": 2.0}, {"l1_ratio": None}, {"n_jobs": 2},
        {"penalty": "l2", "l1_ratio": 0.5},
    ) if SKLEARN >= (1, 8) else ():
        found = []
        for model in (LogisticRegression(**settings), stock.LogisticRegression(**settings)):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                model.fit(X, Y)
            found.append([(w.category, str(w.message)[:30]) for w in caught])
            assert caught[0].filename == __file__ or model.__module__.startswith("sklearn")
        assert found[0] == found[1], settings
    with pytest.warns(ConvergenceWarning, match=r"lbfgs failed to converge after 2 iteration\(s\)") as told:
        LogisticRegression(max_iter=2).fit(X, Y)
    assert told[0].filename == __file__
    with pytest.warns(LinAlgWarning) as told:
        LogisticRegression(solver="newton-cholesky", C=np.inf).fit(np.c_[X, X], Y)
    assert told[0].filename == __file__
    with pytest.warns(FutureWarning) as told:
        LogisticRegressionCV(Cs=1, cv=2).fit(X, Y)
    assert {str(one.message)[:20]: one.filename for one in told} == dict.fromkeys(
        ("The default value fo", "The default value of", "The fitted attribute"), __file__)


@pytest.mark.parametrize("parameters, words", [
    ({"C": 0.0}, "C must be"), ({"C": -1}, "C must be"), ({"C": "1"}, "C must be"), ({"tol": -1}, "tol must be"),
    ({"l1_ratio": 2}, "l1_ratio must be"), ({"solver": "adam"}, "solver must be one of 'lbfgs'"),
    ({"max_iter": -1}, "max_iter must be"), ({"fit_intercept": 3}, "fit_intercept must be"),
    ({"class_weight": "even"}, "class_weight must be"), ({"penalty": "l3"}, "penalty must be one of"),
    ({"dual": True}, "supports only dual=False"), ({"verbose": -1}, "verbose must be"),
    ({"intercept_scaling": 0}, "intercept_scaling must be"), ({"n_jobs": 1.5}, "n_jobs must be"),
    ({"l1_ratio": 1.0, "solver": "lbfgs"}, "supports only 'l2'"), ({"warm_start": 2}, "warm_start must be"),
])
def test_bad_parameters_are_named(parameters, words):
    with pytest.raises((ValueError, TypeError), match=words):
        LogisticRegression(**parameters).fit(X, Y)


@pytest.mark.parametrize("table", [X + 0.5, sparse.csr_matrix(np.where(X > 0, X, 0))], ids=["dense", "csr"])
@pytest.mark.parametrize("settings", [
    {}, {"dual": True}, {"l1_ratio": 1.0}, {"intercept_scaling": 7.0}, {"l1_ratio": 1.0, "intercept_scaling": 0.2},
    {"fit_intercept": False}, {"class_weight": "balanced", "l1_ratio": 1.0}, {"C": 50.0, "class_weight": {False: 3.0}},
], ids=str)
def test_the_solver_liblinear(settings, table):
    """liblinear's optimum, whose intercept is penalized."""
    weight = np.random.default_rng(3).random(120)
    settings = {"solver": "liblinear", "random_state": 0, **settings}
    exact = stock_one(**{**settings, "tol": 1e-11, "max_iter": 100_000}).fit(table, Y, weight)
    theirs = stock_one(**settings).fit(table, Y, weight)
    ours = LogisticRegression(**settings).fit(table, Y, weight)
    off = abs(np.r_[ours.coef_[0], ours.intercept_] - np.r_[exact.coef_[0], exact.intercept_]).max()
    assert off <= max(1e-6, abs(theirs.coef_ - exact.coef_).max())
    assert off < 1e-4
    assert np.shape(ours.intercept_) == np.shape(theirs.intercept_)
    assert (ours.coef_.dtype, ours.n_iter_.dtype, ours.n_iter_.shape) == (
        theirs.coef_.dtype, theirs.n_iter_.dtype, theirs.n_iter_.shape)
    again = LogisticRegression(**{**settings, "tol": 1e-10}).fit(table, Y, weight)
    np.testing.assert_allclose(again.coef_, exact.coef_, atol=1e-6)
    assert again.n_iter_ >= ours.n_iter_


@pytest.mark.parametrize("layout", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("settings", [{"C": 100.0}, {"intercept_scaling": 5.0}, {"fit_intercept": False}], ids=str)
def test_the_solver_liblinear_with_more_unknowns_than_a_matrix_is_made_for(settings, layout):
    """Newton's steps by products arrive, and nearer to the minimum than liblinear's own."""
    rng = np.random.default_rng(1)
    table = np.where(rng.random((300, 2500)) < 0.05, rng.standard_normal((300, 2500)), 0.0) / 10
    y = table @ rng.standard_normal(2500) + 0.1 * rng.standard_normal(300) > 0
    weight = rng.random(300)
    settings = {"solver": "liblinear", **settings}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = LogisticRegression(**settings).fit(layout(table), y, weight)
    theirs = stock.LogisticRegression(**settings).fit(layout(table), y, weight)

    def value_and_slopes(model):
        own = np.append(model.coef_[0], model.intercept_ / ours.intercept_scaling)
        raw = table @ model.coef_[0] + model.intercept_
        by_row = ours.C * weight * (expit(raw) - y)
        value = ours.C * (weight * np.logaddexp(0, np.where(y, -raw, raw))).sum() + 0.5 * own @ own
        slopes = np.append(table.T @ by_row, ours.intercept_scaling * by_row.sum() * ours.fit_intercept) + own
        return value, abs(slopes).max() / (ours.C * weight.sum())

    assert value_and_slopes(ours)[0] <= value_and_slopes(theirs)[0]
    assert value_and_slopes(ours)[1] <= 1e-6
    assert ours.n_iter_ <= 20


def test_what_liblinear_refuses():
    for settings, y, words in (
        ({}, WORDS, "separates two classes, got 3"), ({"dual": True, "l1_ratio": 1.0}, Y, "dual must be False"),
    ):
        with pytest.raises(ValueError, match=words):
            LogisticRegression(solver="liblinear", **settings).fit(X, y)
    with pytest.raises(ValueError, match="values above 1e"):
        LogisticRegression(solver="liblinear").fit(X * 1e31, Y)
    with pytest.warns(ConvergenceWarning, match="Liblinear failed"):
        LogisticRegression(solver="liblinear", max_iter=1, l1_ratio=1.0).fit(X, Y)


@pytest.mark.parametrize("more", [{}, {"refit": False, "intercept_scaling": 3.0}, {"l1_ratios": [0]}], ids=str)
def test_cross_validation_with_liblinear(more):
    settings = {**NEW, "Cs": [0.1, 10.0], "l1_ratios": [1], "solver": "liblinear", "cv": 3, **more}
    ours, theirs = both_cv(
        {"tol": 1e-8}, {"tol": 1e-10, "max_iter": 10_000, "random_state": 0}, **settings)
    ours, theirs = ours.fit(X, Y), theirs.fit(X, Y)
    for name, tolerance in (("coefs_paths_", {"atol": 1e-5}), ("scores_", {"rtol": 1e-6})):
        paths = [getattr(model, name) for model in (ours, theirs)]
        paths = [[*each.values()] if isinstance(each, dict) else each for each in paths]
        np.testing.assert_allclose(np.reshape(paths[0], np.shape(paths[1])), paths[1], **tolerance)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-5)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, atol=1e-5)
    with pytest.raises(ValueError, match="intercept_scaling must be 1 with"):
        LogisticRegressionCV(**{**settings, "refit": True, "intercept_scaling": 2}).fit(X, Y)


def test_what_the_class_has_not_goes_to_scikit_learn_under_the_patch(caplog):
    refused = {"solver": "liblinear", "l1_ratio": 1.0}
    rows = np.where(np.eye(120, 5) > 0, 1e31, X)
    with pytest.raises(ValueError, match="values above"):
        LogisticRegression(**refused).fit(rows, Y)
    with fasttrain.patched():
        from sklearn.linear_model import LogisticRegression as Patched

        # before 1.8 liblinear ends with a model of NaN here
        answer = pytest.raises(ValueError, match="frozen fit") if SKLEARN >= (1, 8) else contextlib.nullcontext()
        with caplog.at_level("INFO", logger="fasttrain"), answer:
            Patched(**refused).fit(rows, Y)
        np.testing.assert_array_equal(Patched().fit(X, Y).coef_, LogisticRegression().fit(X, Y).coef_)


def test_one_class_and_no_rows_of_weight():
    with pytest.raises(ValueError, match="at least 2 classes"):
        LogisticRegression().fit(X, np.ones(120))
    with pytest.raises(ValueError, match="zeros only"):
        LogisticRegression().fit(X, Y, np.zeros(120))
    for bad in (np.nan, np.inf):
        broken = X.copy()
        broken[3, 2] = bad
        with pytest.raises(ValueError, match=r"X contains|Input X"):
            LogisticRegression().fit(broken, Y)


def test_separable_data_without_a_penalty():
    A = np.linspace(-1, 1, 40)[:, None]
    b = A[:, 0] > 0
    for solver in ("lbfgs", "newton-cholesky"):
        model = LogisticRegression(C=np.inf, solver=solver, max_iter=30).fit(A, b)
        assert np.isfinite(model.coef_).all()
        assert model.score(A, b) == 1


def test_collinear_constant_and_wide_columns():
    A = np.c_[X, X[:, 0], np.ones(120), np.zeros(120)]
    for solver in SMOOTH:
        model = LogisticRegression(solver=solver, tol=1e-8, max_iter=1000).fit(A, WORDS)
        assert objective(model, A, WORDS)[1] <= 1e-7
    with pytest.warns(LinAlgWarning, match="collinear"):
        LogisticRegression(solver="newton-cholesky", C=np.inf).fit(A, Y)
    wide = RNG.standard_normal((10, 300))
    for solver in SMOOTH:
        model = LogisticRegression(solver=solver, tol=1e-8).fit(wide, np.arange(10) % 2)
        assert objective(model, wide, np.arange(10) % 2)[1] <= 1e-7


@pytest.mark.parametrize("scale", [1e-6, 1e6])
@pytest.mark.parametrize("solver", ["lbfgs", "newton-cholesky"])
def test_huge_scales(solver, scale):
    A, b = load_breast_cancer(return_X_y=True)
    A = StandardScaler().fit_transform(A) * scale
    ours = LogisticRegression(solver=solver, tol=1e-8).fit(A, b)
    theirs = stock.LogisticRegression(solver=solver, tol=1e-8).fit(A, b)
    value, their_value = objective(ours, A, b)[0], objective(theirs, A, b)[0]
    assert value <= their_value + 1e-6 * abs(their_value)


def test_divergence_is_named_and_changes_nothing():
    model = LogisticRegression(warm_start=True).fit(X, Y)
    before = copy.deepcopy(vars(model))
    with np.errstate(over="ignore"), pytest.raises(DivergenceError, match="not finite"):
        model.fit(np.full_like(X, 1e308) * np.sign(X), Y)
    assert before.keys() == vars(model).keys()
    np.testing.assert_array_equal(model.coef_, before["coef_"])


def test_arrays_are_left_alone(tmp_path):
    frozen, target, weight = X.copy(), WORDS.copy(), np.ones(120)
    for array in (frozen, target, weight):
        array.flags.writeable = False
    expected = LogisticRegression().fit(frozen, target, weight).coef_
    X.tofile(tmp_path / "X")
    mapped = np.memmap(tmp_path / "X", dtype=float, mode="r", shape=X.shape)
    np.testing.assert_array_equal(LogisticRegression().fit(mapped, target).coef_, expected)
    rows = sparse.csr_matrix(np.where(X > 0, X, 0))
    shuffled = sparse.csr_matrix((rows.data.copy(), rows.indices.copy(), rows.indptr.copy()), rows.shape)
    for i in range(120):
        part = slice(rows.indptr[i], rows.indptr[i + 1])
        shuffled.data[part], shuffled.indices[part] = rows.data[part][::-1], rows.indices[part][::-1]
    data = shuffled.data.copy()
    np.testing.assert_allclose(
        LogisticRegression().fit(shuffled, WORDS).coef_, LogisticRegression().fit(rows, WORDS).coef_)
    np.testing.assert_array_equal(shuffled.data, data)


# ---- penalties with an l1 part ----


def violation(model, X, y, ratio=None):
    """Largest violation of the conditions of the minimum, and the objective, over C times the number of rows."""
    X = X.toarray() if sparse.issparse(X) else X
    raw = X @ model.coef_.T + model.intercept_
    target = y[:, None] == (model.classes_[1:] if len(model.coef_) == 1 else model.classes_)
    if len(model.coef_) == 1:
        D, losses = expit(raw) - target, np.logaddexp(0, np.where(target, -raw, raw))[:, 0]
    else:
        D, losses = softmax(raw, axis=1) - target, np.log(np.exp(raw).sum(axis=1)) - raw[target]
    strength = 1 / (model.C * len(y))
    ratio = model.l1_ratio if ratio is None else ratio
    l1, l2 = ratio * strength, (1 - ratio) * strength
    g = D.T @ X / len(y) + l2 * model.coef_
    at_zero = np.maximum(abs(g) - l1, 0)
    worst = np.where(model.coef_ == 0, at_zero, abs(g + l1 * np.sign(model.coef_))).max()
    value = losses.mean() + l1 * abs(model.coef_).sum() + l2 / 2 * (model.coef_**2).sum()
    return max(worst, abs(D.mean(axis=0)).max()), value


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
@pytest.mark.parametrize("y", [WORDS, Y.astype(int)], ids=["3", "2"])
@pytest.mark.parametrize("table", [X, sparse.csr_matrix(np.where(X > 0, X, 0))], ids=["dense", "csr"])
def test_the_minimum_with_an_l1_part(table, y, l1_ratio):
    for C in (1e-3, 0.1, 1.0, 100.0):
        for tol in (1e-3, 1e-8):
            settings = {"C": C, "l1_ratio": l1_ratio, "solver": "saga", "tol": tol, "max_iter": 5000}
            ours = LogisticRegression(**settings).fit(table, y)
            theirs = stock_one(**settings, random_state=0).fit(table, y)
            worst, value = violation(ours, table, y)
            their_worst, their_value = violation(theirs, table, y, l1_ratio)
            assert worst <= max(tol, 1e-9)
            assert worst <= their_worst + 1e-9
            assert value <= their_value + 1e-12
            if tol < 1e-3:
                np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-3 * C)
    assert (LogisticRegression(C=1e-3, l1_ratio=1.0, solver="saga").fit(table, y).coef_ == 0).all()


@pytest.mark.parametrize("y", [Y, WORDS], ids=["2", "3"])
def test_an_l1_part_and_columns_that_are_hard_to_tell_apart(y):
    """Descent on columns alone takes thousands of sweeps here."""
    rng = np.random.default_rng(5)
    table = np.c_[X @ rng.standard_normal((5, 20)) + 1e-3 * rng.standard_normal((120, 20)), 1e3 * X, np.ones(120)]
    for C in (0.1, 3.0):
        model = LogisticRegression(C=C, l1_ratio=1.0, solver="saga", tol=1e-6, max_iter=1000).fit(table, y)
        assert violation(model, table, y)[0] <= 1e-8
        assert model.n_iter_ < 1000


def test_an_l1_part_on_a_wide_table_of_words():
    rng = np.random.default_rng(6)
    table = sparse.random(400, 3000, 0.02, "csr", random_state=7)
    y = table @ rng.standard_normal(3000) > 0.1
    for dtype, C in ((np.float64, 1.0), (np.float64, 30.0), (np.float32, 30.0)):
        found = []
        for n_threads in (1, 2, 3):
            before = fasttrain.set_num_threads(n_threads)
            try:
                model = LogisticRegression(C=C, l1_ratio=1.0, solver="saga").fit(table.astype(dtype), y)
            finally:
                fasttrain.set_num_threads(before)
            found.append(model.coef_.tobytes())
        assert len(set(found)) == 1
        strength = 1 / (C * len(y))
        worst, _ = violation(model, table, y)
        assert worst <= min(1e-6, 1e-3 * strength) + (1e-8 if dtype == np.float32 else 0)
        assert model.n_iter_ < 50


def test_a_fit_with_an_l1_part_that_is_cut_short():
    settings = {"l1_ratio": 1.0, "solver": "saga", "C": 10.0}
    with pytest.warns(ConvergenceWarning, match="max_iter was reached"):
        model = LogisticRegression(**settings, max_iter=2).fit(X, WORDS)
    assert model.n_iter_ == [2]
    model = LogisticRegression(**settings, max_iter=0).fit(X, WORDS)
    assert not model.coef_.any()
    model = LogisticRegression(**settings, warm_start=True, tol=1e-6, max_iter=500).fit(X, WORDS)
    first = model.n_iter_[0]
    assert model.fit(X, WORDS).n_iter_[0] < first / 2


def test_cross_validation_with_l1_parts_beside_scikit_learn():
    for use_legacy in (True, False) if SKLEARN >= (1, 8) else (True,):
        settings = {**NEW, "Cs": [0.3, 1.0], "l1_ratios": [0, 0.5, 1], "solver": "saga", "tol": 1e-8, "cv": 3,
                    "max_iter": 5000, "use_legacy_attributes": use_legacy}
        for refit in (True, False):
            settings["refit"] = refit
            ours, theirs = both_cv(None, {"l1_ratios": np.array([0, 0.5, 1])}, **settings)
            ours, theirs = ours.fit(X, WORDS), theirs.fit(X, WORDS)
            for name in ("C_", "l1_ratio_", "l1_ratios_", "Cs_"):
                np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name))
            for name in ("scores_", "coefs_paths_"):
                found, expected = getattr(ours, name), getattr(theirs, name)
                found, expected = ([*part.values()] if use_legacy else part for part in (found, expected))
                # with all coefficients at 0 saga ends before its intercepts have arrived
                np.testing.assert_allclose(found, expected, atol=1e-4)
            assert ours.n_iter_.shape == theirs.n_iter_.shape
            np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-4)


# ---- cross-validation ----


@pytest.mark.parametrize("settings", [
    {}, {"scoring": None}, {"scoring": "roc_auc_ovr"}, {"scoring": "neg_brier_score"}, {"refit": False},
    {"Cs": [0.1, 10, 1]}, {"cv": ShuffleSplit(4, random_state=0)}, {"fit_intercept": False},
    {"class_weight": "balanced"}, {"solver": "newton-cholesky"}, {"use_legacy_attributes": True},
    {"l1_ratios": None, "use_legacy_attributes": True}, *([{"l1_ratios": (0, 0)}] if SKLEARN >= (1, 8) else []),
    {"refit": False, "use_legacy_attributes": True, "scoring": None},
], ids=str)
@pytest.mark.parametrize("y", [WORDS, np.array(["no", "yes"])[Y.astype(int)], Y.astype(int)], ids=["3", "words", "2"])
def test_cross_validation_beside_scikit_learn(y, settings):
    if settings.get("scoring") == "roc_auc_ovr" and len(np.unique(y)) == 2:
        settings = {**settings, "scoring": "roc_auc"}
    settings = {"Cs": 4, **NEW, **settings}
    weight = np.random.default_rng(0).uniform(0.5, 2, len(y))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, theirs = (model.fit(X, y, weight) for model in both_cv(**settings))
    assert set(vars(ours)) == set(vars(theirs)) or SKLEARN < (1, 8)
    for name, value in vars(theirs).items():
        if not name.endswith("_"):
            continue
        found = getattr(ours, name)
        if isinstance(value, dict):
            assert list(found) == list(value)
            for key in value:
                np.testing.assert_allclose(found[key], value[key], rtol=1e-6, atol=1e-9)
        elif name in ("classes_", "l1_ratio_", "l1_ratios_", "n_iter_"):
            if SKLEARN < (1, 8) and name == "l1_ratio_":
                found, value = (np.nan_to_num(each.astype(float)) for each in (found, value))  # None without an l1 part
            np.testing.assert_array_equal(found, value)
            assert np.shape(found) == np.shape(value)
        else:
            assert type(found) is type(value)
            np.testing.assert_allclose(found, value, rtol=1e-6, atol=1e-9)
    if settings["scoring"] != "neg_brier_score":
        assert ours.score(X, y) == pytest.approx(theirs.score(X, y))


def test_splitters_and_routing():
    groups = np.arange(120) % 6
    with config_context(enable_metadata_routing=True):
        found = [
            model.fit(X, WORDS, groups=groups) for model in both_cv(Cs=2, cv=GroupKFold(3), **NEW)]
    scores = [[*each.scores_.values()] if isinstance(each.scores_, dict) else each.scores_ for each in found]
    np.testing.assert_allclose(*scores, rtol=1e-9)
    with pytest.raises(ValueError, match="metadata routing"):
        LogisticRegressionCV(**NEW).fit(X, Y, groups=groups)
    rows = [(np.array([0, 0, 1, 2]), np.arange(3, 120))]
    with pytest.raises(ValueError, match="more than once"):
        LogisticRegressionCV(cv=rows, **NEW).fit(X, Y)
    model = LogisticRegressionCV(Cs=2, cv=StratifiedKFold(3), **NEW)
    assert clone(model).fit(X, Y).coefs_paths_.shape == (3, 1, 2, 1, 6)


@pytest.mark.parametrize("parameters, words", [
    ({"Cs": 0}, "Cs must be"), ({"Cs": [1, -1]}, "C must be"), ({"refit": 2}, "refit must be"),
    ({"scoring": "acuracy"}, "scoring must be one of"), ({"l1_ratios": (0, 2)}, "between 0 and 1|supports only"),
    ({"use_legacy_attributes": 3}, "use_legacy_attributes must be"), ({"tol": -1}, "tol must be"),
])
def test_bad_parameters_of_cross_validation_are_named(parameters, words):
    with pytest.raises((ValueError, TypeError), match=words):
        LogisticRegressionCV(**{**NEW, **parameters}).fit(X, Y)


# ---- searches ----


@pytest.mark.parametrize("y", [WORDS, Y], ids=["3", "2"])
@pytest.mark.parametrize("kind", ["dense", "float32", "csr", "pipeline", "weights"])
def test_a_search_finds_what_its_fits_would(kind, y):
    table = {"csr": sparse.csr_matrix(np.where(X > 0, X, 0)), "float32": X.astype(np.float32)}.get(kind, X)
    model, prefix = LogisticRegression(class_weight=None if y is Y else {"ash": 2.0, "elm": 1.0, "oak": 0.5}), ""
    if kind == "pipeline":
        model, prefix = make_pipeline(fasttrain.preprocessing.StandardScaler(), model), "logisticregression__"
    options = {"sample_weight": np.linspace(0.5, 2, 120)} if kind == "weights" else {}
    grid = {f"{prefix}C": [1e-2, 1.0, 1e2], f"{prefix}fit_intercept": [True, False]}
    search = GridSearchCV(model, grid, cv=3, scoring=["accuracy", "neg_log_loss"], refit="accuracy")
    search.fit(table, y, **options)
    folds = list(StratifiedKFold(3).split(X, y))
    one_by_one = stock_selection.GridSearchCV(model, grid, cv=3, scoring=["accuracy", "neg_log_loss"], refit=False)
    one_by_one.fit(table, y, **options)
    for name, tolerance in [("accuracy", 0.01), ("neg_log_loss", 1e-4)]:
        np.testing.assert_allclose(
            search.cv_results_[f"mean_test_{name}"], one_by_one.cv_results_[f"mean_test_{name}"],
            atol=tolerance if kind == "float32" else 1e-7)
    found = cross_validate(model, table, y, cv=3, return_estimator=True, params=options)
    for (train, _), estimator in zip(folds, found["estimator"]):
        weight = {name: value[train] for name, value in options.items()}
        own = clone(model).fit(table[train], y[train], **weight)
        tolerance = 1e-3 if kind == "float32" else 1e-6
        np.testing.assert_allclose(
            estimator.predict_proba(table), own.predict_proba(table), rtol=tolerance, atol=tolerance)
        if kind != "pipeline":
            assert estimator.n_iter_ == pytest.approx(own.n_iter_, abs=1)


def test_a_search_warns_and_names_bad_parameters_as_its_fits_would():
    with pytest.warns(ConvergenceWarning, match="lbfgs failed to converge after 1 iteration"):
        GridSearchCV(LogisticRegression(max_iter=1), {"C": [1.0, 2.0]}, cv=2).fit(X, Y)
    with pytest.raises(ValueError, match="C must be"):
        GridSearchCV(LogisticRegression(), {"C": [1.0, -1.0]}, cv=2, error_score="raise").fit(X, Y)
    with pytest.raises(ValueError, match="at least 2 classes"):
        GridSearchCV(LogisticRegression(), {"C": [1.0]}, cv=2, error_score="raise").fit(X, np.ones(120))


@pytest.mark.parametrize("case", ["lbfgs", "csr", "newton-cholesky", "saga", "CV", "search"])
def test_ctrl_c_ends_a_fit_and_leaves_the_model_that_was(case):
    rng = np.random.default_rng(0)
    A = rng.standard_normal((60_000, 60)) * np.logspace(-2, 2, 60)
    b = (A[:, :3] + rng.standard_normal((60_000, 3))).argmax(axis=1)
    model = LogisticRegression(warm_start=True, tol=0.0, C=1e6, max_iter=10**6)
    if case == "csr":
        A = sparse.csr_matrix(A)
    elif case == "CV":
        model = LogisticRegressionCV(tol=0.0, max_iter=10**6, **NEW)
    elif case == "search":
        model = GridSearchCV(LogisticRegression(tol=0.0, max_iter=10**6), {"C": [1.0, 1e3, 1e6]})
    elif case != "lbfgs":
        model.set_params(solver=case, l1_ratio=float(case == "saga"))
    # the estimator was fitted before
    small = LogisticRegression(max_iter=3).fit(A[:200], b[:200])
    if case not in ("CV", "search"):
        vars(model).update({name: value for name, value in vars(small).items() if name.endswith("_")})
    before, sent = dict(vars(model)), []

    def interrupt():
        sent.append(time.perf_counter())
        _thread.interrupt_main()

    def fit():
        for _ in range(1000):
            # a fit may end before the interrupt comes
            before.update(vars(model))
            model.fit(A, b)

    timer = threading.Timer(0.5, interrupt)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        fit()
    # 100 ms on a core of its own
    assert time.perf_counter() - sent[0] < 1.0
    assert all(value is before[name] for name, value in vars(model).items() if name in before)
    assert set(vars(model)) - set(before) <= {"multimetric_"}


@pytest.mark.parametrize("form", ["dense", "CSR"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_hessian_is_the_derivative_of_the_gradient(n_classes, form):
    """Weights of either sign among them, as scikit-learn takes them."""
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(60, 4)) * (draw.random((60, 4)) < 0.7)
    held = np.array([3, 17], dtype=np.int64)
    problem = Problem(
        rows if form == "dense" else sparse.csr_matrix(rows), draw.integers(0, n_classes, 60), n_classes, True,
        [(draw.normal(0.5, 1.0, 60), held)], 2)
    x, step = draw.normal(size=problem.shape) / 3, 1e-4
    columns = []
    for place in range(x.size):
        at = np.zeros(x.size)
        at[place] = step
        ahead, behind = (
            problem.value_and_gradient(x + sign * at.reshape(x.shape), 0, 0.1, 1)[1].ravel() for sign in (1, -1))
        columns.append((ahead - behind) / (2 * step))
    np.testing.assert_allclose(problem.hessian(x, 0, 0.1), np.array(columns).T, rtol=1e-5, atol=1e-6)
