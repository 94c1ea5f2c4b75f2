"""Damaged model folders and checkpoints, checksums made right: each is refused with one ValueError, or is a model.

    python tests/faults/fuzz.py models 200000 --seed 0
    python tests/faults/fuzz.py sequentials 50000 --seed 0
    python tests/faults/fuzz.py checkpoints 50000 --seed 0

A folder that loads must be one that can be used: what its methods raise is an ordinary error. The process must not be
killed, nor take 64 MB beyond the files, nor meet a MemoryError or RecursionError. A case is its seed and its number.
"""

import argparse
import copy
import faulthandler
import json
import random
import resource
import sys
import tempfile
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.pipeline import make_pipeline

import fasttrain

from fasttrain import optimizers
from fasttrain._files.archive import ArchiveKind
from fasttrain.callbacks import ModelCheckpoint
from fasttrain.checkpoints import load_checkpoint
from fasttrain.keras import layers, optimizers as keras_optimizers
from fasttrain.keras.utils import set_random_seed
from fasttrain.linear_model import (
    ElasticNetCV, HuberRegressor, Lasso, LinearClassifier, LinearRegression, LinearRegressor, LinearRegressorCV,
    LinearSVC, LogisticRegression, LogisticRegressionCV, MultiTaskLasso, RidgeClassifier, RidgeCV, SGDClassifier,
    SGDRegressor, TweedieRegressor,
)
from fasttrain.models import Sequential, load_model
from fasttrain.neural_network import MLPClassifier, MLPRegressor
from fasttrain.preprocessing import (
    DropOutliers, LabelBinarizer, LabelEncoder, MaxAbsScaler, MinMaxScaler, OneHotEncoder, OrdinalEncoder, RobustScaler,
    StandardScaler, TablePreprocessor,
)

MOST_BYTES = 64 << 20
BAD = (MemoryError, RecursionError, SystemError)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 5))
CODES = np.arange(40) % 3
Y = X @ np.arange(5.0)
WORDS = np.array(["ash", "elm", "oak", "yew"], dtype=object)[np.arange(40) % 4].reshape(-1, 1).repeat(2, axis=1)
WRITTEN = np.array([
    [f"${1000 + i:,}.50", f"{1 + i % 28}/{1 + i % 12}/2024 10:0{i % 10}", ["yes", "no"][i % 2], wood, wood, wood,
     f"{wood} tree", "x"]
    for i, wood in enumerate(WORDS[:, 0])
], dtype=object)
KINDS = {
    "models": ArchiveKind("model", fasttrain.persistence.FORMAT_VERSION), "checkpoints": ArchiveKind("checkpoint", 1),
    "sequentials": ArchiveKind("sequential", 1),
}


def deep(n):
    value = []
    for _ in range(n):
        value = [value]
    return value


# What takes the place of a value: numbers at the ends of their types, names of other things, every kind gone wrong.
HOSTILE = [
    None, True, False, -1, 0, 1, 2, 624, 625, 2**31, 2**31 - 1, 2**32, 2**63, 2**64, 10**30, -(2**63), 1e308, -1e308,
    5e-324, 0.5, "", "a", "../../etc/passwd", "__class__", "os.system", "nan", "f" * 5000, [], {}, [[]], [0], [1, 2, 3],
    [-1, 2**40],
    {"@": "float", "value": "nan"}, {"@": "float", "value": "inf"}, {"@": "tuple", "items": []},
    {"@": "tuple", "items": 7}, {"@": "dict", "items": [[[], 1]]}, {"@": "array", "name": "none"},
    {"@": "objects", "dtype": "|O", "shape": [2**40], "values": []},
    {"@": "objects", "dtype": "<U200000000", "shape": [2], "values": ["a", "b"]},
    {"@": "objects", "dtype": "<U9", "shape": [2], "values": "ab"}, {"@": "dtype", "value": "<U2000000000"},
    {"@": "scalar", "dtype": "<U9", "value": 7}, {"@": "scalar", "dtype": "<i8", "value": 2**70},
    {"@": "scalar type", "value": "<f4"},
    {"@": "csr", "shape": [1, 2**33], "matrix": False, "data": 1, "indices": 2, "indptr": 3},
    {"@": "spec", "kind": "losses", "class": "Huber", "fields": {"delta": -1}},
    {"@": "spec", "kind": "optimizers", "class": "_specs", "fields": {}},
    {"@": "estimator", "class": "StandardScaler", "params": {}, "state": {}}, {"@": "pipeline", "steps": [["a", None]]},
    {"@": "random state", "state": {"@": "dict", "items": [["bit_generator", "MT19937"]]}},
    {"@": "text", "dtype": "<U7", "shape": [1], "name": "none"},
]
DEPTHS = (70, 450)


def perceptron(**options):
    return MLPClassifier((6, 4), max_iter=2, random_state=0, **options)


def models():
    """(model, X, y) of every estimator that is saved, as they come out of use."""
    generator = np.random.RandomState(0)
    table = fasttrain.preprocessing.TablePreprocessor()
    frame = np.concatenate([X.astype(object), WORDS], axis=1)
    yield LinearClassifier(max_iter=2, random_state=0).partial_fit(X, CODES, classes=[0, 1, 2]), X, CODES
    yield LinearRegressor(max_iter=2, random_state=generator).fit(X, Y), X, Y
    leader = LinearClassifier(optimizer=optimizers.FTRL(l1=0.01), batch_size=16, random_state=0)
    yield leader.partial_fit(X, CODES, classes=[0, 1, 2]), X, CODES
    yield LinearRegressorCV([1e-2, 1.0]).fit(X, Y), X, Y
    averaged = SGDClassifier(max_iter=2, average=True, random_state=generator)
    yield averaged.partial_fit(X, CODES, classes=[0, 1, 2]), X, CODES
    yield SGDClassifier(max_iter=2, penalty="l1", random_state=0).fit(X, CODES).sparsify(), X, CODES
    yield SGDRegressor(max_iter=2, random_state=0).partial_fit(X, Y), X, Y
    for model in (LinearRegression(), RidgeCV(), Lasso(0.01), ElasticNetCV(alphas=3), HuberRegressor()):
        yield model.fit(X, Y), X, Y
    for model in (TweedieRegressor(), TweedieRegressor(power=3, solver="newton-cholesky")):
        yield model.fit(X, abs(Y) + 1), X, abs(Y) + 1
    yield MultiTaskLasso(0.01).fit(X, np.c_[Y, Y]), X, np.c_[Y, Y]
    for model in (RidgeClassifier(), LogisticRegression(), LinearSVC(), LogisticRegressionCV(
            Cs=2, cv=2, l1_ratios=(0,), scoring="neg_log_loss", use_legacy_attributes=False)):
        yield model.fit(X, CODES), X, CODES
    yield perceptron(batch_norm="before", averaging="ema").partial_fit(X, CODES, classes=[0, 1, 2]), X, CODES
    yield MLPRegressor(hidden_layer_sizes=(6,), max_iter=2, random_state=0).fit(X, np.c_[Y, Y]), X, np.c_[Y, Y]
    for optimizer in ("adamax", "lamb", optimizers.FTRL(beta=0.1)):
        yield perceptron(optimizer=optimizer).partial_fit(X, CODES, classes=[0, 1, 2]), X, CODES
    for step in (StandardScaler(), MinMaxScaler(), MaxAbsScaler(), RobustScaler(), DropOutliers()):
        yield step.fit(X), X, None
    yield OneHotEncoder(min_frequency=2, drop="first").fit(WORDS), WORDS, None
    yield OneHotEncoder().fit(np.round(X)), np.round(X), None
    yield OrdinalEncoder().fit(WORDS), WORDS, None
    yield LabelEncoder().fit(WORDS[:, 0].astype("U3")), WORDS[:, 0].astype("U3"), None
    yield LabelBinarizer().fit(WORDS[:, 0]), WORDS[:, 0], None
    yield TablePreprocessor().fit(frame), frame, None
    types = {3: "target", 4: "hashed", 5: ["ash", "elm", "oak", "yew"], 6: "text"}
    yield TablePreprocessor(types=types, hash_features=8).fit(WRITTEN, Y), WRITTEN, None
    yield TablePreprocessor(types=types, sparse_output=True).fit(WRITTEN, CODES), WRITTEN, None
    yield make_pipeline(table, LinearClassifier(max_iter=2, random_state=0)).fit(frame, CODES), frame, CODES


def network(optimizer, normalized=False):
    """A new Sequential."""
    set_random_seed(0)
    model = Sequential([layers.Input((5,)), layers.Dense(6, "relu")])
    if normalized:
        model.add(layers.BatchNormalization())
    model.add(layers.Dense(3, "softmax"))
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def scaled():
    """A new Sequential with layers before its first Dense, constraints and a loss that the engine asks for."""
    set_random_seed(0)
    first = layers.Normalization()
    first.adapt(X)
    model = Sequential([
        layers.Input((5,)), layers.Rescaling(0.5, [0.1] * 5), first, layers.GaussianNoise(0.1, seed=1),
        layers.Dense(6, "mish", kernel_constraint="unit_norm"), layers.Identity(),
        layers.Dense(3, "softmax", kernel_constraint="min_max_norm")])
    model.compile(keras_optimizers.Lamb(0.01), "categorical_generalized_cross_entropy")
    return model


def accumulating(**options):
    """An optimizer that has batches for half an update after an epoch of five."""
    return keras_optimizers.Adam(0.01, gradient_accumulation_steps=3, **options)


# What makes a Sequential, which trains from where it is.
NETWORKS = [
    lambda: network(accumulating(use_ema=True)), lambda: network(keras_optimizers.Ftrl(0.1)),
    lambda: network(keras_optimizers.Adamax(clipnorm=0.1), normalized=True), lambda: network(keras_optimizers.Nadam()),
    lambda: network(keras_optimizers.Lamb(0.01, global_clipnorm=0.1), normalized=True), scaled,
    lambda: network(accumulating(amsgrad=True), normalized=True),
]


def sequentials():
    """(Sequential, X, y), amid a training."""
    for make in NETWORKS:
        model = make()
        model.fit(X, CODES, batch_size=8, verbose=0)
        yield model, X, CODES


def checkpoints():
    """(what trains so many epochs with arguments, X, y) for each kind of training that writes them."""
    for estimator in (
        perceptron(batch_norm="before", averaging="ema"), perceptron(solver="sgd"), perceptron(optimizer="adamax"),
        LinearClassifier(random_state=0), LinearClassifier(optimizer="ftrl", batch_size=16, random_state=0),
    ):
        yield partial(fit_estimator, estimator), X, CODES
    for make in NETWORKS:
        yield partial(fit_network, make), X, CODES


def fit_estimator(estimator, rows, y, epochs, callbacks=None, **arguments):
    """Fit from the start, or from a checkpoint."""
    estimator.set_params(callbacks=callbacks, max_iter=epochs).fit(rows, y, **arguments)


def fit_network(make, rows, y, epochs, **arguments):
    """The same of a Sequential."""
    make().fit(rows, y, batch_size=8, epochs=epochs, verbose=0, **arguments)


ORIGINALS = {"models": models, "sequentials": sequentials, "checkpoints": checkpoints}


def originals(what, folder):
    """(index, arrays, model, X, y) of each undamaged folder."""
    found = []
    for number, (model, rows, y) in enumerate(ORIGINALS[what]()):
        path = folder / f"original{number}"
        if what == "models":
            fasttrain.save(model, path)
        elif what == "sequentials":
            model.save(path)
        else:
            model(rows, y, 2, callbacks=ModelCheckpoint(path))
        index, arrays = KINDS[what].read(path)
        found.append((index, arrays, model, rows, y))
    return found


def places(value, path=()):
    """Paths of all values within a JSON value."""
    yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from places(part, (*path, key))


def damage_index(rng, content):
    """Change one value of it."""
    path = rng.choice(list(places(content))[1:])
    holder = content
    for key in path[:-1]:
        holder = holder[key]
    key, kind = path[-1], rng.randrange(6)
    if kind == 0 and isinstance(holder, dict):
        del holder[key]
    elif kind == 1 and isinstance(holder, dict):
        holder[rng.choice(["coef_", "__dict__", "_engine", "extra"])] = holder[key]
    elif kind == 2:
        other = content
        for step in rng.choice(list(places(content))[1:]):
            other = other[step]
        holder[key] = json.loads(json.dumps(other))
    elif kind == 3 and isinstance(holder[key], (int, float)):
        holder[key] = holder[key] + rng.choice([-1, 1, 0.5, 1e9])
    elif rng.random() < 0.05:
        holder[key] = deep(rng.choice(DEPTHS))
    else:
        holder[key] = copy.deepcopy(rng.choice(HOSTILE))


def damage_arrays(rng, arrays):
    """Change one array."""
    if not arrays:
        return
    name = rng.choice(sorted(arrays))
    array, kind = arrays[name], rng.randrange(7)
    if kind == 0:
        arrays[name] = array.reshape(-1)
    elif kind == 1:
        arrays[name] = array.reshape(-1)[: max(0, array.size - 1)].copy()
    elif kind == 2:
        arrays[name] = np.concatenate([array.reshape(-1)] * 2)
    elif kind == 3:
        with np.errstate(all="ignore"):
            arrays[name] = array.astype(rng.choice(["float32", "float16", "float64", "int64", "uint8", "bool"]))
    elif kind == 4 and array.size:
        array = arrays[name] = array.copy()
        values = [-1, 0, 1, 100] if array.dtype.kind in "iu" else [np.nan, np.inf, 1e38, 0, -1]
        with np.errstate(all="ignore"):
            array.reshape(-1)[rng.randrange(array.size)] = np.array(rng.choice(values)).astype(array.dtype)
    elif kind == 5:
        arrays[name] = np.ascontiguousarray(array.T)
    else:
        del arrays[name]


def use(what, model, path, rows, y):
    """Load a damaged folder and do with it what users do."""
    if what == "checkpoints":
        checkpoint = load_checkpoint(path)
        checkpoint.start_random_state().permutation(700)
        model(rows, y, 4, resume_from=path)
        return
    loaded = fasttrain.load(path) if what == "models" else load_model(path)
    try:
        if what == "sequentials":
            loaded.predict(rows)
            loaded.fit(rows, y, batch_size=8, verbose=0)
            return
        for method in ("predict", "predict_proba", "decision_function", "transform", "inverse_transform"):
            if hasattr(loaded, method):
                given = loaded.transform(rows) if method == "inverse_transform" else rows
                getattr(loaded, method)(given)
        generator = getattr(loaded, "random_state", None)
        if isinstance(generator, np.random.RandomState):
            generator.permutation(700)
        if hasattr(loaded, "partial_fit"):
            loaded.partial_fit(rows, y)
    except BAD:
        raise
    except Exception:
        # an ordinary error of a model whose parts do not go together; what loading promises is above
        return


def run(what, count, seed, folder):
    """Case after case; the numbers and errors of those that went wrong."""
    kind, originals_of, wrong = KINDS[what], originals(what, folder), []
    for number in range(count):
        rng = random.Random(f"{seed} {number}")
        index, arrays, model, rows, y = rng.choice(originals_of)
        content, arrays = copy.deepcopy(index[kind.what]), dict(arrays)
        for _ in range(rng.choice([1, 1, 1, 2, 3])):
            damage_arrays(rng, arrays) if rng.random() < 0.3 else damage_index(rng, content)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        path = folder / "damaged"
        try:
            kind.write(path, content, arrays)
        except (ValueError, RecursionError, KeyError):
            # not a folder that a file could be
            continue
        try:
            use(what, model, path, rows, y)
        except ValueError:
            pass
        except BaseException as error:
            wrong.append((number, repr(error)[:200]))
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
        if grown > MOST_BYTES:
            wrong.append((number, f"{grown >> 20} MB"))
    return wrong


def main(arguments=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=sorted(KINDS))
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    faulthandler.enable()
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    with tempfile.TemporaryDirectory() as folder:
        wrong = run(given.what, given.count, given.seed, Path(folder))
    for number, error in wrong[:20]:
        print(f"seed {given.seed}, case {number}: {error}")
    print(f"{given.count} {given.what}, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
