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

import functools
import importlib
import os
import re
from dataclasses import fields

import numpy as np
import sklearn.preprocessing
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from fasttrain import activations, losses, optimizers, penalties, schedules
from fasttrain._archive import ArchiveKind
from fasttrain._plain import DECODING_ERRORS, Decoder, encode
from fasttrain._spec import Spec

__all__ = ["FORMAT_VERSION", "load", "save"]

FORMAT_VERSION = 1
_MODEL = ArchiveKind("model", FORMAT_VERSION)

_VOCABULARY = {
    module.__name__.rpartition(".")[2]: module
    for module in (activations, losses, optimizers, penalties, schedules)
}
# Every public estimator of these modules is saved, and a few that are parts of others.
_MODULES = ("fasttrain.linear_model", "fasttrain.neural_network", "fasttrain.preprocessing")
_PARTS = {"TableEncoder": "fasttrain._table"}
# What estimators of fasttrain keep of scikit-learn's, under the name they have in a file.
_FOREIGN = {"sklearn.LabelBinarizer": sklearn.preprocessing.LabelBinarizer}
# Belong to the process, not to the model: a loaded model makes its engine anew when it trains on.
_LEFT_OUT = {"callbacks"}
_REMADE = {"_engine"}


@functools.cache
def saved_classes():
    """Every class that is saved, by the name it has in a file."""
    found = dict(_FOREIGN)
    for name, home in _PARTS.items():
        found[name] = getattr(importlib.import_module(home), name)
    for home in _MODULES:
        module = importlib.import_module(home)
        for name in module.__all__:
            kind = getattr(module, name)
            if isinstance(kind, type) and issubclass(kind, BaseEstimator):
                found[name] = kind
    return found


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
    content = encode(model, type(model).__name__, tensors, _encode_more)
    _MODEL.write(path, content, tensors, notes=notes, files=files)


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
    index, tensors = _MODEL.read(path)
    decoder = Decoder(tensors, _MORE)
    try:
        model = decoder(index["model"])
        if decoder.unused:
            raise ValueError(f"no part of the model uses array {min(decoder.unused)!r}")
        _require_fitted(model)
        for part in _parts(model):
            for kind, check in _CHECKS.items():
                if type(part) is saved_classes().get(kind):
                    check(part)
    except DECODING_ERRORS as error:
        raise ValueError(f"{os.path.join(path, _MODEL.index)} does not describe a model: {error}") from error
    return (model, index["notes"]) if return_notes else model


def _require_fitted(model):
    for part in _parts(model):
        check_is_fitted(part)


def _parts(model):
    if isinstance(model, Pipeline):
        return [part for _, step in model.steps if not isinstance(step, str) for part in _parts(step)]
    inner = [item for item in vars(model).values() if isinstance(item, BaseEstimator)]
    return [model, *(part for item in inner for part in _parts(item))]


def _encode_more(value, where, tensors):
    """JSON of specs, estimators and what holds estimators; None for anything else that is plain data."""
    if isinstance(value, Spec):
        return _encode_spec(value, where, tensors)
    if isinstance(value, Pipeline):
        steps = [[name, encode(step, f"{where}.{name}", tensors, _encode_more)] for name, step in value.steps]
        return {"@": "pipeline", "steps": steps}
    if isinstance(value, BaseEstimator):
        for name, kind in saved_classes().items():
            if type(value) is kind:
                return _encode_estimator(name, value, where, tensors)
        raise TypeError(
            f"{where} cannot be saved: {type(value).__module__}.{type(value).__name__} is not plain data "
            f"nor one of {', '.join(saved_classes())}, Pipeline"
        )
    return None


def _encode_spec(value, where, tensors):
    for kind, module in _VOCABULARY.items():
        if getattr(module, type(value).__name__, None) is type(value):
            own = {
                f.name: encode(getattr(value, f.name), f"{where}.{f.name}", tensors, _encode_more)
                for f in fields(value)
            }
            return {"@": "spec", "kind": kind, "class": type(value).__name__, "fields": own}
    raise TypeError(f"{where} cannot be saved: {type(value).__name__} is not part of fasttrain's vocabulary")


def _encode_estimator(name, value, where, tensors):
    params = value.get_params(deep=False)
    state = {key: item for key, item in vars(value).items() if key not in params and key not in _REMADE}
    return {
        "@": "estimator",
        "class": name,
        "params": {
            key: encode(None if key in _LEFT_OUT else item, f"{where}.{key}", tensors, _encode_more)
            for key, item in params.items()
        },
        "state": {key: encode(item, f"{where}.{key}", tensors, _encode_more) for key, item in state.items()},
    }


def _decode_spec(value, decoder):
    module = _VOCABULARY.get(value["kind"])
    kind = getattr(module, value["class"], None) if module is not None else None
    if not isinstance(kind, type) or not issubclass(kind, Spec) or value["class"].startswith("_"):
        raise ValueError(f"{value['kind']}.{value['class']} is not part of fasttrain's vocabulary")
    return kind(**{name: decoder(item) for name, item in value["fields"].items()})


def _decode_pipeline(value, decoder):
    return Pipeline([(name, decoder(step)) for name, step in value["steps"]])


def _decode_estimator(value, decoder):
    name = value["class"]
    kind = saved_classes().get(name)
    if kind is None:
        raise ValueError(f"{name!r} is not a class that is saved")
    model = kind(**{key: decoder(item) for key, item in value["params"].items()})
    for key, item in value["state"].items():
        if not re.fullmatch(r"_?[A-Za-z]\w*", key) or key.startswith("__") or hasattr(kind, key):
            raise ValueError(f"{key!r} is not an attribute of a fitted {name}")
        setattr(model, key, decoder(item))
    return model


_MORE = {"spec": _decode_spec, "pipeline": _decode_pipeline, "estimator": _decode_estimator}


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
