import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator
from sklearn_release import SKLEARN

from fasttrain.preprocessing import (
    LabelBinarizer,
    LabelEncoder,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)


@pytest.mark.parametrize(
    "estimator, n_checks",
    [
        (StandardScaler(), 52),
        (StandardScaler(with_mean=False), 53),
        (MinMaxScaler(), 45),
        (MinMaxScaler(clip=True), 45),
        (MaxAbsScaler(), 45),
        (RobustScaler(), 45),
        (RobustScaler(with_centering=False), 45),
        (OrdinalEncoder(), 45),
        (LabelBinarizer(), 1),
        (OneHotEncoder(), 45),
        (OneHotEncoder(sparse_output=False), 45),
        (LabelEncoder(), 1),
    ],
    ids=str,
)
def test_check_estimator(estimator, n_checks):
    """Every check passes; array API input, which needs SCIPY_ARRAY_API, is the only one that does not run."""
    results = check_estimator(estimator, on_skip=None)
    passed = sum(result["status"] == "passed" for result in results)
    # older releases have fewer checks
    assert passed >= (n_checks if SKLEARN >= (1, 9) else 0.85 * n_checks)
    assert {result["check_name"] for result in results if result["status"] != "passed"} <= {
        "check_array_api_input"
    }


@pytest.mark.parametrize(
    "scaler", [StandardScaler(), MinMaxScaler((-1, 1)), MaxAbsScaler(), RobustScaler()], ids=str
)
def test_the_input_is_left_alone_unless_copy_is_false(scaler):
    X = np.random.default_rng(0).standard_normal((50, 3))
    before = X.copy()
    expected = scaler.fit(X).transform(X)
    np.testing.assert_array_equal(X, before)
    frozen = X.copy()
    frozen.flags.writeable = False
    in_place = clone(scaler).set_params(copy=False).fit(X)
    np.testing.assert_array_equal(in_place.transform(frozen), expected)
    np.testing.assert_array_equal(frozen, before)
    got = in_place.transform(X)
    assert np.shares_memory(got, X)
    np.testing.assert_array_equal(X, expected)
    fortran = np.asfortranarray(before)
    assert np.shares_memory(in_place.transform(fortran), fortran)
    np.testing.assert_array_equal(fortran, expected)


@pytest.mark.parametrize(
    "scaler", [StandardScaler(), MinMaxScaler(), MaxAbsScaler(), RobustScaler()], ids=str
)
def test_misaligned_and_foreign_bytes(scaler, tmp_path):
    X = np.random.default_rng(1).standard_normal((40, 3))
    expected = scaler.fit_transform(X)
    packed = np.zeros(40 * 3, dtype=[("skip", "u1"), ("x", "f8")])
    packed["x"] = X.ravel()
    misaligned = packed["x"].reshape(40, 3)
    assert not misaligned.flags.aligned
    np.save(tmp_path / "X.npy", X)
    for made in (misaligned, X.astype(">f8"), np.load(tmp_path / "X.npy", mmap_mode="r")):
        np.testing.assert_array_equal(clone(scaler).fit(made).transform(made), expected)


@pytest.mark.parametrize(
    "scaler", [StandardScaler(), MinMaxScaler(), MaxAbsScaler(), RobustScaler()], ids=str
)
@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinity_is_refused(scaler, value):
    X = np.ones((30, 3))
    X[17, 2] = value
    message = "Input X contains infinity or a value too large"
    with pytest.raises(ValueError, match=message):
        scaler.fit(X)
    fitted = clone(scaler).fit(np.arange(90.0).reshape(30, 3))
    for call in (fitted.transform, fitted.inverse_transform):
        with pytest.raises(ValueError, match=message):
            call(X)


def test_constant_and_empty_columns():
    X = np.array([[5.0, np.nan, 1e8], [5.0, np.nan, 1e8], [5.0, np.nan, 1e8]]) + [[0.1, 0, 0.1]]
    scaler = StandardScaler().fit(X)
    assert scaler.scale_[[0, 2]].tolist() == [1, 1]
    assert scaler.var_[[0, 2]].tolist() == [0, 0]
    assert scaler.n_samples_seen_.tolist() == [3, 0, 3]
    assert np.isnan(scaler.mean_[1])
    assert scaler.transform(X)[:, [0, 2]].tolist() == [[0, 0]] * 3
    assert MinMaxScaler().fit_transform(X[:, [0]]).tolist() == [[0]] * 3


def test_bad_parameters_are_named():
    with pytest.raises(ValueError, match="Minimum of desired feature range must be smaller"):
        MinMaxScaler((1, 0)).fit([[1.0]])
    with pytest.raises(TypeError, match="feature_range must be a tuple"):
        MinMaxScaler(3).fit([[1.0]])
    with pytest.raises(TypeError, match="with_mean must be True or False, got 'yes'"):
        StandardScaler(with_mean="yes").fit([[1.0]])
    with pytest.raises(ValueError, match="sample_weight"):
        StandardScaler().fit([[1.0]], sample_weight=[1, 2])
    with pytest.raises(ValueError, match="handle_unknown must be one of"):
        OneHotEncoder(handle_unknown="guess").fit([[1]])
    with pytest.raises(ValueError, match="max_categories must be an integer >= 1"):
        OneHotEncoder(max_categories=0).fit([[1]])
    with pytest.raises(ValueError, match="min_frequency"):
        OneHotEncoder(min_frequency=1.5).fit([[1]])


@pytest.mark.parametrize(
    "estimator", [StandardScaler(), MinMaxScaler(), OneHotEncoder(sparse_output=False)], ids=str
)
def test_frames_in_frames_out_and_pickles(estimator):
    frame = pd.DataFrame({"a": [1.0, 2.0, 4.0], "b": [3.0, 3.0, 5.0]}, index=[5, 6, 7])
    plain = clone(estimator).fit_transform(frame.to_numpy())
    fitted = clone(estimator).set_output(transform="pandas").fit(frame)
    assert fitted.feature_names_in_.tolist() == ["a", "b"]
    out = fitted.transform(frame)
    assert out.index.tolist() == [5, 6, 7]
    assert out.columns.tolist() == fitted.get_feature_names_out().tolist()
    np.testing.assert_array_equal(out.to_numpy(), plain)
    polars = clone(estimator).set_output(transform="polars").fit(frame).transform(frame)
    np.testing.assert_array_equal(polars.to_numpy(), plain)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).transform(frame).to_numpy(), plain)
    with pytest.raises(ValueError, match="feature names"):
        fitted.transform(frame.rename(columns={"a": "z"}))


def test_ordinal_codes_of_missing_and_infrequent_categories_go_back():
    X = np.array([["a"], ["a"], ["b"], [np.nan], ["c"], ["a"]], dtype=object)
    encoder = OrdinalEncoder(min_frequency=2, encoded_missing_value=-1).fit(X)
    codes = encoder.transform(X)
    assert codes.ravel().tolist() == [0, 0, 1, -1, 1, 0]
    back = encoder.inverse_transform(codes).ravel().tolist()
    np.testing.assert_equal(back, ["a", "a", "infrequent_sklearn", np.nan, "infrequent_sklearn", "a"])
