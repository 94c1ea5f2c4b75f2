"""Files that have to be tables: every format gives the same frame, and what is none ends in one line."""

import gzip
import io
import os
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from fasttrain import cli
from fasttrain.cli._tables import TableFile

CSV = b"a,b,t\n1,x,oak\n2,y,elm\n3,x,oak\n"
FRAME = pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "x"], "t": ["oak", "elm", "oak"]})


def parquet(frame):
    content = io.BytesIO()
    frame.to_parquet(content, index=False)
    return content.getvalue()


GOOD = {
    "a.csv": CSV,
    "a.tsv": CSV.replace(b",", b"\t"),
    "a.csv.gz": gzip.compress(CSV),
    "a.TSV.GZ": gzip.compress(CSV.replace(b",", b"\t")),
    "no-ending": gzip.compress(CSV),
    "bom.csv": b"\xef\xbb\xbf" + CSV,
    "crlf.csv": CSV.replace(b"\n", b"\r\n"),
    "quoted.csv": CSV.replace(b"x", b'"x"'),
    "a.parquet": parquet(FRAME),
    "a.pq": parquet(FRAME.assign(b=FRAME["b"].astype("category"))),
    "parquet-without-an-ending": parquet(FRAME),
}


@pytest.mark.parametrize("name", GOOD)
def test_every_format_gives_the_same_table(tmp_path, name):
    (tmp_path / name).write_bytes(GOOD[name])
    for _ in range(2):
        found = TableFile(tmp_path / name).read()
    pd.testing.assert_frame_equal(found.astype(FRAME.dtypes), FRAME)
    assert found["a"].dtype.kind == "i"


@pytest.mark.parametrize("content", [CSV, gzip.compress(CSV), parquet(FRAME)], ids=["csv", "gzip", "parquet"])
def test_standard_input(monkeypatch, content):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    file = TableFile("-")
    for _ in range(2):
        pd.testing.assert_frame_equal(file.read().astype(FRAME.dtypes), FRAME)


def test_text_columns_keep_their_spelling(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n01,1.0\n1,2\n")
    assert TableFile(tmp_path / "a.csv").read(as_text=["a", "b"]).to_numpy().tolist() == [["01", "1.0"], ["1", "2"]]
    (tmp_path / "a.parquet").write_bytes(parquet(pd.DataFrame({"a": [1, 2], "b": [1.5, None]})))
    found = TableFile(tmp_path / "a.parquet").read(as_text=["a", "b"])
    assert found["a"].tolist() == ["1", "2"]
    assert found["b"].isna().tolist() == [False, True]


def test_another_encoding_and_separator(shell, tmp_path):
    lines = ["größe;art"] + [f"{i};{'büche' if i % 2 else 'eiche'}" for i in range(40)]
    (tmp_path / "a.csv").write_bytes("\n".join(lines).encode("latin-1"))
    given = (tmp_path / "a.csv", "--target", "art", "--out", tmp_path / "m", "--sep", ";")
    assert "--encoding says how it is written, such as latin-1" in shell.refused("fit", *given)
    shell.done("fit", *given, "--encoding", "latin-1", "--cv", 0)
    assert shell.done("predict", tmp_path / "m", tmp_path / "a.csv").splitlines()[1] in ("eiche", "büche")


HOSTILE = {
    "nul.csv": (b"a,t\n1,oak\n2,e\0lm\n", "line 3 holds a NUL character"),
    "zeros.csv": (bytes(1000), "NUL character"),
    "latin.csv": ("a,t\n1,bûche\n".encode("latin-1"), "is not UTF-8 text"),
    "utf16.csv": ("a,t\n1,oak\n".encode("utf-16"), "is not UTF-8 text"),
    "only-bom.csv": (b"\xef\xbb\xbf", "is empty"),
    "empty.csv": (b"", "is empty"),
    "empty.csv.gz": (b"", "is not a gzip file, as its name says"),
    "gzip of nothing.csv.gz": (gzip.compress(b""), "is empty"),
    "blank.csv": (b"\n\r\n\n", "is empty"),
    "twice.csv": (b"a,a,t\n1,2,oak\n", "the column 'a' twice"),
    "wide.csv": (b",".join(b"c%d" % i for i in range(1_000_000)) + b"\n", "has 1000000 columns, of which at most"),
    "open quote.csv": (b'a,t\n1,"oak\n' + b"2,elm\n" * 50, "unexpected end of data"),
    "open quote, last.csv": (b'a,t\n1,oak\n2,"elm', "unexpected end of data"),
    "quote.csv": (b'a,t\n1,"oak"s\n2,elm\n', "line 2: ',' expected after '\"'"),
    "long cell.csv": (b"a,t\n1," + b"x" * 200_000 + b"\n", "field larger than field limit"),
    "ragged.csv": (b"a,t\n1,oak,3\n", "line 2 has 3 cells, the header has 2"),
    "cut.csv.gz": (gzip.compress(CSV * 500)[:-30], "is cut short or damaged"),
    "damaged.csv.gz": (gzip.compress(CSV * 500)[:-8] + bytes(8), "is cut short or damaged"),
    "not.gz": (CSV, "is not a gzip file, as its name says"),
    "not.parquet": (CSV, "is not a Parquet file, as its name says"),
    "cut.parquet": (parquet(FRAME)[:-20], "is not a Parquet file that can be read"),
    "short.parquet": (b"PAR1", "is not a Parquet file that can be read"),
    "rowless.parquet": (parquet(FRAME.head(0)), "has columns but no rows"),
    "nested.parquet": (parquet(pd.DataFrame({"a": [[1], [2]], "t": ["x", "y"]})), "the column 'a' of"),
    "one\x1b[31m.csv": (b"a\x1b[31m\n1\n", "lacks the column 't'"),
}


@pytest.mark.parametrize("command", ["fit", "compare", "search"])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_end_in_one_line(shell, tmp_path, name, command):
    content, message = HOSTILE[name]
    (tmp_path / name).write_bytes(content)
    err = shell.refused(command, tmp_path / name, "--target", "t", "--out", tmp_path / "m")
    assert message in err
    assert os.listdir(tmp_path) == [name]


def test_hostile_files_for_predict(shell, tmp_path):
    (tmp_path / "a.csv").write_bytes(CSV * 1 + b"1,x,oak\n4,y,elm\n" * 9)
    shell.done("fit", tmp_path / "a.csv", "--target", "t", "--out", tmp_path / "m", "--cv", 0)
    for name, (content, message) in HOSTILE.items():
        if name in ("twice.csv", "ragged.csv") or content == CSV:
            (tmp_path / name).write_bytes(content)
            assert message in shell.refused("predict", tmp_path / "m", tmp_path / name)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200) | st.text(alphabet='a,"\n\r\t1\0é=;', max_size=80).map(str.encode))
@example(b"t\n\n")
@example(b'"t"\n""\n')
def test_any_bytes_are_a_table_or_one_line(shell, tmp_path_factory, content):
    """Whatever a file holds, fit answers 0 or 2, and in the latter case with one line."""
    folder = tmp_path_factory.mktemp("any")
    (folder / "a.csv").write_bytes(content)
    code, out, err = shell("fit", folder / "a.csv", "--target", "t", "--out", folder / "m", "--cv", 0, "--max-iter", 1)
    assert code in (0, 2)
    if code == 2:
        assert out == ""
        assert err.count("\n") == 1


def test_parquet_without_pyarrow(shell, tmp_path, monkeypatch):
    (tmp_path / "a.parquet").write_bytes(parquet(FRAME))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "pyarrow" else True)
    err = shell.refused("fit", tmp_path / "a.parquet", "--target", "t", "--out", tmp_path / "m")
    assert "pip install 'fasttrain[parquet]'" in err


def test_no_model_is_made_of_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"")))
    monkeypatch.chdir(tmp_path)
    assert cli.main(["fit", "-", "--target", "t"]) == 2
    assert capsys.readouterr().err == "fasttrain: standard input is empty\n"
    assert os.listdir(tmp_path) == []


def test_missing_text_is_missing_in_every_format(tmp_path):
    frame = pd.DataFrame({"a": ["x", None], "b": [1.0, np.nan]})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet", index=False)
    for name in ("a.csv", "a.parquet"):
        missing = TableFile(tmp_path / name).read(as_text=["a"]).isna()
        assert missing.to_numpy().tolist() == [[False, False], [True, True]]
