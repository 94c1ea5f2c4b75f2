"""Fitted state is put on an estimator in one place: no other line of their packages assigns what a training found."""

import ast
from pathlib import Path

import numpy as np
import pytest

from fasttrain._estimators.fitted import set_fitted
from fasttrain.linear_model import LinearRegressor, LinearRegressorCV
from fasttrain.neural_network import MLPClassifier
from fasttrain.training import DivergenceError

SOURCE = Path(__file__).parent.parent.parent / "src" / "fasttrain"
FILES = sorted(path for room in ("linear_model", "neural_network") for path in (SOURCE / room).glob("*.py"))

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 5))
Y = X[:, 0]

# Facts of the data, which are known before anything is trained.
OF_DATA = {"classes_", "n_features_in_", "feature_names_in_", "n_outputs_", "out_activation_"}
# What an account notes becomes attributes by set_fitted.
OF_ACCOUNTS = {"a", "account"}


def assigned(path):
    """(line, object, attribute) of each assignment to a public attribute of a fit."""
    tree = ast.parse(path.read_text())
    accounts = {
        id(node) for cls in ast.walk(tree) if isinstance(cls, ast.ClassDef) and cls.name == "Account"
        for node in ast.walk(cls)
    }
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)) or id(node) in accounts:
            continue
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            for part in ast.walk(target):
                if isinstance(part, ast.Attribute) and part.attr.endswith("_") and not part.attr.startswith("_"):
                    yield part.lineno, ast.unparse(part.value), part.attr


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_only_set_fitted_assigns_what_was_trained(path):
    found = [
        (line, owner, name) for line, owner, name in assigned(path)
        if name not in OF_DATA and owner not in OF_ACCOUNTS
    ]
    assert found == []


def test_the_reader_sees_assignments(tmp_path):
    file = tmp_path / "module.py"
    file.write_text("self.coef_ = 1\nself.x_, y = 1, 2\nself._private_ = 3\nself.n_iter_ += 1\na.t_ = 2\n")
    assert [name for _, _, name in assigned(file)] == ["coef_", "x_", "n_iter_", "t_"]


@pytest.mark.filterwarnings("ignore:overflow encountered", "ignore:invalid value", "ignore:divide by zero")
@pytest.mark.parametrize("estimator, X, y", [
    (MLPClassifier((6,), batch_norm="before", max_iter=3, random_state=0), (1e30 * X).astype(np.float32), Y > 0),
    (LinearRegressorCV(), X, 1e308 * np.sign(Y)),
    (LinearRegressorCV(), 1e300 * X, Y),
], ids=["moving variance", "targets", "features"])
def test_what_is_fitted_is_finite(estimator, X, y):
    before = dict(vars(estimator))
    with pytest.raises(ValueError, match=r"not finite|squares"):
        estimator.fit(X, y)
    assert {name for name in vars(estimator) if name.endswith("_")} <= {"n_features_in_"}
    assert all(vars(estimator)[name] is value for name, value in before.items())


def test_nothing_is_set_that_is_not_finite():
    model = LinearRegressor()
    for value in (np.array([1.0, np.inf]), [np.ones(2), np.array([np.nan])], [{"mean": np.array([np.inf])}], np.nan):
        with pytest.raises(DivergenceError, match="coef_ of LinearRegressor would hold numbers that are not finite"):
            set_fitted(model, {"coef_": value, "intercept_": 0.0}, {"n_iter_": 1})
        assert not hasattr(model, "intercept_")
    set_fitted(model, {"coef_": np.ones(2), "_hidden": [("relu", 0.0)], "batch_norm_": None}, {"n_iter_": 1})
    assert model.n_iter_ == 1
