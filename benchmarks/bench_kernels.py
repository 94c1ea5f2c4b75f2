"""Kernels against this machine's limits: full-batch steps, products, updates.

Run with ``make bench``, or ``pytest benchmarks/bench_kernels.py``. A share is of a limit measured in the same run.
"""

import numpy as np
import peers
import pytest

from fasttrain import optimizers
from fasttrain._kernels import primitives, updates
from fasttrain._kernels.network import Network
from fasttrain._kernels.threads import get_num_threads

THREADS = get_num_threads()


def full_batch(X, y, loss, n_threads):
    network = Network(X.shape[1], 1, X.dtype)
    network.set_loss(loss)
    network.set_optimizer("gradient_descent", (), {})
    network.bind(X, y)
    rates = np.array([0.01])

    def step():
        network.start_epoch(None, len(X), rates, n_threads)
        while not network.run(1.0):
            pass

    return step


@pytest.mark.parametrize("n_threads", sorted({1, THREADS}))
@pytest.mark.parametrize("loss", ["half_squared_error", "binary_crossentropy"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def bench_full_batch(compare, n_threads, loss, dtype):
    n_samples, n_features = 1_000_000, 100
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_samples, n_features), dtype=dtype)
    y = (X[:, :1] > 0).astype(dtype)
    w = np.zeros(n_features, dtype)
    read, n_bytes = peers.read_bandwidth(n_threads, X.nbytes)

    def numpy_step():
        z = X @ w
        if loss == "binary_crossentropy":
            z = 1 / (1 + np.exp(-z))
        return X.T @ (z - y[:, 0]) / n_samples

    compare(
        "full batch", f"{loss}, 1M x 100 {dtype}",
        {"fasttrain": full_batch(X, y, loss, n_threads), "plain read": read, "NumPy": numpy_step},
        reached=lambda times: times["plain read"] / times["fasttrain"], what="of read bandwidth",
        target=0.8 if n_threads == THREADS else None, threads=n_threads, seconds=6.0, settle=True,
    )


# (rows, inner, columns) of the products of a step on the 100-64-32-1 net and on Fashion-MNIST's nets
SHAPES = [(32, 100, 64), (32, 64, 32), (200, 784, 128), (64, 784, 128), (256, 784, 512), (256, 512, 256)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("product", ["A W", "D W^T", "A^T D"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def bench_products(compare, shape, product, dtype):
    """The three products of a step; the engine keeps W and its transposed copy as panels."""
    m, k, n = shape
    rng = np.random.default_rng(0)
    A = rng.standard_normal((m, k)).astype(dtype)
    W = rng.standard_normal((k, n)).astype(dtype)
    D = rng.standard_normal((m, n)).astype(dtype)
    repeat = max(1, int(5e7 / (2 * m * k * n)))
    wide = primitives.panel_columns(A.itemsize)
    left, right = (D, W.T) if product == "D W^T" else (A, W)
    # columns that are not there are zeros up to a whole vector
    right = np.pad(right, ((0, 0), (0, -right.shape[1] % primitives.vector_lanes(A.itemsize))))
    panels = np.concatenate([right[:, c:c + wide].ravel() for c in range(0, right.shape[1], wide)])
    z, g = np.empty((m, right.shape[1]), dtype), np.empty(panels.size, dtype)
    gradient = D if product == "A^T D" else np.zeros_like(z)
    flops = 2.0 * m * k * n
    peak = primitives.fma_peak(np.dtype(dtype).itemsize, 0.2)
    numpy_product = {"A W": lambda: np.dot(A, W), "D W^T": lambda: np.dot(D, W.T), "A^T D": lambda: np.dot(A.T, D)}

    def numpy_products(product=numpy_product[product]):
        for _ in range(repeat):
            product()

    compare(
        "products", f"{product} {m}x{k}x{n} {dtype}",
        {
            "fasttrain": lambda: primitives.multiply(left, panels, gradient, product != "A^T D", z, g, repeat),
            "NumPy": numpy_products,
        },
        reached=lambda times: flops * repeat / times["fasttrain"] / peak, what="of FMA peak", target=0.8, seconds=0.5,
    )


@pytest.mark.parametrize("name", [name for name in optimizers.names() if name != "lbfgs"])
def bench_updates(compare, name):
    n = 1 << 24
    optimizer = optimizers.get(name)
    rng = np.random.default_rng(0)
    gradient = rng.standard_normal(n, dtype=np.float32)
    w = rng.standard_normal(n, dtype=np.float32)
    slots = {f"{slot}_io": np.zeros(n, np.float32) for slot in optimizer.slots}
    plain = {f"s{i}_io": array for i, array in enumerate(slots.values(), start=1)}
    settings = optimizer.settings() | {"learning_rate": 1e-3, "t": 10}

    compare(
        "updates", f"{name}, 16M float32",
        {
            "fasttrain": lambda: updates.step(settings, w, gradient, **slots, n_threads=THREADS),
            "traffic alone": lambda: primitives.touch(gradient, w, **plain, n_threads=THREADS),
        },
        reached=lambda times: times["traffic alone"] / times["fasttrain"], what="of bandwidth", target=0.8,
        threads=THREADS, seconds=1.5, settle=True,
    )


def bench_adam_against_numpy(compare):
    n = 1_000_000
    rng = np.random.default_rng(0)
    gradient = rng.standard_normal(n)
    w = rng.standard_normal(n)
    optimizer = optimizers.Adam()
    state = optimizer.init(w)
    v, m, u = w.copy(), np.zeros(n), np.zeros(n)

    def numpy_adam():
        m[:] = 0.9 * m + 0.1 * gradient
        u[:] = 0.999 * u + 0.001 * gradient**2
        v[:] -= 1e-3 * m / (np.sqrt(u) + 1e-8)

    compare(
        "updates", "Adam on 1M float64 parameters",
        {"fasttrain": lambda: optimizer.step(w, gradient, state), "NumPy": numpy_adam},
        ratio_to="NumPy", target=5, threads=THREADS, seconds=1.0, settle=True,
    )
