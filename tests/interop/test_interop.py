"""Conversions: the same predictions in scikit-learn's own classes, in PyTorch and in ONNX, and back."""

import io
import os
import pickle
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import sklearn.linear_model
import sklearn.neural_network
import sklearn.preprocessing
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import VotingClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn_release import SKLEARN

import fasttrain
from fasttrain import interop, linear_model
from fasttrain.linear_model import LinearClassifier, LinearRegressor, SGDClassifier, SGDRegressor
from fasttrain.neural_network import MLPClassifier, MLPRegressor
from fasttrain.preprocessing import (
    LabelBinarizer, LabelEncoder, MaxAbsScaler, MinMaxScaler, OneHotEncoder, OrdinalEncoder, RobustScaler,
    StandardScaler,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

rng = np.random.default_rng(5)
X = rng.normal(size=(90, 5))
y_number = X @ [1.0, -2.0, 0.5, 0.0, 3.0] + 0.1 * rng.normal(size=90)
y_two = np.array(["no", "yes"])[(y_number > 0).astype(int)]
y_three = np.array(["a", "b", "c"])[np.digitize(y_number, [-1.5, 1.5])]
y_labels = np.stack([X[:, 0] > 0, X[:, 1] > 0.3, X[:, 2] > -0.3], axis=1).astype(int)
y_several = np.stack([y_number, 1 - y_number], axis=1)
y_counts = rng.poisson(np.exp(0.3 * X[:, 0]))
COLORS = np.array([["red", "s"], ["blue", "m"], ["red", "m"], ["green", "s"], ["red", "l"], ["blue", "s"]] * 4,
                  dtype=object)  # fmt: skip
NUMBERS = np.array([[3, 10], [1, 20], [3, 10], [2, 20], [3, 30], [1, 10]] * 4)
HOLES = np.array([["x"], [None], ["y"], ["x"], ["x"]], dtype=object)
SPARSE_RANGE = {"max_iter": 30, "random_state": 0}

MODELS = {
    "sgd two": (SGDClassifier("log_loss", **SPARSE_RANGE), y_two),
    "sgd three": (SGDClassifier("modified_huber", **SPARSE_RANGE), y_three),
    "sgd averaged": (SGDClassifier("hinge", average=10, **SPARSE_RANGE), y_three),
    "sgd numbers": (SGDRegressor("huber", penalty="elasticnet", **SPARSE_RANGE), y_number),
    "sgd averaged numbers": (SGDRegressor(average=True, **SPARSE_RANGE), y_number),
    "sgd counts": (SGDRegressor("poisson", **SPARSE_RANGE), y_counts),
    "sgd quantile": (SGDRegressor("quantile", quantile=0.7, **SPARSE_RANGE), y_number),
    "sgd several": (SGDRegressor(**SPARSE_RANGE), y_several),
    "sgd several counts": (SGDRegressor("poisson", **SPARSE_RANGE), np.stack([y_counts, y_counts + 1], axis=1)),
    "mlp two": (MLPClassifier((6, 4), **SPARSE_RANGE), y_two),
    "mlp three": (MLPClassifier((6,), "tanh", class_weight="balanced", solver="sgd", **SPARSE_RANGE), y_three),
    "mlp labels": (MLPClassifier((), early_stopping=True, **SPARSE_RANGE), y_labels),
    "mlp lbfgs": (MLPClassifier(4, "logistic", solver="lbfgs", **SPARSE_RANGE), y_three),
    "mlp numbers": (MLPRegressor(hidden_layer_sizes=(6,), **SPARSE_RANGE), y_number),
    "mlp several": (MLPRegressor(hidden_layer_sizes=(6, 3), activation="identity", **SPARSE_RANGE), y_several),
    "mlp counts": (MLPRegressor("poisson", (6,), **SPARSE_RANGE), y_counts),
    "mlp absolute": (MLPRegressor("absolute_error", (6,), **SPARSE_RANGE), y_number),
    "linear two": (LinearClassifier(**SPARSE_RANGE), y_two),
    "linear three": (LinearClassifier(fit_intercept=False, **SPARSE_RANGE), y_three),
    "linear margin": (LinearClassifier("hinge", **SPARSE_RANGE), y_two),
    "linear margins": (LinearClassifier("squared_hinge", **SPARSE_RANGE), y_three),
    "linear labels": (LinearClassifier(**SPARSE_RANGE), y_labels),
    "linear numbers": (LinearRegressor(**SPARSE_RANGE), y_number),
    "linear several": (LinearRegressor("absolute_error", **SPARSE_RANGE), y_several),
    "linear counts": (LinearRegressor("poisson", **SPARSE_RANGE), y_counts),
    "linear quantile": (LinearRegressor("quantile", **SPARSE_RANGE), y_number),
}
TRANSFORMERS = {
    "standard": (StandardScaler(), X),
    "standard without": (StandardScaler(with_mean=False, with_std=False), X),
    "minmax": (MinMaxScaler((-1, 2), clip=True), X),
    "maxabs": (MaxAbsScaler(), X),
    "robust": (RobustScaler(quantile_range=(10.0, 80.0), unit_variance=True), X),
    "one-hot": (OneHotEncoder(handle_unknown="ignore"), COLORS),
    "one-hot numbers": (OneHotEncoder(drop="first", sparse_output=False, dtype=np.float32), NUMBERS),
    "one-hot binary": (OneHotEncoder(drop="if_binary", sparse_output=False), COLORS[:, 1:]),
    "one-hot stated": (OneHotEncoder(categories=[[1, 2, 3, 4], [30, 40, 50]], handle_unknown="ignore"), NUMBERS),
    "one-hot few": (OneHotEncoder(min_frequency=5, handle_unknown="infrequent_if_exist"), COLORS),
    "one-hot share": (OneHotEncoder(min_frequency=0.3, max_categories=2, sparse_output=False), COLORS),
    "one-hot most": (OneHotEncoder(max_categories=1), COLORS),
    "one-hot all few": (OneHotEncoder(min_frequency=100), NUMBERS),
    "one-hot some all few": (OneHotEncoder(min_frequency=7), np.array([[1, 1], [1, 2], [1, 3], [1, 4]] * 3)),
    "one-hot dropped": (OneHotEncoder(drop=["red", "m"], min_frequency=5), COLORS),
    "one-hot holes": (OneHotEncoder(sparse_output=False), HOLES),
    "one-hot bytes": (OneHotEncoder(), np.array([[b"p"], [b"q"]])),
    "ordinal": (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), COLORS),
    "ordinal few": (OrdinalEncoder(max_categories=2, dtype=np.int32), COLORS),
    "ordinal holes": (OrdinalEncoder(encoded_missing_value=-5), np.array([[1.0], [np.nan], [2.0], [1.0]])),
    "ordinal few and holes": (OrdinalEncoder(min_frequency=2), np.array([[1.0], [np.nan], [2.0], [1.0]])),
    "label": (LabelEncoder(), y_three),
    "label numbers": (LabelEncoder(), np.array([5, 2, 5])),
    "binarizer": (LabelBinarizer(), y_three),
    "binarizer of two": (LabelBinarizer(neg_label=-1), y_two),
    "binarizer sparse": (LabelBinarizer(sparse_output=True), y_labels),
}


def is_stock(estimator):
    return type(estimator).__module__.startswith("sklearn.")


def dense(array):
    return array.toarray() if hasattr(array, "toarray") else np.asarray(array)


def assert_same_predictions(a, b):
    for method in ("predict", "predict_proba", "decision_function"):
        # scikit-learn's linear perceptrons and PoissonRegressors have no decision function
        if hasattr(a, method) and hasattr(b, method):
            expected, got = getattr(a, method)(X), getattr(b, method)(X)
            if expected.dtype.kind == "f":
                np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)
            else:
                assert got.tolist() == expected.tolist()
            assert got.dtype == expected.dtype


@pytest.mark.parametrize("name", MODELS)
def test_models_predict_the_same_in_scikit_learn(name):
    model, y = MODELS[name]
    model = clone(model).fit(X, y)
    stock = model.to_sklearn()
    assert is_stock(stock)
    assert_same_predictions(model, stock)
    assert hasattr(model, "predict_proba") <= hasattr(stock, "predict_proba")
    assert stock.n_features_in_ == 5
    if not isinstance(stock, sklearn.linear_model.PoissonRegressor):
        # whose score is of deviances
        assert np.isclose(stock.score(X, y), model.score(X, y))
    assert b"fasttrain" not in pickle.dumps(stock)
    # arrays are its own
    for array in vars(stock).values():
        if isinstance(array, np.ndarray):
            array[...] = array.flat[0] if array.dtype.kind in "OU" else 0
    np.testing.assert_array_equal(model.predict(X), clone(model).fit(X, y).predict(X))


SAME_CLASS = [name for name in MODELS if name.startswith(("sgd", "mlp")) and "several" not in name
              and name not in ("sgd counts", "sgd quantile", "mlp absolute")]  # fmt: skip


@pytest.mark.parametrize("name", SAME_CLASS)
def test_models_come_back(name):
    model, y = MODELS[name]
    model = clone(model).fit(X, y)
    stock = model.to_sklearn()
    assert type(stock).__name__ == type(model).__name__
    shared = set(stock.get_params()) & set(model.get_params())
    assert shared == set(stock.get_params())
    assert {k: stock.get_params()[k] for k in shared} == {k: model.get_params()[k] for k in shared}
    back = type(model).from_sklearn(stock)
    assert type(back) is type(model)
    assert_same_predictions(stock, back)
    assert_same_predictions(stock, pickle.loads(pickle.dumps(back)))
    assert_same_predictions(stock, interop.to_sklearn(back))


@pytest.mark.parametrize("name", SAME_CLASS)
def test_training_goes_on_from_a_stock_model(name):
    model, y = MODELS[name]
    if getattr(model, "solver", "") == "lbfgs" or getattr(model, "early_stopping", False):
        return
    if getattr(model, "class_weight", None) == "balanced":
        model = clone(model).set_params(class_weight=None)
    stock = clone(model).to_sklearn().fit(X, y)
    fast = interop.from_sklearn(stock)
    assert_same_predictions(stock, fast)
    if isinstance(model, (SGDClassifier, SGDRegressor)):
        # the whole state is public there: the next epoch is the same, too
        stock.partial_fit(X, y)
        fast.partial_fit(X, y)
        np.testing.assert_allclose(fast.coef_, stock.coef_, rtol=1e-8)
        assert fast.t_ == stock.t_
        stock = fast.to_sklearn().partial_fit(X, y)
        np.testing.assert_allclose(stock.coef_, fast.partial_fit(X, y).coef_, rtol=1e-8)
    else:
        before = fast.loss_
        assert fast.partial_fit(X, y).loss_ != before
        fast.to_sklearn().partial_fit(X, y)


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_transformers_come_and_go(name):
    transformer, data = TRANSFORMERS[name]
    transformer = clone(transformer).fit(data)
    stock = transformer.to_sklearn()
    assert is_stock(stock)
    assert type(stock).__name__ == type(transformer).__name__
    # clip of MaxAbsScaler came with 1.8
    given = {name: value for name, value in transformer.get_params().items()
             if SKLEARN >= (1, 8) or (type(stock).__name__, name) != ("MaxAbsScaler", "clip")}
    assert str(stock.get_params()) == str(given)
    assert b"fasttrain" not in pickle.dumps(stock)
    back = type(transformer).from_sklearn(stock)
    assert type(back) is type(transformer)
    # what a fit of scikit-learn's own gives
    own = clone(stock).fit(data)
    expected = dense(own.transform(data))
    for one in (stock, back):
        found = one.transform(data)
        np.testing.assert_allclose(dense(found), expected, rtol=1e-12, atol=1e-13)
        assert dense(found).dtype == expected.dtype
        returned, own_returned = dense(one.inverse_transform(found)), dense(own.inverse_transform(own.transform(data)))
        assert returned.dtype == own_returned.dtype
        if name == "ordinal few and holes" and one is back:
            # scikit-learn's own mixes up missing values and infrequent ones
            assert np.isnan(returned[1, 0])
            assert returned[[0, 2, 3], 0].tolist() == [1.0, "infrequent_sklearn", 1.0]
        elif returned.dtype.kind == "f":
            np.testing.assert_allclose(returned, own_returned, rtol=1e-12)
        else:
            assert str(returned.tolist()) == str(own_returned.tolist())
        if hasattr(own, "get_feature_names_out"):
            assert one.get_feature_names_out().tolist() == own.get_feature_names_out().tolist()
        if getattr(own, "max_categories", None) or getattr(own, "min_frequency", None):
            assert str(one.infrequent_categories_) == str(own.infrequent_categories_)


def test_unknown_categories_after_a_conversion():
    for name in ("one-hot", "one-hot few", "ordinal"):
        transformer, data = TRANSFORMERS[name]
        stock = clone(transformer).fit(data).to_sklearn()
        own = clone(stock).fit(data)
        unknown = np.array([["mauve", "m"], ["red", "xl"]], dtype=object)
        assert dense(stock.transform(unknown)).tolist() == dense(own.transform(unknown)).tolist()
    stock = OneHotEncoder().fit(COLORS).to_sklearn()
    with pytest.raises(ValueError, match="Found unknown categories"):
        stock.transform([["mauve", "m"]])


@pytest.mark.parametrize("name", [*MODELS, *TRANSFORMERS])
def test_what_is_not_fitted_stays_so(name):
    estimator, _ = {**MODELS, **TRANSFORMERS}[name]
    stock = estimator.to_sklearn()
    assert is_stock(stock)
    assert not [attribute for attribute in vars(stock) if attribute.endswith("_")]


def test_names_of_features_go_along():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(X, columns=list("vwxyz"))
    for model in (
        StandardScaler(), MLPClassifier((3,), **SPARSE_RANGE), SGDClassifier(**SPARSE_RANGE), LinearClassifier()
    ):
        stock = model.fit(table, y_two).to_sklearn()
        assert stock.feature_names_in_.tolist() == list("vwxyz")
    colors = pandas.DataFrame(COLORS, columns=["color", "size"])
    stock = StandardScaler().set_output(transform="pandas").fit(table).to_sklearn()
    assert stock.transform(table).columns.tolist() == list("vwxyz")
    stock = OneHotEncoder().fit(colors).to_sklearn()
    assert stock.get_feature_names_out().tolist() == OneHotEncoder().fit(colors).get_feature_names_out().tolist()


def test_stock_linear_models_become_linear_models():
    stock = sklearn.linear_model
    labels = (X[:, :2] > 0).astype(int)
    for model, y in [
        (stock.LogisticRegression(C=3.0), y_two), (stock.LogisticRegression(), y_three),
        (stock.LinearRegression(), y_number), (stock.LinearRegression(), y_several), (stock.Ridge(2.0), y_number),
        (stock.RidgeCV(), y_several), (stock.RidgeClassifier(), y_two), (stock.RidgeClassifierCV(), y_three),
        (stock.RidgeClassifier(), labels), (stock.Lasso(0.1), y_number), (stock.ElasticNet(0.1), y_number),
        (stock.PoissonRegressor(), y_counts), (stock.HuberRegressor(), y_number),
    ]:
        fast = interop.from_sklearn(model.fit(X, y))
        assert type(fast) is getattr(linear_model, type(model).__name__)
        for other in (fast, pickle.loads(pickle.dumps(fast)), fast.to_sklearn()):
            assert_same_predictions(model, other)
        again = type(fast)(**fast.get_params()).fit(X, y).to_sklearn()
        assert type(again) is type(model)
        assert_same_predictions(model, again)
    for model, y, cls in [
        (stock.LogisticRegression(), y_three, LinearClassifier), (stock.Ridge(2.0), y_number, LinearRegressor),
        (stock.Lasso(0.1), y_number, LinearRegressor), (stock.PoissonRegressor(), y_counts, LinearRegressor),
        (stock.HuberRegressor(), y_number, LinearRegressor),
        (stock.SGDClassifier("modified_huber", random_state=0), y_three, LinearClassifier),
    ]:
        fast = cls.from_sklearn(model.fit(X, y))
        assert type(fast) is cls
        assert fast.predict(X).tolist() == model.predict(X).tolist() if cls is LinearClassifier else True
        assert_same_predictions(model, fast)


def composite(kind):
    scaled = make_pipeline(StandardScaler(), MLPClassifier((4,), **SPARSE_RANGE))
    if kind == "pipeline":
        return scaled
    if kind == "search":
        return GridSearchCV(scaled, {"mlpclassifier__alpha": [1e-4, 1e-2]}, cv=2)
    if kind == "columns":
        return make_pipeline(
            ColumnTransformer([("a", StandardScaler(), [0, 1]), ("b", MinMaxScaler(), [2, 3])]),
            SGDClassifier("log_loss", **SPARSE_RANGE))
    return VotingClassifier([("a", scaled), ("b", LinearClassifier(**SPARSE_RANGE))], voting="soft")


@pytest.mark.parametrize("kind", ["pipeline", "search", "columns", "voting"])
def test_what_holds_estimators_is_converted_throughout(kind):
    model = composite(kind).fit(X, y_three)
    stock = interop.to_sklearn(model)
    assert b"fasttrain" in pickle.dumps(model)
    assert b"fasttrain" not in pickle.dumps(stock)
    np.testing.assert_allclose(stock.predict_proba(X), model.predict_proba(X), rtol=1e-10)
    # the original is as it was
    assert b"fasttrain" in pickle.dumps(model)
    back = interop.from_sklearn(stock)
    assert b"fasttrain" in pickle.dumps(back)
    np.testing.assert_allclose(back.predict_proba(X), model.predict_proba(X), rtol=1e-10)


def test_a_stock_estimator_is_its_own_conversion():
    model = sklearn.preprocessing.PowerTransformer().fit(X)
    assert interop.to_sklearn(model) is model


SERVER = """
import importlib.abc, pickle, sys
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] == "fasttrain":
            raise ImportError("fasttrain is not installed here")
sys.meta_path.insert(0, Absent())
models, X, expected = pickle.load(sys.stdin.buffer)
for name, model in models.items():
    answer = model.predict(X[name]) if hasattr(model, "predict") else model.transform(X[name])
    answer = answer.toarray() if hasattr(answer, "toarray") else answer
    assert str(answer.round(9).tolist() if answer.dtype.kind == "f" else answer.tolist()) == expected[name], name
assert "fasttrain" not in sys.modules
print(len(models))
"""


def test_served_where_fasttrain_is_not_installed():
    models, data, expected = {}, {}, {}
    with fasttrain.patched():
        # a model made under the patch, by scikit-learn's name
        models["patched"] = interop.to_sklearn(sklearn.neural_network.MLPClassifier((3,)).fit(X, y_two))
    data["patched"], expected["patched"] = X, str(models["patched"].predict(X).tolist())
    for name, (model, y) in MODELS.items():
        models[name], data[name] = clone(model).fit(X, y).to_sklearn(), X
    for name, (transformer, given) in TRANSFORMERS.items():
        models[name], data[name] = clone(transformer).fit(given).to_sklearn(), given
    models["columns"], data["columns"] = interop.to_sklearn(composite("columns").fit(X, y_three)), X
    for name, model in models.items():
        answer = dense(model.predict(data[name]) if hasattr(model, "predict") else model.transform(data[name]))
        expected[name] = str(answer.round(9).tolist() if answer.dtype.kind == "f" else answer.tolist())
    buffer = io.BytesIO()
    pickle.dump((models, data, expected), buffer)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", SERVER], input=buffer.getvalue(), capture_output=True, env=environment, timeout=300)
    assert done.stdout.strip() == str(len(models)).encode(), done.stderr.decode()[-2000:]


# ---- refusals ----


def test_what_scikit_learn_has_not():
    for activation in ("leaky_relu", ["relu", "tanh"]):
        model = MLPClassifier((3, 3), activation, **SPARSE_RANGE).fit(X, y_two)
        with pytest.raises(ValueError, match="one activation for all hidden layers, of identity, logistic, tanh, relu"):
            model.to_sklearn()
    with pytest.raises(ValueError, match="several labels needs the loss 'log_loss', got 'hinge'"):
        LinearClassifier("hinge", **SPARSE_RANGE).fit(X, y_labels).to_sklearn()
    from fasttrain.preprocessing import TablePreprocessor

    with pytest.raises(TypeError, match="nothing in place of fasttrain's TablePreprocessor"):
        interop.to_sklearn(make_pipeline(TablePreprocessor(), SGDClassifier()))
    with pytest.raises(TypeError, match="fasttrain has nothing in place of a PowerTransformer"):
        interop.from_sklearn(sklearn.preprocessing.PowerTransformer())
    with pytest.raises(TypeError, match="StandardScaler cannot be made from a MinMaxScaler"):
        StandardScaler.from_sklearn(sklearn.preprocessing.MinMaxScaler())


# ---- PyTorch ----

ACTIVATIONS = {"relu": "ReLU", "tanh": "Tanh", "logistic": "Sigmoid", "identity": "Identity"}


def torch_network(torch, sizes, activation, dtype):
    layers = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [torch.nn.Linear(fan_in, fan_out, dtype=dtype), getattr(torch.nn, ACTIVATIONS[activation])()]
    return torch.nn.Sequential(*layers[:-1])


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_torch_networks(activation, dtype):
    torch = pytest.importorskip("torch")
    rows = X.astype(dtype)
    tensor = torch.from_numpy(rows)
    close = {"rtol": 1e-5, "atol": 1e-6} if dtype == "float32" else {"rtol": 1e-10, "atol": 1e-12}
    regressor = MLPRegressor(hidden_layer_sizes=(7, 4), activation=activation, **SPARSE_RANGE).fit(rows, y_several)
    network = torch_network(torch, (5, 7, 4, 2), activation, getattr(torch, dtype))
    network.load_state_dict(interop.to_torch_state_dict(regressor))
    with torch.no_grad():
        np.testing.assert_allclose(network(tensor).numpy(), regressor.predict(rows), **close)

    network = torch_network(torch, (5, 6, 3), activation, getattr(torch, dtype))
    model = interop.from_torch_state_dict(network.state_dict(), MLPClassifier(activation=activation), ["a", "b", "c"])
    with torch.no_grad():
        logits = network(tensor)
    np.testing.assert_allclose(model.predict_proba(rows), torch.softmax(logits, 1).numpy(), **close)
    assert model.predict(rows).tolist() == np.array(["a", "b", "c"])[logits.argmax(1).numpy()].tolist()
    assert model.hidden_layer_sizes == (6,)
    assert model.coefs_[0].dtype == dtype
    # it trains on, saves and converts as any other
    assert pickle.loads(pickle.dumps(model)).predict(rows).tolist() == model.predict(rows).tolist()
    np.testing.assert_allclose(model.to_sklearn().predict_proba(rows), model.predict_proba(rows), **close)
    before = model.coefs_[0].copy()
    assert (model.partial_fit(rows, y_three).coefs_[0] != before).any()
    # the weights were copied
    np.testing.assert_array_equal(network[0].weight.detach().numpy().T, before)


def test_torch_networks_of_two_classes():
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(X)
    two = torch_network(torch, (5, 4, 2), "relu", torch.float64)
    model = interop.from_torch_state_dict(two.state_dict(), MLPClassifier())
    with torch.no_grad():
        np.testing.assert_allclose(model.predict_proba(X), torch.softmax(two(tensor), 1).numpy(), rtol=1e-10)
    one = torch_network(torch, (5, 4, 1), "relu", torch.float64)
    model = interop.from_torch_state_dict(one.state_dict(), MLPClassifier(), ["no", "yes"])
    with torch.no_grad():
        np.testing.assert_allclose(model.predict_proba(X)[:, 1], torch.sigmoid(one(tensor))[:, 0].numpy(), rtol=1e-10)
        model = interop.from_torch_state_dict(one.state_dict(), MLPRegressor())
        np.testing.assert_allclose(model.predict(X), one(tensor)[:, 0].numpy(), rtol=1e-10)


def test_state_dicts_of_arrays_need_no_torch():
    weights = {"a.weight": np.ones((1, 5)), "b.weight": np.full((1, 1), 2.0), "b.bias": np.array([1.0])}
    model = interop.from_torch_state_dict(weights, MLPRegressor(activation="identity"))
    np.testing.assert_allclose(model.predict(X), 2 * X.sum(axis=1) + 1)


@pytest.mark.parametrize("state, message", [
    ({}, "at least one Linear layer"),
    ({"0.weight": np.ones((3, 2, 2))}, "0.weight must be the weight of a Linear layer, 2 axes"),
    ({"0.weight": np.ones((3, 2)), "0.running_mean": np.ones(3)}, "only, got '0.running_mean'"),
    ({"0.weight": np.ones((3, 2)), "2.weight": np.ones((1, 4))}, "layer 0 has 3 outputs and the next 4 inputs"),
    ({"0.weight": np.ones((3, 2)), "0.bias": np.ones(2)}, "must have shape"),
    ({"0.weight": np.ones((3, 2)), "2.weight": np.ones((3, 3), np.float32)}, "one dtype"),
])
def test_state_dicts_that_do_not_fit(state, message):
    with pytest.raises(ValueError, match=message):
        interop.from_torch_state_dict(state, MLPRegressor())


def test_classes_that_do_not_fit():
    state = {"0.weight": np.ones((3, 2))}
    with pytest.raises(ValueError, match=r"as many outputs as classes .* got 3 for 2"):
        interop.from_torch_state_dict(state, MLPClassifier(), ["a", "b"])
    with pytest.raises(ValueError, match="classes is for classifiers only"):
        interop.from_torch_state_dict(state, MLPRegressor(), [1, 2, 3])


# ---- ONNX ----


@pytest.mark.parametrize("kind", ["pipeline", "columns", "numbers"])
def test_onnx(kind):
    skl2onnx = pytest.importorskip("skl2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    rows = X.astype(np.float32)
    model = MLPRegressor(hidden_layer_sizes=(4,), **SPARSE_RANGE) if kind == "numbers" else composite(kind)
    model.fit(rows, y_number if kind == "numbers" else y_three)
    options = None if kind == "numbers" else {"zipmap": False}
    exported = skl2onnx.to_onnx(interop.to_sklearn(model), rows[:1], options=options)
    session = onnxruntime.InferenceSession(exported.SerializeToString(), providers=["CPUExecutionProvider"])
    answers = session.run(None, {session.get_inputs()[0].name: rows})
    if kind == "numbers":
        np.testing.assert_allclose(answers[0][:, 0], model.predict(rows), rtol=1e-4, atol=1e-5)
    else:
        assert answers[0].tolist() == model.predict(rows).tolist()
        np.testing.assert_allclose(answers[1], model.predict_proba(rows), rtol=1e-4, atol=1e-5)
