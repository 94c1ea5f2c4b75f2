"""What Keras's objects share: they are found by Keras's names, and made again from their configurations."""

from __future__ import annotations

from typing import Any

from fasttrain._core.registry import Registry


def registry(what, base):
    """The registry of one kind of Keras's objects, ``base`` the class of them all."""
    return Registry(what, base, "an object of fasttrain.keras", configured=True)


class Configured:
    """An object that can be made again from the arguments it was made with."""

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same object, by their names."""
        return dict(self._config)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The object that :meth:`get_config` described."""
        return cls(**config)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items() if value is not None)
        return f"{type(self).__name__}({shown})"


def serialized(thing: Any) -> Any:
    """``thing`` as a name and its configuration, both plain data; None stays None."""
    return None if thing is None else {"class_name": type(thing).__name__, "config": thing.get_config()}


def is_of(module, thing):
    """Whether the class of a thing is one that a module has under its name."""
    kind = type(thing)
    return kind.__name__ in module.__all__ and kind is getattr(module, kind.__name__)


def deserializer(get):
    """A module's ``deserialize``, from its ``get``."""
    def deserialize(config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        """The object of a name, or of what ``serialize`` gave; ``custom_objects`` must be None."""
        if custom_objects:
            raise ValueError(f"custom_objects must be None, got {custom_objects!r}")
        return get(config)

    return deserialize
