"""The reference on the site leaves no public name out, and what it shows is complete."""

import importlib
import importlib.util
import inspect
import re
from pathlib import Path

import pytest

import fasttrain
from fasttrain import keras

ROOT = Path(__file__).parent.parent
MODULES = [*fasttrain._SUBMODULES, *(f"keras.{name}" for name in keras._MODULES)]


def load():
    spec = importlib.util.spec_from_file_location("site_reference", ROOT / "docs" / "tools" / "reference.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


reference = load()
PAGES = reference.pages()
SHOWN = re.compile(r"^::: (fasttrain[\w.]+)$", re.M)


def test_every_public_module_has_its_place():
    grouped = [module for modules in reference.GROUPS.values() for module in modules]
    assert len(grouped) == len(set(grouped))
    assert set(MODULES) <= {*grouped, *reference.SAME}
    for module, same in reference.SAME.items():
        if module != "keras":
            names = {name for name in importlib.import_module(f"fasttrain.{module}").__all__ if name[0].isupper()}
            assert names <= set(importlib.import_module(f"fasttrain.{same}").__all__) | {
                "CLASSIFIER_LOSSES", "REGRESSION_LOSSES", "Checkpoint"}


def test_every_public_name_is_on_a_page():
    shown = {name for text in PAGES.values() for name in SHOWN.findall(text)}
    for modules in reference.GROUPS.values():
        for module in modules:
            loaded = importlib.import_module(f"fasttrain.{module}")
            page = PAGES[reference.page_of(module)]
            for name in loaded.__all__:
                thing = getattr(loaded, name)
                if not reference.is_ours(thing) or reference.is_another(loaded, name):
                    assert f"`{name}`" in page, f"{module}.{name}"
                else:
                    assert f"fasttrain.{module}.{name}" in shown, f"{module}.{name}"
    for name in fasttrain.__all__:
        thing = getattr(fasttrain, name)
        if not inspect.ismodule(thing) and name != "__version__":
            assert f"fasttrain.{name}" in shown or any(place.endswith(f".{name}") for place in shown), name


def test_a_name_that_is_left_out_is_noticed(monkeypatch):
    losses = importlib.import_module("fasttrain.losses")
    reference.documented.cache_clear()
    monkeypatch.setattr(losses, "__all__", [name for name in losses.__all__ if name != "Huber"])
    assert "fasttrain.losses.Huber" not in SHOWN.findall(reference.pages()["reference/losses.md"])
    reference.documented.cache_clear()


def test_pages_link_to_guides_that_exist():
    for text in PAGES.values():
        for guide in re.findall(r"\]\(\.\./([\w-]+\.md)\)", text):
            assert (ROOT / "docs" / guide).exists(), guide


def public_methods():
    """(name, function) of every public function, and of the methods of every public class that fasttrain defines."""
    seen = set()
    for module, names in reference.documented().items():
        loaded = importlib.import_module(f"fasttrain.{module}")
        for name in names:
            thing = getattr(loaded, name)
            found = [(name, thing)] if inspect.isfunction(thing) else []
            if inspect.isclass(thing):
                found = [(f"{cls.__name__}.{method}", getattr(thing, method))
                         for cls in thing.__mro__ if cls.__module__.startswith("fasttrain")
                         for method, member in vars(cls).items()
                         if not method.startswith("_") and inspect.isfunction(getattr(member, "__func__", member))]
            for where, function in found:
                function = inspect.unwrap(function)
                if where not in seen:
                    seen.add(where)
                    yield pytest.param(function, id=f"{module}.{where}")


@pytest.mark.parametrize("function", list(public_methods()))
def test_methods_say_what_they_take(function):
    said = inspect.getdoc(function) or inspect.getdoc(getattr(function, "__func__", function)) or ""
    assert said
    first = said.partition("\n")[0]
    assert not re.match(r"(?:As|Like|Same as) (?:for |in )?:?\w*:?`", first), first


# What users call; hooks and the engine's own interface say it in a sentence.
CALLED = ("linear_model", "neural_network", "descent", "preprocessing", "model_selection", "losses", "inspection",
          "plotting", "persistence", "interop", "patch", "rate_finder")


@pytest.mark.parametrize("function", [each for each in public_methods() if each.id.partition(".")[0] in CALLED
                                      and ".Stochastic" not in each.id])
def test_what_users_call_describes_its_parameters(function):
    taken = [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]
    if taken:
        assert re.search(r"^Parameters\n-+$", inspect.getdoc(function), re.M)
