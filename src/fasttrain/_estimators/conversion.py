"""How estimators become scikit-learn's and back: the methods, the way through what holds estimators, helpers.

What is particular to a class stands beside it, in its entry of the registry.
"""

from __future__ import annotations

import copy
import inspect
import warnings
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from fasttrain._core.types import EstimatorLike
from fasttrain._estimators.parameters import KeepsParameters
from fasttrain._estimators.registry import SERVED, entries, entry_of_class, own_class
from fasttrain._estimators.releases import names_of, translated

# Of a fitted estimator, with the same meaning in both libraries.
SHARED_STATE = ("n_features_in_", "feature_names_in_", "n_iter_", "t_")
# What set_output and the requests for metadata leave, which clones keep as well.
_OPTIONS = ("_sklearn_output_config", "_metadata_request")


def added_parameters(estimator, stock):
    """Names of parameters that the stock class does not have and that are not at their defaults here."""
    fast = next(cls for cls in type(estimator).__mro__ if entry_of_class(cls) is not None)
    known = set(names_of(stock))
    return [
        name for name, parameter in inspect.signature(fast.__init__).parameters.items()
        if name != "self" and name not in known and getattr(estimator, name, parameter.default) is not parameter.default
        and getattr(estimator, name) != parameter.default
    ]


def with_parameters(cls, estimator, **changed):
    """A new ``cls`` with those parameters of ``estimator`` that it has; objects are shared, as a clone shares them."""
    given = translated(estimator, own_class(estimator), cls)
    return with_attributes(cls(**{**given, **changed}), estimator, _OPTIONS)


def with_attributes(new, old, names):
    """``new`` with copies of those of these attributes that ``old`` has, but for properties of ``new``."""
    for name in names:
        if name in vars(old) and not isinstance(getattr(type(new), name, None), property):
            setattr(new, name, copy.deepcopy(vars(old)[name]))
    return new


def fitted_names(estimator):
    """Names of the public attributes of a fit."""
    return [name for name in vars(estimator) if name.endswith("_") and not name.startswith("_")]


def by_attributes(source, target_class):
    """A conversion for classes all of whose state is public and the same."""
    return with_attributes(with_parameters(target_class, source), source, fitted_names(source))


def renamed(target_class):
    """The conversion, either way, of an estimator that holds others and differs in how it runs only."""

    def convert(source, rebuild):
        new = with_parameters(target_class, source)
        vars(new).update({name: rebuild(part) for name, part in vars(source).items()})
        for name in set(names_of(own_class(source))) - set(names_of(target_class)):
            vars(new).pop(name, None)
        return new

    return convert


def fitted_stock_network(new, model, targets, coefs, intercepts, state):
    """The stock perceptron ``new`` with these weights.

    What is private in it comes from a fit of its own: with no hidden layer, by L-BFGS, which leaves nothing else
    behind, on rows of zeros, from which it keeps what it keeps of ``targets``.
    """
    own = {name: getattr(new, name) for name in names_of(type(new))}
    if targets is None:
        targets = np.zeros((2, coefs[-1].shape[1])) if coefs[-1].shape[1] > 1 else np.zeros(2)
    new.set_params(
        hidden_layer_sizes=(), solver="lbfgs", max_iter=1, random_state=0, warm_start=False, verbose=False,
        early_stopping=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        new.fit(np.zeros((len(targets), coefs[0].shape[0])), targets)
    new.set_params(**own)
    new.coefs_, new.intercepts_ = coefs, intercepts
    new.n_layers_ = len(coefs) + 1
    with_attributes(new, model, SHARED_STATE)
    vars(new).update(copy.deepcopy(state))
    return new


class Convertible(KeepsParameters):
    """Mixin of estimators whose entry has conversions."""

    def to_sklearn(self) -> Any:
        """A stock scikit-learn estimator with the same predictions: :func:`fasttrain.interop.to_sklearn`.

        Returns
        -------
        estimator of scikit-learn
            Fitted if this one is. Nothing of it needs fasttrain, and no array is shared.
        """
        return to_sklearn(self)

    @classmethod
    def from_sklearn(cls, estimator: Any) -> EstimatorLike:
        """This class's estimator with the predictions of a stock one: :func:`fasttrain.interop.from_sklearn`.

        Parameters
        ----------
        estimator : estimator of scikit-learn

        Returns
        -------
        estimator
            Fitted if ``estimator`` is. No array is shared.
        """
        return from_sklearn(estimator, cls)


def to_sklearn(estimator: Any) -> EstimatorLike:
    """A stock scikit-learn estimator with the same predictions.

    Parameters
    ----------
    estimator : estimator, or list, tuple or dict of them
        An estimator of fasttrain, fitted or not, or one of scikit-learn that holds some: a pipeline, a column
        transformer, a search, an ensemble. Not changed.

    Returns
    -------
    estimator
        Of scikit-learn's class of the same name with the same parameters, those that it does not have left out; fitted
        as this one is. ``LinearClassifier`` becomes a ``LogisticRegression`` (margin losses: an ``SGDClassifier``,
        several labels: an ``MLPClassifier`` with no hidden layer), ``LinearRegressor`` a ``LinearRegression``,
        ``QuantileRegressor`` or ``PoissonRegressor``, as does an ``SGDRegressor`` whose loss or several outputs
        scikit-learn's does not have. It predicts the same; where training would go on from is only kept for the classes
        of the same name, and without the moments of a network's optimizer.

    Raises
    ------
    ValueError
        For a network whose activations scikit-learn's does not have.
    TypeError
        For an estimator of fasttrain that has no counterpart.
    """
    return _Rebuilder(_stock_of).rebuild(estimator)


def from_sklearn(estimator: Any, cls: type[Any] | None = None) -> EstimatorLike:
    """An estimator of fasttrain with the predictions of a stock one.

    Parameters
    ----------
    estimator : estimator of scikit-learn
        One of the classes that :func:`fasttrain.patch_sklearn` replaces, fitted or not, a linear model, or an estimator
        that holds some, whose other parts are left as they are. Not changed.
    cls : type, default=None
        The class wanted where there is a choice: ``LinearClassifier`` and ``LinearRegressor`` from stock linear models
        that have a class of the same name here.

    Returns
    -------
    estimator
        Of the class of the same name where fasttrain has one; other linear models become ``LinearClassifier`` and
        ``LinearRegressor`` with their coefficients, their penalties are not carried over.

    Raises
    ------
    TypeError
        When there is nothing in ``estimator`` that fasttrain has, or not as ``cls``.
    """
    if cls is not None:
        for stock in type(estimator).__mro__:
            for entry in entries():
                if stock in entry.from_stock and issubclass(cls, entry.cls):
                    return entry.from_stock[stock](estimator, cls)
        raise TypeError(f"{cls.__name__} cannot be made from a {type(estimator).__name__}")
    rebuilder = _Rebuilder(_fast_of)
    new = rebuilder.rebuild(estimator)
    if not rebuilder.converted:
        raise TypeError(f"fasttrain has nothing in place of a {type(estimator).__name__}")
    return new


def _stock_of(estimator):
    """The conversion for this estimator, None where there is nothing to convert."""
    if SERVED in vars(estimator):
        return lambda source, rebuild: _unveiled(source)
    for cls in type(estimator).__mro__:
        entry = entry_of_class(cls)
        if entry is not None and entry.to_stock is not None:
            return entry.to_stock if entry.holds_estimators else _alone(entry.to_stock)
    for cls in type(estimator).__mro__:
        if cls.__module__.split(".")[0] == "sklearn":
            return None
        if cls.__module__.split(".")[0] == "fasttrain":
            raise TypeError(f"scikit-learn has nothing in place of fasttrain's {type(estimator).__name__}")
    return None


def _alone(convert):
    return lambda source, rebuild: convert(source)


def _fast_of(estimator):
    """The conversion for this estimator of scikit-learn, None where fasttrain has nothing in its place."""
    for entry in entries():
        convert = entry.from_stock.get(type(estimator))
        if convert is not None:
            return lambda source, rebuild: convert(source, entry.cls)
    return None


def _unveiled(source):
    """What scikit-learn's class has fitted for a replaced one."""
    new = with_parameters(type(source)._stock, source)
    own = set(names_of(own_class(source))) | {SERVED}
    vars(new).update({name: copy.deepcopy(part) for name, part in vars(source).items() if name not in own})
    return new


class _Rebuilder:
    """Copies of estimators in which the parts that ``find`` has a conversion for are converted.

    What is held in lists, tuples, dicts and arrays of objects is looked through, and each object converted once;
    anything else is shared with the original.
    """

    def __init__(self, find):
        self.find = find
        self.done = {}
        self.converted = 0

    def rebuild(self, value):
        if id(value) not in self.done:
            # the original is kept with its copy, so that its id stays taken
            self.done[id(value)] = value, self._rebuild(value)
        return self.done[id(value)][1]

    def _rebuild(self, value):
        estimator = isinstance(value, BaseEstimator)
        if estimator:
            convert = self.find(value)
            if convert is not None:
                self.converted += 1
                return convert(value, self.rebuild)
        # scorers and the like, too
        if estimator or (type(value).__module__.startswith("sklearn.") and hasattr(value, "__dict__")
                         and not isinstance(value, (type, dict))):
            parts = {name: self.rebuild(part) for name, part in vars(value).items()}
            if all(parts[name] is part for name, part in vars(value).items()):
                return value
            new = copy.copy(value)
            vars(new).update(parts)
            return new
        if isinstance(value, dict):
            parts = {key: self.rebuild(part) for key, part in value.items()}
            if all(parts[key] is part for key, part in value.items()):
                return value
            new = copy.copy(value)
            new.update(parts)
            return new
        if isinstance(value, (list, tuple)):
            parts = [self.rebuild(part) for part in value]
            if all(new is part for new, part in zip(parts, value)):
                return value
            if isinstance(value, tuple):
                return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
            return parts
        if isinstance(value, np.ndarray) and value.dtype == object:
            parts = [self.rebuild(part) for part in value.ravel()]
            if all(new is part for new, part in zip(parts, value.ravel())):
                return value
            new = np.empty(value.size, dtype=object)
            new[:] = parts
            return new.reshape(value.shape)
        return value
