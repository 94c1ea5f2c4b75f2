"""Sources of blocks: what each maker reads, and in which order."""

import itertools
import json
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
from source_cases import FRAME, NAMES, RNG, W, X, Y, parquet, put_together

from fasttrain import set_num_threads
from fasttrain._kernels.interleaving import interleave
from fasttrain.data import Blocks, from_arrays, from_callable, from_csv, from_npy, from_parquet
from fasttrain.data._ahead import ahead, loads
from fasttrain.data._csv import _parts_of
from fasttrain.data._parquet import ParquetBlocks
from fasttrain.data._passes import draw_pass, passes
from fasttrain.linear_model import LinearRegressor

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
