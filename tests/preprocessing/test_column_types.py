"""Columns of strings and categories, however a library stores them, are encoded as their plain objects are."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from fasttrain.preprocessing import (
    LabelBinarizer,
    LabelEncoder,
    OneHotEncoder,
    OrdinalEncoder,
    drop_duplicates,
    drop_missing,
)

WORDS = np.array(["pear", "fig", "apple", "Zwetschge", "ångström", ""], dtype=object)
PLAIN = WORDS[np.random.default_rng(0).integers(0, 6, 300)]
HOLED = np.where(np.random.default_rng(1).random(300) < 0.2, None, PLAIN)


def pandas_column(values, dtype):
    return pd.Series(values, dtype=dtype, name="c")


COLUMNS = {
    "pandas str": lambda v: pandas_column(v, "str"),
    "pandas string": lambda v: pandas_column(v, "string"),
    "pandas category": lambda v: pandas_column(v, "category"),
    "pandas object": lambda v: pandas_column(v, object),
    "polars String": lambda v: pl.Series("c", list(v), dtype=pl.String),
    "polars Categorical": lambda v: pl.Series("c", list(v), dtype=pl.Categorical),
    "polars Enum": lambda v: pl.Series("c", list(v), dtype=pl.Enum([*WORDS, "unused"])),
}


def as_frame(column):
    return column.to_frame()


def categories_of(values):
    present = sorted({v for v in values if v is not None})
    return present, {v: i for i, v in enumerate(present)}


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("holes", [False, True])
def test_encoders(name, holes):
    values = HOLED if holes else PLAIN
    frame = as_frame(COLUMNS[name](values))
    present, codes = categories_of(values)
    expected = np.array([codes.get(v, len(present)) for v in values])
    encoder = OneHotEncoder(sparse_output=False).fit(frame)
    assert encoder.categories_[0][: len(present)].tolist() == present
    assert len(encoder.categories_[0]) == len(present) + holes
    np.testing.assert_array_equal(encoder.transform(frame).argmax(axis=1), expected)
    ordinal = OrdinalEncoder(encoded_missing_value=len(present)).fit(frame)
    np.testing.assert_array_equal(ordinal.transform(frame).ravel(), expected)
    counts = OneHotEncoder(min_frequency=60).fit(frame).infrequent_categories_[0]
    rare = [c for k, c in enumerate(present) if (expected == k).sum() < 60]
    assert [c for c in counts if isinstance(c, str)] == rare
    other = as_frame(COLUMNS["pandas object"](np.array(["fig", "durian"], dtype=object)))
    other.columns = frame.columns
    with pytest.raises(ValueError, match="durian"):
        encoder.transform(other)


@pytest.mark.parametrize("name", COLUMNS)
def test_labels(name):
    y = COLUMNS[name](PLAIN)
    present, codes = categories_of(PLAIN)
    expected = np.array([codes[v] for v in PLAIN])
    encoder = LabelEncoder()
    np.testing.assert_array_equal(encoder.fit_transform(y), expected)
    assert encoder.classes_.tolist() == present
    np.testing.assert_array_equal(encoder.transform(y), expected)
    assert encoder.inverse_transform(expected).tolist() == PLAIN.tolist()
    np.testing.assert_array_equal(LabelBinarizer().fit_transform(np.asarray(y)).argmax(axis=1), expected)


@pytest.mark.parametrize("name", COLUMNS)
def test_cleaning(name):
    frame = as_frame(COLUMNS[name](HOLED))
    kept, mask = drop_missing(frame, return_mask=True)
    np.testing.assert_array_equal(mask, [v is not None for v in HOLED])
    assert list(kept["c"]) == [v for v in HOLED if v is not None]
    _, mask = drop_duplicates(frame, return_mask=True)
    seen = set()
    np.testing.assert_array_equal(mask, [not (v in seen or seen.add(v)) for v in HOLED])


def test_string_dtype_of_numpy():
    strings = getattr(np.dtypes, "StringDType", None)
    if strings is None:
        assert int(np.__version__.split(".")[0]) < 2
        return
    y = PLAIN.astype(strings())
    present, codes = categories_of(PLAIN)
    expected = np.array([codes[v] for v in PLAIN])
    encoder = OneHotEncoder(sparse_output=False).fit(y.reshape(-1, 1))
    np.testing.assert_array_equal(encoder.transform(y.reshape(-1, 1)).argmax(axis=1), expected)
    assert encoder.categories_[0].tolist() == present
    np.testing.assert_array_equal(LabelEncoder().fit_transform(y), expected)
    np.testing.assert_array_equal(OrdinalEncoder().fit_transform(y.reshape(-1, 1)).ravel(), expected)
    assert drop_duplicates(y.reshape(-1, 1)).ravel().tolist() == list(dict.fromkeys(PLAIN))


def test_strings_that_fixed_width_cannot_hold():
    strings = getattr(np.dtypes, "StringDType", None)
    if strings is None:
        assert int(np.__version__.split(".")[0]) < 2
        return
    for values in (["a\0", "a", "a\0", "b"], ["x" * 1000, "y", "x" * 1000, "y"]):
        encoder = LabelEncoder()
        codes = encoder.fit_transform(np.array(values, dtype=strings()))
        assert encoder.classes_.tolist() == sorted(set(values))
        assert [encoder.classes_[code] for code in codes] == values
    holed = np.array(["x", None, "y"], dtype=strings(na_object=None))
    assert OneHotEncoder().fit(holed.reshape(-1, 1)).categories_[0].tolist() == ["x", "y", None]
    assert drop_missing(holed).tolist() == ["x", "y"]
