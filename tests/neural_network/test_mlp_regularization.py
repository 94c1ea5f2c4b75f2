"""What holds a perceptron's weights back: penalties, dropout, noise, mixup, norms, averages, batch normalization."""

import copy
import pickle

import mlp_twin
import numpy as np
import pytest
import reference_dense

from fasttrain import losses, optimizers, penalties
from fasttrain._kernels.prediction import set_step_per_thread
from fasttrain._kernels.primitives import vector_lanes
from fasttrain.neural_network import MLPClassifier, MLPRegressor
from fasttrain.training import DivergenceError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 5))
T = np.sin(X[:, 0]) + X[:, 1]
C = X[:, :3].argmax(axis=1)
W = RNG.uniform(0.2, 2.0, 90)
LAYERS, N_EPOCHS, BATCH = (7, 4), 3, 25
STEPS = N_EPOCHS * 4
both = pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

EXTRAS = {
    "dropout": {"dropout": [0.3, 0.1]},
    "input dropout": {"input_dropout": 0.2},
    "noise": {"noise": 0.1},
    "mixup": {"mixup": 0.4},
    "max_norm": {"max_norm": [0.6, None, 0.5]},
    "ema": {"averaging": "ema", "averaging_decay": 0.8},
    "swa": {"averaging": "swa", "averaging_start": 2},
    "batch_norm before": {"batch_norm": "before"},
    "batch_norm after": {"batch_norm": ["after", None], "batch_norm_momentum": 0.6},
    "all": {
        "dropout": 0.2, "input_dropout": 0.1, "noise": 0.1, "mixup": 1.0, "max_norm": 0.9, "averaging": "ema",
        "averaging_decay": 0.9, "batch_norm": ["before", "after"],
        "penalties": [penalties.L1(0.001), penalties.ElasticNet(0.01, 0.5), None],
    },
}
every = pytest.mark.parametrize("extras", EXTRAS.values(), ids=EXTRAS)


def target(cls):
    return C if cls is MLPClassifier else T


def make(cls, **options):
    return cls(**{"hidden_layer_sizes": LAYERS, "activation": ["tanh", "silu"], "max_iter": N_EPOCHS, "alpha": 0.0,
                  "batch_size": BATCH, "random_state": 3, "shuffle": False, "epsilon": 1e-3, "learning_rate_init": 0.01,
                  **options})


def answer(model):
    own = [a for layer in model.batch_norm_ or [] if layer for name, a in sorted(layer.items()) if name != "place"]
    return [a.tobytes() for a in model.coefs_ + model.intercepts_ + own]


def twin_of(model, extras, seed=3):
    """The twin before its training, with the weights and the seed of random bits that a fit draws."""
    random_state = np.random.RandomState(seed)
    coefs, intercepts = mlp_twin.initial([5, *LAYERS, model.n_outputs_], random_state)
    rates = extras.get("dropout", 0.0)
    specs = [penalties.get(p) for p in extras.get("penalties", [None] * 3)]
    limits = extras.get("max_norm")
    if limits is not None:
        limits = [np.inf if m is None else m for m in (limits if isinstance(limits, list) else [limits] * 3)]
    places = extras.get("batch_norm")
    lanes = vector_lanes(8)
    kind = extras.get("averaging")
    return reference_dense.Twin(
        coefs, intercepts, ["tanh", "silu"], "softmax_crossentropy" if model.n_outputs_ == 3 else "half_squared_error",
        l1=[p.l1 for p in specs], l2=[p.l2 for p in specs],
        dropout=[extras.get("input_dropout", 0.0), *(rates if isinstance(rates, list) else [rates] * 2)],
        noise=extras.get("noise", 0.0), mixup=extras.get("mixup", 0.0), max_norm=limits,
        average=kind, decay=extras.get("averaging_decay", 0.0), start=4 * extras.get("averaging_start", 1),
        every=4 if kind == "swa" else 1, normalize=places and (places if isinstance(places, list) else [places] * 2),
        momentum=extras.get("batch_norm_momentum", 0.99),
        seed=int(random_state.randint(2**31 - 1)), strides=[-(-w // lanes) * lanes for w in LAYERS],
    )


@every
@both
def test_training_is_the_twins(cls, extras):
    y = target(cls)
    options = extras if cls is MLPClassifier else {"loss": losses.HalfSquaredError(), **extras}
    model = make(cls, **options).fit(X, y, W)
    twin = twin_of(model, extras)
    targets = np.eye(3)[y] if cls is MLPClassifier else y[:, None]
    curve = [twin.train(X, targets, np.arange(90), BATCH, 0.01, W) for _ in range(N_EPOCHS)]
    # noise is good to seven digits
    close = {"rtol": 1e-4, "atol": 1e-5} if "noise" in extras else {"rtol": 1e-8, "atol": 1e-10}
    np.testing.assert_allclose(model.loss_curve_, curve, **close)
    expected = twin.averaged if twin.average else twin.coefs + twin.intercepts
    for mine, theirs in zip(model.coefs_ + model.intercepts_, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, **close)
    assert (model.batch_norm_ is None) == (not any(twin.normalize))
    for i, layer in enumerate(model.batch_norm_ or []):
        assert (layer and layer["place"]) == twin.normalize[i]
        if layer:
            np.testing.assert_allclose(layer["mean"], twin.means[i], **close)
            np.testing.assert_allclose(layer["variance"], twin.variances[i], **close)
            if not twin.average:
                np.testing.assert_allclose(layer["scale"], twin.gains[i], **close)
                np.testing.assert_allclose(layer["shift"], twin.shifts[i], **close)
    raw = by_hand(model)
    if cls is MLPRegressor:
        np.testing.assert_allclose(model.predict(X), raw[:, 0], rtol=1e-10, atol=1e-12)
    else:
        np.testing.assert_allclose(np.diff(model.predict_log_proba(X)), np.diff(raw), rtol=1e-9, atol=1e-12)


def by_hand(model):
    """Raw outputs from the attributes alone."""
    a = X
    for i, (coef, intercept) in enumerate(zip(model.coefs_, model.intercepts_)):
        a = a @ coef + intercept
        if i == 2:
            return a
        layer = (model.batch_norm_ or [None, None])[i]
        for place in ("before", "after"):
            if layer and layer["place"] == place:
                a = layer["scale"] * (a - layer["mean"]) / np.sqrt(layer["variance"] + 1e-3) + layer["shift"]
            if place == "before":
                a = np.tanh(a) if i == 0 else a / (1 + np.exp(-a))


@every
@both
def test_partial_fits_are_the_epochs_of_a_fit_also_on_a_copy(cls, extras):
    whole = make(cls, **extras).fit(X, target(cls), W)
    parts = make(cls, **extras)
    for i in range(N_EPOCHS):
        parts.partial_fit(X, target(cls), W, **({"classes": [0, 1, 2]} if cls is MLPClassifier else {}))
        parts = [parts, copy.deepcopy(parts), pickle.loads(pickle.dumps(parts))][i]
    assert answer(parts) == answer(whole)
    np.testing.assert_array_equal(parts.predict(X), whole.predict(X))


@both
def test_threads_do_not_change_a_byte(cls):
    before = set_step_per_thread(0.0)
    try:
        models = [make(cls, **EXTRAS["all"], n_threads=n).fit(X, target(cls)) for n in (1, 3)]
    finally:
        set_step_per_thread(before)
    assert answer(models[1]) == answer(models[0])
    assert models[1].loss_curve_ == models[0].loss_curve_


@every
def test_random_bits_come_from_the_random_state(extras):
    first, again, other = (make(MLPRegressor, **{**extras, "random_state": seed}).fit(X, T) for seed in (3, 3, 4))
    assert answer(first) == answer(again)
    assert answer(first) != answer(other)


@pytest.mark.parametrize("off", [
    {"dropout": 0, "input_dropout": 0, "noise": 0, "mixup": 0}, {"dropout": [0.0, 0]},
    {"max_norm": [None, np.inf, None]}, {"batch_norm": [None, None]},
], ids=str)
def test_nothing_is_drawn_for_what_is_off(off):
    plain = make(MLPRegressor, shuffle=True).fit(X, T)
    assert answer(make(MLPRegressor, shuffle=True, **off).fit(X, T)) == answer(plain)


@both
def test_what_is_off_again_is_off(cls):
    """An engine that goes on forgets what the parameters no longer ask for."""
    on = {name: value for name, value in EXTRAS["all"].items() if name != "batch_norm"}
    off = {name: parameter for name, parameter in cls().get_params().items() if name in on}
    first = {"classes": [0, 1, 2]} if cls is MLPClassifier else {}
    model = make(cls, **on, optimizer=optimizers.GradientDescent()).partial_fit(X, target(cls), **first)
    # a new engine that starts from the same weights knows nothing of them
    fresh = make(cls, optimizer=optimizers.GradientDescent(), warm_start=True, max_iter=1)
    engine = pickle.loads(pickle.dumps(model))._engine
    vars(fresh).update({name: value for name, value in vars(model).items() if name.endswith("_")})
    fresh.coefs_, fresh.intercepts_ = engine.unpack_layers(engine.parameters)
    fresh._target_kind = getattr(model, "_target_kind", None)
    fresh._no_improvement_count = 0
    assert answer(model.set_params(**off).partial_fit(X, target(cls))) == answer(fresh.fit(X, target(cls)))


@pytest.mark.parametrize("extras", [EXTRAS["ema"], EXTRAS["batch_norm before"], EXTRAS["all"]],
                         ids=["ema", "batch_norm", "all"])
def test_early_stopping_keeps_all_of_the_best(extras):
    options = {"early_stopping": True, "max_iter": 100, "learning_rate_init": 0.05, "n_iter_no_change": 5, "tol": 0.0}
    model = make(MLPRegressor, **{**extras, **options}).fit(X[:60], T[:60], validation_data=(X[60:], T[60:]))
    assert model.n_iter_ < 100
    assert model.best_validation_score_ == max(model.validation_scores_)
    np.testing.assert_allclose(model.score(X[60:], T[60:]), model.best_validation_score_, rtol=1e-12)


def test_scores_and_losses_of_validation_are_the_averages():
    losses_seen = []
    model = make(MLPRegressor, averaging="ema", averaging_decay=0.9,
                 callbacks=lambda epoch, logs: losses_seen.append(logs["validation_loss"]))
    model.fit(X[:60], T[:60], validation_data=(X[60:], T[60:]))
    error = model.predict(X[60:]) - T[60:]
    np.testing.assert_allclose(losses_seen[-1], (error**2).mean() / 2, rtol=1e-12)
    np.testing.assert_allclose(model.validation_scores_[-1], model.score(X[60:], T[60:]), rtol=1e-12)
    plain = make(MLPRegressor).fit(X[:60], T[:60])
    assert answer(model) != answer(plain)
    assert model.loss_curve_ == plain.loss_curve_


def test_divergence_leaves_everything():
    model = make(MLPRegressor, **EXTRAS["all"]).fit(X, T).partial_fit(X, T)
    untouched = copy.deepcopy(model)
    with pytest.raises(DivergenceError):
        model.set_params(optimizer=optimizers.Adam(1e300), max_norm=None).partial_fit(X, T)
    assert answer(model) == answer(untouched)
    model.set_params(optimizer=None, max_norm=0.9)
    assert answer(model.partial_fit(X, T)) == answer(untouched.partial_fit(X, T))


def test_warm_starts_from_what_predicts():
    model = make(MLPRegressor, batch_norm="before", warm_start=True, learning_rate_init=1e-300).fit(X, T)
    for layer in model.batch_norm_:
        layer["mean"][:] = 0.5
        layer["scale"][:] = 2.0
    before = model.batch_norm_[0]["mean"].copy()
    model.fit(X, T)
    np.testing.assert_array_equal(model.batch_norm_[0]["scale"], np.full(7, 2.0))
    assert (abs(model.batch_norm_[0]["mean"] - before) < 0.2).all()
    model.set_params(batch_norm="after").fit(X, T)
    np.testing.assert_array_equal(model.batch_norm_[0]["scale"], np.ones(7))


def test_mixup_is_for_targets_that_can_be_mixed():
    with pytest.raises(ValueError, match="mixup needs targets that can be mixed"):
        make(MLPClassifier, mixup=0.2, loss="hinge").fit(X, C)


def test_dropout_helps_where_there_is_little_to_learn_from():
    """Forty rows of mostly noise: what the net without it learns by heart costs it the other rows."""
    rng = np.random.default_rng(1)
    data = rng.normal(size=(2040, 30))
    y = data[:, 0] + rng.normal(size=2040)
    options = {"hidden_layer_sizes": (50,), "activation": "relu", "max_iter": 400, "tol": 0.0, "batch_size": 40}
    plain = make(MLPRegressor, **options).fit(data[:40], y[:40])
    dropped = make(MLPRegressor, **options, dropout=0.5, input_dropout=0.3).fit(data[:40], y[:40])
    assert dropped.score(data[40:], y[40:]) > plain.score(data[40:], y[40:]) + 0.1


# ---- penalties ----


def twin(model, y, loss, settings, rates, **options):
    """What ``model``, fitted on X in the order of its rows, must have come to."""
    coefs, intercepts = mlp_twin.initial([5, *LAYERS, 1], np.random.RandomState(3))
    coefs, intercepts, value = mlp_twin.train(
        coefs, intercepts, X, y[:, None], loss=loss, activations=[("tanh", 0.0), ("silu", 0.0)], settings=settings,
        batch_size=BATCH, rates=rates, **options,
    )
    for found, expected in zip(model.coefs_ + model.intercepts_, coefs + intercepts, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(model.loss_, value, rtol=1e-8)



@pytest.mark.parametrize("given", [
    penalties.ElasticNet(0.05, 0.3), [penalties.L1(0.02), None, penalties.L2(0.3)], "l2",
], ids=str)
@pytest.mark.parametrize("optimizer", [optimizers.Adam(0.01), optimizers.Momentum(0.05)], ids=repr)
def test_penalties_by_layer(given, optimizer):
    specs = [penalties.get(p) for p in (given if isinstance(given, list) else [given] * 3)]
    model = make(MLPRegressor, penalties=given, alpha=100.0, optimizer=optimizer, loss=losses.HalfSquaredError())
    twin(model.fit(X, T, W), T, ("half_squared_error", 1.0), optimizer.settings(), [optimizer.learning_rate] * STEPS,
         l1=[p.l1 for p in specs], l2=[p.l2 for p in specs], weight=W)


def test_alpha_is_divided_by_the_batchs_weight():
    model = make(MLPRegressor, alpha=0.7, loss=losses.HalfSquaredError()).fit(X, T, W)
    twin(model, T, ("half_squared_error", 1.0), optimizers.Adam(epsilon=1e-3).settings(), [0.01] * STEPS, alpha=0.7,
         weight=W)


def test_l1_removes_features():
    # what the first layer's weights lose, the others must not make up for
    held = [penalties.L1(0.02), penalties.L2(0.02), penalties.L2(0.02)]
    model = make(MLPRegressor, penalties=held, max_iter=1000, tol=0.0, activation="tanh", n_iter_no_change=np.inf)
    model.fit(X, X[:, 0] + X[:, 1])
    unused = (model.coefs_[0] == 0).all(axis=1)
    assert unused.tolist() == [False, False, True, True, True]




@both
@pytest.mark.parametrize("places", ["before", ["after", None], ["before", "after"]], ids=str)
def test_folded_layers_predict_the_same(cls, places):
    options = {"activation": "tanh", "batch_norm": places, "learning_rate_init": 0.05, "max_iter": 10}
    model = make(cls, **options).fit(X, target(cls))
    stock = model.to_sklearn()
    if cls is MLPRegressor:
        np.testing.assert_allclose(stock.predict(X), model.predict(X), rtol=1e-10, atol=1e-12)
    else:
        np.testing.assert_allclose(stock.predict_proba(X), model.predict_proba(X), rtol=1e-10)
