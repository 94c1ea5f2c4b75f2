"""Sources made of others: other X or y, parts of the rows, folds, a column of tables as y."""

from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.base import clone

from fasttrain.data import Fold, Share, from_arrays, from_callable, from_csv, from_npy, from_parquet
from fasttrain.linear_model import LinearClassifier, LinearRegressor, LogisticRegression, Ridge, SGDClassifier
from fasttrain.neural_network import MLPClassifier

X = np.arange(90.0).reshape(45, 2)
Y = np.arange(45.0)


def rows_of(source):
    return [row for block in source for row in block.y.tolist()]


@pytest.mark.parametrize("n", [2, 3, 7])
@pytest.mark.parametrize("block_rows", [1, 4, 13, 45])
def test_each_row_is_held_out_once(n, block_rows):
    source = from_arrays(X, Y, block_rows=block_rows)
    pairs = source.folds(n, seed=5)
    assert len(pairs) == n
    for train, held in pairs:
        assert sorted(rows_of(train) + rows_of(held)) == Y.tolist()
        for i, (block, part, rest) in enumerate(zip(source, held, train)):
            # in their order, rows of X beside those of y
            np.testing.assert_array_equal(part.X[:, 0], 2 * part.y)
            assert part.y.tolist() == sorted(part.y)
            assert abs(len(part.y) - len(block.y) / n) < 1
            assert (held.rows(i), train.rows(i)) == (len(part.y), len(rest.y))
    held = [rows_of(held) for _, held in pairs]
    assert sorted(row for rows in held for row in rows) == Y.tolist()
    # where blocks are small too
    assert max(map(len, held)) - min(map(len, held)) <= 2 + source.n_blocks % n
    assert held == [rows_of(held) for _, held in source.folds(n, seed=5)]
    assert held != [rows_of(held) for _, held in source.folds(n, seed=6)]


def test_folds_are_what_models_and_wrong_arguments_are():
    source = from_arrays(X, Y, block_rows=10)
    for train, held in source.folds(3):
        model = LinearRegressor(penalty=None).fit(train)
        rows = np.concatenate([block.X for block in train]), np.concatenate([block.y for block in train])
        known = LinearRegressor(penalty=None).fit(*rows)
        np.testing.assert_allclose(model.predict(X), known.predict(X), rtol=1e-6, atol=1e-9)
        assert model.score(held) > 0.999
    for wrong in (1, 0, -1):
        with pytest.raises(ValueError, match=f"n must be an integer >= 2, got {wrong}"):
            source.folds(wrong)
    with pytest.raises(TypeError, match="n must be an integer"):
        source.folds(2.5)


def test_y_is_mapped_alone():
    source = from_arrays(X, Y, np.arange(45.0) + 1, block_rows=10)
    scaled = source.map(y=lambda y: (y - 3) / 2)
    for block, known in zip(scaled, source):
        np.testing.assert_array_equal(block.X, known.X)
        np.testing.assert_array_equal(block.y, (known.y - 3) / 2)
        np.testing.assert_array_equal(block.sample_weight, known.sample_weight)
    both = source.map(lambda part: part + 1, y=np.negative).block(2)
    np.testing.assert_array_equal(both.X, source.block(2).X + 1)
    np.testing.assert_array_equal(both.y, -source.block(2).y)
    plain, told = Ridge().fit(source), Ridge().fit(scaled)
    np.testing.assert_allclose(told.predict(X) * 2 + 3, plain.predict(X), rtol=1e-9)

    def bad(y):
        raise ValueError("no such label")

    with pytest.raises(ValueError, match=r"block 1 of the arrays: no such label"):
        source.map(y=bad).block(1)


@pytest.mark.parametrize("model", [
    SGDClassifier(max_iter=2, tol=None, random_state=0), LinearClassifier(), LogisticRegression(),
    MLPClassifier((3,), max_iter=2, random_state=0),
], ids=str)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_classes_are_those_of_the_mapped_y(model):
    rng = np.random.default_rng(0)
    features, y = rng.normal(size=(90, 3)), np.arange(90) % 5
    source = from_arrays(features, y, block_rows=20)

    def named(y):
        return np.where(y > 2, "many", "few")

    mapped = source.map(y=named)
    known = clone(model).fit(from_arrays(features, named(y), block_rows=20)).predict(features)
    # X of the mapped source, and parts of it, have its y
    for made in (mapped, mapped.map(lambda part: part)):
        np.testing.assert_array_equal(clone(model).fit(made).predict(features), known)
    assert clone(model).fit(mapped.split(0.5)[0]).classes_.tolist() == ["few", "many"]
    # each with what was found of its own
    assert clone(model).fit(source).classes_.tolist() == [0, 1, 2, 3, 4]
    assert clone(model).fit(mapped).classes_.tolist() == ["few", "many"]
    with pytest.raises(ValueError, match=r"block 0 of the arrays, row 1 .*: y must hold classes, got .*0\.5"):
        clone(model).fit(source.map(y=lambda y: y / 2))


def test_what_map_refuses():
    source = from_arrays(X, Y, block_rows=10)
    with pytest.raises(TypeError, match="function must be callable or None, got int"):
        source.map(3)
    with pytest.raises(TypeError, match="y must be callable or None, got ndarray"):
        source.map(y=Y)


@pytest.fixture
def folder(tmp_path):
    """The same rows as a Parquet file and as .npy files."""
    rng = np.random.default_rng(0)
    features, y = rng.normal(size=(100, 20)), rng.integers(0, 4, 100)
    frame = pd.DataFrame(features, columns=[f"x{j}" for j in range(20)]).assign(y=y)
    frame.to_parquet(tmp_path / "t.parquet", row_group_size=20, index=False)
    np.save(tmp_path / "X.npy", features)
    np.save(tmp_path / "y.npy", y)
    return tmp_path


@pytest.mark.parametrize("kind", ["parquet", "npy", "arrays", "callable"])
def test_targets_are_read_alone(folder, monkeypatch, kind):
    y = np.load(folder / "y.npy")
    source = {
        "parquet": lambda: from_parquet(folder / "t.parquet", target="y", block_rows=20),
        "npy": lambda: from_npy(folder / "X.npy", folder / "y.npy", block_rows=20),
        "arrays": lambda: from_arrays(np.load(folder / "X.npy"), y, block_rows=20),
        "callable": lambda: from_callable(
            lambda: ((np.load(folder / "X.npy")[i:i + 20], y[i:i + 20]) for i in range(0, 100, 20))),
    }[kind]()

    def no_block(self, i, out):
        raise AssertionError("X is read")

    for whole in (source, source.map(lambda part: part + 1, y=np.negative), source.split(0.3)[0],
                  source.map(y=np.negative).folds(3)[1][1].map(lambda part: part, y=lambda y: y * 2)):
        known = {i: block.y.tolist() for i, block in enumerate(whole)}
        with monkeypatch.context() as patch:
            if kind in ("parquet", "npy"):
                patch.setattr(type(source), "block_into", no_block)
            found = whole.sum_of_targets(lambda i, y: Counter({(i, k, float(v)): 1 for k, v in enumerate(y)}))
        assert found == Counter({(i, k, float(v)): 1 for i, y in known.items() for k, v in enumerate(y)})


def test_what_is_wrong_with_targets_that_are_read_alone(folder, monkeypatch):
    source = from_parquet(folder / "t.parquet", columns=["x1"], block_rows=20)
    assert source.block_target(0) is None
    for made in (source, source.split(0.5)[1]):
        with pytest.raises(ValueError, match=r"row group 0.*: the block has no y"):
            SGDClassifier().fit(made)
    source = from_parquet(folder / "t.parquet", target="y", block_rows=20)
    source._places[3] = (*source._places[3][:3], 19)
    with pytest.raises(ValueError, match=r"t.parquet, row group 3 has 20 rows, and its file says 19"):
        source.block_target(3)
    frame = pd.read_parquet(folder / "t.parquet")
    frame["y"] = frame["y"].mask(frame.index == 45)
    frame.to_parquet(folder / "t.parquet", row_group_size=20, index=False)
    with pytest.raises(ValueError, match=r"t.parquet has changed"):
        source.block_target(0)
    source = from_parquet(folder / "t.parquet", target="y", block_rows=20)
    with pytest.raises(ValueError, match=r"row group 2, row 5 \(row 45 of the file\): the target 'y' is missing"):
        SGDClassifier().fit(source)


@pytest.mark.parametrize("n_rows", [0, 1, 2, 3, 17])
def test_rows_of_a_part_are_counted_without_drawing_them(n_rows):
    parts = [Share(share, 3, held) for share in (0.1, 0.5, 0.9) for held in (False, True)]
    parts += [Fold(k, 3, 4, held) for k in range(3) for held in (False, True)]
    for part in parts:
        for i in range(7):
            assert part.count(n_rows, i) == len(part.rows(n_rows, i))


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({
        "a": rng.normal(size=60), "town": rng.choice(["Ulm", "Bonn"], 60), "w": rng.uniform(1, 2, 60),
        "y": rng.normal(size=60)})
    table.loc[[3, 20, 59], "a"] = np.nan
    table.loc[[5], "town"] = None
    table.loc[[3, 7, 41, *range(24, 36)], "y"] = np.nan
    return table


@pytest.mark.parametrize("kind", ["parquet", "csv"])
@pytest.mark.parametrize("drop", ["target", "any"])
def test_rows_go_that_lack_something(table, tmp_path, kind, drop):
    if kind == "parquet":
        table.to_parquet(tmp_path / "t.parquet", row_group_size=12)
        source = from_parquet(tmp_path / "t.parquet", sample_weight="w", dtype="table", block_rows=1)
    else:
        table.to_csv(tmp_path / "t.csv", index=False)
        source = from_csv(tmp_path / "t.csv", sample_weight="w", dtype="table", block_bytes=500)
    found = source.with_target("y", drop_missing=drop)
    assert found.names == ["a", "town"]
    assert found.rows(0) is None
    blocks = list(found)
    left = table.dropna(subset=["y"] if drop == "target" else None)
    assert sum(found.dropped.values()) == len(table) - len(left)
    got = pd.concat([block.X.to_pandas() for block in blocks], ignore_index=True)
    known = left[["a", "town"]].reset_index(drop=True)
    np.testing.assert_allclose(got["a"].to_numpy(float), known["a"].to_numpy(float))
    assert got["town"].fillna("?").tolist() == known["town"].fillna("?").tolist()
    np.testing.assert_allclose(np.concatenate([np.asarray(block.y, float) for block in blocks]), left["y"])
    np.testing.assert_allclose(np.concatenate([block.sample_weight for block in blocks]), left["w"])
    assert [found.rows(i) for i in range(found.n_blocks)] == [len(block.y) for block in blocks]
    if kind == "parquet":
        # none is left of the third
        assert found.dropped[2] == 12
        assert found.where(0, 4) == source.where(0)
        assert found.where(4, 2) == (source.where(4) if drop == "any" else source.where(4, 2))


@pytest.mark.parametrize("kind", [pa.float32(), pa.float64()])
def test_a_target_of_nan_is_missing(tmp_path, kind):
    values = np.arange(40.0)
    values[[17, 19, 33]] = np.nan
    whole = pa.table({"a": np.arange(40.0), "y": pa.array(values, kind, from_pandas=False)})
    assert not whole["y"].null_count
    pq.write_table(whole, tmp_path / "t.parquet", row_group_size=10)
    said = r"row group 1, row 7 \(row 17 of the file\): the target 'y' is missing in 2 rows, of which this is the first"
    source = from_parquet(tmp_path / "t.parquet", target="y", block_rows=1)
    assert source.block(0).y.tolist() == list(range(10))
    for read in (source.block, source.block_target,
                 from_parquet(tmp_path / "t.parquet", dtype="table", block_rows=1).with_target("y").block):
        with pytest.raises(ValueError, match=said):
            read(1)
    with pytest.raises(ValueError, match=said):
        Ridge().fit(source)
    left = from_parquet(tmp_path / "t.parquet", dtype="table", block_rows=1).with_target("y", drop_missing="target")
    assert [len(block.y) for block in left] == [10, 8, 10, 9]


def test_what_with_target_refuses(table, tmp_path):
    table.to_parquet(tmp_path / "t.parquet")
    source = from_parquet(tmp_path / "t.parquet", dtype="table")
    with pytest.raises(ValueError, match="target names the column 'yy', which the source lacks; did you mean 'y'"):
        source.with_target("yy")
    with pytest.raises(ValueError, match="drop_missing must be None, 'target' or 'any', got 'all'"):
        source.with_target("y", drop_missing="all")
    with pytest.raises(TypeError, match="with_target takes Arrow tables, got ndarray: pass dtype='table'"):
        from_arrays(X, Y).with_target("y").block(0)
    with pytest.raises(ValueError, match=r"target names the column 'z', which .* lacks"):
        from_callable(lambda: iter([source.block(0).X])).with_target("z").block(0)
    for alone in (source.map(lambda part: part.select(["y"])), from_callable(lambda: iter([pa.table({"y": [1.0]})]))):
        with pytest.raises(ValueError, match=r"block 0.* has no column but the target|row group 0 has no column but"):
            alone.with_target("y").block(0)
    with pytest.raises(ValueError, match="the source has no column but the target"):
        from_parquet(tmp_path / "t.parquet", columns=["y"], dtype="table").with_target("y")
    table["town"] = table["town"].mask(table.index == 9)
    table.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(ValueError, match=r"row 5.*: the target 'town' is missing in 2 rows"):
        from_parquet(tmp_path / "t.parquet", dtype="table").with_target("town").block(0)
