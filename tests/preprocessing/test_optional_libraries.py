"""Arrow-backed columns, and the pipeline of imbalanced-learn; what is not installed is not tested."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn.preprocessing as peer
from sklearn.linear_model import LogisticRegression

from fasttrain.preprocessing import (
    DropDuplicates,
    DropMissing,
    DropOutliers,
    LabelEncoder,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
    TablePreprocessor,
    drop_duplicates,
    drop_missing,
    drop_outliers,
)

WORDS = ["pear", "fig", "apple", "Zwetschge", ""]
AT = np.random.default_rng(0).integers(0, 5, 200)
HOLES = np.random.default_rng(1).random(200) < 0.15


def arrow_columns(holes):
    pa = pytest.importorskip("pyarrow")
    words = [None if hole and holes else WORDS[i] for i, hole in zip(AT, HOLES)]
    whole = [None if hole and holes else int(i) - 2 for i, hole in zip(AT, HOLES)]
    real = [None if value is None else value / 4 for value in whole]
    truth = [None if value is None else value > 0 for value in whole]

    def column(values, kind):
        return pd.Series(pd.array(values, dtype=pd.ArrowDtype(kind)), name="c")

    return {
        "string": (words, column(words, pa.string())),
        "large_string": (words, column(words, pa.large_string())),
        "dictionary": (
            words,
            pd.Series(pa.array(words).dictionary_encode().to_pandas(types_mapper=pd.ArrowDtype), name="c").astype(
                pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))
            ),
        ),
        "string[pyarrow]": (words, pd.Series(words, dtype="string[pyarrow]", name="c")),
        "int64": (whole, column(whole, pa.int64())),
        "double": (real, column(real, pa.float64())),
        "bool": (truth, column(truth, pa.bool_())),
        "polars of Arrow": (words, pl.from_arrow(pa.table({"c": words}))["c"]),
    }


NAMES = ["string", "large_string", "dictionary", "string[pyarrow]", "int64", "double", "bool", "polars of Arrow"]


def same(got, expected):
    return all(a == b or (pd.isna(a) and pd.isna(b)) for a, b in zip(got, expected)) and len(got) == len(expected)


@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_encoders_on_arrow_columns(name, holes):
    values, column = arrow_columns(holes)[name]
    frame = column.to_frame()
    present = sorted({value for value in values if value is not None})
    expected = np.array([len(present) if value is None else present.index(value) for value in values])
    encoder = OneHotEncoder(sparse_output=False).fit(frame)
    assert same(encoder.categories_[0].tolist()[: len(present)], present)
    assert len(encoder.categories_[0]) == len(present) + holes
    np.testing.assert_array_equal(encoder.transform(frame).argmax(axis=1), expected)
    ordinal = OrdinalEncoder().fit(frame).transform(frame).ravel()
    # scikit-learn refuses strings with pandas.NA among them.
    if name != "polars of Arrow" and (not holes or name in ("int64", "double", "bool")):
        theirs = peer.OrdinalEncoder().fit(frame)
        assert same(encoder.categories_[0].tolist(), theirs.categories_[0].tolist())
        np.testing.assert_array_equal(ordinal, theirs.transform(frame).ravel())
    if not holes:
        labels = LabelEncoder()
        np.testing.assert_array_equal(labels.fit_transform(column), expected)
        assert same(labels.classes_.tolist(), present)


@pytest.mark.parametrize("name", NAMES)
def test_cleaning_of_arrow_columns(name):
    values, column = arrow_columns(True)[name]
    frame = column.to_frame()
    kept, mask = drop_missing(frame, return_mask=True)
    np.testing.assert_array_equal(mask, ~HOLES)
    assert type(kept) is type(frame)
    assert same(list(kept["c"]), [value for value in values if value is not None])
    seen = set()
    _, mask = drop_duplicates(frame, return_mask=True)
    np.testing.assert_array_equal(mask, [not (value in seen or seen.add(value)) for value in values])


def test_a_mixed_arrow_table():
    pa = pytest.importorskip("pyarrow")
    columns = {name: column for name, (_, column) in arrow_columns(True).items() if name in NAMES[:-1]}
    frame = pd.DataFrame(columns)
    plain = pd.DataFrame(
        {
            name: pd.Series(values, dtype=float if name in ("int64", "double", "bool") else object)
            for name, (values, _) in arrow_columns(True).items()
            if name in columns
        }
    )
    expected = TablePreprocessor().fit(plain)
    got = TablePreprocessor().fit(frame)
    assert got.types_ == expected.types_
    assert got.get_feature_names_out().tolist() == expected.get_feature_names_out().tolist()
    np.testing.assert_array_equal(got.transform(frame), expected.transform(plain))
    numbers = frame[["int64", "double"]]
    _, mask = drop_outliers(numbers, method="absolute", threshold=1, return_mask=True)
    np.testing.assert_array_equal(mask, ~(plain["int64"].abs() > 1).to_numpy())
    assert pa.types.is_string(frame["string"].dtype.pyarrow_dtype)


def test_pipeline_of_imbalanced_learn():
    pipeline = pytest.importorskip("imblearn.pipeline")
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 4))
    y = (X[:, 0] > 0).astype(int)
    X[rng.random(300) < 0.1, 1] = np.nan
    X[5, 2] = 1e6
    X[200:220], y[200:220] = X[100:120], y[100:120]
    steps = [
        ("missing", DropMissing()),
        ("duplicates", DropDuplicates()),
        ("outliers", DropOutliers(threshold=20)),
        ("scale", StandardScaler()),
        ("model", LogisticRegression()),
    ]
    model = pipeline.Pipeline(steps).fit(X, y)
    A, b = drop_outliers(*drop_duplicates(*drop_missing(X, y)), threshold=20)
    assert len(A) < 280
    assert model["missing"].report_.n_dropped == np.isnan(X).any(axis=1).sum()
    assert model["outliers"].report_.n_dropped == 1
    scaler = StandardScaler().fit(A)
    expected = LogisticRegression().fit(scaler.transform(A), b)
    np.testing.assert_array_equal(model["model"].coef_, expected.coef_)
    # New rows are predicted, not dropped.
    whole = np.nan_to_num(X)
    np.testing.assert_array_equal(model.predict(whole), expected.predict(scaler.transform(whole)))
    frame = pd.DataFrame(X, columns=list("abcd"))
    again = pipeline.Pipeline(steps).fit(frame, pd.Series(y))
    np.testing.assert_array_equal(again["model"].coef_, expected.coef_)
