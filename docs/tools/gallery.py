"""Draws the figures of the gallery: ``python docs/tools/gallery.py [NAME ...]``.

An example is a script of ``docs/gallery``: a docstring whose first line is its title, and code that leaves a
``figure``. The site shows the text, the code, what it prints and the figure, which is kept beside it as SVG.
"""

import contextlib
import io
import os
import re
import sys
from pathlib import Path

GALLERY = Path(__file__).parents[1] / "gallery"
# In the order of the page. Colours that can be read on white and on black.
NAMES = ("learning_rate_finder", "optimizers", "l1_path", "early_stopping", "dropout", "leave_one_out",
         "racing_search", "quantile_bands", "input_gradients", "larger_than_memory", "patch", "embedding")
STYLE = {
    "figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "none", "legend.framealpha": 0.0,
    "text.color": "#7f8891", "axes.labelcolor": "#7f8891", "axes.edgecolor": "#7f8891", "xtick.color": "#7f8891",
    "ytick.color": "#7f8891", "axes.titlecolor": "#7f8891", "legend.labelcolor": "#7f8891",
    "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "fasttrain",
    "figure.constrained_layout.use": True,
    "axes.prop_cycle": "cycler('color', ['#1f9e89', '#d9832e', '#7b6bd6', '#d62f6b', '#5b9bd5', '#9a9a2f'])",
}


def parts(name):
    """(title, text, code) of an example."""
    text, code = re.fullmatch(r'"""(.*?)"""\n+(.*)', (GALLERY / f"{name}.py").read_text(), re.S).groups()
    title, _, text = text.partition("\n\n")
    return title, text.strip(), code


def run(name):
    """(names that it leaves, what it prints)."""
    os.environ.setdefault("MPLBACKEND", "Agg")
    import matplotlib as mpl

    path = GALLERY / f"{name}.py"
    out, names = io.StringIO(), {"__name__": "__main__"}
    with mpl.rc_context(STYLE), contextlib.redirect_stdout(out):
        exec(compile(path.read_text(), str(path), "exec"), names)
    return names, out.getvalue()


def draw(name):
    import matplotlib.pyplot as plt

    names, printed = run(name)
    names["figure"].savefig(GALLERY / f"{name}.svg", metadata={"Date": None})
    (GALLERY / f"{name}.txt").write_text(printed)
    plt.close("all")
    return printed


def pages():
    """From a page's path to its text."""
    found = {}
    index = ["# Gallery", "", "Each runs as it stands, in seconds.", "", '<div class="grid cards" markdown>', ""]
    for name in NAMES:
        title, text, code = parts(name)
        printed = (GALLERY / f"{name}.txt").read_text()
        code = f"```python\n{code.rstrip()}\n```\n\n```text\n{printed}```\n"
        found[f"gallery/{name}.md"] = f"# {title}\n\n{text}\n\n![{title}]({name}.svg)\n\n{code}"
        index += [f"-   [![{title}]({name}.svg)]({name}.md)", "", f"    [{title}]({name}.md)", ""]
    found["gallery/index.md"] = "\n".join([*index, "</div>", ""])
    return found


def on_files(files, config):
    """An mkdocs hook."""
    from mkdocs.structure.files import File

    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))


if __name__ == "__main__":
    for each in sys.argv[1:] or NAMES:
        print(f"{each}: {draw(each)}", end="")
