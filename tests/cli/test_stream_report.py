"""A fit in blocks: folds, a test file, importances, and a script in the report that does what the command did."""

import html
import json
import re

import numpy as np
import pandas as pd
import pytest

from fasttrain.persistence import load


@pytest.fixture(scope="module")
def flats():
    rng = np.random.default_rng(0)
    n = 1500
    table = pd.DataFrame({
        "size": rng.uniform(20, 200, n), "town": rng.choice(["Bonn", "Ulm", "Jena"], n),
        "code": rng.choice(["007", "08", "9"], n),
    })
    table["price"] = table["size"] * 3 + (table["town"] == "Ulm") * 80 + rng.standard_normal(n)
    table["dear"] = np.where(table["price"] > table["price"].median(), "yes", "no")
    return table


@pytest.fixture
def here(flats, tmp_path, monkeypatch):
    """A folder of Parquet files and a CSV file, with holes, in the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flats").mkdir()
    holed = flats.copy()
    holed.loc[[3, 700, 1200], "size"] = np.nan
    holed.loc[[4, 1100], ["price", "dear"]] = None, None
    flats.iloc[:1000].to_parquet("flats/a.parquet", row_group_size=400)
    flats.iloc[1000:].to_parquet("flats/b.parquet", row_group_size=400)
    flats.to_csv("flats.csv", index=False, sep=";")
    holed.to_csv("holed.csv.gz", index=False)



CASES = {
    "numbers": ["flats", "--target", "price", "--leave-out", "dear"],
    "classes": ["flats", "--target", "dear", "--leave-out", "price", "--seed", "3"],
    "folds": ["flats", "--target", "price", "--leave-out", "dear", "--cv", "3"],
    "folds of classes": [
        "flats.csv", "--stream", "--target", "dear", "--leave-out", "price", "--cv", "4", "--sep", ";"],
    "a scaled target": ["flats", "--target", "price", "--leave-out", "dear", "--model", "sgd"],
    "a network": [
        "flats", "--target", "price", "--leave-out", "dear", "--hidden", "8", "--optimizer", "adamw",
        "--learning-rate", "0.01", "--max-iter", "5", "--cv", "2"],
    "imputing": ["holed.csv.gz", "--stream", "--target", "price", "--impute", "--leave-out", "dear"],
    "cleaning": ["holed.csv.gz", "--stream", "--target", "dear", "--drop-missing", "--cv", "0", "--scaling", "none"],
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", CASES)
def test_the_script_does_the_same(shell, here, flats, tmp_path, name):
    shell.done("fit", *CASES[name], "--out", "m")
    page = (tmp_path / "m" / "report.html").read_text()
    script = html.unescape(re.findall(r"<pre><code>(.*?)</code></pre>", page, re.S)[1])
    names = {}
    exec(compile(script, "script", "exec"), names)
    found = json.loads((tmp_path / "m" / "results.json").read_text())
    first = "R2" if found["task"] == "regression" else "accuracy"
    if found["held_out"] is not None:
        assert names["score"] == pytest.approx(found["held_out"]["scores"][first], rel=1e-9)
    elif found["cross_validation"]["folds"]:
        assert names["scores"] == pytest.approx(found["cross_validation"]["scores"][first]["of_folds"], rel=1e-9)
    model = load(tmp_path / "m")
    rows = flats[list(model[0].feature_names_in_)]
    said = names["model"].predict(rows)
    if found["target_scaled"]:
        said = said * names["scale"] + names["mean"]
    np.testing.assert_array_equal(said, model.predict(rows)) if found["task"] == "classification" else (
        np.testing.assert_allclose(said, model.predict(rows), rtol=1e-6))


def test_folds(shell, here, tmp_path):
    said = shell.done("fit", *CASES["folds"], "--out", "m")
    assert "Cross-validation: k-fold, 3 folds" in said
    assert "Held out" not in said
    found = json.loads((tmp_path / "m" / "results.json").read_text())
    scores = found["cross_validation"]["scores"]["R2"]
    assert len(scores["of_folds"]) == 3
    assert scores["mean"] == pytest.approx(np.mean(scores["of_folds"]))
    assert min(scores["of_folds"]) > 0.99 > 0.1 > found["cross_validation"]["baseline"]["R2"]["mean"]
    page = (tmp_path / "m" / "report.html").read_text()
    assert "k-fold, 3 folds" in page
    # a third of each block
    assert f"Of {333 + 166} rows, the first fold, by the model of the others." in page
    assert found["rows"]["left"] == 1500
    for wrong in ("1", "-2"):
        assert f"cv must be 0 or from 2 on, got {wrong}" in shell.refused("fit", *CASES["numbers"], f"--cv={wrong}")
    pd.DataFrame({"size": [1.0, 2.0, 3.0], "price": [1.5, 2.5, 4.5]}).to_csv("few.csv", index=False)
    said = shell.refused("fit", "few.csv", "--stream", "--target", "price", "--cv", "3")
    assert "few.csv has 3 rows, of which 1 would be held out, too few for a score: pass fewer folds" in said


def test_holes_are_refused_in_the_words_of_the_shell(shell, here):
    said = shell.refused(
        "fit", "holed.csv.gz", "--stream", "--target", "town", "--leave-out", "price", "--leave-out", "dear")
    assert re.search(
        r": holed\.csv\.gz, bytes \d+ to \d+, row 3 \(row 3 of the file\): column 'size' has \d+ missing values: pass "
        "--drop-missing to drop such rows or --impute to fill them", said)


@pytest.mark.parametrize("target", ["price", "dear"])
def test_a_test_file(shell, here, flats, tmp_path, target):
    other = "dear" if target == "price" else "price"
    # a further column, another order, and a row without its target
    test = flats[["town", target, "size", "code"]].iloc[:301].assign(more=1.0)
    test.loc[300, target] = None
    test.to_csv("test.csv", index=False)
    command = ["fit", "flats", "--target", target, "--leave-out", other, "--out", "m", "--test"]
    for folds, title in (([], "Held out: "), (["--cv", "2"], "2 folds"), (["--cv", "0"], "rows in 2 blocks")):
        said = shell.done(*command, "test.csv", *folds)
        assert title in said
        assert re.search(r"metric .*test", said)
        found = json.loads((tmp_path / "m" / "results.json").read_text())["test"]
        rows = test.iloc[:300]
        predicted = load(tmp_path / "m").predict(rows[list(load(tmp_path / "m")[0].feature_names_in_)])
        if target == "dear":
            assert found["scores"]["accuracy"] == (predicted == rows["dear"].to_numpy()).mean()
        else:
            wanted = np.sqrt(np.mean((predicted - rows["price"].to_numpy(float)) ** 2))
            assert found["scores"]["RMSE"] == pytest.approx(wanted, rel=1e-6)
        assert (found["data"], found["rows"]) == ("test.csv", 300)
        page = (tmp_path / "m" / "report.html").read_text()
        assert "300 rows, those of test.csv" in page
    test.drop(columns="town").to_csv("test.csv", index=False)
    assert "test.csv lacks the column 'town'" in shell.refused(*command, "test.csv")
    assert "absent.csv does not exist" in shell.refused(*command, "absent.csv")
    test.assign(**{target: None}).to_csv("test.csv", index=False)
    assert "no row of test.csv has a target" in shell.refused(*command, "test.csv")
    test.assign(size=test["size"].mask(test.index == 7)).to_csv("test.csv", index=False)
    assert re.search(
        r": test\.csv, bytes \d+ to \d+: column 'size' has 1 missing values: pass --impute to fill them",
        shell.refused(*command, "test.csv"))
    if target == "dear":
        test.assign(dear="perhaps").to_csv("test.csv", index=False)
        assert "holds 'perhaps', which the training has not" in shell.refused(*command, "test.csv")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("more", "of"), [
    ([], "rows that were held out"), (["--cv", "0"], "training rows"), (["--cv", "2"], "training rows"),
    (["--test", "flats"], "rows of the test file")])
def test_importances_of_a_network(shell, here, tmp_path, more, of):
    said = shell.done("fit", "flats", "--target", "price", "--leave-out", "dear", "--hidden", "16", "--out", "m", *more)
    assert "Importance: size" in said
    page = (tmp_path / "m" / "report.html").read_text()
    assert f"five shuffles of at most 1000 {of}." in page
    found = json.loads((tmp_path / "m" / "results.json").read_text())["importances"]
    assert found[0][0] == "size"
    assert len(found) == 3
