"""Linear models beside scikit-learn, scikit-learn-intelex, glum, snapml, celer and skglm, each where it is installed.

    python benchmarks/bench_linear.py [--only TEXT ...] [--rounds 7] [--threads 2] [--list]

Every contender is a process of its own with the data in it, so that no library's threads spin beside another's work;
they are asked in turn and one at a time. Beside the median seconds stands what was reached: the objective above the
least of all contenders, or the score of a search. What an environment sets to hold OpenBLAS to older kernels is taken
out, and the kernels that did run are printed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np

HELD = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
# A fit shorter than this is repeated until it is not.
SHORTEST = 0.01


def serve(work, contender):
    """Answer each line on stdin with a line of JSON: 'run' with seconds, 'model' with what was reached."""
    from linear_works import WORKS

    warnings.simplefilter("ignore")
    # libraries print while they are imported and fit
    out, sys.stdout = sys.stdout, sys.stderr

    def answer(said):
        out.write(json.dumps(said) + "\n")
        out.flush()

    work = WORKS[work]
    X, y = work.data()
    try:
        fit = work.contenders[contender](X, y)
        start = time.perf_counter()
        found = fit()
        first = time.perf_counter() - start
        repeat = max(1, int(SHORTEST / max(first, 1e-6)))
    except Exception as error:
        answer({"failed": f"{type(error).__name__}: {error}".splitlines()[0][:100]})
        return
    answer({"ready": True})
    for line in sys.stdin:
        if line.strip() == "run":
            start = time.perf_counter()
            for _ in range(repeat):
                found = fit()
            answer({"seconds": (time.perf_counter() - start) / repeat})
        elif isinstance(found, tuple):
            coef, intercept = (np.asarray(part, dtype=np.float64) for part in found)
            answer({"objective": None if work.objective is None else float(work.objective(X, y, coef, intercept))})
        else:
            answer({"score": float(found)})


class Contender:
    """One process that fits when it is told to."""

    def __init__(self, work, name, threads):
        environment = {key: value for key, value in os.environ.items() if key not in HELD}
        environment |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--serve", work, name], env=environment, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.seconds = []
        self.failed = self._read().get("failed")

    def _read(self):
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"failed": "the process ended"}

    def ask(self, what):
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        return self._read()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def measure(name, rounds, threads):
    """(what the table says of each contender) of one work."""
    from linear_works import WORKS

    work = WORKS[name]
    contenders = {label: Contender(name, label, threads) for label in work.contenders}
    running = {label: one for label, one in contenders.items() if one.failed is None}
    for _ in range(rounds):
        for label in list(running):
            said = running[label].ask("run")
            if "failed" in said:
                contenders[label].failed = said["failed"]
                del running[label]
            else:
                running[label].seconds.append(said["seconds"])
    reached = {label: one.ask("model") for label, one in running.items()}
    for one in contenders.values():
        one.close()
    return [
        {"work": name, "contender": label, "failed": one.failed, "seconds": one.seconds, **reached.get(label, {})}
        for label, one in contenders.items()
    ]


def lines_of(name, rows):
    from linear_works import WORKS

    work = WORKS[name]
    seconds = {row["contender"]: statistics.median(row["seconds"]) for row in rows if not row["failed"]}
    least = min((row["objective"] for row in rows if row.get("objective") is not None), default=None)
    ours = seconds.get("fasttrain")
    for row in rows:
        label = row["contender"]
        if row["failed"]:
            yield f"| {name} | {label} | {row['failed']} | | | |"
            continue
        spread = (max(row["seconds"]) - min(row["seconds"])) / seconds[label]
        found = f"{row['score']:.5g}" if "score" in row else ""
        if row.get("objective") is not None:
            found = f"least + {row['objective'] - least:.1e}"
        ratio, aim = "" if ours is None else f"{seconds[label] / ours:.2f}x", ""
        if label == "fasttrain":
            aims = [] if work.seconds is None else [f"<= {work.seconds * 1e3:g} ms (Zen 5)"]
            aims += [] if work.times is None else [f"{work.times:g}x scikit-learn"]
            aim = ", ".join(aims)
        yield f"| {name} | {label} | {seconds[label] * 1e3:.3g} ms +- {spread:.0%} | {ratio} | {found} | {aim} |"


def about(threads):
    """The machine, in a line."""
    import sklearn.linear_model  # noqa: F401  (loads the BLAS that it uses)
    from peers import machine

    known = machine()
    return (f"{known['processor']}, {known['instruction_set']}, {threads} threads, BLAS {known['blas']}, "
            f"float64 FMA peak {known['fma_peak_float64_gflops']:.0f} GFLOP/s a core, load {known['load']:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--only", nargs="+", default=[], help="texts, one of which is in the name of a work")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--list", action="store_true", help="the names of all works")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "linear.json")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        return serve(*arguments.serve)
    from linear_works import WORKS

    chosen = [name for name in WORKS if not arguments.only or any(text in name for text in arguments.only)]
    if arguments.list or not chosen:
        print("\n".join(WORKS))
        return None
    if any(name in os.environ for name in HELD):
        # the line about the machine is of a process without them, as the contenders are
        os.execve(sys.executable, [sys.executable, *sys.argv], {
            key: value for key, value in os.environ.items() if key not in HELD})
    said = about(arguments.threads)
    print(f"{said}\n\n| work | contender | median | of ours | reached | target |\n{'|---' * 6}|", flush=True)
    rows = []
    for name in chosen:
        rows += measure(name, arguments.rounds, arguments.threads)
        print("\n".join(lines_of(name, [row for row in rows if row["work"] == name])), flush=True)
    arguments.out.parent.mkdir(exist_ok=True)
    arguments.out.write_text(json.dumps({"machine": said, "rows": rows}, indent=1))
    return None


if __name__ == "__main__":
    main()
