"""Estimators in ``skl2onnx.to_onnx``: onnxruntime predicts what they predict."""

import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
import skl2onnx
from sklearn.datasets import load_iris
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier, VotingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import scale

from fasttrain import linear_model as linear
from fasttrain._kernels.activations import NAMES
from fasttrain.interop import register_onnx
from fasttrain.model_selection import GridSearchCV
from fasttrain.neural_network import MLPClassifier, MLPRegressor
from fasttrain.preprocessing import (
    MaxAbsScaler, MinMaxScaler, OneHotEncoder, OrdinalEncoder, RobustScaler, StandardScaler,
)

pytestmark = [
    pytest.mark.filterwarnings(f"ignore::{ConvergenceWarning.__module__}.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
X, CLASSES = load_iris(return_X_y=True)
X = scale(X)
TARGETS = {
    "three": CLASSES, "two": CLASSES > 0, "words": np.array(["a", "b", "c"])[CLASSES],
    "labels": np.column_stack([CLASSES > 0, CLASSES > 1]).astype(int),
}
NUMBERS = CLASSES + 1.0 + 0.1 * X[:, 0] ** 2
PRECISIONS = {np.float32: 2e-5, np.float64: 1e-6}


@pytest.fixture(autouse=True, scope="module")
def _registered():
    register_onnx()


def run(model, rows, options=None):
    graph = skl2onnx.to_onnx(model, rows[:1], options=options)
    # onnxruntime 1.23, the last one for Python 3.10, fuses into what it has no float64 kernel for
    old = tuple(map(int, onnxruntime.__version__.split(".")[:2])) < (1, 24)
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"],
        disabled_optimizers=["QuickGeluFusion"] if old else None)
    return session.run(None, {session.get_inputs()[0].name: rows})


def assert_same(model, rows=X, precisions=PRECISIONS, options="zipmap"):
    for dtype, tolerance in precisions.items():
        given = rows.astype(dtype)
        labelled = hasattr(model, "classes_")
        out = run(model, given, {options: False} if labelled else None)
        if hasattr(model, "transform"):
            wanted = model.transform(given)
            wanted = wanted.toarray() if hasattr(wanted, "toarray") else wanted
            np.testing.assert_allclose(out[0], wanted, rtol=tolerance, atol=tolerance)
            continue
        wanted = model.predict(given)
        if not labelled:
            np.testing.assert_allclose(out[0].reshape(wanted.shape), wanted, rtol=tolerance, atol=tolerance)
            continue
        assert out[0].shape == wanted.shape
        assert (out[0] == wanted).mean() > 0.99
        if hasattr(model, "predict_proba"):
            np.testing.assert_allclose(out[1], model.predict_proba(given), rtol=0, atol=tolerance)
        else:
            decisions = model.decision_function(given)
            told = out[1][:, -1] if decisions.ndim == 1 else out[1]
            np.testing.assert_allclose(told, decisions, rtol=tolerance, atol=10 * tolerance)


@pytest.mark.parametrize("activation", NAMES)
def test_every_activation(activation):
    assert_same(MLPClassifier((6, 4), activation=activation, max_iter=20, random_state=0).fit(X, CLASSES))
    assert_same(MLPRegressor(hidden_layer_sizes=(6,), activation=activation, max_iter=20, random_state=0).fit(
        3 * X, X[:, :2]), 3 * X)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("parameters", [
    {}, {"activation": ["elu", "tanh"]}, {"batch_norm": "before", "activation": "gelu"},
    *({"loss": loss} for loss in ("hinge", "squared_hinge", "modified_huber", "perceptron")),
], ids=str)
def test_every_output_of_perceptrons(target, parameters):
    model = MLPClassifier((6, 4), max_iter=20, random_state=0, **parameters)
    assert_same(model.fit(X, TARGETS[target]))


@pytest.mark.parametrize("loss", ["squared_error", "poisson", "quantile", "huber"])
@pytest.mark.parametrize("activation", ["relu", "softplus"])
def test_perceptrons_of_numbers(loss, activation):
    assert_same(MLPRegressor(loss, (6,), activation, max_iter=20, random_state=0).fit(X, NUMBERS))


@pytest.mark.parametrize("target", ["three", "two"])
@pytest.mark.parametrize("model", [
    linear.LogisticRegression(), linear.LogisticRegressionCV(Cs=3, use_legacy_attributes=False, scoring="accuracy"),
    linear.SGDClassifier(random_state=0), linear.SGDClassifier("log_loss", random_state=0), linear.LinearClassifier(),
    linear.LinearClassifier("hinge"),
], ids=str)
def test_linear_classifiers(model, target):
    assert_same(model.fit(X, TARGETS[target]))


@pytest.mark.parametrize("model", [linear.RidgeClassifier(), linear.RidgeClassifierCV(), linear.LinearSVC()], ids=str)
def test_decisions_that_skl2onnx_has_in_float32_only(model):
    options = "nocl" if isinstance(model, linear.LinearSVC) else "zipmap"
    assert_same(model.fit(X, CLASSES), precisions={np.float32: 1e-5}, options=options)


@pytest.mark.parametrize("model", [
    linear.LinearRegression(), linear.Ridge(), linear.RidgeCV(), linear.Lasso(0.1), linear.ElasticNet(0.1),
    linear.LassoCV(), linear.ElasticNetCV(), linear.SGDRegressor(random_state=0), linear.LinearRegressor(),
    linear.LinearRegressor("quantile"), linear.LinearRegressor("poisson"), linear.HuberRegressor(), linear.LinearSVR(),
    linear.PoissonRegressor(), linear.GammaRegressor(), linear.TweedieRegressor(power=1.5),
], ids=str)
def test_linear_models_of_numbers(model):
    assert_same(model.fit(X, NUMBERS))


@pytest.mark.parametrize("model", [
    linear.MultiTaskLasso(0.1), linear.MultiTaskElasticNet(0.1), linear.MultiTaskLassoCV(),
    linear.MultiTaskElasticNetCV(), linear.LinearRegressor(), linear.Ridge(), linear.SGDRegressor(random_state=0),
], ids=str)
def test_several_outputs(model):
    assert_same(model.fit(X, X[:, :2] + NUMBERS[:, None]))


@pytest.mark.parametrize("model", [
    StandardScaler(), MinMaxScaler(), MaxAbsScaler(), RobustScaler(), OneHotEncoder(handle_unknown="ignore"),
    OrdinalEncoder(),
], ids=str)
def test_transformers(model):
    assert_same(model.fit(np.round(X)), np.round(X))


def elu():
    return MLPClassifier((5,), activation="elu", max_iter=20, random_state=0)


@pytest.mark.parametrize("model", [
    make_pipeline(StandardScaler(), elu()), GridSearchCV(elu(), {"alpha": [0.1, 1.0]}, cv=2),
    GridSearchCV(make_pipeline(StandardScaler(), elu()), {"mlpclassifier__alpha": [0.1, 1.0]}, cv=2),
    VotingClassifier(
        [("a", linear.LogisticRegression()), ("b", elu())], voting="soft", flatten_transform=False),
    BaggingClassifier(elu(), 2, random_state=0), OneVsRestClassifier(linear.LogisticRegression()),
    StackingClassifier([("a", linear.LogisticRegression()), ("b", linear.LinearClassifier())]),
], ids=str)
def test_inside_others(model):
    model.fit(X, CLASSES)
    given = X.astype(np.float32)
    out = run(model, given, {"zipmap": False})
    assert (out[0] == model.predict(given)).mean() > 0.99
    np.testing.assert_allclose(out[1], model.predict_proba(given), rtol=0, atol=2e-5)


def test_inside_a_vote_on_numbers():
    network = MLPRegressor(hidden_layer_sizes=(5,), activation="elu", max_iter=20, random_state=0)
    model = VotingRegressor([("a", linear.Ridge()), ("b", network)]).fit(X, NUMBERS)
    np.testing.assert_allclose(
        run(model, X.astype(np.float32))[0].ravel(), model.predict(X.astype(np.float32)), rtol=1e-5, atol=1e-5)


SCRIPT = """
{first}
import fasttrain
fasttrain.patch_sklearn()
import numpy as np
from sklearn.linear_model import SGDClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
rng = np.random.default_rng(0)
X = rng.normal(size=(80, 3)).astype(np.float32)
import onnxruntime
from skl2onnx import to_onnx
for last in (SGDClassifier(random_state=0), MLPClassifier((4,), max_iter=500, random_state=0)):
    assert type(last).__module__ == "fasttrain.patch"
    model = make_pipeline(StandardScaler(), last).fit(X, X[:, 0] > 0)
    session = onnxruntime.InferenceSession(to_onnx(model, X[:1]).SerializeToString())
    assert (session.run(None, {{session.get_inputs()[0].name: X}})[0] == model.predict(X)).all()
print("the same")
"""


@pytest.mark.parametrize("first", ["import skl2onnx", ""])
def test_a_patched_script_exports(first, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(first=first))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert done.stdout == "the same\n", done.stderr
