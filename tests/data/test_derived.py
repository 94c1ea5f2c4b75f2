"""Sources made of others: other X or y, parts of the rows, folds, a column of tables as y."""

import numpy as np
import pandas as pd
import pytest

from fasttrain.data import from_arrays, from_callable, from_csv, from_parquet
from fasttrain.linear_model import LinearRegressor, Ridge

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
    table["town"] = table["town"].mask(table.index == 9)
    table.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(ValueError, match=r"row 5.*: the target 'town' is missing in 2 rows"):
        from_parquet(tmp_path / "t.parquet", dtype="table").with_target("town").block(0)
