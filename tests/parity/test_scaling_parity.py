import numpy as np
import pytest
from same import assert_same_state
import sklearn.preprocessing as peer
from scipy import sparse
from sklearn_release import SKLEARN

from fasttrain import preprocessing as ours

LAYOUTS = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "strided": lambda X: np.repeat(np.repeat(X, 2, 0), 2, 1)[::2, ::2],
}


def tables(dtype, missing=True):
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((400, 6)) * [1, 10, 0.1, 1, 1, 1e3] + [0, 1e3, 5, 0, 7, -20]).astype(dtype)
    X[:, 3] = 4
    if missing:
        X[rng.random(X.shape) < 0.1] = np.nan
    return X


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int64])
@pytest.mark.parametrize(
    "options",
    [{}, {"with_mean": False}, {"with_std": False}, {"with_mean": False, "with_std": False}],
    ids=str,
)
@pytest.mark.parametrize("weighted", [False, True])
def test_standard_scaler(options, dtype, layout, weighted):
    X = LAYOUTS[layout](tables(dtype, dtype != np.int64))
    weights = np.random.default_rng(1).random(400) if weighted else None
    if weighted and not (options.get("with_mean", True) or options.get("with_std", True)):
        weights = None
    mine, theirs = ours.StandardScaler(**options), peer.StandardScaler(**options)
    mine.fit(X, sample_weight=weights), theirs.fit(X, sample_weight=weights)
    # scikit-learn rounds weights to the table's type first.
    rtol = {np.float16: 1e-3, np.float32: 1e-6}.get(dtype, 1e-12) if weighted else 1e-12
    assert_same_state(mine, theirs, rtol)
    more = None if weights is None else weights[:50]
    mine.partial_fit(X[:50] + 1, sample_weight=more), theirs.partial_fit(X[:50] + 1, sample_weight=more)
    assert_same_state(mine, theirs, rtol)
    tolerance = {np.float16: 2e-2, np.float32: 2e-5}.get(dtype, 1e-12)
    got, expected = mine.transform(X), theirs.transform(X)
    assert got.dtype == expected.dtype
    atol = np.full(6, tolerance)
    if SKLEARN < (1, 8) and np.dtype(dtype).kind == "f" and mine.mean_ is not None:
        # the mean was not yet rounded to the table's type
        atol += np.spacing(mine.mean_.astype(dtype)) / (1 if mine.scale_ is None else mine.scale_)
    assert (abs(got - expected) <= atol + tolerance * abs(expected))[~np.isnan(expected)].all()
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
    np.testing.assert_allclose(
        mine.inverse_transform(got), theirs.inverse_transform(expected), rtol=tolerance, atol=tolerance * 100
    )


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int64])
@pytest.mark.parametrize("options", [{}, {"feature_range": (-3, 2)}, {"clip": True}])
def test_min_max_scaler(options, dtype, layout):
    X = LAYOUTS[layout](tables(dtype, dtype != np.int64))
    mine, theirs = ours.MinMaxScaler(**options), peer.MinMaxScaler(**options)
    mine.fit(X[:300]), theirs.fit(X[:300])
    assert_same_state(mine, theirs, 0)
    np.testing.assert_array_equal(mine.transform(X), theirs.transform(X))
    mine.partial_fit(X), theirs.partial_fit(X)
    assert_same_state(mine, theirs, 0)
    got, expected = mine.transform(X), theirs.transform(X)
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(mine.inverse_transform(got), theirs.inverse_transform(expected))


@pytest.mark.parametrize("with_std", [True, False])
@pytest.mark.parametrize("make", [sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array, sparse.csc_array])
def test_standard_scaler_on_sparse(make, with_std):
    X = np.where(np.random.default_rng(2).random((50, 5)) < 0.4, tables(np.float64, False)[:50, :5], 0)
    X[3, 2] = np.nan
    mine = ours.StandardScaler(with_mean=False, with_std=with_std)
    theirs = peer.StandardScaler(with_mean=False, with_std=with_std)
    for chunk in (X[:30], X[30:]):
        mine.partial_fit(make(chunk)), theirs.partial_fit(make(chunk))
        assert_same_state(mine, theirs, 1e-12)
    given = make(X)
    before = given.copy()
    np.testing.assert_allclose(
        mine.transform(given).toarray(), theirs.transform(make(X)).toarray(), rtol=1e-12
    )
    assert mine.transform(given).format == "csr"
    np.testing.assert_array_equal(given.toarray(), before.toarray())
    np.testing.assert_allclose(
        mine.inverse_transform(given).toarray(), theirs.inverse_transform(make(X)).toarray(), rtol=1e-12
    )
    with pytest.raises(ValueError, match="with_mean=False"):
        ours.StandardScaler().fit(given)


@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csc_array])
def test_an_empty_sparse_matrix_is_copied_too(container):
    X = container(np.zeros((5, 2)))
    scalers = [ours.StandardScaler(with_mean=False), ours.MaxAbsScaler(), ours.RobustScaler(with_centering=False)]
    for scaler in scalers:
        assert scaler.fit(X).transform(X) is not X


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_callbacks(method):
    told = []
    if not hasattr(peer.StandardScaler, "set_callbacks"):
        # scikit-learn before 1.9
        assert not hasattr(ours.StandardScaler, "set_callbacks")
        return

    class Listener:
        def setup(self, estimator, context):
            told.append("setup")

        def teardown(self, estimator, context):
            told.append("teardown")

        def on_fit_task_begin(self, estimator, context):
            told.append("begin")

        def on_fit_task_end(self, estimator, context, *, fitted_estimator):
            told.append("end")
            assert fitted_estimator.transform([[2.0]]).tolist() == [[1.0]]

    scaler = ours.StandardScaler().set_callbacks(Listener())
    getattr(scaler, method)(np.array([[0.0], [2.0]]))
    assert told == ["setup", "begin", "end", "teardown"]
