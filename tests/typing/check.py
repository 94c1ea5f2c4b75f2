"""What type checkers and editors make of the installed package.

    make types
    python tests/typing/check.py

mypy and pyright find nothing in ``typical_uses.py``, pyright finds each mistake of ``wrong_uses.py``, jedi completes
lazy names, and so many of the public symbols have known types (pyright's ``--verifytypes``). Pyright is taken from
``basedpyright``, whose wheel has all that it needs. Classes of scikit-learn have no types of their own, so that a class
that derives from one is never wholly known to pyright; what is counted is what fasttrain says itself.
"""

import importlib
import json
import os
import re
import string
import subprocess
import sys
import tempfile
from pathlib import Path

import jedi

HERE = Path(__file__).parent
FLOOR = 0.95
# Rooms without an underscore whose functions are for the rest of the package.
INSIDE = re.compile(r"fasttrain\.(cli|model_selection\.batch|preprocessing\.columns|training\.engine)\b")
# What is said of bases in other packages, and of documentation.
NOT_OURS = re.compile(r"base class|metaclass|docstring")
COMPLETIONS = {
    "from fasttrain import MLPCl": "MLPClassifier",
    "import fasttrain\nfasttrain.learning_r": "learning_rate_finder",
    "import fasttrain\nfasttrain.MLPClassifier().fit([[0.0]], [0]).pre": "predict",
    "from fasttrain.linear_model import Ridge\nRidge().fit([[0.0]], [0]).coe": "coef_",
    "from fasttrain.optimizers import Ad": "Adam",
}


def run(*command, cwd=None):
    # pyright's --verifytypes knows the Python that comes first on the path, whatever --pythonpath says
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run([sys.executable, "-m", *command], cwd=cwd, capture_output=True, text=True,
                          env=os.environ | {"PATH": path})


def pyright(path):
    done = run("basedpyright", "--pythonpath", sys.executable, "--level", "error", "--outputjson", str(path))
    return [(found["range"]["start"]["line"] + 1, found["rule"], found["message"])
            for found in json.loads(done.stdout)["generalDiagnostics"] if found["severity"] == "error"]


def typical_uses():
    """What mypy and pyright find in them."""
    path = HERE / "typical_uses.py"
    done = run("mypy", "--python-version", "3.10", "--ignore-missing-imports", "--follow-imports=silent", "--strict",
               "--cache-dir", os.devnull, str(path))
    return [*map(str, pyright(path)), *([done.stdout + done.stderr] if done.returncode else [])]


def wrong_uses():
    """Which of them pyright does not find, and what else it finds there."""
    path = HERE / "wrong_uses.py"
    wanted = {(number, rule) for number, line in enumerate(path.read_text().splitlines(), 1)
              for rule in re.findall(r"# wrong: (\w+)$", line)}
    assert len(wanted) > 5
    return sorted(map(str, wanted ^ {found[:2] for found in pyright(path)}))


def public_modules():
    """Names of the modules that ``import fasttrain`` shows, and of Keras's below it."""
    import fasttrain
    from fasttrain import keras

    return [*(f"fasttrain.{name}" for name in fasttrain._SUBMODULES),
            *(f"fasttrain.keras.{name}" for name in keras._MODULES)]


def completeness():
    """(share of public symbols whose type is known, lines about the others)."""
    with tempfile.TemporaryDirectory() as elsewhere:  # in the repository it takes the package for a local one
        done = run("basedpyright", "--verifytypes", "fasttrain", "--ignoreexternal", "--outputjson", cwd=elsewhere)
    symbols = json.loads(done.stdout)["typeCompleteness"]["symbols"]
    listed = {f"{module}.{name}" for module in public_modules() for name in importlib.import_module(module).__all__}
    # the public classes and what they derive from
    owners = {base.__name__ for module in public_modules() for thing in vars(importlib.import_module(module)).values()
              if isinstance(thing, type) and thing.__name__ in importlib.import_module(module).__all__
              for base in thing.__mro__}
    unknown, count = [], 0
    for symbol in symbols:
        name = symbol["name"]
        if not name.startswith("fasttrain") or INSIDE.match(name):
            continue
        if symbol["category"] == "function" and name not in listed:
            continue  # of a file, for the rest of its package
        owner = name.split(".")[-1 if symbol["category"] == "class" else -2]
        if owner[0] in string.ascii_uppercase + "_" and owner not in owners:
            continue
        count += 1
        said = [found["message"] for found in symbol["diagnostics"] if not NOT_OURS.search(found["message"])]
        if said and not symbol["isTypeKnown"]:
            unknown.append(f"{name}: {said[0]}")
    assert count > 1000, done.stdout[:500]
    return 1 - len(unknown) / count, unknown


def completion():
    """Lazy names that jedi does not complete."""
    return [f"{source!r} does not complete to {name}" for source, name in COMPLETIONS.items()
            if name not in [found.name for found in jedi.Script(source).complete()]]


def main():
    share, unknown = completeness()
    print(f"{share:.1%} of the public symbols have a known type, {len(unknown)} have not")
    bad = [*typical_uses(), *wrong_uses(), *completion()]
    if share < FLOOR:
        bad += [f"at least {FLOOR:.0%} of the public symbols must have a known type:", *unknown]
    print("\n".join(bad) if bad else "mypy, pyright and jedi agree")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
