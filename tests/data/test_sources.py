"""Sources of blocks: what each maker reads, and what it says of files and arrays that are wrong."""

import gzip
import itertools
import json
import os
import pickle
import subprocess
import sys
import threading
import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import sparse

from fasttrain import set_num_threads
from fasttrain._kernels.interleaving import interleave
from fasttrain.data import Blocks, from_arrays, from_callable, from_csv, from_npy, from_parquet
from fasttrain.data._ahead import ahead, loads
from fasttrain.data._csv import _parts_of
from fasttrain.data._parquet import ParquetBlocks
from fasttrain.data._passes import draw_pass, passes
from fasttrain.linear_model import Lasso, LinearRegressor, SGDRegressor

RNG = np.random.default_rng(0)
X = RNG.standard_normal((1000, 5))
Y = X @ np.arange(5.0) + 1
W = RNG.random(1000)
NAMES = ["a", "b", "c", "d", "e"]
FRAME = pd.DataFrame(X, columns=NAMES).assign(y=Y, w=W)


def put_together(source):
    """X, y and weights of all blocks."""
    parts = list(zip(*source))
    return [None if values[0] is None else np.concatenate(values) for values in parts]


def parquet(folder, frame=FRAME, name="part-0.parquet", rows=100):
    path = os.path.join(folder, name)
    frame.to_parquet(path, row_group_size=rows, index=False)
    return path


# ---- what they read ----


def test_arrays_are_cut_into_blocks():
    source = from_arrays(X, Y, W, block_rows=300)
    assert [len(block.X) for block in source] == [300, 300, 400]
    assert source.n_rows == 1000
    for found, wanted in zip(put_together(source), (X, Y, W)):
        np.testing.assert_array_equal(found, wanted)
    assert isinstance(source, Blocks)
    with pytest.raises(IndexError, match="from 0 to 2, got 3"):
        source[3]


def test_y_and_weights_may_be_lists_and_series(tmp_path):
    np.save(tmp_path / "X.npy", X)
    # an index that is not the rows' numbers
    y, w = pd.Series(Y, index=RNG.permutation(1000) / 2), W.tolist()
    lists = [array.tolist() for array in np.split(Y, 4)]
    wanted = [block.y.tolist() for block in from_arrays(X, Y, block_rows=250).split(0.3)[1]]
    for source in (from_arrays(X, Y.tolist(), w, block_rows=250), from_arrays(X, y, w, block_rows=250),
                   from_npy(tmp_path / "X.npy", Y.tolist(), w, block_rows=250), from_arrays(np.split(X, 4), lists),
                   from_npy(tmp_path / "X.npy", y, w, block_rows=250)):
        assert [block.y.tolist() for block in source.split(0.3)[1]] == wanted
    np.save(tmp_path / "y.npy", np.float64(3))
    with pytest.raises(ValueError, match="y must have a number for each of the 1000 rows of X, got a single one"):
        from_npy(tmp_path / "X.npy", tmp_path / "y.npy")


def test_sparse_arrays_and_frames_are_cut_too():
    matrix = sparse.random(100, 7, 0.2, format="csr", random_state=0)
    source = from_arrays(matrix, block_rows=30)
    assert (sparse.vstack([block.X for block in source]) != matrix).nnz == 0
    source = from_arrays(FRAME[NAMES], FRAME["y"], block_rows=400)
    assert source.names == NAMES
    assert source.block(1).X.equals(FRAME[NAMES].iloc[400:800])


def test_npy(tmp_path):
    np.save(tmp_path / "X.npy", X.astype(np.float32))
    np.save(tmp_path / "y.npy", Y)
    source = from_npy(tmp_path / "X.npy", tmp_path / "y.npy", W, block_rows=128)
    found = put_together(source)
    np.testing.assert_array_equal(found[0], X.astype(np.float32))
    np.testing.assert_array_equal(found[1], Y)
    np.testing.assert_array_equal(found[2], W)
    assert source.where(1, 3) == f"{tmp_path / 'X.npy'}, row 131"


@pytest.mark.parametrize("block_rows", [None, 1, 150])
def test_parquet(tmp_path, block_rows):
    parquet(tmp_path, FRAME.iloc[:600])
    parquet(tmp_path, FRAME.iloc[600:], "part-1.parquet")
    source = from_parquet(tmp_path, target="y", sample_weight="w", block_rows=block_rows)
    assert source.n_blocks == {None: 2, 1: 10, 150: 5}[block_rows]
    assert source.names == NAMES
    for found, wanted in zip(put_together(source), (X, Y, W)):
        np.testing.assert_array_equal(found, wanted)
    other = from_parquet(str(tmp_path / "*.parquet"), target=["y", "w"], columns=["c", "a"], dtype="float32")
    found = put_together(other)
    np.testing.assert_array_equal(found[0], X[:, [2, 0]].astype(np.float32))
    np.testing.assert_array_equal(found[1], np.column_stack([Y, W]))
    assert pickle.loads(pickle.dumps(source)).block(1).X.shape == source.block(1).X.shape


def test_types_of_parquet_columns(tmp_path):
    table = pa.table({
        "small": pa.array([1, None, 3], pa.int16()), "flag": pa.array([True, False, None]),
        "half": pa.array([1.5, 2.5, None], pa.float32()), "word": pa.array(["u", None, "v"]),
        "coded": pa.array([1.0, 2.0, 1.0]).dictionary_encode(),
    })
    pq.write_table(table, tmp_path / "t.parquet")
    path = tmp_path / "t.parquet"
    source = from_parquet(path, columns=["small", "flag", "half"])
    assert source.block(0).X.dtype == np.float32
    np.testing.assert_array_equal(source.block(0).X, [[1, 1, 1.5], [np.nan, 0, 2.5], [3, np.nan, np.nan]])
    assert from_parquet(path, columns=["coded"]).block(0).X.tolist() == [[1.0], [2.0], [1.0]]
    assert from_parquet(path).block(0).X.column("word").to_pylist() == ["u", None, "v"]
    with pytest.raises(ValueError, match=r"column 'word' of .*t.parquet holds string, where numbers are asked for"):
        from_parquet(path, dtype="float64")


@pytest.mark.parametrize("block_bytes", [1, 200, 3000, None])
@pytest.mark.parametrize("packed", [False, True])
def test_csv(tmp_path, block_bytes, packed):
    path = tmp_path / ("t.csv.gz" if packed else "t.csv")
    FRAME.iloc[:120].to_csv(path, index=False)
    source = from_csv(path, target="y", sample_weight="w", block_bytes=block_bytes)
    for found, wanted in zip(put_together(source), (X, Y, W)):
        np.testing.assert_array_equal(found, wanted[:120])
    assert source.n_rows == 120
    # any block, in any order
    assert [len(source.block(i).X) for i in reversed(range(source.n_blocks))] == [
        source.rows(i) for i in reversed(range(source.n_blocks))]


def test_csv_cells_may_hold_line_ends(tmp_path):
    path = tmp_path / "t.csv"
    texts = [f'line one {i}\nand "two"\n' if i % 3 else "plain" for i in range(50)]
    pd.DataFrame({"text": texts, "x": np.arange(50.0)}).to_csv(path, index=False)
    source = from_csv(path, block_bytes=40)
    assert source.n_blocks > 5
    assert [cell for block in source for cell in block.X.column("text").to_pylist()] == texts
    path.write_text('"size\nin ""m2""",price\n1,2\n3,4\n')
    source = from_csv(path, target="price", block_bytes=4)
    assert (source.names, [block.X.tolist() for block in source]) == (['size\nin "m2"'], [[[1.0]], [[3.0]]])
    path.write_text('"size,price\n1,2\n')
    with pytest.raises(ValueError, match=r"t\.csv has a header in which a quote is not closed"):
        from_csv(path)


def test_ends_of_rows_are_found_across_reads(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    text = b'a,"b\n\n""c""",d\n' * 40 + b"last,row,here"
    path.write_bytes(text)
    for size in (1, 3, 7, 64, 1 << 20):
        monkeypatch.setattr("fasttrain.data._csv._READ_BYTES", size)
        for block in (1, 15, 50, 10_000):
            parts = _parts_of(path, block)
            assert parts[0][0] == 0
            assert parts[-1][1] == len(text)
            assert all(a[1] == b[0] for a, b in itertools.pairwise(parts))
            assert all(text[:end].count(b'"') % 2 == 0 and text[end - 1:end] in (b"\n", b"e") for _, end in parts)


def test_functions():
    def block(i):
        return X[i * 100:i * 100 + 100], Y[i * 100:i * 100 + 100]

    numbered = from_callable(block, n_blocks=10)
    iterated = from_callable(lambda: map(block, range(10)))
    for source in (numbered, iterated):
        assert source.n_blocks == 10
        np.testing.assert_array_equal(put_together(source)[0], X)
        np.testing.assert_array_equal(source.block(7).y, Y[700:800])
        np.testing.assert_array_equal(source.block(2).y, Y[200:300])
    assert iterated.n_rows == 1000


def test_maps_are_lazy():
    asked = []
    source = from_arrays(X, Y, block_rows=100).map(lambda part: asked.append(len(part)) or part * 2)
    assert not asked
    block = source.block(3)
    np.testing.assert_array_equal(block.X, 2 * X[300:400])
    np.testing.assert_array_equal(block.y, Y[300:400])
    assert asked == [100]
    for function, error in ((json.loads, TypeError), (lambda part: json.loads("{"), ValueError),
                            (lambda part: b"\xff".decode(), ValueError)):
        with pytest.raises(error, match=r"^block 3 of the arrays: "):
            from_arrays(X, block_rows=100).map(function).block(3)


def test_a_source_of_ones_own_says_what_it_must_have():
    class Bare(Blocks):
        n_blocks = 2

    with pytest.raises(NotImplementedError, match=r"Bare must have block\(i\), which returns .* Block\(X, y"):
        LinearRegressor().fit(Bare())


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64])
@pytest.mark.parametrize("out_dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_threads", [1, 2, 3, 8])
def test_columns_become_rows(dtype, out_dtype, n_threads):
    for n_rows, n_columns in itertools.product((1, 63, 257, 5_000), (1, 5, 16, 17, 40)):
        columns = [np.ascontiguousarray(RNG.integers(-9, 9, n_rows).astype(dtype)) for _ in range(n_columns)]
        out = np.full((n_rows, n_columns + 2), 7, dtype=out_dtype)
        # some go beside their neighbours, some anywhere
        places = np.arange(1, n_columns + 1, dtype=np.intp)
        places[n_columns // 2:] = RNG.permutation(places[n_columns // 2:]) + 1
        interleave(columns, columns[0], places, out, n_threads)
        expected = np.full_like(out, 7)
        for place, column in zip(places, columns):
            expected[:, place] = column
        np.testing.assert_array_equal(out, expected)


# ---- the order of a pass ----


@pytest.mark.parametrize("batch_size", [1, 7, 100, 450])
@pytest.mark.parametrize("buffer_blocks", [1, 3, 20])
@pytest.mark.parametrize("shuffle", [True, False])
def test_every_row_is_met_once_and_only_the_last_batch_is_short(batch_size, buffer_blocks, shuffle):
    numbers = np.arange(1000)[:, None]
    source = from_arrays(numbers, block_rows=90)
    rows = [source.rows(i) for i in range(source.n_blocks)]
    order, seed = draw_pass(rows, shuffle, True, np.random.RandomState(0))
    answers = []
    for read_ahead in (False, True):
        met, sizes = [], []
        for part in passes(lambda i, out: (source.block(i).X,), rows, order, buffer_blocks=buffer_blocks,
                           batch_size=batch_size, seed=seed, read_ahead=read_ahead):
            array = part.arrays[0]
            met.append((array if part.order is None else array[part.order])[:, 0].copy())
            sizes.append(part.n_rows)
        assert all(size % batch_size == 0 for size in sizes[:-1])
        answers.append(np.concatenate(met))
    np.testing.assert_array_equal(*answers)
    assert (np.sort(answers[0]) == np.arange(1000)).all()
    assert (answers[0] == np.arange(1000)).all() != shuffle


def test_rows_of_a_buffer_are_shuffled_together():
    source = from_arrays(np.arange(1000)[:, None], block_rows=100)
    order, seed = draw_pass([100] * 10, True, True, np.random.RandomState(0))
    first = next(passes(lambda i, out: (source.block(i).X,), [100] * 10, order, buffer_blocks=4, batch_size=1,
                        seed=seed, read_ahead=False))
    blocks = first.arrays[0][first.order[:50], 0] // 100
    assert set(blocks) == set(order[:4])


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_loads_come_in_their_order_whoever_is_first(n_threads):
    begun, most = [], 0

    def load(number):
        begun.append(number)
        # the later ones are through first
        time.sleep(0.01 * (number % 3 == 0))
        if number == 7:
            raise ValueError("block 7")
        return number * number

    found = loads(load, range(9), n_threads)
    for number in range(7):
        assert next(found) == number * number
        # no more are asked for than there are threads
        most = max(most, len(begun) - number)
    assert most <= n_threads + 1
    with pytest.raises(ValueError, match="block 7"):
        next(found)
    assert list(loads(load, [], n_threads)) == []
    found = loads(load, range(5), n_threads)
    next(found)
    found.close()


def test_row_groups_are_decoded_at_once(tmp_path, monkeypatch):
    table = pd.DataFrame(RNG.standard_normal((3000, 4)), columns=list("abcd")).assign(y=np.arange(3000.0))
    table.to_parquet(tmp_path / "rows.parquet", row_group_size=100)
    inside, together = 0, set()
    block_into = ParquetBlocks.block_into

    def counted(self, i, out):
        nonlocal inside
        inside += 1
        together.add(inside)
        time.sleep(0.002)
        try:
            return block_into(self, i, out)
        finally:
            inside -= 1

    monkeypatch.setattr(ParquetBlocks, "block_into", counted)
    answers = []
    for n_threads, read_ahead in ((1, True), (2, True), (3, True), (3, False)):
        together.clear()
        set_num_threads(n_threads)
        try:
            source = from_parquet(tmp_path, target="y", block_rows=100, read_ahead=read_ahead)
            model = LinearRegressor(optimizer="adam", random_state=0, max_iter=2, tol=None).fit(source)
        finally:
            set_num_threads(None)
        assert max(together) == (n_threads if read_ahead else 1)
        answers.append(model.coef_.tobytes())
    assert len(set(answers)) == 1


def test_reading_ahead_ends_with_its_reader():
    before = set(threading.enumerate())
    stream = ahead(iter(range(1000)), depth=2)
    assert [next(stream) for _ in range(3)] == [0, 1, 2]
    stream.close()
    assert set(threading.enumerate()) <= before

    def failing():
        yield 1
        raise OSError("the disk is gone")

    stream = ahead(failing())
    assert next(stream) == 1
    with pytest.raises(OSError, match="the disk is gone"):
        next(stream)
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("while_reading", [True, False])
def test_ctrl_c_does_not_wait_for_a_block(while_reading):
    """Within 100 ms of it, also while a block takes long to read; the model is as it was.

    It comes while the training waits for the block, or while it makes steps on the one before.
    """
    program = """
import os, signal, sys, threading, time
import numpy as np
from fasttrain.callbacks import Callback
from fasttrain.data import from_callable
from fasttrain.linear_model import LinearRegressor, SGDRegressor
class Slow(Callback):
    wants_batches = True
    def on_batch_end(self, batch, logs):
        time.sleep(0.1)
def block(i):
    if i == 3:
        threading.Timer(0.3, lambda: (stamps.append(time.perf_counter()), os.kill(os.getpid(), signal.SIGINT))).start()
        time.sleep(3)
    return np.ones((10, 2)) * i, np.ones(10)
stamps = []
model = SGDRegressor() if sys.argv[1] == "True" else LinearRegressor(optimizer="sgd", batch_size=1)
model.fit(np.eye(2), [0.0, 1.0])
model.callbacks = Slow()
before = model.coef_.copy()
source = from_callable(block, n_blocks=8, buffer_blocks=1, shuffle=False)
for i in range(8):
    source._rows[i] = 10
try:
    model.fit(source)
except KeyboardInterrupt:
    assert time.perf_counter() - stamps[0] < 1.0
    assert (model.coef_ == before).all()
    print("heard", flush=True)
os._exit(0)
"""
    command = [sys.executable, "-c", program, str(while_reading)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "heard\n", done.stderr


def test_passes_that_are_given_up_end_their_thread():
    source = from_callable(lambda i: (time.sleep(0.001), np.ones((10, 1)))[1], n_blocks=50)
    before = threading.active_count()
    stream = passes(lambda i, out: source.block(i), [10] * 50, np.arange(50), buffer_blocks=2, batch_size=3, seed=0,
                    read_ahead=True)
    next(stream)
    stream.close()
    assert threading.active_count() == before


# ---- what is wrong ----


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
