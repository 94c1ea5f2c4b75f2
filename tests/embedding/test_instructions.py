"""No instruction past the baseline stands outside the files of its instruction set."""

import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import fasttrain

KERNELS = Path(fasttrain.__file__).parent / "_kernels"
MODULES = sorted(KERNELS.glob("*.so"))
# AVX and later encode every vector instruction anew; their names begin with v.
PAST_BASELINE = re.compile(r"\tv[a-z]|%[yz]mm|%k[0-7]")
ISA_FILE = re.compile(r"isa_\w*avx\w*\.c")

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64" or not MODULES or not (shutil.which("objdump") and shutil.which("readelf")),
    reason="reads x86-64 modules of Linux with binutils")


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def files_of_functions(module):
    """From the address of each local function to the C file that it is of."""
    found, file = {}, None
    for line in output("readelf", "--wide", "--syms", str(module)).splitlines():
        fields = line.split()
        if len(fields) < 8 or not fields[0].endswith(":"):
            continue
        if fields[3] == "FILE":
            file = fields[7]
        elif fields[3] == "FUNC" and fields[4] == "LOCAL":
            found[int(fields[1], 16)] = file
    return found


def functions_past_baseline(module):
    """(address, name) of those that hold such an instruction."""
    found, at = {}, None
    for line in output("objdump", "--disassemble", "--no-show-raw-insn", str(module)).splitlines():
        start = re.fullmatch(r"([0-9a-f]+) <(.*)>:", line)
        if start:
            at = int(start[1], 16), start[2]
        elif at is not None and PAST_BASELINE.search(line):
            found[at] = found.get(at, 0) + 1
    return found


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name.partition(".")[0])
def test_past_the_baseline_only_in_its_files(module):
    files = files_of_functions(module)
    assert files, f"{module.name} has no symbols left to tell its files apart"
    for address, name in functions_past_baseline(module):
        file = files.get(address, "")
        assert ISA_FILE.fullmatch(file or "") or re.search(r"avx(2|512)", name), f"{name} of {file}"


def test_they_are_found_where_they_are():
    (module,) = [path for path in MODULES if path.name.startswith("primitives.")]
    files = files_of_functions(module)
    assert {files.get(address) for address, _ in functions_past_baseline(module)} >= {"isa_avx2.c", "isa_avx512.c"}
