"""The demo: the same steps as plain NumPy's, in a text that can be read."""

import contextlib
import io
import json
import os

import numpy as np
import pandas as pd
import pytest

from fasttrain.cli import demo
from fasttrain.cli._tutorial import RULES


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """The demo on its two smaller tables."""
    folder = tmp_path_factory.mktemp("demo")
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said):
        every = demo.datasets
        patch.setattr(demo, "datasets", lambda: (d for d in every() if d.name in ("penguins", "diabetes")))
        patch.setattr(demo, "leave_one_out", lambda data: iter(()))
        rows = demo.run(folder / "out")
    return folder / "out", rows, said.getvalue()


def test_the_demo_makes_the_same_steps_as_numpy(shown):
    _, rows, _ = shown
    compared = [row for row in rows if row.library == "fasttrain"]
    assert len(compared) == 2 * len(demo.METHODS) * len(demo.PENALTIES)
    for row in compared:
        if row.model != "RMSprop":
            assert row.largest_difference < 1e-9, row
            assert row.score == pytest.approx(row.numpy_score, abs=1e-9)
        assert row.score > (0.97 if row.dataset == "penguins" else 0.4)
        assert (row.penalty == "l1") == (row.zero_weights is not None)


def test_the_demo_writes_its_results(shown):
    out, rows, text = shown
    assert sorted(os.listdir(out)) == ["loss.png", "results.csv", "results.json"]
    assert len(pd.read_csv(out / "results.csv")) == len(rows)
    assert len(json.loads((out / "results.json").read_text())["rows"]) == len(rows)
    assert str(out / "results.csv") in text
    assert "penguins 11 missing" in text


def test_the_demo_can_be_read(shown):
    """A screen of 24 lines, the leave-one-out lines and all four tables included."""
    _, _, text = shown
    assert len(text.splitlines()) + 4 <= 20
    assert all(len(line) <= 80 for line in text.splitlines() if "comparisons in" not in line)


def test_the_demo_beside_scikit_learn(shown):
    """The models of the same convex objective agree in their scores."""
    _, rows, _ = shown
    for penalty, name in (("l2", "Ridge"), ("l1", "Lasso"), ("none", "LinearRegression")):
        score = {row.model: row.score for row in rows if row.penalty == penalty and row.dataset == "diabetes"}
        assert score["momentum"] == pytest.approx(score[name], abs=0.01)


def test_ctrl_c_in_the_demo_writes_nothing(tmp_path):
    calls = []

    def check():
        calls.append(None)
        if len(calls) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        demo.run(tmp_path / "out", check)
    assert os.listdir(tmp_path) == []


def test_every_rule_of_the_tutorial_is_compared():
    assert {rule for _, rule, _, _ in demo.METHODS} == set(RULES)


def test_leave_one_out_of_the_demo():
    data = next(demo.datasets())
    some = np.r_[0:12, 150:162, 300:312]
    data.X, data.y = data.X.iloc[some], data.y[some]
    ours, theirs = demo.leave_one_out(data)
    assert ours.cv == theirs.cv == "leave-one-out"
    assert ours.score >= 0.9
    assert theirs.score >= 0.9
