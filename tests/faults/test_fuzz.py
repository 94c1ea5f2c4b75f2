"""A few thousand damaged folders a run, in a process of their own; ``make fuzz`` goes through very many more."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("what", ["models", "sequentials", "checkpoints"])
def test_damaged_folders_are_refused_or_can_be_used(what):
    command = [sys.executable, str(Path(__file__).parent / "fuzz.py"), what, "2000"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert f"2000 {what}, 0 wrong" in done.stdout
