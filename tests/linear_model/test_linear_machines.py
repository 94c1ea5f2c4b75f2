"""LinearSVC and LinearSVR: liblinear's optimum, classes and weights as it has them, bad input."""

import _thread
import pickle
import threading
import time
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import sklearn.svm
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import check_estimator
from threadpoolctl import threadpool_limits

import fasttrain
from fasttrain.linear_model import LinearSVC, LinearSVR
from fasttrain.linear_model._interior import InteriorPoint

# The classes themselves: names in sklearn.svm are replaced under the patch.
stock = SimpleNamespace(LinearSVC=sklearn.svm.LinearSVC, LinearSVR=sklearn.svm.LinearSVR)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 6))
SIGNAL = X @ RNG.normal(size=6) + 0.5 * RNG.normal(size=150)
TWO = np.array(["no", "yes"])[(SIGNAL > 0).astype(int)]
THREE = np.digitize(SIGNAL, [-1.0, 1.5])
NUMBERS = SIGNAL + RNG.standard_t(2, size=150)
WEIGHT = RNG.uniform(0, 2, 150) * (RNG.uniform(size=150) > 0.2)
SQUARED = {"loss": "squared_epsilon_insensitive"}
MODELS = {
    "two": (LinearSVC, {}, TWO),
    "two, weighted": (LinearSVC, {"class_weight": {"no": 0.3, "yes": 2.0}}, TWO),
    "three": (LinearSVC, {"C": 3.0, "intercept_scaling": 5.0}, THREE),
    "three, balanced": (LinearSVC, {"class_weight": "balanced", "dual": True}, THREE),
    "through the origin": (LinearSVC, {"fit_intercept": False, "C": 0.01}, THREE),
    "numbers": (LinearSVR, SQUARED, NUMBERS),
    "numbers in a tube": (LinearSVR, {**SQUARED, "epsilon": 0.7, "C": 10.0, "intercept_scaling": 0.5}, NUMBERS),
    "numbers through the origin": (LinearSVR, {**SQUARED, "epsilon": 0.1, "fit_intercept": False}, NUMBERS),
}
every = pytest.mark.parametrize("name", MODELS)


@pytest.fixture(autouse=True)
def _threads_of_peers():
    """scikit-learn's threads, of OpenMP and BLAS, that wait for each other take more time than all tests."""
    with threadpool_limits(1):
        yield


def problems(model, y, weight):
    """(targets, row weights, coefficients, intercept) of each problem, from the definition."""
    s = np.ones(len(y)) if weight is None else weight
    coefs, intercepts = np.atleast_2d(model.coef_), np.broadcast_to(np.ravel(model.intercept_), len(np.atleast_2d(
        model.coef_)))
    if isinstance(model, (LinearSVR, stock.LinearSVR)):
        yield y, s, coefs[0], intercepts[0]
        return
    classes = model.classes_
    given = model.class_weight
    if given == "balanced":
        total = [s[y == c].sum() for c in classes]
        given = {c: s.sum() / (len(classes) * t) for c, t in zip(classes, total)}
    given = given or {}
    for k, coef in enumerate(coefs):
        positive = classes[1] if len(classes) == 2 else classes[k]
        own = np.array([given.get(c, 1.0) if c == positive or len(classes) == 2 else 1.0 for c in y])
        yield np.where(y == positive, 1.0, -1.0), s * own, coef, intercepts[k]


def objective_and_gradient(model, rows, t, s, coef, intercept):
    """liblinear's objective, by its own unknowns, and the norm of the gradient."""
    scaling = float(model.intercept_scaling) if model.fit_intercept else 1.0
    z = rows @ coef + intercept
    if model.loss == "squared_hinge":
        beyond = np.maximum(1 - t * z, 0)
        slope = -2 * t * beyond
    else:
        beyond = np.maximum(abs(z - t) - model.epsilon, 0)
        slope = 2 * np.sign(z - t) * beyond
    value = (coef @ coef + (intercept / scaling) ** 2) / 2 + model.C * s @ beyond**2
    gradient = coef + model.C * rows.T @ (s * slope)
    last = intercept / scaling + model.C * scaling * (s @ slope) if model.fit_intercept else 0.0
    return value, np.hypot(np.linalg.norm(gradient), last)


@every
@pytest.mark.parametrize("layout", ["dense", "csr"])
@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("tol", [1e-4, 1e-8])
def test_no_worse_than_liblinear(name, layout, weight, tol):
    cls, options, y = MODELS[name]
    options = {**options, "tol": tol, "max_iter": 10_000}
    rows = X if layout == "dense" else sparse.csr_matrix(X)
    ours = cls(**options).fit(rows, y, weight)
    theirs = getattr(stock, cls.__name__)(**{**options, "random_state": 0}).fit(rows, y, weight)
    assert ours.coef_.shape == theirs.coef_.shape
    assert np.shape(ours.intercept_) == np.shape(theirs.intercept_)
    pairs = zip(problems(ours, y, weight), problems(theirs, y, weight))
    for (*mine, coef, intercept), (*_, coef_2, intercept_2) in pairs:
        value, left = objective_and_gradient(ours, X, *mine, coef, intercept)
        value_2, _ = objective_and_gradient(theirs, X, *mine, coef_2, intercept_2)
        _, at_zeros = objective_and_gradient(ours, X, *mine, 0 * coef, 0.0)
        assert value <= value_2 * (1 + 1e-12)
        share = 1.0 if cls is LinearSVR else max(min((mine[0] > 0).sum(), (mine[0] < 0).sum()), 1) / len(y)
        assert left <= tol * share * at_zeros * (1 + 1e-9)
    np.testing.assert_allclose(ours.predict(rows) == theirs.predict(rows) if cls is LinearSVC else 1, True)


@every
@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_the_solution_is_liblinears(name, weight):
    cls, options, y = MODELS[name]
    options = {**options, "tol": 1e-12, "max_iter": 100_000, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours = cls(**options).fit(X, y, weight)
        theirs = getattr(stock, cls.__name__)(**{**options, "dual": "auto"}).fit(X, y, weight)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-6)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, atol=1e-6)
    assert 1 <= ours.n_iter_ <= 20


CORNERED = {
    "two": (LinearSVC, {"loss": "hinge"}, TWO),
    "three, balanced": (LinearSVC, {"loss": "hinge", "class_weight": "balanced", "intercept_scaling": 4.0}, THREE),
    "through the origin": (LinearSVC, {"loss": "hinge", "fit_intercept": False, "C": 0.01}, TWO),
    "numbers": (LinearSVR, {}, NUMBERS),
    "numbers in a tube": (LinearSVR, {"epsilon": 0.7, "C": 10.0}, NUMBERS),
    "numbers through the origin": (LinearSVR, {"epsilon": 0.1, "fit_intercept": False, "dual": True}, NUMBERS),
}


def cornered_objective(model, rows, t, s, coef, intercept):
    scaling = float(model.intercept_scaling) if model.fit_intercept else 1.0
    z = rows @ coef + intercept
    beyond = np.maximum(1 - t * z if model.loss == "hinge" else abs(z - t) - model.epsilon, 0)
    return (coef @ coef + (intercept / scaling) ** 2) / 2 + model.C * s @ beyond


@pytest.mark.parametrize("name", CORNERED)
@pytest.mark.parametrize("layout", ["dense", "csr"])
@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_losses_with_corners_come_to_liblinears_optimum(name, layout, weight):
    """No worse than liblinear at its own tol, and where it ends at last."""
    cls, options, y = CORNERED[name]
    rows = X if layout == "dense" else sparse.csr_matrix(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        theirs = getattr(stock, cls.__name__)(**{**options, "random_state": 0}).fit(rows, y, weight)
        at_last = getattr(stock, cls.__name__)(
            **{**options, "random_state": 0, "tol": 1e-10, "max_iter": 200_000}).fit(rows, y, weight)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = cls(**options).fit(rows, y, weight)
        close = cls(**{**options, "tol": 1e-8}).fit(rows, y, weight)
    assert 1 <= ours.n_iter_ <= 40
    for mine, near, others, last in zip(*(problems(m, y, weight) for m in (ours, close, theirs, at_last))):
        value = cornered_objective(ours, X, *mine)
        assert value <= cornered_objective(theirs, X, *others) * (1 + 1e-9)
        assert value <= cornered_objective(at_last, X, *last) * (1 + 1e-8)
        assert cornered_objective(close, X, *near) <= cornered_objective(at_last, X, *last) * (1 + 1e-10)
        # liblinear's own optimum is near, where it has come to it
        np.testing.assert_allclose(near[2], last[2], atol=2e-4)


@pytest.mark.parametrize("name", CORNERED)
def test_the_dual_says_that_it_is_the_optimum(name):
    """What is left between the objective and the dual's bears the answer out, whatever the other library finds."""
    cls, options, y = CORNERED[name]
    model = cls(**options).fit(X, y)
    for t, s, _, _ in problems(model, y, None):
        penalties = np.ones(X.shape[1] + model.fit_intercept)
        if model.fit_intercept:
            penalties[-1] = float(model.intercept_scaling) ** -2
        loss = fasttrain.losses.Hinge() if model.loss == "hinge" else fasttrain.losses.EpsilonInsensitive(model.epsilon)
        problem = InteriorPoint(X, loss, t, model.C * s, penalties, 1)
        gaps = []
        while len(gaps) < 40 and (not gaps or gaps[-1][0] > 1e-12 * gaps[-1][1]):
            problem.step()
            gaps.append(problem.gap())
            assert ((problem.a > 0) & (problem.a <= model.C * s * (1 + 1e-12))).all()
        smallest = min(gap / objective for gap, objective in gaps)
        assert -1e-12 <= smallest <= 1e-9


def test_losses_with_corners_refuse_what_is_too_wide():
    with pytest.raises(ValueError, match="loss='hinge' is minimized for at most 512 features, got 600"):
        LinearSVC(loss="hinge").fit(np.ones((10, 600)), np.arange(10) % 2)


@pytest.mark.parametrize("n", [30, 60])
def test_more_features_than_the_hessian_takes(n):
    rng = np.random.default_rng(n)
    rows = rng.normal(size=(n, 700)) * np.logspace(-1, 1, 700)
    y = (rows[:, -1] > 0).astype(int)
    for given in (rows, sparse.csr_matrix(rows * (rng.uniform(size=rows.shape) < 0.2))):
        plain = given if given is rows else given.toarray()
        for C in (1e-3, 10.0):
            model = LinearSVC(C=C, tol=1e-8).fit(given, y)
            [(t, s, coef, intercept)] = problems(model, y, None)
            _, left = objective_and_gradient(model, plain, t, s, coef, intercept)
            _, at_zeros = objective_and_gradient(model, plain, t, s, 0 * coef, 0.0)
            assert left <= 1e-8 * at_zeros


@pytest.mark.parametrize("layout", ["dense", "csr"])
def test_many_rows_start_from_some_of_them(layout):
    """Rows enough for it: the same optimum, and few steps over all rows, for a rare class too."""
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(30_000, 5))
    y = np.digitize(rows[:, 0] + rng.normal(size=30_000), [0.0, 4.0])
    given = rows if layout == "dense" else sparse.csr_matrix(rows)
    weight = rng.uniform(size=30_000)
    model = LinearSVC(class_weight="balanced").fit(given, y, weight)
    assert model.n_iter_ <= 6
    for t, s, coef, intercept in problems(model, y, weight):
        _, left = objective_and_gradient(model, rows, t, s, coef, intercept)
        _, at_zeros = objective_and_gradient(model, rows, t, s, 0 * coef, 0.0)
        assert left <= 1e-4 * min((t > 0).sum(), (t < 0).sum()) / len(y) * at_zeros


@every
def test_threads_and_layouts_do_not_change_a_byte(name):
    cls, options, y = MODELS[name]
    rows, target = np.tile(X, (150, 1)), np.tile(y, 150)
    read_only = rows.copy()
    read_only.flags.writeable = False
    found = set()
    for given in (rows, np.asfortranarray(rows), read_only):
        for n_threads in (1, 2, 5):
            with fasttrain.num_threads(n_threads):
                model = cls(**options).fit(given, target)
            found.add((model.coef_.tobytes(), np.asarray(model.intercept_).tobytes(), model.n_iter_))
    assert len(found) == 1


@pytest.mark.parametrize("model, n_checks", [(LinearSVC(), 60), (LinearSVR(loss="squared_epsilon_insensitive"), 55)])
def test_check_estimator(model, n_checks):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(model, on_skip=None)
    assert sum(result["status"] == "passed" for result in results) >= n_checks


@pytest.mark.parametrize("cls, options, y, words", [
    (LinearSVC, {"loss": "hinge", "dual": False}, TWO, "dual must be True or 'auto' with loss='hinge'"),
    (LinearSVC, {"penalty": "l1", "loss": "hinge"}, TWO, "penalty='l1' goes with loss='squared_hinge'"),
    (LinearSVC, {"penalty": "l1", "dual": True}, TWO, "dual False or 'auto' only"),
    (LinearSVC, {"multi_class": "crammer_singer"}, TWO, "multi_class='ovr' only"),
    (LinearSVC, {"C": 0.0}, TWO, "C must be a finite number > 0"),
    (LinearSVC, {"dual": "never"}, TWO, "dual must be one of 'auto'"),
    (LinearSVC, {"intercept_scaling": -1}, TWO, "intercept_scaling must be a finite number > 0"),
    (LinearSVC, {}, np.full(150, "yes"), "only one class: .*yes"),
    (LinearSVC, {}, NUMBERS, "Unknown label type"),
    (LinearSVC, {"class_weight": {"no": -1.0}}, TWO, "class_weight must hold numbers >= 0"),
    (LinearSVR, {"dual": False}, NUMBERS, "dual must be True or 'auto' with loss='epsilon_insensitive'"),
    (LinearSVR, {**SQUARED, "epsilon": -0.1}, NUMBERS, "epsilon must be a finite number >= 0"),
    (LinearSVR, SQUARED, np.where(NUMBERS > 1, np.nan, NUMBERS), "NaN"),
])
def test_bad_input_is_named_and_nothing_is_changed(cls, options, y, words):
    model = cls(**options)
    before = dict(vars(model))
    with pytest.raises(ValueError, match=words):
        model.fit(X, y)
    assert vars(model) == before


@every
@pytest.mark.parametrize("case", ["constant", "collinear", "wide", "small", "large", "separable"])
def test_hard_data(name, case):
    cls, options, y = MODELS[name]
    rows = {
        "constant": np.c_[X, np.full(150, 7.0), np.zeros(150)], "collinear": np.c_[X, X[:, :2]], "small": X * 1e-6,
        "large": X * 1e6, "wide": np.random.default_rng(3).normal(size=(40, 90)),
        "separable": np.c_[X, 10 * SIGNAL],
    }[case]
    y = y[:len(rows)]
    model = cls(**options).fit(rows, y)
    for t, s, coef, intercept in problems(model, y, None):
        _, left = objective_and_gradient(model, rows, t, s, coef, intercept)
        _, at_zeros = objective_and_gradient(model, rows, t, s, 0 * coef, 0.0)
        assert left <= 1e-4 * at_zeros


@pytest.mark.parametrize("options, y", [
    ({}, TWO), ({"C": 30.0, "intercept_scaling": 4.0}, THREE), ({"C": 0.05, "fit_intercept": False}, THREE),
    ({"class_weight": "balanced"}, TWO), ({"class_weight": {0: 5.0, 2: 0.2}, "intercept_scaling": 0.3}, THREE),
], ids=["two", "three", "through the origin", "balanced", "weighted"])
def test_an_l1_penalty(options, y):
    """Violations of the conditions of the minimum, and liblinear's own solution, which takes it a second."""
    options = {"penalty": "l1", "dual": False, **options}
    exact = stock.LinearSVC(**options, tol=1e-12, max_iter=1_000_000, random_state=0).fit(X, y, WEIGHT)
    for rows in X, sparse.csr_matrix(X):
        model = LinearSVC(**options).fit(rows, y, WEIGHT)
        for t, s, coef, intercept in problems(model, y, WEIGHT):
            slopes = -2 * model.C * s * t * np.maximum(0, 1 - t * (X @ coef + intercept))
            by_all = np.r_[X.T @ slopes, model.intercept_scaling * slopes.sum()]
            own = np.r_[coef, intercept / model.intercept_scaling]
            if not model.fit_intercept:
                by_all, own = by_all[:-1], own[:-1]
            worst = np.where(own != 0, abs(by_all + np.sign(own)), np.maximum(abs(by_all) - 1, 0)).max()
            assert worst <= 1e-3
        again = LinearSVC(**options, tol=1e-10).fit(rows, y, WEIGHT)
        np.testing.assert_allclose(again.coef_, exact.coef_, atol=1e-6)
        np.testing.assert_allclose(again.intercept_, exact.intercept_, atol=1e-6)
        assert isinstance(model.n_iter_, int)
        with pytest.warns(ConvergenceWarning, match="Liblinear failed to converge"):
            LinearSVC(**options, max_iter=1).fit(rows, y)


def test_too_few_iterations():
    for model, y in ((LinearSVC(max_iter=1), TWO), (LinearSVR(max_iter=0, **SQUARED), NUMBERS)):
        with pytest.warns(ConvergenceWarning, match=f"after max_iter={model.max_iter}"):
            model.fit(X, y)
        assert model.n_iter_ == model.max_iter


@every
def test_they_come_from_scikit_learn_and_go_there(name):
    cls, options, y = MODELS[name]
    theirs = getattr(stock, cls.__name__)(**{**options, "dual": False}).fit(X, y)
    ours = fasttrain.interop.from_sklearn(theirs)
    assert type(ours) is cls
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    back = pickle.loads(pickle.dumps(ours.to_sklearn()))
    assert type(back) is type(theirs)
    assert back.get_params() == theirs.get_params()
    np.testing.assert_array_equal(back.predict(X), theirs.predict(X))


def test_under_the_patch_scikit_learn_answers_the_rest(caplog):
    caplog.set_level("INFO", logger="fasttrain")

    def served():
        found = [record.getMessage() for record in caplog.records if "is served by" in record.getMessage()]
        caplog.clear()
        return found

    with fasttrain.patched():
        assert isinstance(sklearn.svm.LinearSVC().fit(X, TWO), LinearSVC)
        assert isinstance(sklearn.svm.LinearSVR(**SQUARED).fit(X, NUMBERS), LinearSVR)
        assert served() == []
        for options in ({"multi_class": "crammer_singer"},):
            model = sklearn.svm.LinearSVC(**options, random_state=0).fit(X, TWO)
            plain = stock.LinearSVC(**options, random_state=0).fit(X, TWO)
            np.testing.assert_array_equal(model.predict(X), plain.predict(X))
            assert len(served()) == 1


def test_a_sparse_coef():
    model = LinearSVC().fit(X, THREE)
    before = model.predict(X)
    np.testing.assert_array_equal(model.sparsify().predict(X), before)
    assert sparse.issparse(model.coef_)
    np.testing.assert_array_equal(model.densify().predict(X), before)


@pytest.mark.parametrize("model", [LinearSVC(), LinearSVC(loss="hinge"), LinearSVR(**SQUARED), LinearSVR()])
def test_an_interrupt_leaves_the_model_as_it_was(model):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300_000, 40))
    y = (rows[:, 0] + rng.normal(size=len(rows)) > 0).astype(float)
    model.fit(X, (SIGNAL > 0).astype(float))
    before = dict(vars(model))
    sent = []

    def send():
        time.sleep(0.3)
        sent.append(time.monotonic())
        _thread.interrupt_main()

    def fit_over_and_over():
        for _ in range(100):
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
