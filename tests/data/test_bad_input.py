"""What a caller or a stranger's file says and no source can be: refused by the argument's or the file's name."""

import struct

import numpy as np
import pandas as pd
import polars
import pytest
from scipy import sparse

from fasttrain.data import from_arrays, from_callable, from_csv, from_npy, from_parquet
from fasttrain.linear_model import LinearClassifier, LinearRegressor

RNG = np.random.default_rng(0)
X = RNG.standard_normal((100, 3))
Y = X @ [1.0, -2.0, 0.5]


@pytest.mark.parametrize("name", ["y", "sample_weight"])
@pytest.mark.parametrize("value", [np.float64(3), 3.0, "abc"])
def test_one_number_for_all_rows(name, value):
    words = f"{name} must have a number for each of the 100 rows of X, got a single one"
    with pytest.raises(ValueError, match=words):
        from_arrays(X, **{name: value})
    with pytest.raises(ValueError, match=words.replace(name, rf"{name}\[1\]").replace("X", r"X\[1\]")):
        from_arrays([X, X], **{name: [Y, value]})
    others = (value,) if name == "y" else (Y, value)
    with pytest.raises(ValueError, match=words.replace(name, f"{name} of block 0")):
        LinearRegressor().fit(from_callable(lambda i: (X, *others), n_blocks=2))


@pytest.mark.parametrize("make", [sparse.coo_matrix, sparse.csc_array, sparse.dok_matrix, sparse.bsr_matrix])
def test_sparse_matrices_of_any_kind(make):
    found = LinearRegressor().fit(from_arrays(make(X), Y, block_rows=30)).coef_
    np.testing.assert_array_equal(
        found, LinearRegressor().fit(from_arrays(sparse.csr_matrix(X), Y, block_rows=30)).coef_)


@pytest.mark.parametrize("options", [{"function": lambda X: None}, {"y": lambda y: None}])
def test_a_map_to_nothing(options):
    with pytest.raises(TypeError, match="block 0 of the arrays: the function of map must return an array, got None"):
        LinearRegressor().fit(from_arrays(X, Y, block_rows=30).map(**options))


def npy(path, header, n_bytes=240, version=(1, 0)):
    text = header.encode("latin-1")
    text += b" " * (63 - (10 + len(text)) % 64) + b"\n"
    length = struct.pack("<H" if version == (1, 0) else "<I", len(text))
    path.write_bytes(b"\x93NUMPY" + bytes(version) + length + text + bytes(n_bytes))
    return path


@pytest.mark.parametrize("shape, words", [
    ("(-10, 3)", r"not a .npy file: its shape is \(-10, 3\)"), ("(-10, -3)", r"its shape is \(-10, -3\)"),
    ("(4294967296, 4294967296)", "is cut short: 368 bytes of 147573952589676413056"),
    ("(2305843009213693952, 8)", "is cut short"),
    ("(10, 4)", "is cut short"), ("(10.0, 3)", "not a .npy file"), ("'ab'", "not a .npy file"),
])
def test_shapes_that_a_file_cannot_have(tmp_path, shape, words):
    path = npy(tmp_path / "x.npy", f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}")
    with pytest.raises(ValueError, match=f"x.npy .*{words}"):
        from_npy(path)
    with pytest.raises(ValueError, match=f"x.npy .*{words}"):
        from_npy(npy(tmp_path / "fine.npy", "{'descr': '<f8', 'fortran_order': False, 'shape': (10, 3), }"), path)


@pytest.mark.parametrize("header", [
    "[1, 2", "(" * 3000, "'''abc", "__import__('os')", "{}", "\0", "{[]: 1}",
    "{'descr': 'xx', 'fortran_order': False, 'shape': (1, 1), }",
    "{'descr': '<f8', 'fortran_order': 1, 'shape': (10, 3), }",
])
def test_headers_that_are_none(tmp_path, header):
    with pytest.raises(ValueError, match=r"x.npy is not a .npy file"):
        from_npy(npy(tmp_path / "x.npy", header))


@pytest.mark.parametrize("dtype", ["V8", "i4,f4"])
def test_npy_files_of_records(tmp_path, dtype):
    np.save(tmp_path / "x.npy", np.zeros((10, 3), dtype))
    with pytest.raises(ValueError, match=r"X must hold numbers or text of a fixed length, got .* in .*x.npy"):
        from_npy(tmp_path / "x.npy")


@pytest.mark.parametrize("make", [
    polars.Series, pd.Series, lambda y: pd.Series(y).astype(str).astype("string"),
    lambda y: pd.Series(y).astype(str).astype("category"), lambda y: pd.Series(y).astype("Int64"), list,
])
def test_a_bound_on_memory_with_targets_of_any_library(tmp_path, make):
    np.save(tmp_path / "X.npy", X)
    model = LinearClassifier().fit(
        from_npy(tmp_path / "X.npy", make((Y > 0).astype(int)), block_rows=30, memory=10**8))
    assert list(map(int, model.classes_)) == [0, 1]


@pytest.fixture
def frame():
    return pd.DataFrame(X, columns=list("abc")).assign(y=Y)


@pytest.mark.parametrize("options, error, words", [
    ({"target": 3}, TypeError, "target must be the name of a column or a list of them, got 3"),
    ({"target": []}, ValueError, "target must name at least one column, got an empty list"),
    ({"target": ["y", "y"]}, ValueError, r"target must name each column once, got \['y', 'y'\]"),
    ({"target": "y", "sample_weight": "y"}, ValueError, "must be another column than the target, got 'y' for both"),
])
@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_targets_that_are_none(tmp_path, frame, kind, options, error, words):
    path = tmp_path / f"t.{kind}"
    frame.to_parquet(path) if kind == "parquet" else frame.to_csv(path, index=False)
    with pytest.raises(error, match=words):
        (from_parquet if kind == "parquet" else from_csv)(path, **options)


@pytest.mark.parametrize("options, error, words", [
    ({"encoding": "klingon"}, ValueError, "encoding must be one that Python knows, .* got 'klingon'"),
    ({"encoding": "rot13"}, ValueError, "encoding must be one that Python knows, .* got 'rot13'"),
    ({"encoding": 3}, TypeError, "encoding must be the name of an encoding, .* got 3"),
    ({"encoding": "utf-16"}, ValueError, "encoding must have a byte for a line end, .* got 'utf-16'"),
    ({"encoding": "utf-32-le"}, ValueError, "encoding must have a byte for a line end"),
    ({"separator": "§"}, ValueError, "separator must be an ASCII character .* got '§'"),
    ({"separator": "\n"}, ValueError, "separator must be an ASCII character"),
    ({"separator": '"'}, ValueError, "separator must be an ASCII character"),
    ({"types": "float64"}, TypeError, "types must be a dict from columns to types of Arrow or None, got str"),
    ({"types": {"a": 5}}, ValueError, "types must hold types of Arrow or their names, got 5 for 'a'"),
    ({"types": {"a": "klingon"}}, ValueError, "types must hold types of Arrow or their names, got 'klingon' for 'a'"),
])
def test_options_of_text(tmp_path, frame, options, error, words):
    frame.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(error, match=words):
        from_csv(tmp_path / "t.csv", target="y", **options)


@pytest.mark.parametrize("encoding", ["utf8", "utf-8-sig", "latin-1", "cp1252", "shift_jis"])
def test_encodings_with_line_ends_of_a_byte(tmp_path, frame, encoding):
    frame.to_csv(tmp_path / "t.csv", index=False, encoding=encoding)
    assert from_csv(tmp_path / "t.csv", target="y", encoding=encoding).names == ["a", "b", "c"]


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("options, what", [({"target": "k"}, "target"), ({"target": "y"}, "column")])
def test_integers_that_are_missing_in_a_file(tmp_path, frame, first, options, what):
    """Written as floats by pandas: it is what is missing that is told, not the types alone."""
    frame = frame.assign(k=np.arange(100) % 7)
    frame.to_parquet(tmp_path / f"{first}.parquet")
    frame.assign(k=frame["k"].where(frame.index % 50 != 42)).to_parquet(tmp_path / f"{1 - first}.parquet")
    with pytest.raises(ValueError, match=(
            rf"the {what} 'k' is missing in 2 rows of .*{1 - first}.parquet; it holds (double|int64) in .*1.parquet, "
            r"and (int64|double) in .*0.parquet")):
        from_parquet(tmp_path, **options)
    frame.assign(k=frame["k"] + 0.5).to_parquet(tmp_path / f"{1 - first}.parquet")
    with pytest.raises(ValueError, match=r"the column 'k' of .*1.parquet holds .*, and .* in .*0.parquet"):
        from_parquet(tmp_path, **options)
