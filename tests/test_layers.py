"""The design's order of layers, read from the import statements: everything imports downward only."""

import ast
import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "fasttrain"

# Lowest first; a module may import from its own layer and from those below it.
LAYERS = [
    {"_kernels"},
    {"_core", "_files", "_tables"},
    {"losses", "activations", "optimizers", "_optimizer_state", "penalties", "schedules", "embedding"},
    {"training", "callbacks", "checkpoints"},
    {"descent", "linear_model", "stochastic_linear",
     "neural_network", "models", "layers", "preprocessing",
     "model_selection", "inspection", "plotting", "interop", "patch", "persistence", "_conversion",
     "_twins", "keras",
     "rate_finder", "_estimators"},
    {"cli", "__main__"},
]  # fmt: skip
LAYER_OF = {name: i for i, layer in enumerate(LAYERS) for name in layer}

CYTHON_IMPORT = re.compile(
    r"^\s*(?:from\s+(?P<source>[\w.]+)\s+c?import\s+(?P<names>\([^)]*\)|[^\n]*)|c?import\s+(?P<plain>[\w.]+))",
    re.M,
)

MODULES = sorted(path for pattern in ("*.py", "*.pyx", "*.pxd") for path in SOURCE.rglob(pattern))


def unit(path):
    """The top-level name inside the package that a file belongs to."""
    first = path.relative_to(SOURCE).parts[0]
    return first.split(".")[0]


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


def own_targets(path):
    """Top-level names inside the package that a file imports."""
    for module, name in imports(path):
        parts = module.split(".")
        if parts[0] == "fasttrain":
            if len(parts) > 1:
                yield parts[1]
            elif name is not None:
                yield name


def test_the_readers_see_imports():
    losses = SOURCE / "losses.py"
    assert ("fasttrain._core.specs", "Registry") in imports(losses)
    assert set(own_targets(losses)) == {"_kernels", "_core"}
    updates = SOURCE / "_kernels" / "updates.pyx"
    assert ("fasttrain._kernels.primitives", "update_span") in imports(updates)
    assert ("cython.parallel", "prange") in imports(updates)


def test_every_module_has_a_layer():
    units = {unit(path) for path in MODULES} - {"__init__"}
    assert units <= set(LAYER_OF), f"give these a layer: {sorted(units - set(LAYER_OF))}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_run_downward(path):
    if unit(path) == "__init__":
        # The public names; it is asked by nobody below.
        return
    here = LAYER_OF[unit(path)]
    for target in own_targets(path):
        if target == "__version__":
            continue
        assert target in LAYER_OF, f"{path.name} imports fasttrain.{target}, which has no layer"
        assert LAYER_OF[target] <= here, (
            f"{path.name} (layer {here}) imports {target} (layer {LAYER_OF[target]})"
        )


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_only_public_names_of_scikit_learn_and_scipy(path):
    for module, name in imports(path):
        parts = [*module.split("."), *([name] if name else [])]
        if parts[0] in ("sklearn", "scipy"):
            private = [part for part in parts if part.startswith("_") and part != "__version__"]
            assert not private, f"{path.name} imports {'.'.join(parts)}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_kernels_know_nothing_above_them(path):
    if unit(path) == "_kernels":
        assert not {module.split(".")[0] for module, _ in imports(path)} & {"sklearn", "scipy", "pandas"}
        if path.suffix in (".pyx", ".pxd"):
            assert not re.search(r"cimport\s+numpy", path.read_text()), "the build has no NumPy headers"


def test_every_kernel_has_declarations_that_others_may_cimport():
    kernels = SOURCE / "_kernels"
    assert {p.stem for p in kernels.glob("*.pyx")} <= {p.stem for p in kernels.glob("*.pxd")}
