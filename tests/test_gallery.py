"""The examples of the gallery run as they stand, show what their page says, and have their figure beside them."""

import importlib.util
import xml.etree.ElementTree
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")
ROOT = Path(__file__).parent.parent
spec = importlib.util.spec_from_file_location("site_gallery", ROOT / "docs" / "tools" / "gallery.py")
gallery = importlib.util.module_from_spec(spec)
spec.loader.exec_module(gallery)

# What each shows, from the names that it leaves.
SHOWS = {
    "learning_rate_finder": lambda x: 1e-3 < x["found"].suggestion < 1.0,
    "optimizers": lambda x: (np.abs(x["paths"]["Adam"][-1] - 1).max() < 0.05
        < np.abs(x["paths"]["GradientDescent"][-1] - 1).max()),
    "l1_path": lambda x: x["zeros"][0] == 10 and x["zeros"][-1] == 0 and (np.diff(x["zeros"]) <= 1).all(),
    "early_stopping": lambda x: (x["stopped"].n_iter_ < 200 and
        x["stopped"].score(x["X_val"], x["y_val"]) > x["whole"].score(x["X_val"], x["y_val"])),
    "dropout": lambda x: len(x["scores"]) == 2 and all(score > 0.7 for score in x["scores"].values()),
    "leave_one_out": lambda x: abs(x["errors"].min() / x["slow"] - 1) < 1e-9,
    "racing_search": lambda x: x["race"].n_candidates_ == [27, 9, 3] and x["race"].best_score_ > 0.9,
    "quantile_bands": lambda x: 0.85 < x["inside"] < 0.95,
    "input_gradients": lambda x: x["model"].score(x["X"], x["y"]) > 0.95 and len(x["figure"].axes) == 10,
    "larger_than_memory": lambda x: x["scores"][-1] > x["whole"].score(x["X"], x["y"]) - 0.01 and x["blocks"] == 16,
    "patch": lambda x: np.abs(x["before"] - x["after"]).max() < 1e-10,
    "embedding": lambda x: (set(np.flatnonzero(x["truth"])) <= set(np.flatnonzero(x["w"])) and
        np.count_nonzero(x["w"]) < 30),
}


def test_every_example_is_on_the_page():
    assert sorted(gallery.NAMES) == sorted(path.stem for path in gallery.GALLERY.glob("*.py"))
    assert set(gallery.NAMES) == set(SHOWS)
    index = gallery.pages()["gallery/index.md"]
    assert all(f"({name}.md)" in index for name in gallery.NAMES)


@pytest.mark.parametrize("name", gallery.NAMES)
def test_an_example_runs(name):
    import matplotlib.pyplot as plt

    names, printed = gallery.run(name)
    assert SHOWS[name](names)
    assert printed
    assert all(ax.has_data() for ax in names["figure"].axes)
    plt.close("all")


@pytest.mark.parametrize("name", gallery.NAMES)
def test_its_page_can_be_read(name):
    title, text, code = gallery.parts(name)
    assert title
    assert text
    # at 1280 pixels, beside the navigation
    assert max(map(len, code.splitlines())) <= 80
    xml.etree.ElementTree.parse(gallery.GALLERY / f"{name}.svg")
    assert (gallery.GALLERY / f"{name}.svg").stat().st_size < 120_000
