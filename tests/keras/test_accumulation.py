"""gradient_accumulation_steps: several batches make an update; test_sequential_twin.py has the arithmetic."""

import copy
import pickle

import numpy as np
import pytest
from sequential_cases import CODES, X, classifier, same

from fasttrain import keras, num_threads
from fasttrain._kernels import prediction
from fasttrain.callbacks import ModelCheckpoint
from fasttrain.keras import layers
from fasttrain.models import Sequential, load_model
from fasttrain.training import DivergenceError

SETTINGS = [{}, {"global_clipnorm": 0.1}, {"clipnorm": 0.02, "use_ema": True}]


def accumulating(steps=3, kind=keras.optimizers.Adam, **settings):
    keras.utils.set_random_seed(4)
    return classifier(optimizer=kind(0.02, gradient_accumulation_steps=steps, **settings))


@pytest.fixture
def every_thread_is_used():
    before = prediction.set_step_per_thread(0.0)
    yield
    prediction.set_step_per_thread(before)


@pytest.mark.parametrize("batch_size", [16, 1100])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_threads_change_no_byte(every_thread_is_used, settings, batch_size):
    rows, codes = np.tile(X, (25, 1)), np.tile(CODES, 25)
    models = []
    for threads in (1, 2, 3):
        model = accumulating(**settings)
        with num_threads(threads):
            model.fit(rows, codes, batch_size=batch_size, epochs=3, verbose=0)
        models.append(model)
    assert same(models[0], models[1])
    assert same(models[0], models[2])
    assert models[0].optimizer.iterations == 3 * -(-len(rows) // batch_size) // 3


@pytest.mark.parametrize("kind", [keras.optimizers.SGD, keras.optimizers.Ftrl, keras.optimizers.Nadam])
def test_batches_of_one_update_are_a_larger_batch(kind):
    small, large = accumulating(4, kind), accumulating(None, kind)
    small.fit(X, CODES, batch_size=10, epochs=5, shuffle=False, verbose=0)
    large.fit(X, CODES, batch_size=40, epochs=5, shuffle=False, verbose=0)
    assert small.optimizer.iterations == large.optimizer.iterations == 15
    for a, b in zip(small.get_weights(), large.get_weights()):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_nothing_moves_before_the_update():
    model = accumulating(3)
    before = model.get_weights()
    for batch in range(2):
        model.train_on_batch(X[batch::9], CODES[batch::9])
        assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))
        assert model.optimizer.iterations == 0
    model.train_on_batch(X, CODES)
    assert not np.array_equal(before[0], model.get_weights()[0])
    assert model.optimizer.iterations == 1


@pytest.mark.parametrize("way", ["checkpoint", "folder", "file", "pickle", "copy"])
def test_training_goes_on_amid_an_update(tmp_path, way):
    """7 batches an epoch, of which an update takes 3."""
    arguments = {"batch_size": 18, "verbose": 0}
    whole = accumulating(use_ema=True)
    whole.fit(X, CODES, epochs=4, **arguments)
    if way == "checkpoint":
        accumulating(use_ema=True).fit(X, CODES, epochs=2, callbacks=[ModelCheckpoint(tmp_path / "c")], **arguments)
        again = accumulating(use_ema=True)
        again.fit(X, CODES, epochs=4, resume_from=tmp_path / "c", **arguments)
        assert same(whole, again)
        for steps, message in ((None, "optimizer slots"), (4, "batches of an update 3 there, 4 here")):
            with pytest.raises(ValueError, match=message):
                accumulating(steps, use_ema=True).fit(X, CODES, epochs=4, resume_from=tmp_path / "c", **arguments)
        return
    model = accumulating()
    model.fit(X, CODES, shuffle=False, **arguments)
    if way in ("pickle", "copy"):
        again = pickle.loads(pickle.dumps(model)) if way == "pickle" else copy.deepcopy(model)
    else:
        path = tmp_path / ("model.keras" if way == "file" else "model")
        model.save(path)
        again = load_model(path)
    assert again.optimizer.gradient_accumulation_steps == 3
    for one in (model, again):
        one.fit(X, CODES, shuffle=False, **arguments)
    if way == "file":
        # a rate of float32
        for a, b in zip(model.get_weights(), again.get_weights()):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    else:
        assert same(model, again)
    assert again.optimizer.iterations == model.optimizer.iterations == 14 // 3


def test_a_fit_that_fails_leaves_what_was_added_up():
    model, other = accumulating(), accumulating()
    for one in (model, other):
        one.train_on_batch(X, CODES)
    with pytest.raises(DivergenceError):
        model.fit(X * np.float32(5e37), CODES, batch_size=60, verbose=0)
    for one in (model, other):
        one.fit(X, CODES, batch_size=30, shuffle=False, verbose=0)
    assert same(model, other)


def test_schedules_follow_the_batches():
    seen = []

    def rate(step):
        seen.append(int(step))
        return 0.01

    model = classifier(optimizer=keras.optimizers.SGD(rate, gradient_accumulation_steps=2))
    model.fit(X, CODES, batch_size=30, verbose=0)
    assert sorted(set(seen)) == [0, 1, 2, 3]


def test_normalized_layers_have_statistics_of_each_batch():
    results = []
    for steps in (None, 2):
        keras.utils.set_random_seed(1)
        model = Sequential([layers.Dense(5, input_dim=6), layers.BatchNormalization(), layers.Dense(3, "softmax")])
        model.compile(keras.optimizers.SGD(1e-12, gradient_accumulation_steps=steps), "sparse_categorical_crossentropy")
        model.fit(X, CODES, batch_size=30, shuffle=False, verbose=0)
        results.append(model.non_trainable_weights)
    for one, other in zip(*results):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-6)
