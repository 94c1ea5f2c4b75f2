"""Every instruction set that this machine has runs the kernel tests; FASTTRAIN_ISA chooses it."""

import ast
import bisect
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fasttrain._kernels

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


def is_dispatched(kernel):
    source = ROOT / "src" / "fasttrain" / "_kernels" / f"{kernel}.pyx"
    return kernel == "primitives" or "primitives" in source.read_text()


def kernels_of(tests):
    """Names of the kernels' modules that a test file imports."""
    for node in ast.walk(ast.parse(tests.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "fasttrain._kernels":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module.startswith("fasttrain._kernels."):
            yield node.module.split(".")[2]


def without_dispatch():
    """Test files of kernels that use none of the dispatched primitives, and so are the same on every level."""
    files = {tests: list(kernels_of(tests)) for tests in sorted((ROOT / "tests" / "_kernels").glob("test_*.py"))}
    # what a file reaches through other modules is not known
    return [tests for tests, kernels in files.items() if kernels and not any(map(is_dispatched, kernels))]


def test_what_is_the_same_on_every_level():
    assert [tests.stem for tests in without_dispatch()] == [
        "test_categories", "test_minimizer", "test_quantiles", "test_scaled", "test_texts"]


# The level in use has run the kernel tests by itself.
@pytest.mark.long
@pytest.mark.parametrize("isa", [level for level in LEVELS if level != primitives.isa()] or LEVELS)
def test_kernel_tests_pass(isa):
    arguments = ["-q", "-x", "-p", "no:cacheprovider", "tests/_kernels",
                 *(f"--ignore={tests}" for tests in without_dispatch())]
    result = python("-m", "pytest", *arguments, isa=isa, timeout=500)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
    assert " passed" in result.stdout


@pytest.mark.parametrize("isa", LEVELS)
def test_the_function_chooses_until_there_is_a_model(isa):
    code = f"""
import fasttrain, numpy as np
from fasttrain._kernels import primitives
before = fasttrain.set_instruction_set({isa!r})
assert primitives.isa() == {isa!r} == fasttrain.set_instruction_set({isa!r}), before
fasttrain.LinearRegressor().fit(np.eye(3), np.arange(3.0))
fasttrain.set_instruction_set({isa!r})
other = next((name for name in {LEVELS!r} if name != {isa!r}), None)
try:
    fasttrain.set_instruction_set(other)
except RuntimeError as error:
    assert "FASTTRAIN_ISA" in str(error)
else:
    assert other is None
"""
    result = python("-c", code, isa=LEVELS[0])
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", ["avx1024", "AVX2", ""])
def test_an_unknown_name_is_refused(name):
    with pytest.raises(ValueError, match="name must be one of baseline, avx2, avx512 or None"):
        primitives.set_instruction_set(name)


@pytest.mark.skipif(len(LEVELS) == len(primitives.ISA_NAMES), reason="this processor has all instruction sets")
def test_what_the_processor_lacks_is_refused():
    with pytest.raises(ValueError, match="this processor's best is"):
        primitives.set_instruction_set(primitives.ISA_NAMES[-1])


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """What models say on every instruction set of this machine, by its name."""
    folder, found = tmp_path_factory.mktemp("isa"), {}
    for isa in LEVELS:
        result = python(str(ROOT / "tests" / "shared" / "isa_answers.py"), str(folder / f"{isa}.npz"), isa=isa)
        assert result.returncode == 0, result.stderr
        with np.load(folder / f"{isa}.npz") as file:
            found[isa] = dict(file)
    return found


@pytest.mark.parametrize("isa", LEVELS[1:])
def test_models_agree_between_instruction_sets(answers, isa):
    """To rounding, float64: 1e-12 of the largest number of each array."""
    expected = answers[LEVELS[0]]
    assert set(answers[isa]) == set(expected)
    assert len(expected) > 40
    for name, values in expected.items():
        error = np.abs(answers[isa][name] - values).max() / max(np.abs(values).max(), 1e-300)
        assert error <= 1e-12, (name, error)
    assert any(answers[isa][name].tobytes() != values.tobytes() for name, values in expected.items())


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


# Of AVX and later by their names, but for two of the 80286; the rest are BMI's.
PAST_BASELINE = re.compile(r"v(?!err|erw)\w+|andn|bextr|bls(?:i|r|msk)|bzhi|mulx|pdep|pext|rorx|sarx|shlx|shrx")
ISA_FILE = re.compile(r"isa_\w*avx\w+\.c")
ISA_NAME = re.compile(r"\w+_avx(?:2|512)_\w+")


def functions_of(library):
    """[(address, name, source file or '' for a function that others can link)] of a shared object, in order."""
    table = subprocess.run(["readelf", "-sW", library], capture_output=True, text=True, check=True).stdout
    found, file = [], ""
    for fields in map(str.split, table.splitlines()):
        if len(fields) == 8 and fields[3] == "FILE":
            file = fields[7]
        elif len(fields) == 8 and fields[3] == "FUNC" and fields[6] != "UND":
            found.append((int(fields[1], 16), fields[7], file if fields[4] == "LOCAL" else ""))
    return sorted(found)


@pytest.mark.skipif(
    platform.machine() != "x86_64" or not all(map(shutil.which, ("objdump", "readelf"))),
    reason="reads x86-64 code with objdump and readelf of binutils",
)
def test_no_instruction_past_the_baseline_outside_the_isa_files():
    """The processor is asked before code of the isa files runs, and never before any other."""
    inside, outside = 0, set()
    for library in sorted(Path(fasttrain._kernels.__file__).parent.glob("*.so")):
        functions = functions_of(library)
        addresses = [address for address, _, _ in functions]
        command = ["objdump", "-d", "--no-show-raw-insn", library]
        code = subprocess.run(command, capture_output=True, text=True, check=True)
        for address, mnemonic in re.findall(r"^\s*([0-9a-f]+):\s+(\S+)", code.stdout, re.MULTILINE):
            if not PAST_BASELINE.fullmatch(mnemonic):
                continue
            _, name, file = functions[bisect.bisect(addresses, int(address, 16)) - 1]
            if ISA_FILE.fullmatch(file) or (not file and ISA_NAME.fullmatch(name)):
                inside += 1
            else:
                outside.add(f"{library.name}: {name}")
    assert inside > 1000
    assert not outside
