"""Memory that this process has in use, and whether it grows from call to call."""

import ctypes
import ctypes.util
import gc
import os
import sys

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
    """Blocks of CPython's own allocator in use."""
    return sys.getallocatedblocks()


def resident():
    """Resident bytes, or None where there is no /proc."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * PAGE
    except OSError:
        return None


def growth(function, rounds, repeats, warm_up, measure):
    """The smallest growth of what ``measure`` says from one round of ``repeats`` calls to the next, per call.

    What is kept once, a cache say, is kept in the first rounds; a leak grows in every one.
    """
    for _ in range(warm_up):
        function()
    gc.collect()
    seen = [measure()]
    for _ in range(rounds):
        for _ in range(repeats):
            function()
        gc.collect()
        seen.append(measure())
    return min(after - before for before, after in zip(seen, seen[1:])) / repeats
