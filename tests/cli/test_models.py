"""Options become the models they describe, and a fit says plainly what it has not done."""

import gzip
import io
import json
import shlex
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import TransformedTargetRegressor

from fasttrain import optimizers, penalties
from fasttrain.cli import _models
from fasttrain.linear_model import LinearClassifier, SGDClassifier, SGDRegressor
from fasttrain.neural_network import MLPClassifier, MLPRegressor
from fasttrain.persistence import load


def results_of(folder):
    return json.loads((folder / "results.json").read_text())


@pytest.mark.parametrize(
    "model, task, settings, kind, expected",
    [
        ("linear", "classification", {"max_iter": 7, "alpha": None}, LinearClassifier, {"max_iter": 7, "alpha": 1e-4}),
        ("sgd", "classification", {}, SGDClassifier, {"loss": "log_loss", "learning_rate": "optimal"}),
        ("sgd", "regression", {"learning_rate": 0.5}, SGDRegressor, {"eta0": 0.5, "learning_rate": "invscaling"}),
        ("sgd", "regression", {"learning_rate": 0.5, "schedule": "constant", "penalty": "none"}, SGDRegressor,
         {"eta0": 0.5, "learning_rate": "constant", "penalty": None}),
        ("mlp", "classification", {"hidden": (8, 4), "dropout": 0.2, "batch_norm": "after", "alpha": 0.1},
         MLPClassifier, {"hidden_layer_sizes": (8, 4), "dropout": 0.2, "batch_norm": "after", "alpha": 0.1,
                         "penalties": None}),
        ("mlp", "regression", {"learning_rate": 0.5, "hidden": ()}, MLPRegressor,
         {"learning_rate_init": 0.5, "optimizer": None, "hidden_layer_sizes": ()}),
        ("mlp", "regression", {"learning_rate": 0.5, "optimizer": "momentum", "schedule": "cosine"}, MLPRegressor,
         {"optimizer": optimizers.Momentum(learning_rate=0.5), "schedule": "cosine"}),
        ("mlp", "regression", {"penalty": "elasticnet", "alpha": 0.5, "l1_ratio": 0.3}, MLPRegressor,
         {"penalties": penalties.ElasticNet(0.5, 0.3)}),
    ],
)  # fmt: skip
def test_options_become_parameters(model, task, settings, kind, expected):
    found = _models.estimator_of(model, task, settings, seed=3)
    assert type(found) is kind
    assert found.get_params()["random_state"] == 3
    assert {name: found.get_params()[name] for name in expected} == expected


@pytest.mark.parametrize(
    "options, message",
    [
        (("--model", "linear", "--hidden", "8"), "--hidden is not for --model linear; it is for --model mlp"),
        (("--model", "sgd", "--optimizer", "adam"), "--optimizer is not for --model sgd; it is for --model linear and"),
        (("--model", "sgd", "--threads", "2"), "--threads is not for --model sgd"),
        (("--model", "sgd", "--schedule", "cosine"), "learning_rate"),
        (("--model", "mlp", "--batch-size", "full"), "--batch-size full is not for --model mlp"),
        (("--hidden", "8,x"), "--hidden must be whole numbers with commas between them, got '8,x'"),
        (("--hidden", "8,0"), "hidden_layer_sizes"),
        (("--hidden", "-3"), "hidden_layer_sizes"),
        (("--dropout", "1.5"), "dropout"),
        (("--dropout", "half"), "--dropout must be a number"),
        (("--batch-norm", "sideways"), "must be one of before, after, got 'sideways'"),
        (("--activation", "rleu"), "did you mean 'relu'"),
        (("--model", "mlp", "--l1-ratio", "0.5"), "--l1-ratio is for --penalty elasticnet"),
        (("--model", "mlp", "--optimizer", "adm"), "did you mean 'adam'"),
        (("--test", "nothing.csv"), "nothing.csv is not a file"),
        (("--encoding", "klingon"), "encoding must be one that Python knows"),
        (("--sep", "ab"), "--sep must be one character or 'tab', got 'ab'"),
        (("--hiden", "8"), "fit has no option '--hiden'; did you mean '--hidden'?"),
        (("more.csv",), "more.csv"),
    ],
)
def test_bad_options(shell, prices, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    assert message in shell.refused("fit", prices, "--target", "price", "--out", "m", *options)
    assert not (tmp_path / "m").exists()


def test_a_command_that_is_misspelled(shell):
    assert "there is no command 'pedict'; did you mean 'predict'?" in shell.refused("pedict")


@pytest.mark.parametrize("model, least", [("sgd", 0.9), ("mlp", 0.85)])
def test_a_price_is_learnt_whatever_its_unit(shell, houses, tmp_path, model, least):
    """The target is scaled inside: neither its unit nor its offset matters to the score."""
    scores = []
    for factor, offset in ((1, 0), (1e-6, 1e3), (1e6, 0)):
        table = houses.drop(columns="big").assign(price=houses["price"] * factor + offset)
        table.to_csv(tmp_path / "a.csv", index=False)
        shell.done("fit", tmp_path / "a.csv", "--target", "price", "--model", model, "--out", tmp_path / "m")
        scores.append(results_of(tmp_path / "m")["cross_validation"]["scores"]["R2"]["mean"])
        predicted = pd.read_csv(io.StringIO(shell.done("predict", tmp_path / "m", tmp_path / "a.csv")))["price"]
        assert np.corrcoef(predicted, houses["price"])[0, 1] > least
        assert abs(predicted.mean() / (houses["price"] * factor + offset).mean() - 1) < 0.05
    assert scores[0] > least
    np.testing.assert_allclose(scores, scores[0], atol=1e-3)


def test_a_loss_by_name_is_of_the_target_as_it_is():
    assert _models.scales_target("mlp", "regression", {})
    assert not _models.scales_target("mlp", "regression", {"loss": "poisson"})
    assert not _models.scales_target("mlp", "classification", {})


def test_the_saved_model_needs_no_wrapper(shell, prices, tmp_path):
    shell.done("fit", prices, "--target", "price", "--hidden", "8", "--out", tmp_path / "m", "--cv", 0)
    assert type(load(tmp_path / "m")[-1]) is MLPRegressor
    assert not isinstance(load(tmp_path / "m")[-1], TransformedTargetRegressor)


def test_auto_is_a_network_where_an_option_asks_for_one(shell, prices, tmp_path):
    for options, model in (((), "linear"), (("--hidden", "8"), "mlp"), (("--dropout", "0.1"), "mlp")):
        given = ("--target", "price", "--out", tmp_path / "m", "--cv", 0, "--max-iter", 3)
        assert f"{model} regression" in shell.done("fit", prices, *given, *options)
        assert results_of(tmp_path / "m")["model"] == model


@pytest.mark.parametrize("model", ["linear", "sgd", "mlp"])
def test_a_fit_that_has_not_arrived_says_so_last(shell, prices, tmp_path, model):
    given = ("fit", prices, "--target", "price", "--model", model, "--out", tmp_path / "m", "--cv", 0)
    optimizer = [] if model == "sgd" else ["--optimizer", "adam"]
    last = shell.done(*given, "--max-iter", 2, *optimizer).splitlines()[-1]
    assert last.startswith("NOT CONVERGED after 2 passes: ")
    assert "--max-iter" in last
    final = results_of(tmp_path / "m")["final_fit"]
    assert final["converged"] is False
    assert final["hint"] in last
    assert "Not converged" in (tmp_path / "m" / "report.html").read_text()


@pytest.mark.parametrize("model", ["linear", "sgd", "mlp"])
def test_auto_is_what_a_model_takes_untold(shell, prices, tmp_path, model):
    given = ("fit", prices, "--target", "price", "--model", model, "--cv", 0, "--max-iter", 5)
    shell.done(*given, "--out", tmp_path / "untold")
    shell.done(*given, "--out", tmp_path / "told", "--penalty", "auto", *(
        [] if model == "sgd" else ["--optimizer", "auto"]))
    assert results_of(tmp_path / "told")["estimator"] == results_of(tmp_path / "untold")["estimator"]


def test_the_losses_of_several_classes_are_one_curve(shell, tmp_path):
    """SGDClassifier has a curve for each class against the rest, of different lengths."""
    shell.done("sample", "--out", tmp_path / "p.csv")
    given = ("fit", tmp_path / "p.csv", "--target", "species", "--impute", "--model", "sgd", "--cv", 0)
    shell.done(*given, "--out", tmp_path / "m")
    final = results_of(tmp_path / "m")["final_fit"]
    assert len(final["loss_curve"]) == final["passes"]
    assert final["loss"] == final["loss_curve"][-1]
    assert all(type(value) is float for value in final["loss_curve"])


def test_a_fit_that_has_arrived_does_not_say_otherwise(shell, houses, tmp_path):
    houses.drop(columns="price").to_csv(tmp_path / "a.csv", index=False)
    out = shell.done(
        "fit", tmp_path / "a.csv", "--target", "big", "--optimizer", "lbfgs", "--penalty", "l2", "--alpha", "0.1",
        "--out", tmp_path / "m", "--cv", 0,
    )  # fmt: skip
    assert "NOT CONVERGED" not in out
    assert results_of(tmp_path / "m")["final_fit"]["converged"] is True


def test_a_test_file(shell, houses, tmp_path):
    houses.drop(columns="big").head(120).to_csv(tmp_path / "train.csv", index=False)
    rest = houses.drop(columns="big").tail(40)
    rest.to_parquet(tmp_path / "test.parquet")
    given = ("fit", tmp_path / "train.csv", "--target", "price", "--model", "mlp", "--out", tmp_path / "m")
    out = shell.done(*given, "--test", tmp_path / "test.parquet")
    assert "test" in out
    found = results_of(tmp_path / "m")["test"]
    assert found["rows"] == 40
    predicted = load(tmp_path / "m").predict(rest.drop(columns="price"))
    residual = ((predicted - rest["price"]) ** 2).sum() / ((rest["price"] - rest["price"].mean()) ** 2).sum()
    assert found["scores"]["R2"] == pytest.approx(1 - residual)
    rest.drop(columns="area").to_csv(tmp_path / "bad.csv", index=False)
    assert "bad.csv lacks the column 'area'" in shell.refused(*given, "--test", tmp_path / "bad.csv")
    rest.assign(area=np.nan).to_csv(tmp_path / "bad.csv", index=False)
    assert "has missing values (area 40): pass --impute" in shell.refused(*given, "--test", tmp_path / "bad.csv")


def test_cells_that_cannot_be_read(shell, houses, tmp_path):
    path, out = tmp_path / "t.csv", ("--out", tmp_path / "m")
    area = houses["area"].astype(str)
    area[7] = "large"
    houses.assign(area=area).to_csv(path, index=False)
    expected = (
        "t.csv: column 'area' has 1 missing values ('large' among them, as no numeric value): pass --drop-missing to "
        "drop such rows, --impute to fill them or --column area=categorical")
    assert expected in shell.refused("fit", path, "--target", "price", *out)
    assert expected in shell.refused("compare", path, "--target", "price")
    assert expected in shell.refused("search", path, "--target", "price", "--budget", "2s", *out)
    assert "1 rows dropped (missing), 159 rows left" in shell.done(
        "fit", path, "--target", "price", "--drop-missing", *out)
    assert "160 rows left" in shell.done("fit", path, "--target", "price", "--impute", *out)
    houses.assign(area=area).rename(columns={"area": "it's big"}).to_csv(path, index=False)
    told = shell.refused("fit", path, "--target", "price", *out)
    assert shlex.split(told.partition("--column ")[2])[0] == "it's big=categorical"


def test_rows_are_dropped_of_a_table_whose_only_text_names_them(shell, houses, tmp_path):
    table = houses.drop(columns=["place", "big"]).assign(who=[f"house {i}" for i in range(160)])
    table.loc[7, "rooms"] = np.nan
    table.to_csv(tmp_path / "t.csv", index=False)
    assert "1 rows dropped (missing), 159 rows left" in shell.done(
        "fit", tmp_path / "t.csv", "--target", "price", "--drop-missing", "--out", tmp_path / "m")


def test_a_class_of_its_own_for_every_row(shell, houses, tmp_path):
    houses.assign(name=[f"house {i // 2}" for i in range(160)]).to_csv(tmp_path / "t.csv", index=False)
    given = ("fit", tmp_path / "t.csv", "--target", "name", "--max-iter", "2", "--out", tmp_path / "m")
    assert (
        "the target 'name' has 80 classes in 160 rows, none of them in as many as the 5 folds: pass --cv 2, or --cv 0"
        in shell.refused(*given))
    shell.done(*given, "--cv", "0")


def test_a_test_file_with_another_class(shell, houses, tmp_path):
    houses.drop(columns="price").to_csv(tmp_path / "a.csv", index=False)
    houses.drop(columns="price").assign(big="perhaps").to_csv(tmp_path / "b.csv", index=False)
    err = shell.refused(
        "fit", tmp_path / "a.csv", "--target", "big", "--out", tmp_path / "m", "--test", tmp_path / "b.csv"
    )
    assert "holds 'perhaps', which the training has not" in err


def test_from_standard_input_to_a_folder_of_its_own(shell, prices, tmp_path, monkeypatch):
    content = gzip.compress(prices.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    shell.done("fit", "-", "--target", "price", "--cv", 0)
    assert (tmp_path / "model" / "report.html").exists()
    (tmp_path / "p.tsv.gz").write_bytes(gzip.compress(prices.read_bytes().replace(b",", b"\t")))
    shell.done("fit", "p.tsv.gz", "--target", "price", "--cv", 0)
    assert (tmp_path / "p-model" / "model.json").exists()
    first = shell.done("predict", "p-model", "p.tsv.gz")
    assert shell.done("predict", "model", prices) == first


@pytest.fixture
def holed(houses, tmp_path):
    houses.drop(columns="price").to_csv(tmp_path / "a.csv", index=False)
    rows = houses.drop(columns=["price", "big"]).head(4)
    rows.loc[1, "area"] = np.nan
    rows.to_csv(tmp_path / "rows.csv", index=False)
    rows.dropna().assign(place=["moon", "centre", "moon"]).to_csv(tmp_path / "far.csv", index=False)
    return tmp_path


def test_predict_says_what_to_do_about_holes(shell, holed):
    shell.done("fit", holed / "a.csv", "--target", "big", "--out", holed / "m", "--cv", 0)
    err = shell.refused("predict", holed / "m", holed / "rows.csv")
    assert "'area'" in err
    assert "1 missing values (first in row 2)" in err
    assert "--missing empty" in err
    assert "--impute" in err
    lines = shell.done("predict", holed / "m", holed / "rows.csv", "--missing", "empty", "--proba").splitlines()
    assert lines[0] == "big,P(no),P(yes)"
    assert [line == ",," for line in lines[1:]] == [False, True, False, False]
    shell.done("fit", holed / "a.csv", "--target", "big", "--out", holed / "n", "--cv", 0, "--impute")
    code, filled, err = shell("predict", holed / "n", holed / "rows.csv")
    assert code == 0
    assert set(filled.splitlines()[1:]) <= {"yes", "no"}
    assert err == "note: the column 'area' has 1 row without a value, for which the training's stands in\n"


def test_predict_says_what_to_do_about_words_it_does_not_know(shell, holed):
    shell.done("fit", holed / "a.csv", "--target", "big", "--out", holed / "m", "--cv", 0)
    err = shell.refused("predict", holed / "m", holed / "far.csv")
    assert "'moon'" in err
    assert "pass --unknown ignore to predict such rows" in err
    code, text, err = shell("predict", holed / "m", holed / "far.csv", "--unknown", "ignore")
    assert code == 0
    assert len(text.splitlines()) == 4
    assert err == "note: the column 'place' has 2 rows with what the training has not seen ('moon')\n"


def test_formulas_are_made_harmless(shell, tmp_path):
    """Labels and headings that a spreadsheet would run; numbers keep their sign."""
    n = 60
    label = np.where(np.arange(n) % 2 == 0, "=1+1", "@SUM(A1)")
    table = pd.DataFrame({"a": np.arange(n) % 2 + 0.1, "=t": label, "-n": -np.arange(n) - 100.5})
    table.to_csv(tmp_path / "a.csv", index=False)
    shell.done("fit", tmp_path / "a.csv", "--target==t", "--out", tmp_path / "m", "--cv", 0)
    plain = shell.done("predict", tmp_path / "m", tmp_path / "a.csv", "--proba").splitlines()
    assert plain[0].split(",")[0] == "=t"
    safe = shell.done("predict", tmp_path / "m", tmp_path / "a.csv", "--proba", "--safe-csv").splitlines()
    assert safe[0] == "'=t,P(=1+1),P(@SUM(A1))"
    for before, after in zip(plain[1:], safe[1:]):
        assert after == "'" + before
    shell.done("fit", tmp_path / "a.csv", "--target=-n", "--out", tmp_path / "n", "--cv", 0, "--model", "sgd")
    assert shell.done("predict", tmp_path / "n", tmp_path / "a.csv", "--safe-csv").splitlines()[1].startswith("-")


def test_info_of_a_model(shell, holed, tmp_path):
    shell.done("fit", holed / "a.csv", "--target", "big", "--out", holed / "m", "--impute", "--hidden", "8", "--cv", 3)
    text = shell.done("info", holed / "m")
    for words in ("predicts    'big'", "classes     no, yes", "MLPClassifier(", "160 rows", "accuracy", "fasttrain fit",
                  "area", "categorical", "become centre" if "centre" in text else "become"):
        assert words in text
    n_inputs = 2 + 3
    assert f"weights     {n_inputs * 8 + 8 + 8 + 1}" in text
    assert "is not a folder with a model" in shell.refused("info", tmp_path / "none")


def test_info_of_a_model_of_ones_own(shell, tmp_path):
    from fasttrain import save

    X, y = np.arange(20.0).reshape(10, 2), np.arange(10) % 2
    save(LinearClassifier(max_iter=2).fit(X, y), tmp_path / "m")
    assert "LinearClassifier(" in shell.done("info", tmp_path / "m")
    assert "not a model that 'fasttrain fit' has written" in shell.refused("predict", tmp_path / "m", tmp_path / "m")


def test_the_sample_is_the_penguins(shell, tmp_path):
    text = shell.done("sample")
    table = pd.read_csv(io.StringIO(text))
    assert table.shape == (344, 8)
    assert table["species"].value_counts().to_dict() == {"Adelie": 152, "Gentoo": 124, "Chinstrap": 68}
    shell.done("sample", "--out", tmp_path / "p.csv")
    assert (tmp_path / "p.csv").read_text() == text
    assert "is a folder" in shell.refused("sample", "--out", tmp_path)
    assert "does not exist" in shell.refused("sample", "--out", tmp_path / "no" / "p.csv")
