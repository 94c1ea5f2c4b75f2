"""Public calls with one allocation failing: each survives it or raises MemoryError, and can be made again after.

    python tests/faults/allocations.py                      every site of every call, whoever allocates
    python tests/faults/allocations.py --ours               those of the kernels, and what a failure leaves behind
    python tests/faults/allocations.py --calls "grid of SGD" --least 4096

A site is an allocation's innermost callers. Of each, the first and the last allocation of a call fail, in a forked
child each. What a child died of is laid to the innermost object on its stack that is neither the C library nor CPython
on behalf of an extension.
"""

import argparse
import ctypes
import gc
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata
from pathlib import Path

import memory

HERE = Path(__file__).parent
OURS = "fasttrain/_kernels/"
HANG_SECONDS = 30
# Rounds, calls of a round and calls before. What is in use comes and goes by 16 bytes, which malloc does not split off,
# and by a kilobyte for a thread that is still ending: five rounds may each have more than the last by chance.
LOOKS = [(5, 2, 3), (8, 4, 12)]
SURVIVED, NO_MEMORY, OTHER_ERROR, UNUSABLE, WRONG, LEAKS = 10, 11, 12, 13, 14, 15
OUTCOMES = {
    SURVIVED: "survived", NO_MEMORY: "MemoryError", OTHER_ERROR: "other error", UNUSABLE: "unusable after",
    WRONG: "wrong answer", LEAKS: "leaks",
}
GOOD = ("survived", "MemoryError")
# On a stack these only carry out what somebody above them asked for.
CARRIERS = ("malloc_shim", "libc.so", "libc-", "ld-linux", "libpthread", "libgcc_s")


class Stack(ctypes.Structure):
    _fields_ = [("n", ctypes.c_int64), ("frames", ctypes.c_void_p * 48)]


class Record(ctypes.Structure):
    _fields_ = [("size", ctypes.c_int64), ("failed", Stack), ("died", Stack)]


class Symbol(ctypes.Structure):
    _fields_ = [
        ("path", ctypes.c_char_p), ("base", ctypes.c_void_p), ("name", ctypes.c_char_p), ("at", ctypes.c_void_p),
    ]


def build(folder):
    """The shim, compiled into folder."""
    shim = Path(folder, "malloc_shim.so")
    flags = ["-O1", "-g", "-Wall", "-shared", "-fPIC", "-fno-omit-frame-pointer"]
    subprocess.run(
        [os.environ.get("CC", "gcc"), *flags, str(HERE / "malloc_shim.c"), "-o", str(shim), "-ldl"], check=True
    )
    return shim


def preloaded():
    return "malloc_shim" in os.environ.get("LD_PRELOAD", "")


def run_preloaded(file, arguments):
    """The exit code of a Python file that is run with the shim before everything else."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | memory.ENVIRONMENT | {"LD_PRELOAD": str(build(folder))}
        command = [sys.executable, str(file), *(sys.argv[1:] if arguments is None else arguments)]
        return subprocess.run(command, env=environment).returncode


class Shim:
    """The preloaded shim of this process."""

    def __init__(self):
        library = ctypes.CDLL(None)
        self.library = library
        library.shim_arm.argtypes = [ctypes.c_long, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_int]
        library.shim_count.restype = ctypes.c_long
        library.shim_record.restype = ctypes.POINTER(Record)
        library.shim_sites.restype = ctypes.POINTER(ctypes.c_uint64)
        library.dladdr.argtypes = [ctypes.c_void_p, ctypes.POINTER(Symbol)]

    def sites(self, function, least, objects):
        """{site: [number, ...]} of the allocations of a call."""
        self.library.shim_arm(0, least, objects, 1)
        function()
        self.library.shim_off()
        n = min(self.library.shim_count(), 1 << 20)
        numbers = defaultdict(list)
        for number, site in enumerate(self.library.shim_sites()[:n], start=1):
            numbers[site].append(number)
        return numbers

    def names(self, stack):
        """'object: function + offset' of each frame, innermost first, those of the shim left out."""
        found = []
        for address in stack.frames[: stack.n]:
            symbol = Symbol()
            if address is None or not self.library.dladdr(address, symbol):
                found.append("?")
                continue
            path, start = Path(os.fsdecode(symbol.path)), symbol.at or symbol.base
            name = os.fsdecode(symbol.name) if symbol.name else ""
            package = path.parent.name if "fasttrain" in path.parts else ""
            found.append(f"{package}{'/' if package else ''}{path.name}: {name}+{address - start:#x}")
        return [frame for frame in found if "malloc_shim" not in frame]


def owner_of(frames):
    """The object that a stack is to be laid to: the innermost that is not the C library, nor CPython on behalf of an
    extension."""
    owner = "unknown"
    for frame in frames:
        if frame == "?" or frame.startswith(CARRIERS):
            continue
        owner = frame.split(":")[0]
        if not owner.startswith(("libpython", "python")) or "_PyEval_" in frame:
            break
    return owner


@dataclass
class Case:
    call: str
    number: int
    outcome: str
    size: int
    failed: list
    died: list
    note: str = ""

    @property
    def good(self):
        return self.outcome in GOOD

    @property
    def owner(self):
        return owner_of(self.died or self.failed)


@dataclass
class Found:
    outcomes: Counter = field(default_factory=Counter)
    bad: list = field(default_factory=list)


def failing_again(shim, function, number, least, objects):
    shim.library.shim_arm(number, least, objects, 0)
    try:
        function()
    except MemoryError:
        pass
    finally:
        shim.library.shim_off()


def lost_by(function):
    """Bytes that malloc has handed out more after each call."""
    lost = 0
    for rounds, repeats, warm_up in LOOKS:
        signal.alarm(HANG_SECONDS)
        lost = memory.growths(function, rounds, repeats, warm_up, {"malloc": memory.malloced})["malloc"]
        if lost <= 0:
            break
    return lost


def child(shim, function, expected, digest, number, least, objects, pipe):
    """Make the call with one allocation failing, and once more; the outcome is the exit code, its words go to pipe.

    Where it is an allocation of the kernels, what the failure leaves behind is measured too.
    """
    # what the parent had is of no interest to the collector, which goes through it again and again otherwise
    gc.freeze()
    signal.alarm(HANG_SECONDS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    note, code = "", SURVIVED
    try:
        shim.library.shim_arm(number, least, objects, 0)
        answer = function()
        shim.library.shim_off()
        if digest(answer) != expected:
            code = WRONG
    except MemoryError:
        shim.library.shim_off()
        code = NO_MEMORY
    except BaseException as error:
        shim.library.shim_off()
        code, note = OTHER_ERROR, f"{type(error).__name__}: {error}"
    if code == NO_MEMORY and objects and memory.HAS_MALLINFO:
        again = partial(failing_again, shim, function, number, least, objects)
        lost = lost_by(again)
        if lost > 0:
            code, note = LEAKS, f"{lost:.0f} bytes a time"
    try:
        if digest(function()) != expected:
            code, note = UNUSABLE, "another answer at the next call"
    except BaseException as error:
        code, note = UNUSABLE, f"{type(error).__name__}: {error}"
    os.write(pipe, note.encode(errors="replace")[:2000])
    os._exit(code)


def quiet():
    """What a library says on its way out is told by the outcome."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)


def outcome_of(status):
    code = os.waitstatus_to_exitcode(status)
    if code in OUTCOMES:
        return OUTCOMES[code]
    return f"exit({code})" if code >= 0 else signal.Signals(-code).name if -code != signal.SIGALRM else "hangs"


def fail_one(shim, name, function, expected, digest, number, least, objects):
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        quiet()
        child(shim, function, expected, digest, number, least, objects, writing)
    os.close(writing)
    outcome = outcome_of(os.waitpid(pid, 0)[1])
    note = os.read(reading, 2000).decode(errors="replace")
    os.close(reading)
    record = shim.library.shim_record().contents
    return Case(name, number, outcome, record.size, shim.names(record.failed), shim.names(record.died), note)


def chosen(sites, most):
    """Numbers of the allocations to fail: of each site the first and the last; at most so many, evenly spread."""
    numbers = sorted({number for site in sites.values() for number in (site[0], site[-1])})
    if most and len(numbers) > most:
        numbers = [numbers[i * len(numbers) // most] for i in range(most)]
    return numbers


def go_through(names, least, objects, most, report):
    import calls

    shim, found = Shim(), Found()
    for name in names or calls.CALLS:
        function, started = calls.CALLS[name], time.monotonic()
        function()
        expected = calls.digest(function())
        # in use while it fails: a library that is loaded by the failing call is another matter
        sites = shim.sites(function, least, objects)
        numbers, mine = chosen(sites, most), Counter()
        for number in numbers:
            # cleared: the child may be gone before it has armed the shim
            shim.library.shim_arm(0, least, objects, 0)
            shim.library.shim_off()
            case = fail_one(shim, name, function, expected, calls.digest, number, least, objects)
            mine[case.outcome] += 1
            if not case.good:
                found.bad.append(case)
        found.outcomes += mine
        report(f"{name}: {sum(map(len, sites.values()))} allocations, {len(sites)} sites, {dict(mine)}, "
               f"{time.monotonic() - started:.1f} s")
    return found


def version_of(owner):
    """'object' with the name and version of the package that it comes with."""
    for package in ("numpy", "scipy", "scikit-learn", "pandas", "pyarrow", "joblib"):
        try:
            files = metadata.files(package) or ()
        except metadata.PackageNotFoundError:
            continue
        if any(owner.split("/")[-1] == file.name for file in files):
            return f"{owner} ({package} {metadata.version(package)})"
    if owner.startswith(("libpython", "python")):
        return f"{owner} (CPython {platform.python_version()})"
    return owner


def summary(found, what="failures of an allocation"):
    yield f"{sum(found.outcomes.values())} {what}: " + ", ".join(
        f"{n} {outcome}" for outcome, n in found.outcomes.most_common())
    grouped = defaultdict(list)
    for case in found.bad:
        grouped[case.outcome, case.owner, tuple((case.died or case.failed)[:6]), case.note[:80]].append(case)
    for (outcome, owner, _, note), cases in sorted(grouped.items(), key=lambda item: -len(item[1])):
        yield f"{len(cases)} x {outcome}, {version_of(owner)} {note}"
        first = cases[0]
        yield f"    first in {first.call!r}, allocation {first.number} of {first.size} bytes"
        if first.failed:
            yield "    failed: " + " < ".join(first.failed[:9])
        if first.died:
            yield "    died:   " + " < ".join(first.died[:9])


def is_ours(case):
    return case.owner.startswith("_kernels/")


def main(arguments=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", nargs="*")
    parser.add_argument("--least", type=int, default=1, help="bytes of the smallest allocation that fails")
    parser.add_argument("--most", type=int, default=0, help="failures a call; 0 for all")
    parser.add_argument("--ours", action="store_true", help="only what the kernels allocate themselves")
    given = parser.parse_args(arguments)
    if not preloaded():
        return run_preloaded(__file__, arguments)
    objects = OURS.encode() if given.ours else b""
    found = go_through(given.calls, given.least, objects, given.most, lambda line: print(line, flush=True))
    for line in summary(found):
        print(line)
    n_ours = sum(map(is_ours, found.bad))
    print(f"{len(found.bad)} neither survived nor MemoryError, {n_ours} of them of the kernels")
    return 1 if n_ours else 0


if __name__ == "__main__":
    sys.exit(main())
