"""Files of Keras, written and read back here; what strangers may put into them. Keras itself is asked in tests/parity.
"""

import contextlib
import io
import json
import re
import zipfile

import numpy as np
import pytest
from sequential_cases import CODES, X, classifier, same

from fasttrain import keras
from fasttrain.models import Sequential, load_model

h5py = pytest.importorskip("h5py")


def everything(**settings):
    model = Sequential([
        keras.Input((2, 3), name="rows"), keras.layers.Flatten(), keras.layers.Dropout(0.1, seed=3),
        keras.layers.Dense(12, use_bias=False, kernel_initializer="he_normal", kernel_regularizer="l2"),
        keras.layers.BatchNormalization(momentum=0.9), keras.layers.LeakyReLU(0.2), keras.layers.Dropout(0.2),
        keras.layers.Dense(7, "elu", kernel_constraint=keras.constraints.MaxNorm(3)), keras.layers.Dense(5),
        keras.layers.ReLU(negative_slope=0.1), keras.layers.Dense(4), keras.layers.ELU(0.5),
        keras.layers.Dense(3, kernel_regularizer=keras.regularizers.L1L2(1e-5, 1e-4)), keras.layers.Softmax(),
    ], name="all")
    model.compile(
        keras.optimizers.Adam(0.01, weight_decay=0.1, amsgrad=True, **settings),
        keras.losses.SparseCategoricalCrossentropy(name="entropy"),
        metrics=["acc", keras.metrics.SparseTopKCategoricalAccuracy(k=2)])
    return model


ROWS = X.reshape(-1, 2, 3)


def configs(model):
    """Of its layers, but for the dtype, which a file of Keras tells of each."""
    return [{**layer.get_config(), "dtype": None} for layer in model.layers]


@pytest.mark.parametrize("average", [False, True])
def test_a_file_of_keras_holds_all_of_a_model(tmp_path, average):
    model = everything(use_ema=average, ema_overwrite_frequency=3 if average else None)
    model.fit(ROWS, CODES, epochs=2, verbose=0)
    path = tmp_path / "model.keras"
    model.save(path)
    again = load_model(path)
    assert again.name == "all"
    assert again.predict(ROWS) == pytest.approx(model.predict(ROWS), rel=1e-5)
    assert again.evaluate(ROWS, CODES, verbose=0) == pytest.approx(model.evaluate(ROWS, CODES, verbose=0), rel=1e-5)
    for name, value in model.optimizer.get_config().items():
        # a rate of float32
        assert again.optimizer.get_config()[name] == (pytest.approx(value) if name == "learning_rate" else value)
    assert again.optimizer.iterations == model.optimizer.iterations == 8
    assert again.metrics_names == model.metrics_names
    assert configs(again) == configs(model)
    plain = load_model(path, compile=False)
    assert plain.optimizer is None
    with pytest.raises(ValueError, match="overwrite is False"):
        model.save(path, overwrite=False)
    assert sorted(zipfile.ZipFile(path).namelist()) == ["config.json", "metadata.json", "model.weights.h5"]


def test_training_goes_on_from_a_file(tmp_path):
    for optimizer in (
        keras.optimizers.SGD(), keras.optimizers.SGD(momentum=0.9, nesterov=True), keras.optimizers.Nadam(),
        keras.optimizers.RMSprop(momentum=0.5, centered=True), keras.optimizers.RMSprop(centered=True),
        keras.optimizers.Adagrad(), keras.optimizers.Adadelta(), keras.optimizers.Lion(), keras.optimizers.Adamax(),
        keras.optimizers.Lamb(0.01), keras.optimizers.Ftrl(0.1),
        keras.optimizers.Adam(0.01, gradient_accumulation_steps=3, use_ema=True),
        keras.optimizers.Adam(keras.optimizers.schedules.InverseTimeDecay(0.01, 3, 0.5), clipnorm=0.1),
    ):
        model = classifier(optimizer=optimizer)
        model.fit(X, CODES, epochs=2, verbose=0)
        model.save(tmp_path / "model.keras")
        again = load_model(tmp_path / "model.keras")
        for one in (model, again):
            one.fit(X, CODES, epochs=2, shuffle=False, verbose=0)
        for a, b in zip(model.get_weights(), again.get_weights()):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6, err_msg=repr(optimizer))


def test_a_product_of_momentums_beyond_its_range_is_refused(tmp_path):
    model = classifier(optimizer="nadam")
    model.fit(X, CODES, verbose=0)
    path = tmp_path / "m.keras"
    model.save(path)
    with zipfile.ZipFile(path) as file:
        good = {name: file.read(name) for name in file.namelist()}
    written(path, h5(good, replaced("optimizer/vars/10", lambda f, p: f.__setitem__(p, np.float32(2)))))
    with pytest.raises(ValueError, match="must end with a product of momentums from 0 to 1"):
        load_model(path)


def test_numbers_of_numpy_are_numbers(tmp_path):
    optimizer = keras.optimizers.Ftrl(
        np.float32(0.1), l1_regularization_strength=np.float32(0.5), gradient_accumulation_steps=np.int64(2))
    model = classifier(optimizer=optimizer)
    model.save(tmp_path / "m.keras")
    config = load_model(tmp_path / "m.keras").optimizer.get_config()
    assert (config["l1_regularization_strength"], config["gradient_accumulation_steps"]) == (0.5, 2)
    layer = keras.layers.LeakyReLU(np.float32(0.25))
    assert "0.25" in Sequential([keras.layers.Dense(2, input_dim=6), layer]).to_json()


def test_weights_alone(tmp_path):
    model = classifier()
    model.fit(X, CODES, verbose=0)
    path = tmp_path / "w.weights.h5"
    model.save_weights(path)
    other = classifier()
    other.load_weights(path)
    assert same(other, model)
    assert other.optimizer.iterations == 4
    # another rule's memory stays where it is
    descent = classifier(optimizer="sgd")
    descent.load_weights(path)
    assert same(descent, model)
    assert descent.optimizer.iterations == 0
    model.save(tmp_path / "m.keras")
    other = classifier()
    other.load_weights(tmp_path / "m.keras")
    assert same(other, model)
    small = Sequential([keras.layers.Dense(2, input_dim=6)])
    before = small.get_weights()
    with pytest.raises(ValueError, match=r"layers/dense/vars/0 in .* must have shape \(6, 2\), got \(6, 16\)"):
        small.load_weights(path)
    assert all((a == b).all() for a, b in zip(small.get_weights(), before))
    with pytest.raises(ValueError, match=r"must end with '.weights.h5'"):
        model.save_weights(tmp_path / "w.h5")
    with pytest.raises(ValueError, match="overwrite is False"):
        model.save_weights(path, overwrite=False)


def test_frozen_layers_and_those_without_memory(tmp_path):
    model = classifier()
    model.layers[0].trainable = False
    model.fit(X, CODES, verbose=0)
    model.save(tmp_path / "m.keras")
    again = load_model(tmp_path / "m.keras")
    assert [layer.trainable for layer in again.layers] == [False, True]
    for one in (model, again):
        one.fit(X, CODES, shuffle=False, verbose=0)
    for a, b in zip(model.get_weights(), again.get_weights()):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_what_has_no_name_in_keras_is_refused(tmp_path):
    from fasttrain.activations import Elu

    odd = Sequential([keras.layers.Dense(3, Elu(0.3), input_dim=6), keras.layers.Dense(1)])
    with pytest.raises(TypeError, match="has no name in Keras"):
        odd.save(tmp_path / "m.keras")
    own = classifier(loss=lambda y, p: keras.ops.mean(p, axis=-1))
    with pytest.raises(TypeError, match="cannot be saved"):
        own.save(tmp_path / "m.keras")
    assert not list(tmp_path.iterdir())


def test_descriptions_and_clones():
    model = everything()
    text = model.to_json(indent=1)
    again = keras.models.model_from_json(text)
    assert configs(again) == configs(model)
    assert again.built
    assert json.loads(text)["config"]["layers"][0]["config"]["batch_shape"] == [None, 2, 3]
    described = Sequential.from_config(model.get_config())
    assert [layer.name for layer in described.layers] == [layer.name for layer in model.layers]
    clone = keras.models.clone_model(model)
    assert clone.count_params() == model.count_params()
    assert clone.optimizer is None
    assert not np.array_equal(clone.get_weights()[0], model.get_weights()[0])
    wider = keras.models.clone_model(model, clone_function=lambda layer: type(layer).from_config(
        {**layer.get_config(), **({"units": 20} if layer.name == model.layers[2].name else {})}))
    assert wider.layers[2].units == 20
    assert model.inputs[0].shape == (None, 2, 3)
    with pytest.raises(ValueError, match="custom_objects must be None"):
        keras.models.load_model("x", custom_objects={"a": 1})
    with pytest.raises(ValueError, match="json_string is not JSON"):
        keras.models.model_from_json("{")


# ---- what strangers may send ----

@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "model.keras"
    model = classifier()
    model.fit(X, CODES, verbose=0)
    model.save(path)
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def written(path, parts):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in parts.items():
            file.writestr(name, data)
    return path


def refused(path, message):
    with pytest.raises(ValueError, match=message) as caught:
        load_model(path)
    assert str(path) in str(caught.value)


def config_with(good, change):
    config = json.loads(good["config.json"])
    change(config)
    return {**good, "config.json": json.dumps(config)}


def of_layer(number, **values):
    """A change of the settings of a layer."""
    return lambda c: c["config"]["layers"][number]["config"].update(values)


def of_entry(number, **values):
    """A change beside them."""
    return lambda c: c["config"]["layers"][number].update(values)


CHANGES = {
    "another layer": (
        of_entry(1, class_name="Lambda"), r"config.layers\[1\]: class_name must be a layer of fasttrain, got 'Lambda'"),
    "a class that is no layer": (
        of_entry(1, class_name="KerasTensor"), r"config.layers\[1\]: class_name must be a layer"),
    "registered elsewhere": (of_entry(1, registered_name="pkg>Dense"), "registered_name"),
    "units of text": (of_layer(1, units="8"), r"config.units must be an integer"),
    "units without end": (of_layer(1, units=10**12), r"must hold the .* parameters"),
    "no units": (lambda c: c["config"]["layers"][1]["config"].pop("units"), "config.units must be"),
    "an unknown setting": (of_layer(1, lora_rank=3), r"layers\[1\]: .*lora_rank"),
    "a half precision": (of_layer(1, dtype="float16"), r"layers\[1\]: dtype must"),
    "an unknown activation": (of_layer(1, activation="evil"), "did you mean|must be"),
    "an activation of code": (
        of_layer(1, activation={"class_name": "function", "config": "os.system"}), r"layers\[1\]"),
    "no list": (lambda c: c["config"].update(layers={"0": 1}), "must be|objects?"),
    "no layers": (lambda c: c["config"].update(layers=[]), "describes no model"),
    "numbers for layers": (lambda c: c["config"].update(layers=[1, 2]), r"layers\[0\] must be an object"),
    "another model": (lambda c: c.update(class_name="Model"), "'Sequential' or 'Functional', got 'Model'"),
    "an unknown loss": (lambda c: c["compile_config"].update(loss="evil"), "compile_config: loss must be"),
    "an unknown optimizer": (
        lambda c: c["compile_config"]["optimizer"].update(class_name="Muon"), "compile_config: optimizer must"),
    "a metric of code": (
        lambda c: c["compile_config"].update(
            metrics=[{"class_name": "Mine", "config": {}, "registered_name": "x>Mine"}]),
        "compile_config: .*object of one's own"),
    "another shape": (of_layer(2, units=4), "must have shape"),
    "layers of a number": (lambda c: c["config"].update(layers=5), "config.layers must be a list"),
    "rows without end": (of_layer(0, batch_shape=[None, 10**400]), r"must hold the \d+ parameters"),
    "rows of many axes": (of_layer(0, batch_shape=[None, *[10**4000] * 9]), r"must hold the \d+ parameters"),
    "rows without end beside": (
        lambda c: (c["config"]["layers"].pop(0), c.update(build_config={"input_shape": [None, 10**12]})),
        r"must hold the \d+ parameters"),
    "rows without end in a layer": (
        lambda c: (c["config"]["layers"].pop(0), of_layer(0, input_dim=10**12)(c)), r"layers\[0\]: .* batch_shape"),
    "a list to build from": (
        lambda c: (c["config"]["layers"].pop(0), c.update(build_config=[1])), "describes no model"),
    "normalizations without end": (
        lambda c: c["config"]["layers"].__setitem__(slice(2, 2), [
            {"class_name": "BatchNormalization", "config": {"name": f"n{i}"}} for i in range(999)]),
        r"must hold the \d+ parameters"),
    "a number of 5000 digits": (None, "is not JSON: .*4300"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_configurations_are_checked(tmp_path, good, name):
    change, message = CHANGES[name]
    if change is None:
        parts = {**good, "config.json": '{"class_name": ' + "9" * 5000 + "}"}
    else:
        parts = config_with(good, change)
    refused(written(tmp_path / "m.keras", parts), message)


@pytest.mark.parametrize("name, change, message", [
    ("a path", lambda g: {**g, "../../evil": b"x"}, "must hold config.json, metadata.json and model.weights.h5"),
    ("assets", lambda g: {**g, "assets/x": b"x"}, "must hold config.json"),
    ("no weights", lambda g: {k: v for k, v in g.items() if "h5" not in k}, "must hold config.json"),
    ("a large description", lambda g: {**g, "config.json": b" " * (1 << 25)}, "at most 16777216 bytes"),
    ("a bomb", lambda g: {**g, "model.weights.h5": bytes(1 << 26)}, "must be of at most"),
    ("no JSON", lambda g: {**g, "config.json": b"{"}, "config.json of .* is not JSON"),
    ("deep JSON", lambda g: {**g, "config.json": b"[" * 200000}, "is not JSON|must be an object"),
    ("no HDF5", lambda g: {**g, "model.weights.h5": bytes(4096)}, "is not an HDF5 file"),
])
def test_zips_are_checked(tmp_path, good, name, change, message):
    refused(written(tmp_path / "m.keras", change(good)), message)


def test_layers_of_a_functional_model_are_counted_in_their_order(tmp_path, good):
    def functional(config):
        names = ["rows", "wide", "wider", "last"]
        layers = [
            {"class_name": "Dense", "name": name, "config": {"name": name, "units": units},
             "inbound_nodes": [{"args": [{"config": {"keras_history": [below, 0, 0]}}]}]}
            for name, units, below in zip(names[1:], (1 << 15, 1 << 15, 1), names)]
        start = {"class_name": "InputLayer", "name": "rows", "config": {"batch_shape": [None, 1], "name": "rows"}}
        config.update(class_name="Functional", config={"layers": [start, layers[0], layers[2], layers[1]]})

    parts = config_with(good, functional)
    refused(written(tmp_path / "m.keras", {**parts, "model.weights.h5": bytes(1 << 20)}),
            r"must hold the 1073872897 parameters")


def test_a_part_may_not_be_much_larger_than_the_file(tmp_path, good):
    # a layer that the zeros would fill
    wide = config_with(good, of_layer(1, units=1 << 20))
    path = written(tmp_path / "m.keras", {**wide, "model.weights.h5": bytes(1 << 26)})
    refused(path, r"model.weights.h5 of .* must be of at most \d+ bytes in a file of this size, got 67108864")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packings_that_keras_does_not_use_are_refused(tmp_path, good, method):
    with zipfile.ZipFile(tmp_path / "m.keras", "w", method) as file:
        for name, data in good.items():
            file.writestr(name, data)
    refused(tmp_path / "m.keras", f"must be stored or deflated, got method {method}")


def h5(good, change):
    data = io.BytesIO(good["model.weights.h5"])
    with h5py.File(data, "r+") as file:
        change(file)
    return {**good, "model.weights.h5": data.getvalue()}


def test_weights_that_are_refused_change_nothing(tmp_path, good):
    parts = h5(good, lambda f: f["optimizer/vars/3"].__setitem__(0, np.inf))
    (tmp_path / "m.weights.h5").write_bytes(parts["model.weights.h5"])
    model = classifier()
    model.fit(X, CODES, verbose=0)
    before = model.get_weights()
    with pytest.raises(ValueError, match="finite"):
        model.load_weights(tmp_path / "m.weights.h5")
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


def replaced(place, make):
    def change(file):
        del file[place]
        make(file, place)

    return change


@pytest.mark.parametrize("name, change, message", [
    ("an external link", replaced("layers/dense/vars/0", lambda f, p: f.__setitem__(
        p, h5py.ExternalLink("/etc/passwd", "x"))), "must be an array"),
    ("a soft link", replaced("layers/dense/vars/0", lambda f, p: f.__setitem__(
        p, h5py.SoftLink("/layers/dense/vars/1"))), "must be an array"),
    ("a linked group", replaced("layers/dense", lambda f, p: f.__setitem__(
        p, h5py.ExternalLink("other.h5", "x"))), "must be no link|must hold 2 arrays"),
    ("data elsewhere", replaced("layers/dense/vars/0", lambda f, p: f.create_dataset(
        p, (6, 16), "f4", external=[("/etc/passwd", 0, 384)])), "array of this file"),
    ("a packed array", replaced("layers/dense/vars/0", lambda f, p: f.create_dataset(
        p, data=np.ones((6, 16), "f4"), chunks=(64, 64), maxshape=(None, None), compression="gzip")), "in one piece"),
    ("packed memory", replaced("optimizer/vars/3", lambda f, p: f.create_dataset(
        p, data=np.ones((6, 16), "f4"), chunks=(6, 16), compression="gzip")), "in one piece"),
    ("too large for the dtype", replaced("layers/dense/vars/0", lambda f, p: f.__setitem__(
        p, np.full((6, 16), 1e300))), r"model.weights.h5 of .*: the array for dense.*kernel must hold finite"),
    ("too large a memory", replaced("optimizer/vars/3", lambda f, p: f.__setitem__(p, np.full((6, 16), 1e300))),
     "optimizer/vars in .* must hold finite numbers"),
    ("a negative square", lambda f: f["optimizer/vars/3"].__setitem__(0, -1.0),
     "optimizer/vars/3 in .* must hold numbers >= 0"),
    ("a negative rate", replaced("optimizer/vars/1", lambda f, p: f.__setitem__(p, np.float32(-1))),
     "optimizer/vars in .* must begin with"),
    ("half a step", replaced("optimizer/vars/0", lambda f, p: f.__setitem__(p, 1.5)), "optimizer/vars .* must begin"),
    ("text", replaced("layers/dense/vars/0", lambda f, p: f.create_dataset(p, data="abc")), "must hold numbers"),
    ("a large array", replaced("layers/dense/vars/0", lambda f, p: f.create_dataset(
        p, (1 << 20, 1 << 20), "f4", chunks=True, compression="gzip")), "must have shape"),
    ("too few", lambda f: f.__delitem__("layers/dense/vars/1"), "must hold 2 arrays"),
    ("no group", lambda f: f.__delitem__("layers/dense_1"), "must hold 2 arrays"),
    ("NaN", lambda f: f["layers/dense/vars/0"].__setitem__(0, np.nan), "finite"),
    ("memory of another shape", replaced("optimizer/vars/3", lambda f, p: f.create_dataset(p, (2,), "f4")),
     "optimizer/vars in .* must hold"),
    ("memory of infinity", lambda f: f["optimizer/vars/3"].__setitem__(0, np.inf), "finite"),
])
def test_weights_are_checked(tmp_path, good, name, change, message):
    path = written(tmp_path / "m.keras", h5(good, change))
    with pytest.raises(ValueError, match=message):
        load_model(path)


def test_every_cut_and_many_flips_are_refused_or_harmless(tmp_path, good):
    """No damage may come out as anything but a ValueError."""
    path = written(tmp_path / "m.keras", good)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for number in range(150):
        data = bytearray(whole)
        if number % 3 == 0:
            data = data[:rng.integers(len(data))]
        else:
            for place in rng.integers(0, len(data), 1 + number % 4):
                data[place] ^= 1 << rng.integers(8)
        path.write_bytes(data)
        # whatever else is raised fails the test
        with contextlib.suppress(ValueError):
            load_model(path)
    path.write_bytes(whole)
    load_model(path)


def inputs_of(layer):
    return layer["inbound_nodes"][0]["args"]


@pytest.mark.parametrize("change, message", [
    (lambda layers: layers[2].update(inbound_nodes=layers[2]["inbound_nodes"] * 2), "must be called once"),
    (lambda layers: inputs_of(layers[2]).extend(inputs_of(layers[3])), "one input"),
    (lambda layers: inputs_of(layers[3])[0]["config"].update(keras_history=["in", 0, 0]), "branches from"),
    (lambda layers: layers.append({**layers[0], "name": "second"}), "must have one input, got 2"),
    (lambda layers: inputs_of(layers[1])[0]["config"].update(keras_history=["x", 0, 0]), "one chain"),
    (lambda layers: inputs_of(layers[1])[0]["config"].update(keras_history=[["x"], 0, 0]), "must have one input"),
    (lambda layers: layers[1].update(name=["a"]), r"config.layers\[1\].name must be a string"),
])
def test_functional_descriptions_must_be_chains(change, message):
    def layer(name, kind, config, source):
        nodes = [] if source is None else [
            {"args": [{"class_name": "__keras_tensor__", "config": {"keras_history": [source, 0, 0]}}], "kwargs": {}}]
        return {"class_name": kind, "config": {"name": name, **config}, "name": name, "inbound_nodes": nodes}

    layers = [
        layer("in", "InputLayer", {"batch_shape": [None, 4]}, None), layer("a", "Dense", {"units": 3}, "in"),
        layer("b", "Dense", {"units": 2}, "a"), layer("c", "Dense", {"units": 1}, "b"),
    ]
    description = {"class_name": "Functional", "config": {"name": "f", "layers": layers}}
    model = keras.models.model_from_json(json.dumps(description))
    assert [one.units for one in model.layers] == [3, 2, 1]
    change(layers)
    with pytest.raises(ValueError, match=message):
        keras.models.model_from_json(json.dumps(description))


def test_without_h5py_it_says_what_to_install(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=re.escape("pip install h5py")):
        classifier().save(tmp_path / "m.keras")
    assert not list(tmp_path.iterdir())
