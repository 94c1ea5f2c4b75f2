"""What the benchmarks share: alternating measurement of ours and its peers, this machine's limits, the table."""

import json
import os
import platform
import subprocess
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from threadpoolctl import threadpool_info

from fasttrain._kernels import primitives
from fasttrain._kernels.threads import get_num_threads
from fasttrain.cli.bench._measure import summary

RESULTS = Path(__file__).parent / "results"


@dataclass
class Row:
    """One line of the table; times in seconds, medians over the rounds."""

    group: str
    name: str
    threads: int
    times: dict = field(default_factory=dict)
    #: of each label the median, quartiles and runs
    spread: dict = field(default_factory=dict)
    target: float | None = None
    #: ratio that the target is about: a peer's time over ours, or a share of a limit
    reached: float | None = None
    what: str = ""

    @property
    def verdict(self):
        if self.target is None or self.reached is None:
            return ""
        return "reached" if self.reached >= self.target else "missed"


SETTLE_SECONDS = 0.01


def alternate(functions, seconds=2.0, rounds=None, warm=1, settle=False):
    """Seconds of each function, called in turn, so that a slow spell of the machine hits all of them.

    Each is a dict of its 'median', its quartiles 'low' and 'high', and the 'runs'.

    Parameters
    ----------
    functions : dict of callables without arguments
    seconds : float
        About how long to measure when ``rounds`` is None; at least 5 rounds.
    settle : bool or float
        Pause before each call, for functions that use several threads; a number says how long.
    """
    for _ in range(warm):
        for function in functions.values():
            function()
    times = {name: [] for name in functions}
    end = time.perf_counter() + seconds
    done = 0
    while done < (rounds or 5) or (rounds is None and time.perf_counter() < end and done < 1000):
        for name, function in functions.items():
            if settle:
                time.sleep(SETTLE_SECONDS if settle is True else settle)
            start = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - start)
        done += 1
    return {name: summary(values, 1) for name, values in times.items()}


def read_bandwidth(n_threads, n_bytes=1 << 28):
    """Function that reads a large array once, and the bytes it reads."""
    x = np.ones(n_bytes // 4, dtype=np.float32)
    return lambda: primitives.finite(x, n_threads), x.nbytes


def blas():
    """The BLAS libraries that are loaded and the processor whose kernels they have chosen."""
    return ", ".join(sorted({
        f"{info['internal_api']} {info.get('architecture', '')}".strip() for info in threadpool_info()
        if info["user_api"] == "blas"}))


def machine():
    """What the figures were taken on."""
    model = platform.processor()
    try:
        with open("/proc/cpuinfo") as file:
            model = next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return {
        "processor": model,
        "instruction_set": primitives.isa(),
        "threads": get_num_threads(),
        "blas": blas(),
        "blas_threads": os.environ.get("OPENBLAS_NUM_THREADS", "all"),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "fma_peak_float32_gflops": primitives.fma_peak(4) / 1e9,
        "fma_peak_float64_gflops": primitives.fma_peak(8) / 1e9,
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def _seconds(value):
    for unit, factor in (("s", 1), ("ms", 1e3), ("us", 1e6)):
        if value * factor >= 1:
            return f"{value * factor:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"


def table(rows, about):
    """The rows as Markdown."""
    lines = [
        f"{about['processor']}, {about['instruction_set']}, {about['threads']} threads, BLAS {about['blas']} "
        f"({about['blas_threads']} threads), FMA peak {about['fma_peak_float32_gflops']:.0f} GFLOP/s float32 a core, "
        f"load {about['load']:.1f}",
        "",
        "| group | work | threads | ours | peers | reached | target | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        times = dict(row.times)
        base = times.pop("fasttrain")
        ours = _seconds(base)
        peers = ", ".join(f"{name} {_seconds(value)} ({value / base:.2f}x)" for name, value in times.items())
        reached = "" if row.reached is None else f"{row.reached:.3g} {row.what}"
        target = "" if row.target is None else f"{row.target:g}"
        lines.append(
            f"| {row.group} | {row.name} | {row.threads} | {ours} | {peers} | {reached} | {target} | {row.verdict} |"
        )
    return "\n".join(lines)


def commit():
    """The commit that is checked out, with a plus when files differ from it; None outside a repository."""
    def git(*words):
        return subprocess.run(["git", *words], cwd=RESULTS.parent, capture_output=True, text=True, check=True).stdout

    try:
        return git("rev-parse", "--short=12", "HEAD").strip() + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def save_run(rows, about):
    """Write a run as one file under ``benchmarks/results``, in the form that ``fasttrain bench`` reads; its path."""
    RESULTS.mkdir(exist_ok=True)
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    found = {
        "machine": about, "commit": commit(), "moment": moment, "load": [about["load"], load],
        "rows": [
            {"name": f"{row.group}: {row.name}", "unit": "time", "times": row.spread} for row in rows if row.spread],
    }
    path = RESULTS / f"run-{moment}-{found['commit'] or 'unknown'}.json"
    path.write_text(json.dumps(found, indent=1) + "\n")
    return path


def save(rows, about):
    """Write the rows as JSON and Markdown under ``benchmarks/results``; returns the table."""
    RESULTS.mkdir(exist_ok=True)
    text = table(rows, about)
    groups = "-".join(sorted({row.group for row in rows}))
    (RESULTS / f"{groups}.json").write_text(json.dumps({"machine": about, "rows": [asdict(r) for r in rows]}, indent=1))
    (RESULTS / f"{groups}.md").write_text(text + "\n")
    return text
