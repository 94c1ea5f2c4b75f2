"""Rows that do not fit in memory: an epoch over files four times a memory budget, beside peers on the same files.

    python benchmarks/bench_blocks.py [--gigabytes 2] [--rounds 2] [--folder DIR] [name ...]

Each figure comes from a process of its own that reads the files and tells its highest resident size (Linux only), of
which the budget is a quarter of the files' numbers in float32. ``--bound`` makes the source with ``memory=`` what the
imports leave of the budget. The measured are taken in turn, round after round, and the quickest round of each counts.
Ours is asked to keep 80 % of the slower of two rates: training on rows that are in memory already, and decoding the
file without doing anything with it; and to be five times as fast as scikit-learn's ``partial_fit`` over the batches of
pyarrow. Where both keep all cores busy, the two together cannot have more than ``most`` of the slower one: the sum of
their times is the least that one epoch takes.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

N_FEATURES, ROW_GROUP = 100, 25_000
TARGET_PEER, TARGET_RATE, RATIO = 5.0, 0.8, 4
FORMATS = ("parquet", "npy")


def models():
    """Estimators of ours and of scikit-learn, by name."""
    from sklearn import linear_model, neural_network

    from fasttrain.linear_model import LinearClassifier, SGDClassifier
    from fasttrain.neural_network import MLPClassifier

    return {
        "SGDClassifier": (
            SGDClassifier("log_loss", learning_rate="constant", random_state=0),
            linear_model.SGDClassifier(loss="log_loss", learning_rate="constant", eta0=0.01, random_state=0)),
        "MLPClassifier": (
            MLPClassifier((64,), random_state=0), neural_network.MLPClassifier((64,), random_state=0)),
        "LinearClassifier": (LinearClassifier(optimizer="adam", batch_size=200, random_state=0), None),
    }


def write(folder, gigabytes):
    """The files, part by part; the number of rows."""
    import pyarrow as pa
    from numpy.lib.format import open_memmap
    from pyarrow import parquet

    n_rows = int(gigabytes * 1e9 / (4 * N_FEATURES)) // ROW_GROUP * ROW_GROUP
    rng, names = np.random.default_rng(0), [f"x{j}" for j in range(N_FEATURES)]
    coef = rng.standard_normal(N_FEATURES)
    schema = pa.schema([*((name, pa.float32()) for name in names), ("y", pa.int64())])
    rows = open_memmap(folder / "X.npy", "w+", np.float32, (n_rows, N_FEATURES))
    labels = np.empty(n_rows, np.int64)
    with parquet.ParquetWriter(folder / "rows.parquet", schema, compression="none", use_dictionary=False) as file:
        for first in range(0, n_rows, ROW_GROUP):
            X = rng.standard_normal((ROW_GROUP, N_FEATURES), dtype=np.float32)
            y = (X @ coef + 3 * rng.standard_normal(ROW_GROUP) > 0).astype(np.int64)
            rows[first:first + ROW_GROUP] = X
            labels[first:first + ROW_GROUP] = y
            file.write_table(pa.table([*(pa.array(column) for column in X.T), pa.array(y)], schema=schema))
    rows.flush()
    np.save(folder / "y.npy", labels)
    return n_rows


def source_of(folder, kind, memory=None):
    from fasttrain.data import from_npy, from_parquet

    if kind == "npy":
        return from_npy(folder / "X.npy", folder / "y.npy", block_rows=ROW_GROUP, memory=memory)
    return from_parquet(folder / "rows.parquet", target="y", block_rows=ROW_GROUP, memory=memory)


def resident(what):
    """Bytes of this process by a name of /proc."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in status if line.startswith(what))


def batches(folder):
    """(X, y) of the batches of pyarrow, as a loop of partial fits has them."""
    from pyarrow import parquet

    for batch in parquet.ParquetFile(folder / "rows.parquet").iter_batches(ROW_GROUP):
        columns = [column.to_numpy() for column in batch.columns]
        yield np.column_stack(columns[:-1]), columns[-1]


def work(what, folder, kind, name, budget):
    """(a function that is timed, the number of rows that it goes over)."""
    from fasttrain.data import from_arrays

    classes = np.array([0, 1])
    if what == "decode":
        if kind == "npy":
            return lambda: [None for _ in source_of(folder, kind)], source_of(folder, kind).n_rows
        from pyarrow import parquet

        file = parquet.ParquetFile(folder / "rows.parquet", pre_buffer=False)
        return lambda: [
            None for group in range(file.num_row_groups) for _ in file.iter_batches(1 << 15, row_groups=[group])
        ], file.metadata.num_rows
    ours, peer = models()[name]
    if what == "ours":
        source = source_of(folder, kind)
        if budget:
            # what a source knows of its file is in memory by now
            source = source_of(folder, kind, budget - resident("VmRSS"))
        return lambda: ours.partial_fit(source, classes=classes), source.n_rows
    if what == "in memory":
        rows = [source_of(folder, kind).block(i) for i in range(4)]
        one = from_arrays([np.concatenate([b.X for b in rows])], [np.concatenate([b.y for b in rows])])
        return lambda: ours.partial_fit(one, classes=classes), one.n_rows

    def loop():
        for X, y in batches(folder):
            peer.partial_fit(X, y, classes=classes)

    return loop, source_of(folder, kind).n_rows


def child(what, folder, kind, name, by_cpu, budget):
    warnings.simplefilter("ignore")
    function, n_rows = work(what, folder, kind, name, budget)
    before = resident("VmRSS")
    if what == "in memory":
        function()
    clock = time.process_time if by_cpu else time.perf_counter
    began = clock()
    function()
    seconds = clock() - began
    print(json.dumps({"rate": n_rows / seconds, "peak": resident("VmHWM"), "before": before}))


def measure(folder, kind, name, rounds, by_cpu, budget):
    """By what was measured, its quickest rate, its highest peak and what it had before it began."""
    found = {}
    for _ in range(rounds):
        for what in ("in memory", "decode", "ours", "peer"):
            if what == "peer" and (kind == "npy" or models()[name][1] is None):
                continue
            answer = subprocess.run(
                [sys.executable, __file__, "--child", what, "--folder", str(folder), "--kind", kind,
                 *(["--cpu"] if by_cpu else []), "--budget", str(budget), name],
                check=True, capture_output=True, text=True)
            one = json.loads(answer.stdout.splitlines()[-1])
            rate, peak, _ = found.get(what, (0.0, 0, 0))
            found[what] = max(rate, one["rate"]), max(peak, one["peak"]), one["before"]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--cpu", action="store_true", help="rows by seconds of processor, on a machine that is shared")
    parser.add_argument("--bound", action="store_true", help="keep to the budget with memory=")
    parser.add_argument("--child")
    parser.add_argument("--budget", type=int, default=0)
    parser.add_argument("--kind")
    options = parser.parse_args()
    if options.child:
        child(options.child, options.folder, options.kind, options.names[0], options.cpu, options.budget)
        return
    with tempfile.TemporaryDirectory() as made:
        folder = options.folder or Path(made)
        n_rows = write(folder, options.gigabytes)
        budget = n_rows * N_FEATURES * 4 / RATIO
        unit = "processor" if options.cpu else "clock"
        print(f"{n_rows:,} rows of {N_FEATURES} float32 columns, {budget * RATIO / 1e9:.2f} GB; budget "
              f"{budget / 1e6:.0f} MB; rows a second of {unit}")
        heads = (
            "model", "file", "ours", "in memory", "decode", "peer", "of the slower", "most", "x peer", "before MB",
            "peak MB", "in budget")
        print(("{:<17} {:<8}" + " {:>13}" * 10).format(*heads))
        for name in options.names or models():
            for kind in FORMATS:
                found = measure(
                    folder, kind, name, options.rounds, options.cpu, int(budget) if options.bound else 0)
                ours, peak, before = found["ours"]
                train, decode = found["in memory"][0], found["decode"][0]
                share = ours / min(train, decode)
                peer = found.get("peer", (0.0,))[0]
                print(("{:<17} {:<8}" + " {:>13}" * 10).format(
                    name, kind, f"{ours:,.0f}", f"{train:,.0f}", f"{decode:,.0f}",
                    f"{peer:,.0f}" if peer else "-", f"{share:.2f}{'' if share >= TARGET_RATE else ' below'}",
                    f"{max(train, decode) / (train + decode):.2f}",
                    f"{ours / peer:.1f}{'' if ours / peer >= TARGET_PEER else ' below'}" if peer else "-",
                    f"{before / 1e6:.0f}", f"{peak / 1e6:.0f}", "yes" if peak <= budget else "NO"), flush=True)


if __name__ == "__main__":
    main()
