"""Gradients against finite differences, attributions against their axioms, activations against predictions."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from fasttrain import inspection
from fasttrain._kernels.activations import NAMES
from fasttrain.inspection import DenseNetwork, activations, dense_network, input_gradients, integrated_gradients
from fasttrain.keras.optimizers import Adam
from fasttrain.keras.utils import set_random_seed
from fasttrain.layers import Activation, BatchNormalization, Dense, Dropout, Flatten, Input
from fasttrain.linear_model import (
    HuberRegressor, LinearClassifier, LinearRegressor, LinearSVR, PoissonRegressor, SGDClassifier, SGDRegressor,
    TweedieRegressor,
)
from fasttrain.models import Sequential
from fasttrain.neural_network import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 3))
Y = X @ [1.0, -2.0, 0.5] + np.sin(3 * X[:, 0])
LABELS = np.digitize(Y, [-1.0, 1.0])
MULTI = np.c_[Y > 0, X[:, 0] > 0].astype(int)
NET = {"hidden_layer_sizes": (6, 5), "max_iter": 5, "random_state": 0, "activation": "tanh", "learning_rate_init": 0.05}

MODELS = {
    "linear regressor": lambda: LinearRegressor(max_iter=5).fit(X, np.c_[Y, -Y]),
    "poisson": lambda: LinearRegressor("poisson", max_iter=5).fit(X, np.exp(Y / 2)),
    "logistic": lambda: LinearClassifier(max_iter=5).fit(X, Y > 0),
    "softmax": lambda: LinearClassifier(max_iter=5).fit(X, LABELS),
    "multilabel": lambda: LinearClassifier(max_iter=5).fit(X, MULTI),
    "stochastic": lambda: SGDClassifier("log_loss", alpha=0.3, max_iter=5, tol=None, random_state=0).fit(X, Y > 0),
    "stochastic regressor": lambda: SGDRegressor(max_iter=5, tol=None, random_state=0).fit(X, Y),
    "counts": lambda: PoissonRegressor().fit(X, np.exp(Y / 2)),
    "tweedie, identity link": lambda: TweedieRegressor().fit(X, Y),
    "huber": lambda: HuberRegressor().fit(X, Y),
    "svm regressor": lambda: LinearSVR().fit(X, Y),
    "net": lambda: MLPRegressor(**NET).fit(X, np.c_[Y, -Y]),
    "poisson net": lambda: MLPRegressor("poisson", **NET).fit(X, np.exp(Y / 2)),
    "logistic net": lambda: MLPClassifier(**NET).fit(X, Y > 0),
    "softmax net": lambda: MLPClassifier(**NET).fit(X, LABELS),
    "multilabel net": lambda: MLPClassifier(**NET).fit(X, MULTI),
    "normalized net": lambda: MLPClassifier(**NET, batch_norm="before", dropout=0.1).fit(X, LABELS),
    "net normalized after": lambda: MLPRegressor(**NET, batch_norm="after", averaging="ema").fit(X, Y),
    "sequential": lambda: sequential("tanh"),
    "sequential softmax": lambda: sequential("softmax"),
}


def sequential(output):
    layers = [
        Input((3,), dtype="float64"), Dense(6, activation="tanh"), BatchNormalization(epsilon=0.1), Dense(5),
        BatchNormalization(epsilon=0.1), Activation("gelu"), Dropout(0.1), Dense(3, activation=output),
    ]
    set_random_seed(0)
    model = Sequential(layers)
    model.compile(Adam(0.05), "mse" if output == "tanh" else "categorical_crossentropy")
    model.fit(X, np.eye(3)[LABELS], epochs=5, batch_size=10, verbose=0)
    return model


def predictions(model, rows, output):
    """(n, n_outputs) from the model's own methods."""
    if isinstance(model, Sequential):
        rows = np.ascontiguousarray(rows)
        values = model.predict(rows) if output == "prediction" else model._engine().raw_predict(rows)
    elif output == "prediction" and hasattr(model, "predict_proba"):
        values = model.predict_proba(rows)
        if network_outputs(model) == 1:
            values = values[:, 1]
    elif output == "raw" and hasattr(model, "_raw_predict"):
        values = model._raw_predict(rows)
    elif output == "raw" and hasattr(model, "decision_function"):
        values = model.decision_function(rows)
    else:
        values = model.predict(rows)
    return values.reshape(len(rows), -1)


def network_outputs(model):
    return model.n_outputs_ if hasattr(model, "n_outputs_") else len(np.atleast_2d(model.coef_))


def differences(function, rows, step=1e-3):
    """Fourth-order central differences: (n, n_outputs, n_features)."""
    columns = []
    for unit in np.eye(rows.shape[1]):
        at = {k: function(rows + k * step * unit) for k in (-2, -1, 1, 2)}
        columns.append((8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * step))
    return np.stack(columns, axis=-1)


@pytest.mark.parametrize("output", ["raw", "prediction"])
@pytest.mark.parametrize("name", MODELS)
def test_gradients_are_the_limits_of_differences(name, output):
    model = MODELS[name]()
    found = input_gradients(model, X, output=output)
    expected = differences(lambda rows: predictions(model, rows, output), X)
    if expected.shape[1] == 1:
        expected = expected[:, 0]
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9)
    assert np.abs(found).max() > 1e-3
    n_outputs = 1 if expected.ndim == 2 else expected.shape[1]
    for target in range(n_outputs):
        one = input_gradients(model, X, target=target, output=output)
        np.testing.assert_allclose(one, found if n_outputs == 1 else found[:, target], rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", NAMES)
def test_every_activation(name):
    network = DenseNetwork(
        [RNG.standard_normal((3, 7)), RNG.standard_normal((7, 4)), RNG.standard_normal((4, 2))],
        [RNG.standard_normal(7), RNG.standard_normal(4), RNG.standard_normal(2)], [(name, 0.3), ("tanh", 0.0)])
    model = Holder(network)
    # kinks have no derivative to be compared at
    rows = X if not {"relu", "elu", "leaky_relu", "selu"} & {name} else X + 0.01
    found = input_gradients(model, rows)
    expected = differences(lambda moved: activations(model, moved)[-1], rows, step=1e-5)
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-6)


class Holder:
    """An object that is no estimator and tells its layers."""

    def __init__(self, network):
        self.network = network

    def dense_network(self):
        return self.network


def test_blocks_of_rows_do_not_matter(monkeypatch):
    model = MODELS["softmax net"]()
    whole = input_gradients(model, X, output="prediction")
    monkeypatch.setattr(inspection, "_BLOCK", 7 * 3 * 6)
    np.testing.assert_allclose(input_gradients(model, X, output="prediction"), whole, rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize("baseline", [None, 0.5, [0.1, -0.2, 0.3], -X], ids=["zeros", "number", "row", "rows"])
@pytest.mark.parametrize("output", ["raw", "prediction"])
@pytest.mark.parametrize("name", MODELS)
def test_shares_add_up(name, output, baseline):
    """Completeness: the sum is what the output differs by."""
    model = MODELS[name]()
    # enough points that the rule's own error is below the tolerance
    options = {"n_steps": 100, "output": output}
    found, delta = integrated_gradients(model, X, baseline, return_delta=True, **options)
    start = np.broadcast_to(0.0 if baseline is None else baseline, X.shape)
    difference = predictions(model, X, output) - predictions(model, start, output)
    if difference.shape[1] == 1:
        difference = difference[:, 0]
    np.testing.assert_allclose(found.sum(axis=-1), difference, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(delta, found.sum(axis=-1) - difference, rtol=1e-3, atol=1e-12)
    assert found.shape == input_gradients(model, X).shape
    np.testing.assert_array_equal(integrated_gradients(model, X, baseline, **options), found)


def test_shares_of_a_linear_model_are_its_terms():
    model = LinearRegressor(max_iter=5).fit(X, Y)
    np.testing.assert_allclose(integrated_gradients(model, X, 1.0, n_steps=1), (X - 1.0) * model.coef_, rtol=1e-12)


def test_a_feature_without_influence_has_no_share():
    model = MODELS["net"]()
    model.coefs_[0][1] = 0.0
    assert not integrated_gradients(model, X)[:, :, 1].any()
    assert integrated_gradients(model, X)[:, :, 0].any()


def test_more_points_are_closer_for_kinks():
    model = MLPRegressor(**{**NET, "activation": "relu"}).fit(X, Y)
    errors = [abs(integrated_gradients(model, X, n_steps=n, return_delta=True)[1]).max() for n in (2, 20, 400)]
    assert errors[2] < errors[1] < errors[0]
    assert errors[2] < 1e-2


@pytest.mark.parametrize("name", MODELS)
def test_the_last_activations_are_the_predictions(name):
    model = MODELS[name]()
    found = activations(model, X)
    np.testing.assert_allclose(found[-1], predictions(model, X, "prediction"), rtol=1e-12, atol=1e-14)
    widths = [coef.shape[1] for coef in dense_network(model).coefs]
    assert [values.shape for values in found] == [(40, width) for width in widths]


def test_hidden_activations():
    model = MODELS["net"]()
    first, second, last = activations(model, X)
    np.testing.assert_allclose(first, np.tanh(X @ model.coefs_[0] + model.intercepts_[0]), rtol=1e-12)
    np.testing.assert_allclose(second, np.tanh(first @ model.coefs_[1] + model.intercepts_[1]), rtol=1e-12)
    np.testing.assert_allclose(last, second @ model.coefs_[2] + model.intercepts_[2], rtol=1e-12)


def test_dtypes_are_those_of_the_weights():
    model = MLPRegressor(**NET, dtype="float32").fit(X, Y)
    assert input_gradients(model, X).dtype == np.float32
    assert integrated_gradients(model, X).dtype == np.float32
    assert {values.dtype for values in activations(model, X)} == {np.dtype(np.float32)}


def test_margins_have_no_prediction_to_differentiate():
    for model in (LinearClassifier("hinge", max_iter=5).fit(X, LABELS), SGDClassifier(max_iter=5).fit(X, LABELS)):
        np.testing.assert_allclose(input_gradients(model, X)[0], model.coef_, rtol=1e-12)
        np.testing.assert_allclose(activations(model, X)[-1], model.decision_function(X), rtol=1e-10)
        with pytest.raises(ValueError, match="output must be 'raw' for this model"):
            input_gradients(model, X, output="prediction")


@pytest.mark.parametrize(("options", "error", "match"), [
    ({"target": 3}, ValueError, "target must be the number of an output, 0 to 2, got 3"),
    ({"target": -1}, ValueError, "target must be"),
    ({"target": "first"}, TypeError, "target must be"),
    ({"output": "loss"}, ValueError, "output"),
    ({"X": X[:, :2]}, ValueError, "features"),
    ({"X": X * np.nan}, ValueError, "NaN"),
])
def test_bad_input_is_named(options, error, match):
    model = MODELS["softmax net"]()
    for function in (input_gradients, integrated_gradients):
        with pytest.raises(error, match=match):
            function(model, **{"X": X, **options})


@pytest.mark.parametrize(("options", "error", "match"), [
    ({"n_steps": 0}, ValueError, "n_steps must be"),
    ({"baseline": np.zeros(4)}, ValueError, "baseline must be a number"),
    ({"baseline": np.full(3, np.inf)}, ValueError, "baseline must be finite"),
    ({"baseline": np.nan}, ValueError, "baseline must be"),
])
def test_a_bad_path_is_named(options, error, match):
    with pytest.raises(error, match=match):
        integrated_gradients(MODELS["net"](), X, **options)


def test_images_are_flattened():
    model = Sequential([Input((3, 1)), Flatten(), Dense(2, activation="relu"), Dense(1)])
    assert input_gradients(model, X[:, :, None]).shape == (40, 3)
    np.testing.assert_allclose(activations(model, X[:, :, None])[-1], model.predict(X[:, :, None]), rtol=1e-5)


def test_models_of_others_and_models_that_are_not_fitted():
    with pytest.raises(TypeError, match="got LogisticRegression"):
        activations(LogisticRegression().fit(X, LABELS), X)
    for model in (MLPClassifier(), LinearRegressor(), SGDClassifier()):
        with pytest.raises(NotFittedError):
            input_gradients(model, X)
    with pytest.raises(ValueError, match="X must have 3 features, got 2"):
        activations(Holder(dense_network(MODELS["net"]())), X[:, :2])
