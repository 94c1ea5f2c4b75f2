"""The measuring process: ``python -m fasttrain.cli.bench._child OUT [quick] [peers]`` writes JSON to OUT.

It is started without the variables that hold a BLAS to the kernels of an older processor, which a library reads when it
is loaded.
"""

import json
import signal
import sys
import warnings

from fasttrain.cli.bench._measure import in_turn, load, machine, summary
from fasttrain.cli.bench._workloads import workloads


def measure(quick=False, with_peers=False, tell=None):
    """Measure everything.

    Parameters
    ----------
    quick, with_peers : bool, default=False
        As for :func:`fasttrain.cli.bench._workloads.workloads`.
    tell : callable, optional
        ``tell(done, total, name)`` before each piece of work.

    Returns
    -------
    dict
        'machine', 'load' before and after, and 'rows' with a name, the unit, and for each library its median,
        quartiles, number of runs and threads of the BLAS.
    """
    made = list(workloads(quick, with_peers))
    found = {"machine": machine(), "quick": quick, "load": [load()], "rows": []}
    for number, make in enumerate(made):
        with warnings.catch_warnings():
            # what is timed is so many passes, not whether they arrive
            warnings.simplefilter("ignore")
            work = make()
            if tell is not None:
                tell(number, len(made), work.name)
            times, blas = in_turn(work.functions, seconds=0.3 if quick else 1.5, rounds=3 if quick else 5)
        row = {"name": work.name, "unit": work.unit, "times": {}}
        for label, seconds in times.items():
            per = work.per[label] if isinstance(work.per, dict) else work.per
            row["times"][label] = summary(seconds, per) | {"blas_threads": blas[label]}
        found["rows"].append(row)
    found["load"].append(load())
    return found


def main(arguments):
    """Measure, and write the JSON; a line ``done total name`` goes to standard output before each piece of work."""
    out, *words = arguments
    result = measure(
        "quick" in words, "peers" in words, lambda done, total, name: print(done, total, name, flush=True)
    )
    with open(out, "w", encoding="utf-8") as file:
        json.dump(result, file)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    main(sys.argv[1:])
