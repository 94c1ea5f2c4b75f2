"""Callbacks of Keras's protocol in a Sequential, and those of fasttrain with Keras's numbers."""

import csv
import json

import numpy as np
import pytest
from sequential_cases import BINARY, CODES, X, classifier, same

from fasttrain import callbacks, keras
from fasttrain.models import Sequential, load_model


class Everything:
    """Keras's protocol without a base class; writes down what it is told."""

    def __init__(self):
        self.calls = []

    def set_model(self, model):
        self.model = model

    def set_params(self, params):
        self.params = params

    def __getattr__(self, name):
        if not name.startswith("on_"):
            raise AttributeError(name)

        def hook(*args):
            *number, logs = args
            self.calls.append((name, *number, sorted(logs)))

        return hook


def test_hooks_in_their_order_with_numbers_from_zero():
    seen, model = Everything(), classifier()
    model.fit(X[:80], CODES[:80], epochs=4, initial_epoch=2, batch_size=40, verbose=0, callbacks=[seen],
              validation_data=(X[80:], CODES[80:]), validation_freq=2)
    assert seen.model is model
    assert seen.params == {"epochs": 4, "steps": 2, "verbose": 0}
    names = ["accuracy", "loss"]
    batches = [("on_train_batch_begin", 0, []), ("on_train_batch_end", 0, names),
               ("on_train_batch_begin", 1, []), ("on_train_batch_end", 1, names)]
    test = [("on_test_begin", []), ("on_test_batch_begin", 0, []), ("on_test_batch_end", 0, names),
            ("on_test_end", names)]
    assert seen.calls == [
        ("on_train_begin", []),
        ("on_epoch_begin", 2, []), *batches, ("on_epoch_end", 2, names),
        ("on_epoch_begin", 3, []), *batches, *test,
        ("on_epoch_end", 3, [*names, "val_accuracy", "val_loss"]),
        ("on_train_end", [*names, "val_accuracy", "val_loss"]),
    ]
    seen.calls.clear()
    model.evaluate(X, CODES, batch_size=100, verbose=0, callbacks=[seen])
    assert seen.calls == [
        ("on_test_begin", []), ("on_test_batch_begin", 0, []), ("on_test_batch_end", 0, names),
        ("on_test_batch_begin", 1, []), ("on_test_batch_end", 1, names), ("on_test_end", names)]
    seen.calls.clear()
    model.predict(X, batch_size=100, callbacks=[seen])
    assert [call[0] for call in seen.calls] == [
        "on_predict_begin", *["on_predict_batch_begin", "on_predict_batch_end"] * 2, "on_predict_end"]


@pytest.mark.parametrize("batch_size", [16, 7, 120])
def test_running_batch_by_batch_changes_nothing(batch_size):
    class Batches(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.losses = []

        def on_train_batch_end(self, batch, logs=None):
            self.losses.append(logs)

    models, histories, seen = [], [], Batches()
    for given in ([], [seen]):
        keras.utils.set_random_seed(3)
        model = Sequential([
            keras.layers.Dense(20, input_dim=6), keras.layers.BatchNormalization(), keras.layers.Activation("relu"),
            keras.layers.Dropout(0.3), keras.layers.Dense(3, "softmax")])
        loss = "sparse_categorical_crossentropy"
        model.compile("adam", loss, metrics=["accuracy", loss])
        histories.append(model.fit(X, CODES, epochs=3, batch_size=batch_size, verbose=0, callbacks=given))
        models.append(model)
    assert same(*models)
    assert histories[0].history == histories[1].history
    per_epoch = -(-len(X) // batch_size)
    assert len(seen.losses) == 3 * per_epoch
    for epoch in range(3):
        last = seen.losses[(epoch + 1) * per_epoch - 1]
        assert last == pytest.approx({name: values[epoch] for name, values in histories[1].history.items()}, rel=1e-6)


def test_hooks_that_are_not_overridden_leave_the_epoch_whole():
    class Epochs(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            runs.append(self.model._network.batches_done)

    runs = []
    model = classifier()
    calls = []
    real = callbacks._keras.KerasBridge.on_batch_end
    try:
        callbacks._keras.KerasBridge.on_batch_end = lambda *args: calls.append(args)
        model.fit(X, CODES, verbose=0, batch_size=10, callbacks=[Epochs()])
    finally:
        callbacks._keras.KerasBridge.on_batch_end = real
    assert runs == [12]
    assert not calls


def test_a_rate_set_in_a_batch_hook_is_that_batchs():
    """Warm-up in a callback, against the same rates from a function of the step."""
    class Warmup(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.model.optimizer.learning_rate.assign(0.01 * (int(self.model.optimizer.iterations) * 0 + batch + 1))

    models = []
    for optimizer, given in (
        (keras.optimizers.SGD(0.5), [Warmup()]), (keras.optimizers.SGD(lambda step: 0.01 * (step % 8 + 1)), []),
    ):
        keras.utils.set_random_seed(0)
        model = classifier(optimizer=optimizer)
        model.fit(X, CODES, batch_size=15, epochs=2, verbose=0, callbacks=given)
        models.append(model)
    assert same(*models)
    assert models[0].optimizer.learning_rate == pytest.approx(0.08)


def test_weights_seen_and_set_in_batch_hooks_are_the_models():
    class Zero(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            seen.append(self.model.get_weights()[0].copy())
            self.model.set_weights([np.zeros_like(w) for w in self.model.get_weights()])

    seen = []
    model = Sequential([keras.layers.Dense(4, "tanh", input_dim=6), keras.layers.Dense(1, "sigmoid")])
    model.compile(keras.optimizers.SGD(0.0), "binary_crossentropy")
    history = model.fit(X, BINARY, batch_size=40, verbose=0, callbacks=[Zero()])
    assert np.abs(seen[0]).max() > 0
    assert not seen[1].any()
    assert not seen[2].any()
    # of zeros every probability is a half
    assert history.history["loss"] == pytest.approx([np.log(2)])


def test_stopping_in_the_middle_of_an_epoch():
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 2:
                self.model.stop_training = True

    model = classifier()
    history = model.fit(X, CODES, batch_size=20, epochs=5, verbose=0, callbacks=[Stop()])
    assert model.optimizer.iterations == 3
    assert history.epoch == [0]
    rows = slice(0, 60)
    model = classifier()
    model.fit(X[rows], CODES[rows], batch_size=20, epochs=5, shuffle=False, verbose=0, callbacks=[Stop()])


def test_batch_hooks_of_fasttrain_count_from_one_everywhere():
    from fasttrain import MLPClassifier

    class Count(callbacks.Callback):
        def __init__(self):
            self.seen = []

        def on_batch_begin(self, batch):
            self.seen.append(batch)

        def on_batch_end(self, batch, logs):
            self.seen.append((batch, sorted(logs)))

    count = Count()
    net = MLPClassifier((4,), max_iter=1, batch_size=60, random_state=0, callbacks=[count])
    with pytest.warns(Warning, match="converge"):
        net.fit(X, CODES)
    wanted = [1, (1, ["learning_rate", "loss"]), 2, (2, ["learning_rate", "loss"])]
    assert count.seen == wanted
    plain = MLPClassifier((4,), max_iter=1, batch_size=60, random_state=0)
    with pytest.warns(Warning, match="converge"):
        plain.fit(X, CODES)
    assert all((a == b).all() for a, b in zip(net.coefs_, plain.coefs_))
    other = Count()
    classifier().fit(X, CODES, batch_size=60, verbose=0, callbacks=[other])
    assert other.seen == wanted


def test_epochs_of_ours_count_from_one_and_on_from_the_first():
    class Ours(callbacks.Callback):
        def __init__(self):
            self.seen = []

        def on_train_begin(self, n_epochs):
            self.seen.append(n_epochs)

        def on_epoch_begin(self, epoch):
            self.seen.append((epoch, self.training.epoch, self.training.n_epochs))

        def on_epoch_end(self, epoch, logs):
            self.seen.append(epoch)

    ours, numbers = Ours(), []
    classifier().fit(X, CODES, epochs=5, initial_epoch=3, verbose=0,
                     callbacks=[ours, lambda epoch, logs: numbers.append(epoch)])
    assert ours.seen == [5, (4, 4, 5), 4, (5, 5, 5), 5]
    assert numbers == [4, 5]


def test_lambda_callback_and_history():
    seen = []
    again = keras.callbacks.History()
    made = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: seen.append(("begin", epoch)),
        on_train_batch_end=lambda batch, logs: seen.append(batch), on_train_end=lambda logs: seen.append(sorted(logs)))
    history = classifier().fit(X, CODES, batch_size=60, epochs=2, verbose=0, callbacks=[made, again])
    assert seen == [("begin", 0), 0, 1, ("begin", 1), 0, 1, ["accuracy", "loss"]]
    assert again.history == history.history
    assert again.epoch == history.epoch == [0, 1]
    assert isinstance(history, keras.callbacks.History)
    assert history.params == {"epochs": 2, "steps": 2, "verbose": 0}


def test_a_callback_list_for_loops_of_ones_own():
    seen = Everything()
    several = keras.callbacks.CallbackList([seen], add_history=True, model="model", epochs=3)
    several.on_train_begin({})
    several.on_epoch_end(0, {"loss": 1.0})
    assert (seen.model, seen.params) == ("model", {"epochs": 3})
    assert [call[0] for call in seen.calls] == ["on_train_begin", "on_epoch_end"]
    assert several.callbacks[1].history == {"loss": [1.0]}


def test_early_stopping_tells_epochs_from_zero_here_and_from_one_there():
    found = []
    for module in (keras.callbacks, callbacks):
        stop = module.EarlyStopping("loss", patience=2, min_delta=100.0)
        classifier().fit(X, CODES, epochs=9, verbose=0, callbacks=[stop])
        found.append((stop.stopped_epoch, stop.best_epoch))
    assert found == [(2, 0), (3, 1)]


@pytest.mark.parametrize("validated, changed", [(False, False), (True, False), (False, True)])
def test_csv_columns(tmp_path, validated, changed):
    model = classifier(metrics=["accuracy", keras.metrics.Precision(thresholds=[0.1, 0.5])], loss=(
        "categorical_crossentropy"))
    given = [keras.callbacks.CSVLogger(tmp_path / "log.csv")]
    if changed:
        given.append(keras.callbacks.LearningRateScheduler(lambda epoch: 0.1))
    y = np.eye(3)[CODES]
    model.fit(X, y, epochs=2, verbose=0, callbacks=given, validation_split=0.2 * validated)
    head, *rows = csv.reader((tmp_path / "log.csv").open())
    own = ["accuracy", *(["learning_rate"] if changed else []), "loss", "precision"]
    assert head == ["epoch", *own, *(f"val_{name}" for name in own)]
    assert [row[0] for row in rows] == ["0", "1"]
    assert rows[0][own.index("precision") + 1].startswith('"[0.')
    assert (rows[0][-1] == "NA") is not validated


def test_model_checkpoints_are_models(tmp_path):
    pytest.importorskip("h5py")
    model = classifier()
    given = [
        keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", monitor="loss", save_best_only=True),
        keras.callbacks.ModelCheckpoint(tmp_path / "{epoch:02d}.weights.h5", save_weights_only=True),
    ]
    model.fit(X, CODES, epochs=3, verbose=0, callbacks=given)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "01.weights.h5", "02.weights.h5", "03.weights.h5", "best.keras"]
    again = load_model(tmp_path / "best.keras")
    np.testing.assert_allclose(again.predict(X), model.predict(X), rtol=1e-6)
    assert again.optimizer.iterations == 12
    other = classifier()
    other.load_weights(tmp_path / "03.weights.h5")
    assert same(other, model)
    for path, weights_only in (("a.keras", True), ("a.weights.h5", False), ("folder", True)):
        with pytest.raises(ValueError, match=r"filepath must end with '.weights.h5'"):
            keras.callbacks.ModelCheckpoint(path, save_weights_only=weights_only)
    from fasttrain import MLPClassifier

    with pytest.raises(ValueError, match="filepath must be a folder, as only a Sequential"):
        MLPClassifier(max_iter=1, callbacks=[callbacks.ModelCheckpoint(tmp_path / "x.keras")]).fit(X, CODES)


def test_backup_and_restore_goes_on_to_the_same_bytes(tmp_path):
    def fit(stop_at=None):
        keras.utils.set_random_seed(0)
        model = classifier()

        def crash(epoch, logs):
            if epoch == stop_at:
                raise RuntimeError("the lights went out")

        history = model.fit(X, CODES, epochs=6, verbose=0, callbacks=[
            crash, keras.callbacks.BackupAndRestore(tmp_path / "backup")])
        return model, history

    whole, straight = fit()
    assert not (tmp_path / "backup").exists()
    with pytest.raises(RuntimeError, match="lights"):
        fit(4)
    assert (tmp_path / "backup" / "latest").exists()
    resumed, history = fit()
    assert same(resumed, whole)
    assert history.history == straight.history
    assert not (tmp_path / "backup").exists()


def test_a_fit_of_one_who_handles_an_error_ends_as_any_other(tmp_path):
    def fit():
        keras.utils.set_random_seed(0)
        model = classifier(optimizer=keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9))
        model.fit(X, CODES, epochs=3, verbose=0, callbacks=[keras.callbacks.BackupAndRestore(tmp_path / "backup")])
        assert not (tmp_path / "backup").exists()
        return model

    plain = fit()
    try:
        raise FileNotFoundError("no model yet")
    except FileNotFoundError:
        handling = fit()
    assert same(handling, plain)


def test_tensorboard_writes_events(tmp_path):
    pytest.importorskip("tensorboardX")
    board = keras.callbacks.TensorBoard(tmp_path / "logs", histogram_freq=1, update_freq=3)
    classifier().fit(X, CODES, epochs=2, batch_size=20, validation_split=0.25, verbose=0, callbacks=[board])
    parts = (tmp_path / "logs").iterdir()
    found = {part.name: b"".join(file.read_bytes() for file in part.iterdir()) for part in parts}
    assert set(found) == {"train", "validation"}
    for name in (b"epoch_loss", b"epoch_accuracy", b"epoch_learning_rate", b"batch_loss", b"layer_1/kernel"):
        assert name in found["train"]
    assert b"epoch_loss" in found["validation"]
    assert b"epoch_learning_rate" not in found["validation"]


def test_tensorboard_without_a_writer_says_so(monkeypatch):
    import sys

    for name in ("tensorboardX", "tensorboard", "tensorboard.summary"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match="pip install tensorboardX"):
        keras.callbacks.TensorBoard("logs")


def test_arrays_of_a_metric_are_in_logs_history_and_checkpoints(tmp_path):
    logs_seen = []
    model = classifier(loss="categorical_crossentropy", metrics=[keras.metrics.F1Score()])
    y = np.eye(3)[CODES]
    history = model.fit(X, y, epochs=2, verbose=2, callbacks=[
        lambda epoch, logs: logs_seen.append(logs["f1_score"]), keras.callbacks.ModelCheckpoint(tmp_path / "last")])
    assert [value.shape for value in history.history["f1_score"]] == [(3,), (3,)]
    assert (logs_seen[1] == history.history["f1_score"][1]).all()
    assert model.evaluate(X, y, verbose=0)[1].shape == (3,)
    again = model.fit(X, y, epochs=3, verbose=0, resume_from=tmp_path / "last")
    assert len(again.history["f1_score"]) == 3
    assert json.dumps(again.history["loss"])
