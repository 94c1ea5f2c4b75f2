"""SGDClassifier and SGDRegressor against scikit-learn's: random configurations, and sequences of calls."""

import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn import linear_model
from sklearn.exceptions import ConvergenceWarning
from sklearn_release import SKLEARN

from fasttrain import stochastic_linear
from fasttrain.stochastic_linear import CLASSIFIER_LOSSES, REGRESSION_LOSSES

N_CONFIGURATIONS = 400
PEERS = {
    "classifier": (stochastic_linear.SGDClassifier, linear_model.SGDClassifier),
    "regressor": (stochastic_linear.SGDRegressor, linear_model.SGDRegressor),
}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def configuration(number):
    """Kind, parameters, X, y and sample weights number ``number``."""
    rng = np.random.RandomState(number)
    kind = ["classifier", "regressor"][rng.randint(2)]
    loss = str(rng.choice(CLASSIFIER_LOSSES if kind == "classifier" else REGRESSION_LOSSES))
    schedules = ["constant", "optimal", "invscaling", "adaptive"]
    # before 1.8 the passive-aggressive rates were not for these classes
    if SKLEARN >= (1, 8) and loss == ("hinge" if kind == "classifier" else "epsilon_insensitive"):
        schedules += ["pa1", "pa2"] * 2
    parameters = {
        "loss": loss,
        "penalty": [None, "l2", "l1", "elasticnet"][rng.randint(4)],
        "alpha": float(10 ** rng.uniform(-6, 0)),
        "l1_ratio": float(rng.uniform()),
        "fit_intercept": bool(rng.randint(4)),
        "max_iter": int(rng.randint(1, 30)),
        "tol": [None, 1e-3, 1e-2][rng.randint(3)],
        "shuffle": bool(rng.randint(4)),
        "epsilon": float(rng.uniform(0, 0.5)),
        "random_state": int(rng.randint(10000)),
        "learning_rate": str(rng.choice(schedules)),
        "eta0": float(10 ** rng.uniform(-4, -1)),
        "power_t": float(rng.choice([0.25, 0.5, 0.3])),
        "early_stopping": bool(rng.randint(4) == 0),
        "n_iter_no_change": int(rng.randint(1, 6)),
        "average": [False, True, 20, 300][rng.randint(4)],
    }
    if SKLEARN < (1, 8):
        # the loss that it looked at was the one without the penalty
        parameters["tol"] = None
    if kind == "classifier":
        parameters["class_weight"] = [None, "balanced"][rng.randint(2)]
    n, features = int(rng.randint(30, 200)), int(rng.randint(1, 70))
    X = rng.standard_normal((n, features))
    is_sparse = bool(rng.randint(2))
    if is_sparse:
        X *= rng.uniform(size=X.shape) < 0.3
    scores = X @ rng.standard_normal(features) + rng.standard_normal(n)
    if kind == "regressor":
        y = 0.3 * scores
    else:
        n_classes = int(rng.choice([2, 2, 3, 5]))
        y = np.digitize(scores, np.quantile(scores, np.linspace(0, 1, n_classes + 1)[1:-1]))
    weight = rng.uniform(0, 2, n) if rng.randint(2) else None
    return kind, parameters, X, y, weight, is_sparse


def fitted(cls, parameters, X, y, weight, is_sparse):
    """The fitted estimator, or the message of its ValueError."""
    try:
        return cls(**parameters).fit(sparse.csr_matrix(X) if is_sparse else X, y, sample_weight=weight)
    except ValueError as error:
        return str(error)


def distance(a, b):
    """Largest relative difference of weights; weights below a thousandth of the largest count as that."""
    floor = 1e-3 * max(np.abs(a.coef_).max(), np.abs(a.intercept_).max(), 1e-300)
    return max(
        (np.abs(p - q) / np.maximum(np.abs(p), floor)).max()
        for p, q in ((a.coef_, b.coef_), (a.intercept_, b.intercept_))
    )


def same(a, b):
    if isinstance(a, str) or isinstance(b, str):
        return a == b
    return (
        a.coef_.shape == b.coef_.shape and a.n_iter_ == b.n_iter_ and a.t_ == b.t_ and distance(a, b) < 1e-6
    )


def is_chaotic(peer, theirs, parameters, X, y, weight, is_sparse):
    """Whether scikit-learn's own answer moves by more than 1e-9 when X moves by one unit in the last
    place.
    """
    moved = fitted(peer, parameters, np.where(X == 0, 0, np.nextafter(X, np.inf)), y, weight, is_sparse)
    if isinstance(moved, str) or isinstance(theirs, str):
        return moved != theirs
    return moved.n_iter_ != theirs.n_iter_ or distance(theirs, moved) > 1e-9


def test_random_configurations(record_property, capsys):
    chaotic, errors = [], 0
    for number in range(N_CONFIGURATIONS):
        kind, parameters, X, y, weight, is_sparse = configuration(number)
        ours_class, peer = PEERS[kind]
        ours = fitted(ours_class, parameters, X, y, weight, is_sparse)
        theirs = fitted(peer, parameters, X, y, weight, is_sparse)
        errors += isinstance(theirs, str)
        if same(theirs, ours):
            continue
        assert is_chaotic(peer, theirs, parameters, X, y, weight, is_sparse), (number, kind, parameters)
        chaotic.append(number)
        # One step: an epoch over one row (two for classes, which need both).
        n_first = 1 if kind == "regressor" else 2
        rows = (
            np.arange(1)
            if kind == "regressor"
            else np.array([np.flatnonzero(y == c)[0] for c in np.unique(y)[:2]])
        )
        first = {
            **parameters,
            "max_iter": 1,
            "early_stopping": False,
            "learning_rate": parameters["learning_rate"],
        }
        part = None if weight is None else np.maximum(weight[rows], 0.1)
        assert len(rows) == n_first
        assert same(
            fitted(peer, first, X[rows], y[rows], part, is_sparse),
            fitted(ours_class, first, X[rows], y[rows], part, is_sparse),
        ), (number, kind, parameters)
    record_property("chaotic", len(chaotic))
    with capsys.disabled():
        print(
            f"\n{N_CONFIGURATIONS} random configurations: {len(chaotic)} in which scikit-learn's own "
            "answer moves with "
            f"the last place of X, {errors} that overflow in both"
        )
    assert len(chaotic) < 0.1 * N_CONFIGURATIONS


@pytest.mark.exhaustive
def test_many_more_random_configurations():
    chaotic = 0
    for number in range(10_000, 14_000):
        kind, parameters, X, y, weight, is_sparse = configuration(number)
        ours_class, peer = PEERS[kind]
        theirs = fitted(peer, parameters, X, y, weight, is_sparse)
        if not same(theirs, fitted(ours_class, parameters, X, y, weight, is_sparse)):
            assert is_chaotic(peer, theirs, parameters, X, y, weight, is_sparse), (number, kind, parameters)
            chaotic += 1
    assert chaotic < 400


def classification(n=300, features=15, n_classes=2, seed=0):
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((n, features))
    scores = X @ rng.standard_normal(features) + rng.standard_normal(n)
    return X, np.array(["ant", "bee", "cat", "dog"])[
        np.digitize(scores, np.quantile(scores, np.linspace(0, 1, n_classes + 1)[1:-1]))
    ]


def assert_same_state(ours, theirs):
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-6, atol=1e-9)
    assert ours.coef_.shape == theirs.coef_.shape
    assert ours.coef_.dtype == theirs.coef_.dtype
    assert ours.intercept_.shape == theirs.intercept_.shape
    assert ours.t_ == theirs.t_
    assert ours.n_iter_ == theirs.n_iter_


@pytest.mark.parametrize("average", [False, True, 40, 450])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("loss", ["hinge", "log_loss"])
def test_classifier_partial_fit_sequences(average, n_classes, loss):
    X, y = classification(n_classes=n_classes)
    pair = [
        cls(loss=loss, average=average, random_state=3, learning_rate="constant", eta0=0.01)
        for cls in PEERS["classifier"]
    ]
    for first, last in ((0, 100), (100, 250), (0, 300), (50, 60)):
        for model in pair:
            model.partial_fit(X[first:last], y[first:last], classes=np.unique(y))
        assert_same_state(*pair)


@pytest.mark.parametrize("average", [False, True, 40, 450])
def test_regressor_partial_fit_sequences(average):
    X, _ = classification()
    y = X[:, 0] - 0.5 * X[:, 1]
    pair = [cls(average=average, random_state=3) for cls in PEERS["regressor"]]
    for first, last in ((0, 100), (100, 250), (0, 300), (50, 60)):
        for model in pair:
            model.partial_fit(X[first:last], y[first:last])
        assert_same_state(*pair)


@pytest.mark.parametrize("kind", ["classifier", "regressor"])
@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("average", [False, True, 700])
def test_warm_starts(kind, n_classes, average):
    X, y = classification(n_classes=n_classes)
    if kind == "regressor":
        y = X @ np.arange(15.0) / 20
    pair = [
        cls(
            average=average, random_state=1, warm_start=True, max_iter=3, tol=None, learning_rate="invscaling",
            eta0=0.01,
        )
        for cls in PEERS[kind]
    ]
    for part in (X, X[::2], X[:80]):
        for model in pair:
            model.fit(part, y[:: len(X) // len(part)][: len(part)])
        assert_same_state(*pair)


@pytest.mark.parametrize("kind", ["classifier", "regressor"])
def test_initial_weights(kind):
    X, y = classification(n_classes=3)
    if kind == "regressor":
        y = X @ np.arange(15.0) / 20
    rng = np.random.RandomState(4)
    coef = rng.standard_normal((3, 15) if kind == "classifier" else 15)
    intercept = rng.standard_normal(3 if kind == "classifier" else 1)
    kept = coef.copy(), intercept.copy()
    ours, theirs = (cls(random_state=1, max_iter=3, learning_rate="constant", eta0=0.01) for cls in PEERS[kind])
    ours.fit(X, y, coef_init=coef, intercept_init=intercept)
    np.testing.assert_array_equal(coef, kept[0])
    np.testing.assert_array_equal(intercept, kept[1])
    theirs.fit(X, y, coef_init=coef.copy(), intercept_init=intercept.copy())
    assert_same_state(ours, theirs)


@pytest.mark.parametrize("kind", ["classifier", "regressor"])
def test_generators_are_drawn_from_in_the_same_order(kind):
    X, y = classification(n_classes=2)
    y = y if kind == "classifier" else X[:, 0]
    states = [np.random.RandomState(8) for _ in range(2)]
    pair = [
        cls(random_state=state, early_stopping=True, max_iter=6, learning_rate="constant", eta0=0.01)
        for cls, state in zip(PEERS[kind], states)
    ]
    for _ in range(2):
        for model in pair:
            model.fit(X, y)
        assert_same_state(*pair)
    assert states[0].randint(10**9) == states[1].randint(10**9)


@pytest.mark.parametrize("loss", ["log_loss", "modified_huber"])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_probabilities(loss, n_classes):
    X, y = classification(n_classes=n_classes)
    ours, theirs = (
        cls(loss=loss, random_state=0, max_iter=5, learning_rate="invscaling", eta0=0.01).fit(X, y)
        for cls in PEERS["classifier"]
    )
    far = np.vstack([X, 50 * X])
    np.testing.assert_allclose(ours.predict_proba(far), theirs.predict_proba(far), rtol=1e-6, atol=1e-9)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(
            ours.predict_log_proba(X), theirs.predict_log_proba(X), rtol=1e-6, atol=1e-9
        )
    np.testing.assert_array_equal(ours.predict(far), theirs.predict(far))
    assert ours.score(X, y) == theirs.score(X, y)


@pytest.mark.parametrize("number", range(24))
def test_float32_predictions_agree(number):
    rng = np.random.RandomState(number)
    n, features = 2000, int(rng.randint(2, 120))
    X = rng.standard_normal((n, features)).astype(np.float32)
    y = (X @ rng.standard_normal(features) + rng.standard_normal(n) > 0).astype(int)
    parameters = {
        "loss": ["hinge", "log_loss", "modified_huber", "squared_hinge"][number % 4],
        "penalty": ["l2", "l1", "elasticnet"][number % 3],
        "learning_rate": ["constant", "invscaling", "adaptive"][number // 3 % 3],
        "average": bool(number % 5 == 0),
        "eta0": 1e-3,
        "alpha": 1e-4,
        "random_state": number,
        "max_iter": 10,
    }
    ours, theirs = (cls(**parameters).fit(X, y) for cls in PEERS["classifier"])
    assert ours.coef_.dtype == np.float32
    fresh = rng.standard_normal((20000, features)).astype(np.float32)
    assert np.mean(ours.predict(fresh) == theirs.predict(fresh)) >= 0.999


def test_float32_regression_agrees():
    rng = np.random.RandomState(0)
    X = rng.standard_normal((3000, 40)).astype(np.float32)
    y = X @ rng.standard_normal(40) + 0.1 * rng.standard_normal(3000)
    for penalty in ("l2", "l1", None):
        ours, theirs = (
            cls(penalty=penalty, random_state=0, max_iter=20).fit(X, y) for cls in PEERS["regressor"]
        )
        np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", ["classifier", "regressor"])
def test_convergence_warnings_are_the_same(kind):
    X, y = classification()
    y = y if kind == "classifier" else X[:, 0]
    for max_iter, tol in ((2, 1e-3), (200, 1e-3), (2, None)):
        seen = []
        for cls in PEERS[kind]:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                cls(max_iter=max_iter, tol=tol, random_state=0, learning_rate="adaptive", eta0=0.01).fit(X, y)
            seen.append([(w.category, str(w.message)) for w in caught if w.category is ConvergenceWarning])
        assert seen[0] == seen[1]


def test_overflow_is_scikit_learns_error():
    X, _ = classification()
    y = 1e200 * X[:, 0]
    messages = [
        fitted(cls, {"random_state": 0, "eta0": 1e5, "learning_rate": "constant"}, 1e150 * X, y, None, False)
        for cls in PEERS["regressor"]
    ]
    assert isinstance(messages[0], str)
    assert "Floating-point under-/overflow occurred at epoch #" in messages[0]
    assert messages[0] == messages[1]


@pytest.mark.parametrize("dtype, scale, eta0", [
    (np.float64, 1e150, 1e-302), (np.float64, 1e155, 1e-302), (np.float64, 1e160, 1e-302), (np.float32, 1e18, 1e-38),
    (np.float32, 1e20, 1e-42),
])
@pytest.mark.parametrize("large", [slice(None), slice(7, 8)], ids=["all rows", "one row"])
def test_rows_whose_products_overflow(dtype, scale, eta0, large):
    """x_i . x_j is not finite for them; the models are."""
    settings = {"learning_rate": "constant", "eta0": eta0, "max_iter": 5, "tol": None, "random_state": 0}
    X, y = classification()
    X[large] *= scale
    X = X.astype(dtype)
    rtol = 1e-9 if dtype == np.float64 else 1e-3
    losses = ["hinge", "log_loss", "modified_huber"]
    if scale < 1e155 or dtype == np.float32:
        # on larger rows of float64 it diverges with any normal number as step size
        losses.append("squared_error")
    for loss in losses:
        for kind in ("classifier", "regressor"):
            if loss not in (CLASSIFIER_LOSSES if kind == "classifier" else REGRESSION_LOSSES):
                continue
            ours, theirs = (
                cls(loss=loss, **settings).fit(X, y if kind == "classifier" else (y == "bee").astype(dtype))
                for cls in PEERS[kind])
            size = np.abs(theirs.coef_).max()
            np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=rtol, atol=rtol * size)
            np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=rtol, atol=1e-2 * rtol * eta0)
