"""Blocks read to where they are trained on, in as much memory as they may take."""

import itertools
import re
import subprocess
import sys
import tracemalloc

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fasttrain import set_num_threads
from fasttrain._kernels.interleaving import interleave_arrow
from fasttrain._kernels.threads import get_num_threads, num_threads
from fasttrain.data import Block, Blocks, from_npy, from_parquet
from fasttrain.data import _parquet
from fasttrain.data._columns import RowFiller
from fasttrain.data._passes import draw_pass, passes
from fasttrain.data._room import BlockBytes, pass_room, stream_room
from fasttrain.data._use import RawBlocks, stream
from fasttrain.linear_model import LinearClassifier, SGDClassifier
from fasttrain.neural_network import MLPClassifier
from fasttrain.preprocessing import StandardScaler

RNG = np.random.default_rng(0)


# ---- columns of Arrow as rows ----


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64])
@pytest.mark.parametrize("out_dtype", [np.float32, np.float64])
def test_a_batch_becomes_rows(dtype, out_dtype):
    for n_rows, n_columns, cut in itertools.product((1, 64, 300), (1, 16, 21), (0, 5)):
        whole = RNG.integers(-9, 9, (n_rows + cut, n_columns)).astype(dtype)
        # a slice has an offset into the memory of what it was cut from
        batch = pa.record_batch([pa.array(column) for column in whole.T], list(map(str, range(n_columns)))).slice(cut)
        columns = RNG.permutation(n_columns)[:-(-n_columns // 2)].astype(np.intp)
        places = RNG.permutation(n_columns)[:len(columns)].astype(np.intp) + 1
        out = np.full((n_rows, n_columns + 2), 7, dtype=out_dtype)
        assert interleave_arrow(batch.__arrow_c_array__()[1], np.empty(0, dtype), columns, places, out) == []
        expected = np.full_like(out, 7)
        expected[:, places] = whole[cut:, columns]
        np.testing.assert_array_equal(out, expected)


def test_columns_with_nulls_are_left_to_the_caller():
    batch = pa.record_batch([pa.array([1.0, 2.0]), pa.array([3.0, None]), pa.array([5.0, 6.0])], ["a", "b", "c"])
    memory, places = batch.__arrow_c_array__()[1], np.arange(3, dtype=np.intp)
    out = np.zeros((2, 3))
    assert interleave_arrow(memory, np.empty(0), places, places, out) == [1]
    assert out.tolist() == [[1, 0, 5], [2, 0, 6]]
    # what is null before the slice is no null of it
    out = np.zeros((1, 3))
    RowFiller(batch.schema, ["b", "c", "a"]).fill(batch.slice(0, 1), out)
    assert out.tolist() == [[3, 5, 1]]
    for columns, rows in (([0, 3, 1], 2), ([0, -1, 1], 2), ([0, 1, 2], 3)):
        with pytest.raises(ValueError, match="a batch of 3 columns and 2 rows has not"):
            interleave_arrow(memory, np.empty(0), np.array(columns, np.intp), places, np.zeros((rows, 3)))


def test_rows_are_counted_from_where_a_batch_begins():
    # what a structure is cut from is whole in its columns
    cut = pa.StructArray.from_arrays([pa.array(np.arange(9.0))], ["a"]).slice(4)
    memory, places, out = cut.__arrow_c_array__()[1], np.zeros(1, np.intp), np.zeros((5, 1))
    assert interleave_arrow(memory, np.empty(0), places, places, out) == []
    assert out[:, 0].tolist() == [4, 5, 6, 7, 8]
    with pytest.raises(ValueError, match="has not 6 rows of column 0"):
        interleave_arrow(memory, np.empty(0), places, places, np.zeros((6, 1)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", [pa.int64(), pa.uint64()])
@pytest.mark.parametrize("missing", [False, True])
def test_large_integers_are_rounded(tmp_path, dtype, kind, missing):
    values = [(1 << 53) + 1, (1 << 62) + 1, 3]
    column = pa.array([*values, None if missing else 7], kind)
    pq.write_table(pa.table({"a": column}), tmp_path / "t.parquet")
    expected = np.array([*values, np.nan if missing else 7], dtype=np.float64)
    found = from_parquet(tmp_path / "t.parquet", dtype=dtype).block(0).X
    np.testing.assert_array_equal(found[:, 0], expected.astype(dtype))


# ---- blocks in the place that they are told ----


def mixed_file(folder, n_rows=500, n_columns=45, row_group=60):
    """A file of columns of all types that become numbers, some with nulls; what they are as rows."""
    columns, rows = {}, np.empty((n_rows, n_columns))
    types = [pa.float64(), pa.float32(), pa.int64(), pa.int32(), pa.int8(), pa.bool_()]
    for j in range(n_columns):
        kind = types[j % len(types)]
        values = RNG.integers(0, 2 if kind == pa.bool_() else 99, n_rows).astype(float)
        missing = RNG.random(n_rows) < (0.1 if j % 4 == 1 else 0)
        columns[f"c{j}"] = pa.array(values, mask=missing).cast(kind)
        rows[:, j] = np.where(missing, np.nan, values)
    path = folder / "mixed.parquet"
    pq.write_table(pa.table({**columns, "y": np.arange(n_rows)}), path, row_group_size=row_group)
    return path, rows


@pytest.mark.parametrize("part_bytes", [1, 2000, 1 << 23])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("block_rows", [1, 130])
def test_parquet_is_decoded_some_columns_at_a_time(tmp_path, monkeypatch, part_bytes, dtype, block_rows):
    path, rows = mixed_file(tmp_path)
    monkeypatch.setattr(_parquet, "_PART_BYTES", part_bytes)
    source = from_parquet(path, target="y", dtype=dtype, block_rows=block_rows)
    first = 0
    for i in range(source.n_blocks):
        last = first + source.rows(i)
        out = np.full((source.rows(i), 45), -1, dtype=dtype)
        found = source.block_into(i, out)
        assert found.X is out
        np.testing.assert_array_equal(out, rows[first:last].astype(dtype))
        np.testing.assert_array_equal(found.y, np.arange(first, last))
        other = source.block(i)
        assert other.X.dtype == dtype
        np.testing.assert_array_equal(other.X, out)
        other_dtype = {"float32": "float64", "float64": "float32"}[dtype]
        for unlike in (out.astype(other_dtype), out[1:].copy(), out[:, 1:].copy()):
            kept = unlike.copy()
            np.testing.assert_array_equal(source.block_into(i, unlike).X, out)
            np.testing.assert_array_equal(unlike, kept)
        first = last
    assert first == 500


def test_columns_are_parted_in_whole_tiles(tmp_path):
    table = pa.table({f"c{j}": RNG.standard_normal(4000).astype(np.float32) for j in range(100)})
    pq.write_table(table, tmp_path / "t.parquet", compression="none", use_dictionary=False)
    source = from_parquet(tmp_path / "t.parquet")
    found = pq.read_metadata(tmp_path / "t.parquet")
    for part_bytes, expected in ((1 << 23, [0]), (1_300_000, [0, 32, 64]), (1, [0, 16, 32, 48, 64, 80, 96])):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_parquet, "_PART_BYTES", part_bytes)
            parts, rows = source._parts([0], found)
        assert [part.start for part in parts] == expected
        assert [part.stop for part in parts] == [*expected[1:], 100]
        assert 1 <= rows <= 4000
        assert rows * max(part.stop - part.start for part in parts) * 4 <= max(part_bytes, 16 * 4)


@pytest.mark.parametrize("part_bytes", [1, 1 << 23])
def test_a_column_may_be_asked_for_twice(tmp_path, monkeypatch, part_bytes):
    path, rows = mixed_file(tmp_path)
    monkeypatch.setattr(_parquet, "_PART_BYTES", part_bytes)
    numbers = [7, 3, 7, *range(20), 44, 3]
    source = from_parquet(path, target="y", columns=[f"c{j}" for j in numbers], dtype="float64", block_rows=130)
    out = np.full((source.rows(0), len(numbers)), -1.0)
    assert source.block_into(0, out).X is out
    np.testing.assert_array_equal(out, rows[:len(out), numbers])


def test_npy_is_read_where_it_is_told(tmp_path):
    X = RNG.standard_normal((100, 3)).astype(np.float32)
    np.save(tmp_path / "X.npy", X)
    source = from_npy(tmp_path / "X.npy", np.arange(100), block_rows=40)
    out = np.zeros((40, 3), np.float32)
    assert source.block_into(1, out).X is out
    np.testing.assert_array_equal(out, X[40:80] if source.rows(1) == 40 else X[40:40 + source.rows(1)])
    unlike = np.zeros((40, 3))
    np.testing.assert_array_equal(source.block_into(0, unlike).X, X[:40])
    assert not unlike.any()


# ---- a pass ----


class Counted(Blocks):
    """Blocks of known rows, some of which are written where they are told."""

    def __init__(self, sizes, **options):
        super().__init__(**options)
        ends = np.cumsum(sizes)
        self.starts = list(zip(ends - sizes, ends))
        self.asked = []

    n_blocks = property(lambda self: len(self.starts))

    def rows(self, i):
        first, last = self.starts[i]
        return last - first

    def block(self, i):
        return Block(np.arange(*self.starts[i], dtype=np.float64)[:, None] * [1, 2])

    def block_into(self, i, out):
        self.asked.append(i)
        if i % 3 == 2:
            return self.block(i)
        out[:] = self.block(i).X
        return Block(out)


@pytest.mark.parametrize("n_readers", [1, 2, 5])
@pytest.mark.parametrize("n_buffers", [1, 2])
@pytest.mark.parametrize("batch_size", [1, 7, 90])
@pytest.mark.parametrize("seed", [None, 3])
def test_rows_are_the_same_wherever_they_are_read_to(n_readers, n_buffers, batch_size, seed):
    source = Counted([30, 1, 44, 25, 60, 7, 90, 3, 18])
    rows = [source.rows(i) for i in range(source.n_blocks)]
    order, _ = draw_pass(rows, seed is not None, True, np.random.RandomState(0))

    def met(load, **options):
        parts = passes(load, rows, order, buffer_blocks=4, batch_size=batch_size, seed=seed, **options)
        return [(part.arrays[0] if part.order is None else part.arrays[0][part.order]).copy() for part in parts]

    plain = met(lambda i, out: source.block(i)[:1], read_ahead=False)
    direct = met(lambda i, out: source.block_into(i, out)[:1], read_ahead=True, n_readers=n_readers,
                 n_buffers=n_buffers, like=(2, np.float64))
    assert source.asked
    assert len(plain) == len(direct)
    for one, other in zip(plain, direct):
        np.testing.assert_array_equal(one, other)


def test_what_was_written_in_its_place_is_not_copied():
    source = Counted([50, 50, 50, 50])
    given = []

    def load(i, out):
        out[:] = source.block(i).X
        given.append(out)
        return (out,)

    stream = passes(load, [50] * 4, [3, 1, 0, 2], buffer_blocks=4, batch_size=1, seed=0, read_ahead=True, n_readers=2,
                    like=(2, np.float64))
    [part] = list(stream)
    assert all(np.shares_memory(part.arrays[0], out) for out in given)
    # the X of a block is written to once only: here and nowhere else
    assert {out.ctypes.data for out in given} == {
        part.arrays[0][first:].ctypes.data for first in (0, 50, 100, 150)}


def test_a_bound_on_memory_decodes_less_at_a_time(tmp_path):
    """From half of the room to read a block, the same numbers."""
    names = [f"x{j}" for j in range(64)]
    rows = np.random.default_rng(0).standard_normal((20_000, 64)).astype(np.float32)
    pd.DataFrame(rows, columns=names).to_parquet(tmp_path / "a.parquet", row_group_size=10_000, compression=None)
    free, bound = (from_parquet(tmp_path / "a.parquet", block_rows=10_000, memory=m) for m in (None, 30_000_000))
    assert bound.block_bytes().reading < 0.5 * free.block_bytes().reading
    assert bound.block_bytes().rows == free.block_bytes().rows
    np.testing.assert_array_equal(bound.block(1).X, rows[10_000:])


def test_blocks_of_other_sizes_than_said_are_refused():
    source = Counted([10, 10])
    stream = passes(lambda i, out: (np.ones((9, 1)),), [10, 10], [0, 1], buffer_blocks=1, batch_size=1, seed=0,
                    read_ahead=False)
    with pytest.raises(ValueError, match="block 0 has 9 rows, and its source said 10"):
        next(stream)
    assert source.n_rows == 20


class Asking(Counted):
    """Blocks that note how many threads the kernels would have where they are made."""

    concurrent = True

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.threads = set()

    def block(self, i):
        self.threads.add(get_num_threads())
        return Block(super().block(i).X, np.arange(self.rows(i)) % 2)


@pytest.mark.parametrize("n_threads, share", [(1, 1), (2, 1), (3, 1), (9, 1), (10, 2)])
def test_reading_ahead_leaves_threads_to_those_that_train(n_threads, share):
    """Four readers at most beside the training, which all have the same number of threads; without, all are theirs."""
    for read_ahead in (True, False):
        source = Asking([60] * 8, read_ahead=read_ahead)
        uses = [
            lambda one: one.sum_of(RawBlocks(one), lambda block: 1), lambda one: one.sum_of_targets(lambda i, y: 1),
            lambda one: list(stream(one, one.block)),
            lambda one: list(passes(
                lambda i, out: one.block(i), [60] * 8, range(8), buffer_blocks=2, batch_size=1, seed=0,
                read_ahead=one.read_ahead, n_readers=pass_room(one, True)[0])),
        ]
        for use in uses:
            source.threads.clear()
            # a limit of the thread that asks alone
            with num_threads(n_threads):
                use(source)
            assert source.threads == {share if read_ahead else n_threads}


# ---- memory ----


def test_less_memory_means_fewer_readers_then_one_buffer():
    class Known(Counted):
        concurrent, direct = True, True

        def block_bytes(self):
            return BlockBytes(1000, 300)

    set_num_threads(3)
    try:
        found = [pass_room(Known([10] * 8, memory=memory), True) for memory in (None, 8900, 8899, 8300, 8299, 4600, 1)]
        assert found == [(3, 2), (3, 2), (2, 2), (1, 2), (3, 1), (2, 1), (1, 1)]
        # what is not written to the buffer is held beside it, as it was read and as it became
        assert pass_room(Known([10] * 8, memory=8900), False) == (2, 1)
        found = [stream_room(Known([10] * 8, memory=memory)) for memory in (None, 6900, 6899, 4300, 4299)]
        assert found == [(3, 1), (3, 1), (2, 1), (1, 1), (1, 0)]
        assert pass_room(Known([10], read_ahead=False, memory=5000), True) == (1, 1)
    finally:
        set_num_threads(None)
    with pytest.raises(NotImplementedError, match=r"Counted has no block_bytes\(\), of which memory= is kept"):
        pass_room(Counted([10], memory=5), True)


@pytest.fixture
def file(tmp_path):
    X = RNG.standard_normal((4000, 20)).astype(np.float32)
    frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(20)]).assign(y=(X[:, 0] > 0).astype(int))
    frame.to_parquet(tmp_path / "t.parquet", row_group_size=250, index=False)
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", frame["y"].to_numpy())
    return tmp_path


@pytest.mark.parametrize("model", [
    SGDClassifier(max_iter=3, tol=None, random_state=0), LinearClassifier(max_iter=3, tol=None, random_state=0),
    LinearClassifier(optimizer="adam", max_iter=3, tol=None, random_state=0),
    MLPClassifier((5,), max_iter=3, tol=0.0, n_iter_no_change=9, random_state=0),
    MLPClassifier((5,), max_iter=3, early_stopping=True, n_iter_no_change=9, random_state=0),
], ids=str)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_no_answer_hangs_on_memory(file, model):
    answers = set()
    for kind in ("parquet", "npy"):
        for memory in (None, 120_000, 400_000, 10_000_000):
            source = from_npy(file / "X.npy", file / "y.npy", block_rows=250, memory=memory) if kind == "npy" else (
                from_parquet(file / "t.parquet", target="y", block_rows=250, memory=memory and memory + 400_000))
            set_num_threads(3)
            try:
                answers.add(model.fit(source).predict_proba(source).tobytes() if hasattr(model, "predict_proba")
                            else model.fit(source).decision_function(source).tobytes())
            finally:
                set_num_threads(None)
    assert len(answers) == 1


def test_too_little_memory_is_refused_with_what_it_takes(file):
    for buffer_blocks, needed in ((4, 4), (1, 2)):
        # 20 numbers, the target, and what the order of the rows and the target in the loss's form take
        with pytest.raises(ValueError, match=rf"memory must be at least {needed * 250 * 112} bytes here, "
                           rf"{buffer_blocks} blocks \(buffer_blocks\) of up to 28000 bytes and 0 to read one, got 20: "
                           "take fewer"):
            from_npy(file / "X.npy", file / "y.npy", block_rows=250, buffer_blocks=buffer_blocks, memory=20)
    with pytest.raises(ValueError, match=r"at least \d+ bytes .*, or write the files with smaller row groups"):
        from_parquet(file / "t.parquet", target="y", block_rows=250, memory=50_000)
    # one row group that is larger than all of it
    with pytest.raises(ValueError, match=r"1 blocks .* of up to 448000 bytes and \d+ to read one, got 300000"):
        from_parquet(file / "t.parquet", target="y", block_rows=4000, buffer_blocks=1, memory=300_000)
    for memory in (0, 1.5, "1GB"):
        with pytest.raises((TypeError, ValueError), match="memory must be"):
            from_npy(file / "X.npy", memory=memory)


def test_a_parts_and_a_maps_memory_is_that_of_the_whole(file):
    source = from_parquet(file / "t.parquet", target="y", block_rows=250, memory=500_000)
    for made in (source.split(0.5)[0], StandardScaler().fit(source).transform(source)):
        assert made.memory == 500_000
        assert made.block_bytes() == source.block_bytes()


def test_the_bound_is_kept(tmp_path):
    np.save(tmp_path / "X.npy", RNG.standard_normal((60_000, 25)).astype(np.float32))
    y = (RNG.random(60_000) > 0.5).astype(int)
    peaks = {}
    for memory in (None, 1_600_000):
        source = from_npy(tmp_path / "X.npy", y, block_rows=3000, memory=memory)
        model = LinearClassifier(optimizer="adam", batch_size=100, max_iter=1, tol=None, random_state=0)
        model.fit(source)
        tracemalloc.start()
        try:
            model.fit(source)
            peaks[memory] = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    # two buffers of 1.2 MB, and one
    assert peaks[None] > 2_400_000
    # Python's own objects, and the rest of a batch that goes on with the next blocks
    assert peaks[1_600_000] < 1_600_000 + 100_000


PEAK = """
import sys
import numpy as np
import fasttrain
from fasttrain.data import from_npy, from_parquet
from fasttrain.linear_model import LinearClassifier, SGDClassifier

folder, kind, name, n_threads, memory = *sys.argv[1:4], *map(int, sys.argv[4:])
fasttrain.set_num_threads(n_threads)
model = {"sgd": SGDClassifier("log_loss", random_state=0),
         "adam": LinearClassifier(optimizer="adam", batch_size=200, random_state=0)}[name]


def source(part, **options):
    if kind == "npy":
        return from_npy(f"{folder}/{part}.npy", f"{folder}/{part}-y.npy", block_rows=20_000, **options)
    return from_parquet(f"{folder}/{part}-{kind}.parquet", target="y", block_rows=20_000, **options)


def resident(what):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(what))


# what Python imports and the libraries make at their first use is there before
model.partial_fit(source("small", memory=1 << 30), classes=[0, 1])
bounded = source("large", memory=memory)
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")
before = resident("VmRSS")
for _ in range(2):
    model.partial_fit(bounded)
print(resident("VmHWM") - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")
@pytest.mark.parametrize("kind", ["npy", "snappy"])
def test_a_process_stays_within_the_bound(tmp_path, kind):
    """The peak of what is resident, allocators and all, over 96 MB of rows, with the least that is taken and more."""
    rng = np.random.default_rng(0)
    for part, n_rows in (("small", 60_000), ("large", 400_000)):
        X = rng.integers(-999, 999, (n_rows, 60)).astype(np.float32)
        y = (X[:, 0] > 0).astype(int)
        if kind == "npy":
            np.save(tmp_path / f"{part}.npy", X)
            np.save(tmp_path / f"{part}-y.npy", y)
            continue
        table = pa.table({**{f"x{j}": X[:, j] for j in range(60)}, "y": y})
        pq.write_table(table, tmp_path / f"{part}-{kind}.parquet", row_group_size=20_000, compression=kind,
                       use_dictionary=False)
    script = tmp_path / "peak.py"
    script.write_text(PEAK)
    if kind == "npy":
        least = 4 * 20_000 * (60 * 4 + 8 + 24)
    else:
        with pytest.raises(ValueError, match="memory must be at least") as error:
            from_parquet(tmp_path / f"large-{kind}.parquet", target="y", block_rows=20_000, memory=1)
        least = int(re.search(r"at least (\d+)", str(error.value))[1])
    for name, n_threads, memory in (("adam", 1, least), ("sgd", 2, 2 * least)):
        found = subprocess.run(
            [sys.executable, script, tmp_path, kind, name, str(n_threads), str(memory)], check=True,
            capture_output=True, text=True)
        # pages of 2 MiB, and the heap of the rest
        assert int(found.stdout) <= memory + 4_000_000, (name, n_threads)
