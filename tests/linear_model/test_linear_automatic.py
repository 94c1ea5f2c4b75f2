"""What optimizer='auto' and penalty='auto' come to, and what a fit that has not arrived says."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from identifiers import without_address
from sklearn.datasets import load_diabetes, make_classification, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold, cross_val_score

from fasttrain import model_selection, optimizers, persistence, schedules
from fasttrain.callbacks import EarlyStopping, LearningRateScheduler, ModelCheckpoint, ReduceLROnPlateau
from fasttrain.linear_model import LinearClassifier, LinearRegressor
from fasttrain._tables.moments import column_extremes
from fasttrain.linear_model import _scaled
from fasttrain.linear_model._scaled import columns_of, moments_of, units_of

X, Y = make_classification(300, 8, n_informative=5, n_classes=3, random_state=0)
T = X @ np.arange(8.0) + Y
both = pytest.mark.parametrize("cls, y", [(LinearRegressor, T), (LinearClassifier, Y)], ids=["numbers", "classes"])


def took_steps(model):
    """L-BFGS has no learning rate."""
    return bool(np.isfinite(model.history_["learning_rate"]).all())


def quiet(model, X, y, *args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(X, y, *args, **options)


# ---- which optimizer ----


@both
@pytest.mark.parametrize("options, steps", [
    ({}, False), ({"batch_size": "full"}, False), ({"penalty": "l1"}, False), ({"tol": None}, False),
    ({"shuffle": False, "n_iter_no_change": 3}, False), ({"callbacks": lambda epoch, logs: None}, False),
    ({"callbacks": EarlyStopping("loss", patience=50)}, False), ({"schedule": schedules.Constant()}, False),
    ({"batch_size": 50}, True), ({"learning_rate": 0.1}, True), ({"schedule": "cosine"}, True),
    ({"early_stopping": True}, True), ({"callbacks": [LearningRateScheduler(lambda epoch, rate: rate)]}, True),
    ({"callbacks": ReduceLROnPlateau("loss")}, True), ({"optimizer": "lbfgs", "early_stopping": True}, False),
    ({"optimizer": "adam"}, True),
], ids=without_address)
def test_the_optimizer(cls, y, options, steps):
    model = quiet(cls(max_iter=5, random_state=0, **options), X, y)
    assert took_steps(model) == steps


@both
def test_what_partial_fits_and_checkpoints_need(cls, y, tmp_path):
    path = tmp_path / "checkpoint"
    options = {"max_iter": 6, "tol": None, "random_state": 0}
    half = quiet(cls(**{**options, "max_iter": 3}, callbacks=ModelCheckpoint(path)), X, y)
    assert took_steps(half)
    resumed = quiet(cls(**options), X, y, resume_from=path)
    whole = quiet(cls(**options, callbacks=ModelCheckpoint(tmp_path / "other")), X, y)
    assert resumed.coef_.tobytes() == whole.coef_.tobytes()
    part = cls(random_state=0)
    known = {"classes": np.unique(Y)} if cls is LinearClassifier else {}
    again = cls(random_state=0, optimizer="adam").partial_fit(X, y, **known)
    assert part.partial_fit(X, y, **known).coef_.tobytes() == again.coef_.tobytes()
    # L-BFGS leaves a model that goes on by steps
    fitted = cls(random_state=0).fit(X, y)
    before = fitted.n_iter_
    assert fitted.partial_fit(X, y).n_iter_ == before + 1


@both
@pytest.mark.parametrize("options", [{}, {"batch_size": 50, "schedule": "cosine"}, {"batch_size": "full"}], ids=str)
def test_a_rate_that_is_given_is_taken(cls, y, options):
    options = {"learning_rate": 0.05, "max_iter": 5, "tol": None, "random_state": 0, **options}
    automatic, named = cls(**options).fit(X, y), cls(optimizer="adam", **options).fit(X, y)
    assert automatic.coef_.tobytes() == named.coef_.tobytes()
    assert automatic.loss_curve_ == named.loss_curve_


@pytest.mark.parametrize("options", [{"early_stopping": True}, {"batch_size": 32}, {"schedule": "cosine"}], ids=str)
def test_steps_arrive_whatever_the_target_is_counted_in(options):
    data, y = make_regression(600, 10, noise=10, random_state=0)
    for factor, offset in ((1.0, 0.0), (1e5, 5e6), (1e-4, 1.0)):
        model = LinearRegressor(random_state=0, **options)
        found = cross_val_score(model, data, y * factor + offset, cv=KFold(5, shuffle=True, random_state=0))
        assert found.mean() > 0.99
    wide = quiet(LinearRegressor(random_state=0, **options), data * 1e3, y)
    assert wide.score(data * 1e3, y) > 0.99


def test_an_error_of_a_named_optimizer_stays():
    with pytest.raises(ValueError, match="partial_fit needs an optimizer that makes steps"):
        LinearRegressor(optimizer="lbfgs").partial_fit(X, T)
    with pytest.raises(ValueError, match="needs an optimizer that makes steps"):
        LinearRegressor(optimizer="lbfgs", callbacks=ModelCheckpoint("nowhere")).fit(X, T)


# ---- which penalty ----


def test_no_penalty_but_the_automatic_one():
    design = np.column_stack([X, np.ones(len(X))])
    exact = design @ np.linalg.lstsq(design, T, rcond=None)[0]
    for options in ({"optimizer": "lbfgs"}, {"penalty": None}, {"optimizer": optimizers.LBFGS(), "penalty": "none"}):
        model = LinearRegressor(tol=1e-9, **options).fit(X, T)
        np.testing.assert_allclose(model.predict(X), exact, atol=1e-6)
    assert abs(LinearRegressor(tol=1e-9).fit(X, T).predict(X) - exact).max() > 1e-3


@pytest.mark.parametrize("by", [1e-6, 1.0, 1e6])
def test_the_unit_of_a_category_is_its_step(by):
    rng = np.random.default_rng(0)
    rare = (np.arange(200) < 3).astype(float)
    numbers = rng.normal(size=200) * 7
    data = np.column_stack([rare * by, numbers * by])
    y = 10 * rare + numbers + rng.normal(size=200)
    model = LinearRegressor(tol=1e-10).fit(data, y)
    residual = y - model.predict(data)
    # the gradient of the objective that the docstring states
    units = np.array([by, numbers.std() * by])
    gradient = -data.T @ residual / 200 + units**2 * model.coef_ / 200
    assert abs(gradient / units).max() < 1e-6
    assert model.loss_ == pytest.approx((residual**2).mean() / 2 + ((units * model.coef_) ** 2).sum() / 400, rel=1e-9)


@both
def test_weights_are_repeated_rows_and_no_weight_is_no_row(cls, y):
    data = np.column_stack([X, np.arange(300) % 50 == 0])
    weight = np.random.default_rng(0).integers(0, 4, 300).astype(float)
    data[weight == 0, -1] = 0.5
    weighted = cls(tol=1e-9).fit(data, y, weight)
    repeated = cls(tol=1e-9).fit(np.repeat(data, weight.astype(int), axis=0), np.repeat(y, weight.astype(int)))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-5, atol=1e-6)


# ---- units ----


def test_outputs_of_any_size_are_each_as_alone():
    targets = np.column_stack([T, T[::-1] * 1e-6 + 3, np.sin(T) * 1e6])
    together = LinearRegressor(tol=1e-7).fit(X, targets)
    for k in range(3):
        alone = LinearRegressor(tol=1e-7).fit(X, targets[:, k])
        np.testing.assert_allclose(together.coef_[k], alone.coef_, rtol=1e-4, atol=1e-5 * targets[:, k].std())
    residual = targets - together.predict(X)
    penalty = ((together.coef_ * X.std(axis=0)) ** 2).sum() / 600
    assert together.loss_ == pytest.approx((residual**2).mean(axis=0).sum() / 2 + penalty, rel=1e-6)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_columns_that_say_nothing(fit_intercept):
    data = np.column_stack([X, np.zeros(300), np.full(300, 1e6 / 3), X[:, 0]])
    model = LinearRegressor(fit_intercept=fit_intercept).fit(data, T)
    plain = LinearRegressor().fit(X, T)
    assert model.converged_
    assert model.coef_[8] == 0
    np.testing.assert_allclose(model.predict(data), plain.predict(X), atol=0.1)
    if fit_intercept:
        assert model.coef_[9] == 0


def test_a_column_far_from_zero():
    year = 2e9 + np.arange(300.0)
    data = np.column_stack([X, year])
    model = LinearRegressor(tol=1e-8).fit(data, T + 0.1 * year)
    near = LinearRegressor(tol=1e-8).fit(data - 2e9 * (data > 1e9), T + 0.1 * (year - 2e9))
    assert model.coef_[-1] == pytest.approx(near.coef_[-1], rel=1e-5)
    np.testing.assert_allclose(model.predict(data) - 2e8, near.predict(data - 2e9 * (data > 1e9)), atol=1e-4)


@both
@pytest.mark.parametrize("by", [1e-4, 1.0, 1e4])
def test_float32(cls, y, by):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = cls().fit((X * by).astype(np.float32), y)
    exact = cls().fit(X * by, y)
    assert model.coef_.dtype == np.float32
    np.testing.assert_allclose(model.coef_ * by, exact.coef_ * by, atol=5e-3)


@both
def test_a_warm_start_begins_where_the_last_fit_ended(cls, y):
    model = cls(warm_start=True, tol=1e-6).fit(X * 1e3 + 5, y)
    first, loss = model.n_iter_, model.loss_
    model.fit(X * 1e3 + 5, y)
    assert model.n_iter_ <= first + 1
    assert model.loss_ == pytest.approx(loss, rel=1e-9)


def test_callbacks_see_the_model_in_the_units_of_the_data():
    y = T * 1e4 + 1e6
    watch = EarlyStopping("val_loss", patience=2, restore_best_weights=True)
    model = LinearRegressor(callbacks=watch, tol=1e-12)
    model.fit(X[:200] * 1e-3, y[:200], validation_data=(X[200:] * 1e-3, y[200:]))
    residual = y[200:] - model.predict(X[200:] * 1e-3)
    assert min(model.validation_loss_curve_) == pytest.approx((residual**2).mean() / 2, rel=1e-9)


def test_an_interrupted_fit_leaves_the_model_that_was():
    def press(epoch, logs):
        if epoch == 3:
            raise KeyboardInterrupt

    model = LinearRegressor(penalty=None).fit(X, T)
    before = model.coef_.tobytes(), model.loss_, model.n_iter_
    model.set_params(callbacks=press)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X * 1e-3, T * 1e4)
    assert (model.coef_.tobytes(), model.loss_, model.n_iter_) == before


# ---- in batches ----


@both
def test_searches_fit_what_a_fit_alone_does(cls, y):
    splitter = KFold(3, shuffle=True, random_state=0)
    search = model_selection.GridSearchCV(cls(), {"loss": [cls().loss], "max_iter": [50, 60]}, cv=splitter)
    search.fit(X, y)
    alone = [cls(max_iter=50).fit(X[train], y[train]).score(X[test], y[test]) for train, test in splitter.split(X)]
    assert search.cv_results_["mean_test_score"][0] == pytest.approx(np.mean(alone), abs=1e-6)
    rates = {"learning_rate": [0.01, 0.1]}
    race = model_selection.RacingSearchCV(cls(max_iter=9, random_state=0), rates, cv=splitter)
    assert np.isfinite(quiet(race, X, y).best_score_)


# ---- what a fit says ----


def test_a_fit_that_has_arrived_says_why():
    data, y = load_diabetes(return_X_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = LinearRegressor().fit(data, y)
    assert model.converged_
    assert model.stop_reason_ == "no element of the gradient is above tol=0.0001"
    assert model.advice_ is None
    exact = LinearRegressor(tol=None, max_iter=2000).fit(data, y)
    assert exact.stop_reason_ == "the loss no longer moves in its last digits"


@pytest.mark.parametrize("options, reason, advice", [
    ({"max_iter": 2}, "2 iterations where an element of the gradient is", "Raise max_iter (now 2) or tol (now 0.0001)"),
    ({"optimizer": optimizers.LBFGS(max_iter=3, tol=1e-9)}, "3 iterations", "max_iter (now 3) or tol (now 1e-09)"),
    ({"optimizer": optimizers.LBFGS(max_fun=2)}, "max_fun=2 evaluations", "Raise max_fun of LBFGS (now 2)"),
    ({"batch_size": 50, "max_iter": 2}, "n_epochs=2", 'leave out batch_size=50, for which optimizer="auto" is Adam'),
    ({"early_stopping": True, "max_iter": 2}, "n_epochs=2", "leave out early_stopping=True"),
    ({"optimizer": "adam", "max_iter": 2}, "n_epochs=2", 'the learning rate (now 0.01), or scale the features; or take '
     'optimizer="auto"'),
], ids=str)
@both
def test_a_fit_that_has_not_arrived_says_what_to_change(cls, y, options, reason, advice, tmp_path):
    model = cls(random_state=0, **options)
    with pytest.warns(ConvergenceWarning) as caught:
        model.fit(X, y)
    assert not model.converged_
    assert reason in model.stop_reason_
    if cls is LinearClassifier or not took_steps(model):
        assert advice in model.advice_
    (message,) = {str(item.message) for item in caught}
    assert message == f"training ended before the loss settled: {model.stop_reason_}. {model.advice_}."
    persistence.save(model, tmp_path / "model")
    for other in (persistence.load(tmp_path / "model"), pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert (other.stop_reason_, other.advice_) == (model.stop_reason_, model.advice_)


@pytest.mark.parametrize(
    "odd", [None, "zeros and ones", "constant", "nearly constant", "positive", "huge", "wide", "nan"])
def test_units_of_columns_do_not_depend_on_whether_extremes_were_read(odd):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40_000, 30)) * np.logspace(-3, 3, 30)
    X[:, 4] = {
        None: X[:, 4], "zeros and ones": rng.random(len(X)) < 0.1, "constant": -7.0,
        "nearly constant": 1e9 + rng.integers(-1, 2, len(X)) * 1e-7, "positive": rng.exponential(size=len(X)),
        "huge": X[:, 4] * 1e160, "wide": X[:, 4] * 1e152, "nan": np.where(rng.random(len(X)) < 0.1, np.nan, X[:, 4]),
    }[odd]
    for fit_intercept in (True, False):
        known = units_of(*moments_of(X, None), *column_extremes(X), fit_intercept)
        assert [part.tobytes() for part in columns_of(X, None, fit_intercept)] == [part.tobytes() for part in known]


@pytest.mark.parametrize("centred", [True, False])
def test_extremes_are_read_only_where_the_first_rows_leave_a_question(centred, monkeypatch):
    X = np.random.default_rng(0).standard_normal((40_000, 30)) + (0.0 if centred else 20.0)
    read = []
    monkeypatch.setattr(_scaled, "column_extremes", lambda X: read.append(X) or column_extremes(X))
    columns_of(X, None, True)
    assert len(read) == (not centred)
