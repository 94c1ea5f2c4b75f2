"""The bar of epochs in a Jupyter notebook that has no widgets."""

import importlib.util
import sys
import types

import numpy as np
import pytest

from fasttrain.linear_model import SGDClassifier
from fasttrain.model_selection import GridSearchCV
from fasttrain.neural_network import MLPClassifier

SHOWN = []


class ZMQInteractiveShell:
    pass


class Handle:
    def update(self, data, raw):
        assert raw
        SHOWN.append(data["text/plain"])


def display(data, raw, display_id):
    assert (data, raw, display_id) == ({"text/plain": ""}, True, True)
    return Handle()


@pytest.fixture
def notebook(monkeypatch):
    SHOWN.clear()
    package, module = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    package.get_ipython, module.display, package.display = ZMQInteractiveShell, display, module
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: (
        None if name == "ipywidgets" else found(name, *more)))
    return package


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_a_line_changes_in_place(notebook, capsys):
    MLPClassifier((2,), max_iter=4, progress=True, random_state=0).fit([[0.0], [1.0], [2.0]], [0, 1, 0])
    assert SHOWN[-1].startswith(f"epoch {'━' * 30} 4/4  loss ")
    assert capsys.readouterr() == ("", "")


def test_a_search_shows_its_fits(notebook, capsys):
    X = np.random.default_rng(0).normal(size=(60, 3))
    GridSearchCV(SGDClassifier(random_state=0), {"alpha": [1e-3, 1e-2]}, cv=3, progress=True).fit(X, X[:, 0] > 0)
    assert SHOWN[-1].startswith(f"fit {'━' * 30} ")
    assert capsys.readouterr() == ("", "")


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_a_terminal_is_no_notebook(notebook):
    notebook.get_ipython = lambda: None
    MLPClassifier((2,), max_iter=4, progress=True, random_state=0).fit([[0.0], [1.0], [2.0]], [0, 1, 0])
    assert SHOWN == []
