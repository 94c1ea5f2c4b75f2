"""Columns as they come: what each is taken for, and what becomes of it."""

import datetime
import io
import json
import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from raw_table import notes, sales
from scipy import sparse
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import TargetEncoder

from fasttrain._files import archive
from fasttrain.model_selection import GridSearchCV, cross_val_score
from fasttrain.persistence import load, save
from fasttrain.preprocessing import ColumnLeftOutWarning, TablePreprocessor
from fasttrain.preprocessing.columns.many import N_FOLDS, encodings_of, folds_of_rows

pytestmark = pytest.mark.filterwarnings("ignore::fasttrain.preprocessing.ColumnLeftOutWarning")


def one(cells, y=None, **options):
    """The preprocessor of a table with this column, and one of numbers beside it so that the column may be left out."""
    frame = pd.DataFrame({"c": pd.Series(cells), "z": np.arange(len(cells)) / 2 + 0.25})
    return TablePreprocessor(scale=None, **options).fit(frame, y), frame


def taken(cells, y=None, **options):
    """(kind, reason) of a column."""
    preprocessor, _ = one(cells, y, **options)
    fact = preprocessor.columns_[0]
    return fact["kind"], fact["reason"]


def numbers(cells, **options):
    preprocessor, frame = one(cells, **options)
    assert preprocessor.types_["c"] == "numeric", preprocessor.columns_[0]
    return preprocessor.transform(frame)[:, 0].tolist()


@pytest.fixture(scope="module")
def shop():
    columns, y = sales(3000, seed=1)
    frame = pd.DataFrame(columns)
    frame["note"] = notes(3000)
    frame["size"] = pd.Categorical(np.array(["S", "M", "L"])[np.arange(3000) % 3], ["S", "M", "L"], ordered=True)
    return frame, y


KINDS = {
    "order_id": "drop", "price": "numeric", "visits": "numeric", "ordered": "date", "shipped": "date", "city": "target",
    "discount": "numeric", "weight": "numeric", "gift": "boolean", "status": "categorical", "channel": "categorical",
    "country": "categorical", "zip": "categorical", "currency": "drop", "note": "text", "size": "ordered",
    **{f"measure{i}": "numeric" for i in range(5)},
}


def as_polars(frame):
    return pl.DataFrame({
        name: pl.Series(name, [None if pd.isna(v) else v for v in frame[name].tolist()],
                        dtype=pl.Float64 if frame[name].dtype == float else None) for name in frame
    })


def test_a_table_as_it_comes(shop):
    frame, y = shop
    preprocessor = TablePreprocessor().fit(frame, y)
    assert preprocessor.types_ == KINDS
    X = preprocessor.fit_transform(frame, y)
    assert X.shape == (3000, len(preprocessor.get_feature_names_out()))
    assert np.isfinite(X).all()
    assert X.shape[1] == sum(fact["columns_out"] for fact in preprocessor.columns_)


@pytest.mark.parametrize("form", ["object", "str", "string", "polars", "arrow", "structured", "array"])
def test_every_library_gives_the_same_matrix(shop, form):
    frame, y = shop
    plain, y = frame.drop(columns=["size"]).head(500), y[:500]
    text = [name for name in plain if not pd.api.types.is_numeric_dtype(plain[name])]
    expected = TablePreprocessor(high_cardinality="hash", hash_features=8)
    X = expected.fit_transform(plain.astype(dict.fromkeys(text, object)), y)
    again = clone(expected)
    if form == "str" and not pd.Series([None]).astype("str").isna().all():
        form = "string"  # pandas 2 makes the word "None" of what is missing
    if form in ("object", "str", "string"):
        other = plain.astype(dict.fromkeys(text, form))
    elif form == "polars":
        other = as_polars(plain)
    elif form == "arrow":
        other = pytest.importorskip("pyarrow").Table.from_pandas(plain)
    elif form == "structured":
        fields = [(name, object if name in text else float) for name in plain]
        other = np.array(list(plain.astype(object).itertuples(index=False, name=None)), dtype=fields)
    else:
        other = plain.astype(object).to_numpy()
        # a name says that a whole number is an id, and a position has none
        again.set_params(types={0: "drop"})
    np.testing.assert_allclose(again.fit_transform(other, y), X, rtol=1e-12, atol=1e-12)
    assert list(again.types_.values()) == list(expected.types_.values())
    np.testing.assert_allclose(again.transform(other), X, rtol=1e-12, atol=1e-12)


def test_strings_of_fixed_width(shop):
    whole = shop[0][["price", "visits", "ordered", "city", "gift", "zip"]].dropna().head(500)
    expected = TablePreprocessor().fit(whole)
    again = TablePreprocessor().fit(whole.to_numpy().astype(str))
    assert list(again.types_.values()) == list(expected.types_.values())
    np.testing.assert_array_equal(again.transform(whole.to_numpy().astype(str)), expected.transform(whole))


@pytest.mark.parametrize(
    "cells, expected, said",
    [
        (["$25,463.70", "$80", "$1,000"], [25463.7, 80, 1000], "currency $, comma between thousands"),
        (["10,933", "1,234,567", "12"], [10933, 1234567, 12], "comma between thousands)"),
        (["1,500", "2,750", "12,125"], [1500, 2750, 12125], "so is a decimal comma"),
        (["1,500", "2,75", "12,125"], [1.5, 2.75, 12.125], "decimal comma)"),
        (["1.234,5", "1.000", "7"], [1234.5, 1000, 7], "decimal comma"),
        (["0,123", "1,500", "2,250"], [0.123, 1.5, 2.25], "decimal comma"),
        (["12%", "7.5 %", "0"], [0.12, 0.075, 0], "per cent"),
        (["12 kg", "7kg", "5.5 kg"], [12, 7, 5.5], "unit kg"),
        (["\u20ac 3,50", "\u20ac 1.000,00", "\u20ac 2"], [3.5, 1000, 2], "currency \u20ac, decimal comma"),
        (["(1,234.50)", "100.00", "(3)"], [-1234.5, 100, -3], "negative in parentheses"),
        (["\uff11\uff12", "\u0663\u0664", "5"], [12, 34, 5], "numbers written as text"),
        (["1 000", "2\u00a0500", "3\u202f750"], [1000, 2500, 3750], "numbers written as text"),
        ([1, "2", 3.5], [1, 2, 3.5], "numbers written as text"),
        (["1e3", "2.5E-2", "7"], [1000, 0.025, 7], "numbers written as text"),
        (["5", "n/a", "7", "-", "9"], [5, 7, 7, 7, 9], "numbers written as text"),
    ],
)
def test_numbers_as_people_write_them(cells, expected, said):
    assert numbers(cells) == expected
    assert said in taken(cells)[1]


@pytest.mark.parametrize(
    "cells, kind, said",
    [
        (["00501", "94110", "10001"] * 4, "categorical", "leading zeros are codes"),
        (["5 kg", "7 lb", "3 kg", "2 lb"], "categorical", "different units: 'kg', 'lb'"),
        (["$5", "\u20ac7", "$3"], "categorical", "different units"),
        (["50%", "0.5", "20%"], "categorical", "with and without %"),
        (["A12", "B7", "C3"], "categorical", "3 values"),
        (["192.168.1.1", "10.0.0.1", "10.0.0.2"], "categorical", "3 values"),
        (["yes", "no", "YES", " No "], "boolean", "yes and no in words"),
        (["true", "False", "TRUE"], "boolean", "yes and no in words"),
        (["oui", "non", None], "boolean", "yes and no in words"),
        (["yes", "no", "maybe"], "categorical", "3 values"),
        (["male", "female", "male"], "categorical", "2 values"),
        (["x", "x", "x"], "drop", "has the one value 'x' in every row"),
        (["x", None, "x"], "drop", "has the one value 'x' in 2 rows, and 1 are missing"),
        ([3.0, 3.0, 3.0], "drop", "has the one value 3 in every row"),
        ([None, 3.0, 3.0], "drop", "has the one value 3 in 2 rows, and 1 are missing"),
        ([3.0, 3.0, None], "drop", "has the one value 3 in 2 rows, and 1 are missing"),
        ([3.0, 4.0, 3.0], "numeric", "numbers"),
        ([None, None, 3.0], "numeric", "numbers"),
        ([None, None, None], "drop", "holds no value at all"),
        ([None, None], "drop", "holds no value at all"),
        ([np.nan, np.nan], "drop", "holds no value at all"),
        ([f"u{i:04d}-{i * 7919 % 1000}" for i in range(100)], "drop", "100 distinct values in 100 rows, which name"),
        ([f"city {i % 45}" for i in range(500)], "categorical", "45 values"),
        ([f"city {i % 45}" for i in range(500)] + [None], "categorical", "45 values"),
        ([f"the weather on day {i} was fine" for i in range(100)], "text", "free text, 7 words"),
        ([b"a", b"b", b"a"], "categorical", "2 values"),
        (["a\x00b", "a\x00", "a"], "categorical", "3 values"),
        (["x" * 1_000_000, "y", "z"], "categorical", "3 values"),
        (["7" * 1_000_000, "5", "6"], "categorical", "3 values"),
        ([datetime.date(2020, 1, 1), datetime.date(2021, 1, 1)], "date", "dates and times"),
        ([datetime.time(8), datetime.time(20), None], "date", "times of the day"),
        (pd.to_timedelta(["1D", "36h", None]), "numeric", "durations, in days"),
        ([True, False, None], "numeric", "true and false"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_what_a_column_is_taken_for(cells, kind, said):
    found, reason = taken(cells)
    assert found == kind
    assert said in reason


@pytest.mark.parametrize(
    "cells, first, said",
    [
        (["31/12/2024", "1/2/2025"], "2024-12-31", "(day before month)"),
        (["12/31/2024", "1/2/2025"], "2024-12-31", "(month before day)"),
        (["1/2/2025", "3/4/2025"], "2025-01-02", "month before day, which is how every cell can be read"),
        (["1.2.2025", "3.4.2025"], "2025-02-01", "day before month, which is how every cell can be read"),
        (["2020-01-05", "2021-03-04"], "2020-01-05", "dates written as text"),
        (["5 Jan 2020", "6 February 2021"], "2020-01-05", "dates written as text"),
        (["2020-01-05T10:00:00Z", "2021-01-05T11:00:00Z"], "2020-01-05T10:00", "dates written as text"),
        (["9999-12-31", "2020-01-01"], "9999-12-31", "dates written as text"),
    ],
)
def test_dates_as_people_write_them(cells, first, said):
    preprocessor, frame = one(cells)
    assert preprocessor.types_["c"] == "date"
    assert said in preprocessor.columns_[0]["reason"]
    days = (np.datetime64(first, "m") - np.datetime64("1970-01-01", "m")).astype(float) / 1440
    assert preprocessor.transform(frame)[0, 0] == days


def test_dates_with_either_part_first_are_no_dates():
    assert taken(["31/12/2024", "12/31/2024"] * 5)[0] == "categorical"


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_times_in_every_container(zone):
    moments = pd.date_range("2020-02-01 10:00", periods=900, freq="37h")
    moments = moments if zone is None else moments.tz_localize("UTC").tz_convert(zone)
    series = pd.Series(moments, name="c")
    series[5] = pd.NaT
    plain = series if zone is None else series.dt.tz_convert("UTC").dt.tz_localize(None)
    expected = TablePreprocessor(scale=None).fit_transform(plain.to_frame())
    assert expected.shape == (900, 7)
    tables = {
        "ns": series.dt.as_unit("ns").to_frame(), "objects": series.astype(object).to_frame(),
        "text": plain.dt.strftime("%Y-%m-%d %H:%M:%S").to_frame(),
        "polars": pl.DataFrame({"c": [None if moment is pd.NaT else moment.to_pydatetime() for moment in series]}),
        "numpy": plain.to_numpy()[:, None],
        "arrow": series.astype(pd.ArrowDtype(pytest.importorskip("pyarrow").timestamp("us", zone))).to_frame(),
    }
    for name, table in tables.items():
        got = TablePreprocessor(scale=None).fit_transform(table)
        np.testing.assert_allclose(got, expected, atol=1e-9, err_msg=name)
    names = TablePreprocessor().fit(series.to_frame()).get_feature_names_out().tolist()
    assert names == [f"c_{part}" for part in (
        "days", "year_sin", "year_cos", "week_sin", "week_cos", "day_sin", "day_cos")]
    moment = plain[0]
    turn = 2 * np.pi * (moment.day_of_week + moment.hour / 24) / 7
    np.testing.assert_allclose(expected[0, 3:5], [np.sin(turn), np.cos(turn)], atol=1e-12)
    turn = 2 * np.pi * (moment.day_of_year - 1 + moment.hour / 24) / 366
    np.testing.assert_allclose(expected[0, 1:3], [np.sin(turn), np.cos(turn)], atol=1e-12)


def test_ids_and_constants_are_left_out_with_a_line():
    frame = pd.DataFrame({"id": np.arange(100) + 7, "customerId": np.arange(100), "paid": np.arange(100), "k": 1.0})
    with pytest.warns(ColumnLeftOutWarning) as caught:
        preprocessor = TablePreprocessor().fit(frame)
    assert [str(w.message) for w in caught] == [
        "column 'id' has 100 distinct whole numbers in 100 rows and the name of an id and is left out: "
        "types={'id': 'numeric'} keeps it",
        "column 'customerId' has 100 distinct whole numbers in 100 rows and the name of an id and is left out: "
        "types={'customerId': 'numeric'} keeps it",
        "column 'k' has the one value 1 in every row and is left out",
    ]
    assert preprocessor.types_ == {"id": "drop", "customerId": "drop", "paid": "numeric", "k": "drop"}
    assert TablePreprocessor(types={"id": "numeric"}).fit(frame).types_["id"] == "numeric"
    frame["id"] = np.arange(100) % 30
    assert TablePreprocessor().fit(frame).types_["id"] == "numeric"
    with pytest.raises(ValueError, match="no column is left to make features of: 'k' has the one value"):
        TablePreprocessor().fit(frame[["k"]])
    assert TablePreprocessor().fit(frame[["k"]].head(1)).types_ == {"k": "numeric"}


@pytest.mark.parametrize(
    "types, cells, expected",
    [
        ("numeric", ["007", "012"], [7, 12]),
        ({"kind": "numeric", "decimal": ","}, ["1,500", "2,250"], [1.5, 2.25]),
        ({"kind": "numeric", "decimal": "."}, ["1,500", "2,250"], [1500, 2250]),
        ({"kind": "date", "day_first": True}, ["1/2/1970", "3/2/1970"], [31, 33]),
        ({"kind": "date", "day_first": False}, ["1.2.1970", "1.3.1970"], [1, 2]),
        (["low", "mid", "high"], ["high", "low", "mid"], [2, 0, 1]),
        ({"kind": "ordered", "order": [3, 1, 2]}, [1, 2, 3], [1, 2, 0]),
        ("categorical", ["10", "20", "10"], [1, 0, 1]),
        ("boolean", ["y", "n", "y"], [1, 0, 1]),
    ],
)
def test_what_a_column_is_can_be_stated(types, cells, expected):
    preprocessor, frame = one(cells, types={"c": types})
    at = preprocessor.get_feature_names_out().tolist()
    place = 1 if preprocessor.types_["c"] == "categorical" else 0
    assert preprocessor.transform(frame)[:, place].tolist() == expected, at


@pytest.mark.parametrize(
    "types, cells, message",
    [
        ("number", ["1", "2"], r"types\['c'\] must be one of 'numeric', .* got 'number'; did you mean 'numeric'\?"),
        ("numeric", ["1", "x"], "column 'c' must hold numbers: could not convert 'x'"),
        ("date", ["2020-01-01", "x"], "column 'c' must hold dates: could not read 'x'"),
        ("date", [1.5, 2.5], "'date', but the column holds numbers"),
        ("boolean", ["y", "x"], "must hold yes and no in words: it holds 'y', 'x'"),
        ("ordered", ["a", "b"], "has no order of its own"),
        (["a", "a"], ["a", "a"], "must list each value once"),
        (["a", "b"], ["a", "c"], "holds 'c', which the model has not seen"),
        ("target", ["a", "b"], "'target', but no target was given"),
        ({"decimal": ","}, ["1", "2"], "must have 'kind'"),
        ({"kind": "date", "decimal": ","}, ["1", "2"], "'date' has no option 'decimal'; it has 'day_first'"),
        ({"kind": "numeric", "decimal": ";"}, ["1", "2"], "decimal must be '.' or ','"),
    ],
)
def test_what_cannot_be_is_refused(types, cells, message):
    with pytest.raises(ValueError, match=message):
        one(cells, types={"c": types})


def test_rows_that_lack_a_value():
    cells = [str(i) for i in range(400)] + ["abc", "n/a", "5"]
    preprocessor, frame = one(cells)
    assert np.flatnonzero(preprocessor.missing_rows(frame)).tolist() == [400, 401]
    assert preprocessor.missing_rows(frame.head(3)).tolist() == [False] * 3


def test_stray_cells_are_told_of():
    cells = [str(i) for i in range(400)] + ["abc", "def"]
    preprocessor, frame = one(cells)
    assert preprocessor.columns_[0]["reason"] == "numbers written as text (2 cells that are none are missing)"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert preprocessor.transform(frame)[-2:, 0].tolist() == [199.5, 199.5]
    new = frame.head(4).assign(c=["7", "abc", "xyz", None])
    with pytest.warns(UserWarning, match="column 'c': 1 cells count as missing, since they are no numeric .*'xyz'"):
        preprocessor.transform(new)
    assert preprocessor.report(new) == {"c": {"missing": 1, "unseen": 1, "examples": ["xyz"]}}
    preprocessor.set_params(handle_unknown="error")
    preprocessor.transform(frame)
    with pytest.raises(ValueError, match="column 'c' must hold numbers: could not convert 'xyz'"):
        preprocessor.transform(new)
    with pytest.raises(ValueError, match=r"2 missing values \('abc', 'def' among them, as no numeric value\), which"):
        one(cells, missing="error")
    with pytest.raises(ValueError, match="which missing='error' refuses") as refused:
        one(["1", "2", None], missing="error")
    error = pickle.loads(pickle.dumps(refused.value))
    assert (str(error), error.column, error.strays) == (str(refused.value), "c", [])
    with pytest.raises(ValueError, match="column 'c' must hold numbers: could not convert '5 lb'"):
        one(["1 kg", "2 kg", "3 kg"], handle_unknown="error")[0].transform(frame.head(1).assign(c=["5 lb"]))
    assert taken(cells + ["x"] * 9)[0] == "drop"


def many(n=4000, values=120, seed=0):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, values, n)
    cells = np.array([f"town {i}" for i in range(values)], dtype=object)[codes]
    return cells, codes, rng


@pytest.mark.parametrize("kind", ["real", "two classes", "three classes"])
def test_means_of_the_target_are_those_of_scikit_learn(kind):
    cells, codes, rng = many()
    y = codes % 7 + rng.normal(size=len(cells))
    if kind != "real":
        y = np.array(["a", "b", "c"], dtype=object)[np.digitize(y, [3] if kind == "two classes" else [2, 4])]
    preprocessor, frame = one(cells, y)
    assert preprocessor.types_["c"] == "target"
    peer = TargetEncoder(smooth="auto").fit(frame[["c"]], y)
    names = [name for name in preprocessor.get_feature_names_out() if name.startswith("c")]
    assert names == {"three classes": ["c_a", "c_b", "c_c"]}.get(kind, ["c"])
    got = preprocessor.transform(frame)[:, :len(names)]
    np.testing.assert_allclose(got, peer.transform(frame[["c"]]), rtol=1e-9, atol=1e-12)


def test_a_row_does_not_see_its_own_target():
    """Of values that say nothing, the means across folds say nothing; those of all rows would."""
    rng = np.random.default_rng(0)
    cells = np.array([f"v{i}" for i in range(800)], dtype=object)[rng.integers(0, 800, 4000)]
    y = rng.normal(size=4000)
    preprocessor, frame = one(cells, y)
    leaking = preprocessor.transform(frame)[:, 0]
    across = preprocessor.fit_transform(frame, y)[:, 0]
    assert np.corrcoef(leaking, y)[0, 1] > 0.3
    assert abs(np.corrcoef(across, y)[0, 1]) < 0.05
    flipped = y.copy()
    flipped[7] += 1000.0
    np.testing.assert_allclose(preprocessor.fit_transform(frame, flipped)[7, 0], across[7], rtol=1e-12)


def test_means_across_folds_by_hand():
    cells, _, rng = many(600, 50)
    y = rng.normal(size=600)
    preprocessor, frame = one(cells, y)
    got = preprocessor.fit_transform(frame, y)[:, 0]
    folds = folds_of_rows(600)
    assert set(folds) == set(range(N_FOLDS))
    counts = pd.Series(cells).value_counts()
    groups = np.array([cell if counts[cell] >= 5 else "rare" for cell in cells], dtype=object)
    for i in (0, 17, 599):
        other = folds != folds[i]
        mine = y[other & (groups == groups[i])]
        weight = len(mine) * y[other].var() / (len(mine) * y[other].var() + mine.var())
        assert got[i] == pytest.approx(weight * mine.mean() + (1 - weight) * y[other].mean(), rel=1e-9)
    assert encodings_of(np.array([0, 0]), np.array([[1.0], [np.nan]]), 3).tolist() == [[1.0], [1.0], [1.0]]


def test_rare_unseen_and_missing_values_of_many():
    cells, codes, rng = many()
    y = codes + 0.0
    cells[:3] = "Ys"
    cells[3:200] = None
    preprocessor, frame = one(cells, y)
    assert "1 rare values as one" in preprocessor.columns_[0]["reason"]
    new = pd.DataFrame({"c": ["Ys", "nowhere", None, "town 5"], "z": 0.0})
    rare, unseen, missing, seen = preprocessor.transform(new)[:, 0]
    assert rare == unseen
    assert missing == pytest.approx(y[3:200].mean(), rel=0.05)
    assert seen == pytest.approx(5.0)
    assert preprocessor.report(new) == {"c": {"missing": 1, "unseen": 1, "examples": ["nowhere"]}}
    preprocessor.set_params(handle_unknown="error")
    with pytest.raises(ValueError, match="column 'c' holds 'nowhere', which the model has not seen"):
        preprocessor.transform(new)


def test_without_a_target_text_of_many_values_is_hashed():
    cells, _, _ = many()
    assert taken(cells)[0] == "categorical"
    kind, reason = taken(cells, hash_features=64)
    assert kind == "hashed"
    assert "no target was given: hashed to 64 places" in reason
    preprocessor, frame = one(cells, hash_features=64)
    X = preprocessor.transform(frame)
    assert X.shape == (4000, 65)
    assert (X[:, 1:].sum(axis=1) == 1).all()
    assert taken(cells, np.arange(4000.0), high_cardinality="hash")[0] == "hashed"
    assert taken(cells, np.arange(4000.0), high_cardinality="onehot")[0] == "categorical"
    assert taken(cells, np.arange(4000.0), encode="ordinal")[0] == "categorical"
    assert taken(cells, np.arange(4000.0), max_categories=5)[0] == "categorical"
    assert taken(cells, np.arange(4000.0), cardinality_threshold=200)[0] == "categorical"
    assert taken(cells, np.c_[np.arange(4000.0), np.arange(4000.0)])[0] == "categorical"


def test_the_target_by_name_is_what_means_are_taken_of(shop):
    frame, y = shop
    table = frame.assign(y=y)
    table.loc[5, "y"] = np.nan
    preprocessor = TablePreprocessor(target="y")
    X, target = preprocessor.fit_split(table)
    assert len(X) == len(target) == 2999
    kept = np.delete(np.arange(3000), 5)
    other = TablePreprocessor()
    expected = other.fit_transform(frame.iloc[kept], y[kept])
    place = preprocessor.get_feature_names_out().tolist().index("city")
    assert np.corrcoef(X[:, place], expected[:, place])[0, 1] > 0.99
    leaking = preprocessor.split(table)[0]
    assert np.corrcoef(leaking[:, place], target)[0, 1] > np.corrcoef(X[:, place], target)[0, 1]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sparse_and_dense_are_the_same_matrix(shop, dtype):
    frame, y = shop
    dense = TablePreprocessor(sparse_output=False, dtype=dtype)
    csr = TablePreprocessor(sparse_output=True, dtype=dtype)
    A, B = dense.fit_transform(frame, y), csr.fit_transform(frame, y)
    assert sparse.issparse(B)
    assert B.format == "csr"
    assert A.dtype == B.dtype == dtype
    B.check_format(full_check=True)
    assert B.has_sorted_indices
    np.testing.assert_array_equal(A, B.toarray())
    new = frame.head(50).assign(status="unseen", note=None, city="nowhere")
    np.testing.assert_array_equal(dense.transform(new), csr.transform(new).toarray())
    only = TablePreprocessor(sparse_output=True, types={"note": "text"}).fit(frame[["note"]])
    assert only.transform(frame[["note"]]).shape == (3000, 256)


def test_the_rule_of_auto(shop, monkeypatch):
    from fasttrain.preprocessing.columns import memory

    frame, y = shop
    assert not TablePreprocessor().fit(frame, y).sparse_output_
    monkeypatch.setattr(memory, "SMALL", 1 << 20)
    assert TablePreprocessor().fit(frame, y).sparse_output_
    assert not TablePreprocessor().set_output(transform="pandas").fit(frame, y).sparse_output_
    assert not TablePreprocessor().fit(frame[["measure1", "measure2", "price"]], y).sparse_output_


def test_a_matrix_that_is_too_large_is_refused_before_it_is_made():
    n = 40_000
    frame = pd.DataFrame({"key": [f"k{i}" for i in range(n)], "z": np.arange(n) / 3})
    with pytest.raises(ValueError, match=(
        r"the dense matrix of 40000 rows and 40001 columns would take 11.9 GiB, and at most 1 GiB are allowed; column "
        r"'key' makes 40000 of its columns: types=\{'key': 'hashed'\} gives it 256 columns, or sparse_output=True "
        r"takes .* MiB, or types=\{'key': 'drop'\} leaves it out, or memory_limit allows more"
    )):
        TablePreprocessor(types={"key": "categorical"}, sparse_output=False, memory_limit="1GiB").fit(frame)
    X = TablePreprocessor(types={"key": "categorical"}).fit_transform(frame)
    assert sparse.issparse(X)
    assert X.shape == (n, n + 1)
    preprocessor = TablePreprocessor(memory_limit=1000).fit(frame.head(50))
    with pytest.raises(ValueError, match="would take"):
        preprocessor.transform(frame)
    for wrong in ("2 bananas", 0, -1, "x", float("nan")):
        with pytest.raises(ValueError, match="memory_limit must be"):
            TablePreprocessor(memory_limit=wrong).fit(frame)


def test_describe_prints_every_column(shop, capsys):
    frame, y = shop
    preprocessor = TablePreprocessor().fit(frame, y)
    preprocessor.describe()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == frame.shape[1] + 2
    assert lines[1].split()[:4] == ["order_id", "left", "out", "0"]
    assert lines[2].startswith("price     numeric")
    assert lines[-1] == f"21 columns in, {preprocessor.transform(frame).shape[1]} out, dense"
    file = io.StringIO()
    preprocessor.describe(file)
    assert file.getvalue().splitlines() == lines


@pytest.mark.parametrize("options", [{}, {"sparse_output": True, "missing": "mean"}, {"encode": "ordinal"}])
def test_every_kind_is_saved_and_pickled(shop, tmp_path, options):
    frame, y = shop
    labels = np.array(["a", "b", "c"])[np.digitize(y, [7, 8])]
    preprocessor = TablePreprocessor(types={"country": "hashed"}, **options).fit(frame, labels)
    new = frame.iloc[::7].assign(city="nowhere", price="$5")
    expected = preprocessor.transform(new)
    save(preprocessor, tmp_path / "model")
    for again in (load(tmp_path / "model"), pickle.loads(pickle.dumps(preprocessor))):
        got = again.transform(new)
        np.testing.assert_array_equal(got.toarray() if sparse.issparse(got) else got,
                                      expected.toarray() if sparse.issparse(expected) else expected)
        assert again.columns_ == preprocessor.columns_
        assert again.get_feature_names_out().tolist() == preprocessor.get_feature_names_out().tolist()


def damaged(index, kind, field, value):
    """Put a value in the place of one of a column's."""
    for column in index["model"]["state"]["_columns"]:
        if column["@"] == kind:
            column["values"][field] = value
            return
    raise AssertionError(kind)


@pytest.mark.parametrize(
    "kind, field, value, message",
    [
        ("numeric column", 1, 3, "must say whether it was text"),
        ("numeric column", 4, -1, "must have a unit"),
        ("numeric column", 5, [1], "must list texts"),
        ("date column", 1, ["days", "nonsense"], "must have parts"),
        ("date column", 1, [], "must have parts"),
        ("hashed column", 2, 2**40, "must have 1 to"),
        ("hashed column", 2, 0, "must have 1 to"),
        ("target column", 2, {"@": "objects", "dtype": "|O", "shape": [1], "values": [1]}, "group for each|uses array"),
        ("target column", 4, ["a", "b"], "label for each output"),
        ("ordered column", 1, {"@": "objects", "dtype": "|O", "shape": [1], "values": [[1]]}, "values in order"),
        ("boolean column", 1, "yes", "words for yes"),
        ("column left out", 0, None, "have a reason"),
    ],
)
def test_a_damaged_column_is_refused(shop, tmp_path, kind, field, value, message):
    frame, y = shop
    save(TablePreprocessor().fit(frame, y), tmp_path / "model")
    path = tmp_path / "model" / "model.json"
    index = json.loads(path.read_text())
    damaged(index, kind, field, value)
    index["sha256"] = archive._digest(index)
    path.write_text(json.dumps(index))
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "model")


def test_in_pipelines_and_searches(shop):
    frame, y = shop
    model = make_pipeline(TablePreprocessor(), Ridge())
    scores = cross_val_score(model, frame, y, cv=3)
    assert scores.min() > 0.6
    search = GridSearchCV(model, {"ridge__alpha": [0.1, 1.0]}, cv=3).fit(frame, y)
    assert search.best_score_ > 0.6
    framed = TablePreprocessor().set_output(transform="pandas").fit_transform(frame, y)
    assert framed.columns.tolist() == TablePreprocessor().fit(frame, y).get_feature_names_out().tolist()
    assert framed.shape[0] == 3000


def test_numbers_without_a_finite_scale_are_refused():
    frame = pd.DataFrame({"a": [1e308, -1e308, 1e308, 0.0], "b": [1.0, 2.0, 3.0, 4.0]})
    with pytest.raises(ValueError, match="column 'a' must hold finite numbers whose standard scale is finite"):
        TablePreprocessor().fit(frame)
    assert np.isfinite(TablePreprocessor(scale="maxabs").fit_transform(frame)).all()
    with pytest.raises(ValueError, match="column 'a' must hold finite numbers"):
        TablePreprocessor(dtype=np.float32).fit(frame)
    with pytest.raises(ValueError, match="column 'c' must hold finite numbers"):
        one(["1e400", "2", "3"])


def test_dates_out_of_range_are_missing():
    times = np.array([-(2**62), 2**62, 0, 86400], dtype="M8[s]")
    frame = pd.DataFrame({"c": times, "z": [1.0, 2.0, 3.0, 4.0]})
    preprocessor = TablePreprocessor(scale=None).fit(frame)
    assert "2 outside the years 1 to 9999 are missing" in preprocessor.columns_[0]["reason"]
    with pytest.warns(UserWarning, match="2 cells count as missing, .* 'times outside the years 1 to 9999'"):
        assert preprocessor.transform(frame)[:, 0].tolist() == [0.5, 0.5, 0.0, 1.0]


def test_one_row_and_new_types_of_cells():
    frame = pd.DataFrame({"price": ["$5.00"], "when": ["2020-01-01"], "kind": ["a"], "n": [3]})
    preprocessor = TablePreprocessor().fit(frame)
    assert np.isfinite(preprocessor.transform(frame)).all()
    prices, z = one(["$5.00", "$6.00", "$7.50"])
    assert prices.transform(z.assign(c=[1.0, 2.0, np.nan]))[:, 0].tolist() == [1.0, 2.0, 6.0]
    with pytest.raises(ValueError, match="must hold dates: it holds numbers"):
        one(["2020-01-01", "2020-01-02"])[0].transform(z.assign(c=1.0))
    plain, _ = one([1.5, 2.5, 3.5])
    assert plain.transform(z.assign(c=["1.5", "2", None]))[:, 0].tolist() == [1.5, 2.0, 2.5]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="'c' must hold numbers"):
            plain.transform(z.assign(c="x"))


def test_rows_with_anything_missing_go():
    frame = pd.DataFrame({"price": ["$5", "n/a", "$7", "$9"], "when": ["2020-01-01", "2020-01-02", None, "2020-01-04"],
                          "y": [1.0, 2.0, 3.0, 4.0]})
    preprocessor = TablePreprocessor(target="y", missing="drop", scale=None)
    X, y = preprocessor.fit_split(frame)
    assert y.tolist() == [1.0, 4.0]
    assert X[:, 0].tolist() == [5.0, 9.0]
    with pytest.raises(ValueError, match=r"'price', 'when'.*missing='drop'"):
        preprocessor.fit_transform(frame)


def test_long_columns_are_read_alike():
    """Columns that hardly repeat are read without looking for distinct cells."""
    n = 10_000
    rng = np.random.default_rng(0)
    values = np.round(rng.normal(0, 1e6, n), 2)
    cells = np.array([f"{value:,.2f}" for value in values.tolist()], dtype=object)
    cells[::100] = None
    cells[1] = "n/a"
    values[::100] = np.nan
    values[1] = np.nan
    for table in (pd.DataFrame({"c": cells}), pl.DataFrame({"c": cells.tolist()}), cells[:, None]):
        preprocessor = TablePreprocessor(scale=None, missing="mean").fit(table)
        got = preprocessor.transform(table)[:, 0]
        np.testing.assert_allclose(got, np.where(np.isnan(values), np.nanmean(values), values), rtol=1e-12)
    words = np.array([f"key-{i}" for i in range(n)], dtype=object)
    assert taken(words)[0] == "drop"


def test_fits_are_the_same_bytes(shop):
    frame, y = shop
    first = TablePreprocessor().fit_transform(frame, y)
    assert first.tobytes() == TablePreprocessor().fit_transform(frame, y).tobytes()
