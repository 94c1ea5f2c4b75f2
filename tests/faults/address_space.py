"""Fits under a limit of the address space: each is done, or raises MemoryError.

    python tests/faults/address_space.py
    python tests/faults/address_space.py --rows 30000 --megabytes 1 16

A child of a process that has all libraries loaded gets so many megabytes beyond what is in use, and fits. What it died
of is named as for a failing allocation.
"""

import argparse
import gc
import os
import resource
import signal
import sys
import warnings
from collections import Counter

import allocations

from allocations import Case, Shim

N_COLUMNS = 20


def in_use():
    """Bytes of address space of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def fits(n_rows):
    """(name, fit) of what takes memory in ways of its own."""
    import numpy as np

    from fasttrain.linear_model import LinearClassifier, LinearRegressorCV, SGDClassifier
    from fasttrain.model_selection import GridSearchCV
    from fasttrain.neural_network import MLPClassifier
    from fasttrain.preprocessing import OneHotEncoder, OrdinalEncoder, RobustScaler, StandardScaler, drop_duplicates

    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, N_COLUMNS))
    y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)
    tied = np.round(X[:, :3], 1)
    words = np.array([f"word {i}" for i in range(50)], dtype=object)[rng.integers(0, 50, (n_rows, 1))]
    once = {"max_iter": 1, "random_state": 0}
    descent = SGDClassifier(tol=None, **once)
    yield "LinearClassifier", lambda: LinearClassifier(batch_size="full", **once).fit(X, y).predict(X)
    yield "SGDClassifier", lambda: SGDClassifier(tol=None, average=True, **once).fit(X, y).predict(X)
    yield "SGDClassifier float32", lambda: SGDClassifier(tol=None, **once).fit(X.astype(np.float32), y)
    yield "MLPClassifier", lambda: MLPClassifier((32,), batch_size=500, **once).fit(X, y).predict_proba(X)
    yield "LinearRegressorCV", lambda: LinearRegressorCV().fit(X, X[:, 0])
    yield "StandardScaler", lambda: StandardScaler().fit_transform(X)
    yield "RobustScaler", lambda: RobustScaler().fit_transform(X)
    yield "OneHotEncoder", lambda: OneHotEncoder().fit_transform(tied)
    yield "OrdinalEncoder words", lambda: OrdinalEncoder().fit_transform(words)
    yield "drop_duplicates", lambda: drop_duplicates(tied)
    yield "GridSearchCV", lambda: GridSearchCV(descent, {"alpha": [1e-4, 1e-3]}, cv=2, error_score="raise").fit(X, y)


def child(fit, limit, pipe):
    signal.alarm(4 * allocations.HANG_SECONDS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    note, code = "", allocations.SURVIVED
    try:
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))
        fit()
    except MemoryError:
        code = allocations.NO_MEMORY
    except BaseException as error:
        code, note = allocations.OTHER_ERROR, f"{type(error).__name__}: {error}"
    os.write(pipe, note.encode(errors="replace")[:2000])
    os._exit(code)


def fit_within(shim, name, fit, limit):
    reading, writing = os.pipe()
    shim.library.shim_watch()
    shim.library.shim_off()
    pid = os.fork()
    if pid == 0:
        allocations.quiet()
        shim.library.shim_watch()
        child(fit, limit, writing)
    os.close(writing)
    outcome = allocations.outcome_of(os.waitpid(pid, 0)[1])
    note = os.read(reading, 2000).decode(errors="replace")
    os.close(reading)
    record = shim.library.shim_record().contents
    return Case(name, 0, outcome, 0, [], shim.names(record.died), note)


def main(arguments=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, nargs="*", default=[1000, 30_000, 300_000])
    parser.add_argument("--megabytes", type=int, nargs="*", default=[0, 1, 4, 16, 64, 256])
    given = parser.parse_args(arguments)
    if not allocations.preloaded():
        return allocations.run_preloaded(__file__, arguments)
    warnings.simplefilter("ignore")
    shim, found = Shim(), allocations.Found()
    for n_rows in given.rows:
        for name, fit in fits(n_rows):
            # loads what the fit loads; a limited child starts with that
            fit()
            gc.collect()
            outcomes = Counter()
            for megabytes in given.megabytes:
                case = fit_within(shim, f"{name} of {n_rows} rows", fit, in_use() + (megabytes << 20))
                outcomes[case.outcome] += 1
                if not case.good:
                    found.bad.append(case)
            found.outcomes += outcomes
            print(f"{name}, {n_rows} rows: {dict(outcomes)}", flush=True)
    for line in allocations.summary(found, "fits within a limit"):
        print(line)
    n_ours = sum(map(allocations.is_ours, found.bad))
    print(f"{len(found.bad)} neither done nor MemoryError, {n_ours} of them of the kernels")
    return 1 if n_ours else 0


if __name__ == "__main__":
    sys.exit(main())
