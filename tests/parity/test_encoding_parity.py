import numpy as np
import pandas as pd
import pytest
import sklearn.preprocessing as peer

from fasttrain import preprocessing as ours

RNG = np.random.default_rng(0)
TABLES = {
    "int": RNG.integers(-3, 5, (200, 3)),
    "int8": RNG.integers(-3, 5, (200, 3)).astype(np.int8),
    "uint64": RNG.integers(0, 5, (200, 2)).astype(np.uint64) + np.uint64(2**63),
    "wide int": RNG.integers(-(2**62), 2**62, 20)[RNG.integers(0, 20, (200, 2))],
    "bool": RNG.random((50, 2)) < 0.5,
    "float": RNG.integers(0, 4, (200, 2)) / 3,
    "float with NaN": np.where(RNG.random((200, 2)) < 0.2, np.nan, RNG.integers(0, 4, (200, 2))),
    "str objects": np.array(["red", "blue", "green", "x y"], dtype=object)[RNG.integers(0, 4, (200, 3))],
    "objects with None and NaN": np.array(["a", None, np.nan, "b"], dtype=object)[
        RNG.integers(0, 4, (200, 2))
    ],
    "fixed width": np.array(["red", "blue", "green"])[RNG.integers(0, 3, (200, 2))],
    "bytes": np.array([b"red", b"blue", b"green"])[RNG.integers(0, 3, (200, 2))],
    "list": [["a", 1.5], ["b", 2.5], ["a", 2.5]],
    "frame": pd.DataFrame(
        {
            "s": pd.Series(np.array(["u", "v", None], dtype=object)[RNG.integers(0, 3, 60)]),
            "c": pd.Categorical(np.array(["m", "n", "k"])[RNG.integers(0, 3, 60)]),
            "i": RNG.integers(0, 3, 60),
            "I": pd.array(RNG.integers(0, 3, 60), dtype="Int64"),
            "b": RNG.random(60) < 0.5,
        }
    ),
}


def assert_same_arrays(mine, theirs):
    assert len(mine) == len(theirs)
    for a, b in zip(mine, theirs):
        assert (a is None) == (b is None)
        if b is not None:
            assert a.dtype == b.dtype
            np.testing.assert_equal(a.tolist(), b.tolist())


def assert_same_sparse(a, b):
    assert type(a) is type(b)
    for name in ("data", "indices", "indptr"):
        assert getattr(a, name).dtype == getattr(b, name).dtype, name
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert a.shape == b.shape


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"drop": "first"},
        {"drop": "if_binary"},
        {"max_categories": 2},
        {"min_frequency": 0.27},
        {"min_frequency": 48, "drop": "first"},
        {"max_categories": 3, "handle_unknown": "infrequent_if_exist"},
        {"handle_unknown": "ignore", "dtype": np.float32},
        {"handle_unknown": "ignore", "drop": "first", "dtype": np.int64},
    ],
    ids=str,
)
def test_one_hot_encoder(name, options):
    X = TABLES[name]
    mine, theirs = ours.OneHotEncoder(**options).fit(X), peer.OneHotEncoder(**options).fit(X)
    assert_same_arrays(mine.categories_, theirs.categories_)
    if "max_categories" in options or "min_frequency" in options:
        assert_same_arrays(mine.infrequent_categories_, theirs.infrequent_categories_)
    np.testing.assert_array_equal(mine.drop_idx_, theirs.drop_idx_)
    got, expected = mine.transform(X), theirs.transform(X)
    assert_same_sparse(got, expected)
    np.testing.assert_array_equal(mine.get_feature_names_out(), theirs.get_feature_names_out())
    if got.shape[1] == 0:
        for encoder in (mine, theirs):
            with pytest.raises(ValueError, match="0 feature"):
                encoder.inverse_transform(got)
        return
    back, theirs_back = mine.inverse_transform(got), theirs.inverse_transform(expected)
    assert back.dtype == theirs_back.dtype
    np.testing.assert_equal(back.tolist(), theirs_back.tolist())
    dense = mine.set_params(sparse_output=False).transform(X)
    assert dense.dtype == expected.dtype
    np.testing.assert_array_equal(dense, expected.toarray())


@pytest.mark.parametrize("handle", ["ignore", "infrequent_if_exist", "warn"])
@pytest.mark.parametrize("extra", [{}, {"max_categories": 3}, {"drop": "first"}], ids=str)
@pytest.mark.parametrize("kind", ["int", "float with NaN", "str objects", "fixed width"])
@pytest.mark.filterwarnings("ignore:Found unknown categories:UserWarning")
def test_one_hot_encoder_on_unseen_categories(kind, extra, handle):
    X = TABLES[kind]
    new = X[:20].astype("U20").astype(object) if kind == "fixed width" else X[:20].copy()
    new[3, 0], new[4, 1] = {"int": (99, -99), "float with NaN": (0.5, 77)}.get(kind, ("never", "seen"))
    new = new.astype("U20") if kind == "fixed width" else new
    options = {"handle_unknown": handle, **extra}
    mine, theirs = ours.OneHotEncoder(**options).fit(X), peer.OneHotEncoder(**options).fit(X)
    got, expected = mine.transform(new), theirs.transform(new)
    assert_same_sparse(got, expected)
    np.testing.assert_equal(mine.inverse_transform(got).tolist(), theirs.inverse_transform(expected).tolist())
    with pytest.raises(ValueError, match=r"unknown categories.*in column 0 during transform"):
        ours.OneHotEncoder().fit(X).transform(new)


def test_one_hot_encoder_with_stated_categories():
    X = np.array([["a", 1], ["b", 2]], dtype=object)
    for stated in ([["b", "a", "c"], [1, 2]], [["a", "b"], [2, 1]]):
        mine = ours.OneHotEncoder(categories=stated).fit(X)
        theirs = peer.OneHotEncoder(categories=stated).fit(X)
        assert_same_sparse(mine.transform(X), theirs.transform(X))
        assert_same_arrays(mine.categories_, theirs.categories_)
    with pytest.raises(ValueError, match=r"unknown categories .*'b'.* in column 0 during fit"):
        ours.OneHotEncoder(categories=[["a"], [1, 2]]).fit(X)
    with pytest.raises(ValueError, match="Unsorted"):
        ours.OneHotEncoder(categories=[[2, 1]]).fit([[1], [2]])


@pytest.mark.parametrize("name", [name for name in TABLES if name not in ("list", "frame")])
def test_label_encoder(name):
    y = TABLES[name][:, 0]
    mine, theirs = ours.LabelEncoder().fit(y), peer.LabelEncoder().fit(y)
    assert_same_arrays([mine.classes_], [theirs.classes_])
    for got, expected in (
        (mine.transform(y), theirs.transform(y)),
        (mine.fit_transform(y), theirs.fit_transform(y)),
    ):
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)
    np.testing.assert_equal(mine.inverse_transform(got).tolist(), theirs.inverse_transform(got).tolist())


def test_label_encoder_refuses_what_it_has_not_seen():
    with pytest.raises(ValueError, match=r"previously unseen labels.*'z'"):
        ours.LabelEncoder().fit(["a", "b"]).transform(["z"])
    with pytest.raises(ValueError, match="previously unseen labels"):
        ours.LabelEncoder().fit([1, 2]).transform([3])
    with pytest.raises(ValueError, match="previously unseen labels"):
        ours.LabelEncoder().fit([1, 2]).inverse_transform([2])


def test_unsigned_and_signed_64_bit_integers_meet():
    big = np.array([2**63 + 1, 5, 2**63 + 1], dtype=np.uint64)
    encoder = ours.LabelEncoder().fit(big)
    assert encoder.classes_.dtype == np.uint64
    assert encoder.transform(np.array([5, 5])).tolist() == [0, 0]
    one_hot = ours.OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(big.reshape(-1, 1))
    assert one_hot.transform(np.array([[5], [-(2**63) + 1]])).tolist() == [[1, 0], [0, 0]]
