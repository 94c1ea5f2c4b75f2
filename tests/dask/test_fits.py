"""Fits on a cluster: the same bytes for any number of workers, and those of the same blocks in this process."""

import threading

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from cluster_data import LABELS, RNG, ROWS, WEIGHTS, X, Y, arrays_of, dask_of, parts
from dask import bag
from scipy import sparse
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression as StockLogistic, Ridge as StockRidge
from sklearn_release import SKLEARN

import fasttrain.dask
from fasttrain.data import _lazy, from_arrays, from_dask
from fasttrain.linear_model import (
    HuberRegressor, LinearClassifier, LinearRegressor, LinearSVC, LinearSVR, LogisticRegression, PoissonRegressor,
    Ridge, RidgeClassifier, SGDClassifier,
)
from fasttrain.neural_network import MLPClassifier, MLPRegressor
from fasttrain.penalties import L2
from fasttrain.preprocessing import (
    MaxAbsScaler, MinMaxScaler, OneHotEncoder, OrdinalEncoder, RobustScaler, StandardScaler, TablePreprocessor,
)

CASES = {
    "regressor": (LinearRegressor(max_iter=3), Y),
    "regressor l1": (LinearRegressor(penalty="l1", alpha=0.01, loss="huber", max_iter=3), Y),
    "binary": (LinearClassifier(max_iter=3), LABELS == "low"),
    "multinomial": (LinearClassifier(class_weight="balanced", max_iter=3), LABELS),
    "full batch": (LinearRegressor(optimizer="adam", batch_size="full", max_iter=3, tol=None), Y),
    "mlp": (MLPClassifier((8,), solver="lbfgs", max_iter=3, random_state=0), LABELS),
    "mlp regressor": (MLPRegressor(hidden_layer_sizes=(8,), solver="lbfgs", max_iter=3, random_state=0), Y),
    "mini-batches": (LinearRegressor(optimizer="adam", max_iter=2, random_state=0, tol=None), Y),
    "sgd": (SGDClassifier(max_iter=2, random_state=0, tol=None), LABELS),
    "ridge": (Ridge(), Y),
    "ridge classifier": (RidgeClassifier(class_weight="balanced"), LABELS),
    "logistic": (LogisticRegression(max_iter=3, class_weight="balanced"), LABELS),
    "poisson": (PoissonRegressor(max_iter=3), np.exp(Y / 40)),
    "huber": (HuberRegressor(max_iter=3), Y),
    "support vectors": (LinearSVC(max_iter=3), LABELS),
    "support vectors of numbers": (LinearSVR(loss="squared_epsilon_insensitive", max_iter=3), Y),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_models_depend_on_the_blocks_alone(workers):
    """Byte for byte what the same blocks give here, on 1, 2 and 3 workers."""
    wanted = {
        name: arrays_of(clone(model).fit(from_arrays(parts(X), parts(y)))) for name, (model, y) in CASES.items()}
    for n in (1, 2, 3):
        workers(n)
        for name, (model, y) in CASES.items():
            assert arrays_of(clone(model).fit(dask_of(X), dask_of(y))) == wanted[name], (name, n)


class Iterations:
    """A callback of scikit-learn's: the coefficients after each iteration."""

    def __init__(self):
        self.coefs, self.lock = [], threading.Lock()

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if context.parent is not None and fitted_estimator is not None:
            self.coefs.append(fitted_estimator.coef_)


@pytest.mark.skipif(SKLEARN < (1, 9), reason="scikit-learn has no callbacks before 1.9")
@pytest.mark.parametrize("name", ["logistic", "poisson", "huber", "support vectors", "support vectors of numbers"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_callbacks_of_scikit_learn_hear_of_rounds(client, name):
    model, y = CASES[name]
    record = Iterations()
    fitted = clone(model).set_callbacks(record).fit(dask_of(X), dask_of(y))
    assert len(record.coefs) == fitted.n_iter_ == 3
    np.testing.assert_array_equal(record.coefs[-1], fitted.coef_)
    assert arrays_of(clone(model).fit(dask_of(X), dask_of(y))) == arrays_of(fitted)


@pytest.mark.parametrize("rows", [(600,), (200, 200, 200), (7, 293, 300), (0, 300, 0, 300)])
def test_chunked_anew(client, rows):
    model = LinearRegressor(tol=1e-10).fit(dask_of(X, rows), dask_of(Y), dask_of(WEIGHTS))
    here = LinearRegressor(tol=1e-10).fit(X, Y, WEIGHTS)
    np.testing.assert_allclose(model.coef_, here.coef_, rtol=1e-6)
    np.testing.assert_allclose(model.intercept_, here.intercept_, rtol=1e-6, atol=1e-9)


def test_as_scikit_learn(client):
    ridge = LinearRegressor(penalty=L2(2.0 / len(X)), tol=1e-12).fit(dask_of(X), dask_of(Y))
    stock = StockRidge(alpha=2.0).fit(X, Y)
    np.testing.assert_allclose(ridge.coef_, stock.coef_, atol=1e-6)
    logistic = LinearClassifier(penalty=L2(1.0 / len(X)), tol=1e-12).fit(dask_of(X), dask_of(LABELS))
    stock = StockLogistic(tol=1e-10, max_iter=10_000).fit(X, LABELS)
    # a softmax has one solution once the penalty is there
    np.testing.assert_allclose(logistic.coef_, stock.coef_, atol=1e-6)


def test_a_logistic_regression_is_scikit_learns(client):
    model = LogisticRegression(tol=1e-9, max_iter=3000).fit(dask_of(X), dask_of(LABELS), dask_of(WEIGHTS))
    stock = StockLogistic(tol=1e-9, max_iter=3000).fit(X, LABELS, WEIGHTS)
    np.testing.assert_allclose(model.coef_, stock.coef_, atol=1e-6)
    lazy = model.predict_proba(dask_of(X))
    assert lazy.shape == (600, 3)
    np.testing.assert_array_equal(lazy.compute(), model.predict_proba(X))
    np.testing.assert_array_equal(model.predict(dask_of(X)).compute(), model.predict(X))
    assert model.score(dask_of(X), dask_of(LABELS)) == model.score(X, LABELS)


def test_one_class_a_block(client):
    order = np.argsort(LABELS, kind="stable")
    model = LinearClassifier(tol=1e-10).fit(dask_of(X[order]), dask_of(LABELS[order]))
    here = LinearClassifier(tol=1e-10).fit(X, LABELS)
    np.testing.assert_allclose(model.coef_, here.coef_, atol=1e-6)
    assert model.classes_.tolist() == ["high", "low", "middle"]


def test_sizes_that_are_not_known(client):
    dX, dy = dask_of(X), dask_of(Y)
    keep = dX[:, 0] > 0
    model = LinearRegressor(tol=1e-10).fit(dX[keep], dy[keep])
    rows = X[:, 0] > 0
    np.testing.assert_allclose(model.coef_, LinearRegressor(tol=1e-10).fit(X[rows], Y[rows]).coef_, rtol=1e-6)
    with pytest.raises(ValueError, match=r"y must be a Dask collection where the sizes .* X\.compute_chunk_sizes\(\)"):
        LinearRegressor().fit(dX[keep], Y[rows])
    with pytest.raises(ValueError, match=r"y must have the \d+ rows of X in block 0, got 130"):
        LinearRegressor().fit(dX[keep], dy)


def test_sparse_blocks(client):
    S = np.where(RNG.uniform(size=X.shape) < 0.3, X, 0.0)
    model = MLPRegressor(hidden_layer_sizes=(4,), solver="lbfgs", max_iter=3, random_state=0)
    csr = dask_of(S).map_blocks(sparse.csr_matrix)
    with pytest.warns(Warning, match="failed to converge"):
        by_cluster = model.fit(csr, dask_of(Y)).coefs_[0].tobytes()
    with pytest.warns(Warning, match="failed to converge"):
        here = model.fit(from_arrays(list(map(sparse.csr_matrix, parts(S))), parts(Y))).coefs_[0].tobytes()
    assert by_cluster == here


def test_refusals(client):
    with pytest.raises(ValueError, match=r"y must have 600 rows as X has, got 599"):
        LinearRegressor().fit(dask_of(X), Y[:-1])
    with pytest.raises(ValueError, match=r"X must have at least one row"):
        LinearRegressor().fit(dask_of(X)[:0], dask_of(Y)[:0])
    bad = X.copy()
    bad[300, 2] = np.nan
    with pytest.raises(ValueError, match=r"block 2 of the Dask collection, row 40: .*NaN"):
        LinearRegressor().fit(dask_of(bad), dask_of(Y))
    with pytest.raises(TypeError, match=r"client must be a distributed.Client, got str"):
        from_dask(dask_of(X), client="tcp://somewhere")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_small_files_are_blocks_of_x_and_of_y_alike(client, tmp_path):
    """Dask reads several together, more of them the fewer columns are asked for."""
    frame = pd.DataFrame(X, columns=list("abcdef")).assign(y=Y)
    for number, part in enumerate(parts(np.arange(len(X)))):
        frame.iloc[part].to_parquet(tmp_path / f"part-{number}.parquet", index=False)
    found = dd.read_parquet(tmp_path)
    assert len(found["y"].to_delayed()) < found.npartitions
    model = LinearRegressor(max_iter=3)
    by_cluster = arrays_of(model.fit(found[list("abcdef")], found["y"]))
    here = model.fit(from_arrays([frame.iloc[part].drop(columns="y") for part in parts(np.arange(len(X)))], parts(Y)))
    assert by_cluster == arrays_of(here)
    (tmp_path / "part-3.parquet").unlink()
    with pytest.raises(FileNotFoundError, match=r"part-3.parquet"):
        model.fit(found[list("abcdef")], found["y"])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_partitions_unlike_their_frame(client):
    """Columns in another order are those of their names; other columns are refused, with the block."""
    frames = [pd.DataFrame(part, columns=list("abcdef")) for part in parts(X)]
    model = LinearRegressor(max_iter=3)
    wanted = arrays_of(model.fit(from_arrays(frames, parts(Y))))

    def collection(frames):
        return dd.from_map(lambda frame: frame, frames, meta=frames[0].iloc[:0], enforce_metadata=False)

    y = dd.from_map(pd.Series, parts(Y), meta=pd.Series(Y[:0]))
    frames[2] = frames[2][list("fdbace")]
    assert arrays_of(model.fit(collection(frames), y)) == wanted
    frames[3] = frames[3].drop(columns="c")
    with pytest.raises(ValueError, match=r"block 3 of the Dask collection has the columns \['a', 'b', 'd', 'e', 'f'\], "
                       r"and the collection says \['a', 'b', 'c', 'd', 'e', 'f'\]"):
        model.fit(collection(frames), y)
    frames[3] = pd.DataFrame(parts(X)[3], columns=list("abcdef"))
    frames[3].loc[7, "b"] = np.nan
    with pytest.raises(ValueError, match=r"block 3 of the Dask collection, row 7: Input X contains NaN"):
        model.fit(collection(frames), y)


FRAME = pd.DataFrame(X, columns=list("abcdef")).assign(kind=RNG.choice(["x", "yy", "z"], len(X)))


@pytest.mark.parametrize("model", [
    StandardScaler(), MinMaxScaler(), MaxAbsScaler(), RobustScaler(), StandardScaler(with_mean=False)])
def test_scalers(client, model):
    at_cluster = clone(model).fit(dask_of(X))
    assert arrays_of(at_cluster) == arrays_of(clone(model).fit(from_arrays(parts(X))))
    if not isinstance(model, RobustScaler):
        np.testing.assert_allclose(at_cluster.scale_, clone(model).fit(X).scale_, rtol=1e-12)
    lazy = at_cluster.transform(dask_of(X))
    assert lazy.dtype == np.float64
    assert lazy.chunks == (ROWS, (6,))
    np.testing.assert_array_equal(lazy.compute(), at_cluster.transform(X))


def test_encoders_and_tables(client):
    frame = dd.from_pandas(FRAME, npartitions=4)
    for model in (OneHotEncoder(), OrdinalEncoder()):
        model.fit(frame[["kind"]])
        assert model.categories_[0].tolist() == ["x", "yy", "z"]
    table = TablePreprocessor().fit(frame)
    lazy = table.transform(frame)
    assert (lazy.dtype, lazy.shape[1]) == (np.float64, 9)
    np.testing.assert_allclose(lazy.compute(), TablePreprocessor().fit_transform(FRAME), rtol=1e-9, atol=1e-9)
    model = LinearRegressor(tol=1e-10).fit(lazy, dd.from_pandas(pd.Series(Y), npartitions=4))
    np.testing.assert_allclose(model.coef_, LinearRegressor(tol=1e-10).fit(
        table.transform(FRAME), Y).coef_, atol=1e-6)


def test_lazy_predictions(client):
    model = LinearClassifier().fit(X, LABELS)
    for name, dtype, width in (("predict", "<U6", None), ("predict_proba", np.float64, 3),
                               ("decision_function", np.float64, 3)):
        lazy = getattr(model, name)(dask_of(X))
        assert lazy.dtype == dtype
        assert lazy.shape == ((600,) if width is None else (600, width))
        assert type(lazy._meta) is np.ndarray
        np.testing.assert_array_equal(lazy.compute(), getattr(model, name)(X))
    named = LinearRegressor().fit(FRAME.drop(columns="kind"), Y)
    lazy = named.predict(dd.from_pandas(FRAME.drop(columns="kind"), npartitions=3))
    np.testing.assert_array_equal(lazy.compute(), named.predict(FRAME.drop(columns="kind")))
    assert model.score(dask_of(X), dask_of(LABELS)) == model.score(X, LABELS)
    empty = model.predict(dask_of(X)[dask_of(X)[:, 0] > 100])
    assert empty.compute().shape == (0,)


def test_what_is_no_collection_or_goes_with_none(client):
    with pytest.raises(TypeError, match="X must be a Dask array or data frame, got ndarray"):
        fasttrain.dask.fit(client, LinearRegressor(), X, Y)
    for y in (3.0, "abc"):
        with pytest.raises(ValueError, match="y must have a number for each of the 600 rows of X, got a single one"):
            LinearRegressor().fit(dask_of(X), y)
    with pytest.raises(ValueError, match="sample_weight must have 600 rows as X has, got 599"):
        from_dask(dask_of(X), Y, np.ones(599))
    with pytest.raises(ValueError, match="X must have two axes, got 1"):
        from_dask(dd.from_pandas(FRAME, npartitions=2)[FRAME.columns[0]])
    for other in (bag.from_sequence([1, 2], npartitions=2), dask.delayed(X)):
        with pytest.raises(TypeError, match="X must be a Dask array or data frame, got"):
            from_dask(other)
    with pytest.raises(TypeError, match="y must be a Dask array or data frame, got Bag"):
        from_dask(dask_of(X), bag.from_sequence([1, 2], npartitions=2))
    lying = dask_of(X).map_blocks(lambda block: block[:, :2], dtype=float, chunks=dask_of(X).chunks)
    with pytest.raises(ValueError, match=r"block \d of the Dask collection has 2 columns, and the collection says 6"):
        LinearRegressor().fit(lying, Y)


def test_functions_are_told_which_partition_it_is(client):
    """Also where they make frames of frames, and not where the rows are made up."""
    frame, told = dd.from_pandas(FRAME[["a"]], npartitions=3), []

    def numbered(block, number):
        told.append(number)
        return block.assign(a=number)

    found = _lazy.lazy(numbered, frame, "numbered")
    assert told == [None]
    assert found.compute(scheduler="sync")["a"].unique().tolist() == [0, 1, 2]


@pytest.mark.parametrize("as_frame", [False, True])
def test_what_is_wrong_with_a_lazy_prediction_is_placed(client, as_frame):
    """Where a block is an array and where it is a frame, for answers of one axis and of two."""
    number, rows = 3, X.copy()
    first = sum(map(len, parts(X)[:number]))
    rows[first + 5, 2] = np.inf
    clean, found = X, dask_of(rows)
    if as_frame:
        clean = pd.DataFrame(X, columns=list("abcdef"))
        table = [pd.DataFrame(part, columns=list("abcdef")) for part in parts(rows)]
        found = dd.from_map(lambda part: part, table, meta=table[0].iloc[:0])
    answers = [
        LinearRegressor().fit(clean, Y).predict(found), LinearClassifier().fit(clean, LABELS).predict_proba(found),
        StandardScaler().fit(clean).transform(found)]
    for answer in answers:
        with pytest.raises(ValueError, match=r"^block 3 of the Dask collection, row 5: Input X contains infinity"):
            answer.compute()
    with pytest.raises(ValueError, match=r"^X has 6 features|^The feature names should match"):
        LinearRegressor().fit(clean[list("abc")] if as_frame else X[:, :3], Y).predict(found)
