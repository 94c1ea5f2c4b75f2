"""Dense networks: training steps with Adam against scikit-learn, PyTorch, JAX and Keras; small fits and predictions.

Times are per step, through ``fit``, the rows in a new order each epoch; every peer runs with the number of threads that
is best for it. Fashion-MNIST is read from Debian's package dataset-fashion-mnist, or from the folder that
FASTTRAIN_FASHION_MNIST names; without it the data are random ones of its shape, which take the same time.
"""

import gzip
import os
import time
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path

import jax_peer
import numpy as np
import pytest
from sklearn import neural_network as theirs
from threadpoolctl import threadpool_limits

from fasttrain import neural_network as ours
from fasttrain._kernels import primitives
from fasttrain._kernels.threads import get_num_threads

try:
    import torch
except ImportError:
    torch = None

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

THREADS = sorted({1, get_num_threads()})
FASHION = Path(os.environ.get("FASTTRAIN_FASHION_MNIST", "/usr/share/datasets/fashion-mnist"))
# OpenBLAS's second thread spins for a while after a call
SETTLE = 0.2

# units, batch, steps of an epoch, epochs of a fit, targets in float32 against scikit-learn and JAX, share of the peak
NETS = [
    ((20, 16, 1), 32, 1000, 3, 45, 7, None),
    ((100, 64, 32, 1), 32, 500, 3, 20, 3.5, None),
    ((784, 128, 10), 200, 60, 2, 3.5, 1.6, None),
    ((784, 128, 10), 32, 300, 2, 9, 1.7, None),
    ((784, 512, 256, 10), 256, 20, 2, 3.7, 1.35, 0.7),
]
FLOAT64_TARGET = 3.5


@pytest.fixture(scope="module")
def workers():
    """Processes with JAX, one for each number of threads."""
    made = {n: jax_peer.Worker(n) for n in THREADS} if jax_peer.INSTALLED else {}
    yield made
    for worker in made.values():
        worker.close()


def idx(path):
    """An array in the format of the MNIST files."""
    with gzip.open(path) as file:
        content = file.read()
    shape = [int.from_bytes(content[4 + 4 * i:8 + 4 * i], "big") for i in range(content[3])]
    return np.frombuffer(content, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)


def problem(units, n_samples, dtype):
    rng = np.random.default_rng(0)
    images = FASHION / "train-images-idx3-ubyte.gz"
    if units[0] == 784 and images.exists():
        X = idx(images)[:n_samples].reshape(n_samples, -1).astype(dtype) / 255
        return X, idx(FASHION / "train-labels-idx1-ubyte.gz")[:n_samples].astype(np.int64)
    X = rng.standard_normal((n_samples, units[0])).astype(dtype)
    y = rng.integers(max(units[-1], 2), size=n_samples)
    # with every class there, the net has its outputs
    y[:max(units[-1], 2)] = np.arange(max(units[-1], 2))
    return X, y


def estimator(module, units, batch, n_epochs, **options):
    return module.MLPClassifier(
        units[1:-1], batch_size=batch, max_iter=n_epochs, n_iter_no_change=np.inf, random_state=0, **options
    )


def torch_fit(units, batch, n_epochs, X, y, n_threads):
    inputs = torch.from_numpy(X)
    targets = torch.from_numpy(y.astype(X.dtype) if units[-1] == 1 else y)

    def fit():
        torch.set_num_threads(n_threads)
        layers = []
        for a, b in pairwise(units):
            layers += [torch.nn.Linear(a, b, dtype=inputs.dtype), torch.nn.ReLU()]
        model = torch.nn.Sequential(*layers[:-1])
        optimizer = torch.optim.Adam(model.parameters(), fused=True)
        loss = torch.nn.BCEWithLogitsLoss() if units[-1] == 1 else torch.nn.CrossEntropyLoss()
        for _ in range(n_epochs):
            for rows in torch.randperm(len(inputs)).split(batch):
                optimizer.zero_grad()
                z = model(inputs[rows])
                loss(z[:, 0] if units[-1] == 1 else z, targets[rows]).backward()
                optimizer.step()
        # PyTorch sets OpenMP's limit, which holds for everything in the process
        torch.set_num_threads(THREADS[-1])

    return fit


def at_its_best(name, by_threads):
    """The label and the function of the number of threads that is faster, after a call to warm each up."""
    seconds = {}
    for n, function in by_threads.items():
        function()
        time.sleep(SETTLE)
        start = time.perf_counter()
        function()
        seconds[n] = time.perf_counter() - start
        time.sleep(SETTLE)
    best = min(seconds, key=seconds.get)
    return f"{name} ({best} thread{'s'[:best - 1]})", by_threads[best]


def with_blas(n_threads, function):
    def run():
        with threadpool_limits(n_threads, "blas") if n_threads > 1 else nullcontext():
            function()

    return run


def multiply_adds(units, batch):
    """Of a step: all products but the gradient of the input."""
    weights = [a * b for a, b in pairwise(units)]
    return batch * (3 * sum(weights) - weights[0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("net", NETS, ids=lambda net: f"{'-'.join(map(str, net[0]))}, {net[1]}")
def bench_steps(compare, workers, net, dtype):
    units, batch, n_steps, n_epochs, aim_sklearn, aim_jax, aim_peak = net
    single = dtype == "float32"
    if not single:
        aim_sklearn, aim_peak = FLOAT64_TARGET if units[0] == 784 else None, None
    X, y = problem(units, batch * n_steps, dtype)
    own = estimator(ours, units, batch, n_epochs)
    alone = estimator(ours, units, batch, n_epochs, n_threads=1)
    scikit = estimator(theirs, units, batch, n_epochs)
    sklearn, sklearn_fit = at_its_best("scikit-learn", {n: with_blas(n, lambda: scikit.fit(X, y)) for n in THREADS})
    functions = {"fasttrain": lambda: own.fit(X, y), "fasttrain (1 thread)": lambda: alone.fit(X, y)}
    # the slow ones are asked for one epoch only: what they do beside their steps is little
    slow = set()
    aims = [(f"x {sklearn}", aim_sklearn, lambda times: times[sklearn] / times["fasttrain"])]
    if single and workers:
        for name, keras in [("JAX scan", False)] + [("Keras-JAX", True)] * jax_peer.KERAS_INSTALLED:
            label, function = at_its_best(name, {
                n: worker.prepare(
                    units=units, batch=batch, n_steps=n_steps, n_epochs=1 if keras else n_epochs, keras=keras)
                for n, worker in workers.items()
            })
            functions[label] = function
            if keras:
                slow.add(label)
            else:
                aims.append((f"x {label}", aim_jax, lambda times, label=label: times[label] / times["fasttrain"]))
    if torch is not None:
        label, function = at_its_best(
            "PyTorch fused Adam", {n: torch_fit(units, batch, 1, X, y, n) for n in THREADS}
        )
        functions[label] = function
        slow.add(label)
    # last, since its threads spin on
    functions[sklearn] = sklearn_fit
    peak = primitives.fma_peak(np.dtype(dtype).itemsize, 0.2)
    flops = 2 * multiply_adds(units, batch)
    aims.append((
        f"of {peak / 1e9:.0f} GFLOP/s on 1 thread", aim_peak,
        lambda times: flops / times["fasttrain (1 thread)"] / peak,
    ))
    compare(
        "network", f"{'-'.join(map(str, units))}, batch {batch}, {dtype}", functions, aims=aims,
        per={label: n_steps * (1 if label in slow else n_epochs) for label in functions}, threads=THREADS[-1], rounds=5,
        warm=0, settle=SETTLE,
    )


def bench_fit_of_little_data(compare):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(150, 4)), rng.integers(3, size=150)
    own, scikit = (module.MLPClassifier(max_iter=1, random_state=0) for module in (ours, theirs))
    compare(
        "network", "fit with max_iter=1 on 150 x 4",
        {"fasttrain": lambda: own.fit(X, y), "scikit-learn": lambda: scikit.fit(X, y)},
        ratio_to="scikit-learn", target=2, seconds=1.0,
    )


@pytest.mark.parametrize("units", [(4, 100, 3), (784, 128, 10)], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def bench_predict_a_row(compare, units, dtype):
    X, y = problem(units, 150, dtype)
    y[:units[-1]] = np.arange(units[-1])
    own, scikit = (estimator(module, units, 50, 1).fit(X, y) for module in (ours, theirs))
    row = X[:1].copy()
    repeat = 50

    def predict(model):
        for _ in range(repeat):
            model.predict(row)

    compare(
        "network", f"predict of a row, {'-'.join(map(str, units))} {dtype}",
        {"fasttrain": lambda: predict(own), "scikit-learn": lambda: predict(scikit)},
        ratio_to="scikit-learn", target=4, per=repeat, seconds=0.5,
    )
