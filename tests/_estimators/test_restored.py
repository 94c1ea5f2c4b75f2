"""A fit that raises, for its data or for Ctrl-C, leaves the estimator as it was: fitted before, or not at all."""

import every_estimator
import numpy as np
import pandas as pd
import pytest

from fasttrain.preprocessing import OneHotEncoder, OrdinalEncoder, TablePreprocessor, categories

pytestmark = pytest.mark.filterwarnings("ignore")

X = every_estimator.table(60, 4)
# columns of other names and another number, and rows that cannot be learned from
BAD = pd.DataFrame({"a": [np.inf, 1.0, 2.0], "b": [1j, 2.0, 3.0]})
FITTED = [name for name, (kind, _) in every_estimator.ESTIMATORS.items() if kind in ("classes", "numbers")]


def state(model):
    # the engine is made again from what its optimizer remembers
    return {key: id(value) for key, value in vars(model).items() if key != "_engine"}


@pytest.mark.parametrize("bad", [
    BAD, np.full((60, 2), np.nan), np.full((60, 7), 1e308), np.zeros((60, 2), dtype="M8[s]"), np.zeros((60, 2, 2)),
    np.zeros((0, 4)), {"a": 1},
], ids=["table", "NaN", "huge", "dates", "three dimensions", "no rows", "dict"])
@pytest.mark.parametrize("name", FITTED)
def test_bad_data(name, bad):
    y = every_estimator.target(name, X)[: len(bad) or 60]
    for model in (every_estimator.ESTIMATORS[name][1](1), every_estimator.fit(name, X)):
        before = state(model)
        try:
            model.fit(bad, y)
        except (ValueError, TypeError):
            assert state(model) == before


@pytest.mark.parametrize("make", [OneHotEncoder, OrdinalEncoder, TablePreprocessor])
@pytest.mark.parametrize("fitted", [False, True])
def test_ctrl_c_between_columns(make, fitted, monkeypatch):
    words = np.array([["ash", "x"], ["elm", "y"], ["oak", "x"]], dtype=object)
    model = make()
    if fitted:
        model.fit(words)
    before, calls, unique = state(model), [], categories.unique

    def interrupted(*args, **kwargs):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return unique(*args, **kwargs)

    monkeypatch.setattr(categories, "unique", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(np.c_[words, words])
    assert state(model) == before


@pytest.mark.parametrize("method", ["fit", "fit_transform"])
@pytest.mark.parametrize("fitted", [False, True])
def test_a_table_without_a_finite_scale(method, fitted):
    table = TablePreprocessor()
    if fitted:
        table.fit(pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": ["x", "y", "x"]}))
    before = state(table)
    with pytest.raises(ValueError, match="scale is finite"):
        getattr(table, method)(pd.DataFrame({"q": [1e308, -1e308, 0.0]}))
    assert state(table) == before


@pytest.mark.parametrize("make", [OneHotEncoder, OrdinalEncoder])
def test_what_has_no_columns_is_refused(make):
    with pytest.raises(ValueError, match="Expected 2D array"):
        make().fit({"a": 1})
