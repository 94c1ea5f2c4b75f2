"""Fitted state is put on an estimator in one place: no other line of their packages assigns what a training found."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent.parent / "src" / "fasttrain"
FILES = sorted(path for room in ("linear_model", "neural_network") for path in (SOURCE / room).glob("*.py"))

# Facts of the data, which are known before anything is trained.
OF_DATA = {"classes_", "n_features_in_", "feature_names_in_", "n_outputs_", "out_activation_"}
# What an account notes becomes attributes by set_fitted.
OF_ACCOUNTS = {"a", "account"}
# LinearRegressorCV solves in closed form, without a training.
FILES = [path for path in FILES if path.name != "_closed_form.py"]


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
