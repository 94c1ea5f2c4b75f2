"""One random operation: an estimator is fitted, and what may befall it in a process befalls it.

Whatever that is, forks, other threads, Ctrl-C, a file, a pickle, bad input, it must answer as one that was left alone.
What comes out is put into a digest, which a second run of the same operation must find again.
"""

import copy
import faulthandler
import hashlib
import inspect
import io
import os
import pickle
import re
import shutil
import signal
import threading
import time
from dataclasses import fields, is_dataclass
from pathlib import Path

import draws
import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError

import fasttrain
from fasttrain import inspection, interop
from fasttrain.callbacks import Callback, ModelCheckpoint
from fasttrain.descent import minimize
from fasttrain.keras import layers
from fasttrain.linear_model import LinearClassifier, LinearRegressor
from fasttrain.models import Sequential, load_model
from fasttrain.neural_network import MLPClassifier, MLPRegressor
from fasttrain.preprocessing import drop_duplicates, drop_missing, drop_outliers
from fasttrain.rate_finder import learning_rate_finder

# What a call may raise for what it was given; anything else is a fault.
ORDINARY = (ValueError, TypeError)
# A forked child that lasts longer prints its stacks and dies.
CHILD_SECONDS = 90
METHODS = ("predict", "predict_proba", "decision_function", "transform")


# ---- digests ----


def feed(hasher, value):
    """Put a value into a digest, so that equal digests mean equal types, shapes and bytes."""
    hasher.update(type(value).__name__.encode())
    if isinstance(value, np.ndarray) and value.dtype != object:
        hasher.update(f"{value.dtype.str}{value.shape}".encode())
        hasher.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, np.ndarray):
        hasher.update(f"{value.shape}{value.tolist()!r}".encode())
    elif sparse.issparse(value):
        feed(hasher, [value.shape, value.data, value.indices, value.indptr])
    elif isinstance(value, pd.DataFrame):
        feed(hasher, [list(value.columns), list(value.index), *(value[name].to_numpy() for name in value.columns)])
    elif isinstance(value, dict):
        for key in sorted(value, key=repr):
            feed(hasher, [key, value[key]])
    elif isinstance(value, (list, tuple)):
        for item in value:
            feed(hasher, item)
    elif isinstance(value, np.random.RandomState):
        feed(hasher, value.get_state())
    elif isinstance(value, BaseEstimator):
        feed(hasher, [sorted(value.get_params(deep=False)), fitted(value)])
    elif is_dataclass(value):
        feed(hasher, [getattr(value, part.name) for part in fields(value)])
    elif isinstance(value, BaseException):
        hasher.update(re.sub(r"0x[0-9a-f]+|/\S+", "", str(value)).encode())
    elif not callable(value):
        hasher.update(re.sub(r"0x[0-9a-f]+", "", repr(value)).encode())


def digest(*values):
    hasher = hashlib.sha256()
    feed(hasher, values)
    return hasher.hexdigest()[:16]


def fitted(model):
    """What fitting gave an estimator, less what is of the process or of the clock."""
    params = model.get_params(deep=False)
    state = {name: value for name, value in vars(model).items()
             if name not in params and name != "_engine" and "time" not in name}
    if "cv_results_" in state:
        state["cv_results_"] = {key: value for key, value in state["cv_results_"].items() if "time" not in key}
        state = {name: value for name, value in state.items() if name.endswith("_")}
    return state


def answers(model, given):
    """What the methods say to the rows of the fit."""
    asked = given[0]
    return digest(*(getattr(model, name)(asked) for name in METHODS if hasattr(model, name)))


class Case:
    """An estimator's operation: how it is made, what it is given, and what came of it when nothing befell it."""

    def __init__(self, rng, folder):
        self.rng, self.folder = rng, Path(folder)
        self.make, self.given = draws.drawn(rng)
        self.name = type(self.make()).__name__
        began = time.monotonic()
        self.model = self.make().fit(*self.given)
        self.seconds = time.monotonic() - began
        # in this order, for what drops rows keeps a report of the last ones
        self.answers = answers(self.model, self.given)
        self.digest = digest(fitted(self.model))

    def fit(self):
        return self.make().fit(*self.given)

    def check(self, model, what):
        """A model that something has befallen is the one that was left alone."""
        assert answers(model, self.given) == self.answers, f"{what}: another answer of {self.name}"
        assert digest(fitted(model)) == self.digest, f"{what}: another {self.name}"


# ---- what may befall it ----


def a_number_of_threads(case):
    with fasttrain.num_threads(case.rng.randrange(1, 9)):
        case.check(case.fit(), "threads")


def a_fork(case):
    """The child fits as well, also within a fit's process that has had threads."""
    def work():
        model = case.fit()
        return f"{answers(model, case.given)} {digest(fitted(model))}"

    assert in_child(work) == f"{case.answers} {case.digest}", f"fork: another {case.name}"


def in_child(work):
    """What ``work`` returns (text) in a forked process."""
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reads)
            # not dump_traceback_later, whose thread stays with the parent and is waited for
            faulthandler.register(signal.SIGALRM, chain=True)
            signal.alarm(CHILD_SECONDS)
            os.write(writes, work().encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writes)
    with open(reads, "rb") as pipe:
        told = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, f"a child ended with {os.waitstatus_to_exitcode(status)}"
    return told


def python_threads(case):
    """Fits of its own and predictions of the one model from several Python threads."""
    faults = []

    def work(number):
        try:
            if number % 2:
                case.check(case.fit(), "Python threads")
            else:
                for _ in range(3):
                    assert answers(case.model, case.given) == case.answers
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(case.rng.randrange(2, 5))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]


def interrupted(rng, call, seconds):
    """Call, and send SIGINT at some moment of it; whether a KeyboardInterrupt came out."""
    heard, started, delay = threading.Event(), [], rng.uniform(0, 1.3 * seconds)

    def on_signal(number, frame):
        heard.set()
        raise KeyboardInterrupt

    def send():
        # what Ctrl-C does to Python's own locks, as this thread starts, is no matter of the call
        while not started:
            time.sleep(0.0002)
        time.sleep(delay)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, on_signal)
    sender = threading.Thread(target=send)
    try:
        sender.start()
        started.append(True)
        call()
        while not heard.is_set():
            time.sleep(0.0005)
        return False
    except KeyboardInterrupt:
        return True
    finally:
        sender.join()
        signal.signal(signal.SIGINT, before)


def ctrl_c(case):
    """In a fit: afterwards the estimator says that it is not fitted, or answers, and can be fitted."""
    model = case.make()
    interrupted(case.rng, lambda: model.fit(*case.given), case.seconds)
    try:
        answers(model, case.given)
    except NotFittedError:
        pass
    except AttributeError:
        # an interrupted search has the results of the candidates that were through, and no best estimator
        assert "Search" in case.name
    model.set_params(**case.make().get_params(deep=False))
    case.check(model.fit(*case.given), "Ctrl-C")


def ctrl_c_in_a_prediction(case):
    interrupted(case.rng, lambda: answers(case.model, case.given), case.seconds / 2)
    case.check(case.model, "Ctrl-C in a prediction")


def a_copy(case):
    how = case.rng.choice(["pickle", "deepcopy", "clone"])
    if how == "clone":
        case.check(clone(case.make()).fit(*case.given), how)
        return
    other = copy.deepcopy(case.model) if how == "deepcopy" else pickle.loads(pickle.dumps(case.model))
    case.check(other, how)
    if hasattr(other, "partial_fit") and len(case.given) == 2:
        outcomes = []
        # a copy of both, for the model itself has more to be asked
        for model in (copy.deepcopy(case.model), other):
            try:
                model.partial_fit(*case.given)
            except ORDINARY as error:
                outcomes.append(digest(error))
            else:
                outcomes.append(digest(fitted(model)))
        assert outcomes[0] == outcomes[1], f"{how}: {case.name} goes on in another way"


def saved(case):
    """Saved to a folder where others have been, with a Ctrl-C now and then."""
    path = case.folder / "model"
    if "Search" in case.name:
        return
    if case.rng.random() < 0.3 and path.exists():
        interrupted(case.rng, lambda: fasttrain.save(case.model, path), 0.01)
        fasttrain.load(path)
    fasttrain.save(case.model, path)
    case.check(fasttrain.load(path), "save and load")
    left = sorted(entry.name for entry in path.iterdir())
    assert len(left) == 2, left


class Broken(Exception):
    pass


class Break(Callback):
    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs):
        if epoch == self.epoch:
            raise Broken


def checkpoints(case):
    """Broken off after some epoch, and gone on from the checkpoint of that epoch."""
    if "resume_from" not in inspect.signature(case.model.fit).parameters:
        return
    if "lbfgs" in (getattr(case.model, "optimizer", None), getattr(case.model, "solver", None)):
        return
    # a checkpoint is of a training in steps, for which 'auto' is Adam and not what it was without one
    steps = {"optimizer": "adam"} if getattr(case.model, "optimizer", None) == "auto" else {}
    path = case.folder / f"checkpoint {case.rng.random()}"
    # not in the first, for a checkpoint is written when all callbacks have been called
    model = case.make().set_params(**steps, callbacks=[ModelCheckpoint(path), Break(case.rng.randrange(2, 4))])
    try:
        model.fit(*case.given)
    except Broken:
        pass
    went_on = case.make().set_params(**steps).fit(*case.given, resume_from=path)
    if steps:
        whole = case.make().set_params(**steps).fit(*case.given)
        assert answers(went_on, case.given) == answers(whole, case.given), f"a checkpoint: another {case.name}"
    else:
        case.check(went_on, "a checkpoint")
    shutil.rmtree(path)


def bad_input(case):
    """What cannot be taken is refused, and leaves the estimator as it was."""
    # what is taken, a table with other columns say, makes another model of it
    model, X = copy.deepcopy(case.model), case.given[0]
    before = digest(fitted(model))
    n = X.shape[0] if hasattr(X, "shape") else len(X)
    nan = np.full((n, 2), np.nan)
    bad = case.rng.choice([
        None, "text", np.zeros((n, 2, 2)), np.zeros((0, 3)), nan, nan * np.inf, np.full((n, 3), 1e300),
        np.zeros((n, 2), dtype=complex), np.array([["a", "b"]] * n, dtype=object), [[1, 2], [3]], {"a": 1},
        np.zeros((n, 2), dtype="M8[s]"), np.full((n, 2), -1e308),
    ])
    outcomes = []
    for call in (lambda: case.make().fit(bad, *case.given[1:]), lambda: model.fit(bad, *case.given[1:]),
                 lambda: answers(model, [bad])):
        try:
            call()
            outcomes.append("taken")
        except ORDINARY as error:
            outcomes.append(type(error).__name__)
    if outcomes[1] != "taken":
        assert digest(fitted(model)) == before, f"{case.name} has changed in a fit that failed"
    return digest(outcomes)


def elsewhere(case):
    """scikit-learn's own class with the same weights says the same, to rounding."""
    if not isinstance(case.model, (MLPClassifier, MLPRegressor, LinearClassifier, LinearRegressor)):
        return None
    try:
        stock = interop.to_sklearn(case.model)
    except ORDINARY as error:
        return digest(type(error).__name__)
    return digest(type(stock).__name__)


BEFALLS = [
    a_number_of_threads, a_fork, python_threads, ctrl_c, ctrl_c, ctrl_c_in_a_prediction, a_copy, a_copy, saved, saved,
    checkpoints, bad_input, elsewhere,
]


# ---- operations ----


def estimator(rng, folder):
    """A fit, and one to three things that befall it."""
    try:
        case = Case(rng, folder)
    except ORDINARY as error:
        return "refused", digest(error)
    told = [befall(case) for befall in rng.sample(BEFALLS, rng.randrange(1, 4))]
    return case.name, digest(case.digest, case.answers, told)


def rows(rng, folder):
    """Rows go, from arrays and tables; in a forked child the same ones."""
    table, _ = draws.mixed_table(rng)
    X, draw = draws.numbers(rng)
    X = np.round(X.astype("f8"))
    if rng.random() < 0.5:
        X[draw.random(X.shape) < 0.02] = np.nan
    call = rng.choice([
        lambda: drop_missing(table, how=how), lambda: drop_missing(X), lambda: drop_duplicates(table),
        lambda: drop_duplicates(X, keep=keep), lambda: drop_outliers(np.nan_to_num(X), method=method),
    ])
    how, keep, method = rng.choice(["any", "all"]), rng.choice(["first", "last", False]), rng.choice(["iqr", "mad"])
    try:
        told = digest(call())
    except ORDINARY as error:
        return "rows refused", digest(error)
    assert in_child(lambda: digest(call())) == told
    return "rows", told


def network(rng, folder):
    """A Sequential: fitted, asked, saved, fitted on in a child and here."""
    X, draw = draws.numbers(rng, columns=rng.randrange(1, 20))
    X, y = X.astype("f4"), draw.integers(0, 3, len(X))
    fasttrain.keras.utils.set_random_seed(rng.randrange(1000))
    model = Sequential([layers.Input(shape=(X.shape[1],))])
    for _ in range(rng.randrange(3)):
        model.add(layers.Dense(rng.choice([3, 16, 70]), rng.choice(["relu", "tanh", "elu"])))
        if rng.random() < 0.3:
            model.add(rng.choice([lambda: layers.BatchNormalization(), lambda: layers.Dropout(0.2)])())
    model.add(layers.Dense(3, "softmax"))
    model.compile(optimizer=rng.choice(["adam", "sgd", "rmsprop"]), loss="sparse_categorical_crossentropy",
                  metrics=["accuracy"])
    history = model.fit(X, y, epochs=rng.randrange(1, 3), batch_size=rng.choice([8, 32]), verbose=0).history
    told = digest(history, model.get_weights(), model.predict(X, verbose=0))
    model.save(Path(folder) / "sequential")
    again = load_model(Path(folder) / "sequential")
    assert digest(again.predict(X, verbose=0)) == digest(model.predict(X, verbose=0))

    def on():
        fasttrain.keras.utils.set_random_seed(5)
        again.fit(X, y, epochs=1, verbose=0)
        return digest(again.get_weights())

    assert in_child(on) == on()
    return "Sequential", told


def descents(rng, folder):
    """Functions on arrays: minimize, the learning-rate range test, gradients of a network."""
    X, draw = draws.numbers(rng, rows=rng.randrange(20, 300), columns=rng.randrange(1, 10))
    X = X.astype("f8")
    kind, seed = rng.randrange(3), rng.randrange(1000)
    optimizer, batch = rng.choice(draws.STEPPERS), rng.choice([None, 16])
    y = draw.normal(size=len(X))

    def call():
        if kind == 0:
            found = minimize(X, y, optimizer=optimizer, batch_size=batch, n_iter=20, random_state=seed)
            return digest(found.coef, found.intercept, found.n_iter, found.message)
        if kind == 1:
            found = learning_rate_finder(LinearRegressor(random_state=seed, batch_size=16), X, y)
            return digest(found.suggestion, found.losses)
        model = MLPRegressor((8,), max_iter=2, random_state=seed).fit(X, y)
        return digest(inspection.input_gradients(model, X), inspection.integrated_gradients(model, X[:5]))

    try:
        told = call()
    except ORDINARY as error:
        return "descents refused", digest(error)
    assert in_child(call) == told
    with fasttrain.num_threads(rng.randrange(1, 5)):
        assert call() == told
    return "descents", told


def patched(rng, folder):
    """scikit-learn's name within ``patched()`` and outside of it."""
    from sklearn import linear_model

    stock = linear_model.SGDClassifier
    X, draw = draws.numbers(rng, columns=4)
    y = draw.integers(0, 2, len(X))
    with fasttrain.patched():
        from sklearn.linear_model import SGDClassifier

        model = SGDClassifier(max_iter=2, tol=None, random_state=0)
        assert type(model) is not stock
        try:
            told = digest(model.fit(X, y).coef_)
        except ORDINARY as error:
            told = digest(error)
    assert linear_model.SGDClassifier is stock
    buffer = io.BytesIO()
    pickle.dump(fasttrain.show_config("dicts")["version"], buffer)
    return "patched", told


OPERATIONS = [estimator] * 16 + [rows, rows, network, descents, patched]
