"""Layers before the first Dense, which scale the rows once a call, and noise of the rows."""

import json
import pickle

import numpy as np
import pytest
from sequential_cases import CODES, X

from fasttrain import inspection, keras
from fasttrain.keras import layers

RAW = (5 * X + np.arange(X.shape[1])).astype("float32")


def model_of(*first, optimizer="adam", width=X.shape[1]):
    keras.utils.set_random_seed(2)
    made = [layers.Dense(7, "tanh"), layers.Dense(3, "softmax")]
    model = keras.Sequential([keras.Input((width,)), *first, *made])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def adapted(data=RAW, **settings):
    layer = layers.Normalization(**settings)
    layer.adapt(data)
    return layer


def test_rows_are_scaled_once_and_everywhere():
    """The same bytes as of rows that were scaled before, in fits, numbers, predictions, batches and streams."""
    scaled = (RAW - RAW.astype("float64").mean(axis=0).astype("float32")) / np.sqrt(
        RAW.astype("float64").var(axis=0)).astype("float32")
    model, plain = model_of(layers.Identity(), adapted()), model_of()
    for one, rows in ((model, RAW), (plain, scaled)):
        one.fit(rows, CODES, epochs=3, batch_size=16, validation_split=0.2, shuffle=False, verbose=0)
        one.train_on_batch(rows[:10], CODES[:10])
        one.fit(((rows[i:i + 20], CODES[i:i + 20]) for i in range(0, 100, 20)), verbose=0)
    np.testing.assert_array_equal(model.predict(RAW), plain.predict(scaled))
    np.testing.assert_array_equal(model.predict_on_batch(RAW), plain.predict_on_batch(scaled))
    assert model.evaluate(RAW, CODES, verbose=0) == plain.evaluate(scaled, CODES, verbose=0)
    assert model.history.history == plain.history.history
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(RAW), model.predict(RAW))
    # layer by layer
    z = RAW
    for layer in model.layers:
        z = layer(z)
    np.testing.assert_allclose(z, model.predict(RAW), rtol=1e-5, atol=1e-6)
    # held layers see the same rows
    for one in (model, plain):
        one.layers[-2].trainable = False
        one.compile("sgd", "sparse_categorical_crossentropy")
    for one, rows in ((model, RAW), (plain, scaled)):
        one.fit(rows, CODES, epochs=2, shuffle=False, verbose=0)
    np.testing.assert_array_equal(model.predict(RAW), plain.predict(scaled))


def test_adapting_from_batches():
    whole = adapted(RAW.astype("float64"))

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, i):
            return RAW[[slice(0, 40), slice(40, 41), slice(41, None)][i]], CODES

    for data in ([RAW[:30], RAW[30:]], iter([RAW[:1], RAW[1:7], RAW[7:]]), Batches(), RAW.tolist()):
        for a, b in zip(adapted(data).get_weights(), whole.get_weights()):
            np.testing.assert_allclose(a, b, rtol=1e-12)
    np.testing.assert_allclose(whole.mean, RAW.astype("float64").mean(axis=0))
    np.testing.assert_allclose(whole.variance, RAW.astype("float64").var(axis=0))
    single = adapted(axis=None)
    np.testing.assert_allclose([single.mean, single.variance], [RAW.mean(), RAW.var()], rtol=1e-5)
    # a model follows a layer that is adapted again
    model = model_of(whole)
    before = model.predict(RAW)
    whole.adapt(2 * RAW)
    assert abs(model.predict(RAW) - before).max() > 1e-3


def test_a_feature_that_does_not_vary():
    constant = np.c_[RAW[:, :1], np.full(len(RAW), 3.0)].astype("float32")
    found = adapted(constant)(constant)
    np.testing.assert_array_equal(found[:, 1], 0)


def test_images_of_bytes():
    images = np.random.default_rng(0).integers(0, 256, (60, 4, 3)).astype("uint8")
    keras.utils.set_random_seed(0)
    model = keras.Sequential([
        keras.Input((4, 3)), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(5, "relu"), layers.Dense(3)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images, np.arange(60) % 3, epochs=2, verbose=0)
    flat = keras.Sequential(model.layers[-2:])
    np.testing.assert_array_equal(
        model.predict(images), flat.predict(images.reshape(60, -1).astype("float32") * np.float32(1 / 255)))


@pytest.mark.parametrize("make", [
    lambda: [layers.Rescaling(0.5, [0.1] * 6), adapted(), layers.GaussianNoise(0.2, seed=1)],
    lambda: [layers.Normalization(mean=[1.0] * 6, variance=[4.0] * 6, invert=True), layers.Dropout(0.1, seed=2)],
    lambda: [adapted(axis=None), layers.Identity(), layers.Normalization(mean=0.0, variance=2.0)],
])
@pytest.mark.parametrize("suffix", ["", ".keras"])
def test_saved_models_go_on(tmp_path, make, suffix):
    if suffix:
        pytest.importorskip("h5py")
    model = model_of(*make())
    model.fit(RAW, CODES, epochs=2, verbose=0)
    model.save(tmp_path / f"model{suffix}")
    again = keras.models.load_model(tmp_path / f"model{suffix}")
    configs = [[{**layer.get_config(), "dtype": None} for layer in one.layers] for one in (again, model)]
    assert configs[0] == configs[1]
    np.testing.assert_array_equal(again.predict(RAW), model.predict(RAW))
    for one in (model, again):
        one._network.set_seed(5)
        one.fit(RAW, CODES, epochs=2, shuffle=False, verbose=0)
    # a file of Keras has the rate in float32
    np.testing.assert_allclose(again.predict(RAW), model.predict(RAW), rtol=1e-5 if suffix else 0)
    other = keras.models.model_from_json(model.to_json())
    other.set_weights(model.get_weights())
    np.testing.assert_allclose(other.predict(RAW), model.predict(RAW), rtol=1e-6)


@pytest.mark.parametrize("settings", [{"axis": None}, {"input_shape": (1,)}, {"axis": None, "input_shape": [1]}])
def test_a_column_may_have_one_axis(settings):
    """As in fit and predict; Keras's own tutorials adapt to a column of a frame."""
    column = RAW[:, 0]
    layer = adapted(column, **settings)
    np.testing.assert_allclose([np.ravel(layer.mean)[0], np.ravel(layer.variance)[0]], [
        column.mean(dtype=float), column.astype(float).var()])
    assert layer.input_shape == (None, 1)
    model = keras.Sequential([layer, layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(column, column, epochs=2, verbose=0)
    np.testing.assert_array_equal(model.predict(column), model.predict(column[:, None]))
    with pytest.raises(ValueError, match=r"data must be finite rows of at least one feature, got .* shape \(160,\)"):
        adapted(np.ones(160))


@pytest.mark.parametrize("scale", [1, 1.0, 0, True, [1.0] * 6])
def test_a_scale_of_one_is_saved(tmp_path, scale):
    model = model_of(layers.Rescaling(scale, offset=0.5))
    model.save(tmp_path / "model.keras")
    for again in (keras.models.load_model(tmp_path / "model.keras"), keras.models.model_from_json(model.to_json())):
        np.testing.assert_array_equal(again.layers[0].scale, scale)
        again.set_weights(model.get_weights())
        np.testing.assert_array_equal(again.predict(RAW), model.predict(RAW))


@pytest.mark.parametrize("kind", ["__numpy__", "__tensor__"])
def test_arrays_as_keras_writes_them(kind):
    model = model_of(layers.Rescaling([0.5] * 6))
    described = json.loads(model.to_json())
    described["config"]["layers"][1]["config"]["scale"] = {
        "class_name": kind, "config": {"value": [0.5] * 6, "dtype": "float32"}}
    again = keras.models.model_from_json(json.dumps(described))
    np.testing.assert_array_equal(again.layers[0].scale, [0.5] * 6)


def test_noise_is_of_its_size_and_of_its_seed():
    def trained(seed, stddev=0.3):
        model = model_of(layers.GaussianNoise(stddev, seed=seed), layers.GaussianNoise(0.0), optimizer="sgd")
        model.fit(X, CODES, epochs=2, shuffle=False, verbose=0)
        return model.predict(X)

    np.testing.assert_array_equal(trained(1), trained(1))
    assert (trained(1) != trained(2)).any()
    np.testing.assert_array_equal(trained(1, 0.0), trained(2, 0.0))
    # a step of a linear model of one unit on rows of zeros is the noise's: the mean of its squares
    rows = np.zeros((1000, 50), dtype="float32")
    model = keras.Sequential([keras.Input((50,)), layers.GaussianNoise(0.6, seed=0), layers.GaussianNoise(0.8),
                              layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    model.set_weights([np.full((50, 1), 0.2)])
    loss = model.fit(rows, np.zeros(1000), batch_size=1000, verbose=0).history["loss"][0]
    # the squared norm of the weights is 2, the variances add up to 1
    assert loss == pytest.approx(2.0, rel=0.15)


def test_inspection_is_of_the_rows_that_are_given():
    model = model_of(layers.Rescaling(0.5, -1.0), adapted())
    model.fit(RAW, CODES, epochs=5, verbose=0)
    network = inspection.dense_network(model)
    z = np.tanh(RAW @ network.coefs[0] + network.intercepts[0]) @ network.coefs[1] + network.intercepts[1]
    np.testing.assert_allclose(network.output(z), model.predict(RAW), rtol=1e-4, atol=1e-5)


def test_inspection_of_columns_far_from_zero():
    rows = RAW.astype("float64") + 1e7
    keras.utils.set_random_seed(0)
    model = keras.Sequential([
        keras.Input((6,), dtype="float64"), adapted(rows), layers.Rescaling(0.5), layers.Flatten(), layers.Dense(1)])
    network = inspection.dense_network(model)
    # the rounding of sums of numbers of 1e7
    np.testing.assert_allclose(rows @ network.coefs[0] + network.intercepts[0], model.predict(rows), rtol=0, atol=1e-8)


@pytest.mark.parametrize("make, message", [
    (lambda: layers.Normalization(axis=0), "axis of Normalization must be -1 or None"),
    (lambda: layers.Normalization(mean=1.0), "mean and variance must be given both or not at all"),
    (lambda: layers.Normalization(mean=1.0, variance=-1.0), "variance of Normalization must be at least 0"),
    (lambda: layers.Normalization(mean=np.nan, variance=1.0), "mean of Normalization must be a finite number"),
    (lambda: model_of(layers.Normalization(mean=[1.0, 2.0], variance=[1.0, 2.0])), "one for each of the 6 features"),
    (lambda: layers.Normalization(mean=0.0, variance=1.0).adapt(X), "was given its mean and variance"),
    (lambda: layers.Normalization().adapt([]), "data"),
    (lambda: layers.Normalization().adapt(iter([])), "data must yield a batch at least"),
    (lambda: layers.Normalization().adapt([[np.inf]]), "data must be finite rows"),
    (lambda: adapted().adapt(X[:, :2]), r"takes rows of shape \(6,\), got \(2,\)"),
    (lambda: layers.Rescaling(np.inf), "scale of Rescaling must be a finite number"),
    (lambda: model_of(layers.Rescaling([1.0, 2.0])), "scale of 'rescaling.*' must be a number"),
    (lambda: model_of(layers.Rescaling(1e38)).predict(X * 1e10), "x must be finite numbers of float32 behind layer"),
    (lambda: adapted().set_weights([np.zeros(6), -np.ones(6), 0]), "variance must hold numbers >= 0"),
    (lambda: layers.GaussianNoise(1.5), "stddev"),
])
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_frozen_model_beside_noise_is_not_trained():
    model = model_of(layers.GaussianNoise(0.1))
    model.layers[1].trainable = False
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="a GaussianNoise comes before layer"):
        model.fit(X, CODES, verbose=0)
