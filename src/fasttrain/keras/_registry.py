"""From Keras's names to objects, in one way for every kind."""

from difflib import get_close_matches


class Registry:
    """Objects of one kind by Keras's names for them.

    Parameters
    ----------
    what : str
        What messages call the argument: ``"loss"``.
    base : type
        The class of all members.
    """

    def __init__(self, what, base):
        self.what = what
        self.base = base
        self.makers = {}
        self.listed = []

    def add(self, name, *aliases):
        """Decorator: register a class, or a function without arguments, under its class name and these names."""

        def register(maker):
            self.listed.append(name)
            for key in dict.fromkeys((name, maker.__name__, *aliases)):
                self.makers[key] = maker
            return maker

        return register

    def get(self, identifier):
        """The object that a name, a class, a configuration or the object itself stands for."""
        if isinstance(identifier, self.base):
            return identifier
        if isinstance(identifier, type) and issubclass(identifier, self.base):
            return identifier()
        if isinstance(identifier, dict) and set(identifier) >= {"class_name", "config"}:
            return self.get_class(identifier["class_name"]).from_config(identifier["config"])
        if isinstance(identifier, str):
            return self.get_class(identifier)()
        raise TypeError(f"{self.what} must be {self.accepted()}, got {identifier!r}")

    def get_class(self, name):
        maker = self.makers.get(name) or self.makers.get(str(name).lower())
        if maker is None:
            close = get_close_matches(str(name).lower(), self.makers, n=1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise ValueError(f"{self.what} must be {self.accepted()}, got {name!r}{hint}")
        return maker

    def accepted(self):
        return f"an object of fasttrain.keras or one of the names {', '.join(self.listed)}"


class Configured:
    """An object that can be made again from the arguments it was made with."""

    def get_config(self):
        """The arguments that make the same object, by their names."""
        return dict(self._config)

    @classmethod
    def from_config(cls, config):
        """The object that :meth:`get_config` described."""
        return cls(**config)

    def __repr__(self):
        shown = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items() if value is not None)
        return f"{type(self).__name__}({shown})"


def serialized(thing):
    """``thing`` as a name and its configuration, both plain data; None stays None."""
    return None if thing is None else {"class_name": type(thing).__name__, "config": thing.get_config()}
