"""A machine that others use too: fits beside busy processes, after a threaded product of NumPy's, under CPU quotas.

    python benchmarks/bench_contention.py [--only TEXT ...] [--busy 0 2 4 8] [--rounds 5] [--quotas 0.5 1 1.5]
        [--without-peer]

Each fit is in a process of its own, started in turn: ours at the default, ours on one thread, the peer on one thread
and at its default. The table gives medians, and ours at the default over the better of its own two and over the better
of the peer's; both are to be at most 1.2 and 1. Quotas need the right to make a cgroup (version 1 or 2), and are left
out, with the reason, where that is missing.
"""

import argparse
import math
import os
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

HELD = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
CGROUPS = Path("/sys/fs/cgroup")
NAME = "fasttrain-benchmark"
PRELUDE = """
import sys, time, warnings
import numpy as np
warnings.simplefilter("ignore")
package, threads, after = sys.argv[1:]
if package == "fasttrain" and threads != "0":
    import fasttrain
    fasttrain.set_num_threads(int(threads))
from importlib import import_module
def of(module, name):
    return getattr(import_module(f"{package}.{module}"), name)
rng = np.random.default_rng(0)
"""
TIMED = """
if after == "1":
    A = np.ones((1500, 1500))
    A @ A
start = time.perf_counter()
work()
print(time.perf_counter() - start)
"""
WORKS = {
    "small network (diabetes, 100, 100)": """
from sklearn.datasets import load_diabetes
X, y = load_diabetes(return_X_y=True)
model = of("neural_network", "MLPRegressor")(hidden_layer_sizes=(100, 100), tol=1e-2, max_iter=120, random_state=0)
work = lambda: model.fit(X, y)
""",
    "network 784-128-10, batches of 32": """
X, y = rng.standard_normal((20000, 784)).astype(np.float32), rng.integers(0, 10, 20000)
model = of("neural_network", "MLPClassifier")(hidden_layer_sizes=(128,), batch_size=32, max_iter=1, random_state=0)
work = lambda: model.fit(X, y)
""",
    "large network 784-512-256-10, batches of 200": """
X, y = rng.standard_normal((10000, 784)).astype(np.float32), rng.integers(0, 10, 10000)
model = of("neural_network", "MLPClassifier")(hidden_layer_sizes=(512, 256), max_iter=2, random_state=0)
work = lambda: model.fit(X, y)
""",
    "network on all rows (L-BFGS), 64": """
X, y = rng.standard_normal((20000, 50)), rng.integers(0, 3, 20000)
model = of("neural_network", "MLPClassifier")(hidden_layer_sizes=(64,), solver="lbfgs", max_iter=10, random_state=0)
work = lambda: model.fit(X, y)
""",
    "SGD, ten classes": """
X, y = rng.standard_normal((30000, 100)).astype(np.float32), rng.integers(0, 10, 30000)
model = of("linear_model", "SGDClassifier")(max_iter=10, tol=None, random_state=0)
work = lambda: model.fit(X, y)
""",
    "StandardScaler 1M x 20": """
X = rng.standard_normal((1000000, 20))
model = of("preprocessing", "StandardScaler")()
work = lambda: model.fit_transform(X)
""",
    "grid of 6 networks x 3 folds, digits": """
from sklearn.datasets import load_digits
X, y = load_digits(return_X_y=True)
model = of("neural_network", "MLPClassifier")(hidden_layer_sizes=(32,), max_iter=20, random_state=0)
grid = {"alpha": [1e-5, 1e-4, 1e-3], "learning_rate_init": [1e-3, 1e-2]}
search = of("model_selection", "GridSearchCV")(model, grid, cv=3, n_jobs=None if threads == "1" else 2)
work = lambda: search.fit(X, y)
""",
}
CONTENDERS = {"ours": ("fasttrain", 0), "ours, 1": ("fasttrain", 1), "peer, 1": ("sklearn", 1), "peer": ("sklearn", 0)}


def seconds_of(code, package, threads, after, cgroup=None):
    environment = {key: value for key, value in os.environ.items() if key not in HELD}
    if package == "sklearn" and threads:
        environment |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    # after the product NumPy's threads are to be there, so nothing may have held it to one
    enter = None if cgroup is None else lambda: (cgroup / "cgroup.procs").write_text(str(os.getpid()))
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + code + TIMED, package, str(threads), str(int(after))], env=environment,
        capture_output=True, text=True, preexec_fn=enter, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-1000:])
    return float(done.stdout.split()[-1])


@contextmanager
def busy(n):
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(n)]
    try:
        time.sleep(0.3)
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


@contextmanager
def quota(cpus):
    """A cgroup of so many CPUs; OSError where none may be made."""
    second = (CGROUPS / "cgroup.controllers").exists()
    folder = (CGROUPS if second else CGROUPS / "cpu") / NAME
    folder.mkdir()
    try:
        if second:
            (folder / "cpu.max").write_text(f"{int(cpus * 100_000)} 100000")
        else:
            (folder / "cpu.cfs_quota_us").write_text(str(int(cpus * 100_000)))
        yield folder
    finally:
        folder.rmdir()


def row(condition, name, contenders, rounds, after=False, cgroup=None):
    times = {label: [] for label in contenders}
    for _ in range(rounds):
        for label, (package, threads) in contenders.items():
            times[label].append(seconds_of(WORKS[name], package, threads, after, cgroup))
    of = {label: statistics.median(values) for label, values in times.items()}
    own = of["ours"] / min(of["ours"], of["ours, 1"])
    peer = of["ours"] / min(of.get("peer", math.nan), of.get("peer, 1", math.nan))
    cells = " | ".join(f"{of[label] * 1e3:.3g}" for label in contenders)
    verdict = "missed" if own > 1.2 or peer > 1 else "reached"
    print(f"| {condition} | {name} | {cells} | {own:.2f} | {peer:.2f} | {verdict} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--only", nargs="+", default=[], help="texts, one of which is in the name of a work")
    parser.add_argument("--busy", nargs="*", type=int, default=[0, 2, 4, 8])
    parser.add_argument("--quotas", nargs="*", type=float, default=[0.5, 1, 1.5])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--without-peer", action="store_true", help="ours alone; the peer's rows take most of the time")
    arguments = parser.parse_args()
    contenders = {
        label: what for label, what in CONTENDERS.items() if not (arguments.without_peer and what[0] == "sklearn")}
    names = [name for name in WORKS if not arguments.only or any(text in name for text in arguments.only)]
    from bench_linear import about

    print(f"{about(os.cpu_count())}\n\nmilliseconds\n")
    print(f"| condition | work | {' | '.join(contenders)} | over own best | over peer's best | |\n"
          f"{'|---' * (len(contenders) + 5)}|")
    for n in arguments.busy:
        with busy(n):
            for name in names:
                row(f"{n} busy", name, contenders, arguments.rounds)
    for name in names:
        row("after a product", name, contenders, arguments.rounds, after=True)
    for cpus in arguments.quotas:
        try:
            with quota(cpus) as cgroup:
                for name in names:
                    row(f"{cpus:g} CPUs", name, contenders, arguments.rounds, cgroup=cgroup)
        except OSError as error:
            print(f"left out: a quota of {cpus:g} CPUs ({error})")


if __name__ == "__main__":
    main()
