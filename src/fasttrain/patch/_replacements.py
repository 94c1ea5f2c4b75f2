"""Classes that stand in for scikit-learn's: fasttrain's estimators, with scikit-learn's own behind them.

A replacement answers with fasttrain's code. Where that refuses (a parameter, an input, an option it does not have), the
same call goes to scikit-learn's class, and its answer, or its error, is the answer; a line on the logger tells of it.
"""

import dis
import functools
import inspect
import logging
import sys
import types
from abc import ABCMeta

import numpy as np
from sklearn import get_config
from sklearn.utils import get_tags

from fasttrain._estimators.conversion import added_parameters, to_sklearn, with_parameters
from fasttrain._estimators.registry import SERVED
from fasttrain.patch import _account

__all__ = ["Replacement", "replacement", "replacement_class", "replacement_function"]

logger = logging.getLogger("fasttrain")

# What fasttrain's code raises where it refuses; warnings turned into errors are none of these.
_REFUSALS = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, NotImplementedError)
# What scikit-learn hangs on an estimator before it fits it.
_KEPT = ("_skl_callbacks", "_parent_callback_ctx", "_sklearn_output_config")
# Modules of the bases that both classes have; their methods call those that are replaced.
_COMMON = ("sklearn.base", "sklearn.utils", "sklearn.callback", "fasttrain._estimators")
_LEARNING = ("fit", "partial_fit", "fit_transform")


class Replacement(ABCMeta):
    """The type of replacements.

    A replacement is a subclass of both classes: fasttrain's answers first, scikit-learn's stands last in the method
    resolution order. Instances of either are instances of it.
    """

    def mro(cls):
        order = super().mro()
        stock = vars(cls).get("_stock")
        if stock is not None:
            order[-1:] = [*(base for base in stock.__mro__ if base not in order), object]
        return order

    def __new__(meta, name, bases, namespace, **options):
        if "_stock" not in namespace:
            inner = _inner_names(namespace, bases)
            if inner:
                logger.info(
                    "%s derives from scikit-learn's class, not from fasttrain's, as it uses what is private there: %s",
                    name, ", ".join(sorted(inner)),
                )
                bases = tuple(vars(base).get("_stock", base) if isinstance(base, Replacement) else base
                              for base in bases)
                metaclass, _, _ = types.prepare_class(name, bases)
                return metaclass(name, bases, namespace, **options)
        return super().__new__(meta, name, bases, namespace, **options)

    def __subclasscheck__(cls, subclass):
        own = vars(cls)
        # by the order itself: scikit-learn's abstract classes would ask their subclasses, this one among them
        if "_stock" in own and {own["_stock"], own["_fast"]} & set(getattr(subclass, "__mro__", ())):
            return True
        return super().__subclasscheck__(subclass)


def _inner_names(namespace, bases):
    """Private attributes that a class body uses and that can only be scikit-learn's own."""
    loaded, stored = set(), set(namespace)
    todo = [code for value in namespace.values() for code in _codes(value)]
    while todo:
        code = todo.pop()
        todo += [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
        for step in dis.get_instructions(code):
            if step.opname in ("LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR"):
                loaded.add(step.argval)
            elif step.opname == "STORE_ATTR":
                stored.add(step.argval)
    private = {name for name in loaded | stored if name.startswith("_") and not name.endswith("__")}
    stocks = [base._stock for base in bases if isinstance(base, Replacement)]
    return {name for name in private if name not in stored or any(hasattr(stock, name) for stock in stocks)}


def _codes(value):
    for function in (value, getattr(value, "__func__", None), *(
        getattr(value, part, None) for part in ("fget", "fset", "fdel")
    )):
        code = getattr(function, "__code__", None)
        if isinstance(code, types.CodeType):
            yield code


def replacement(name, fast, stock, module, refuse=None, **options):
    """A class of this name for ``stock``, served by ``fast``.

    ``refuse(self, method, args, kwargs)`` gives a reason, or None, for a call to go to ``stock`` that ``fast`` would
    answer. ``options`` are those of the class statement.
    """
    namespace = {
        "__module__": module, "__qualname__": name, "__doc__": fast.__doc__, "_stock": stock, "_fast": fast,
    }
    cls = Replacement(name, (fast,), namespace, **options)
    # set afterwards: set_output's wrappers are those of the inner methods, one layer of them
    for attribute in dir(cls):
        if not attribute.startswith("_"):
            served = _served(attribute, fast, stock, refuse or _nothing)
            if served is not None:
                setattr(cls, attribute, served)
    if fast.__init__ is not object.__init__:
        cls.__init__ = _constructor(fast, stock)
    cls.__sklearn_tags__ = _tags
    return cls


def _tags(self):
    """fasttrain's tags, and that other arrays than NumPy's are taken where scikit-learn's class takes them."""
    tags = super(_replacement_of(type(self)), self).__sklearn_tags__()
    tags.array_api_support = get_tags(_shadow(self)).array_api_support
    return tags


def _is_foreign_array(value):
    """Whether scikit-learn computes on this in its own library, PyTorch and the like, once that is switched on."""
    return hasattr(value, "__dlpack__") and not isinstance(value, np.ndarray)


def _constructor(fast, stock):
    @functools.wraps(fast.__init__)
    def __init__(self, *args, **kwargs):
        # classes that derive from scikit-learn's may call this by the name that was theirs
        (fast if fast in type(self).__mro__ else stock).__init__(self, *args, **kwargs)

    return __init__


def _served(name, fast, stock, refuse):
    """What takes the place of a public attribute; None where the inherited one does."""
    own = _defined(name, fast)
    theirs = _defined(name, stock)
    if own is theirs:
        return None
    found = theirs if own is None else own
    if isinstance(found, property):
        return property(functools.partial(_property, name), doc=found.__doc__)
    source = getattr(stock if own is None else fast, name)
    if not callable(source):
        return None
    method = _method(name, own, source, stock, refuse)
    if not isinstance(found, types.FunctionType):
        return _Conditional(name, method)
    return method


def _defined(name, cls):
    """The attribute as it stands in the class that defines it, if that is not one of the common bases."""
    for base in cls.__mro__:
        if name in vars(base):
            return None if base.__module__.startswith(_COMMON) or base is object else vars(base)[name]
    return None


def _property(name, self):
    if SERVED in vars(self):
        return getattr(_shadow(self), name)
    if hasattr(type(self)._fast, name):
        return getattr(super(_replacement_of(type(self)), self), name)
    return getattr(_counterpart(self, name), name)


def _replacement_of(cls):
    return next(base for base in cls.__mro__ if "_stock" in vars(base))


class _Conditional:
    """A method that is there or not by the parameters, as scikit-learn decides it, with its error."""

    def __init__(self, name, method):
        self.name = name
        self.method = method
        functools.update_wrapper(self, method)

    def __get__(self, instance, owner=None):
        if instance is None:
            return self.method
        if isinstance(type(instance), Replacement):
            getattr(_shadow(instance), self.name)
        return types.MethodType(self.method, instance)


def _nothing(self, name, args, kwargs):
    """A reason for no call."""


def _method(name, own, source, stock, refuse):
    def method(self, *args, **kwargs):
        cls = type(self)
        if not isinstance(cls, Replacement):
            return getattr(stock, name)(self, *args, **kwargs)
        with _account.measured(f"{cls.__name__}.{name}"):
            return answer(self, cls, args, kwargs)

    def answer(self, cls, args, kwargs):
        marked = SERVED in vars(self)
        if own is None or (marked and (name not in ("fit", "fit_transform") or getattr(self, "warm_start", False))):
            return _by_stock(self, name, args, kwargs)
        reason = refuse(self, name, args, kwargs)
        if name in _LEARNING and "_skl_callbacks" in vars(self) and not hasattr(cls._fast, "set_callbacks"):
            reason = "scikit-learn's callbacks are set"
        if get_config()["array_api_dispatch"] and any(map(_is_foreign_array, [*args, *kwargs.values()])):
            reason = "array_api_dispatch is on, and the arrays are not NumPy's"
        if reason is not None:
            return _by_stock(self, name, args, kwargs, ValueError(reason))
        before = (dict(vars(self)), _randomness(self)) if name in _LEARNING else None
        # what a fit calls on its way is fasttrain's again
        vars(self).pop(SERVED, None)
        try:
            return own.__get__(self, cls)(*args, **kwargs)
        except _REFUSALS as refusal:
            _restore(self, before)
            return _by_stock(self, name, args, kwargs, refusal)

    return functools.wraps(source)(method)


def _shadow(self):
    """An object of scikit-learn's class that has, and writes to, the attributes of this one."""
    shadow = object.__new__(type(self)._stock)
    shadow.__dict__ = vars(self)
    return shadow


def _counterpart(self, name):
    """A new object of scikit-learn's class with the parameters of this one and, unless it is to learn anew, what it has
    learnt."""
    if name == "fit" and not getattr(self, "warm_start", False):
        return with_parameters(type(self)._stock, self)
    return to_sklearn(self)


def _by_stock(self, name, args, kwargs, refusal=None):
    """The call on scikit-learn's class; what it learns is kept, and calls to come go there."""
    lost = ()
    if SERVED in vars(self):
        counterpart = _shadow(self)
    else:
        try:
            counterpart = _counterpart(self, name)
        except (ValueError, TypeError, AttributeError) as error:
            # a parameter or a state that scikit-learn's class does not have
            if refusal is None:
                raise
            raise refusal from error
        if refusal is not None and not _accepts(counterpart, name, args, kwargs):
            raise refusal
        # without them, only scikit-learn's error can be its answer
        lost = name in _LEARNING and added_parameters(self, type(counterpart))
        for inner in _KEPT:
            if inner in vars(self):
                vars(counterpart)[inner] = vars(self)[inner]
    result = getattr(counterpart, name)(*args, **kwargs)
    if refusal is not None and lost:
        raise refusal
    if refusal is not None:
        _account.served(f"{type(self).__name__}.{name}", refusal)
    else:
        _account.goes_on()
    if name in _LEARNING or name in ("densify", "sparsify"):
        if vars(counterpart) is not vars(self):
            _take_over(self, counterpart)
        vars(self)[SERVED] = True
    return self if result is counterpart else result


def _accepts(counterpart, name, args, kwargs):
    """Whether scikit-learn's method has every argument of this call."""
    try:
        inspect.signature(getattr(counterpart, name)).bind(*args, **kwargs)
    except (AttributeError, TypeError):
        return False
    return True


def _take_over(self, counterpart):
    if "_stock" in vars(type(self)):
        parameters = set(self.get_params(deep=False))
        for name in [name for name in vars(self) if name not in parameters and not name.startswith("__")]:
            if name.startswith("_") or name.endswith("_"):
                del vars(self)[name]
    vars(self).update(vars(counterpart))


def _randomness(self):
    """(what draws for this estimator, its state), unless a seed does."""
    given = getattr(self, "random_state", 0)
    if given is None:
        return np.random, np.random.get_state()  # noqa: NPY002  (what check_random_state(None) draws from)
    return (given, given.get_state()) if isinstance(given, np.random.RandomState) else None


def _restore(self, before):
    """Undo what a refused call has left behind."""
    if before is None:
        return
    attributes, randomness = before
    vars(self).clear()
    vars(self).update(attributes)
    if randomness is not None:
        source, state = randomness
        source.set_state(state)


def replacement_class(name, fast, stock, module):
    """A class of this name that is ``fast`` and can be told from it; for what sends on by itself what it cannot do."""
    namespace = {
        "__module__": module, "__qualname__": name, "__doc__": fast.__doc__, "_stock": stock, "_fast": fast,
    }
    cls = Replacement(name, (fast,), namespace)
    # of a search only the fit is measured: what it answers with is an estimator's
    fit = fast.fit

    @functools.wraps(fit)
    def measured(self, *args, **kwargs):
        with _account.measured(f"{type(self).__name__}.fit"):
            return fit(self, *args, **kwargs)

    cls.fit = measured
    return cls


def replacement_function(name, fast, stock, module, choose):
    """A function for ``stock`` that calls ``fast``, an object of its own so that it can be told from both.

    ``choose(fast, stock, args, kwargs)``, unless None, gives the function to call and its keyword arguments.
    """

    @functools.wraps(fast)
    def function(*args, **kwargs):
        # what fasttrain itself calls by this name is scikit-learn's
        inner = sys._getframe(1).f_globals.get("__name__", "").startswith("fasttrain.")
        if inner:
            return stock(*args, **kwargs)
        with _account.measured(name):
            return answer(args, kwargs)

    def answer(args, kwargs):
        chosen = fast
        if choose is not None:
            chosen, kwargs = choose(fast, stock, args, kwargs)
        if chosen is stock:
            _account.goes_on("it has nothing to do together here")
            return stock(*args, **kwargs)
        try:
            return chosen(*args, **kwargs)
        except (ValueError, TypeError) as refusal:
            try:
                result = stock(*args, **kwargs)
            except Exception as error:
                # scikit-learn's answer, not a failure on the way to one
                raise error from None
            _account.served(name, refusal)
            return result

    # what scikit-learn's carries: its arguments, and its decorators' marks
    function.__signature__ = inspect.signature(stock)
    vars(function).update({key: value for key, value in vars(stock).items() if key not in vars(function)})
    function.__module__ = module
    function.__qualname__ = name
    return function
