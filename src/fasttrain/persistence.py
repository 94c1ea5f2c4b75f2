"""Fitted models as folders of JSON and raw arrays.

A folder holds ``model.json`` (classes, parameters, small values, and what the array file must be) and one
``arrays-<digest>.safetensors``. Nothing in them is code: loading builds only the classes listed here, from
checked values.

Examples
--------
>>> import os, tempfile
>>> from fasttrain.persistence import load, save
>>> from fasttrain.preprocessing import StandardScaler
>>> scaler = StandardScaler().fit([[1.0, 2.0], [3.0, 6.0]])
>>> with tempfile.TemporaryDirectory() as folder:
...     save(scaler, os.path.join(folder, "scaler"))
...     load(os.path.join(folder, "scaler")).mean_
array([2., 4.])
"""

import hashlib
import importlib
import json
import math
import re
from dataclasses import fields
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from fasttrain import activations, losses, optimizers, penalties, schedules
from fasttrain._folders import write_folder
from fasttrain._safetensors import decode_tensors, encode_tensors
from fasttrain._spec import Spec

__all__ = ["FORMAT_VERSION", "load", "save"]

FORMAT = "fasttrain-model"
FORMAT_VERSION = 1
INDEX = "model.json"
_STALE = r"arrays-[0-9a-f]{16}\.safetensors"

_VOCABULARY = {
    module.__name__.rpartition(".")[2]: module
    for module in (activations, losses, optimizers, penalties, schedules)
}
_CLASSES = {
    "LinearClassifier": "fasttrain.linear_model",
    "LinearRegressor": "fasttrain.linear_model",
    "StandardScaler": "fasttrain.preprocessing",
    "MinMaxScaler": "fasttrain.preprocessing",
    "OneHotEncoder": "fasttrain.preprocessing",
    "LabelEncoder": "fasttrain.preprocessing",
    "TableEncoder": "fasttrain._table",
}
# Belong to the process, not to the model: a loaded model makes its engine anew when it trains on.
_LEFT_OUT = {"callbacks"}
_REMADE = {"_engine"}


def save(model, path, *, notes=None, files=None):
    """Write a fitted model to a folder.

    The folder appears, or changes to the new model, only when every file of it is complete; after an error or
    Ctrl-C what was there before is there still. Other files in it are left alone.

    Parameters
    ----------
    model : estimator
        A fitted LinearClassifier, LinearRegressor, scaler or encoder of fasttrain, or a Pipeline of them.
        ``callbacks`` are not saved.
    path : path
        The folder; missing parents are made.
    notes : dict, optional
        Anything that JSON can hold, to be kept with the model.
    files : dict, optional
        From names to bytes: more files to be put into the folder at the same moment.

    Raises
    ------
    TypeError
        When the model is of another class or holds something that is not saved as plain data.
    ValueError
        When it is not fitted (NotFittedError), or ``path`` is a file.
    """
    _require_fitted(model)
    tensors = {}
    content = _encode(model, type(model).__name__, tensors)
    data = encode_tensors(tensors)
    digest = hashlib.sha256(data).hexdigest()
    array_file = f"arrays-{digest[:16]}.safetensors"
    index = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "library_version": _library_version(),
        "model": content,
        "notes": {} if notes is None else notes,
        "files": {
            array_file: {
                "bytes": len(data),
                "sha256": digest,
                "arrays": {
                    name: {"dtype": array.dtype.name, "shape": list(array.shape)}
                    for name, array in tensors.items()
                },
            }
        },
    }
    index["sha256"] = _digest(index)
    text = json.dumps(index, indent=1, allow_nan=False, ensure_ascii=False)
    written = {**(files or {}), array_file: data, INDEX: text.encode() + b"\n"}
    write_folder(path, written, index=INDEX, stale=_STALE)


def load(path, *, return_notes=False):
    """The model of a folder that :func:`save` wrote.

    Parameters
    ----------
    path : path
    return_notes : bool, default=False
        Whether to return the notes as well.

    Returns
    -------
    estimator, or (estimator, dict)

    Raises
    ------
    ValueError
        When a file is missing, cut short, changed, of another format version, or does not fit the others; the
        message names the file and what is wrong with it.
    """
    path = Path(path)
    if not path.is_dir():
        raise ValueError(f"{path} is not a folder with a model")
    index = _read_index(path / INDEX)
    tensors = {}
    for name, facts in index["files"].items():
        tensors.update(_read_arrays(path, name, facts))
    unused = set(tensors)
    try:
        model = _decode(index["model"], tensors, unused)
        if unused:
            raise ValueError(f"no part of the model uses array {min(unused)!r}")
        _require_fitted(model)
        for part in _parts(model):
            check = _CHECKS.get(type(part).__name__)
            if check is not None:
                check(part)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ValueError(f"{path / INDEX} does not describe a model: {error}") from error
    return (model, index["notes"]) if return_notes else model


def _library_version():
    from fasttrain import __version__

    return __version__


def _digest(index):
    """SHA-256 of everything in the index but the digest itself."""
    rest = {key: value for key, value in index.items() if key != "sha256"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _require_fitted(model):
    for part in _parts(model):
        check_is_fitted(part)


def _parts(model):
    if isinstance(model, Pipeline):
        return [part for _, step in model.steps if not isinstance(step, str) for part in _parts(step)]
    inner = [item for item in vars(model).values() if isinstance(item, BaseEstimator)]
    return [model, *(part for item in inner for part in _parts(item))]



def _no_constant(text):
    raise ValueError(f"{text} is not JSON")


def _read_index(path):
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError:
        raise ValueError(f"{path} is missing") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: {error}") from None
    try:
        index = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is cut short or not JSON: {error}") from None
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        raise ValueError(f"{path} is not the index of a fasttrain model (no format {FORMAT!r})")
    version = index.get("format_version")
    if type(version) is not int or version != FORMAT_VERSION:
        raise ValueError(
            f"{path} has format_version {version!r}, this fasttrain reads {FORMAT_VERSION}; "
            f"it was written by fasttrain {index.get('library_version')}"
        )
    keys = {"library_version": str, "model": dict, "notes": dict, "files": dict, "sha256": str}
    for key, kind in keys.items():
        if not isinstance(index.get(key), kind):
            raise ValueError(f"{path} lacks {key!r}, or it is not of type {kind.__name__}")
    if _digest(index) != index["sha256"]:
        raise ValueError(f"{path} was changed after it was written: its checksum does not fit")
    return index


def _read_arrays(folder, name, facts):
    path = folder / name
    if not re.fullmatch(_STALE, name):
        raise ValueError(f"{folder / INDEX} names {name!r}, which is not the name of an array file")
    if not path.is_file():
        raise ValueError(f"{path} is missing")
    size = path.stat().st_size
    if size != facts["bytes"]:
        raise ValueError(f"{path} has {size} bytes, it must have {facts['bytes']}: it was cut short or changed")
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != facts["sha256"]:
        raise ValueError(f"{path} was changed after it was written: its checksum does not fit")
    tensors = decode_tensors(data, path)
    found = {name: {"dtype": t.dtype.name, "shape": list(t.shape)} for name, t in tensors.items()}
    if found != facts["arrays"]:
        raise ValueError(f"{path} holds {found}, {folder / INDEX} asks for {facts['arrays']}")
    return tensors


# Values as JSON; whatever JSON has no word for is an object whose key "@" says what it is.


def _encode(value, where, tensors):
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"@": "float", "value": repr(value)}
    if isinstance(value, Spec):
        return _encode_spec(value, where, tensors)
    if isinstance(value, np.ndarray):
        return _encode_array(value, where, tensors)
    if isinstance(value, np.generic):
        return {"@": "scalar", "dtype": value.dtype.str, "value": _encode(value.item(), where, tensors)}
    if isinstance(value, np.dtype):
        return {"@": "dtype", "value": value.str}
    if isinstance(value, type) and issubclass(value, np.generic):
        return {"@": "scalar type", "value": np.dtype(value).str}
    if type(value) in (list, tuple):
        items = [_encode(item, f"{where}[{i}]", tensors) for i, item in enumerate(value)]
        return items if type(value) is list else {"@": "tuple", "items": items}
    if type(value) is dict:
        items = [
            [_encode(key, where, tensors), _encode(item, f"{where}[{key!r}]", tensors)]
            for key, item in value.items()
        ]
        return {"@": "dict", "items": items}
    if isinstance(value, Pipeline):
        steps = [[name, _encode(step, f"{where}.{name}", tensors)] for name, step in value.steps]
        return {"@": "pipeline", "steps": steps}
    if _is_saved_class(type(value)):
        return _encode_estimator(value, where, tensors)
    raise TypeError(
        f"{where} cannot be saved: {type(value).__module__}.{type(value).__name__} is not plain data "
        f"nor one of {', '.join(_CLASSES)}, Pipeline"
    )


def _is_saved_class(kind):
    home = _CLASSES.get(kind.__name__)
    return home is not None and getattr(importlib.import_module(home), kind.__name__) is kind


def _encode_spec(value, where, tensors):
    for kind, module in _VOCABULARY.items():
        if getattr(module, type(value).__name__, None) is type(value):
            own = {f.name: _encode(getattr(value, f.name), f"{where}.{f.name}", tensors) for f in fields(value)}
            return {"@": "spec", "kind": kind, "class": type(value).__name__, "fields": own}
    raise TypeError(f"{where} cannot be saved: {type(value).__name__} is not part of fasttrain's vocabulary")


def _encode_array(value, where, tensors):
    if value.dtype.kind in "OU":
        items = [_encode(item, where, tensors) for item in value.ravel().tolist()]
        return {"@": "objects", "dtype": value.dtype.str, "shape": list(value.shape), "values": items}
    if value.dtype.kind not in "biuf" or value.dtype.itemsize > 8:
        raise TypeError(f"{where} cannot be saved: arrays of dtype {value.dtype} are not")
    tensors[where] = np.ascontiguousarray(value, value.dtype.newbyteorder("<")).reshape(value.shape)
    return {"@": "array", "name": where}


def _encode_estimator(value, where, tensors):
    params = value.get_params(deep=False)
    state = {name: item for name, item in vars(value).items() if name not in params and name not in _REMADE}
    return {
        "@": "estimator",
        "class": type(value).__name__,
        "params": {
            name: _encode(None if name in _LEFT_OUT else item, f"{where}.{name}", tensors)
            for name, item in params.items()
        },
        "state": {name: _encode(item, f"{where}.{name}", tensors) for name, item in state.items()},
    }


def _decode(value, tensors, unused):
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) is list:
        return [_decode(item, tensors, unused) for item in value]
    decoder = _DECODERS.get(value.get("@"))
    if decoder is None:
        raise ValueError(f"{value.get('@')!r} is not a kind of value")
    return decoder(value, tensors, unused)


def _decode_float(value, tensors, unused):
    if value["value"] not in ("nan", "inf", "-inf"):
        raise ValueError(f"{value['value']!r} is not a float that JSON lacks")
    return float(value["value"])


def _plain_dtype(text, kinds):
    dtype = np.dtype(text) if isinstance(text, str) else None
    if dtype is None or dtype.kind not in kinds:
        raise ValueError(f"{text!r} is not a dtype that is saved")
    return dtype


def _decode_scalar(value, tensors, unused):
    dtype = _plain_dtype(value["dtype"], "biufU")
    return dtype.type(_decode(value["value"], tensors, unused))


def _decode_dtype(value, tensors, unused):
    return _plain_dtype(value["value"], "biufU")


def _decode_scalar_type(value, tensors, unused):
    return _plain_dtype(value["value"], "biuf").type


def _decode_tuple(value, tensors, unused):
    return tuple(_decode(item, tensors, unused) for item in value["items"])


def _decode_dict(value, tensors, unused):
    return {_decode(k, tensors, unused): _decode(v, tensors, unused) for k, v in value["items"]}


def _decode_array(value, tensors, unused):
    unused.discard(value["name"])
    if value["name"] not in tensors:
        raise ValueError(f"array {value['name']!r} is in none of its files")
    return tensors[value["name"]]


def _decode_objects(value, tensors, unused):
    array = np.empty(len(value["values"]), dtype=_plain_dtype(value["dtype"], "OU"))
    for i, item in enumerate(value["values"]):
        array[i] = _decode(item, tensors, unused)
    return array.reshape(value["shape"])


def _decode_spec(value, tensors, unused):
    module = _VOCABULARY.get(value["kind"])
    kind = getattr(module, value["class"], None) if module is not None else None
    if not isinstance(kind, type) or not issubclass(kind, Spec) or value["class"].startswith("_"):
        raise ValueError(f"{value['kind']}.{value['class']} is not part of fasttrain's vocabulary")
    return kind(**{name: _decode(item, tensors, unused) for name, item in value["fields"].items()})


def _decode_pipeline(value, tensors, unused):
    return Pipeline([(name, _decode(step, tensors, unused)) for name, step in value["steps"]])


def _decode_estimator(value, tensors, unused):
    name = value["class"]
    if name not in _CLASSES:
        raise ValueError(f"{name!r} is not a class that is saved")
    kind = getattr(importlib.import_module(_CLASSES[name]), name)
    model = kind(**{key: _decode(item, tensors, unused) for key, item in value["params"].items()})
    for key, item in value["state"].items():
        if not re.fullmatch(r"_?[A-Za-z]\w*", key) or key.startswith("__") or hasattr(kind, key):
            raise ValueError(f"{key!r} is not an attribute of a fitted {name}")
        setattr(model, key, _decode(item, tensors, unused))
    return model


_DECODERS = {
    "float": _decode_float,
    "scalar": _decode_scalar,
    "dtype": _decode_dtype,
    "scalar type": _decode_scalar_type,
    "tuple": _decode_tuple,
    "dict": _decode_dict,
    "array": _decode_array,
    "objects": _decode_objects,
    "spec": _decode_spec,
    "pipeline": _decode_pipeline,
    "estimator": _decode_estimator,
}


# What the kernels take on trust.


def _check_vectors(model, *names):
    for name in names:
        vector = getattr(model, name)
        if vector is None:
            continue
        if not isinstance(vector, np.ndarray) or vector.dtype.kind != "f" or vector.shape != (model.n_features_in_,):
            raise ValueError(f"{name} of {type(model).__name__} must have shape ({model.n_features_in_},)")


def _check_standard_scaler(model):
    _check_vectors(model, "mean_", "scale_", "var_")


def _check_min_max_scaler(model):
    _check_vectors(model, "min_", "scale_", "data_min_", "data_max_")


def _check_linear(model):
    coef, intercept = model.coef_, model.intercept_
    if not isinstance(coef, np.ndarray) or coef.ndim not in (1, 2) or coef.shape[-1] != model.n_features_in_:
        raise ValueError(f"coef_ of {type(model).__name__} must have {model.n_features_in_} columns")
    outputs = coef.shape[0] if coef.ndim == 2 else 1
    if np.ndim(intercept) > 1 or np.size(intercept) not in (1, outputs):
        raise ValueError(f"intercept_ of {type(model).__name__} must have {outputs} numbers")
    if not np.isfinite(coef).all() or not np.isfinite(intercept).all():
        raise ValueError(f"coef_ and intercept_ of {type(model).__name__} must be finite")


def _check_one_hot(model):
    places = model._out_columns
    if len(places) != len(model.categories_) or len(places) != model.n_features_in_:
        raise ValueError(f"OneHotEncoder must have categories for {model.n_features_in_} columns")
    for place, categories in zip(places, model.categories_):
        if place.dtype != np.int64 or place.shape != (len(categories) + 1,):
            raise ValueError("OneHotEncoder must have a place for each category")
        if place.min() < -1 or place.max() >= model._n_out:
            raise ValueError(f"OneHotEncoder must have places from -1 to {model._n_out - 1}")


_CHECKS = {
    "OneHotEncoder": _check_one_hot,
    "StandardScaler": _check_standard_scaler,
    "MinMaxScaler": _check_min_max_scaler,
    "LinearClassifier": _check_linear,
    "LinearRegressor": _check_linear,
}
