"""After fit every fitted number is finite, or an error says which is not and why."""

import numpy as np
import pytest

from fasttrain.preprocessing import (
    MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler, TablePreprocessor, drop_outliers,
)

LARGEST = np.finfo(np.float64).max


def outlying(value=1e308, n=60):
    X = np.random.default_rng(0).normal(size=(n, 3))
    X[0, 1] = value
    return X


def test_the_mean_of_a_column_whose_squares_overflow_is_there():
    X = outlying()
    scaler = StandardScaler(with_std=False).fit(X)
    np.testing.assert_allclose(scaler.mean_, X.mean(axis=0), rtol=1e-12)
    assert scaler.var_ is None


def test_a_variance_past_float64_is_refused_by_its_column():
    with pytest.raises(ValueError, match=r"column 1 of X .* variance is past the largest float64"):
        StandardScaler().fit(outlying())
    pandas = pytest.importorskip("pandas")
    with pytest.raises(ValueError, match="column 'b' of X"):
        StandardScaler().fit(pandas.DataFrame(outlying(), columns=list("abc")))


def test_a_refused_part_leaves_what_was_there():
    scaler = StandardScaler().partial_fit(outlying(1.0))
    before = scaler.mean_.copy(), scaler.var_.copy(), scaler.n_samples_seen_
    with pytest.raises(ValueError, match="variance"):
        scaler.partial_fit(outlying())
    np.testing.assert_array_equal(scaler.mean_, before[0])
    np.testing.assert_array_equal(scaler.var_, before[1])
    assert scaler.n_samples_seen_ == before[2]


def test_weights_whose_sum_overflows_are_refused():
    with pytest.raises(ValueError, match="sample_weight must have a sum"):
        StandardScaler().fit(outlying(1.0), sample_weight=np.full(60, 1e308))
    one = np.ones(60)
    one[0] = 1e308
    scaler = StandardScaler().fit(outlying(1.0), sample_weight=one)
    assert np.isfinite(scaler.mean_).all()
    assert np.isfinite(scaler.var_).all()


@pytest.mark.parametrize("scaler", [MinMaxScaler(), RobustScaler(quantile_range=(0, 100))], ids=["min-max", "robust"])
def test_a_range_past_float64_is_refused(scaler):
    X = outlying(LARGEST)
    X[1, 1] = -LARGEST
    with pytest.raises(ValueError, match=r"column 1 of X .* range is past the largest float64"):
        scaler.fit(X)
    MaxAbsScaler().fit(X)


def test_all_missing_columns_are_no_overflow():
    X = outlying(1.0)
    X[:, 2] = np.nan
    assert np.isnan(StandardScaler().fit(X).mean_[2])
    MinMaxScaler().fit(X)
    RobustScaler().fit(X)


def test_a_table_is_finite_or_refused():
    with pytest.raises(ValueError, match=r"column 1 must hold finite numbers"):
        TablePreprocessor().fit(outlying())


def test_an_outlier_whose_square_overflows_goes():
    kept = drop_outliers(outlying(), method="zscore", threshold=5.0)
    assert kept.shape == (59, 3)
