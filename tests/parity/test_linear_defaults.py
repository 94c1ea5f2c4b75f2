"""LinearRegressor() and LinearClassifier() beside Ridge() and LogisticRegression(), and tol beside scikit-learn's."""

import warnings

import numpy as np
import pytest
from sklearn import datasets
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet, Lasso, LogisticRegression, PoissonRegressor, QuantileRegressor, Ridge
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.metrics import log_loss, r2_score
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

from fasttrain.linear_model import LinearClassifier, LinearRegressor
from fasttrain.losses import Quantile

NUMBERS = {
    "diabetes": datasets.load_diabetes(return_X_y=True),
    "regression": datasets.make_regression(600, 20, noise=10, random_state=0),
    "friedman": datasets.make_friedman1(600, random_state=0),
    "several outputs": datasets.make_regression(300, 10, n_targets=3, noise=50, random_state=0),
}
CLASSES = {
    "cancer": datasets.load_breast_cancer(return_X_y=True),
    "iris": datasets.load_iris(return_X_y=True),
    "wine": datasets.load_wine(return_X_y=True),
    "digits": datasets.load_digits(return_X_y=True),
}
POWERS = np.random.default_rng(0).integers(-6, 7, 64)
SCALES = {
    "raw": lambda X: X, "standardised": lambda X: StandardScaler().fit_transform(X), "1e-6": lambda X: X * 1e-6,
    "1e6": lambda X: X * 1e6, "powers": lambda X: X * 10.0 ** POWERS[:X.shape[1]],
}
MARGIN = 0.005
# Raw iris is in centimetres, of which its petals have a spread of 1.8: LogisticRegression() shrinks them less than on
# standardised columns, which there happens to help.
WIDER = {("iris", "raw"): 0.02}

each_scale = pytest.mark.parametrize("scale", SCALES)


def fitted(model, X, y):
    """A peer may say that it has not arrived; ours must have."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if type(model).__module__.startswith("sklearn") else "error", ConvergenceWarning)
        return model.fit(X, y)


def scores(models, X, y, score, splitter):
    """Mean scores over folds, of each model."""
    found = [
        [score(fitted(model, X[train], y[train]), X[test], y[test]) for model in models]
        for train, test in splitter.split(X, y)]
    return np.mean(found, axis=0)


@each_scale
@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_are_predicted_as_well_as_by_ridge(name, scale):
    X, y = NUMBERS[name]
    X = SCALES[scale](X)
    ours, theirs = scores(
        (LinearRegressor(), Ridge()), X, y, lambda model, X, y: r2_score(y, model.predict(X)),
        KFold(5, shuffle=True, random_state=0))
    assert ours > theirs - MARGIN
    if scale == "standardised":
        assert ours == pytest.approx(theirs, abs=MARGIN)


@each_scale
@pytest.mark.parametrize("name", CLASSES)
def test_classes_are_predicted_as_well_as_by_logistic_regression(name, scale):
    X, y = CLASSES[name]
    X = SCALES[scale](X)

    def score(model, X, y):
        return -log_loss(y, model.predict_proba(X), labels=model.classes_)

    ours, theirs = scores(
        (LinearClassifier(), LogisticRegression()), X, y, score,
        StratifiedKFold(5, shuffle=True, random_state=0))
    assert ours > theirs - WIDER.get((name, scale), MARGIN)
    if scale == "standardised":
        assert ours == pytest.approx(theirs, abs=MARGIN)


@pytest.mark.parametrize("cls, data", [
    (LinearRegressor, NUMBERS["diabetes"]), (LinearClassifier, CLASSES["cancer"]), (LinearClassifier, CLASSES["wine"]),
], ids=["diabetes", "cancer", "wine"])
def test_the_units_of_columns_are_of_no_consequence(cls, data):
    X, y = data
    X = np.column_stack([X, X[:, 0] > np.median(X[:, 0])])
    base = cls(tol=1e-7, max_iter=2000).fit(X, y).predict(X)
    for by in (1e-6, 1e6, 10.0 ** POWERS[:X.shape[1]]):
        again = cls(tol=1e-7, max_iter=2000).fit(X * by, y)
        np.testing.assert_allclose(again.predict(X * by), base, rtol=1e-5)


@pytest.mark.parametrize("factor, offset", [(1e-6, 0.0), (1.0, 1e4), (1e6, -1e9)])
def test_the_target_may_have_any_unit(factor, offset):
    X, y = NUMBERS["diabetes"]
    base = LinearRegressor(tol=1e-8).fit(X, y)
    model = fitted(LinearRegressor(), X, y * factor + offset)
    np.testing.assert_allclose((model.predict(X) - offset) / factor, base.predict(X), atol=0.1)
    assert model.loss_ == pytest.approx(base.loss_ * factor**2, rel=1e-5)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_the_coefficients_are_those_of_ridge(fit_intercept, weighted):
    X, y = NUMBERS["several outputs"]
    weight = np.linspace(0, 2, len(X)) if weighted else None
    X = StandardScaler().fit_transform(X, sample_weight=weight) + 0.5
    ours = LinearRegressor(tol=1e-10, fit_intercept=fit_intercept).fit(X, y, weight)
    theirs = Ridge(fit_intercept=fit_intercept, tol=1e-12).fit(X, y, weight)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-8)


@pytest.mark.parametrize("class_weight", [None, {0: 3.0, 1: 0.5}], ids=str)
@pytest.mark.parametrize("name", ["iris", "cancer"])
def test_the_coefficients_are_those_of_logistic_regression(name, class_weight):
    X, y = CLASSES[name]
    weight = np.linspace(0.5, 2, len(X))
    X = StandardScaler().fit_transform(X, sample_weight=weight * compute_sample_weight(class_weight, y))
    ours = LinearClassifier(class_weight=class_weight, tol=1e-9, max_iter=2000).fit(X, y, weight)
    theirs = LogisticRegression(class_weight=class_weight, tol=1e-10, max_iter=10_000).fit(X, y, weight)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=2e-5)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=2e-3)


def test_counts_as_poisson_regressor():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 4))
    y = rng.poisson(np.exp(X @ [0.5, -0.3, 0.0, 0.2] + 1))
    ours = LinearRegressor("poisson", penalty="l2", alpha=0.1, tol=1e-9).fit(X, y)
    theirs = PoissonRegressor(alpha=0.1, tol=1e-9).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-5)
    assert ours.intercept_ == pytest.approx(theirs.intercept_, abs=1e-5)


# ---- L1 ----


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("alpha", [0.1, 1.0, 10.0])
def test_l1_leaves_the_zeros_of_lasso(alpha, scale):
    X, y = datasets.make_regression(300, 40, n_informative=6, noise=10, random_state=0)
    X = X * scale
    ours = LinearRegressor(penalty="l1", alpha=alpha * scale, tol=1e-7, max_iter=2000).fit(X, y)
    theirs = Lasso(alpha=alpha * scale, tol=1e-10, max_iter=100_000).fit(X, y)
    np.testing.assert_allclose(ours.coef_ * scale, theirs.coef_ * scale, atol=1e-3)
    np.testing.assert_array_equal(ours.coef_ == 0, theirs.coef_ == 0)
    assert ours.loss_ == pytest.approx(
        ((y - ours.predict(X)) ** 2).mean() / 2 + alpha * scale * abs(ours.coef_).sum(), rel=1e-9)


def test_elastic_net_by_the_spec_of_lbfgs():
    X, y = NUMBERS["regression"]
    ours = LinearRegressor(optimizer="lbfgs", penalty="elasticnet", alpha=1.0, l1_ratio=0.5, tol=1e-8).fit(X, y)
    theirs = ElasticNet(alpha=1.0, l1_ratio=0.5, tol=1e-10).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-4)


def test_l1_of_several_classes():
    X, y = CLASSES["iris"]
    X = StandardScaler().fit_transform(X)
    ours = LinearClassifier(penalty="l1", alpha=1 / len(X), tol=1e-7, max_iter=5000).fit(X, y)
    theirs = LogisticRegression(l1_ratio=1.0, solver="saga", tol=1e-8, max_iter=100_000).fit(X, y)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-4)
    np.testing.assert_array_equal(ours.coef_ == 0, theirs.coef_ == 0)


# ---- losses with kinks ----


@pytest.mark.parametrize("quantile", [0.5, 0.8])
def test_quantiles_come_near_those_of_linear_programming(quantile):
    X, y = NUMBERS["diabetes"]
    residual = y - QuantileRegressor(quantile=quantile, alpha=0.0).fit(X, y).predict(X)
    lowest = np.maximum(quantile * residual, (quantile - 1) * residual).mean()
    ours = LinearRegressor(Quantile(quantile), penalty=None).fit(X, y)
    assert lowest * (1 - 1e-9) < ours.loss_ < lowest * 1.001


# ---- tol ----


def test_tol_is_the_largest_gradient_as_in_scikit_learn():
    rng = np.random.default_rng(0)
    X = StandardScaler().fit_transform(rng.normal(size=(5_000, 30)) @ rng.normal(size=(30, 30)))
    y = (X @ rng.normal(size=30) + rng.logistic(size=5_000) > 0).astype(int)
    l2, before = 1 / len(X), 0
    for tol in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6):
        model = LinearClassifier(tol=tol, max_iter=1000).fit(X, y)
        gradient = X.T @ (model.predict_proba(X)[:, 1] - y) / len(X) + l2 * model.coef_[0]
        assert abs(gradient).max() <= tol * 1.001
        theirs = int(LogisticRegression(tol=tol, max_iter=1000).fit(X, y).n_iter_[0])
        assert model.n_iter_ == pytest.approx(theirs, abs=2 + theirs // 10)
        assert model.n_iter_ > before
        assert model.stop_reason_ == f"no element of the gradient is above tol={tol:g}"
        before = model.n_iter_


def test_tol_does_not_depend_on_units():
    X, y = NUMBERS["regression"]
    runs = {
        LinearRegressor(penalty=None, tol=1e-6).fit(X * by, y * unit).n_iter_
        for by in (1e-6, 1.0, 1e6) for unit in (1e-6, 1.0, 1e6)}
    assert len(runs) == 1


def test_the_tol_of_a_spec_comes_first():
    from fasttrain.optimizers import LBFGS

    X, y = CLASSES["wine"]
    by_spec = LinearClassifier(optimizer=LBFGS(tol=1e-2)).fit(X, y)
    by_model = LinearClassifier(optimizer="lbfgs", tol=1e-2).fit(X, y)
    finer = LinearClassifier(optimizer=LBFGS(), tol=1e-4).fit(X, y)
    assert by_spec.n_iter_ == by_model.n_iter_ < finer.n_iter_
