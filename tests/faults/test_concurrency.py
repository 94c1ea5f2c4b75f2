"""Python threads that fit, save and load their own models and ask one at once get the bytes of one thread alone."""

import functools
import sys
import threading

import every_estimator
import numpy as np
import pytest
import sequential_cases

import fasttrain
from fasttrain.keras import initializers, layers
from fasttrain.models import Sequential, load_model

pytestmark = pytest.mark.filterwarnings("ignore")

# Those that keep a report of the last rows they were asked for are one caller's at a time.
OF_ONE_CALLER = ("missing rows", "repeated rows", "outlying rows")


@pytest.fixture(autouse=True)
def _frequent_switches():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def together(work, count):
    """Run work(0), work(1), ... at once; what they raise is raised."""
    faults, barrier = [], threading.Barrier(count)

    def run(number):
        barrier.wait()
        try:
            work(number)
        except BaseException as error:
            faults.append(error)

    workers = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(300)
    assert not any(worker.is_alive() for worker in workers), "a thread hangs"
    if faults:
        raise faults[0]


def check(name, n_threads, repeats):
    X = every_estimator.table(300, 8)
    model = every_estimator.fit(name, X)
    parts = [X[10 * number: 150 + 7 * number] for number in range(n_threads)]
    expected = [every_estimator.answers(model, part) for part in parts]
    alone = every_estimator.result(name, X)

    def work(number):
        for _ in range(repeats):
            if number % 2 or name in OF_ONE_CALLER:
                assert every_estimator.result(name, X) == alone
            else:
                for _ in range(5):
                    assert every_estimator.answers(model, parts[number]) == expected[number]

    together(work, n_threads)


@pytest.mark.parametrize("name", every_estimator.ESTIMATORS)
def test_fits_and_predictions(name):
    check(name, 4, 2)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", every_estimator.ESTIMATORS)
def test_fits_and_predictions_of_eight_threads(name):
    check(name, 8, 25)


def test_all_kinds_at_once():
    X = every_estimator.table(200, 6)
    names = list(every_estimator.ESTIMATORS)
    alone = {name: every_estimator.result(name, X) for name in names}

    def work(number):
        for step in np.random.default_rng(number).permutation(len(names)):
            assert every_estimator.result(names[step], X) == alone[names[step]]

    together(work, 4)


def saved(name, folder):
    """The files of a model of every_estimator's, and what it answers before it is saved and after it is loaded."""
    X = every_estimator.table(200, 6)
    model = every_estimator.fit(name, X)
    fasttrain.save(model, folder)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    return files, every_estimator.answers(model, X), every_estimator.answers(fasttrain.load(folder), X)


def saved_sequential(folder):
    """The weights of a network of Keras's kind after a fit, and what it and the one of its file predict."""
    model = Sequential([
        layers.Input(shape=(6,)), layers.Dense(16, "relu", kernel_initializer=initializers.GlorotUniform(seed=1)),
        layers.Dense(3, "softmax", kernel_initializer=initializers.GlorotUniform(seed=2))])
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(sequential_cases.X, sequential_cases.CODES, epochs=3, batch_size=32, shuffle=False, verbose=0)
    model.save(folder.with_suffix(".keras"))
    answers = [each.predict(sequential_cases.X, verbose=0)
               for each in (model, load_model(folder.with_suffix(".keras")))]
    return [array.tobytes() for array in (*model.get_weights(), *answers)]


SAVED = {name: functools.partial(saved, name) for name in (
    "linear", "linear, L-BFGS", "SGD, averaged", "Lasso", "linear SVM", "network", "network, regularized",
    "network, L-BFGS", "standard scaler", "one-hot encoder", "table")}
SAVED["Sequential"] = saved_sequential


def test_fits_saves_and_loads_of_eight_threads(tmp_path):
    alone = {name: run(tmp_path / f"alone {name}") for name, run in SAVED.items()}

    def work(number):
        for name in np.random.default_rng(number).permutation(list(SAVED)):
            assert SAVED[name](tmp_path / f"{number} {name}") == alone[name]

    together(work, 8)
