"""cross_validate, cross_val_predict and the curves over batches, against scikit-learn's functions."""

import warnings

import numpy as np
import pytest
from identifiers import without_address
from sklearn import model_selection as peer
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from search_cases import IRIS, MLP, NUMBERS, REGRESSOR, SGD, X, outcome, same, y

from fasttrain import model_selection as ours
from fasttrain.linear_model import LinearClassifier, LinearRegressor, SGDClassifier, SGDRegressor
from fasttrain.preprocessing import StandardScaler

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

FULL = LinearClassifier(max_iter=20, optimizer="adam", batch_size="full")
SCALED = make_pipeline(StandardScaler(), SGDClassifier("log_loss", max_iter=8, tol=None, random_state=0))
MODELS = {"sgd": SGD, "full": FULL, "network": MLP, "scaled": SCALED}


@pytest.mark.parametrize("scoring", [None, "accuracy", "f1", ["accuracy", "roc_auc"], lambda m, X, y: 0.25],
                         ids=without_address)
@pytest.mark.parametrize("name", MODELS)
def test_cross_validate(name, scoring, batches):
    found, expected = (
        module.cross_validate(MODELS[name], X, y, cv=4, scoring=scoring, return_train_score=True, return_indices=True,
                              return_estimator=True)
        for module in (ours, peer))
    assert len(batches) == 1
    models, models_too = found.pop("estimator"), expected.pop("estimator")
    for one, other in zip(models, models_too):
        assert set(vars(one)) == set(vars(other))
        np.testing.assert_array_equal(one.predict(X), other.predict(X))
    indices, indices_too = found.pop("indices"), expected.pop("indices")
    for part in ("train", "test"):
        for one, other in zip(indices[part], indices_too[part]):
            np.testing.assert_array_equal(one, other)
    same(found, expected)
    for values in (value for key, value in found.items() if "score" in key):
        assert values.dtype == np.float64


@pytest.mark.parametrize("scoring", [None, "neg_log_loss", ["accuracy", "roc_auc"]], ids=str)
@pytest.mark.parametrize("name", ["full", "scaled"])
def test_leave_one_out(name, scoring, batches):
    """A score of one row is scikit-learn's; what one row has no score for is pooled."""
    part = slice(30, 75)
    found = ours.cross_validate(MODELS[name], X[part], y[part], cv=peer.LeaveOneOut(), scoring=scoring)
    assert len(batches) == 1
    expected = peer.cross_validate(MODELS[name], X[part], y[part], cv=peer.LeaveOneOut(), scoring="accuracy")
    accuracy = found.get("test_accuracy", found["test_score"] if scoring is None else None)
    if accuracy is not None:
        np.testing.assert_array_equal(accuracy, expected["test_score"])
    if isinstance(scoring, str):
        from sklearn.metrics import log_loss

        probabilities = peer.cross_val_predict(
            MODELS[name], X[part], y[part], cv=peer.LeaveOneOut(), method="predict_proba")
        np.testing.assert_allclose(found["test_score"], -log_loss(y[part], probabilities), rtol=1e-9)


FEW = {
    "binary": (SGD, (X[:60], y[:60])),
    "labels": (SGD, (X[:60], np.array(["no", "yes"])[y[:60]])),
    "multiclass": (SGD, tuple(part[::3] for part in IRIS)),
    "lacking a class": (SGD, (X[:30], np.r_[y[:29], 2])),
    "averaged": (SGDClassifier(average=True, random_state=0, max_iter=8, tol=None), (X[:60], y[:60])),
    "balanced": (SGDClassifier(class_weight="balanced", random_state=0, max_iter=8, tol=None), (X[:60], y[:60])),
    "single precision": (SGD, (X[:60].astype(np.float32), y[:60])),
    "numbers": (REGRESSOR, tuple(part[:60] for part in NUMBERS)),
    "counts": (SGDRegressor("poisson", random_state=0, max_iter=8, tol=None), (X[:60], y[:60])),
    "several outputs": (REGRESSOR, (NUMBERS[0][:60], np.c_[NUMBERS[1], NUMBERS[1] ** 2][:60] / 100)),
}


@pytest.mark.parametrize("cv", [peer.LeaveOneOut(), peer.KFold(11), peer.LeavePOut(2)], ids=["one", "k", "two"])
@pytest.mark.parametrize("name", FEW)
def test_few_rows_to_a_fold(name, cv, batches):
    model, (rows, target) = FEW[name]
    if isinstance(cv, peer.LeavePOut):
        rows, target = rows[::5], target[::5]
    scoring = ["accuracy", "balanced_accuracy"] if is_classifier(model) else ["neg_mean_squared_error", "r2"]
    for wanted in scoring[:1], scoring:
        if isinstance(cv, peer.LeaveOneOut) and len(wanted) > 1:
            # pooled over the folds, which scikit-learn's are not
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            same(*(module.cross_validate(model, rows, target, cv=cv, scoring=wanted) for module in (ours, peer)))
    assert batches


def test_every_fold_warns():
    model = SGDClassifier(max_iter=2, tol=1e-9, random_state=0)
    for cv in peer.LeaveOneOut(), 3:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            ours.cross_val_score(model, X, y, cv=cv)
        assert len(caught) == (len(X) if cv != 3 else 3)
        assert {warning.category for warning in caught} == {ConvergenceWarning}


@pytest.mark.parametrize("method", ["predict", "decision_function", "predict_proba", "predict_log_proba"])
@pytest.mark.parametrize("name", ["full", "network", "scaled"])
def test_predict(name, method, batches):
    for target in (y, np.array(["no", "yes"])[y]):
        if name == "network" and method == "decision_function":
            continue
        found, expected = (
            module.cross_val_predict(MODELS[name], X, target, cv=4, method=method) for module in (ours, peer))
        if found.dtype.kind == "f":
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
        else:
            np.testing.assert_array_equal(found, expected)
    assert len(batches) == 2 or name == "network"


@pytest.mark.parametrize("name", ["sgd", "full", "network", "numbers"])
def test_weighted_rows(name, batches):
    estimator, data = (REGRESSOR, NUMBERS) if name == "numbers" else (MODELS[name], (X, y))
    weights = np.linspace(0.1, 3, len(data[0]))
    for given in (weights, weights.tolist()):
        same(*(module.cross_validate(estimator, *data, cv=4, params={"sample_weight": given}, return_train_score=True)
               for module in (ours, peer)))
    for one, other in zip(*(
        module.learning_curve(estimator, *data, cv=3, train_sizes=[0.5, 1.0], params={"sample_weight": weights})
        for module in (ours, peer)
    ), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)
    assert len(batches) == 3
    unweighted = ours.cross_validate(estimator, *data, cv=4, scoring="neg_log_loss" if name == "full" else None)
    weighted = ours.cross_validate(
        estimator, *data, cv=4, scoring="neg_log_loss" if name == "full" else None, params={"sample_weight": weights})
    assert (weighted["test_score"] != unweighted["test_score"]).any()


@pytest.mark.parametrize("name", ["sgd", "full", "network"])
def test_bad_weights(name):
    none_in_a_fold = np.r_[np.ones(60), np.zeros(60)]
    folds = [(np.arange(90), np.arange(90, 120)), (np.arange(60, 120), np.arange(60))]
    for weights in (none_in_a_fold, np.zeros(120), np.ones(5), np.full(120, np.nan)):
        (found, warned), (expected, warned_too) = both(
            lambda module, w=weights: module.cross_validate(MODELS[name], X, y, cv=folds, params={"sample_weight": w}))
        assert warned == warned_too
        if isinstance(expected, tuple):
            assert found == expected
        else:
            same(found, expected)


def both(call):
    """Outcomes of ours and of scikit-learn's."""
    return [outcome(lambda module=module: call(module)) for module in (ours, peer)]


def test_predict_more():
    """Several classes, one of which a fold lacks; numbers; what cannot be predicted."""
    order = np.random.RandomState(0).permutation(150)
    data = IRIS[0][order], IRIS[1][order]
    for method in ("predict", "decision_function"):
        found, expected = (
            module.cross_val_predict(SGD, *data, cv=5, method=method) for module in (ours, peer))
        np.testing.assert_allclose(found, expected, rtol=1e-9)
    for n_folds in (3, 4):
        # in order, three folds leave two classes each, which scikit-learn refuses, and four leave three
        (found, warned), (expected, warned_too) = both(
            lambda module, n=n_folds: module.cross_val_predict(
                SGD, *IRIS, cv=peer.KFold(n), method="decision_function"))
        if n_folds == 3:
            assert found == expected
        else:
            np.testing.assert_allclose(found, expected, rtol=1e-9)
        assert warned == warned_too
    for estimator in (REGRESSOR, LinearRegressor(max_iter=10, optimizer="adam", batch_size="full")):
        found, expected = (module.cross_val_predict(estimator, *NUMBERS, cv=3) for module in (ours, peer))
        np.testing.assert_allclose(found, expected, rtol=1e-9)
    for options in ({"method": "predict_proba"}, {"cv": peer.ShuffleSplit(3, random_state=0)}, {"method": "transform"}):
        (found, _), (expected, _) = both(lambda module, o=options: module.cross_val_predict(SGD, X, y, **o))
        assert found[0] is expected[0]


@pytest.mark.parametrize("name", ["sgd", "full", "network", "scaled"])
def test_validation_curve(name, batches):
    parameter = "sgdclassifier__alpha" if name == "scaled" else "alpha"
    for scoring in (None, "f1"):
        found, expected = (
            module.validation_curve(
                MODELS[name], X, y, param_name=parameter, param_range=[1e-2, 1e-1, 1.0], cv=3, scoring=scoring)
            for module in (ours, peer))
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9)
            assert one.shape == (3, 3)
    assert len(batches) == 2


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("name", ["sgd", "full", "network", "scaled"])
def test_learning_curve(name, shuffle, batches):
    found, expected = (
        module.learning_curve(
            MODELS[name], X, y, train_sizes=[0.3, 0.6, 1.0], cv=3, shuffle=shuffle, random_state=4, return_times=True)
        for module in (ours, peer))
    assert len(batches) == 1
    for one, other in zip(found[:3], expected[:3], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)
    assert [part.shape for part in found] == [part.shape for part in expected]


def test_curves_with_errors():
    rare = np.r_[np.zeros(60, int), np.ones(60, int)]
    for call in (
        lambda module: module.learning_curve(SGD, X, rare, cv=peer.KFold(3), train_sizes=[20, 80]),
        lambda module: module.validation_curve(SGD, X, y, cv=3, param_name="alhpa", param_range=[1]),
        lambda module: module.validation_curve(SGD, X, y, cv=3, param_name="alpha", param_range=[-1.0, 1e-2]),
        lambda module: module.learning_curve(SGD, X, y, cv=3, train_sizes=[1000]),
    ):
        (found, warned), (expected, warned_too) = both(call)
        assert warned == warned_too
        if isinstance(expected[0], type):
            assert found == expected
        else:
            for one, other in zip(found, expected, strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-9)


def test_incremental_learning_is_scikit_learns(batches):
    found, expected = (
        module.learning_curve(SGD, X, y, cv=3, exploit_incremental_learning=True, train_sizes=[0.5, 1.0])
        for module in (ours, peer))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not batches
