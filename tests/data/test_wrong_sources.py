"""What the makers of sources, and the sources, say of files and arrays that are wrong."""

import gzip
import os

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from source_cases import FRAME, W, X, Y, parquet, put_together

from fasttrain.data import from_arrays, from_callable, from_csv, from_npy, from_parquet
from fasttrain.linear_model import Lasso, LinearRegressor, SGDRegressor


def test_what_can_be_read_once_only_is_refused():
    with pytest.raises(TypeError, match=r"read once only.*from_callable\(lambda: \.\.\.\)"):
        from_arrays(x for x in [X])
    with pytest.raises(TypeError, match="read once only"):
        from_callable(iter([X]))
    blocks = iter([X, X])
    source = from_callable(lambda: blocks)
    assert source.n_blocks == 2
    with pytest.raises(TypeError, match=r"must return a new iterator each time.*make it inside the function"):
        source.block(0)


def test_functions_that_change_their_mind_are_refused():
    sizes = iter([10, 10, 10, 7])
    source = from_callable(lambda i: np.ones((next(sizes), 2)), n_blocks=2)
    assert [block.X.shape[0] for block in source] == [10, 10]
    source.block(0)
    with pytest.raises(ValueError, match="block 1 must be the same each time, got 7 rows, and 10 before"):
        source.block(1)
    counts = iter([3, 2])
    source = from_callable(lambda: iter([X] * next(counts)))
    assert source.n_blocks == 3
    with pytest.raises(ValueError, match="the same blocks each time, got 2, and 3 before"):
        list(source)


@pytest.mark.parametrize("arguments, message", [
    ((X, Y[:5]), r"y must have 1000 rows as X has, got 5"),
    (([X, X], [Y]), r"y must be a list of 2 arrays as X is, got 1 of them"),
    (([X, X], [Y, Y[:3]]), r"y\[1\] must have 1000 rows as X\[1\] has, got 3"),
    ((Y,), r"X must be an array.* of two axes, got ndarray of shape \(1000,\)"),
    (([],), "X must hold at least one block, got an empty list"),
])
def test_arrays_that_do_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        from_arrays(*arguments)


def test_options_are_checked():
    with pytest.raises(ValueError, match="buffer_blocks must be an integer >= 1, got 0"):
        from_arrays(X, buffer_blocks=0)
    with pytest.raises(TypeError, match="shuffle must be True or False, got 1"):
        from_arrays(X, shuffle=1)
    with pytest.raises(ValueError, match="block_rows must be an integer >= 1"):
        from_arrays(X, block_rows=0)


def test_npy_files_that_are_wrong(tmp_path):
    path = tmp_path / "X.npy"
    np.save(path, np.asfortranarray(X))
    with pytest.raises(ValueError, match="lies by columns"):
        from_npy(path)
    path.write_bytes(b"not an array")
    with pytest.raises(ValueError, match=r"X.npy is not a \.npy file"):
        from_npy(path)
    np.save(path, X)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ValueError, match=r"X.npy is cut short: 40120 bytes of 40128"):
        from_npy(path)
    np.save(path, X)
    source = from_npy(path, Y)
    os.utime(path, ns=(1, 1))
    with pytest.raises(ValueError, match=r"X.npy has changed since the source was made"):
        source.block(0)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"X.npy has vanished since the source was made"):
        source.block(0)


@pytest.mark.parametrize("options, message", [
    ({"target": "z"}, r"target names the column 'z', which .*part-0.parquet lacks; its columns are 'a', 'b'"),
    ({"target": "yy"}, r"did you mean 'y'\?"),
    ({"target": "y", "columns": ["a", "y"]}, "columns must leave out the target and the weights, got 'y'"),
    ({"columns": ["a", "q"]}, "columns names the column 'q'"),
    ({"sample_weight": "v"}, "sample_weight names the column 'v'"),
    ({"dtype": "int8"}, "dtype must be 'float32', 'float64', 'table' or None, got 'int8'"),
])
def test_parquet_columns_that_are_not_there(tmp_path, options, message):
    parquet(tmp_path)
    with pytest.raises(ValueError, match=message):
        from_parquet(tmp_path, **options)


def test_parquet_files_of_another_schema(tmp_path):
    parquet(tmp_path)
    parquet(tmp_path, FRAME.drop(columns="c"), "part-1.parquet")
    with pytest.raises(ValueError, match=r"part-1.parquet lacks the column 'c', which .*part-0.parquet has"):
        from_parquet(tmp_path, target="y")
    parquet(tmp_path, FRAME.astype({"c": str}), "part-1.parquet")
    with pytest.raises(ValueError, match=r"column 'c' of .*part-1.parquet holds .*string, and double in .*part-0.parq"):
        from_parquet(tmp_path, target="y")
    parquet(tmp_path, FRAME.assign(more=1.0), "part-1.parquet")
    with pytest.raises(ValueError, match=r"part-1.parquet has the column 'more', which .*part-0.parquet lacks: name "):
        from_parquet(tmp_path, target="y")
    assert from_parquet(tmp_path, target="y", columns=["a", "b"]).names == ["a", "b"]


def test_parquet_columns_may_stand_in_another_order(tmp_path):
    parquet(tmp_path, FRAME.iloc[:500])
    parquet(tmp_path, FRAME.iloc[500:][["w", "e", "y", "a", "d", "b", "c"]], "part-1.parquet")
    for found, wanted in zip(put_together(from_parquet(tmp_path, target="y", sample_weight="w")), (X, Y, W)):
        np.testing.assert_array_equal(found, wanted)


def test_parquet_row_groups_that_are_corrupt(tmp_path):
    path = parquet(tmp_path)
    source = from_parquet(path, target="y", block_rows=1)
    metadata = pq.ParquetFile(path).metadata
    at = metadata.row_group(3).column(2)
    with open(path, "r+b") as file:
        file.seek(min(at.data_page_offset, at.dictionary_page_offset or at.data_page_offset))
        file.write(b"\xff" * 64)
    stat = source._files[0]
    os.utime(path, ns=(stat.changed, stat.changed))
    source.block(2)
    with pytest.raises(ValueError, match=r"part-0.parquet, row group 3 cannot be read"):
        source.block(3)
    with pytest.raises(ValueError, match=r"part-0.parquet, row group 3 cannot be read"):
        LinearRegressor().fit(source)
    (tmp_path / "other.parquet").write_bytes(b"PAR1 nothing of it PAR1")
    with pytest.raises(ValueError, match=r"other.parquet is not a Parquet file that can be read"):
        from_parquet(tmp_path / "other.parquet")


def test_a_missing_target_is_placed(tmp_path):
    frame = FRAME.copy()
    frame.loc[[417, 450], "y"] = None
    table = pa.Table.from_pandas(frame, preserve_index=False, nthreads=1)
    path = tmp_path / "t.parquet"
    pq.write_table(table, path, row_group_size=100)
    source = from_parquet(path, target="y", block_rows=1)
    with pytest.raises(ValueError, match=(
            r"t.parquet, row group 4, row 17 \(row 417 of the file\): the target 'y' is missing in 2 rows")):
        LinearRegressor().fit(source)


def test_a_missing_number_is_placed(tmp_path):
    frame = FRAME.copy()
    frame.loc[733, "c"] = np.nan
    source = from_parquet(parquet(tmp_path, frame), target="y", sample_weight="w", block_rows=1)
    model = LinearRegressor().fit(X, Y)
    before = model.coef_.copy()
    with pytest.raises(ValueError, match=r"row group 7, row 33 \(row 733 of the file\): Input X contains NaN"):
        model.fit(source)
    with pytest.raises(ValueError, match=r"row group 7, row 33 \(row 733 of the file\): Input X contains NaN"):
        model.predict(source)
    np.testing.assert_array_equal(model.coef_, before)


@pytest.mark.parametrize("frames", [False, True])
def test_cells_that_are_no_numbers_are_placed_wherever_they_lie(tmp_path, frames):
    """Of X and of y, in arrays, data frames and .npy files."""
    missing, infinite, text, target = X.copy(), X.copy(), X.astype("U25"), Y.copy()
    missing[417, 2], infinite[417, 2], text[417, 2], target[417] = np.nan, np.inf, "oops", np.nan
    for features, y, message in (
            (missing, Y, "Input X contains NaN"), (infinite, Y, "Input X contains infinity"),
            (X, target, "Input y contains NaN"), (text, Y, "could not convert string to float.*oops")):
        if frames:
            features, y = pd.DataFrame(features), pd.Series(y)
            if message.startswith("could"):
                continue
        source = from_arrays(features, y, block_rows=100)
        for model in (LinearRegressor(), SGDRegressor()):
            with pytest.raises(ValueError, match=rf"block 4 of the arrays, row 17 \(row 417 of them\): {message}"):
                model.fit(source)
        if not frames:
            np.save(tmp_path / "X.npy", features)
            np.save(tmp_path / "y.npy", y)
            file = "y" if message.startswith("Input y") else "X"
            with pytest.raises(ValueError, match=rf"{file}.npy, row 417: {message}"):
                LinearRegressor().fit(from_npy(tmp_path / "X.npy", tmp_path / "y.npy", block_rows=100))


def test_files_that_vanish_between_passes(tmp_path):
    path = parquet(tmp_path)
    source = from_parquet(path, target="y", block_rows=1)
    source.block(0)
    os.unlink(path)
    with pytest.raises(FileNotFoundError, match=r"part-0.parquet has vanished since the source was made"):
        LinearRegressor().fit(source)


def test_csv_files_that_are_wrong(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b,y\n" + "1,2,3\n" * 20 + "1,oops,3\n")
    source = from_csv(path, target="y", block_bytes=30)
    with pytest.raises(ValueError, match=r"t.csv, bytes 120 to 134: row 1, column 'b': .*'oops'"):
        LinearRegressor().fit(source)
    with pytest.raises(ValueError, match=r"t.csv, bytes 6 to 134: row 20, column 'b': .*'oops'"):
        list(from_csv(path, target="y", types={"b": "float64"}))
    path.write_text("a,b,y\n" + "1,2,3\n" * 20 + "1,2\n")
    with pytest.raises(ValueError, match=r"t.csv, bytes \d+ to \d+: row \d: Expected 3 columns, got 2: 1,2"):
        list(from_csv(path, target="y", block_bytes=30))
    path.write_bytes(b"a,b,y\n1,2,3\n" + bytes(range(256)) * 4)
    with pytest.raises(ValueError, match=r"t.csv") as error:
        list(from_csv(path, target="y", types=dict.fromkeys("aby", "float64"), encoding="latin-1"))
    assert str(error.value).isprintable()
    assert len(str(error.value)) < len(str(path)) + 350
    path.write_text("a,b,y\n" + "1,2,3\n" * 20 + "1,2,\n")
    with pytest.raises(ValueError, match=r"t.csv, .* row \d+ .*the target 'y' is missing in 1 rows"):
        list(from_csv(path, target="y", block_bytes=30))
    path.write_text("a,b,y\n")
    with pytest.raises(ValueError, match=r"t.csv has a header but no rows"):
        from_csv(path)
    path.write_text("")
    with pytest.raises(ValueError, match=r"t.csv is empty"):
        from_csv(path)
    path.write_text("a,b,y\n1,2,3\n")
    (tmp_path / "u.csv").write_text("b,a,y\n1,2,3\n")
    with pytest.raises(ValueError, match=r"u.csv has the header .*, and .*t.csv has"):
        from_csv(tmp_path, target="y")
    (tmp_path / "v.csv.gz").write_bytes(gzip.compress(b"a,b,y\n1,2,3\n" * 1000)[:-20])
    with pytest.raises(ValueError, match=r"v.csv.gz is cut short or damaged"):
        from_csv(tmp_path / "v.csv.gz")


@pytest.mark.parametrize("text", ["town,y\nKöln,1\nBonn,2\n", "größe,y\n1,1\n2,2\n"], ids=["cells", "header"])
def test_csv_of_another_encoding(tmp_path, text):
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"t.csv: (the column 'town'|its header) is not utf8 text: encoding says how"):
        from_csv(path, target="y")
    assert from_csv(path, target="y", encoding="latin-1").names == [text.partition(",")[0]]


def test_parts_of_small_blocks_are_predicted_and_scored():
    ends = [0, 100, 103, 203]
    source = from_callable(lambda i: (X[ends[i]:ends[i + 1]], Y[ends[i]:ends[i + 1]]), n_blocks=3)
    train, held = source.split(0.1)
    model = LinearRegressor().fit(train)
    kept = np.concatenate([held.block(i).X for i in (0, 2)])
    assert len(held.block(1).X) == 0
    np.testing.assert_array_equal(model.predict(held), model.predict(kept))
    assert model.score(held) == model.score(kept, np.concatenate([held.block(i).y for i in (0, 2)]))
    with pytest.raises(ValueError, match="must have at least one row, got none"):
        model.predict(from_callable(lambda _: (X[:3], Y[:3]), n_blocks=2).split(0.1)[1])


def test_paths_that_name_nothing(tmp_path):
    with pytest.raises(ValueError, match=r"is a folder without a file that ends with .parquet or .pq"):
        from_parquet(tmp_path)
    with pytest.raises(ValueError, match="path must match at least one file"):
        from_parquet(str(tmp_path / "*.parquet"))
    with pytest.raises(FileNotFoundError):
        from_parquet(tmp_path / "none.parquet")


def test_estimators_that_need_all_rows_say_so():
    source = from_arrays(X, Y, block_rows=100)
    with pytest.raises(TypeError, match=r"must be an array here, got a source of blocks.*numpy.concatenate"):
        np.asarray(source)
    with pytest.raises(TypeError, match="for Lasso, got a source of blocks: coordinate descent goes"):
        Lasso().fit(source)
