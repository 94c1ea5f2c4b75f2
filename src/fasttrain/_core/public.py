"""Where a public name is found: on its package, whichever of its files defines it."""

from types import FunctionType


def publish(namespace):
    """Give the classes and functions that a package lists in ``__all__`` and defines in its own files the package as
    their ``__module__``, so that the files may move: pickles, messages and documentation name the package.

    Parameters
    ----------
    namespace : dict
        ``globals()`` of the package.
    """
    package = namespace["__name__"]
    for name in namespace["__all__"]:
        thing = namespace[name]
        if isinstance(thing, (type, FunctionType)) and thing.__module__.startswith(f"{package}."):
            thing.__module__ = package
