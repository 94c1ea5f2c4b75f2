"""Every instruction set that this machine has runs the kernel tests; FASTTRAIN_ISA chooses it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fasttrain._kernels import primitives

ROOT = Path(__file__).parent.parent
LEVELS = primitives.ISA_NAMES[: primitives.ISA_NAMES.index(primitives.best_isa()) + 1]


def python(*arguments, isa=None, timeout=60):
    environment = {key: value for key, value in os.environ.items() if key != "FASTTRAIN_ISA"}
    if isa is not None:
        environment["FASTTRAIN_ISA"] = isa
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        cwd=ROOT,
        timeout=timeout,
        capture_output=True,
        text=True,
    )


def without_dispatch():
    """Test files of the kernels that use none of the dispatched primitives, and so are the same on every level."""
    kernels = ROOT / "src" / "fasttrain" / "_kernels"
    for tests in (ROOT / "tests" / "_kernels").glob("test_*.py"):
        source = kernels / f"{tests.stem.removeprefix('test_')}.pyx"
        if source.exists() and source.stem != "primitives" and "primitives" not in source.read_text():
            yield f"--ignore={tests}"


# The level in use has run the kernel tests by itself.
@pytest.mark.parametrize("isa", [level for level in LEVELS if level != primitives.isa()] or LEVELS)
def test_kernel_tests_pass(isa):
    arguments = ["-q", "-x", "-p", "no:cacheprovider", "tests/_kernels", *without_dispatch()]
    result = python("-m", "pytest", *arguments, isa=isa, timeout=500)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
    assert " passed" in result.stdout


@pytest.mark.parametrize("isa", LEVELS)
def test_the_variable_chooses(isa):
    code = "from fasttrain._kernels import primitives as p; print(p.isa(), p.best_isa(), p.vector_lanes(4))"
    result = python("-c", code, isa=f" {isa.upper()} ")
    assert result.stdout.split() == [isa, LEVELS[-1], str({"baseline": 4, "avx2": 8, "avx512": 16}[isa])]


def test_without_the_variable_the_best_runs():
    result = python("-c", "from fasttrain._kernels import primitives as p; print(p.isa())")
    assert result.stdout.strip() == LEVELS[-1]


def test_a_level_that_is_not_there_is_refused():
    result = python("-c", "import fasttrain._kernels.primitives", isa="sse9")
    assert result.returncode != 0
    assert "ImportError: FASTTRAIN_ISA must be one of baseline, avx2, avx512, got 'sse9'" in result.stderr
    for level in set(primitives.ISA_NAMES) - set(LEVELS):
        result = python("-c", "import fasttrain._kernels.primitives", isa=level)
        assert f"this processor's best is {LEVELS[-1]}" in result.stderr


def test_sums_do_not_depend_on_the_instruction_set():
    """Sums that models are judged by (losses, penalties) are over streams of one fixed width."""
    code = (
        "import numpy as np; from fasttrain._kernels import primitives as p\n"
        "x = np.random.default_rng(0).normal(size=10007)\n"
        "for a in (x, x.astype('f4')): s = p.vector_sums(a); print(s[0].hex(), s[2].hex())"
    )
    assert len({python("-c", code, isa=isa).stdout for isa in LEVELS}) == 1


def test_fma_peak_is_a_rate():
    assert 1e8 < primitives.fma_peak(4, 0.01) < 1e13
    assert 1e8 < primitives.fma_peak(8, 0.01) < 1e13
