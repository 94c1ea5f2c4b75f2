"""The `compare` fixture of all benchmarks; the table is printed when they are done."""

import os
import sys
from pathlib import Path

# After a call OpenBLAS's second thread spins on its core for longer than any pause between measurements and slows down
# whatever comes next; BLAS runs on one thread unless the caller says otherwise.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

import peers
import pytest

_rows = []


@pytest.fixture
def compare(benchmark):
    """Measure ours and peers in turn and add a row to the table.

    ``compare(group, name, functions, target=, ratio_to=, reached=, what=, threads=)``: ``functions`` maps labels to
    callables and holds 'fasttrain'; ``ratio_to`` names the peer that the target is about; ``reached`` may instead be
    a function of the median times.
    """

    def run(group, name, functions, *, target=None, ratio_to=None, reached=None, what="", threads=1, **options):
        times = peers.alternate(functions, **options)
        if ratio_to is not None:
            value, what = times[ratio_to] / times["fasttrain"], f"x {ratio_to}"
        else:
            value = reached(times) if reached is not None else None
        _rows.append(peers.Row(group, name, threads, times, target, value, what))
        benchmark.extra_info.update({"times": times, "reached": value, "target": target})
        benchmark.pedantic(functions["fasttrain"], rounds=1)
        return times

    return run


def pytest_terminal_summary(terminalreporter):
    if _rows:
        terminalreporter.write_line("")
        terminalreporter.write_line(peers.save(_rows, peers.machine()))
