"""What a public module shows: the names in its ``__all__``, found on it whichever file defines them."""

from types import FunctionType


def publish(namespace):
    """Give what a module lists in ``__all__`` the module as its ``__module__``, so that files may move.

    Classes and functions that are defined in a package's own files or in a private room: pickles, messages and
    documentation then name the package. ``dir()``, and with it completion, shows what is listed and nothing else.

    Parameters
    ----------
    namespace : dict
        ``globals()`` of the module.
    """
    package = namespace["__name__"]
    for name in namespace["__all__"]:
        thing = namespace[name]
        if isinstance(thing, (type, FunctionType)) and thing.__name__ == name and _is_inner(thing.__module__, package):
            thing.__module__ = package
    namespace["__dir__"] = lambda: sorted(namespace["__all__"])


def _is_inner(module, package):
    return module.startswith(f"{package}.") or (module.startswith("fasttrain.") and "._" in module)
