"""The reference: pages made of the docstrings when the site is built, grouped as one looks for them.

An mkdocs hook. ``GROUPS`` is the order of the pages and what is said of each module; the names on them are those of the
module's ``__all__``, so that none can be forgotten. Modules of ``LONG`` have a page for each name. In the other pages a
public name in backticks becomes a link to its place here.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import re

# group -> module -> (what one finds there, the guide about it)
GROUPS = {
    "Models": {
        "linear_model": ("Linear models: scikit-learn's, and those with any loss and penalty", "linear-models.md"),
        "neural_network": ("Dense networks as scikit-learn estimators", "networks.md"),
        "descent": ("Descent as functions of (X, y)", "coming-from-the-tutorial.md"),
    },
    "Data and choosing": {
        "data": ("Rows that come in blocks: files and arrays larger than memory", "larger-than-memory.md"),
        "dask": ("Rows on a cluster", "clusters.md"),
        "preprocessing": ("From a raw table to a clean matrix", "preprocessing.md"),
        "model_selection": ("Cross-validation, searches and curves whose fits run as one batch", "model-selection.md"),
    },
    "Vocabulary": {
        "losses": ("Losses by name and as specs", "equations.md"),
        "activations": ("Activations by name and as specs", "equations.md"),
        "optimizers": ("Optimizers by name and as specs, and their steps on arrays of one's own", "equations.md"),
        "penalties": ("Penalties by name and as specs", "equations.md"),
        "schedules": ("Learning rates over the steps", "equations.md"),
    },
    "Training": {
        "callbacks": ("What happens between epochs", "callbacks.md"),
        "rate_finder": ("The learning-rate range test", "callbacks.md"),
        "training": ("The fit loop, what it is told and what it leaves", "callbacks.md"),
    },
    "Looking inside": {
        "inspection": ("Gradients, activations and attributions", "callbacks.md"),
        "plotting": ("Loss curves", "callbacks.md"),
    },
    "Files and other libraries": {
        "persistence": ("Saved models", "saved-models.md"),
        "interop": ("To and from scikit-learn and PyTorch", "coming-from-scikit-learn.md"),
        "patch": ("scikit-learn's names answered by fasttrain", "coming-from-scikit-learn.md"),
        "embedding": ("The C functions by address", "embedding.md"),
    },
    "Keras's names": {
        "keras.models": ("Sequential, and models from files", "coming-from-keras.md"),
        "keras.layers": ("Layers", "coming-from-keras.md"),
        "keras.losses": ("Losses", "coming-from-keras.md"),
        "keras.metrics": ("Metrics", "coming-from-keras.md"),
        "keras.optimizers": ("Optimizers", "coming-from-keras.md"),
        "keras.callbacks": ("Callbacks", "coming-from-keras.md"),
        "keras.activations": ("Activations", "coming-from-keras.md"),
        "keras.initializers": ("Initial weights", "coming-from-keras.md"),
        "keras.regularizers": ("Penalties of a layer", "coming-from-keras.md"),
        "keras.constraints": ("Limits on weights", "coming-from-keras.md"),
        "keras.ops": ("Functions on arrays", "coming-from-keras.md"),
        "keras.saving": ("Files, and classes that they may name", "coming-from-keras.md"),
        "keras.config": ("Defaults of the process", "coming-from-keras.md"),
        "keras.backend": ("The same by their older names", "coming-from-keras.md"),
        "keras.utils": ("Helpers", "coming-from-keras.md"),
    },
}
# Each of these names has a page of its own.
LONG = ("linear_model", "neural_network", "preprocessing", "model_selection")
# Modules whose names are those of another one.
SAME = {
    "layers": "keras.layers", "models": "keras.models", "checkpoints": "training", "stochastic_linear": "linear_model",
    "keras": "keras.models",
}
TOP = ("num_threads", "set_num_threads", "get_num_threads", "set_instruction_set", "show_config", "get_include")


def is_ours(thing):
    """Whether fasttrain defines it."""
    return getattr(thing, "__module__", "fasttrain").startswith("fasttrain")


@functools.cache
def documented():
    """From each public module's name to the names in its ``__all__`` that fasttrain defines."""
    found = {}
    for modules in GROUPS.values():
        for module in modules:
            loaded = importlib.import_module(f"fasttrain.{module}")
            found[module] = [name for name in loaded.__all__ if is_ours(getattr(loaded, name))
                             and not is_another(loaded, name)]
    return found


def is_another(module, name):
    """Whether a name is a second one, for a class or function that the module lists under its own."""
    own = getattr(getattr(module, name), "__name__", name)
    return own != name and own in module.__all__ and getattr(module, own) is getattr(module, name)


def page_of(module, name=None):
    """The page that describes a name of a module."""
    return f"reference/{module}.{name}.md" if name and module in LONG else f"reference/{module}.md"


def summary(thing):
    """First sentence of its docstring, for a table."""
    text = (inspect.getdoc(thing) or "").partition("\n\n")[0]
    if not (inspect.isclass(thing) or inspect.isroutine(thing)):
        text = ""
    text = re.sub(r":\w+:`~?([^`]+)`", lambda match: f"`{match[1].rpartition('.')[2]}`", " ".join(text.split()))
    return text.replace("``", "`").replace("|", "&#124;")


def table(module, names):
    loaded = importlib.import_module(f"fasttrain.{module}")
    rows = [f"| [`{name}`][fasttrain.{module}.{name}] | {summary(getattr(loaded, name))} |" for name in names]
    second = [f"`{name}` is [`{own}`][fasttrain.{module}.{own}]" for name in loaded.__all__ if is_another(loaded, name)
              for own in [getattr(loaded, name).__name__]]
    stock = [f"`{name}`" for name in loaded.__all__ if not is_ours(getattr(loaded, name))]
    also = ["", f"{', '.join(second)}."] if second else []
    also += ["", f"Also, as scikit-learn has them: {', '.join(stock)}."] if stock else []
    return "\n".join(["| name | what it is |", "|---|---|", *rows, *also])


def pages():
    """From a page's path to its text."""
    found = {}
    index = [
        "# Reference", "",
        "Every public name, from its docstring: shapes, dtypes, defaults, errors, the equation with its source, and an "
        "example that runs. `help(name)` shows the same.", "",
    ]
    for group, modules in GROUPS.items():
        index += [f"## {group}", "", "| module | holds |", "|---|---|"]
        for module, (what, guide) in modules.items():
            names = documented()[module]
            index.append(f"| [`fasttrain.{module}`]({module}.md) | {what} |")
            link = f"[{guide.removesuffix('.md').replace('-', ' ')}](../{guide})"
            text = [f"# fasttrain.{module}", "", f"{what}. Guide: {link}.", "", table(module, names), ""]
            if module in LONG:
                for name in names:
                    found[page_of(module, name)] = (
                        f"::: fasttrain.{module}.{name}\n    options:\n      heading_level: 1\n")
            else:
                text += [f"::: fasttrain.{module}.{name}\n    options:\n      heading_level: 2\n" for name in names]
            found[page_of(module)] = "\n".join(text)
        index.append("")
    index += ["## The package itself", "", "Threads, instruction sets, and what this build can do.", ""]
    index += [f"::: fasttrain.{name}\n    options:\n      heading_level: 3\n" for name in TOP]
    index += ["The other names of `fasttrain` are those of the modules above; " + ", ".join(
        f"`fasttrain.{module}` has names of [`fasttrain.{same}`]({same}.md)" for module, same in SAME.items()) + "."]
    found["reference/index.md"] = "\n".join(index)
    return found


def links():
    """From a name in backticks to its place, for what is public in one module only."""
    found = {}
    for module, names in documented().items():
        if not module.startswith("keras."):
            for name in names:
                found.setdefault(name, []).append(f"fasttrain.{module}.{name}")
                found[f"fasttrain.{module}.{name}"] = [f"fasttrain.{module}.{name}"]
    return {name: places[0] for name, places in found.items()
            if len(places) == 1 and (name[0].isupper() or "." in name or "_" in name)}


# ---- what mkdocs calls ----

def on_config(config):
    reference = [{"All": "reference/index.md"}]
    for group, modules in GROUPS.items():
        section = []
        for module in modules:
            if module in LONG:
                section.append({module: [page_of(module), *(
                    {name: page_of(module, name)} for name in documented()[module])]})
            else:
                section.append({module: page_of(module)})
        reference.append({group: section})
    config.nav = [{"Reference": reference} if entry == {"Reference": "reference/index.md"} else entry
                  for entry in config.nav]


def on_files(files, config):
    from mkdocs.structure.files import File

    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))


def on_page_markdown(markdown, page, config, files):
    if page.file.src_uri.startswith("reference/"):
        return None
    known = links()

    def linked(match):
        place = known.get(match["name"].removesuffix("()"))
        return f"[{match[0]}][{place}]" if place else match[0]

    # neither in a block of code, nor in a heading, nor in a link
    parts = re.split(r"(^```.*?^```$|^#.*$|\[[^\]]*\](?:\([^)]*\)|\[[^\]]*\]))", markdown, flags=re.M | re.S)
    return "".join(part if i % 2 else re.sub(r"(?<!`)`(?P<name>[A-Za-z_][\w.]*(?:\(\))?)`(?!`)", linked, part)
                   for i, part in enumerate(parts))
