"""Processes save different models to one folder while others load it, and some are killed: always one whole model."""

import multiprocessing
import os
import random
import signal
import threading
import time

import numpy as np
import pytest

import fasttrain
from fasttrain.linear_model import LinearRegressor
from fasttrain.training.checkpoints import load_checkpoint
from fasttrain.callbacks import ModelCheckpoint

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
FORK = multiprocessing.get_context("fork") if hasattr(os, "fork") else None


def model(number, size=400):
    """A model that says in each of its numbers which one it is; its arrays are of a size of their own."""
    made = LinearRegressor(optimizer="lbfgs").fit(np.eye(2), [0.0, 1.0])
    made.n_features_in_ = size * (1 + number % 3)
    made.coef_, made.intercept_ = np.full(made.n_features_in_, float(number)), float(number)
    return made


def number_of(found):
    """The number of a model; -1 for one that is put together from several."""
    number = int(found.intercept_)
    whole = len(found.coef_) == model(number).n_features_in_ and (found.coef_ == number).all()
    return number if whole else -1


def saving(path, numbers, stop, faults):
    try:
        while not stop.exists():
            for number in numbers:
                fasttrain.save(model(number), path)
    except BaseException as error:
        faults.put(f"save: {error!r}")


def loading(path, stop, faults, seen):
    found = set()
    try:
        while not stop.exists():
            found.add(number_of(fasttrain.load(path)))
    except BaseException as error:
        faults.put(f"load: {error!r}")
    seen.put(found)


def entries(folder):
    return sorted(entry.name for entry in folder.iterdir())


def drained(queue, count):
    return [queue.get(timeout=60) for _ in range(count)]


@pytest.mark.parametrize("kills", [0, 40], ids=["savers", "killed-savers"])
def test_every_load_is_one_whole_model_of_those_saved(tmp_path, kills):
    path, faults, seen = tmp_path / "model", FORK.SimpleQueue(), FORK.Queue()
    # a file, for a process that is killed within an Event keeps it locked
    stop = tmp_path / "stop"
    fasttrain.save(model(0), path)
    ours = [range(10 * k, 10 * k + 10) for k in range(4)]
    savers = [FORK.Process(target=saving, args=(path, numbers, stop, faults)) for numbers in ours]
    readers = [FORK.Process(target=loading, args=(path, stop, faults, seen)) for _ in range(3)]
    for process in savers + readers:
        process.start()
    rng = random.Random(kills)
    if not kills:
        time.sleep(4)
    for _ in range(kills):
        time.sleep(rng.uniform(0.0, 0.1))
        place = rng.randrange(len(savers))
        os.kill(savers[place].pid, signal.SIGKILL)
        savers[place].join()
        savers[place] = FORK.Process(target=saving, args=(path, ours[place], stop, faults))
        savers[place].start()
    stop.touch()
    found = set().union(*drained(seen, len(readers)))
    for process in savers + readers:
        process.join(60)
        assert process.exitcode == 0
    assert faults.empty(), faults.get()
    assert found <= set(range(40))
    assert len({number // 10 for number in found}) == 4
    assert number_of(fasttrain.load(path)) in range(40)
    fasttrain.save(model(77), path)
    assert number_of(fasttrain.load(path)) == 77
    assert len(entries(path)) == 2
    assert entries(tmp_path) == ["model", "stop"]


def test_the_first_saves_of_all_at_once(tmp_path):
    """One makes the folder, the others find it there."""
    def first(path, number, barrier, faults):
        try:
            barrier.wait(60)
            fasttrain.save(model(number), path)
        except BaseException as error:
            faults.put(repr(error))

    faults = FORK.SimpleQueue()
    for round_ in range(15):
        path, barrier = tmp_path / f"{round_}" / "deep" / "model", FORK.Barrier(4)
        processes = [FORK.Process(target=first, args=(path, number, barrier, faults)) for number in range(4)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)
        assert faults.empty(), faults.get()
        assert number_of(fasttrain.load(path)) in range(4)
        assert len(entries(path)) == 2
        assert entries(path.parent) == ["model"]


def test_threads_of_one_process(tmp_path):
    path, faults, stop = tmp_path / "model", [], threading.Event()
    fasttrain.save(model(0), path)

    def save(number):
        try:
            for again in range(30):
                fasttrain.save(model(10 * number + again % 10), path)
        except Exception as error:
            faults.append(error)

    def load():
        try:
            while not stop.is_set():
                assert number_of(fasttrain.load(path)) in range(40)
        except BaseException as error:
            faults.append(error)

    reader = threading.Thread(target=load)
    savers = [threading.Thread(target=save, args=(number,)) for number in range(4)]
    for thread in [reader, *savers]:
        thread.start()
    for thread in savers:
        thread.join()
    stop.set()
    reader.join()
    assert not faults
    assert len(entries(path)) == 2


def test_the_last_save_is_the_one_that_stays(tmp_path):
    """A save that begins after all others have ended, in whatever process, is what load finds."""
    path = tmp_path / "model"
    for number in range(12):
        process = FORK.Process(target=lambda number=number: fasttrain.save(model(number), path))
        process.start()
        process.join(60)
        assert process.exitcode == 0
        assert number_of(fasttrain.load(path)) == number


def test_checkpoints_of_two_trainings_to_one_folder(tmp_path):
    """Each load is a checkpoint of one of them."""
    rng = np.random.default_rng(0)
    X, path, stop = rng.normal(size=(40, 50)), tmp_path / "checkpoint", tmp_path / "stop"
    y, faults = X @ np.arange(50.0), FORK.SimpleQueue()

    def train(seed):
        try:
            while not stop.exists():
                LinearRegressor(max_iter=20, tol=None, random_state=seed, callbacks=ModelCheckpoint(path)).fit(X, y)
        except BaseException as error:
            faults.put(repr(error))

    trainings = [FORK.Process(target=train, args=(seed,)) for seed in range(2)]
    for process in trainings:
        process.start()
    while not path.exists():
        time.sleep(0.01)
    until, loads = time.monotonic() + 2, 0
    while time.monotonic() < until:
        assert 1 <= load_checkpoint(path).epoch <= 20
        loads += 1
    stop.touch()
    for process in trainings:
        process.join(60)
        assert process.exitcode == 0
    assert faults.empty(), faults.get()
    assert loads > 50
    assert len(entries(path)) == 2
