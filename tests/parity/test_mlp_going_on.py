"""Perceptrons that go on from their last fit, with parameters set between, beside scikit-learn's."""

import pickle

import numpy as np
import pytest
from sklearn import neural_network as theirs
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale

import fasttrain
from fasttrain import neural_network as ours

pytestmark = [
    pytest.mark.filterwarnings(f"ignore::{ConvergenceWarning.__module__}.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:lbfgs failed"),
]
X, CLASSES = load_iris(return_X_y=True)
X = scale(X)
NUMBERS = X[:, 0] * X[:, 1]
CHANGES = [
    {"activation": "tanh"}, {"activation": "relu", "alpha": 1.0}, {"hidden_layer_sizes": (7,)},
    {"learning_rate_init": 0.1}, {"momentum": 0.1}, {"nesterovs_momentum": False}, {"beta_1": 0.2, "beta_2": 0.5},
    {"epsilon": 0.1}, {"learning_rate": "invscaling", "power_t": 0.9}, {"solver": "adam"}, {"solver": "sgd"},
]


def assert_same(ours, theirs):
    for a, b in zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    assert ours.n_iter_ == theirs.n_iter_
    if hasattr(theirs, "loss_curve_"):
        np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-9)


def both(name, train, **parameters):
    models = [getattr(package, name)(random_state=0, **parameters) for package in (ours, theirs)]
    return [train(model) for model in models]


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_parameters_set_between_partial_fits(solver, change):
    def train(model):
        model.fit(X, CLASSES).set_params(**change)
        for _ in range(3):
            model.partial_fit(X, CLASSES)
        return model

    assert_same(*both(
        "MLPClassifier", train, hidden_layer_sizes=(4,), activation="identity", solver=solver, max_iter=3))


@pytest.mark.parametrize("rate", ["constant", "invscaling", "adaptive"])
def test_rates_set_between_partial_fits(rate):
    def train(model):
        for epoch in range(8):
            model.partial_fit(X, CLASSES, classes=[0, 1, 2])
            if epoch == 3:
                model.set_params(learning_rate_init=0.5, power_t=0.1, learning_rate="constant")
        return model

    assert_same(*both("MLPClassifier", train, hidden_layer_sizes=(4,), solver="sgd", learning_rate=rate))


def test_a_saved_model_goes_on_with_the_solver_it_began_with(tmp_path):
    def model():
        begun = ours.MLPClassifier((4,), solver="sgd", random_state=0, learning_rate="invscaling")
        return begun.partial_fit(X, CLASSES, classes=[0, 1, 2])

    fasttrain.save(model(), tmp_path / "model.fasttrain")
    straight, *others = [model(), pickle.loads(pickle.dumps(model()))]
    for other in (straight, *others):
        other.set_params(learning_rate_init=0.5).partial_fit(X, CLASSES)
    for other in others:
        assert all((a == b).all() for a, b in zip(straight.coefs_, other.coefs_))
    read = fasttrain.load(tmp_path / "model.fasttrain").set_params(learning_rate_init=0.5)
    assert read._solver == straight._solver


def test_an_optimizer_takes_effect_when_it_is_set():
    model = ours.MLPClassifier((4,), random_state=0).partial_fit(X, CLASSES, classes=[0, 1, 2])
    before = [coef.copy() for coef in model.coefs_]
    model.set_params(optimizer=fasttrain.optimizers.GradientDescent(1e-30)).partial_fit(X, CLASSES)
    for a, b in zip(model.coefs_, before):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize("sizes", [(), (7, 3)])
def test_another_number_of_layers_is_refused(sizes):
    model = ours.MLPClassifier((4,), random_state=0, max_iter=2).fit(X, CLASSES)
    with pytest.raises(ValueError, match="layers must be those of the last fit"):
        model.set_params(hidden_layer_sizes=sizes).partial_fit(X, CLASSES)


def test_warm_starts_keep_their_sizes():
    def train(model):
        return model.fit(X, CLASSES).set_params(hidden_layer_sizes=(6,)).fit(X, CLASSES)

    assert_same(*both("MLPClassifier", train, hidden_layer_sizes=(4,), max_iter=3, warm_start=True))


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("max_iter", [1, 2, 30])
def test_warm_starts_with_early_stopping(name, weighted, max_iter):
    weights = np.random.default_rng(0).integers(0, 2, len(X)).astype(float) if weighted else None
    y = CLASSES if name == "MLPClassifier" else NUMBERS

    def train(model):
        for _ in range(4):
            model.fit(X, y, sample_weight=weights)
        return model

    mine, stock = both(name, train, hidden_layer_sizes=(4,), max_iter=max_iter, warm_start=True, early_stopping=True,
                       learning_rate_init=0.05)
    assert_same(mine, stock)
    np.testing.assert_allclose(mine.validation_scores_, stock.validation_scores_, rtol=1e-9)


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_validation_rows_that_weigh_nothing_are_refused(name):
    weights = np.zeros(len(X))
    weights[:3] = 1.0
    y = CLASSES if name == "MLPClassifier" else NUMBERS
    for package in (ours, theirs):
        with pytest.raises(ValueError, match=r"(?i)sample.weight"):
            getattr(package, name)(hidden_layer_sizes=(4,), early_stopping=True, random_state=0).fit(
                X, y, sample_weight=weights)


def test_partial_fit_by_lbfgs_goes_on_for_numbers_and_not_for_classes():
    def train(model):
        for _ in range(3):
            model.partial_fit(X, NUMBERS)
        return model

    assert_same(*both("MLPRegressor", train, hidden_layer_sizes=(4,), solver="lbfgs", max_iter=5))
    assert not hasattr(ours.MLPClassifier(solver="lbfgs"), "partial_fit")
