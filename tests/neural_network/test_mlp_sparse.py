"""MLPClassifier and MLPRegressor on sparse rows: the answers of dense ones, without making them dense."""

import tracemalloc

import numpy as np
import pytest
from scipy import sparse

from fasttrain.neural_network import MLPClassifier, MLPRegressor

RNG = np.random.default_rng(0)
X = np.where(RNG.random((150, 12)) < 0.3, RNG.normal(size=(150, 12)), 0.0)
X[4] = 0
C = X[:, :3].argmax(axis=1)
T = X[:, 0] - 2 * X[:, 1] ** 2
W = RNG.uniform(0.2, 2.0, 150)
both = pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def target(cls):
    return C if cls is MLPClassifier else T


def make(cls, **options):
    return cls(**{"hidden_layer_sizes": (9, 5), "max_iter": 4, "batch_size": 32, "random_state": 0, **options})


def assert_same(mine, other, rtol=1e-9):
    for a, b in zip(mine.coefs_ + mine.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(mine.loss_curve_, other.loss_curve_, rtol=rtol)


@both
@pytest.mark.parametrize("options", [
    {}, {"solver": "sgd", "early_stopping": True}, {"solver": "lbfgs"}, {"hidden_layer_sizes": ()},
    {"dropout": 0.3, "batch_norm": "before", "averaging": "ema", "penalties": "l1", "max_norm": 1.0},
], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_answers_of_dense_rows(cls, options, dtype):
    rows, y = sparse.csr_array(X.astype(dtype)), target(cls)
    dense, mine = make(cls, **options).fit(X.astype(dtype), y, W), make(cls, **options).fit(rows, y, W)
    rtol = 1e-8 if mine.coefs_[0].dtype == np.float64 else 2e-4
    assert_same(mine, dense, rtol)
    np.testing.assert_allclose(mine.score(rows, y), dense.score(X.astype(dtype), y), rtol=1e-3)
    if cls is MLPClassifier:
        np.testing.assert_allclose(mine.predict_proba(rows), dense.predict_proba(X.astype(dtype)), rtol=10 * rtol)
    else:
        np.testing.assert_allclose(mine.predict(rows), mine.predict(X.astype(dtype)), rtol=10 * rtol, atol=10 * rtol)


@both
def test_parts_and_validation_data(cls):
    y, rows = target(cls), sparse.csr_array(X)
    first = {"classes": [0, 1, 2]} if cls is MLPClassifier else {}
    dense, mine = make(cls), make(cls)
    for part in (slice(0, 70), slice(70, 150)):
        dense.partial_fit(X[part], y[part], **first)
        mine.partial_fit(rows[part], y[part], **first)
        assert_same(mine, dense)
    fitted = [make(cls).fit(A[:100], y[:100], validation_data=(A[100:], y[100:], W[100:])) for A in (X, rows)]
    assert_same(*fitted)
    np.testing.assert_allclose(fitted[1].validation_loss_curve_, fitted[0].validation_loss_curve_, rtol=1e-9)
    # either may be sparse alone
    mixed = make(cls).fit(X[:100], y[:100], validation_data=(rows[100:], y[100:], W[100:]))
    np.testing.assert_allclose(mixed.validation_loss_curve_, fitted[0].validation_loss_curve_, rtol=1e-9)


def unsorted(A):
    A = A.copy()
    for i in range(A.shape[0]):
        own = slice(A.indptr[i], A.indptr[i + 1])
        A.indices[own], A.data[own] = A.indices[own][::-1].copy(), A.data[own][::-1].copy()
    A.has_sorted_indices = False
    return A


def twice(A):
    """Each element as two of half its size."""
    return sparse.csr_array((np.repeat(A.data / 2, 2), np.repeat(A.indices, 2), 2 * A.indptr), shape=A.shape)


def wide_indices(A):
    A = A.copy()
    A.indices, A.indptr = A.indices.astype(np.int64), A.indptr.astype(np.int64)
    return A


def frozen(A):
    A = A.copy()
    for array in (A.data, A.indices, A.indptr):
        array.flags.writeable = False
    return A


def misaligned(A):
    A = A.copy()
    raw = np.empty(A.data.nbytes + 1, np.uint8)
    shifted = raw[1:].view(A.dtype)
    shifted[:] = A.data
    A.data = shifted
    return A


@both
@pytest.mark.parametrize("form", [
    unsorted, twice, wide_indices, frozen, misaligned, sparse.csr_matrix, sparse.csc_array, sparse.coo_array,
    sparse.lil_array, lambda A: A.astype(np.longdouble),
])
def test_forms(cls, form):
    rows = form(sparse.csr_array(X))
    before = [array.copy() for array in (rows.data, rows.indices)] if hasattr(rows, "indptr") else []
    model = make(cls).fit(rows, target(cls))
    assert_same(model, make(cls).fit(sparse.csr_array(X), target(cls)), 1e-10)
    np.testing.assert_allclose(model.predict(rows), model.predict(X), rtol=1e-10)
    for array, kept in zip((rows.data, rows.indices) if before else (), before):
        np.testing.assert_array_equal(array, kept)


@both
def test_nothing_is_made_dense(cls):
    n, p = 2000, 50_000
    rows = sparse.random_array((n, p), density=2e-4, rng=np.random.default_rng(1), format="csr")
    y = rows[:, :3].toarray().argmax(axis=1) if cls is MLPClassifier else rows[:, 0].toarray()
    if cls is MLPClassifier:
        y[:3] = np.arange(3)
    tracemalloc.start()
    try:
        model = make(cls, hidden_layer_sizes=(4,), max_iter=1, batch_size=500).fit(rows, y, validation_data=(rows, y))
        model.predict(rows)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # weights, their moments, gradients and copies; the dense rows would be 800 MB
    assert peak < 30 * 8 * 8 * p


@both
def test_what_changes_zeros_needs_dense_rows(cls):
    for name in ("noise", "mixup", "input_dropout"):
        with pytest.raises(ValueError, match=f"X must be dense with {name}"):
            make(cls, **{name: 0.1}).fit(sparse.csr_array(X), target(cls))


@both
def test_bad_sparse_rows_are_refused(cls):
    model = make(cls).fit(X, target(cls))
    outside = sparse.csr_array(X)
    outside.indices = outside.indices.copy()
    outside.indices[3] = 40
    endless = sparse.csr_array(X)
    endless.data = np.where(np.arange(endless.nnz) == 7, np.inf, endless.data)
    for rows, match in [(outside, "ind"), (endless, "infinity"), (sparse.csr_array(X[:, :4]), "features")]:
        with pytest.raises(ValueError, match=match):
            model.predict(rows)
    with pytest.raises(ValueError, match="ind"):
        make(cls).fit(outside, target(cls))
