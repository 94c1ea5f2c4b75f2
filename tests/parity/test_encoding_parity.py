import numpy as np
import pandas as pd
import pytest
from same import assert_same_arrays, assert_same_sparse
import sklearn.preprocessing as peer
from sklearn_release import SKLEARN

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
    "floats, few and many": np.asfortranarray(np.stack([
        np.where(RNG.random(900) < 0.1, np.nan, RNG.integers(-2, 3, 900) / 2),
        RNG.permutation(np.arange(900) % 256), RNG.permutation(np.arange(900) % 257)], axis=1, dtype=np.float32)),
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


@pytest.mark.parametrize("encoder", ["OneHotEncoder", "OrdinalEncoder"])
@pytest.mark.parametrize("column", [0, 2])
def test_an_infinity_is_refused(encoder, column):
    X = TABLES["floats, few and many"].copy()
    X[700, column] = -np.inf
    said = []
    for package in (ours, peer):
        with pytest.raises(ValueError, match="infinity") as error:
            getattr(package, encoder)().fit(X)
        said.append(str(error.value))
    assert said[0] == said[1]


@pytest.mark.parametrize("handle", ["ignore", "infrequent_if_exist", "warn"])
@pytest.mark.parametrize("extra", [{}, {"max_categories": 3}, {"drop": "first"}], ids=str)
@pytest.mark.parametrize("kind", ["int", "float with NaN", "str objects", "fixed width"])
@pytest.mark.filterwarnings("ignore:Found unknown categories:UserWarning")
def test_one_hot_encoder_on_unseen_categories(kind, extra, handle):
    X = TABLES[kind]
    new = X[:20].astype("U20").astype(object) if kind == "fixed width" else X[:20].copy()
    new[3, 0], new[4, 1] = {"int": (99, -99), "float with NaN": (0.5, 77)}.get(kind, ("never", "seen"))
    new = new.astype("U20") if kind == "fixed width" else new
    mine, theirs = (module.OneHotEncoder(handle_unknown=handle, **extra) for module in (ours, peer))
    if SKLEARN < (1, 8) and handle == "warn":
        # from then on it is this with a warning
        theirs.set_params(handle_unknown="infrequent_if_exist")
    got, expected = mine.fit(X).transform(new), theirs.fit(X).transform(new)
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


def both_refuse(call, n=None):
    """The message with which scikit-learn's class and ours refuse; its first n letters are the same."""
    messages = []
    for module in (peer, ours):
        with pytest.raises(ValueError) as caught:
            call(module)
        messages.append(str(caught.value))
    assert messages[0][:n] == messages[1][:n]
    return messages[0]


def test_messages_are_those_of_scikit_learn():
    frame = [["a"], ["b"]]
    fitted = lambda module, **options: module.OneHotEncoder(**options).fit(frame)  # noqa: E731
    for output in ("pandas", "polars"):
        message = both_refuse(lambda module, out=output: fitted(module).set_output(transform=out).transform(frame), 60)
        assert "does not support sparse data" in message
    assert "unknown categories ['c']" in both_refuse(lambda module: fitted(module).transform([["c"]]))
    ragged = [(2, 3), (0,), (0, 2)]
    assert "legacy" in both_refuse(lambda module: module.LabelBinarizer().fit([0, 1, 2]).transform(ragged))
    for options in ({"handle_unknown": "warn"}, {"handle_unknown": "infrequent_if_exist", "drop": "first"}):
        warned = []
        for module in (peer, ours):
            with pytest.warns(UserWarning, match="Found unknown") as caught:
                fitted(module, **options).transform([["c"]])
            warned.append(str(caught[0].message))
        # older releases say "all zeros" whatever becomes of them
        n = None if SKLEARN >= (1, 8) else warned[0].index("all zeros")
        assert warned[0][:n] == warned[1][:n]


@pytest.mark.parametrize("seed", range(40))
def test_fixed_width_and_variable_strings(seed):
    rng = np.random.default_rng(seed)
    letters = np.array(list("ab ß\u4e2d"))
    words = ["".join(rng.choice(letters, rng.integers(0, 12))) for _ in range(rng.integers(1, 40))]
    at = rng.integers(0, len(words), (rng.integers(1, 300), 2))
    X = np.array(words)[at]
    kinds = [X, X.astype(f"{'<>'[seed % 2]}U{15 + seed % 3}")]
    if hasattr(np.dtypes, "StringDType"):
        kinds.append(X.astype(np.dtypes.StringDType()))
    expected = peer.OrdinalEncoder().fit(X)
    codes = expected.transform(X)
    for table in kinds:
        encoder = ours.OrdinalEncoder().fit(table)
        for mine, theirs in zip(encoder.categories_, expected.categories_):
            assert mine.tolist() == theirs.tolist()
        for other in (*kinds, X.astype(object)):
            np.testing.assert_array_equal(encoder.transform(other), codes)
        np.testing.assert_array_equal(ours.LabelEncoder().fit_transform(table[:, 0]), codes[:, 0])
        kept = ours.drop_duplicates(table, return_mask=True)[1]
        first = np.unique(codes, axis=0, return_index=True)[1]
        assert sorted(first.tolist()) == np.flatnonzero(kept).tolist()
    raw = np.char.encode(X, "utf-8")
    mine, theirs = ours.OneHotEncoder().fit(raw), peer.OneHotEncoder().fit(raw)
    assert_same_arrays(mine.categories_, theirs.categories_)
    assert_same_sparse(mine.transform(raw), theirs.transform(raw))
