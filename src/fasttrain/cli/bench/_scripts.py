"""A user's script, stock and under the patch: what it gains, and what went to scikit-learn after all."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Comparison:
    """Seconds of each run, stock and patched; calls that scikit-learn served under the patch, with how often; and
    the first line of output that differs, as (stock, patched), or None."""

    stock: list
    patched: list
    served: Counter
    difference: tuple | None

    @property
    def gain(self):
        """How many times as long the stock run takes."""
        return statistics.median(self.stock) / statistics.median(self.patched)


def compare(script, arguments=(), rounds=3, environment=None, tell=None):
    """Run a script stock and patched in turn.

    Parameters
    ----------
    script : path
    arguments : list of str
        Its own.
    rounds : int, default=3
    environment : dict, optional
        Of the runs; this process's when left out.
    tell : callable, optional
        ``tell(done, total, text)`` before each run.

    Raises
    ------
    ValueError
        When the script fails.
    """
    stock, patched = [], []
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder, "served.json")
        for number in range(rounds):
            for times, words, what in (
                (stock, [str(script)], "stock"),
                (patched, ["-m", "fasttrain.cli.bench._patched", str(record), str(script)], "patched"),
            ):
                if tell is not None:
                    tell(2 * number + (what == "patched"), 2 * rounds, f"{script}, {what}")
                start = time.perf_counter()
                done = subprocess.run(
                    [sys.executable, *words, *arguments], capture_output=True, text=True, errors="replace",
                    env=environment, stdin=subprocess.DEVNULL,
                )  # fmt: skip
                times.append(time.perf_counter() - start)
                if done.returncode:
                    last = (done.stderr.strip().splitlines() or ["without a word"])[-1]
                    raise ValueError(f"{script} ({what}) ended with exit code {done.returncode}: {last}")
                if what == "stock":
                    expected = done.stdout
                elif number == 0:
                    difference = first_difference(expected, done.stdout)
        served = Counter(json.loads(record.read_text())) if record.exists() else Counter()
    return Comparison(stock, patched, served, difference)


def first_difference(a, b):
    """The first lines of two texts that are not the same, as a pair; None where there are none."""
    if a == b:
        return None
    a, b = a.splitlines(), b.splitlines()
    n = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    return tuple(lines[n] if n < len(lines) else "(nothing)" for lines in (a, b))


def clean_environment():
    """This process's variables, less those that hold a BLAS to the kernels of an older processor."""
    held = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
    return {name: value for name, value in os.environ.items() if name not in held}
