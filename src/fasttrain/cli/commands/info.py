"""Show what a saved model is, or what this installation is."""

from fasttrain.cli import _screen
from fasttrain.cli._parser import path

NEEDED = ()


def add_options(parser):
    """The command's options."""
    parser.add_argument("model", type=path, nargs="?", metavar="MODEL",
                        help="folder of a saved model; the installation when left out")


def run(options, interrupts):
    """Do it."""
    if options.model is None:
        _installation()
    else:
        _model(options.model)


def _installation():
    import platform

    import numpy
    import sklearn

    import fasttrain

    facts = {**fasttrain.show_config("dicts"), "python": platform.python_version(), "numpy": numpy.__version__}
    for name, value in {**facts, "scikit-learn": sklearn.__version__}.items():
        print(f"{name.replace('_', ' '):22}{value}")


def _model(folder):
    from sklearn.pipeline import Pipeline

    from fasttrain.persistence import load
    from fasttrain.preprocessing import TablePreprocessor

    model, notes = load(folder, return_notes=True)
    notes = notes or {}
    size = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
    steps = [step for _, step in model.steps] if isinstance(model, Pipeline) else [model]
    final = steps[-1]
    facts = {"folder": f"{folder} ({size / 1e3:.0f} kB)"}
    if "target" in notes:
        facts["predicts"] = repr(notes["target"])
    if hasattr(final, "classes_"):
        labels = [str(label) for label in final.classes_]
        facts["classes"] = ", ".join(labels[:10]) + (f" and {len(labels) - 10} more" if len(labels) > 10 else "")
    facts["model"] = repr(final)
    sizes = [array.size for name in ("coefs_", "intercepts_") for array in getattr(final, name, [])]
    arrays = [getattr(final, name, None) for name in ("coef_", "intercept_")]
    sizes += [array.size for array in arrays if hasattr(array, "size")]
    facts["weights"] = str(sum(sizes))
    for name, key in (("trained on", "rows"), ("by", "fasttrain"), ("command", "command")):
        if notes.get(key) is not None:
            facts[name] = {"rows": f"{notes[key]} rows", "fasttrain": f"fasttrain {notes[key]}"}.get(key, notes[key])
    if notes.get("scores"):
        facts["scores"] = ", ".join(f"{label} {_screen.score_of(score)}" for label, score in notes["scores"].items())
    for name, value in facts.items():
        print(f"{name:12}{_screen.printable(value)}")
    if isinstance(steps[0], TablePreprocessor):
        _screen.show_table(["column", "type", "missing values"], list(_columns(steps[0])), left=3)


def _columns(table):
    for name, kind in table.types_.items():
        if kind == "drop":
            filled = ""
        elif table.missing in ("error", "drop"):
            filled = "refused"
        else:
            value = table.fill_.get(name)
            filled = f"become {value:.6g}" if isinstance(value, float) else f"become {value}"
        yield [_screen.shortened(name, 30), kind, _screen.shortened(filled, 30)]
