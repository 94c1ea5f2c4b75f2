"""The `compare` fixture of all benchmarks; the table is printed when they are done."""

import os
import sys
from pathlib import Path

# After a call OpenBLAS's second thread spins on its core for longer than any pause between measurements and slows down
# whatever comes next; BLAS runs on one thread unless the caller says otherwise.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# These hold NumPy and scikit-learn to the kernels of older processors; read when NumPy is loaded, which is below.
for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(name, None)
sys.path.insert(0, str(Path(__file__).parent))

import peers
import pytest

_rows = []


@pytest.fixture
def compare(benchmark):
    """Measure ours and peers in turn and add a row to the table.

    ``compare(group, name, functions, target=, ratio_to=, reached=, what=, threads=)``: ``functions`` maps labels to
    callables and holds 'fasttrain'; ``ratio_to`` names the peer that the target is about; ``reached`` may instead be
    a function of the median times, and ``aims`` a list of several (what, target, reached), each a row; ``what`` may be
    a function as well. Times are divided by ``per``, the number of things that a function does, or a dict of these by
    label.
    """

    def run(group, name, functions, *, target=None, ratio_to=None, reached=None, what="", aims=None, per=1, threads=1,
            **options):
        spread = {}
        for label, one in peers.alternate(functions, **options).items():
            parts = per[label] if isinstance(per, dict) else per
            spread[label] = {key: value if key == "runs" else value / parts for key, value in one.items()}
        times = {label: one["median"] for label, one in spread.items()}
        if ratio_to is not None:
            what, reached = f"x {ratio_to}", lambda times: times[ratio_to] / times["fasttrain"]
        for label, aim, of_times in aims or [(what, target, reached)]:
            value = of_times(times) if of_times is not None else None
            label = label(times) if callable(label) else label
            _rows.append(peers.Row(group, name, threads, times, spread, aim, value, label))
            spread = {}  # once in the run's file
            benchmark.extra_info.setdefault("aims", []).append({"what": label, "reached": value, "target": aim})
        benchmark.extra_info["times"] = times
        benchmark.pedantic(functions["fasttrain"], rounds=1)
        return times

    return run


def pytest_terminal_summary(terminalreporter):
    if _rows:
        terminalreporter.write_line("")
        about = peers.machine()
        terminalreporter.write_line(peers.save(_rows, about))
        terminalreporter.write_line(f"Written to {peers.save_run(_rows, about)}; benchmarks/compare.py compares two")
