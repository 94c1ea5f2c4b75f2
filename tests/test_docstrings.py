"""The examples in the docstrings of every module run, and every public name has a docstring."""

import doctest
import importlib
import inspect
import pkgutil
import warnings

import pytest

import fasttrain

# Not imported: it runs the command line.
NAMES = sorted(
    module.name
    for module in pkgutil.walk_packages(fasttrain.__path__, "fasttrain.")
    if module.name != "fasttrain.__main__"
)
PUBLIC = [name for name in NAMES if not any(part.startswith("_") for part in name.split("."))]


def test_there_are_modules():
    assert len(PUBLIC) >= 15
    assert any(name.startswith("fasttrain._kernels.") for name in NAMES)


def examples(module):
    """The docstrings with examples, those of methods too of a class that is written elsewhere and published here, which
    doctest takes for neither module's.
    """
    finder = doctest.DocTestFinder()
    found = finder.find(module)
    for name, thing in vars(module).items():
        if inspect.isclass(thing) and thing.__module__ == module.__name__:
            for method, function in vars(thing).items():
                function = getattr(function, "__func__", function)
                if inspect.isfunction(function):
                    found += finder.find(
                        function, f"{module.__name__}.{name}.{method}", module=False, globs=vars(module).copy())
    return {test.name: test for test in found if test.examples}


@pytest.mark.parametrize("name", NAMES)
def test_examples_run(name):
    runner = doctest.DocTestRunner()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for test in examples(importlib.import_module(name)).values():
            runner.run(test)
    assert runner.failures == 0


def test_there_are_examples():
    found = {name: examples(importlib.import_module(name)) for name in PUBLIC}
    for name in ("losses", "optimizers", "penalties", "schedules", "descent", "linear_model", "persistence"):
        assert found[f"fasttrain.{name}"], name
    assert "fasttrain.data.Blocks.map" in found["fasttrain.data"]


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_are_documented(name):
    module = importlib.import_module(name)
    assert inspect.getdoc(module)
    for public in getattr(module, "__all__", ()):
        thing = getattr(module, public)
        if (inspect.isclass(thing) or inspect.isfunction(thing)) and thing.__module__.startswith("fasttrain"):
            assert thing.__doc__, f"{name}.{public}"
            if inspect.isclass(thing):
                for method, function in vars(thing).items():
                    if inspect.isfunction(function) and not method.startswith("_"):
                        assert inspect.getdoc(getattr(thing, method)), f"{name}.{public}.{method}"
