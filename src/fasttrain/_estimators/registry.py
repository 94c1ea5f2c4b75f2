"""What fasttrain knows of each of its estimators: each package enters its own here, beside their classes.

Conversions, searches, saved models, the patch of scikit-learn and inspection read the entries and know no estimator by
name. So a new estimator is a class and one call of :func:`enter`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fasttrain._estimators.batching import FitRules, StepRules

# In the attributes of an object of a replaced class whose fitted state is scikit-learn's.
SERVED = "_served_by_scikit_learn"

_entries = {}
_records = {}
_parts = {}
_functions = {}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One estimator; everything but the class may be left out.

    Attributes
    ----------
    cls : type
    stock : type, optional
        scikit-learn's class with the same name and parameters.
    to_stock : callable, optional
        ``to_stock(estimator)``: a new estimator of scikit-learn with the same parameters and, when it is fitted, the
        same predictions. ValueError where there is none.
    holds_estimators : bool
        Whether ``to_stock(estimator, rebuild)`` is given what converts the estimators inside.
    from_stock : mapping from type to callable
        For each class of scikit-learn that can become one of this: ``convert(estimator, cls)``.
    replaces : mapping, optional
        Given where the patch puts this class in the place of ``stock``: options of the class statement, and
        ``refuse(self, method, args, kwargs)`` with a reason, or None, for a call to go to ``stock``.
    batch : FitRules or StepRules, optional
        How a search runs many of its fits.
    saved : bool
        Whether a model of this class may be written and read.
    check : callable, optional
        Raises ValueError when a model that was read holds what the kernels could not take.
    not_saved : tuple of str
        Parameters that belong to the process: a model that was read has None.
    remade : tuple of str
        Attributes that are made anew when they are needed.
    network : callable, optional
        From a fitted model to its :class:`~fasttrain.inspection.DenseNetwork`.
    """

    cls: type
    stock: type | None = None
    to_stock: Callable | None = None
    holds_estimators: bool = False
    from_stock: Mapping[type, Callable] = field(default_factory=dict)
    replaces: Mapping | None = None
    batch: FitRules | StepRules | None = None
    saved: bool = True
    check: Callable | None = None
    not_saved: tuple = ()
    remade: tuple = ()
    network: Callable | None = None


def enter(cls, **known):
    """Enter an estimator: ``known`` are the fields of :class:`Entry` beside ``cls``."""
    _entries[cls] = Entry(cls=cls, **known)


def entries():
    """All entries, in the order in which they were made."""
    return list(_entries.values())


def entry_of_class(cls):
    """The entry of exactly this class; None without one."""
    return _entries.get(cls)


def entry_of(estimator):
    """The entry of an estimator's own class, also where it goes by scikit-learn's name; None without one."""
    return _entries.get(own_class(estimator))


def fit_rules(estimator):
    """How a batch runs many fits of this estimator; None where it does not."""
    entry = entry_of(estimator)
    return entry.batch if entry is not None and isinstance(entry.batch, FitRules) else None


def step_rules(estimator):
    """How a batch fits this transformer once for many; None where it does not."""
    entry = entry_of(estimator)
    return entry.batch if entry is not None and isinstance(entry.batch, StepRules) else None


def own_class(estimator):
    """The class of fasttrain that an estimator is of, also where it goes by scikit-learn's name; else its type."""
    cls = type(estimator)
    return vars(cls).get("_fast", cls)


def enter_record(cls, name):
    """Enter a dataclass of plain values that fitted estimators hold, under the name that it has in a file."""
    _records[name] = cls


def records():
    """From names in files to the dataclasses entered."""
    return dict(_records)


def enter_part(cls, name):
    """Enter a class of another library that fitted estimators hold, under the name that it has in a file."""
    _parts[name] = cls


def saved_classes():
    """Every class that is saved, by the name it has in a file."""
    return {**_parts, **{entry.cls.__name__: entry.cls for entry in _entries.values() if entry.saved}}


def enter_function(function, stock, choose=None):
    """Enter a function that the patch puts in the place of scikit-learn's ``stock``.

    ``choose(function, stock, args, kwargs)`` gives the one to call, and its keyword arguments; without it the function
    is always tried. What it refuses goes to ``stock``.
    """
    _functions[function] = stock, choose


def functions():
    """From functions to (scikit-learn's, choose)."""
    return dict(_functions)


def require(condition, model, names, what):
    """For ``check`` of an entry: ValueError unless the condition holds."""
    if not condition:
        raise ValueError(f"{names} of {type(model).__name__} must {what}")
