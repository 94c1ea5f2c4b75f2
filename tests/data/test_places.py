"""Messages about rows of a source say where these lie: whatever holds them, in one block or in many."""

import numpy as np
import pandas as pd
import polars
import pytest
from scipy import sparse
from sklearn.base import clone

from fasttrain.data import Block, Blocks, from_arrays, from_csv, from_npy, from_parquet
from fasttrain.linear_model import LinearClassifier, LinearRegressor, PoissonRegressor, Ridge, SGDRegressor
from fasttrain.preprocessing import MinMaxScaler, StandardScaler

RNG = np.random.default_rng(0)
X = RNG.standard_normal((300, 4))
Y = X @ [1.0, -2.0, 0.5, 0.0]
WEIGHTS = np.ones(300)


def spoilt(array, value, row=217):
    array = array.copy()
    array[(row, 2) if array.ndim == 2 else row] = value
    return array


@pytest.fixture(params=[100, None], ids=["blocks", "one block"])
def block_rows(request):
    return request.param


@pytest.fixture
def place(block_rows):
    """How the place of row 217 ends."""
    return r"row 17 \(row 217 of them\)" if block_rows else r"row 217 \(row 217 of them\)"


@pytest.mark.parametrize("value, message", [(np.nan, "Input X contains NaN"), (-np.inf, "Input X contains infinity")])
@pytest.mark.parametrize("make", [
    np.asarray, np.asfortranarray, sparse.csr_matrix, sparse.csr_array, pd.DataFrame, polars.DataFrame,
    lambda X: pd.DataFrame(X).astype("Float64"),
])
@pytest.mark.parametrize("model", [LinearRegressor(), Ridge(), SGDRegressor()])
def test_cells_of_features(model, make, value, message, block_rows, place):
    source = from_arrays(make(spoilt(X, value)), Y, block_rows=block_rows)
    with pytest.raises(ValueError, match=f"{place}: {message}"):
        model.fit(source)
    with pytest.raises(ValueError, match=f"{place}: {message}"):
        clone(model).fit(make(X), Y).predict(source)


@pytest.mark.parametrize("make", [np.asarray, pd.Series, polars.Series, lambda y: pd.DataFrame({"y": y})])
@pytest.mark.parametrize("value, message", [(np.nan, "NaN"), (np.inf, "infinity")])
def test_cells_of_targets(make, value, message, block_rows, place):
    with pytest.raises(ValueError, match=f"{place}: Input y contains {message}"):
        LinearRegressor().fit(from_arrays(X, make(spoilt(Y, value)), block_rows=block_rows))


@pytest.mark.parametrize("value, message", [
    (np.nan, "must hold finite numbers"), (np.inf, "must hold finite numbers"),
    (-1.0, "must hold numbers >= 0, got -1"),
])
def test_weights(value, message, block_rows, place):
    with pytest.raises(ValueError, match=f"{place}: sample_weight {message}"):
        LinearRegressor().fit(from_arrays(X, Y, spoilt(WEIGHTS, value), block_rows=block_rows))


def test_text_of_a_frame(block_rows, place):
    frame = pd.DataFrame(X.astype(object), columns=list("abcd"))
    frame.loc[217, "b"] = "oops"
    with pytest.raises(ValueError, match=f"{place}: could not convert string to float: 'oops'"):
        LinearRegressor().fit(from_arrays(frame, Y, block_rows=block_rows))


@pytest.mark.parametrize("scaler", [StandardScaler(), MinMaxScaler()])
def test_columns_alone(scaler, block_rows, place):
    with pytest.raises(ValueError, match=f"{place}: Input X contains infinity"):
        scaler.fit(from_arrays(spoilt(X, np.inf), block_rows=block_rows))


def test_what_is_wrong_with_no_cell_of_one_block_is_of_no_block():
    with pytest.raises(ValueError, match=r"^alpha must be"):
        LinearRegressor(penalty="l2", alpha=np.inf).fit(from_arrays(X, Y))
    with pytest.raises(ValueError, match=r"^y must hold at least 2 classes"):
        LinearClassifier().fit(from_arrays(X, np.zeros(300)))


def test_a_place_is_not_that_of_another_fault():
    """Infinity in rows whose columns are others."""
    model = LinearRegressor().fit(pd.DataFrame(X, columns=list("abcd")), Y)
    frame = pd.DataFrame(spoilt(X, np.inf, 17), columns=list("abce"))
    with pytest.raises(ValueError, match="block 0 of the arrays: The feature names should match"):
        model.predict(from_arrays(frame, block_rows=100))


@pytest.mark.parametrize("block_rows", [100, 1000])
def test_files_of_their_own(tmp_path, block_rows):
    for name, array in (
            ("X", X), ("y", Y), ("no y", spoilt(Y, np.nan)), ("no X", spoilt(X, np.nan)), ("w", spoilt(WEIGHTS, -1.0)),
            ("codes", spoilt(np.ones(300), 0.5)), ("counts", spoilt(np.ones(300), -2.0))):
        np.save(tmp_path / f"{name}.npy", array)

    def source(X="X", y="y", *weights):
        return from_npy(tmp_path / f"{X}.npy", *(
            tmp_path / f"{name}.npy" if isinstance(name, str) else name for name in (y, *weights)),
            block_rows=block_rows)

    model = LinearRegressor()
    for one in (source(y="no y"), source(y="no y").split(0.02)[0]):
        with pytest.raises(ValueError, match=r"/no y.npy, row 217: Input y contains NaN"):
            model.fit(one)
    with pytest.raises(ValueError, match=r"/no X.npy, row 217: Input X contains NaN"):
        model.fit(source("no X"))
    with pytest.raises(ValueError, match=r"/w.npy, row 217: sample_weight must hold numbers >= 0, got -1"):
        model.fit(source("X", "y", "w").map(lambda X: X))
    with pytest.raises(ValueError, match=r"the array y, row 217: Input y contains NaN"):
        model.fit(source(y=spoilt(Y, np.nan)))
    if block_rows == 100:
        with pytest.raises(ValueError, match=r"/codes.npy, row 217: y must hold classes, got 0.5$"):
            LinearClassifier().fit(source(y="codes"))
        with pytest.raises(ValueError, match=r"/counts.npy, rows 200 to 299: .* of y are out of the valid range"):
            PoissonRegressor().fit(source(y="counts"))


def test_one_row_group_and_one_part_of_text(tmp_path):
    frame = pd.DataFrame(X, columns=list("abcd")).assign(y=Y)
    for value, message in ((np.nan, "Input X contains NaN"), (np.inf, "Input X contains infinity"), (
            "oops", "could not convert string to float: 'oops'")):
        wrong = frame.astype({"b": object})
        wrong.loc[217, "b"] = value
        wrong = wrong if isinstance(value, str) else wrong.astype({"b": float})
        wrong = wrong.astype({"b": str}) if isinstance(value, str) else wrong
        wrong.to_parquet(tmp_path / "t.parquet")
        wrong.to_csv(tmp_path / "t.csv", index=False)
        with pytest.raises(ValueError, match=rf"t.parquet, row group 0, row 217 \(row 217 of the file\): {message}"):
            LinearRegressor().fit(from_parquet(tmp_path / "t.parquet", target="y"))
        with pytest.raises(ValueError, match=rf"t.csv, bytes \d+ to \d+, row 217 \(row 217 of the file\): {message}"):
            LinearRegressor().fit(from_csv(tmp_path / "t.csv", target="y"))


def test_a_source_of_ones_own_says_where_alone():
    class Own(Blocks):
        n_blocks = 2

        def block(self, i):
            return Block(X, spoilt(Y, np.nan) if i else Y)

        def where(self, i, row=None):
            return f"drawer {i}" if row is None else f"drawer {i}, sheet {row}"

    with pytest.raises(ValueError, match="drawer 1, sheet 217: Input y contains NaN"):
        LinearRegressor().fit(Own())
