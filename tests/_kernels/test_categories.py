import numpy as np
import pytest
import reference_columns as reference

from fasttrain._kernels import categories, distinct, objects


@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_codes_of_integers(dtype, n_threads):
    rng = np.random.default_rng(0)
    x = rng.integers(-5, 20, 30_001)
    table = rng.permutation(np.arange(-1, 19))
    expected = np.array([table[v + 2] if 0 <= v + 2 < len(table) else -1 for v in x])
    for view in (x, np.repeat(x, 2)[::2]):
        codes = np.empty(len(x), dtype=dtype)
        unknown = categories.codes_of_integers(view, -2, table, codes, n_threads)
        np.testing.assert_array_equal(codes, expected)
        assert unknown == (expected < 0).sum()


def test_codes_of_integers_at_the_ends_of_int64():
    ends = np.iinfo(np.int64)
    x = np.array([ends.min, ends.max, 0, ends.max - 1])
    codes = np.empty(4, dtype=np.int64)
    assert categories.codes_of_integers(x, ends.max - 1, np.array([5, 6]), codes, 1) == 2
    assert codes.tolist() == [-1, 6, -1, 5]


@pytest.mark.parametrize("code", [np.int32, np.int64])
def test_one_hot(code):
    rng = np.random.default_rng(1)
    codes = rng.integers(-1, 3, (500, 4)).astype(code)
    offsets = np.array([0, 3, 6, 9], dtype=code)
    expected = reference.one_hot(np.where(codes >= 0, codes + offsets, -1), 12)
    out = np.zeros((500, 12), dtype=np.float32)
    categories.one_hot_dense(codes, offsets, out)
    np.testing.assert_array_equal(out, expected)
    indices, indptr = np.empty(2000, dtype=code), np.empty(501, dtype=code)
    n = categories.one_hot_sparse(codes, offsets, indices, indptr, 2)
    assert n == expected.sum()
    np.testing.assert_array_equal(indptr, np.r_[0, np.cumsum(expected.sum(axis=1))])
    np.testing.assert_array_equal(indices[:n], np.nonzero(expected)[1])


def test_codes_of_objects():
    values = np.array(
        ["b", "a", None, float("nan"), np.nan, "b", 3, 3.0, np.float32("nan"), "c"], dtype=object
    )
    table = {}
    codes = np.empty(len(values), dtype=np.int64)
    assert not objects.codes_of_objects(values, table, codes, True)
    assert codes.tolist() == [0, 1, -2, -1, -1, 0, 2, 2, -1, 3]
    assert table == {"b": 0, "a": 1, 3: 2, "c": 3}
    assert objects.codes_of_objects(np.array(["z", "a"], dtype=object), table, codes[:2], False)
    assert codes[:2].tolist() == [-3, 1]
    assert "z" not in table


def test_codes_of_objects_follow_dict_over_many_values():
    rng = np.random.default_rng(2)
    # More distinct strings than the address cache has places, and equal strings at many addresses.
    values = np.array([f"v{k}" for k in rng.integers(0, 5000, 40_000)], dtype=object)
    table, twin = {}, {}
    codes = np.empty(len(values), dtype=np.int64)
    objects.codes_of_objects(values, table, codes, True)
    assert codes.tolist() == [twin.setdefault(v, len(twin)) for v in values]


@pytest.mark.parametrize("n_distinct", [1, 600, 5000])
def test_group_and_look_up_keys(n_distinct):
    rng = np.random.default_rng(3)
    distinct = rng.integers(-(2**63), 2**63 - 1, n_distinct)
    keys = distinct[rng.integers(0, n_distinct, 20_000)]
    twin = {}
    expected = [twin.setdefault(key, len(twin)) for key in keys.tolist()]
    for view in (keys, np.repeat(keys, 3)[::3]):
        codes, found = np.empty(len(keys), dtype=np.int64), np.empty(n_distinct, dtype=np.int64)
        assert categories.group_keys(view, codes, found) == len(twin)
        assert codes.tolist() == expected
        assert found[: len(twin)].tolist() == list(twin)
    strangers = np.concatenate((keys[:100], [7, -7]))
    codes = np.empty(102, dtype=np.int64)
    categories.look_up_keys(strangers, found[: len(twin)].copy(), codes)
    assert codes.tolist() == [twin.get(key, -1) for key in strangers.tolist()]
    if n_distinct > 1:
        assert categories.group_keys(keys, np.empty(len(keys), dtype=np.int64), found[: len(twin) - 1].copy()) == -1


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_one_hot_columns(n_threads):
    rng = np.random.default_rng(4)
    X = rng.integers(-2, 3, (20_000, 3))
    low, start = np.array([-2, -2, -1]), np.array([0, 5, 10, 13])
    tables = rng.permutation(13).astype(np.int32)
    expected = np.full(X.shape, -2)
    for j in range(3):
        inside = (X[:, j] >= low[j]) & (X[:, j] - low[j] < start[j + 1] - start[j])
        expected[inside, j] = tables[start[j] + X[inside, j] - low[j]]
    for view in (X, np.asfortranarray(X), np.repeat(X, 2, axis=0)[::2]):
        out = np.empty(X.shape, dtype=np.int32)
        assert categories.one_hot_columns(view, low, start, tables, out, n_threads)
        np.testing.assert_array_equal(out, expected)
    out = np.empty(X.shape, dtype=np.int32)
    assert not categories.one_hot_columns(np.clip(X, -1, 1), low, start, tables, out, n_threads)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_keys_of_floats(dtype):
    x = np.array([0.0, -0.0, 1.5, np.nan, -np.nan, np.inf, -np.inf, 1.5], dtype=dtype)
    keys = np.empty(len(x), dtype=np.int64)
    categories.keys_of_floats(np.repeat(x, 2)[::2], keys)
    same = (x[:, None] == x) | (np.isnan(x)[:, None] & np.isnan(x))
    np.testing.assert_array_equal(keys[:, None] == keys, same)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_distinct", [1, 50, 511, 513, 5000])
def test_distinct_floats(n_distinct, dtype):
    rng = np.random.default_rng(n_distinct)
    known = np.concatenate(([0.0, np.nan, np.inf], rng.standard_normal(n_distinct))).astype(dtype)
    x = known[rng.integers(0, len(known), 20_000)]
    x[::7] *= -1
    expected = list(dict.fromkeys("nan" if v != v else v + 0.0 for v in x.astype(np.float64).tolist()))
    for view in (x, np.repeat(x, 3)[::3]):
        found = np.empty(len(expected), dtype=np.int64)
        assert categories.distinct_floats(view, found) == len(expected)
        assert ["nan" if v != v else v for v in found.view(np.float64).tolist()] == expected
    assert categories.distinct_floats(x, found[:-1].copy()) == -1
    assert categories.distinct_floats(x[:0], found) == 0


@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_few_floats(dtype, n_threads):
    """As distinct_floats of each column; one more than fit, in rows far apart, and many columns."""
    rng = np.random.default_rng(6)
    most = distinct.MOST_FEW
    X = np.empty((20_000, 40), dtype=dtype)
    for j in range(40):
        known = rng.standard_normal(most + 1 if j % 7 == 1 else most if j % 7 == 2 else 1 + j).astype(dtype)
        known[:2] = known[:2] if j % 2 else 0.0
        X[:, j] = known[rng.integers(0, len(known), len(X))]
    X[::3, ::5] *= -1
    X[5, 3], X[7, 3], X[9, 3] = np.nan, -np.nan, np.inf
    # a NaN of which every bit is set, alone in its column and beside others
    X[11, 4] = X[11, 3] = np.full(1, -1, dtype=f"i{X.itemsize}").view(dtype)[0]
    # a thread alone sees fewer than are too many
    X[:, 38] = np.arange(len(X)) // (len(X) // (most + 4))
    expected = []
    for column in X.T:
        keys = np.empty(len(X), dtype=np.int64)
        n = categories.distinct_floats(column, keys)
        expected.append(sorted(keys[:n].tolist()) if n <= most else None)
    assert expected[38] is None
    assert sum(keys is None for keys in expected) > 3
    for view in (X, np.asfortranarray(X), np.repeat(np.repeat(X, 2, axis=0), 2, axis=1)[::2, ::2]):
        found, counts = np.empty((40, most), dtype=np.int64), np.empty(40, dtype=np.int64)
        distinct.few_floats(view, found, counts, n_threads)
        assert [sorted(row[:n].tolist()) if n >= 0 else None for row, n in zip(found, counts)] == expected
    distinct.few_floats(X[:0], found, counts, n_threads)
    assert not counts.any()


@pytest.mark.parametrize("width", [1, 7, 8, 9, 40])
@pytest.mark.parametrize("n_distinct", [1, 50, 511, 513, 5000])
def test_group_cells(n_distinct, width):
    rng = np.random.default_rng(width)
    known = rng.integers(-128, 128, (n_distinct, width)).astype(np.int8)
    cells = known[rng.integers(0, n_distinct, 20_000)]
    codes, first = np.empty(20_000, dtype=np.int64), np.empty(20_000, dtype=np.int64)
    n = categories.group_cells(cells, codes, first)
    expected = {}
    for i, cell in enumerate(map(bytes, cells)):
        assert codes[i] == expected.setdefault(cell, len(expected))
    assert n == len(expected)
    assert [bytes(cells[i]) for i in first[:n]] == list(expected)
    wide = np.zeros((40_000, width + 3), dtype=np.int8)
    wide[::2, 2:2 + width] = cells
    again, codes_again = np.empty_like(first), np.empty_like(codes)
    for codes_out in (codes_again, None):
        assert categories.group_cells(wide[::2, 2:2 + width], codes_out, again) == n
        np.testing.assert_array_equal(again[:n], first[:n])
    np.testing.assert_array_equal(codes_again, codes)
