"""The scorecard's commands find what they name, and its table counts what they say."""

import importlib.util
import subprocess
from pathlib import Path

import pytest

SPEC = importlib.util.spec_from_file_location("scorecard", Path(__file__).parent / "scorecard.py")
scorecard = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(scorecard)
ROWS = {row.name: row for row in scorecard.ROWS}


def answered(monkeypatch, row, said, code=0):
    monkeypatch.setattr(
        scorecard.subprocess, "run", lambda *args, **kwargs: subprocess.CompletedProcess(args, code, stdout=said))
    return scorecard.run(ROWS[row], False)


@pytest.mark.parametrize("said, code, cases, wrong", [
    ("12 passed, 3 skipped in 4.0s", 0, "12", "0"), ("2 failed, 10 passed in 4.0s", 1, "12", "2"),
    ("1 error in 0.1s", 2, "1", "1"), ("Killed", 137, "", "0"),
])
def test_tests_are_counted(monkeypatch, said, code, cases, wrong):
    line, good = answered(monkeypatch, "forks", said, code)
    assert line[2:4] == (cases, wrong)
    assert good == (code == 0)
    assert ("exit code 137" in line[5]) == (code == 137)


def test_reasons_are_told(monkeypatch):
    said = "SKIPPED [2] tests/faults/test_company.py:1: torch is not installed\n3 passed, 2 skipped in 1.0s"
    assert answered(monkeypatch, "company", said)[0][5] == "2 left out: torch is not installed"


def test_programs_are_counted(monkeypatch):
    assert answered(monkeypatch, "models", "200000 models, 3 wrong", 1) == (
        ("models", "damaged model folders", "200000", "3", "0", ""), False)
    assert answered(monkeypatch, "soak", "57 operations in both runs, 0 unlike; exit codes [0, 0]")[1]


def test_what_cannot_run_is_left_out_with_its_reason(monkeypatch):
    monkeypatch.setattr(scorecard.shutil, "which", lambda name: None)
    (_, _, cases, _, _, notes), good = scorecard.run(ROWS["sanitize"], False)
    assert (cases, notes, good) == ("", "left out: no gcc", True)
    monkeypatch.setattr(scorecard, "available_gigabytes", lambda: 1.0)
    assert "less than 12 GB" in scorecard.run(ROWS["sizes"], False)[0][5]


def test_every_file_of_this_folder_is_in_a_row():
    named = {path for row in scorecard.ROWS for path in (*row.tests, *row.program[:1])}
    files = {path.name for path in Path(__file__).parent.glob("test_*.py")}
    # these test the programs of rows
    programs = {"test_scorecard.py", *(f"test_{Path(name).stem}.py" for name in named)}
    assert files <= {Path(name).name for name in named} | programs
