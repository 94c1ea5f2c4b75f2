"""Objects of one's own under names, as Keras finds them: losses, metrics and initializers take the names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_objects: dict[str, Any] = {}
# from an object's identity to it and its name: what is registered need not be hashable
_names: dict[int, tuple[Any, str]] = {}
_scoped: ContextVar[dict[str, Any]] = ContextVar("custom_objects")
_without: ContextVar[bool] = ContextVar("without_custom_objects", default=False)


class CustomObjectScope:
    """A ``with`` statement in which names stand for objects of one's own; of nested ones the innermost counts.

    Parameters
    ----------
    custom_objects : dict
        From names to functions and classes.

    Examples
    --------
    >>> import numpy as np
    >>> from fasttrain import keras
    >>> def off_by(y_true, y_pred):
    ...     return keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)
    >>> with keras.utils.CustomObjectScope({"off": off_by}):
    ...     loss = keras.losses.get("off")
    >>> loss(np.array([[1.0], [2.0]]), np.array([[0.0], [2.0]]))
    0.5
    """

    def __init__(self, custom_objects: dict[str, Any] | None) -> None:
        self.custom_objects: dict[str, Any] = dict(custom_objects or {})
        self._tokens: list[Any] = []

    def __enter__(self) -> CustomObjectScope:
        self._tokens.append(_scoped.set(self.custom_objects))
        return self

    def __exit__(self, *error: object) -> None:
        _scoped.reset(self._tokens.pop())


custom_object_scope: type[CustomObjectScope] = CustomObjectScope


def get_custom_objects() -> dict[str, Any]:
    """The dict of what is registered for the whole process; what is put into it is found by its name."""
    return _objects


def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Callable[[Any], Any]:
    """A decorator that registers a function or a class as ``package>name``.

    Models are saved without objects of one's own; the name stands for the object where a loss, a metric or an
    initializer is asked for.

    Parameters
    ----------
    package : str, default='Custom'
    name : str, default=None
        None takes the object's own.
    """

    def decorator(thing: Any) -> Any:
        if inspect.isclass(thing) and not hasattr(thing, "get_config"):
            raise ValueError(f"a class that is registered must have a method get_config, got {thing.__name__}")
        full = f"{package}>{thing.__name__ if name is None else name}"
        _objects[full] = thing
        _names[id(thing)] = thing, full
        return thing

    return decorator


def get_registered_name(obj: Any) -> str:
    """The name that an object was registered under; its own when it was not."""
    return _names[id(obj)][1] if id(obj) in _names else obj.__name__


def get_registered_object(name: str, custom_objects: dict[str, Any] | None = None,
                          module_objects: dict[str, Any] | None = None) -> Any:
    """The object of a name: of the scope, of the process, then of these dicts; None where there is none."""
    for there in (_scoped.get({}), _objects, custom_objects, module_objects):
        if there and name in there:
            return there[name]
    return None


@contextmanager
def without_custom_objects() -> Iterator[None]:
    """Names stand for no objects of one's own: what is read from a file may name any of them, and they are code."""
    token = _without.set(True)
    try:
        yield
    finally:
        _without.reset(token)


def named(identifier: Any) -> Any:
    """The object of one's own that a name stands for; all else as it is."""
    found = get_registered_object(identifier) if isinstance(identifier, str) and not _without.get() else None
    return identifier if found is None else found
