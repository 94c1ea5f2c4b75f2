"""The layers' configurations in Keras's words, and back."""

from fasttrain.keras import activations, layers
from fasttrain.keras._config import serialized

# What Keras's configurations hold that these layers do not have: taken where it says nothing.
_NOTHING = {
    "sparse": False, "ragged": False, "optional": False, "quantization_config": None, "bias_regularizer": None,
    "activity_regularizer": None, "bias_constraint": None, "lora_rank": None, "lora_alpha": None,
    "beta_regularizer": None, "gamma_regularizer": None, "beta_constraint": None, "gamma_constraint": None,
    "synchronized": False, "renorm": False, "renorm_clipping": None, "noise_shape": None,
}
# Of settings that say nothing while another is off.
_IGNORED = ("renorm_momentum", "data_format", "seed_generator", "input_axes", "output_axes")


def activation_name(spec):
    """Keras's string for an activation."""
    name = next((name for name in activations.__all__ if getattr(activations, name) == spec), None)
    if name is None:
        raise TypeError(
            f"activation {spec!r} has no name in Keras, so the model is not written to a file of it; give it to a "
            "layer of its own, LeakyReLU or ELU, or save a folder")
    return name


def _named(module, thing):
    """An object of Keras as its files have it."""
    if thing is None or isinstance(thing, str):
        return thing
    return {"module": f"keras.{module}", **serialized_of(thing), "registered_name": None}


def serialized_of(thing):
    return thing if isinstance(thing, dict) else serialized(thing)


def layer_config(layer):
    """The arguments of a layer in Keras's words, its name, dtype and trainable left out."""
    own = layer._config()
    if isinstance(layer, layers.Dense):
        return {
            "units": layer.units, "activation": activation_name(layer.activation), "use_bias": layer.use_bias,
            "kernel_initializer": _named("initializers", own["kernel_initializer"]),
            "bias_initializer": _named("initializers", own["bias_initializer"]),
            "kernel_regularizer": _named("regularizers", layer.kernel_regularizer), "bias_regularizer": None,
            "kernel_constraint": _named("constraints", layer.kernel_constraint), "bias_constraint": None,
        }
    if isinstance(layer, layers.BatchNormalization):
        made = {key: _named("initializers", value) if key.endswith("initializer") else value
                for key, value in own.items()}
        return {"axis": -1, "center": True, "scale": True, **made}
    if type(layer) is layers.Activation:
        return {"activation": activation_name(layer.activation)}
    if isinstance(layer, layers.ReLU):
        return {"max_value": None, "threshold": 0.0, **own}
    if isinstance(layer, layers.Dropout):
        return {**own, "noise_shape": None}
    if isinstance(layer, layers.Normalization):
        return {**own, "axis": [] if layer.axis is None else [layer.axis]}
    if isinstance(layer, layers.Flatten):
        return {"data_format": "channels_last"}
    return own


def _dtype_of(value):
    """A dtype's name of a policy."""
    if isinstance(value, dict):
        if value.get("class_name") not in ("DTypePolicy", "FloatDTypePolicy"):
            raise ValueError(f"dtype must be a policy of one dtype, got {value.get('class_name')!r}")
        value = value["config"]["name"]
    if value not in (None, "float32", "float64"):
        raise ValueError(f"dtype must be 'float32' or 'float64', got {value!r}")
    return value


def _plain(value):
    """An object without its module; what is registered by others is refused."""
    if not isinstance(value, dict):
        return value
    if value.get("registered_name") not in (None, value.get("class_name")):
        raise ValueError(f"{value['registered_name']!r} is an object of one's own, which is not loaded")
    config = {key: inner for key, inner in value["config"].items() if key not in _IGNORED}
    return {"class_name": value["class_name"], "config": config}


def _unpacked(value):
    """The numbers of an array, NumPy's or a backend's, as Keras writes it."""
    if isinstance(value, dict) and value.get("class_name") in ("__numpy__", "__tensor__"):
        return value["config"]["value"]
    return value


def layer_of(entry):
    """The layer of an entry of Keras's description, without its weights.

    Raises
    ------
    ValueError, TypeError
        For a layer that there is not, or a setting that it does not have.
    """
    name, config = entry["class_name"], dict(entry["config"])
    kind = getattr(layers, name, None) if name in layers.__all__ else None
    if not isinstance(kind, type) or not issubclass(kind, layers.Layer) or kind is layers.Layer:
        raise ValueError(f"class_name must be a layer of fasttrain, got {name!r}")
    if entry.get("registered_name") not in (None, name):
        raise ValueError(f"registered_name must be None, got {entry['registered_name']!r}")
    dtype = _dtype_of(config.pop("dtype", None))
    shape = config.pop("batch_shape", config.pop("batch_input_shape", None))
    for key in ("input_shape", "input_dim"):
        if key in config:
            raise ValueError(f"a layer of a file has its shape as batch_shape, got {key}={str(config[key])[:80]}")
    for key in list(config):
        if key in _IGNORED or (key in _NOTHING and config[key] == _NOTHING[key]):
            del config[key]
    if name == "InputLayer":
        given = {"name": config.pop("name", None), "trainable": config.pop("trainable", True)}
        if config:
            raise ValueError(f"an input has no setting {min(config)!r}")
        if not isinstance(shape, list):
            raise ValueError(f"batch_shape must be a list, got {shape!r}")
        return layers.Input(shape=tuple(shape[1:]), name=given["name"], dtype=dtype)
    if name == "Rescaling":
        config = {key: _unpacked(value) for key, value in config.items()}
    if shape is not None:
        config["input_shape"] = tuple(shape[1:])
    return kind(dtype=dtype, **{key: _plain(value) for key, value in config.items()})
