"""The report: one file that needs nothing else, text of the table is text, and its script does what the command did."""

import html
import json
import re

import numpy as np
import pandas as pd
import pytest

from fasttrain.cli import _charts
from fasttrain.persistence import load

HOSTILE = '<script>alert("x")</script>&\'"'


@pytest.fixture
def hostile(houses, tmp_path):
    """Column names, categories and labels that are HTML."""
    table = houses.drop(columns="price").rename(columns={"area": HOSTILE, "big": "<b>big</b>"})
    table["place"] = "<img src=x onerror=alert(1)>" + table["place"]
    table["<b>big</b>"] = "<i>" + table["<b>big</b>"] + "</i>\x1b[31m"
    table.to_csv(tmp_path / "a.csv", index=False)
    return tmp_path / "a.csv"


@pytest.mark.parametrize("model", ["linear", "mlp"])
def test_text_of_the_table_is_escaped(shell, hostile, tmp_path, model):
    out = shell.done("fit", hostile, "--target", "<b>big</b>", "--out", tmp_path / "m", "--model", model)
    assert "\x1b" not in out
    page = (tmp_path / "m" / "report.html").read_text()
    for tag in ("<script", "<img", "<b>big", "<i>", "\x1b"):
        assert tag not in page
    assert html.escape(HOSTILE, quote=True) in page
    assert "&lt;i&gt;yes&lt;/i&gt;" in page


CASES = {
    "linear classes": ("big", ["--penalty", "l2", "--alpha", "0.01", "--optimizer", "lbfgs"]),
    "linear numbers": ("price", ["--optimizer", "lbfgs", "--cv", "3"]),
    "sgd classes": ("big", ["--model", "sgd", "--scaling", "minmax"]),
    "sgd numbers": ("price", ["--model", "sgd", "--seed", "3"]),
    "mlp classes": ("big", ["--hidden", "8,4", "--dropout", "0.1", "--optimizer", "adamw", "--learning-rate", "0.01",
                            "--schedule", "cosine", "--max-iter", "20", "--penalty", "l2", "--alpha", "0.001"]),
    "mlp numbers": ("price", ["--hidden", "8", "--batch-norm", "--max-iter", "30", "--early-stopping"]),
    "leave-one-out": ("price", ["--optimizer", "lbfgs", "--leave-one-out", "--drop-duplicates"]),
    "cleaning": ("big", ["--outliers", "zscore", "--threshold", "2.2", "--leave-out", "rooms", "--cv", "2",
                         "--drop-missing", "--optimizer", "lbfgs"]),
    "imputing": ("price", ["--impute", "--categorical", "rooms", "--optimizer", "lbfgs", "--cv", "0"]),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "name, kind", [*((name, "csv") for name in CASES), ("mlp numbers", "parquet"), ("imputing", "parquet")]
)
def test_the_script_does_the_same(shell, houses, tmp_path, monkeypatch, name, kind):
    target, options = CASES[name]
    monkeypatch.chdir(tmp_path)
    table = houses.copy()
    if name == "imputing":
        table.loc[[3, 9], "area"] = np.nan
        table.loc[[4], "place"] = None
    table.to_csv("a.csv", index=False)
    table.to_parquet("a.parquet", index=False)
    shell.done("fit", f"a.{kind}", "--target", target, "--out", "m", *options)
    page = (tmp_path / "m" / "report.html").read_text()
    script = html.unescape(re.findall(r"<pre><code>(.*?)</code></pre>", page, re.S)[1])
    names = {}
    exec(compile(script, "script", "exec"), names)
    results = json.loads((tmp_path / "m" / "results.json").read_text())
    if "--cv" not in options or "0" not in options:
        keys = {"classification": ("accuracy", "test_accuracy"), "regression": ("R2", "test_r2")}[results["task"]]
        expected = results["cross_validation"]["scores"][keys[0]]["mean"]
        assert names["scores"][keys[1]].mean() == pytest.approx(expected, rel=1e-9)
    predicted = load(tmp_path / "m").predict(names["X"])
    if results["task"] == "classification":
        assert (names["model"].predict(names["X"]) == predicted).all()
    else:
        np.testing.assert_allclose(names["model"].predict(names["X"]), predicted, rtol=1e-9)


def test_the_page_needs_nothing_else(shell, houses, tmp_path):
    houses.to_csv(tmp_path / "a.csv", index=False)
    shell.done("fit", tmp_path / "a.csv", "--target", "big", "--out", tmp_path / "m", "--optimizer", "lbfgs")
    page = (tmp_path / "m" / "report.html").read_text()
    assert not re.search(r"<(script|link|img|iframe|object)|https?:|@import|url\(", page)
    assert "prefers-color-scheme: dark" in page
    for heading in ("How good it is", "Rows", "Confusion", "Calibration", "Precision and recall of yes", "Training",
                    "Largest weights", "Columns", "Do it again"):
        assert f"<h2>{heading}</h2>" in page
    assert len(page) < 100_000


def test_what_the_report_says_is_what_was_found(shell, houses, tmp_path):
    """Confusion counts are those of predictions by models that had not seen the row."""
    houses.to_csv(tmp_path / "a.csv", index=False)
    given = ("fit", tmp_path / "a.csv", "--target", "big", "--optimizer", "lbfgs", "--out", tmp_path / "m")
    shell.done(*given)
    page = (tmp_path / "m" / "report.html").read_text()
    counts = [int(n) for n in re.findall(r'<td style="background[^>]*>(\d+)</td>', page)]
    results = json.loads((tmp_path / "m" / "results.json").read_text())
    assert sum(counts) == len(houses)
    assert counts[0] + counts[1] == (houses["big"] == "no").sum()
    folds = results["cross_validation"]["scores"]["accuracy"]["of_folds"]
    assert (counts[0] + counts[3]) / len(houses) == pytest.approx(np.mean(folds), abs=1e-9)
    most = (houses["big"] == "no").mean()
    assert results["cross_validation"]["baseline"]["accuracy"]["mean"] == pytest.approx(max(most, 1 - most), abs=0.01)
    assert results["sha256"] in page
    assert "fasttrain fit" in page


def test_a_target_of_many_classes_and_one_of_a_rare_class(shell, tmp_path):
    rng = np.random.default_rng(0)
    label = np.repeat([f"class {i:02d}" for i in range(30)], 8)
    table = pd.DataFrame({"a": np.repeat(np.arange(30), 8) + rng.normal(size=240), "t": label})
    table.to_csv(tmp_path / "a.csv", index=False)
    shell.done("fit", tmp_path / "a.csv", "--target", "t", "--out", tmp_path / "m", "--max-iter", 5)
    page = (tmp_path / "m" / "report.html").read_text()
    assert page.count('<td style="background') == 144
    assert "<th>others</th>" in page
    # a class with one row: a fold's model has never seen it, so that there are no probabilities to draw
    pd.DataFrame({"a": np.arange(41.0), "t": ["x", "y"] * 20 + ["z"]}).to_csv(tmp_path / "b.csv", index=False)
    shell.done("fit", tmp_path / "b.csv", "--target", "t", "--out", tmp_path / "n", "--max-iter", 5)
    assert "<h2>Calibration</h2>" not in (tmp_path / "n" / "report.html").read_text()


@pytest.mark.parametrize(
    "low, high, expected",
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (-3, 7, [-2, 0, 2, 4, 6]), (0, 1e9, [0, 2e8, 4e8, 6e8, 8e8, 1e9]),
     (2, 2, [2])],
)
def test_ticks_are_round(low, high, expected):
    assert _charts.ticks(low, high) == pytest.approx(expected)


@pytest.mark.parametrize(
    "xs, ys", [([1], [0.0]), ([1, 2], [5.0, 5.0]), ([1, 2], [1e-300, 1e300]), ([1, 2], [-1.0, 2.0])]
)
def test_charts_of_degenerate_numbers(xs, ys):
    drawn = _charts.lines([("a", xs, ys)], "x", "y", log=True)
    assert "nan" not in drawn
    assert "inf" not in drawn
    assert "nan" not in _charts.cloud(xs, ys, "x", "y")
    assert "nan" not in _charts.bars([("a", value, None) for value in ys], "b")
