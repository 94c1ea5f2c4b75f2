"""Searches whose fits are paths, a fold's in one descent: what each fit would give, to tol."""

import warnings

import numpy as np
import pytest
from sklearn import model_selection
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fasttrain._kernels.coordinate import Stop, Stopped
from fasttrain.linear_model import ElasticNet, Lasso, LogisticRegression
from fasttrain.linear_model._proximal import ByColumns, Columns, minimize
from fasttrain.model_selection import GridSearchCV, cross_validate


@pytest.mark.parametrize("options", [
    {}, {"fit_intercept": False}, {"positive": True}, {"precompute": True}, {"max_iter": 3}, {"selection": "random"},
], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_a_search_is_one_descent_a_fold(options, weighted):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((90, 12)) + 1.0
    y = X[:, :4] @ [2.0, -1.0, 0.5, 1.0] + rng.standard_normal(90)
    grid = {"alpha": [0.01, 1.0, 0.1, 0.1, 50.0], "l1_ratio": [0.3, 1.0]}
    model = ElasticNet(tol=1e-11, random_state=0, **options)
    fitted = {"sample_weight": rng.random(90)} if weighted else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [GridSearchCV(model, grid, cv=4, n_jobs=n, return_train_score=True).fit(X, y, **fitted)
                 for n in (1, 2)]
        plain = model_selection.GridSearchCV(model, grid, cv=4, return_train_score=True).fit(X, y, **fitted)
    for name in ("mean_test_score", "split2_test_score", "mean_train_score"):
        np.testing.assert_array_equal(found[0].cv_results_[name], found[1].cv_results_[name])
        np.testing.assert_allclose(found[0].cv_results_[name], plain.cv_results_[name], rtol=1e-7)
    assert found[0].best_params_ == plain.best_params_
    np.testing.assert_array_equal(found[0].best_estimator_.coef_, plain.best_estimator_.coef_)


def test_fits_of_a_search_that_have_not_converged_say_so():
    X = np.random.default_rng(1).standard_normal((60, 5))
    y = X.sum(axis=1)
    with pytest.warns(ConvergenceWarning, match="did not converge"):
        GridSearchCV(Lasso(tol=1e-12, max_iter=1), {"alpha": [1e-3, 1e-2]}, cv=2).fit(X, y)
    with pytest.warns(UserWarning, match="With alpha=0"):
        GridSearchCV(Lasso(), {"alpha": [0.0, 1e-2]}, cv=2).fit(X, y)


def test_a_search_in_a_pipeline_of_two_targets_and_of_bad_rows():
    rng = np.random.default_rng(2)
    X, Y = rng.standard_normal((60, 5)), rng.standard_normal((60, 2))
    grid = {"lasso__alpha": [0.01, 0.1]}
    for y in (Y[:, 0], Y):
        pipeline = make_pipeline(StandardScaler(), Lasso(tol=1e-10))
        ours = GridSearchCV(pipeline, grid, cv=3).fit(X, y)
        theirs = model_selection.GridSearchCV(pipeline, grid, cv=3).fit(X, y)
        np.testing.assert_allclose(
            ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"], rtol=1e-8, atol=1e-9)
    X[3, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        GridSearchCV(Lasso(), {"alpha": [0.01, 0.1]}, cv=3).fit(X, Y[:, 0])


def test_cross_validation_returns_estimators_of_their_own():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((60, 5)).astype(np.float32)
    found = cross_validate(Lasso(0.01), X, X[:, 0], cv=3, return_estimator=True)["estimator"]
    for model, (train, _) in zip(found, model_selection.KFold(3).split(X)):
        alone = Lasso(0.01).fit(X[train], X[train, 0])
        assert model.coef_.dtype == np.float32
        np.testing.assert_allclose(model.coef_, alone.coef_, rtol=1e-5, atol=1e-6)
        assert set(vars(model)) == set(vars(alone))
        assert (type(model.n_iter_), type(model.intercept_)) == (type(alone.n_iter_), type(alone.intercept_))


@pytest.mark.parametrize("settings", [
    {"l1_ratio": 1.0, "solver": "saga"}, {"l1_ratio": 0.5, "solver": "saga", "class_weight": {0: 2.0, 1: 0.5}},
    {"l1_ratio": 1.0, "solver": "saga", "fit_intercept": False}, {"class_weight": "balanced"},
    {"l1_ratio": 0.7, "solver": "saga", "class_weight": "balanced"},
], ids=str)
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_search_over_logistic_regressions(settings, n_classes, weighted):
    rng = np.random.default_rng(4)
    X = rng.standard_normal((150, 8)) + 0.3
    y = np.digitize(X[:, 0] + rng.standard_normal(150), [0.9, 1.4][:n_classes - 1])
    if n_classes > 2 and isinstance(settings.get("class_weight"), dict):
        settings = {**settings, "class_weight": {0: 2.0, 1: 0.5, 2: 1.0}}
    model = LogisticRegression(tol=1e-7, max_iter=2000, **settings)
    fitted = {"sample_weight": rng.random(150)} if weighted else {}
    grid, scoring = {"C": [1.0, 0.05, 20.0]}, "neg_log_loss"
    found = [GridSearchCV(model, grid, cv=3, n_jobs=n, scoring=scoring).fit(X, y, **fitted) for n in (1, 2)]
    plain = model_selection.GridSearchCV(model, grid, cv=3, scoring=scoring).fit(X, y, **fitted)
    for name in ("mean_test_score", "split1_test_score"):
        np.testing.assert_array_equal(found[0].cv_results_[name], found[1].cv_results_[name])
        np.testing.assert_allclose(found[0].cv_results_[name], plain.cv_results_[name], rtol=1e-5)
    assert found[0].best_params_ == plain.best_params_
    np.testing.assert_array_equal(found[0].best_estimator_.coef_, plain.best_estimator_.coef_)


def test_paths_that_are_cut_short_warn():
    rng = np.random.default_rng(5)
    X = rng.standard_normal((90, 6))
    y = X[:, 0] > rng.standard_normal(90)
    model = LogisticRegression(l1_ratio=1.0, solver="saga", max_iter=1)
    with pytest.warns(ConvergenceWarning, match="max_iter was reached"):
        found = cross_validate(model, X, y, cv=3, return_estimator=True)["estimator"]
    assert [model.n_iter_.tolist() for model in found] == [[1]] * 3


def test_interrupts_end_a_path():
    stop = Stop()
    stop.set()
    rng = np.random.default_rng(6)
    model = ByColumns(
        Columns(rng.standard_normal((30, 3))), "binary_crossentropy", np.arange(30.0) % 2, np.full(30, 1 / 30), 0.0,
        True, 1)
    with pytest.raises(Stopped):
        minimize(model, np.zeros(3), np.zeros(1), l1=0.01, tol=1e-8, max_iter=10, stop=stop)
