"""The C signatures and structs of this build; ``python tests/embedding/signatures.py --write`` takes them over.

What a released version promises, the functions and structs of ``embedding.MODULES``, can only be changed or taken away
under a higher ``embedding.INTERFACE_VERSION``, which the changelog tells of.
"""

import json
import pkgutil
import re
import sys
from pathlib import Path

import fasttrain
from fasttrain import _kernels, embedding
from fasttrain._kernels import dense

CHANGELOG = Path(__file__).parents[2] / "CHANGELOG.md"
SNAPSHOT = Path(__file__).with_name("signatures.json")
PUBLIC_STRUCTS = ("dense_shape", "ft_ops_f32", "ft_ops_f64", "ft_update")


def fields(pxd, struct):
    """Declarations in a struct of a .pxd file, without comments."""
    text = (Path(_kernels.__path__[0]) / pxd).read_text()
    body = re.search(rf"^( *)c(?:typ|)e?def struct {struct}:\n((?:\1 +.*\n|\n)+)", text, re.M)[2]
    lines = re.sub(r"#.*", "", body).replace(",\n", ", ").splitlines()
    return [" ".join(line.split()) for line in lines if line.strip()]


def primitives():
    """The vector primitives in the order of their table."""
    text = (Path(fasttrain.get_include()) / "ops_list.h").read_text().replace("\\\n", "")
    entries = re.findall(r"OP\(([^,]+), (\w+), (\(.*?\))\)", re.sub(r"/\*.*?\*/", "", text))
    return [f"{result} {name}{' '.join(arguments.split())}" for result, name, arguments in entries]


def found():
    """All of it, as the snapshot has it: what is promised, and what may change but not by accident."""
    names = [each.name for each in pkgutil.iter_modules(_kernels.__path__)]
    # what begins with an underscore is Cython's own, and differs from one of its versions to the next
    modules = {name: embedding.signatures(name) for name in names if not name.startswith("_")}
    sizes = dense.struct_sizes()
    others = sorted(name for name in modules if modules[name] and name not in embedding.MODULES)
    return {
        "version": embedding.INTERFACE_VERSION,
        "public": {
            "functions": {name: modules[name] for name in sorted(embedding.MODULES)},
            "structs": {
                "dense_shape": {"size": sizes["dense_shape"], "fields": fields("dense.pxd", "dense_shape")},
                "ft_update": {"size": sizes["ft_update"], "fields": fields("primitives.pxd", "ft_update")},
            },
            "primitives": {"size": sizes["ft_ops_f64"], "table": primitives()},
        },
        "internal": {
            "functions": {name: modules[name] for name in others},
            "struct_sizes": {name: size for name, size in sizes.items() if name not in PUBLIC_STRUCTS},
        },
    }


def broken(before, now, path="public"):
    """Places where something promised is no longer so; additions to a dict or to the end of a table are none."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name, value in before.items():
            if name == "size" and "table" in before:
                continue
            if name not in now:
                yield f"{path}.{name}"
            else:
                yield from broken(value, now[name], f"{path}.{name}")
    elif path.endswith(".table"):
        if now[:len(before)] != before:
            yield path
    elif before != now:
        yield path


def released():
    """Versions of the C interface that the changelog has under a released version of the library."""
    sections = re.split(r"^## ", CHANGELOG.read_text(), flags=re.M)[1:]
    done = [section for section in sections if "(unreleased)" not in section.splitlines()[0]]
    return {int(number) for section in done for number in re.findall(r"C interface version (\d+)", section)}


def write():
    now = found()
    if SNAPSHOT.exists():
        before = json.loads(SNAPSHOT.read_text())
        changed = list(broken(before["public"], now["public"]))
        if changed and before["version"] == now["version"] and now["version"] in released():
            sys.exit(f"raise embedding.INTERFACE_VERSION first, these are promised: {', '.join(changed)}")
    SNAPSHOT.write_text(json.dumps(now, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python tests/embedding/signatures.py --write")
    write()
