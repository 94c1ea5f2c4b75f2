"""What the specs share: fields that check themselves, a repr that can be read back, registries by name."""

from dataclasses import MISSING, dataclass, field, fields
from difflib import get_close_matches

import numpy as np

from fasttrain._core.checks import check_integer, check_real

spec = dataclass(frozen=True, repr=False)


class Spec:
    """A frozen, hashable, picklable value whose fields are checked when it is made."""

    def __post_init__(self):
        for f in fields(self):
            check = f.metadata.get("check")
            if check is not None:
                value = check(getattr(self, f.name), f"{f.name} of {type(self).__name__}")
                object.__setattr__(self, f.name, value)

    def __repr__(self):
        shown = []
        for f in sorted(fields(self), key=lambda f: f.kw_only):
            value = getattr(self, f.name)
            if not f.kw_only or f.default is MISSING or value != f.default:
                shown.append(f"{f.name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


def _field(default, check, kw_only):
    return field(default=default, kw_only=kw_only, metadata={"check": check})


def real(default, *, kw_only=False, **interval):
    """A field that holds a finite float in an interval; ``interval`` as for :func:`check_real`."""
    return _field(default, lambda value, name: check_real(value, name, **interval), kw_only)


def integer(default, *, low, optional=False, kw_only=False):
    """A field that holds an int of at least ``low``."""

    def check(value, name):
        return check_integer(value, name, low=low, optional=optional)

    return _field(default, check, kw_only)


def boolean(default, *, kw_only=False):
    """A field that holds True or False."""

    def check(value, name):
        if not isinstance(value, (bool, np.bool_)):
            raise TypeError(f"{name} must be True or False, got {value!r}")
        return bool(value)

    return _field(default, check, kw_only)


def choice(default, accepted, *, kw_only=False):
    """A field that holds one of some strings."""

    def check(value, name):
        if not isinstance(value, str) or value not in accepted:
            kind = ValueError if isinstance(value, str) else TypeError
            raise kind(f"{name} must be one of {', '.join(map(repr, accepted))}, got {value!r}")
        return str(value)

    return _field(default, check, kw_only)


class Registry:
    """Specs of one kind by name.

    Parameters
    ----------
    what : str
        What messages call a member, with its article: ``"a loss"``.
    base : type
        The class of all members.
    default : str, optional
        The name that None stands for.
    """

    def __init__(self, what, base, default=None):
        self.what = what
        self.base = base
        self.default = default
        self._makers = {}
        self.names = ()

    def add(self, name, *aliases):
        """Class decorator: register under ``name``, the one that messages list, and under ``aliases``."""

        def register(maker):
            self.names = (*self.names, name)
            self.alias(maker, name, *aliases)
            return maker

        return register

    def alias(self, maker, *names):
        """Let ``names`` stand for ``maker()``."""
        for name in names:
            if name in self._makers:
                raise ValueError(f"{name!r} is registered twice")
            self._makers[name] = maker

    def get(self, spec):
        """The spec that ``spec`` stands for: itself, the default of a class, or the default of a name."""
        if isinstance(spec, self.base):
            return spec
        if spec is None and self.default is not None:
            return self._makers[self.default]()
        if isinstance(spec, str):
            maker = self._makers.get(spec) or self._makers.get(spec.lower())
            if maker is not None:
                return maker()
            close = get_close_matches(spec.lower(), self._makers, n=1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise ValueError(f"{self._accepted()}, got {spec!r}{hint}")
        if isinstance(spec, type) and issubclass(spec, self.base) and spec in self._makers.values():
            return spec()
        raise TypeError(f"{self._accepted()}, got {spec!r}")

    def _accepted(self):
        none = "None, " if self.default is not None else ""
        noun = self.what.split(" ", 1)[1]
        return f"{noun} must be {none}{self.what} of fasttrain or one of the names {', '.join(self.names)}"
