"""Allocations of the kernels that fail, one at a time, and fits that run out of address space; ``make mallocs`` goes
through many more."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import memory

HERE = Path(__file__).parent
# One or two calls for every place where a kernel allocates.
CALLS = [
    "LinearClassifier", "LinearClassifier full batch", "SGDClassifier", "SGDClassifier sparse", "MLPClassifier",
    "StandardScaler columns", "MinMaxScaler columns float32", "RobustScaler float32", "OneHotEncoder integers",
    "LabelEncoder many cells", "LabelEncoder many numbers", "DropDuplicates", "DropDuplicates float32",
    "grid of linear models", "losses",
]
PLANTED = """
#include <stdlib.h>
static long *kept;
int careless(void) { long *p = malloc(4096); p[0] = 1; int r = (int) p[0]; free(p); return r; }
/* Keeps sixteen blocks and no more, as a cache does. */
int filling(void) {
    static int n; char *a = malloc(512), *b = malloc(1024);
    if (!b && n < 16) { n++; return -1; }
    free(a); free(b); return b ? 1 : -1;
}
int leaky(void) { char *a = malloc(512), *b = malloc(1024); if (!b) return -1; free(a); free(b); return 1; }
"""
# The planted library in the place of the public calls.
SCRIPT = """
import ctypes, sys
sys.path.insert(0, {here!r})
import allocations, calls
library = ctypes.CDLL({library!r})

def raising(function):
    def call():
        if function() < 0:
            raise MemoryError
        return 1
    return call

calls.CALLS = {{"careless": library.careless, **{{name: raising(library[name]) for name in ("filling", "leaky")}}}}
sys.exit(allocations.main(["--ours"]))
"""

pytestmark = [
    pytest.mark.skipif(not memory.HAS_MALLINFO, reason="the shim takes the place of glibc's malloc"),
    pytest.mark.skipif(shutil.which(os.environ.get("CC", "gcc")) is None, reason="no C compiler for the shim"),
]


def harness(name, *arguments):
    command = [sys.executable, str(HERE / name), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


def test_kernels_without_memory_raise_and_leave_nothing():
    done = harness("allocations.py", "--ours", "--calls", *CALLS)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    last = done.stdout.strip().splitlines()
    assert last[-1] == "0 neither survived nor MemoryError, 0 of them of the kernels"
    assert int(last[-2].split()[0]) >= 60


def test_fits_without_address_space_raise():
    done = harness("address_space.py", "--rows", "30000", "--megabytes", "0", "4")
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert " MemoryError" in done.stdout
    assert "0 of them of the kernels" in done.stdout


def test_careless_and_leaky_code_is_found_and_named_and_a_cache_is_not(tmp_path):
    import allocations

    folder = tmp_path / "fasttrain" / "_kernels"
    folder.mkdir(parents=True)
    (folder / "planted.c").write_text(PLANTED)
    library = folder / "planted.so"
    compiler = os.environ.get("CC", "gcc")
    subprocess.run([compiler, "-O0", "-shared", "-fPIC", str(folder / "planted.c"), "-o", str(library)], check=True)
    environment = os.environ | memory.ENVIRONMENT | {"LD_PRELOAD": str(allocations.build(tmp_path))}
    script = SCRIPT.format(here=str(HERE), library=str(library))
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 x SIGSEGV, _kernels/planted.so" in done.stdout
    assert "leaks, _kernels/planted.so" in done.stdout
    assert "2 of them of the kernels" in done.stdout
