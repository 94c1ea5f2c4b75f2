"""docs/architecture.md names files and functions that exist, and every room of the house."""

import ast
import re
from pathlib import Path

from house import ROOMS, SOURCE

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "architecture.md").read_text()

STEP = re.compile(r"`([\w/]+\.(?:py|pyx)): ([\w.]+)`")
PLACE = re.compile(r"`([\w/]+/[\w]+\.(?:py|pyx|h))(?:: [\w.]+)?`")


def defined(path):
    """Names of functions, classes and methods of a file, the latter with their class."""
    if path.suffix == ".pyx":
        names, owner = set(), None
        for line in path.read_text().splitlines():
            match = re.match(r"(\s*)(?:cdef class|class|def|cdef|cpdef)\b[^(:=]*?(\w+)\s*(?:\(|:)", line)
            if match and not match[1]:
                owner = match[2]
                names.add(owner)
            elif match:
                names.add(f"{owner}.{match[2]}")
        return names
    tree = ast.parse(path.read_text())
    kinds = (ast.FunctionDef, ast.ClassDef)
    top = [node for node in tree.body if isinstance(node, kinds)]
    return {node.name for node in top} | {
        f"{node.name}.{inner.name}" for node in top for inner in node.body if isinstance(inner, kinds)
    }


def test_every_step_of_the_walks_is_there():
    steps = STEP.findall(PAGE)
    assert len(steps) > 45
    missing = [f"{file}: {name}" for file, name in steps if name not in defined(SOURCE / file)]
    assert missing == []


def test_every_file_that_is_named_is_there():
    named = {name for name in PLACE.findall(PAGE) if not name.startswith("tests/")}
    assert len(named) > 20
    assert [name for name in named if not (SOURCE / name).exists()] == []


def test_every_room_is_named():
    rooms = set(ROOMS) - {"__main__"}
    assert [room for room in sorted(rooms) if not re.search(rf"`{room}(?:\.py)?`", PAGE)] == []


def test_the_picture_has_every_room():
    picture = PAGE.split("```mermaid")[1].split("```")[0]
    # re-exports, and what hangs on nothing, are left out of it
    apart = {"checkpoints", "layers", "models", "stochastic_linear", "plotting", "embedding", "__main__"}
    assert [room for room in ROOMS if room not in apart and room not in picture] == []
