"""Timing in turn, and the machine it was done on."""

import os
import platform
import statistics
import time

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

import fasttrain
from fasttrain._kernels import primitives
from fasttrain._kernels.threads import get_num_threads

# After a call OpenBLAS's second thread spins on its core and slows down what comes next.
SETTLE_SECONDS = 0.2


def in_turn(functions, seconds=1.5, rounds=5, check=None):
    """Seconds of each function over several rounds, one after the other in each, so that all meet the same machine.

    Parameters
    ----------
    functions : dict
        From labels to callables without arguments.
    seconds : float, default=1.5
        Rounds go on for about as long.
    rounds : int, default=5
        At least so many.
    check : callable, optional
        Called between two.

    Returns
    -------
    dict
        From labels to lists of float.
    """
    blas = {label: best_blas_threads(function) for label, function in functions.items()}
    times = {label: [] for label in functions}
    end = time.perf_counter() + seconds
    done = 0
    while done < rounds or (time.perf_counter() < end and done < 200):
        for label, function in functions.items():
            with threadpool_limits(blas[label], "blas"):
                start = time.perf_counter()
                function()
                times[label].append(time.perf_counter() - start)
            if blas[label] > 1:
                time.sleep(SETTLE_SECONDS)
            if check is not None:
                check()
        done += 1
    return times, blas


def best_blas_threads(function):
    """With how many threads of the BLAS a function is faster, one or all; it is warm afterwards."""
    found = {}
    for n in sorted({1, get_num_threads()}):
        with threadpool_limits(n, "blas"):
            if n == 1:
                function()
            start = time.perf_counter()
            function()
            found[n] = time.perf_counter() - start
        if n > 1:
            time.sleep(SETTLE_SECONDS)
    # near each other they are the same, and one thread leaves the machine alone
    return min(found, key=lambda n: found[n] * (1 if n == 1 else 1.05))


def summary(times, per):
    """Median and quartiles of one piece of ``per``."""
    values = sorted(value / per for value in times)
    quartiles = statistics.quantiles(values, n=4) if len(values) > 1 else [values[0]] * 3
    return {"median": statistics.median(values), "low": quartiles[0], "high": quartiles[2], "runs": len(values)}


def machine():
    """What the figures were taken on."""
    facts = _processor()
    blas = [
        f"{library['internal_api']} {library.get('version')}, kernel {library.get('architecture', 'unknown')}"
        for library in threadpool_info() if library["user_api"] == "blas"
    ]
    config = fasttrain.show_config("dicts")
    import scipy
    import sklearn

    return {
        **facts,
        "cores": os.cpu_count(),
        "threads": get_num_threads(),
        "instruction set": config["instruction_set"],
        "multiply-add peak of a core": f"{primitives.fma_peak(4) / 1e9:.0f} GFLOP/s float32",
        "BLAS": "; ".join(dict.fromkeys(blas)) or "none",
        "system": f"{platform.system()} {platform.release()}",
        "fasttrain": fasttrain.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "scikit-learn": sklearn.__version__,
    }


def load():
    """How many processes have wanted a core in the last minute; None where nobody counts them."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def _processor():
    facts = {}
    try:
        with open("/proc/cpuinfo") as file:
            for line in file:
                key, _, value = line.partition(":")
                facts.setdefault(key.strip(), value.strip())
    except OSError:
        return {"processor": platform.processor() or platform.machine()}
    family = f"family {facts.get('cpu family', '?')}, model {facts.get('model', '?')}"
    return {
        "processor": facts.get("model name", platform.machine()),
        "processor family": f"{facts.get('vendor_id', platform.machine())}, {family}",
    }
