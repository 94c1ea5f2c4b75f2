"""scikit-learn's gallery, each script twice: as it is, and under the patch; what they print must be the same.

``python tests/parity/gallery.py SOURCE [PATTERN ...]`` (``make gallery GALLERY=SOURCE``): SOURCE is a folder with
scikit-learn's ``examples``, or its sdist (``pip download --no-binary scikit-learn --no-deps scikit-learn``). Scripts
that download something, and those that use nothing that is replaced, are left out. Numbers may differ in their fourth
digit, lines that tell a time are not compared. Nothing of scikit-learn's is kept.
"""

import argparse
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from fasttrain.patch import replaced_names

DOWNLOADS = re.compile(r"fetch_\w+\(|urlretrieve|urlopen|https?://[^\s\"']+\.(csv|gz|zip)[\"']")
NUMBER = re.compile(r"[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?")
TIMED = re.compile(r"\btimes?\b|seconds?\b|\d ?m?s\b|\bfit_time|\bscore_time|µs|duration|elapsed", re.IGNORECASE)
# What a script prints that is private to the objects it made: addresses, and where their class is.
ADDRESS = re.compile(r"0x[0-9a-f]{6,}")

# Scripts that print something else under the patch, and why; any other that does fails.
EXPECTED = {
    "model_selection/plot_grid_search_digits.py": "chooses the candidate that was the quickest to score",
    "linear_model/plot_logistic_l1_l2_sparsity.py": "SAGA ends at tol=0.01, short of the minimum that is found here",
}


def scripts_of(source, patterns):
    """The scripts to run, by their paths below the folder of examples."""
    names = re.compile(r"\b(" + "|".join(name for names in replaced_names().values() for name in names) + r")\b")
    for path in sorted(source.rglob("plot_*.py")):
        text = path.read_text(encoding="utf-8")
        relative = str(path.relative_to(source))
        if names.search(text) and not DOWNLOADS.search(text) and (
                not patterns or any(pattern in relative for pattern in patterns)):
            yield relative, path


def run(path, patched, limit):
    """(exit code, stdout, last line of stderr, seconds) of a script, its figures drawn and not shown."""
    command = [sys.executable, *(["-m", "fasttrain", "patch"] if patched else []), str(path)]
    environment = {**os.environ, "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
                   "PYTHONWARNINGS": "ignore", "PYTHONHASHSEED": "0"}
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=limit)
        except subprocess.TimeoutExpired:
            return None, "", f"longer than {limit} s", limit
    return done.returncode, done.stdout, (done.stderr.strip().splitlines() or [""])[-1], time.perf_counter() - begun


def differences(stock, patched):
    """Lines of two outputs that are not the same, side by side."""
    first, second = ([ADDRESS.sub("", line).rstrip() for line in text.splitlines() if not TIMED.search(line)]
                     for text in (stock, patched))
    if len(first) != len(second):
        return [(f"{len(first)} lines", f"{len(second)} lines")]
    return [(a, b) for a, b in zip(first, second) if not _are_same(a, b)]


def _are_same(a, b):
    if NUMBER.sub("#", a).split() != NUMBER.sub("#", b).split():
        return False
    return all(_are_close(float(x), float(y)) for x, y in zip(NUMBER.findall(a), NUMBER.findall(b)))


def _are_close(x, y):
    return abs(x - y) <= max(1e-3 * max(abs(x), abs(y)), 1e-10)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("patterns", nargs="*", help="parts of the scripts' paths")
    parser.add_argument("--limit", type=float, default=300, help="seconds for a script")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        source = options.source
        if source.is_file():
            with tarfile.open(source) as archive:
                archive.extractall(folder, members=[m for m in archive if "/examples/" in m.name], filter="data")
            source = Path(folder)
        [source] = [source] if source.name == "examples" else list(source.rglob("examples"))[:1] or [source]
        counts = {"same": 0, "different": 0, "expected": 0, "left out": 0}
        for name, path in scripts_of(source, options.patterns):
            code, stock, error, before = run(path, False, options.limit)
            if code != 0:
                # a package that is not installed here, most often
                counts["left out"] += 1
                print(f"left out   {name}: stock scikit-learn ends with {error}", flush=True)
                continue
            code, patched, error, after = run(path, True, options.limit)
            found = [("exit code 0", error)] if code != 0 else differences(stock, patched)
            kind = "same" if not found else "expected" if name in EXPECTED else "different"
            counts[kind] += 1
            print(f"{kind:<10} {name}: {before:.1f} s, patched {after:.1f} s", flush=True)
            for a, b in found[:5]:
                print(f"    - {a}\n    + {b}", flush=True)
    print(", ".join(f"{count} {kind}" for kind, count in counts.items()))
    return int(counts["different"] > 0 or counts["same"] == 0)


if __name__ == "__main__":
    sys.exit(main())
