"""Models that are minimized over all rows, on sources of blocks: the minimum of arrays, whatever the blocks."""

import warnings
from collections import Counter

import numpy as np
import pytest
from scipy import sparse
from sklearn import linear_model
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from fasttrain import set_num_threads
from fasttrain.callbacks import Callback
from fasttrain.data import from_arrays, from_callable
from fasttrain.linear_model import (
    ElasticNet, GammaRegressor, HuberRegressor, Lasso, LinearRegressor, LinearSVC, LinearSVR, LogisticRegression,
    PoissonRegressor, RidgeClassifier, TweedieRegressor,
)
from fasttrain.optimizers import LBFGS

RNG = np.random.default_rng(0)
N = 1500
X = RNG.standard_normal((N, 6)) * [1, 2, 3, 0.5, 1, 1] + 1
RAW = X @ RNG.standard_normal(6)
RAW += RAW.std() * RNG.standard_normal(N)
THREE = np.array(["low", "mid", "top"])[np.digitize(RAW, np.quantile(RAW, [0.5, 0.8]))]
TWO = RAW > 0
AMOUNTS = np.exp(RAW / 20) * RNG.gamma(2.0, 0.5, N)
COUNTS = RNG.poisson(np.exp(RAW / 20)).astype(float)
W = RNG.random(N) * (RNG.random(N) > 0.1)

SQUARED = {"loss": "squared_epsilon_insensitive"}

MODELS = [
    (LogisticRegression(tol=1e-9, max_iter=3000), THREE),
    (LogisticRegression(tol=1e-9, C=0.1, class_weight="balanced"), TWO),
    (LogisticRegression(tol=1e-9, fit_intercept=False, class_weight={"low": 3.0}), THREE),
    (LogisticRegression(tol=1e-9, C=np.inf, max_iter=3000), TWO),
    (LogisticRegression(tol=1e-6, solver="sag", max_iter=3000), THREE),
    (LogisticRegression(tol=1e-9, solver="newton-cholesky"), TWO),
    (PoissonRegressor(tol=1e-9), COUNTS), (GammaRegressor(tol=1e-9, alpha=0.1), AMOUNTS),
    (TweedieRegressor(power=1.5, tol=1e-9, fit_intercept=False), COUNTS), (TweedieRegressor(tol=1e-9), RAW),
    (TweedieRegressor(power=1.9, solver="newton-cholesky", tol=1e-9), COUNTS),
    (HuberRegressor(tol=1e-8, max_iter=1000), RAW),
    (HuberRegressor(epsilon=1.05, tol=1e-8, max_iter=1000, alpha=2.0), AMOUNTS),
    (HuberRegressor(fit_intercept=False, tol=1e-8, max_iter=1000), RAW),
    (LinearSVC(tol=1e-6), TWO), (LinearSVC(tol=1e-6, class_weight="balanced", max_iter=5000), THREE),
    (LinearSVC(tol=1e-6, C=0.01, intercept_scaling=3.0), THREE), (LinearSVC(tol=1e-6, fit_intercept=False), TWO),
    (LinearSVR(tol=1e-6, **SQUARED), RAW),
    (LinearSVR(tol=1e-6, epsilon=0.5, intercept_scaling=3.0, **SQUARED), AMOUNTS),
    (LinearSVR(tol=1e-6, C=0.01, fit_intercept=False, epsilon=0.2, **SQUARED), RAW),
    (RidgeClassifier(), TWO), (RidgeClassifier(alpha=3.0, class_weight="balanced"), THREE),
    (RidgeClassifier(fit_intercept=False), THREE),
]
every = pytest.mark.parametrize(
    "model, y", MODELS, ids=lambda value: "" if hasattr(value, "shape") else repr(value)[:70])


def fit(model, *data, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return clone(model).fit(*data, **options)


def learnt(model):
    return np.asarray(model.coef_), np.asarray(model.intercept_)


@every
@pytest.mark.parametrize("weights", [None, W], ids=["", "weights"])
def test_the_minimum_is_that_of_all_rows(model, y, weights):
    plain = fit(model, X, y, sample_weight=weights)
    blocks = fit(model, from_arrays(X, y, weights, block_rows=170))
    for a, b in zip(learnt(plain), learnt(blocks), strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)
    assert (getattr(plain, "classes_", np.empty(0)) == getattr(blocks, "classes_", np.empty(0))).all()


@every
def test_no_answer_hangs_on_threads_or_reading_ahead(model, y):
    answers = []
    try:
        for threads, read_ahead in ((1, True), (2, False)):
            set_num_threads(threads)
            answers.append(fit(model, from_arrays(X, y, W, block_rows=440, read_ahead=read_ahead)))
    finally:
        set_num_threads(None)
    assert [a.tobytes() for a in learnt(answers[0])] == [a.tobytes() for a in learnt(answers[1])]
    source = from_arrays(X, y, W, block_rows=440)
    for name in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        if hasattr(model, name):
            np.testing.assert_array_equal(getattr(answers[0], name)(source), getattr(answers[0], name)(X))
    assert answers[0].score(source) == pytest.approx(answers[0].score(X, y, sample_weight=W), rel=1e-12)


@every
def test_one_block_is_what_its_arrays_are(model, y):
    plain, block = fit(model, X, y, sample_weight=W), fit(model, from_arrays([X], [y], [W]))
    assert [a.tobytes() for a in learnt(plain)] == [a.tobytes() for a in learnt(block)]


@pytest.mark.parametrize("model, y", [MODELS[0], MODELS[6], MODELS[11], MODELS[15]], ids=repr)
def test_sparse_blocks(model, y):
    rows = sparse.csr_array(np.where(np.abs(X) > 1.5, X, 0.0))
    plain = fit(model, rows, y)
    blocks = fit(model, from_arrays([rows[:700], rows[700:]], [y[:700], y[700:]]))
    np.testing.assert_allclose(plain.coef_, blocks.coef_, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("model, y", [
    (LogisticRegression(tol=1e-6, warm_start=True), THREE), (PoissonRegressor(tol=1e-6, warm_start=True), COUNTS),
    (HuberRegressor(tol=1e-4, max_iter=1000, warm_start=True), RAW)])
def test_warm_start_begins_at_the_minimum(model, y):
    source = from_arrays(X, y, block_rows=170)
    model = clone(model).fit(source)
    assert model.fit(source).n_iter_ <= 1


def test_the_iterates_are_those_of_arrays():
    plain = LogisticRegression(max_iter=7, tol=0.0)
    blocks = fit(plain, from_arrays(X, TWO, block_rows=170))
    with pytest.warns(ConvergenceWarning, match="lbfgs failed to converge after 7 iteration"):
        plain.fit(X, TWO)
    np.testing.assert_allclose(blocks.coef_, plain.coef_, rtol=1e-10)
    with pytest.warns(ConvergenceWarning, match="lbfgs failed to converge after 7 iteration"):
        clone(plain).fit(from_arrays(X, TWO, block_rows=170))


@pytest.mark.parametrize("weights", [None, W], ids=["", "weights"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_the_scale_and_the_outliers_are_those_of_all_rows(weights, fit_intercept):
    model = HuberRegressor(tol=1e-9, max_iter=3000, fit_intercept=fit_intercept)
    y = RAW + 50.0 * (RNG.random(N) < 0.05)
    plain = fit(model, X, y, sample_weight=weights)
    blocks = fit(model, from_arrays(X, y, weights, block_rows=170))
    np.testing.assert_allclose(blocks.coef_, plain.coef_, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(
        [blocks.intercept_, blocks.scale_], [plain.intercept_, plain.scale_], rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(blocks.outliers_, plain.outliers_)
    assert 0 < plain.outliers_.sum() < N
    stock = linear_model.HuberRegressor(
        tol=1e-9, max_iter=3000, fit_intercept=fit_intercept).fit(X, y, sample_weight=weights)
    np.testing.assert_allclose(blocks.coef_, stock.coef_, rtol=1e-5, atol=1e-5)


def test_too_few_iterations_are_told_of_a_scale_too():
    few = HuberRegressor(max_iter=3)
    with pytest.warns(ConvergenceWarning):
        found = few.fit(from_arrays(X, RAW, block_rows=170))
    assert found.n_iter_ == 3
    plain = fit(few, X, RAW)
    np.testing.assert_allclose(found.coef_, plain.coef_, rtol=1e-10)


@pytest.mark.parametrize("model, y, message", [
    (LogisticRegression(solver="saga", l1_ratio=0.5), TWO, r"l1_ratio must be 0 .* got 0\.5.*LinearClassifier"),
    (LogisticRegression(solver="liblinear"), TWO, "solver must not be 'liblinear'"),
    (LogisticRegression(), np.ones(N), "needs samples of at least 2 classes"),
    (LinearSVC(loss="hinge"), TWO, "loss must be 'squared_hinge'.*got 'hinge'.*SGDClassifier"),
    (LinearSVC(penalty="l1"), TWO, "loss must be 'squared_hinge'.*'l1'"),
    (LinearSVR(), RAW, "loss must be 'squared_epsilon_insensitive'.*got 'epsilon_insensitive'.*SGDRegressor"),
    (RidgeClassifier(solver="lsqr"), TWO, "solver must be 'auto' or 'cholesky'"),
    (PoissonRegressor(), np.where(np.arange(N) == 800, -1.0, COUNTS),
     r"block 4 of the arrays.*out of the valid range of the loss 'poisson'"),
])
def test_what_is_not_possible_is_said(model, y, message):
    with pytest.raises(ValueError, match=message):
        model.fit(from_arrays(X, y, block_rows=170))
    assert not hasattr(model, "coef_")


@pytest.mark.parametrize("model", [
    PoissonRegressor(), PoissonRegressor(solver="newton-cholesky"), HuberRegressor(), LinearSVR(**SQUARED),
], ids=repr)
def test_targets_of_several_columns_are_refused(model):
    """As of arrays; one column is a target."""
    with pytest.raises(ValueError, match=r"block 0 .*y should be a 1d array, got an array of shape \(400, 2\)"):
        clone(model).fit(from_arrays(X, np.column_stack([COUNTS, COUNTS]), block_rows=400))
    one = clone(model).fit(from_arrays(X, COUNTS[:, np.newaxis], block_rows=400))
    np.testing.assert_array_equal(one.coef_, clone(model).fit(from_arrays(X, COUNTS, block_rows=400)).coef_)


@pytest.mark.parametrize("history", [10, 5])
@pytest.mark.parametrize("options", [{}, {"penalty": "l1", "alpha": 0.03}])
def test_losses_are_told_in_the_units_of_several_targets(options, history):
    """Whether anybody watches, for whom the model is made after each iteration, or not."""
    y = np.column_stack([RAW, 40 * AMOUNTS + 100, -0.2 * COUNTS])
    model = LinearRegressor(optimizer=LBFGS(history=history), max_iter=6, tol=None, **options)
    expected = fit(model, X, y).loss_curve_
    for callbacks in ([], [Callback()]):
        found = fit(clone(model).set_params(callbacks=callbacks), from_arrays(X, y, block_rows=400)).loss_curve_
        np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("model", [Lasso(), ElasticNet()])
def test_coordinate_descent_says_what_to_take(model):
    with pytest.raises(TypeError, match=r"got a source of blocks: .*Linear\* with penalty='l1' take a source"):
        model.fit(from_arrays(X, RAW, block_rows=170))


@pytest.mark.parametrize("model, y", [
    (LogisticRegression(), TWO), (PoissonRegressor(), COUNTS), (LinearSVC(), TWO), (LinearSVR(**SQUARED), RAW),
    (HuberRegressor(), RAW)])
def test_weights_of_zero_are_refused_where_they_are_all(model, y):
    with pytest.raises(ValueError, match="sample_weight must have at least one number > 0, got zeros only"):
        model.fit(from_arrays(X, y, np.zeros(N), block_rows=170))


@pytest.mark.parametrize("model", [LogisticRegression(), LinearSVC(), RidgeClassifier()], ids=repr)
def test_classes_that_come_after_the_pass_that_found_them(model):
    passes = Counter()

    def block(i):
        passes[i] += 1
        return X[:300], np.where(TWO[:300], "yes", "new" if passes[1] > 1 else "no")

    source = from_callable(block, n_blocks=2)
    with pytest.raises(ValueError, match=r"y must hold the classes of the pass that found them.*got .*'new'"):
        model.fit(source)
