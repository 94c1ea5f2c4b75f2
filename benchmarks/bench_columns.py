"""Tables as they come: seconds and peak memory from 200,000 rows to a matrix, and of the whole ``fasttrain fit``.

    python benchmarks/bench_columns.py [--rows 200000] [--repeat 3] [--only NAME ...]

Each figure comes from a process of its own, on two threads; memory is the highest resident size beyond what was there
with the table read (Linux only). The peers do work that can be compared: scikit-learn's ColumnTransformer is told what
each column is and how to parse it by pandas; skrub's TableVectorizer, where it is installed, recognises as ours does.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests" / "shared"
THREADS = "2"
# Seconds and MB that the work may take.
TARGETS = {"fasttrain": (3.0, 500.0), "fasttrain fit, 5 folds": (10.0, None)}
NUMBERS = ["price", "visits", "discount", "weight", *(f"measure{i}" for i in range(5))]
DATES = {"ordered": "%Y-%m-%d %H:%M", "shipped": "%m/%d/%Y"}
CATEGORIES = ["gift", "status", "channel", "country", "zip"]


def table(n):
    import pandas as pd
    from raw_table import sales

    columns, y = sales(n)
    return pd.DataFrame(columns), y


def ours(frame, y):
    from fasttrain.preprocessing import TablePreprocessor

    return TablePreprocessor().fit_transform(frame, y)


def by_column_transformer(frame, y):
    import numpy as np
    import pandas as pd
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler, TargetEncoder

    def parse(part):
        out = pd.DataFrame(index=part.index)
        for name in part:
            column = part[name]
            if name in DATES:
                moment = pd.to_datetime(column, format=DATES[name])
                out[f"{name}_days"] = (moment - pd.Timestamp(0)) / pd.Timedelta("1D")
                for what, turn in (("year", moment.dt.dayofyear / 366), ("week", moment.dt.dayofweek / 7),
                                   ("day", moment.dt.hour / 24)):
                    out[f"{name}_{what}_sin"] = np.sin(2 * np.pi * turn)
                    out[f"{name}_{what}_cos"] = np.cos(2 * np.pi * turn)
            elif column.dtype == float:
                out[name] = column
            else:
                out[name] = pd.to_numeric(column.str.replace(r"[^0-9.\-]", "", regex=True))
        return out

    numbers = make_pipeline(FunctionTransformer(parse), SimpleImputer(strategy="median"), StandardScaler())
    categories = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    city = make_pipeline(SimpleImputer(strategy="constant", fill_value="?"), TargetEncoder(random_state=0))
    transformer = make_column_transformer(
        (numbers, [*NUMBERS, *DATES]), (categories, CATEGORIES), (city, ["city"]), sparse_threshold=0)
    return transformer.fit_transform(frame, y)


def by_skrub(frame, y):
    import skrub

    return skrub.TableVectorizer().fit_transform(frame.drop(columns=["order_id", "currency"]), y)


def shell(path, folder):
    from fasttrain import cli

    return cli.main(["fit", str(path), "--target", "y", "--impute", "--out", str(folder)])


WORKS = {"fasttrain": ours, "ColumnTransformer": by_column_transformer, "skrub TableVectorizer": by_skrub}


def resident(field):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"the kernel does not tell {field}")


def measure(name, n):
    """(seconds, processor seconds, MB) of one run, after one on a few rows."""
    warnings.simplefilter("ignore")
    frame, y = table(n)
    WORKS[name](frame.head(2000), y[:2000])
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    start, busy = time.perf_counter(), time.process_time()
    matrix = WORKS[name](frame, y)
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    return seconds, busy, resident("VmHWM") - before, matrix.shape


def child(*arguments):
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "OMP_NUM_THREADS": THREADS, "PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, __file__, *arguments], env=environment, capture_output=True, text=True, check=False)


def fit_in_shell(n):
    with tempfile.TemporaryDirectory() as folder:
        sys.path.insert(0, str(TESTS))
        frame, y = table(n)
        path = Path(folder, "table.csv")
        frame.assign(y=y).to_csv(path, index=False)
        start = time.perf_counter()
        found = child("--shell", str(path), folder)
        return time.perf_counter() - start, found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--measure")
    parser.add_argument("--shell", nargs=2)
    options = parser.parse_args()
    if options.measure:
        print(*measure(options.measure, options.rows)[:3])
        return
    if options.shell:
        sys.exit(shell(*options.shell))
    print(f"{options.rows} rows, {THREADS} threads, load {os.getloadavg()[0]:.1f}, medians of {options.repeat}")
    print(f"{'':24} {'seconds':>9} {'processor':>10} {'MB':>7}  target")
    for name in options.only or WORKS:
        if name not in WORKS:
            continue
        runs = [child("--measure", name, "--rows", str(options.rows)) for _ in range(options.repeat)]
        if any(run.returncode for run in runs):
            print(f"{name:24} {runs[0].stderr.strip().splitlines()[-1][:80]}")
            continue
        figures = [list(map(float, run.stdout.split()[-3:])) for run in runs]
        seconds, busy, memory = (statistics.median(column) for column in zip(*figures))
        target = TARGETS.get(name)
        told = f"{target[0]:.0f} s, {target[1]:.0f} MB" if target else ""
        print(f"{name:24} {seconds:9.2f} {busy:10.2f} {memory:7.0f}  {told}")
    if not options.only or "shell" in options.only:
        runs = [fit_in_shell(options.rows) for _ in range(options.repeat)]
        for _, run in runs:
            if run.returncode:
                raise RuntimeError(run.stderr)
        print(f"{'fasttrain fit, 5 folds':24} {statistics.median(seconds for seconds, _ in runs):9.2f} {'':18}  10 s")


if __name__ == "__main__":
    main()
