"""Cross-validation: scikit-learn's, split by split, but for leave-one-out, whose predictions are pooled."""

import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn import metrics
from sklearn import model_selection as peer
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.exceptions import FitFailedWarning
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from fasttrain import model_selection as ours
from fasttrain.linear_model import LinearClassifier, LinearRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 4))
T = X @ [1.0, -1.0, 0.5, 0.0] + RNG.normal(size=24)
Y = (T + RNG.normal(size=24) > 0).astype(int)
LABELS = np.array(["no", "yes"])[Y]
SHUFFLED = peer.StratifiedShuffleSplit(3, test_size=0.4, random_state=1)


def same(a, b, without=("fit_time", "score_time", "estimator")):
    assert set(a) == set(b)
    for name in set(a) - set(without):
        if name == "indices":
            for part in ("train", "test"):
                for one, other in zip(a[name][part], b[name][part]):
                    np.testing.assert_array_equal(one, other)
        else:
            np.testing.assert_array_equal(a[name], b[name])


@pytest.mark.parametrize("estimator, y, scoring", [
    (LinearRegression(), T, None), (LinearRegression(), T, ["r2", "neg_mean_squared_error"]),
    (LogisticRegression(), LABELS, {"a": "accuracy", "auc": metrics.make_scorer(metrics.f1_score, pos_label="yes")}),
    (LinearRegressor(max_iter=5, random_state=0, tol=None), T, "r2"),
    (LinearClassifier(max_iter=5, random_state=0, tol=None), LABELS, ("accuracy", "roc_auc")),
    (make_pipeline(StandardScaler(), LinearClassifier(max_iter=5, random_state=0, tol=None)), Y, "f1"),
], ids=["default", "list", "dict", "regressor", "classifier", "pipeline"])
@pytest.mark.parametrize("cv", [None, 4, peer.KFold(3, shuffle=True, random_state=0), SHUFFLED], ids=str)
def test_folds_of_more_than_a_row_are_scikit_learns(estimator, y, scoring, cv):
    if cv is SHUFFLED and y is T:
        cv = peer.ShuffleSplit(3, random_state=1)
    options = {"scoring": scoring, "cv": cv, "return_train_score": True, "return_indices": True,
               "return_estimator": True}
    same(ours.cross_validate(estimator, X, y, **options), peer.cross_validate(estimator, X, y, **options))
    if not isinstance(scoring, (list, tuple, dict)):
        np.testing.assert_array_equal(
            ours.cross_val_score(estimator, X, y, scoring=scoring, cv=cv),
            peer.cross_val_score(estimator, X, y, scoring=scoring, cv=cv))


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
@pytest.mark.parametrize("cv", [5, peer.LeaveOneOut()], ids=str)
def test_cross_val_predict(method, cv):
    other = LinearSVC() if method == "decision_function" else GaussianNB()
    for estimator in (other, LinearClassifier(max_iter=5, random_state=0, tol=None)):
        found, expected = (
            module.cross_val_predict(estimator, X, LABELS, cv=cv, method=method) for module in (ours, peer))
        if found.dtype.kind == "f" and estimator is not other:
            # full batches are summed in another order
            np.testing.assert_allclose(found, expected, rtol=1e-12)
        else:
            np.testing.assert_array_equal(found, expected)


def test_groups():
    groups = np.repeat(np.arange(8), 3)
    options = {"groups": groups, "cv": peer.LeaveOneGroupOut(), "return_indices": True}
    same(*(module.cross_validate(LinearRegression(), X, T, **options) for module in (ours, peer)))
    # groups of one row are leave-one-out
    single = ours.cross_validate(LinearRegression(), X, T, groups=np.arange(24), cv=peer.LeaveOneGroupOut())
    same(single, ours.cross_validate(LinearRegression(), X, T, cv=peer.LeaveOneOut()))


class Remembering(RegressorMixin, BaseEstimator):
    """Fails when it is fitted twice, or when it was fitted before it was given."""

    def __init__(self, log=None):
        self.log = log

    def fit(self, X, y):
        assert not hasattr(self, "mean_")
        self.mean_ = np.mean(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.mean_)


@pytest.mark.parametrize("cv", [4, peer.LeaveOneOut()], ids=str)
def test_every_fold_has_a_fresh_clone(cv):
    given = Remembering().fit(X, T)
    before = dict(vars(given))
    found = ours.cross_validate(given, X, T, cv=cv, return_estimator=True, error_score="raise")
    assert vars(given) == before
    folds = list(peer.check_cv(cv).split(X))
    assert len({id(model) for model in found["estimator"]}) == len(folds)
    for model, (train, _) in zip(found["estimator"], folds):
        assert model.mean_ == np.mean(T[train])


# ---- leave-one-out ----


def left_out(estimator, y, method="predict"):
    return np.concatenate([
        getattr(clone(estimator).fit(X[train], y[train]), method)(X[test])
        for train, test in peer.LeaveOneOut().split(X)
    ])


@pytest.mark.parametrize("scoring, score", [
    (None, metrics.r2_score), ("r2", metrics.r2_score), ("explained_variance", metrics.explained_variance_score),
    ("neg_median_absolute_error", lambda t, p: -metrics.median_absolute_error(t, p)),
    ("neg_root_mean_squared_error", lambda t, p: -np.sqrt(metrics.mean_squared_error(t, p))),
])
@pytest.mark.parametrize("estimator", [LinearRegression(), LinearRegressor(max_iter=5, random_state=0, tol=None)],
                         ids=["scikit-learn", "ours"])
def test_pooled_regression_scores(estimator, scoring, score):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = ours.cross_val_score(estimator, X, T, scoring=scoring, cv=peer.LeaveOneOut())
    assert found.shape == (24,)
    np.testing.assert_allclose(found, score(T, left_out(estimator, T)), rtol=1e-12)


@pytest.mark.parametrize("estimator", [
    LinearClassifier(max_iter=5, random_state=0, tol=None), LinearSVC(), LinearClassifier("hinge", max_iter=9),
], ids=["LinearClassifier", "LinearSVC", "hinge"])
def test_pooled_classification_scores(estimator):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = ours.cross_validate(
            estimator, X, Y, cv=peer.LeaveOneOut(), scoring=["accuracy", "f1", "roc_auc", "balanced_accuracy"])
        hard, soft = left_out(estimator, Y), left_out(estimator, Y, "decision_function")
    np.testing.assert_allclose(found["test_accuracy"].mean(), metrics.accuracy_score(Y, hard))
    assert set(found["test_accuracy"]) <= {0.0, 1.0}
    np.testing.assert_allclose(found["test_f1"], metrics.f1_score(Y, hard))
    np.testing.assert_allclose(found["test_balanced_accuracy"], metrics.balanced_accuracy_score(Y, hard))
    np.testing.assert_allclose(found["test_roc_auc"], metrics.roc_auc_score(Y, soft))
    names = ["test_accuracy", "test_f1", "test_roc_auc", "test_balanced_accuracy"]
    assert list(found) == ["fit_time", "score_time", *names]


def test_pooled_probabilities():
    model = GaussianNB()
    found = ours.cross_val_score(model, X, LABELS, scoring="neg_log_loss", cv=peer.LeaveOneOut())
    expected = -metrics.log_loss(LABELS, left_out(model, LABELS, "predict_proba"), labels=["no", "yes"])
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("scoring", ["neg_mean_squared_error", "neg_mean_absolute_error"])
def test_means_over_rows_stay_scikit_learns(scoring):
    options = {"scoring": scoring, "cv": peer.LeaveOneOut(), "return_train_score": True}
    same(*(module.cross_validate(LinearRegression(), X, T, **options) for module in (ours, peer)))
    np.testing.assert_array_equal(
        *(module.cross_val_score(GaussianNB(), X, Y, cv=peer.LeaveOneOut()) for module in (ours, peer)))


def test_pooled_with_all_that_can_be_returned():
    scoring = {"squared": "neg_mean_squared_error", "r": "r2"}
    options = {"scoring": scoring, "cv": peer.LeaveOneOut(), "return_train_score": True, "return_estimator": True,
               "return_indices": True}
    found = ours.cross_validate(LinearRegression(), X, T, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = peer.cross_validate(LinearRegression(), X, T, **options)
    pooled = found.pop("test_r")
    del expected["test_r"]
    np.testing.assert_allclose(pooled, metrics.r2_score(T, left_out(LinearRegression(), T)))
    np.testing.assert_allclose(found["train_r"], expected["train_r"])
    same(found, expected, without=("fit_time", "score_time", "estimator", "train_r"))
    for one, other in zip(found["estimator"], expected["estimator"]):
        np.testing.assert_array_equal(one.coef_, other.coef_)


def test_pooled_over_a_shuffled_order_and_two_jobs():
    folds = [(np.delete(np.arange(24), i), np.array([i])) for i in RNG.permutation(24)]
    expected = metrics.r2_score(T, left_out(LinearRegression(), T))
    for n_jobs in (None, 2):
        with joblib.parallel_config(backend="threading"):
            found = ours.cross_val_score(LinearRegression(), X, T, scoring="r2", cv=folds, n_jobs=n_jobs)
        np.testing.assert_allclose(found, expected)


def test_frames_and_lists_of_texts():
    frame = pd.DataFrame(X, columns=list("abcd"), index=np.arange(24)[::-1])
    series = pd.Series(T, index=list(range(24)))
    expected = metrics.r2_score(T, left_out(LinearRegression(), T))
    for cv in (4, peer.LeaveOneOut()):
        found = ours.cross_validate(LinearRegression(), frame, series, cv=cv, return_estimator=True, scoring="r2")
        assert found["estimator"][0].feature_names_in_.tolist() == list("abcd")
    np.testing.assert_allclose(found["test_score"], expected)
    texts = ["good film", "bad film", "good book", "bad book"] * 5
    marks = [1, 0, 1, 0] * 5
    model = make_pipeline(CountVectorizer(), LinearSVC())
    np.testing.assert_array_equal(ours.cross_val_score(model, texts, marks, scoring="f1", cv=peer.LeaveOneOut()), 1.0)


class Failing(LinearRegression):
    """Cannot be fitted without the first row."""

    def fit(self, X_, y):
        if X[0, 0] not in X_:
            raise RuntimeError("the first row is missing")
        return super().fit(X_, y)


@pytest.mark.parametrize("error_score", [np.nan, 0.0, 1.0, -7])
@pytest.mark.parametrize("scoring", ["r2", ["r2", "neg_mean_squared_error"]], ids=str)
def test_error_score(scoring, error_score):
    for cv in (4, peer.LeaveOneOut()):
        with pytest.warns(FitFailedWarning):
            found = ours.cross_validate(
                Failing(), X, T, scoring=scoring, cv=cv, error_score=error_score, return_train_score=True)
        key = "score" if scoring == "r2" else "r2"
        np.testing.assert_equal(found[f"test_{key}"][0], error_score)
        np.testing.assert_equal(found[f"train_{key}"][0], error_score)
        assert np.isfinite(found[f"train_{key}"][1:]).all()
        if cv == 4:
            assert np.isfinite(found[f"test_{key}"][1:]).all()
        else:
            # one prediction is missing, so there is no score of all
            np.testing.assert_equal(found[f"test_{key}"], np.full(24, float(error_score)))
        with pytest.raises(RuntimeError, match="first row"):
            ours.cross_validate(Failing(), X, T, scoring=scoring, cv=cv, error_score="raise")


def test_a_class_that_a_training_part_lacks():
    rare = np.array([2] + [0, 1] * 11 + [0])
    with pytest.raises(ValueError, match="lacks a class"):
        ours.cross_val_score(GaussianNB(), X, rare, scoring="neg_log_loss", cv=peer.LeaveOneOut())


def test_bad_input():
    for cv in (4, peer.LeaveOneOut()):
        with pytest.raises(ValueError, match="nonsense"):
            ours.cross_validate(LinearRegression(), X, T, scoring="nonsense", cv=cv)
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            ours.cross_validate(LinearRegression(), X, T[:-1], cv=cv)
        with pytest.raises(ValueError, match="scoring must be one metric for cross_val_score"):
            ours.cross_val_score(LinearRegression(), X, T, scoring=["r2"], cv=cv)
        with pytest.raises(ValueError, match="one number for cross_val_score"):
            ours.cross_val_score(LinearRegression(), X, T, cv=cv, scoring=lambda model, X, y: {"a": 1.0, "b": 2.0})


OWN = {
    "cross_validate", "cross_val_score", "cross_val_predict", "GridSearchCV", "RandomizedSearchCV", "RacingSearchCV",
    "LinearRegressorCV", "validation_curve", "learning_curve",
}


@pytest.mark.parametrize("name", sorted(set(ours.__all__) - OWN))
def test_splitters_are_scikit_learns(name):
    assert getattr(ours, name) is getattr(peer, name)
