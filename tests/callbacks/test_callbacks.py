"""The callbacks on every face: when they act, what they leave, and what they ask of the training."""

import copy
import csv
import math
import pickle
import warnings

import numpy as np
import pytest
import scipy.optimize
from sklearn.base import clone

from fasttrain import schedules, training
from fasttrain.callbacks import (
    Callback, CSVLogger, EarlyStopping, LearningRateScheduler, ReduceLROnPlateau, TerminateOnNaN, as_callbacks,
)
from fasttrain.descent import minimize
from fasttrain.layers import Dense
from fasttrain.linear_model import LinearClassifier, LinearRegressor
from fasttrain.models import Sequential
from fasttrain.neural_network import MLPClassifier, MLPRegressor
from fasttrain.optimizers import LBFGS
from fasttrain.training import lbfgs

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 4))
Y = X @ [1.0, -2.0, 0.5, 0.0] + 0.1 * RNG.standard_normal(60)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Losses(Callback):
    """Reports the numbers it is given in place of the training's own, to the callbacks after it."""

    def __init__(self, *callbacks, numbers, name="loss"):
        self.callbacks, self.numbers, self.name = callbacks, numbers, name

    def _each(self, method, *args):
        for callback in self.callbacks:
            callback.training = self.training
        answers = [getattr(callback, method)(*args) for callback in self.callbacks]
        return any(answers)

    def on_train_begin(self, n_epochs):
        self._each("on_train_begin", n_epochs)

    def on_epoch_begin(self, epoch):
        self._each("on_epoch_begin", epoch)

    def on_epoch_end(self, epoch, logs):
        return self._each("on_epoch_end", epoch, {**logs, self.name: self.numbers[epoch - 1]})

    def on_train_end(self, history):
        self._each("on_train_end", history)


def faces(callbacks, n_epochs):
    """Epochs run, and the weights left, by each face."""
    found = minimize(X, Y, n_iter=n_epochs, learning_rate=0.01, callback=callbacks)
    yield "minimize", found.n_iter, found.coef
    for cls in (LinearRegressor, LinearClassifier):
        y = Y if cls is LinearRegressor else (Y > 0).astype(int)
        model = cls(max_iter=n_epochs, tol=None, callbacks=callbacks, random_state=0).fit(X, y)
        yield cls.__name__, model.n_iter_, model.coef_
    for cls in (MLPRegressor, MLPClassifier):
        y = Y if cls is MLPRegressor else (Y > 0).astype(int)
        model = cls(hidden_layer_sizes=(5,), max_iter=n_epochs, tol=0.0, callbacks=callbacks, random_state=0).fit(X, y)
        yield cls.__name__, model.n_iter_, np.concatenate([c.ravel() for c in model.coefs_])
    model = Sequential([Dense(1, input_dim=4)])
    model.compile("sgd", "mse")
    history = model.fit(X, Y, epochs=n_epochs, callbacks=as_callbacks(callbacks), verbose=0)
    yield "Sequential", len(history.history["loss"]), model.get_weights()[0]


def run(callbacks, n_epochs, **options):
    """A training of the engine on its own, and what it left."""
    seen = Seen()
    found = minimize(X, Y, n_iter=n_epochs, callback=[callbacks, seen], **{"learning_rate": 0.01, **options})
    return found, seen


class Seen(Callback):
    """What each epoch began and ended with."""

    def __init__(self):
        self.rates, self.parameters, self.begun, self.logs = [], [], [], []

    def on_epoch_begin(self, epoch):
        self.begun.append(epoch)

    def on_epoch_end(self, epoch, logs):
        self.logs.append(logs)
        self.rates.append(logs["learning_rate"])
        self.parameters.append(self.training.get_layers())


# ---- EarlyStopping ----


@pytest.mark.parametrize(("options", "numbers", "stops", "best"), [
    # Keras: patience 0 ends with the first epoch that is no better, but never with the first
    ({}, [3, 2, 2, 1], 3, 2),
    ({"patience": 2}, [3, 2, 2, 2, 1], 4, 2),
    ({"patience": 2}, [3, 2, 2, 1, 1, 1], 6, 4),
    # better by exactly min_delta is not better; min_delta has no sign
    ({"min_delta": 1}, [3, 2, 0], 2, 1),
    ({"min_delta": -1, "patience": 2}, [3, 2, 1.5, 1, 1], 5, 3),
    ({"mode": "max"}, [1, 2, 2], 3, 2),
    ({"mode": "max", "min_delta": 0.5, "patience": 1}, [1, 1.6, 2.0], 3, 2),
    # the wait only ends with an improvement that beats the baseline too
    ({"baseline": 1.5, "patience": 2}, [4, 3, 2], None, 3),
    ({"baseline": 1.5, "patience": 2}, [4, 3, 3.5], 3, 2),
    ({"baseline": 1.5, "patience": 2}, [4, 1, 2, 3], 4, 2),
    ({"start_from_epoch": 3}, [1, 5, 5, 4, 3, 3], 6, 5),
    ({"patience": 1}, [math.nan, math.nan, math.nan], 2, 0),
])
def test_early_stopping_by_the_numbers(options, numbers, stops, best):
    callback = EarlyStopping("loss", **options)
    found, _ = run(Losses(callback, numbers=numbers), len(numbers))
    assert found.n_iter == (len(numbers) if stops is None else stops)
    assert callback.stopped_epoch == (stops or 0)
    assert callback.best_epoch == best
    assert found.converged == (stops is not None)


@pytest.mark.parametrize("name", ["accuracy", "val_accuracy", "validation_score", "val_auc", "val_precision_1"])
def test_auto_takes_the_highest_of_scores(name):
    callback = EarlyStopping(name)
    run(Losses(callback, numbers=[1, 2, 3, 2, 5], name=name), 5)
    assert callback.stopped_epoch == 4


@pytest.mark.parametrize("monitor", ["val_loss", "validation_loss"])
def test_both_names_of_the_validation_loss(monitor):
    callback = EarlyStopping(monitor, patience=1)
    model = LinearRegressor(max_iter=30, tol=None, learning_rate=1.0, callbacks=callback, random_state=0)
    model.fit(X[:40], Y[:40], validation_data=(X[40:], Y[40:]))
    assert callback.stopped_epoch == model.n_iter_ < 30
    assert callback.best == min(model.validation_loss_curve_[:-1])


def test_what_is_watched_but_absent_is_a_warning():
    with pytest.warns(UserWarning, match="EarlyStopping watches 'val_loss'.*reports loss, learning_rate"):
        found, _ = run(EarlyStopping(), 4)
    assert found.n_iter == 4


def test_best_weights_come_back_on_every_face():
    numbers = [5, 1, 2, 3, 4, 5]
    for restore in (True, False):
        callback = EarlyStopping("loss", patience=2, restore_best_weights=restore)
        kept = Seen()
        for name, n_epochs, weights in faces([Losses(callback, numbers=numbers), kept], 6):
            assert n_epochs == 4, name
            best, last = (np.concatenate([c.ravel() for c in layers[0]]) for layers in kept.parameters[-3:][::2])
            np.testing.assert_array_equal(np.ravel(weights), best if restore else last, err_msg=name)
            assert not np.array_equal(best, last)


def test_best_weights_come_back_without_an_early_stop_and_after_ctrl_c():
    for last in (None, KeyboardInterrupt):
        callback = EarlyStopping("loss", patience=9, restore_best_weights=True)
        seen = Seen()

        def press(epoch, logs, last=last):
            if last and epoch == 4:
                raise last

        model = MLPRegressor(
            hidden_layer_sizes=(3,), max_iter=4, tol=0.0, n_iter_no_change=9, random_state=0,
            callbacks=[Losses(callback, numbers=[2, 1, 3, 3]), seen, press])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(X, Y)
        np.testing.assert_array_equal(model.coefs_[0], seen.parameters[1][0][0])


def test_best_weights_of_lbfgs():
    callback = EarlyStopping("loss", restore_best_weights=True, patience=1)
    model = LinearRegressor(optimizer="lbfgs", callbacks=Losses(callback, numbers=[2, 3, 4]), max_iter=3)
    kept = Seen()
    model.set_params(callbacks=[model.callbacks, kept]).fit(X, (Y > 0) * 1.0)
    np.testing.assert_array_equal(model.coef_, kept.parameters[0][0][0][:, 0])


# ---- the learning rate ----


def test_a_plateau_cuts_the_rate():
    callback = ReduceLROnPlateau("loss", factor=0.5, patience=2, min_lr=0.003)
    _, seen = run(Losses(callback, numbers=[1.0] * 9), 9)
    assert seen.rates == [0.01, 0.01, 0.01, 0.005, 0.005, 0.003, 0.003, 0.003, 0.003]


def test_a_cooldown_counts_nothing():
    callback = ReduceLROnPlateau("loss", factor=0.5, patience=1, cooldown=2)
    _, seen = run(Losses(callback, numbers=[1.0] * 8), 8)
    # Keras: the epoch in which the cooldown runs out counts again
    assert seen.rates == [0.01, 0.01, 0.005, 0.005, 0.0025, 0.0025, 0.00125, 0.00125]


def test_a_smaller_gain_than_min_delta_is_none():
    callback = ReduceLROnPlateau("loss", factor=0.1, patience=1)
    _, seen = run(Losses(callback, numbers=[1.0, 0.99995, 0.5, 0.4]), 4)
    np.testing.assert_allclose(seen.rates, [0.01, 0.01, 0.001, 0.001], rtol=1e-15)


@pytest.mark.parametrize("schedule", [
    lambda epoch, lr: lr if epoch < 2 else lr * 0.5, lambda epoch: [0.01, 0.01, 0.005, 0.0025][epoch],
])
def test_a_scheduler_is_asked_from_epoch_0(schedule):
    _, seen = run(LearningRateScheduler(schedule), 4)
    assert seen.rates == [0.01, 0.01, 0.005, 0.0025]
    assert seen.begun == [1, 2, 3, 4]


def test_the_rate_that_is_set_is_the_rate_that_steps():
    """Against plain descent at the rates that were asked for."""
    asked = [0.1, 0.03, 0.07]
    found, _ = run(LearningRateScheduler(lambda epoch: asked[epoch]), 3, loss="half_squared_error")
    theta = np.zeros(4)
    for rate in asked:
        theta -= rate * X.T @ (X @ theta - Y) / len(X)
    np.testing.assert_allclose(found.coef, theta, rtol=1e-12)


def test_the_factor_stays_on_a_schedule():
    plain, scaled = (run(c, 6, schedule="cosine", batch_size=20, random_state=0)[1].rates for c in (
        Callback(), LearningRateScheduler(lambda epoch, lr: lr / 2 if epoch == 2 else lr)))
    np.testing.assert_allclose(scaled[:2], plain[:2], rtol=1e-15)
    np.testing.assert_allclose(scaled[2:], np.array(plain[2:]) / 2, rtol=1e-14)


@pytest.mark.parametrize("options", [{"learning_rate": "invscaling"}, {"learning_rate": "adaptive", "tol": 10.0}])
def test_the_factor_stays_on_a_perceptron_own_rates(options):
    histories = []
    for factor in (1.0, 0.25):
        seen = Seen()
        scheduler = LearningRateScheduler(lambda epoch, lr, factor=factor: lr * factor if epoch == 1 else lr)
        model = MLPRegressor(
            hidden_layer_sizes=(3,), solver="sgd", max_iter=8, n_iter_no_change=1, callbacks=[scheduler, seen],
            random_state=0, **options)
        model.fit(X, Y)
        histories.append(np.array(seen.rates))
    assert len(set(histories[0].round(12))) > 1
    np.testing.assert_allclose(histories[1], histories[0] * np.where(np.arange(8) < 1, 1, 0.25)[:len(histories[0])])


@pytest.mark.parametrize(("value", "error"), [(-1.0, ValueError), ("fast", TypeError), (math.nan, ValueError)])
def test_a_rate_that_is_none_is_named(value, error):
    with pytest.raises(error, match="learning rate that schedule returned must be a finite number >= 0"):
        run(LearningRateScheduler(lambda epoch: value), 2)


def test_lbfgs_has_no_rate():
    class Sets(Callback):
        def on_epoch_end(self, epoch, logs):
            assert math.isnan(self.training.learning_rate)
            self.training.learning_rate = 0.1

    with pytest.raises(ValueError, match="LBFGS has no learning rate"):
        minimize(X, Y, optimizer="lbfgs", callback=Sets())


# ---- the handle ----


def test_stop_ends_every_face():
    class Stops(Callback):
        def on_epoch_end(self, epoch, logs):
            self.training.stop = epoch == 2

    assert [n for _, n, _ in faces(Stops(), 5)] == [2] * 6
    assert minimize(X, Y, optimizer="lbfgs", callback=Stops()).n_iter == 2


def test_layers_can_be_read_and_set():
    class Sets(Callback):
        def on_train_begin(self, n_epochs):
            coefs, intercepts = self.training.get_layers()
            with pytest.raises(ValueError, match="coefs must have the shapes"):
                self.training.set_layers([coefs[0].T], intercepts)
            self.training.set_layers([np.full_like(coefs[0], 7.0)], intercepts)

    found = minimize(X, Y, n_iter=1, learning_rate=1e-9, callback=Sets())
    np.testing.assert_allclose(found.coef, 7.0, rtol=1e-6)


@pytest.mark.parametrize("made", [
    EarlyStopping("loss", restore_best_weights=True), ReduceLROnPlateau("loss"), TerminateOnNaN(), CSVLogger("x.csv"),
])
def test_callbacks_hold_nothing_after_a_fit(made, tmp_path):
    if isinstance(made, CSVLogger):
        made = CSVLogger(tmp_path / "log.csv")
    model = LinearRegressor(max_iter=3, tol=None, callbacks=[made]).fit(X, Y)
    assert made.training is None
    again = pickle.loads(pickle.dumps(copy.deepcopy(clone(model)))).fit(X, Y)
    assert again.n_iter_ >= 2


def test_a_callback_serves_one_fit_after_the_other():
    callback = EarlyStopping("loss")
    for _ in range(2):
        found, _ = run(Losses(callback, numbers=[3, 2, 2, 1]), 4)
        assert found.n_iter == 3


@pytest.mark.parametrize(("make", "error", "match"), [
    (lambda: EarlyStopping(3), TypeError, "monitor must be"),
    (lambda: EarlyStopping(mode="lowest"), ValueError, "mode must be"),
    (lambda: EarlyStopping(patience=-1), ValueError, "patience must be"),
    (lambda: EarlyStopping(baseline="low"), TypeError, "baseline must be"),
    (lambda: ReduceLROnPlateau(factor=1.0), ValueError, "factor must be .*< 1"),
    (lambda: ReduceLROnPlateau(min_lr=-1), ValueError, "min_lr must be"),
    (lambda: LearningRateScheduler(0.1), TypeError, "schedule must be a function"),
    (lambda: CSVLogger("x", separator="--"), ValueError, "separator must be one character"),
])
def test_bad_arguments_are_named(make, error, match):
    with pytest.raises(error, match=match):
        make()


# ---- files ----


def test_csv_rows_are_the_logs(tmp_path):
    path = tmp_path / "log.csv"
    for append, wanted in ((False, 3), (True, 6), (False, 3)):
        model = LinearRegressor(max_iter=3, tol=None, callbacks=CSVLogger(path, ";", append), random_state=0)
        model.fit(X[:40], Y[:40], validation_data=(X[40:], Y[40:]))
        with open(path, newline="") as file:
            rows = list(csv.DictReader(file, delimiter=";"))
        assert list(rows[0]) == ["epoch", "learning_rate", "loss", "validation_loss"]
        assert len(rows) == wanted
        assert [int(row["epoch"]) for row in rows[-3:]] == [0, 1, 2]
        assert [float(row["loss"]) for row in rows[-3:]] == model.loss_curve_
        assert [float(row["validation_loss"]) for row in rows[-3:]] == model.validation_loss_curve_


# ---- divergence ----


@pytest.mark.parametrize("late", [False, True])
def test_terminate_on_nan_leaves_the_last_finite_weights(late):
    seen = Seen()
    rate = LearningRateScheduler(lambda epoch: 1e-3 if late and epoch < 3 else 1e200)
    with pytest.warns(RuntimeWarning, match=r"stopped being finite in epoch \d+"):
        found = minimize(X, Y, n_iter=9, callback=[rate, seen, TerminateOnNaN()])
    assert (3 if late else 0) < len(seen.logs) < 9
    assert found.n_iter == len(seen.logs)
    np.testing.assert_array_equal(found.coef, seen.parameters[-1][0][0][:, 0])
    assert np.isfinite(found.coef).all()


def test_divergence_names_epoch_weight_and_remedy():
    with pytest.raises(training.DivergenceError) as error:
        minimize(X, Y, n_iter=99, learning_rate=1e150)
    text = str(error.value)
    assert "in epoch" in text
    assert "largest weight: " in text
    assert float(text.split("largest weight: ")[1].split(")")[0].split(",")[0]) > 1e100
    for remedy in ("StandardScaler", "learning rate (now 1e+150)", "clip_norm"):
        assert remedy in text


def test_divergence_of_lbfgs_names_them_too(monkeypatch):
    class RunsAway:
        n_iter = 0

        def __init__(self, start, *settings):
            self.x, self.gradient = start.copy(), np.zeros_like(start)

        @property
        def iterate(self):
            return self.x, np.inf, self.gradient

        def advance(self, value):
            self.x[:3] = 3.0, -7e5, np.nan
            return lbfgs.REASONS.index("not_finite")

    monkeypatch.setattr(lbfgs, "Minimizer", RunsAway)
    with pytest.raises(training.DivergenceError, match=r"largest weight: 7e\+05, 1 not finite.*StandardScaler"):
        minimize(X, Y, optimizer="lbfgs")


def test_divergence_of_scipys_lbfgs_names_them_too(monkeypatch):
    def runs_away(function, x, **options):
        x = np.zeros_like(x)
        x[:3] = 3.0, -7e5, np.nan
        return scipy.optimize.OptimizeResult(x=x, jac=x, fun=np.inf, success=False, status=2, nit=1, nfev=2, message="")

    monkeypatch.setattr(scipy.optimize, "minimize", runs_away)
    with pytest.raises(training.DivergenceError, match=r"largest weight: 7e\+05, 1 not finite.*StandardScaler"):
        # a memory of another length is SciPy's to keep
        minimize(X, Y, optimizer=LBFGS(history=7))


# ---- partial fits ----


def test_a_plateau_schedule_goes_on_over_partial_fits():
    """As in a fit of as many epochs, also from a pickle."""
    schedule = schedules.ReduceOnPlateau(0.5, 1, tol=10.0)
    options = {"optimizer": "adam", "schedule": schedule, "shuffle": False, "batch_size": 20, "tol": None}
    whole = LinearRegressor(**options, max_iter=8).fit(X, Y)
    parts = LinearRegressor(**options, max_iter=8)
    for _ in range(8):
        parts = pickle.loads(pickle.dumps(parts.partial_fit(X, Y)))
    assert parts.history_["learning_rate"] == whole.history_["learning_rate"]
    assert parts.history_["learning_rate"][0] > 4 * parts.history_["learning_rate"][-1]
    np.testing.assert_array_equal(parts.coef_, whole.coef_)
    # another fit starts anew
    again = parts.fit(X, Y)
    assert again.history_["learning_rate"] == whole.history_["learning_rate"]


@pytest.mark.parametrize("rates", [[1e250], [1e-3, 1e-3, 1e250, 1e250, 1e250]], ids=["at once", "later"])
def test_terminate_on_nan_on_every_face(rates):
    """The model is fitted, finite and predicts, also when there was no finite epoch."""
    seen = Seen()
    bang = LearningRateScheduler(lambda epoch: rates[min(epoch, len(rates) - 1)])
    data = {"momentum": 0.9, "solver": "sgd", "batch_size": 10}
    makers = [
        (LinearRegressor(optimizer="gradient_descent", tol=None, batch_size=10), Y),
        (LinearClassifier("squared_hinge", optimizer="gradient_descent", tol=None, batch_size=10), Y > 0),
        (MLPRegressor(hidden_layer_sizes=(5,), tol=0.0, **data), Y),
        (MLPClassifier((5,), tol=0.0, activation="identity", loss="squared_hinge", **data), Y > 0),
    ]
    for model, y in makers:
        seen.parameters.clear()
        model.set_params(callbacks=[bang, TerminateOnNaN(), seen], random_state=0)
        with pytest.warns(RuntimeWarning, match="stopped being finite in epoch"):
            model.fit(X, y)
        assert len(seen.parameters) == model.n_iter_ == len(model.loss_curve_) < 20
        assert np.isfinite(model.predict(X).astype(float)).all()
        weights = model.coefs_[0] if hasattr(model, "coefs_") else np.atleast_2d(model.coef_).T
        assert np.isfinite(weights).all()
        if seen.parameters:
            np.testing.assert_array_equal(weights, seen.parameters[-1][0][0])
