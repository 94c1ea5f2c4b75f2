"""Memory that this process has in use, and whether it grows from call to call."""

import ctypes
import ctypes.util
import gc
import os
import sys
from array import array
from itertools import pairwise

# One arena and no cache of each thread, which malloc would count as in use: to be set before a process starts.
ENVIRONMENT = {"MALLOC_ARENA_MAX": "1", "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}
PAGE = os.sysconf("SC_PAGE_SIZE")
LIBC = ctypes.CDLL(None)
# glibc's, since 2.33; elsewhere malloc does not say what is in use
HAS_MALLINFO = hasattr(LIBC, "mallinfo2")


class Mallinfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")]


if HAS_MALLINFO:
    LIBC.mallinfo2.restype = Mallinfo


def malloced():
    """Bytes that malloc has handed out, or None where the C library does not say."""
    if not HAS_MALLINFO:
        return None
    info = LIBC.mallinfo2()
    return info.uordblks + info.hblkhd


def objects():
    """Blocks of CPython's own allocator in use, less the names in its cache of attributes, which has 4096 places."""
    getattr(sys, "_clear_type_cache", int)()
    return sys.getallocatedblocks()


def resident():
    """Resident bytes, or None where there is no /proc."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * PAGE
    except OSError:
        return None


def growths(function, rounds, repeats, warm_up, measures):
    """{name: smallest growth from one round of ``repeats`` calls to the next, per call} of each of ``measures``.

    What is kept once, a cache say, is kept in the first rounds; a leak grows in every one.
    """
    # numbers of the machine's own, with room for all: what is noted must not be seen itself
    seen = {name: array("q", [0] * (rounds + 1)) for name in measures}
    for _ in range(warm_up):
        function()
    for number in range(rounds + 1):
        for _ in range(repeats if number else 0):
            function()
        gc.collect()
        for name, measure in measures.items():
            seen[name][number] = measure()
    return {name: min(b - a for a, b in pairwise(values)) / repeats for name, values in seen.items()}
