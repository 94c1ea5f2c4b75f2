"""Parameters of estimators: kept as they were given, and what several of them mean."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from fasttrain._core.locks import ModuleLock

# Class to the names of its parameters.
_names = WeakKeyDictionary()
_names_lock = ModuleLock()


def keep_parameters(estimator, given):
    """Keep parameters as they were given: ``locals()`` of ``__init__``, which must name every one of them."""
    vars(estimator).update({name: value for name, value in given.items() if name not in ("self", "__class__")})


class KeepsParameters:
    """Mixin of estimators with parameters of :func:`keep_parameters`: their names are looked up once for a class, which
    scikit-learn does whenever it clones.
    """

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters by name.

        Parameters
        ----------
        deep : bool, default=True
            Whether those of estimators among them follow, as ``name__parameter``.

        Returns
        -------
        dict
        """
        with _names_lock():
            names = _names.get(type(self))
        if names is None:
            names = tuple(super().get_params(deep=False))
            with _names_lock():
                _names[type(self)] = names
        found = {name: getattr(self, name) for name in names}
        if deep and any(hasattr(value, "get_params") for value in found.values()):
            return super().get_params(deep)
        return found


def dtypes_of(dtype):
    """What scikit-learn's ``validate_data`` may leave X in, for the parameter ``dtype``."""
    if dtype is None:
        return [np.float64, np.float32]
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = None
    if found not in (np.float32, np.float64):
        raise ValueError(f"dtype must be float32, float64 or None, got {dtype!r}")
    return found
