"""compare and search: the same folds for all, within the budget, and a winner that can be fitted again."""

import json
import shlex
import sys

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, cross_val_score

from fasttrain.cli import _comparing, _job, _searching
from fasttrain.cli._models import peers
from fasttrain.preprocessing import TablePreprocessor


def test_all_models_on_the_same_folds(shell, prices, tmp_path):
    out = shell.done("compare", prices, "--target", "price", "--cv", 3, "--out", tmp_path / "c.json")
    found = json.loads((tmp_path / "c.json").read_text())
    models = {(line["library"], line["model"]): line for line in found["models"]}
    assert list(models)[:4] == [("", "baseline"), ("fasttrain", "linear"), ("fasttrain", "sgd"), ("fasttrain", "mlp")]
    for name in (("scikit-learn", "Ridge"), ("scikit-learn", "SGDRegressor"), ("scikit-learn", "MLPRegressor")):
        assert name in models
    for line in models.values():
        assert line["error"] is None
        assert line["seconds"] > 0
        assert line["score"] == pytest.approx(np.mean(line["of_folds"]))
        assert line["model"] in out
    # the same estimator, the same draws
    ours, theirs = models["fasttrain", "sgd"], models["scikit-learn", "SGDRegressor"]
    assert ours["of_folds"] == pytest.approx(theirs["of_folds"], abs=1e-9)
    assert models["", "baseline"]["score"] < 0.1
    # and what scikit-learn says of it by itself
    problem = _job.problem_of(_job.Job(prices, "price", folds=3))
    X = TablePreprocessor(types=problem.encoder.types).fit_transform(problem.X)
    by_hand = cross_val_score(Ridge(), X, problem.y, cv=KFold(3, shuffle=True, random_state=0))
    assert models["scikit-learn", "Ridge"]["of_folds"] == pytest.approx(by_hand, abs=0.01)


def test_some_models_by_another_metric(shell, houses, tmp_path):
    houses.to_csv(tmp_path / "a.csv", index=False)
    given = ("compare", tmp_path / "a.csv", "--target", "big", "--cv", 2)
    out = shell.done(*given, "--models", "linear", "--no-peers", "--metric", "log-loss")
    assert "scikit-learn" not in out
    assert "mlp" not in out
    assert "log-loss" in out
    assert "--metric for classification must be one of" in shell.refused(*given, "--metric", "r2")
    assert "--models must be some of" in shell.refused(*given, "--models", "linear,forest")
    assert "compare needs folds" in shell.refused(*given, "--cv", "0")
    assert "does not exist" in shell.refused(*given, "--out", tmp_path / "no" / "c.json")


def test_a_model_that_fails_is_a_line_of_its_own(prices, monkeypatch):
    class Broken(Ridge):
        def fit(self, X, y):
            raise ValueError("not\nfor me")

    monkeypatch.setattr(_comparing, "peers", lambda task, seed: [("mine", "Broken", Broken(), False)])
    _, lines = _comparing.compare(_job.problem_of(_job.Job(prices, "price", folds=2)), wanted=["sgd"])
    assert [line.model for line in lines] == ["baseline", "sgd", "Broken"]
    assert lines[-1].error == "not for me"
    assert lines[1].score > 0.9


def test_lightgbm_where_it_is_installed(monkeypatch):
    class LGBM:
        def __init__(self, **options):
            self.options = options

    monkeypatch.setitem(sys.modules, "lightgbm", type("lightgbm", (), {"LGBMClassifier": LGBM, "LGBMRegressor": LGBM}))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: True)
    assert [library for library, *_ in peers("regression")][-1] == "LightGBM"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert {library for library, *_ in peers("classification")} == {"scikit-learn"}


def test_a_search_finds_what_can_be_fitted_again(shell, houses, tmp_path):
    houses.drop(columns="price").to_csv(tmp_path / "a.csv", index=False)
    given = (tmp_path / "a.csv", "--target", "big", "--leave-out", "rooms", "--cv", 3)
    out = shell.done("search", *given, "--budget", "6s", "--out", tmp_path / "m")
    found = json.loads((tmp_path / "m" / "results.json").read_text())
    search = found["search"]
    assert search["candidates"] >= 8
    assert {bracket["model"] for bracket in search["brackets"]} == {"linear", "mlp"}
    means = [np.mean(candidate["scores"]) for candidate in search["ranking"]]
    assert means == sorted(means, reverse=True)
    assert found["cross_validation"]["scores"]["accuracy"]["mean"] == pytest.approx(means[0])
    command = out.splitlines()[-1].removeprefix("As a command: ")
    assert command == found["command"]
    again = shlex.split(command)
    assert again[:2] == ["fasttrain", "fit"]
    again[again.index("--out") + 1] = str(tmp_path / "n")
    shell.done(*again[1:])
    repeated = json.loads((tmp_path / "n" / "results.json").read_text())
    assert repeated["cross_validation"]["scores"] == found["cross_validation"]["scores"]
    assert repeated["estimator"] == found["estimator"]


@pytest.mark.parametrize("budget, seconds", [("60s", 60), ("90", 90), ("1.5m", 90), ("2h", 7200), ("3min", 180)])
def test_budgets(budget, seconds):
    from fasttrain.cli._parser import duration

    assert duration(budget) == seconds


@pytest.mark.parametrize("budget", ["0", "-3s", "soon", "nan", "1d", ""])
def test_bad_budgets(shell, prices, budget):
    message = "--budget must be a time such as 60s, 5m or 1h"
    assert message in shell.refused("search", prices, "--target", "price", f"--budget={budget}")


def test_more_time_more_candidates(prices):
    problem = _job.problem_of(_job.Job(prices, "price", folds=2))
    found = [_searching.Search(problem, budget, ["linear"]).run() for budget in (1.0, 5.0)]
    assert found[0].n_candidates < found[1].n_candidates
    assert max(c.race_score for c in found[1].ranking if c.race_score is not None) > 0.8


def test_too_few_rows_for_a_search(shell, tmp_path):
    (tmp_path / "a.csv").write_text("a,t\n1,x\n2,y\n3,x\n")
    given = ("search", tmp_path / "a.csv", "--target", "t", "--cv", 2, "--budget", "1s")
    assert "cannot be split" in shell.refused(*given)
