"""Random tables: dtypes, layouts, missing values and categories; codes exactly, statistics to 1e-12 in
float64.
"""

import warnings

import numpy as np
import pytest
import sklearn.preprocessing as peer
from sklearn_release import SKLEARN
from same import assert_same_arrays, assert_same_sparse, assert_same_state

from fasttrain import preprocessing as ours

N_TABLES = 300
SCALERS = {
    "StandardScaler": [{}, {"with_mean": False}, {"with_std": False}],
    "MinMaxScaler": [{}, {"feature_range": (-2, 3)}, {"clip": True}],
    "MaxAbsScaler": [{}, {"clip": True}] if SKLEARN >= (1, 8) else [{}],
    "RobustScaler": [{}, {"quantile_range": (5.0, 80.0)}, {"unit_variance": True}, {"with_centering": False}],
}


def laid_out(X, rng):
    kind = rng.integers(5)
    if kind == 0:
        return np.asfortranarray(X)
    if kind == 1:
        return np.repeat(X, 2, axis=0)[::2]
    if kind == 2:
        wide = np.empty((X.shape[0], X.shape[1] + 2), dtype=X.dtype)
        wide[:, 1:-1] = X
        return wide[:, 1:-1]
    if kind == 3:
        X = X.copy()
        X.flags.writeable = False
    return X


def numbers(rng):
    n, m = rng.integers(1, 200), rng.integers(1, 70)
    dtype = rng.choice([np.float64, np.float64, np.float32, np.int64, np.int16])
    X = rng.standard_normal((n, m)) * 10.0 ** rng.integers(-3, 4, m) + rng.integers(-50, 50, m)
    if rng.random() < 0.3:
        X[:, rng.integers(m)] = 3
    if np.dtype(dtype).kind == "f" and rng.random() < 0.6:
        X[rng.random(X.shape) < rng.choice([0.01, 0.5])] = np.nan
        if rng.random() < 0.2:
            X[:, rng.integers(m)] = np.nan
    return laid_out(X.astype(dtype), rng)


def labels(rng):
    n, m = rng.integers(1, 120), rng.integers(1, 5)
    k = rng.integers(1, 12)
    at = rng.integers(0, k, (n, m))
    kind = rng.integers(7)
    if kind == 0:
        X = at - 3
    elif kind == 1:
        X = rng.integers(-(2**62), 2**62, k)[at]
    elif kind == 2:
        X = at / 3
    elif kind == 3:
        X = np.where(at == 0, np.nan, at / 3)
    elif kind == 4:
        X = np.array([f"label {i}" for i in range(k)], dtype=object)[at]
    elif kind == 5:
        X = np.array([None, np.nan, *[f"v{i}" for i in range(k)]], dtype=object)[at]
    else:
        X = np.array([f"{i:x}" * (i + 1) for i in range(k)])[at]
    return laid_out(X, rng)


def unseen(X, rng):
    """Other rows, some with categories that X lacks."""
    new = np.array(X[rng.integers(0, len(X), 30)], dtype=object if X.dtype.kind in "OU" else X.dtype)
    stranger = "stranger" if X.dtype.kind in "OU" else 77
    new[rng.random(new.shape) < 0.1] = stranger
    return new.astype("U20") if X.dtype.kind == "U" else new


@pytest.mark.parametrize("seed", range(N_TABLES))
def test_scalers(seed):
    rng = np.random.default_rng(seed)
    X = numbers(rng)
    exact = X.dtype not in (np.float32, np.float16)
    for name, choices in SCALERS.items():
        options = choices[rng.integers(len(choices))]
        mine, theirs = getattr(ours, name)(**options), getattr(peer, name)(**options)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", RuntimeWarning)
            theirs.fit(X)
            expected = theirs.transform(X)
        before = X.copy()
        mine.fit(X)
        got = mine.transform(X)
        np.testing.assert_array_equal(X, before)
        size = np.nanmax(np.abs(X), initial=1.0)
        assert_same_state(mine, theirs, 1e-12 if exact else 1e-6, 1e-15 * size)
        assert got.dtype == expected.dtype
        # A mean that is off by one rounding moves a column by that over its scale.
        rtol = 1e-12 if exact else 1e-5
        scale = np.ones(X.shape[1]) if mine.scale_ is None else np.asarray(mine.scale_, dtype=float)
        atol = np.broadcast_to(rtol * np.maximum(size / scale, size * scale), X.shape)
        wrong = np.abs(got - expected) > atol + rtol * np.abs(expected)
        assert not wrong.any(), name
        np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
        with np.errstate(all="ignore"):
            back = theirs.inverse_transform(expected.copy())
        np.testing.assert_allclose(mine.inverse_transform(got), back, rtol=rtol, atol=rtol * size * 10)


@pytest.mark.parametrize("seed", range(N_TABLES))
@pytest.mark.filterwarnings("ignore:Found unknown categories:UserWarning")
def test_encoders(seed):
    rng = np.random.default_rng(1000 + seed)
    X = labels(rng)
    new = unseen(X, rng)
    grouping = [{}, {"max_categories": 3}, {"min_frequency": 0.2}, {"min_frequency": 5}][rng.integers(4)]
    options = {
        "drop": [None, "first", "if_binary"][rng.integers(3)],
        "handle_unknown": ["ignore", "infrequent_if_exist"][rng.integers(2)],
        "dtype": [np.float64, np.float32, np.int32][rng.integers(3)],
        **grouping,
    }
    mine, theirs = ours.OneHotEncoder(**options).fit(X), peer.OneHotEncoder(**options).fit(X)
    assert_same_arrays(mine.categories_, theirs.categories_)
    np.testing.assert_array_equal(mine.drop_idx_, theirs.drop_idx_)
    np.testing.assert_array_equal(mine.get_feature_names_out(), theirs.get_feature_names_out())
    for table in (X, new):
        assert_same_sparse(mine.transform(table), theirs.transform(table))
    options = {"handle_unknown": "use_encoded_value", "unknown_value": -1, **grouping}
    if rng.random() < 0.5:
        options["encoded_missing_value"] = -2
    mine, theirs = ours.OrdinalEncoder(**options).fit(X), peer.OrdinalEncoder(**options).fit(X)
    assert_same_arrays(mine.categories_, theirs.categories_)
    for table in (X, new):
        got, expected = mine.transform(table), theirs.transform(table)
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)
    missing = any(c[-1] != c[-1] for c in mine.categories_)
    if not (missing and grouping):
        # With both, scikit-learn 1.9.1 indexes the frequent categories by the place of NaN among all of them.
        np.testing.assert_equal(
            mine.inverse_transform(got).tolist(), theirs.inverse_transform(expected.copy()).tolist()
        )
    y = X[:, 0]
    mine, theirs = ours.LabelEncoder(), peer.LabelEncoder()
    np.testing.assert_array_equal(mine.fit_transform(y), theirs.fit_transform(y))
    assert_same_arrays([mine.classes_], [theirs.classes_])
    if X.dtype.kind in "iU" or (X.dtype == object and all(isinstance(v, str) for v in y)):
        for sparse_output in (False, True):
            mine = ours.LabelBinarizer(sparse_output=sparse_output).fit(y)
            theirs = peer.LabelBinarizer(sparse_output=sparse_output).fit(y)
            got, expected = mine.transform(y), theirs.transform(y)
            assert got.dtype == expected.dtype
            if sparse_output:
                assert type(got) is type(expected)
                np.testing.assert_array_equal(got.toarray(), expected.toarray())
            else:
                np.testing.assert_array_equal(got, expected)
            np.testing.assert_array_equal(mine.inverse_transform(got), theirs.inverse_transform(expected))
