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

from __future__ import annotations

import os
import re
from dataclasses import fields
from functools import partial
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

# Their packages enter the estimators that are saved.
from fasttrain import activations, linear_model, losses, neural_network, optimizers, penalties, preprocessing, schedules  # noqa: F401
from fasttrain._core.public import publish
from fasttrain._core.specs import Spec
from fasttrain._core.types import EstimatorLike, PathLike
from fasttrain._estimators.registry import SERVED, entry_of, entry_of_class, own_class, records, saved_classes
from fasttrain._files.archive import ArchiveKind
from fasttrain._files.plain import DECODING_ERRORS, Decoder, Encoder
from fasttrain.training.checkpoints import random_state_from, random_state_to

__all__ = ["FORMAT_VERSION", "load", "save"]

FORMAT_VERSION = 1
_MODEL = ArchiveKind("model", FORMAT_VERSION)

_VOCABULARY = {
    module.__name__.rpartition(".")[2]: module
    for module in (activations, losses, optimizers, penalties, schedules)
}


def save(model: EstimatorLike, path: PathLike, *, notes: dict[Any, Any] | None = None,
         files: dict[Any, Any] | None = None) -> None:
    """Write a fitted model to a folder.

    The folder appears, or changes to the new model, only when every file of it is complete; after an error or
    Ctrl-C what was there before is there still. Other files in it are left alone.

    Parameters
    ----------
    model : estimator
        A fitted estimator of fasttrain: any linear model, multi-layer perceptron, scaler, encoder, sampler or
        TablePreprocessor, or a Pipeline of them.
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
    encoder = Encoder(_encode_more)
    content = encoder(model, type(model).__name__)
    _MODEL.write(path, content, encoder.tensors, notes=notes, files=files)


def load(path: PathLike, *, return_notes: bool = False) -> Any:
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
    decoder = Decoder(tensors, {**_MORE, **{name: partial(_decode_record, kind) for name, kind in records().items()}})
    try:
        model = decoder(index["model"])
        if decoder.unused:
            raise ValueError(f"no part of the model uses array {min(decoder.unused)!r}")
        _require_fitted(model)
        for part in _parts(model):
            entry = entry_of_class(type(part))
            if entry is not None and entry.check is not None:
                entry.check(part)
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


def _encode_more(value, where, encoder):
    """JSON of specs, estimators and what they hold beyond plain data; None for anything else."""
    if isinstance(value, Spec):
        return _encode_spec(value, where, encoder)
    if isinstance(value, Pipeline):
        return {"@": "pipeline", "steps": [[name, encoder(step, f"{where}.{name}")] for name, step in value.steps]}
    if isinstance(value, BaseEstimator):
        for name, kind in saved_classes().items():
            if own_class(value) is kind and SERVED not in vars(value):
                return _encode_estimator(name, value, where, encoder)
        raise TypeError(
            f"{where} cannot be saved: {type(value).__module__}.{type(value).__name__} is not plain data "
            f"nor one of {', '.join(saved_classes())}, Pipeline"
        )
    if isinstance(value, np.random.RandomState):
        return {"@": "random state", "state": encoder(random_state_to(value), where)}
    for name, kind in records().items():
        if type(value) is kind:
            return {"@": name, "values": encoder([getattr(value, part.name) for part in fields(kind)], where)}
    if sparse.issparse(value) and value.format == "csr":
        parts = {name: encoder(getattr(value, name), f"{where}.{name}") for name in ("data", "indices", "indptr")}
        return {"@": "csr", "shape": list(value.shape), "matrix": isinstance(value, sparse.spmatrix), **parts}
    return None


def _encode_spec(value, where, encoder):
    for kind, module in _VOCABULARY.items():
        if getattr(module, type(value).__name__, None) is type(value):
            own = {f.name: encoder(getattr(value, f.name), f"{where}.{f.name}") for f in fields(value)}
            return {"@": "spec", "kind": kind, "class": type(value).__name__, "fields": own}
    raise TypeError(f"{where} cannot be saved: {type(value).__name__} is not part of fasttrain's vocabulary")


def _encode_estimator(name, value, where, encoder):
    params = value.get_params(deep=False)
    entry = entry_of(value)
    not_saved, remade = ((), ()) if entry is None else (entry.not_saved, entry.remade)
    state = {key: item for key, item in vars(value).items() if key not in params and key not in remade}
    return {
        "@": "estimator",
        "class": name,
        "params": {
            key: encoder(None if key in not_saved else item, f"{where}.{key}") for key, item in params.items()
        },
        "state": {key: encoder(item, f"{where}.{key}") for key, item in state.items()},
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
        if not re.fullmatch(r"_?[A-Za-z]\w*", key) or key.startswith("__") or getattr(kind, key, None) is not None:
            raise ValueError(f"{key!r} is not an attribute of a fitted {name}")
        setattr(model, key, decoder(item))
    return model


def _decode_record(kind, value, decoder):
    return kind(*decoder(value["values"]))


def _decode_csr(value, decoder):
    data, indices, indptr = (decoder(value[name]) for name in ("data", "indices", "indptr"))
    shape = value["shape"]
    if type(shape) is not list or len(shape) != 2 or not all(type(size) is int and size >= 0 for size in shape):
        raise ValueError(f"the shape of a sparse array must be two sizes, got {shape!r}")
    # SciPy's own check leaves out what follows where the last row ends at 0, and its products trust all of it
    good = all(isinstance(part, np.ndarray) and part.ndim == 1 for part in (data, indices, indptr))
    good = good and indices.dtype.kind == indptr.dtype.kind == "i" and len(indptr) == shape[0] + 1
    good = good and indptr[0] == 0 and (np.diff(indptr) >= 0).all() and indptr[-1] == len(indices) == len(data)
    good = good and (not len(indices) or (indices.min() >= 0 and indices.max() < shape[1]))
    if not good:
        raise ValueError("data, indices and indptr must be those of a CSR array")
    kind = sparse.csr_matrix if value["matrix"] is True else sparse.csr_array
    found = kind((data, indices, indptr), shape=tuple(shape))
    found.check_format(full_check=True)
    return found


_MORE = {
    "spec": _decode_spec,
    "pipeline": _decode_pipeline,
    "estimator": _decode_estimator,
    "random state": lambda value, decoder: random_state_from(decoder(value["state"])),
    "csr": _decode_csr,
}

publish(globals())
