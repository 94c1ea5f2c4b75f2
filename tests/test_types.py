"""Signatures say what they take: the names in their literals are those that the registries answer to."""

import importlib
import importlib.resources
import inspect
import typing

import pytest

import fasttrain
from fasttrain import activations, keras, losses, optimizers, penalties, schedules
from fasttrain._core import types

MODULES = [f"fasttrain.{name}" for name in (*fasttrain._SUBMODULES, *(f"keras.{name}" for name in keras._MODULES))]
VOCABULARY = {
    "LossName": losses, "ActivationName": activations, "OptimizerName": optimizers, "PenaltyName": penalties,
    "ScheduleName": schedules,
}


@pytest.mark.parametrize("name", VOCABULARY)
def test_names_are_those_of_the_registry(name):
    written = typing.get_args(getattr(types, name))
    module = VOCABULARY[name]
    for each in written:
        assert module.get(each) is not None
    assert set(module.names()) <= set(written)
    # the names that a message lists are one thing, all that are answered another
    registry = next(value for file in (module, getattr(module, "_specs", module)) for value in vars(file).values()
                    if type(value).__name__ == "Registry")
    assert set(written) == set(registry._makers)


def functions(thing):
    """(name, function) of a public function, or of what a public class defines itself."""
    if inspect.isfunction(thing):
        yield thing.__name__, thing
    elif inspect.isclass(thing):
        for name, member in vars(thing).items():
            member = getattr(member, "__func__", member)
            member = member.fget if isinstance(member, property) else member
            if inspect.isfunction(member) and (name == "__init__" or not name.startswith("_")):
                yield f"{thing.__name__}.{name}", inspect.unwrap(member)


@pytest.mark.parametrize("name", MODULES)
def test_public_signatures_are_annotated(name):
    module = importlib.import_module(name)
    for public in module.__all__:
        thing = getattr(module, public)
        if not getattr(thing, "__module__", "").startswith("fasttrain"):
            continue
        for where, function in functions(thing):
            if function.__module__.startswith("fasttrain"):
                signature = inspect.signature(function)
                bare = [each.name for each in signature.parameters.values()
                        if each.annotation is each.empty and each.name not in ("self", "cls")]
                assert not bare, where
                assert signature.return_annotation is not signature.empty, where


@pytest.mark.parametrize("name", ["fasttrain", *MODULES])
def test_completion_offers_public_names_only(name):
    module = importlib.import_module(name)
    shown = set(dir(module))
    if name == "fasttrain.patch":  # pytest finds the hooks of a plugin by dir()
        assert set(module.__all__) <= shown
    else:
        assert shown == set(module.__all__)


def test_the_stub_has_what_the_package_has():
    with open(importlib.resources.files("fasttrain").joinpath("__init__.pyi")) as stub:
        text = stub.read()
    for name in fasttrain.__all__:
        assert f" as {name}" in text or f"def {name}(" in text or f"{name}: " in text, name
