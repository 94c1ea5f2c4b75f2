"""The built sdist and wheel: those that make test has built, else built now."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def distribution(tmp_path_factory):
    """Paths of the sdist and of the wheel."""
    folder = os.environ.get("FASTTRAIN_DIST")
    if folder is None:
        folder = tmp_path_factory.mktemp("dist")
        subprocess.run([sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)], check=True, timeout=900)
    (sdist,), (wheel,) = Path(folder).glob("*.tar.gz"), Path(folder).glob("*.whl")
    return sdist, wheel
