"""LinearClassifier and LinearRegressor at their solutions: optimality conditions, and scikit-learn's solutions."""

import warnings

import numpy as np
import pytest
import reference_network
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet, Lasso, LogisticRegression, PoissonRegressor, QuantileRegressor, Ridge
from sklearn.svm import LinearSVC, LinearSVR
from sklearn.utils.estimator_checks import check_estimator

from fasttrain import losses, optimizers, penalties, schedules
from fasttrain.linear_model import LinearClassifier, LinearRegressor

N, P = 150, 6
SMOOTH_REGRESSION = (
    losses.HalfSquaredError(), losses.SquaredError(), losses.Huber(0.7), losses.Poisson(),
    losses.SquaredEpsilonInsensitive(0.2),
)
SMOOTH_CLASSIFICATION = (
    losses.BinaryCrossentropy(), losses.SoftmaxCrossentropy(), losses.SquaredHinge(), losses.ModifiedHuber(),
)
SMOOTH = SMOOTH_REGRESSION + SMOOTH_CLASSIFICATION
EXACT = optimizers.LBFGS(tol=1e-9)


def data(loss, seed=0):
    """A problem that the loss suits: X, y as an estimator takes it, y as the engine does."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, P))
    z = X @ np.array([1.0, -0.8, 0.6, 0.0, 0.0, 0.1]) + 0.3
    if loss.is_regression:
        y = rng.poisson(np.exp(0.5 * z)) if loss.targets == "non_negative" else z + rng.normal(0, 0.8, N)
        return X, y, y.reshape(-1, 1).astype(float)
    if loss.targets == "classes":
        y = np.argmax(np.column_stack([z, X[:, 2], -X[:, 1]]) + rng.gumbel(size=(N, 3)), axis=1)
        return X, y, y.reshape(-1, 1)
    y = (z + rng.logistic(size=N) > 0).astype(int)
    return X, y, (y if loss.targets == "probability" else 2 * y - 1).reshape(-1, 1)


def estimator(loss, **options):
    return (LinearRegressor if loss.is_regression else LinearClassifier)(loss, **options)


def gradient_at(model, loss, X, target):
    """Gradient of the loss without its penalty, by the twin."""
    coef, intercept = np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)
    value, g, g0 = reference_network.objective(
        coef, intercept, X, target, loss.name, loss.parameter, l1=0.0, l2=0.0)
    return value, g, g0


@pytest.mark.parametrize("cls, at_least", [(LinearClassifier, 60), (LinearRegressor, 55)])
def test_check_estimator(cls, at_least):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(cls(), on_fail=None)
    outcome = {}
    for result in results:
        outcome.setdefault(result["status"], []).append(result["check_name"])
    assert set(outcome) <= {"passed", "skipped"}, {k: v for k, v in outcome.items() if k != "passed"}
    # scikit-learn skips this one itself unless SCIPY_ARRAY_API is set
    assert set(outcome.get("skipped", [])) <= {"check_array_api_input"}
    assert len(outcome["passed"]) >= at_least


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("alpha", [0.0, 0.05])
@pytest.mark.parametrize("loss", SMOOTH, ids=lambda loss: loss.name)
def test_lbfgs_ends_where_the_gradient_vanishes(loss, alpha, fit_intercept):
    X, y, target = data(loss)
    model = estimator(loss, optimizer=EXACT, penalty="l2", alpha=alpha, fit_intercept=fit_intercept, max_iter=2000)
    model.fit(X, y)
    assert model.converged_
    value, g, g0 = gradient_at(model, loss, X, target)
    assert abs(g + alpha * np.atleast_2d(model.coef_)).max() < 2e-6
    if fit_intercept:
        assert abs(g0).max() < 2e-6
    else:
        assert not np.any(model.intercept_)
    assert model.loss_ == pytest.approx(value + alpha / 2 * (np.asarray(model.coef_) ** 2).sum(), rel=1e-10)


@pytest.mark.parametrize("penalty", [None, penalties.L2(0.05), penalties.L1(0.15), penalties.ElasticNet(0.3, 0.5)],
                         ids=repr)
@pytest.mark.parametrize("optimizer", [optimizers.GradientDescent(0.1), optimizers.Nesterov(0.05, 0.8)], ids=repr)
@pytest.mark.parametrize("loss", SMOOTH, ids=lambda loss: loss.name)
def test_descent_ends_at_the_optimality_conditions(loss, optimizer, penalty):
    X, y, target = data(loss)
    model = estimator(loss, optimizer=optimizer, penalty=penalty, batch_size="full", max_iter=2000, tol=None)
    model.fit(X, y)
    _, g, g0 = gradient_at(model, loss, X, target)
    factors = penalties.get(penalty)
    coef = np.atleast_2d(model.coef_)
    g = g + factors.l2 * coef
    residual = np.where(coef != 0, abs(g + factors.l1 * np.sign(coef)), np.maximum(abs(g) - factors.l1, 0))
    assert residual.max() < 1e-5
    assert abs(g0).max() < 1e-5
    if factors.l1:
        assert (coef == 0).any()
        assert (coef != 0).any()


@pytest.mark.parametrize("rule", ["momentum", "adagrad", "rmsprop", "adadelta", "adam", "adamw", "nadam", "lion",
                                  "adamax", "ftrl", "lamb"])
def test_every_rule_reaches_the_lasso(rule):
    X, y, _ = data(losses.HalfSquaredError())
    if rule == "lamb":
        # a share of a lone intercept at a time never takes it over zero
        X, y = X - X.mean(axis=0), y - y.mean()
    optimizer = optimizers.get(rule)
    if rule == "adamw":
        optimizer = optimizers.AdamW(weight_decay=0.0)
    rate = 0.5 if rule in ("adagrad", "ftrl") else 1.0 if rule == "adadelta" else 0.02
    # a rate that falls draws the weights of ftrl to zero
    schedule = "constant" if rule == "ftrl" else "cosine"
    model = LinearRegressor(
        penalty="l1", alpha=0.1, optimizer=optimizer, learning_rate=rate, schedule=schedule, batch_size="full",
        max_iter=4000, tol=None).fit(X, y)
    lasso = Lasso(alpha=0.1, tol=1e-12).fit(X, y)
    np.testing.assert_allclose(model.coef_, lasso.coef_, atol=2e-3)
    np.testing.assert_allclose(model.intercept_, lasso.intercept_, atol=2e-3)
    np.testing.assert_array_equal(model.coef_ == 0, lasso.coef_ == 0)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_logistic_regression(n_classes):
    X, y, _ = data(losses.SoftmaxCrossentropy() if n_classes == 3 else losses.BinaryCrossentropy())
    labels = np.array(["cat", "dog", "eel"])[y]
    peer = LogisticRegression(C=0.5, tol=1e-10, max_iter=5000).fit(X, labels)
    ours = LinearClassifier(optimizer=EXACT, penalty="l2", alpha=1 / (0.5 * N), max_iter=2000).fit(X, labels)
    np.testing.assert_allclose(ours.coef_, peer.coef_, atol=1e-5)
    # adding one number to every intercept of a softmax changes nothing
    np.testing.assert_allclose(
        ours.intercept_ - (n_classes == 3) * ours.intercept_.mean(),
        peer.intercept_ - (n_classes == 3) * peer.intercept_.mean(), atol=1e-5)
    np.testing.assert_array_equal(ours.predict(X), peer.predict(X))
    np.testing.assert_allclose(ours.predict_proba(X), peer.predict_proba(X), atol=1e-5)
    np.testing.assert_allclose(ours.predict_log_proba(X), peer.predict_log_proba(X), atol=1e-5)
    assert ours.decision_function(X).shape == peer.decision_function(X).shape
    assert ours.score(X, labels) == peer.score(X, labels)
    np.testing.assert_array_equal(ours.classes_, peer.classes_)


def test_ridge_with_several_outputs_and_weights():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, P))
    y = X @ rng.normal(size=(P, 3)) + rng.normal(size=(N, 3)) + 1.0
    weight = rng.uniform(0.1, 2.0, N)
    peer = Ridge(alpha=3.0, tol=1e-12).fit(X, y, weight)
    ours = LinearRegressor(optimizer=EXACT, penalty="l2", alpha=3.0 / weight.sum(), max_iter=2000).fit(X, y, weight)
    np.testing.assert_allclose(ours.coef_, peer.coef_, atol=1e-6)
    np.testing.assert_allclose(ours.intercept_, peer.intercept_, atol=1e-6)
    np.testing.assert_allclose(ours.predict(X), peer.predict(X), atol=1e-5)
    assert ours.score(X, y) == pytest.approx(peer.score(X, y))


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_lasso_and_elastic_net(l1_ratio):
    X, y, _ = data(losses.HalfSquaredError())
    peer = ElasticNet(alpha=0.15, l1_ratio=l1_ratio, tol=1e-12).fit(X, y)
    ours = LinearRegressor(
        penalty="elasticnet", alpha=0.15, l1_ratio=l1_ratio, optimizer="gradient_descent", learning_rate=0.3,
        batch_size="full", max_iter=3000, tol=None).fit(X, y)
    np.testing.assert_allclose(ours.coef_, peer.coef_, atol=1e-8)
    np.testing.assert_allclose(ours.intercept_, peer.intercept_, atol=1e-8)
    np.testing.assert_array_equal(ours.coef_ == 0, peer.coef_ == 0)


def test_poisson_regressor():
    X, y, _ = data(losses.Poisson())
    peer = PoissonRegressor(alpha=0.1, tol=1e-10, max_iter=5000).fit(X, y)
    ours = LinearRegressor("poisson", optimizer=EXACT, penalty="l2", alpha=0.1, max_iter=2000).fit(X, y)
    np.testing.assert_allclose(ours.coef_, peer.coef_, atol=1e-5)
    np.testing.assert_allclose(ours.predict(X), peer.predict(X), rtol=1e-4)


def test_linear_svms_with_squared_losses():
    X, y, _ = data(losses.SquaredHinge())
    C = 0.2
    peer = LinearSVC(C=C, fit_intercept=False, tol=1e-8, max_iter=100_000, dual=True).fit(X, y)
    ours = LinearClassifier(
        "squared_hinge", optimizer=EXACT, penalty="l2", alpha=1 / (C * N), fit_intercept=False, max_iter=2000).fit(X, y)
    np.testing.assert_allclose(ours.coef_, peer.coef_, atol=1e-5)
    X, y, _ = data(losses.HalfSquaredError())
    peer = LinearSVR(
        C=C, epsilon=0.2, loss="squared_epsilon_insensitive", fit_intercept=False, tol=1e-8, max_iter=100_000,
        dual=True).fit(X, y)
    ours = LinearRegressor(
        losses.SquaredEpsilonInsensitive(0.2), optimizer=EXACT, penalty="l2", alpha=1 / (C * N), fit_intercept=False,
        max_iter=2000).fit(X, y)
    np.testing.assert_allclose(ours.coef_, peer.coef_, atol=1e-5)


@pytest.mark.parametrize("loss", [
    losses.Quantile(0.3), losses.AbsoluteError(), losses.EpsilonInsensitive(0.2), losses.Hinge(),
], ids=lambda loss: loss.name)
def test_losses_with_corners_reach_the_value_of_exact_solvers(loss):
    X, y, target = data(loss)
    alpha, C = 0.02, 0.5
    if loss.name in ("quantile", "absolute_error"):
        quantile = 0.3 if loss.name == "quantile" else 0.5
        scale = 1.0 if loss.name == "quantile" else 2.0
        penalty = penalties.L1(alpha * scale)
        peer = QuantileRegressor(quantile=quantile, alpha=alpha).fit(X, y)
    else:
        penalty = penalties.L2(1 / (C * N))
        if loss.is_regression:
            peer = LinearSVR(C=C, epsilon=0.2, fit_intercept=False, tol=1e-8, max_iter=500_000).fit(X, y)
        else:
            peer = LinearSVC(C=C, loss="hinge", fit_intercept=False, tol=1e-8, max_iter=500_000).fit(X, y)
    ours = estimator(
        loss, penalty=penalty, optimizer=optimizers.GradientDescent(0.2), schedule=schedules.CosineDecay(),
        batch_size="full", max_iter=6000, tol=None, fit_intercept=isinstance(peer, QuantileRegressor)).fit(X, y)
    values = [
        gradient_at(model, loss, X, target)[0] + penalty.value(model.coef_) for model in (ours, peer)
    ]
    assert values[0] == pytest.approx(values[1], rel=2e-4)
    assert values[0] >= values[1] - 1e-6


def test_multilabel_is_one_binary_problem_a_column():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(N, P))
    Y = (X @ rng.normal(size=(P, 3)) + rng.logistic(size=(N, 3)) > 0).astype(int)
    options = {"optimizer": EXACT, "penalty": "l2", "alpha": 0.02, "max_iter": 2000}
    together = LinearClassifier(**options).fit(X, Y)
    assert together.coef_.shape == (3, P)
    assert together.predict(X).shape == Y.shape
    assert together.predict_proba(X).shape == Y.shape
    for column in range(3):
        alone = LinearClassifier(**options).fit(X, Y[:, column])
        np.testing.assert_allclose(together.coef_[column], alone.coef_[0], atol=1e-5)
        np.testing.assert_array_equal(together.predict(X)[:, column], alone.predict(X))
        np.testing.assert_allclose(together.predict_proba(X)[:, column], alone.predict_proba(X)[:, 1], atol=1e-5)
    np.testing.assert_allclose(together.predict_log_proba(X), np.log(together.predict_proba(X)), atol=1e-12)


@pytest.mark.parametrize("loss", ["squared_hinge", "modified_huber"])
def test_margin_losses_take_one_class_against_the_rest(loss):
    X, y, _ = data(losses.SoftmaxCrossentropy())
    options = {"optimizer": EXACT, "penalty": "l2", "alpha": 0.02, "max_iter": 2000}
    together = LinearClassifier(loss, **options).fit(X, y)
    for c in range(3):
        alone = LinearClassifier(loss, **options).fit(X, y == c)
        np.testing.assert_allclose(together.coef_[c], alone.coef_[0], atol=1e-5)
    np.testing.assert_array_equal(together.predict(X), together.decision_function(X).argmax(axis=1))


@pytest.mark.parametrize("optimizer", [EXACT, optimizers.GradientDescent(0.1)], ids=["lbfgs", "gradient_descent"])
@pytest.mark.parametrize("cls", [LinearClassifier, LinearRegressor])
def test_weights_are_repeated_rows(cls, optimizer):
    X, y, _ = data(losses.SoftmaxCrossentropy() if cls is LinearClassifier else losses.HalfSquaredError())
    weight = np.random.default_rng(2).integers(0, 4, N)
    options = {"optimizer": optimizer, "penalty": "l2", "alpha": 0.01, "max_iter": 300, "batch_size": "full"}
    options["tol"] = None
    weighted = cls(**options).fit(X, y, sample_weight=weight)
    repeated = cls(**options).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=1e-6)
    np.testing.assert_allclose(weighted.intercept_, repeated.intercept_, atol=1e-6)


def test_class_weights_are_sample_weights():
    X, y, _ = data(losses.SoftmaxCrossentropy())
    options = {"optimizer": EXACT, "penalty": "l2", "alpha": 0.01, "max_iter": 1000}
    factors = {0: 1.0, 1: 3.0, 2: 0.5}
    sample = np.random.default_rng(0).uniform(0.5, 1.5, N)
    by_class = LinearClassifier(class_weight=factors, **options).fit(X, y, sample)
    by_sample = LinearClassifier(**options).fit(X, y, sample * np.vectorize(factors.get)(y))
    np.testing.assert_array_equal(by_class.coef_, by_sample.coef_)
    balanced = LinearClassifier(class_weight="balanced", **options).fit(X, y)
    counts = np.bincount(y)
    by_sample = LinearClassifier(**options).fit(X, y, (N / (3 * counts))[y])
    np.testing.assert_allclose(balanced.coef_, by_sample.coef_, atol=1e-8)


def test_a_start_at_the_optimum():
    X, y, _ = data(losses.HalfSquaredError())
    model = LinearRegressor(optimizer=optimizers.LBFGS(tol=1e-6), max_iter=500).fit(X, np.zeros(N))
    assert model.converged_
    assert model.loss_ == 0.0
    assert not model.coef_.any()


def test_too_few_iterations_warn():
    X, y, _ = data(losses.BinaryCrossentropy())
    for optimizer in ("lbfgs", "adam"):
        with pytest.warns(ConvergenceWarning, match=r"max_iter \(now 2\)"):
            model = LinearClassifier(optimizer=optimizer, max_iter=2).fit(X, y)
        assert model.n_iter_ == 2
        assert not model.converged_
