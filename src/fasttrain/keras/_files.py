"""A Sequential as a folder of JSON and raw arrays; loading builds only classes of fasttrain, from checked values."""

import os

import numpy as np

from fasttrain._core.specs import Spec
from fasttrain._files.archive import ArchiveKind
from fasttrain._files.plain import DECODING_ERRORS, Decoder, Encoder
from fasttrain.keras import layers, losses, metrics, optimizers
from fasttrain.keras._config import serialized
from fasttrain.training.checkpoints import load_checkpoint
from fasttrain.training.engine import from_layers, restore

_KIND = ArchiveKind("sequential", 1)
_LAYERS = {name: getattr(layers, name) for name in layers.__all__ if isinstance(getattr(layers, name), type)}


def save_model(model, path, overwrite):
    """See Sequential.save."""
    path = os.fspath(path)
    if not overwrite and os.path.exists(path):
        raise ValueError(f"{path} exists and overwrite is False")
    if not model.built:
        model.build()
    model._engine()
    given = [] if model._input is None else [model._input]
    content = {
        "name": model.name,
        "layers": [
            {"class_name": type(layer).__name__, "config": layer.get_config(), "given_shape": layer.given_shape}
            for layer in [*given, *model.layers]
        ],
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
    if model.optimizer.schedule is not None:
        raise TypeError("a model whose learning rate is a function cannot be saved; set a number first")
    return {
        "optimizer": serialized(model.optimizer),
        "loss": None if loss is None else {**serialized(loss), "name": loss.name},
        "metrics": [_metric(one) for one in model._compiled["metrics"]],
        "weighted_metrics": [_metric(one) for one in model._compiled["weighted_metrics"]],
        "memory": model._optimizer_state(),
    }


def _metric(one):
    if isinstance(one, str):
        return one
    if isinstance(one, type) and issubclass(one, metrics.Metric):
        one = one()
    if type(one) is not metrics.MeanMetricWrapper and type(one) is getattr(metrics, type(one).__name__, None):
        return serialized(one)
    raise TypeError(f"a model compiled with the metric {one!r} cannot be saved; compile it with metrics of fasttrain")


def _is_checkpoint(path):
    return os.path.exists(os.path.join(path, "checkpoint.json")) and not os.path.exists(os.path.join(path, _KIND.index))


def load_weights(model, path, kind):
    """See Sequential.load_weights; ``kind`` is Sequential."""
    if not _is_checkpoint(path):
        model.set_weights(load_model(path, False, kind).get_weights())
        return
    network, checkpoint = model._engine(), load_checkpoint(path)
    checkpoint.require({
        "layers": [model._chain.units[0].dense.input_shape[1], *model._chain.widths],
        "activations": [list(pair) for pair in network.activations],
        "fit_intercept": np.asarray(network.fit_intercept).tolist(),
        "normalize": list(network.normalize),
        "dtype": network.dtype.name,
    })
    trained = {name: part for name, part in checkpoint.state["network"]["trained"].items() if name != "average"}
    restore(network, from_layers(network, trained))
    model.touch()


def load_model(path, compile, kind):
    """See :func:`fasttrain.keras.models.load_model`; ``kind`` is Sequential."""
    if os.path.isfile(path):
        raise ValueError(f"{os.fspath(path)} is a file; a model of fasttrain is a folder, which Sequential.save writes")
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
    model = kind(name=content["name"])
    for entry in content["layers"]:
        kind = _LAYERS.get(entry["class_name"])
        if kind is None or kind is layers.Layer:
            raise ValueError(f"{entry['class_name']!r} is not a layer")
        shape = entry["given_shape"]
        layer = layers.Input(shape, name=entry["config"]["name"], dtype=entry["config"]["dtype"]) if (
            kind is layers.InputLayer) else kind.from_config(entry["config"])
        layer.given_shape = None if shape is None else tuple(shape)
        model.add(layer)
    model.build((None, *content["input_shape"]))
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
    memory = compiled["memory"]
    for slot, parts in memory["slots"].items():
        if not all(np.isfinite(array).all() for arrays in parts.values() for array in arrays):
            raise ValueError(f"the optimizer's {slot} must hold finite numbers")
    model._set_optimizer_state(memory)
    return model
