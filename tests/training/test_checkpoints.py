"""A resumed training ends with the bytes of one that ran through; what cannot be gone on from is named."""

import csv
import errno
import json
import os
import shutil

import numpy as np
import pytest

from fasttrain import losses, optimizers, penalties, schedules, training
from fasttrain._files import archive, atomic
from fasttrain._kernels.network import Network
from fasttrain.callbacks import (
    CSVLogger, Callback, EarlyStopping, LearningRateScheduler, ModelCheckpoint, ReduceLROnPlateau,
)
from fasttrain.descent import minimize
from fasttrain.layers import Activation, BatchNormalization, Dense, Dropout
from fasttrain.linear_model import LinearClassifier, LinearRegressor
from fasttrain.models import Sequential
from fasttrain.neural_network import MLPClassifier, MLPRegressor
from fasttrain.training import checkpoints
from fasttrain.training.checkpoints import load_checkpoint
from fasttrain.training.orders import permutations

RNG = np.random.default_rng(0)
X = RNG.standard_normal((70, 5))
Y = X @ [1.0, -2.0, 0.5, 0.0, 1.0] + 0.5 * RNG.standard_normal(70)
WEIGHT = RNG.uniform(0.5, 2.0, 70)
EPOCHS = 9

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(autouse=True)
def _no_wait_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)


def target(cls):
    return Y if "Regressor" in cls.__name__ else np.digitize(Y, [-1.0, 1.0])


def everything(model):
    """All that a fit leaves, in a form that == compares to the byte."""
    left = {name: value for name, value in vars(model).items() if name not in model.get_params()}
    engine = left.pop("_engine")
    left["state"] = [engine.parameters, *engine.state.values(), engine.counters]
    return comparable(left)


def comparable(value):
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, dict):
        return {key: comparable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [comparable(item) for item in value]
    return value.hex() if isinstance(value, float) else comparable(vars(value)) if hasattr(value, "__dict__") else value


def check_resumed(make, folder, **fit):
    """Fits resumed at several epochs, the last one included, against the one that ran through."""
    y = target(type(make([])))
    straight = make([]).fit(X, y, **fit)
    saving = make([ModelCheckpoint(folder / "{epoch}")]).fit(X, y, **fit)
    wanted = everything(straight)
    assert everything(saving) == wanted
    assert sorted(int(path.name) for path in folder.iterdir()) == list(range(1, straight.n_iter_ + 1))
    assert straight.n_iter_ >= 3
    for epoch in sorted({1, straight.n_iter_ // 2, straight.n_iter_ - 1, straight.n_iter_}):
        again = make([])
        assert again.fit(X, y, resume_from=folder / str(epoch), **fit) is again
        assert everything(again) == wanted, epoch


MLP = {"hidden_layer_sizes": (70, 4), "max_iter": EPOCHS, "batch_size": 16, "random_state": 3, "tol": 0.0}


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("options", [
    {"solver": "adam"},
    {"solver": "adam", "dtype": "float32"},
    {"solver": "adam", "shuffle": False},
    {"solver": "adam", "early_stopping": True, "n_iter_no_change": 3, "validation_fraction": 0.3},
    {"solver": "adam", "early_stopping": True, "n_iter_no_change": 1, "tol": 1.0, "validation_fraction": 0.3},
    {"solver": "sgd", "nesterovs_momentum": False},
    {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1},
    {"solver": "sgd", "learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 1},
    {"solver": "sgd", "learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 1, "learning_rate_init": 1e-5,
     "max_iter": 30},
    {"dropout": 0.2, "input_dropout": 0.1, "noise": 0.1, "mixup": 0.3, "max_norm": 2.0},
    {"batch_norm": ["before", "after"], "averaging": "ema", "averaging_decay": 0.9, "early_stopping": True,
     "validation_fraction": 0.3, "n_iter_no_change": 2},
    {"averaging": "swa", "averaging_start": 3, "optimizer": "lion", "schedule": "cosine"},
    {"optimizer": "rmsprop", "schedule": schedules.ReduceOnPlateau(0.5, 1, tol=10.0), "penalties": "l1"},
], ids=str)
def test_perceptrons(cls, options, tmp_path):
    check_resumed(lambda callbacks: cls(**{**MLP, **options, "callbacks": callbacks}), tmp_path)


@pytest.mark.parametrize("cls", [LinearClassifier, LinearRegressor])
@pytest.mark.parametrize("optimizer", [
    "gradient_descent", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam", "adamw", "nadam",
    "lion", "adamax", "ftrl", "lamb", optimizers.RMSprop(0.01, momentum=0.5, centered=True),
], ids=str)
def test_optimizers(cls, optimizer, tmp_path):
    options = {"optimizer": optimizer, "batch_size": 16, "max_iter": EPOCHS, "tol": None, "random_state": 3}
    check_resumed(lambda callbacks: cls(**options, callbacks=callbacks), tmp_path)


@pytest.mark.parametrize("options", [
    {"schedule": "cosine"}, {"schedule": "one_cycle"}, {"schedule": schedules.Warmup(n_epochs=3, then="invscaling")},
    {"schedule": schedules.ReduceOnPlateau(0.5, 1, tol=10.0)}, {"schedule": "exponential", "shuffle": False},
    {"tol": 0.2, "n_iter_no_change": 2}, {"penalty": "elasticnet"},
    {"early_stopping": True, "tol": 0.0, "n_iter_no_change": 2, "learning_rate": 0.5},
    {"dtype": "float32", "batch_size": "full"},
], ids=str)
def test_schedules_and_stopping(options, tmp_path):
    options = {"optimizer": "adam", "batch_size": 16, "max_iter": EPOCHS, "tol": None, "random_state": 3, **options}
    check_resumed(lambda callbacks: LinearRegressor(**options, callbacks=callbacks), tmp_path)


@pytest.mark.parametrize("cls", [LinearClassifier, MLPRegressor])
def test_weights_and_validation_data(cls, tmp_path):
    y = target(cls)
    check_resumed(
        lambda callbacks: cls(max_iter=EPOCHS, batch_size=8, tol=0.0, random_state=0, callbacks=callbacks), tmp_path,
        sample_weight=WEIGHT, validation_data=(X[:20], y[:20]))


@pytest.mark.parametrize("cls", [LinearRegressor, MLPClassifier])
def test_a_generator_goes_on_from_where_it_was(cls, tmp_path):
    """Also when nobody has kept the seed: initial weights and held-out rows are drawn as they were."""
    for name, generator in (("own", np.random.RandomState(5)), ("NumPy's", None)):
        model = cls(max_iter=6, early_stopping=True, n_iter_no_change=9, tol=0.0, random_state=generator,
            callbacks=ModelCheckpoint(tmp_path / name / "{epoch}"))
        np.random.seed(7)  # noqa: NPY002
        model.fit(X, target(cls))
        state = np.random.get_state()[1].copy()  # noqa: NPY002
        again = cls(max_iter=6, early_stopping=True, n_iter_no_change=9, tol=0.0, random_state=generator)
        again.fit(X, target(cls), resume_from=tmp_path / name / "2")
        assert everything(again) == everything(model)
        assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_callbacks_go_on_as_well(tmp_path):
    """Each remembers: the best parameters, the cuts of the rate, the columns and the length of a file."""

    def callbacks(name, *first):
        return [
            *first, ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=10.0, cooldown=1),
            EarlyStopping("loss", min_delta=0.1, patience=5, restore_best_weights=True),
            EarlyStopping("loss", patience=30),
            LearningRateScheduler(lambda epoch, lr: lr * 0.9), CSVLogger(tmp_path / name),
        ]

    def make(callbacks):
        return MLPRegressor(max_iter=30, batch_size=8, random_state=0, learning_rate_init=0.01, tol=0.0,
            callbacks=callbacks)

    straight = make(callbacks("straight.csv")).fit(X, Y)
    assert 6 < straight.n_iter_ < 30
    make(callbacks("log.csv", ModelCheckpoint(tmp_path / "{epoch}"))).fit(X, Y)
    wanted = (tmp_path / "straight.csv").read_bytes()
    assert (tmp_path / "log.csv").read_bytes() == wanted
    assert len(list(csv.reader((tmp_path / "log.csv").open()))) == straight.n_iter_ + 1
    for epoch in (1, 3, straight.n_iter_ - 1, straight.n_iter_):
        again = make(callbacks("log.csv")).fit(X, Y, resume_from=tmp_path / str(epoch))
        assert everything(again) == everything(straight), epoch
        # the rows of the epochs that are run again do not stand twice
        assert (tmp_path / "log.csv").read_bytes() == wanted


def test_after_ctrl_c(tmp_path):
    class Press(Callback):
        def on_epoch_begin(self, epoch):
            if epoch == 6:
                raise KeyboardInterrupt

    def make(callbacks):
        return MLPClassifier(**MLP, callbacks=callbacks)

    with pytest.warns(UserWarning, match="interrupted"):
        make([ModelCheckpoint(tmp_path / "last", save_freq=2), Press()]).fit(X, target(MLPClassifier))
    assert load_checkpoint(tmp_path / "last").epoch == 4
    again = make([]).fit(X, target(MLPClassifier), resume_from=tmp_path / "last")
    assert everything(again) == everything(make([]).fit(X, target(MLPClassifier)))


def test_more_epochs_than_were_planned(tmp_path):
    short = MLPRegressor(**{**MLP, "max_iter": 4}, callbacks=ModelCheckpoint(tmp_path / "last")).fit(X, Y)
    longer = MLPRegressor(**MLP).fit(X, Y, resume_from=tmp_path / "last")
    assert everything(longer) == everything(MLPRegressor(**MLP).fit(X, Y))
    assert longer.loss_curve_[:4] == short.loss_curve_


def test_the_checkpoints_of_a_resumed_training_are_those_of_the_first(tmp_path):
    def make(name):
        return MLPRegressor(**MLP, callbacks=ModelCheckpoint(tmp_path / name / "{epoch}"))

    make("a").fit(X, Y)
    make("b").fit(X, Y, resume_from=tmp_path / "a" / "5")
    for epoch in range(6, EPOCHS + 1):
        files = [sorted((tmp_path / name / str(epoch)).iterdir()) for name in "ab"]
        assert [path.read_bytes() for path in files[0]] == [path.read_bytes() for path in files[1]]


def test_what_a_checkpoint_tells(tmp_path):
    model = MLPRegressor(**MLP, callbacks=ModelCheckpoint(tmp_path / "{epoch:02d}-{val_loss:.3f}"))
    model.fit(X[:50], Y[:50], validation_data=(X[50:], Y[50:]))
    last = load_checkpoint(tmp_path / f"09-{model.validation_loss_curve_[-1]:.3f}")
    assert last.epoch == EPOCHS
    assert last.history["loss"] == model.loss_curve_
    assert comparable(last.coefs) == comparable(model.coefs_)
    assert comparable(last.intercepts) == comparable(model.intercepts_)


@pytest.mark.parametrize(("options", "numbers", "kept"), [
    ({"save_best_only": True}, [3, 4, 2, 5, 2, 6], [1, 3]),
    ({"save_best_only": True, "mode": "max"}, [3, 4, 2, 5, 2, 6], [1, 2, 4, 6]),
    ({"save_best_only": True, "initial_value_threshold": 2.5}, [3, 4, 2, 5, 2, 6], [3]),
    ({"save_freq": 4}, [3, 4, 2, 5, 2, 6], [4]),
])
def test_when_it_is_saved(options, numbers, kept, tmp_path):
    seen = []

    class Numbers(ModelCheckpoint):
        def on_epoch_end(self, epoch, logs):
            seen.append(epoch)
            return super().on_epoch_end(epoch, {**logs, "val_loss": numbers[epoch - 1]})

    minimize(X, Y, n_iter=6, learning_rate=0.01, callback=Numbers(tmp_path / "{epoch}", **options))
    assert seen == [1, 2, 3, 4, 5, 6]
    assert sorted(int(path.name) for path in tmp_path.iterdir()) == kept


@pytest.mark.parametrize("options", [
    {"optimizer": "adam", "batch_size": 8}, {"optimizer": "momentum", "tol": 0.3},
    {"loss": "huber", "schedule": "plateau"},
], ids=str)
def test_descent_functions(options, tmp_path):
    def found(**more):
        result = minimize(X, Y, n_iter=30, learning_rate=0.01, random_state=4, **options, **more)
        return comparable([result.coef, result.loss_curve, result.n_iter, result.converged, result.message])

    wanted = found(callback=ModelCheckpoint(tmp_path / "{epoch}"))
    for epoch in (1, wanted[2] - 2, wanted[2]):
        assert found(resume_from=tmp_path / str(epoch)) == wanted
    with pytest.raises(ValueError, match="resume_from needs"):
        minimize(X, Y, optimizer="lbfgs", resume_from=tmp_path / "1")


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
@pytest.mark.parametrize("first", [0, 2])
def test_sequential(optimizer, first, tmp_path):
    """A new model with other weights and another seed goes on as the one that was interrupted would have."""

    def fitted(callbacks, **options):
        model = Sequential([
            Dense(8, activation="relu", input_dim=5), BatchNormalization(), Dropout(0.2), Dense(6), Activation("tanh"),
            Dropout(0.1), Dense(3, activation="softmax"),
        ])
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
        if start:
            model.set_weights(start[0])
        else:
            start.append(model.get_weights())
        slow_down = ReduceLROnPlateau("val_loss", factor=0.5, patience=1, min_delta=10.0)
        stop = EarlyStopping("val_accuracy", patience=20, restore_best_weights=True)
        history = model.fit(X, target(LinearClassifier), batch_size=16, epochs=8, initial_epoch=first, verbose=0,
            validation_split=0.2, callbacks=[slow_down, stop, *callbacks], **options)
        found.append(history.history)
        return comparable([history.history, model.get_weights(), model.predict(X)])

    start, found = [], []
    wanted = fitted([ModelCheckpoint(tmp_path / "{epoch}")])
    assert len(set(found[0]["learning_rate"])) > 2
    epochs = sorted(int(path.name) for path in tmp_path.iterdir())
    assert epochs == list(range(first + 1, 9))
    for epoch in (first + 1, 5, 8):
        assert fitted([], resume_from=tmp_path / str(epoch)) == wanted, epoch


def test_orders_of_a_generator_are_kept(tmp_path):
    """The descent functions draw from a Generator, whose state is of another kind."""
    minimize(X, Y, n_iter=3, batch_size=8, learning_rate=0.01, random_state=1,
        callback=ModelCheckpoint(tmp_path / "last"))
    generator = np.random.default_rng(0)
    checkpoints.set_random_state(generator, load_checkpoint(tmp_path / "last").state["random_state"])
    expected = np.random.default_rng(1)
    for _ in range(3):
        expected.permutation(len(X))
    assert generator.bit_generator.state == expected.bit_generator.state


# ---- the engine with everything that training can add to a step ----


def extended(dtype, seed=5, **options):
    """A bound network with dropout, noise, mixing, averaging and normalized layers."""
    network = Network(5, 1, dtype, hidden=(70, 6, 3), activations=[("relu", 0.0)] * 3,
        **{"normalize": ("before", None, "after"), **options})
    rng = np.random.default_rng(seed)
    layers = network.unpack_layers(rng.normal(0, 0.3, len(network.parameters)))
    network.parameters[:] = network.pack_layers(*layers)
    training.configure(network, losses.HalfSquaredError(), optimizers.Adam(0.01), penalties.L2(1e-3))
    network.set_seed(11)
    network.set_dropout([0.1, 0.2, 0.0, 0.3])
    network.set_noise(0.1)
    network.set_mixup(0.4)
    network.set_max_norm([2.0, np.inf, 3.0, np.inf])
    network.set_averaging("swa", start=5, every=2)
    network.bind(X.astype(dtype), Y.astype(dtype).reshape(-1, 1))
    return network


def run(network, callbacks, resume=None):
    rng = np.random.RandomState(1)
    training.train(network, training.Plan(
        n_epochs=6, batch_size=16, n_samples=len(X), draw_order=permutations(len(X), rng), learning_rate=0.01,
        schedule=schedules.Constant(), callbacks=callbacks, random_state=rng, resume=resume))
    return comparable([network.parameters, network.average, network.moving_statistics()])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dropout_noise_averages_and_normalization(dtype, tmp_path):
    wanted = run(extended(dtype), [])
    assert run(extended(dtype), [ModelCheckpoint(tmp_path / "{epoch}")]) == wanted
    for epoch in (1, 4, 6):
        other = extended(dtype, seed=8)
        assert run(other, [], load_checkpoint(tmp_path / str(epoch))) == wanted
        assert not np.array_equal(other.moving_mean, 0 * other.moving_mean)
        assert not np.array_equal(other.average, other.parameters)
    with pytest.raises(ValueError, match="another architecture: normalize"):
        run(extended(dtype, normalize=("before", None, None)), [], load_checkpoint(tmp_path / "1"))


def test_best_weights_are_all_that_a_prediction_needs():
    """Averages and moving statistics of the best epoch come back with its parameters."""

    class Best(EarlyStopping):
        def on_epoch_end(self, epoch, logs):
            if epoch == 2:
                network = self.training.network
                kept.append(comparable([network.parameters, network.average, network.moving_statistics()]))
            return super().on_epoch_end(epoch, {"loss": [3, 1, 2, 2, 2, 2][epoch - 1]})

    kept = []
    assert run(extended("float64"), [Best("loss", patience=9, restore_best_weights=True)]) == kept[0]


# ---- what cannot be gone on from ----


@pytest.fixture
def saved(tmp_path):
    MLPRegressor(**{**MLP, "max_iter": 2}, callbacks=ModelCheckpoint(tmp_path / "last")).fit(X, Y)
    return tmp_path / "last"


@pytest.mark.parametrize(("options", "match"), [
    ({"hidden_layer_sizes": (70, 5)}, r"another architecture: layers \[5, 70, 4, 1\] there, \[5, 70, 5, 1\] here"),
    ({"hidden_layer_sizes": (70,)}, "another architecture: layers"),
    ({"activation": "tanh"}, "another architecture: activations"),
    ({"dtype": "float32"}, "another dtype: dtype float64 there, float32 here"),
    ({"solver": "sgd"}, "another training: optimizer adam there, nesterov here"),
    ({"loss": "absolute_error"}, "another training: loss"),
    ({"batch_size": 17}, "another training: batch size 16 there, 17 here"),
], ids=str)
def test_a_checkpoint_of_another_training(saved, options, match):
    model = MLPRegressor(**MLP).fit(X, Y)
    before = everything(model)
    with pytest.raises(ValueError, match=match):
        model.set_params(**options).fit(X, Y, resume_from=saved)
    assert everything(model) == before


def test_a_checkpoint_of_other_data_or_of_another_estimator(saved):
    with pytest.raises(ValueError, match="n samples 70 there, 60 here"):
        MLPRegressor(**MLP).fit(X[:60], Y[:60], resume_from=saved)
    with pytest.raises(ValueError, match=r"layers \[5, 70, 4, 1\] there, \[4, 70, 4, 1\] here"):
        MLPRegressor(**MLP).fit(X[:, :4], Y, resume_from=saved)
    with pytest.raises(ValueError, match="another architecture"):
        LinearRegressor(batch_size=16).fit(X, Y, resume_from=saved)
    LinearRegressor(max_iter=2, callbacks=ModelCheckpoint(saved)).fit(X, Y)
    network = Network(5, 1)
    network.set_loss("half_squared_error")
    network.set_optimizer("adam", ("s1", "s2"), {})
    facts = checkpoints.facts_of(network, 70, 70, schedules.Constant(), None)
    with pytest.raises(ValueError, match="another training: stopping Stopping there, none here"):
        load_checkpoint(saved).require(facts)


@pytest.mark.parametrize(("cls", "options"), [(MLPRegressor, {"solver": "lbfgs"}), (LinearRegressor, {
    "optimizer": "lbfgs"})])
def test_lbfgs_has_no_checkpoints(saved, cls, options, tmp_path):
    with pytest.raises(ValueError, match="resume_from needs"):
        cls(**options).fit(X, Y, resume_from=saved)
    with pytest.raises(ValueError, match="a checkpoint needs an optimizer that makes steps"):
        cls(**options, callbacks=ModelCheckpoint(tmp_path / "new")).fit(X, Y)
    assert not (tmp_path / "new").exists()


def test_a_file_that_is_missing_or_cut_short_or_changed(saved, tmp_path):
    fit = MLPRegressor(**MLP)
    with pytest.raises(ValueError, match="not a folder with a checkpoint"):
        fit.fit(X, Y, resume_from=tmp_path / "none")
    for path in sorted(saved.iterdir()):
        data = path.read_bytes()
        for damaged, match in (
            (data[:-2], "cut short|changed"), (data[:len(data) // 2], "cut short"), (b"", "cut short"),
            (None, "missing"), (data[:-9] + bytes([data[-9] ^ 1]) + data[-8:], "changed|cut short"),
        ):
            path.unlink() if damaged is None else path.write_bytes(damaged)
            with pytest.raises(ValueError, match=match) as error:
                fit.fit(X, Y, resume_from=saved)
            assert path.name in str(error.value)
            path.write_bytes(data)
    assert not hasattr(fit, "coefs_")
    fit.fit(X, Y, resume_from=saved)


def test_a_model_is_not_a_checkpoint(tmp_path):
    from fasttrain.persistence import load, save

    model = MLPRegressor(**MLP, callbacks=ModelCheckpoint(tmp_path / "last")).fit(X, Y)
    save(model, tmp_path / "model")
    with pytest.raises(ValueError, match=r"checkpoint\.json is missing"):
        model.fit(X, Y, resume_from=tmp_path / "model")
    with pytest.raises(ValueError, match=r"model\.json is missing"):
        load(tmp_path / "last")


@pytest.mark.parametrize(("change", "match"), [
    (lambda c: c["facts"].update(layers=[5, 70, 3, 1]), "must fit the layers"),
    (lambda c: c["facts"].update(dtype="float32"), "finite numbers of float32"),
    (lambda c: c["state"]["items"].pop(0), "epoch"),
    (lambda c: c["state"].update({"@": "pickle"}), "not a kind of value"),
    (lambda c: c.update(state=[]), "list"),
])
def test_an_index_that_does_not_fit_its_arrays(saved, change, match):
    index = json.loads((saved / "checkpoint.json").read_text())
    change(index["checkpoint"])
    index["sha256"] = archive._digest(index)
    (saved / "checkpoint.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match=match):
        load_checkpoint(saved)


def entry_of(items, *names):
    """The [key, value] of nested dicts as they are written."""
    for name in names:
        found = next(item for item in items["items"] if item[0] == name)
        items = found[1]
    return found


@pytest.mark.parametrize(("names", "value", "match"), [
    (("network", "counters", "t"), {"@": "float", "value": "inf"}, "counters must be a number of steps and a number"),
    (("network", "counters", "t"), 10**30, "counters must be a number of steps"),
    (("network", "counters", "t"), 2.5, "counters must be a number of steps"),
    (("network", "counters", "carried"), "a", "counters must be a number of steps"),
    (("network", "counters", "carried"), {"@": "float", "value": "nan"}, "counters must be a number of steps"),
    (("network", "counters", "carried"), -1.0, "counters must be a number of steps"),
    (("stopping", "best_loss_"), None, "best_loss_ must be numbers, got None"),
])
def test_numbers_that_no_training_has(saved, names, value, match):
    index = json.loads((saved / "checkpoint.json").read_text())
    entry_of(index["checkpoint"]["state"], *names)[1] = value
    index["sha256"] = archive._digest(index)
    (saved / "checkpoint.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match=match):
        MLPRegressor(**MLP).fit(X, Y, resume_from=saved)


def rewritten(folder, change):
    """Change the index and the arrays of a checkpoint."""
    index, arrays = checkpoints._KIND.read(folder)
    change(index["checkpoint"], arrays)
    checkpoints._KIND.write(folder, index["checkpoint"], arrays)


def normalized(epsilon=1e-3):
    model = Sequential([Dense(8, input_dim=5), BatchNormalization(epsilon=epsilon), Dense(1)])
    model.compile("sgd", "mse")
    return model


def test_a_moving_variance_that_has_no_root_is_refused(tmp_path):
    """A little below zero has one, with epsilon: Keras on PyTorch trains such."""
    normalized().fit(X, Y, epochs=1, verbose=0, callbacks=[ModelCheckpoint(tmp_path)])

    def damage(value):
        def change(content, arrays):
            (name,) = [name for name in arrays if "moving_variance" in name]
            arrays[name][2] = value

        rewritten(tmp_path, change)

    damage(-1e-6)
    model = normalized()
    model.load_weights(tmp_path)
    assert np.isfinite(model.predict(X)).all()
    normalized().fit(X, Y, epochs=2, verbose=0, resume_from=tmp_path)
    for value in (-1e-3, -1.0):
        damage(value)
        for use in (load_checkpoint, normalized().load_weights):
            with pytest.raises(ValueError, match=rf"moving_variance must hold numbers > -epsilon, -0.001, got {value}"):
                use(tmp_path)


@pytest.mark.parametrize("epsilon", [None, -1.0, {"@": "float", "value": "nan"}])
def test_normalized_layers_have_an_epsilon(tmp_path, epsilon):
    normalized().fit(X, Y, epochs=1, verbose=0, callbacks=[ModelCheckpoint(tmp_path)])
    with pytest.raises(ValueError, match=r"another architecture: normalization epsilon 0.001 there, 0.01 here"):
        normalized(0.01).load_weights(tmp_path)
    with pytest.raises(ValueError, match=r"another architecture: normalization epsilon 0.001 there, 0.01 here"):
        normalized(0.01).fit(X, Y, epochs=2, verbose=0, resume_from=tmp_path)
    rewritten(tmp_path, lambda content, arrays: content["facts"].update(normalization_epsilon=epsilon))
    with pytest.raises(ValueError, match="normalization_epsilon must be a number > 0"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize(("optimizer", "slot"), [
    ("adagrad", "s1"), ("rmsprop", "s1"), (optimizers.RMSprop(centered=True), "s1"), ("adadelta", "s1"),
    ("adadelta", "s2"), ("adam", "s2"), ("nadam", "s2"), (optimizers.Adam(amsgrad=True), "s2"),
    (optimizers.Adam(amsgrad=True), "s3"), ("adamax", "s2"), ("ftrl", "s1"), ("lamb", "s2"),
], ids=str)
@pytest.mark.parametrize("value", [-1.0, np.nan])
def test_squares_of_a_rule_are_not_negative(tmp_path, optimizer, slot, value):
    path = tmp_path / "last"
    options = {"optimizer": optimizer, "batch_size": 16, "random_state": 3}
    LinearRegressor(**options, max_iter=2, callbacks=ModelCheckpoint(path)).fit(X, Y)

    def change(content, arrays):
        (name,) = [name for name in arrays if f"['slots']['{slot}']['coefs']" in name]
        arrays[name][2] = value

    rewritten(path, change)
    with pytest.raises(ValueError, match=f"{slot} of .* must hold numbers >= 0"):
        LinearRegressor(**options, max_iter=3).fit(X, Y, resume_from=path)


@pytest.mark.parametrize("new", [None, "s3"])
def test_the_slots_are_those_of_the_rule(saved, new):
    def change(content, arrays):
        slots = entry_of(content["state"], "network", "slots")[1]["items"]
        if new is None:
            slots.pop()
            for name in [name for name in arrays if "['s2']" in name]:
                del arrays[name]
        else:
            slots[1][0] = new

    rewritten(saved, change)
    with pytest.raises(ValueError, match=r"the slots must be \['s1', 's2'\], got \['s1'"):
        MLPRegressor(**MLP).fit(X, Y, resume_from=saved)


def test_the_state_of_a_callback_that_does_not_fit(tmp_path):
    class EarlyStopping(Callback):
        def state_dict(self):
            return {"mine": 1}

    model = MLPRegressor(**MLP, callbacks=[ModelCheckpoint(tmp_path / "last"), EarlyStopping()]).fit(X, Y)
    before = everything(model)
    model.set_params(callbacks=globals()["EarlyStopping"]("loss"))
    with pytest.raises(ValueError, match="last does not fit this training: KeyError"):
        model.fit(X, Y, resume_from=tmp_path / "last")
    assert everything(model) == before


@pytest.mark.parametrize(("error", "kind"), [
    (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), OSError), (KeyboardInterrupt(), None),
])
@pytest.mark.parametrize("owner", ["_write", "_sync", "replace"])
def test_a_failure_while_writing_leaves_the_last_one(saved, monkeypatch, error, kind, owner):
    """A full disk is an error out of fit, Ctrl-C ends it with a warning; the checkpoint before is whole."""
    before = load_checkpoint(saved)
    files = {path.name: path.read_bytes() for path in saved.iterdir()}

    def fail(*args):
        raise error

    model = MLPRegressor(**{**MLP, "random_state": 9}, callbacks=ModelCheckpoint(saved))
    with monkeypatch.context() as patch:
        patch.setattr(atomic.os if owner == "replace" else atomic, owner, fail)
        if kind is None:
            with pytest.warns(UserWarning, match="interrupted"):
                model.fit(X, Y)
            assert model.n_iter_ == 1
        else:
            with pytest.raises(kind, match="No space"):
                model.fit(X, Y)
            assert not hasattr(model, "coefs_")
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == files
    assert comparable(load_checkpoint(saved).coefs) == comparable(before.coefs)


@pytest.mark.parametrize("field, got", [
    ("{auc}", "'auc'"), ("{}", "index 0"), ("{epoch:zz}", "format code|Invalid format"), ("{loss.mean_of}", "mean_of"),
    ("{epoch", "expected '}'"),
])
def test_a_field_that_is_not_logged(tmp_path, field, got):
    with pytest.raises(ValueError, match=rf"filepath must have fields of the logs only, epoch and loss.*({got})"):
        minimize(X, Y, n_iter=1, callback=ModelCheckpoint(tmp_path / field))


def test_checkpoints_do_not_hang_on_each_other(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "copy")
    shutil.rmtree(saved)
    MLPRegressor(**MLP).fit(X, Y, resume_from=tmp_path / "copy")


@pytest.mark.parametrize("gauss, good", [
    (0.0, True), (-1.5, True), (7, True), (10**30, True), (10**400, False), (float("nan"), False),
    (-float("inf"), False), ("0", False), (True, False),
], ids=lambda value: str(value)[:20])
def test_a_number_of_a_random_state_must_be_finite(gauss, good):
    state = checkpoints.random_state_to(np.random.RandomState(0))
    state["gauss"] = gauss
    if good:
        assert checkpoints.random_state_to(checkpoints.random_state_from(state))["gauss"] == float(gauss)
        return
    with pytest.raises(ValueError, match="gauss must be a finite number"):
        checkpoints.random_state_from(state)
