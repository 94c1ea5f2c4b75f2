"""The order of the rooms, read from the import statements: downward only, and no file in a circle."""

import ast
import re

import pytest
from house import ROOMS, SOURCE


FLOOR_OF = {name: floor for floor, name in enumerate(ROOMS)}

# At most so many files and folders at the top, and no private module among them.
MOST_ENTRIES = 37

CYTHON_IMPORT = re.compile(
    r"^\s*(?:from\s+(?P<source>[\w.]+)\s+c?import\s+(?P<names>\([^)]*\)|[^\n]*)|c?import\s+(?P<plain>[\w.]+))",
    re.M,
)

MODULES = sorted(path for pattern in ("*.py", "*.pyx", "*.pxd") for path in SOURCE.rglob(pattern))
ROOT = {SOURCE / "__init__.py", SOURCE / "__init__.pxd"}


def room(path):
    """The top-level name inside the package that a file belongs to."""
    return path.relative_to(SOURCE).parts[0].split(".")[0]


def package(path):
    """The dotted package of a file, for relative imports."""
    return ["fasttrain", *path.relative_to(SOURCE).parts[:-1]]


def python_imports(path):
    """(module, imported name or None) of each import statement, wherever in the file it stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, None
        elif isinstance(node, ast.ImportFrom):
            base = package(path)[: len(package(path)) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield module, alias.name


def cython_imports(path):
    text = re.sub(r'""".*?"""', "", path.read_text(), flags=re.S)
    text = re.sub(r"#.*", "", text)
    for match in CYTHON_IMPORT.finditer(text):
        if match["plain"]:
            yield match["plain"], None
        else:
            for name in match["names"].strip("() \n").split(","):
                if name.strip():
                    yield match["source"], name.split()[0]


def imports(path):
    return list(python_imports(path) if path.suffix == ".py" else cython_imports(path))


def dotted(path):
    """The name of a module; a package's is that of its folder."""
    parts = ["fasttrain", *path.relative_to(SOURCE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


PYTHON = {dotted(path): path for path in MODULES if path.suffix in (".py", ".pyx")}


def targets(path):
    """Files inside the package that a file names in its imports."""
    for module, name in imports(path):
        for candidate in (f"{module}.{name}", module):
            found = PYTHON.get(candidate)
            if found is not None and found not in ROOT:
                yield found
                break


def circles(arrows):
    """Groups of files each of which reaches the others (Tarjan 1972)."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in arrows[node]:
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            group = stack[stack.index(node):]
            del stack[stack.index(node):]
            if len(group) > 1 or node in arrows[node]:
                found.append(sorted(group))

    for node in arrows:
        if node not in index:
            visit(node)
    return found


def test_the_readers_see_imports():
    losses = SOURCE / "losses.py"
    assert ("fasttrain._core.registry", "Registry") in imports(losses)
    assert {room(path) for path in targets(losses)} == {"_kernels", "_core"}
    updates = SOURCE / "_kernels" / "updates.pyx"
    assert ("fasttrain._kernels.primitives", "update_span") in imports(updates)
    assert ("cython.parallel", "prange") in imports(updates)
    assert circles({"a": ["b"], "b": ["c"], "c": ["b"], "d": []}) == [["b", "c"]]


def test_every_room_has_a_floor():
    assert {room(path) for path in MODULES if path not in ROOT} == set(FLOOR_OF)


def test_the_top_can_be_read():
    entries = [path.name for path in SOURCE.iterdir() if path.name != "__pycache__"]
    assert len(entries) <= MOST_ENTRIES
    assert not [name for name in entries if re.fullmatch(r"_(?!_)\w*\.py", name)]


@pytest.mark.parametrize("name", [name for name in ROOMS if (SOURCE / name / "__init__.py").exists()])
def test_a_room_says_what_it_is_for(name):
    said = ast.get_docstring(ast.parse((SOURCE / name / "__init__.py").read_text()))
    assert said
    if name.startswith("_"):
        assert 3 <= len(said.splitlines()) <= 40


@pytest.mark.parametrize("path", [p for p in MODULES if p not in ROOT], ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_run_downward(path):
    here = FLOOR_OF[room(path)]
    for module, name in imports(path):
        parts = module.split(".")
        if parts[0] != "fasttrain" or (len(parts) == 1 and name in (None, "__version__")):
            continue
        target = parts[1] if len(parts) > 1 else name
        assert target in FLOOR_OF, f"{path.name} imports fasttrain.{target}, which has no floor"
        assert FLOOR_OF[target] <= here, f"{path.name} ({room(path)}) imports {target}, which stands above it"


def test_no_file_imports_itself_through_others():
    arrows = {dotted(path): sorted({dotted(t) for t in targets(path)}) for path in PYTHON.values() if path not in ROOT}
    assert circles(arrows) == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_only_public_names_of_scikit_learn_and_scipy(path):
    for module, name in imports(path):
        parts = [*module.split("."), *([name] if name else [])]
        if parts[0] in ("sklearn", "scipy"):
            private = [part for part in parts if part.startswith("_") and part != "__version__"]
            assert not private, f"{path.name} imports {'.'.join(parts)}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_kernels_know_nothing_above_them(path):
    if room(path) == "_kernels":
        assert not {module.split(".")[0] for module, _ in imports(path)} & {"sklearn", "scipy", "pandas"}
        if path.suffix in (".pyx", ".pxd"):
            assert not re.search(r"cimport\s+numpy", path.read_text()), "the build has no NumPy headers"


def test_every_kernel_has_declarations_that_others_may_cimport():
    kernels = SOURCE / "_kernels"
    assert {p.stem for p in kernels.glob("*.pyx")} <= {p.stem for p in kernels.glob("*.pxd")}
