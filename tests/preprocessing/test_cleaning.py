import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

from fasttrain.preprocessing import (
    DropDuplicates,
    DropMissing,
    DropOutliers,
    drop_duplicates,
    drop_missing,
    drop_outliers,
)

cells = st.sampled_from([0.0, -0.0, 1.0, 2.5, np.nan, -1.0])
matrices = (
    st.integers(1, 4)
    .flatmap(lambda m: st.lists(st.lists(cells, min_size=m, max_size=m), min_size=1, max_size=30))
    .map(np.array)
)
columns = st.one_of(
    st.just((cells, "float64")),
    st.just((st.sampled_from(["a", "b", None, "a "]), "object")),
    st.just((st.sampled_from(["a", "b", None]), "str")),
    st.just((st.integers(0, 2), "int64")),
    st.just((st.booleans(), "bool")),
    st.just((st.sampled_from([1, 2, None]), "Int64")),
    st.just((st.sampled_from(["x", "y", None]), "category")),
    st.just((st.sampled_from(["2020-01-01", "2021-01-01", None]), "datetime64[ns]")),
)


@st.composite
def frames(draw):
    n = draw(st.integers(1, 20))
    data = {}
    for j in range(draw(st.integers(1, 4))):
        values, dtype = draw(columns)
        data[f"c{j}"] = pd.Series(draw(st.lists(values, min_size=n, max_size=n)), dtype=dtype)
    frame = pd.DataFrame(data)
    frame.index = draw(st.permutations(range(n)))
    return frame


@settings(deadline=None, max_examples=150)
@given(frames(), st.sampled_from(["any", "all"]))
def test_drop_missing_is_pandas_dropna(frame, how):
    pd.testing.assert_frame_equal(drop_missing(frame, how=how), frame.dropna(how=how))


@settings(deadline=None, max_examples=100)
@given(frames(), st.integers(0, 4))
def test_min_present_is_pandas_thresh(frame, thresh):
    pd.testing.assert_frame_equal(drop_missing(frame, min_present=thresh), frame.dropna(thresh=thresh))


@settings(deadline=None, max_examples=200)
@given(frames(), st.sampled_from(["first", "last", False]))
def test_drop_duplicates_is_pandas(frame, keep):
    pd.testing.assert_frame_equal(drop_duplicates(frame, keep=keep), frame.drop_duplicates(keep=keep))


@settings(deadline=None, max_examples=150)
@given(matrices, st.sampled_from(["first", "last", False]), st.sampled_from(["C", "F"]))
def test_arrays_give_what_pandas_gives(X, keep, order):
    X = np.array(X, order=order)
    frame = pd.DataFrame(X)
    np.testing.assert_array_equal(drop_missing(X), frame.dropna().to_numpy())
    kept, mask = drop_duplicates(X, keep=keep, return_mask=True)
    np.testing.assert_array_equal(mask, ~frame.duplicated(keep=keep).to_numpy())
    np.testing.assert_array_equal(kept, X[mask])


@settings(deadline=None, max_examples=100)
@given(matrices, st.sampled_from(["any", "all"]))
def test_polars_gives_what_pandas_gives(X, how):
    frame = pd.DataFrame(X, columns=[f"c{j}" for j in range(X.shape[1])])
    for made in (
        pl.DataFrame(X, schema=list(frame.columns)),
        pl.from_numpy(X, schema=list(frame.columns)).fill_nan(None),
    ):
        kept = drop_missing(made, how=how)
        assert isinstance(kept, pl.DataFrame)
        np.testing.assert_array_equal(kept.to_numpy(), frame.dropna(how=how).to_numpy())
        np.testing.assert_array_equal(
            drop_duplicates(made, return_mask=True)[1], ~frame.duplicated().to_numpy()
        )


def naive_bounds(x, method, threshold):
    x = x[np.isfinite(x)]
    if method == "absolute":
        return -threshold, threshold
    if x.size == 0:
        return -np.inf, np.inf
    if method == "zscore":
        center, spread = x.mean(), x.std()
        low, high = center - threshold * spread, center + threshold * spread
    elif method == "iqr":
        q1, q3 = np.percentile(x, [25, 75])
        spread = q3 - q1
        low, high = q1 - threshold * spread, q3 + threshold * spread
    else:
        center = np.median(x)
        spread = np.median(np.abs(x - center)) / 0.6744897501960817
        low, high = center - threshold * spread, center + threshold * spread
    return (low, high) if spread > 0 else (-np.inf, np.inf)


@pytest.mark.parametrize("method, threshold", [("absolute", 2), ("zscore", 1.5), ("iqr", 1.0), ("mad", 2.0)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_outliers_follow_their_definition(method, threshold, dtype):
    rng = np.random.default_rng(0)
    X = rng.standard_t(2, (2000, 5)) * 3
    X[:, 3] = 7
    if dtype != np.int64:
        X[rng.random(X.shape) < 0.1] = np.nan
        X[5, 1], X[6, 2] = np.inf, -np.inf
    X = X.astype(dtype)
    wide = X.astype(float)
    expected = np.ones(len(X), dtype=bool)
    for j in range(5):
        low, high = naive_bounds(wide[:, j], method, threshold)
        expected &= ~((wide[:, j] < low) | (wide[:, j] > high) | np.isinf(wide[:, j]))
    assert 0 < expected.sum() < len(X) or method == "absolute"
    for made in (X, np.asfortranarray(X), pd.DataFrame(X), X.astype(object)):
        kept, mask = drop_outliers(made, method=method, threshold=threshold, return_mask=True)
        np.testing.assert_array_equal(mask, expected)
        assert type(kept) is type(made)


def test_x_y_and_weights_go_together():
    X = pd.DataFrame({"a": [1.0, np.nan, 3.0, 1.0], "b": list("xyzx")}, index=[9, 8, 7, 6])
    y = np.array([0, 1, 2, 0])
    w = [0.1, 0.2, 0.3, 0.4]
    A, b, v, mask = drop_missing(X, y, w, return_mask=True)
    assert A.index.tolist() == [9, 7, 6]
    assert b.tolist() == [0, 2, 0]
    assert v.tolist() == [0.1, 0.3, 0.4]
    assert mask.tolist() == [True, False, True, True]
    A, b, v = drop_duplicates(X, pd.Series(y, index=X.index), w)
    assert A.index.tolist() == b.index.tolist() == [9, 8, 7]
    assert drop_duplicates(X, [0, 1, 2, 3])[0].shape == (4, 2)
    assert drop_duplicates(X, [0, 1, 2, 3], include_y=False)[1].tolist() == [0, 1, 2]


def test_missing_targets_and_sentinels():
    X = np.array([[1, -999], [2, 3], [4, 5]])
    assert drop_missing(X, missing_values=-999).tolist() == [[2, 3], [4, 5]]
    assert drop_missing(X, np.array([0, np.nan, 1]))[1].tolist() == [0, 1]
    assert len(drop_missing(X, np.array([0, np.nan, 1]), include_y=False)[1]) == 3
    frame = pd.DataFrame({"a": ["?", "b", None], "n": [1, 2, -1]})
    assert drop_missing(frame, missing_values=["?", -1]).index.tolist() == [1]
    assert drop_missing(frame, missing_values="?", subset=["a"]).index.tolist() == [1]
    assert drop_missing(pl.DataFrame({"a": ["?", "b", None]}), missing_values="?").to_series().to_list() == [
        "b"
    ]
    texts = np.array([["a", None], ["b", "c"], [np.nan, "d"]], dtype=object)
    assert drop_missing(texts).tolist() == [["b", "c"]]
    assert drop_missing(texts, subset=[0]).tolist() == [["a", None], ["b", "c"]]


def test_the_table_itself_is_left_alone():
    X = np.array([[1.0, 2.0], [1.0, 2.0], [np.nan, 1e9]])
    X.flags.writeable = False
    for drop in (drop_missing, drop_duplicates, drop_outliers):
        kept = drop(X)
        assert kept.base is None or kept.flags.writeable
    np.testing.assert_array_equal(X, [[1.0, 2.0], [1.0, 2.0], [np.nan, 1e9]])


def test_outliers_are_judged_by_training_data():
    train = np.random.default_rng(1).standard_normal((500, 2))
    sampler = DropOutliers(method="zscore", threshold=3).fit(train)
    new = np.array([[0.0, 0.0], [50.0, 0.0], [0.0, np.nan]])
    assert sampler.mask(new).tolist() == [True, False, True]
    X, y = sampler.drop(new, np.array([1, 2, 3]))
    assert y.tolist() == [1, 3]
    assert sampler.report_.n_dropped == 1
    assert sampler.report_.reasons == {0: 1}
    np.testing.assert_allclose(sampler.upper_, train.mean(0) + 3 * train.std(0))
    with pytest.raises(ValueError, match="3 features"):
        sampler.mask(np.zeros((2, 3)))


@pytest.mark.parametrize("make", [np.asarray, np.asfortranarray, pd.DataFrame])
def test_a_subset_of_all_columns_in_another_order(make):
    rng = np.random.default_rng(0)
    X = rng.standard_t(2, (200, 3)) * [1.0, 100.0, 1e4]
    for method, threshold in (("absolute", [2.0, 200.0, 2e4]), ("zscore", 1.5), ("iqr", [1.0, 1.5, 2.0])):
        expected = drop_outliers(make(X), method=method, threshold=threshold, return_mask=True)[1]
        assert 0 < expected.sum() < len(X)
        sampler = DropOutliers(method=method, threshold=threshold).fit(make(X))
        sampler.mask(make(X))
        for order in ([2, 0, 1], [1, 2, 0], [2, 1, 0]):
            options = {"method": method, "subset": order, "threshold": (
                [threshold[j] for j in order] if isinstance(threshold, list) else threshold)}
            assert (drop_outliers(make(X), **options, return_mask=True)[1] == expected).all()
            other = DropOutliers(**options).fit(make(X))
            assert (other.mask(make(X)) == expected).all()
            assert other.report_.reasons == sampler.report_.reasons


def test_a_column_that_a_subset_names_twice_counts_once():
    X = np.array([[1.0, np.nan], [1.0, 50.0], [np.nan, 1.0], [2.0, 1.0]])
    assert drop_missing(X, subset=[0, 0], return_mask=True)[1].tolist() == [True, True, False, True]
    assert drop_missing(X, subset=[0, -2], how="all", return_mask=True)[1].tolist() == [True, True, False, True]
    assert drop_duplicates(X, subset=[0, 0], return_mask=True)[1].tolist() == [True, False, True, True]
    kept = drop_outliers(X, method="absolute", threshold=9, subset=[0, 0], return_mask=True)[1]
    assert kept.tolist() == [True] * 4


def test_thresholds_by_column():
    frame = pd.DataFrame({"a": [1.0, 50.0, 1.0], "t": list("abc"), "b": [200.0, 1.0, 1.0]})
    assert drop_outliers(frame, method="absolute", threshold={"a": 10}).index.tolist() == [0, 2]
    assert drop_outliers(frame, method="absolute", threshold=[100, 100]).index.tolist() == [1, 2]
    assert drop_outliers(frame, method="absolute", threshold=100, subset=["b"]).index.tolist() == [1, 2]


def test_samplers_report_and_clone():
    X = np.array([[1.0, 2.0], [np.nan, 2.0], [1.0, 2.0], [np.nan, np.nan]])
    y = np.arange(4)
    sampler = clone(DropMissing())
    kept, target = sampler.fit_resample(X, y)
    assert target.tolist() == [0, 2]
    assert sampler.sample_indices_.tolist() == [0, 2]
    assert sampler.report_.reasons == {0: 2, 1: 1}
    assert "2 of 4" in str(sampler.report_)
    sampler = DropDuplicates(include_y=False, keep="last")
    assert sampler.set_params(keep="first").fit_resample(X, y)[1].tolist() == [0, 1, 3]
    assert sampler.report_.n_kept == 3


@pytest.mark.parametrize("sampler", [DropMissing(), DropDuplicates(), DropOutliers()], ids=str)
def test_samplers_pass_check_estimator(sampler):
    results = check_estimator(sampler, on_skip=None)
    assert sum(result["status"] == "passed" for result in results) >= 39
    assert not any(result["status"] in ("failed", "xfail") for result in results)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (
            lambda: drop_missing(np.ones((3, 2)), [1, 2]),
            ValueError,
            "y must have as many rows as X: X has 3, y has 2",
        ),
        (lambda: drop_missing(np.ones((3, 2)), sample_weight=[1]), ValueError, "sample_weight"),
        (
            lambda: drop_missing(np.ones((3, 2)), how="some"),
            ValueError,
            "how must be one of 'any', 'all', got 'some'",
        ),
        (lambda: drop_missing(np.ones((3, 2)), subset=[5]), ValueError, "column 5"),
        (lambda: drop_missing(np.ones((3, 2, 2))), ValueError, "one or two dimensions"),
        (lambda: drop_duplicates(np.ones((3, 2)), keep="middle"), ValueError, "keep"),
        (lambda: drop_outliers(np.ones((3, 2)), method="absolute"), ValueError, "threshold must be given"),
        (lambda: drop_outliers(np.ones((3, 2)), threshold=-1), ValueError, "threshold"),
        (lambda: drop_outliers(np.ones((3, 2)), threshold="3"), TypeError, "threshold"),
        (lambda: drop_outliers(np.ones((3, 2)), threshold=[1, 2, 3]), ValueError, "3 values for 2"),
        (lambda: drop_outliers(np.array([["a"], ["b"]])), TypeError, "numbers"),
        (
            lambda: drop_outliers(np.ones((3, 2)), method="chi"),
            ValueError,
            "'absolute', 'zscore', 'iqr', 'mad'",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("n_columns", [1, 3])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_frame_without_missing_values_is_a_copy(dtype, order, n_columns):
    X = np.asarray(np.random.default_rng(0).standard_normal((200_000, n_columns)), dtype, order=order)
    frame = pd.DataFrame(X, columns=list("abc")[:n_columns], index=np.arange(len(X))[::-1], copy=False)
    frame.attrs["of"] = "numbers"
    kept, y, mask = drop_missing(frame, np.arange(len(X)), return_mask=True)
    pd.testing.assert_frame_equal(kept, frame)
    assert kept.attrs == frame.attrs
    assert mask.all()
    assert len(mask) == len(y) == len(X)
    before = X.copy()
    kept.iloc[5, 0] = 7
    np.testing.assert_array_equal(X, before)
    frame.iloc[-1, 0] = np.nan
    pd.testing.assert_frame_equal(drop_missing(frame), frame.iloc[:-1])
    target = np.arange(len(X), dtype=float)
    target[3] = np.nan
    assert len(drop_missing(frame.iloc[:-1], target[:-1])[0]) == len(X) - 2
    pd.testing.assert_frame_equal(drop_missing(frame, min_present=n_columns + 1), frame.iloc[:0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("odd", [3.0, np.nan, np.inf], ids=str)
def test_quartiles_of_all_columns_at_once_are_those_of_each(dtype, odd):
    X = np.random.default_rng(0).standard_normal((2000, 4)).astype(dtype) * np.array([1e-6, 1, 1e6, 1], dtype)
    X[::7, 3] = odd
    mask = drop_outliers(X, method="iqr", return_mask=True)[1]
    kept = [drop_outliers(X[:, [j]], method="iqr", return_mask=True)[1] for j in range(4)]
    # columns of two types are looked at one by one
    mixed = pd.DataFrame({0: X[:, 0], 1: X[:, 1], 2: X[:, 2], 3: X[:, 3], 4: np.zeros(len(X), dtype=int)})
    assert np.array_equal(mask, np.logical_and.reduce(kept))
    assert np.array_equal(mask, drop_outliers(mixed, method="iqr", return_mask=True)[1])
    assert mask.any()
    assert not mask.all()
