"""The suite on every Python that is supported, beside the newest and the oldest of what it needs.

    nox                       all of them
    nox -s suite-3.13
    nox -s oldest -- tests/linear_model

Each session takes a wheel, built anew where a source is newer than the last one, installs it with what the tests need,
and runs them from outside the repository. An interpreter that is not on the machine is left out, and nox says so.
"""

import os
import shutil
import subprocess
from pathlib import Path

import nox

PYTHONS = ["3.10", "3.11", "3.12", "3.13"]
# What pyproject.toml allows at least; tests/test_requirements.py holds the two together.
OLDEST = ["numpy==1.26.*", "scikit-learn==1.7.*"]
ROOT = Path(__file__).parent
# Each says something about every room, in a few minutes together.
FAST = [f"tests/{name}" for name in (
    "_kernels/test_primitives.py", "_kernels/test_rows.py", "linear_model/test_linear_fit.py",
    "linear_model/test_logistic.py", "neural_network/test_mlp.py", "preprocessing/test_scaling.py",
    "optimizers/test_optimizers.py", "test_persistence.py", "test_types.py", "test_import.py")]
# What many threads do at once, by tests that have no folder or stream for themselves.
THREADED = [f"tests/{name}" for name in (
    "linear_model/test_linear_fit.py", "linear_model/test_ridge.py", "neural_network/test_mlp.py",
    "optimizers/test_optimizers.py", "preprocessing/test_scaling.py")]
# Ctrl-C is the main thread's to hear.
NOT_THREADED = "not ctrl_c and not interrupt"
# They compare with the parameters and messages of the newest scikit-learn.
NEWEST_ONLY = ["--ignore", str(ROOT / "tests/parity")]

nox.options.sessions = ["suite", "oldest"]
nox.options.error_on_missing_interpreters = False
# pyenv has a command for each interpreter that it installed, and runs only those of the version that is chosen.
if shutil.which("pyenv") and "PYENV_VERSION" not in os.environ:
    installed = subprocess.run(["pyenv", "versions", "--bare"], capture_output=True, text=True, check=True)
    os.environ["PYENV_VERSION"] = ":".join(
        name for name in installed.stdout.split() if name.rpartition(".")[0] in PYTHONS)


def wheel(session):
    """The wheel for this Python: one that CI has made already, or a new one."""
    tag = "cp" + session.python.replace(".", "")
    folder = ROOT / "build" / "nox"
    sources = [path for pattern in ("*.py*", "*.pxd", "csrc/*.[ch]") for path in (ROOT / "src").rglob(pattern)]
    newest = max(path.stat().st_mtime for path in sources if "__pycache__" not in path.parts)
    made = sorted(folder.glob(f"*-{tag}-*.whl"), key=lambda path: path.stat().st_mtime)
    if not made or made[-1].stat().st_mtime < newest:
        session.install("build")
        session.run("python", "-m", "build", "--outdir", str(folder), str(ROOT), silent=True)
        made = sorted(folder.glob(f"*-{tag}-*.whl"), key=lambda path: path.stat().st_mtime)
    return made[-1]


def run_tests(session, *pins, arguments=(), tests=("tests",)):
    session.install(f"fasttrain[test] @ {wheel(session).as_uri()}", *pins)
    session.chdir(session.create_tmp())
    given = session.posargs or tests
    session.run("python", "-m", "pytest", "-q", "-m", "not exhaustive and not wheel", *arguments,
                *[str(ROOT / each) if each.startswith("tests") else each for each in given])


@nox.session(python=PYTHONS)
def suite(session):
    """All tests on the newest NumPy and scikit-learn that this Python has."""
    run_tests(session)


@nox.session(python="3.10")
def oldest(session):
    """The oldest Python, NumPy and scikit-learn that are supported."""
    run_tests(session, *OLDEST, arguments=NEWEST_ONLY)


@nox.session(python=["3.10", "3.13"])
def fast(session):
    """A part of the suite that says something about every room."""
    run_tests(session, tests=FAST)


@nox.session(python="3.13")
def threads(session):
    """Fits and predictions, each test on four Python threads at once."""
    session.install("pytest-run-parallel>=0.6")
    run_tests(session, tests=THREADED, arguments=["--parallel-threads=4", "--iterations=1", "-k", NOT_THREADED])
