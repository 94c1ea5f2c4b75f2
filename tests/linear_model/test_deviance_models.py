"""PoissonRegressor, GammaRegressor, TweedieRegressor and HuberRegressor: scikit-learn's answers, optima, bad input."""

import _thread
import pickle
import threading
import time
import warnings

import numpy as np
import pytest
import sklearn.linear_model
from scipy import sparse
from scipy.linalg import LinAlgWarning
from sklearn import linear_model as stock
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import d2_tweedie_score
from sklearn.utils.estimator_checks import check_estimator
from sklearn_release import SKLEARN
from threadpoolctl import threadpool_limits

import fasttrain
from fasttrain._kernels.losses import huber_sums
from fasttrain.linear_model import (
    GammaRegressor, HuberRegressor, LinearRegressor, PoissonRegressor, TweedieRegressor,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 5))
Z = X @ RNG.normal(size=5) / 3
COUNTS = RNG.poisson(np.exp(Z)).astype(float)
AMOUNTS = RNG.gamma(2.0, np.exp(Z)) + 0.01
NUMBERS = Z + 0.1 * RNG.standard_t(1.5, size=120)
WEIGHT = RNG.uniform(0, 2, 120)
SOLVERS = ("lbfgs", "newton-cholesky")
MODELS = {
    "poisson": (PoissonRegressor, {}, COUNTS),
    "gamma": (GammaRegressor, {"alpha": 0.1}, AMOUNTS),
    **{f"tweedie {power} {link}": (TweedieRegressor, {"power": power, "link": link}, AMOUNTS + 3)
       for power in (0, 1.5, 3.0) for link in ("log", "identity")},
    "huber": (HuberRegressor, {}, NUMBERS),
    "huber, through the origin": (HuberRegressor, {"fit_intercept": False, "epsilon": 1.0, "alpha": 3.0}, NUMBERS),
}  # fmt: skip
SOME = ("poisson", "gamma", "tweedie 1.5 identity", "huber")
every = pytest.mark.parametrize("name", MODELS)


@pytest.fixture(autouse=True)
def _threads_of_peers():
    """scikit-learn's threads, of OpenMP and BLAS, that wait for each other take more time than all tests."""
    with threadpool_limits(1):
        yield


def both(cls, options, *data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cls(**options).fit(*data), getattr(stock, cls.__name__)(**options).fit(*data)


def assert_same(ours, theirs, rows, rtol):
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.coef_.dtype == theirs.coef_.dtype
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(ours.predict(rows), theirs.predict(rows), rtol=rtol, atol=rtol)


@every
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("layout", ["dense", "csr", "csc"])
@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_answers_are_scikit_learns(name, solver, layout, weight):
    cls, options, y = MODELS[name]
    if cls is not HuberRegressor:
        options = {**options, "solver": solver}
    elif solver != "lbfgs" or layout == "csc":
        return
    rows = {"dense": X, "csr": sparse.csr_matrix(X), "csc": sparse.csc_array(X)}[layout]
    ours, theirs = both(cls, options, rows, y, weight)
    assert_same(ours, theirs, rows, 1e-9)
    np.testing.assert_allclose(ours.score(rows, y, weight), theirs.score(rows, y, weight), rtol=1e-9)
    if cls is HuberRegressor:
        np.testing.assert_array_equal(ours.outliers_, theirs.outliers_)
        np.testing.assert_allclose(ours.scale_, theirs.scale_, rtol=1e-9)
    elif (ours.predict(rows) > 0).all():
        power = {"PoissonRegressor": 1, "GammaRegressor": 2}.get(cls.__name__, options.get("power"))
        assert ours.score(rows, y) == pytest.approx(d2_tweedie_score(y, ours.predict(rows), power=power), rel=1e-9)


def gradient_at(model, cls, options, y, weight):
    """Largest element of the gradient of the documented objective, by differences of fourth order."""
    s = weight if weight is not None else np.ones(len(y))
    d = X.shape[1]

    def objective(w):
        z = X @ w[:d] + w[d]
        if cls is HuberRegressor:
            sigma, epsilon = w[d + 1], model.epsilon
            r = abs(y - z) / sigma
            h = np.where(r <= epsilon, r**2, 2 * epsilon * r - epsilon**2)
            return s @ (sigma + h * sigma) + model.alpha * w[:d] @ w[:d]
        loss = model._loss()
        mean = loss.loss(y, z, s)
        return mean + model.alpha / 2 * w[:d] @ w[:d]

    w = np.r_[model.coef_, model.intercept_, getattr(model, "scale_", [])].astype(float)
    free = [i for i in range(len(w)) if i != d or model.fit_intercept]
    h, found = 1e-4, []
    for i in free:
        values = []
        for step in (-2, -1, 1, 2):
            moved = w.copy()
            moved[i] += step * h
            values.append(objective(moved))
        found.append((values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * h))
    return np.abs(found).max()


@every
@pytest.mark.parametrize("solver", SOLVERS)
def test_nothing_is_left_of_the_gradient(name, solver):
    cls, options, y = MODELS[name]
    tol = 1e-6
    if cls is not HuberRegressor:
        options = {**options, "solver": solver}
    elif solver != "lbfgs":
        return
    ours, theirs = both(cls, {**options, "tol": tol, "max_iter": 1000}, X, y, WEIGHT)
    # SciPy's second rule, no more movement of the objective, ends Huber's before the gradient does
    allowed = max(2 * tol, 1.01 * gradient_at(theirs, cls, options, y, WEIGHT) if cls is HuberRegressor else 0)
    assert gradient_at(ours, cls, options, y, WEIGHT) <= allowed


@pytest.mark.parametrize("cls, y", [(PoissonRegressor, COUNTS), (GammaRegressor, AMOUNTS), (TweedieRegressor, AMOUNTS)])
def test_float32(cls, y):
    ours, theirs = both(cls, {"alpha": 1e-3}, X.astype(np.float32), y.astype(np.float32), WEIGHT)
    assert ours.coef_.dtype == np.float32
    assert theirs.coef_.dtype == np.float32 or SKLEARN < (1, 9)
    assert ours.predict(X.astype(np.float32)).dtype == np.float32
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=2e-4)


@every
def test_threads_layouts_and_memory_do_not_change_a_byte(name, tmp_path):
    cls, options, y = MODELS[name]
    rows, target = np.tile(X, (80, 1)), np.tile(y, 80)
    np.save(tmp_path / "X.npy", rows)
    read_only = rows.copy()
    read_only.flags.writeable = False
    found = set()
    for given in (rows, np.asfortranarray(rows), read_only, np.load(tmp_path / "X.npy", mmap_mode="r")):
        for n_threads in (1, 2, 5):
            with fasttrain.num_threads(n_threads), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = cls(**{**options, "max_iter": 20}).fit(given, target)
            found.add((model.coef_.tobytes(), np.float64(model.intercept_).tobytes(), model.n_iter_))
    assert len(found) == 1


@every
def test_warm_start(name):
    cls, options, y = MODELS[name]
    options = {**options, "tol": 1e-5, "warm_start": True, "max_iter": 300}
    model = cls(**options).fit(X, y)
    first, n_iter = model.coef_.copy(), model.n_iter_
    model.fit(X, y)
    assert model.n_iter_ < n_iter
    np.testing.assert_allclose(model.coef_, first, atol=1e-3)
    with pytest.raises(ValueError, match="5 features as in the last call, got 4"):
        model.fit(X[:, :4], y)
    assert model.n_features_in_ == 5


@pytest.mark.parametrize("model, n_failed", [
    (PoissonRegressor(), 0), (GammaRegressor(), 0), (TweedieRegressor(power=1.5), 0),
    (PoissonRegressor(solver="newton-cholesky"), 0),
    # their L-BFGS-B ends where the objective no longer moves, before repeated rows and weights have come to the same:
    # so does scikit-learn's own class
    (HuberRegressor(), 2),
])
def test_check_estimator(model, n_failed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(model, on_skip=None, on_fail=None)
    failed = [result["check_name"] for result in results if result["status"] == "failed"]
    assert len(failed) == n_failed, failed
    assert all(name.startswith("check_sample_weight_equivalence_on_") for name in failed)
    assert sum(result["status"] == "passed" for result in results) >= 55 - n_failed


@pytest.mark.parametrize("cls, options, y, words", [
    (PoissonRegressor, {}, COUNTS - 1, "out of the valid range of the loss 'poisson': .* numbers >= 0"),
    (GammaRegressor, {}, AMOUNTS * 0, "out of the valid range of the loss 'gamma': .* numbers > 0"),
    (TweedieRegressor, {"power": 1.5}, COUNTS - 1, "out of the valid range of the loss 'tweedie'"),
    (TweedieRegressor, {"power": 3, "link": "identity"}, COUNTS * 0, "out of the valid range"),
    (PoissonRegressor, {}, COUNTS * 0, "mean above 0 for the log link"),
    (PoissonRegressor, {"alpha": -1.0}, COUNTS, "alpha must be a finite number >= 0"),
    (PoissonRegressor, {"solver": "newton"}, COUNTS, "solver must be one of 'lbfgs', 'newton-cholesky'"),
    (PoissonRegressor, {"max_iter": 0}, COUNTS, "max_iter must be an integer >= 1"),
    (PoissonRegressor, {"tol": 0.0}, COUNTS, "tol must be a finite number > 0"),
    (TweedieRegressor, {"power": np.inf}, COUNTS, "power must be a finite number"),
    (TweedieRegressor, {"link": "logit"}, COUNTS, "link must be one of 'auto', 'identity', 'log'"),
    (HuberRegressor, {"epsilon": 0.9}, NUMBERS, "epsilon must be a finite number >= 1"),
    (HuberRegressor, {"tol": -1e-3}, NUMBERS, "tol must be a finite number >= 0"),
    (PoissonRegressor, {}, np.where(COUNTS > 2, np.nan, COUNTS), "NaN"),
])
def test_bad_input_is_named_and_nothing_is_changed(cls, options, y, words):
    model = cls(**options)
    before = dict(vars(model))
    with pytest.raises(ValueError, match=words):
        model.fit(X, y)
    assert vars(model) == before


@pytest.mark.parametrize("weight, words", [
    (-WEIGHT, "sample_weight must hold numbers >= 0"), (0 * WEIGHT, "at least one non-zero"),
    (WEIGHT[:-1], "shape"), (np.where(WEIGHT > 1, np.inf, WEIGHT), "finite"),
])
@pytest.mark.parametrize("cls", [PoissonRegressor, HuberRegressor])
def test_bad_weights(cls, weight, words):
    with pytest.raises(ValueError, match=words):
        cls().fit(X, COUNTS, weight)


@pytest.mark.parametrize("name", SOME)
@pytest.mark.parametrize("case", ["constant", "collinear", "wide", "no penalty", "zero weights", "small", "large"])
def test_hard_data(name, case):
    """Finite numbers that are no worse than scikit-learn's, with warnings of the same classes; or a named error."""
    cls, options, y = MODELS[name]
    rows, weight = X, None
    if case == "constant":
        rows = np.c_[X, np.full(len(X), 7.0), np.zeros(len(X))]
    elif case == "collinear":
        rows = np.c_[X, X[:, :2]]
    elif case == "wide":
        rows, y = np.random.default_rng(3).normal(size=(20, 60)), y[:20]
    elif case == "no penalty":
        options = {**options, "alpha": 0}
    elif case == "zero weights":
        weight = (np.arange(len(X)) % 3 > 0).astype(float)
    elif case == "small":
        rows = X * 1e-6
    elif case == "large":
        rows = X * 1e6
    with warnings.catch_warnings(record=True) as their_words, np.errstate(all="ignore"):
        warnings.simplefilter("always")
        try:
            theirs = getattr(stock, cls.__name__)(**options).fit(rows, y, weight)
        except ValueError:
            theirs = None
    with warnings.catch_warnings(record=True) as our_words, np.errstate(all="ignore"):
        warnings.simplefilter("always")
        try:
            ours = cls(**options).fit(rows, y, weight)
        except ValueError as error:
            ours, words = None, str(error)
    if ours is None:
        assert theirs is None or case == "large", words
        assert "objective" in words or "L-BFGS" in words
        return
    assert np.isfinite(ours.coef_).all()
    if theirs is None or not np.isfinite(theirs.coef_).all():
        return
    kinds = {w.category for w in our_words if w.category is not RuntimeWarning}
    assert kinds == {w.category for w in their_words if w.category is not RuntimeWarning}
    if case != "large":
        np.testing.assert_allclose(ours.predict(rows), theirs.predict(rows), rtol=1e-3, atol=1e-3)


def test_newton_goes_over_to_lbfgs_where_the_hessian_is_singular():
    rows = np.c_[X, X[:, 0]]
    with pytest.warns(LinAlgWarning, match="singular or very ill-conditioned Hessian matrix in iteration 1"):
        model = PoissonRegressor(alpha=0, solver="newton-cholesky").fit(rows, COUNTS)
    plain = PoissonRegressor(alpha=0).fit(rows, COUNTS)
    np.testing.assert_allclose(model.predict(rows), plain.predict(rows), rtol=1e-3)


def test_too_few_iterations():
    for model in (PoissonRegressor(max_iter=1), PoissonRegressor(max_iter=1, solver="newton-cholesky", tol=1e-12),
                  HuberRegressor(max_iter=1)):
        with pytest.warns(ConvergenceWarning, match="max_iter=1"):
            model.fit(X, COUNTS)
        assert model.n_iter_ == 1


def test_verbose_says_how_far_it_is(capsys):
    for solver in SOLVERS:
        quiet = PoissonRegressor(solver=solver).fit(X, COUNTS)
        assert capsys.readouterr().out == ""
        loud = PoissonRegressor(solver=solver, verbose=1).fit(X, COUNTS)
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == loud.n_iter_ == quiet.n_iter_
        assert all(line.startswith(f"iteration {i}: objective") for i, line in enumerate(lines, 1))
        np.testing.assert_allclose(loud.coef_, quiet.coef_, rtol=1e-12)


@pytest.mark.parametrize("model", [PoissonRegressor(tol=1e-300, max_iter=10**6),
                                   HuberRegressor(tol=0.0, max_iter=10**6, epsilon=1.0)])
def test_an_interrupt_leaves_the_model_as_it_was(model):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400_000, 60)) * np.logspace(-3, 3, 60)
    y = rng.poisson(1.0, size=len(rows)).astype(float)
    model.fit(X, COUNTS)
    before = dict(vars(model))
    sent = []

    def send():
        time.sleep(0.5)
        sent.append(time.monotonic())
        _thread.interrupt_main()

    def fit_over_and_over():
        for _ in range(200):
            model.fit(rows, y)
            model.__dict__ = dict(before)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            fit_over_and_over()
        late = time.monotonic() - sent[0]
    finally:
        thread.join()
    assert late < 1.0
    assert {name: id(value) for name, value in vars(model).items()} == {
        name: id(value) for name, value in before.items()}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [0, 1, 7, 16384, 40_000])
@pytest.mark.parametrize("weighted", [False, True])
def test_sums_of_the_huber_loss(n, dtype, weighted):
    rng = np.random.default_rng(n)
    y, raw, weight = (rng.normal(size=n).astype(dtype) for _ in range(3))
    weight = abs(weight) if weighted else None
    r = abs(y.astype(np.longdouble) - raw)
    s = np.ones(n) if weight is None else weight.astype(float)
    far = r > 0.8
    expected = (s * r**2)[~far].sum(), (s * r)[far].sum(), s[far].sum()
    found = [huber_sums(y, raw, weight, 0.8, n_threads) for n_threads in (1, 2, 3, 8)]
    assert found[1:] == found[:1] * 3
    np.testing.assert_allclose(np.array(found[0]), np.array(expected, dtype=float), rtol=1e-12)
    if n:
        raw[n // 2] = np.nan
        assert np.isnan(huber_sums(y, raw, weight, 0.8)[0])


@every
def test_they_come_from_scikit_learn_and_go_there(name):
    cls, options, y = MODELS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = getattr(stock, cls.__name__)(**options).fit(X, y)
    ours = fasttrain.interop.from_sklearn(theirs)
    assert type(ours) is cls
    assert ours.get_params() == theirs.get_params()
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-13)
    back = pickle.loads(pickle.dumps(ours.to_sklearn()))
    assert type(back) is type(theirs)
    assert back.get_params() == theirs.get_params()
    assert back.n_iter_ == theirs.n_iter_
    np.testing.assert_array_equal(back.predict(X), theirs.predict(X))
    assert back.score(X, y) == theirs.score(X, y)
    assert type(cls(**options).to_sklearn()) is type(theirs)
    # and where it is asked for, one of the engine's
    if cls in (PoissonRegressor, HuberRegressor):
        assert type(LinearRegressor.from_sklearn(theirs)) is LinearRegressor


@every
def test_under_the_patch(name, caplog):
    cls, options, y = MODELS[name]
    caplog.set_level("INFO", logger="fasttrain")
    with fasttrain.patched():
        model = getattr(sklearn.linear_model, cls.__name__)(**options).fit(X, y)
        assert isinstance(model, cls)
        assert not any("is served by" in record.getMessage() for record in caplog.records)
        with pytest.raises(ValueError, match="alpha"):
            # what both refuse is told in scikit-learn's words
            getattr(sklearn.linear_model, cls.__name__)(**{**options, "alpha": -1.0}).fit(X, y)
    assert isinstance(model, cls)
