"""Some seconds of the soak, and that it finds what is planted: a leak, a hang, other answers, things left open."""

import importlib
import os
import random
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from sklearn.base import BaseEstimator

import fasttrain
import memory

FOLDER = Path(__file__).parent

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="memory and files are read from /proc")


def soak(*arguments, timeout=300):
    done = subprocess.run(
        [sys.executable, str(FOLDER / "soak.py"), *arguments], capture_output=True, text=True, timeout=timeout)
    return done.returncode, done.stdout + done.stderr


def planted(tmp_path, operation, *arguments, settings=""):
    """The soak with one operation of the test's own in the place of all others."""
    program = tmp_path / "planted.py"
    program.write_text(textwrap.dedent(f"""
        import sys
        sys.path.insert(0, {str(FOLDER)!r})
        import os, time
        import numpy as np
        import operations, soak
        {settings}
        kept, count = [], [0]
        {textwrap.indent(textwrap.dedent(operation).strip(), " " * 8).strip()}
        operations.OPERATIONS[:] = [operation]
        sys.exit(soak.main(program=__file__))
    """))
    command = [sys.executable, str(program), "--seed", "0", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def test_some_seconds():
    code, said = soak("--count", "60", "--seed", "0")
    assert code == 0, said[-4000:]
    assert "60 operations in both runs, 0 unlike; exit codes [0, 0]" in said
    assert said.startswith("seed 0, ")


def test_a_leak_is_found(tmp_path):
    code, said = planted(
        tmp_path, """
        def operation(rng, folder):
            kept.append(np.ones(40_000))
            time.sleep(0.02)
            return "leak", "same"
        """, "--minutes", "0.5", "--count", "300", "--record", str(tmp_path / "record"))
    assert code == 1
    assert "resident memory grew by" in said


@pytest.mark.skipif(not memory.HAS_MALLINFO, reason="bytes in use are told by glibc from 2.33 on")
def test_a_leak_that_resident_memory_does_not_show_is_found(tmp_path):
    code, said = planted(
        tmp_path, """
        def operation(rng, folder):
            kept.append(np.ones(5_000))
            time.sleep(0.01)
            return "leak", "same"
        """, "--minutes", "0.5", "--count", "500", "--record", str(tmp_path / "record"))
    assert code == 1
    assert "memory in use grew by" in said
    assert "resident memory grew by" not in said


def test_what_only_comes_and_goes_is_no_leak(tmp_path):
    code, said = planted(
        tmp_path, """
        def operation(rng, folder):
            # 8 MB at the most: of 36 samples the slope of what is 32 MB strays by its bound of 6
            kept[:] = [np.ones(rng.randrange(1000, 1_000_000))]
            time.sleep(0.002)
            return "steady", "same"
        """, "--minutes", "0.1", "--record", str(tmp_path / "record"))
    assert code == 0, said


@pytest.mark.parametrize("where", ["here", "in a child"])
def test_a_hang_is_found(tmp_path, where):
    call = "forever()" if where == "here" else "operations.in_child(forever)"
    code, said = planted(
        tmp_path, f"""
        def forever():
            while True:
                time.sleep(0.01)

        def operation(rng, folder):
            {call}
            return "hang", "same"
        """, "--minutes", "1", "--record", str(tmp_path / "record"),
        settings="soak.MOST_SECONDS = 2" if where == "here" else "operations.CHILD_SECONDS = 2; soak.MOST_FAULTS = 1")
    assert code == 1
    assert "in forever" in said


def test_other_answers_the_second_time_are_found(tmp_path):
    code, said = planted(
        tmp_path, """
        def operation(rng, folder):
            return "random", os.urandom(4).hex() if rng.random() < 0.1 else "same"
        """, "--count", "100")
    assert code == 1
    assert "100 operations in both runs" in said
    assert "both runs, 0 unlike" not in said
    assert "exit codes [0, 0]" in said


# The child holds none of the pipes, whose end is waited for here.
@pytest.mark.parametrize("left", [
    "open(os.devnull)", "os.fork() or os.closerange(0, 3) or time.sleep(20) or os._exit(0)"], ids=["file", "child"])
def test_what_is_left_is_found(tmp_path, left):
    code, said = planted(
        tmp_path, f"""
        def operation(rng, folder):
            count[0] += 1
            if count[0] == 50:
                kept.append({left})
            return "left", "same"
        """, "--count", "60", "--record", str(tmp_path / "record"))
    assert code == 1
    assert "operation 49, left: was" in said


def test_every_public_estimator_is_drawn():
    sys.path.insert(0, str(FOLDER))
    try:
        draws = importlib.import_module("draws")
    finally:
        sys.path.remove(str(FOLDER))
    drawn = set()
    for number in range(1000):
        make, _ = draws.drawn(random.Random(number))
        model = make()
        drawn |= {type(model), *(type(step) for _, step in getattr(model, "steps", ()))}
    public = set()
    for name in fasttrain._SUBMODULES:
        module = importlib.import_module(f"fasttrain.{name}")
        for member in (getattr(module, text) for text in getattr(module, "__all__", ())):
            if isinstance(member, type) and issubclass(member, BaseEstimator) and "fasttrain" in member.__module__:
                public.add(member)
    assert len(public) >= 20
    assert public <= drawn
