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
from itertools import pairwise

import numpy as np
import sklearn.preprocessing
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from fasttrain import activations, losses, optimizers, penalties, schedules
from fasttrain._conversion import SERVED, own_class
from fasttrain._core.specs import Spec
from fasttrain._files.archive import ArchiveKind
from fasttrain._files.plain import DECODING_ERRORS, Decoder, Encoder
from fasttrain._kernels.activations import NAMES as KERNEL_ACTIVATIONS
from fasttrain.preprocessing import RowReport
from fasttrain.training.checkpoints import random_state_from, random_state_to

__all__ = ["FORMAT_VERSION", "load", "save"]

FORMAT_VERSION = 1
_MODEL = ArchiveKind("model", FORMAT_VERSION)

_VOCABULARY = {
    module.__name__.rpartition(".")[2]: module
    for module in (activations, losses, optimizers, penalties, schedules)
}
# Every public estimator of these modules is saved.
_MODULES = ("fasttrain.linear_model", "fasttrain.neural_network", "fasttrain.preprocessing")
# What estimators of fasttrain keep of scikit-learn's, under the name they have in a file.
_FOREIGN = {"sklearn.LabelBinarizer": sklearn.preprocessing.LabelBinarizer}
# Belong to the process, not to the model: a loaded model makes its engine anew when it trains on.
_LEFT_OUT = {"callbacks"}
_REMADE = {"_engine"}


@functools.cache
def saved_classes():
    """Every class that is saved, by the name it has in a file."""
    found = dict(_FOREIGN)
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
    if isinstance(value, RowReport):
        return {"@": "row report", "values": encoder([value.n_rows, value.n_dropped, value.reasons], where)}
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
    state = {key: item for key, item in vars(value).items() if key not in params and key not in _REMADE}
    return {
        "@": "estimator",
        "class": name,
        "params": {
            key: encoder(None if key in _LEFT_OUT else item, f"{where}.{key}") for key, item in params.items()
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


def _decode_csr(value, decoder):
    kind = sparse.csr_matrix if value["matrix"] is True else sparse.csr_array
    found = kind(tuple(decoder(value[name]) for name in ("data", "indices", "indptr")), shape=tuple(value["shape"]))
    found.check_format(full_check=True)
    return found


_MORE = {
    "spec": _decode_spec,
    "pipeline": _decode_pipeline,
    "estimator": _decode_estimator,
    "random state": lambda value, decoder: random_state_from(decoder(value["state"])),
    "row report": lambda value, decoder: RowReport(*decoder(value["values"])),
    "csr": _decode_csr,
}


# What the kernels take on trust.


def _require(condition, model, names, what):
    if not condition:
        raise ValueError(f"{names} of {type(model).__name__} must {what}")


def _vectors(*names):
    def check(model):
        n = model.n_features_in_
        for name in names:
            vector = getattr(model, name)
            good = vector is None or (
                isinstance(vector, np.ndarray) and vector.dtype.kind == "f" and vector.shape == (n,))
            _require(good, model, name, f"have shape ({n},)")

    return check


def _check_linear(model):
    coef, intercept = model.coef_, model.intercept_
    if sparse.issparse(coef):
        coef = coef.toarray()
    good = isinstance(coef, np.ndarray) and coef.dtype.kind == "f" and coef.ndim in (1, 2)
    _require(good and coef.shape[-1] == model.n_features_in_, model, "coef_", f"have {model.n_features_in_} columns")
    outputs = coef.shape[0] if coef.ndim == 2 else 1
    good = np.ndim(intercept) <= 1 and np.size(intercept) in (1, outputs)
    _require(good, model, "intercept_", f"have {outputs} numbers")
    finite = np.isfinite(coef).all() and np.isfinite(intercept).all()
    _require(finite, model, "coef_ and intercept_", "be finite")


def _check_perceptron(model):
    coefs, intercepts = model.coefs_, model.intercepts_
    widths = [model.n_features_in_, *(len(intercept) for intercept in intercepts)]
    _require(len(coefs) >= 1 and [c.shape for c in coefs] == list(pairwise(widths)), model, "coefs_", f"fit {widths}")
    kinds = {array.dtype for array in (*coefs, *intercepts)}
    good = len(kinds) == 1 and kinds <= {np.dtype(np.float32), np.dtype(np.float64)} and min(widths) > 0
    finite = good and all(np.isfinite(array).all() for array in (*coefs, *intercepts))
    _require(finite, model, "coefs_ and intercepts_", "be finite numbers of one dtype")
    _require(widths[-1] == model.n_outputs_, model, "n_outputs_", f"be {widths[-1]}")
    _require(len(model._hidden) == len(coefs) - 1, model, "_hidden", f"have {len(coefs) - 1} activations")
    for name, parameter in model._hidden:
        _require(name in KERNEL_ACTIVATIONS and np.isfinite(parameter), model, "_hidden", "name activations")
    layers = model.batch_norm_
    good = layers is None or (isinstance(layers, list) and len(layers) == len(coefs) - 1)
    _require(good, model, "batch_norm_", f"be None or have {len(coefs) - 1} layers")
    for layer, width in zip(layers or [], widths[1:]):
        if layer is not None:
            parts = [layer.get(name) for name in ("scale", "shift", "mean", "variance")]
            good = layer.get("place") in ("before", "after") and all(np.shape(part) == (width,) for part in parts)
            good = good and np.isfinite(parts).all() and (parts[3] >= 0).all()
            _require(good, model, "batch_norm_", f"have four finite arrays of {width} numbers")


def _check_one_hot(model):
    places = model._out_columns
    good = len(places) == len(model.categories_) == model.n_features_in_
    _require(good, model, "categories_", f"be those of {model.n_features_in_} columns")
    for place, categories in zip(places, model.categories_):
        good = place.dtype == np.int64 and place.shape == (len(categories) + 1,)
        _require(good, model, "_out_columns", "have a place for each category")
        good = place.min() >= -1 and place.max() < model._n_out
        _require(good, model, "_out_columns", f"have places from -1 to {model._n_out - 1}")


def _check_ordinal(model):
    good = len(model._values) == len(model.categories_) == model.n_features_in_
    _require(good, model, "categories_", f"be those of {model.n_features_in_} columns")
    for values, categories in zip(model._values, model.categories_):
        _require(values.shape == (len(categories) + 1,), model, "_values", "have a number for each category")


def _check_outliers(model):
    _vectors("lower_", "upper_")(model)
    good = all(type(i) is int and 0 <= i < model.n_features_in_ for i in model._positions)
    _require(good, model, "_positions", "be numbers of columns")


def _check_table(model):
    n = model.n_features_in_
    good = all(type(i) is int and 0 <= i < n for i in (*model._numeric, *model._categorical))
    _require(good and len(model._names) == n, model, "_names", f"be those of {n} columns")
    if model._numeric:
        good = model._fill_numbers.shape == (len(model._numeric),)
        _require(good, model, "_fill_numbers", f"have {len(model._numeric)} numbers")


_CHECKS = {
    "DropOutliers": _check_outliers,
    "LinearClassifier": _check_linear,
    "LinearRegressor": _check_linear,
    "LinearRegressorCV": _check_linear,
    "MLPClassifier": _check_perceptron,
    "MLPRegressor": _check_perceptron,
    "MaxAbsScaler": _vectors("max_abs_", "scale_"),
    "MinMaxScaler": _vectors("min_", "scale_", "data_min_", "data_max_"),
    "OneHotEncoder": _check_one_hot,
    "OrdinalEncoder": _check_ordinal,
    "RobustScaler": _vectors("center_", "scale_"),
    "SGDClassifier": _check_linear,
    "SGDRegressor": _check_linear,
    "StandardScaler": _vectors("mean_", "scale_", "var_"),
    "TablePreprocessor": _check_table,
}
