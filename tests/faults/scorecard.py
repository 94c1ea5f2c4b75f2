"""Every row of the reliability scorecard, one after the other, as one table.

    python tests/faults/scorecard.py                 # all rows
    python tests/faults/scorecard.py --quick         # their forms in the test suite: minutes
    python tests/faults/scorecard.py forks saves     # some of them

A row is a selection of tests or a program of this folder. What this machine cannot run is left out with its reason.
"""

import argparse
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).parent.parent
ROOT = TESTS.parent
ALL = "exhaustive or not exhaustive"
GIGABYTES_OF_LARGE_SIZES = 12


@dataclass(frozen=True)
class Row:
    """A row: what it is about, and the command of its large and of its quick form.

    ``tests`` are paths for pytest; ``program`` a script beside this one with its arguments, ``quick`` the same for the
    quick form, and ``counts`` what in their output counts the cases; ``target`` is one of the Makefile.
    """

    name: str
    what: str
    tests: tuple = ()
    program: tuple = ()
    quick: tuple = ()
    counts: str = ""
    target: str = ""
    needs: tuple = ()


ROWS = [
    Row("forks", "fork after, within and beside fits", ("faults/test_forks.py", "test_threads.py")),
    Row("company", "imported beside torch, LightGBM, XGBoost, Numba, ...", ("faults/test_company.py",)),
    Row("layouts", "layouts x dtypes x estimators", ("faults/test_layouts.py",)),
    Row("threads", "bytes over 1 to 8 threads", ("faults/test_thread_counts.py",)),
    Row("resume", "SIGKILL, and on from the checkpoint", ("faults/test_kills.py",)),
    Row("saves", "SIGKILL during a save; savers at once", (
        "_files", "faults/test_concurrent_savers.py", "test_persistence.py")),
    Row("disk", "a full disk", ("faults/test_full_disk.py",)),
    Row("numbers", "hostile numbers", (
        "faults/test_numbers.py", "preprocessing/test_finite.py", "_estimators/test_fitted.py")),
    Row("models", "damaged model folders", program=("fuzz.py", "models", "200000"),
        quick=("fuzz.py", "models", "2000"), counts=r"(\d+) models, (\d+) wrong"),
    Row("sequentials", "damaged folders of a Sequential", program=("fuzz.py", "sequentials", "50000"),
        quick=("fuzz.py", "sequentials", "2000"), counts=r"(\d+) sequentials, (\d+) wrong"),
    Row("checkpoints", "damaged checkpoints", program=("fuzz.py", "checkpoints", "50000"),
        quick=("fuzz.py", "checkpoints", "2000"), counts=r"(\d+) checkpoints, (\d+) wrong"),
    Row("interrupts", "Ctrl-C latency of public calls", target="interrupts", program=("interrupts.py",)),
    Row("mallocs", "failing allocations", target="mallocs", program=("allocations.py",)),
    Row("leaks", "leaks", target="leaks", program=("leaks.py",)),
    Row("sanitize", "address and undefined-behaviour sanitizers", target="sanitize", needs=("gcc",)),
    Row("tsan", "thread sanitizer", target="tsan", needs=("clang",)),
    Row("ladder", "emulated CPUs, old to new, and aarch64", target="ladder", needs=("qemu-x86_64",)),
    Row("sizes", "past 2^31 elements", ("_kernels/test_large_sizes.py",)),
    Row("concurrency", "Python threads", ("faults/test_concurrency.py",)),
    Row("pickles", "pickles in another process", ("faults/test_pickles.py",)),
    Row("soak", "random operations, two runs beside each other", program=("soak.py", "--minutes", "30"),
        quick=("soak.py", "--minutes", "0.5"), counts=r"(\d+) operations in both runs, (\d+) unlike"),
]


def available_gigabytes():
    with open("/proc/meminfo") as file:
        return int(re.search(r"MemAvailable:\s+(\d+)", file.read())[1]) / 2**20


def left_out(row, quick):
    """Why a row cannot be run here, or None."""
    missing = [path for path in row.tests if not (TESTS / path).exists()]
    if row.tests and len(missing) == len(row.tests):
        return f"tests/{missing[0]} is not there"
    if row.program and not (TESTS / "faults" / row.program[0]).exists():
        return f"tests/faults/{row.program[0]} is not there"
    if row.target and not re.search(rf"^{row.target}:", (ROOT / "Makefile").read_text(), re.M):
        return f"the Makefile has no target {row.target}"
    without = [name for name in row.needs if shutil.which(name) is None]
    if without:
        return f"no {without[0]}"
    if row.target and quick:
        return f"has no quick form: make {row.target}"
    if row.name == "sizes" and not quick and available_gigabytes() < GIGABYTES_OF_LARGE_SIZES:
        return f"less than {GIGABYTES_OF_LARGE_SIZES} GB of memory"
    return None


def command_of(row, quick):
    if row.target:
        return ["make", "-C", str(ROOT), row.target, f"VENV={Path(sys.prefix)}"]
    if row.tests:
        paths = [str(TESTS / path) for path in row.tests if (TESTS / path).exists()]
        marks = "not exhaustive and not wheel" if quick else f"({ALL}) and not wheel"
        return [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", "-m", marks, *paths]
    program, *arguments = row.quick if quick else row.program
    return [sys.executable, str(TESTS / "faults" / program), *arguments]


def counted(row, said):
    """(cases, wrong, skipped) as a command's output tells them."""
    if row.counts:
        found = re.findall(row.counts, said)
        return (int(found[-1][0]), int(found[-1][1]), 0) if found else (0, 0, 0)
    numbers = {word: sum(map(int, re.findall(rf"(\d+) {word}\b", summary(said)))) for word in
               ("passed", "failed", "error", "errors", "skipped")}
    wrong = numbers["failed"] + numbers["error"] + numbers["errors"]
    return numbers["passed"] + wrong, wrong, numbers["skipped"]


def summary(said):
    """pytest's last lines: a program may run it several times."""
    return "\n".join(line for line in said.splitlines() if re.search(r"\d+ (passed|failed|errors?)\b.* in ", line))


def run(row, quick):
    """A line of the table, and whether the row is good."""
    reason = left_out(row, quick)
    if reason is not None:
        return (row.name, row.what, "", "", "", f"left out: {reason}"), True
    began = time.monotonic()
    done = subprocess.run(command_of(row, quick), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    seconds = time.monotonic() - began
    cases, wrong, skipped = counted(row, done.stdout)
    good = done.returncode == 0 and not wrong
    if not good:
        print(f"\n{row.name} failed:\n{done.stdout[-6000:]}\n", file=sys.stderr)
    reasons = sorted(set(re.findall(r"^SKIPPED \[\d+\] [^:]+:\d+: (.*)$", done.stdout, re.M)))
    notes = [f"{skipped} left out: {'; '.join(reasons)}"] if skipped else []
    if not good and not wrong:
        notes.append(f"exit code {done.returncode}")
    last = [line for line in done.stdout.splitlines() if line.strip()][-1:]
    if row.target and good and not cases:
        notes += last
    return (row.name, row.what, str(cases or ""), str(wrong), f"{seconds:.0f}", ", ".join(notes)), good


def show(line):
    name, what, cases, wrong, seconds, notes = line
    print(f"{name:12} {what:52} {cases:>8} {wrong:>6} {seconds:>8}  {notes}", flush=True)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("rows", nargs="*", help=", ".join(row.name for row in ROWS))
    parser.add_argument("--quick", action="store_true", help="the forms in the test suite")
    given = parser.parse_args(arguments)
    unknown = set(given.rows) - {row.name for row in ROWS}
    if unknown:
        parser.error(f"no row {min(unknown)!r}: there are {', '.join(row.name for row in ROWS)}")
    show(("row", "", "cases", "wrong", "seconds", ""))
    good = True
    for row in ROWS:
        if not given.rows or row.name in given.rows:
            line, is_good = run(row, given.quick)
            show(line)
            good = good and is_good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
