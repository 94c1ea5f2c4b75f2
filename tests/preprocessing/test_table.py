import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, RobustScaler, StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from fasttrain.preprocessing import TablePreprocessor


def penguins(n=200):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "island": np.array(["Biscoe", "Dream", "Torgersen"], dtype=object)[rng.integers(0, 3, n)],
            "bill": rng.normal(40, 5, n),
            "mass": rng.integers(3000, 6000, n),
            "sex": np.array(["male", "female"], dtype=object)[rng.integers(0, 2, n)],
            "wild": rng.random(n) < 0.5,
            "species": np.array(["Adelie", "Gentoo"], dtype=object)[rng.integers(0, 2, n)],
        },
        index=np.arange(n) + 7,
    )
    frame.loc[frame.index[::9], "bill"] = np.nan
    frame.loc[frame.index[::11], "sex"] = None
    return frame


def by_hand(missing, scaler, encoder):
    """The same out of scikit-learn's parts."""
    numbers = make_pipeline(SimpleImputer(strategy=missing), scaler)
    texts = make_pipeline(SimpleImputer(strategy="most_frequent"), encoder)
    return ColumnTransformer([("n", numbers, ["bill", "mass", "wild"]), ("c", texts, ["island", "sex"])])


@pytest.mark.parametrize("missing", ["mean", "median", "most_frequent"])
@pytest.mark.parametrize(
    "options, scaler, encoder",
    [
        ({}, StandardScaler(), OneHotEncoder(sparse_output=False)),
        ({"scale": "robust", "encode": "ordinal"}, RobustScaler(), OrdinalEncoder()),
    ],
)
def test_it_is_the_pipeline_of_its_parts(missing, options, scaler, encoder):
    frame = penguins()
    objects = frame.assign(
        wild=frame.wild.astype(float),
        island=frame.island.astype(object),
        sex=frame.sex.astype(object).where(frame.sex.notna(), np.nan),
    )
    expected = by_hand(missing, scaler, encoder).fit_transform(objects)
    preprocessor = TablePreprocessor(target="species", missing=missing, **options).fit(frame)
    X, y = preprocessor.split(frame)
    np.testing.assert_allclose(X, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(y, frame.species == "Gentoo")
    assert preprocessor.classes_.tolist() == ["Adelie", "Gentoo"]
    np.testing.assert_array_equal(preprocessor.transform(frame.drop(columns="species")), X)
    polars = pl.DataFrame({c: [None if pd.isna(v) else v for v in frame[c]] for c in frame})
    for other in (polars, frame.convert_dtypes(), objects.assign(mass=frame.mass.astype(object))):
        again = clone(preprocessor).fit(other)
        np.testing.assert_allclose(again.transform(other), X, rtol=1e-12, atol=1e-12)


def test_rows_go_with_missing_drop():
    frame = penguins()
    frame.loc[8, "species"] = None
    whole = frame.dropna()
    preprocessor = TablePreprocessor(target="species", missing="drop", scale=None)
    X, y = preprocessor.fit_split(frame)
    assert len(X) == len(y) == len(whole)
    np.testing.assert_array_equal(X[:, 0], whole.bill)
    with pytest.raises(ValueError, match=r"'bill', 'sex'.*missing='drop'"):
        preprocessor.transform(frame)
    np.testing.assert_array_equal(preprocessor.transform(whole), X)


def test_types_are_detected_and_can_be_stated():
    frame = penguins()
    frame["code"] = np.arange(len(frame)) % 3
    frame["empty"] = np.nan
    with pytest.warns(UserWarning, match="'empty' holds no value"):
        preprocessor = TablePreprocessor(target="mass", types={"code": "categorical", "species": "drop"}).fit(
            frame
        )
    assert preprocessor.types_ == {
        "island": "categorical",
        "bill": "numeric",
        "sex": "categorical",
        "wild": "numeric",
        "species": "drop",
        "code": "categorical",
        "empty": "drop",
    }
    X, y = preprocessor.split(frame)
    assert y.dtype == np.float64
    assert preprocessor.get_feature_names_out().tolist() == [
        "bill", "wild", "island_Biscoe", "island_Dream", "island_Torgersen", "sex_female", "sex_male",
        "code_0", "code_1", "code_2",
    ]  # fmt: skip
    assert X.shape == (200, 10)


def test_new_tables():
    frame = penguins()
    preprocessor = TablePreprocessor(target="species", dtype=np.float32).fit(frame)
    new = frame.head(3).assign(island=["Biscoe", "Atlantis", None])
    X = preprocessor.transform(new)
    assert X.dtype == np.float32
    names = preprocessor.get_feature_names_out().tolist()
    assert X[1, [names.index(f"island_{i}") for i in ("Biscoe", "Dream", "Torgersen")]].tolist() == [0, 0, 0]
    framed = clone(preprocessor).set_output(transform="pandas").fit(frame).transform(new)
    assert framed.columns.tolist() == names
    assert framed.index.tolist() == [7, 8, 9]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(preprocessor)).transform(new), X)


def test_inside_a_pipeline():
    frame = penguins()
    model = make_pipeline(TablePreprocessor(), LogisticRegression())
    model.fit(frame.drop(columns="species"), frame.species)
    assert model.predict(frame.drop(columns="species")).shape == (200,)


@pytest.mark.parametrize(
    "preprocessor", [TablePreprocessor(), TablePreprocessor(encode="ordinal", scale=None)], ids=str
)
def test_check_estimator(preprocessor):
    results = check_estimator(preprocessor, on_skip=None)
    assert sum(result["status"] == "passed" for result in results) >= 45
    assert {result["check_name"] for result in results if result["status"] != "passed"} <= {
        "check_array_api_input"
    }


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda f: TablePreprocessor(target="speces").fit(f), ValueError, "no column 'speces'"),
        (
            lambda f: TablePreprocessor(target="species").fit(np.ones((2, 2))),
            TypeError,
            "must be a DataFrame",
        ),
        (lambda f: TablePreprocessor(missing="guess").fit(f), ValueError, "missing must be one of"),
        (lambda f: TablePreprocessor(scale="log").fit(f), ValueError, "scale must be one of"),
        (lambda f: TablePreprocessor(types={"nope": "drop"}).fit(f), ValueError, "lacks: \\['nope'\\]"),
        (
            lambda f: TablePreprocessor(types={"island": "numeric"}).fit(f),
            ValueError,
            "'island' must hold numbers",
        ),
        (
            lambda f: TablePreprocessor(types={"t": "numeric"}).fit(f.assign(t=pd.Timestamp(0))),
            ValueError,
            "the column holds times: 'date' reads them",
        ),
        (lambda f: TablePreprocessor().fit(f.assign(bill=np.inf)), ValueError, "'bill' must hold finite numbers"),
        (lambda f: TablePreprocessor(missing="error").fit(f), ValueError, "column '.*' has [0-9]+ missing values"),
        (lambda f: TablePreprocessor(handle_unknown="warn").fit(f), ValueError, "handle_unknown must be one of"),
        (
            lambda f: TablePreprocessor(handle_unknown="error").fit(f).transform(f.assign(island="Atlantis")),
            ValueError,
            "column 'island' holds 'Atlantis', which the model has not seen",
        ),
        (lambda f: TablePreprocessor().fit(f).split(f), ValueError, "split needs target"),
        (lambda f: TablePreprocessor().fit(f).transform(f[["bill"]]), ValueError, "feature names"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call(penguins(20))
