"""What Keras's own tests of losses, metrics, schedules, callbacks and files ask, asked of both libraries.

The figures are those of its tests where a case of theirs says something that random numbers do not; the answers are
Keras's own. Training beside Keras is in test_keras_parity.py.
"""

import csv
import os
import re
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
real = pytest.importorskip("keras")

from fasttrain import keras as ours  # noqa: E402

RNG = np.random.default_rng(0)
MANY = RNG.uniform(0.02, 0.98, (60, 4)).astype("float32")
ONE_HOT = np.eye(4, dtype="float32")[RNG.integers(0, 4, 60)]
LABELS = RNG.integers(0, 2, (60, 4)).astype("float32")
WEIGHTS = RNG.uniform(0, 2, 60).astype("float32")
ROWS = RNG.normal(size=(96, 6)).astype("float32")
CODES = (ROWS[:, 0] > 0).astype(int) + (ROWS[:, 1] > 0)

METRICS = [
    ("F1Score", {}, "one_hot"), ("F1Score", {"average": "macro"}, "one_hot"),
    ("F1Score", {"average": "micro"}, "one_hot"),
    ("F1Score", {"average": "weighted"}, "labels"), ("F1Score", {"threshold": 0.4}, "labels"),
    ("FBetaScore", {"beta": 0.5}, "one_hot"),
    ("FBetaScore", {"beta": 2.0, "threshold": 0.3, "average": "micro"}, "labels"),
    ("AUC", {"curve": "PR"}, "labels"), ("AUC", {"curve": "PR", "summation_method": "minoring"}, "labels"),
    ("AUC", {"summation_method": "majoring", "num_thresholds": 11}, "labels"),
    ("AUC", {"curve": "PR", "summation_method": "majoring"}, "one_hot"),
    ("AUC", {"multi_label": True}, "labels"), ("AUC", {"multi_label": True, "curve": "PR", "num_labels": 4}, "labels"),
    ("AUC", {"multi_label": True, "label_weights": [0.1, 0.5, 1.0, 0.0]}, "labels"),
    ("AUC", {"label_weights": [0.1, 0.5, 1.0, 0.0]}, "labels"), ("AUC", {"thresholds": [0.2, 0.9, 0.5]}, "labels"),
    ("AUC", {"from_logits": True}, "labels"),
    ("TruePositives", {}, "labels"), ("TrueNegatives", {"thresholds": 0.3}, "labels"),
    ("FalsePositives", {"thresholds": [0.1, 0.5, 0.9]}, "labels"),
    ("FalseNegatives", {"thresholds": [0.7, 0.2]}, "labels"),
    ("Precision", {"thresholds": [0.2, 0.6]}, "labels"), ("Precision", {"top_k": 2}, "one_hot"),
    ("Precision", {"class_id": 1}, "labels"), ("Precision", {"class_id": 2, "top_k": 2}, "one_hot"),
    ("Precision", {"thresholds": 0.5, "top_k": 3}, "labels"), ("Recall", {"top_k": 1}, "one_hot"),
    ("Recall", {"class_id": 3, "thresholds": [0.3, 0.8]}, "labels"),
    ("SensitivityAtSpecificity", {"specificity": 0.5}, "labels"),
    ("SpecificityAtSensitivity", {"sensitivity": 0.6, "class_id": 1}, "labels"),
    ("PrecisionAtRecall", {"recall": 0.4, "num_thresholds": 50}, "labels"),
    ("RecallAtPrecision", {"precision": 0.55}, "labels"),
    ("Accuracy", {}, "equal"), ("CategoricalHinge", {}, "one_hot"), ("CosineSimilarity", {}, "one_hot"),
    ("KLDivergence", {}, "one_hot"), ("LogCoshError", {}, "labels"),
    ("PearsonCorrelation", {}, "labels_that_vary"), ("ConcordanceCorrelation", {}, "labels"),
    ("R2Score", {"class_aggregation": None}, "labels"), ("R2Score", {"num_regressors": 3}, "labels"),
    ("R2Score", {"class_aggregation": "variance_weighted_average"}, "labels"),
    ("BinaryCrossentropy", {"label_smoothing": 0.2}, "labels"), ("TopKCategoricalAccuracy", {"k": 1}, "one_hot"),
]  # fmt: skip


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name, settings, kind", METRICS)
def test_metrics(name, settings, kind, weighted):
    if weighted and name == "R2Score" and settings.get("num_regressors"):
        weighted = False
    y = {"one_hot": ONE_HOT, "labels": LABELS, "labels_that_vary": LABELS + 0.5 * ONE_HOT,
         "equal": np.round(MANY * 2)}[kind]
    p = np.where(MANY > 0.5, y, y + 1) if kind == "equal" else MANY
    theirs, own = (getattr(library.metrics, name)(**settings) for library in (real, ours))
    for metric in (theirs, own):
        for rows in (slice(0, 25), slice(25, 60)):
            metric.update_state(y[rows], p[rows], WEIGHTS[rows] if weighted else None)
    assert own.name == re.sub(r"_\d+$", "", theirs.name)
    expected = np.asarray(theirs.result())
    assert np.shape(own.result()) == expected.shape
    np.testing.assert_allclose(own.result(), expected, rtol=3e-5, atol=1e-6)
    # a configuration of Keras makes the same metric here
    config = theirs.get_config()
    again = type(own).from_config(config)
    again.update_state(y, p, WEIGHTS if weighted else None)
    np.testing.assert_allclose(again.result(), expected, rtol=3e-5, atol=1e-6)
    theirs.reset_state()
    own.reset_state()
    if name not in ("R2Score", "AUC") or "multi_label" not in settings:
        assert not np.asarray(own.result()).any()


@pytest.mark.parametrize("name, settings, y, p, weights", [
    # the hand-made cases of confusion_metrics_test.py
    ("AUC", {"num_thresholds": 3}, [0, 0, 1, 1], [0, 0.5, 0.3, 0.9], [1, 2, 3, 4]),
    ("AUC", {"thresholds": [0.5]}, [0, 0, 1, 1], [0, 0.5, 0.3, 0.9], [1, 2, 3, 4]),
    ("AUC", {"num_thresholds": 3, "curve": "PR"}, [0, 0, 1, 1], [0, 0.5, 0.3, 0.9], [1, 2, 3, 4]),
    ("AUC", {"num_thresholds": 3, "curve": "PR", "summation_method": "majoring"}, [0, 0, 1, 1], [0, 0.5, 0.3, 0.9],
     [1, 2, 3, 4]),
    ("AUC", {"curve": "PR"}, [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], None),
    ("AUC", {}, [0, 0, 0, 0], [0, 0.5, 0.3, 0.9], None), ("AUC", {}, [1, 1, 1, 1], [0, 0.5, 0.3, 0.9], None),
    ("AUC", {"curve": "PR"}, [0, 0, 0, 0], [0, 0.5, 0.3, 0.9], None),
    ("AUC", {"from_logits": True, "num_thresholds": 3}, [0, 0, 1, 1], [-4.0, 0.0, -1.0, 2.0], None),
    ("Precision", {"thresholds": [0.5, 0.7]}, [[0, 1], [1, 0]], [[1, 0], [0.6, 0]], [[4, 0], [3, 1]]),
    ("Precision", {"top_k": 3}, [[0, 1, 1, 0, 0]], [[0.2, 0.1, 0.5, 0, 0.2]], None),
    ("Precision", {"class_id": 2}, [[0, 1, 1, 0, 0]], [[0.2, 0.1, 0.6, 0, 0.2]], None),
    ("Precision", {"class_id": 2, "top_k": 2}, [[0, 1, 1, 0, 0]], [[0.2, 0.6, 0.3, 0, 0.2]], None),
    ("Recall", {"thresholds": [0.0, 1.0]}, [0, 1, 1, 0], [0.0, 1.0, 0.5, 1.0], None),
    ("Recall", {"top_k": 3}, [[0, 1, 1, 0, 0]], [[0.2, 0.1, 0.5, 0, 0.2]], None),
    ("TruePositives", {"thresholds": [0.15, 0.5, 0.85]}, [[0, 1, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]],
     [[0.9, 0.2, 0.8, 0.1], [0.2, 0.9, 0.7, 0.6], [0.1, 0.2, 0.4, 0.3], [0, 1, 0.7, 0.3]], None),
    ("SensitivityAtSpecificity", {"specificity": 0.8}, [0, 0, 0, 0, 0, 1, 1, 1, 1, 1],
     [0.0, 0.1, 0.2, 0.3, 0.4, 0.1, 0.45, 0.5, 0.8, 0.9], None),
    ("SpecificityAtSensitivity", {"sensitivity": 0.4}, [0, 0, 0, 0, 0, 1, 1, 1, 1, 1],
     [0.0, 0.1, 0.2, 0.3, 0.4, 0.01, 0.02, 0.25, 0.26, 0.26], None),
    ("PrecisionAtRecall", {"recall": 2.0 / 6}, [0, 0, 0, 0, 0, 1, 1, 1, 1, 1],
     [0.0, 0.1, 0.2, 0.3, 0.4, 0.01, 0.02, 0.25, 0.26, 0.26], [2, 2, 1, 1, 1, 1, 1, 2, 2, 2]),
    ("RecallAtPrecision", {"precision": 2.0 / 3}, [0, 0, 0, 1, 1, 0, 0, 1, 0, 1, 1, 0],
     [0.05, 0.1, 0.2, 0.3, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.9, 0.95], None),
    ("F1Score", {"threshold": 0.5}, [[1, 1, 1], [1, 0, 0], [1, 1, 0]],
     [[0.2, 0.6, 0.7], [0.2, 0.6, 0.6], [0.6, 0.8, 0]], None),
    ("F1Score", {}, [[1, 0], [0, 1]], [[0.0, 0.0], [0.0, 0.0]], None),
    ("CosineSimilarity", {}, [[1, 9, 2], [-5, -2, 6]], [[4, 8, 12], [8, 1, 3]], [1.2, 3.4]),
    ("R2Score", {}, [[1], [4], [3]], [[2], [4], [4]], None), ("R2Score", {}, [[1], [1]], [[2], [1]], None),
    ("SparseTopKCategoricalAccuracy", {"k": 1}, [2, 1], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]], [0.7, 0.3]),
    ("TopKCategoricalAccuracy", {"k": 1}, [[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]], [0.7, 0.3]),
    ("BinaryAccuracy", {}, [1, 1, 0, 0], [0.98, 1, 0, 0.6], [1, 0, 0, 1]),
    ("Accuracy", {}, [1, 2, 3, 4], [0, 2, 3, 4], [1, 1, 0, 0]),
])
def test_figures_of_keras_tests(name, settings, y, p, weights):
    if np.ndim(weights) == 2:
        # of elements: rows are all that is weighted here
        weights = np.array(weights)[:, 0]
    results = []
    for library in (real, ours):
        metric = getattr(library.metrics, name)(**settings)
        metric.update_state(np.array(y), np.array(p, dtype="float32"), None if weights is None else np.array(weights))
        results.append(np.asarray(metric.result()))
    np.testing.assert_allclose(results[1], results[0], rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("name, settings", [
    ("MeanAbsolutePercentageError", {}), ("MeanSquaredLogarithmicError", {}), ("LogCosh", {}), ("KLDivergence", {}),
    ("CosineSimilarity", {}), ("CategoricalHinge", {}), ("Dice", {}), ("Tversky", {"alpha": 0.2}),
    ("BinaryFocalCrossentropy", {"apply_class_balancing": True}), ("CategoricalFocalCrossentropy", {"gamma": 1.0}),
    ("BinaryCrossentropy", {"label_smoothing": 0.3}), ("Huber", {"delta": 0.2}), ("MeanSquaredError", {}),
])
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None])
def test_losses_and_reductions(name, settings, reduction):
    for weights in (None, WEIGHTS):
        theirs, own = (
            np.asarray(getattr(library.losses, name)(reduction=reduction, **settings)(
                ONE_HOT, MANY, sample_weight=weights)) for library in (real, ours))
        assert own.shape == theirs.shape
        np.testing.assert_allclose(own, theirs, rtol=5e-5, atol=1e-6)


@pytest.mark.parametrize("name, arguments", [
    ("ExponentialDecay", (0.05, 10, 0.96)), ("ExponentialDecay", (0.1, 3, 0.96, True)),
    ("PiecewiseConstantDecay", ([1, 2, 3], [0.4, 0.3, 0.2, 0.1])), ("PiecewiseConstantDecay", ([5], [0.9, 0.1])),
    ("PolynomialDecay", (0.05, 10)), ("PolynomialDecay", (0.05, 10, 0.001)), ("PolynomialDecay", (0.05, 10, 0.0, 0.5)),
    ("PolynomialDecay", (0.05, 10, 0.001, 2.0, True)), ("InverseTimeDecay", (0.1, 10, 0.96)),
    ("InverseTimeDecay", (0.1, 10, 0.96, True)), ("CosineDecay", (1.0, 25)), ("CosineDecay", (1.0, 25, 0.1)),
    ("CosineDecay", (0.1, 20, 0.1, "CosineDecay", 1.5, 10)), ("CosineDecay", (0.0, 10, 0.0, "CosineDecay", 1.0, 0)),
    ("CosineDecayRestarts", (1.0, 10)), ("CosineDecayRestarts", (1.0, 7, 1.0)),
    ("CosineDecayRestarts", (1.0, 9, 2.0, 0.5, 0.1)),
])
def test_schedules(name, arguments):
    theirs, own = (getattr(library.optimizers.schedules, name)(*arguments) for library in (real, ours))
    steps = np.arange(60)
    expected = [float(theirs(step)) for step in steps]
    # at a restart the place in float32 may fall on either side
    close = {"rtol": 1e-4, "atol": 2e-4} if "Restarts" in name else {"rtol": 2e-5, "atol": 1e-7}
    np.testing.assert_allclose([own(step) for step in steps], expected, **close)
    np.testing.assert_array_equal(own(steps), own.rates(0, 60))
    config = {**theirs.get_config()}
    np.testing.assert_allclose(type(own).from_config(config)(steps), expected, **close)
    serialized = real.optimizers.schedules.serialize(theirs)
    assert ours.optimizers.schedules.deserialize(serialized).get_config() == own.get_config()


@pytest.mark.parametrize("make", [
    lambda library: library.optimizers.AdamW(weight_decay=None),
    lambda library: library.optimizers.SGD(clipnorm=1.0, global_clipnorm=1.0),
    lambda library: library.optimizers.Adam(use_ema=True, ema_momentum=2.0),
    lambda library: library.metrics.F1Score()(np.zeros(3), np.zeros(3)),
    lambda library: library.metrics.AUC(num_labels=2),
    lambda library: library.metrics.AUC(curve="wrong"),
    lambda library: library.losses.MeanSquaredError(reduction="total"),
    lambda library: library.callbacks.BackupAndRestore(""),
    lambda library: library.optimizers.schedules.PiecewiseConstantDecay([1, 2], [0.1]),
    lambda library: library.optimizers.schedules.CosineDecay(0.1, 0),
])
def test_both_refuse(make):
    for library in (real, ours):
        with pytest.raises((ValueError, TypeError)):
            make(library)


# ---- callbacks ----

def classifier(library, **settings):
    model = library.Sequential([
        library.Input((6,)), library.layers.Dense(8, "relu"), library.layers.Dense(3, "softmax")])
    model.compile(**{"optimizer": "adam", "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"],
                     "jit_compile": False, **settings})
    return model


def pair(**settings):
    models = [classifier(library, **settings) for library in (real, ours)]
    models[1].set_weights(models[0].get_weights())
    return models


class Recorder(real.callbacks.Callback):
    """Keras's own base class: every hook with its numbers and the names of its logs."""

    def __init__(self):
        super().__init__()
        self.seen = []


def recording(name):
    def hook(self, *args, logs=None):
        if args and isinstance(args[-1], dict):
            *args, logs = args
        self.seen.append((name, *args, sorted(logs or {})))

    return hook


for kind in ("train", "test"):
    for edge in ("begin", "end"):
        for hook_name in (f"on_{kind}_{edge}", f"on_{kind}_batch_{edge}", f"on_epoch_{edge}"):
            setattr(Recorder, hook_name, recording(hook_name))


def test_hooks_come_as_in_keras():
    found = []
    for model in pair():
        recorder = Recorder()
        model.fit(ROWS, CODES, batch_size=32, epochs=4, initial_epoch=2, validation_split=1 / 3, validation_freq=2,
                  verbose=0, callbacks=[recorder])
        model.evaluate(ROWS, CODES, batch_size=48, verbose=0, callbacks=[recorder])
        # the names of logs before a hook, and after the end of all, are no promise of Keras's
        found.append([call if call[0].endswith("_batch_end") or call[0] == "on_epoch_end" else call[:-1]
                      for call in recorder.seen])
    assert found[1] == found[0]


def test_keras_own_callbacks_work_here(tmp_path):
    results = []
    for number, model in enumerate(pair(optimizer="sgd")):
        kind = real.callbacks
        stop = kind.EarlyStopping("loss", patience=1, min_delta=0.02, restore_best_weights=True)
        given = [
            stop, kind.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=0.05), kind.History(),
            kind.LearningRateScheduler(lambda epoch, lr: 0.3 if epoch == 0 else lr),
            kind.CSVLogger(str(tmp_path / f"{number}.csv")), kind.TerminateOnNaN(),
            kind.LambdaCallback(on_epoch_end=lambda epoch, logs: None),
            kind.ModelCheckpoint(str(tmp_path / f"{number}.keras"), monitor="loss", save_best_only=True, mode="min"),
            kind.ModelCheckpoint(str(tmp_path / f"{number}.weights.h5"), save_weights_only=True),
        ]
        history = model.fit(ROWS, CODES, epochs=20, batch_size=96, shuffle=False, verbose=0, callbacks=given)
        results.append((stop.stopped_epoch, stop.best_epoch, history.history, given[2].history))
        last = real.saving.load_model(tmp_path / f"{number}.keras")
        assert last.predict(ROWS, verbose=0).shape == (96, 3)
    (stopped, best, history, theirs), (own_stopped, own_best, own_history, again) = results
    assert (own_stopped, own_best) == (stopped, best)
    for name, values in again.items():
        np.testing.assert_allclose(values, theirs[name], rtol=1e-3, atol=1e-5)
    for name in own_history:
        np.testing.assert_allclose(own_history[name], history[name], rtol=1e-3, atol=1e-5)
    columns = [next(csv.reader((tmp_path / f"{number}.csv").open())) for number in (0, 1)]
    assert columns[0] == columns[1]


@pytest.mark.parametrize("validated, rates", [(False, False), (True, False), (False, True), (True, True)])
def test_csv_columns(tmp_path, validated, rates):
    found = []
    for number, (library, model) in enumerate(zip((real, ours), pair())):
        given = [library.callbacks.LearningRateScheduler(lambda epoch: 0.1)] if rates else []
        given.append(library.callbacks.CSVLogger(str(tmp_path / f"{number}.csv")))
        model.fit(ROWS, CODES, epochs=2, verbose=0, callbacks=given, validation_split=0.25 * validated)
        found.append(list(csv.reader((tmp_path / f"{number}.csv").open())))
    assert found[1][0] == found[0][0]
    assert [row[0] for row in found[1]] == [row[0] for row in found[0]]
    assert [[cell == "NA" for cell in row] for row in found[1]] == [[cell == "NA" for cell in row] for row in found[0]]


def test_early_stopping_counts_as_there():
    results = []
    for library, model in zip((real, ours), pair(optimizer="sgd")):
        stop = library.callbacks.EarlyStopping("loss", patience=2, min_delta=0.05, start_from_epoch=2)
        model.fit(ROWS, CODES, epochs=30, batch_size=96, shuffle=False, verbose=0, callbacks=[stop])
        results.append((stop.stopped_epoch, stop.best_epoch, stop.wait))
    assert results[0] == results[1]


# ---- files ----

def networks():
    def plain(k):
        return [k.layers.Dense(8, "relu", kernel_regularizer="l2"), k.layers.Dense(3, "softmax")]

    def normalized(k):
        return [
            k.layers.Dropout(0.1, seed=1), k.layers.Dense(8, use_bias=False, kernel_initializer="he_normal"),
            k.layers.BatchNormalization(momentum=0.9, epsilon=1e-2), k.layers.Activation("tanh"), k.layers.Dropout(0.2),
            k.layers.Dense(5), k.layers.LeakyReLU(negative_slope=0.2), k.layers.Dense(4, "elu"),
            k.layers.Dense(4, kernel_constraint=k.constraints.MaxNorm(2.0)), k.layers.ReLU(), k.layers.Dense(3),
            k.layers.Softmax()]

    return {"plain": plain, "normalized": normalized}


@pytest.mark.parametrize("network, optimizer", [
    ("plain", lambda o: o.Adam(0.01, amsgrad=True, use_ema=True)), ("normalized", lambda o: o.Adam(0.01)),
    ("plain", lambda o: o.SGD(o.schedules.CosineDecay(0.1, 50), momentum=0.9)), ("plain", lambda o: o.Nadam()),
    ("plain", lambda o: o.RMSprop(momentum=0.9, centered=True)), ("plain", lambda o: o.Adagrad(clipnorm=0.5)),
    ("plain", lambda o: o.Adamax(0.01)), ("plain", lambda o: o.Ftrl(0.1, l1_regularization_strength=0.01)),
    ("plain", lambda o: o.Adam(0.01, gradient_accumulation_steps=3, use_ema=True)), ("plain", lambda o: o.Lamb(0.01)),
])
def test_files_go_both_ways(tmp_path, network, optimizer):
    for writer, reader in ((real, ours), (ours, real)):
        model = writer.Sequential([writer.Input((6,)), *networks()[network](writer)])
        model.compile(
            optimizer(writer.optimizers), writer.losses.SparseCategoricalCrossentropy(),
            metrics=["accuracy", writer.metrics.SparseTopKCategoricalAccuracy(k=2)], jit_compile=False)
        model.fit(ROWS, CODES, epochs=2, verbose=0)
        model.save(tmp_path / "model.keras")
        again = reader.models.load_model(tmp_path / "model.keras")
        expected = np.asarray(model.predict(ROWS, verbose=0))
        np.testing.assert_allclose(again.predict(ROWS, verbose=0), expected, rtol=1e-4, atol=1e-6)
        assert int(again.optimizer.iterations) == int(model.optimizer.iterations)
        np.testing.assert_allclose(
            again.evaluate(ROWS, CODES, verbose=0), model.evaluate(ROWS, CODES, verbose=0), rtol=1e-4)
        model.save_weights(tmp_path / "only.weights.h5")
        other = reader.models.model_from_json(model.to_json())
        other.load_weights(tmp_path / "only.weights.h5")
        np.testing.assert_allclose(other.predict(ROWS, verbose=0), expected, rtol=1e-4, atol=1e-6)
        if network == "plain":
            for one in (model, again):
                one.fit(ROWS, CODES, epochs=2, shuffle=False, verbose=0)
            np.testing.assert_allclose(
                again.predict(ROWS, verbose=0), np.asarray(model.predict(ROWS, verbose=0)), rtol=5e-3, atol=1e-3)


@pytest.mark.parametrize("optimizer", ["Adam", "Lamb"])
def test_files_of_layers_before_the_first_go_both_ways(tmp_path, optimizer):
    for writer, reader in ((real, ours), (ours, real)):
        adapted = writer.layers.Normalization()
        adapted.adapt(3 * ROWS + 1)
        model = writer.Sequential([
            writer.Input((6,)), writer.layers.Rescaling(2.0, offset=1.0), adapted, writer.layers.Identity(),
            writer.layers.Normalization(axis=None, mean=0.5, variance=2.0), writer.layers.GaussianNoise(0.1, seed=3),
            writer.layers.Dense(8, "mish", kernel_constraint="unit_norm", kernel_initializer="identity"),
            writer.layers.Dense(5), writer.layers.ReLU(max_value=6.0), writer.layers.Dense(3, "softmax")])
        model.compile(getattr(writer.optimizers, optimizer)(0.01),
                      writer.losses.CategoricalGeneralizedCrossEntropy(0.6), metrics=["accuracy"], jit_compile=False)
        model.fit(ROWS, CODES, epochs=2, verbose=0)
        model.save(tmp_path / "model.keras")
        again = reader.models.load_model(tmp_path / "model.keras")
        expected = np.asarray(model.predict(ROWS, verbose=0))
        np.testing.assert_allclose(again.predict(ROWS, verbose=0), expected, rtol=1e-4, atol=1e-6)
        assert int(again.optimizer.iterations) == int(model.optimizer.iterations)
        np.testing.assert_allclose(
            again.evaluate(ROWS, CODES, verbose=0), model.evaluate(ROWS, CODES, verbose=0), rtol=1e-4)
        model.save_weights(tmp_path / "only.weights.h5")
        other = reader.models.model_from_json(model.to_json())
        other.load_weights(tmp_path / "only.weights.h5")
        np.testing.assert_allclose(other.predict(ROWS, verbose=0), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("axis", [-1, None])
@pytest.mark.parametrize("shape", [(6,), (3, 2)])
def test_normalization_is_adapted_alike(axis, shape):
    rows = (5 * ROWS + np.arange(6)).reshape(-1, *shape)
    theirs, own = (library.layers.Normalization(axis=axis) for library in (real, ours))
    for layer in (theirs, own):
        layer.adapt(rows)
    for a, b in zip(own.get_weights(), theirs.get_weights()):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(own(rows), np.asarray(theirs(rows)), rtol=1e-4, atol=1e-5)
    theirs, own = (library.layers.Normalization(mean=2.0, variance=3.0, invert=True) for library in (real, ours))
    np.testing.assert_allclose(own(rows), np.asarray(theirs(rows)), rtol=1e-5, atol=1e-6)
    theirs, own = (library.layers.Rescaling(0.5, [1.0, 2.0] if shape == (3, 2) else 1.0) for library in (real, ours))
    np.testing.assert_allclose(own(rows), np.asarray(theirs(rows)), rtol=1e-5, atol=1e-6)


def test_a_functional_chain_of_keras_is_read(tmp_path):
    inputs = real.Input((6,), name="rows")
    hidden = real.layers.Dense(8, "tanh")(inputs)
    hidden = real.layers.BatchNormalization()(hidden)
    model = real.Model(inputs, real.layers.Dense(2)(hidden))
    model.compile("nadam", "mse")
    model.save(tmp_path / "chain.keras")
    again = ours.models.load_model(tmp_path / "chain.keras")
    np.testing.assert_allclose(again.predict(ROWS), model.predict(ROWS, verbose=0), rtol=1e-4, atol=1e-6)
    branch = real.Model(inputs, real.layers.Add()([real.layers.Dense(2)(hidden), real.layers.Dense(2)(hidden)]))
    branch.save(tmp_path / "branch.keras")
    with pytest.raises(ValueError, match=r"branch.keras: config.layers\[\d\]"):
        ours.models.load_model(tmp_path / "branch.keras")
    real.Sequential([real.Input((6, 1)), real.layers.Conv1D(3, 2)]).save(tmp_path / "conv.keras")
    with pytest.raises(ValueError, match=r"config.layers\[1\]: class_name must be a layer of fasttrain, got 'Conv1D'"):
        ours.models.load_model(tmp_path / "conv.keras")


# ---- how much of Keras there is ----

# Names of Keras's modules that have no business in a dense network of numbers.
ELSEWHERE = {
    "layers": "Conv|Pool|UpSampling|ZeroPadding|Cropping|Spatial|LSTM|GRU|RNN|Bidirectional|TimeDistributed|Masking|"
              "RepeatVector|Attention|GroupQuery|Rand|MixUp|CutMix|AugMix|Resizing|CenterCrop|AutoContrast|Equaliz|"
              "Solarization|Bounding|MelSpectrogram|STFT|Lookup|Hash|TextVectorization|Embedding|Permute|Pipeline|Jax|"
              "Flax|Torch|TFSM|Grayscale",
    "utils": "image|img|audio|text_dataset|timeseries|pad_sequences|bounding|FeatureSpace|get_file|legacy|"
             "is_keras_tensor|get_source_inputs|model_to_dot|plot_model|Config",
    "losses": "CTC|ctc|Circle|circle", "metrics": "IoU", "callbacks": "Orbax|Remote",
    "optimizers": "legacy|LossScale|OptimizerMap|MultiOptimizer", "initializers": "STFT|stft",
}
MODULES = (
    "activations", "callbacks", "constraints", "initializers", "layers", "losses", "metrics", "models", "optimizers",
    "optimizers.schedules", "regularizers", "saving", "utils",
)


def test_the_page_tells_how_many_names_there_are():
    present = total = 0
    for module in MODULES:
        theirs, own = real, ours
        for part in module.split("."):
            theirs, own = getattr(theirs, part), getattr(own, part)
        pattern = ELSEWHERE.get(module)
        names = [name for name in dir(theirs) if not name.startswith("_") and not (
            pattern and re.search(pattern, name))]
        total += len(names)
        present += sum(hasattr(own, name) for name in names)
    page = (Path(__file__).parents[2] / "docs" / "coming-from-keras.md").read_text()
    said = re.search(r"Of (\d+) public names of Keras (\S+) .*?, (\d+) are here", page, re.S)
    assert said, f"the page must say: Of {total} public names of Keras {real.__version__} ..., {present} are here"
    if said[2] == real.__version__:
        assert (int(said[1]), int(said[3])) == (total, present)
