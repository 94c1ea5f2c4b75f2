"""Ridge, RidgeClassifier and their CV: optimality, solvers, leave-one-out against leaving out, folds."""

import warnings

import numpy as np
import pytest
import sklearn.linear_model as theirs
from scipy import linalg, sparse
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge as StockRidge
from sklearn.model_selection import GridSearchCV, KFold, LeaveOneOut, ShuffleSplit, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline

from fasttrain import model_selection
from fasttrain.linear_model import (
    Ridge, RidgeClassifier, RidgeClassifierCV, RidgeCV, _fold_fits, _leave_one_out, _solvers, _sums,
)
from fasttrain.preprocessing import StandardScaler

ALPHAS = np.geomspace(1e-2, 1e2, 5)
IRIS = load_iris(return_X_y=True)


def data(n=90, p=6, seed=0, targets=None):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * rng.uniform(0.5, 3, p) + rng.standard_normal(p) * 5
    y = X @ rng.standard_normal((p, targets or 1)) + 2 * rng.standard_normal((n, targets or 1))
    return X, y if targets else y[:, 0], rng.random(n) + 0.1


def test_the_condition_of_the_equations_is_looked_at():
    moments = np.ones((2, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(_solvers.by_cholesky(np.diag([1.0, 1e-14]), moments, np.zeros(1)), [[1.0, 1e14]])
    with pytest.warns(linalg.LinAlgWarning):
        _solvers.by_cholesky(np.diag([1.0, 1e-17]), moments, np.zeros(1))
    with pytest.raises(np.linalg.LinAlgError):
        _solvers.by_cholesky(np.diag([1.0, -1.0]), moments, np.zeros(1))


@pytest.mark.parametrize("solver", ["cholesky", "svd", "lsqr", "sparse_cg", "saga"])
@pytest.mark.parametrize("shape", [(90, 6), (20, 45)])
def test_the_gradient_is_zero(shape, solver):
    X, y, weights = data(*shape, targets=2)
    alpha = np.array([0.5, 20.0])
    options = {"max_iter": 100_000, "random_state": 0} if solver == "saga" else {}
    model = Ridge(alpha, solver=solver, tol=1e-9, **options).fit(X, y, weights)
    residual = weights[:, None] * (y - model.predict(X))
    gradient = (X - np.average(X, axis=0, weights=weights)).T @ residual - alpha * model.coef_.T
    assert np.abs(gradient).max() < 1e-5 * np.abs(X.T @ y).max()
    assert model.solver_ == solver
    assert (model.n_iter_ is None) == (solver not in ("lsqr", "saga"))


@pytest.mark.parametrize("shape", [(90, 6), (20, 45)])
def test_positive_coefficients_are_optimal(shape):
    X, y, weights = data(*shape)
    model = Ridge(0.5, positive=True, tol=1e-12).fit(X, y, weights)
    peer = StockRidge(0.5, positive=True, tol=1e-12).fit(X, y, weights)
    value, expected = (
        np.sum(weights * (y - one.predict(X)) ** 2) + 0.5 * np.sum(one.coef_**2) for one in (model, peer))
    assert (model.coef_ >= 0).all()
    assert (model.coef_ == 0).any()
    assert model.solver_ == "lbfgs"
    assert value <= expected * (1 + 1e-6)
    with pytest.warns(ConvergenceWarning, match="lbfgs solver did not converge"):
        Ridge(positive=True, max_iter=1, tol=1e-12).fit(X, y)


@pytest.mark.parametrize("solver", ["lsqr", "sag", "saga"])
def test_iterations_are_scikit_learns(solver):
    X, y, weights = data(targets=3)
    for fit_intercept in (True, False):
        ours, peer = (
            cls(solver=solver, fit_intercept=fit_intercept, tol=1e-4, random_state=0, max_iter=5000).fit(X, y, weights)
            for cls in (Ridge, StockRidge))
        np.testing.assert_array_equal(ours.n_iter_, peer.n_iter_)
        np.testing.assert_allclose(ours.coef_, peer.coef_, rtol=1e-5, atol=1e-8)


def test_a_singular_matrix_goes_by_svd():
    X, y, _ = data()
    X = np.c_[X, np.zeros(len(X))]
    ours, peer = Ridge(0.0).fit(X, y), StockRidge(0.0, solver="svd").fit(X, y)
    assert ours.solver_ == "svd"
    np.testing.assert_allclose(ours.coef_, peer.coef_, rtol=1e-9, atol=1e-12)
    assert ours.coef_[-1] == 0


def test_a_singular_dual_is_warned_of():
    X, y, _ = data(20, 45)
    X, y = np.r_[X, X[:3]], np.r_[y, y[:3]]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ours = Ridge(0.0, fit_intercept=False).fit(X, y)
    assert caught
    np.testing.assert_allclose(ours.predict(X), y, rtol=1e-5)


def test_constant_columns_have_no_coefficient():
    X, y, _ = data()
    X[:, 2] = 0.1
    assert Ridge(1e-12).fit(X, y).coef_[2] == 0
    assert abs(RidgeCV().fit(X, y).coef_[2]) < 1e-12


def test_a_wide_sparse_matrix_is_only_multiplied_with():
    rng = np.random.default_rng(0)
    X = sparse.random_array((60, 5000), density=0.02, format="csr", rng=rng)
    y = X @ rng.standard_normal(5000)
    for solver in ("sparse_cg", "lsqr"):
        ours, peer = (cls(solver=solver, tol=1e-10).fit(X, y) for cls in (Ridge, StockRidge))
        np.testing.assert_allclose(ours.coef_, peer.coef_, rtol=1e-6, atol=1e-10)


# ---- classes ----


@pytest.mark.parametrize("options", [
    {}, {"class_weight": "balanced"}, {"class_weight": {"b": 3.0}}, {"solver": "svd"}, {"fit_intercept": False}])
@pytest.mark.parametrize("names", ["ab", "abc"])
def test_classes(names, options):
    X, y, weights = data()
    labels = np.array(list(names))[np.digitize(y, np.quantile(y, [0.4, 0.7])) % len(names)]
    ours = RidgeClassifier(**options).fit(X, labels, weights)
    peer = theirs.RidgeClassifier(**options).fit(X, labels, weights)
    assert ours.classes_.tolist() == list(names)
    assert ours.coef_.shape == peer.coef_.shape
    np.testing.assert_allclose(ours.coef_, peer.coef_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(ours.decision_function(X), peer.decision_function(X), rtol=1e-8, atol=1e-10)
    assert ours.predict(X).tolist() == peer.predict(X).tolist()


def test_several_labels_and_one_class():
    X, y, _ = data()
    labels = (X[:, :3] > np.median(X[:, :3], axis=0)).astype(int)
    for cls in (RidgeClassifier, RidgeClassifierCV):
        ours, peer = cls().fit(X, labels), getattr(theirs, cls.__name__)().fit(X, labels)
        np.testing.assert_array_equal(ours.predict(X), peer.predict(X))
        assert ours.classes_.tolist() == peer.classes_.tolist()
    assert set(RidgeClassifier().fit(X, np.full(len(X), "only")).predict(X)) == {"only"}
    with pytest.raises(ValueError, match="0 and 1"):
        RidgeClassifier().fit(X, labels + np.arange(3))
    with pytest.raises(ValueError, match="class_weight must hold numbers >= 0"):
        RidgeClassifier(class_weight={0: 0.0, 1: 0.0}).fit(X, labels[:, 0])


# ---- leave-one-out ----


@pytest.mark.parametrize("mode", ["eigen", "svd"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("shape", [(40, 6), (20, 20), (15, 40), (16, 40)])
def test_leave_one_out_is_leaving_one_out(shape, fit_intercept, mode, monkeypatch):
    monkeypatch.setattr(_leave_one_out, "row_slices", lambda X: [slice(0, 7), slice(7, len(X))])
    X, y, _ = data(*shape, targets=2)
    if shape == (16, 40):
        X[1] = X[0]
    model = RidgeCV(
        ALPHAS, fit_intercept=fit_intercept, store_cv_results=True, gcv_mode=mode).fit(X, y)
    scores = []
    for i, alpha in enumerate(ALPHAS):
        left_out = cross_val_predict(StockRidge(alpha, fit_intercept=fit_intercept), X, y, cv=LeaveOneOut())
        np.testing.assert_allclose(model.cv_results_[:, :, i], (y - left_out) ** 2, rtol=1e-6, atol=1e-8)
        scores.append(-np.mean((y - left_out) ** 2))
    assert model.alpha_ == ALPHAS[int(np.argmax(scores))]
    assert model.best_score_ == pytest.approx(max(scores), rel=1e-7)
    final = StockRidge(model.alpha_, fit_intercept=fit_intercept).fit(X, y)
    np.testing.assert_allclose(model.coef_, final.coef_, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(model.intercept_, final.intercept_, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("options", [
    {}, {"alpha_per_target": True}, {"scoring": "neg_mean_absolute_error", "store_cv_results": True},
    {"alpha_per_target": True, "scoring": "r2"}], ids=str)
@pytest.mark.parametrize("shape", [(60, 6), (20, 30)])
def test_leave_one_out_with_weights_and_scores(shape, options):
    X, y, weights = data(*shape, targets=3)
    ours, peer = (module(ALPHAS, **options).fit(X, y, sample_weight=weights) for module in (RidgeCV, theirs.RidgeCV))
    np.testing.assert_array_equal(ours.alpha_, peer.alpha_)
    for name in ("coef_", "intercept_", "best_score_", "cv_results_"):
        if hasattr(peer, name):
            np.testing.assert_allclose(getattr(ours, name), getattr(peer, name), rtol=1e-7, atol=1e-9)


def test_leave_one_out_of_two_classes_is_scored_by_what_is_predicted():
    """scikit-learn 1.9 gives each strength the accuracy 1."""
    X, y = IRIS[0][::3], (IRIS[1][::3] == 1).astype(int)
    model = RidgeClassifierCV([0.1, 1000.0], scoring="accuracy").fit(X, y)
    scores = [cross_val_score(theirs.RidgeClassifier(alpha), X, y, cv=LeaveOneOut()).mean() for alpha in model.alphas]
    assert model.best_score_ == pytest.approx(max(scores))
    assert max(scores) < 1
    assert model.alpha_ == model.alphas[int(np.argmax(scores))]


# ---- folds ----


@pytest.mark.parametrize("cv", [3, KFold(4, shuffle=True, random_state=0), ShuffleSplit(3, random_state=0)], ids=str)
@pytest.mark.parametrize("scoring", [None, "neg_mean_squared_error"])
def test_folds(cv, scoring):
    X, y, weights = data(targets=2)
    for w in (None, weights):
        ours, peer = (
            module(ALPHAS, cv=cv, scoring=scoring).fit(X, y, sample_weight=w) for module in (RidgeCV, theirs.RidgeCV))
        assert ours.alpha_ == peer.alpha_
        np.testing.assert_allclose(ours.best_score_, peer.best_score_, rtol=1e-9)
        np.testing.assert_allclose(ours.coef_, peer.coef_, rtol=1e-9)
    ours, peer = (module(ALPHAS, cv=3).fit(*IRIS) for module in (RidgeClassifierCV, theirs.RidgeClassifierCV))
    assert ours.alpha_ == peer.alpha_
    assert ours.best_score_ == peer.best_score_


def test_the_sums_of_folds_lose_nothing(monkeypatch):
    """Far from zero and sorted: each fold's own mean is far from the others', and no sum is subtracted from another."""
    X, y, _ = data(300)
    X = X + 1e7 + np.linspace(0, 1e3, 300)[:, None]
    targets, y_mean = _sums.targets_of(y, float, None, True)
    folds = list(KFold(5).split(X))
    sums = _sums.FoldSums(X, targets, y_mean, None, folds, True)
    for fold, (train, _) in enumerate(folds):
        found = sums.equations(fold)
        centred = X[train].astype(np.longdouble) - X[train].astype(np.longdouble).mean(axis=0)
        expected = (centred.T @ centred).astype(float)
        np.testing.assert_allclose(found.gram, expected, rtol=1e-10)
        np.testing.assert_allclose(found.x_mean, X[train].mean(axis=0), rtol=1e-15)


CANDIDATES = {"alpha": [0.1, 1.0, 10.0], "fit_intercept": [True, False]}


@pytest.mark.parametrize("cv", [4, LeaveOneOut(), ShuffleSplit(3, random_state=0)], ids=str)
@pytest.mark.parametrize("case", ["numbers", "several", "weights", "classes", "scaled"])
def test_a_grid_is_solved_from_sums(case, cv, monkeypatch):
    X, y, weights = data(40, targets=2 if case == "several" else None)
    grid, options, scoring = CANDIDATES, {}, "neg_mean_squared_error"
    ours, peer = Ridge(), StockRidge()
    if case == "classes":
        y, scoring = np.digitize(y, np.quantile(y, [0.3])), None
        ours, peer = RidgeClassifier(), theirs.RidgeClassifier()
    elif case == "weights":
        options = {"sample_weight": weights}
    elif case == "scaled":
        grid = {f"ridge__{name}": values for name, values in grid.items()}
        ours, peer = make_pipeline(StandardScaler(), ours), make_pipeline(StandardScaler(), peer)
    fits = []
    inner = _fold_fits.SumsData.fit
    monkeypatch.setattr(
        _fold_fits.SumsData, "fit", lambda self, model, fold: fits.append(inner(self, model, fold)) or fits[-1])
    found = model_selection.GridSearchCV(ours, grid, cv=cv, scoring=scoring).fit(X, y, **options)
    expected = GridSearchCV(peer, grid, cv=cv, scoring=scoring).fit(X, y, **options)
    assert fits == [True] * 6 * found.n_splits_
    np.testing.assert_allclose(
        found.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"], rtol=1e-9)
    assert found.best_params_ == expected.best_params_
    np.testing.assert_allclose(found.predict(X), expected.predict(X), rtol=1e-9)


def test_what_sums_are_no_help_for_is_fitted():
    X, y, _ = data(30, 26)
    for model in (Ridge(solver="lsqr"), Ridge(positive=True), Ridge(), RidgeCV()):
        scores = model_selection.cross_val_score(model, X, y, cv=5)
        peer = getattr(theirs, type(model).__name__)(**model.get_params())
        np.testing.assert_allclose(scores, cross_val_score(peer, X, y, cv=5), rtol=1e-3, atol=1e-3)
    X[3, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        model_selection.cross_val_score(Ridge(), X, y, cv=2, error_score="raise")


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_rows_of_one_class_are_predicted_as_it(fit_intercept):
    rows = np.random.default_rng(0).normal(size=(20, 3))
    model = RidgeClassifier(fit_intercept=fit_intercept).fit(rows, np.full(20, "oak"))
    assert model.predict(rows).tolist() == ["oak"] * 20
