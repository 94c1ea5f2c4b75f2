"""Public calls again and again, and calls that fail: what malloc has handed out, Python's blocks and RSS stay flat.

    python tests/faults/leaks.py                       long rounds
    python tests/faults/leaks.py --quick               short ones, without RSS
    python tests/faults/leaks.py --calls "OneHotEncoder words"

A call leaks where memory in use grows in every round of calls. The calls that fail are fits of bad input, fits that
diverge, fits that a KeyboardInterrupt ends, and loads of a folder that is not whole.
"""

import argparse
import gc
import os
import signal
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

import calls
import fasttrain
import memory

from fasttrain.callbacks import Callback
from fasttrain.checkpoints import load_checkpoint

EXPECTED = (ValueError, TypeError, KeyboardInterrupt, FloatingPointError, ArithmeticError, OSError)
MEASURES = {"malloc": memory.malloced, "Python": memory.objects}
# A page or two a round comes and goes with what malloc keeps free; a leak of one float64 a row is 5 kB a call.
RESIDENT_BYTES_A_CALL = 2048


class Interrupt(Callback):
    def on_epoch_end(self, epoch, logs):
        raise KeyboardInterrupt


def failing(attempt):
    """A call of something that has to raise, time after time."""

    def run():
        try:
            attempt()
        except EXPECTED:
            return
        raise AssertionError("it was to fail")

    return run


def interrupted(attempt, seconds):
    """A call that a signal meets somewhere, or not at all."""

    def run():
        before = signal.signal(signal.SIGALRM, signal.default_int_handler)
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            attempt()
            signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:
            pass
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    return run


def failures():
    """(name, call) of what ends in an error."""
    for name, make, data in calls.estimators():
        rows = data[0]
        if len(data) == 2:
            yield f"{name}, y too short", failing(lambda make=make, data=data: make().fit(data[0], data[1][:-1]))
            if "sparse" not in name:
                holes = np.where(rows > 2, np.nan, rows)
                yield f"{name}, NaN", failing(lambda make=make, data=data, holes=holes: make().fit(holes, data[1]))
        if not name.startswith("Drop"):
            yield f"{name}, cube", failing(lambda make=make, data=data: make().fit(np.zeros((3, 3, 3)), *data[1:]))
        if name.startswith(("SGD", "LinearRegressor", "MLPRegressor")) and "sparse" not in name:
            huge = rows * 1e200, data[1] * 1e200
            # some raise, some warn and stop, some have nothing to say: it is to leave nothing behind
            yield f"{name}, divergence", attempted(lambda make=make, huge=huge: make().fit(*huge))
        if hasattr(make(), "callbacks") and "lbfgs" not in name:
            # a network returns with a warning, as scikit-learn's
            yield f"{name}, KeyboardInterrupt", attempted(
                lambda make=make, data=data: make().set_params(callbacks=[Interrupt()]).fit(*data))
        yield f"{name}, signal", interrupted(lambda make=make, data=data: make().fit(*data), 0.001)

    yield "load of a damaged folder", failing(lambda: fasttrain.load(DAMAGED / "model"))
    yield "load of a damaged checkpoint", failing(lambda: load_checkpoint(DAMAGED / "model"))
    yield "load of nothing", failing(lambda: fasttrain.load(DAMAGED / "nothing"))
    yield "save into a file", failing(lambda: fasttrain.save(calls.MODELS["SGDClassifier"], DAMAGED / "file" / "model"))
    yield "grid of SGD, bad values", failing(bad_grid)


def attempted(attempt):
    def run():
        try:
            attempt()
        except EXPECTED:
            pass

    return run


def bad_grid():
    from fasttrain.linear_model import SGDClassifier
    from fasttrain.model_selection import GridSearchCV

    GridSearchCV(SGDClassifier(), {"alpha": [-1.0, 1e-3]}, cv=2, error_score="raise").fit(calls.X, calls.CODES)


def damaged(folder):
    """A folder with a model whose arrays are cut short, and a file where a folder should be."""
    fasttrain.save(calls.MODELS["MLPClassifier"], folder / "model")
    for file in (folder / "model").glob("*.safetensors"):
        file.write_bytes(file.read_bytes()[:-16])
    (folder / "file").write_text("")
    return folder


def leak_of(function, rounds, repeats, warm_up, with_resident):
    """What grows, in words, or None."""
    measures = {name: measure for name, measure in MEASURES.items() if measure() is not None}
    found = memory.growths(function, rounds, repeats, warm_up, measures | (
        {"RSS": memory.resident} if with_resident and memory.resident() else {}))
    words = [f"{name} +{grown:.0f} a call" for name, grown in found.items()
             if grown > (RESIDENT_BYTES_A_CALL if name == "RSS" else 0)]
    return ", ".join(words) or None


def main(arguments=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", nargs="*")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args(arguments)
    if any(os.environ.get(name) != value for name, value in memory.ENVIRONMENT.items()):
        command = [sys.executable, __file__, *(arguments or sys.argv[1:])]
        return subprocess.run(command, env=os.environ | memory.ENVIRONMENT).returncode
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    if not memory.HAS_MALLINFO:
        print("left out: malloc's bytes in use, which this C library does not say (mallinfo2 is glibc's)")
    if memory.resident() is None:
        print("left out: resident memory, which this system does not have in /proc/self/statm")
    everything = calls.CALLS | dict(failures())
    # the second look, longer, is for what only a first one shows
    sizes = [(4, 3, 3), (6, 6, 12)] if given.quick else [(5, 40, 20), (8, 60, 60)]
    if sys.version_info < (3, 11):
        # a function's 1,024th call gives it a cache of the names that it looks up
        sizes.append((*sizes[-1][:2], 1100))
    gc.collect()
    gc.freeze()
    n_leaks, n_calls = 0, 0
    for name in given.calls or everything:
        for rounds, repeats, warm_up in sizes:
            leak = leak_of(everything[name], rounds, repeats, warm_up, not given.quick)
            n_calls += rounds * repeats + warm_up
            if leak is None:
                break
        else:
            n_leaks += 1
            print(f"{name}: {leak}", flush=True)
    print(f"{len(given.calls or everything)} calls and failing calls, {n_calls} times in all: {n_leaks} leak; "
          f"RSS at the end {(memory.resident() or 0) >> 20} MB")
    return 1 if n_leaks else 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        DAMAGED = damaged(Path(folder))
        sys.exit(main())
