"""The oldest releases that nox tests are the oldest that may be installed."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def nox():
    """What noxfile.py assigns that is written out in it."""
    found = {}
    for line in ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8")).body:
        if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name) and isinstance(line.value, ast.List):
            found[line.targets[0].id] = [getattr(item, "value", None) for item in line.value.elts]
    return found


def test_the_oldest_session_has_the_least_that_is_allowed(nox):
    least = re.search(r"^dependencies = \[(.*?)\]", PROJECT, re.M | re.S)[1]
    assert nox["OLDEST"] == [text.replace(">=", "==") + ".*" for text in re.findall(r'"(.*?)"', least)]


def test_sessions_begin_with_the_oldest_python(nox):
    assert nox["PYTHONS"][0] == re.search(r'^requires-python = ">=(.*?)"', PROJECT, re.M)[1]


def test_the_part_of_the_suite_is_there():
    named = re.findall(r'"([\w/]*test_\w+\.py)"', (ROOT / "noxfile.py").read_text(encoding="utf-8"))
    assert len(named) >= 10
    assert [name for name in named if not (ROOT / "tests" / name).is_file()] == []
