"""Memory in use stays flat over calls and failing calls; ``make leaks`` makes many more of them."""

import os
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
    """Of a call in a process of its own: one that has run for long reuses memory, and gives some back at any time."""
    code = f"""
import ctypes, sys
sys.path.insert(0, {str(HERE)!r})
import memory
libc, kept = ctypes.CDLL(None), []
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
print(memory.growths(lambda: {function}, 4, 5, 5, {{"seen": memory.{measure}}})["seen"])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True,
        env=os.environ | memory.ENVIRONMENT)
    return float(done.stdout)


@pytest.mark.skipif(not memory.HAS_MALLINFO, reason="this C library does not say what is in use")
def test_what_malloc_gave_and_nobody_freed_is_seen():
    assert growth_of("libc.malloc(ctypes.c_size_t(100_000))", "malloced") >= 100_000
    assert growth_of("libc.free(libc.malloc(ctypes.c_size_t(100_000)))", "malloced") < 1000


def test_objects_that_are_kept_are_seen():
    assert growth_of("kept.append(object())", "objects") >= 1
    assert growth_of("[object()]", "objects") < 1


@pytest.mark.skipif(memory.resident() is None, reason="no /proc/self/statm")
def test_resident_memory_that_is_kept_is_seen():
    assert growth_of('kept.append(b"x" * (1 << 20))', "resident") > 1 << 19
    assert growth_of('[b"x" * (1 << 20)]', "resident") < 1 << 19
