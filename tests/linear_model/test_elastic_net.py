"""Lasso, ElasticNet, their CV and multi-task kin and the path functions against scikit-learn's; what they refuse."""

import inspect
import os
import signal
import threading
import warnings

import numpy as np
import pytest
import reference_coordinate as reference
from scipy import sparse
from sklearn import linear_model as stock
from sklearn.base import clone
from sklearn.datasets import make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, KFold, ShuffleSplit
from sklearn.utils.estimator_checks import check_estimator
from sklearn_release import SKLEARN

from fasttrain import linear_model as ours
from fasttrain._kernels.threads import num_threads
from fasttrain.model_selection import GridSearchCV as OurSearch

SINGLE = ("Lasso", "ElasticNet")
TASKS = ("MultiTaskLasso", "MultiTaskElasticNet")
CROSS = ("LassoCV", "ElasticNetCV", "MultiTaskLassoCV", "MultiTaskElasticNetCV")
NAMES = (*SINGLE, *TASKS, *CROSS)
# Where scikit-learn's descent does not leave columns out, it ends at another sweep.
SCREENS = SKLEARN >= (1, 8)
TASKS_TAKE_MORE = "sample_weight" in inspect.signature(stock.MultiTaskLasso.fit).parameters


def tight(dtype):
    """Parameters with which it does not matter where a descent ends."""
    return {"tol": 1e-6 if dtype == np.float32 else 1e-10, "max_iter": 10_000}


def random_case(number):
    """(name of the class, parameters, X, y, fit's other arguments) of one random configuration."""
    rng = np.random.default_rng(number)
    name = rng.choice(SINGLE if rng.random() < 0.7 else TASKS)
    n, p = [(30, 60), (80, 12), (60, 60), (4000, 20)][rng.integers(4)]
    if n == 4000 and rng.random() < 0.6:
        n = 300
    dense = rng.random() < 0.7
    X = rng.standard_normal((n, p)) @ (np.eye(p) + 0.3 * rng.standard_normal((p, p)) / np.sqrt(p))
    X += rng.normal(size=p) * rng.choice([0.0, 1.0, 30.0])
    X *= 10.0 ** rng.uniform(-1, 1, p) if rng.random() < 0.3 else 1.0
    if rng.random() < 0.2:
        X[:, 0] = 3.0
        X[:, 1] = X[:, 2]
    if not dense:
        X = sparse.csr_array(X * (rng.random((n, p)) < 0.3)) if rng.random() < 0.5 else sparse.csc_matrix(
            X * (rng.random((n, p)) < 0.3))
    n_targets = 1 if name in SINGLE and rng.random() < 0.8 else 3
    Y = X @ (rng.standard_normal((p, n_targets)) * (rng.random((p, n_targets)) < 0.3))
    Y = Y + 0.5 * np.std(Y) * rng.standard_normal((n, n_targets)) + rng.choice([0.0, 5.0])
    y = Y[:, 0] if n_targets == 1 and name in SINGLE else Y
    centred = Y - Y.mean(axis=0)
    top = max(1e-3, float(np.abs(X.T @ centred).max()) / n)
    params = {
        "alpha": top * 10 ** rng.uniform(-2.5, -0.3), "fit_intercept": bool(rng.random() < 0.7),
        "selection": str(rng.choice(["cyclic", "random"])), "random_state": int(rng.integers(100)),
        "tol": float(rng.choice([1e-3, 1e-4, 1e-6])), "max_iter": 5000,
    }
    if "Elastic" in name:
        params["l1_ratio"] = float(rng.choice([0.1, 0.5, 0.9, 1.0]))
    if name in SINGLE:
        params["positive"] = bool(rng.random() < 0.3)
        if dense and rng.random() < 0.3:
            params["precompute"] = True
    weights = {"sample_weight": rng.random(n) * (rng.random(n) < 0.9)} if rng.random() < 0.4 else {}
    return str(name), params, X, y, weights


def scaled(model, X, y, weights):
    """(Z, Y, l1, l2) of the kernel's problem that a model's data stand for."""
    X = X.toarray() if sparse.issparse(X) else X
    Y = y.reshape(len(y), -1)
    w = np.ones(len(X)) if not weights else weights["sample_weight"]
    w = w * (len(X) / w.sum())
    if model.fit_intercept:
        X, Y = X - np.average(X, axis=0, weights=w), Y - np.average(Y, axis=0, weights=w)
    root = np.sqrt(w)[:, None]
    ratio = getattr(model, "l1_ratio", 1.0)
    return root * X, root * Y, len(X) * model.alpha * ratio, len(X) * model.alpha * (1 - ratio)


@pytest.mark.parametrize("number", [
    pytest.param(number, marks=pytest.mark.exhaustive) if number >= 40 else number for number in range(300)
])
def test_random_configurations(number):
    name, params, X, y, weights = random_case(number)
    if name in TASKS and not TASKS_TAKE_MORE:
        X, weights = X.toarray() if sparse.issparse(X) else X, {}
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        mine = getattr(ours, name)(**params).fit(X, y, **weights)
        theirs = getattr(stock, name)(**params).fit(X, y, **weights)
    assert sum(each.category is ConvergenceWarning for each in said) % 2 == 0 or not SCREENS
    assert mine.coef_.shape == theirs.coef_.shape
    assert np.shape(mine.intercept_) == np.shape(theirs.intercept_)
    assert np.shape(mine.dual_gap_) == np.shape(theirs.dual_gap_)
    # a rounding may end a descent a sweep sooner or later; a constant column of which scikit-learn's mean leaves a
    # rounding is one more to draw
    constant = not sparse.issparse(X) and bool((np.ptp(X, axis=0) == 0).any())
    off = np.abs(np.subtract(mine.n_iter_, theirs.n_iter_))
    assert not SCREENS or (constant and params["selection"] == "random") or (
        off <= 1 + 0.02 * np.asarray(theirs.n_iter_)).all()
    same = np.array_equal(mine.n_iter_, theirs.n_iter_)
    scale = np.abs(theirs.coef_).max()
    if same:
        np.testing.assert_allclose(mine.coef_, theirs.coef_, rtol=1e-6, atol=1e-7 * scale)
        np.testing.assert_allclose(mine.predict(X), theirs.predict(X), rtol=1e-6, atol=1e-6 * np.abs(y).max())
    Z, Y, l1, l2 = scaled(mine, X, y, weights)
    positive = params.get("positive", False)
    separate = range(Y.shape[1]) if name in SINGLE else [slice(None)]
    for k in separate:
        part = slice(k, k + 1) if isinstance(k, int) else k
        W, V = np.atleast_2d(mine.coef_)[part].T, np.atleast_2d(theirs.coef_)[part].T
        squares = np.sum(Y[:, part] ** 2)
        slack = 1e-9 * squares if same else params["tol"] * squares
        assert reference.objective(Z, Y[:, part], W, l1, l2) <= reference.objective(Z, Y[:, part], V, l1, l2) + slack
        mine_off = reference.residual(Z, Y[:, part], W, l1, l2, positive=positive)
        theirs_off = reference.residual(Z, Y[:, part], V, l1, l2, positive=positive)
        assert mine_off <= (1 if same else 2) * theirs_off + 1e-6 * l1
        gap = np.atleast_1d(mine.dual_gap_)[k if isinstance(k, int) else 0] * len(Y)
        if not positive:
            assert abs(gap - reference.gap(Z, Y[:, part], W, l1, l2)) <= 1e-9 * squares
        if np.max(mine.n_iter_) < params["max_iter"]:
            assert gap <= params["tol"] * squares * (1 + 1e-9)
    tight = {**params, "tol": 1e-12, "max_iter": 100_000}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mine = getattr(ours, name)(**tight).fit(X, y, **weights)
        theirs = getattr(stock, name)(**tight).fit(X, y, **weights)
    if np.linalg.matrix_rank(Z) == Z.shape[1] or l2 > 0:
        np.testing.assert_allclose(mine.coef_, theirs.coef_, rtol=1e-6, atol=1e-6 * scale)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CROSS)
@pytest.mark.parametrize("shape", [(60, 90), (2500, 30)], ids=str)
def test_cross_validation_is_scikit_learns(shape, name, dtype):
    X, y = make_regression(*shape, n_informative=8, noise=20.0, random_state=0)
    X, y = (X + 2).astype(dtype), y.astype(dtype)
    if "Multi" in name:
        y = np.c_[y, y[::-1]]
    params = {"alphas": 15, "cv": 3, **({} if SCREENS else tight(dtype))}
    if "Elastic" in name:
        params["l1_ratio"] = [0.4, 0.9]
    weights = {"sample_weight": np.random.default_rng(0).random(len(X))} if "Multi" not in name else {}
    mine = getattr(ours, name)(**params).fit(X, y, **weights)
    theirs = getattr(stock, name)(**params).fit(X, y, **weights)
    close = {"rtol": 1e-6} if dtype == np.float64 else {"rtol": 2e-3}
    assert mine.mse_path_.shape == theirs.mse_path_.shape
    np.testing.assert_allclose(mine.alphas_, theirs.alphas_, **close)
    np.testing.assert_allclose(mine.mse_path_, theirs.mse_path_, **close)
    np.testing.assert_allclose(mine.alpha_, theirs.alpha_, **close)
    np.testing.assert_allclose(mine.coef_, theirs.coef_, atol=close["rtol"] * np.abs(theirs.coef_).max(), **close)
    np.testing.assert_allclose(mine.intercept_, theirs.intercept_, **close)
    names = {each for each in vars(theirs) if each.endswith("_")}
    assert names == {each for each in vars(mine) if each.endswith("_")}


def test_folds_that_are_no_partition_and_sparse_folds():
    X, y = make_regression(300, 20, n_informative=5, noise=5.0, random_state=0)
    folds = ShuffleSplit(4, test_size=0.3, random_state=0)
    for data in (X, sparse.csr_array(np.where(np.abs(X) < 1, 0, X))):
        for rows, targets in ((data, y), (data[:20], y[:20])):
            params = {"alphas": [0.1, 1.0, 10.0], "cv": folds, "selection": "random", "random_state": 3,
                      **({} if SCREENS else {"tol": 1e-10})}
            mine = ours.LassoCV(**params).fit(rows, targets)
            theirs = stock.LassoCV(**params).fit(rows, targets)
            np.testing.assert_allclose(mine.mse_path_, theirs.mse_path_, rtol=1e-6)
            np.testing.assert_allclose(mine.coef_, theirs.coef_, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("function", ["lasso_path", "enet_path"])
def test_paths_are_scikit_learns(function):
    X, y = make_regression(60, 30, n_informative=5, noise=5.0, random_state=0)
    gram = X.T @ X
    calls = [
        ((X, y), {"alphas": 20}), ((X, y), {"alphas": [0.1, 5.0, 1.0], "return_n_iter": True, "tol": 1e-8}),
        ((X, y), {"positive": True, "alphas": 7, "selection": "random", "random_state": 1}),
        ((X, np.c_[y, -y]), {"alphas": 7}), ((sparse.csc_array(X), y), {"alphas": 7}),
        ((X, y), {"precompute": gram, "Xy": X.T @ y, "alphas": 5}),
        ((X, y), {"coef_init": np.ones(30), "alphas": [2.0]}),
        ((X.astype(np.float32), y), {"alphas": 5, "eps": 0.1}),
        ((sparse.csc_array(X), y - y.mean()), {"alphas": 4, "X_offset": X.mean(axis=0), "X_scale": np.ones(30),
                                               "sample_weight": np.full(60, 1.0)}),
    ]
    for arguments, options in calls:
        options = options if SCREENS else {**tight(arguments[0].dtype), **options}
        mine = getattr(ours, function)(*arguments, **options)
        if SKLEARN < (1, 9) and isinstance(options.get("alphas"), int):
            options = {**options, "n_alphas": options["alphas"], "alphas": None}
        theirs = getattr(stock, function)(*arguments, **options)
        single = arguments[0].dtype == np.float32
        # float32's gaps are mostly rounding there
        for a, b in zip(mine[:2] if single or not SCREENS else mine, theirs):
            close = 1e-3 if single else 1e-6
            assert np.shape(a) == np.shape(b)
            np.testing.assert_allclose(a, b, rtol=close, atol=close * max(1e-3, np.abs(b).max()))


def test_a_gram_matrix_of_the_callers():
    X, y = make_regression(50, 10, noise=1.0, random_state=0)
    X -= X.mean(axis=0)
    gram = X.T @ X
    mine = ours.ElasticNet(alpha=0.1, precompute=gram).fit(X, y)
    theirs = stock.ElasticNet(alpha=0.1, precompute=gram).fit(X, y)
    np.testing.assert_allclose(mine.coef_, theirs.coef_, rtol=1e-9)
    assert mine.n_iter_ == theirs.n_iter_
    with pytest.warns(UserWarning, match="recomputing Gram matrix"):
        moved = ours.ElasticNet(alpha=0.1, precompute=gram).fit(X + 1, y)
    np.testing.assert_allclose(moved.coef_, mine.coef_, rtol=1e-3)
    with pytest.raises(ValueError, match="did not pass validation"):
        ours.ElasticNet(precompute=gram + 1).fit(X, y)
    with pytest.raises(ValueError, match=r"precompute must have shape \(10, 10\)"):
        ours.ElasticNet(precompute=gram[:4, :4]).fit(X, y)


def test_a_warm_start_goes_on():
    X, y = make_regression(60, 100, n_informative=10, noise=5.0, random_state=0)
    for name in (*SINGLE, *TASKS):
        target = y if name in SINGLE else np.c_[y, y[::-1]]
        model = getattr(ours, name)(alpha=1.0, warm_start=True).fit(X, target)
        assert model.n_iter_ > 0
        assert model.fit(X, target).n_iter_ == 0
        theirs = getattr(stock, name)(alpha=1.0, warm_start=True).fit(X, target)
        np.testing.assert_allclose(
            model.set_params(alpha=0.5).fit(X, target).coef_, theirs.set_params(alpha=0.5).fit(X, target).coef_,
            rtol=1e-6, atol=1e-8)
        assert model.n_iter_ == theirs.n_iter_
        with pytest.raises(ValueError, match="warm_start goes on from coefficients of shape"):
            model.fit(X[:, :50], target)


@pytest.mark.parametrize("name", NAMES)
def test_any_number_of_threads_gives_the_same_bytes(name):
    for n, p in ((50, 700), (3000, 30)):
        X, y = make_regression(n, p, n_informative=8, noise=5.0, random_state=0)
        y = np.c_[y, y[::-1]] if "Multi" in name else y
        answers = set()
        for threads in (1, 2, 3):
            with num_threads(threads):
                model = getattr(ours, name)().set_params(**({"alphas": 5} if "CV" in name else {})).fit(X, y)
            answers.add(model.coef_.tobytes() + np.asarray(getattr(model, "mse_path_", 0)).tobytes())
        assert len(answers) == 1


def test_data_in_any_layout_give_the_same_model_and_stay_as_they_are(tmp_path):
    X, y = make_regression(40, 60, n_informative=5, noise=1.0, random_state=0)
    path = tmp_path / "X.npy"
    np.save(path, X)
    expected = ours.Lasso(alpha=0.5).fit(X, y)
    frozen = X.copy()
    frozen.flags.writeable = False
    for data in (np.asfortranarray(X), np.repeat(X, 2, axis=0)[::2], frozen, np.load(path, mmap_mode="r")):
        for copy_X in (True, False):
            model = ours.Lasso(alpha=0.5, copy_X=copy_X).fit(data, y)
            np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-12, atol=1e-14)
            np.testing.assert_array_equal(data, X)
    assert expected.sparse_coef_.shape == (1, 60)
    np.testing.assert_array_equal(expected.sparse_coef_.toarray()[0], expected.coef_)


# ---- bad input ----


@pytest.mark.parametrize(("params", "error", "message"), [
    ({"alpha": -1.0}, ValueError, "alpha must be a finite number >= 0"),
    ({"alpha": "a"}, TypeError, "alpha"),
    ({"l1_ratio": 1.5}, ValueError, "l1_ratio"),
    ({"fit_intercept": 1}, TypeError, "fit_intercept"),
    ({"max_iter": 0}, ValueError, "max_iter must be an integer >= 1"),
    ({"tol": -1e-3}, ValueError, "tol"),
    ({"positive": "no"}, TypeError, "positive"),
    ({"warm_start": None}, TypeError, "warm_start"),
    ({"selection": "cycle"}, ValueError, "selection must be one of 'cyclic', 'random'"),
    ({"precompute": "auto"}, ValueError, "precompute"),
])
def test_bad_parameters_are_named(params, error, message):
    with pytest.raises(error, match=message):
        ours.ElasticNet(**params).fit([[0.0], [1.0]], [0.0, 1.0])


def test_bad_parameters_of_cross_validation_are_named():
    X, y = make_regression(20, 3, random_state=0)
    for params, error, message in [
        ({"alphas": 0}, ValueError, "alphas"), ({"alphas": [1.0, -1.0]}, ValueError, r"alphas\[1\]"),
        ({"alphas": ["a"]}, TypeError, r"alphas\[0\]"), ({"eps": 0.0}, ValueError, "eps"),
        ({"n_jobs": 1.5}, TypeError, "n_jobs"), ({"precompute": "yes"}, ValueError, "precompute"),
        ({"l1_ratio": 0}, ValueError, "grid"), ({"l1_ratio": [0.5, 2.0]}, ValueError, "l1_ratio"),
    ]:
        with pytest.raises(error, match=message):
            ours.ElasticNetCV(**params).fit(X, y)
    with pytest.raises(ValueError, match="use MultiTaskLassoCV"):
        ours.LassoCV().fit(X, np.c_[y, y])
    with pytest.raises(ValueError, match="use LassoCV"):
        ours.MultiTaskLassoCV().fit(X, y)
    with pytest.raises(ValueError, match="enable_metadata_routing"):
        ours.LassoCV().fit(X, y, groups=y)
    for options, message in [
        ({"alphas": [-1.0]}, "alphas"), ({"nonsense": 1}, "Unexpected parameters in params: nonsense"),
        ({"positive": 3}, "positive"),
    ]:
        with pytest.raises((ValueError, TypeError), match=message):
            ours.enet_path(X, y, **options)


def test_bad_data_are_refused():
    X, y = make_regression(20, 3, random_state=0)
    for bad in (np.nan, np.inf):
        broken = X.copy()
        broken[3, 1] = bad
        for data in (broken, np.asfortranarray(broken), sparse.csr_array(broken)):
            for name in SINGLE:
                with pytest.raises(ValueError, match=r"NaN|infinity"):
                    getattr(ours, name)().fit(data, y)
    for weights, message in [(np.zeros(20), "zeros only"), (np.full(20, -1.0), ">= 0"), (np.ones(5), "shape")]:
        for name in (*SINGLE, "LassoCV"):
            with pytest.raises(ValueError, match=message):
                getattr(ours, name)().fit(X, y, sample_weight=weights)
    model = ours.Lasso(alpha=0.1).fit(X, y)
    before = dict(vars(model))
    with pytest.raises(ValueError, match="non-finite parameter values"), np.errstate(all="ignore"):
        model.fit(np.finfo(float).max / 2 * (np.abs(X) / np.abs(X).max()), y)
    assert vars(model) == before


def test_constant_collinear_and_wide_data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 8))
    X[:, 0], X[:, 1], X[:, 2] = 0.1, X[:, 3], 0.0
    y = X @ rng.standard_normal(8) + 3
    for rows in (np.arange(30), np.arange(5), np.repeat(np.arange(30), 400)):
        for alpha in (0.01, 1e3):
            model = ours.ElasticNet(alpha=alpha, tol=1e-8, max_iter=100_000).fit(X[rows], y[rows])
            theirs = stock.ElasticNet(alpha=alpha, tol=1e-8, max_iter=100_000).fit(X[rows], y[rows])
            np.testing.assert_allclose(model.coef_, theirs.coef_, rtol=1e-5, atol=1e-7)
            assert model.coef_[0] == model.coef_[2] == 0
    assert not ours.LassoCV(alphas=3).fit(np.ones((20, 2)), np.arange(20.0)).coef_.any()


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_scales(scale):
    X, y = make_regression(100, 20, n_informative=5, noise=1.0, random_state=0)
    plain = ours.Lasso(alpha=0.5, tol=1e-10).fit(X, y)
    for a, b in ((scale, 1.0), (1.0, scale), (scale, scale)):
        model = ours.Lasso(alpha=0.5 * a * b, tol=1e-10).fit(X * a, y * b)
        np.testing.assert_allclose(model.coef_ * a / b, plain.coef_, rtol=1e-6, atol=1e-7)


def test_warnings_are_scikit_learns():
    X, y = make_regression(30, 60, n_informative=20, noise=1.0, random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"Objective did not converge.* Duality gap: .*, tolerance: "):
        model = ours.Lasso(alpha=1e-4, max_iter=2).fit(X, y)
    assert model.n_iter_ == 2
    with pytest.warns(UserWarning, match="With alpha=0"):
        ours.ElasticNet(alpha=0, tol=1.0).fit(X, y)
    for name in CROSS:
        target = np.c_[y, y] if "Multi" in name else y
        with pytest.warns(ConvergenceWarning):
            getattr(ours, name)(alphas=[1e-4], max_iter=1).fit(X, target)
    with pytest.warns(FutureWarning, match="'n_alphas' was deprecated"):
        ours.lasso_path(X, y, n_alphas=3)
    with pytest.warns(FutureWarning, match="'alphas=None' is deprecated"):
        ours.enet_path(X, y, alphas=None)


def test_ridge_and_least_squares_are_reached():
    X, y = make_regression(60, 8, noise=1.0, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        least = ours.ElasticNet(alpha=0, tol=1e-14, max_iter=10_000).fit(X, y)
    np.testing.assert_allclose(least.coef_, stock.LinearRegression().fit(X, y).coef_, rtol=1e-6)
    ridge = ours.ElasticNet(alpha=0.5, l1_ratio=0, tol=1e-12, max_iter=10_000).fit(X, y)
    np.testing.assert_allclose(ridge.coef_, stock.Ridge(alpha=0.5 * 60).fit(X, y).coef_, rtol=1e-6)


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("name", ["Lasso", "LassoCV", "MultiTaskLasso"])
def test_ctrl_c_is_heard_and_leaves_the_model_as_it_was(name):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((300, 3000)), rng.standard_normal(300)
    y = np.c_[y, y] if "Multi" in name else y
    model = getattr(ours, name)().set_params(max_iter=10**9, tol=1e-15)
    model.set_params(**({"alphas": [1e-6]} if "CV" in name else {"alpha": 1e-6}))
    timer = threading.Timer(0.4, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, y)
    finally:
        timer.cancel()
    assert not [each for each in vars(model) if each.endswith("_")]


# ---- with the rest ----


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("name", "n_checks"), [(name, 60 if name in SINGLE else 59) for name in NAMES])
def test_check_estimator(name, n_checks):
    """Every check passes; array API input, which needs SCIPY_ARRAY_API, is the only one that does not run."""
    results = check_estimator(getattr(ours, name)(), on_skip=None)
    assert sum(result["status"] == "passed" for result in results) >= n_checks
    assert {result["check_name"] for result in results if result["status"] != "passed"} <= {"check_array_api_input"}


@pytest.mark.parametrize("name", NAMES)
def test_to_scikit_learn_and_back(name):
    X, y = make_regression(40, 5, random_state=0)
    y = np.c_[y, -y] if "Multi" in name else y
    model = getattr(ours, name)().fit(X, y)
    there = model.to_sklearn()
    assert type(there) is getattr(stock, name)
    back = type(model).from_sklearn(there)
    assert type(back) is type(model)
    for each in (there, back):
        np.testing.assert_array_equal(each.predict(X), model.predict(X))
        kept = each.get_params()
        assert {name: kept.get(name) for name in model.get_params()} == model.get_params()
        assert set(kept) - set(model.get_params()) <= ({"n_alphas"} if SKLEARN < (1, 9) else set())
    clone(model).fit(X, y)


@pytest.mark.parametrize("tol, apart", [(1e-4, 1e-5), (1e-10, 1e-8)])
def test_searches_give_scikit_learns_answers(tol, apart):
    """To tol: a fold's fits begin where others ended. The last fit is one of its own."""
    X, y = make_regression(120, 40, n_informative=5, noise=5.0, random_state=0)
    grid = {"alpha": [0.01, 0.1, 1.0, 10.0]}
    mine = OurSearch(ours.Lasso(tol=tol, max_iter=5000), grid, cv=3).fit(X, y)
    theirs = GridSearchCV(stock.Lasso(tol=tol, max_iter=5000), grid, cv=3).fit(X, y)
    np.testing.assert_allclose(
        mine.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"], rtol=apart)
    assert mine.best_params_ == theirs.best_params_
    np.testing.assert_allclose(mine.best_estimator_.coef_, theirs.best_estimator_.coef_, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(("held", "part"), [(slice(0, 20), "test"), (slice(20, 60), "training")])
@pytest.mark.parametrize("model", [ours.LassoCV(cv=3), ours.ElasticNetCV(cv=3), ours.LogisticRegressionCV(
    cv=KFold(3), scoring="accuracy", l1_ratios=(0,), use_legacy_attributes=False)])
def test_a_fold_without_weight_is_named(model, held, part):
    rng = np.random.default_rng(0)
    X, y, weights = rng.standard_normal((60, 4)), np.arange(60) % 2.0, np.ones(60)
    weights[held] = 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=f"sample_weight .* the {part} rows of fold 0"):
            clone(model).fit(X, y, sample_weight=weights)
