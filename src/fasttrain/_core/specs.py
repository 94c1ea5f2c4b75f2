"""What the specs share: fields that check themselves, and a repr that can be read back."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from fasttrain._core.checks import check_choice, check_flag, check_integer, check_real


@cache
def _checks_of(kind):
    """[(field, its check, what messages call it)] of a class of specs."""
    checked = [f for f in fields(kind) if "check" in f.metadata]
    return [(f.name, f.metadata["check"], f"{f.name} of {kind.__name__}") for f in checked]


class Spec:
    """A frozen, hashable, picklable value whose fields are checked when it is made."""

    def __post_init__(self) -> None:
        for name, check, told in _checks_of(type(self)):
            object.__setattr__(self, name, check(getattr(self, name), told))

    def __repr__(self) -> str:
        shown = []
        for f in sorted(fields(self), key=lambda f: f.kw_only):
            value = getattr(self, f.name)
            if not f.kw_only or f.default is MISSING or value != f.default:
                shown.append(f"{f.name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


def _field(default, check, kw_only):
    return field(default=default, kw_only=kw_only, metadata={"check": check})


def real(*, default: Any, kw_only: bool = False, **interval: Any) -> Any:
    """A field that holds a finite float in an interval; ``interval`` as for :func:`check_real`."""
    return _field(default, lambda value, name: check_real(value, name, **interval), kw_only)


def integer(*, default: Any, low: int, optional: bool = False, kw_only: bool = False) -> Any:
    """A field that holds an int of at least ``low``."""

    def check(value, name):
        return check_integer(value, name, low=low, optional=optional)

    return _field(default, check, kw_only)


def boolean(*, default: Any, kw_only: bool = False) -> Any:
    """A field that holds True or False."""
    return _field(default, check_flag, kw_only)


def choice(*, default: Any, accepted: tuple[str, ...], kw_only: bool = False) -> Any:
    """A field that holds one of some strings."""
    return _field(default, lambda value, name: str(check_choice(value, name, accepted)), kw_only)


if TYPE_CHECKING:
    from typing_extensions import dataclass_transform

    _Class = TypeVar("_Class", bound=type)

    @dataclass_transform(frozen_default=True, field_specifiers=(real, integer, boolean, choice))
    def spec(cls: _Class) -> _Class: ...
else:
    spec = dataclass(frozen=True, repr=False)
