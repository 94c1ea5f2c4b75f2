"""What the makers of sources that read tables have in common."""

import difflib
import importlib

import numpy as np


def needs(module, what):
    """The module, or an ImportError that says how to get it."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ImportError(f"{what} needs pyarrow: pip install 'fasttrain[parquet]'") from None


def require_column(name, argument, known, place):
    """ValueError, with the nearest name, unless a table has the column."""
    if not isinstance(name, str):
        raise TypeError(f"{argument} must be the name of a column, got {name!r}")
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; its columns are {', '.join(map(repr, known[:20]))}"
        raise ValueError(f"{argument} names the column {name!r}, which {place} lacks{hint}")


def feature_names(columns, target, sample_weight, known, place):
    """Names of the columns of X, all names checked."""
    twice = sorted({name for name in known if list(known).count(name) > 1}) if len(set(known)) < len(known) else []
    if twice:
        raise ValueError(f"{place} has the column {twice[0]!r} twice")
    if not (target is None or isinstance(target, (str, list, tuple))):
        raise TypeError(f"target must be the name of a column or a list of them, got {target!r}")
    targets = [] if target is None else [target] if isinstance(target, str) else list(target)
    if target is not None and not targets:
        raise ValueError("target must name at least one column, got an empty list")
    for name in targets:
        require_column(name, "target", known, place)
    if len(set(targets)) < len(targets):
        raise ValueError(f"target must name each column once, got {targets}")
    if sample_weight is not None:
        require_column(sample_weight, "sample_weight", known, place)
        if sample_weight in targets:
            raise ValueError(f"sample_weight must be another column than the target, got {sample_weight!r} for both")
    others = {*targets, *([sample_weight] if sample_weight is not None else [])}
    if columns is None:
        names = [name for name in known if name not in others]
    else:
        if isinstance(columns, str):
            raise TypeError(f"columns must be a list of names, got {columns!r}")
        names = list(columns)
        for name in names:
            require_column(name, "columns", known, place)
            if name in others:
                raise ValueError(f"columns must leave out the target and the weights, got {name!r}")
    if not names:
        raise ValueError(f"{place} has no column but the target")
    return names


def chosen_dtype(dtype, kinds, place, is_number, dtype_of):
    """The dtype of X; None for a table."""
    text = [name for name, kind in kinds.items() if not is_number(kind)]
    if dtype is None:
        return None if text else dtype_of(list(kinds.values()))
    if isinstance(dtype, str) and dtype == "table":
        return None
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = None
    if found not in (np.float32, np.float64):
        raise ValueError(f"dtype must be 'float32', 'float64', 'table' or None, got {dtype!r}")
    if text:
        raise ValueError(
            f"the column {text[0]!r} of {place} holds {kinds[text[0]]}, where numbers are asked for: leave it out of "
            "columns, or pass dtype='table' for a TablePreprocessor")
    return found
