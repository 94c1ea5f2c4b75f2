"""Shared by all tests. Being here puts this folder on the path: tests import ``reference`` and ``tolerances``."""


def pytest_collection_modifyitems(config, items):
    """The full grids run only when they are asked for: ``-m exhaustive``, or any other ``-m``."""
    if config.getoption("-m"):
        return
    exhaustive = [item for item in items if item.get_closest_marker("exhaustive")]
    if exhaustive:
        config.hook.pytest_deselected(items=exhaustive)
        items[:] = [item for item in items if not item.get_closest_marker("exhaustive")]
