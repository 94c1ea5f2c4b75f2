"""Warnings name the line of the program that called fasttrain, whatever lies between."""

import inspect
import warnings

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline

import fasttrain
from fasttrain import linear_model as linear
from fasttrain.neural_network import MLPClassifier, MLPRegressor
from fasttrain.preprocessing import OneHotEncoder, StandardScaler

X, Y = load_breast_cancer(return_X_y=True)
X = StandardScaler().fit_transform(X)
UNSETTLED = {
    "network": lambda: MLPClassifier((4,), max_iter=2, random_state=0),
    "network of numbers": lambda: MLPRegressor(hidden_layer_sizes=(4,), max_iter=2, random_state=0),
    "network, L-BFGS": lambda: MLPClassifier((4,), max_iter=2, random_state=0, solver="lbfgs"),
    "linear": lambda: linear.LinearClassifier(max_iter=2),
    "linear of numbers": lambda: linear.LinearRegressor(optimizer="adam", max_iter=2),
    "SGD": lambda: linear.SGDClassifier(max_iter=2, random_state=0),
    "SGD of numbers": lambda: linear.SGDRegressor(max_iter=2, random_state=0),
    **{f"logistic, {solver}": (lambda solver=solver: linear.LogisticRegression(solver=solver, max_iter=1))
       for solver in ("lbfgs", "newton-cholesky", "saga")},
    "lasso": lambda: linear.Lasso(1e-3, max_iter=1),
    "lasso, folds": lambda: linear.LassoCV(max_iter=1, alphas=[1e-3]),
    "multi-task": lambda: linear.MultiTaskLasso(1e-3, max_iter=1),
    "Poisson": lambda: linear.PoissonRegressor(max_iter=1),
    "Poisson, Newton": lambda: linear.PoissonRegressor(max_iter=1, solver="newton-cholesky"),
    "Huber": lambda: linear.HuberRegressor(max_iter=1),
    "SVM": lambda: linear.LinearSVC(max_iter=1),
    "ridge, L-BFGS": lambda: linear.Ridge(positive=True, max_iter=1, tol=1e-12),
}


def target(name):
    return np.column_stack([Y, Y]) if name == "multi-task" else Y.astype(float) if "numbers" in name else Y


@pytest.mark.parametrize("name", UNSETTLED)
@pytest.mark.parametrize("way", ["alone", "in a pipeline", "patched"])
def test_of_fits_that_have_not_settled(name, way):
    model, y = UNSETTLED[name](), target(name)
    if way == "in a pipeline":
        model = make_pipeline(StandardScaler(), model)
    if way == "patched":
        fasttrain.patch_sklearn()
        stock = {name: cls for _, (_, cls) in fasttrain.patch._made.items() for name in [cls.__name__]}
        cls = stock.get(type(model).__name__)
        model = model if cls is None else cls(**model.get_params())
        fasttrain.unpatch_sklearn()
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        line = inspect.currentframe().f_lineno + 1
        model.fit(X, y)
    where = {(warning.filename, warning.lineno) for warning in found if warning.category is ConvergenceWarning}
    assert where == {(__file__, line)}


def test_of_values_that_fit_has_not_seen():
    encoder = OneHotEncoder(handle_unknown="warn").fit([["a"], ["b"]])
    with pytest.warns(UserWarning, match="unknown") as found:
        encoder.transform([["c"]])
    assert found[0].filename == __file__
