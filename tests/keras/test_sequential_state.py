"""Sequential between epochs and between processes: callbacks, checkpoints, weights, copies, files."""

import copy
import os
import pickle
import re

import numpy as np
import pytest
from sequential_cases import CODES, REAL, X, classifier, same

from fasttrain import activations, keras, losses, optimizers
from fasttrain.callbacks import (
    Callback, CSVLogger, EarlyStopping, LearningRateScheduler, ModelCheckpoint, ReduceLROnPlateau, TerminateOnNaN,
)
from fasttrain.keras import layers
from fasttrain.models import Sequential, load_model


@pytest.fixture(autouse=True)
def _seeded():
    keras.utils.set_random_seed(0)


# ---- callbacks ----

def test_callbacks_see_the_model_and_keras_names():
    seen = []

    class Watcher(Callback):
        def on_epoch_end(self, epoch, logs):
            seen.append((epoch, sorted(logs), self.model.get_weights()[0].copy()))

    model = classifier()
    model.fit(X, CODES, epochs=5, initial_epoch=3, verbose=0, validation_split=0.2, callbacks=[Watcher()])
    assert [epoch for epoch, *_ in seen] == [4, 5]
    assert seen[0][1] == ["accuracy", "learning_rate", "loss", "val_accuracy", "val_loss"]
    assert not np.array_equal(seen[0][2], seen[1][2])
    assert np.array_equal(seen[1][2], model.get_weights()[0])


def test_early_stopping_restores_the_best_weights():
    losses_seen, weights = [], []

    def note(epoch, logs):
        losses_seen.append(logs["val_loss"])
        weights.append(model.get_weights())

    model = classifier(optimizer=keras.optimizers.Adam(0.1))
    stop = EarlyStopping("val_loss", patience=3, restore_best_weights=True)
    history = model.fit(X, CODES[::-1].copy(), epochs=100, verbose=0, validation_split=0.3, callbacks=[note, stop])
    best = int(np.argmin(losses_seen))
    assert len(history.epoch) == best + 4 < 100
    for found, wanted in zip(model.get_weights(), weights[best]):
        assert np.array_equal(found, wanted)
    assert model.predict(X).tobytes() == model.predict(X).tobytes()


def test_a_callback_may_set_weights_rate_and_stop():
    class Meddler(Callback):
        def on_epoch_end(self, epoch, logs):
            if epoch == 1:
                self.model.set_weights([np.zeros_like(w) for w in self.model.get_weights()])
                self.model.optimizer.learning_rate = 0.0
            rates.append(logs["learning_rate"])
            self.model.stop_training = epoch == 3

    rates = []
    model = classifier(optimizer="sgd")
    history = model.fit(X, CODES, epochs=10, verbose=0, callbacks=Meddler())
    assert rates == [0.01, 0.0, 0.0]
    assert history.history["loss"][1:] == pytest.approx([np.log(3)] * 2)
    assert not any(w.any() for w in model.get_weights())
    assert model.optimizer.learning_rate == 0.0


def test_schedules_of_callbacks_stay_with_the_optimizer():
    model = classifier(optimizer=keras.optimizers.SGD(1.0))
    halve = LearningRateScheduler(lambda epoch, rate: rate / 2 if epoch else rate)
    history = model.fit(X, CODES, epochs=4, verbose=0, callbacks=[halve])
    assert history.history["learning_rate"] == [1.0, 0.5, 0.25, 0.125]
    assert model.optimizer.learning_rate == 0.125
    plateau = ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=10.0)
    model.fit(X, CODES, epochs=4, verbose=0, callbacks=[plateau])
    assert model.optimizer.learning_rate < 0.125


def test_terminate_on_nan_and_csv_logger(tmp_path):
    model = Sequential([layers.Dense(2, input_dim=6)])
    model.compile(keras.optimizers.SGD(1e12), "mse", metrics=["mae"])
    log = CSVLogger(tmp_path / "log.csv")
    with pytest.warns(RuntimeWarning, match="stopped being finite"):
        history = model.fit(X, REAL, epochs=30, verbose=0, callbacks=[log, TerminateOnNaN()])
    assert len(history.epoch) < 30
    assert all(np.isfinite(w).all() for w in model.get_weights())
    head = (tmp_path / "log.csv").read_text().splitlines()[0] if history.epoch else "epoch,learning_rate,loss,mae"
    assert head == "epoch,learning_rate,loss,mae"


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_checkpoint_goes_on_to_the_same_bytes(tmp_path, dropout):
    def fresh():
        keras.utils.set_random_seed(2)
        model = Sequential([
            layers.Dense(9, "tanh", input_dim=6), layers.BatchNormalization(), layers.Dropout(dropout),
            layers.Dense(3, "softmax"),
        ])
        model.compile("nadam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    arguments = {"batch_size": 16, "verbose": 0, "validation_split": 0.2}
    whole = fresh()
    history = whole.fit(X, CODES, epochs=6, **arguments).history
    fresh().fit(X, CODES, epochs=3, callbacks=[ModelCheckpoint(tmp_path / "half")], **arguments)
    resumed = fresh()
    again = resumed.fit(X, CODES, epochs=6, resume_from=tmp_path / "half", **arguments).history
    assert same(whole, resumed)
    assert again == history
    other = Sequential([layers.Dense(8, "tanh", input_dim=6), layers.Dense(3, "softmax")])
    other.compile("nadam", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="another architecture"):
        other.fit(X, CODES, epochs=6, resume_from=tmp_path / "half", **arguments)


def test_weights_come_from_models_and_checkpoints(tmp_path):
    model = classifier()
    model.fit(X, CODES, verbose=0, callbacks=[ModelCheckpoint(tmp_path / "best", "loss", save_best_only=True)])
    model.save(tmp_path / "model")
    for name in ("best", "model"):
        other = classifier()
        assert not same(other, model)
        other.load_weights(tmp_path / name)
        assert same(other, model)
        assert other.predict(X).tobytes() == model.predict(X).tobytes()
        small = Sequential([layers.Dense(2, input_dim=6)])
        with pytest.raises(ValueError, match=r"another architecture|must hold 2 arrays"):
            small.load_weights(tmp_path / name)
    with pytest.raises(ValueError, match="load_weights takes its weights"):
        load_model(tmp_path / "best")


def test_ctrl_c_keeps_the_weights_so_far():
    def interrupt(epoch, logs):
        seen.append(model.get_weights())
        if epoch == 2:
            raise KeyboardInterrupt

    seen = []
    model = classifier()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, CODES, epochs=9, verbose=0, callbacks=[interrupt])
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), seen[1]))
    assert model.optimizer.iterations == 8
    model.fit(X, CODES, verbose=0)


# ---- weights ----

def test_callbacks_see_the_steps_that_are_done():
    seen = []

    class Batches(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(int(self.model.optimizer.iterations))

    model = classifier()
    model.fit(X, CODES, batch_size=40, epochs=1, verbose=0, callbacks=[Batches()])
    assert seen == [1, 2, 3]
    model.fit(X, CODES, batch_size=40, epochs=2, verbose=0, callbacks=[
        lambda epoch, logs: seen.append(int(model.optimizer.iterations))])
    assert seen[3:] == [6, 9]


def test_weights_beyond_the_dtype_are_refused():
    model = classifier()
    with pytest.raises(ValueError, match=r"kernel must hold finite numbers of float32, got NaN or infinity"):
        model.set_weights([np.full(w.shape, 1e300) for w in model.get_weights()])


def test_set_weights_takes_all_or_nothing():
    model = classifier()
    before = model.get_weights()
    for bad, message in (
        (before[:-1], "4 arrays, got 3"), ([*before[:-1], np.zeros(7)], r"shape \(3,\), got \(7,\)"),
        ([*before[:-1], np.full(3, np.nan)], "finite"),
    ):
        with pytest.raises(ValueError, match=message):
            model.set_weights(bad)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), before))
    before[0][:] = 7
    assert not (model.get_weights()[0] == 7).any()


def test_copies_and_pickles_go_on_as_the_model_does():
    model = classifier(optimizer="nadam")
    model.fit(X, CODES, verbose=0)
    others = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    for one in (model, *others):
        one.fit(X, CODES, epochs=2, shuffle=False, verbose=0)
    assert same(model, others[0])
    assert same(model, others[1])


def test_single_row_and_call():
    model = classifier()
    np.testing.assert_allclose(model.predict(X[:1]), model(X)[:1], rtol=1e-6)
    assert model.predict_on_batch(X[:2]).shape == (2, 3)
    with pytest.raises(ValueError, match="training must be False"):
        model(X, training=True)


# ---- files ----

def everything():
    model = Sequential([
        layers.Input((6,)), layers.Dropout(0.1, seed=3),
        layers.Dense(12, use_bias=False, kernel_initializer="he_normal", kernel_regularizer="l2"),
        layers.BatchNormalization(momentum=0.9), layers.LeakyReLU(0.2), layers.Dropout(0.2),
        layers.Dense(7, activations.Elu(0.5), kernel_constraint=keras.constraints.MaxNorm(3)),
        layers.Dense(3, "softmax", kernel_regularizer=keras.regularizers.L1L2(1e-5, 1e-4)),
    ], name="all")
    model.compile(
        keras.optimizers.Adam(0.01, weight_decay=0.1), keras.losses.SparseCategoricalCrossentropy(name="entropy"),
        metrics=["acc", keras.metrics.SparseTopKCategoricalAccuracy(k=2)])
    return model


@pytest.mark.parametrize("name", ["model", "model.h5", "there/is/none"])
def test_a_saved_model_goes_on_as_if_it_had_not_been_saved(tmp_path, name):
    model = everything()
    model.fit(X, CODES, epochs=2, verbose=0)
    model.save(tmp_path / name)
    again = load_model(tmp_path / name)
    assert same(model, again)
    assert again.name == "all"
    assert [type(layer) for layer in again.layers] == [type(layer) for layer in model.layers]
    assert again.predict(X).tobytes() == model.predict(X).tobytes()
    assert again.evaluate(X, CODES, verbose=0) == model.evaluate(X, CODES, verbose=0)
    assert again.metrics_names == model.metrics_names == ["loss", "acc", "sparse_top_k_categorical_accuracy"]
    assert again.optimizer.iterations == model.optimizer.iterations == 8
    assert again.optimizer.get_config() == model.optimizer.get_config()
    assert again.loss.name == "entropy"
    assert [layer.get_config() for layer in again.layers] == [layer.get_config() for layer in model.layers]
    plain = load_model(tmp_path / name, compile=False)
    assert same(plain, model)
    with pytest.raises(ValueError, match="compiled first"):
        plain.evaluate(X, CODES)


def test_training_goes_on_after_loading(tmp_path):
    model = classifier(optimizer=keras.optimizers.RMSprop(momentum=0.5, centered=True))
    model.fit(X, CODES, epochs=2, verbose=0)
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    for one in (model, again):
        one.fit(X, CODES, epochs=2, shuffle=False, verbose=0)
    assert same(model, again)


def test_damaged_files_are_refused(tmp_path):
    model = classifier()
    model.fit(X, CODES, verbose=0)
    folder = tmp_path / "model"
    model.save(folder)
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    arrays = next(name for name in whole if name.startswith("arrays-"))
    damages = [(name, cut) for name in whole for cut in (b"", whole[name][:-2], whole[name][:len(whole[name]) // 2])]
    flipped = bytearray(whole[arrays])
    flipped[-5] ^= 1
    damages += [(arrays, bytes(flipped)), ("sequential.json", whole["sequential.json"].replace(b"Dense", b"Sense"))]
    for name, content in damages:
        (folder / name).write_bytes(content)
        with pytest.raises(ValueError, match=re.escape(str(folder))):
            load_model(folder)
        (folder / name).write_bytes(whole[name])
    assert same(load_model(folder), model)
    with pytest.raises(ValueError, match=r"is not a \.keras file: .*; a model of fasttrain is a folder"):
        load_model(folder / arrays)
    with pytest.raises(ValueError, match="not a folder"):
        load_model(tmp_path / "nothing")
    with pytest.raises(ValueError, match="overwrite is False"):
        model.save(folder, overwrite=False)


def test_a_variance_that_has_no_root_is_refused():
    """Those that Keras trained on PyTorch may be a little below zero: E[z^2] - E[z]^2 in float32."""
    normalization = layers.BatchNormalization(epsilon=0.25)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(4), normalization, layers.Dense(1)])
    arrays = model.get_weights()
    for variance in (-1, -0.25):
        arrays[5][2] = variance
        with pytest.raises(ValueError, match=rf"moving_variance must hold numbers > -epsilon, -0.25, got {variance}"):
            model.set_weights(arrays)
    arrays[5][2] = -1e-6
    model.set_weights(arrays)
    z = X[:, :4] @ arrays[0] + arrays[1]
    wanted = z / np.sqrt(arrays[5] + 0.25) @ arrays[6] + arrays[7]
    np.testing.assert_allclose(model.predict(X[:, :4]), wanted, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match=r"moving_variance must hold numbers > -epsilon, -0.001, got -1"):
        layers.BatchNormalization(moving_variance_initializer=keras.initializers.Constant(-1.0)).build((4,), np.float32)


@pytest.mark.parametrize("change", [
    lambda config: config["layers"][0].update(given_shape=(2**31 - 1,)),
    lambda config: config["layers"][-1]["config"].update(units=2**31 - 1),
])
def test_sizes_that_the_weights_do_not_have_are_refused_before_anything_is_made(tmp_path, monkeypatch, change):
    model = classifier()
    model.build((None, X.shape[1]))
    config = model.get_config()
    change(config)
    monkeypatch.setattr(model, "get_config", lambda: config)
    model.save(tmp_path / "model")
    with pytest.raises(ValueError, match="parameters that the layers have"):
        load_model(tmp_path / "model")


@pytest.mark.parametrize("change, message", [
    (lambda m: m["slots"]["s1"]["coefs"][0].__setitem__(0, -1), "s1 of ftrl must hold numbers >= 0"),
    (lambda m: m["slots"]["s1"]["intercepts"][1].__setitem__(0, np.nan), "s1 of ftrl must hold numbers >= 0"),
    (lambda m: m["slots"]["s2"]["coefs"][0].__setitem__(0, np.inf), "s2 must hold finite numbers"),
    (lambda m: m["slots"]["accumulated"]["coefs"][0].__setitem__(0, np.nan), "accumulated must hold finite numbers"),
    (lambda m: m["average"]["coefs"][0].__setitem__(0, np.nan), "average must hold finite numbers"),
    (lambda m: m["average"]["coefs"].pop(), "coefs of average must fit the layers"),
    (lambda m: m.update(average=None), "does not describe a model"),
    (lambda m: m["slots"]["s2"].update(coefs=[array[:, :1] for array in m["slots"]["s2"]["coefs"]]),
     "coefs of s2 must fit the layers"),
    (lambda m: m["slots"]["s2"].update(coefs=[array.astype("f8") for array in m["slots"]["s2"]["coefs"]]),
     "coefs of s2 must hold finite numbers of float32"),
    (lambda m: m["slots"].pop("accumulated"), "memory must be of rule 'ftrl'"),
    (lambda m: m["counters"].update(t=-1.0), "counters must be a number of steps"),
    (lambda m: m["counters"].update(t=2.5), "counters must be a number of steps"),
    (lambda m: m["counters"].update(carried=float("nan")), "counters must be a number of steps"),
])
def test_a_memory_that_no_training_has_is_refused(tmp_path, monkeypatch, change, message):
    model = classifier(optimizer=keras.optimizers.Ftrl(0.1, gradient_accumulation_steps=3, use_ema=True))
    model.fit(X, CODES, verbose=0)
    memory = model._optimizer_state()
    change(memory)
    monkeypatch.setattr(model, "_optimizer_state", lambda: memory)
    model.save(tmp_path / "model")
    with pytest.raises(ValueError, match=message):
        load_model(tmp_path / "model")


def test_a_failed_save_leaves_the_old_model(tmp_path, monkeypatch):
    model = classifier()
    model.save(tmp_path / "model")
    before = model.get_weights()
    model.fit(X, CODES, verbose=0)
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        model.save(tmp_path / "model")
    monkeypatch.undo()
    assert all(np.array_equal(a, b) for a, b in zip(load_model(tmp_path / "model").get_weights(), before))


def test_what_is_not_plain_data_is_not_saved(tmp_path):
    for options in (
        {"metrics": [lambda y, p: 0.0]}, {"optimizer": optimizers.Adam()}, {"loss": losses.SoftmaxCrossentropy()},
        {"optimizer": keras.optimizers.SGD(lambda step: 0.1)},
    ):
        with pytest.raises(TypeError, match="cannot be saved"):
            classifier(**options).save(tmp_path / "model")
    assert not (tmp_path / "model").exists()
