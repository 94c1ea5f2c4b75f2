"""Memory in use stays flat over calls and failing calls; ``make leaks`` makes many more of them."""

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

import memory

HERE = Path(__file__).parent


def test_no_call_and_no_failing_call_leaks():
    done = subprocess.run(
        [sys.executable, str(HERE / "leaks.py"), "--quick"], capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert " 0 leak" in done.stdout


def growth_of(function, measure):
    return memory.growths(function, 4, 5, 5, {"seen": measure})["seen"]


@pytest.mark.skipif(not memory.HAS_MALLINFO, reason="this C library does not say what is in use")
def test_what_malloc_gave_and_nobody_freed_is_seen():
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    assert growth_of(lambda: libc.malloc(ctypes.c_size_t(100_000)), memory.malloced) >= 100_000
    libc.free.argtypes = [ctypes.c_void_p]
    assert growth_of(lambda: libc.free(libc.malloc(ctypes.c_size_t(100_000))), memory.malloced) < 1000


def test_objects_that_are_kept_are_seen():
    kept = []
    assert growth_of(lambda: kept.append(object()), memory.objects) >= 1
    assert growth_of(lambda: [object()], memory.objects) < 1


def test_resident_memory_that_is_kept_is_seen():
    if memory.resident() is None:
        pytest.skip("no /proc/self/statm")
    kept = []
    assert growth_of(lambda: kept.append(b"x" * (1 << 20)), memory.resident) > 1 << 19
