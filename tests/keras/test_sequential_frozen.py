"""Layers of a Sequential that keep their weights: what is trained on them, when they are freed, what is refused."""

import pickle

import numpy as np
import pytest
from sequential_cases import CODES, REAL, X

from fasttrain import inspection, keras
from fasttrain.callbacks import Callback, ModelCheckpoint
from fasttrain.keras import layers
from fasttrain.models import Sequential, load_model


@pytest.fixture(autouse=True)
def _seeded():
    keras.utils.set_random_seed(0)


def stack(**below):
    return [
        layers.Dense(16, input_dim=6, name="below", **below), layers.BatchNormalization(), layers.Activation("relu"),
        layers.Dropout(0.2, seed=3), layers.Dense(8, "tanh", name="middle"), layers.Dense(3, "softmax", name="top"),
    ]


def pretrained(n_held=3, dtype=None):
    """A trained model whose first layers are held from here on."""
    model = Sequential(stack(dtype=dtype))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(X, CODES, epochs=2, verbose=0)
    for layer in model.layers[:n_held]:
        layer.trainable = False
    return model


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_held", [3, 5])
def test_the_rest_is_trained_as_a_network_on_their_features(n_held, dtype):
    model = pretrained(n_held, dtype)
    # the dropout above held layers is the input's dropout of the others; the one between them is in the way
    if n_held == 5:
        model = Sequential([layer for layer in model.layers if not isinstance(layer, layers.Dropout)])
        n_held = 4
    held = [weights for layer in model.layers[:n_held] for weights in layer.get_weights()]
    features = Sequential([*model.layers[:n_held], layers.Dense(16 if n_held == 3 else 8, name="identity")])
    features.build((None, 6))
    features.layers[-1].set_weights([np.eye(len(features.layers[-1].bias)), np.zeros(len(features.layers[-1].bias))])
    inputs = features.predict(X.astype(dtype))
    above = [type(layer).from_config(layer.get_config()) for layer in model.layers[n_held:]]
    other = Sequential([layers.Input((inputs.shape[1],), dtype=dtype), *above])
    other.set_weights(model.get_weights()[len(held):])
    curves = []
    for one, rows in ((other, inputs), (model, X)):
        keras.utils.set_random_seed(1)
        one._rng = None
        one.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
        history = one.fit(rows, CODES, epochs=3, verbose=0, validation_data=(rows[:20], CODES[:20])).history
        curves.append(np.array([history[name] for name in sorted(history)]))
    close = {"rtol": 1e-4, "atol": 1e-5} if dtype == "float32" else {"rtol": 1e-11, "atol": 1e-13}
    np.testing.assert_allclose(*curves, **close)
    after = model.get_weights()
    for old, new in zip(held, after):
        np.testing.assert_array_equal(old, new)
    for wanted, got in zip(other.get_weights(), after[len(held):], strict=True):
        np.testing.assert_allclose(got, wanted, **close)
    np.testing.assert_allclose(model.predict(X), other.predict(inputs), **close)
    np.testing.assert_allclose(model.evaluate(X, CODES, verbose=0), other.evaluate(inputs, CODES, verbose=0), **close)
    np.testing.assert_allclose(
        inspection.input_gradients(model, X[:5].astype(dtype)),
        inspection.input_gradients(Sequential(model.layers), X[:5].astype(dtype)), **close)


def test_freed_layers_are_trained_again():
    model = pretrained()
    bottom = model.layers[0]
    before = bottom.kernel.numpy()
    model.fit(X, CODES, verbose=0)
    np.testing.assert_array_equal(bottom.kernel, before)
    steps = model.optimizer.iterations
    model.fit(X, CODES, verbose=0)
    assert model.optimizer.iterations == 2 * steps
    predictions = model.predict(X)
    model.trainable = True
    np.testing.assert_allclose(model.predict(X), predictions, rtol=1e-5, atol=1e-6)
    model.fit(X, CODES, verbose=0)
    assert not np.array_equal(bottom.kernel, before)
    # the memory of fewer weights says nothing about these
    assert model.optimizer.iterations == steps


def test_weights_set_on_held_layers_are_used():
    model = pretrained()
    model.predict(X)
    model.layers[0].set_weights([np.zeros((6, 16)), np.zeros(16)])
    assert len(np.unique(model.predict(X), axis=0)) == 1
    model.train_on_batch(X, CODES)
    assert len(np.unique(model.predict(X), axis=0)) == 1


def test_saved_copied_and_checkpointed_models_go_on_as_they_were(tmp_path):
    model = pretrained()
    model.fit(X, CODES, verbose=0, callbacks=[ModelCheckpoint(tmp_path / "checkpoint", save_best_only=False)])
    model.save(tmp_path / "model")
    others = load_model(tmp_path / "model"), pickle.loads(pickle.dumps(model))
    assert [layer.trainable for layer in others[0].layers] == [False] * 3 + [True] * 3
    model.fit(X, CODES, shuffle=False, verbose=0)
    for other in others:
        np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])
        assert other.optimizer.iterations * 2 == model.optimizer.iterations
        other.fit(X, CODES, shuffle=False, verbose=0)
        np.testing.assert_array_equal(other.predict(X), model.predict(X))
    model.load_weights(tmp_path / "checkpoint")
    np.testing.assert_array_equal(model.predict(X), load_model(tmp_path / "model").predict(X))


def test_a_model_pickled_between_the_choice_and_its_fit():
    model = pretrained()
    other = pickle.loads(pickle.dumps(model))
    assert [layer.trainable for layer in other.layers] == [layer.trainable for layer in model.layers]
    np.testing.assert_allclose(other.predict(X), model.predict(X), rtol=1e-6)


@pytest.mark.parametrize("held, message", [
    (["top"], "'top' has trainable=False above or beside"),
    (["below", "normal", "top"], "'top' has trainable=False above"),
    (["below", "middle"], "beside a layer that is trained"),
    (["below", "normal", "middle"], "a Dropout comes before layer 'middle'"),
    (["normal"], "'normal' has trainable=False above or beside"),
    (["below", "normal", "middle", "top"], "nothing to train"),
])
def test_what_cannot_be_trained_predicts(held, message):
    model = Sequential(stack())
    model.layers[1].name = "normal"
    model.compile("sgd", "sparse_categorical_crossentropy")
    expected = model.predict(X)
    for name in held:
        model.get_layer(name).trainable = False
    before = model.get_weights()
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-5, atol=1e-6)
    assert np.isfinite(model.evaluate(X, CODES, verbose=0))
    for train in (model.fit, model.train_on_batch):
        with pytest.raises(ValueError, match=message):
            train(X, CODES)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_held_layers_are_not_changed_while_others_are_trained():
    class Frees(Callback):
        def on_epoch_end(self, epoch, logs):
            self.model.layers[0].trainable = True

    class Sets(Callback):
        def on_epoch_end(self, epoch, logs):
            self.model.layers[0].set_weights([np.ones((6, 16)), np.ones(16)])

    for callback in (Frees(), Sets()):
        model = pretrained()
        before = model.layers[-1].kernel
        with pytest.raises(ValueError, match="callbacks must not"):
            model.fit(X, CODES, epochs=2, verbose=0, callbacks=[callback])
        np.testing.assert_array_equal(model.layers[-1].kernel, before)


def test_flags_and_counts(capsys):
    model = pretrained()
    model.summary()
    out = capsys.readouterr().out
    assert "Trainable params: 163" in out
    assert "Non-trainable params: 176" in out
    assert model.trainable
    model.trainable = False
    assert not model.trainable
    with pytest.raises(TypeError, match="trainable must be True or False, got 'no'"):
        model.layers[0].trainable = "no"
    with pytest.raises(TypeError, match="trainable must be True or False"):
        layers.Dense(2, trainable=None)
    with pytest.raises(ValueError, match="set it on the layers"):
        Sequential(trainable=False)


def test_regularization_of_held_layers_is_not_part_of_the_loss():
    values = []
    for rate in (0.0, 10.0):
        keras.utils.set_random_seed(0)
        model = Sequential([
            layers.Dense(4, input_dim=6, trainable=False, kernel_regularizer=keras.regularizers.L2(rate)),
            layers.Dense(2),
        ])
        model.compile("sgd", "mse")
        values.append(model.evaluate(X, REAL, verbose=0))
    assert values[0] == values[1]
