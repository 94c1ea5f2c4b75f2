"""The command line: what it writes, and one line and exit code 2 for whatever is wrong."""

import gzip
import io
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from raw_table import sales
from sklearn.datasets import load_breast_cancer

from fasttrain import cli
from fasttrain.cli import _fitting, _job
from fasttrain.cli._columns import code_columns
from fasttrain.cli._tables import TableFile
from fasttrain.persistence import load
from fasttrain.preprocessing import TablePreprocessor


def run(capsys, *arguments):
    code = cli.main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def refused(capsys, *arguments):
    """The one line with which the command is refused."""
    code, out, err = run(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert err.startswith("fasttrain: ")
    assert err.count("\n") == 1
    return err


@pytest.fixture(scope="module")
def trees():
    """A mixed table with three kinds of trees, without holes."""
    rng = np.random.default_rng(3)
    kind = rng.integers(0, 3, 120)
    return pd.DataFrame({
        "height": 10.0 + 5 * kind + rng.normal(size=120),
        "girth": np.round(1.0 + kind + 0.1 * rng.normal(size=120), 3),
        "rings": rng.integers(10, 200, 120),
        "soil": np.array(["clay", "sand", "loam, wet"])[(kind + (rng.random(120) < 0.1)) % 3],
        "tree": np.array(["oak", "elm", "ash"])[kind],
    })


@pytest.fixture
def data(tmp_path, trees):
    trees.to_csv(tmp_path / "trees.csv", index=False)
    return tmp_path / "trees.csv"


@pytest.fixture
def holed(tmp_path, trees):
    table = trees.copy()
    table.loc[[0, 5], "height"] = np.nan
    table.loc[[7], "soil"] = None
    table = pd.concat([table, table.iloc[[10, 11, 12]]])
    table.loc[20, "girth"] = 900.0
    table.to_csv(tmp_path / "holed.csv", index=False)
    return tmp_path / "holed.csv"


def test_fit_writes_a_model_that_predicts(capsys, data, tmp_path, trees):
    out = tmp_path / "deep" / "model"
    code, text, err = run(capsys, "fit", data, "--target", "tree", "--out", out, "--penalty", "l2", "--alpha", "0.01")
    assert code == 0, err
    assert "120 rows read" in text
    assert "accuracy" in text
    assert str(out) in text
    results = json.loads((out / "results.json").read_text())
    assert results["rows"] == {"read": 120, "left": 120}
    assert results["numeric"] == ["height", "girth", "rings"]
    assert results["categorical"] == ["soil"]
    assert results["cross_validation"]["folds"] == 5
    assert results["cross_validation"]["scores"]["accuracy"]["mean"] > 0.95
    assert len(results["cross_validation"]["scores"]["accuracy"]["of_folds"]) == 5
    assert (out / "report.html").read_text().startswith("<!doctype html>")
    code, text, _ = run(capsys, "predict", out, data)
    assert code == 0
    assert text.splitlines()[0] == "tree"
    predicted = pd.read_csv(io.StringIO(text))["tree"]
    assert (predicted == trees["tree"]).mean() > 0.95
    # other columns first, further ones in between, no target: columns are found by name
    trees[["rings", "soil", "girth", "height"]].assign(extra="x").to_csv(tmp_path / "other.csv", index=False)
    code, again, _ = run(capsys, "predict", out, tmp_path / "other.csv")
    assert code == 0
    assert again == text
    code, _, _ = run(capsys, "predict", out, data, "--out", tmp_path / "p.csv", "--proba")
    assert code == 0
    table = pd.read_csv(tmp_path / "p.csv")
    assert list(table) == ["tree", "P(ash)", "P(elm)", "P(oak)"]
    np.testing.assert_allclose(table.iloc[:, 1:].sum(axis=1), 1)
    assert sorted(os.listdir(tmp_path)) == ["deep", "other.csv", "p.csv", "trees.csv"]


def test_the_folds_learn_their_own_scales(data, monkeypatch):
    """The encoder is fitted once a fold on that fold's rows, and once on all."""
    seen = []
    fit = TablePreprocessor.fit_transform
    monkeypatch.setattr(
        TablePreprocessor, "fit_transform", lambda self, X, y=None: seen.append(len(X)) or fit(self, X, y)
    )
    _fitting.run(_job.Job(data, "tree", folds=4))
    assert seen == [90, 90, 90, 90, 120]


def test_cleaning_counts_what_went(capsys, holed, tmp_path):
    out = tmp_path / "model"
    code, text, err = run(
        capsys, "fit", holed, "--target", "tree", "--out", out, "--drop-missing", "--drop-duplicates", "--outliers",
        "zscore", "--threshold", 6, "--cv", 3,
    )  # fmt: skip
    assert code == 0, err
    assert json.loads((out / "results.json").read_text())["rows"] == {
        "read": 123, "dropped (missing)": 3, "dropped (duplicates)": 3, "dropped (outliers)": 1, "left": 116,
    }
    assert "3 rows dropped (missing)" in text


def test_impute_fills_holes_then_and_later(capsys, holed, tmp_path):
    out = tmp_path / "model"
    code, _, err = run(capsys, "fit", holed, "--target", "tree", "--out", out, "--impute", "--cv", 0)
    assert code == 0, err
    assert json.loads((out / "results.json").read_text())["rows"]["left"] == 123
    code, text, _ = run(capsys, "predict", out, holed)
    assert code == 0
    assert len(text.splitlines()) == 124


def test_regression_and_leave_one_out(capsys, data, tmp_path, trees):
    out = tmp_path / "model"
    code, text, err = run(
        capsys, "fit", data, "--target", "height", "--out", out, "--leave-one-out", "--optimizer", "momentum",
        "--learning-rate", "0.02", "--batch-size", 16, "--max-iter", 60, "--task", "auto", "--scaling", "minmax",
    )  # fmt: skip
    assert code == 0, err
    assert "leave-one-out, 120 folds" in text
    results = json.loads((out / "results.json").read_text())
    assert results["task"] == "regression"
    assert results["cross_validation"]["scores"]["R2"]["mean"] > 0.8
    assert results["cross_validation"]["scores"]["RMSE"]["mean"] > 0.5
    code, text, _ = run(capsys, "predict", out, data)
    predicted = pd.read_csv(io.StringIO(text))["height"]
    assert np.corrcoef(predicted, trees["height"])[0, 1] > 0.9


@pytest.mark.parametrize(
    "options",
    [
        ("--task", "classification", "--loss", "hinge", "--optimizer", "momentum", "--learning-rate", "0.01"),
        ("--penalty", "l1", "--alpha", "0.1", "--batch-size", "full", "--max-iter", "7", "--tol", "0"),
        ("--penalty", "elasticnet", "--l1-ratio", "0.5", "--schedule", "cosine", "--threads", "1", "--batch-size", 16),
        ("--early-stopping", "--seed", "5", "--leave-out", "rings", "--categorical", "girth"),
    ],
)
def test_options_reach_the_estimator(capsys, data, tmp_path, options):
    code, _, err = run(capsys, "fit", data, "--target", "tree", "--out", tmp_path / "m", "--cv", 2, *options)
    assert code == 0, err
    model = load(tmp_path / "m")
    given = dict(zip(options, (*options[1:], None))) | {"--early-stopping": "True"}
    for name, value in model[-1].get_params().items():
        option = "--" + {"n_threads": "threads", "random_state": "seed"}.get(name, name).replace("_", "-")
        if option in options:
            assert str(value) == str(given[option]) or float(value) == float(given[option])
    if "--leave-out" in options:
        assert "rings" not in model[0].feature_names_in_
        assert [name for name, kind in model[0].types_.items() if kind == "categorical"] == ["girth", "soil"]
    if "l1" in options:
        assert model[-1].n_iter_ <= 7


def test_a_regression_needs_no_options(capsys, tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"area": rng.uniform(30, 200, 300), "year": rng.integers(1950, 2020, 300)})
    table["price"] = table["area"] * 3000 + (table["year"] - 1950) * 500 + rng.normal(0, 20_000, 300)
    table.to_csv(tmp_path / "prices.csv", index=False)
    for options in ((), ("--scaling", "none"), ("--early-stopping",), ("--batch-size", 32)):
        code, text, err = run(
            capsys, "fit", tmp_path / "prices.csv", "--target", "price", "--out", tmp_path / "m", "--max-iter", 400,
            *options)
        assert code == 0, err
        results = json.loads((tmp_path / "m" / "results.json").read_text())
        assert results["cross_validation"]["scores"]["R2"]["mean"] > 0.97
        if not options:
            assert err == ""
            assert results["final_fit"]["why"] == "no element of the gradient is above tol=0.0001"
            assert results["final_fit"]["hint"] is None
            assert "NOT CONVERGED" not in text


def test_a_fit_that_has_not_arrived_ends_with_what_to_change(capsys, data, tmp_path):
    options = ("--cv", 0, "--max-iter", 1, "--early-stopping")
    code, text, err = run(capsys, "fit", data, "--target", "tree", "--out", tmp_path / "m", *options)
    assert code == 0
    final = json.loads((tmp_path / "m" / "results.json").read_text())["final_fit"]
    assert not final["converged"]
    assert final["why"] == "stopped after n_epochs=1"
    assert final["hint"].startswith("Raise --max-iter (now 1) or the learning rate")
    assert "leave out --early-stopping, for which --optimizer auto is Adam" in final["hint"]
    assert text.splitlines()[-1] == f"NOT CONVERGED after 1 passes: {final['hint']}"
    assert "training ended before the loss settled" in err


def test_a_run_is_repeatable(capsys, data, tmp_path):
    for name in ("a", "b"):
        assert run(capsys, "fit", data, "--target", "tree", "--out", tmp_path / name, "--cv", 2)[0] == 0
    a, b = (sorted(p.name for p in (tmp_path / name).glob("arrays*")) for name in ("a", "b"))
    assert a == b


def test_categories_keep_their_spelling(capsys, tmp_path):
    lines = ["code,y"] + [f"{code},{1.0 + i % 2}" for i, code in enumerate(["1", "1.0", "01", "x"] * 10)]
    (tmp_path / "codes.csv").write_text("\n".join(lines))
    assert run(capsys, "fit", tmp_path / "codes.csv", "--target", "y", "--out", tmp_path / "m", "--cv", 0)[0] == 0
    (known,) = load(tmp_path / "m")[0].encoder_.categories_
    assert sorted(known) == ["01", "1", "1.0", "x"]
    (tmp_path / "new.csv").write_text("code\n1\n01\n1.0\n")
    code, _, err = run(capsys, "predict", tmp_path / "m", tmp_path / "new.csv")
    assert code == 0, err


@pytest.fixture
def orders(tmp_path):
    """A table as a shop would export it."""
    columns, y = sales(1500)
    frame = pd.DataFrame(columns).assign(y=[f"${value:,.3f}" for value in y])
    frame.to_csv(tmp_path / "orders.csv", index=False)
    return tmp_path / "orders.csv"


def test_columns_as_they_come(capsys, orders, tmp_path):
    out = tmp_path / "m"
    code, text, err = run(capsys, "fit", orders, "--target", "y", "--out", out, "--impute", "--cv", 3)
    assert code == 0, err
    lines = text.splitlines()
    assert (
        "'order_id' has 1500 distinct whole numbers in 1500 rows and the name of an id: left out; "
        "--column order_id=numeric keeps it"
    ) in lines
    assert "'currency' has the one value 'USD' in every row: left out" in lines
    assert "left out" not in err
    results = json.loads((out / "results.json").read_text())
    assert results["task"] == "regression"
    kinds = {fact["name"]: fact["kind"] for fact in results["columns"]}
    assert kinds["price"] == kinds["visits"] == kinds["weight"] == "numeric"
    assert kinds["ordered"] == kinds["shipped"] == "date"
    assert kinds["zip"] == "categorical"
    assert kinds["city"] == "target"
    assert len(load(out)[0].encoder_.categories_[results["categorical"].index("zip")]) == 30
    table = pd.read_csv(orders, dtype=str).head(5).drop(columns="y")
    # a few rows, in which every price and code would be a number
    table.assign(price="12.5", zip="00501").to_csv(tmp_path / "new.csv", index=False)
    code, text, err = run(capsys, "predict", out, tmp_path / "new.csv", "--unknown", "ignore")
    assert code == 0, err
    assert np.isfinite(pd.read_csv(io.StringIO(text))["y"]).all()


def test_what_a_column_is_can_be_said(capsys, orders, tmp_path):
    options = [
        "--column", "order_id=numeric", "--column", "status=ordered:new,open,paid,returned", "--column", "visits=drop",
        "--column", "shipped=date:month-first", "--column", "zip=numeric", "--column", "city=hashed",
    ]  # fmt: skip
    code, _, err = run(
        capsys, "fit", orders, "--target", "y", "--out", tmp_path / "m", "--impute", "--cv", 0, *options)
    assert code == 0, err
    kinds = load(tmp_path / "m")[0].types_
    assert [kinds[name] for name in ("order_id", "status", "visits", "shipped", "zip", "city")] == [
        "numeric", "ordered", "drop", "date", "numeric", "hashed",
    ]


@pytest.mark.parametrize(
    "option, message",
    [
        ("price", "--column must be NAME=KIND"),
        ("price=number", "--column price=number: the kind must be one of 'numeric'"),
        ("price=numeric:comma", "'numeric' has no option 'comma'; it has decimal-comma, decimal-point"),
        ("nothing=text", "lacks the column 'nothing'"),
        ("y=text", "is the target"),
        ("city=numeric", "column 'city' must hold numbers: could not convert"),
        ("status=ordered:new,old", "column 'status' holds"),
    ],
)
def test_bad_kinds(capsys, orders, tmp_path, option, message):
    err = refused(
        capsys, "fit", orders, "--target", "y", "--out", tmp_path / "m", "--impute", "--cv", 0, "--column", option)
    assert message in err


def test_codes_with_leading_zeros_are_found(tmp_path):
    path = tmp_path / "codes.csv"

    def found(data, separator=","):
        path.write_bytes(data)
        return code_columns(TableFile(path, separator))

    assert found(b'zip,n,s,"q"\n00501,1,0,"007"\n94110,0.5,10,"8"\n1,02.5,0x1,9\n') == ["zip", "q"]
    assert found(b"\xef\xbb\xbfzip;n\n1;012", ";") == ["n"]
    assert found(b"a,b\n1,2\n") == []
    assert found(b'a,b\n"0\x00,01\n01,"') in ([], ["a"], ["b"])
    assert found(gzip.compress(b"a,b\n01,2\n")) == ["a"]
    assert found(gzip.compress(b"a,b\n01,2\n")[:-4]) in ([], ["a"])


BAD_FILES = {
    "missing": (None, "does not exist"),
    "empty": ("", "is empty"),
    "blank": ("\n\n", "is empty"),
    "header only": ("a,tree\n", "has a header but no rows"),
    "short line": ("a,b,tree\n1,2,oak\n3,elm\n", "ragged: line 3 has 2 cells, the header has 3"),
    "long line": ("a,b,tree\n1,2,oak\n\n3,4,elm,5\n", "ragged: line 4 has 4 cells"),
    "no target": ("a,b\n1,2\n", "lacks the column 'tree'; it has 'a', 'b'"),
    "target only": ("tree\noak\nelm\n", "no column but the target"),
    "twice": ("a,a,tree\n1,2,oak\n", "the column 'a' twice"),
    "too wide": (",".join(map(str, range(100_001))) + "\n", "has 100001 columns, of which at most 100000 are read"),
    "one class": ("a,tree\n1,oak\n2,oak\n", "has one class only, 'oak'"),
    "infinite": ("a,tree\ninf,oak\n" + "1,elm\n2,oak\n" * 5, "column 'a' must hold finite numbers"),
    "holes": ("a,tree\n1,oak\n,elm\n", "missing values (a 1): pass --drop-missing"),
    "target holes": ("a,tree\n1,oak\n1,\n", "is missing in 1 rows"),
    "latin-1": ("a,tree\n1,bu\xe7he\n".encode("latin-1"), "is not UTF-8"),
    "few rows": ("a,tree\n1,oak\n2,elm\n", "cv must be 0 or from 2 to the number of rows, 2, got 5"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files(capsys, tmp_path, name):
    text, message = BAD_FILES[name]
    path = tmp_path / "data.csv"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    before = os.listdir(tmp_path)
    assert message in refused(capsys, "fit", path, "--target", "tree", "--out", tmp_path / "model")
    assert os.listdir(tmp_path) == before


@pytest.mark.parametrize(
    "options, message",
    [
        (("--optimizer", "foo"), "one of the names gradient_descent"),
        (("--loss", "foo"), "loss must be"),
        (("--loss", "huber"), "must be a classification loss, got 'huber'"),
        (("--penalty", "foo"), "one of the names none, l1, l2, elasticnet"),
        (("--schedule", "foo"), "one of the names constant"),
        (("--learning-rate", "-1"), "learning_rate must be a finite number > 0"),
        (("--learning-rate", "nan"), "learning_rate must be a finite number > 0"),
        (("--alpha", "-1", "--penalty", "l2"), "alpha must be a finite number >= 0"),
        (("--l1-ratio", "2", "--penalty", "elasticnet"), "l1_ratio must be"),
        (("--batch-size", "1000"), "batch_size must be from 1 to the number of samples, 96, got 1000"),
        (("--batch-size", "0"), "batch_size must be from 1"),
        (("--batch-size", "x"), "must be 'auto', 'full' or a whole number, got 'x'"),
        (("--max-iter", "0"), "max_iter must be"),
        (("--threads", "0"), "n_threads must be"),
        (("--cv", "1"), "cv must be 0 or from 2"),
        (("--cv", "121"), "cv must be 0 or from 2"),
        (("--task", "regression"), "must hold numbers for regression, got 'ash'"),
        (("--model", "forest"), "must be one of auto, linear, sgd, mlp, got 'forest'"),
        (("--model", "mpl"), "did you mean 'mlp'?"),
        (("--cv", "many"), "--cv must be a whole number, got 'many'"),
        (("--alpha", "big"), "--alpha must be a number, got 'big'"),
        (("--drop-missing", "--impute"), "exclude each other"),
        (("--threshold", "3"), "--threshold is for --outliers"),
        (("--outliers", "zscore", "--threshold", "-3"), "threshold must be a number >= 0"),
        (("--outliers", "absolute"), "threshold"),
        (("--outliers", "absolute", "--threshold", "0"), "no rows of"),
        (("--leave-out", "nothing"), "lacks the column 'nothing'"),
        (("--categorical", "tree"), "is the target"),
        (("--sep", ";;"), "--sep must be one character"),
        (("--frobnicate",), "--frobnicate"),
        (("--optimizer", "gradient_descent", "--learning-rate", "1e308", "--scaling", "none"), "diverged in epoch"),
    ],
)
def test_bad_options(capsys, data, tmp_path, options, message):
    err = refused(capsys, "fit", data, "--target", "tree", "--out", tmp_path / "model", *options)
    assert message in err
    assert os.listdir(tmp_path) == ["trees.csv"]


def test_bad_places_and_commands(capsys, data, tmp_path):
    assert "is a file" in refused(capsys, "fit", data, "--target", "tree", "--out", data)
    assert "is a file" in refused(capsys, "fit", data, "--target", "tree", "--out", data / "model")
    assert "is a file" in refused(capsys, "demo", "--out", data)
    assert "frob" in refused(capsys, "frob")
    assert "--target" in refused(capsys, "fit", data, "--out", tmp_path / "m")
    assert "is not a folder with a model" in refused(capsys, "predict", tmp_path / "m", data)
    assert "model.json is missing" in refused(capsys, "predict", tmp_path, data)


@pytest.fixture(scope="module")
def model(tmp_path_factory, trees):
    folder = tmp_path_factory.mktemp("model")
    trees.to_csv(folder / "trees.csv", index=False)
    arguments = ["fit", str(folder / "trees.csv"), "--target", "tree", "--out", str(folder / "m"), "--cv", "0"]
    assert cli.main(arguments) == 0
    return folder / "m"


@pytest.mark.parametrize(
    "text, message",
    [
        ("height,girth,rings\n1,2,3\n", "lacks the column 'soil'"),
        ("height,girth,rings,soil\n1,2,3,chalk\n", "holds 'chalk', which the model has not seen"),
        ("height,girth,rings,soil\nx,2,3,clay\n", "column 'height' must hold numbers"),
        ("height,girth,rings,soil\n,2,3,clay\n", "the column 'height' of"),
        ("height,girth,rings,soil\n1,2,3\n", "ragged"),
    ],
)
def test_bad_data_for_predict(capsys, model, tmp_path, text, message):
    (tmp_path / "data.csv").write_text(text)
    assert message in refused(capsys, "predict", model, tmp_path / "data.csv", "--out", tmp_path / "p.csv")
    assert os.listdir(tmp_path) == ["data.csv"]


def test_unknown_categories_can_be_ignored(capsys, model, tmp_path):
    (tmp_path / "data.csv").write_text("height,girth,rings,soil\n10,1,30,chalk\n")
    code, text, _ = run(capsys, "predict", model, tmp_path / "data.csv", "--unknown", "ignore")
    assert code == 0
    assert text.splitlines()[0] == "tree"


def test_info_and_help(capsys):
    code, text, _ = run(capsys, "info")
    assert code == 0
    for word in ("version", "instruction set", "openmp", "threads", "scikit-learn"):
        assert word in text
    for arguments in ([], ["--help"], ["fit", "--help"], ["--version"]):
        code, text, _ = run(capsys, *arguments)
        assert code == 0
        assert text


def test_a_missing_extra_is_one_line(capsys, monkeypatch):
    monkeypatch.setattr("fasttrain.cli.commands.info.NEEDED", ("sklearn", "no_such_package"))
    assert "info needs no_such_package: pip install 'fasttrain[cli]'" in refused(capsys, "info")


def test_a_failure_while_writing_leaves_nothing(capsys, data, tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "No space left" in refused(capsys, "fit", data, "--target", "tree", "--out", tmp_path / "m", "--cv", "0")
    assert os.listdir(tmp_path) == ["trees.csv"]


@pytest.mark.parametrize("stage", ["--cv=5", "--cv=0"])
def test_ctrl_c_leaves_nothing(tmp_path, stage):
    """Within a fold or the final fit, where the estimator itself would answer Ctrl-C with the model so far."""
    X, y = load_breast_cancer(return_X_y=True)
    table = pd.DataFrame(np.tile(X, (8, 1)))
    table["y"] = np.tile(np.array(["m", "b"])[y], 8)
    table.to_csv(tmp_path / "data.csv", index=False)
    process = subprocess.Popen(
        [sys.executable, "-c",
         "import sys\nfrom fasttrain import cli\nfrom fasttrain.cli import _fitting\n"
         "begin = _fitting.Watch.on_train_begin\n"
         "def told(self, n):\n    begin(self, n)\n    print('training', flush=True)\n"
         "_fitting.Watch.on_train_begin = told\n"
         "sys.exit(cli.main(sys.argv[1:]))",
         "fit", "data.csv", "--target", "y", "--out", "model", stage, "--max-iter=1000000", "--tol=0",
         "--batch-size=32", "--optimizer=adagrad"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout.readline() == "training\n"
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert err == "fasttrain: interrupted\n"
    assert out == ""
    assert os.listdir(tmp_path) == ["data.csv"]


def test_ctrl_c_in_one_fold_ends_all(data):
    """The estimator catches Ctrl-C and stops training; the next fold must not begin."""
    interrupts = cli.Interrupts()
    begun = []

    class Once(_fitting.Watch):
        def on_train_begin(self, n_epochs):
            super().on_train_begin(n_epochs)
            begun.append(n_epochs)

        def on_epoch_end(self, epoch, logs):
            interrupts.seen = True
            raise KeyboardInterrupt

    job = _job.Job(data, "tree")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_fitting, "Watch", Once)
        with pytest.raises(KeyboardInterrupt):
            _fitting.run(job, interrupts)
    assert len(begun) == 1
