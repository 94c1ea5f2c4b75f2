"""From names to objects, in one way for every kind."""

from difflib import get_close_matches


class Registry:
    """Objects of one kind by name.

    Parameters
    ----------
    what : str
        What messages call the argument: ``"loss"``.
    base : type
        The class of all members.
    member : str
        What messages call a member: ``"a loss of fasttrain"``.
    default : str, optional
        The name that None stands for.
    configured : bool, default=False
        Whether the members are Keras's: named by their classes too, made from configurations, and of a caller's own
        classes.
    """

    def __init__(self, what, base, member, *, default=None, configured=False):
        self.what = what
        self.base = base
        self.member = member
        self.default = default
        self.configured = configured
        self._makers = {}
        self._known = {}
        self.names = ()

    def add(self, name, *aliases):
        """Class decorator: register under ``name``, the one that messages list, and under ``aliases``."""

        def register(maker):
            self.names = (*self.names, name)
            self.alias(maker, name, *([maker.__name__] if self.configured else []), *aliases)
            return maker

        return register

    def alias(self, maker, *names):
        """Let ``names`` stand for ``maker()``."""
        for name in names:
            if name in self._makers:
                raise ValueError(f"{name!r} is registered twice")
            self._makers[name] = maker

    def get(self, identifier):
        """The object that ``identifier`` stands for: itself, the default of a class or of a name, or a configuration's.

        Raises
        ------
        ValueError, TypeError
            For anything else; the message lists the names.
        """
        if isinstance(identifier, self.base):
            return identifier
        if identifier is None and self.default is not None:
            identifier = self.default
        if isinstance(identifier, str):
            return self._made(identifier)
        if isinstance(identifier, type) and issubclass(identifier, self.base) and self._makes(identifier):
            return identifier()
        if self.configured and isinstance(identifier, dict) and set(identifier) >= {"class_name", "config"}:
            return self._maker(identifier["class_name"]).from_config(identifier["config"])
        raise TypeError(f"{self._accepted()}, got {identifier!r}")

    def _made(self, name):
        """The object of a name; specs are values, of which one serves for all."""
        made = self._known.get(name)
        if made is None:
            made = self._maker(name)()
            if not self.configured:
                self._known[name] = made
        return made

    def _makes(self, kind):
        # a base class of the specs is no spec
        return self.configured or kind in self._makers.values()

    def _maker(self, name):
        lower = str(name).lower()
        maker = self._makers.get(name) or self._makers.get(lower)
        if maker is None:
            close = get_close_matches(lower, self._makers, n=1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise ValueError(f"{self._accepted()}, got {name!r}{hint}")
        return maker

    def _accepted(self):
        none = "None, " if self.default is not None else ""
        return f"{self.what} must be {none}{self.member} or one of the names {', '.join(self.names)}"
