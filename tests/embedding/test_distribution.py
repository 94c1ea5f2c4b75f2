"""What sdist and wheel hold, and that another package is compiled against the installed wheel."""

import os
import subprocess
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.wheel

ROOT = Path(__file__).parents[2]
KERNELS = ROOT / "src" / "fasttrain" / "_kernels"
PYTHON_FILES = {str(path.relative_to(ROOT / "src")) for path in (ROOT / "src").rglob("*.py")}
HEADERS = {str(path.relative_to(ROOT / "src")) for pattern in ("*.pxd", "csrc/*.h") for path in KERNELS.glob(pattern)}
EXTENSIONS = {path.stem for path in KERNELS.glob("*.pyx")} | {"_cyutility"}


def test_wheel_holds_what_runs_and_what_others_compile_against(distribution):
    wheel = distribution[1]
    assert wheel.stat().st_size < 10e6
    with zipfile.ZipFile(wheel) as archive:
        files = {name for name in archive.namelist() if not name.endswith("/")}
    own = {name for name in files if not name.split("/")[0].endswith(".dist-info")}
    assert own >= PYTHON_FILES
    assert own >= HEADERS
    assert any(name.endswith("_kernels/updates.pxd") for name in HEADERS)
    assert any(name.endswith("csrc/ops.h") for name in HEADERS)
    binaries = {name for name in own if name.endswith((".so", ".pyd"))}
    assert {Path(name).name.split(".")[0] for name in binaries} == EXTENSIONS
    # no sources, tests or anything else but the shell's sample table and what type checkers read
    typed = {"fasttrain/__init__.pyi", "fasttrain/py.typed"}
    assert own >= typed
    sample = {"fasttrain/__init__.pxd", "fasttrain/cli/sample/penguins.csv"}
    rest = own - PYTHON_FILES - HEADERS - binaries - sample - typed
    assert rest == set()
    assert any(name.endswith("licenses/LICENSE") for name in files)


def test_sdist_holds_every_source_and_nothing_that_was_built(distribution):
    with tarfile.open(distribution[0]) as archive:
        files = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    sources = {str(path.relative_to(ROOT)) for pattern in ("*.pyx", "*.pxd", "csrc/*.[ch]")
               for path in KERNELS.glob(pattern)}
    assert {f"src/{name}" for name in PYTHON_FILES | HEADERS} <= files
    assert sources <= files
    assert {"setup.py", "pyproject.toml", "LICENSE", "README.md", "CHANGELOG.md", "Makefile"} <= files
    for folder in ("tests", "docs", "benchmarks"):
        here = {str(path.relative_to(ROOT)) for path in (ROOT / folder).rglob("*")
                if path.suffix in (".py", ".md", ".json", ".pyx", ".toml") and "__pycache__" not in path.parts}
        assert here <= files, sorted(here - files)
    generated = {f"src/fasttrain/_kernels/{name}.c" for name in EXTENSIONS}
    assert not generated & files
    assert not [name for name in files if name.endswith((".so", ".pyd", ".pyc", ".html"))]


def run(*command, cwd):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def copy_sources(source, target):
    for path in source.rglob("*"):
        if path.suffix in (".py", ".pyx", ".toml"):
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())


def test_a_package_downstream(distribution, tmp_path):
    """A fresh environment with the wheel, NumPy and Cython; the package is compiled there, and run beside NumPy."""
    copy_sources(Path(__file__).parent / "downstream", tmp_path / "downstream")
    home = tmp_path / "venv"
    venv.create(home, with_pip=True)
    python = str(home / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    pip = (python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    run(*pip, "numpy", "Cython>=3.1", "setuptools>=77", cwd=tmp_path)
    # the kernels need NumPy only, and scikit-learn and SciPy are large
    run(*pip, "--no-deps", str(distribution[1]), cwd=tmp_path)
    run(*pip, "--no-deps", "--no-build-isolation", str(tmp_path / "downstream"), cwd=tmp_path)
    where = run(python, "-c", "import fasttrain; print(fasttrain.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(home)
    assert run(python, str(tmp_path / "downstream" / "check.py"), cwd=tmp_path) == "same\n"
