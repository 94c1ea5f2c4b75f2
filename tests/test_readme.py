"""The code of the README and of the pages in docs runs as it stands there."""

import importlib.util
import os
import re
import shlex
from pathlib import Path

import pytest

from fasttrain import cli

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)


def blocks(page, language):
    return [code for kind, code in FENCE.findall(page.read_text()) if kind == language]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=lambda p: p.name)
def test_python_blocks_run(page, capsys):
    """Each block of the README by itself; those of another page one after the other."""
    names = {}
    for number, code in enumerate(blocks(page, "python")):
        if page.name == "README.md":
            names = {}
        exec(compile(code, f"{page.name}, block {number}", "exec"), names)
    assert capsys.readouterr().out


def test_what_the_readme_says_comes_out(capsys):
    written = blocks(ROOT / "README.md", "python")
    (estimators,) = [code for code in written if "cross_val_score(" in code]
    (descent,) = [code for code in written if "gradient_descent(" in code]
    exec(estimators, {})
    mean, spread = capsys.readouterr().out.split("±")
    assert float(mean) > 0.97
    names = {}
    exec(descent, names)
    assert names["theta"].round(3).tolist() == [1.0, -2.0, 0.5]


WITH_COMMANDS = [p for p in PAGES if any("fasttrain fit" in code for code in blocks(p, "console"))]


@pytest.mark.long
@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda p: p.name)
def test_commands_run(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    scripts = [code for code in blocks(page, "python") if "sklearn" in code]
    if scripts:
        (tmp_path / "script.py").write_text(scripts[0])
    lines = [line[2:] for code in blocks(page, "console") for line in code.splitlines()]
    commands = [shlex.split(line, comments=True) for line in lines if line.startswith("fasttrain")]
    assert len(commands) >= 2
    shown = [text for text in blocks(page, "text") if "rows read" in text]
    for command in commands:
        command, out = (command[:-2], command[-1]) if command[-2:-1] == [">"] else (command, None)
        if "--script" in command:
            command[2:2] = ["--rounds", "1"]
        capsys.readouterr()
        assert cli.main(command[1:]) == 0, capsys.readouterr().err
        printed = capsys.readouterr().out
        if out is not None:
            (tmp_path / out).write_text(printed)
        if command[1] == "fit" and shown:
            # what is said of the rows and columns; scores are the machine's
            assert printed.splitlines()[:3] == shown.pop(0).splitlines()[:3]
    assert not shown
    assert (tmp_path / "penguins-model" / "model.json").exists()


def test_make_targets_that_are_named_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for page in [*PAGES, ROOT / "CONTRIBUTING.md"]:
        named = set(re.findall(r"(?:^\$ |`)make ([a-z-]+)", page.read_text(), re.M))
        assert named <= targets, page


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"], ids=lambda p: p.name)
def test_links_and_files_exist(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        # these are made when the site is built: tests/test_reference.py and tests/test_gallery.py
        if not target.startswith(("http", "reference/", "gallery/index")):
            assert os.path.exists(page.parent / target), target
    for path in re.findall(r"`((?:src|tests|docs|benchmarks)/[\w/.-]+)`", page.read_text()):
        assert (ROOT / path).exists(), path


def test_the_map_of_the_kernels_is_complete():
    text = (ROOT / "docs" / "kernels.md").read_text()
    kernels = ROOT / "src" / "fasttrain" / "_kernels"
    named = set(re.findall(r"`(\w+(?:\.\w+)?)`", text))
    for path in [*kernels.glob("*.pyx"), *kernels.glob("csrc/*.[ch]")]:
        if path.suffix == ".c" and path.parent == kernels:
            continue
        assert path.name in named or (path.suffix == ".pyx" and path.stem in named), path.name


def test_the_picture_of_speed_is_that_of_the_table():
    spec = importlib.util.spec_from_file_location("speed_picture", ROOT / "benchmarks" / "speed_picture.py")
    picture = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(picture)
    rows = picture.measured((ROOT / "README.md").read_text())
    assert len(rows) > 8
    assert picture.PICTURE.read_text() == picture.drawing(rows), "run python benchmarks/speed_picture.py"


def test_pictures_are_small():
    for path in (ROOT / "docs").glob("*.png"):
        assert path.stat().st_size < 200_000, path
