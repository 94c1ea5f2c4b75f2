"""``fasttrain fit`` and ``fasttrain predict`` over blocks: folders, packed files, standard input."""

import io
import json
import re

import numpy as np
import pandas as pd
import pytest

from fasttrain.cli import _streaming
from fasttrain.data._parts import Share


@pytest.fixture(scope="module")
def flats():
    rng = np.random.default_rng(0)
    n = 2400
    table = pd.DataFrame({
        "size": rng.uniform(20, 200, n), "town": rng.choice(["Bonn", "Ulm", "Jena"], n), "code": rng.integers(1, 4, n),
    })
    table["price"] = table["size"] * 3 + (table["town"] == "Ulm") * 80 + rng.standard_normal(n)
    table["dear"] = np.where(table["price"] > table["price"].median(), "yes", "no")
    return table


@pytest.fixture
def folder(flats, tmp_path):
    (tmp_path / "flats").mkdir()
    flats.iloc[:1300].to_parquet(tmp_path / "flats" / "a.parquet", row_group_size=400)
    flats.iloc[1300:].to_parquet(tmp_path / "flats" / "b.parquet", row_group_size=400)
    return tmp_path / "flats"


@pytest.mark.parametrize("model", ["linear", "sgd", "mlp"])
def test_a_folder_is_fitted_and_predicted_in_blocks(shell, folder, flats, tmp_path, model):
    out = shell.done(
        "fit", folder, "--target", "price", "--leave-out", "dear", "--model", model, "--out", tmp_path / "m")
    assert "2400 rows in 2 blocks" in out
    assert "Held out: 240 rows" in out
    found = json.loads((tmp_path / "m" / "results.json").read_text())
    assert found["held_out"]["scores"]["R2"] > (0.5 if model == "mlp" else 0.99)
    shell.done("predict", tmp_path / "m", folder, "--out", tmp_path / "p.csv")
    predicted = pd.read_csv(tmp_path / "p.csv")["price"]
    assert len(predicted) == len(flats)
    # the same as those of the whole table
    flats.to_csv(tmp_path / "all.csv", index=False)
    shell.done("predict", tmp_path / "m", tmp_path / "all.csv", "--out", tmp_path / "q.csv")
    np.testing.assert_allclose(predicted, pd.read_csv(tmp_path / "q.csv")["price"], rtol=1e-6)


def test_packed_files_and_classes(shell, flats, tmp_path):
    flats.drop(columns="price").to_csv(tmp_path / "flats.csv.gz", index=False)
    out = shell.done(
        "fit", tmp_path / "flats.csv.gz", "--stream", "--target", "dear", "--out", tmp_path / "m", "--cv", "0")
    assert "linear classification of 'dear'" in out
    assert "Held out" not in out
    lines = shell.done("predict", tmp_path / "m", tmp_path / "flats.csv.gz", "--stream", "--proba").splitlines()
    assert lines[0] == "dear,P(no),P(yes)"
    assert len(lines) == 2401


def test_standard_input_is_spooled_and_said_so(shell, flats, tmp_path, monkeypatch):
    text = flats.drop(columns="dear").to_csv(index=False).encode()
    monkeypatch.setattr("sys.stdin", type("Stdin", (), {"buffer": io.BytesIO(text)})())
    code, out, err = shell("fit", "-", "--stream", "--target", "price", "--out", tmp_path / "m")
    assert code == 0, err
    assert "standard input was copied to a temporary file" in err
    assert "2400 rows" in out


def test_codes_keep_their_zeros(shell, flats, tmp_path):
    table = flats.drop(columns="dear").assign(code=flats["code"].map({1: "007", 2: "08", 3: "9"}))
    table.to_csv(tmp_path / "flats.csv", index=False)
    shell.done("fit", tmp_path / "flats.csv", "--stream", "--target", "price", "--out", tmp_path / "m")
    found = json.loads((tmp_path / "m" / "results.json").read_text())
    assert "code" in found["categorical"]
    shell.done("predict", tmp_path / "m", tmp_path / "flats.csv", "--stream", "--out", tmp_path / "p.csv")


def test_large_files_are_read_in_blocks(shell, flats, tmp_path, monkeypatch):
    flats.drop(columns="dear").to_csv(tmp_path / "flats.csv", index=False)
    assert "in 1 block," not in shell.done(
        "fit", tmp_path / "flats.csv", "--target", "price", "--out", tmp_path / "m", "--cv", "2")
    monkeypatch.setattr(_streaming, "available_memory", lambda: 1000)
    assert "in 1 block," in shell.done("fit", tmp_path / "flats.csv", "--target", "price", "--out", tmp_path / "m")


def test_what_needs_the_whole_table_is_refused(shell, folder, tmp_path):
    for option in ("--drop-duplicates", "--leave-one-out"):
        assert f"{option} needs the whole table at once" in shell.refused("fit", folder, "--target", "price", option)
    assert "target names the column 'cost'" in shell.refused("fit", folder, "--target", "cost")
    assert not (tmp_path / "flats-model").exists()


@pytest.mark.parametrize("kind", ["parquet", "csv"])
@pytest.mark.parametrize("target", ["price", "dear"])
def test_rows_without_a_target_go_and_are_counted(shell, flats, tmp_path, kind, target):
    rng = np.random.default_rng(1)
    table = flats.drop(columns="dear" if target == "price" else "price")
    table["size"] = table["size"].mask(rng.random(len(table)) < 0.1)
    table[target] = table[target].mask(rng.random(len(table)) < 0.2)
    # nothing is left of the second file
    table.loc[800:1199, target] = None
    path, parts = tmp_path / f"flats.{kind}", tmp_path / "parts"
    parts.mkdir()
    for first, last, name in ((0, 2400, None), (0, 800, "a"), (800, 1200, "b"), (1200, 2400, "c")):
        to = path if name is None else parts / f"{name}.{kind}"
        rows = table[first:last]
        rows.to_parquet(to) if kind == "parquet" else rows.to_csv(to, index=False)
    table.dropna().to_csv(tmp_path / "whole.csv", index=False)
    whole, blocks = tmp_path / "whole", tmp_path / "blocks"
    for option, what in (("--impute", "without a target"), ("--drop-missing", "missing")):
        left = len(table.dropna(subset=[target] if option == "--impute" else None))
        shell.done("fit", path, "--target", target, option, "--out", whole, "--cv", "0")
        out = shell.done("fit", parts, "--target", target, option, "--out", blocks, "--cv", "0")
        assert "in 3 blocks" in out
        assert f"2400 rows read, {2400 - left} rows dropped ({what}), {left} rows left" in out
        known, found = (json.loads((folder / "results.json").read_text()) for folder in (whole, blocks))
        assert found["rows"] == known["rows"] == {
            "read": 2400, f"dropped ({what})": 2400 - left, "left": left}
        assert found["task"] == known["task"]
        # and the models are the same but for rounding
        said = []
        for folder in (whole, blocks):
            shell.done("predict", folder, tmp_path / "whole.csv", "--out", tmp_path / "p.csv")
            said.append(pd.read_csv(tmp_path / "p.csv")[target])
        if target == "price":
            np.testing.assert_allclose(said[0], said[1], rtol=1e-2)
        else:
            assert (said[0] == said[1]).mean() > 0.99
    refused = shell.refused("fit", path, "--target", target, "--out", tmp_path / "n", "--stream")
    assert f"the target '{target}' is missing" in refused
    assert not (tmp_path / "n").exists()


def test_no_row_is_left(shell, flats, tmp_path):
    flats.assign(price=np.nan).to_parquet(tmp_path / "flats.parquet")
    said = shell.refused("fit", tmp_path / "flats.parquet", "--stream", "--target", "price", "--impute")
    assert "has no row in which nothing is missing" in said


@pytest.mark.parametrize(("target", "pictures"), [
    ("price", ["Residuals"]), ("dear", ["Confusion", "Calibration", "Precision and recall of yes"])])
def test_the_report_is_of_rows_held_out(shell, folder, tmp_path, target, pictures):
    other = "dear" if target == "price" else "price"
    out = shell.done("fit", folder, "--target", target, "--leave-out", other, "--out", tmp_path / "m")
    assert "model.json, results.json, report.html" in out
    page = (tmp_path / "m" / "report.html").read_text()
    for title in ("How good it is", "Rows", *pictures, "Training", "Largest weights", "Columns", "Do it again"):
        assert f"<h2>{title}</h2>" in page
    assert page.count("240 rows, a tenth of each block") >= 2
    held = json.loads((tmp_path / "m" / "results.json").read_text())["held_out"]
    first = "R2" if target == "price" else "accuracy"
    assert held["baseline"][first] < 0.6 < held["scores"][first]
    if target == "dear":
        # the counts of the confusion are those of the rows held out
        counts = re.findall(r"<td[^>]*>(\d+)</td>", page[page.index("<h2>Confusion"):page.index("<h2>Calibration")])
        assert sum(map(int, counts)) == 240
    shell.done("fit", folder, "--target", target, "--leave-out", other, "--out", tmp_path / "m", "--cv", "0")
    page = (tmp_path / "m" / "report.html").read_text()
    assert "No rows were held out" in page
    assert pictures[0] not in page


@pytest.mark.parametrize("row", [0, 1999])
@pytest.mark.parametrize("wrong, message", [
    (np.nan, "column 'size' has 1 missing values: pass --drop-missing"), (np.inf, "column 'size' must hold finite num"),
])
def test_a_cell_that_is_refused_is_placed(shell, flats, tmp_path, row, wrong, message):
    """Whether the rows by which columns are told have it or not; nothing is written."""
    table = flats.drop(columns="dear")
    table.loc[row, "size"] = wrong
    table.to_parquet(tmp_path / "flats.parquet", row_group_size=100)
    group = row // 100
    with pytest.MonkeyPatch.context() as patch:
        # a block a row group, most of which no sample has
        patch.setattr("fasttrain.data._parquet.BLOCK_BYTES", 1)
        error = shell.refused(
            "fit", tmp_path / "flats.parquet", "--stream", "--target", "price", "--out", tmp_path / "m")
        assert f"flats.parquet, row group {group}" in error
        assert f"(row {row} of the file): {message}" in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["flats.parquet"]


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("wrong, message", [
    (np.nan, "column 'size' has 1 missing values: pass --drop-missing"), (np.inf, "column 'size' must hold finite num"),
])
def test_a_cell_of_a_file_of_one_block_is_placed(shell, flats, tmp_path, held, wrong, message):
    """Among the rows that are trained on, and among those that are held out of them."""
    row = int(Share(0.1, 0, held).rows(len(flats), 0)[7])
    flats.drop(columns="dear").assign(size=flats["size"].where(flats.index != row, wrong)).to_parquet(
        tmp_path / "flats.parquet")
    error = shell.refused(
        "fit", tmp_path / "flats.parquet", "--stream", "--target", "price", "--out", tmp_path / "m")
    assert "flats.parquet, row group 0" in error
    assert f"(row {row} of the file): {message}" in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["flats.parquet"]


@pytest.mark.parametrize("wrong, message", [
    (np.nan, "the target 'price' is missing in 1 rows, of which this is the first: pass --drop-missing to drop them"),
    (np.inf, "the target 'price' must hold finite numbers"),
])
def test_a_target_that_is_refused_is_placed(shell, flats, tmp_path, wrong, message):
    flats.drop(columns="dear").assign(price=flats["price"].where(flats.index != 1234, wrong)).to_parquet(
        tmp_path / "flats.parquet")
    error = shell.refused(
        "fit", tmp_path / "flats.parquet", "--stream", "--target", "price", "--out", tmp_path / "m")
    assert error.count("\n") == 1
    assert f"flats.parquet, row group 0, row 1234 (row 1234 of the file): {message}" in error


@pytest.mark.parametrize("content", [b"", b"size,price\n1,2\n3,4,5\n"])
def test_standard_input_is_named(shell, tmp_path, monkeypatch, content):
    """Not the temporary file that it is copied to."""
    monkeypatch.setattr("sys.stdin", type("Stdin", (), {"buffer": io.BytesIO(content)})())
    code, _, error = shell("fit", "-", "--stream", "--target", "price", "--out", tmp_path / "m")
    assert code == 2
    assert re.search("\nfasttrain: standard input(: row 1: Expected 2 columns, got 3| is empty)", error)
    assert "fasttrain-" not in error


def test_a_prediction_that_fails_leaves_no_file(shell, folder, flats, tmp_path):
    shell.done("fit", folder, "--target", "price", "--leave-out", "dear", "--out", tmp_path / "m")
    flats.assign(town="Rome").to_parquet(tmp_path / "other.parquet")
    error = shell.refused(
        "predict", tmp_path / "m", tmp_path / "other.parquet", "--stream", "--out", tmp_path / "p.csv")
    assert "other.parquet, row group 0: " in error
    assert "Rome" in error
    assert not list(tmp_path.glob("*p.csv*"))
    flats.assign(size=np.inf).to_parquet(tmp_path / "other.parquet")
    error = shell.refused(
        "predict", tmp_path / "m", tmp_path / "other.parquet", "--stream", "--out", tmp_path / "p.csv")
    assert "other.parquet, row group 0: column 'size' must hold finite numbers" in error
    assert not list(tmp_path.glob("*p.csv*"))


def test_a_small_last_block_holds_nothing_out(shell, flats, tmp_path):
    (tmp_path / "flats").mkdir()
    flats.iloc[:1200].to_parquet(tmp_path / "flats" / "a.parquet")
    flats.iloc[1200:1203].to_parquet(tmp_path / "flats" / "b.parquet")
    for target in ("price", "dear"):
        out = shell.done("fit", tmp_path / "flats", "--target", target, "--out", tmp_path / target)
        assert "Held out: 120 rows" in out


@pytest.mark.parametrize(("target", "n_rows", "held"), [("price", 4, "none"), ("price", 8, "1"), ("dear", 4, "none")])
def test_too_few_rows_for_a_score(shell, flats, tmp_path, target, n_rows, held):
    flats.iloc[:n_rows].assign(dear=["yes", "no"] * (n_rows // 2)).to_csv(tmp_path / "flats.csv", index=False)
    command = ["fit", tmp_path / "flats.csv", "--stream", "--target", target, "--out", tmp_path / "m"]
    said = shell.refused(*command)
    assert f"flats.csv has {n_rows} rows, of which {held} would be held out, too few for a score: pass --cv 0" in said
    assert not (tmp_path / "m").exists()
    shell.done(*command, "--cv", "0")


def test_text_that_is_no_utf8(shell, flats, tmp_path):
    flats.assign(town="Köln").drop(columns="dear").to_csv(tmp_path / "flats.csv", index=False, encoding="latin-1")
    command = ["fit", tmp_path / "flats.csv", "--stream", "--target", "price", "--out", tmp_path / "m"]
    assert "the column 'town' is not utf8 text: encoding says how" in shell.refused(*command)
    shell.done(*command, "--encoding", "latin-1")
