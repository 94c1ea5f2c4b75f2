"""What MLPClassifier and MLPRegressor have beyond scikit-learn, against a training written out in NumPy."""

import pickle
import re
import sys
import warnings

import mlp_twin
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from optimizer_rules import RULES

from fasttrain import losses, optimizers, penalties, schedules
from fasttrain.activations import Gelu
from fasttrain.neural_network import MLPClassifier, MLPRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 5))
T = np.sin(X[:, 0]) + X[:, 1]
Y = (T > 0.3).astype(int)
C = X[:, :3].argmax(axis=1)
L = (X[:, :3] > 0).astype(int)
W = RNG.uniform(0.2, 2.0, 90)
LAYERS, N_EPOCHS, BATCH = (7, 4), 3, 25
STEPS = N_EPOCHS * 4
both = pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def target(cls):
    return Y if cls is MLPClassifier else T


def make(cls, **options):
    return cls(**{"hidden_layer_sizes": LAYERS, "activation": ["tanh", Gelu()], "max_iter": N_EPOCHS, "alpha": 0.0,
                  "batch_size": BATCH, "random_state": 3, "shuffle": False, **options})


def answer(model):
    return [a.tobytes() for a in model.coefs_ + model.intercepts_]


def twin(model, y, loss, settings, rates, **options):
    """What ``model``, fitted on X in the order of its rows, must have come to."""
    y = np.asarray(y, float).reshape(len(X), -1)
    coefs, intercepts = mlp_twin.initial([5, *LAYERS, model.n_outputs_], np.random.RandomState(3))
    coefs, intercepts, value = mlp_twin.train(
        coefs, intercepts, X, y, loss=loss, activations=[("tanh", 0.0), ("gelu", 0.0)], settings=settings,
        batch_size=BATCH, rates=rates, **options,
    )
    for found, expected in zip(model.coefs_ + model.intercepts_, coefs + intercepts, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(model.loss_, value, rtol=1e-8)


def test_the_twins_gradients_are_differences():
    """The twin itself, by fourth-order differences of its objective along random directions."""
    coefs, intercepts = mlp_twin.initial([5, *LAYERS, 3], np.random.RandomState(0))
    y = C.reshape(-1, 1)
    functions = [("tanh", 0.0), ("gelu", 0.0)]
    _, gc, gi = mlp_twin.gradients(coefs, intercepts, X, y, ("softmax_crossentropy", 1.0), functions, W)
    rng = np.random.default_rng(1)
    for _ in range(5):
        directions = [rng.normal(size=p.shape) for p in coefs + intercepts]

        def value(t, directions=directions):
            moved = [p + t * d for p, d in zip(coefs + intercepts, directions)]
            return mlp_twin.gradients(moved[:3], moved[3:], X, y, ("softmax_crossentropy", 1.0), functions, W)[0]

        h = 1e-3
        slope = (8 * (value(h) - value(-h)) - (value(2 * h) - value(-2 * h))) / (12 * h)
        np.testing.assert_allclose(slope, sum((g * d).sum() for g, d in zip(gc + gi, directions)), rtol=1e-8)


# ---- optimizers and schedules ----


@pytest.mark.parametrize("optimizer", [
    *RULES, optimizers.AdamW(0.01, weight_decay=0.3), optimizers.Adam(0.01, clip_norm=0.05),
    optimizers.Nesterov(0.05, clip_value=0.01, weight_decay=0.1),
], ids=repr)
def test_every_optimizer(optimizer):
    model = make(MLPRegressor, optimizer=optimizer, loss=losses.HalfSquaredError()).fit(X, T)
    settings = optimizer.settings() | {"initial_accumulator": optimizer.initial_state.get("s1", 0.0)}
    twin(model, T, ("half_squared_error", 1.0), settings, [optimizer.learning_rate] * STEPS)


def test_names_stand_for_optimizers_with_their_defaults():
    for name in optimizers.names():
        spec = optimizers.get(name)
        assert answer(make(MLPRegressor, optimizer=name).fit(X, T)) == answer(
            make(MLPRegressor, optimizer=spec, solver="lbfgs", learning_rate_init=7.0).fit(X, T))


def test_the_solvers_are_these_optimizers():
    for solver, optimizer in [("adam", optimizers.Adam(0.001)), ("sgd", optimizers.Nesterov(0.001, 0.9))]:
        assert answer(make(MLPRegressor, optimizer=optimizer).fit(X, T)) == answer(
            make(MLPRegressor, solver=solver).fit(X, T))
    options = {"max_iter": 50, "alpha": 0.01}
    own = make(MLPRegressor, optimizer=optimizers.LBFGS(tol=1e-4), **options).fit(X, T)
    np.testing.assert_allclose(own.loss_, make(MLPRegressor, solver="lbfgs", **options).fit(X, T).loss_, rtol=1e-6)
    assert make(MLPRegressor, optimizer=optimizers.LBFGS(max_iter=7), max_iter=3).fit(X, T).n_iter_ == 7


@pytest.mark.parametrize("schedule", [
    schedules.CosineDecay(), schedules.OneCycle(), schedules.StepDecay(2, 0.5), schedules.ExponentialDecay(0.5),
    schedules.Warmup(n_steps=5), schedules.InverseScaling(),
], ids=repr)
@pytest.mark.parametrize("options", [{"solver": "sgd", "momentum": 0.5, "learning_rate": "adaptive"},
                                     {"optimizer": optimizers.Momentum(0.02, 0.5)}])
def test_every_schedule(schedule, options):
    base = 0.02 if "optimizer" in options else 0.001
    rule = "momentum" if "optimizer" in options else "nesterov"
    rates = schedule.rates(base, 0, STEPS, 4, STEPS)
    model = make(MLPRegressor, schedule=schedule, loss=losses.HalfSquaredError(), **options).fit(X, T)
    twin(model, T, ("half_squared_error", 1.0), {"rule": rule, "momentum": 0.5}, rates)
    parts = make(MLPRegressor, schedule=schedule, loss=losses.HalfSquaredError(), **options)
    for _ in range(N_EPOCHS):
        parts.partial_fit(X, T)
    assert answer(parts) == answer(model)


def test_a_plateau_watches_the_validation_loss():
    plateau = schedules.ReduceOnPlateau(factor=0.5, patience=0, tol=0.0)
    seen = []
    options = {"schedule": plateau, "max_iter": 30, "learning_rate_init": 0.05, "tol": 0.0, "n_iter_no_change": np.inf,
               "callbacks": lambda epoch, logs: seen.append(logs["learning_rate"])}
    model = make(MLPRegressor, **options).fit(X[:60], T[:60], validation_data=(X[60:], T[60:]))
    state = plateau.start(0.05)
    expected = [0.05] + [0.05 * state.update(value) for value in model.validation_loss_curve_[:-1]]
    np.testing.assert_allclose(seen, expected, rtol=1e-12)
    assert seen[-1] < seen[0]
    del options["callbacks"]
    whole, parts = make(MLPRegressor, **options).fit(X, T), make(MLPRegressor, **options)
    for _ in range(30):
        parts.partial_fit(X, T)
    assert answer(parts) == answer(whole)


# ---- losses ----


MARGINS = ["hinge", "squared_hinge", "modified_huber", losses.Hinge(0.5)]


@pytest.mark.parametrize("loss", MARGINS, ids=str)
@pytest.mark.parametrize("y", [Y, C, L], ids=["binary", "multiclass", "multilabel"])
def test_losses_of_margins(loss, y):
    spec = losses.get(loss)
    names = np.array(["ant", "bee", "cow"])
    given = y if y.ndim == 2 else names[y]
    model = make(MLPClassifier, loss=loss).fit(X, given, W)
    signs = 2 * (y[:, None] == np.arange(3)) - 1 if y is C else 2 * y - 1
    twin(model, signs, (spec.name, spec.parameter), optimizers.Adam().settings(), [0.001] * STEPS, weight=W)
    raw = mlp_twin.forward(model.coefs_, model.intercepts_, X, [("tanh", 0.0), ("gelu", 0.0)])[1][-1]
    np.testing.assert_allclose(model.decision_function(X), raw[:, 0] if y is Y else raw, rtol=1e-9, atol=1e-12)
    expected = (raw > 0).astype(int) if y is L else names[raw.argmax(axis=1) if y is C else (raw[:, 0] > 0) * 1]
    np.testing.assert_array_equal(model.predict(X), expected)
    assert model.out_activation_ == "identity"
    assert not hasattr(model, "predict_proba")
    assert not hasattr(model, "predict_log_proba")
    assert not hasattr(make(MLPClassifier), "decision_function")
    better = make(MLPClassifier, loss=loss, max_iter=200, learning_rate_init=0.02).fit(X, given)
    assert better.score(X, given) > 0.9
    held = make(MLPClassifier, loss=loss, early_stopping=True).fit(X, given, validation_data=(X, given))
    np.testing.assert_allclose(held.best_validation_score_, held.score(X, given), rtol=1e-12)


def test_which_losses_a_classifier_takes():
    for loss in ("squared_error", losses.Huber(), "binary_crossentropy"):
        with pytest.raises(ValueError, match="loss of MLPClassifier must be 'log_loss' or a loss of margins"):
            make(MLPClassifier, loss=loss).fit(X, Y)
    with pytest.raises(ValueError, match="did you mean 'hinge'"):
        make(MLPClassifier, loss="hing").fit(X, Y)


@pytest.mark.parametrize("loss", [
    "absolute_error", "epsilon_insensitive", losses.Huber(0.3), losses.Quantile(0.9), losses.SquaredError(),
], ids=str)
def test_losses_of_regression(loss):
    spec = losses.get(loss)
    model = make(MLPRegressor, loss=loss).fit(X, T, W)
    twin(model, T, (spec.name, spec.parameter), optimizers.Adam().settings(), [0.001] * STEPS, weight=W)


# ---- class weights ----


def test_class_weights_in_parts_that_lack_a_class():
    weights = {0: 3.0, 2: 0.5}
    by_row = np.array([3.0, 1.0, 0.5])[C]
    model, plain = make(MLPClassifier, class_weight=weights), make(MLPClassifier)
    for rows in (C < 2, C > 0, C == 1):
        model.partial_fit(X[rows], C[rows], classes=[0, 1, 2])
        plain.partial_fit(X[rows], C[rows], by_row[rows], classes=[0, 1, 2])
        assert answer(model) == answer(plain)


def test_class_weights_of_labels():
    weights = [{0: 1.0, 1: 2.0}, {0: 1.0, 1: 1.0}, {0: 0.5, 1: 1.0}]
    by_row = np.array([[1, 2], [1, 1], [0.5, 1]])[np.arange(3), L].prod(axis=1)
    np.testing.assert_allclose(make(MLPClassifier, class_weight=weights).fit(X, L).coefs_[0],
                               make(MLPClassifier).fit(X, L, by_row).coefs_[0], rtol=1e-10)


# ---- progress ----


@pytest.mark.parametrize("options", [{}, {"solver": "lbfgs"}, {"callbacks": lambda epoch, logs: None}])
def test_a_bar_of_the_epochs(options, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    make(MLPRegressor, progress=True, **options).fit(X, T, validation_data=(X, T))
    shown = capsys.readouterr().err
    assert f"epoch {N_EPOCHS}/{N_EPOCHS}  loss " in shown
    assert "validation_loss " in shown
    make(MLPRegressor, **options).fit(X, T)
    assert capsys.readouterr().err == ""


# ---- parameters ----


@both
@pytest.mark.parametrize(("options", "error", "match"), [
    ({"optimizer": "adamm"}, ValueError, "did you mean 'adam'"),
    ({"optimizer": 3}, TypeError, "optimizer must be"),
    ({"schedule": "cosin"}, ValueError, "schedule must be"),
    ({"solver": "lbfgs", "schedule": "cosine"}, ValueError, "schedule needs a solver that makes steps, got 'cosine'"),
    ({"optimizer": "lbfgs", "dropout": 0.5}, ValueError, "dropout needs a solver that makes steps, got 0.5"),
    ({"solver": "lbfgs", "max_norm": np.ones(3)}, ValueError, "max_norm needs a solver that makes steps"),
    ({"dropout": None}, TypeError, "dropout must be"),
    ({"penalties": [None]}, ValueError, "penalties must be one, or one for each of the 3 layers .*, got 1"),
    ({"penalties": "l3"}, ValueError, "penalty must be"),
    ({"penalties": "l1", "solver": "lbfgs"}, ValueError, "penalties must have no l1 part with L-BFGS, got 'l1'"),
    ({"dropout": 1.0}, ValueError, "dropout must be a finite number >= 0 and < 1, got 1.0"),
    ({"dropout": [0.1]}, ValueError, "dropout must be one, or one for each of the 2 hidden layers, got 1"),
    ({"dropout": "half"}, TypeError, "dropout must be"),
    ({"input_dropout": -0.1}, ValueError, "input_dropout must be"),
    ({"noise": -1.0}, ValueError, "noise must be"),
    ({"noise": np.nan}, ValueError, "noise must be"),
    ({"mixup": "yes"}, TypeError, "mixup must be"),
    ({"max_norm": 0.0}, ValueError, "max_norm must be"),
    ({"max_norm": [1.0, 2.0]}, ValueError, "max_norm must be one, or one for each of the 3 layers"),
    ({"averaging": "mean"}, ValueError, "averaging must be one of 'ema', 'swa' or None"),
    ({"averaging": "ema", "averaging_decay": 1.0}, ValueError, "averaging_decay must be"),
    ({"averaging": "swa", "averaging_start": 0}, ValueError, "averaging_start must be"),
    ({"batch_norm": True}, TypeError, "batch_norm must be one of 'before', 'after' or None"),
    ({"batch_norm": "after", "batch_norm_momentum": 1.0}, ValueError, "batch_norm_momentum must be"),
    ({"batch_norm": "after", "hidden_layer_sizes": (), "activation": "relu"}, ValueError,
     "batch_norm needs a hidden layer"),
    ({"progress": 1}, TypeError, "progress must be True or False"),
])
def test_bad_parameters_are_named(cls, options, error, match):
    model = make(cls).fit(X, target(cls))
    before = answer(model)
    with pytest.raises(error, match=match):
        model.set_params(**options).fit(X, target(cls))
    assert answer(model) == before
    with pytest.raises(error, match=match):
        make(cls, **options).fit(X, target(cls))


def test_bad_class_weights_are_named():
    for weights, error, match in [
        ({0: -1.0}, ValueError, "class_weight of 0 must be a finite number >= 0, got -1"),
        ({0: "heavy"}, TypeError, "class_weight of 0 must be"),
        ({5: 1.0}, ValueError, r"class_weight must hold classes of y, \[0, 1\], got \[5\]"),
        ("even", ValueError, "class_weight"),
    ]:
        with pytest.raises(error, match=match):
            make(MLPClassifier, class_weight=weights).fit(X, Y)
    with pytest.raises(ValueError, match="class_weight must hold numbers >= 0 that leave a row of weight > 0"):
        make(MLPClassifier, class_weight={0: 0.0, 1: 0.0}).fit(X, Y)


@both
def test_partial_fit_is_there_when_the_optimizer_makes_steps(cls):
    assert hasattr(make(cls, optimizer="lbfgs"), "partial_fit") == (cls is MLPRegressor)
    assert hasattr(make(cls, optimizer="adam", solver="lbfgs"), "partial_fit")
    first = {"classes": [0, 1]} if cls is MLPClassifier else {}
    with pytest.raises(ValueError, match="did you mean"):
        make(cls, optimizer="adamm").partial_fit(X, target(cls), **first)


@both
def test_every_parameter_is_documented(cls):
    lines = re.findall(r"^([\w, ]+) : ", cls.__doc__, re.M)
    documented = [name for line in lines for name in line.split(", ")]
    assert set(cls().get_params()) <= set(documented)
    assert len(documented) == len(set(documented))
    assert not re.search(r"{\w+}", cls.__doc__)


def test_parameters_travel():
    model = make(
        MLPRegressor, optimizer=optimizers.Lion(0.01), schedule=schedules.CosineDecay(),
        penalties=[penalties.L1(), None, None], dropout=[0.1, 0.2], batch_norm=[None, "after"], averaging="swa",
    )
    assert clone(model).get_params() == model.get_params()
    again = pickle.loads(pickle.dumps(model.fit(X, T)))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        assert answer(clone(again).fit(X, T)) == answer(model)
    assert answer(again.partial_fit(X, T)) == answer(model.partial_fit(X, T))
