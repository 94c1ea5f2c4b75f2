"""The kernels' C functions by address, for ctypes, Numba, cffi and whatever else calls a pointer.

Cython code needs none of this: ``from fasttrain._kernels.updates cimport adam_step``. What the functions take stands in
``_kernels/*.pxd``; ``docs/embedding.md`` has examples of both.

Examples
--------
>>> import numpy as np
>>> from fasttrain import embedding
>>> embedding.signature("penalties", "penalty_prox_array", "float64")
'int (double *, Py_ssize_t, double, double)'
>>> prox = embedding.function("penalties", "penalty_prox_array", "float64")
>>> w = np.array([3.0, -0.5, -2.0])
>>> prox(w.ctypes.data, w.size, 1.0, 0.0)
0
>>> w
array([ 2.,  0., -1.])
"""

from __future__ import annotations

import ctypes
import importlib
import re
from typing import Any, Literal

from fasttrain._core.public import publish

__all__ = ["INTERFACE_VERSION", "MODULES", "address", "function", "signature", "signatures"]

# Raised when a signature or a struct of MODULES is changed or taken away, and noted in the changelog.
INTERFACE_VERSION = 1

# Modules whose C functions keep their signatures; the others' may change from one version to the next.
MODULES = (
    "activations", "categories", "columns", "dense", "losses", "penalties", "quantiles", "rows", "threads", "updates",
)

_FUSED = "__pyx_fuse_"

_C_TYPES = {"float32": "float", "float64": "double", "int32": "int32_t", "int64": "int64_t"}

_CTYPES = {
    "void": None,
    "int": ctypes.c_int,
    "float": ctypes.c_float,
    "double": ctypes.c_double,
    "Py_ssize_t": ctypes.c_ssize_t,
    "int32_t": ctypes.c_int32,
    "int64_t": ctypes.c_int64,
    "uint8_t": ctypes.c_uint8,
}

_get_name = ctypes.pythonapi.PyCapsule_GetName
_get_name.restype = ctypes.c_char_p
_get_name.argtypes = [ctypes.py_object]
_get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_get_pointer.restype = ctypes.c_void_p
_get_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]


def _capsules(module):
    if not re.fullmatch(r"[a-z]\w*", str(module)):
        raise ValueError(f"module must be one of {', '.join(MODULES)}, got {module!r}")
    try:
        found = importlib.import_module(f"fasttrain._kernels.{module}")
    except ModuleNotFoundError:
        raise ValueError(f"module must be one of {', '.join(MODULES)}, got {module!r}") from None
    return getattr(found, "__pyx_capi__", {})


def _plain(text):
    """A C type list with ``const`` before its type and no names of Cython's making."""
    text = re.sub(r"\bstruct __pyx_t_\w*?_kernels_\d+[a-z]+_(\w+)", r"\1", text)
    text = re.sub(r"\benum __pyx_e_\w*?_kernels_\d+[a-z]+_(\w+)", r"\1", text)
    return re.sub(r"\b(\w+) const\b", r"const \1", text)


def _names(capsules):
    """From each function's name to its specialisations, the functions with fused types having several."""
    names = {}
    for key in sorted(capsules):
        match = re.fullmatch(r"(?:__pyx_fuse_[\d_]+)?([a-z]\w*)", key)
        if match and b"(" in _get_name(capsules[key]):
            names.setdefault(match[1], []).append(key)
    return names


def signatures(module: str) -> dict[str, str]:
    """C signatures of all functions of a module.

    Parameters
    ----------
    module : str
        One of ``MODULES``.

    Returns
    -------
    dict
        From each name to its signature, or for functions of several types to a list of them, in the order of the
        fused type (float, then double).

    Raises
    ------
    ValueError
        When there is no such module.
    """
    capsules = _capsules(module)
    found = {}
    for name, keys in _names(capsules).items():
        texts = [_plain(_get_name(capsules[key]).decode()) for key in keys]
        found[name] = texts if keys[0].startswith(_FUSED) else texts[0]
    return found


def _capsule(module, name, dtype):
    capsules = _capsules(module)
    names = _names(capsules)
    keys = names.get(name)
    if keys is None:
        raise ValueError(f"name must be one of {', '.join(sorted(names)) or 'none'} in {module}, got {name!r}")
    texts = [_plain(_get_name(capsules[key]).decode()) for key in keys]
    if not keys[0].startswith(_FUSED):
        if dtype is not None:
            raise ValueError(f"{module}.{name} has one type only: dtype must be None, got {dtype!r}")
        return capsules[keys[0]], texts[0]
    word = _C_TYPES.get(str(dtype))
    # The specialisation of a type is the one that names it most: all have doubles and int64 among their scalars.
    counts = [len(re.findall(rf"\b{word}\b", text)) for text in texts]
    if word is None or max(counts) == 0 or counts.count(max(counts)) > 1:
        took = [dtype for dtype, word in _C_TYPES.items() if any(f"{word} *" in text for text in texts)]
        raise ValueError(f"dtype of {module}.{name} must be one of {', '.join(took)}, got {dtype!r}")
    number = counts.index(max(counts))
    return capsules[keys[number]], texts[number]


def signature(module: str, name: str, dtype: Literal["float32", "float64", "int32", "int64"] | None = None) -> str:
    """C signature of one function, such as ``'int (double *, Py_ssize_t, double, double)'``.

    Parameters
    ----------
    module, name : str
        As in ``from fasttrain._kernels.<module> cimport <name>``.
    dtype : {'float32', 'float64', 'int32', 'int64'}, default=None
        Which version of a function with several types; None for one that has a single one.

    Raises
    ------
    ValueError
        When there is no such module, function or version of it.
    """
    return _capsule(module, name, dtype)[1]


def address(module: str, name: str, dtype: Any = None) -> int:
    """Address of one function, for instance for ``ctypes.CFUNCTYPE`` or a Numba function type.

    The function needs no GIL, raises nothing and answers with a status; 0 is success. The address is good as long as
    the process lives.

    Parameters
    ----------
    module, name, dtype
        As for :func:`signature`.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        As for :func:`signature`.
    """
    capsule, _ = _capsule(module, name, dtype)
    return _get_pointer(capsule, _get_name(capsule))


def function(module: str, name: str, dtype: Any = None) -> Any:
    """One function as a ctypes function, which lets go of the GIL while it runs.

    Arguments are numbers; for a pointer the address of an array (``array.ctypes.data``), or None for NULL. Nothing is
    checked: a wrong address or size ends the process at best.

    Parameters
    ----------
    module, name, dtype
        As for :func:`signature`.

    Raises
    ------
    ValueError
        As for :func:`signature`.
    """
    text = signature(module, name, dtype)
    result, arguments = re.fullmatch(r"(.+?) \((.*)\)", text).groups()
    types = [ctypes.c_void_p if "*" in each else _CTYPES[each.strip()] for each in arguments.split(",")]
    return ctypes.CFUNCTYPE(_CTYPES[result], *types)(address(module, name, dtype))

publish(globals())
