"""Two workers of a Dask cluster against one process on two threads, and the cost of a round on paper.

    python benchmarks/bench_dask.py [--milliseconds 50 5 0.5] [--blocks 8] [--repeats 5]

Each row of the first table is one evaluation of loss and gradient of a logistic model over blocks of so much work on
one thread: the same function of the same blocks, once by sources of arrays with two threads, once by two workers of one
thread each. The fastest of ``--repeats`` that alternate. The second table is arithmetic: see ``paper``.
"""

import argparse
import time

import dask.array as da
import numpy as np
from distributed import Client, LocalCluster

from fasttrain._estimators.blocks import CheckedBlocks
from fasttrain._kernels.network import Network
from fasttrain.data import from_arrays, from_dask
from fasttrain.linear_model import LinearClassifier
from fasttrain.linear_model._data import BlockRows
from fasttrain.training.feed import sums_over

FEATURES = 100
SCHEDULING = 0.3e-3
BANDWIDTH = 10e9 / 8
FAN_IN = 16


def problem(source):
    """(blocks, network) of a logistic model at its start."""
    model = LinearClassifier()
    checked = CheckedBlocks(model, source, np.float64, True)
    model._learn_target(checked, None, None)
    rows = BlockRows(model, checked)
    loss, n_outputs = rows.encode(model._loss_spec())
    network = Network(FEATURES, n_outputs, "float64")
    network.set_loss(loss.name, loss.parameter)
    return rows.blocks, network


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def measured(client, milliseconds, n_blocks, repeats):
    """(seconds of a block, of a round by two threads, of a round by two workers)."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, FEATURES))
    blocks, network = problem(from_arrays([X], [X[:, 0] > 0]))
    sums_over(blocks, network, 1)
    one = min(seconds(lambda: sums_over(blocks, network, 1)) for _ in range(5))
    n_rows = max(50, int(len(X) * milliseconds / 1e3 / one))
    X = rng.normal(size=(n_rows, FEATURES))
    y = X[:, 0] > 0
    here, network = problem(from_arrays([X] * n_blocks, [y] * n_blocks))
    block = da.from_array(X, chunks=X.shape)
    there, _ = problem(from_dask(da.concatenate([block] * n_blocks), np.tile(y, n_blocks), client=client))
    # what a fit's first round prepares
    sums_over(there, network, 1)
    alone, _ = problem(from_arrays([X], [y]))
    fits = [(lambda: sums_over(alone, network, 1)), (lambda: sums_over(here, network, 2)),
            (lambda: sums_over(there, network, 1))]
    return np.min([[seconds(fit) for fit in fits] for _ in range(repeats)], axis=0)


def paper(workers, parameters, blocks_a_worker=4, block=0.05):
    """(bytes, seconds of computing, of scheduling, of moving) of a round."""
    n_blocks = workers * blocks_a_worker
    moved = 8 * parameters * (workers + n_blocks / FAN_IN)
    return moved, block * blocks_a_worker, SCHEDULING * (1.1 * n_blocks + 1), moved / BANDWIDTH


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--milliseconds", type=float, nargs="+", default=[50, 5, 0.5])
    parser.add_argument("--blocks", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    print("| work a block, ms | two threads, ms | two workers, ms | as fast |\n|---|---|---|---|")
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster) as client:
        for milliseconds in options.milliseconds:
            block, threads, workers = measured(client, milliseconds, options.blocks, options.repeats)
            print(f"| {block * 1e3:.1f} | {threads * 1e3:.1f} | {workers * 1e3:.1f} | {threads / workers:.2f} |")
    print("\n| workers | parameters | bytes | computing, s | scheduling, s | moving, s | round, s |")
    print("|---" * 7 + "|")
    for workers in (10, 100, 1000):
        for parameters in (1000, 1_000_000):
            moved, *parts = paper(workers, parameters)
            columns = [f"{part:.3f}" for part in [*parts, sum(parts)]]
            print(f"| {workers} | {parameters} | {moved:.3g} | {' | '.join(columns)} |")


if __name__ == "__main__":
    main()
