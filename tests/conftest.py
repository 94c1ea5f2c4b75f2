"""Shared by all tests; what they import, ``reference`` and the like, is in the folder ``shared``."""

import signal

import pytest


def pytest_configure(config):
    """A shell starts background jobs with SIGINT ignored, which Python and its children inherit: the tests of Ctrl-C,
    whose fits would last for hours, need it back."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def same_handler():
    """A test that left another handler of Ctrl-C would break those after it that press it."""
    before = signal.getsignal(signal.SIGINT)
    yield
    after = signal.getsignal(signal.SIGINT)
    if after is not before:
        signal.signal(signal.SIGINT, before)
        pytest.fail(f"the handler of SIGINT was {before} and is {after}")


def pytest_collection_modifyitems(config, items):
    """The full grids run only when they are asked for: ``-m exhaustive``, or any other ``-m``. Long tests come first:
    processes that share the tests end together then."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
    moving = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if moving:
        raise pytest.UsageError(f"pytest-xdist needs the same names in each process, got {moving[0]}: "
                                "ids=identifiers.without_address")
    if config.getoption("-m"):
        return
    exhaustive = [item for item in items if item.get_closest_marker("exhaustive")]
    if exhaustive:
        config.hook.pytest_deselected(items=exhaustive)
        items[:] = [item for item in items if not item.get_closest_marker("exhaustive")]
