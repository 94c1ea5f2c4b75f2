"""A Sequential as a folder of JSON and raw arrays; loading builds only classes of fasttrain, from checked values.

Names that end with ``.keras`` and ``.weights.h5`` are for :mod:`fasttrain.keras._keras_files`.
"""

import json
import os

import numpy as np

from fasttrain._core.specs import Spec
from fasttrain._files.archive import ArchiveKind
from fasttrain._files.plain import DECODING_ERRORS, Decoder, Encoder
from fasttrain.keras import _keras_files as keras_files, layers, losses, metrics, optimizers
from fasttrain.keras._config import is_of, serialized
from fasttrain.keras._custom import named, without_custom_objects
from fasttrain.keras.optimizers import schedules
from fasttrain.training.checkpoints import load_checkpoint
from fasttrain.training.engine import array_to_layers, check_layers, check_memory, from_layers, restore

_KIND = ArchiveKind("sequential", 1)


def save_model(model, path, overwrite):
    """See Sequential.save."""
    path = os.fspath(path)
    if not overwrite and os.path.exists(path):
        raise ValueError(f"{path} exists and overwrite is False")
    if not model.built:
        model.build()
    model._engine()
    if path.endswith(".keras"):
        keras_files.save_model(model, path, None if model._compiled is None else _compiled(model))
        return
    content = {
        **model.get_config(),
        "input_shape": list(model.input_shape[1:]),
        # not get_weights(), which rounds the moving statistics
        "weights": [
            layer.value(name) for layer in model.layers for name in layer.weight_names if name in layer._values
        ],
        "compiled": None if model._compiled is None else _compiled(model),
    }
    encoder = Encoder()
    _KIND.write(path, encoder(content, "model"), encoder.tensors)


def _compiled(model):
    loss = model._compiled["loss"]
    for thing in (loss, model.optimizer):
        if thing is not None and any(isinstance(value, Spec) for value in thing.get_config().values()):
            raise TypeError(f"a model compiled with {thing!r} cannot be saved; compile it with fasttrain.keras's own")
    if model.optimizer.schedule is not None and not is_of(schedules, model.optimizer.schedule):
        raise TypeError(
            "a model whose learning rate is a function or a schedule of one's own cannot be saved; set a number or one "
            "of fasttrain.keras.optimizers.schedules first")
    for what, module, thing in (("loss", losses, loss), ("optimizer", optimizers, model.optimizer)):
        if thing is not None and not is_of(module, thing):
            raise TypeError(
                f"a model compiled with the {what} {thing!r} cannot be saved; compile it with one of fasttrain")
    return {
        "optimizer": serialized(model.optimizer),
        "loss": None if loss is None else {**serialized(loss), "name": loss.name},
        "metrics": [_metric(one) for one in model._compiled["metrics"]],
        "weighted_metrics": [_metric(one) for one in model._compiled["weighted_metrics"]],
        "memory": model._optimizer_state(),
    }


def _means_its_own(name):
    """Whether a metric's name stands for one of fasttrain, here and where the model is read."""
    try:
        with without_custom_objects():
            metrics.get(name)
    except ValueError:
        return False
    return named(name) is name


def _metric(one):
    if isinstance(one, str) and _means_its_own(one):
        return one
    if isinstance(one, type) and issubclass(one, metrics.Metric):
        one = one()
    if type(one) is not metrics.MeanMetricWrapper and is_of(metrics, one):
        return serialized(one)
    raise TypeError(f"a model compiled with the metric {one!r} cannot be saved; compile it with metrics of fasttrain")


def _is_checkpoint(path):
    return os.path.exists(os.path.join(path, "checkpoint.json")) and not os.path.exists(os.path.join(path, _KIND.index))


def no_custom_objects(custom_objects):
    """ValueError where there are any."""
    if custom_objects:
        raise ValueError(f"custom_objects must be None: what is loaded is plain data only, got {custom_objects!r}")


def layer_from(entry):
    """The layer of an entry of Sequential.get_config."""
    name, config, shape = entry["class_name"], entry["config"], entry.get("given_shape")
    if name == "InputLayer":
        return layers.Input(shape, name=config["name"], dtype=config["dtype"])
    layer = layers.deserialize({"class_name": name, "config": config})
    layer.given_shape = None if shape is None else tuple(shape)
    return layer


def save_weights(model, path, overwrite):
    """See Sequential.save_weights."""
    path = os.fspath(path)
    if not path.endswith(".weights.h5"):
        raise ValueError(f"filepath must end with '.weights.h5', got {path!r}")
    if not overwrite and os.path.exists(path):
        raise ValueError(f"{path} exists and overwrite is False")
    if not model.built:
        model.build()
    model._engine()
    keras_files.save_weights(model, path)


def to_json(model, **kwargs):
    """See Sequential.to_json."""
    return json.dumps(keras_files.described(model), **{"default": keras_files.number_of, **kwargs})


@without_custom_objects()
def from_json(text, kind):
    """See :func:`fasttrain.keras.models.model_from_json`; ``kind`` is Sequential."""
    return keras_files.model_of(keras_files.parsed(text, "json_string"), "json_string", kind)


def load_weights(model, path, kind):
    """See Sequential.load_weights; ``kind`` is Sequential."""
    if os.path.isfile(path):
        keras_files.load_weights(model, os.fspath(path))
        return
    if not _is_checkpoint(path):
        model.set_weights(load_model(path, False, kind).get_weights())
        return
    network, checkpoint = model._engine(), load_checkpoint(path)
    checkpoint.require({
        "layers": [model._chain.units[0].dense.input_shape[1], *model._chain.widths],
        "activations": [list(pair) for pair in network.activations],
        "fit_intercept": np.asarray(network.fit_intercept).tolist(),
        "normalize": list(network.normalize),
        "normalization_epsilon": network.normalization_epsilon,
        "dtype": network.dtype.name,
    })
    trained = {name: part for name, part in checkpoint.state["network"]["trained"].items() if name != "average"}
    restore(network, from_layers(network, trained))
    model.touch()


@without_custom_objects()
def load_model(path, compile, kind):
    """See :func:`fasttrain.keras.models.load_model`; ``kind`` is Sequential."""
    if os.path.isfile(path):
        return keras_files.load_model(os.fspath(path), compile, kind)
    if _is_checkpoint(path):
        raise ValueError(
            f"{os.fspath(path)} is a checkpoint, not a model: load_weights takes its weights, fit(resume_from=) goes "
            "on from it"
        )
    index, tensors = _KIND.read(path)
    decoder = Decoder(tensors)
    try:
        content = decoder(index["sequential"])
        if decoder.unused:
            raise ValueError(f"no part of the model uses array {min(decoder.unused)!r}")
        return _model(content, compile, kind)
    except DECODING_ERRORS as error:
        raise ValueError(f"{os.path.join(path, _KIND.index)} does not describe a model: {error}") from error


def _model(content, compile, kind):
    entries, shape = content["layers"], content["input_shape"]
    parameters = keras_files.parameters_of(entries, list(entries[0]["given_shape"] or shape), "the model")
    held = sum(array.nbytes for array in content["weights"])
    # a file that says little cannot make this process hold much
    if 2 * parameters > held:
        raise ValueError(f"the weights must be the {parameters} parameters that the layers have, got {held} bytes")
    model = kind.from_config(content)
    model.build((None, *shape))
    model.set_weights(content["weights"])
    compiled = content["compiled"]
    if compiled is None or not compile:
        return model
    loss = compiled["loss"]
    if loss is not None:
        name, loss = loss["name"], losses.get({key: loss[key] for key in ("class_name", "config")})
        loss.name = name
    model.compile(
        optimizers.get(compiled["optimizer"]), loss, metrics=compiled["metrics"],
        weighted_metrics=compiled["weighted_metrics"],
    )
    model._engine()
    memory, network = compiled["memory"], model._network
    shapes = {
        part: [array.shape for array in arrays]
        for part, arrays in array_to_layers(network, network.parameters).items()
    }
    check_memory(network.rule, memory, shapes, network.dtype)
    held = dict(memory["slots"])
    if network.average is not None:
        held["average"] = memory["average"]
        check_layers("average", memory["average"], shapes, network.dtype)
    for name, parts in held.items():
        if not all(np.isfinite(array).all() for part in shapes for array in parts[part]):
            raise ValueError(f"the optimizer's {name} must hold finite numbers")
    model._set_optimizer_state(memory)
    return model
