"""Files of Keras 3: ``.keras``, a zip of two JSON files and one of HDF5, and ``.weights.h5``.

What is read may come from anyone: nothing in it is run, names and sizes in the zip, links in the HDF5 file and each
entry of the configuration are looked at before they are used, and arrays are read only in the shapes that the layers
have.
"""

import datetime
import io
import json
import os
import re
import zipfile
import zlib

import numpy as np

from fasttrain._files.atomic import write_file
from fasttrain._files.plain import DECODING_ERRORS
from fasttrain.keras import losses, metrics, optimizers
from fasttrain.keras._keras_memory import memory_arrays, slots_of, variables_of
from fasttrain.keras._keras_names import layer_config, layer_of
from fasttrain.keras.optimizers.schedules import LearningRateSchedule
from fasttrain.optimizers._state import may_hold
from fasttrain.training.engine import array_from_layers, array_to_layers

_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
# Of the JSON files; a description of thousands of layers is smaller.
_MOST_JSON = 1 << 24
# Of an HDF5 file beyond its arrays: the tree of groups.
_MOST_TREE = 1 << 22
# Bytes of a part to one of the zip: weights hardly get smaller, and Keras does not try.
_MOST_UNPACKED = 100
# Stands for all that is more: JSON has numbers of thousands of digits.
_ENDLESS = 1 << 63


def _h5py():
    try:
        import h5py
    except ImportError:
        raise ImportError("files of Keras need h5py: pip install h5py") from None
    return h5py


# ---- writing ----


def _object(module, kind, config, **more):
    return {"module": module, "class_name": kind, "config": config, "registered_name": None, **more}


def number_of(value):
    """A number of NumPy's as JSON has it; TypeError for what is none."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is not plain data")


def described(model):
    """The layers of a model as Keras describes them, plain data."""
    if not model.built:
        model.build()
    dtype = model._dtype().name
    policy = _object("keras", "DTypePolicy", {"name": dtype})
    start = model.inputs[0]
    entries = [_object("keras.layers", "InputLayer", {
        "batch_shape": list(model.input_shape), "dtype": dtype, "sparse": False, "ragged": False, "name": start.name,
        "optional": False,
    })]
    for layer in model.layers:
        entries.append(_object(
            "keras.layers", type(layer).__name__,
            {"name": layer.name, "trainable": layer.trainable, "dtype": policy, **layer_config(layer)},
            build_config={"input_shape": list(layer.input_shape)}))
    config = {
        "name": model.name, "trainable": True, "dtype": policy, "layers": entries,
        "build_input_shape": list(model.input_shape),
    }
    return _object("keras", "Sequential", config, build_config={"input_shape": list(model.input_shape)})


def _compile_config(compiled):
    """What Keras compiles the model with; ``compiled`` is plain data already."""
    def one(module, thing):
        return thing if thing is None or isinstance(thing, str) else _object(
            module, thing["class_name"], thing["config"])

    optimizer = one("keras.optimizers", compiled["optimizer"])
    rate = optimizer["config"]["learning_rate"]
    if isinstance(rate, dict):
        rate = one("keras.optimizers.schedules", rate)
    optimizer["config"] = {**optimizer["config"], "learning_rate": rate}
    return {
        "optimizer": optimizer, "loss": one("keras.losses", compiled["loss"]), "loss_weights": None,
        "metrics": [one("keras.metrics", metric) for metric in compiled["metrics"]] or None,
        "weighted_metrics": [one("keras.metrics", metric) for metric in compiled["weighted_metrics"]] or None,
        "run_eagerly": False, "steps_per_execution": 1, "jit_compile": False,
    }


def save_model(model, path, compiled):
    """Write a ``.keras`` file; ``compiled`` is what the model was compiled with as plain data, or None."""
    from fasttrain import __version__

    description = described(model)
    if compiled is not None:
        description["compile_config"] = _compile_config(compiled)
    now = datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")
    metadata = {"keras_version": "3.0.0", "date_saved": now, "written_by": f"fasttrain {__version__}"}
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        file.writestr(_METADATA, json.dumps(metadata))
        file.writestr(_CONFIG, json.dumps(description, default=number_of))
        file.writestr(_WEIGHTS, _weights_file(model))
    write_file(path, data.getvalue())


def save_weights(model, path):
    """Write a ``.weights.h5`` file."""
    write_file(path, _weights_file(model))


def _groups(kinds):
    """Where Keras keeps each layer's arrays: by its class, with a number from the second on."""
    counts = {}
    for kind in kinds:
        name = re.sub(r"([a-z])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", kind)).lower()
        count = counts[name] = counts.get(name, -1) + 1
        yield f"layers/{name}_{count}" if count else f"layers/{name}"


def _weights_file(model):
    """The bytes of an HDF5 file of a model's weights, and its optimizer's memory."""
    data = io.BytesIO()
    with _h5py().File(data, "w") as file:
        file.create_group("vars").attrs["name"] = model.name
        for layer, place in zip(model.layers, _groups(type(layer).__name__ for layer in model.layers)):
            group = file.create_group(f"{place}/vars")
            group.attrs["name"] = layer.name
            for number, array in enumerate(layer.get_weights()):
                group[str(number)] = array
        if model.optimizer is not None and model._network is not None:
            group = file.create_group("optimizer/vars")
            group.attrs["name"] = model.optimizer.name
            for number, array in enumerate(memory_arrays(model)):
                group[str(number)] = array
    return data.getvalue()


# ---- reading ----


def parsed(text, where):
    """Plain data of JSON text."""
    if not isinstance(text, (str, bytes, bytearray)):
        raise TypeError(f"{where} must be JSON text, got {type(text).__name__}")
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where} is not JSON: {error}") from error


def _no_constant(name):
    raise ValueError(f"it has {name}")


def _refuse(where, what):
    raise ValueError(f"{where} {what}")


def _is_object(entry, where):
    if not isinstance(entry, dict) or not isinstance(entry.get("config"), dict) or not isinstance(
            entry.get("class_name"), str):
        _refuse(where, f"must be an object with class_name and config, got {str(entry)[:80]}")
    return entry


def model_of(description, where, kind):
    """The model that Keras, or :func:`described`, described; with weights of its own, not compiled."""
    return _of_entries(_entries(description, where), description, where, kind)


def _entries(description, where):
    """What is described of each layer, from the input upwards."""
    _is_object(description, where)
    class_name, config = description["class_name"], description["config"]
    if class_name not in ("Sequential", "Functional"):
        _refuse(f"class_name of {where}", f"must be 'Sequential' or 'Functional', got {class_name!r}")
    entries = config.get("layers")
    if not isinstance(entries, list):
        _refuse(f"{where}: config.layers", f"must be a list, got {str(entries)[:80]}")
    for number, entry in enumerate(entries):
        _is_object(entry, f"{where}: config.layers[{number}]")
    return _chain(entries, where) if class_name == "Functional" else entries


def _of_entries(entries, description, where, kind):
    model = kind(name=description["config"].get("name"))
    for number, entry in enumerate(entries):
        place = f"{where}: config.layers[{number}]"
        try:
            model.add(layer_of(entry))
        except DECODING_ERRORS as error:
            raise ValueError(error if str(error).startswith(where) else f"{place}: {error}") from error
    return model


def _chain(entries, where):
    """The layers of a functional model in their order, where it is a chain."""
    by_name, above = {}, {}
    for number, entry in enumerate(entries):
        place = f"{where}: config.layers[{number}]"
        name = entry.get("name", entry["config"].get("name"))
        if not isinstance(name, str):
            _refuse(f"{place}.name", f"must be a string, got {str(name)[:80]}")
        nodes = entry.get("inbound_nodes", [])
        by_name[name] = entry
        if entry["class_name"] == "InputLayer":
            continue
        if not isinstance(nodes, list) or len(nodes) != 1:
            _refuse(place, f"must be called once, as a shared layer is not part of a chain, got {str(nodes)[:80]}")
        try:
            (tensor,) = nodes[0]["args"]
            source = tensor["config"]["keras_history"][0]
            branches = source in above
        except DECODING_ERRORS:
            _refuse(f"{place}.inbound_nodes", "must have one input, as models here are chains of layers")
        if branches:
            _refuse(place, f"branches from {source!r}, and models here are chains of layers")
        above[source] = name
    starts = [name for name, entry in by_name.items() if entry["class_name"] == "InputLayer"]
    if len(starts) != 1:
        _refuse(f"{where}: config.layers", f"must have one input, got {len(starts)}")
    chain = [starts[0]]
    while chain[-1] in above:
        chain.append(above[chain[-1]])
        if len(chain) > len(by_name):
            _refuse(f"{where}: config.layers", "go in a circle")
    if len(chain) != len(by_name):
        _refuse(f"{where}: config.layers", "must be one chain from the input")
    return [by_name[name] for name in chain]


class _Archive:
    """A ``.keras`` file that has been looked at."""

    def __init__(self, path):
        self.path = path
        try:
            self.file = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, OSError) as error:
            raise ValueError(f"{path} is not a .keras file: {error}; a model of fasttrain is a folder") from error
        try:
            self._look()
        except BaseException:
            self.file.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()

    def _look(self):
        path, parts = self.path, self.file.infolist()
        names = sorted(part.filename for part in parts)
        if names != sorted([_CONFIG, _METADATA, _WEIGHTS]):
            raise ValueError(
                f"{path} must hold {_CONFIG}, {_METADATA} and {_WEIGHTS}, got {', '.join(map(repr, names[:8]))}")
        for part in parts:
            if part.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(
                    f"{part.filename} of {path} must be stored or deflated, got method {part.compress_type}")
        self.sizes = {part.filename: part.file_size for part in parts}
        most = _MOST_UNPACKED * os.stat(path).st_size + _MOST_TREE
        if self.sizes[_WEIGHTS] > most:
            raise ValueError(
                f"{_WEIGHTS} of {path} must be of at most {most} bytes in a file of this size, got "
                f"{self.sizes[_WEIGHTS]}")
        for name in (_CONFIG, _METADATA):
            if self.sizes[name] > _MOST_JSON:
                raise ValueError(f"{name} of {path} must be of at most {_MOST_JSON} bytes, got {self.sizes[name]}")

    def read(self, name, most):
        """A part, of at most so many bytes."""
        if self.sizes[name] > most:
            raise ValueError(f"{name} of {self.path} must be of at most {most} bytes here, got {self.sizes[name]}")
        try:
            with self.file.open(name) as part:
                data = part.read(most + 1)
        except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError, zlib.error) as error:
            raise ValueError(f"{name} of {self.path} cannot be read: {error}") from error
        if len(data) != self.sizes[name]:
            raise ValueError(f"{name} of {self.path} must have {self.sizes[name]} bytes, got {len(data)} or more")
        return data


def _batch_shape(config):
    return config.get("batch_shape", config.get("batch_input_shape"))


def parameters_of(entries, shape, where):
    """How many parameters described layers have, or up to twice as many, before anything is made of them.

    ``shape`` is that of a row, None where that is not told.
    """
    total, width, last = 0, None, None
    if shape:
        width, last = _product(shape), min(shape[-1], _ENDLESS)
    for number, entry in enumerate(entries):
        config = entry["config"]
        if entry["class_name"] == "Dense":
            units = config.get("units")
            if type(units) is not int or units < 1:
                _refuse(f"{where}: config.layers[{number}].config.units", f"must be an integer >= 1, got {units!r}")
            units = min(units, _ENDLESS)
            total += ((width or 1) + 1) * units
            width = last = units
        elif entry["class_name"] == "BatchNormalization":
            total += 4 * (width or 1)
        elif entry["class_name"] == "Flatten":
            last = width
        elif entry["class_name"] == "Normalization" and config.get("mean") is None:
            total += 2 * (last or 1) if config.get("axis") else 2
    return total


def _product(shape):
    width = 1
    for n in shape:
        width = min(width * min(n, _ENDLESS), _ENDLESS)
    return width


def _row_shape(shape):
    """That of a row of a described shape of batches; None where it is none."""
    if not isinstance(shape, list) or not all(type(n) is int and n > 0 for n in shape[1:]):
        return None
    return shape[1:]


def _loaded(archive, kind):
    """The model of an archive without its weights, and the bytes of these."""
    where = f"{_CONFIG} of {archive.path}"
    description = parsed(archive.read(_CONFIG, _MOST_JSON), where)
    entries = _entries(description, where)
    try:
        shape = (description.get("build_config") or {}).get("input_shape")
        shape = shape or description["config"].get("build_input_shape")
        row = _row_shape(_batch_shape(entries[0]["config"])) if entries else None
        parameters = parameters_of(entries, row or _row_shape(shape), where)
    except DECODING_ERRORS as error:
        raise _no_model(where, error) from error
    # a file that says little cannot make this process hold much
    if 2 * parameters > archive.sizes[_WEIGHTS]:
        raise ValueError(
            f"{_WEIGHTS} of {archive.path} must hold the {parameters} parameters that {_CONFIG} describes, got "
            f"{archive.sizes[_WEIGHTS]} bytes")
    try:
        model = _of_entries(entries, description, where, kind)
        if not model.built:
            model.build(shape)
    except DECODING_ERRORS as error:
        raise _no_model(where, error) from error
    # weights and up to four arrays of memory, float64, and the tree
    data = archive.read(_WEIGHTS, 6 * 8 * (parameters + 4 * sum(map(_width, model.layers))) + _MOST_TREE)
    return model, description, data


def _no_model(where, error):
    return ValueError(error if where in str(error) else f"{where} describes no model: {error}")


def _width(layer):
    return layer.output_shape[-1] if layer.weight_names else 0


def load_model(path, compile, kind):
    """The model of a ``.keras`` file; ``kind`` is Sequential."""
    with _Archive(path) as archive:
        model, description, data = _loaded(archive, kind)
    where = f"{_WEIGHTS} of {path}"
    with _Weights(data, where) as weights:
        weights.into_layers(model)
        compiled = description.get("compile_config")
        if not compile or not compiled:
            return model
        try:
            _compile(model, compiled)
        except DECODING_ERRORS as error:
            raise ValueError(f"{_CONFIG} of {path}: compile_config: {error}") from error
        if model.optimizer is not None:
            model._engine()
            weights.optimizer_memory(model)()
    return model


def _compile(model, compiled):
    def plain(thing):
        # a module of Keras, of which only names are used
        if isinstance(thing, dict):
            if thing.get("registered_name") is not None and thing.get("registered_name") != thing.get("class_name"):
                raise ValueError(f"{thing['registered_name']!r} is an object of one's own, which is not loaded")
            config = {key: plain(value) for key, value in thing["config"].items() if key != "dtype"}
            return {"class_name": thing["class_name"], "config": config}
        if isinstance(thing, list):
            return [plain(one) for one in thing]
        return thing

    loss = compiled.get("loss")
    model.compile(
        optimizers.get(plain(compiled["optimizer"])), None if loss is None else losses.get(plain(loss)),
        metrics=plain(compiled.get("metrics")), weighted_metrics=plain(compiled.get("weighted_metrics")))
    for one in (*model._compiled["metrics"], *model._compiled["weighted_metrics"]):
        metrics.get(one)


def load_weights(model, path):
    """Weights, and where it fits the optimizer's memory, of a ``.keras`` or ``.weights.h5`` file."""
    most = 6 * 8 * (model.count_params() + 4 * sum(map(_width, model.layers))) + _MOST_TREE
    if path.endswith(".keras"):
        where = f"{_WEIGHTS} of {path}"
        with _Archive(path) as archive:
            data = archive.read(_WEIGHTS, most)
    elif path.endswith(".weights.h5"):
        where = path
        with open(path, "rb") as file:
            data = file.read(most + 1)
        if len(data) > most:
            raise ValueError(f"{path} must be of at most {most} bytes for this model, got more")
    else:
        raise ValueError(
            f"{path} must be a folder of fasttrain, or a file that ends with '.keras' or '.weights.h5'")
    with _Weights(data, where) as weights:
        remember = None
        if model.optimizer is not None:
            model._engine()
            remember = weights.optimizer_memory(model, must_fit=False)
        weights.into_layers(model)
        if remember is not None:
            model._engine()
            remember()


# What h5py raises of a damaged file, beside ValueError.
_H5_ERRORS = (OSError, RuntimeError, KeyError, TypeError, OverflowError, MemoryError)


class _Weights:
    """An HDF5 file of weights that has been looked at."""

    def __init__(self, data, where):
        self.where = where
        self.h5py = _h5py()
        try:
            self.file = self.h5py.File(io.BytesIO(data), "r")
        except (ValueError, *_H5_ERRORS) as error:
            raise ValueError(f"{where} is not an HDF5 file: {error}") from error

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        self.file.close()
        if isinstance(error, _H5_ERRORS):
            raise ValueError(f"{self.where} cannot be read: {error}") from error

    def _arrays(self, place):
        """The arrays 0, 1, 2 ... of a group, not read yet; None where there is no such group."""
        group = self.file
        for name in place.split("/"):
            if name not in group:
                return None
            # a link into another file, or none at all
            if not isinstance(group.get(name, getlink=True), self.h5py.HardLink):
                _refuse(f"{place} in {self.where}", "must be no link")
            group = group[name]
            if not isinstance(group, self.h5py.Group):
                _refuse(f"{place} in {self.where}", "must be a group")
        found = []
        for number in range(len(group)):
            name = f"{place}/{number} in {self.where}"
            if str(number) not in group or not isinstance(
                    group.get(str(number), getlink=True), self.h5py.HardLink):
                _refuse(name, "must be an array")
            array = group[str(number)]
            if not isinstance(array, self.h5py.Dataset) or array.external or array.is_virtual:
                _refuse(name, "must be an array of this file")
            if array.dtype.kind not in "fiu":
                _refuse(name, f"must hold numbers, got {array.dtype}")
            found.append(array)
        return found

    def _read(self, array, shape, name):
        if array.shape != shape:
            _refuse(f"{name} in {self.where}", f"must have shape {shape}, got {array.shape}")
        # chunks, which may be packed, can be of any size whatever the array's
        if array.chunks is not None:
            _refuse(f"{name} in {self.where}", f"must be in one piece, as Keras writes it, got chunks {array.chunks}")
        return array[()]

    def into_layers(self, model):
        """The layers' weights."""
        found = self._of_layers(model.layers)
        try:
            model.set_weights(found)
        except ValueError as error:
            raise ValueError(f"{self.where}: {error}") from error

    def _of_layers(self, own):
        """The arrays of layers, in the order of their weights."""
        found = []
        for layer, place in zip(own, _groups(type(layer).__name__ for layer in own)):
            shapes = [array.shape for array in layer.get_weights()]
            arrays = self._arrays(f"{place}/vars") or []
            if len(arrays) != len(shapes):
                _refuse(f"{place} in {self.where}", f"must hold {len(shapes)} arrays for layer {layer.name!r}, got "
                                                    f"{len(arrays)}")
            found += [
                self._read(array, shape, f"{place}/vars/{number}")
                for number, (array, shape) in enumerate(zip(arrays, shapes))
            ]
        return found

    def optimizer_memory(self, model, must_fit=True):
        """What gives the optimizer its memory; nothing where there is none, or where it may be another's and is."""
        optimizer, network = model.optimizer, model._network
        arrays = self._arrays("optimizer/vars")
        fixed = 1 if isinstance(optimizer.schedule, LearningRateSchedule) else 2
        if arrays is None or (len(arrays) <= fixed and slots_of(optimizer)):
            return _nothing
        shapes, places = [()] * fixed, []
        layers_of = {slot: array_to_layers(network, array) for slot, array in network.state.items()}
        if optimizer.use_ema:
            layers_of["average"] = array_to_layers(network, network.average)
        for group in slots_of(optimizer):
            for part, number in variables_of(model):
                for slot in group:
                    places.append((slot, part, number))
                    shapes.append(layers_of[slot][part][number].shape)
        if network.rule == "nadam":
            shapes.append(())
        if [array.shape for array in arrays] != shapes:
            if must_fit:
                _refuse(f"optimizer/vars in {self.where}", f"must hold {len(shapes)} arrays of the shapes that "
                        f"{type(optimizer).__name__} remembers, got {len(arrays)}")
            return _nothing
        with np.errstate(over="ignore"):
            values = [
                self._read(array, shape, f"optimizer/vars/{number}").astype(network.dtype if shape else np.float64)
                for number, (array, shape) in enumerate(zip(arrays, shapes))
            ]
        if not all(np.isfinite(value).all() for value in values):
            _refuse(f"optimizer/vars in {self.where}", "must hold finite numbers")
        if not 0 <= values[0] <= 2**53 or values[0] % 1 or (fixed == 2 and values[1] < 0):
            _refuse(f"optimizer/vars in {self.where}", "must begin with a number of steps and a learning rate >= 0")
        for number, ((slot, _, _), value) in enumerate(zip(places, values[fixed:]), fixed):
            if not may_hold(network.rule, slot, value):
                _refuse(f"optimizer/vars/{number} in {self.where}", "must hold numbers >= 0")
        if network.rule == "nadam" and not 0 <= values[-1] <= 1:
            _refuse(f"optimizer/vars in {self.where}", "must end with a product of momentums from 0 to 1")

        def remember():
            for (slot, part, number), value in zip(places, values[fixed:]):
                layers_of[slot][part][number][...] = value
            for slot, layered in layers_of.items():
                target = network.average if slot == "average" else network.state[slot]
                target[:] = array_from_layers(network, layered)
            network.counters = {
                "t": float(values[0]), "carried": 1.0 - float(values[-1]) if network.rule == "nadam" else 0.0}
            optimizer._batches = int(values[0])
            if fixed == 2:
                optimizer.learning_rate = float(values[1])

        return remember


def _nothing():
    pass
