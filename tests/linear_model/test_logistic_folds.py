"""Logistic regressions of the folds of a small table are to the byte those that a loop over the folds fits."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.model_selection import KFold

import fasttrain
from fasttrain._kernels.coordinate import Stopped
from fasttrain.linear_model import LogisticRegression
from fasttrain.linear_model import _logistic_columns as columns
from fasttrain.model_selection import cross_val_predict, cross_validate

TABLES = {"iris": load_iris(return_X_y=True), "cancer": load_breast_cancer(return_X_y=True)}
# Steps of L-BFGS over columns of several scales: another last bit of a sum is another place within tol.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def fitted_in_a_loop(model, X, y, folds, method):
    found = None
    for train, test in folds:
        said = getattr(clone(model).fit(X[train], y[train]), method)(X[test])
        found = np.zeros((X.shape[0], *said.shape[1:])) if found is None else found
        found[test] = said
    return found


@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize("options", [{}, {"class_weight": "balanced"}, {"C": 0.1, "fit_intercept": False}], ids=str)
@pytest.mark.parametrize(("table", "dtype"), [("iris", "f8"), ("iris", "f4"), ("cancer", "f8")])
def test_bytes_of_a_loop(table, dtype, options, n_threads):
    X, y = TABLES[table]
    X = X.astype(dtype)
    X.flags.writeable = False
    folds = list(KFold(4, shuffle=True, random_state=0).split(X))
    model = LogisticRegression(**options)
    with fasttrain.num_threads(n_threads):
        for method in ("decision_function", "predict_proba"):
            found = cross_val_predict(model, X, y, cv=folds, method=method)
            assert found.tobytes() == fitted_in_a_loop(model, X, y, folds, method).astype(found.dtype).tobytes()


def test_bytes_of_a_loop_with_weights_and_of_sparse_rows():
    X, y = TABLES["iris"]
    weights = np.random.default_rng(0).uniform(0.0, 2.0, len(y)).round(1)
    folds = list(KFold(3, shuffle=True, random_state=1).split(X))
    found = cross_validate(
        LogisticRegression(), X, y, cv=folds, params={"sample_weight": weights}, return_estimator=True)["estimator"]
    for model, (train, _) in zip(found, folds):
        own = LogisticRegression().fit(X[train], y[train], weights[train])
        assert (model.coef_.tobytes(), model.n_iter_) == (own.coef_.tobytes(), own.n_iter_)
    rows = sparse.csr_matrix(np.where(X > 2, X, 0))
    said = cross_val_predict(LogisticRegression(), rows, y, cv=folds, method="decision_function")
    assert said.tobytes() == fitted_in_a_loop(LogisticRegression(), rows, y, folds, "decision_function").tobytes()


@pytest.mark.parametrize("what", ["a larger table", "many folds"])
def test_others_are_one_product(monkeypatch, what):
    """And agree as far as the gradient tells."""
    X, y = TABLES["cancer"]
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    if what == "a larger table":
        monkeypatch.setattr(columns, "ALONE_BYTES", 1000)
    alone = []
    train_alone = columns.LogisticTarget._train_alone
    monkeypatch.setattr(columns.LogisticTarget, "_train_alone",
                        lambda self, *args: (alone.append(args), train_alone(self, *args)))
    folds = list(KFold(4 if what == "a larger table" else columns.ALONE_FOLDS + 1).split(X))
    model = LogisticRegression(tol=1e-8)
    found = cross_val_predict(model, X, y, cv=folds, method="decision_function")
    assert alone == []
    np.testing.assert_allclose(found, fitted_in_a_loop(model, X, y, folds, "decision_function"), rtol=1e-5, atol=1e-5)


def test_folds_on_threads_are_told_to_stop(monkeypatch):
    """As Ctrl-C does, which comes to the caller's thread alone."""
    X, y = TABLES["iris"]
    in_threads = columns.in_threads

    def told(work, n, n_threads, stop):
        stop.set()
        return in_threads(work, n, n_threads, stop)

    monkeypatch.setattr(columns, "in_threads", told)
    with pytest.raises(Stopped):
        cross_validate(LogisticRegression(), X, y, cv=4, error_score="raise")
