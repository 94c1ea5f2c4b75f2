"""Random operations for as long as one likes: no fault, no hang, flat memory, and the same results a second time.

    python tests/faults/soak.py --minutes 30
    python tests/faults/soak.py --seed 7 --only 1234

Two processes go through the operations of one seed beside each other, one of them with one thread unless an operation
asks for more: their digests must be equal, operation by operation. Each looks at itself. An operation that lasts longer
than its time is a hang: a watchdog prints all stacks and ends the process. Memory, resident and in use, what is left
after a collection and ``malloc_trim``, must not grow: see ``grown``. Files, threads and children must be as many as
before.
"""

import argparse
import faulthandler
import gc
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from scipy.stats import theilslopes

import fasttrain
import memory
import operations

# An operation takes 0.1 s, the longest some 5 s, on a machine that has nothing else to do.
MOST_SECONDS = 180
MOST_FAULTS = 10
# Samples before this share of the operations are warm-up: pools of threads, caches of types, arenas of the allocator.
WARM_UP = 0.4
MOST_BYTES_GROWN = 24 << 20
# What is handed out cannot be scattered, and so is known more closely than what is resident.
MOST_BYTES_IN_USE_GROWN = 6 << 20
# Python's own allocator, and glibc's with a heap a thread, keep pages of which a byte is in use: in 1,400 operations
# they took 10 MB, where bytes in use grew by half a megabyte. One heap gives back what is free.
ALLOCATORS = {**memory.ENVIRONMENT, "PYTHONMALLOC": "malloc"}


def in_memory():
    """Bytes that are resident, and bytes that malloc has handed out, 0 where it does not say."""
    gc.collect()
    # other allocators than glibc's do not have it
    if hasattr(memory.LIBC, "malloc_trim"):
        memory.LIBC.malloc_trim(0)
    return memory.resident(), memory.malloced() or 0


def grown(samples):
    """Bytes by which each kind of memory grew after the warm-up: the median slope (Theil and Sen) times the operations.

    What is new fills caches of types and signatures, less and less. A leak of a table of 100 rows and 20 columns an
    operation is 16 kB each time: 27 MB in the 1,700 operations after the warm-up of half an hour on a busy core.
    """
    samples = np.array(samples)
    kept = samples[samples[:, 0] >= WARM_UP * samples[-1, 0]]
    if len(kept) < 5:
        return 0, 0
    return tuple(theilslopes(kind, kept[:, 0])[0] * (kept[-1, 0] - kept[0, 0]) for kind in kept[:, 1:].T)


def opened(number):
    """What a descriptor is of; None for that of the listing itself, which is closed by now."""
    try:
        return os.readlink(f"/proc/self/fd/{number}")
    except FileNotFoundError:
        return None


def held():
    """Open files, and children, that an operation could have left."""
    try:
        os.waitpid(-1, os.WNOHANG)
        children = 1
    except ChildProcessError:
        children = 0
    # Ctrl-C while Python starts or ends a thread may leave one that is over among those that it counts
    alive = sum(thread.is_alive() for thread in threading.enumerate())
    return {
        "files": sorted(filter(None, map(opened, os.listdir("/proc/self/fd")))), "Python threads": alive,
        "children": children, "threads of the library": fasttrain.get_num_threads(),
    }


def operation(seed, number, folder):
    """(name, digest) of one operation, which follows from seed and number."""
    rng = random.Random(f"{seed} {number}")
    return rng.choice(operations.OPERATIONS)(rng, folder)


def watch():
    faulthandler.dump_traceback_later(MOST_SECONDS, exit=True)


def stream(seed, numbers, seconds, record):
    """Go through operations until the time is over; the faults, each a line of text."""
    faults, samples, counts = [], [], Counter()
    began = time.monotonic()
    before, sampled = None, 0.0
    with tempfile.TemporaryDirectory() as folder:
        for number in numbers:
            if time.monotonic() - began > seconds or len(faults) >= MOST_FAULTS:
                break
            watch()
            start = time.monotonic()
            try:
                name, digest = operation(seed, number, folder)
            except BaseException:
                name, digest = "fault", ""
                faults.append(f"seed {seed}, operation {number}:\n{traceback.format_exc()}")
            counts[name] += 1
            record(number, name, digest, time.monotonic() - start)
            now = held()
            if before is None and number >= 30:
                before = now
            if before is not None and now != before:
                faults.append(f"seed {seed}, operation {number}, {name}: was {before}, is {now}")
                before = now
            if time.monotonic() - sampled > min(5.0, max(0.1, seconds / 60)):
                samples.append((number, *in_memory()))
                sampled = time.monotonic()
    faulthandler.cancel_dump_traceback_later()
    more, more_in_use = grown(samples) if len(samples) > 1 else (0, 0)
    for kind, bytes_grown, most in (
            ("resident memory", more, MOST_BYTES_GROWN), ("memory in use", more_in_use, MOST_BYTES_IN_USE_GROWN)):
        if bytes_grown > most:
            faults.append(f"seed {seed}: {kind} grew by {bytes_grown / 2**20:.1f} MB after the warm-up")
    least, most = (pick(sample[1] for sample in samples) / 2**20 for pick in (min, max)) if samples else (0, 0)
    print(f"{sum(counts.values())} operations in {time.monotonic() - began:.0f} s, "
          f"resident {least:.0f} to {most:.0f} MB, grown {more / 2**20:+.1f} MB, in use {more_in_use / 2**20:+.1f} MB, "
          f"{len(faults)} faults", flush=True)
    print("  " + ", ".join(f"{name} {count}" for name, count in sorted(counts.items())), flush=True)
    return faults


def one_run(given):
    """The process that goes through operations; its digests go into a file, a line each."""
    faulthandler.enable()
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    numbers = range(given.count) if given.only is None else [given.only]
    with open(given.record or os.devnull, "w", buffering=1) as file:
        faults = stream(
            given.seed, numbers, 60 * given.minutes,
            lambda number, name, digest, seconds: file.write(json.dumps([number, name, digest, seconds]) + "\n"))
    for fault in faults:
        print(fault)
    return 1 if faults else 0


def differences(one, other):
    """Operations whose digests are not equal, of those that both runs came to."""
    both = sorted(set(one) & set(other))
    return [f"operation {number}: {one[number]} and {other[number]}" for number in both if one[number] != other[number]]


def read(path):
    lines = [line for line in Path(path).read_text().splitlines() if line.endswith("]")]
    return {number: (name, digest) for number, name, digest, _ in map(json.loads, lines)}


def two_runs(given, program):
    """Both processes beside each other; 0 if neither has a fault and all digests are equal."""
    print(f"seed {given.seed}, {given.minutes:g} minutes", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        records = [Path(folder, "first"), Path(folder, "second")]
        command = [sys.executable, program, "--seed", str(given.seed), "--minutes", str(given.minutes), "--count",
               str(given.count), "--record"]
        runs = [
            subprocess.Popen([*command, str(record)], env={**os.environ, **ALLOCATORS, **more})
            for record, more in zip(records, ({}, {"FASTTRAIN_NUM_THREADS": "1"}))
        ]
        codes = [run.wait() for run in runs]
        first, second = map(read, records)
    unlike = differences(first, second)
    for line in unlike[:20]:
        print(line)
    print(f"{len(set(first) & set(second))} operations in both runs, {len(unlike)} unlike; exit codes {codes}")
    return 1 if unlike or any(codes) or not first or not second else 0


def main(arguments=None, program=__file__):
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--count", type=int, default=10**9, help="operations at the most")
    parser.add_argument("--seed", type=int, default=None, help="drawn, and printed, if not given")
    parser.add_argument("--only", type=int, help="this operation alone, in this process")
    parser.add_argument("--record", help="one run, whose digests go into this file")
    given = parser.parse_args(arguments)
    if given.seed is None:
        given.seed = random.SystemRandom().randrange(10**6)
    if given.only is None and given.record is None:
        return two_runs(given, program)
    return one_run(given)


if __name__ == "__main__":
    sys.exit(main())
