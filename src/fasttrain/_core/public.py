"""Where a public name is found: on its package, whichever of its files defines it."""

from types import FunctionType


def publish(namespace):
    """Give what a package lists in ``__all__`` the package as its ``__module__``, so that files may move.

    Classes and functions that are defined in the package's own files or in a private room: pickles, messages and
    documentation then name the package.

    Parameters
    ----------
    namespace : dict
        ``globals()`` of the package.
    """
    package = namespace["__name__"]
    for name in namespace["__all__"]:
        thing = namespace[name]
        if isinstance(thing, (type, FunctionType)) and thing.__module__.startswith((f"{package}.", "fasttrain._")):
            thing.__module__ = package
