"""The learning-rate range test against descent by hand, and what it leaves alone."""

import copy

import matplotlib as mpl
import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from fasttrain import learning_rate_finder, rate_finder
from fasttrain.linear_model import LinearClassifier, LinearRegressor, SGDClassifier
from fasttrain.neural_network import MLPClassifier, MLPRegressor

mpl.use("Agg")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.default_rng(0)
X = RNG.standard_normal((200, 4))
Y = X @ [1.0, -2.0, 0.5, 3.0]
LABELS = np.digitize(Y, [-2.0, 2.0])


def test_losses_are_those_of_descent_with_these_rates():
    model = LinearRegressor(optimizer="gradient_descent", batch_size=30, shuffle=False, fit_intercept=False)
    found = learning_rate_finder(model, X, Y, min_learning_rate=1e-3, max_learning_rate=0.3, n_steps=40)
    np.testing.assert_allclose(found.lrs, 1e-3 * 300 ** (np.arange(40) / 39), rtol=1e-12)
    theta, expected = np.zeros(4), []
    for step, rate in enumerate(found.lrs):
        rows = slice(30 * (step % 7), 30 * (step % 7) + 30)
        error = X[rows] @ theta - Y[rows]
        expected.append(0.5 * np.mean(error**2))
        theta -= rate * X[rows].T @ error / len(error)
    np.testing.assert_allclose(found.losses, expected, rtol=1e-10)


def test_orders_are_those_that_the_fit_would_draw():
    model = MLPRegressor(batch_size=40, max_iter=2, random_state=3, solver="sgd", hidden_layer_sizes=(5,))
    found = learning_rate_finder(model, X, Y, min_learning_rate=1e-12, max_learning_rate=2e-12, n_steps=10)
    # at rates that change nothing, the means over two epochs are what the fit reports for them
    losses = model.set_params(learning_rate_init=1e-12).fit(X, Y).loss_curve_
    np.testing.assert_allclose([found.losses[:5].mean(), found.losses[5:].mean()], losses, rtol=1e-8)


def test_the_smoothed_values_are_local_lines():
    rates = np.geomspace(1e-5, 1.0, 60)
    losses = RNG.standard_normal(60)
    value, slope = rate_finder._smoothed(rates, losses)
    log = np.log(rates)
    for i in (0, 1, 17, 40, 58, 59):
        weight = np.exp(-0.5 * ((log - log[i]) / (np.log(10) / 3)) ** 2)
        weight[np.abs(log - log[i]) > 4 * np.log(10) / 3] = 0
        expected = np.polyfit(log - log[i], losses, 1, w=np.sqrt(weight))
        np.testing.assert_allclose([slope[i], value[i]], expected, rtol=1e-9)


@pytest.mark.parametrize("optimizer", ["gradient_descent", "adam"])
@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_the_suggestion_trains_and_follows_the_scale(optimizer, scale):
    """For plain descent it lies below 2 / L, where L bounds the curvature."""
    model = LinearRegressor(optimizer=optimizer, batch_size=50, random_state=0, fit_intercept=False)
    found = learning_rate_finder(model, X * scale, Y, max_learning_rate=1e4)
    assert found.lrs[0] < found.suggestion < found.lrs[-1]
    if optimizer == "gradient_descent":
        curvature = scale**2 * np.linalg.eigvalsh(X.T @ X / len(X)).max()
        assert 1e-2 / curvature < found.suggestion < 2.0 / curvature
    model.set_params(learning_rate=found.suggestion, max_iter=20, tol=None).fit(X * scale, Y)
    assert model.loss_ < 0.5 * model.loss_curve_[0]


@pytest.mark.parametrize(("model", "y"), [
    (MLPClassifier(random_state=0, batch_size=20), LABELS), (MLPRegressor(solver="sgd", random_state=0), Y),
    (MLPClassifier(early_stopping=True, random_state=0, dtype="float32", warm_start=True), LABELS),
    (LinearClassifier(random_state=0, early_stopping=True), LABELS), (LinearRegressor("poisson"), np.exp(Y / 4)),
], ids=lambda value: type(value).__name__)
def test_estimators_are_left_alone(model, y):
    before = copy.deepcopy(vars(model))
    data = X.copy(), y.copy()
    found = learning_rate_finder(model, *data, sample_weight=np.ones(len(y)))
    assert found.lrs[0] < found.suggestion < found.lrs[-1]
    assert len(found.lrs) == len(found.losses) == len(found.smoothed_losses) <= 100
    assert np.isfinite(found.losses).all()
    assert repr(vars(model)) == repr(before)
    np.testing.assert_array_equal(data[0], X)
    with pytest.raises(NotFittedError):
        check_is_fitted(model)
    again = learning_rate_finder(model, X, y, sample_weight=np.ones(len(y)))
    if model.random_state == 0:
        assert again.losses.tobytes() == found.losses.tobytes()


def test_a_fitted_estimator_stays_as_it_is():
    model = MLPClassifier(max_iter=2, random_state=0, tol=1e9, n_iter_no_change=1).fit(X, LABELS)
    coefs, history = [coef.copy() for coef in model.coefs_], list(model.loss_curve_)
    learning_rate_finder(model, X, LABELS)
    assert all(np.array_equal(a, b) for a, b in zip(coefs, model.coefs_, strict=True))
    assert model.loss_curve_ == history


def test_the_number_of_steps():
    model = LinearRegressor(batch_size=2, optimizer="gradient_descent", random_state=0)
    for rows, n_steps in ((200, 100), (400, 200), (4000, 1000)):
        data = np.resize(X, (rows, 4))
        found = learning_rate_finder(model, data, data[:, 0], max_learning_rate=1e-3, divergence=100.0)
        assert len(found.lrs) == n_steps
        assert found.lrs[-1] == pytest.approx(1e-3)


def test_rates_past_the_explosion_are_left_out():
    found = learning_rate_finder(LinearRegressor(optimizer="gradient_descent"), X, Y, max_learning_rate=1e6)
    assert found.lrs[-1] < 1e3
    assert len(found.losses) == len(found.lrs) < 100


def test_a_loss_that_never_falls_has_no_suggestion():
    model = LinearRegressor(optimizer="gradient_descent", batch_size="full")
    found = learning_rate_finder(model, X, np.zeros(200), max_learning_rate=0.1)
    assert found.suggestion is None
    found.plot()


@pytest.mark.parametrize(("model", "options", "error", "match"), [
    (SGDClassifier(), {}, TypeError, "got SGDClassifier"),
    (BaseEstimator, {}, TypeError, "estimator must be"),
    (MLPClassifier(solver="lbfgs"), {}, ValueError, "range test needs an optimizer that makes steps"),
    (LinearClassifier(optimizer="lbfgs"), {}, ValueError, "range test needs an optimizer that makes steps"),
    (MLPClassifier(), {"min_learning_rate": 0.0}, ValueError, "min_learning_rate must be"),
    (MLPClassifier(), {"min_learning_rate": 1.0, "max_learning_rate": 1.0}, ValueError, "max_learning_rate must be"),
    (MLPClassifier(), {"n_steps": 9}, ValueError, "n_steps must be an integer >= 10"),
    (MLPClassifier(), {"divergence": 0.0}, ValueError, "divergence must be"),
    (LinearClassifier(optimizer="gradient_descent", loss="squared_error"),
     {"min_learning_rate": 1e5, "max_learning_rate": 1e300}, ValueError, "loss"),
    (MLPClassifier(alpha=-1), {}, ValueError, "alpha must be"),
], ids=str)
def test_bad_input_is_named(model, options, error, match):
    with pytest.raises(error, match=match):
        learning_rate_finder(model, X, LABELS, **options)


def test_an_explosion_at_once_is_named():
    with pytest.raises(ValueError, match=r"blows up within \d steps of min_learning_rate=1e\+50"):
        learning_rate_finder(
            LinearRegressor(optimizer="gradient_descent"), X, Y, min_learning_rate=1e50, max_learning_rate=1e60)


def test_the_picture():
    found = learning_rate_finder(LinearRegressor(random_state=0), X, Y)
    ax = found.plot()
    raw, smoothed, suggestion = ax.get_lines()
    assert ax.get_xscale() == "log"
    np.testing.assert_array_equal(raw.get_data(), [found.lrs, found.losses])
    np.testing.assert_array_equal(smoothed.get_data(), [found.lrs, found.smoothed_losses])
    assert suggestion.get_xdata()[0] == found.suggestion
    assert found.plot(ax) is ax
    mpl.pyplot.close("all")
