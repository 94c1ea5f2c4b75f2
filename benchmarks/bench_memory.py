"""Memory of whole searches beside that of one fit: what is taken at most beyond the data.

    python benchmarks/bench_memory.py [name ...]

Each figure comes from a process of its own, which makes the data, warms up on a few rows and then takes the highest
resident size while it works (Linux only). A search on two threads may take 1.5 times what two fits take, beyond the row
numbers of the folds, which the splitter gives.
"""

import argparse
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np

THREADS, FOLDS, ALLOWED = 2, 5, 1.5
PEAK = "VmHWM"


def data(n_samples=200_000, n_features=100):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_samples, n_features), dtype=np.float32)
    return X, (X[:, 0] + rng.standard_normal(n_samples) > 0).astype(int)


def works():
    """Estimator, grid and folds of each."""
    from fasttrain.linear_model import LinearClassifier, SGDClassifier
    from fasttrain.neural_network import MLPClassifier
    from fasttrain.preprocessing import StandardScaler
    from sklearn.pipeline import make_pipeline

    sgd = SGDClassifier("log_loss", max_iter=3, tol=None, random_state=0)
    network = MLPClassifier((32,), max_iter=2, random_state=0)
    alphas = np.logspace(-5, -1, 10)
    return {
        "SGDClassifier, 10 alphas x 5 folds": (sgd, {"alpha": alphas}),
        "StandardScaler and SGDClassifier, 10 alphas x 5 folds": (
            make_pipeline(StandardScaler(), sgd), {"sgdclassifier__alpha": alphas}),
        "LinearClassifier on full batches, 4 alphas x 5 folds": (
            LinearClassifier(optimizer="adam", batch_size="full", max_iter=20, tol=None), {"alpha": alphas[:4]}),
        "LinearClassifier on batches of 200, 4 alphas x 5 folds": (
            LinearClassifier(batch_size=200, max_iter=2, tol=None, random_state=0), {"alpha": alphas[:4]}),
        "MLPClassifier, 4 alphas x 5 folds": (network, {"alpha": alphas[:4]}),
        "MLPClassifier with early stopping, 4 alphas x 5 folds": (
            MLPClassifier((32,), max_iter=2, random_state=0, early_stopping=True), {"alpha": alphas[:4]}),
        "StandardScaler and MLPClassifier, 4 alphas x 5 folds": (
            make_pipeline(StandardScaler(), network), {"mlpclassifier__alpha": alphas[:4]}),
    }


def resident(field):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"the kernel does not tell {field}")


def measure(name, search):
    """Most bytes beyond what was there before one fit, or before a search."""
    from fasttrain import set_num_threads
    from fasttrain.model_selection import GridSearchCV
    from sklearn.base import clone

    estimator, grid = works()[name]
    X, y = data()
    set_num_threads(THREADS if search else 1)
    work = GridSearchCV(estimator, grid, cv=FOLDS, n_jobs=THREADS, refit=False) if search else estimator
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clone(work).fit(X[:1000], y[:1000])
        Path("/proc/self/clear_refs").write_text("5")
        before = resident("VmRSS")
        work.fit(X, y)
    return resident(PEAK) - before


def in_child(name, search):
    command = [sys.executable, __file__, name, "--measure", "search" if search else "fit"]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--measure", choices=["fit", "search"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(measure(arguments.names[0], arguments.measure == "search"))
        return
    X = data()[0]
    folds = FOLDS * X.shape[0] * np.dtype(np.intp).itemsize
    print(
        f"X: {X.nbytes / 1e6:.0f} MB; row numbers of the folds: {folds / 1e6:.0f} MB; {THREADS} threads; at most "
        "beyond these\n")
    for name in arguments.names or works():
        fit, search = in_child(name, False), in_child(name, True) - folds
        share = search / (fit * THREADS)
        verdict = "reached" if share <= ALLOWED else "missed"
        print(f"{name:55} one fit {fit / 1e6:6.1f} MB, search {search / 1e6:6.1f} MB: {share:5.2f} of {THREADS} fits "
              f"(<= {ALLOWED}) {verdict}")


if __name__ == "__main__":
    main()
